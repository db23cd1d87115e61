"""Feeds of all five venues against the simulated exchanges, over real sockets: the books are the exchanges' own, and
faults of the market data cost a book for a moment and nothing else."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from gambit.config.settings import Config, VenueSettings
from gambit.events.feed import BookLost, BookSynced
from gambit.runtime.clock import SystemClock
from gambit.runtime.feed import Feeds
from gambit.runtime.http import AiohttpClient
from gambit.runtime.transport import PicowsTransport
from gambit.runtime.wiring import build_market, feed_settings
from gambit.sim.server import Server
from gambit.sim.verbs import FaultOrder
from gambit.sim.world import DIALECTS, Scenario, World
from tests.runtime.feeding import Watcher

SYMBOLS = ("BTC-USDT", "ETH-USDT")
BOOKS = len(DIALECTS) * len(SYMBOLS)
LEVELS = 10
WAIT_SEC = 60


class Clock:
    """Real time that can be stopped, so that a market stands still to be looked at."""

    def __init__(self) -> None:
        self.stopped_ns = 0

    def now_ns(self) -> int:
        return self.stopped_ns or time.time_ns()


class Floor:
    """The exchanges and the feeds that follow them."""

    def __init__(self, world: World, server: Server, clock: Clock) -> None:
        self.world = world
        self.clock = clock
        self.watcher = Watcher()
        self.deaths: list[Any] = []
        self.http = AiohttpClient()
        venues = {
            entry["venue"]: VenueSettings(ws_url=entry["ws"], rest_url=entry["rest"]) for entry in server.entries()
        }
        config = Config(symbols=SYMBOLS, venues=venues)
        self.market = build_market(config, is_live=True)
        own = SystemClock()
        self.feeds = Feeds(
            self.market,
            feed_settings(config),
            transport=PicowsTransport(own.now_ns),
            http=self.http,
            clock=own,
            random=random.Random(1).random,
            on_death=lambda name, error: self.deaths.append((name, error)),
            observer=self.watcher,
        )

    async def all_synced(self) -> None:
        """Wait until every book is."""
        async with asyncio.timeout(WAIT_SEC):
            while sum(state[0] for state in self.market.pairs.states()) < BOOKS:
                await asyncio.sleep(0.01)

    def differences(self) -> list[str]:
        """The books that are not the exchange's own, best levels first."""
        return [
            f"{venue} {symbol}" for venue in self.world.exchanges for symbol in SYMBOLS if not self._same(venue, symbol)
        ]

    def _same(self, venue: str, symbol: str) -> bool:
        theirs = self.world.exchanges[venue].books[symbol]
        ours = next(book for book in self.market.books() if (book["venue"], book["symbol"]) == (venue, symbol))
        item = theirs.instrument
        return all(
            [(Decimal(price), Decimal(qty)) for price, qty in ours[name][:LEVELS]]
            == [
                (
                    Decimal(ticks * item.tick).scaleb(-item.price_decimals),
                    Decimal(lots * item.lot).scaleb(-item.lot_decimals),
                )
                for ticks, lots in side.levels()[:LEVELS]
            ]
            for name, side in (("bids", theirs.bids), ("asks", theirs.asks))
        )

    async def stand_still(self) -> None:
        """Stop the market and wait until what was under way has arrived."""
        self.clock.stopped_ns = self.clock.now_ns()
        async with asyncio.timeout(WAIT_SEC):
            while self.differences():
                await asyncio.sleep(0.02)
        self.clock.stopped_ns = 0


@pytest.fixture
async def floor() -> AsyncIterator[Floor]:
    """All five venues, live."""
    clock = Clock()
    world = World(list(DIALECTS), Scenario(symbols=SYMBOLS, levels=30), seed=5, start_ns=clock.now_ns())
    async with Server(world, clock.now_ns) as server:
        floor = Floor(world, server, clock)
        await floor.feeds.start()
        await floor.all_synced()
        yield floor
        await floor.feeds.stop()
        await floor.http.close()
    assert floor.deaths == []


async def test_books_are_the_exchanges_own(floor: Floor) -> None:
    """Every level of the best ten, to the last digit, after some time of updates."""
    while floor.market.hot.venue_counts(0)["frames"] < 30:
        await asyncio.sleep(0.01)
    await floor.stand_still()
    counts = [floor.market.book(market, levels=False) for market in range(BOOKS)]
    assert [
        book for book in counts if book is None or book["gaps"] or book["quarantined"] or book["checksums_bad"]
    ] == []
    assert {status.state for status in floor.feeds.statuses()} == {"up"}


@pytest.mark.parametrize(
    ("kind", "args", "reasons"),
    [
        ("gap", {}, {"gap", "checksum"}),
        ("poison", {"value": "NaN"}, {"bad_frame"}),
        ("cross", {}, {"crossed"}),
        ("disconnect", {"code": 1006}, {"disconnected"}),
    ],
)
async def test_faults_cost_a_book_for_a_moment(
    floor: Floor, kind: str, args: dict[str, Any], reasons: set[str]
) -> None:
    """On each venue; afterwards all books are synced and the exchanges' own again."""
    for exchange in floor.world.exchanges.values():
        match = {} if kind == "disconnect" else {"symbol": "BTC-USDT"}
        exchange.strike(FaultOrder(kind=kind, args=args, match=match, count=1))
    async with asyncio.timeout(WAIT_SEC):
        while len({fact.venue for fact in floor.watcher.of(BookLost)}) < len(DIALECTS):
            floor.watcher.came.clear()
            await floor.watcher.came.wait()
    await floor.watcher.until(BookSynced, BOOKS + len(floor.watcher.of(BookLost)), WAIT_SEC)
    await floor.all_synced()
    assert reasons.intersection(fact.reason for fact in floor.watcher.of(BookLost))
    await floor.stand_still()
