"""JSON text as a tree that keeps key order, repeated keys and the spelling of numbers, and the text of such a tree.

Rules: an object is an Obj of pairs, a number a Literal; dump(parse(text)) says the same with no blanks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

Node = Any  # Obj, list, str, Literal, True, False or None


class Literal(str):
    """Text that stands in JSON without quotes: a number, or what pretends to be one."""


class Obj(list[tuple[str, Node]]):
    """An object: pairs in order, keys may repeat."""

    def get(self, key: str) -> Node:
        """The value of the first pair with that key, None without one."""
        return next((value for name, value in self if name == key), None)

    def put(self, key: str, value: Node) -> None:
        """Replace the value of the first pair with that key, which must be there."""
        index = next(index for index, (name, _value) in enumerate(self) if name == key)
        self[index] = key, value

    def remove_key(self, key: str) -> None:
        """Forget all pairs with that key."""
        self[:] = [pair for pair in self if pair[0] != key]


def _object(pairs: list[tuple[str, Node]]) -> Obj:
    return Obj(pairs)


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=Literal, parse_int=Literal, parse_constant=Literal)


def parse(text: str) -> Node:
    """The tree of `text`; NaN and Infinity are let through as literals.

    Raises ValueError when it is not JSON.
    """
    return _DECODER.decode(text)


def plain_string(text: str) -> str:
    """A JSON string, escaped no more than needed."""
    return json.dumps(text, ensure_ascii=False)


def dump(node: Node, blank: Callable[[], str] = str, string: Callable[[str], str] = plain_string) -> str:
    """The text of a tree; `blank` gives white space between tokens, `string` spells strings and keys."""
    if isinstance(node, Obj):
        parts = [
            f"{blank()}{string(key)}{blank()}:{blank()}{dump(value, blank, string)}{blank()}" for key, value in node
        ]
        return f"{{{','.join(parts)}}}"
    if isinstance(node, list):
        return f"[{','.join([f'{blank()}{dump(item, blank, string)}{blank()}' for item in node])}]"
    if isinstance(node, Literal):
        return str(node)
    if isinstance(node, str):
        return string(node)
    return json.dumps(node)


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it that hold others: objects and arrays."""
    if isinstance(node, Obj):
        yield node
        for _key, value in node:
            yield from walk(value)
    elif isinstance(node, list):
        yield node
        for item in node:
            yield from walk(item)


def objects(node: Node) -> Iterator[Obj]:
    """All objects of a tree, outermost first."""
    return (part for part in walk(node) if isinstance(part, Obj))
