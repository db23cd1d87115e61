"""What the outside may ask of a running daemon: readings as plain data, the same for the socket, the screens, a test.

Everything here is cold: it copies out of the live objects and never hands one out.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from gambit._core.latency import PyHistogram
from gambit.engine.board import Board
from gambit.engine.market import Market
from gambit.runtime.clock import Clock

SCHEMA_VERSION: Final = "1"
LISTED_MAX: Final = 1000
SECOND_NS: Final = 1_000_000_000


class FeedStatus(Protocol):
    """Per venue, what its feed says of itself."""

    def status(self) -> Mapping[str, Mapping[str, Any]]: ...


class OpportunityQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Filters of `opportunities`."""

    limit: int = 20
    symbols: tuple[str, ...] = ()
    venues: tuple[str, ...] = ()
    ended: bool = False


class BookQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Filters of `books`."""

    symbols: tuple[str, ...] = ()
    venues: tuple[str, ...] = ()
    levels: int = 0


class Readings:
    """Readings of a daemon's live parts. `state` tells its life's word, `trading_state` the trading state's."""

    def __init__(
        self,
        market: Market,
        board: Board,
        feeds: FeedStatus,
        clock: Clock,
        latency: PyHistogram,
        *,
        state: Callable[[], str],
        trading_state: Callable[[], str],
        ledger: Callable[[], Mapping[str, Any]],
        about: Mapping[str, Any],
    ) -> None:
        self.market = market
        self.board = board
        self.feeds = feeds
        self.clock = clock
        self.latency = latency
        self.state = state
        self.trading_state = trading_state
        self.ledger = ledger
        self.about = dict(about)
        self.started_ns = clock.now_ns()
        self._rates = Rates()

    def turn(self) -> None:
        """Once a second: what rates are made of."""
        self._rates.add(self.clock.mono_ns(), self.frames(), self.board.raised)

    def frames(self) -> int:
        """Frames of all venues so far."""
        return sum(self.market.hot.venue_counts(state.index)["frames"] for state in self.market.venues.values())

    def status(self) -> dict[str, Any]:
        """The whole at a glance (contract.md, `gambit status`)."""
        books = [book for book in (self.market.book(k, levels=False) for k in range(len(self.market.listings))) if book]
        frames_per_s, signals_per_s = self._rates.read()
        return {
            "schema_version": SCHEMA_VERSION,
            "state": self.state(),
            "trading_state": self.trading_state(),
            **self.about,
            "started_ns": self.started_ns,
            "uptime_sec": (self.clock.now_ns() - self.started_ns) / SECOND_NS,
            "venues": {name: self._venue(name, feed, books) for name, feed in self.feeds.status().items()},
            "books": len(books),
            "books_synced": sum(bool(book["synced"]) for book in books),
            "rates": {"frames_per_s": frames_per_s, "signals_per_s": signals_per_s},
            "signals": {"raised": self.board.raised, "closed": self.board.closed, "open": len(self.board.open)},
            "latency": {"tick_to_signal_ns": self.latency.summary(), **self._stages()},
            **self.ledger(),
        }

    def _stages(self) -> dict[str, Any]:
        return {f"{stage}_ns": summary for stage, summary in self.market.hot.latencies().items()}

    def _venue(self, name: str, feed: Mapping[str, Any], books: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        own = [book for book in books if book["venue"] == name]
        state = self.market.venues.get(name)
        counts = self.market.hot.venue_counts(state.index) if state else {}
        counts.pop("by_kind", None)
        return {
            **feed,
            **counts,
            "books": len(own),
            "books_synced": sum(bool(book["synced"]) for book in own),
            "gaps": sum(book["gaps"] for book in own),
        }

    def opportunities(self, query: OpportunityQuery) -> list[dict[str, Any]]:
        """The best open ones, best first, or the latest ended ones, newest first."""
        limit = max(1, min(query.limit, LISTED_MAX))
        if not query.ended:
            return self.board.top(limit, symbols=query.symbols, venues=query.venues)
        found = [
            event
            for event in self.board.recent(LISTED_MAX)
            if (not query.symbols or event["symbol"] in query.symbols)
            and (not query.venues or event["venue_buy"] in query.venues or event["venue_sell"] in query.venues)
        ]
        return found[:limit]

    def books(self, query: BookQuery) -> list[dict[str, Any]]:
        """Every book's state, touch and age, and its best `levels` levels a side."""
        found = []
        now_ns = self.clock.now_ns()
        for market, (venue, symbol) in enumerate(self.market.listings):
            if (query.venues and venue not in query.venues) or (query.symbols and symbol not in query.symbols):
                continue
            book = self.market.book(market, levels=query.levels > 0)
            if book is not None:
                bid, ask = self.market.pairs.touch(market)
                last_ns = book.pop("last_update_ns")
                found.append({**book, **_sides(book, query.levels), **_touch(bid, ask, last_ns, now_ns)})
        return sorted(found, key=lambda book: (book["symbol"], book["venue"]))


def _sides(book: Mapping[str, Any], levels: int) -> dict[str, Any]:
    return {side: book[side][:levels] for side in ("bids", "asks") if side in book}


def _touch(bid: float, ask: float, last_ns: Any, now_ns: int) -> dict[str, Any]:
    age_ms = (now_ns - last_ns) / 1e6 if isinstance(last_ns, int) and last_ns >= 0 else None
    return {"bid": bid or None, "ask": ask or None, "age_ms": age_ms}


class Rates:
    """Events a second over the last few seconds, from counters read once a second."""

    KEPT = 6

    def __init__(self) -> None:
        self._points: list[tuple[int, int, int]] = []

    def add(self, mono_ns: int, frames: int, signals: int) -> None:
        """The counters as they stand."""
        self._points = [*self._points[1 - self.KEPT :], (mono_ns, frames, signals)]

    def read(self) -> tuple[float, float]:
        """(frames, signals) a second."""
        if len(self._points) < 2:
            return 0.0, 0.0
        (t0, f0, s0), (t1, f1, s1) = self._points[0], self._points[-1]
        seconds = (t1 - t0) / SECOND_NS
        return ((f1 - f0) / seconds, (s1 - s0) / seconds) if seconds > 0 else (0.0, 0.0)
