"""Kraken v2: books proved by a CRC32 over their best ten levels, cut to the subscribed depth after every message
(kraken.md 3, replay-rules R12). Prices and quantities are JSON numbers whose text matters.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from gambit.model import Acknowledged, Failure, Instrument, ListedInstruments, Request, SubscribedDepth, VenueNotice
from gambit.venues.decode import as_int
from gambit.venues.failure import (
    AUTH,
    DATA,
    PERMANENT,
    RATE,
    VENDOR,
    by_status,
    load_object,
    shown,
    time_of,
    unreadable,
)
from gambit.venues.listing import exact, load_rows, path_of, text, two_parts, whole
from gambit.venues.live import Call, Live
from gambit.venues.wire import (
    ASK,
    ASK_QTY,
    ASKS,
    BID,
    BID_QTY,
    BIDS,
    CHANNEL,
    CHECKSUM,
    EVENT,
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
    in_chunks,
    packed,
)

WIRE = Wire(
    rule=Rule.CHECKSUM,
    nodes=(
        (
            Key("channel", Action.TEXT, CHANNEL),
            Key("type", Action.TEXT, TYPE),
            Key("data", Action.PARTS, node=1),
            Key("method", Action.TEXT, EVENT),
            Key("error", Action.TEXT, EVENT),
        ),
        (
            Key("symbol", Action.TEXT, SYMBOL),
            Key("bids", Action.LEVELS, BIDS, node=2),
            Key("asks", Action.LEVELS, ASKS, node=2),
            Key("checksum", Action.INT, CHECKSUM),
            Key("timestamp", Action.TEXT, TIME),
            Key("bid", Action.TEXT, BID),
            Key("bid_qty", Action.TEXT, BID_QTY),
            Key("ask", Action.TEXT, ASK),
            Key("ask_qty", Action.TEXT, ASK_QTY),
        ),
        (Key("price", Action.PRICE), Key("qty", Action.QTY)),
    ),
    kinds=(
        KindRule("book", Kind.BOOK),
        KindRule("ticker", Kind.BBO),
        KindRule("trade", Kind.TRADE),
        KindRule("heartbeat", Kind.HEARTBEAT),
        KindRule("status", Kind.CONTROL),
        KindRule("instrument", Kind.CONTROL),
        KindRule("ohlc", Kind.OTHER),
    ),
    types={"snapshot": SNAPSHOT, "update": UPDATE},
)

LIVE = Live(  # kraken.md 1 and 7: 150 connects in ten minutes before a ban, a ping where it is quiet; no test network
    ws="wss://ws.kraken.com/v2",
    rest="https://api.kraken.com",
    books_a_connection=50,
    sends_per_sec=5,
    ping=b'{"method":"ping"}',
    ping_sec=30,
    connects=100,
    connects_sec=600,
    weight=15,
    weight_sec=15,
)
TOO_MANY = "Exceeded msg rate"
# The beginnings of kraken.md 6's texts, the first that fits; whatever is not here is permanent.
TEXTS = (
    ("EAPI:Rate limit", RATE),
    ("EService:Throttled", RATE),
    ("EOrder:Rate limit", RATE),
    ("EOrder:Domain rate limit", RATE),
    ("EAuth:Rate limit", RATE),
    ("EAuth:Too many requests", RATE),
    (TOO_MANY, RATE),
    ("EGeneral:Temporary lockout", AUTH),
    ("EAPI:", AUTH),
    ("EAuth:", AUTH),
    ("ESession:", AUTH),
    ("EGeneral:Permission denied", AUTH),
    ("EOrder:Unknown order", DATA),
    ("EService:Deadline elapsed", PERMANENT),
    ("EService:", VENDOR),
    ("EGeneral:Internal error", VENDOR),
)
UNKNOWN_TEXTS = ("EService:Unavailable", "EService:Busy", "EGeneral:Internal error")
# Statuses of a market that takes no immediate order (kraken.md 4); limit_only takes it.
CLOSED = frozenset({"cancel_only", "post_only", "reduce_only", "delisted", "maintenance", "work_in_progress"})
DEPTHS = (10, 25, 100, 500, 1000)
DEPTH_MAX = 1_000_000  # an ack that promises more promises everything
SYMBOLS_A_REQUEST = 100
# REST spells two assets in its own way; v2 does not.
REST_ASSETS = {"XBT": "BTC", "XDG": "DOGE"}


def _v2(spelling: str) -> str:
    return "/".join(REST_ASSETS.get(part, part) for part in spelling.split("/"))


class Kraken(Venue):
    """Kraken spot."""

    wire = WIRE
    live = LIVE

    def __init__(self, name: str) -> None:
        self.name = name

    def time_unit_ns(self, address: str | None) -> int:  # noqa: ARG002
        """Times are RFC 3339."""
        return 0

    def spelling(self, symbol: str) -> str | None:
        """BTC-USD -> BTC/USD."""
        return symbol.replace("-", "/") if two_parts(symbol, "-") else None

    def symbol(self, spelling: str) -> str | None:
        """A spelling of exactly two parts (R7)."""
        return _v2(spelling).replace("/", "-") if two_parts(spelling, "/") else None

    def instruments(self, url: str, data: bytes) -> list[Instrument] | None:
        """AssetPairs."""
        if not path_of(url).endswith("AssetPairs"):
            return None
        rows = load_rows(data, "result", error_of=_error_of)
        return [found for row in rows if (found := self._pair(row)) is not None]

    def _pair(self, row: Mapping[str, object]) -> Instrument | None:
        spelling = _v2(text(row, "wsname"))
        parts = two_parts(spelling, "/")
        if parts is None:
            return None
        lot_decimals, pair_decimals = whole(row.get("lot_decimals")), whole(row.get("pair_decimals"))
        return Instrument(
            symbol="-".join(parts),
            spelling=spelling,
            base=parts[0],
            quote=parts[1],
            tick=exact(row.get("tick_size")),
            lot=Decimal(1).scaleb(-lot_decimals) if lot_decimals is not None else None,
            min_qty=exact(row.get("ordermin")),
            min_notional=exact(row.get("costmin")),
            price_decimals=pair_decimals,
            qty_decimals=lot_decimals,
            is_open=text(row, "status") not in CLOSED,
        )

    def control(self, message: Mapping[str, object]) -> Sequence[Fact]:
        """Acks with their depth, the instrument channel, errors, the system's status."""
        if message.get("channel") == "instrument":
            return [ListedInstruments(_listed(message.get("data")))]
        if message.get("channel") == "status":
            data = message.get("data")
            states = [text(row, "system") for row in data if isinstance(row, dict)] if isinstance(data, list) else []
            return [VenueNotice(state, False) for state in states if state != "online"]
        error = message.get("error")
        if error is not None:  # of too many messages a wrong name is not the cause, nor are more of them the cure
            return [VenueNotice(str(error), not str(error).startswith(TOO_MANY))]
        if message.get("success") is False:
            return []
        if message.get("method") == "unsubscribe":
            return [Acknowledged()]
        result = message.get("result")
        if message.get("method") != "subscribe" or not isinstance(result, dict):
            return []
        depth, spelling = as_int(result.get("depth")), result.get("symbol")
        if result.get("channel") == "book" and depth is not None and isinstance(spelling, str) and depth > 0:
            return [Acknowledged(), SubscribedDepth(spelling, min(depth, DEPTH_MAX))]
        return [Acknowledged()]

    def subscribe(self, spellings: Sequence[str], *, source: str, depth: int) -> list[Request]:
        """`book` with a depth, or `ticker` on every change of the best bid and ask."""
        if depth and depth not in DEPTHS:
            raise ValueError(f"{self.name} has books of {', '.join(map(str, DEPTHS))} levels, not {depth}")
        return self._requests("subscribe", spellings, source, depth, {"snapshot": True})

    def unsubscribe(self, spellings: Sequence[str], *, source: str, depth: int) -> list[Request]:
        """The same channel and depth."""
        return self._requests("unsubscribe", spellings, source, depth, {})

    def _requests(
        self, method: str, spellings: Sequence[str], source: str, depth: int, more: Mapping[str, object]
    ) -> list[Request]:
        params: dict[str, object] = {"channel": "ticker", "event_trigger": "bbo"}
        if source != "bbo":
            params = {"channel": "book", "depth": depth or 100}
        return [
            Request(packed({"method": method, "params": {**params, **more, "symbol": chunk}, "req_id": k + 1}))
            for k, chunk in enumerate(in_chunks(spellings, SYMBOLS_A_REQUEST))
        ]

    def instruments_call(self) -> Call:
        """AssetPairs."""
        return Call("/0/public/AssetPairs")

    def time_call(self) -> Call:
        """Public, without a key."""
        return Call("/0/public/Time")

    def server_time(self, body: bytes) -> tuple[int, int] | None:
        """See Venue."""
        return time_of(body, "result", "unixtime", unit_ns=1_000_000_000)

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure | None:
        """By the first error's text, which comes with HTTP 200 (kraken.md 6)."""
        answer = load_object(body)
        errors = answer.get("error") if answer is not None else None
        if not isinstance(errors, list):
            return by_status(status, headers, shown(body)) or unreadable(body)
        texts = [error for error in errors if isinstance(error, str) and not error.startswith("W")]
        if not texts:
            return by_status(status, headers, shown(body))
        category = next((category for start, category in TEXTS if texts[0].startswith(start)), PERMANENT)
        is_unknown = status >= 500 or texts[0].startswith(UNKNOWN_TEXTS)
        return Failure(category, "; ".join(texts), texts[0].partition(":")[0], execution_unknown=is_unknown)


def _error_of(answer: Mapping[str, object]) -> object:
    """Texts; those that begin with W only warn."""
    told = answer.get("error")
    return next((text_ for text_ in told if not str(text_).startswith("W")), None) if isinstance(told, list) else None


def _listed(data: object) -> list[Instrument]:
    """The pairs of the instrument channel."""
    pairs = data.get("pairs") if isinstance(data, dict) else None
    found = []
    for row in pairs if isinstance(pairs, list) else []:
        parts = two_parts(text(row, "symbol"), "/") if isinstance(row, dict) else None
        if parts is None:
            continue
        found.append(
            Instrument(
                symbol="-".join(parts),
                spelling=text(row, "symbol"),
                base=parts[0],
                quote=parts[1],
                tick=exact(row.get("price_increment")),
                lot=exact(row.get("qty_increment")),
                min_qty=exact(row.get("qty_min")),
                min_notional=exact(row.get("cost_min")),
                price_decimals=whole(row.get("price_precision")),
                qty_decimals=whole(row.get("qty_precision")),
                is_open=text(row, "status") not in CLOSED,
            )
        )
    return found
