"""What becomes of an opportunity before it is a trade: its admission or refusal, and a waiting plan's last look.

A plan that waited for a person is asked about again with everything as it is then: prices first, then every gate.
"""

import dataclasses
from typing import Final

from gambit.commands import plan_id
from gambit.engine.conditions import BookView, Conditions
from gambit.engine.limits import Execution, Limits
from gambit.engine.plan import BPS, ZERO, NoPlan, Opportunity, Plan
from gambit.engine.risk import Approved, Held, Refused, check
from gambit.engine.standing import Standing
from gambit.events.orders import PlanMade, PlannedLeg, PlanRefused

REASON_OF_GATE: Final = {
    "stale": "stale",
    "under_collateral": "inventory",
    "duplicate": "in_flight",
    "price_move": "lost_race",
}


def plan_made(approved: Approved, standing: Standing, rules: Execution) -> PlanMade:
    """The plan that passed, with its number and name."""
    plan, state = approved.plan, standing.state
    number = state.plan_number + 1
    return PlanMade(
        plan_id=plan_id(rules.key_prefix, state.epoch, number),
        number=number,
        epoch=state.epoch,
        opp_id=plan.opportunity.opp_id,
        raw_signal_id=plan.opportunity.raw_signal_id,
        user_id=rules.user_id,
        symbol=plan.opportunity.symbol,
        strategy=rules.strategy,
        approval=rules.approval,
        legs=plan.legs,
        total_quote=plan.total_quote,
        expected_profit=plan.expected_profit,
        expires_ns=plan.expires_ns,
        gates=approved.gates,
    )


def unplanned(opportunity: Opportunity, why_not: NoPlan) -> PlanRefused:
    """The refusal of an opportunity of which no plan could be made."""
    return _refusal(opportunity, why_not.reason, why_not.detail)


def refused(verdict: Refused) -> PlanRefused:
    """The refusal of a plan that did not pass, with every gate's verdict."""
    plan = verdict.plan
    reason = REASON_OF_GATE.get(verdict.gate, f"risk:{verdict.gate}")
    plain = _refusal(plan.opportunity, reason, verdict.gate)
    return PlanRefused(
        opp_id=plain.opp_id,
        raw_signal_id=plain.raw_signal_id,
        symbol=plain.symbol,
        venue_buy=plain.venue_buy,
        venue_sell=plain.venue_sell,
        reason=reason,
        detail=verdict.gate,
        legs=plan.legs,
        gates=verdict.gates,
        expected_profit=plan.expected_profit,
    )


def _refusal(opportunity: Opportunity, reason: str, detail: str) -> PlanRefused:
    return PlanRefused(
        opp_id=opportunity.opp_id,
        raw_signal_id=opportunity.raw_signal_id,
        symbol=opportunity.symbol,
        venue_buy=opportunity.venue_buy,
        venue_sell=opportunity.venue_sell,
        reason=reason,
        detail=detail,
    )


def second_thoughts(
    made: PlanMade, held: Held, limits: Limits, rules: Execution, conditions: Conditions, now_ns: int
) -> str:
    """Why an approved plan may not go after all: its prices are gone, or a gate says no now; empty when it may."""
    books = [(leg, conditions.book(leg.venue, leg.symbol)) for leg in made.legs]
    if not all(book is not None and _is_marketable(leg, book) for leg, book in books):
        return "lost_race"
    own = {leg.symbol for leg in made.legs}
    planned = {symbol: times[:-1] if symbol in own else times for symbol, times in held.planned_ns.items()}
    episodes = {signal: plan for signal, plan in held.episodes.items() if plan != made.plan_id}
    without = dataclasses.replace(held, episodes=episodes, planned_ns=planned)
    verdict = check(_again(made, rules, now_ns), without, limits, conditions, now_ns)
    return f"risk:{verdict.gate}" if isinstance(verdict, Refused) else ""


def _again(made: PlanMade, rules: Execution, now_ns: int) -> Plan:
    """A plan that waited, as if made now."""
    buy, sell = made.legs[0], made.legs[-1]
    opportunity = Opportunity(
        opp_id=made.opp_id,
        raw_signal_id=made.raw_signal_id,
        symbol=made.symbol,
        symbol_buy=buy.symbol,
        symbol_sell=sell.symbol,
        venue_buy=buy.venue,
        venue_sell=sell.venue,
        recv_ns=now_ns,
        ttl_ns=rules.plan_ttl_ns,
        net_bps=made.expected_profit * BPS / made.total_quote,
    )
    return Plan(
        opportunity=opportunity,
        strategy=made.strategy,
        legs=made.legs,
        qty=sum((leg.qty for leg in made.legs if leg.side == "buy"), ZERO),
        total_quote=made.total_quote,
        expected_profit=made.expected_profit,
        latency_ns=0,
        made_ns=now_ns,
        expires_ns=now_ns + rules.plan_ttl_ns,
    )


def _is_marketable(leg: PlannedLeg, book: BookView) -> bool:
    """Whether the touch is within a leg's limit."""
    if not book.asks or not book.bids:
        return False
    return book.asks[0][0] <= leg.price if leg.side == "buy" else book.bids[0][0] >= leg.price


def latency_ns_of(opportunity: Opportunity, conditions: Conditions) -> int:
    """The slower of an opportunity's two venues, as measured."""
    venues = (conditions.venue(name) for name in (opportunity.venue_buy, opportunity.venue_sell))
    return max((venue.latency_ns for venue in venues if venue is not None), default=0)
