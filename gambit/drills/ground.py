"""Where drills are played: simulated exchanges on loopback and a daemon on them, in one loop, kept over many drills.

The exchanges listen on real sockets and the daemon is built by the same wiring as `gambit run`; only the process
around it (lock, signals, limits) is left out, so that a drill can look at both sides at the same instant.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from gambit.bootstrap import Options, build
from gambit.config import Config
from gambit.config.loading import load_layers
from gambit.drills.clocks import Time, waited_ns
from gambit.drills.scenario import Broken, Setting
from gambit.drills.truth import Truth, Witness
from gambit.engine.desk import Desk
from gambit.events import read
from gambit.journal import Record
from gambit.runtime.daemon import Daemon
from gambit.runtime.dealing import Dealing
from gambit.runtime.wiring import execution, limits
from gambit.sim.exchange import Exchange
from gambit.sim.server import Server
from gambit.sim.world import Scenario, World
from gambit.venues.orders import Keys

PATIENCE_SEC: Final = 20.0
LOOK_SEC: Final = 0.02
RECORDS: Final = 4096
ACCOUNT: Final = "demo"

LIVE: Final = (
    'execution.mode = "live"',
    "execution.watchdog = false",
    "risk.trades_per_hour = 0",
    "risk.trades_per_day = 0",
    "risk.duplicate_window_ms = 100",
)


class Lines:
    """A log that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def info(self, event: str, **fields: Any) -> None:
        """Keep it."""
        self.lines.append(("info", event, fields))

    def warning(self, event: str, **fields: Any) -> None:
        """Keep it."""
        self.lines.append(("warning", event, fields))

    def error(self, event: str, **fields: Any) -> None:
        """Keep it."""
        self.lines.append(("error", event, fields))

    def of(self, level: str, after: int = 0) -> list[str]:
        """The events of a level, from line `after` on."""
        return [event for its, event, _ in self.lines[after:] if its == level]


async def until(what: Callable[[], object], patience_sec: float = PATIENCE_SEC, why: str = "") -> None:
    """Wait until what() is true; the daemon has no event for everything that a drill wants to see. Time that this
    process had to wait for a processor does not count: other programs of this machine fail no drill. Raises Broken."""
    began_ns = time.monotonic_ns() - waited_ns()
    while not what():
        if time.monotonic_ns() - waited_ns() - began_ns > patience_sec * 1e9:
            raise Broken(f"not within {patience_sec:g} s: {why or 'what the drill waits for'}")
        await asyncio.sleep(LOOK_SEC)


def config_for(server: Server, state_dir: Path, setting: Setting, *settings: str) -> Config:
    """A daemon's settings on these exchanges, checked."""
    state_dir.mkdir(mode=0o700, exist_ok=True, parents=True)
    return load_layers(None, {}, lines_for(server, state_dir, setting, *settings)).config


def lines_for(server: Server, state_dir: Path, setting: Setting, *settings: str) -> list[str]:
    """The same as lines of TOML: low thresholds, free ports, a state folder of its own; the last of a key counts."""
    names = ", ".join(f'"{symbol}"' for symbol in setting.symbols)
    lines = [
        f'daemon.state_dir = "{state_dir}"',
        f"symbols = [{names}]",
        "metrics.port = 0",
        "api.port = 0",
        "engine.min_spread_bps = 5",
        "engine.min_liquidity_depth = 1000",
        *(LIVE if setting.is_live else ()),
        *setting.settings,
    ]
    for venue in server.world.exchanges:
        entry = server.entry(venue)
        lines += [f'venues.{venue}.ws_url = "{entry["ws"]}"', f'venues.{venue}.rest_url = "{entry["rest"]}"']
        lines += [f'venues.{venue}.ws_private_url = "{entry["ws_private"]}"', f"venues.{venue}.taker_fee_bps = 1"]
    return list({line.partition(" = ")[0]: line for line in [*lines, *settings]}.values())


def keys_of(server: Server) -> dict[str, Keys]:
    """The account's keys on every venue."""
    entries = {venue: server.entry(venue, ACCOUNT) for venue in server.world.exchanges}
    return {v: Keys(key=e["key"], secret=e["secret"], passphrase=e["passphrase"]) for v, e in entries.items()}


class Ground:
    """Exchanges and a daemon. `records` is the daemon's journal so far, `twin` a desk that knows nothing else."""

    def __init__(self, setting: Setting, server: Server, clock: Time, folder: Path) -> None:
        self.setting = setting
        self.server = server
        self.time = clock
        self.folder = folder
        self.log = Lines()
        self.records: list[Record] = []
        self.raised: list[dict[str, Any]] = []  # signals
        self.config = config_for(server, folder / "state", setting)
        self.env: dict[str, str] = {}  # what a daemon has in its environment besides
        self.twin = self._twin()
        self.daemon: Daemon
        self.truth = None if setting.is_live else Truth(server)
        self.witness: Witness | None = None
        self._witnessing: asyncio.Task[None] | None = None
        self._run: asyncio.Task[None] | None = None

    # ---- the daemon's lives ----

    async def start(self, *settings: str) -> None:
        """A daemon on the state folder, ready; a live one has its balances, its streams, and is armed."""
        self.config = config_for(self.server, self.folder / "state", self.setting, *settings)
        options = Options(
            keys=keys_of(self.server) if self.setting.is_live else {},
            listeners=[lambda event: self.raised.append(event) if event["event"] == "raised" else None],
            env={**os.environ, **self.env},
        )
        self.daemon = build(self.config, self.time, self.log, options)
        ready = asyncio.Event()
        self._run = asyncio.create_task(self.daemon.run(ready.set), name="a drill's daemon")
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({self._run, waiting}, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE_SEC)
        waiting.cancel()
        if self._run.done():
            self._run.result()
        if not ready.is_set():
            raise Broken("the daemon did not become ready")
        if self.truth is not None:
            self.witness = Witness(self.truth, self.daemon)
            self._witnessing = asyncio.create_task(self._witness(self.witness), name="a drill's witness")
        if self.setting.is_live:
            await until(self.is_trading_possible, why="private streams and balances")
            self.dealing.arm("a drill")

    async def stop(self) -> None:
        """A clean end."""
        if self._witnessing is not None:
            self._witnessing.cancel()
        if self._run is not None:
            self.daemon.stop("the drill is over", now=True)
            run, self._run = self._run, None
            async with asyncio.timeout(PATIENCE_SEC):
                await run

    async def _witness(self, witness: Witness) -> None:
        """For ever, often enough that no tick is overrun."""
        while True:
            witness.look()
            await asyncio.sleep(LOOK_SEC)

    async def restart(self, *settings: str) -> None:
        """A clean end and another life on the same state."""
        await self.stop()
        self.read_journal()
        await self.start(*settings)

    # ---- what stands where ----

    @property
    def dealing(self) -> Dealing:
        """The daemon's desk in its shell."""
        return self.daemon.parts.dealing

    @property
    def exchanges(self) -> dict[str, Exchange]:
        """The simulated venues by name."""
        return self.server.world.exchanges

    def now_ns(self) -> int:
        """The exchanges' time."""
        return self.time.exchanges_ns()

    def is_trading_possible(self) -> bool:
        """Every private stream stands and every balance is known."""
        ports = self.dealing.ports
        known = {name.partition("|")[0] for name in self.dealing.desk.standing.state.holdings.balances}
        return set(ports) == set(self.exchanges) == known and all(port.is_up for port in ports.values())

    def is_synced(self) -> bool:
        """Whether every book may be believed."""
        return all(feed.books_synced == feed.books for feed in self.daemon.parts.feeds.statuses())

    def balances_of(self, venue: str) -> dict[str, Decimal]:
        """What the desk believes to own there."""
        known = self.dealing.desk.standing.state.holdings.balances
        return {name.partition("|")[2]: amount for name, amount in known.items() if name.startswith(f"{venue}|")}

    # ---- the journal ----

    def read_journal(self) -> list[Record]:
        """Everything in the journal that is synced; the twin has seen it too."""
        follower = self.daemon.parts.keeping.journal.follow(self.records[-1].seq if self.records else 0)
        try:
            while found := follower.read(RECORDS):
                for record in found:
                    self.twin.replay(read(record.kind, record.body), record.ts_ns)
                self.records += found
        finally:
            follower.close()
        return self.records

    async def until_written_down(self) -> list[Record]:
        """The journal with everything that has happened so far."""
        journal = self.daemon.parts.keeping.journal
        while not self.records or self.records[-1].seq < journal.head:
            await journal.until_synced(journal.head)
            self.read_journal()
        return self.records

    def _twin(self) -> Desk:
        return Desk(execution(self.config), limits(self.config))


@asynccontextmanager
async def exchanges(setting: Setting, clock: Time, seed: int = 1) -> AsyncIterator[Server]:
    """Calm simulated venues, listening."""
    scenario = Scenario(symbols=setting.symbols, dislocations_per_s=0.0, rate=setting.rate)
    world = World(list(setting.venues), scenario, seed=seed, start_ns=clock.exchanges_ns())
    async with Server(world, clock.exchanges_ns) as server:
        yield server


@asynccontextmanager
async def ground(setting: Setting, folder: Path) -> AsyncIterator[Ground]:
    """A ground that is ready; whatever stands of it at the end is taken down."""
    clock = Time(setting.pace)
    async with exchanges(setting, clock) as server:
        there = Ground(setting, server, clock, folder)
        try:
            await there.start()
            yield there
        finally:
            await there.stop()


def fills_of(exchange: Exchange) -> Sequence[dict[str, Any]]:
    """The venue's executions of our account that stand."""
    found = map(exchange.ledger.fill_entry, exchange.ledger.fills)
    return [fill for fill in found if fill["account"] == ACCOUNT and not fill["is_busted"]]


def orders_of(exchange: Exchange) -> Sequence[dict[str, Any]]:
    """The venue's orders of our account."""
    found = map(exchange.ledger.order_entry, exchange.ledger.orders.values())
    return [order for order in found if order["account"] == ACCOUNT]
