"""A circuit breaker: a venue that keeps failing is left alone for a while, then asked once.

Five failures within 30 s open it (product.md, "Error category -> strategy"); after `rest_sec` one probe is let through
(half-open): its success closes the breaker, its failure opens it again for twice as long, up to `rest_most_sec`.

Pure: times are monotonic ns.
"""

from collections import deque
from enum import StrEnum

SEC = 1_000_000_000
FAILURES = 5
WINDOW_SEC = 30.0


class Circuit(StrEnum):
    """Where a breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """Counts failures; says whether a call may leave."""

    def __init__(self, *, rest_sec: float = 5.0, rest_most_sec: float = 60.0) -> None:
        self.first_rest_ns = int(rest_sec * SEC)
        self.most_rest_ns = int(rest_most_sec * SEC)
        self.rest_ns = self.first_rest_ns
        self.state = Circuit.CLOSED
        self.failures: deque[int] = deque()
        self.probe_ns = 0  # when the next probe may leave

    def wait_ns(self, now_ns: int) -> int:
        """How long calls are refused; 0 when one may leave. While a probe is under way, the others wait for its end."""
        if self.state is Circuit.CLOSED:
            return 0
        return max(0, self.probe_ns - now_ns)

    def leave(self, now_ns: int) -> None:
        """A call leaves; on an open breaker it is the probe."""
        if self.state is Circuit.OPEN:
            self.state = Circuit.HALF_OPEN
        if self.state is Circuit.HALF_OPEN:
            self.probe_ns = now_ns + self.rest_ns

    def succeeded(self) -> None:
        """A call went well."""
        self.state = Circuit.CLOSED
        self.rest_ns = self.first_rest_ns
        self.failures.clear()

    def failed(self, now_ns: int) -> None:
        """A call met a failure that counts (vendor_5xx)."""
        while self.failures and self.failures[0] + int(WINDOW_SEC * SEC) <= now_ns:
            self.failures.popleft()
        self.failures.append(now_ns)
        if self.state is Circuit.HALF_OPEN:
            self.rest_ns = min(2 * self.rest_ns, self.most_rest_ns)
            self._open(now_ns)
        elif self.state is Circuit.CLOSED and len(self.failures) >= FAILURES:
            self._open(now_ns)

    def _open(self, now_ns: int) -> None:
        self.state = Circuit.OPEN
        self.probe_ns = now_ns + self.rest_ns
