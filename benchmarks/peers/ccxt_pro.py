"""ccxt.pro: each frame through the exchange's own WebSocket client and ``handle_message``, without a socket.

Measured: ``Client.handle_text_or_binary_message`` (orjson, as ccxt chooses when it is there), the
exchange's ``handle_message`` with its sequence rules, the library's order book or bid-ask ticker, then the
touch read from it and the best spread over N venues by max and min. Left out, in ccxt's favour: the event
loop, the futures that wake a caller of ``watch_order_book`` (nobody waits here), and turning the socket's
bytes into text (done beforehand). Kraken's checksum is not verified, which is the library's default.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable
from typing import Any, ClassVar

import ccxt.pro
import orjson
from ccxt.async_support.base.ws.client import Client

from benchmarks.frames import DIALECTS, Stream
from benchmarks.peers.race import Handle, Levels, Touches, time_frames

_SYMBOL = "BTC/USDT"
_IDS = {
    "binance": "BTCUSDT",
    "okx": "BTC-USDT",
    "bybit": "BTCUSDT",
    "kraken": "XBTUSDT",
    "coinbase": "BTC-USDT",
}
_URLS = {  # some exchanges read the kind of market out of the address
    "binance": "wss://stream.binance.com:9443/stream",
    "okx": "wss://ws.okx.com:8443/ws/v5/public",
    "bybit": "wss://stream.bybit.com/v5/public/spot",
    "kraken": "wss://ws.kraken.com/v2",
    "coinbase": "wss://advanced-trade-ws.coinbase.com",
}


class CcxtPeer:
    """ccxt.pro, one exchange object a venue."""

    name: ClassVar[str] = "ccxt.pro"
    package: ClassVar[str] = "ccxt"
    reads: ClassVar[dict[str, frozenset[str]]] = {kind: frozenset(DIALECTS) for kind in ("ticker", "depth")}

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.touches = Touches(stream)
        self.texts = [frame.decode() for frame in stream.frames]
        self.exchanges = [_exchange(dialect) for dialect in stream.dialects]
        self.handles: list[Handle | None] = []
        loop = asyncio.new_event_loop()
        try:
            for k, exchange in enumerate(self.exchanges):
                client = loop.run_until_complete(_client(exchange, stream.dialects[k]))
                self._open(client, k)
                self.handles.append(self._handler(client, k))
        finally:
            loop.close()

    def run(self, start: int, stop: int, spent_ns: array[int]) -> None:
        time_frames(self.handles, self.texts, self.stream.venue_of, (start, stop), spent_ns)

    def top(self, venue: int, depth: int) -> tuple[Levels, Levels]:
        exchange = self.exchanges[venue]
        if self.stream.kind == "ticker":
            quote = _quotes(exchange, self.stream.dialects[venue])[_SYMBOL]
            return [(quote["bid"], quote["bidVolume"])], [(quote["ask"], quote["askVolume"])]
        book = exchange.orderbooks[_SYMBOL]
        bids, asks = ([(level[0], level[1]) for level in book[side][:depth]] for side in ("bids", "asks"))
        return bids, asks

    def spread(self) -> float:
        return float(self.touches.best)

    def _open(self, client: Client, venue: int) -> None:
        exchange = self.exchanges[venue]
        client.subscriptions["books:" + _SYMBOL] = True
        client.subscriptions["orderbook:" + _SYMBOL] = {"limit": 1000}
        for opening in self.stream.openings[venue]:
            if opening.url:
                answer = orjson.loads(opening.body)
                snapshot = exchange.parse_order_book(answer, _SYMBOL)
                snapshot["nonce"] = answer["lastUpdateId"]
                exchange.orderbooks[_SYMBOL] = exchange.order_book({}, 1000)
                exchange.orderbooks[_SYMBOL].reset(snapshot)
            else:
                client.handle_text_or_binary_message(opening.body.decode())

    def _handler(self, client: Client, venue: int) -> Callable[[str], None]:
        take, touches = client.handle_text_or_binary_message, self.touches
        bids, asks = touches.bids, touches.asks
        if self.stream.kind == "depth":
            books = self.exchanges[venue].orderbooks

            def handle_depth(text: str) -> None:
                take(text)
                book = books[_SYMBOL]
                bids[venue] = book["bids"][0][0]
                asks[venue] = book["asks"][0][0]
                touches.best = max(bids) / min(asks) - 1

            return handle_depth
        quotes = _quotes(self.exchanges[venue], self.stream.dialects[venue])

        def handle_ticker(text: str) -> None:
            take(text)
            quote = quotes[_SYMBOL]
            bids[venue] = quote["bid"]
            asks[venue] = quote["ask"]
            touches.best = max(bids) / min(asks) - 1

        return handle_ticker


def _exchange(dialect: str) -> Any:
    exchange = getattr(ccxt.pro, dialect)()
    market = {
        "id": _IDS[dialect],
        "symbol": _SYMBOL,
        "base": "BTC",
        "quote": "USDT",
        "baseId": "BTC",
        "quoteId": "USDT",
        "type": "spot",
        "spot": True,
        "active": True,
        "precision": {"price": 0.1, "amount": 1e-8},
    }
    exchange.set_markets([exchange.safe_market_structure(market)])
    return exchange


async def _client(exchange: Any, dialect: str) -> Client:
    unused = exchange.on_error, exchange.on_close, exchange.on_connected
    return Client(_URLS[dialect], exchange.handle_message, *unused, {})


def _quotes(exchange: Any, dialect: str) -> dict[str, dict[str, float]]:
    """Where the exchange keeps best bid and ask: a ticker where the venue's ticker carries them."""
    kept: dict[str, dict[str, float]] = exchange.bidsasks
    return exchange.tickers if dialect in ("kraken", "coinbase") else kept
