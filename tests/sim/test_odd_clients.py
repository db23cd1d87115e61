"""What clients of the field do and few think of: large nonces, arrays in calls, two accounts on a connection, switches
that strike where nothing moves; and faults that must not be spent on what they cannot touch."""

import json
from typing import Any

import pytest

from gambit.sim.accounts import reserve
from gambit.sim.dialect import OrderTerms, Refusal
from gambit.sim.matching import waiting
from tests.sim import test_binance, test_kraken, test_okx
from tests.sim.talk import MS, Talk


def used(talk: Talk, budget: str) -> int:
    """What has been spent of a budget of the present window."""
    spent = talk.exchange._spent
    return next((count for (name, _owner), (_window, count) in spent.items() if name == budget), 0)


# --- Kraken


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
def test_nonces_of_any_clock(unit: int) -> None:
    """Seconds, milliseconds, microseconds, nanoseconds; up to 64 bits, and always larger than before."""
    client = test_kraken.Client()
    client.nonce = 1_800_000_000 * unit
    for _ in range(2):
        assert client.call("Balance")["error"] == []
    client.nonce -= 1
    assert client.call("Balance")["error"] == ["EAPI:Invalid nonce"]
    client.nonce = (1 << 64) - 2
    assert client.call("Balance")["error"] == []
    assert client.call("Balance")["error"] == ["EAPI:Invalid nonce"]


def test_two_accounts_on_a_connection() -> None:
    """A subscription is the account's whose token it was joined with, whoever orders there later."""
    client = test_kraken.Client()
    session, token = client.listen()
    exchange = client.talk.exchange
    other = exchange.dialect._keys.give_token(exchange.accounts["demo2"])  # type: ignore[attr-defined]
    *pushes, answer = client.say(session, "add_order", other, **test_kraken.LIMIT)
    assert (answer["success"], test_kraken.rows(pushes)) == (True, [])
    *pushes, answer = client.say(session, "add_order", token, **test_kraken.LIMIT)
    assert answer["success"]
    assert test_kraken.rows(pushes)


def test_a_clock_set_back_costs_nothing() -> None:
    """The counter of a pair goes on to decay."""
    client = test_kraken.Client()
    session, token = client.private()
    client.say(session, "add_order", token, **test_kraken.LIMIT)
    client.talk.strike("clock", args={"offset_ms": -60_000})
    assert client.say(session, "add_order", token, **test_kraken.LIMIT)[-1]["success"]
    assert client.talk.exchange.ledger.limits["orders BTC-USDT"]["used_most"] <= 2


# --- Binance


def test_arrays_in_calls() -> None:
    """The WebSocket API takes names as an array, REST as its text; what is none is refused."""
    talk = Talk("binance")
    session = talk.open("/ws-api/v3")
    for names, count in ((["BTCUSDT"], 1), (["BTCUSDT", "ETHUSDT"], 2)):
        (answer,) = talk.say(session, {"id": 1, "method": "exchangeInfo", "params": {"symbols": names}})
        assert len(answer["result"]["symbols"]) == count
        told = talk.json("GET", "/api/v3/exchangeInfo", f"symbols={json.dumps(names)}")
        assert len(told["symbols"]) == count
    for wrong in ("BTCUSDT", "5", "[[]]", "{"):
        assert talk.json("GET", "/api/v3/exchangeInfo", f"symbols={wrong}")["code"] == -1100
    assert talk.json("GET", "/api/v3/exchangeInfo", 'symbols=["NO"]')["code"] == -1121


def test_a_signature_of_strange_letters() -> None:
    """It is a wrong one like any other."""
    talk = Talk("binance")
    key = talk.exchange.accounts["demo"].credentials.key
    for signature in ("%C3%A9", "\u00e9", "%FF"):
        query = f"timestamp={talk.now_ns // MS}&signature={signature}"
        reply = talk.ask("GET", "/api/v3/account", query, {"x-mbx-apikey": key})
        assert (reply.status, json.loads(reply.body)["code"]) == (400, -1022)


def test_half_of_a_replacement_names_its_symbol() -> None:
    """Without a symbol nothing is canceled and nothing placed."""
    talk = Talk("binance")
    words = {name: value for name, value in test_binance.ORDER.items() if name != "symbol"}
    answer = test_binance.signed(talk, "POST", "order/cancelReplace", **words, cancelReplaceMode="STOP_ON_FAILURE")
    assert (answer["code"], answer["data"]["cancelResponse"]["code"]) == (-2022, -1102)
    assert talk.exchange.ledger.orders == {}


@pytest.mark.parametrize(
    ("method", "path", "call", "params", "weight"),
    [
        ("GET", "ping", "ping", {}, 1),
        ("GET", "time", "time", {}, 1),
        ("GET", "order", "order.status", {"symbol": "BTCUSDT", "orderId": 1}, 4),
        ("GET", "openOrders", "openOrders.status", {"symbol": "BTCUSDT"}, 6),
        ("GET", "openOrders", "openOrders.status", {}, 80),
        ("DELETE", "openOrders", "openOrders.cancelAll", {"symbol": "BTCUSDT"}, 1),
        ("GET", "myTrades", "myTrades", {"symbol": "BTCUSDT"}, 20),
        ("GET", "myTrades", "myTrades", {"symbol": "BTCUSDT", "orderId": 1}, 5),
        ("GET", "account", "account.status", {}, 20),
        ("GET", "account/commission", "account.commission", {"symbol": "BTCUSDT"}, 20),
        ("GET", "exchangeInfo", "exchangeInfo", {}, 20),
        ("GET", "depth", "depth", {"symbol": "BTCUSDT", "limit": 1000}, 50),
        ("POST", "order/test", "order.test", test_binance.ORDER, 1),
        ("DELETE", "order", "order.cancel", {"symbol": "BTCUSDT", "orderId": 1}, 1),
    ],
)
def test_what_a_request_weighs(method: str, path: str, call: str, params: dict[str, Any], weight: int) -> None:
    """As the sheet says, over REST and over the WebSocket API alike: they share one budget."""
    talk = Talk("binance")
    test_binance.signed(talk, method, path, **params)
    assert used(talk, "REQUEST_WEIGHT 1m") == weight
    session = talk.open("/ws-api/v3")
    before = used(talk, "REQUEST_WEIGHT 1m")
    test_binance.call(talk, session, call, **params)
    assert used(talk, "REQUEST_WEIGHT 1m") - before == weight


def test_what_cancels_all_is_a_cancel() -> None:
    """For faults and for the ledger, over both ways."""
    talk = Talk("binance")
    test_binance.signed(talk, "DELETE", "openOrders", symbol="BTCUSDT")
    test_binance.call(talk, talk.open("/ws-api/v3"), "openOrders.cancelAll", symbol="BTCUSDT")
    assert [entry["action"] for entry in talk.exchange.ledger.requests] == ["cancel", "cancel"]


# --- OKX


def test_a_switch_that_strikes_while_a_symbol_is_halted() -> None:
    """What moves is canceled, what is halted stays, and the venue goes on."""
    talk = Talk("okx")
    for symbol, price in (("BTC-USDT", "60000"), ("ETH-USDT", "3000")):
        assert test_okx.post(talk, "order", test_okx.ORDER | {"instId": symbol, "px": price})["code"] == "0"
    test_okx.post(talk, "cancel-all-after", {"timeOut": "10"})
    talk.strike("status", args={"status": "HALT", "symbol": "BTC-USDT"})
    talk.pass_ms(11_000)
    (left,) = test_okx.get(talk, "trade/orders-pending")["data"]
    assert left["instId"] == "BTC-USDT"


def test_private_channels_have_an_address_of_their_own() -> None:
    """On the public one they do not exist, whoever is logged in there."""
    talk = Talk("okx")
    session = talk.open("/ws/v5/public")
    session.login(talk.exchange.accounts["demo"])
    for name in ("orders", "account"):
        (answer,) = talk.say(session, {"op": "subscribe", "args": [{"channel": name, "instType": "SPOT"}]})
        assert (answer["event"], answer["code"]) == ("error", "60018")


@pytest.mark.parametrize("body", [[], None, 1, "x", [{"timeOut": "10"}]])
def test_a_switch_that_is_no_object(body: Any) -> None:
    """It is refused."""
    assert test_okx.post(Talk("okx"), "cancel-all-after", body)["code"] == "51000"


def test_what_is_halted_does_not_keep_the_rest() -> None:
    """All orders are canceled but those of a halted symbol; who names that one is told so."""
    talk = Talk("okx")
    for symbol, price in (("BTC-USDT", "60000"), ("ETH-USDT", "3000")):
        test_okx.post(talk, "order", test_okx.ORDER | {"instId": symbol, "px": price})
    account, desk = talk.exchange.accounts["demo"], talk.exchange.desk
    talk.strike("status", args={"status": "HALT", "symbol": "BTC-USDT"})
    assert [order.symbol for order in desk.cancel_all(account)] == ["ETH-USDT"]
    with pytest.raises(Refusal, match="halted"):
        desk.cancel_all(account, ["BTC-USDT"])


# --- faults and orders


def test_what_a_verb_cannot_touch_does_not_spend_it() -> None:
    """The first execution comes without its id, the first frame with a price is spoilt; what came before is not."""
    talk = Talk("okx")
    session = test_okx.private(talk, "account", "orders")
    talk.strike("strip_id")
    test_okx.post(talk, "order", test_okx.ORDER | {"px": "70000"})
    told = [row for frame in talk.hear(session) if frame["arg"]["channel"] == "orders" for row in frame["data"]]
    trades = [row for row in told if row["fillSz"] != "0"]
    assert [("tradeId" in row) for row in trades] == [False, *[True] * (len(trades) - 1)]
    assert talk.exchange.faults.listing(talk.now_ns)[0]["fired"] == 1

    talk = Talk("coinbase")
    session = talk.open("/")
    talk.say(session, {"type": "subscribe", "channel": "heartbeats"})
    talk.strike("poison")
    talk.strike("microseconds", match={"private": False})
    assert talk.wait(session, 3000)
    assert [one["fired"] for one in talk.exchange.faults.listing(talk.now_ns)] == [0, 0]


def test_a_bust_of_an_order_that_rests() -> None:
    """What is taken back waits in the book again, and is set aside again."""
    talk = Talk("binance")
    book, desk, account = talk.exchange.books["BTC-USDT"], talk.exchange.desk, talk.exchange.accounts["demo"]
    best = book.asks.best()
    assert best is not None
    talk.strike("partial", args={"share": 0.5})
    talk.strike("bust", args={"after_ms": 100}, count=100)
    talk.world.shift("binance", "BTC-USDT", 200.0, talk.now_ns, 60_000)  # nobody sells to it any more
    order = desk.place(account, OrderTerms("BTC-USDT", True, 200, price_ticks=best[0]))
    assert (order.is_over, order.filled) == (False, 100)
    talk.pass_ms(400)
    assert order.filled == 0
    needed, _asset = reserve(account.fees, desk.rules["BTC-USDT"].instrument, order)
    assert order.locked == needed == account.balance("USDT").locked
    key = order.price_ticks
    assert book.bids.lots[key] == sum(map(waiting, book.bids.queues[key]))


@pytest.mark.parametrize(
    ("lots", "share", "reason"), [(10**9, 1.0, "max_lots"), (0, 0.1, "price_band"), (1, 1.0, "min_cost")]
)
def test_an_order_is_not_amended_into_what_would_not_be_taken(lots: int, share: float, reason: str) -> None:
    """The largest size, the band of prices and the least worth hold for amendments."""
    talk = Talk("binance")
    book, desk, account = talk.exchange.books["BTC-USDT"], talk.exchange.desk, talk.exchange.accounts["demo"]
    best = book.bids.best()
    assert best is not None
    price = int(best[0] * 0.9)
    order = desk.place(account, OrderTerms("BTC-USDT", True, 1000, price_ticks=price))
    with pytest.raises(Refusal) as refused:
        desk.amend(account, order, lots=lots, price_ticks=int(price * share))
    assert refused.value.reason == reason
    assert (order.lots, order.price_ticks) == (1000, price)


@pytest.mark.parametrize("mode", ["maker", "taker", "both", "none"])
def test_a_fill_or_kill_that_meets_its_own_account(mode: Any) -> None:
    """All of it or nothing, whoever gives way."""
    talk = Talk("binance")
    book, desk, account = talk.exchange.books["BTC-USDT"], talk.exchange.desk, talk.exchange.accounts["demo"]
    bid, ask = book.bids.best(), book.asks.best()
    assert bid is not None
    assert ask is not None
    own = desk.place(account, OrderTerms("BTC-USDT", False, 100, price_ticks=ask[0]))
    whole = book.asks.lots[-ask[0]]
    terms = OrderTerms("BTC-USDT", True, whole, price_ticks=ask[0], tif="fok", self_trade=mode)
    order = desk.place(account, terms)
    assert (order.filled, own.filled) == ((whole, 100) if mode == "none" else (0, 0))
    assert own.is_over == (mode == "none")
