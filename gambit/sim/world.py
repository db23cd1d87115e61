"""All simulated venues together: one market behind them, one time.

Rules: pure and seeded; the same calls give the same frames. Books of all venues move with the fair prices of
market.py, so that now and then one venue leaves the others for a while.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from gambit.sim.binance_exchange import BinanceExchange
from gambit.sim.bybit_exchange import BybitExchange
from gambit.sim.coinbase_exchange import CoinbaseExchange
from gambit.sim.dialect import MILLI_NS, Dialect
from gambit.sim.exchange import Exchange
from gambit.sim.instruments import list_instrument
from gambit.sim.kraken_exchange import KrakenExchange
from gambit.sim.market import SECOND_NS, Market, Pace, Temper
from gambit.sim.matching import MatchingBook
from gambit.sim.okx_exchange import OkxExchange
from gambit.sim.verbs import FaultOrder

DIALECTS: Mapping[str, type[Dialect]] = {
    "binance": BinanceExchange,
    "okx": OkxExchange,
    "bybit": BybitExchange,
    "kraken": KrakenExchange,
    "coinbase": CoinbaseExchange,
}
SYMBOLS = (
    "BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT", "DOGE-USDT", "ADA-USDT", "LTC-USDT", "LINK-USDT",
)  # fmt: skip
FIRST_DISLOCATION_NS = 2 * SECOND_NS  # after the start: whoever looks shall not wait for chance
FIRST_DISLOCATION_BPS, FIRST_DISLOCATION_MS = 45.0, 3000
MOVES_PER_S = 15.0  # of a book at most; at higher rates the rest only changes sizes
LEVELS = 60  # of a side of a book
SYMBOL = re.compile(r"[A-Z0-9]{1,16}-[A-Z0-9]{1,16}")
RATE_MIN, RATE_MAX, LEVELS_MAX = 0.1, 2000.0, 5000
SHIFT_MIN_BPS, SHIFT_MAX_BPS = -9000.0, 90_000.0  # a tenth of the price, ten times as much
BACKLOG_NS = SECOND_NS  # of market that is made up for after a stall; what is older never happens


class PlannedFault(FaultOrder, frozen=True):
    """A fault that a scenario puts in force at a time after the start."""

    venue: str = ""
    at_ms: int = 0


class PlannedShift(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A move of one venue's fair price that a scenario asks for."""

    venue: str
    symbol: str
    shift_bps: float
    at_ms: int = 0
    for_ms: int = 1000


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What happens besides the usual, and in which market: the content of `gambit sim --scenario FILE`."""

    symbols: tuple[str, ...] = SYMBOLS
    rate: float = 10.0  # changes of a book per second
    levels: int = LEVELS
    dislocations_per_s: float = 0.3  # per traded base and quote: one venue leaves the others for a while
    dislocation_bps: tuple[float, float] = (8.0, 70.0)
    faults: tuple[PlannedFault, ...] = ()
    shifts: tuple[PlannedShift, ...] = ()


class World:
    """Venues and the market behind them."""

    def __init__(self, venues: Sequence[str], scenario: Scenario, *, seed: int, start_ns: int) -> None:
        """Open all venues at `start_ns`.

        Raises ValueError for a venue that is not simulated, a symbol that is none, a rate or depth out of bounds.
        """
        if not scenario.symbols:
            raise ValueError("no symbols; name at least one, such as BTC-USDT")
        for symbol in scenario.symbols:
            if not SYMBOL.fullmatch(symbol):
                raise ValueError(f"symbol {symbol!r} is not BASE-QUOTE in capitals, such as BTC-USDT")
        if not RATE_MIN <= scenario.rate <= RATE_MAX:
            raise ValueError(f"rate {scenario.rate:g} is not from {RATE_MIN:g} to {RATE_MAX:g} changes per second")
        if not 1 <= scenario.levels <= LEVELS_MAX:
            raise ValueError(f"levels {scenario.levels} is not from 1 to {LEVELS_MAX}")
        unknown = [venue for venue in venues if venue not in DIALECTS]
        if unknown:
            raise ValueError(f"venue {unknown[0]!r} is not simulated; known are {', '.join(DIALECTS)}")
        instruments = [list_instrument(venue, symbol) for venue in venues for symbol in scenario.symbols]
        temper = Temper(
            dislocations_per_s=scenario.dislocations_per_s,
            dislocation_bps=scenario.dislocation_bps,
            flicker_share=max(0.0, 1.0 - MOVES_PER_S / scenario.rate),
        )
        self.market = Market(
            instruments,
            {venue: paced(DIALECTS[venue].pace, scenario.rate) for venue in venues},
            seed=seed,
            start_ns=start_ns,
            depth=scenario.levels,
            temper=temper,
            book_type=MatchingBook,
        )
        self.exchanges = {venue: self._exchange(venue, seed, start_ns) for venue in venues}
        self.now_ns = start_ns
        self.steps_missed = 0
        for planned in scenario.faults:
            self._plan(planned, start_ns)
        if scenario.dislocations_per_s > 0 and len(venues) > 1:
            at_ns = start_ns + FIRST_DISLOCATION_NS
            self.shift(venues[-1], scenario.symbols[0], FIRST_DISLOCATION_BPS, at_ns, FIRST_DISLOCATION_MS)
        for shift in scenario.shifts:
            at_ns = start_ns + shift.at_ms * MILLI_NS
            self.shift(shift.venue, shift.symbol, shift.shift_bps, at_ns, shift.for_ms)

    def next_ns(self) -> int:
        """When something happens by itself."""
        return min(self.market.next_ns(), *[exchange.next_ns() for exchange in self.exchanges.values()])

    def advance(self, now_ns: int) -> None:
        """Let all happen that is due, in order of time."""
        market = self.market
        if now_ns - market.next_ns() > BACKLOG_NS:
            self.steps_missed += market.skip(now_ns - BACKLOG_NS)
        while market.next_ns() <= now_ns:
            ts_ns, book = market.next_ns(), market.next_book()
            exchange = self.exchanges[book.instrument.venue]
            exchange.advance(ts_ns)
            events = market.tick()
            if events:
                exchange.hear(book.instrument.symbol, events)
        for exchange in self.exchanges.values():
            exchange.advance(now_ns)
        self.now_ns = now_ns

    def shift(self, venue: str, symbol: str, bps: float, from_ns: int, for_ms: int) -> None:
        """Move one venue's fair price of a symbol for a while.

        Raises ValueError for a venue or symbol that is not here, and for a move out of bounds.
        """
        if (venue, symbol) not in self.market.books:
            raise ValueError(f"{venue} does not list {symbol!r}")
        if not SHIFT_MIN_BPS <= bps <= SHIFT_MAX_BPS:
            raise ValueError(f"shift_bps is {bps:g}, must be from {SHIFT_MIN_BPS:g} to {SHIFT_MAX_BPS:g}")
        if for_ms < 1:
            raise ValueError(f"for_ms is {for_ms}, must be at least 1")
        self.market.shift(venue, symbol, bps, from_ns, from_ns + for_ms * MILLI_NS)

    def _exchange(self, venue: str, seed: int, start_ns: int) -> Exchange:
        books = {
            symbol: book
            for (name, symbol), book in self.market.books.items()
            if name == venue and isinstance(book, MatchingBook)
        }
        dialect: Callable[[Exchange], Dialect] = DIALECTS[venue]
        return Exchange(dialect, venue, books, seed=seed, now_ns=start_ns)

    def _plan(self, planned: PlannedFault, start_ns: int) -> None:
        if planned.venue not in self.exchanges:
            raise ValueError(f"scenario: fault {planned.kind!r} names venue {planned.venue!r}, which is not simulated")
        exchange = self.exchanges[planned.venue]
        fields: dict[str, Any] = {name: getattr(planned, name) for name in FaultOrder.__struct_fields__}
        order = FaultOrder(**fields)
        exchange.check(order)
        exchange.at(start_ns + planned.at_ms * MILLI_NS, lambda _ns: _strike(exchange, order))


def _strike(exchange: Exchange, order: FaultOrder) -> None:
    exchange.strike(order)


def paced(pace: Pace, rate: float) -> Pace:
    """A venue's rhythm at `rate` changes of a book per second."""
    return Pace(int(SECOND_NS / rate / pace.steps), pace.jitter, pace.steps)
