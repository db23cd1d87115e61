"""The store made again from the journal alone, and held against the one that is there, row by row."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import duckdb

from gambit.store.archive import kept_days, quoted
from gambit.store.database import Cursor, Database
from gambit.store.problem import judged
from gambit.store.projection import JOURNALLED, SAMPLED
from gambit.store.records import Ledger

RECORDS: Final = 8192


class Comparison(NamedTuple):
    """A table in both databases; the counts are of rows that only one of them has."""

    table: str
    rows: int
    only_there: int
    only_rebuilt: int
    first_seq: int | None  # of a row that only one has


def rebuild(ledger: Ledger, fresh: Path, up_to: int, told: Callable[[int, int], None]) -> Cursor:
    """Project the records of `ledger` up to `up_to` into a new file. Raises StoreError, and what reading raises."""
    first = ledger.first_seq
    with Database(fresh) as database:
        cursor = database.begin(ledger.journal_id, first)
        follower = ledger.follow(first - 1)
        try:
            while follower.seq < up_to:
                records = follower.read(min(RECORDS, up_to - follower.seq))
                if not records:
                    break
                database.apply(records, follower.hash)
                cursor = cursor._replace(seq=follower.seq, hash=follower.hash.hex())
                told(follower.seq - first + 1, up_to - first + 1)
        finally:
            follower.close()
        return cursor


def cursor_of(path: Path) -> Cursor | None:
    """The cursor of a database file that nobody writes; None when it has no tables yet, as after a kill in the first
    moments of its life. Raises StoreError."""
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            if not connection.execute("SELECT 1 FROM duckdb_tables()").fetchall():
                return None
            (row,) = connection.execute("SELECT journal_id, seq, hash, first_seq FROM store_cursor").fetchall()
    except duckdb.Error as error:
        raise judged(error) from error
    return Cursor(*row)


def compare(there: Path, rebuilt: Path, retention: Mapping[str, int]) -> list[Comparison]:
    """Hold every table that comes from the journal against its rebuilt self; both must be at the same record.

    Of a table that leaves by days only what both still have is compared. Raises StoreError.
    """
    leaving = kept_days(retention)
    try:
        with duckdb.connect(config={"threads": 2}) as connection:
            connection.execute(f"ATTACH {quoted(there)} AS there (READ_ONLY)")
            connection.execute(f"ATTACH {quoted(rebuilt)} AS rebuilt (READ_ONLY)")
            return [_compared(connection, table, is_leaving=table in leaving) for table in JOURNALLED]
    except duckdb.Error as error:
        raise judged(error) from error


def _compared(connection: duckdb.DuckDBPyConnection, table: str, *, is_leaving: bool) -> Comparison:
    ends = " UNION ALL ".join(f"SELECT min(seq) AS seq FROM {side}.{table}" for side in ("there", "rebuilt"))
    pick = "max" if is_leaving else "min"
    first = _value(connection, f"SELECT {pick}(seq) FROM ({ends})")
    if first is None:
        return Comparison(table, 0, 0, 0, None)
    # What both have was never older than the first record of either journal's picture.
    begun = _value(
        connection, "SELECT greatest(a.first_seq, b.first_seq) FROM there.store_cursor a, rebuilt.store_cursor b"
    )
    since = max(first, begun or first)
    sides = {side: f"(SELECT * FROM {side}.{table} WHERE seq >= {since})" for side in ("there", "rebuilt")}
    extra = {
        "there": f"({sides['there']} EXCEPT ALL {sides['rebuilt']})",
        "rebuilt": f"({sides['rebuilt']} EXCEPT ALL {sides['there']})",
    }
    counts = {side: _value(connection, f"SELECT count(*) FROM {rows}") or 0 for side, rows in extra.items()}
    wrong = " UNION ALL ".join(f"SELECT seq FROM {rows}" for rows in extra.values())
    return Comparison(
        table,
        _value(connection, f"SELECT count(*) FROM {sides['rebuilt']}") or 0,
        counts["there"],
        counts["rebuilt"],
        _value(connection, f"SELECT min(seq) FROM ({wrong})") if any(counts.values()) else None,
    )


def _value(connection: duckdb.DuckDBPyConnection, statement: str) -> int | None:
    row = connection.execute(statement).fetchone()
    return row[0] if row else None


def take_samples(there: Path, rebuilt: Path) -> None:
    """Copy the samples, which no journal has, from one database file into another. Raises StoreError."""
    try:
        with duckdb.connect(str(rebuilt), config={"threads": 1}) as connection:
            connection.execute(f"ATTACH {quoted(there)} AS there (READ_ONLY)")
            for table in SAMPLED:
                connection.execute(f"INSERT INTO {table} SELECT * FROM there.{table}")
            connection.execute("CHECKPOINT")
    except duckdb.Error as error:
        raise judged(error) from error
