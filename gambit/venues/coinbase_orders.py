"""Coinbase Advanced Trade's order language: JSON over HTTP with a token for each request, and a line that only tells.

1. A token names method and path, not the body, and lives two minutes: the next create's can be signed beforehand.
2. `success` alone decides; UNKNOWN_FAILURE_REASON beside it means nothing.
3. Time in force and type are the key inside order_configuration; the only limit IOC is sor_limit_ioc.
4. There is no query and no cancel by client id: without the venue's id the list of orders is searched.
5. The user channel tells cumulative states and no executions; those are read over HTTP. An order that filled in part
   stays OPEN, one that ends early is CANCELLED.
6. `sequence_num` counts all messages of a connection.
Source: coinbase.md 5 to 8.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from gambit.model import Instrument, Side
from gambit.venues.failure import AUTH, PERMANENT, wait_of
from gambit.venues.key_rights import coinbase_rights
from gambit.venues.orders import (
    Absent,
    Accepted,
    Addresses,
    Answer,
    Asked,
    BalanceSet,
    CancelTaken,
    Cause,
    Fault,
    FeeRates,
    Frame,
    Garbled,
    Heard,
    Keys,
    Lane,
    Limit,
    Line,
    NoSuchWay,
    OrderLanguage,
    OrderState,
    Placing,
    Ref,
    Report,
    RestRequest,
    Stamp,
    Status,
    Steps,
    StreamFault,
    StreamLost,
    StreamReady,
    Terms,
    Traded,
    What,
    asked_for,
    checked_client_id,
)
from gambit.venues.reading import (
    Malformed,
    Row,
    above_zero,
    amount,
    at_least_zero,
    failed,
    flag,
    ident,
    inner,
    kept,
    loaded,
    maybe_above_zero,
    maybe_amount,
    maybe_at_least_zero,
    needed_id,
    needed_text,
    never_was,
    only_row,
    rfc3339_ns,
    rows,
    same_order,
    side_of,
    text_of,
    told_by,
    unreadable,
    whole,
)
from gambit.venues.refusals import coinbase_fault, http_fault, shown
from gambit.venues.signing import JWT_SEC, coinbase_key, jwt, okx_time, percent_encoded
from gambit.venues.wire import packed

CLIENT_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,36}")
ROOT: Final = "/api/v3/brokerage"
HOST: Final = "api.coinbase.com"
NS_A_SEC: Final = 1_000_000_000
SPARE_NS: Final = (JWT_SEC - 20) * NS_A_SEC  # how long a token signed beforehand is used
MARGIN_NS: Final = 60 * NS_A_SEC  # before the sending, in the search of an order by its time
OPEN_STATES: Final = ("OPEN", "PENDING", "QUEUED", "CANCEL_QUEUED")  # asked for one by one: OPEN goes with no other
STATUSES: Final[Mapping[str, Status]] = {
    "PENDING": "accepted",
    "QUEUED": "accepted",
    "EDIT_QUEUED": "accepted",
    "OPEN": "open",
    "CANCEL_QUEUED": "open",
    "FILLED": "filled",
    "CANCELLED": "cancelled",
    "EXPIRED": "expired",
    "FAILED": "refused",
    "UNKNOWN_ORDER_STATUS": "unknown",
}
_AT_ONCE: Final = ("IMMEDIATE_OR_CANCEL", "FILL_OR_KILL")
_CONFIGURATIONS: Final[Mapping[Terms, tuple[str, str]]] = {
    "ioc": ("sor_limit_ioc", ""),
    "fok": ("limit_limit_fok", ""),
    "gtc": ("limit_limit_gtc", ',"post_only":false'),
    "post_only": ("limit_limit_gtc", ',"post_only":true'),
}


class CoinbaseOrders(OrderLanguage):
    """An account at Coinbase Advanced Trade. Nothing bounds when a create may be carried out. `host` is what tokens
    name; it is the real one behind any proxy. Raises signing.UnusableKey."""

    name = "coinbase"
    addresses = Addresses(rest=f"https://{HOST}", ws="wss://advanced-trade-ws-user.coinbase.com")
    limits = (Limit(units=25, per_sec=1),)
    window_ns: int | None = None

    def __init__(self, keys: Keys, *, host: str = HOST) -> None:
        self._name = keys.key
        self._key = coinbase_key(keys.secret)
        self._host = host
        self._spare: tuple[int, str] | None = None  # when it was signed, and the token of the next create

    def placing(self, instrument: Instrument, side: Side, terms: Terms) -> "CoinbasePlacing":
        """A limit order."""
        return CoinbasePlacing(self, instrument, side, terms)

    def prepare(self, at: Stamp) -> None:
        """Signs the next create's token, which takes longer than everything else about it."""
        self._spare = (at.now_ns, self.token_of("POST", f"{ROOT}/orders", at))

    def create_token(self, at: Stamp) -> str:
        """The token of a create: the one signed beforehand, once, while it is young; else a new one."""
        spare, self._spare = self._spare, None
        if spare is not None and 0 <= at.now_ns - spare[0] <= SPARE_NS:
            return spare[1]
        return self.token_of("POST", f"{ROOT}/orders", at)

    def cancel(self, instrument: Instrument, ref: Ref, at: Stamp) -> RestRequest:
        """By the venue's id only."""
        if not ref.venue_id:
            raise NoSuchWay(f"coinbase: {ref.client_id} can be cancelled by the venue's id only; query it first")
        body = packed({"order_ids": [ref.venue_id]})
        asked = asked_for("cancel", at, instrument, ref)
        return self._request("POST", "/orders/batch_cancel", "", body, Lane.CANCEL, asked)

    def query(self, instrument: Instrument, ref: Ref, since_ns: int, at: Stamp, page: str = "") -> RestRequest:
        """By the venue's id; without it among all orders from a minute before it was sent."""
        asked = asked_for("query", at, instrument, ref, page, since_ns)
        if ref.venue_id:
            return self._get(f"/orders/historical/{percent_encoded(ref.venue_id)}", "", asked)
        start = percent_encoded(okx_time(max(since_ns - MARGIN_NS, 0)))
        query = f"product_ids={percent_encoded(instrument.spelling)}&start_date={start}&limit=250"
        return self._get(
            "/orders/historical/batch", query + (f"&cursor={percent_encoded(page)}" if page else ""), asked
        )

    def open_orders(self, instrument: Instrument | None, at: Stamp, page: str = "") -> RestRequest:
        """State by state; `page` is the state's number and the venue's cursor."""
        number, _, cursor = (page or "0:").partition(":")
        query = f"order_status={OPEN_STATES[int(number)]}&limit=250"
        query += f"&product_ids={percent_encoded(instrument.spelling)}" if instrument else ""
        query += f"&cursor={percent_encoded(cursor)}" if cursor else ""
        return self._get("/orders/historical/batch", query, asked_for("open_orders", at, instrument, page=page))

    def fills(self, instrument: Instrument, since_ns: int, at: Stamp, page: str = "") -> RestRequest:
        """The newest first; `page` is the venue's cursor."""
        query = f"product_ids={percent_encoded(instrument.spelling)}"
        query += f"&start_sequence_timestamp={percent_encoded(okx_time(since_ns))}&limit=250"
        query += f"&cursor={percent_encoded(page)}" if page else ""
        return self._get("/orders/historical/fills", query, asked_for("fills", at, instrument, None, page, since_ns))

    def balances(self, at: Stamp, page: str = "") -> RestRequest:
        """250 wallets a page."""
        query = "limit=250" + (f"&cursor={percent_encoded(page)}" if page else "")
        return self._get("/accounts", query, asked_for("balances", at, page=page))

    def fee_rates(self, instrument: Instrument, at: Stamp) -> RestRequest:
        """The account's tier, the same for all spot markets."""
        return self._get("/transaction_summary", "product_type=SPOT", asked_for("fees", at, instrument))

    def rights(self, at: Stamp) -> RestRequest:
        """View, trade, transfer; addresses are not told."""
        return self._get("/key_permissions", "", asked_for("rights", at))

    def stream(self) -> "CoinbaseLine":
        """The user channel."""
        return CoinbaseLine(self)

    def read(self, asked: Asked, status: int, headers: Mapping[str, str], body: bytes) -> Answer:
        """What an HTTP answer says."""
        message = loaded(body)
        if 200 <= status < 300:
            if message is None:
                return unreadable(asked, f"no JSON object: {shown(body[:80])!r}")
            try:
                return _ANSWERS[asked.what](asked, message)
            except Malformed as error:
                return unreadable(asked, str(error))
        fault = _http_fault(message, status, body)
        if asked.what == "query" and fault.means == "missing" and not fault.execution_unknown:
            return Answer((Absent(client_id=asked.client_id, venue_id=asked.venue_id, searched_history=True),))
        return failed(asked, msgspec.structs.replace(fault, wait_sec=wait_of(headers) or 0.0))

    def token_of(self, method: str, path: str, at: Stamp) -> str:
        """A token for one request, without its query; for a line without a path."""
        uri = f"{method} {self._host}{path}" if path else ""
        return jwt(self._name, self._key, at.now_ns // NS_A_SEC, f"{at.nonce:032x}", uri)

    def _get(self, path: str, query: str, asked: Asked) -> RestRequest:
        return self._request("GET", path, query, b"", Lane.READ, asked)

    def _request(self, method: str, path: str, query: str, body: bytes, lane: Lane, asked: Asked) -> RestRequest:
        token = self.token_of(method, ROOT + path, Stamp(asked.now_ns, asked.nonce))
        target = f"{ROOT}{path}{'?' if query else ''}{query}"
        return RestRequest(method, target, headers_of(token), body, 1, lane, asked)


def headers_of(token: str) -> tuple[tuple[str, str], ...]:
    """Of every request."""
    return (("Authorization", f"Bearer {token}"), ("Content-Type", "application/json"))


class CoinbasePlacing(Placing):
    """The constant parts of a limit order."""

    def __init__(self, language: CoinbaseOrders, instrument: Instrument, side: Side, terms: Terms) -> None:
        self.language = language
        self.steps = Steps("coinbase", instrument)
        self.spelling = instrument.spelling
        kind, more = _CONFIGURATIONS[terms]
        self._head = (
            f'{{"product_id":{packed(instrument.spelling).decode()},"side":"{side.upper()}",'
            f'"order_configuration":{{"{kind}":{{"base_size":"'
        )
        self._tail = f'"{more}}}}},"client_order_id":"'

    def rest(self, client_id: str, qty: Decimal, price: Decimal, at: Stamp) -> RestRequest:
        """JSON under a token."""
        checked_client_id("coinbase", client_id, CLIENT_ID)
        amounts = f'{self.steps.qty(qty)}","limit_price":"{self.steps.price(price)}'
        body = f'{self._head}{amounts}{self._tail}{client_id}"}}'.encode()
        asked = Asked(what="place", nonce=at.nonce, now_ns=at.now_ns, spelling=self.spelling, client_id=client_id)
        headers = headers_of(self.language.create_token(at))
        return RestRequest("POST", f"{ROOT}/orders", headers, body, 1, Lane.CREATE, asked)

    def frame(self, client_id: str, qty: Decimal, price: Decimal, at: Stamp) -> Frame:  # noqa: ARG002
        """There is no order entry over a line."""
        raise NoSuchWay("coinbase takes no orders over a line")


class CoinbaseLine(Line):
    """The user channel, kept alive by heartbeats."""

    path = ""

    def __init__(self, language: CoinbaseOrders) -> None:
        self._language = language
        self._last: int | None = None

    def opening(self, at: Stamp) -> Sequence[bytes]:
        """Within five seconds of connecting; a token without a uri."""
        token = self._language.token_of("", "", at)
        return [
            packed({"type": "subscribe", "channel": "user", "jwt": token}),
            packed({"type": "subscribe", "channel": "heartbeats"}),
        ]

    def ping(self, at: Stamp) -> bytes:  # noqa: ARG002
        """Heartbeats come by themselves."""
        return b""

    def probe(self, at: Stamp) -> bytes:
        """The subscription once more: it gives the open orders, and life to a channel that fell silent."""
        return self.opening(at)[0]

    def hear(self, data: bytes, pending: Mapping[int, Asked]) -> Heard:  # noqa: ARG002
        """States of orders; an old number is a repetition and says nothing."""
        message = loaded(data)
        if message is None:
            return Heard((Garbled(f"no JSON object: {shown(data[:80])!r}"),))
        return Heard(kept(self._news(message)))

    def _news(self, message: Row) -> Iterator[Report]:
        if message.get("type") == "error":
            text = text_of(message, "message")
            category = AUTH if "auth" in text.lower() else PERMANENT
            yield StreamFault(Fault(category=category, code="error", text=text))
            return
        number, last = whole(message, "sequence_num"), self._last
        if last is not None and number <= last:
            return
        self._last = number
        if last is not None and number > last + 1:
            yield StreamLost(f"message {number} came after {last}")
        channel = text_of(message, "channel")
        if channel == "user":
            for event in rows(message, "events"):
                for row in rows(event, "orders") if "orders" in event else []:
                    yield _user_state(row)
        elif channel == "subscriptions":
            for event in rows(message, "events"):
                if "user" in inner(event, "subscriptions"):
                    yield StreamReady("user")


def _http_fault(message: Row | None, status: int, body: bytes) -> Fault:
    """Three shapes of JSON, and the one plain text that is known."""
    if message is None:
        if status == 401 and body.strip() == b"Unauthorized":
            return coinbase_fault(["UNAUTHORIZED"], "Unauthorized", status)
        return http_fault(status, body)
    errors = message.get("errors")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        return coinbase_fault([str(errors[0].get("id"))], str(errors[0].get("message")), status)
    if isinstance(message.get("error"), str):
        return coinbase_fault([str(message["error"])], str(message.get("message")), status)
    return http_fault(status, body)


def _placed(asked: Asked, message: Row) -> Answer:
    if flag(message, "success"):
        told = inner(message, "success_response")
        client_id = needed_text(told, "client_order_id")
        same_order(asked, client_id)
        return Answer((Accepted(client_id=client_id, venue_id=needed_id(told, "order_id"), on_book=False),))
    if flag(message, "success") is None:
        raise Malformed("`success` is missing")
    told = inner(message, "error_response")
    names = ("new_order_failure_reason", "error", "preview_failure_reason")
    text = " ".join(part for name in ("message", "error_details") if (part := text_of(told, name)))
    return failed(asked, coinbase_fault([text_of(told, name) for name in names], text))


def _cancelled(asked: Asked, message: Row) -> Answer:
    row = only_row(message, "results")
    venue_id = needed_id(row, "order_id")
    if venue_id != asked.venue_id:
        raise Malformed(f"asked to cancel {asked.venue_id}, answered about {venue_id}")
    if flag(row, "success"):
        return Answer((CancelTaken(client_id=asked.client_id, venue_id=venue_id),))
    return failed(asked, coinbase_fault([needed_text(row, "failure_reason")], ""))


def _queried(asked: Asked, message: Row) -> Answer:
    """One order by its id, or the list that is searched for ours."""
    if asked.venue_id:
        state = _order_state(inner(message, "order"))
        if state.venue_id != asked.venue_id:
            raise Malformed(f"asked about {asked.venue_id}, answered about {state.venue_id}")
        same_order(asked, state.client_id)
        return Answer((state,))
    for row in rows(message, "orders"):
        if text_of(row, "client_order_id") == asked.client_id:
            return Answer((_order_state(row),))
    page = text_of(message, "cursor") if flag(message, "has_next") else ""
    return Answer(page=page) if page else Answer((Absent(client_id=asked.client_id, searched_history=True),))


def _open(asked: Asked, message: Row) -> Answer:
    number = int((asked.page or "0:").partition(":")[0])
    cursor = text_of(message, "cursor") if flag(message, "has_next") else ""
    page = f"{number}:{cursor}" if cursor else f"{number + 1}:" if number + 1 < len(OPEN_STATES) else ""
    return Answer(tuple(_order_state(row) for row in rows(message, "orders")), page)


def _fills(asked: Asked, message: Row) -> Answer:  # noqa: ARG001
    found = rows(message, "fills")
    reports = tuple(_fill(row) for row in found if text_of(row, "trade_type") in ("", "FILL"))
    return Answer(reports, text_of(message, "cursor") if found else "")


def _fill(row: Row) -> Traded:
    """The commission is in the quote currency; so is the size of what was ordered in it."""
    spelling, price, size = needed_text(row, "product_id"), above_zero(row, "price"), above_zero(row, "size")
    role = text_of(row, "liquidity_indicator")
    return Traded(
        venue_id=needed_id(row, "order_id"),
        spelling=spelling,
        side=side_of(row, "side"),
        exec_id=ident(row, "entry_id"),
        qty=size / price if flag(row, "size_in_quote") else size,
        price=price,
        fee=amount(row, "commission"),
        fee_asset=spelling.rpartition("-")[2],
        exec_ns=rfc3339_ns(row, "trade_time"),
        is_maker={"MAKER": True, "TAKER": False}.get(role),
    )


def _balances(asked: Asked, message: Row) -> Answer:
    free: dict[str, Decimal] = {}
    locked: dict[str, Decimal] = {}
    for row in rows(message, "accounts"):
        name = needed_text(row, "currency")
        free[name] = free.get(name, Decimal(0)) + amount(inner(row, "available_balance"), "value")
        locked[name] = locked.get(name, Decimal(0)) + amount(inner(row, "hold"), "value")
    page = text_of(message, "cursor") if flag(message, "has_next") else ""
    return Answer((BalanceSet(free=free, locked=locked, is_whole=not page and not asked.page),), page)


def _fees(asked: Asked, message: Row) -> Answer:
    tier = inner(message, "fee_tier")
    maker, taker = amount(tier, "maker_fee_rate"), amount(tier, "taker_fee_rate")
    return Answer((FeeRates(spelling=asked.spelling, maker=maker, taker=taker),))


_ANSWERS: Final[Mapping[What, Callable[[Asked, Row], Answer]]] = {
    "place": _placed,
    "cancel": _cancelled,
    "query": _queried,
    "open_orders": _open,
    "fills": _fills,
    "balances": _balances,
    "fees": _fees,
    "rights": lambda _asked, message: Answer((coinbase_rights(message),)),
}


def _order_state(row: Row) -> OrderState:
    """An order over HTTP; size and price are inside its configuration."""
    configuration = inner(row, "order_configuration") if row.get("order_configuration") else {}
    terms = next((each for each in configuration.values() if isinstance(each, dict)), {})
    cum_qty, reason = (
        at_least_zero(row, "filled_size"),
        text_of(row, "cancel_message") or text_of(row, "reject_message"),
    )
    status, cause = _end(row, cum_qty, reason)
    return OrderState(
        client_id=text_of(row, "client_order_id"),
        venue_id=needed_id(row, "order_id"),
        status=status,
        spelling=needed_text(row, "product_id"),
        side=side_of(row, "side"),
        qty=maybe_above_zero(terms, "base_size"),
        price=maybe_above_zero(terms, "limit_price"),
        cum_qty=cum_qty,
        avg_price=maybe_above_zero(row, "average_filled_price"),
        cum_fee=maybe_amount(row, "total_fees"),
        cause=cause,
        text=reason,
        is_cumulative=True,
    )


def _user_state(row: Row) -> OrderState:
    """An order on the user channel. What is left is zero once it ended, so it tells no size."""
    cum_qty, reason = at_least_zero(row, "cumulative_quantity"), text_of(row, "cancel_reason")
    status, cause = _end(row, cum_qty, reason)
    left = maybe_at_least_zero(row, "leaves_quantity")
    return OrderState(
        client_id=text_of(row, "client_order_id"),
        venue_id=needed_id(row, "order_id"),
        status=status,
        spelling=needed_text(row, "product_id"),
        side=side_of(row, "order_side"),
        qty=cum_qty + left if left else None,
        price=maybe_above_zero(row, "limit_price"),
        cum_qty=cum_qty,
        avg_price=maybe_above_zero(row, "avg_price"),
        cum_fee=maybe_amount(row, "total_fees"),
        cause=cause,
        text=reason or text_of(row, "reject_reason"),
        is_cumulative=True,
    )


def _end(row: Row, cum_qty: Decimal, reason: str) -> tuple[Status, Cause]:
    status = told_by(STATUSES, needed_text(row, "status"), "status")
    if status == "open" and cum_qty:
        return "partial", ""
    if status == "refused":
        return never_was(cum_qty), "venue"
    if status == "expired":
        return status, "venue"
    if status != "cancelled":
        return status, ""
    if ident(row, "time_in_force") in _AT_ONCE:
        return "expired", "ioc"
    return status, "asked" if "user" in reason.lower() else "venue"
