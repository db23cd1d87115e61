"""Whether records written by one JSON Schema can be read by another.

The rule of events (product.md, "Event contracts"): fields are only added, and optional. So whatever the older schema
allows the newer one has to allow, and every field the older one names has to be there still.
"""

from collections.abc import Iterator
from typing import Any, Final

Schema = dict[str, Any]
# What says something about the reader and nothing about the records.
_WORDS: Final = frozenset({"title", "description", "default", "$id", "$schema", "$defs", "$ref"})
_KNOWN: Final = frozenset({"type", "properties", "required", "enum", "anyOf", "items", "additionalProperties"})


def breaks(older: Schema, newer: Schema) -> list[str]:
    """What the newer schema cannot read, or lost, of what the older one allows: `field: what`, nothing if compatible.
    Both are schemas as msgspec makes them, `$defs` included."""
    return [f"{where}: {what}" if where else what for where, what in _Comparison(older, newer).found()]


Found = Iterator[tuple[str, str]]


class _Comparison:
    def __init__(self, older: Schema, newer: Schema) -> None:
        self.older, self.newer = older, newer

    def found(self) -> Found:
        return self._compare(self.older, self.newer, "")

    def _compare(self, older: Schema, newer: Schema, where: str) -> Found:
        older, newer = _resolved(older, self.older), _resolved(newer, self.newer)
        if "anyOf" in older or "anyOf" in newer:
            yield from self._alternatives(older, newer, where)
            return
        old_type, new_type = _type_of(older), _type_of(newer)
        if new_type is None:
            return
        if old_type != new_type and (old_type, new_type) != ("integer", "number"):
            yield where, f"was {old_type or 'anything'}, is {new_type}"
            return
        yield from self._values(older, newer, where)
        yield from self._fields(older, newer, where)
        for part in ("items", "additionalProperties"):
            if isinstance(older.get(part), dict) and isinstance(newer.get(part), dict):
                yield from self._compare(older[part], newer[part], f"{where}[]")
            elif part in newer and older.get(part) != newer[part]:
                yield f"{where}[]", "what it holds is restricted"

    def _alternatives(self, older: Schema, newer: Schema, where: str) -> Found:
        allowed = newer.get("anyOf", [newer])
        for one in older.get("anyOf", [older]):
            if all(any(self._compare(one, other, where)) for other in allowed):
                kind = _type_of(_resolved(one, self.older)) or "something"
                yield where, f"could be {kind}, which is not allowed any more"

    def _values(self, older: Schema, newer: Schema, where: str) -> Found:
        if "enum" in newer and "enum" not in older:
            yield where, f"could be anything, is one of {', '.join(map(str, newer['enum']))}"
        elif "enum" in newer:
            gone = [str(value) for value in older["enum"] if value not in newer["enum"]]
            if gone:
                yield where, f"could be {', '.join(gone)}, which is not allowed any more"
        for name in sorted((older.keys() | newer.keys()) - _WORDS - _KNOWN):
            if name in newer and older.get(name) != newer[name]:
                yield where, f"{name} was {older.get(name, 'not set')}, is {newer[name]}"

    def _fields(self, older: Schema, newer: Schema, where: str) -> Found:
        prefix = f"{where}." if where else ""
        fields = newer.get("properties", {})
        for name, schema in older.get("properties", {}).items():
            if name in fields:
                yield from self._compare(schema, fields[name], prefix + name)
            else:
                yield prefix + name, "is gone"
        for name in newer.get("required", ()):
            if name not in older.get("required", ()):
                yield prefix + name, "is required now; a new field needs a default"


def _resolved(schema: Schema, whole: Schema) -> Schema:
    """The schema that a reference leads to. Raises ValueError for one that leads nowhere."""
    while "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        if name not in whole.get("$defs", {}):
            raise ValueError(f"{schema['$ref']} is not in its $defs")
        schema = whole["$defs"][name]
    return schema


def _type_of(schema: Schema) -> str | None:
    if "type" in schema:
        return str(schema["type"])
    kinds = {type(value) for value in schema.get("enum", ())}
    return "string" if kinds == {str} else "integer" if kinds == {int} else None
