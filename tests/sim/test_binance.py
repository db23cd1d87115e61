"""The simulated Binance: streams, signatures, order entry over REST and the WebSocket API, user data, its own codes."""

import base64
import hashlib
import hmac
import json
from decimal import Decimal
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode

import pytest

from gambit.sim.accounts import Credentials
from gambit.sim.binance_signing import SignedPart, ed25519_key
from gambit.sim.dialect import Close, Ping, Request, Session
from tests.sim.talk import MS, Talk

VECTOR_KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
VECTOR_SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
ORDER = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.01",
    "price": "60000",
}


@pytest.fixture
def talk() -> Talk:
    return Talk("binance")


def sign(talk: Talk, payload: str) -> str:
    secret = talk.exchange.accounts["demo"].credentials.secret
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


def signed(talk: Talk, method: str, path: str, **params: Any) -> Any:
    """A signed request of demo; its answer."""
    query = urlencode({**params, "timestamp": talk.now_ns // MS})
    headers = {"x-mbx-apikey": talk.exchange.accounts["demo"].credentials.key}
    reply = talk.ask(method, f"/api/v3/{path}", f"{query}&signature={sign(talk, query)}", headers)
    return json.loads(reply.body)


def call(talk: Talk, session: Session, method: str, **params: Any) -> Any:
    """A signed call of the WebSocket API; the last that comes back, which is the answer."""
    params |= {"apiKey": talk.exchange.accounts["demo"].credentials.key, "timestamp": talk.now_ns // MS}
    params["signature"] = sign(talk, "&".join(f"{name}={value}" for name, value in sorted(params.items())))
    return talk.say(session, {"id": "x1", "method": method, "params": params})[-1]


def listening(talk: Talk) -> Session:
    session = talk.open("/ws-api/v3")
    assert call(talk, session, "userDataStream.subscribe.signature")["result"] == {"subscriptionId": 0}
    return session


def test_the_sheets_signatures(talk: Talk) -> None:
    """The documented vectors are valid, and nothing near them is."""
    talk.exchange.accounts["demo"].credentials = Credentials(VECTOR_KEY, VECTOR_SECRET)
    talk.exchange.offset_ns = 1499827319559 * MS - talk.now_ns
    payload = (
        "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
    )
    due = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"

    def code(query: str, body: str, signature: str) -> int:
        query, body = (f"{query}&signature={signature}", body) if not body else (query, f"{body}&signature={signature}")
        reply = talk.ask("POST", "/api/v3/order", query, {"x-mbx-apikey": VECTOR_KEY}, body)
        return int(json.loads(reply.body)["code"])

    assert code(payload, "", due) == -1121  # the signature is good, the symbol is not listed
    half = payload.index("&timeInForce")
    assert code(payload[:half], payload[half:], due) == -1121
    assert code(payload, "", due.upper()) == -1121
    assert code(payload, "", due.replace("c", "d")) == -1022
    assert code(payload.replace("0.1", "0.2"), "", due) == -1022


def test_the_sheets_api_signature(talk: Talk) -> None:
    """Calls are signed over all parameters in alphabetical order, the key among them, not encoded."""
    params = {"apiKey": VECTOR_KEY, "timestamp": "1747385641636"}
    part = SignedPart.of_call({"signature": "no", **params})
    due = "681110a6057ad58657af22f5640fab9dd17418834cdfccdc81be8b0f7b2cde3e"
    assert hmac.new(VECTOR_SECRET.encode(), part.payload.encode(), hashlib.sha256).hexdigest() == due


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"key": ""}, 401, -2014),
        ({"key": "nobody"}, 401, -2015),
        ({"stamp": "-1"}, 400, -1102),
        ({"ahead_ms": 1500}, 400, -1021),
        ({"ahead_ms": -6000}, 400, -1021),
        ({"extra": "&recvWindow=70000"}, 400, -1131),
        ({"extra": "&recvWindow=100", "ahead_ms": -200}, 400, -1021),
        ({"signature": ""}, 400, -1102),
        ({"signature": "&signature=00"}, 400, -1022),
    ],
)
def test_who_is_not_let_in(talk: Talk, change: dict[str, Any], status: int, code: int) -> None:
    """Key, time, window and signature are checked, each with its own code."""
    stamp = change.get("stamp", str(talk.now_ns // MS + change.get("ahead_ms", 0)))
    query = f"timestamp={stamp}{change.get('extra', '')}"
    query += change.get("signature", f"&signature={sign(talk, query)}")
    key = change.get("key", talk.exchange.accounts["demo"].credentials.key)
    reply = talk.ask("GET", "/api/v3/account", query, {"x-mbx-apikey": key} if key else {})
    assert (reply.status, json.loads(reply.body)["code"]) == (status, code)


@pytest.mark.parametrize(
    ("change", "code", "msg"),
    [
        ({"symbol": "NOPE"}, -1121, "Invalid symbol."),
        ({"side": "HOLD"}, -1117, "Invalid side."),
        ({"type": "ICEBERG"}, -1116, "Invalid orderType."),
        ({"timeInForce": "DAY"}, -1115, "Invalid timeInForce."),
        ({"quantity": ""}, -1102, "Mandatory parameter 'quantity' was not sent"),
        ({"quantity": "1e3"}, -1100, "Illegal characters found in parameter 'quantity'"),
        ({"newClientOrderId": "ä"}, -1100, "Illegal characters found in parameter 'newClientOrderId'"),
        ({"price": "60000.001"}, -1013, "Filter failure: PRICE_FILTER"),
        ({"quantity": "0.000001"}, -1013, "Filter failure: LOT_SIZE"),
        ({"quantity": "0.00002"}, -1013, "Filter failure: NOTIONAL"),
        ({"price": "900000"}, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
        ({"quantity": "30"}, -2010, "Account has insufficient balance for requested action."),
        ({"type": "LIMIT_MAKER", "price": "70000", "timeInForce": None}, -2010, "Order would immediately match"),
    ],
)
def test_orders_that_are_refused(talk: Talk, change: dict[str, Any], code: int, msg: str) -> None:
    """Each with the venue's code and words; nothing is left behind."""
    params = {name: value for name, value in {**ORDER, **change}.items() if value is not None}
    answer = signed(talk, "POST", "order", **params)
    assert answer["code"] == code
    assert answer["msg"].startswith(msg)
    assert talk.exchange.ledger.orders == {}
    assert all(balance.locked == 0 for balance in talk.exchange.accounts["demo"].balances.values())


def test_a_client_id_is_free_again_when_its_order_is_over(talk: Talk) -> None:
    """Unique among open orders only."""
    placed = signed(talk, "POST", "order", **ORDER, newClientOrderId="mine")
    assert signed(talk, "POST", "order", **ORDER, newClientOrderId="mine")["msg"] == "Duplicate order sent."
    canceled = signed(talk, "DELETE", "order", symbol="BTCUSDT", origClientOrderId="mine", newClientOrderId="bye")
    assert (canceled["origClientOrderId"], canceled["clientOrderId"], canceled["status"]) == ("mine", "bye", "CANCELED")
    assert signed(talk, "POST", "order", **ORDER, newClientOrderId="mine")["orderId"] > placed["orderId"]


def test_answers_of_three_lengths(talk: Talk) -> None:
    """ACK, RESULT, FULL; a limit order gets FULL unless told otherwise."""
    sizes = [len(signed(talk, "POST", "order", **ORDER, newOrderRespType=kind)) for kind in ("ACK", "RESULT", "FULL")]
    assert sizes[0] < sizes[1] < sizes[2]
    full = signed(talk, "POST", "order", **{**ORDER, "price": "70000", "timeInForce": "IOC"})
    assert (full["status"], sum(Decimal(fill["qty"]) for fill in full["fills"])) == ("FILLED", Decimal("0.01"))
    assert Decimal(full["cummulativeQuoteQty"]) == sum(Decimal(f["price"]) * Decimal(f["qty"]) for f in full["fills"])


def test_a_market_order_by_quote(talk: Talk) -> None:
    """quoteOrderQty buys no more than that."""
    placed = signed(talk, "POST", "order", symbol="BTCUSDT", side="BUY", type="MARKET", quoteOrderQty="1000")
    assert placed["status"] == "FILLED"
    assert Decimal(995) < Decimal(placed["cummulativeQuoteQty"]) <= 1000


def test_unknown_orders(talk: Talk) -> None:
    """A query says -2013, a cancel -2011, two ids that do not belong together -2039."""
    assert signed(talk, "GET", "order", symbol="BTCUSDT", orderId=1)["code"] == -2013
    assert signed(talk, "DELETE", "order", symbol="BTCUSDT", orderId=1)["code"] == -2011
    placed = signed(talk, "POST", "order", **ORDER, newClientOrderId="a")
    both = {"symbol": "BTCUSDT", "orderId": placed["orderId"], "origClientOrderId": "b"}
    assert signed(talk, "GET", "order", **both)["code"] == -2039
    signed(talk, "DELETE", "order", symbol="BTCUSDT", orderId=placed["orderId"])
    assert signed(talk, "DELETE", "order", symbol="BTCUSDT", orderId=placed["orderId"])["code"] == -2011


def test_cancel_and_replace(talk: Talk) -> None:
    """Both, neither, or half with a 409."""
    placed = signed(talk, "POST", "order", **ORDER)
    both = signed(talk, "POST", "order/cancelReplace", **ORDER, cancelOrderId=placed["orderId"], cancelReplaceMode="X")
    assert (both["cancelResult"], both["newOrderResult"]) == ("SUCCESS", "SUCCESS")
    again = {**ORDER, "cancelOrderId": placed["orderId"]}
    assert signed(talk, "POST", "order/cancelReplace", **again)["code"] == -2022
    half = signed(talk, "POST", "order/cancelReplace", **again, cancelReplaceMode="ALLOW_FAILURE")
    assert (half["code"], half["data"]["cancelResult"], half["data"]["newOrderResult"]) == (-2021, "FAILURE", "SUCCESS")
    assert len(signed(talk, "GET", "openOrders")) == 2
    assert len(signed(talk, "DELETE", "openOrders", symbol="BTCUSDT")) == 2
    assert [order["status"] for order in signed(talk, "GET", "allOrders", symbol="BTCUSDT")] == ["CANCELED"] * 3


def test_what_is_told_of_an_order(talk: Talk) -> None:
    """NEW, TRADE with ids and fee, EXPIRED with what was filled; balances behind each."""
    session = listening(talk)
    placed = signed(talk, "POST", "order", **{**ORDER, "price": "64020", "quantity": "7", "timeInForce": "IOC"})
    events = [frame["event"] for frame in talk.hear(session)]
    reports = [event for event in events if event["e"] == "executionReport"]
    assert reports[0]["x"] == "NEW"
    assert {event["x"] for event in reports[1:-1]} == {"TRADE"}
    assert (reports[-1]["x"], reports[-1]["X"], reports[-1]["eR"]) == (
        "EXPIRED",
        "EXPIRED",
        "UNFILLED_IOC_QUANTITY_EXPIRED",
    )
    assert reports[-1]["z"] == placed["executedQty"] != "0.00000000"
    trades = signed(talk, "GET", "myTrades", symbol="BTCUSDT", orderId=placed["orderId"])
    told = [(event["t"], event["l"], event["L"], event["n"], event["N"]) for event in reports[1:-1]]
    assert told == [(t["id"], t["qty"], t["price"], t["commission"], t["commissionAsset"]) for t in trades]
    last = [event for event in events if event["e"] == "outboundAccountPosition"][-1]
    account = {row["asset"]: row for row in signed(talk, "GET", "account")["balances"]}
    assert all((row["f"], row["l"]) == (account[row["a"]]["free"], account[row["a"]]["locked"]) for row in last["B"])


def test_a_cancel_swaps_c_and_capital_c(talk: Talk) -> None:
    """c is the cancel's id, C the order's."""
    session = listening(talk)
    signed(talk, "POST", "order", **ORDER, newClientOrderId="mine")
    talk.hear(session)
    answer = call(talk, session, "order.cancel", symbol="BTCUSDT", origClientOrderId="mine", newClientOrderId="bye")
    assert (answer["id"], answer["status"], answer["result"]["clientOrderId"]) == ("x1", 200, "bye")


def test_the_api_places_and_refuses(talk: Talk) -> None:
    """order.place answers with the order, or with an error of the same codes; limits have their own form."""
    session = talk.open("/ws-api/v3")
    placed = call(talk, session, "order.place", **ORDER)
    assert (placed["status"], placed["result"]["status"]) == (200, "NEW")
    assert placed["rateLimits"][0]["rateLimitType"] == "REQUEST_WEIGHT"
    refused = call(talk, session, "order.place", **{**ORDER, "quantity": "30"})
    assert (refused["status"], refused["error"]["code"]) == (400, -2010)
    assert call(talk, session, "order.status", symbol="BTCUSDT", orderId=placed["result"]["orderId"])["status"] == 200
    assert call(talk, session, "order.fly")["error"]["code"] == -1135
    talk.strike("limit", args={"status": 429, "seconds": 5})
    limited = call(talk, session, "order.place", **ORDER)
    assert limited["status"] == 429
    assert limited["error"]["data"]["retryAfter"] == talk.now_ns // MS + 5000


def test_an_ed25519_login(talk: Talk) -> None:
    """After session.logon calls need no signature; an HMAC key cannot log on."""
    session = talk.open("/ws-api/v3")
    assert call(talk, session, "session.logon")["error"]["code"] == -4056
    key, private = ed25519_key("binance", "demo", talk.exchange.seed)
    params = {"apiKey": key, "timestamp": str(talk.now_ns // MS)}
    payload = "&".join(f"{name}={value}" for name, value in sorted(params.items()))
    params["signature"] = base64.b64encode(private.sign(payload.encode())).decode()
    (answer,) = talk.say(session, {"id": 1, "method": "session.logon", "params": params})
    assert answer["result"]["apiKey"] == key
    (answer,) = talk.say(session, {"id": 2, "method": "userDataStream.subscribe"})
    assert answer["result"] == {"subscriptionId": 0}
    frames = talk.say(session, {"id": 3, "method": "order.place", "params": ORDER})
    assert frames[-1]["result"]["status"] == "NEW"
    assert {frame["event"]["e"] for frame in frames[:-1]} == {"executionReport", "outboundAccountPosition"}


def test_streams_are_managed(talk: Talk) -> None:
    """Acks, the list, an unknown stream that is acked and silent, the envelope that can be switched on."""
    session = talk.open("/ws")
    ask = {"method": "SUBSCRIBE", "params": ["btcusdt@trade", "nope@trade", "BTCUSDT@trade"], "id": 7}
    assert talk.say(session, ask) == [{"result": None, "id": 7}]
    assert talk.say(session, {"method": "LIST_SUBSCRIPTIONS", "id": 8}) == [{"result": ["btcusdt@trade"], "id": 8}]
    talk.say(session, {"method": "SET_PROPERTY", "params": ["combined", True], "id": 9})
    assert {frame["stream"] for frame in talk.wait(session, 5000)} == {"btcusdt@trade"}
    talk.say(session, {"method": "UNSUBSCRIBE", "params": ["btcusdt@trade"], "id": 10})
    assert talk.wait(session, 2000) == []
    assert talk.say(session, {"method": "FLY", "id": 11})[0]["code"] == 2
    assert talk.say(session, "{")[0]["code"] == 3


def test_the_slow_stream_cuts_the_same_line_of_ids(talk: Talk) -> None:
    """A diff a second is contiguous too, and gathers what the fast one told."""
    slow, fast = talk.open("/ws/btcusdt@depth"), talk.open("/ws/btcusdt@depth@100ms")
    frames: dict[int, list[Any]] = {slow.number: [], fast.number: []}
    for _ in range(12):
        talk.pass_ms(500)
        for session, sent in talk.exchange.drain():
            frames[session.number] += [json.loads(frame) for frame in sent if isinstance(frame, str)]
    for told in frames.values():
        assert all(later["U"] == earlier["u"] + 1 for earlier, later in pairwise(told))
    assert 4 <= len(frames[slow.number]) <= 7 < len(frames[fast.number])


def test_who_does_not_pong_is_dropped(talk: Talk) -> None:
    """A ping every 20 s; a minute without an answer ends it."""
    session = talk.open("/ws")
    heard = []
    for _ in range(180):
        talk.pass_ms(500)
        heard += [frame for other, sent in talk.exchange.drain() if other is session for frame in sent]
    assert sum(isinstance(frame, Ping) for frame in heard) in (2, 3, 4)
    assert isinstance(heard[-1], Close)


def test_too_many_messages(talk: Talk) -> None:
    """Five a second."""
    session = talk.open("/ws")
    answers = [talk.say(session, {"method": "LIST_SUBSCRIPTIONS", "id": n}) for n in range(6)]
    assert [isinstance(answer[0], Close) for answer in answers] == [False] * 5 + [True]


def test_too_many_connections(talk: Talk) -> None:
    """300 attempts in five minutes."""
    request = Request("GET", "/ws", "", {}, b"")
    opened = [isinstance(talk.exchange.open(request, talk.now_ns), Session) for _ in range(301)]
    assert opened == [True] * 300 + [False]


def test_what_is_gone(talk: Talk) -> None:
    """listenKey is retired; a path that never was is not there."""
    assert talk.ask("POST", "/api/v3/userDataStream").status == 410
    assert talk.ask("GET", "/api/v3/nothing").status == 404
    assert talk.exchange.open(Request("GET", "/nothing", "", {}, b""), talk.now_ns).status == 404
