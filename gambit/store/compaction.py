"""A database file gives no space back; one that is mostly free is copied at a start, before anybody uses it."""

from pathlib import Path
from typing import Final

import duckdb

from gambit.store.archive import quoted
from gambit.store.problem import judged
from gambit.store.room import check_room

BYTES_MIN: Final = 64 << 20
FREE_SHARE: Final = 0.5


def worth_bytes(path: Path) -> int:
    """How much a large file that is mostly free would have left; 0 for any other. Raises StoreError."""
    if path.stat().st_size < BYTES_MIN:
        return 0
    try:
        with duckdb.connect(str(path), config={"threads": 1}) as connection:
            ((block, total, free),) = connection.execute(
                "SELECT block_size, total_blocks, free_blocks FROM pragma_database_size()"
            ).fetchall()
    except duckdb.Error as error:
        raise judged(error) from error
    return int(block * (total - free)) if total and free / total >= FREE_SHARE else 0


def compact(path: Path) -> None:
    """Make a file smaller where that is worth it: its live rows go into a new one, which is put in its place. Raises
    StoreError (StoreFull where there is no room for both), OSError; the file is as it was then, and alone."""
    bytes_due = worth_bytes(path)
    if not bytes_due:
        return
    fresh = path.with_name(path.name + ".compact")
    _remove(fresh)  # what a kill left
    check_room(path.parent, bytes_due)
    try:
        _copy(path, fresh)
        fresh.replace(path)
    except BaseException:
        _remove(fresh)  # what filled the disk does not go on doing so
        raise


def _copy(path: Path, fresh: Path) -> None:
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


def _remove(fresh: Path) -> None:
    for file in (fresh, fresh.with_name(fresh.name + ".wal")):
        file.unlink(missing_ok=True)
