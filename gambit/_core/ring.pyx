"""Rings out of the hot path: one writer, a cursor for each reader, each at its own pace.

A reader of market data may be overrun: it loses the oldest records and they are counted. A lossless reader (signals,
order facts) never is: the ring doubles instead, which is counted too and is worth an alert. No reader can slow the
writer down.
"""
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from gambit._core.num cimport now_ns


cdef int ring_open(Ring* r, int64_t size, int64_t capacity) noexcept nogil:
    """A ring of `capacity` records (made a power of two) of `size` bytes; 0, or -1 without memory."""
    cdef int64_t n = 16
    memset(r, 0, sizeof(Ring))
    while n < capacity:
        n *= 2
    r.slots = <char*>malloc(n * size)
    r.size = size
    r.mask = n - 1
    return 0 if r.slots != NULL else -1


cdef void ring_close(Ring* r) noexcept nogil:
    free(r.slots)
    r.slots = NULL


cdef int ring_reader(Ring* r, bint lossless) noexcept nogil:
    """A cursor that begins at what is written next; -1 when all are taken."""
    if r.readers == READERS:
        return -1
    r.tail[r.readers] = r.head
    r.lossless[r.readers] = lossless
    r.overruns[r.readers] = 0
    r.readers += 1
    return r.readers - 1


cdef inline void skip_lost(Ring* r, int reader) noexcept nogil:
    """Count what a reader was overrun by, and go on behind it."""
    cdef int64_t lost = r.head - r.tail[reader] - r.mask - 1
    if lost > 0:
        r.overruns[reader] += lost
        r.tail[reader] += lost


cdef int grow(Ring* r) noexcept nogil:
    cdef int64_t n = (r.mask + 1) * 2, k
    cdef int reader
    cdef char* slots = <char*>malloc(n * r.size)
    if slots == NULL:
        r.failed = True
        return -1
    for k in range(r.head - r.mask - 1 if r.head > r.mask else 0, r.head):
        memcpy(slots + (k & (n - 1)) * r.size, r.slots + (k & r.mask) * r.size, r.size)
    for reader in range(r.readers):             # what they lost so far does not come back with the room
        skip_lost(r, reader)
    free(r.slots)
    r.slots = slots
    r.mask = n - 1
    r.grown += 1
    return 0


cdef void* ring_claim(Ring* r) noexcept nogil:
    """Room for one record, which is published at once: fill it before anybody reads (one thread). Never NULL."""
    cdef int k
    cdef void* slot
    for k in range(r.readers):
        if r.lossless[k] and r.head - r.tail[k] > r.mask:
            grow(r)
            break
    slot = r.slots + (r.head & r.mask) * r.size
    r.head += 1
    return slot


cdef const void* ring_read(Ring* r, int reader) noexcept nogil:
    """The reader's next record, NULL when it has read all. Good until the next claim."""
    skip_lost(r, reader)
    if r.tail[reader] == r.head:
        return NULL
    r.tail[reader] += 1
    return r.slots + ((r.tail[reader] - 1) & r.mask) * r.size


cdef int64_t ring_pending(const Ring* r, int reader) noexcept nogil:
    return r.head - r.tail[reader]


cdef class PyRing:
    """A ring of int64 records, for tests and benchmarks."""

    cdef Ring r

    def __cinit__(self, int64_t capacity):
        if ring_open(&self.r, sizeof(int64_t), capacity):
            raise MemoryError

    def __dealloc__(self):
        ring_close(&self.r)

    def reader(self, bint lossless):
        """A new cursor. Raises ValueError when all are taken."""
        k = ring_reader(&self.r, lossless)
        if k < 0:
            raise ValueError(f"a ring has at most {READERS} readers")
        return k

    def push(self, int64_t value):
        """Write one record."""
        (<int64_t*>ring_claim(&self.r))[0] = value

    def read(self, int reader):
        """The reader's next record, None when it has read all. Raises IndexError."""
        if not 0 <= reader < self.r.readers:
            raise IndexError(reader)
        cdef const int64_t* p = <const int64_t*>ring_read(&self.r, reader)
        return None if p == NULL else p[0]

    def overruns(self, int reader):
        """How many records the reader lost. Raises IndexError."""
        if not 0 <= reader < self.r.readers:
            raise IndexError(reader)
        return self.r.overruns[reader]

    @property
    def grown(self):
        """How often the ring had to double for a lossless reader."""
        return self.r.grown

    def bench(self, int times):
        """ns for one write and read, in a C loop. For benchmarks."""
        cdef int k, reader = ring_reader(&self.r, False)
        cdef int64_t start, total = 0
        if reader < 0:
            raise ValueError("all readers are taken")
        start = now_ns()
        for k in range(times):
            (<int64_t*>ring_claim(&self.r))[0] = k
            total += (<const int64_t*>ring_read(&self.r, reader))[0]
        took = (now_ns() - start) / <double>times
        self.r.readers -= 1
        return took, total
