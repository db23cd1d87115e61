"""A client that others wrote works against the simulated exchanges, its addresses overridden and nothing else."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import ccxt
import ccxt.pro as ccxtpro
import pytest
import pytest_asyncio

from gambit.sim.server import Server
from gambit.sim.world import Scenario, World

pytestmark = pytest.mark.asyncio(loop_scope="module")

SYMBOLS = ("BTC-USDT", "ETH-USDT")
QUOTES = {"kraken": "USD", "coinbase": "USD"}
WAIT_S = 60.0
FAR_BELOW = Decimal("0.9")


class Clock:
    """Real time that can be stopped, so that a market stands still to be looked at."""

    def __init__(self) -> None:
        self.stopped_ns = 0

    def now_ns(self) -> int:
        return self.stopped_ns or time.time_ns()


def binance(entry: dict[str, str]) -> Any:
    rest, ws = entry["rest"], entry["ws"]
    addresses = {
        "public": f"{rest}/api/v3",
        "private": f"{rest}/api/v3",
        "sapi": f"{rest}/sapi/v1",
        "ws": {"spot": f"{ws}/ws", "ws-api": {"spot": entry["ws_private"]}},
    }
    options = {"fetchMargins": False, "fetchCurrencies": False, "fetchMarkets": {"types": ["spot"]}}
    return client(ccxtpro.binance, entry, addresses, options)


def okx(entry: dict[str, str]) -> Any:
    addresses = {"rest": entry["rest"], "ws": entry["ws"].removesuffix("/public")}
    return client(ccxtpro.okx, entry, addresses, {"fetchMarkets": {"types": ["spot"]}})


def bybit(entry: dict[str, str]) -> Any:
    rest, ws = entry["rest"], entry["ws_private"].removesuffix("/private")
    private = {"spot": {"unified": f"{ws}/private"}, "contract": f"{ws}/private", "trade": f"{ws}/trade"}
    addresses = {"public": rest, "private": rest, "ws": {"public": {"spot": entry["ws"]}, "private": private}}
    options = {"enableUnifiedAccount": True, "enableUnifiedMargin": False, "fetchMarkets": {"types": ["spot"]}}
    return client(ccxtpro.bybit, entry, addresses, options)


def kraken(entry: dict[str, str]) -> Any:
    rest, ws = entry["rest"], {"publicV2": entry["ws"], "privateV2": entry["ws_private"]}
    addresses = {"public": rest, "private": rest, "ws": ws | {"private": entry["ws_private"]}}
    return client(ccxtpro.kraken, entry, addresses, {})


def coinbase(entry: dict[str, str]) -> Any:
    options = {"fetchBalance": "v3PrivateGetBrokerageAccounts", "fetchTime": "v3PublicGetBrokerageTime"}
    return client(ccxtpro.coinbase, entry, {"rest": entry["rest"], "ws": entry["ws"]}, options)


def client(made: Callable[[dict[str, Any]], Any], entry: dict[str, str], urls: Any, options: Any) -> Any:
    """A ccxt.pro exchange at the simulated addresses."""
    exchange = made(
        {
            "apiKey": entry["key"],
            "secret": entry["secret"],
            "password": entry["passphrase"],
            "enableRateLimit": False,
            "urls": {"api": urls},
            "options": {"defaultType": "spot", **options},
        }
    )
    exchange.has["fetchCurrencies"] = False
    return exchange


CLIENTS = {"binance": binance, "okx": okx, "bybit": bybit, "kraken": kraken, "coinbase": coinbase}


class Place:
    """One simulated venue with one ccxt client."""

    def __init__(self, server: Server, venue: str, clock: Clock) -> None:
        self.clock = clock
        self.exchange = server.world.exchanges[venue]
        self.ccxt = CLIENTS[venue](server.entry(venue))
        self.quote = QUOTES.get(venue, "USDT")
        self.symbol = f"BTC/{self.quote}"
        self.name = f"BTC-{self.quote}"

    @property
    def book(self) -> Any:
        """The venue's own book."""
        return self.exchange.books[self.name]

    def levels(self, side: str) -> list[tuple[Decimal, Decimal]]:
        """The venue's own levels of a side as numbers, best first."""
        item = self.book.instrument
        return [
            (Decimal(ticks * item.tick).scaleb(-item.price_decimals), Decimal(lots).scaleb(-item.lot_decimals))
            for ticks, lots in getattr(self.book, side).levels()
        ]

    def low_price(self) -> float:
        """A price at which a buy order rests, a whole number."""
        return float(int(self.levels("bids")[0][0] * FAR_BELOW))

    async def order(self, *args: Any, **params: Any) -> dict[str, Any]:
        """Create an order and read it back."""
        made = await self.ccxt.create_order(self.symbol, *args, params)
        return await self.fetch(made["id"])

    async def fetch(self, order_id: str) -> dict[str, Any]:
        """An order as the venue tells it."""
        return await self.ccxt.fetch_order(order_id, self.symbol, {"acknowledged": True})


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=list(CLIENTS))
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """A venue in this process, and ccxt connected to it."""
    venue, clock = request.param, Clock()
    symbols = tuple(name.replace("USDT", QUOTES.get(venue, "USDT")) for name in SYMBOLS)
    world = World([venue], Scenario(symbols=symbols), seed=7, start_ns=clock.now_ns())
    async with Server(world, clock.now_ns) as server:
        place = Place(server, venue, clock)
        try:
            await place.ccxt.load_markets()
            yield place
        finally:
            await place.ccxt.close()


async def test_markets(place: Place) -> None:
    """Both symbols are listed with the venue's own tick and smallest quantity."""
    market = place.ccxt.market(place.symbol)
    item = place.book.instrument
    assert sorted(place.ccxt.symbols) == sorted(name.replace("-", "/") for name in place.exchange.books)
    assert Decimal(str(market["precision"]["price"])) == Decimal(item.tick).scaleb(-item.price_decimals)
    assert Decimal(str(market["precision"]["amount"])) == Decimal(item.lot).scaleb(-item.lot_decimals)
    assert Decimal(str(market["limits"]["amount"]["min"])) == Decimal(item.min_lots).scaleb(-item.lot_decimals)


async def test_a_watched_book_is_the_venues_own(place: Place) -> None:
    """A book kept by ccxt from snapshot and updates has the venue's levels, all of its own depth."""
    for _ in range(15):
        await place.ccxt.watch_order_book(place.symbol)
    place.clock.stopped_ns = place.clock.now_ns()
    try:
        async with asyncio.timeout(WAIT_S):
            while not same_levels(place):
                await asyncio.sleep(0.01)
    finally:
        place.clock.stopped_ns = 0


def same_levels(place: Place) -> bool:
    """Whether ccxt's book and the venue's are one and the same, as deep as ccxt keeps it."""
    theirs = place.ccxt.orderbooks[place.symbol]
    for side in ("bids", "asks"):
        kept = [(Decimal(str(price)), Decimal(str(qty))) for price, qty, *_rest in theirs[side]]
        if len(kept) < 10 or kept != place.levels(side)[: len(kept)]:
            return False
    return True


async def test_the_life_of_a_resting_order(place: Place) -> None:
    """Placed, seen among the open ones, its money set aside, canceled, its money back."""
    before = await place.ccxt.fetch_balance()
    order = await place.order("limit", "buy", 0.01, place.low_price())
    assert order["status"] == "open"
    during = await place.ccxt.fetch_balance()
    assert during[place.quote]["used"] >= 0.01 * place.low_price() * 0.99
    assert [seen["id"] for seen in await place.ccxt.fetch_open_orders(place.symbol)] == [order["id"]]
    await place.ccxt.cancel_order(order["id"], place.symbol)
    assert (await place.fetch(order["id"]))["status"] == "canceled"
    assert await place.ccxt.fetch_open_orders(place.symbol) == []
    assert (await place.ccxt.fetch_balance())[place.quote] == before[place.quote]


async def test_a_fill_is_in_trades_balance_and_ledger(place: Place) -> None:
    """An order that takes is filled at once; trades and fees add up to the balances and to the venue's ledger."""
    before = await place.ccxt.fetch_balance()
    price = float(int(place.levels("asks")[0][0] * Decimal("1.01")))
    order = await place.order("limit", "buy", 0.05, price, timeInForce="IOC")
    assert (order["status"], order["filled"]) == ("closed", 0.05)
    trades = [t for t in await place.ccxt.fetch_my_trades(place.symbol) if t["order"] == order["id"]]
    fills = [f for f in place.exchange.ledger.fills if str(f.order_id) in venue_ids(place, order["id"])]
    assert sum(t["amount"] for t in trades) == pytest.approx(0.05, abs=1e-12)
    assert len(trades) == len(fills) > 0
    after = await place.ccxt.fetch_balance()
    assert after["BTC"]["total"] - before["BTC"]["total"] == pytest.approx(0.05, rel=1e-3)
    account = place.exchange.accounts["demo"]
    assert Decimal(str(after["BTC"]["total"])) == Decimal(account.balance("BTC").free).scaleb(-18)


def venue_ids(place: Place, order_id: str) -> set[str]:
    """The exchange's number of the order that ccxt calls `order_id`; some venues spell it otherwise."""
    account = place.exchange.accounts["demo"]
    orders = place.exchange.desk.orders_of(account)
    return {order_id} | ({str(orders[-1].order_id)} if orders else set())


async def test_refusals_are_the_venues_own(place: Place) -> None:
    """Too much for the balance is InsufficientFunds, an order that does not exist is not found."""
    with pytest.raises(ccxt.InsufficientFunds):
        await place.ccxt.create_order(place.symbol, "limit", "buy", 30, place.low_price())
    with pytest.raises((ccxt.OrderNotFound, ccxt.InvalidOrder, ccxt.ExchangeError)):
        await place.ccxt.cancel_order("1", place.symbol)


async def test_post_only_never_takes(place: Place) -> None:
    """A post-only order that would take does not fill."""
    price = float(int(place.levels("asks")[0][0] * Decimal("1.01")))
    try:
        order = await place.order("limit", "buy", 0.01, price, postOnly=True)
    except ccxt.BaseError:
        return
    assert (order["status"], order["filled"]) in (("canceled", 0.0), ("rejected", 0.0), ("canceled", None))


async def test_watched_orders_tell_the_fill(place: Place) -> None:
    """The private stream reports an order that takes, with what was filled."""
    watching = asyncio.create_task(first_filled(place))
    async with asyncio.timeout(WAIT_S):
        while not any(session.facts["private"] for session in place.exchange.sessions.values()):
            await asyncio.sleep(0.01)
    price = float(int(place.levels("bids")[0][0] * Decimal("0.99")))
    await place.ccxt.create_order(place.symbol, "limit", "sell", 0.01, price)
    async with asyncio.timeout(WAIT_S):
        assert (await watching)["filled"] == pytest.approx(0.01)


async def first_filled(place: Place) -> dict[str, Any]:
    """Watch until an order is filled whole."""
    while True:
        for order in await place.ccxt.watch_orders():
            if order["filled"] and order["filled"] == pytest.approx(0.01):
                return order


async def test_orders_over_the_websocket(place: Place) -> None:
    """Where ccxt orders over a WebSocket, an order placed and canceled there is canceled."""
    if not place.ccxt.has["createOrderWs"]:
        pytest.skip("ccxt does not order over a WebSocket here")
    async with asyncio.timeout(WAIT_S):
        made = await place.ccxt.create_order_ws(place.symbol, "limit", "buy", 0.01, place.low_price())
        assert (await place.fetch(made["id"]))["status"] == "open"
        await place.ccxt.cancel_order_ws(made["id"], *([] if place.exchange.venue == "kraken" else [place.symbol]))
        assert (await place.fetch(made["id"]))["status"] == "canceled"


async def test_nothing_was_blocked(place: Place) -> None:
    """All this stayed within the venue's rate budgets."""
    assert all(limit["exceeded"] == 0 for limit in place.exchange.ledger.limits.values())
