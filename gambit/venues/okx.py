"""OKX v5: books with prevSeqId/seqId chains, maintenance resets and heartbeats (okx.md 3, replay-rules R10, R23).

The checksum is dead (always 0) on today's wire and looked at only in archives that have no seqId.
"""

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
    shown,
    time_of,
    unreadable,
)
from gambit.venues.listing import exact, load_rows, path_of, text, two_parts
from gambit.venues.live import Call, Live
from gambit.venues.wire import (
    ASKS,
    BIDS,
    CHANNEL,
    CHECKSUM,
    EVENT,
    ID,
    PREV,
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
    rule=Rule.LINK,
    nodes=(
        (
            Key("arg", Action.OBJECT, node=1),
            Key("action", Action.TEXT, TYPE),
            Key("data", Action.PARTS, node=2),
            Key("event", Action.TEXT, EVENT),
        ),
        (Key("channel", Action.TEXT, CHANNEL), Key("instId", Action.TEXT, SYMBOL)),
        (
            Key("asks", Action.ROWS, ASKS),
            Key("bids", Action.ROWS, BIDS),
            Key("ts", Action.TEXT, TIME),
            Key("checksum", Action.MAYBE_INT, CHECKSUM),
            Key("prevSeqId", Action.INT, PREV),
            Key("seqId", Action.INT, ID),
        ),
    ),
    kinds=(
        KindRule("books", Kind.BOOK, channel=1, depth=400),
        KindRule("bbo-tbt", Kind.BBO, channel=4, depth=1),
        KindRule("books-l2-tbt", Kind.BOOK, channel=2, depth=400),
        KindRule("books50-l2-tbt", Kind.BOOK, channel=3, depth=50),
        KindRule("trades", Kind.TRADE, is_prefix=True),
        KindRule("tickers", Kind.TICKER),
        KindRule("books5", Kind.OTHER),
        KindRule("books-elp", Kind.OTHER),
        KindRule("candle", Kind.OTHER, is_prefix=True),
        KindRule("funding-rate", Kind.OTHER),
        KindRule("mark-price", Kind.OTHER),
        KindRule("open-interest", Kind.OTHER),
    ),
    types={"snapshot": SNAPSHOT, "update": UPDATE},
    row_extra=True,
    plain_texts=frozenset({b"pong"}),
)

DEMO_HEADER = ("x-simulated-trading", "1")  # what makes a request one to the demo: its address is production's
LIVE = (
    Live(  # okx.md 1, 4 and 7: three connects a second, a text ping within 30 s, fewer than 30 depth channels advised
        ws="wss://ws.okx.com:8443/ws/v5/public",
        rest="https://www.okx.com",
        test_ws="wss://wspap.okx.com:8443/ws/v5/public",
        test_rest="https://www.okx.com",
        test_headers=(DEMO_HEADER,),
        books_a_connection=25,
        sends_per_sec=3,
        ping=b"ping",
        connects=2,  # the third of a second is for the account's lines
        connects_sec=1,
        weight=20,
        weight_sec=2,
    )
)
# Okx.md 6; whatever is not here is permanent.
CODES = {
    **dict.fromkeys(("50011", "50061", "50040", "60014", "60023"), RATE),
    **dict.fromkeys(("50013", "50001", "50046", "50062", "50004", "51054", "51149", "51412", "50026"), VENDOR),
    **dict.fromkeys(("50102", "50112", "60004", "60006", "50101", "50110", "50111", "50113", "50114", "50035"), AUTH),
    **dict.fromkeys(("50103", "50104", "50105", "50106", "50107", "50119", "50120", "50121"), AUTH),
    **dict.fromkeys(("60005", "60007", "60009", "60011", "60024", "60032"), AUTH),
    **dict.fromkeys(("51400", "51410", "51603", "51503"), DATA),
}
UNKNOWN_CODES = frozenset({"50004", "51054", "51149", "51412", "50026", "50001", "50013"})
UPGRADE = "64008"
CLOSED = frozenset({"suspend", "preopen", "test", "post_only"})  # states that take no immediate order (okx.md 4)
CHANNELS = {0: "books", 400: "books", 50: "books50-l2-tbt"}
ARGS_A_REQUEST = 100


class Okx(Venue):
    """OKX spot; a derivative only when it is asked for by its own name."""

    wire = WIRE
    live = LIVE

    def __init__(self, name: str) -> None:
        self.name = name

    def spelling(self, symbol: str) -> str | None:
        """instId is BASE-QUOTE."""
        return symbol

    def symbol(self, spelling: str) -> str | None:
        """A spelling of exactly two parts is its own symbol (R7)."""
        return spelling if two_parts(spelling, "-") else None

    def instruments(self, url: str, data: bytes) -> list[Instrument] | None:
        """public/instruments; only its spot rows."""
        if not path_of(url).endswith("public/instruments"):
            return None
        return [
            Instrument(
                symbol=text(row, "instId"),
                spelling=text(row, "instId"),
                base=text(row, "baseCcy"),
                quote=text(row, "quoteCcy"),
                tick=exact(row.get("tickSz")),
                lot=exact(row.get("lotSz")),
                min_qty=exact(row.get("minSz")),
                max_qty=exact(row.get("maxLmtSz")),
                code=_code(row.get("instIdCode")),
                is_open=text(row, "state") not in CLOSED,
            )
            for row in load_rows(data, "data", error_of=_error_of)
            if row.get("instType") == "SPOT" and two_parts(text(row, "instId"), "-")
        ]

    def control(self, message: Mapping[str, object]) -> Sequence[Fact]:
        """Errors and the upgrade notice (64008)."""
        event = message.get("event")
        if event == "error":
            is_wrong = CODES.get(str(message.get("code"))) is not RATE  # asking more often would be worse
            return [VenueNotice(f"{message.get('code')}: {message.get('msg')}", is_wrong)]
        if event == "channel-conn-count-error":
            return [VenueNotice(f"too many connections have the channel {message.get('channel')}", True)]
        if event == "notice":
            code = str(message.get("code"))
            return [VenueNotice(f"{code}: {message.get('msg')}", False, is_closing=code == UPGRADE)]
        return [Acknowledged()] if event in ("subscribe", "unsubscribe") else []

    def subscribe(self, spellings: Sequence[str], *, source: str, depth: int) -> list[Request]:
        """`books` (or `books50-l2-tbt`, which needs a fee level) or `bbo-tbt`."""
        return self._requests("subscribe", spellings, source, depth)

    def unsubscribe(self, spellings: Sequence[str], *, source: str, depth: int) -> list[Request]:
        """The same channels."""
        return self._requests("unsubscribe", spellings, source, depth)

    def _requests(self, op: str, spellings: Sequence[str], source: str, depth: int) -> list[Request]:
        if depth not in CHANNELS:
            raise ValueError(f"{self.name} has books of 400 or 50 levels, not {depth}")
        channel = "bbo-tbt" if source == "bbo" else CHANNELS[depth]
        return [
            Request(packed({"op": op, "args": [{"channel": channel, "instId": name} for name in chunk]}))
            for chunk in in_chunks(spellings, ARGS_A_REQUEST)
        ]

    def instruments_call(self) -> Call:
        """public/instruments of spot."""
        return Call("/api/v5/public/instruments?instType=SPOT")

    def time_call(self) -> Call:
        """Public, without a key."""
        return Call("/api/v5/public/time")

    def server_time(self, body: bytes) -> tuple[int, int] | None:
        """See Venue."""
        return time_of(body, "data", "ts", unit_ns=1_000_000)

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure | None:
        """By the code of the first row that has one, else the answer's, which comes with HTTP 200 (okx.md 6)."""
        answer = load_object(body)
        if answer is None or not isinstance(answer.get("code"), str):
            return by_status(status, headers, shown(body)) or unreadable(body)
        rows = answer.get("data")
        refused = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
        found = next(((text(row, "sCode"), text(row, "sMsg")) for row in refused if row.get("sCode", "0") != "0"), None)
        code, words = found or (str(answer["code"]), str(answer.get("msg")))
        if code == "0":
            return by_status(status, headers, shown(body))
        category = CODES.get(code) or (VENDOR if status >= 500 else RATE if status == 429 else PERMANENT)
        is_unknown = code in UNKNOWN_CODES or status >= 500
        return Failure(category, words, code, execution_unknown=is_unknown)


def _error_of(answer: Mapping[str, object]) -> object:
    """Errors have a code and, as data, an empty list."""
    code = answer.get("code")
    return None if code in (None, "0") else code


def _code(value: object) -> int | None:
    """A market's number, told as a number or as its text."""
    text_ = str(value)
    return int(text_) if text_.isascii() and text_.isdigit() else None
