"""gambit: each frame through ``Market.on_frame``, the one call that replay and daemon make.

Measured: that call, which is everything formulas.md asks for at a frame: scan, sequence rule, book, touch history,
volatility grid, the sieve over all venues, and for what it lets through size walk, windows, score and episodes.
Settings are the defaults with 10 bps taker fees, so that, as on a real day, hardly a frame gets past the sieve;
`busy` lowers them until every pair is walked at every frame. Nothing is drained within the race.
"""

from __future__ import annotations

from array import array
from decimal import Decimal
from time import perf_counter_ns
from typing import ClassVar

from benchmarks.frames import DIALECTS, START_NS, Stream
from benchmarks.peers.race import Levels
from gambit.engine.market import Market
from gambit.engine.params import EngineParams, VenueParams
from gambit.venues import VENUES
from gambit.venues.decode import decode

SYMBOL = "BTC-USDT"
FEE_BPS = Decimal(10)


class GambitEntry:
    """gambit, one market of all venues."""

    name: ClassVar[str] = "gambit"
    package: ClassVar[str] = "gambit"
    reads: ClassVar[dict[str, frozenset[str]]] = {kind: frozenset(DIALECTS) for kind in ("ticker", "depth")}

    def __init__(self, stream: Stream, *, busy: bool = False) -> None:
        self.stream = stream
        self.market, conns = open_market(stream, busy=busy)
        self.conn_of = [conns[k] for k in stream.venue_of]
        self.places = {name: m for m, (name, _) in enumerate(self.market.listings)}

    def run(self, start: int, stop: int, spent_ns: array[int]) -> None:
        clock, take = perf_counter_ns, self.market.on_frame
        frames, conns, times = self.stream.frames, self.conn_of, self.stream.recv_ns
        for i in range(start, stop):
            conn, frame, recv_ns = conns[i], frames[i], times[i]
            before = clock()
            take(conn, frame, recv_ns)
            spent_ns[i] = clock() - before

    def top(self, venue: int, depth: int) -> tuple[Levels, Levels]:
        if self.stream.kind == "ticker":
            depth = 1
        book = self.market.pairs.book(self.places[self.stream.names[venue]], True)
        if book is None:
            return [], []
        bids, asks = ([(float(p), float(q)) for p, q in book[side][:depth]] for side in ("bids", "asks"))
        return bids, asks

    def spread(self) -> float:
        """From the touches that the engine compares; it keeps a signal, not a best spread."""
        touches = [self.market.pairs.touch(m) for m in self.places.values()]
        return float(max(bid for bid, _ in touches) / min(ask for _, ask in touches) - 1)


def open_market(stream: Stream, *, busy: bool = False) -> tuple[Market, list[int]]:
    """A market with the stream's books opened and its connection of each venue.

    `busy`: no fees and thresholds at nothing, so that every pair that could qualify is walked.
    """
    fee = Decimal(0) if busy else FEE_BPS
    venues = {name: VenueParams(fee, is_bbo=stream.kind == "ticker") for name in stream.names}
    params = EngineParams(symbols=(SYMBOL,), fee_bps=fee, venues=venues)
    if busy:
        params = EngineParams(
            symbols=(SYMBOL,),
            fee_bps=fee,
            venues=venues,
            min_spread_bps=Decimal("0.001"),
            min_liquidity=Decimal(0),
        )
    languages = {**VENUES, **{n: VENUES[d] for n, d in zip(stream.names, stream.dialects, strict=True)}}
    market = Market(params, languages, decode)
    conns = [market.connect(name, "race") for name in stream.names]
    for name, conn, openings in zip(stream.names, conns, stream.openings, strict=True):
        for opening in openings:
            if opening.url:
                market.on_http(name, opening.url, opening.body, START_NS)
            else:
                market.on_frame(conn, opening.body, START_NS)
    return market, conns
