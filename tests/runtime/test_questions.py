"""Questions to a venue that takes few: each once, the awaited ones first, worded when they leave (F86)."""

import base64
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast
from urllib.parse import parse_qs

import msgspec
import pytest

from gambit.commands import QueryBalances, QueryFills, QueryOrder
from gambit.engine.inquiry import Inquiry
from gambit.engine.limits import Execution
from gambit.events import Fact
from gambit.events.orders import OrderFound, OrderMissing
from gambit.model import Instrument
from gambit.runtime.budget import SEC
from gambit.runtime.http import HttpAnswer
from gambit.runtime.questions import APART_NS, Questions
from gambit.venues.account import Account
from gambit.venues.kraken_orders import KrakenOrders
from gambit.venues.orders import Keys
from tests.runtime.ports import Tasks, port_of
from tests.runtime.test_gateway import Net, answer

MARKET = Instrument(
    symbol="BTC-USD", spelling="BTC/USD", base="BTC", quote="USD", tick=Decimal("0.1"), lot=Decimal("0.00000001")
)
KEY = "gb000100000{}abcdef"


def order(number: int, venue_id: str = "", query_id: int = 1) -> QueryOrder:
    """A question about an order."""
    key = KEY.format(number)
    return QueryOrder(venue="kraken", symbol="BTC-USD", key=key, query_id=query_id, venue_order_id=venue_id)


def fills(since_ns: int, *, is_awaited: bool = False, query_id: int = 1) -> QueryFills:
    """A question about executions."""
    return QueryFills(venue="kraken", symbol="BTC-USD", since_ns=since_ns, query_id=query_id, is_awaited=is_awaited)


def test_each_waits_once_and_the_awaited_ones_go_first_in_their_order() -> None:
    """A list that an order waits for is not starved by questions about orders, nor they by it."""
    questions = Questions()
    balances = QueryBalances(venue="kraken", query_id=9)
    for each in (balances, order(1), fills(50), order(2), order(1, query_id=7), fills(70, is_awaited=True, query_id=8)):
        questions.put(each, 0)
    assert len(questions) == 4
    assert questions.take(0) == [order(1, query_id=7)]
    assert questions.take(0) == [fills(50, is_awaited=True, query_id=8)]
    assert questions.is_urgent
    assert questions.take(0) == [order(2)]
    assert not questions.is_urgent
    assert (questions.take(0), questions.take(0)) == ([balances], [])


def test_orders_whose_names_at_the_venue_are_known_are_asked_about_together() -> None:
    """The others by themselves."""
    questions = Questions()
    for each in (order(1, "A"), order(2), order(3, "C")):
        questions.put(each, 0)
    assert questions.take(0) == [order(1, "A"), order(3, "C")]
    assert questions.take(0) == [order(2)]


def test_an_order_without_a_name_is_not_asked_about_again_at_once() -> None:
    """Two calls of the counter each time; with a name it is one, for many."""
    questions = Questions()
    for at_ns in (0, 1_000_000_000, 1_900_000_000, 2_000_000_000):
        questions.put(order(1), at_ns)
        questions.put(order(2, "B"), at_ns)
        assert questions.take(at_ns) == ([order(1)] if at_ns in (0, 2_000_000_000) else [order(2, "B")])
        if len(questions):
            assert questions.take(at_ns) == [order(2, "B")]


class Exchange(Net):
    """Answers about orders that were filled, keeps Kraken's counter and takes no nonce that is not larger."""

    def __init__(self) -> None:
        super().__init__(answer(200))
        self.asked: list[tuple[str, dict[str, list[str]]]] = []
        self.counter, self.at, self.most, self.last = 0.0, self.now, 0.0, 0
        self.refuses_whole = False

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes, timeout_sec: float
    ) -> HttpAnswer:
        assert (method, timeout_sec > 0, "API-Sign" in headers) == ("POST", True, True)
        name, form = url.rpartition("/")[2], parse_qs(body.decode())
        self.asked.append((name, form))
        nonce = int(form["nonce"][0])
        assert nonce > self.last, "EAPI:Invalid nonce"
        self.last = nonce
        self.counter = max(0.0, self.counter - (self.now - self.at) / SEC * 0.33) + (
            2 if name == "TradesHistory" else 1
        )
        self.at, self.most = self.now, max(self.most, self.counter)
        result: dict[str, Any] = {"trades": {}, "count": 0} if name == "TradesHistory" else {}
        txids = form.get("txid", [""])[0].split(",")
        if self.refuses_whole and "GONE" in txids:
            return HttpAnswer(200, {}, b'{"error":["EOrder:Unknown order"]}')
        for txid in txids:
            if txid and txid != "GONE":
                result[txid] = {
                    "status": "closed", "vol": "1", "vol_exec": "1", "cl_ord_id": KEY.format(txid[1:]), "fee": "0",
                    "descr": {"pair": "XBTUSD", "type": "buy", "price": "5"}, "price": "5",
                }  # fmt: skip
        return HttpAnswer(200, {}, msgspec.json.encode({"error": [], "result": result}))


class Case:
    """A port at Kraken on virtual time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.net, self.told, self.tasks = Exchange(), list[Fact](), Tasks()
        language = KrakenOrders(Keys(key="k", secret=base64.b64encode(b"s").decode()), ["BTC/USD"])

        async def sleep(seconds: float) -> None:
            self.net.now += int(seconds * SEC) + 1

        monkeypatch.setattr("gambit.runtime.account_port.asyncio.sleep", sleep)
        account = Account(language, [MARKET], prefix="gb")
        self.port = port_of(account, self.net, self.tasks, deliver=self.told.extend)


async def test_an_outage_that_leaves_orders_in_doubt_is_answered_within_the_counter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Questions repeat while there is no room: each order and the list of executions is asked about, nonces grow, and
    the counter of fifteen is never passed."""
    case = Case(monkeypatch)
    for spent in range(6):  # what connecting took
        case.port.send(fills(spent), case.net.now)
        await case.tasks.done()
    case.net.asked.clear()
    case.told.clear()
    for again in range(1, 9):
        for number in range(1, 7):
            case.port.send(order(number, f"V{number}", query_id=again * 10 + number), case.net.now)
        case.port.send(fills(5, is_awaited=True, query_id=again * 10), case.net.now)
    await case.tasks.done()
    assert [name for name, _ in case.net.asked] == ["QueryOrders", "TradesHistory"]
    found = {fact.key: fact for fact in case.told if isinstance(fact, OrderFound)}
    assert {fact.query_id for fact in found.values()} == {81, 82, 83, 84, 85, 86}
    assert sorted(found) == [KEY.format(number) for number in range(1, 7)]
    for again in range(40):
        case.port.send(QueryBalances(venue="kraken", query_id=again), case.net.now)
        await case.tasks.done()
    assert case.net.most <= 15
    waited_ns = case.net.now
    case.port.send(order(7, "V7"), case.net.now)
    case.port.send(fills(5, is_awaited=True), case.net.now)
    await case.tasks.done()
    assert case.net.now == waited_ns  # however much is compared: there is room for what an order waits for


async def test_one_that_is_missing_among_several_is_absent_and_the_others_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each answer belongs to its question."""
    case = Case(monkeypatch)
    for each in (order(1, "V1", 11), order(2, "GONE", 12), order(3, "V3", 13)):
        case.port.send(each, case.net.now)
    await case.tasks.done()
    assert len(case.net.asked) == 1
    found = [(fact.key[-7], fact.query_id) for fact in case.told if isinstance(fact, OrderFound | OrderMissing)]
    assert found == [("1", 11), ("2", 12), ("3", 13)]
    assert [type(fact) for fact in case.told] == [OrderFound, OrderMissing, OrderFound]


async def test_one_that_has_all_of_them_refused_is_found_by_asking_about_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a while; else none of them would ever be answered for."""
    case = Case(monkeypatch)
    case.net.refuses_whole = True
    asked = (order(1, "V1", 11), order(2, "GONE", 12), order(3, "V3", 13))
    for _again in range(2):
        for each in asked:
            case.port.send(each, case.net.now)
        await case.tasks.done()
    assert [form["txid"] for _, form in case.net.asked] == [["V1,GONE,V3"], ["V1"], ["GONE"], ["V3"]]
    assert [type(fact) for fact in case.told] == [OrderFound, OrderMissing, OrderFound]
    case.net.now += APART_NS
    for each in asked:
        case.port.send(each, case.net.now)
    await case.tasks.done()
    assert case.net.asked[-1][1]["txid"] == ["V1,GONE,V3"]


def test_the_venues_word_is_asked_for_more_rarely_once_it_named_a_quantity() -> None:
    """The executions are what lacks then, and their list is asked for as awaited."""
    rules = Execution()
    for waits, most_ns in ((False, rules.query_interval_max_ns), (True, 4 * rules.query_interval_max_ns)):
        inquiry, wait = Inquiry(rules), _Wait()
        for _ in range(12):
            inquiry._space(cast(Any, _Order(waits)), cast(Any, wait), 0)
        assert wait.next_ns == most_ns


class _Wait:
    next_ns = tries = 0


class _Order:
    def __init__(self, waits: bool) -> None:
        self.waits_for_fills = waits

    def provable_ns(self, margin_ns: int) -> int | None:
        assert margin_ns > 0
        return None
