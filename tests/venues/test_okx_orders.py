"""OKX's order language: exact requests, answers and pushes to reports, damage to nothing worse than doubt."""

import base64
import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambit.venues import VENUES
from gambit.venues.account import Account
from gambit.venues.accounts import order_language
from gambit.venues.okx_orders import OkxOrders
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
    Refused,
    Stamp,
    StreamFault,
    StreamLost,
    StreamReady,
    Traded,
    Unclear,
)
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

SECRET = "22582BD0CFF14C41EDBF1AB98506286D"
KEYS = Keys(key="985d5b66-57ce-40fb-b714-afc0b9787083", secret=SECRET, passphrase="123456")
MARKET = market("BTC-USDT", tick="0.1", lot="0.00000001")
LANGUAGE = OkxOrders(KEYS, {"BTC-USDT": 10459})
MS = NOW_NS // 1_000_000
PLACE = asked("place", spelling="BTC-USDT", client_id=ID)
CANCEL = asked("cancel", spelling="BTC-USDT", client_id=ID)
QUERY = asked("query", spelling="BTC-USDT", client_id=ID)
DAY_NS = 86_400_000_000_000

TAKEN = {
    "code": "0", "msg": "", "inTime": "1695190491421339", "outTime": "1695190491423240",
    "data": [{"clOrdId": ID, "ordId": "12345689", "tag": "", "ts": "1", "sCode": "0", "sMsg": "", "subCode": ""}],
}  # fmt: skip
ROW: dict[str, Any] = {
    "instType": "SPOT", "instId": "BTC-USDT", "ordId": "452197707845865472", "clOrdId": ID, "px": "64012.4",
    "sz": "0.01", "ordType": "ioc", "side": "buy", "tgtCcy": "", "state": "partially_filled", "accFillSz": "0.004",
    "avgPx": "64012.4", "fillPx": "64012.4", "fillSz": "0.004", "tradeId": "242589207", "fillTime": "1654084353263",
    "fillFee": "-0.000004", "fillFeeCcy": "BTC", "fee": "-0.000004", "feeCcy": "BTC", "execType": "T",
    "cancelSource": "", "code": "0", "msg": "",
}  # fmt: skip
NO_FILL = {"tradeId": "", "fillSz": "0", "fillPx": "", "fillFee": "0", "fillFeeCcy": "", "execType": ""}


def push(**changes: Any) -> str:
    """A push of the orders channel."""
    return json.dumps({"arg": {"channel": "orders", "instType": "SPOT", "uid": "6"}, "data": [ROW | changes]})


def refusal(code: str, text: str = "no", top: str = "1") -> str:
    """An order's answer with a code of its own."""
    row = {"clOrdId": ID, "ordId": "", "sCode": code, "sMsg": text}
    return json.dumps({"code": top, "msg": "All operations failed", "data": [row]})


def envelope(*rows: Any, code: str = "0", msg: str = "") -> str:
    """An answer."""
    return json.dumps({"code": code, "msg": msg, "data": list(rows)})


def test_place() -> None:
    """JSON, signed; a header bounds the time in which it may be carried out."""
    request = LANGUAGE.placing(MARKET, "buy", "ioc").rest(ID, D("0.01"), D("64012.4"), AT)
    assert (request.method, request.path, request.lane) == ("POST", "/api/v5/trade/order", Lane.CREATE)
    assert request.body.decode() == (
        '{"instId":"BTC-USDT","tdMode":"cash","side":"buy","ordType":"ioc","banAmend":true,"sz":"0.01000000",'
        f'"px":"64012.4","clOrdId":"{ID}"}}'
    )
    headers = dict(request.headers)
    signature = headers.pop("OK-ACCESS-SIGN")
    assert headers == {
        "OK-ACCESS-KEY": KEYS.key,
        "OK-ACCESS-PASSPHRASE": "123456",
        "OK-ACCESS-TIMESTAMP": "2023-11-14T22:13:20.123Z",
        "Content-Type": "application/json",
        "expTime": str(MS + 5000),
    }
    assert signature == naive.okx_rest(SECRET, json.loads(request.body), NOW_NS)[0]
    assert request.asked == PLACE


@given(
    qty=st.integers(1, 10**15),
    price=st.integers(1, 10**9),
    client_id=st.from_regex(r"[A-Za-z0-9]{1,18}", fullmatch=True),
    now_ns=st.integers(10**18, 2 * 10**18),
    side=st.sampled_from(["buy", "sell"]),
    terms=st.sampled_from([("ioc", "ioc"), ("fok", "fok"), ("gtc", "limit"), ("post_only", "post_only")]),
)
def test_templates_are_the_naive_bytes(
    qty: int, price: int, client_id: str, now_ns: int, side: Any, terms: Any
) -> None:
    """What is encoded once and what is encoded every time are the same bytes."""
    placing, at = LANGUAGE.placing(MARKET, side, terms[0]), Stamp(now_ns, now_ns // 1000)
    exact_qty, exact_price = Decimal(qty).scaleb(-8), Decimal(price).scaleb(-1)
    order = {"tdMode": "cash", "side": side, "ordType": terms[1], "banAmend": True, "sz": f"{exact_qty:f}"}
    order |= {"px": f"{exact_price:f}", "clOrdId": client_id}
    signature, body = naive.okx_rest(SECRET, {"instId": "BTC-USDT", **order}, now_ns)
    request = placing.rest(client_id, exact_qty, exact_price, at)
    assert (dict(request.headers)["OK-ACCESS-SIGN"], request.body) == (signature, body)
    until = str(now_ns // 1_000_000 + 5000)
    frame = {"id": str(at.nonce), "op": "order", "args": [{"instIdCode": 10459, **order}], "expTime": until}
    assert placing.frame(client_id, exact_qty, exact_price, at).data == naive.compact(frame)


def test_the_line_names_markets_by_code() -> None:
    """Without a code the line takes no orders; codes come later, and may change, with the instrument list."""
    language = OkxOrders(KEYS, {})
    placing = language.placing(MARKET, "buy", "ioc")
    for attempt in (lambda: placing.frame(ID, D(1), D(1), AT), lambda: language.cancel_frame(MARKET, REF, AT)):
        with pytest.raises(NoSuchWay, match="okx BTC-USDT: no instIdCode"):
            attempt()
    account = Account(language, [MARKET], prefix="gb")
    for code, told in ((None, 0), (7, 7), (None, 7), (8, 8)):
        account.learn([msgspec.structs.replace(MARKET, code=code)])
        if told:
            data = placing.frame(ID, D(1), D(1), AT).data
            assert json.loads(data)["args"][0]["instIdCode"] == told
    assert b'instId"' not in data
    assert json.loads(language.cancel_frame(MARKET, REF, AT).data) == {
        "id": str(AT.nonce), "op": "cancel-order", "args": [{"instIdCode": 8, "clOrdId": ID}]
    }  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "method", "path", "body", "lane"),
    [
        (
            LANGUAGE.cancel(MARKET, REF, AT),
            "POST",
            "trade/cancel-order",
            {"instId": "BTC-USDT", "clOrdId": ID},
            "cancel",
        ),
        (LANGUAGE.query(MARKET, REF, 0, AT), "GET", f"trade/order?instId=BTC-USDT&clOrdId={ID}", None, "read"),
        (LANGUAGE.open_orders(None, AT), "GET", "trade/orders-pending?instType=SPOT&limit=100", None, "read"),
        (
            LANGUAGE.open_orders(MARKET, AT, "9"),
            "GET",
            "trade/orders-pending?instType=SPOT&limit=100&instId=BTC-USDT&after=9",
            None,
            "read",
        ),
        (
            LANGUAGE.fills(MARKET, NOW_NS, AT),
            "GET",
            f"trade/fills?instType=SPOT&instId=BTC-USDT&begin={MS}&limit=100",
            None,
            "read",
        ),
        (
            LANGUAGE.fills(MARKET, NOW_NS - 3 * DAY_NS, AT, "77"),
            "GET",
            f"trade/fills-history?instType=SPOT&instId=BTC-USDT&begin={MS - 3 * 86_400_000}&limit=100&after=77",
            None,
            "read",
        ),
        (LANGUAGE.balances(AT), "GET", "account/balance", None, "read"),
        (LANGUAGE.fee_rates(MARKET, AT), "GET", "account/trade-fee?instType=SPOT&instId=BTC-USDT", None, "read"),
        (LANGUAGE.cancel_all_after(60, AT), "POST", "trade/cancel-all-after", {"timeOut": "60"}, "cancel"),
        (LANGUAGE.cancel_all_after(0, AT), "POST", "trade/cancel-all-after", {"timeOut": "0"}, "cancel"),
    ],
)
def test_requests(request_: Any, method: str, path: str, body: Any, lane: str) -> None:
    """Each is signed over its query or its very body."""
    assert (request_.method, request_.path, request_.lane) == (method, f"/api/v5/{path}", lane)
    assert request_.body == (naive.compact(body) if body else b"")
    message = f"2023-11-14T22:13:20.123Z{method}/api/v5/{path}".encode() + request_.body

    assert dict(request_.headers)["OK-ACCESS-SIGN"] == base64.b64encode(LANGUAGE.mac(message)).decode()


def test_the_dead_man_switch_has_bounds() -> None:
    """0, or 10 to 120 seconds; its answer is in seconds, or perhaps not."""
    for seconds in (-1, 9, 121):
        with pytest.raises(ValueError, match="10 to 120 seconds"):
            LANGUAGE.cancel_all_after(seconds, AT)
    about = asked("cancel_all_after")
    for told, ns in (("1587971460", 1_587_971_460 * 10**9), ("1587971460000", 1_587_971_460 * 10**9), ("0", 0)):
        assert read(LANGUAGE, about, envelope({"triggerTime": told, "tag": ""})).reports == (DeadManSet(ns),)


@pytest.mark.parametrize(("level", "mode"), [("1", "cash"), ("2", "cash"), ("3", "cross"), ("4", "cross")])
def test_the_accounts_mode_is_that_of_its_orders(level: str, mode: str) -> None:
    """As told with the rights, of orders whose template was made before too; what is not told or unknown changes it
    not, and an answer that cannot be read says so."""
    language = OkxOrders(KEYS, {"BTC-USDT": 10459})
    placing = language.placing(MARKET, "buy", "ioc")
    assert json.loads(placing.rest(ID, D(1), D(1), AT).body)["tdMode"] == "cash"
    row = {"perm": "read_only,trade", "ip": "10.0.0.1"}
    for told in (row | {"acctLv": level}, row, row | {"acctLv": "9"}):
        assert kinds(read(language, asked("rights"), envelope(told)).reports) == ["KeyRights"]
        assert json.loads(placing.rest(ID, D(1), D(1), AT).body)["tdMode"] == mode
        assert json.loads(placing.frame(ID, D(1), D(1), AT).data)["args"][0]["tdMode"] == mode
    assert read(language, asked("rights"), envelope(row | {"acctLv": [7]})).fault is not None


def test_demo_is_a_header() -> None:
    """x-simulated-trading."""
    request = OkxOrders(KEYS, {}, is_demo=True).balances(AT)
    assert dict(request.headers)["x-simulated-trading"] == "1"
    assert "x-simulated-trading" not in dict(LANGUAGE.balances(AT).headers)


def test_an_ack_is_the_gateways() -> None:
    """What becomes of an order, and of a cancel, comes on the line."""
    got = read(LANGUAGE, PLACE, json.dumps(TAKEN))
    assert got.reports == (Accepted(client_id=ID, venue_id="12345689", on_book=False),)
    assert read(LANGUAGE, CANCEL, json.dumps(TAKEN)).reports == (CancelTaken(client_id=ID, venue_id="12345689"),)
    spoken = heard(LANGUAGE.stream(), json.dumps({"id": str(AT.nonce), "op": "order", **TAKEN}), [PLACE])
    assert (spoken.reports, spoken.answered) == (got.reports, (AT.nonce,))
    other = json.dumps(TAKEN).replace(ID, "another")
    assert kinds(read(LANGUAGE, PLACE, other).reports) == ["Unclear"]


@pytest.mark.parametrize(
    ("code", "category", "means"),
    [
        ("50011", "rate_limit", "other"), ("50061", "rate_limit", "other"), ("50040", "rate_limit", "other"),
        ("60014", "rate_limit", "other"), ("60023", "rate_limit", "other"), ("50036", "permanent_4xx", "too_late"),
        ("50037", "permanent_4xx", "too_late"), ("50102", "auth", "clock"), ("50112", "auth", "clock"),
        ("60004", "auth", "clock"), ("60006", "auth", "clock"), ("60011", "auth", "session"),
        *((code, "auth", "other") for code in (
            "50101", "50103", "50104", "50105", "50106", "50107", "50110", "50111", "50113", "50114", "50119", "50120",
            "50121", "50035", "60005", "60007", "60009", "60024", "60032",
        )),
        *((code, "permanent_4xx", "other") for code in (
            "51000", "50002", "50014", "50015", "50016", "60012", "60013", "60033", "51001", "60018", "51006",
            "51137", "51138", "51025", "50051", "50052", "50059", "50060", "51024",
        )),
        *((code, "permanent_4xx", "filters") for code in ("51020", "51121", "50122", "51005")),
        ("51008", "permanent_4xx", "funds"), ("51021", "permanent_4xx", "market_state"),
        ("51022", "permanent_4xx", "market_state"),
    ],
)  # fmt: skip
def test_definite_refusals(code: str, category: str, means: str) -> None:
    """The row's code is looked at first; it never became an order."""
    for got in (read(LANGUAGE, PLACE, refusal(code)), read(LANGUAGE, PLACE, refusal(code, top="0"))):
        assert got.fault is not None
        assert (got.fault.code, got.fault.category, got.fault.means) == (code, category, means)
        assert got.reports == (Refused(client_id=ID, fault=got.fault),)
    whole = json.dumps({"id": str(AT.nonce), "op": "order", "data": [], "code": code, "msg": "no"})
    spoken = heard(LANGUAGE.stream(), whole, [PLACE])
    assert (spoken.reports, spoken.answered) == ((Refused(client_id=ID, fault=got.fault),), (AT.nonce,))


@pytest.mark.parametrize(
    ("status", "body", "is_unknown"),
    [
        (400, envelope(code="50004"), True),
        (500, envelope(code="50026"), True),
        (200, refusal("51054"), True),
        (200, refusal("51149"), True),
        (429, envelope(code="50013"), False),
        (503, envelope(code="50001"), True),
        (200, envelope(code="50046"), False),
        (200, refusal("51016"), False),
        (200, refusal("50071"), False),
        (200, refusal("59999"), False),
        (500, refusal("51008"), True),
        (200, envelope(), True),
        (200, "", True),
        (200, "[]", True),
        (502, "<html>", True),
        (404, "<html>", True),
        (500, json.dumps(TAKEN), True),
    ],
)
def test_doubt(status: int, body: str, is_unknown: bool) -> None:
    """Whatever is no positive refusal leaves the order unknown."""
    got = read(LANGUAGE, PLACE, body, status)
    assert got.fault is not None
    assert got.fault.execution_unknown == is_unknown
    assert got.reports == (Unclear(client_id=ID, during="create", fault=got.fault),)


@pytest.mark.parametrize(
    ("code", "kind"),
    [("51400", "CancelRefused"), ("51410", "CancelRefused"), ("51603", "CancelRefused"), ("51412", "Unclear")],
)
def test_cancels_that_came_too_late(code: str, kind: str) -> None:
    """The order is asked about in any case."""
    assert kinds(read(LANGUAGE, CANCEL, refusal(code)).reports) == [kind]


def test_answers_to_queries() -> None:
    """An order, no order, open orders with a page, balances, fees turned round."""
    (state,) = states(read(LANGUAGE, QUERY, envelope(ROW)).reports)
    assert (state.status, state.cum_qty, state.avg_price) == ("partial", D("0.004"), D("64012.4"))
    for body in (envelope(code="51603"), envelope(code="51503"), envelope()):
        assert read(LANGUAGE, QUERY, body).reports == (Absent(client_id=ID, searched_history=True),)
    assert read(LANGUAGE, QUERY, envelope(ROW | {"clOrdId": "other"})).reports == ()
    many = read(LANGUAGE, asked("open_orders"), envelope(*[ROW | {"ordId": str(at)} for at in range(100)]))
    assert (len(many.reports), many.page) == (100, "99")
    detail = {"ccy": "USDT", "cashBal": "4750.4", "availBal": "4591.8", "frozenBal": "158.6", "ordFrozen": "158.6"}
    held = BalanceSet(free={"USDT": D("4591.8")}, locked={"USDT": D("158.6")}, is_whole=True)
    assert read(LANGUAGE, asked("balances"), envelope({"details": [detail]})).reports == (held,)
    for more, locked in (({"frozenBal": "164", "ordFrozen": "158.6"}, "164"), ({"frozenBal": ""}, "158.6")):
        (told,) = read(LANGUAGE, asked("balances"), envelope({"details": [detail | more]})).reports
        assert isinstance(told, BalanceSet)
        assert told.locked == {"USDT": D(locked)}
    groups = [
        {"groupId": "1", "maker": "-0.0008", "taker": "-0.001"},
        {"groupId": "2", "maker": "0.0001", "taker": "-0.0015"},
    ]
    rates = FeeRates(spelling="BTC-USDT", maker=D("0.0008"), taker=D("0.0015"))
    about = asked("fees", spelling="BTC-USDT")
    assert read(LANGUAGE, about, envelope({"feeGroup": groups, "maker": "", "taker": ""})).reports == (rates,)
    top = {"maker": "-0.0008", "taker": "-0.0015", "feeGroup": []}
    assert read(LANGUAGE, about, envelope(top)).reports == (rates,)


def test_fills() -> None:
    """The sign of fees is turned round: a charge is positive, a rebate negative."""
    row = {
        "instId": "BTC-USDT", "ordId": "1", "clOrdId": ID, "tradeId": "5", "billId": "88", "side": "sell",
        "fillSz": "0.1", "fillPx": "2", "fee": "-0.0002", "feeCcy": "USDT", "execType": "M", "ts": "1654084353263",
    }  # fmt: skip
    got = read(LANGUAGE, asked("fills"), envelope(row, row | {"fee": "0.0001", "tradeId": "6"}))
    assert [(fill.fee, fill.fee_asset, fill.is_maker, fill.exec_id) for fill in traded(got.reports)] == [
        (D("0.0002"), "USDT", True, "5"),
        (D("-0.0001"), "USDT", True, "6"),
    ]
    assert traded(got.reports)[0].exec_ns == 1_654_084_353_263_000_000
    full = read(LANGUAGE, asked("fills"), envelope(*[row | {"billId": str(at)} for at in range(100)]))
    assert full.page == "99"


def test_logon_then_subscriptions() -> None:
    """The logon's time is in seconds; private channels are subscribed after it, each time."""
    line = OkxOrders(Keys(key="k", secret=SECRET, passphrase="p"), {}).stream()
    (opening,) = line.opening(Stamp(1_538_054_050_900_000_000, 1))
    assert json.loads(opening) == {
        "op": "login",
        "args": [{"apiKey": "k", "passphrase": "p", "timestamp": "1538054050",
                  "sign": "+LdIr8lkkvhr5hoA3g9TMC0+uQJ849ftAcocA/ouu4M="}],
    }  # fmt: skip
    got = heard(line, '{"event":"login","code":"0","msg":"","connId":"a4d3ae55"}')
    assert got.reports == (StreamReady(),)
    assert [json.loads(frame) for frame in got.send] == [
        {"op": "subscribe", "args": [{"channel": "orders", "instType": "SPOT"}, {"channel": "account"}]}
    ]
    ack = '{"event":"subscribe","arg":{"channel":"orders","instType":"SPOT"},"connId":"a"}'
    assert heard(line, ack).reports == (StreamReady("orders"),)
    (failed,) = heard(line, '{"event":"error","code":"60009","msg":"Login failed.","connId":"a"}').reports
    assert isinstance(failed, StreamFault)
    assert failed.fault.category == "auth"


def test_words_about_the_connection() -> None:
    """The text pong, notices, counts of connections."""
    line = LANGUAGE.stream()
    assert (line.ping(AT), heard(line, "pong").reports) == (b"ping", ())
    notice = '{"event":"notice","code":"64008","msg":"The connection will soon be closed"}'
    assert kinds(heard(line, notice).reports) == ["StreamLost"]
    assert heard(line, '{"event":"channel-conn-count","channel":"orders","connCount":"2"}').reports == ()
    assert kinds(heard(line, '{"event":"channel-conn-count-error","channel":"orders"}').reports) == ["StreamFault"]
    assert isinstance(heard(line, notice).reports[0], StreamLost)
    error = json.dumps({"id": str(AT.nonce), "event": "error", "code": "60012", "msg": "Invalid request"})
    assert kinds(heard(line, error, [PLACE]).reports) == ["Refused"]
    assert heard(line, json.dumps({"id": "5", "op": "order", **TAKEN})).reports == ()


def test_a_push_with_a_fill() -> None:
    """The fill of this push, its fee turned round, and the state."""
    ids = {"client_id": ID, "venue_id": "452197707845865472"}
    assert heard(LANGUAGE.stream(), push()).reports == (
        Traded(
            spelling="BTC-USDT", side="buy", exec_id="242589207", qty=D("0.004"), price=D("64012.4"),
            fee=D("0.000004"), fee_asset="BTC", exec_ns=1_654_084_353_263_000_000, is_maker=False, **ids,
        ),
        OrderState(
            status="partial", spelling="BTC-USDT", side="buy", qty=D("0.01"), price=D("64012.4"), cum_qty=D("0.004"),
            avg_price=D("64012.4"), **ids,
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "status", "cause"),
    [
        ({"state": "live", "accFillSz": "0", "avgPx": ""}, "open", ""),
        ({"state": "filled"}, "filled", ""),
        ({"state": "canceled", "cancelSource": "14"}, "expired", "ioc"),
        ({"state": "canceled", "cancelSource": "13", "accFillSz": "0", "avgPx": "0"}, "expired", "ioc"),
        ({"state": "canceled", "cancelSource": "1"}, "cancelled", "asked"),
        ({"state": "canceled", "cancelSource": "20"}, "cancelled", "asked"),
        ({"state": "canceled", "cancelSource": "32"}, "cancelled", "self_trade"),
        ({"state": "canceled", "cancelSource": "2"}, "cancelled", "venue"),
        ({"state": "mmp_canceled"}, "cancelled", "venue"),
        ({"state": "canceled", "cancelSource": "31", "accFillSz": "0"}, "refused", "post_only"),
        ({"state": "canceled", "cancelSource": "31"}, "cancelled", "post_only"),
    ],
)
def test_states(changes: dict[str, Any], status: str, cause: str) -> None:
    """A closing push has no fill of its own; what was filled is kept whatever the end."""
    got = heard(LANGUAGE.stream(), push(**NO_FILL, **changes)).reports
    assert kinds(got) == ["OrderState"]
    (state,) = states(got)
    assert (state.status, state.cause, state.cum_qty) == (status, cause, D(changes.get("accFillSz", "0.004")))


def test_a_fill_without_an_id_is_a_loss() -> None:
    """HTTP has the id; one made up would count twice."""
    assert kinds(heard(LANGUAGE.stream(), push(tradeId="")).reports) == ["StreamLost", "OrderState"]


def test_a_market_buy_is_sized_in_quote() -> None:
    """Such a size is no quantity of the base."""
    (state,) = states(heard(LANGUAGE.stream(), push(**NO_FILL, tgtCcy="quote_ccy", sz="640")).reports)
    assert state.qty is None


def test_balances_on_the_line() -> None:
    """Whole only where one page says so."""
    detail = {"ccy": "BTC", "availBal": "1", "frozenBal": "0.5", "ordFrozen": ""}
    for kind, last, is_whole in (("snapshot", True, True), ("snapshot", False, False), ("event_update", True, False)):
        frame = {"arg": {"channel": "account"}, "eventType": kind, "curPage": 1, "lastPage": last}
        got = heard(LANGUAGE.stream(), json.dumps(frame | {"data": [{"details": [detail]}]}))
        assert got.reports == (BalanceSet(free={"BTC": D(1)}, locked={"BTC": D("0.5")}, is_whole=is_whole),)


def test_client_ids_have_no_dashes() -> None:
    """OKX alone forbids them."""
    with pytest.raises(ValueError, match="okx: the client order id 'a-b' is not"):
        LANGUAGE.placing(MARKET, "buy", "ioc").rest("a-b", D(1), D(1), AT)


def test_everything_damaged() -> None:
    """Cut anywhere, or with any field missing or strange: doubt, never an exception, never another fact."""
    for about, body in ((PLACE, TAKEN), (CANCEL, TAKEN), (QUERY, {"code": "0", "msg": "", "data": [ROW]})):
        read_cut(LANGUAGE, about, json.dumps(body))
        assert read_spoiled(LANGUAGE, about, body) > 100
    read_cut(LANGUAGE, PLACE, refusal("51008"))
    reply = {"id": str(AT.nonce), "op": "order", **TAKEN}
    hear_cut(LANGUAGE.stream, json.dumps(reply), [PLACE])
    hear_cut(LANGUAGE.stream, push())
    assert hear_spoiled(LANGUAGE.stream, reply, [PLACE]) > 100
    assert hear_spoiled(LANGUAGE.stream, json.loads(push())) > 200
    assert kinds(heard(LANGUAGE.stream(), push(state="invented")).reports) == ["Traded", "Garbled"]


def test_codes_come_with_the_instruments() -> None:
    """So that a live account orders over the line; a market without one goes over HTTP."""
    row = {
        "instType": "SPOT",
        "baseCcy": "BTC",
        "quoteCcy": "USDT",
        "tickSz": "0.1",
        "lotSz": "0.001",
        "minSz": "0.001",
    }
    listed = [
        {**row, "instId": "BTC-USDT", "instIdCode": 10459}, {**row, "instId": "A-USDT", "instIdCode": "7"},
        {**row, "instId": "B-USDT", "instIdCode": ""}, {**row, "instId": "C-USDT"},
    ]  # fmt: skip
    found = VENUES["okx"].instruments("http://x/api/v5/public/instruments", msgspec.json.encode({"data": listed}))
    assert found is not None
    language = order_language("okx", Keys(key="k", secret="s", passphrase="p"), found)
    assert isinstance(language, OkxOrders)
    assert language.codes == {"BTC-USDT": 10459, "A-USDT": 7}
