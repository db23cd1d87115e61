"""Describes the configuration from its types: JSON Schema, the reference page, and the effective values.

All three are made from gambit.config.settings alone, so they cannot fall behind it; a test compares the files in
configs/ and docs/ with what this module gives.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from gambit.config.bounds import Section
from gambit.config.checks import Key, keys_of
from gambit.config.layers import Layers
from gambit.config.lines import Path
from gambit.config.settings import Config

INTRODUCTION = """\
# Configuration

One TOML file, given with `-c FILE`. Later sources win: defaults, the file, `conf.d/*.toml` beside the file (in order
of name), environment variables, the command line. Tables of two sources are merged key by key, anything else is
replaced.

- A variable is `GAMBIT_SECTION__KEY`, such as `GAMBIT_ENGINE__MIN_SPREAD_BPS=20` or
  `GAMBIT_VENUES__BINANCE_US__TAKER_FEE_BPS=1`; `GAMBIT_SYMBOLS=BTC-USDT,ETH-USDT` sets the list of symbols.
- On the command line it is `--set engine.min_spread_bps=20`.
- An unknown key, a value of the wrong kind and a value outside its range are errors (exit code 2). Every one is
  named with file, line, key, value and range by `gambit config check -c FILE`.
- `gambit config show` prints what is in force and where each value comes from.
- Secrets never stand in the file.
- `gambit replay` reads `[engine]`, `symbols`, `[[assets.aliases]]` and the fees and `source` of `[venues.<name>]`.
  The other sections are checked now and take effect with the commands that use them.
- Editors that know the `#:schema` line of the files in `configs/` complete and check keys as you type.

This page is written by `gambit config schema --format markdown`; change the types, not the page.
"""


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a configuration file."""
    schema = _section_schema(Config)
    entry = {
        "type": "object",
        "properties": {"name": {"type": "string"}},
        "required": ["name"],
        "additionalProperties": False,
    }
    schema["properties"]["symbols"]["items"] = {"anyOf": [{"type": "string"}, entry]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "gambit configuration", **schema}


def markdown() -> str:
    """The reference page: one table per section, one row per key."""
    parts = [INTRODUCTION]
    for name, key in keys_of(Config).items():
        kind = key.args[1] if key.origin is dict else key.type
        if not (isinstance(kind, type) and issubclass(kind, Section)):
            parts.append(f"## `{name}`\n\n{_rows({name: key}, Config)}")
            continue
        title = f"[{name}.<name>]" if key.origin is dict else f"[{name}]"
        body = _rows(keys_of(kind), kind) if keys_of(kind) else "No keys yet: they come with the feature.\n"
        parts.append(f"## `{title}`\n\n{_sentence(kind)}\n\n{body}")
    return "\n".join(parts)


def effective_toml(config: Config, layers: Layers) -> str:
    """What is in force, as TOML, each value with where it comes from; what may hold a secret is masked."""
    lines: list[str] = []
    plain = [(name, key) for name, key in keys_of(Config).items() if key.origin is tuple]
    for name, _key in plain:
        lines.append(_line((name,), getattr(config, name), layers))
    for path, section in _tables(config):
        names = keys_of(type(section))
        if names:
            lines += ["", f"[{'.'.join(_toml_key(str(part)) for part in path)}]"]
        lines += [_line((*path, name), getattr(section, name), layers) for name in names]
    return "\n".join(lines) + "\n"


def effective_json(config: Config) -> bytes:
    """The same as JSON, numbers with the digits they were written with, without the places."""
    tree = msgspec.to_builtins(config, builtin_types=(Decimal,))
    return msgspec.json.Encoder(decimal_format="number").encode(_masked(tree))


def mask(text: str) -> str:
    """An address without its query, which may hold a token; other text as it is (references are not resolved)."""
    parts = urlsplit(text) if "://" in text else None
    return parts._replace(query="***").geturl() if parts and parts.query else text


def _masked(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {name: _masked(value) for name, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_masked(value) for value in tree]
    return mask(tree) if isinstance(tree, str) else tree


def _section_schema(kind: type[Section]) -> dict[str, Any]:
    keys = keys_of(kind)
    defaults = _defaults(kind)
    schema: dict[str, Any] = {"type": "object", "description": _sentence(kind), "additionalProperties": False}
    schema["properties"] = {name: _key_schema(key, defaults.get(name)) for name, key in keys.items()}
    required = [name for name in keys if name not in defaults]
    return {**schema, "required": required} if required else schema


def _key_schema(key: Key, default: Any = None) -> dict[str, Any]:
    schema = _type_schema(key)
    if key.rule:
        schema["description"] = key.rule.text + (f" Unit: {key.rule.unit}." if key.rule.unit else "")
    if isinstance(default, str | bool | int | Decimal):
        schema["default"] = _json_number(default) if isinstance(default, Decimal) else default
    return schema


def _type_schema(key: Key) -> dict[str, Any]:
    if isinstance(key.type, type) and issubclass(key.type, Section):
        return _section_schema(key.type)
    if key.origin is dict:
        element = Key(key.args[1])
        element.rule = element.rule or key.rule
        return {"type": "object", "additionalProperties": _key_schema(element)}
    if key.origin is tuple:
        return {"type": "array", "items": _key_schema(Key(key.args[0]))}
    if key.origin is Literal:
        return {"enum": list(key.args)}
    if key.type in (bool, str):
        return {"type": "boolean" if key.type is bool else "string"}
    schema: dict[str, Any] = {"type": "integer" if key.type is int else "number"}
    if key.rule:
        limits = {"minimum": key.rule.low, "exclusiveMinimum": key.rule.above, "maximum": key.rule.high}
        schema |= {name: _json_number(limit) for name, limit in limits.items() if limit is not None}
    return schema


def _json_number(number: Decimal) -> int | float:
    return int(number) if number == int(number) else float(number)


def _rows(keys: dict[str, Key], kind: type[Section], prefix: str = "") -> str:
    head = "" if prefix else "| key | kind | default | range | unit | meaning |\n|---|---|---|---|---|---|\n"
    return head + "".join(_row(prefix + name, key, _defaults(kind).get(name)) for name, key in keys.items())


def _row(name: str, key: Key, default: Any) -> str:
    rule = key.rule
    nested = key.type if key.origin is None else key.args[0]
    is_table = isinstance(nested, type) and issubclass(nested, Section)
    shown_default = "" if default is None or is_table else f"`{_toml(default)}`"
    limits, unit, text = (rule.range_text, rule.unit, rule.text) if rule else ("", "", "")
    row = f"| `{name}` | {_kind_text(key)} | {shown_default} | {limits} | {unit} | {text.replace('|', '/')} |\n"
    if not is_table:
        return row
    return row + _rows(keys_of(nested), nested, prefix=f"{name}[]." if key.origin is tuple else f"{name}.")


def _kind_text(key: Key) -> str:
    if key.origin is Literal:
        return " or ".join(f"`{choice}`" for choice in key.args)
    if key.origin is dict:
        return "table"
    if key.origin is tuple:
        is_text = key.args[0] is str
        return "array of strings" if is_text else "array of tables"
    names = {bool: "boolean", str: "string", int: "integer", Decimal: "number"}
    return names.get(key.type, "table")


def _sentence(kind: type[Section]) -> str:
    return (kind.__doc__ or "").strip()


def _defaults(kind: type[Section]) -> dict[str, Any]:
    fields = msgspec.structs.fields(kind)
    return {
        field.name: field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
        for field in fields
        if not field.required
    }


def _tables(config: Config) -> Iterator[tuple[Path, Section]]:
    for name in keys_of(Config):
        value = getattr(config, name)
        if isinstance(value, Section):
            yield (name,), value
        elif isinstance(value, dict):
            for venue, settings in value.items():
                yield (name, venue), settings


def _line(path: Path, value: Any, layers: Layers) -> str:
    origin = layers.place(path) if _is_written(path, layers) else None
    name = _toml_key(str(path[-1]))
    if value is None:
        return f"# {name} is not set"
    return f"{name} = {_toml(value)}  # {origin or 'default'}"


def _is_written(path: Path, layers: Layers) -> bool:
    node: Any = layers.values
    for part in path:
        if not isinstance(node, dict) or part not in node:
            return False
        node = node[part]
    return True


def _toml_key(name: str) -> str:
    is_bare = bool(name) and name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if is_bare else _quoted(name)


def _toml(value: Any) -> str:
    """A value in TOML's spelling; a nested section becomes an inline table."""
    if isinstance(value, Section):
        return _toml({name: getattr(value, name) for name in keys_of(type(value))})
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_toml_key(k)} = {_toml(v)}" for k, v in value.items()) + " }" if value else "{}"
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(element) for element in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return (
        _quoted(mask(value)) if isinstance(value, str) else f"{value:f}" if isinstance(value, Decimal) else str(value)
    )


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
