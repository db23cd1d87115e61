"""Bybit's order language: signed JSON over HTTP, a private line for news, a line of its own for orders.

1. Business errors come with HTTP 200: `retCode` decides.
2. An ack says that a request was accepted, not that the order lives; what became of it comes on the order topic.
3. A client id can never be used again, not even when its order is done.
4. An IOC that filled in part ends PartiallyFilledCanceled; its time in force tells it from a cancel.
5. A closing order may be told twice, once as filled; executions count, by their id.
Source: bybit.md 5 to 8.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from gambit.model import Instrument, Side
from gambit.venues.failure import AUTH, RATE, wait_of
from gambit.venues.key_rights import bybit_rights
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
    StreamReady,
    Terms,
    Traded,
    Used,
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
    ms_ns,
    needed_id,
    needed_text,
    never_was,
    only_row,
    rows,
    same_order,
    side_of,
    text_of,
    told_by,
    unnamed,
    unreadable,
)
from gambit.venues.refusals import bybit_fault, http_fault, shown
from gambit.venues.signing import bybit_auth_signature, bybit_signature, keyed, percent_encoded
from gambit.venues.usage import bybit_headers
from gambit.venues.wire import packed

CLIENT_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,36}")
NS_A_MS: Final = 1_000_000
WEEK_MS: Final = 7 * 86_400_000
AUTH_MS: Final = 10_000  # how far ahead a logon expires
TIFS: Final[Mapping[Terms, str]] = {"gtc": "GTC", "ioc": "IOC", "fok": "FOK", "post_only": "PostOnly"}
SIDES: Final[Mapping[Side, str]] = {"buy": "Buy", "sell": "Sell"}
STATUSES: Final[Mapping[str, Status]] = {
    "New": "open",
    "Untriggered": "open",
    "Triggered": "open",
    "PartiallyFilled": "partial",
    "Filled": "filled",
    "PartiallyFilledCanceled": "cancelled",
    "Cancelled": "cancelled",
    "Rejected": "refused",
    "Deactivated": "cancelled",
}
_ENDED_BY_ITSELF: Final = ("EC_NoImmediateQtyToFill", "EC_CancelForNoFullFill")
SUBSCRIBE: Final = packed({"op": "subscribe", "args": ["order.spot", "execution.spot", "wallet"]})


class BybitOrders(OrderLanguage):
    """An account at Bybit spot."""

    name = "bybit"
    addresses = Addresses(
        rest="https://api.bybit.com",
        ws="wss://stream.bybit.com",
        test_rest="https://api-testnet.bybit.com",
        test_ws="wss://stream-testnet.bybit.com",
    )
    limits = (
        Limit(units=600, per_sec=5, of="ip"),
        Limit(units=20, per_sec=1, lanes=(Lane.CREATE,)),
        Limit(units=20, per_sec=1, lanes=(Lane.CANCEL,)),
        Limit(units=50, per_sec=1, lanes=(Lane.READ,)),
    )

    def __init__(self, keys: Keys, *, window_ms: int = 5000) -> None:
        self.key = keys.key
        self.mac = keyed(keys.secret.encode())
        self.window = str(window_ms)
        self.window_ns: int | None = window_ms * NS_A_MS
        self._constant = (
            ("X-BAPI-API-KEY", keys.key),
            ("X-BAPI-RECV-WINDOW", self.window),
            ("Content-Type", "application/json"),
        )

    def placing(self, instrument: Instrument, side: Side, terms: Terms) -> "BybitPlacing":
        """A limit order, never on borrowed money."""
        return BybitPlacing(self, instrument, side, terms)

    def cancel(self, instrument: Instrument, ref: Ref, at: Stamp) -> RestRequest:
        """By our client id."""
        body = packed({"category": "spot", "symbol": instrument.spelling, "orderLinkId": self._id(ref)})
        return self.post("/v5/order/cancel", body, Lane.CANCEL, asked_for("cancel", at, instrument, ref))

    def cancel_frame(self, instrument: Instrument, ref: Ref, at: Stamp) -> Frame:
        """By our client id."""
        args = [{"category": "spot", "symbol": instrument.spelling, "orderLinkId": self._id(ref)}]
        header = {"X-BAPI-TIMESTAMP": str(at.now_ns // NS_A_MS), "X-BAPI-RECV-WINDOW": self.window}
        data = packed({"reqId": str(at.nonce), "header": header, "op": "order.cancel", "args": args})
        return Frame(data, Lane.CANCEL, asked_for("cancel", at, instrument, ref))

    def query(self, instrument: Instrument, ref: Ref, since_ns: int, at: Stamp, page: str = "") -> RestRequest:
        """Live and just done orders, then (`page` "history") the older ones."""
        path = "/v5/order/history" if page else "/v5/order/realtime"
        query = f"category=spot&symbol={percent_encoded(instrument.spelling)}&orderLinkId={self._id(ref)}"
        return self._get(path, query, asked_for("query", at, instrument, ref, page, since_ns))

    def open_orders(self, instrument: Instrument | None, at: Stamp, page: str = "") -> RestRequest:
        """Fifty a page; `page` is the venue's cursor."""
        query = "category=spot&openOnly=0&limit=50"
        query += f"&symbol={percent_encoded(instrument.spelling)}" if instrument else ""
        query += f"&cursor={percent_encoded(page)}" if page else ""
        return self._get("/v5/order/realtime", query, asked_for("open_orders", at, instrument, page=page))

    def fills(self, instrument: Instrument, since_ns: int, at: Stamp, page: str = "") -> RestRequest:
        """A week at a time, the newest first; `page` is the week's start in ms and the venue's cursor."""
        start, _, cursor = (page or f"{since_ns // NS_A_MS}:").partition(":")
        query = f"category=spot&symbol={percent_encoded(instrument.spelling)}&startTime={start}"
        query += f"&endTime={int(start) + WEEK_MS - 1}&limit=100"
        query += f"&cursor={percent_encoded(cursor)}" if cursor else ""
        return self._get("/v5/execution/list", query, asked_for("fills", at, instrument, None, page, since_ns))

    def balances(self, at: Stamp, page: str = "") -> RestRequest:
        """Of the unified account."""
        return self._get("/v5/account/wallet-balance", "accountType=UNIFIED", asked_for("balances", at, page=page))

    def fee_rates(self, instrument: Instrument, at: Stamp) -> RestRequest:
        """Of one market."""
        query = f"category=spot&symbol={percent_encoded(instrument.spelling)}"
        return self._get("/v5/account/fee-rate", query, asked_for("fees", at, instrument))

    def rights(self, at: Stamp) -> RestRequest:
        """Any key may ask about itself."""
        return self._get("/v5/user/query-api", "", asked_for("rights", at))

    def used(self, headers: Mapping[str, str], lane: Lane) -> Sequence[Used]:
        """Of the endpoint; reading has several, each with its own."""
        return () if lane is Lane.READ else tuple(bybit_headers(headers, lane))

    def stream(self) -> "BybitLine":
        """The private line."""
        return BybitLine(self, "/v5/private", SUBSCRIBE)

    def entry(self) -> "BybitLine":
        """The line for orders."""
        return BybitLine(self, "/v5/trade", b"")

    def read(self, asked: Asked, status: int, headers: Mapping[str, str], body: bytes) -> Answer:
        """What an HTTP answer says."""
        message = loaded(body)
        if message is None or "retCode" not in message:
            if 200 <= status < 300:
                return unreadable(asked, f"no answer: {shown(body[:80])!r}")
            fault = msgspec.structs.replace(http_fault(status, body), wait_sec=wait_of(headers) or 0.0)
            if status == 403:  # the address is banned: silence for ten minutes
                fault = msgspec.structs.replace(fault, category=RATE, wait_sec=600.0)
            return failed(asked, fault)
        return answer(asked, message, status, until_ns=_reset_ns(headers, "x-bapi-limit-reset-timestamp"))

    def signed(self, payload: str, at: Stamp) -> tuple[tuple[str, str], ...]:
        """The headers that sign a query or a body."""
        time = str(at.now_ns // NS_A_MS)
        signature = bybit_signature(self.mac, time, self.key, self.window, payload.encode())
        return (*self._constant, ("X-BAPI-TIMESTAMP", time), ("X-BAPI-SIGN", signature))

    def post(self, path: str, body: bytes, lane: Lane, asked: Asked) -> RestRequest:
        """A body, signed as it is sent."""
        headers = self.signed(body.decode(), Stamp(asked.now_ns, asked.nonce))
        return RestRequest("POST", path, headers, body, 1, lane, asked)

    def _get(self, path: str, query: str, asked: Asked) -> RestRequest:
        headers = self.signed(query, Stamp(asked.now_ns, asked.nonce))
        target = f"{path}?{query}" if query else path
        return RestRequest("GET", target, headers, b"", 1, Lane.READ, asked)

    def _id(self, ref: Ref) -> str:
        return checked_client_id(self.name, ref.client_id, CLIENT_ID)


class BybitPlacing(Placing):
    """The constant parts of a limit order."""

    def __init__(self, language: BybitOrders, instrument: Instrument, side: Side, terms: Terms) -> None:
        self.language = language
        self.steps = Steps("bybit", instrument)
        self.spelling = instrument.spelling
        self._order = (
            f'{{"category":"spot","symbol":{packed(instrument.spelling).decode()},"side":"{SIDES[side]}",'
            f'"orderType":"Limit","timeInForce":"{TIFS[terms]}","isLeverage":0,"qty":"'
        )
        self._frame = f'"X-BAPI-RECV-WINDOW":"{language.window}"}},"op":"order.create","args":[{self._order}'

    def rest(self, client_id: str, qty: Decimal, price: Decimal, at: Stamp) -> RestRequest:
        """JSON, signed as it is."""
        body = f"{self._order}{self._amounts(client_id, qty, price)}"
        headers = self.language.signed(body, at)
        return RestRequest(
            "POST", "/v5/order/create", headers, body.encode(), 1, Lane.CREATE, self._asked(client_id, at)
        )

    def frame(self, client_id: str, qty: Decimal, price: Decimal, at: Stamp) -> Frame:
        """Not signed: the line is."""
        data = (
            f'{{"reqId":"{at.nonce}","header":{{"X-BAPI-TIMESTAMP":"{at.now_ns // NS_A_MS}",'
            f"{self._frame}{self._amounts(client_id, qty, price)}]}}"
        ).encode()
        return Frame(data, Lane.CREATE, self._asked(client_id, at))

    def _amounts(self, client_id: str, qty: Decimal, price: Decimal) -> str:
        checked_client_id("bybit", client_id, CLIENT_ID)
        return f'{self.steps.qty(qty)}","price":"{self.steps.price(price)}","orderLinkId":"{client_id}"}}'

    def _asked(self, client_id: str, at: Stamp) -> Asked:
        return Asked(what="place", nonce=at.nonce, now_ns=at.now_ns, spelling=self.spelling, client_id=client_id)


class BybitLine(Line):
    """The private line, or the one for orders; both are logged on, the first then subscribes."""

    def __init__(self, language: BybitOrders, path: str, subscribe: bytes) -> None:
        self.path = path
        self._language = language
        self._subscribe = subscribe

    def opening(self, at: Stamp) -> Sequence[bytes]:
        """The logon signs its own expiry."""
        expires = at.now_ns // NS_A_MS + AUTH_MS
        signature = bybit_auth_signature(self._language.mac, str(expires))
        name = "req_id" if self._subscribe else "reqId"
        return [packed({name: str(at.nonce), "op": "auth", "args": [self._language.key, expires, signature]})]

    def ping(self, at: Stamp) -> bytes:  # noqa: ARG002
        """JSON, every 20 s."""
        return b'{"op":"ping"}'

    def probe(self, at: Stamp) -> bytes:
        """A topic that is subscribed to is refused as that; without a logon, for want of it."""
        return packed({"req_id": str(at.nonce), "op": "subscribe", "args": ["order.spot"]}) if self._subscribe else b""

    def hear(self, data: bytes, pending: Mapping[int, Asked]) -> Heard:
        """Logon and pongs (three spellings), answers, news."""
        message = loaded(data)
        if message is None:
            return Heard((Garbled(f"no JSON object: {shown(data[:80])!r}"),))
        try:
            op = text_of(message, "op")
            if op in ("auth", "subscribe"):
                return self._opened(op, message)
            if op in ("ping", "pong"):
                return Heard()
            if op or "retCode" in message:
                return _answered(message, pending)
        except Malformed as error:
            return Heard((Garbled(str(error)),))
        return Heard(kept(_news(message)))

    def _opened(self, op: str, message: Row) -> Heard:
        """Success is a flag on the private line and a code on the other."""
        code, text = ident(message, "retCode"), text_of(message, "ret_msg") or text_of(message, "retMsg")
        if flag(message, "success") or code == "0":
            if op == "auth":
                return Heard((StreamReady(),), send=(self._subscribe,) if self._subscribe else ())
            return Heard((StreamReady("order"),))
        if op == "subscribe" and "already subscribed" in text:
            return Heard()
        if op == "subscribe" and "not authorized" in text:
            return Heard((StreamFault(Fault(category=AUTH, code=op, text=text, means="session")),))
        if op == "auth" and not code:  # the private line has words only
            return Heard((StreamFault(Fault(category=AUTH, code=op, text=text)),))
        return Heard((StreamFault(bybit_fault(code or op, text, entry=bool(code))),))


def _reset_ns(headers: Mapping[str, str], name: str) -> int:
    value = headers.get(name, "")
    return int(value) * NS_A_MS if value.isascii() and value.isdigit() else 0


def _answered(message: Row, pending: Mapping[int, Asked]) -> Heard:
    """An answer on the line for orders."""
    name, code = ident(message, "reqId"), needed_id(message, "retCode")
    asked = pending.get(int(name)) if name.isascii() and name.isdigit() else None
    if asked is not None:
        told = {**message, "result": message.get("data")}
        header, lane = message.get("header"), Lane.CANCEL if asked.what == "cancel" else Lane.CREATE
        used = bybit_headers(header, lane) if isinstance(header, dict) else ()
        return Heard((*answer(asked, told, 200, entry=True).reports, *used), (asked.nonce,))
    if code == "0":
        return Heard()
    return Heard((StreamFault(bybit_fault(code, text_of(message, "retMsg"), entry=True)),))


def answer(asked: Asked, message: Row, status: int, *, entry: bool = False, until_ns: int = 0) -> Answer:
    """An envelope's content, or the fault it tells."""
    try:
        code = needed_id(message, "retCode")
        if code == "0" and 200 <= status < 300:
            return _ANSWERS[asked.what](asked, inner(message, "result"))
        fault = bybit_fault(code, text_of(message, "retMsg"), status, entry=entry)
    except Malformed as error:
        return unreadable(asked, str(error))
    if fault.category == RATE:
        fault = msgspec.structs.replace(fault, until_ns=until_ns)
    if asked.what == "query" and fault.means == "missing" and not fault.execution_unknown:
        return _missing(asked)
    return failed(asked, fault)


def _missing(asked: Asked) -> Answer:
    """Not among the live ones: look into the history; not there either: absent."""
    if not asked.page:
        return Answer(page="history")
    return Answer((Absent(client_id=asked.client_id, searched_history=True),))


def _placed(asked: Asked, result: Row) -> Answer:
    client_id = needed_text(result, "orderLinkId")
    same_order(asked, client_id)
    return Answer((Accepted(client_id=client_id, venue_id=needed_id(result, "orderId"), on_book=False),))


def _cancelled(asked: Asked, result: Row) -> Answer:
    same_order(asked, text_of(result, "orderLinkId"))
    return Answer((CancelTaken(client_id=asked.client_id, venue_id=needed_id(result, "orderId")),))


def _queried(asked: Asked, result: Row) -> Answer:
    found = rows(result, "list")
    if not found:
        return _missing(asked)
    state = order_state(found[0])
    same_order(asked, state.client_id)
    return Answer((state,))


def _open(asked: Asked, result: Row) -> Answer:  # noqa: ARG001
    found = rows(result, "list")
    return Answer(tuple(order_state(row) for row in found), text_of(result, "nextPageCursor") if found else "")


def _fills(asked: Asked, result: Row) -> Answer:
    found = rows(result, "list")
    start, _, _ = (asked.page or f"{asked.since_ns // NS_A_MS}:").partition(":")
    cursor = text_of(result, "nextPageCursor") if found else ""
    end = int(start) + WEEK_MS
    page = f"{start}:{cursor}" if cursor else f"{end}:" if end <= asked.now_ns // NS_A_MS else ""
    return Answer(tuple(_execution(row) for row in found if text_of(row, "execType") == "Trade"), page)


def _execution(row: Row) -> Traded:
    return Traded(
        client_id=text_of(row, "orderLinkId"),
        venue_id=needed_id(row, "orderId"),
        spelling=needed_text(row, "symbol"),
        side=side_of(row, "side"),
        exec_id=ident(row, "execId"),
        qty=above_zero(row, "execQty"),
        price=above_zero(row, "execPrice"),
        fee=amount(row, "execFee"),
        fee_asset=needed_text(row, "feeCurrency"),
        exec_ns=ms_ns(row, "execTime"),
        is_maker=flag(row, "isMaker"),
    )


def _balances(asked: Asked, result: Row) -> Answer:  # noqa: ARG001
    return Answer((_balance_set(only_row(result, "list"), is_whole=True),))


def _balance_set(row: Row, *, is_whole: bool) -> BalanceSet:
    """Free is what the wallet has and open orders do not hold."""
    held = rows(row, "coin")
    locked = {needed_text(each, "coin"): maybe_at_least_zero(each, "locked") or Decimal(0) for each in held}
    free = {coin: amount(each, "walletBalance") - locked[coin] for each in held if (coin := text_of(each, "coin"))}
    return BalanceSet(free=free, locked=locked, is_whole=is_whole)


def _fees(asked: Asked, result: Row) -> Answer:
    for row in rows(result, "list"):
        if text_of(row, "symbol") == asked.spelling:
            maker, taker = amount(row, "makerFeeRate"), amount(row, "takerFeeRate")
            return Answer((FeeRates(spelling=asked.spelling, maker=maker, taker=taker),))
    raise Malformed(f"no fee rate of {asked.spelling}")


_ANSWERS: Final[Mapping[What, Callable[[Asked, Row], Answer]]] = {
    "place": _placed,
    "cancel": _cancelled,
    "query": _queried,
    "open_orders": _open,
    "fills": _fills,
    "balances": _balances,
    "fees": _fees,
    "rights": lambda _asked, result: Answer((bybit_rights(result),)),
}


def _news(message: Row) -> Iterator[Report]:
    """Pushes of the private line; those of other categories and topics are none of ours."""
    topic = text_of(message, "topic").partition(".")[0]
    if topic == "wallet":
        for row in rows(message, "data"):
            yield _balance_set(row, is_whole=False)
    elif topic in ("order", "execution"):
        for row in rows(message, "data"):
            if text_of(row, "category") not in ("", "spot"):
                continue
            if topic == "order":
                yield order_state(row)
            elif text_of(row, "execType") == "Trade":
                fill = _execution(row)
                yield fill if fill.exec_id else unnamed(fill.venue_id)


def order_state(row: Row) -> OrderState:
    """An order's row, over HTTP and on the line alike. Raises Malformed."""
    status = told_by(STATUSES, needed_text(row, "orderStatus"), "orderStatus")
    cum_qty = at_least_zero(row, "cumExecQty")
    cause: Cause = ""
    if status == "cancelled":
        cause = _cause(row)
        if cause == "ioc":
            status = "expired"
    if status == "refused" or cause == "post_only":
        status = never_was(cum_qty)
    return OrderState(
        client_id=text_of(row, "orderLinkId"),
        venue_id=needed_id(row, "orderId"),
        status=status,
        spelling=needed_text(row, "symbol"),
        side=side_of(row, "side"),
        qty=None if text_of(row, "marketUnit") == "quoteCoin" else maybe_above_zero(row, "qty"),
        price=maybe_above_zero(row, "price"),
        cum_qty=cum_qty,
        avg_price=maybe_above_zero(row, "avgPrice"),
        cum_fee=maybe_amount(row, "cumExecFee"),
        cause=cause,
        text=text_of(row, "rejectReason"),
    )


def _cause(row: Row) -> Cause:
    """The time in force first: the documents do not pair cancelType and rejectReason for what an IOC leaves."""
    kind, reason = text_of(row, "cancelType"), text_of(row, "rejectReason")
    if reason == "EC_PostOnlyWillTakeLiquidity":
        return "post_only"
    if kind == "CancelBySmp":
        return "self_trade"
    if kind != "CancelByUser" and (text_of(row, "timeInForce") in ("IOC", "FOK") or reason in _ENDED_BY_ITSELF):
        return "ioc"
    return "asked" if kind == "CancelByUser" else "venue"
