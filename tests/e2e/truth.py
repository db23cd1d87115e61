"""What really happened on the simulated exchanges, and whether a daemon believed anything else.

The truth has every touch that any book of any venue ever had. The daemon's ticks are all the touches that its engine
decided with; so a tick that the truth does not have was read from a bad book.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp

from gambit.bootstrap import Options
from gambit.runtime.clock import SystemClock
from gambit.runtime.daemon import Daemon
from gambit.runtime.ticks import TickReader
from gambit.sim.exchange import Exchange
from gambit.sim.market import Event
from gambit.sim.server import Server
from gambit.sim.verbs import Fault, FaultOrder
from gambit.sim.world import Scenario
from tests.e2e.live import Lines, config_for, exchanges, running, until

DIGITS = 18
DRAIN_SEC = 0.02
LEVELS_LEAST = 50  # of a side that every feed carries
SHIFT_BPS = 90.0
THRESHOLD = "engine.min_spread_bps = 30"  # venues never are so far apart by themselves

Touch = tuple[int, int]


class Time:
    """A clock for both sides: `pace` times as fast as the real one; held, it stands still for the exchanges only."""

    def __init__(self, pace: int = 1) -> None:
        self._clock = SystemClock()
        self._pace = pace
        self._began_ns, self._began_mono_ns = self._clock.now_ns(), self._clock.mono_ns()
        self._held_ns: int | None = None

    def now_ns(self) -> int:
        """The daemon's wall clock."""
        return self._began_ns + self._passed_ns()

    def mono_ns(self) -> int:
        """The daemon's monotonic clock."""
        return self._began_mono_ns + self._passed_ns()

    def exchanges_ns(self) -> int:
        """The exchanges' clock."""
        return self.now_ns() if self._held_ns is None else self._held_ns

    def hold(self, held: bool) -> None:
        """Let nothing happen on the exchanges any more, or again."""
        self._held_ns = self.now_ns() if held else None

    def _passed_ns(self) -> int:
        return (self._clock.mono_ns() - self._began_mono_ns) * self._pace


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


@dataclass
class Watch:
    """A daemon under faults, and everything that it believed and did."""

    server: Server
    daemon: Daemon
    log: Lines
    time: Time
    truth: Truth
    reader: TickReader
    raised: list[dict[str, Any]] = field(default_factory=list)
    lies: list[str] = field(default_factory=list)
    ticks: int = 0
    struck: list[tuple[Exchange, Fault]] = field(default_factory=list)

    def strike(self, venue: str, kind: str, *, match: dict[str, Any] | None = None, **bounds: Any) -> Fault:
        """A fault, as POST /_sim/fault takes it; what is not a bound is an argument of the verb."""
        limits = {name: bounds.pop(name) for name in ("count", "for_ms", "skip") if name in bounds}
        exchange = self.server.world.exchanges[venue]
        fault = exchange.strike(FaultOrder(kind, bounds, match or {}, **limits))
        self.struck.append((exchange, fault))
        return fault

    def drain(self) -> None:
        """Hold the ticks that came against the truth."""
        for block in self.reader.blocks():
            self.ticks += len(block)
            for tick in block:
                venue, symbol = self.daemon.parts.market.listings[int(tick["market"])]
                bid, ask = (
                    int(price) * 10 ** (DIGITS - int(dec))
                    for price, dec in zip(tick["price"], tick["price_dec"], strict=True)
                )
                if not 0 < bid < ask or (bid, ask) not in self.truth.touches[venue, symbol]:
                    self.lies.append(f"{venue} {symbol}: {bid} / {ask} at {int(tick['seq'])}")

    async def drain_on(self) -> None:
        """For ever, often enough that no tick is overrun."""
        while True:
            self.drain()
            await asyncio.sleep(DRAIN_SEC)

    # ---- what must be so afterwards ----

    async def over(self, patience_sec: float = 20.0) -> None:
        """Every fault fired and is spent, and every book is synced again."""
        await until(lambda: all(fault.fired for _, fault in self.struck), patience_sec)
        await until(lambda: all(fault.is_spent(exchange.now_ns) for exchange, fault in self.struck), patience_sec)
        await until(self.is_synced, patience_sec)

    def is_synced(self) -> bool:
        """Whether every book may be believed."""
        return all(feed.books_synced == feed.books for feed in self.daemon.parts.feeds.statuses())

    async def assert_well(self) -> None:
        """Books equal the venues', nothing was raised, believed or broken; and a real opportunity is still found."""
        await self._assert_equal()
        self.drain()
        assert self.lies == []
        assert self.reader.lost == 0
        assert self.ticks > 0
        assert self.raised == []
        assert self.daemon.problems == []
        assert self.log.of("error") == []
        assert self.daemon.parts.switch.state == "ACTIVE"
        await self._assert_alive()

    async def _assert_equal(self) -> None:
        """With the exchanges held still and everything told, both sides have the same levels."""
        self.time.hold(True)
        try:
            for exchange in self.server.world.exchanges.values():
                for symbol in exchange.books:
                    exchange.flush(symbol)
                self.server._flush(exchange)
            async with aiohttp.ClientSession() as session:
                for venue, symbol in self.truth.touches:
                    there = await self._book_there(session, venue, symbol)
                    await until(lambda there=there, at=(venue, symbol): not self._differs(at, there), 3.0)
        finally:
            self.time.hold(False)

    async def _book_there(self, session: aiohttp.ClientSession, venue: str, symbol: str) -> dict[str, Any]:
        root = f"http://127.0.0.1:{self.server.ports[venue]}"
        async with session.get(f"{root}/_sim/book?symbol={symbol}") as answer:
            book: dict[str, Any] = await answer.json()
        return book

    def _differs(self, at: tuple[str, str], there: dict[str, Any]) -> bool:
        market = [tuple(listing) for listing in self.daemon.parts.market.listings].index(at)
        here = self.daemon.parts.market.book(market)
        if here is None or not here["synced"]:
            return True
        for side in ("bids", "asks"):
            ours = [[Decimal(price), Decimal(qty)] for price, qty in here[side]]  # type: ignore[attr-defined]
            theirs = [[Decimal(price), Decimal(qty)] for price, qty in there[side]]
            if ours != theirs[: len(ours)] or len(ours) < min(LEVELS_LEAST, len(theirs)):
                return True
        return False

    async def _assert_alive(self) -> None:
        """Quiet is not deaf: a venue that leaves the others is found at once."""
        world = self.server.world
        venue, symbol = next(iter(self.truth.touches))
        world.shift(venue, symbol, SHIFT_BPS, world.now_ns, 1000)
        await until(lambda: self.raised)
        self.raised.clear()


@asynccontextmanager
async def watched(
    folder: Path, symbols: Sequence[str], *settings: str, pace: int = 1, rate: float = 10.0
) -> AsyncIterator[Watch]:
    """A ready daemon on exchanges that never differ by themselves, watched."""
    time_ = Time(pace)
    scenario = Scenario(symbols=tuple(symbols), dislocations_per_s=0.0, rate=rate)
    raised: list[dict[str, Any]] = []
    options = Options(listeners=[lambda event: raised.append(event) if event["event"] == "raised" else None])
    async with exchanges(scenario, now_ns=time_.exchanges_ns) as server:
        truth = Truth(server)
        config = config_for(server, folder, THRESHOLD, *settings, symbols=symbols)
        async with running(config, options, time_) as (daemon, log):
            watch = Watch(server, daemon, log, time_, truth, TickReader(daemon.parts.market.pairs), raised)
            draining = asyncio.create_task(watch.drain_on())
            try:
                yield watch
            finally:
                draining.cancel()
