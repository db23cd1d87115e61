"""Rate budgets: what may leave when."""

from hypothesis import given
from hypothesis import strategies as st

from gambit.runtime.budget import RESERVED, SEC, USABLE, Budget, Counter, Lane

REQUESTS = st.lists(
    st.tuples(st.integers(0, 2 * SEC), st.integers(1, 60), st.sampled_from(Lane)), min_size=1, max_size=200
)


@given(REQUESTS, st.integers(70, 1000), st.integers(1, 60))
def test_no_window_is_exceeded(requests: list[tuple[int, int, Lane]], weight: int, window_sec: int) -> None:
    """Whoever waits as told stays within what the venue allows, in every window."""
    budget = Budget(weight, window_sec)
    now, spent = 0, []
    for gap, cost, lane in requests:
        now += gap
        now += budget.wait_ns(cost, now, lane)
        assert budget.wait_ns(cost, now, lane) == 0
        budget.take(cost, now)
        spent.append((now, cost))
    for start, _ in spent:
        within = sum(cost for when, cost in spent if start <= when < start + window_sec * SEC)
        assert within <= max(weight, 60)


def test_the_reserve_is_for_cancels_and_hedges() -> None:
    """Ordinary requests stop where the reserve begins; urgent ones go on to the end of what is usable."""
    budget = Budget(100, 10)
    usable = int(100 * USABLE)
    ordinary = usable - int(usable * RESERVED)
    budget.take(ordinary, 0)
    assert budget.wait_ns(1, SEC) == 9 * SEC
    assert budget.wait_ns(1, SEC, Lane.URGENT) == 0
    budget.take(usable - ordinary, SEC)
    assert budget.wait_ns(1, SEC, Lane.URGENT) == 9 * SEC
    assert budget.wait_ns(1, 10 * SEC) == 0


def test_the_venue_knows_better() -> None:
    """A count above ours is believed; one below changes nothing."""
    budget = Budget(100, 10)
    budget.take(10, 0)
    budget.learn(5, 1)
    assert budget.used == 10
    budget.learn(95, 1)
    assert budget.wait_ns(1, SEC, Lane.URGENT) > 0
    assert budget.wait_ns(1, 10 * SEC + 1) == 0


def test_silence_holds_for_everybody() -> None:
    """After a 429 or 418 nothing leaves, not even from the reserve; a shorter wait does not shorten it."""
    budget = Budget(100, 10)
    budget.block(7 * SEC)
    budget.block(3 * SEC)
    assert budget.wait_ns(1, SEC, Lane.URGENT) == 6 * SEC
    assert budget.wait_ns(1, 7 * SEC) == 0


def test_what_is_heavier_than_the_budget_leaves_when_all_is_free() -> None:
    """It is asked for once in a window, and does not wait for ever."""
    budget = Budget(10, 10)
    assert budget.wait_ns(250, 0) == 0
    budget.take(250, 0)
    assert budget.wait_ns(1, SEC) == 9 * SEC


def test_a_counter_falls_all_the_time() -> None:
    """Kraken's 15 calls, of which one decays in 3 s: a burst, then one after the other; never above what it allows."""
    counter, now, level, most = Counter(15, 45.0), 0, 0.0, 0.0
    times = []
    for _ in range(40):
        wait = counter.wait_ns(2, now)
        now += wait
        assert counter.wait_ns(2, now) == 0
        counter.take(2, now)
        level = max(0.0, level - wait / 3 / SEC) + 2
        most = max(most, level)
        times.append(now / SEC)
    assert times[:6] == [0, 0, 0, 0, 0, 3]
    assert times[-1] - times[-2] == 6
    assert most <= 15
    assert counter.wait_ns(2, now, Lane.URGENT) < counter.wait_ns(2, now)
    assert counter.wait_ns(100, now) <= 45 * SEC
