"""The scanner accepts a frame only when the slow decoder reads the very same parts out of it."""

import json
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambit._core.scan import Scanner
from gambit.venues import VENUES
from gambit.venues.decode import Decoded, decode
from gambit.venues.wire import Action, Key, Kind, Rule, Wire
from tests.core.frames import edited, frames, is_json, sample, scratched
from tests.core.profile import examples

WIRES = {venue.wire.rule.name: venue.wire for venue in VENUES.values()}
SCANNERS = {name: Scanner(wire) for name, wire in WIRES.items()}
SPEAKERS = {name: [venue for venue, it in VENUES.items() if it.wire is wire] for name, wire in WIRES.items()}
# What the decoder may complain about in a frame that the scanner accepts: a container of another kind is to the
# scanner as if it were not there, and whoever needs it (tests/core/test_hot.py) asks the decoder then.
HARMLESS = ("is not an object", "is not an array", "is not an array of levels")

every_wire = pytest.mark.parametrize("name", sorted(WIRES))


def agree(scanned: Sequence[dict[str, Any]], decoded: Decoded) -> None:
    """Both read the same: integers, texts, which sides there are, and the levels of each side in their order."""
    assert len(scanned) == len(decoded.parts)
    for index, (ours, slow) in enumerate(zip(scanned, decoded.parts, strict=True)):
        assert ours["ints"] == slow.ints
        assert ours["texts"] == {slot: text.decode() for slot, text in slow.texts.items()}
        assert ours["sides"] == slow.sides
        # the first part is the whole frame and holds the levels of all
        levels = slow.levels if index else [level for part in decoded.parts for level in part.levels]
        for side in (0, 1):
            assert [v for v in ours["levels"] if v[0] == side] == [v for v in levels if v[0] == side]
    for _, what in decoded.problems:
        assert what.endswith(HARMLESS)


def check(name: str, frame: bytes) -> bool:
    """The promise of this file for one frame; whether the scanner accepted it."""
    scanned = SCANNERS[name].scan(frame)
    if scanned is None:
        return False
    assert is_json(frame)
    agree(scanned, decode(WIRES[name], frame))
    return True


@pytest.mark.parametrize("venue", sorted(VENUES))
def test_ordinary_traffic_never_needs_the_decoder(venue):
    """The scanner accepts every frame that the simulated venue sends, and reads the same as the decoder."""
    name = VENUES[venue].wire.rule.name
    refused = [frame for frame in frames(venue) if not check(name, frame)]
    assert not refused


@every_wire
@examples(1)
@given(st.integers(0, 2**32))
def test_edited_frames_are_read_as_the_decoder_does(name, seed):
    """Whatever a careless sender makes of a frame, the scanner refuses it or reads what the decoder reads."""
    rng = Random(seed)
    for frame in sample(rng.choice(SPEAKERS[name]), 4, rng):
        broken = edited(frame, rng)
        try:
            check(name, broken)
        except AssertionError as error:
            raise AssertionError(f"{broken!r}") from error


@every_wire
@examples(3)
@given(st.integers(0, 2**32))
def test_scratched_frames_are_read_as_the_decoder_does(name, seed):
    """Whatever bytes of a frame are changed, lost or moved, the scanner refuses it or reads what the decoder reads."""
    rng = Random(seed)
    for frame in sample(rng.choice(SPEAKERS[name]), 4, rng):
        broken = scratched(frame, rng)
        try:
            check(name, broken)
        except AssertionError as error:
            raise AssertionError(f"{broken!r}") from error


@every_wire
def test_frame_cut_anywhere_is_refused(name):
    """No beginning of a frame is a frame."""
    rng = Random(name)
    scan = SCANNERS[name].scan
    for frame in sample(rng.choice(SPEAKERS[name]), 30, rng):
        assert scan(frame) is not None
        for end in range(len(frame)):
            assert scan(frame[:end]) is None, frame[:end]


@every_wire
def test_frame_with_the_next_behind_it_is_refused(name):
    """What follows a frame, whole or cut, is never taken for a part of it."""
    rng = Random(name)
    scan = SCANNERS[name].scan
    for frame in sample(rng.choice(SPEAKERS[name]), 30, rng):
        following = rng.choice(frames(rng.choice(SPEAKERS[name])))
        for end in range(1, min(len(following), 64)):
            assert scan(frame + following[:end]) is None
        assert scan(frame + following) is None
        assert scan(frame + b" \r\n\t") == scan(frame)
        assert scan(frame + b"\0") is None


# ---- frames that no venue sends: the keys of the wire description in any place, with any value ----

NUMBERS = (
    "0", "-0", "1", "12", "0.5", "-1", "1.50", "1e3", "1E-3", "0.000", "123456789.123456789", "1e-18", "1e-19", "1e18",
    "9223372036854775807", "9223372036854775808", "-9223372036854775807", "999999999999999999", "1000000000000000000",
    "12345678901234567", "123456789012345678901", "0e5",
)  # fmt: skip
PLAIN_NUMBERS = ("1", "12", "0.5", "1.50", "64000.10", "0.00000001", "1e3", "0", "0.000", "17", "18")
WORDS = (
    "", "bid", "offer", "snapshot", "update", "BTC-USDT", "x" * 40, "01", ".5", "+1", "a b", r"\u0031", r"\n", r"\"",
    "\u00e9", "\x01", "\x7f",
)  # fmt: skip
LITERALS = ("true", "false", "null", "NaN", "truee", "01", "[]", "{}", "[1,{}]", '{"a":[]}')
SPACES = ("", "", "", " ", "\n\t")
NAMES = ("snapshot", "update", "BTC-USDT", "depthUpdate", "bid", "2026-08-01T02:53:53.646219Z", "")
UNKNOWN = Key("note", Action.SKIP)


class MadeUp:
    """Frames that hold to a wire description, some well, some hardly, from a seed."""

    def __init__(self, wire: Wire, rng: Random) -> None:
        self.wire = wire
        self.rng = rng
        self.oddness = 0.0

    def frame(self) -> bytes:
        self.oddness = self.rng.choice((0.0, 0.02, 0.15))
        return self.object(0, 0).encode()

    def is_odd(self) -> bool:
        return self.rng.random() < self.oddness

    def number(self) -> str:
        text = self.rng.choice(NUMBERS if self.is_odd() else PLAIN_NUMBERS)
        return text if self.rng.random() < 0.5 else f'"{text}"'

    def scalar(self) -> str:
        if self.is_odd():
            return self.rng.choice(LITERALS)
        return self.number() if self.rng.random() < 0.4 else f'"{self.rng.choice(WORDS if self.is_odd() else NAMES)}"'

    def row(self) -> str:
        if not self.is_odd():
            return f"[{self.number()},{self.number()}]"
        return "[" + ",".join(self.scalar() for _ in range(self.rng.randrange(5))) + "]"

    def value(self, key: Key, depth: int) -> str:
        """Mostly a value that belongs to the key, else any."""
        rng = self.rng
        if self.is_odd() or depth > 3:
            return self.scalar()
        match key.action:
            case Action.INT | Action.MAYBE_INT:
                return rng.choice(("0", "7", "-1", "1750000000123"))
            case Action.PRICE | Action.QTY:
                return self.number()
            case Action.OBJECT:
                return self.object(key.node, depth + 1)
            case Action.PARTS | Action.LEVELS:
                return "[" + ",".join(self.object(key.node, depth + 1) for _ in range(rng.randrange(3))) + "]"
            case Action.ROWS | Action.ROWS_OR_TEXT:
                return "[" + ",".join(self.row() for _ in range(rng.randrange(4))) + "]"
            case Action.SIDE:
                return rng.choice(('"bid"', '"offer"'))
        return self.scalar()

    def object(self, node: int, depth: int) -> str:
        """Keys of a node in any order, now and then one twice or one that nobody knows."""
        rng = self.rng
        keys = list(self.wire.nodes[node])
        keys = rng.sample(keys, rng.choice((len(keys), rng.randrange(len(keys) + 1))))
        if self.is_odd():
            keys.insert(rng.randrange(len(keys) + 1), rng.choice([*keys, UNKNOWN]))
        space = rng.choice(SPACES) if self.is_odd() else ""
        fields = [f'{space}"{key.name}"{space}:{space}{self.value(key, depth)}{space}' for key in keys]
        return "{" + ",".join(fields) + "}"


@every_wire
@examples(1)
@given(st.integers(0, 2**32))
def test_any_object_is_read_as_the_decoder_does(name, seed):
    """Keys of the wire description in any order and number, with any values, are refused or read as by the decoder."""
    made_up = MadeUp(WIRES[name], Random(seed))
    for _ in range(30):
        frame = made_up.frame()
        try:
            check(name, frame)
        except AssertionError as error:
            raise AssertionError(f"{frame!r}") from error


@every_wire
def test_made_up_objects_say_something(name):
    """A good share of the objects of the test above is accepted, levels and parts among them."""
    made_up = MadeUp(WIRES[name], Random(7))
    scanned = [SCANNERS[name].scan(made_up.frame()) for _ in range(2000)]
    accepted = [parts for parts in scanned if parts is not None]
    assert len(accepted) > len(scanned) / 20
    assert any(part["levels"] for parts in accepted for part in parts)
    assert any(part["ints"] and part["texts"] for parts in accepted for part in parts)


# ---- limits ----


def nested(levels: int) -> bytes:
    return b'{"note":' + b"[" * levels + b"]" * levels + b"}"


def test_deep_nesting_is_left_to_the_decoder():
    """Containers are followed 31 deep; deeper ones, however deep, are refused without harm."""
    scan = SCANNERS["DIFF"].scan
    assert scan(nested(31)) is not None
    assert [scan(nested(levels)) for levels in (33, 1000, 1_000_000)] == [None, None, None]


def test_many_levels_are_all_read():
    """A frame of some ten thousand levels grows the scanner's memory and loses none."""
    rows = [[str(k + 1), "1"] for k in range(20_000)]
    frame = json.dumps({"e": "depthUpdate", "b": rows, "a": rows[:10]}, separators=(",", ":")).encode()
    (part,) = SCANNERS["DIFF"].scan(frame)
    assert [price for side, price, *_ in part["levels"] if side == 0] == list(range(1, 20_001))
    assert len(part["levels"]) == 20_010


def test_too_many_parts_are_left_to_the_decoder():
    """A frame of more than 4096 parts is refused, one of less is read."""
    scan = SCANNERS["CHECKSUM"].scan
    few, many = (b'{"data":[' + b",".join([b"{}"] * count) + b"]}" for count in (4095, 5000))
    assert len(scan(few)) == 4096
    assert scan(many) is None


@pytest.mark.parametrize(
    "nodes",
    [
        ((Key("k" * 24, Action.INT),),),
        (tuple(Key(f"k{k}", Action.INT) for k in range(25)),),
        ((Key("k", Action.OBJECT, node=1),),),
        ((Key("k", Action.INT, arg=6),),),
        ((Key("k", Action.MAYBE_INT, arg=-1),),),
        ((Key("k", Action.TEXT, arg=11),),),
        ((Key("k", Action.ROWS_OR_TEXT, arg=11 << 1),),),
        ((Key("k", Action.LEVELS, arg=3, node=0),),),
    ],
)
def test_description_that_does_not_fit_is_refused(nodes):
    """A key that is too long, too many keys, a node or a slot that does not exist make no scanner."""
    with pytest.raises(ValueError, match="k"):
        Scanner(Wire(rule=Rule.DIFF, nodes=nodes, kinds=(), types={}, bare_kind=Kind.UNKNOWN))
