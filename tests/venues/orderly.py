"""What the tests of the order languages share: a market, keys, and the three ways of reading everything."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from gambit.model import Instrument
from gambit.venues.orders import (
    Accepted,
    Answer,
    Asked,
    Garbled,
    Heard,
    Line,
    OrderLanguage,
    OrderState,
    Ref,
    Refused,
    Report,
    RestRequest,
    Stamp,
    Traded,
    Unclear,
)

NOW_NS = 1_700_000_000_123_456_789
AT = Stamp(NOW_NS, 1_700_000_000_123_456)
ID = "gb00010000200abcde"  # as gambit.commands makes them
REF = Ref(ID)
BIG = "9007199254740993123"  # a number that no float can tell from its neighbours
D = Decimal


def market(spelling: str, tick: str = "0.01", lot: str = "0.00001") -> Instrument:
    """BTC against a quote, as a venue spells it."""
    quote = "USDT" if spelling.endswith("USDT") else "USD"
    return Instrument(symbol=f"BTC-{quote}", spelling=spelling, base="BTC", quote=quote, tick=D(tick), lot=D(lot))


def asked(what: Any, **more: Any) -> Asked:
    """Something that was asked at NOW_NS."""
    return Asked(what=what, nonce=AT.nonce, now_ns=NOW_NS, **more)


PLACED = asked("place", spelling="BTCUSDT", client_id=ID)


def read(language: OrderLanguage, about: Asked, body: str | bytes, status: int = 200, **headers: str) -> Answer:
    """An HTTP answer read."""
    raw = body if isinstance(body, bytes) else body.encode()
    return language.read(about, status, {name.replace("_", "-"): text for name, text in headers.items()}, raw)


def heard(line: Line, text: str, pending: Sequence[Asked] = ()) -> Heard:
    """A frame heard while some requests wait."""
    return line.hear(text.encode(), {each.nonce: each for each in pending})


def header(request: RestRequest, name: str) -> str:
    """A header's value."""
    return dict(request.headers)[name]


def read_cut(language: OrderLanguage, about: Asked, body: str, status: int = 200) -> None:
    """Every beginning of an answer leaves an order call unclear and any other call failed."""
    for end in range(len(body.encode())):
        got = read(language, about, body.encode()[:end], status)
        assert got.fault is not None, (body, end)
        assert got.fault.execution_unknown, (body, end)
        assert not got.fault.is_definite, (body, end)
        is_order = about.what in ("place", "cancel")
        assert [type(report) for report in got.reports] == ([Unclear] if is_order else []), (body, end)


def hear_cut(make_line: Any, text: str, pending: Sequence[Asked] = ()) -> None:
    """Every beginning of a frame says only that something was lost."""
    data = text.encode()
    for end in range(len(data)):
        got = make_line().hear(data[:end], {each.nonce: each for each in pending})
        assert [type(report) for report in got.reports] == [Garbled], (text, end)
        assert got.answered == (), (text, end)


def hear_spoiled(make_line: Any, message: Mapping[str, Any], pending: Sequence[Asked] = ()) -> int:
    """Every field of a frame in turn missing, and of every wrong kind: never an exception. Gives how many."""
    tried = 0
    for spoiled in spoilings(message):
        heard(make_line(), packed_text(spoiled), pending)
        tried += 1
    return tried


def read_spoiled(language: OrderLanguage, about: Asked, message: Any, status: int = 200) -> int:
    """The same of an answer; an order that was not refused is not refused for the damage, nor taken for another."""
    refused = any(isinstance(report, Refused) for report in read(language, about, packed_text(message), status).reports)
    tried = 0
    for spoiled in spoilings(message):
        got = read(language, about, packed_text(spoiled), status)
        for report in got.reports:
            assert refused or not isinstance(report, Refused), spoiled
            assert not isinstance(report, Accepted) or report.client_id == about.client_id, spoiled
        tried += 1
    return tried


def packed_text(message: Any) -> str:
    """JSON."""
    return json.dumps(message)


def spoilings(node: Any) -> Any:
    """Copies of a JSON tree with one value each exchanged for what nobody expects, or left out."""
    strange = [None, True, "", "NaN", "-1", "1e999", -1, 0, 1e308, [], {}, [[]], "\u2603"]
    if isinstance(node, dict):
        for name, value in node.items():
            yield {other: each for other, each in node.items() if other != name}
            for wrong in strange:
                yield node | {name: wrong}
            for inside in spoilings(value):
                yield node | {name: inside}
    elif isinstance(node, list):
        for at, value in enumerate(node):
            for wrong in strange:
                yield [*node[:at], wrong, *node[at + 1 :]]
            for inside in spoilings(value):
                yield [*node[:at], inside, *node[at + 1 :]]


def kinds(reports: Sequence[Report]) -> list[str]:
    """The names of reports."""
    return [type(report).__name__ for report in reports]


def traded(reports: Sequence[Report]) -> list[Traded]:
    """The executions among reports."""
    return [report for report in reports if isinstance(report, Traded)]


def states(reports: Sequence[Report]) -> list[OrderState]:
    """The order states among reports."""
    return [report for report in reports if isinstance(report, OrderState)]


def accepted(reports: Sequence[Report]) -> list[Accepted]:
    """The acceptances among reports."""
    return [report for report in reports if isinstance(report, Accepted)]
