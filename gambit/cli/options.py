"""Options that several commands share, and how a configuration is loaded for a command."""

import math
import os
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from gambit.config import Loaded, Problem

UNITS_SEC = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

SECONDS_MAX = 36_500 * UNITS_SEC["d"]

Command = TypeVar("Command", bound=Callable[..., Any])


class Failure(click.ClickException):
    """What ends a command with exit code 1; the message is a whole line that begins with the place."""

    def show(self, file: Any = None) -> None:
        """Print the message and nothing around it, so that an editor can jump to the place."""
        click.echo(self.message, file=file, err=file is None)


class ConfigFailure(Failure):
    """A configuration that cannot be used: every problem on a line of its own, exit code 2."""

    exit_code = 2

    def __init__(self, problems: "Sequence[Problem]") -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def with_config(command: Command) -> Command:
    """Add `-c FILE` and `--set KEY=VALUE`; the command takes `config_path` and `overrides`."""
    command = click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="KEY=VALUE",
        help="Override one setting, such as engine.min_spread_bps=20; may be repeated.",
    )(command)
    return click.option(
        "-c",
        "--config",
        "config_path",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Configuration file (TOML). Without it: defaults and GAMBIT_SECTION__KEY variables.",
    )(command)


def with_json(command: Command) -> Command:
    """Add `--json`; the command takes `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")(command)


def load_config(config_path: Path | None, overrides: Sequence[str], embedded: Sequence[str] = ()) -> "Loaded":
    """The configuration for a command, over its `embedded` settings if any; raises ConfigFailure with every problem."""
    from gambit.config import ConfigError, load_layers

    try:
        return load_layers(config_path, os.environ, overrides, embedded)
    except ConfigError as error:
        raise ConfigFailure(error.problems) from error


def seconds_of(ctx: click.Context, param: click.Parameter, text: str | None) -> float | None:
    """A click callback: `30s`, `10m`, `2h`, `1d` or plain seconds, as seconds; None when the option was not given."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?", text.strip())
    seconds = float(found[1]) * UNITS_SEC[found[2] or "s"] if found else math.inf
    if seconds > SECONDS_MAX:
        raise click.BadParameter(f"{text!r} is not a duration such as 30s, 10m or 2h", ctx, param)
    return seconds


def since_of(ctx: click.Context, param: click.Parameter, text: str | None) -> int | None:
    """A click callback: the time a duration ago, or an RFC 3339 time or day (UTC unless it says otherwise), in ns
    since the epoch; None when the option was not given."""
    if text is None:
        return None
    if re.match(r"\d{4}-", text):
        with suppress(ValueError):
            moment = datetime.fromisoformat(text)
            return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000_000_000)
    try:
        seconds = seconds_of(ctx, param, text)
    except click.BadParameter as error:
        told = f"{text!r} is neither a duration such as 30s, 10m or 2h nor a time such as 2026-05-28T09:30:00Z"
        raise click.BadParameter(told, ctx, param) from error
    return time.time_ns() - int((seconds or 0.0) * 1_000_000_000)


def need_folder_of(path: Path) -> None:
    """Raises UsageError where there is no folder for a file that long work ends with: it is said before the work."""
    folder = path.absolute().parent
    if not folder.is_dir():
        raise click.UsageError(f"{path}: there is no folder {folder}")


def utf8(ctx: click.Context, param: click.Parameter, text: str | None) -> str | None:
    """A click callback: refuse what is not UTF-8, which no database and no socket takes."""
    try:
        (text or "").encode()
    except UnicodeEncodeError as error:
        raise click.BadParameter("it is not UTF-8 text", ctx, param) from error
    return text


def readable(ctx: click.Context, param: click.Parameter, text: str) -> str:  # noqa: ARG001 - click's signature
    """A click callback for remarks: what is not UTF-8 becomes question marks. A halt is one whatever its reason is
    spelled in."""
    return text.encode(errors="replace").decode()


def finite(ctx: click.Context, param: click.Parameter, number: float | None) -> float | None:
    """A click callback: refuse nan, which no range refuses."""
    if number is not None and math.isnan(number):
        raise click.BadParameter("nan is no number", ctx, param)
    return number
