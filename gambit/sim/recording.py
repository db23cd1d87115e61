"""What a client of the simulated venues would have recorded: connects, requests, frames, REST answers, in order.

Rules: pure and seeded, one record at a time, memory flat. Frames of one connection keep their order; the receive time
is the exchange time plus that venue's way. Records come in order of `ts`.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from random import Random
from typing import Any

import msgspec

from gambit.sim.dialects import HEADER_VENUES, QUIRKS, connect
from gambit.sim.market import SECOND_NS, Book, Change, Event, Market, Pace, Top
from gambit.sim.wire import MILLI_NS, Wire, WireOptions

Record = dict[str, Any]  # one line of a capture: contract.md, "Captures"

START_NS = 1_750_000_000 * SECOND_NS
PACES = {
    "binance": Pace(50 * MILLI_NS, 0.02, 2),
    "binance-us": Pace(50 * MILLI_NS, 0.02, 2),
    "binance-usdm": Pace(50 * MILLI_NS, 0.02, 2),
    "binance-coinm": Pace(50 * MILLI_NS, 0.02, 2),
    "okx": Pace(50 * MILLI_NS, 0.05, 2),
    "bybit": Pace(50 * MILLI_NS, 0.1, 1),
    "bybit-linear": Pace(50 * MILLI_NS, 0.1, 1),
    "kraken": Pace(60 * MILLI_NS, 0.9, 1),
    "coinbase": Pace(50 * MILLI_NS, 0.9, 1),
}
CONNECTION_INCIDENTS = ("reconnect", "reopen", "takeover")
QUIET_INCIDENT = "quiet"
CROSSED_INCIDENT = "crossed"
QUIRK_INCIDENTS = tuple(sorted({kind for kinds in QUIRKS.values() for kind in kinds}))
INCIDENTS = (*CONNECTION_INCIDENTS, QUIET_INCIDENT, CROSSED_INCIDENT, *QUIRK_INCIDENTS)


class Incident(msgspec.Struct, frozen=True):
    """Something a venue lawfully does, `at_ns` after the start: one of INCIDENTS.

    reconnect: close, connect, subscribe again. reopen: the same without a close record. takeover: a second connection
    delivers from now on, the first is closed later. quiet: nothing happens on a book for `for_ns`. crossed: the venue
    itself sends a crossed book, with the right checksum. The others are the quirks of a venue's wire.
    """

    kind: str
    venue: str
    symbol: str
    at_ns: int
    for_ns: int = 2 * SECOND_NS


def paces(venues: Sequence[str], rate: float | None) -> dict[str, Pace]:
    """How often books of these venues change; `rate` is book frames a second per book, None for what is usual there."""
    usual = {venue: PACES[venue] for venue in venues}
    if rate is None:
        return usual
    return {venue: Pace(int(SECOND_NS / rate / pace.steps), pace.jitter, pace.steps) for venue, pace in usual.items()}


class _Session:
    """One venue's client: its current connection and how far away the venue is."""

    __slots__ = ("conn", "connections", "is_live", "last_ns", "venue", "way_ns", "wire")

    def __init__(self, venue: str, way_ns: int) -> None:
        self.venue = venue
        self.way_ns = way_ns
        self.connections = 1
        self.conn = f"{venue}.ws.1"
        self.last_ns = 0
        self.is_live = False
        self.wire: Wire


class Recording:
    """A client of every venue of a market, recording all it hears."""

    def __init__(
        self,
        market: Market,
        options: Mapping[str, WireOptions],
        *,
        seed: int,
        seconds: float,
        incidents: Sequence[Incident] = (),
        lists: bool = True,
    ) -> None:
        """`options` by venue (all venues of the market); `lists` says whether instrument lists are fetched."""
        self._market = market
        self._options = options
        self._rng = Random(seed)
        self._end_ns = market.start_ns + int(seconds * SECOND_NS)
        self._agenda: list[tuple[int, int, Callable[[int], None]]] = []
        self._pending: list[tuple[int, int, Record]] = []
        self._count = 0
        self._lists = lists
        self._sessions = {venue: _Session(venue, self._ms(3, 40)) for venue in options}
        self._names_venues = len(options) > 1
        for index, session in enumerate(self._sessions.values()):
            self._at(market.start_ns + index * 7 * MILLI_NS, partial(self._enter, session))
        for incident in incidents:
            self._at(market.start_ns + incident.at_ns, partial(self._befall, incident))

    def header(self) -> Record:
        """Line 1 of the capture."""
        venues = list(self._options)
        venue = "multi" if self._names_venues else HEADER_VENUES.get(venues[0], venues[0])
        note = f"simulated market: {', '.join(venues)}"
        return {"t": "header", "v": 1, "venue": venue, "source": ["gambit sim"], "clock": "simulated", "note": note}

    def records(self) -> Iterator[Record]:
        """All records after the header."""
        market = self._market
        while market.next_ns() < self._end_ns:
            now_ns = market.next_ns()
            yield from self._until(now_ns)
            for event in market.tick():
                self._hear(event)
        yield from self._until(self._end_ns)
        while self._pending:
            yield heapq.heappop(self._pending)[2]

    def _until(self, ts_ns: int) -> Iterator[Record]:
        while self._agenda and self._agenda[0][0] <= ts_ns:
            at_ns, _count, action = heapq.heappop(self._agenda)
            action(at_ns)
        while self._pending and self._pending[0][0] <= ts_ns:
            yield heapq.heappop(self._pending)[2]

    def _hear(self, event: Event) -> None:
        session = self._sessions[event.venue]
        if not session.is_live:
            return
        wire = session.wire
        if isinstance(event, Change):
            frames = wire.change(event)
        elif isinstance(event, Top):
            frames = wire.top(event) if self._options[event.venue].tops else []
        else:
            frames = wire.trade(event) if self._options[event.venue].trades else []
        self._receive(session, frames, event.ts_ns)

    def _receive(self, session: _Session, frames: Sequence[str], ts_ns: int) -> None:
        for text in frames:
            recv_ns = ts_ns + session.way_ns + int(self._rng.random() * 2 * MILLI_NS)
            recv_ns = max(recv_ns, session.last_ns + 1000)
            session.last_ns = recv_ns
            self._write("recv", session, recv_ns, data=text)

    def _write(self, kind: str, session: _Session, ts_ns: int, conn: str = "", **fields: str) -> None:
        record: Record = {"t": kind, "ts": ts_ns, "conn": conn or session.conn}
        if self._names_venues:
            record["venue"] = session.venue
        record.update(fields)
        self._count += 1
        heapq.heappush(self._pending, (ts_ns, self._count, record))

    def _at(self, ts_ns: int, action: Callable[[int], None]) -> None:
        self._count += 1
        heapq.heappush(self._agenda, (ts_ns, self._count, action))

    def _ms(self, low: float, high: float) -> int:
        return int((low + (high - low) * self._rng.random()) * MILLI_NS)

    def _books(self, venue: str) -> list[Book]:
        return [book for (name, _symbol), book in self._market.books.items() if name == venue]

    def _enter(self, session: _Session, ts_ns: int) -> None:
        """Fetch the lists, then connect."""
        session.wire = self._new_wire(session)
        if self._lists:
            for url, text in session.wire.lists(ts_ns):
                self._write("http", session, ts_ns + self._ms(20, 60), f"{session.venue}.http.1", url=url, data=text)
        self._at(ts_ns + self._ms(80, 160), partial(self._connect, session, session.wire, session.conn))
        self._at(ts_ns + SECOND_NS, partial(self._beat, session))
        self._at(ts_ns + self._ms(15_000, 20_000), partial(self._ping, session))

    def _new_wire(self, session: _Session) -> Wire:
        books = self._books(session.venue)
        return connect(session.venue, books, self._options[session.venue], self._rng.randrange(1 << 32))

    def _connect(self, session: _Session, wire: Wire, conn: str, ts_ns: int) -> None:
        self._write("connect", session, ts_ns, conn, addr=wire.addr)
        sent_ns = ts_ns + self._ms(20, 40)
        for number, text in enumerate(wire.requests()):
            self._write("send", session, sent_ns + number * 200_000, conn, addr=wire.addr, data=text)
        self._at(sent_ns + self._ms(10, 40), partial(self._go_live, session, wire, conn))

    def _go_live(self, session: _Session, wire: Wire, conn: str, ts_ns: int) -> None:
        if conn != session.conn:
            session.last_ns = 0
            self._at(ts_ns + self._ms(300, 600), partial(self._close, session, session.conn))
        session.conn = conn
        session.wire = wire
        session.is_live = True
        self._receive(session, wire.answers(ts_ns), ts_ns)
        for book in self._books(session.venue):
            fetch = partial(self._fetch_depth, session, wire, book.instrument.symbol)
            self._at(ts_ns + self._ms(120, 500), fetch)

    def _fetch_depth(self, session: _Session, wire: Wire, symbol: str, ts_ns: int) -> None:
        answer = wire.depth_answer(symbol, ts_ns)
        if answer is not None:
            url, text = answer
            recv_ns = ts_ns + session.way_ns + self._ms(20, 150)
            self._write("http", session, recv_ns, f"{session.venue}.http.1", url=url, data=text)

    def _close(self, session: _Session, conn: str, ts_ns: int) -> None:
        self._write("close", session, max(ts_ns, session.last_ns + 1000), conn)

    def _beat(self, session: _Session, ts_ns: int) -> None:
        if session.is_live:
            self._receive(session, session.wire.beat(ts_ns), ts_ns)
        self._at(ts_ns + SECOND_NS, partial(self._beat, session))

    def _ping(self, session: _Session, ts_ns: int) -> None:
        said = session.wire.ping(ts_ns) if session.is_live else None
        if said is not None:
            self._write("send", session, ts_ns, addr=session.wire.addr, data=said[0])
            self._receive(session, [said[1]], ts_ns)
        self._at(ts_ns + 20 * SECOND_NS, partial(self._ping, session))

    def _befall(self, incident: Incident, ts_ns: int) -> None:
        session = self._sessions[incident.venue]
        if incident.kind == QUIET_INCIDENT:
            self._market.books[incident.venue, incident.symbol].quiet_until_ns = ts_ns + incident.for_ns
        elif incident.kind == CROSSED_INCIDENT:
            book = self._market.books[incident.venue, incident.symbol]
            book.cross()
            change = book.take_change(ts_ns)
            if change is not None:
                self._hear(change)
        elif incident.kind not in CONNECTION_INCIDENTS:
            if session.is_live and incident.kind in session.wire.quirks:
                self._receive(session, session.wire.quirk(incident.kind, incident.symbol, ts_ns), ts_ns)
        elif session.is_live:
            self._connect_again(incident.kind, session, ts_ns)

    def _connect_again(self, kind: str, session: _Session, ts_ns: int) -> None:
        conn = session.conn
        if kind == "takeover":
            session.connections += 1
            conn = f"{session.venue}.ws.{session.connections}"
        else:
            session.is_live = False
        if kind == "reconnect":
            self._close(session, conn, ts_ns + session.way_ns)
        wait_ns = session.way_ns + self._ms(100, 800)
        self._at(ts_ns + wait_ns, partial(self._connect, session, self._new_wire(session), conn))
