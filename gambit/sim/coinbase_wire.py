"""Coinbase Advanced Trade's wire: one sequence number per connection over all channels, whole books on l2_data.

Rules: subscribe to level2, hear l2_data; sides are bid and offer; the sequence starts at 0 and counts every message,
acks and heartbeats too. market_trades gives the maker's side. Values are strings without trailing zeros.
"""

# ruff: noqa: ARG002  (a wire need not use all that the protocol hands it)

from __future__ import annotations

import zlib
from collections.abc import Collection, Sequence

from gambit.sim.instruments import Instrument
from gambit.sim.market import SECOND_NS, Book, Change, Row, Top, Trade
from gambit.sim.spelling import go_time, rfc3339
from gambit.sim.wire import Texts, WireOptions, by_symbol, step_text

TRANSIT_NS = 800_000  # between an event and the envelope's timestamp
SEQUENCE = "@"  # in texts of a SharedCoinbaseWire; no value of the venue has it
FLAGS = ("is_disabled", "cancel_only", "trading_disabled")


def spell(symbol: str) -> str:
    """Coinbase spells as gambit does."""
    return symbol


class CoinbaseWire:
    """One connection to the market-data endpoint."""

    quirks: tuple[str, ...] = ("snapshot", "error", "candles")

    def __init__(self, venue: str, books: Sequence[Book], options: WireOptions, _seed: int) -> None:
        """A client of all `books`."""
        self.venue = venue
        self.addr = "wss://advanced-trade-ws.coinbase.com"
        self._books = by_symbol(books)
        self._options = options
        self._texts = {symbol: Texts(book.instrument, trim=True) for symbol, book in self._books.items()}
        self._client = '"client_id":"",' if options.client_id else ""
        self._next_seq = 0
        self._beats = 40_000 + zlib.crc32(repr(sorted(self._books)).encode()) % 20_000

    def lists(self, ts_ns: int) -> list[tuple[str, str]]:
        """GET market/products; this server puts blanks after commas."""
        rows = ", ".join([product_entry(book.instrument) for book in self._books.values()])
        url = "https://api.coinbase.com/api/v3/brokerage/market/products"
        return [(url, f'{{"products":[{rows}], "num_products":{len(self._books)}}}')]

    def requests(self) -> list[str]:
        """One channel per message."""
        products = ",".join([f'"{symbol}"' for symbol in self._books])
        requests = []
        for channel in self._channels():
            names = "" if channel == "heartbeats" else f'"product_ids":[{products}],'
            requests.append(f'{{"type":"subscribe",{names}"channel":"{channel}"}}')
        return requests

    def answers(self, ts_ns: int) -> list[str]:
        """Per channel its first data, then the list of all subscriptions so far."""
        frames: list[str] = []
        subscribed: list[str] = []
        for channel in self._channels():
            for symbol, book in self._books.items():
                if channel == "level2":
                    frames.append(self._snapshot(symbol, ts_ns))
                elif channel == "ticker":
                    frames.append(self._ticker("snapshot", book.top(ts_ns)))
            subscribed.append(channel)
            frames.append(self._subscriptions(sorted(subscribed), ts_ns))
        return frames

    def depth_answer(self, symbol: str, ts_ns: int) -> tuple[str, str] | None:
        """Books come in band; the REST book cannot be joined."""
        return None

    def change(self, event: Change) -> list[str]:
        """An l2_data update."""
        if self._options.source == "bbo":
            return []
        rows = self._rows(event.symbol, event.bids, event.asks, event.ts_ns)
        return [self._l2(event.symbol, "update", rows, event.ts_ns)]

    def top(self, event: Top) -> list[str]:
        """ticker: with books beside it only trades bring one, alone it follows the touch."""
        return [self._ticker("update", event)] if self._options.source == "bbo" else []

    def trade(self, event: Trade) -> list[str]:
        """market_trades with the maker's side, and the ticker."""
        frames = [self.trades("update", [event], event.ts_ns)]
        if self._options.tops:
            frames.append(self._ticker("update", self._books[event.symbol].top(event.ts_ns)))
        return frames

    def beat(self, ts_ns: int) -> list[str]:
        """heartbeats."""
        self._beats += 1
        now = go_time(ts_ns, self._beats * SECOND_NS + 260_485_341)
        return [self._frame("heartbeats", f'{{"current_time":"{now}","heartbeat_counter":{self._beats}}}', ts_ns)]

    def ping(self, ts_ns: int) -> tuple[str, str] | None:
        """No application ping."""
        return None

    def quirk(self, name: str, symbol: str, ts_ns: int) -> list[str]:
        """snapshot: a second one replaces the book. error: a message without sequence. candles: they count in it."""
        if name == "candles":
            start = ts_ns // (300 * SECOND_NS) * 300
            prices = ",".join([f'"{name}":"1.5"' for name in ("high", "low", "open", "close")])
            candle = f'{{"start":"{start}",{prices},"volume":"2.25","product_id":"{symbol}"}}'
            return [self._frame("candles", f'{{"type":"update","candles":[{candle}]}}', ts_ns)]
        if name == "error":
            return ['{"type":"error","message":"authentication failure"}']
        return [self._snapshot(symbol, ts_ns)] if self._options.source == "depth" else []

    def opening(self, symbol: str, ts_ns: int) -> list[str]:
        """The snapshot a newcomer to a book gets."""
        return [self._snapshot(symbol, ts_ns)]

    def ticker(self, kind: str, event: Top) -> str:
        """A touch as the ticker says it, of either kind."""
        return self._ticker(kind, event)

    def trades(self, kind: str, events: Sequence[Trade], ts_ns: int) -> str:
        """Several trades in one message, the newest first."""
        rows = ",".join([self._trade_row(event) for event in reversed(events)])
        return self._frame("market_trades", f'{{"type":"{kind}","trades":[{rows}]}}', ts_ns)

    def _trade_row(self, event: Trade) -> str:
        texts = self._texts[event.symbol]
        side = "SELL" if event.taker_buys else "BUY"
        return (
            f'{{"product_id":"{event.symbol}","trade_id":"{event.trade_id}","price":"{texts.price[event.price_ticks]}",'
            f'"size":"{texts.qty(event.qty_lots)}","time":"{rfc3339(event.ts_ns, 6)}","side":"{side}"}}'
        )

    def _channels(self) -> list[str]:
        channels = ["market_trades"] if self._options.trades else []
        if self._options.tops or self._options.source == "bbo":
            channels.append("ticker")
        if self._options.source == "depth":
            channels.append("level2")
        return [*channels, "heartbeats"]

    def _frame(self, channel: str, event: str, ts_ns: int) -> str:
        seq = self._sequence()
        stamp = rfc3339(ts_ns + TRANSIT_NS, 9)
        return f'{{"channel":"{channel}",{self._client}"timestamp":"{stamp}","sequence_num":{seq},"events":[{event}]}}'

    def _sequence(self) -> str:
        self._next_seq += 1
        return str(self._next_seq - 1)

    def _l2(self, symbol: str, kind: str, rows: str, ts_ns: int) -> str:
        return self._frame("l2_data", f'{{"type":"{kind}","product_id":"{symbol}","updates":[{rows}]}}', ts_ns)

    def _snapshot(self, symbol: str, ts_ns: int) -> str:
        book = self._books[symbol]
        rows = self._rows(symbol, book.bids.levels(), book.asks.levels(), ts_ns)
        return self._l2(symbol, "snapshot", rows, ts_ns)

    def _rows(self, symbol: str, bids: Sequence[Row], asks: Sequence[Row], ts_ns: int) -> str:
        price, qty = self._texts[symbol].price, self._texts[symbol].qty
        stamp = rfc3339(ts_ns, 6)
        said = []
        for name, rows in (("bid", bids), ("offer", asks)):
            head = f'{{"side":"{name}","event_time":"{stamp}","price_level":"'
            said += [f'{head}{price[ticks]}","new_quantity":"{qty(lots)}"}}' for ticks, lots in rows]
        return ",".join(said)

    def _ticker(self, kind: str, event: Top) -> str:
        texts = self._texts[event.symbol]
        bid, ask = event.bid or (0, 0), event.ask or (0, 0)
        best_bid, best_ask = texts.price[bid[0]], texts.price[ask[0]]
        row = (
            f'{{"type":"ticker","product_id":"{event.symbol}","price":"{best_bid}","volume_24_h":"2867.54532609",'
            f'"low_24_h":"{best_bid}","high_24_h":"{best_ask}","low_52_w":"{best_bid}","high_52_w":"{best_ask}",'
            f'"price_percent_chg_24_h":"0.09601107287722","best_bid":"{best_bid}","best_ask":"{best_ask}",'
            f'"best_bid_quantity":"{texts.qty(bid[1])}","best_ask_quantity":"{texts.qty(ask[1])}"}}'
        )
        return self._frame("ticker", f'{{"type":"{kind}","tickers":[{row}]}}', event.ts_ns)

    def _subscriptions(self, channels: Sequence[str], ts_ns: int) -> str:
        products = ",".join([f'"{symbol}"' for symbol in self._books])
        said = [f'"{name}":[{chr(34) + name + chr(34) if name == "heartbeats" else products}]' for name in channels]
        return self._frame("subscriptions", f'{{"subscriptions":{{{",".join(said)}}}}}', ts_ns)


class SharedCoinbaseWire(CoinbaseWire):
    """Texts for many connections: SEQUENCE stands where each of them has its own number."""

    def frame(self, channel: str, event: str, ts_ns: int) -> str:
        """A message of any channel."""
        return self._frame(channel, event, ts_ns)

    def _sequence(self) -> str:
        return SEQUENCE


def product_entry(
    item: Instrument,
    *,
    price: str = "",
    status: str = "online",
    flags: Collection[str] = (),
    quote_min: str = "1",
    base_max: str = "1000000000000",
) -> str:
    """A product in the list of products; `flags` are those of FLAGS that are true."""
    tick = step_text(item.tick, item.price_decimals)
    lot = step_text(item.lot, item.lot_decimals)
    least = step_text(item.min_lots * item.lot, item.lot_decimals)
    said = {name: "true" if name in flags else "false" for name in FLAGS}
    return (
        f'{{"product_id":"{item.symbol}", "price":"{price or tick}", "base_increment":"{lot}", '
        f'"quote_increment":"{tick}", "quote_min_size":"{quote_min}", "quote_max_size":"150000000", '
        f'"base_min_size":"{least}", "base_max_size":"{base_max}", "base_name":"{item.base}", '
        f'"quote_name":"{item.quote}", "is_disabled":{said["is_disabled"]}, "new":false, "status":"{status}", '
        f'"cancel_only":{said["cancel_only"]}, "limit_only":false, "post_only":false, '
        f'"trading_disabled":{said["trading_disabled"]}, "auction_mode":false, "product_type":"SPOT", '
        f'"quote_currency_id":"{item.quote}", "base_currency_id":"{item.base}", '
        f'"fcm_trading_session_details":null, "mid_market_price":"", "alias":"", "alias_to":[], '
        f'"view_only":false, "price_increment":"{tick}", "display_name":"{item.symbol}", "product_venue":"CBE"}}'
    )
