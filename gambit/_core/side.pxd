# One side of a book: a tick-indexed window at the touch, an ordered rest behind it.
from libc.stdint cimport int64_t, uint8_t, uint64_t

from gambit._core.num cimport clz, ctz, i128, ror
from gambit._core.scan cimport Level

cdef enum:
    MARGIN = 8              # words kept free between the window's edge and a fresh touch
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

cdef inline int best_word(const Side* s) noexcept nogil:
    """Window word of the best level, counted from base; the window must not be empty."""
    cdef uint64_t r = ror(s.summary, <unsigned int>(s.base & 63))
    return 63 - clz(r) if s.is_bid else ctz(r)

cdef inline int64_t word_tick(const Side* s, int word, uint64_t bits) noexcept nogil:
    """Best tick of a word (counted from base) whose bitmap is `bits`."""
    return ((s.base + word) << 6) + (63 - clz(bits) if s.is_bid else ctz(bits))

cdef inline void slot_clear(Side* s, int64_t tick) noexcept nogil:
    cdef int w = <int>(tick >> 6) & 63
    cdef uint64_t bit = <uint64_t>1 << (tick & 63)
    if s.bits[w] & bit:
        s.bits[w] ^= bit
        s.inside -= 1
        if s.bits[w] == 0:
            s.summary &= ~(<uint64_t>1 << w)

cdef inline Slot* slot_open(Side* s, int64_t tick) noexcept nogil:
    """The slot of a tick inside the window, marked as present."""
    cdef int w = <int>(tick >> 6) & 63
    cdef uint64_t bit = <uint64_t>1 << (tick & 63)
    if not (s.bits[w] & bit):
        s.bits[w] |= bit
        s.summary |= <uint64_t>1 << w
        s.inside += 1
    return &s.slots[tick & (SLOTS - 1)]

cdef inline int64_t base_for(const Side* s, int64_t tick) noexcept nogil:
    """Where a window should start whose touch is at `tick`."""
    return (tick >> 6) - (WORDS - 1 - MARGIN if s.is_bid else MARGIN)

cdef int side_count(const Side* s) noexcept nogil
cdef void side_clear(Side* s) noexcept nogil
cdef int far_room(Book* b, Side* s, int more) noexcept nogil
cdef void evict(Book* b, Side* s, int lo, int hi) noexcept nogil
cdef void move_window(Book* b, Side* s, int64_t base) noexcept nogil
cdef int pull(Book* b, Side* s) noexcept nogil
cdef bint aim(Book* b, Side* s) noexcept nogil
cdef void far_set(Book* b, Side* s, i128 price, const Level* v) noexcept nogil
cdef void load_side(Book* b, int side, const Level* levels, int n) noexcept nogil
