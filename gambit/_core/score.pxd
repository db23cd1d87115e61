# Scores and the best k of them.
from libc.stdint cimport int64_t

cdef struct Weights:
    double spread
    double liquidity
    double volatility
    double spread_ref_bps
    double liquidity_ref
    double volatility_ref

cdef double score(const Weights* w, double net_bps, double liquidity, double sigma) noexcept nogil
