"""Score an opportunity (formulas.md "Score") and keep the best k by score, net_bps, profit, then name."""
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc

from gambit._core.num cimport now_ns


cdef inline double clip(double x) noexcept nogil:
    return 0.0 if x < 0 else (1.0 if x > 1 else x)


cdef double score(const Weights* w, double net_bps, double liquidity, double sigma) noexcept nogil:
    """0 to 1; sigma in bps per square root of a second, liquidity in quote units."""
    return (w.spread * clip(net_bps / w.spread_ref_bps)
            + w.liquidity * clip(liquidity / w.liquidity_ref)
            + w.volatility / (1 + sigma / w.volatility_ref))


cdef struct Entry:
    double score
    double net_bps
    double profit
    int64_t name            # place in the ascending order of (symbol, venue_buy, venue_sell)


cdef inline bint worse(const Entry* a, const Entry* b) noexcept nogil:
    """Whether a ranks behind b."""
    if a.score != b.score:
        return a.score < b.score
    if a.net_bps != b.net_bps:
        return a.net_bps < b.net_bps
    if a.profit != b.profit:
        return a.profit < b.profit
    return a.name > b.name


cdef void sift_down(Entry* heap, int n, int k) noexcept nogil:
    """The worst of the kept entries stays on top of the heap."""
    cdef int child
    cdef Entry e = heap[k]
    while True:
        child = 2 * k + 1
        if child >= n:
            break
        if child + 1 < n and worse(&heap[child + 1], &heap[child]):
            child += 1
        if not worse(&heap[child], &e):
            break
        heap[k] = heap[child]
        k = child
    heap[k] = e


cdef int top(const Entry* all, int n, Entry* best, int k) noexcept nogil:
    """The best k of n into `best`, best first; returns how many there are."""
    cdef int i, kept = n if n < k else k
    cdef Entry last
    if kept == 0:
        return 0
    for i in range(kept):
        best[i] = all[i]
    for i in range(kept // 2 - 1, -1, -1):
        sift_down(best, kept, i)
    for i in range(kept, n):
        if worse(&best[0], &all[i]):
            best[0] = all[i]
            sift_down(best, kept, 0)
    for i in range(kept - 1, 0, -1):            # the worst goes to the end, again and again
        last = best[i]
        best[i] = best[0]
        best[0] = last
        sift_down(best, i, 0)
    return kept


def score_of(weights, refs, double net_bps, double liquidity, double sigma):
    """The score for weights (spread, liquidity, volatility) and refs (spread_ref_bps, liquidity_ref,
    volatility_ref)."""
    cdef Weights w
    w.spread, w.liquidity, w.volatility = weights
    w.spread_ref_bps, w.liquidity_ref, w.volatility_ref = refs
    return score(&w, net_bps, liquidity, sigma)


cdef Entry* entries_of(candidates) except NULL:
    cdef int n = len(candidates), i
    cdef Entry* all = <Entry*>malloc((n + 1) * sizeof(Entry))
    if all == NULL:
        raise MemoryError
    order = sorted(range(n), key=lambda k: candidates[k][3])
    for place, k in enumerate(order):
        all[k].name = place
    for i in range(n):
        all[i].score, all[i].net_bps, all[i].profit = candidates[i][:3]
    return all


def rank(candidates, int k):
    """The best k of (score, net_bps, profit_quote, name) tuples, best first (formulas.md "Ranking"). Raises
    ValueError for a negative k."""
    cdef int n = len(candidates), kept, i
    if k < 0:
        raise ValueError(f"the best {k} of {n}")
    cdef Entry* all = entries_of(candidates)
    cdef Entry* best = <Entry*>malloc((max(k, 1)) * sizeof(Entry))
    if best == NULL:
        free(all)
        raise MemoryError
    try:
        kept = top(all, n, best, k)
        order = sorted(candidates, key=lambda c: c[3])
        return [order[best[i].name] for i in range(kept)]
    finally:
        free(all)
        free(best)


def bench_rank(candidates, int k, int times):
    """ns for one top-k, in a C loop. For benchmarks."""
    cdef int n = len(candidates), i
    cdef Entry* all = entries_of(candidates)
    cdef Entry* best = <Entry*>malloc((max(k, 1)) * sizeof(Entry))
    cdef int64_t start = now_ns()
    if best == NULL:
        free(all)
        raise MemoryError
    for i in range(times):
        all[i % n].net_bps += 1e-9
        top(all, n, best, k)
    took = (now_ns() - start) / <double>times
    free(all)
    free(best)
    return took
