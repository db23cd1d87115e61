"""SQL for operators: on a copy of the database, in their own process, able to read the store and nothing else."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb

from gambit.store.archive import archived, quoted

MEMORY_MB: Final = 1024
SECONDS: Final = 60.0


class QueryStopped(Exception):
    """A query ran longer than it may."""


@contextmanager
def reading(path: Path, exports: Path, *, memory_mb: int = MEMORY_MB) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that reads the database file `path`; exported days of a table T are the view T_archive.

    Nothing can be written, no other file read, no setting changed. Raises duckdb.Error; of an exported file that cannot
    be read only who asks for its view hears.
    """
    with duckdb.connect(str(path), read_only=True, config={"memory_limit": f"{memory_mb}MB"}) as connection:
        for table, files in archived(exports).items():
            _see(connection, table, files)
        folder = str(exports.resolve()).replace("'", "''")
        connection.execute(f"SET allowed_directories = ['{folder}']")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield connection


def _see(connection: duckdb.DuckDBPyConnection, table: str, files: str) -> None:
    view = f"CREATE TEMP VIEW {table}_archive AS SELECT"
    try:
        connection.execute(f"{view} * FROM read_parquet({quoted(Path(files))}, union_by_name = true)")
    except duckdb.Error as error:
        why = str(error).splitlines()[0].replace("'", "''")
        problem = f"error('the exported days of {table} cannot be read: {why}')"
        # The table's columns, and a condition before them: no question to it, not even for a count, goes without.
        connection.execute(f"{view} {table}.* FROM (SELECT 1 WHERE {problem} IS NULL) LEFT JOIN {table} ON true")


@contextmanager
def limited(connection: duckdb.DuckDBPyConnection, seconds: float = SECONDS) -> Iterator[None]:
    """Interrupt what runs inside after some seconds. Raises QueryStopped then."""
    timer = threading.Timer(seconds, connection.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    except duckdb.InterruptException as error:
        raise QueryStopped(f"stopped after {seconds:g} s; --timeout allows more") from error
    finally:
        timer.cancel()
        timer.join()  # a thread that is left when the interpreter goes can abort the process
