"""The world at the instant of a decision, read off the live market: what gambit.engine.conditions asks for.

A Moment is made for one decision and thrown away; books are read out of the compiled memory when they are asked for,
a few dozen levels of them (more where these hold little), and each at most once.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from operator import itemgetter
from statistics import median
from typing import Any, Final, NamedTuple

from gambit.engine.conditions import BookView, Level, VenueView
from gambit.engine.limits import Execution, Limits
from gambit.engine.market import Market
from gambit.model import Instrument

LEVELS: Final = 30  # a side; mostly more than a plan takes
MORE: Final = 10  # times as many where it is not
REMEMBERED_NS: Final = 50_000_000  # how old marks and the state of venues may be: gates that cannot wait ask elsewhere
PAR: Final = frozenset({"USDT", "USD", "USDC"})  # worth one unit of the currency of account
ONE: Final = Decimal(1)
BPS: Final = Decimal(10_000)
_quantity = itemgetter(1)  # of a level


class Reach(NamedTuple):
    """Down to where a side has to be read: to so much of it, in quote units, or so far from its best price."""

    quote: Decimal
    bps: Decimal


NO_REACH: Final = Reach(Decimal(0), Decimal(0))


def reach_of(rules: Execution, limits: Limits) -> Reach:
    """What plans and gates look at: the largest plan, the least depth; both within the slippage."""
    return Reach(2 * max(rules.max_notional, limits.min_liquidity), rules.max_slippage_bps + ONE)


class Moments:
    """Makes a Moment for each decision; what costs much and changes little is remembered for a while."""

    def __init__(
        self,
        market: Market,
        venues: Callable[[], Mapping[str, VenueView]],
        mono_ns: Callable[[], int],
        make: "type[Moment] | None" = None,
        reach: Reach = NO_REACH,
    ) -> None:
        self._make = make or Moment
        self._reach = reach
        self._market = market
        self._venues = venues
        self._mono_ns = mono_ns
        self._known: dict[str, tuple[int, Any]] = {}

    def now(self) -> "Moment":
        """The world as it is."""
        return self._make(
            self._market,
            lambda: self._lately("venues", self._venues),
            lambda: self._lately("marks", self._marks),
            self._reach,
        )

    def _lately(self, name: str, make: Callable[[], Any]) -> Any:
        now_ns = self._mono_ns()
        made_ns, value = self._known.get(name, (now_ns - REMEMBERED_NS - 1, None))
        if now_ns - made_ns > REMEMBERED_NS:
            value = make()
            self._known[name] = now_ns, value
        return value

    def _marks(self) -> Mapping[str, Decimal]:
        return marks_of(self._market)


class Moment:
    """Conditions as of now. `venues` tells how each venue is, `marks` what assets are worth."""

    def __init__(
        self,
        market: Market,
        venues: Callable[[], Mapping[str, VenueView]],
        marks: Callable[[], Mapping[str, Decimal]],
        reach: Reach = NO_REACH,
    ) -> None:
        self._market = market
        self._reach = reach
        self._venues = venues
        self.marks = marks
        self._books: dict[int, BookView | None] = {}
        self._touches: dict[int, BookView | None] = {}

    def book(self, venue: str, symbol: str) -> BookView | None:
        """The book of a symbol on a venue."""
        index = self._market.find(venue, symbol)
        return None if index is None else self._read(index)

    def books(self, symbol: str) -> Sequence[BookView]:
        """The books of a symbol on all venues, by venue name."""
        return [view for index in self._market.markets_of(symbol) if (view := self._read(index)) is not None]

    def touches(self, symbol: str) -> Sequence[BookView]:
        """The books of a symbol on all venues, by venue name, with the best level of each side at least."""
        return [view for index in self._market.markets_of(symbol) if (view := self._touch(index)) is not None]

    def venue(self, name: str) -> VenueView | None:
        """A venue."""
        return self._venues().get(name)

    def instrument(self, venue: str, symbol: str) -> Instrument | None:
        """What is known of a symbol on a venue."""
        state = self._market.venues.get(venue)
        return state.catalog.by_symbol.get(symbol) if state is not None else None

    def followed(self, venue: str) -> Sequence[str]:
        """The symbols whose books are followed at a venue."""
        return [listing.symbol for listing in self._market.listings if listing.venue == venue]

    def _read(self, index: int) -> BookView | None:
        if index not in self._books:
            most = LEVELS
            view = self._view(index, most)
            while view is not None and (self._is_short(view.bids, most) or self._is_short(view.asks, most)):
                most *= MORE
                view = self._view(index, most)
            self._books[index] = view
        return self._books[index]

    def _is_short(self, side: tuple[Level, ...], most: int) -> bool:
        """Whether a side goes on behind what was read of it, and that does not reach far enough."""
        if len(side) < most:
            return False
        best, last = side[0][0], side[-1][0]
        if abs(last - best) * BPS > best * self._reach.bps:
            return False
        quantities: tuple[Decimal, ...] = tuple(map(_quantity, side))
        return sum(quantities) * min(best, last) < self._reach.quote

    def _touch(self, index: int) -> BookView | None:
        """At least the best level of each side."""
        if index in self._books:
            return self._books[index]
        if index not in self._touches:
            self._touches[index] = self._view(index, 1)
        return self._touches[index]

    def _view(self, index: int, most: int) -> BookView | None:
        book = self._market.book(index, most=most)
        if book is None:
            return None
        return BookView(
            venue=book["venue"],
            symbol=book["symbol"],
            is_synced=book["synced"],
            updated_ns=book["last_update_ns"],
            seq=book["seq"] or 0,
            bids=_levels(book["bids"]),
            asks=_levels(book["asks"]),
            lag_ns=self._market.pairs.lag(index),
        )


def marks_of(market: Market) -> Mapping[str, Decimal]:
    """Price of each asset in the currency of account: the median mid of its books quoted at par."""
    mids: dict[str, list[Decimal]] = {}
    for k, listing in enumerate(market.listings):
        base, quote = listing.symbol.split("-")[:2]
        bid, ask = market.pairs.touch(k)
        if quote in PAR and bid > 0 and ask > 0:
            mids.setdefault(base, []).append((Decimal(repr(bid)) + Decimal(repr(ask))) / 2)
    marks = {asset: median(found) for asset, found in mids.items()}
    return {**marks, **dict.fromkeys(PAR, ONE)}


def _levels(texts: Sequence[Sequence[str]]) -> tuple[Level, ...]:
    """Exact numbers of [price, quantity] texts."""
    if not texts:
        return ()
    prices, quantities = zip(*texts, strict=True)
    return tuple(zip(map(Decimal, prices), map(Decimal, quantities), strict=True))
