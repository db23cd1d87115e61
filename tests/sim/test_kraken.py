"""The simulated Kraken in private: signatures, nonces, tokens, executions, order methods, counters, dead-man switch."""

import base64
import hashlib
import hmac
import json
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest

from gambit.sim.accounts import Credentials
from gambit.sim.dialect import Close, Session
from tests.sim.talk import Talk

SECOND_NS = 1_000_000_000
LIMIT = {"order_type": "limit", "side": "buy", "symbol": "BTC/USDT", "order_qty": 0.01, "limit_price": 60000.0}
REST_LIMIT = {"ordertype": "limit", "type": "buy", "pair": "XBTUSDT", "volume": "0.01", "price": "60000"}


class Client:
    """A customer of Kraken."""

    def __init__(self, *symbols: str) -> None:
        self.talk = Talk("kraken", symbols or ("BTC-USDT", "ETH-USDT"))
        self.nonce = 1_000_000

    def call(self, name: str, **params: Any) -> Any:
        """A private REST call."""
        self.nonce += 1
        credentials = self.talk.exchange.accounts["demo"].credentials
        path, body = f"/0/private/{name}", urlencode({"nonce": self.nonce} | params)
        digest = hashlib.sha256(f"{self.nonce}{body}".encode()).digest()
        sign = hmac.new(base64.b64decode(credentials.secret), path.encode() + digest, hashlib.sha512).digest()
        headers = {"api-key": credentials.key, "api-sign": base64.b64encode(sign).decode()}
        return json.loads(self.talk.ask("POST", path, "", headers, body).body)

    def good(self, name: str, **params: Any) -> Any:
        """The result of a call that must work."""
        answer = self.call(name, **params)
        assert answer["error"] == []
        return answer["result"]

    def token(self) -> str:
        """A WebSocket token."""
        return str(self.good("GetWebSocketsToken")["token"])

    def private(self) -> tuple[Session, str]:
        """A private connection, its greeting heard, and a token."""
        session = self.talk.open("/auth/v2")
        self.talk.hear(session)
        return session, self.token()

    def listen(self, **params: Any) -> tuple[Session, str]:
        """A private connection that hears executions, its first snapshot too."""
        session, token = self.private()
        words = {"channel": "executions", "token": token} | params
        ack, *_snapshots = self.talk.say(session, {"method": "subscribe", "params": words, "req_id": 5})
        assert (ack["success"], ack["req_id"], ack["result"]["maxratecount"]) == (True, 5, 180)
        return session, token

    def say(self, session: Session, method: str, token: str, **params: Any) -> list[Any]:
        """An order method; what comes back at once."""
        return self.talk.say(session, {"method": method, "params": params | {"token": token}, "req_id": 7})

    def price(self, side: str, share: float) -> float:
        """A price that is so much of the best one of a side, on the tick."""
        ticks, _lots = getattr(self.talk.exchange.books["BTC-USDT"], side).best()
        return int(ticks * share) / 10


def rows(frames: list[Any]) -> list[Any]:
    """The reports among frames."""
    return [row for frame in frames if frame.get("channel") == "executions" for row in frame["data"]]


def test_the_fact_sheets_signature_is_good():
    """Its vector passes once; the same nonce again does not, nor does another key or signature."""
    client = Client("BTC-USD")
    secret = "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg=="
    client.talk.exchange.accounts["demo"].credentials = Credentials("key", secret)
    body = "nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25"
    sign = "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ=="

    def errors(key: str, said: str) -> list[str]:
        headers = {"api-key": key, "api-sign": said}
        return json.loads(client.talk.ask("POST", "/0/private/AddOrder", "", headers, body).body)["error"]

    assert errors("key", "4" + sign) == ["EAPI:Invalid signature"]
    assert errors("another", sign) == ["EAPI:Invalid key"]
    assert errors("key", sign) == []
    assert errors("key", sign) == ["EAPI:Invalid nonce"]
    (order,) = client.talk.exchange.ledger.orders.values()
    assert (order.buys, order.symbol) == (True, "BTC-USD")


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"pair": "FOOUSD"}, "EQuery:Unknown asset pair"),
        ({"price": "60000.05"}, "EOrder:Tick size check failed"),
        ({"price": "9000000"}, "EOrder:Invalid price"),
        ({"volume": "0.00001"}, "EOrder:Order minimum not met"),
        ({"volume": "50"}, "EOrder:Insufficient funds"),
        ({"volume": "much"}, "EGeneral:Invalid arguments:volume"),
        ({"type": "Buy"}, "EGeneral:Invalid arguments:side"),
        ({"oflags": "fcib"}, "EGeneral:Invalid arguments:oflags"),
        ({"cl_ord_id": "nineteen characters"}, "EGeneral:Invalid arguments:cl_ord_id"),
        ({"deadline": "2023-11-14T22:13:19.000Z"}, "EService:Deadline elapsed"),
        ({"deadline": "2023-11-14T22:14:30.000Z"}, "EGeneral:Invalid arguments:deadline"),
    ],
)
def test_orders_that_are_not_accepted(fields, error):
    """Each with its own text and HTTP 200; the ledger knows no order."""
    client = Client()
    assert client.call("AddOrder", **(REST_LIMIT | fields))["error"] == [error]
    assert not client.talk.exchange.ledger.orders


def test_a_cost_below_the_minimum():
    """costmin is what AssetPairs says."""
    client = Client()
    client.talk.strike("filters", args={"min_cost": "700"})
    assert client.call("AddOrder", **REST_LIMIT)["error"] == ["EOrder:Cost minimum not met"]


def test_the_life_of_an_order_over_rest():
    """Placed, its money held, queried by both ids, canceled with a reason, closed."""
    client = Client()
    added = client.good("AddOrder", **REST_LIMIT, cl_ord_id="gb-1")
    (txid,) = added["txid"]
    assert added["descr"]["order"] == "buy 0.01000000 XBTUSDT @ limit 60000.0"
    held = Decimal(client.good("BalanceEx")["USDT"]["hold_trade"])
    assert held == Decimal("600.06")  # the fee in quote included
    assert list(client.good("OpenOrders", cl_ord_id="gb-1")["open"]) == [txid]
    assert client.call("AddOrder", **REST_LIMIT, cl_ord_id="gb-1")["error"] == ["EOrder:Invalid cl_ord_id"]
    assert client.good("CancelOrder", cl_ord_id="gb-1") == {"count": 1}
    order = client.good("QueryOrders", txid=txid, trades="true")[txid]
    assert (order["status"], order["reason"], order["trades"]) == ("canceled", "User requested", [])
    assert client.call("CancelOrder", txid=txid)["error"] == ["EOrder:Unknown order"]
    assert client.good("ClosedOrders")["count"] == 1
    assert Decimal(client.good("BalanceEx")["USDT"]["hold_trade"]) == 0
    assert "txid" in client.good("AddOrder", **REST_LIMIT, cl_ord_id="gb-1")


def test_fills_over_rest():
    """An order that takes is closed; its trades carry price, fee in quote and its id, and add up."""
    client = Client()
    fields = REST_LIMIT | {"price": str(client.price("asks", 1.01)), "timeinforce": "IOC"}
    (txid,) = client.good("AddOrder", **fields)["txid"]
    order = client.good("QueryOrders", txid=txid, trades="true")[txid]
    assert (order["status"], order["vol_exec"]) == ("closed", "0.01000000")
    history = client.good("TradesHistory")
    assert set(history["trades"]) == set(order["trades"])
    trades = [trade for trade in history["trades"].values() if trade["ordertxid"] == txid]
    assert sum(Decimal(trade["vol"]) for trade in trades) == Decimal("0.01")
    assert sum(Decimal(trade["fee"]) for trade in trades) == Decimal(order["fee"]) > 0
    assert {trade["maker"] for trade in trades} == {False}


def test_executions_are_sparse_and_counted():
    """pending_new with all, new with ids alone; the completing trade says partially_filled, then comes filled."""
    client = Client()
    session, token = client.listen()
    frames = client.say(session, "add_order", token, **(LIMIT | {"limit_price": client.price("asks", 1.01)}))
    *pushes, ack = frames
    assert (ack["method"], ack["success"], ack["req_id"]) == ("add_order", True, 7)
    assert [frame["sequence"] for frame in pushes] == list(range(2, len(pushes) + 2))
    said = rows(pushes)
    assert {row["order_id"] for row in said} == {ack["result"]["order_id"]}
    assert [row["exec_type"] for row in said[:3]] == ["pending_new", "new", "trade"]
    assert said[-1]["exec_type"] == said[-1]["order_status"] == "filled"
    assert said[-2]["order_status"] == "partially_filled"
    assert said[-2]["cum_qty"] == said[-1]["cum_qty"] == Decimal("0.01")
    assert "limit_price" in said[0]
    assert "symbol" not in said[1]
    assert [fee["asset"] for fee in said[2]["fees"]] == ["USDT"]


def test_a_snapshot_has_open_orders_and_if_wanted_trades():
    """snap_orders by default, snap_trades on demand, each a message; order_status false leaves pending_new out."""
    client = Client()
    client.good("AddOrder", **REST_LIMIT, cl_ord_id="open")
    client.good("AddOrder", **(REST_LIMIT | {"price": str(client.price("asks", 1.01))}))
    session, token = client.private()
    words = {"channel": "executions", "token": token, "snap_trades": True, "order_status": False}
    _ack, trades, orders = client.talk.say(session, {"method": "subscribe", "params": words})
    assert {row["exec_type"] for row in trades["data"]} == {"trade"}
    assert [row["cl_ord_id"] for row in orders["data"]] == ["open"]
    assert (trades["sequence"], orders["sequence"]) == (1, 2)
    assert [row["exec_type"] for row in rows(client.say(session, "add_order", token, **LIMIT))] == ["new"]


def test_a_post_only_order_that_would_take_is_accepted_and_canceled():
    """success, then canceled with its reason."""
    client = Client()
    session, token = client.listen()
    fields = LIMIT | {"limit_price": client.price("asks", 1.01), "post_only": True}
    *pushes, ack = client.say(session, "add_order", token, **fields)
    assert ack["success"] is True
    assert [row["exec_type"] for row in rows(pushes)] == ["pending_new", "canceled"]
    assert rows(pushes)[-1]["reason"] == "Post only order"


def test_what_an_ioc_leaves_is_canceled():
    """canceled with what was filled, not filled."""
    client = Client()
    session, token = client.listen()
    client.talk.strike("partial", args={"share": 0.5})
    fields = LIMIT | {"limit_price": client.price("asks", 1.01), "time_in_force": "ioc"}
    last = rows(client.say(session, "add_order", token, **fields))[-1]
    assert (last["exec_type"], last["order_status"], last["cum_qty"]) == ("canceled", "canceled", Decimal("0.005"))


def test_cancels_are_answered_one_by_one():
    """A response for each id, the bad one among them."""
    client = Client()
    session, token = client.private()
    for name in ("one", "two"):
        client.say(session, "add_order", token, **LIMIT, cl_ord_id=name)
    answers = client.say(session, "cancel_order", token, cl_ord_id=["one", "none", "two"])
    assert [answer["success"] for answer in answers] == [True, False, True]
    assert answers[0]["result"] == {"cl_ord_id": "one"}
    assert answers[1]["error"] == "EOrder:Unknown order"
    client.say(session, "add_order", token, **LIMIT, order_userref=9)
    (by_ref,) = client.say(session, "cancel_order", token, order_userref=[9])
    assert by_ref["success"] is True
    (none,) = client.say(session, "cancel_all", token)
    assert none["result"] == {"count": 0}


def test_numbers_are_numbers():
    """A quantity in quotes is malformed."""
    client = Client()
    session, token = client.private()
    (answer,) = client.say(session, "add_order", token, **(LIMIT | {"order_qty": "0.01"}))
    assert (answer["success"], answer["error"]) == (False, "EGeneral:Invalid arguments:order_qty")


def test_batches_and_amendments():
    """batch_add answers with a list, amend keeps the order's id, batch_cancel counts."""
    client = Client()
    session, token = client.private()
    orders = [{name: LIMIT[name] for name in ("order_type", "side", "order_qty", "limit_price")}] * 2
    (added,) = client.say(session, "batch_add", token, symbol="BTC/USDT", orders=orders)
    ids = [row["order_id"] for row in added["result"]]
    (amended,) = client.say(session, "amend_order", token, order_id=ids[0], order_qty=0.02)
    assert amended["result"]["order_id"] == ids[0]
    assert client.good("QueryOrders", txid=ids[0])[ids[0]]["vol"] == "0.02000000"
    (gone,) = client.say(session, "batch_cancel", token, orders=ids)
    assert gone["orders_cancelled"] == gone["result"]["count"] == 2


def test_the_dead_mans_switch():
    """Re-arming puts it off, 0 disarms it; triggered it cancels all and is disarmed."""
    client = Client()
    session, token = client.listen()
    client.say(session, "add_order", token, **LIMIT)
    (armed,) = client.say(session, "cancel_all_orders_after", token, timeout=60)
    assert armed["result"] == {"currentTime": "2023-11-14T22:13:20.000Z", "triggerTime": "2023-11-14T22:14:20.000Z"}
    client.talk.pass_ms(1000)
    client.good("CancelAllOrdersAfter", timeout=2)
    client.talk.pass_ms(1500)
    client.good("CancelAllOrdersAfter", timeout=2)
    assert rows(client.talk.wait(session, 1500)) == []
    assert [row["exec_type"] for row in rows(client.talk.wait(session, 700))] == ["canceled"]
    client.say(session, "add_order", token, **LIMIT)
    client.good("CancelAllOrdersAfter", timeout=2)
    client.good("CancelAllOrdersAfter", timeout=0)
    assert rows(client.talk.wait(session, 3000)) == []


def test_tokens_end():
    """After 900 s unless a subscription made with it is open; the fault ends it at once; a wrong one is none."""
    client = Client()
    idle, unused = client.private()
    session, used = client.listen()
    client.talk.now_ns += 901 * SECOND_NS
    client.talk.world.advance(client.talk.now_ns)
    assert [type(frame) for frame in client.talk.hear(idle)] == [Close]
    fresh, traded = client.private()
    assert client.say(fresh, "add_order", traded, **LIMIT)[-1]["success"] is True
    (late,) = client.say(fresh, "add_order", unused, **LIMIT)
    assert late["error"] == "ESession:Invalid session"
    assert client.say(session, "add_order", used, **LIMIT)[-1]["success"] is True
    client.talk.strike("expire_session", match={"account": "demo"}, count=2)
    client.talk.pass_ms(200)
    client.talk.hear(session)
    assert client.say(fresh, "add_order", traded, **LIMIT)[-1]["error"] == "ESession:Invalid session"
    assert client.say(session, "add_order", used, **LIMIT)[-1]["error"] == "ESession:Invalid session"


def test_quick_cancels_fill_the_counter():
    """Nine for an order that is canceled at once: the twenty-first is too much, until time has passed."""
    client = Client()
    session, token = client.private()
    errors = []
    for number in range(21):
        *_pushes, answer = client.say(session, "add_order", token, **LIMIT, cl_ord_id=f"n{number}")
        errors.append(answer.get("error"))
        client.say(session, "cancel_order", token, cl_ord_id=[f"n{number}"])
    assert errors == [None] * 20 + ["EOrder:Rate limit exceeded"]
    client.talk.pass_ms(1000)
    assert client.say(session, "add_order", token, **LIMIT)[-1]["success"] is True


def test_private_calls_are_counted():
    """Twenty at once, histories twice; orders are not counted there."""
    client = Client()
    for _ in range(10):
        client.good("TradesHistory")
    assert client.call("Balance")["error"] == ["EAPI:Rate limit exceeded"]
    client.good("AddOrder", **REST_LIMIT)
    client.talk.pass_ms(1000)
    assert client.call("Balance")["error"] == []


def test_faults_of_the_private_stream():
    """gap leaves a hole in the sequence, strip_id takes the execution's ids, drop_reply the answer alone."""
    client = Client()
    session, token = client.listen()
    client.talk.strike("gap", match={"report": "new"})
    client.talk.strike("strip_id", match={"report": "trade"})
    client.talk.strike("drop_reply", match={"action": "place"})
    price = client.price("asks", 1.01)
    frames = client.say(session, "add_order", token, **(LIMIT | {"limit_price": price}), cl_ord_id="lost")
    assert not [frame for frame in frames if "method" in frame]
    assert frames[0]["sequence"] == 3
    trades = [row for row in rows(frames) if row["exec_type"] == "trade"]
    assert "exec_id" not in trades[0]
    (order,) = client.good("ClosedOrders", cl_ord_id="lost")["closed"].values()
    assert order["status"] == "closed"


def test_balances_follow_fills():
    """A snapshot of all, then the assets a fill has moved, as numbers."""
    client = Client()
    session, token = client.private()
    words = {"channel": "balances", "token": token}
    _ack, snapshot = client.talk.say(session, {"method": "subscribe", "params": words})
    before = {row["asset"]: row["balance"] for row in snapshot["data"]}
    frames = client.say(session, "add_order", token, **(LIMIT | {"limit_price": client.price("asks", 1.01)}))
    moved = [row for frame in frames if frame.get("channel") == "balances" for row in frame["data"]]
    assert {row["asset"] for row in moved} == {"BTC", "USDT"}
    last = {row["asset"]: row["balance"] for row in moved}
    assert last["BTC"] - before["BTC"] == Decimal("0.01")
    assert last["USDT"] < before["USDT"]


def test_order_methods_are_out_of_order_in_maintenance():
    """limit and maintenance answer them too, and nothing else on the connection."""
    client = Client()
    session, token = client.private()
    client.talk.strike("limit", args={"seconds": 1})
    assert client.say(session, "add_order", token, **LIMIT)[-1]["error"] == "EAPI:Rate limit exceeded"
    client.talk.pass_ms(1100)
    client.talk.strike("maintenance")
    assert client.say(session, "add_order", token, **LIMIT)[-1]["error"] == "EService:Unavailable"
    assert client.say(session, "add_order", token, **LIMIT)[-1]["success"] is True
