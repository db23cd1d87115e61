# What a book's touch was over the last seconds: a step function, and the mid on a 100 ms grid.
from libc.stdint cimport int64_t

from gambit._core.num cimport i128

cdef enum:
    BUCKETS = 512           # a window of 30 s has 300 buckets of 100 ms

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
cdef void history_push(History* h, int64_t t, double bid, double ask) noexcept nogil
cdef void history_stats(const History* buy, const History* sell, int64_t since, int64_t until,
                        double threshold_bps, Stats* out) noexcept nogil
cdef void grid_push(Grid* g, int64_t t, i128 mid) noexcept nogil
cdef void grid_clear(Grid* g) noexcept nogil
cdef double grid_sigma(const Grid* g, int64_t now, double window_s) noexcept nogil

cdef inline double spread_bps(double bid, double ask) noexcept nogil:
    """Gross spread of selling at `bid` what was bought at `ask` (formulas.md, Pair evaluation)."""
    return (bid / ask - 1.0) * 1e4

cdef inline double at_least(double threshold) noexcept nogil:
    """A threshold that a value equal to it in exact arithmetic reaches in doubles too (R24b: 1e-11 relative)."""
    return threshold - (threshold if threshold > 0 else -threshold) * 4e-12
