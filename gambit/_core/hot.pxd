# The one call per frame.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from gambit._core.latency cimport Histogram
from gambit._core.market cimport Market
from gambit._core.pairs cimport Pairs
from gambit._core.scan cimport Part, Scan, Scanner, Text

# What frame() answers. The numbers are those of gambit.engine.market.Answer.
cdef enum:
    DONE = 0
    ASK_DECODER = 1         # the scanner is not sure: decode slowly
    ASK_CONTROL = 2         # an ack, an error, an instrument list: the venue's module reads it
    ASK_SYMBOL = 3          # a spelling nobody has told about yet: resolve it, then call again

cdef enum:
    KIND_BOOK = 1           # flags: what a channel can feed
    KIND_BBO = 2
    KIND_CONTROL = 4
    KIND_OTHER = 32

cdef struct KindRule:
    char text[24]
    int n
    bint is_prefix
    int kind
    int64_t channel
    int depth

cdef struct TypeRule:
    char text[24]
    int n
    int code

cdef struct Spelling:
    char text[32]
    int n                   # 0: free
    int market              # -2: known and skipped

cdef struct Venue:
    Scan* scan
    int rule
    bint is_bbo
    bint implicit_part      # the frame itself is the part
    bint digits_channel     # the channel is the number behind a prefix
    int n_kinds
    KindRule kinds[24]
    int bare_kind           # of a frame without a channel that has a best bid and ask
    int n_types
    TypeRule types[8]
    Spelling* spellings
    int mask
    int used
    int last_found          # place of the spelling found last
    int64_t frames
    int64_t by_kind[64]
    int64_t unknown
    int64_t skipped
    int64_t slow
    int64_t quarantined
    Histogram lag

cdef struct Conn:
    int venue
    int64_t time_unit       # ns, of times that are digits
    bint skip               # an address that gives this venue nothing
    bint has_seq
    int64_t seq

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
    cdef char* buf
    cdef Py_ssize_t buf_size
    cdef public object on_rare
    cdef int kind_of(self, Venue* v, Part* head, int64_t* channel, int* depth) noexcept nogil
    cdef Histogram scan_ns, book_ns, engine_ns, frame_ns

    cdef int run(self, int conn, const char* buf, Py_ssize_t n, int64_t recv_ns) noexcept nogil
    cdef int run_scanned(self, Conn* c, int conn) noexcept nogil
    cdef int run_parts(self, Venue* v, int conn, int64_t channel, int depth) noexcept nogil
    cdef void jump(self, Venue* v, int conn) noexcept nogil
    cdef place(self, Venue* v, const char* text, int n, int market)
    cdef int complete(self, Venue* v, Part* head) noexcept nogil
    cdef void touch(self, Market* m) noexcept nogil
    cdef void drop_stale(self, Venue* v, const Part* head) noexcept nogil
    cdef int64_t exchange_time(self, int conn, const Part* head, const Part* part) noexcept nogil
    cdef load_levels(self, Scan* s, levels)
    cdef Conn* conn(self, int index) except NULL
    cdef int grow_buffer(self, Py_ssize_t n)
