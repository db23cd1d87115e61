"""What the world is like at the moment of a decision: books, venues, instruments, marks. Frozen and exact.

The daemon, the backtest and the simulation each hand in their own `Conditions`; nothing here is kept.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Protocol

import msgspec

from gambit.model import Instrument, TimeInForce

Level = tuple[Decimal, Decimal]  # price in quote units, quantity in base units


class BookView(msgspec.Struct, frozen=True, kw_only=True):
    """A book as it is now, best first."""

    venue: str
    symbol: str
    is_synced: bool
    updated_ns: int  # when it was last confirmed, by receive time
    seq: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    lag_ns: int | None = None  # its last frame's receive time minus the venue's own; None where that told none

    @property
    def mid(self) -> Decimal | None:
        """Half way between the touches."""
        return (self.bids[0][0] + self.asks[0][0]) / 2 if self.bids and self.asks else None

    def is_usable(self, now_ns: int, max_age_ns: int) -> bool:
        """R7: synced, fresh, both sides there and not crossed."""
        if not self.is_synced or not self.bids or not self.asks:
            return False
        return now_ns - self.updated_ns <= max_age_ns and self.bids[0][0] < self.asks[0][0]

    def is_worth_about(self, price: Decimal, ratio: Decimal) -> bool:
        """Whether it can be of the coin that a price is of: its mid within `ratio` of that either way (R26). The same
        ticker elsewhere may be another coin."""
        mid = self.mid
        return mid is not None and mid <= price * ratio and price <= mid * ratio


class VenueView(msgspec.Struct, frozen=True, kw_only=True):
    """A venue as far as sending orders to it goes."""

    name: str
    can_trade: bool = True  # orders can be sent and their fills heard of; circuit closed; no maintenance
    is_degraded: bool = False  # late or running on its last good snapshot
    taker_fee_bps: Decimal = Decimal(10)
    latency_ns: int = 0  # measured, from the send to the answer
    feed_lag_ns: int | None = None  # its frames behind its own clock, the offset taken out; None: not known
    stalled_ns: int = 0  # what a frame without a time may be late by, because we stood still
    clock_shift_ns: int | None = None  # to add to a book's lag: the venue's clock minus ours; None: not known
    window_ns: int | None = 5_000_000_000  # validity window of a create; None: the venue has none
    tifs: tuple[TimeInForce, ...] = ("ioc", "fok", "gtc")


def mids_of(books: Sequence[BookView]) -> list[Decimal]:
    """The mids of those that are synced and have both sides."""
    return [mid for book in books if book.is_synced and (mid := book.mid) is not None]


class Conditions(Protocol):
    """What may be asked about the moment."""

    def book(self, venue: str, symbol: str) -> BookView | None:
        """The book of a symbol on a venue."""
        ...

    def books(self, symbol: str) -> Sequence[BookView]:
        """The books of a symbol on all venues, by venue name."""
        ...

    def touches(self, symbol: str) -> Sequence[BookView]:
        """The same with the best level of each side, maybe more; cheaper than the books."""
        ...

    def venue(self, name: str) -> VenueView | None:
        """A venue."""
        ...

    def instrument(self, venue: str, symbol: str) -> Instrument | None:
        """What is known of a symbol on a venue."""
        ...

    def followed(self, venue: str) -> Sequence[str]:
        """The symbols whose books are followed at a venue: what an order of ours may have been of."""
        ...

    def marks(self) -> Mapping[str, Decimal]:
        """Price of each asset in the currency of account."""
        ...
