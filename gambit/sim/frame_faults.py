"""Seeded edits of one frame's text: what a broken, careless or unusual sender would have sent instead.

Rules: an edit gets the frame's tree and a generator and gives the new text, or None where the frame has nothing it
could change. Edits in BENIGN say the same thing in other words: whoever reads them must end up with the same book (but
RESPELLING ones change the digits, which a checksum over the text as sent does notice).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import deepcopy
from decimal import Decimal
from random import Random
from typing import Any

from gambit.sim.jsontree import Literal, Node, Obj, dump, objects

Edit = Callable[[Node, Random], str | None]

ROW_KEYS = ("b", "a", "bids", "asks", "updates")
PRICE_KEYS = ("price", "price_level", "b", "a", "bid", "ask", "best_bid", "best_ask")
QTY_KEYS = ("qty", "new_quantity", "B", "A", "bid_qty", "ask_qty", "best_bid_quantity", "best_ask_quantity")
ID_KEYS = ("U", "u", "pu", "lastUpdateId", "seqId", "prevSeqId", "checksum", "sequence_num", "seq")
NEEDED_KEYS = (
    *ID_KEYS,
    "s",
    "b",
    "a",
    "bids",
    "asks",
    "data",
    "events",
    "updates",
    "symbol",
    "product_id",
    "type",
    "arg",
)
SYMBOL_KEYS = ("s", "instId", "symbol", "product_id")
CHANNEL_KEYS = ("channel", "topic", "e", "stream")

BAD_NUMBERS = (
    "NaN", "nan", "Infinity", "-Infinity", "", " 1", "1 ", "+1", "1,000", "1_000", "0x10", ".5", "5.", "1e", "1e+",
    "--1", "1.2.3", "\u0661", "one", "1e400", "1e18", "1e-19", "1e-30", "123456789012345678901", "1.234567890123456789",
    "9223372036854775808", "1e99999999999999999999",
)  # fmt: skip
BAD_PRICES = ("0", "-1", "-0", "0.0", "0e5", "-0.00000001")
BAD_QUANTITIES = ("-1", "-0.00000001", "-1e-8")
ODD_ZEROS = ("0.000", "0e5", "-0", "0E-10", "-0.0")  # quantities that delete
BAD_LITERALS = ("NaN", "Infinity", "-Infinity", "nan", "01", "+1", ".5", "1.", "0x1F", "1e", "--1", "1,000", "truee")
BAD_IDS = ('"12"', "12.0", "1e3", "true", "null", "-5", "[1]", "{}")
BIG_IDS = ("9223372036854775808", "18446744073709551616", "123456789012345678901234567890", "-9223372036854775809")

JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")

Cell = tuple[Any, Any, str]  # container, index or key, "price" or "qty"


def cells(tree: Node) -> list[Cell]:
    """Every price and quantity of a frame: level rows and touches."""
    found: list[Cell] = []
    for node in objects(tree):
        for key, value in node:
            if key in ROW_KEYS and isinstance(value, list) and not isinstance(value, Obj):
                for row in value:
                    found += _row_cells(row)
            elif isinstance(value, str) and key in PRICE_KEYS:
                found.append((node, key, "price"))
            elif isinstance(value, str) and key in QTY_KEYS:
                found.append((node, key, "qty"))
    return found


def _row_cells(row: Node) -> list[Cell]:
    if isinstance(row, list) and not isinstance(row, Obj) and len(row) >= 2:
        return [(row, 0, "price"), (row, 1, "qty")]
    return []  # rows that are objects are found by their keys


def read(cell: Cell) -> str:
    """The text of a cell."""
    container, key, _kind = cell
    return str(container.get(key) if isinstance(container, Obj) else container[key])


def write(cell: Cell, value: Node) -> None:
    """Replace the value of a cell."""
    container, key, _kind = cell
    if isinstance(container, Obj):
        container.put(key, value)
    else:
        container[key] = value


def _like(cell: Cell, text: str) -> Node:
    """`text` as a literal where the frame has numbers, as a string where it has strings."""
    container, key, _kind = cell
    old = container.get(key) if isinstance(container, Obj) else container[key]
    return Literal(text) if isinstance(old, Literal) else text


def _pick_cell(tree: Node, rng: Random, kind: str = "") -> Cell | None:
    found = [cell for cell in cells(tree) if kind in ("", cell[2])]
    return rng.choice(found) if found else None


def _rows(tree: Node) -> list[list[Node]]:
    """All arrays of level rows that are not empty."""
    return [
        value
        for node in objects(tree)
        for key, value in node
        if key in ROW_KEYS and isinstance(value, list) and not isinstance(value, Obj) and value
    ]


# --- values


def poison_value(tree: Node, rng: Random) -> str | None:
    """A price or quantity that is no number, out of range or not to be had exactly."""
    cell = _pick_cell(tree, rng)
    if cell is None:
        return None
    pool = BAD_PRICES if cell[2] == "price" else BAD_QUANTITIES
    text = rng.choice(BAD_NUMBERS if rng.random() < 0.7 else pool)
    write(cell, _like(cell, text) if JSON_NUMBER.fullmatch(text) else text)
    return dump(tree)


def poison_price(tree: Node, rng: Random) -> str | None:
    """A price of zero or less."""
    cell = _pick_cell(tree, rng, "price")
    if cell is None:
        return None
    write(cell, _like(cell, rng.choice(BAD_PRICES)))
    return dump(tree)


def poison_quantity(tree: Node, rng: Random) -> str | None:
    """A quantity below zero."""
    cell = _pick_cell(tree, rng, "qty")
    if cell is None:
        return None
    write(cell, _like(cell, rng.choice(BAD_QUANTITIES)))
    return dump(tree)


def bare_literal(tree: Node, rng: Random) -> str | None:
    """NaN, 01 and the like without quotes: not JSON at all."""
    cell = _pick_cell(tree, rng)
    if cell is None:
        return None
    write(cell, Literal(rng.choice(BAD_LITERALS)))
    return dump(tree)


def wrong_value_type(tree: Node, rng: Random) -> str | None:
    """An array, object, boolean or null where a price or quantity belongs."""
    cell = _pick_cell(tree, rng)
    if cell is None:
        return None
    write(cell, rng.choice([None, True, False, [], Obj(), ["1"], Obj([("v", "1")])]))
    return dump(tree)


def odd_zero(tree: Node, rng: Random) -> str | None:
    """A level deleted with an unusual zero."""
    cell = _pick_cell(tree, rng, "qty")
    if cell is None:
        return None
    write(cell, _like(cell, rng.choice(ODD_ZEROS)))
    return dump(tree)


def respelled(tree: Node, rng: Random) -> str | None:
    """The same values as 6400012E-2, 6.4e4 or with more zeros."""
    found = cells(tree)
    if not found:
        return None
    for cell in rng.sample(found, min(len(found), 1 + rng.randrange(6))):
        write(cell, _like(cell, _respell(read(cell), rng)))
    return dump(tree)


def _respell(text: str, rng: Random) -> str:
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    if not digits.replace(".", "", 1).isdigit() or digits[0] == "." or digits[-1] == ".":
        return text
    whole, _point, fraction = digits.partition(".")
    kind = rng.randrange(4)
    if kind == 0:
        return f"{sign}{int(whole + fraction)}{rng.choice('eE')}-{len(fraction)}"
    if kind == 1:
        return f"{text}{'' if fraction else '.'}{'0' * (1 + rng.randrange(5))}"
    units = str(int(whole + fraction))
    exponent = len(units) - 1 - len(fraction)
    mantissa = f"{units[0]}.{units[1:]}" if len(units) > 1 else units
    plus = "+" if kind == 2 and exponent >= 0 else ""
    return f"{sign}{mantissa}e{plus}{exponent}"


def other_value_kind(tree: Node, rng: Random) -> str | None:
    """A number as a string, or a string as a number."""
    cell = _pick_cell(tree, rng)
    if cell is None:
        return None
    text = read(cell)
    if not text.replace(".", "", 1).isdigit():
        return None
    write(cell, text if isinstance(_like(cell, text), Literal) else Literal(text))
    return dump(tree)


# --- shape


def wrong_shape(tree: Node, rng: Random) -> str | None:
    """A level row with too little, too much or the wrong thing in it."""
    rows = _rows(tree)
    if not rows:
        return None
    side = rng.choice(rows)
    at = rng.randrange(len(side))
    row = side[at]
    kind = rng.randrange(6)
    if kind == 0:
        side[at] = rng.choice([None, "1", Literal("1"), [], Obj()])
    elif kind == 1 and not isinstance(row, Obj):
        del row[1:]
    elif kind == 2 and not isinstance(row, Obj):
        row.append("1")
    elif kind == 3 and isinstance(row, Obj) and row:
        row.pop(rng.randrange(len(row)))
    elif kind == 4 and isinstance(row, Obj) and row.get("side") is not None:
        row.put("side", rng.choice(["ask", "buy", "", "BID", None]))
    else:
        side[at] = [row]
    return dump(tree)


def wrong_side_array(tree: Node, rng: Random) -> str | None:
    """Something else where an array of levels belongs."""
    found = [(node, key) for node in objects(tree) for key, value in node if key in ROW_KEYS and type(value) is list]
    if not found:
        return None
    node, key = rng.choice(found)
    node.put(key, rng.choice([None, "[]", Obj(), Literal("0"), True]))
    return dump(tree)


def missing_field(tree: Node, rng: Random) -> str | None:
    """One of the fields that a frame needs is gone."""
    found = [(node, key) for node in objects(tree) for key, _value in node if key in NEEDED_KEYS]
    if not found:
        return None
    node, key = rng.choice(found)
    node.remove_key(key)
    return dump(tree)


def wrong_id_type(tree: Node, rng: Random) -> str | None:
    """An id that is a string, a float, a boolean ..."""
    return _new_id(tree, rng, BAD_IDS)


def oversized_id(tree: Node, rng: Random) -> str | None:
    """An id that no signed 64-bit integer holds."""
    return _new_id(tree, rng, BIG_IDS)


def _new_id(tree: Node, rng: Random, pool: tuple[str, ...]) -> str | None:
    found = [(node, key) for node in objects(tree) for key, value in node if key in ID_KEYS and type(value) is Literal]
    if not found:
        return None
    node, key = rng.choice(found)
    node.put(key, Literal(rng.choice(pool)))
    return dump(tree)


def crossed_bid(tree: Node, rng: Random) -> str | None:
    """A bid far above the asks."""
    return _cross(tree, rng, ("b", "bids"), "bid", 3)


def crossed_ask(tree: Node, rng: Random) -> str | None:
    """An ask far below the bids."""
    return _cross(tree, rng, ("a", "asks"), "offer", 1)


def locked(tree: Node, _rng: Random) -> str | None:
    """A bid at the lowest ask of the frame, which stays."""
    for node in objects(tree):
        for bid_key, ask_key in (("b", "a"), ("bids", "asks"), ("updates", "updates")):
            bids, asks = node.get(bid_key), node.get(ask_key)
            if type(bids) is not list or type(asks) is not list:
                continue
            rows = [(Decimal(read(found[0])), row, found) for row in asks if (found := _ask_cells(row))]
            if not rows:
                continue
            _price, row, found = min(rows, key=lambda entry: entry[0])
            write(found[1], _like(found[1], "1"))
            bid = deepcopy(row)
            if isinstance(bid, Obj) and bid.get("side") is not None:
                bid.put("side", "bid")
            bids.append(bid)
            return dump(tree)
    return None


def _ask_cells(row: Node) -> list[Cell]:
    """Price and quantity of a row that is an ask with a good price, nothing for any other."""
    if isinstance(row, Obj):
        if row.get("side") not in (None, "offer"):
            return []
        found = cells(row)
    else:
        found = _row_cells(row)
    return found if len(found) == 2 and JSON_NUMBER.fullmatch(read(found[0])) else []


def _cross(tree: Node, rng: Random, names: tuple[str, ...], side: str, halves: int) -> str | None:
    """Add a level at half as many `halves` of some price of the frame to one side."""
    cell = _pick_cell(tree, rng, "price")
    if cell is None:
        return None
    price = _like(cell, _scaled(read(cell), halves))
    for node in objects(tree):
        for key, value in node:
            if key not in (*names, "updates") or type(value) is not list:
                continue
            row = _level(tree, key, price, side)
            if row is not None:
                value.insert(rng.randrange(len(value) + 1), row)
                return dump(tree)
    return None


def _level(tree: Node, key: str, price: Node, side: str) -> Node | None:
    """A new row like the rows of the frame, with that price and a quantity of 1."""
    samples = [row for rows in _rows(tree) for row in rows]
    if not samples:
        return None
    row = deepcopy(samples[0])
    if not isinstance(row, Obj):
        if not isinstance(row, list) or len(row) < 2:
            return None
        row[0], row[1] = price, "1"
        return row
    names = ("price_level", "new_quantity") if key == "updates" else ("price", "qty")
    if row.get(names[0]) is None or row.get(names[1]) is None:
        return None
    row.put(names[0], price)
    row.put(names[1], "1" if key == "updates" else Literal("1"))
    if key == "updates" and row.get("side") is not None:
        row.put("side", side)
    return row


def _scaled(text: str, halves: int) -> str:
    """Decimal text times halves / 2, exactly."""
    whole, _point, fraction = text.partition(".")
    if not (whole + fraction).isdigit():
        return text
    digits = str(int(whole + fraction) * halves * 5).rjust(len(fraction) + 2, "0")
    at = len(digits) - len(fraction) - 1
    return f"{digits[:at]}.{digits[at:]}"


def bad_checksum(tree: Node, rng: Random) -> str | None:
    """Another checksum."""
    node = next((node for node in objects(tree) if type(node.get("checksum")) is Literal), None)
    if node is None:
        return None
    node.put("checksum", Literal(str((int(node.get("checksum")) + 1 + rng.randrange(1000)) % (1 << 31))))
    return dump(tree)


def unknown_symbol(tree: Node, _rng: Random) -> str | None:
    """A symbol nobody asked for."""
    changed = False
    for node in objects(tree):
        for key, value in list(node):
            if key in SYMBOL_KEYS and type(value) is str:
                node.put(key, "ZZZ" + value)
                changed = True
            elif key == "topic" and type(value) is str and "." in value:
                kind, _point, symbol = value.rpartition(".")
                node.put(key, f"{kind}.ZZZ{symbol}")
            elif key == "stream" and type(value) is str:
                node.put(key, "zzz" + value)
    return dump(tree) if changed else None


def unknown_channel(tree: Node, rng: Random) -> str | None:
    """A channel nobody knows."""
    changed = False
    for node in objects(tree):
        for key, value in list(node):
            if key in CHANNEL_KEYS and type(value) is str:
                node.put(key, f"mystery{rng.randrange(9)}")
                changed = True
    return dump(tree) if changed else None


def emptied(tree: Node, _rng: Random) -> str | None:
    """All level rows gone: a lawful change of nothing."""
    rows = _rows(tree)
    for side in rows:
        side.clear()
    return dump(tree) if rows else None


# --- text


def truncated(tree: Node, rng: Random) -> str | None:
    """The first part of the frame."""
    text = dump(tree)
    return text[: rng.randrange(1, len(text))]


def garbage(tree: Node, rng: Random) -> str | None:
    """Something that was never JSON, or JSON that is no frame."""
    text = dump(tree)
    spoilt = [text + "}", text + text, f"({text})", text.replace(":", "=", 1), text.replace('"', "'"), text[::-1]]
    return rng.choice(["<html>502 Bad Gateway</html>", "", " ", "{", "}", "pong!", "\x00", "\ufeff" + text, *spoilt])


def not_a_frame(_tree: Node, rng: Random) -> str | None:
    """Good JSON that means nothing."""
    return rng.choice(["[]", "{}", "null", "1", '"x"', "[[]]", '{"a":1}', "[1,2]", '{"data":{}}', "true"])


def key_order(tree: Node, rng: Random) -> str | None:
    """The keys of all objects in another order."""
    for node in objects(tree):
        rng.shuffle(node)
    return dump(tree)


def whitespace(tree: Node, rng: Random) -> str | None:
    """Blanks, tabs and line ends between tokens."""
    blanks = [" ", "\t", "\n", "\r\n", "  "]
    return dump(tree, blank=lambda: rng.choice(blanks) if rng.random() < 0.3 else "")


def escapes(tree: Node, rng: Random) -> str | None:
    """Characters of keys and strings as \\uXXXX, slashes as \\/."""

    def string(text: str) -> str:
        return '"' + "".join([_escaped(char, rng) for char in text]) + '"'

    return dump(tree, string=string)


def _escaped(char: str, rng: Random) -> str:
    if char in '"\\' or ord(char) < 32 or (rng.random() < 0.15 and ord(char) < 0x10000):
        return f"\\u{ord(char):04x}"
    return "\\/" if char == "/" and rng.random() < 0.5 else char


def duplicate_key(tree: Node, rng: Random) -> str | None:
    """A key twice in one object, both times with the same value."""
    found = [node for node in objects(tree) if node]
    if not found:
        return None
    node = rng.choice(found)
    node.append(rng.choice(node))
    return dump(tree)


def conflicting_key(tree: Node, rng: Random) -> str | None:
    """A key twice in one object with different values."""
    found = [(node, key) for node in objects(tree) for key, value in node if isinstance(value, str)]
    if not found:
        return None
    node, key = rng.choice(found)
    value = node.get(key)
    other = Literal("7") if isinstance(value, Literal) else "7"
    node.insert(0 if rng.random() < 0.5 else len(node), (key, other))
    return dump(tree)


def extra_field(tree: Node, rng: Random) -> str | None:
    """Fields that nobody documented, with names and values in any script and braces inside strings."""
    values: list[Node] = [
        "\u4ef7\u683c",
        'a"]}b',
        "\U0001f680",
        Literal("1.5e3"),
        None,
        True,
        [[], Obj()],
        Obj([("u", Literal("1"))]),
    ]
    for node in list(objects(tree)):
        if rng.random() < 0.5:
            node.insert(rng.randrange(len(node) + 1), (rng.choice(["note", "x", "\u540d", 'q"t']), rng.choice(values)))
    return dump(tree)


EDITS: dict[str, Edit] = {
    "poison_value": poison_value,
    "poison_price": poison_price,
    "poison_quantity": poison_quantity,
    "bare_literal": bare_literal,
    "wrong_value_type": wrong_value_type,
    "odd_zero": odd_zero,
    "respelled": respelled,
    "other_value_kind": other_value_kind,
    "wrong_shape": wrong_shape,
    "wrong_side_array": wrong_side_array,
    "missing_field": missing_field,
    "wrong_id_type": wrong_id_type,
    "oversized_id": oversized_id,
    "crossed_bid": crossed_bid,
    "crossed_ask": crossed_ask,
    "locked": locked,
    "bad_checksum": bad_checksum,
    "unknown_symbol": unknown_symbol,
    "unknown_channel": unknown_channel,
    "emptied": emptied,
    "truncated": truncated,
    "garbage": garbage,
    "not_a_frame": not_a_frame,
    "key_order": key_order,
    "whitespace": whitespace,
    "escapes": escapes,
    "duplicate_key": duplicate_key,
    "conflicting_key": conflicting_key,
    "extra_field": extra_field,
}
RESPELLING = ("respelled", "other_value_kind")
BENIGN = ("respelled", "other_value_kind", "key_order", "whitespace", "escapes", "duplicate_key", "extra_field")
