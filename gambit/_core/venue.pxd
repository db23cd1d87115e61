# A venue's channels, types and spellings, compiled from its wire description.
from libc.stdint cimport int64_t

from gambit._core.json cimport Text
from gambit._core.num cimport digits, rfc3339
from gambit._core.scan cimport Part, Scan
from gambit._core.shape cimport Shapes

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
    Shapes shapes           # of its best-bid-ask frames
    int64_t shaped          # frames read by one of them
    int64_t frames
    int64_t by_kind[64]
    int64_t unknown
    int64_t skipped
    int64_t slow
    int64_t quarantined

cdef inline int64_t time_of(const Text* t, int64_t unit) noexcept nogil:
    """ns since 1970 of a time as a venue writes it: a count of `unit` ns in digits, or RFC 3339 where the unit is 0;
    -1 when unreadable (R32)."""
    cdef int64_t n
    if unit == 0:
        return rfc3339(t.p, t.n)
    n = digits(t.p, t.n)
    return n * unit if 0 <= n <= <int64_t>0x7fffffffffffffff // unit else -1

cdef bytes set_texts(Part* part, texts)
cdef venue_open(Venue* v, wire, Scan* scan, bint is_bbo)
cdef venue_spell(Venue* v, const char* text, int n, int market)
cdef int find_spelling(Venue* v, const char* p, int n) noexcept nogil
cdef int find_type(const Venue* v, const Part* part) noexcept nogil
cdef int kind_of(Venue* v, Part* head, int64_t* channel, int* depth) noexcept nogil
