# Which books are compared with which, their touches side by side, and the episodes of their directed pairs.
from libc.stdint cimport int64_t, uint16_t

cdef struct Episode:        # of one directed pair
    bint open
    bint banned             # "same ticker, different coin": for good
    int place               # in the list of open ones
    int64_t start
    int64_t last_raise
    int64_t evaluations
    double max_net_bps
    double max_profit

cdef struct Group:
    int n
    int cap
    int* market             # slot -> market
    double* bid             # touches of the synced books: -1 no bid
    double* ask             # infinity: no ask
    double* mid             # NaN: not two-sided
    uint16_t* relation      # [slot * cap + slot]: 0 never compared, else one more than the name's index
    Episode* episodes       # [buy slot * cap + sell slot]
    int* open_n             # open episodes a slot takes part in

cdef int group_open(Group* g) noexcept nogil
cdef void group_close(Group* g) noexcept nogil
cdef int group_add(Group* g, int market) noexcept nogil
cdef void group_set(Group* g, int slot, double bid, double ask) noexcept nogil
cdef bint group_scan(const Group* g, int slot, double min_spread_bps, double mid_ratio) noexcept nogil
