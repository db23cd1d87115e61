"""How a command finds the running daemon, asks it, and says what went wrong."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gambit.cli.options import Failure, load_config

if TYPE_CHECKING:
    from gambit.config import Config

NOT_RUNNING = 3
JOURNAL_FOLDER = "journal"
DEMO_FOLDER = "demo"  # in the state directory: where `gambit demo` keeps its own


class NoDaemon(Failure):
    """The daemon is not running: exit code 3."""

    exit_code = NOT_RUNNING


class Place(NamedTuple):
    """Where a configuration's daemon lives."""

    state: Path
    socket: Path


def place_of(config_path: Path | None, overrides: Sequence[str]) -> Place:
    """State directory and control socket of the configuration; raises ConfigFailure."""
    import os

    from gambit.runtime.process import control_socket, state_dir

    settings = load_config(config_path, overrides).config.daemon
    state = state_dir(settings.state_dir, os.environ)
    return Place(state, control_socket(settings.control_socket, state))


def place_of_running(config_path: Path | None, overrides: Sequence[str]) -> Place:
    """The same for a command that speaks to a daemon: asked for none in particular, a demonstration's will do when it
    is the only one that runs."""
    from gambit.runtime.process import control_socket, holder

    place = place_of(config_path, overrides)
    demo = place.state / DEMO_FOLDER
    if config_path is None and not overrides and holder(place.state) is None and holder(demo) is not None:
        return Place(demo, control_socket("", demo))
    return place


def config_of_kept(config_path: Path | None, overrides: Sequence[str]) -> "Config":
    """The configuration for a command that reads what a daemon kept: asked for none in particular, what a demonstration
    kept will do when there is nothing else. Raises ConfigFailure."""
    import os

    from gambit.runtime.process import state_dir

    config = load_config(config_path, overrides).config
    state = state_dir(config.daemon.state_dir, os.environ)
    demo = state / DEMO_FOLDER
    if config_path is None and not overrides and not (state / JOURNAL_FOLDER).exists() and demo.exists():
        return _in(demo, config)
    return config


def config_of_readable(config_path: Path | None, overrides: Sequence[str]) -> "Config":
    """The same for a command that only reads: what `gambit status` speaks to is what is read, a demonstration that runs
    alone before what another daemon left. Raises ConfigFailure."""
    config = config_of_kept(config_path, overrides)
    place = place_of_running(config_path, overrides)
    return _in(place.state, config) if place.state.name == DEMO_FOLDER else config


def _in(state: Path, config: "Config") -> "Config":
    import msgspec

    return msgspec.structs.replace(config, daemon=msgspec.structs.replace(config.daemon, state_dir=str(state)))


def ask(place: Place, method: str, timeout_sec: float = 5.0, **params: Any) -> Any:
    """The daemon's answer; parameters that are None are left out. Raises NoDaemon or Failure with what it says."""
    from gambit.surface import client

    given = {name: value for name, value in params.items() if value is not None}
    try:
        return client.call(place.socket, method, given, timeout_sec)
    except client.NotRunning as error:
        raise NoDaemon(f"gambit: {error}") from error
    except client.ControlError as error:
        raise Failure(f"gambit: {error}") from error
