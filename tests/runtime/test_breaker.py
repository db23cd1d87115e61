"""The circuit breaker."""

from hypothesis import given
from hypothesis import strategies as st

from gambit.runtime.breaker import SEC, Breaker, Circuit


def opened() -> Breaker:
    """A breaker after five failures at 0 s."""
    breaker = Breaker(rest_sec=5, rest_most_sec=20)
    for _ in range(5):
        assert breaker.wait_ns(0) == 0
        breaker.failed(0)
    return breaker


def test_five_failures_within_thirty_seconds_open_it() -> None:
    """Four do not, nor do five over a longer time."""
    breaker = Breaker()
    for k in range(20):
        breaker.failed(k * 8 * SEC)
        assert breaker.state is Circuit.CLOSED
    assert opened().state is Circuit.OPEN


def test_one_probe_decides() -> None:
    """After the rest one call leaves; the others wait for what becomes of it."""
    breaker = opened()
    assert breaker.wait_ns(2 * SEC) == 3 * SEC
    assert breaker.wait_ns(5 * SEC) == 0
    breaker.leave(5 * SEC)
    assert (breaker.state, breaker.wait_ns(6 * SEC)) == (Circuit.HALF_OPEN, 4 * SEC)
    breaker.succeeded()
    assert (breaker.state, breaker.wait_ns(6 * SEC)) == (Circuit.CLOSED, 0)


def test_rests_grow_while_probes_fail() -> None:
    """Doubled each time up to the most; a success starts over."""
    breaker, now, rests = opened(), 0, []
    for _ in range(4):
        rests.append(breaker.wait_ns(now) // SEC)
        now += breaker.wait_ns(now)
        breaker.leave(now)
        breaker.failed(now)
    assert rests == [5, 10, 20, 20]
    breaker.succeeded()
    assert breaker.rest_ns == 5 * SEC


@given(st.lists(st.tuples(st.integers(0, 10 * SEC), st.booleans()), max_size=200))
def test_it_always_lets_something_through_again(events: list[tuple[int, bool]]) -> None:
    """No sequence of outcomes shuts it for longer than the longest rest; closed, it never holds anybody up."""
    breaker, now = Breaker(rest_sec=5, rest_most_sec=20), 0
    for gap, is_good in events:
        now += gap
        wait = breaker.wait_ns(now)
        assert 0 <= wait <= 20 * SEC
        assert breaker.state is not Circuit.CLOSED or wait == 0
        if wait == 0:
            breaker.leave(now)
            if is_good:
                breaker.succeeded()
            else:
                breaker.failed(now)
