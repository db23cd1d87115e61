"""Executions on our accounts that are of no order of ours: counted once, taken back whole, no word about fees."""

from typing import Any

from gambit.engine.standing import Keep, Standing
from gambit.events.orders import Busted, Filled, FillsRead
from tests.engine.test_desk import Talk, done
from tests.engine.world import SYMBOL, D


def foreign(qty: str, exec_id: str = "f1", **changes: Any) -> Filled:
    fields: dict[str, Any] = {"fee": D("0.4"), "fee_asset": "USDT"} | changes
    return Filled(
        key="", venue="a", symbol=SYMBOL, side="buy", exec_id=exec_id, qty=D(qty), price=D(100), **fields
    )  # fmt: skip


def history(talk: Talk, *fills: Filled) -> FillsRead:
    return FillsRead(venue="a", symbol=SYMBOL, query_id=5, asked_ns=talk.now_ns, since_ns=0, fills=fills)


def owned(talk: Talk) -> tuple[Any, ...]:
    holdings = talk.desk.standing.state.holdings
    return holdings.balance("a", "BTC"), holdings.balance("a", "USDT"), holdings.positions[SYMBOL].qty


def test_f25_of_two_contents_the_historys_stands_alone() -> None:
    """The stream said 4, the venue's history 5: five were bought, not nine; a bust of it takes five back."""
    talk = Talk()
    talk.tell(foreign("4"), foreign("5"))
    assert owned(talk) == (1004, D("99599.6"), 4)
    talk.tell(history(talk, foreign("5", fee=D("0.5"))))
    assert owned(talk) == (1005, D("99499.5"), 5)
    assert talk.desk.standing.state.holdings.fees["USDT"] == D("0.5")
    talk.tell(history(talk, foreign("5", fee=D("0.5"))))
    assert owned(talk) == (1005, D("99499.5"), 5)
    snapshot = talk.desk.standing.snapshot()
    assert Standing.restored(snapshot).snapshot() == snapshot
    talk.replayed()
    talk.tell(Busted(venue="a", symbol=SYMBOL, exec_id="f1"))
    assert owned(talk) == (1000, 100_000, 0)
    assert talk.desk.standing.state.holdings.audit() == []
    talk.replayed()


def test_f25_one_that_is_packed_away_stays_as_it_was_counted() -> None:
    """Nobody knows any more what to take back: it is said, and the balances tell the rest."""
    talk = Talk(keep=Keep(rest_ns=0))
    talk.tell(foreign("4"))
    buy, sell = talk.trade()
    talk.tell(done(buy, "0"), done(sell, "0"))
    assert talk.desk.standing.state.foreign_fills == {}
    talk.tell(history(talk, foreign("5")))
    assert owned(talk) == (1004, D("99599.6"), 4)
    assert "execution_disputed" in talk.notices()
    talk.replayed()


def test_f37_the_fees_of_others_say_nothing_about_our_tier() -> None:
    """Thirty of them, charged as a venue does; the venue is not halted for it, and ours count as before."""
    talk = Talk()
    for number in range(30):
        talk.tell(foreign("1", f"f{number}"))
    standing = talk.desk.standing
    assert (standing.state.trading.scopes, standing.state.holdings.tallies) == ({}, {})
    assert standing.state.holdings.fees["USDT"] == 12
