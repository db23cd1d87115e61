"""The daemon as the dashboard sees it: plain rows copied out of the live parts, cold and bounded."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from gambit._core.fixed import to_text
from gambit.model import rfc3339
from gambit.runtime import books_of_account
from gambit.runtime.daemon import Daemon
from gambit.runtime.ticks import TickReader
from gambit.surface.methods import Rows
from gambit.surface.metrics import Histogram, Registry

ROWS: Final = 50
ALERTS: Final = 100
REASONS_MAX: Final = 20
SCHEMA_VERSION: Final = "1"
DAY_NS: Final = 86_400 * 1_000_000_000


class LagWindow:
    """How late each venue's frames came of late, by the venue's own clock."""

    def __init__(self) -> None:
        self._heard: dict[str, list[NDArray[np.int64]]] = {}
        self._last: dict[str, tuple[int, int]] = {}

    def hear(self, venue: str, lags_ns: NDArray[np.int64]) -> None:
        """Some frames' lags."""
        self._heard.setdefault(venue, []).append(lags_ns)

    def read(self) -> Mapping[str, tuple[int, int]]:
        """(p50, p99) in ns by venue, of what was heard since the last time; the last ones where nothing was."""
        for venue, heard in self._heard.items():
            p50, p99 = np.percentile(np.concatenate(heard), (50, 99))
            self._last[venue] = (int(p50), int(p99))
        self._heard.clear()
        return self._last


class Drawdown:
    """How far the day's result is below its best, and was at worst, since this run began; UTC days."""

    def __init__(self) -> None:
        self._day = -1
        self._best = self._worst = Decimal(0)

    def take(self, result: Decimal, now_ns: int) -> dict[str, str]:
        """`drawdown` and `drawdown_worst`, decimal text, never negative."""
        day = now_ns // DAY_NS
        if day != self._day:
            self._day, self._best, self._worst = day, max(result, Decimal(0)), Decimal(0)
        self._best = max(self._best, result)
        below = self._best - result
        self._worst = max(self._worst, below)
        return {"drawdown": f"{below:f}", "drawdown_worst": f"{self._worst:f}"}


class LivePictures:
    """Rows of a running daemon; see gambit.web.updates.Pictures. `daemon` is asked at each call, `ticks` is a cursor of
    its own, `sockets` tells of the dashboard's own connections, `alerts` of what is wrong now."""

    def __init__(
        self,
        daemon: Callable[[], Daemon],
        registry: Registry,
        ticks: TickReader,
        lags: LagWindow,
        *,
        sockets: Callable[[], Mapping[str, int]],
        alerts: Callable[[], Sequence[msgspec.Struct]],
        book_age_sec: float,
        is_play_money: bool,
    ) -> None:
        self._daemon = daemon
        self._registry = registry
        self._ticks = ticks
        self._lags = lags
        self._sockets = sockets
        self._alerts = alerts
        self._book_age_sec = book_age_sec
        self._is_play_money = is_play_money
        self._drawdown = Drawdown()

    def trading(self) -> dict[str, Any]:
        """The trading state, who set it and why, and until when live orders may leave."""
        parts = self._daemon().parts
        kept, trading = parts.switch.kept, parts.dealing.desk.standing.state.trading
        return {
            "state": kept.state,
            "reason": kept.reason,
            "by": kept.by,
            "since": rfc3339(kept.since_ns),
            "mode": parts.started.mode,
            "play_money": self._is_play_money,
            "armed_until": rfc3339(trading.armed_until_ns) if trading.armed_until_ns else None,
            "halted_scopes": dict(sorted(trading.scopes.items())),
            "schema_ver": SCHEMA_VERSION,
        }

    def system(self) -> dict[str, Any]:
        """Readings: feeds with their lag, rates, latencies, journal, database, the dashboard's own connections."""
        daemon = self._daemon()
        status = daemon.parts.readings.status()
        lags = self._lags.read()
        for venue in status["venues"]:
            venue["lag_p50_ns"], venue["lag_p99_ns"] = lags.get(venue["venue"], (None, None))
            venue["order_submit"] = spread(self._registry["gambit_order_submit_seconds"].histogram(venue["venue"]))
        latency = status["latency"]
        latency["tick_to_order"] = spread(self._registry["gambit_tick_to_order_seconds"].histogram())
        status["reasons"] = status["reasons"][:REASONS_MAX]
        status["degraded"] = bool(daemon.problems) or any(venue["state"] != "up" for venue in status["venues"])
        status["book_age_max_sec"] = self._book_age_sec
        return {**status, "sockets": dict(self._sockets()), "schema_ver": SCHEMA_VERSION}

    def account(self) -> dict[str, Any]:
        """Positions, balances, the result."""
        parts = self._daemon().parts
        desk, marks, now_ns = parts.dealing.desk, parts.dealing.marks(), parts.clock.now_ns()
        pnl = books_of_account.pnl(desk, marks, now_ns)
        pnl |= self._drawdown.take(Decimal(pnl["result_today"]), now_ns)
        return {
            "positions": books_of_account.positions(desk, marks),
            "balances": books_of_account.balances(desk),
            "pnl": pnl,
            "schema_ver": SCHEMA_VERSION,
        }

    def board(self, most: int) -> Sequence[Mapping[str, Any]]:
        """The best opportunities that are open."""
        return self._daemon().parts.readings.board.top(most)

    def touches(self) -> Iterable[dict[str, Any]]:
        """The touch of each book that moved since the last time (market.normalized)."""
        latest: dict[int, Any] = {}
        for block in self._ticks.blocks():
            markets, first_of_reversed = np.unique(block["market"][::-1], return_index=True)
            for market, place in zip(markets, first_of_reversed, strict=True):
                latest[int(market)] = block[len(block) - 1 - place].copy()
        listings = self._daemon().parts.market.listings
        return [_touch(listings[market].venue, listings[market].symbol, tick) for market, tick in latest.items()]

    def orders(self) -> Sequence[Mapping[str, Any]]:
        """The latest orders."""
        return books_of_account.orders(self._daemon().parts.dealing.desk, Rows(limit=ROWS))

    def plans(self) -> Sequence[Mapping[str, Any]]:
        """The latest plans."""
        dealing = self._daemon().parts.dealing
        return books_of_account.plans(dealing.desk, Rows(limit=ROWS), dealing.marks())

    def order(self, key: str) -> Mapping[str, Any] | None:
        """One order by its client order id."""
        return books_of_account.order(self._daemon().parts.dealing.desk, key)

    def plan(self, plan_id: str) -> Mapping[str, Any] | None:
        """One plan."""
        dealing = self._daemon().parts.dealing
        return books_of_account.plan(dealing.desk, plan_id, dealing.marks())

    def alerts(self) -> Sequence[Mapping[str, Any]]:
        """What is raised and what was, newest first."""
        rows = [msgspec.to_builtins(row) for row in self._alerts()]
        return sorted(rows, key=lambda row: row["created_ns"], reverse=True)[:ALERTS]


def _touch(venue: str, symbol: str, tick: Any) -> dict[str, Any]:
    (bid, ask), (bid_dec, ask_dec) = tick["price"].tolist(), tick["price_dec"].tolist()
    (bid_qty, ask_qty), qty_dec = tick["qty"].tolist(), tick["qty_dec"].tolist()
    has_both = bid >= 0 and ask >= 0
    return {
        "symbol": symbol,
        "venue": venue,
        "bid": to_text(bid, bid_dec) if bid >= 0 else None,
        "bid_qty": to_text(bid_qty, qty_dec[0]) if bid >= 0 else None,
        "ask": to_text(ask, ask_dec) if ask >= 0 else None,
        "ask_qty": to_text(ask_qty, qty_dec[1]) if ask >= 0 else None,
        "mid": _middle(bid, bid_dec, ask, ask_dec) if has_both else None,
        "ts": rfc3339(int(tick["recv_ns"])),
        "schema_ver": SCHEMA_VERSION,
    }


def _middle(bid: int, bid_dec: int, ask: int, ask_dec: int) -> str:
    """Exactly between two prices."""
    dec = max(bid_dec, ask_dec)
    total = bid * 10 ** (dec - bid_dec) + ask * 10 ** (dec - ask_dec)
    text = to_text(total * 5, dec + 1)
    return text.rstrip("0").rstrip(".") if "." in text else text


def spread(histogram: Histogram) -> dict[str, int]:
    """count, p50 and p99 in ns of what a histogram has; within a bucket values are taken as even."""
    return {
        "count": sum(histogram.counts),
        "p50_ns": quantile(histogram.bounds, histogram.counts, 0.5),
        "p99_ns": quantile(histogram.bounds, histogram.counts, 0.99),
    }


def quantile(bounds: Sequence[int], counts: Sequence[int], share: float) -> int:
    """The value that this share of the observations does not exceed; the last bound for what is beyond it."""
    due = share * sum(counts)
    below, so_far = 0, 0
    for bound, count in zip(bounds, counts, strict=False):
        if count and so_far + count >= due:
            return below + int((bound - below) * (due - so_far) / count)
        below, so_far = bound, so_far + count
    return below if so_far < sum(counts) else 0
