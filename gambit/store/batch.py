"""The view `batch` that the rules read, and the statements over it, each planned once for as long as the file is open.

DuckDB takes longer to plan a rule than to run it, and keeps a plan for as long as what it reads stays the same: so the
view stands on arrays of fixed length that are filled anew for every batch. DuckDB looks into them with each run.
"""

from collections.abc import Sequence
from typing import Final

import duckdb
import numpy as np

from gambit.events.records import Record

ROWS: Final = 1024  # more are taken in turns; rows that no record fills have the number 0 and no kind


class Batch:
    """Records where the rules find them, at most ROWS at a time. Of one connection; its errors are DuckDB's."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._seq = np.zeros(ROWS, np.int64)
        self._ts_ns = np.zeros(ROWS, np.int64)
        self._kind = _texts()
        self._body = _texts()
        self._filled = 0
        self._planned: dict[str, str] = {}
        columns = {"seq": self._seq, "ts_ns": self._ts_ns, "kind": self._kind, "body": self._body}
        connection.register("batch", columns)

    def fill(self, records: Sequence[Record]) -> None:
        """Put these records in the place of those before. Raises ValueError for more than ROWS."""
        count = len(records)
        if count > ROWS:
            raise ValueError(f"a batch has {ROWS} rows, these are {count} records")
        self.clear()
        self._filled = count
        self._seq[:count] = [record.seq for record in records]
        self._ts_ns[:count] = [record.ts_ns for record in records]
        self._kind[:count] = [record.kind for record in records]
        self._body[:count] = [record.body.decode("utf-8", "replace") for record in records]

    def clear(self) -> None:
        """Let go of the records."""
        self._seq[: self._filled] = 0
        self._kind[: self._filled] = self._body[: self._filled] = ""
        self._filled = 0

    def run(self, statement: str) -> None:
        """Run a statement over the records, planned before or now."""
        name = self._planned.get(statement)
        if name is None:
            name = f"rule_{len(self._planned)}"
            self._connection.execute(f"PREPARE {name} AS {statement}")
            self._planned[statement] = name
        self._connection.execute(f"EXECUTE {name}")


def _texts() -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    """ROWS empty texts."""
    return np.full(ROWS, "", object)
