"""The streams are what they promise: the same for the same seed, never crossed, and their truth is what they say."""

from __future__ import annotations

import json
import zlib
from decimal import Decimal
from typing import Any

import pytest

from benchmarks.frames import CHANGES, DIALECTS, KINDS, make_stream

Sides = tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_gives_same_bytes(kind: str) -> None:
    """A stream depends on its arguments alone."""
    assert make_stream(kind, 10, 300, seed=7) == make_stream(kind, 10, 300, seed=7)
    assert make_stream(kind, 10, 300, seed=7).frames != make_stream(kind, 10, 300, seed=8).frames


@pytest.mark.parametrize("dialect", DIALECTS)
def test_depth_frames_lead_to_the_true_book(dialect: str) -> None:
    """Applied as plain JSON, level by level, the frames give the book that the stream states; no state is crossed."""
    stream = make_stream("depth", [dialect], 300)
    sides: Sides = {}, {}
    for frame in [stream.openings[0][-1].body, *stream.frames]:
        message = json.loads(frame, parse_float=Decimal)
        rows = _rows(dialect, message)
        for side, changes in zip(sides, rows, strict=True):
            for price, quantity in changes:
                if not side.pop(price, None) and not quantity:
                    raise AssertionError(f"{dialect}: deletion of a level that is not there: {price}")
                if quantity:
                    side[price] = quantity
        assert max(sides[0]) < min(sides[1])
        if frame is not stream.openings[0][-1].body:
            assert [len(changes) for changes in rows] == [CHANGES, CHANGES]
        if dialect == "kraken":
            assert message["data"][0]["checksum"] == _crc(sides)
    truth = stream.books[0]
    assert [(Decimal(t) / 10, Decimal(q) / 10**8) for t, q in truth.bids] == sorted(sides[0].items())[::-1]
    assert [(Decimal(t) / 10, Decimal(q) / 10**8) for t, q in truth.asks] == sorted(sides[1].items())


def _rows(dialect: str, message: Any) -> list[list[tuple[Decimal, Decimal]]]:
    if dialect == "coinbase":
        updates = message["events"][0]["updates"]
        return [
            [(Decimal(u["price_level"]), Decimal(u["new_quantity"])) for u in updates if u["side"] == side]
            for side in ("bid", "offer")
        ]
    data = message.get("data", message)
    if isinstance(data, list):
        data = data[0]
    if dialect == "kraken":
        return [[(row["price"], row["qty"]) for row in data[side]] for side in ("bids", "asks")]
    names = ("bids", "asks") if "bids" in data else ("b", "a")
    return [[(Decimal(row[0]), Decimal(row[1])) for row in data[side]] for side in names]


def _crc(sides: Sides) -> int:
    best = sorted(sides[1].items())[:10], sorted(sides[0].items())[::-1][:10]
    rows = (f"{price:.1f}{quantity:.8f}" for side in best for price, quantity in side)
    digits = "".join(_digits(row) for row in rows)
    return zlib.crc32(digits.encode())


def _digits(row: str) -> str:
    price, quantity = row[: row.index(".") + 2], row[row.index(".") + 2 :]
    return price.replace(".", "").lstrip("0") + quantity.replace(".", "").lstrip("0")
