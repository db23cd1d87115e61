"""The answers of the control socket's methods: frozen pictures that the daemon hands out and the CLI and `top` read.

Times are ns since the epoch, durations ns (`_ns`) or seconds (`_sec`); prices and quantities decimal text.
"""

from typing import Any

import msgspec


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """One stage's durations since the start."""

    count: int
    p50_ns: int
    p99_ns: int
    p999_ns: int
    max_ns: int


class VenueStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One venue's feed: `state` is up, syncing, degraded, down or given_up; `reason` says why when it is not up."""

    venue: str
    state: str
    reason: str = ""
    connections: int = 0
    connections_up: int = 0
    books: int = 0
    books_synced: int = 0
    frames: int = 0
    frames_per_sec: float = 0.0
    frame_errors: int = 0
    resyncs: int = 0
    last_frame_age_sec: float | None = None
    lag_p50_ns: int | None = None
    lag_p99_ns: int | None = None
    clock_offset_ns: int | None = None  # the venue's clock minus ours
    circuit_open: bool = False
    is_slow_path: bool = False  # over ccxt


class JournalStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How far the journal is, by sequence number; `failed` says why nothing can be appended any more."""

    head: int = 0
    written: int = 0
    synced: int = 0
    failed: str | None = None


class StoreStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How far the database is behind the journal."""

    applied: int = 0
    lag_records: int = 0
    failed: str | None = None


class AccountStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One account that orders go to: `reason` says why it is not up; `held` is auth or rights where it stays so until
    its keys change or an operator asks."""

    venue: str
    up: bool
    reason: str = ""
    held: str = ""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The daemon: `state` is starting, running, degraded, safe_mode or stopping."""

    state: str
    trading_state: str  # ACTIVE, REDUCING, HALTED
    mode: str  # paper, live
    version: str
    pid: int
    started_ns: int
    uptime_sec: float
    ready: bool
    reasons: tuple[str, ...] = ()  # why it is not ready, or degraded
    trading_reason: str = ""
    halted_scopes: dict[str, str] = {}  # symbols and venues that the desk halted by itself, and why
    armed_until_ns: int = 0  # live only
    venues: tuple[VenueStatus, ...] = ()
    accounts: tuple[AccountStatus, ...] = ()  # live only
    books: int = 0
    books_synced: int = 0
    opportunities_open: int = 0
    signals: int = 0
    frames_per_sec: float = 0.0
    signals_per_sec: float = 0.0
    latency: dict[str, Latency] = {}  # by stage: tick_to_signal, ...
    loop_lag_p99_ns: int = 0
    journal: JournalStatus = JournalStatus()
    store: StoreStatus = StoreStatus()
    dead_letters: int = 0
    metrics_address: str = ""
    web_address: str = ""
    rss_bytes: int = 0
    cpu_share: float = 0.0  # of one core, over the last second or so


class BookView(msgspec.Struct, frozen=True, kw_only=True):
    """One book's touch; prices and quantities are None on an empty side."""

    venue: str
    symbol: str
    synced: bool
    bid: str | None = None
    bid_qty: str | None = None
    ask: str | None = None
    ask_qty: str | None = None
    age_sec: float | None = None
    resyncs: int = 0
    degraded: bool = False


class OpportunityView(msgspec.Struct, frozen=True, kw_only=True):
    """One opportunity: as the engine raised it, and whether it is over. Further fields of the signal in `signal`."""

    opp_id: str
    raw_signal_id: str
    symbol: str
    base_asset: str
    quote_asset: str
    venue_buy: str
    venue_sell: str
    net_bps: float
    spread_bps: float
    profit_quote: float
    qty: str
    score: float
    ttl_sec: float
    created_at: str  # of its signal, the latest of its episode: RFC 3339, UTC
    raised_ns: int  # when its episode began
    closed_ns: int | None = None
    close_reason: str = ""
    signal: dict[str, Any] = {}


class StateChange(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to halt, reduce and resume."""

    state: str
    was: str
    reason: str = ""


class Stopping(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to stop: the daemon ends by itself; `pid` is the process to wait for."""

    pid: int


class Reloaded(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to reload: which keys are in force now, and which wait for a restart."""

    changed: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()


class Requeued(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to dlq.requeue and dlq.purge: what was done, and what could not be and why."""

    done: tuple[int, ...] = ()
    failed: dict[int, str] = {}


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file the daemon made: a snapshot to query, a backup."""

    path: str
    bytes: int
    seq: int  # the journal's sequence number it holds everything up to
    made_ns: int
