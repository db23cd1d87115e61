"""One side of a book: what moves levels between the window at the touch and the ordered rest.

The window is a ring of 4096 price ticks with a bitmap over it and a one-word summary over the bitmap; it moves by whole
words. The rest is an array of the other levels, worst first, the one nearest to the window last, so that what happens
near the window moves little memory. Every level of the rest is worse than every tick of the window.
"""
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memmove, memset

from gambit._core.num cimport clz, ctz, div_p10, i128, units
from gambit._core.scan cimport Level


cdef void side_clear(Side* s) noexcept nogil:
    if s.inside:
        memset(s.bits, 0, WORDS * sizeof(uint64_t))
    s.summary = 0
    s.inside = 0
    s.lo = 0
    s.hi = 0


cdef int side_count(const Side* s) noexcept nogil:
    return s.inside + s.hi - s.lo


cdef int far_room(Book* b, Side* s, int more) noexcept nogil:
    """Room for `more` levels at the near end of the rest."""
    cdef int n = s.hi - s.lo
    cdef int want = s.cap
    cdef Far* grown
    if s.hi + more <= s.cap:
        return 0
    if s.lo > s.cap // 2:                       # trimmed levels left room at the front
        memmove(s.far, s.far + s.lo, n * sizeof(Far))
        s.lo = 0
        s.hi = n
        if s.hi + more <= s.cap:
            return 0
    while want < s.hi + more:
        want *= 2
    grown = <Far*>realloc(s.far, want * sizeof(Far))
    if grown == NULL:
        b.failed = True
        return -1
    s.far = grown
    s.cap = want
    return 0


# ---- the window ----

cdef void far_push(Book* b, Side* s, int64_t tick) noexcept nogil:
    """Move a window level to the near end of the rest."""
    cdef Slot* slot = &s.slots[tick & (SLOTS - 1)]
    cdef Far* f
    if far_room(b, s, 1):
        return
    f = &s.far[s.hi]
    f.price = units(tick, b.decimals)
    f.qm = slot.qm
    f.qdec = slot.qdec
    f.qwire = slot.qwire
    f.pwire = slot.pwire
    f.pdec = tick_decimals(tick, b.decimals)
    s.hi += 1
    slot_clear(s, tick)


cdef uint8_t tick_decimals(int64_t tick, int decimals) noexcept nogil:
    """Decimals of a tick's price without trailing zeros."""
    while decimals and tick % 10 == 0:
        tick //= 10
        decimals -= 1
    return <uint8_t>decimals


cdef void evict(Book* b, Side* s, int lo, int hi) noexcept nogil:
    """Move the levels of window words [lo, hi), counted from base, to the rest: the window's worst words."""
    cdef int k, w
    cdef uint64_t bits
    for k in range(hi - lo):
        w = lo + k if s.is_bid else hi - 1 - k          # worst word first
        bits = s.bits[(s.base + w) & 63]
        while bits:
            # worst tick of the word first
            if s.is_bid:
                far_push(b, s, ((s.base + w) << 6) + ctz(bits))
                bits &= bits - 1
            else:
                far_push(b, s, ((s.base + w) << 6) + 63 - clz(bits))
                bits ^= <uint64_t>1 << (63 - clz(bits))
            if b.failed:
                return


cdef void move_window(Book* b, Side* s, int64_t base) noexcept nogil:
    """Let the window start at word `base`: what falls off its worse end goes to the rest. The words that fall
    off its better end must be empty."""
    cdef int64_t by = base - s.base
    if by > 0 and s.is_bid:
        evict(b, s, 0, <int>(by if by < WORDS else WORDS))
    elif by < 0 and not s.is_bid:
        evict(b, s, <int>(WORDS + by if by > -WORDS else 0), WORDS)
    s.base = base


cdef bint far_tick(const Far* f, int decimals, int64_t* tick) noexcept nogil:
    """The tick of a level of the rest; False when it is not on the grid or too large for it."""
    cdef i128 q
    if f.pdec > decimals:
        return False
    tick[0] = div_p10(f.price, 18 - decimals)
    q = units(tick[0], decimals)
    return q == f.price and tick[0] < (<int64_t>1 << 61)


cdef int pull(Book* b, Side* s) noexcept nogil:
    """Bring the levels of the rest that lie inside the window into it. Returns the decimals that a level there
    needs when the grid is too coarse for it, else 0."""
    cdef int64_t tick = 0
    cdef i128 edge
    cdef Far* f
    cdef Slot* slot
    # the worst price the window covers
    edge = units((s.base if s.is_bid else s.base + WORDS) << 6, b.decimals)
    while s.hi > s.lo:
        f = &s.far[s.hi - 1]
        if (s.is_bid and f.price < edge) or (not s.is_bid and f.price >= edge):
            return 0
        if not far_tick(f, b.decimals, &tick):
            return f.pdec
        slot = slot_open(s, tick)
        slot.qm = f.qm
        slot.qdec = f.qdec
        slot.qwire = f.qwire
        slot.pwire = f.pwire
        s.hi -= 1
    return 0


cdef bint aim(Book* b, Side* s) noexcept nogil:
    """An empty window is put where the best level of the rest is. False when the grid cannot hold that level."""
    cdef int64_t tick = 0
    if s.inside or s.hi == s.lo:
        return True
    if not far_tick(&s.far[s.hi - 1], b.decimals, &tick):
        return False
    s.base = base_for(s, tick)
    return True


# ---- the ordered rest ----

cdef int far_find(const Side* s, i128 price, bint* found) noexcept nogil:
    """Where a price stands, or would stand, in the ordered rest."""
    cdef int lo = s.lo, hi = s.hi, mid
    while lo < hi:
        mid = (lo + hi) >> 1
        if (s.far[mid].price < price) if s.is_bid else (s.far[mid].price > price):
            lo = mid + 1
        else:
            hi = mid
    found[0] = lo < s.hi and s.far[lo].price == price
    return lo


cdef void far_set(Book* b, Side* s, i128 price, const Level* v) noexcept nogil:
    cdef bint found = False
    cdef int at = far_find(s, price, &found)
    cdef Far* f
    if v.qm == 0:
        if found:
            memmove(&s.far[at], &s.far[at + 1], (s.hi - at - 1) * sizeof(Far))
            s.hi -= 1
        return
    if not found:
        at -= s.lo
        if far_room(b, s, 1):
            return
        at += s.lo
        memmove(&s.far[at + 1], &s.far[at], (s.hi - at) * sizeof(Far))
        s.hi += 1
    f = &s.far[at]
    f.price = price
    f.qm = v.qm
    f.qdec = v.qdec
    f.qwire = v.qwire
    f.pwire = v.pwire
    f.pdec = v.pdec


# ---- snapshots ----

cdef void sort_far(Far* a, Far* tmp, int n, bint descending) noexcept nogil:
    """Stable bottom-up merge sort by price."""
    cdef int width = 1, lo, mid, hi, i, j, k
    cdef Far* src = a
    cdef Far* dst = tmp
    cdef Far* swap
    while width < n:
        lo = 0
        while lo < n:
            mid = lo + width if lo + width < n else n
            hi = lo + 2 * width if lo + 2 * width < n else n
            i = lo
            j = mid
            for k in range(lo, hi):
                if i < mid and (j >= hi or (src[i].price >= src[j].price if descending
                                            else src[i].price <= src[j].price)):
                    dst[k] = src[i]
                    i += 1
                else:
                    dst[k] = src[j]
                    j += 1
            lo = hi
        swap = src
        src = dst
        dst = swap
        width *= 2
    if src != a:
        memcpy(a, src, n * sizeof(Far))


cdef void load_side(Book* b, int side, const Level* levels, int n) noexcept nogil:
    """Fill the ordered rest of an empty side from levels in any order; of one price the last counts."""
    cdef Side* s = &b.side[side]
    cdef Far* f
    cdef Far* tmp
    cdef int k, out
    cdef bint sorted_already = True
    for k in range(n - 1, -1, -1):              # venues send the best first, the rest wants it last
        if levels[k].side != side:
            continue
        if far_room(b, s, 1):
            return
        f = &s.far[s.hi]
        f.price = units(levels[k].pm, levels[k].pdec)
        f.qm = levels[k].qm
        f.qdec = levels[k].qdec
        f.qwire = levels[k].qwire
        f.pwire = levels[k].pwire
        f.pdec = levels[k].pdec
        if s.hi and ((s.far[s.hi - 1].price >= f.price) if s.is_bid else (s.far[s.hi - 1].price <= f.price)):
            sorted_already = False
        s.hi += 1
    if not sorted_already and s.hi > 1:
        tmp = <Far*>malloc(s.hi * sizeof(Far))
        if tmp == NULL:
            b.failed = True
            return
        sort_far(s.far, tmp, s.hi, not s.is_bid)
        free(tmp)
    out = 0
    for k in range(s.hi):                       # among equal prices the first here came last in the frame
        if k and s.far[k].price == s.far[k - 1].price:
            s.far[k] = s.far[k - 1]             # keep that one in the last place too, then drop the earlier copy
            out -= 1
        s.far[out] = s.far[k]
        out += 1
    s.hi = out
    out = 0
    for k in range(s.hi):
        if s.far[k].qm:
            s.far[out] = s.far[k]
            out += 1
    s.hi = out
