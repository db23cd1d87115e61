"""The careful decoder: strict JSON, exact numbers, and a sentence about everything that is wrong."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambit.venues import VENUES
from gambit.venues.decode import LEVELS_MAX, NotJson, as_int, decode, load_json, read_levels
from gambit.venues.wire import CHECKSUM, FIRST, HAS_PARTS, ID, PREV, SYMBOL
from tests.core.profile import examples

OKX = VENUES["okx"].wire
BINANCE = VENUES["binance"].wire
COINBASE = VENUES["coinbase"].wire


def level(price: str, qty: str) -> tuple[Decimal, Decimal, int, int]:
    """Price and quantity of one row, and their decimals as written."""
    ((_side, pm, pdec, pwire, qm, qdec, qwire),) = read_levels([[price, qty]], 0)
    return Decimal(pm).scaleb(-pdec), Decimal(qm).scaleb(-qdec), pwire, qwire


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "{", "}", "nul", "NaN", "Infinity", "-Infinity", '{"a":NaN}', "01", "+1", ".5", "1.", "1e", "'x'",
        "{a:1}", '{"a":1,}', "[1,]", '"\t"', '"\\x"', "1 2", "{}x", "\ufeff{}",
    ],
)  # fmt: skip
def test_what_is_not_json(text: str) -> None:
    """Nothing that the standard does not allow is read."""
    with pytest.raises(NotJson):
        load_json(text.encode())


def test_bytes_that_are_no_text() -> None:
    """Nor is what is no UTF-8, nor what is nested beyond reason."""
    for data in (b"\xff", b'"\xc3"', b"[" * 100_000):
        with pytest.raises(NotJson):
            load_json(data)


def test_numbers_keep_their_text() -> None:
    """Nothing goes through a float."""
    message = load_json(b'{"a":0.10000000000000000000001,"b":1E-8,"c":-0,"d":12345678901234567890123}')
    assert message == {"a": "0.10000000000000000000001", "b": "1E-8", "c": "-0", "d": "12345678901234567890123"}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5", 5),
        ("-5", -5),
        ("0", 0),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", None),
        ("-9223372036854775808", None),
        ("5.0", None),
        ("5e1", None),
        ('"5"', None),
        ("true", None),
        ("null", None),
        ("[5]", None),
        ("123456789012345678901234567890", None),
    ],
)
def test_ids_are_json_integers(text: str, number: int | None) -> None:
    """Below 2^63 either way (D8)."""
    assert as_int(load_json(text.encode())) == number


@pytest.mark.parametrize(
    ("price", "qty", "expected"),
    [
        ("1.50", "2", (Decimal("1.5"), 2, 2, 0)),
        ("0.0000000341", "400000000000", (Decimal("3.41e-8"), Decimal("4e11"), 10, 0)),
        ("6.4e4", "1E-18", (64000, Decimal("1e-18"), 0, 18)),
        ("999999999999999999", "0", (999999999999999999, 0, 0, 0)),
        ("1.000000000000000000000", "-0", (1, 0, 21, 0)),
        ("00012.5", "0e5", (Decimal("12.5"), 0, 1, 0)),
    ],
)
def test_values_are_exact(price: str, qty: str, expected: tuple[object, ...]) -> None:
    """18 digits, 18 decimals, below 1e18; trailing zeros do not count (R20, R21)."""
    assert level(price, qty)[:2] == expected[:2]


@pytest.mark.parametrize(
    "number",
    [
        "", " 1", "1 ", "+1", "1,0", "1_0", "0x1", ".5", "5.", "1e", "--1", "1.2.3", "NaN", "inf", "\u0661", "1e18",
        "1e-19", "1234567890123456789", "1.234567890123456789", "1e400", "1e99999999999999999999",
    ],
)  # fmt: skip
@pytest.mark.parametrize("part", ["price", "quantity"])
def test_values_that_do_not_fit(number: str, part: str) -> None:
    """The message names the part."""
    row = [number, "1"] if part == "price" else ["1", number]
    with pytest.raises(ValueError, match=f"^{part} "):
        read_levels([row], 0)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (None, "a side of the book is not an array"),
        ({}, "a side of the book is not an array"),
        (["1"], "level '1' has the wrong shape"),
        ([["1"]], "level \\['1'\\] has the wrong shape"),
        ([["1", "1", "1"]], "level .* has the wrong shape"),
        ([["0", "1"]], "price '0' is not positive"),
        ([["-0", "1"]], "price '-0' is not positive"),
        ([["-1", "1"]], "price '-1' is not positive"),
        ([["1", "-1"]], "quantity '-1' is negative"),
        ([[True, "1"]], "price True is neither a string nor a number"),
        ([["1", None]], "quantity None is neither a string nor a number"),
        ([["1", ["1"]]], "quantity \\['1'\\] is neither a string nor a number"),
    ],
)
def test_rows_that_are_no_levels(rows: object, reason: str) -> None:
    """What is wrong with which row."""
    with pytest.raises(ValueError, match=f"^{reason}$"):
        read_levels(rows, 1)


def test_rows_may_have_more_where_the_venue_says_so() -> None:
    """OKX rows have four, of which two matter."""
    assert len(read_levels([["1", "2", "0", {"any": []}]], 1, row_extra=True)) == 1
    with pytest.raises(ValueError, match="wrong shape"):
        read_levels([["1"]], 1, row_extra=True)


def test_parts_of_a_frame() -> None:
    """The frame itself first, then one for each entry, with ids, texts, sides and levels where the wire has them."""
    decoded = decode(
        OKX,
        b'{"arg":{"channel":"books","instId":"A-B"},"action":"update","data":[{"asks":[["2","1","0","1"]],"bids":[],'
        b'"ts":"5","checksum":-7,"prevSeqId":3,"seqId":4}]}',
    )
    head, part = decoded.parts
    assert decoded.problems == []
    assert (head.ints, head.levels, head.sides) == ({}, [], HAS_PARTS)
    assert part.ints == {ID: 4, PREV: 3, CHECKSUM: -7}
    assert (part.sides, len(part.levels)) == (3, 1)
    assert decoded.spelling(1) == "A-B"
    assert decoded.spellings(implicit_part=False) == ["A-B"]


def test_books_are_named_once_in_their_order() -> None:
    """However often a frame mentions them."""
    frame = ",".join(f'{{"type":"update","product_id":"{name}","updates":[]}}' for name in ("B-X", "A-X", "B-X"))
    decoded = decode(COINBASE, f'{{"channel":"l2_data","sequence_num":1,"events":[{frame}]}}'.encode())
    assert decoded.spellings(implicit_part=False) == ["B-X", "A-X"]


@pytest.mark.parametrize(
    ("levels", "reason"),
    [
        ("5", "updates is not an array of levels"),
        ("[5]", "level '5' is not an object"),
        ('[{"side":"ask","price_level":"1","new_quantity":"1"}]', "level side 'ask' is neither bid nor offer"),
        ('[{"side":"bid","new_quantity":"1"}]', "lacks price_level"),
        ('[{"side":"bid","price_level":"1"}]', "lacks new_quantity"),
        ('[{"side":"bid","price_level":"0","new_quantity":"1"}]', "price '0' is not positive"),
    ],
)
def test_level_objects_that_are_no_levels(levels: str, reason: str) -> None:
    """The part is named, the other parts are whole."""
    good = '{"type":"update","product_id":"A-B","updates":[{"side":"offer","price_level":"1","new_quantity":"2"}]}'
    bad = f'{{"type":"update","product_id":"C-D","updates":{levels}}}'
    decoded = decode(COINBASE, f'{{"channel":"l2_data","sequence_num":1,"events":[{good},{bad}]}}'.encode())
    ((part, what),) = decoded.problems
    assert part == 2
    assert reason in what
    assert len(decoded.parts[1].levels) == 1


def test_parts_that_are_no_objects() -> None:
    """Each is a problem of its own; so is something else where the array belongs."""
    assert decode(OKX, b'{"data":[5,{"seqId":1}]}').problems == [(1, "an element of data is not an object: '5'")]
    assert decode(OKX, b'{"data":5}').problems == [(0, "data is not an array")]


def test_sides_beyond_reason() -> None:
    """More levels than any book has are no book."""
    with pytest.raises(ValueError, match=f"^{LEVELS_MAX + 1} levels a side$"):
        read_levels([["1", "1"]] * (LEVELS_MAX + 1), 0)


@pytest.mark.parametrize(
    ("frame", "problem"),
    [
        ('{"e":"depthUpdate","s":"AB","U":"1","u":2,"b":[],"a":[]}', (0, "U is not an integer: '1'")),
        ('{"e":"depthUpdate","s":"AB","U":1,"u":2.0,"b":[],"a":[]}', (0, "u is not an integer: '2.0'")),
        ('{"e":"depthUpdate","s":"AB","U":1,"u":2,"b":{},"a":[]}', (0, "b is not an array")),
        ('{"e":"depthUpdate","s":"AB","U":1,"u":2,"b":[],"a":[["1","x"]]}', (0, "quantity ")),
        ('{"stream":"x","data":[]}', (0, "data is not an object")),
    ],
)
def test_problems(frame: str, problem: tuple[int, str]) -> None:
    """In which part, and what."""
    ((part, what),) = decode(BINANCE, frame.encode()).problems
    assert part == problem[0]
    assert what.startswith(problem[1])


def test_the_last_of_two_equal_keys_counts() -> None:
    """As JSON readers have it."""
    head = decode(BINANCE, b'{"e":"x","U":1,"U":2,"s":"A","s":"B"}').parts[0]
    assert (head.ints[FIRST], head.texts[SYMBOL]) == (2, b"B")


@examples(1.0)
@given(st.sampled_from(list(VENUES)), st.binary(max_size=200))
def test_any_bytes_are_json_or_not(venue: str, data: bytes) -> None:
    """Nothing else can happen."""
    try:
        load_json(data)
    except NotJson:
        with pytest.raises(NotJson):
            decode(VENUES[venue].wire, data)
    else:
        assert decode(VENUES[venue].wire, data).parts
