"""Nouns that several packages share; frozen structs, exact numbers as Decimal."""

from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Literal

import msgspec

Side = Literal["buy", "sell"]
TimeInForce = Literal["ioc", "fok", "gtc"]


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """What a venue trades under one spelling. Unknown rules are None (formulas.md: treated as absent)."""

    symbol: str  # BASE-QUOTE[-SUFFIX]
    spelling: str  # the venue's own
    base: str
    quote: str
    tick: Decimal | None = None  # quote units
    lot: Decimal | None = None  # base units
    min_qty: Decimal | None = None  # base units
    max_qty: Decimal | None = None  # base units, of one limit order
    min_notional: Decimal | None = None  # quote units
    contract_size: Decimal | None = None  # quote units a contract; None where quantities are base units
    code: int | None = None  # the venue's number of the market, where orders over a line name it by that
    price_decimals: int | None = None  # of a checksum's text
    qty_decimals: int | None = None
    delivered_as: str = ""  # the spelling under which its books come, where they come under another's only
    is_open: bool = True  # takes an ordinary limit order now; so where its status is unknown


class DepthSnapshot(msgspec.Struct, frozen=True):
    """A book fetched beside the stream. Levels are (side, price mantissa, decimals, decimals as written, quantity
    mantissa, decimals, decimals as written), side 0 bid, 1 ask."""

    spelling: str | None  # None: the address does not say
    last_id: int
    levels: list[tuple[int, int, int, int, int, int, int]]


class DeadLetter(msgspec.Struct, frozen=True):
    """A frame that could not be used: why, whose, the bytes as they came, and what it would have become."""

    reason: str
    venue: str
    conn: str
    recv_ns: int
    raw: bytes
    topic: str = "market.normalized"


class SubscribedDepth(msgspec.Struct, frozen=True):
    """A venue confirmed how many levels a side it sends for a spelling on this connection."""

    spelling: str
    depth: int


class ListedInstruments(msgspec.Struct, frozen=True):
    """Instruments that a stream itself described."""

    instruments: list[Instrument]


class VenueNotice(msgspec.Struct, frozen=True):
    """What a venue says about the connection: an error, a status, or that it is about to close."""

    text: str
    is_error: bool
    is_closing: bool = False


class Acknowledged(msgspec.Struct, frozen=True):
    """A venue took a request on this connection: a subscription or its end."""


class Category(StrEnum):
    """What kind of failure a call met, and so what to do about it (product.md, "Error category -> strategy")."""

    RATE_LIMIT = "rate_limit"
    TRANSIENT_NETWORK = "transient_network"
    VENDOR_5XX = "vendor_5xx"
    AUTH = "auth"
    DATA_INCONSISTENCY = "data_inconsistency"
    PERMANENT_4XX = "permanent_4xx"


class Failure(msgspec.Struct, frozen=True):
    """Why a call to a venue did not give what was asked.

    `execution_unknown`: had the call been an order, nobody could tell whether the venue carried it out; such a call is
    never sent again, it is asked about. `wait_sec`: how long the venue wants to be left alone, where it says so.
    """

    category: Category
    text: str
    code: str = ""
    execution_unknown: bool = False
    wait_sec: float | None = None


class Request(msgspec.Struct, frozen=True):
    """A frame to send on a connection."""

    data: bytes


def rfc3339(ns: int) -> str:
    """ns since 1970 as RFC 3339 in UTC with nine decimals and a Z, as every time is written for the outside."""
    seconds, fraction = divmod(ns, 1_000_000_000)
    return f"{_second(seconds)}.{fraction:09d}Z"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
