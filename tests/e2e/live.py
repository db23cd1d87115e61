"""A daemon and the exchanges it lives on, in one loop, for tests that look at both."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gambit.bootstrap import Options, build
from gambit.config import Config
from gambit.config.loading import load_layers
from gambit.drills.ground import Lines
from gambit.runtime.clock import Clock, SystemClock
from gambit.runtime.daemon import Daemon
from gambit.sim.server import Server
from gambit.sim.world import DIALECTS, Scenario, World

SYMBOLS = ("BTC-USDT", "ETH-USDT")
PATIENCE_SEC = 60.0
ATTEMPTS = 10
PAUSE_MS = 500


def config_for(server: Server, state_dir: Path, *settings: str, symbols: Sequence[str] = SYMBOLS) -> Config:
    """Settings of a daemon on these exchanges: low thresholds, free ports, a state folder of its own."""
    state_dir.mkdir(mode=0o700, exist_ok=True)
    names = ", ".join(f'"{symbol}"' for symbol in symbols)
    lines = [
        f'daemon.state_dir = "{state_dir}"',
        f"symbols = [{names}]",
        "metrics.port = 0",
        "execution.watchdog = false",  # a process each; test_watchdog.py has it
        "api.port = 0",
        "engine.min_spread_bps = 5",
        "engine.min_liquidity_depth = 1000",
        *settings,
    ]
    for venue in server.world.exchanges:
        entry = server.entry(venue)
        lines += [f'venues.{venue}.ws_url = "{entry["ws"]}"', f'venues.{venue}.rest_url = "{entry["rest"]}"']
        lines += [f'venues.{venue}.ws_private_url = "{entry["ws_private"]}"', f"venues.{venue}.taker_fee_bps = 1"]
    return load_layers(None, {}, lines).config


@asynccontextmanager
async def exchanges(
    scenario: Scenario | None = None, seed: int = 1, now_ns: Callable[[], int] = time.time_ns
) -> AsyncIterator[Server]:
    """All simulated venues, listening; `now_ns` is their clock."""
    world = World(list(DIALECTS), scenario or Scenario(symbols=SYMBOLS), seed=seed, start_ns=now_ns())
    async with Server(world, now_ns) as server:
        yield server


@asynccontextmanager
async def running(
    config: Config, options: Options | None = None, clock: Clock | None = None
) -> AsyncIterator[tuple[Daemon, Lines]]:
    """A daemon that is ready; it is stopped at the end, and must stop well."""
    log = Lines()
    daemon = build(config, clock or SystemClock(), log, options or Options())
    ready = asyncio.Event()
    run = asyncio.create_task(daemon.run(ready.set))
    waiting = asyncio.create_task(ready.wait())
    try:
        async with asyncio.timeout(PATIENCE_SEC):
            await asyncio.wait({run, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if run.done():
            run.result()
            raise AssertionError("the daemon ended before it was ready")
        yield daemon, log
    finally:
        waiting.cancel()
        daemon.stop("the test is over", now=True)
        async with asyncio.timeout(PATIENCE_SEC):
            await run


async def until(what: Any, patience_sec: float = PATIENCE_SEC) -> None:
    """Wait until what() is true; the daemon has no event for everything a test wants to see."""
    async with asyncio.timeout(patience_sec):
        while not what():
            await asyncio.sleep(0.02)


async def dear_until(
    server: Server, venue: str, symbol: str, what: Any, *, bps: float = 60.0, for_ms: int = 4000
) -> None:
    """A venue is dear for so long, and again, until what() is true: a busy machine may be too late for once."""
    for _ in range(ATTEMPTS):
        over_ns = server._now_ns() + (for_ms + PAUSE_MS) * 1_000_000
        server.world.shift(venue, symbol, bps, server._now_ns(), for_ms)
        await until(lambda over_ns=over_ns: what() or server._now_ns() > over_ns)
        if what():
            return
    raise AssertionError(f"{venue} was dear {ATTEMPTS} times, and it did not happen")
