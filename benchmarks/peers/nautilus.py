"""nautilus_trader: each frame through what its Python adapters do with it, then its compiled order book.

Measured, for Binance and Bybit: the adapter's two msgspec decodes (the envelope by which it routes, then
the message), the adapter's ``parse_to_quote_tick``, ``parse_to_order_book_deltas`` or ``parse_to_deltas``,
``OrderBook.apply_deltas``, best prices, and the best spread over N venues by max and min. Left out, in its
favour: data client, message bus, data engine, cache and clock, which a running node goes through as well.

The adapters of this version for OKX and Coinbase parse inside its Rust client, which takes a socket and no
bytes, and it has none for Kraken: those frames are left out.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any, ClassVar

import msgspec
from nautilus_trader.adapters.binance.common.schemas.market import (
    BinanceDataMsgWrapper,
    BinanceDepth,
    BinanceOrderBookMsg,
    BinanceQuoteMsg,
)
from nautilus_trader.adapters.bybit.schemas.ws import BybitWsMessageGeneral, BybitWsOrderbookDepthMsg
from nautilus_trader.core.datetime import millis_to_nanos
from nautilus_trader.model.book import OrderBook
from nautilus_trader.model.enums import BookType
from nautilus_trader.model.identifiers import InstrumentId

from benchmarks.frames import START_NS, Stream
from benchmarks.peers.race import Handle, Levels, Touches, time_frames

_PRICE_PRECISION, _SIZE_PRECISION = 1, 6
_READ = frozenset({"binance", "bybit"})


class NautilusPeer:
    """nautilus_trader, one instrument and book a venue."""

    name: ClassVar[str] = "nautilus_trader"
    package: ClassVar[str] = "nautilus_trader"
    reads: ClassVar[dict[str, frozenset[str]]] = {"ticker": _READ, "depth": _READ}

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.touches = Touches(stream)
        self.ids = [InstrumentId.from_str(f"BTCUSDT.{name.upper()}") for name in stream.names]
        self.books = [OrderBook(key, BookType.L2_MBP) for key in self.ids]
        self.quotes: dict[int, Any] = {}
        self.handles: list[Handle | None] = [None] * len(stream.names)
        for k, dialect in enumerate(stream.dialects):
            if dialect not in _READ:
                continue
            maker = getattr(self, f"_{dialect}_{stream.kind}")
            self.handles[k] = maker(k)
            self._open(k)

    def run(self, start: int, stop: int, spent_ns: array[int]) -> None:
        time_frames(self.handles, self.stream.frames, self.stream.venue_of, (start, stop), spent_ns)

    def top(self, venue: int, depth: int) -> tuple[Levels, Levels]:
        if self.stream.kind == "ticker":
            quote = self.quotes[venue]
            return [_exact(quote.bid_price, quote.bid_size)], [_exact(quote.ask_price, quote.ask_size)]
        sides = self.books[venue].bids(), self.books[venue].asks()
        bids, asks = ([_exact(row.price, row.orders()[0].size) for row in side[:depth]] for side in sides)
        return bids, asks

    def spread(self) -> float:
        return float(self.touches.best)

    def _open(self, venue: int) -> None:
        if self.stream.kind == "depth" and self.stream.dialects[venue] == "binance":
            answer = msgspec.json.decode(self.stream.openings[venue][0].body, type=BinanceDepth)
            snapshot = answer.parse_to_order_book_snapshot(instrument_id=self.ids[venue], ts_init=START_NS)
            self.books[venue].apply_deltas(snapshot)
            return
        for opening in self.stream.openings[venue]:
            self.handles[venue](opening.body)  # type: ignore[misc]

    def _binance_ticker(self, venue: int) -> Callable[[bytes], None]:
        envelope = msgspec.json.Decoder(BinanceDataMsgWrapper).decode
        message = msgspec.json.Decoder(BinanceQuoteMsg).decode
        set_quote, key = self._quote_setter(venue), self.ids[venue]

        def handle(frame: bytes) -> None:
            if "@bookTicker" in envelope(frame).stream:
                set_quote(message(frame).data.parse_to_quote_tick(instrument_id=key, ts_init=START_NS))

        return handle

    def _bybit_ticker(self, venue: int) -> Callable[[bytes], None]:
        envelope = msgspec.json.Decoder(BybitWsMessageGeneral).decode
        message = msgspec.json.Decoder(BybitWsOrderbookDepthMsg).decode
        set_quote, key, quotes = self._quote_setter(venue), self.ids[venue], self.quotes

        def handle(frame: bytes) -> None:
            if "orderbook" in envelope(frame).topic:
                update = message(frame)
                set_quote(
                    update.data.parse_to_quote_tick(
                        instrument_id=key,
                        last_quote=quotes.get(venue),
                        price_precision=_PRICE_PRECISION,
                        size_precision=_SIZE_PRECISION,
                        ts_event=millis_to_nanos(update.ts),
                        ts_init=START_NS,
                    )
                )

        return handle

    def _binance_depth(self, venue: int) -> Callable[[bytes], None]:
        envelope = msgspec.json.Decoder(BinanceDataMsgWrapper).decode
        message = msgspec.json.Decoder(BinanceOrderBookMsg).decode
        apply, key = self._delta_applier(venue), self.ids[venue]

        def handle(frame: bytes) -> None:
            if "@depth@" in envelope(frame).stream:
                apply(message(frame).data.parse_to_order_book_deltas(instrument_id=key, ts_init=START_NS))

        return handle

    def _bybit_depth(self, venue: int) -> Callable[[bytes], None]:
        envelope = msgspec.json.Decoder(BybitWsMessageGeneral).decode
        message = msgspec.json.Decoder(BybitWsOrderbookDepthMsg).decode
        apply, key = self._delta_applier(venue), self.ids[venue]

        def handle(frame: bytes) -> None:
            if "orderbook" in envelope(frame).topic:
                update = message(frame)
                apply(
                    update.data.parse_to_deltas(
                        instrument_id=key,
                        price_precision=_PRICE_PRECISION,
                        size_precision=_SIZE_PRECISION,
                        ts_event=millis_to_nanos(update.ts),
                        ts_init=START_NS,
                        snapshot=update.type == "snapshot",
                    )
                )

        return handle

    def _quote_setter(self, venue: int) -> Callable[[Any], None]:
        touches, quotes = self.touches, self.quotes
        bids, asks = touches.bids, touches.asks

        def set_quote(quote: Any) -> None:
            quotes[venue] = quote
            bids[venue] = quote.bid_price.as_double()
            asks[venue] = quote.ask_price.as_double()
            touches.best = max(bids) / min(asks) - 1

        return set_quote

    def _delta_applier(self, venue: int) -> Callable[[Any], None]:
        touches, book = self.touches, self.books[venue]
        bids, asks = touches.bids, touches.asks

        def apply(deltas: Any) -> None:
            book.apply_deltas(deltas)
            bids[venue] = book.best_bid_price().as_double()
            asks[venue] = book.best_ask_price().as_double()
            touches.best = max(bids) / min(asks) - 1

        return apply


def _exact(price: Any, size: Any) -> tuple[float, float]:
    """By their texts: ``as_double`` of this library is not always the nearest double."""
    return float(str(price)), float(str(size))
