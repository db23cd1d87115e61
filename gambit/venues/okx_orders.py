"""OKX's order language: signed JSON over HTTP, one private line for orders, their events and balances.

1. An answer's row has a code of its own, which is looked at before the answer's.
2. A create's or cancel's success means that the request was taken; what became of it comes on the orders channel.
3. The line names markets by `instIdCode` and ignores `instId`; codes are read from the instrument list.
4. Fees are negative when charged; here they are turned round.
5. There is no state for "expired" or "rejected": `cancelSource` says why an order was cancelled.
Source: okx.md 5 to 8.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final

from gambit.model import Instrument, Side
from gambit.venues.failure import RATE
from gambit.venues.key_rights import okx_rights
from gambit.venues.okx import DEMO_HEADER
from gambit.venues.orders import (
    Absent,
    Accepted,
    Addresses,
    Answer,
    Asked,
    BalanceSet,
    CancelTaken,
    Cause,
    DeadManSet,
    Fault,
    FeeRates,
    Frame,
    Garbled,
    Heard,
    Keys,
    Lane,
    Limit,
    Line,
    Means,
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
    ident,
    inner,
    kept,
    loaded,
    maybe_above_zero,
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
    whole_or,
)
from gambit.venues.refusals import http_fault, okx_fault, shown
from gambit.venues.signing import keyed, okx_login_signature, okx_signature, okx_time
from gambit.venues.wire import packed

CLIENT_ID: Final = re.compile(r"[A-Za-z0-9]{1,32}")
ROWS_A_PAGE: Final = 100
RECENT_NS: Final = 71 * 3600 * 1_000_000_000  # `fills` goes back three days; an hour is kept off
NS_A_MS: Final = 1_000_000
NS_A_SEC: Final = 1_000_000_000
TIMEOUTS: Final = range(10, 121)
ORDER_TYPES: Final[Mapping[Terms, str]] = {"gtc": "limit", "ioc": "ioc", "fok": "fok", "post_only": "post_only"}
STATES: Final[Mapping[str, Status]] = {
    "live": "open",
    "partially_filled": "partial",
    "filled": "filled",
    "canceled": "cancelled",
    "mmp_canceled": "cancelled",
}
# cancelSource -> why: 1 by us, 13 and 14 what an FOK or IOC could not fill, 20 the dead-man switch, 32 self-trade.
SOURCES: Final[Mapping[str, Cause]] = {
    "1": "asked", "13": "ioc", "14": "ioc", "20": "asked", "31": "post_only", "32": "self_trade"
}  # fmt: skip
# acctLv -> tdMode: spot, futures, multi-currency margin, portfolio margin.
MODES: Final = {"1": "cash", "2": "cash", "3": "cross", "4": "cross"}
SUBSCRIBE: Final = packed(
    {"op": "subscribe", "args": [{"channel": "orders", "instType": "SPOT"}, {"channel": "account"}]}
)
PROBE: Final = packed({"op": "subscribe", "args": [{"channel": "orders", "instType": "SPOT"}]})


class OkxOrders(OrderLanguage):
    """An account at OKX spot. `codes` are the markets' instIdCodes by spelling; without one the line takes no orders
    for a market. `mode` is "cash", or "cross" for accounts in a multi-currency mode; what the venue tells with the
    rights goes before it."""

    name = "okx"
    addresses = Addresses(
        rest="https://www.okx.com",
        ws="wss://ws.okx.com:8443",
        test_rest="https://www.okx.com",
        test_ws="wss://wspap.okx.com:8443",
    )
    # Reads cost so that each endpoint stays within its own limit; creates and cancels have theirs per market.
    limits = (
        Limit(units=60, per_sec=2, lanes=(Lane.CREATE,), of="market"),
        Limit(units=60, per_sec=2, lanes=(Lane.CANCEL,), of="market"),
        Limit(units=60, per_sec=2, lanes=(Lane.READ,), counts="weight"),
    )

    def __init__(
        self, keys: Keys, codes: Mapping[str, int], *, window_ms: int = 5000, mode: str = "cash", is_demo: bool = False
    ) -> None:
        self.keys = keys
        self.mac = keyed(keys.secret.encode())
        self.codes = dict(codes)
        self.mode = mode
        self.window_ms = window_ms
        self.window_ns: int | None = window_ms * NS_A_MS
        self._constant = (
            ("OK-ACCESS-KEY", keys.key),
            ("OK-ACCESS-PASSPHRASE", keys.passphrase),
            ("Content-Type", "application/json"),
            *((DEMO_HEADER,) if is_demo else ()),
        )

    def learn(self, instruments: Iterable[Instrument]) -> None:
        """A market may come, be coded later, or anew."""
        self.codes |= {each.spelling: each.code for each in instruments if each.code is not None}

    def placing(self, instrument: Instrument, side: Side, terms: Terms) -> "OkxPlacing":
        """A limit order; the time in force is part of the type."""
        return OkxPlacing(self, instrument, side, terms)

    def cancel(self, instrument: Instrument, ref: Ref, at: Stamp) -> RestRequest:
        """By our client id."""
        body = packed({"instId": instrument.spelling, "clOrdId": self._id(ref)})
        asked = asked_for("cancel", at, instrument, ref)
        return self.request("POST", "/api/v5/trade/cancel-order", body, 1, Lane.CANCEL, asked)

    def cancel_frame(self, instrument: Instrument, ref: Ref, at: Stamp) -> Frame:
        """By our client id."""
        args = [{"instIdCode": self.code(instrument.spelling), "clOrdId": self._id(ref)}]
        data = packed({"id": str(at.nonce), "op": "cancel-order", "args": args})
        return Frame(data, Lane.CANCEL, asked_for("cancel", at, instrument, ref))

    def query(self, instrument: Instrument, ref: Ref, since_ns: int, at: Stamp, page: str = "") -> RestRequest:
        """Open and done orders; an unfilled cancelled one is forgotten after two hours."""
        path = f"/api/v5/trade/order?instId={instrument.spelling}&clOrdId={self._id(ref)}"
        return self._get(path, 1, asked_for("query", at, instrument, ref, page, since_ns))

    def open_orders(self, instrument: Instrument | None, at: Stamp, page: str = "") -> RestRequest:
        """A hundred a page, the newest first; `page` is the last order's id."""
        path = f"/api/v5/trade/orders-pending?instType=SPOT&limit={ROWS_A_PAGE}"
        path += (f"&instId={instrument.spelling}" if instrument else "") + (f"&after={page}" if page else "")
        return self._get(path, 1, asked_for("open_orders", at, instrument, page=page))

    def fills(self, instrument: Instrument, since_ns: int, at: Stamp, page: str = "") -> RestRequest:
        """The newest first; `page` is the last row's bill."""
        is_recent = at.now_ns - since_ns < RECENT_NS
        path = (
            f"/api/v5/trade/{'fills' if is_recent else 'fills-history'}?instType=SPOT&instId={instrument.spelling}"
            f"&begin={since_ns // NS_A_MS}&limit={ROWS_A_PAGE}{f'&after={page}' if page else ''}"
        )
        return self._get(path, 1 if is_recent else 6, asked_for("fills", at, instrument, None, page, since_ns))

    def balances(self, at: Stamp, page: str = "") -> RestRequest:
        """Of the trading account."""
        return self._get("/api/v5/account/balance", 6, asked_for("balances", at, page=page))

    def fee_rates(self, instrument: Instrument, at: Stamp) -> RestRequest:
        """Of one market."""
        path = f"/api/v5/account/trade-fee?instType=SPOT&instId={instrument.spelling}"
        return self._get(path, 12, asked_for("fees", at, instrument))

    def cancel_all_after(self, seconds: int, at: Stamp) -> RestRequest:
        """0, or 10 to 120 seconds."""
        if seconds and seconds not in TIMEOUTS:
            raise ValueError(f"okx: the dead-man switch takes 0 or 10 to 120 seconds, not {seconds}")
        body = packed({"timeOut": str(seconds)})
        asked = asked_for("cancel_all_after", at)
        return self.request("POST", "/api/v5/trade/cancel-all-after", body, 1, Lane.CANCEL, asked)

    def rights(self, at: Stamp) -> RestRequest:
        """Part of the account's configuration."""
        return self._get("/api/v5/account/config", 12, asked_for("rights", at))

    def stream(self) -> "OkxLine":
        """The private line; orders are entered over it too."""
        return OkxLine(self)

    def read(self, asked: Asked, status: int, headers: Mapping[str, str], body: bytes) -> Answer:  # noqa: ARG002
        """What an HTTP answer says."""
        message = loaded(body)
        if message is None or "code" not in message:
            is_fine = 200 <= status < 300
            return (
                unreadable(asked, f"no answer: {shown(body[:80])!r}")
                if is_fine
                else failed(asked, http_fault(status, body))
            )
        found = answer(asked, message, status)
        if asked.what == "rights" and found.fault is None:
            try:
                self.mode = MODES.get(ident(only_row(message, "data"), "acctLv"), self.mode)
            except Malformed as error:
                return unreadable(asked, str(error))
        return found

    def code(self, spelling: str) -> int:
        """A market's instIdCode. Raises NoSuchWay."""
        found = self.codes.get(spelling)
        if found is None:
            raise NoSuchWay(f"okx {spelling}: no instIdCode; read the instrument list, or order over HTTP")
        return found

    def request(
        self, method: str, path: str, body: bytes, weight: int, lane: Lane, asked: Asked, *more: tuple[str, str]
    ) -> RestRequest:
        """Signed over time, method, path with query, and body."""
        time = okx_time(asked.now_ns)
        signature = okx_signature(self.mac, time, method, path, body)
        headers = (*self._constant, ("OK-ACCESS-TIMESTAMP", time), ("OK-ACCESS-SIGN", signature), *more)
        return RestRequest(method, path, headers, body, weight, lane, asked)

    def _get(self, path: str, weight: int, asked: Asked) -> RestRequest:
        return self.request("GET", path, b"", weight, Lane.READ, asked)

    def _id(self, ref: Ref) -> str:
        return checked_client_id(self.name, ref.client_id, CLIENT_ID)


class OkxPlacing(Placing):
    """The constant parts of a limit order. `banAmend`: the venue must not make it smaller to fit the balance."""

    def __init__(self, language: OkxOrders, instrument: Instrument, side: Side, terms: Terms) -> None:
        self.language = language
        self.steps = Steps("okx", instrument)
        self.spelling = instrument.spelling
        same = f'"side":"{side}","ordType":"{ORDER_TYPES[terms]}","banAmend":true,"sz":"'
        market = packed(instrument.spelling).decode()
        self._body = {mode: f'{{"instId":{market},"tdMode":"{mode}",{same}' for mode in MODES.values()}
        self._args = {mode: f',"tdMode":"{mode}",{same}' for mode in MODES.values()}

    def rest(self, client_id: str, qty: Decimal, price: Decimal, at: Stamp) -> RestRequest:
        """JSON; a header says until when it may be carried out."""
        language = self.language
        body = f"{self._body[language.mode]}{self._amounts(client_id, qty, price)}}}".encode()
        asked = Asked(what="place", nonce=at.nonce, now_ns=at.now_ns, spelling=self.spelling, client_id=client_id)
        until = ("expTime", str(at.now_ns // NS_A_MS + language.window_ms))
        return language.request("POST", "/api/v5/trade/order", body, 1, Lane.CREATE, asked, until)

    def frame(self, client_id: str, qty: Decimal, price: Decimal, at: Stamp) -> Frame:
        """The same, by the market's code."""
        language = self.language
        data = (
            f'{{"id":"{at.nonce}","op":"order","args":[{{"instIdCode":{language.code(self.spelling)}{self._args[language.mode]}'
            f'{self._amounts(client_id, qty, price)}}}],"expTime":"{at.now_ns // NS_A_MS + language.window_ms}"}}'
        ).encode()
        asked = Asked(what="place", nonce=at.nonce, now_ns=at.now_ns, spelling=self.spelling, client_id=client_id)
        return Frame(data, Lane.CREATE, asked)

    def _amounts(self, client_id: str, qty: Decimal, price: Decimal) -> str:
        checked_client_id("okx", client_id, CLIENT_ID)
        return f'{self.steps.qty(qty)}","px":"{self.steps.price(price)}","clOrdId":"{client_id}"'


class OkxLine(Line):
    """The private connection: logon, then subscriptions; orders once that is done."""

    path = "/ws/v5/private"

    def __init__(self, language: OkxOrders) -> None:
        self._language = language

    def opening(self, at: Stamp) -> Sequence[bytes]:
        """The logon, its time in whole seconds."""
        keys, seconds = self._language.keys, str(at.now_ns // NS_A_SEC)
        signature = okx_login_signature(self._language.mac, seconds)
        args = {"apiKey": keys.key, "passphrase": keys.passphrase, "timestamp": seconds, "sign": signature}
        return [packed({"op": "login", "args": [args]})]

    def ping(self, at: Stamp) -> bytes:  # noqa: ARG002
        """A text that is no JSON."""
        return b"ping"

    def probe(self, at: Stamp) -> bytes:  # noqa: ARG002
        """A subscription that stands is acknowledged once more; without a logon it is refused."""
        return PROBE

    def hear(self, data: bytes, pending: Mapping[int, Asked]) -> Heard:
        """A word about the connection, an answer, or news of the account."""
        if data == b"pong":
            return Heard()
        message = loaded(data)
        if message is None:
            return Heard((Garbled(f"no JSON object: {shown(data[:80])!r}"),))
        try:
            if "event" in message:
                return _event(message, pending)
            if "op" in message:
                return _answered(message, pending)
        except Malformed as error:
            return Heard((Garbled(str(error)),))
        return Heard(kept(_news(message)))


def _event(message: Row, pending: Mapping[int, Asked]) -> Heard:
    """Logon, subscriptions, errors and notices."""
    event, code = text_of(message, "event"), text_of(message, "code")
    if event == "login" and code == "0":
        return Heard((StreamReady(),), send=(SUBSCRIBE,))
    if event == "subscribe":
        return Heard((StreamReady(needed_text(inner(message, "arg"), "channel")),))
    if event in ("error", "login"):
        asked = _waiting(message, pending)
        fault = okx_fault(code, text_of(message, "msg"))
        if asked is None:
            return Heard((StreamFault(fault),))
        return Heard(failed(asked, fault).reports, (asked.nonce,))
    if event == "notice":
        return Heard((StreamLost(f"{code}: {text_of(message, 'msg')}"),))
    if event == "channel-conn-count-error":
        channel = text_of(message, "channel")
        text = f"too many connections listen to {channel}"  # said behind its ack: this one hears nothing of it
        means: Means = "session" if channel == "orders" else "other"
        return Heard((StreamFault(Fault(category=RATE, code=event, text=text, means=means)),))
    return Heard()


def _answered(message: Row, pending: Mapping[int, Asked]) -> Heard:
    asked = _waiting(message, pending)
    if asked is not None:
        return Heard(answer(asked, message, 200).reports, (asked.nonce,))
    code = text_of(message, "code")
    return Heard() if code == "0" else Heard((StreamFault(okx_fault(code, text_of(message, "msg"))),))


def _waiting(message: Row, pending: Mapping[int, Asked]) -> Asked | None:
    """The request that a message answers."""
    name = ident(message, "id")
    return pending.get(int(name)) if name.isascii() and name.isdigit() else None


def answer(asked: Asked, message: Row, status: int) -> Answer:
    """An envelope's content: the row's code first, then its own."""
    try:
        fault = _fault(asked, message, status)
        if fault is None:
            return _ANSWERS[asked.what](asked, message)
    except Malformed as error:
        return unreadable(asked, str(error))
    if asked.what == "query" and fault.means == "missing" and not fault.execution_unknown:
        return Answer((Absent(client_id=asked.client_id, searched_history=True),))
    return failed(asked, fault)


def _fault(asked: Asked, message: Row, status: int) -> Fault | None:
    found = rows(message, "data") if message.get("data") else []
    for row in found if asked.what in ("place", "cancel") else []:
        code = needed_text(row, "sCode")
        if code != "0":
            same_order(asked, text_of(row, "clOrdId"))
            return okx_fault(code, text_of(row, "sMsg"), status)
    code = needed_text(message, "code")
    if code != "0":
        return okx_fault(code, text_of(message, "msg"), status)
    if not 200 <= status < 300:
        return okx_fault(f"HTTP {status}", "success in words only", status)
    return None


def _placed(asked: Asked, message: Row) -> Answer:
    row = only_row(message, "data")
    client_id = needed_text(row, "clOrdId")
    same_order(asked, client_id)
    return Answer((Accepted(client_id=client_id, venue_id=needed_id(row, "ordId"), on_book=False),))


def _cancelled(asked: Asked, message: Row) -> Answer:
    row = only_row(message, "data")
    same_order(asked, text_of(row, "clOrdId"))
    return Answer((CancelTaken(client_id=asked.client_id, venue_id=needed_id(row, "ordId")),))


def _queried(asked: Asked, message: Row) -> Answer:
    """When several orders had one id, the newest is given."""
    found = rows(message, "data")
    if not found:
        return Answer((Absent(client_id=asked.client_id, searched_history=True),))
    state = order_state(found[0])
    same_order(asked, state.client_id)
    return Answer((state,))


def _open(asked: Asked, message: Row) -> Answer:  # noqa: ARG001
    found = rows(message, "data")
    page = needed_id(found[-1], "ordId") if len(found) >= ROWS_A_PAGE else ""
    return Answer(tuple(order_state(row) for row in found), page)


def _fills(asked: Asked, message: Row) -> Answer:  # noqa: ARG001
    found = rows(message, "data")
    reports = tuple(
        Traded(
            client_id=text_of(row, "clOrdId"),
            venue_id=needed_id(row, "ordId"),
            spelling=needed_text(row, "instId"),
            side=side_of(row, "side"),
            exec_id=ident(row, "tradeId"),
            qty=above_zero(row, "fillSz"),
            price=above_zero(row, "fillPx"),
            fee=-amount(row, "fee"),
            fee_asset=needed_text(row, "feeCcy"),
            exec_ns=ms_ns(row, "fillTime") or ms_ns(row, "ts"),
            is_maker=_is_maker(row),
        )
        for row in found
    )
    return Answer(reports, needed_id(found[-1], "billId") if len(found) >= ROWS_A_PAGE else "")


def _balances(asked: Asked, message: Row) -> Answer:  # noqa: ARG001
    return Answer((_balance_set(only_row(message, "data"), is_whole=True),))


def _balance_set(row: Row, *, is_whole: bool) -> BalanceSet:
    held = rows(row, "details")
    return BalanceSet(
        free={needed_text(each, "ccy"): amount(each, "availBal") for each in held},
        locked={needed_text(each, "ccy"): _frozen(each) for each in held},
        is_whole=is_whole,
    )


def _frozen(row: Row) -> Decimal:
    """All that is frozen, for whatever reason: what orders hold is a part of it, and with that alone the whole would
    change when an order comes to rest."""
    found = maybe_at_least_zero(row, "frozenBal")
    return at_least_zero(row, "ordFrozen") if found is None else found


def _fees(asked: Asked, message: Row) -> Answer:
    """The worst of the groups that the market may be in."""
    row = only_row(message, "data")
    groups = rows(row, "feeGroup") if row.get("feeGroup") else [row]
    maker, taker = (max(-amount(group, name) for group in groups) for name in ("maker", "taker"))
    return Answer((FeeRates(spelling=asked.spelling, maker=maker, taker=taker),))


def _dead_man(asked: Asked, message: Row) -> Answer:  # noqa: ARG001
    """Seconds in the documents' sample, perhaps milliseconds."""
    when = whole_or(only_row(message, "data"), "triggerTime", 0)
    return Answer((DeadManSet(when * (NS_A_SEC if when < 10**11 else NS_A_MS)),))


_ANSWERS: Final[Mapping[What, Callable[[Asked, Row], Answer]]] = {
    "place": _placed,
    "cancel": _cancelled,
    "query": _queried,
    "open_orders": _open,
    "fills": _fills,
    "balances": _balances,
    "fees": _fees,
    "cancel_all_after": _dead_man,
    "rights": lambda _asked, message: Answer((okx_rights(message),)),
}


def _news(message: Row) -> Iterator[Report]:
    """Pushes of the orders and account channels; there is no snapshot of orders."""
    arg = message.get("arg")
    channel = text_of(arg, "channel") if isinstance(arg, dict) else ""
    if channel == "orders":
        for row in rows(message, "data"):
            yield from _order_push(row)
    elif channel == "account":
        is_one = whole_or(message, "curPage", 1) == 1 and message.get("lastPage", True) is True
        is_whole = text_of(message, "eventType") == "snapshot" and is_one
        for row in rows(message, "data"):
            yield _balance_set(row, is_whole=is_whole)


def _order_push(row: Row) -> Iterator[Report]:
    """This push's fill, if it has one, and the order's state."""
    exec_id = ident(row, "tradeId")
    if maybe_at_least_zero(row, "fillSz"):
        fill = Traded(
            client_id=text_of(row, "clOrdId"),
            venue_id=needed_id(row, "ordId"),
            spelling=needed_text(row, "instId"),
            side=side_of(row, "side"),
            exec_id=exec_id,
            qty=above_zero(row, "fillSz"),
            price=above_zero(row, "fillPx"),
            fee=-amount(row, "fillFee"),
            fee_asset=needed_text(row, "fillFeeCcy"),
            exec_ns=ms_ns(row, "fillTime"),
            is_maker=_is_maker(row),
        )
        yield fill if exec_id else unnamed(fill.venue_id)
    yield order_state(row)


def _is_maker(row: Row) -> bool | None:
    role = text_of(row, "execType")
    return role == "M" if role else None


def order_state(row: Row) -> OrderState:
    """An order's row, over HTTP and on the line alike. Raises Malformed."""
    status = told_by(STATES, needed_text(row, "state"), "state")
    cum_qty = at_least_zero(row, "accFillSz")
    cause: Cause = ""
    if status == "cancelled":
        cause = SOURCES.get(text_of(row, "cancelSource"), "venue")
        if cause == "ioc":
            status = "expired"
        elif cause == "post_only":
            status = never_was(cum_qty)
    return OrderState(
        client_id=text_of(row, "clOrdId"),
        venue_id=needed_id(row, "ordId"),
        status=status,
        spelling=needed_text(row, "instId"),
        side=side_of(row, "side"),
        qty=None if text_of(row, "tgtCcy") == "quote_ccy" else maybe_above_zero(row, "sz"),
        price=maybe_above_zero(row, "px"),
        cum_qty=cum_qty,
        avg_price=maybe_above_zero(row, "avgPx"),
        cause=cause,
        text=text_of(row, "cancelSource"),
    )
