"""Coinbase Advanced Trade: level2 arrives as `l2_data`, proved by one counter for the whole connection
(coinbase.md 3, replay-rules R23)."""

from collections.abc import Mapping, Sequence

from gambit.model import Acknowledged, Failure, Instrument, Request, VenueNotice
from gambit.venues.failure import (
    DATA,
    PERMANENT,
    RATE,
    TEXT_MAX,
    VENDOR,
    by_status,
    load_object,
    shown,
    time_of,
    unreadable,
)
from gambit.venues.listing import exact, load_rows, path_of, text, two_parts
from gambit.venues.live import Call, Live
from gambit.venues.wire import (
    ASK,
    ASK_QTY,
    BID,
    BID_QTY,
    CHANNEL,
    EITHER,
    EVENT,
    ID,
    SNAPSHOT,
    SYMBOL,
    TIME,
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
    packed,
)

WIRE = Wire(
    rule=Rule.CONNECTION,
    nodes=(
        (
            Key("channel", Action.TEXT, CHANNEL),
            Key("client_id", Action.SKIP),
            Key("timestamp", Action.TEXT, TIME),
            Key("sequence_num", Action.INT, ID),
            Key("events", Action.PARTS, node=1),
            Key("type", Action.TEXT, EVENT),
        ),
        (
            Key("type", Action.TEXT, TYPE),
            Key("product_id", Action.TEXT, SYMBOL),
            Key("updates", Action.LEVELS, EITHER, node=2),
            Key("tickers", Action.PARTS, node=3),
        ),
        (
            Key("side", Action.SIDE),
            Key("event_time", Action.SKIP),
            Key("price_level", Action.PRICE),
            Key("new_quantity", Action.QTY),
        ),
        (
            Key("type", Action.SKIP),
            Key("product_id", Action.TEXT, SYMBOL),
            Key("best_bid", Action.TEXT, BID),
            Key("best_bid_quantity", Action.TEXT, BID_QTY),
            Key("best_ask", Action.TEXT, ASK),
            Key("best_ask_quantity", Action.TEXT, ASK_QTY),
        ),
    ),
    kinds=(
        KindRule("l2_data", Kind.BOOK),
        KindRule("ticker", Kind.BBO),
        KindRule("market_trades", Kind.TRADE),
        KindRule("heartbeats", Kind.HEARTBEAT),
        KindRule("subscriptions", Kind.CONTROL),
        KindRule("ticker_batch", Kind.TICKER),
        KindRule("candles", Kind.OTHER),
        KindRule("status", Kind.OTHER),
    ),
    types={"snapshot": SNAPSHOT, "update": UPDATE},
)


LIVE = (
    Live(  # coinbase.md 1 and 7: eight connects and eight messages a second by address; no test network for market data
        ws="wss://advanced-trade-ws.coinbase.com",
        rest="https://api.coinbase.com",
        books_a_connection=10,
        sends_per_sec=6,
        connects=3,  # each brings two messages
        connects_sec=1,
        weight=10,
        weight_sec=1,
    )
)
# What a product that takes no immediate order has switched on, or as its status (coinbase.md 4); limit_only takes it.
CLOSED_BY = ("trading_disabled", "is_disabled", "cancel_only", "post_only", "view_only", "auction_mode")
CLOSED = frozenset({"offline", "delisted"})
RATE_WORDS = ("RATE_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED")


class Coinbase(Venue):
    """Coinbase Advanced Trade spot."""

    wire = WIRE
    live = LIVE

    def __init__(self, name: str) -> None:
        self.name = name

    def time_unit_ns(self, address: str | None) -> int:  # noqa: ARG002
        """Times are RFC 3339."""
        return 0

    def spelling(self, symbol: str) -> str | None:
        """product_id is BASE-QUOTE."""
        return symbol if two_parts(symbol, "-") else None

    def symbol(self, spelling: str) -> str | None:
        """A spelling of exactly two parts is its own symbol (R7)."""
        return spelling if two_parts(spelling, "-") else None

    def instruments(self, url: str, data: bytes) -> list[Instrument] | None:
        """market/products; only its spot rows."""
        if not path_of(url).endswith("products"):
            return None
        return [
            Instrument(
                symbol=text(row, "product_id"),
                spelling=text(row, "product_id"),
                base=text(row, "base_currency_id"),
                quote=text(row, "quote_currency_id"),
                tick=exact(row.get("price_increment")),
                lot=exact(row.get("base_increment")),
                min_qty=exact(row.get("base_min_size")),
                max_qty=exact(row.get("base_max_size")),
                min_notional=exact(row.get("quote_min_size")),
                delivered_as=_twin(row),
                is_open=text(row, "status") not in CLOSED and not any(row.get(name) is True for name in CLOSED_BY),
            )
            for row in load_rows(data, "products")
            if text(row, "product_type") in ("SPOT", "") and two_parts(text(row, "product_id"), "-")
        ]

    def control(self, message: Mapping[str, object]) -> Sequence[Fact]:
        """Errors; a `subscriptions` message only says what is subscribed."""
        if message.get("type") == "error":
            return [VenueNotice(str(message.get("message")), True)]
        return [Acknowledged()] if message.get("channel") == "subscriptions" else []

    def subscribe(self, spellings: Sequence[str], *, source: str, depth: int) -> list[Request]:
        """level2 (always the whole book) or ticker, and heartbeats, one channel a request."""
        if depth:
            raise ValueError(f"{self.name} sends the whole book, not {depth} levels")
        return [
            self._request("subscribe", spellings, source),
            Request(packed({"type": "subscribe", "channel": "heartbeats"})),
        ]

    def unsubscribe(self, spellings: Sequence[str], *, source: str, depth: int) -> list[Request]:  # noqa: ARG002
        """The same channel; the heartbeats go on."""
        return [self._request("unsubscribe", spellings, source)]

    def _request(self, kind: str, spellings: Sequence[str], source: str) -> Request:
        channel = "ticker" if source == "bbo" else "level2"
        return Request(packed({"type": kind, "product_ids": list(spellings), "channel": channel}))

    def instruments_call(self) -> Call:
        """The public products of spot."""
        return Call("/api/v3/brokerage/market/products?product_type=SPOT")

    def time_call(self) -> Call:
        """Public, without a key."""
        return Call("/api/v3/brokerage/time")

    def server_time(self, body: bytes) -> tuple[int, int] | None:
        """See Venue."""
        return time_of(body, "epochMillis", unit_ns=1_000_000)

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure | None:
        """By HTTP status, and by `success` where an order's answer says it with HTTP 200 (coinbase.md 6)."""
        answer = load_object(body)
        words = shown(body)
        if status >= 300:
            if any(word in words.upper() for word in RATE_WORDS):
                return Failure(RATE, words)
            if status == 404 and "NOT_FOUND" in words:
                return Failure(DATA, words, "NOT_FOUND")
            return by_status(status, headers, words)
        if answer is None:
            return unreadable(body)
        if answer.get("success") is not False:
            return None
        error = answer.get("error_response")
        details = error if isinstance(error, dict) else {}
        names = ("new_order_failure_reason", "error", "preview_failure_reason")
        codes = [text(details, name) for name in names if text(details, name)]
        code = next((code for code in codes if not code.startswith("UNKNOWN_")), "")
        if code in ("INTERNAL", "UNAVAILABLE"):
            return Failure(VENDOR, words, code, execution_unknown=True)
        return Failure(PERMANENT, (text(details, "message") or words)[:TEXT_MAX], code)


def _twin(row: Mapping[str, object]) -> str:
    """The product whose name is on all books of this one: a -USDC product has those of its -USD twin (coinbase.md 1).
    USDT-USDC and EURC-USDC have no twin, and no alias."""
    alias = text(row, "alias")
    return alias if alias != text(row, "product_id") and two_parts(alias, "-") else ""
