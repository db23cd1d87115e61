"""What verbs take: what could never strike, or would break who is struck, is refused in words and changes nothing."""

import json
from typing import Any

import pytest

from gambit.sim.arguments import ARGUMENTS, FACTS, BadFault
from gambit.sim.control import control
from gambit.sim.dialect import Reply, Request
from gambit.sim.server import encoded
from gambit.sim.verbs import VERBS, FaultOrder
from gambit.sim.world import DIALECTS
from tests.sim.talk import Talk

PATHS = {"binance": "/ws/btcusdt@depth@100ms", "okx": "/ws/v5/public", "bybit": "/v5/public/spot", "kraken": "/v2"}
IMPOSSIBLE: list[dict[str, Any]] = [
    {"kind": "nonsense"},
    {"kind": "gap", "count": 0},
    {"kind": "gap", "probability": 2.0},
    {"kind": "gap", "for_ms": 0},
    {"kind": "gap", "skip": -1},
    {"kind": "gap", "args": {"how": "bad"}},
    {"kind": "gap", "match": {"symbl": "BTC-USDT"}},
    {"kind": "gap", "match": {"symbol": "BTCUSDT"}},
    {"kind": "gap", "match": {"symbol": ["BTC-USDT"]}},
    {"kind": "gap", "match": {"private": "true"}},
    {"kind": "http", "match": {"symbol": "BTC-USDT"}},
    {"kind": "partial", "match": {"path": "/api/v3/order"}},
    {"kind": "clock", "match": {"account": "demo"}},
    {"kind": "delay", "args": {"millis": 5}},
    {"kind": "delay", "args": {"ms": "5"}},
    {"kind": "hold", "args": {"ms": -1}},
    {"kind": "http", "args": {"status": "x"}},
    {"kind": "http", "args": {"status": 99}},
    {"kind": "http", "args": {"headers": "x"}},
    {"kind": "http", "args": {"headers": {"a b": "x"}}},
    {"kind": "http", "args": {"headers": {"a": "x\r\nb: c"}}},
    {"kind": "http", "args": {"content_type": "text"}},
    {"kind": "disconnect", "args": {"code": "x"}},
    {"kind": "disconnect", "args": {"code": 70_000}},
    {"kind": "disconnect", "args": {"reason": "x" * 124}},
    {"kind": "limit", "args": {"status": 404}},
    {"kind": "limit", "args": {"seconds": 1e30}},
    {"kind": "maintenance", "args": {"scope": "some"}},
    {"kind": "freeze", "args": {"what": "everything"}},
    {"kind": "checksum", "args": {"how": "wrong"}},
    {"kind": "poison", "args": {"value": [1]}},
    {"kind": "dup", "args": {"set": 1}},
    {"kind": "partial", "args": {"share": 1.5}},
    {"kind": "status", "args": {"status": "ASLEEP"}},
    {"kind": "status", "args": {"symbol": "NO-NO"}},
    {"kind": "filters", "args": {"tick_multiple": -1}},
    {"kind": "filters", "args": {"min_cost": "Infinity"}},
    {"kind": "filters", "args": {"min_cost": "1e5000"}},
    {"kind": "fee", "args": {"rate": 0.00000025}},
    {"kind": "fee", "args": {"rate": 2}},
    {"kind": "fee", "match": {"account": "nobody"}},
    {"kind": "clock", "args": {"offset_ms": 1e30}},
    {"kind": "rights", "args": {"trade": 1}},
]


def test_the_keys_of_every_account_are_told() -> None:
    """Those of demo2 are as good as those of demo."""
    talk = Talk("okx")
    reply = control(talk.world, talk.exchange, Request("GET", "/_sim/accounts", "", {}, b""), talk.now_ns)
    keys = json.loads(reply.body)
    assert set(keys) == {"demo", "demo2"}
    assert keys["demo2"]["key"] == talk.exchange.accounts["demo2"].credentials.key
    assert keys["demo"].keys() == keys["demo2"].keys() == {"key", "secret", "passphrase"}


def test_every_argument_is_a_verbs() -> None:
    """The tables name verbs that there are, and what each is asked about."""
    assert set(ARGUMENTS) <= set(VERBS)
    assert set(FACTS) == set(VERBS) - {"clock"}


@pytest.mark.parametrize("fields", IMPOSSIBLE)
def test_a_fault_that_cannot_be(fields: dict[str, Any]) -> None:
    """It is refused with what is wrong, and leaves nothing behind."""
    talk = Talk("binance")
    with pytest.raises(BadFault, match=fields["kind"]):
        talk.exchange.strike(FaultOrder(**fields))
    assert talk.exchange.faults.listing(talk.now_ns) == []


def test_a_refusal_has_the_venues_kind_of_code() -> None:
    """Binance and Bybit number what they refuse, the others spell it."""
    for venue in DIALECTS:
        exchange = Talk(venue).exchange
        exchange.strike(FaultOrder("reject", {"code": -2010}))
        if exchange.dialect.has_numeric_codes:
            with pytest.raises(BadFault, match="whole numbers"):
                exchange.strike(FaultOrder("reject", {"code": "INSUFFICIENT_FUND"}))


@pytest.mark.parametrize("venue", PATHS)
def test_the_bounds_of_arguments_are_harmless(venue: str) -> None:
    """What is taken at its largest and smallest does not end a venue or its frames."""
    largest: dict[str, dict[str, Any]] = {
        "disconnect": {"code": 4999, "reason": "x" * 123},
        "http": {"status": 599, "headers": {"X-A": "b"}, "content_type": "text/html", "body": "<html>"},
        "limit": {"status": 418, "seconds": 86_400},
        "clock": {"offset_ms": -30 * 86_400_000},
        "fee": {"rate": 0.5, "asset": "BNB"},
        "delay": {"ms": 86_400_000},
        "poison": {"value": 1e300, "bare": True},
    }
    talk = Talk(venue)
    for kind, args in largest.items():
        talk.open(PATHS[venue])
        talk.strike(kind, args=args)
        for _ in range(4):
            talk.pass_ms(100)
            answers: list[Any] = []
            talk.exchange.http(Request("GET", "/", "", {}, b""), talk.now_ns, answers.append)
            for _session, frames in talk.exchange.drain():
                encoded(frames)
        talk.exchange.clear()


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("price", {"symbol": "BTC-USDT", "shift_bps": -20_000}),
        ("price", {"symbol": "BTC-USDT", "shift_bps": 1e300}),
        ("price", {"symbol": "BTC-USDT", "shift_bps": 10, "for_ms": -5}),
        ("deposit", {"account": "demo", "asset": "BTC", "amount": "1e5000"}),
        ("deposit", {"account": "demo", "asset": "BTC", "amount": "NaN"}),
        ("deposit", {"account": "demo", "asset": "BTC", "amount": "1e-19"}),
        ("fault", {"kind": "status", "match": {"symbol": ["BTC-USDT"]}}),
        ("fault", {"kind": "filters", "args": {"min_cost": "Infinity"}}),
    ],
)
def test_what_the_control_plane_does_not_take(what: str, body: dict[str, Any]) -> None:
    """A 400 that says why, and the ledger is what it was."""
    talk = Talk("binance")

    def ask(method: str, path: str, text: str = "") -> Reply:
        return control(talk.world, talk.exchange, Request(method, path, "", {}, text.encode()), talk.now_ns)

    before = ask("GET", "/_sim/ledger").body
    reply = ask("POST", f"/_sim/{what}", json.dumps(body))
    assert (reply.status, "error" in json.loads(reply.body)) == (400, True)
    assert ask("GET", "/_sim/ledger").body == before
