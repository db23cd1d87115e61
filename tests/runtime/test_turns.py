"""Nonces of one key at a venue that takes no smaller one after a larger one, over connections that overtake."""

import asyncio
import base64
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

import msgspec
import pytest

from gambit.commands import CancelOrder, PlaceOrder, QueryBalances
from gambit.events import Fact
from gambit.events.orders import BalanceRead, CancelRejected, Rejected
from gambit.model import Instrument
from gambit.runtime import turns
from gambit.runtime.http import HttpAnswer
from gambit.venues.account import Account
from gambit.venues.kraken_orders import KrakenOrders
from gambit.venues.orders import Keys
from tests.engine.orders import intent
from tests.runtime.ports import Tasks, port_of
from tests.runtime.test_gateway import Net

MARKET = Instrument(
    symbol="BTC-USD", spelling="BTC/USD", base="BTC", quote="USD", tick=Decimal("0.1"), lot=Decimal("0.00000001")
)
KEY = "gb0000000000000001"
SEC = 1_000_000_000


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no reason to believe that a request has arrived."""
    monkeypatch.setattr(turns, "REACH_SEC", 3600.0)


class Venue(Net):
    """Kraken, where the last request of those under way arrives first, unless it is `held` by its name."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_700_000_000 * SEC
        self.arrived: list[tuple[str, int]] = []
        self.refused: list[str] = []
        self.refuses_all = False
        self.held: dict[str, asyncio.Event] = {}
        self.left: list[str] = []
        self._hops = 40

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes, timeout_sec: float
    ) -> HttpAnswer:
        assert (method, timeout_sec > 0, "API-Sign" in headers) == ("POST", True, True)
        name = url.rpartition("/")[2]
        self.left.append(name)
        self._hops -= 2
        for _ in range(self._hops):
            await asyncio.sleep(0)
        if name in self.held:
            await self.held[name].wait()
        nonce = int(parse_qs(body.decode())["nonce"][0])
        is_behind = self.refuses_all or any(nonce <= before for _, before in self.arrived)
        if is_behind:
            self.refused.append(name)
            return HttpAnswer(200, {}, b'{"error":["EAPI:Invalid nonce"]}')
        self.arrived.append((name, nonce))
        result: dict[str, Any] = {"CancelOrder": {"count": 1}, "OpenOrders": {"open": {}}}.get(name, {})
        return HttpAnswer(200, {}, msgspec.json.encode({"error": [], "result": result}))


class Case:
    """A port at that venue, without lines: everything goes over HTTP."""

    def __init__(self) -> None:
        self.net, self.told, self.tasks = Venue(), list[Fact](), Tasks()
        language = KrakenOrders(Keys(key="k", secret=base64.b64encode(b"s").decode()), ["BTC/USD"])

        account = Account(language, [MARKET], prefix="gb")
        self.port = port_of(account, self.net, self.tasks, deliver=self.told.extend)

    def ask(self) -> None:
        """A question that is routine."""
        self.port.send(QueryBalances(venue="kraken", query_id=1), self.net.now)

    def cancel(self) -> None:
        """An order's end is asked for."""
        self.port.send(CancelOrder(venue="kraken", symbol="BTC-USD", key=KEY, venue_order_id=""), self.net.now)

    async def until(self, what: Callable[[], object]) -> None:
        """Until something is so."""
        async with asyncio.timeout(20):
            while not what():
                await asyncio.sleep(0)


async def test_what_is_asked_at_once_arrives_in_the_order_of_its_nonces() -> None:
    """As after a start (F98): open orders, rights and balances, each once, none refused."""
    case = Case()
    case.port.release()
    case.port._deliver(case.port._ask_unknown())
    case.ask()
    await case.tasks.done()
    assert (case.net.refused, len(case.net.arrived)) == ([], 3)
    assert [type(fact) for fact in case.told] == [BalanceRead]
    assert "open_orders" not in case.port.admission.unknown


async def test_a_cancel_waits_for_no_reading_and_the_reading_is_asked_again_at_once() -> None:
    """It overtakes; what was asked before is refused for its nonce, for certain, and leaves with a new one."""
    case = Case()
    case.net.held["BalanceEx"] = asyncio.Event()
    case.ask()
    await case.until(lambda: case.net.left == ["BalanceEx"])
    case.cancel()
    await case.until(lambda: [name for name, _ in case.net.arrived] == ["CancelOrder"])
    case.net.held["BalanceEx"].set()
    await case.tasks.done()
    assert case.net.left == ["BalanceEx", "CancelOrder", "BalanceEx"]
    assert (case.net.refused, [name for name, _ in case.net.arrived]) == (["BalanceEx"], ["CancelOrder", "BalanceEx"])
    assert [type(fact) for fact in case.told] == [BalanceRead]


async def test_cancels_arrive_one_after_the_other_and_before_what_waits() -> None:
    """In the order in which they were meant."""
    case = Case()
    case.net.held["CancelOrder"] = asyncio.Event()
    for _ in range(3):
        case.cancel()
        case.ask()
    await case.until(lambda: "CancelOrder" in case.net.left)
    case.net.held["CancelOrder"].set()
    await case.tasks.done()
    names = [name for name, _ in case.net.arrived]
    assert (case.net.refused, names) == ([], [*["CancelOrder"] * 3, *["BalanceEx"] * (len(names) - 3)])
    assert CancelRejected not in map(type, case.told)


async def test_it_is_asked_again_once_and_a_create_never() -> None:
    """Each further refusal would be one more towards the venue's lockout; and a create is sent once."""
    case = Case()
    case.net.refuses_all = True
    case.ask()
    case.cancel()
    await case.tasks.done()
    assert sorted(case.net.refused) == ["BalanceEx", "BalanceEx", "CancelOrder", "CancelOrder"]
    assert [type(fact) for fact in case.told] == [CancelRejected]
    assert case.port.admission.held is None
    case.port.send(PlaceOrder(intent(key=KEY, venue="kraken", symbol="BTC-USD", qty=Decimal(1))), case.net.now)
    await case.tasks.done()
    assert case.net.left.count("AddOrder") == 1
    assert isinstance(case.told[-1], Rejected)


async def test_who_is_not_answered_holds_nobody_up_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """By then it has arrived, or never will."""
    monkeypatch.setattr(turns, "REACH_SEC", 0.01)
    case = Case()
    case.net.held["CancelOrder"] = asyncio.Event()
    case.cancel()
    case.ask()
    await case.until(lambda: [name for name, _ in case.net.arrived] == ["BalanceEx"])
    assert case.net.left == ["CancelOrder", "BalanceEx"]
    case.net.held["CancelOrder"].set()
    await case.tasks.done()
    assert case.net.refused == ["CancelOrder"]
    assert [name for name, _ in case.net.arrived] == ["BalanceEx", "CancelOrder"]


async def test_who_gives_up_waiting_holds_nobody_up() -> None:
    """A turn that was waited for and is not wanted any more."""
    each = turns.Turns()
    order = list[str]()

    async def take(name: str, lane: turns.Lane, over: asyncio.Event) -> None:
        async with each.one(lane):
            order.append(name)
            await over.wait()

    over = asyncio.Event()
    first = asyncio.create_task(take("first", turns.Lane.READ, over))
    await asyncio.sleep(0)
    second = asyncio.create_task(take("second", turns.Lane.READ, over))
    third = asyncio.create_task(take("third", turns.Lane.READ, over))
    await asyncio.sleep(0)
    assert (order, each.is_free(turns.Lane.READ), each.is_free(turns.Lane.CANCEL)) == (["first"], False, True)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    over.set()
    async with asyncio.timeout(20):
        await asyncio.gather(first, third)
    assert (order, each.is_free(turns.Lane.READ)) == (["first", "third"], True)
