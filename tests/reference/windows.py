"""Statistics over time: a directed pair's spread as a step function (R13, R15), a book's volatility (R16, R17).

All sums are integers, so adding and removing leaves no residue; only the reported figures become doubles.
"""

import math
from collections import deque

SPREAD_SCALE = 10**24  # spreads in units of 1e-24 bps
BUCKET_NS = 100_000_000


class SpreadWindow:
    """The defined stretches of a pair's spread over the last `width_ns`.

    `begin` gives the value a start, `end` gives it an end; in between and after `end` nothing is defined.
    """

    def __init__(self, width_ns: int):
        self.width_ns = width_ns
        self.current: tuple[int, int, bool] | None = None  # start, spread, whether it reaches min_spread
        self.stretches: deque[tuple[int, int, int, bool]] = deque()  # start, end, spread, reaches
        self.highs: deque[tuple[int, int]] = deque()  # end, spread: falling spreads, the highest first
        self.defined_ns = 0
        self.weighted = 0
        self.reaching_ns = 0

    def begin(self, now: int, spread: int, reaches: bool) -> None:
        self.end(now)
        self.current = (now, spread, reaches)

    def end(self, now: int) -> None:
        """The value held until `now`; a value without duration counts for nothing."""
        if self.current is None:
            return
        (start, spread, reaches), self.current = self.current, None
        if now <= start:
            return
        self.stretches.append((start, now, spread, reaches))
        self._count(now - start, spread, reaches)
        while self.highs and self.highs[-1][1] <= spread:
            self.highs.pop()
        self.highs.append((now, spread))

    def forget(self, now: int) -> None:
        """Drops the stretches that ended before the window [now - width, now)."""
        since = now - self.width_ns
        while self.stretches and self.stretches[0][1] <= since:
            start, end, spread, reaches = self.stretches.popleft()
            self._count(start - end, spread, reaches)
        while self.highs and self.highs[0][0] <= since:
            self.highs.popleft()

    def _count(self, duration_ns: int, spread: int, reaches: bool) -> None:
        self.defined_ns += duration_ns
        self.weighted += duration_ns * spread
        self.reaching_ns += duration_ns * reaches

    def statistics(self, now: int, spread: int) -> tuple[int, int, int, int]:
        """Over [now - width, now): weighted sum, defined ns, highest spread (the current one too), reaching ns.

        `end(now)` and `forget(now)` come first.
        """
        cut, cut_spread, cut_reaches = 0, 0, False
        if self.stretches:
            start, _, cut_spread, cut_reaches = self.stretches[0]
            cut = max(0, now - self.width_ns - start)
        high = max(spread, self.highs[0][1]) if self.highs else spread
        weighted, defined_ns = self.weighted - cut * cut_spread, self.defined_ns - cut
        return weighted, defined_ns, high, self.reaching_ns - cut * cut_reaches


class MidGrid:
    """Mids of a book on a grid of 100 ms, as the sum bid + ask in units of 1e-18."""

    def __init__(self, buckets: int, width_sec: float):
        self.buckets = buckets
        self.width_sec = width_sec
        self.mids: deque[tuple[int, int]] = deque()  # bucket, last mid in it; ascending, no empty buckets
        self.known: tuple[int, float] | None = None  # the last answer and its current bucket

    def clear(self) -> None:
        self.mids.clear()
        self.known = None

    def put(self, now: int, twice_mid: int) -> None:
        bucket = now // BUCKET_NS
        if self.mids and self.mids[-1][0] == bucket:
            self.mids.pop()
        self.mids.append((bucket, twice_mid))

    def sigma(self, now: int) -> float:
        """bps per sqrt(second), of the completed buckets cur - buckets .. cur - 1; an older mid still carries."""
        current = now // BUCKET_NS
        if self.known is not None and self.known[0] == current:
            return self.known[1]
        first = current - self.buckets
        while len(self.mids) > 1 and self.mids[1][0] < first:
            self.mids.popleft()
        squares, before = [], None
        for bucket, mid in self.mids:
            if before is not None and first <= bucket < current:
                squares.append((math.log1p((mid - before) / before) * 1e4) ** 2)
            before = mid
        answer = math.sqrt(math.fsum(squares) / self.width_sec)
        self.known = (current, answer)
        return answer
