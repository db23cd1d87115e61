"""Binance's wire: spot, Binance.US, USD-M and COIN-M futures; diffs on a line of ids that a REST snapshot joins.

Rules: one id line per symbol for diffs, bookTicker and snapshot; spot diffs are contiguous (U = previous u + 1),
futures diffs have holes and say the previous u in `pu`. Spot spells all values with eight digits or more, futures with
the tick's.
"""

# ruff: noqa: ARG002  (a wire need not use all that the protocol hands it)

from __future__ import annotations

from collections.abc import Sequence

from gambit.sim.instruments import Instrument
from gambit.sim.market import Book, Change, Top, Trade
from gambit.sim.wire import MILLI_NS, Texts, WireOptions, by_symbol, step_text

STREAM_HOSTS = {
    "binance": "wss://stream.binance.com:9443",
    "binance-us": "wss://stream.binance.us:9443",
    "binance-usdm": "wss://fstream.binance.com",
    "binance-coinm": "wss://dstream.binance.com",
}
REST_ROOTS = {
    "binance": "https://api.binance.com/api/v3",
    "binance-us": "https://api.binance.us/api/v3",
    "binance-usdm": "https://fapi.binance.com/fapi/v1",
    "binance-coinm": "https://dapi.binance.com/dapi/v1",
}
FUTURES_ID_GAP = 40


def spell(symbol: str) -> str:
    """BTC-USDT and USD-M BTC-USDT-PERP are BTCUSDT, the delivery BTCUSDT_240927; COIN-M BTC-USD-PERP is BTCUSD_PERP."""
    base, quote, *expiry = symbol.split("-")
    if not expiry or (expiry == ["PERP"] and quote != "USD"):
        return base + quote
    return f"{base}{quote}_{expiry[0]}"


class BinanceWire:
    """One connection to one of Binance's markets."""

    quirks: tuple[str, ...] = ("shutdown", "partial")

    def __init__(self, venue: str, books: Sequence[Book], options: WireOptions, _seed: int) -> None:
        """A client of all `books`, which belong to `venue`."""
        self.venue = venue
        self._books = by_symbol(books)
        self._options = options
        self._is_spot = venue in ("binance", "binance-us")
        digits = 8 if self._is_spot else 0
        self._texts = {symbol: Texts(book.instrument, digits=digits) for symbol, book in self._books.items()}
        self._spelt = {symbol: spell(symbol) for symbol in self._books}
        self._last_u: dict[str, int] = {}
        if not self._is_spot:
            for book in books:
                book.id_gap_max = FUTURES_ID_GAP
        host = STREAM_HOSTS[venue]
        self.addr = f"{host}/stream?streams={'/'.join(self._streams())}" if options.wrapped else f"{host}/ws"

    def lists(self, ts_ns: int) -> list[tuple[str, str]]:
        """GET exchangeInfo, cut to what instruments need."""
        books = self._books.values()
        entries = [spot_entry(b.instrument) if self._is_spot else self._futures_entry(b) for b in books]
        symbols = ",".join(entries)
        limit = 6000 if self._is_spot else 2400
        kind = {"binance-usdm": '"futuresType":"U_MARGINED",', "binance-coinm": ""}.get(self.venue, "")
        text = (
            f'{{"timezone":"UTC","serverTime":{ts_ns // MILLI_NS},{kind}'
            f'"rateLimits":[{{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":{limit}}}],'
            f'"exchangeFilters":[],"symbols":[{symbols}]}}'
        )
        return [(f"{REST_ROOTS[self.venue]}/exchangeInfo", text)]

    def requests(self) -> list[str]:
        """Nothing on a combined stream, one SUBSCRIBE on a raw one."""
        if self._options.wrapped:
            return []
        params = ",".join([f'"{stream}"' for stream in self._streams()])
        return [f'{{"method":"SUBSCRIBE","params":[{params}],"id":1}}']

    def answers(self, ts_ns: int) -> list[str]:
        """The SUBSCRIBE's ack."""
        return [] if self._options.wrapped else ['{"result":null,"id":1}']

    def depth_answer(self, symbol: str, ts_ns: int) -> tuple[str, str] | None:
        """GET depth, 1000 levels."""
        if self._options.source == "bbo":
            return None
        book, texts = self._books[symbol], self._texts[symbol]
        bids = self._rows(texts, book.bids.levels()[:1000])
        asks = self._rows(texts, book.asks.levels()[:1000])
        times = "" if self._is_spot else f'"E":{ts_ns // MILLI_NS},"T":{ts_ns // MILLI_NS - 3},'
        spelt = self._spelt[symbol]
        names = f'"symbol":"{spelt}","pair":"{spelt.split("_")[0]}",' if self.venue == "binance-coinm" else ""
        url = f"{REST_ROOTS[self.venue]}/depth?symbol={spelt}&limit=1000"
        return url, f'{{"lastUpdateId":{book.update_id},{times}{names}"bids":{bids},"asks":{asks}}}'

    def depth_text(self, symbol: str, levels: int) -> str:
        """A spot book as GET depth and the partial streams say it."""
        book, texts = self._books[symbol], self._texts[symbol]
        sides = [self._rows(texts, side.levels()[:levels]) for side in (book.bids, book.asks)]
        return f'{{"lastUpdateId":{book.update_id},"bids":{sides[0]},"asks":{sides[1]}}}'

    def touch_texts(self, symbol: str) -> list[tuple[str, str]]:
        """Price and size of best bid and best ask; zeros where there is none."""
        book, texts = self._books[symbol], self._texts[symbol]
        rows = [side.best() or (0, 0) for side in (book.bids, book.asks)]
        return [(texts.price[ticks], texts.qty(lots)) for ticks, lots in rows]

    def change(self, event: Change) -> list[str]:
        """depthUpdate."""
        if self._options.source == "bbo":
            return []
        spelt, texts = self._spelt[event.symbol], self._texts[event.symbol]
        bids = self._rows(texts, sorted(event.bids, reverse=True))
        asks = self._rows(texts, sorted(event.asks))
        ms = event.ts_ns // MILLI_NS
        ids = f'"U":{event.first_id},"u":{event.last_id}'
        if self._is_spot:
            body = f'"E":{ms},"s":"{spelt}",{ids}'
        else:
            previous = self._last_u.get(event.symbol, event.first_id - 1)
            body = f'"E":{ms},"T":{ms - 4},"s":"{spelt}",{self._pair(spelt)}{ids},"pu":{previous}'
        self._last_u[event.symbol] = event.last_id
        return [self._frame(spelt, "depth@100ms", f'{{"e":"depthUpdate",{body},"b":{bids},"a":{asks}}}')]

    def top(self, event: Top) -> list[str]:
        """bookTicker: spot has neither type nor time."""
        if event.bid is None or event.ask is None:
            return []
        spelt, texts = self._spelt[event.symbol], self._texts[event.symbol]
        price, qty = texts.price, texts.qty
        bid, ask = event.bid, event.ask
        touch = f'"b":"{price[bid[0]]}","B":"{qty(bid[1])}","a":"{price[ask[0]]}","A":"{qty(ask[1])}"'
        ms = event.ts_ns // MILLI_NS
        if self._is_spot:
            text = f'{{"u":{event.update_id},"s":"{spelt}",{touch}}}'
        elif self.venue == "binance-usdm":
            text = f'{{"e":"bookTicker","u":{event.update_id},"s":"{spelt}",{touch},"T":{ms - 5},"E":{ms}}}'
        else:
            names = f'"s":"{spelt}",{self._pair(spelt)}'
            text = f'{{"u":{event.update_id},"e":"bookTicker",{names}{touch},"T":{ms - 5},"E":{ms}}}'
        return [self._frame(spelt, "bookTicker", text)]

    def trade(self, event: Trade) -> list[str]:
        """trade: m says that the buyer is the maker."""
        spelt, texts = self._spelt[event.symbol], self._texts[event.symbol]
        ms = event.ts_ns // MILLI_NS
        maker = "false" if event.taker_buys else "true"
        what = f'"t":{event.trade_id},"p":"{texts.price[event.price_ticks]}","q":"{texts.qty(event.qty_lots)}"'
        if self._is_spot:
            text = f'{{"e":"trade","E":{ms},"s":"{spelt}",{what},"T":{ms - 1},"m":{maker},"M":true}}'
        else:
            text = f'{{"e":"trade","E":{ms},"T":{ms - 1},"s":"{spelt}",{what},"X":"MARKET","m":{maker}}}'
        return [self._frame(spelt, "trade", text)]

    def beat(self, ts_ns: int) -> list[str]:
        """Nothing: Binance pings with control frames."""
        return []

    def ping(self, ts_ns: int) -> tuple[str, str] | None:
        """No application ping."""
        return None

    def quirk(self, name: str, symbol: str, ts_ns: int) -> list[str]:
        """shutdown: the notice before a connection is dropped. partial: the best five levels, a stream of its own."""
        if name == "partial":
            return [self._frame(self._spelt[symbol], "depth5@100ms", self.depth_text(symbol, 5))]
        text = f'{{"e":"serverShutdown","E":{ts_ns // MILLI_NS}}}'
        return [f'{{"stream":"!serverShutdown","data":{text}}}' if self._options.wrapped else text]

    def _streams(self) -> list[str]:
        kinds = ["depth@100ms"] if self._options.source == "depth" else []
        if self._options.tops or not kinds:
            kinds.append("bookTicker")
        if self._options.trades:
            kinds.append("trade")
        return [f"{spell(symbol).lower()}@{kind}" for kind in kinds for symbol in self._books]

    def _frame(self, spelt: str, kind: str, text: str) -> str:
        return f'{{"stream":"{spelt.lower()}@{kind}","data":{text}}}' if self._options.wrapped else text

    def _pair(self, spelt: str) -> str:
        return f'"ps":"{spelt.split("_")[0]}",' if self.venue == "binance-coinm" else ""

    @staticmethod
    def _rows(texts: Texts, rows: Sequence[tuple[int, int]]) -> str:
        price, qty = texts.price, texts.qty
        pairs = [f'["{price[ticks]}","{qty(lots)}"]' for ticks, lots in rows]
        return f"[{','.join(pairs)}]"

    def _futures_entry(self, book: Book) -> str:
        item = book.instrument
        spelt = spell(item.symbol)
        perpetual = item.symbol.endswith("-PERP")
        kind = "PERPETUAL" if perpetual else "CURRENT_QUARTER"
        delivery = 4133404800000 if perpetual else 1790323200000
        tick = step_text(item.tick, item.price_decimals)
        lot = step_text(item.lot, item.lot_decimals)
        least = step_text(item.min_lots * item.lot, item.lot_decimals)
        status = '"status":"TRADING"'
        if item.contract_size:
            status = f'"contractStatus":"TRADING","contractSize":{item.contract_size}'
        margin = item.base if item.contract_size else item.quote
        return (
            f'{{"symbol":"{spelt}","pair":"{spelt.split("_")[0]}","contractType":"{kind}","deliveryDate":{delivery},'
            f'"onboardDate":1569398400000,{status},"maintMarginPercent":"2.5000","requiredMarginPercent":"5.0000",'
            f'"baseAsset":"{item.base}","quoteAsset":"{item.quote}","marginAsset":"{margin}",'
            f'"pricePrecision":{item.price_decimals},"quantityPrecision":{item.lot_decimals},"baseAssetPrecision":8,'
            f'"quotePrecision":8,"underlyingType":"COIN","underlyingSubType":[],"triggerProtect":"0.0500","filters":['
            f'{{"minPrice":"{tick}","maxPrice":"1000000","filterType":"PRICE_FILTER","tickSize":"{tick}"}},'
            f'{{"stepSize":"{lot}","filterType":"LOT_SIZE","maxQty":"1000000000000","minQty":"{least}"}},'
            f'{{"limit":200,"filterType":"MAX_NUM_ORDERS"}}],'
            f'"orderTypes":["LIMIT","MARKET","STOP"],"timeInForce":["GTC","IOC","FOK","GTX"]}}'
        )


def spot_entry(item: Instrument, status: str = "TRADING", min_notional: str = "5.00000000", max_qty: str = "") -> str:
    """A spot symbol in exchangeInfo."""
    tick = step_text(item.tick, item.price_decimals, 8)
    lot = step_text(item.lot, item.lot_decimals, 8)
    least = step_text(item.min_lots * item.lot, item.lot_decimals, 8)
    most = max_qty or step_text(item.level_lots * item.lot * 1000, item.lot_decimals, 8)
    return (
        f'{{"symbol":"{spell(item.symbol)}","status":"{status}","baseAsset":"{item.base}","baseAssetPrecision":8,'
        f'"quoteAsset":"{item.quote}","quotePrecision":8,"quoteAssetPrecision":8,"baseCommissionPrecision":8,'
        f'"quoteCommissionPrecision":8,"orderTypes":["LIMIT","LIMIT_MAKER","MARKET"],"icebergAllowed":true,'
        f'"ocoAllowed":true,"isSpotTradingAllowed":true,"isMarginTradingAllowed":true,"filters":['
        f'{{"filterType":"PRICE_FILTER","minPrice":"{tick}","maxPrice":"1000000.00000000","tickSize":"{tick}"}},'
        f'{{"filterType":"LOT_SIZE","minQty":"{least}","maxQty":"{most}","stepSize":"{lot}"}},'
        '{"filterType":"PERCENT_PRICE_BY_SIDE","bidMultiplierUp":"5","bidMultiplierDown":"0.2",'
        '"askMultiplierUp":"5","askMultiplierDown":"0.2","avgPriceMins":5},'
        f'{{"filterType":"NOTIONAL","minNotional":"{min_notional}","applyMinToMarket":true,'
        f'"maxNotional":"9000000.00000000","applyMaxToMarket":false,"avgPriceMins":5}}],'
        f'"permissions":[],"permissionSets":[["SPOT","MARGIN"]],"defaultSelfTradePreventionMode":"EXPIRE_MAKER",'
        f'"allowedSelfTradePreventionModes":["EXPIRE_TAKER","EXPIRE_MAKER","EXPIRE_BOTH"]}}'
    )
