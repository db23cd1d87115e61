"""Every opportunity ends once, for one reason."""

import pytest

from gambit.engine.funnel import Funnel, Pending
from gambit.events.orders import OpportunityEnded
from tests.engine.orders import D


def ended(opp_id: str, reason: str, counterfactual: str | None = None) -> OpportunityEnded:
    value = None if counterfactual is None else D(counterfactual)
    return OpportunityEnded(opp_id=opp_id, symbol="BTC-USDT", reason=reason, counterfactual=value)


def test_reasons_add_up() -> None:
    """Open and ended together are what was seen."""
    funnel = Funnel()
    for opp_id in "abc":
        funnel.opened(opp_id, Pending("BTC-USDT"))
    funnel.apply(ended("a", "traded"))
    funnel.apply(ended("b", "risk:stale", "1.5"))
    assert (funnel.ended, funnel.open, funnel.is_whole) == (
        {"traded": 1, "risk:stale": 1},
        {"c": Pending("BTC-USDT")},
        True,
    )
    assert funnel.counterfactual == {"risk:stale": D("1.5")}


def test_an_opportunity_ends_once() -> None:
    """A second end, a second beginning and an unknown reason are bugs."""
    funnel = Funnel()
    funnel.opened("a", Pending("BTC-USDT"))
    with pytest.raises(ValueError, match="already"):
        funnel.opened("a", Pending("BTC-USDT"))
    with pytest.raises(ValueError, match="weather"):
        funnel.apply(ended("a", "weather"))
    funnel.apply(ended("a", "fee"))
    with pytest.raises(KeyError):
        funnel.apply(ended("a", "fee"))
