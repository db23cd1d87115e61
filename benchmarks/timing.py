"""Times on a machine that others use too: repeat, take turns, keep each frame's best.

What the program itself does at a frame it does in every round; what the machine does to it (an interrupt, a
neighbour) hits another frame each time. The smallest of a frame's times over some rounds is therefore its own,
and percentiles of those show the program's tail and not the machine's.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter_ns

from benchmarks.frames import Stream
from benchmarks.peers.ours import GambitEntry, open_market
from benchmarks.peers.race import quiet_collector

Pass = Callable[[], Sequence[int]]  # one fresh run over a stream: ns of each frame


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured. `GAMBIT_BENCH=smoke` asks for little, to see that everything runs."""

    name: str
    rounds: int
    ticker_frames: int
    depth_frames: int
    loops: int  # of a kernel's C loop
    capture_seconds: float
    blocks_frames: int  # over which the count of allocated blocks must stand still

    def frames(self, kind: str) -> int:
        """Frames of a stream of this kind."""
        return self.ticker_frames if kind == "ticker" else self.depth_frames


FULL = Effort("full", 7, 5000, 3000, 200_000, 180.0, 1_000_000)
SMOKE = Effort("smoke", 3, 1000, 300, 20_000, 15.0, 100_000)


def effort() -> Effort:
    """What the environment asks for."""
    return SMOKE if os.environ.get("GAMBIT_BENCH") == "smoke" else FULL


@dataclass(frozen=True, slots=True)
class Figures:
    """Percentiles in ns."""

    p50: float
    p99: float
    p999: float


def figures(times: Sequence[int]) -> Figures:
    """Percentiles of some times. Raises ValueError when there are none."""
    if not times:
        raise ValueError("no times")
    ordered = sorted(times)
    last = len(ordered) - 1
    p50, p99, p999 = (float(ordered[min(int(len(ordered) * share), last)]) for share in (0.5, 0.99, 0.999))
    return Figures(p50, p99, p999)


def best_of_each(rounds: Sequence[Sequence[int]], warm: int = 0) -> list[int]:
    """The smallest time of every frame over some rounds, without the first `warm` frames."""
    return [min(times) for times in zip(*rounds, strict=True)][warm:]


def take_turns(passes: Mapping[str, Pass], rounds: int) -> dict[str, list[Sequence[int]]]:
    """Rounds of several runs in turn (A B A B ...), so that a slow minute falls on all of them."""
    spent: dict[str, list[Sequence[int]]] = {name: [] for name in passes}
    with quiet_collector():
        for _ in range(rounds):
            for name, run in passes.items():
                spent[name].append(run())
    return spent


def call_pass(stream: Stream, *, busy: bool = False) -> Sequence[int]:
    """ns of every frame given by one Python call, in a fresh market; reading the clock is part of each."""
    entry = GambitEntry(stream, busy=busy)
    spent_ns = array("q", bytes(8 * len(stream.frames)))
    entry.run(0, len(stream.frames), spent_ns)
    return spent_ns


def c_pass(stream: Stream, *, busy: bool = False, shapes: bool = True) -> Sequence[int]:
    """ns of every frame in a loop in C, in a fresh market; reading the clock is part of each. Without `shapes` the
    scanner reads all frames.

    Raises AssertionError when a frame needed Python.
    """
    market, conns = open_market(stream, busy=busy)
    market.hot.learn_shapes(shapes)
    took, answers = market.hot.bench([conns[k] for k in stream.venue_of], stream.frames, stream.recv_ns, 1)
    assert answers == 0, f"{answers} answers other than done"
    spent: Sequence[int] = took
    return spent


def clock_ns() -> float:
    """What two readings of the clock cost: the part of a frame's time that is not the frame."""
    clock = perf_counter_ns
    spent = []
    for _ in range(20_000):
        before = clock()
        spent.append(clock() - before)
    return figures(spent).p50
