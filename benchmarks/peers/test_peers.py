"""Each library over the same frames, group `peers`; one that is not installed is skipped with the reason."""

from __future__ import annotations

import importlib
from array import array
from functools import cache
from typing import Any

import pytest

from benchmarks.frames import KINDS, Stream, make_stream
from benchmarks.peers import CONTESTANTS
from benchmarks.peers.__main__ import load_contestants, race_table, title, versions
from benchmarks.peers.race import Contestant, check, quiet_collector
from benchmarks.report import Report
from benchmarks.timing import SMOKE, Effort

VENUES, ROUNDS, BLOCK = 5, 6, 250


@cache
def stream_of(kind: str) -> Stream:
    """One stream of each kind for the whole session, in the dialect that every library reads."""
    return make_stream(kind, ["binance"] * VENUES, ROUNDS * BLOCK)


def contestant_or_skip(name: str) -> type[Contestant]:
    """The contestant's class; skips the test where its library cannot be imported."""
    module, attribute = CONTESTANTS[name]
    try:
        entry: type[Contestant] = getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        pytest.skip(f"{name} is not installed: {error}")
    return entry


@pytest.mark.benchmark(group="peers")
@pytest.mark.parametrize("name", CONTESTANTS)
@pytest.mark.parametrize("kind", KINDS)
def test_peer(benchmark: Any, kind: str, name: str) -> None:
    """Frames of five venues end in the true books; what is timed is a block of 250 frames."""
    entry, stream = contestant_or_skip(name), stream_of(kind)
    racer = entry(stream)
    spent_ns = array("q", bytes(8 * len(stream.frames)))
    starts = iter(range(0, len(stream.frames), BLOCK))

    def next_block() -> tuple[tuple[int, int, array[int]], dict[str, Any]]:
        start = next(starts)
        return (start, start + BLOCK, spent_ns), {}

    with quiet_collector():
        benchmark.pedantic(racer.run, setup=next_block, rounds=ROUNDS, iterations=1)
        for start in starts:  # what a run without timing leaves: the books must end where the truth does
            racer.run(start, start + BLOCK, spent_ns)
    check(racer, stream)
    read = sorted(ns for ns in spent_ns if ns)
    benchmark.extra_info["p50_ns_a_frame"] = read[len(read) // 2]
    benchmark.extra_info["p99_ns_a_frame"] = read[len(read) * 99 // 100]


@pytest.mark.benchmark(group="peers")
@pytest.mark.parametrize("kind", KINDS)
def test_race(report: Report, much: Effort, kind: str) -> None:
    """All libraries that are here over the same frames of five venues, in turns; the table is the result."""
    field, absent = load_contestants()
    if len(field) < 2:
        pytest.skip("no other library is installed: " + "; ".join(reason for _, reason in absent))
    frames, warm, rounds = (1500, 300, 3) if much is SMOKE else (20_000, 2000, 5)
    stream = make_stream(kind, VENUES, warm + frames)
    table = race_table(field, stream, warm, rounds)
    report.texts.append(f"{versions(field)}\n{title(stream, frames, warm, rounds)}\n{table}")
