"""Samples on their way to the store: a bounded queue that drops the oldest and counts them. Nobody waits for it."""

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from numpy.typing import NDArray

Columns = Mapping[str, Sequence[object] | NDArray[Any]]
ROWS_MAX: Final = 200_000


class Sample(NamedTuple):
    """Rows for a table, by column."""

    table: str
    columns: Columns
    rows: int


class Samples:
    """Any thread puts and takes."""

    def __init__(self, rows_max: int = ROWS_MAX) -> None:
        self.dropped = 0  # rows
        self._rows_max = rows_max
        self._rows = 0
        self._queue: deque[Sample] = deque()
        self._lock = threading.Lock()

    def put(self, table: str, columns: Columns) -> None:
        """Queue rows. Raises ValueError when the columns are not of one length."""
        lengths = {len(values) for values in columns.values()}
        if len(lengths) != 1:
            raise ValueError(f"{table}: columns of {sorted(lengths)} rows")
        sample = Sample(table, columns, lengths.pop())
        with self._lock:
            self._queue.append(sample)
            self._rows += sample.rows
            while self._rows > self._rows_max:
                gone = self._queue.popleft()
                self._rows -= gone.rows
                self.dropped += gone.rows

    def take(self) -> list[Sample]:
        """Everything that is queued."""
        with self._lock:
            taken, self._queue, self._rows = list(self._queue), deque(), 0
        return taken

    def put_back(self, samples: Sequence[Sample]) -> None:
        """Samples that could not be written; they are the oldest, and dropped first."""
        with self._lock:
            self._queue.extendleft(reversed(samples))
            self._rows += sum(sample.rows for sample in samples)
            while self._rows > self._rows_max:
                gone = self._queue.popleft()
                self._rows -= gone.rows
                self.dropped += gone.rows

    def drop(self, sample: Sample) -> None:
        """Count a sample as lost."""
        with self._lock:
            self.dropped += sample.rows
