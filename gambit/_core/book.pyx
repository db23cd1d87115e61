"""Order books in contiguous memory, worked from the touch.

Each side keeps the levels near the touch in a window indexed by price tick (4096 ticks, a bitmap over it and a
one-word summary over the bitmap, so that the best level is two bit scans away) and the rest in an array ordered
by price, the nearest to the window last. Three rules hold after every frame:
  1. every level of the rest is worse than every tick of the window;
  2. if the side has a level at all, the best one is in the window;
  3. the window never moves by less than a word, and only when the touch gets near its edge.
A price that lies on no common grid with the others (R21 allows 1e17 beside 1e-18) turns the book FLAT: then the
ordered rest holds everything, slower and just as exact. Prices and quantities are never rounded.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

from gambit._core.num cimport (
    P10, P10D, clz, crc32, ctz, div_p10, i128, mul_overflow, now_ns, put_digits, put_units, put_wire, ror, units,
    units_double, unlikely,
)
from gambit._core.side cimport (
    MARGIN, Far, Side, Slot, aim, base_for, best_word, evict, far_set, load_side, move_window, pull, side_clear,
    side_count, slot_clear, slot_open, word_tick,
)

cdef enum:
    DRIFT = 40              # words the touch may drift from the edge before the window follows
    GRID_SAMPLE = 64        # levels a side that decide the tick of a snapshot


# ---- memory ----

cdef int book_open(Book* b) noexcept nogil:
    """Allocate an empty book; 0, or -1 without memory (book_close is safe then)."""
    cdef int k
    memset(b, 0, sizeof(Book))
    b.decimals = 0
    for k in range(2):
        b.side[k].is_bid = k == 0
        b.side[k].slots = <Slot*>malloc(SLOTS * sizeof(Slot))
        b.side[k].bits = <uint64_t*>calloc(WORDS, sizeof(uint64_t))
        b.side[k].cap = 64
        b.side[k].far = <Far*>malloc(64 * sizeof(Far))
        if b.side[k].slots == NULL or b.side[k].bits == NULL or b.side[k].far == NULL:
            return -1
    return 0


cdef void book_close(Book* b) noexcept nogil:
    cdef int k
    for k in range(2):
        free(b.side[k].slots)
        free(b.side[k].bits)
        free(b.side[k].far)


cdef void book_clear(Book* b) noexcept nogil:
    side_clear(&b.side[0])
    side_clear(&b.side[1])
    b.failed = False


# ---- the grid ----

cdef void flatten(Book* b) noexcept nogil:
    """Give the grid up: every level goes to the rest."""
    evict(b, &b.side[0], 0, WORDS)
    evict(b, &b.side[1], 0, WORDS)
    b.decimals = FLAT


cdef void regrid(Book* b, int decimals) noexcept nogil:
    """Rebuild both windows on a tick of 10^-decimals, finer still where a level inside needs it."""
    cdef int k, finer = 0
    cdef Side* s
    while True:
        flatten(b)
        if b.failed:
            return
        b.decimals = decimals
        finer = 0
        for k in range(2):
            s = &b.side[k]
            if not aim(b, s):
                finer = s.far[s.hi - 1].pdec
                if finer <= decimals:           # too large for any finer grid
                    flatten(b)
                    return
                break
            finer = pull(b, s)
            if finer:
                break
        if not finer:
            return
        if finer <= decimals:
            flatten(b)
            return
        decimals = finer


cdef void settle_side(Book* b, Side* s) noexcept nogil:
    """After a frame: the best level is in the window again, and not too close to its far end."""
    cdef int word, finer
    if s.inside == 0:
        if s.hi == s.lo:
            return
        if not aim(b, s):
            finer = s.far[s.hi - 1].pdec
            if finer > b.decimals:
                regrid(b, finer)
            else:
                flatten(b)
            return
    else:
        word = best_word(s)
        if s.is_bid:
            if word >= WORDS - DRIFT:
                return
            move_window(b, s, s.base + word - (WORDS - 1 - MARGIN))
        else:
            if word < DRIFT:
                return
            move_window(b, s, s.base + word - MARGIN)
    finer = pull(b, s)
    if finer > b.decimals:
        regrid(b, finer)
    elif finer:
        flatten(b)


cdef inline void settle(Book* b) noexcept nogil:
    if b.decimals != FLAT:
        settle_side(b, &b.side[0])
    if b.decimals != FLAT:
        settle_side(b, &b.side[1])


# ---- one level ----

cdef void set_off_grid(Book* b, Side* s, const Level* v) noexcept nogil:
    """A price with more decimals than the grid, or too large for it."""
    cdef i128 price = units(v.pm, v.pdec)
    cdef i128 low = units(s.base << 6, b.decimals)
    cdef i128 high = units((s.base + WORDS) << 6, b.decimals)
    if (price < low) if s.is_bid else (price >= high):
        far_set(b, s, price, v)                 # worse than the window: the rest takes any price
        return
    if v.qm == 0:
        return                                  # no level can be there
    if v.pdec > b.decimals:
        regrid(b, v.pdec)
    else:
        flatten(b)
    if b.decimals == FLAT:
        far_set(b, s, price, v)
    else:
        set_level(b, v)


cdef void set_outside(Book* b, Side* s, const Level* v, int64_t tick) noexcept nogil:
    """A price on the grid that the window does not cover."""
    cdef int64_t word = tick >> 6
    cdef Slot* slot
    if (word < s.base) == s.is_bid:             # worse than the window
        far_set(b, s, units(v.pm, v.pdec), v)
        return
    if v.qm == 0:
        return                                  # better than the best: there is nothing to delete
    if s.inside == 0 and s.hi == s.lo:
        s.base = base_for(s, tick)
    else:
        move_window(b, s, base_for(s, tick))
    slot = slot_open(s, tick)
    slot.qm = v.qm
    slot.qdec = v.qdec
    slot.qwire = v.qwire
    slot.pwire = v.pwire


cdef void set_level(Book* b, const Level* v) noexcept nogil:
    """Set one level to its new quantity, or delete it when that is 0."""
    cdef Side* s = &b.side[v.side]
    cdef int64_t tick = 0
    cdef Slot* slot
    if b.decimals == FLAT:
        far_set(b, s, units(v.pm, v.pdec), v)
        return
    if unlikely(v.pdec > b.decimals) or unlikely(mul_overflow(v.pm, P10[b.decimals - v.pdec], &tick)) \
            or unlikely(tick >= (<int64_t>1 << 61)):
        set_off_grid(b, s, v)
        return
    if unlikely(<uint64_t>((tick >> 6) - s.base) >= WORDS):
        set_outside(b, s, v, tick)
        return
    if v.qm == 0:
        slot_clear(s, tick)
        return
    slot = slot_open(s, tick)
    slot.qm = v.qm
    slot.qdec = v.qdec
    slot.qwire = v.qwire
    slot.pwire = v.pwire


cdef void book_apply(Book* b, const Level* levels, int n) noexcept nogil:
    """Apply the levels of one frame in the order given; quantities are absolute, 0 deletes."""
    cdef int k
    for k in range(n):
        set_level(b, &levels[k])
    settle(b)


# ---- snapshots ----

cdef void book_replace(Book* b, const Level* levels, int n) noexcept nogil:
    """Make the levels of a snapshot the book."""
    cdef int k, i, decimals = 0
    cdef Side* s
    book_clear(b)
    b.decimals = FLAT
    load_side(b, 0, levels, n)
    load_side(b, 1, levels, n)
    for k in range(2):
        s = &b.side[k]
        for i in range(s.hi - 1, (s.hi - GRID_SAMPLE if s.hi > GRID_SAMPLE else 0) - 1, -1):
            if s.far[i].pdec > decimals:
                decimals = s.far[i].pdec
    regrid(b, decimals)


cdef void book_trim(Book* b, int depth) noexcept nogil:
    """Cut both sides to their best `depth` levels."""
    cdef int k, over, word
    cdef Side* s
    cdef uint64_t r, bits
    for k in range(2):
        s = &b.side[k]
        over = side_count(s) - depth
        if over <= 0:
            continue
        if over <= s.hi - s.lo:
            s.lo += over
            continue
        over -= s.hi - s.lo
        s.lo = 0
        s.hi = 0
        while over:
            r = ror(s.summary, <unsigned int>(s.base & 63))
            word = ctz(r) if s.is_bid else 63 - clz(r)
            bits = s.bits[(s.base + word) & 63]
            slot_clear(s, ((s.base + word) << 6) + (ctz(bits) if s.is_bid else 63 - clz(bits)))
            over -= 1


# ---- reading ----

cdef bint book_touch(const Book* b, int side, double* price, i128* exact) noexcept nogil:
    """Best price of a side, as a double and in units; False when the side is empty."""
    cdef const Side* s = &b.side[side]
    cdef int word
    cdef int64_t tick
    if b.decimals == FLAT:
        if s.hi == s.lo:
            return False
        exact[0] = s.far[s.hi - 1].price
        price[0] = units_double(exact[0])
        return True
    if s.inside == 0:
        return False
    word = best_word(s)
    tick = word_tick(s, word, s.bits[(s.base + word) & 63])
    exact[0] = units(tick, b.decimals)
    price[0] = <double>tick / P10D[b.decimals]
    return True


cdef bint book_crossed(const Book* b) noexcept nogil:
    """Best bid >= best ask."""
    cdef const Side* bid = &b.side[0]
    cdef const Side* ask = &b.side[1]
    cdef int i, j
    if b.decimals == FLAT:
        return bid.hi > bid.lo and ask.hi > ask.lo and bid.far[bid.hi - 1].price >= ask.far[ask.hi - 1].price
    if bid.inside == 0 or ask.inside == 0:
        return False
    i = best_word(bid)
    j = best_word(ask)
    return (word_tick(bid, i, bid.bits[(bid.base + i) & 63]) >= word_tick(ask, j, ask.bits[(ask.base + j) & 63]))


cdef void walk_start(Place* w, const Book* b, int side) noexcept nogil:
    """Begin at the touch of a side. The place is good until the book changes."""
    w.side = &b.side[side]
    w.decimals = b.decimals
    w.far = w.side.hi
    w.word = WORDS if w.side.inside == 0 else (WORDS - 1 - best_word(w.side) if w.side.is_bid else best_word(w.side))
    w.bits = 0
    if w.word < WORDS:
        w.bits = w.side.bits[(w.side.base + (WORDS - 1 - w.word if w.side.is_bid else w.word)) & 63]


cdef bint walk_next(Place* w, Quote* q) noexcept nogil:
    """The next level away from the touch; False at the end."""
    cdef const Side* s = w.side
    cdef const Slot* slot
    cdef const Far* f
    cdef int64_t tick
    cdef int word
    while w.word < WORDS:
        word = WORDS - 1 - w.word if s.is_bid else w.word
        if w.bits:
            tick = word_tick(s, word, w.bits)
            w.bits ^= <uint64_t>1 << (tick & 63)
            slot = &s.slots[tick & (SLOTS - 1)]
            q.price = units(tick, w.decimals)
            q.pm = tick
            q.pdec = <uint8_t>w.decimals
            q.qm = slot.qm
            q.qdec = slot.qdec
            q.qwire = slot.qwire
            q.pwire = slot.pwire
            return True
        w.word += 1
        if w.word < WORDS:
            w.bits = s.bits[(s.base + (word - 1 if s.is_bid else word + 1)) & 63]
    if w.far == s.lo:
        return False
    w.far -= 1
    f = &s.far[w.far]
    q.price = f.price
    q.pm = -1
    q.pdec = f.pdec
    q.qm = f.qm
    q.qdec = f.qdec
    q.qwire = f.qwire
    q.pwire = f.pwire
    return True


cdef double quote_price(const Quote* q) noexcept nogil:
    """A level's price as a double."""
    return <double>q.pm / P10D[q.pdec] if q.pm >= 0 else units_double(q.price)


cdef void quote_mantissa(Quote* q) noexcept nogil:
    """Fill in the price's mantissa, with no more decimals than it was written with where that is possible."""
    if q.pm < 0:
        q.pm = div_p10(q.price, 18 - q.pdec)
    while q.pdec > q.pwire and q.pm % 10 == 0:
        q.pm //= 10
        q.pdec -= 1


cdef uint32_t book_checksum_digits(const Book* b, int price_decimals, int qty_decimals) noexcept nogil:
    """Kraken's CRC32 of the ten best asks, then bids: digits of price and quantity at the given decimals,
    leading zeros cut (kraken.md 3). -1 stands for the decimals of the text as sent."""
    cdef char text[11264]                       # 40 numbers of up to 18 digits and 255 zeros
    cdef char* o = text
    cdef Place w
    cdef Quote q
    cdef int side, _level
    for side in range(1, -1, -1):
        walk_start(&w, b, side)
        for _level in range(10):
            if not walk_next(&w, &q):
                break
            quote_mantissa(&q)
            while 0 <= price_decimals < q.pdec and q.pm % 10 == 0:      # zeros that the precision does not ask for
                q.pm //= 10
                q.pdec -= 1
            o = put_digits(o, q.pm, q.pdec, q.pwire if price_decimals < q.pdec else price_decimals)
            o = put_digits(o, q.qm, q.qdec, q.qwire if qty_decimals < q.qdec else qty_decimals)
    return crc32(text, o - text)


cdef uint32_t book_checksum_wire(const Book* b) noexcept nogil:
    """OKX's archive checksum: up to 25 levels bid, ask, bid, ask as price:size with the wire's text (okx.md 3)."""
    cdef char text[32768]                       # 100 numbers of up to 18 digits, a point and 255 zeros; separators
    cdef char* o = text
    cdef Place w[2]
    cdef Quote q
    cdef int side, _level
    walk_start(&w[0], b, 0)
    walk_start(&w[1], b, 1)
    for _level in range(25):
        for side in range(2):
            if not walk_next(&w[side], &q):
                continue
            if o != text:
                o[0] = b':'
                o += 1
            quote_mantissa(&q)
            o = put_wire(o, q.pm, q.pdec, q.pwire)
            o[0] = b':'
            o += 1
            o = put_wire(o, q.qm, q.qdec, q.qwire)
    return crc32(text, o - text)


# ---- Python face ----

cdef class PyBook:
    """A book of its own, for tests and benchmarks. Levels are (side, price text, quantity text) with side 0 bid,
    1 ask; prices must be positive, quantities not negative (ValueError)."""

    cdef Book b
    cdef Level* levels
    cdef int n

    def __cinit__(self):
        if book_open(&self.b):
            raise MemoryError
        self.levels = NULL

    def __dealloc__(self):
        book_close(&self.b)
        free(self.levels)

    cdef load(self, levels):
        from gambit._core.fixed import parse
        free(self.levels)
        self.levels = NULL
        self.n = len(levels)
        self.levels = <Level*>malloc((self.n + 1) * sizeof(Level))
        for k, (side, price, qty) in enumerate(levels):
            pm, pdec, pwire = parse(price)
            qm, qdec, qwire = parse(qty)
            if pm <= 0 or qm < 0:
                raise ValueError(f"level {price} x {qty}")
            self.levels[k].side = side
            self.levels[k].pm = pm
            self.levels[k].pdec = pdec
            self.levels[k].pwire = pwire
            self.levels[k].qm = qm
            self.levels[k].qdec = qdec
            self.levels[k].qwire = qwire

    def apply(self, levels):
        """Apply levels in order."""
        self.load(levels)
        book_apply(&self.b, self.levels, self.n)

    def replace(self, levels):
        """Make levels the book."""
        self.load(levels)
        book_replace(&self.b, self.levels, self.n)

    def trim(self, int depth):
        """Keep the best `depth` levels of each side."""
        book_trim(&self.b, depth)
        settle(&self.b)

    def repeat(self, levels_a, levels_b, int times):
        """Apply two lists of levels in turn, `times` times each, in C; returns ns a level. For benchmarks."""
        cdef Level* a
        cdef int n, _k
        cdef int64_t start, took
        self.load(levels_a)
        a = self.levels
        n = self.n
        self.levels = NULL
        self.load(levels_b)
        start = now_ns()
        with nogil:
            for _k in range(times):
                book_apply(&self.b, a, n)
                book_apply(&self.b, self.levels, self.n)
        took = now_ns() - start
        free(a)
        return took / (<double>times * (n + self.n))

    def side(self, int side):
        """[(price, quantity), ...] best first, as decimal text."""
        cdef Place w
        cdef Quote q
        out = []
        walk_start(&w, &self.b, side)
        while walk_next(&w, &q):
            out.append(quote_text(&q))
        return out

    @property
    def crossed(self):
        """Best bid at or above best ask."""
        return book_crossed(&self.b)

    @property
    def decimals(self):
        """Decimals of a tick, -1 for a flat book."""
        return self.b.decimals

    def inside(self, int side):
        """How many levels of a side are in its window."""
        return self.b.side[side].inside

    def checksum(self, int price_decimals=-1, int qty_decimals=-1):
        """Kraken's CRC32."""
        return book_checksum_digits(&self.b, price_decimals, qty_decimals)

    def checksum_wire(self):
        """OKX's archive CRC32, signed as it is on the wire."""
        cdef uint32_t c = book_checksum_wire(&self.b)
        return c - (1 << 32) if c >= 1 << 31 else c


cdef tuple quote_text(const Quote* q):
    cdef char text[96]
    cdef char* mid = put_units(text, q.price)
    cdef char* end = put_units(mid, units(q.qm, q.qdec))
    return text[:mid - text].decode(), text[mid - text:end - text].decode()
