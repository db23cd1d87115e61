"""Reads the layers of a configuration and lays them over each other: file, conf.d, environment, command line.

The result is one tree of plain values together with the place each came from. Nothing is judged here but syntax;
gambit.config.checks compares the tree with the types. Tables of two layers are merged, anything else is replaced.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path as FilePath
from typing import Any

from gambit.config.lines import Path, lines_of_keys
from gambit.config.problem import ConfigError, Problem

FILE_BYTES_MAX = 1 << 20
ENV_PREFIX = "GAMBIT_"

Table = dict[str, Any]


class WrittenText(str):
    """A value from the environment or the command line: text that becomes what its key calls for."""

    __slots__ = ()


class Layers:
    """The merged tree (`values`), where each part of it was written, and the files that were read."""

    def __init__(self) -> None:
        self.values: Table = {}
        self.files: list[FilePath] = []
        self._places: dict[Path, str] = {}

    def place(self, path: Path) -> str | None:
        """Where a key was written; for a key that is missing, where the table that lacks it was."""
        for length in range(len(path), 0, -1):
            if path[:length] in self._places:
                return self._places[path[:length]]
        return None

    def lay(self, values: Table, places: Mapping[Path, str]) -> None:
        """Put a layer on top."""
        self._merge(self.values, values, places, ())

    def _merge(self, under: Table, over: Table, places: Mapping[Path, str], path: Path) -> None:
        for key, value in over.items():
            here = (*path, key)
            old = under.get(key)
            if isinstance(old, dict) and isinstance(value, dict):
                self._places.setdefault(here, places[here])
                self._merge(old, value, places, here)
                continue
            under[key] = value
            self._forget(here)
            self._places.update({p: w for p, w in places.items() if p[: len(here)] == here})

    def _forget(self, path: Path) -> None:
        for known in [p for p in self._places if p[: len(path)] == path]:
            del self._places[known]


def read_layers(
    path: FilePath | None, env: Mapping[str, str], overrides: Iterable[str], embedded: Iterable[str] = ()
) -> Layers:
    """A command's `embedded` settings, the file, `conf.d/*.toml` beside it by name, the environment, the overrides.

    Settings and overrides are `section.key=value`, variables `GAMBIT_SECTION__KEY`.

    Raises ConfigError when a file cannot be read, is not TOML, or an override is not of that form.
    """
    layers = Layers()
    for setting in embedded:
        layers.lay(*_read_override(setting, "embedded"))
    if path is not None:
        for file in [path, *sorted((path.parent / "conf.d").glob("*.toml"))]:
            layers.lay(*_read_file(file))
            layers.files.append(file)
    for name in sorted(env):
        parts = _env_path(name, layers.values)
        if parts:
            layers.lay(*_one_value(parts, env[name], name))
    for override in overrides:
        layers.lay(*_read_override(override, "--set"))
    return layers


def parse_value(text: str) -> Any:
    """A TOML value from its text; raises ValueError when the text is not exactly one."""
    found = tomllib.loads(f"value = {text}", parse_float=_exact)
    if set(found) != {"value"}:
        raise ValueError("more than one value")
    return found["value"]


def _exact(text: str) -> Decimal:
    """The number as written; one whose exponent no Decimal can hold is not a number."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal("NaN")


def _read_file(file: FilePath) -> tuple[Table, dict[Path, str]]:
    try:
        with file.open("rb") as stream:
            raw = stream.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError([Problem(str(file), "", (error.strerror or str(error)).lower())]) from error
    if len(raw) > FILE_BYTES_MAX:
        raise ConfigError([Problem(str(file), "", f"larger than {FILE_BYTES_MAX} bytes; not a configuration")])
    try:
        text = raw.decode("utf-8-sig").replace("\r\n", "\n")
        values = tomllib.loads(text, parse_float=_exact)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError([Problem(f"{file}:{line}", "", "not UTF-8 text")]) from error
    except RecursionError as error:
        raise ConfigError([Problem(str(file), "", "nested too deeply")]) from error
    except ValueError as error:
        raise ConfigError([_syntax_problem(file, text, error)]) from error
    return values, {path: f"{file}:{line}" for path, line in lines_of_keys(text).items()}


def _syntax_problem(file: FilePath, text: str, error: ValueError) -> Problem:
    """tomllib's message, with its line moved to where ours stand."""
    message = str(error)
    found = re.search(r" \(at line (\d+), column (\d+)\)$", message)
    if found:
        reason = f"{message[: found.start()]} (column {found[2]})"
        return Problem(f"{file}:{found[1]}", "", f"not TOML: {reason}")
    last = text.count("\n") + (not text.endswith("\n"))
    return Problem(f"{file}:{max(last, 1)}", "", f"not TOML: {message.removesuffix(' (at end of document)')}")


def _env_path(name: str, values: Table) -> Path:
    """The path an environment variable sets, or () for a variable that is none of ours."""
    section, _, rest = name.removeprefix(ENV_PREFIX).partition("__")
    if name == "GAMBIT_SYMBOLS":
        return ("symbols",)
    if not name.startswith(ENV_PREFIX) or not section or not rest:
        return ()
    parts: list[str | int] = [part.lower() for part in (section, *rest.split("__"))]
    if parts[0] == "venues":
        parts[1] = _venue_spelling(str(parts[1]), values)
    return tuple(parts)


def _venue_spelling(text: str, values: Table) -> str:
    """A venue's name as the file writes it: a variable can hold neither its hyphens nor its dots."""
    venues = values.get("venues")
    for name in venues if isinstance(venues, dict) else ():
        if re.sub(r"[^a-z0-9]", "_", name.lower()) == text:
            return str(name)
    return text.replace("_", "-")


def _read_override(override: str, source: str) -> tuple[Table, dict[Path, str]]:
    key, equals, value = override.partition("=")
    label = f"{source} {key.strip()}"
    try:
        parts: Path = ()
        node: Any = tomllib.loads(f"{key} = 0")
        while isinstance(node, dict):
            [(part, node)] = node.items()
            parts = (*parts, part)
    except ValueError as error:
        raise ConfigError([Problem(label, "", "wants SECTION.KEY=VALUE")]) from error
    if not equals:
        raise ConfigError([Problem(label, "", "wants SECTION.KEY=VALUE")])
    return _one_value(parts, value.strip(), label)


def _one_value(path: Path, text: str, label: str) -> tuple[Table, dict[Path, str]]:
    """A layer of one value."""
    value: Any = WrittenText(text)
    for part in reversed(path):
        value = {part: value}
    return value, {path[:length]: label for length in range(1, len(path) + 1)}
