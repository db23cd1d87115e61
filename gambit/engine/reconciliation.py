"""Our books against the venues': what an answer proves, and the facts that close a difference.

Nothing is ever edited: a missing execution is a Filled, a wrong one a Busted, a balance that is off a BalanceCorrected
with an alert, an order that only the venue knows an adopted one or a foreign one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import msgspec

from gambit.commands import key_parts, order_id, plan_id
from gambit.engine.conditions import Conditions
from gambit.engine.limits import SECOND_NS, Execution, Limits
from gambit.engine.order import ZERO, Order, Status
from gambit.engine.standing import Standing, is_symbol
from gambit.events.orders import (
    AbsentProven,
    Amended,
    BalanceCorrected,
    BalanceRead,
    Cancelled,
    CorrectionReason,
    Expired,
    Filled,
    FillsRead,
    ForeignOrderSeen,
    OrderFact,
    OrderFound,
    OrderIntended,
    OrderMissing,
    OrderSettled,
    OutcomeUnknown,
    PlanMade,
)

CLOCK_SLACK_NS: Final = 30 * SECOND_NS
ROUNDING: Final = Decimal("1e-8")  # venues cut the balances they tell to eight digits, and count in finer ones


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A balance that differs, seen once; executions on their way may explain it."""

    deltas: dict[str, Decimal]  # by asset
    asked_ns: int


def nonsense(fact: object) -> str:
    """What no venue can mean: a quantity or price that is no number, negative, or nothing; empty for a sane fact."""
    positive: list[tuple[str, Decimal]] = []
    amounts: list[tuple[str, Decimal]] = []
    match fact:
        case Filled():
            positive, amounts = [("qty", fact.qty), ("price", fact.price)], [("fee", fact.fee)]
        case Cancelled() | Expired() | OrderFound():
            amounts = [("cum_qty", fact.cum_qty)]
        case FillsRead():
            return next((wrong for fill in fact.fills if (wrong := nonsense(fill))), "")
        case BalanceRead():
            amounts = [*fact.free.items(), *fact.locked.items()]
        case ForeignOrderSeen():  # a market order has no price
            positive, amounts = [("qty", fact.qty)], [("price", fact.price)]
        case Amended():
            positive = [("qty", fact.qty), ("price", fact.price)]
    for name, value in (*positive, *amounts):
        if not value.is_finite():
            return f"{name} {value}"
    is_signed = isinstance(fact, Filled | BalanceRead)  # a rebate; a balance that is owed
    bad = [(name, value) for name, value in positive if value <= 0]
    bad += [(name, value) for name, value in amounts if value < 0 and not is_signed]
    return f"{bad[0][0]} {bad[0][1]}" if bad else ""


def missing_verdict(fact: OrderMissing, standing: Standing, rules: Execution) -> Iterator[AbsentProven]:
    """R2: "no such order" is proof when the order was never seen, everything was searched, and it was asked late."""
    order = standing.live.get(fact.key)
    if order is None or order.status is not Status.IN_DOUBT or not fact.searched_history:
        return
    was_seen = bool(order.venue_order_id) or order.filled_qty > 0 or order.waits_for_fills
    provable_ns = order.provable_ns(rules.clock_margin_ns)
    if was_seen or provable_ns is None or fact.asked_ns <= provable_ns or fact.query_id < order.last_query_id:
        return
    yield AbsentProven(key=fact.key, venue=fact.venue, asked_ns=fact.asked_ns, provable_ns=provable_ns)


def after_fills(fact: FillsRead, standing: Standing) -> Iterator[OrderSettled]:
    """Orders that are over and whose executions the venue lists exactly as we have them."""
    listed = {fill.exec_id for fill in fact.fills}
    for order in list(standing.unsettled.values()):
        intent = order.intent
        if (intent.venue, intent.symbol) != (fact.venue, fact.symbol) or order.changed_ns >= fact.asked_ns:
            continue
        if order.intended_ns < fact.since_ns + CLOCK_SLACK_NS:
            continue
        ours = {exec_id for exec_id, execution in order.executions.items() if not execution.is_busted}
        theirs = {fill.exec_id for fill in fact.fills if fill.key == intent.key}
        if ours <= listed and theirs <= ours:
            yield settlement(order, fact.query_id)


def settlement(order: Order, query_id: int) -> OrderSettled:
    """What an order came to, execution by execution."""
    intent = order.intent
    sign = 1 if intent.side == "buy" else -1
    alive = [execution for execution in order.executions.values() if not execution.is_busted]
    fees: dict[str, Decimal] = {}
    for execution in alive:
        fees[execution.fee_asset] = fees.get(execution.fee_asset, ZERO) + execution.fee
    return OrderSettled(
        key=intent.key,
        venue=intent.venue,
        order_id=intent.order_id,
        settlement_id=f"{intent.key}-{query_id}",
        base_net=sign * order.filled_qty - fees.get(intent.base, ZERO),
        quote_net=-sign * order.filled_quote - fees.get(intent.quote, ZERO),
        fees=fees,
        exec_ids=tuple(execution.exec_id for execution in alive),
    )


def after_balances(fact: BalanceRead, standing: Standing) -> Iterator[BalanceCorrected]:
    """What an asset opens with, when it is first read, and differences later; a busy moment's answer says nothing."""
    holdings = standing.state.holdings
    is_busy = any(order.intent.venue == fact.venue for order in standing.live.values())
    if is_busy or holdings.last_fill_ns.get(fact.venue, -1) >= fact.asked_ns:
        return
    known = {name.partition("|")[2] for name in holdings.balances if name.startswith(f"{fact.venue}|")}
    for asset in sorted(known | fact.free.keys() | fact.locked.keys()):
        total = fact.free.get(asset, ZERO) + fact.locked.get(asset, ZERO)
        delta = total - holdings.balance(fact.venue, asset)
        is_opened = f"{fact.venue}|{asset}" in holdings.corrected
        if abs(delta) >= ROUNDING or not is_opened:
            reason: CorrectionReason = "difference" if is_opened else "opening"
            yield BalanceCorrected(venue=fact.venue, asset=asset, delta=delta, reason=reason)


def is_ours(fact: ForeignOrderSeen, standing: Standing) -> bool:
    """Whether an order on the account is one that we intended."""
    return standing.knows(fact.client_id)


def named(fact: Filled, standing: Standing) -> Filled:
    """An execution that names no key, with that of the order at hand whose venue id it names: who lists executions by
    venue ids only does so after a restart too, when nobody but the journal knows whose they were."""
    if fact.key or not fact.venue_order_id:
        return fact
    market = fact.venue, fact.symbol, fact.side
    for key, order in standing.state.orders.items():
        intent = order.intent
        if order.venue_order_id == fact.venue_order_id and (intent.venue, intent.symbol, intent.side) == market:
            return msgspec.structs.replace(fact, key=key)
    return fact


def may_be_ours(fact: Filled, standing: Standing) -> bool:
    """Whether an execution that names no key may be of an order of ours whose venue id is not known yet (F02)."""
    market = fact.venue, fact.symbol, fact.side
    return not fact.key and any(
        not order.venue_order_id and (order.intent.venue, order.intent.symbol, order.intent.side) == market
        for order in standing.live.values()
    )


def is_lost(key: str, standing: Standing, rules: Execution) -> bool:
    """Whether an order's id is of an earlier life of ours and its record is gone (with the power)."""
    parts = key_parts(key, rules.key_prefix)
    return parts is not None and parts.epoch < standing.state.epoch and not standing.knows(key)


def rival(key: str, standing: Standing, rules: Execution) -> str:
    """Why an order with our prefix that we do not know, of a later life than ours or of this one, ends our trading:
    another daemon is on the account, and where neither is the later one neither may trade (R9). All intents of this
    life are known; one of an earlier life may have been lost with the power. Empty for any other."""
    parts = key_parts(key, rules.key_prefix)
    ours = standing.state.epoch
    if parts is None or parts.epoch < ours or standing.knows(key):
        return ""
    return f"another daemon trades on this account: an order of epoch {parts.epoch}, ours is {ours}"


def lost_orders(fills: Iterable[Filled], standing: Standing, rules: Execution) -> list[ForeignOrderSeen]:
    """The orders of earlier lives that only their executions tell of: most venues list open orders alone, and ours end
    at once. As large as what was executed of them; what else there was comes beyond that, like any late execution."""
    found: dict[str, ForeignOrderSeen] = {}
    for fill in fills:
        if is_symbol(fill.symbol) and is_lost(fill.key, standing, rules) and standing.judge(fill) == "new":
            known = found.get(fill.key)
            found[fill.key] = ForeignOrderSeen(
                venue=fill.venue, symbol=fill.symbol, side=fill.side, qty=fill.qty + (known.qty if known else ZERO),
                price=fill.price, venue_order_id=fill.venue_order_id, client_id=fill.key, is_open=False,
                account=fill.account,
            )  # fmt: skip
    return list(found.values())


def adoption(fact: ForeignOrderSeen, standing: Standing, rules: Execution, conditions: Conditions) -> list[OrderFact]:
    """An order with our prefix that no journal knows (its record was lost with the power): an episode of its own."""
    state = standing.state
    number = state.plan_number + 1
    plan = plan_id(rules.key_prefix, state.epoch, number)
    base, quote = fact.symbol.split("-")[:2]
    venue = conditions.venue(fact.venue)
    made = PlanMade(
        plan_id=plan, number=number, epoch=state.epoch, opp_id="", raw_signal_id="", user_id=rules.user_id,
        symbol=fact.symbol, strategy="partial", approval="auto", legs=(), total_quote=fact.qty * fact.price,
        expected_profit=ZERO, expires_ns=0, gates=(),
    )  # fmt: skip
    intent = OrderIntended(
        key=fact.client_id, venue=fact.venue, order_id=order_id(fact.client_id), plan_id=plan, user_id=rules.user_id,
        idempotency_key=f"adopted|{fact.client_id}", symbol=fact.symbol, base=base, quote=quote, side=fact.side,
        qty=fact.qty, price=fact.price, tif="ioc", purpose="entry", leg=-1,
        fee_bps=ZERO if venue is None else venue.taker_fee_bps, window_ns=None,
        adopted=True,
    )  # fmt: skip
    doubt = OutcomeUnknown(key=fact.client_id, venue=fact.venue, during="restart", reason="adopted by its prefix")
    return [made, intent, doubt]


def drifted_venues(standing: Standing, limits: Limits) -> list[str]:
    """Venues that lately charge more than their fee tier says."""
    return [
        venue
        for venue, tally in standing.state.holdings.tallies.items()
        if len(tally.recent) >= limits.fee_drift_fills
        and tally.drift_bps(limits.fee_drift_fills) > limits.max_fee_drift_bps
    ]
