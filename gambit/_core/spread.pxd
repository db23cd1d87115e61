# Which books are compared with which, their touches side by side, and the episodes of their directed pairs.
from libc.math cimport INFINITY, NAN
from libc.stdint cimport int64_t, uint16_t

from gambit._core.num cimport sieve

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

cdef inline void group_set(Group* g, int slot, double bid, double ask) noexcept nogil:
    """The touch of a slot; 0 where there is none."""
    g.bid[slot] = bid if bid > 0 else -1
    g.ask[slot] = ask if ask > 0 else INFINITY
    g.mid[slot] = (bid + ask) / 2 if bid > 0 and ask > 0 else NAN

cdef inline bint group_scan(const Group* g, int slot, double min_spread_bps, double mid_ratio) noexcept nogil:
    """Whether some book of the group may form a qualifying pair with this one, or trade another coin.

    A sieve: it may let through what then does not qualify, never the reverse.
    """
    cdef double ratio = 1 + min_spread_bps * 1e-4 * (1 - 1e-9)
    cdef double sell_at = g.ask[slot] * ratio                   # a bid from here on makes buying here worth a look
    cdef double buy_at = g.bid[slot] / ratio                    # an ask up to here, selling here
    cdef double low = g.mid[slot] / mid_ratio * (1 + 1e-9)
    cdef double high = g.mid[slot] * mid_ratio * (1 - 1e-9)
    return sieve(g.bid, g.ask, g.mid, g.n, sell_at, buy_at, low, high)
