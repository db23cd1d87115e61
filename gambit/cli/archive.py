"""`gambit export`, `gambit backup` and `gambit restore`: what leaves the state directory, and what comes back."""

import re
import time
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gambit.cli import interrupts
from gambit.cli.daemon import config_of_kept, config_of_readable
from gambit.cli.options import Failure, load_config, seconds_of, with_config
from gambit.cli.progress import Progress
from gambit.cli.query import database_file, socket_of

if TYPE_CHECKING:
    from gambit.config import Config

BACKUP_TIMEOUT_SEC = 3600.0


def day_of(ctx: click.Context, param: click.Parameter, text: str | None) -> str | None:
    """`YYYY-MM-DD`, the day of an RFC 3339 time or of a duration ago such as 7d, or None."""
    if text is None:
        return None
    if re.match(r"\d{4}-\d\d-\d\d(T|$)", text):
        with suppress(ValueError):
            return date.fromisoformat(text[:10]).isoformat()
    with suppress(click.BadParameter):
        ago_sec = seconds_of(ctx, param, text if text[-1:].isalpha() else "no unit") or 0.0
        return datetime.fromtimestamp(time.time() - ago_sec, UTC).date().isoformat()
    raise click.BadParameter(f"{text!r} is no day such as 2026-05-28", ctx, param)


@click.command("export")
@with_config
@click.option("--table", required=True, metavar="T", help="Table to export.")
@click.option("--since", callback=day_of, metavar="DAY", help="First day, as 2026-05-28 or 7d; else the oldest.")
@click.option(
    "-o", "--output", required=True, type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
    help="Folder for the files, DIR/T/day=YYYY-MM-DD/rows.parquet; days that are there already are merged.",
)  # fmt: skip
def export(config_path: Path | None, overrides: tuple[str, ...], table: str, since: str | None, output: Path) -> None:
    """Write a table to Parquet files, one a day."""
    import duckdb

    from gambit.store.archive import export as export_days

    config = config_of_readable(config_path, overrides)
    with interrupts.heeded(), Progress.on_terminal(is_shared=True) as progress:
        source = database_file(config, 0.0)

        def report(text: str) -> None:
            progress.clear()
            click.echo(text, err=True)

        try:
            for path in export_days(source, table, since, output, progress.update, report):
                progress.clear()
                click.echo(path)
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        except duckdb.Error as error:
            raise Failure(f"{source}: {error}") from error


@click.command("backup")
@with_config
@click.option(
    "-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="File to write; it must not exist.",
)  # fmt: skip
def backup(config_path: Path | None, overrides: tuple[str, ...], output: Path) -> None:
    """Write journal, keys, database and exported days into one file; the daemon may be running.

    The file holds the journal's private key: keep it as you keep the state directory.
    """
    from gambit.runtime.keeping import folder_of
    from gambit.surface.client import ControlError, NotRunning, call

    config = config_of_kept(config_path, overrides)
    if output.exists():
        raise click.UsageError(f"{output} exists already; a backup replaces nothing")
    with interrupts.heeded():
        try:
            call(socket_of(config), "backup", {"path": str(output.absolute())}, BACKUP_TIMEOUT_SEC)
        except NotRunning:
            backup_at_rest(config, output)
        except ControlError as error:
            raise Failure(f"gambit: {error}") from error
    if not output.exists():
        raise Failure(
            f"gambit: the daemon wrote {output}, but it is not to be seen here: it runs with a file system of its own "
            f"(PrivateTmp, say); name a place in its state directory, {folder_of(config)}"
        )
    click.echo(f"{output}: {output.stat().st_size / 1e6:.1f} MB")


def backup_at_rest(config: "Config", output: Path) -> None:
    """Write a backup while no daemon runs, and keep it from starting meanwhile. Raises Failure."""
    from gambit.journal import JournalInUse
    from gambit.journal.journal import Lock
    from gambit.runtime.backup import BackupError, write_backup
    from gambit.runtime.keeping import folder_of, journal_places, sources, store_folders
    from gambit.store import StoreError
    from gambit.store.database import Database

    at, database = journal_places(config), store_folders(config).database
    if not at.key.exists() and not database.exists():
        raise Failure(f"{folder_of(config)}: there is nothing to back up")
    try:
        lock = Lock(at.folder)
    except JournalInUse as error:
        raise Failure(f"gambit: {error}, but does not answer; is it starting or stopping?") from error
    try:
        if database.exists():
            with Database(database) as opened:
                opened.checkpoint()  # nothing may be left in the log beside it
        write_backup(sources(config, database), output)
    except (BackupError, StoreError) as error:
        raise Failure(str(error)) from error
    finally:
        lock.release()


@click.command("restore")
@click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE")
@with_config
def restore(source: Path, config_path: Path | None, overrides: tuple[str, ...]) -> None:
    """Put a backup into the state directory, which must hold no journal and no database.

    Before anything is put in place the backup is proved: its list of hashes, the journal's chain and signatures, and
    that the database is a picture of the journal. What came after it is unknown, so trading is HALTED afterwards.
    """
    from gambit.runtime.backup import BackupError, restore_backup
    from gambit.runtime.clock import SystemClock
    from gambit.runtime.keeping import folder_of, journal_places, store_folders
    from gambit.runtime.process import AlreadyRunning

    config = load_config(config_path, overrides).config
    with interrupts.heeded():
        try:
            copies = journal_places(config).heads[1:]
            restored = restore_backup(
                source, folder_of(config), store_folders(config).database, SystemClock().now_ns(), copies
            )
        except BackupError as error:
            raise Failure(str(error)) from error
        except AlreadyRunning as error:
            who = f"process {error.pid}" if error.pid else "another process"
            raise Failure(
                f"gambit: {folder_of(config)}: {who} works there, a daemon or another restore; nothing was put in place"
            ) from error
    last = restored.proof.last_seq if restored.proof else 0
    click.echo(
        f"{folder_of(config)}: {restored.files} files, journal whole up to record {last}, "
        f"database up to record {restored.database_seq}; trading is HALTED until `gambit resume`"
    )
