"""``python -m benchmarks.peers``: the libraries over the same frames in one run, as times and ratios."""

from __future__ import annotations

import argparse
import importlib
import sys

from benchmarks.frames import DIALECTS, KINDS, Stream, make_stream
from benchmarks.peers import CONTESTANTS
from benchmarks.peers.race import Contestant, Pace, check, pace, run_race, version
from benchmarks.report import Row, aligned, machine
from benchmarks.timing import clock_ns


def main(words: list[str] | None = None) -> int:
    """Run the races asked for and print their tables; 0 when every book was right."""
    asked = _options(words)
    kinds = asked.kind or list(KINDS)
    field, absent = load_contestants(asked.only)
    print(f"{machine()}; {versions(field)}")
    for name, reason in absent:
        print(f"  left out: {name}: {reason}")
    print(f"  two readings of the clock: {clock_ns():.0f} ns, part of every time, not of `net`")
    for kind in kinds:
        for venues in asked.venues:
            spoken = [asked.dialect] * venues if asked.dialect else venues
            stream = make_stream(kind, spoken, asked.warm + asked.frames, seed=asked.seed)
            print(f"\n{title(stream, asked.frames, asked.warm, asked.rounds)}")
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


def versions(field: list[type[Contestant]]) -> str:
    """The libraries with their versions."""
    return ", ".join(f"{entry.name} {version(entry)}".strip() for entry in field)


def race_table(field: list[type[Contestant]], stream: Stream, warm: int, rounds: int) -> str:
    """Race, check every book, and lay out the figures."""
    racers = [kind(stream) for kind in field]
    clock = clock_ns()
    times = run_race(racers, stream, warm=warm, rounds=rounds)
    for racer in racers:
        check(racer, stream)
    rows: list[Row] = [_HEAD]
    ours = times.get("gambit")
    for racer in racers:
        readable = racer.reads[stream.kind]
        spoken = readable & set(stream.dialects)
        groups = [(spoken, "all it reads")] if len(set(stream.dialects)) > 1 else []
        groups += [(frozenset({dialect}), dialect) for dialect in DIALECTS if dialect in spoken]
        for dialects, label in groups:
            theirs = pace(times[racer.name], dialects, stream, warm)
            mine = pace(ours, dialects, stream, warm) if ours else None
            rows.append((racer.name, label, theirs.frames, *_cells(theirs, mine, clock)))
    return "\n".join(aligned(rows))


def title(stream: Stream, frames: int, warm: int, rounds: int) -> str:
    """What was raced, in one line."""
    what = "ticker frames" if stream.kind == "ticker" else "depth frames of 20+20 levels"
    spoken = stream.dialects[0] + " " if len(set(stream.dialects)) == 1 else ""
    return (
        f"{what}, {len(stream.names)} {spoken}venues, {frames} frames in {rounds} rounds after {warm}; "
        "microseconds a frame, best round; x: as many times gambit's over the same frames"
    )


_HEAD = ("library", "frames", "count", "p50", "p99", "p99.9", "x p50", "x p99", "x p50 net")


def _cells(theirs: Pace, mine: Pace | None, clock: float) -> tuple[float, ...]:
    """Times in microseconds and their ratios to gambit's."""
    times = theirs.p50 / 1000, theirs.p99 / 1000, theirs.p999 / 1000
    if mine is None or not mine.frames:
        return (*times, 0.0, 0.0, 0.0)
    return (*times, theirs.p50 / mine.p50, theirs.p99 / mine.p99, (theirs.p50 - clock) / (mine.p50 - clock))


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
