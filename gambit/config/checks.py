"""Compares the merged layers with the types of gambit.config.settings and makes a Config of them.

Everything that is wrong is collected, so that one run of `gambit config check` shows all of it. A value is never
repaired. What no key is known for is never printed: it may be a secret in the wrong place.
"""

import difflib
import types
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from gambit.config.bounds import Rule, Section
from gambit.config.consistency import inconsistencies
from gambit.config.layers import Layers, WrittenText, parse_value
from gambit.config.lines import Path
from gambit.config.problem import ConfigError, Problem
from gambit.config.settings import Config

DECIMALS_MAX = 8
SHOWN_MAX = 60


class Key:
    """What is declared for one key: its type without the decoration, its rule, and whether it may be absent."""

    def __init__(self, declared: Any) -> None:
        self.rule: Rule | None = None
        if get_origin(declared) is Annotated:
            declared, self.rule = get_args(declared)
        self.is_optional = get_origin(declared) in (Union, types.UnionType)
        if self.is_optional:
            [declared] = [part for part in get_args(declared) if part is not types.NoneType]
        self.type: Any = declared
        self.origin: Any = get_origin(declared)
        self.args: tuple[Any, ...] = get_args(declared)


def keys_of(section: type[Section]) -> dict[str, Key]:
    """The keys of a section in the order they are declared."""
    return {name: Key(declared) for name, declared in get_type_hints(section, include_extras=True).items()}


def check(layers: Layers) -> Config:
    """The configuration that the layers add up to; raises ConfigError with every problem found."""
    reader = _Reader(layers)
    config: Config = reader.section(Config, _with_plain_symbols(layers.values), ())
    for path, text in inconsistencies(config):
        if not reader.has_broken(path):
            reader.problems.append(_problem(layers, path, text))
    if reader.problems:
        raise ConfigError(sorted(reader.problems, key=_by_place))
    return config


def dotted(path: Path) -> str:
    """A path as a reader writes it: `engine.groups[0].members`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


class _BadValueError(Exception):
    """The value of a leaf does not do; the text says why, after `KEY = VALUE`."""


class _Reader:
    """One walk over the tree beside the types."""

    def __init__(self, layers: Layers) -> None:
        self.layers = layers
        self.problems: list[Problem] = []
        self._broken: set[Path] = set()

    def has_broken(self, path: Path) -> bool:
        """Whether a value at, above or below this path was refused, so that what it belongs to cannot be judged."""
        return any(path[: len(known)] == known[: len(path)] for known in self._broken)

    def section(self, kind: type[Any], table: Any, path: Path) -> Any:
        """The struct of a table; keys that are wrong keep their default and are reported."""
        if not isinstance(table, dict):
            self._report(path, f"= {shown(table)} is not a table")
            return None
        keys = keys_of(kind)
        values: dict[str, Any] = {}
        for name in table:
            if name not in keys:
                self._report((*path, name), f"is not a known key{_suggestion(name, kind)}")
        for name, key in keys.items():
            if name in table:
                value = self._value(key, table[name], (*path, name))
                if value is not None:
                    values[name] = value
            elif name in _required(kind):
                self._report((*path, name), "is missing")
        missing = _required(kind) - values.keys()
        return None if missing else kind(**values)

    def _value(self, key: Key, value: Any, path: Path) -> Any:
        try:
            if isinstance(value, WrittenText):
                value = _meant(key, value)
            if isinstance(key.type, type) and issubclass(key.type, Section):
                return self.section(key.type, value, path)
            if key.origin is dict:
                return self._table_of(key, value, path)
            if key.origin is tuple:
                return self._array_of(key, value, path)
            return _leaf(key, value)
        except _BadValueError as reason:
            self._report(path, f"= {shown(value)} {reason}")
            return None

    def _table_of(self, key: Key, table: Any, path: Path) -> dict[str, Any]:
        if not isinstance(table, dict):
            raise _BadValueError("is not a table")
        element = Key(key.args[1])
        element.rule = key.rule
        found = {name: self._value(element, value, (*path, name)) for name, value in table.items()}
        return {name: value for name, value in found.items() if value is not None}

    def _array_of(self, key: Key, array: Any, path: Path) -> tuple[Any, ...]:
        if not isinstance(array, list):
            raise _BadValueError("is not an array")
        element = Key(key.args[0])
        found = [self._value(element, value, (*path, i)) for i, value in enumerate(array)]
        if None in found:
            self._broken.add(path)  # the elements behind a refused one no longer have their index
        return tuple(value for value in found if value is not None)

    def _report(self, path: Path, text: str) -> None:
        self.problems.append(_problem(self.layers, path, text))
        self._broken.add(path)


def _problem(layers: Layers, path: Path, text: str) -> Problem:
    return Problem(layers.place(path) or "configuration", dotted(path), text)


def _by_place(problem: Problem) -> tuple[str, int]:
    file, _, line = problem.where.rpartition(":")
    return (file, int(line)) if line.isdecimal() else (problem.where, 0)


def _leaf(key: Key, value: Any) -> Any:
    if key.origin is Literal:
        if not isinstance(value, str) or value not in key.args:
            raise _BadValueError("is not one of " + ", ".join(key.args))
        return value
    if key.type is bool:
        if not isinstance(value, bool):
            raise _BadValueError("is neither true nor false")
        return value
    if key.type is str:
        if not isinstance(value, str):
            raise _BadValueError("is not a string")
        if not value.isprintable():
            raise _BadValueError("holds control characters")
        return value
    return _number(key, value)


def _number(key: Key, value: Any) -> int | Decimal:
    limits = key.rule.range_text if key.rule else ""
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool) and Decimal(value).is_finite()
    if not is_number:
        raise _BadValueError("is not a number" + (f" ({limits})" if limits else ""))
    if key.rule and not key.rule.admits(value):
        raise _BadValueError(f"is outside {limits}")
    if key.type is int:
        if value != int(value):
            raise _BadValueError(f"is not a whole number ({limits})")
        return int(value)
    exact = Decimal(value)
    exponent = exact.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -DECIMALS_MAX:
        raise _BadValueError(f"has more than {DECIMALS_MAX} decimals")
    return exact


def _meant(key: Key, text: WrittenText) -> Any:
    """What a text from outside the file means for its key: bare words are strings, commas make a list of them."""
    is_text = key.type is str or key.origin is Literal
    is_list = key.origin is tuple and key.args[0] is str
    try:
        value = parse_value(text)
    except (ValueError, RecursionError):
        value = str(text)
    if is_text and not isinstance(value, str):
        return str(text)
    if is_list and not isinstance(value, list):
        return [part.strip() for part in str(value).split(",") if part.strip()]
    return value


def _with_plain_symbols(values: dict[str, Any]) -> dict[str, Any]:
    """`[[symbols]] name = "BTC-USDT"` says the same as `symbols = ["BTC-USDT"]`."""
    symbols = values.get("symbols")
    if not isinstance(symbols, list):
        return values
    names = [entry["name"] if isinstance(entry, dict) and set(entry) == {"name"} else entry for entry in symbols]
    return {**values, "symbols": names}


def _required(kind: type[Section]) -> set[str]:
    names: tuple[str, ...] = kind.__struct_fields__
    without_default = len(names) - len(kind.__struct_defaults__)
    return set(names[:without_default]) if kind.__struct_defaults__ else set(names)


def _suggestion(name: str, kind: type[Section]) -> str:
    """The section that has a key of this very name, else the nearest key of the table."""
    if not keys_of(kind):
        return "; this table has no keys yet"
    homes = [home for home, names in _sections() if name in names]
    if len(homes) == 1:
        return f"; it belongs in [{homes[0]}]"
    near = difflib.get_close_matches(name, keys_of(kind), n=1, cutoff=0.45)
    return f"; did you mean {near[0]}?" if near else ""


def _sections() -> Iterator[tuple[str, dict[str, Key]]]:
    for name, key in keys_of(Config).items():
        if isinstance(key.type, type) and issubclass(key.type, Section):
            yield name, keys_of(key.type)


def shown(value: Any) -> str:
    """A value for a message: as TOML has it, long text cut, tables and arrays only by kind."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        text = value if len(value) <= SHOWN_MAX else value[:SHOWN_MAX] + "..."
        return '"' + text.encode("unicode_escape").decode().replace('"', '\\"') + '"'
    if isinstance(value, dict):
        return "(a table)"
    return "(an array)" if isinstance(value, list) else str(value)[:SHOWN_MAX]
