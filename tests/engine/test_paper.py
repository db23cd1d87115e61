"""The paper venue, and the desk trading on it: the desk cannot tell it from a real one."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from gambit.commands import CancelOrder, PlaceOrder, QueryBalances, QueryFills, QueryOrder
from gambit.engine.desk import Decision, Desk
from gambit.engine.limits import SECOND_NS
from gambit.engine.order import Status
from gambit.engine.paper import Paper, PaperTerms, opening_balances
from gambit.engine.standing import Standing
from gambit.events import read, written
from gambit.events.operation import DaemonStarted
from gambit.events.orders import BalanceRead, Cancelled, Filled, FillsRead, OrderFact, OrderMoved, PlanClosed, Rejected
from tests.engine.orders import intent
from tests.engine.world import LIMITS, NOW_NS, RULES, SYMBOL, D, World, levels, opportunity, world

TERMS = PaperTerms()


def run(paper: Paper, here: World, until_ns: int) -> list[OrderFact]:
    """Everything the venue tells up to a time."""
    told: list[OrderFact] = []
    while paper.deadline_ns is not None and paper.deadline_ns <= until_ns:
        told += paper.on_time(here, paper.deadline_ns)
    return told


def placed(
    here: World | None = None, terms: PaperTerms = TERMS, balance: str = "100000", **changes: Any
) -> list[OrderFact]:
    """What becomes of one order on venue a."""
    paper = Paper("a", terms, {"USDT": D(balance), "BTC": D(10)})
    paper.send(PlaceOrder(intent(**changes)), NOW_NS)
    return run(paper, here or world(), NOW_NS + SECOND_NS)


def fills(facts: Sequence[object]) -> list[tuple[Decimal, Decimal, Decimal]]:
    return [(f.qty, f.price, f.fee) for f in facts if isinstance(f, Filled)]


def test_it_fills_with_slippage_and_fee() -> None:
    """5 bps worse than the level, 0.1 % in quote."""
    facts = placed(qty=D(10), price=D("100.2"))
    assert [type(fact).__name__ for fact in facts] == ["Acked", "Filled"]
    assert fills(facts) == [(10, D("100.05"), D("1.0005"))]


def test_it_fills_in_parts() -> None:
    """Level by level up to the limit, slippage included; the rest is canceled."""
    facts = placed(qty=D(50), price=D("100.2"))
    assert fills(facts) == [(30, D("100.05"), D("3.0015")), (10, D("100.16"), D("1.0016"))]
    assert facts[-1] == Cancelled(key=facts[0].key, venue="a", cum_qty=D(40), cause="ioc")  # type: ignore[union-attr]
    sold = placed(side="sell", qty=D(5), price=D("99.8"))
    assert fills(sold) == [(5, D("99.85"), D("0.49925"))]


def test_the_least_order_is_in_the_currency_of_account() -> None:
    """Ten USD: a fifth of a quote unit that is worth 60 is enough, a tenth is not."""
    here = world()
    here.prices["USDT"] = D(60)
    here.rule("a", min_notional=None)
    assert fills(placed(here, qty=D("0.002"), price=D("100.2"))) != []
    [refusal] = placed(here, qty=D("0.001"), price=D("100.2"))
    assert isinstance(refusal, Rejected)
    assert refusal.code == "min_notional"


def test_all_or_nothing() -> None:
    """A fill-or-kill that cannot be filled whole fills nothing."""
    assert fills(placed(qty=D(50), price=D("100.2"), tif="fok")) == []
    assert fills(placed(qty=D(40), price=D("100.2"), tif="fok")) != []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"qty": D("0.05"), "price": D(100)}, "min_notional"),
        ({"qty": D("1.0005")}, "filter"),
        ({"price": D("100.001")}, "filter"),
        ({"symbol": "DOGE-USDT"}, "unknown_symbol"),
        ({"qty": D(2000)}, "insufficient_funds"),
        ({"side": "sell", "qty": D(11)}, "insufficient_funds"),
        ({"price": D(0)}, "bad_number"),
    ],
)
def test_it_refuses(changes: dict[str, Any], code: str) -> None:
    """Minimum of 10 USD, filters and balances, each by its code."""
    [fact] = placed(**changes)
    assert isinstance(fact, Rejected)
    assert fact.code == code


def test_it_refuses_more_than_its_largest_order() -> None:
    """As the venue it stands for would."""
    here = world()
    here.rule("a", max_qty=D(10))
    assert fills(placed(here, qty=D(10), price=D("100.2"))) != []
    [fact] = placed(here, qty=D("10.001"), price=D("100.2"))
    assert isinstance(fact, Rejected)
    assert fact.code == "max_qty"


def test_it_refuses_what_a_closed_market_would() -> None:
    """As the venue it stands for would."""
    here = world()
    here.rule("a", is_open=False)
    [fact] = placed(here)
    assert isinstance(fact, Rejected)
    assert fact.code == "market_closed"


def test_taken_depth_is_gone_for_a_while() -> None:
    """The second order finds what the first left; after the recovery all is there again."""
    paper, here = Paper("a", TERMS, {"USDT": D(100_000)}), world()
    for number, at_ns in enumerate((NOW_NS, NOW_NS + SECOND_NS // 2, NOW_NS + 4 * SECOND_NS)):
        paper.send(PlaceOrder(intent(qty=D(20), price=D("100.09"), key=f"k{number}")), at_ns)
        got = sum(qty for qty, _, _ in fills(run(paper, here, at_ns + SECOND_NS // 2)))
        assert got == (20, 10, 20)[number]


def test_a_resting_order_waits_and_can_be_canceled() -> None:
    """Good till canceled: locked, filled when the book comes, or canceled."""
    paper, here = Paper("a", TERMS, {"USDT": D(2000)}), world()
    paper.send(PlaceOrder(intent(qty=D(10), price=D(99), tif="gtc")), NOW_NS)
    assert fills(run(paper, here, NOW_NS + SECOND_NS)) == []
    paper.send(QueryBalances(venue="a", query_id=1), NOW_NS + SECOND_NS)
    [balance] = run(paper, here, NOW_NS + 2 * SECOND_NS)
    assert isinstance(balance, BalanceRead)
    assert balance.locked == {"USDT": D("990.990")}
    key = next(iter(paper.orders))
    paper.send(CancelOrder(venue="a", symbol=SYMBOL, key=key), NOW_NS + 2 * SECOND_NS)
    assert isinstance(run(paper, here, NOW_NS + 3 * SECOND_NS)[0], Cancelled)
    paper.send(CancelOrder(venue="a", symbol=SYMBOL, key=key), NOW_NS + 3 * SECOND_NS)
    [refusal] = run(paper, here, NOW_NS + 4 * SECOND_NS)
    assert type(refusal).__name__ == "CancelRejected"
    paper.send(PlaceOrder(intent(qty=D(10), price=D(99), tif="gtc", key="other")), NOW_NS + 4 * SECOND_NS)
    run(paper, here, NOW_NS + 5 * SECOND_NS)
    here.put("a", levels(("98", "1")), levels(("98.5", "50")))
    paper.on_time(here, NOW_NS + 6 * SECOND_NS)
    assert fills(run(paper, here, NOW_NS + 7 * SECOND_NS)) == [(10, D("98.55"), D("0.9855"))]


def test_it_answers_questions() -> None:
    """Orders by key, executions since a time."""
    paper, here = Paper("a", TERMS, {"USDT": D(100_000)}), world()
    paper.send(PlaceOrder(intent(qty=D(10), price=D("100.2"))), NOW_NS)
    run(paper, here, NOW_NS + SECOND_NS)
    key = next(iter(paper.orders))
    for name in (key, "nobody"):
        paper.send(QueryOrder(venue="a", symbol=SYMBOL, key=name, query_id=1), NOW_NS + SECOND_NS)
    answers = run(paper, here, NOW_NS + 2 * SECOND_NS)
    assert sorted(type(answer).__name__ for answer in answers) == ["OrderFound", "OrderMissing"]
    for since_ns, count in ((NOW_NS, 1), (NOW_NS + SECOND_NS, 0)):
        paper.send(QueryFills(venue="a", symbol=SYMBOL, since_ns=since_ns, query_id=2), NOW_NS + 2 * SECOND_NS)
        [answer] = run(paper, here, NOW_NS + 3 * SECOND_NS)
        assert isinstance(answer, FillsRead)
        assert len(answer.fills) == count


def test_opening_balances() -> None:
    """The same worth of every asset."""
    marks = {"USDT": D(1), "BTC": D(30000)}
    assert opening_balances(["USDT", "BTC", "XYZ"], marks, D(100_000)) == {"USDT": 100_000, "BTC": D("3.33333333")}


def started(epoch: int) -> DaemonStarted:
    return DaemonStarted(version="t", pid=1, epoch=epoch, mode="paper", config_hash="")


class Floor:
    """A desk and its paper venues, run by their deadlines; keeps the journal."""

    def __init__(self, here: World, rules: Any = RULES, limits: Any = LIMITS) -> None:
        self.here, self.now_ns = here, NOW_NS
        self.papers = {v: Paper(v, TERMS, {"USDT": D(100_000), "BTC": D(1000)}, seed=1) for v in sorted(here.venues)}
        self.journal: list[tuple[int, str, bytes]] = []
        self.desk = Desk(rules, limits)
        self.notices: list[str] = []
        self.do(
            self.desk.on_fact(DaemonStarted(version="t", pid=1, epoch=1, mode="paper", config_hash=""), here, NOW_NS)
        )
        for venue in self.papers:
            self.carry_out([QueryBalances(venue=venue, query_id=1)])
        self.run(SECOND_NS)

    def do(self, decision: Decision) -> None:
        self.journal += [(self.now_ns, *written(fact)) for fact in decision.facts]
        self.carry_out(decision.commands)

    def carry_out(self, commands: Sequence[Any]) -> None:
        for command in commands:
            if type(command).__name__ == "Notify":
                self.notices.append(command.rule_id)
                continue
            venue = command.intent.venue if isinstance(command, PlaceOrder) else command.venue
            for fact in self.papers[venue].send(command, self.now_ns):
                self.do(self.desk.on_fact(fact, self.here, self.now_ns))

    def run(self, span_ns: int) -> None:
        """Follow the deadlines for a while; books stay fresh."""
        end_ns = self.now_ns + span_ns
        while True:
            dues = [p.deadline_ns for p in self.papers.values()] + [self.desk.deadline_ns(self.here, self.now_ns)]
            due_ns = min((max(due, self.now_ns) for due in dues if due is not None), default=end_ns + 1)
            if due_ns > end_ns:
                break
            self.now_ns = due_ns
            for venue, symbol in list(self.here.by_name):
                self.here.touch(venue, symbol, updated_ns=due_ns)
            for paper in self.papers.values():
                for fact in paper.on_time(self.here, due_ns):
                    self.do(self.desk.on_fact(fact, self.here, due_ns))
            self.do(self.desk.on_time(self.here, due_ns))
        self.now_ns = end_ns

    def facts(self, kind: type) -> list[Any]:
        return [fact for _, k, body in self.journal if isinstance(fact := read(k, body), kind)]

    def check(self) -> None:
        """Balances as the venues have them, sums whole, the journal replays to the same state."""
        holdings = self.desk.standing.state.holdings
        for venue, paper in self.papers.items():
            for asset, amount in paper.balances.items():
                assert holdings.balance(venue, asset) == amount, (venue, asset)
        assert holdings.audit() == []
        assert self.desk.standing.state.funnel.is_whole
        again = Desk(self.desk.rules, self.desk.limits)
        for ts_ns, kind, body in self.journal:
            again.replay(read(kind, body), ts_ns)
        assert again.standing.digest() == self.desk.standing.digest()
        assert Standing.restored(again.standing.snapshot()).digest() == again.standing.digest()


def test_the_desk_trades_on_paper() -> None:
    """An opportunity is planned, filled, settled and earned, and the books agree to the last digit."""
    floor = Floor(world())
    floor.do(floor.desk.consider(opportunity(recv_ns=floor.now_ns), floor.here, floor.now_ns))
    floor.run(10 * SECOND_NS)
    [closed] = floor.facts(PlanClosed)
    assert (closed.end, closed.left) == ("flat", {})
    assert closed.profit["USDT"] > 0
    assert [str(order.status) for order in floor.desk.standing.state.orders.values()] == ["reconciled", "reconciled"]
    assert floor.desk.standing.state.funnel.ended == {"traded": 1}
    assert floor.desk.is_flat
    assert floor.notices == []
    moves = [(m.was, m.status) for m in floor.facts(OrderMoved)]
    assert ("pending_submission", "submitted") in moves
    assert ("filled", "reconciled") in moves
    floor.check()


def test_a_half_filled_leg_is_compensated() -> None:
    """b lost its depth between the signal and the order: what was bought too much is sold again."""
    here = world()
    floor = Floor(here)
    decision = floor.desk.consider(opportunity(recv_ns=floor.now_ns), here, floor.now_ns)
    here.put("b", levels(("102", "4")), levels(("102.1", "200")))
    floor.do(decision)
    floor.run(10 * SECOND_NS)
    [closed] = floor.facts(PlanClosed)
    assert closed.end in ("flat", "dust")
    assert closed.compensations == 1
    statuses = sorted(str(order.status) for order in floor.desk.standing.state.orders.values())
    assert statuses == ["reconciled", "reconciled", "reconciled"]
    assert floor.desk.is_flat
    floor.check()


def test_what_cannot_be_closed_is_alarmed_and_halted() -> None:
    """R4: both books run away beyond the collar; the symbol halts, past the limit everything does."""
    here = world()
    floor = Floor(here, replace(RULES, flat_deadline_ns=2 * SECOND_NS), replace(LIMITS, max_imbalance_quote=D(1000)))
    floor.do(floor.desk.consider(opportunity(recv_ns=floor.now_ns), here, floor.now_ns))
    here.put("b", levels(("90", "400")), levels(("90.1", "200")))
    real = here.by_name["a", SYMBOL]
    floor.papers["b"].on_time(here, floor.now_ns)
    here.put("a", levels(("89", "400")), real.asks)
    floor.run(10 * SECOND_NS)
    [closed] = floor.facts(PlanClosed)
    assert (closed.end, closed.left) == ("position", {"BTC": D(20)})
    assert {"unhedged", "scope_halted", "halted"} <= set(floor.notices)
    assert floor.desk.standing.state.trading.state == "HALTED"
    assert floor.desk.standing.state.holdings.positions[SYMBOL].qty == 20
    floor.check()


def test_a_refused_opportunity_ends_with_its_counterfactual() -> None:
    """What it would have earned when our orders would have been there."""
    floor = Floor(world(), limits=replace(LIMITS, min_order_quote=D(9000)))
    floor.here.change("b", latency_ns=50_000_000)
    floor.do(floor.desk.consider(opportunity(recv_ns=floor.now_ns), floor.here, floor.now_ns))
    floor.run(SECOND_NS)
    funnel = floor.desk.standing.state.funnel
    assert funnel.ended == {"risk:min_order": 1}
    assert funnel.counterfactual == {"risk:min_order": D("35.96")}
    floor.check()


def test_the_same_opportunity_is_considered_once() -> None:
    """F52: while it is in flight, fifty ticks make one plan; another signal of the episode is a duplicate."""
    floor = Floor(world())
    for _ in range(50):
        floor.do(floor.desk.consider(opportunity(recv_ns=floor.now_ns), floor.here, floor.now_ns))
    floor.do(floor.desk.consider(opportunity(opp_id="opp-2", recv_ns=floor.now_ns), floor.here, floor.now_ns))
    assert len(floor.desk.standing.state.orders) == 2
    floor.run(10 * SECOND_NS)
    assert floor.desk.standing.state.funnel.ended == {"traded": 1, "in_flight": 1}
    floor.check()


def test_a_restart_on_paper() -> None:
    """Orders whose fate was not told never existed: proven absent after the window, and flat."""
    floor = Floor(world())
    floor.do(floor.desk.consider(opportunity(recv_ns=floor.now_ns), floor.here, floor.now_ns))
    again = Desk(RULES, LIMITS)
    for ts_ns, kind, body in floor.journal:
        again.replay(read(kind, body), ts_ns)
    floor.desk = again
    for venue in floor.papers:
        floor.papers[venue] = Paper(venue, TERMS, {"USDT": D(100_000), "BTC": D(1000)}, seed=2)
        floor.papers[venue].restore(again.standing)
    floor.now_ns += SECOND_NS
    floor.do(again.begin(started(2), floor.here, floor.now_ns))
    assert [order.status for order in again.standing.live.values()] == [Status.IN_DOUBT] * 2
    floor.run(20 * SECOND_NS)
    assert {str(order.status) for order in again.standing.state.orders.values()} == {"aborted"}
    assert again.standing.state.funnel.ended == {"lost_race": 1}
    assert again.is_flat
    floor.check()
