# The shape of a best-bid-ask frame: what stays from frame to frame, and what is read in between.
from libc.stdint cimport int64_t, uint8_t

from gambit._core.json cimport Text
from gambit._core.scan cimport Level, Mark, Part, Scan

cdef enum:
    STEPS = 40
    SHAPE_BYTES = 1024

cdef struct Step:           # bytes that stay, then one value
    int at                  # where the bytes are in `text`
    int n
    uint8_t what            # of the value: R_*
    uint8_t slot            # side, or slot of `texts`
    bint is_bare            # a number outside quotes
    int last                # how long the value was last time

cdef struct Shape:
    Step steps[40]
    int n                   # 0: nothing learned
    int tail, tail_n        # the bytes behind the last value
    int kind                # what the frame is (venue.pxd), constant with the bytes that stay
    int64_t channel
    bint has_id
    bint has_time
    char text[1040]         # 16 readable bytes behind the last one

cdef struct Shapes:         # of one venue
    Shape item[2]
    int last                # the one that a frame had last
    int missed              # frames that had none since one was learned
    int patience            # how many of those until the next is learned

cdef struct Best:           # what a frame of the shape says
    Level level[2]          # bid, ask; quantity 0: there is none
    int64_t id
    Text symbol
    Text time

cdef const Shape* shapes_read(Shapes* shapes, const char* p, const char* end, Best* out) noexcept nogil
cdef void shapes_learn(Shapes* shapes, const Scan* s, const Mark* marks, const char* buf, int n, const Part* part,
                       bint has_topic, int kind, int64_t channel) noexcept nogil
