"""The world at the instant of a decision, read off the live market: what gambit.engine.conditions asks for.

A Moment is made for one decision and thrown away; books are read out of the compiled memory when they are asked for,
a few dozen levels of them, and each at most once.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from statistics import median
from typing import Any, Final

from gambit.engine.conditions import BookView, VenueView
from gambit.engine.market import Market
from gambit.model import Instrument

LEVELS: Final = 50  # a side; more than a plan's slippage budget reaches
PAR: Final = frozenset({"USDT", "USD", "USDC"})  # worth one unit of the currency of account
ONE: Final = Decimal(1)


class Moment:
    """Conditions as of now. `venues` tells how each venue is; called at most once."""

    def __init__(self, market: Market, venues: Callable[[], Mapping[str, VenueView]]) -> None:
        self._market = market
        self._venues_now = venues
        self._venues: Mapping[str, VenueView] | None = None
        self._books: dict[int, BookView | None] = {}
        self._marks: dict[str, Decimal] | None = None

    def book(self, venue: str, symbol: str) -> BookView | None:
        """The book of a symbol on a venue."""
        index = self._market.find(venue, symbol)
        return None if index is None else self._read(index)

    def books(self, symbol: str) -> Sequence[BookView]:
        """The books of a symbol on all venues, by venue name."""
        found = [k for k, listing in enumerate(self._market.listings) if listing.symbol == symbol]
        views = [view for view in map(self._read, found) if view is not None]
        return sorted(views, key=lambda view: view.venue)

    def venue(self, name: str) -> VenueView | None:
        """A venue."""
        if self._venues is None:
            self._venues = self._venues_now()
        return self._venues.get(name)

    def instrument(self, venue: str, symbol: str) -> Instrument | None:
        """What is known of a symbol on a venue."""
        state = self._market.venues.get(venue)
        return state.catalog.by_symbol.get(symbol) if state is not None else None

    def marks(self) -> Mapping[str, Decimal]:
        """Price of each asset in the currency of account: the median mid of its books quoted at par."""
        if self._marks is None:
            mids: dict[str, list[float]] = {}
            for k, listing in enumerate(self._market.listings):
                base, quote = listing.symbol.split("-")[:2]
                bid, ask = self._market.pairs.touch(k)
                if quote in PAR and bid > 0 and ask > 0:
                    mids.setdefault(base, []).append((bid + ask) / 2)
            self._marks = {asset: Decimal(repr(median(found))) for asset, found in mids.items()}
            self._marks |= dict.fromkeys(PAR, ONE)
        return self._marks

    def _read(self, index: int) -> BookView | None:
        if index not in self._books:
            self._books[index] = _view(self._market.book(index, most=LEVELS))
        return self._books[index]


def _view(book: Mapping[str, Any] | None) -> BookView | None:
    if book is None:
        return None
    return BookView(
        venue=book["venue"],
        symbol=book["symbol"],
        is_synced=book["synced"],
        updated_ns=book["last_update_ns"],
        seq=book["seq"] or 0,
        bids=tuple((Decimal(price), Decimal(qty)) for price, qty in book["bids"]),
        asks=tuple((Decimal(price), Decimal(qty)) for price, qty in book["asks"]),
    )
