"""order_book: the bare C book of the cryptofeed project, fed by orjson and the least Python that will do.

Measured: ``orjson.loads`` of the frame, each changed level set or deleted in ``order_book.OrderBook``, best
prices by ``index(0)``, best spread over N venues by max and min. Prices are doubles, the book's cheapest
key (its own documentation uses Decimal, which costs more). No sequence, checksum or number checks: less
than any feed must do.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any, ClassVar

import orjson
from order_book import OrderBook

from benchmarks.frames import DIALECTS, Stream
from benchmarks.peers.race import Levels, Touches, time_frames

Rows = list[Any]
Sides = Callable[[Any], tuple[Rows, Rows]]


class OrderBookPeer:
    """order_book with orjson before it."""

    name: ClassVar[str] = "order_book"
    package: ClassVar[str] = "order_book"
    reads: ClassVar[dict[str, frozenset[str]]] = {kind: frozenset(DIALECTS) for kind in ("ticker", "depth")}

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.touches = Touches(stream)
        self.books = [_opened(stream, k) for k in range(len(stream.names))]
        handler = _ticker_handler if stream.kind == "ticker" else _depth_handler
        self.handles = [handler(self.touches, k, d, self.books[k]) for k, d in enumerate(stream.dialects)]

    def run(self, start: int, stop: int, spent_ns: array[int]) -> None:
        time_frames(self.handles, self.stream.frames, self.stream.venue_of, (start, stop), spent_ns)

    def top(self, venue: int, depth: int) -> tuple[Levels, Levels]:
        book = self.books[venue]
        depths = min(depth, len(book.bids)), min(depth, len(book.asks))
        return [book.bids.index(i) for i in range(depths[0])], [book.asks.index(i) for i in range(depths[1])]

    def spread(self) -> float:
        return float(self.touches.best)


def _opened(stream: Stream, venue: int) -> OrderBook:
    book = OrderBook()
    truth = stream.opened[venue]
    bids, asks = truth.top(len(truth.bids))
    book.bids, book.asks = dict(bids), dict(asks)
    return book


def _ticker_handler(touches: Touches, venue: int, dialect: str, book: OrderBook) -> Callable[[bytes], None]:
    loads, bids, asks, quote = orjson.loads, touches.bids, touches.asks, _QUOTES[dialect]

    def handle(frame: bytes) -> None:
        bid, bid_qty, ask, ask_qty = quote(loads(frame))
        bids[venue] = bid = float(bid)
        asks[venue] = ask = float(ask)
        book.bids = {bid: float(bid_qty)}
        book.asks = {ask: float(ask_qty)}
        touches.best = max(bids) / min(asks) - 1

    return handle


def _depth_handler(touches: Touches, venue: int, dialect: str, book: OrderBook) -> Callable[[bytes], None]:
    loads, bids, asks, sides = orjson.loads, touches.bids, touches.asks, _SIDES[dialect]
    own = book.bids, book.asks

    def handle(frame: bytes) -> None:
        for side, rows in zip(own, sides(loads(frame)), strict=True):
            for row in rows:
                price, quantity = float(row[0]), float(row[1])
                if quantity:
                    side[price] = quantity
                elif price in side:
                    del side[price]
        bids[venue] = own[0].index(0)[0]
        asks[venue] = own[1].index(0)[0]
        touches.best = max(bids) / min(asks) - 1

    return handle


def _bybit_quote(message: Any) -> tuple[Any, Any, Any, Any]:
    data = message["data"]
    return (*data["b"][0], *data["a"][0])


def _binance_quote(message: Any) -> tuple[Any, Any, Any, Any]:
    data = message["data"]
    return data["b"], data["B"], data["a"], data["A"]


def _okx_quote(message: Any) -> tuple[Any, Any, Any, Any]:
    data = message["data"][0]
    bid, ask = data["bids"][0], data["asks"][0]
    return bid[0], bid[1], ask[0], ask[1]


def _kraken_quote(message: Any) -> tuple[Any, Any, Any, Any]:
    data = message["data"][0]
    return data["bid"], data["bid_qty"], data["ask"], data["ask_qty"]


def _coinbase_quote(message: Any) -> tuple[Any, Any, Any, Any]:
    data = message["events"][0]["tickers"][0]
    return data["best_bid"], data["best_bid_quantity"], data["best_ask"], data["best_ask_quantity"]


def _lettered_sides(message: Any) -> tuple[Rows, Rows]:
    data = message["data"]
    return data["b"], data["a"]


def _okx_sides(message: Any) -> tuple[Rows, Rows]:
    data = message["data"][0]
    return data["bids"], data["asks"]


def _kraken_sides(message: Any) -> tuple[Rows, Rows]:
    data = message["data"][0]
    bids, asks = ([(row["price"], row["qty"]) for row in data[side]] for side in ("bids", "asks"))
    return bids, asks


def _coinbase_sides(message: Any) -> tuple[Rows, Rows]:
    bids: Rows = []
    asks: Rows = []
    for row in message["events"][0]["updates"]:
        (bids if row["side"] == "bid" else asks).append((row["price_level"], row["new_quantity"]))
    return bids, asks


_QUOTES: dict[str, Callable[[Any], tuple[Any, Any, Any, Any]]] = {
    "binance": _binance_quote,
    "okx": _okx_quote,
    "bybit": _bybit_quote,
    "kraken": _kraken_quote,
    "coinbase": _coinbase_quote,
}
_SIDES: dict[str, Sides] = {
    "binance": _lettered_sides,
    "okx": _okx_sides,
    "bybit": _lettered_sides,
    "kraken": _kraken_sides,
    "coinbase": _coinbase_sides,
}
