"""Replay of a compressed capture from end to end on one core: decompression, record parsing, engine, output."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from time import process_time
from typing import Any

import pytest

from benchmarks.one_replay import replay_to_nothing
from benchmarks.report import Report
from benchmarks.timing import Effort
from gambit.sim.capture import make_capture

VENUES = ("binance", "okx", "bybit", "kraken", "coinbase")
SYMBOLS = ("BTC-USDT", "ETH-USDT")
LONGER = 4
LEAST_SECONDS = 60.0  # of a capture whose memory is compared: enough text for the noise of a peak not to matter
REPEATS = 3  # the smallest peak counts
SLOPE_MAX = 0.1  # bytes of memory a byte of text; keeping frames costs more than 1
HEAD = ("capture", "emit", "frames", "signals", "MB unpacked", "frames/s", "frames/s of processor time")


class Captures:
    """Simulated recordings of five venues with books, best bids and asks and trades, each made once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, seconds: float, source: str = "depth") -> Path:
        """A capture of this length; `source` bbo leaves the books out."""
        path = self.folder / f"{source}-{seconds:g}.jsonl.zst"
        if not path.exists():
            make_capture(path, venues=VENUES, symbols=SYMBOLS, seconds=seconds, seed=1, source=source)  # type: ignore[arg-type]
        return path


@pytest.fixture(scope="module")
def captures(tmp_path_factory: pytest.TempPathFactory) -> Captures:
    return Captures(tmp_path_factory.mktemp("captures"))


def unpacked_bytes(path: Path) -> int:
    """Size of the text inside."""
    import zstandard

    with path.open("rb") as raw:
        return sum(map(len, zstandard.ZstdDecompressor().read_to_iter(raw, write_size=1 << 20)))


@pytest.mark.benchmark(group="replay")
@pytest.mark.parametrize("emit", ["opportunities", "stats", "books"])
@pytest.mark.parametrize("source", ["depth", "bbo"])
def test_throughput(benchmark: Any, report: Report, much: Effort, captures: Captures, source: str, emit: str) -> None:
    """Frames a second of the whole replay; the best round counts."""
    path = captures.path(much.capture_seconds, source)
    found: list[dict[str, Any]] = []

    def once() -> None:
        before = process_time()
        stats = replay_to_nothing(path, emit)
        found.append({**stats, "processor_s": process_time() - before})

    benchmark.pedantic(once, rounds=min(much.rounds, 5))
    best = min(found, key=lambda stats: float(stats["seconds"]))
    assert best["bad_lines"] == 0
    assert not best["dead_letters"]
    frames, per_s = best["frames"], float(best["frames_per_s"])
    per_processor_s = frames / min(float(stats["processor_s"]) for stats in found)
    benchmark.extra_info.update(frames=frames, frames_per_s=per_s, frames_per_processor_s=per_processor_s)
    name = "books, bids and asks, trades" if source == "depth" else "bids and asks, trades"
    row = (name, emit, frames, best["signals"], unpacked_bytes(path) / 1e6, per_s, per_processor_s)
    report.add("replay of a .zst capture of five venues, one core, best round", HEAD, row)


@pytest.mark.benchmark(group="replay")
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_flat(report: Report, much: Effort, captures: Captures) -> None:
    """What a capture four times as long needs more of memory is nothing beside the text it has more."""
    short_s = max(much.capture_seconds, LEAST_SECONDS)
    peaks, texts = [], []
    for seconds in (short_s, LONGER * short_s):
        path = captures.path(seconds)
        runs = [in_a_process(path, "opportunities") for _ in range(REPEATS)]
        peaks.append(1024 * min(int(told["peak_rss_kb"]) for told in runs))
        texts.append(unpacked_bytes(path))
        row = (f"{seconds:g} s", runs[0]["frames"], texts[-1] / 1e6, peaks[-1] / (1 << 20))
        report.add("peak memory of a replay in a process of its own", ("capture", "frames", "MB unpacked", "MB"), row)
    growth, more = peaks[1] - peaks[0], texts[1] - texts[0]
    assert growth < SLOPE_MAX * more, f"{more} bytes more of capture took {growth} bytes more of memory"


def in_a_process(path: Path, emit: str) -> dict[str, Any]:
    """What one_replay says."""
    words = [sys.executable, "-m", "benchmarks.one_replay", str(path), emit]
    ran = subprocess.run(words, capture_output=True, text=True, check=True, timeout=240)
    told: dict[str, Any] = json.loads(ran.stdout)
    return told
