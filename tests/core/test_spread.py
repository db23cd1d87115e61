"""The sieve over the touches of a group: it lets through every pair that may matter and hardly any other."""

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambit._core.spread import PyGroup
from tests.core.profile import examples

Touch = tuple[float, float]


def group(touches: Sequence[Touch]) -> PyGroup:
    made = PyGroup()
    for bid, ask in touches:
        made.set(made.add(), bid, ask)
    return made


def matters(touches: Sequence[Touch], slot: int, min_spread_bps: float, mid_ratio: float, slack: float) -> bool:
    """Whether another book makes a qualifying spread with this one, or has a mid too far away; slack < 1 is lenient."""
    bid, ask = touches[slot]
    for other, (its_bid, its_ask) in enumerate(touches):
        if other == slot:
            continue
        if its_bid > 0 and ask > 0 and (its_bid / ask - 1) * 1e4 >= min_spread_bps * slack:
            return True
        if bid > 0 and its_ask > 0 and (bid / its_ask - 1) * 1e4 >= min_spread_bps * slack:
            return True
        if min(bid, ask, its_bid, its_ask) > 0:
            mids = sorted(((bid + ask) / 2, (its_bid + its_ask) / 2))
            if mids[1] > mids[0] * (1 + (mid_ratio - 1) * slack):
                return True
    return False


def a_touch(rng: Random, spread_bps: float) -> Touch:
    bid = 100.0 * (1 + rng.gauss(0, spread_bps) / 1e4)
    ask = bid * (1 + rng.choice((1, 5, 20)) / 1e4)
    if rng.random() < 0.02:
        bid, ask = bid * 1.5, ask * 1.5
    return (0.0 if rng.random() < 0.1 else bid), (0.0 if rng.random() < 0.1 else ask)


@examples(5)
@given(st.integers(0, 2**32))
def test_nothing_that_matters_is_sieved_out(seed):
    """A pair that reaches the least spread, or a mid beyond the ratio, is always let through; one far from it never."""
    rng = Random(seed)
    touches = [a_touch(rng, rng.choice((1, 6, 20))) for _ in range(rng.choice((1, 2, 3, 9, 40)))]
    made, min_spread_bps, mid_ratio = group(touches), rng.choice((5.0, 15.0, 50.0)), rng.choice((1.01, 1.2, 2.0))
    for slot in range(len(touches)):
        if matters(touches, slot, min_spread_bps, mid_ratio, 1.0):
            assert made.scan(slot, min_spread_bps, mid_ratio)
        if made.scan(slot, min_spread_bps, mid_ratio):
            assert matters(touches, slot, min_spread_bps, mid_ratio, 1 - 1e-6)


def test_spread_equal_to_the_least_is_let_through():
    """A spread that equals the threshold in exact arithmetic passes, whatever its doubles."""
    for ask in range(100, 3000, 3):
        for bps in (5, 7, 15, 50):
            made = group([(ask - 1.0, float(ask)), (ask * (10_000 + bps) / 10_000, ask * 2.0)])
            assert made.scan(0, float(bps), 100.0)
            assert made.scan(1, float(bps), 100.0)


def test_mid_equal_to_the_ratio_is_looked_at():
    """A mid at exactly the ratio passes the sieve, so that exact arithmetic decides about it."""
    made = group([(99.0, 101.0), (119.0, 121.0)])
    assert made.scan(0, 1e6, 1.2)
    assert made.scan(1, 1e6, 1.2)
    assert not made.scan(0, 1e6, 1.21)


def test_missing_sides_never_matter():
    """A book without a bid, an ask or both meets nobody with it."""
    made = group([(0.0, 0.0), (1.0, 2.0), (0.0, 2.0), (1.0, 0.0)])
    assert [made.scan(slot, 5.0, 1.2) for slot in range(4)] == [False] * 4


def test_group_grows_and_keeps_what_it_has():
    """Slots come in order, however many, and keep their touches while the group grows."""
    made = PyGroup()
    assert [made.add() for _ in range(100)] == list(range(100))
    made.set(3, 100.0, 101.0)
    made.set(99, 110.0, 111.0)
    assert made.scan(3, 5.0, 100.0)
    for _ in range(200):
        made.add()
    assert made.scan(3, 5.0, 100.0)
    assert not made.scan(50, 5.0, 100.0)


@pytest.mark.parametrize("slot", [-1, 2])
def test_slot_that_is_none_is_refused(slot):
    """A slot that was never added is an IndexError."""
    made = group([(1.0, 2.0), (1.0, 2.0)])
    with pytest.raises(IndexError):
        made.set(slot, 1.0, 2.0)
    with pytest.raises(IndexError):
        made.scan(slot, 5.0, 1.2)
