"""Books as a careful client would build them from frames, with nothing but json and the venue sheets.

One follower per connection, written for these tests alone: it asserts what a venue promises (id chains, checksums, one
sequence) and keeps Decimal books.
"""

import json
import zlib
from decimal import Decimal

Levels = dict[Decimal, Decimal]


class Follower:
    """Reads a venue's frames; books by the venue's spelling of a symbol as (bids, asks)."""

    def __init__(self, venue: str):
        self.venue = venue
        self.books: dict[str, tuple[Levels, Levels]] = {}
        self.tops: dict[str, tuple] = {}
        self.ids: dict[str, int] = {}
        self.depths: dict[str, int] = {}
        self.precisions: dict[str, tuple[int, int]] = {}
        self.seen: dict[str, int] = {}
        self.channels: dict[str, str] = {}
        self._read = {
            "binance": self._binance,
            "binance-us": self._binance,
            "binance-usdm": self._binance,
            "binance-coinm": self._binance,
            "okx": self._okx,
            "bybit": self._bybit,
            "bybit-linear": self._bybit,
            "kraken": self._kraken,
            "coinbase": self._coinbase,
        }[venue]

    def hear(self, text: str) -> None:
        """One frame."""
        if text != "pong":
            self._read(json.loads(text, parse_float=str, parse_int=Number))

    def _count(self, kind: str) -> None:
        self.seen[kind] = self.seen.get(kind, 0) + 1

    def join(self, text: str, symbol: str) -> None:
        """Binance: a REST snapshot; diffs before it are forgotten."""
        answer = json.loads(text)
        self.ids[symbol] = answer["lastUpdateId"]
        self.books[symbol] = _levels(answer["bids"]), _levels(answer["asks"])

    def _binance(self, frame) -> None:
        data = frame.get("data", frame)
        if data.get("e") == "depthUpdate":
            self._count("depth")
            symbol, last = data["s"], self.ids.get(data["s"])
            if last is None or int(data["u"]) <= last:
                return
            if "pu" in data:
                assert int(data["U"]) <= last + 1 or int(data["pu"]) <= last
            else:
                assert int(data["U"]) <= last + 1
            self.ids[symbol] = int(data["u"])
            _put(self.books[symbol], data["b"], data["a"])
        elif "B" in data:
            self._count("top")
            self.tops[data["s"]] = (int(data["u"]), data["b"], data["B"], data["a"], data["A"])

    def _okx(self, frame) -> None:
        channel = frame.get("arg", {}).get("channel")
        if channel not in ("books", "books-l2-tbt", "books50-l2-tbt") or "data" not in frame:
            self._count(channel or "control")
            return
        (data,) = frame["data"]
        symbol = frame["arg"]["instId"]
        rows = [[row[:2] for row in data[side]] for side in ("bids", "asks")]
        if frame["action"] == "snapshot":
            self.books[symbol] = {}, {}
        if "seqId" in data:
            expected = -1 if frame["action"] == "snapshot" else self.ids[symbol]
            assert int(data["prevSeqId"]) == expected
            assert data["checksum"] == "0"
            self.ids[symbol] = int(data["seqId"])
        _put(self.books[symbol], *rows)
        self._count("depth")

    def _bybit(self, frame) -> None:
        topic = frame.get("topic", "")
        if not topic.startswith("orderbook."):
            self._count(topic.split(".")[0] or "control")
            return
        data = frame["data"]
        if topic.startswith("orderbook.1."):
            assert frame["type"] == "snapshot"
            self._count("top")
            return
        if self.channels.setdefault(data["s"], topic) != topic:
            return
        symbol = data["s"]
        if frame["type"] == "snapshot" or data["u"] == "1":
            self.books[symbol] = {}, {}
        else:
            assert int(data["u"]) == self.ids[symbol] + 1
        self.ids[symbol] = int(data["u"])
        _put(self.books[symbol], data["b"], data["a"])
        self._count("depth")

    def _kraken(self, frame) -> None:
        if frame.get("method") == "subscribe" and frame["result"]["channel"] == "book":
            self.depths[frame["result"]["symbol"]] = int(frame["result"]["depth"])
        elif frame.get("channel") == "instrument":
            for pair in frame["data"]["pairs"]:
                self.precisions[pair["symbol"]] = int(pair["price_precision"]), int(pair["qty_precision"])
        elif frame.get("channel") == "book":
            (data,) = frame["data"]
            self._kraken_book(frame["type"], data)
        self._count(frame.get("channel", "control"))

    def _kraken_book(self, kind: str, data) -> None:
        symbol, depth = data["symbol"], self.depths[data["symbol"]]
        if kind == "snapshot":
            self.books[symbol] = {}, {}
        bids, asks = self.books[symbol]
        rows = [[(row["price"], row["qty"]) for row in data[side]] for side in ("bids", "asks")]
        _put((bids, asks), *rows)
        for price in sorted(bids, reverse=True)[depth:]:
            del bids[price]
        for price in sorted(asks)[depth:]:
            del asks[price]
        precision = self.precisions[symbol]
        text = "".join(_digits(price, asks[price], precision) for price in sorted(asks)[:10])
        text += "".join(_digits(price, bids[price], precision) for price in sorted(bids, reverse=True)[:10])
        assert zlib.crc32(text.encode()) == int(data["checksum"])

    def _coinbase(self, frame) -> None:
        if "sequence_num" not in frame:
            self._count("error")
            return
        assert int(frame["sequence_num"]) == self.ids.get("", -1) + 1
        self.ids[""] = int(frame["sequence_num"])
        self._count(frame["channel"])
        if frame["channel"] != "l2_data":
            return
        for event in frame["events"]:
            symbol = event["product_id"]
            if event["type"] == "snapshot":
                self.books[symbol] = {}, {}
            rows = {"bid": [], "offer": []}
            for update in event["updates"]:
                rows[update["side"]].append((update["price_level"], update["new_quantity"]))
            _put(self.books[symbol], rows["bid"], rows["offer"])


class Number(str):
    """An integer of the wire, as text: compares with what the sheets print."""


def _levels(rows) -> Levels:
    return {Decimal(price): Decimal(qty) for price, qty in rows}


def _put(book: tuple[Levels, Levels], bids, asks) -> None:
    for side, rows in zip(book, (bids, asks), strict=True):
        for price, qty in rows:
            if Decimal(qty):
                side[Decimal(price)] = Decimal(qty)
            else:
                side.pop(Decimal(price), None)


def _digits(price: Decimal, qty: Decimal, precision: tuple[int, int]) -> str:
    texts = f"{price:.{precision[0]}f}", f"{qty:.{precision[1]}f}"
    return "".join(text.replace(".", "").lstrip("0") for text in texts)
