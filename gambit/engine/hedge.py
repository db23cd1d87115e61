"""Where and at which limit an imbalance is closed: a protected order on the cheapest venue that can take it.

The limit is a collar around a reference price: it widens with every attempt and never beyond the loss budget. Where the
touch is outside the collar there is no route, and nothing is sent (F46).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from gambit.engine.conditions import BookView, Conditions, VenueView
from gambit.engine.limits import Execution, Limits
from gambit.engine.plan import BPS, FINEST_LOT, ONE, ZERO, ceiling, floor
from gambit.model import Instrument, Side


@dataclass(frozen=True, slots=True)
class Imbalance:
    """What is left of a base asset (signed), the symbols it can be traded in, and its price in quote units."""

    asset: str
    qty: Decimal
    symbols: tuple[str, ...]
    reference: Decimal

    @property
    def notional(self) -> Decimal:
        """What it is worth, in quote units."""
        return abs(self.qty) * self.reference


@dataclass(frozen=True, slots=True)
class Route:
    """One order that closes an imbalance or a part of it."""

    venue: str
    symbol: str
    quote: str
    side: Side
    qty: Decimal
    price: Decimal
    fee_bps: Decimal
    fillable: Decimal  # within the limit, on the book of this moment
    worth: Decimal  # average price after fees, the better the higher


class Around(Protocol):
    """What choosing a route needs to know (gambit.engine.trade.Surroundings)."""

    @property
    def conditions(self) -> Conditions: ...
    @property
    def rules(self) -> Execution: ...
    @property
    def limits(self) -> Limits: ...
    @property
    def now_ns(self) -> int: ...
    def free(self, venue: str, asset: str) -> Decimal: ...


def least_qty(instrument: Instrument, price: Decimal, min_order_quote: Decimal) -> Decimal:
    """The smallest quantity that can be traded at a price, in whole lots; both amounts in units of its quote."""
    lot = instrument.lot or FINEST_LOT
    notional = max(instrument.min_notional or ZERO, min_order_quote)
    by_notional = ceiling(notional / price, lot) if price > 0 else lot
    return max(lot, ceiling(instrument.min_qty or ZERO, lot), by_notional)


def is_dust(found: Imbalance, around: Around) -> bool:
    """Whether no venue trades so little (orders.md: below every venue's minimum), be it at the worst price that may be
    taken for it. Unknown rules make no dust."""
    worst = found.reference * (ONE - around.rules.loss_budget_bps / BPS)
    instruments = [
        instrument
        for symbol in found.symbols
        for book in around.conditions.books(symbol)
        if (instrument := around.conditions.instrument(book.venue, symbol)) is not None
    ]
    if not instruments:
        return found.qty == 0
    return all(abs(found.qty) < _least(one, worst, around) for one in instruments)


def _least(instrument: Instrument, price: Decimal, around: Around) -> Decimal:
    """The smallest quantity to trade there; `min_order_quote` is in the currency of account."""
    mark = around.conditions.marks().get(instrument.quote, ONE)
    return least_qty(instrument, price, around.limits.min_order_quote / mark)


def hedge(found: Imbalance, attempt: int, refused: frozenset[str], around: Around) -> Route | None:
    """The best route: the one that fills most within the collar, then the one that costs least."""
    routes = [route for route in _routes(found, attempt, around) if route.venue not in refused]
    return max(routes, key=lambda route: (route.fillable, route.worth, route.venue), default=None)


def _routes(found: Imbalance, attempt: int, around: Around) -> Iterator[Route]:
    for symbol in found.symbols:
        for book in around.conditions.books(symbol):
            venue = around.conditions.venue(book.venue)
            instrument = around.conditions.instrument(book.venue, symbol)
            if venue is None or instrument is None or not venue.can_trade or instrument.contract_size is not None:
                continue
            if not instrument.is_open:
                continue
            is_usable = book.is_usable(around.now_ns, around.limits.max_book_age_ns)
            if is_usable and book.is_worth_about(found.reference, around.rules.max_mid_ratio):
                route = _on(found, attempt, book, venue, instrument, around)
                if route is not None:
                    yield route


def _on(
    found: Imbalance, attempt: int, book: BookView, venue: VenueView, instrument: Instrument, around: Around
) -> Route | None:
    rules = around.rules
    collar = min(rules.collar_bps + attempt * rules.collar_widen_bps, rules.loss_budget_bps) / BPS
    tick, lot = instrument.tick or FINEST_LOT, instrument.lot or FINEST_LOT
    fee = max(venue.taker_fee_bps, ZERO) / BPS
    side: Side = "sell" if found.qty > 0 else "buy"
    if side == "sell":
        price = ceiling(found.reference * (ONE - collar), tick)
        levels = [level for level in book.bids if level[0] >= price]
        most = around.free(book.venue, found.asset)
    else:
        price = floor(found.reference * (ONE + collar), tick)
        levels = [level for level in book.asks if level[0] <= price]
        most = around.free(book.venue, instrument.quote) / (price * (ONE + fee)) if price > 0 else ZERO
    if instrument.max_qty is not None:
        most = min(most, instrument.max_qty)
    qty = floor(min(abs(found.qty), max(most, ZERO)), lot)
    if not levels or qty < _least(instrument, price, around):
        return None
    left, quote = qty, ZERO
    for at, available in levels:
        step = min(left, available)
        left -= step
        quote += step * at
    fillable = qty - left
    average = quote / fillable
    worth = average * (ONE - fee) if side == "sell" else -average * (ONE + fee)
    return Route(book.venue, book.symbol, instrument.quote, side, qty, price, venue.taker_fee_bps, fillable, worth)
