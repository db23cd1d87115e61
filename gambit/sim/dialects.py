"""Which wire each simulated venue speaks, how it spells symbols and what it is known for; written out by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gambit.sim import binance_wire, bybit_wire, coinbase_wire, kraken_wire, okx_wire
from gambit.sim.market import Book
from gambit.sim.wire import Wire, WireOptions

WIRES: dict[str, Callable[[str, Sequence[Book], WireOptions, int], Wire]] = {
    "binance": binance_wire.BinanceWire,
    "binance-us": binance_wire.BinanceWire,
    "binance-usdm": binance_wire.BinanceWire,
    "binance-coinm": binance_wire.BinanceWire,
    "okx": okx_wire.OkxWire,
    "bybit": bybit_wire.BybitWire,
    "bybit-linear": bybit_wire.BybitWire,
    "kraken": kraken_wire.KrakenWire,
    "coinbase": coinbase_wire.CoinbaseWire,
}

SPELL: dict[str, Callable[[str], str]] = {
    "binance": binance_wire.spell,
    "binance-us": binance_wire.spell,
    "binance-usdm": binance_wire.spell,
    "binance-coinm": binance_wire.spell,
    "okx": okx_wire.spell,
    "bybit": bybit_wire.spell,
    "bybit-linear": bybit_wire.spell,
    "kraken": kraken_wire.spell,
    "coinbase": coinbase_wire.spell,
}

QUIRKS: dict[str, tuple[str, ...]] = {
    "binance": binance_wire.BinanceWire.quirks,
    "binance-us": binance_wire.BinanceWire.quirks,
    "binance-usdm": binance_wire.BinanceWire.quirks,
    "binance-coinm": binance_wire.BinanceWire.quirks,
    "okx": okx_wire.OkxWire.quirks,
    "bybit": bybit_wire.BybitWire.quirks,
    "bybit-linear": bybit_wire.BybitWire.quirks,
    "kraken": kraken_wire.KrakenWire.quirks,
    "coinbase": coinbase_wire.CoinbaseWire.quirks,
}

HEADER_VENUES = {"binance": "binance-spot", "coinbase": "coinbase-advanced"}  # what capture headers call two of them


def connect(venue: str, books: Sequence[Book], options: WireOptions, seed: int) -> Wire:
    """A new connection of a client of `books` to `venue`.

    Raises ValueError for a venue that is not simulated.
    """
    wire = WIRES.get(venue)
    if wire is None:
        raise ValueError(f"venue {venue!r} is not simulated; known are {', '.join(WIRES)}")
    return wire(venue, books, options, seed)
