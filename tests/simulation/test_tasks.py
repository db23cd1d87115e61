"""The daemon's own coroutines in simulated time: they may die at any await, and no invariant breaks."""

import asyncio
from collections import Counter

import pytest

from tests.simulation.episodes import play
from tests.simulation.household import Household
from tests.simulation.mutants import TASK_MUTANTS
from tests.simulation.simloop import SECOND, Deadlock, SimLoop
from tests.simulation.tape import Tape

SEEDS = range(14)
CORPUS = [73, 143, 380]  # seeds that once found something
ENOUGH = 12  # seeds in which a planted bug has to show
POWER = range(27, 42, 3)  # some with durability "power"


def test_seeds_hold_every_invariant() -> None:
    """Kills and power cuts between any two steps; slow disks; what was promised is still there."""
    outcomes = [play(seed, world=Household) for seed in [*SEEDS, *CORPUS]]
    assert [outcome.broken for outcome in outcomes if outcome.broken] == []
    fired = sum((outcome.fired for outcome in outcomes), Counter())
    for site in ("crash at an await", "power cut", "slow disk", "disk busy", "drop reply", "bust"):
        assert fired[site] > 0, site


def test_a_seed_is_one_episode() -> None:
    """The same trace and the same state, twice."""
    first, second = play(5, world=Household), play(5, world=Household)
    assert (first.trace, first.digest) == (second.trace, second.digest)
    assert first.trace != play(6, world=Household).trace


@pytest.mark.parametrize(
    ("name", "seeds", "invariant"),
    [
        ("an order leaves before its intent is written", range(ENOUGH), "I01"),
        ("an order leaves before its intent is synced", POWER, "I12"),
        ("the switch is not asked again after a wait", range(ENOUGH), "I09"),
    ],
)
def test_a_shell_that_does_not_wait_or_ask_is_caught(name: str, seeds: range, invariant: str) -> None:
    """Both durabilities promise something, what waited may have been halted meanwhile, and breaking it shows."""
    with TASK_MUTANTS[name]():
        broken = next((text for seed in seeds if (text := play(seed, world=Household).broken)), "")
    assert invariant in broken


def test_time_passes_only_when_nothing_is_ready() -> None:
    """A second of waiting takes no second, and a loop with nothing left to wait for says so."""
    loop = SimLoop(Tape(1), 5 * SECOND)
    told: list[int] = []

    async def wait() -> None:
        await asyncio.sleep(3600)
        told.append(loop.now_ns)

    loop.run_until_complete(wait())
    assert told == [3605 * SECOND]
    with pytest.raises(Deadlock):
        loop.run_until_complete(loop.create_future())
    loop.bury()


def test_tasks_take_turns_by_the_tape() -> None:
    """Two tasks that are ready together go on in an order that the seed picks; callbacks keep theirs."""

    def order(seed: int) -> tuple[str, str]:
        loop = SimLoop(Tape(seed), 0)
        tasks: list[str] = []
        callbacks: list[str] = []

        async def note(name: str) -> None:
            for _ in range(3):
                await asyncio.sleep(0)
                tasks.append(name)
            loop.call_soon(callbacks.append, name)

        async def both() -> None:
            await asyncio.gather(note("a"), note("b"), note("c"))

        for name in "xyz":
            loop.call_soon(callbacks.append, name)
        loop.run_until_complete(both())
        loop.bury()
        return "".join(tasks), "".join(callbacks[:3])

    found = [order(seed) for seed in range(12)]
    assert len({tasks for tasks, _ in found}) > 3
    assert {callbacks for _, callbacks in found} == {"xyz"}
    assert order(4) == found[4]
