"""Time read without Python is the monotonic clock's, moved by what it was given."""

import time

import pytest

from gambit._core.clock import SteadyTime


@pytest.mark.parametrize("offset_ns", [0, 1_700_000_000 * 10**9, -(2**40)])
def test_it_is_the_monotonic_clock_moved(offset_ns: int) -> None:
    """Between two readings of Python's own, every time."""
    now_ns = SteadyTime(offset_ns)
    for _ in range(1000):
        before = time.monotonic_ns()
        between = now_ns() - offset_ns
        assert before <= between <= time.monotonic_ns()
