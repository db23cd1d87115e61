"""Further exchanges over ccxt, as they were recorded: the books end on the recorded ones. Skipped where the captures
are not beside the project."""

import asyncio
from contextlib import AsyncExitStack
from decimal import Decimal
from typing import Any

import pytest

from gambit.config.settings import Config, VenueSettings
from gambit.runtime.generic import LEVELS
from tests.runtime.recorded import CAPTURES, Bitfinex, Bitstamp, CryptoCom, Gemini, Kucoin, Recorded, Wire
from tests.runtime.test_generic import Other

pytest.importorskip("ccxt")
pytestmark = pytest.mark.skipif(not CAPTURES.is_dir(), reason=f"no captures at {CAPTURES}")


def best(wire: Wire, name: str) -> list[list[tuple[Decimal, Decimal]]]:
    """As many of the best levels as are kept, bids and asks."""
    bids, asks = wire.book(name)
    return [sorted(bids.items(), reverse=True)[:LEVELS], sorted(asks.items())[:LEVELS]]


def shown(market: Any, count: int) -> dict[str, list[list[tuple[Decimal, Decimal]]]]:
    """The levels of the books in the market, by symbol."""
    books = [book for index in range(count) if (book := market.book(index)) is not None]
    assert [book["quarantined"] for book in books] == [0] * len(books)
    return {
        book["symbol"]: [[(Decimal(row[0]), Decimal(row[1])) for row in book[side]] for side in ("bids", "asks")]
        for book in books
    }


@pytest.mark.parametrize(
    ("kind", "is_told"),
    [(Kucoin, True), (Bitstamp, True), (Gemini, True), (Bitfinex, False), (CryptoCom, False)],
    ids=lambda value: getattr(value, "adapter", ""),
)
async def test_books_end_on_the_recorded_ones(kind: type[Wire], is_told: bool) -> None:
    """All kept levels, in exact numbers, when the last frame has been read; the touches are those of EXPECTED.json
    where it tells any."""
    wire = kind()
    books = {symbol: best(wire, name) for symbol, name in wire.symbols.items()}
    if is_told:
        touches = wire.last_touches()
        for symbol, name in wire.symbols.items():
            assert [side[0] for side in books[symbol]] == [tuple(map(Decimal, row)) for row in touches[name]]
    async with AsyncExitStack() as stack:
        exchange = Recorded(wire)
        await exchange.start()
        stack.push_async_callback(exchange.stop)
        venue = VenueSettings(adapter="ccxt", ws_url=exchange.ws, rest_url=exchange.rest)
        other = Other(Config(symbols=tuple(wire.symbols), venues={wire.adapter: venue}))
        stack.push_async_callback(other.stop)
        await other.feeds.start()
        assert other.said == []
        try:
            async with asyncio.timeout(60):
                await exchange.is_heard.wait()
                while shown(other.market, len(books)) != books:
                    await asyncio.sleep(0.01)
        except TimeoutError:
            pytest.fail(f"{shown(other.market, len(books))} are not {books}; {other.feeds.statuses()}")
