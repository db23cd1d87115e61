"""A venue's best-bid-ask frames look alike: keys, punctuation and channel stay, a few values change.

A shape is learned from a frame that the scanner understood. Reading by it means to compare the bytes that stay and to
read the values in between, each by the same grammar as the scanner's; whatever differs in anything else, or is merely
unusual, is not of the shape, and the scanner looks at the frame from its first byte. So a shape can only answer what
the scanner would have answered.

Every value varies, but for the texts that decide what the frame is (channel, type): also those that nobody reads.
"""
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcpy, memset

from gambit._core.json cimport is_digit, skip_number
from gambit._core.market cimport (
    I_ID, T_ASK, T_ASK_QTY, T_BID, T_CHANNEL, T_EVENT, T_SYMBOL, T_TIME, T_TIME_2, T_TYPE,
)
from gambit._core.num cimport (
    NUM_OK, Dec, ctz, dec_any, dec_fast, expect, int_fast, likely, nondigits, same, string_end, unlikely,
)
from gambit._core.scan cimport M_INT, M_PRICE, M_QTY, M_SKIP, M_TEXT, MARKS, Level, Mark, Part, Scan

cdef enum:
    PATIENCE_MAX = 1023     # frames without a shape before another one is learned

cdef enum:                  # how a value is read
    R_STAYS = 0             # it does not vary
    R_PRICE = 1
    R_QTY = 2
    R_ID = 3
    R_INT = 4               # an integer that nobody reads
    R_SYMBOL = 5            # quoted texts
    R_TIME = 6
    R_STRING = 7
    R_TIME_DIGITS = 8       # a bare number of digits
    R_NUMBER = 9            # a bare number that nobody reads
    R_REFUSE = 10


cdef inline const char* read_digits(const char* p) noexcept nogil:
    """A whole JSON number of at most 15 digits; NULL when it is not clearly that."""
    cdef unsigned int n = <unsigned int>ctz(nondigits(p) | 0x10000)
    if n - 1 > 14 or (p[0] == b'0' and n > 1):
        return NULL
    return p + n


cdef inline const char* read_plain(const char* p) noexcept nogil:
    """A JSON number; what may follow is looked at by who compares the next bytes."""
    cdef unsigned int bits = nondigits(p) | 0x10000
    cdef unsigned int n = <unsigned int>ctz(bits)
    if unlikely(n - 1 > 14) or (p[0] == b'0' and n > 1):
        return skip_number(p)
    if p[n] != b'.':
        return p + n
    bits = (bits & (bits - 1)) | 0x10000
    if unlikely(<unsigned int>ctz(bits) == n + 1 or ctz(bits) > 15):
        return skip_number(p)
    return p + ctz(bits)


cdef const char* read_any(const char* p, bint is_bare, Dec* out) noexcept nogil:
    """A number of more digits than most; NULL when it is none, or negative."""
    cdef const char* end = skip_number(p) if is_bare else string_end(p)
    if end == NULL or dec_any(p, end, out) != NUM_OK or out.m < 0:
        return NULL
    return end


cdef bint shape_read(Shape* shape, const char* p, const char* end, Best* out) noexcept nogil:
    """Read the frame [p, end), PAD readable bytes behind it; False when it is not of the shape, or nothing was learned
    yet."""
    cdef Step* step = &shape.steps[0]
    cdef Step* last = step + shape.n
    cdef const char* at
    cdef Level* level
    cdef Dec number
    cdef int64_t ignored
    while step != last:
        if not same(p, &shape.text[step.at], step.n):
            return False
        p += step.n
        at = p
        if step.what <= R_QTY:
            if unlikely(step.is_bare and p[0] == b'0' and is_digit(p[1])):
                return False
            p = dec_fast(p, &number)
            if unlikely(p == NULL):
                p = read_any(at, step.is_bare, &number)
                if p == NULL:
                    return False
            level = &out.level[step.slot]
            if step.what == R_PRICE:
                if unlikely(number.m == 0):
                    return False
                level.pm = number.m
                level.pdec = <uint8_t>number.dec
                level.pwire = <uint8_t>number.wire
            else:
                level.qm = number.m
                level.qdec = <uint8_t>number.dec
                level.qwire = <uint8_t>number.wire
                step += 1                       # quantities have any length
                continue
        elif step.what == R_NUMBER:
            p = read_plain(p)
        elif step.what <= R_INT:
            p = int_fast(p, &out.id if step.what == R_ID else &ignored)
        elif step.what == R_TIME_DIGITS:
            p = read_digits(p)
        else:
            p = string_end(p)
        if unlikely(p == NULL):
            return False
        p = expect(at, p, &step.last)
        if step.what == R_SYMBOL:
            out.symbol.p = at
            out.symbol.n = <int>(p - at)
        elif step.what == R_TIME or step.what == R_TIME_DIGITS:
            out.time.p = at
            out.time.n = <int>(p - at)
        step += 1
    return same(p, &shape.text[shape.tail], shape.tail_n) and p + shape.tail_n == end and shape.n > 0


cdef const Shape* shapes_read(Shapes* shapes, const char* p, const char* end, Best* out) noexcept nogil:
    """The shape that the frame [p, end) has, and what the frame says; NULL when it has none that is known."""
    if likely(shape_read(&shapes.item[shapes.last], p, end, out)):
        return &shapes.item[shapes.last]
    if not shape_read(&shapes.item[shapes.last ^ 1], p, end, out):
        return NULL
    shapes.last ^= 1
    return &shapes.item[shapes.last]


# ---- learning (rare) ----

cdef int time_slot(const Scan* s, int part) noexcept nogil:
    """Whose time counts (R32), as part * 16 + slot: the part's own, else the frame's; -1 when there is none."""
    if s.parts[part].has_texts >> T_TIME & 1:
        return part * 16 + T_TIME
    if s.parts[0].has_texts >> T_TIME & 1:
        return T_TIME
    return T_TIME_2 if s.parts[0].has_texts >> T_TIME_2 & 1 else -1


cdef int text_way(const Mark* m, int part, int time, bint has_topic, uint8_t* slot) noexcept nogil:
    """How a text is read."""
    if m.slot == T_CHANNEL or m.slot == T_TYPE:
        return R_STAYS
    if T_BID <= m.slot <= T_ASK_QTY:
        slot[0] = m.slot >= T_ASK
        if m.part != part:
            return R_REFUSE
        return R_PRICE if m.slot == T_BID or m.slot == T_ASK else R_QTY
    if m.slot == T_SYMBOL:
        return R_STRING if has_topic else R_SYMBOL
    if m.slot == T_EVENT:
        return R_REFUSE
    return R_TIME if m.part * 16 + m.slot == time else R_STRING


cdef int way_of(const Mark* m, const char* p, int part, int id_part, int time, bint has_topic,
                uint8_t* slot) noexcept nogil:
    """How the value of a mark is read; p is its first byte."""
    cdef int what
    if m.what == M_PRICE or m.what == M_QTY:
        slot[0] = <uint8_t>m.slot
        return R_REFUSE if m.part != part else R_PRICE if m.what == M_PRICE else R_QTY
    if m.what == M_INT:
        return R_ID if m.slot == I_ID and m.part == id_part else R_INT
    if m.what == M_SKIP:
        return R_STRING if p[0] == b'"' else R_NUMBER if p[0] == b'-' or is_digit(p[0]) else R_STAYS
    what = text_way(m, part, time, has_topic, slot)
    if p[0] == b'"' or what == R_STAYS or what == R_REFUSE or what <= R_QTY:
        return what
    return R_TIME_DIGITS if what == R_TIME else R_NUMBER if what == R_STRING else R_REFUSE


cdef bint add_step(Shape* shape, const char* buf, int done, int start, int what, int slot, bint is_bare) noexcept nogil:
    """The bytes [done, start) stay, then comes a value. False when there is no room."""
    cdef Step* step = &shape.steps[shape.n]
    if shape.n == STEPS or shape.tail + start - done > SHAPE_BYTES:
        return False
    step.at = shape.tail
    step.n = start - done
    step.what = <uint8_t>what
    step.slot = <uint8_t>slot
    step.is_bare = is_bare
    memcpy(&shape.text[shape.tail], buf + done, step.n)
    shape.tail += step.n
    shape.n += 1
    return True


cdef bint shape_learn(Shape* shape, const Scan* s, const Mark* marks, const char* buf, int n, const Part* part,
                      bint has_topic) noexcept nogil:
    """Learn the shape of a frame of one book, of n bytes, that was scanned with marks; `part` is that book's, complete,
    and has one level a side. has_topic: the channel's text ends with the symbol. False when it has no simple shape."""
    cdef int own = <int>(part - s.parts), id_part, time = time_slot(s, own), k, done = 0, what, start, end
    cdef int counts[16]
    cdef uint8_t slot
    cdef const Mark* m
    memset(shape, 0, sizeof(Shape))
    memset(counts, 0, sizeof(counts))
    id_part = own if part.has_ints >> I_ID & 1 else 0
    if s.n_marks > MARKS or part.hi - part.lo != 2 or s.levels[part.lo].side == s.levels[part.lo + 1].side:
        return False
    for k in range(s.n_marks):
        m = &marks[k]
        slot = 0
        what = way_of(m, buf + m.at, own, id_part, time, has_topic, &slot)
        start = m.at + (buf[m.at] == b'"')
        end = m.end - (buf[m.at] == b'"')
        if has_topic and m.what == M_TEXT and m.slot == T_CHANNEL:
            what = R_SYMBOL                     # its beginning stays, the end is the symbol
            start = <int>(s.parts[0].texts[T_SYMBOL].p - buf)
        if what == R_STAYS:
            continue
        if what == R_REFUSE or not add_step(shape, buf, done, start, what, slot, buf[m.at] != b'"'):
            return False
        done = end
        counts[what] += 1
    shape.tail_n = n - done
    if counts[R_PRICE] != 2 or counts[R_QTY] != 2 or counts[R_SYMBOL] != 1 or shape.tail + n - done > SHAPE_BYTES:
        return False
    memcpy(&shape.text[shape.tail], buf + done, n - done)
    shape.has_id = counts[R_ID] == 1
    shape.has_time = counts[R_TIME] + counts[R_TIME_DIGITS] == 1
    return counts[R_ID] <= 1 and shape.has_time == (time >= 0)


cdef void shapes_learn(Shapes* shapes, const Scan* s, const Mark* marks, const char* buf, int n, const Part* part,
                       bint has_topic, int kind, int64_t channel) noexcept nogil:
    """Learn from a frame as shape_learn() does, in the place of the shape that was not the last one; ever more rarely,
    for there are frames without a shape and venues that mix more of them than are remembered."""
    cdef Shape* shape = &shapes.item[shapes.last ^ 1]
    cdef Best best
    shapes.missed = 0
    shapes.patience = 2 * shapes.patience + 1 if shapes.patience < PATIENCE_MAX else PATIENCE_MAX
    if not shape_learn(shape, s, marks, buf, n, part, has_topic) or not shape_read(shape, buf, buf + n, &best):
        shape.n = 0
        return
    shape.kind = kind
    shape.channel = channel
