"""``python -m tests.simulation --whole``: everything that has to hold: 2 000 small episodes and 100 large ones, 50 of
them twice, every fault, every edge of the order table and every way of compensating at least once, every planted bug
caught. Exit code 1 when anything of it is not so.

Parts of it: ``python -m tests.simulation 0 2000`` plays small ones, with ``--large`` those of six venues and a minute
of fire, with ``--tasks`` the daemon's own coroutines, which may die at any await; ``--twice`` holds every trace and
state against a second run; ``0 80 --mutants`` shows which planted bugs these seeds catch, and by what;
``--shrink SEED`` reduces a red seed to the faults it needs.
"""

import sys
import time
from collections import Counter
from collections.abc import Iterable

from tests.simulation.coverage import coverage, gaps
from tests.simulation.episodes import Outcome, cause, play, shrunk
from tests.simulation.household import Household
from tests.simulation.mutants import MUTANTS, TASK_MUTANTS
from tests.simulation.shell import Large, Shell

SMALL, LARGE, TWICE, PLANTED = 2000, 100, 50, 80  # episodes; the last: in which a planted bug has to show


def main(words: list[str]) -> int:
    """Run what the words ask for; 1 when something is broken."""
    if words[:1] == ["--whole"]:
        return whole()
    if words[:1] == ["--shrink"]:
        seed = int(words[1])
        print(play(seed).broken)
        print("needs:", shrunk(seed))
        return 0
    seeds = range(int(words[0]), int(words[1]))
    if "--mutants" in words:
        return 1 if mutants(seeds, to_the_end=True) else 0
    world = Household if "--tasks" in words else Large if "--large" in words else Shell
    outcomes, bad = campaign(seeds, seeds if "--twice" in words else (), world)
    for line in coverage(outcomes):
        print(line)
    return 1 if bad else 0


def whole() -> int:
    """The campaign that has to be green before the order path changes."""
    outcomes, bad = campaign(range(SMALL), range(0, SMALL, SMALL // TWICE), Shell)
    more, worse = campaign(range(LARGE), (), Large)
    outcomes += more
    for line in coverage(outcomes):
        print(line)
    missed = gaps(outcomes)
    print(f"not reached: {missed or 'nothing'}")
    survivors = mutants(range(PLANTED), to_the_end=False)
    planted = len(MUTANTS) + len(TASK_MUTANTS)
    print(f"planted bugs caught: {planted - len(survivors)} of {planted}")
    print(f"processor time: {time.process_time():.0f} s")
    return 1 if bad or worse or missed or survivors else 0


def campaign(seeds: Iterable[int], again: Iterable[int], world: type[Shell]) -> tuple[list[Outcome], int]:
    """Every seed once, and some a second time: what came of them, and how many broke or were another episode then."""
    started = time.process_time()
    outcomes: list[Outcome] = []
    twice, differing = set(again), 0
    for seed in seeds:
        outcomes.append(first := play(seed, world=world))
        if first.broken:
            print(first.broken, flush=True)
        if seed in twice:
            second = play(seed, world=world)
            if (first.trace, first.digest) != (second.trace, second.digest):
                differing += 1
                print(f"seed {seed}: another trace or state the second time")
    seconds = time.process_time() - started
    red = sum(1 for outcome in outcomes if outcome.broken)
    kind = {Shell: "small", Large: "large", Household: "of tasks"}[world]
    print(f"{len(outcomes)} seeds ({kind}), {len(outcomes) / seconds:.1f} per second of a core: {red} broken")
    print(f"{len(twice)} of them played twice: {differing} not deterministic")
    print("episodes ended:", dict(sum((outcome.ends for outcome in outcomes), Counter())), flush=True)
    return outcomes, red + differing


def mutants(seeds: range, *, to_the_end: bool) -> list[str]:
    """Every planted bug against the seeds, until it is caught or to the end; the names of those that were not."""
    survivors = []
    for name, mutant in (MUTANTS | TASK_MUTANTS).items():
        caught = Counter[str]()
        first, played = None, 0
        with mutant():
            for seed in seeds:
                played += 1
                outcome = play(seed, world=Household if name in TASK_MUTANTS else Shell)
                if outcome.broken:
                    caught[cause(outcome)] += 1
                    first = seed if first is None else first
                    if not to_the_end:
                        break
        if not caught:
            survivors.append(name)
        shown = (
            f"by {sum(caught.values())} of {played} seeds, first {first}: {dict(caught)}" if caught else "NOT caught"
        )
        print(f"{name}: {shown}", flush=True)
    return survivors


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
