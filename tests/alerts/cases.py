"""One table of what makes each rule about numbers speak, for both who know it: the daemon's own engine and Prometheus.

Series are written as promtool has them (`0x12 1x60`, `0+5x80`), one value per `interval_sec`.
`python -m tests.alerts.cases` prints the promtool tests, which is configs/prometheus/alerts_test.yml.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gambit.alerts import budget
from gambit.alerts.catalogue import BUILT_IN
from gambit.alerts.export import DOWN, alert_name
from gambit.alerts.rule import Rule

JOB = {"instance": "a:1", "job": "gambit"}
RULES = {rule.rule_id: rule for rule in (*BUILT_IN, *budget.rules(), DOWN)}


@dataclass(frozen=True)
class Case:
    """A rule, what it looks at, when it is silent and when it speaks (seconds), and what Prometheus says then."""

    rule_id: str
    series: Mapping[str, str]
    silent_sec: int
    fires_sec: int
    labels: Mapping[str, str]  # the scope
    summary: str
    is_whole: bool = False  # Prometheus keeps the job's label: nothing was summed
    interval_sec: int = 5
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def rule(self) -> Rule:
        return RULES[self.rule_id]


def bucket(metric: str, le: str, **labels: str) -> str:
    return series(f"{metric}_bucket", **labels, le=le)


def series(metric: str, **labels: str) -> str:
    """A series of the daemon."""
    inside = ",".join(f'{name}="{value}"' for name, value in {**JOB, **labels}.items())
    return f"{metric}{{{inside}}}"


def gauge(
    rule_id: str, metric: str, labels: dict[str, str], good: str, bad: str, summary: str, *, is_whole: bool = True,
    fires_sec: int = 180, others: Mapping[str, str] | None = None, shown: Mapping[str, str] | None = None,
) -> Case:  # fmt: skip
    """Good for a minute, then bad; a second scope stays good throughout."""
    values = {series(metric, **labels): f"{good}x12 {bad}x80", **(others or {})}
    if labels and not others:
        values[series(metric, **{**labels, next(iter(labels)): "other"})] = f"{good}x100"
    return Case(rule_id, values, 60, fires_sec, labels if shown is None else shown, summary, is_whole)


OKX = {"venue": "okx"}
BTC = {"venue": "okx", "symbol": "BTC-USDT"}
ETH = {"venue": "okx", "symbol": "ETH-USDT"}

CASES: list[Case] = [
    gauge("not_ready", "gambit_ready", {}, "1", "0", "not ready: books of an enabled venue are missing", fires_sec=240),
    gauge("stalled", "gambit_progress_stalled", {"part": "store"}, "0", "1", "store stands still", fires_sec=120),
    Case(
        "loop_lag",
        {
            bucket("gambit_loop_lag_seconds", "0.016777216"): "0x100",
            bucket("gambit_loop_lag_seconds", "0.033554432"): "0+50x100",
            bucket("gambit_loop_lag_seconds", "+Inf"): "0+50x100",
        },
        30, 240, {}, "the event loop runs 33.39ms late",
    ),
    Case(
        "descriptors_run_out",
        {series("process_open_fds"): "100x12 900x80", series("process_max_fds"): "1000x100"},
        60, 240, {}, "90% of the file descriptors are in use",
    ),
    gauge(
        "disk_filling", "gambit_disk_free_ratio", {}, "0.5", "0.05", "5% of the disk of the state directory is free"
    ),
    Case(
        "ingestion_lag",
        {
            bucket("gambit_ingestion_lag_seconds", "0.5", **OKX): "0x100",
            bucket("gambit_ingestion_lag_seconds", "1.0", **OKX): "0+50x100",
            bucket("gambit_ingestion_lag_seconds", "+Inf", **OKX): "0+50x100",
            bucket("gambit_ingestion_lag_seconds", "0.5", venue="kraken"): "0+50x100",
            bucket("gambit_ingestion_lag_seconds", "1.0", venue="kraken"): "0+50x100",
            bucket("gambit_ingestion_lag_seconds", "+Inf", venue="kraken"): "0+50x100",
        },
        30, 240, OKX, "frames of okx arrive 975ms late",
    ),
    gauge("venue_down", "gambit_feed_up", OKX, "2", "0", "no connection to okx stands"),
    gauge(
        "book_stale", "gambit_book_age_seconds", BTC, "1", "10", "BTC-USDT on okx has not moved for 10s", fires_sec=300,
        others={
            series("gambit_book_synced", **BTC): "1x100",
            series("gambit_book_age_seconds", **ETH): "10x100",
            series("gambit_book_synced", **ETH): "0x100",
        },
    ),
    gauge(
        "book_unsynced", "gambit_book_synced", BTC, "1", "0", "BTC-USDT on okx cannot be believed",
        others={
            series("gambit_feed_up", **OKX): "1x100",
            series("gambit_book_synced", venue="kraken", symbol="BTC-USDT"): "0x100",
            series("gambit_feed_up", venue="kraken"): "0x100",  # that venue is down, which says it all
        },
    ),
    Case(
        "resync_storm",
        {
            series("gambit_book_resyncs_total", reason="gap", **OKX): "0x12 0+5x80",
            series("gambit_book_resyncs_total", reason="gap", venue="kraken"): "0+0.1x100",
        },
        60, 360, OKX, "okx: 295 books fetched anew within 5 minutes",
    ),
    Case(
        "frame_errors",
        {
            series("gambit_frames_total", **OKX): "0+100x100",
            series("gambit_frame_errors_total", category="data_inconsistency", **OKX): "0+5x100",
            series("gambit_frames_total", venue="kraken"): "0+100x100",
            series("gambit_frame_errors_total", category="data_inconsistency", venue="kraken"): "0+1x100",
        },
        30, 360, OKX, "5% of the frames of okx cannot be used",
    ),
    gauge(
        "circuit_open", "gambit_circuit_open", OKX, "0", "1", "okx fails again and again; its circuit breaker is open"
    ),
    Case(
        "ring_overrun",
        {
            series("gambit_ring_overruns_total", ring="ticks"): "0x12 300x80",
            series("gambit_ring_overruns_total", ring="signals"): "0x100",
        },
        60, 120, {"ring": "ticks"}, "ring ticks: a reader was too slow and lost 300 entries", is_whole=True,
    ),
    Case(
        "detection_slow",
        {
            bucket("gambit_tick_to_signal_seconds", "0.268435456"): "0x100",
            bucket("gambit_tick_to_signal_seconds", "0.536870912"): "0+100x100",
            bucket("gambit_tick_to_signal_seconds", "+Inf"): "0+100x100",
        },
        30, 240, {}, "signals are ready 523.4ms after their frame",
    ),
    Case(
        "order_submit_slow",
        {
            bucket("gambit_order_submit_seconds", "1.0", **OKX): "0x100",
            bucket("gambit_order_submit_seconds", "2.0", **OKX): "0+10x100",
            bucket("gambit_order_submit_seconds", "+Inf", **OKX): "0+10x100",
        },
        30, 240, OKX, "okx answers orders after 1.95s",
    ),
    gauge(
        "journal_failed", "gambit_journal_failed", {}, "0", "1", "the journal takes no more records; no order leaves"
    ),
    gauge(
        "store_behind", "gambit_store_lag_records", {}, "10", "250000",
        "the database is 250k records behind the journal",
    ),
    gauge(
        "store_failed", "gambit_store_failed", {}, "0", "1", "the database takes nothing; it is tried again"
    ),
    gauge(
        "disk_nearly_full", "gambit_disk_free_bytes", {}, "1000000000", "1000000",
        "1M bytes are free for the state directory",
    ),
    Case(
        "degraded",
        {series("gambit_degraded"): "0x12 2x100"},
        240, 480, {}, "2 things are wrong with the daemon or its records", is_whole=True,
    ),
    Case(
        "samples_dropped",
        {series("gambit_store_samples_dropped_total"): "0x12 50x80"},
        60, 120, {}, "50 telemetry rows were dropped within 5 minutes", is_whole=True,
    ),
    Case(
        "dead_letters",
        {
            series("gambit_dlq_total", topic="market.normalized", reason="bad"): "0x12 0+10x80",
            series("gambit_dlq_total", topic="order.status", reason="bad"): "0+0.1x100",
        },
        60, 360, {"topic": "market.normalized"}, "590 dead letters of market.normalized within 5 minutes",
    ),
    Case(
        "delivery_failing",
        {
            series("gambit_alert_deliveries_total", channel="mail"): "0+1x200",
            series("gambit_alert_delivery_failures_total", channel="mail"): "0x60 0+1x140",
            series("gambit_alert_deliveries_total", channel="slack"): "0+1x200",
            series("gambit_alert_delivery_failures_total", channel="slack"): "0x200",
        },
        240, 600, {"channel": "mail"}, "49.17% of the alerts to mail do not arrive",
    ),
]  # fmt: skip

CASES += [
    Case(
        rule_id,
        {
            bucket(metric, "0.3"): "0x100",
            bucket(metric, "0.5"): "0+5x100",
            bucket(metric, "1.0"): "0+20x100",
            bucket(metric, "+Inf"): "0+20x100",
        },
        30, fires_sec, {}, summary,
    )
    for rule_id, metric, fires_sec, summary in (
        ("api_slow", "gambit_api_request_seconds", 420, "the HTTP door answers after 966.7ms"),
        ("ws_round_trip", "gambit_ws_round_trip_seconds", 240, "a peer of the WebSocket answers after 966.7ms"),
    )
]  # fmt: skip
CASES.append(
    Case(
        "delivery_slow",
        {
            bucket("gambit_alert_delivery_seconds", "2.0", channel="mail"): "0x100",
            bucket("gambit_alert_delivery_seconds", "5.0", channel="mail"): "0+1x100",
            bucket("gambit_alert_delivery_seconds", "+Inf", channel="mail"): "0+1x100",
        },
        0,
        120,
        {"channel": "mail"},
        "alerts reach mail after 4.85s",
    )
)


_FRAMES = {
    series("gambit_frames_total", **OKX): "0+1000x20",
    series("gambit_frame_errors_total", category="data_inconsistency", **OKX): "0+250x20",
    series("gambit_frames_total", venue="kraken"): "0+1000x20",
    series("gambit_frame_errors_total", category="data_inconsistency", venue="kraken"): "0+1x20",
}
CASES += [
    Case(
        "budget_burn_fast", _FRAMES, 0, 900, {"slo": "frames", **OKX},
        "the error budget of frames burns fast: 25% are bad okx", interval_sec=60,
    ),
    Case(
        "budget_burn_slow", _FRAMES, 0, 900, {"slo": "frames", **OKX},
        "the error budget of frames burns: 25% are bad okx", interval_sec=60,
    ),
    Case(
        "budget_spent", _FRAMES, 240, 900, {"slo": "frames", **OKX},
        "the error budget of frames is gone: 25% are bad okx", interval_sec=60,
    ),
]  # fmt: skip
DOWN_CASE = Case(
    "down", {'up{instance="a:1",job="gambit"}': "1x12 0x60"}, 60, 180, {}, "gambit on a:1 does not answer", True
)


def value_at(notation: str, step: int) -> float:
    """What a series of promtool's notation is after so many steps; its last value from the end on."""
    values = list(_values(notation))
    return values[min(step, len(values) - 1)]


def _values(notation: str) -> Iterator[float]:
    for part in notation.split():
        found = re.fullmatch(r"(-?[\d.]+)(?:\+([\d.]+))?x(\d+)", part)
        assert found, part
        for i in range(int(found[3]) + 1):
            yield float(found[1]) + float(found[2] or 0) * i


def fact_case(rule: Rule) -> Case:
    """How Prometheus sees a rule about facts: by its gauge, or by the count of raised alerts."""
    text = (
        f"gambit on a:1: {rule.rule_id.replace('_', ' ')}; `gambit alerts list --rule {rule.rule_id}` has the details"
    )
    if rule.seen is not None:
        [measure] = rule.seen.measures
        only = dict(measure.only)
        return Case(rule.rule_id, {series(measure.metric, **only): "0x12 1x80"}, 60, 180, only, text, is_whole=True)
    counted = series("gambit_alerts_total", rule=rule.rule_id, severity=rule.severity)
    return Case(rule.rule_id, {counted: "0x12 1x80"}, 60, 120, {}, text)


def all_cases() -> list[Case]:
    """One for every rule that is exported."""
    facts = [
        fact_case(rule)
        for rule in RULES.values()
        if rule.is_enabled and not rule.watches and rule.rule_id not in ("down", "operator", "test")
    ]
    return [DOWN_CASE, *CASES, *facts]


def promtool() -> str:
    """The tests as promtool reads them."""
    lines = [
        "# Each alert fires when it should, says what it should, and is silent before. `python -m tests.alerts.cases`",
        "# writes this; the daemon's own engine is held to the same table.",
        "rule_files:", "  - alerts.yml", "", "evaluation_interval: 15s", "", "tests:",
    ]  # fmt: skip
    for case in all_cases():
        name = alert_name(case.rule_id)
        labels = {"severity": case.rule.severity, "instance": "a:1", **({"job": "gambit"} if case.is_whole else {})}
        lines += [f"  - name: {case.rule_id}", f"    interval: {case.interval_sec}s", "    input_series:"]
        for text, values in case.series.items():
            lines += [f"      - series: '{text}'", f"        values: '{values}'"]
        lines += [
            "    alert_rule_test:",
            f"      - eval_time: {case.silent_sec}s",
            f"        alertname: {name}",
            "        exp_alerts: []",
            f"      - eval_time: {case.fires_sec}s",
            f"        alertname: {name}",
            "        exp_alerts:",
            f"          - exp_labels: {json.dumps({**labels, **case.labels})}",
            "            exp_annotations:",
            f"              summary: {json.dumps(case.summary)}",
            f"              runbook: {case.rule.runbook}",
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(promtool(), end="")
