"""What an account's venue said that nobody could read is kept, without secrets, and makes the account be asked."""

import base64
from decimal import Decimal
from typing import Any, cast

import pytest

from gambit.commands import QueryBalances
from gambit.events import read
from gambit.events.feed import DeadLettered
from gambit.model import DeadLetter, Instrument
from gambit.runtime.ear import Ear
from gambit.runtime.ledger import Ledger
from gambit.runtime.letters import Letters
from gambit.runtime.private_letters import TOPIC, PrivateLetters, masked
from gambit.venues.account import Account
from gambit.venues.kraken_orders import KrakenOrders
from gambit.venues.okx_orders import OkxOrders
from gambit.venues.orders import Keys, OrderLanguage
from tests.runtime.ports import Tasks, port_of
from tests.runtime.test_gateway import Net, answer
from tests.runtime.test_ledger import Clock, Journal

KEYS = Keys(key="the-key", secret=base64.b64encode(bytes(range(64))).decode(), passphrase="the-phrase")
SYMBOL = {"okx": "BTC-USDT", "kraken": "BTC/USD"}


class Case:
    """A port to an account; `letters` is what it buried."""

    def __init__(self, language: OrderLanguage, body: bytes = b"{}") -> None:
        self.net = Net(answer(200, body))
        self.letters: list[DeadLetter] = []
        self.compared = 0
        self.tasks = Tasks()
        spelling = SYMBOL[language.name]
        market = Instrument(
            symbol="BTC-USDT", spelling=spelling, base="BTC", quote="USDT", tick=Decimal("0.1"), lot=Decimal("0.001")
        )

        def reconcile() -> None:
            self.compared += 1

        self.port = port_of(
            Account(language, [market], prefix="gb"), self.net, self.tasks, reconcile=reconcile,
            bury=self.letters.append, redact=lambda data: data.replace(b"the-phrase", b"***"),
        )  # fmt: skip


async def test_a_frame_that_nobody_can_read_is_kept_and_the_account_is_asked() -> None:
    """Once for however many frames; what is known to be secret, and what looks like it, is masked."""
    case = Case(OkxOrders(KEYS, {"BTC-USDT": 1}))
    ear = Ear(case.port, case.port.account.language.stream(), is_entry=False)
    raw = b'{"arg":{"channel":"orders"},"data":[{"state":"invented","note":"the-phrase"}],"sign":"abc'
    case.port.heard(ear, raw, 7)
    case.port.heard(ear, b'{"event":"fine"}', 8)
    case.port.heard(ear, b"\xff", 9)
    first, second = case.letters
    assert (first.venue, first.conn, first.recv_ns, first.topic) == ("okx", "stream", 7, TOPIC)
    assert first.raw == b'{"arg":{"channel":"orders"},"data":[{"state":"invented","note":"***"}],"sign":"***'
    assert first.reason.startswith("no JSON object")
    assert (second.raw, second.recv_ns) == (b"\xff", 9)
    case.port.on_time(cast(Any, None), case.net.now_ns())
    case.port.on_time(cast(Any, None), case.net.now_ns())
    assert case.compared == 1
    await case.tasks.done()


async def test_a_half_readable_frame_is_kept_whole() -> None:
    """What stood before the field that is wrong counts all the same."""
    case = Case(OkxOrders(KEYS, {"BTC-USDT": 1}))
    ear = Ear(case.port, case.port.account.language.stream(), is_entry=False)
    raw = (
        b'{"arg":{"channel":"orders","instType":"SPOT"},"data":[{"instId":"BTC-USDT","ordId":"1","state":"invented"}]}'
    )
    case.port.heard(ear, raw, 7)
    assert [(letter.raw, letter.conn) for letter in case.letters] == [(raw, "stream")]


async def test_an_answer_that_nobody_can_read_is_kept() -> None:
    """With what was asked; the desk asks again by itself."""
    case = Case(OkxOrders(KEYS, {"BTC-USDT": 1}), b'{"code":"0","data":[{"details":7}]}')
    assert case.port.send(QueryBalances(venue="okx", query_id="q"), case.net.now_ns()) == []
    await case.tasks.done()
    [letter] = case.letters
    assert (letter.conn, letter.raw, letter.topic) == ("http balances", b'{"code":"0","data":[{"details":7}]}', TOPIC)


@pytest.mark.parametrize(
    "body", [b'{"error":[],"result":{"token":"WW91ciBhdX', b'{"error":[],"result":{"tokn":"WW91"}}']
)
async def test_the_answer_to_a_question_for_a_token_is_not_kept(body: bytes) -> None:
    """Where it could not be read, nobody knows what of it is the token."""
    case = Case(KrakenOrders(KEYS, ["BTC/USD"]), body)
    await case.port._fetch_token()
    [letter] = case.letters
    assert (letter.conn, letter.raw) == ("http token", b"")
    assert "WW91" not in letter.reason


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (b'{"token":"abc","x":1}', b'{"token":"***","x":1}'),
        (b'{"params" : {"Token" : "abc"', b'{"params" : {"Token" : "***"'),
        (rb'{"error":"bad {\"token\":\"abc\",\"n\":1}"}', rb'{"error":"bad {\"token\":\"***\",\"n\":1}"}'),
        (b'{"listenKey":"abc', b'{"listenKey":"***'),
        (b"/ws?listenKey=abc&symbol=X&signature=def", b"/ws?listenKey=***&symbol=X&signature=***"),
        (b'{"apiKey":"a","passphrase":"b","sign":"c="}', b'{"apiKey":"***","passphrase":"***","sign":"***"}'),
        (b'{"ordId":"1","px":"64012.4"}', b'{"ordId":"1","px":"64012.4"}'),
    ],
)
def test_what_would_let_somebody_in_is_masked(raw: bytes, kept: bytes) -> None:
    """Under its names, in JSON, in JSON within a text and in addresses; whole or cut short."""
    assert masked(raw) == kept


async def test_it_lies_with_the_other_dead_letters_and_is_not_read_again() -> None:
    """Under its own topic; what an account's frame meant depends on what was asked before it."""
    journal, clock = Journal(), Clock()
    ledger = Ledger(journal, clock)
    PrivateLetters("okx", ledger.dead_letter).take("`state` is unknown: x", "stream", b"{}", 5)
    [(kind, body, _)] = journal.records
    fact = read(kind, body)
    assert isinstance(fact, DeadLettered)
    assert (fact.letter_id, fact.topic, fact.venue, fact.conn, fact.raw) == (1, TOPIC, "okx", "stream", b"{}")
    assert ledger.letter_counts == {(TOPIC, "`state` is unknown"): 1}

    def decode(_venue: str, _raw: bytes) -> object:
        raise AssertionError("it is no frame of the market")

    letters = Letters(cast(Any, Shelf(journal)), ledger, decode, lambda: None)
    found = await letters.requeue([1], "ann")
    assert (found["done"], list(found["failed"])) == ((), [1])
    assert "purge it" in found["failed"][1]
    assert (await letters.purge([1], "ann"))["done"] == (1,)


class Shelf:
    """The journal, for who reads a record of it."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.after = 0

    def follow(self, after: int) -> "Shelf":
        self.after = after
        return self

    def read(self, limit: int) -> list[Any]:
        kind, body, _ = self.journal.records[self.after]
        assert limit == 1
        return [Record(self.after + 1, kind, body)]

    def close(self) -> None:
        self.after = -1


class Record:
    """A record of the journal."""

    def __init__(self, seq: int, kind: str, body: bytes) -> None:
        self.seq, self.kind, self.body = seq, kind, body
