"""Balances, positions and results: sums that are proven, whatever is traded."""

from decimal import Decimal
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gambit.engine.holdings import DAY_NS, FEES_KEPT, Holdings, Position, reserved
from gambit.engine.order import Order
from gambit.events.orders import BalanceCorrected, Filled, Sent
from tests.engine.orders import D, cancelled, filled, order


def correct(holdings: Holdings, venue: str, asset: str, delta: str) -> None:
    holdings.correct(BalanceCorrected(venue=venue, asset=asset, delta=D(delta), reason="opening"))


def fill(holdings: Holdings, of: Order, exec_id: str, qty: str, price: str, now_ns: int = 0, **fee: Any) -> Filled:
    fact = filled(of, exec_id, qty, price, **fee)
    holdings.fill(fact, of.intent.base, of.intent.quote, of.intent.fee_bps, now_ns)
    of.apply(fact, now_ns)
    return fact


def test_a_round_trip_between_two_venues() -> None:
    """Bought on a, sold on b: balances move on each, the position is flat, the difference is realised."""
    holdings = Holdings()
    correct(holdings, "a", "USDT", "1000")
    correct(holdings, "b", "BTC", "2")
    fill(holdings, order(qty=D(1)), "e1", "1", "100", fee=D("0.1"))
    fill(holdings, order(venue="b", side="sell", qty=D(1)), "e1", "1", "102", fee=D("0.102"))
    assert holdings.balance("a", "USDT") == D("899.9")
    assert holdings.balance("a", "BTC") == 1
    assert holdings.balance("b", "USDT") == D("101.898")
    assert holdings.balance("b", "BTC") == 1
    assert holdings.positions["BTC-USDT"].qty == 0
    assert holdings.positions["BTC-USDT"].realised == 2
    assert holdings.result_today({"USDT": D(1), "BTC": D(101)}, 0) == D("1.798")
    assert holdings.equity({"USDT": D(1), "BTC": D(100)}) == D("1201.798")
    assert holdings.audit() == []


def test_a_fee_in_base_is_lost_at_cost() -> None:
    """F38: 0.999 arrive, the position is 0.999, and the missing 0.001 is a loss at its cost."""
    holdings = Holdings()
    fill(holdings, order(qty=D(1)), "e1", "1", "100", fee=D("0.001"), fee_asset="BTC")
    position = holdings.positions["BTC-USDT"]
    assert (position.qty, position.realised, position.average_cost) == (D("0.999"), D("-0.100"), 100)
    assert holdings.balance("a", "BTC") == D("0.999")
    assert holdings.result_today({"USDT": D(1), "BTC": D(100)}, 0) == D("-0.1")
    assert holdings.audit() == []


def test_a_fee_in_base_of_a_flat_position_costs_its_price() -> None:
    """Bought here and sold there, the fee is sold short: at the price it was charged at, not for nothing."""
    holdings = Holdings()
    fill(holdings, order(venue="b", side="sell", qty=D(1)), "e1", "1", "102")
    fill(holdings, order(qty=D(1)), "e1", "1", "100", fee=D("0.001"), fee_asset="BTC")
    position = holdings.positions["BTC-USDT"]
    assert (position.qty, position.average_cost, position.realised) == (D("-0.001"), 100, D("1.9"))
    assert holdings.result_today({"USDT": D(1), "BTC": D(200)}, 0) == D("1.8")
    assert holdings.audit() == []


def test_a_fee_in_a_third_asset() -> None:
    """F38: charged where it was charged, valued at its mark."""
    holdings = Holdings()
    correct(holdings, "a", "BNB", "1")
    fill(holdings, order(qty=D(1)), "e1", "1", "100", fee=D("0.001"), fee_asset="BNB")
    assert holdings.balance("a", "BNB") == D("0.999")
    assert holdings.result_today({"USDT": D(1), "BTC": D(100), "BNB": D(500)}, 0) == D("-0.5")
    assert "a" not in holdings.tallies


def test_average_cost_through_zero() -> None:
    """Closing realises against the mean, going through zero opens the other way at the new price."""
    position = Position("BTC", "USDT")
    position.trade(D(1), D(100))
    position.trade(D(1), D(110))
    assert position.average_cost == 105
    assert position.trade(D(-3), D(108)) == 6
    assert (position.qty, position.average_cost, position.realised) == (-1, 108, 6)
    assert position.unrealised(D(100)) == 8


def test_the_day_rolls() -> None:
    """A new UTC day begins with an empty result."""
    holdings = Holdings()
    marks = {"USDT": D(1), "BTC": D(100)}
    fill(holdings, order(qty=D(1)), "e1", "1", "100", now_ns=DAY_NS - 1, fee=D(1))
    assert holdings.result_today(marks, DAY_NS - 1) == -1
    assert holdings.result_today(marks, DAY_NS) == 0
    fill(holdings, order(venue="b", side="sell", qty=D(1)), "e1", "1", "99", now_ns=DAY_NS)
    assert holdings.result_today(marks, DAY_NS) == -1


def test_fees_charged_beside_fees_modelled() -> None:
    """A venue that charges more than its tier shows it in basis points of the notional."""
    holdings = Holdings()
    fill(holdings, order(qty=D(10)), "e1", "10", "100", fee=D("1.5"))
    assert holdings.tallies["a"].drift_bps(20) == 5


def test_a_tier_that_changed_shows_after_many_that_were_right() -> None:
    """The last executions count, not a life's average; only so many are kept."""
    holdings = Holdings()
    for number in range(500):
        fill(holdings, order(qty=D(10)), f"e{number}", "10", "100", fee=D(1))
    tally = holdings.tallies["a"]
    assert (tally.drift_bps(20), len(tally.recent)) == (0, FEES_KEPT)
    for number in range(500, 515):
        fill(holdings, order(qty=D(10)), f"e{number}", "10", "100", fee=D(2))
    assert (tally.drift_bps(20), tally.drift_bps(FEES_KEPT), tally.charged - tally.modelled) == (D("7.5"), 5, 15)


def test_a_bust_undoes_an_execution() -> None:
    """F32: balances are as if it had never been."""
    holdings = Holdings()
    subject = order(qty=D(1))
    fill(holdings, subject, "e1", "1", "100", fee=D("0.1"))
    holdings.bust(subject, subject.executions["e1"], 0)
    assert set(holdings.balances.values()) == {D(0)}
    assert holdings.positions["BTC-USDT"].qty == 0
    assert holdings.audit() == []


def test_reservations_are_counted_from_live_orders() -> None:
    """Quote and its fee for a buy, base for a sell, only what is still open."""
    buy, sell = order(qty=D(10)), order(venue="b", side="sell", qty=D(4))
    for subject in (buy, sell):
        subject.apply(Sent(key=subject.intent.key, venue=subject.intent.venue), 0)
    assert reserved([buy, sell]) == {"a|USDT": D(1001), "b|BTC": D(4)}
    buy.apply(filled(buy, "e1", "9"), 0)
    sell.apply(cancelled(sell, "0"), 0)
    assert reserved([buy, sell]) == {"a|USDT": D("100.1")}


PRICES = st.decimals("0.01", "99999", places=2)
AMOUNTS = st.decimals("0.00000001", "1000", places=8)
FEES = st.decimals("-0.001", "0.01", places=6)


class Ledger(RuleBasedStateMachine):
    """Any trades, busts and corrections on two venues: every sum holds to the last digit (I19, I22)."""

    def __init__(self) -> None:
        super().__init__()
        self.holdings = Holdings()
        self.truth: dict[str, Decimal] = {}
        self.done: list[tuple[Order, str]] = []
        self.now_ns = 0

    def move(self, venue: str, asset: str, delta: Decimal) -> None:
        name = f"{venue}|{asset}"
        self.truth[name] = self.truth.get(name, D(0)) + delta

    @rule(venue=st.sampled_from("ab"), asset=st.sampled_from(["BTC", "USDT"]), delta=AMOUNTS)
    def correct(self, venue: str, asset: str, delta: Decimal) -> None:
        correct(self.holdings, venue, asset, str(delta))
        self.move(venue, asset, delta)

    @rule(
        venue=st.sampled_from("ab"),
        side=st.sampled_from(["buy", "sell"]),
        qty=AMOUNTS,
        price=PRICES,
        rate=FEES,
        fee_asset=st.sampled_from(["BTC", "USDT", "BNB"]),
        later_ns=st.integers(0, DAY_NS),
    )
    def trade(
        self, venue: str, side: str, qty: Decimal, price: Decimal, rate: Decimal, fee_asset: str, later_ns: int
    ) -> None:
        self.now_ns += later_ns
        subject = order(venue=venue, side=side, qty=qty)
        fee = qty * rate
        fill(self.holdings, subject, "e", str(qty), str(price), self.now_ns, fee=fee, fee_asset=fee_asset)
        sign = 1 if side == "buy" else -1
        self.move(venue, "BTC", sign * qty)
        self.move(venue, "USDT", -sign * qty * price)
        self.move(venue, fee_asset, -fee)
        self.done.append((subject, "e"))

    @precondition(lambda self: self.done)
    @rule(data=st.data())
    def bust(self, data: Any) -> None:
        at = data.draw(st.integers(0, len(self.done) - 1))
        subject, exec_id = self.done.pop(at)
        execution = subject.executions[exec_id]
        self.holdings.bust(subject, execution, self.now_ns)
        sign = -1 if subject.intent.side == "buy" else 1
        self.move(subject.intent.venue, "BTC", sign * execution.qty)
        self.move(subject.intent.venue, "USDT", -sign * execution.qty * execution.price)
        self.move(subject.intent.venue, execution.fee_asset, execution.fee)

    @invariant()
    def sums_hold(self) -> None:
        assert self.holdings.audit() == []
        assert {n: a for n, a in self.holdings.balances.items() if a} == {n: a for n, a in self.truth.items() if a}

    @invariant()
    def an_open_position_is_what_was_traded(self) -> None:
        position = self.holdings.positions.get("BTC-USDT")
        if position is not None:
            base = sum((a for n, a in self.holdings.traded.items() if n.endswith("|BTC")), D(0))
            in_third = sum((e.fee for o, i in self.done for e in [o.executions[i]] if e.fee_asset == "BTC"), D(0))
            bought = sum(
                ((1 if o.intent.side == "buy" else -1) * o.executions[i].qty for o, i in self.done),
                D(0),
            )
            corrected = sum((a for n, a in self.holdings.corrected.items() if n.endswith("|BTC")), D(0))
            assert position.qty == bought - in_third == base
            assert sum((a for n, a in self.holdings.balances.items() if n.endswith("|BTC")), D(0)) == base + corrected


TestLedger = Ledger.TestCase
TestLedger.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
