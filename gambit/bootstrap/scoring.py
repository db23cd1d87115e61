"""The scorecard of the last days for those who watch: made from a copy of the store, off the loop, and kept a while."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from gambit.runtime.keeping import Keeping
from gambit.scorecard import Cell, card
from gambit.store import scoring
from gambit.store.reading import reading

KEPT_SEC: Final = 300.0  # as old as an answer may be
DAYS: Final = 7
MEMORY_MB: Final = 64


class Scores:
    """One answer for all who ask within KEPT_SEC."""

    def __init__(self, keeping: Callable[[], Keeping], now_ns: Callable[[], int]) -> None:
        self._keeping = keeping
        self._now_ns = now_ns
        self._made_ns = 0
        self._last: dict[str, Any] = {}
        self._making = asyncio.Lock()

    async def __call__(self) -> dict[str, Any]:
        """The last DAYS days. Raises what Keeping.snapshot raises, duckdb.Error."""
        async with self._making:
            if not self._last or self._now_ns() - self._made_ns > KEPT_SEC * 1e9:
                keeping = self._keeping()
                copy = await keeping.snapshot(KEPT_SEC)
                now = datetime.fromtimestamp(self._now_ns() / 1e9, UTC)
                self._last = await asyncio.to_thread(_made, Path(copy["path"]), keeping.exports, now)
                self._made_ns = self._now_ns()
            return self._last


def _made(path: Path, exports: Path, now: datetime) -> dict[str, Any]:
    with reading(path, exports, memory_mb=MEMORY_MB) as connection:
        cells = scoring.cells(connection, now - timedelta(days=DAYS), now)
        return {"days": DAYS, "as_of": now.isoformat(), **msgspec.to_builtins(card([Cell(**row) for row in cells]))}
