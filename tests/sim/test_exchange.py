"""A simulated venue without sockets: every fault does what it says, money is exact, the same seed says the same."""

import hashlib
import hmac
import json
from decimal import Decimal
from itertools import pairwise
from urllib.parse import urlencode

import pytest

from gambit.sim.control import control
from gambit.sim.dialect import Close, Ping, Reply, Request
from gambit.sim.exchange import Silence
from gambit.sim.verbs import VERBS, FaultOrder
from gambit.sim.world import PlannedFault, PlannedShift, Scenario, World

START_NS = 1_750_000_000_000_000_000
MS = 1_000_000
STREAMS = "btcusdt@depth@100ms/btcusdt@bookTicker/btcusdt@trade"


class Client:
    """Binance's client in time that the test moves."""

    def __init__(self, seed=1, scenario=None, account="demo"):
        self.world = World(
            ["binance"],
            scenario or Scenario(symbols=("BTC-USDT",), dislocations_per_s=0.0),
            seed=seed,
            start_ns=START_NS,
        )
        self.venue = self.world.exchanges["binance"]
        self.account = self.venue.accounts[account]
        self.now_ns = START_NS
        self.answers = []
        self.heard = {}

    def pass_ms(self, ms):
        """Let time pass in steps of 10 ms, and hear what comes."""
        for _ in range(max(1, ms // 10)):
            self.now_ns += 10 * MS
            self.world.advance(self.now_ns)
            self.drain()

    def drain(self):
        for session, frames in self.venue.drain():
            self.heard.setdefault(session.number, []).extend(frames)

    def connect(self, path="/stream", query=f"streams={STREAMS}"):
        session = self.venue.open(Request("GET", path, query, {}, b""), self.now_ns)
        self.drain()
        return session

    def listen(self):
        """A connection with the account's own events."""
        session = self.connect("/ws-api/v3", "")
        params = {"apiKey": self.account.credentials.key, "timestamp": str(self.now_ns // MS)}
        params["signature"] = self.sign("&".join(f"{k}={v}" for k, v in sorted(params.items())))
        call = {"id": 1, "method": "userDataStream.subscribe.signature", "params": params}
        self.venue.receive(session, json.dumps(call), self.now_ns)
        self.drain()
        assert json.loads(self.heard[session.number].pop())["status"] == 200
        return session

    def sign(self, payload):
        return hmac.new(self.account.credentials.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()

    def ask(self, method, path, **params):
        """A signed request; the answer, or None while there is none."""
        query = urlencode({**params, "timestamp": self.now_ns // MS})
        query += f"&signature={self.sign(query)}"
        headers = {"x-mbx-apikey": self.account.credentials.key}
        self.answers.clear()
        request = Request(method, f"/api/v3/{path}", query, headers, b"")
        self.venue.http(request, self.now_ns, self.answers.append)
        self.drain()
        return self.answers[0] if self.answers else None

    def place(self, side="BUY", quantity="0.10000", price="70000", tif="IOC", **params):
        terms = {"symbol": "BTCUSDT", "side": side, "type": "LIMIT", "timeInForce": tif}
        return self.ask("POST", "order", **terms, quantity=quantity, price=price, **params)

    def strike(self, kind, **fields):
        return self.venue.strike(FaultOrder(kind, **fields))

    def texts(self, session):
        """What a connection heard since it was last asked."""
        return [frame for frame in self.heard.pop(session.number, []) if isinstance(frame, str)]

    def depth_ids(self, session):
        """First and last id of the depth frames heard."""
        found = [json.loads(text)["data"] for text in self.texts(session) if '"depthUpdate"' in text]
        return [(event["U"], event["u"]) for event in found]


def said(reply):
    assert isinstance(reply, Reply)
    return json.loads(reply.body)


def has_gap(ids):
    return any(later[0] != earlier[1] + 1 for earlier, later in pairwise(ids))


def total(client, asset):
    balance = client.account.balance(asset)
    return Decimal(balance.free + balance.locked).scaleb(-18)


def test_the_same_seed_says_the_same():
    """Frames and replies are a function of seed, time and what was asked."""

    def story(seed):
        client = Client(seed)
        session, private = client.connect(), client.listen()
        client.strike("dup", probability=0.3)
        for _ in range(5):
            client.pass_ms(200)
            client.answers.append(client.place(tif="GTC"))
        return client.heard[session.number], client.heard[private.number], client.answers[-1]

    assert story(5) == story(5)
    assert story(5) != story(6)


def test_money_is_exact():
    """What fills moved and fees took is the change of the balances, to the last unit."""
    client = Client()
    before = {asset: total(client, asset) for asset in ("BTC", "USDT")}
    for number in range(30):
        client.pass_ms(150)
        client.place("BUY" if number % 2 else "SELL", price="70000" if number % 2 else "60000")
        client.place("BUY", "0.05000", "63000", "GTC")
    fills = said(control(client.world, client.venue, get("/_sim/ledger"), client.now_ns))["fills"]
    assert len(fills) >= 30
    moved = {"BTC": Decimal(0), "USDT": Decimal(0)}
    for fill in fills:
        sign = 1 if fill["side"] == "buy" else -1
        moved["BTC"] += sign * Decimal(fill["qty"])
        moved["USDT"] -= sign * Decimal(fill["qty"]) * Decimal(fill["price"])
        moved[fill["fee_asset"]] -= Decimal(fill["fee"])
    assert {asset: total(client, asset) - before[asset] for asset in moved} == moved
    client.ask("DELETE", "openOrders", symbol="BTCUSDT")
    assert all(balance.locked == 0 for balance in client.account.balances.values())


def get(path, query=""):
    return Request("GET", path, query, {}, b"")


def test_a_natural_stream_has_no_gap():
    """Ids are contiguous, and the last trade and touch are in the book."""
    client = Client()
    session = client.connect()
    client.pass_ms(3000)
    ids = client.depth_ids(session)
    assert len(ids) > 20
    assert not has_gap(ids)


@pytest.mark.parametrize("rate", [10.0, 300.0])
def test_the_stream_is_the_book(rate):
    """A snapshot and the diffs behind it give the book, at any rate, with orders of accounts in it."""
    client = Client(scenario=Scenario(symbols=("BTC-USDT",), rate=rate))
    session = client.connect(query="streams=btcusdt@depth@100ms")
    client.pass_ms(300)
    snapshot = said(client.ask("GET", "depth", symbol="BTCUSDT", limit=5000))
    mirror = {side: dict(snapshot[side]) for side in ("bids", "asks")}
    client.texts(session)
    for number in range(10):
        client.place("BUY", "0.01000", str(63_990 + number), "GTC")
        client.pass_ms(200)
    client.pass_ms(300)
    frames = [json.loads(text)["data"] for text in client.texts(session)]
    assert len(frames) >= 20
    assert frames[0]["U"] <= snapshot["lastUpdateId"] + 1
    assert not has_gap([(frame["U"], frame["u"]) for frame in frames])
    for frame in frames:
        for side, rows in (("bids", frame["b"]), ("asks", frame["a"])):
            mirror[side] |= dict(rows)
    kept = {side: {p: q for p, q in rows.items() if Decimal(q)} for side, rows in mirror.items()}
    now = said(client.ask("GET", "depth", symbol="BTCUSDT", limit=5000))
    assert kept == {side: dict(now[side]) for side in ("bids", "asks")}


def test_gap_and_dup_and_reorder():
    """gap takes frames away, dup repeats, reorder swaps two."""
    client = Client()
    session = client.connect(query="streams=btcusdt@depth@100ms")
    client.pass_ms(500)
    client.strike("gap", count=1, match={"symbol": "BTC-USDT"})
    client.pass_ms(500)
    assert has_gap(client.depth_ids(session))
    client.strike("dup", count=2)
    client.pass_ms(500)
    ids = client.depth_ids(session)
    assert len(ids) - len(set(ids)) == 2
    client.strike("reorder", count=1)
    client.pass_ms(500)
    ids = client.depth_ids(session)
    assert ids != sorted(ids)
    assert not has_gap(sorted(ids))


def test_freeze_of_a_book_and_of_a_socket():
    """A frozen book is silent while others speak; a frozen socket says nothing, not even pongs."""
    client = Client(scenario=Scenario(symbols=("BTC-USDT", "ETH-USDT")))
    session = client.connect(query="streams=btcusdt@depth@100ms/ethusdt@depth@100ms")
    client.strike("freeze", match={"symbol": "BTC-USDT"}, for_ms=500)
    client.pass_ms(500)
    texts = client.texts(session)
    assert any("ETHUSDT" in text for text in texts)
    assert not any("BTCUSDT" in text for text in texts)
    client.strike("freeze", args={"what": "socket"}, for_ms=300)
    client.venue.receive(session, Ping(b"x"), client.now_ns)
    client.pass_ms(300)
    assert client.heard.pop(session.number, []) == []
    client.pass_ms(500)
    assert client.texts(session)


def test_cross_and_poison():
    """cross lets a bid stand at the best ask; poison writes what was asked for over a price."""
    client = Client()
    session = client.connect(query="streams=btcusdt@depth@100ms")
    client.strike("cross", count=1)
    client.pass_ms(110)
    book = client.venue.books["BTC-USDT"]
    assert book.bids.keys[-1] >= -book.asks.keys[-1]
    client.pass_ms(300)
    assert book.bids.keys[-1] < -book.asks.keys[-1]
    client.texts(session)
    client.strike("poison", args={"value": "0x10", "field": "price"}, count=1)
    client.pass_ms(300)
    assert sum('"0x10"' in text for text in client.texts(session)) == 1


def test_burst_disconnect_half_open():
    """burst keeps all back and lets it go at once; disconnect closes with its code; half open is a black hole."""
    client = Client()
    session = client.connect(query="streams=btcusdt@depth@100ms")
    client.pass_ms(100)
    client.texts(session)
    client.strike("burst", args={"ms": 1000}, count=1)
    client.pass_ms(900)
    assert len(client.texts(session)) <= 1
    client.pass_ms(300)
    assert len(client.texts(session)) >= 9
    client.strike("half_open", count=1)
    client.pass_ms(200)
    client.heard.clear()
    client.venue.receive(session, '{"method":"LIST_SUBSCRIPTIONS","id":3}', client.now_ns)
    client.pass_ms(500)
    assert client.heard.get(session.number, []) == []
    other = client.connect()
    client.strike("disconnect", args={"code": 1012}, match={"session": other.number})
    client.pass_ms(200)
    assert client.heard[other.number][-1] == Close(1012)


def test_late_and_microseconds():
    """late keeps every frame for so long and its order; microseconds writes times a thousandfold."""
    client = Client()
    session = client.connect(query="streams=btcusdt@depth@100ms")
    client.pass_ms(100)
    client.texts(session)
    client.strike("late", args={"ms": 500}, for_ms=1000)
    client.pass_ms(400)
    assert client.texts(session) == []
    client.pass_ms(1600)
    ids = [json.loads(text)["data"]["u"] for text in client.texts(session)]
    assert len(ids) >= 15
    assert ids == sorted(ids)
    client.strike("microseconds", count=1)
    client.pass_ms(200)
    times = [json.loads(text)["data"]["E"] for text in client.texts(session)]
    assert len(str(times[0])) == len(str(times[-1])) + 3


def test_refuse():
    """Neither connections nor requests are taken."""
    client = Client()
    client.strike("refuse", count=2)
    assert client.connect() is Silence.CUT
    assert client.ask("GET", "account") is Silence.CUT
    assert client.ask("GET", "account").status == 200


def test_requests_lost_on_either_way():
    """drop_request does nothing, drop_reply does it silently, close_after_read as told; the ledger sees each once."""
    client = Client()
    client.strike("drop_request", match={"action": "place"})
    assert client.place(newClientOrderId="a1") is Silence.HANG
    client.strike("drop_reply", match={"action": "place"})
    assert client.place(newClientOrderId="a2") is Silence.HANG
    client.strike("close_after_read", args={"applied": True}, match={"action": "place"})
    assert client.place(newClientOrderId="a3") is Silence.CUT
    client.strike("close_after_read", match={"action": "place"})
    assert client.place(newClientOrderId="a4") is Silence.CUT
    orders = [order.client_id for order in client.venue.ledger.orders.values()]
    assert orders == ["a2", "a3"]
    assert [entry["action"] for entry in client.venue.ledger.requests] == ["place"] * 4
    assert said(client.ask("GET", "order", symbol="BTCUSDT", origClientOrderId="a2"))["status"] == "FILLED"
    assert said(client.ask("GET", "order", symbol="BTCUSDT", origClientOrderId="a1"))["code"] == -2013


@pytest.mark.parametrize("applied", [True, False])
def test_forced_answers(applied):
    """http answers what it was told to, whether the order was accepted or not."""
    client = Client()
    client.strike("http", args={"status": 503, "body": "<html>", "applied": applied}, match={"action": "place"})
    reply = client.place()
    assert (reply.status, reply.body) == (503, "<html>")
    assert len(client.venue.ledger.orders) == applied


def test_hold_and_delay():
    """A held order is accepted late, unless its window has passed; a delayed reply comes late for an order on time."""
    client = Client()
    client.strike("hold", args={"ms": 2000})
    assert client.place() is None
    assert client.venue.ledger.orders == {}
    client.pass_ms(2100)
    assert client.answers[0].status == 200
    client.strike("hold", args={"ms": 6000})
    assert client.place() is None
    client.pass_ms(6100)
    assert said(client.answers[0])["code"] == -1021
    client.strike("delay", args={"ms": 1000})
    assert client.place() is None
    assert len(client.venue.ledger.orders) == 2
    client.pass_ms(1100)
    assert client.answers[0].status == 200


def test_reject_partial_overfill():
    """reject says the venue's code, partial fills a share, overfill fills more than was ordered."""
    client = Client()
    client.strike("reject", args={"code": -2010, "msg": "Market is closed."})
    assert said(client.place()) == {"code": -2010, "msg": "Market is closed."}
    client.strike("partial", args={"share": 0.4})
    placed = said(client.place())
    assert (placed["status"], Decimal(placed["executedQty"])) == ("EXPIRED", Decimal("0.04"))
    client.strike("overfill", args={"share": 0.1, "after_ms": 100})
    placed = said(client.place())
    client.pass_ms(200)
    order = said(client.ask("GET", "order", symbol="BTCUSDT", orderId=placed["orderId"]))
    assert Decimal(order["executedQty"]) == Decimal("0.11")


def test_late_fill_and_bust():
    """A fill comes after the end of its order; a bust takes one back, and the money with it."""
    client = Client()
    session = client.listen()
    client.strike("late_fill", args={"after_ms": 1000})
    client.strike("partial", args={"share": 0.5})
    placed = said(client.place())
    assert Decimal(placed["executedQty"]) == Decimal("0.05")
    client.texts(session)
    client.pass_ms(1100)
    events = [json.loads(text)["event"] for text in client.texts(session)]
    assert ("TRADE", "0.10000000") in [(event.get("x"), event.get("z")) for event in events]
    before = total(client, "USDT"), total(client, "BTC")
    client.strike("bust", args={"after_ms": 500}, count=100)
    assert said(client.place())["status"] == "FILLED"
    assert (total(client, "USDT"), total(client, "BTC")) != before
    client.pass_ms(600)
    assert (total(client, "USDT"), total(client, "BTC")) == before


def test_strip_id_and_private_dup():
    """Executions without id, executions twice."""
    client = Client()
    session = client.listen()
    client.strike("strip_id", match={"report": "trade"}, count=100)
    client.place()
    trades = [text for text in client.texts(session) if '"x":"TRADE"' in text]
    assert trades
    assert not any('"t":' in text for text in trades)
    client.venue.clear()
    client.strike("dup", args={"times": 2}, match={"report": "trade", "private": True}, count=1)
    client.place()
    trades = [text for text in client.texts(session) if '"x":"TRADE"' in text]
    assert trades[0] == trades[1] == trades[2]


def test_expire_session():
    """The private stream falls silent without a word."""
    client = Client()
    session = client.listen()
    session.login(client.account)
    client.strike("expire_session")
    client.pass_ms(200)
    client.heard.clear()
    client.place()
    assert client.heard.get(session.number, []) == []


def test_revoked_keys():
    """Nothing is done for a key that was taken back, until it is given again."""
    client = Client()
    client.strike("expire_session", args={"revoke": True}, match={"account": "demo"})
    assert said(client.place())["code"] == -2015
    client.venue.clear()
    assert client.place().status == 200


def test_limits_and_bans():
    """429 with Retry-After for so long, 418 when told so or when the client does not listen."""
    client = Client()
    client.strike("limit", args={"status": 429, "seconds": 7})
    reply = client.ask("GET", "account")
    assert (reply.status, reply.headers["Retry-After"]) == (429, "7")
    client.pass_ms(6900)
    assert client.ask("GET", "account").status == 429
    client.pass_ms(200)
    assert client.ask("GET", "account").status == 200
    client.strike("limit", args={"status": 429, "seconds": 60})
    statuses = [client.ask("GET", "account").status for _ in range(30)]
    assert (statuses[0], statuses[-1]) == (429, 418)


def test_the_weight_budget_is_real():
    """6000 of weight a minute, told in headers; more is a 429."""
    client = Client()
    replies = [client.ask("GET", "openOrders") for _ in range(76)]
    assert [reply.status for reply in replies] == [200] * 75 + [429]
    assert replies[74].headers["X-MBX-USED-WEIGHT-1M"] == "6000"
    assert client.venue.ledger.limits["REQUEST_WEIGHT 1m"]["exceeded"] == 1


def test_standing_faults():
    """status, filters, fee and clock hold until healed."""
    client = Client()
    client.strike("status", args={"status": "HALT"}, for_ms=500)
    assert said(client.place())["msg"] == "Market is closed."
    client.pass_ms(600)
    assert client.place().status == 200
    client.strike("filters", args={"tick_multiple": 100, "min_cost": "10000"})
    assert said(client.place(price="70000.50"))["msg"] == "Filter failure: PRICE_FILTER"
    assert said(client.place(quantity="0.00100"))["msg"] == "Filter failure: NOTIONAL"
    listed = said(client.ask("GET", "exchangeInfo"))["symbols"][0]["filters"]
    assert (listed[0]["tickSize"], listed[-1]["minNotional"]) == ("1.00000000", "10000.00000000")
    client.venue.clear()
    client.strike("fee", args={"asset": "BTC", "rate": 0.001})
    assert client.place("SELL", price="60000").status == 200
    assert client.venue.ledger.fills[-1].fee_asset == "BTC"
    client.strike("clock", args={"offset_ms": 30_000})
    assert said(client.ask("GET", "account"))["code"] == -1021
    client.venue.clear()
    assert client.place(price="70000.50").status == 200


def test_maintenance():
    """Orders are refused in maintenance, streams go on unless all is down."""
    client = Client()
    session = client.connect()
    client.strike("maintenance", for_ms=1000)
    assert client.place().status == 503
    client.pass_ms(500)
    assert client.texts(session)
    client.venue.clear()
    client.strike("maintenance", args={"scope": "all"}, for_ms=1000)
    assert client.connect().status == 503


def test_checksum_is_for_those_who_have_one():
    """The text of a frame with a bad, zero or absent checksum."""
    from gambit.sim.delivery import with_checksum

    text = '{"asks":[],"checksum":1234,"seqId":5}'
    assert with_checksum(text, "zero") == '{"asks":[],"checksum":0,"seqId":5}'
    assert with_checksum(text, "absent") == '{"asks":[],"seqId":5}'
    assert with_checksum(text, "bad") == '{"asks":[],"checksum":1235,"seqId":5}'


def test_count_probability_time_and_skip():
    """Each bound of a fault holds, and what fired is told."""
    client = Client()
    session = client.connect(query="streams=btcusdt@depth@100ms")
    client.strike("gap", count=2, skip=3)
    client.pass_ms(2000)
    ids = client.depth_ids(session)
    holes = [later[0] != earlier[1] + 1 for earlier, later in pairwise(ids)]
    assert holes.index(True) == 2
    listed = client.venue.faults.listing(client.now_ns)
    assert (listed[0]["fired"], listed[0]["in_force"]) == (2, False)
    client.strike("gap", probability=0.5, for_ms=4000)
    client.pass_ms(8000)
    fired = client.venue.faults.listing(client.now_ns)[1]["fired"]
    assert 8 <= fired <= 32


def test_every_verb_is_looked_at_somewhere():
    """No verb of the catalogue is accepted and then ignored."""
    from pathlib import Path

    import gambit.sim

    folder = Path(gambit.sim.__file__).parent
    names = ("exchange", "delivery", "desk", "standing")
    text = "".join((folder / f"{name}.py").read_text() for name in names)
    assert [verb for verb in VERBS if f'"{verb}"' not in text] == []


def test_the_control_plane():
    """A moved price moves the book, a book is told, nonsense gets an error in words."""
    client = Client()

    def ask(method, path, body=b"", query=""):
        return control(client.world, client.venue, Request(method, path, query, {}, body), client.now_ns)

    def middle():
        rows = said(ask("GET", "/_sim/book", query="symbol=BTC-USDT"))
        return (Decimal(rows["bids"][0][0]) + Decimal(rows["asks"][0][0])) / 2

    before = middle()
    body = json.dumps({"symbol": "BTC-USDT", "shift_bps": 200, "for_ms": 1000}).encode()
    assert said(ask("POST", "/_sim/price", body)) == {"ok": True}
    client.pass_ms(500)
    assert middle() / before > Decimal("1.015")
    client.pass_ms(1000)
    assert abs(middle() / before - 1) < Decimal("0.005")
    assert ask("POST", "/_sim/price", b'{"symbol":"NO-NO","shift_bps":1}').status == 400
    assert ask("POST", "/_sim/fault", b'{"kind":"gap","cuont":1}').status == 400
    assert said(ask("POST", "/_sim/fault", b'{"kind":"gap","count":1}')) == {"id": 1}
    assert ask("GET", "/_sim/nothing").status == 404
    assert said(ask("POST", "/_sim/deposit", b'{"account":"demo","asset":"BTC","amount":"-1.5"}')) == {"ok": True}
    told = said(ask("GET", "/_sim/ledger", query="parts=balances,deposits"))
    assert (told["balances"]["demo"]["BTC"]["free"], told["deposits"][0]["amount"]) == ("6.3", "-1.5")
    assert "orders" not in told
    assert ask("GET", "/_sim/ledger", query="parts=nothing").status == 400
    assert ask("POST", "/_sim/deposit", b'{"account":"demo","asset":"BTC","amount":"-9"}').status == 400
    assert ask("POST", "/_sim/deposit", b'{"account":"demo","asset":"BTC","amount":"much"}').status == 400
    assert said(ask("POST", "/_sim/clear")) == {"ok": True}
    assert said(ask("GET", "/_sim/faults")) == []


def test_a_scenario_plans():
    """Faults and price moves of a scenario come at their time."""
    text = (
        '{"symbols":["BTC-USDT"],"faults":[{"venue":"binance","kind":"status","at_ms":500,"for_ms":500}],'
        '"shifts":[{"venue":"binance","symbol":"BTC-USDT","shift_bps":300,"at_ms":2000,"for_ms":1000}]}'
    )
    import msgspec

    client = Client(scenario=msgspec.json.decode(text, type=Scenario))
    assert client.place().status == 200
    client.pass_ms(600)
    assert said(client.place())["code"] == -2010
    client.pass_ms(600)
    assert client.place().status == 200
    client.pass_ms(1200)
    assert client.venue.books["BTC-USDT"].bids.best()[0] > 64_000_00 * 1.015


@pytest.mark.parametrize("seed", range(5))
def test_nobody_waits_for_an_arbitrage(seed):
    """With the usual market one venue's bid is well over another's ask within five seconds of the start."""
    world = World(
        ["binance", "okx", "kraken"], Scenario(symbols=("BTC-USDT", "ETH-USDT")), seed=seed, start_ns=START_NS
    )
    best = 0.0
    for step in range(1, 51):
        world.advance(START_NS + step * 100 * MS)
        for symbol in ("BTC-USDT", "ETH-USDT"):
            books = [exchange.books[symbol] for exchange in world.exchanges.values()]
            bids = [book.bids.best()[0] / book.instrument.ticks_per_unit for book in books]
            asks = [book.asks.best()[0] / book.instrument.ticks_per_unit for book in books]
            best = max(best, max(bids) / min(asks) - 1)
    assert best > 20e-4


@pytest.mark.parametrize(
    "fields",
    [{"symbols": ()}, {"symbols": ("btc-usdt",)}, {"symbols": ("BTCUSDT",)}, {"rate": 0.0}, {"levels": 0},
     {"faults": (PlannedFault("gap", venue="okx"),)},
     {"faults": (PlannedFault("nap", venue="binance"),)},
     {"faults": (PlannedFault("status", {"status": "X"}, venue="binance"),)},
     {"faults": (PlannedFault("hold", {"ms": "long"}, venue="binance"),)},
     {"shifts": (PlannedShift("binance", "NO-NO", 1.0),)}],
)  # fmt: skip
def test_a_scenario_that_cannot_be(fields):
    """It is refused with what is wrong."""
    with pytest.raises(ValueError, match=r"symbol|rate|levels|venue|list|called|one of|number"):
        World(["binance"], Scenario(**fields), seed=1, start_ns=START_NS)
