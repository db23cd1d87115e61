"""One budget of request weight per venue and account, kept on the safe side of what the venue counts.

Ordinary requests may use all but a reserve of each window; cancels and hedges may use the reserve too, so that a burst
of reading never stands in the way of getting flat. What the venue's headers say goes before what we counted. After a
429 or 418 nothing leaves until the venue's wait is over; the reserve does not help there.

Pure: times are monotonic ns.
"""

from collections import deque
from enum import Enum

SEC = 1_000_000_000
USABLE = 0.9  # of what the venue allows; its clock and ours cut windows at different instants
RESERVED = 0.2  # of what is usable


class Lane(Enum):
    """Whose request it is."""

    ORDINARY = 0
    URGENT = 1  # cancels and hedges


class Budget:
    """At most `weight` within any `window_sec`, as the venue states them."""

    def __init__(self, weight: int, window_sec: float) -> None:
        self.window_ns = int(window_sec * SEC)
        self.allow(weight)
        self.spent: deque[tuple[int, int]] = deque()  # (when, weight)
        self.used = 0  # within the window, by our count
        self.blocked_until_ns = 0

    def allow(self, weight: int) -> None:
        """What the venue allows within a window from now on: limits differ by account, and change."""
        self.usable = max(1, int(weight * USABLE))
        self.reserve = int(self.usable * RESERVED)

    def wait_ns(self, weight: int, now_ns: int, lane: Lane = Lane.ORDINARY) -> int:
        """How long until a request of this weight may leave; 0 for now. One heavier than the budget leaves when the
        window is empty."""
        if now_ns < self.blocked_until_ns:
            return self.blocked_until_ns - now_ns
        self._forget(now_ns)
        limit = self.usable if lane is Lane.URGENT else self.usable - self.reserve
        excess = self.used + min(weight, limit) - limit
        for when, freed in self.spent:
            if excess <= 0:
                break
            excess -= freed
            if excess <= 0:
                return when + self.window_ns - now_ns
        return 0

    def take(self, weight: int, now_ns: int) -> None:
        """A request leaves."""
        self._forget(now_ns)
        self.spent.append((now_ns, weight))
        self.used += weight

    def learn(self, used: int, now_ns: int) -> None:
        """The venue counts this much of its window as used. More than we knew of (another process at the same address)
        is spent as of now; less changes nothing, for its window may just have begun."""
        self._forget(now_ns)
        if used > self.used:
            self.take(used - self.used, now_ns)

    def block(self, until_ns: int) -> None:
        """Nothing leaves before this."""
        self.blocked_until_ns = max(self.blocked_until_ns, until_ns)

    def _forget(self, now_ns: int) -> None:
        while self.spent and self.spent[0][0] + self.window_ns <= now_ns:
            self.used -= self.spent.popleft()[1]


class Counter:
    """A budget that a venue keeps as a counter: each request adds its weight, `weight` of it decay in `fall_sec`."""

    def __init__(self, weight: int, fall_sec: float) -> None:
        self.usable = max(1, int(weight * USABLE))
        self.reserve = int(self.usable * RESERVED)
        self.fall_ns = int(fall_sec * SEC) // weight  # of one unit
        self.empty_ns = 0  # when the counter will be back at nothing

    def wait_ns(self, weight: int, now_ns: int, lane: Lane = Lane.ORDINARY) -> int:
        """How long until a request of this weight may leave; 0 for now. One heavier than the budget leaves when the
        counter is at nothing."""
        limit = self.usable if lane is Lane.URGENT else self.usable - self.reserve
        return max(0, self.empty_ns - now_ns - (limit - min(weight, limit)) * self.fall_ns)

    def take(self, weight: int, now_ns: int) -> None:
        """A request leaves."""
        self.empty_ns = max(self.empty_ns, now_ns) + weight * self.fall_ns
