"""Kraken's order language: exact requests, answers and sparse updates to reports, damage to mere doubt."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambit.venues.account import Account
from gambit.venues.kraken_line import KNOWN_MAX, KrakenLine
from gambit.venues.kraken_orders import KrakenOrders, asset
from gambit.venues.orders import (
    Absent,
    Accepted,
    BalanceSet,
    CancelTaken,
    DeadManSet,
    FeeRates,
    Keys,
    Lane,
    NoSuchWay,
    OrderState,
    Ref,
    Refused,
    SessionToken,
    Stamp,
    StreamFault,
    StreamLost,
    StreamReady,
    Traded,
    Unclear,
)
from gambit.venues.signing import kraken_signature
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

SECRET = "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg=="
TOKEN = '1Dwc4lzSwNWOAwkMdqhssNNFhs1ed606d1WcF3XfEMw"'  # with what JSON must escape
MARKET = market("BTC/USD", tick="0.1", lot="0.00000001")
LANGUAGE = KrakenOrders(Keys(key="key", secret=SECRET), ["BTC/USD", "SOL/USD"])
LANGUAGE.use_token(TOKEN)
DEADLINE = "2023-11-14T22:13:25.123Z"
PLACE = asked("place", spelling="BTC/USD", client_id=ID)
CANCEL = asked("cancel", spelling="BTC/USD", client_id=ID)
QUERY = asked("query", spelling="BTC/USD", client_id=ID)
CLOSED = asked("query", spelling="BTC/USD", client_id=ID, page="closed")
ORDER_ID = "OK4GJX-KSTLS-7DZZO5"

NEW = (
    '{"channel":"executions","type":"update","data":[{"timestamp":"2023-09-22T10:33:05.709950Z",'
    '"order_status":"pending_new","exec_type":"pending_new","order_id":"OK4GJX-KSTLS-7DZZO5","cl_ord_id":"%s",'
    '"symbol":"BTC/USD","side":"buy","order_type":"limit","order_qty":0.005,"limit_price":26599.9,'
    '"time_in_force":"%s","cum_qty":0.0,"cum_cost":0.0,"avg_price":0.0}],"sequence":%d}'
)
SPARSE = (
    '{"channel":"executions","type":"update","data":[{"timestamp":"2023-09-22T10:33:05.709982Z","order_status":"new",'
    '"exec_type":"new","order_id":"OK4GJX-KSTLS-7DZZO5","order_userref":0}],"sequence":%d}'
)
TRADE = (
    '{"channel":"executions","type":"update","data":[{"order_id":"OK4GJX-KSTLS-7DZZO5",'
    '"exec_id":"TFLXRN-5ZJSC-7QZIKF","exec_type":"trade","trade_id":365573,"symbol":"BTC/USD","side":"buy",'
    '"last_qty":0.00500000,"last_price":26599.9,"cost":132.9995,"liquidity_ind":"t",'
    '"order_status":"partially_filled","cum_qty":0.005,"cum_cost":132.9995,"avg_price":26599.9,'
    '"fees":[{"asset":"USD","qty":0.3458}],"timestamp":"2023-09-22T10:33:05.709993Z"}],"sequence":%d}'
)
REST_ORDER: dict[str, Any] = {
    "status": "canceled", "cl_ord_id": ID, "vol": "0.01000000", "vol_exec": "0.00400000", "cost": "256.0",
    "fee": "0.6", "price": "64012.4", "opentm": 1688666559.8974, "reason": "User requested",
    "descr": {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "64012.4"},
}  # fmt: skip
TRADE_ROW: dict[str, Any] = {
    "ordertxid": ORDER_ID, "pair": "XXBTZUSD", "time": 1688667796.8802, "type": "buy", "ordertype": "limit",
    "price": "30010.00000", "cost": "600.2", "fee": "0.00000", "vol": "0.02000000", "trade_id": 40274859,
    "maker": True,
}  # fmt: skip


def envelope(result: Any = None, *errors: str) -> str:
    """An answer."""
    return json.dumps({"error": list(errors)} | ({} if result is None else {"result": result}))


def reply(method: str = "add_order", **more: Any) -> dict[str, Any]:
    """An answer on the line."""
    return {"method": method, "req_id": AT.nonce, "success": True, "time_in": "x", "time_out": "y"} | more


def line() -> KrakenLine:
    """A new line."""
    return LANGUAGE.stream()


def told(*frames: str) -> KrakenLine:
    """A line that has heard some frames."""
    found = line()
    for frame in frames:
        heard(found, frame)
    return found


def test_place() -> None:
    """A form that starts with its nonce, a deadline at its end."""
    request = LANGUAGE.placing(MARKET, "buy", "ioc").rest(ID, D("0.01"), D("64012.4"), AT)
    assert (request.method, request.path, request.lane) == ("POST", "/0/private/AddOrder", Lane.CREATE)
    assert request.body.decode() == (
        f"nonce={AT.nonce}&ordertype=limit&type=buy&pair=XBTUSD&timeinforce=IOC&oflags=fciq&volume=0.01000000"
        f"&price=64012.4&cl_ord_id={ID}&deadline={DEADLINE.replace(':', '%3A')}"
    )
    headers = dict(request.headers)
    signature = kraken_signature(LANGUAGE.mac, b"/0/private/AddOrder", str(AT.nonce).encode(), request.body)
    assert (headers["API-Key"], headers["API-Sign"]) == ("key", signature)
    assert request.asked == PLACE
    post_only = LANGUAGE.placing(MARKET, "sell", "post_only").rest(ID, D(1), D(1), AT)
    assert b"&timeinforce=GTC&oflags=post%2Cfciq&" in post_only.body


def test_place_on_the_line() -> None:
    """Prices and quantities are JSON numbers with every digit, the token is in every request."""
    data = LANGUAGE.placing(MARKET, "buy", "ioc").frame(ID, D("0.01"), D("64012.4"), AT).data.decode()
    assert data == (
        '{"method":"add_order","params":{"order_type":"limit","side":"buy","symbol":"BTC/USD","time_in_force":"ioc",'
        f'"fee_preference":"quote","order_qty":0.01000000,"limit_price":64012.4,"cl_ord_id":"{ID}",'
        f'"deadline":"{DEADLINE}","token":{json.dumps(TOKEN)}}},"req_id":{AT.nonce}}}'
    )
    params = json.loads(LANGUAGE.placing(MARKET, "buy", "post_only").frame(ID, D(1), D(1), AT).data)["params"]
    assert (params["time_in_force"], params["post_only"]) == ("gtc", True)
    assert json.loads(LANGUAGE.cancel_frame(MARKET, REF, AT).data) == {
        "method": "cancel_order", "params": {"cl_ord_id": [ID], "token": TOKEN}, "req_id": AT.nonce
    }  # fmt: skip


@given(
    qty=st.integers(1, 10**15),
    price=st.integers(1, 10**9),
    client_id=st.from_regex(r"[A-Za-z0-9]{1,18}", fullmatch=True),
    now_ns=st.integers(10**18, 2 * 10**18),
    side=st.sampled_from(["buy", "sell"]),
    terms=st.sampled_from([("ioc", "IOC"), ("fok", "FOK"), ("gtc", "GTC")]),
)
def test_templates_are_the_naive_bytes(
    qty: int, price: int, client_id: str, now_ns: int, side: Any, terms: Any
) -> None:
    """What is encoded once and what is encoded every time are the same bytes."""
    placing, at = LANGUAGE.placing(MARKET, side, terms[0]), Stamp(now_ns, now_ns // 1000)
    exact_qty, exact_price = Decimal(qty).scaleb(-8), Decimal(price).scaleb(-1)
    form = {"nonce": str(at.nonce), "ordertype": "limit", "type": side, "pair": "XBTUSD", "timeinforce": terms[1]}
    form |= {"oflags": "fciq", "volume": f"{exact_qty:f}", "price": f"{exact_price:f}", "cl_ord_id": client_id}
    form["deadline"] = naive.iso_ms(now_ns + 5_000_000_000)
    signature, body = naive.kraken_rest(SECRET, form)
    request = placing.rest(client_id, exact_qty, exact_price, at)
    assert (dict(request.headers)["API-Sign"], request.body) == (signature, body)


def test_what_the_line_does_not_take() -> None:
    """Nothing without a token; fill-or-kill is certain over HTTP only."""
    fresh = KrakenOrders(Keys(key="key", secret=SECRET), [])
    attempts = [
        fresh.stream,
        lambda: fresh.placing(MARKET, "buy", "ioc").frame(ID, D(1), D(1), AT),
        lambda: fresh.cancel_frame(MARKET, REF, AT),
        lambda: LANGUAGE.placing(MARKET, "buy", "fok").frame(ID, D(1), D(1), AT),
    ]
    for attempt in attempts:
        with pytest.raises(NoSuchWay):
            attempt()
    with pytest.raises(ValueError, match="500 to 60000 ms"):
        KrakenOrders(Keys(key="key", secret=SECRET), [], window_ms=499)


@pytest.mark.parametrize("client_id", ["x" * 19, "a b", "", "A" * 32, "6d1b345e-2821-40e2-ad83-4ecb18a0687"])
def test_client_ids_that_are_not_taken(client_id: str) -> None:
    """Eighteen characters, 32 hex digits or a UUID."""
    with pytest.raises(ValueError, match="kraken: the client order id"):
        LANGUAGE.placing(MARKET, "buy", "ioc").rest(client_id, D(1), D(1), AT)
    LANGUAGE.placing(MARKET, "buy", "ioc").rest("6d1b345e-2821-40e2-ad83-4ecb18a06876", D(1), D(1), AT)


@pytest.mark.parametrize(
    ("request_", "name", "form", "weight", "lane"),
    [
        (LANGUAGE.cancel(MARKET, REF, AT), "CancelOrder", f"&cl_ord_id={ID}", 0, "cancel"),
        (LANGUAGE.query(MARKET, REF, 0, AT), "OpenOrders", f"&cl_ord_id={ID}", 1, "read"),
        (LANGUAGE.query(MARKET, REF, 0, AT, "closed"), "ClosedOrders", f"&cl_ord_id={ID}", 1, "read"),
        (LANGUAGE.query(MARKET, Ref(ID, ORDER_ID), 0, AT), "QueryOrders", f"&txid={ORDER_ID}", 1, "read"),
        (LANGUAGE.open_orders(None, AT), "OpenOrders", "", 1, "read"),
        (
            LANGUAGE.fills(MARKET, NOW_NS, AT, "50"),
            "TradesHistory",
            "&start=1700000000.123456789&consolidate_taker=false&ofs=50",
            2,
            "read",
        ),
        (LANGUAGE.balances(AT), "BalanceEx", "", 1, "read"),
        (LANGUAGE.fee_rates(MARKET, AT), "TradeVolume", "&pair=XBTUSD", 1, "read"),
        (LANGUAGE.cancel_all_after(60, AT), "CancelAllOrdersAfter", "&timeout=60", 0, "cancel"),
        (LANGUAGE.token(AT), "GetWebSocketsToken", "", 1, "read"),
    ],
)
def test_requests(request_: Any, name: str, form: str, weight: int, lane: str) -> None:
    """Each is a form with a nonce, signed over path and form."""
    path, body = f"/0/private/{name}", f"nonce={AT.nonce}{form}".encode()
    assert (request_.method, request_.path, request_.body) == ("POST", path, body)
    assert (request_.weight, request_.lane) == (weight, lane)
    signature = kraken_signature(LANGUAGE.mac, path.encode(), str(AT.nonce).encode(), body)
    assert dict(request_.headers)["API-Sign"] == signature


def test_an_ack_is_the_gateways() -> None:
    """The state follows on executions; a cancel has one answer per id."""
    got = read(LANGUAGE, PLACE, envelope({"descr": {"order": "buy"}, "txid": [ORDER_ID]}))
    took = (Accepted(client_id=ID, venue_id=ORDER_ID, on_book=False),)
    assert got.reports == took
    spoken = heard(line(), json.dumps(reply(result={"order_id": ORDER_ID, "cl_ord_id": ID})), [PLACE])
    assert (spoken.reports, spoken.answered) == (took, (AT.nonce,))
    assert read(LANGUAGE, CANCEL, envelope({"count": 1})).reports == (CancelTaken(client_id=ID),)
    assert kinds(read(LANGUAGE, CANCEL, envelope({"count": 0})).reports) == ["Unclear"]
    spoken = heard(line(), json.dumps(reply("cancel_order", result={"cl_ord_id": ID})), [CANCEL])
    assert spoken.reports == (CancelTaken(client_id=ID),)
    other = json.dumps(reply(result={"order_id": ORDER_ID, "cl_ord_id": "other"}))
    assert kinds(heard(line(), other, [PLACE]).reports) == ["Unclear"]
    warned = read(LANGUAGE, PLACE, envelope({"txid": [ORDER_ID]}, "WGeneral:Something"))
    assert warned.reports == took


@pytest.mark.parametrize(
    ("text", "category", "means"),
    [
        ("EAPI:Rate limit exceeded", "rate_limit", "other"),
        ("EService:Throttled: 1700000100", "rate_limit", "other"),
        ("EOrder:Rate limit exceeded", "rate_limit", "other"),
        ("EOrder:Domain rate limit exceeded", "rate_limit", "other"),
        ("Exceeded msg rate", "rate_limit", "other"),
        ("EAuth:Rate limit exceeded", "rate_limit", "other"),
        ("EAuth:Too many requests", "rate_limit", "other"),
        ("EGeneral:Temporary lockout", "auth", "other"),
        ("EAPI:Invalid key", "auth", "other"),
        ("EAPI:Invalid signature", "auth", "other"),
        ("EGeneral:Permission denied", "auth", "other"),
        ("EAuth:Account unconfirmed", "auth", "other"),
        ("ESession:Invalid session", "auth", "session"),
        ("EAPI:Invalid nonce", "auth", "nonce"),
        ("EGeneral:Invalid arguments", "permanent_4xx", "other"),
        ("EQuery:Unknown asset pair", "permanent_4xx", "other"),
        ("EGeneral:Invalid arguments:volume", "permanent_4xx", "filters"),
        ("EOrder:Invalid price", "permanent_4xx", "filters"),
        ("EOrder:Tick size check failed", "permanent_4xx", "filters"),
        ("EOrder:Limit price too far", "permanent_4xx", "other"),
        ("EOrder:Insufficient funds", "permanent_4xx", "funds"),
        ("EOrder:Insufficient margin", "permanent_4xx", "funds"),
        ("EOrder:Order minimum not met", "permanent_4xx", "filters"),
        ("EOrder:Cost minimum not met", "permanent_4xx", "filters"),
        ("EOrder:Post only order", "permanent_4xx", "post_only"),
        ("EOrder:Orders limit exceeded", "permanent_4xx", "other"),
        ("EOrder:Positions limit exceeded", "permanent_4xx", "other"),
        ("EService:Deadline elapsed", "permanent_4xx", "too_late"),
        ("EService:Market in cancel_only mode", "vendor_5xx", "market_state"),
    ],
)
def test_definite_refusals(text: str, category: str, means: str) -> None:
    """With HTTP 200 and on the line; it never became an order."""
    got = read(LANGUAGE, PLACE, envelope(None, text))
    assert got.fault is not None
    assert (got.fault.code, got.fault.category, got.fault.means) == (text, category, means)
    assert got.reports == (Refused(client_id=ID, fault=got.fault),)
    spoken = heard(line(), json.dumps(reply(success=False, error=text)), [PLACE])
    assert (spoken.reports, spoken.answered) == (got.reports, (AT.nonce,))


@pytest.mark.parametrize(
    ("status", "body", "is_unknown"),
    [
        (200, envelope(None, "EService:Unavailable"), True),
        (200, envelope(None, "EService:Busy"), True),
        (200, envelope(None, "EGeneral:Internal error"), True),
        (200, envelope(None, "EOrder:Invalid cl_ord_id"), False),
        (200, envelope(None, "EGeneral:Invalid arguments:cl_ord_id"), False),
        (200, envelope(None, "ESomething:New"), False),
        (500, envelope(None, "EOrder:Insufficient funds"), True),
        (520, "error code: 520", True),
        (502, "<html>", True),
        (200, "", True),
        (200, envelope(), True),
        (200, envelope({"txid": []}), True),
        (200, envelope({"txid": ["A", "B"]}), True),
        (200, json.dumps({"error": "text"}), True),
        (404, "<html>", True),
    ],
)
def test_doubt(status: int, body: str, is_unknown: bool) -> None:
    """Whatever is no positive refusal leaves the order unknown; a word about the client id may mean a duplicate."""
    got = read(LANGUAGE, PLACE, body, status)
    assert got.fault is not None
    assert (got.fault.execution_unknown, got.fault.is_definite) == (is_unknown, False)
    assert got.reports == (Unclear(client_id=ID, during="create", fault=got.fault),)


def test_until_when_it_throttles() -> None:
    """The text says it, in seconds since the epoch."""
    fault = read(LANGUAGE, asked("balances"), envelope(None, "EService:Throttled: 1700000100")).fault
    assert fault is not None
    assert fault.until_ns == 1_700_000_100_000_000_000


def test_cancels_that_came_too_late() -> None:
    """The order is asked about."""
    assert kinds(read(LANGUAGE, CANCEL, envelope(None, "EOrder:Unknown order")).reports) == ["CancelRefused"]
    assert kinds(read(LANGUAGE, CANCEL, envelope(None, "EService:Busy")).reports) == ["Unclear"]


def test_queries_look_twice() -> None:
    """Not among the open: the closed; nowhere: absent. By the venue's id at once."""
    for body in (envelope({"open": {}}), envelope(None, "EOrder:Unknown order")):
        got = read(LANGUAGE, QUERY, body)
        assert (got.reports, got.page) == ((), "closed")
    assert read(LANGUAGE, CLOSED, envelope({"closed": {}, "count": 0})).reports == (
        Absent(client_id=ID, searched_history=True),
    )
    (state,) = states(read(LANGUAGE, CLOSED, envelope({"closed": {ORDER_ID: REST_ORDER}, "count": 1})).reports)
    assert state == OrderState(
        client_id=ID, venue_id=ORDER_ID, status="cancelled", spelling="BTC/USD", side="buy", qty=D("0.01"),
        price=D("64012.4"), cum_qty=D("0.004"), avg_price=D("64012.4"), cum_fee=D("0.6"), cause="asked",
        text="User requested",
    )  # fmt: skip
    by_id = asked("query", spelling="BTC/USD", client_id=ID, venue_id=ORDER_ID)
    (state,) = states(read(LANGUAGE, by_id, envelope({ORDER_ID: REST_ORDER | {"status": "closed"}})).reports)
    assert (state.status, state.cum_qty) == ("filled", D("0.004"))
    other = read(LANGUAGE, QUERY, envelope({"open": {ORDER_ID: REST_ORDER | {"cl_ord_id": "other"}}}))
    assert other.reports == ()
    assert other.fault is not None


def test_orders_asked_about_together_that_are_nowhere() -> None:
    """Each of them is absent."""
    refs = [Ref("gb1", "O1"), Ref("gb2", "O2")]
    got = read(LANGUAGE, LANGUAGE.query_together(refs, AT).asked, envelope({}))
    assert got.reports == tuple(
        Absent(client_id=ref.client_id, venue_id=ref.venue_id, searched_history=True) for ref in refs
    )


@pytest.mark.parametrize("price", ["+5.0000%", "-5.0000%", "+100.5", "#3", "2%"])
def test_a_price_that_is_an_offset_is_none(price: str) -> None:
    """A trailing stop, of somebody else's say: it keeps nobody from reading the other orders."""
    stop = REST_ORDER | {"status": "open", "descr": REST_ORDER["descr"] | {"price": price}}
    first, other = states(
        read(LANGUAGE, asked("open_orders"), envelope({"open": {"OTS": stop, ORDER_ID: REST_ORDER}})).reports
    )
    assert (first.venue_id, first.price, first.qty) == ("OTS", None, D("0.01"))
    assert other.price == D("64012.4")
    broken = stop | {"descr": stop["descr"] | {"price": "5,0"}}
    assert read(LANGUAGE, asked("open_orders"), envelope({"open": {"OTS": broken}})).fault is not None


def test_a_fee_may_be_a_rebate() -> None:
    """Of an order that made the market."""
    order = REST_ORDER | {"status": "open", "fee": "-0.0256"}
    (state,) = states(read(LANGUAGE, asked("open_orders"), envelope({"open": {ORDER_ID: order}})).reports)
    assert state.cum_fee == D("-0.0256")


def test_markets_of_a_later_list_are_known() -> None:
    """HTTP's names of them too: their executions are told, and those of former ones still are."""
    language = KrakenOrders(Keys(key="key", secret=SECRET), [])
    found = Account(language, [], prefix="gb")
    about, body = asked("fills", spelling="BTC/USD"), envelope({"trades": {"T1": TRADE_ROW}, "count": 1})
    assert read(language, about, body).reports == ()
    found.learn([MARKET])
    (fill,) = traded(read(language, about, body).reports)
    assert fill.spelling == "BTC/USD"
    found.learn([])
    assert len(read(language, about, body).reports) == 1


def test_answers() -> None:
    """Open orders, fills of one market by offset, balances, fees in percent, the switch, the token."""
    body = envelope({"open": {ORDER_ID: REST_ORDER | {"status": "open"}, "O2": REST_ORDER | {"status": "pending"}}})
    assert [state.status for state in states(read(LANGUAGE, asked("open_orders"), body).reports)] == [
        "partial",
        "accepted",
    ]
    about = asked("fills", spelling="BTC/USD")
    trades = {"TFLXRN-5ZJSC-7QZIKF": TRADE_ROW, "T2": TRADE_ROW | {"pair": "SOLUSD"}, "T3": TRADE_ROW | {"pair": "?"}}
    got = read(LANGUAGE, about, envelope({"trades": trades, "count": 4}))
    (fill,) = traded(got.reports)
    assert (fill.exec_id, fill.venue_id, fill.fee_asset, fill.is_maker) == (
        "TFLXRN-5ZJSC-7QZIKF",
        ORDER_ID,
        "USD",
        True,
    )
    assert (fill.exec_ns, got.page) == (1_688_667_796_880_200_000, "3")
    last = asked("fills", spelling="SOL/USD", page="3")
    assert read(LANGUAGE, last, envelope({"trades": {"T2": TRADE_ROW | {"pair": "SOLUSD"}}, "count": 4})).page == ""
    held = {
        "ZUSD": {"balance": "25435.21", "hold_trade": "8249.76"},
        "XXBT": {"balance": "1.2"},
        "ZETA": {"balance": "5"},
    }
    assert read(LANGUAGE, asked("balances"), envelope(held)).reports == (
        BalanceSet(
            free={"USD": D("17185.45"), "BTC": D("1.2"), "ZETA": D(5)},
            locked={"USD": D("8249.76"), "BTC": D(0), "ZETA": D(0)},
            is_whole=True,
        ),
    )
    fees = {"fees": {"XXBTZUSD": {"fee": "0.4000"}}, "fees_maker": {"XXBTZUSD": {"fee": "0.2500"}}}
    assert read(LANGUAGE, asked("fees", spelling="BTC/USD"), envelope(fees)).reports == (
        FeeRates(spelling="BTC/USD", maker=D("0.0025"), taker=D("0.004")),
    )
    switch = {"currentTime": "2023-03-24T17:41:56Z", "triggerTime": "2023-03-24T17:42:56Z"}
    about = asked("cancel_all_after")
    assert read(LANGUAGE, about, envelope(switch)).reports == (DeadManSet(1_679_679_776_000_000_000),)
    assert read(LANGUAGE, about, envelope(switch | {"triggerTime": "0"})).reports == (DeadManSet(0),)
    answer = read(LANGUAGE, asked("token"), envelope({"token": "abc", "expires": 900}))
    assert answer.reports == (SessionToken("abc", 900),)


def test_names() -> None:
    """HTTP's old assets have a letter in front; newer ones that begin so have not."""
    assert [asset(name) for name in ("XXBT", "XBT", "XXDG", "XDG", "ZUSD", "ZETA", "XTZ")] == [
        "BTC", "BTC", "DOGE", "DOGE", "USD", "ZETA", "XTZ"
    ]  # fmt: skip
    assert [LANGUAGE.spelling(name) for name in ("XBTUSD", "XXBTZUSD", "SOLUSD", "EURUSD")] == [
        "BTC/USD", "BTC/USD", "SOL/USD", "EURUSD"
    ]  # fmt: skip


def test_opening() -> None:
    """Executions with the open orders, and balances; both acked by channel."""
    executions, balances = (json.loads(frame) for frame in line().opening(AT))
    assert executions["params"] == {
        "channel": "executions", "snap_orders": True, "snap_trades": False, "order_status": True, "token": TOKEN
    }  # fmt: skip
    assert balances["params"] == {"channel": "balances", "snapshot": True, "token": TOKEN}
    ack = json.dumps(reply("subscribe", result={"channel": "executions"}))
    assert heard(line(), ack).reports == (StreamReady("executions"),)
    (failed,) = heard(line(), json.dumps(reply("subscribe", success=False, error="ESession:Invalid session"))).reports
    assert isinstance(failed, StreamFault)
    assert failed.fault.means == "session"
    assert json.loads(line().ping(AT)) == {"method": "ping", "req_id": AT.nonce}


def test_words_about_the_connection() -> None:
    """Status on connecting, heartbeats, pongs; modes that stop trading are told."""
    online = '{"channel":"status","type":"update","data":[{"system":"online","connection_id":12393906104898154338}]}'
    for quiet in (online, '{"channel":"heartbeat"}', '{"method":"pong","req_id":101}'):
        assert heard(line(), quiet).reports == ()
    assert kinds(heard(line(), online.replace("online", "cancel_only")).reports) == ["StreamFault"]
    assert kinds(heard(line(), '{"error":"Exceeded msg rate"}').reports) == ["StreamFault"]


def test_sparse_updates_are_of_a_known_order() -> None:
    """What is told once holds: client id, market, side; and the digits are the wire's."""
    found = line()
    (first,) = states(heard(found, NEW % (ID, "IOC", 1)).reports)
    assert (first.status, first.client_id, first.qty, first.price) == ("accepted", ID, D("0.005"), D("26599.9"))
    (second,) = states(heard(found, SPARSE % 2).reports)
    assert (second.status, second.client_id, second.spelling, second.side) == ("open", ID, "BTC/USD", "buy")
    assert second.cum_qty is None
    assert heard(found, TRADE % 3).reports == (
        Traded(
            client_id=ID, venue_id=ORDER_ID, spelling="BTC/USD", side="buy", exec_id="TFLXRN-5ZJSC-7QZIKF",
            qty=D("0.005"), price=D("26599.9"), fee=D("0.3458"), fee_asset="USD",
            exec_ns=1_695_378_785_709_993_000, is_maker=False,
        ),
        OrderState(
            client_id=ID, venue_id=ORDER_ID, status="partial", spelling="BTC/USD", side="buy", qty=D("0.005"),
            cum_qty=D("0.005"), avg_price=D("26599.9"),
        ),
    )  # fmt: skip
    lone = (SPARSE % 4).replace('"new"', '"filled"')
    (last,) = states(heard(found, lone).reports)
    assert (last.status, last.cum_qty) == ("filled", None)


@pytest.mark.parametrize(
    ("tif", "more", "status", "cause"),
    [
        ("IOC", '"reason":"","cum_qty":0.004', "expired", "ioc"),
        ("FOK", '"cum_qty":0', "expired", "ioc"),
        ("IOC", '"reason":"User requested","cum_qty":0.004', "cancelled", "asked"),
        ("GTC", '"reason":"User requested"', "cancelled", "asked"),
        ("GTC", '"reason":"Post only order","cum_qty":0', "refused", "post_only"),
        ("GTC", '"reason":"Market closed"', "cancelled", "venue"),
    ],
)
def test_ends(tif: str, more: str, status: str, cause: str) -> None:
    """What an IOC leaves is cancelled in Kraken's words; the time in force was told before."""
    end = (SPARSE % 2).replace('"new"', '"canceled"').replace('"order_userref":0', more)
    (state,) = states(heard(told(NEW % (ID, tif, 1)), end).reports)
    assert (state.status, state.cause, state.client_id) == (status, cause, ID)


def test_a_jump_is_a_loss() -> None:
    """Each channel counts for itself; a repetition loses nothing."""
    found = told(NEW % (ID, "GTC", 1))
    assert kinds(heard(found, SPARSE % 1).reports) == ["OrderState"]
    (lost, _) = heard(found, SPARSE % 3).reports
    assert lost == StreamLost("executions: 3 came after 1")
    balances = '{"channel":"balances","type":"update","data":[{"asset":"BTC","balance":1.5}],"sequence":1}'
    assert kinds(heard(found, balances).reports) == ["BalanceSet"]
    assert kinds(heard(found, SPARSE % 4).reports) == ["OrderState"]
    assert kinds(heard(line(), SPARSE % 2).reports) == ["StreamLost", "OrderState"]


def test_a_trade_of_an_order_nobody_told() -> None:
    """Without market and side it is nothing that can be booked."""
    frame = (TRADE % 1).replace('"symbol":"BTC/USD","side":"buy",', "")
    assert kinds(heard(line(), frame).reports) == ["Garbled"]
    two = (TRADE % 1).replace('[{"asset":"USD","qty":0.3458}]', '[{"asset":"USD","qty":1},{"asset":"BTC","qty":1}]')
    assert kinds(heard(line(), two).reports) == ["Garbled"]
    free = (TRADE % 1).replace('[{"asset":"USD","qty":0.3458}]', "[]")
    assert traded(heard(line(), free).reports)[0].fee == 0


def test_a_fill_without_an_id_is_a_loss() -> None:
    """HTTP has the id; one made up would count twice."""
    bare = (TRADE % 1).replace('"exec_id":"TFLXRN-5ZJSC-7QZIKF",', "")
    assert kinds(heard(line(), bare).reports) == ["StreamLost", "OrderState"]


def test_memory_is_bounded() -> None:
    """The oldest order is forgotten."""
    found = line()
    for number in range(KNOWN_MAX + 5):
        heard(found, (NEW % (ID, "GTC", number + 1)).replace(ORDER_ID, f"O{number}"))
    (old,) = states(heard(found, (SPARSE % (KNOWN_MAX + 6)).replace(ORDER_ID, "O0")).reports)
    (new,) = states(heard(found, (SPARSE % (KNOWN_MAX + 7)).replace(ORDER_ID, f"O{KNOWN_MAX}")).reports)
    assert (old.client_id, new.client_id) == ("", ID)


def test_balances_on_the_line() -> None:
    """The main spot wallet; what orders hold is not told."""
    wallets = [{"type": "spot", "id": "main", "balance": 1.25}, {"type": "earn", "id": "flex", "balance": 9}]
    rows = [{"asset": "BTC", "asset_class": "currency", "balance": 10.25, "wallets": wallets}]
    frame = {"channel": "balances", "type": "snapshot", "data": rows, "sequence": 1}
    assert heard(line(), json.dumps(frame)).reports == (
        BalanceSet(free={"BTC": D("1.25")}, locked=None, is_whole=True),
    )
    update = {"asset": "USD", "balance": 5, "wallet_type": "spot", "wallet_id": "main", "amount": -1, "type": "trade"}
    earn = update | {"wallet_type": "earn", "asset": "ETH"}
    frame = {"channel": "balances", "type": "update", "data": [update, earn], "sequence": 1}
    assert heard(line(), json.dumps(frame)).reports == (BalanceSet(free={"USD": D(5)}, locked=None, is_whole=False),)


def test_numbers_never_pass_a_float() -> None:
    """More digits than a float holds arrive whole."""
    frame = (TRADE % 1).replace("0.00500000,", "0.12345678901234567891,").replace("26599.9,", "12345678901.123456789,")
    fill = traded(heard(line(), frame).reports)[0]
    assert (str(fill.qty), str(fill.price)) == ("0.12345678901234567891", "12345678901.123456789")


def test_everything_damaged() -> None:
    """Cut anywhere, or with any field missing or strange: doubt, never an exception, never another fact."""
    bodies = (
        (PLACE, envelope({"descr": {"order": "buy"}, "txid": [ORDER_ID]})),
        (CANCEL, envelope({"count": 1})),
        (CLOSED, envelope({"closed": {ORDER_ID: REST_ORDER}, "count": 1})),
        (asked("fills", spelling="BTC/USD"), envelope({"trades": {"T": TRADE_ROW}, "count": 1})),
    )
    for about, body in bodies:
        read_cut(LANGUAGE, about, body)
        assert read_spoiled(LANGUAGE, about, json.loads(body)) > 40
    read_cut(LANGUAGE, PLACE, envelope(None, "EOrder:Insufficient funds"))
    answer = reply(result={"order_id": ORDER_ID, "cl_ord_id": ID})
    hear_cut(line, json.dumps(answer), [PLACE])
    assert hear_spoiled(line, answer, [PLACE]) > 50
    for frame in (NEW % (ID, "IOC", 1), TRADE % 1):
        hear_cut(line, frame)
        assert hear_spoiled(line, json.loads(frame)) > 150
