"""What `gambit explain` finds and says where a life was not an ordinary one."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from gambit.cli.explain import lines
from gambit.cli.paint import Paint
from gambit.commands import order_id
from gambit.events.orders import (
    Busted,
    GateVerdict,
    OpportunityEnded,
    OutcomeUnknown,
    PlanClosed,
    PlanRefused,
    PlanStopped,
    Rejected,
)
from gambit.model import rfc3339
from gambit.store import rebuild as rebuilding
from gambit.store.explanation import explain
from tests.store.conftest import Ledger, signal
from tests.store.test_order_rows import KEY, OPP, OTHER_OPP, PLAN, add, filled, intended, made, moved

AGAIN = "gb0001000012abcdef"


def explained(ledger: Ledger, path: Path, identity: str) -> tuple[dict[str, Any], str]:
    """The explanation, and its text."""
    rebuilding.rebuild(ledger, path, ledger.synced, lambda *_: None)
    with duckdb.connect(str(path), read_only=True) as connection:
        found = explain(connection, identity)
    assert found is not None
    return found, "\n".join(lines(found, Paint(False)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made.duckdb"


def test_an_order_that_was_in_doubt(ledger: Ledger, path: Path) -> None:
    """The doubt with its reason, the execution that was taken back, and the order that tried again; by the order's id
    only that order."""
    add(ledger, made(), intended(), moved("submitted", "pending_submission"))
    add(ledger, OutcomeUnknown(key=KEY, venue="okx", during="create", reason="timeout"), moved("in_doubt", "submitted"))
    add(ledger, filled("e1"), Busted(venue="okx", symbol="BTC-USDT", exec_id="e1"), moved("failed", "in_doubt"))
    add(ledger, intended(AGAIN, retry_of=KEY), Rejected(key=AGAIN, venue="okx", code="51008", text="no money"))
    add(ledger, moved("failed", "submitted", key=AGAIN), PlanStopped(plan_id=PLAN, reason="halted"))
    add(ledger, PlanClosed(plan_id=PLAN, end="nothing", left={}, profit={}, naked_quote_ns=Decimal(0), compensations=0))
    found, text = explained(ledger, path, PLAN)
    assert [one["client_order_id"] for one in found["orders"]] == [KEY, AGAIN]
    assert found["signal"] is None
    for said in (
        "order.outcome_unknown: during create, reason timeout", "submitted -> in doubt", "execution e1 was taken back",
        f"again for {KEY}", "order.rejected: code 51008, category permanent_4xx, text no money",
        "plan.stopped: reason halted", "end      the plan is closed, nothing",
    ):  # fmt: skip
        assert said in text
    path.unlink()
    found, text = explained(ledger, path, order_id(AGAIN))
    assert [one["client_order_id"] for one in found["orders"]] == [AGAIN]
    assert text.endswith("the order is failed")


def test_a_refusal(ledger: Ledger, path: Path) -> None:
    """The signal, the gate that said no with value and limit, and what it would have earned."""
    ledger.append("signal.raised", **signal(2))
    gates = (GateVerdict("stale", True), GateVerdict("min_order", False, "9.99", "10"))
    refused = PlanRefused(
        opp_id=OTHER_OPP, raw_signal_id="r", symbol="BTC-USDT", venue_buy="okx", venue_sell="kraken",
        reason="risk:min_order", detail="too little", gates=gates,
    )  # fmt: skip
    add(ledger, refused)
    add(ledger, OpportunityEnded(
        opp_id=OTHER_OPP, symbol="BTC-USDT", reason="risk:min_order", counterfactual=Decimal("1.25")
    ))  # fmt: skip
    found, text = explained(ledger, path, OTHER_OPP)
    assert found["signal"]["qty"] == "0.100000000000000001"
    assert found["orders"] == []
    assert "refused: risk:min_order (too little)" in text
    (row,) = (line.split() for line in text.splitlines() if line.strip().startswith("min_order"))
    assert row == ["min_order", "refused", "9.99", "10"]
    assert "counts as risk:min_order; it would have earned 1.25 then" in text


def test_what_nobody_decided(ledger: Ledger, path: Path) -> None:
    """A signal without a desk; an order whose plan is not in the store."""
    ledger.append("signal.raised", **signal(1))
    add(ledger, intended())
    found, text = explained(ledger, path, OPP)
    assert (found["decision"], found["plan"]) == (None, None)
    assert "no desk considered it" in text
    path.unlink()
    found, text = explained(ledger, path, KEY)
    assert found["signal"] is None
    assert "the order is pending submission" in text


def test_columns_are_called_as_in_the_tables(ledger: Ledger, path: Path) -> None:
    """Every time under its column's name (product.md, "Tables") as RFC 3339, and once more in ns; none for what did not
    happen."""
    ledger.append("signal.raised", **signal(1))
    add(ledger, made(), intended(), filled("e1"), moved("filled", "submitted", "0.1", "60000"))
    found, _ = explained(ledger, path, PLAN)
    (order,) = found["orders"]
    (execution,) = order["executions"]
    for part, names in (
        (found["plan"], "plan_id opp_id status risk_flags total_quote_amount created_at updated_at"),
        (order, "order_id plan_id user_id venue symbol side qty price status idempotency_key created_at updated_at"),
        (execution, "exec_id order_id exec_venue_id qty_filled price fee exec_time venue_exec_id"),
        (found["signal"], "opp_id symbol base_asset venue_buy venue_sell spread_bps score ttl_sec created_at"),
    ):
        assert set(names.split()) - part.keys() == set()
    assert order["created_at"] == rfc3339(order["created_ns"])
    assert execution["exec_time"] == rfc3339(execution["exec_time_ns"])
    assert (execution["busted_at"], execution["busted_ns"]) == (None, None)
