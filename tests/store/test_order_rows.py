"""The order path's facts as rows: plans and their checks, orders, executions, settlements."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from gambit.commands import order_id, plan_id
from gambit.events import Fact, written
from gambit.events.orders import (
    Acked,
    Amended,
    Busted,
    Filled,
    GateVerdict,
    OrderIntended,
    OrderMoved,
    OrderSettled,
    PlanApproved,
    PlanClosed,
    PlanMade,
    PlanRefused,
    PlanReopened,
    PlanStopped,
    Unhedged,
)
from gambit.store import rebuild as rebuilding
from tests.store.conftest import NOW_NS, Ledger

PLAN = plan_id("gb", 1, 1)
OPP, OTHER_OPP = "00000000-0000-5000-8000-000000000001", "00000000-0000-5000-8000-000000000002"
KEY = "gb0001000011abcdef"
ODD = Decimal("0.123456789012345678")


def add(ledger: Ledger, *facts: Fact) -> None:
    """Append facts, a microsecond apart."""
    for fact in facts:
        kind, body = written(fact)
        ledger.append_body(kind, body, NOW_NS + 1000 * (ledger.synced + 1))


def made(approval: Any = "auto") -> PlanMade:
    return PlanMade(
        plan_id=PLAN, number=1, epoch=1, opp_id=OPP, raw_signal_id="raw", user_id="owner", symbol="BTC-USDT",
        strategy="partial", approval=approval, legs=(), total_quote=Decimal("100.000000000000000001"),
        expected_profit=Decimal("1.5"), expires_ns=1, gates=(GateVerdict("stale", True, "1", "2"),),
    )  # fmt: skip


def intended(key: str = KEY, **fields: Any) -> OrderIntended:
    return OrderIntended(**{
        "key": key, "venue": "okx", "order_id": order_id(key), "plan_id": PLAN, "user_id": "owner",
        "idempotency_key": f"owner|{PLAN}|okx|{key}", "symbol": "BTC-USDT", "base": "BTC", "quote": "USDT",
        "side": "buy", "qty": ODD, "price": Decimal("60000.10"), "tif": "ioc", "purpose": "entry", "leg": 0,
        "fee_bps": Decimal(1), "window_ns": None, **fields,
    })  # fmt: skip


def moved(status: str, was: str, filled: str = "0", price: str | None = None, key: str = KEY) -> OrderMoved:
    return OrderMoved(
        key=key, venue="okx", order_id=order_id(key), plan_id=PLAN, symbol="BTC-USDT", status=status, was=was, on="x",
        qty_filled=Decimal(filled), price=None if price is None else Decimal(price), idempotency_key="i",
    )  # fmt: skip


def filled(exec_id: str, qty: str = "0.1", key: str = KEY, **fields: Any) -> Filled:
    return Filled(**{
        "key": key, "venue": "okx", "symbol": "BTC-USDT", "side": "buy", "exec_id": exec_id, "qty": Decimal(qty),
        "price": Decimal("60000.10"), "fee": Decimal("-1E-18"), "fee_asset": "USDT", **fields,
    })  # fmt: skip


def settled(number: int, **fees: str) -> OrderSettled:
    return OrderSettled(
        key=KEY, venue="okx", order_id=order_id(KEY), settlement_id=f"{KEY}-{number}", base_net=Decimal("0.1"),
        quote_net=Decimal("-6000.01"), fees={asset: Decimal(fee) for asset, fee in fees.items()}, exec_ids=("e1",),
    )  # fmt: skip


def rows(ledger: Ledger, path: Path, statement: str) -> list[tuple[Any, ...]]:
    """What the statement gives on a store made of the ledger."""
    path.unlink(missing_ok=True)
    rebuilding.rebuild(ledger, path, ledger.synced, lambda *_: None)
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(statement).fetchall()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made.duckdb"


def test_a_plan_is_a_row_that_follows_its_life(ledger: Ledger, path: Path) -> None:
    """Waiting, working, closed and reopened; the first reason it was stopped for stays, an alarm is a flag."""
    asked = "SELECT status, reason, ended, risk_flags, profit, compensations, epoch_ns(updated_at) FROM order_plan"
    add(ledger, made("manual"))
    assert rows(ledger, path, asked) == [("waiting", None, None, "", None, None, NOW_NS + 1000)]
    add(ledger, PlanApproved(plan_id=PLAN, by="a"), PlanStopped(plan_id=PLAN, reason="halted"))
    add(ledger, PlanStopped(plan_id=PLAN, reason="later"))
    add(ledger, Unhedged(plan_id=PLAN, symbol="BTC-USDT", asset="BTC", qty=ODD, notional=ODD, reason="late"))
    assert rows(ledger, path, asked) == [("working", "halted", None, "unhedged", None, None, NOW_NS + 5000)]
    closed = PlanClosed(
        plan_id=PLAN, end="position", left={}, profit={"USDT": ODD}, naked_quote_ns=Decimal(5), compensations=2
    )  # fmt: skip
    add(ledger, closed)
    profit = f'{{"USDT":"{ODD}"}}'
    assert rows(ledger, path, asked)[0][:6] == ("closed", "halted", "position", "unhedged", profit, 2)
    add(ledger, PlanReopened(plan_id=PLAN, cause="bust", key=KEY))
    assert rows(ledger, path, asked)[0][:4] == ("working", "halted", None, "")
    asked = "SELECT plan_id::VARCHAR, opp_id::VARCHAR, total_quote_amount, expected_profit, seq FROM order_plan"
    assert rows(ledger, path, asked) == [(PLAN, OPP, Decimal("100.000000000000000001"), Decimal("1.5"), 1)]


def test_every_gate_of_every_plan_is_in_the_log(ledger: Ledger, path: Path) -> None:
    """A refused plan is a row without a plan_id; its checks are found by the opportunity."""
    gates = (GateVerdict("stale", True), GateVerdict("min_order", False, "9.99", "10"))
    refused = PlanRefused(
        opp_id=OTHER_OPP, raw_signal_id="r", symbol="BTC-USDT", venue_buy="okx", venue_sell="kraken",
        reason="risk:min_order", gates=gates,
    )  # fmt: skip
    add(ledger, made(), refused)
    assert rows(ledger, path, "SELECT plan_id, status, reason, risk_flags FROM order_plan WHERE seq = 2") == [
        (None, "refused", "risk:min_order", "min_order")
    ]
    asked = 'SELECT plan_id::VARCHAR, opp_id::VARCHAR, check_name, passed, "value", "limit", epoch_ns(ts) FROM '
    assert rows(ledger, path, asked + "pre_trade_checks_log ORDER BY seq, check_name DESC") == [
        (PLAN, OPP, "stale", True, "1", "2", NOW_NS + 1000),
        (None, OTHER_OPP, "stale", True, "", "", NOW_NS + 2000),
        (None, OTHER_OPP, "min_order", False, "9.99", "10", NOW_NS + 2000),
    ]


def test_an_order_has_its_latest_status(ledger: Ledger, path: Path) -> None:
    """Status, quantity and average price are those of the last move; money is exact; ids of the venue are kept."""
    add(ledger, made(), intended())
    asked = "SELECT status, qty, price, qty_filled, average_price, venue_order_id FROM orders"
    assert rows(ledger, path, asked) == [("pending_submission", ODD, Decimal("60000.10"), 0, None, None)]
    add(ledger, Acked(key=KEY, venue="okx", venue_order_id="v1"), moved("submitted", "pending_submission"))
    add(ledger, moved("partially_filled", "submitted", "0.1", "60000.1"), moved("canceled", "x", "0.1", "60000.1"))
    price = Decimal("60000.1")
    assert rows(ledger, path, asked) == [("canceled", ODD, price, Decimal("0.1"), price, "v1")]
    add(ledger, moved("submitted", "partially_filled"))
    assert rows(ledger, path, asked) == [("submitted", ODD, price, 0, None, "v1")]
    add(ledger, Amended(key=KEY, venue="okx", qty=Decimal(2), price=Decimal(3)))
    assert rows(ledger, path, asked)[0][1:3] == (2, 3)
    asked = "SELECT client_order_id, epoch_ns(created_at), epoch_ns(updated_at) FROM orders"
    assert rows(ledger, path, asked) == [(KEY, NOW_NS + 2000, NOW_NS + 7000)]


def test_executions_find_their_order(ledger: Ledger, path: Path) -> None:
    """Only an order of ours on that market and side, known before; a bust marks what was there, not what comes next."""
    add(ledger, made(), filled("e0"), intended(), filled("e1"), filled("e2", side="sell"), filled("e3", key=""))
    add(ledger, Busted(venue="okx", symbol="BTC-USDT", exec_id="e1", reason="history"), filled("e1", "0.2"))
    add(ledger, filled("e4", exec_ns=77), Busted(venue="okx", symbol="BTC-USDT", exec_id="nobody's"))
    asked = (
        "SELECT venue_exec_id, order_id::VARCHAR, qty_filled, fee, epoch_ns(busted_at), epoch_ns(exec_time) "
        "FROM executions ORDER BY seq"
    )
    fee = Decimal("-0.000000000000000001")
    assert rows(ledger, path, asked) == [
        ("e0", None, Decimal("0.1"), fee, None, NOW_NS + 2000),
        ("e1", order_id(KEY), Decimal("0.1"), fee, NOW_NS + 7000, NOW_NS + 4000),
        ("e2", None, Decimal("0.1"), fee, None, NOW_NS + 5000),
        ("e3", None, Decimal("0.1"), fee, None, NOW_NS + 6000),
        ("e1", order_id(KEY), Decimal("0.2"), fee, None, NOW_NS + 8000),
        ("e4", order_id(KEY), Decimal("0.1"), fee, None, 77),
    ]
    assert rows(ledger, path, "SELECT count(DISTINCT exec_id) FROM executions") == [(6,)]


def test_a_settlement_that_was_undone_failed(ledger: Ledger, path: Path) -> None:
    """The total of the fees is told where they are of one asset; a late fill undoes what was settled before it."""
    add(ledger, made(), intended(), settled(1, USDT="0.6"), moved("reconciled", "filled"))
    asked = "SELECT settlement_id, amount_net, base_net, fee_total, fee_asset, status FROM settlements ORDER BY seq"
    net = (Decimal("-6000.01"), Decimal("0.1"))
    assert rows(ledger, path, asked) == [(f"{KEY}-1", *net, Decimal("0.6"), "USDT", "confirmed")]
    add(ledger, moved("canceled", "reconciled"), settled(2, USDT="0.6", BNB="0.1"), settled(3))
    assert [row[3:] for row in rows(ledger, path, asked)] == [
        (Decimal("0.6"), "USDT", "failed"),
        (None, None, "confirmed"),
        (0, None, "confirmed"),
    ]
    assert "BNB" in rows(ledger, path, "SELECT fees FROM settlements ORDER BY seq")[1][0]


def test_the_records_stay_whole(ledger: Ledger, path: Path) -> None:
    """No row tells everything, so facts keeps the text."""
    add(ledger, made(), intended(), filled("e1"))
    found = rows(ledger, path, "SELECT body FROM facts ORDER BY seq")
    assert [body.encode() for (body,) in found] == [record.body for record in ledger.records]


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_batches_make_no_difference(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Record by record or all at once, the rows are the same."""
    add(ledger, made("manual"), PlanApproved(plan_id=PLAN, by="a"), filled("e0"), intended(), filled("e1"))
    add(ledger, moved("filled", "submitted", "0.1", "1"), filled("e2"), settled(1), moved("reconciled", "filled"))
    add(ledger, Busted(venue="okx", symbol="BTC-USDT", exec_id="e1"), moved("canceled", "reconciled"), filled("e1"))
    closed = PlanClosed(
        plan_id=PLAN, end="flat", left={}, profit={}, naked_quote_ns=Decimal(0), compensations=0
    )  # fmt: skip
    add(ledger, settled(2), closed, PlanReopened(plan_id=PLAN, cause="bust", key=KEY), closed)
    rebuilding.rebuild(ledger, tmp_path / "whole.duckdb", ledger.synced, lambda *_: None)
    monkeypatch.setattr(rebuilding, "RECORDS", size)
    rebuilding.rebuild(ledger, tmp_path / "pieces.duckdb", ledger.synced, lambda *_: None)
    found = {one.table: one for one in rebuilding.compare(tmp_path / "whole.duckdb", tmp_path / "pieces.duckdb", {})}
    assert all(one.only_there == one.only_rebuilt == 0 for one in found.values())
    assert {table: found[table].rows for table in ("order_plan", "orders", "executions", "settlements")} == {
        "order_plan": 1, "orders": 1, "executions": 4, "settlements": 2,
    }  # fmt: skip


def test_a_record_of_another_shape_loses_nothing(ledger: Ledger, path: Path) -> None:
    """Whatever a record of the order path holds, the store goes on and keeps it."""
    kinds = ("plan.made", "plan.closed", "plan.refused", "order.intended", "order.status", "order.filled",
             "order.settled", "execution.busted", "order.acked", "order.amended")  # fmt: skip
    for kind in kinds:
        for body in (b"no json", b"[1]", b'{"gates": 5, "fees": [], "order_id": "x", "qty": {}}', b"null", b"{}"):
            ledger.append_body(kind, body)
    assert rows(ledger, path, "SELECT count(*), count(body) FROM facts") == [(50, 50)]
