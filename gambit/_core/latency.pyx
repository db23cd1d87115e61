"""Latency histograms: a memory increment a sample, percentiles good to one part in sixteen."""
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset

from gambit._core.num cimport clz, now_ns


cdef inline int bin_of(int64_t ns) noexcept nogil:
    cdef int octave
    if ns < 16:
        return <int>ns
    octave = 63 - clz(<uint64_t>ns)
    return (octave - 3) * 16 + <int>((ns >> (octave - 4)) & 15)


cdef int64_t bin_top(int k) noexcept nogil:
    """The largest duration of a bin, in ns."""
    cdef int octave = k // 16 + 3
    if k < 16:
        return k
    return ((<int64_t>16 + k % 16) << (octave - 4)) + ((<int64_t>1 << (octave - 4)) - 1)


cdef void histogram_add(Histogram* h, int64_t ns) noexcept nogil:
    """Count one duration; negative ones count as 0."""
    if ns < 0:
        ns = 0
    h.bins[bin_of(ns)] += 1
    h.count += 1
    h.total += <double>ns
    if ns > h.max:
        h.max = ns


cdef int64_t histogram_at(const Histogram* h, double share) noexcept nogil:
    """The duration that `share` of the samples do not exceed (0 without samples), rounded up to its bin's end."""
    cdef int64_t want = <int64_t>(share * <double>h.count + 0.9999999), seen = 0
    cdef int k
    if h.count == 0:
        return 0
    for k in range(BINS):
        seen += h.bins[k]
        if seen >= want and seen:
            return bin_top(k) if bin_top(k) < h.max else h.max
    return h.max


cdef summary(const Histogram* h):
    return {
        "count": h.count, "mean": h.total / <double>h.count if h.count else 0.0, "p50": histogram_at(h, 0.5),
        "p99": histogram_at(h, 0.99), "p999": histogram_at(h, 0.999), "max": h.max,
    }


cdef class PyHistogram:
    """A histogram of durations in ns."""

    cdef Histogram h

    def __cinit__(self):
        memset(&self.h, 0, sizeof(Histogram))

    def add(self, int64_t ns):
        """Count one duration."""
        histogram_add(&self.h, ns)

    def at(self, double share):
        """Percentile, share from 0 to 1."""
        return histogram_at(&self.h, share)

    def summary(self):
        """count, mean, p50, p99, p999, max in ns."""
        return summary(&self.h)

    def bench(self, int times):
        """ns for one sample, in a C loop. For benchmarks."""
        cdef int k
        cdef int64_t start = now_ns()
        for k in range(times):
            histogram_add(&self.h, (k * 2654435761) & 0xfffff)
        return (now_ns() - start) / <double>times
