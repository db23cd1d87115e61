"""Every touch that any book of any venue really had; what the daemon decided with is held against it.

The daemon's ticks are all the touches that its engine decided with, so a tick that the truth does not have was read
from a bad book.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from gambit.runtime.daemon import Daemon
from gambit.runtime.ticks import TickReader
from gambit.sim.exchange import Exchange
from gambit.sim.market import Event
from gambit.sim.server import Server

DIGITS: Final = 18
LEVELS_LEAST: Final = 50  # of a side that every feed carries

Touch = tuple[int, int]


class Truth:
    """Every touch of every book, as it happens."""

    def __init__(self, server: Server) -> None:
        self.touches: dict[tuple[str, str], set[Touch]] = {}
        for venue, exchange in server.world.exchanges.items():
            for symbol in exchange.books:
                self.touches[venue, symbol] = set()
                self._note(exchange, symbol)
            self._listen(exchange)

    def _listen(self, exchange: Exchange) -> None:
        tell = exchange._delivery.hear

        def hear(event: Event, now_ns: int) -> None:
            self._note(exchange, event.symbol)
            tell(event, now_ns)

        exchange._delivery.hear = hear  # type: ignore[method-assign]

    def _note(self, exchange: Exchange, symbol: str) -> None:
        book = exchange.books[symbol]
        unit = book.instrument.tick * 10 ** (DIGITS - book.instrument.price_decimals)
        bid, ask = book.bids.best(), book.asks.best()
        if bid is not None and ask is not None:
            self.touches[exchange.venue, symbol].add((bid[0] * unit, ask[0] * unit))


class Witness:
    """Reads a daemon's ticks and keeps those that are not true."""

    def __init__(self, truth: Truth, daemon: Daemon) -> None:
        self.truth = truth
        self.lies: list[str] = []
        self.ticks = 0
        self._daemon = daemon
        self._reader = TickReader(daemon.parts.market.pairs)

    @property
    def lost(self) -> int:
        """Ticks that were overwritten before they were read."""
        return self._reader.lost

    def look(self) -> None:
        """Hold the ticks that came against the truth."""
        for block in self._reader.blocks():
            self.ticks += len(block)
            for tick in block:
                venue, symbol = self._daemon.parts.market.listings[int(tick["market"])]
                bid, ask = (
                    int(price) * 10 ** (DIGITS - int(dec))
                    for price, dec in zip(tick["price"], tick["price_dec"], strict=True)
                )
                if not 0 < bid < ask or (bid, ask) not in self.truth.touches[venue, symbol]:
                    self.lies.append(f"{venue} {symbol}: {bid} / {ask} at {int(tick['seq'])}")


def differs(daemon: Daemon, exchange: Exchange, symbol: str) -> bool:
    """Whether a book of the daemon's is not the venue's, level by level."""
    market = [tuple(listing) for listing in daemon.parts.market.listings].index((exchange.venue, symbol))
    here: Any = daemon.parts.market.book(market)
    if here is None or not here["synced"]:
        return True
    book = exchange.books[symbol]
    item = book.instrument
    for side, levels in (("bids", book.bids.levels()), ("asks", book.asks.levels())):
        tick = Decimal(item.tick).scaleb(-item.price_decimals)
        lot = Decimal(item.lot).scaleb(-item.lot_decimals)
        theirs = [(ticks * tick, lots * lot) for ticks, lots in levels]
        ours = [(Decimal(price), Decimal(qty)) for price, qty in here[side]]
        if ours != theirs[: len(ours)] or len(ours) < min(LEVELS_LEAST, len(theirs)):
            return True
    return False
