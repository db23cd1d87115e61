"""How awake the loop is kept while no frame comes: rehearsing, or not sleeping at all.

After a few milliseconds of silence the processor has forgotten the way of a frame: its caches hold other code and the
first frame of a burst takes as long as the next ten (docs/performance.md). So while none comes a frame of an invented
book goes the same way every millisecond, in a market of its own that nobody reads.
"""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from itertools import cycle
from typing import Final

from gambit.engine.market import Market
from gambit.engine.params import EngineParams
from gambit.venues import VENUES
from gambit.venues.decode import decode

PAUSE_SEC: Final = 0.001  # between rehearsals; uvloop's finest timer
LOOK_SEC: Final = 0.005  # until the next look while frames come: they keep the way warm by themselves
LEVELS: Final = 20  # a side of a frame, half of them deletions
SIGNAL_EVERY: Final = 16  # frames; naming one takes twenty times as long as a frame, and one in so many is enough
HOME, NEAR, FAR = 100_00, 100_20, 101_00  # prices in cents; only the last is worth a signal
SYMBOL: Final = "AAA-BBB"
NEVER_MS: Final = Decimal(10**12)  # the book that stands still is never too old
STILL, MOVING = "okx", "okx-rehearsed"


class Warmth:
    """Keeps a loop warm, hot or neither.

    `frames_until()` is the market's clock: it moves with each frame, and while it does there is nothing to rehearse.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, frames_until: Callable[[], int]) -> None:
        self._loop = loop
        self._frames_until = frames_until
        self._seen = -1
        self._rehearsal: Rehearsal | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_hot = False

    def keep(self, *, hot: bool, warm: bool) -> None:
        """From now on: hot is a loop that never sleeps in the kernel, warm one that rehearses; hot needs no warmth."""
        was_hot, self._is_hot = self._is_hot, hot
        if hot and not was_hot:
            self._loop.call_soon(self._spin)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if warm and not hot:
            self._rehearsal = self._rehearsal or Rehearsal()
            self._wait(LOOK_SEC, self._rehearsal)

    def _spin(self) -> None:
        if self._is_hot:  # a loop that always has something to run sees frames as they come
            self._loop.call_soon(self._spin)

    def _wait(self, seconds: float, rehearsal: "Rehearsal") -> None:
        self._timer = self._loop.call_later(seconds, self._turn, rehearsal)

    def _turn(self, rehearsal: "Rehearsal") -> None:
        seen, self._seen = self._seen, self._frames_until()
        if seen == self._seen:
            rehearsal.play()
            self._wait(PAUSE_SEC, rehearsal)
        else:
            self._wait(LOOK_SEC, rehearsal)


class Rehearsal:
    """A market of two invented books, of which one moves to and fro; now and then that raises a signal and ends it."""

    def __init__(self) -> None:
        venues = {STILL: VENUES["okx"], MOVING: VENUES["okx"]}
        self.market = Market(EngineParams(symbols=(SYMBOL,), max_book_age_ms=NEVER_MS), venues, decode)
        still, self._moving = (self.market.connect(name, "rehearsal") for name in venues)
        for conn in (still, self._moving):
            self.market.on_frame(conn, _frame("snapshot", -1, 1, HOME), 1)
        self._frames = cycle(
            frame
            for place in (*[NEAR] * (SIGNAL_EVERY // 2 - 1), FAR)
            for frame in (_frame("update", 1, 2, place, HOME), _frame("update", 2, 1, HOME, place))
        )
        self._at_ns = 1

    def play(self) -> list[dict[str, object]]:
        """One frame through the scanner, the book, the evaluation and, where it raised or ended a signal, the naming;
        what was named."""
        self._at_ns += 1_000_000
        self.market.on_frame(self._moving, next(self._frames), self._at_ns)
        return self.market.opportunities() if self.market.pairs.pending[0] else []


def _frame(action: str, previous: int, number: int, middle: int, left: int | None = None) -> bytes:
    """OKX's words for a book around a price in cents, a level each cent; levels around the price that it left are
    deleted. A sequence number may go back (okx.md 3), so two frames can follow each other for ever."""
    sides = []
    for sign in (1, -1):
        gone = [] if left is None else [f'["{cents / 100:.2f}","0","0","0"]' for cents in _side(left, sign)]
        sides.append(",".join(gone + [f'["{cents / 100:.2f}","500","0","1"]' for cents in _side(middle, sign)]))
    return (
        f'{{"arg":{{"channel":"books","instId":"{SYMBOL}"}},"action":"{action}","data":[{{"asks":[{sides[0]}],'
        f'"bids":[{sides[1]}],"ts":"1597026383085","checksum":0,"seqId":{number},"prevSeqId":{previous}}}]}}'
    ).encode()


def _side(middle: int, sign: int) -> range:
    return range(middle + sign, middle + sign * (LEVELS // 2 + 1), sign)
