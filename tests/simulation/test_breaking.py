"""The desk breaks within a fact: it is made anew from the journal, and no invariant breaks (F31)."""

from collections import Counter
from unittest.mock import patch

from gambit.runtime.dealing import Dealing
from tests.simulation.breaking import Breaking
from tests.simulation.episodes import play

SEEDS = range(12)


def test_a_desk_that_breaks_within_facts_holds_every_invariant() -> None:
    """Frozen, made anew, killed in between: what goes on stands on the journal."""
    rebuilt: list[int] = []

    class Counted(Breaking):
        """Tells how often the desk was made anew."""

        def run(self) -> None:
            super().run()
            rebuilt.append(self.rebuilt)

    outcomes = [play(seed, world=Counted) for seed in SEEDS]
    assert [outcome.broken for outcome in outcomes if outcome.broken] == []
    fired = sum((outcome.fired for outcome in outcomes), Counter())
    assert sum(rebuilt) > 5
    assert fired["crash at an await"] > 5
    assert fired["breaks within a fact"] >= sum(rebuilt)


def test_a_desk_that_goes_on_with_what_it_remembers_is_caught() -> None:
    """The next life, or the next fact, does not follow from the journal."""
    with patch.object(Dealing, "_freeze", lambda *_: None):
        assert any(play(seed, world=Breaking).broken for seed in SEEDS)
