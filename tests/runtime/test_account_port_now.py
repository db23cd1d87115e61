"""Creates over HTTP that cannot wait: they leave within the call where a warm connection is free, else as usual."""

import asyncio
import base64
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast

from gambit.commands import CancelOrder, PlaceOrder
from gambit.events import Fact
from gambit.events.orders import Acked, CancelRejected, OutcomeUnknown, Sent, Unsent
from gambit.model import Instrument
from gambit.runtime.account_port import PREPARED_NS
from gambit.runtime.http import HttpAnswer, HttpError
from gambit.runtime.http_line import HttpLine
from gambit.venues.account import Account
from gambit.venues.coinbase_orders import CoinbaseOrders
from gambit.venues.orders import Asked, Frame, Keys, Lane
from tests.engine.orders import intent
from tests.runtime.ports import Tasks, port_of
from tests.runtime.test_gateway import Net, answer

MARKET = Instrument(
    symbol="BTC-USDT", spelling="BTC-USDT", base="BTC", quote="USDT", tick=Decimal("0.01"), lot=Decimal("0.0001")
)
KEYS = Keys(key="organizations/o/apiKeys/k", secret=base64.b64encode(bytes(range(32))).decode())
KEY = "gb0001000010000000"


class Warm:
    """A connection that is free or not, and what was sent over it."""

    def __init__(self) -> None:
        self.is_free, self.is_cut = True, False
        self.sent: list[tuple[str, str, bytes]] = []
        self.answer: asyncio.Future[HttpAnswer] = asyncio.get_running_loop().create_future()

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> "asyncio.Future[HttpAnswer]":
        assert headers["Authorization"].startswith("Bearer ")
        self.is_free = False
        self.sent.append((method, path, body))
        return self.answer

    def cut(self) -> None:
        self.is_cut = True


class Case:
    """A port to Coinbase with one warm connection, and what it delivers."""

    def __init__(self, why_not: str | None = None) -> None:
        self.net = Net(answer(200, b"{}"))
        self.warm = Warm()
        self.told: list[Fact] = []
        self.tasks = Tasks()
        self.language = CoinbaseOrders(KEYS)

        self.port = port_of(
            Account(self.language, [MARKET], prefix="gb"), self.net, self.tasks, deliver=self.told.extend,
            why_not=lambda _command: why_not, lines=[cast(HttpLine, self.warm)], symbols=["BTC-USDT"],
        )  # fmt: skip

    def create(self) -> list[Fact]:
        """Send an order."""
        order = intent(key=KEY, venue="coinbase", qty=Decimal(1))
        return list(self.port.send(PlaceOrder(order), self.net.now_ns()))


async def test_a_create_leaves_within_the_call() -> None:
    """Once; its answer comes when it comes."""
    case = Case()
    assert case.create() == [Sent(key=KEY, venue="coinbase")]
    [(method, path, body)] = case.warm.sent
    assert (method, path, json.loads(body)["client_order_id"]) == ("POST", "/api/v3/brokerage/orders", KEY)
    said = {"success": True, "success_response": {"order_id": "v1", "client_order_id": KEY}}
    case.warm.answer.set_result(HttpAnswer(200, {}, json.dumps(said).encode()))
    await case.tasks.done()
    assert case.told == [Acked(key=KEY, venue="coinbase", venue_order_id="v1")]
    assert (case.net.sent, case.port.gateway.calls, case.port.gateway._busy) == ([], 1, 0)


async def test_a_create_without_an_answer_is_in_doubt() -> None:
    """And the connection is given up, for its answer would be taken for another's."""
    case = Case()
    case.create()
    case.warm.answer.set_exception(HttpError("the connection was lost", sent=True))
    await case.tasks.done()
    [doubt] = case.told
    assert isinstance(doubt, OutcomeUnknown)
    assert (doubt.during, case.warm.is_cut, case.port.gateway._busy) == ("create", True, 0)


async def test_a_create_that_may_not_leave_does_not() -> None:
    """The gate is asked at that instant (R6)."""
    case = Case(why_not="halted")
    assert case.create() == [Unsent(key=KEY, venue="coinbase", reason="halted")]
    assert (case.warm.sent, case.net.sent) == ([], [])


async def test_it_goes_the_usual_way_where_no_connection_is_free_or_the_budget_is_used_up() -> None:
    """Where waiting and refusing have their rules."""
    case = Case()
    case.warm.is_free = False
    assert case.create() == []
    await case.tasks.done()
    assert len(case.net.sent) == 1
    case = Case()
    for _ in range(100):
        case.port.gateway.budget.take(1_000_000, case.net.now_ns())
    create = Frame(b"", Lane.CREATE, Asked(what="place", nonce=1, now_ns=1))
    for _ in range(100):
        case.port.allowance.take(create, case.net.now_ns())
    assert case.create() == []
    await case.tasks.done()
    assert (case.warm.sent, case.net.sent) == ([], [])
    assert case.told == [Unsent(key=KEY, venue="coinbase", reason="the rate budget is used up")]


async def test_a_cancel_takes_the_warm_connection_too() -> None:
    """One that is lost is told."""
    case = Case()
    cancel = CancelOrder(venue="coinbase", symbol="BTC-USDT", key=KEY, venue_order_id="v1")
    assert case.port.send(cancel, case.net.now_ns()) == []
    assert case.warm.sent == [("POST", "/api/v3/brokerage/orders/batch_cancel", b'{"order_ids":["v1"]}')]
    case.warm.answer.set_result(HttpAnswer(401, {}, b"Unauthorized"))
    await case.tasks.done()
    assert [type(fact) for fact in case.told] == [CancelRejected]


async def test_the_next_create_is_prepared_when_nothing_is_urgent() -> None:
    """Its template is made and its token signed; a token is used once, and not when it is old."""
    case = Case()
    case.port._listed_ns = case.net.now_ns()

    def spare() -> str:
        case.port.on_time(cast(Any, None), case.net.now_ns())
        assert case.language._spare is not None
        return case.language._spare[1]

    first = spare()
    assert case.port.account._placings.keys() == {("BTC-USDT", "buy", "ioc"), ("BTC-USDT", "sell", "ioc")}
    assert spare() == first
    case.create()
    assert case.language._spare is None
    second = spare()
    case.net.now += PREPARED_NS
    assert len({first, second, spare()}) == 3
    for task in case.tasks:
        task.cancel()
    await asyncio.gather(*case.tasks, return_exceptions=True)
