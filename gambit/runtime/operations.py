"""What the outside may ask of a running daemon: readings as plain data, the same for the socket, the screens, a test.

Everything here is cold: it copies out of the live objects and never hands one out. The shapes are those of
gambit.surface.views, by name; nothing here knows a socket.
"""

import resource
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from gambit._core.latency import PyHistogram
from gambit.engine.board import Board
from gambit.engine.market import Market
from gambit.model import rfc3339
from gambit.procfs import RSS, own_stat
from gambit.runtime.clock import Clock
from gambit.runtime.feed import Feeds
from gambit.runtime.status import FeedStatus

SECOND_NS: Final = 1_000_000_000
PAGE_BYTES: Final = resource.getpagesize()


class OpportunityQuery(Protocol):
    """Filters of `opportunities`."""

    @property
    def symbol(self) -> str | None: ...
    @property
    def venue(self) -> str | None: ...
    @property
    def status(self) -> str | None: ...
    @property
    def since_ns(self) -> int | None: ...
    @property
    def open_only(self) -> bool: ...
    @property
    def limit(self) -> int: ...


class BookQuery(Protocol):
    """Filters of `books`."""

    @property
    def symbol(self) -> str | None: ...
    @property
    def venue(self) -> str | None: ...
    @property
    def limit(self) -> int: ...


class Readings:
    """Readings of a daemon's live parts; `life` tells what only the daemon knows: state, trading state, journal."""

    def __init__(
        self,
        market: Market,
        board: Board,
        feeds: Feeds,
        clock: Clock,
        latency: PyHistogram,
        life: Callable[[], Mapping[str, Any]],
    ) -> None:
        self.market = market
        self.board = board
        self.feeds = feeds
        self.clock = clock
        self.latency = latency
        self.life = life
        self.started_ns = clock.now_ns()
        self._rates = Rates()

    def turn(self) -> None:
        """Once a second: what rates are made of."""
        hot = self.market.hot
        frames = {name: hot.venue_counts(state.index)["frames"] for name, state in self.market.venues.items()}
        self._rates.add(self.clock.mono_ns(), {**frames, "": sum(frames.values()), "signals": self.board.raised})

    def frames(self) -> int:
        """Frames of all venues so far."""
        return sum(self.market.hot.venue_counts(state.index)["frames"] for state in self.market.venues.values())

    def status(self) -> dict[str, Any]:
        """The whole at a glance (contract.md, `gambit status`)."""
        states = self.market.pairs.states()
        return {
            **self.life(),
            "started_ns": self.started_ns,
            "uptime_sec": (self.clock.now_ns() - self.started_ns) / SECOND_NS,
            "venues": [self._venue(feed) for feed in self.feeds.statuses()],
            "books": len(states),
            "books_synced": sum(state[0] for state in states),
            "opportunities_open": len(self.board.open),
            "signals": self.board.raised,
            "frames_per_sec": self._rates.of(""),
            "signals_per_sec": self._rates.of("signals"),
            "latency": {"tick_to_signal": _spread(self.latency.summary()), **self._stages()},
            "rss_bytes": resident_bytes(),
            "cpu_share": self._rates.cpu_share,
        }

    def _stages(self) -> dict[str, dict[str, int]]:
        return {stage: _spread(summary) for stage, summary in self.market.hot.latencies().items()}

    def _venue(self, feed: FeedStatus) -> dict[str, Any]:
        venue = self.market.venues.get(feed.venue)
        return {
            "venue": feed.venue,
            "state": feed.state,
            "reason": feed.reason,
            "connections": feed.connections,
            "connections_up": feed.connections_up,
            "books": feed.books,
            "books_synced": feed.books_synced,
            "missing": feed.missing,
            "closed": feed.closed,
            "frames": feed.frames,
            "frames_per_sec": self._rates.of(feed.venue),
            "frame_errors": self.market.hot.venue_counts(venue.index)["quarantined"] if venue else 0,
            "reconnects": feed.reconnects,
            "resyncs": feed.resyncs,
            "last_frame_age_sec": feed.last_frame_age_sec,
            "lag_p50_ns": feed.lag_p50_ns,
            "lag_p99_ns": feed.lag_p99_ns,
            "clock_offset_ns": feed.clock_offset_ns,
            "circuit_open": feed.circuit_open,
            "is_slow_path": feed.is_slow_path,
        }

    def opportunities(self, query: OpportunityQuery) -> list[dict[str, Any]]:
        """Open ones best first, then, unless only open ones are wanted, the ended ones newest first."""
        symbols = (query.symbol,) if query.symbol else ()
        venues = (query.venue,) if query.venue else ()
        found: list[dict[str, Any]] = []
        if query.status != "closed":
            every = len(self.board.open)  # what is late enough is not always among the best
            found += [_opportunity(event) for event in self.board.top(every, symbols=symbols, venues=venues)]
        if not query.open_only and query.status != "open":
            found += [
                _opportunity(event)
                for event in self.board.recent(len(self.board.ended))
                if (not symbols or event["symbol"] in symbols)
                and (not venues or event["venue_buy"] in venues or event["venue_sell"] in venues)
            ]
        since_ns = query.since_ns
        return [row for row in found if since_ns is None or row["raised_ns"] >= since_ns][: query.limit]

    def books(self, query: BookQuery) -> list[dict[str, Any]]:
        """Every book's state, touch and age, by symbol and venue."""
        wanted = [
            (listing.symbol, listing.venue, market)
            for market, listing in enumerate(self.market.listings)
            if query.symbol in (None, listing.symbol) and query.venue in (None, listing.venue)
        ]
        rows = [self._book(market) for _, _, market in sorted(wanted)[: query.limit]]
        return [row for row in rows if row is not None]

    def _book(self, market: int) -> dict[str, Any] | None:
        book: dict[str, Any] | None = self.market.book(market, most=1)
        if book is None:
            return None
        (bid, bid_qty), (ask, ask_qty) = (book[side][0] if book[side] else (None, None) for side in ("bids", "asks"))
        last_ns = book["last_update_ns"]
        return {
            "venue": book["venue"],
            "symbol": book["symbol"],
            "synced": book["synced"],
            "bid": bid,
            "bid_qty": bid_qty,
            "ask": ask,
            "ask_qty": ask_qty,
            "age_sec": (self.clock.now_ns() - last_ns) / SECOND_NS if last_ns >= 0 else None,
            "resyncs": max(0, book["snapshots"] - 1),
        }


def _opportunity(event: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the board as the outside sees it."""
    is_over = event["event"] == "closed"
    named = (
        "opp_id", "raw_signal_id", "symbol", "base_asset", "quote_asset", "venue_buy", "venue_sell", "net_bps",
        "spread_bps", "profit_quote", "qty", "score", "ttl_sec",
    )  # fmt: skip
    return {
        **{name: event[name] for name in named},
        "created_at": rfc3339(event["raised_ns"] if is_over else event["recv_ns"]),
        "raised_ns": event["since_ns"],
        "closed_ns": event["recv_ns"] if is_over else None,
        "close_reason": event["reason"] if is_over else "",
        "signal": dict(event),
    }


def _spread(summary: Mapping[str, float]) -> dict[str, int]:
    return {
        "count": int(summary["count"]),
        "p50_ns": int(summary["p50"]),
        "p99_ns": int(summary["p99"]),
        "p999_ns": int(summary["p999"]),
        "max_ns": int(summary["max"]),
    }


def resident_bytes() -> int:
    """Memory of this process that is in RAM."""
    return int(own_stat()[RSS]) * PAGE_BYTES


class Rates:
    """Events a second over the last few seconds, from counters read once a second."""

    KEPT = 6

    def __init__(self) -> None:
        self._points: list[tuple[int, float, Mapping[str, int]]] = []

    def add(self, mono_ns: int, counts: Mapping[str, int]) -> None:
        """The counters as they stand."""
        self._points = [*self._points[1 - self.KEPT :], (mono_ns, time.process_time(), counts)]

    def of(self, name: str) -> float:
        """A counter's events a second."""
        if len(self._points) < 2:
            return 0.0
        (t0, _, first), (t1, _, last) = self._points[0], self._points[-1]
        return (last.get(name, 0) - first.get(name, 0)) * SECOND_NS / (t1 - t0) if t1 > t0 else 0.0

    @property
    def cpu_share(self) -> float:
        """Share of one core that this process took."""
        if len(self._points) < 2:
            return 0.0
        (t0, c0, _), (t1, c1, _) = self._points[0], self._points[-1]
        return (c1 - c0) * SECOND_NS / (t1 - t0) if t1 > t0 else 0.0
