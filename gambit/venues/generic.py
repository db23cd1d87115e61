"""Any other exchange: its books come as whole, normalised ones from a library, in frames of our own wording.

    {"channel":"book","type":"snapshot","symbol":"BTC/USDT","u":7,"ts":1700000000000,"b":[[64012.3,0.5]],"a":[...]}

Each frame replaces the book, so there is nothing to lose in between; the numbers are the shortest decimals of what the
library made of the exchange's texts. Frames go through the scanner like everybody's: what is no book is quarantined.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import orjson

from gambit.model import Failure, Instrument, Request
from gambit.venues.failure import by_status, shown
from gambit.venues.listing import path_of, two_parts
from gambit.venues.live import Call, Live
from gambit.venues.wire import (
    ASKS,
    BIDS,
    CHANNEL,
    ID,
    SNAPSHOT,
    SYMBOL,
    TIME,
    TYPE,
    Action,
    Fact,
    Key,
    Kind,
    KindRule,
    Rule,
    Venue,
    Wire,
)

WIRE = Wire(
    rule=Rule.STEP,
    nodes=(
        (
            Key("channel", Action.TEXT, CHANNEL),
            Key("type", Action.TEXT, TYPE),
            Key("symbol", Action.TEXT, SYMBOL),
            Key("u", Action.INT, ID),
            Key("ts", Action.TEXT, TIME),
            Key("b", Action.ROWS, BIDS),
            Key("a", Action.ROWS, ASKS),
        ),
    ),
    kinds=(KindRule("book", Kind.BOOK),),
    types={"snapshot": SNAPSHOT},
    implicit_part=True,
)
LIVE = Live(
    ws="", rest="", books_a_connection=1, sends_per_sec=1, connects=30, connects_sec=300, weight=1, weight_sec=1
)
LISTING = "generic/instruments"
_listed = msgspec.json.Decoder(list[Instrument]).decode


class Generic(Venue):
    """An exchange under the name it has in the configuration."""

    wire = WIRE
    live = LIVE

    def __init__(self, name: str) -> None:
        self.name = name

    def spelling(self, symbol: str) -> str | None:
        """BTC-USDT -> BTC/USDT; spot only."""
        return symbol.replace("-", "/") if two_parts(symbol, "-") else None

    def symbol(self, spelling: str) -> str | None:
        """A spelling of exactly two parts (R7)."""
        return spelling.replace("/", "-") if two_parts(spelling, "/") else None

    def instruments(self, url: str, data: bytes) -> list[Instrument] | None:
        """The list as listing() words it."""
        if path_of(url) != LISTING:
            return None
        try:
            return _listed(data)
        except msgspec.DecodeError as error:
            raise ValueError(str(error)) from error

    def control(self, message: Mapping[str, object]) -> Sequence[Fact]:  # noqa: ARG002
        """Nothing but books comes here."""
        return []

    def subscribe(self, spellings: Sequence[str], *, source: str, depth: int) -> list[Request]:  # noqa: ARG002
        """The library subscribes. Raises ValueError for best prices alone, which it has no channel for everywhere."""
        if source == "bbo":
            raise ValueError(f'{self.name} has no source = "bbo"; leave it out')
        return []

    def unsubscribe(self, spellings: Sequence[str], *, source: str, depth: int) -> list[Request]:  # noqa: ARG002
        """The library does."""
        return []

    def instruments_call(self) -> Call:
        """The address that a recording shows for the list."""
        return Call(LISTING)

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure | None:
        """By HTTP status; the library makes its own requests."""
        return by_status(status, headers, shown(body))


def book_frame(
    spelling: str, number: int, time_ms: int | None, bids: Iterable[object], asks: Iterable[object]
) -> bytes:
    """A whole book as a frame; rows are [price, quantity, ...]."""
    head: dict[str, object] = {"channel": "book", "type": "snapshot", "symbol": spelling, "u": number}
    if time_ms is not None:
        head["ts"] = time_ms
    return orjson.dumps({**head, "b": bids, "a": asks})


def listing(instruments: Sequence[Instrument]) -> bytes:
    """An instrument list as instruments() reads it."""
    return msgspec.json.encode(instruments)
