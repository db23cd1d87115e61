# Frames from a socket's buffer into the hot path.
cimport cython
from libc.stdint cimport int64_t
from picows.picows cimport WSFrame, WSListener, WSTransport

from gambit._core.hot cimport Hot


@cython.final
cdef class Intake:
    cdef Hot hot
    cdef int conn
    cdef int64_t[::1] done
    cdef Py_ssize_t at
    cdef int64_t raised

    cdef int stamp(self) except -1
    cdef int take(self, char* p, Py_ssize_t n, int64_t recv_ns) except -1


@cython.final
cdef class Inlet(WSListener):
    cdef object link, listener, clock
    cdef int64_t recv_ns

    cdef int64_t time(self) except? -1
    cdef int hear(self, WSTransport transport, WSFrame frame, int64_t recv_ns) except -1
