"""How late the event loop runs what is due: the time in which the daemon hears nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

INTERVAL_SEC = 0.02
STALL_NS: Final = 500_000_000  # a loop that was away for so long stood still: the process was stopped, or the machine
HOLD_MOST_NS: Final = 10_000_000_000


class Stalls:
    """What frames may be late by because the loop stood still: what comes next has waited in the sockets, and a feed
    without a clock of its own does not show it. Holds for as long as the loop was away (reliability.md F91)."""

    def __init__(self, mono_ns: Callable[[], int]) -> None:
        self._mono_ns = mono_ns
        self._beat_ns: int | None = None
        self._away_ns = 0
        self._until_ns = 0

    def beat(self, late_ns: int) -> None:
        """The loop runs, and was late by so much."""
        self._beat_ns = self._mono_ns()
        if late_ns > STALL_NS:
            self._away_ns = late_ns
            self._until_ns = self._beat_ns + min(late_ns, HOLD_MOST_NS)

    def behind_ns(self) -> int:
        """How much that is now; 0 while all is well, and before the first beat."""
        if self._beat_ns is None:
            return 0
        now_ns = self._mono_ns()
        silent_ns = now_ns - self._beat_ns  # sockets are read before the loop's clock has had its turn
        if silent_ns > STALL_NS:
            return silent_ns
        return self._away_ns if now_ns < self._until_ns else 0


async def measure_lag(
    mono_ns: Callable[[], int],
    observe: Callable[[int], None],
    *,
    interval_sec: float = INTERVAL_SEC,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Sleep for `interval_sec` again and again, and tell by how many ns each sleep was longer; until cancelled."""
    interval_ns = int(interval_sec * 1e9)
    while True:
        due_ns = mono_ns() + interval_ns
        await sleep(interval_sec)
        observe(max(0, mono_ns() - due_ns))
