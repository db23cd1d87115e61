"""What is wanted of a venue's feed, and how the feed is, as the outside sees it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gambit.venues.wire import Venue


class FeedError(Exception):
    """A feed that cannot begin as configured; the text says what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedSettings:
    """What is wanted of one venue."""

    venue: Venue
    symbols: Sequence[str]
    ws: str
    rest: str
    source: str = "depth"
    depth: int = 0
    is_testnet: bool = False
    adapter: str = ""  # the library's name of an exchange that has no adapter here


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedStatus:
    """A venue's feed as the outside sees it."""

    venue: str
    state: str  # up: all books synced; syncing: not all; degraded: up, but late or on old REST answers; down
    reason: str  # why it is not up: what ended a connection last, or what the venue said
    connections: int  # that are wanted
    connections_up: int
    books: int
    books_synced: int
    missing: tuple[str, ...]  # symbols that the venue does not list, or delivers under another name only
    closed: tuple[str, ...]  # symbols whose market takes no orders now
    frames: int
    last_frame_age_sec: float | None
    lag_p50_ns: int | None  # receive time minus exchange time, the clocks' offset taken out where it is known
    lag_p99_ns: int | None
    clock_offset_ns: int | None  # the venue's clock minus ours
    clock_shift_ns: int | None  # the same where it is more than what it may be wrong by, else 0
    reconnects: int
    replaced: int
    resubscribed: int
    resyncs: int
    resync_reasons: Mapping[str, int]
    rest_calls: int
    rest_failures: Mapping[str, int]  # by category
    circuit_open: bool
    is_degraded: bool
    is_slow_path: bool
    notices: tuple[str, ...]
