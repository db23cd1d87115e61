"""`gambit verify` and `gambit rebuild`: what the journal proves, and the database made from it once more."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gambit.cli import interrupts
from gambit.cli.daemon import config_of_kept
from gambit.cli.options import Failure, with_config, with_json
from gambit.cli.paint import Paint, table
from gambit.cli.progress import Progress
from gambit.cli.query import database_file
from gambit.scratch import scratch

if TYPE_CHECKING:
    from gambit.config import Config
    from gambit.journal import Proof, WrittenJournal
    from gambit.store.rebuild import Comparison

FAILED = 1
LEFTOVERS = ".rebuild-"


@click.command("verify")
@with_config
@with_json
def verify(config_path: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Prove the journal: every record's hash, the chain, the signatures of the checkpoints, and that nothing is missing
    at the end. Exit code 1 names the first record that is wrong. The daemon may be running."""
    config = config_of_kept(config_path, overrides)
    begun = time.monotonic()
    with interrupts.heeded(), Progress.on_terminal(is_shared=False) as progress:
        journal = proved(config, progress)
    proof, seconds = journal.proof, time.monotonic() - begun
    if as_json:
        click.echo(json.dumps({**dict(told(proof)), "seconds": seconds}))
        return
    rate = proof.bytes / max(seconds, 1e-9) / 1e6
    lines = [
        f"{Paint.for_stdout().good('whole')}: records {proof.first_seq} to {proof.last_seq} in {proof.segments} "
        f"segments, {proof.bytes / 1e6:.1f} MB at {rate:.0f} MB/s",
        f"last hash {proof.last_hash}",
        f"{proof.checkpoints} signed checkpoints"
        + (f", the last after record {proof.checkpoint.seq}" if proof.checkpoint else ""),
    ]
    if proof.stored_seq is None:
        lines.append("no stored head: whether records are missing at the end cannot be told")
    if proof.torn is not None:
        lines.append(
            f"behind them {proof.torn.dropped} bytes of a record that is being written, or never was; "
            "the next start drops them"
        )
    click.echo("\n".join(lines))


def told(proof: "Proof") -> Iterator[tuple[str, object]]:
    """A proof as JSON has it."""
    for name in ("journal_id", "segments", "bytes", "first_seq", "last_seq", "last_hash", "checkpoints", "stored_seq"):
        yield name, getattr(proof, name)
    yield "torn_bytes", proof.torn.dropped if proof.torn else 0
    yield "state_hash", proof.checkpoint.state_hash if proof.checkpoint else None


def proved(config: "Config", progress: Progress) -> "WrittenJournal":
    """The journal, every record proved. Raises Failure."""
    from gambit.journal import JournalError, read_journal
    from gambit.runtime.keeping import journal_places

    at = journal_places(config)
    try:
        journal = read_journal(at, progress.update)
    except JournalError as error:
        raise Failure(str(error)) from error
    if journal is None:
        raise Failure(f"{at.folder}: there is no journal yet; `gambit run` makes one")
    return journal


@click.command("rebuild")
@with_config
@with_json
@click.option(
    "--replace", is_flag=True, help="Put the rebuilt database in place of the old one; the daemon must be down."
)
def rebuild(config_path: Path | None, overrides: tuple[str, ...], as_json: bool, replace: bool) -> int:
    """Make the database again from the journal alone and compare it with the one there is, row by row.

    Exit code 1 when a row differs. Samples (market snapshots, candles, time series) are in no journal; with --replace
    they are taken over from the old database.
    """
    config = config_of_kept(config_path, overrides)
    with interrupts.heeded(), Progress.on_terminal(is_shared=False) as progress:
        if replace:
            return replaced(config, progress)
        found = compared(config, progress)
    wrong = [one for one in found if one.only_there or one.only_rebuilt]
    if as_json:
        click.echo(json.dumps([one._asdict() for one in found]))
        return FAILED if wrong else 0
    rows = [
        [one.table, str(one.rows), str(one.only_there), str(one.only_rebuilt), str(one.first_seq or "")]
        for one in found
    ]
    head, *lines = table([["table", "rows", "only in the database", "only rebuilt", "first record"], *rows])
    paint = Paint.for_stdout()
    end = paint.bad(f"{len(wrong)} tables differ; --replace mends it") if wrong else paint.good("all rows agree")
    click.echo("\n".join([paint.strong(head), *lines, end]))
    return FAILED if wrong else 0


def compared(config: "Config", progress: Progress) -> "list[Comparison]":
    """Rebuild up to where the database is, beside it, and compare. Raises Failure."""
    from gambit.runtime.keeping import folder_of
    from gambit.store import StoreError
    from gambit.store import rebuild as rebuilding

    there = database_file(config, 0.0)
    with scratch(folder_of(config), LEFTOVERS) as folder:
        try:
            cursor = rebuilding.cursor_of(there)
            if cursor is None:
                raise Failure(f"{there}: there is no table in it yet; `gambit run`, or `gambit rebuild --replace`")
            journal = proved(config, progress)
            if cursor.journal_id != journal.proof.journal_id or cursor.seq > journal.synced:
                raise Failure(f"{there}: this database is no picture of this journal; `gambit rebuild --replace`")
            rebuilding.rebuild(journal, folder / "rebuilt.duckdb", cursor.seq, progress.update)
            return rebuilding.compare(there, folder / "rebuilt.duckdb", config.store.retention)
        except StoreError as error:
            raise Failure(f"{there}: {error}") from error


def replaced(config: "Config", progress: Progress) -> int:
    """Rebuild the whole journal and put it in place, samples taken over. Raises Failure."""
    from gambit.journal import JournalInUse
    from gambit.journal.journal import Lock
    from gambit.runtime.keeping import journal_places, store_folders
    from gambit.store import StoreError
    from gambit.store import rebuild as rebuilding

    database = store_folders(config).database
    try:
        lock = Lock(journal_places(config).folder)
    except JournalInUse as error:
        raise Failure(f"{error}; stop the daemon first: it mends its database itself when it must") from error
    try:
        journal = proved(config, progress)
        database.parent.mkdir(parents=True, exist_ok=True)
        with scratch(database.parent, LEFTOVERS) as folder:  # it may lie on another disk than the state directory
            fresh = folder / "rebuilt.duckdb"
            cursor = rebuilding.rebuild(journal, fresh, journal.synced, progress.update)
            notes = []
            if database.exists():
                try:
                    rebuilding.take_samples(database, fresh)
                except StoreError as error:
                    notes.append(f"its samples could not be taken over: {error}")
            aside = put_in_place(fresh, database)
            if aside is not None:
                notes.append(f"the old one is {aside}")
                if cursor.first_seq > 1:
                    notes.append(f"rows of records before {cursor.first_seq}, which are retired, are in that one only")
    finally:
        lock.release()
    click.echo("; ".join([f"{database}: made again from {cursor.seq - cursor.first_seq + 1} records", *notes]))
    return 0


def put_in_place(fresh: Path, database: Path) -> Path | None:
    """Put a database file in place of another; gives where that one is now, with its log, None when there was none.
    Raises OSError: the old one is in its place again then."""
    aside = database.with_name(f"{database.name}.replaced-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}")
    moved: list[tuple[Path, Path]] = []
    try:
        for ending in ("", ".wal"):
            old, kept = (path.with_name(path.name + ending) for path in (database, aside))
            if old.exists():
                old.replace(kept)
                moved.append((old, kept))
        fresh.replace(database)
    except BaseException:
        for old, kept in moved:
            kept.replace(old)
        raise
    database.with_name(database.name + ".mark").unlink(missing_ok=True)
    return aside if moved else None
