"""Ticks as columns: what the hot path left in its ring, for readers that work in batches.

Each reader has a cursor of its own. One that lags is overrun: it loses the oldest ticks, which are counted, and the hot
path never waits.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

# struct Tick of gambit/_core/events.pxd, as C lays it out.
TICK: Final = np.dtype(
    [
        ("recv_ns", np.int64),
        ("exchange_ts", np.int64),  # -1: not known
        ("seq", np.int64),
        ("has_seq", np.int32),
        ("market", np.int32),
        ("price", np.int64, (2,)),  # bid, ask as mantissas; -1: no such side
        ("price_dec", np.uint8, (2,)),
        ("qty", np.int64, (2,)),
        ("qty_dec", np.uint8, (2,)),
    ],
    align=True,
)
BLOCK: Final = 16_384  # ticks looked at in one go: well under a millisecond
CAPACITY: Final = 65_536  # ticks kept for readers that lag: 5 MB
_POWERS: Final = 10.0 ** -np.arange(256)


class TickReader:
    """A cursor over the ticks of a market. Raises ValueError when all cursors are taken."""

    def __init__(self, pairs: Any, capacity: int = CAPACITY) -> None:
        self._pairs = pairs
        self._cursor: int = pairs.follow_ticks(capacity)

    def blocks(self, limit: int = 4) -> Iterator[NDArray[Any]]:
        """What came since the last time, oldest first, as arrays of TICK; at most `limit` blocks of BLOCK ticks."""
        for _ in range(limit):
            raw = self._pairs.take_ticks(self._cursor, BLOCK)
            if not raw:
                return
            yield np.frombuffer(raw, TICK)
            if len(raw) < BLOCK * TICK.itemsize:
                return

    @property
    def lost(self) -> int:
        """Ticks this reader was overrun by."""
        return int(self._pairs.ticks_lost(self._cursor))


def prices(ticks: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(bids, asks) in quote units, NaN where a side is empty. For charts and samples, never for decisions."""
    values = ticks["price"] * _POWERS[ticks["price_dec"]]
    values = np.where(ticks["price"] < 0, np.nan, values)
    return values[:, 0], values[:, 1]
