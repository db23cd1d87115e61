"""What a simulated venue's wire offers, and the switches between the forms a wire is seen in.

Rules: a wire is one client's connection to one venue. It turns abstract events into the exact text of frames, keeps
that connection's numbering, and looks at the market's books only to say what stands in them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import msgspec

from gambit.sim.instruments import Instrument
from gambit.sim.market import Book, Change, Top, Trade
from gambit.sim.spelling import PriceTexts, decimal_text, trimmed

MILLI_NS = 1_000_000
Source = Literal["depth", "bbo"]


class WireOptions(msgspec.Struct, frozen=True):
    """Forms of a wire that real recordings differ in; the default is today's form with books, touches and trades."""

    source: Source = "depth"  # "bbo": only the best-bid-ask channel and trades are subscribed
    depth: int = 50  # levels asked for where the venue has a choice
    tops: bool = True  # subscribe the best-bid-ask channel beside the books
    trades: bool = True
    wrapped: bool = True  # Binance: combined stream with its envelope; False: raw stream and SUBSCRIBE
    padded: bool = True  # Kraken: numbers with all their digits; False: shortest
    client_id: bool = True  # Coinbase: the empty client_id in every envelope
    okx_books: Literal["books", "books-l2-tbt", "books50-l2-tbt"] = "books"
    checksums: bool = False  # OKX: the wire before 2023, checksum and no sequence ids
    repeats: bool = True  # Kraken: now and then one price twice in a message
    announces: bool = True  # Kraken: subscribe the instrument channel


class Wire(Protocol):
    """One connection to one venue, as its client sees it. Times are exchange time in ns."""

    venue: str
    addr: str
    quirks: tuple[str, ...]

    def lists(self, ts_ns: int) -> list[tuple[str, str]]:
        """REST answers with the instruments: url and text."""
        ...

    def requests(self) -> list[str]:
        """What the client sends after connecting."""
        ...

    def answers(self, ts_ns: int) -> list[str]:
        """What comes back: greeting, acks, and the books where snapshots come in band."""
        ...

    def depth_answer(self, symbol: str, ts_ns: int) -> tuple[str, str] | None:
        """The REST depth snapshot a client of this venue has to fetch: url and text; None where books come in band."""
        ...

    def change(self, event: Change) -> list[str]:
        """Frames for changed levels."""
        ...

    def top(self, event: Top) -> list[str]:
        """Frames for a changed touch."""
        ...

    def trade(self, event: Trade) -> list[str]:
        """Frames for a trade."""
        ...

    def beat(self, ts_ns: int) -> list[str]:
        """What the venue says once a second whatever happens."""
        ...

    def ping(self, ts_ns: int) -> tuple[str, str] | None:
        """The client's application ping and the venue's answer, where there is one."""
        ...

    def quirk(self, name: str, symbol: str, ts_ns: int) -> list[str]:
        """One of the lawful oddities this venue is known for (see `quirks`) for a book, as frames."""
        ...


class Texts:
    """Price and quantity text of one instrument in one venue's style, remembered: books say the same ones again."""

    __slots__ = ("price", "qty")

    def __init__(self, instrument: Instrument, *, digits: int = 0, trim: bool = False) -> None:
        """At least `digits` digits after the point; `trim` drops trailing zeros instead."""
        price_digits = max(digits, instrument.price_decimals)
        self.price = PriceTexts(instrument.tick, instrument.price_decimals, None if trim else price_digits)
        decimals = max(digits, instrument.lot_decimals)
        lot = instrument.lot * 10 ** (decimals - instrument.lot_decimals)
        known = PriceTexts(lot, decimals, None if trim else decimals)
        self.qty: Callable[[int], str] = known.__getitem__  # quantity text of a number of lots


def step_text(units: int, decimals: int, digits: int = 0) -> str:
    """A step or minimum as REST lists spell it: at least `digits` digits after the point, else no trailing zeros."""
    if digits > decimals:
        return decimal_text(units * 10 ** (digits - decimals), digits)
    return decimal_text(units, decimals) if digits else trimmed(decimal_text(units, decimals))


def by_symbol(books: Sequence[Book]) -> dict[str, Book]:
    """Books by gambit's symbol."""
    return {book.instrument.symbol: book for book in books}
