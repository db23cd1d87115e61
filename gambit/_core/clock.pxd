# The machine's time.
cimport cython
from libc.stdint cimport int64_t


@cython.final
cdef class SteadyTime:
    cdef int64_t offset_ns

    cdef int64_t read(self) noexcept
