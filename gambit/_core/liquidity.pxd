# How much is there, and what it costs to take it.
from libc.stdint cimport int64_t

from gambit._core.book cimport Book
from gambit._core.num cimport i128

cdef struct Leg:
    const Book* book
    double fee              # fraction, not bps
    i128 contract           # quote units one contract is worth; 0: quantities are base units
    i128 lot                # base units; 0: unknown
    i128 least              # least base quantity; 0: unknown

cdef struct Limits:
    double slippage         # fraction
    i128 notional           # most quote units bought

cdef struct Size:           # what a walk found
    i128 qty                # base units, whole lots
    double buy_quote
    double sell_quote
    double buy_vwap
    double sell_vwap
    double profit
    double net_bps

cdef double book_depth(const Book* b, int side, double slippage, i128 contract) noexcept nogil
cdef bint walk_size(const Leg* buy, const Leg* sell, const Limits* limits, Size* out) noexcept nogil
