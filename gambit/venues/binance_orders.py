"""Binance's order language: signed forms over HTTP, and the WebSocket API for orders and the account's events alike.

1. Parameters are percent-encoded, then signed in the order sent; the WebSocket API signs them sorted, as they are.
2. Whatever names a cancel names the cancel: the order's own id is `origClientOrderId`, on the stream `C` (else `c`).
3. A line is logged on with an Ed25519 key, and its requests then need no signature; with other keys each is signed.
4. An IOC that filled in part ends EXPIRED with what it filled.
Source: binance.md 5 to 8.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from gambit.model import Instrument, Side
from gambit.venues.failure import AUTH, RATE, wait_of
from gambit.venues.key_rights import binance_rights
from gambit.venues.orders import (
    Absent,
    Accepted,
    Addresses,
    Answer,
    Asked,
    BalanceSet,
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
    StreamLost,
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
    listed,
    loaded,
    loaded_any,
    maybe_above_zero,
    ms_ns,
    needed_id,
    needed_text,
    never_was,
    rows,
    same_order,
    side_of,
    text_of,
    told_by,
    unnamed,
    unreadable,
    whole,
)
from gambit.venues.refusals import binance_fault, http_fault, shown
from gambit.venues.signing import (
    binance_form_signer,
    binance_signer,
    binance_ws_payload,
    is_ed25519,
    percent_encoded,
)
from gambit.venues.usage import binance_frame, binance_headers
from gambit.venues.wire import packed

CLIENT_ID: Final = re.compile(r"[a-zA-Z0-9_-]{1,36}")
FORM: Final = ("Content-Type", "application/x-www-form-urlencoded")
FILLS_A_PAGE: Final = 1000
DAY_MS: Final = 86_400_000
NS_A_MS: Final = 1_000_000
NUMBERS: Final = ("recvWindow", "timestamp")  # the parameters that a frame has as JSON numbers
PROBE: Final = "p"  # behind a nonce: the question whether the line is still subscribed
LOGGED_OUT: Final = Fault(
    category=AUTH, code="subscriptions", text="the line is not subscribed any more", means="session"
)
SUBSCRIPTION: Final = "s"  # behind the logon's id, the id of the subscription that follows it
STATUSES: Final[Mapping[str, Status]] = {
    "NEW": "open",
    "PENDING_NEW": "accepted",
    "PARTIALLY_FILLED": "partial",
    "FILLED": "filled",
    "CANCELED": "cancelled",
    "PENDING_CANCEL": "open",
    "REJECTED": "refused",
    "EXPIRED": "expired",
    "EXPIRED_IN_MATCH": "expired",
}
WEIGHT_LIMIT: Final = "-1003"  # of the address, over HTTP and lines together; also what a ban says
_BANNED: Final = re.compile(r"banned until (\d{13})\b")
_SIDES: Final[Mapping[Side, str]] = {"buy": "BUY", "sell": "SELL"}


class BinanceOrders(OrderLanguage):
    """An account at Binance spot. Raises signing.UnusableKey for a secret that cannot sign."""

    name = "binance"
    addresses = Addresses(
        rest="https://api.binance.com",
        ws="wss://ws-api.binance.com:443",
        test_rest="https://testnet.binance.vision",
        test_ws="wss://ws-api.testnet.binance.vision",
    )
    # What exchangeInfo says is authoritative (binance.md 7); these are its documented values.
    limits = (
        Limit(units=6000, per_sec=60, of="ip", counts="weight"),
        Limit(units=100, per_sec=10, lanes=(Lane.CREATE,)),
        Limit(units=200_000, per_sec=86_400, lanes=(Lane.CREATE,)),
    )

    def __init__(self, keys: Keys, *, window_ms: int = 5000) -> None:
        self.key = keys.key
        self.sign = binance_signer(keys.secret)
        self.sign_form = binance_form_signer(keys.secret)
        self.has_session = is_ed25519(keys.secret)
        self.window_ms = window_ms
        self.window_ns: int | None = window_ms * NS_A_MS

    def placing(self, instrument: Instrument, side: Side, terms: Terms) -> "BinancePlacing":
        """A limit order; post_only is a type of its own."""
        return BinancePlacing(self, instrument, side, terms)

    def cancel(self, instrument: Instrument, ref: Ref, at: Stamp) -> RestRequest:
        """By our client id."""
        params = f"symbol={percent_encoded(instrument.spelling)}&origClientOrderId={self._id(ref)}"
        return self._request(
            "DELETE", "/api/v3/order", params, 1, Lane.CANCEL, asked_for("cancel", at, instrument, ref)
        )

    def cancel_frame(self, instrument: Instrument, ref: Ref, at: Stamp) -> Frame:
        """By our client id."""
        params = {"symbol": instrument.spelling, "origClientOrderId": self._id(ref)}
        data = self.frame_bytes("order.cancel", params, at, is_signed=not self.has_session)
        return Frame(data, Lane.CANCEL, asked_for("cancel", at, instrument, ref))

    def query(self, instrument: Instrument, ref: Ref, since_ns: int, at: Stamp, page: str = "") -> RestRequest:
        """Open and done orders alike."""
        params = f"symbol={percent_encoded(instrument.spelling)}&origClientOrderId={self._id(ref)}"
        asked = asked_for("query", at, instrument, ref, page, since_ns)
        return self._request("GET", "/api/v3/order", params, 4, Lane.READ, asked)

    def open_orders(self, instrument: Instrument | None, at: Stamp, page: str = "") -> RestRequest:
        """All of them cost 80, those of a market 6."""
        params = f"symbol={percent_encoded(instrument.spelling)}" if instrument else ""
        asked = asked_for("open_orders", at, instrument, None, page)
        return self._request("GET", "/api/v3/openOrders", params, 6 if instrument else 80, Lane.READ, asked)

    def fills(self, instrument: Instrument, since_ns: int, at: Stamp, page: str = "") -> RestRequest:
        """A day at a time; by trade id from where a day does not fit a page (`page` is "at:ms" or "id:n")."""
        kind, _, start = (page or f"at:{since_ns // NS_A_MS}").partition(":")
        params = f"symbol={percent_encoded(instrument.spelling)}&limit={FILLS_A_PAGE}"
        params += f"&fromId={start}" if kind == "id" else f"&startTime={start}&endTime={int(start) + DAY_MS - 1}"
        asked = asked_for("fills", at, instrument, None, page, since_ns)
        return self._request("GET", "/api/v3/myTrades", params, 20, Lane.READ, asked)

    def balances(self, at: Stamp, page: str = "") -> RestRequest:
        """Without those that are zero."""
        asked = asked_for("balances", at, page=page)
        return self._request("GET", "/api/v3/account", "omitZeroBalances=true", 20, Lane.READ, asked)

    def fee_rates(self, instrument: Instrument, at: Stamp) -> RestRequest:
        """The account's commission on a market."""
        params = f"symbol={percent_encoded(instrument.spelling)}"
        asked = asked_for("fees", at, instrument)
        return self._request("GET", "/api/v3/account/commission", params, 20, Lane.READ, asked)

    def rights(self, at: Stamp) -> RestRequest:
        """What the wallet's side of the API says of this key."""
        return self._request("GET", "/sapi/v1/account/apiRestrictions", "", 1, Lane.READ, asked_for("rights", at))

    def used(self, headers: Mapping[str, str], lane: Lane) -> Sequence[Used]:
        """Orders of the account."""
        return tuple(binance_headers(headers)) if lane is Lane.CREATE else ()

    def stream(self) -> "BinanceLine":
        """The WebSocket API; orders are entered over it too."""
        return BinanceLine(self)

    def read(self, asked: Asked, status: int, headers: Mapping[str, str], body: bytes) -> Answer:
        """What an HTTP answer says."""
        message = loaded_any(body)
        if 200 <= status < 300:
            return unreadable(asked, f"no JSON: {shown(body[:80])!r}") if message is None else answer(asked, message)
        try:
            fault = fault_of(message if isinstance(message, dict) else {}, status)
        except Malformed:
            fault = http_fault(status, body)
            if status == 403:  # the firewall's page: too many requests
                fault = msgspec.structs.replace(fault, category=RATE)
        return failed_call(asked, msgspec.structs.replace(fault, wait_sec=wait_of(headers) or 0.0))

    def form(self, params: str, at: Stamp) -> str:
        """Parameters with the window, the time and the signature."""
        joint = "&" if params else ""
        signed = f"{params}{joint}recvWindow={self.window_ms}&timestamp={at.now_ns // NS_A_MS}"
        return f"{signed}&signature={self.sign_form(signed.encode())}"

    def frame_bytes(self, method: str, params: Mapping[str, str], at: Stamp, *, is_signed: bool = True) -> bytes:
        """A request of the WebSocket API."""
        filled = dict(params, recvWindow=str(self.window_ms), timestamp=str(at.now_ns // NS_A_MS))
        if is_signed:
            filled["apiKey"] = self.key
        sent = {name: int(text) if name in NUMBERS else text for name, text in sorted(filled.items())}
        signature = {"signature": self.sign(binance_ws_payload(filled))} if is_signed else {}
        return packed({"id": str(at.nonce), "method": method, "params": sent | signature})

    def _request(self, method: str, path: str, params: str, weight: int, lane: Lane, asked: Asked) -> RestRequest:
        at = Stamp(asked.now_ns, asked.nonce)
        target = f"{path}?{self.form(params, at)}"
        return RestRequest(method, target, (("X-MBX-APIKEY", self.key),), b"", weight, lane, asked)

    def _id(self, ref: Ref) -> str:
        return checked_client_id(self.name, ref.client_id, CLIENT_ID)


class BinancePlacing(Placing):
    """The constant parts of a limit order, as a form and as a frame."""

    def __init__(self, language: BinanceOrders, instrument: Instrument, side: Side, terms: Terms) -> None:
        self.language = language
        self.steps = Steps("binance", instrument)
        self.spelling = instrument.spelling
        symbol, word = instrument.spelling, _SIDES[side]
        kind = "LIMIT_MAKER" if terms == "post_only" else "LIMIT"
        tif = "" if terms == "post_only" else terms.upper()
        window = language.window_ms
        self._headers = (("X-MBX-APIKEY", language.key), FORM)
        self._form = (
            f"symbol={percent_encoded(symbol)}&side={word}&type={kind}"
            + (f"&timeInForce={tif}" if tif else "")
            + f"&newOrderRespType=FULL&recvWindow={window}&quantity="
        )
        # Sorted by name, once as it is signed and once as it is sent.
        tif_signed, tif_sent = (f"&timeInForce={tif}", f',"timeInForce":"{tif}"') if tif else ("", "")
        self._signed = (
            f"apiKey={language.key}&newClientOrderId=",
            "&newOrderRespType=FULL&price=",
            f"&recvWindow={window}&side={word}&symbol={symbol}{tif_signed}&timestamp=",
            f"&type={kind}",
        )
        spelled = packed(symbol).decode()
        key = "" if language.has_session else f'"apiKey":"{language.key}",'
        self._sent = (
            f'","method":"order.place","params":{{{key}"newClientOrderId":"',
            '","newOrderRespType":"FULL","price":"',
            f'","recvWindow":{window},"side":"{word}","symbol":{spelled}{tif_sent},"timestamp":',
            f',"type":"{kind}"',
        )

    def rest(self, client_id: str, qty: Decimal, price: Decimal, at: Stamp) -> RestRequest:
        """A form in the body."""
        checked_client_id("binance", client_id, CLIENT_ID)
        amounts = f"{self.steps.qty(qty)}&price={self.steps.price(price)}"
        form = f"{self._form}{amounts}&newClientOrderId={client_id}&timestamp={at.now_ns // NS_A_MS}"
        body = f"{form}&signature={self.language.sign_form(form.encode())}"
        asked = Asked(what="place", nonce=at.nonce, now_ns=at.now_ns, spelling=self.spelling, client_id=client_id)
        return RestRequest("POST", "/api/v3/order", self._headers, body.encode(), 1, Lane.CREATE, asked)

    def frame(self, client_id: str, qty: Decimal, price: Decimal, at: Stamp) -> Frame:
        """order.place."""
        checked_client_id("binance", client_id, CLIENT_ID)
        price_text, qty_text, time = self.steps.price(price), self.steps.qty(qty), at.now_ns // NS_A_MS
        signature = ""
        if not self.language.has_session:
            a, b, c, d = self._signed
            signed = f"{a}{client_id}{b}{price_text}&quantity={qty_text}{c}{time}{d}"
            signature = f',"signature":"{self.language.sign(signed.encode())}"'
        a, b, c, d = self._sent
        data = (
            f'{{"id":"{at.nonce}{a}{client_id}{b}{price_text}","quantity":"{qty_text}{c}{time}{d}{signature}}}}}'
        ).encode()
        asked = Asked(what="place", nonce=at.nonce, now_ns=at.now_ns, spelling=self.spelling, client_id=client_id)
        return Frame(data, Lane.CREATE, asked)


class BinanceLine(Line):
    """A connection to the WebSocket API: subscribed to the account's events, open for orders."""

    path = "/ws-api/v3"

    def __init__(self, language: BinanceOrders) -> None:
        self._language = language
        self._opening = ""  # the id of what opened it

    def opening(self, at: Stamp) -> Sequence[bytes]:
        """The logon, or the subscription that keys of any kind can sign; listenKeys are gone."""
        self._opening = str(at.nonce)
        method = "session.logon" if self._language.has_session else "userDataStream.subscribe.signature"
        return [self._language.frame_bytes(method, {}, at)]

    def ping(self, at: Stamp) -> bytes:  # noqa: ARG002
        """The server pings."""
        return b""

    def probe(self, at: Stamp) -> bytes:
        """What this connection is subscribed to; nothing, once its logon ended."""
        return packed({"id": f"{at.nonce}{PROBE}", "method": "session.subscriptions"})

    def hear(self, data: bytes, pending: Mapping[int, Asked]) -> Heard:
        """An answer to a request, or an event."""
        message = loaded(data)
        if message is None:
            return Heard((Garbled(f"no JSON object: {shown(data[:80])!r}"),))
        event = message.get("event")
        if isinstance(event, dict):
            return Heard(kept(events(event)))
        if "status" in message:
            return self._answered(message, pending)
        return Heard()

    def _answered(self, message: Row, pending: Mapping[int, Asked]) -> Heard:
        try:
            name, status = ident(message, "id"), whole(message, "status")
            failure = None if 200 <= status < 300 else fault_of(inner(message, "error"), status)
        except Malformed as error:
            return Heard((Garbled(str(error)),))
        asked = pending.get(int(name)) if name.isascii() and name.isdigit() else None
        if name.endswith(PROBE):
            lost = failure is None and message.get("result") == []
            return Heard((StreamFault(LOGGED_OUT),)) if lost else Heard()
        if asked is None or name == self._opening:
            return self._opened(name) if failure is None else Heard((StreamFault(failure),))
        read = answer(asked, message.get("result")) if failure is None else failed_call(asked, failure)
        return Heard((*read.reports, *binance_frame(message)), (asked.nonce,))

    def _opened(self, name: str) -> Heard:
        """The first step done, or the second; an answer that nobody waits for is nothing."""
        if not self._opening or name not in (self._opening, self._opening + SUBSCRIPTION):
            return Heard()
        if self._language.has_session and name == self._opening:
            subscribe = packed({"id": self._opening + SUBSCRIPTION, "method": "userDataStream.subscribe"})
            return Heard((StreamReady(),), send=(subscribe,))
        return Heard((StreamReady("userData"),))


def fault_of(error: Row, status: int) -> Fault:
    """The fault of an error object. Raises Malformed."""
    code, text = str(whole(error, "code")), text_of(error, "msg")
    fault = msgspec.structs.replace(binance_fault(code, text, status), of_address=code == WEIGHT_LIMIT)
    banned = _BANNED.search(text)
    data = error.get("data")
    if isinstance(data, dict) and data.get("retryAfter") is not None:  # ms since the epoch, not seconds to wait
        return msgspec.structs.replace(fault, until_ns=ms_ns(data, "retryAfter"))
    return msgspec.structs.replace(fault, until_ns=int(banned[1]) * NS_A_MS) if banned else fault


def failed_call(asked: Asked, fault: Fault) -> Answer:
    """A query of an unknown order is an answer."""
    if asked.what == "query" and fault.means in ("missing", "done") and not fault.execution_unknown:
        return Answer((Absent(client_id=asked.client_id, venue_id=asked.venue_id, searched_history=True),))
    return failed(asked, fault)


def answer(asked: Asked, message: object) -> Answer:
    """The content of a success."""
    try:
        if asked.what == "fills":
            return _fills(asked, listed(message, "myTrades"))
        if asked.what == "open_orders":
            return Answer(tuple(order_state(row) for row in listed(message, "openOrders")))
        if not isinstance(message, dict):
            raise Malformed("the answer is no object")
        return Answer(tuple(_READERS[asked.what](asked, message)))
    except Malformed as error:
        return unreadable(asked, str(error))


def _placed(asked: Asked, row: Row) -> Iterator[Report]:
    """The order as it is, and the fills it made at once."""
    client_id, venue_id = needed_text(row, "clientOrderId"), needed_id(row, "orderId")
    same_order(asked, client_id)
    state = order_state(row) if "status" in row else None  # an ACK has none
    if state is None or state.status != "refused":
        yield Accepted(client_id=client_id, venue_id=venue_id, on_book=True)
    if state is None:
        return
    for fill in rows(row, "fills") if "fills" in row else []:
        yield Traded(
            client_id=client_id,
            venue_id=venue_id,
            spelling=needed_text(row, "symbol"),
            side=side_of(row, "side"),
            exec_id=needed_id(fill, "tradeId"),
            qty=above_zero(fill, "qty"),
            price=above_zero(fill, "price"),
            fee=amount(fill, "commission"),
            fee_asset=needed_text(fill, "commissionAsset"),
            exec_ns=ms_ns(row, "transactTime"),
        )
    yield state


def _state(asked: Asked, row: Row) -> Iterator[Report]:
    state = order_state(row)
    same_order(asked, state.client_id)
    yield state


def order_state(row: Row) -> OrderState:
    """An order's row; a cancel's answer names the order by origClientOrderId. Raises Malformed."""
    word = needed_text(row, "status")
    cum_qty = at_least_zero(row, "executedQty")
    original = text_of(row, "origClientOrderId")
    return OrderState(
        client_id=original or needed_text(row, "clientOrderId"),
        venue_id=needed_id(row, "orderId"),
        status=_status(word, cum_qty),
        spelling=needed_text(row, "symbol"),
        side=side_of(row, "side"),
        qty=maybe_above_zero(row, "origQty"),
        price=maybe_above_zero(row, "price"),
        cum_qty=cum_qty,
        cause=_cause(word, text_of(row, "timeInForce"), is_asked=bool(original)),
        text=text_of(row, "expiryReason"),
    )


def _status(word: str, cum_qty: Decimal) -> Status:
    status = told_by(STATUSES, word, "status")
    return never_was(cum_qty) if status == "refused" else status


def _cause(word: str, tif: str, *, is_asked: bool) -> Cause:
    if word == "EXPIRED_IN_MATCH":
        return "self_trade"
    if word == "EXPIRED":
        return "ioc" if tif in ("IOC", "FOK") else "venue"
    if word == "CANCELED":
        return "asked" if is_asked else "venue"
    return ""


def _fills(asked: Asked, found: Sequence[Row]) -> Answer:
    reports = tuple(
        Traded(
            venue_id=needed_id(row, "orderId"),
            spelling=needed_text(row, "symbol"),
            side="buy" if flag(row, "isBuyer") else "sell",
            exec_id=ident(row, "id"),
            qty=above_zero(row, "qty"),
            price=above_zero(row, "price"),
            fee=amount(row, "commission"),
            fee_asset=needed_text(row, "commissionAsset"),
            exec_ns=ms_ns(row, "time"),
            is_maker=flag(row, "isMaker"),
        )
        for row in found
    )
    if len(found) >= FILLS_A_PAGE:
        return Answer(reports, f"id:{max(whole(row, 'id') for row in found) + 1}")
    kind, _, start = (asked.page or f"at:{asked.since_ns // NS_A_MS}").partition(":")
    end = int(start) + DAY_MS
    return Answer(reports, f"at:{end}" if kind == "at" and end <= asked.now_ns // NS_A_MS else "")


def _balances(asked: Asked, row: Row) -> Iterator[Report]:  # noqa: ARG001
    held = rows(row, "balances")
    yield BalanceSet(
        free={needed_text(each, "asset"): at_least_zero(each, "free") for each in held},
        locked={needed_text(each, "asset"): at_least_zero(each, "locked") for each in held},
        is_whole=True,
    )


def _fees(asked: Asked, row: Row) -> Iterator[Report]:
    """The parts add up; what buyers or sellers pay besides counts at its worse. The discount is left out: it holds only
    while there is enough of the asset it is paid in."""
    parts = [inner(row, name) for name in ("standardCommission", "specialCommission", "taxCommission") if name in row]
    if not parts:
        raise Malformed("no commission in the answer")
    besides = sum((max(at_least_zero(part, "buyer"), at_least_zero(part, "seller")) for part in parts), Decimal(0))
    yield FeeRates(
        spelling=asked.spelling,
        maker=sum((at_least_zero(part, "maker") for part in parts), besides),
        taker=sum((at_least_zero(part, "taker") for part in parts), besides),
    )


_READERS: Final[Mapping[What, Callable[[Asked, Row], Iterator[Report]]]] = {
    "place": _placed,
    "cancel": _state,
    "query": _state,
    "balances": _balances,
    "rights": lambda _asked, row: iter([binance_rights(row)]),
    "fees": _fees,
}


def events(event: Row) -> Iterator[Report]:
    """An event of the account. Events that nobody knows say nothing about orders."""
    kind = text_of(event, "e")
    if kind == "executionReport":
        yield from _execution(event)
    elif kind == "outboundAccountPosition":
        held = rows(event, "B")
        yield BalanceSet(
            free={needed_text(each, "a"): at_least_zero(each, "f") for each in held},
            locked={needed_text(each, "a"): at_least_zero(each, "l") for each in held},
            is_whole=False,
        )
    elif kind in ("eventStreamTerminated", "serverShutdown"):
        yield StreamLost(kind)


def _execution(event: Row) -> Iterator[Report]:
    """Order and fill in one; a fill is one only when a quantity was filled."""
    word, original = needed_text(event, "X"), text_of(event, "C")
    client_id, venue_id = original or text_of(event, "c"), needed_id(event, "i")
    spelling, side = needed_text(event, "s"), side_of(event, "S")
    if needed_text(event, "x") == "TRADE" and at_least_zero(event, "l") > 0:
        trade = ident(event, "t")
        fill = Traded(
            client_id=client_id,
            venue_id=venue_id,
            spelling=spelling,
            side=side,
            exec_id=trade,
            qty=above_zero(event, "l"),
            price=above_zero(event, "L"),
            fee=amount(event, "n"),
            fee_asset=text_of(event, "N"),
            exec_ns=ms_ns(event, "T"),
            is_maker=flag(event, "m"),
        )
        yield fill if trade not in ("", "-1") else unnamed(venue_id)
    cum_qty = at_least_zero(event, "z")
    yield OrderState(
        client_id=client_id,
        venue_id=venue_id,
        status=_status(word, cum_qty),
        spelling=spelling,
        side=side,
        qty=maybe_above_zero(event, "q"),
        price=maybe_above_zero(event, "p"),
        cum_qty=cum_qty,
        cause=_cause(word, text_of(event, "f"), is_asked=bool(original)),
        text=text_of(event, "eR") or text_of(event, "r"),
    )
