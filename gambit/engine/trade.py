"""The life of one plan, from its first order to a flat end: an episode.

Rules that hold here (orders.md, "Imbalance"; R4):
1. What an episode owes is a sum: bought less sold of each base asset, fees in it included, less what went to the dust
   book. Nothing else says whether it is balanced.
2. All legs are intended at once. Nothing is compensated while an order of the episode may still be executed.
3. A compensation has a deadline, a collar that widens with each attempt up to the loss budget, a number of attempts,
   and a budget for how much was naked how long. Whatever runs out first ends it: unhedged, alarmed, a position.
4. `next_facts` decides from what it is given, one step at a time; the desk notes the facts and asks again. So a
   restart needs no memory beyond the facts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

import msgspec

from gambit.commands import client_order_id, idempotency_key, order_id
from gambit.engine.conditions import Conditions, mids_of
from gambit.engine.hedge import Imbalance, Route, hedge, is_dust
from gambit.engine.holdings import Holdings, reserved
from gambit.engine.limits import MINUTE_NS, SECOND_NS, Execution, Limits
from gambit.engine.order import CUT, ZERO, On, Order, Status
from gambit.engine.trading_state import TradingState
from gambit.events.orders import (
    DustMoved,
    OrderFact,
    OrderIntended,
    PlanApproved,
    PlanClosed,
    PlanEnd,
    PlanMade,
    PlannedLeg,
    PlanReopened,
    PlanStopped,
    Purpose,
    Reopening,
    Unhedged,
)

ONE: Final = Decimal(1)
STALE_REFERENCE_NS: Final = MINUTE_NS  # after that the plan's own prices say nothing about a fair one
SWEEP: Final = ""  # opp_id of an episode that only sweeps dust or looks after an adopted order


class Phase(StrEnum):
    """Where an episode is."""

    WAITING = "waiting"  # for a person
    WORKING = "working"
    CLOSED = "closed"


PHASES: Final[dict[tuple[Phase, type], Phase]] = {
    (Phase.WAITING, PlanApproved): Phase.WORKING,
    (Phase.WAITING, PlanStopped): Phase.WORKING,  # to be closed with nothing
    (Phase.WORKING, PlanStopped): Phase.WORKING,
    (Phase.WORKING, Unhedged): Phase.WORKING,
    (Phase.WORKING, PlanClosed): Phase.CLOSED,
    (Phase.CLOSED, PlanReopened): Phase.WORKING,
}


class Trade(msgspec.Struct):
    """One episode. Changed by facts only."""

    made: PlanMade
    made_ns: int
    phase: Phase
    keys: list[str] = []  # of its orders, in the order of their intents
    net: dict[str, Decimal] = {}  # base assets: what is left to balance, signed
    cash: dict[str, Decimal] = {}  # quote assets: sold less bought, less fees
    stopped: str = ""  # why no further entry may leave
    end: str = ""
    is_traded: bool = False
    is_unhedged: bool = False  # the alarm was given
    told_quote: Decimal = ZERO  # the most that an alarm named, in quote units
    moved_by: Reopening | None = None  # what changed quantities after the end
    naked_quote_ns: Decimal = ZERO
    accrued_ns: int = 0
    unbalanced_ns: int = 0  # since when something is left; 0: nothing is
    attempts: int = 0  # compensations since it was last balanced or reopened, without those that filled whole
    compensations: int = 0
    legs_intended: int = 0
    rested_ns: int = 0  # since when nothing more is to come; 0: something is

    @property
    def is_open(self) -> bool:
        """Whether it may still send or be executed."""
        return self.phase is not Phase.CLOSED

    def apply(self, fact: object, now_ns: int) -> None:
        """Take a fact about the plan in. Raises ValueError for a move the phases do not have."""
        target = PHASES.get((self.phase, type(fact)))
        if target is None:
            raise ValueError(f"plan {self.made.plan_id}: {type(fact).__name__} does not happen to a {self.phase} one")
        self.phase = target
        match fact:
            case PlanStopped(reason=reason):
                self.stopped = self.stopped or reason
            case Unhedged(notional=notional):
                self.is_unhedged, self.told_quote = True, max(self.told_quote, notional)
            case PlanClosed(end=end):
                self.accrue(now_ns)
                self.end, self.moved_by = end, None
            case PlanReopened():
                self.end, self.is_unhedged, self.attempts = "", False, 0
                self.told_quote, self.unbalanced_ns = ZERO, now_ns

    def intended(self, intent: OrderIntended) -> None:
        """Another order of this episode."""
        self.keys.append(intent.key)
        if intent.leg >= 0:
            self.legs_intended += 1
        if intent.purpose != "entry":
            self.attempts += 1
            self.compensations += 1

    def owe(self, asset: str, delta: Decimal, now_ns: int) -> None:
        """A base asset was bought, sold, or moved from or to the dust book."""
        self.accrue(now_ns)
        left = self.net.get(asset, ZERO) + delta
        if left:
            self.net[asset] = left
        else:
            self.net.pop(asset, None)
        if not self.net:
            self.unbalanced_ns = 0
        elif self.unbalanced_ns == 0:
            self.unbalanced_ns, self.attempts = now_ns, 0

    def execute(
        self, intent: OrderIntended, qty: Decimal, price: Decimal, fee: tuple[Decimal, str], now_ns: int
    ) -> None:
        """An execution (or, with a negative quantity and fee, its reversal) of an order of this episode."""
        signed = qty if intent.side == "buy" else -qty
        amount, fee_asset = fee
        self.is_traded = True
        if not self.is_open:
            self.moved_by = "late_fill" if qty > 0 else "bust"
        self.cash[intent.quote] = self.cash.get(intent.quote, ZERO) - signed * price
        bases = self.bases
        if fee_asset == intent.quote or fee_asset not in bases:
            self.cash[fee_asset] = self.cash.get(fee_asset, ZERO) - amount
            amount = ZERO
        elif fee_asset != intent.base:
            self.owe(fee_asset, -amount, now_ns)
            amount = ZERO
        self.owe(intent.base, signed - amount, now_ns)
        if intent.quote in bases:  # a cycle: the quote of one leg is the base of another
            self.owe(intent.quote, -signed * price, now_ns)

    def accrue(self, now_ns: int) -> None:
        """Count what was unhedged since the last change, at the plan's own prices."""
        if self.accrued_ns:
            naked = sum((abs(qty) * self.reference(asset) for asset, qty in self.net.items()), ZERO)
            self.naked_quote_ns += naked * (now_ns - self.accrued_ns)
        self.accrued_ns = now_ns

    @property
    def bases(self) -> set[str]:
        """The assets this episode has to balance."""
        return {leg.base for leg in self.made.legs} or {self.made.symbol.split("-")[0]}

    def symbols_of(self, assets: Iterable[str]) -> list[str]:
        """The markets in which its legs trade some base assets; without legs its own."""
        wanted = set(assets)
        return list(dict.fromkeys(leg.symbol for leg in self.made.legs if leg.base in wanted)) or [self.made.symbol]

    def reference(self, asset: str, qty: Decimal | None = None) -> Decimal:
        """The plan's own price of so much of an asset, by default of what is left: bought too much at the price of the
        buys, sold too much at that of the sells; 0 where it has none."""
        side = "buy" if (self.net.get(asset, ZERO) if qty is None else qty) >= 0 else "sell"
        legs = [leg for leg in self.made.legs if leg.base == asset and leg.quote not in self.bases]
        prices = [leg.average_price for leg in legs if leg.side == side] or [leg.average_price for leg in legs]
        return (sum(prices, ZERO) / len(prices)).quantize(CUT) if prices else ZERO

    def result(self, orders: Iterable[Order]) -> dict[str, Decimal]:
        """What its orders changed, by asset: money, fees, and what of a base asset was bought and not sold."""
        changed, bases = dict(self.cash), self.bases
        for order in orders:
            intent = order.intent
            for each in order.executions.values():
                if each.is_busted:
                    continue
                qty = each.qty if intent.side == "buy" else -each.qty
                changed[intent.base] = changed.get(intent.base, ZERO) + qty
                if each.fee_asset in bases and each.fee_asset != intent.quote:
                    changed[each.fee_asset] = changed.get(each.fee_asset, ZERO) - each.fee
        return {asset: amount for asset, amount in sorted(changed.items()) if amount}

    def value(self, result: Mapping[str, Decimal], marks: Mapping[str, Decimal]) -> Decimal:
        """What a result is worth in the currency of account: base assets at the plan's own prices, or at their marks
        where it has none."""
        quotes = {leg.quote for leg in self.made.legs}
        total = ZERO
        for asset, amount in result.items():
            own = self.reference(asset, amount) if asset in self.bases else ZERO
            own *= next((marks.get(leg.quote, ONE) for leg in self.made.legs if leg.base == asset), ONE)
            total += amount * (own or marks.get(asset, ONE if asset in quotes else ZERO))
        return total


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything an episode's decision may look at besides itself."""

    orders: Mapping[str, Order]
    live: tuple[Order, ...]  # of all episodes
    holdings: Holdings
    trading: TradingState
    conditions: Conditions
    rules: Execution
    limits: Limits
    epoch: int  # of this life
    now_ns: int

    def free(self, venue: str, asset: str) -> Decimal:
        """What may still be committed of a balance."""
        return self.holdings.balance(venue, asset) - reserved(self.live).get(f"{venue}|{asset}", ZERO)


def opened(made: PlanMade, now_ns: int) -> Trade:
    """The episode of a plan."""
    phase = Phase.WAITING if made.approval == "manual" else Phase.WORKING
    made = msgspec.structs.replace(made, gates=())  # the journal has them; nothing here reads them again
    return Trade(made=made, made_ns=now_ns, phase=phase, keys=[], net={}, cash={}, accrued_ns=now_ns)


def next_facts(trade: Trade, around: Surroundings) -> list[OrderFact]:
    """The next step of an episode, as the facts it makes true; none when there is nothing to do now."""
    made, now_ns = trade.made, around.now_ns
    if not trade.is_open:
        if trade.moved_by is not None:
            return [PlanReopened(plan_id=made.plan_id, cause=trade.moved_by, key=trade.keys[-1])]
        return []
    if trade.phase is Phase.WAITING:
        if now_ns >= trade.made_ns + around.rules.approval_ttl_ns:
            return [PlanStopped(plan_id=made.plan_id, reason="unapproved")]
        return []
    if not trade.stopped and trade.legs_intended < len(made.legs):
        return _entries(trade, around)
    if any(around.orders[key].is_live for key in trade.keys):
        return _alarm(trade, around) if _is_overdue(trade, around) else []
    return _balance(trade, around)


def deadline_ns(trade: Trade, around: Surroundings) -> int | None:
    """When to ask again although nothing happened; None: not before a fact."""
    if not trade.is_open:
        return None
    if trade.phase is Phase.WAITING:
        return trade.made_ns + around.rules.approval_ttl_ns
    is_live = any(around.orders[key].is_live for key in trade.keys)
    if trade.net and not is_live:
        return around.now_ns + around.rules.query_interval_ns  # a route may open up
    if trade.unbalanced_ns and not trade.is_unhedged:
        due_ns = trade.unbalanced_ns + around.rules.flat_deadline_ns
        return due_ns if due_ns > around.now_ns else around.now_ns + around.rules.query_interval_ns
    return None


def _entries(trade: Trade, around: Surroundings) -> list[OrderFact]:
    made = trade.made
    if around.now_ns > made.expires_ns and trade.made.approval == "auto":
        return [PlanStopped(plan_id=made.plan_id, reason="expired")]
    intents = [_entry(made, index, leg, around) for index, leg in enumerate(made.legs)]
    refusals = [around.trading.may_send(intent, around.rules.mode, around.now_ns) for intent in intents]
    stops = [refusal for refusal in refusals if refusal is not None]
    return [PlanStopped(plan_id=made.plan_id, reason=stops[0])] if stops else list(intents)


def _entry(made: PlanMade, index: int, leg: PlannedLeg, around: Surroundings) -> OrderIntended:
    view = around.conditions.venue(leg.venue)
    idempotency = idempotency_key(made.plan_id, made.user_id, leg.venue, leg.symbol, leg.side, leg.qty)
    key = client_order_id(around.rules.key_prefix, made.epoch, made.number, idempotency)
    return OrderIntended(
        key=key,
        venue=leg.venue,
        order_id=order_id(key),
        plan_id=made.plan_id,
        user_id=made.user_id,
        idempotency_key=idempotency,
        symbol=leg.symbol,
        base=leg.base,
        quote=leg.quote,
        side=leg.side,
        qty=leg.qty,
        price=leg.price,
        tif=leg.tif,
        purpose="entry",
        leg=index,
        fee_bps=leg.fee_bps if view is None else view.taker_fee_bps,  # a plan that waited has that of then
        window_ns=None if view is None else view.window_ns,
    )


def _window(around: Surroundings, venue: str) -> int | None:
    view = around.conditions.venue(venue)
    return None if view is None else view.window_ns


def _is_overdue(trade: Trade, around: Surroundings) -> bool:
    """Whether something is left and was so for too long, or too much of it (rule 3)."""
    if trade.unbalanced_ns == 0:
        return False
    naked = trade.naked_quote_ns
    naked += sum((abs(q) * trade.reference(a) for a, q in trade.net.items()), ZERO) * (around.now_ns - trade.accrued_ns)
    is_late = around.now_ns >= trade.unbalanced_ns + around.rules.flat_deadline_ns
    return is_late or naked > around.rules.naked_budget_quote_s * SECOND_NS


def _alarm(trade: Trade, around: Surroundings) -> list[OrderFact]:
    """Say that the episode is unhedged, for what is more than dust."""
    found = [_imbalance(trade, asset, around) for asset in trade.net]
    left = [one for one in found if _is_to_tell(trade, one, around) and not _is_dust(one, around)]
    return [_unhedged(trade, one, "orders are in doubt past the deadline") for one in left[:1]]


def _is_to_tell(trade: Trade, found: Imbalance, around: Surroundings) -> bool:
    """Whether an alarm is due: once, and again when it has grown beyond what pulls the kill switch since."""
    return not trade.is_unhedged or trade.told_quote <= around.limits.max_imbalance_quote < found.notional


def _unhedged(trade: Trade, found: Imbalance, reason: str) -> Unhedged:
    return Unhedged(
        plan_id=trade.made.plan_id,
        symbol=found.symbols[0],
        asset=found.asset,
        qty=found.qty,
        notional=found.notional,
        reason=reason,
    )


def _imbalance(trade: Trade, asset: str, around: Surroundings) -> Imbalance:
    """What is left of an asset, where it can be traded, and what it is worth."""
    bases = trade.bases
    symbols = [leg.symbol for leg in trade.made.legs if leg.base == asset and leg.quote not in bases]
    symbols = list(dict.fromkeys(symbols)) or [trade.made.symbol]
    reference = trade.reference(asset)
    if not reference or around.now_ns - trade.made_ns > STALE_REFERENCE_NS:
        reference = fair_price(symbols, around) or reference
    return Imbalance(asset, trade.net.get(asset, ZERO), tuple(symbols), reference)


def fair_price(symbols: list[str], around: Surroundings) -> Decimal:
    """The median mid of some symbols on all venues; 0 without one."""
    mids = sorted(mid for symbol in symbols for mid in mids_of(around.conditions.touches(symbol)) if mid)
    return mids[len(mids) // 2] if mids else ZERO


def _is_dust(found: Imbalance, around: Surroundings) -> bool:
    return is_dust(found, around)


def _balance(trade: Trade, around: Surroundings) -> list[OrderFact]:
    """Nothing is live: compensate what is more than dust, else close."""
    found = [_imbalance(trade, asset, around) for asset in sorted(trade.net)]
    large = [one for one in found if not _is_dust(one, around)]
    if not large:
        moves = [DustMoved(asset=one.asset, qty=one.qty, plan_id=trade.made.plan_id) for one in found]
        end: PlanEnd = "dust" if found else "flat" if trade.is_traded else "nothing"
        return [*moves, _closed(trade, end, {one.asset: one.qty for one in found}, around)]
    why_not = _exhausted(trade, around)
    if why_not:
        return _give_up(trade, large, why_not, around)
    if _is_overdue(trade, around) and not trade.is_unhedged:
        return [_unhedged(trade, large[0], "the deadline passed while orders were in doubt")]
    if not _is_spaced(trade, around):
        return []
    for one in large:
        route = _route(trade, one, around)
        if route is not None:
            return _compensation(trade, one, route, around)
    return []


def _exhausted(trade: Trade, around: Surroundings) -> str:
    """Why nothing more is tried (rule 3); empty when something may be."""
    rules = around.rules
    if trade.attempts >= rules.compensation_attempts:
        return f"{trade.attempts} attempts did not close it"
    ended_ns = max((around.orders[key].ended_ns for key in trade.keys if _is_entry(around.orders[key])), default=0)
    if around.now_ns >= max(trade.unbalanced_ns, ended_ns) + rules.flat_deadline_ns:
        return "the deadline passed"
    if _naked(trade, around) > rules.naked_budget_quote_s * SECOND_NS:
        return "the naked-exposure budget is used up"
    if around.trading.state == "HALTED":
        return "trading is halted"
    return ""


def _naked(trade: Trade, around: Surroundings) -> Decimal:
    now = sum((abs(q) * trade.reference(a) for a, q in trade.net.items()), ZERO)
    return trade.naked_quote_ns + now * (around.now_ns - trade.accrued_ns)


def _is_entry(order: Order) -> bool:
    return order.intent.purpose == "entry"


def _give_up(trade: Trade, large: list[Imbalance], reason: str, around: Surroundings) -> list[OrderFact]:
    left = {one.asset: one.qty for one in large}
    if trade.made.opp_id == SWEEP and not trade.is_traded:
        moves = [DustMoved(asset=one.asset, qty=one.qty, plan_id=trade.made.plan_id) for one in large]
        return [*moves, _closed(trade, "dust", left, around)]
    alarms = [_unhedged(trade, one, reason) for one in large if _is_to_tell(trade, one, around)]
    return [*alarms, _closed(trade, "position", left, around)]


def _closed(trade: Trade, end: PlanEnd, left: dict[str, Decimal], around: Surroundings) -> PlanClosed:
    result = trade.result(around.orders[key] for key in trade.keys)
    return PlanClosed(
        plan_id=trade.made.plan_id,
        end=end,
        left=left,
        profit=result,
        value=trade.value(result, around.conditions.marks()),
        naked_quote_ns=trade.naked_quote_ns,
        compensations=trade.compensations,
    )


def _is_spaced(trade: Trade, around: Surroundings) -> bool:
    """Whether the last compensation is long enough ago; the first one waits for nothing, nor does one after another
    that did all it could: the venue's largest order, say, or what was free."""
    if trade.attempts == 0:
        return True
    last = around.orders[trade.keys[-1]]
    if not _is_entry(last) and last.filled_qty == last.qty:
        return True
    return around.now_ns >= last.changed_ns + (around.rules.query_interval_ns << min(trade.attempts - 1, 4))


def _route(trade: Trade, one: Imbalance, around: Surroundings) -> Route | None:
    """The cheapest healthy venue; one that refused, did not get a compensation, is halted or degraded comes last."""
    own = [around.orders[key] for key in trade.keys]
    last = frozenset(order.intent.venue for order in own if _is_not_taken(order))
    last |= {scope.removeprefix("venue:") for scope in around.trading.scopes if scope.startswith("venue:")}
    venues = {book.venue for symbol in one.symbols for book in around.conditions.touches(symbol)}
    last |= {name for name in venues if (view := around.conditions.venue(name)) is not None and view.is_degraded}
    return hedge(one, trade.attempts, last, around) or (
        hedge(one, trade.attempts, frozenset(), around) if last else None
    )


def _is_not_taken(order: Order) -> bool:
    """Whether the next attempt is better made elsewhere. An entry that never arrived is tried again where it was."""
    is_lost = order.failed_by in (On.UNSENT, On.ABSENT_PROVEN) and not _is_entry(order)
    return is_lost or order.failed_by is On.REJECTED


def _compensation(trade: Trade, one: Imbalance, route: Route, around: Surroundings) -> list[OrderFact]:
    """The order that closes (a part of) an imbalance: instead of a failed one of the same kind, or against a filled."""
    made = trade.made
    # The epoch is that of this life: what a former one decided may stand at the venue and be lost with the power here.
    again = f"{around.epoch}.{trade.compensations + 1}"
    idempotency = idempotency_key(made.plan_id, made.user_id, route.venue, route.symbol, route.side, route.qty, again)
    key = client_order_id(around.rules.key_prefix, around.epoch, made.number, idempotency)
    own = [around.orders[k] for k in trade.keys]
    failed = [
        o.intent.key
        for o in own
        if o.status is Status.FAILED
        and (o.intent.venue, o.intent.symbol, o.intent.side) == (route.venue, route.symbol, route.side)
    ]
    executed = [o.intent.key for o in own if o.filled_qty > 0 and o.intent.side != route.side]
    purpose: Purpose = "compensation" if any(_is_entry(o) for o in own) else "sweep"
    intent = OrderIntended(
        key=key,
        venue=route.venue,
        order_id=order_id(key),
        plan_id=made.plan_id,
        user_id=made.user_id,
        idempotency_key=idempotency,
        symbol=route.symbol,
        base=one.asset,
        quote=route.quote,
        side=route.side,
        qty=route.qty,
        price=route.price,
        tif="ioc",
        purpose=purpose,
        leg=-1,
        fee_bps=route.fee_bps,
        window_ns=_window(around, route.venue),
        retry_of=failed[-1] if failed else "",
        compensates="" if failed or not executed else executed[-1],
    )
    return [] if around.trading.may_send(intent, around.rules.mode, around.now_ns) else [intent]
