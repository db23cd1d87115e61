"""``python -m benchmarks.live.subscribers``: a thousand dashboards on one daemon, a tenth of which never read.

Three processes: simulated exchanges; a daemon with trading halted that tells an order event with its time 20 times a
second beside all it tells anyway; the dashboards, each subscribed to all of it. Phases: calm, then the crowd.
Seen from the dashboards: how long an event was on its way, whether each got every one. Seen from the daemon: its own
tick to signal in both phases, who was cut and when, memory. Seen from the kernel: what its sockets hold.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import resource
import sys
import tempfile
import time
from asyncio.transports import Transport
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import uvloop

from benchmarks.live.disturbed import percentile
from benchmarks.live.processes import PAGE, daemon, exchanges, status_of, symbols, usage, write_config
from benchmarks.report import machine
from gambit.sim.world import Scenario
from gambit.surface.client import call

RATE = 20.0  # events a second
STATES = 5.0  # state messages a second and channel, beside them
CHANNELS = ("trading.state", "order.status", "plan.status", "alert.raised", "arb.signals", "system.metrics", "account")
MARK = b'"sent_ns":'
P99_MS, CUT_SEC, KERNEL_MB, RSS_MB, RATIO = 250.0, 10.0, 64.0, 128.0, 1.5
PONG = b"\x8a\x80\0\0\0\0"
PONG_SEC = 2.0
JOIN_AT_ONCE = 25
SETTLE_SEC = 3.0


class Dashboard(asyncio.Protocol):
    """One subscriber; `reads` not, and it asks for everything and takes nothing."""

    def __init__(self, request: bytes, reads: bool) -> None:
        self.request = request
        self.reads = reads
        self.joined = asyncio.get_running_loop().create_future()
        self.delays_ns: list[int] = []
        self.is_closed = False
        self._pending = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(Transport, transport)
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        if not self.joined.done():
            self._pending += data
            if b'"op":"subscribed"' not in self._pending:
                return
            self.joined.set_result(None)
            self._pending = b""
            if self.reads:
                self.live()
            else:
                self.transport.pause_reading()
            return
        now_ns = time.monotonic_ns()
        data = self._pending + data
        place = data.find(MARK)
        while place >= 0:
            start = place + len(MARK)
            end = data.find(b",", start)
            if end < 0:
                break
            self.delays_ns.append(now_ns - int(data[start:end]))
            place = data.find(MARK, end)
        self._pending = data[place:] if place >= 0 else data[-len(MARK) :]

    def live(self) -> None:
        """Say that somebody is here, as an answer to a ping does."""
        if not self.transport.is_closing():
            self.transport.write(PONG)
            asyncio.get_running_loop().call_later(PONG_SEC, self.live)

    def connection_lost(self, error: Exception | None) -> None:
        self.is_closed = True
        if not self.joined.done():
            self.joined.set_exception(ConnectionError("the dashboard was not let in"))


def opening(host: str, token: str, channels: Sequence[str], rate: float) -> bytes:
    """An upgrade, and the subscription right behind it, masked with zeros."""
    head = (
        f"GET /ws/dashboard HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        f"Authorization: Bearer {token}\r\n\r\n"
    )
    said = json.dumps({"op": "subscribe", "channels": channels, "rate": rate}).encode()
    return head.encode() + b"\x81\xfe" + len(said).to_bytes(2, "big") + b"\0\0\0\0" + said


async def join(address: str, token: str, channels: Sequence[str], *, reading: int, stalled: int) -> list[Dashboard]:
    """All dashboards, subscribed; a few at a time."""
    loop = asyncio.get_running_loop()
    place = urlsplit(address)
    request = opening(place.netloc, token, channels, STATES)
    crowd: list[Dashboard] = []
    wanted = [True] * reading + [False] * stalled
    for start in range(0, len(wanted), JOIN_AT_ONCE):
        made = await asyncio.gather(
            *(
                loop.create_connection(lambda reads=reads: Dashboard(request, reads), place.hostname, place.port)
                for reads in wanted[start : start + JOIN_AT_ONCE]
            )
        )
        crowd += [dashboard for _, dashboard in made]
        await asyncio.gather(*(dashboard.joined for _, dashboard in made))
    return crowd


# ---- the daemon's process ----


def child(config_path: Path) -> int:
    """The daemon; on standard input phases and questions, on standard output a token, then the answers."""
    from gambit.access.permissions import Role
    from gambit.bootstrap import Options
    from gambit.bootstrap.dashboard import Dashboard as Live
    from gambit.bootstrap.running import run_daemon
    from gambit.config import load
    from gambit.runtime.daemon import Daemon

    spans: dict[str, list[int]] = {}
    tasks: list[asyncio.Task[None]] = []

    def ready(run: Daemon) -> None:
        observe, now = run.parts.pulse.on_latency, spans.setdefault("settling", [])
        live = next(server for server in run.parts.servers if isinstance(server, Live))
        cuts: list[float] = []
        told = 0

        def keep(ns: int) -> None:
            now.append(ns)
            observe(ns)

        async def tell() -> None:
            nonlocal told
            while True:
                if now is spans.get("crowd"):
                    told += 1
                    row = {"sent_ns": time.monotonic_ns(), "order_id": f"{told:036d}", "padding": "x" * 400}
                    live.door.hub.publish("order.status", row)
                cuts.extend([time.monotonic()] * (live.door.fanout.cut_count - len(cuts)))
                await asyncio.sleep(1 / RATE)

        async def let_in() -> None:
            access = run.parts.access
            user = await access.people.add("crowd@desk.example", "a passphrase of some length", Role.TRADER)
            issued = await access.logins.with_ticket(access.logins.ticket(user.user_id), "127.0.0.1", "benchmark")
            print(json.dumps({"token": issued.access_token}), flush=True)

        def hear() -> None:
            nonlocal now
            for name in os.read(0, 4096).decode().split("\n"):
                if name == "told":
                    answer = {"spans": spans, "told": told, "cuts": cuts, "conflated": live.door.hub.conflated}
                    print(json.dumps(answer), flush=True)
                elif name:
                    now = spans.setdefault(name, [])

        run.parts.pulse.on_latency = keep
        loop = asyncio.get_running_loop()
        loop.add_reader(0, hear)
        tasks.extend((loop.create_task(tell()), loop.create_task(let_in())))

    return uvloop.run(run_daemon(load(config_path, {}), os.environ, Options(), on_ready=ready))


# ---- the dashboards' process ----


def kernel_bytes() -> int:
    """What all TCP sockets of this machine hold in the kernel."""
    line = next(line for line in Path("/proc/net/sockstat").read_text().splitlines() if line.startswith("TCP:"))
    return int(line.split()[line.split().index("mem") + 1]) * PAGE


async def crowd_of(address: str, token: str, process: Any, asked: argparse.Namespace) -> dict[str, Any]:
    """Let the crowd come, look on for the time, and say what it saw."""
    before, cpu_s, rss = kernel_bytes(), 0.0, usage(process.pid).rss
    joining = time.monotonic()
    crowd = await join(address, token, CHANNELS, reading=asked.reading, stalled=asked.stalled)
    joined, cpu_s = time.monotonic(), usage(process.pid).cpu_s
    print("crowd", file=process.stdin, flush=True)
    most_kernel = most_rss = 0
    while time.monotonic() - joined < asked.seconds:
        await asyncio.sleep(0.25)
        most_kernel, most_rss = max(most_kernel, kernel_bytes()), max(most_rss, usage(process.pid).rss)
    cpu_s = usage(process.pid).cpu_s - cpu_s
    print("settling", file=process.stdin, flush=True)
    await asyncio.sleep(1.0)
    healthy = [dashboard for dashboard in crowd if dashboard.reads]
    found = {
        "joined_sec": joined - joining,
        "joined_at": joined,
        "delays": [delay for dashboard in healthy for delay in dashboard.delays_ns],
        "got": [len(dashboard.delays_ns) for dashboard in healthy],
        "lost": sum(dashboard.is_closed for dashboard in healthy),
        "kernel": most_kernel - before,
        "rss": most_rss - rss,
        "cpu": cpu_s / asked.seconds,
    }
    for dashboard in crowd:
        dashboard.transport.abort()
    return found


def run(folder: Path, asked: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the dashboards saw, and what the daemon did."""
    scenario = Scenario(symbols=symbols(asked.symbols), dislocations_per_s=2.0)
    with exchanges(folder, scenario) as (_, entries):
        config = write_config(folder, entries, scenario)
        with daemon(config, sys.executable, "-m", "benchmarks.live.subscribers", "--child") as process:
            assert process.stdin is not None
            assert process.stdout is not None
            token = json.loads(process.stdout.readline())["token"]
            call(config.parent / "state" / "gambit.sock", "halt", {"reason": "only what is told, not what is done"})
            time.sleep(SETTLE_SEC)
            print("calm", file=process.stdin, flush=True)
            cpu_s = usage(process.pid).cpu_s
            time.sleep(asked.seconds)
            calm_cpu = (usage(process.pid).cpu_s - cpu_s) / asked.seconds
            print("settling", file=process.stdin, flush=True)
            seen = uvloop.run(crowd_of(status_of(config)["web_address"], token, process, asked))
            seen["calm_cpu"] = calm_cpu
            print("told", file=process.stdin, flush=True)
            return seen, json.loads(process.stdout.readline())


def report(seen: dict[str, Any], did: dict[str, Any], stalled: int) -> int:
    """A line a promise; exit code 1 when one is broken."""
    spans = did["spans"]
    calm, crowd = percentile(spans["calm"], 0.99), percentile(spans["crowd"], 0.99)
    p50, p99 = (percentile(seen["delays"], share) / 1e6 for share in (0.5, 0.99))
    cut_sec = max(did["cuts"], default=float("inf")) - seen["joined_at"]
    lines = [
        ("delivery p50 / p99 ms", f"{p50:.1f} / {p99:.1f}", p99 <= P99_MS),
        ("events got by each reader", f"{min(seen['got'])} of {did['told']}", min(seen["got"]) >= did["told"]),
        ("readers lost", f"{seen['lost']}", seen["lost"] == 0),
        ("stalled cut", f"{len(did['cuts'])} of {stalled}", len(did["cuts"]) == stalled),
        ("last one cut after s", f"{cut_sec:.1f}", cut_sec <= CUT_SEC),
        ("kernel memory MB", f"{seen['kernel'] / 2**20:.1f}", seen["kernel"] <= KERNEL_MB * 2**20),
        ("memory of the daemon MB", f"{seen['rss'] / 2**20:.1f}", seen["rss"] <= RSS_MB * 2**20),
        ("tick to signal p99 us, calm / crowd", f"{calm / 1000:.0f} / {crowd / 1000:.0f}", crowd <= RATIO * calm),
        ("share of a core, calm / crowd", f"{seen['calm_cpu']:.2f} / {seen['cpu']:.2f}", True),
        ("all joined after s", f"{seen['joined_sec']:.1f}", True),
        ("conflated", f"{did['conflated']:,}", True),
    ]
    for name, text, is_kept in lines:
        print(f"{name:38} {text:>24}  {'' if is_kept else 'BROKEN'}")
    return 0 if all(is_kept for _, _, is_kept in lines) else 1


def main(words: list[str] | None = None) -> int:
    """Run it, print what was seen; exit code 1 when a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live.subscribers", description=__doc__)
    parser.add_argument("--reading", type=int, default=900)
    parser.add_argument("--stalled", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each phase")
    parser.add_argument("--symbols", type=int, default=4)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args(words)
    if asked.child:
        return child(asked.child)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with contextlib.suppress(ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    print(machine())
    with tempfile.TemporaryDirectory(prefix="gambit-subscribers-") as name:
        seen, did = run(Path(name), asked)
    return report(seen, did, asked.stalled)


if __name__ == "__main__":
    raise SystemExit(main())
