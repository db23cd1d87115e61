"""A pair that turned out to be different coins is told of for as long as it is left out (formulas.md)."""

from decimal import Decimal

from gambit._core.quarantine import quarantined
from gambit.commands import Notify
from gambit.runtime.quarantine import EVERY_NS, RULE, Quarantine
from tests.engine.test_market import bybit, bybit_book, driver, okx_book, row


def test_a_quarantine_is_told_once_a_second_without_an_episode_too() -> None:
    """No opportunity was open, so that the engine itself has nothing to say."""
    run = driver(max_book_age_ms=Decimal(60_000))
    told: list[Notify] = []
    look = Quarantine(run.market, told.append)
    assert run.take(okx_book(0, 99, 100), bybit_book(1, 99, 100)) == []
    look.turn(1)
    assert (quarantined(run.market.pairs), told) == ([], [])
    assert run.take(bybit(2, "delta", 11, [row(99, 0), row(130)], [row(100, 0), row(131)])) == []
    assert run.take(bybit(3, "delta", 12, [row(130, 0), row(99)], [row(131, 0), row(100)])) == []  # and back again
    assert quarantined(run.market.pairs) == [(0, 1)]
    look.turn(EVERY_NS)
    assert told == []  # not due
    look.turn(EVERY_NS + 1)
    look.turn(EVERY_NS + 2)
    [notice] = told
    assert (notice.rule_id, notice.severity, notice.scope) == (RULE, "high", "okx:BTC-USDT bybit:BTC-USDT")
    look.turn(2 * EVERY_NS + 1)
    assert len(told) == 2
