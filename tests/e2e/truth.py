"""What really happened on the simulated exchanges, and whether a daemon believed anything else.

The truth has every touch that any book of any venue ever had. The daemon's ticks are all the touches that its engine
decided with; so a tick that the truth does not have was read from a bad book.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gambit.bootstrap import Options
from gambit.drills.clocks import Time
from gambit.drills.ground import Lines
from gambit.drills.truth import Truth, Witness, differs
from gambit.runtime.daemon import Daemon
from gambit.sim.exchange import Exchange
from gambit.sim.server import Server
from gambit.sim.verbs import Fault, FaultOrder
from gambit.sim.world import Scenario
from tests.e2e.live import config_for, dear_until, exchanges, running, until

DRAIN_SEC = 0.02
SHIFT_BPS = 90.0
THRESHOLD = "engine.min_spread_bps = 30"  # venues never are so far apart by themselves


@dataclass
class Watch:
    """A daemon under faults, and everything that it believed and did."""

    server: Server
    daemon: Daemon
    log: Lines
    time: Time
    truth: Truth
    witness: Witness
    raised: list[dict[str, Any]] = field(default_factory=list)
    struck: list[tuple[Exchange, Fault]] = field(default_factory=list)

    def strike(self, venue: str, kind: str, *, match: dict[str, Any] | None = None, **bounds: Any) -> Fault:
        """A fault, as POST /_sim/fault takes it; what is not a bound is an argument of the verb."""
        limits = {name: bounds.pop(name) for name in ("count", "for_ms", "skip") if name in bounds}
        exchange = self.server.world.exchanges[venue]
        fault = exchange.strike(FaultOrder(kind, bounds, match or {}, **limits))
        self.struck.append((exchange, fault))
        return fault

    async def drain_on(self) -> None:
        """For ever, often enough that no tick is overrun."""
        while True:
            self.witness.look()
            await asyncio.sleep(DRAIN_SEC)

    # ---- what must be so afterwards ----

    async def over(self, patience_sec: float = 60.0) -> None:
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
        self.witness.look()
        assert self.witness.lies == []
        assert self.witness.lost == 0
        assert self.witness.ticks > 0
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
            for venue, symbol in self.truth.touches:
                exchange = self.server.world.exchanges[venue]
                await until(lambda at=(exchange, symbol): not differs(self.daemon, *at))
        finally:
            self.time.hold(False)

    async def _assert_alive(self) -> None:
        """Quiet is not deaf: a venue that leaves the others is found at once."""
        venue, symbol = next(iter(self.truth.touches))
        await dear_until(self.server, venue, symbol, lambda: self.raised, bps=SHIFT_BPS, for_ms=1000)
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
            watch = Watch(server, daemon, log, time_, truth, Witness(truth, daemon), raised)
            draining = asyncio.create_task(watch.drain_on())
            try:
                yield watch
            finally:
                draining.cancel()
