"""`gambit query`: SQL on a copy of the database that the daemon hands out, in this process."""

import csv
import json
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gambit.cli import interrupts
from gambit.cli.daemon import config_of_readable
from gambit.cli.options import Failure, finite, utf8, with_config
from gambit.cli.paint import Paint, table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from gambit.config import Config

ROWS_AT_ONCE = 1000
TABLE_ROWS_MAX = 10_000  # aligning needs all rows; --csv and --json stream
SECONDS_MAX = 86_400.0
MEMORY_MB_MAX = 1 << 20


@click.command("query")
@click.argument("sql", metavar="SQL", callback=utf8)
@with_config
@click.option(
    "--max-age",
    default="5s",
    show_default=True,
    metavar="DURATION",
    callback=lambda ctx, param, text: seconds_of(ctx, param, text),
    help="How old the copy of the database may be.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0.001, SECONDS_MAX),
    callback=finite,
    default=60.0,
    show_default=True,
    help="Seconds it may run.",
)
@click.option(
    "--memory", type=click.IntRange(16, MEMORY_MB_MAX), default=1024, show_default=True, help="MiB it may use."
)
@click.option("--json", "form", flag_value="json", help="Print JSON, an object a line.")
@click.option("--csv", "form", flag_value="csv", help="Print CSV.")
def query(
    sql: str,
    config_path: Path | None,
    overrides: tuple[str, ...],
    max_age: float,
    timeout: float,
    memory: int,
    form: str | None,
) -> None:
    """Run SQL on the store: all tables of the daemon's database, and exported days of a table T as T_archive.

    The query runs here, on a consistent copy; the daemon does not feel it. While the daemon is down it runs on the
    database itself. It can write nothing and read no other file.
    """
    config = config_of_readable(config_path, overrides)
    with interrupts.heeded(), open_store(config, max_age, memory) as connection:
        from gambit.store.reading import QueryStopped, limited

        try:
            with limited(connection, timeout):
                print_rows(connection.execute(sql), form)
        except QueryStopped as error:
            raise Failure(f"gambit: {error}") from error


def seconds_of(ctx: click.Context, param: click.Parameter, text: str) -> float:
    """`5s`, `500ms`, `2m` or plain seconds, at most a day."""
    for unit, factor in (("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("", 1.0)):
        if text.endswith(unit):
            try:
                seconds = float(text.removesuffix(unit)) * factor
            except ValueError:
                continue
            if 0 <= seconds <= SECONDS_MAX:
                return seconds
    raise click.BadParameter(f"{text!r} is no duration such as 5s, 500ms or 2m", ctx, param)


@contextmanager
def open_store(config: "Config", max_age_sec: float, memory_mb: int = 1024) -> "Iterator[DuckDBPyConnection]":
    """A connection that reads the store as it was at most `max_age_sec` ago. Raises Failure with what DuckDB says."""
    import duckdb

    from gambit.runtime.keeping import store_folders
    from gambit.store.reading import reading

    path = database_file(config, max_age_sec)
    try:
        with reading(path, store_folders(config).exports, memory_mb=memory_mb) as connection:
            yield connection
    except duckdb.Error as error:
        raise Failure(f"gambit: {error}") from error


def database_file(config: "Config", max_age_sec: float) -> Path:
    """A copy that the daemon hands out, or the database itself while no daemon runs. Raises Failure."""
    from gambit.runtime.keeping import store_folders
    from gambit.surface.client import ControlError, NotRunning, call

    try:
        answer = call(socket_of(config), "snapshot", {"max_age_sec": max_age_sec}, 120.0)
        return Path(answer["path"])
    except NotRunning:
        path = store_folders(config).database
        if not path.exists():
            raise Failure(f"{path}: there is no database yet; `gambit run` makes one") from None
        return path
    except ControlError as error:
        raise Failure(f"gambit: {error}") from error


def socket_of(config: "Config") -> Path:
    """Where the daemon of this configuration listens."""
    from gambit.runtime.keeping import folder_of
    from gambit.runtime.process import control_socket

    return control_socket(config.daemon.control_socket, folder_of(config))


def print_rows(result: "DuckDBPyConnection | None", form: str | None) -> None:
    """Print what a statement gave: JSON lines, CSV, or aligned columns. Raises UsageError where there was none, of
    which DuckDB has no result."""
    if result is None:
        raise click.UsageError("SQL holds no statement")
    names = [column[0] for column in result.description or []]
    if form == "json":
        names = distinct(names)
        for row in rows_of(result):
            click.echo(json.dumps(dict(zip(names, map(plain, row), strict=True))))
    elif form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(map(text, row) for row in rows_of(result))
    else:
        shown = [[text(cell) for cell in row] for row in result.fetchmany(TABLE_ROWS_MAX)]
        head, *lines = table([names, *shown], left=len(names))
        click.echo("\n".join([Paint.for_stdout().strong(head), *lines]))
        if result.fetchone() is not None:
            click.echo(f"gambit: only the first {TABLE_ROWS_MAX} rows; --csv and --json give all", err=True)


def distinct(names: list[str]) -> list[str]:
    """The names with _2, _3, ... behind one that came before: an object has a key once, and no column is lost."""
    found: list[str] = []
    for name in names:
        free, number = name, 1
        while free in found:
            number += 1
            free = f"{name}_{number}"
        found.append(free)
    return found


def rows_of(result: "DuckDBPyConnection") -> Iterator[tuple[Any, ...]]:
    """All rows, some at a time."""
    while rows := result.fetchmany(ROWS_AT_ONCE):
        yield from rows


def plain(cell: Any) -> Any:
    """A value as JSON has it: numbers stay numbers, decimals and times become text, as do nan and inf, which JSON does
    not know."""
    if isinstance(cell, dict):
        return {str(key): plain(value) for key, value in cell.items()}
    if isinstance(cell, list | tuple):
        return [plain(value) for value in cell]
    if isinstance(cell, float) and not math.isfinite(cell):
        return text(cell)
    return cell if cell is None or isinstance(cell, bool | int | float | str) else text(cell)


def text(cell: Any) -> str:
    """A value as people read it."""
    if cell is None:
        return ""
    return cell.hex() if isinstance(cell, bytes) else str(cell)
