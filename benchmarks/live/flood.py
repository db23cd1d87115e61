"""``python -m benchmarks.live.flood``: how many depth frames a CPU-second takes from socket to evaluated book."""

from __future__ import annotations

import argparse
import asyncio
import time

from benchmarks.live.__main__ import CONTEXT, one_venue
from benchmarks.live.sender import Schedule, send
from benchmarks.peers.ours import open_market
from benchmarks.report import machine
from gambit._core.inlet import Intake
from gambit.engine.market import Market
from gambit.runtime.clock import SystemClock
from gambit.runtime.transport import Link, PicowsTransport

BURST = 200
WARM = 500


def main(words: list[str] | None = None) -> int:
    """Flood a reader from another process and print frames per CPU-second of the reading one."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live.flood", description=__doc__)
    parser.add_argument("--frames", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=int, help="offer so many frames a second instead, and say what became of them")
    asked = parser.parse_args(words)
    print(machine())
    if asked.rate:
        print(paced(asked.frames, asked.rate))
        return 0
    for busy in (False, True):
        best = max(flood(asked.frames, busy=busy) for _ in range(asked.rounds))
        label = "every pair walked at every frame" if busy else "default thresholds"
        print(f"{label}: {best[0]:,.0f} frames a CPU-second, {best[1]:,.0f} frames a second")
    return 0


def paced(frames: int, rate: int) -> str:
    """Offer `rate` frames a second, a burst each millisecond: what was applied, and the share of a core that took."""
    market, cpu, wall = run(Schedule(max(1, rate // 1000), 1000, WARM, frames), busy=True)
    book = market.book(0, levels=False) or {}
    total = frames + WARM
    return (
        f"{rate:,} frames a second offered, {total / wall:,.0f} came: {book['applied']:,} of {total:,} applied, "
        f"{book['gaps']} gaps, {100 * cpu / wall:.0f} % of a core"
    )


def flood(frames: int, *, busy: bool) -> tuple[float, float]:
    """(frames per CPU-second, frames per second) of OKX depth frames of 20 + 20 levels on 400 + 400."""
    _, cpu, wall = run(Schedule(BURST, 1, WARM, frames), busy=busy)
    return (frames + WARM) / cpu, (frames + WARM) / wall


def run(schedule: Schedule, *, busy: bool) -> tuple[Market, float, float]:
    """The market after all frames of a schedule, CPU seconds and seconds from the first to the last."""
    import uvloop

    stream = one_venue(schedule)
    opening = [opening.body for opening in stream.openings[0]]
    ours, theirs = CONTEXT.Pipe()
    sender = CONTEXT.Process(target=send, args=(theirs, opening, stream.frames, schedule, ""), daemon=True)
    sender.start()
    port = ours.recv()
    market, conns = open_market(stream, busy=busy)
    reader = _Reader(market, conns[0], len(opening), len(stream.frames))

    async def read() -> tuple[float, float]:
        reader.ended = asyncio.get_running_loop().create_future()
        await PicowsTransport(SystemClock().now_ns).open(f"ws://127.0.0.1:{port}/", reader, None)
        await reader.opened.wait()
        ours.send("go")
        return await reader.ended

    cpu, wall = uvloop.run(read())
    ours.recv_bytes()
    ours.send("enough")
    sender.join()
    return market, cpu, wall


class _Reader:
    """Frames go into the market as the daemon's do; counts them after each read, and takes times from first to last."""

    def __init__(self, market: Market, conn: int, opening: int, total: int) -> None:
        self.market = market
        self.on_message = Intake(market.hot, conn)
        self.before = self.frames
        self.opening = opening
        self.total = total
        self.opened = asyncio.Event()
        self.ended: asyncio.Future[tuple[float, float]]
        self.cpu = self.wall = 0.0

    @property
    def frames(self) -> int:
        """All of the venue so far."""
        return int(self.market.hot.venue_counts(0)["frames"])

    def on_open(self, link: Link) -> None: ...

    def on_heard(self, recv_ns: int) -> None:
        if self.market.pairs.pending[0]:
            self.market.opportunities()
        came = self.frames - self.before
        if came == self.opening and not self.opened.is_set():
            self.opened.set()
            self.cpu, self.wall = time.process_time(), time.perf_counter()
        if came == self.opening + self.total and not self.ended.done():
            self.ended.set_result((time.process_time() - self.cpu, time.perf_counter() - self.wall))

    def on_close(self, reason: str, bug: Exception | None) -> None: ...


if __name__ == "__main__":
    raise SystemExit(main())
