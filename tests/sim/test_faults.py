"""Faults break what they name and nothing else, the same way for the same seed."""

import copy
import json
from decimal import Decimal
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gambit.sim.capture import Scene, scene_records
from gambit.sim.faults import FAULTS, apply, apply_in_chunks, encode_line, is_book_frame, is_depth_answer
from gambit.sim.frame_faults import BENIGN, EDITS, RESPELLING, cells, read
from gambit.sim.jsontree import Literal, Obj, dump, parse
from gambit.sim.market import SECOND_NS
from gambit.sim.wire import WireOptions

from .follower import Follower

VENUES = ("binance", "okx", "bybit", "kraken", "coinbase", "binance-coinm")
SEEDS = range(12)


@pytest.fixture(scope="module")
def stream():
    """About two seconds of six venues."""
    return list(scene_records(Scene(venues=VENUES, symbols=["BTC-USDT"], seconds=2.5, seed=3, depth=8)))


def changed(before, after):
    """Pairs of records that differ, for streams of one length."""
    assert len(before) == len(after)
    return [(old, new) for old, new in zip(before, after, strict=True) if old != new]


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_seeded_and_leaves_what_it_was_given(name, stream):
    """The same seed breaks the same way, some seed breaks something, and the given records stay as they were."""
    kept = copy.deepcopy(stream)
    broken = [apply(stream, [name], seed) for seed in SEEDS]
    assert broken == [apply(stream, [name], seed) for seed in SEEDS]
    assert stream == kept
    assert any(result != stream for result in broken)


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_changes_the_text_of_one_frame(name, stream):
    """Everything but one frame's data stays, its time and connection too."""
    for seed in SEEDS:
        for old, new in changed(stream, apply(stream, [name], seed)):
            assert {**old, "data": ""} == {**new, "data": ""}
        assert len(changed(stream, apply(stream, [name], seed))) <= 1


def meaning(node):
    """What JSON says: numbers and number strings by value, objects without order."""
    if isinstance(node, dict):
        return {key: meaning(value) for key, value in node.items() if key not in ("note", "x", "\u540d", 'q"t')}
    if isinstance(node, list):
        return [meaning(value) for value in node]
    if isinstance(node, str | int | float) and not isinstance(node, bool):
        try:
            return Decimal(str(node))
        except ArithmeticError:
            return node
    return node


@pytest.mark.parametrize("name", BENIGN)
def test_benign_edits_say_the_same_thing(name, stream):
    """A lawful other spelling has the same meaning for whoever reads JSON and decimals."""
    for seed in range(40):
        for old, new in changed(stream, apply(stream, [name], seed)):
            assert meaning(json.loads(new["data"], parse_float=str)) == meaning(
                json.loads(old["data"], parse_float=str)
            )


def test_a_follower_is_not_troubled_by_benign_edits():
    """A whole recording respelt frame by frame builds the same books, checksums included."""
    scene = Scene(
        venues=["kraken"], symbols=["BTC-USDT", "PEPE-USDT"], seconds=4, seed=1, options=WireOptions(repeats=False)
    )
    frames = [record["data"] for record in scene_records(scene) if record["t"] == "recv"]
    plain, other = Follower("kraken"), Follower("kraken")
    rng = Random(5)
    for text in frames:
        plain.hear(text)
        edit = EDITS[rng.choice([name for name in BENIGN if name not in RESPELLING])]
        other.hear(edit(parse(text), rng) or text)
    assert plain.books == other.books


def is_json(text):
    """Whether it is JSON, NaN and Infinity not allowed."""

    def refuse(name):
        raise ValueError(name)

    try:
        json.loads(text, parse_constant=refuse)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("name", ["bare_literal", "truncated", "garbage"])
def test_what_is_not_json_is_not_json(name, stream):
    """These edits leave nothing that a JSON reader takes."""
    for seed in range(60):
        for _old, new in changed(stream, apply(stream, [name], seed)):
            assert not is_json(new["data"])


@pytest.mark.parametrize("name", [name for name in EDITS if name not in ("bare_literal", "truncated", "garbage")])
def test_everything_else_is_json(name, stream):
    """The other edits are about meaning, not about JSON."""
    for seed in range(60):
        for _old, new in changed(stream, apply(stream, [name], seed)):
            assert is_json(new["data"]), new["data"]


def values(text):
    """All prices and quantities of a frame."""
    return [(kind, text) for *_where, kind, text in [(*cell, read(cell)) for cell in cells(parse(text))]]


@pytest.mark.parametrize(("name", "kind"), [("poison_price", "price"), ("poison_quantity", "qty")])
def test_poisoned_numbers_are_out_of_range(name, kind, stream):
    """Exactly one price is zero or less, one quantity less than zero."""
    for seed in range(30):
        for _old, new in changed(stream, apply(stream, [name], seed)):
            poisoned = [
                Decimal(text) for what, text in values(new["data"])
                if what == kind and (Decimal(text) < 0 or (kind == "price" and Decimal(text) == 0))
            ]  # fmt: skip
            assert len(poisoned) == 1


def test_poisoned_values_are_never_plain_good_numbers(stream):
    """A poisoned value is no number of the wire's grammar, not positive, or does not fit 18 digits and decimals."""
    for seed in range(80):
        for old, new in changed(stream, apply(stream, ["poison_value"], seed)):
            ((kind, text),) = [
                pair for pair, before in zip(values(new["data"]), values(old["data"]), strict=True) if pair != before
            ]
            try:
                value = Decimal(text.strip())
            except ArithmeticError:
                continue
            if not value.is_finite():
                continue
            fits = abs(value) < 10**18 and value == round(value, 18)
            digits = len(value.normalize().as_tuple().digits)
            in_range = value >= 0 if kind == "qty" else value > 0
            grammar = text[:1] not in "+. " and text[-1:] not in ". " and "_" not in text and text.isascii()
            assert not (fits and digits <= 18 and in_range and grammar)


def test_crossed_frames_cross(stream):
    """A bid at half as much again of some price of the frame, an ask at half of it."""
    for name, factor in (("crossed_bid", Decimal("1.5")), ("crossed_ask", Decimal("0.5"))):
        seen = 0
        for seed in range(30):
            for old, new in changed(stream, apply(stream, [name], seed)):
                before = [Decimal(text) for kind, text in values(old["data"]) if kind == "price"]
                added = [Decimal(text) for kind, text in values(new["data"]) if kind == "price"]
                for price in before:
                    added.remove(price)
                (price,) = added
                assert price / factor in before
                seen += 1
        assert seen > 15


def test_a_locked_frame_has_one_price_on_both_sides():
    """A reader who applies the frame finds a bid at the best ask or above it."""
    for venue in ("okx", "bybit", "coinbase"):
        seen = 0
        scene = Scene(venues=[venue], symbols=["BTC-USDT"], seconds=1.5, seed=4, depth=8)
        stream = list(scene_records(scene))
        for seed in range(20):
            follower = Follower(venue)
            for old, new in zip(stream, apply(stream, ["locked"], seed), strict=True):
                if old["t"] == "recv":
                    follower.hear(new["data"])
                if old != new and follower.books:
                    ((bids, asks),) = follower.books.values()
                    seen += max(bids) >= min(asks)
                    break
        assert seen > 5


def test_frames_are_lost_repeated_and_swapped(stream):
    """gap loses one book frame, lost_any any frame, duplicate adds one that was there, reorder swaps two."""
    for seed in SEEDS:
        assert len(apply(stream, ["gap"], seed)) == len(stream) - 1
        assert len(apply(stream, ["lost_any"], seed)) == len(stream) - 1
        twice = [record["data"] for record in apply(stream, ["duplicate"], seed) if record["t"] == "recv"]
        assert len(twice) - len(set(twice)) >= 1
        swapped = changed(stream, apply(stream, ["reorder"], seed))
        assert len(swapped) in (0, 2)
        if swapped:
            (first, first_now), (second, second_now) = swapped
            assert (first_now["data"], second_now["data"]) == (second["data"], first["data"])
            assert (first_now["ts"], second_now["ts"]) == (first["ts"], second["ts"])
            assert first["conn"] == second["conn"]


def test_connections_break(stream):
    """close, reconnect and second_connect add their records in place; takeover moves frames to a new connection."""
    for seed in SEEDS:
        kinds = {
            name: [record["t"] for record in apply(stream, [name], seed) if record not in stream]
            for name in ("close", "reconnect", "second_connect")
        }
        assert kinds == {"close": ["close"], "reconnect": ["close", "connect"], "second_connect": ["connect"]}
        moved = changed(stream, apply(stream, ["takeover"], seed))
        assert moved
        assert all(new["conn"] == old["conn"] + "b" and is_book_frame(old) for old, new in moved) or all(
            new["conn"] == old["conn"] + "b" for old, new in moved
        )


def test_time_faults(stream):
    """ts_back steps back once; hole delays all that follows; silence loses one connection's frames for a while."""
    for seed in SEEDS:
        assert sum(new["ts"] < old["ts"] for old, new in changed(stream, apply(stream, ["ts_back"], seed))) <= 1
        held = apply(stream, ["hole"], seed)
        times = [record["ts"] for record in held if "ts" in record]
        steps = [after - before for before, after in pairwise(times)]
        assert len(held) == len(stream)
        assert max(steps) > 1.6 * SECOND_NS or held[0] != stream[0] or times[0] != stream[1]["ts"]
        quiet = apply(stream, ["silence"], seed)
        lost = [record for record in stream if record not in quiet]
        assert lost
        assert {record["t"] for record in lost} == {"recv"}
        assert len({record["conn"] for record in lost}) == 1


def test_snapshot_faults(stream):
    """Depth answers come late, early, too old, twice or without a symbol in their URL."""
    for seed in SEEDS:
        answers = [record for record in stream if is_depth_answer(record)]
        early = apply(stream, ["early_snapshot"], seed)
        assert is_depth_answer(early[1])
        assert early[1]["ts"] == stream[1]["ts"]
        late = apply(stream, ["late_snapshot"], seed)
        assert sorted(map(str, late)) != sorted(map(str, stream)) or late != stream
        ((old, new),) = changed(stream, apply(stream, ["old_snapshot"], seed))
        assert json.loads(new["data"])["lastUpdateId"] < json.loads(old["data"])["lastUpdateId"]
        repeated = apply(stream, ["repeated_snapshot"], seed)
        assert len([record for record in repeated if is_depth_answer(record)]) == len(answers) + 1
        ((_old, nameless),) = changed(stream, apply(stream, ["nameless_snapshot"], seed))
        assert "symbol=" not in nameless["url"]


def test_lines_that_are_no_records(stream):
    """Half a line and rubbish are written as they are; they never parse as a record with all its fields."""
    for name in ("half_line", "rubbish_line"):
        for seed in range(40):
            (line,) = [encode_line(record) for record in apply(stream, [name], seed) if record["t"] == "line"]
            assert line.endswith(b"\n")
            assert line.count(b"\n") == 1
            try:
                record = json.loads(line)
            except ValueError:
                continue
            good = isinstance(record, dict) and type(record.get("ts")) is int and record.get("t") == "recv"
            assert not (good and isinstance(record.get("data"), str))


def test_unknown_names_are_refused(stream):
    """The message names the fault and the known ones."""
    with pytest.raises(ValueError, match="no fault is called 'earthquake'; known are gap"):
        apply(stream, ["earthquake"], 1)


def test_an_empty_stream_stays_empty():
    """No fault falls over a stream without records, but for the line of rubbish it may hold."""
    for name in FAULTS:
        assert [record for record in apply([], [name], 1) if record["t"] != "line"] == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(sorted(FAULTS)), max_size=12), st.integers(0, 2**32))
def test_faults_compose(names, seed):
    """Any faults one after the other give records that can be written."""
    scene = Scene(venues=["binance", "kraken", "coinbase"], symbols=["BTC-USDT"], seconds=1, seed=seed, depth=5)
    for record in apply(list(scene_records(scene)), names, seed):
        assert encode_line(record).endswith(b"\n")


def test_a_long_stream_is_broken_chunk_by_chunk():
    """One round per chunk, lazily."""
    records = [{"t": "recv", "ts": at, "conn": "c", "data": f'{{"e":"depthUpdate","u":{at}}}'} for at in range(4000)]
    taken = []

    def counted():
        for record in records:
            taken.append(record)
            yield record

    broken = apply_in_chunks(counted(), ["gap"], 1)
    next(broken)
    assert len(taken) < 2000
    assert 1 + sum(1 for _ in broken) == 4000 - 3


# --- the tree under them

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_a_tree_keeps_what_json_says(value):
    """Text to tree to text is the same value, and a second time the same text."""
    text = json.dumps(value)
    assert json.loads(dump(parse(text))) == value
    assert dump(parse(dump(parse(text)))) == dump(parse(text))


def test_a_tree_keeps_spelling_order_and_repeats():
    """Numbers keep their digits, keys their order and number."""
    text = '{"b":1.500,"a":1E-8,"b":-0,"c":[12345678901234567890,NaN]}'
    assert dump(parse(text)) == text
    tree = parse(text)
    assert tree.get("b") == "1.500"
    tree.put("b", Literal("2"))
    tree.remove_key("a")
    assert dump(tree) == '{"b":2,"b":-0,"c":[12345678901234567890,NaN]}'
    assert Obj().get("none") is None
