"""Faults that change how a venue stands: they overlap, end in any order, and leave nothing behind."""

from itertools import permutations
from typing import Any

import pytest

from gambit.sim.dialect import Close, Ping
from gambit.sim.verbs import FaultOrder
from tests.sim.talk import MS, Talk

SECOND = 1000 * MS


def stand(talk: Talk) -> tuple[Any, ...]:
    """All that such faults change."""
    exchange = talk.exchange
    rules = [(r.status, r.tick_multiple, r.lot_multiple, r.min_lots, r.max_lots, r.min_cost) for r in
             exchange.desk.rules.values()]  # fmt: skip
    accounts = [(a.fees, a.rights, a.is_revoked) for a in exchange.accounts.values()]
    return exchange.offset_ns, rules, accounts


PAIRS = [
    ("filters", {"tick_multiple": 10}, {"tick_multiple": 5, "lot_multiple": 3}),
    ("status", {"status": "HALT"}, {"status": "CANCEL_ONLY", "symbol": "BTC-USDT"}),
    ("fee", {"rate": 0.001}, {"rate": 0.002, "asset": "BNB"}),
    ("rights", {"trade": False}, {"withdraw": True}),
    ("clock", {"offset_ms": 5000}, {"offset_ms": -700}),
    ("expire_session", {"revoke": True}, {"revoke": True}),
]


@pytest.mark.parametrize(("kind", "one", "other"), PAIRS)
def test_two_that_overlap_end_in_any_order(kind: str, one: dict[str, Any], other: dict[str, Any]) -> None:
    """While one is over and the other is not, the venue stands as if only the other had been; then as before."""
    for first, second in permutations((one, other)):
        for first_ms, second_ms in ((1000, 2000), (2000, 1000)):
            talk, alone = Talk("okx"), Talk("okx")
            before = stand(talk)
            longer = second if second_ms > first_ms else first
            alone.exchange.strike(FaultOrder(kind, longer))
            talk.exchange.strike(FaultOrder(kind, first, for_ms=first_ms))
            talk.exchange.strike(FaultOrder(kind, second, for_ms=second_ms))
            talk.pass_ms(1500)
            assert stand(talk) == stand(alone) != before
            talk.pass_ms(1000)
            assert stand(talk) == before


@pytest.mark.parametrize(("kind", "one", "other"), PAIRS)
def test_clear_undoes_them_all(kind: str, one: dict[str, Any], other: dict[str, Any]) -> None:
    """Those with an end and those without; what was to end later changes nothing more."""
    talk = Talk("kraken")
    before = stand(talk)
    for args, for_ms in ((one, None), (other, 1000), (one, 500)):
        talk.exchange.strike(FaultOrder(kind, args, for_ms=for_ms))
    assert [one["in_force"] for one in talk.exchange.faults.listing(talk.now_ns)] == [True] * 3
    talk.exchange.clear()
    assert stand(talk) == before
    talk.exchange.strike(FaultOrder(kind, other))
    changed = stand(talk)
    talk.pass_ms(3000)
    assert stand(talk) == changed


def test_a_fee_is_what_was_said() -> None:
    """To the millionth."""
    talk = Talk("okx")
    for ppm in (-50, 249, 300, 493, 2000):
        talk.strike("fee", args={"rate": ppm / 1e6})
        assert talk.exchange.accounts["demo"].fees.taker_ppm == ppm


@pytest.mark.parametrize("ahead_ms", [90_000, -90_000])
def test_a_clock_that_is_set_cuts_nobody(ahead_ms: int) -> None:
    """Connections live on as long as they would have, and venues go on to say that they are there."""
    binance = Talk("binance")
    session = binance.open("/ws/btcusdt@depth@100ms")
    binance.strike("clock", args={"offset_ms": ahead_ms}, for_ms=30_000)
    said: list[Any] = []
    for _ in range(45):
        binance.pass_ms(1000)
        said += [frame for other, frames in binance.exchange.drain() if other is session for frame in frames]
    assert not any(isinstance(frame, Close) for frame in said)
    assert sum(isinstance(frame, Ping) for frame in said) == 2

    for venue, path, words in (
        ("coinbase", "/", {"type": "subscribe", "channel": "heartbeats"}),
        ("kraken", "/v2", {"method": "subscribe", "params": {"channel": "instrument"}}),
    ):
        talk = Talk(venue)
        session = talk.open(path)
        talk.say(session, words)
        for _ in range(2):
            talk.strike("clock", args={"offset_ms": ahead_ms})
            talk.pass_ms(500)
            talk.hear(session)
            talk.pass_ms(5000)
            assert len([one for one in talk.hear(session) if "heartbeat" in str(one)]) >= 4
            talk.exchange.clear()
