"""What becomes of an opportunity before it is a trade: its admission or refusal, and a waiting plan's last look.

A plan that waited for a person is asked about again with everything as it is then: prices first, then every gate.
"""

import dataclasses
from decimal import Decimal

import msgspec

from gambit.commands import plan_id
from gambit.engine.conditions import BookView, Conditions
from gambit.engine.funnel import REASON_OF_GATE, RISK
from gambit.engine.limits import Execution, Limits
from gambit.engine.plan import BPS, ZERO, NoPlan, Opportunity, Plan, fees_of
from gambit.engine.risk import Approved, Held, Refused, check
from gambit.engine.standing import Standing
from gambit.events.orders import PlanApproved, PlanMade, PlannedLeg, PlanRefused, PlanStopped


def judged(made: Plan, held: Held, limits: Limits, conditions: Conditions, now_ns: int) -> Approved | Refused:
    """Every gate's verdict on a plan. Where a route over more venues is refused, for one of them maybe, that of the
    signal's own two alone when it passes."""
    verdict = check(made, held, limits, conditions, now_ns)
    if isinstance(verdict, Refused) and made.pair is not None:
        second = check(made.pair, held, limits, conditions, now_ns)
        return second if isinstance(second, Approved) else verdict
    return verdict


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
    made: PlanMade, by: str, held: Held, limits: Limits, rules: Execution, conditions: Conditions, now_ns: int
) -> PlanApproved | PlanStopped:
    """What becomes of a plan that somebody approved: with the fees, rules and books of this moment its legs still have
    to be allowed and to earn, and every gate has to pass it; either way with their verdicts."""
    own = {leg.symbol for leg in made.legs}
    planned = {symbol: times[:-1] if symbol in own else times for symbol, times in held.planned_ns.items()}
    episodes = {signal: plan for signal, plan in held.episodes.items() if plan != made.plan_id}
    without = dataclasses.replace(held, episodes=episodes, planned_ns=planned)
    legs = tuple(_at_its_fee(leg, conditions) for leg in made.legs)
    again = _again(made, legs, rules, conditions, now_ns)
    verdict = check(again, without, limits, conditions, now_ns)
    reason = f"{RISK}{verdict.gate}" if isinstance(verdict, Refused) else ""
    if not _earns(again, rules):
        reason = "fee" if _earns(_again(made, made.legs, rules, conditions, now_ns), rules) else "lost_race"
    if not all(_is_allowed(leg, conditions) for leg in legs):
        reason = "rules"
    if reason:
        return PlanStopped(plan_id=made.plan_id, reason=reason, by=by, gates=verdict.gates)
    return PlanApproved(plan_id=made.plan_id, by=by, gates=verdict.gates)


def _at_its_fee(leg: PlannedLeg, conditions: Conditions) -> PlannedLeg:
    """A leg with what its venue charges now."""
    venue = conditions.venue(leg.venue)
    return leg if venue is None else msgspec.structs.replace(leg, fee_bps=venue.taker_fee_bps)


def _earns(plan: Plan, rules: Execution) -> bool:
    return plan.expected_profit > 0 and plan.net_bps >= rules.safety_margin_bps


def _is_allowed(leg: PlannedLeg, conditions: Conditions) -> bool:
    """Whether the venue takes an order of that price and quantity now."""
    own = conditions.instrument(leg.venue, leg.symbol)
    if own is None or own.contract_size is not None:
        return False
    if own.max_qty is not None and leg.qty > own.max_qty:
        return False
    if own.min_qty is not None and leg.qty < own.min_qty:
        return False
    if own.min_notional is not None and leg.qty * min(leg.price, leg.average_price) < own.min_notional:
        return False
    is_whole = own.lot is None or leg.qty % own.lot == 0
    return is_whole and (own.tick is None or leg.price % own.tick == 0)


def _again(made: PlanMade, legs: tuple[PlannedLeg, ...], rules: Execution, conditions: Conditions, now_ns: int) -> Plan:
    """A plan that waited, at what its quantities would trade for now, each leg within its limit and at its fee."""
    buy, sell = legs[0], legs[-1]
    quotes = [(leg, _quote(leg, conditions.book(leg.venue, leg.symbol))) for leg in legs]
    total = sum((quote for leg, quote in quotes if leg.side == "buy"), ZERO)
    spent = sum((quote * (1 + leg.fee_bps / BPS) for leg, quote in quotes if leg.side == "buy"), ZERO)
    got = sum((quote * (1 - leg.fee_bps / BPS) for leg, quote in quotes if leg.side == "sell"), ZERO)
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
        fees_bps=fees_of(made.legs, made.total_quote),
    )
    return Plan(
        opportunity=opportunity,
        strategy=made.strategy,
        legs=legs,
        qty=sum((leg.qty for leg in legs if leg.side == "buy"), ZERO),
        total_quote=total,
        expected_profit=got - spent,
        latency_ns=0,
        made_ns=now_ns,
        expires_ns=now_ns + rules.plan_ttl_ns,
    )


def _quote(leg: PlannedLeg, book: BookView | None) -> Decimal:
    """What a leg would trade for: level by level up to its limit, what the book lacks at the limit."""
    levels = () if book is None else book.asks if leg.side == "buy" else book.bids
    left, quote = leg.qty, ZERO
    for price, available in levels:
        if left <= 0 or (price > leg.price if leg.side == "buy" else price < leg.price):
            break
        step = min(left, available)
        left -= step
        quote += step * price
    return quote + left * leg.price


def latency_ns_of(opportunity: Opportunity, conditions: Conditions) -> int:
    """The slower of an opportunity's two venues, as measured."""
    venues = (conditions.venue(name) for name in (opportunity.venue_buy, opportunity.venue_sell))
    return max((venue.latency_ns for venue in venues if venue is not None), default=0)
