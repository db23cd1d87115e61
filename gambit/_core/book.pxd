# One order book: two sides, each a tick-indexed window at the touch with an ordered rest behind it.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from gambit._core.num cimport i128
from gambit._core.scan cimport Level

cdef enum:
    WORDS = 64              # words of 64 ticks in a window
    SLOTS = 4096
    FLAT = -1               # decimals of a book whose prices fit no common grid

cdef struct Slot:           # a level inside the window; its price is its place
    int64_t qm
    uint8_t qdec
    uint8_t qwire
    uint8_t pwire

cdef struct Far:            # a level outside the window
    i128 price              # units (1e-18)
    int64_t qm
    uint8_t qdec
    uint8_t qwire
    uint8_t pwire
    uint8_t pdec

cdef struct Side:
    Slot* slots             # [SLOTS], place = tick & (SLOTS - 1)
    uint64_t* bits          # [WORDS], one bit a slot
    uint64_t summary        # one bit a word
    int64_t base            # the window covers words base .. base + WORDS - 1 (word = tick >> 6)
    int inside              # levels in the window
    bint is_bid
    Far* far                # [lo, hi): worst first, the one nearest to the window last
    int lo
    int hi
    int cap

cdef struct Book:
    Side side[2]            # bid, ask
    int decimals            # one tick is 10^-decimals; FLAT: everything is in the ordered rest
    bint failed             # memory ran out: the book must not be believed

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
cdef void book_set_touch(Book* b, const Level* bid, const Level* ask) noexcept nogil
cdef void book_trim(Book* b, int depth) noexcept nogil
cdef int side_count(const Side* s) noexcept nogil
cdef bint book_touch(const Book* b, int side, double* price, i128* exact) noexcept nogil
cdef bint book_crossed(const Book* b) noexcept nogil
cdef void walk_start(Place* w, const Book* b, int side) noexcept nogil
cdef bint walk_next(Place* w, Quote* q) noexcept nogil
cdef double quote_price(const Quote* q) noexcept nogil
cdef void quote_mantissa(Quote* q) noexcept nogil
cdef uint32_t book_checksum_digits(const Book* b, int price_decimals, int qty_decimals) noexcept nogil
cdef uint32_t book_checksum_wire(const Book* b) noexcept nogil
