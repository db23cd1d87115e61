"""Facts of the market data side: connections and books that came and went, and what could not be used."""

import msgspec


class FeedUp(msgspec.Struct, frozen=True, kw_only=True):
    """A connection to a venue stands and its subscriptions are sent."""

    venue: str
    conn: str
    schema_ver: str = "1"


class FeedDown(msgspec.Struct, frozen=True, kw_only=True):
    """A connection to a venue ended, whoever ended it."""

    venue: str
    conn: str
    reason: str
    schema_ver: str = "1"


class BookSynced(msgspec.Struct, frozen=True, kw_only=True):
    """A book may be believed again."""

    venue: str
    symbol: str
    schema_ver: str = "1"


class BookLost(msgspec.Struct, frozen=True, kw_only=True):
    """A book may not be believed any more."""

    venue: str
    symbol: str
    reason: str
    schema_ver: str = "1"


class DeadLettered(msgspec.Struct, frozen=True, kw_only=True):
    """Something that could not be used, kept as it came."""

    letter_id: int  # grows by one in the life of a journal
    topic: str  # what it would have become: market.normalized, order.status, ...
    venue: str
    conn: str
    reason: str
    recv_ns: int
    raw: bytes
    schema_ver: str = "1"


class DeadLettersPurged(msgspec.Struct, frozen=True, kw_only=True):
    """An operator threw dead letters away."""

    letter_ids: tuple[int, ...]
    by: str
    schema_ver: str = "1"
