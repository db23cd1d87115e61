"""The one call per frame: scan -> book -> pairs -> signals.

Hot knows venues, connections and spellings. A frame either goes through here without a Python object, or the answer
says what Python must look at first (ASK_*). A frame is applied whole and every book of it looked at once (R19, R24);
what a book means to the others is in pairs.pyx.
"""
cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

from gambit._core.json cimport Text
from gambit._core.latency cimport histogram_add, summary
from gambit._core.market cimport (
    DID_LOSE, DID_SEEN, DID_STALE, I_ID, RULE_CONNECTION, RULE_LINK, T_SYMBOL, T_TIME, T_TIME_2, T_TYPE, Market,
    market_bbo, market_best, market_claim, market_drop_diffs, market_forget, market_part, market_promise,
    market_snapshot, part_complete,
)
from gambit._core.num cimport PAD, now_ns, prefetch_frame, readable_behind, unlikely
from gambit._core.pairs cimport Pairs, room
from gambit._core.scan cimport (
    HAS_PARTS, MARKS, MAX_LEVELS, MAX_PARTS, Level, Mark, Part, Scan, Scanner, scan_frame, scan_room_levels,
    scan_room_parts,
)
from gambit._core.shape cimport Best, Shape, Shapes, shapes_learn, shapes_read
from gambit._core.venue cimport (
    KIND_BBO, KIND_BOOK, KIND_CONTROL, Venue, find_spelling, find_type, kind_of, set_texts, time_of, venue_open,
    venue_spell,
)

cdef enum:
    SHAPED = 1              # what became of a frame of best prices
    UNUSUAL = 0
    NO_SHAPE = -1


@cython.final
cdef class Hot:
    """Venues, their connections, and the way of a frame. Raises MemoryError, and ValueError or IndexError for
    arguments that do not fit."""

    def __cinit__(self, Pairs pairs):
        self.pairs = pairs
        self.scanners = []
        self.learns = True

    def __dealloc__(self):
        cdef int k
        for k in range(self.n_venues):
            free(self.venues[k].spellings)
            free(self.venues[k])
        free(self.venues)
        free(self.conns)
        free(self.touched)
        free(self.buf)

    # ---- registration (cold) ----

    def add_venue(self, wire, bint is_bbo):
        """Compile a venue's wire description; returns its index."""
        cdef Venue* v
        cdef Scanner scanner = Scanner(wire)
        if room(<void**>&self.venues, &self.cap_venues, self.n_venues, sizeof(Venue*)):
            raise MemoryError
        v = <Venue*>calloc(1, sizeof(Venue))
        if v == NULL:
            raise MemoryError
        try:
            venue_open(v, wire, &scanner.c, is_bbo)
        except BaseException:
            free(v.spellings)
            free(v)
            raise
        self.venues[self.n_venues] = v
        self.n_venues += 1
        self.scanners.append(scanner)
        return self.n_venues - 1

    def spell(self, int venue, bytes text, int market):
        """What a venue's spelling means: a market, or -2 to skip its frames."""
        if not 0 < len(text) < 32:
            raise ValueError(f"spelling {text!r} has {len(text)} bytes, not 1 to 31")
        venue_spell(self.venues[venue], text, len(text), market)

    def add_conn(self, int venue, bint skip, int64_t time_unit):
        """A connection of a venue; frames of one with `skip` are counted and touch nothing. Times that are digits
        count `time_unit` ns. Returns its index."""
        cdef Conn* c
        if not 0 <= venue < self.n_venues:
            raise IndexError(f"venue {venue}")
        if room(<void**>&self.conns, &self.cap_conns, self.n_conns, sizeof(Conn)):
            raise MemoryError
        c = &self.conns[self.n_conns]
        memset(c, 0, sizeof(Conn))
        c.venue = venue
        c.skip = skip
        c.time_unit = time_unit
        self.n_conns += 1
        return self.n_conns - 1

    # ---- what arrives ----

    def frame(self, int conn, bytes data, int64_t recv_ns):
        """One frame as received at recv_ns. What the hot path cannot decide goes to `on_rare(answer, conn, data)`;
        returns DONE, or that callable's answer."""
        cdef Py_ssize_t n = len(data)
        cdef int answer
        if not 0 <= conn < self.n_conns:
            raise IndexError(f"connection {conn}")
        prefetch_frame(data, n)
        if readable_behind(<const char*>data, n):
            answer = self.run(conn, <const char*>data, n, recv_ns)
        else:
            self.keep(data)
            answer = self.run(conn, self.buf, n, recv_ns)
        return 0 if answer == DONE else self.on_rare(answer, conn, data)

    def again(self, int conn, bytes data):
        """A frame that went to `on_rare` once more, after whatever was missing is there; the clock stays."""
        self.conn(conn)
        self.keep(data)                         # missing_symbol lies in it
        return self.run(conn, self.buf, len(data), self.pairs.clock)

    cdef int keep(self, bytes data) except -1:
        """Copy a frame to where it stays until the next one, with PAD zero bytes behind it."""
        cdef Py_ssize_t n = len(data)
        cdef char* grown
        if n + PAD > self.buf_size:
            grown = <char*>realloc(self.buf, 2 * n + PAD)
            if grown == NULL:
                raise MemoryError
            self.buf = grown
            self.buf_size = 2 * n + PAD
        memcpy(self.buf, <const char*>data, n)
        memset(self.buf + n, 0, PAD)
        return 0

    def tick_clock(self, int64_t ts):
        """Move the clock; whatever goes stale before it ends now (R3, R13)."""
        self.pairs.advance(ts)

    @property
    def missing_symbol(self):
        """The spelling that made frame() answer ASK_SYMBOL."""
        return self.missing[:self.missing_n]

    cdef int run(self, int conn, const char* buf, Py_ssize_t n, int64_t recv_ns) noexcept nogil:
        """`buf` holds n bytes and PAD more that can be read."""
        cdef Conn* c = &self.conns[conn]
        cdef Venue* v = self.venues[c.venue]
        cdef int answer, shaped = UNUSUAL
        cdef int64_t t0 = 0, t1 = 0
        if recv_ns > self.pairs.clock:
            self.pairs.clock = recv_ns
            if unlikely(recv_ns > self.pairs.next_deadline):
                self.pairs.expire()
        if unlikely(c.skip):
            v.frames += 1
            v.skipped += 1
            return DONE
        if unlikely(self.timing):
            t0 = now_ns()
        if v.is_bbo:
            shaped = self.run_shaped(v, conn, buf, n, t0)
            if shaped == SHAPED:
                return DONE
        if scan_frame(v.scan, buf, n):
            return ASK_DECODER
        if self.timing:
            t1 = now_ns()
            histogram_add(&self.scan_ns, t1 - t0)
        answer = self.run_scanned(c, conn)
        if self.timing:
            histogram_add(&self.frame_ns, now_ns() - t0)
        if shaped == NO_SHAPE and answer == DONE:
            v.shapes.missed += 1
            if v.shapes.missed > v.shapes.patience and self.learns:
                self.learn(v, buf, n)
        return answer

    cdef int run_shaped(self, Venue* v, int conn, const char* buf, Py_ssize_t n, int64_t t0) noexcept nogil:
        """A best-bid-ask frame that looks like one before it, about a book that goes on as usual: applied and looked
        at (SHAPED). For anything else nothing is done. t0: when the frame began, where that is measured."""
        cdef Conn* c = &self.conns[conn]
        cdef const Shape* shape
        cdef Best best
        cdef Market* m
        cdef int market
        cdef int64_t ts = -1, t1 = 0, t2
        shape = shapes_read(&v.shapes, buf, buf + n, &best)
        if shape == NULL:
            return NO_SHAPE
        if unlikely(self.timing):
            t1 = now_ns()
        market = find_spelling(v, best.symbol.p, best.symbol.n)
        if unlikely(market < 0):
            return UNUSUAL
        m = self.pairs.markets[market]
        if unlikely(m.conn != conn or m.channel != shape.channel or (shape.has_id and m.has_id and best.id < m.id)):
            return UNUSUAL
        if shape.has_time:
            ts = time_of(&best.time, c.time_unit)
            if unlikely(ts < 0):
                return UNUSUAL
        if v.rule == RULE_CONNECTION:
            if unlikely(not c.has_seq or best.id != c.seq + 1):
                return UNUSUAL
            c.seq = best.id
        v.frames += 1
        v.shaped += 1
        v.by_kind[shape.kind & 63] += 1
        market_best(m, &best.level[0], &best.level[1], shape.has_id, best.id, ts)
        if unlikely(self.timing):
            t2 = now_ns()
            self.pairs.renewed(m)
            histogram_add(&self.scan_ns, t1 - t0)
            histogram_add(&self.book_ns, t2 - t1)
            t1 = now_ns()
            histogram_add(&self.engine_ns, t1 - t2)
            histogram_add(&self.frame_ns, t1 - t0)
        else:
            self.pairs.renewed(m)
        return SHAPED

    cdef void learn(self, Venue* v, const char* buf, Py_ssize_t n) noexcept nogil:
        """Remember the shape of a frame that no shape fits, if it is the best bid and ask of one book."""
        cdef Mark marks[MARKS]
        cdef Scan* s = v.scan
        cdef Part* part = NULL
        cdef int k, n_books = 0, depth = 0, kind
        cdef int64_t channel = 0
        s.marks = marks
        k = scan_frame(s, buf, n)
        s.marks = NULL
        kind = kind_of(v, &s.parts[0], &channel, &depth) if k == 0 else 0
        if not kind & KIND_BBO or self.complete(v, &s.parts[0]) != DONE:
            return
        for k in range(0 if v.implicit_part else 1, 1 if v.implicit_part else s.n_parts):
            if s.parts[k].market >= 0:
                n_books += 1
                part = &s.parts[k]
        if n_books == 1:
            shapes_learn(&v.shapes, s, marks, buf, <int>n, part, v.digits_channel, kind, channel)

    cdef int run_scanned(self, Conn* c, int conn) noexcept nogil:
        """Route what the venue's scanner holds."""
        cdef Venue* v = self.venues[c.venue]
        cdef Part* head = &v.scan.parts[0]
        cdef int k, depth = 0
        cdef int64_t channel = 0
        cdef bint is_stale = False
        cdef int kind = kind_of(v, head, &channel, &depth)
        if kind & (KIND_BBO if v.is_bbo else KIND_BOOK):
            k = self.complete(v, head)
            if k != DONE:
                return k
        v.frames += 1
        v.by_kind[kind & 63] += 1
        if kind == 0:
            v.unknown += 1
        if v.rule == RULE_CONNECTION and head.has_ints >> I_ID & 1:
            if c.has_seq and head.ints[I_ID] <= c.seq:
                is_stale = True
            else:
                if c.has_seq and head.ints[I_ID] > c.seq + 1:
                    self.jump(v, conn)
                c.has_seq = True
                c.seq = head.ints[I_ID]
        if kind & (KIND_BBO if v.is_bbo else KIND_BOOK):
            if is_stale:
                self.drop_stale(v, head)
                return DONE
            return self.run_parts(v, conn, channel, depth)
        return ASK_CONTROL if kind & KIND_CONTROL else DONE

    cdef int complete(self, Venue* v, Part* head) noexcept nogil:
        """Whether all parts name known symbols and have what their rule needs, before anything is applied."""
        cdef int k, market
        cdef Part* part
        cdef const Text* symbol
        if not v.implicit_part and (not head.sides & HAS_PARTS or (v.rule == RULE_LINK and v.scan.n_parts == 1)):
            return ASK_DECODER                  # it is about books and says nothing about them
        for k in range(0 if v.implicit_part else 1, 1 if v.implicit_part else v.scan.n_parts):
            part = &v.scan.parts[k]
            symbol = &part.texts[T_SYMBOL] if part.has_texts >> T_SYMBOL & 1 else &head.texts[T_SYMBOL]
            if not (part.has_texts | head.has_texts) >> T_SYMBOL & 1:
                if part.hi == part.lo and v.rule == RULE_CONNECTION and v.is_bbo and part.sides & HAS_PARTS:
                    part.market = -2
                    continue                    # the event around Coinbase's tickers
                return ASK_DECODER
            market = find_spelling(v, symbol.p, symbol.n)
            part.market = market
            if market == -1:
                self.missing = symbol.p
                self.missing_n = symbol.n
                return ASK_SYMBOL
            if market >= 0 and not part_complete(v.scan, self.pairs.markets[market], head, part,
                                                 find_type(v, part if part.has_texts >> T_TYPE & 1 else head)):
                return ASK_DECODER
        return DONE

    cdef void touch(self, Market* m) noexcept nogil:
        """Note a market that the frame names, in the order of first mention (R24)."""
        if not m.did & DID_SEEN and not room(<void**>&self.touched, &self.cap_touched, self.n_touched, sizeof(int)):
            m.did |= DID_SEEN
            self.touched[self.n_touched] = m.index
            self.n_touched += 1

    cdef void drop_stale(self, Venue* v, const Part* head) noexcept nogil:
        """An old number on the whole connection: its books are not confirmed (R23)."""
        cdef int k
        cdef Market* m
        self.n_touched = 0
        for k in range(1, v.scan.n_parts):
            if v.scan.parts[k].market >= 0:
                m = self.pairs.markets[v.scan.parts[k].market]
                m.is_named = True
                self.touch(m)
                m.did |= DID_STALE
        for k in range(self.n_touched):
            self.pairs.finish(self.pairs.markets[self.touched[k]])

    cdef int run_parts(self, Venue* v, int conn, int64_t channel, int depth) noexcept nogil:
        """Apply the frame whole, then look at each of its books once."""
        cdef Part* head = &v.scan.parts[0]
        cdef Part* part
        cdef Market* m
        cdef int k, did, kind, skipped = 0, first = 0 if v.implicit_part else 1
        cdef int64_t ts, t0 = now_ns() if self.timing else 0, t1
        self.n_touched = 0
        for k in range(first, 1 if v.implicit_part else v.scan.n_parts):
            part = &v.scan.parts[k]
            if part.market < 0:
                if part.hi > part.lo or part.has_texts >> T_SYMBOL & 1:
                    skipped = 1
                continue
            m = self.pairs.markets[part.market]
            if not market_claim(m, conn, channel, depth):
                continue
            self.touch(m)
            if m.did & DID_LOSE:                # taken over from another connection
                m.did &= ~<uint8_t>DID_LOSE
                self.pairs.lost(m)
            ts = self.exchange_time(conn, head, part)
            kind = find_type(v, part if part.has_texts >> T_TYPE & 1 else head)
            if v.is_bbo:
                did = market_bbo(m, head, part, v.scan.levels, ts)
            else:
                did = market_part(m, head, part, v.scan.levels, kind, ts)
            if did & DID_LOSE:
                did &= ~DID_LOSE
                self.pairs.lost(m)
            m.did |= <uint8_t>did
        v.skipped += skipped > 0
        if self.timing:
            t1 = now_ns()
            histogram_add(&self.book_ns, t1 - t0)
            t0 = t1
        for k in range(self.n_touched):
            self.pairs.finish(self.pairs.markets[self.touched[k]])
        if self.timing:
            histogram_add(&self.engine_ns, now_ns() - t0)
        return DONE

    cdef int64_t exchange_time(self, int conn, const Part* head, const Part* part) noexcept nogil:
        """R32: the part's own time, else the frame's; Bybit's matching time before its push time."""
        cdef int64_t unit = self.conns[conn].time_unit, ts = -1
        if part.has_texts >> T_TIME & 1:
            return time_of(&part.texts[T_TIME], unit)
        if head.has_texts >> T_TIME & 1:
            ts = time_of(&head.texts[T_TIME], unit)
        if ts < 0 and head.has_texts >> T_TIME_2 & 1:
            ts = time_of(&head.texts[T_TIME_2], unit)
        return ts

    cdef void jump(self, Venue* v, int conn) noexcept nogil:
        """Something was lost on a connection: none of its books can be believed (R23)."""
        cdef int k
        cdef Market* m
        for k in range(self.pairs.n_markets):
            m = self.pairs.markets[k]
            if m.conn == conn and m.synced:
                m.count.gaps += 1
                market_forget(m)
                self.pairs.lost(m)

    # ---- what Python had to look at first (warm) ----

    def decoded(self, int conn, parts):
        """A frame that the slow decoder read: parts as (ints {slot: value}, texts {slot: bytes}, sides, levels), a
        level being (side, price mantissa, decimals, decimals as written, quantity mantissa, decimals, as written).
        The first part is the frame itself. Answers as frame() does; ASK_DECODER for more parts or levels than a book's
        frame may have."""
        cdef Conn* c = self.conn(conn)
        cdef Venue* v = self.venues[c.venue]
        cdef Scan* s = v.scan
        cdef Part* part
        cdef int64_t channel = 0
        cdef int depth = 0
        cdef bint fits = len(parts) <= MAX_PARTS and sum(len(part[3]) for part in parts) <= MAX_LEVELS
        alive = []                              # the texts, until we return
        s.n_parts = 0
        s.n_levels = 0
        for ints, texts, sides, levels in (parts if fits else [(*parts[0][:3], ())]):
            if scan_room_parts(s) or scan_room_levels(s, len(levels)):
                raise MemoryError
            part = &s.parts[s.n_parts]
            s.n_parts += 1
            part.has_ints = 0
            part.sides = sides
            for slot, value in ints.items():
                part.ints[slot] = value
                part.has_ints |= <uint32_t>1 << <int>slot
            alive.append(set_texts(part, texts))
            part.lo = s.n_levels
            self.load_levels(s, levels)
            part.hi = s.n_levels
        v.slow += 1
        if not fits and kind_of(v, &s.parts[0], &channel, &depth) & (KIND_BBO if v.is_bbo else KIND_BOOK):
            return ASK_DECODER
        return self.run_scanned(c, conn)

    cdef load_levels(self, Scan* s, levels):
        cdef Level* v
        if scan_room_levels(s, len(levels)):
            raise MemoryError
        for side, pm, pdec, pwire, qm, qdec, qwire in levels:
            v = &s.levels[s.n_levels]
            s.n_levels += 1
            v.side = side
            v.pm = pm
            v.pdec = pdec
            v.pwire = pwire
            v.qm = qm
            v.qdec = qdec
            v.qwire = qwire

    def snapshot(self, int market, int64_t last_id, levels):
        """A depth snapshot that came beside the stream; levels as in decoded(). Returns whether it was used (R9)."""
        cdef Market* m = self.pairs.market(market)
        cdef Scan* s = self.venues[m.venue].scan
        cdef int did
        s.n_levels = 0
        self.load_levels(s, levels)
        m.is_named = True
        did = market_snapshot(m, last_id, s.levels, s.n_levels)
        m.did = <uint8_t>did
        self.pairs.finish(m)
        return did != 0

    def quarantine(self, int market, int conn, int64_t channel, int depth):
        """A bad frame of this connection's channel names the market: it cannot be believed any more (R19, D6).
        conn -1: the frame came beside the stream."""
        cdef Market* m = self.pairs.market(market)
        cdef bint was_synced
        if conn >= 0 and not market_claim(m, conn, channel, depth):
            return
        m.is_named = True
        was_synced = m.synced or m.did & DID_LOSE
        m.did = 0
        m.count.quarantined += 1
        if conn >= 0:
            market_drop_diffs(m)
        if was_synced:
            market_forget(m)
            self.pairs.lost(m)

    def distrust(self, int conn):
        """Nobody can tell what a frame of this connection said, or the connection is gone: none of its books can
        be believed (R5)."""
        cdef int k
        cdef Market* m
        self.conn(conn)
        for k in range(self.pairs.n_markets):
            m = self.pairs.markets[k]
            if m.conn == conn:
                market_drop_diffs(m)
                if m.synced:
                    market_forget(m)
                    self.pairs.lost(m)

    def close_conn(self, int conn):
        """The connection is gone: its books are unsynced, its channels free, its counter starts again (R8)."""
        cdef Conn* c = self.conn(conn)
        cdef int k
        self.distrust(conn)
        for k in range(self.pairs.n_markets):
            market_promise(self.pairs.markets[k], conn, 0)
            if self.pairs.markets[k].conn == conn:
                self.pairs.markets[k].conn = -1
        c.has_seq = False

    def sequence(self, int conn, int64_t number):
        """The connection's counter in a frame that is bad otherwise; whether the number is an old one (D12)."""
        cdef Conn* c = self.conn(conn)
        if c.has_seq and number <= c.seq:
            return True
        if c.has_seq and number > c.seq + 1:
            self.jump(self.venues[c.venue], conn)
        c.has_seq = True
        c.seq = number
        return False

    def drop(self, int market):
        """A bad frame with an old number names the market: dropped as stale."""
        cdef Market* m = self.pairs.market(market)
        m.is_named = True
        m.did |= DID_STALE
        self.pairs.finish(m)

    def classify(self, int conn, head):
        """(kind, channel, depth, symbol or None) of a frame by its head, a part as in decoded(); the symbol where the
        channel's text names it."""
        cdef Venue* v = self.venues[self.conn(conn).venue]
        cdef Part part
        cdef int64_t channel = 0
        cdef int depth = 0, kind
        _alive = set_texts(&part, head[1])
        part.sides = head[2]
        kind = kind_of(v, &part, &channel, &depth)
        named = None
        if v.digits_channel and kind & KIND_BOOK:
            named = part.texts[T_SYMBOL].p[:part.texts[T_SYMBOL].n]
        return kind, channel, depth, named

    def promise_depth(self, int market, int conn, int depth):
        """The venue confirmed how many levels a side it sends on this connection (R12, D11)."""
        market_promise(self.pairs.market(market), conn, depth)

    def count(self, int venue, str what, int more=1):
        """Count frames that Python handled: frames, slow, unknown, skipped or quarantined."""
        cdef Venue* v = self.venues[venue]
        if what == "frames":
            v.frames += more
        elif what == "unknown":
            v.unknown += more
        elif what == "skipped":
            v.skipped += more
        elif what == "quarantined":
            v.quarantined += more
        else:
            raise ValueError(what)

    cdef Conn* conn(self, int index) except NULL:
        if not 0 <= index < self.n_conns:
            raise IndexError(f"connection {index}")
        return &self.conns[index]

    # ---- readings ----

    def venue_counts(self, int venue):
        """Frames of a venue: all, by kind, unknown, skipped, decoded slowly, quarantined."""
        cdef Venue* v = self.venues[venue]
        return {
            "frames": v.frames, "by_kind": {k: v.by_kind[k] for k in range(64) if v.by_kind[k]},
            "unknown": v.unknown, "skipped": v.skipped, "slow": v.slow, "quarantined": v.quarantined,
        }

    def learn_shapes(self, bint on):
        """Whether best-bid-ask frames may be read by their shape, as they are from the start; what was learned is
        forgotten."""
        cdef int k
        self.learns = on
        for k in range(self.n_venues):
            memset(&self.venues[k].shapes, 0, sizeof(Shapes))

    def shaped(self, int venue):
        """How many frames of a venue were read by their shape."""
        return self.venues[venue].shaped

    def measure(self, bint on):
        """Time the stages of each frame from now on, or stop."""
        self.timing = on

    def latencies(self):
        """Histogram summaries in ns by stage, where measured."""
        return {"scan": summary(&self.scan_ns), "book": summary(&self.book_ns), "engine": summary(&self.engine_ns),
                "frame": summary(&self.frame_ns)}

    def bench(self, conns, frames, recv_ns, int times):
        """Run frames in C only, `times` times over: ns for each frame of the last round, in order, and its answers'
        sum (0: all were done). For benchmarks."""
        cdef list padded = [frame + bytes(PAD) for frame in frames]
        cdef int n = len(frames), k, _round, answers = 0
        cdef int64_t t0, t1
        cdef bytes one
        cdef const char* p
        took = [0] * n
        for _round in range(times):
            for k in range(n):
                one = padded[k]
                p = one
                c = conns[k]
                at = recv_ns[k]
                size = len(one) - PAD
                t0 = now_ns()
                answers += self.run(c, p, size, at)
                t1 = now_ns()
                took[k] = t1 - t0
        return took, answers
