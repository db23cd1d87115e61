"""One order book: its two sides, its counters, and the two checksums that venues send.

Sides are a dict and a sorted list of prices, best first. Bids are kept under their negated price so that both sides
read the same way. Quantities are what the venue sent; only `levels` turns contracts into base and quote amounts.
"""

import zlib
from bisect import bisect_left, insort
from collections.abc import Iterator

from .decimals import fixed_text, plain_text, to_text
from .instruments import Rules
from .wires import Row, Update

COUNTERS = (
    "snapshots",
    "applied",
    "dropped_stale",
    "gaps",
    "checksums_ok",
    "checksums_bad",
    "crossed",
    "quarantined",
)


class Side:
    """The bids (`sign` -1) or the asks (`sign` 1) of a book."""

    def __init__(self, sign: int):
        self.sign = sign
        self.keys: list[int] = []  # sign * price, ascending: best first
        self.rows: dict[int, Row] = {}

    def __len__(self) -> int:
        return len(self.keys)

    def replace(self, rows: list[Row]) -> None:
        """The whole side anew; of two rows at one price the later counts, a zero quantity removes."""
        self.rows = {}
        for row in rows:
            if row.qty:
                self.rows[self.sign * row.price] = row
            else:
                self.rows.pop(self.sign * row.price, None)
        self.keys = sorted(self.rows)

    def put(self, rows: list[Row]) -> None:
        """Absolute quantities in the order given; removing what is not there is normal."""
        for row in rows:
            key = self.sign * row.price
            if row.qty:
                if key not in self.rows:
                    insort(self.keys, key)
                self.rows[key] = row
            elif self.rows.pop(key, None) is not None:
                del self.keys[bisect_left(self.keys, key)]

    def trim(self, depth: int) -> None:
        for key in self.keys[depth:]:
            del self.rows[key]
        del self.keys[depth:]

    def best(self) -> Row | None:
        return self.rows[self.keys[0]] if self.keys else None

    def top(self, count: int) -> list[Row]:
        return [self.rows[key] for key in self.keys[:count]]


class Book:
    """A book of (venue, symbol), whether it may be believed (`synced`), and what happened to it (R22)."""

    def __init__(self, venue: str, symbol: str):
        self.venue, self.symbol = venue, symbol
        self.bids, self.asks = Side(-1), Side(1)
        self.synced = False
        self.last_id: int | None = None
        self.at_snapshot = False  # nothing was applied behind the snapshot yet
        self.last_update = 0
        self.exchange_ns: int | None = None
        self.had_seq_id = False  # OKX: the last frame of this book carried a seqId
        self.depth: int | None = None  # Kraken: levels a side, from the ack or the snapshot
        self.contract_size: int | None = None
        # R8: who feeds the book. `conn` outlives its connection, `is_fed` does not.
        self.conn: str | None = None
        self.channel = ""
        self.is_fed = False
        self.buffer: list[Update] = []  # Binance: diffs that wait for a snapshot
        self.counts = dict.fromkeys(COUNTERS, 0)

    def take(self, update: Update) -> None:
        """Applies a checked message: a snapshot replaces both sides, an update changes levels."""
        for side, rows in ((self.bids, update.bids), (self.asks, update.asks)):
            if update.action == "update":
                side.put(rows)
            else:
                side.replace(rows)
        self.last_id, self.exchange_ns = update.last_id, update.exchange_ns
        self.at_snapshot = update.action == "snapshot"
        self.synced = True

    def trim(self, depth: int) -> None:
        self.bids.trim(depth)
        self.asks.trim(depth)

    def lose(self) -> None:
        """The book is unsynced: it shows no sequence and no levels."""
        self.synced = False
        self.last_id = None
        self.bids.replace([])
        self.asks.replace([])

    def is_crossed(self) -> bool:
        return bool(self.bids and self.asks) and self.bids.best().price >= self.asks.best().price

    def is_two_sided(self) -> bool:
        return bool(self.bids and self.asks)

    def levels(self, side: Side) -> Iterator[tuple[int, int, int]]:
        """Best first: price and base quantity in units of 1e-18, and quote value in units of 1e-36.

        c contracts at price p are worth c * contract_size in quote and that over p, cut to 1e-18, in base.
        """
        for key in side.keys:
            row = side.rows[key]
            if self.contract_size is None:
                yield row.price, row.qty, row.price * row.qty
            else:
                quote = row.qty * self.contract_size
                yield row.price, quote // row.price, quote

    def tick(self, recv_ns: int) -> dict:
        """The line of `--emit ticks`; an empty side is null (R32)."""
        bid, ask = self.bids.best(), self.asks.best()
        return {
            "recv_ns": recv_ns,
            "venue": self.venue,
            "symbol": self.symbol,
            "bid": to_text(bid.price) if bid else None,
            "bid_qty": to_text(bid.qty) if bid else None,
            "ask": to_text(ask.price) if ask else None,
            "ask_qty": to_text(ask.qty) if ask else None,
            "exchange_ts_ns": self.exchange_ns,
            "seq": self.last_id,
        }

    def line(self) -> dict:
        """The line of `--emit books`, best first."""
        return {
            "venue": self.venue,
            "symbol": self.symbol,
            "conn": self.conn,
            "synced": self.synced,
            "seq": self.last_id,
            "bids": [[to_text(row.price), to_text(row.qty)] for row in self.bids.top(len(self.bids))],
            "asks": [[to_text(row.price), to_text(row.qty)] for row in self.asks.top(len(self.asks))],
            **self.counts,
        }


def okx_checksum(book: Book) -> int:
    """The old OKX rule: up to 25 levels, bid and ask in turn, as sent, CRC32 read as a signed int32."""
    bids, asks = book.bids.top(25), book.asks.top(25)
    parts = []
    for level in range(max(len(bids), len(asks))):
        for rows in (bids, asks):
            if level < len(rows):
                parts += [plain_text(rows[level].price_text), plain_text(rows[level].qty_text)]
    crc = zlib.crc32(":".join(parts).encode())
    return crc - (1 << 32) if crc >= 1 << 31 else crc


def kraken_checksum(book: Book, rules: Rules) -> int:
    """Top 10 asks, then top 10 bids: price and quantity padded, without dot and leading zeros; CRC32."""
    text = []
    for row in book.asks.top(10) + book.bids.top(10):
        text.append(_kraken_digits(row.price, row.price_text, rules.price_decimals))
        text.append(_kraken_digits(row.qty, row.qty_text, rules.qty_decimals))
    return zlib.crc32("".join(text).encode())


def _kraken_digits(units: int, wire_text: str, decimals: int | None) -> str:
    """R12: with the known precision, else (or where the number is finer than that) with the digits of the wire."""
    text = fixed_text(units, decimals) if decimals is not None else None
    return (text or plain_text(wire_text)).replace(".", "").lstrip("0")
