"""SIGHUP and `reload`: the configuration is read again; what can change while running does, the rest is told.

A configuration with a problem changes nothing. Applied at once: the log level. Everything else - what is connected,
what is traded, how it is kept - waits for a restart, and the answer names the keys.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from gambit.config import Config, ConfigError
from gambit.runtime.daemon import Log
from gambit.runtime.logs import Logs

APPLIED: Final = frozenset({"daemon.log_level"})


class Reloading:
    """Knows the configuration in force and where it came from. `load` raises ConfigError."""

    def __init__(self, config: Config, load: Callable[[], Config], logs: Logs, log: Log) -> None:
        self.config = config
        self._load = load
        self._logs = logs
        self._log = log

    def reload(self) -> dict[str, Any]:
        """Read again and apply; as gambit.surface.views.Reloaded. Raises ValueError with every problem."""
        try:
            fresh = self._load()
        except ConfigError as error:
            text = "; ".join(str(problem) for problem in error.problems)
            self._log.error("the configuration was not reloaded", problems=text)
            raise ValueError(f"not reloaded: {text}") from error
        different = differences(self.config, fresh)
        changed = tuple(key for key in different if key in APPLIED)
        needs_restart = tuple(key for key in different if key not in APPLIED)
        self._logs.level = fresh.daemon.log_level
        daemon = msgspec.structs.replace(self.config.daemon, log_level=fresh.daemon.log_level)
        self.config = msgspec.structs.replace(self.config, daemon=daemon)
        self._log.info("the configuration was reloaded", changed=list(changed), needs_restart=list(needs_restart))
        return {"changed": changed, "needs_restart": needs_restart}


def differences(was: Config, now: Config) -> list[str]:
    """The keys whose values differ, as `section.key`, sorted."""
    return sorted(_differences("", msgspec.to_builtins(was), msgspec.to_builtins(now)))


def _differences(prefix: str, was: Any, now: Any) -> list[str]:
    if isinstance(was, dict) and isinstance(now, dict):
        names = {**was, **now}
        found = [_differences(f"{prefix}.{name}" if prefix else name, was.get(name), now.get(name)) for name in names]
        return [key for keys in found for key in keys]
    return [] if was == now else [prefix]
