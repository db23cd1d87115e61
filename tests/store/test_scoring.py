"""Outcomes of signals in the store: the events of their lives, counts for a scorecard, and samples for review."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest

from gambit.events import written
from gambit.events.orders import OpportunityEnded, PlanClosed, PlanMade
from gambit.store import scoring
from tests.store.conftest import DAY_NS, NOW_NS, Ledger, Start, signal

D = Decimal
WEEK = "2026-W22"  # of NOW_NS


def publish(ledger: Ledger, number: int, score: float, at_ns: int = NOW_NS) -> str:
    """A signal; gives its id."""
    body = signal(number, score=score, recv_ns=at_ns + number)
    ledger.append_body("signal.raised", orjson.dumps(body), at_ns + number)
    return str(body["opp_id"])


def add(ledger: Ledger, *facts: Any) -> None:
    for fact in facts:
        kind, body = written(fact)
        ledger.append_body(kind, body, NOW_NS + 10**9)


def traded(ledger: Ledger, opp_id: str, plan_id: str, **profit: str) -> None:
    """The signal became a plan that earned this."""
    made = PlanMade(
        plan_id=plan_id, number=1, epoch=1, opp_id=opp_id, raw_signal_id="r", user_id="u", symbol="BTC-USDT",
        strategy="partial", approval="auto", legs=(), total_quote=D(100), expected_profit=D(1), expires_ns=1, gates=(),
    )  # fmt: skip
    amounts = {asset: D(amount) for asset, amount in profit.items()}
    closed = PlanClosed(plan_id=plan_id, end="flat", left={}, profit=amounts, naked_quote_ns=D(0), compensations=0)
    add(ledger, made, OpportunityEnded(opp_id=opp_id, symbol="BTC-USDT", reason="traded"), closed)


@pytest.fixture
def store(start: Start, ledger: Ledger) -> Path:
    """Four signals: traded with a gain, traded with a loss, refused and sorry, and one without an end."""
    plan = "10000000-0000-5000-8000-00000000000{}"
    traded(ledger, publish(ledger, 1, 0.55), plan.format(1), USDT="2.5", USD="-0.5")
    traded(ledger, publish(ledger, 2, 0.85), plan.format(2), USDT="-1")
    refused = publish(ledger, 3, 0.62)
    add(ledger, OpportunityEnded(opp_id=refused, symbol="BTC-USDT", reason="fee", counterfactual=D("0.25")))
    publish(ledger, 4, 1.0)
    return start().store.snapshot(0).result(30).path


def test_outcomes_and_events(store: Path) -> None:
    """Executed profit goes before what might have been; every signal has its events in order."""
    with duckdb.connect(str(store), read_only=True) as connection:
        rows = connection.execute(
            "SELECT score, basis, outcome_quote, won FROM signal_outcomes ORDER BY score"
        ).fetchall()
        events = connection.execute(
            "SELECT signal_id, list(event ORDER BY ts) FROM signal_events GROUP BY signal_id ORDER BY signal_id"
        ).fetchall()
        wrong = connection.execute(
            "SELECT count(*) FROM signal_events WHERE ts IS NULL OR score IS NULL OR correlation_id IS NULL"
        ).fetchone()
    assert rows == [
        (0.55, "executed", D(2), True), (0.62, "counterfactual", D("0.25"), True), (0.85, "executed", D(-1), False),
        (1.0, None, None, None),
    ]  # fmt: skip
    published, triggered = "signal_published", "signal_triggered"
    traded_life = sorted([published, triggered, "signal_closed"])
    lives = [sorted(names) for _, names in events]
    assert lives == [traded_life, traded_life, sorted([published, "signal_invalidated"]), [published]]
    assert wrong == (0,)


def test_cells(store: Path) -> None:
    """Counted by bin and tenth, within the span, executed ones alone when asked."""
    since = datetime.fromtimestamp(NOW_NS / 1e9, UTC)
    with duckdb.connect(str(store), read_only=True) as connection:
        found = scoring.cells(connection, since, since + timedelta(days=1))
        executed = scoring.cells(connection, since, since + timedelta(days=1), executed_only=True)
        before = scoring.cells(connection, since - timedelta(days=1), since)
    assert [(row["low"], row["tenth"], row["n"], row["wins"]) for row in found] == [
        (0.5, 5, 1, 1), (0.6, 6, 1, 1), (0.8, 8, 1, 0),
    ]  # fmt: skip
    assert found[0]["square_sum"] == pytest.approx(0.45**2)
    assert sum(row["profit"] for row in found) == pytest.approx(2 + 0.25 - 1)
    assert [row["low"] for row in executed] == [0.5, 0.8]
    assert before == []


@pytest.mark.parametrize("batches", [1, 7])
def test_a_hundred_samples_a_week(start: Start, ledger: Ledger, batches: int) -> None:
    """The same hundred, whatever the batches were, and as many again of the next week."""
    opened = start().store
    for number in range(140):
        publish(ledger, number + 1, 0.7)
        publish(ledger, number + 1001, 0.7, NOW_NS + 7 * DAY_NS)
        if number % (140 // batches) == 0:
            opened.snapshot(0).result(30)
    path = opened.snapshot(0).result(30).path
    with duckdb.connect(str(path), read_only=True) as connection:
        kept = connection.execute(
            "SELECT week, count(*), max(pick) FROM signal_samples GROUP BY week ORDER BY week"
        ).fetchall()
        ((expected,),) = connection.execute(
            "SELECT max(pick) FROM (SELECT md5(opp_id::VARCHAR) AS pick FROM arbitrage_opportunity "
            f"WHERE strftime(created_at, '{scoring.WEEK}') = ? ORDER BY pick LIMIT 100)",
            [WEEK],
        ).fetchall()
        rows = scoring.samples(connection, WEEK)
    assert [(week, n) for week, n, _ in kept] == [(WEEK, 100), ("2026-W23", 100)]
    assert kept[0][2] == expected
    assert len(rows) == 100
    assert orjson.loads(rows[0]["signal"])["opp_id"] == rows[0]["signal_id"]


def test_weeks_by_name() -> None:
    """Monday to Monday, UTC; nonsense is refused."""
    start, end = scoring.span_of("2026-W01")
    assert (start, end) == (datetime(2025, 12, 29, tzinfo=UTC), datetime(2026, 1, 5, tzinfo=UTC))
    with pytest.raises(ValueError, match="no week such as"):
        scoring.span_of("2026-47")
