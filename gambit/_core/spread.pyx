"""Edges between venues: one pass over the touches of all books that one book is compared with.

Almost every frame changes nothing that matters: no pair of the book reaches the least spread, none has an open
episode, no mid is off. group_scan says so from three flat arrays, some venues an instruction, so that the cost of a
frame hardly depends on how many venues there are; only what it lets through is evaluated pair by pair (hot.pyx).
"""
from libc.math cimport INFINITY, NAN
from libc.stdint cimport int64_t, uint16_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from gambit._core.num cimport now_ns


cdef int group_room(Group* g, int cap) noexcept nogil:
    """Grow to `cap` slots; what is there keeps its slot."""
    cdef Group new
    cdef int k
    memset(&new, 0, sizeof(Group))
    new.cap = cap
    new.n = g.n
    new.market = <int*>malloc(cap * sizeof(int))
    new.bid = <double*>malloc(cap * sizeof(double))
    new.ask = <double*>malloc(cap * sizeof(double))
    new.mid = <double*>malloc(cap * sizeof(double))
    new.relation = <uint16_t*>calloc(cap * cap, sizeof(uint16_t))
    new.episodes = <Episode*>calloc(cap * cap, sizeof(Episode))
    new.open_n = <int*>calloc(cap, sizeof(int))
    if (new.market == NULL or new.bid == NULL or new.ask == NULL or new.mid == NULL or new.relation == NULL
            or new.episodes == NULL or new.open_n == NULL):
        group_close(&new)
        return -1
    for k in range(cap):
        new.bid[k] = -1
        new.ask[k] = INFINITY
        new.mid[k] = NAN
    for k in range(g.n):
        new.market[k] = g.market[k]
        new.bid[k] = g.bid[k]
        new.ask[k] = g.ask[k]
        new.mid[k] = g.mid[k]
        new.open_n[k] = g.open_n[k]
        memcpy(&new.relation[k * cap], &g.relation[k * g.cap], g.n * sizeof(uint16_t))
        memcpy(&new.episodes[k * cap], &g.episodes[k * g.cap], g.n * sizeof(Episode))
    group_close(g)
    g[0] = new
    return 0


cdef int group_open(Group* g) noexcept nogil:
    memset(g, 0, sizeof(Group))
    return group_room(g, 8)


cdef void group_close(Group* g) noexcept nogil:
    free(g.market)
    free(g.bid)
    free(g.ask)
    free(g.mid)
    free(g.relation)
    free(g.episodes)
    free(g.open_n)


cdef int group_add(Group* g, int market) noexcept nogil:
    """A slot for a market, compared with nobody yet; -1 without memory."""
    if g.n == g.cap and group_room(g, g.cap * 2):
        return -1
    g.market[g.n] = market
    g.n += 1
    group_set(g, g.n - 1, 0, 0)
    return g.n - 1


cdef class PyGroup:
    """A group of its own, for tests and benchmarks."""

    cdef Group g

    def __cinit__(self):
        if group_open(&self.g):
            raise MemoryError

    def __dealloc__(self):
        group_close(&self.g)

    def add(self):
        """A new slot."""
        return group_add(&self.g, self.g.n)

    def set(self, int slot, double bid, double ask):
        """The touch of a slot; 0 where there is none. Raises IndexError."""
        if not 0 <= slot < self.g.n:
            raise IndexError(slot)
        group_set(&self.g, slot, bid, ask)

    def scan(self, int slot, double min_spread_bps, double mid_ratio):
        """Whether the slot's book needs a closer look. Raises IndexError."""
        if not 0 <= slot < self.g.n:
            raise IndexError(slot)
        return group_scan(&self.g, slot, min_spread_bps, mid_ratio)

    def bench_scan(self, int times):
        """ns for one pass over the group, in a C loop. For benchmarks."""
        cdef int k
        cdef int64_t start = now_ns(), hits = 0
        for k in range(times):
            hits += group_scan(&self.g, k % self.g.n, 15, 1.2)
        return (now_ns() - start) / <double>times, hits
