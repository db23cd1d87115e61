"""A plan that waited for a person goes by the fees and rules of the moment it is approved at."""

from dataclasses import replace
from typing import Any

import pytest

from gambit.events.orders import OrderIntended, PlanMade, PlanStopped
from tests.engine.test_desk import Talk, placed
from tests.engine.world import RULES, D, opportunity


def approved(*, fee_bps: str = "10", **rules: Any) -> tuple[list[OrderIntended], str]:
    """What leaves, and why it stopped, when fee, prices or rules changed while the plan waited."""
    talk = Talk(rules=replace(RULES, approval="manual"))
    talk.hear(talk.desk.consider(opportunity(), talk.here, talk.now_ns))
    [plan] = talk.facts(PlanMade)
    for venue in "ab":
        talk.here.change(venue, taker_fee_bps=D(fee_bps))
    if rules:
        talk.here.rule("b", **rules)
    orders = placed(talk.hear(talk.desk.approve(plan.plan_id, "op", talk.here, talk.now_ns)))
    return orders, "".join(stop.reason for stop in talk.facts(PlanStopped))


def test_the_fee_of_that_moment_counts() -> None:
    """Prices earn 199 bps: at 150 a leg the plan dies of the fee (F73), at 90 it goes and its orders carry that."""
    assert approved(fee_bps="150") == ([], "fee")
    orders, reason = approved(fee_bps="90")
    assert ([order.fee_bps for order in orders], reason) == ([D(90), D(90)], "")


@pytest.mark.parametrize(
    "rules",
    [{"max_qty": D(5)}, {"lot": D(3)}, {"min_qty": D(50)}, {"min_notional": D(5000)}, {"tick": D("0.7")},
     {"contract_size": D(1)}],
)  # fmt: skip
def test_the_venues_rules_of_that_moment_count(rules: dict[str, Any]) -> None:
    """An order that the venue would refuse does not leave, and so its counterpart does not trade alone."""
    assert approved(**rules) == ([], "rules")
    orders, reason = approved(max_qty=D(20), lot=D(2), min_qty=D(1))
    assert ([(order.venue, order.qty) for order in orders], reason) == ([("a", 20), ("b", 20)], "")
