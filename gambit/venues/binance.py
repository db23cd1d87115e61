"""Binance: spot, the US exchange, USD-M and COIN-M futures; market data.

Sync rule (binance.md 3, replay-rules R9): diffs carry U..u and are joined to a REST snapshot by lastUpdateId; the
futures also name the id before (pu). COIN-M quantities are contracts of a fixed value in quote money.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from gambit.model import DepthSnapshot, Instrument, Request, VenueNotice
from gambit.venues.decode import NotJson, as_int, load_json, read_levels
from gambit.venues.listing import SUFFIX_PERPETUAL, exact, load_rows, path_of, query_of, text
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
        ),
        _EVENT,
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

DEPTHS = (5, 10, 20, 50, 100, 500, 1000, 5000)
STREAMS_A_REQUEST = 200


class Binance(Venue):
    """One of Binance's exchanges. `style` is "spot", "usdm" or "coinm"."""

    wire = WIRE

    def __init__(self, name: str, style: str) -> None:
        self.name = name
        self.style = style

    def time_unit_ns(self, address: str | None) -> int:
        """Milliseconds, but where the address asks for microseconds."""
        return 1_000 if address and query_of(address, "timeUnit") == "MICROSECOND" else 1_000_000

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
            min_notional=exact(notional.get("minNotional") or notional.get("notional")),
            contract_size=(exact(row.get("contractSize")) or contract_size(base)) if is_contract else None,
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
            return [VenueNotice("the server shuts down", False)]
        return []

    def subscribe(self, spellings: Sequence[str], *, source: str, depth: int) -> list[Request]:
        """`symbol@depth@100ms` diffs (the snapshot is fetched beside, with `depth` levels) or `symbol@bookTicker`."""
        if depth and depth not in DEPTHS:
            raise ValueError(f"{self.name} snapshots have {', '.join(map(str, DEPTHS))} levels, not {depth}")
        stream = "bookTicker" if source == "bbo" else "depth@100ms"
        names = [f"{spelling.lower()}@{stream}" for spelling in spellings]
        return [
            Request(packed({"method": "SUBSCRIBE", "params": chunk, "id": k + 1}))
            for k, chunk in enumerate(in_chunks(names, STREAMS_A_REQUEST))
        ]


def contract_size(base: str) -> Decimal:
    """COIN-M contracts are worth 100 USD for BTC and 10 USD for everything else."""
    return Decimal(100 if base == "BTC" else 10)
