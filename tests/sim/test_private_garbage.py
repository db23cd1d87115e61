"""What no customer should send: signed requests with one thing wrong get an answer of the venue's, and money stays."""

import hashlib
import hmac
import json
from random import Random
from typing import Any
from urllib.parse import urlencode

import pytest

from gambit.sim.dialect import Session
from tests.sim import test_binance, test_bybit, test_coinbase, test_kraken, test_okx
from tests.sim.talk import Talk

ROUNDS = 120
VALUES = (
    None, True, -1, 0, 1.5, 10**30, 10**400, float("inf"), "", "x", "-1", "0", "1" * 5000, "1e999999", "0." + "0" * 40,
    "9" * 30, "\u0663", "NaN", "\u0000\ud7ff", [], [None], [[]], {}, {"a": 1}, "BTC-USDT", "2023-01-01", "0001-01-01",
)  # fmt: skip


def spoilt(rng: Random, fields: dict[str, Any]) -> dict[str, Any]:
    """Fields of which one, or one inside one, is another."""
    name = rng.choice(list(fields))
    inner = fields[name]
    if isinstance(inner, list) and inner and rng.random() < 0.7:
        inner = inner[0]
        return fields | {name: [spoilt(rng, inner) if isinstance(inner, dict) else rng.choice(VALUES)]}
    if isinstance(inner, dict) and rng.random() < 0.7:
        return fields | {name: spoilt(rng, inner)}
    return fields | {name: rng.choice(VALUES)}


def texts(fields: dict[str, Any]) -> dict[str, str]:
    """Fields as a query has them."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}


def total(talk: Talk) -> int:
    """All that the accounts have, in a unit that only needs to be the same."""
    accounts = talk.exchange.accounts.values()
    return sum(b.free + b.locked for account in accounts for b in account.balances.values())


def is_whole(talk: Talk, before: int) -> None:
    """Nothing was made or lost, but what fills have moved; nobody owes."""
    accounts = talk.exchange.accounts.values()
    assert all(b.free >= 0 and b.locked >= 0 for account in accounts for b in account.balances.values())
    assert talk.exchange.ledger.fills or total(talk) == before


@pytest.mark.parametrize("seed", range(2))
def test_orders_to_bybit(seed):
    """REST and the trade connection."""
    talk, rng = Talk("bybit"), Random(seed)
    before, trade = total(talk), test_bybit.login(talk, "/v5/trade")
    bodies = {
        "create": test_bybit.ORDER | {"timeInForce": "GTC", "orderLinkId": "a", "marketUnit": "", "smpType": "None"},
        "cancel": {"category": "spot", "symbol": "BTCUSDT", "orderId": "1", "orderLinkId": "a"},
        "amend": {"category": "spot", "symbol": "BTCUSDT", "orderLinkId": "a", "qty": "0.02", "price": "60000"},
        "cancel-all": {"category": "spot", "symbol": "BTCUSDT"},
        "create-batch": {"category": "spot", "request": [test_bybit.ORDER]},
        "cancel-batch": {"category": "spot", "request": [{"symbol": "BTCUSDT", "orderLinkId": "a"}]},
    }
    for number in range(ROUNDS):
        name = rng.choice(list(bodies))
        body = json.dumps(spoilt(rng, bodies[name]))
        reply = talk.ask("POST", f"/v5/order/{name}", "", test_bybit.signed(talk, body), body)
        assert "retCode" in json.loads(reply.body)
        header = {"X-BAPI-TIMESTAMP": str(talk.now_ns // test_bybit.MS)}
        said = {"reqId": str(number), "header": header, "op": f"order.{name}", "args": [bodies[name]]}
        assert talk.say(trade, spoilt(rng, said))
        query = f"category=spot&{rng.choice(['limit', 'cursor', 'orderId', 'startTime', 'symbol'])}={number * 10**20}"
        path = rng.choice(["/v5/order/realtime", "/v5/order/history", "/v5/execution/list"])
        assert talk.ask("GET", path, query, test_bybit.signed(talk, query)).status == 200
        talk.now_ns += 200 * test_bybit.MS
    is_whole(talk, before)


@pytest.mark.parametrize("seed", range(2))
def test_orders_to_kraken(seed):
    """REST and order methods."""
    client, rng = test_kraken.Client(), Random(seed)
    talk = client.talk
    before = total(talk)
    session, token = client.listen()
    orders = [test_kraken.LIMIT, test_kraken.LIMIT]
    params = {
        "add_order": test_kraken.LIMIT | {"cl_ord_id": "a", "deadline": "2023-11-14T22:13:25Z", "stp_type": "x"},
        "cancel_order": {"order_id": ["O"], "cl_ord_id": ["a"], "order_userref": [1]},
        "amend_order": {"cl_ord_id": "a", "order_qty": 0.02, "limit_price": 60000.0},
        "batch_add": {"symbol": "BTC/USDT", "orders": orders},
        "batch_cancel": {"orders": ["O", "P"], "cl_ord_id": ["a"]},
        "cancel_all_orders_after": {"timeout": 60},
    }
    calls = {
        "AddOrder": test_kraken.REST_LIMIT | {"oflags": "post", "userref": "1", "timeinforce": "GTC", "validate": ""},
        "CancelOrder": {"txid": "O"},
        "CancelAllOrdersAfter": {"timeout": 5},
        "ClosedOrders": {"ofs": 1, "start": 1, "end": 2},
        "QueryOrders": {"txid": "O", "trades": "true"},
        "QueryTrades": {"txid": "T"},
        "TradeVolume": {"pair": "XBTUSDT"},
    }
    for _ in range(ROUNDS):
        method = rng.choice(list(params))
        said = {"method": method, "params": params[method] | {"token": token}, "req_id": 1}
        assert talk.say(session, spoilt(rng, said))
        name = rng.choice(list(calls))
        assert "error" in client.call(name, **spoilt(rng, calls[name]))
        talk.now_ns += 1000 * test_bybit.MS
    is_whole(talk, before)


@pytest.mark.parametrize("seed", range(2))
def test_orders_to_coinbase(seed):
    """Operations, queries and tokens."""
    talk, rng = Talk("coinbase"), Random(seed)
    before = total(talk)
    order = {"client_order_id": "a", "product_id": "BTC-USDT", "side": "BUY"}
    gtd = {"base_size": "0.01", "limit_price": "60000", "end_time": "2030-01-01T00:00:00Z"}
    bodies = {
        "orders": order | {"order_configuration": {"limit_limit_gtd": gtd}},
        "orders/batch_cancel": {"order_ids": ["x"]},
        "orders/edit": {"order_id": "x", "price": "60000", "size": "0.01"},
    }
    for number in range(ROUNDS):
        name = rng.choice(list(bodies))
        body = spoilt(rng, bodies[name])
        if "client_order_id" in body and body["client_order_id"] == "a":
            body["client_order_id"] = str(number)
        assert test_coinbase.call(talk, "POST", name, body=body).status in (200, 400)
        changes = spoilt(rng, {"sub": "x", "nbf": 1, "exp": 1, "uri": "x", "uris": ["x"]})
        assert test_coinbase.call(talk, "GET", "accounts", **changes).status == 401
        asked = rng.choice(["limit", "cursor", "order_ids", "start_sequence_timestamp", "product_ids"])
        query = f"{asked}={rng.choice(['x', '9' * 30, '0001-01-01', '%00'])}"
        assert test_coinbase.call(talk, "GET", "orders/historical/fills", query).status in (200, 400)
        talk.now_ns += 200 * test_bybit.MS
    is_whole(talk, before)


BINANCE_ORDER = test_binance.ORDER | {"newClientOrderId": "a", "selfTradePreventionMode": "NONE", "recvWindow": "5000"}
BINANCE_FIND = {"symbol": "BTCUSDT", "orderId": "1", "origClientOrderId": "a"}
BINANCE_REPLACE = BINANCE_ORDER | {"cancelReplaceMode": "ALLOW_FAILURE", "cancelOrigClientOrderId": "a"}
BINANCE: dict[tuple[str, str, str], dict[str, Any]] = {  # by method and path of REST, and call of the WebSocket API
    ("POST", "order", "order.place"): BINANCE_ORDER,
    ("DELETE", "order", "order.cancel"): BINANCE_FIND,
    ("GET", "order", "order.status"): BINANCE_FIND,
    ("POST", "order/cancelReplace", "order.cancelReplace"): BINANCE_REPLACE,
    ("GET", "openOrders", "openOrders.status"): {"symbol": "BTCUSDT"},
    ("GET", "allOrders", "allOrders"): {"symbol": "BTCUSDT", "orderId": "1", "limit": "5", "startTime": "1"},
    ("GET", "myTrades", "myTrades"): {"symbol": "BTCUSDT", "orderId": "1", "fromId": "1", "limit": "5"},
    ("GET", "exchangeInfo", "exchangeInfo"): {"symbols": ["BTCUSDT"]},
    ("GET", "depth", "depth"): {"symbol": "BTCUSDT", "limit": "5"},
    ("GET", "account", "userDataStream.unsubscribe"): {"subscriptionId": "1", "omitZeroBalances": "true"},
}


@pytest.mark.parametrize("seed", range(2))
def test_orders_to_binance(seed: int) -> None:
    """REST and the WebSocket API: every answer is the venue's, and every call has one."""
    talk, rng = Talk("binance"), Random(seed)
    before, own = total(talk), talk.exchange.accounts["demo"].credentials
    session = talk.open("/ws-api/v3")
    for _ in range(ROUNDS):
        (method, path, name), fields = rng.choice(list(BINANCE.items()))
        query = urlencode(texts(spoilt(rng, fields)) | {"timestamp": str(talk.now_ns // test_bybit.MS)})
        signature = rng.choice([test_binance.sign(talk, query)] * 6 + ["%C3%A9", "\u00e9"])
        asked = f"{query}&signature={signature}"
        reply = talk.ask(method, f"/api/v3/{path}", asked, {"x-mbx-apikey": own.key})
        assert (reply.status == 200) == ("msg" not in json.loads(reply.body))
        params = spoilt(rng, fields) | {"apiKey": own.key, "timestamp": talk.now_ns // test_bybit.MS}
        payload = "&".join(f"{key}={value}" for key, value in sorted(params.items()))
        params["signature"] = hmac.new(own.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
        said = {"id": 1, "method": name, "params": params}
        assert answered(talk, session, said if rng.random() < 0.7 else spoilt(rng, said))
        assert answered(talk, session, said | {"method": rng.choice([5, None, "\ud800", []])})
        session.is_closed = False
        talk.now_ns += 400 * test_bybit.MS
    is_whole(talk, before)


@pytest.mark.parametrize("seed", range(2))
def test_orders_to_okx(seed: int) -> None:
    """REST and the private connection."""
    talk, rng = Talk("okx"), Random(seed)
    before, session = total(talk), test_okx.private(talk, "orders", "account")
    assets = set(talk.exchange.accounts["demo"].balances)
    expiry = str(talk.now_ns // test_bybit.MS + 10**9)
    bodies: dict[str, dict[str, Any]] = {
        "order": test_okx.ORDER | {"clOrdId": "a", "stpMode": "cancel_maker", "tgtCcy": "base_ccy", "expTime": expiry},
        "cancel-order": {"instId": "BTC-USDT", "ordId": "1", "clOrdId": "a"},
        "amend-order": {"instId": "BTC-USDT", "ordId": "1", "newSz": "0.02", "newPx": "60000"},
        "cancel-all-after": {"timeOut": "60", "tag": "x"},
    }
    queries = {
        "trade/order": {"instId": "BTC-USDT", "ordId": "1"},
        "trade/orders-pending": {"after": "1", "limit": "5"},
        "trade/fills": {"ordId": "1", "begin": "1"},
        "account/balance": {"ccy": "BTC"},
    }
    for _ in range(ROUNDS):
        name = rng.choice(list(bodies))
        body: Any = spoilt(rng, bodies[name])
        assert "code" in test_okx.post(talk, name, rng.choice([body] * 5 + [[], [body], None, 1, "x", [None]]))
        path = rng.choice(list(queries))
        assert "code" in test_okx.get(talk, path, urlencode(texts(spoilt(rng, queries[path]))))
        arg = spoilt(rng, bodies[name] | {"instIdCode": test_okx.CODE})
        op = rng.choice([name, "batch-orders", "login", "subscribe", "unsubscribe"])
        assert answered(talk, session, spoilt(rng, {"id": "1", "op": op, "args": [arg], "expTime": expiry}))
        session.is_closed = False
        talk.now_ns += 400 * test_bybit.MS
    is_whole(talk, before)
    assert set(talk.exchange.accounts["demo"].balances) == assets  # whoever asks for a currency opens no account in it


def answered(talk: Talk, session: Session, words: Any) -> bool:
    """Whether a message gets an answer that can be written down."""
    session.is_closed = False
    talk.exchange.receive(session, words if isinstance(words, str) else json.dumps(words), talk.now_ns)
    frames = [frame for other, sent in talk.exchange.drain() if other is session for frame in sent]
    return bool([frame.encode() for frame in frames if isinstance(frame, str)])


def test_half_a_pair_of_surrogates_is_no_text() -> None:
    """JSON may spell it, but nothing can be said with it: an answer of the venue's, and the others are served on."""
    words = {"method": "ping", "op": "subscribe", "type": "subscribe", "channel": "level2", "args": ["%s"]}
    said = json.dumps(words | {"id": "%s", "req_id": "%s"})
    paths = {"binance": "/ws", "okx": "/ws/v5/public", "bybit": "/v5/public/spot", "kraken": "/v2", "coinbase": "/"}
    for venue, path in paths.items():
        talk = Talk(venue)
        assert answered(talk, talk.open(path), said.replace("%s", "\\uD800"))
        assert answered(talk, talk.open(path), said.replace("%s", "\\ud83d\\ude00"))
