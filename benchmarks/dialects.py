"""How each venue writes its best bid and ask and its book, as text; only for benchmarks, and only what they send.

A ticker writer is a function of bid, ask and a number. A book writer is an object that numbers its frames as the
venue does: ``open`` gives what starts the book, ``update`` one message of changed levels.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from benchmarks.walk import Level, Side, price_text, quantity_text, short_text

Message = tuple[str, str]  # (text, URL); the URL is empty for a frame
_EPOCH_MS = 1_700_000_000_000


def _pair(level: Level) -> str:
    return f'["{price_text(level[0])}","{short_text(level[1])}"]'


def _binance_pair(level: Level) -> str:
    return f'["{price_text(level[0])}0000000","{quantity_text(level[1])}"]'


def _okx_row(level: Level) -> str:
    orders = level[1] % 9 + 1 if level[1] else 0
    return f'["{price_text(level[0])}","{short_text(level[1])}","0","{orders}"]'


def _kraken_row(level: Level) -> str:
    return f'{{"price":{price_text(level[0])},"qty":{quantity_text(level[1])}}}'


def _rows(row: Callable[[Level], str], levels: Iterable[Level]) -> str:
    return "[" + ",".join(map(row, levels)) + "]"


def _time_text(seq: int) -> str:
    hour, minute, second = seq // 3_600_000 % 24, seq // 60_000 % 60, seq // 1000 % 60
    return f"2026-04-28T{hour:02d}:{minute:02d}:{second:02d}.{seq % 1000:03d}456Z"


def binance_ticker(bid: Level, ask: Level, seq: int) -> str:
    """Spot ``bookTicker``."""
    return (
        f'{{"u":{seq},"s":"BTCUSDT","b":"{price_text(bid[0])}0000000","B":"{quantity_text(bid[1])}",'
        f'"a":"{price_text(ask[0])}0000000","A":"{quantity_text(ask[1])}"}}'
    )


def okx_ticker(bid: Level, ask: Level, seq: int) -> str:
    """``bbo-tbt``."""
    return (
        '{"arg":{"channel":"bbo-tbt","instId":"BTC-USDT"},"data":[{'
        f'"asks":[{_okx_row(ask)}],"bids":[{_okx_row(bid)}],"ts":"{_EPOCH_MS + seq}","seqId":{seq}}}]}}'
    )


def bybit_ticker(bid: Level, ask: Level, seq: int) -> str:
    """Spot ``orderbook.1``, always a snapshot."""
    return (
        f'{{"topic":"orderbook.1.BTCUSDT","ts":{_EPOCH_MS + seq},"type":"snapshot",'
        f'"data":{{"s":"BTCUSDT","b":[{_pair(bid)}],"a":[{_pair(ask)}],"u":{seq},"seq":{seq * 7}}},'
        f'"cts":{_EPOCH_MS + seq - 2}}}'
    )


def kraken_ticker(bid: Level, ask: Level, seq: int) -> str:
    """WebSocket v2 ``ticker``, numbers not strings."""
    return (
        '{"channel":"ticker","type":"update","data":[{"symbol":"BTC/USDT",'
        f'"bid":{price_text(bid[0])},"bid_qty":{quantity_text(bid[1])},'
        f'"ask":{price_text(ask[0])},"ask_qty":{quantity_text(ask[1])},"last":{price_text(ask[0])},'
        '"volume":1825.41227412,"vwap":63790.2,"low":62950.0,"high":64480.9,"change":312.4,"change_pct":0.49,'
        f'"timestamp":"{_time_text(seq)}"}}]}}'
    )


def coinbase_ticker(bid: Level, ask: Level, seq: int) -> str:
    """Advanced Trade ``ticker``; `seq` is the connection's sequence number."""
    return (
        f'{{"channel":"ticker","client_id":"","timestamp":"{_time_text(seq)}","sequence_num":{seq},'
        '"events":[{"type":"update","tickers":[{"type":"ticker","product_id":"BTC-USDT",'
        f'"price":"{price_text(ask[0])}","volume_24_h":"15328.12","low_24_h":"62500.0","high_24_h":"69200.0",'
        '"low_52_w":"42000.0","high_52_w":"73800.0","price_percent_chg_24_h":"1.85",'
        f'"best_bid":"{price_text(bid[0])}","best_bid_quantity":"{short_text(bid[1])}",'
        f'"best_ask":"{price_text(ask[0])}","best_ask_quantity":"{short_text(ask[1])}"}}]}}]}}'
    )


class BookWriter(Protocol):
    """One venue's book channel. Sides are given once; `update` is called after they have moved."""

    def __init__(self, first_id: int, bids: Side, asks: Side) -> None: ...

    def open(self) -> list[Message]:
        """What the venue sends to start the book as it is now."""

    def update(self, bids: Sequence[Level], asks: Sequence[Level]) -> str:
        """The next message: the changed levels of both sides, best first."""


class BinanceBook:
    """REST snapshot, then ``depthUpdate`` diffs; both sides in ascending price, as that venue sends them."""

    def __init__(self, first_id: int, bids: Side, asks: Side) -> None:
        self.id = first_id
        self.sides = bids, asks

    def open(self) -> list[Message]:
        bids, asks = _now(self.sides)
        rows = f'"bids":{_rows(_binance_pair, bids)},"asks":{_rows(_binance_pair, asks)}'
        url = "https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=1000"
        return [(f'{{"lastUpdateId":{self.id},{rows}}}', url)]

    def update(self, bids: Sequence[Level], asks: Sequence[Level]) -> str:
        first, self.id = self.id + 1, self.id + len(bids) + len(asks)
        return (
            f'{{"e":"depthUpdate","E":{_EPOCH_MS + self.id},"s":"BTCUSDT","U":{first},"u":{self.id},'
            f'"b":{_rows(_binance_pair, bids[::-1])},"a":{_rows(_binance_pair, asks)}}}'
        )


class OkxBook:
    """``books``: a snapshot frame, then updates chained by prevSeqId and seqId."""

    def __init__(self, first_id: int, bids: Side, asks: Side) -> None:
        self.id = first_id
        self.sides = bids, asks

    def open(self) -> list[Message]:
        return [(self._frame("snapshot", *_now(self.sides), -1), "")]

    def update(self, bids: Sequence[Level], asks: Sequence[Level]) -> str:
        last, self.id = self.id, self.id + 3
        return self._frame("update", bids, asks, last)

    def _frame(self, action: str, bids: Sequence[Level], asks: Sequence[Level], last: int) -> str:
        return (
            f'{{"arg":{{"channel":"books","instId":"BTC-USDT"}},"action":"{action}","data":[{{'
            f'"asks":{_rows(_okx_row, asks)},"bids":{_rows(_okx_row, bids)},'
            f'"ts":"{_EPOCH_MS + self.id}","checksum":0,"prevSeqId":{last},"seqId":{self.id}}}]}}'
        )


class BybitBook:
    """``orderbook.1000``: a snapshot frame, then deltas whose u grows by one."""

    def __init__(self, first_id: int, bids: Side, asks: Side) -> None:
        self.id = first_id
        self.sides = bids, asks

    def open(self) -> list[Message]:
        return [(self._frame("snapshot", *_now(self.sides)), "")]

    def update(self, bids: Sequence[Level], asks: Sequence[Level]) -> str:
        self.id += 1
        return self._frame("delta", bids, asks)

    def _frame(self, kind: str, bids: Sequence[Level], asks: Sequence[Level]) -> str:
        return (
            f'{{"topic":"orderbook.1000.BTCUSDT","ts":{_EPOCH_MS + self.id},"type":"{kind}","data":{{"s":"BTCUSDT",'
            f'"b":{_rows(_pair, bids)},"a":{_rows(_pair, asks)},"u":{self.id},"seq":{self.id * 7}}},'
            f'"cts":{_EPOCH_MS + self.id - 2}}}'
        )


class KrakenBook:
    """``book`` of depth 1000 on WebSocket v2: numbers not strings, a CRC32 of the top ten in every frame."""

    def __init__(self, first_id: int, bids: Side, asks: Side) -> None:
        self.seq = first_id % 10**6
        self.sides = bids, asks

    def open(self) -> list[Message]:
        """The subscription's acknowledgement, which fixes the depth, then the snapshot frame."""
        ack = (
            '{"method":"subscribe","req_id":1,"result":{"channel":"book","depth":1000,"snapshot":true,'
            '"symbol":"BTC/USDT"},"success":true,"time_in":"2026-04-28T00:00:00.000000Z",'
            '"time_out":"2026-04-28T00:00:00.000057Z"}'
        )
        return [(ack, ""), (self._frame("snapshot", *_now(self.sides)), "")]

    def update(self, bids: Sequence[Level], asks: Sequence[Level]) -> str:
        return self._frame("update", bids, asks)

    def _frame(self, kind: str, bids: Sequence[Level], asks: Sequence[Level]) -> str:
        self.seq += 1
        return (
            f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"BTC/USDT","bids":{_rows(_kraken_row, bids)},'
            f'"asks":{_rows(_kraken_row, asks)},"checksum":{self._crc()},"timestamp":"{_time_text(self.seq)}"}}]}}'
        )

    def _crc(self) -> int:
        """Of the book as it is now: ten best asks, then bids; digits without point and leading zeros."""
        bids, asks = self.sides
        rows = [f"{key}{asks.units[key]}" for key in asks.keys[:10]]
        rows += [f"{-key}{bids.units[key]}" for key in bids.keys[:10]]
        return zlib.crc32("".join(rows).encode())


class CoinbaseBook:
    """``l2_data``: every message counts in the connection's sequence, every level names its side and time."""

    def __init__(self, first_id: int, bids: Side, asks: Side) -> None:
        self.seq = first_id % 1000
        self.sides = bids, asks

    def open(self) -> list[Message]:
        return [(self._frame("snapshot", *_now(self.sides)), "")]

    def update(self, bids: Sequence[Level], asks: Sequence[Level]) -> str:
        return self._frame("update", bids, asks)

    def _frame(self, kind: str, bids: Sequence[Level], asks: Sequence[Level]) -> str:
        self.seq += 1
        time = _time_text(self.seq)
        sides = [("bid", level) for level in bids] + [("offer", level) for level in asks]
        rows = ",".join(
            f'{{"side":"{side}","event_time":"{time}","price_level":"{price_text(ticks)}",'
            f'"new_quantity":"{short_text(units)}"}}'
            for side, (ticks, units) in sides
        )
        return (
            f'{{"channel":"l2_data","client_id":"","timestamp":"{time}","sequence_num":{self.seq},'
            f'"events":[{{"type":"{kind}","product_id":"BTC-USDT","updates":[{rows}]}}]}}'
        )


def _now(sides: tuple[Side, Side]) -> tuple[Sequence[Level], Sequence[Level]]:
    bids, asks = sides
    return bids.levels(-1), asks.levels(1)


TICKERS: dict[str, Callable[[Level, Level, int], str]] = {
    "binance": binance_ticker,
    "okx": okx_ticker,
    "bybit": bybit_ticker,
    "kraken": kraken_ticker,
    "coinbase": coinbase_ticker,
}
BOOKS: dict[str, type[BookWriter]] = {
    "binance": BinanceBook,
    "okx": OkxBook,
    "bybit": BybitBook,
    "kraken": KrakenBook,
    "coinbase": CoinbaseBook,
}
# Levels a side, and the smallest step of a quantity in 1e-8.
LEVELS = {"binance": 1000, "okx": 400, "bybit": 1000, "kraken": 1000, "coinbase": 1000}
LOTS = {"binance": 1000, "okx": 1, "bybit": 100, "kraken": 1, "coinbase": 1}
# The combined stream that a Binance message comes in.
BINANCE_STREAMS = {"ticker": "btcusdt@bookTicker", "depth": "btcusdt@depth@100ms"}
