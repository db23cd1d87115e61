"""Bybit v5, spot and linear: orderbook.N with u growing by one; u = 1 is a restart (bybit.md 3, replay-rules R23)."""

from collections.abc import Mapping, Sequence

from gambit.model import Instrument, Request, VenueNotice
from gambit.venues.listing import SUFFIX_PERPETUAL, exact, load_rows, path_of, query_of, text
from gambit.venues.wire import (
    ASKS,
    BIDS,
    CHANNEL,
    EVENT,
    ID,
    SNAPSHOT,
    SYMBOL,
    TIME,
    TIME_2,
    TYPE,
    UPDATE,
    Action,
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

WIRE = Wire(
    rule=Rule.STEP,
    nodes=(
        (
            Key("topic", Action.TEXT, CHANNEL),
            Key("ts", Action.TEXT, TIME_2),
            Key("type", Action.TEXT, TYPE),
            Key("data", Action.OBJECT, node=1),
            Key("cts", Action.TEXT, TIME),
            Key("op", Action.TEXT, EVENT),
        ),
        (
            Key("s", Action.TEXT, SYMBOL),
            Key("b", Action.ROWS, BIDS),
            Key("a", Action.ROWS, ASKS),
            Key("u", Action.INT, ID),
            Key("seq", Action.SKIP),
        ),
    ),
    kinds=(
        KindRule("orderbook.1.", Kind.BOOK | Kind.BBO, is_prefix=True, channel=1),
        KindRule("orderbook.", Kind.BOOK, is_prefix=True),
        KindRule("publicTrade.", Kind.TRADE, is_prefix=True),
        KindRule("tickers.", Kind.TICKER, is_prefix=True),
        KindRule("kline.", Kind.OTHER, is_prefix=True),
        KindRule("liquidation.", Kind.OTHER, is_prefix=True),
        KindRule("allLiquidation.", Kind.OTHER, is_prefix=True),
    ),
    types={"snapshot": SNAPSHOT, "delta": UPDATE},
    implicit_part=True,
    digits_channel=True,
)

DEPTHS = (1, 50, 200, 1000)
TOPICS_A_REQUEST = 10


class Bybit(Venue):
    """One market type of Bybit, `category` "spot" or "linear"."""

    wire = WIRE

    def __init__(self, name: str, category: str) -> None:
        self.name = name
        self.category = category

    def accepts(self, address: str | None) -> bool:
        """Only connections to this category's address (R7); an unknown address is taken."""
        return address is None or path_of(address).endswith(f"/{self.category}")

    def spelling(self, symbol: str) -> str | None:
        """BTC-USDT -> BTCUSDT; on linear BTC-USDT-PERP -> BTCUSDT, BTC-USDT-27DEC24 -> BTCUSDT-27DEC24."""
        parts = symbol.split("-")
        if self.category == "spot":
            return "".join(parts) if len(parts) == 2 else None
        if len(parts) != 3:
            return None
        return parts[0] + parts[1] + ("" if parts[2] == SUFFIX_PERPETUAL else f"-{parts[2]}")

    def instruments(self, url: str, data: bytes) -> list[Instrument] | None:
        """instruments-info of this category."""
        if not path_of(url).endswith("instruments-info"):
            return None
        if query_of(url, "category") != self.category:
            return None
        return [found for row in load_rows(data, "result", "list") if (found := self._instrument(row)) is not None]

    def _instrument(self, row: Mapping[str, object]) -> Instrument | None:
        spelling, base, quote = text(row, "symbol"), text(row, "baseCoin"), text(row, "quoteCoin")
        if not (spelling and base and quote):
            return None
        symbol = f"{base}-{quote}"
        if self.category == "linear":
            symbol += "-" + (spelling.partition("-")[2] or SUFFIX_PERPETUAL)
        lot, price = row.get("lotSizeFilter"), row.get("priceFilter")
        lot = lot if isinstance(lot, dict) else {}
        price = price if isinstance(price, dict) else {}
        return Instrument(
            symbol=symbol,
            spelling=spelling,
            base=base,
            quote=quote,
            tick=exact(price.get("tickSize")),
            lot=exact(lot.get("basePrecision") or lot.get("qtyStep")),
            min_qty=exact(lot.get("minOrderQty")),
            min_notional=exact(lot.get("minOrderAmt") or lot.get("minNotionalValue")),
        )

    def control(self, message: Mapping[str, object]) -> Sequence[Fact]:
        """A refused request; the three pongs and plain acks say nothing."""
        if message.get("success") is False:
            return [VenueNotice(str(message.get("ret_msg")), True)]
        return []

    def subscribe(self, spellings: Sequence[str], *, source: str, depth: int) -> list[Request]:
        """`orderbook.N.SYMBOL`, ten topics a request."""
        depth = 1 if source == "bbo" else depth or 50
        if depth not in DEPTHS:
            raise ValueError(f"{self.name} has books of {', '.join(map(str, DEPTHS))} levels, not {depth}")
        topics = [f"orderbook.{depth}.{spelling}" for spelling in spellings]
        return [Request(packed({"op": "subscribe", "args": chunk})) for chunk in in_chunks(topics, TOPICS_A_REQUEST)]
