"""``python -m tests.simulation 0 2000``: a campaign; ``--mutants`` shows which planted bugs it catches,
``--shrink SEED`` reduces a red seed to the faults it needs, ``--twice`` holds every trace against a second run,
``--tasks`` plays the daemon's own coroutines, which may die at any await, ``--large`` episodes of six venues and a
minute of fire. A campaign ends with what it covered (I25)."""

import sys
import time
from collections import Counter

from tests.simulation.coverage import coverage
from tests.simulation.episodes import Outcome, play, shrunk
from tests.simulation.household import Household
from tests.simulation.mutants import MUTANTS
from tests.simulation.shell import Large, Shell


def main(words: list[str]) -> int:
    """Run what the words ask for; 1 when something is broken."""
    if words[:1] == ["--shrink"]:
        seed = int(words[1])
        print(play(seed).broken)
        print("needs:", shrunk(seed))
        return 0
    low, high = int(words[0]), int(words[1])
    if "--mutants" in words:
        return mutants(low, high)
    world = Household if "--tasks" in words else Large if "--large" in words else Shell
    return campaign(low, high, "--twice" in words, world)


def campaign(low: int, high: int, twice: bool, world: type[Shell] = Shell) -> int:
    """Every seed once (or twice), what broke, and what was covered."""
    started = time.perf_counter()
    outcomes: list[Outcome] = []
    differing = 0
    for seed in range(low, high):
        outcomes.append(play(seed, world=world))
        if twice and play(seed, world=world).trace != outcomes[-1].trace:
            differing += 1
            print(f"seed {seed}: another trace the second time")
    seconds = time.perf_counter() - started
    red = [outcome for outcome in outcomes if outcome.broken]
    for outcome in red:
        print(outcome.broken)
    ends = sum((outcome.ends for outcome in outcomes), Counter())
    print(f"{high - low} seeds, {(high - low) / seconds:.1f}/s, {len(red)} broken, {differing} not deterministic")
    print("episodes ended:", dict(ends))
    for line in coverage(outcomes):
        print(line)
    return 1 if red or differing else 0


def mutants(low: int, high: int) -> int:
    """Every planted bug against the seeds, until it is caught."""
    missed = 0
    for name, mutant in MUTANTS.items():
        caught = Counter[str]()
        first = None
        with mutant():
            for seed in range(low, high):
                broken = play(seed).broken
                if broken:
                    caught[broken.split(" at ")[0][:60]] += 1
                    first = seed if first is None else first
        missed += not caught
        print(f"{name}: {sum(caught.values())} of {high - low} seeds, first {first}, {dict(caught)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
