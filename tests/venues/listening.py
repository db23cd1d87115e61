"""One venue alone: frames as its manual shows them go in, ticks and books come out."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import orjson

from gambit.engine.market import Market
from gambit.engine.params import EngineParams, VenueParams
from gambit.model import VenueNotice
from gambit.venues import VENUES
from gambit.venues.decode import decode, load_json
from gambit.venues.wire import Fact

Line = dict[str, Any]


class Listener:
    """A connection to one venue; every frame is received a second after the one before."""

    def __init__(
        self, venue: str, symbols: Sequence[str] | None = None, *, bbo: bool = False, address: str = ""
    ) -> None:
        params = EngineParams(
            symbols=tuple(symbols) if symbols else None, venues={venue: VenueParams(Decimal(0), is_bbo=bbo)}
        )
        self.venue = venue
        self.market = Market(params, VENUES, decode)
        self.market.pairs.tell_ticks(True)
        self.conn = self.market.connect(venue, "c", address=address or None)
        self.now_ns = 0

    def hear(self, *frames: object) -> list[tuple[Any, ...]]:
        """The ticks that frames cause, as (symbol, bid, bid quantity, ask, ask quantity, seq) with exact decimals.
        Text is taken as it is, anything else is written as JSON."""
        for frame in frames:
            self.now_ns += 1_000_000_000
            text = frame.encode() if isinstance(frame, str) else orjson.dumps(frame)
            self.market.on_frame(self.conn, text, self.now_ns)
        ticks = [orjson.loads(line) for line in self.market.ticks().splitlines()]
        return [(t["symbol"], *(_exact(t[k]) for k in ("bid", "bid_qty", "ask", "ask_qty")), t["seq"]) for t in ticks]

    def answer(self, url: str, body: object) -> None:
        """A REST answer."""
        self.market.on_http(self.venue, url, orjson.dumps(body), self.now_ns)

    def book(self) -> Line:
        """The only book."""
        (line,) = self.market.books()
        return line

    def counts(self) -> Line:
        """What the venue's frames were."""
        return self.market.hot.venue_counts(self.market.venues[self.venue].index)

    def notices(self) -> list[VenueNotice]:
        """What the venue said about the connection."""
        return [notice for _venue, notice in self.market.notices]


def _exact(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def facts(venue: str, text: str) -> Sequence[Fact]:
    """What a control frame says."""
    message = load_json(text.encode())
    assert isinstance(message, dict)
    return VENUES[venue].control(message)


def requests(venue: str, spellings: Sequence[str], source: str = "depth", depth: int = 0) -> list[str]:
    """The subscriptions as text."""
    return [request.data.decode() for request in VENUES[venue].subscribe(spellings, source=source, depth=depth)]
