"""The simulated OKX: signatures, order entry over REST and WebSocket, orders and account channels, its own codes."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from gambit.sim.accounts import Credentials
from gambit.sim.dialect import Close, Session
from gambit.sim.okx_exchange import signature
from gambit.sim.okx_wire import instrument_code
from tests.sim.talk import MS, Talk

SECRET = "22582BD0CFF14C41EDBF1AB98506286D"
STAMP = "2020-12-08T09:08:57.715Z"
ORDER = {"instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "limit", "sz": "0.01", "px": "60000"}
CODE = instrument_code("BTC-USDT")


@pytest.fixture
def talk() -> Talk:
    return Talk("okx")


def credentials(talk: Talk) -> Credentials:
    return talk.exchange.accounts["demo"].credentials


def headers(talk: Talk, method: str, target: str, body: str = "") -> dict[str, str]:
    """Headers of a request of demo now."""
    moment = datetime.fromtimestamp(talk.now_ns // MS / 1000, UTC)
    stamp = moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{talk.now_ns // MS % 1000:03d}Z"
    own = credentials(talk)
    return {
        "ok-access-key": own.key,
        "ok-access-passphrase": own.passphrase,
        "ok-access-timestamp": stamp,
        "ok-access-sign": signature(own.secret, f"{stamp}{method}{target}{body}"),
    }


def get(talk: Talk, path: str, query: str = "") -> Any:
    target = f"/api/v5/{path}?{query}" if query else f"/api/v5/{path}"
    return json.loads(talk.ask("GET", f"/api/v5/{path}", query, headers(talk, "GET", target)).body)


def post(talk: Talk, path: str, content: Any) -> Any:
    body = json.dumps(content)
    own = headers(talk, "POST", f"/api/v5/trade/{path}", body)
    return json.loads(talk.ask("POST", f"/api/v5/trade/{path}", "", own, body).body)


def login(talk: Talk, **changes: str) -> tuple[Session, Any]:
    session = talk.open("/ws/v5/private")
    stamp = str(talk.now_ns // MS // 1000)
    sign = signature(credentials(talk).secret, f"{stamp}GET/users/self/verify")
    own = {
        "apiKey": credentials(talk).key,
        "passphrase": credentials(talk).passphrase,
        "timestamp": stamp,
        "sign": sign,
    }
    (answer,) = talk.say(session, {"op": "login", "args": [own | changes]})
    return session, answer


def private(talk: Talk, *channels: str) -> Session:
    session, answer = login(talk)
    assert (answer["event"], answer["code"]) == ("login", "0")
    talk.say(session, {"op": "subscribe", "args": [{"channel": name, "instType": "SPOT"} for name in channels]})
    return session


def test_the_sheets_signatures() -> None:
    """The documented vectors."""
    body = '{"instId":"BTC-USDT","tdMode":"cash","clOrdId":"b15","side":"buy","ordType":"limit","px":"2.15","sz":"2"}'
    assert signature(SECRET, f"{STAMP}GET/api/v5/account/balance?ccy=BTC") == (
        "HiZhvSfMtWJA3uUIVXV3a/bSXNPCWvYFXoGCVS8V4zY="
    )
    assert signature(SECRET, f"{STAMP}POST/api/v5/trade/order{body}") == "dI6rrL9rXW/HdaPKJ/6LC1OgvH4/PYju6R3CqixMTNQ="
    assert signature(SECRET, "1538054050GET/users/self/verify") == "+LdIr8lkkvhr5hoA3g9TMC0+uQJ849ftAcocA/ouu4M="


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"ok-access-key": ""}, "50103"),
        ({"ok-access-passphrase": ""}, "50104"),
        ({"ok-access-key": "nobody"}, "50111"),
        ({"ok-access-passphrase": "wrong"}, "50105"),
        ({"ok-access-timestamp": "yesterday"}, "50112"),
        ({"ok-access-timestamp": STAMP}, "50102"),
        ({"ok-access-sign": "AAAA"}, "50113"),
    ],
)
def test_who_is_not_let_in(talk: Talk, changes: dict[str, str], code: str) -> None:
    """Each with its code and a 401."""
    own = headers(talk, "GET", "/api/v5/account/balance") | changes
    reply = talk.ask("GET", "/api/v5/account/balance", "", own)
    assert (reply.status, json.loads(reply.body)["code"]) == (401, code)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"apiKey": "x"}, "60005"),
        ({"passphrase": "x"}, "60024"),
        ({"timestamp": "1"}, "60006"),
        ({"sign": "x"}, "60007"),
    ],
)
def test_logins_that_fail(talk: Talk, changes: dict[str, str], code: str) -> None:
    """The reason is told, and nothing private is to be had."""
    session, answer = login(talk, **changes)
    assert (answer["event"], answer["code"]) == ("error", code)
    (answer,) = talk.say(session, {"op": "subscribe", "args": [{"channel": "orders", "instType": "SPOT"}]})
    assert answer["code"] == "60011"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"instId": "NO-NO"}, "51001"),
        ({"tdMode": "isolated"}, "51000"),
        ({"side": "hold"}, "51000"),
        ({"ordType": "iceberg"}, "51000"),
        ({"clOrdId": "with-dash"}, "51000"),
        ({"sz": "1e3"}, "51000"),
        ({"px": "60000.01"}, "51000"),
        ({"sz": "0.000000001"}, "51121"),
        ({"sz": "0.000001"}, "51020"),
        ({"px": "900000"}, "51006"),
        ({"sz": "30"}, "51008"),
    ],
)
def test_orders_that_are_refused(talk: Talk, change: dict[str, str], code: str) -> None:
    """HTTP 200, code 1, and the reason in sCode; nothing is left behind."""
    answer = post(talk, "order", ORDER | change)
    assert (answer["code"], answer["data"][0]["sCode"]) == ("1", code)
    assert talk.exchange.ledger.orders == {}


def test_some_of_a_batch(talk: Talk) -> None:
    """Code 2 when one of two is refused; each has its own outcome."""
    answer = post(talk, "batch-orders", [ORDER | {"clOrdId": "a1"}, ORDER | {"clOrdId": "a1"}])
    assert (answer["code"], [row["sCode"] for row in answer["data"]]) == ("2", ["0", "51016"])
    assert answer["inTime"].isdecimal()


def test_what_is_told_of_an_order(talk: Talk) -> None:
    """live, partially_filled with negative fees, canceled by 14; the account behind each."""
    session = private(talk, "orders", "account")
    talk.hear(session)
    answer = post(talk, "order", ORDER | {"ordType": "ioc", "px": "64020", "sz": "7", "clOrdId": "mine"})
    pushes = talk.hear(session)
    rows = [push["data"][0] for push in pushes if push["arg"]["channel"] == "orders"]
    assert [rows[0]["state"], rows[-1]["state"], rows[-1]["cancelSource"]] == ["live", "canceled", "14"]
    assert {row["state"] for row in rows[1:-1]} == {"partially_filled"}
    assert all(Decimal(row["fillFee"]) < 0 and row["fillFeeCcy"] == "BTC" for row in rows[1:-1])
    order_id = answer["data"][0]["ordId"]
    fills = get(talk, "trade/fills", f"instType=SPOT&ordId={order_id}")["data"]
    assert [row["tradeId"] for row in reversed(fills)] == [row["tradeId"] for row in rows[1:-1]]
    assert sum(Decimal(row["fillSz"]) for row in fills) == Decimal(rows[-1]["accFillSz"])
    details = [push for push in pushes if push["arg"]["channel"] == "account"][-1]["data"][0]["details"]
    balances = {row["ccy"]: row for row in get(talk, "account/balance")["data"][0]["details"]}
    assert all(row["availBal"] == balances[row["ccy"]]["availBal"] for row in details)


def test_post_only_is_accepted_and_canceled(talk: Talk) -> None:
    """sCode 0, then one push: canceled, source 31."""
    session = private(talk, "orders")
    talk.hear(session)
    answer = post(talk, "order", ORDER | {"ordType": "post_only", "px": "70000"})
    assert answer["data"][0]["sCode"] == "0"
    (push,) = talk.hear(session)
    assert (push["data"][0]["state"], push["data"][0]["cancelSource"]) == ("canceled", "31")


def test_a_market_buy_is_in_quote(talk: Talk) -> None:
    """sz is quote by default, base when asked."""
    order = {name: value for name, value in ORDER.items() if name != "px"} | {"ordType": "market"}
    by_quote = post(talk, "order", order | {"sz": "1000"})["data"][0]["ordId"]
    by_base = post(talk, "order", order | {"sz": "0.02", "tgtCcy": "base_ccy"})["data"][0]["ordId"]
    rows = [get(talk, "trade/order", f"instId=BTC-USDT&ordId={number}")["data"][0] for number in (by_quote, by_base)]
    assert [row["state"] for row in rows] == ["filled", "filled"]
    assert 995 < Decimal(rows[0]["accFillSz"]) * Decimal(rows[0]["avgPx"]) <= 1000
    assert Decimal(rows[1]["accFillSz"]) == Decimal("0.02")


def test_orders_over_the_socket_name_instruments_by_code(talk: Talk) -> None:
    """instIdCode counts, instId is ignored; the ack comes behind the push."""
    session = private(talk, "orders")
    talk.hear(session)
    by_name = talk.say(session, {"id": "1", "op": "order", "args": [ORDER]})
    assert by_name[-1]["data"][0]["sCode"] == "51001"
    args = {name: value for name, value in ORDER.items() if name != "instId"} | {"instIdCode": CODE}
    frames = talk.say(session, {"id": "2", "op": "order", "args": [args]})
    assert frames[0]["data"][0]["state"] == "live"
    assert (frames[-1]["id"], frames[-1]["op"], frames[-1]["code"]) == ("2", "order", "0")
    order_id = frames[-1]["data"][0]["ordId"]
    cancel = {"instIdCode": CODE, "ordId": order_id}
    assert talk.say(session, {"id": "3", "op": "cancel-order", "args": [cancel]})[-1]["code"] == "0"
    again = talk.say(session, {"id": "4", "op": "cancel-order", "args": [cancel]})[-1]
    assert again["data"][0]["sCode"] == "51400"
    late = {"id": "5", "op": "order", "args": [args], "expTime": str(talk.now_ns // MS - 1)}
    assert talk.say(session, late)[-1]["data"][0]["sCode"] == "50036"
    public = talk.open("/ws/v5/public")
    assert talk.say(public, {"id": "6", "op": "order", "args": [args]})[-1]["code"] == "60011"
    talk.strike("maintenance")
    assert talk.say(session, {"id": "7", "op": "order", "args": [args]})[-1]["code"] == "50001"


def test_amendments(talk: Talk) -> None:
    """Price and size change under the same id; money follows."""
    session = private(talk, "orders")
    order_id = post(talk, "order", ORDER)["data"][0]["ordId"]
    talk.hear(session)
    change = {"instId": "BTC-USDT", "ordId": order_id}
    assert post(talk, "amend-order", change | {"newSz": "0.02", "newPx": "61000"})["code"] == "0"
    (push,) = talk.hear(session)
    row = push["data"][0]
    assert (row["sz"], row["px"], row["amendResult"], row["state"]) == ("0.02", "61000", "0", "live")
    assert get(talk, "account/balance", "ccy=USDT")["data"][0]["details"][0]["frozenBal"] == "1220"
    assert post(talk, "amend-order", change | {"newSz": "50"})["data"][0]["sCode"] == "51008"
    assert post(talk, "amend-order", change | {"newSz": "0.005"})["code"] == "0"
    assert get(talk, "account/balance", "ccy=USDT")["data"][0]["details"][0]["frozenBal"] == "305"


def test_the_dead_man_switch(talk: Talk) -> None:
    """All orders are canceled when it is not renewed, none when it is or when it is off."""
    post(talk, "order", ORDER)
    assert post(talk, "cancel-all-after", {"timeOut": "5"})["code"] == "51000"
    assert post(talk, "cancel-all-after", {"timeOut": 10})["code"] == "0"
    talk.pass_ms(8000)
    post(talk, "cancel-all-after", {"timeOut": "10"})
    talk.pass_ms(8000)
    assert len(get(talk, "trade/orders-pending", "instType=SPOT")["data"]) == 1
    talk.pass_ms(3000)
    assert get(talk, "trade/orders-pending", "instType=SPOT")["data"] == []
    (row,) = get(talk, "trade/orders-history", "instType=SPOT")["data"]
    assert (row["state"], row["cancelSource"]) == ("canceled", "20")
    post(talk, "order", ORDER)
    post(talk, "cancel-all-after", {"timeOut": "10"})
    post(talk, "cancel-all-after", {"timeOut": "0"})
    talk.pass_ms(12_000)
    assert len(get(talk, "trade/orders-pending", "instType=SPOT")["data"]) == 1


def test_budgets_are_per_instrument_and_kind(talk: Talk) -> None:
    """60 places in 2 s on one instrument; cancels and other instruments have their own."""
    codes = [post(talk, "cancel-order", {"instId": "BTC-USDT", "ordId": "1"})["data"][0]["sCode"] for _ in range(61)]
    assert codes == ["51400"] * 60 + ["50011"]
    assert post(talk, "cancel-order", {"instId": "ETH-USDT", "ordId": "1"})["data"][0]["sCode"] == "51400"
    assert post(talk, "order", ORDER)["code"] == "0"


def test_public_channels(talk: Talk) -> None:
    """An ack for each arg, the snapshot, a chain of ids; what does not exist is said so."""
    session = talk.open("/ws/v5/public")
    args = [{"channel": "books", "instId": "BTC-USDT"}, {"channel": "nope", "instId": "BTC-USDT"}]
    ack, snapshot, error = talk.say(session, {"id": "9", "op": "subscribe", "args": args})
    assert (ack["event"], ack["id"], ack["arg"]) == ("subscribe", "9", args[0])
    assert (snapshot["action"], snapshot["data"][0]["prevSeqId"]) == ("snapshot", -1)
    assert error["code"] == "60018"
    last = snapshot["data"][0]["seqId"]
    updates = [frame["data"][0] for frame in talk.wait(session, 3000)]
    assert len(updates) > 10
    for update in updates:
        assert (update["prevSeqId"], update["checksum"]) == (last, 0)
        last = update["seqId"]
    unsubscribe = {"op": "unsubscribe", "args": args[:1]}
    assert talk.say(session, unsubscribe)[-1]["event"] == "unsubscribe"
    assert talk.wait(session, 1000) == []


def test_an_idle_connection_is_closed(talk: Talk) -> None:
    """After 30 s without a push, unless it pings."""
    idle, pinging = talk.open("/ws/v5/public"), talk.open("/ws/v5/public")
    heard: dict[int, list[Any]] = {idle.number: [], pinging.number: []}
    for _ in range(4):
        talk.exchange.receive(pinging, "ping", talk.now_ns)
        talk.pass_ms(10_000)
        for session, sent in talk.exchange.drain():
            heard[session.number] += sent
    assert heard[idle.number] == [Close(4004, "No data received in 30s.")]
    assert heard[pinging.number] == ["pong"] * 4


def test_rest_books_have_one_level_unless_asked(talk: Talk) -> None:
    """sz defaults to 1; ids are those of the channel."""
    (one,) = talk.json("GET", "/api/v5/market/books", "instId=BTC-USDT")["data"]
    (many,) = talk.json("GET", "/api/v5/market/books", "instId=BTC-USDT&sz=400")["data"]
    assert (len(one["bids"]), len(many["bids"])) == (1, len(talk.exchange.books["BTC-USDT"].bids.keys))
    assert one["seqId"] == many["seqId"] == talk.exchange.books["BTC-USDT"].update_id
    assert talk.json("GET", "/api/v5/market/books", "instId=NO-NO")["code"] == "51001"
    assert talk.json("GET", "/api/v5/nothing")["code"] == "50404"
