"""Each kernel alone, in a loop in C: ns for one of what it does, the best round."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from time import perf_counter_ns
from typing import Any

import pytest

from benchmarks.report import Report
from benchmarks.timing import Effort
from gambit._core.book import PyBook
from gambit._core.fixed import bench_parse
from gambit._core.latency import PyHistogram
from gambit._core.liquidity import PyWalk
from gambit._core.ring import PyRing
from gambit._core.score import bench_rank
from gambit._core.spread import PyGroup
from gambit._core.window import PyHistory

Levels = list[tuple[int, str, str]]
MID_TICKS = 640_000  # 64000.0 with a tick of 0.1
NUMBERS = {
    "price, 1 decimal": [f"{64000 + k}.{k % 10}".encode() for k in range(64)],
    "quantity, 8 decimals": [f"{k % 3}.{k * 7_654_321 % 10**8:08d}".encode() for k in range(64)],
    "padded price": [f"{64000 + k}.{k % 10}0000000".encode() for k in range(64)],
    "integer": [f"{k * 977}".encode() for k in range(64)],
}
DISTANCES = {"at the touch": 0, "500 ticks away": 500, "20000 ticks away": 20_000, "100000 ticks away": 100_000}

Bench = Callable[[Any, str, Callable[[], float], str], None]


@pytest.fixture
def kernel(report: Report, much: Effort, quiet: None) -> Bench:
    """Runs a kernel's bench some rounds and writes the best down."""

    def run(benchmark: Any, name: str, once: Callable[[], float], per: str = "") -> None:
        found: list[float] = []
        benchmark.pedantic(lambda: found.append(once()), rounds=much.rounds, warmup_rounds=1)
        benchmark.extra_info["ns"] = min(found)
        report.add("kernels, ns each, best round", ("kernel", "ns", "of what"), (name, min(found), per))

    return run


@pytest.mark.benchmark(group="kernels")
@pytest.mark.parametrize("what", NUMBERS)
def test_decimal_text(benchmark: Any, kernel: Bench, much: Effort, what: str) -> None:
    """Decimal text to a scaled integer."""
    texts = NUMBERS[what]
    kernel(benchmark, f"number: {what}", lambda: bench_parse(texts, much.loops // len(texts)), "a text")


def ladder(levels: int, away: int = 0, *, digit: int = 1) -> Levels:
    """Both sides with `levels` levels each from `away` ticks off the touch on, a tick apart."""
    bids = [(0, _price(MID_TICKS - away - k), f"0.{digit}{k % 10}") for k in range(levels)]
    return bids + [(1, _price(MID_TICKS + 1 + away + k), f"0.{digit}{k % 10}") for k in range(levels)]


def _price(ticks: int) -> str:
    return f"{ticks // 10}.{ticks % 10}"


def full_book() -> PyBook:
    """A thousand levels a side, and a thin tail far behind them."""
    book = PyBook()
    book.replace(ladder(1000) + [level for away in (5000, 20_000, 100_000) for level in ladder(20, away)])
    return book


def a_level(book: PyBook, one: Levels, other: Levels, times: int) -> float:
    """ns a level of two lists applied in turn, without what it costs to make levels of the texts first."""
    before = perf_counter_ns()
    book.repeat(one, other, 1)
    between = perf_counter_ns()
    book.repeat(one, other, times)
    took = perf_counter_ns() - between - (between - before)
    return took / ((times - 1) * (len(one) + len(other)))


@pytest.mark.benchmark(group="kernels")
@pytest.mark.parametrize("where", DISTANCES)
def test_book_quantities(benchmark: Any, kernel: Bench, much: Effort, where: str) -> None:
    """Twenty levels a side set to new quantities, at some distance from the touch."""
    book, away = full_book(), DISTANCES[where]
    there, back = ladder(20, away, digit=2), ladder(20, away, digit=3)
    kernel(benchmark, f"book: set, {where}", lambda: a_level(book, there, back, much.loops // 20), "a level")
    assert not book.crossed


@pytest.mark.benchmark(group="kernels")
@pytest.mark.parametrize("where", DISTANCES)
def test_book_comes_and_goes(benchmark: Any, kernel: Bench, much: Effort, where: str) -> None:
    """Every second level deleted and added again, at some distance; at the touch the best price moves."""
    book, away = full_book(), DISTANCES[where]
    added = ladder(20, away)[::2]
    deleted = [(side, price, "0") for side, price, _ in added]
    kernel(
        benchmark, f"book: delete and add, {where}", lambda: a_level(book, deleted, added, much.loops // 20), "a level"
    )
    assert not book.crossed


@pytest.mark.benchmark(group="kernels")
def test_touch_history(benchmark: Any, kernel: Bench, much: Effort) -> None:
    """A changed touch remembered for the windows, 5 s at a frame a millisecond."""
    history = PyHistory(5_000_000_000)
    kernel(benchmark, "windows: a touch", lambda: history.bench_push(much.loops, 1_000_000), "a push")


@pytest.mark.benchmark(group="kernels")
def test_window_statistics(benchmark: Any, kernel: Bench, much: Effort, quiet: None) -> None:
    """Mean, maximum and persistence of a pair over 5 s with 1000 changes a book, as a signal asks for them."""
    buy, sell = PyHistory(5_000_000_000), PyHistory(5_000_000_000)
    buy.bench_push(1000, 5_000_000)
    sell.bench_push(1000, 5_000_000)

    def once() -> float:
        result = a_call(lambda: buy.stats(sell, 0, 5_000_000_000, 15.0), 20)
        assert buy.stats(sell, 0, 5_000_000_000, 15.0)[2] > 0
        return result

    kernel(benchmark, "windows: a pair's statistics", once, "a signal")


def a_call(call: Callable[[], object], times: int) -> float:
    """ns for one call, the Python call included: for what has no loop of its own in C."""
    before = perf_counter_ns()
    for _ in range(times):
        call()
    return (perf_counter_ns() - before) / times


@pytest.mark.benchmark(group="kernels")
def test_volatility(benchmark: Any, kernel: Bench, much: Effort) -> None:
    """Sigma of a book over 50 buckets, as a signal asks for it."""
    history = PyHistory(5_000_000_000)
    history.bench_push(1000, 5_000_000)
    kernel(benchmark, "volatility", lambda: a_call(lambda: history.sigma(5_000_000_000, 5.0), 100), "a signal")


@pytest.mark.benchmark(group="kernels")
@pytest.mark.parametrize("levels", [1, 5, 20])
@pytest.mark.parametrize("what", ["walk", "depth"])
def test_size_walk(benchmark: Any, kernel: Bench, much: Effort, what: str, levels: int) -> None:
    """What can be bought and sold over so many levels a side, and the depth of both books within the slippage."""
    asks = [(_price(MID_TICKS + k), "0.01") for k in range(levels)]
    bids = [(_price(MID_TICKS + 2000 - k), "0.01") for k in range(levels)]
    walk = PyWalk(asks, bids, fees=(0.001, 0.001), notional="100000")
    assert walk.size() is not None
    name = f"size: walk of {levels} + {levels} levels" if what == "walk" else f"depth: {levels} + {levels} levels"
    kernel(benchmark, name, lambda: walk.bench(much.loops // 100)[what == "depth"], "a pair")


@pytest.mark.benchmark(group="kernels")
def test_rank(benchmark: Any, kernel: Bench, much: Effort) -> None:
    """The best 20 of 1000 candidates."""
    rng = Random(1)
    candidates = [(rng.random(), rng.random() * 50, rng.random() * 100, (f"S{k}", "a", "b")) for k in range(1000)]
    kernel(benchmark, "rank: best 20 of 1000", lambda: bench_rank(candidates, 20, much.loops // 1000), "a ranking")


@pytest.mark.benchmark(group="kernels")
@pytest.mark.parametrize("venues", [2, 5, 10, 20, 50])
def test_scan_of_a_group(benchmark: Any, kernel: Bench, much: Effort, venues: int) -> None:
    """The sieve over all venues' touches that every frame goes through."""
    group = quiet_group(venues)
    kernel(benchmark, f"sieve: {venues} venues", lambda: group.bench_scan(much.loops)[0], "a frame")


def quiet_group(venues: int) -> PyGroup:
    """Venues whose touches differ by less than any threshold."""
    group = PyGroup()
    for k in range(venues):
        group.add()
        group.set(k, 64000.0 + k % 3 / 10, 64000.5 + k % 3 / 10)
    return group


@pytest.mark.benchmark(group="kernels")
def test_ring(benchmark: Any, kernel: Bench, much: Effort) -> None:
    """A record written and read."""
    ring = PyRing(1024)
    kernel(benchmark, "ring: write and read", lambda: ring.bench(much.loops)[0], "a record")


@pytest.mark.benchmark(group="kernels")
def test_histogram(benchmark: Any, kernel: Bench, much: Effort) -> None:
    """A duration counted."""
    histogram = PyHistogram()
    kernel(benchmark, "histogram: a sample", lambda: histogram.bench(much.loops), "a sample")


@pytest.mark.benchmark(group="kernels")
def test_kraken_checksum(benchmark: Any, kernel: Bench, much: Effort) -> None:
    """The CRC32 over the text of the ten best levels a side that every Kraken frame is held against."""
    book = full_book()
    kernel(benchmark, "checksum of 10 + 10 levels", lambda: a_call(lambda: book.checksum(1, 8), 100), "a frame")
