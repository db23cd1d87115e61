"""The way in: from a path and an environment to a checked Config."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from gambit.config.checks import check
from gambit.config.layers import Layers, read_layers
from gambit.config.settings import Config


@dataclasses.dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration and the layers it came from, for those who want to know why a value is what it is."""

    config: Config
    layers: Layers


def load(path: Path | None, env: Mapping[str, str]) -> Config:
    """The configuration of a file (None: defaults and environment only).

    Raises ConfigError, whose `problems` are everything that is wrong, each with its place.
    """
    return load_layers(path, env, ()).config


def load_layers(
    path: Path | None, env: Mapping[str, str], overrides: Sequence[str], embedded: Sequence[str] = ()
) -> Loaded:
    """The same with the layers, with `section.key=value` settings of the command line on top and `embedded` below."""
    layers = read_layers(path, env, overrides, embedded)
    config = check(layers)
    state_dir = Path(config.daemon.state_dir or default_state_dir(env)).expanduser().absolute()
    daemon = msgspec.structs.replace(config.daemon, state_dir=str(state_dir))
    return Loaded(msgspec.structs.replace(config, daemon=daemon), layers)


def default_state_dir(env: Mapping[str, str]) -> str:
    """`$STATE_DIRECTORY`, else `$XDG_STATE_HOME/gambit`, else `~/.local/state/gambit`. XDG wants absolute paths; a
    relative one counts for nothing."""
    if env.get("STATE_DIRECTORY"):
        return env["STATE_DIRECTORY"].split(":")[0]  # systemd lists several with colons; the first is ours
    if env.get("XDG_STATE_HOME", "").startswith("/"):
        return str(Path(env["XDG_STATE_HOME"], "gambit"))
    return str(Path(env.get("HOME") or Path.home(), ".local", "state", "gambit"))
