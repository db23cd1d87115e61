"""``python -m benchmarks.live.disturbed``: tick to signal of a daemon whose disk, scraper or onlooker is stuck.

One daemon with trading halted, phases in turn: calm, slow disk (every write 20 ms, every sync 250 ms, every transaction
of the database 0.5 s more), calm, scrape connections that ask and never read, calm, subscribers of the control socket
that ask and never read. The latencies are the daemon's own; a phase is compared with the calm ones of the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.live.processes import daemon, exchanges, status_of, symbols, write_config
from benchmarks.report import machine
from gambit.sim.world import Scenario
from gambit.surface.client import call

WRITE_SEC, SYNC_SEC, COMMIT_SEC = 0.02, 0.25, 0.5
STUCK = 8  # connections that are stuck
ASKED = 2000  # requests on each
SMALL_BUFFER = 4096
AIM = 1.5

Stuck = Callable[[Path], "contextlib.AbstractContextManager[None]"]


def main(words: list[str] | None = None) -> int:
    """Run the phases, print a table; exit code 1 when a disturbance costs more than AIM times the calm p99."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live.disturbed", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each phase")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--symbols", type=int, default=8)
    parser.add_argument("--dislocations", type=float, default=2.0, help="a second, of all symbols together")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args(words)
    if asked.child:
        return child(asked.child)
    print(machine())
    scenario = Scenario(symbols=symbols(asked.symbols), dislocations_per_s=asked.dislocations)
    with tempfile.TemporaryDirectory(prefix="gambit-disturbed-") as name:
        spans = run(Path(name), scenario, asked.seconds, asked.rounds)
    return report(spans)


def run(folder: Path, scenario: Scenario, seconds: float, rounds: int) -> dict[str, list[int]]:
    """Latencies in ns by phase."""
    disturbances: dict[str, Stuck] = {"stalled scrape": stalled_scrape, "stalled subscribers": stalled_subscribers}
    with exchanges(folder, scenario) as (_, entries):
        config = write_config(folder, entries, scenario)
        with daemon(config, sys.executable, "-m", "benchmarks.live.disturbed", "--child") as process:
            assert process.stdin is not None
            assert process.stdout is not None

            def phase(name: str) -> None:
                print(name, file=process.stdin, flush=True)
                time.sleep(seconds)

            call(config.parent / "state" / "gambit.sock", "halt", {"reason": "only what is found, not what is done"})
            for _ in range(rounds):
                phase("settling")
                phase("calm")
                phase("slow disk")
                phase("settling")
                for name, stuck in disturbances.items():
                    phase("calm")
                    with stuck(config):
                        phase(name)
            print("told", file=process.stdin, flush=True)
            spans: dict[str, list[int]] = json.loads(process.stdout.readline())
    return spans


def report(spans: dict[str, list[int]]) -> int:
    """The table."""
    calm = percentile(spans["calm"], 0.99)
    worst = 0.0
    print(f"{'':20} {'signals':>8} {'p50 us':>9} {'p99 us':>9} {'p99 over calm':>14}")
    for name, found in spans.items():
        if name == "settling":
            continue
        p50, p99 = percentile(found, 0.5), percentile(found, 0.99)
        worst = max(worst, p99 / calm)
        print(f"{name:20} {len(found):8,} {p50 / 1000:9.0f} {p99 / 1000:9.0f} {p99 / calm:14.2f}")
    return 0 if worst <= AIM else 1


def percentile(spans: list[int], share: float) -> int:
    """A percentile of latencies."""
    return sorted(spans)[int(len(spans) * share)]


@contextlib.contextmanager
def stalled_scrape(config: Path) -> Iterator[None]:
    """Scrapers that ask again and again and never read an answer."""
    place = urlsplit(status_of(config)["metrics_address"])
    request = f"GET /metrics HTTP/1.1\r\nHost: {place.hostname}\r\n\r\n".encode()
    with contextlib.ExitStack() as stack:
        for _ in range(STUCK):
            stuck = stack.enter_context(socket.socket())
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
            stuck.connect((place.hostname, place.port))
            ask(stuck, request)
        yield


@contextlib.contextmanager
def stalled_subscribers(config: Path) -> Iterator[None]:
    """Onlookers that follow everything, ask for everything and never read."""
    requests = (
        {"method": "subscribe", "params": {"topics": ["arb.signal"]}},
        {"method": "status"},
        {"method": "books"},
    )
    lines = b"".join(json.dumps({"jsonrpc": "2.0", "id": 1, **one}).encode() + b"\n" for one in requests)
    with contextlib.ExitStack() as stack:
        for _ in range(STUCK):
            stuck = stack.enter_context(socket.socket(socket.AF_UNIX))
            stuck.connect(str(config.parent / "state" / "gambit.sock"))
            ask(stuck, lines)
        yield


def ask(stuck: socket.socket, request: bytes) -> None:
    """Send requests until nobody takes any more."""
    stuck.setblocking(False)
    with contextlib.suppress(BlockingIOError, ConnectionError):
        for _ in range(ASKED):
            stuck.sendall(request)


# ---- in the daemon's process ----


class Slow:
    """A disk that takes its time while `is_on`."""

    def __init__(self) -> None:
        self.is_on = False

    def down(self, owner: type, name: str, seconds: float) -> None:
        """Make a method slow, in whatever thread it runs."""
        quick = getattr(owner, name)

        def slowly(*args: Any) -> Any:
            if self.is_on:
                time.sleep(seconds)
            return quick(*args)

        setattr(owner, name, slowly)


def child(config_path: Path) -> int:
    """The daemon, with a disk that can be slow and latencies kept by phase; phases come in on standard input."""
    import uvloop

    from gambit.bootstrap import Options
    from gambit.bootstrap.running import run_daemon
    from gambit.config import load
    from gambit.journal.disk import Disk
    from gambit.runtime.daemon import Daemon
    from gambit.store.database import Database

    slow = Slow()
    slow.down(Disk, "write", WRITE_SEC)
    slow.down(Disk, "sync", SYNC_SEC)
    slow.down(Database, "apply", COMMIT_SEC)
    spans: dict[str, list[int]] = {}

    def ready(daemon: Daemon) -> None:
        observe, now = daemon.parts.pulse.on_latency, spans.setdefault("settling", [])

        def keep(ns: int) -> None:
            now.append(ns)
            observe(ns)

        def hear() -> None:
            nonlocal now
            for name in os.read(0, 4096).decode().split("\n"):
                if name == "told":
                    print(json.dumps(spans), flush=True)
                elif name:
                    slow.is_on = name == "slow disk"
                    now = spans.setdefault(name, [])

        daemon.parts.pulse.on_latency = keep
        asyncio.get_running_loop().add_reader(0, hear)

    config = load(config_path, {})
    return uvloop.run(run_daemon(config, os.environ, Options(), on_ready=ready))


if __name__ == "__main__":
    raise SystemExit(main())
