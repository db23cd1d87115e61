"""From an opportunity to a plan: priced on the books as they are now, in whole lots and ticks, on the best route.

Rules that hold here (orders.md, "Plan"):
1. The opportunity says where to look; sizes and prices come from the current books, exactly.
2. Prices are rounded to the tick so that we never pay more or get less than the budget; quantities down to a lot that
   every leg can trade and to the largest order its venue takes; a leg under a minimum is left out, and a plan without
   two sides is refused.
3. What is bought is what is sold, to the last lot.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from fractions import Fraction
from functools import lru_cache
from itertools import takewhile
from math import gcd, lcm
from operator import itemgetter
from typing import Any, Final

import msgspec

from gambit.engine.conditions import BookView, Conditions, Level, VenueView
from gambit.engine.limits import Execution
from gambit.events.orders import PlannedLeg
from gambit.model import Instrument, Side, TimeInForce

ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)
BPS: Final = Decimal(10_000)
FINEST_LOT: Final = Decimal("1e-8")
CUT: Final = Decimal("1e-18")


class Opportunity(msgspec.Struct, frozen=True, kw_only=True):
    """An arb.signal as the order path reads it. Its numbers are hints; nothing is bought by them."""

    opp_id: str
    raw_signal_id: str
    symbol: str
    symbol_buy: str
    symbol_sell: str
    venue_buy: str
    venue_sell: str
    recv_ns: int
    ttl_ns: int
    net_bps: Decimal
    fees_bps: Decimal = ZERO  # what net_bps leaves out of the spread for fees
    is_degraded: bool = False
    data_quality: str = "ok"
    confidence: Decimal | None = None  # of directional signals


def of_signal(signal: Mapping[str, Any]) -> Opportunity:
    """The opportunity of an arb.signal as the engine words it. Raises KeyError for an incomplete one."""
    net_bps = Decimal(str(signal["net_bps"]))
    gross_bps = (Decimal(str(signal["sell_vwap"])) / Decimal(str(signal["buy_vwap"])) - ONE) * BPS
    return Opportunity(
        opp_id=signal["opp_id"],
        raw_signal_id=signal["raw_signal_id"],
        symbol=signal["symbol"],
        symbol_buy=signal["symbol_buy"],
        symbol_sell=signal["symbol_sell"],
        venue_buy=signal["venue_buy"],
        venue_sell=signal["venue_sell"],
        recv_ns=signal["recv_ns"],
        ttl_ns=int(Decimal(str(signal["ttl_sec"])) * 1_000_000_000),
        net_bps=net_bps,
        fees_bps=gross_bps - net_bps,
        is_degraded=bool(signal.get("degraded")),
        data_quality=signal.get("data_quality", "ok"),
    )


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Legs that together buy and sell the same quantity; not sent before risk.check approves it."""

    opportunity: Opportunity
    strategy: str
    legs: tuple[PlannedLeg, ...]
    qty: Decimal
    total_quote: Decimal  # bought, at the levels taken
    expected_profit: Decimal  # after fees, at the levels taken
    latency_ns: int  # of the slowest venue
    made_ns: int
    expires_ns: int
    pair: "Plan | None" = None  # that of the opportunity's own two books alone, where this is a wider route

    @property
    def net_bps(self) -> Decimal:
        """Expected profit of what is bought."""
        return self.expected_profit * BPS / self.total_quote

    @property
    def fees_bps(self) -> Decimal:
        """What net_bps leaves out for fees."""
        return fees_of(self.legs, self.total_quote)

    @property
    def gross_bps(self) -> Decimal:
        """What prices alone give of what is bought."""
        return self.net_bps + self.fees_bps


def fees_of(legs: Iterable[PlannedLeg], total_quote: Decimal) -> Decimal:
    """What legs cost in fees, of what is bought."""
    return sum((leg.qty * leg.average_price * leg.fee_bps for leg in legs), ZERO) / total_quote


Step = tuple[Decimal, str, Level, "Source"]  # worth of the price after fees, venue, level, where it is
_worth, _venue, _worth_and_venue = itemgetter(0), itemgetter(1), itemgetter(0, 1)


class NoPlan(msgspec.Struct, frozen=True):
    """Why there is none: a reason of the funnel; and what that earns, which is nothing where the books say so."""

    reason: str
    detail: str
    expected_profit: Decimal | None = None  # None: they could not tell


@dataclass(slots=True)
class Source:
    """One side of one book: where a leg may come from."""

    book: BookView
    venue: VenueView
    instrument: Instrument
    side: Side
    levels: list[Level]
    qty: Decimal = ZERO
    taken: list[Level] = field(default_factory=list)

    @property
    def factor(self) -> Decimal:
        """What a price is worth after the fee: more when buying, less when selling."""
        fee = self.venue.taker_fee_bps / BPS
        return ONE + fee if self.side == "buy" else ONE - fee

    @property
    def lot(self) -> Decimal:
        """The step of quantities."""
        return self.instrument.lot or FINEST_LOT

    def take(self, qty: Decimal) -> None:
        """Settle on a quantity: which levels that means. The levels hold at least as much."""
        self.qty, self.taken, left = qty, [], qty
        for price, available in self.levels:
            if left <= 0:
                break
            step = min(left, available)
            self.taken.append((price, step))
            left -= step

    @property
    def quote(self) -> Decimal:
        """Value of the levels taken."""
        return sum((price * qty for price, qty in self.taken), ZERO)


def build(opportunity: Opportunity, conditions: Conditions, rules: Execution, now_ns: int) -> Plan | NoPlan:
    """The best plan for an opportunity on the books of this moment."""
    if now_ns > opportunity.recv_ns + opportunity.ttl_ns:
        return NoPlan("stale", "the opportunity outlived its ttl")
    pair = [
        _source(conditions, opportunity.venue_buy, opportunity.symbol_buy, "buy", rules),
        _source(conditions, opportunity.venue_sell, opportunity.symbol_sell, "sell", rules),
    ]
    for source in pair:
        if isinstance(source, NoPlan):
            return source
    found = [source for source in pair if isinstance(source, Source)]
    routes = [plan_of(opportunity, fit(found, rules), rules, now_ns)]
    best = routes[0]
    is_short = isinstance(best, NoPlan) or best.total_quote < rules.max_notional * (ONE - Decimal("0.001"))
    if is_short and rules.max_legs > 2:
        wide = _all_sources(opportunity, found[0].book.mid or ZERO, conditions, rules)
        if {(source.book.venue, source.side) for source in wide} - {(s.book.venue, s.side) for s in found}:
            route = plan_of(opportunity, fit(wide, rules), rules, now_ns)
            if isinstance(best, Plan) and isinstance(route, Plan):
                route = msgspec.structs.replace(route, pair=best)
            routes.append(route)
    return select(routes, rules)


def select(routes: Sequence[Plan | NoPlan], rules: Execution) -> Plan | NoPlan:
    """RoutingSelector: the route that earns most after fees, depth and what waiting for its slowest venue costs."""
    plans = [route for route in routes if isinstance(route, Plan)]
    if not plans:
        return routes[0]
    return max(plans, key=lambda plan: (worth(plan, rules), -len(plan.legs)))


def worth(plan: Plan, rules: Execution) -> Decimal:
    """Expected profit less the price of latency, quote units."""
    waiting = rules.latency_cost_bps_per_ms * plan.latency_ns / 1_000_000
    return plan.expected_profit - plan.total_quote * waiting / BPS


def _source(conditions: Conditions, venue_name: str, symbol: str, side: Side, rules: Execution) -> Source | NoPlan:
    book = conditions.book(venue_name, symbol)
    venue = conditions.venue(venue_name)
    instrument = conditions.instrument(venue_name, symbol)
    if book is None or not book.is_synced or not book.bids or not book.asks:
        return NoPlan("depth", f"{venue_name} {symbol}: no synced book")
    if venue is None or instrument is None:
        return NoPlan("rules", f"{venue_name} {symbol}: the venue or its instrument is unknown")
    if instrument.contract_size is not None:
        return NoPlan("rules", f"{venue_name} {symbol}: contracts are not traded")
    if not instrument.is_open:
        return NoPlan("rules", f"{venue_name} {symbol}: the market takes no orders now")
    levels = _within_slippage(book, side, rules.max_slippage_bps)
    return Source(book, venue, instrument, side, _within_one_order(levels, instrument.max_qty))


def _all_sources(opportunity: Opportunity, price: Decimal, conditions: Conditions, rules: Execution) -> list[Source]:
    """Every source of the coin of that price that can trade and whose touch meets another's so that it earns; no other
    is ever taken from."""
    asks = list(_touching(conditions, opportunity.symbol_buy, "buy", price, rules))
    bids = list(_touching(conditions, opportunity.symbol_sell, "sell", price, rules))
    if not asks or not bids:
        return []
    best_ask, best_bid = min(worth for worth, *_ in asks), max(worth for worth, *_ in bids)
    found = [_source(conditions, venue, symbol, "buy", rules) for worth, venue, symbol in asks if worth < best_bid]
    found += [_source(conditions, venue, symbol, "sell", rules) for worth, venue, symbol in bids if worth > best_ask]
    return [source for source in found if isinstance(source, Source)]


def _touching(
    conditions: Conditions, symbol: str, side: Side, price: Decimal, rules: Execution
) -> Iterator[tuple[Decimal, str, str]]:
    """(worth of the best price after the fee, venue, symbol) wherever a symbol can be traded at about a price."""
    for book in conditions.touches(symbol):
        venue, instrument = conditions.venue(book.venue), conditions.instrument(book.venue, symbol)
        if (
            venue is not None
            and instrument is not None
            and instrument.is_open
            and venue.can_trade
            and not venue.is_degraded
            and book.is_synced
            and book.is_worth_about(price, rules.max_mid_ratio)
        ):
            fee = venue.taker_fee_bps / BPS
            worth = book.asks[0][0] * (ONE + fee) if side == "buy" else book.bids[0][0] * (ONE - fee)
            yield worth, book.venue, symbol


def _within_slippage(book: BookView, side: Side, slippage_bps: Decimal) -> list[Level]:
    if side == "buy":
        worst = book.asks[0][0] * (ONE + slippage_bps / BPS)
        return [level for level in book.asks if level[0] <= worst]
    worst = book.bids[0][0] * (ONE - slippage_bps / BPS)
    return [level for level in book.bids if level[0] >= worst]


def _within_one_order(levels: list[Level], max_qty: Decimal | None) -> list[Level]:
    """The levels that the venue's largest order reaches, the last one in part."""
    if max_qty is None:
        return levels
    reached, left = [], max_qty
    for price, available in levels:
        if left <= 0:
            break
        reached.append((price, min(available, left)))
        left -= available
    return reached


def fit(sources: list[Source], rules: Execution) -> list[Source] | NoPlan:
    """The sources that take part, with whole lots, equal sums, at most `max_legs`, none under its minimum."""
    left = list(sources)
    why_not = NoPlan("fee", "no step of the books earns after fees", ZERO)
    while left:
        walk(left, rules.max_notional)
        used = [source for source in left if source.qty > 0]
        if not used:
            break
        _to_lots(used)
        small = [source for source in used if is_too_small(source, rules)]
        if small:
            why_not = NoPlan("rules", f"{small[0].book.venue}: {small[0].qty:f} is under the venue's minimum", ZERO)
            left = [source for source in used if source is not min(small, key=_size)]
        elif len(used) > rules.max_legs:
            left = [source for source in used if source is not min(used, key=_size)]
        else:
            return used
    return why_not


def _size(source: Source) -> tuple[Decimal, str, str]:
    return source.quote, source.book.venue, source.side


def walk(sources: Iterable[Source], max_notional: Decimal) -> None:
    """Take asks and bids of all sources together from the best on, while a step earns after fees."""
    asks, bids = _steps(sources)
    for source in sources:
        source.qty = ZERO
    i = j = 0
    ask_left = asks[0][2][1] if asks else ZERO
    bid_left = bids[0][2][1] if bids else ZERO
    spent = ZERO
    while i < len(asks) and j < len(bids) and bids[j][0] > asks[i][0] and spent < max_notional:
        price = asks[i][2][0]
        step = min(ask_left, bid_left, ((max_notional - spent) / price).quantize(CUT, ROUND_FLOOR))
        if step <= 0:
            break
        asks[i][3].qty += step
        bids[j][3].qty += step
        spent += step * price
        ask_left -= step
        bid_left -= step
        if ask_left == 0:
            i += 1
            ask_left = asks[i][2][1] if i < len(asks) else ZERO
        if bid_left == 0:
            j += 1
            bid_left = bids[j][2][1] if j < len(bids) else ZERO


def _steps(sources: Iterable[Source]) -> tuple[list[Step], list[Step]]:
    """The asks and the bids of all sources, best first, by venue where they are worth the same; without those that
    meet nothing on the other side that earns."""
    priced = [(source, source.factor) for source in sources if source.levels]
    asks = [(source, factor) for source, factor in priced if source.side == "buy"]
    bids = [(source, factor) for source, factor in priced if source.side == "sell"]
    if not asks or not bids:
        return [], []
    best_ask = min(source.levels[0][0] * factor for source, factor in asks)
    best_bid = max(source.levels[0][0] * factor for source, factor in bids)
    dear = [step for one in asks for step in takewhile(lambda step: step[0] < best_bid, _worths(*one))]
    cheap = [step for one in bids for step in takewhile(lambda step: step[0] > best_ask, _worths(*one))]
    dear.sort(key=_worth_and_venue)
    cheap.sort(key=_venue)
    cheap.sort(key=_worth, reverse=True)
    return dear, cheap


def _worths(source: Source, factor: Decimal) -> Iterator[Step]:
    """Every level of a source, best first, with its price's worth after the fee."""
    venue = source.book.venue
    return ((level[0] * factor, venue, level, source) for level in source.levels)


def _to_lots(used: list[Source]) -> None:
    """Round every leg down to the lot all can trade, then the larger side down to the smaller one, worst leg first."""
    lot = common_lot([source.lot for source in used])
    for source in used:
        source.take(floor(source.qty, lot))
    totals = {side: sum((s.qty for s in used if s.side == side), ZERO) for side in ("buy", "sell")}
    side = "buy" if totals["buy"] > totals["sell"] else "sell"
    excess = abs(totals["buy"] - totals["sell"])
    worst_first = sorted((s for s in used if s.side == side), key=_last_price, reverse=side == "buy")
    for source in worst_first:
        less = min(excess, source.qty)
        source.take(source.qty - less)
        excess -= less


def _last_price(source: Source) -> tuple[Decimal, str]:
    return (source.taken[-1][0] * source.factor if source.taken else ZERO), source.book.venue


def is_too_small(source: Source, rules: Execution) -> bool:
    """Whether a leg is empty or under the venue's minimum quantity, or under its minimum notional: at its limit price,
    which is what venues look at, or at the levels taken."""
    own = source.instrument
    if source.qty <= 0 or (own.min_qty is not None and source.qty < own.min_qty):
        return True
    if own.min_notional is None:
        return False
    return min(source.quote, source.qty * _limit(source, rules)[1]) < own.min_notional


def plan_of(opportunity: Opportunity, used: list[Source] | NoPlan, rules: Execution, now_ns: int) -> Plan | NoPlan:
    """The plan that sources with their quantities make."""
    if isinstance(used, NoPlan):
        return used
    bought = [source for source in used if source.side == "buy"]
    sold = [source for source in used if source.side == "sell"]
    total = sum((source.quote for source in bought), ZERO)
    profit = sum((s.quote * s.factor for s in sold), ZERO) - sum((s.quote * s.factor for s in bought), ZERO)
    if profit <= 0 or profit * BPS / total < rules.safety_margin_bps:
        return NoPlan("fee", f"{profit:f} after fees on {total:f}", ZERO)
    return Plan(
        opportunity=opportunity,
        strategy=rules.strategy,
        legs=tuple(_leg(source, rules, now_ns) for source in (*bought, *sold)),
        qty=sum((source.qty for source in bought), ZERO),
        total_quote=total,
        expected_profit=profit,
        latency_ns=max(source.venue.latency_ns for source in used),
        made_ns=now_ns,
        expires_ns=now_ns + rules.plan_ttl_ns,
    )


def _leg(source: Source, rules: Execution, now_ns: int) -> PlannedLeg:
    tolerance, price = _limit(source, rules)
    tif: TimeInForce = "fok" if rules.strategy == "atomic" and "fok" in source.venue.tifs else "ioc"
    return PlannedLeg(
        venue=source.book.venue,
        symbol=source.book.symbol,
        base=source.instrument.base,
        quote=source.instrument.quote,
        side=source.side,
        qty=source.qty,
        price=price,
        worst_price=source.taken[-1][0],
        average_price=(source.quote / source.qty).quantize(CUT),
        tif=tif,
        tolerance_bps=tolerance,
        fee_bps=source.venue.taker_fee_bps,
        book_seq=source.book.seq,
        book_age_ns=now_ns - source.book.updated_ns,
    )


def _limit(source: Source, rules: Execution) -> tuple[Decimal, Decimal]:
    """The tolerance in bps, which is the slippage that the levels taken do not use, and the limit price."""
    best, worst = source.levels[0][0], source.taken[-1][0]
    used = abs(worst / best - 1) * BPS
    tolerance = max(rules.max_slippage_bps - used, ZERO).quantize(Decimal("0.0001"), ROUND_FLOOR)
    return tolerance, limit_price(worst, tolerance, source.side, source.instrument.tick)


def limit_price(price: Decimal, tolerance_bps: Decimal, side: Side, tick: Decimal | None) -> Decimal:
    """A limit that much worse than a price, on the tick: a buy rounded down, a sell up."""
    if side == "buy":
        return floor(price * (ONE + tolerance_bps / BPS), tick or FINEST_LOT)
    return ceiling(price * (ONE - tolerance_bps / BPS), tick or FINEST_LOT)


def floor(value: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of a step that is not above."""
    return (value / step).to_integral_value(ROUND_FLOOR) * step


def ceiling(value: Decimal, step: Decimal) -> Decimal:
    """The smallest multiple of a step that is not below."""
    return (value / step).to_integral_value(ROUND_CEILING) * step


def common_lot(lots: Iterable[Decimal]) -> Decimal:
    """The smallest quantity that is a whole number of every lot: the coarser of two that divide each other."""
    return _common_lot(frozenset(lots))


@lru_cache(maxsize=1024)
def _common_lot(lots: frozenset[Decimal]) -> Decimal:
    ratios = [Fraction(lot) for lot in lots]
    top = lcm(*(ratio.numerator for ratio in ratios))
    bottom = gcd(*(ratio.denominator for ratio in ratios))
    return Decimal(top) / Decimal(bottom)
