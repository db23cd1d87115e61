"""Bybit's v5 wire, spot and linear: orderbook.N with an update id that grows by one, orderbook.1 snapshots, trades.

Rules: u counts the messages of one topic; u = 1 says that the service restarted and that the frame is a whole book.
Spot puts `ts` before `type` and drops trailing zeros, linear the other way round on both. Levels pushed out of the N
are deleted.
"""

# ruff: noqa: ARG002  (a wire need not use all that the protocol hands it)

from __future__ import annotations

import zlib
from collections.abc import Sequence
from random import Random

from gambit.sim.instruments import Instrument
from gambit.sim.market import Book, Change, Row, Top, Trade, Window
from gambit.sim.wire import MILLI_NS, Texts, WireOptions, by_symbol, step_text

DEPTHS = (50, 200, 1000)
TOPICS_PER_REQUEST = 10


def spell(symbol: str) -> str:
    """BTC-USDT and BTC-USDT-PERP are both BTCUSDT."""
    base, quote = symbol.split("-")[:2]
    return base + quote


class BybitWire:
    """One connection to Bybit's public spot or linear endpoint."""

    quirks: tuple[str, ...] = ("restart", "snapshot", "other_depth")

    def __init__(self, venue: str, books: Sequence[Book], options: WireOptions, seed: int) -> None:
        """A client of all `books` with the smallest depth that covers options.depth."""
        self.venue = venue
        self._category = "linear" if venue == "bybit-linear" else "spot"
        self.addr = f"wss://stream.bybit.com/v5/public/{self._category}"
        self._books = by_symbol(books)
        self._options = options
        self._rng = Random(seed)
        self._depth = next((depth for depth in DEPTHS if depth >= options.depth), DEPTHS[-1])
        trim = self._category == "spot"
        self._texts = {symbol: Texts(book.instrument, trim=trim) for symbol, book in self._books.items()}
        self._windows: dict[str, tuple[Window, Window]] = {}
        self._u: dict[str, int] = {}
        self._conn_id = f"{zlib.crc32(repr(sorted(self._books)).encode()):08x}-{self._category}"

    def lists(self, ts_ns: int) -> list[tuple[str, str]]:
        """GET instruments-info."""
        items = [book.instrument for book in self._books.values()]
        rows = ",".join([spot_entry(item) if self._category == "spot" else _linear_entry(item) for item in items])
        url = f"https://api.bybit.com/v5/market/instruments-info?category={self._category}&status=Trading&limit=1000"
        text = (
            f'{{"retCode":0,"retMsg":"OK","result":{{"category":"{self._category}","list":[{rows}],"nextPageCursor":""}},'
            f'"retExtInfo":{{}},"time":{ts_ns // MILLI_NS}}}'
        )
        return [(url, text)]

    def requests(self) -> list[str]:
        """Subscribes of at most ten topics each."""
        topics = self._topics()
        requests = []
        for number, first in enumerate(range(0, len(topics), TOPICS_PER_REQUEST), 1):
            args = ",".join([f'"{topic}"' for topic in topics[first : first + TOPICS_PER_REQUEST]])
            requests.append(f'{{"req_id":"{number}","op":"subscribe","args":[{args}]}}')
        return requests

    def answers(self, ts_ns: int) -> list[str]:
        """One ack per request, then the books."""
        head = f'{{"success":true,"ret_msg":"subscribe","conn_id":"{self._conn_id}","req_id":'
        frames = [f'{head}"{number}","op":"subscribe"}}' for number in range(1, len(self.requests()) + 1)]
        for symbol, book in self._books.items():
            if self._options.source == "depth":
                self._u[symbol] = 1000 + self._rng.randrange(9_000_000)
                frames.append(self._whole(symbol, "snapshot", ts_ns))
            else:
                frames.extend(self.top(book.top(ts_ns)))
        return frames

    def depth_answer(self, symbol: str, ts_ns: int) -> tuple[str, str] | None:
        """Books come in band."""
        return None

    def change(self, event: Change) -> list[str]:
        """A delta."""
        if self._options.source == "bbo":
            return []
        bid_window, ask_window = self._windows[event.symbol]
        bids = sorted(bid_window.rows(event.bids), reverse=True)
        asks = sorted(ask_window.rows(event.asks))
        if not bids and not asks:
            return []
        self._u[event.symbol] += 1
        ids = self._u[event.symbol], event.last_id
        return [self._frame(self._depth, event.symbol, "delta", event.ts_ns, bids, asks, ids)]

    def top(self, event: Top) -> list[str]:
        """orderbook.1: always a snapshot."""
        bids = [event.bid] if event.bid else []
        asks = [event.ask] if event.ask else []
        ids = event.update_id, event.update_id
        return [self._frame(1, event.symbol, "snapshot", event.ts_ns, bids, asks, ids)]

    def trade(self, event: Trade) -> list[str]:
        """publicTrade: S is the taker's side; the type is always snapshot."""
        spelt, texts = spell(event.symbol), self._texts[event.symbol]
        side = "Buy" if event.taker_buys else "Sell"
        ms = event.ts_ns // MILLI_NS
        price, qty = texts.price[event.price_ticks], texts.qty(event.qty_lots)
        row = (
            f'{{"i":"{2290000000000000000 + event.trade_id}","T":{ms - 1},"p":"{price}","v":"{qty}","S":"{side}",'
            f'"seq":{event.update_id},"s":"{spelt}","BT":false,"RPI":false}}'
        )
        return [f'{{"topic":"publicTrade.{spelt}","ts":{ms},"type":"snapshot","data":[{row}]}}']

    def beat(self, ts_ns: int) -> list[str]:
        """Nothing."""
        return []

    def ping(self, ts_ns: int) -> tuple[str, str] | None:
        """The public pong says op ping."""
        pong = f'{{"success":true,"ret_msg":"pong","conn_id":"{self._conn_id}","op":"ping"}}'
        return '{"op":"ping"}', pong

    def quirk(self, name: str, symbol: str, ts_ns: int) -> list[str]:
        """restart: u = 1 and a whole book, whatever its type. snapshot: one in mid-stream. other_depth: another N."""
        if symbol not in self._u:
            return []
        if name == "other_depth":
            book = self._books[symbol]
            depth = next(depth for depth in DEPTHS if depth != self._depth)
            rows = book.bids.levels()[:depth], book.asks.levels()[:depth]
            return [self._frame(depth, symbol, "snapshot", ts_ns, *rows, (77, book.update_id))]
        if name == "restart":
            self._u[symbol] = 1
            return [self._whole(symbol, "delta" if self._rng.random() < 0.3 else "snapshot", ts_ns)]
        self._u[symbol] += 1 + self._rng.randrange(50)
        return [self._whole(symbol, "snapshot", ts_ns)]

    def opening(self, symbol: str, ts_ns: int) -> list[str]:
        """The snapshot a newcomer to the topic of a book gets; its u goes on where it stands."""
        self._u.setdefault(symbol, 1000 + self._rng.randrange(9_000_000))
        return [self._whole(symbol, "snapshot", ts_ns)]

    def sides_text(self, symbol: str, levels: int) -> tuple[str, str]:
        """The best levels of both sides as rows, best first."""
        book, texts = self._books[symbol], self._texts[symbol]
        return self._rows(texts, book.bids.levels()[:levels]), self._rows(texts, book.asks.levels()[:levels])

    def _topics(self) -> list[str]:
        kinds = [f"orderbook.{self._depth}"] if self._options.source == "depth" else []
        if self._options.tops or not kinds:
            kinds.append("orderbook.1")
        if self._options.trades:
            kinds.append("publicTrade")
        return [f"{kind}.{spell(symbol)}" for kind in kinds for symbol in self._books]

    def _whole(self, symbol: str, kind: str, ts_ns: int) -> str:
        book = self._books[symbol]
        windows = (
            Window(book.bids, self._depth, tells_leaving=True),
            Window(book.asks, self._depth, tells_leaving=True),
        )
        self._windows[symbol] = windows
        ids = self._u[symbol], book.update_id
        return self._frame(self._depth, symbol, kind, ts_ns, windows[0].opening(), windows[1].opening(), ids)

    def _frame(
        self, depth: int, symbol: str, kind: str, ts_ns: int, bids: list[Row], asks: list[Row], ids: tuple[int, int]
    ) -> str:
        spelt, texts = spell(symbol), self._texts[symbol]
        ms = ts_ns // MILLI_NS
        head = f'"ts":{ms + 2},"type":"{kind}"' if self._category == "spot" else f'"type":"{kind}","ts":{ms + 2}'
        return (
            f'{{"topic":"orderbook.{depth}.{spelt}",{head},"data":{{"s":"{spelt}","b":{self._rows(texts, bids)},'
            f'"a":{self._rows(texts, asks)},"u":{ids[0]},"seq":{ids[1]}}},"cts":{ms}}}'
        )

    @staticmethod
    def _rows(texts: Texts, rows: Sequence[Row]) -> str:
        price, qty = texts.price, texts.qty
        said = [f'["{price[ticks]}","{qty(lots) if lots else 0}"]' for ticks, lots in rows]
        return f"[{','.join(said)}]"


def spot_entry(item: Instrument, status: str = "Trading", min_amount: str = "5", max_qty: str = "1000000000000") -> str:
    """A spot symbol in instruments-info."""
    lot = step_text(item.lot, item.lot_decimals)
    least = step_text(item.min_lots * item.lot, item.lot_decimals)
    return (
        f'{{"symbol":"{spell(item.symbol)}","baseCoin":"{item.base}","quoteCoin":"{item.quote}","innovation":"0",'
        f'"status":"{status}","marginTrading":"utaOnly","stTag":"0","lotSizeFilter":{{"basePrecision":"{lot}",'
        f'"quotePrecision":"0.0000001","minOrderQty":"{least}","maxOrderQty":"{max_qty}","minOrderAmt":"{min_amount}",'
        f'"maxOrderAmt":"8000000","maxLimitOrderQty":"{max_qty}","maxMarketOrderQty":"{max_qty}"}},'
        f'"priceFilter":{{"tickSize":"{step_text(item.tick, item.price_decimals)}"}},'
        f'"riskParameters":{{"priceLimitRatioX":"0.01","priceLimitRatioY":"0.02"}}}}'
    )


def _linear_entry(item: Instrument) -> str:
    tick = step_text(item.tick, item.price_decimals)
    lot = step_text(item.lot, item.lot_decimals)
    least = step_text(item.min_lots * item.lot, item.lot_decimals)
    return (
        f'{{"symbol":"{spell(item.symbol)}","contractType":"LinearPerpetual","status":"Trading",'
        f'"baseCoin":"{item.base}","quoteCoin":"{item.quote}","launchTime":"1585526400000","deliveryTime":"0",'
        f'"deliveryFeeRate":"","priceScale":"{item.price_decimals}","leverageFilter":{{"minLeverage":"1",'
        f'"maxLeverage":"100.00","leverageStep":"0.01"}},"priceFilter":{{"minPrice":"{tick}","maxPrice":"1999999.8",'
        f'"tickSize":"{tick}"}},"lotSizeFilter":{{"maxOrderQty":"1000000000000","minOrderQty":"{least}",'
        f'"qtyStep":"{lot}","postOnlyMaxOrderQty":"1000000000000","maxMktOrderQty":"1000000000000",'
        f'"minNotionalValue":"5"}},"unifiedMarginTrade":true,"fundingInterval":480,"settleCoin":"{item.quote}"}}'
    )
