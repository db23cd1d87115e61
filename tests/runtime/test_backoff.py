"""Waits between tries, and the cap on tries."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambit.runtime.backoff import SEC, Attempts, Backoff


def test_waits_double_up_to_the_most() -> None:
    """With the worst of luck the n-th wait is the first doubled n times."""
    backoff = Backoff(lambda: 1.0, first_sec=0.5, most_sec=3.0)
    assert [backoff.failed() / SEC for _ in range(5)] == [0.5, 1, 2, 3, 3]


def test_only_a_long_success_starts_over() -> None:
    """A connection that is accepted and then closed is a failure like any other."""
    backoff = Backoff(lambda: 1.0, first_sec=1, most_sec=100, calm_sec=30)
    assert [backoff.failed(lasted_ns=29 * SEC) / SEC for _ in range(3)] == [1, 2, 4]
    assert backoff.failed(lasted_ns=30 * SEC) / SEC == 1


@given(st.integers(0), st.integers(1, 200))
def test_waits_are_drawn_from_nothing_to_the_ceiling(seed: int, failures: int) -> None:
    """Full jitter, never negative, never above the most, however often it failed."""
    backoff = Backoff(random.Random(seed).random, first_sec=0.5, most_sec=20)
    waits = [backoff.failed() for _ in range(failures)]
    assert all(0 <= wait <= min(20.0, 0.5 * 2**k) * SEC for k, wait in enumerate(waits))


@given(st.lists(st.integers(0, 40 * SEC), max_size=300), st.integers(1, 30), st.integers(1, 300))
def test_no_window_has_more_attempts_than_allowed(gaps: list[int], most: int, window_sec: int) -> None:
    """Whoever waits as told never exceeds the cap, in any window, and never waits longer than one."""
    attempts = Attempts(most, window_sec, (2, 1))
    now, times = 0, []
    for gap in gaps:
        now += gap
        wait = attempts.wait_ns(now)
        assert 0 <= wait <= window_sec * SEC
        now += wait
        attempts.take(now)
        times.append(now)
    for count, window_ns in ((most, window_sec * SEC), (2, SEC)):
        assert all(late - early >= window_ns for early, late in zip(times, times[count:], strict=False))


def test_an_attempt_too_many_is_a_bug() -> None:
    """Nobody gets around the cap by not asking."""
    attempts = Attempts(1, 10)
    attempts.take(0)
    with pytest.raises(RuntimeError, match="more than 1 attempts in 10 s"):
        attempts.take(5 * SEC)
    attempts.take(10 * SEC)


@pytest.mark.parametrize("seed", range(20))
def test_accept_then_close_a_hundred_times(seed: int) -> None:
    """At most 30 connects in any five minutes (F79): back-off and cap as a line uses them, no connection lasting."""
    backoff, attempts = Backoff(random.Random(seed).random), Attempts(30, 300)
    now, times = 0, []
    for _ in range(100):
        now += attempts.wait_ns(now)
        attempts.take(now)
        times.append(now)
        now += backoff.failed(lasted_ns=SEC // 100)
    assert max(sum(t <= other < t + 300 * SEC for other in times) for t in times) <= 30
