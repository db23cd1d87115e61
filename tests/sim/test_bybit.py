"""The simulated Bybit in private: signatures, order entry over REST and WebSocket, private topics, its own codes."""

import hashlib
import hmac
import json
from typing import Any

import pytest

from gambit.sim.accounts import Credentials
from gambit.sim.dialect import Session
from tests.sim.talk import MS, Talk

VECTOR = Credentials("gambitDocKey01", "gambitDocSecret01")
VECTOR_MS = 1658385579423
ORDER = {"category": "spot", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": "60000"}


def signed(talk: Talk, said: str, *, window: str = "5000") -> dict[str, str]:
    """Headers of a request of demo now."""
    credentials = talk.exchange.accounts["demo"].credentials
    stamp = str(talk.now_ns // MS)
    payload = f"{stamp}{credentials.key}{window}{said}"
    sign = hmac.new(credentials.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
    return {
        "x-bapi-api-key": credentials.key,
        "x-bapi-timestamp": stamp,
        "x-bapi-recv-window": window,
        "x-bapi-sign": sign,
    }


def post(talk: Talk, name: str, **fields: Any) -> Any:
    """POST /v5/order/<name>."""
    body = json.dumps({"category": "spot"} | fields)
    return json.loads(talk.ask("POST", f"/v5/order/{name}", headers=signed(talk, body), body=body).body)


def get(talk: Talk, path: str, query: str = "category=spot") -> Any:
    """A signed query."""
    return json.loads(talk.ask("GET", path, query, signed(talk, query)).body)


def login(talk: Talk, path: str) -> Session:
    """A connection that has proved who it is."""
    session = talk.open(path)
    credentials = talk.exchange.accounts["demo"].credentials
    expires = talk.now_ns // MS + 5000
    sign = hmac.new(credentials.secret.encode(), f"GET/realtime{expires}".encode(), hashlib.sha256).hexdigest()
    (answer,) = talk.say(session, {"op": "auth", "args": [credentials.key, expires, sign]})
    assert answer.get("success", answer.get("retCode") == 0)
    return session


def listener(talk: Talk, *topics: str) -> Session:
    """A private connection with topics."""
    session = login(talk, "/v5/private")
    (ack,) = talk.say(session, {"op": "subscribe", "args": list(topics)})
    assert (ack["success"], ack["ret_msg"]) == (True, "")
    return session


def price(talk: Talk, side: str, share: str = "1") -> str:
    """A price that is so much of the best one of a side, on the tick."""
    ticks, _lots = getattr(talk.exchange.books["BTC-USDT"], side).best()
    return f"{int(ticks * float(share)) / 10:.1f}"


@pytest.mark.parametrize(
    ("method", "query", "body", "sign"),
    [
        ("GET", "category=spot&symbol=BTCUSDT", "", "d0e3322db527f5a298d573a1fdf35d8395625ea4e3fae37a1f9c9fc3bf9487ea"),
        (
            "POST",
            "",
            '{"category":"spot","symbol":"BTCUSDT","side":"Buy","orderType":"Limit","qty":"0.01","price":"64012.3",'
            '"timeInForce":"GTC","orderLinkId":"gb-01HV"}',
            "af05fedf6b3fad0c37adeec0607af80a20f23e095ab34391c6d7a6b2cc4b8392",
        ),
    ],
)
def test_the_fact_sheets_signatures_are_good(method, query, body, sign):
    """Its vectors pass, one other digit does not."""
    path = "/v5/order/realtime" if method == "GET" else "/v5/order/create"
    talk = Talk("bybit")
    talk.exchange.accounts["demo"].credentials = VECTOR
    talk.exchange.offset_ns = VECTOR_MS * MS - talk.now_ns
    headers = {"x-bapi-api-key": VECTOR.key, "x-bapi-timestamp": str(VECTOR_MS), "x-bapi-recv-window": "5000"}
    codes = []
    for said in (sign, sign[:-1] + ("0" if sign[-1] != "0" else "1")):
        reply = talk.ask(method, path, query, headers | {"x-bapi-sign": said}, body)
        codes.append(json.loads(reply.body)["retCode"])
    assert codes == [0, 10004]


def test_the_fact_sheets_login_is_good():
    """The vector of a WebSocket login."""
    talk = Talk("bybit")
    talk.exchange.accounts["demo"].credentials = VECTOR
    talk.exchange.offset_ns = 1662350390000 * MS - talk.now_ns
    sign = "fbf063dc6387a6a488cb3828d361256d5951cfa56dd297a0953eab7ea506d9aa"
    session = talk.open("/v5/private")
    words = {"req_id": "10001", "op": "auth", "args": [VECTOR.key, 1662350400000, sign]}
    (answer,) = talk.say(session, words)
    assert (answer["success"], answer["ret_msg"], answer["req_id"]) == (True, "", "10001")
    talk.exchange.offset_ns += 11_000 * MS
    (late,) = talk.say(talk.open("/v5/private"), words)
    assert late["success"] is False


def test_bad_keys_and_clocks_are_told_apart():
    """10003 for a key, 10002 for a time too old or more than a second ahead, 10001 for none."""
    talk = Talk("bybit")
    path, query = "/v5/account/wallet-balance", "accountType=UNIFIED"

    def code(**changes: str) -> int:
        headers = signed(talk, query) | {name.replace("_", "-"): value for name, value in changes.items()}
        return json.loads(talk.ask("GET", path, query, headers).body)["retCode"]

    assert code() == 0
    assert code(x_bapi_api_key="nobody") == 10003
    assert code(x_bapi_timestamp=str(talk.now_ns // MS - 5001)) == 10002
    assert code(x_bapi_timestamp=str(talk.now_ns // MS + 1000)) == 10002
    assert json.loads(talk.ask("GET", path, query).body)["retCode"] == 10001


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"symbol": "FOOUSDT"}, 170121),
        ({"price": "60000.05"}, 170134),
        ({"qty": "0.0000001"}, 170137),
        ({"qty": "9" * 20 + "." + "9" * 20}, 170124),
        ({"qty": "0.000001"}, 170136),
        ({"qty": "900"}, 170124),
        ({"qty": "0.000016", "price": "60000"}, 170140),
        ({"price": "9000000"}, 170132),
        ({"qty": "50", "price": "60000"}, 170131),
        ({"category": "linear"}, 10001),
        ({"side": "buy"}, 10001),
        ({"qty": 0.01}, 10001),
        ({"orderLinkId": "no blanks"}, 170130),
    ],
)
def test_orders_that_are_not_taken_in(fields, code):
    """Filters, funds and form, each with its own code; the ledger knows no order."""
    talk = Talk("bybit")
    if code == 170140:
        talk.strike("filters", args={"min_lots": 1})
    assert post(talk, "create", **(ORDER | fields))["retCode"] == code
    assert not talk.exchange.ledger.orders


def test_an_order_over_the_trade_connection():
    """The ack says only that it was taken in; executions, order and wallet come on the private connection."""
    talk = Talk("bybit")
    trade, private = login(talk, "/v5/trade"), listener(talk, "order.spot", "execution.spot", "wallet")
    words = {
        "reqId": "gb-1",
        "header": {"X-BAPI-TIMESTAMP": str(talk.now_ns // MS), "X-BAPI-RECV-WINDOW": "5000"},
        "op": "order.create",
        "args": [ORDER | {"price": price(talk, "asks", "1.01"), "timeInForce": "IOC", "orderLinkId": "gb-01"}],
    }
    talk.exchange.receive(trade, json.dumps(words), talk.now_ns)
    heard = {id(session): [json.loads(str(text)) for text in sent] for session, sent in talk.exchange.drain()}
    (ack,) = heard[id(trade)]
    assert (ack["retCode"], ack["op"], ack["reqId"], ack["data"]["orderLinkId"]) == (0, "order.create", "gb-1", "gb-01")
    assert (ack["header"]["X-Bapi-Limit"], ack["header"]["X-Bapi-Limit-Status"]) == ("20", "19")
    topics = [frame["topic"] for frame in heard[id(private)]]
    assert topics[:2] == ["order.spot", "wallet"]
    rows = [frame["data"][0] for frame in heard[id(private)] if frame["topic"] == "execution.spot"]
    assert {row["orderId"] for row in rows} == {ack["data"]["orderId"]}
    assert {row["feeCurrency"] for row in rows} == {"BTC"}
    last = [frame["data"][0] for frame in heard[id(private)] if frame["topic"] == "order.spot"][-1]
    assert (last["orderStatus"], last["leavesQty"], last["cumExecQty"]) == ("Filled", "0", "0.01")
    assert sum(float(row["execQty"]) for row in rows) == pytest.approx(0.01)
    (again,) = talk.say(trade, words)
    assert again["retCode"] == 20006


def test_who_has_not_logged_in_trades_nothing():
    """Order entry, private topics and a login that has expired."""
    talk = Talk("bybit")
    words = {"header": {"X-BAPI-TIMESTAMP": str(talk.now_ns // MS)}, "op": "order.create", "args": [ORDER]}
    (refused,) = talk.say(talk.open("/v5/trade"), words)
    assert refused["retCode"] == 10005
    (unheard,) = talk.say(talk.open("/v5/private"), {"op": "subscribe", "args": ["order"]})
    assert unheard["success"] is False
    trade = login(talk, "/v5/trade")
    talk.strike("expire_session", match={"account": "demo"})
    talk.pass_ms(200)
    (expired,) = talk.say(trade, words)
    assert expired["retCode"] == 10005


def test_a_reply_may_be_lost_though_the_order_is_there():
    """drop_reply on the trade connection: silence, and the order is found by its orderLinkId."""
    talk = Talk("bybit")
    trade = login(talk, "/v5/trade")
    talk.strike("drop_reply", match={"action": "place"})
    words = {"header": {"X-BAPI-TIMESTAMP": str(talk.now_ns // MS)}, "op": "order.create"}
    assert talk.say(trade, words | {"args": [ORDER | {"orderLinkId": "lost"}]}) == []
    (row,) = get(talk, "/v5/order/realtime", "category=spot&orderLinkId=lost")["result"]["list"]
    assert (row["orderStatus"], row["qty"]) == ("New", "0.01")


@pytest.mark.parametrize(
    ("tif", "factor", "status", "reason"),
    [
        ("PostOnly", "1.01", "Cancelled", "EC_PostOnlyWillTakeLiquidity"),
        ("IOC", "0.99", "Cancelled", "EC_NoImmediateQtyToFill"),
        ("FOK", "0.99", "Cancelled", "EC_CancelForNoFullFill"),
    ],
)
def test_what_dies_after_the_ack(tif, factor, status, reason):
    """retCode 0, and the order topic says why nothing came of it."""
    talk = Talk("bybit")
    private = listener(talk, "order")
    fields = {"timeInForce": tif, "price": price(talk, "asks", factor)}
    order_id = post(talk, "create", **(ORDER | fields))["result"]["orderId"]
    row = talk.hear(private)[-1]["data"][0]
    assert (row["orderId"], row["orderStatus"], row["rejectReason"]) == (order_id, status, reason)


def test_a_part_that_fills_ends_as_partially_filled_canceled():
    """IOC for more than there is: the rest is canceled, the quantity stays."""
    talk = Talk("bybit")
    talk.strike("partial", args={"share": 0.5})
    fields = {"timeInForce": "IOC", "price": price(talk, "asks", "1.01"), "orderLinkId": "half"}
    post(talk, "create", **(ORDER | fields))
    (row,) = get(talk, "/v5/order/history", "category=spot&orderLinkId=half")["result"]["list"]
    assert (row["orderStatus"], row["cumExecQty"]) == ("PartiallyFilledCanceled", "0.005")


def test_an_order_link_id_is_used_once():
    """Not even after the order is over."""
    talk = Talk("bybit")
    assert post(talk, "create", **ORDER, orderLinkId="one")["retCode"] == 0
    assert post(talk, "cancel", symbol="BTCUSDT", orderLinkId="one")["retCode"] == 0
    assert post(talk, "create", **ORDER, orderLinkId="one")["retCode"] == 170141
    assert post(talk, "cancel", symbol="BTCUSDT", orderLinkId="one")["retCode"] == 170142
    assert post(talk, "cancel", symbol="BTCUSDT", orderLinkId="two")["retCode"] == 170213


def test_a_market_buy_is_worth_its_quantity():
    """qty is quote unless marketUnit says base."""
    talk = Talk("bybit")
    market = {"symbol": "BTCUSDT", "side": "Buy", "orderType": "Market"}
    for fields in ({"qty": "640"}, {"qty": "0.01", "marketUnit": "baseCoin"}):
        post(talk, "create", **(market | fields))
    rows = get(talk, "/v5/order/history")["result"]["list"]
    assert [float(row["cumExecValue"]) for row in rows] == pytest.approx([640, 640], rel=0.02)
    fills = get(talk, "/v5/execution/list")["result"]["list"]
    assert sum(float(row["execQty"]) for row in fills) == pytest.approx(0.02, rel=0.02)


def test_orders_are_amended_batched_and_canceled_together():
    """amend keeps the order, a batch answers per order, cancel-all takes the rest; queries come in pages."""
    talk = Talk("bybit")
    batch = post(talk, "create-batch", request=[ORDER, ORDER | {"qty": "0"}, ORDER])
    assert [row["code"] for row in batch["retExtInfo"]["list"]] == [0, 170137, 0]
    first, _bad, second = (row["orderId"] for row in batch["result"]["list"])
    assert post(talk, "amend", symbol="BTCUSDT", orderId=first, qty="0.02")["retCode"] == 0
    page = get(talk, "/v5/order/realtime", "category=spot&limit=1")["result"]
    assert [row["orderId"] for row in page["list"]] == [second]
    rest = get(talk, "/v5/order/realtime", f"category=spot&limit=1&cursor={page['nextPageCursor']}")["result"]
    assert [(row["orderId"], row["qty"]) for row in rest["list"]] == [(first, "0.02")]
    assert rest["nextPageCursor"] == ""
    assert [row["orderId"] for row in post(talk, "cancel-all")["result"]["list"]] == [first, second]
    assert post(talk, "cancel", symbol="BTCUSDT", orderId=first)["retCode"] == 170142


def test_the_budget_of_orders_is_in_the_headers():
    """Twenty a second, then 10006 and the time it ends."""
    talk = Talk("bybit")
    body = json.dumps(ORDER)
    replies = [talk.ask("POST", "/v5/order/create", "", signed(talk, body), body) for _ in range(21)]
    assert [reply.headers["X-Bapi-Limit-Status"] for reply in replies[:3]] == ["19", "18", "17"]
    assert [json.loads(reply.body)["retCode"] for reply in replies] == [0] * 20 + [10006]
    assert int(replies[-1].headers["X-Bapi-Limit-Reset-Timestamp"]) > talk.now_ns // MS


def test_executions_may_come_without_their_id():
    """strip_id takes execId from one push; REST has it still."""
    talk = Talk("bybit")
    private = listener(talk, "execution")
    talk.strike("strip_id", match={"report": "trade"})
    post(talk, "create", **(ORDER | {"price": price(talk, "asks", "1.01")}))
    rows = [frame["data"][0] for frame in talk.hear(private)]
    assert "execId" not in rows[0]
    assert all("execId" in row for row in rows[1:] + get(talk, "/v5/execution/list")["result"]["list"])


def test_forced_rejects_and_halts():
    """reject says what it is told to say; a halted symbol takes nothing in."""
    talk = Talk("bybit")
    talk.strike("reject", args={"code": 170146, "msg": "Order creation timeout."})
    assert post(talk, "create", **ORDER)["retCode"] == 170146
    talk.strike("status", args={"symbol": "BTC-USDT"})
    assert post(talk, "create", **ORDER)["retCode"] == 170210


def test_order_entry_is_out_of_order_in_maintenance():
    """limit and maintenance answer on the trade connection too."""
    talk = Talk("bybit")
    trade = login(talk, "/v5/trade")
    words = {"header": {"X-BAPI-TIMESTAMP": str(talk.now_ns // MS)}, "op": "order.create", "args": [ORDER]}
    talk.strike("limit", args={"seconds": 1})
    assert talk.say(trade, words)[0]["retCode"] == 10006
    talk.pass_ms(1100)
    talk.strike("maintenance")
    assert talk.say(trade, words)[0]["retCode"] == 10016
    assert talk.say(trade, words)[0]["retCode"] == 0
