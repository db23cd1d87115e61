# One order book: two sides, each a tick-indexed window at the touch with an ordered rest behind it.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from gambit._core.num cimport i128, units
from gambit._core.scan cimport Level
from gambit._core.side cimport FLAT, SLOTS, WORDS, Book, Far, Side

cdef struct Place:          # a walk over one side from the touch
    const Side* side
    int word                # next window word to look at, counted from the touch side
    uint64_t bits
    int far
    int decimals

cdef struct Quote:          # one level as a walk gives it
    i128 price              # units
    int64_t pm              # price as mantissa and decimals; -1 for a level of the rest (see quote_mantissa)
    uint8_t pdec
    int64_t qm
    uint8_t qdec
    uint8_t qwire
    uint8_t pwire

cdef int book_open(Book* b) noexcept nogil
cdef void book_close(Book* b) noexcept nogil
cdef void book_clear(Book* b) noexcept nogil
cdef void book_apply(Book* b, const Level* levels, int n) noexcept nogil
cdef void book_replace(Book* b, const Level* levels, int n) noexcept nogil
cdef inline void book_set_touch(Book* b, const Level* bid, const Level* ask) noexcept nogil:
    """Make one level a side the book; a quantity of 0 leaves the side empty."""
    cdef const Level* v = bid
    cdef Side* s
    cdef Far* f
    cdef int k
    if b.decimals != FLAT:
        book_clear(b)
        b.decimals = FLAT
    for k in range(2):
        s = &b.side[k]
        f = s.far
        f.price = units(v.pm, v.pdec)
        f.qm = v.qm
        f.qdec = v.qdec
        f.qwire = v.qwire
        f.pwire = v.pwire
        f.pdec = v.pdec
        s.lo = 0
        s.hi = v.qm != 0
        v = ask
cdef void book_trim(Book* b, int depth) noexcept nogil
cdef bint book_touch(const Book* b, int side, double* price, i128* exact) noexcept nogil
cdef bint book_crossed(const Book* b) noexcept nogil
cdef void walk_start(Place* w, const Book* b, int side) noexcept nogil
cdef bint walk_next(Place* w, Quote* q) noexcept nogil
cdef double quote_price(const Quote* q) noexcept nogil
cdef void quote_mantissa(Quote* q) noexcept nogil
cdef uint32_t book_checksum_digits(const Book* b, int price_decimals, int qty_decimals) noexcept nogil
cdef uint32_t book_checksum_wire(const Book* b) noexcept nogil
