"""Orders at exchanges without an adapter: ccxt between us and the simulated ones, whose ledgers are the truth."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, cast

import pytest

from gambit.commands import CancelOrder, Command, PlaceOrder, QueryBalances, QueryFills, QueryOrder, client_order_id
from gambit.events import Fact
from gambit.events.operation import AccountHeld
from gambit.events.orders import (
    Acked,
    BalanceRead,
    Cancelled,
    CancelRejected,
    Expired,
    Filled,
    FillsRead,
    ForeignOrderSeen,
    OrderFound,
    OrderIntended,
    OrderMissing,
    OutcomeUnknown,
    Rejected,
    Sent,
    Unsent,
)
from gambit.runtime import generic_port
from gambit.runtime.clock import SystemClock
from gambit.runtime.generic import account_client
from gambit.runtime.generic_port import GenericPort
from gambit.runtime.status import FeedSettings
from gambit.sim.server import Server
from gambit.sim.verbs import FaultOrder
from gambit.sim.world import Scenario
from gambit.venues.generic import Generic
from gambit.venues.orders import Keys
from tests.e2e.live import exchanges, until
from tests.e2e.test_live_trading import keys_of
from tests.e2e.test_watchdog import open_orders

ccxt: Any = pytest.importorskip("ccxt")
SYMBOL = "BTC-USDT"
MARKETS = {SYMBOL: "BTC/USDT"}
CALM = Scenario(symbols=(SYMBOL,), dislocations_per_s=0.0)
PLACES = {
    "binance": "/api/v3/order",
    "okx": "/api/v5/trade/order",
    "bybit": "/v5/order/create",
    "kraken": "/0/private/AddOrder",
    "coinbase": "/api/v3/brokerage/orders",
}


class Case:
    """One account over the library, and what it tells."""

    def __init__(
        self, server: Server, venue: str, keys: Keys | None = None, spellings: Mapping[str, str] = MARKETS
    ) -> None:
        entry = server.entry(venue)
        settings = FeedSettings(
            venue=Generic(venue), symbols=(SYMBOL,), ws=entry["ws"], rest=entry["rest"], adapter=venue
        )
        self.server, self.venue = server, venue
        self.facts: list[Fact] = []
        self.held: list[AccountHeld] = []
        self.said: list[str] = []
        self.compared = 0
        self.why_not: str | None = None
        self.tasks: set[asyncio.Task[object]] = set()
        self._count = 0

        def start(_name: str, work: Coroutine[Any, Any, object]) -> None:
            task = asyncio.get_running_loop().create_task(work)
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

        def compare() -> None:
            self.compared += 1

        client = account_client(settings, keys or keys_of(server)[venue])
        client.rateLimit = 50  # ms; the library's own is for whole lives
        self.port = GenericPort(
            venue, client, spellings, SystemClock(),
            deliver=self.facts.extend, reconcile=compare, start=start, why_not=lambda _command: self.why_not,
            warn=self.said.append, on_held=self.held.append, symbols=[SYMBOL],
        )  # fmt: skip

    def do(self, command: Command) -> None:
        """Send it, as the desk's shell does."""
        self.facts += self.port.send(command, self.server._now_ns())

    def buy(self, price: Decimal, *, tif: str = "ioc", qty: str = "0.01") -> str:
        """A limit order; its key."""
        self._count += 1
        key = client_order_id("gb", 1, self._count, str(self._count))
        intent: Any = {
            "key": key, "venue": self.venue, "order_id": "o", "plan_id": "p", "user_id": "u", "idempotency_key": "i",
            "symbol": SYMBOL, "base": "BTC", "quote": "USDT", "side": "buy", "qty": Decimal(qty), "price": price,
            "tif": tif, "purpose": "entry", "leg": 0, "fee_bps": Decimal(10), "window_ns": None,
        }  # fmt: skip
        self.do(PlaceOrder(OrderIntended(**intent)))
        return key

    async def told(self, kind: type, key: str = "") -> Any:
        """The first fact of a kind, about an order where that is given."""
        found: list[Any] = []

        def is_there() -> bool:
            found[:] = [f for f in self.facts if isinstance(f, kind) and (not key or getattr(f, "key", "") == key)]
            return bool(found)

        await until(is_there)
        return found[0]

    def kinds(self, key: str) -> list[type]:
        """What became of an order, in order."""
        return [type(fact) for fact in self.facts if getattr(fact, "key", "") == key]


@asynccontextmanager
async def account(venue: str, keys: Keys | None = None, spellings: Mapping[str, str] = MARKETS) -> AsyncIterator[Case]:
    """At a calm exchange; where the markets are known, the open orders are listed."""
    async with exchanges(CALM) as server:
        case = Case(server, venue, keys, spellings)
        try:
            await case.port.client.load_markets()
            case.port.on_time(cast(Any, None), 0)
            await until(lambda: case.port.is_up or case.held or not spellings)
            yield case
        finally:
            for task in case.tasks:
                task.cancel()
            await asyncio.gather(*case.tasks, return_exceptions=True)
            await case.port.close()


@pytest.mark.parametrize("venue", list(PLACES))
async def test_the_life_of_orders(venue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Filled, rested and cancelled, found and not found, counted: as the exchange's ledger has it, to the last
    digit."""
    monkeypatch.setattr(generic_port, "WATCH_SEC", 0.1)
    async with account(venue) as case:
        assert case.compared == 1
        key = case.buy(Decimal(70_000))
        fill = await case.told(Filled, key)
        await until(lambda: sum(f.qty for f in case.facts if isinstance(f, Filled)) == Decimal("0.01"))
        assert case.kinds(key)[:2] == [Sent, Acked]
        ledger = case.server.world.exchanges[venue].ledger
        truth = {(str(one["price"]), str(one["qty"])) for one in map(ledger.fill_entry, ledger.fills)}
        ours = {f for f in case.facts if isinstance(f, Filled)}
        assert {Decimal(p) * Decimal(q) for p, q in truth} >= {f.price * f.qty for f in ours}
        assert fill.fee > 0
        resting = case.buy(Decimal(30_000), tif="gtc")
        acked = await case.told(Acked, resting)
        assert open_orders(case.server)[venue] == {resting}
        case.do(CancelOrder(venue=venue, symbol=SYMBOL, key=resting, venue_order_id=acked.venue_order_id))
        assert (await case.told(Cancelled, resting)).cum_qty == 0
        assert open_orders(case.server)[venue] == set()
        unfilled = case.buy(Decimal(30_000))
        ended = await until_either(case, unfilled)
        assert ended.cum_qty == 0
        case.do(QueryOrder(venue=venue, symbol=SYMBOL, key=key, query_id=1))
        found = await case.told(OrderFound, key)
        assert (found.found_as, found.cum_qty) == ("filled", Decimal("0.01"))
        stranger = client_order_id("gb", 7, 7, "never sent")
        case.do(QueryOrder(venue=venue, symbol=SYMBOL, key=stranger, query_id=2))
        await case.told(OrderMissing, stranger)
        case.do(QueryFills(venue=venue, symbol=SYMBOL, since_ns=0, query_id=3))
        assert sum(f.qty for f in (await case.told(FillsRead)).fills) == Decimal("0.01")
        case.do(QueryBalances(venue=venue, query_id=4))
        truth_of = case.server.world.exchanges[venue].accounts["demo"].balances
        read = await case.told(BalanceRead)
        assert read.free["BTC"] == Decimal(truth_of["BTC"].free).scaleb(-18)


async def until_either(case: Case, key: str) -> Any:
    """An order that fills nothing ends expired or cancelled, as its exchange calls it."""
    await until(lambda: {Expired, Cancelled} & set(case.kinds(key)))
    return next(f for f in case.facts if isinstance(f, Expired | Cancelled) and f.key == key)


async def test_an_open_order_that_is_not_listed_any_more_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no stream that would say so; it is told once."""
    monkeypatch.setattr(generic_port, "LISTED_NS", 0)
    async with account("binance") as case:
        key = case.buy(Decimal(30_000), tif="gtc")
        acked = await case.told(Acked, key)

        def seen() -> list[bool]:
            facts = (fact for fact in case.facts if isinstance(fact, ForeignOrderSeen))
            return [fact.is_open for fact in facts if fact.client_id == key]

        async def listed(*expected: bool) -> None:
            case.port.on_time(cast(Any, None), 0)
            await until(lambda: seen() == [*expected])

        await listed(True)
        await listed(True, True)
        case.do(CancelOrder(venue="binance", symbol=SYMBOL, key=key, venue_order_id=acked.venue_order_id))
        await case.told(Cancelled, key)
        await listed(True, True, False)


@pytest.mark.parametrize("applied", [True, False])
async def test_an_answer_that_is_lost_leaves_it_unknown_and_it_is_sent_once(applied: bool) -> None:
    """The library repeats nothing; what became of it is found by our id."""
    async with account("binance") as case:
        fault = FaultOrder(
            kind="http", args={"status": 503, "applied": applied}, match={"path": PLACES["binance"], "method": "POST"}
        )
        case.server.world.exchanges["binance"].strike(fault)
        key = case.buy(Decimal(30_000), tif="gtc")
        assert (await case.told(OutcomeUnknown, key)).during == "create"
        orders = case.server.world.exchanges["binance"].ledger.orders
        assert len(orders) == applied
        case.do(QueryOrder(venue="binance", symbol=SYMBOL, key=key, query_id=1))
        await case.told(OrderFound if applied else OrderMissing, key)
        if applied:
            case.do(CancelOrder(venue="binance", symbol=SYMBOL, key=key))
            await until(lambda: open_orders(case.server)["binance"] == set())


async def test_refusals_and_what_never_leaves() -> None:
    """Funds, a gate, a market that is not listed, a used up budget; a cancel of what is not there."""
    async with account("okx") as case:
        poor = case.buy(Decimal(60_000), qty="50")
        assert (await case.told(Rejected, poor)).code == "51008"
        case.why_not = "trading is halted"
        gated = case.buy(Decimal(30_000))
        assert (await case.told(Unsent, gated)).reason == "trading is halted"
        case.why_not = None
        case.do(CancelOrder(venue="okx", symbol=SYMBOL, key=gated))
        assert (await case.told(CancelRejected, gated)).code == "missing"
        keys = [case.buy(Decimal(30_000)) for _ in range(20)]
        assert any(isinstance(f, Unsent) and "budget" in f.reason and f.key in keys for f in case.facts)


@pytest.mark.parametrize("venue", ["binance", "kraken"])
async def test_keys_that_are_refused_hold_the_account(venue: str) -> None:
    """By the class or by the words alone; other keys release it."""
    wrong = Keys(key="wrong", secret="d3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmc=", passphrase="wrong")
    async with account(venue, wrong) as case:
        assert [fact.cause for fact in case.held] == ["auth"]
        key = case.buy(Decimal(30_000))
        assert case.kinds(key) == [Unsent]
        case.port.release(keys_of(case.server)[venue])
        case.port.on_time(cast(Any, None), 0)
        await until(lambda: case.port.is_up)


async def test_executions_that_cannot_be_read_are_told_by_a_warning_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fee in two currencies: the order stays under way, asked about again, and said once; a list of executions is
    whole or none. When the fee can be read, everything is told."""
    monkeypatch.setattr(generic_port, "WATCH_SEC", 0.01)
    monkeypatch.setattr(generic_port, "WATCH_SEC_MAX", 0.01)
    async with account("binance") as case:
        right, asked = case.port.client.fetch_my_trades, 0
        double = [{"cost": "0.1", "currency": "BTC"}, {"cost": "0.1", "currency": "BNB"}]

        async def two_fees(*args: Any) -> list[Any]:
            nonlocal asked
            asked += 1
            return [row | {"fees": double} for row in await right(*args)]

        def said() -> list[str]:
            return [text for text in case.said if "2 currencies" in text]

        monkeypatch.setattr(case.port.client, "fetch_my_trades", two_fees)
        key = case.buy(Decimal(70_000))
        await until(lambda: asked > 2)
        assert [key in text for text in said()] == [True]
        case.do(QueryFills(venue="binance", symbol=SYMBOL, since_ns=0, query_id=1))
        await until(lambda: len(said()) > 1)
        assert SYMBOL in said()[1]
        assert not [fact for fact in case.facts if isinstance(fact, Filled | FillsRead)]
        monkeypatch.setattr(case.port.client, "fetch_my_trades", right)
        await until(lambda: sum(f.qty for f in case.facts if isinstance(f, Filled)) == Decimal("0.01"))
        case.do(QueryFills(venue="binance", symbol=SYMBOL, since_ns=0, query_id=2))
        assert sum(f.qty for f in (await case.told(FillsRead)).fills) == Decimal("0.01")


async def test_an_account_whose_markets_are_not_known_yet() -> None:
    """It is not up and calls nobody; questions about its orders end nothing. It is up once the list came and the open
    orders of its markets are listed, and again so for each market that is new; other markets are not asked about."""
    async with account("binance", spellings={}) as case:
        client, port = case.port.client, case.port
        listed: list[str] = []
        right = client.fetch_open_orders

        async def fetch_open_orders(spelling: str) -> Any:
            listed.append(spelling)
            return await right(spelling)

        client.fetch_open_orders = fetch_open_orders
        assert (port.is_up, port.reason) == (False, "its markets are not known yet")
        port.on_time(cast(Any, None), 0)
        key = case.buy(Decimal(30_000))
        assert case.kinds(key) == [Unsent]
        case.do(QueryOrder(venue="binance", symbol=SYMBOL, key=key, query_id=1))
        case.do(CancelOrder(venue="binance", symbol=SYMBOL, key=key))
        assert (await case.told(CancelRejected, key)).code == "unsent"
        await until(lambda: not case.tasks)
        assert (listed, port.is_up) == ([], False)
        assert not [fact for fact in case.facts if isinstance(fact, OrderMissing | OutcomeUnknown)]
        port.learn({SYMBOL: "BTC/USDT", "ETH-USDT": "ETH/USDT"})
        assert port.reason == "the open orders are not known yet"
        port.on_time(cast(Any, None), 0)
        await until(lambda: port.is_up)
        port.learn({SYMBOL: "BTC/USDT"})
        assert (listed, port.is_up) == (["BTC/USDT"], True)
        resting = case.buy(Decimal(30_000), tif="gtc")
        await case.told(Acked, resting)


async def test_a_price_goes_out_as_the_exchange_counts_its_digits() -> None:
    """The library rounds to the nearest, which may be beyond our limit: it gets nothing to round."""
    async with account("binance") as case:
        client, sent = case.port.client, list[Any]()

        async def create_order(*args: Any) -> Any:
            sent.append(args)
            raise NotImplementedError

        client.create_order, client.precisionMode = create_order, ccxt.SIGNIFICANT_DIGITS
        client.markets["BTC/USDT"]["precision"]["price"] = 5
        await case.told(OutcomeUnknown, case.buy(Decimal("64012.67")))
        assert sent[0][:5] == ("BTC/USDT", "limit", "buy", "0.01", "64012")
        client.markets["BTC/USDT"]["precision"]["price"] = None
        unknown = case.buy(Decimal("64012.67"))
        assert "writes prices" in (await case.told(Unsent, unknown)).reason
        assert len(sent) == 1
    finex = ccxt.bitfinex()
    finex.markets = {"BTC/USDT": {"symbol": "BTC/USDT", "precision": {"amount": 8, "price": 5}}}
    assert [finex.price_to_precision("BTC/USDT", text) for text in ("64012.67", "64012")] == ["64013", "64012"]


async def test_a_list_of_executions_is_whole_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Page after page; one that cannot be had is told by a warning, and the desk asks again."""
    async with account("binance") as case:
        key = case.buy(Decimal(70_000))
        await until(lambda: sum(f.qty for f in case.facts if isinstance(f, Filled) and f.key == key) == Decimal("0.01"))
        (row, *_), asked = await case.port.client.fetch_my_trades("BTC/USDT"), list[Any]()
        rows = [row | {"id": f"x{k}", "timestamp": 1000 + k} for k in range(250)]

        async def oldest(_spelling: str, since: int, limit: int, params: dict[str, int]) -> list[Any]:
            asked.append((since, limit, params))
            return [one for one in rows if since <= one["timestamp"] <= params.get("until", 9999)][:limit]

        async def latest(_spelling: str, since: int, limit: int, _params: dict[str, int]) -> list[Any]:
            return [one for one in rows if one["timestamp"] >= since][-limit:]

        monkeypatch.setattr(case.port.client, "fetch_my_trades", oldest)
        case.do(QueryFills(venue="binance", symbol=SYMBOL, since_ns=0, query_id=1))
        assert [fill.exec_id for fill in (await case.told(FillsRead)).fills] == [f"x{k}" for k in range(250)]
        assert asked[:2] == [(0, 100, {}), (1099, 100, {})]
        monkeypatch.setattr(case.port.client, "fetch_my_trades", latest)
        case.do(QueryFills(venue="binance", symbol=SYMBOL, since_ns=0, query_id=2))
        await until(lambda: any("more than its pages tell" in text for text in case.said))
        assert [fact.query_id for fact in case.facts if isinstance(fact, FillsRead)] == [1]


async def test_an_exchange_that_denies_ioc_gets_no_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others rest there; it says why it is not up."""

    made = account_client

    def denying(settings: FeedSettings, keys: Keys) -> Any:
        client = made(settings, keys)
        client.features = {"spot": {"createOrder": {"timeInForce": {"IOC": False, "PO": True}}}}
        return client

    monkeypatch.setattr(f"{__name__}.account_client", denying)
    async with exchanges(CALM) as server:
        case = Case(server, "binance")
        try:
            await case.port.client.load_markets()
            key = case.buy(Decimal(70_000))
            assert (case.port.is_up, case.port.reason) == (False, "it takes no immediate-or-cancel orders")
            assert case.kinds(key) == [Unsent]
            assert open_orders(server)["binance"] == set()
        finally:
            await case.port.close()
