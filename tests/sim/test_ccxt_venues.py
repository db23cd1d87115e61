"""The public ccxt, REST and pro, works against the simulated Coinbase as against the real ones."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from gambit.sim.matching import MatchingBook
from tests.sim.live import client, served

VENUES = ("coinbase",)
WAIT_S = 20.0
LEVELS = 10


def true_rows(book: MatchingBook) -> list[list[tuple[Decimal, Decimal]]]:
    """The best levels of the venue's own book, bids and asks."""
    item = book.instrument
    tick, lot = Decimal(item.tick).scaleb(-item.price_decimals), Decimal(item.lot).scaleb(-item.lot_decimals)
    sides = book.bids.levels()[:LEVELS], book.asks.levels()[:LEVELS]
    return [[(ticks * tick, lots * lot) for ticks, lots in side] for side in sides]


def their_rows(book: Any) -> list[list[tuple[Decimal, Decimal]]]:
    """ccxt's levels."""
    rows = [[row[:2] for row in book[name][:LEVELS]] for name in ("bids", "asks")]
    return [[(Decimal(str(price)), Decimal(str(qty))) for price, qty in side] for side in rows]


@pytest.mark.parametrize("venue", VENUES)
async def test_ccxt_follows_the_books(venue):
    """load_markets, fetch and watch_order_book, watch_trades; once the market rests ccxt's book is the venue's."""
    async with served(venue, rate=50.0) as server, client(server, venue, keys=False) as ccxt:
        markets = await ccxt.load_markets()
        assert set(markets) == {"BTC/USDT", "ETH/USDT"}
        assert all(market["spot"] and market["active"] for market in markets.values())
        book = server.world.exchanges[venue].books["BTC-USDT"]
        async with asyncio.timeout(WAIT_S):
            for _ in range(10):
                watched = await ccxt.watch_order_book("BTC/USDT")
            trades = await ccxt.watch_trades("BTC/USDT")
            book.quiet_until_ns = 1 << 62
            while their_rows(watched) != true_rows(book):
                watched = await ccxt.watch_order_book("BTC/USDT")
            assert trades[-1]["symbol"] == "BTC/USDT"
            fetched = await ccxt.fetch_order_book("BTC/USDT", LEVELS)
            assert their_rows(fetched) == true_rows(book)
