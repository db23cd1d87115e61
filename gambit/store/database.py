"""The DuckDB file, for one thread: opened and held against the journal, batches applied, samples added, copied.

The cursor, the last journal record that is in the file, changes in the same transaction as the rows; whatever happens,
a record is in the file once or not at all.
"""

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import duckdb
import numpy as np
from numpy.typing import NDArray

from gambit.events.records import Record
from gambit.store.batch import ROWS, Batch
from gambit.store.problem import StoreDamaged, judged
from gambit.store.projection import KEEP_WHOLE, SCHEMA_VERSION, statements
from gambit.store.room import check_room

UNFINISHED: Final = ".new"
_CHECKPOINT_MB: Final = 16  # WAL size at which DuckDB folds it into the file
_COPY_BYTES: Final = 1 << 22
_TIME: Final = "TIMESTAMP_NS"


class Cursor(NamedTuple):
    """Up to where, of which journal."""

    journal_id: str
    seq: int
    hash: str
    first_seq: int


class Database:
    """An open store. Raises StoreDamaged, StoreBusy, StoreFull."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.unprojected = 0  # records kept whole since a rule failed on them
        self._connection = _connected(path)
        self._batch = Batch(self._connection)
        self._columns: dict[str, dict[str, str]] = {}
        # DuckDB's lock on the file is of the kind that goes when any descriptor of the file is closed; so the one that
        # snapshots are read through stays open as long as the database.
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; what was committed is in it."""
        try:
            self._connection.close()
        finally:
            os.close(self._descriptor)

    def abandon(self) -> None:
        """Let go of a file that is no good any more, whatever it says."""
        with contextlib.suppress(duckdb.Error):
            self._connection.close()
        os.close(self._descriptor)

    def begin(self, journal_id: bytes, first_seq: int) -> Cursor:
        """Make the tables of a fresh file, to be filled from record `first_seq` on."""
        with self._judging(), self._transaction():
            self._connection.execute(schema())
            self._connection.execute(
                "INSERT INTO store_cursor VALUES (?, ?, '', ?, ?)",
                [journal_id.hex(), first_seq - 1, first_seq, SCHEMA_VERSION],
            )
        return Cursor(journal_id.hex(), first_seq - 1, "", first_seq)

    def cursor(self) -> Cursor | None:
        """Where it is; None for a file without tables. Raises StoreDamaged when the rows do not bear the cursor out."""
        with self._judging():
            tables = {name for (name,) in self._rows("SELECT table_name FROM duckdb_tables()")}
            if not tables:
                return None
            if "store_cursor" not in tables:
                raise StoreDamaged(f"{self.path}: this is no database of gambit")
            found = self._rows("SELECT journal_id, seq, hash, first_seq, schema_version FROM store_cursor")
            if len(found) != 1:
                raise StoreDamaged(f"{self.path}: {len(found)} cursors")
            *cursor, version = found[0]
            if version != SCHEMA_VERSION:
                raise StoreDamaged(f"{self.path}: tables of version {version}, this gambit has {SCHEMA_VERSION}")
            count, first, last = self._rows("SELECT count(*), min(seq), max(seq) FROM facts")[0]
        known = Cursor(*cursor)
        is_sound = last == known.seq and count == last - first + 1 if count else known.seq < known.first_seq
        if not is_sound:
            raise StoreDamaged(
                f"{self.path}: the cursor is at {known.seq}, but there are {count} records from {first} to {last}"
            )
        return known

    def apply(self, records: Sequence[Record], last_hash: bytes) -> None:
        """Put records in, all or none, and move the cursor behind them; `last_hash` is that of the last one."""
        try:
            self._apply(records, last_hash, whole=False)
        except duckdb.Error as error:
            if _is_of_a_record(error):
                self._apply_around(records, last_hash)
            else:
                raise judged(error) from error

    def _apply_around(self, records: Sequence[Record], last_hash: bytes) -> None:
        """One of these records breaks a rule: keep it whole, project the others."""
        with self._judging():
            if len(records) == 1:
                self._apply(records, last_hash, whole=True)
                self.unprojected += 1
                return
        half = len(records) // 2
        self.apply(records[:half], b"")
        self.apply(records[half:], last_hash)

    def _apply(self, records: Sequence[Record], last_hash: bytes, *, whole: bool) -> None:
        with self._transaction():
            for first in range(0, len(records), ROWS):
                part = records[first : first + ROWS]
                self._batch.fill(part)
                for statement in (KEEP_WHOLE,) if whole else statements({record.kind for record in part}):
                    self._batch.run(statement)
            last = [records[-1].seq, last_hash.hex()]
            self._connection.execute("UPDATE store_cursor SET seq = ?, hash = ?", last)
        self._batch.clear()

    def add(self, table: str, columns: Mapping[str, Sequence[object] | NDArray[Any]]) -> None:
        """Add rows that are in no journal: columns by name, `X_ns` (int64 ns since the epoch) for a time column X.

        Raises ValueError for a table or column that does not exist.
        """
        with self._judging():
            targets, sources = self._matched(table, columns)
            self._connection.register("sample", {name: _column(values) for name, values in columns.items()})
            self._connection.execute(f"INSERT INTO {table} ({targets}) SELECT {sources} FROM sample")

    def _matched(self, table: str, columns: Iterable[str]) -> tuple[str, str]:
        known = self.columns(table)
        targets: list[str] = []
        sources: list[str] = []
        for name in columns:
            time = name.removesuffix("_ns")
            if name in known:
                targets.append(f'"{name}"')
                sources.append(f'"{name}"')
            elif known.get(time) == _TIME:
                targets.append(f'"{time}"')
                sources.append(f'make_timestamp_ns("{name}")')
            else:
                raise ValueError(f"{table} has no column {name}; it has {', '.join(known)}")
        return ", ".join(targets), ", ".join(sources)

    def columns(self, table: str) -> dict[str, str]:
        """Names and types of a table's columns. Raises ValueError when there is no such table."""
        if table not in self._columns:
            found = self._connection.execute(
                "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ? ORDER BY column_index",
                [table],
            ).fetchall()
            if not found:
                raise ValueError(f"there is no table {table}")
            self._columns[table] = dict(found)
        return self._columns[table]

    def run(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run one statement of ours; gives its rows."""
        with self._judging():
            return self._connection.execute(statement, values).fetchall()

    def checkpoint(self) -> None:
        """Fold the log into the file."""
        self.run("CHECKPOINT")

    def copy_to(self, target: Path) -> None:
        """A copy of the file as of now, in place at once; a kill leaves one that is named `target` + UNFINISHED.
        Raises StoreFull where it would not leave the journal its room, OSError."""
        self.checkpoint()
        check_room(target.parent, os.fstat(self._descriptor).st_size)
        fresh = target.with_name(target.name + UNFINISHED)
        try:
            with fresh.open("wb") as file:
                os.fchmod(file.fileno(), 0o600)
                at = 0
                while data := os.pread(self._descriptor, _COPY_BYTES, at):
                    file.write(data)
                    at += len(data)
            fresh.replace(target)
        except BaseException:
            fresh.unlink(missing_ok=True)  # what filled the disk does not go on doing so
            raise

    @contextlib.contextmanager
    def transaction(self) -> Any:
        """Several calls of `run` and `add`, all or none."""
        with self._judging(), self._transaction():
            yield

    @contextlib.contextmanager
    def _transaction(self) -> Any:
        self._connection.execute("BEGIN")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(duckdb.Error):  # it is over already when the commit failed
                self._connection.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _judging(self) -> Any:
        try:
            yield
        except duckdb.Error as error:
            raise judged(error) from error

    def _rows(self, statement: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement).fetchall()


def schema() -> str:
    """The statements that make the tables."""
    return files("gambit.store").joinpath("schema.sql").read_text("utf-8")


def _connected(path: Path) -> duckdb.DuckDBPyConnection:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        connection = duckdb.connect(
            str(path),
            config={
                "threads": 1,  # more would take the loop's core
                "memory_limit": "128MB",  # it keeps what it has read and written up to this; that is most of what grows
                "checkpoint_threshold": f"{_CHECKPOINT_MB}MB",
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            },
        )
    except duckdb.Error as error:
        raise judged(error) from error
    path.chmod(0o600)
    return connection


def _is_of_a_record(error: duckdb.Error) -> bool:
    """Whether a rule stumbled over what it read, and the database itself is well."""
    return isinstance(
        error, duckdb.ConversionException | duckdb.ConstraintException | duckdb.OutOfRangeException
        | duckdb.InvalidInputException | duckdb.TypeMismatchException,
    )  # fmt: skip


def _column(values: Sequence[object] | NDArray[Any]) -> NDArray[Any]:
    if isinstance(values, np.ndarray):
        return values
    if values and any(isinstance(value, str) or value is None for value in values):
        array = np.empty(len(values), object)
        array[:] = values
        return array
    return np.asarray(values)
