"""The rules that are built in: product.md's catalogue and service levels, and what an operator has to hear of.

`critical`: now. `high`: within minutes. `medium`: today. `low`: good to know. Each has a page in docs/runbook.
"""

from typing import Final

from gambit.alerts.rule import Measure, Occurrence, Rule, Watch


def _above(metric: str, threshold: float, clear: float | None = None, **measure: object) -> tuple[Watch, ...]:
    return (_watch(metric, ">", threshold, clear, measure),)


def _is(metric: str, value: float, **measure: object) -> tuple[Watch, ...]:
    return (_watch(metric, "==", value, None, measure),)


def _watch(metric: str, op: str, threshold: float, clear: float | None, measure: dict[str, object]) -> Watch:
    return Watch(
        measures=(Measure(metric=metric, **measure),),  # type: ignore[arg-type]
        op=op,  # type: ignore[arg-type]
        threshold=threshold,
        clear=clear,
    )


DAEMON: Final = (
    Rule(
        rule_id="not_ready",
        severity="high",
        message="not ready: books of an enabled venue are missing",
        watches=_is("gambit_ready", 0),
        for_sec=120,
    ),
    Rule(
        rule_id="stalled",
        severity="critical",
        message="{part} stands still",
        watches=_is("gambit_progress_stalled", 1),
        for_sec=15,
    ),
    Rule(
        rule_id="halted",
        severity="critical",
        message="trading is halted by {by}: {reason}",
        starts=(Occurrence(kind="state.changed", where=(("state", "HALTED"),)),),
        ends=(
            Occurrence(kind="state.changed", where=(("state", "ACTIVE"),)),
            Occurrence(kind="state.changed", where=(("state", "REDUCING"),)),
        ),
        seen=_is("gambit_trading_state", 1, only=(("state", "HALTED"),))[0],
    ),
    Rule(
        rule_id="reducing",
        severity="high",
        message="only what lowers exposure is traded, by {by}: {reason}",
        starts=(Occurrence(kind="state.changed", where=(("state", "REDUCING"),)),),
        ends=(
            Occurrence(kind="state.changed", where=(("state", "ACTIVE"),)),
            Occurrence(kind="state.changed", where=(("state", "HALTED"),)),
        ),
        seen=_is("gambit_trading_state", 1, only=(("state", "REDUCING"),))[0],
    ),
    Rule(
        rule_id="crash_loop",
        severity="critical",
        message="{reason}",
        starts=(Occurrence(kind="state.changed", where=(("reason", "safe mode*"),)),),
        ends=(Occurrence(kind="state.changed", where=(("state", "ACTIVE"),)),),
    ),
    Rule(
        rule_id="restarted",
        severity="low",
        message="version {version} began, process {pid}, mode {mode}",
        starts=(Occurrence(kind="daemon.started"),),
        hold_sec=60,
    ),
    Rule(
        rule_id="loop_lag",
        severity="high",
        message="the event loop runs {value} late",
        watches=_above("gambit_loop_lag_seconds", 0.02, 0.015, how="p99"),
        for_sec=60,
        clear_sec=30,
        unit="s",
    ),
    Rule(
        rule_id="descriptors_run_out",
        severity="high",
        message="{value} of the file descriptors are in use",
        watches=_above("process_open_fds", 0.8, 0.7, over="process_max_fds"),
        for_sec=60,
        unit="share",
    ),
    Rule(
        rule_id="disk_filling",
        severity="critical",
        message="{value} of the disk of the state directory is free",
        watches=(Watch(measures=(Measure(metric="gambit_disk_free_ratio"),), op="<", threshold=0.1, clear=0.12),),
        for_sec=10,
        unit="share",
    ),
    Rule(
        rule_id="disk_nearly_full",
        severity="critical",
        message="{value} bytes are free for the state directory",
        watches=(
            Watch(
                measures=(Measure(metric="gambit_disk_free_bytes", where="gambit_disk_free_bytes"),),  # -1: unknown
                op="<",
                threshold=1 << 29,
            ),
        ),
    ),
    Rule(
        rule_id="degraded",
        severity="medium",
        message="{value} things are wrong with the daemon or its records",
        watches=_above("gambit_degraded", 0),
        for_sec=300,
    ),
)

MARKET_DATA: Final = (
    Rule(
        rule_id="ingestion_lag",
        severity="high",
        message="frames of {venue} arrive {value} late",
        watches=_above("gambit_ingestion_lag_seconds", 0.5, 0.4, how="p95"),
        for_sec=60,
        clear_sec=30,
        unit="s",
    ),
    Rule(
        rule_id="venue_down",
        severity="high",
        message="no connection to {venue} stands",
        watches=_is("gambit_feed_up", 0),
        for_sec=60,
    ),
    Rule(
        rule_id="venue_flapping",
        severity="medium",
        message="connections to {venue} end again and again; the last one: {reason}",
        starts=(Occurrence(kind="feed.down", scope=("venue",), count=10, within_sec=300),),
        hold_sec=300,
    ),
    Rule(
        rule_id="book_stale",
        severity="medium",
        message="{symbol} on {venue} has not moved for {value}",
        watches=_above("gambit_book_age_seconds", 5, where="gambit_book_synced"),
        for_sec=180,
        unit="s",
    ),
    Rule(
        rule_id="book_unsynced",
        severity="medium",
        message="{symbol} on {venue} cannot be believed",
        watches=_is("gambit_book_synced", 0, where="gambit_feed_up"),
        for_sec=60,
    ),
    Rule(
        rule_id="resync_storm",
        severity="high",
        message="{venue}: {value} books fetched anew within 5 minutes",
        watches=_above("gambit_book_resyncs_total", 60, how="increase", window_sec=300, by=("venue",)),
    ),
    Rule(
        rule_id="frame_errors",
        severity="medium",
        message="{value} of the frames of {venue} cannot be used",
        watches=_above(
            "gambit_frame_errors_total",
            0.02,
            0.01,
            how="increase",
            window_sec=300,
            over="gambit_frames_total",
            by=("venue",),
        ),
        for_sec=60,
        unit="share",
    ),
    Rule(
        rule_id="circuit_open",
        severity="high",
        message="{venue} fails again and again; its circuit breaker is open",
        watches=_is("gambit_circuit_open", 1),
        for_sec=30,
    ),
    Rule(
        rule_id="ring_overrun",
        severity="medium",
        message="ring {ring}: a reader was too slow and lost {value} entries",
        watches=_above("gambit_ring_overruns_total", 0, how="increase", window_sec=300),
    ),
    Rule(
        rule_id="signals_quiet",
        severity="medium",
        message="{value} signals of {symbol} within a minute",
        watches=(
            Watch(
                measures=(Measure(metric="gambit_signals_total", how="increase", by=("symbol",)),),
                op="<",
                threshold=1200,
            ),
        ),
        for_sec=60,
        is_enabled=False,  # off unless set (product.md)
    ),
)

ORDERS: Final = (
    Rule(
        rule_id="detection_slow",
        severity="high",
        message="signals are ready {value} after their frame",
        watches=_above("gambit_tick_to_signal_seconds", 0.3, how="p95", window_sec=300),
        for_sec=60,
        unit="s",
    ),
    Rule(
        rule_id="order_submit_slow",
        severity="high",
        message="{venue} answers orders after {value}",
        watches=_above("gambit_order_submit_seconds", 1, how="p95", window_sec=300),
        for_sec=60,
        unit="s",
    ),
    Rule(
        rule_id="orders_refused",
        severity="medium",
        message="{venue} refuses orders: {code} {text}",
        starts=(Occurrence(kind="order.rejected", scope=("venue",), correlation="key", count=5, within_sec=60),),
    ),
    Rule(
        rule_id="auth_refused",
        severity="critical",
        message="{venue} refuses our key: {code} {text}",
        starts=(Occurrence(kind="order.rejected", where=(("category", "auth"),), scope=("venue",), correlation="key"),),
        hold_sec=600,
    ),
    Rule(
        rule_id="account_held",
        severity="critical",
        message="no order goes to {venue}: {reason}",
        starts=(Occurrence(kind="account.held", scope=("venue",)),),
        ends=(Occurrence(kind="account.released", scope=("venue",)),),
    ),
    *(
        Rule(rule_id=rule_id, severity=severity, message="{message}", hold_sec=hold_sec)  # type: ignore[arg-type]
        for rule_id, severity, hold_sec in (
            ("unhedged", "critical", 1800),
            ("order_in_doubt", "high", 300),
            ("balance_difference", "high", 1800),
            ("execution_disputed", "high", 1800),
            ("foreign_fill", "high", 1800),
            ("foreign_order", "high", 1800),
            ("late_fill", "high", 1800),
            ("order_adopted", "high", 1800),
            ("nonsense", "high", 600),
            ("different_coin", "high", 60),
        )
    ),
    Rule(
        rule_id="scope_halted",
        severity="high",
        message="{message}",
        ends=(Occurrence(kind="scope.released", scope=("scope",)),),
    ),
    Rule(
        rule_id="execution_busted",
        severity="high",
        message="{venue} took execution {exec_id} of {symbol} back: {reason}",
        starts=(Occurrence(kind="execution.busted", scope=("venue", "symbol"), correlation="exec_id"),),
        hold_sec=1800,
    ),
)

KEEPING: Final = (
    Rule(
        rule_id="journal_failed",
        severity="critical",
        message="the journal takes no more records; no order leaves",
        watches=_is("gambit_journal_failed", 1),
    ),
    Rule(
        rule_id="store_failed",
        severity="high",
        message="the database takes nothing; it is tried again",
        watches=_is("gambit_store_failed", 1),
        for_sec=60,
    ),
    Rule(
        rule_id="store_behind",
        severity="medium",
        message="the database is {value} records behind the journal",
        watches=_above("gambit_store_lag_records", 100_000, 50_000),
        for_sec=60,
    ),
    Rule(
        rule_id="samples_dropped",
        severity="low",
        message="{value} telemetry rows were dropped within 5 minutes",
        watches=_above("gambit_store_samples_dropped_total", 0, how="increase", window_sec=300),
    ),
    Rule(
        rule_id="dead_letters",
        severity="medium",
        message="{value} dead letters of {topic} within 5 minutes",
        watches=_above("gambit_dlq_total", 100, how="increase", window_sec=300, by=("topic",)),
    ),
)

OUTSIDE: Final = (
    Rule(
        rule_id="api_slow",
        severity="medium",
        message="the HTTP door answers after {value}",
        watches=_above("gambit_api_request_seconds", 0.65, how="p95", window_sec=300),
        for_sec=300,
        unit="s",
    ),
    Rule(
        rule_id="ws_round_trip",
        severity="medium",
        message="a peer of the WebSocket answers after {value}",
        watches=_above("gambit_ws_round_trip_seconds", 0.35, how="p95", window_sec=300),
        for_sec=60,
        unit="s",
    ),
    Rule(
        rule_id="delivery_failing",
        severity="medium",
        message="{value} of the alerts to {channel} do not arrive",
        watches=_above(
            "gambit_alert_delivery_failures_total",
            0.05,
            how="increase",
            window_sec=900,
            over="gambit_alert_deliveries_total",
            by=("channel",),
        ),
        clear_sec=60,
        unit="share",
    ),
    Rule(
        rule_id="delivery_slow",
        severity="medium",
        message="alerts reach {channel} after {value}",
        watches=_above("gambit_alert_delivery_seconds", 2, how="p95", window_sec=300),
        clear_sec=60,
        unit="s",
    ),
    Rule(
        rule_id="refresh_token_reused",
        severity="critical",
        message="a refresh token of user {user_id} was used twice, last from {address}; its session is over",
        starts=(Occurrence(kind="refresh.reused", scope=("user_id",), correlation="session_id"),),
        hold_sec=3600,
    ),
    Rule(
        rule_id="access_refused",
        severity="medium",
        message="{who} is refused again and again by {door}: {action}",
        starts=(Occurrence(kind="audit", where=(("outcome", "refused*"),), scope=("who",), count=10, within_sec=60),),
        hold_sec=600,
    ),
    Rule(rule_id="secret_rotation_due", severity="medium", message="{message}", hold_sec=7200),
    Rule(rule_id="operator", severity="medium", message="{message}"),
    Rule(
        rule_id="test",
        severity="low",
        message="{message}",
        hold_sec=1,
    ),
)

BUILT_IN: Final = (*DAEMON, *MARKET_DATA, *ORDERS, *KEEPING, *OUTSIDE)
