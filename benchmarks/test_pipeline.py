"""Bytes -> book -> opportunity, the whole evaluation running, one Python call a frame, per venue and by venues."""

from __future__ import annotations

from array import array
from functools import cache
from typing import Any

import pytest

from benchmarks.frames import DIALECTS, KINDS, Stream, make_stream
from benchmarks.peers.ours import GambitEntry, open_market
from benchmarks.peers.race import check
from benchmarks.report import Report
from benchmarks.timing import Effort, best_of_each, c_pass, call_pass, figures, take_turns

VENUES = (2, 5, 10, 20)
HEAD = ("venues", "frames of", "p50", "p99", "p99.9", "p99.9 / p50")


@cache
def stream_of(kind: str, dialect: str, venues: int, frames: int) -> Stream:
    """A stream of N venues that all speak this dialect, or (`mixed`) five in turn."""
    spoken = venues if dialect == "mixed" else [dialect] * venues
    return make_stream(kind, spoken, frames)


@pytest.mark.benchmark(group="pipeline")
@pytest.mark.parametrize("venues", VENUES)
@pytest.mark.parametrize("dialect", [*DIALECTS, "mixed"])
@pytest.mark.parametrize("kind", KINDS)
def test_pipeline(
    benchmark: Any, report: Report, much: Effort, quiet: None, kind: str, dialect: str, venues: int
) -> None:
    """Frames of N venues end in the true books; what is timed is all of them, then each for itself."""
    stream = stream_of(kind, dialect, venues, much.frames(kind))
    total = len(stream.frames)
    passes: list[tuple[GambitEntry, array[int]]] = []

    def fresh() -> tuple[tuple[int, int, array[int]], dict[str, Any]]:
        passes.append((GambitEntry(stream), array("q", bytes(8 * total))))
        return (0, total, passes[-1][1]), {}

    def run(start: int, stop: int, spent_ns: array[int]) -> None:
        passes[-1][0].run(start, stop, spent_ns)

    benchmark.pedantic(run, setup=fresh, rounds=much.rounds)
    check(passes[-1][0], stream)
    found = figures(best_of_each([spent for _, spent in passes], warm=total // 10))
    benchmark.extra_info.update(p50_ns=found.p50, p99_ns=found.p99, p999_ns=found.p999)
    title = f"one Python call a {kind} frame, ns; each frame's best of {much.rounds} rounds"
    row = (venues, dialect, found.p50, found.p99, found.p999, found.p999 / found.p50)
    report.add(title, HEAD, row)


@pytest.mark.benchmark(group="pipeline: busy")
@pytest.mark.parametrize("venues", VENUES)
@pytest.mark.parametrize("kind", KINDS)
def test_busy(benchmark: Any, report: Report, much: Effort, quiet: None, kind: str, venues: int) -> None:
    """The worst day: no fees, thresholds at nothing, so that every pair that could qualify is sized at every frame."""
    stream = stream_of(kind, "mixed", venues, much.frames(kind) // 2)
    rounds = benchmark.pedantic(
        lambda: take_turns({"call": lambda: call_pass(stream, busy=True)}, much.rounds), rounds=1
    )
    found = figures(best_of_each(rounds["call"], warm=len(stream.frames) // 10))
    signals = _signals(stream)
    benchmark.extra_info.update(p50_ns=found.p50, p99_ns=found.p99, p999_ns=found.p999, signals=signals)
    title = "the same with no fees and thresholds at nothing: every pair that could qualify is walked"
    head = ("kind", "venues", "p50", "p99", "p99.9", "raised or closed a frame")
    report.add(title, head, (kind, venues, found.p50, found.p99, found.p999, signals / len(stream.frames)))
    assert signals


def _signals(stream: Stream) -> int:
    market, conns = open_market(stream, busy=True)
    for k, frame, recv_ns in zip(stream.venue_of, stream.frames, stream.recv_ns, strict=True):
        market.on_frame(conns[k], frame, recv_ns)
    raised, closed, _ = market.pairs.totals
    return int(raised + closed)


@pytest.mark.benchmark(group="pipeline: stages")
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("kind", KINDS)
def test_stages(benchmark: Any, report: Report, much: Effort, quiet: None, kind: str, dialect: str) -> None:
    """Where a frame's time goes, by the hot path's own histograms (good to a sixteenth, clock readings included)."""
    stream = stream_of(kind, dialect, 5, much.frames(kind))
    market, conns = open_market(stream)
    market.hot.measure(True)

    def run() -> None:
        take = market.on_frame
        for k, frame, recv_ns in zip(stream.venue_of, stream.frames, stream.recv_ns, strict=True):
            take(conns[k], frame, recv_ns)

    benchmark.pedantic(run, rounds=1)
    stages = {name: summary["p50"] for name, summary in market.hot.latencies().items()}
    size = sum(map(len, stream.frames)) / len(stream.frames)
    loop = figures(best_of_each([c_pass(stream) for _ in range(much.rounds)], warm=len(stream.frames) // 10))
    benchmark.extra_info.update(stages)
    report.add(
        "stages of a frame, p50 in ns, 5 venues; C loop: the frame without the Python call",
        ("kind", "dialect", "bytes", "scan", "book", "engine", "all", "C loop"),
        (kind, dialect, int(size), *(float(stages[name]) for name in ("scan", "book", "engine", "frame")), loop.p50),
    )
