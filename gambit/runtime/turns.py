"""Whose turn it is to be on the way to a venue that wants each nonce of a key to be larger than those before (Kraken).

Two connections keep no order between them, so that one request at a time is under way, until it is answered or must
have arrived. Cancels go first, then creates, then readings, each in the order in which they came. What is about an
order waits for no reading: whom it overtakes is refused for its nonce, for certain, and can be asked again.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Final

from gambit.venues.orders import Lane

REACH_SEC: Final = 0.5  # without an answer so long a request has arrived, or is lost
RANKS: Final = {Lane.CANCEL: 0, Lane.CREATE: 1, Lane.READ: 2}


class Turns:
    """Those of one key."""

    def __init__(self) -> None:
        self._under_way: dict[int, Lane] = {}
        self._waiting: list[tuple[int, int]] = []
        self._numbers = count()
        self._changed = asyncio.Event()

    def is_free(self, lane: Lane) -> bool:
        """Whether a request may leave at this very instant."""
        return self._is_next((RANKS[lane], next(self._numbers)))

    def begin(self, lane: Lane) -> int:
        """A request leaves. What is returned belongs to end(), which has to be called."""
        number = next(self._numbers)
        self._under_way[number] = lane
        asyncio.get_running_loop().call_later(REACH_SEC, self.end, number)
        return number

    def end(self, number: int) -> None:
        """It is answered, or has been on its way long enough."""
        if self._under_way.pop(number, None) is not None:
            self._tell()

    @asynccontextmanager
    async def one(self, lane: Lane) -> AsyncIterator[None]:
        """A request's turn, once it has come."""
        mine = (RANKS[lane], next(self._numbers))
        self._waiting.append(mine)
        try:
            while not self._is_next(mine):
                await self._changed.wait()
        finally:
            self._waiting.remove(mine)
            self._tell()  # whoever waited behind one that gave up
        number = self.begin(lane)
        try:
            yield
        finally:
            self.end(number)

    def _is_next(self, mine: tuple[int, int]) -> bool:
        is_reading = mine[0] == RANKS[Lane.READ]
        is_clear = not any(is_reading or lane is not Lane.READ for lane in self._under_way.values())
        return is_clear and all(mine <= other for other in self._waiting)

    def _tell(self) -> None:
        self._changed.set()
        self._changed.clear()
