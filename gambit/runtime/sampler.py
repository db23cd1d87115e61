"""Market samples and candles from the tick ring: a reader that lags without anybody noticing.

One turn takes what came since the last one: feed lag per venue, 1-minute candles of the mid per book, once per
`every_ns` the touch of each book that moved, and once per `Depth.every_ns` the best levels of each book that is
believed. Nothing here is a decision; doubles are fine.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gambit.engine.market import Market
from gambit.runtime.ticks import TickReader, prices

MINUTE_NS = 60_000_000_000
Row = dict[str, object]


def plain(mid: float) -> float:
    """Without what halving doubles adds behind the fifteenth digit: 64024.85, not 64024.850000000006."""
    return float(f"{mid:.15g}")


class Depth(NamedTuple):
    """How often, and how many levels of each side."""

    every_ns: int  # 0: never
    levels: int


NO_DEPTH: Final = Depth(0, 1)


class Candle:
    """Open, high, low, close of a book's mid over a minute, and of how many ticks."""

    __slots__ = ("close", "high", "low", "minute", "open", "ticks")

    def __init__(self, minute: int, mid: float) -> None:
        self.minute = minute
        self.open = self.high = self.low = self.close = mid
        self.ticks = 0

    def add(self, mids: NDArray[np.float64]) -> None:
        """More mids of this minute, in order."""
        self.high = max(self.high, float(mids.max()))
        self.low = min(self.low, float(mids.min()))
        self.close = float(mids[-1])
        self.ticks += len(mids)


class Sampler:
    """Follows the ticks of a market and hands rows on.

    `on_lag(venue, lags_ns)` hears how long frames were on their way by the venue's own time; `on_rows(table, rows)`
    takes market_snapshots, order_book_snapshots and candles.
    """

    def __init__(
        self,
        market: Market,
        reader: TickReader,
        *,
        every_ns: int,
        depth: Depth = NO_DEPTH,
        on_lag: Callable[[str, NDArray[np.int64]], None],
        on_rows: Callable[[str, list[Row]], None],
        on_turn: Callable[[int], None] = lambda _now_ns: None,
    ) -> None:
        self.market = market
        self.reader = reader
        self.every_ns = every_ns
        self.depth = depth
        self.on_lag = on_lag
        self.on_rows = on_rows
        self.on_turn = on_turn
        self.ticks_seen = 0
        self._candles: dict[int, Candle] = {}
        self._moved: dict[int, tuple[int, float, float]] = {}
        self._sampled_ns = 0
        self._deep_at = 0  # the next depth sample is for this multiple of its interval

    def turn(self, now_ns: int) -> None:
        """Take what came; write what is due."""
        for ticks in self.reader.blocks():
            self.ticks_seen += len(ticks)
            self._take(ticks)
        if now_ns - self._sampled_ns >= self.every_ns:
            self._sampled_ns = now_ns
            self._write_touches()
        self._write_candles(now_ns // MINUTE_NS)
        if self.depth.every_ns and now_ns // self.depth.every_ns >= self._deep_at:
            self._deep_at = now_ns // self.depth.every_ns + 1
            self._write_levels(now_ns)
        self.on_turn(now_ns)

    def finish(self) -> None:
        """Write what is held back: the end is near."""
        self._write_touches()
        self._write_candles(None)

    def _take(self, ticks: NDArray[Any]) -> None:
        self._tell_lags(ticks)
        order = np.argsort(ticks["market"], kind="stable")
        sorted_ticks = ticks[order]
        bids, asks = prices(sorted_ticks)
        markets, starts = np.unique(sorted_ticks["market"], return_index=True)
        for market, start, end in zip(markets, starts, [*starts[1:], len(ticks)], strict=True):
            last = end - 1
            self._moved[int(market)] = (int(sorted_ticks["recv_ns"][last]), float(bids[last]), float(asks[last]))
            mids = (bids[start:end] + asks[start:end]) / 2
            whole = ~np.isnan(mids)
            if whole.any():
                self._add_mids(int(market), sorted_ticks["recv_ns"][start:end][whole] // MINUTE_NS, mids[whole])

    def _tell_lags(self, ticks: NDArray[Any]) -> None:
        timed = ticks[ticks["exchange_ts"] >= 0]
        if not len(timed):
            return
        venue_of = np.array([self._venue_index(listing.venue) for listing in self.market.listings])
        venues = venue_of[timed["market"]]
        lags = timed["recv_ns"] - timed["exchange_ts"]
        for name, state in self.market.venues.items():
            own = lags[venues == state.index]
            if len(own):
                self.on_lag(name, own)

    def _venue_index(self, venue: str) -> int:
        return self.market.venues[venue].index

    def _add_mids(self, market: int, minutes: NDArray[np.int64], mids: NDArray[np.float64]) -> None:
        for minute in np.unique(minutes):
            own = mids[minutes == minute]
            candle = self._candles.get(market)
            if candle is None or candle.minute != minute:
                if candle is not None:
                    self.on_rows("candles", [self._candle_row(market, candle)])
                candle = self._candles[market] = Candle(int(minute), float(own[0]))
            candle.add(own)

    def _write_touches(self) -> None:
        rows: list[Row] = []
        for market, (recv_ns, bid, ask) in self._moved.items():
            if bid == bid and ask == ask:  # both sides are there: NaN equals nothing
                listing = self.market.listings[market]
                mid = plain((bid + ask) / 2)
                rows.append(
                    {
                        "ts_ns": recv_ns,
                        "symbol": listing.symbol,
                        "venue": listing.venue,
                        "bid": bid,
                        "ask": ask,
                        "mid": mid,
                    }
                )
        self._moved.clear()
        if rows:
            self.on_rows("market_snapshots", rows)

    def _write_levels(self, now_ns: int) -> None:
        """The best levels of every book that is believed, level 1 the best."""
        books = (self.market.book(market, most=self.depth.levels) for market in range(len(self.market.listings)))
        rows: list[Row] = [
            {
                "ts_ns": now_ns,
                "symbol": book["symbol"],
                "venue": book["venue"],
                "side": side,
                "level": level,
                "price": float(price),
                "qty": float(qty),
            }
            for book in books
            if book is not None and book["synced"]
            for side, name in (("bid", "bids"), ("ask", "asks"))
            for level, (price, qty) in enumerate(book[name], 1)
        ]
        if rows:
            self.on_rows("order_book_snapshots", rows)

    def _write_candles(self, minute: int | None) -> None:
        """The candles of minutes that are over; all of them for None."""
        over = [market for market, candle in self._candles.items() if minute is None or candle.minute < minute]
        if over:
            self.on_rows("candles", [self._candle_row(market, self._candles.pop(market)) for market in over])

    def _candle_row(self, market: int, candle: Candle) -> Row:
        listing = self.market.listings[market]
        return {
            "ts_ns": candle.minute * MINUTE_NS,
            "symbol": listing.symbol,
            "venue": listing.venue,
            "open": plain(candle.open),
            "high": plain(candle.high),
            "low": plain(candle.low),
            "close": plain(candle.close),
            "ticks": candle.ticks,
        }


def columns(rows: list[Row]) -> Mapping[str, list[object]]:
    """Rows of one shape as columns."""
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}
