# The one call per frame.
cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from gambit._core.latency cimport Histogram
from gambit._core.market cimport Market
from gambit._core.pairs cimport Pairs
from gambit._core.scan cimport Part, Scan, Scanner
from gambit._core.venue cimport Venue

# What frame() answers. The numbers are those of gambit.engine.market.Answer.
cdef enum:
    DONE = 0
    ASK_DECODER = 1         # the scanner is not sure: decode slowly
    ASK_CONTROL = 2         # an ack, an error, an instrument list: the venue's module reads it
    ASK_SYMBOL = 3          # a spelling nobody has told about yet: resolve it, then call again

cdef struct Conn:
    int venue
    int64_t time_unit       # ns, of times that are digits
    bint skip               # an address that gives this venue nothing
    bint has_seq
    int64_t seq


@cython.final
cdef class Hot:
    cdef Pairs pairs
    cdef Conn* conns
    cdef int n_conns, cap_conns
    cdef Venue** venues
    cdef int n_venues, cap_venues
    cdef list scanners
    cdef int* touched
    cdef int n_touched, cap_touched
    cdef const char* missing
    cdef int missing_n
    cdef bint timing
    cdef bint learns        # best-bid-ask frames may be read by their shape
    cdef char* buf
    cdef Py_ssize_t buf_size
    cdef public object on_rare
    cdef Histogram scan_ns, book_ns, engine_ns, frame_ns

    cdef int run(self, int conn, const char* buf, Py_ssize_t n, int64_t recv_ns) noexcept nogil
    cdef int run_shaped(self, Venue* v, int conn, const char* buf, Py_ssize_t n, int64_t t0) noexcept nogil
    cdef void learn(self, Venue* v, const char* buf, Py_ssize_t n) noexcept nogil
    cdef int run_scanned(self, Conn* c, int conn) noexcept nogil
    cdef int run_parts(self, Venue* v, int conn, int64_t channel, int depth) noexcept nogil
    cdef void jump(self, Venue* v, int conn) noexcept nogil
    cdef int complete(self, Venue* v, Part* head) noexcept nogil
    cdef void touch(self, Market* m) noexcept nogil
    cdef void drop_stale(self, Venue* v, const Part* head) noexcept nogil
    cdef int64_t exchange_time(self, int conn, const Part* head, const Part* part) noexcept nogil
    cdef load_levels(self, Scan* s, levels)
    cdef Conn* conn(self, int index) except NULL
    cdef int keep(self, bytes data) except -1
