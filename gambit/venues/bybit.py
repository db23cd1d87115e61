"""Bybit v5, spot and linear: orderbook.N with u growing by one; u = 1 is a restart (bybit.md 3, replay-rules R23)."""

from collections.abc import Mapping, Sequence

from gambit.model import Acknowledged, Failure, Instrument, Request, VenueNotice
from gambit.venues.failure import (
    AUTH,
    DATA,
    PERMANENT,
    RATE,
    VENDOR,
    by_status,
    load_object,
    number_of,
    shown,
    time_of,
    unreadable,
)
from gambit.venues.listing import SUFFIX_PERPETUAL, exact, load_rows, path_of, query_of, text
from gambit.venues.live import Call, Live
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


def _live(category: str) -> Live:
    """Bybit.md 1 and 7: ten topics a request, arguments of a connection within 21 000 characters, 500 connects in five
    minutes, a ping every 20 s, 600 requests in 5 s for the whole address."""
    return Live(
        ws=f"wss://stream.bybit.com/v5/public/{category}",
        rest="https://api.bybit.com",
        test_ws=f"wss://stream-testnet.bybit.com/v5/public/{category}",
        test_rest="https://api-testnet.bybit.com",
        books_a_connection=100,
        sends_per_sec=10,
        ping=b'{"op":"ping"}',
        connects=400,
        connects_sec=300,
        weight=600,
        weight_sec=5,
    )


# Bybit.md 6; whatever is not here is permanent.
CODES = {
    **dict.fromkeys((10006, 10018, 10429, 10403, 20003, 170005, 170222), RATE),
    **dict.fromkeys((10002, 10003, 10004, 10005, 10007, 10008, 10009, 10010, 10024, 10027, 33004), AUTH),
    **dict.fromkeys((110001, 170139, 170142, 170143, 170212, 170213), DATA),
    **dict.fromkeys((10000, 10016, 10019, 170001, 170007, 170032, 170035, 170146, 170147, 170149), VENDOR),
}
BAN_SEC = 600.0  # "stop all HTTP for at least ten minutes"
CLOSED = frozenset({"PreLaunch", "Delivering", "Closed"})  # statuses of a market that takes no order (bybit.md 4)
DEPTHS = (1, 50, 200, 1000)
TOPICS_A_REQUEST = 10


class Bybit(Venue):
    """One market type of Bybit, `category` "spot" or "linear"."""

    wire = WIRE

    def __init__(self, name: str, category: str) -> None:
        self.name = name
        self.category = category
        self.live = _live(category)

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
            max_qty=exact(lot.get("maxLimitOrderQty") or lot.get("maxOrderQty")),
            min_notional=exact(lot.get("minOrderAmt") or lot.get("minNotionalValue")),
            is_open=text(row, "status") not in CLOSED,
        )

    def control(self, message: Mapping[str, object]) -> Sequence[Fact]:
        """A refused request; the three pongs and plain acks say nothing."""
        if message.get("success") is False:
            return [VenueNotice(str(message.get("ret_msg")), True)]
        return [Acknowledged()] if message.get("op") in ("subscribe", "unsubscribe") else []

    def subscribe(self, spellings: Sequence[str], *, source: str, depth: int) -> list[Request]:
        """`orderbook.N.SYMBOL`, ten topics a request."""
        return self._requests("subscribe", spellings, source, depth)

    def unsubscribe(self, spellings: Sequence[str], *, source: str, depth: int) -> list[Request]:
        """The same topics."""
        return self._requests("unsubscribe", spellings, source, depth)

    def _requests(self, op: str, spellings: Sequence[str], source: str, depth: int) -> list[Request]:
        depth = 1 if source == "bbo" else depth or 50
        if depth not in DEPTHS:
            raise ValueError(f"{self.name} has books of {', '.join(map(str, DEPTHS))} levels, not {depth}")
        topics = [f"orderbook.{depth}.{spelling}" for spelling in spellings]
        return [Request(packed({"op": op, "args": chunk})) for chunk in in_chunks(topics, TOPICS_A_REQUEST)]

    def instruments_call(self) -> Call:
        """instruments-info; spot has no pages, and 1000 rows hold linear's first one."""
        pages = "" if self.category == "spot" else "&limit=1000"
        return Call(f"/v5/market/instruments-info?category={self.category}{pages}")

    def time_call(self) -> Call:
        """Public, without a key."""
        return Call("/v5/market/time")

    def server_time(self, body: bytes) -> tuple[int, int] | None:
        """See Venue."""
        return time_of(body, "result", "timeNano", unit_ns=1)

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure | None:
        """By retCode, which comes with HTTP 200 too; 403 is the address being turned away (bybit.md 6)."""
        answer = load_object(body)
        code = number_of(answer.get("retCode")) if answer is not None else None
        if status == 403 and code is None:
            return Failure(RATE, shown(body), "403", wait_sec=BAN_SEC)
        if answer is None or code is None:
            return by_status(status, headers, shown(body)) or unreadable(body)
        if code == 0:
            return by_status(status, headers, shown(body))
        category = CODES.get(code, PERMANENT)
        is_unknown = category is VENDOR or status >= 500
        return Failure(category, str(answer.get("retMsg")), str(code), execution_unknown=is_unknown)
