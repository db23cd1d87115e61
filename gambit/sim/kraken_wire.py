"""Kraken's v2 wire: books as JSON numbers with a CRC32 over the top ten, cut to the depth that was asked for.

Rules: there are no sequence ids. Levels that fall out of the depth are not told, and told again when they come back.
The checksum is over price and quantity with exactly the instrument's precision, the point and leading zeros removed.
"""

# ruff: noqa: ARG002  (a wire need not use all that the protocol hands it)

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from random import Random

from gambit.sim.instruments import Instrument
from gambit.sim.market import Book, Change, Row, Side, Top, Trade, Window
from gambit.sim.spelling import decimal_text, rfc3339, short_number
from gambit.sim.wire import Texts, WireOptions, by_symbol, step_text

DEPTHS = (10, 25, 100, 500, 1000)
CHECKSUM_LEVELS = 10
REPEAT_SHARE = 0.03  # of updates that say one price twice
REST_ASSETS = {"BTC": "XBT", "DOGE": "XDG"}
LEGACY_PREFIX = {"XBT": "X", "ETH": "X", "LTC": "X", "XRP": "X", "XDG": "X", "USD": "Z", "EUR": "Z"}


def spell(symbol: str) -> str:
    """BTC-USD is BTC/USD."""
    return symbol.replace("-", "/")


def rest_names(base: str, quote: str) -> tuple[str, str, str]:
    """Pair id, altname and wsname of REST: BTC-USD is XXBTZUSD, XBTUSD and XBT/USD; newer assets have no prefix."""
    first, second = REST_ASSETS.get(base, base), REST_ASSETS.get(quote, quote)
    altname = first + second
    if first in LEGACY_PREFIX and second in LEGACY_PREFIX:
        return LEGACY_PREFIX[first] + first + LEGACY_PREFIX[second] + second, altname, f"{first}/{second}"
    return altname, altname, f"{first}/{second}"


def book_checksum(bids: Iterable[tuple[int, int]], asks: Iterable[tuple[int, int]]) -> int:
    """CRC32 of the top ten a side, best first, asks before bids; (price, quantity) in units of the precisions."""
    text = "".join([f"{price}{qty}" for side in (asks, bids) for price, qty in side])
    return zlib.crc32(text.encode())


class KrakenWire:
    """One connection to Kraken's public v2 endpoint."""

    quirks: tuple[str, ...] = ("status", "snapshot", "resubscribe")

    def __init__(self, venue: str, books: Sequence[Book], options: WireOptions, seed: int) -> None:
        """A client of all `books` with the largest depth up to options.depth."""
        self.venue = venue
        self.addr = "wss://ws.kraken.com/v2"
        self._books = by_symbol(books)
        self._options = options
        self._rng = Random(seed)
        self._depth = max([depth for depth in DEPTHS if depth <= options.depth], default=DEPTHS[0])
        self._depths = dict.fromkeys(self._books, self._depth)
        self._texts = {symbol: Texts(book.instrument, trim=not options.padded) for symbol, book in self._books.items()}
        self._windows: dict[str, tuple[Window, Window]] = {}
        self._connection_id = 12_000_000_000_000_000_000 + self._rng.randrange(1 << 60)

    def lists(self, ts_ns: int) -> list[tuple[str, str]]:
        """GET AssetPairs."""
        rows = ",".join([pair_entry(book.instrument) for book in self._books.values()])
        return [("https://api.kraken.com/0/public/AssetPairs", f'{{"error":[],"result":{{{rows}}}}}')]

    def requests(self) -> list[str]:
        """One subscribe per channel, all symbols in it."""
        symbols = ",".join([f'"{spell(symbol)}"' for symbol in self._books])
        requests = []
        for number, (channel, extra) in enumerate(self._channels(), 1):
            names = "" if channel == "instrument" else f',"symbol":[{symbols}]'
            more = f",{extra}" if extra else ""
            params = f'{{"channel":"{channel}"{names}{more},"snapshot":{_wants_snapshot(channel)}}}'
            requests.append(f'{{"method":"subscribe","params":{params},"req_id":{number}}}')
        return requests

    def answers(self, ts_ns: int) -> list[str]:
        """Status, then per channel one ack per symbol and the first data."""
        frames = self.quirk("status", "", ts_ns)
        for number, (channel, extra) in enumerate(self._channels(), 1):
            if channel == "instrument":
                frames += [self._ack(channel, extra, "", number, ts_ns), self._instruments()]
                continue
            for symbol, book in self._books.items():
                frames.append(self._ack(channel, extra, f',"symbol":"{spell(symbol)}"', number, ts_ns))
                if channel == "book":
                    frames.append(self._snapshot(symbol, ts_ns))
                elif channel == "ticker":
                    frames.append(self._ticker("snapshot", book.top(ts_ns)))
        return frames

    def depth_answer(self, symbol: str, ts_ns: int) -> tuple[str, str] | None:
        """Books come in band."""
        return None

    def change(self, event: Change) -> list[str]:
        """A book update; nothing when all of it lies below the depth."""
        if self._options.source == "bbo":
            return []
        bid_window, ask_window = self._windows[event.symbol]
        bids, asks = bid_window.rows(event.bids), ask_window.rows(event.asks)
        if not bids and not asks:
            return []
        if self._options.repeats and bids and self._rng.random() < REPEAT_SHARE:
            ticks, lots = bids[-1]
            bids = [*bids[:-1], (ticks, lots + 1 + lots // 2), (ticks, lots)]
        return [self._book_frame(event.symbol, "update", bids, asks, event.ts_ns)]

    def top(self, event: Top) -> list[str]:
        """ticker, subscribed with event_trigger bbo."""
        return [self._ticker("update", event)] if event.bid and event.ask else []

    def trade(self, event: Trade) -> list[str]:
        """trade: side is the taker's."""
        return [self.trades("update", [event])]

    def beat(self, ts_ns: int) -> list[str]:
        """heartbeat."""
        return ['{"channel":"heartbeat"}']

    def ping(self, ts_ns: int) -> tuple[str, str] | None:
        """ping and pong with times."""
        time_in, time_out = rfc3339(ts_ns, 6), rfc3339(ts_ns + 18_000, 6)
        pong = f'{{"method":"pong","req_id":101,"time_in":"{time_in}","time_out":"{time_out}"}}'
        return '{"method":"ping","req_id":101}', pong

    def quirk(self, name: str, symbol: str, ts_ns: int) -> list[str]:
        """status: the greeting. snapshot: a second one of a book. resubscribe: the book with another depth."""
        if name == "status":
            data = f'"version":"2.0.10","system":"online","api_version":"v2","connection_id":{self._connection_id}'
            return [f'{{"channel":"status","type":"update","data":[{{{data}}}]}}']
        if symbol not in self._windows:
            return []
        if name == "snapshot":
            return [self._snapshot(symbol, ts_ns)]
        self._depths[symbol] = self._rng.choice([depth for depth in DEPTHS[:3] if depth != self._depths[symbol]])
        ack = self._ack("book", f'"depth":{self._depths[symbol]}', f',"symbol":"{spell(symbol)}"', 9, ts_ns)
        return [ack, self._snapshot(symbol, ts_ns)]

    def opening(self, symbol: str, ts_ns: int) -> list[str]:
        """The snapshot a newcomer to a book gets."""
        return [self._snapshot(symbol, ts_ns)]

    def ticker(self, kind: str, event: Top) -> list[str]:
        """A touch as the ticker says it, of either kind."""
        return [self._ticker(kind, event)]

    def trades(self, kind: str, events: Sequence[Trade]) -> str:
        """Several trades of one symbol in one message."""
        return (
            f'{{"channel":"trade","type":"{kind}","data":[{",".join([self._trade_row(event) for event in events])}]}}'
        )

    def _trade_row(self, event: Trade) -> str:
        texts = self._texts[event.symbol]
        side = "buy" if event.taker_buys else "sell"
        price, qty = texts.price[event.price_ticks], texts.qty(event.qty_lots)
        return (
            f'{{"symbol":"{spell(event.symbol)}","side":"{side}","price":{price},"qty":{qty},"ord_type":"limit",'
            f'"trade_id":{event.trade_id},"timestamp":"{rfc3339(event.ts_ns, 6)}"}}'
        )

    def _channels(self) -> list[tuple[str, str]]:
        channels = [("instrument", "")] if self._options.announces else []
        if self._options.source == "depth":
            channels.append(("book", f'"depth":{self._depth}'))
        if self._options.tops or self._options.source == "bbo":
            channels.append(("ticker", '"event_trigger":"bbo"'))
        if self._options.trades:
            channels.append(("trade", ""))
        return channels

    def _ack(self, channel: str, extra: str, name: str, number: int, ts_ns: int) -> str:
        more = f",{extra}" if extra else ""
        times = f'"time_in":"{rfc3339(ts_ns, 6)}","time_out":"{rfc3339(ts_ns + 45_000, 6)}"'
        result = f'{{"channel":"{channel}"{more},"snapshot":{_wants_snapshot(channel)}{name}}}'
        return f'{{"method":"subscribe","req_id":{number},"result":{result},"success":true,{times}}}'

    def _snapshot(self, symbol: str, ts_ns: int) -> str:
        book = self._books[symbol]
        windows = (
            Window(book.bids, self._depths[symbol], tells_leaving=False),
            Window(book.asks, self._depths[symbol], tells_leaving=False),
        )
        self._windows[symbol] = windows
        return self._book_frame(symbol, "snapshot", windows[0].opening(), windows[1].opening(), ts_ns)

    def _book_frame(self, symbol: str, kind: str, bids: list[Row], asks: list[Row], ts_ns: int) -> str:
        texts, book = self._texts[symbol], self._books[symbol]
        item = book.instrument
        checksum = book_checksum(_top(book.bids, item), _top(book.asks, item))
        return (
            f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{spell(symbol)}","bids":{_rows(texts, bids)},'
            f'"asks":{_rows(texts, asks)},"checksum":{checksum},"timestamp":"{rfc3339(ts_ns, 6)}"}}]}}'
        )

    def _ticker(self, kind: str, event: Top) -> str:
        texts = self._texts[event.symbol]
        bid, ask = event.bid or (0, 0), event.ask or (0, 0)
        price, qty = texts.price, texts.qty
        day = f'"last":{price[bid[0]]},"volume":1825.41227412,"vwap":{price[bid[0]]},"low":{price[bid[0]]}'
        return (
            f'{{"channel":"ticker","type":"{kind}","data":[{{"symbol":"{spell(event.symbol)}","bid":{price[bid[0]]},'
            f'"bid_qty":{qty(bid[1])},"ask":{price[ask[0]]},"ask_qty":{qty(ask[1])},{day},"high":{price[ask[0]]},'
            f'"change":312.4,"change_pct":0.49,"timestamp":"{rfc3339(event.ts_ns, 6)}"}}]}}'
        )

    def _instruments(self) -> str:
        return instruments_text("snapshot", [(book.instrument, "online", "0.5") for book in self._books.values()])


def pair_entry(
    item: Instrument, status: str = "online", cost_min: str = "0.5", fees: tuple[str, str] | None = None
) -> str:
    """A pair in AssetPairs, with its name; `fees` are taker's and maker's in percent."""
    name, altname, wsname = rest_names(item.base, item.quote)
    base, quote = asset_id(item.base), asset_id(item.quote)
    taker, maker = ("[0,0.4],[10000,0.35]", "[0,0.25],[10000,0.2]") if fees is None else [f"[0,{fee}]" for fee in fees]
    return (
        f'"{name}":{{"altname":"{altname}","wsname":"{wsname}","aclass_base":"currency","base":"{base}",'
        f'"aclass_quote":"currency","quote":"{quote}","lot":"unit","cost_decimals":5,'
        f'"pair_decimals":{item.price_decimals},"lot_decimals":{item.lot_decimals},"lot_multiplier":1,'
        f'"leverage_buy":[2,3],"leverage_sell":[2,3],"fees":[{taker}],'
        f'"fees_maker":[{maker}],"fee_volume_currency":"ZUSD","margin_call":80,"margin_stop":40,'
        f'"ordermin":"{step_text(item.min_lots * item.lot, item.lot_decimals)}","costmin":"{cost_min}",'
        f'"tick_size":"{step_text(item.tick, item.price_decimals)}","status":"{status}"}}'
    )


def asset_id(asset: str) -> str:
    """What REST calls an asset: BTC is XXBT, USD is ZUSD, newer ones are themselves."""
    name = REST_ASSETS.get(asset, asset)
    return LEGACY_PREFIX.get(name, "") + name


def _wants_snapshot(channel: str) -> str:
    return "false" if channel == "trade" else "true"


def instruments_text(kind: str, pairs: Sequence[tuple[Instrument, str, str]]) -> str:
    """A message of the instrument channel: pairs with their status and least cost."""
    assets = sorted({asset for item, _status, _cost in pairs for asset in (item.base, item.quote)})
    said = ",".join([f'{{"id":"{name}","status":"enabled","precision":10}}' for name in assets])
    rows = ",".join([_announced(item, status, cost) for item, status, cost in pairs])
    return f'{{"channel":"instrument","type":"{kind}","data":{{"assets":[{said}],"pairs":[{rows}]}}}}'


def _announced(item: Instrument, status: str, cost_min: str) -> str:
    least = decimal_text(item.min_lots * item.lot, item.lot_decimals)
    return (
        f'{{"symbol":"{spell(item.symbol)}","base":"{item.base}","quote":"{item.quote}","status":"{status}",'
        f'"qty_precision":{item.lot_decimals},"qty_increment":{short_number(item.lot, item.lot_decimals)},'
        f'"qty_min":{least},"price_precision":{item.price_decimals},'
        f'"price_increment":{short_number(item.tick, item.price_decimals)},"cost_precision":5,"cost_min":{cost_min},'
        f'"marginable":true,"has_index":true}}'
    )


def _rows(texts: Texts, rows: Sequence[Row]) -> str:
    price, qty = texts.price, texts.qty
    said = [f'{{"price":{price[ticks]},"qty":{qty(lots)}}}' for ticks, lots in rows]
    return f"[{','.join(said)}]"


def _top(side: Side, item: Instrument) -> list[tuple[int, int]]:
    sign, lots = side.sign, side.lots
    tick, lot = item.tick, item.lot
    return [(key * sign * tick, lots[key] * lot) for key in side.keys[-CHECKSUM_LEVELS:][::-1]]
