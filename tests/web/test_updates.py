"""What the hub is fed with: facts once they are safe, the board's changes, readings at their pace."""

import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from gambit.events.alerts import AlertRaised, AlertResolved
from gambit.events.feed import FeedUp
from gambit.events.operation import TradingStateChanged
from gambit.events.orders import Filled, OrderMoved, PlanClosed
from gambit.web.hub import EVERYTHING, Hub, Reader, Row
from gambit.web.updates import FAST_NS, MARKET, SIGNALS, SLOW_NS, SYSTEM, Updates, channels

STATES = (SIGNALS, SYSTEM, MARKET, "account")


class Canvas:
    """Pictures that the test paints."""

    def __init__(self) -> None:
        self.state = "ACTIVE"
        self.open: list[dict[str, Any]] = []
        self.moved: list[dict[str, Any]] = []
        self.known: dict[str, dict[str, Any]] = {}
        self.result = "0"

    def trading(self) -> Row:
        return {"state": self.state}

    def system(self) -> Row:
        return {"books": 2}

    def account(self) -> Row:
        return {"pnl": {"result_today": self.result}}

    def board(self, most: int) -> Sequence[Row]:
        return self.open[:most]

    def touches(self) -> Iterable[Row]:
        moved, self.moved = self.moved, []
        return moved

    def orders(self) -> Sequence[Row]:
        return [{"order_id": "before"}]

    def plans(self) -> Sequence[Row]:
        return []

    def order(self, key: str) -> Row | None:
        return self.known.get(key)

    def plan(self, plan_id: str) -> Row | None:
        return self.known.get(plan_id)

    def alerts(self) -> Sequence[Row]:
        return []


class Fed:
    """Updates over a canvas, and a reader of everything."""

    def __init__(self) -> None:
        self.canvas = Canvas()
        self.head = self.safe = 0
        self.now_ns = 10 * SLOW_NS
        self.hub = Hub(channels(self.canvas), first_seq=0, now_ns=lambda: self.now_ns, ts=str)
        self.updates = Updates(self.hub, self.canvas, head=lambda: self.head, safe=lambda: self.safe, ts=str)
        self.reader = Reader()
        self.hub.subscribe(self.reader, self.hub.channels, EVERYTHING, {})

    def hear(self, fact: Any) -> None:
        self.head += 1
        self.updates.hear(fact, self.now_ns)

    def turn(self, later_ns: int = 1) -> dict[str, list[Any]]:
        """What a turn told, by channel."""
        self.now_ns += later_ns
        self.updates.turn(self.now_ns)
        self.reader.due_ns = 0
        found: dict[str, list[Any]] = {}
        for frame in self.hub.take(self.reader, self.now_ns):
            message = json.loads(frame)
            data = message["data"]
            found.setdefault(message["channel"], []).extend(data if message["channel"] in STATES else [data])
        return found


def moved(status: str, key: str = "k1") -> OrderMoved:
    return OrderMoved(
        key=key, venue="okx", order_id="o1", plan_id="p1", symbol="BTC-USDT", status=status, was="created", on="test",
        qty_filled=Decimal("0.10"), price=None, idempotency_key="i1",
    )  # fmt: skip


def test_nothing_is_told_before_it_is_safe() -> None:
    """An order's event waits until the journal has it."""
    fed = Fed()
    fed.hear(moved("submitted"))
    assert "order.status" not in fed.turn()
    fed.safe = 1
    assert [row["status"] for row in fed.turn()["order.status"]] == ["submitted"]


def test_an_order_event_has_the_contracts_fields_even_when_the_order_is_packed_away() -> None:
    """order_id, plan_id, venue, status, qty_filled, price, idempotency_key, ts, schema_ver (product.md)."""
    fed = Fed()
    fed.safe = 9
    fed.hear(moved("reconciled"))
    (row,) = fed.turn()["order.status"]
    wanted = {"order_id", "plan_id", "venue", "status", "qty_filled", "price", "idempotency_key", "ts", "schema_ver"}
    assert wanted <= set(row)
    assert (row["qty_filled"], row["status"], row["event"]) == ("0.10", "reconciled", "status")


def test_an_order_event_brings_the_whole_order() -> None:
    """What is known beside the event comes along, and the limit is not lost behind the average price."""
    fed = Fed()
    fed.safe = 9
    fed.canvas.known["k1"] = {"order_id": "o1", "side": "buy", "price": "64000", "qty": "1"}
    fed.hear(moved("filled"))
    amounts = {"qty": Decimal(1), "price": Decimal(1), "fee": Decimal(0)}
    fed.hear(Filled(key="k1", venue="okx", symbol="BTC-USDT", side="buy", exec_id="e", fee_asset="USDT", **amounts))
    status, fill = fed.turn()["order.status"]
    assert (status["side"], status["limit_price"], status["price"]) == ("buy", "64000", None)
    assert (fill["event"], fill["qty"]) == ("fill", "1")


def test_plans_states_and_alerts_are_told() -> None:
    """Each on its channel; what has no channel is not."""
    fed = Fed()
    fed.safe = 9
    fed.canvas.state = "HALTED"
    raised = AlertRaised(
        alert_id="a", rule_id="r", severity="high", message="m", scope="", correlation_id="c", runbook="r.md"
    )
    closed = PlanClosed(
        plan_id="p1", end="flat", left={}, profit={"USDT": Decimal("1.50")}, naked_quote_ns=Decimal(0), compensations=0,
        value=Decimal("1.40"),
    )  # fmt: skip
    for fact in (
        closed,
        TradingStateChanged(state="HALTED", was="ACTIVE", reason="", by="me"),
        raised,
        AlertResolved(alert_id="a", rule_id="r", scope=""),
        FeedUp(venue="okx", conn="c"),
    ):
        fed.hear(fact)
    told = fed.turn()
    assert [(row["event"], row["end"], row["result"], row["value"]) for row in told["plan.status"]] == [
        ("closed", "flat", {"USDT": "1.50"}, "1.40")
    ]
    assert [row["state"] for row in told["trading.state"]] == ["HALTED"]
    assert [(row["event"], row["alert_id"]) for row in told["alert.raised"]] == [("raised", "a"), ("resolved", "a")]


def signal(episode: str, opp_id: str, net_bps: float = 9.0) -> dict[str, Any]:
    return {"raw_signal_id": episode, "opp_id": opp_id, "symbol": "BTC-USDT", "net_bps": net_bps, "since_ns": 1}


def test_the_board_is_told_by_its_changes() -> None:
    """A new opportunity, one with new numbers, one that ended; what stands still is not repeated."""
    fed = Fed()
    fed.canvas.open = [signal("e1", "1"), signal("e2", "1")]
    assert [row["raw_signal_id"] for row in fed.turn(FAST_NS)[SIGNALS]] == ["e1", "e2"]
    assert SIGNALS not in fed.turn(FAST_NS)
    fed.canvas.open = [signal("e1", "2", 11.0)]
    told = {row["raw_signal_id"]: row for row in fed.turn(FAST_NS)[SIGNALS]}
    assert told["e1"]["net_bps"] == 11.0
    assert told["e2"]["event"] == "closed"


def test_pictures_are_told_at_their_pace() -> None:
    """Readings once a second, touches five times, the account when it changed."""
    fed = Fed()
    assert {SYSTEM, "account"} <= set(fed.turn(SLOW_NS))
    fed.canvas.moved = [{"venue": "okx", "symbol": "BTC-USDT", "bid": "1"}]
    assert fed.turn(FAST_NS // 2) == {}
    assert set(fed.turn(FAST_NS)) == {MARKET}
    later = fed.turn(SLOW_NS)
    assert SYSTEM in later
    assert "account" not in later
    fed.canvas.result = "1"
    assert fed.turn(SLOW_NS)["account"] == [{"pnl": {"result_today": "1"}}]
