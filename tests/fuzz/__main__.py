"""Fuzz for so many seconds: `python -m tests.fuzz SECONDS [--seed N] [--target NAME] [--folder DIR]`.

Inputs that reach new edges of the kernels become the origin of others. The input at hand always stands in the file
`at-hand` of the folder, so that it is there when a sanitizer ends the process; an input that breaks a promise is kept
as `broken-TARGET-...`. `--again FILE --target NAME` runs one input once more. Exit 1 where a promise was broken.
"""

import argparse
import hashlib
import mmap
import sys
import time
import traceback
from pathlib import Path
from random import Random

from tests.fuzz.edges import Edges
from tests.fuzz.mutations import LENGTH_MAX, mutated
from tests.fuzz.targets import Target, targets

CORPUS_MAX = 5000
TURN_S = 1.0  # how long one target runs before the next
HEAD = 32


class AtHand:
    """A file that holds the input at hand, whatever happens to the process."""

    def __init__(self, path: Path) -> None:
        with path.open("wb+") as file:
            file.truncate(HEAD + LENGTH_MAX)
            self.map = mmap.mmap(file.fileno(), HEAD + LENGTH_MAX)

    def put(self, target: str, data: bytes) -> None:
        head = f"{target} {len(data)} bytes:"
        self.map[:HEAD] = head.ljust(HEAD).encode()
        self.map[HEAD : HEAD + len(data)] = data


class Fuzzer:
    """One target's corpus and counts."""

    def __init__(self, target: Target, edges: Edges, folder: Path, at_hand: AtHand, rng: Random) -> None:
        self.target = target
        self.edges = edges
        self.folder = folder
        self.at_hand = at_hand
        self.rng = rng
        self.corpus = [seed[:LENGTH_MAX] for seed in target.seeds(rng)]
        self.executions = 0
        self.seconds = 0.0
        self.broken: list[Path] = []

    def begin(self) -> None:
        """Every seed once."""
        for data in self.corpus:
            self.run(data)

    def turn(self, seconds: float) -> None:
        """Mutate and run for a while."""
        started = time.monotonic()
        while time.monotonic() - started < seconds and not self.broken:
            self.one()
        self.seconds += time.monotonic() - started

    def one(self) -> None:
        """Half of the time the origin is one of the newest inputs."""
        rng, corpus = self.rng, self.corpus
        newest = corpus[-max(1, len(corpus) // 8) :]
        data = mutated(rng.choice(newest if rng.random() < 0.5 else corpus), rng.choice(corpus), rng)
        if self.run(data) and len(corpus) < CORPUS_MAX:
            corpus.append(data)

    def run(self, data: bytes) -> bool:
        """Whether the input reached something new."""
        self.at_hand.put(self.target.name, data)
        self.edges.start()
        self.executions += 1
        try:
            self.target.run(data)
        except Exception:
            self.keep(data)
        return self.edges.new() > 0

    def keep(self, data: bytes) -> None:
        """An input that broke a promise, and how."""
        path = self.folder / f"broken-{self.target.name}-{hashlib.sha256(data).hexdigest()[:12]}"
        path.write_bytes(data)
        self.broken.append(path)
        sys.stdout.write(f"{traceback.format_exc()}\n{path}: {data[:300]!r}\n")


def fuzz(chosen: list[Target], folder: Path, seconds: float, seed: int) -> int:
    """Fuzz the targets in turn; the exit code."""
    edges, at_hand = Edges(), AtHand(folder / "at-hand")
    fuzzers = [Fuzzer(target, edges, folder, at_hand, Random(f"{seed} {target.name}")) for target in chosen]
    sys.stdout.write(f"seed {seed}, {'guided by coverage' if edges.is_guiding else 'blind: no coverage'}\n")
    for fuzzer in fuzzers:
        fuzzer.begin()
    ends = time.monotonic() + seconds
    while time.monotonic() < ends and not all(fuzzer.broken for fuzzer in fuzzers):
        for fuzzer in fuzzers:
            fuzzer.turn(min(TURN_S, max(0.0, ends - time.monotonic())))
    for fuzzer in fuzzers:
        rate = fuzzer.executions / max(fuzzer.seconds, 1e-9)
        sys.stdout.write(
            f"{fuzzer.target.name:8} {fuzzer.executions:9} executions, {rate:7.0f}/s, {len(fuzzer.corpus)} kept\n"
        )
    sys.stdout.write(f"{edges.known()} edges\n")
    return int(any(fuzzer.broken for fuzzer in fuzzers))


def main() -> int:
    """Read the command line and fuzz."""
    words = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    words.add_argument("seconds", type=float, nargs="?", default=60.0)
    words.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    words.add_argument("--target")
    words.add_argument("--folder", type=Path, default=Path("build/fuzz"))
    words.add_argument("--again", type=Path)
    said = words.parse_args()
    said.folder.mkdir(parents=True, exist_ok=True)
    chosen = [target for target in targets(said.folder) if said.target in (None, target.name)]
    if not chosen:
        words.error(f"no target is called {said.target}")
    if said.again is None:
        return fuzz(chosen, said.folder, said.seconds, said.seed)
    for target in chosen:
        target.run(said.again.read_bytes())
    return 0


if __name__ == "__main__":
    sys.exit(main())
