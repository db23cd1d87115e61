"""A WebSocket connection's frames from the socket's buffer into the hot path, without an object of Python for each.

The one kernel that knows a library: picows cuts the frames, and its buffer is read where it lies.
"""
from gambit._core.clock cimport SteadyTime
from gambit._core.hot cimport DONE, Hot
from gambit._core.num cimport likely, now_ns, prefetch_frame, readable_behind
from picows.picows cimport WSFrame, WSListener, WSMsgType, WSTransport


cdef class Intake:
    """What takes the messages of a connection of the market: call it with a message and its receive time, in ns.

    Raises IndexError for a connection that the market does not have.
    """

    def __init__(self, Hot hot, int conn):
        hot.conn(conn)
        self.hot = hot
        self.conn = conn
        self.done = None

    def __call__(self, bytes data, int64_t recv_ns):
        """As Hot.frame()."""
        answer = self.hot.frame(self.conn, data, recv_ns)
        if self.done is not None:
            self.stamp()
        return answer

    def stamp_into(self, int64_t[::1] done):
        """For benchmarks: write down from now on when each message was through, in ns of the monotonic clock, until
        `done` is full. One that raised something gets 0: it is through when that is named."""
        self.done = done
        self.at = 0
        self.raised = self.hot.pairs.events.head

    @property
    def stamped(self):
        """How many messages were written down."""
        return self.at

    cdef int stamp(self) except -1:
        cdef int64_t raised = self.hot.pairs.events.head
        if self.at < self.done.shape[0]:
            self.done[self.at] = now_ns() if raised == self.raised else 0
            self.at += 1
            self.raised = raised
        return 0

    cdef int take(self, char* p, Py_ssize_t n, int64_t recv_ns) except -1:
        """A message in a buffer that may be written to and goes on behind it: the byte there is a zero meanwhile, as
        the scanner wants it."""
        cdef char behind
        cdef int answer
        prefetch_frame(p, n)
        if likely(readable_behind(p, n)):
            behind = p[n]
            p[n] = 0
            answer = self.hot.run(self.conn, p, n, recv_ns)
            p[n] = behind
            if answer != DONE:
                self.hot.on_rare(answer, self.conn, p[:n])
        else:
            self.hot.frame(self.conn, p[:n], recv_ns)
        if self.done is not None:
            self.stamp()
        return 0


cdef class Inlet(WSListener):
    """The listener of a picows connection.

    `link` hears what is not a whole text (on_rare_frame), that the connection stands (on_ws_connected) and what a
    listener raised (on_failure). Whole texts go to `listener.on_message`, looked up for each, with the time by `clock`
    of the read that brought them; to an Intake without a detour, as is the way to a SteadyTime.
    """

    def __init__(self, link, listener, clock):
        self.link = link
        self.listener = listener
        self.clock = clock

    cpdef on_ws_connected(self, WSTransport transport):
        self.link.on_ws_connected(transport)

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        cdef int64_t recv_ns = self.recv_ns
        if recv_ns == 0:
            recv_ns = self.recv_ns = self.time()
        try:
            self.hear(transport, frame, recv_ns)
            if frame.last_in_buffer:
                self.recv_ns = 0
                self.listener.on_heard(recv_ns)
        except Exception as error:              # ours; told in on_close, for picows would only log it
            self.link.on_failure(error)

    cdef int64_t time(self) except? -1:
        if likely(type(self.clock) is SteadyTime):
            return (<SteadyTime>self.clock).read()
        return self.clock()

    cdef int hear(self, WSTransport transport, WSFrame frame, int64_t recv_ns) except -1:
        if likely(frame.msg_type == WSMsgType.TEXT and frame.fin):
            on_message = self.listener.on_message
            if type(on_message) is Intake:
                (<Intake>on_message).take(frame.payload_ptr, frame.payload_size, recv_ns)
            else:
                on_message(frame.get_payload_as_bytes(), recv_ns)
        else:
            self.link.on_rare_frame(transport, frame, recv_ns)
        return 0
