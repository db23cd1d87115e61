"""`gambit dlq`: what could not be used, as it came."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gambit.cli import interrupts
from gambit.cli.daemon import config_of_readable
from gambit.cli.options import Failure, utf8, with_config, with_json
from gambit.cli.paint import Paint, table
from gambit.cli.query import open_store, plain, socket_of, text

if TYPE_CHECKING:
    from gambit.config import Config

NOT_RUNNING = 3
MAX_AGE_SEC = 1.0
LIST = """
SELECT letter_id, recv_at, topic, venue, conn, reason, octet_length(raw) AS bytes FROM dead_letters
WHERE purged_at IS NULL AND venue = coalesce($venue, venue) AND topic = coalesce($topic, topic)
ORDER BY letter_id DESC LIMIT $limit
"""
SHOW = "SELECT letter_id, recv_at, topic, venue, conn, reason, purged_at, purged_by, raw FROM dead_letters"


@click.group("dlq")
def dead_letters() -> None:
    """Dead letters: frames and answers that could not be used, with the reason and their bytes."""


@dead_letters.command("list")
@with_config
@with_json
@click.option("--venue", metavar="V", callback=utf8, help="Only of this venue.")
@click.option(
    "--topic", metavar="T", callback=utf8, help="Only what would have become this, such as market.normalized."
)
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=100, show_default=True, help="How many at most.")
def list_letters(
    config_path: Path | None,
    overrides: tuple[str, ...],
    as_json: bool,
    venue: str | None,
    topic: str | None,
    limit: int,
) -> None:
    """List dead letters, newest first."""
    found = _rows(config_path, overrides, LIST, {"venue": venue, "topic": topic, "limit": limit})
    if as_json:
        click.echo(json.dumps([{name: plain(cell) for name, cell in letter.items()} for letter in found]))
        return
    if not found:
        click.echo("no dead letters")
        return
    head, *lines = table([list(found[0]), *([text(cell) for cell in letter.values()] for letter in found)], left=6)
    click.echo("\n".join([Paint.for_stdout().strong(head), *lines]))


@dead_letters.command("show")
@click.argument("letter_id", type=int, metavar="ID")
@with_config
@with_json
@click.option("--raw", "as_raw", is_flag=True, help="Write the bytes as they came, and nothing else.")
def show_letter(
    letter_id: int, config_path: Path | None, overrides: tuple[str, ...], as_json: bool, as_raw: bool
) -> None:
    """Show one dead letter whole."""
    found = _rows(config_path, overrides, f"{SHOW} WHERE letter_id = $id", {"id": letter_id})
    if not found:
        raise Failure(f"gambit: there is no dead letter {letter_id}; `gambit dlq list` names those there are")
    letter = found[0]
    raw: bytes = letter["raw"] or b""
    if as_raw:
        sys.stdout.flush()
        sys.stdout.buffer.write(raw)
        return
    if as_json:
        click.echo(json.dumps({name: plain(cell) for name, cell in letter.items()}))  # raw in hex
        return
    del letter["raw"]
    lines = [f"{name}: {text(cell)}" for name, cell in letter.items() if cell is not None]
    click.echo("\n".join([*lines, "", raw.decode("utf-8", "backslashreplace")]))


def _rows(
    config_path: Path | None, overrides: tuple[str, ...], sql: str, values: dict[str, object]
) -> list[dict[str, Any]]:
    config = config_of_readable(config_path, overrides)
    with interrupts.heeded(), open_store(config, MAX_AGE_SEC) as connection:
        result = connection.execute(sql, values)
        names = [column[0] for column in result.description or []]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


@dead_letters.command("requeue")
@click.argument("letter_ids", type=int, nargs=-1, metavar="ID...")
@click.option("--all", "is_all", is_flag=True, help="Every one there is.")
@with_config
@with_json
def requeue(
    letter_ids: tuple[int, ...], is_all: bool, config_path: Path | None, overrides: tuple[str, ...], as_json: bool
) -> int:
    """Give dead letters to the daemon once more, as if they had just come."""
    return _asked("dlq.requeue", config_of_readable(config_path, overrides), letter_ids, is_all, as_json)


@dead_letters.command("purge")
@click.argument("letter_ids", type=int, nargs=-1, metavar="ID...")
@click.option("--all", "is_all", is_flag=True, help="Every one there is.")
@with_config
@with_json
def purge(
    letter_ids: tuple[int, ...], is_all: bool, config_path: Path | None, overrides: tuple[str, ...], as_json: bool
) -> int:
    """Throw dead letters away; who did it is written down."""
    return _asked("dlq.purge", config_of_readable(config_path, overrides), letter_ids, is_all, as_json)


def _asked(method: str, config: "Config", letter_ids: tuple[int, ...], is_all: bool, as_json: bool) -> int:
    from gambit.surface.client import ControlError, NotRunning, call

    if is_all == bool(letter_ids):
        raise click.UsageError("name the dead letters, or say --all")
    with interrupts.heeded():
        try:
            answer = call(socket_of(config), method, {"letter_ids": letter_ids, "all": is_all}, 60.0)
        except NotRunning as error:
            click.echo(f"gambit: {error}", err=True)
            return NOT_RUNNING
        except ControlError as error:
            raise Failure(f"gambit: {error}") from error
    if as_json:
        click.echo(json.dumps(answer))
    else:
        click.echo(f"{len(answer['done'])} dead letters {'requeued' if method == 'dlq.requeue' else 'purged'}")
        for letter_id, why in answer["failed"].items():
            click.echo(f"{letter_id}: {why}", err=True)
    return 1 if answer["failed"] else 0
