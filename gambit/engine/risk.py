"""The gates between a plan and its orders, all of them, in the order of orders.md; only they make an `Approved`.

Rules that hold here (R5):
1. Every gate is evaluated and recorded, also after one has failed.
2. What is in flight counts at its worst: an order whose outcome is unknown is a filled one.
3. A gate that lacks what it needs to judge fails.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import median
from typing import Final

from gambit.engine.conditions import BookView, Conditions, mids_of
from gambit.engine.holdings import Holdings, reserved
from gambit.engine.limits import DAY_NS, HOUR_NS, SECOND_NS, Limits
from gambit.engine.order import Order
from gambit.engine.plan import BPS, ZERO, Plan
from gambit.engine.trading_state import Trading, TradingState
from gambit.events.orders import ForeignOrderSeen, GateVerdict, PlannedLeg

ONE: Final = Decimal(1)
SHOWN: Final = Decimal("1e-8")  # to this a verdict's amounts are written


@dataclass(frozen=True, slots=True)
class Held:
    """What we have and owe at the moment of a check. Keys of `marks` are assets, in the currency of account."""

    holdings: Holdings
    trading: TradingState
    live: Sequence[Order]  # every order of ours that the venue may still execute
    episodes: Mapping[str, str]  # raw_signal_id to plan_id of the plans that are open
    planned_ns: Mapping[str, Sequence[int]]  # by symbol: when plans were made, over the last day
    foreign: Sequence[ForeignOrderSeen]  # open orders on our accounts that are not ours
    marks: Mapping[str, Decimal]


class Approved:
    """Permission to send a plan's orders. Only `check` makes one."""

    __slots__ = ("gates", "plan")
    plan: Plan
    gates: tuple[GateVerdict, ...]

    def __init__(self) -> None:
        raise TypeError("an Approved comes from risk.check and from nowhere else")

    def __init_subclass__(cls) -> None:
        raise TypeError("an Approved is final")


@dataclass(frozen=True, slots=True)
class Refused:
    """A plan that may not be sent, and the first gate that said so."""

    plan: Plan
    gates: tuple[GateVerdict, ...]

    @property
    def gate(self) -> str:
        """The first gate that failed."""
        return next(verdict.gate for verdict in self.gates if not verdict.ok)

    @property
    def is_loss_limit(self) -> bool:
        """Whether the daily loss is reached, which halts trading."""
        return is_loss_limit(self.gates)


def is_loss_limit(gates: Iterable[GateVerdict]) -> bool:
    """Whether the daily loss is reached, which halts trading; one that nobody can tell is not."""
    return any(verdict.gate == "daily_loss" and not verdict.ok and verdict.limit for verdict in gates)


@dataclass(frozen=True, slots=True)
class Case:
    """One check: everything a gate may look at."""

    plan: Plan
    held: Held
    limits: Limits
    conditions: Conditions
    now_ns: int
    equity: Decimal
    exposure: tuple[Decimal, dict[str, Decimal]]  # of live orders, as of the function of this name

    def book(self, leg: PlannedLeg) -> BookView | None:
        """The current book of a leg."""
        return self.conditions.book(leg.venue, leg.symbol)

    def value(self, leg: PlannedLeg) -> Decimal:
        """A leg's notional in the currency of account; without a mark at par."""
        return leg.qty * leg.price * self.held.marks.get(leg.quote, ONE)

    def foreign_value(self, order: ForeignOrderSeen) -> Decimal:
        """The same of an order that is not ours; of a market that is not followed at par."""
        quote = order.symbol.partition("-")[2].partition("-")[0]
        return order.qty * order.price * self.held.marks.get(quote, ONE)


def check(plan: Plan, held: Held, limits: Limits, conditions: Conditions, now_ns: int) -> Approved | Refused:
    """Ask every gate about a plan at this moment."""
    equity, exposed = held.holdings.equity(held.marks), exposure(held.live, held.marks)
    case = Case(plan, held, limits, conditions, now_ns, equity, exposed)
    verdicts = tuple(gate(case) for gate in GATES)
    if not all(verdict.ok for verdict in verdicts):
        return Refused(plan, verdicts)
    approved = object.__new__(Approved)
    approved.plan, approved.gates = plan, verdicts
    return approved


def exposure(orders: Sequence[Order], marks: Mapping[str, Decimal]) -> tuple[Decimal, dict[str, Decimal]]:
    """Worst-case notional in flight in the currency of account: in all, and by `symbol:` and `venue:`."""
    total, parts = ZERO, dict[str, Decimal]()
    for order in orders:
        intent = order.intent
        amount = order.open_qty * order.price * marks.get(intent.quote, ONE)
        total += amount
        for name in (f"symbol:{intent.symbol}", f"venue:{intent.venue}"):
            parts[name] = parts.get(name, ZERO) + amount
    return total, parts


def _verdict(gate: str, ok: bool, value: object = "", limit: object = "") -> GateVerdict:
    return GateVerdict(
        gate, ok, value if type(value) is str else _text(value), limit if type(limit) is str else _text(limit)
    )


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value.quantize(SHOWN).normalize():f}" if value.is_finite() else str(value)
    return str(value)


def _stale(case: Case) -> GateVerdict:
    opportunity = case.plan.opportunity
    age = case.now_ns - opportunity.recv_ns
    is_fresh = age <= opportunity.ttl_ns and case.now_ns <= case.plan.expires_ns
    return _verdict("stale", is_fresh, f"{age} ns", f"{opportunity.ttl_ns} ns")


def _kill_switch(case: Case) -> GateVerdict:
    trading = case.held.trading
    scopes = {f"symbol:{leg.symbol}" for leg in case.plan.legs} | {f"venue:{leg.venue}" for leg in case.plan.legs}
    halted = sorted(scopes.intersection(trading.scopes))
    return _verdict("kill_switch", trading.state is Trading.ACTIVE and not halted, ",".join([trading.state, *halted]))


def _venue_health(case: Case) -> GateVerdict:
    wrong = []
    for leg in case.plan.legs:
        venue, book = case.conditions.venue(leg.venue), case.book(leg)
        instrument = case.conditions.instrument(leg.venue, leg.symbol)
        if venue is None or not venue.can_trade or venue.is_degraded:
            wrong.append(f"{leg.venue} cannot trade or is degraded")
        elif instrument is not None and not instrument.is_open:
            wrong.append(f"{leg.venue} {leg.symbol} takes no orders now")
        elif book is None or not book.is_usable(case.now_ns, case.limits.max_book_age_ns):
            wrong.append(f"{leg.venue} {leg.symbol} has no usable book")
    return _verdict("venue_health", not wrong, "; ".join(wrong))


def _skew(case: Case) -> GateVerdict:
    """No leg's frames come late by the venue's own clock: its book would be one of the past. Neither as a rule (F63)
    nor the last one: a feed that stood still hands over the past first (F74, F91)."""
    lags = [lag for leg in case.plan.legs for lag in _lags(case, leg)]
    worst, limit = max(lags, default=0), case.limits.max_feed_lag_ns
    return _verdict("skew", worst <= limit, f"{worst} ns" if lags else "not known", f"{limit} ns")


def _lags(case: Case, leg: PlannedLeg) -> Iterator[int]:
    venue, book = case.conditions.venue(leg.venue), case.book(leg)
    if venue is None:
        return
    if venue.feed_lag_ns is not None:
        yield venue.feed_lag_ns
    if venue.clock_shift_ns is not None and book is not None and book.lag_ns is not None:
        yield book.lag_ns + venue.clock_shift_ns
    elif venue.stalled_ns:
        yield venue.stalled_ns


def _data_quality(case: Case) -> GateVerdict:
    opportunity = case.plan.opportunity
    is_good = opportunity.data_quality == "ok" and not opportunity.is_degraded
    return _verdict(
        "data_quality", is_good, opportunity.data_quality + (", degraded" if opportunity.is_degraded else "")
    )


def _price_move(case: Case) -> GateVerdict:
    """Prices of the signal's own pair then and now. Fees apart, for those that a venue tells may be others than
    signalled; and what more venues add is worth less by nature, which is no move."""
    seen, plan = case.plan.opportunity, case.plan
    move = seen.net_bps + seen.fees_bps - (plan.pair or plan).gross_bps
    return _verdict("price_move", move <= case.limits.max_price_move_bps, move, case.limits.max_price_move_bps)


def _min_liquidity(case: Case) -> GateVerdict:
    depths = [_depth(case, leg) for leg in case.plan.legs]
    least = min(depths)
    return _verdict("min_liquidity", least >= case.limits.min_liquidity, least, case.limits.min_liquidity)


def _depth(case: Case, leg: PlannedLeg) -> Decimal:
    """Quote value within the leg's own limit price."""
    book = case.book(leg)
    if book is None:
        return ZERO
    if leg.side == "buy":
        return sum((price * qty for price, qty in book.asks if price <= leg.price), ZERO)
    return sum((price * qty for price, qty in book.bids if price >= leg.price), ZERO)


def _under_collateral(case: Case) -> GateVerdict:
    """What is owned less what orders may still take, of others on the account too: the venue holds that back."""
    taken = reserved(case.held.live)
    for order in case.held.foreign:
        base, _, quote = order.symbol.partition("-")
        if quote and "-" not in quote:  # of contracts and of markets that are not followed nobody knows what they take
            asset, amount = (quote, order.qty * order.price) if order.side == "buy" else (base, order.qty)
            name = f"{order.venue}|{asset}"
            taken[name] = taken.get(name, ZERO) + amount
    wanted: dict[str, Decimal] = {}
    for leg in case.plan.legs:
        fee = ONE + max(leg.fee_bps, ZERO) / BPS
        asset, amount = (leg.quote, leg.qty * leg.price * fee) if leg.side == "buy" else (leg.base, leg.qty)
        name = f"{leg.venue}|{asset}"
        wanted[name] = wanted.get(name, ZERO) + amount
    short = [
        f"{name}: {amount:f} of {case.held.holdings.balances.get(name, ZERO) - taken.get(name, ZERO):f}"
        for name, amount in wanted.items()
        if amount > case.held.holdings.balances.get(name, ZERO) - taken.get(name, ZERO)
    ]
    return _verdict("under_collateral", not short, "; ".join(short))


def _min_order(case: Case) -> GateVerdict:
    least = min(leg.qty * leg.worst_price * case.held.marks.get(leg.quote, ONE) for leg in case.plan.legs)
    return _verdict("min_order", least >= case.limits.min_order_quote, least, case.limits.min_order_quote)


def _max_order(case: Case) -> GateVerdict:
    most = max(case.value(leg) for leg in case.plan.legs)
    return _verdict("max_order_notional", most <= case.limits.max_order_notional, most, case.limits.max_order_notional)


def _scoped(case: Case, gate: str, scope: Callable[[PlannedLeg], str], limit: Decimal) -> GateVerdict:
    parts = dict(case.exposure[1])
    names = []
    for leg in case.plan.legs:
        name = scope(leg)
        names.append(name)
        parts[name] = parts.get(name, ZERO) + case.value(leg)
    for order in case.held.foreign:
        for name in (f"symbol:{order.symbol}", f"venue:{order.venue}"):
            parts[name] = parts.get(name, ZERO) + case.foreign_value(order)
    most = max(parts[name] for name in names)
    return _verdict(gate, most <= limit, most, limit)


def _max_symbol(case: Case) -> GateVerdict:
    limit = case.limits.max_symbol_notional
    return _scoped(case, "max_symbol_notional", lambda leg: f"symbol:{leg.symbol}", limit)


def _max_venue(case: Case) -> GateVerdict:
    return _scoped(case, "max_venue_notional", lambda leg: f"venue:{leg.venue}", case.limits.max_venue_notional)


def _max_in_flight(case: Case) -> GateVerdict:
    total = case.exposure[0] + sum((case.value(leg) for leg in case.plan.legs), ZERO)
    total += sum((case.foreign_value(order) for order in case.held.foreign), ZERO)
    limit = case.limits.max_in_flight_notional
    return _verdict("max_in_flight", total <= limit, total, limit)


def _position_limit(case: Case) -> GateVerdict:
    """Worst case per symbol: all buys fill and no sell does, or the other way round."""
    limit = case.equity * case.limits.position_limit_bps / BPS
    worst = max(_worst_position(case, symbol) for symbol in sorted({leg.symbol for leg in case.plan.legs}))
    return _verdict("position_limit", worst <= limit, worst, limit)


def _worst_position(case: Case, symbol: str) -> Decimal:
    position = case.held.holdings.positions.get(symbol)
    qty = position.qty if position else ZERO
    up = down = ZERO
    price = ZERO
    for leg in case.plan.legs:
        if leg.symbol == symbol:
            price = max(price, leg.price * case.held.marks.get(leg.quote, ONE))
            up, down = (up + leg.qty, down) if leg.side == "buy" else (up, down + leg.qty)
    for order in case.held.live:
        if order.intent.symbol == symbol:
            rest = order.open_qty
            up, down = (up + rest, down) if order.intent.side == "buy" else (up, down + rest)
    for foreign in case.held.foreign:
        if foreign.symbol == symbol:
            up, down = (up + foreign.qty, down) if foreign.side == "buy" else (up, down + foreign.qty)
    return max(abs(qty + up), abs(qty - down)) * price


def _daily_loss(case: Case) -> GateVerdict:
    """Of everything that has a result today or may have one; money without a mark is a result that nobody knows."""
    blind = [asset for asset in _money(case) if asset not in case.held.marks]
    if blind:
        return _verdict("daily_loss", False, f"{', '.join(blind)}: no price of it in a quote at par is followed")
    loss = -case.held.holdings.result_today(case.held.marks, case.now_ns)
    limit = case.equity * case.limits.daily_loss_limit_bps / BPS
    return _verdict("daily_loss", loss <= 0 or loss < limit, loss, limit)  # no loss is none, whatever the equity


def _money(case: Case) -> list[str]:
    """What today's result, open positions and the plan itself are counted in."""
    holdings = case.held.holdings
    money = {leg.quote for leg in case.plan.legs}
    money.update(position.quote for position in holdings.positions.values() if position.qty)
    if holdings.day.number == case.now_ns // DAY_NS:
        money.update(asset for asset, amount in holdings.day.realised.items() if amount)
    return sorted(money)


def _later(times: Sequence[int], since_ns: int) -> int:
    """How many of some times, in their order, are after one."""
    return len(times) - bisect_right(times, since_ns)


def _count(case: Case, gate: str, span_ns: int, limit: int) -> GateVerdict:
    since = case.now_ns - span_ns
    symbols = sorted({leg.symbol for leg in case.plan.legs})
    most = max(_later(case.held.planned_ns.get(symbol, ()), since) for symbol in symbols)
    return _verdict(gate, limit == 0 or most < limit, most, limit or "off")


def _trades_per_day(case: Case) -> GateVerdict:
    return _count(case, "trades_per_day", DAY_NS, case.limits.trades_per_day)


def _trades_per_hour(case: Case) -> GateVerdict:
    return _count(case, "trades_per_hour", HOUR_NS, case.limits.trades_per_hour)


def _spread_sanity(case: Case) -> GateVerdict:
    widest = max(_touch_spread_bps(case.book(leg)) for leg in case.plan.legs)
    limit = case.limits.max_touch_spread_bps
    return _verdict("spread_sanity", widest <= limit, widest, limit)


def _touch_spread_bps(book: BookView | None) -> Decimal:
    if book is None or not book.bids or not book.asks:
        return Decimal("Infinity")
    return (book.asks[0][0] / book.bids[0][0] - 1) * BPS


def _fat_finger(case: Case) -> GateVerdict:
    """Every limit price within the band around the median mid of all venues."""
    limit = case.limits.fat_finger_bps
    furthest = max(_distances(case))
    return _verdict("fat_finger", furthest <= limit, furthest, limit)


def _distances(case: Case) -> Iterator[Decimal]:
    middles: dict[str, Decimal | None] = {}
    for leg in case.plan.legs:
        if leg.symbol not in middles:
            mids = mids_of(case.conditions.touches(leg.symbol))
            middles[leg.symbol] = median(mids) if mids else None
        middle = middles[leg.symbol]
        yield abs(leg.price / middle - 1) * BPS if middle is not None else Decimal("Infinity")


def _min_confidence(case: Case) -> GateVerdict:
    confidence = case.plan.opportunity.confidence
    is_enough = confidence is None or confidence >= case.limits.min_confidence
    return _verdict("min_confidence", is_enough, "not directional" if confidence is None else confidence)


def _blackout(case: Case) -> GateVerdict:
    is_black = any(window.covers(case.now_ns) for window in case.limits.blackouts)
    return _verdict("blackout", not is_black, "in a blackout" if is_black else "")


def _duplicate(case: Case) -> GateVerdict:
    """One plan per live episode (F52), and none like the one just made (F115)."""
    opportunity = case.plan.opportunity
    plan_id = case.held.episodes.get(opportunity.raw_signal_id)
    since = case.now_ns - case.limits.duplicate_window_ns
    is_recent = any(_later(case.held.planned_ns.get(leg.symbol, ()), since) for leg in case.plan.legs)
    reason = f"plan {plan_id} is open" if plan_id else "a plan of this symbol was just made" if is_recent else ""
    return _verdict("duplicate", not reason, reason)


def _self_trade(case: Case) -> GateVerdict:
    """No leg may meet an order of ours, known or foreign, on its venue."""
    ours = [
        (o.intent.venue, o.intent.symbol, o.intent.side, o.price, o.intent.key) for o in case.held.live if o.open_qty
    ]
    ours += [(o.venue, o.symbol, o.side, o.price, o.venue_order_id) for o in case.held.foreign]
    ours += [(leg.venue, leg.symbol, leg.side, leg.price, "the plan itself") for leg in case.plan.legs]
    for leg in case.plan.legs:
        for venue, symbol, side, price, name in ours:
            if (venue, symbol) == (leg.venue, leg.symbol) and side != leg.side:
                crosses = price <= leg.price if leg.side == "buy" else price >= leg.price
                if crosses:
                    return _verdict("self_trade", False, f"{leg.side} on {venue} would meet {name}")
    return _verdict("self_trade", True)


def _plan_rate(case: Case) -> GateVerdict:
    """A runaway stops here (F114)."""
    since = case.now_ns - SECOND_NS
    count = sum(_later(times, since) for times in case.held.planned_ns.values())
    limit = case.limits.plans_per_second
    return _verdict("plan_rate", count < limit, count, limit)


GATES: Final[tuple[Callable[[Case], GateVerdict], ...]] = (
    _stale, _kill_switch, _venue_health, _skew, _data_quality, _price_move, _min_liquidity, _under_collateral,
    _min_order, _max_order, _max_symbol, _max_venue, _max_in_flight, _position_limit, _daily_loss, _trades_per_day,
    _trades_per_hour, _spread_sanity, _fat_finger, _min_confidence, _blackout, _duplicate, _self_trade, _plan_rate,
)  # fmt: skip
