"""`gambit credentials`: the secrets in the vault. Values come from a prompt, stdin or a file, never from the command
line, where every process could read them."""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gambit.cli.daemon import NoDaemon, ask, place_of
from gambit.cli.options import Failure, with_config, with_json
from gambit.cli.paint import Paint, table

if TYPE_CHECKING:
    from gambit.vault import Vault

VENUE_PARTS = ("api_key", "secret", "passphrase")
WITH_PASSPHRASE = ("okx",)  # optional elsewhere
NS_A_DAY = 86_400_000_000_000
SHOWN = 3  # characters of a key at each end
PEM_END = "-----END"
VALUE_CHARS_MAX = 64 * 1024

Answer = TypeVar("Answer")

with_sources = click.option(
    "--from",
    "sources",
    multiple=True,
    metavar="PART=FILE",
    help="Read a part from a file, such as secret=key.pem; `-` is stdin. May be repeated.",
)


class Refused(Failure):
    """What cannot be kept: exit code 2."""

    exit_code = 2


@click.group("credentials")
def credentials() -> None:
    """The keys of your accounts and other secrets, encrypted in the state directory."""


@credentials.command("add")
@click.argument("name", metavar="VENUE|NAME")
@with_sources
@click.option("--note", default="", metavar="TEXT", help="A remark that `list` shows; no secret.")
@with_config
@with_json
def add(
    name: str, sources: tuple[str, ...], note: str, config_path: Path | None, overrides: tuple[str, ...], as_json: bool
) -> None:
    """Keep the keys of a venue (api_key, secret, passphrase), or one secret by its name, such as telegram/bot_token.

    What no --from names is asked for on the terminal, without echo.
    """
    _put(name, sources, note, config_path, overrides, as_json, is_new=True)


@credentials.command("rotate")
@click.argument("name", metavar="VENUE|NAME")
@with_sources
@click.option("--note", default="", metavar="TEXT", help="A remark that `list` shows; no secret.")
@with_config
@with_json
def rotate(
    name: str, sources: tuple[str, ...], note: str, config_path: Path | None, overrides: tuple[str, ...], as_json: bool
) -> None:
    """Put new values in the place of known ones; a running daemon takes them at once."""
    _put(name, sources, note, config_path, overrides, as_json, is_new=False)


@credentials.command("remove")
@click.argument("name", metavar="VENUE|NAME")
@with_config
@with_json
def remove(name: str, config_path: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Forget the keys of a venue, or one secret, with all versions."""
    vault = _vault(config_path, overrides)
    names = _known(vault, name)
    if not names:
        raise Refused(f"gambit: the vault has nothing of {name!r}; `gambit credentials list` shows what it has")
    _guarded(lambda: vault.remove(*names, by=f"uid {os.getuid()}"))
    _say({"removed": names}, f"removed {', '.join(names)}", config_path, overrides, as_json, of=name)


@credentials.command("list")
@with_config
@with_json
def list_credentials(config_path: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """List what the vault has: name, the key masked, version, age, and when it is due for a change."""
    vault = _vault(config_path, overrides)
    rows = _guarded(lambda: [_row(vault, name) for name in vault.names()])
    if as_json:
        click.echo(json.dumps(rows))
        return
    if not rows:
        click.echo("the vault is empty; `gambit credentials add VENUE` keeps an account's keys")
        return
    head, *lines = table(
        [
            ["name", "value", "version", "age", "due", "note"],
            *(
                [row["name"], row["masked"], str(row["version"]), f"{row['age_days']} d", row["due"], row["note"]]
                for row in rows
            ),
        ],
        left=6,
    )
    click.echo("\n".join([Paint.for_stdout().strong(head), *lines]))


@credentials.command("rewrap")
@click.option(
    "--to", "target", type=click.Path(path_type=Path), required=True, metavar="FILE", help="The new key file."
)
@click.option("--passphrase", "is_passphrase", is_flag=True, help="FILE has a passphrase, not a key.")
@with_config
@with_json
def rewrap(
    target: Path, is_passphrase: bool, config_path: Path | None, overrides: tuple[str, ...], as_json: bool
) -> None:
    """Seal the vault by another master key; the old one opens it no more.

    The next start needs the new one: GAMBIT_MASTER_KEY_FILE or GAMBIT_PASSPHRASE_FILE, or the file in its place.
    """
    from gambit.vault import Master
    from gambit.vault.master import key_in, passphrase_in

    vault = _vault(config_path, overrides)

    def seal_anew() -> None:
        if is_passphrase:
            vault.rewrap(Master(str(target), passphrase=passphrase_in(target)))
        else:
            vault.rewrap(Master(str(target), key=key_in(target)))

    _guarded(seal_anew)
    _say({"rewrapped": str(target)}, f"sealed by {target}", config_path, overrides, as_json)


@credentials.command("retry")
@click.argument("venue", required=False)
@with_config
@with_json
def retry(venue: str | None, config_path: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Have a running daemon read its keys again and try the accounts that refused them."""
    answer = ask(place_of(config_path, overrides), "credentials.reload", venue=venue)
    click.echo(json.dumps(answer) if as_json else f"tried again: {', '.join(answer['tried']) or 'nothing was held'}")


# ---- the parts ----


def _put(
    name: str,
    sources: tuple[str, ...],
    note: str,
    config_path: Path | None,
    overrides: tuple[str, ...],
    as_json: bool,
    *,
    is_new: bool,
) -> None:
    vault = _vault(config_path, overrides)
    known = _known(vault, name)
    if is_new and known:
        raise Refused(
            f"gambit: the vault has {', '.join(known)} already; `gambit credentials rotate {name}` changes it"
        )
    if not is_new and not known:
        raise Refused(f"gambit: the vault has nothing of {name!r} yet; `gambit credentials add {name}` keeps it")
    files = dict(_source(text) for text in sources)
    parts = _parts(name, known, files)
    values = {part: _value(part, files.get(part.rpartition("/")[2])) for part in parts}
    values = {part: value for part, value in values.items() if value}
    _check(name, {part.rpartition("/")[2]: value for part, value in values.items()})
    given = _guarded(
        lambda: vault.put_all({p: v.encode() for p, v in values.items()}, note=note, by=f"uid {os.getuid()}")
    )
    told = ", ".join(f"{part} (version {version})" for part, version in given.items())
    _say({"kept": given}, f"kept {told}", config_path, overrides, as_json, of=name)


def _source(text: str) -> tuple[str, str]:
    part, equals, path = text.partition("=")
    if not equals or not path:
        raise click.UsageError("--from wants PART=FILE; a value has no place on the command line")
    return part, path


def _parts(name: str, known: list[str], files: dict[str, str]) -> list[str]:
    """The full names of what is put."""
    if "/" in name:
        parts = [name]
    elif known:
        parts = known
    else:
        wanted = ["api_key", "secret"]
        if name in WITH_PASSPHRASE or "passphrase" in files:
            wanted.append("passphrase")
        parts = [f"{name}/{part}" for part in wanted]
    for part in files:
        if f"{name}/{part}" not in parts and name.rpartition("/")[2] != part:
            raise click.UsageError(f"--from {part}: {name} has {', '.join(each.rpartition('/')[2] for each in parts)}")
    return parts


def _value(name: str, source: str | None) -> str:
    """From a file or stdin, else from the terminal; a key in several lines ends with its last line."""
    if source == "-":
        return _text(name, sys.stdin.read(VALUE_CHARS_MAX + 1))
    if source is not None:
        try:
            return _text(name, Path(source).expanduser().read_text())
        except UnicodeDecodeError as error:
            raise Refused(f"gambit: {source}: not a text in UTF-8") from error
    if not sys.stdin.isatty():
        raise click.UsageError(f"{name}: no terminal to ask on; --from {name.rpartition('/')[2]}=FILE, or =- for stdin")
    first: str = click.prompt(name, hide_input=True, default="", show_default=False, err=True)
    lines = [first]
    while lines[0].startswith("-----BEGIN") and not lines[-1].startswith(PEM_END):
        lines.append(click.prompt("", prompt_suffix="", hide_input=True, default="", show_default=False, err=True))
    return _text(name, "\n".join(lines))


def _text(name: str, text: str) -> str:
    if len(text) > VALUE_CHARS_MAX:
        raise Refused(f"gambit: {name}: longer than {VALUE_CHARS_MAX} characters; not a secret")
    value = text.strip()
    if not value:
        raise Refused(f"gambit: {name}: empty; nothing was kept")
    return value


def _check(venue: str, parts: dict[str, str]) -> None:
    """Keys that cannot sign are refused before they are kept."""
    from gambit.bootstrap.credentials import CredentialError, check
    from gambit.venues.orders import Keys

    if "secret" not in parts or "api_key" not in parts:
        return
    try:
        check(venue, Keys(key=parts["api_key"], secret=parts["secret"], passphrase=parts.get("passphrase", "")))
    except CredentialError as error:
        raise Refused(f"gambit: {error}; nothing was kept") from error


def _known(vault: "Vault", name: str) -> list[str]:
    """What the vault has of a venue, or the one secret of this name."""
    if "/" in name:
        return [name] if name in vault.names() else []
    return [full for part in VENUE_PARTS if (full := f"{name}/{part}") in vault.names()]


def _row(vault: "Vault", name: str) -> dict[str, Any]:
    from gambit.model import rfc3339
    from gambit.vault import rotation_days

    about, now_ns = vault.about(name), time.time_ns()
    age_days = (now_ns - about.rotated_ns) // NS_A_DAY
    days = rotation_days(name)
    due = "" if days is None else _due(about.rotated_ns + days[0] * NS_A_DAY, about.rotated_ns + days[1] * NS_A_DAY)
    return {
        "cred_id": name,
        "venue": name.partition("/")[0] if name.partition("/")[2] in VENUE_PARTS else None,
        "name": name,
        "masked": masked(name, vault.get(name).decode(errors="replace")),
        "version": about.version,
        "created_at": rfc3339(about.created_ns),
        "rotated_at": rfc3339(about.rotated_ns),
        "created_ns": about.created_ns,
        "rotated_ns": about.rotated_ns,
        "age_days": age_days,
        "due": due,
        "note": about.note,
    }


def _due(due_ns: int, over_ns: int) -> str:
    day = time.strftime("%Y-%m-%d", time.gmtime(due_ns / 1e9))
    now_ns = time.time_ns()
    return f"{day} (overdue)" if now_ns >= over_ns else f"{day} (due)" if now_ns >= due_ns else day


def masked(name: str, value: str) -> str:
    """A key's ends; nothing of a secret."""
    if not name.endswith("/api_key") or len(value) < 4 * SHOWN:
        return "***"
    return f"{value[:SHOWN]}…{value[-SHOWN:]}"


def _vault(config_path: Path | None, overrides: tuple[str, ...]) -> "Vault":
    """The vault of the configuration's state directory, which is made when there is none."""
    from gambit.runtime.process import ProcessError, prepare_state_dir
    from gambit.vault import Vault

    state = place_of(config_path, overrides).state
    try:
        prepare_state_dir(state)
    except ProcessError as error:
        raise Failure(f"gambit: {error}") from error
    return _guarded(
        lambda: Vault.open(
            state, os.environ, time.time_ns, ask=passphrase_prompt(), tell=lambda text: click.echo(text, err=True)
        )
    )


def passphrase_prompt() -> Callable[[], str] | None:
    """Asks for the vault's passphrase on a terminal; None without one."""
    if not sys.stdin.isatty():
        return None
    return lambda: str(click.prompt("passphrase of the vault", hide_input=True, err=True))


def _guarded(do: Callable[[], Answer]) -> Answer:
    """What is wrong with the vault is a message and exit code 2."""
    from gambit.vault import VaultError

    try:
        return do()
    except VaultError as error:
        raise Refused(f"gambit: {error}") from error


def _say(
    answer: dict[str, object],
    text: str,
    config_path: Path | None,
    overrides: tuple[str, ...],
    as_json: bool,
    *,
    of: str = "",
) -> None:
    """And have a running daemon look at the secret, where it is `of` a venue or has a name."""
    place, venue = place_of(config_path, overrides), of.partition("/")[0]
    tried: list[str] = []
    with contextlib.suppress(NoDaemon):
        tried = ask(place, "credentials.reload", venue=venue)["tried"] if venue else []
    if tried:
        text += f"; the daemon tries {', '.join(tried)} again"
    click.echo(json.dumps({**answer, "tried": tried}) if as_json else text)
