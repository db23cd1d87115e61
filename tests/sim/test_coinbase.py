"""The simulated Coinbase in private: tokens, order configurations, idempotent client ids, cancels, the user channel."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from gambit.sim.coinbase_signing import ec_key, ed25519_key, key_name
from gambit.sim.dialect import Reply, Session
from tests.sim.talk import START_NS, Talk

ROOT = "/api/v3/brokerage"
NOW_S = START_NS // 1_000_000_000
VECTOR = (
    "eyJhbGciOiJFZERTQSIsImtpZCI6Im9yZ2FuaXphdGlvbnMvb3JnLTEvYXBpS2V5cy9rZXktMSIsIm5vbmNlIjoiMDAxMTIyMzM0NDU1NjY3Nzg4"
    "OTlhYWJiY2NkZGVlZmYiLCJ0eXAiOiJKV1QifQ.eyJzdWIiOiJvcmdhbml6YXRpb25zL29yZy0xL2FwaUtleXMva2V5LTEiLCJpc3MiOiJjZHAi"
    "LCJuYmYiOjE3MDAwMDAwMDAsImV4cCI6MTcwMDAwMDEyMCwidXJpIjoiR0VUIGFwaS5jb2luYmFzZS5jb20vYXBpL3YzL2Jyb2tlcmFnZS9hY2Nv"
    "dW50cyJ9.Y_s_-ErraA6YBFllcfiHVoYt3qhVWVSDUrfAlJXDx2kBfjF_-VSjWy9e09RBBYWNirCbNF5uOLPMHMSr1yj3Bg"
)
GTC = {"limit_limit_gtc": {"base_size": "0.01", "limit_price": "60000.00", "post_only": False}}


def part(content: Any) -> str:
    """A part of a token."""
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def token(talk: Talk, method: str = "", path: str = "", *, alg: str = "ES256", **changes: Any) -> str:
    """A token of demo for a request, or for the WebSocket."""
    seed = talk.exchange.seed
    name, private = key_name("demo", seed), ec_key("demo", seed)
    edwards: Ed25519PrivateKey | None = None
    if alg == "EdDSA":
        name, edwards = ed25519_key("demo", seed)
    starts = talk.now_ns // 1_000_000_000
    claims = {"sub": name, "iss": "cdp", "nbf": starts, "exp": starts + 120}
    if method:
        claims["uri"] = f"{method} api.coinbase.com{path}"
    signed = f"{part({'alg': alg, 'kid': name, 'nonce': '00', 'typ': 'JWT'})}.{part(claims | changes)}"
    if edwards is not None:
        return f"{signed}.{part(edwards.sign(signed.encode()))}"
    first, second = decode_dss_signature(private.sign(signed.encode(), ECDSA(SHA256())))
    return f"{signed}.{part(first.to_bytes(32, 'big') + second.to_bytes(32, 'big'))}"


def call(talk: Talk, method: str, name: str, query: str = "", body: Any = None, **changes: Any) -> Reply:
    """A signed REST request."""
    path = f"{ROOT}/{name}"
    headers = {"authorization": f"Bearer {token(talk, method, path, **changes)}"}
    return talk.ask(method, path, query, headers, "" if body is None else json.dumps(body))


def place(talk: Talk, configuration: Any, client_id: str = "gb-1", **fields: Any) -> Any:
    """POST orders."""
    body = {"client_order_id": client_id, "product_id": "BTC-USDT", "side": "BUY", "order_configuration": configuration}
    return json.loads(call(talk, "POST", "orders", body=body | fields).body)


def listen(talk: Talk) -> Session:
    """A connection to the user channel, its snapshot heard."""
    session = talk.open("/user")
    snapshot, ack = talk.say(session, {"type": "subscribe", "channel": "user", "jwt": token(talk)})
    assert snapshot["events"][0]["type"] == "snapshot"
    assert len(ack["events"][0]["subscriptions"]["user"]) == 1
    return session


def price(talk: Talk, side: str, share: float) -> str:
    """A price that is so much of the best one of a side, on the tick."""
    ticks, _lots = getattr(talk.exchange.books["BTC-USDT"], side).best()
    return f"{int(ticks * share) / 100:.2f}"


def test_the_fact_sheets_token_is_good():
    """Its EdDSA vector passes for its path alone, for 120 s and with its signature."""
    talk = Talk("coinbase")
    public = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).public_key()
    keys = talk.exchange.dialect._keys
    keys._keys["organizations/org-1/apiKeys/key-1"] = "demo", public

    def status(said: str, path: str = "accounts") -> int:
        return talk.ask("GET", f"{ROOT}/{path}", "limit=2", {"authorization": f"Bearer {said}"}).status

    assert status(VECTOR) == 200
    assert status(VECTOR, "key_permissions") == 401
    assert status(VECTOR[:-3] + "AAA") == 401
    talk.now_ns += 120 * 1_000_000_000
    assert status(VECTOR) == 401


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 200),
        ({"alg": "EdDSA"}, 200),
        ({"uri": f"GET http://127.0.0.1:1{ROOT}/accounts"}, 200),
        ({"uris": [f"GET api.coinbase.com{ROOT}/accounts"], "aud": ["cdp_service"]}, 200),
        ({"uri": f"POST api.coinbase.com{ROOT}/accounts"}, 401),
        ({"uri": f"GET api.coinbase.com{ROOT}/orders"}, 401),
        ({"sub": "somebody else"}, 401),
        ({"nbf": NOW_S + 60, "exp": NOW_S + 180}, 401),
        ({"nbf": NOW_S - 130, "exp": NOW_S - 10}, 401),
        ({"exp": NOW_S + 3600}, 401),
    ],
)
def test_tokens_are_checked(changes, status):
    """Both kinds of key; method and path, subject and life."""
    reply = call(Talk("coinbase"), "GET", "accounts", **changes)
    assert reply.status == status
    assert status == 200 or reply.body.startswith("Unauthorized")


@pytest.mark.parametrize(
    ("configuration", "fields", "error", "preview"),
    [
        ({"base_size": "0.01", "limit_price": "60000.005"}, {}, "INVALID_PRICE_PRECISION", ""),
        ({"base_size": "0.000000001", "limit_price": "60000"}, {}, "INVALID_SIZE_PRECISION", ""),
        ({"base_size": "0.00000001", "limit_price": "60000"}, {}, "", "PREVIEW_INVALID_BASE_SIZE_TOO_SMALL"),
        ({"base_size": "900", "limit_price": "60000"}, {}, "", "PREVIEW_INVALID_BASE_SIZE_TOO_LARGE"),
        ({"base_size": "0.00000156", "limit_price": "60000"}, {}, "", "PREVIEW_INVALID_QUOTE_SIZE_TOO_SMALL"),
        ({"base_size": "50", "limit_price": "60000"}, {}, "INSUFFICIENT_FUND", "PREVIEW_INSUFFICIENT_FUND"),
        ({"base_size": "1", "limit_price": "900000"}, {}, "LIMIT_ORDER_PRICE_EXCEEDS_PRICE_BAND_ON_BUY", ""),
        (
            {"base_size": "0.01", "limit_price": "70000", "post_only": True},
            {},
            "INVALID_LIMIT_PRICE_POST_ONLY",
            "PREVIEW_INVALID_LIMIT_PRICE_POST_ONLY",
        ),
    ],
)
def test_orders_that_are_not_accepted(configuration, fields, error, preview):
    """HTTP 200 with success false, the reason in one of two fields."""
    talk = Talk("coinbase")
    answer = place(talk, {"limit_limit_gtc": configuration}, **fields)
    assert answer["success"] is False
    told = answer["error_response"]
    assert told["error"] == (error or "UNKNOWN_FAILURE_REASON")
    assert told["preview_failure_reason"] == (preview or "UNKNOWN_FAILURE_REASON")
    assert not talk.exchange.ledger.orders


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"side": "buy"}, "INVALID_SIDE"),
        ({"product_id": "FOO-USD"}, "INVALID_PRODUCT_ID"),
        ({"client_order_id": ""}, "INVALID_ARGUMENT"),
        ({"order_configuration": {"market_market_fok": {"base_size": "1"}}}, "UNSUPPORTED_ORDER_CONFIGURATION"),
        ({"order_configuration": GTC | {"sor_limit_ioc": {}}}, "INVALID_ARGUMENT"),
        ({"order_configuration": {"limit_limit_gtc": {"base_size": 1}}}, "INVALID_ARGUMENT"),
    ],
)
def test_requests_that_make_no_sense(fields, error):
    """HTTP 400 with an error."""
    body = {"client_order_id": "a", "product_id": "BTC-USDT", "side": "BUY", "order_configuration": GTC} | fields
    reply = call(Talk("coinbase"), "POST", "orders", body=body)
    assert (reply.status, json.loads(reply.body)["error"]) == (400, error)


def test_a_client_id_makes_one_order():
    """The same body again answers with the order it made, open or over."""
    talk = Talk("coinbase")
    first = place(talk, GTC)
    assert (first["success"], first["failure_reason"]) == (True, "UNKNOWN_FAILURE_REASON")
    assert first["order_configuration"] == GTC
    assert place(talk, GTC)["order_id"] == first["order_id"]
    call(talk, "POST", "orders/batch_cancel", body={"order_ids": [first["order_id"]]})
    assert place(talk, GTC)["order_id"] == first["order_id"]
    assert len(talk.exchange.ledger.orders) == 1
    assert place(talk, GTC, "gb-2")["order_id"] != first["order_id"]


def test_cancels_have_their_own_outcomes():
    """By the venue's id: done, unknown, canceled before, filled before."""
    talk = Talk("coinbase")
    resting = place(talk, GTC)["order_id"]
    ioc = {"sor_limit_ioc": {"base_size": "0.01", "limit_price": price(talk, "asks", 1.01)}}
    filled = place(talk, ioc, "gb-2")["order_id"]
    body = {"order_ids": [resting, "gb-1", resting, filled]}
    results = json.loads(call(talk, "POST", "orders/batch_cancel", body=body).body)["results"]
    assert [row["success"] for row in results] == [True, False, False, False]
    assert [row["failure_reason"] for row in results] == [
        "UNKNOWN_CANCEL_FAILURE_REASON", "UNKNOWN_CANCEL_ORDER", "DUPLICATE_CANCEL_REQUEST", "ORDER_IS_FULLY_FILLED",
    ]  # fmt: skip


def test_fills_orders_and_wallets_agree():
    """An IOC fills: order, fills and wallets say the same; the commission is quote."""
    talk = Talk("coinbase")
    limit = price(talk, "asks", 1.01)
    order_id = place(talk, {"sor_limit_ioc": {"base_size": "0.01", "limit_price": limit}})["order_id"]
    order = json.loads(call(talk, "GET", f"orders/historical/{order_id}").body)["order"]
    assert (order["status"], order["filled_size"], order["time_in_force"]) == ("FILLED", "0.01", "IMMEDIATE_OR_CANCEL")
    fills = json.loads(call(talk, "GET", "orders/historical/fills", f"order_ids={order_id}").body)["fills"]
    assert len(fills) == int(order["number_of_fills"])
    assert sum(float(fill["commission"]) for fill in fills) == pytest.approx(float(order["total_fees"]))
    assert {fill["liquidity_indicator"] for fill in fills} == {"TAKER"}
    wallets = {row["currency"]: row for row in json.loads(call(talk, "GET", "accounts", "limit=250").body)["accounts"]}
    account = talk.exchange.accounts["demo"]
    for asset in ("BTC", "USDT"):
        assert float(wallets[asset]["available_balance"]["value"]) == account.balance(asset).free / 10**18
    spent = 1_000_000 - float(wallets["USDT"]["available_balance"]["value"])
    assert spent == pytest.approx(float(order["total_value_after_fees"]))


def test_lists_are_filtered_and_paged():
    """By status and product; a cursor leads on; an unknown order is 404."""
    talk = Talk("coinbase")
    ids = [place(talk, GTC, f"gb-{number}")["order_id"] for number in range(3)]
    call(talk, "POST", "orders/batch_cancel", body={"order_ids": ids[:1]})
    said = json.loads(call(talk, "GET", "orders/historical/batch", "order_status=OPEN&limit=1").body)
    assert ([row["order_id"] for row in said["orders"]], said["has_next"]) == ([ids[2]], True)
    query = f"order_status=OPEN&limit=1&cursor={said['cursor']}"
    said = json.loads(call(talk, "GET", "orders/historical/batch", query).body)
    assert ([row["order_id"] for row in said["orders"]], said["has_next"]) == ([ids[1]], False)
    assert json.loads(call(talk, "GET", "orders/historical/batch", "product_ids=ETH-USDT").body)["orders"] == []
    reply = call(talk, "GET", "orders/historical/none")
    assert (reply.status, json.loads(reply.body)["error"]) == (404, "NOT_FOUND")


def test_market_orders_and_orders_with_an_end():
    """A market buy is worth its quote; GTD expires when its time is over; FOK dies whole; edit keeps the order."""
    talk = Talk("coinbase")
    bought = place(talk, {"market_market_ioc": {"quote_size": "640"}})["order_id"]
    order = json.loads(call(talk, "GET", f"orders/historical/{bought}").body)["order"]
    assert float(order["filled_value"]) == pytest.approx(640, rel=0.001)
    gtd = {"base_size": "0.01", "limit_price": "60000", "end_time": "2023-11-14T22:13:23Z"}
    ending = place(talk, {"limit_limit_gtd": gtd}, "gb-2")["order_id"]
    edit = {"order_id": ending, "price": "60000", "size": "0.005"}
    assert json.loads(call(talk, "POST", "orders/edit", body=edit).body)["success"] is True
    fok = {"limit_limit_fok": {"base_size": "0.01", "limit_price": price(talk, "asks", 0.99)}}
    dead = place(talk, fok, "gb-3")["order_id"]
    talk.pass_ms(3100)
    states = {name: json.loads(call(talk, "GET", f"orders/historical/{name}").body)["order"] for name in (ending, dead)}
    assert (states[ending]["status"], states[ending]["time_in_force"]) == ("EXPIRED", "GOOD_UNTIL_DATE_TIME")
    assert states[dead]["status"] == "CANCELLED"


def test_the_user_channel_tells_sums():
    """OPEN, OPEN with more filled, FILLED; a cancel is queued first; the numbers have no hole."""
    talk = Talk("coinbase")
    session = listen(talk)
    place(talk, {"sor_limit_ioc": {"base_size": "0.3", "limit_price": price(talk, "asks", 1.01)}})
    rest = place(talk, GTC, "gb-2")["order_id"]
    call(talk, "POST", "orders/batch_cancel", body={"order_ids": [rest]})
    frames = talk.hear(session)
    assert [frame["sequence_num"] for frame in frames] == list(range(2, len(frames) + 2))
    rows = [row for frame in frames for row in frame["events"][0]["orders"]]
    first = [row for row in rows if row["client_order_id"] == "gb-1"]
    assert {row["status"] for row in first[:-1]} == {"OPEN"}
    assert (first[-1]["status"], first[-1]["leaves_quantity"], first[-1]["cumulative_quantity"]) == (
        "FILLED",
        "0",
        "0.3",
    )
    assert [row["number_of_fills"] for row in first] == [str(number) for number in range(len(first))]
    last = [(row["status"], row["leaves_quantity"]) for row in rows if row["client_order_id"] == "gb-2"]
    assert last == [("OPEN", "0.01"), ("CANCEL_QUEUED", "0.01"), ("CANCELLED", "0")]


def test_the_user_channel_begins_with_open_orders():
    """In batches of 50; a bad token is an error without a number; an expired login falls silent."""
    talk = Talk("coinbase")
    for number in range(60):
        place(talk, GTC, f"gb-{number}")
        talk.now_ns += 50_000_000
    session = talk.open("/")
    (error,) = talk.say(session, {"type": "subscribe", "channel": "user", "jwt": "no.jwt.here"})
    assert error == {"type": "error", "message": "authentication failure"}
    frames = talk.say(session, {"type": "subscribe", "channel": "user", "jwt": token(talk)})
    assert [len(frame["events"][0].get("orders", [])) for frame in frames] == [50, 10, 0]
    assert [frame["sequence_num"] for frame in frames] == [0, 1, 2]
    talk.strike("expire_session", match={"account": "demo"})
    talk.pass_ms(200)
    place(talk, GTC, "gb-last")
    assert talk.hear(session) == []


def test_answers_can_be_lost_and_forced():
    """close_after_read loses the answer but not the order, which the same body finds; reject says what it is told."""
    talk = Talk("coinbase")
    talk.strike("http", args={"status": 503, "body": "{}", "applied": True}, match={"action": "place"})
    body = {"client_order_id": "x", "product_id": "BTC-USDT", "side": "BUY", "order_configuration": GTC}
    assert call(talk, "POST", "orders", body=body).status == 503
    (order,) = talk.exchange.ledger.orders.values()
    assert place(talk, GTC, "x")["success"] is True
    assert list(talk.exchange.ledger.orders.values()) == [order]
    talk.strike("reject", args={"code": "COMMANDER_REJECTED_NEW_ORDER", "msg": "no"})
    assert place(talk, GTC, "y")["error_response"]["error"] == "COMMANDER_REJECTED_NEW_ORDER"


def test_the_private_budget_is_in_the_headers():
    """Thirty a second, then 429."""
    talk = Talk("coinbase")
    replies = [call(talk, "GET", "key_permissions") for _ in range(31)]
    assert [reply.headers["x-ratelimit-remaining"] for reply in replies[:2]] == ["29", "28"]
    assert [reply.status for reply in replies] == [200] * 30 + [429]
