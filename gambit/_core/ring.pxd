# Fixed-record ring with one writer and a cursor for each reader.
from libc.stdint cimport int64_t

cdef enum:
    READERS = 8

cdef struct Ring:
    char* slots
    int64_t size            # bytes a record
    int64_t mask
    int64_t head            # next position to write; positions only grow
    int readers
    int64_t tail[8]
    bint lossless[8]
    int64_t overruns[8]
    int64_t grown
    bint failed

cdef int ring_open(Ring* r, int64_t size, int64_t capacity) noexcept nogil
cdef void ring_close(Ring* r) noexcept nogil
cdef int ring_reader(Ring* r, bint lossless) noexcept nogil
cdef void* ring_claim(Ring* r) noexcept nogil
cdef const void* ring_read(Ring* r, int reader) noexcept nogil
cdef int64_t ring_pending(const Ring* r, int reader) noexcept nogil
