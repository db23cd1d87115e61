"""A race: contestants take the same frames in alternating rounds, each frame timed on its own.

Every contestant goes the whole way from a frame's bytes to its book to the best touch spread across venues.
A venue whose dialect a library cannot read keeps its opening touch, which only makes that library's work
lighter; times are compared over the frames that both sides read. The machine is noisy, so contestants take turns
round by round (A B C A B C ...) and what is reported is the best round of each.
"""

from __future__ import annotations

import gc
import importlib.metadata
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any, ClassVar, Protocol

from benchmarks.frames import Stream

Levels = list[tuple[float, float]]
Handle = Callable[[Any], object]  # of a frame as text or as bytes, as the library takes it


class Contestant(Protocol):
    """One library over one stream. Building it opens every book that it can read."""

    name: ClassVar[str]
    package: ClassVar[str]
    reads: ClassVar[dict[str, frozenset[str]]]  # kind of stream -> dialects

    def __init__(self, stream: Stream) -> None: ...

    def run(self, start: int, stop: int, spent_ns: array[int]) -> None:
        """Take the frames [start, stop) that the library reads; the times go to their places in `spent_ns`."""

    def top(self, venue: int, depth: int) -> tuple[Levels, Levels]:
        """The best `depth` levels of a venue's book, bids and asks."""

    def spread(self) -> float:
        """The best spread across venues as computed at the last frame: highest bid / lowest ask - 1."""


class Touches:
    """Best bid and ask of every venue: what a library's user would keep to compare venues."""

    def __init__(self, stream: Stream, number: Callable[[float], Any] = float) -> None:
        tops = [book.top() for book in stream.opened]
        self.bids: list[Any] = [number(bids[0][0]) for bids, _ in tops]
        self.asks: list[Any] = [number(asks[0][0]) for _, asks in tops]
        self.best: Any = max(self.bids) / min(self.asks) - 1


@dataclass(frozen=True, slots=True)
class Pace:
    """Nanoseconds a frame, best of the rounds, and how many frames that stands for."""

    p50: float
    p99: float
    p999: float
    frames: int


def time_frames(
    handles: Sequence[Handle | None],
    frames: Sequence[str] | Sequence[bytes],
    venue_of: Sequence[int],
    window: tuple[int, int],
    spent_ns: array[int],
) -> None:
    """Hand each frame of the window to its venue's handle (None: not read) and note the time it took."""
    clock = perf_counter_ns
    for i in range(*window):
        handle = handles[venue_of[i]]
        if handle is None:
            continue
        frame = frames[i]
        before = clock()
        handle(frame)
        spent_ns[i] = clock() - before


@contextmanager
def quiet_collector() -> Iterator[None]:
    """The collector out of the way, the same for all: collect, freeze, disable; undone at the end."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def run_race(
    contestants: Sequence[Contestant], stream: Stream, *, warm: int, rounds: int
) -> dict[str, list[array[int]]]:
    """Times of every contestant by round; 0 where a frame was not read.

    The first `warm` frames are not reported; the rest is cut in `rounds` equal blocks.
    """
    total = len(stream.frames)
    block = (total - warm) // rounds
    spent = {c.name: array("q", bytes(8 * total)) for c in contestants}
    with quiet_collector():
        for contestant in contestants:
            contestant.run(0, warm, spent[contestant.name])
        for n in range(rounds):
            start = warm + n * block
            for contestant in contestants:
                contestant.run(start, start + block, spent[contestant.name])
        for contestant in contestants:  # what the division left over: the books must end where the truth does
            contestant.run(warm + rounds * block, total, spent[contestant.name])
    cuts = [(warm + n * block, warm + (n + 1) * block) for n in range(rounds)]
    return {name: [times[a:b] for a, b in cuts] for name, times in spent.items()}


def pace(times: Sequence[array[int]], dialects: frozenset[str], stream: Stream, warm: int) -> Pace:
    """The pace over the frames of these dialects: the best round of each figure."""
    reports, counted, at = [], 0, warm
    wanted = [d in dialects for d in stream.dialects]
    for block in times:
        read = sorted(t for i, t in enumerate(block) if t and wanted[stream.venue_of[at + i]])
        at += len(block)
        counted += len(read)
        if read:
            reports.append([read[min(int(len(read) * q), len(read) - 1)] for q in (0.5, 0.99, 0.999)])
    if not reports:
        return Pace(0.0, 0.0, 0.0, 0)
    p50, p99, p999 = (float(min(figures)) for figures in zip(*reports, strict=True))
    return Pace(p50, p99, p999, counted)


class WrongBookError(Exception):
    """A contestant did not end with the book or the spread that the frames lead to."""


def check(contestant: Contestant, stream: Stream, depth: int = 2000) -> None:
    """Hold every readable book, to `depth` levels a side, and the last spread against the truth.

    Raises WrongBookError at the first that differs.
    """
    readable = contestant.reads[stream.kind]
    bids, asks = [], []
    for k, dialect in enumerate(stream.dialects):
        truth = (stream.books if dialect in readable else stream.opened)[k].top(depth)
        bids.append(truth[0][0][0])
        asks.append(truth[1][0][0])
        if dialect in readable:
            got = contestant.top(k, depth)
            if got != truth:
                came, due = [side[:3] for side in got], [side[:3] for side in truth]
                sizes = f"{[len(side) for side in got]} levels, due {[len(side) for side in truth]}"
                raise WrongBookError(f"{contestant.name}, {stream.names[k]}: {came}, due {due}; {sizes}")
    best = max(bids) / min(asks) - 1
    if abs(contestant.spread() - best) > 1e-12:
        raise WrongBookError(f"{contestant.name}: a spread of {contestant.spread()}, due {best}")


def version(contestant: type[Contestant]) -> str:
    """The installed version of a contestant's package; empty when it is not installed."""
    try:
        return importlib.metadata.version(contestant.package)
    except importlib.metadata.PackageNotFoundError:
        return ""
