"""Coinbase's order language: exact requests, answers and cumulative states to reports, damage to mere doubt."""

import base64
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambit.venues.coinbase_orders import CoinbaseOrders
from gambit.venues.orders import (
    Absent,
    Accepted,
    BalanceSet,
    CancelRefused,
    CancelTaken,
    FeeRates,
    Keys,
    Lane,
    NoSuchWay,
    OrderState,
    Ref,
    Refused,
    Stamp,
    StreamFault,
    StreamLost,
    StreamReady,
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
from tests.venues.test_signing import unpadded

NAME = "organizations/org-1/apiKeys/key-1"
SECRET = base64.b64encode(bytes(range(32))).decode()
MARKET = market("BTC-USD", lot="0.00000001")
LANGUAGE = CoinbaseOrders(Keys(key=NAME, secret=SECRET))
VENUE_ID = "62475e97-7485-45eb-a5ac-594805fa2748"
KNOWN = Ref(ID, VENUE_ID)
PLACE = asked("place", spelling="BTC-USD", client_id=ID)
CANCEL = asked("cancel", spelling="BTC-USD", client_id=ID, venue_id=VENUE_ID)
QUERY = asked("query", spelling="BTC-USD", client_id=ID, venue_id=VENUE_ID)
SEARCH = asked("query", spelling="BTC-USD", client_id=ID)

TAKEN: dict[str, Any] = {
    "success": True, "failure_reason": "UNKNOWN_FAILURE_REASON", "order_id": VENUE_ID,
    "success_response": {"order_id": VENUE_ID, "product_id": "BTC-USD", "side": "BUY", "client_order_id": ID},
    "order_configuration": {"sor_limit_ioc": {"base_size": "0.01", "limit_price": "68900.00"}},
}  # fmt: skip
ORDER: dict[str, Any] = {
    "order_id": VENUE_ID, "client_order_id": ID, "product_id": "BTC-USD", "side": "BUY", "status": "CANCELLED",
    "time_in_force": "IMMEDIATE_OR_CANCEL", "filled_size": "0.004", "average_filled_price": "68900",
    "total_fees": "1.65", "cancel_message": "", "reject_message": "",
    "order_configuration": {"sor_limit_ioc": {"base_size": "0.01", "limit_price": "68900.00"}},
}  # fmt: skip
PUSHED: dict[str, Any] = {
    "order_id": VENUE_ID, "client_order_id": ID, "product_id": "BTC-USD", "order_side": "BUY", "order_type": "Limit",
    "status": "OPEN", "time_in_force": "GOOD_UNTIL_CANCELLED", "cumulative_quantity": "0.004",
    "leaves_quantity": "0.006", "avg_price": "68900", "total_fees": "1.65", "limit_price": "68900.00",
    "cancel_reason": "", "reject_reason": "",
}  # fmt: skip
FILL: dict[str, Any] = {
    "entry_id": "e-1", "trade_id": "t-1", "order_id": VENUE_ID, "trade_time": "2026-04-07T14:30:06.123456789Z",
    "trade_type": "FILL", "price": "68900", "size": "0.004", "commission": "1.65", "product_id": "BTC-USD",
    "liquidity_indicator": "TAKER", "size_in_quote": False, "side": "BUY",
}  # fmt: skip


def refusal(error: str, preview: str = "", new: str = "UNKNOWN_FAILURE_REASON") -> str:
    """A failure that comes with HTTP 200."""
    told = {"error": error, "message": "no", "error_details": "", "preview_failure_reason": preview}
    return json.dumps({"success": False, "error_response": told | {"new_order_failure_reason": new}})


def push(number: int = 1, **changes: Any) -> str:
    """A message of the user channel."""
    events = [{"type": "update", "orders": [PUSHED | changes]}]
    return json.dumps({"channel": "user", "timestamp": "x", "sequence_num": number, "events": events})


def claims(request: Any) -> dict[str, Any]:
    """What a request's token says."""
    scheme, _, token = dict(request.headers)["Authorization"].partition(" ")
    assert scheme == "Bearer"
    found: dict[str, Any] = json.loads(unpadded(token.split(".")[1]))
    return found


def test_place() -> None:
    """The type is a key; the token names method and path."""
    request = LANGUAGE.placing(MARKET, "buy", "ioc").rest(ID, D("0.01"), D("68900"), AT)
    assert (request.method, request.path, request.lane) == ("POST", "/api/v3/brokerage/orders", Lane.CREATE)
    assert request.body.decode() == (
        '{"product_id":"BTC-USD","side":"BUY","order_configuration":{"sor_limit_ioc":{"base_size":"0.01000000",'
        f'"limit_price":"68900.00"}}}},"client_order_id":"{ID}"}}'
    )
    assert claims(request) == {
        "sub": NAME, "iss": "cdp", "nbf": 1_700_000_000, "exp": 1_700_000_120,
        "uri": "POST api.coinbase.com/api/v3/brokerage/orders",
    }  # fmt: skip
    assert request.asked == PLACE
    assert LANGUAGE.window_ns is None


@given(
    qty=st.integers(1, 10**15),
    price=st.integers(1, 10**9),
    client_id=st.from_regex(r"[A-Za-z0-9]{1,18}", fullmatch=True),
    side=st.sampled_from(["buy", "sell"]),
    terms=st.sampled_from(
        [
            ("ioc", "sor_limit_ioc", {}),
            ("fok", "limit_limit_fok", {}),
            ("gtc", "limit_limit_gtc", {"post_only": False}),
            ("post_only", "limit_limit_gtc", {"post_only": True}),
        ]
    ),
)
def test_templates_are_the_naive_bytes(qty: int, price: int, client_id: str, side: Any, terms: Any) -> None:
    """What is encoded once and what is encoded every time are the same bytes."""
    exact_qty, exact_price = Decimal(qty).scaleb(-8), Decimal(price).scaleb(-2)
    configuration = {terms[1]: {"base_size": f"{exact_qty:f}", "limit_price": f"{exact_price:f}", **terms[2]}}
    order = {"product_id": "BTC-USD", "side": side.upper(), "order_configuration": configuration}
    request = LANGUAGE.placing(MARKET, side, terms[0]).rest(client_id, exact_qty, exact_price, AT)
    assert request.body == naive.compact(order | {"client_order_id": client_id})


def test_a_token_signed_beforehand_is_used_once_while_young() -> None:
    """It names no order, so it can wait for one; two requests never share it."""
    language = CoinbaseOrders(Keys(key=NAME, secret=SECRET))
    placing = language.placing(MARKET, "buy", "ioc")

    def token(later_sec: int, nonce: int) -> str:
        request = placing.rest(ID, D(1), D(1), Stamp(NOW_NS + later_sec * 10**9, nonce))
        return dict(request.headers)["Authorization"]

    language.prepare(Stamp(NOW_NS, 1))
    prepared = "Bearer " + language.token_of("POST", "/api/v3/brokerage/orders", Stamp(NOW_NS, 1))
    assert token(100, 2) == prepared
    assert token(100, 2) != prepared
    language.prepare(Stamp(NOW_NS, 1))
    assert token(101, 2) != prepared
    language.prepare(Stamp(NOW_NS, 1))
    assert token(-1, 2) != prepared


@pytest.mark.parametrize(
    ("request_", "path", "query"),
    [
        (LANGUAGE.query(MARKET, KNOWN, 0, AT), f"/orders/historical/{VENUE_ID}", ""),
        (
            LANGUAGE.query(MARKET, REF, NOW_NS, AT, "c="),
            "/orders/historical/batch",
            "product_ids=BTC-USD&start_date=2023-11-14T22%3A12%3A20.123Z&limit=250&cursor=c%3D",
        ),
        (LANGUAGE.open_orders(None, AT), "/orders/historical/batch", "order_status=OPEN&limit=250"),
        (
            LANGUAGE.open_orders(MARKET, AT, "1:x"),
            "/orders/historical/batch",
            "order_status=PENDING&limit=250&product_ids=BTC-USD&cursor=x",
        ),
        (
            LANGUAGE.fills(MARKET, NOW_NS, AT, "c"),
            "/orders/historical/fills",
            "product_ids=BTC-USD&start_sequence_timestamp=2023-11-14T22%3A13%3A20.123Z&limit=250&cursor=c",
        ),
        (LANGUAGE.balances(AT, "c"), "/accounts", "limit=250&cursor=c"),
        (LANGUAGE.fee_rates(MARKET, AT), "/transaction_summary", "product_type=SPOT"),
    ],
)
def test_requests(request_: Any, path: str, query: str) -> None:
    """The token's uri has no query."""
    assert (request_.method, request_.path) == ("GET", f"/api/v3/brokerage{path}{'?' if query else ''}{query}")
    assert claims(request_)["uri"] == f"GET api.coinbase.com/api/v3/brokerage{path}"
    assert request_.lane == Lane.READ


def test_what_coinbase_lacks() -> None:
    """No orders over a line, no cancel by client id, no dead-man switch."""
    request = LANGUAGE.cancel(MARKET, KNOWN, AT)
    assert (request.path, request.body) == (
        "/api/v3/brokerage/orders/batch_cancel",
        b'{"order_ids":["62475e97-7485-45eb-a5ac-594805fa2748"]}',
    )
    for attempt in (
        lambda: LANGUAGE.cancel(MARKET, REF, AT),
        lambda: LANGUAGE.cancel_frame(MARKET, KNOWN, AT),
        lambda: LANGUAGE.placing(MARKET, "buy", "ioc").frame(ID, D(1), D(1), AT),
    ):
        with pytest.raises(NoSuchWay):
            attempt()
    assert LANGUAGE.cancel_all_after(60, AT) is None
    assert LANGUAGE.entry() is None


def test_success_alone_decides() -> None:
    """UNKNOWN_FAILURE_REASON beside it means nothing; another order's answer is not believed."""
    got = read(LANGUAGE, PLACE, json.dumps(TAKEN))
    assert got.reports == (Accepted(client_id=ID, venue_id=VENUE_ID, on_book=False),)
    other = json.dumps(TAKEN).replace(ID, "another")
    assert kinds(read(LANGUAGE, PLACE, other).reports) == ["Unclear"]


@pytest.mark.parametrize(
    ("code", "means"),
    [
        *((code, "other") for code in (
            "INVALID_SIDE", "INVALID_PRODUCT_ID", "UNSUPPORTED_ORDER_CONFIGURATION", "INVALID_REQUEST",
            "LIMIT_PRICE_TOO_FAR_FROM_MARKET", "LIMIT_ORDER_PRICE_EXCEEDS_PRICE_BAND_ON_BUY",
            "LIMIT_ORDER_PRICE_EXCEEDS_PRICE_BAND_ON_SELL", "INVALID_NO_LIQUIDITY", "COMMANDER_REJECTED_NEW_ORDER",
        )),
        *((code, "filters") for code in (
            "INVALID_SIZE_PRECISION", "INVALID_PRICE_PRECISION", "PREVIEW_INVALID_BASE_SIZE_TOO_SMALL",
            "PREVIEW_INVALID_BASE_SIZE_TOO_LARGE", "PREVIEW_INVALID_QUOTE_SIZE_TOO_SMALL",
        )),
        *((code, "funds") for code in (
            "INSUFFICIENT_FUND", "INSUFFICIENT_FUNDS", "INVALID_LEDGER_BALANCE", "PREVIEW_INSUFFICIENT_FUND",
        )),
        *((code, "post_only") for code in ("INVALID_LIMIT_PRICE_POST_ONLY", "PREVIEW_INVALID_LIMIT_PRICE_POST_ONLY")),
        *((code, "market_state") for code in (
            "ORDER_ENTRY_DISABLED", "INELIGIBLE_PAIR", "TRADING_DISABLED", "PRODUCT_TRADING_HALTED",
            "UNTRADABLE_PRODUCT", "PREVIEW_NOT_ALLOWED_BY_MARKET_STATE",
        )),
    ],
)  # fmt: skip
def test_definite_refusals(code: str, means: str) -> None:
    """In whichever of three fields the useful word stands."""
    for body in (refusal(code), refusal("UNKNOWN_FAILURE_REASON", preview=code), refusal("", new=code)):
        got = read(LANGUAGE, PLACE, body)
        assert got.fault is not None
        assert (got.fault.code, got.fault.category, got.fault.means) == (code, "permanent_4xx", means)
        assert got.reports == (Refused(client_id=ID, fault=got.fault),)


@pytest.mark.parametrize(
    ("status", "body", "category", "means"),
    [
        (401, "Unauthorized", "auth", "session"),
        (401, "Unauthorized\n", "auth", "session"),
        (403, '{"error":"PERMISSION_DENIED","error_details":"Missing required scopes"}', "auth", "other"),
        (400, '{"error":"INVALID_ARGUMENT","code":3,"message":"x","details":[]}', "permanent_4xx", "other"),
        (429, '{"errors":[{"id":"rate_limit_exceeded","message":"Too many requests"}]}', "rate_limit", "other"),
        (429, '{"error":"RESOURCE_EXHAUSTED"}', "rate_limit", "other"),
        (429, '{"error":"rate_limit_exceeded"}', "rate_limit", "other"),
        (200, refusal("ACCOUNT").replace('"no"', '"account is not available"'), "permanent_4xx", "funds"),
    ],
)
def test_definite_refusals_of_other_shapes(status: int, body: str, category: str, means: str) -> None:
    """Four shapes of an error."""
    got = read(LANGUAGE, PLACE, body, status)
    assert got.fault is not None
    assert (got.fault.category, got.fault.means) == (category, means)
    assert kinds(got.reports) == ["Refused"]


@pytest.mark.parametrize(
    ("status", "body", "is_unknown"),
    [
        (500, '{"error":"INTERNAL","code":13,"message":"internal server error"}', True),
        (503, '{"error":"UNAVAILABLE"}', True),
        (502, "<html>", True),
        (504, "", True),
        (200, "", True),
        (200, "{}", True),
        (200, '{"success":true}', True),
        (200, '{"success":"true"}', True),
        (200, refusal("DUPLICATE_CLIENT_ORDER_ID"), False),
        (200, refusal("SOMETHING_NEW"), False),
        (200, refusal("UNKNOWN_FAILURE_REASON"), False),
        (401, "Nobody", True),
        (500, "Unauthorized", True),
        (400, "{}", True),
    ],
)
def test_doubt(status: int, body: str, is_unknown: bool) -> None:
    """Whatever is no positive refusal leaves the order unknown."""
    got = read(LANGUAGE, PLACE, body, status)
    assert got.fault is not None
    assert (got.fault.execution_unknown, got.fault.is_definite) == (is_unknown, False)
    assert got.reports == (Unclear(client_id=ID, during="create", fault=got.fault),)


@pytest.mark.parametrize(
    ("reason", "means"),
    [
        ("UNKNOWN_CANCEL_ORDER", "missing"), ("ORDER_IS_FULLY_FILLED", "done"), ("DUPLICATE_CANCEL_REQUEST", "done"),
        ("ORDER_IS_BEING_REPLACED", "done"), ("INVALID_CANCEL_REQUEST", "other"),
        ("COMMANDER_REJECTED_CANCEL_ORDER", "other"), ("INVALID_CANCEL_PRODUCT_ID", "other"),
        ("NOT_ALLOWED_TO_CANCEL", "other"),
    ],
)  # fmt: skip
def test_cancels(reason: str, means: str) -> None:
    """Taken, which is not yet cancelled; or refused each for itself, with HTTP 200 all the same."""
    row = {"success": True, "failure_reason": "UNKNOWN_CANCEL_FAILURE_REASON", "order_id": VENUE_ID}
    assert read(LANGUAGE, CANCEL, json.dumps({"results": [row]})).reports == (
        CancelTaken(client_id=ID, venue_id=VENUE_ID),
    )
    (refused,) = read(
        LANGUAGE, CANCEL, json.dumps({"results": [row | {"success": False, "failure_reason": reason}]})
    ).reports
    assert isinstance(refused, CancelRefused)
    assert refused.fault.means == means
    other = json.dumps({"results": [row | {"order_id": "other"}]})
    assert kinds(read(LANGUAGE, CANCEL, other).reports) == ["Unclear"]


def test_a_fee_may_be_a_rebate() -> None:
    """Of an order that made the market."""
    for got in (
        read(LANGUAGE, QUERY, json.dumps({"order": ORDER | {"total_fees": "-1.65"}})).reports,
        LANGUAGE.stream().hear(push(total_fees="-1.65").encode(), {}).reports,
    ):
        assert [each.cum_fee for each in got if isinstance(each, OrderState)] == [D("-1.65")]


def test_queries() -> None:
    """By the venue's id, or page by page until the order is found."""
    state = OrderState(
        client_id=ID, venue_id=VENUE_ID, status="expired", spelling="BTC-USD", side="buy", qty=D("0.01"),
        price=D("68900"), cum_qty=D("0.004"), avg_price=D("68900"), cum_fee=D("1.65"), cause="ioc", is_cumulative=True,
    )  # fmt: skip
    assert read(LANGUAGE, QUERY, json.dumps({"order": ORDER})).reports == (state,)
    other = read(LANGUAGE, QUERY, json.dumps({"order": ORDER | {"order_id": "other"}}))
    assert other.reports == ()
    assert other.fault is not None
    missing = read(
        LANGUAGE, QUERY, '{"error":"NOT_FOUND","code":5,"message":"order with this orderID was not found"}', 404
    )
    assert missing.reports == (Absent(client_id=ID, venue_id=VENUE_ID, searched_history=True),)
    strangers = {"orders": [ORDER | {"client_order_id": "other"}], "has_next": True, "cursor": "c"}
    got = read(LANGUAGE, SEARCH, json.dumps(strangers))
    assert (got.reports, got.page) == ((), "c")
    assert read(LANGUAGE, SEARCH, json.dumps({"orders": [strangers["orders"][0], ORDER]})).reports == (state,)  # type: ignore[index]
    last = read(LANGUAGE, SEARCH, json.dumps(strangers | {"has_next": False}))
    assert last.reports == (Absent(client_id=ID, searched_history=True),)


def test_open_orders_state_by_state() -> None:
    """An order that is pending or queued can be cancelled too, and OPEN does not list it."""
    page, seen = "", []
    while True:
        seen.append(page)
        body = {"orders": [], "has_next": page == "1:", "cursor": "x"}
        page = read(LANGUAGE, asked("open_orders", page=page), json.dumps(body)).page
        if not page:
            break
    assert seen == ["", "1:", "1:x", "2:", "3:"]
    (state,) = states(
        read(LANGUAGE, asked("open_orders"), json.dumps({"orders": [ORDER | {"status": "OPEN"}]})).reports
    )
    assert (state.status, state.cum_qty) == ("partial", D("0.004"))


def test_answers() -> None:
    """Fills, balances by page, fee rates."""
    got = read(
        LANGUAGE, asked("fills"), json.dumps({"fills": [FILL, FILL | {"trade_type": "REVERSAL"}], "cursor": "c"})
    )
    (fill,) = traded(got.reports)
    assert (fill.exec_id, fill.fee, fill.fee_asset, fill.is_maker, fill.qty) == (
        "e-1",
        D("1.65"),
        "USD",
        False,
        D("0.004"),
    )
    assert (fill.exec_ns, got.page) == (1_775_572_206_123_456_789, "c")
    assert read(LANGUAGE, asked("fills"), '{"fills":[],"cursor":"c"}').page == ""
    in_quote = read(LANGUAGE, asked("fills"), json.dumps({"fills": [FILL | {"size": "137.8", "size_in_quote": True}]}))
    assert traded(in_quote.reports)[0].qty == D("0.002")
    wallet = {"currency": "USD", "available_balance": {"value": "10", "currency": "USD"}, "hold": {"value": "1.5"}}
    one = {"accounts": [wallet, wallet], "has_next": False, "cursor": ""}
    assert read(LANGUAGE, asked("balances"), json.dumps(one)).reports == (
        BalanceSet(free={"USD": D(20)}, locked={"USD": D(3)}, is_whole=True),
    )
    many = read(LANGUAGE, asked("balances"), json.dumps(one | {"has_next": True, "cursor": "c"}))
    assert many.page == "c"
    assert isinstance(many.reports[0], BalanceSet)
    assert not many.reports[0].is_whole
    tier = {"fee_tier": {"maker_fee_rate": "0.006", "taker_fee_rate": "0.012"}, "total_volume": 1.5}
    assert read(LANGUAGE, asked("fees", spelling="BTC-USD"), json.dumps(tier)).reports == (
        FeeRates(spelling="BTC-USD", maker=D("0.006"), taker=D("0.012")),
    )


def test_opening() -> None:
    """A token without a uri; heartbeats keep the quiet channel alive."""
    line = LANGUAGE.stream()
    user, heartbeats = (json.loads(frame) for frame in line.opening(AT))
    assert (user["type"], user["channel"]) == ("subscribe", "user")
    assert "uri" not in json.loads(unpadded(user["jwt"].split(".")[1]))
    assert heartbeats == {"type": "subscribe", "channel": "heartbeats"}
    ack = {"channel": "subscriptions", "sequence_num": 0, "events": [{"subscriptions": {"user": ["3e62"]}}]}
    assert heard(line, json.dumps(ack)).reports == (StreamReady("user"),)
    (failed,) = heard(line, '{"type":"error","message":"authentication failure"}').reports
    assert isinstance(failed, StreamFault)
    assert failed.fault.category == "auth"
    assert line.ping(AT) == b""


def test_one_counter_for_all_channels() -> None:
    """A jump is a loss, an old number a repetition that says nothing."""
    line = LANGUAGE.stream()
    assert kinds(heard(line, push(7)).reports) == ["OrderState"]
    assert heard(line, '{"channel":"heartbeats","sequence_num":8,"events":[]}').reports == ()
    assert kinds(heard(line, push(9)).reports) == ["OrderState"]
    assert heard(line, push(9)).reports == ()
    (lost, state) = heard(line, push(11)).reports
    assert lost == StreamLost("message 11 came after 9")
    assert isinstance(state, OrderState)


@pytest.mark.parametrize(
    ("changes", "status", "cause"),
    [
        ({"status": "PENDING", "cumulative_quantity": "0"}, "accepted", ""),
        ({"status": "QUEUED", "cumulative_quantity": "0"}, "accepted", ""),
        ({"status": "OPEN", "cumulative_quantity": "0"}, "open", ""),
        ({"status": "OPEN"}, "partial", ""),
        ({"status": "CANCEL_QUEUED", "cumulative_quantity": "0"}, "open", ""),
        ({"status": "CANCEL_QUEUED"}, "partial", ""),
        ({"status": "FILLED"}, "filled", ""),
        ({"status": "CANCELLED", "cancel_reason": "User requested cancel"}, "cancelled", "asked"),
        ({"status": "CANCELLED"}, "cancelled", "venue"),
        ({"status": "CANCELLED", "time_in_force": "IMMEDIATE_OR_CANCEL"}, "expired", "ioc"),
        ({"status": "CANCELLED", "time_in_force": "FILL_OR_KILL", "cumulative_quantity": "0"}, "expired", "ioc"),
        ({"status": "EXPIRED"}, "expired", "venue"),
        ({"status": "FAILED", "cumulative_quantity": "0"}, "refused", "venue"),
        ({"status": "FAILED"}, "cancelled", "venue"),
        ({"status": "UNKNOWN_ORDER_STATUS"}, "unknown", ""),
    ],
)
def test_states(changes: dict[str, Any], status: str, cause: str) -> None:
    """Cumulative states, from which executions are asked for and never made up."""
    got = heard(LANGUAGE.stream(), push(**changes)).reports
    assert kinds(got) == ["OrderState"]
    (state,) = states(got)
    assert (state.status, state.cause, state.is_cumulative) == (status, cause, True)
    assert state.cum_qty == D(changes.get("cumulative_quantity", "0.004"))


def test_fields_vary() -> None:
    """Fixtures of other clients lack some; what is left is zero once an order ended."""
    few = {name: value for name, value in PUSHED.items() if name not in ("limit_price", "cancel_reason")}
    events = [{"type": "snapshot", "orders": [few | {"leaves_quantity": "0", "status": "FILLED"}]}, {"type": "update"}]
    frame = {"channel": "user", "client_id": "", "sequence_num": 1, "events": events}
    (state,) = states(heard(LANGUAGE.stream(), json.dumps(frame)).reports)
    assert (state.price, state.qty) == (None, None)


def test_everything_damaged() -> None:
    """Cut anywhere, or with any field missing or strange: doubt, never an exception, never another fact."""
    cancel = {"results": [{"success": True, "failure_reason": "", "order_id": VENUE_ID}]}
    bodies: Any = ((PLACE, TAKEN), (CANCEL, cancel), (QUERY, {"order": ORDER}), (asked("fills"), {"fills": [FILL]}))
    for about, body in bodies:
        read_cut(LANGUAGE, about, json.dumps(body))
        assert read_spoiled(LANGUAGE, about, body) > 40
    read_cut(LANGUAGE, PLACE, refusal("INSUFFICIENT_FUND"))
    assert read_spoiled(LANGUAGE, PLACE, json.loads(refusal("INSUFFICIENT_FUND"))) > 60
    hear_cut(LANGUAGE.stream, push())
    assert hear_spoiled(LANGUAGE.stream, json.loads(push())) > 150
