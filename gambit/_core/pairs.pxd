# Markets compared: the clock, the groups, episodes and signals.
cimport cython
from libc.stdint cimport int64_t, uint8_t

from gambit._core.events cimport Event, Tick
from gambit._core.liquidity cimport Limits
from gambit._core.market cimport Market
from gambit._core.num cimport i128, u128
from gambit._core.ring cimport Ring
from gambit._core.score cimport Weights
from gambit._core.spread cimport Episode, Group

cdef struct Params:
    int64_t max_age_ns
    int64_t ttl_ns
    int64_t window_ns
    double window_s
    double min_spread_bps
    double min_liquidity
    double margin_bps
    double min_persistence
    double mid_ratio
    u128 ratio_num          # mid_ratio exactly
    u128 ratio_den
    Limits limits
    Weights weights

cdef i128 wide(value) except? -1
cdef int room(void** array, int* cap, int n, size_t size) noexcept nogil


@cython.final
cdef class Pairs:
    cdef Params p
    cdef Market** markets
    cdef int n_markets, cap_markets
    cdef Group* groups
    cdef int n_groups, cap_groups
    cdef Ring events, ticks
    cdef int events_reader, ticks_reader
    cdef bint tells_ticks
    cdef int64_t clock, next_deadline, batch
    cdef int* open_pairs            # group, buy slot, sell slot: three ints each
    cdef int n_open, cap_open
    cdef int64_t signals, closed
    cdef int64_t n_changes          # books won and lost so far

    cdef Market* market(self, int index) except NULL
    cdef void advance(self, int64_t ts) noexcept nogil
    cdef void expire(self) noexcept nogil
    cdef void lost(self, Market* m) noexcept nogil
    cdef void renewed(self, Market* m) noexcept nogil
    cdef void finish(self, Market* m) noexcept nogil
    cdef void confirm(self, Market* m) noexcept nogil
    cdef void publish_tick(self, Market* m) noexcept nogil
    cdef void evaluate(self, Market* m) noexcept nogil
    cdef bint other_coin(self, const Market* a, const Market* b) noexcept nogil
    cdef void evaluate_pair(self, Group* g, int gi, int buy, int sell) noexcept nogil
    cdef bint qualifies(self, Market* buy, Market* sell, Event* e) noexcept nogil
    cdef void raise_signal(self, Group* g, int gi, int buy, int sell, Episode* ep, Event* e) noexcept nogil
    cdef void close_episode(self, Group* g, int buy, int sell, int reason, int64_t recv_ns) noexcept nogil
    cdef void close_all(self, Market* m, int reason) noexcept nogil
