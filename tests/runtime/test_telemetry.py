"""Time series: one summary row an interval and subject, nothing where nothing happened, nothing told twice."""

from collections import defaultdict

import numpy as np

from gambit.events.orders import Acked, Sent
from gambit.runtime.telemetry import INTERVAL_NS, Telemetry

NOW = 10**18


def test_rows_sum_up_an_interval() -> None:
    """Lags, answers, signals and errors of an interval, once."""
    rows = defaultdict(list)
    errors = {"okx": 2, "kraken": 0}
    telemetry = Telemetry(lambda table, found: rows[table].extend(found), lambda: errors)
    telemetry.turn(NOW)
    telemetry.lag("okx", np.array([5, 1, 3]))
    telemetry.lag("okx", np.array([9]))
    telemetry.signal({"event": "raised", "symbol": "BTC-USDT"})
    telemetry.signal({"event": "raised", "symbol": "BTC-USDT"})
    telemetry.signal({"event": "closed", "symbol": "BTC-USDT"})
    telemetry.fact(Sent(key="a", venue="okx"), NOW)
    telemetry.fact(Acked(key="a", venue="okx", venue_order_id="1"), NOW + 7)
    telemetry.fact(Acked(key="a", venue="okx", venue_order_id="1"), NOW + 9)
    telemetry.fact(Acked(key="never sent", venue="okx", venue_order_id="2"), NOW + 9)
    telemetry.turn(NOW + INTERVAL_NS - 1)
    assert rows == {}
    at = NOW + INTERVAL_NS
    telemetry.turn(at)
    assert rows == {
        "ts_ingestion_lag": [{"ts_ns": at, "venue": "okx", "frames": 4, "p50_ns": 3, "p99_ns": 9, "max_ns": 9}],
        "ts_order_latency": [{"ts_ns": at, "venue": "okx", "orders": 1, "p50_ns": 7, "p99_ns": 7, "max_ns": 7}],
        "ts_arb_signal_throughput": [{"ts_ns": at, "symbol": "BTC-USDT", "signals": 2}],
        "ts_errors": [{"ts_ns": at, "component": "okx", "category": "data_inconsistency", "errors": 2}],
    }
    rows.clear()
    errors["kraken"] = 1
    telemetry.turn(at + INTERVAL_NS)
    assert [(row["component"], row["errors"]) for row in rows.pop("ts_errors")] == [("kraken", 1)]
    assert rows == {}
