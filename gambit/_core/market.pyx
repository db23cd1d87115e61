"""When a book may be believed: the sequence, checksum and ownership rules, each a few lines over one part of a frame.

Rules R8-R12, R19, R22, R23 of replay-rules.md and section 3 of each venue sheet. A function here never evaluates
anything: it says what the part did (DID_*) and the caller looks at the book once the frame is through.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memset

from gambit._core.book cimport (
    book_apply, book_checksum_digits, book_checksum_wire, book_clear, book_close, book_open, book_replace,
    book_trim,
)
from gambit._core.num cimport NUM_OK, Dec, dec_any, dec_fast
from gambit._core.json cimport Text
from gambit._core.scan cimport Level, Part, Scan, scan_room_levels
from gambit._core.side cimport side_count
from gambit._core.window cimport history_close, history_open

cdef enum:
    DIFFS_MAX = 16384       # buffered diffs a book; half an hour of Binance's 100 ms stream
    OKX_DEPTH = 400
    ALL = 1000000000        # more levels than any book has: nothing is cut


cdef int market_open(Market* m, int64_t keep_ns) noexcept nogil:
    """Allocate; `keep_ns` is how far back the windows look. 0, or -1 without memory."""
    memset(m, 0, sizeof(Market))
    m.conn = -1
    m.last_conn = -1
    memset(m.ack_conn, 0xff, sizeof(m.ack_conn))
    m.price_decimals = -1
    m.qty_decimals = -1
    m.exchange_ts = -1
    m.last_update = -1
    if book_open(&m.book) or history_open(&m.history, keep_ns):
        return -1
    m.leg.book = &m.book
    return 0


cdef void market_drop_diffs(Market* m) noexcept nogil:
    """Empty the buffer."""
    cdef int k
    for k in range(m.n_diffs):
        free(m.diffs[k].levels)
    m.n_diffs = 0


cdef void market_close(Market* m) noexcept nogil:
    market_drop_diffs(m)
    free(m.diffs)
    book_close(&m.book)
    history_close(&m.history)


cdef void market_forget(Market* m) noexcept nogil:
    """The book is worth nothing any more: no levels, no id."""
    m.synced = False
    m.has_id = False
    m.id = 0
    m.exchange_ts = -1
    book_clear(&m.book)


cdef inline int lose(Market* m) noexcept nogil:
    cdef int did = DID_LOSE if m.synced else 0
    market_forget(m)
    return did


cdef void market_promise(Market* m, int conn, int depth) noexcept nogil:
    """A connection's ack says how many levels a side it sends (R12, D11); 0 takes the promise back."""
    cdef int k, out = 0
    for k in range(4):                          # the latest goes to the end, the oldest falls out
        if m.ack_conn[k] != conn:
            m.ack_conn[out] = m.ack_conn[k]
            m.ack_depth[out] = m.ack_depth[k]
            out += 1
    if out == 4:
        for k in range(3):
            m.ack_conn[k] = m.ack_conn[k + 1]
            m.ack_depth[k] = m.ack_depth[k + 1]
        out = 3
    for k in range(out, 4):
        m.ack_conn[k] = -1
    if depth:
        m.ack_conn[out] = conn
        m.ack_depth[out] = depth
    if m.conn == conn:
        m.depth = depth


cdef bint market_claim(Market* m, int conn, int64_t channel, int allowed_depth) noexcept nogil:
    """Whether this connection's channel may feed the book (R8). A new connection takes it over: the caller sees a
    synced book that lost its `conn` and must forget it. allowed_depth is the channel's own depth, 0 unknown."""
    cdef int k
    m.is_named = True
    if m.conn == conn:
        return m.channel == channel
    if m.conn >= 0:
        if m.channel != channel:
            return False
        m.did |= lose(m)
        market_drop_diffs(m)
    m.conn = conn
    m.last_conn = conn
    m.channel = channel
    m.depth = allowed_depth
    for k in range(4):
        if m.ack_conn[k] == conn:
            m.depth = m.ack_depth[k]
    return True


cdef inline bint read_number(const Text* t, Dec* out) noexcept nogil:
    """The frame's bytes go on behind the text, so that the fast reader may look there."""
    return dec_fast(t.p, out) == t.p + t.n or dec_any(t.p, t.p + t.n, out) == NUM_OK


cdef bint text_level(const Text* price, const Text* qty, int side, Level* out) noexcept nogil:
    """A best price and quantity given as texts; False when they are no level."""
    cdef Dec p, q
    if not read_number(price, &p) or not read_number(qty, &q) or p.m <= 0 or q.m < 0:
        return False
    out.pm = p.m
    out.pdec = <uint8_t>p.dec
    out.pwire = <uint8_t>p.wire
    out.qm = q.m
    out.qdec = <uint8_t>q.dec
    out.qwire = <uint8_t>q.wire
    out.side = <uint8_t>side
    return True


cdef bint touch_levels(Scan* s, Part* part) noexcept nogil:
    """Turn a best bid and ask given as texts into the part's levels; False when one is missing or no level."""
    if (part.has_texts >> T_BID & 15) != 15 or scan_room_levels(s, 2):
        return False
    if not (text_level(&part.texts[T_BID], &part.texts[T_BID_QTY], 0, &s.levels[s.n_levels])
            and text_level(&part.texts[T_ASK], &part.texts[T_ASK_QTY], 1, &s.levels[s.n_levels + 1])):
        return False
    part.lo = s.n_levels
    s.n_levels += 2
    part.hi = s.n_levels
    part.sides |= 3
    return True


cdef bint part_complete(Scan* s, const Market* m, const Part* head, Part* part, int kind) noexcept nogil:
    """Whether the fields that the market's rule needs are there (R19, D8, D9)."""
    cdef bint has_id = part.has_ints >> I_ID & 1
    cdef bint has_prev = part.has_ints >> I_PREV & 1
    # u = 1 is a snapshot whatever its type (R23)
    cdef bint has_type = kind != TYPE_NONE or (m.rule == RULE_STEP and has_id and part.ints[I_ID] == 1)
    if m.is_bbo:
        if not has_type and (m.rule == RULE_STEP or m.rule == RULE_CHECKSUM):
            return False
        if m.rule == RULE_CONNECTION:
            has_id = head.has_ints >> I_ID & 1
        if m.rule == RULE_LINK or m.rule == RULE_STEP:
            return has_id and part.sides & 3 == 3   # rows there, fields elsewhere
        return (has_id or m.rule == RULE_CHECKSUM) and touch_levels(s, part)
    if m.rule == RULE_CONNECTION:
        return head.has_ints >> I_ID & 1 and kind != TYPE_NONE and part.sides & 3 != 0
    if part.sides & 3 != 3:
        return False
    if m.rule == RULE_DIFF:
        return has_id and part.has_ints >> I_FIRST & 1
    if not has_type:
        return False
    if m.rule == RULE_STEP:
        return has_id
    if m.rule == RULE_CHECKSUM:
        return part.has_ints >> I_CHECKSUM & 1
    if has_id:
        return has_prev or kind == TYPE_SNAPSHOT
    return not has_prev and part.has_ints >> I_CHECKSUM & 1 and not (kind == TYPE_UPDATE and m.was_numbered)


# ---- Binance: diffs and a snapshot beside ----

cdef inline bint follows(int64_t id, int64_t first, int64_t prev, bint has_prev) noexcept nogil:
    """Nothing between `id` and this diff (R9; D5 where the wire names the id before)."""
    return first - 1 <= id or (has_prev and prev <= id)


cdef inline bint is_old(const Market* m, int64_t last, bint has_prev) noexcept nogil:
    """A diff that the book already has. On the futures the first diff behind a snapshot may end on its very id: the
    snapshot can hold a part of that diff only (the recorded captures are counted so)."""
    return last < m.id or (last == m.id and not (m.is_fresh and has_prev))


cdef void buffer_diff(Market* m, int64_t first, int64_t last, int64_t prev, bint has_prev, int64_t ts,
                      const Level* levels, int n) noexcept nogil:
    """Keep a diff until the snapshot comes; one that does not follow the last starts the buffer anew."""
    cdef Diff* grown
    cdef Diff* d
    if m.n_diffs and not follows(m.buffered, first, prev, has_prev):
        market_drop_diffs(m)
    if m.n_diffs == DIFFS_MAX:
        m.count.overflows += 1
        market_drop_diffs(m)
    if m.n_diffs == m.cap_diffs:
        grown = <Diff*>realloc(m.diffs, (m.cap_diffs * 2 + 16) * sizeof(Diff))
        if grown == NULL:
            m.book.failed = True
            return
        m.diffs = grown
        m.cap_diffs = m.cap_diffs * 2 + 16
    d = &m.diffs[m.n_diffs]
    d.levels = <Level*>malloc((n + 1) * sizeof(Level))
    if d.levels == NULL:
        m.book.failed = True
        return
    memcpy(d.levels, levels, n * sizeof(Level))
    d.n = n
    d.first = first
    d.last = last
    d.prev = prev
    d.has_prev = has_prev
    d.ts = ts
    if m.n_diffs == 0 or last > m.buffered:
        m.buffered = last
    m.n_diffs += 1


cdef int on_diff(Market* m, int64_t first, int64_t last, int64_t prev, bint has_prev, int64_t ts,
                 const Level* levels, int n) noexcept nogil:
    if not m.synced:
        buffer_diff(m, first, last, prev, has_prev, ts, levels, n)
        return 0
    if is_old(m, last, has_prev):
        return DID_STALE
    if follows(m.id, first, prev, has_prev):
        book_apply(&m.book, levels, n)
        m.id = last
        m.is_fresh = False
        m.exchange_ts = ts
        return DID_UPDATE
    m.count.gaps += 1
    lose(m)
    market_drop_diffs(m)
    buffer_diff(m, first, last, prev, has_prev, ts, levels, n)
    return DID_LOSE


cdef int market_snapshot(Market* m, int64_t last_id, const Level* levels, int n) noexcept nogil:
    """A depth snapshot fetched beside the stream joins the buffered diffs (R9); one frame with them.

    Ignored (0) when the book is synced, its connection is gone, or the first diff to keep begins too late.
    """
    cdef int k, start = 0
    cdef Diff* d
    if m.synced or (m.conn < 0 and m.last_conn >= 0):
        return 0
    while start < m.n_diffs and (m.diffs[start].last < last_id or (m.diffs[start].last == last_id
                                                                   and not m.diffs[start].has_prev)):
        start += 1
    if start < m.n_diffs and not follows(last_id, m.diffs[start].first, m.diffs[start].prev,
                                         m.diffs[start].has_prev):
        return 0
    book_replace(&m.book, levels, n)
    m.synced = True
    m.has_id = True
    m.id = last_id
    m.is_fresh = True
    m.exchange_ts = -1
    m.joined = 0
    for k in range(m.n_diffs):
        d = &m.diffs[k]
        if is_old(m, d.last, d.has_prev):
            m.count.dropped_stale += 1
        elif follows(m.id, d.first, d.prev, d.has_prev):
            book_apply(&m.book, d.levels, d.n)
            m.id = d.last
            m.is_fresh = False
            m.exchange_ts = d.ts
            m.joined += 1
    market_drop_diffs(m)
    return DID_SNAPSHOT


# ---- the others: snapshots come with the stream ----

cdef int gap(Market* m) noexcept nogil:
    m.count.gaps += 1
    return lose(m)


cdef int checked(Market* m, bint ok, int did) noexcept nogil:
    """Count a checksum; a wrong one loses the book."""
    if ok:
        m.count.checksums_ok += 1
        return did
    m.count.checksums_bad += 1
    market_forget(m)
    return DID_LOSE


cdef int on_linked(Market* m, const Part* part, const Level* levels, int kind, int64_t ts) noexcept nogil:
    """OKX (okx.md 3, R10)."""
    cdef bint has_id = part.has_ints >> I_ID & 1
    cdef int did = DID_SNAPSHOT if kind == TYPE_SNAPSHOT else DID_UPDATE
    if kind == TYPE_SNAPSHOT:
        book_replace(&m.book, &levels[part.lo], part.hi - part.lo)
        m.synced = True
    elif not m.synced:
        return 0
    elif has_id and (not m.has_id or part.ints[I_PREV] != m.id):
        return gap(m)
    else:
        book_apply(&m.book, &levels[part.lo], part.hi - part.lo)
    m.has_id = has_id
    m.was_numbered = has_id
    m.id = part.ints[I_ID] if has_id else 0
    m.exchange_ts = ts
    book_trim(&m.book, m.depth if m.depth else OKX_DEPTH)
    if not has_id and part.ints[I_CHECKSUM] != 0:
        return checked(m, <uint32_t>part.ints[I_CHECKSUM] == book_checksum_wire(&m.book)
                       and -(<int64_t>1 << 31) <= part.ints[I_CHECKSUM] < <int64_t>1 << 31, did)
    return did


cdef int on_step(Market* m, const Part* part, const Level* levels, int kind, int64_t ts) noexcept nogil:
    """Bybit (bybit.md 3, R23): u = 1 is a snapshot whatever its type."""
    cdef int64_t id = part.ints[I_ID]
    cdef int did = DID_SNAPSHOT
    if kind == TYPE_SNAPSHOT or id == 1:
        book_replace(&m.book, &levels[part.lo], part.hi - part.lo)
        m.synced = True
    elif not m.synced:
        return 0
    elif id - 1 != m.id:
        return gap(m)
    else:
        book_apply(&m.book, &levels[part.lo], part.hi - part.lo)
        did = DID_UPDATE
    m.has_id = True
    m.id = id
    m.exchange_ts = ts
    return did


cdef int kraken_depth(const Market* m) noexcept nogil:
    """The smallest depth on offer that holds the book's longer side (R12)."""
    cdef int longer = side_count(&m.book.side[0])
    if side_count(&m.book.side[1]) > longer:
        longer = side_count(&m.book.side[1])
    return (10 if longer <= 10 else 25 if longer <= 25 else 100 if longer <= 100 else 500 if longer <= 500
            else 1000 if longer <= 1000 else ALL)


cdef int on_checksummed(Market* m, const Part* part, const Level* levels, int kind, int64_t ts) noexcept nogil:
    """Kraken (kraken.md 3, R12): cut to the depth, then compare the checksum."""
    cdef int did = DID_SNAPSHOT if kind == TYPE_SNAPSHOT else DID_UPDATE
    if kind == TYPE_SNAPSHOT:
        book_replace(&m.book, &levels[part.lo], part.hi - part.lo)
        m.synced = True
        if m.depth <= 0:
            m.depth = -kraken_depth(m)          # negative: a guess that the next snapshot may correct
    elif not m.synced:
        return 0
    else:
        book_apply(&m.book, &levels[part.lo], part.hi - part.lo)
    book_trim(&m.book, m.depth if m.depth > 0 else -m.depth)
    m.exchange_ts = ts
    return checked(m, part.ints[I_CHECKSUM] == <int64_t>book_checksum_digits(&m.book, m.price_decimals, m.qty_decimals),
                   did)


cdef int on_connection(Market* m, const Part* head, const Part* part, const Level* levels, int kind,
                       int64_t ts) noexcept nogil:
    """Coinbase: the connection's counter was looked at before (coinbase.md 3)."""
    if kind == TYPE_SNAPSHOT:
        book_replace(&m.book, &levels[part.lo], part.hi - part.lo)
        m.synced = True
    elif not m.synced:
        return 0
    else:
        book_apply(&m.book, &levels[part.lo], part.hi - part.lo)
    m.has_id = True
    m.id = head.ints[I_ID]
    m.exchange_ts = ts
    return DID_SNAPSHOT if kind == TYPE_SNAPSHOT else DID_UPDATE


cdef bint is_one_a_side(const Level* levels, int lo, int hi, Level* both) noexcept nogil:
    """Whether rows hold at most one level a side; those go to `both`, with a quantity of 0 where there is none."""
    cdef int k, seen = 0
    memset(both, 0, 2 * sizeof(Level))
    for k in range(lo, hi):
        if seen >> levels[k].side & 1:
            return False
        seen |= 1 << levels[k].side
        both[levels[k].side] = levels[k]
    return True


cdef int market_bbo(Market* m, const Part* head, const Part* part, const Level* levels, int64_t ts) noexcept nogil:
    """One complete frame of a best-bid-ask channel replaces both sides (R8, D19)."""
    cdef Level both[2]
    cdef const Part* numbered = head if m.rule == RULE_CONNECTION else part
    cdef bint has_id = numbered.has_ints >> I_ID & 1
    if has_id and m.has_id and numbered.ints[I_ID] < m.id and not (m.rule == RULE_STEP and numbered.ints[I_ID] == 1):
        return DID_STALE
    if not is_one_a_side(levels, part.lo, part.hi, both):
        book_replace(&m.book, &levels[part.lo], part.hi - part.lo)
        book_trim(&m.book, 1)
        m.touch_known = False
    else:
        market_best(m, &both[0], &both[1], has_id, numbered.ints[I_ID], ts)
        return DID_UPDATE
    m.synced = True
    m.has_id = has_id
    m.id = numbered.ints[I_ID] if has_id else 0
    m.exchange_ts = ts
    return DID_UPDATE


cdef int market_part(Market* m, const Part* head, const Part* part, const Level* levels, int kind,
                     int64_t ts) noexcept nogil:
    """Apply one complete part by the market's rule; what it did."""
    if m.rule == RULE_DIFF:
        return on_diff(m, part.ints[I_FIRST], part.ints[I_ID], part.ints[I_PREV], part.has_ints >> I_PREV & 1, ts,
                       &levels[part.lo], part.hi - part.lo)
    if m.rule == RULE_LINK:
        return on_linked(m, part, levels, kind, ts)
    if m.rule == RULE_STEP:
        return on_step(m, part, levels, kind, ts)
    if m.rule == RULE_CHECKSUM:
        return on_checksummed(m, part, levels, kind, ts)
    return on_connection(m, head, part, levels, kind, ts)
