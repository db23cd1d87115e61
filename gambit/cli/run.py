"""`gambit run`: the daemon in the foreground. `gambit record`: the same, and everything it hears on disk."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gambit.cli.daemon import place_of
from gambit.cli.options import ConfigFailure, Failure, with_config

if TYPE_CHECKING:
    from gambit.bootstrap import Options
    from gambit.config import Config


class BadCredentials(Failure):
    """Secrets that cannot be used are a fault of the configuration: exit code 2."""

    exit_code = 2


@click.command("run")
@with_config
def run(config_path: Path | None, overrides: tuple[str, ...]) -> int:
    """Run the daemon in the foreground until Ctrl-C, SIGTERM or `gambit stop`.

    Real market data of the venues of the configuration; `execution.mode = "paper"` (the default) sends no orders.
    """
    refuse_second(config_path, overrides)
    from gambit.bootstrap import Options
    from gambit.cli.credentials import passphrase_prompt

    return serve(lambda: load_layered(config_path, overrides), Options(ask=passphrase_prompt()))


@click.command("record")
@with_config
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    metavar="DIR",
    help="A new or empty folder for the session.",
)
def record(config_path: Path | None, overrides: tuple[str, ...], output: Path) -> int:
    """Run the daemon and write down every frame with its receive time, and every decision.

    DIR/frames.jsonl.zst is a capture that `gambit replay` reads; `gambit replay --verify DIR` proves that the frames
    give the recorded decisions byte for byte.
    """
    refuse_second(config_path, overrides)
    from gambit.bootstrap import Options
    from gambit.cli.credentials import passphrase_prompt

    return serve(lambda: load_layered(config_path, overrides), Options(record_to=output, ask=passphrase_prompt()))


def refuse_second(config_path: Path | None, overrides: tuple[str, ...]) -> None:
    """A daemon that runs already is named at once, before everything else is loaded; the lock itself is taken later."""
    from gambit.runtime.process import LOCK_NAME, AlreadyRunning, holder, work_at

    state = place_of(config_path, overrides).state
    pid = holder(state)
    if pid is not None:
        raise Failure(f"gambit: {AlreadyRunning(state / LOCK_NAME, pid, work_at(state))}")


def load_layered(config_path: Path | None, overrides: tuple[str, ...]) -> "Config":
    """The configuration as it stands on the disk now. Raises ConfigError."""
    from gambit.config import load_layers

    return load_layers(config_path, os.environ, overrides).config


def serve(load: Callable[[], "Config"], options: "Options") -> int:
    """Run a daemon with this configuration; what keeps it from starting is a message and exit code 1."""
    from gambit.bootstrap.running import run_daemon
    from gambit.config import ConfigError
    from gambit.runtime.blame import blamed_on
    from gambit.runtime.process import state_dir

    try:
        config = load()
    except ConfigError as error:
        raise ConfigFailure(error.problems) from error
    need_venues(config)
    check_retention(config)
    with blamed_on(state_dir(config.daemon.state_dir, os.environ)):
        return run_loop(lambda: run_daemon(config, os.environ, options, load=load))


def need_venues(config: "Config") -> None:
    """Raises UsageError for a configuration that connects to nothing."""
    if not any(venue.enabled for venue in config.venues.values()):
        raise click.UsageError(
            "the configuration names no venue to connect to: add [venues.binance] and others, as configs/paper.toml has"
        )


def check_retention(config: "Config") -> None:
    """Only what leaves by days can be kept for days. Raises UsageError."""
    from gambit.store.archive import kept_days

    try:
        kept_days(config.store.retention)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def run_loop(main: Callable[[], Coroutine[Any, Any, int]]) -> int:
    """Run a coroutine on uvloop; errors of starting become messages."""
    import uvloop

    from gambit.bootstrap.alert_rules import AlertRuleError
    from gambit.bootstrap.credentials import CredentialError
    from gambit.bootstrap.web import DoorError
    from gambit.engine.standing import ReplayDiffers
    from gambit.journal import JournalError
    from gambit.runtime.exchanges import ExchangesError
    from gambit.runtime.process import ProcessError
    from gambit.runtime.recorder import RecorderError
    from gambit.runtime.status import FeedError
    from gambit.surface.socketfile import SocketFileError
    from gambit.vault import VaultError

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(main())
    except (
        ProcessError, JournalError, FeedError, RecorderError, ExchangesError, SocketFileError, AlertRuleError,
        DoorError,
    ) as error:  # fmt: skip
        raise Failure(f"gambit: {error}") from error
    except ReplayDiffers as error:
        raise Failure(
            f"gambit: the journal cannot be replayed, and nothing is traded on a guess: {error}. Start the version of "
            "gambit that wrote it; if this is the one, report it"
        ) from error
    except (VaultError, CredentialError) as error:
        raise BadCredentials(f"gambit: {error}") from error
