"""Binance: spot, the US exchange, USD-M and COIN-M futures; market data.

Sync rule (binance.md 3, replay-rules R9): diffs carry U..u and are joined to a REST snapshot by lastUpdateId; the
futures also name the id before (pu). COIN-M quantities are contracts of a fixed value in quote money.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from urllib.parse import quote

from gambit.model import Acknowledged, DepthSnapshot, Failure, Instrument, Request, VenueNotice
from gambit.venues.decode import NotJson, as_int, load_json, read_levels
from gambit.venues.failure import AUTH, DATA, RATE, VENDOR, by_status, load_object, number_of, shown, time_of, wait_of
from gambit.venues.listing import SUFFIX_PERPETUAL, exact, load_rows, path_of, query_of, text
from gambit.venues.live import Call, Live
from gambit.venues.wire import (
    ASK,
    ASK_QTY,
    ASKS,
    BID,
    BID_QTY,
    BIDS,
    CHANNEL,
    EVENT,
    FIRST,
    ID,
    PREV,
    STREAM,
    SYMBOL,
    TIME,
    Action,
    BadFrame,
    Fact,
    Key,
    Kind,
    KindRule,
    Rule,
    Venue,
    Wire,
    in_chunks,
    packed,
)

_EVENT = (
    Key("e", Action.TEXT, CHANNEL),
    Key("E", Action.TEXT, TIME),
    Key("T", Action.SKIP),
    Key("s", Action.TEXT, SYMBOL),
    Key("ps", Action.SKIP),
    Key("U", Action.INT, FIRST),
    Key("u", Action.INT, ID),
    Key("pu", Action.INT, PREV),
    Key("b", Action.ROWS_OR_TEXT, BIDS | BID << 1),
    Key("B", Action.TEXT, BID_QTY),
    Key("a", Action.ROWS_OR_TEXT, ASKS | ASK << 1),
    Key("A", Action.TEXT, ASK_QTY),
)
WIRE = Wire(
    rule=Rule.DIFF,
    nodes=(
        (
            Key("stream", Action.TEXT, STREAM),
            Key("data", Action.WRAPPED, STREAM, node=1),
            *_EVENT,
            Key("id", Action.TEXT, EVENT),
            Key("code", Action.TEXT, EVENT),
            Key("error", Action.OBJECT, node=2),
        ),
        _EVENT,
        (Key("code", Action.TEXT, EVENT),),
    ),
    kinds=(
        KindRule("depthUpdate", Kind.BOOK),
        KindRule("bookTicker", Kind.BBO),
        KindRule("trade", Kind.TRADE),
        KindRule("aggTrade", Kind.TRADE),
        KindRule("24hr", Kind.TICKER, is_prefix=True),
        KindRule("kline", Kind.OTHER),
        KindRule("markPriceUpdate", Kind.OTHER),
        KindRule("forceOrder", Kind.OTHER),
        KindRule("avgPrice", Kind.OTHER),
        KindRule("serverShutdown", Kind.CONTROL),
    ),
    implicit_part=True,
    bare_kind=Kind.BBO,
)


def _live(ws: str, rest: str, test_ws: str = "", test_rest: str = "", weight: int = 2400) -> Live:
    """Binance.md 1 and 7: 1024 streams, five messages a second (pings count), 300 connects in five minutes, cut after
    24 hours; a lost book is fetched, not subscribed anew."""
    return Live(
        ws=f"wss://{ws}/ws",
        rest=f"https://{rest}",
        test_ws=f"wss://{test_ws}/ws" if test_ws else "",
        test_rest=f"https://{test_rest}" if test_rest else "",
        books_a_connection=200,
        sends_per_sec=4,
        life_sec=86_400,
        connects=200,
        connects_sec=300,
        weight=weight,
        weight_sec=60,
        resubscribes=False,
    )


LIVE = {
    "binance": _live(
        "stream.binance.com:9443", "api.binance.com", "stream.testnet.binance.vision", "testnet.binance.vision", 6000
    ),
    "binance-us": _live("stream.binance.us:9443", "api.binance.us", weight=1200),
    "binance-usdm": _live(
        "fstream.binance.com", "fapi.binance.com", "fstream.binancefuture.com", "testnet.binancefuture.com"
    ),
    "binance-coinm": _live(
        "dstream.binance.com", "dapi.binance.com", "dstream.binancefuture.com", "testnet.binancefuture.com"
    ),
}
PREFIXES = {"spot": "/api/v3", "usdm": "/fapi/v1", "coinm": "/dapi/v1"}
SNAPSHOT_LEVELS = 1000
# Binance.md 6; whatever is not here goes by its HTTP status.
CODES = {
    **dict.fromkeys((-1003, -1015, -1034), RATE),
    **dict.fromkeys((-1002, -1021, -1022, -2014, -2015), AUTH),
    **dict.fromkeys((-2011, -2013, -2039), DATA),
    **dict.fromkeys((-1000, -1001, -1006, -1007, -1008, -1016), VENDOR),
}
UNKNOWN_CODES = frozenset({-1000, -1001, -1006, -1007, -1008})
# Statuses of a market that takes no order (binance.md 4); whatever is not here counts as open.
CLOSED = frozenset({
    "HALT", "BREAK", "CANCEL_ONLY", "PRE_TRADING", "POST_TRADING", "END_OF_DAY", "AUCTION_MATCH", "PENDING_TRADING",
    "PRE_DELIVERING", "DELIVERING", "DELIVERED", "PRE_SETTLE", "SETTLING", "CLOSE",
})  # fmt: skip
DEPTHS = (5, 10, 20, 50, 100, 500, 1000, 5000)
STREAMS_A_REQUEST = 200


class Binance(Venue):
    """One of Binance's exchanges. `style` is "spot", "usdm" or "coinm"."""

    wire = WIRE

    def __init__(self, name: str, style: str) -> None:
        self.name = name
        self.style = style
        self.live = LIVE[name]

    def time_unit_ns(self, address: str | None) -> int:
        """Milliseconds, but where the address asks for microseconds."""
        unit = (query_of(address, "timeUnit") if address else None) or ""
        return 1_000 if unit.upper() == "MICROSECOND" else 1_000_000

    def spelling(self, symbol: str) -> str | None:
        """BTC-USDT -> BTCUSDT; BTC-USDT-PERP -> BTCUSDT on USD-M; BTC-USD-PERP -> BTCUSD_PERP on COIN-M."""
        parts = symbol.split("-")
        if self.style == "spot":
            return "".join(parts) if len(parts) == 2 else None
        if len(parts) != 3 or (parts[1] == "USD") != (self.style == "coinm"):
            return None
        pair, suffix = parts[0] + parts[1], parts[2]
        return pair if self.style == "usdm" and suffix == SUFFIX_PERPETUAL else f"{pair}_{suffix}"

    def instruments(self, url: str, data: bytes) -> list[Instrument] | None:
        """exchangeInfo."""
        if not path_of(url).endswith("exchangeInfo"):
            return None
        return [found for row in load_rows(data, "symbols") if (found := self._instrument(row)) is not None]

    def _instrument(self, row: Mapping[str, object]) -> Instrument | None:
        spelling, base, quote = text(row, "symbol"), text(row, "baseAsset"), text(row, "quoteAsset")
        if not (spelling and base and quote):
            return None
        symbol = f"{base}-{quote}"
        if self.style != "spot":
            suffix = spelling.partition("_")[2] or SUFFIX_PERPETUAL
            symbol = f"{symbol}-{suffix}"
        filters = row.get("filters")
        rules = {text(f, "filterType"): f for f in filters if isinstance(f, dict)} if isinstance(filters, list) else {}
        lot, price = rules.get("LOT_SIZE", {}), rules.get("PRICE_FILTER", {})
        notional = rules.get("NOTIONAL") or rules.get("MIN_NOTIONAL") or {}
        is_contract = self.style == "coinm"
        return Instrument(
            symbol=symbol,
            spelling=spelling,
            base=base,
            quote=quote,
            tick=exact(price.get("tickSize")),
            lot=None if is_contract else exact(lot.get("stepSize")),
            min_qty=None if is_contract else exact(lot.get("minQty")),
            max_qty=None if is_contract else exact(lot.get("maxQty")),
            min_notional=exact(notional.get("minNotional") or notional.get("notional")),
            contract_size=(exact(row.get("contractSize")) or contract_size(base)) if is_contract else None,
            is_open=text(row, "contractStatus" if is_contract else "status") not in CLOSED,
        )

    def default_contract_size(self, symbol: str) -> Decimal | None:
        """Quote value of a contract where no list says it; None where quantities are base units."""
        return contract_size(symbol.partition("-")[0]) if self.style == "coinm" else None

    def depth_snapshot(self, url: str, data: bytes) -> DepthSnapshot | None:
        """GET depth (R4, D21). Raises BadFrame."""
        if path_of(url).rpartition("/")[2] != "depth":
            return None
        spelling = (query_of(url, "symbol") or "").upper() or None
        try:
            message = load_json(data)
        except NotJson as error:
            raise BadFrame(str(error), spelling) from error
        if not isinstance(message, dict):
            raise BadFrame("a depth snapshot is an object", spelling)
        if "code" in message and "lastUpdateId" not in message:
            return None  # an error answer gives no snapshot
        last_id = as_int(message.get("lastUpdateId"))
        if last_id is None:
            raise BadFrame(f"lastUpdateId is no integer: {message.get('lastUpdateId')!r}", spelling)
        try:
            levels = read_levels(message.get("bids"), BIDS) + read_levels(message.get("asks"), ASKS)
        except ValueError as error:
            raise BadFrame(str(error), spelling) from error
        return DepthSnapshot(spelling, last_id, levels)

    def control(self, message: Mapping[str, object]) -> Sequence[Fact]:
        """Acks, errors (both spellings seen in the field) and the shutdown notice."""
        error = message.get("error", message if "code" in message else None)
        if isinstance(error, dict):
            return [VenueNotice(f"{error.get('code')}: {error.get('msg')}", True)]
        data = message.get("data", message)
        if isinstance(data, dict) and data.get("e") == "serverShutdown":
            return [VenueNotice("the server shuts down", False, is_closing=True)]
        return [Acknowledged()] if "result" in message and message["result"] is None else []

    def subscribe(self, spellings: Sequence[str], *, source: str, depth: int) -> list[Request]:
        """`symbol@depth@100ms` diffs (the snapshot is fetched beside, with `depth` levels) or `symbol@bookTicker`."""
        if depth and depth not in DEPTHS:
            raise ValueError(f"{self.name} snapshots have {', '.join(map(str, DEPTHS))} levels, not {depth}")
        return self._requests("SUBSCRIBE", spellings, source)

    def unsubscribe(self, spellings: Sequence[str], *, source: str, depth: int) -> list[Request]:  # noqa: ARG002
        """The same streams; the depth is the snapshot's alone."""
        return self._requests("UNSUBSCRIBE", spellings, source)

    def _requests(self, method: str, spellings: Sequence[str], source: str) -> list[Request]:
        stream = "bookTicker" if source == "bbo" else "depth@100ms"
        names = [f"{spelling.lower()}@{stream}" for spelling in spellings]
        return [
            Request(packed({"method": method, "params": chunk, "id": k + 1}))
            for k, chunk in enumerate(in_chunks(names, STREAMS_A_REQUEST))
        ]

    def stream_url(self, address: str) -> str:
        """Raw frames are to be had at /ws."""
        return address if path_of(address) else f"{address.rstrip('/')}/ws"

    def instruments_call(self) -> Call:
        """exchangeInfo."""
        return Call(f"{PREFIXES[self.style]}/exchangeInfo", 20 if self.style == "spot" else 1)

    def rules_call(self, spellings: Sequence[str]) -> Call:
        """exchangeInfo of these on spot: the whole list is many MB, which nobody wants to read beside live books."""
        if self.style != "spot" or not spellings:
            return self.instruments_call()
        named = quote(packed(list(spellings)).decode(), safe="")
        return Call(f"{PREFIXES[self.style]}/exchangeInfo?symbols={named}", 20)

    def snapshot_call(self, spelling: str, depth: int) -> Call:
        """depth; its weight grows with the levels (binance.md 4)."""
        levels = depth or SNAPSHOT_LEVELS
        if self.style == "spot":
            weight = 5 if levels <= 100 else 25 if levels <= 500 else 50 if levels <= 1000 else 250
        else:
            levels = min(levels, SNAPSHOT_LEVELS)
            weight = 2 if levels <= 50 else 5 if levels <= 100 else 10 if levels <= 500 else 20
        return Call(f"{PREFIXES[self.style]}/depth?symbol={spelling}&limit={levels}", weight)

    def depth_answer(self, last_id: int, bids: Sequence[Sequence[str]], asks: Sequence[Sequence[str]]) -> bytes:
        """See Venue."""
        return packed({"lastUpdateId": last_id, "bids": bids, "asks": asks})

    def time_call(self) -> Call:
        """Public, without a key."""
        return Call(f"{PREFIXES[self.style]}/time")

    def server_time(self, body: bytes) -> tuple[int, int] | None:
        """See Venue."""
        return time_of(body, "serverTime", unit_ns=1_000_000)

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure | None:
        """By code; -1003 of a ban and the firewall's 403 without JSON are rate limits (binance.md 6)."""
        error = load_object(body) if status >= 400 else {}
        if error is None:
            return (
                Failure(RATE, shown(body), wait_sec=wait_of(headers))
                if status == 403
                else by_status(status, headers, shown(body))
            )
        code, text_ = number_of(error.get("code")), str(error.get("msg"))
        category = CODES.get(code) if code is not None else None
        if category is None or status < 400:
            return by_status(status, headers, text_, "" if code is None else str(code))
        is_unknown = code in UNKNOWN_CODES or status >= 500
        return Failure(category, text_, str(code), execution_unknown=is_unknown, wait_sec=wait_of(headers))

    def used_weight(self, headers: Mapping[str, str]) -> int | None:
        """X-MBX-USED-WEIGHT-1M."""
        used = headers.get("x-mbx-used-weight-1m", "")
        return int(used) if used.isdecimal() and len(used) < 12 else None


def contract_size(base: str) -> Decimal:
    """COIN-M contracts are worth 100 USD for BTC and 10 USD for everything else."""
    return Decimal(100 if base == "BTC" else 10)
