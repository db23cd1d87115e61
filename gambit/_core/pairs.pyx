"""What a believed book means: its touch is remembered, told, and compared with the other venues'.

Pairs owns the markets, the comparison groups, the episodes and the only clock a replay has (the largest receive time
so far, replay-rules R3). hot.pyx applies frames to the markets and calls finish() for each book a frame touched;
decisions leave as events, best prices as ticks, both through rings. Source: formulas.md and replay-rules.md, by the
numbers quoted.
"""
cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint16_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memset

from gambit._core.book cimport Place, Quote, book_crossed, book_touch, walk_next, walk_start
from gambit._core.events cimport (
    CLOSED, DIFFERENT_COIN, NOT_QUALIFIED, RAISED, STALE, UNSYNCED, Event, Tick, closed_event, raised_event, side_texts,
    tick_line, tick_touch,
)
from gambit._core.liquidity cimport book_depth, walk_size
from gambit._core.market cimport (
    DID_SNAPSHOT, DID_STALE, DID_UPDATE, Counts, Market, market_close, market_forget, market_open,
)
from gambit._core.num cimport cmp256, i128, likely, mul256, u128, unlikely
from gambit._core.ring cimport ring_claim, ring_close, ring_open, ring_pending, ring_read, ring_reader
from gambit._core.score cimport score
from gambit._core.side cimport Side
from gambit._core.spread cimport Episode, Group, group_add, group_close, group_open, group_scan, group_set
from gambit._core.window cimport (
    Stats, at_least, grid_clear, grid_push, grid_sigma, history_push, history_stats, spread_bps,
)

cdef int64_t NEVER = <int64_t>0x7fffffffffffffff


cdef i128 wide(value) except? -1:
    """A Python integer below 2^126 as 128 bits."""
    cdef uint64_t lo = value & 0xFFFFFFFFFFFFFFFF, hi = value >> 64
    return (<i128>hi << 64) | <i128>lo


cdef int room(void** array, int* cap, int n, size_t size) noexcept nogil:
    """Room for one more element in a growable array; 0 when there is."""
    cdef int want
    cdef void* grown
    if n < cap[0]:
        return 0
    want = cap[0] * 2 if cap[0] else 8
    grown = realloc(array[0], want * size)
    if grown == NULL:
        return -1
    array[0] = grown
    cap[0] = want
    return 0


@cython.final
cdef class Pairs:
    """Markets, comparison groups and what becomes of them.

    `params` is a dict of plain numbers (see gambit.engine.market.params_of); times in ns, bps as doubles, exact
    amounts as integers of 1e-18. Raises MemoryError, and ValueError or IndexError for arguments that do not fit.
    """

    def __cinit__(self, params):
        self.p.max_age_ns = params["max_age_ns"]
        self.p.ttl_ns = params["ttl_ns"]
        self.p.window_ns = params["window_ns"]
        self.p.window_s = params["window_ns"] / 1e9
        self.p.min_spread_bps = params["min_spread_bps"]
        self.p.min_liquidity = params["min_liquidity"]
        self.p.margin_bps = params["margin_bps"]
        self.p.min_persistence = params["min_persistence"]
        self.p.ratio_num = <u128>wide(params["mid_ratio"][0])
        self.p.ratio_den = <u128>wide(params["mid_ratio"][1])
        self.p.mid_ratio = params["mid_ratio"][0] / params["mid_ratio"][1]
        self.p.limits.slippage = params["slippage"]
        self.p.limits.notional = wide(params["notional"])
        self.p.weights.spread, self.p.weights.liquidity, self.p.weights.volatility = params["weights"]
        (self.p.weights.spread_ref_bps, self.p.weights.liquidity_ref,
         self.p.weights.volatility_ref) = params["refs"]
        if ring_open(&self.events, sizeof(Event), 1024) or ring_open(&self.ticks, sizeof(Tick), 1024):
            raise MemoryError
        self.events_reader = ring_reader(&self.events, True)
        self.ticks_reader = ring_reader(&self.ticks, False)
        self.next_deadline = NEVER
        self.clock = -1
        self.tells_ticks = False

    def __dealloc__(self):
        cdef int k
        for k in range(self.n_markets):
            market_close(self.markets[k])
            free(self.markets[k])
        for k in range(self.n_groups):
            group_close(&self.groups[k])
        free(self.markets)
        free(self.groups)
        free(self.open_pairs)
        ring_close(&self.events)
        ring_close(&self.ticks)

    # ---- registration (cold) ----

    def add_group(self):
        """A set of markets that may be compared with each other; returns its index."""
        if room(<void**>&self.groups, &self.cap_groups, self.n_groups, sizeof(Group)):
            raise MemoryError
        if group_open(&self.groups[self.n_groups]):
            raise MemoryError
        self.n_groups += 1
        return self.n_groups - 1

    def add_market(self, int venue, int rule, bint is_bbo, int group, double fee, contract, lot, least):
        """A market of a venue in a group. `fee` is a fraction; contract, lot, least in 1e-18 units (0 unknown)."""
        cdef Market* m
        if not 0 <= group < self.n_groups:
            raise IndexError(f"group {group}")
        if room(<void**>&self.markets, &self.cap_markets, self.n_markets, sizeof(Market*)):
            raise MemoryError
        m = <Market*>malloc(sizeof(Market))
        if m == NULL or market_open(m, self.p.window_ns):
            raise MemoryError
        m.index = self.n_markets
        m.venue = venue
        m.rule = rule
        m.is_bbo = is_bbo
        m.group = group
        self.markets[self.n_markets] = m
        self.n_markets += 1
        self.set_rules(m.index, fee, contract, lot, least)
        m.slot = group_add(&self.groups[group], m.index)
        if m.slot < 0:
            raise MemoryError
        return m.index

    def set_rules(self, int market, double fee, contract, lot, least):
        """A taker's fee, a fraction; contract value, lot step and least quantity in 1e-18 units (0 unknown)."""
        cdef Market* m = self.market(market)
        m.leg.fee = fee
        m.leg.contract = wide(contract)
        m.leg.lot = wide(lot)
        m.leg.least = wide(least)

    def set_precision(self, int market, int price_decimals, int qty_decimals):
        """Decimals of the checksum's text, -1 as sent."""
        cdef Market* m = self.market(market)
        m.price_decimals = price_decimals
        m.qty_decimals = qty_decimals

    def relate(self, int a, int b, int name):
        """Compare two markets of one group under the name with this index (0-65000); -1 never compares them."""
        cdef Market* x = self.market(a)
        cdef Market* y = self.market(b)
        cdef Group* g = &self.groups[x.group]
        if x.group != y.group or not -1 <= name <= 65000:
            raise ValueError(f"markets {a} and {b} share no group, or name {name} is out of range")
        g.relation[x.slot * g.cap + y.slot] = <uint16_t>(name + 1)
        g.relation[y.slot * g.cap + x.slot] = <uint16_t>(name + 1)

    cdef Market* market(self, int index) except NULL:
        if not 0 <= index < self.n_markets:
            raise IndexError(f"market {index}")
        return self.markets[index]

    # ---- the clock ----

    cdef void advance(self, int64_t ts) noexcept nogil:
        if ts > self.clock:
            self.clock = ts
            if unlikely(ts > self.next_deadline):
                self.expire()

    cdef void expire(self) noexcept nogil:
        """End the open pairs of which a book went stale before now, each at its own last fresh instant (R13)."""
        cdef int k = 0
        cdef Group* g
        cdef Market* a
        cdef Market* b
        cdef int64_t deadline
        self.batch += 1
        self.next_deadline = NEVER
        while k < self.n_open:
            g = &self.groups[self.open_pairs[3 * k]]
            a = self.markets[g.market[self.open_pairs[3 * k + 1]]]
            b = self.markets[g.market[self.open_pairs[3 * k + 2]]]
            deadline = (a.last_update if a.last_update < b.last_update else b.last_update) + self.p.max_age_ns
            if deadline < self.clock:
                self.close_episode(g, self.open_pairs[3 * k + 1], self.open_pairs[3 * k + 2], STALE, deadline)
                continue                        # the last open pair took this place
            if deadline < self.next_deadline:
                self.next_deadline = deadline
            k += 1

    # ---- books lost and won ----

    cdef void lost(self, Market* m) noexcept nogil:
        """A synced book is not any more: it takes no part in anything."""
        m.is_up = False
        self.n_changes += 1
        if m.last_update >= 0 and self.clock - m.last_update > self.p.max_age_ns:
            history_push(&m.history, m.last_update + self.p.max_age_ns, 0, 0)
        history_push(&m.history, self.clock, 0, 0)
        grid_clear(&m.grid)
        m.bid = 0
        m.ask = 0
        group_set(&self.groups[m.group], m.slot, 0, 0)
        self.batch += 1
        self.close_all(m, UNSYNCED)

    cdef void finish(self, Market* m) noexcept nogil:
        """The frame is applied: count what it did, believe the book or lose it, and look at it."""
        cdef int did = m.did
        m.did = 0
        if did & DID_STALE:
            m.count.dropped_stale += 1
        if not m.synced or not did & (DID_SNAPSHOT | DID_UPDATE):
            return
        if unlikely(m.book.failed) or unlikely(book_crossed(&m.book)):
            m.count.crossed += 1
            market_forget(m)
            self.lost(m)
            return
        if did & DID_SNAPSHOT:
            m.count.snapshots += 1
            m.count.applied += m.joined
            m.joined = 0
        if did & DID_UPDATE:
            m.count.applied += 1
        self.confirm(m)

    cdef void renewed(self, Market* m) noexcept nogil:
        """A book of best prices was replaced by the frame's, and nothing else happened: as finish()."""
        cdef const Side* bid = &m.book.side[0]
        cdef const Side* ask = &m.book.side[1]
        if unlikely(bid.hi and ask.hi and bid.far[0].price >= ask.far[0].price):
            m.count.crossed += 1
            market_forget(m)
            self.lost(m)
            return
        m.count.applied += 1
        self.confirm(m)

    cdef void confirm(self, Market* m) noexcept nogil:
        """The book is right as of now: remember its touch, tell it, compare it."""
        cdef double bid = 0, ask = 0
        cdef i128 exact_bid = 0, exact_ask = 0
        if m.last_update >= 0 and self.clock - m.last_update > self.p.max_age_ns:
            history_push(&m.history, m.last_update + self.p.max_age_ns, 0, 0)
        m.last_update = self.clock
        if unlikely(not m.is_up):
            m.is_up = True
            self.n_changes += 1
        if m.touch_known:
            bid = m.touch[0]
            ask = m.touch[1]
            exact_bid = m.book.side[0].far[0].price
            exact_ask = m.book.side[1].far[0].price
        else:
            book_touch(&m.book, 0, &bid, &exact_bid)
            book_touch(&m.book, 1, &ask, &exact_ask)
        m.depth_known[0] = False
        m.depth_known[1] = False
        m.bid = bid
        m.ask = ask
        history_push(&m.history, self.clock, bid, ask)
        if bid > 0 and ask > 0:
            grid_push(&m.grid, self.clock, exact_bid + exact_ask)
        group_set(&self.groups[m.group], m.slot, bid, ask)
        if self.tells_ticks:
            self.publish_tick(m)
        self.evaluate(m)

    cdef void publish_tick(self, Market* m) noexcept nogil:
        cdef Tick* t = <Tick*>ring_claim(&self.ticks)
        t.recv_ns = self.clock
        t.exchange_ts = m.exchange_ts
        t.seq = m.id
        t.has_seq = m.has_id
        t.market = m.index
        tick_touch(t, &m.book)

    # ---- pairs ----

    cdef void evaluate(self, Market* m) noexcept nogil:
        """Every directed pair of this book (formulas.md "Pair evaluation"), through the sieve first."""
        cdef Group* g = &self.groups[m.group]
        cdef Market* w
        cdef int k, v = m.slot
        cdef bint fresh
        if likely(not group_scan(g, v, self.p.min_spread_bps, self.p.mid_ratio)) and g.open_n[v] == 0:
            return
        self.batch += 1
        for k in range(g.n):
            if g.relation[v * g.cap + k] == 0 or g.episodes[v * g.cap + k].banned:
                continue
            w = self.markets[g.market[k]]
            fresh = w.synced and self.clock - w.last_update <= self.p.max_age_ns
            if fresh and m.bid > 0 and m.ask > 0 and w.bid > 0 and w.ask > 0 and self.other_coin(m, w):
                g.episodes[v * g.cap + k].banned = True
                g.episodes[k * g.cap + v].banned = True
                self.close_episode(g, v, k, DIFFERENT_COIN, self.clock)
                self.close_episode(g, k, v, DIFFERENT_COIN, self.clock)
                continue
            self.evaluate_pair(g, m.group, v, k)
            self.evaluate_pair(g, m.group, k, v)

    cdef bint other_coin(self, const Market* a, const Market* b) noexcept nogil:
        """Whether the mids differ by more than max_mid_ratio, exactly (R26)."""
        cdef double x = a.bid + a.ask, y = b.bid + b.ask, r = self.p.mid_ratio * (1 - 1e-9)
        cdef i128 mid[2]
        cdef i128 swap
        cdef const Market* m = a
        cdef Place w
        cdef Quote q
        cdef int k, side
        if x <= y * r and y <= x * r:
            return False
        for k in range(2):
            mid[k] = 0
            for side in range(2):
                walk_start(&w, &m.book, side)
                if walk_next(&w, &q):
                    mid[k] = mid[k] + q.price
            m = b
        if mid[0] < mid[1]:
            swap = mid[0]
            mid[0] = mid[1]
            mid[1] = swap
        return cmp256(mul256(<u128>mid[0], self.p.ratio_den), mul256(<u128>mid[1], self.p.ratio_num)) > 0

    cdef bint qualifies(self, Market* buy, Market* sell, Event* e) noexcept nogil:
        """Whether buying at one and selling at the other qualifies now; fills the event with what it found."""
        cdef const Params* p = &self.p
        cdef Stats stats
        cdef double depth
        if not (buy.synced and sell.synced and buy.ask > 0 and sell.bid > 0):
            return False
        e.age_buy = self.clock - buy.last_update
        e.age_sell = self.clock - sell.last_update
        if e.age_buy > p.max_age_ns or e.age_sell > p.max_age_ns:
            return False
        e.spread_bps = spread_bps(sell.bid, buy.ask)
        if e.spread_bps < at_least(p.min_spread_bps):
            return False
        if not buy.depth_known[1]:
            buy.depth_value[1] = book_depth(&buy.book, 1, p.limits.slippage, buy.leg.contract)
            buy.depth_known[1] = True
        if not sell.depth_known[0]:
            sell.depth_value[0] = book_depth(&sell.book, 0, p.limits.slippage, sell.leg.contract)
            sell.depth_known[0] = True
        depth = sell.depth_value[0]
        e.liquidity = buy.depth_value[1] if buy.depth_value[1] < depth else depth
        if e.liquidity < at_least(p.min_liquidity):
            return False
        if not walk_size(&buy.leg, &sell.leg, &p.limits, &e.size):
            return False
        if e.size.profit <= 0 or e.size.net_bps < at_least(p.margin_bps):
            return False
        if p.min_persistence > 0:
            history_stats(&buy.history, &sell.history, self.clock - p.window_ns, self.clock, p.min_spread_bps, &stats)
            if <double>stats.above_ns < p.min_persistence * <double>p.window_ns * (1 - 1e-12):
                return False
        return True

    cdef void evaluate_pair(self, Group* g, int gi, int buy, int sell) noexcept nogil:
        cdef Episode* ep = &g.episodes[buy * g.cap + sell]
        cdef Event e
        if not self.qualifies(self.markets[g.market[buy]], self.markets[g.market[sell]], &e):
            if ep.open:
                self.close_episode(g, buy, sell, NOT_QUALIFIED, self.clock)
            return
        if not ep.open or self.clock - ep.last_raise >= self.p.ttl_ns:
            self.raise_signal(g, gi, buy, sell, ep, &e)
        ep.evaluations += 1
        if ep.evaluations == 1 or e.size.net_bps > ep.max_net_bps:
            ep.max_net_bps = e.size.net_bps
        if ep.evaluations == 1 or e.size.profit > ep.max_profit:
            ep.max_profit = e.size.profit

    cdef void raise_signal(self, Group* g, int gi, int buy, int sell, Episode* ep, Event* e) noexcept nogil:
        """An episode starts, or its recommendation ran out and is made again."""
        cdef Market* b = self.markets[g.market[buy]]
        cdef Market* s = self.markets[g.market[sell]]
        cdef Stats stats
        cdef double sigma
        cdef int64_t deadline
        cdef Event* out
        if not ep.open:
            if room(<void**>&self.open_pairs, &self.cap_open, 3 * self.n_open + 2, sizeof(int)):
                return                          # cannot be followed to its end: not raised
            ep.open = True
            ep.start = self.clock
            ep.evaluations = 0
            ep.place = self.n_open
            self.open_pairs[3 * self.n_open] = gi
            self.open_pairs[3 * self.n_open + 1] = buy
            self.open_pairs[3 * self.n_open + 2] = sell
            self.n_open += 1
            g.open_n[buy] += 1
            g.open_n[sell] += 1
        ep.last_raise = self.clock
        deadline = (b.last_update if b.last_update < s.last_update else s.last_update) + self.p.max_age_ns
        if deadline < self.next_deadline:
            self.next_deadline = deadline
        history_stats(&b.history, &s.history, self.clock - self.p.window_ns, self.clock, self.p.min_spread_bps, &stats)
        e.mean_bps = stats.mean if stats.defined_ns else e.spread_bps
        e.max_bps = stats.max if stats.defined_ns and stats.max > e.spread_bps else e.spread_bps
        e.persistence = <double>stats.above_ns / <double>self.p.window_ns
        e.sigma = grid_sigma(&b.grid, self.clock, self.p.window_s)
        sigma = grid_sigma(&s.grid, self.clock, self.p.window_s)
        if sigma > e.sigma:
            e.sigma = sigma
        e.score = score(&self.p.weights, e.size.net_bps, e.liquidity, e.sigma)
        e.kind = RAISED
        e.batch = self.batch
        e.recv_ns = self.clock
        e.start_ns = ep.start
        e.buy = g.market[buy]
        e.sell = g.market[sell]
        e.name = g.relation[buy * g.cap + sell] - 1
        e.seq_buy = b.id
        e.seq_sell = s.id
        e.has_seq_buy = b.has_id
        e.has_seq_sell = s.has_id
        out = <Event*>ring_claim(&self.events)
        out[0] = e[0]
        self.signals += 1

    cdef void close_episode(self, Group* g, int buy, int sell, int reason, int64_t recv_ns) noexcept nogil:
        cdef Episode* ep = &g.episodes[buy * g.cap + sell]
        cdef Event* e
        cdef Group* moved
        cdef int last
        if not ep.open:
            return
        ep.open = False
        g.open_n[buy] -= 1
        g.open_n[sell] -= 1
        self.n_open -= 1
        last = self.n_open
        if ep.place != last:                    # the last open pair takes its place
            memcpy(&self.open_pairs[3 * ep.place], &self.open_pairs[3 * last], 3 * sizeof(int))
            moved = &self.groups[self.open_pairs[3 * last]]
            moved.episodes[self.open_pairs[3 * last + 1] * moved.cap + self.open_pairs[3 * last + 2]].place = ep.place
        e = <Event*>ring_claim(&self.events)
        memset(e, 0, sizeof(Event))
        e.kind = CLOSED
        e.reason = reason
        e.batch = self.batch
        e.recv_ns = recv_ns
        e.start_ns = ep.start
        e.buy = g.market[buy]
        e.sell = g.market[sell]
        e.name = g.relation[buy * g.cap + sell] - 1
        e.evaluations = ep.evaluations
        e.max_net_bps = ep.max_net_bps
        e.max_profit = ep.max_profit
        self.closed += 1

    cdef void close_all(self, Market* m, int reason) noexcept nogil:
        """End every open pair of a market."""
        cdef Group* g = &self.groups[m.group]
        cdef int k
        if g.open_n[m.slot] == 0:
            return
        for k in range(g.n):
            self.close_episode(g, m.slot, k, reason, self.clock)
            self.close_episode(g, k, m.slot, reason, self.clock)

    # ---- readings (cold) ----

    @property
    def now(self):
        """The clock: the largest receive time so far, -1 before the first."""
        return self.clock

    @property
    def totals(self):
        """(signals raised, episodes closed, episodes open) so far."""
        return self.signals, self.closed, self.n_open

    @property
    def pending(self):
        """Events and ticks waiting to be drained."""
        return ring_pending(&self.events, self.events_reader), ring_pending(&self.ticks, self.ticks_reader)

    def tell_ticks(self, bint lossless):
        """Publish a tick for every applied frame and book; a lossless reader is never overrun."""
        self.tells_ticks = True
        self.ticks.lossless[self.ticks_reader] = lossless

    def drain(self):
        """The events since the last call, as dicts of raw numbers; see gambit.engine.opportunity for what they say."""
        cdef const Event* e
        out = []
        while True:
            e = <const Event*>ring_read(&self.events, self.events_reader)
            if e == NULL:
                return out
            out.append(closed_event(e) if e.kind == CLOSED else raised_event(e))

    def drain_ticks(self, prefixes):
        """The ticks since the last call as JSON lines; prefixes[market] is `"venue":...,"symbol":...` as bytes."""
        cdef const Tick* t
        out = bytearray()
        while True:
            t = <const Tick*>ring_read(&self.ticks, self.ticks_reader)
            if t == NULL:
                return out
            out += tick_line(t, prefixes[t.market])

    def follow_ticks(self, int64_t capacity):
        """A cursor over the ticks that may be overrun, beginning now; the ring holds at least `capacity` of them. Only
        before the first tick or with the same capacity. Raises ValueError when all cursors are taken."""
        cdef Ring bigger
        cdef int k
        if self.ticks.head == 0 and capacity > self.ticks.mask + 1:
            if ring_open(&bigger, sizeof(Tick), capacity):
                raise MemoryError
            for k in range(self.ticks.readers):
                ring_reader(&bigger, self.ticks.lossless[k])
            ring_close(&self.ticks)
            self.ticks = bigger
        k = ring_reader(&self.ticks, False)
        if k < 0:
            raise ValueError("all cursors over the ticks are taken")
        self.tells_ticks = True
        return k

    def take_ticks(self, int reader, int limit):
        """A cursor's next ticks, at most `limit`, as the bytes of so many Tick structs (gambit.runtime.ticks has their
        layout). Raises IndexError."""
        cdef const Tick* t
        cdef int n = 0
        cdef int64_t waiting
        if not 0 <= reader < self.ticks.readers:
            raise IndexError(reader)
        waiting = min(ring_pending(&self.ticks, reader), self.ticks.mask + 1)
        if waiting < limit:
            limit = <int>waiting
        out = PyBytes_FromStringAndSize(NULL, limit * <Py_ssize_t>sizeof(Tick))
        cdef char* to = out
        while n < limit:
            t = <const Tick*>ring_read(&self.ticks, reader)
            memcpy(to + n * sizeof(Tick), t, sizeof(Tick))
            n += 1
        return out

    def ticks_lost(self, int reader):
        """How many ticks a cursor was overrun by. Raises IndexError."""
        if not 0 <= reader < self.ticks.readers:
            raise IndexError(reader)
        return self.ticks.overruns[reader]

    def book(self, int market, bint levels, int most=-1):
        """State and counts of a market; with `levels` its bids and asks (the best `most` of each; -1: all) as
        [price, quantity] texts, best first. None when no depth frame was about it."""
        cdef Market* m = self.market(market)
        cdef Counts* n = &m.count
        if not m.is_named:
            return None
        out = {
            "conn": m.last_conn, "synced": bool(m.synced), "seq": m.id if m.synced and m.has_id else None,
            "snapshots": n.snapshots, "applied": n.applied, "dropped_stale": n.dropped_stale, "gaps": n.gaps,
            "checksums_ok": n.checksums_ok, "checksums_bad": n.checksums_bad, "crossed": n.crossed,
            "quarantined": n.quarantined, "buffer_overflows": n.overflows, "last_update_ns": m.last_update,
        }
        if levels:
            out["bids"] = side_texts(&m.book, 0, most) if m.synced else []
            out["asks"] = side_texts(&m.book, 1, most) if m.synced else []
        return out

    def lag(self, int market):
        """By how many ns a book's last frame came after its own time, by the venue's clock; None where it told none."""
        cdef Market* m = self.market(market)
        return m.last_update - m.exchange_ts if m.exchange_ts >= 0 and m.last_update >= 0 else None

    def was_fed(self, int market):
        """Whether a connection's depth channel ever fed the market."""
        return self.market(market).last_conn >= 0

    @property
    def changes(self):
        """How often a book became synced or unsynced so far: who knows it need not compare states."""
        return self.n_changes

    def states(self):
        """Per market (synced, its connection or -1, last_update, gaps, bad checksums, crossed, quarantined)."""
        cdef int k
        cdef Market* m
        out = []
        for k in range(self.n_markets):
            m = self.markets[k]
            out.append((bool(m.synced), m.conn, m.last_update, m.count.gaps, m.count.checksums_bad, m.count.crossed,
                        m.count.quarantined))
        return out

    def touch(self, int market):
        """(bid, ask) as doubles, 0 where there is none."""
        return self.market(market).bid, self.market(market).ask
