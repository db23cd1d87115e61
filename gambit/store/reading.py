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

    Nothing can be written, no other file read, no setting changed. Raises duckdb.Error.
    """
    with duckdb.connect(str(path), read_only=True, config={"memory_limit": f"{memory_mb}MB"}) as connection:
        for table, files in archived(exports).items():
            connection.execute(
                f"CREATE TEMP VIEW {table}_archive AS "
                f"SELECT * FROM read_parquet({quoted(Path(files))}, union_by_name = true)"
            )
        folder = str(exports.resolve()).replace("'", "''")
        connection.execute(f"SET allowed_directories = ['{folder}']")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield connection


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
