"""Other exchanges over ccxt: their books come into the market, marked as the slow path."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from gambit.bootstrap.desk import _learned
from gambit.config.settings import Config, VenueSettings
from gambit.events.feed import BookLost, BookSynced, FeedDown
from gambit.runtime.clock import SystemClock
from gambit.runtime.feed import Feeds
from gambit.runtime.generic import GenericFeed, _instrument, exchanges
from gambit.runtime.status import FeedError
from gambit.runtime.transport import PicowsTransport
from gambit.runtime.wiring import build_market, feed_settings
from gambit.venues.decode import decode
from gambit.venues.generic import Generic, book_frame, listing
from tests.runtime.feeding import Watcher
from tests.runtime.others import ASKS, BIDS, MOVED, Others
from tests.runtime.running import run

ccxt: Any = pytest.importorskip("ccxt")
NO_HTTP: Any = None  # the library makes its own requests


@pytest.fixture
async def others() -> AsyncIterator[Others]:
    """The exchanges."""
    found = await Others().start()
    yield found
    await found.stop()


def config(others: Others, name: str, adapter: str = "ccxt") -> Config:
    """One exchange over ccxt, at the local addresses."""
    venue = VenueSettings(adapter=adapter, ws_url=others.ws, rest_url=others.rest)
    return Config(symbols=("BTC-USDT",), venues={name: venue})


class Other:
    """The feed of one exchange."""

    def __init__(self, settings: Config) -> None:
        clock = SystemClock()
        self.deaths: list[Any] = []
        self.said: list[str] = []
        self.watcher = Watcher()
        self.market = build_market(settings, is_live=True)
        self.feeds = Feeds(
            self.market,
            feed_settings(settings),
            transport=PicowsTransport(clock.now_ns),
            http=NO_HTTP,
            clock=clock,
            random=random.Random(1).random,
            on_death=lambda name, error: self.deaths.append((name, error)),
            observer=self.watcher,
            warn=self.said.append,
        )

    async def until_bids(self, bids: list[list[str]]) -> None:
        """Wait until the book's bids are these."""
        async with asyncio.timeout(60):
            while (self.market.book(0) or {}).get("bids") != bids:
                await asyncio.sleep(0.01)

    async def stop(self) -> None:
        await self.feeds.stop()
        assert self.deaths == []


@pytest.mark.parametrize("name", ["kucoin", "gate", "bitget"])
async def test_its_books_are_those_of_the_exchange(others: Others, name: str) -> None:
    """Snapshot and change, in exact numbers; instruments too; a lost connection loses the book and gets it back."""
    other = Other(config(others, name))
    await other.feeds.start()
    await other.until_bids([MOVED, *BIDS])
    book = other.market.book(0)
    assert book is not None
    assert (book["asks"], book["venue"], book["symbol"], book["quarantined"]) == (ASKS, name, "BTC-USDT", 0)
    other.feeds.look()
    (status,) = other.feeds.statuses()
    assert (status.state, status.is_slow_path, status.connections_up, status.books_synced) == ("up", True, 1, 1)
    tick = other.market.venue(name).catalog.by_symbol["BTC-USDT"].tick
    assert tick == Decimal("0.01" if name == "bitget" else "0.1")
    await others.sockets[0].close()
    await other.watcher.until(FeedDown, 1)
    await other.watcher.until(BookLost, 1)
    await other.watcher.until(BookSynced, 2)
    await other.stop()


async def test_an_exchange_that_does_not_answer(others: Others) -> None:
    """Its failures are told by category; when it answers, the book comes."""
    others.fails = True
    other = Other(config(others, "my-gate", "ccxt:gate"))
    await other.feeds.start()
    assert other.said[0].startswith("my-gate: markets: ExchangeNotAvailable")
    (status,) = other.feeds.statuses()
    assert (status.state, status.is_degraded) == ("down", True)
    assert set(status.rest_failures) == {"vendor_5xx"}
    others.fails = False
    await other.until_bids([MOVED, *BIDS])
    await other.stop()


async def test_an_account_hears_of_the_list_whenever_it_comes(others: Others) -> None:
    """Its markets are those of the exchange's list, also of one that was not to be had at the start."""

    class Port:
        def __init__(self) -> None:
            self.lists: list[Mapping[str, str]] = []

        def learn(self, spellings: Mapping[str, str]) -> None:
            self.lists.append(spellings)

    others.fails = True
    other, port = Other(config(others, "my-gate", "ccxt:gate")), Port()
    other.feeds.on_learned = partial(_learned, other.market, {}, cast(Any, {"my-gate": port}))
    (feed,) = other.feeds.feeds
    await feed.learn()
    assert port.lists == []
    others.fails = False
    await feed.learn()
    assert [spellings["BTC-USDT"] for spellings in port.lists] == ["BTC/USDT"]
    await other.stop()


def test_precisions_mean_what_the_library_says() -> None:
    """Steps, decimals, or significant digits, which are no tick; quantities have decimals there."""
    row = {
        "spot": True, "active": True, "symbol": "BTC/USDT", "base": "BTC", "quote": "USDT", "limits": {},
        "precision": {"amount": 8, "price": 5},
    }  # fmt: skip
    modes = (ccxt.TICK_SIZE, ccxt.DECIMAL_PLACES, ccxt.bitfinex().precisionMode, ccxt.bithumb().precisionMode)
    found = [_instrument(row, mode) for mode in modes]
    digits, eight = (None, Decimal("0.00000001")), Decimal("0.00000001")
    assert [(one.tick, one.lot) for one in found if one] == [(5, 8), (Decimal("0.00001"), eight), digits, digits]


@pytest.mark.parametrize(
    ("adapter", "more", "message"),
    [
        ("ccxt:nowhere", {}, "venues.x: ccxt streams no exchange named nowhere"),
        ("other", {}, "venues.x: no adapter other; there are binance, .*, and ccxt for any other"),
        ("ccxt:gate", {"source": "bbo"}, 'venues.x.depth: x has no source = "bbo"; leave it out'),
    ],
)
async def test_what_cannot_be_reached_is_said(adapter: str, more: dict[str, Any], message: str) -> None:
    """Before anything is connected to."""
    settings = Config(symbols=("BTC-USDT",), venues={"x": VenueSettings(adapter=adapter, **more)})
    with pytest.raises(FeedError, match=message):
        Other(settings)


def test_other_exchanges_are_many() -> None:
    """Each with what it offers; the three above among them."""
    found = exchanges()
    assert [found[name] for name in ("kucoin", "gate", "bitget")] == [["streamed depth"]] * 3
    assert len(found) > 50


NAMELESS: tuple[dict[str, Any], ...] = ({"base": None}, {"quote": 5}, {"symbol": None})
MARKET: dict[str, Any] = {
    "spot": True,
    "symbol": "BTC/USDT",
    "base": "BTC",
    "quote": "USDT",
    "precision": {"price": 0.1, "amount": 0.001},
    "limits": {"amount": {"min": 0.002, "max": 500.0}, "cost": {"min": 5, "max": None}},
}


class Scripted:
    """Stands where the library's client does: gives one book after the other, then nothing more."""

    def __init__(self, *books: Any) -> None:
        self.books = list(books)
        self.has = {"watchOrderBook": True}
        self.precisionMode = ccxt.TICK_SIZE
        self.is_active = True

    async def load_markets(self, _reload: bool) -> dict[str, Any]:
        own = {**MARKET, "active": self.is_active}
        return {str(k): row for k, row in enumerate([own, *({**MARKET, **one} for one in NAMELESS), {"spot": True}])}

    async def watch_order_book(self, _symbol: str) -> Any:
        if not self.books:
            await asyncio.Event().wait()
        return self.books.pop(0)

    async def close(self) -> None:
        self.books.clear()


GOOD: dict[str, Any] = {"bids": [[100.0, 1.0]], "asks": [[101.0, 2.0]], "timestamp": 1_700_000_000_000}
ODD: tuple[Any, ...] = (
    {**GOOD, "bids": None},
    {"asks": []},
    {**GOOD, "bids": [[100.0]]},
    {**GOOD, "asks": [[None, 1.0]]},
    {**GOOD, "timestamp": 10**25},
    None,
)


async def test_what_is_no_book_is_a_dead_letter(others: Others) -> None:
    """Its raw words are kept, it is not believed, and the next good one is; a market without a name costs no rules."""
    settings = config(others, "kucoin")
    market = Other(settings)
    feed = market.feeds.feeds[0]
    assert isinstance(feed, GenericFeed)
    await feed.client.close()
    feed.client = Scripted(GOOD, *ODD, {**GOOD, "bids": [[99.0, 3.0]]})
    await market.feeds.start()
    await market.until_bids([["99", "3"]])
    letters = market.market.dead_letters
    assert len(letters) == len(ODD)
    assert [letter.raw for letter in letters if not letter.raw.startswith(b'{"channel"')] == [
        repr(book).encode() for book in ODD if book != ODD[3]
    ]
    rules = market.market.venue("kucoin").catalog.by_symbol["BTC-USDT"]
    assert (rules.tick, rules.min_qty, rules.max_qty) == (Decimal("0.1"), Decimal("0.002"), Decimal(500))
    await market.stop()


def test_frames_are_read_by_both_readers() -> None:
    """The wording of our own frames, through the careful decoder as well."""
    frame = book_frame("BTC/USDT", 7, 1_700_000_000_000, [[64012.3, 0.5]], [[64012.4, 1e-05]])
    assert frame == (
        b'{"channel":"book","type":"snapshot","symbol":"BTC/USDT","u":7,"ts":1700000000000,'
        b'"b":[[64012.3,0.5]],"a":[[64012.4,0.00001]]}'
    )
    part = decode(Generic("x").wire, frame).parts[0]
    assert len(part.levels) == 2


def test_lists_are_read_back() -> None:
    """What was learnt goes through the market like everybody's list, so that a recording has it."""
    venue = Generic("x")
    assert venue.instruments("generic/instruments", listing([])) == []
    assert venue.instruments("other", b"") is None
    with pytest.raises(ValueError, match="Expected `array`"):
        venue.instruments("generic/instruments", b"{")


def test_a_recording_is_replayed(tmp_path: Path) -> None:
    """With the configuration that it was made with, its venue is known and its books come out as they went in."""
    lines = [
        {"t": "header", "v": 1, "venue": "multi"},
        {"t": "connect", "ts": 1, "conn": "my-gate-0", "venue": "my-gate", "addr": ""},
        {"t": "recv", "ts": 2, "conn": "my-gate-0", "venue": "my-gate",
         "data": book_frame("BTC/USDT", 1, 5, [[99.5, 1.25]], [[100.5, 2]]).decode()},
    ]  # fmt: skip
    path = tmp_path / "session.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    settings = Config(symbols=("BTC-USDT",), venues={"my-gate": VenueSettings(adapter="ccxt:gate")})
    outcome = run(path, "books", config=settings)
    assert (outcome.code, outcome.said) == (0, ())
    book = json.loads(outcome.out)
    assert (book["venue"], book["bids"], book["asks"]) == ("my-gate", [["99.5", "1.25"]], [["100.5", "2"]])
    assert "unknown venue 'my-gate'" in run(path, "books").said[0]


async def test_a_market_that_is_switched_off_is_closed(others: Others) -> None:
    """It stays listed, shows as closed and takes no orders until the exchange says otherwise."""
    other = Other(config(others, "kucoin"))
    feed = other.feeds.feeds[0]
    assert isinstance(feed, GenericFeed)
    await feed.client.close()
    client = feed.client = Scripted()
    for client.is_active in (True, False, True):
        await feed.learn()
        feed.build()
        assert other.market.venue("kucoin").catalog.by_symbol["BTC-USDT"].is_open is client.is_active
        assert feed.closed == (() if client.is_active else ("BTC-USDT",))
        assert feed.status([], Counter(), 0).closed == feed.closed
    assert feed.missing == ()
    await other.stop()
