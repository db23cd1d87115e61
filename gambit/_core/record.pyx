"""Capture records in a hurry (contract.md "Captures").

Nearly every line of a capture is a received frame of a connection that was seen before. Those are split, unescaped and
handed to the hot path here, merged by time over all files (replay-rules R2), without a Python object. Every other line,
and every line that is written unusually, goes to Python, which is strict about it.
"""
from libc.stdint cimport INT64_MAX, int64_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memchr, memcmp, memcpy, memmove, memset

from gambit._core.hot cimport DONE, Hot
from gambit._core.num cimport PAD, hash_text, string_end
from gambit._core.ring cimport ring_pending

cdef enum:
    LINE_MAX = 64 * 1024 * 1024
    BOUND_TEXT = 96

# What run() answers.
NEED_DATA, LOOK, TAKE, DRAIN, END, TIME = range(6)

cdef enum:
    DRAIN_EVENTS = 512
    DRAIN_TICKS = 8192
    FRAMES_A_RUN = 65536


cdef extern from *:
    """
    #if defined(__SSE2__)
    /* Copy 16 bytes a step until a backslash, a quote, a control or a non-ASCII byte; returns how many were copied. */
    static inline long gb_copy_plain(char *out, const char *p) {
        const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\\\'), space = _mm_set1_epi8(' ');
        long n = 0;
        for (;; n += 16) {
            __m128i x = _mm_loadu_si128((const __m128i *)(p + n));
            _mm_storeu_si128((__m128i *)(out + n), x);
            __m128i bad = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(x, slash), _mm_cmplt_epi8(x, space)),
                                       _mm_cmpeq_epi8(x, quote));
            unsigned m = (unsigned)_mm_movemask_epi8(bad);
            if (m) return n + __builtin_ctz(m);
        }
    }
    #else
    static inline long gb_copy_plain(char *out, const char *p) {
        long n = 0;
        for (;; n++) {
            signed char c = (signed char)p[n];
            if (c < ' ' || c == '"' || c == '\\\\') return n;
            out[n] = (char)c;
        }
    }
    #endif
    """
    long copy_plain "gb_copy_plain"(char* out, const char* p) noexcept nogil


cdef enum:
    SEEN_TYPE = 1
    SEEN_TS = 2
    SEEN_CONN = 4
    SEEN_DATA = 8
    SEEN_VENUE = 16


cdef const char* parse_time(const char* p, uint64_t* out) noexcept nogil:
    """ns since 1970, below 2^62; the byte behind, NULL when it is anything else."""
    cdef int n = 0
    out[0] = 0
    while p[n] >= b'0' and p[n] <= b'9' and n < 20:
        out[0] = out[0] * 10 + <uint64_t>(p[n] - 48)
        n += 1
    if n == 0 or n > 19 or out[0] >> 62 or (p[0] == b'0' and n > 1):
        return NULL
    return p + n


cdef bint name_field(const char* key, Py_ssize_t key_n, const char* value, Py_ssize_t n, Fields* f) noexcept nogil:
    """Take `t`, `conn` or `venue`; False for another key, a second one, or another record type."""
    cdef int what = 0
    if key_n == 1 and key[0] == b't' and n == 4 and memcmp(value, b"recv", 4) == 0:
        what = SEEN_TYPE
    elif key_n == 4 and memcmp(key, b"conn", 4) == 0:
        what = SEEN_CONN
        f.conn = value
        f.conn_n = n
    elif key_n == 5 and n and memcmp(key, b"venue", 5) == 0:    # an empty one is not the same as none
        what = SEEN_VENUE
        f.venue = value
        f.venue_n = n
    if what == 0 or f.seen & what:
        return False
    f.seen |= what
    return True


cdef class Lines:
    """The lines of one capture file. feed() gives bytes, close() says that there are no more."""

    def __cinit__(self):
        self.cap = 1 << 16
        self.buf = <char*>malloc(self.cap + PAD)
        self.bound_mask = 15
        self.bound = <Bound*>calloc(16, sizeof(Bound))
        if self.buf == NULL or self.bound == NULL:
            raise MemoryError
        self.state = S_EMPTY

    def __dealloc__(self):
        free(self.buf)
        free(self.data)
        free(self.bound)

    def feed(self, bytes chunk):
        """More of the file's text."""
        cdef Py_ssize_t n = len(chunk), want = self.cap
        cdef char* grown
        if self.start:
            memmove(self.buf, self.buf + self.start, self.end - self.start)
            self.end -= self.start
            self.start = 0
        while want < self.end + n:
            want *= 2
        if want != self.cap:
            grown = <char*>realloc(self.buf, want + PAD)
            if grown == NULL:
                raise MemoryError
            self.buf = grown
            self.cap = want
        memcpy(self.buf + self.end, <const char*>chunk, n)
        self.end += n
        memset(self.buf + self.end, 0, PAD)

    def close(self):
        """There is no more. Returns whether the text ended inside a line; that line is then given as it is."""
        self.closed = True
        return self.end > self.start or self.discarding

    def bind(self, bytes names, int conn):
        """Frames whose record says `"conn":"..."` (and `"venue":"..."`) by these bytes belong to a connection;
        names is venue + NUL + conn, the venue empty where records carry none."""
        cdef Bound* old = self.bound
        cdef int k, size = self.bound_mask + 1, at
        cdef char text[BOUND_TEXT + 8]
        if len(names) >= BOUND_TEXT:
            return
        memset(text, 0, sizeof(text))
        memcpy(text, <const char*>names, len(names))
        if self.bound_n * 2 >= size:
            self.bound = <Bound*>calloc(size * 2, sizeof(Bound))
            if self.bound == NULL:
                self.bound = old
                raise MemoryError
            self.bound_mask = size * 2 - 1
            for k in range(size):
                if old[k].n:
                    self.bound[self.find_bound(old[k].text, old[k].n)] = old[k]
            free(old)
        at = self.find_bound(text, <int>len(names))
        if self.bound[at].n == 0:
            self.bound_n += 1
        memcpy(self.bound[at].text, text, len(names))
        self.bound[at].n = len(names)
        self.bound[at].conn = conn

    cdef int find_bound(self, const char* text, int n) noexcept nogil:
        cdef int k = <int>(hash_text(text, n) & <unsigned int>self.bound_mask)
        while self.bound[k].n and not (self.bound[k].n == n and memcmp(self.bound[k].text, text, n) == 0):
            k = (k + 1) & self.bound_mask
        return k

    @property
    def text(self):
        """The line at hand."""
        return self.buf[self.line:self.line + self.line_n]

    @property
    def too_long(self):
        """Whether the line at hand was cut because it is longer than any record may be."""
        return self.line_n >= LINE_MAX

    def waits(self, int64_t ts):
        """Python read the line at hand: its record waits for its turn at ts."""
        self.ts = ts
        self.state = S_RECORD

    def done(self):
        """Python is through with the line at hand."""
        self.state = S_EMPTY

    cdef int read_line(self) noexcept nogil:
        """Find the next line and parse it; 0, or -1 when more bytes are needed."""
        cdef const char* nl
        cdef Py_ssize_t n
        while True:
            nl = <const char*>memchr(self.buf + self.start, 10, self.end - self.start)
            if nl == NULL:
                if self.closed and self.end > self.start and not self.discarding:
                    n = self.end - self.start   # the last line has no newline
                    self.line = self.start
                    self.line_n = n
                    self.start = self.end
                    self.number += 1
                    break
                if self.closed:
                    self.state = S_ENDED
                    return 0
                if self.end - self.start > LINE_MAX:
                    if self.discarding:
                        self.start = self.end
                        return -1
                    self.line = self.start
                    self.line_n = LINE_MAX
                    self.start = self.end
                    self.discarding = True
                    self.number += 1
                    self.state = S_LINE
                    return 0
                return -1
            n = nl - (self.buf + self.start)
            self.line = self.start
            self.line_n = n
            self.start += n + 1
            if self.discarding:                 # the end of a line that was told already
                self.discarding = False
                continue
            self.number += 1
            break
        if self.line_n > LINE_MAX or self.parse(self.buf + self.line, self.line_n):
            self.state = S_LINE
        else:
            self.state = S_FRAME
        return 0

    cdef int parse(self, const char* p, Py_ssize_t n) noexcept nogil:
        """A received text frame of a bound connection, written in the usual way; -1 for anything else."""
        cdef const char* end = p + n
        cdef char names[BOUND_TEXT + 8]         # the hash reads a word at a time
        cdef Fields f
        cdef int at
        memset(&f, 0, sizeof(Fields))
        if p[0] != b'{' or n < 20:
            return -1
        p += 1
        while p < end:
            p = self.parse_field(p, end, &f)
            if p == NULL:
                return -1
            if p[0] != b',':
                break
            p += 1
        if p[0] != b'}' or p + 1 != end or f.seen & 15 != 15 or f.venue_n + f.conn_n + 1 >= BOUND_TEXT:
            return -1
        if f.venue_n:
            memcpy(names, f.venue, f.venue_n)
        names[f.venue_n] = 0
        memcpy(names + f.venue_n + 1, f.conn, f.conn_n)
        at = self.find_bound(names, <int>(f.venue_n + f.conn_n + 1))
        if self.bound[at].n == 0:
            return -1
        self.conn = self.bound[at].conn
        self.ts = <int64_t>f.ts
        return 0

    cdef const char* parse_field(self, const char* p, const char* end, Fields* f) noexcept nogil:
        """One `"key":value` of a record, p at its quote; the byte behind the value, NULL when unusual."""
        cdef const char* key = p + 1
        cdef const char* e
        cdef Py_ssize_t key_n
        if p[0] != b'"':
            return NULL
        e = string_end(key)
        if e == NULL or e >= end or e[1] != b':':
            return NULL
        key_n = e - key
        p = e + 2
        if key_n == 2 and key[0] == b't' and key[1] == b's' and not f.seen & SEEN_TS:
            f.seen |= SEEN_TS
            return parse_time(p, &f.ts)
        if p[0] != b'"':
            return NULL
        if key_n == 4 and memcmp(key, b"data", 4) == 0 and not f.seen & SEEN_DATA:
            f.seen |= SEEN_DATA
            return self.unescape(p + 1, end)
        e = string_end(p + 1)
        if e == NULL or e >= end:
            return NULL
        return e + 1 if name_field(key, key_n, p + 1, e - p - 1, f) else NULL

    cdef const char* unescape(self, const char* p, const char* end) noexcept nogil:
        """The inside of a JSON string into `data`; returns the byte behind the closing quote, NULL when unusual."""
        cdef Py_ssize_t room = end - p
        cdef char* out
        cdef long n
        if self.data_cap < room + PAD:
            out = <char*>realloc(self.data, 2 * (room + PAD))
            if out == NULL:
                return NULL
            self.data = out
            self.data_cap = 2 * (room + PAD)
        out = self.data
        while True:
            n = copy_plain(out, p)
            out += n
            p += n
            if p >= end:
                return NULL
            if p[0] == b'"':
                break
            if p[0] != b'\\':
                return NULL
            if p[1] == b'"' or p[1] == b'\\' or p[1] == b'/':
                out[0] = p[1]
            elif p[1] == b'n':
                out[0] = 10
            elif p[1] == b't':
                out[0] = 9
            elif p[1] == b'r':
                out[0] = 13
            else:
                return NULL
            out += 1
            p += 2
        self.data_n = out - self.data
        memset(out, 0, PAD)
        return p + 1


cdef class Replayer:
    """Merges the records of several files by time and runs the frames among them."""

    def __cinit__(self, Hot hot, readers):
        self.hot = hot
        self.readers = list(readers)
        self.until_ns = INT64_MAX
        self.is_eager = False

    def run(self):
        """Go on until Python is needed: (what, file index).

        NEED_DATA: feed or close that file. LOOK: its line at hand is not an ordinary frame; after reading it call
        waits() or done(). TAKE: it is the turn of a record that waits; handle it and call done(). DRAIN: events or
        ticks want to be taken (`is_eager`: at once). TIME: the next record is later than `until_ns`, which wants to be
        set anew. END: all files are through.
        """
        cdef Lines reader, first
        cdef Hot hot = self.hot
        cdef int k, n = len(self.readers), chosen, answer, _turn
        for _turn in range(FRAMES_A_RUN):
            first = None
            chosen = -1
            for k in range(n):
                reader = <Lines>self.readers[k]
                if reader.state == S_EMPTY and reader.read_line():
                    return NEED_DATA, k
                if reader.state == S_LINE:
                    return LOOK, k
                if reader.state != S_ENDED and (first is None or reader.ts < first.ts):
                    first = reader
                    chosen = k
            if first is None:
                return END, 0
            if first.ts > self.until_ns:
                return TIME, chosen
            if first.state == S_RECORD:
                return TAKE, chosen
            self.frames += 1
            answer = hot.run(first.conn, first.data, first.data_n, first.ts)
            first.state = S_EMPTY
            if answer != DONE:
                hot.on_rare(answer, first.conn, first.data[:first.data_n])
            if (ring_pending(&hot.pairs.events, hot.pairs.events_reader) > (0 if self.is_eager else DRAIN_EVENTS)
                    or hot.pairs.tells_ticks and ring_pending(&hot.pairs.ticks, hot.pairs.ticks_reader) > DRAIN_TICKS):
                break
        return DRAIN, 0
