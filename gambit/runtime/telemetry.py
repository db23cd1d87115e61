"""Time series for the store: how late feeds are, how fast venues answer orders, signals and errors, every few seconds.

A row is a summary of its interval; an interval without anything to tell has no row.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gambit.events import Fact
from gambit.runtime.answer_times import SentTimes

Row = dict[str, object]
INTERVAL_NS: Final = 10_000_000_000


class Telemetry:
    """Hears lags, signals and order facts; `errors` gives unusable frames so far by venue."""

    def __init__(self, on_rows: Callable[[str, list[Row]], None], errors: Callable[[], Mapping[str, int]]) -> None:
        self._on_rows = on_rows
        self._errors = errors
        self._lags: defaultdict[str, list[NDArray[np.int64]]] = defaultdict(list)
        self._answers: defaultdict[str, list[int]] = defaultdict(list)
        self._sent = SentTimes()
        self._signals: Counter[str] = Counter()
        self._errors_told: dict[str, int] = {}
        self._due_ns = 0

    def lag(self, venue: str, lags_ns: NDArray[np.int64]) -> None:
        """How long frames of a venue were on their way."""
        self._lags[venue].append(lags_ns)

    def signal(self, event: Mapping[str, Any]) -> None:
        """A signal or an episode's end."""
        if event["event"] == "raised":
            self._signals[event["symbol"]] += 1

    def fact(self, fact: Fact, now_ns: int) -> None:
        """A fact of the order path: the time from a send to the venue's first word is its latency."""
        word = self._sent.first_word(fact, now_ns)
        if word is not None:
            venue, took_ns = word
            self._answers[venue].append(took_ns)

    def turn(self, now_ns: int) -> None:
        """Write what is due."""
        if now_ns < self._due_ns:
            return
        is_first, self._due_ns = self._due_ns == 0, now_ns + INTERVAL_NS
        if not is_first:
            self.finish(now_ns)

    def finish(self, now_ns: int) -> None:
        """Write what there is."""
        lags = {venue: np.concatenate(parts) for venue, parts in self._lags.items()}
        self._write(
            "ts_ingestion_lag", [{"ts_ns": now_ns, "venue": v, "frames": len(x), **_spread(x)} for v, x in lags.items()]
        )
        self._write(
            "ts_order_latency",
            [
                {"ts_ns": now_ns, "venue": venue, "orders": len(spans), **_spread(np.array(spans, np.int64))}
                for venue, spans in self._answers.items()
            ],
        )
        self._write(
            "ts_arb_signal_throughput",
            [{"ts_ns": now_ns, "symbol": symbol, "signals": count} for symbol, count in self._signals.items()],
        )
        self._write("ts_errors", self._new_errors(now_ns))
        self._lags.clear()
        self._answers.clear()
        self._signals.clear()

    def _new_errors(self, now_ns: int) -> list[Row]:
        rows: list[Row] = []
        for venue, count in self._errors().items():
            new = count - self._errors_told.get(venue, 0)
            self._errors_told[venue] = count
            if new:
                rows.append({"ts_ns": now_ns, "component": venue, "category": "data_inconsistency", "errors": new})
        return rows

    def _write(self, table: str, rows: Sequence[Row]) -> None:
        if rows:
            self._on_rows(table, list(rows))


def _spread(spans_ns: NDArray[np.int64]) -> Row:
    p50, p99 = np.percentile(spans_ns, (50, 99), method="inverted_cdf")
    return {"p50_ns": int(p50), "p99_ns": int(p99), "max_ns": int(spans_ns.max())}
