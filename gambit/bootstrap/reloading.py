"""SIGHUP and `reload`: the configuration is read again; what can change while running does, the rest is told.

A configuration with a problem changes nothing. Applied at once: the log level, and what the daemon's parts have said
they can change (`can_change`). Everything else - what is connected, what is traded, how it is kept - waits for a
restart, and the answer names the keys.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from gambit.config import Config, ConfigError
from gambit.runtime.daemon import Log
from gambit.runtime.logs import Logs
from gambit.surface.views import Reloaded

Change = Callable[[Config], None]


class Reloading:
    """Knows the configuration in force and where it came from. `load` raises ConfigError."""

    def __init__(self, config: Config, load: Callable[[], Config], logs: Logs, log: Log) -> None:
        self.config = config
        self._load = load
        self._log = log
        self._changes: dict[str, Change] = {}
        self.can_change("daemon.log_level", lambda fresh: setattr(logs, "level", fresh.daemon.log_level))

    def can_change(self, key: str, change: Change) -> None:
        """`section.key` may change at any time; `change` puts a configuration's value in force."""
        self._changes[key] = change

    def reload(self) -> Reloaded:
        """Read again and apply. Raises ValueError with every problem."""
        try:
            fresh = self._load()
        except ConfigError as error:
            text = "; ".join(str(problem) for problem in error.problems)
            self._log.error("the configuration was not reloaded", problems=text)
            raise ValueError(f"not reloaded: {text}") from error
        different = differences(self.config, fresh)
        changed = tuple(key for key in different if key in self._changes)
        needs_restart = tuple(key for key in different if key not in self._changes)
        for key in changed:
            self._changes[key](fresh)
            self.config = _with(self.config, key, fresh)
        self._log.info("the configuration was reloaded", changed=list(changed), needs_restart=list(needs_restart))
        return Reloaded(changed=changed, needs_restart=needs_restart)


def _with(config: Config, key: str, fresh: Config) -> Config:
    """The configuration with one key as the fresh one has it."""
    section, _, name = key.partition(".")
    value = getattr(getattr(fresh, section), name)
    return msgspec.structs.replace(
        config, **{section: msgspec.structs.replace(getattr(config, section), **{name: value})}
    )


def differences(was: Config, now: Config) -> list[str]:
    """The keys whose values differ, as `section.key`, sorted."""
    return sorted(_differences("", msgspec.to_builtins(was), msgspec.to_builtins(now)))


def _differences(prefix: str, was: Any, now: Any) -> list[str]:
    if isinstance(was, dict) and isinstance(now, dict):
        names = {**was, **now}
        found = [_differences(f"{prefix}.{name}" if prefix else name, was.get(name), now.get(name)) for name in names]
        return [key for keys in found for key in keys]
    return [] if was == now else [prefix]
