"""Collectors: at each scrape they copy what the parts count for themselves into the metrics."""

import os
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gambit.events import Fact
from gambit.events.orders import OrderMoved
from gambit.runtime.answer_times import SentTimes
from gambit.runtime.clock import Clock
from gambit.runtime.daemon import Daemon
from gambit.runtime.health import REASONS
from gambit.runtime.logs import Sink
from gambit.runtime.progress import Progress
from gambit.runtime.ticks import TickReader
from gambit.surface.control import ControlServer
from gambit.surface.metrics import Registry

STATES = ("ACTIVE", "REDUCING", "HALTED")
ERROR_CATEGORY = "data_inconsistency"


class Lags:
    """How long frames were on their way, per venue, into the histogram of the metrics."""

    def __init__(self, registry: Registry) -> None:
        self._family = registry["gambit_ingestion_lag_seconds"]
        self._bounds = np.array(self._family.declared.bounds, np.int64)

    def __call__(self, venue: str, lags_ns: NDArray[np.int64]) -> None:
        histogram = self._family.histogram(venue)
        places = np.searchsorted(self._bounds, lags_ns, side="left")
        counts = np.bincount(places, minlength=len(self._bounds) + 1)
        histogram.load(
            [had + int(more) for had, more in zip(histogram.counts, counts, strict=True)],
            histogram.total + int(np.maximum(lags_ns, 0).sum()),
        )


class Gauges:
    """Everything of a daemon that is read when somebody scrapes; hand it to Registry.collect."""

    def __init__(
        self,
        registry: Registry,
        daemon: Daemon,
        clock: Clock,
        control: ControlServer,
        ticks: Sequence[TickReader],
        state_dir: str,
        dashboard: Callable[[], Mapping[str, int]],
    ) -> None:
        self.registry = registry
        self.daemon = daemon
        self.clock = clock
        self.control = control
        self.ticks = ticks
        self.state_dir = state_dir
        self.dashboard = dashboard

    def __call__(self) -> None:
        self._feeds()
        self._books()
        count_dead_letters(self.registry, self.daemon.parts.ledger.letter_counts)
        self._keeping()
        self._outside()

    def _feeds(self) -> None:
        reg, market = self.registry, self.daemon.parts.market
        for feed in self.daemon.parts.feeds.statuses():
            reg["gambit_frames_total"].of(feed.venue).set(feed.frames)
            reg["gambit_feed_up"].of(feed.venue).set(feed.connections_up)
            reg["gambit_feed_connects_total"].of(feed.venue).set(feed.connections + feed.reconnects)
            reg["gambit_circuit_open"].of(feed.venue).set(int(feed.circuit_open))
            for reason in REASONS:
                reg["gambit_book_resyncs_total"].of(feed.venue, reason).set(feed.resync_reasons.get(reason, 0))
            for category, count in feed.rest_failures.items():
                reg["gambit_http_requests_total"].of(feed.venue, category).set(count)
            good = feed.rest_calls - sum(feed.rest_failures.values())
            reg["gambit_http_requests_total"].of(feed.venue, "ok").set(max(0, good))
            state = market.venues.get(feed.venue)
            if state is not None:
                bad = market.hot.venue_counts(state.index)["quarantined"]
                reg["gambit_frame_errors_total"].of(feed.venue, ERROR_CATEGORY).set(bad)

    def _books(self) -> None:
        reg, market, now_ns = self.registry, self.daemon.parts.market, self.clock.now_ns()
        for listing, state in zip(market.listings, market.pairs.states(), strict=True):
            reg["gambit_book_synced"].of(*listing).set(int(state[0]))
            reg["gambit_book_age_seconds"].of(*listing).set(now_ns - state[2] if state[2] >= 0 else float("nan"))

    def _keeping(self) -> None:
        reg, parts = self.registry, self.daemon.parts
        reg["gambit_opportunities_open"].of().set(len(parts.readings.board.open))
        reg["gambit_ring_overruns_total"].of("ticks").set(sum(reader.lost for reader in self.ticks))
        reg["gambit_journal_seq"].of().set(parts.keeping.journal.head)
        reg["gambit_journal_failed"].of().set(int(parts.keeping.journal.failed is not None))
        reg["gambit_journal_unsynced_records"].of().set(parts.keeping.journal.head - parts.keeping.journal.synced)
        syncs = parts.keeping.journal.sync_times
        reg["gambit_journal_fsync_seconds"].histogram().load(syncs.counts, syncs.total_ns)
        reg["gambit_store_lag_records"].of().set(parts.keeping.store.lag)
        reg["gambit_store_failed"].of().set(int(parts.keeping.store.problem is not None))
        reg["gambit_disk_free_bytes"].of().set(parts.soundness.free)
        reg["gambit_degraded"].of().set(len(self.daemon.reasons))
        reg["gambit_store_samples_dropped_total"].of().set(parts.keeping.store.dropped)
        reg["gambit_disk_free_ratio"].of().set(free_ratio(self.state_dir))
        for state in STATES:
            reg["gambit_trading_state"].of(state).set(int(parts.switch.state == state))
        reg["gambit_ready"].of().set(int(self.daemon.is_ready))
        reg["gambit_uptime_seconds"].of().set(self.clock.now_ns() - parts.readings.started_ns)

    def _outside(self) -> None:
        reg, counts, pages = self.registry, self.control.counts, self.dashboard()
        reg["gambit_ws_subscribers"].of().set(self.control.subscribers + pages["subscribers"])
        reg["gambit_ws_conflated_total"].of().set(self.control.conflated + pages["conflated"])
        reg["gambit_ws_cut_total"].of().set(counts.cut + pages["cut"])
        reg["gambit_control_connections"].of().set(self.control.connections)
        reg["gambit_control_requests_total"].of("ok").set(counts.requests - counts.errors)
        reg["gambit_control_requests_total"].of("error").set(counts.errors)


def count_dead_letters(registry: Registry, counts: Mapping[tuple[str, str], int]) -> None:
    """By (topic, reason), those that were counted only too."""
    for (topic, reason), count in counts.items():
        registry["gambit_dlq_total"].of(topic, reason).set(count)


def free_ratio(folder: str) -> float:
    """What share of a folder's disk this user may still fill; NaN where nobody can tell."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return float("nan")
    return disk.f_bavail / disk.f_blocks if disk.f_blocks else float("nan")


class Host:
    """What the process around the daemon knows: parts that stand still, log lines nobody took, series too many."""

    def __init__(self, registry: Registry, progress: Progress | None, sink: Sink | None) -> None:
        self.registry = registry
        self.progress = progress
        self.sink = sink

    def __call__(self) -> None:
        reg = self.registry
        reg["gambit_metrics_refused_total"].of().set(reg.refused)
        if self.sink is not None:
            reg["gambit_log_dropped_total"].of().set(self.sink.dropped)
        if self.progress is not None:
            stalled = self.progress.stalled()
            for part in self.progress.parts:
                reg["gambit_progress_stalled"].of(part).set(int(part in stalled))


class OrderCounts:
    """Counts orders by the status they enter and times answers; a listener of the ledger."""

    def __init__(self, registry: Registry) -> None:
        self._entered = registry["gambit_orders_total"]
        self._submits = registry["gambit_order_submit_seconds"]
        self._sent = SentTimes()

    def __call__(self, fact: Fact, now_ns: int) -> None:
        if isinstance(fact, OrderMoved):
            self._entered.of(fact.venue, fact.status).add()
        word = self._sent.first_word(fact, now_ns)
        if word is not None:
            venue, took_ns = word
            self._submits.histogram(venue).observe(took_ns)
