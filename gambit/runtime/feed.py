"""The market data of all venues: instruments, lines and the look at the books, brought up, watched and taken down.

Feeds owns a venue's lines, gateway and connect budget; nothing here decides about a connection (session.py does) or
about a frame (the market does).
"""

import asyncio
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gambit.engine.market import TAKER_FEE, Market
from gambit.events.feed import BookLost
from gambit.runtime.backoff import SEC, Attempts
from gambit.runtime.breaker import Circuit
from gambit.runtime.clock import Clock
from gambit.runtime.gateway import Answer, CallFailed, Gateway
from gambit.runtime.generic import GenericFeed, GenericLine
from gambit.runtime.health import SYNCED, BookHealth, State
from gambit.runtime.http import Http
from gambit.runtime.lateness import FeedLag, VenueClock
from gambit.runtime.line import Line
from gambit.runtime.session import Session
from gambit.runtime.shelf import Shelf
from gambit.runtime.status import FeedSettings, FeedStatus
from gambit.runtime.stream import Observer, Stream
from gambit.runtime.supervision import Supervisor
from gambit.runtime.transport import Transport
from gambit.threads import in_thread
from gambit.venues.generic import Generic
from gambit.venues.wire import in_chunks

TICK_SEC: Final = 0.1  # between two looks at sessions and books
LEARN_SEC: Final = 5.0  # how long the start waits for an instrument list
RELEARN_SEC: Final = 3600.0
RELEARN_DEGRADED_SEC: Final = 30.0
RELEARN_DOUBTED_SEC: Final = 60.0  # once within this, however many orders the venue's rules refuse (F49)
RELEARN_CLOSED_SEC: Final = 60.0  # while a market that is followed takes no orders; so long it rests after a refusal
ASK_TIME_SEC: Final = 60.0
COPIED_LEVELS: Final = 1000  # a side of a book that moves to another connection; as many as a fetched one has
CONNECTS: Final = 30  # connection attempts a venue within CONNECTS_SEC, whatever happens (F79); two a line if more
CONNECTS_SEC: Final = 300.0


class Feed:
    """One venue."""

    def __init__(self, settings: FeedSettings, feeds: "Feeds") -> None:
        self.settings = settings
        self.feeds = feeds
        self.venue = settings.venue
        self.name = settings.venue.name
        self.gateway = Gateway(
            settings.venue,
            settings.rest,
            feeds.http,
            feeds.clock,
            random=feeds.random,
            sleep=feeds.sleep,
            is_testnet=settings.is_testnet,
        )
        self._shelved = f"{self.name}-testnet" if settings.is_testnet else self.name  # both may have one address
        self.clock = VenueClock()
        self.lag = FeedLag()
        self.lines: list[Line] = []
        self.missing: tuple[str, ...] = ()
        self.attempts = Attempts(CONNECTS, CONNECTS_SEC)
        self.fetching: set[str] = set()
        self.free_conns: dict[str, list[int]] = {}
        self._is_watching = False  # whether what is closed is open again
        self._watches = 0
        self._doubted_ns = -int(RELEARN_DOUBTED_SEC * SEC)

    # ---- bringing up ----

    async def learn(self) -> None:
        """Fetch the venue's instrument list. Without one, spellings and rules go by the last one that was kept, else by
        what is known otherwise."""
        spellings = [spelling for line in self.lines for spelling in line.spellings]
        whole = self.venue.instruments_call()
        call = self.venue.rules_call(spellings) if spellings else whole
        try:  # a question for some fails whole where one of them is gone: then the whole list tells which
            otherwise = whole if call != whole else None
            answer = await self.gateway.fetch(call, patience_sec=LEARN_SEC, otherwise=otherwise)
        except CallFailed as error:
            self.gateway.is_degraded = True
            await self._learn_from_before(error)
            return
        self.take_snapshot(answer)
        self.feeds.on_learned(self.name)
        self._watch_closed()
        shelf = self.feeds.shelf
        if shelf is not None and not answer.is_degraded and call == whole:
            await in_thread(shelf.keep, self._shelved, answer.url, answer.body, self.now_ns())

    async def _learn_from_before(self, error: CallFailed) -> None:
        """The list that an earlier run kept, once."""
        if self.feeds.market.venue(self.name).catalog.has_list:
            return  # what this run has learned is no older
        shelf = self.feeds.shelf
        kept = None if shelf is None else await asyncio.to_thread(shelf.last, self._shelved, self.settings.rest)
        if kept is None:
            self.feeds.warn(f"{error}; {self.name} goes on without an instrument list")
            return
        label, body = kept
        hours = (self.now_ns() - label.fetched_ns) / SEC / 3600
        self.feeds.warn(f"{error}; {self.name} goes on with the instrument list of {hours:.1f} hours ago")
        self.take_snapshot(Answer(label.url, body, is_degraded=True))
        self._watch_closed()

    async def keep_learning(self) -> None:
        """Rules of instruments change: once an hour, sooner while the venue does not answer."""
        while True:
            await self.feeds.sleep(RELEARN_DEGRADED_SEC if self.gateway.is_degraded else RELEARN_SEC)
            await self.learn()

    def doubt_rules(self) -> None:
        """The venue refused an order by its rules of ticks, lots or least amounts, or a checksum does not fit, as where
        a market has other decimals now: ours may be old. The list is fetched at once, or, where that was done a short
        while ago, later; once, whatever else is refused until then."""
        if f"{self.name} rules" not in self.feeds.supervisor.tasks:
            self.start(f"{self.name} rules", self._learn_anew())

    async def _learn_anew(self) -> None:
        wait_ns = self._doubted_ns + int(RELEARN_DOUBTED_SEC * SEC) - self.feeds.clock.mono_ns()
        if wait_ns > 0:
            await self.feeds.sleep(wait_ns / SEC)
        self._doubted_ns = self.feeds.clock.mono_ns()
        await self.learn()

    @property
    def closed(self) -> tuple[str, ...]:
        """The symbols followed here whose market takes no orders now."""
        known = self.feeds.market.venue(self.name).catalog.by_symbol
        return tuple(symbol for symbol in self.settings.symbols if symbol in known and not known[symbol].is_open)

    def close_market(self, symbol: str) -> None:
        """The venue refused an order for the state of its market (F50). The list may not say so yet: it rests for a
        while whatever that says, and the list is read for what else is closed."""
        until_ns = self.feeds.clock.mono_ns() + int(RELEARN_CLOSED_SEC * SEC)
        self.feeds.market.venue(self.name).catalog.close(symbol, until_ns)
        self.doubt_rules()
        self._watch_closed()

    def _watch_closed(self) -> None:
        """What is closed may be open again long before the hour is over."""
        if self.closed and not self._is_watching:
            self._is_watching = True
            self._watches += 1
            self.start(f"{self.name} closed markets {self._watches}", self._until_open())

    async def _until_open(self) -> None:
        try:
            while self.closed:
                await self.feeds.sleep(RELEARN_CLOSED_SEC)
                self.feeds.market.venue(self.name).catalog.end_rests(self.feeds.clock.mono_ns())
                await self.learn()
        finally:
            self._is_watching = False

    async def keep_time(self) -> None:
        """Ask for the venue's time, once a minute."""
        call = self.venue.time_call()
        while call is not None:
            sent_ns = self.now_ns()
            try:
                answer = await self.gateway.get(call, patience_sec=LEARN_SEC)
            except CallFailed as error:
                self.feeds.warn(str(error))
            else:
                told = self.venue.server_time(answer.body)
                if told is not None:
                    self.clock.add(sent_ns, self.now_ns(), *told)
            await self.feeds.sleep(ASK_TIME_SEC)

    def build(self) -> None:
        """Lines for the books that are wanted and listed."""
        market, settings = self.feeds.market, self.settings
        spelled = {symbol: market.spelling(self.name, symbol) for symbol in settings.symbols}
        for symbol, spelling in spelled.items():
            other = market.delivered_as(self.name, symbol)
            if spelling is None:
                self.feeds.warn(f"{self.name} does not list {symbol}; it is left out there")
            elif other:
                self.feeds.warn(f"{self.name} delivers {symbol} as {other} only: ask for that; it is left out there")
                spelled[symbol] = None
        self.missing = tuple(symbol for symbol, spelling in spelled.items() if spelling is None)
        known = [spelling for spelling in spelled.values() if spelling is not None]
        markets = {spelling: market.index(self.name, spelling) for spelling in dict.fromkeys(known)}
        for k, shard in enumerate(in_chunks(list(markets), self.venue.live.books_a_connection)):
            self.lines.append(
                Line(
                    f"{self.name}-{k}",
                    self,
                    {spelling: markets[spelling] for spelling in shard},
                    rule=self.venue.wire.rule,
                    source=settings.source,
                    random=self.feeds.random,
                )
            )
        live = self.venue.live
        self.attempts = Attempts(max(CONNECTS, 2 * len(self.lines)), CONNECTS_SEC, (live.connects, live.connects_sec))

    # ---- what a line asks for ----

    def new_stream(self, line: Line, *, holds: bool) -> Stream:
        """A stream on a connection of the market that no living stream has."""
        taken = {stream.conn for stream in line.streams}
        conns = self.free_conns.setdefault(line.name, [])
        conn = next((conn for conn in conns if conn not in taken), None)
        if conn is None:
            name = f"{line.name}{'ab'[len(conns)]}"
            conn = self.feeds.market.connect(self.name, name, address=self.settings.ws)
            conns.append(conn)
        settings = self.settings
        session = Session(
            self.venue,
            line.spellings,
            source=settings.source,
            depth=settings.depth,
            idle_doublings=line.idle_doublings,
        )
        feeds = self.feeds
        stream = Stream(
            feeds.market,
            session,
            conn,
            clock=feeds.clock,
            observer=feeds.observer,
            pulse=feeds.pulse,
            look=feeds.look,
            holds=holds,
        )
        feeds.sessions[conn] = session
        return stream

    async def open(self, stream: Stream) -> None:
        """Raises LinkError."""
        tls = self.feeds.tls if self.settings.ws.startswith("wss:") else None
        await self.feeds.transport.open(self.settings.ws, stream, tls)

    def copied(self, spelling: str) -> Answer | None:
        """See Shop. Its address says that the venue did not give it."""
        call = self.venue.snapshot_call(spelling, self.settings.depth)
        market = self.feeds.market
        book = market.book(market.index(self.name, spelling), most=COPIED_LEVELS)
        if call is None or book is None or not book["synced"]:
            return None
        body = self.venue.depth_answer(book["seq"], book["bids"], book["asks"])
        return None if body is None else Answer(f"{self.gateway.rest}{call.path}&copied=1", body)

    async def snapshot(self, spelling: str) -> Answer | None:
        """A depth snapshot; None where there is none to be had now."""
        call = self.venue.snapshot_call(spelling, self.settings.depth)
        if call is None:
            return None
        try:
            return await self.gateway.get(call)
        except CallFailed as error:
            self.feeds.warn(str(error))
            return None

    def take_snapshot(self, answer: Answer) -> None:
        """Give a REST answer to the market."""
        now_ns = self.feeds.clock.now_ns()
        self.feeds.observer.fetched(self.name, answer.url, answer.body, now_ns)
        self.feeds.market.on_http(self.name, answer.url, answer.body, now_ns)

    def fetch(self, line: Line, spelling: str) -> None:
        """Fetch a snapshot, unless one is on its way."""
        if spelling not in self.fetching:
            self.fetching.add(spelling)
            self.start(f"{line.name} snapshot {spelling}", self._fetch(spelling))

    async def _fetch(self, spelling: str) -> None:
        try:
            answer = await self.snapshot(spelling)
        finally:
            self.fetching.discard(spelling)
        if answer is not None:
            self.take_snapshot(answer)
            self.feeds.look()
            self.feeds.pulse()

    def start(self, name: str, work: Coroutine[Any, Any, object]) -> None:
        """See Shop."""
        self.feeds.supervisor.start(name, work, may_end=True)

    def now_ns(self) -> int:
        """See Shop."""
        return self.feeds.clock.now_ns()

    async def sleep(self, seconds: float) -> None:
        """See Shop."""
        await self.feeds.sleep(seconds)

    async def close(self) -> None:
        """Its streams are closed by then; the HTTP client is everybody's."""

    # ---- readings ----

    def _waits_for_budget(self) -> bool:
        calls = (self.venue.snapshot_call(spelling, self.settings.depth) for spelling in self.fetching)
        call = next(calls, None)
        return call is not None and self.gateway.budget.wait_ns(call.weight, self.feeds.clock.mono_ns()) > 0

    def status(self, states: Sequence[State], lost: Counter[tuple[str, str]], now_ns: int) -> FeedStatus:
        """How the feed is."""
        markets = [market for line in self.lines for market in line.markets.values()]
        known = [states[market] for market in markets if market < len(states)]
        synced = sum(state[SYNCED] for state in known)
        streams = [stream for line in self.lines for stream in line.streams]
        heard = [stream.session.heard_ns for stream in streams if stream.session.heard_ns]
        connected = sum(stream.link is not None and not stream.ended.done() for stream in streams)
        resyncs = {reason: count for (venue, reason), count in lost.items() if venue == self.name}
        notices = [text for stream in streams for text in stream.session.notices]
        reasons = [*notices, *(line.last_reason for line in self.lines if line.last_reason)]
        state = "down" if not connected else "syncing" if synced < len(markets) else "up"
        if state == "up" and self.lag.is_late:
            state, reasons = "degraded", ["frames come late by the venue's own clock"]
        elif state == "up" and self.gateway.is_degraded:
            state, reasons = "degraded", ["the REST interface does not answer; rules of instruments may be old"]
        elif state == "syncing" and self.gateway.breaker.state is not Circuit.CLOSED:
            reasons = ["the REST interface fails again and again; it is left alone for a while (open circuit)"]
        elif state == "syncing" and self._waits_for_budget():
            reasons = [f"snapshots of {len(self.fetching)} books wait for the venue's request budget"]
        offset = self.clock.offset(now_ns)
        return FeedStatus(
            venue=self.name,
            state=state,
            reason="" if state == "up" else next(reversed(reasons), ""),
            connections=len(self.lines),
            connections_up=connected,
            books=len(markets),
            books_synced=synced,
            missing=self.missing,
            closed=self.closed,
            frames=self.feeds.market.hot.venue_counts(self.feeds.market.venue(self.name).index)["frames"],
            last_frame_age_sec=(now_ns - max(heard)) / SEC if heard else None,
            lag_p50_ns=self.lag.p50_ns,
            lag_p99_ns=self.lag.p99_ns,
            clock_offset_ns=None if offset is None else offset.offset_ns,
            clock_shift_ns=None if offset is None else offset.shift_ns,
            reconnects=sum(max(0, line.connects - 1) for line in self.lines),
            replaced=sum(line.replaced for line in self.lines),
            resubscribed=sum(line.resubscribed for line in self.lines),
            resyncs=sum(resyncs.values()),
            resync_reasons=resyncs,
            rest_calls=self.gateway.calls,
            rest_failures={str(category): count for category, count in self.gateway.failures.items() if count},
            circuit_open=self.gateway.breaker.state is not Circuit.CLOSED,
            is_degraded=self.gateway.is_degraded or self.lag.is_late,
            is_slow_path=False,
            notices=tuple(notices),
        )


class Feeds:
    """All venues.

    `pulse` is called after each socket read and whenever books changed otherwise; `on_death(name, error)` hears of a
    task that ended by itself; `warn` takes a line for the log; `sleep` waits by the clock's time; `shelf` keeps
    instrument lists from run to run.
    """

    def __init__(
        self,
        market: Market,
        settings: Sequence[FeedSettings],
        *,
        transport: Transport,
        http: Http,
        clock: Clock,
        random: Callable[[], float],
        on_death: Callable[[str, BaseException | None], None],
        observer: Observer | None = None,
        pulse: Callable[[], None] = lambda: None,
        warn: Callable[[str], None] = lambda _: None,
        tls: ssl.SSLContext | None = None,
        shelf: Shelf | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.market = market
        self.transport = transport
        self.http = http
        self.clock = clock
        self.random = random
        self.observer = observer or Observer()
        self.pulse = pulse
        self.warn = warn
        self.shelf = shelf
        self.tls = tls or ssl.create_default_context()
        self.sleep = sleep
        self.supervisor = Supervisor(on_death)
        self.health = BookHealth(market)
        self.sessions: dict[int, Session] = {}  # by the market's connection
        self.line_of: dict[tuple[str, str], Line | GenericLine] = {}  # by venue and symbol
        self.on_learned: Callable[[str], None] = lambda _venue: None  # hears of every new instrument list
        self.feeds = [GenericFeed(one, self) if isinstance(one.venue, Generic) else Feed(one, self) for one in settings]
        market.on_control = self._on_control

    async def start(self) -> None:
        """Learn the instruments, then connect everywhere; returns when all lines are on their way."""
        await asyncio.gather(*(feed.learn() for feed in self.feeds))
        for feed in self.feeds:
            feed.build()
            for line in feed.lines:
                self.line_of |= {(feed.name, self.market.listings[k].symbol): line for k in line.books}
        self.supervisor.start("feeds", self._watch())
        for feed in self.feeds:
            self.supervisor.start(f"{feed.name} instruments", feed.keep_learning())
            self.supervisor.start(f"{feed.name} time", feed.keep_time(), may_end=True)
            for line in feed.lines:
                self.supervisor.start(line.name, line.run())

    async def stop(self) -> None:
        """Close all connections and end all tasks."""
        streams = [stream for feed in self.feeds for line in feed.lines for stream in line.streams]
        await self.supervisor.stop()
        for stream in streams:
            stream.close_for("stopped")
        ends = [stream.ended for stream in streams if stream.link is not None]
        if ends:
            await asyncio.wait(ends, timeout=1.0)
        for feed in self.feeds:
            await feed.close()

    async def _watch(self) -> None:
        while True:
            self.tick(self.clock.now_ns())
            await self.sleep(TICK_SEC)

    def tick(self, now_ns: int) -> None:
        """Move the market's clock, tell what became of the books, let every session decide."""
        self.market.on_time(now_ns)
        self.look()
        self.health.refresh()
        for feed in self.feeds:
            for line in feed.lines:
                line.step(now_ns, self.health.states)
        self.pulse()

    def look(self) -> None:
        """Tell what became of the books since the last look, and let their sessions decide at once; costs nothing when
        nothing did."""
        if self.market.pairs.changes == self.health.seen:
            return
        facts = self.health.look()
        for fact in facts:
            self.observer.fact(fact)
            if isinstance(fact, BookLost) and fact.reason == "checksum":  # its text has the list's decimals
                self.doubt_rules(fact.venue)
        lines = {line for fact in facts if (line := self.line_of.get((fact.venue, fact.symbol))) is not None}
        for line in lines:
            line.step(self.clock.now_ns(), self.health.states)

    def hear_lags(self, venue: str, lags_ns: Sequence[int] | NDArray[np.int64]) -> None:
        """Receive times minus exchange times of a venue's frames, once a second or so: what is degraded comes of it."""
        for feed in self.feeds:
            if feed.name == venue:
                feed.lag.look(lags_ns, feed.clock.offset(self.clock.now_ns()))

    def _on_control(self, conn: int, fact: Any) -> None:
        session = self.sessions.get(conn)
        if session is not None:
            session.told(fact)

    def gateway(self, venue: str) -> Gateway:
        """The way to a venue's REST interface, for orders too: one budget. Raises StopIteration for a venue
        without one."""
        return next(feed.gateway for feed in self.feeds if isinstance(feed, Feed) and feed.name == venue)

    def learn_fee(self, venue: str, taker_bps: Decimal) -> None:
        """What an account pays a venue: from now on opportunities are reckoned with it, in a replay too."""
        now_ns, said = self.clock.now_ns(), str(taker_bps).encode()
        self.observer.fetched(venue, TAKER_FEE, said, now_ns)
        self.market.on_http(venue, TAKER_FEE, said, now_ns)
        self.pulse()

    def doubt_rules(self, venue: str) -> None:
        """See Feed."""
        for feed in self.feeds:
            if isinstance(feed, Feed) and feed.name == venue:
                feed.doubt_rules()

    def close_market(self, venue: str, symbol: str) -> None:
        """See Feed."""
        for feed in self.feeds:
            if isinstance(feed, Feed) and feed.name == venue:
                feed.close_market(symbol)

    def clock_offset_ns(self, venue: str) -> int:
        """A venue's clock minus ours, as far as it was measured; 0 where it was not."""
        now_ns = self.clock.now_ns()
        offsets = [feed.clock.offset(now_ns) for feed in self.feeds if feed.name == venue]
        return next((offset.offset_ns for offset in offsets if offset is not None), 0)

    def round_trip_ns(self, venue: str) -> int | None:
        """How long the quickest recent question for a venue's time took; None where none was answered."""
        offsets = [feed.clock.offset(self.clock.now_ns()) for feed in self.feeds if feed.name == venue]
        return next((2 * offset.error_ns for offset in offsets if offset is not None), None)

    def statuses(self) -> list[FeedStatus]:
        """How each venue's feed is, as of the last look at the books."""
        now_ns = self.clock.now_ns()
        return [feed.status(self.health.states, self.health.lost, now_ns) for feed in self.feeds]

    def status(self) -> dict[str, dict[str, Any]]:
        """The same as plain data, by venue."""
        return {status.venue: asdict(status) for status in self.statuses()}
