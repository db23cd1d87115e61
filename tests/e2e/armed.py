"""`python -m tests.e2e.armed FILE`: the daemon of `gambit run` in live mode, with keys, and armed once it is ready.

For tests and benchmarks that need a daemon in a process of its own on exchanges of our own. FILE holds settings and
keys; standard output says "ready" when orders may leave, once per start.
"""

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import uvloop

from gambit.bootstrap import Options
from gambit.bootstrap.running import run_daemon
from gambit.config.loading import load_layers
from gambit.runtime.daemon import Daemon
from gambit.runtime.exchanges import Exchange
from gambit.venues.orders import Keys

READY_SEC = 90.0
STOP_SEC = 60.0
TURN_SEC = 0.01
SETTINGS = (
    'execution.mode = "live"',
    "execution.watchdog = false",  # it would outlive a daemon that is killed, and its exchanges
    "engine.min_spread_bps = 5",
    "engine.min_liquidity_depth = 1000",
    "risk.trades_per_hour = 0",
    "risk.trades_per_day = 0",
    "metrics.port = 0",
    "api.port = 0",
)


class Given(msgspec.Struct, frozen=True):
    """What the file holds."""

    settings: tuple[str, ...]
    keys: dict[str, Keys]


def write(folder: Path, there: Sequence[Exchange], symbols: Sequence[str], *settings: str) -> Path:
    """The file of a daemon on these exchanges with its state in `folder`/state."""
    state_dir = folder / "state"
    state_dir.mkdir(mode=0o700, exist_ok=True, parents=True)
    names = ", ".join(f'"{symbol}"' for symbol in symbols)
    lines = [*SETTINGS, f'daemon.state_dir = "{state_dir}"', f"symbols = [{names}]", *settings]
    for one in there:
        lines += [f'venues.{one.venue}.ws_url = "{one.ws}"', f'venues.{one.venue}.rest_url = "{one.rest}"']
        lines += [f'venues.{one.venue}.ws_private_url = "{one.ws_private}"', f"venues.{one.venue}.taker_fee_bps = 1"]
    keys = {one.venue: Keys(key=one.key, secret=one.secret, passphrase=one.passphrase) for one in there}
    path = folder / "armed.json"
    path.write_bytes(msgspec.json.encode(Given(tuple(lines), keys)))
    return path


def run(path: Path, on_build: Callable[[Daemon], None] = lambda _daemon: None) -> int:
    """Run the daemon of such a file to its end; `on_build` may look into it before anything is sent."""
    given = msgspec.json.decode(path.read_bytes(), type=Given)
    config = load_layers(None, {}, given.settings).config
    waiting: list[asyncio.Task[None]] = []

    def ready(daemon: Daemon) -> None:
        on_build(daemon)
        waiting.append(asyncio.get_running_loop().create_task(arm(daemon), name="arming"))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run_daemon(config, os.environ, Options(keys=given.keys), on_ready=ready))


async def arm(daemon: Daemon) -> None:
    """Once every account is connected and its balances are known."""
    dealing = daemon.parts.dealing
    while not (all(port.is_up for port in dealing.ports.values()) and knows_balances(daemon)):
        await asyncio.sleep(TURN_SEC)
    dealing.arm("a test")
    print("ready", flush=True)


def knows_balances(daemon: Daemon) -> bool:
    """Whether every venue has told them."""
    dealing = daemon.parts.dealing
    known = {name.partition("|")[0] for name in dealing.desk.standing.state.holdings.balances}
    return known >= set(dealing.ports)


# ---- the other side: who starts it ----


async def start(path: Path, *before: str, module: str = "tests.e2e.armed", more: Sequence[str] = ()) -> Process:
    """The daemon as a child, possibly under another command; not ready yet."""
    words = [*before, sys.executable, "-m", module, str(path), *more]
    return await asyncio.create_subprocess_exec(*words, stdout=PIPE, stderr=PIPE, limit=1 << 22)


async def until_ready(daemon: Process) -> None:
    """Read until it says so. Raises AssertionError with what it said when it ends before."""
    assert daemon.stdout is not None
    async with asyncio.timeout(READY_SEC):
        line = await daemon.stdout.readline()
    if line != b"ready\n":
        _, said = await daemon.communicate()
        raise AssertionError(said.decode())


@asynccontextmanager
async def running(
    path: Path, *before: str, module: str = "tests.e2e.armed", more: Sequence[str] = ()
) -> AsyncIterator[Process]:
    """A daemon that is ready; it is stopped at the end, and must stop well."""
    daemon = await start(path, *before, module=module, more=more)
    said: list[bytes] = []
    reading = asyncio.create_task(_listen(daemon, said))
    try:
        await until_ready(daemon)
        yield daemon
    finally:
        with contextlib.suppress(ProcessLookupError):
            daemon.terminate()
        try:
            async with asyncio.timeout(STOP_SEC):
                code = await daemon.wait()
        except TimeoutError:
            daemon.kill()
            raise
        await reading
    assert code == 0, b"".join(said).decode()


async def _listen(daemon: Process, said: list[bytes]) -> None:
    assert daemon.stderr is not None
    while line := await daemon.stderr.readline():
        said.append(line)


class Sim:
    """The control plane of simulated exchanges, over HTTP."""

    def __init__(self, session: aiohttp.ClientSession, there: Sequence[Exchange]) -> None:
        self.session = session
        self.rest = {one.venue: one.rest for one in there}

    async def ledger(self, venue: str, parts: str = "") -> dict[str, Any]:
        """The venue's own record, or some parts of it."""
        async with self.session.get(
            f"{self.rest[venue]}/_sim/ledger", params={"parts": parts} if parts else {}
        ) as answer:
            found: dict[str, Any] = await answer.json()
            return found

    async def shift(self, venue: str, symbol: str, bps: float, for_ms: int) -> None:
        """Move a price away from the others for a while."""
        await self._post(venue, "price", {"symbol": symbol, "shift_bps": bps, "for_ms": for_ms})

    async def strike(
        self, venue: str, kind: str, args: Mapping[str, Any], match: Mapping[str, Any], **more: Any
    ) -> int:
        """A fault; its number."""
        fault = await self._post(venue, "fault", {"kind": kind, "args": args, "match": match, **more})
        number: int = fault["id"]
        return number

    async def clear(self, venue: str) -> None:
        """No fault any more."""
        await self._post(venue, "clear", {})

    async def _post(self, venue: str, what: str, body: Mapping[str, Any]) -> dict[str, Any]:
        async with self.session.post(f"{self.rest[venue]}/_sim/{what}", json=body) as answer:
            said: dict[str, Any] = await answer.json()
            assert answer.status == 200, said
            return said


if __name__ == "__main__":
    raise SystemExit(run(Path(sys.argv[1])))
