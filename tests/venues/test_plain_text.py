"""What a venue says can be written down, whatever characters its JSON spells."""

import json

import pytest

from gambit.events import written
from gambit.model import VenueNotice
from gambit.venues import VENUES
from gambit.venues.account import Account
from gambit.venues.decode import decode
from gambit.venues.plain_text import writable
from gambit.venues.reading import loaded
from tests.venues.orderly import ID, NOW_NS, PLACED, market
from tests.venues.test_okx_orders import LANGUAGE

HALF = rb"\ud83d"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (rb'{"a":"x\ud800y","b":["\udfff"]}', {"a": "x?y", "b": ["?"]}),
        (rb'{"\ud800":{"c":"\ud83d\ude00"}}', {"?": {"c": "\U0001f600"}}),
        (rb'{"a":"\u2603","n":1}', {"a": "\u2603", "n": 1}),
    ],
)
def test_halves_of_pairs_are_exchanged(raw: bytes, message: object) -> None:
    """And nothing else: whole pairs and other characters stay."""
    assert writable(json.loads(raw), raw) == message


def test_nothing_is_copied_where_nothing_is_escaped() -> None:
    """The message itself comes back."""
    message = {"a": ["\u2603"]}
    assert writable(message, '{"a":["\u2603"]}'.encode()) is message


def test_a_refusal_in_strange_characters_can_be_journalled() -> None:
    """Its text has a question mark instead."""
    body = (
        b'{"code":"1","msg":"","data":[{"clOrdId":"%s","ordId":"","sCode":"51008","sMsg":"no \\ud83d"}]}' % ID.encode()
    )
    turn = Account(LANGUAGE, [market("BTC-USDT")], prefix="gb").read(PLACED, 200, {}, body, NOW_NS)
    [fact] = turn.facts
    assert b"no ?" in written(fact)[1]


@pytest.mark.parametrize(
    ("venue", "raw"),
    [
        ("okx", b'{"event":"error","code":"1","msg":"no %s"}'),
        ("bybit", b'{"success":false,"ret_msg":"no %s","op":"subscribe"}'),
        ("kraken", b'{"error":"no %s","method":"subscribe","success":false}'),
        ("coinbase", b'{"type":"error","message":"no %s"}'),
        ("binance", b'{"code":2,"msg":"no %s"}'),
    ],
)
def test_a_notice_in_strange_characters_can_be_shown(venue: str, raw: bytes) -> None:
    """And so can the reason of a call that failed."""
    data = raw % HALF
    message = decode(VENUES[venue].wire, data).message
    assert isinstance(message, dict)
    [notice] = VENUES[venue].control(message)
    assert isinstance(notice, VenueNotice)
    assert notice.text.encode().endswith(b"no ?")
    failure = VENUES[venue].failure(400, {}, data)
    assert failure is not None
    assert failure.text.encode()


@pytest.mark.parametrize(("depth", "is_read"), [(50, True), (900, False), (100_000, False)])
def test_what_is_nested_too_deep_is_none(depth: int, is_read: bool) -> None:
    """It is no message of anybody's."""
    found = loaded(b'{"a":"%s","b":%s%s}' % (HALF, b"[" * depth, b"]" * depth))
    assert (found is not None) == is_read
