"""A database file gives no space back; one that is mostly free is copied at a start, before anybody uses it."""

from pathlib import Path
from typing import Final

import duckdb

from gambit.store.archive import quoted
from gambit.store.problem import judged

BYTES_MIN: Final = 64 << 20
FREE_SHARE: Final = 0.5


def is_worth_it(path: Path) -> bool:
    """Whether a file is large and mostly free. Raises StoreError."""
    if path.stat().st_size < BYTES_MIN:
        return False
    try:
        with duckdb.connect(str(path), config={"threads": 1}) as connection:
            ((total, free),) = connection.execute(
                "SELECT total_blocks, free_blocks FROM pragma_database_size()"
            ).fetchall()
    except duckdb.Error as error:
        raise judged(error) from error
    return bool(total and free / total >= FREE_SHARE)


def compact(path: Path) -> None:
    """Copy the live rows into a new file and put it in place. Raises StoreError, OSError."""
    fresh = path.with_name(path.name + ".compact")
    fresh.unlink(missing_ok=True)
    try:
        with duckdb.connect(config={"threads": 1}) as connection:
            connection.execute(f"ATTACH {quoted(path)} AS old")
            connection.execute(f"ATTACH {quoted(fresh)} AS new")
            connection.execute("COPY FROM DATABASE old TO new")
            connection.execute("CHECKPOINT new")
            connection.execute(
                "CHECKPOINT old"
            )  # its log is empty now, and must be: it would be taken for the new one's
            connection.execute("DETACH new")
            connection.execute("DETACH old")
    except duckdb.Error as error:
        raise judged(error) from error
    fresh.replace(path)
