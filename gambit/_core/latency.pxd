# Histograms of durations with fixed buckets.
from libc.stdint cimport int64_t

cdef enum:
    BINS = 960              # 16 to the octave up to 2^60 ns

cdef struct Histogram:
    int64_t bins[960]
    int64_t count
    double total            # no sum of durations is too large for it
    int64_t max

cdef void histogram_add(Histogram* h, int64_t ns) noexcept nogil
cdef int64_t histogram_at(const Histogram* h, double share) noexcept nogil
cdef summary(const Histogram* h)
