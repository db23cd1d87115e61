"""What became of every opportunity: one reason each, and the reasons add up to the opportunities.

A refused opportunity ends a moment after its refusal, when our measured latency has passed, so that it can be said what
it would have earned; one that became a plan ends with the plan, and one whose plan traded nothing not before that
moment either.
"""

from decimal import Decimal
from typing import Final

import msgspec

from gambit.events.orders import OpportunityEnded

REASONS: Final = (
    "traded", "fee", "depth", "stale", "skew", "inventory", "in_flight", "lost_race", "rules", "unapproved", "halted",
    "superseded", "warm_up",
)  # fmt: skip
WARM_UP: Final = "warm_up"  # raised before an order could leave
RISK: Final = "risk:"  # and the gate's name
REASON_OF_GATE: Final = {
    "stale": "stale",
    "skew": "skew",
    "under_collateral": "inventory",
    "duplicate": "in_flight",
    "price_move": "lost_race",
}


def reason_of_stop(stopped: str) -> str:
    """The funnel's reason for a plan that traded nothing."""
    if stopped.startswith(RISK):
        return REASON_OF_GATE.get(stopped.removeprefix(RISK), stopped)
    if stopped in ("unapproved", "rejected"):
        return "unapproved"
    if stopped in ("", "restart"):
        return "lost_race"
    if stopped == "expired":
        return "stale"
    return stopped if stopped in REASONS else "halted"


class Pending(msgspec.Struct):
    """An opportunity that has not ended: as a plan, or refused for a reason and waiting for its counterfactual."""

    symbol: str
    plan_id: str = ""
    reason: str = ""


class Funnel(msgspec.Struct):
    """Counts by reason. Changed by facts only."""

    seen: int = 0
    open: dict[str, Pending] = {}  # by opp_id
    ended: dict[str, int] = {}
    counterfactual: dict[str, Decimal] = {}  # by reason, quote units

    def opened(self, opp_id: str, pending: Pending) -> None:
        """One more opportunity. Raises ValueError when it is here already."""
        if opp_id in self.open:
            raise ValueError(f"opportunity {opp_id} is in the funnel already")
        self.seen += 1
        self.open[opp_id] = pending

    def dropped(self, opp_id: str, stopped: str) -> None:
        """Its plan is over and traded nothing: if it is open still, it waits for what it would have earned."""
        pending = self.open.get(opp_id)
        if pending is not None:
            pending.plan_id, pending.reason = "", reason_of_stop(stopped)

    def apply(self, fact: OpportunityEnded) -> None:
        """Its one end. Raises KeyError for an opportunity that is not open, ValueError for an unknown reason."""
        if fact.reason not in REASONS and not fact.reason.startswith(RISK):
            raise ValueError(f'"{fact.reason}" is no end of an opportunity')
        del self.open[fact.opp_id]
        self.ended[fact.reason] = self.ended.get(fact.reason, 0) + 1
        if fact.counterfactual is not None:
            known = self.counterfactual.get(fact.reason, Decimal(0))
            self.counterfactual[fact.reason] = known + fact.counterfactual

    @property
    def is_whole(self) -> bool:
        """Whether every opportunity is either open or ended once."""
        return self.seen == len(self.open) + sum(self.ended.values())
