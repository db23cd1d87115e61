# Capture records: lines in, frames into the hot path.
from libc.stdint cimport int64_t, uint64_t

from gambit._core.hot cimport Hot

cdef enum:
    S_EMPTY = 0             # the next line has to be read
    S_FRAME = 1             # a received frame of a known connection, decoded in place
    S_LINE = 2              # a line that Python has to look at
    S_RECORD = 3            # Python looked: its time is known, it waits for its turn
    S_ENDED = 4

cdef struct Bound:          # a connection's names as the records spell them
    char text[96]
    int n                   # 0: free
    int conn

cdef struct Fields:         # of the record at hand
    uint64_t ts
    const char* conn
    Py_ssize_t conn_n
    const char* venue
    Py_ssize_t venue_n
    int seen

cdef class Lines:
    cdef char* buf
    cdef Py_ssize_t start, end, cap
    cdef Py_ssize_t line, line_n    # the line at hand, without its newline
    cdef bint closed, discarding
    cdef char* data
    cdef Py_ssize_t data_n, data_cap
    cdef Bound* bound
    cdef int bound_mask, bound_n
    cdef public int64_t number      # of the line at hand, from 1
    cdef public int64_t ts
    cdef public int state
    cdef int conn

    cdef int read_line(self) noexcept nogil
    cdef int parse(self, const char* p, Py_ssize_t n) noexcept nogil
    cdef const char* parse_field(self, const char* p, const char* end, Fields* f) noexcept nogil
    cdef const char* unescape(self, const char* p, const char* end) noexcept nogil
    cdef int find_bound(self, const char* text, int n) noexcept nogil

cdef class Replayer:
    cdef Hot hot
    cdef list readers
    cdef public int64_t frames, until_ns
    cdef public bint is_eager
