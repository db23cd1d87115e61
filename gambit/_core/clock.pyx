"""The machine's time, read without a call of Python."""
from gambit._core.num cimport now_ns


cdef class SteadyTime:
    """Call it for the time in ns: the monotonic clock's and `offset_ns`. It never steps back."""

    def __init__(self, int64_t offset_ns):
        self.offset_ns = offset_ns

    def __call__(self):
        return self.read()

    cdef int64_t read(self) noexcept:
        return now_ns() + self.offset_ns
