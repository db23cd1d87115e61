# What a book's touch was over the last seconds: a step function, and the mid on a 100 ms grid.
from libc.stdint cimport int64_t

from gambit._core.num cimport i128, prefetch

cdef enum:
    BUCKETS = 512           # a window of 30 s has 300 buckets of 100 ms
    GRID_NS = 100000000     # 100 ms
    AHEAD = 6               # entries that are asked for before they are needed: two lines of a cache

cdef struct Touch:          # holds from t until the next one
    int64_t t
    double bid              # 0: no bid, or the book took no part
    double ask

cdef struct History:
    Touch* ring             # a power of two
    int64_t first           # positions only grow; place = position & mask
    int64_t end
    int64_t mask
    int64_t keep_ns         # how far back anybody asks
    bint failed

cdef struct Grid:
    int64_t bucket[512]
    i128 mid[512]           # bid + ask in units: exact, for the small differences that matter
    int64_t first
    int64_t end

cdef struct Stats:          # of a directed pair over [from, to)
    double mean             # time-weighted, over the defined time
    double max
    int64_t defined_ns
    int64_t above_ns        # spread at or over the threshold

cdef int history_open(History* h, int64_t keep_ns) noexcept nogil
cdef void history_close(History* h) noexcept nogil
cdef int history_grow(History* h) noexcept nogil
cdef void history_stats(const History* buy, const History* sell, int64_t since, int64_t until,
                        double threshold_bps, Stats* out) noexcept nogil
cdef void grid_clear(Grid* g) noexcept nogil
cdef double grid_sigma(const Grid* g, int64_t now, double window_s) noexcept nogil

cdef inline void history_push(History* h, int64_t t, double bid, double ask) noexcept nogil:
    """The touch from t on. At the same instant the later one counts, the earlier had no duration."""
    cdef Touch* last
    cdef Touch* entry
    if h.end > h.first:
        last = &h.ring[(h.end - 1) & h.mask]
        if last.bid == bid and last.ask == ask:
            return
        if last.t >= t:
            last.bid = bid
            last.ask = ask
            return
    # two a push, so that no push pays for many; the entry after the first must still begin inside the window
    if h.end - h.first > 1 and h.ring[(h.first + 1) & h.mask].t <= t - h.keep_ns:
        h.first += 1
        if h.end - h.first > 1 and h.ring[(h.first + 1) & h.mask].t <= t - h.keep_ns:
            h.first += 1
    if h.end - h.first > h.mask and history_grow(h):
        return
    entry = &h.ring[h.end & h.mask]
    entry.t = t
    entry.bid = bid
    entry.ask = ask
    h.end += 1
    prefetch(&h.ring[(h.end + AHEAD) & h.mask])
    prefetch(&h.ring[(h.first + AHEAD) & h.mask])

cdef inline void grid_push(Grid* g, int64_t t, i128 mid) noexcept nogil:
    """Bid + ask at t; a bucket's value is the last one in it."""
    cdef int64_t bucket = t // GRID_NS
    if g.end > g.first and g.bucket[(g.end - 1) & (BUCKETS - 1)] >= bucket:
        g.mid[(g.end - 1) & (BUCKETS - 1)] = mid
        return
    g.bucket[g.end & (BUCKETS - 1)] = bucket
    g.mid[g.end & (BUCKETS - 1)] = mid
    g.end += 1
    if g.end - g.first > BUCKETS:
        g.first += 1

cdef inline double spread_bps(double bid, double ask) noexcept nogil:
    """Gross spread of selling at `bid` what was bought at `ask` (formulas.md, Pair evaluation)."""
    return (bid / ask - 1.0) * 1e4

cdef inline double at_least(double threshold) noexcept nogil:
    """A threshold that a value equal to it in exact arithmetic reaches in doubles too (R24b: 1e-11 relative)."""
    return threshold - (threshold if threshold > 0 else -threshold) * 4e-12
