"""Feeds against a scripted exchange on loopback: real sockets, real time, events instead of sleeps."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from gambit.config import Config
from gambit.events.feed import BookLost, BookSynced, FeedDown, FeedUp
from gambit.runtime.clock import SystemClock
from gambit.runtime.feed import Feeds, FeedSettings, FeedStatus
from gambit.runtime.http import AiohttpClient
from gambit.runtime.stream import Observer
from gambit.runtime.transport import PicowsTransport, Transport, WebsocketsTransport
from gambit.runtime.wiring import build_market
from gambit.venues import VENUES
from tests.runtime.exchange import Exchange

SYMBOLS = ("BTC-USDT", "ETH-USDT")
TRANSPORTS: tuple[Callable[[Callable[[], int]], Transport], ...] = (PicowsTransport, WebsocketsTransport)


class Watcher(Observer):
    """Keeps the facts; a test waits for one."""

    def __init__(self) -> None:
        self.facts: list[Any] = []
        self.came = asyncio.Event()

    def fact(self, fact: object) -> None:
        self.facts.append(fact)
        self.came.set()

    def of(self, kind: type) -> list[Any]:
        """The facts of a kind so far."""
        return [fact for fact in self.facts if isinstance(fact, kind)]

    async def until(self, kind: type, count: int, timeout_sec: float = 10) -> list[Any]:
        """Wait until there were so many of a kind."""
        async with asyncio.timeout(timeout_sec):
            while len(self.of(kind)) < count:
                self.came.clear()
                await self.came.wait()
        return self.of(kind)


class Setup:
    """One venue's feed and the exchange it talks to."""

    def __init__(self, exchange: Exchange, transport: Callable[[Callable[[], int]], Transport], **more: Any) -> None:
        clock = SystemClock()
        self.exchange = exchange
        self.watcher = Watcher()
        self.deaths: list[tuple[str, BaseException | None]] = []
        self.said: list[str] = []
        self.pulses = 0
        self.http = AiohttpClient()
        self.market = build_market(Config(symbols=SYMBOLS), is_live=True)
        settings = {"venue": VENUES["okx"], "symbols": SYMBOLS, "ws": exchange.url, "rest": exchange.rest, **more}
        self.feeds = Feeds(
            self.market,
            [FeedSettings(**settings)],
            transport=transport(clock.now_ns),
            http=self.http,
            clock=clock,
            random=random.Random(1).random,
            on_death=lambda name, error: self.deaths.append((name, error)),
            observer=self.watcher,
            pulse=self.pulse,
            warn=self.said.append,
        )

    def pulse(self) -> None:
        self.pulses += 1

    async def synced(self) -> None:
        """Start, and wait for both books."""
        await self.feeds.start()
        await self.watcher.until(BookSynced, 2)

    def status(self) -> FeedStatus:
        """Of the venue, as of now."""
        self.feeds.health.look()
        return self.feeds.statuses()[0]

    async def stop(self) -> None:
        await self.feeds.stop()
        await self.http.close()


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    """A scripted exchange."""
    found = await Exchange().start()
    yield found
    await found.stop()


@pytest.fixture(params=TRANSPORTS, ids=["picows", "websockets"])
async def setup(exchange: Exchange, request: pytest.FixtureRequest) -> AsyncIterator[Setup]:
    """A feed of two books, over either transport."""
    found = Setup(exchange, request.param)
    yield found
    await found.stop()
    assert found.deaths == []


async def test_books_come_live(setup: Setup) -> None:
    """Connected, subscribed in one request, both books synced and equal to the venue's; status says so."""
    await setup.synced()
    assert setup.exchange.heard[0]["op"] == "subscribe"
    assert len(setup.exchange.heard) == 1
    assert setup.watcher.of(FeedUp) == [FeedUp(venue="okx", conn="okx-0a")]
    book = setup.market.book(0)
    assert book is not None
    assert (book["bids"], book["asks"]) == ([["99", "5"]], [["101", "5"]])
    status = setup.status()
    assert (status.state, status.books, status.books_synced, status.connections_up) == ("up", 2, 2, 1)
    assert setup.pulses > 0


async def test_a_gap_is_healed_by_subscribing_anew(setup: Setup) -> None:
    """Only the book that lost something, by leaving its channel and coming back (F56)."""
    await setup.synced()
    await setup.exchange.update("BTC-USDT", skip=1)
    lost = await setup.watcher.until(BookLost, 1)
    assert lost == [BookLost(venue="okx", symbol="BTC-USDT", reason="gap")]
    await setup.watcher.until(BookSynced, 3)
    assert [request["op"] for request in setup.exchange.heard] == ["subscribe", "unsubscribe", "subscribe"]
    assert setup.exchange.subscriptions("ETH-USDT") == 1
    assert setup.status().resync_reasons == {"gap": 1}


async def test_a_cut_connection_comes_back(setup: Setup) -> None:
    """Its books are unsynced at once and synced again on the next connection."""
    await setup.synced()
    await setup.exchange.sockets[0].close(code=1012, message=b"restart")
    await setup.watcher.until(BookSynced, 4)
    assert [down.reason for down in setup.watcher.of(FeedDown)] == ["closed by the venue: 1012 restart"]
    assert {fact.reason for fact in setup.watcher.of(BookLost)} == {"disconnected"}
    assert setup.status().reconnects == 1


async def test_what_a_venue_does_not_list_is_left_out(exchange: Exchange) -> None:
    """It is said, and the others are fed."""
    setup = Setup(exchange, PicowsTransport, symbols=("BTC-USDT", "ETH-USDT", "FOO-USDT"))
    await setup.synced()
    assert setup.said == ["okx does not list FOO-USDT; it is left out there"]
    assert setup.status().missing == ("FOO-USDT",)
    await setup.stop()
