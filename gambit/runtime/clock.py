"""The only reader of clocks."""

import time
from collections.abc import Callable
from typing import Protocol

from gambit._core.clock import SteadyTime


class Clock(Protocol):
    """Time as the daemon knows it; tests and the simulation bring their own."""

    def now_ns(self) -> int:
        """ns since the epoch; never steps back, whatever the machine's wall clock does."""
        ...

    def mono_ns(self) -> int:
        """ns of a clock that only measures distances: deadlines and timeouts."""
        ...


class SystemClock:
    """The machine's clocks: wall time as of the start, carried on by the monotonic clock."""

    def __init__(self) -> None:
        # compiled, because it stands between a frame's arrival and the market
        self.now_ns: Callable[[], int] = SteadyTime(time.time_ns() - time.monotonic_ns())

    def mono_ns(self) -> int:
        return time.monotonic_ns()
