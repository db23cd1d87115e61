"""cryptofeed: each frame into the feed's ``message_handler``, as its connection handler does it.

Measured: ``message_handler`` (yapic.json with Decimal floats, sequence rule, order_book, cryptofeed's
types), the book or ticker callback of the user, and in it the best spread over N venues by max and min. The
coroutine is stepped directly, so no event loop is paid for, and the frames are text before the race.
Checksum and crossed-book checks are off, which is the library's default. Its Binance snapshot comes through
its own REST path with the answer ready.

Frames of channels that this version does not subscribe to are left out: OKX bbo-tbt, Bybit orderbook.1,
Kraken's WebSocket v2 and Coinbase's ticker. Its Coinbase snapshot code looks for sides called "ask" where
the venue says "offer", so the same levels are given again as an update before the race; the book is then
right.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Coroutine
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, ClassVar

from cryptofeed.defines import L2_BOOK, TICKER
from cryptofeed.exchanges import OKX, Binance, Bybit, Coinbase
from cryptofeed.symbols import Symbols

from benchmarks.frames import Stream
from benchmarks.peers.race import Handle, Levels, Touches, time_frames

_SYMBOL = "BTC-USDT"
_FEEDS = {
    "binance": (Binance, "BTCUSDT"),
    "okx": (OKX, "BTC-USDT"),
    "bybit": (Bybit, "BTC/USDT"),
    "coinbase": (Coinbase, "BTC-USDT"),
}
_CONFIG = {"log": {"filename": "", "level": "WARNING", "disabled": True}}
_CONNECTION = SimpleNamespace(address="wss://stream.bybit.com/v5/public/spot", uuid="benchmark")


class CryptofeedPeer:
    """cryptofeed, one feed object a venue."""

    name: ClassVar[str] = "cryptofeed"
    package: ClassVar[str] = "cryptofeed"
    reads: ClassVar[dict[str, frozenset[str]]] = {
        "ticker": frozenset({"binance"}),
        "depth": frozenset({"binance", "okx", "bybit", "coinbase"}),
    }

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.touches = Touches(stream, lambda price: Decimal(repr(price)))
        self.last: dict[int, Any] = {}
        self.texts = [frame.decode() for frame in stream.frames]
        self.feeds: list[Any] = [None] * len(stream.names)
        self.handles: list[Handle | None] = [None] * len(stream.names)
        for k, dialect in enumerate(stream.dialects):
            if dialect in self.reads[stream.kind]:
                self.feeds[k] = self._feed(dialect, k)
                self.handles[k] = _stepped(self.feeds[k].message_handler)
                self._open(k)

    def run(self, start: int, stop: int, spent_ns: array[int]) -> None:
        time_frames(self.handles, self.texts, self.stream.venue_of, (start, stop), spent_ns)

    def top(self, venue: int, depth: int) -> tuple[Levels, Levels]:
        if self.stream.kind == "ticker":  # the library's ticker has no quantities: there is nothing to compare
            ticker, (bids, asks) = self.last[venue], self.stream.books[venue].top()
            return [(float(ticker.bid), bids[0][1])], [(float(ticker.ask), asks[0][1])]
        book = self.feeds[venue]._l2_book[_SYMBOL].book
        bids, asks = ([side.index(i) for i in range(min(depth, len(side)))] for side in (book.bids, book.asks))
        return [(float(p), float(q)) for p, q in bids], [(float(p), float(q)) for p, q in asks]

    def spread(self) -> float:
        return float(self.touches.best)

    def _feed(self, dialect: str, venue: int) -> Any:
        kind, wire_symbol = _FEEDS[dialect]
        Symbols.set(kind.id, {_SYMBOL: wire_symbol}, {"instrument_type": {_SYMBOL: "spot"}})
        callbacks = {L2_BOOK: self._on_book(venue), TICKER: self._on_ticker(venue)}
        return kind(config=_CONFIG, callbacks=callbacks)

    def _open(self, venue: int) -> None:
        dialect, handle = self.stream.dialects[venue], _stepped(self.feeds[venue].message_handler)
        if self.stream.kind == "ticker":
            handle(self.stream.openings[venue][0].body.decode())
            return
        if dialect == "binance":
            answer = self.stream.openings[venue][0].body.decode()
            self.feeds[venue].http_conn = SimpleNamespace(read=lambda _: _ready(answer))
            _step(self.feeds[venue]._snapshot("BTCUSDT"))
            return
        text = self.stream.openings[venue][-1].body.decode()
        handle(text)
        if dialect == "coinbase":
            handle(text.replace('"type":"snapshot"', '"type":"update"'))

    def _on_book(self, venue: int) -> Callable[[Any, float], Coroutine[Any, Any, None]]:
        touches, bids, asks = self.touches, self.touches.bids, self.touches.asks

        async def on_book(book: Any, _: float) -> None:
            sides = book.book
            if not len(sides.asks):
                return
            bids[venue] = sides.bids.index(0)[0]
            asks[venue] = sides.asks.index(0)[0]
            touches.best = max(bids) / min(asks) - 1

        return on_book

    def _on_ticker(self, venue: int) -> Callable[[Any, float], Coroutine[Any, Any, None]]:
        touches, bids, asks, last = self.touches, self.touches.bids, self.touches.asks, self.last

        async def on_ticker(ticker: Any, _: float) -> None:
            bids[venue] = ticker.bid
            asks[venue] = ticker.ask
            last[venue] = ticker
            touches.best = max(bids) / min(asks) - 1

        return on_ticker


async def _ready(answer: str) -> str:
    return answer


def _step(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that never has to wait."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise RuntimeError("the feed waited for something; it must not without a socket")


def _stepped(handler: Callable[[str, Any, float], Coroutine[Any, Any, None]]) -> Callable[[str], None]:
    def handle(text: str) -> None:
        try:
            handler(text, _CONNECTION, 1_760_000_000.0).send(None)
        except StopIteration:
            return
        raise RuntimeError("the feed waited for something; it must not without a socket")

    return handle
