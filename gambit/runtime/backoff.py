"""How long to wait before another try: full jitter, and a cap on tries that no run of luck gets around.

Pure: times are monotonic ns, chance is handed in.
"""

from collections import deque
from collections.abc import Callable

SEC = 1_000_000_000


class Backoff:
    """Waits that grow: the n-th is drawn evenly from nothing to `first_sec` doubled n times, at most `most_sec`.

    A success that lasts `calm_sec` starts it over; a shorter one does not, so that a venue which accepts and then
    closes is not taken for a healthy one. `random` gives numbers from 0 up to 1.
    """

    def __init__(
        self, random: Callable[[], float], *, first_sec: float = 0.5, most_sec: float = 20.0, calm_sec: float = 30.0
    ) -> None:
        self.random = random
        self.first_sec = first_sec
        self.most_sec = most_sec
        self.calm_sec = calm_sec
        self.failures = 0

    def failed(self, lasted_ns: int = 0) -> int:
        """Another try failed, after it had worked for `lasted_ns`; returns how many ns to wait."""
        if lasted_ns >= self.calm_sec * SEC:
            self.failures = 0
        ceiling = min(self.most_sec, self.first_sec * 2.0 ** min(self.failures, 32))
        self.failures += 1
        return int(self.random() * ceiling * SEC)


class Attempts:
    """At most `most` tries within any `window_sec`, and likewise for each further (most, seconds) of `also`; whoever
    comes too early is told how long to wait."""

    def __init__(self, most: int, window_sec: float, *also: tuple[int, float]) -> None:
        self.limits = [(count, int(seconds * SEC)) for count, seconds in ((most, window_sec), *also)]
        if min(count for count, _ in self.limits) < 1:
            raise ValueError(f"{most} attempts are none")
        self.times: deque[int] = deque(maxlen=max(count for count, _ in self.limits))

    def wait_ns(self, now_ns: int) -> int:
        """How long until the next try is allowed; 0 for now."""
        tried = len(self.times)
        ends = [self.times[-count] + window_ns for count, window_ns in self.limits if tried >= count]
        return max(0, *(end - now_ns for end in ends)) if ends else 0

    def take(self, now_ns: int) -> None:
        """A try is made. Raises RuntimeError when none is allowed."""
        if self.wait_ns(now_ns):
            told = " or ".join(f"{count} attempts in {window_ns / SEC:g} s" for count, window_ns in self.limits)
            raise RuntimeError(f"more than {told}")
        self.times.append(now_ns)
