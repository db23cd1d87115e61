# The frame scanner: bytes of one JSON frame -> parts (one book's worth each) and levels.
from libc.stdint cimport int8_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from gambit._core.json cimport Text

cdef enum:
    INTS = 6        # integer slots of a part
    TEXTS = 11      # text slots of a part
    KEYS = 24       # keys a node may name
    MAX_LEVELS = 2097152        # of a frame; powers of two, as room for them doubles
    MAX_PARTS = 4096
    HAS_PARTS = 4
    MARKS = 48      # values of a frame whose places the scanner may note

cdef enum:          # what a noted value was read as
    M_SKIP = 0
    M_INT = 1       # of slot `slot`
    M_TEXT = 2      # of slot `slot`
    M_PRICE = 3     # of a row of side `slot`
    M_QTY = 4

cdef struct Mark:   # where a value stands: [at, end) of the frame, quotes included
    int at
    int end
    int what
    int part
    int slot

cdef struct Level:
    int64_t pm      # price mantissa, trailing zeros stripped
    int64_t qm      # quantity mantissa; 0 deletes
    uint8_t pdec
    uint8_t pwire   # decimals as written
    uint8_t qdec
    uint8_t qwire
    uint8_t side    # 0 bid, 1 ask

cdef struct Part:
    int64_t ints[6]
    Text texts[11]
    uint32_t has_ints
    uint32_t has_texts
    int lo          # levels [lo, hi)
    int hi
    uint32_t sides  # bit 0: a bids array was there, bit 1: asks; HAS_PARTS: an array of parts
    int market      # for the caller's use

cdef struct Key:
    uint64_t word[3]
    uint64_t mask[3]
    int n           # with the closing quote
    int action
    int arg         # slot, side or node
    int node

cdef struct Node:
    Key keys[24]
    int n
    int8_t after[25]    # the key that last came behind each one; [0]: the first

cdef struct Scan:
    Node* nodes
    int row_extra       # rows may have more than two elements
    Part* parts
    int n_parts
    int cap_parts
    Level* levels
    int n_levels
    int cap_levels
    bint is_wrapped     # an object with A_WRAPPED was there: what the frame had without it, and has because of it
    uint32_t wrapped_ints, wrapped_texts, wrapped_sides
    Mark* marks         # room for MARKS, or NULL: nobody wants to know
    int n_marks
    const char* start   # of the frame, while marks are noted

cdef int scan_frame(Scan* s, const char* buf, Py_ssize_t n) noexcept nogil
cdef int scan_room_levels(Scan* s, int more) noexcept nogil
cdef int scan_room_parts(Scan* s) noexcept nogil

cdef class Scanner:
    cdef Scan c
    cdef bytearray pad
    cdef object wire
    cdef compile_node(self, Node* node, keys)
    cdef part(self, int i)
