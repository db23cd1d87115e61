"""What is said to a venue about orders, and what it says back: nouns that the five order languages share.

A language (OrderLanguage) is pure: requests come out as bytes, answers and frames go in as bytes and come out as
reports. Whoever owns the sockets sends each request once, keeps what it asked (Asked) until it is answered, and turns
reports into facts (gambit.events.orders), where `key` is the client id and spellings are symbols:

| report | fact |
|---|---|
| Accepted | Acked |
| Refused | Rejected |
| Unclear | OutcomeUnknown; so does a request that got no answer at all |
| Traded | Filled; without `client_id` found by `venue_id`, without `exec_id` (HTTP only) named by synthetic_exec_id |
| OrderState on a stream, or of a create or cancel | by status Cancelled, Expired, Rejected, else Acked if not yet |
| OrderState in answer to a query | OrderFound; to open orders: OrderFound or ForeignOrderSeen |
| OrderState where `is_cumulative` | as above; a larger `cum_qty` asks for fills(), the only source of executions |
| Absent | OrderMissing |
| CancelTaken, CancelRefused | nothing (the end comes as an OrderState); CancelRejected |
| BalanceSet, a page of Traded | BalanceRead, FillsRead, once the last page is there |
| Garbled, StreamLost | reconnect, then reconcile by REST: open orders, fills, balances |

Where a state ended without a `cum_qty`, the venue did not say: ask. A nonce is larger than every one used before with
the same key, over all connections and restarts (Kraken insists); it is also the id of a WebSocket request.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Final, Literal, Protocol

import msgspec

from gambit.model import Category, Instrument, Side, TimeInForce
from gambit.venues.failure import WAIT_MAX_SEC

Terms = TimeInForce | Literal["post_only"]
What = Literal[
    "place", "cancel", "query", "open_orders", "fills", "balances", "fees", "cancel_all_after", "token", "logon",
    "rights",
]  # fmt: skip
Means = Literal[
    "other", "already_sent", "missing", "done", "funds", "post_only", "clock", "nonce", "session", "market_state",
    "too_late", "filters", "news",
]  # fmt: skip
Status = Literal["accepted", "open", "partial", "filled", "cancelled", "expired", "refused", "unknown"]
Cause = Literal["", "asked", "venue", "ioc", "self_trade", "post_only"]

CLIENT_ID_CHARS_MAX: Final = 18  # of [A-Za-z0-9]: what every venue takes
NS_A_SEC: Final = 1_000_000_000
RETRYABLE: Final = frozenset({Category.RATE_LIMIT, Category.TRANSIENT_NETWORK, Category.VENDOR_5XX})


class Lane(StrEnum):
    """What a request is for; a part of each budget is kept for cancels."""

    CREATE = "create"
    CANCEL = "cancel"
    READ = "read"


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """A budget of a venue: `units` come back within `per_sec`; empty lanes: all requests draw on it. One that `decays`
    is a counter that falls all the time, any other a window. A cancel adds
    `cancel_units` to it, and does not wait for it."""

    units: int
    per_sec: float
    lanes: tuple[Lane, ...] = ()
    of: Literal["ip", "account", "market"] = "account"
    counts: Literal["weight", "requests"] = "requests"
    decays: bool = False
    cancel_units: int = 0


class Stamp(msgspec.Struct, frozen=True):
    """When a request is made, ns since the epoch on the venue's clock, and its nonce."""

    now_ns: int
    nonce: int


class Ref(msgspec.Struct, frozen=True):
    """An order of ours by its client id, and by the venue's own id where that is known."""

    client_id: str
    venue_id: str = ""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a request asked for; needed to read its answer."""

    what: What
    nonce: int
    now_ns: int
    spelling: str = ""
    client_id: str = ""
    venue_id: str = ""
    page: str = ""
    since_ns: int = 0
    others: tuple[Ref, ...] = ()  # asked about with it


def asked_for(
    what: What,
    at: Stamp,
    instrument: Instrument | None = None,
    ref: Ref | None = None,
    page: str = "",
    since_ns: int = 0,
) -> Asked:
    """What a request asks for."""
    return Asked(
        what=what,
        nonce=at.nonce,
        now_ns=at.now_ns,
        spelling=instrument.spelling if instrument else "",
        client_id=ref.client_id if ref else "",
        venue_id=ref.venue_id if ref else "",
        page=page,
        since_ns=since_ns,
    )


class RestRequest(msgspec.Struct, frozen=True):
    """A signed request. `path` holds the query as it was signed: nobody may encode it again."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    weight: int
    lane: Lane
    asked: Asked


class Frame(msgspec.Struct, frozen=True):
    """A WebSocket text to send, and what it asks."""

    data: bytes
    lane: Lane
    asked: Asked


UNREADABLE: Final = "unreadable"  # the code of a Fault: an answer came and could not be read


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Why a call did not give what was asked.

    `execution_unknown`: an order call may have been carried out. `is_definite`: it certainly was not. Where neither is
    set the words alone do not tell, and an order call counts as unknown all the same. `wait_sec` and `until_ns` (ns
    since the epoch, by the venue's clock) say how long the venue wants to be left alone, 0 where it does not;
    `of_address`: by everything that comes from this address, not by this kind of request only.
    """

    category: Category
    code: str
    text: str
    execution_unknown: bool = False
    is_definite: bool = False
    means: Means = "other"
    wait_sec: float = 0.0
    until_ns: int = 0
    of_address: bool = False

    def wait_ns(self, now_ns: int) -> int:
        """How long the venue wants to be left alone, from an instant of its clock on; 0 where it does not say. No ban
        is longer than WAIT_MAX_SEC, whatever an answer says."""
        told_ns = max(int(min(self.wait_sec, WAIT_MAX_SEC) * NS_A_SEC), self.until_ns - now_ns, 0)
        return min(told_ns, int(WAIT_MAX_SEC * NS_A_SEC))

    @property
    def retryable(self) -> bool:
        """Whether the same call may be made again, later, without asking first."""
        return not self.execution_unknown and self.category in RETRYABLE


class AboutOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What reports on one order have; either id may be empty, not both."""

    client_id: str = ""
    venue_id: str = ""


class Accepted(AboutOrder, frozen=True, kw_only=True):
    """The venue took the order. Not `on_book`: only its gateway did, and the book may still refuse."""

    on_book: bool


class Refused(AboutOrder, frozen=True, kw_only=True):
    """The venue positively refused the order: it never was."""

    fault: Fault


class Unclear(AboutOrder, frozen=True, kw_only=True):
    """Nobody knows what became of a create or cancel; ask."""

    during: Literal["create", "cancel"]
    fault: Fault


class CancelTaken(AboutOrder, frozen=True, kw_only=True):
    """The venue took the cancel; the order's end is another report."""


class CancelRefused(AboutOrder, frozen=True, kw_only=True):
    """The venue did not cancel: done, unknown, or a bad request. Ask what became of the order."""

    fault: Fault


class Traded(AboutOrder, frozen=True, kw_only=True):
    """One execution. Fees are positive when charged. `exec_id` is empty where not even HTTP has it."""

    spelling: str
    side: Side
    exec_id: str
    qty: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str
    exec_ns: int
    is_maker: bool | None = None


class OrderState(AboutOrder, frozen=True, kw_only=True):
    """What a venue says an order is now; None and empty where it does not say.

    "accepted" is not yet on the book. `is_cumulative`: the venue sends no executions, `cum_qty`, `avg_price` and
    `cum_fee` are all there is. `cause` says why an order ended otherwise than filled.
    """

    status: Status
    spelling: str = ""
    side: Side | None = None
    qty: Decimal | None = None
    price: Decimal | None = None
    cum_qty: Decimal | None = None
    avg_price: Decimal | None = None
    cum_fee: Decimal | None = None
    cause: Cause = ""
    text: str = ""
    is_cumulative: bool = False


class Absent(AboutOrder, frozen=True, kw_only=True):
    """The venue knows no such order at the time of asking, which proves nothing by itself (R2)."""

    searched_history: bool


class BalanceSet(msgspec.Struct, frozen=True, kw_only=True):
    """Balances by asset; not `is_whole`: only the assets that changed. `locked` is None where the venue does not say
    how much of `free` open orders hold."""

    free: dict[str, Decimal]
    locked: dict[str, Decimal] | None
    is_whole: bool


class FeeRates(msgspec.Struct, frozen=True, kw_only=True):
    """Fees as fractions of the notional, positive when charged."""

    spelling: str
    maker: Decimal
    taker: Decimal


class DeadManSet(msgspec.Struct, frozen=True):
    """The venue will cancel all orders by itself at `trigger_ns`; 0: it will not, or does not say when."""

    trigger_ns: int


class SessionToken(msgspec.Struct, frozen=True):
    """What private frames carry, to be used within `good_sec`."""

    text: str
    good_sec: int

    def __repr__(self) -> str:
        return "SessionToken(...)"


class KeyRights(msgspec.Struct, frozen=True, kw_only=True):
    """What the keys in use may do; None where the venue does not say. `is_bound`: from listed addresses only."""

    trades: bool | None
    withdraws: bool | None
    is_bound: bool | None


class Used(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a limit the venue counts as used: of the account's with this lane and period; without a lane, of the
    weight by address. `limit` is what it allows there; None where it does not say."""

    lane: Lane | None
    per_sec: float
    units: int
    limit: int | None = None


class StreamReady(msgspec.Struct, frozen=True):
    """The venue confirmed a logon or a subscription; `channel` is empty for a logon."""

    channel: str = ""


class StreamFault(msgspec.Struct, frozen=True):
    """A logon, a subscription or a request that cannot be named was refused."""

    fault: Fault


class StreamLost(msgspec.Struct, frozen=True):
    """Something was missed, or the connection is about to end."""

    reason: str


class Garbled(msgspec.Struct, frozen=True):
    """A frame nobody could read; what it said is lost."""

    reason: str


Report = (
    Accepted
    | Refused
    | Unclear
    | CancelTaken
    | CancelRefused
    | Traded
    | OrderState
    | Absent
    | BalanceSet
    | FeeRates
    | DeadManSet
    | SessionToken
    | KeyRights
    | Used
    | StreamReady
    | StreamFault
    | StreamLost
    | Garbled
)


class Answer(msgspec.Struct, frozen=True):
    """A REST answer read: reports, the next page to ask for (empty: this was the last), or why there is none."""

    reports: tuple[Report, ...] = ()
    page: str = ""
    fault: Fault | None = None


class Heard(msgspec.Struct, frozen=True):
    """A frame read: reports, nonces of requests that are answered by it, frames to send because of it."""

    reports: tuple[Report, ...] = ()
    answered: tuple[int, ...] = ()
    send: tuple[bytes, ...] = ()


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """Credentials, as the venue gave them out; never shown."""

    key: str
    secret: str
    passphrase: str = ""

    def __repr__(self) -> str:
        return "Keys(...)"


class Addresses(msgspec.Struct, frozen=True, kw_only=True):
    """Where private requests and lines go: scheme and host; empty where there is no test network."""

    rest: str
    ws: str
    test_rest: str = ""
    test_ws: str = ""


class Placing(Protocol):
    """A place request whose constant parts are encoded once per account, market, side and terms. Both methods raise
    ValueError for a client id the venue does not take and for prices and quantities off its steps."""

    def rest(self, client_id: str, qty: Decimal, price: Decimal, at: Stamp) -> RestRequest:
        """The request over HTTP."""
        ...

    def frame(self, client_id: str, qty: Decimal, price: Decimal, at: Stamp) -> Frame:
        """The request over the entry line. Raises NoSuchWay where the venue has none."""
        ...


class Line(Protocol):
    """One private connection and what it remembers between frames. `path` is behind the venue's address."""

    path: str

    def opening(self, at: Stamp) -> Sequence[bytes]:
        """What is sent first."""
        ...

    def ping(self, at: Stamp) -> bytes:
        """What keeps it alive; empty where a WebSocket ping does."""
        ...

    def probe(self, at: Stamp) -> bytes:  # noqa: ARG002
        """What a line that lost its logon in silence answers as StreamFault (category auth), or is logged on by again;
        anything else is no news. Empty where there is no such thing."""
        return b""

    def hear(self, data: bytes, pending: Mapping[int, Asked]) -> Heard:
        """What a frame says; `pending` are the requests not answered yet, by nonce. Never raises."""
        ...


class OrderLanguage(Protocol):
    """One account's order language at one venue. Methods that make requests raise ValueError for what the venue does
    not take. `window_ns` is how long after its Stamp a create may still be carried out; None: nobody knows. The methods
    with a body answer for the venues to which the question means nothing."""

    name: str
    addresses: Addresses
    window_ns: int | None
    limits: tuple[Limit, ...]
    wants_nonces_in_order: bool = False  # whether a nonce that comes behind a larger one is refused

    def placing(self, instrument: Instrument, side: Side, terms: Terms) -> Placing:
        """The template of orders; make it once."""
        ...

    def cancel(self, instrument: Instrument, ref: Ref, at: Stamp) -> RestRequest:
        """By the client id, or by the venue's where it insists. Raises NoSuchWay where that is not known."""
        ...

    def cancel_frame(self, instrument: Instrument, ref: Ref, at: Stamp) -> Frame:  # noqa: ARG002
        """The same over the entry line. Raises NoSuchWay."""
        raise NoSuchWay(f"{self.name} takes no orders over a line")

    def query(self, instrument: Instrument, ref: Ref, since_ns: int, at: Stamp, page: str = "") -> RestRequest:
        """What became of an order that was sent at `since_ns` or later; follow the pages until it is found."""
        ...

    def query_together(self, refs: Sequence[Ref], at: Stamp) -> RestRequest | None:  # noqa: ARG002
        """What became of several orders, by the venue's ids; None where each is asked about by itself."""
        return None

    def open_orders(self, instrument: Instrument | None, at: Stamp, page: str = "") -> RestRequest:
        """All open orders, of one market or of the account."""
        ...

    def fills(self, instrument: Instrument, since_ns: int, at: Stamp, page: str = "") -> RestRequest:
        """Executions of a market from a time on; executions may come on two pages."""
        ...

    def balances(self, at: Stamp, page: str = "") -> RestRequest:
        """All balances."""
        ...

    def fee_rates(self, instrument: Instrument, at: Stamp) -> RestRequest:
        """The account's fees on a market."""
        ...

    def cancel_all_after(self, seconds: int, at: Stamp) -> RestRequest | None:  # noqa: ARG002
        """The dead-man switch: the venue cancels everything in so many seconds, 0 turns it off; None where the venue
        has none."""
        return None

    def rights(self, at: Stamp) -> RestRequest | None:  # noqa: ARG002
        """What the keys may do; None where the venue does not tell."""
        return None

    def token(self, at: Stamp) -> RestRequest | None:  # noqa: ARG002
        """The request of a session token, where lines need one; `use_token` takes the answer's."""
        return None

    def learn(self, instruments: Iterable[Instrument]) -> None:  # noqa: ARG002
        """The venue's list is new; what was known stays known, for answers may name what is listed no more."""
        return

    def use_token(self, text: str) -> None:  # noqa: ARG002
        """Lines and entry frames made from now on carry this token; empty: there is none."""
        return

    def prepare(self, at: Stamp) -> None:  # noqa: ARG002
        """Does what of the next create can be done before it is known; to be called when nothing is urgent."""
        return

    def read(self, asked: Asked, status: int, headers: Mapping[str, str], body: bytes) -> Answer:
        """What an HTTP answer says; header names in lower case. Never raises."""
        ...

    def used(self, headers: Mapping[str, str], lane: Lane) -> Sequence[Used]:  # noqa: ARG002
        """What an HTTP answer says of the account's limits, to a request of this lane; header names in lower case."""
        return ()

    def renewed(self, request: RestRequest, nonce: int) -> RestRequest:  # noqa: ARG002
        """The same request with another nonce, signed anew; needed where nonces have to arrive in their order."""
        return request

    def is_out_of_order(self, body: bytes) -> bool:  # noqa: ARG002
        """Whether an answer refuses a request for its nonce alone: it was not carried out."""
        return False

    def stream(self) -> Line:
        """A new private connection that tells about orders, fills and balances."""
        ...

    def entry(self) -> Line | None:
        """A new connection for order entry; where that is the same connection as the stream, or there is none, None."""
        return None


class NoSuchWay(ValueError):
    """The venue has no such request, or not with what is known."""


class Steps:
    """A market's tick and lot, and numbers as its venue wants them: exact decimal text on the steps."""

    __slots__ = ("_lot", "_lot_unit", "_name", "_tick", "_tick_unit")

    def __init__(self, venue: str, instrument: Instrument) -> None:
        if instrument.tick is None or instrument.lot is None:
            raise ValueError(f"{venue} {instrument.spelling}: tick and lot are unknown; read the instrument list first")
        self._name = f"{venue} {instrument.spelling}"
        self._tick, self._lot = instrument.tick, instrument.lot
        self._tick_unit, self._lot_unit = _unit(instrument.tick), _unit(instrument.lot)

    def price(self, price: Decimal) -> str:
        """A price's text. Raises ValueError off the tick or not above zero."""
        return self._text(price, self._tick, self._tick_unit, "price", "tick")

    def qty(self, qty: Decimal) -> str:
        """A quantity's text. Raises ValueError off the lot or not above zero."""
        return self._text(qty, self._lot, self._lot_unit, "quantity", "lot")

    def _text(self, number: Decimal, step: Decimal, unit: Decimal, noun: str, step_noun: str) -> str:
        try:
            if number > 0 and not number % step:
                text = str(number.quantize(unit))  # has an exponent only far below one
                return f"{Decimal(text):f}" if "E" in text else text
        except InvalidOperation as error:  # not a number, infinite, or longer than arithmetic is exact for
            raise ValueError(f"{self._name}: {number} is no {noun}") from error
        raise ValueError(f"{self._name}: the {noun} {number} is no positive multiple of the {step_noun} {step}")


def _unit(step: Decimal) -> Decimal:
    """The last decimal that a multiple of a step can have."""
    exponent = step.normalize().as_tuple().exponent
    return Decimal(1).scaleb(min(exponent, 0)) if isinstance(exponent, int) else Decimal(1)


def checked_client_id(venue: str, client_id: str, pattern: re.Pattern[str]) -> str:
    """The id itself. Raises ValueError when the venue would not take it."""
    if pattern.fullmatch(client_id) is None:
        raise ValueError(f"{venue}: the client order id {client_id!r} is not {pattern.pattern}")
    return client_id
