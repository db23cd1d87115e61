"""OKX's wire: books with a chain of sequence ids, bbo-tbt, trades; nearly every value a string without trailing zeros.

Rules: an update's prevSeqId is the seqId before it; an empty update with both equal is a heartbeat; after maintenance
the ids start again lower, prevSeqId still naming the last one. `checksum` is 0 today; before 2023 it was real and there
were no sequence ids. Levels pushed out of the 400 are deleted by the venue.
"""

# ruff: noqa: ARG002  (a wire need not use all that the protocol hands it)

from __future__ import annotations

import zlib
from collections.abc import Sequence
from itertools import zip_longest

from gambit.sim.instruments import Instrument
from gambit.sim.market import Book, Change, Row, Side, Top, Trade, Window
from gambit.sim.wire import MILLI_NS, Texts, WireOptions, by_symbol, step_text

BOOK_DEPTHS = {"books": 400, "books-l2-tbt": 400, "books50-l2-tbt": 50}
CHECKSUM_LEVELS = 25
SEQ_AFTER_RESET = 3


def spell(symbol: str) -> str:
    """OKX spells as gambit does."""
    return symbol


class OkxWire:
    """One connection to OKX's public endpoint."""

    quirks: tuple[str, ...] = ("heartbeat", "reset", "notice", "books5")

    def __init__(self, venue: str, books: Sequence[Book], options: WireOptions, _seed: int) -> None:
        """A client of all `books`."""
        self.venue = venue
        self.addr = "wss://ws.okx.com:8443/ws/v5/public"
        self._books = by_symbol(books)
        self._options = options
        self._texts = {symbol: Texts(book.instrument, trim=True) for symbol, book in self._books.items()}
        self._windows: dict[str, tuple[Window, Window]] = {}
        self._seq: dict[str, int] = {}
        self._behind: dict[str, int] = dict.fromkeys(self._books, 0)  # what a reset took off the ids
        self._conn_id = f"{zlib.crc32(repr(sorted(self._books)).encode()):08x}"

    def lists(self, ts_ns: int) -> list[tuple[str, str]]:
        """GET public/instruments."""
        rows = ",".join([spot_entry(book.instrument) for book in self._books.values()])
        url = "https://www.okx.com/api/v5/public/instruments?instType=SPOT"
        return [(url, f'{{"code":"0","data":[{rows}],"msg":""}}')]

    def requests(self) -> list[str]:
        """One subscribe with all args."""
        return [f'{{"op":"subscribe","args":[{",".join(self._args())}]}}']

    def answers(self, ts_ns: int) -> list[str]:
        """One ack per arg, then the books."""
        acks = [f'{{"event":"subscribe","arg":{arg},"connId":"{self._conn_id}"}}' for arg in self._args()]
        if self._options.source == "bbo":
            return acks + [frame for book in self._books.values() for frame in self.top(book.top(ts_ns))]
        return acks + [self.opening(symbol, ts_ns) for symbol in self._books]

    def depth_answer(self, symbol: str, ts_ns: int) -> tuple[str, str] | None:
        """Books come in band."""
        return None

    def change(self, event: Change) -> list[str]:
        """A books update."""
        symbol = event.symbol
        if self._options.source == "bbo":
            return []
        bid_window, ask_window = self._windows[symbol]
        bids = sorted(bid_window.rows(event.bids), reverse=True)
        asks = sorted(ask_window.rows(event.asks))
        if not bids and not asks:
            return []
        previous = self._seq[symbol]
        self._seq[symbol] = event.last_id - self._behind[symbol]
        return [self._book_frame(symbol, "update", bids, asks, event.ts_ns, previous)]

    def top(self, event: Top) -> list[str]:
        """bbo-tbt."""
        texts = self._texts[event.symbol]
        bids = self._rows(texts, [event.bid] if event.bid else [])
        asks = self._rows(texts, [event.ask] if event.ask else [])
        seq = event.update_id - self._behind[event.symbol]
        row = f'{{"asks":{asks},"bids":{bids},"ts":"{event.ts_ns // MILLI_NS}","seqId":{seq}}}'
        return [f'{{"arg":{{"channel":"bbo-tbt","instId":"{event.symbol}"}},"data":[{row}]}}']

    def trade(self, event: Trade) -> list[str]:
        """trades: side is the taker's."""
        texts = self._texts[event.symbol]
        side = "buy" if event.taker_buys else "sell"
        price, qty = texts.price[event.price_ticks], texts.qty(event.qty_lots)
        row = (
            f'{{"instId":"{event.symbol}","tradeId":"{event.trade_id}","px":"{price}","sz":"{qty}","side":"{side}",'
            f'"ts":"{event.ts_ns // MILLI_NS}","count":"1","source":"0","seqId":{event.update_id}}}'
        )
        return [f'{{"arg":{{"channel":"trades","instId":"{event.symbol}"}},"data":[{row}]}}']

    def beat(self, ts_ns: int) -> list[str]:
        """Nothing."""
        return []

    def ping(self, ts_ns: int) -> tuple[str, str] | None:
        """Bare text, no JSON."""
        return "ping", "pong"

    def quirk(self, name: str, symbol: str, ts_ns: int) -> list[str]:
        """heartbeat: an empty update. reset: an empty update to a small seqId. notice. books5: the best five levels."""
        if name == "notice":
            text = "The connection will soon be closed for a service upgrade. Please reconnect."
            return [f'{{"event":"notice","code":"64008","msg":"{text}","connId":"{self._conn_id}"}}']
        if name == "books5":
            return [self.best_five(symbol, ts_ns)]
        if symbol not in self._seq or self._options.checksums:
            return []
        previous = self._seq[symbol]
        if name == "reset":
            self._behind[symbol] = self._books[symbol].update_id - SEQ_AFTER_RESET
            self._seq[symbol] = SEQ_AFTER_RESET
        return [self._book_frame(symbol, "update", [], [], ts_ns, previous)]

    def _args(self) -> list[str]:
        channels: list[str] = [self._options.okx_books] if self._options.source == "depth" else []
        if self._options.tops or not channels:
            channels.append("bbo-tbt")
        if self._options.trades:
            channels.append("trades")
        return [f'{{"channel":"{channel}","instId":"{symbol}"}}' for channel in channels for symbol in self._books]

    def opening(self, symbol: str, ts_ns: int) -> str:
        """The books snapshot; updates go on from it."""
        book = self._books[symbol]
        windows = (
            Window(book.bids, BOOK_DEPTHS[self._options.okx_books], tells_leaving=True),
            Window(book.asks, BOOK_DEPTHS[self._options.okx_books], tells_leaving=True),
        )
        self._windows[symbol] = windows
        self._seq[symbol] = book.update_id - self._behind[symbol]
        return self._book_frame(symbol, "snapshot", windows[0].opening(), windows[1].opening(), ts_ns, -1)

    def _book_frame(self, symbol: str, action: str, bids: list[Row], asks: list[Row], ts_ns: int, previous: int) -> str:
        texts = self._texts[symbol]
        if self._options.checksums:
            tail = f'"checksum":{self._checksum(symbol)}'
        else:
            tail = f'"checksum":0,"prevSeqId":{previous},"seqId":{self._seq[symbol]}'
        return (
            f'{{"arg":{{"channel":"{self._options.okx_books}","instId":"{symbol}"}},"action":"{action}","data":[{{'
            f'"asks":{self._rows(texts, asks)},"bids":{self._rows(texts, bids)},"ts":"{ts_ns // MILLI_NS}",{tail}}}]}}'
        )

    def rest_book(self, symbol: str, levels: int, ts_ns: int) -> str:
        """A row of GET market/books."""
        book, texts = self._books[symbol], self._texts[symbol]
        bids, asks = (self._rows(texts, side.levels()[:levels]) for side in (book.bids, book.asks))
        seq = book.update_id - self._behind[symbol]
        return f'{{"asks":{asks},"bids":{bids},"ts":"{ts_ns // MILLI_NS}","seqId":{seq}}}'

    def best_five(self, symbol: str, ts_ns: int) -> str:
        """A books5 frame."""
        book, texts = self._books[symbol], self._texts[symbol]
        bids, asks = self._rows(texts, book.bids.levels()[:5]), self._rows(texts, book.asks.levels()[:5])
        seq = book.update_id - self._behind[symbol]
        row = f'"asks":{asks},"bids":{bids},"instId":"{symbol}","ts":"{ts_ns // MILLI_NS}","seqId":{seq}'
        return f'{{"arg":{{"channel":"books5","instId":"{symbol}"}},"data":[{{{row}}}]}}'

    def _checksum(self, symbol: str) -> int:
        book, texts = self._books[symbol], self._texts[symbol]
        return interleaved_checksum(_texts_of(book.bids, texts), _texts_of(book.asks, texts))

    @staticmethod
    def _rows(texts: Texts, rows: Sequence[Row]) -> str:
        price, qty = texts.price, texts.qty
        said = [f'["{price[t]}","{qty(n)}","0","{n % 9 + 1}"]' if n else f'["{price[t]}","0","0","0"]' for t, n in rows]
        return f"[{','.join(said)}]"


def instrument_code(symbol: str) -> int:
    """The integer that WebSocket orders name a symbol by."""
    return 10_000 + zlib.crc32(symbol.encode()) % 10_000_000


def spot_entry(item: Instrument, state: str = "live", max_qty: str = "9999999999") -> str:
    """A spot instrument as GET public/instruments says it."""
    tick = step_text(item.tick, item.price_decimals)
    lot = step_text(item.lot, item.lot_decimals)
    least = step_text(item.min_lots * item.lot, item.lot_decimals)
    return (
        f'{{"instType":"SPOT","instId":"{item.symbol}","instIdCode":{instrument_code(item.symbol)},'
        f'"baseCcy":"{item.base}","quoteCcy":"{item.quote}","tickSz":"{tick}","lotSz":"{lot}","minSz":"{least}",'
        f'"maxLmtSz":"{max_qty}","maxLmtAmt":"20000000","maxMktSz":"1000000","maxMktAmt":"1000000",'
        f'"state":"{state}","ruleType":"normal","groupId":"12","tradeQuoteCcyList":["{item.quote}"],'
        f'"listTime":"1611907686000","expTime":"","lever":"10","contTdSwTime":"","upcChg":[]}}'
    )


def _texts_of(side: Side, texts: Texts) -> list[tuple[str, str]]:
    levels = [(key * side.sign, side.lots[key]) for key in side.keys[-CHECKSUM_LEVELS:][::-1]]
    return [(texts.price[ticks], texts.qty(lots)) for ticks, lots in levels]


def interleaved_checksum(bids: Sequence[tuple[str, str]], asks: Sequence[tuple[str, str]]) -> int:
    """The old wire's checksum: CRC32, signed, of bid, ask, bid, ask ... as price:size, at most 25 levels a side."""
    parts: list[str] = []
    for bid, ask in zip_longest(bids[:CHECKSUM_LEVELS], asks[:CHECKSUM_LEVELS]):
        parts.extend(f"{price}:{size}" for price, size in filter(None, (bid, ask)))
    crc = zlib.crc32(":".join(parts).encode())
    return crc - (1 << 32) if crc >= 1 << 31 else crc
