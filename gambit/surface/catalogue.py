"""Every metric gambit has: name, kind, what it means, labels. Nothing else is exposed.

Base units as Prometheus wants them; inside, what is named seconds is counted in ns.
"""

from typing import Final

from gambit.surface.metrics import NS_PER_SEC, Declared, Kind

# Powers of two, so that the hot path's own histograms fit them: 1 us .. 1.07 s.
FAST: Final = tuple(1 << power for power in range(10, 31))
# What people think in, with the thresholds of the alerts among them: 1 ms .. 30 s.
SLOW: Final = tuple(
    ms * 1_000_000
    for ms in (1, 2, 5, 10, 20, 50, 100, 200, 300, 500, 1000, 2000, 5000, 10_000, 30_000)
)  # fmt: skip


def _seconds(name: str, text: str, labels: tuple[str, ...] = (), bounds: tuple[int, ...] = ()) -> Declared:
    kind: Kind = "histogram" if bounds else "gauge"
    return Declared(name, kind, text, labels, NS_PER_SEC, bounds)


def _counter(name: str, text: str, *labels: str) -> Declared:
    return Declared(name, "counter", text, labels)


def _gauge(name: str, text: str, *labels: str) -> Declared:
    return Declared(name, "gauge", text, labels)


FEEDS: Final = (
    _counter("gambit_frames_total", "Frames received from a venue.", "venue"),
    _counter("gambit_frame_errors_total", "Frames that could not be used, by error category.", "venue", "category"),
    _seconds("gambit_ingestion_lag_seconds", "Venue's time of a frame to its receipt.", ("venue",), SLOW),
    _gauge("gambit_feed_up", "Connections to a venue that stand.", "venue"),
    _counter("gambit_feed_connects_total", "Connections to a venue that were opened.", "venue"),
    _gauge("gambit_book_synced", "Whether a book may be believed (1) or not (0).", "venue", "symbol"),
    _seconds("gambit_book_age_seconds", "Time since a frame last confirmed a book.", ("venue", "symbol")),
    _counter("gambit_book_resyncs_total", "Books given up and fetched anew, by reason.", "venue", "reason"),
    _gauge("gambit_circuit_open", "Whether a venue's circuit breaker is open (1).", "venue"),
    _counter("gambit_dlq_total", "Dead letters, by what they would have become and why not.", "topic", "reason"),
    _counter("gambit_http_requests_total", "Requests to a venue's REST side, by outcome.", "venue", "outcome"),
)

ENGINE: Final = (
    _seconds("gambit_tick_to_signal_seconds", "Receipt of a frame to its signal being ready.", (), FAST),
    _seconds("gambit_tick_to_order_seconds", "Receipt of a frame to the order's bytes given to a socket.", (), FAST),
    _counter("gambit_signals_total", "Signals raised.", "symbol", "venue_buy", "venue_sell"),
    _gauge("gambit_opportunities_open", "Opportunities that last right now."),
    _counter("gambit_ring_overruns_total", "Entries a slow reader of a ring did not get.", "ring"),
)

ORDERS: Final = (
    _counter("gambit_orders_total", "Orders that entered a status.", "venue", "status"),
    _seconds("gambit_order_submit_seconds", "Order sent to the venue's answer.", ("venue",), SLOW),
    _gauge("gambit_trading_state", "The trading state: the current one is 1, the others 0.", "state"),
)

KEEPING: Final = (
    _gauge("gambit_journal_seq", "Sequence number of the newest journal record."),
    _gauge("gambit_journal_unsynced_records", "Journal records that a power cut would take."),
    _seconds("gambit_journal_fsync_seconds", "Duration of the journal's fsync.", (), FAST),
    _gauge("gambit_journal_failed", "Whether the journal takes no more records (1)."),
    _gauge("gambit_store_lag_records", "Journal records the database has not applied yet."),
    _gauge("gambit_disk_free_ratio", "Share of the state directory's disk that is free."),
    _gauge("gambit_store_failed", "Whether the database takes nothing now (1); it is tried again."),
    _gauge("gambit_disk_free_bytes", "Room on the disk of the state directory; -1: unknown."),
    _counter("gambit_store_samples_dropped_total", "Telemetry rows dropped since the database was too slow."),
)

OUTSIDE: Final = (
    _counter("gambit_api_requests_total", "Requests to the HTTP door, by route and status.", "route", "status"),
    _seconds("gambit_api_request_seconds", "Request to the HTTP door to its answer.", (), SLOW),
    _seconds("gambit_ws_round_trip_seconds", "Question to a peer of the WebSocket to its answer.", (), SLOW),
    _gauge("gambit_ws_subscribers", "Subscribers of the streams, over WebSocket and control socket."),
    _counter("gambit_ws_conflated_total", "Messages that a newer one replaced before a slow subscriber read them."),
    _counter("gambit_ws_cut_total", "Subscribers cut because they did not read."),
    _gauge("gambit_control_connections", "Connections to the control socket."),
    _counter("gambit_control_requests_total", "Requests on the control socket.", "outcome"),
    _counter("gambit_alerts_total", "Alerts raised.", "rule", "severity"),
    _seconds("gambit_alert_delivery_seconds", "An alert's raise to its arrival at a channel.", ("channel",), SLOW),
    _counter("gambit_alert_deliveries_total", "Messages that were to reach a channel.", "channel"),
    _counter("gambit_alert_delivery_failures_total", "Those of them that did not.", "channel"),
    _counter("gambit_log_dropped_total", "Log lines dropped since whoever reads them was too slow."),
    _counter("gambit_metrics_refused_total", "Series refused since their metric has too many."),
)

PROCESS: Final = (
    _seconds("gambit_loop_lag_seconds", "How late the event loop ran a timer.", (), FAST),
    _gauge("gambit_ready", "Whether every enabled venue is synced or given up (1)."),
    _gauge("gambit_degraded", "How many things are wrong with the daemon or its records; `gambit status` names them."),
    _gauge("gambit_progress_stalled", "Whether a part that has to move stands still (1).", "part"),
    _seconds("gambit_uptime_seconds", "Time since the daemon's start."),
    _gauge("gambit_build_info", "Always 1; the labels say what runs.", "version", "python", "mode"),
    Declared("process_cpu_seconds_total", "counter", "CPU time used, user and system.", (), NS_PER_SEC),
    _gauge("process_resident_memory_bytes", "Resident memory."),
    _gauge("process_virtual_memory_bytes", "Virtual memory."),
    _gauge("process_open_fds", "Open file descriptors."),
    _gauge("process_max_fds", "Most file descriptors that may be open."),
    _gauge("process_threads", "Threads."),
    _seconds("process_start_time_seconds", "Start of the process, since the epoch."),
)

METRICS: Final = (*FEEDS, *ENGINE, *ORDERS, *KEEPING, *OUTSIDE, *PROCESS)
