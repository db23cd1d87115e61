"""Rolling statistics, kept per book and put together per pair only when somebody asks.

The spread of a directed pair changes exactly when the touch of one of its two books does, so the touches of every
book are kept (an entry a change, one for each hole in which the book took no part) and a pair's window is a merge of
two such histories. A frame thus costs one entry however many venues are compared; a signal costs a pass over the
entries of its window. Sources: formulas.md "Windowed statistics", "Volatility"; replay-rules R13, R15, R16, D-notes
in docs/decisions.md.
"""
from libc.math cimport log1p, sqrt
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from gambit._core.num cimport i128, now_ns, units, units_double

cdef enum:
    ROOM = 2048             # touches to begin with


cdef int history_open(History* h, int64_t keep_ns) noexcept nogil:
    memset(h, 0, sizeof(History))
    h.ring = <Touch*>malloc(ROOM * sizeof(Touch))
    if h.ring == NULL:
        return -1
    memset(h.ring, 0, ROOM * sizeof(Touch))     # its pages are there before the first frame is
    h.mask = ROOM - 1
    h.keep_ns = keep_ns
    return 0


cdef void history_close(History* h) noexcept nogil:
    free(h.ring)
    h.ring = NULL


cdef int history_grow(History* h) noexcept nogil:
    cdef int64_t size = (h.mask + 1) * 2, k
    cdef Touch* grown = <Touch*>malloc(size * sizeof(Touch))
    if grown == NULL:
        h.failed = True
        return -1
    for k in range(h.first, h.end):
        grown[k & (size - 1)] = h.ring[k & h.mask]
    free(h.ring)
    h.ring = grown
    h.mask = size - 1
    return 0


cdef int64_t history_at(const History* h, int64_t t) noexcept nogil:
    """Position of the entry that holds at t; first - 1 when there is none yet."""
    cdef int64_t lo = h.first, hi = h.end, mid
    while lo < hi:
        mid = (lo + hi) >> 1
        if h.ring[mid & h.mask].t <= t:
            lo = mid + 1
        else:
            hi = mid
    return lo - 1


cdef void history_stats(const History* buy, const History* sell, int64_t since, int64_t until,
                        double threshold_bps, Stats* out) noexcept nogil:
    """Statistics of buying at `buy`'s ask and selling at `sell`'s bid over [since, until)."""
    cdef int64_t i = history_at(buy, since), j = history_at(sell, since), t = since, nxt, span
    cdef double total = 0, spread, threshold = at_least(threshold_bps)
    cdef const Touch* a
    cdef const Touch* b
    out.max = 0
    out.defined_ns = 0
    out.above_ns = 0
    while t < until:
        nxt = until
        if i + 1 < buy.end and buy.ring[(i + 1) & buy.mask].t < nxt:
            nxt = buy.ring[(i + 1) & buy.mask].t
        if j + 1 < sell.end and sell.ring[(j + 1) & sell.mask].t < nxt:
            nxt = sell.ring[(j + 1) & sell.mask].t
        if i >= buy.first and j >= sell.first and nxt > t:
            a = &buy.ring[i & buy.mask]
            b = &sell.ring[j & sell.mask]
            if a.ask > 0 and b.bid > 0:
                span = nxt - t
                spread = spread_bps(b.bid, a.ask)
                if out.defined_ns == 0 or spread > out.max:
                    out.max = spread
                out.defined_ns += span
                total += spread * <double>span
                if spread >= threshold:
                    out.above_ns += span
        t = nxt
        while i + 1 < buy.end and buy.ring[(i + 1) & buy.mask].t <= t:
            i += 1
        while j + 1 < sell.end and sell.ring[(j + 1) & sell.mask].t <= t:
            j += 1
    out.mean = total / <double>out.defined_ns if out.defined_ns else 0


cdef void grid_clear(Grid* g) noexcept nogil:
    g.first = g.end


cdef double grid_sigma(const Grid* g, int64_t now, double window_s) noexcept nogil:
    """Volatility in bps per square root of a second over the completed buckets of the window.

    Empty buckets carry the previous value, so only the buckets with an entry add a return.
    """
    cdef int64_t cur = now // GRID_NS, k
    cdef double oldest = <double>cur - 10.0 * window_s, total = 0, r
    cdef i128 before
    for k in range(g.end - 1, g.first, -1):
        if g.bucket[k & (BUCKETS - 1)] >= cur:
            continue
        if <double>g.bucket[k & (BUCKETS - 1)] < oldest:
            break
        before = g.mid[(k - 1) & (BUCKETS - 1)]
        r = log1p(units_double(g.mid[k & (BUCKETS - 1)] - before) / units_double(before)) * 1e4
        total += r * r
    return sqrt(total / window_s)


cdef class PyHistory:
    """A touch history of its own, for tests and benchmarks. Times in ns, prices as doubles, 0 = none."""

    cdef History h
    cdef Grid g

    def __cinit__(self, int64_t keep_ns):
        memset(&self.g, 0, sizeof(Grid))
        if history_open(&self.h, keep_ns):
            raise MemoryError

    def __dealloc__(self):
        history_close(&self.h)

    def push(self, int64_t t, double bid, double ask):
        """The touch from t on."""
        history_push(&self.h, t, bid, ask)
        if bid > 0 and ask > 0:
            grid_push(&self.g, t, units(<int64_t>((bid + ask) * 1e6 + 0.5), 6))

    def clear_grid(self):
        """Forget the mids."""
        grid_clear(&self.g)

    def sigma(self, int64_t now, double window_s):
        """Volatility at `now`."""
        return grid_sigma(&self.g, now, window_s)

    def stats(self, PyHistory sell, int64_t since, int64_t until, double threshold_bps):
        """(mean, max, defined ns, ns at or over the threshold) of buying here and selling at `sell`."""
        cdef Stats s
        history_stats(&self.h, &sell.h, since, until, threshold_bps, &s)
        return s.mean, s.max, s.defined_ns, s.above_ns

    @property
    def room(self):
        """Entries the ring has room for."""
        return self.h.mask + 1

    def bench_push(self, int times, int64_t step_ns):
        """ns for one push of a changed touch (history and grid), in a C loop. For benchmarks."""
        cdef int64_t t = 0, start
        cdef int k
        if self.h.end > self.h.first:
            t = self.h.ring[(self.h.end - 1) & self.h.mask].t
        start = now_ns()
        for k in range(times):
            t += step_ns
            history_push(&self.h, t, 100 + (k & 7), 101 + (k & 7))
            grid_push(&self.g, t, units(1005 + (k & 7), 1))
        return (now_ns() - start) / <double>times
