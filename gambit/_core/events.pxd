# What leaves the hot path: signals, episode ends, ticks.
from libc.stdint cimport int64_t, uint8_t

from gambit._core.liquidity cimport Size
from gambit._core.side cimport Book

cdef enum:
    RAISED = 0
    CLOSED = 1

cdef enum:                  # why an episode ended; the numbers index REASONS
    NOT_QUALIFIED = 0
    STALE = 1
    UNSYNCED = 2
    DIFFERENT_COIN = 3

cdef struct Event:
    int kind
    int reason
    int64_t batch           # events of one batch happen at once; their order is by name
    int64_t recv_ns
    int buy
    int sell
    int name                # what the pair is called: index of relation names
    int64_t start_ns
    int64_t evaluations
    double spread_bps
    double liquidity
    double sigma
    double persistence
    double mean_bps
    double max_bps
    double score
    double max_net_bps
    double max_profit
    Size size
    int64_t seq_buy
    int64_t seq_sell
    bint has_seq_buy
    bint has_seq_sell
    int64_t age_buy
    int64_t age_sell

cdef struct Tick:
    int64_t recv_ns
    int64_t exchange_ts     # -1 unknown
    int64_t seq
    bint has_seq
    int market
    int64_t price[2]        # mantissas; -1 no such side
    uint8_t price_dec[2]
    int64_t qty[2]
    uint8_t qty_dec[2]

cdef void tick_touch(Tick* t, const Book* b) noexcept nogil
cdef bytes tick_line(const Tick* t, bytes names)
cdef list side_texts(const Book* b, int side, int most)
cdef dict closed_event(const Event* e)
cdef dict raised_event(const Event* e)
