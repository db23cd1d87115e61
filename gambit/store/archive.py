"""Old days leave the store as Parquet, one file a table and day, and only then are deleted.

A day that was exported before (a store made again has it once more) is merged with what is there, so that exporting
twice loses and doubles nothing. One that cannot be read is kept under another name, and its day is written anew.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

import duckdb

from gambit.store.database import Database
from gambit.store.problem import StoreError
from gambit.store.projection import DAY_OF

DAY_NS: Final = 86_400 * 10**9
_READING: Final[dict[str, str | bool | int | float | list[str]]] = {"threads": 1, "memory_limit": "128MB"}
DAYS_AT_ONCE: Final = 4  # a day may take seconds, and the journal is not followed meanwhile
# Days that a table is kept (product.md, "Tables"); what is not named is kept for good.
KEEP_DAYS: Final[Mapping[str, int]] = {
    "market_snapshots": 30, "order_book_snapshots": 7, "candles": 30, "ts_ingestion_lag": 30, "ts_order_latency": 90,
    "ts_arb_signal_throughput": 90, "ts_errors": 180, "ts_alerts": 365, "agent_status_log": 90,
    "pre_trade_checks_log": 60, "feed_event": 90,
}  # fmt: skip
# A table whose rows are changed later, or that proves that no record is missing, has no days to leave by.
KEPT: Final = frozenset({"alerts", "order_plan", "orders", "executions", "settlements", "dead_letters", "facts"})


def kept_days(configured: Mapping[str, int]) -> dict[str, int]:
    """Days to keep by table, the configured ones over the defaults. Raises ValueError for a table that has no days."""
    for table in configured:
        if table not in DAY_OF or table in KEPT:
            able = ", ".join(sorted(set(DAY_OF) - KEPT))
            raise ValueError(f"store.retention.{table}: no table that leaves by days; those that do: {able}")
    return {**KEEP_DAYS, **configured}


class Retired(NamedTuple):
    """What a round of housekeeping did, by table."""

    gone: dict[str, int]  # rows deleted; empty once none is too old
    failed: dict[str, str]  # what kept a table's old days in the database; all of their rows are still there


def retire(
    database: Database, folder: Path, keep: Mapping[str, int], now_ns: int, report: Callable[[str], None]
) -> Retired:
    """Export what is older than its table is kept, then delete it, some days of each table at a time. A table that
    cannot be exported keeps its rows, and the others leave. `report` hears of exports that cannot be read."""
    gone: dict[str, int] = {}
    failed: dict[str, str] = {}
    for table, days in keep.items():
        try:
            rows = _retired(database, folder, table, (now_ns // DAY_NS - days) * DAY_NS, report)
        except (StoreError, duckdb.Error, OSError) as error:
            failed[table] = str(error)
        else:
            if rows is not None:
                gone[table] = rows
    if gone:
        database.checkpoint()
    return Retired(gone, failed)


def _retired(database: Database, folder: Path, table: str, until_ns: int, report: Callable[[str], None]) -> int | None:
    """Rows of a table that left, None when none is old enough. Nothing is deleted unless all of it was exported."""
    column = DAY_OF[table]
    old = database.run(
        f"SELECT DISTINCT strftime({column}::DATE, '%Y-%m-%d') AS day FROM {table} "
        f"WHERE {column} < make_timestamp_ns(?) ORDER BY day LIMIT {DAYS_AT_ONCE}",
        [until_ns],
    )
    if not old:
        return None
    for (day,) in old:
        export_day(database.run, table, day, folder, report)
    ((rows,),) = database.run(f"DELETE FROM {table} WHERE {column}::DATE <= DATE '{old[-1][0]}'")
    return int(rows)


Run = Callable[..., list[tuple[object, ...]]]


def export_day(run: Run, table: str, day: str, folder: Path, report: Callable[[str], None]) -> Path:
    """Write a table's rows of a day (`YYYY-MM-DD`) to `folder/table/day=.../rows.parquet`; gives the file. What the
    file had before stays in it, or beside it (`.damaged`) where it cannot be read, which `report` hears. Raises
    StoreError or duckdb.Error, OSError."""
    target = folder / table / f"day={day}" / "rows.parquet"
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_suffix(".new")
    rows = f"SELECT * FROM {table} WHERE {DAY_OF[table]}::DATE = DATE '{day}'"
    if target.exists():
        _put_aside_unless_readable(target, report)
    if target.exists():
        rows = f"({rows}) UNION BY NAME (SELECT * FROM read_parquet({quoted(target)}, hive_partitioning = false))"
    run(f"COPY ({rows} ORDER BY {DAY_OF[table]}) TO {quoted(fresh)} (FORMAT parquet, COMPRESSION zstd)")
    for path in (fresh, target.parent):  # the rows may be deleted once this returns
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if path == fresh:
            fresh.replace(target)
    return target


def _put_aside_unless_readable(target: Path, report: Callable[[str], None]) -> None:
    """Read an exported file whole; one that is damaged gets another name. Raises OSError where the file cannot be had,
    duckdb.OutOfMemoryException: neither says anything about what is in it.

    It is read with a DuckDB of its own: an error of this file must not be blamed on the database that exports, nor
    end it (DuckDB gives up a database in which it stumbled over itself).
    """
    with target.open("rb") as file:
        file.read(1)
    try:
        with duckdb.connect(config=_READING) as connection:
            connection.execute(
                f"SELECT bit_xor(hash(COLUMNS(*))) FROM read_parquet({quoted(target)}, hive_partitioning = false)"
            ).fetchall()
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        aside = _free(target.with_name(target.name + ".damaged"))
        target.rename(aside)
        why = str(error).splitlines()[0]
        report(f"{target}: cannot be read ({why}); it is {aside.name} now, and the day is exported anew")


def _free(path: Path) -> Path:
    """This name, or the first one numbered after it that no file has."""
    return next(
        free
        for number in count(1)
        if not (free := path if number == 1 else path.with_name(f"{path.name}-{number}")).exists()
    )


def archived(folder: Path) -> dict[str, str]:
    """Tables that have exported days, and the pattern of their files."""
    with contextlib.suppress(FileNotFoundError):
        return {
            path.name: f"{path}/day=*/rows.parquet"
            for path in sorted(folder.iterdir())
            if path.name in DAY_OF and next(path.glob("day=*/rows.parquet"), None) is not None
        }
    return {}


def export(
    source: Path,
    table: str,
    since: str | None,
    folder: Path,
    told: Callable[[int, int], None],
    report: Callable[[str], None],
) -> Iterator[Path]:
    """Write a table of the database file `source` to Parquet, a file a day, from day `since` (`YYYY-MM-DD`) on.
    `told` hears how far it is, `report` of old files that cannot be read.

    Raises ValueError for a table without days, duckdb.Error, OSError.
    """
    if table not in DAY_OF:
        raise ValueError(f"no table {table} to export; there are {', '.join(sorted(DAY_OF))}")
    with duckdb.connect(str(source), read_only=True) as connection:
        days = connection.execute(
            f"SELECT DISTINCT strftime({DAY_OF[table]}::DATE, '%Y-%m-%d') AS day FROM {table} "
            "WHERE day >= ? ORDER BY day",
            [since or ""],
        ).fetchall()

        def run(statement: str) -> list[tuple[object, ...]]:
            return connection.execute(statement).fetchall()

        for done, (day,) in enumerate(days):
            told(done, len(days))
            yield export_day(run, table, day, folder, report)
        told(len(days), len(days))


def quoted(path: Path) -> str:
    """A path as SQL text."""
    return "'" + str(path).replace("'", "''") + "'"
