"""What all venues have in common: their table, requests, and descriptions that scanner and decoder can both run."""

import json
import re

import pytest

from gambit.venues import CAPTURE_NAMES, VENUES
from gambit.venues.wire import Action, BadFrame, Rule, in_chunks, packed

COMPILED_ENUMS = "gambit/_core/scan.pyx"


def test_the_table_of_venues() -> None:
    """Each venue knows its own name; other names lead to one of them."""
    assert all(venue.name == name for name, venue in VENUES.items())
    assert set(CAPTURE_NAMES.values()) <= VENUES.keys()
    assert not CAPTURE_NAMES.keys() & VENUES.keys()


@pytest.mark.parametrize("name", VENUES)
def test_descriptions_are_whole(name: str) -> None:
    """Keys of a node are different, nodes that are named exist, and kinds say what they carry."""
    wire = VENUES[name].wire
    for node in wire.nodes:
        names = [key.name for key in node]
        assert len(set(names)) == len(names)
        assert all(0 <= key.node < len(wire.nodes) for key in node)
        assert all(len(name) <= 24 for name in names)
    assert len({(kind.text, kind.is_prefix) for kind in wire.kinds}) == len(wire.kinds)
    assert wire.rule in Rule


def test_actions_are_those_of_the_scanner(pytestconfig: pytest.Config) -> None:
    """The numbers stand twice, in Python and in the kernel; they are the same."""
    source = (pytestconfig.rootpath / COMPILED_ENUMS).read_text()
    compiled = {name: int(number) for name, number in re.findall(r"^    [AL]_(\w+) = (\d+)", source, re.MULTILINE)}
    assert compiled == {action.name: action.value for action in Action}


def test_requests_have_no_white_space() -> None:
    """And are what json reads back."""
    body = {"op": "subscribe", "args": [{"a": 1}, "b c"]}
    assert packed(body) == b'{"op":"subscribe","args":[{"a":1},"b c"]}'
    assert json.loads(packed(body)) == body


def test_chunks() -> None:
    """All items in their order, none twice, no chunk empty."""
    items = [str(number) for number in range(7)]
    assert in_chunks(items, 3) == [items[:3], items[3:6], items[6:]]
    assert in_chunks([], 3) == []


@pytest.mark.parametrize("name", VENUES)
def test_subscriptions_are_json(name: str) -> None:
    """For depth and for best prices, one frame at least, every spelling in one of them."""
    for source in ("depth", "bbo"):
        requests = VENUES[name].subscribe(["AAABBB"], source=source, depth=0)
        assert requests
        assert all(isinstance(json.loads(request.data), dict) for request in requests)
        assert sum("aaabbb" in request.data.decode().lower() for request in requests) == 1


def test_a_bad_frame_says_why_and_whose() -> None:
    """The reason is its text."""
    error = BadFrame("too old", "AAABBB")
    assert (str(error), error.reason, error.spelling) == ("too old", "too old", "AAABBB")
    assert BadFrame("x").spelling is None
