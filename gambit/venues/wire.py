"""What a venue module offers, and the description of a venue's frames that scanner and decoder share.

A wire description is data: for each object of a frame, which keys matter and what their values are. The compiled
scanner (gambit._core.scan) runs it over bytes, the slow decoder (gambit.venues.decode) over parsed JSON; both fill the
same slots. Nothing here or in a venue module opens a socket.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import IntEnum, IntFlag
from typing import Protocol

from gambit.model import (
    Acknowledged,
    DepthSnapshot,
    Failure,
    Instrument,
    ListedInstruments,
    Request,
    SubscribedDepth,
    VenueNotice,
)
from gambit.venues.live import Call, Live


class Action(IntEnum):
    """What a key's value is; the numbers are those of gambit/_core/scan.pyx."""

    SKIP = 0
    INT = 1  # JSON integer -> integer slot
    TEXT = 2  # string or number -> text slot
    OBJECT = 3  # object of `node`, same part
    PARTS = 4  # array of objects of `node`, a part each
    ROWS = 5  # array of [price, quantity] rows of a side
    LEVELS = 6  # array of level objects of `node`
    ROWS_OR_TEXT = 7  # rows, or a text (Binance spells both with one key)
    PRICE = 8
    QTY = 9
    SIDE = 10
    MAYBE_INT = 11  # as INT, but anything else there is as if the key were not
    WRAPPED = 12  # as OBJECT; of the object around it only the text of slot `arg` counts


class Rule(IntEnum):
    """How a venue proves that nothing was lost; the numbers are those of gambit/_core/market.pxd."""

    DIFF = 0
    LINK = 1
    STEP = 2
    CHECKSUM = 3
    CONNECTION = 4


class Kind(IntFlag):
    """What a channel carries; the first three are flags the hot path looks at."""

    UNKNOWN = 0
    BOOK = 1
    BBO = 2
    CONTROL = 4
    TRADE = 8
    TICKER = 16
    HEARTBEAT = 24
    OTHER = 32


# Integer slots of a part.
ID, FIRST, PREV, CHECKSUM = range(4)
# Text slots of a part.
CHANNEL, TYPE, SYMBOL, TIME, BID, BID_QTY, ASK, ASK_QTY, EVENT, TIME_2, STREAM = range(11)

BIDS, ASKS, EITHER = 0, 1, 2
HAS_PARTS = 4  # beside the bits of the sides: an array of parts was there
SNAPSHOT, UPDATE = 1, 2


@dataclass(frozen=True, slots=True)
class Key:
    """A key of an object: its name, what its value is, the slot or side it fills, the node that describes it."""

    name: str
    action: Action
    arg: int = 0
    node: int = 0


@dataclass(frozen=True, slots=True)
class KindRule:
    """A channel's text (or its beginning) and what it carries. `channel` tells several depth channels of one book
    apart (R8), `depth` is how many levels a side it has (0: all)."""

    text: str
    kind: Kind
    is_prefix: bool = False
    channel: int = 0
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Wire:
    """The frames of a venue. Node 0 is the frame itself."""

    rule: Rule
    nodes: tuple[tuple[Key, ...], ...]
    kinds: tuple[KindRule, ...]
    types: Mapping[str, int] = field(default_factory=dict)
    row_extra: bool = False  # rows may have more than two elements
    implicit_part: bool = False  # the frame itself is about one book
    digits_channel: bool = False  # the channel is the number behind a prefix
    bare_kind: Kind = Kind.UNKNOWN  # of a frame without a channel that has a best bid and ask
    plain_texts: frozenset[bytes] = frozenset()  # frames that are no JSON and mean nothing


Fact = Acknowledged | SubscribedDepth | ListedInstruments | VenueNotice


class Venue(Protocol):
    """One venue's language: bytes in, facts out; subscriptions as requests. Instances hold no state.

    The methods with a body answer for the venues to which the question means nothing.
    """

    name: str
    wire: Wire
    live: Live

    def accepts(self, address: str | None) -> bool:  # noqa: ARG002
        """Whether frames of a connection to this address (None: unknown) are this venue's."""
        return True

    def time_unit_ns(self, address: str | None) -> int:  # noqa: ARG002
        """Unit of the times that a connection to this address writes as digits; 0 where times are RFC 3339."""
        return 1_000_000

    def spelling(self, symbol: str) -> str | None:
        """How the venue spells a symbol in market data; None when it cannot trade such a thing."""
        ...

    def symbol(self, spelling: str) -> str | None:  # noqa: ARG002
        """The symbol of a spelling that can be taken as it is (R7); None where that needs an instrument list, as
        BTCUSDT does."""
        return None

    def default_contract_size(self, symbol: str) -> Decimal | None:  # noqa: ARG002
        """Quote value of a contract where no list says it; None where quantities are base units."""
        return None

    def instruments(self, url: str, data: bytes) -> list[Instrument] | None:
        """The instruments of a recorded list; None when the address is no list of this venue. Raises ValueError for
        a list that cannot be read."""
        ...

    def depth_snapshot(self, url: str, data: bytes) -> DepthSnapshot | None:  # noqa: ARG002
        """A depth snapshot that is to be joined to the stream; None when the address gives none, as where snapshots
        come with the stream. Raises BadFrame."""
        return None

    def control(self, message: Mapping[str, object]) -> Sequence[Fact]:
        """What an ack, an error or another control frame says."""
        ...

    def subscribe(self, spellings: Sequence[str], *, source: str, depth: int) -> list[Request]:
        """The requests that subscribe the market data of these spellings; source "depth" or "bbo", depth 0 for the
        venue's default. Raises ValueError for a depth that the venue does not offer."""
        ...

    def unsubscribe(self, spellings: Sequence[str], *, source: str, depth: int) -> list[Request]:
        """The requests that end what subscribe() with the same arguments began."""
        ...

    def stream_url(self, address: str) -> str:
        """The address to connect to for market data; `address` may be a server without a path."""
        return address

    def instruments_call(self) -> Call:
        """Where the venue lists its instruments; instruments() reads the answer."""
        ...

    def rules_call(self, spellings: Sequence[str]) -> Call:  # noqa: ARG002
        """Where the rules of listed instruments are to be had once more; a shorter answer than the whole list, where
        the venue gives one."""
        return self.instruments_call()

    def snapshot_call(self, spelling: str, depth: int) -> Call | None:  # noqa: ARG002
        """Where a depth snapshot for the stream is to be had; None where snapshots come with the stream."""
        return None

    def depth_answer(self, last_id: int, bids: Sequence[Sequence[str]], asks: Sequence[Sequence[str]]) -> bytes | None:  # noqa: ARG002
        """A book, [price, quantity] best first, as snapshot_call() would be answered; None as there."""
        return None

    def time_call(self) -> Call | None:
        """Where the venue says what time it is; None where it does not."""
        return None

    def server_time(self, body: bytes) -> tuple[int, int] | None:  # noqa: ARG002
        """Time since 1970 and its resolution, both in ns, of an answer to time_call(); None for an unreadable one."""
        return None

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure | None:
        """What an HTTP answer says went wrong; None when nothing did. Header names are in lower case."""
        ...

    def used_weight(self, headers: Mapping[str, str]) -> int | None:  # noqa: ARG002
        """How much of the REST budget's window is used up, as the venue counts; None where it does not say."""
        return None


def packed(body: object) -> bytes:
    """A request's JSON as venues like it: no white space."""
    return json.dumps(body, separators=(",", ":")).encode()


def in_chunks(items: Sequence[str], size: int) -> list[list[str]]:
    """As many requests as a limit on the items of one needs."""
    return [list(items[k : k + size]) for k in range(0, len(items), size)]


class BadFrame(ValueError):
    """A frame whose content must not be believed; `spelling` is the book it names, where it names one."""

    def __init__(self, reason: str, spelling: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.spelling = spelling
