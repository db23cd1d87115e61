"""What a venue's dialect offers an exchange, and what passes between the two and whoever holds the sockets.

How to write one (binance_exchange.py is the example):

The exchange gives: `desk` (place, cancel, cancel_all, find, orders_of, fills_of, rules), `books`, `accounts`,
`sessions`, `clock_ns` (the venue's time), subscribe / unsubscribe / push, spend / block for rate budgets.

1. `open()` answers a WebSocket upgrade with a Session (or a Reply that refuses it); `receive()` answers a message of
   the client with `session.send(...)`.
2. Market data: `exchange.subscribe(session, name, symbol, make)` joins the session to the one Channel of that name,
   which `make()` builds for its first subscriber. A Channel turns one kind of market event of one symbol into
   texts, once for all subscribers; `opening` gives a newcomer the snapshot. Pending changes are told before it is
   asked, so the book, the wire's windows and all older subscribers stand at the same id. Wire writers (*_wire.py) do
   the texts. A connection-wide number or envelope goes in by `seal(session, channel, text)`.
3. REST: `http()` gives the Reply. `exchange.desk` does the work in ticks and lots and raises Refusal with a reason of
   REASONS that the dialect puts in the venue's words; `exchange.spend()` charges rate budgets. Order entry over a
   WebSocket: send the reply last, after all that the order pushes on the same session (a lost reply takes the last).
4. Private streams: `report()` is called for everything that happens to an order, in order, with the order as it
   stands after it; send with `exchange.push(session, text, report)` to sessions whose `account` is the order's.
5. `beat()` is called every BEAT_NS: heartbeats, slow snapshots, idle cuts.

Times are the venue's own: `now_ns` already has the venue's clock offset.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, Protocol

import msgspec

from gambit.sim.accounts import Account, Credentials, FeeRule
from gambit.sim.market import Event, Pace
from gambit.sim.matching import Order

MILLI_NS = 1_000_000
BEAT_NS = 100 * MILLI_NS

REASONS = (
    "symbol", "tick", "lot", "min_lots", "max_lots", "min_cost", "price_band", "funds", "duplicate", "halted",
    "cancel_only", "unknown_order", "order_over", "would_take", "forced",
)  # fmt: skip
ReportKind = Literal["new", "trade", "amended", "canceled", "expired", "rejected", "bust"]
Outage = Literal["limit", "ban", "maintenance", "internal"]


class Request(msgspec.Struct, frozen=True):
    """One HTTP request; header names in lower case, `path` and `query` as they came on the wire."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    addr: str = "127.0.0.1"


class Reply(msgspec.Struct, frozen=True):
    """One HTTP answer."""

    body: str
    status: int = 200
    headers: Mapping[str, str] = {}
    content_type: str = "application/json"


class Close(msgspec.Struct, frozen=True):
    """The venue closes a WebSocket with a close frame; code 1006 stands for none at all."""

    code: int = 1000
    reason: str = ""


class Ping(msgspec.Struct, frozen=True):
    """A control ping."""

    payload: bytes = b""


class Pong(msgspec.Struct, frozen=True):
    """A control pong."""

    payload: bytes = b""


Frame = str | bytes | Close | Ping | Pong


class Refusal(Exception):
    """An order, cancel or query that the exchange does not accept: a reason of REASONS, and what a person reads.

    `words` are the arguments of a forced reject (code, msg ...), which a dialect says as they are.
    """

    def __init__(self, reason: str, message: str = "", words: Mapping[str, Any] | None = None) -> None:
        super().__init__(message or reason)
        self.reason = reason
        self.message = message
        self.words = words or {}


class OrderTerms(msgspec.Struct, frozen=True):
    """A client's order in exact numbers. `lots` is 0 for a market buy bounded by `quote` units of money."""

    symbol: str
    buys: bool
    lots: int
    price_ticks: int = 0
    tif: Literal["gtc", "ioc", "fok"] = "gtc"
    is_market: bool = False
    post_only: bool = False
    quote: int = 0
    self_trade: Literal["none", "taker", "maker", "both"] = "maker"
    client_id: str = ""
    words: dict[str, str] = {}


class Fill:
    """One account's side of an execution. `lots` and `cost` are negative in nothing; a bust marks it and undoes it."""

    __slots__ = (
        "account", "buys", "cost", "exec_id", "fee", "fee_asset", "is_busted", "is_maker", "lots", "order_id",
        "price_ticks", "symbol", "trade_id", "ts_ns",
    )  # fmt: skip

    def __init__(
        self, order: Order, *, exec_id: int, trade_id: int, price_ticks: int, lots: int, is_maker: bool, ts_ns: int
    ) -> None:
        self.account = order.account
        self.order_id = order.order_id
        self.symbol = order.symbol
        self.buys = order.buys
        self.exec_id = exec_id  # unique on the venue; trade_id is the public one, unique per symbol
        self.trade_id = trade_id
        self.price_ticks = price_ticks
        self.lots = lots
        self.cost = price_ticks * lots
        self.is_maker = is_maker
        self.ts_ns = ts_ns
        self.fee = 0
        self.fee_asset = ""
        self.is_busted = False


class Report(msgspec.Struct, frozen=True):
    """Something that happened to an order: the order as it is now, its fill if it was one, the balances it touched.

    Kinds: "new" (accepted), "trade", "amended", "canceled", "expired", "rejected" (after acceptance), "bust".
    `cancel_id` is what the client called the cancel request.
    """

    kind: ReportKind
    order: Order
    fill: Fill | None
    assets: Sequence[str]
    ts_ns: int
    cancel_id: str = ""


class Channel:
    """One stream of one symbol, written once for all who subscribed."""

    __slots__ = ("encode", "is_private", "name", "opening", "subscribers", "symbol", "wants")

    def __init__(
        self,
        name: str,
        symbol: str,
        wants: type[Event],
        encode: Callable[[Any], list[str]],
        opening: Callable[[int], list[str]] | None = None,
    ) -> None:
        """`encode` words an event of kind `wants`; `opening` gives what a newcomer gets first, at a time in ns."""
        self.name = name
        self.symbol = symbol
        self.wants = wants
        self.encode = encode
        self.opening = opening
        self.subscribers: list[Session] = []


class Session:
    """One WebSocket connection as the exchange sees it; a dialect may derive its own with more to remember."""

    __slots__ = (
        "account", "channels", "due", "due_ns", "facts", "held", "is_closed", "is_mute", "number", "opened_ns", "out",
        "outbox", "path", "query",
    )  # fmt: skip

    moments: ClassVar[tuple[str, ...]] = ("opened_ns",)  # its attributes that are times of the venue's clock

    def __init__(self, request: Request, now_ns: int) -> None:
        self.path = request.path
        self.query = request.query
        self.opened_ns = now_ns
        self.number = 0  # given by the exchange
        self.account: Account | None = None  # set by a login
        self.channels: dict[str, Channel] = {}
        self.out: list[Frame] = []  # to be sent
        self.due: list[Frame] = []  # was late, and leaves now
        self.due_ns = 0  # when the last of what is late leaves
        self.outbox: dict[int, Session] = {}  # the exchange's, of sessions that have something to be sent
        self.is_closed = False
        self.is_mute = False  # the connection is a black hole from now on
        self.held: list[Frame] | None = None  # kept back by a burst fault
        self.facts: dict[str, Any] = {"path": request.path, "account": "", "private": False}  # faults match these

    def shift(self, ns: int) -> None:
        """The venue's clock was set by that much: what happened here happened as long ago as before."""
        for name in self.moments:
            setattr(self, name, getattr(self, name) + ns)

    def send(self, frame: Frame) -> None:
        """Send a frame; nothing leaves after a Close."""
        if self.is_closed:
            return
        if self.held is not None:
            self.held.append(frame)
            return
        self.out.append(frame)
        self.outbox[self.number] = self
        self.is_closed = isinstance(frame, Close)

    def login(self, account: Account) -> None:
        """The client has proved who it is."""
        self.account = account
        self.facts |= {"account": account.name, "private": True}

    def logout(self) -> None:
        """The client is nobody from now on."""
        self.account = None
        self.facts |= {"account": "", "private": False}

    def release(self) -> None:
        """Send all at once what was kept back."""
        frames, self.held = self.held or [], None
        for frame in frames:
            self.send(frame)

    def arrive(self, frames: list[Frame]) -> None:
        """Frames that were late are on time now."""
        self.due += frames
        self.outbox[self.number] = self

    def cut(self, code: int, reason: str = "") -> None:
        """Close the connection whatever is kept back; code 1006 without a close frame."""
        self.held = None
        self.send(Close(code, reason))

    def take(self) -> list[Frame]:
        """All that is to be sent now, once."""
        frames, self.out = self.out, []
        return frames


def parsed(text: str | bytes, parse_float: Callable[[str], Any] = float) -> Any:
    """What a client's JSON says.

    Raises ValueError for what is no JSON, too deep or no text: half a pair of surrogates is none.
    """
    try:
        said = json.loads(text, parse_float=parse_float)
        if (b"\\ud" if isinstance(text, bytes) else "\\ud") in text.lower():  # type: ignore[operator]
            json.dumps(said, ensure_ascii=False, default=str).encode()
        return said
    except RecursionError as error:
        raise ValueError("too deep") from error


class Dialect(Protocol):
    """A venue's language over an exchange, which is handed to its constructor."""

    venue: str
    pace: Pace
    fees: FeeRule
    has_numeric_codes: bool  # of what it refuses

    def credentials(self, account: str, seed: int) -> Credentials:
        """An account's keys, the same for the same seed."""
        ...

    def addresses(self, http: str, ws: str) -> dict[str, str]:
        """The client's addresses under two roots (http://host:port, ws://host:port): rest, ws, ws_private."""
        ...

    def open(self, request: Request, now_ns: int) -> Session | Reply:
        """A WebSocket upgrade: the new session, or the answer that refuses it."""
        ...

    def receive(self, session: Session, frame: str | bytes | Pong, now_ns: int) -> None:
        """A message of a client, or its pong; pings are answered before they come here."""
        ...

    def http(self, request: Request, now_ns: int) -> Reply:
        """A REST request, signature and rate budget included."""
        ...

    def action(self, request: Request | str | bytes) -> str:
        """What a request or a message is for: "place", "cancel", "query", or "" for all else.

        Faults of requests match it, and only messages that have one meet them and are kept in the ledger.
        """
        ...

    def outage(self, kind: Outage, seconds: int, now_ns: int) -> Reply:
        """How the venue words that it is not to be had."""
        ...

    def seal(self, session: Session, channel: Channel, text: str) -> str:
        """What a connection puts around or into a channel's text."""
        ...

    def strip_id(self, text: str) -> str:
        """A private push without the id of its execution."""
        ...

    def report(self, report: Report) -> None:
        """Something happened to an order: tell its owner's sessions."""
        ...

    def expire(self, session: Session) -> None:
        """The session's login is no longer good: tell it as the venue would, or forget it silently."""
        ...

    def beat(self, now_ns: int) -> None:
        """BEAT_NS have passed."""
        ...
