"""The kill switch, the halted scopes and arming, asked at the send call."""

import pytest

from gambit.engine.trading_state import Trading, TradingState
from gambit.events.operation import TradingStateChanged
from gambit.events.orders import Armed, Disarmed, ScopeHalted, ScopeReleased
from tests.engine.orders import intent


def changed(state: str) -> TradingStateChanged:
    return TradingStateChanged(state=state, was="ACTIVE", reason="drill", by="op")


@pytest.mark.parametrize(
    ("state", "purpose", "refusal"),
    [
        ("ACTIVE", "entry", None),
        ("REDUCING", "entry", "reducing: drill"),
        ("REDUCING", "compensation", None),
        ("HALTED", "entry", "halted: drill"),
        ("HALTED", "compensation", "halted: drill"),
    ],
)
def test_what_may_leave(state: str, purpose: str, refusal: str | None) -> None:
    """Halted sends nothing, reducing only what lowers exposure."""
    trading = TradingState()
    trading.apply(changed(state))
    assert trading.may_send(intent(purpose=purpose), "paper", 0) == refusal


def test_live_needs_arming_that_runs_out() -> None:
    """Unarmed live is everything but sending."""
    trading = TradingState()
    assert trading.may_send(intent(), "live", 0) == "live trading is not armed"
    trading.apply(Armed(by="admin", until_ns=10))
    assert trading.may_send(intent(), "live", 9) is None
    assert trading.may_send(intent(), "live", 10) is not None
    trading.apply(Disarmed(by="admin", reason="done"))
    assert trading.may_send(intent(), "live", 9) is not None
    assert trading.may_send(intent(), "paper", 9) is None


@pytest.mark.parametrize(("purpose", "may"), [("entry", False), ("sweep", False), ("compensation", True)])
def test_what_closes_an_imbalance_needs_no_arms(purpose: str, may: bool) -> None:
    """A leg that was executed while it was armed is closed afterwards; nothing new is begun."""
    trading = TradingState()
    trading.apply(Armed(by="admin", until_ns=10))
    assert trading.may_send(intent(purpose=purpose), "live", 9) is None
    assert (trading.may_send(intent(purpose=purpose), "live", 10) is None) == may
    trading.apply(changed("HALTED"))
    assert trading.may_send(intent(purpose=purpose), "live", 9) == "halted: drill"


@pytest.mark.parametrize("scope", ["symbol:BTC-USDT", "venue:a"])
def test_a_halted_scope_stops_entries_only(scope: str) -> None:
    """A halted symbol or venue still may be unwound."""
    trading = TradingState()
    trading.apply(ScopeHalted(scope=scope, reason="unhedged"))
    assert trading.may_send(intent(), "paper", 0) == f"{scope} is halted: unhedged"
    assert trading.may_send(intent(purpose="compensation"), "paper", 0) is None
    trading.apply(ScopeReleased(scope=scope, by="op"))
    assert trading.may_send(intent(), "paper", 0) is None


def test_a_change_is_stated_once() -> None:
    """Halting what is halted is no news; an unknown state is an error."""
    trading = TradingState()
    fact = trading.changed(Trading.HALTED, "drill", "op")
    assert fact == TradingStateChanged(state="HALTED", was="ACTIVE", reason="drill", by="op")
    assert fact is not None
    trading.apply(fact)
    assert trading.changed(Trading.HALTED, "again", "op") is None
    with pytest.raises(ValueError, match="SLOW"):
        trading.apply(changed("SLOW"))
