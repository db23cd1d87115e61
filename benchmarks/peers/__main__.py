"""``python -m benchmarks.peers``: the libraries over the same frames in one run, as times and ratios."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import sys
from array import array

from benchmarks.frames import DIALECTS, KINDS, Stream, make_stream
from benchmarks.peers import CONTESTANTS
from benchmarks.peers.race import Contestant, Pace, check, pace, run_race, time_frames, version


def main(words: list[str] | None = None) -> int:
    """Run the races asked for and print their tables; 0 when every book was right."""
    asked = _options(words)
    kinds = asked.kind or list(KINDS)
    print(_machine())
    field, absent = load_contestants(asked.only)
    for name, reason in absent:
        print(f"  left out: {name}: {reason}")
    print(f"  timer and loop alone: {_timer_ns():.0f} ns a frame, part of every figure below")
    for kind in kinds:
        for venues in asked.venues:
            spoken = [asked.dialect] * venues if asked.dialect else venues
            stream = make_stream(kind, spoken, asked.warm + asked.frames, seed=asked.seed)
            print(f"\n{title(stream, asked)}")
            print(race_table(field, stream, asked.warm, asked.rounds))
    return 0


def load_contestants(only: list[str] | None = None) -> tuple[list[type[Contestant]], list[tuple[str, str]]]:
    """The contestants that can be imported, and the others with the reason why not."""
    field: list[type[Contestant]] = []
    absent: list[tuple[str, str]] = []
    for name, (module, attribute) in CONTESTANTS.items():
        if only and name not in only:
            continue
        try:
            field.append(getattr(importlib.import_module(module), attribute))
        except ImportError as error:
            absent.append((name, str(error)))
    return field, absent


def race_table(field: list[type[Contestant]], stream: Stream, warm: int, rounds: int) -> str:
    """Race, check every book, and lay out the figures."""
    racers = [kind(stream) for kind in field]
    times = run_race(racers, stream, warm=warm, rounds=rounds)
    for racer in racers:
        check(racer, stream)
    rows: list[tuple[str, ...]] = [_HEAD]
    ours = times.get("gambit")
    for racer in racers:
        readable = racer.reads[stream.kind]
        spoken = readable & set(stream.dialects)
        groups = [(spoken, "all it reads")] if len(set(stream.dialects)) > 1 else []
        groups += [(frozenset({dialect}), dialect) for dialect in DIALECTS if dialect in spoken]
        for dialects, label in groups:
            theirs = pace(times[racer.name], dialects, stream, warm)
            mine = pace(ours, dialects, stream, warm) if ours else None
            rows.append(_row(racer.name, label, theirs, mine))
        rows.append(("",) * len(_HEAD))
    return _aligned(rows[:-1])


def title(stream: Stream, asked: argparse.Namespace) -> str:
    """What was raced, in one line."""
    what = "ticker frames" if stream.kind == "ticker" else "depth frames of 20+20 levels"
    venues = f"{len(stream.names)} {asked.dialect} venues" if asked.dialect else f"{len(stream.names)} venues"
    return (
        f"{what}, {venues}, {asked.frames} frames in {asked.rounds} rounds after {asked.warm}; "
        "microseconds a frame, best round; ratio to gambit over the same frames"
    )


_HEAD = ("library", "frames", "count", "p50", "p99", "p99.9", "x p50", "x p99")


def _row(name: str, label: str, theirs: Pace, mine: Pace | None) -> tuple[str, ...]:
    ratios = ("", "")
    if mine is not None and mine.frames:
        ratios = f"{theirs.p50 / mine.p50:.1f}", f"{theirs.p99 / mine.p99:.1f}"
    figures = tuple(f"{ns / 1000:.2f}" for ns in (theirs.p50, theirs.p99, theirs.p999))
    return name, label, str(theirs.frames), *figures, *ratios


def _aligned(rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    lines = []
    for row in rows:
        cells = [text.ljust(w) if i < 2 else text.rjust(w) for i, (text, w) in enumerate(zip(row, widths, strict=True))]
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines)


def _timer_ns() -> float:
    """What timing a call of nothing costs."""

    spent_ns = array("q", bytes(8 * 20000))
    frames = [b""] * len(spent_ns)
    time_frames([_nothing], frames, [0] * len(frames), (0, len(frames)), spent_ns)
    return sorted(spent_ns)[len(spent_ns) // 2]


def _nothing(frame: bytes) -> bytes:
    return frame


def _machine() -> str:
    cpu = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:
            cpu = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    field, _ = load_contestants()
    versions = ", ".join(f"{c.name} {version(c)}" for c in field)
    return f"{cpu}, {os.cpu_count()} cores, {platform.system()}, CPython {platform.python_version()}; {versions}"


def _options(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--kind", choices=KINDS, action="append", help="ticker or depth; both by default")
    parser.add_argument("--venues", type=int, nargs="+", default=[5], help="numbers of venues, default 5")
    parser.add_argument("--dialect", choices=DIALECTS, help="all venues speak this one, not five in turn")
    parser.add_argument("--frames", type=int, default=20000, help="frames reported, default 20000")
    parser.add_argument("--warm", type=int, default=2000, help="frames before that, default 2000")
    parser.add_argument("--rounds", type=int, default=5, help="blocks the frames are cut in, default 5")
    parser.add_argument("--seed", type=int, default=1, help="seed of the stream")
    parser.add_argument("--only", nargs="+", choices=tuple(CONTESTANTS), help="these contestants alone")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
