"""OKX v5: books with prevSeqId/seqId chains, maintenance resets and heartbeats (okx.md 3, replay-rules R10, R23).

The checksum is dead (always 0) on today's wire and looked at only in archives that have no seqId.
"""

from collections.abc import Mapping, Sequence

from gambit.model import Instrument, Request, VenueNotice
from gambit.venues.listing import exact, load_rows, path_of, text, two_parts
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

CHANNELS = {0: "books", 400: "books", 50: "books50-l2-tbt"}
ARGS_A_REQUEST = 100


class Okx(Venue):
    """OKX spot; a derivative only when it is asked for by its own name."""

    wire = WIRE

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
            )
            for row in load_rows(data, "data")
            if row.get("instType") == "SPOT" and two_parts(text(row, "instId"), "-")
        ]

    def control(self, message: Mapping[str, object]) -> Sequence[Fact]:
        """Errors and the upgrade notice (64008)."""
        event = message.get("event")
        if event in ("error", "channel-conn-count-error"):
            return [VenueNotice(f"{message.get('code')}: {message.get('msg')}", True)]
        if event == "notice":
            return [VenueNotice(f"{message.get('code')}: {message.get('msg')}", False)]
        return []

    def subscribe(self, spellings: Sequence[str], *, source: str, depth: int) -> list[Request]:
        """`books` (or `books50-l2-tbt`, which needs a fee level) or `bbo-tbt`."""
        if depth not in CHANNELS:
            raise ValueError(f"{self.name} has books of 400 or 50 levels, not {depth}")
        channel = "bbo-tbt" if source == "bbo" else CHANNELS[depth]
        return [
            Request(packed({"op": "subscribe", "args": [{"channel": channel, "instId": name} for name in chunk]}))
            for chunk in in_chunks(spellings, ARGS_A_REQUEST)
        ]
