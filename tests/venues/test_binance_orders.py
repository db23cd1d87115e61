"""Binance's order language: exact requests, answers and events to reports, damage to nothing worse than doubt."""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import given
from hypothesis import strategies as st

from gambit.venues.binance_orders import BinanceOrders
from gambit.venues.orders import (
    Absent,
    Accepted,
    Asked,
    BalanceSet,
    Fault,
    FeeRates,
    Garbled,
    Keys,
    Lane,
    OrderState,
    Refused,
    Stamp,
    StreamFault,
    StreamLost,
    StreamReady,
    Traded,
    Unclear,
)
from tests.venues import naive_orders as naive
from tests.venues.orderly import (
    AT,
    BIG,
    ID,
    NOW_NS,
    REF,
    D,
    asked,
    hear_cut,
    hear_spoiled,
    heard,
    kinds,
    market,
    read,
    read_cut,
    read_spoiled,
    states,
    traded,
)
from tests.venues.test_signing import BINANCE_KEY, BINANCE_SECRET, WIDE_DIGITS, pem

MARKET = market("BTCUSDT")
LANGUAGE = BinanceOrders(Keys(key=BINANCE_KEY, secret=BINANCE_SECRET))
MS = NOW_NS // 1_000_000
DAY_NS = 86_400_000_000_000
PLACE = asked("place", spelling="BTCUSDT", client_id=ID)
CANCEL = asked("cancel", spelling="BTCUSDT", client_id=ID)
QUERY = asked("query", spelling="BTCUSDT", client_id=ID)

ORDER: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "orderId": int(BIG),
    "orderListId": -1,
    "clientOrderId": ID,
    "transactTime": 1_507_725_176_595,
    "price": "64012.36000000",
    "origQty": "0.01000000",
    "executedQty": "0.00400000",
    "origQuoteOrderQty": "0.000000",
    "cummulativeQuoteQty": "256.04944000",
    "status": "EXPIRED",
    "timeInForce": "IOC",
    "type": "LIMIT",
    "side": "BUY",
    "fills": [
        {
            "price": "64012.36000000",
            "qty": "0.00400000",
            "commission": "0.00000400",
            "commissionAsset": "BTC",
            "tradeId": int(BIG) + 1,
        }
    ],
}
CANCELLED = {
    "symbol": "BTCUSDT",
    "origClientOrderId": ID,
    "orderId": 28,
    "clientOrderId": "the-cancels-own-id",
    "price": "64012.36000000",
    "origQty": "0.01000000",
    "executedQty": "0.00400000",
    "status": "CANCELED",
    "timeInForce": "GTC",
    "type": "LIMIT",
    "side": "BUY",
}
REPORT: dict[str, Any] = {
    "e": "executionReport", "E": 1_499_405_658_658, "s": "BTCUSDT", "c": ID, "S": "BUY", "o": "LIMIT", "f": "GTC",
    "q": "0.01000000", "p": "64012.36000000", "C": "", "x": "TRADE", "X": "PARTIALLY_FILLED", "r": "NONE",
    "i": int(BIG), "l": "0.00400000", "z": "0.00400000", "L": "64012.36000000", "n": "0.00000400", "N": "BTC",
    "T": 1_499_405_658_657, "t": int(BIG) + 1, "m": False,
}  # fmt: skip


def event(**changes: Any) -> str:
    """An executionReport as it arrives."""
    return json.dumps({"subscriptionId": 0, "event": REPORT | changes})


def error(code: int, text: str) -> str:
    """An error's body."""
    return json.dumps({"code": code, "msg": text})


def fault_of(about: Asked, status: int, body: str, **headers: str) -> Fault:
    """The fault of an answer."""
    found = read(LANGUAGE, about, body, status, **headers).fault
    assert found is not None
    return found


def test_place() -> None:
    """The form, its signature last; the key in a header."""
    request = LANGUAGE.placing(MARKET, "buy", "ioc").rest(ID, D("0.01"), D("64012.36"), AT)
    assert (request.method, request.path, request.weight, request.lane) == ("POST", "/api/v3/order", 1, Lane.CREATE)
    assert request.headers == (
        ("X-MBX-APIKEY", BINANCE_KEY),
        ("Content-Type", "application/x-www-form-urlencoded"),
    )
    assert request.body.rpartition(b"&signature=")[0].decode() == (
        "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=IOC&newOrderRespType=FULL&recvWindow=5000"
        f"&quantity=0.01000&price=64012.36&newClientOrderId={ID}&timestamp={MS}"
    )
    assert request.asked == PLACE


def test_post_only_is_a_type() -> None:
    """LIMIT_MAKER has no time in force."""
    placing = LANGUAGE.placing(MARKET, "sell", "post_only")
    request = placing.rest(ID, D("0.01"), D("64012.36"), AT)
    assert request.body.startswith(b"symbol=BTCUSDT&side=SELL&type=LIMIT_MAKER&newOrderRespType=FULL&")
    params = json.loads(placing.frame(ID, D("0.01"), D("64012.36"), AT).data)["params"]
    assert params["type"] == "LIMIT_MAKER"
    assert "timeInForce" not in params


@given(
    qty=st.integers(1, 10**9),
    price=st.integers(1, 10**9),
    client_id=st.from_regex(r"[A-Za-z0-9]{1,18}", fullmatch=True),
    now_ns=st.integers(10**18, 2 * 10**18),
    side=st.sampled_from(["buy", "sell"]),
    tif=st.sampled_from(["ioc", "fok", "gtc"]),
)
def test_templates_are_the_naive_bytes(qty: int, price: int, client_id: str, now_ns: int, side: Any, tif: Any) -> None:
    """What is encoded once and what is encoded every time are the same bytes."""
    placing, at = LANGUAGE.placing(MARKET, side, tif), Stamp(now_ns, now_ns // 1000)
    exact_qty, exact_price, ms = Decimal(qty).scaleb(-5), Decimal(price).scaleb(-2), now_ns // 1_000_000
    said = (side.upper(), tif.upper(), client_id, f"{exact_qty:f}", f"{exact_price:f}", ms)
    form = naive.binance_rest(BINANCE_SECRET, "BTCUSDT", *said)
    assert placing.rest(client_id, exact_qty, exact_price, at).body == form
    frame = naive.binance_frame(BINANCE_KEY, BINANCE_SECRET, at.nonce, "BTCUSDT", *said)
    assert placing.frame(client_id, exact_qty, exact_price, at).data == frame


def test_a_symbol_beyond_ascii_is_encoded_then_signed() -> None:
    """In a form it is percent-encoded before it is signed; in a frame it is signed as it is."""
    placing = LANGUAGE.placing(market(WIDE_DIGITS), "buy", "gtc")
    body = placing.rest(ID, D(1), D(1), AT).body.decode()
    assert body.startswith("symbol=%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96&side=BUY")
    form, _, signature = body.rpartition("&signature=")
    assert signature == LANGUAGE.sign(form.encode())
    params = json.loads(placing.frame(ID, D(1), D(1), AT).data)["params"]
    given_signature = params.pop("signature")
    payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
    assert params["symbol"] == WIDE_DIGITS
    assert given_signature == LANGUAGE.sign(payload.encode())


@pytest.mark.parametrize(
    ("request_", "method", "target", "weight", "lane"),
    [
        (LANGUAGE.cancel(MARKET, REF, AT), "DELETE", f"order?symbol=BTCUSDT&origClientOrderId={ID}&", 1, "cancel"),
        (LANGUAGE.query(MARKET, REF, 0, AT), "GET", f"order?symbol=BTCUSDT&origClientOrderId={ID}&", 4, "read"),
        (LANGUAGE.open_orders(MARKET, AT), "GET", "openOrders?symbol=BTCUSDT&", 6, "read"),
        (LANGUAGE.open_orders(None, AT), "GET", "openOrders?", 80, "read"),
        (LANGUAGE.balances(AT), "GET", "account?omitZeroBalances=true&", 20, "read"),
        (LANGUAGE.fee_rates(MARKET, AT), "GET", "account/commission?symbol=BTCUSDT&", 20, "read"),
        (
            LANGUAGE.fills(MARKET, NOW_NS, AT),
            "GET",
            f"myTrades?symbol=BTCUSDT&limit=1000&startTime={MS}&endTime={MS + 86_400_000 - 1}&",
            20,
            "read",
        ),
        (
            LANGUAGE.fills(MARKET, 0, AT, f"id:{BIG}"),
            "GET",
            f"myTrades?symbol=BTCUSDT&limit=1000&fromId={BIG}&",
            20,
            "read",
        ),
    ],
)
def test_requests(request_: Any, method: str, target: str, weight: int, lane: str) -> None:
    """Each is signed over its whole query."""
    query, _, signature = request_.path.partition("?")[2].rpartition("&signature=")
    assert (request_.method, request_.path.rpartition(f"recvWindow=5000&timestamp={MS}&signature=")[0]) == (
        method,
        f"/api/v3/{target}",
    )
    assert signature == LANGUAGE.sign(query.encode())
    assert (request_.weight, request_.lane, request_.body) == (weight, lane, b"")


def test_nothing_like_a_dead_man_switch() -> None:
    """Spot has none, and no tokens."""
    assert LANGUAGE.cancel_all_after(60, AT) is None
    assert LANGUAGE.token(AT) is None
    assert LANGUAGE.entry() is None


def test_an_ioc_that_filled_in_part() -> None:
    """Accepted, its fills, and expired with what it filled; ids beyond 2^53 to the digit."""
    got = read(LANGUAGE, PLACE, json.dumps(ORDER))
    ids = {"client_id": ID, "venue_id": BIG}
    assert got.reports == (
        Accepted(on_book=True, **ids),
        Traded(
            spelling="BTCUSDT", side="buy", exec_id=str(int(BIG) + 1), qty=D("0.004"), price=D("64012.36"),
            fee=D("0.000004"), fee_asset="BTC", exec_ns=1_507_725_176_595_000_000, **ids,
        ),
        OrderState(
            status="expired", spelling="BTCUSDT", side="buy", qty=D("0.01"), price=D("64012.36"), cum_qty=D("0.004"),
            cause="ioc", **ids,
        ),
    )  # fmt: skip


def test_an_ack_alone() -> None:
    """Without a status nothing is said about one."""
    got = read(LANGUAGE, PLACE, json.dumps({"symbol": "BTCUSDT", "orderId": 28, "clientOrderId": ID}))
    assert got.reports == (Accepted(client_id=ID, venue_id="28", on_book=True),)


def test_another_orders_answer_is_not_believed() -> None:
    """F19: the order asked about stays unknown."""
    for about, sort in ((PLACE, Unclear), (CANCEL, Unclear), (QUERY, None)):
        body = CANCELLED | {"origClientOrderId": "x"} if about is CANCEL else ORDER | {"clientOrderId": "another"}
        got = read(LANGUAGE, about, json.dumps(body))
        assert [type(report) for report in got.reports] == ([sort] if sort else [])
        assert got.fault is not None
        assert got.fault.category == "data_inconsistency"


def test_a_cancel_names_the_order_by_its_original_id() -> None:
    """clientOrderId of the answer is the cancel's own."""
    (state,) = states(read(LANGUAGE, CANCEL, json.dumps(CANCELLED)).reports)
    assert (state.client_id, state.status, state.cum_qty, state.cause) == (ID, "cancelled", D("0.004"), "asked")


def test_answers_to_queries() -> None:
    """A state, open orders, balances, fees; an unknown order is absent, which proves nothing by itself."""
    (state,) = states(read(LANGUAGE, QUERY, json.dumps(ORDER)).reports)
    assert (state.status, state.venue_id) == ("expired", BIG)
    both = states(read(LANGUAGE, asked("open_orders"), json.dumps([ORDER | {"status": "NEW"}, ORDER])).reports)
    assert [state.status for state in both] == ["open", "expired"]
    missing = read(LANGUAGE, QUERY, error(-2013, "Order does not exist."), 400)
    assert missing.reports == (Absent(client_id=ID, searched_history=True),)
    account = {"balances": [{"asset": "BTC", "free": "1.50000000", "locked": "0.10000000"}], "uid": 1}
    assert read(LANGUAGE, asked("balances"), json.dumps(account)).reports == (
        BalanceSet(free={"BTC": D("1.5")}, locked={"BTC": D("0.1")}, is_whole=True),
    )
    part = {"maker": "0.0010", "taker": "0.0010", "buyer": "0.0001", "seller": "0"}
    fees = {"symbol": "BTCUSDT", "standardCommission": part, "taxCommission": part | {"buyer": "0"}}
    assert read(LANGUAGE, asked("fees", spelling="BTCUSDT"), json.dumps(fees)).reports == (
        FeeRates(spelling="BTCUSDT", maker=D("0.0021"), taker=D("0.0021")),
    )


def trade(number: int) -> dict[str, Any]:
    """A row of myTrades."""
    return {
        "symbol": "BTCUSDT", "id": number, "orderId": int(BIG), "price": "4.00", "qty": "12.00", "commission": "0.01",
        "commissionAsset": "BNB", "time": 1_499_865_549_590, "isBuyer": number % 2 == 0, "isMaker": True,
    }  # fmt: skip


def test_fills_a_page_at_a_time() -> None:
    """A short day is followed by the next day until today; a full one by trade ids."""
    about = asked("fills", spelling="BTCUSDT", since_ns=NOW_NS - DAY_NS - 1)
    got = read(LANGUAGE, about, json.dumps([trade(5), trade(6)]))
    assert [(fill.side, fill.venue_id, fill.client_id, fill.exec_id) for fill in traded(got.reports)] == [
        ("sell", BIG, "", "5"),
        ("buy", BIG, "", "6"),
    ]
    assert got.page == f"at:{(about.since_ns // 1_000_000) + 86_400_000}"
    last = asked("fills", spelling="BTCUSDT", since_ns=about.since_ns, page=got.page)
    assert read(LANGUAGE, last, "[]").page == ""
    full = [trade(int(BIG) + at) for at in range(1000)]
    assert read(LANGUAGE, last, json.dumps(full)).page == f"id:{int(BIG) + 1000}"
    assert read(LANGUAGE, asked("fills", page="id:7"), json.dumps(full[:999])).page == ""


@pytest.mark.parametrize(
    ("status", "code", "text", "category", "means"),
    [
        (429, -1003, "Too many requests", "rate_limit", "other"),
        (429, -1015, "Too many new orders", "rate_limit", "other"),
        (400, -1034, "Too many connections", "rate_limit", "other"),
        (401, -2015, "Invalid API-key, IP, or permissions for action.", "auth", "other"),
        (401, -2014, "API-key format invalid.", "auth", "other"),
        (401, -1002, "You are not authorized", "auth", "other"),
        (400, -1022, "Signature for this request is not valid.", "auth", "other"),
        (400, -1021, "Timestamp for this request is outside of the recvWindow.", "auth", "clock"),
        (400, -1100, "Illegal characters found in a parameter.", "permanent_4xx", "other"),
        (400, -1130, "Invalid data sent for a parameter.", "permanent_4xx", "other"),
        (400, -1013, "Filter failure: NOTIONAL", "permanent_4xx", "filters"),
        (400, -1121, "Invalid symbol.", "permanent_4xx", "other"),
        (400, -2010, "Account has insufficient balance for requested action.", "permanent_4xx", "funds"),
        (400, -2010, "Order would immediately match and take.", "permanent_4xx", "post_only"),
        (400, -2010, "Market is closed.", "permanent_4xx", "market_state"),
        (400, -2010, "This action is disabled on this account.", "permanent_4xx", "other"),
    ],
)
def test_definite_refusals(status: int, code: int, text: str, category: str, means: str) -> None:
    """What positively never became an order, over HTTP and over the WebSocket API."""
    got = read(LANGUAGE, PLACE, error(code, text), status)
    assert got.fault is not None
    assert (got.fault.category, got.fault.means, got.fault.code) == (category, means, str(code))
    assert got.fault.is_definite
    assert not got.fault.execution_unknown
    assert got.reports == (Refused(client_id=ID, fault=got.fault),)
    reply = json.dumps({"id": str(AT.nonce), "status": status, "error": {"code": code, "msg": text}})
    spoken = heard(LANGUAGE.stream(), reply, [PLACE])
    assert (spoken.reports, spoken.answered) == ((Refused(client_id=ID, fault=got.fault),), (AT.nonce,))


@pytest.mark.parametrize(
    ("status", "body", "category", "is_unknown"),
    [
        (400, error(-1006, "An unexpected response was received"), "vendor_5xx", True),
        (408, error(-1007, "Timeout waiting for response; execution status unknown."), "vendor_5xx", True),
        (200, error(-1007, "execution status unknown."), "data_inconsistency", True),
        (500, error(-1000, "An unknown error occurred"), "vendor_5xx", True),
        (500, error(-1001, "Internal error"), "vendor_5xx", True),
        (503, error(-1008, "Request throttled by system-level protection."), "vendor_5xx", True),
        (503, error(-1016, "This service is no longer available."), "vendor_5xx", True),
        (500, error(-2010, "Account has insufficient balance"), "permanent_4xx", True),
        (502, "<html>bad gateway</html>", "vendor_5xx", True),
        (504, "", "vendor_5xx", True),
        (408, "", "transient_network", True),
        (200, "", "data_inconsistency", True),
        (200, "<html>", "data_inconsistency", True),
        (200, "[]", "data_inconsistency", True),
        (403, "<html>blocked</html>", "rate_limit", True),
        (429, "slow down", "rate_limit", True),
        (400, error(-9999, "something new"), "permanent_4xx", False),
        (400, error(-2010, "Duplicate order sent."), "permanent_4xx", False),
        (400, "null", "permanent_4xx", True),
        (400, '{"code":null}', "permanent_4xx", True),
        (429, '{"code":-1003,"msg":"x","data":{"retryAfter":"soon"}}', "rate_limit", True),
    ],
)
def test_doubt(status: int, body: str, category: str, is_unknown: bool) -> None:
    """Whatever is no positive refusal leaves the order unknown; only what says nothing about it is not marked so."""
    got = read(LANGUAGE, PLACE, body, status)
    assert got.fault is not None
    assert (got.fault.category, got.fault.execution_unknown, got.fault.is_definite) == (category, is_unknown, False)
    assert got.reports == (Unclear(client_id=ID, during="create", fault=got.fault),)
    assert not (got.fault.execution_unknown and got.fault.retryable)


def test_a_duplicate_is_an_order_that_was_sent() -> None:
    """It may be live: ask, do not believe in a refusal."""
    assert fault_of(PLACE, 400, error(-2010, "Duplicate order sent.")).means == "already_sent"


def test_how_long_to_wait() -> None:
    """Retry-After is in seconds over HTTP; the WebSocket API and a ban say a time in ms."""
    assert fault_of(PLACE, 429, error(-1003, "Too much"), retry_after="7").wait_sec == 7.0
    banned = error(-1003, "Way too much; IP banned until 1659146400000.")
    assert fault_of(PLACE, 418, banned).until_ns == 1_659_146_400_000_000_000
    data = {"serverTime": 1, "retryAfter": 1_659_146_400_000}
    reply = {"id": str(AT.nonce), "status": 429, "error": {"code": -1003, "msg": "x", "data": data}}
    (refused,) = heard(LANGUAGE.stream(), json.dumps(reply), [PLACE]).reports
    assert isinstance(refused, Refused)
    assert (refused.fault.until_ns, refused.fault.wait_sec) == (1_659_146_400_000_000_000, 0.0)


def test_cancels_that_came_too_late() -> None:
    """-2011 usually means that the order just filled: the cancel is refused, the order is asked about."""
    assert kinds(read(LANGUAGE, CANCEL, error(-2011, "Unknown order sent."), 400).reports) == ["CancelRefused"]
    assert kinds(read(LANGUAGE, CANCEL, error(-1007, "Timeout"), 408).reports) == ["Unclear"]


def test_logon() -> None:
    """The account's events are subscribed with a signature of any key; the vector of the sheet."""
    line = LANGUAGE.stream()
    (opening,) = line.opening(Stamp(1_747_385_641_636_000_000, 7))
    assert line.path == "/ws-api/v3"
    sent = json.loads(opening)
    assert (sent["method"], sent["id"]) == ("userDataStream.subscribe.signature", "7")
    assert sent["params"]["timestamp"] == 1_747_385_641_636
    assert heard(line, '{"id":"7","status":200,"result":{"subscriptionId":0}}').reports == (StreamReady("userData"),)
    refused = '{"id":"7","status":401,"error":{"code":-2015,"msg":"Invalid API-key"}}'
    (got,) = heard(line, refused).reports
    assert isinstance(got, StreamFault)
    assert got.fault.category == "auth"
    assert line.ping(AT) == b""


def test_a_session_needs_no_signatures() -> None:
    """With an Ed25519 key the line is logged on, then subscribed; orders over it carry neither key nor signature."""
    language = BinanceOrders(Keys(key="k", secret=pem(ed25519.Ed25519PrivateKey.generate())))
    line = language.stream()
    logon = json.loads(line.opening(Stamp(NOW_NS, 7))[0])
    assert logon["method"] == "session.logon"
    assert list(logon["params"]) == ["apiKey", "recvWindow", "timestamp", "signature"]
    got = heard(line, '{"id":"7","status":200,"result":{"apiKey":"k","authorizedSince":1}}')
    assert got.reports == (StreamReady(),)
    assert [json.loads(frame) for frame in got.send] == [{"id": "7s", "method": "userDataStream.subscribe"}]
    assert heard(line, '{"id":"7s","status":200,"result":{"subscriptionId":0}}').reports == (StreamReady("userData"),)
    assert heard(line, '{"id":"8s","status":200,"result":{"subscriptionId":0}}').reports == ()
    placed = json.loads(language.placing(MARKET, "buy", "ioc").frame(ID, D("0.01"), D("64012.36"), AT).data)
    assert placed["params"] == {
        "newClientOrderId": ID, "newOrderRespType": "FULL", "price": "64012.36", "quantity": "0.01000",
        "recvWindow": 5000, "side": "BUY", "symbol": "BTCUSDT", "timeInForce": "IOC", "timestamp": MS, "type": "LIMIT",
    }  # fmt: skip
    cancelled = json.loads(language.cancel_frame(MARKET, REF, AT).data)
    assert list(cancelled["params"]) == ["origClientOrderId", "recvWindow", "symbol", "timestamp"]
    assert b"&signature=" in language.placing(MARKET, "buy", "ioc").rest(ID, D("0.01"), D("64012.36"), AT).body


def test_an_execution() -> None:
    """A fill and the state behind it."""
    assert heard(LANGUAGE.stream(), event()).reports == (
        Traded(
            client_id=ID, venue_id=BIG, spelling="BTCUSDT", side="buy", exec_id=str(int(BIG) + 1), qty=D("0.004"),
            price=D("64012.36"), fee=D("0.000004"), fee_asset="BTC", exec_ns=1_499_405_658_657_000_000, is_maker=False,
        ),
        OrderState(
            client_id=ID, venue_id=BIG, status="partial", spelling="BTCUSDT", side="buy", qty=D("0.01"),
            price=D("64012.36"), cum_qty=D("0.004"), text="NONE",
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "status", "cause"),
    [
        ({"x": "NEW", "X": "NEW", "l": "0.00000000"}, "open", ""),
        ({"x": "NEW", "X": "PENDING_NEW"}, "accepted", ""),
        ({"x": "CANCELED", "X": "CANCELED", "c": "cancel-1", "C": ID}, "cancelled", "asked"),
        ({"x": "CANCELED", "X": "CANCELED"}, "cancelled", "venue"),
        ({"x": "EXPIRED", "X": "EXPIRED", "f": "IOC", "eR": "UNFILLED_IOC_QUANTITY_EXPIRED"}, "expired", "ioc"),
        ({"x": "EXPIRED", "X": "EXPIRED", "eR": "EXCHANGE_CANCELED"}, "expired", "venue"),
        ({"x": "TRADE_PREVENTION", "X": "EXPIRED_IN_MATCH", "l": "0.00400000"}, "expired", "self_trade"),
        ({"x": "REJECTED", "X": "REJECTED", "r": "INSUFFICIENT_BALANCES"}, "cancelled", ""),
    ],
)
def test_states(changes: dict[str, Any], status: str, cause: str) -> None:
    """No fill but of a trade; on a cancel `C` is the order; the quantity filled is kept whatever the end."""
    got = heard(LANGUAGE.stream(), event(**changes)).reports
    assert kinds(got) == ["OrderState"]
    (state,) = states(got)
    assert (state.client_id, state.status, state.cause, state.cum_qty) == (ID, status, cause, D("0.004"))


def test_a_rejected_order_never_was() -> None:
    """Unless some of it was filled: quantities beat labels."""
    (state,) = states(heard(LANGUAGE.stream(), event(x="REJECTED", X="REJECTED", z="0", l="0")).reports)
    assert state.status == "refused"


def test_a_fill_without_an_id_is_a_loss() -> None:
    """HTTP has the id; one made up would count twice."""
    for missing in (-1, None):
        assert kinds(heard(LANGUAGE.stream(), event(t=missing)).reports) == ["StreamLost", "OrderState"]


def test_other_events() -> None:
    """Balances that changed, the end of the stream, and what nobody knows."""
    line = LANGUAGE.stream()
    held = {"e": "outboundAccountPosition", "u": 1, "B": [{"a": "BTC", "f": "1.0", "l": "0.5"}]}
    wrapped = json.dumps({"subscriptionId": 0, "event": held})
    assert heard(line, wrapped).reports == (BalanceSet(free={"BTC": D(1)}, locked={"BTC": D("0.5")}, is_whole=False),)
    for kind in ("eventStreamTerminated", "serverShutdown"):
        assert heard(line, json.dumps({"event": {"e": kind}})).reports == (StreamLost(kind),)
    for kind in ("balanceUpdate", "listStatus", "somethingNew"):
        assert heard(line, json.dumps({"subscriptionId": 0, "event": {"e": kind}})).reports == ()


def test_orders_over_the_line() -> None:
    """An answer belongs to its request by id; one that nobody waits for is nothing."""
    reply = json.dumps({"id": str(AT.nonce), "status": 200, "result": ORDER, "rateLimits": []})
    got = heard(LANGUAGE.stream(), reply, [PLACE])
    assert (kinds(got.reports), got.answered) == (["Accepted", "Traded", "OrderState"], (AT.nonce,))
    assert heard(LANGUAGE.stream(), reply) == heard(LANGUAGE.stream(), '{"id":"3","status":200,"result":{}}')
    frame = json.loads(LANGUAGE.cancel_frame(MARKET, REF, AT).data)
    assert frame["method"] == "order.cancel"
    assert list(frame["params"]) == ["apiKey", "origClientOrderId", "recvWindow", "symbol", "timestamp", "signature"]


@pytest.mark.parametrize("client_id", ["", "a b", "x" * 37, "naïve", "a\n"])
def test_client_ids_that_are_not_taken(client_id: str) -> None:
    """The message names the id and the rule."""
    placing = LANGUAGE.placing(MARKET, "buy", "ioc")
    for attempt in (placing.rest, placing.frame):
        with pytest.raises(ValueError, match=r"binance: the client order id .* is not \[a-zA-Z0-9_-\]\{1,36\}"):
            attempt(client_id, D(1), D(1), AT)


def test_everything_damaged() -> None:
    """Cut anywhere, or with any field missing or strange: doubt, never an exception, never another fact."""
    for about, body in ((PLACE, ORDER), (CANCEL, CANCELLED), (QUERY, ORDER)):
        read_cut(LANGUAGE, about, json.dumps(body))
        assert read_spoiled(LANGUAGE, about, body) > 100
    read_cut(LANGUAGE, PLACE, error(-1121, "Invalid symbol."), 400)
    read_cut(LANGUAGE, asked("fills"), json.dumps([trade(1)]))
    assert read_spoiled(LANGUAGE, asked("fills"), [trade(1)]) > 100
    hear_cut(LANGUAGE.stream, event())
    assert hear_spoiled(LANGUAGE.stream, {"subscriptionId": 0, "event": REPORT}) > 200
    reply = {"id": str(AT.nonce), "status": 400, "error": {"code": -1121, "msg": "Invalid symbol."}}
    hear_cut(LANGUAGE.stream, json.dumps(reply), [PLACE])
    assert hear_spoiled(LANGUAGE.stream, reply, [PLACE]) > 50
    assert kinds(heard(LANGUAGE.stream(), event(l="NaN")).reports) == ["Garbled"]


def test_what_came_before_the_damage_is_kept() -> None:
    """A fill that was read well is told, though the state behind it was not."""
    got: Sequence[Any] = heard(LANGUAGE.stream(), event(z="much")).reports
    assert [type(report) for report in got] == [Traded, Garbled]
