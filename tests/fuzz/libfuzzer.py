"""One target under libFuzzer: `python -m tests.fuzz.libfuzzer FOLDER TARGET [OPTIONS OF libFuzzer]`, for libfuzzer.sh.

Into the folder go the target's seeds, the dictionary, and what libFuzzer keeps. libFuzzer ends the process itself, with
0 when its time is over and with something else where a promise was broken or a sanitizer spoke.
"""

import argparse
import hashlib
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from random import Random

from tests.fuzz.mutations import LENGTH_MAX, TOKENS, mutated
from tests.fuzz.targets import Target, targets

SECONDS_MAX = 60  # an input that takes longer is a finding
DEPTH = 2  # mutations of one input: after the usual five hardly a frame is one any more


def write_seeds(target: Target, folder: Path) -> None:
    """The seeds of a target as files, always the same ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds(Random(target.name)):
        data = seed[:LENGTH_MAX]
        (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


def dictionary(tokens: Iterable[bytes]) -> str:
    """Words worth putting into an input, as libFuzzer reads them."""
    escaped = ("".join(rf"\x{byte:02x}" for byte in token) for token in tokens)
    return "".join(f'"{text}"\n' for text in escaped)


def prepared(target: Target, folder: Path) -> list[str]:
    """What libFuzzer is told: the corpus it adds to, the seeds, the words, where findings go."""
    seeds, corpus, words = (folder / name for name in (f"seeds-{target.name}", f"corpus-{target.name}", "words"))
    write_seeds(target, seeds)
    corpus.mkdir(exist_ok=True)
    words.write_text(dictionary(TOKENS))
    options = (f"dict={words}", f"artifact_prefix={folder}/{target.name}-", f"max_len={LENGTH_MAX}")
    options += (f"timeout={SECONDS_MAX}", f"mutate_depth={DEPTH}")
    return [*(f"-{option}" for option in options), str(corpus), str(seeds)]


def mixed(seeds: Sequence[bytes], plain: Callable[[bytes, int], bytes]) -> Callable[[bytes, int, int], bytes]:
    """Half of the inputs by libFuzzer's own mutations (`plain`), half by ours, which leave more frames whole."""

    def mutate(data: bytes, length_max: int, seed: int) -> bytes:
        rng = Random(seed)
        if rng.random() < 0.5:
            return plain(data, length_max)
        return mutated(bytes(data), rng.choice(seeds), rng)[:length_max]

    return mutate


def main() -> None:
    """Read the command line and fuzz until libFuzzer ends the process."""
    import atheris  # here: only the environment that libfuzzer.sh makes has it

    words = argparse.ArgumentParser(prog="python -m tests.fuzz.libfuzzer", description=__doc__)
    words.add_argument("folder", type=Path)
    words.add_argument("target")
    said, options = words.parse_known_args()
    named = {target.name: target for target in targets(said.folder)}
    if said.target not in named:
        words.error(f"no target is called {said.target}; there are {', '.join(named)}")
    target = named[said.target]
    told = [sys.argv[0], *prepared(target, said.folder), *options]
    mutate = mixed(target.seeds(Random(target.name)), atheris.Mutate)
    atheris.Setup(told, target.run, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
