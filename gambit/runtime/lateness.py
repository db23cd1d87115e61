"""How far a venue's clock is from ours, and how late its feed is by that clock (formulas.md "Clocks").

Exchange times order nothing and decide nothing; they show a feed that runs steadily behind, which no other sign does
(reliability.md F63). Pure: times are ns.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

SEC: Final = 1_000_000_000
KEPT_SEC: Final = 900.0  # a sample of the offset counts for so long
LATE_SEC: Final = 1.0  # a feed this late is degraded
TURNS: Final = 3  # so many looks in a row, late or not, turn the verdict


class Offset(NamedTuple):
    """A venue's clock minus ours, and how wrong that may be either way."""

    offset_ns: int
    error_ns: int

    @property
    def shift_ns(self) -> int:
        """What to add to a lag. An offset within its own error (of a venue that tells whole seconds) is none: it would
        show frames that came before they were sent."""
        return self.offset_ns if abs(self.offset_ns) > self.error_ns else 0


class VenueClock:
    """Estimates the offset from questions for the venue's time: of the recent ones the quickest answer counts, for what
    it may be wrong by is half of how long it took."""

    def __init__(self) -> None:
        self.samples: deque[tuple[int, Offset]] = deque()

    def add(self, sent_ns: int, got_ns: int, venue_ns: int, resolution_ns: int) -> None:
        """An answer that said `venue_ns`, cut to a multiple of `resolution_ns`."""
        middle_ns = (sent_ns + got_ns) // 2
        error_ns = (got_ns - sent_ns) // 2 + resolution_ns // 2
        self.samples.append((got_ns, Offset(venue_ns + resolution_ns // 2 - middle_ns, error_ns)))

    def offset(self, now_ns: int) -> Offset | None:
        """The best estimate; None before the first answer and when all are old."""
        while self.samples and now_ns - self.samples[0][0] > KEPT_SEC * SEC:
            self.samples.popleft()
        return min((offset for _, offset in self.samples), key=lambda offset: offset.error_ns, default=None)


class FeedLag:
    """How late a venue's frames come. A verdict changes only after several looks agree, so that one burst does not."""

    def __init__(self) -> None:
        self.p50_ns: int | None = None
        self.p99_ns: int | None = None
        self.is_late = False
        self._against = 0  # looks in a row that contradict is_late

    def look(self, lags_ns: Sequence[int] | NDArray[np.int64], offset: Offset | None) -> None:
        """Receive times minus exchange times of the frames since the last look; without a known offset they are shown
        as they are and judged by nobody."""
        if len(lags_ns) == 0:
            return
        shift_ns = offset.shift_ns if offset is not None else 0
        median, slow = np.percentile(lags_ns, (50, 99), method="lower")
        self.p50_ns, self.p99_ns = int(median) + shift_ns, int(slow) + shift_ns
        if offset is None:
            return
        seems_late = self.p50_ns - offset.error_ns > LATE_SEC * SEC
        self._against = self._against + 1 if seems_late != self.is_late else 0
        if self._against >= TURNS:
            self.is_late, self._against = seems_late, 0
