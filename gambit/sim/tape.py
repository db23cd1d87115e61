"""The last trades of every symbol of a venue, for those who ask what happened before they came."""

from __future__ import annotations

from collections import deque
from functools import partial

from gambit.sim.dialect import Channel, Request, Session
from gambit.sim.exchange import Exchange
from gambit.sim.market import Trade

TRADES_KEPT = 100


class Tape:
    """Hears all trades of an exchange from the start."""

    def __init__(self, exchange: Exchange) -> None:
        self._trades: dict[str, deque[Trade]] = {symbol: deque(maxlen=TRADES_KEPT) for symbol in exchange.books}
        listener = Session(Request("WS", "", "", {}, b""), exchange.clock_ns)
        for symbol in exchange.books:
            name = f"tape {symbol}"
            exchange.subscribe(listener, name, symbol, partial(Channel, name, symbol, Trade, self._hear))

    def last(self, symbol: str, count: int) -> list[Trade]:
        """The last trades of a symbol, oldest first."""
        return list(self._trades[symbol])[-count:]

    def _hear(self, event: Trade) -> list[str]:
        self._trades[event.symbol].append(event)
        return []
