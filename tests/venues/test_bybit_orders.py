"""Bybit's order language: exact requests, answers and pushes to reports, damage to nothing worse than doubt."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambit.venues.bybit_orders import BybitOrders
from gambit.venues.orders import (
    Absent,
    Accepted,
    BalanceSet,
    CancelTaken,
    FeeRates,
    Keys,
    Lane,
    OrderState,
    Refused,
    Stamp,
    StreamFault,
    StreamReady,
    Traded,
    Unclear,
)
from gambit.venues.signing import bybit_signature
from tests.venues import naive_orders as naive
from tests.venues.orderly import (
    AT,
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

KEY, SECRET = "gambitDocKey01", "gambitDocSecret01"
MARKET = market("BTCUSDT", tick="0.1", lot="0.000001")
LANGUAGE = BybitOrders(Keys(key=KEY, secret=SECRET))
MS = NOW_NS // 1_000_000
WEEK_MS = 7 * 86_400_000
PLACE = asked("place", spelling="BTCUSDT", client_id=ID)
CANCEL = asked("cancel", spelling="BTCUSDT", client_id=ID)
QUERY = asked("query", spelling="BTCUSDT", client_id=ID)

ORDER: dict[str, Any] = {
    "category": "spot", "symbol": "BTCUSDT", "orderId": "1321003749386327552", "orderLinkId": ID, "side": "Buy",
    "orderType": "Limit", "timeInForce": "IOC", "price": "64012.4", "qty": "0.01",
    "orderStatus": "PartiallyFilledCanceled", "avgPrice": "64012.4", "leavesQty": "0", "cumExecQty": "0.004",
    "cumExecFee": "0.000004", "feeCurrency": "BTC", "cancelType": "UNKNOWN",
    "rejectReason": "EC_NoImmediateQtyToFill", "marketUnit": "", "createdTime": "1", "updatedTime": "1",
}  # fmt: skip
EXECUTION: dict[str, Any] = {
    "category": "spot", "symbol": "BTCUSDT", "orderId": "1321003749386327552", "orderLinkId": ID, "side": "Buy",
    "execId": "2100000000007764263", "execPrice": "64012.4", "execQty": "0.004", "execType": "Trade",
    "execFee": "0.000004", "feeCurrency": "BTC", "isMaker": False, "execTime": "1746270400353",
    "seq": 140612148849382,
}  # fmt: skip


def envelope(result: Any, code: int = 0, msg: str = "OK") -> str:
    """An answer."""
    return json.dumps({"retCode": code, "retMsg": msg, "result": result, "retExtInfo": {}, "time": 1})


def push(topic: str, **changes: Any) -> str:
    """A push of a topic."""
    row = (ORDER if topic.startswith("order") else EXECUTION) | changes
    return json.dumps({"id": "5", "topic": topic, "creationTime": 1672364262474, "data": [row]})


TAKEN = envelope({"orderId": "1321003749386327552", "orderLinkId": ID})


def test_place() -> None:
    """JSON, signed as it is sent; the headers carry time and window."""
    request = LANGUAGE.placing(MARKET, "buy", "ioc").rest(ID, D("0.01"), D("64012.4"), AT)
    assert (request.method, request.path, request.lane) == ("POST", "/v5/order/create", Lane.CREATE)
    assert request.body.decode() == (
        '{"category":"spot","symbol":"BTCUSDT","side":"Buy","orderType":"Limit","timeInForce":"IOC","isLeverage":0,'
        f'"qty":"0.010000","price":"64012.4","orderLinkId":"{ID}"}}'
    )
    assert dict(request.headers) == {
        "X-BAPI-API-KEY": KEY,
        "X-BAPI-RECV-WINDOW": "5000",
        "X-BAPI-TIMESTAMP": str(MS),
        "X-BAPI-SIGN": naive.bybit_rest(KEY, SECRET, json.loads(request.body), MS)[0],
        "Content-Type": "application/json",
    }
    assert request.asked == PLACE


@given(
    qty=st.integers(1, 10**12),
    price=st.integers(1, 10**9),
    client_id=st.from_regex(r"[A-Za-z0-9]{1,18}", fullmatch=True),
    now_ns=st.integers(10**18, 2 * 10**18),
    side=st.sampled_from(["buy", "sell"]),
    terms=st.sampled_from([("ioc", "IOC"), ("fok", "FOK"), ("gtc", "GTC"), ("post_only", "PostOnly")]),
)
def test_templates_are_the_naive_bytes(
    qty: int, price: int, client_id: str, now_ns: int, side: Any, terms: Any
) -> None:
    """What is encoded once and what is encoded every time are the same bytes."""
    placing, at = LANGUAGE.placing(MARKET, side, terms[0]), Stamp(now_ns, now_ns // 1000)
    exact_qty, exact_price, ms = Decimal(qty).scaleb(-6), Decimal(price).scaleb(-1), now_ns // 1_000_000
    order = {"category": "spot", "symbol": "BTCUSDT", "side": side.capitalize(), "orderType": "Limit"}
    order |= {"timeInForce": terms[1], "isLeverage": 0}  # type: ignore[dict-item]
    order |= {"qty": f"{exact_qty:f}", "price": f"{exact_price:f}", "orderLinkId": client_id}
    signature, body = naive.bybit_rest(KEY, SECRET, order, ms)
    request = placing.rest(client_id, exact_qty, exact_price, at)
    assert (dict(request.headers)["X-BAPI-SIGN"], request.body) == (signature, body)
    frame = {"reqId": str(at.nonce), "header": {"X-BAPI-TIMESTAMP": str(ms), "X-BAPI-RECV-WINDOW": "5000"}}
    assert placing.frame(client_id, exact_qty, exact_price, at).data == naive.compact(
        frame | {"op": "order.create", "args": [order]}
    )


@pytest.mark.parametrize(
    ("request_", "path", "query"),
    [
        (LANGUAGE.query(MARKET, REF, 0, AT), "/v5/order/realtime", f"category=spot&symbol=BTCUSDT&orderLinkId={ID}"),
        (
            LANGUAGE.query(MARKET, REF, 0, AT, "history"),
            "/v5/order/history",
            f"category=spot&symbol=BTCUSDT&orderLinkId={ID}",
        ),
        (LANGUAGE.open_orders(None, AT), "/v5/order/realtime", "category=spot&openOnly=0&limit=50"),
        (
            LANGUAGE.open_orders(MARKET, AT, "a%2B="),
            "/v5/order/realtime",
            "category=spot&openOnly=0&limit=50&symbol=BTCUSDT&cursor=a%252B%3D",
        ),
        (
            LANGUAGE.fills(MARKET, NOW_NS, AT),
            "/v5/execution/list",
            f"category=spot&symbol=BTCUSDT&startTime={MS}&endTime={MS + WEEK_MS - 1}&limit=100",
        ),
        (
            LANGUAGE.fills(MARKET, 0, AT, "500:c:d"),
            "/v5/execution/list",
            f"category=spot&symbol=BTCUSDT&startTime=500&endTime={500 + WEEK_MS - 1}&limit=100&cursor=c%3Ad",
        ),
        (LANGUAGE.balances(AT), "/v5/account/wallet-balance", "accountType=UNIFIED"),
        (LANGUAGE.fee_rates(MARKET, AT), "/v5/account/fee-rate", "category=spot&symbol=BTCUSDT"),
    ],
)
def test_requests(request_: Any, path: str, query: str) -> None:
    """Each is signed over its very query."""
    assert (request_.method, request_.path, request_.body) == ("GET", f"{path}?{query}", b"")
    signature = bybit_signature(LANGUAGE.mac, str(MS), KEY, "5000", query.encode())
    assert dict(request_.headers)["X-BAPI-SIGN"] == signature


def test_cancels() -> None:
    """By client id, over HTTP and on the line."""
    request = LANGUAGE.cancel(MARKET, REF, AT)
    order = {"category": "spot", "symbol": "BTCUSDT", "orderLinkId": ID}
    assert (request.path, json.loads(request.body), request.lane) == ("/v5/order/cancel", order, Lane.CANCEL)
    assert json.loads(LANGUAGE.cancel_frame(MARKET, REF, AT).data) == {
        "reqId": str(AT.nonce), "header": {"X-BAPI-TIMESTAMP": str(MS), "X-BAPI-RECV-WINDOW": "5000"},
        "op": "order.cancel", "args": [order],
    }  # fmt: skip
    assert LANGUAGE.cancel_all_after(60, AT) is None


def test_an_ack_is_the_gateways() -> None:
    """An acknowledged order may not live yet; a cancel's ack does not end it."""
    got = read(LANGUAGE, PLACE, TAKEN)
    assert got.reports == (Accepted(client_id=ID, venue_id="1321003749386327552", on_book=False),)
    taken = (CancelTaken(client_id=ID, venue_id="1321003749386327552"),)
    assert read(LANGUAGE, CANCEL, TAKEN).reports == taken
    assert kinds(read(LANGUAGE, PLACE, TAKEN.replace(ID, "another")).reports) == ["Unclear"]
    reply = {"reqId": str(AT.nonce), "retCode": 0, "retMsg": "OK", "op": "order.create", "retExtInfo": {}}
    data = {"orderId": "1321003749386327552", "orderLinkId": ID}
    entry = LANGUAGE.entry()
    spoken = heard(entry, json.dumps(reply | {"data": data}), [PLACE])
    assert (spoken.reports, spoken.answered) == (got.reports, (AT.nonce,))
    assert heard(entry, json.dumps(reply | {"data": data})).reports == ()


@pytest.mark.parametrize(
    ("code", "category", "means"),
    [
        *((code, "rate_limit", "other") for code in (10006, 10018, 10429, 170005, 170222, 10403, 20003)),
        *((code, "auth", "other") for code in (10004, 10005, 10007, 10008, 10009, 10010, 10024, 10027, 33004)),
        (10002, "auth", "clock"),
        *((code, "permanent_4xx", "other") for code in (
            10001, 10017, 170130, 10404, 20006, 170121, 170132, 170133,
        )),
        *((code, "permanent_4xx", "filters") for code in (170136, 170137, 170124, 170148, 170134, 170140)),
        *((code, "permanent_4xx", "funds") for code in (170131, 170033, 110007)),
        *((code, "permanent_4xx", "post_only") for code in (170218, 170217)),
        *((code, "permanent_4xx", "market_state") for code in (170031, 170210)),
    ],
)  # fmt: skip
def test_definite_refusals(code: int, category: str, means: str) -> None:
    """With HTTP 200 and on the line; it never became an order."""
    got = read(LANGUAGE, PLACE, envelope({}, code, "no"))
    assert got.fault is not None
    assert (got.fault.code, got.fault.category, got.fault.means) == (str(code), category, means)
    assert got.reports == (Refused(client_id=ID, fault=got.fault),)
    reply = {"reqId": str(AT.nonce), "retCode": code, "retMsg": "no", "op": "order.create", "data": {}}
    spoken = heard(LANGUAGE.entry(), json.dumps(reply), [PLACE])
    assert (spoken.reports, spoken.answered) == (got.reports, (AT.nonce,))


def test_one_code_with_two_meanings() -> None:
    """10003 is a bad key over HTTP and too many sessions on the line for orders."""
    got = read(LANGUAGE, PLACE, envelope({}, 10003, "API key is invalid."))
    assert got.fault is not None
    assert got.fault.category == "auth"
    reply = {"reqId": str(AT.nonce), "retCode": 10003, "retMsg": "Too many sessions", "op": "order.create"}
    (refused,) = heard(LANGUAGE.entry(), json.dumps(reply), [PLACE]).reports
    assert isinstance(refused, Refused)
    assert refused.fault.category == "rate_limit"


@pytest.mark.parametrize(
    ("status", "body", "is_unknown"),
    [
        *((200, envelope({}, code), True) for code in (
            10000, 10016, 10019, 170001, 170007, 170032, 170035, 170146, 170147, 170149,
        )),
        (200, envelope({}, 170141), False),
        (200, envelope({}, 110072), False),
        (200, envelope({}, 10014), False),
        (200, envelope({}, 999_999), False),
        (500, envelope({}, 170131), True),
        (503, TAKEN, True),
        (200, envelope({}), True),
        (200, envelope([]), True),
        (200, "", True),
        (502, "<html>", True),
        (403, "access too frequent", True),
        (429, "slow down", True),
    ],
)  # fmt: skip
def test_doubt(status: int, body: str, is_unknown: bool) -> None:
    """Whatever is no positive refusal leaves the order unknown; timeouts that look permanent too."""
    got = read(LANGUAGE, PLACE, body, status)
    assert got.fault is not None
    assert (got.fault.execution_unknown, got.fault.is_definite) == (is_unknown, False)
    assert got.reports == (Unclear(client_id=ID, during="create", fault=got.fault),)


def test_a_used_id_is_an_order_that_was_sent() -> None:
    """Ids are unique for ever: a duplicate's answer is about the order that has it."""
    for code in (170141, 110072):
        fault = read(LANGUAGE, PLACE, envelope({}, code)).fault
        assert fault is not None
        assert fault.means == "already_sent"


def test_how_long_to_wait() -> None:
    """A header says when the limit is new; a banned address is silent for ten minutes."""
    fault = read(LANGUAGE, PLACE, envelope({}, 10006), x_bapi_limit_reset_timestamp="1672738134824").fault
    assert fault is not None
    assert fault.until_ns == 1_672_738_134_824_000_000
    banned = read(LANGUAGE, PLACE, "access too frequent", 403).fault
    assert banned is not None
    assert (banned.category, banned.wait_sec) == ("rate_limit", 600.0)


@pytest.mark.parametrize(
    ("code", "kind"),
    [*((code, "CancelRefused") for code in (170139, 170142, 170143, 170212, 170213, 110001)), (170147, "Unclear")],
)
def test_cancels_that_came_too_late(code: int, kind: str) -> None:
    """The order is asked about in any case."""
    assert kinds(read(LANGUAGE, CANCEL, envelope({}, code)).reports) == [kind]


def test_queries_look_twice() -> None:
    """Not among the live and just done ones: the history; not there either: absent."""
    empty = envelope({"list": [], "nextPageCursor": "", "category": "spot"})
    for body in (empty, envelope({}, 170213), envelope({}, 110001)):
        got = read(LANGUAGE, QUERY, body)
        assert (got.reports, got.page, got.fault) == ((), "history", None)
        last = read(LANGUAGE, asked("query", spelling="BTCUSDT", client_id=ID, page="history"), body)
        assert last.reports == (Absent(client_id=ID, searched_history=True),)
    (state,) = states(read(LANGUAGE, QUERY, envelope({"list": [ORDER]})).reports)
    assert state.status == "expired"
    other = read(LANGUAGE, QUERY, envelope({"list": [ORDER | {"orderLinkId": "other"}]}))
    assert other.reports == ()
    assert other.fault is not None


def test_answers() -> None:
    """Open orders and fills by cursor, balances, fee rates."""
    got = read(
        LANGUAGE, asked("open_orders"), envelope({"list": [ORDER | {"orderStatus": "New"}], "nextPageCursor": "c"})
    )
    assert ([state.status for state in states(got.reports)], got.page) == (["open"], "c")
    about = asked("fills", since_ns=NOW_NS - 8 * 86_400 * 10**9)
    start = about.since_ns // 1_000_000
    fills = read(
        LANGUAGE, about, envelope({"list": [EXECUTION, EXECUTION | {"execType": "Funding"}], "nextPageCursor": "x:y"})
    )
    assert ([fill.exec_id for fill in traded(fills.reports)], fills.page) == (["2100000000007764263"], f"{start}:x:y")
    week = read(LANGUAGE, about, envelope({"list": [], "nextPageCursor": ""}))
    assert week.page == f"{start + WEEK_MS}:"
    assert read(LANGUAGE, asked("fills", page=week.page), envelope({"list": [], "nextPageCursor": ""})).page == ""
    coin = {"coin": "BTC", "walletBalance": "1.5", "locked": "0.5", "equity": "9"}
    assert read(LANGUAGE, asked("balances"), envelope({"list": [{"coin": [coin]}]})).reports == (
        BalanceSet(free={"BTC": D("1.0")}, locked={"BTC": D("0.5")}, is_whole=True),
    )
    rates = {"list": [{"symbol": "BTCUSDT", "takerFeeRate": "0.001", "makerFeeRate": "-0.0001"}]}
    assert read(LANGUAGE, asked("fees", spelling="BTCUSDT"), envelope(rates)).reports == (
        FeeRates(spelling="BTCUSDT", maker=D("-0.0001"), taker=D("0.001")),
    )
    assert read(LANGUAGE, asked("fees", spelling="ETHUSDT"), envelope(rates)).fault is not None


def test_logons() -> None:
    """The private line is logged on, then subscribed; the line for orders is only logged on."""
    at = Stamp((1_662_350_400_000 - 10_000) * 1_000_000, 7)
    signature = "fbf063dc6387a6a488cb3828d361256d5951cfa56dd297a0953eab7ea506d9aa"
    private, entry = LANGUAGE.stream(), LANGUAGE.entry()
    assert (private.path, entry.path) == ("/v5/private", "/v5/trade")
    args = [KEY, 1_662_350_400_000, signature]
    assert json.loads(private.opening(at)[0]) == {"req_id": "7", "op": "auth", "args": args}
    assert json.loads(entry.opening(at)[0]) == {"reqId": "7", "op": "auth", "args": args}
    got = heard(private, '{"success":true,"ret_msg":"","op":"auth","conn_id":"c"}')
    assert got.reports == (StreamReady(),)
    assert [json.loads(frame)["args"] for frame in got.send] == [["order.spot", "execution.spot", "wallet"]]
    got = heard(entry, '{"retCode":0,"retMsg":"OK","op":"auth","connId":"c"}')
    assert (got.reports, got.send) == ((StreamReady(),), ())
    assert heard(private, '{"success":true,"ret_msg":"","op":"subscribe"}').reports == (StreamReady("order"),)
    refused = ('{"success":false,"ret_msg":"no","op":"auth"}', '{"retCode":10004,"retMsg":"no","op":"auth"}')
    for text in refused:
        assert isinstance(heard(entry, text).reports[0], StreamFault)


@pytest.mark.parametrize(
    "pong",
    [
        '{"success":true,"ret_msg":"pong","conn_id":"0","op":"ping"}',
        '{"req_id":"test","op":"pong","args":["1675418560633"],"conn_id":"c"}',
        '{"retCode":0,"retMsg":"OK","op":"pong","data":["1711002002529"],"connId":"c"}',
    ],
)
def test_three_pongs(pong: str) -> None:
    """Each says nothing."""
    line = LANGUAGE.stream()
    assert line.ping(AT) == b'{"op":"ping"}'
    assert heard(line, pong).reports == ()


def test_news() -> None:
    """An execution, an order's state, a wallet; other categories are none of ours."""
    line, ids = LANGUAGE.stream(), {"client_id": ID, "venue_id": "1321003749386327552"}
    assert heard(line, push("execution.spot")).reports == (
        Traded(
            spelling="BTCUSDT", side="buy", exec_id="2100000000007764263", qty=D("0.004"), price=D("64012.4"),
            fee=D("0.000004"), fee_asset="BTC", exec_ns=1_746_270_400_353_000_000, is_maker=False, **ids,
        ),
    )  # fmt: skip
    assert heard(line, push("order.spot")).reports == (
        OrderState(
            status="expired", spelling="BTCUSDT", side="buy", qty=D("0.01"), price=D("64012.4"), cum_qty=D("0.004"),
            avg_price=D("64012.4"), cum_fee=D("0.000004"), cause="ioc", text="EC_NoImmediateQtyToFill", **ids,
        ),
    )  # fmt: skip
    coin = {"coin": "BTC", "walletBalance": "1.5", "locked": "0.5"}
    wallet = json.dumps({"topic": "wallet", "data": [{"accountType": "UNIFIED", "coin": [coin]}]})
    assert heard(line, wallet).reports == (
        BalanceSet(free={"BTC": D("1.0")}, locked={"BTC": D("0.5")}, is_whole=False),
    )
    for text in (push("order", category="linear"), push("execution", category="linear"), '{"topic":"position"}'):
        assert heard(line, text).reports == ()
    assert heard(line, push("execution.spot", execType="Funding")).reports == ()


def test_a_fee_may_be_a_rebate() -> None:
    """Of an order that made the market, on the line and among the open ones."""
    (state,) = heard(LANGUAGE.stream(), push("order.spot", cumExecFee="-0.0256")).reports
    assert isinstance(state, OrderState)
    assert state.cum_fee == D("-0.0256")
    [row] = json.loads(push("order.spot", cumExecFee="-0.0256"))["data"]
    (listed,) = read(LANGUAGE, asked("open_orders"), envelope({"list": [row]})).reports
    assert listed == state


def test_a_fill_without_an_id_is_a_loss() -> None:
    """HTTP has the id; one made up would count twice."""
    assert kinds(heard(LANGUAGE.stream(), push("execution.spot", execId="")).reports) == ["StreamLost"]


@pytest.mark.parametrize(
    ("changes", "status", "cause"),
    [
        ({"orderStatus": "New", "cumExecQty": "0"}, "open", ""),
        ({"orderStatus": "PartiallyFilled"}, "partial", ""),
        ({"orderStatus": "Filled"}, "filled", ""),
        ({"orderStatus": "Filled", "cancelType": "CancelByUser"}, "filled", ""),
        ({"rejectReason": "EC_NoError"}, "expired", "ioc"),
        ({"orderStatus": "Cancelled", "timeInForce": "FOK"}, "expired", "ioc"),
        ({"timeInForce": "GTC", "rejectReason": "EC_CancelForNoFullFill"}, "expired", "ioc"),
        ({"timeInForce": "GTC", "cancelType": "CancelByUser", "rejectReason": ""}, "cancelled", "asked"),
        ({"timeInForce": "GTC", "rejectReason": ""}, "cancelled", "venue"),
        ({"cancelType": "CancelBySmp"}, "cancelled", "self_trade"),
        (
            {"orderStatus": "Cancelled", "rejectReason": "EC_PostOnlyWillTakeLiquidity", "cumExecQty": "0"},
            "refused",
            "post_only",
        ),
        ({"orderStatus": "Rejected", "cumExecQty": "0"}, "refused", ""),
        ({"orderStatus": "Rejected"}, "cancelled", ""),
        ({"orderStatus": "Deactivated", "timeInForce": "GTC", "rejectReason": ""}, "cancelled", "venue"),
    ],
)
def test_states(changes: dict[str, Any], status: str, cause: str) -> None:
    """The time in force first; quantities beat labels."""
    (state,) = states(heard(LANGUAGE.stream(), push("order.spot", **changes)).reports)
    assert (state.status, state.cause, state.cum_qty) == (status, cause, D(changes.get("cumExecQty", "0.004")))


def test_everything_damaged() -> None:
    """Cut anywhere, or with any field missing or strange: doubt, never an exception, never another fact."""
    for about, body in ((PLACE, TAKEN), (CANCEL, TAKEN), (QUERY, envelope({"list": [ORDER]}))):
        read_cut(LANGUAGE, about, body)
        assert read_spoiled(LANGUAGE, about, json.loads(body)) > 60
    read_cut(LANGUAGE, PLACE, envelope({}, 170131))
    reply = {"reqId": str(AT.nonce), "retCode": 0, "op": "order.create", "data": json.loads(TAKEN)["result"]}
    hear_cut(LANGUAGE.entry, json.dumps(reply), [PLACE])
    assert hear_spoiled(LANGUAGE.entry, reply, [PLACE]) > 50
    for topic in ("order.spot", "execution.spot"):
        hear_cut(LANGUAGE.stream, push(topic))
        assert hear_spoiled(LANGUAGE.stream, json.loads(push(topic))) > 150
    assert kinds(heard(LANGUAGE.stream(), push("order.spot", orderStatus="Invented")).reports) == ["Garbled"]
