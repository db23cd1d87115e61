"""``python -m benchmarks.live.endurance``: a real daemon on simulated exchanges for minutes: what is lost, what grows.

Everything is read from outside: /proc, the control socket, the scrape endpoint. `--rate` is what the exchanges offer in
depth frames a second, all together; what they brought about stands in the table, for they share the machine.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.live.processes import (
    Usage,
    daemon,
    exchanges,
    scraped,
    status_of,
    symbols,
    total,
    usage,
    write_config,
)
from benchmarks.report import machine
from gambit.sim.world import DIALECTS, Scenario
from gambit.surface.client import call

SAMPLE_SEC = 5.0
FLAT_AFTER_SEC = 180.0  # memory has to be flat from then on; of a shorter run the last two thirds count
MB = 1 << 20


@dataclass(frozen=True)
class Sample:
    """One look: seconds since ready, both processes, the daemon's status and metrics."""

    at_s: float
    daemon: Usage
    sim: Usage
    status: dict[str, Any]
    metrics: dict[str, float]

    @property
    def frames(self) -> int:
        """Frames of all venues so far."""
        return sum(venue["frames"] for venue in self.status["venues"])


def main(words: list[str] | None = None) -> int:
    """Run it and print a line a minute, then the table; exit code 1 when anything was lost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live.endurance", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--symbols", type=int, default=20)
    parser.add_argument("--rate", type=float, default=1000.0, help="depth frames a second that are offered")
    parser.add_argument("--dislocations", type=float, default=0.3, help="a second, of all symbols together")
    parser.add_argument("--halted", action="store_true", help="with trading halted: what market data alone costs")
    asked = parser.parse_args(words)
    books = asked.symbols * len(DIALECTS)
    scenario = Scenario(symbols=symbols(asked.symbols), rate=asked.rate / books, dislocations_per_s=asked.dislocations)
    print(machine())
    print(
        f"{len(DIALECTS)} venues x {asked.symbols} symbols, {asked.rate:,.0f} frames/s offered, {asked.minutes:g} min"
    )
    with tempfile.TemporaryDirectory(prefix="gambit-endurance-") as name:
        samples = run(Path(name), scenario, asked.minutes * 60, halted=asked.halted)
    rows = table(samples)
    width = max(len(label) for label, _ in rows)
    for label, text in rows:
        print(f"{label:{width}}  {text}")
    return 0 if clean(samples[-1]) else 1


def run(folder: Path, scenario: Scenario, seconds: float, *, halted: bool) -> list[Sample]:
    """Samples from ready to the end."""
    samples: list[Sample] = []
    with exchanges(folder, scenario) as (sim_pid, entries):
        config = write_config(folder, entries, scenario)
        with daemon(config) as process:
            if halted:
                call(config.parent / "state" / "gambit.sock", "halt", {"reason": "market data alone"})
            begun = time.monotonic()
            while not samples or samples[-1].at_s < seconds:
                status = status_of(config)
                at_s = time.monotonic() - begun
                metrics = scraped(status["metrics_address"])
                samples.append(Sample(at_s, usage(process.pid), usage(sim_pid), status, metrics))
                tell(samples)
                time.sleep(SAMPLE_SEC)
    return samples


def tell(samples: list[Sample]) -> None:
    """A line a minute."""
    last = samples[-1]
    if len(samples) > 1 and last.at_s // 60 == samples[-2].at_s // 60:
        return
    latency = last.status["latency"]["tick_to_signal"]
    print(
        f"  {last.at_s:5.0f} s  {last.frames:12,} frames  {last.daemon.rss / MB:6.1f} MB  "
        f"{last.status['signals']:8,} signals  p99 {latency['p99_ns'] / 1000:.0f} us",
        flush=True,
    )


def lost(sample: Sample) -> dict[str, float]:
    """What must be nothing, by name."""
    venues = sample.status["venues"]
    return {
        "gaps and other resyncs": sum(venue["resyncs"] for venue in venues),
        "reconnects": sum(venue["reconnects"] for venue in venues),
        "frames refused": sum(venue["frame_errors"] for venue in venues),
        "ring overruns": total(sample.metrics, "gambit_ring_overruns_total"),
        "samples dropped": total(sample.metrics, "gambit_store_samples_dropped_total"),
        "books not synced": sample.status["books"] - sample.status["books_synced"],
    }


def clean(sample: Sample) -> bool:
    """Whether nothing was lost."""
    return not any(lost(sample).values())


def table(samples: list[Sample]) -> list[tuple[str, str]]:
    """The run in rows."""
    first, last = samples[0], samples[-1]
    frames, seconds = last.frames - first.frames, last.at_s - first.at_s
    daemon_s, sim_s = last.daemon.cpu_s - first.daemon.cpu_s, last.sim.cpu_s - first.sim.cpu_s
    signal = last.status["latency"]["tick_to_signal"]
    late = [sample for sample in samples if sample.at_s >= min(FLAT_AFTER_SEC, last.at_s / 3)]
    rows = [
        ("frames", f"{frames:,} in {seconds:.0f} s: {frames / seconds:,.0f}/s"),
        ("frames a daemon CPU-second", f"{frames / daemon_s:,.0f}"),
        ("daemon, sim", f"{daemon_s / seconds:.1%}, {sim_s / seconds:.1%} of a core"),
        ("tick to signal", f"p50 {_us(signal, 'p50')}, p99 {_us(signal, 'p99')}, p99.9 {_us(signal, 'p999')} us "
                           f"of {signal['count']:,} signals"),
        ("loop lag p99", f"{last.status['loop_lag_p99_ns'] / 1e6:.2f} ms"),
        ("memory", f"{first.daemon.rss / MB:.1f} -> {last.daemon.rss / MB:.1f} MB, "
                   f"slope {slope(late):+.3f} MB a minute after {late[0].at_s:.0f} s"),
        ("descriptors, threads", f"{first.daemon.files} -> {last.daemon.files}, "
                                 f"{first.daemon.threads} -> {last.daemon.threads}"),
        ("journal, store behind", f"{last.status['journal']['head']:,} records, "
                                  f"{last.status['store']['lag_records']:,}"),
    ]  # fmt: skip
    return rows + [(name, f"{count:,.0f}") for name, count in lost(last).items()]


def _us(latency: dict[str, int], name: str) -> str:
    return f"{latency[name + '_ns'] / 1000:.0f}"


def slope(samples: list[Sample]) -> float:
    """MB a minute that the daemon's memory grows, by least squares."""
    times = [sample.at_s / 60 for sample in samples]
    sizes = [sample.daemon.rss / MB for sample in samples]
    mean_t, mean_s = sum(times) / len(times), sum(sizes) / len(sizes)
    spread = sum((t - mean_t) ** 2 for t in times)
    return sum((t - mean_t) * (s - mean_s) for t, s in zip(times, sizes, strict=True)) / spread if spread else 0.0


if __name__ == "__main__":
    raise SystemExit(main())
