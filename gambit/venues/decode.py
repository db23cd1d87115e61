"""The slow, careful decoder: a frame's parsed JSON over the same wire description that the scanner runs over bytes.

It reads what the scanner is not sure about and decides what is wrong with a frame (replay-rules R5, R19-R21). For every
frame that the scanner accepts it gives the same parts; a property test holds the two together.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from gambit._core.fixed import parse
from gambit.venues.plain_text import writable
from gambit.venues.wire import HAS_PARTS, SYMBOL, Action, Key, Wire

LEVELS_MAX = 1_000_000  # a frame with more levels a side is no book
INT_MAX = 2**63

Level = tuple[int, int, int, int, int, int, int]


class NotJson(ValueError):
    """The text of a frame is no JSON: nobody can tell what it said (R5)."""


class Number(str):
    """A JSON number by its text, so that nothing goes through a float."""

    __slots__ = ()


@dataclass(slots=True)
class Part:
    """One book's worth of a frame, in the slots of gambit.venues.wire."""

    ints: dict[int, int] = field(default_factory=dict)
    texts: dict[int, bytes] = field(default_factory=dict)
    sides: int = 0
    levels: list[Level] = field(default_factory=list)

    def raw(self) -> tuple[dict[int, int], dict[int, bytes], int, list[Level]]:
        """As gambit._core.hot takes it."""
        return self.ints, self.texts, self.sides, self.levels


@dataclass(slots=True)
class Decoded:
    """The parts of a frame, the first being the frame itself, and what is wrong with them, if anything."""

    parts: list[Part]
    problems: list[tuple[int, str]]  # (part, what)
    message: object

    def name_head(self, spelling: bytes) -> None:
        """The frame's channel names its book."""
        self.parts[0].texts[SYMBOL] = spelling

    def spelling(self, part: int) -> str | None:
        """The book that a part names, by itself or by its frame."""
        name = self.parts[part].texts.get(SYMBOL, self.parts[0].texts.get(SYMBOL))
        return None if name is None else name.decode(errors="replace")

    def spellings(self, implicit_part: bool) -> list[str]:
        """The books that the frame names, in order, each once."""
        parts = [0] if implicit_part or len(self.parts) == 1 else range(1, len(self.parts))
        return list(dict.fromkeys(name for part in parts if (name := self.spelling(part)) is not None))


def _refuse(word: str) -> NoReturn:
    raise NotJson(f"{word} is not JSON")


def load_json(data: bytes) -> object:
    """Parse strictly, numbers kept as text. Raises NotJson."""
    try:
        return json.loads(data.decode("utf-8"), parse_float=Number, parse_int=Number, parse_constant=_refuse)
    except NotJson:
        raise
    except (ValueError, RecursionError) as error:
        raise NotJson(f"not JSON: {error}") from error


def decode(wire: Wire, data: bytes) -> Decoded:
    """Decode one frame. Raises NotJson."""
    message = load_json(data)
    decoder = _Decoder(wire)
    if isinstance(message, dict):
        decoder.read_object(message, 0, decoder.parts[0])
    try:
        told = writable(message, data)
    except RecursionError:  # the parts are there; what is said beside them is not that deep
        told = None
    return Decoded(decoder.parts, decoder.problems, told)


def as_int(value: object) -> int | None:
    """A JSON integer below 2^63 either way, None for anything else."""
    if not isinstance(value, Number) or len(value) > 20 or not value.lstrip("-").isdigit():
        return None
    number = int(value)
    return number if abs(number) < INT_MAX else None


def read_levels(rows: object, side: int, *, row_extra: bool = False) -> list[Level]:
    """Rows of [price, quantity] as levels. Raises ValueError saying what is wrong with which row."""
    if not isinstance(rows, list):
        raise ValueError("a side of the book is not an array")
    if len(rows) > LEVELS_MAX:
        raise ValueError(f"{len(rows)} levels a side")
    levels = []
    for row in rows:
        if not isinstance(row, list) or len(row) < 2 or (len(row) > 2 and not row_extra):
            raise ValueError(f"level {_shown(row)} has the wrong shape")
        levels.append(_level(side, row[0], row[1]))
    return levels


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _level(side: int, price: object, qty: object) -> Level:
    pm, pdec, pwire = _parsed(price, "price")
    qm, qdec, qwire = _parsed(qty, "quantity")
    if pm <= 0:
        raise ValueError(f"price {_shown(price)} is not positive")
    if qm < 0:
        raise ValueError(f"quantity {_shown(qty)} is negative")
    return side, pm, pdec, pwire, qm, qdec, qwire


def _parsed(value: object, what: str) -> tuple[int, int, int]:
    if not isinstance(value, str):
        raise ValueError(f"{what} {_shown(value)} is neither a string nor a number")
    try:
        return parse(str(value))
    except (ValueError, UnicodeEncodeError) as error:
        raise ValueError(f"{what} {error}") from error


class _Decoder:
    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.parts = [Part()]
        self.problems: list[tuple[int, str]] = []

    def read_object(self, value: Mapping[str, object], node: int, part: Part) -> None:
        keys = [key for key in self.wire.nodes[node] if key.name in value]
        for inner in [key for key in keys if key.action is Action.WRAPPED]:
            keys = [key for key in keys if key is inner or (key.action is Action.TEXT and key.arg == inner.arg)]
        for key in keys:
            self.read_value(key, value[key.name], part)

    def read_value(self, key: Key, value: object, part: Part) -> None:
        match key.action:
            case Action.INT | Action.MAYBE_INT:
                self.read_int(key, value, part)
            case Action.TEXT:
                if isinstance(value, str):
                    part.texts[key.arg] = str(value).encode("utf-8", "surrogatepass")
            case Action.OBJECT | Action.WRAPPED:
                if isinstance(value, dict):
                    self.read_object(value, key.node, part)
                else:
                    self.complain(part, f"{key.name} is not an object")
            case Action.PARTS:
                self.read_parts(key, value, part)
            case Action.ROWS | Action.ROWS_OR_TEXT:
                self.read_rows(key, value, part)
            case Action.LEVELS:
                self.read_level_objects(key, value, part)

    def read_int(self, key: Key, value: object, part: Part) -> None:
        number = as_int(value)
        if number is not None:
            part.ints[key.arg] = number
        elif key.action is Action.INT:
            self.complain(part, f"{key.name} is not an integer: {_shown(value)}")

    def complain(self, part: Part, what: str) -> None:
        at = next(k for k, known in enumerate(self.parts) if known is part)
        self.problems.append((at, what))

    def read_parts(self, key: Key, value: object, part: Part) -> None:
        if not isinstance(value, list):
            self.complain(part, f"{key.name} is not an array")
            return
        part.sides |= HAS_PARTS
        for element in value:
            opened = Part()
            self.parts.append(opened)
            if isinstance(element, dict):
                self.read_object(element, key.node, opened)
            else:
                self.complain(opened, f"an element of {key.name} is not an object: {_shown(element)}")

    def read_rows(self, key: Key, value: object, part: Part) -> None:
        side = key.arg & 1
        if key.action is Action.ROWS_OR_TEXT and isinstance(value, str):
            part.texts[key.arg >> 1] = str(value).encode("utf-8", "surrogatepass")
            return
        if not isinstance(value, list):
            self.complain(part, f"{key.name} is not an array")
            return
        part.sides |= 1 << side
        try:
            part.levels += read_levels(value, side, row_extra=self.wire.row_extra)
        except ValueError as error:
            self.complain(part, str(error))

    def read_level_objects(self, key: Key, value: object, part: Part) -> None:
        if not isinstance(value, list) or len(value) > LEVELS_MAX:
            self.complain(part, f"{key.name} is not an array of levels")
            return
        part.sides |= 1 << (key.arg & 1)
        names = {spec.action: spec.name for spec in self.wire.nodes[key.node]}
        try:
            part.levels += [self.level_of(element, names, key.arg) for element in value]
        except ValueError as error:
            self.complain(part, str(error))

    def level_of(self, element: object, names: Mapping[Action, str], side: int) -> Level:
        if not isinstance(element, dict):
            raise ValueError(f"level {_shown(element)} is not an object")
        if Action.SIDE in names:
            word = element.get(names[Action.SIDE])
            if word not in ("bid", "offer"):
                raise ValueError(f"level side {_shown(word)} is neither bid nor offer")
            side = 0 if word == "bid" else 1
        missing = [names[a] for a in (Action.PRICE, Action.QTY) if names[a] not in element]
        if missing:
            raise ValueError(f"level {_shown(element)} lacks {missing[0]}")
        return _level(side, element[names[Action.PRICE]], element[names[Action.QTY]])
