"""`gambit user`: who may come in by the network doors. Works on the running daemon, or on its files while none runs."""

import asyncio
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from gambit.cli.daemon import NoDaemon, Place, ask, place_of_running
from gambit.cli.options import Failure, load_config, with_config, with_json
from gambit.cli.paint import Paint, table
from gambit.surface import quantities

PATIENCE_SEC = 5.0  # another `gambit user` is done within a moment; it hashes a password
ROLES = ("viewer", "trader", "admin")


@click.group("user")
def users() -> None:
    """Users of dashboard, API and bot: add, invite, list, role, disable, enable, passwd, link,
    link-telegram, rotate-keys."""


def _asked(method: str, config_path: Path | None, overrides: tuple[str, ...], **params: Any) -> Any:
    """The daemon's answer; with no daemon the same is done on its files, under its lock."""
    from gambit.runtime.blame import blamed_on
    from gambit.runtime.process import ProcessError, holder, prepare_state_dir

    place = place_of_running(config_path, overrides)
    try:
        prepare_state_dir(place.state)
        if holder(place.state) is not None:
            with suppress(NoDaemon):  # who holds it may be another `gambit user`, which is done in a moment
                return ask(place, method, 10.0, **params)
        with blamed_on(place.state):
            return asyncio.run(_by_itself(place, method, params))
    except ProcessError as error:
        raise Failure(f"gambit: {error}") from error


async def _by_itself(place: Place, method: str, params: dict[str, Any]) -> Any:
    import time

    import msgspec

    from gambit.access.permissions import RULES
    from gambit.access.statefile import StateFileError
    from gambit.bootstrap.access import build_access, noted_for_later
    from gambit.bootstrap.people import people_handlers
    from gambit.runtime.process import AlreadyRunning, InstanceLock
    from gambit.surface.control import Caller
    from gambit.surface.methods import PARAMS
    from gambit.surface.rpc import RpcError
    from gambit.vault import VaultError

    lock = InstanceLock(place.state, "user")
    try:
        lock.acquire(PATIENCE_SEC)
    except AlreadyRunning as error:
        who = f"process {error.pid}" if error.pid else "another process"
        told = f"gambit: {place.state}: {who} works there, a daemon that starts or another command; try again"
        raise NoDaemon(told) from error
    try:
        access = build_access(
            place.state, os.environ, time.time_ns, None, lambda text: click.echo(f"gambit: {text}", err=True)
        )
        await access.book.open()
        caller = Caller(os.getuid(), os.getpid())
        handler = people_handlers(lambda: access, lambda *_: None)[method]
        given = {name: value for name, value in params.items() if value is not None}
        answer: Any = await handler(msgspec.convert(given, PARAMS[method]), caller)  # type: ignore[misc]
        if RULES[method].is_privileged:
            await noted_for_later(access, caller, method, str(params.get("user") or params.get("email") or ""))
        return answer
    except (RpcError, VaultError, StateFileError, ValueError, KeyError) as error:
        raise Failure(f"gambit: {error}") from error
    finally:
        lock.release()


def _password(from_stdin: bool) -> str:
    """Typed twice, or one line of the standard input."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    if not sys.stdin.isatty():
        raise click.UsageError("password: no terminal to ask on; --password-stdin reads it from the standard input")
    text: str = click.prompt("password", hide_input=True, confirmation_prompt=True)
    return text


def _show(row: Any, *, as_json: bool, text: str) -> None:
    click.echo(json.dumps(row) if as_json else text)


with_stdin = click.option("--password-stdin", is_flag=True, help="Read the password from the standard input.")


@users.command("add")
@click.argument("email")
@click.option("--role", type=click.Choice(ROLES), default="viewer", show_default=True, help="What they may.")
@with_stdin
@with_config
@with_json
def add(
    email: str, role: str, password_stdin: bool, config_path: Path | None, overrides: tuple[str, ...], as_json: bool
) -> None:
    """Make a user; the first admin is made so."""
    row = _asked("user.add", config_path, overrides, email=email, password=_password(password_stdin), role=role)
    _show(row, as_json=as_json, text=f"{row['email']} is a {row['role']} now")


@users.command("invite")
@click.argument("user")
@click.option("--role", type=click.Choice(ROLES), help="For somebody new: what they may.  [default: viewer]")
@with_config
@with_json
def invite(user: str, role: str | None, config_path: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Print a link by which somebody chooses their own password, once, within a day. Of somebody who is known, and
    lost theirs, the old one stays good until then."""
    known = {row["email"].casefold() for row in _asked("user.list", config_path, overrides)}
    if user.casefold() in known:
        if role is not None:
            raise Failure(f"gambit: {user} is known: `gambit user role {user} {role}`, then invite without --role")
    else:
        role = role or "viewer"
    row = _asked("user.invite", config_path, overrides, user=user, role=role)
    address = _dashboard(config_path, overrides)
    text = f"{row['email']} chooses a password, once, within a day:  {address}/#invite={row['code']}"
    _show({**row, "address": address}, as_json=as_json, text=text)


def _dashboard(config_path: Path | None, overrides: tuple[str, ...]) -> str:
    """Where it is, or while no daemon runs will be."""
    from gambit.runtime.process import holder

    place = place_of_running(config_path, overrides)
    if holder(place.state) is not None:
        return str(ask(place, "status").get("web_address", ""))
    api = load_config(config_path, overrides).config.api
    return f"http{'s' if api.tls else ''}://{api.host}:{api.port}"


@users.command("list")
@with_config
@with_json
def listed(config_path: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """List all users, oldest first."""
    rows = _asked("user.list", config_path, overrides)
    if as_json or not rows:
        click.echo(json.dumps(rows) if as_json else "no users; `gambit user add EMAIL --role admin` makes the first")
        return
    cells = [
        [
            row["email"],
            row["role"],
            "invited" if row["is_invited"] else row["status"],
            "on" if row["second_factor"] else "-",
            _since(row),
        ]
        for row in rows
    ]
    head, *lines = table([["user", "role", "status", "second factor", "since"], *cells], left=5)
    click.echo("\n".join([Paint.for_stdout().strong(head), *lines]))


def _since(row: dict[str, Any]) -> str:
    return quantities.moment(row["created_ns"])


@users.command("role")
@click.argument("user")
@click.argument("role", type=click.Choice(ROLES))
@with_config
@with_json
def set_role(user: str, role: str, config_path: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Give a user another role; their sessions end."""
    row = _asked("user.role", config_path, overrides, user=user, role=role)
    _show(row, as_json=as_json, text=f"{row['email']} is a {row['role']} now; their sessions are over")


@users.command("disable")
@click.argument("user")
@with_config
@with_json
def disable(user: str, config_path: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Let a user in no more; their sessions end at once."""
    row = _asked("user.disable", config_path, overrides, user=user)
    _show(row, as_json=as_json, text=f"{row['email']} is not let in any more")


@users.command("enable")
@click.argument("user")
@with_config
@with_json
def enable(user: str, config_path: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Let a user in again."""
    row = _asked("user.enable", config_path, overrides, user=user)
    _show(row, as_json=as_json, text=f"{row['email']} is let in again")


@users.command("passwd")
@click.argument("user")
@click.option("--drop-second-factor", is_flag=True, help="Take their second factor away, and leave the password.")
@with_stdin
@with_config
@with_json
def passwd(
    user: str,
    drop_second_factor: bool,
    password_stdin: bool,
    config_path: Path | None,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Give a user another password, or take a lost second factor away; their sessions end."""
    password = None if drop_second_factor else _password(password_stdin)
    row = _asked(
        "user.passwd", config_path, overrides, user=user, password=password, drop_second_factor=drop_second_factor
    )
    done = "has no second factor any more" if drop_second_factor else "has another password"
    _show(row, as_json=as_json, text=f"{row['email']} {done}; their sessions are over")


@users.command("link")
@click.argument("user")
@with_config
@with_json
def link(user: str, config_path: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Print a link that logs a user in once, within ten minutes; it counts as a second factor."""
    place = place_of_running(config_path, overrides)
    row = ask(place, "user.link", user=user)
    address = ask(place, "status").get("web_address", "")
    _show({**row, "address": address}, as_json=as_json, text=f"{address}/#ticket={row['ticket']}")


@users.command("link-telegram")
@click.argument("user")
@with_config
@with_json
def link_telegram(user: str, config_path: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Print a code that links a Telegram account to a user, once, within ten minutes: /start CODE to the bot."""
    row = ask(place_of_running(config_path, overrides), "user.link_telegram", user=user)
    _show(row, as_json=as_json, text=f"{row['email']} says to the bot, within ten minutes: /start {row['code']}")


@users.command("rotate-keys")
@with_config
@with_json
def rotate_keys(config_path: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Sign access tokens with a new key; those that are out stay good until they are over."""
    row = _asked("user.rotate_keys", config_path, overrides)
    _show(row, as_json=as_json, text=f"access tokens are signed with {row['kid']} from now on")
