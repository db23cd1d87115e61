"""What the daemon's methods answer, in small."""

from typing import Any

from gambit.alerts.case import AlertRow, SilenceRow
from gambit.surface.views import StateChange

BOOK: dict[str, Any] = {
    "venue": "kraken", "symbol": "BTC-USDT", "synced": True, "bid": "100.1", "bid_qty": "1", "ask": "100.2",
    "ask_qty": "2", "age_sec": 0.1, "resyncs": 0,
}  # fmt: skip
OPPORTUNITY: dict[str, Any] = {
    "opp_id": "a1", "raw_signal_id": "s1", "symbol": "BTC-USDT", "base_asset": "BTC", "ttl_sec": 10.0,
    "created_at": "1970-01-01T00:00:00.000000005Z", "venue_buy": "okx", "venue_sell": "kraken", "net_bps": 10.5,
    "spread_bps": 12.5, "profit_quote": 3.25, "quote_asset": "USDT", "qty": "0.5", "score": 0.7, "raised_ns": 5,
    "closed_ns": None, "close_reason": "", "signal": {"event": "raised"},
}  # fmt: skip
ORDER: dict[str, Any] = {
    "order_id": "o1", "client_order_id": "c1", "plan_id": "p1", "user_id": "gambit", "venue": "okx",
    "venue_order_id": None, "symbol": "BTC-USDT", "side": "buy", "qty": "1", "price": "100", "tif": "ioc",
    "purpose": "entry", "status": "filled", "qty_filled": "1", "average_price": "100", "idempotency_key": "k",
    "created_at": "1970-01-01T00:00:00.000000005Z", "updated_at": "1970-01-01T00:00:00.000000006Z",
    "created_ns": 5, "updated_ns": 6,
}  # fmt: skip
PLAN: dict[str, Any] = {
    "plan_id": "p1", "opp_id": "a1", "symbol": "BTC-USDT", "venues": ["okx", "kraken"], "status": "waiting", "end": "",
    "stopped": "", "approval": "manual", "strategy": "cross", "total_quote_amount": "100", "expected_profit": "1",
    "result": {}, "value": "0", "unbalanced": {}, "orders": ["c1"], "risk_flags": "",
    "created_at": "1970-01-01T00:00:00.000000005Z", "updated_at": "1970-01-01T00:00:00.000000006Z",
    "created_ns": 5, "expires_ns": 6,
}  # fmt: skip
STATUS: dict[str, Any] = {
    "state": "running", "trading_state": "ACTIVE", "trading_reason": "", "mode": "paper", "version": "1", "ready": True,
    "reasons": [], "started_ns": 1, "uptime_sec": 2.0, "venues": [], "books": 1, "books_synced": 1, "pid": 77,
    "latency": {}, "journal": {}, "store": {},
}  # fmt: skip


ALERT: Any = AlertRow(
    alert_id="al1", rule_id="r1", severity="high", message="m", scope="venue:okx", correlation_id="c", runbook="r",
    created_ns=5,
)  # fmt: skip
SILENCE: Any = SilenceRow(silence_id="s1", rule_id="r1", scope="", until_ns=9, reason="", by="ann")


def answers() -> dict[str, Any]:
    """By method."""
    changed = StateChange(state="HALTED", was="ACTIVE", reason="")
    return {
        "status": STATUS,
        "books": [BOOK],
        "opportunities": [OPPORTUNITY],
        "orders": [ORDER],
        "order.show": ORDER,
        "plans": [PLAN],
        "positions": {
            "positions": [
                {"symbol": "BTC-USDT", "qty": "1", "average_cost": "1", "mark": "1", "unrealised": "0",
                 "realised": "0", "quote_asset": "USDT"},
            ],
            "balances": [{"venue": "okx", "asset": "BTC", "amount": "1"}],
        },
        "pnl": {
            "equity": "1", "result_today": "0", "unrealised": "0", "fees": {"USDT": "1"}, "fee_drift_bps": {},
            "fees_charged": {}, "fees_modelled": {}, "opportunities_open": 0,
            "dust": {}, "opportunities": 3, "funnel": {"planned": 3}, "counterfactual": {},
        },
        "scorecard": {
            "days": 7, "as_of": "2026-11-21T00:00:00+00:00", "n": 0, "wins": 0, "bins": [],
            "verdict": "too few signals", "reason": "none",
            "calibration": {"n": 0, "brier": None, "skill": None, "curve": []},
        },
        "alerts": [ALERT],
        "alert.create": {"alert_id": "al1"},
        "alert.ack": {"done": "al1"},
        "alert.resolve": {"done": "al1"},
        "alert.silences": [SILENCE],
        "alert.silence": {"silence_id": "s1", "until_ns": 9},
        "alert.unsilence": {"done": "s1"},
        "slo": [
            {"slo": "detection", "text": "t", "scope": "", "objective": 0.99, "bad_ratio": 0.0, "burn": {"300s": 0.0},
             "budget_left": 1.0},
        ],
        "halt": changed,
        "reduce": changed,
        "resume": changed,
        "arm": {"armed_until_ns": 9},
        "disarm": {"armed_until_ns": 0},
        "plan.approve": {"done": "p1"},
        "plan.reject": {"done": "p1"},
        "order.cancel": {"done": "o1"},
    }  # fmt: skip
