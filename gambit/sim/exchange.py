"""One simulated venue without sockets: requests and messages in, replies and frames out, time told from outside.

Rules: nothing happens but in a call, and every call says what time it is; whoever calls then empties `outbox`. All
clients share one address, so rate budgets are the venue's as a client of it would feel them.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

import msgspec

from gambit.sim.accounts import ACCOUNTS, Account, start_amount
from gambit.sim.arguments import BadFault
from gambit.sim.delivery import Delivery, SessionFaults
from gambit.sim.desk import Desk
from gambit.sim.dialect import (
    BEAT_NS,
    MILLI_NS,
    Channel,
    Dialect,
    Frame,
    Outage,
    Ping,
    Pong,
    Reply,
    Report,
    Request,
    Session,
)
from gambit.sim.ledger import Ledger
from gambit.sim.market import SECOND_NS, Event, Top, Trade
from gambit.sim.matching import MatchingBook
from gambit.sim.standing import change_standing
from gambit.sim.verbs import Fault, FaultOrder, Faults, check, is_standing

BAN_AFTER = 20  # requests during a limit before it becomes a ban
BAN_S = 120
MAINTENANCE_S = 60  # that a venue says it will take


class Silence(Enum):
    """What a client gets instead of a reply."""

    HANG = "hang"  # nothing, the connection stays open
    CUT = "cut"  # the connection is closed


Answer = Callable[[Reply | Silence], None]


class Exchange:
    """A venue: its books, its customers, its language, its faults."""

    def __init__(
        self,
        dialect: Callable[[Exchange], Dialect],
        venue: str,
        books: Mapping[str, MatchingBook],
        *,
        seed: int,
        now_ns: int,
        accounts: Sequence[str] = ACCOUNTS,
    ) -> None:
        """`books` by gambit's symbol; every account starts with start_amount() of every asset."""
        self.venue = venue
        self.books = books
        self.now_ns = now_ns
        self.offset_ns = 0  # of the venue's clock
        self.seed = seed
        self.faults = Faults(seed)
        self.ledger = Ledger(venue, {symbol: book.instrument for symbol, book in books.items()})
        self.sessions: dict[int, Session] = {}
        self.outbox: dict[int, Session] = {}
        self.accounts: dict[str, Account] = {}
        self.desk = Desk(books, self.accounts, self.faults, self.ledger, self.at)
        self.desk.on_report = self._report
        self.desk.on_trades = self._traded
        self._delivery = Delivery(self.faults, seed)
        self._session_faults = SessionFaults(self.faults, self.at)
        self._agenda: list[tuple[int, int, Callable[[int], None]]] = []
        self._count = 0
        self._blocked: tuple[Outage, int, int] | None = None  # kind, until, requests since
        self._spent: dict[tuple[str, str], tuple[int, int]] = {}
        self._standing: list[
            tuple[Fault, Callable[[], None]]
        ] = []  # faults that changed how it stands, what heals them
        self._tops = {symbol: (book.bids.best(), book.asks.best()) for symbol, book in books.items()}
        self.dialect = dialect(self)
        self._delivery.dialect = self.dialect
        self._open_accounts(accounts)
        self.at(now_ns + BEAT_NS, self._beat)

    @property
    def clock_ns(self) -> int:
        """The venue's time."""
        return self.now_ns + self.offset_ns

    @property
    def texts(self) -> int:
        """Market-data texts handed to connections so far."""
        return self._delivery.texts

    # --- time

    def at(self, ts_ns: int, action: Callable[[int], None]) -> None:
        """Run `action` when it is `ts_ns`."""
        self._count += 1
        heapq.heappush(self._agenda, (ts_ns, self._count, action))

    def next_ns(self) -> int:
        """When something happens by itself."""
        return self._agenda[0][0]

    def advance(self, now_ns: int) -> None:
        """Let all happen that is due."""
        while self._agenda[0][0] <= now_ns:
            at_ns, _count, action = heapq.heappop(self._agenda)
            self.set_time(at_ns)
            action(at_ns)
        self.set_time(now_ns)

    def move_clock(self, ns: int) -> None:
        """Set the venue's clock by that much; how long connections have been silent stays what it was."""
        self.offset_ns += ns
        for session in self.sessions.values():
            session.shift(ns)

    def set_time(self, now_ns: int) -> None:
        """It is `now_ns`; time never goes back."""
        self.now_ns = max(self.now_ns, now_ns)
        self.desk.now_ns = self.clock_ns

    # --- market data

    def hear(self, symbol: str, events: Sequence[Event]) -> None:
        """What the market did to a book, which now stands at the last of it."""
        book = self.books[symbol]
        for event in events:
            if self.offset_ns:
                event = msgspec.structs.replace(event, ts_ns=event.ts_ns + self.offset_ns)
            if isinstance(event, Top):
                self._tops[symbol] = event.bid, event.ask
            self._delivery.hear(event, self.now_ns)
        if self.faults.any("cross") and self.faults.fire("cross", self.now_ns, {"symbol": symbol}):
            book.cross()
            self.flush(symbol)

    def flush(self, symbol: str) -> None:
        """Tell what has changed in a book and was not told yet."""
        change = self.books[symbol].take_change(self.clock_ns)
        if change is not None:
            self._delivery.hear(change, self.now_ns)

    def subscribe(self, session: Session, name: str, symbol: str, make: Callable[[], Channel]) -> bool:
        """Join a session to a channel of a symbol ("" for none); False when it was there already.

        `make` builds the channel for the first subscriber of its `name`, which is the dialect's to choose.
        """
        if symbol:
            self.flush(symbol)
        return self._delivery.subscribe(session, name, make, self.clock_ns)

    def unsubscribe(self, session: Session, name: str) -> bool:
        """Part a session from a channel; False when it was not there."""
        return self._delivery.unsubscribe(session, name)

    def publish(self, channel: Channel, texts: list[str]) -> None:
        """Send texts of a channel to all its subscribers: heartbeats, slow snapshots."""
        self._delivery.send(channel, texts, self.now_ns)

    def push(self, session: Session, text: str, report: Report) -> None:
        """Send what happened to an order to a private session."""
        self._delivery.push(session, text, report, self.now_ns)

    # --- connections

    def open(self, request: Request, now_ns: int) -> Session | Reply | Silence:
        """A WebSocket upgrade."""
        self.advance(now_ns)
        if self.faults.fire("refuse", now_ns, {"path": request.path, "method": "WS"}):
            return Silence.CUT
        if self._is_maintained("all", {"path": request.path, "method": "WS"}):
            return self.dialect.outage("maintenance", MAINTENANCE_S, self.clock_ns)
        session = self.dialect.open(request, self.clock_ns)
        if isinstance(session, Session):
            self.ledger.connections += 1
            self._count += 1
            session.number = self._count
            session.outbox = self.outbox
            session.facts["session"] = session.number
            self.sessions[session.number] = session
            if session.out:
                self.outbox[session.number] = session
        return session

    def closed(self, session: Session) -> None:
        """A connection is gone."""
        session.is_closed = True
        self._delivery.leave(session)
        self.sessions.pop(session.number, None)
        self.outbox.pop(session.number, None)

    def receive(self, session: Session, frame: str | bytes | Ping | Pong, now_ns: int) -> None:
        """A message of a client."""
        self.advance(now_ns)
        if session.is_mute or session.is_closed:
            return
        if isinstance(frame, Ping):
            session.send(Pong(frame.payload))
            return
        if isinstance(frame, Pong):
            self.dialect.receive(session, frame, self.clock_ns)
            return
        action = self.dialect.action(frame)
        if not action:
            self.dialect.receive(session, frame, self.clock_ns)
            return
        text = frame if isinstance(frame, str) else frame.decode(errors="replace")
        entry = self.ledger.asked(self.now_ns, f"ws:{session.number}", "WS", session.path, text, action)
        facts = {**session.facts, "method": "WS", "action": action}
        entry["outcome"] = self._receive_troubled(session, frame, facts)

    def _receive_troubled(self, session: Session, frame: str | bytes, facts: Mapping[str, Any]) -> str:
        fire, now_ns = self.faults.fire, self.now_ns
        if fire("drop_request", now_ns, facts):
            return "dropped"
        if fire("close_after_read", now_ns, facts):
            session.cut(1006)
            return "cut"
        fault = fire("hold", now_ns, facts)
        if fault is not None:
            self.at(now_ns + _ms(fault), lambda _ns: self.dialect.receive(session, frame, self.clock_ns))
            return "held"
        self.dialect.receive(session, frame, self.clock_ns)
        if session.out and fire("drop_reply", now_ns, facts):
            session.out.pop()
            return "reply dropped"
        fault = fire("delay", now_ns, facts) if session.out else None
        if fault is not None:
            reply = session.out.pop()
            self.at(now_ns + _ms(fault), lambda _ns: session.send(reply))
            return "reply delayed"
        return "answered"

    def drain(self) -> Iterator[tuple[Session, list[Frame]]]:
        """Everything that is to be sent now, by connection."""
        while self.outbox:
            number, session = self.outbox.popitem()
            if number in self.sessions:
                self._session_faults.befall(session, self.now_ns)
                self.outbox.pop(number, None)
            frames = session.take()
            yield session, self._session_faults.passes(session, frames, self.now_ns)

    # --- requests

    def http(self, request: Request, now_ns: int, answer: Answer) -> None:
        """A REST request; `answer` is called once, now or later."""
        self.advance(now_ns)
        action = self.dialect.action(request)
        body = request.body.decode(errors="replace")
        text = f"{request.query}\n{body}" if request.query and body else request.query or body
        entry = self.ledger.asked(self.now_ns, "http", request.method, request.path, text, action)
        facts = {"method": request.method, "path": request.path, "action": action}
        entry["outcome"] = self._http_troubled(request, facts, answer)

    def _http_troubled(self, request: Request, facts: Mapping[str, Any], answer: Answer) -> str:
        fire, now_ns = self.faults.fire, self.now_ns
        if fire("refuse", now_ns, facts):
            answer(Silence.CUT)
            return "refused"
        if fire("drop_request", now_ns, facts):
            answer(Silence.HANG)
            return "dropped"
        fault = fire("close_after_read", now_ns, facts)
        if fault is not None:
            outcome = f"cut after {self._process(request).status}" if _applied(fault) else "cut"
            answer(Silence.CUT)
            return outcome
        fault = fire("http", now_ns, facts)
        if fault is not None:
            outcome = f"{self._process(request).status} told as" if _applied(fault) else "not done, told as"
            reply = _forced_reply(fault)
            answer(reply)
            return f"{outcome} {reply.status}"
        fault = fire("hold", now_ns, facts)
        if fault is not None:
            self.at(now_ns + _ms(fault), lambda _ns: answer(self._process(request)))
            return "held"
        reply = self._process(request)
        if fire("drop_reply", now_ns, facts):
            answer(Silence.HANG)
            return f"{reply.status} dropped"
        fault = fire("delay", now_ns, facts)
        if fault is not None:
            self.at(now_ns + _ms(fault), lambda _ns: answer(reply))
            return f"{reply.status} delayed"
        answer(reply)
        return str(reply.status)

    def _process(self, request: Request) -> Reply:
        trouble = self.trouble(request.method, request.path, self.dialect.action(request))
        if trouble is not None:
            return self.dialect.outage(*trouble, self.clock_ns)
        return self.dialect.http(request, self.clock_ns)

    def trouble(self, method: str, path: str, action: str) -> tuple[Outage, int] | None:
        """Why no request is served now, and for how many seconds; asked for every request of either kind."""
        facts = {"path": path, "method": method, "action": action}
        fault = self.faults.fire("limit", self.now_ns, facts)
        if fault is not None:
            kind: Outage = "ban" if int(fault.number_arg("status", 429)) == 418 else "limit"
            self.block(kind, int(fault.number_arg("seconds", 1)))
        if self._blocked is not None:
            kind, until_ns, requests = self._blocked
            if self.now_ns < until_ns:
                self._blocked = kind, until_ns, requests + 1
                if kind == "limit" and requests >= BAN_AFTER:
                    self.block("ban", BAN_S)
                self.ledger.spent("requests while blocked", requests + 1, 1)
                return kind, -((self.now_ns - until_ns) // SECOND_NS)
            self._blocked = None
        if self._is_maintained("all", facts) or (action and self._is_maintained("orders", facts)):
            return "maintenance", MAINTENANCE_S
        return None

    def _is_maintained(self, scope: str, facts: Mapping[str, Any]) -> bool:
        """Whether there is maintenance of that scope."""
        fire = self.faults.fire
        return (
            fire("maintenance", self.now_ns, facts, unless=lambda f: f.args.get("scope", "orders") != scope) is not None
        )

    def block(self, kind: Outage, seconds: int) -> None:
        """Answer nothing but that there were too many requests for so long."""
        self._blocked = kind, self.now_ns + seconds * SECOND_NS, 0

    def spend(self, budget: str, owner: str, weight: int, limit: int, window_ms: int) -> int:
        """Charge a rate budget of fixed windows; what has been used of the present one, maybe more than `limit`."""
        window = self.clock_ns // (window_ms * MILLI_NS)
        since, used = self._spent.get((budget, owner), (window, 0))
        used = weight + (used if since == window else 0)
        self._spent[budget, owner] = window, used
        self.ledger.spent(budget, used, limit)
        return used

    def seconds_left(self, window_ms: int) -> int:
        """Whole seconds, at least 1, until a window of fixed length ends."""
        window_ns = window_ms * MILLI_NS
        return max(1, -((self.clock_ns % window_ns - window_ns) // SECOND_NS))

    # --- faults

    def strike(self, order: FaultOrder) -> Fault:
        """Put a fault in force.

        Raises BadFault for one that cannot be.
        """
        self.check(order)
        fault = self.faults.add(order, self.now_ns)
        if is_standing(order):
            self._standing.append((fault, change_standing(self, fault)))
            fault.fired, fault.stands = 1, True
            if order.for_ms is not None:
                self.at(self.now_ns + order.for_ms * MILLI_NS, lambda _ns: self._heal(fault))
        return fault

    def check(self, order: FaultOrder) -> None:
        """Raise BadFault for a fault that strike() would refuse."""
        check(order)
        for name, known in (("symbol", self.books), ("account", self.accounts)):
            wanted = order.match.get(name, order.args.get(name))
            if wanted and wanted not in known:
                raise BadFault(f"{order.kind}: no {name} {wanted!r}; there are {', '.join(known)}")
        code = str(order.args.get("code", 0)).removeprefix("-")
        if order.kind == "reject" and self.dialect.has_numeric_codes and not code.isdecimal():
            raise BadFault(f"reject: code is {order.args['code']!r}, {self.venue} has whole numbers")

    def clear(self) -> None:
        """Forget all faults and undo what they changed."""
        self.faults.clear()
        self._blocked = None
        while self._standing:
            self._heal(self._standing[-1][0])
        for session in self.sessions.values():
            session.release()

    def _heal(self, fault: Fault) -> None:
        """Undo a fault that changed how the venue stands; those that came after it stand on what it leaves."""
        fault.stands = False
        place = next((at for at, (one, _undo) in enumerate(self._standing) if one is fault), len(self._standing))
        later, self._standing = self._standing[place:], self._standing[:place]
        for _one, undo in reversed(later):
            undo()
        for one, _undo in later[1:]:
            self._standing.append((one, change_standing(self, one)))

    # --- inside

    def _open_accounts(self, names: Sequence[str]) -> None:
        assets = {asset for book in self.books.values() for asset in (book.instrument.base, book.instrument.quote)}
        for index, name in enumerate(names):
            credentials = self.dialect.credentials(name, self.seed)
            account = self.accounts[name] = Account(name, 1_000_001 + index, credentials, self.dialect.fees)
            for asset in sorted(assets):
                account.balance(asset).free = start_amount(asset)

    def _beat(self, ts_ns: int) -> None:
        self.at(ts_ns + BEAT_NS, self._beat)
        for session in list(self.sessions.values()):
            self._session_faults.befall(session, ts_ns)
            is_private = session.account is not None or session.facts.get("private")
            if is_private and self.faults.fire("expire_session", ts_ns, session.facts):
                self.dialect.expire(session)
        self.dialect.beat(self.clock_ns)

    def _traded(self, symbol: str, trades: list[Trade]) -> None:
        """An account changed a book: trades and the new touch are told at once, levels with the next Change."""
        book = self.books[symbol]
        for trade in trades:
            self._delivery.hear(trade, self.now_ns)
        touch = book.bids.best(), book.asks.best()
        if touch != self._tops[symbol]:
            self._tops[symbol] = touch
            self._delivery.hear(book.top(self.clock_ns), self.now_ns)

    def _report(self, report: Report) -> None:
        self.dialect.report(report)


def _ms(fault: Fault) -> int:
    return int(fault.number_arg("ms", 1000) * MILLI_NS)


def _applied(fault: Fault) -> bool:
    return fault.args.get("applied", False) in (True, "yes")


def _forced_reply(fault: Fault) -> Reply:
    args = fault.args
    kind = str(args.get("content_type", "application/json"))
    headers = {str(name): str(value) for name, value in dict(args.get("headers", {})).items()}
    return Reply(str(args.get("body", "")), int(fault.number_arg("status", 503)), headers, kind)
