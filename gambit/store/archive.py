"""Old days leave the store as Parquet, one file a table and day, and only then are deleted.

A day that was exported before (a store made again has it once more) is merged with what is there, so that exporting
twice loses and doubles nothing.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import duckdb

from gambit.store.database import Database
from gambit.store.projection import DAY_OF

DAY_NS: Final = 86_400 * 10**9
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


def retire(database: Database, folder: Path, keep: Mapping[str, int], now_ns: int) -> dict[str, int]:
    """Export what is older than its table is kept, then delete it, some days of each table at a time; gives rows
    deleted by table, nothing once all are gone. Raises StoreError, OSError."""
    gone: dict[str, int] = {}
    for table, days in keep.items():
        column = DAY_OF[table]
        old = database.run(
            f"SELECT DISTINCT strftime({column}::DATE, '%Y-%m-%d') AS day FROM {table} "
            f"WHERE {column} < make_timestamp_ns(?) ORDER BY day LIMIT {DAYS_AT_ONCE}",
            [(now_ns // DAY_NS - days) * DAY_NS],
        )
        for (day,) in old:
            export_day(database.run, table, day, folder)
        if old:
            ((rows,),) = database.run(f"DELETE FROM {table} WHERE {column}::DATE <= DATE '{old[-1][0]}'")
            gone[table] = rows
    if gone:
        database.checkpoint()
    return gone


Run = Callable[..., list[tuple[object, ...]]]


def export_day(run: Run, table: str, day: str, folder: Path) -> Path:
    """Write a table's rows of a day (`YYYY-MM-DD`) to `folder/table/day=.../rows.parquet`; gives the file. What the
    file had before stays in it. Raises StoreError or duckdb.Error, OSError."""
    target = folder / table / f"day={day}" / "rows.parquet"
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_suffix(".new")
    rows = f"SELECT * FROM {table} WHERE {DAY_OF[table]}::DATE = DATE '{day}'"
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
    source: Path, table: str, since: str | None, folder: Path, told: Callable[[int, int], None]
) -> Iterator[Path]:
    """Write a table of the database file `source` to Parquet, a file a day, from day `since` (`YYYY-MM-DD`) on.

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
            yield export_day(run, table, day, folder)
        told(len(days), len(days))


def quoted(path: Path) -> str:
    """A path as SQL text."""
    return "'" + str(path).replace("'", "''") + "'"
