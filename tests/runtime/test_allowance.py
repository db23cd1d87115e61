"""Order frames draw on the account's limits as requests over HTTP do, a test per venue (R8, I16)."""

import asyncio
import base64
import json
from decimal import Decimal
from typing import Any, cast

import pytest

from gambit.commands import CancelOrder, PlaceOrder
from gambit.events import Fact
from gambit.events.orders import Sent, Unsent
from gambit.model import Category, Instrument
from gambit.runtime import account_port
from gambit.runtime.allowance import Allowance
from gambit.runtime.budget import SEC
from gambit.runtime.budget import Lane as BudgetLane
from gambit.runtime.ear import Ear
from gambit.venues.account import Account
from gambit.venues.binance_orders import BinanceOrders
from gambit.venues.bybit_orders import BybitOrders
from gambit.venues.kraken_orders import KrakenOrders
from gambit.venues.okx_orders import OkxOrders
from gambit.venues.orders import Asked, Fault, Frame, Keys, Lane, Line, OrderLanguage, Used
from gambit.venues.refusals import binance_fault, coinbase_fault, okx_fault
from gambit.venues.usage import binance_frame, binance_headers, bybit_headers
from tests.engine.orders import intent
from tests.runtime.ports import Tasks, port_of
from tests.runtime.test_gateway import Net, answer

KEYS = Keys(key="k", secret="s" * 32, passphrase="p")
REFUSED = "the rate budget is used up"
SPELLINGS = {"binance": "BTCUSDT", "okx": "BTC-USDT", "bybit": "BTCUSDT", "kraken": "BTC/USDT"}
VENUES = list(SPELLINGS)


def language_of(venue: str) -> OrderLanguage:
    """An account there; Kraken's has a token."""
    if venue == "binance":
        return BinanceOrders(KEYS)
    if venue == "okx":
        return OkxOrders(KEYS, {"BTC-USDT": 1, "ETH-USDT": 2})
    if venue == "bybit":
        return BybitOrders(KEYS)
    kraken = KrakenOrders(Keys(key="k", secret=base64.b64encode(b"s").decode()), ["BTC/USDT"])
    kraken.use_token("token")
    return kraken


class Wire:
    """An open connection that counts what leaves."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def send(self, data: bytes) -> None:
        self.sent.append(json.loads(data))

    def ping(self) -> None:
        raise AssertionError

    def close(self) -> None:
        raise AssertionError


class Case:
    """A port of a venue whose order line stands."""

    def __init__(self, venue: str) -> None:
        self.venue, self.net, self.wire = venue, Net(answer(200)), Wire()
        self.language = language_of(venue)
        self.told: list[Fact] = []
        self.tasks = Tasks()
        self.doubts = 0
        self.closed: list[str] = []
        base, quote = "BTC", "USDT"
        market = Instrument(
            symbol="BTC-USDT",
            spelling=SPELLINGS[venue],
            base=base,
            quote=quote,
            tick=Decimal(1),
            lot=Decimal(1),
            code=1,
        )

        def doubt() -> None:
            self.doubts += 1

        account = Account(self.language, [market], prefix="gb")
        self.port = port_of(
            account, self.net, self.tasks, deliver=self.told.extend, doubt_rules=doubt, on_closed=self._close
        )
        line = self.language.entry() or self.language.stream()
        self.ear = Ear(self.port, cast(Line, line), is_entry=self.language.entry() is not None)
        self.ear.on_open(cast(Any, self.wire))
        self.ear.is_ready = True
        if self.ear.is_entry:
            self.port._entry = self.ear
        else:
            self.port._stream = self.ear

    def _close(self, symbol: str) -> None:
        assert not self.told, "it is known before anybody decides about the refusal"
        self.closed.append(symbol)

    def create(self, number: int) -> list[Fact]:
        """Hand an order over."""
        order = intent(key=f"gb0001000{number:02d}0abcdef", venue=self.venue, qty=Decimal(1), price=Decimal(100))
        return list(self.port.send(PlaceOrder(order), self.net.now_ns()))

    def cancel(self, number: int) -> list[Fact]:
        """Hand a cancel over."""
        key = f"gb0001000{number:02d}0abcdef"
        command = CancelOrder(venue=self.venue, symbol="BTC-USDT", key=key, venue_order_id="1")
        return list(self.port.send(command, self.net.now_ns()))


@pytest.mark.parametrize(("venue", "creates"), [("binance", 72), ("okx", 44), ("bybit", 15), ("kraken", 44)])
async def test_creates_over_the_line_leave_as_far_as_the_limit_goes_and_cancels_still_do(
    venue: str, creates: int
) -> None:
    """Nine tenths of the limit are used, of which a fifth is kept back; a create that has no room is unsent at once."""
    case = Case(venue)
    facts = [fact for number in range(99) for fact in case.create(number)]
    sent = [fact for fact in facts if isinstance(fact, Sent)]
    assert len(sent) == len(case.wire.sent) == creates
    assert {fact.reason for fact in facts if isinstance(fact, Unsent)} == {REFUSED}
    for number in range(3):
        assert case.cancel(number) == []
    assert len(case.wire.sent) == creates + 3
    case.net.now += 600 * SEC
    assert [type(fact) for fact in case.create(99)] == [Sent]


async def test_frames_take_weight_by_address_where_the_venue_weighs_them_too() -> None:
    """Binance's WebSocket API shares its budget with HTTP, in which a ban silences both."""
    case = Case("binance")
    budget = case.port.gateway.budget
    case.create(1)
    case.cancel(1)
    assert budget.used == 2
    budget.block(case.net.now_ns() + 60 * SEC)
    assert case.create(2) == [Unsent(key="gb0001000020abcdef", venue="binance", reason=REFUSED)]
    assert len(case.wire.sent) == 2


async def test_a_cancel_for_which_there_is_no_room_waits_for_it() -> None:
    """It is not refused, and it does not go before its time."""
    case = Case("bybit")
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        case.net.now += int(seconds * SEC) + 1

    for number in range(18):
        assert case.cancel(number) == []
    assert (len(case.wire.sent), case.tasks) == (18, [])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gambit.runtime.account_port.asyncio.sleep", sleep)
        case.cancel(18)
        assert len(case.wire.sent) == 18
        await asyncio.gather(*case.tasks)
    assert (len(case.wire.sent), case.told) == (19, [])
    assert slept == [1.0]


async def test_what_the_venue_counts_goes_before_what_we_counted() -> None:
    """Somebody else's orders on the account: nearly nothing is left, by the answer on the line."""
    case = Case("binance")
    [fact] = case.create(1)
    assert isinstance(fact, Sent)
    limits = [
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100, "count": 71},
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000, "count": 900},
    ]
    said = {"id": case.wire.sent[0]["id"], "status": 200, "result": {"orderId": 7}, "rateLimits": limits}
    case.port.heard(case.ear, json.dumps(said).encode(), 1)
    assert case.port.gateway.budget.used == 900
    assert [type(case.create(number)[0]) for number in (2, 3)] == [Sent, Unsent]

    case = Case("bybit")
    case.create(1)
    header = {"X-Bapi-Limit": "20", "X-Bapi-Limit-Status": "0", "X-Bapi-Limit-Reset-Timestamp": "1"}
    said = {"reqId": case.wire.sent[0]["reqId"], "retCode": 0, "op": "order.create", "header": header}
    case.port.heard(case.ear, json.dumps({**said, "data": {"orderId": "7", "orderLinkId": ""}}).encode(), 1)
    assert case.create(2) == [Unsent(key="gb0001000020abcdef", venue="bybit", reason=REFUSED)]


@pytest.mark.parametrize("venue", ["okx", "kraken"])
async def test_a_create_refused_for_want_of_budget_keeps_the_next_ones_here(venue: str) -> None:
    """For as long as the venue says, else for a second; cancels leave."""
    case = Case(venue)
    case.create(1)
    if venue == "okx":
        name = case.wire.sent[0]["id"]
        said = {"id": name, "op": "order", "code": "1", "data": [{"sCode": "50011", "sMsg": "Too Many Requests"}]}
    else:
        name = case.wire.sent[0]["req_id"]
        said = {"method": "add_order", "req_id": name, "success": False, "error": "EOrder:Rate limit exceeded"}
    case.port.heard(case.ear, json.dumps(said).encode(), 1)
    assert [type(fact) for fact in case.create(2)] == [Unsent]
    assert case.cancel(1) == []
    assert len(case.wire.sent) == 2
    case.net.now += SEC
    assert [type(fact) for fact in case.create(3)] == [Sent]


def refused_at_binance(case: Case, code: int, wait_sec: int) -> None:
    """The order that was just sent, with the instant until when the venue wants to be left alone."""
    until_ms = (case.net.now_ns() + wait_sec * SEC) // 1_000_000
    error = {"code": code, "msg": "no", "data": {"serverTime": 1, "retryAfter": until_ms}}
    said = {"id": case.wire.sent[-1]["id"], "status": 418 if code == -1003 else 429, "error": error}
    case.port.heard(case.ear, json.dumps(said).encode(), 1)


async def test_a_ban_that_is_told_on_the_line_silences_lines_and_http() -> None:
    """Creates, cancels, readings and the question whether the logon stands: nothing before the venue says (I16)."""
    case = Case("binance")
    case.create(1)
    refused_at_binance(case, -1003, 120)
    assert case.create(2) == [Unsent(key="gb0001000020abcdef", venue="binance", reason=REFUSED)]
    assert len(case.wire.sent) == 1
    case.net.now += 119 * SEC
    case.create(3)
    assert not case.port.gateway.may_leave(1, BudgetLane.URGENT)
    assert (len(case.wire.sent), case.port._silence_ns) == (1, SEC)
    case.net.now += SEC
    assert case.port._silence_ns == 0
    assert [type(fact) for fact in case.create(4)] == [Sent]


async def test_a_limit_of_orders_leaves_cancels_alone() -> None:
    """It is the account's and of creates, for as long as the venue says."""
    case = Case("binance")
    case.create(1)
    refused_at_binance(case, -1015, 30)
    assert [type(fact) for fact in case.create(2)] == [Unsent]
    assert (case.cancel(1), len(case.wire.sent), case.port._silence_ns) == ([], 2, 0)
    case.net.now += 29 * SEC
    assert [type(fact) for fact in case.create(3)] == [Unsent]
    case.net.now += SEC
    assert [type(fact) for fact in case.create(4)] == [Sent]


async def test_a_reading_that_is_throttled_until_an_instant_is_not_asked_again_before() -> None:
    """Kraken says when; the header of others is the gateway's (kraken.md 6)."""
    case = Case("kraken")
    case.net.now = 1_700_000_000 * SEC
    until_sec = 1_700_000_060
    case.net.script = [answer(200, b'{"error":["EService:Throttled: %d"]}' % until_sec)]
    case.port._deliver(case.port._list_open())
    await case.tasks.done()
    assert case.port.allowance.reading_wait_ns(1, case.net.now_ns(), is_urgent=True) == 60 * SEC
    assert case.port.allowance.wait_ns(Frame(b"", Lane.CANCEL, Asked(what="cancel", nonce=1, now_ns=1)), 0) == 0


def test_which_refusals_are_by_the_rules_of_steps() -> None:
    """OKX's 51000 is for any parameter, and one of Binance's filters is about the market's price."""
    found = [
        okx_fault("51000", "Parameter px error"), okx_fault("51000", "Parameter tdMode error"),
        binance_fault("-1013", "Filter failure: PRICE_FILTER", 400),
        binance_fault("-1013", "Filter failure: PERCENT_PRICE_BY_SIDE", 400),
        coinbase_fault(["PREVIEW_INVALID_QUOTE_SIZE_TOO_SMALL"], ""),
    ]  # fmt: skip
    assert [fault.means for fault in found] == ["filters", "other", "filters", "other", "filters"]
    assert all(fault.is_definite for fault in found)


REFUSALS = {
    "binance": {"status": 400, "error": {"code": -1013, "msg": "Filter failure: LOT_SIZE"}},
    "okx": {"op": "order", "code": "1", "data": [{"sCode": "51121", "sMsg": "lot size"}]},
    "bybit": {"retCode": 170137, "retMsg": "decimals", "op": "order.create", "data": {}},
    "kraken": {"method": "add_order", "success": False, "error": "EOrder:Tick size check failed"},
}


@pytest.mark.parametrize("venue", VENUES)
async def test_a_refusal_by_the_rules_has_the_list_read_again(venue: str) -> None:
    """Another refusal does not (F49)."""
    case = Case(venue)
    case.create(1)
    first = case.wire.sent[0]
    name = {key: first[key] for key in ("id", "reqId", "req_id") if key in first}
    case.port.heard(case.ear, json.dumps({**name, **REFUSALS[venue]}).encode(), 1)
    assert (case.doubts, [type(fact).__name__ for fact in case.told]) == (1, ["Rejected"])
    assert case.closed == []


CLOSINGS: dict[str, dict[str, object]] = {
    "binance": {"status": 400, "error": {"code": -2010, "msg": "Market is closed."}},
    "okx": {"op": "order", "code": "1", "data": [{"sCode": "51021", "sMsg": "suspended"}]},
    "bybit": {"retCode": 170210, "retMsg": "suspended", "op": "order.create", "data": {}},
    "kraken": {"method": "add_order", "success": False, "error": "EService:Market in cancel_only mode"},
}


@pytest.mark.parametrize("venue", VENUES)
async def test_a_refusal_for_the_state_of_its_market_is_told_with_the_market(venue: str) -> None:
    """Before the desk hears of it; a cancel that is refused says nothing about orders."""
    case = Case(venue)
    case.create(1)
    first = case.wire.sent[0]
    name = {key: first[key] for key in ("id", "reqId", "req_id") if key in first}
    case.port.heard(case.ear, json.dumps({**name, **CLOSINGS[venue]}).encode(), 1)
    assert (case.closed, [type(fact).__name__ for fact in case.told]) == (["BTC-USDT"], ["Rejected"])
    case.told.clear()
    case.create(2)
    case.cancel(2)
    last = case.wire.sent[-1]
    name = {key: last[key] for key in ("id", "reqId", "req_id") if key in last}
    said = json.loads(json.dumps(CLOSINGS[venue]).replace("add_order", "cancel_order").replace("create", "cancel"))
    case.port.heard(case.ear, json.dumps({**name, **said}).encode(), 1)
    assert (case.closed, [type(fact).__name__ for fact in case.told]) == (["BTC-USDT"], ["CancelRejected"])


def test_a_market_has_its_own_counter_and_a_quick_cancel_costs_eight() -> None:
    """Kraken's engine counts each pair; a cancel never waits for that counter."""
    allowance = Allowance(language_of("kraken").limits)

    def frame(lane: Lane, spelling: str) -> Frame:
        return Frame(b"", lane, Asked(what="place", nonce=1, now_ns=1, spelling=spelling))

    create, other, cancel = frame(Lane.CREATE, "BTC/USD"), frame(Lane.CREATE, "ETH/USD"), frame(Lane.CANCEL, "BTC/USD")
    for _ in range(6):
        assert allowance.wait_ns(cancel, 0) == 0
        allowance.take(cancel, 0)
    assert allowance.wait_ns(create, 0) == 5 * SEC
    assert allowance.wait_ns(cancel, 0) == allowance.wait_ns(other, 0) == 0


def test_a_limit_by_address_is_the_gateways() -> None:
    """As weight or by the request; where a venue has none of the kind its readings of markets are beside it."""
    request = language_of("binance").balances(cast(Any, _Stamp()))
    weights = {venue: Allowance(language_of(venue).limits).weight(request) for venue in VENUES}
    assert weights == {"binance": request.weight, "okx": 0, "bybit": 1, "kraken": 0}
    assert request.weight > 1


class _Stamp:
    now_ns, nonce = 1, 1


async def test_the_venues_word_for_a_limit_goes_before_the_documents() -> None:
    """Limits differ by account: one with 50 orders in 10 s is not shown the 51st, and weight by address is learned."""
    case = Case("binance")
    rows = [
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 50, "count": 3},
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 600, "count": 7},
    ]
    case.port._learn_limits(binance_frame({"rateLimits": rows}))
    sent = [fact for number in range(99) for fact in case.create(number) if isinstance(fact, Sent)]
    assert len(sent) == int(50 * 0.9 * 0.8) - 3
    assert case.port.gateway.budget.usable == 540


def test_refusals_and_readings_of_a_limit() -> None:
    """How long a refusal holds back, and what is no number says nothing."""
    allowance = Allowance(language_of("bybit").limits)
    create = Frame(b"", Lane.CREATE, Asked(what="place", nonce=1, now_ns=1))
    fault = Fault(category=Category.RATE_LIMIT, code="10006", text="", wait_sec=7.0, until_ns=9 * SEC)
    assert (fault.wait_ns(SEC), fault.wait_ns(3 * SEC)) == (8 * SEC, 7 * SEC)
    allowance.refused(Lane.CREATE, fault.wait_ns(3 * SEC), 5)
    assert allowance.wait_ns(create, 5) == 7 * SEC
    assert Fault(category=Category.RATE_LIMIT, code="", text="", until_ns=1 << 62).wait_ns(0) == 3 * 86_400 * SEC
    kraken = Allowance(language_of("kraken").limits)
    kraken.refused(Lane.READ, 9 * SEC, 5)
    assert kraken.reading_wait_ns(1, 5, is_urgent=True) == 9 * SEC
    allowance.learn(Used(lane=Lane.READ, per_sec=3.0, units=99), 5)
    for rows in (None, 5, [5], [{"count": "x"}], [{"count": 1, "interval": "YEAR", "intervalNum": 1}]):
        assert list(binance_frame({"rateLimits": rows})) == []
    found = list(binance_headers({"x-mbx-order-count-10s": "12", "x-mbx-order-count-1d": "-1"}))
    assert found == [Used(lane=Lane.CREATE, per_sec=10.0, units=12)]
    assert list(bybit_headers({"X-Bapi-Limit": "20", "X-Bapi-Limit-Status": "25"}, Lane.CREATE)) == []


async def test_no_logon_is_probed_while_the_venue_wants_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A question on the line is a request like any other; afterwards it is asked again."""
    case = Case("binance")
    budget, looks = case.port.gateway.budget, list[int]()

    def ping() -> None:
        looks.append(len(case.wire.sent))
        case.ear.on_heard(1)
        if len(looks) == 3:
            budget.blocked_until_ns = 0
        elif len(looks) == 6:
            case.ear.on_close("hung up", None)

    monkeypatch.setattr(account_port, "PING_SEC", 0.001)
    monkeypatch.setattr(account_port, "PROBE_EVERY", 1)
    monkeypatch.setattr(case.wire, "ping", ping)
    budget.block(case.net.now_ns() + SEC)
    await case.port._ping_until_ended(case.ear)
    assert looks == [0, 0, 0, 1, 2, 3]
    assert {said["method"] for said in case.wire.sent} == {"session.subscriptions"}
