"""What no client should send: a simulated venue answers with an error of its own or stays silent, and goes on."""

import json
from random import Random

import pytest

from gambit.sim.dialect import Reply, Request, Session
from gambit.sim.exchange import Silence
from gambit.sim.world import DIALECTS, Scenario, World

START_NS = 1_750_000_000_000_000_000
SCENARIO = Scenario(symbols=("BTC-USDT",))
VALUES = (None, True, 0, -1, 1.5, 10**400, "", "x", "BTC-USDT", "\u0000\ud7ff", [], [None], [[]], {}, {"a": 1})
WORDS = (
    "method", "op", "params", "args", "id", "req_id", "channel", "symbol", "instId", "type", "product_ids", "event",
    "topic", "apiKey", "timestamp", "sign", "SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY",
    "GET_PROPERTY", "order.place", "order.cancel", "session.logon", "userDataStream.subscribe.signature", "subscribe",
    "unsubscribe", "login", "auth", "order", "batch-orders", "cancel-order", "amend-order", "order.create", "add_order",
    "cancel_order", "books", "orders", "account", "ping", "combined", "depth", "level2", "user", "heartbeats",
)  # fmt: skip

PATHS = (
    "/api/v3/time",
    "/api/v3/exchangeInfo",
    "/api/v3/depth",
    "/api/v3/ticker/bookTicker",
    "/api/v3/order",
    "/api/v3/openOrders",
    "/api/v3/myTrades",
    "/api/v3/account",
    "/api/v3/userDataStream",
    "/api/v5/public/instruments",
    "/api/v5/market/books",
    "/api/v5/market/ticker",
    "/api/v5/trade/order",
    "/api/v5/trade/batch-orders",
    "/api/v5/trade/cancel-all-after",
    "/api/v5/account/balance",
    "/v5/market/time",
    "/v5/market/instruments-info",
    "/v5/market/orderbook",
    "/v5/order/create",
    "/v5/order/realtime",
    "/v5/account/wallet-balance",
    "/0/public/Time",
    "/0/public/AssetPairs",
    "/0/public/Depth",
    "/0/private/AddOrder",
    "/0/private/BalanceEx",
    "/0/private/GetWebSocketsToken",
    "/api/v3/brokerage/market/products",
    "/api/v3/brokerage/product_book",
    "/api/v3/brokerage/orders",
    "/api/v3/brokerage/accounts",
)


def nonsense(rng: Random, depth: int = 3):
    """A value in which the right words stand in the wrong places."""
    kind = rng.random()
    if depth and kind < 0.5:
        return {rng.choice(WORDS): nonsense(rng, depth - 1) for _ in range(rng.randrange(1, 5))}
    if depth and kind < 0.65:
        return [nonsense(rng, depth - 1) for _ in range(rng.randrange(3))]
    return rng.choice(WORDS if kind < 0.85 else VALUES)


def messages(seed: int, count: int):
    """Texts: nonsense, JSON that is no object, and what is no JSON."""
    rng = Random(seed)
    yield from ("", "{", "[]", "null", "1", '"ping"', "\u0000", "{}" * 2, "[" * 5000, b"\xff\xfe")
    for _ in range(count):
        said = nonsense(rng)
        if isinstance(said, dict):
            said["method"] = said["op"] = said["type"] = rng.choice(WORDS)
        yield json.dumps(said)


@pytest.fixture(params=list(DIALECTS))
def exchange(request):
    return World([request.param], SCENARIO, seed=1, start_ns=START_NS).exchanges[request.param]


def sockets(exchange):
    """A connection to each WebSocket address of a venue, logged in where the second half asks for it."""
    paths = {"/", "/ws", "/stream", "/ws-api/v3", "/ws/v5/public", "/ws/v5/private", "/v5/public/spot", "/v5/private"}
    paths |= {"/v5/trade", "/v2", "/auth/v2"}
    for path in sorted(paths):
        for is_logged_in in (False, True):
            session = exchange.open(Request("GET", path, "", {}, b""), exchange.now_ns)
            if isinstance(session, Session):
                if is_logged_in:
                    session.login(exchange.accounts["demo"])
                yield session


def test_messages(exchange):
    """No message breaks a connection in any way but by a close of the venue's own, nor the venue."""
    seen = 0
    for session in list(sockets(exchange)):
        for text in messages(session.number, 400):
            exchange.receive(session, text, exchange.now_ns + 300_000_000)
            seen += len(session.take())
            session.is_closed = False
    assert seen > 100


def test_requests(exchange):
    """Every path answers every method and any body with a reply of the venue's."""
    rng = Random(7)
    for path in (*PATHS, "/", "//", "/%00", "/api/v3/../x"):
        for method in ("GET", "POST", "DELETE", "PUT"):
            for body in (b"", b"\xff", json.dumps(nonsense(rng)).encode(), b"a=1&a=2&=&%zz"):
                answers = []
                query = rng.choice(
                    ["", "symbol=NO", "limit=x&symbol=BTCUSDT", "sz=-1", "%zz=%", "symbol=BTCUSDT&limit=0"]
                )
                headers = dict.fromkeys(("x-mbx-apikey", "ok-access-key", "x-bapi-api-key", "api-key"), "x")
                asked = Request(method, path, query, rng.choice([{}, headers]), body)
                exchange.http(asked, exchange.now_ns + 50_000_000, answers.append)
                assert len(answers) == 1
                assert isinstance(answers[0], (Reply, Silence))
                assert 200 <= answers[0].status < 600
