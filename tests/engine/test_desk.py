"""The desk: facts in, facts and commands out, one situation each."""

from dataclasses import replace
from typing import Any

import pytest

from gambit.commands import CancelOrder, Notify, PlaceOrder, QueryBalances, QueryFills, QueryOrder, client_order_id
from gambit.engine.desk import Decision, Desk
from gambit.engine.limits import MINUTE_NS, SECOND_NS
from gambit.engine.risk import GATES
from gambit.engine.standing import KEEP, VERSION, Keep, ReplayDiffers, Standing
from gambit.engine.trading_state import Trading
from gambit.events import Fact, read, written
from gambit.events.operation import DaemonStarted
from gambit.events.orders import (
    Acked,
    BalanceRead,
    Busted,
    Cancelled,
    Filled,
    FillsRead,
    ForeignOrderSeen,
    OpportunityEnded,
    OrderFound,
    OrderIntended,
    OrderMissing,
    OrderMoved,
    OutcomeUnknown,
    PlanClosed,
    PlanMade,
    PlanStopped,
    Rejected,
    ScopeHalted,
    Sent,
    Unhedged,
    Unsent,
)
from gambit.runtime import books_of_account
from gambit.surface.methods import Rows
from tests.engine.world import LIMITS, NOW_NS, RULES, SYMBOL, D, World, levels, opportunity, world

QUICK = replace(LIMITS, trades_per_hour=0, duplicate_window_ns=0)


class Talk:
    """A conversation with a desk: what is said to it at which time, and what it answers."""

    def __init__(
        self,
        here: World | None = None,
        rules: Any = RULES,
        limits: Any = QUICK,
        keep: Keep = KEEP,
        quote: int = 100_000,
    ) -> None:
        self.here, self.now_ns = here or world(), NOW_NS
        self.desk = Desk(rules, limits, Standing(keep=keep))
        self.journal: list[tuple[int, Fact]] = []
        self.said: list[Any] = []  # every command, in order
        self.begin(1)
        for venue in self.here.venues:
            free = {"USDT": D(quote), "BTC": D(quote // 100)}
            self.tell(BalanceRead(venue=venue, query_id=1, asked_ns=self.now_ns, free=free, locked={}))

    def begin(self, epoch: int) -> list[Any]:
        started = DaemonStarted(version="t", pid=1, epoch=epoch, mode="paper", config_hash="")
        return self.hear(self.desk.begin(started, self.here, self.now_ns))

    def hear(self, decision: Decision) -> list[Any]:
        self.journal += [(self.now_ns, fact) for fact in decision.facts]
        self.said += decision.commands
        return decision.commands

    def tell(self, *facts: Fact) -> list[Any]:
        return [c for fact in facts for c in self.hear(self.desk.on_fact(fact, self.here, self.now_ns))]

    def wait(self, span_ns: int) -> list[Any]:
        """Time passes in steps of 100 ms; books stay fresh."""
        commands: list[Any] = []
        end_ns = self.now_ns + span_ns
        while self.now_ns < end_ns:
            self.now_ns = min(self.now_ns + SECOND_NS // 10, end_ns)
            for venue, symbol in list(self.here.by_name):
                self.here.touch(venue, symbol, updated_ns=self.now_ns)
            commands += self.hear(self.desk.on_time(self.here, self.now_ns))
        return commands

    def trade(self, **changes: Any) -> tuple[OrderIntended, OrderIntended]:
        """An opportunity is planned and its two creates are sent."""
        seen = opportunity(recv_ns=self.now_ns, **changes)
        orders = [c.intent for c in self.hear(self.desk.consider(seen, self.here, self.now_ns))]
        for intent in orders:
            self.tell(Sent(key=intent.key, venue=intent.venue))
        buy, sell = orders
        return buy, sell

    def facts(self, kind: type) -> list[Any]:
        return [fact for _, fact in self.journal if isinstance(fact, kind)]

    def notices(self) -> list[str]:
        return [c.rule_id for c in self.said if isinstance(c, Notify)]

    def status(self, intent: OrderIntended) -> str:
        order = self.desk.standing.order(intent.key)
        assert order is not None
        return str(order.status)

    def from_journal(self) -> Desk:
        again = Desk(self.desk.rules, self.desk.limits, Standing(keep=self.desk.standing.keep))
        for ts_ns, fact in self.journal:
            again.replay(read(*written(fact)), ts_ns)
        return again

    def replayed(self) -> Desk:
        again = self.from_journal()
        assert again.standing.digest() == self.desk.standing.digest()
        return again


def fill(of: OrderIntended, exec_id: str, qty: str, price: str | None = None, **changes: Any) -> Filled:
    fields: dict[str, Any] = {"fee": D(0), "fee_asset": of.quote} | changes
    return Filled(
        key=of.key, venue=of.venue, symbol=of.symbol, side=of.side, exec_id=exec_id, qty=D(qty),
        price=D(price) if price else of.price, **fields,
    )  # fmt: skip


def done(of: OrderIntended, cum: str) -> Cancelled:
    return Cancelled(key=of.key, venue=of.venue, cum_qty=D(cum), cause="ioc")


def kinds(commands: list[Any]) -> list[str]:
    return [type(command).__name__ for command in commands]


def placed(commands: list[Any]) -> list[OrderIntended]:
    return [command.intent for command in commands if isinstance(command, PlaceOrder)]


def test_an_intent_is_a_fact_before_it_is_a_command() -> None:
    """Both legs at once; each command's intent is among the facts that go to the journal first."""
    talk = Talk()
    decision = talk.desk.consider(opportunity(), talk.here, NOW_NS)
    assert [type(fact).__name__ for fact in decision.facts] == ["PlanMade", "OrderIntended", "OrderIntended"]
    assert [c.intent for c in decision.commands if isinstance(c, PlaceOrder)] == decision.facts[1:]


def test_a_leg_without_an_answer_is_in_doubt_and_asked_about() -> None:
    """R1: no answer in time is no answer; nothing is sent again, the venue is asked, ever more rarely."""
    talk = Talk()
    buy, sell = talk.trade()
    talk.tell(fill(sell, "s1", "20"))
    asked = [c for c in talk.wait(4 * SECOND_NS) if isinstance(c, QueryOrder)]
    assert talk.status(buy) == "in_doubt"
    assert {c.key for c in asked} == {buy.key}
    assert [c.query_id for c in asked] == sorted({c.query_id for c in asked})
    assert 3 <= len(asked) <= 6
    assert placed(talk.said) == [buy, sell]


def test_f42_no_blind_compensation_but_an_alarm_in_time() -> None:
    """One leg filled, the other unknown: nothing is compensated; past the deadline it is said and the symbol halts."""
    talk = Talk()
    buy, sell = talk.trade()
    talk.tell(fill(sell, "s1", "20"))
    talk.wait(9 * SECOND_NS)
    assert placed(talk.said) == [buy, sell]
    assert [u.qty for u in talk.facts(Unhedged)] == [-20]
    assert [s.scope for s in talk.facts(ScopeHalted)] == [f"symbol:{SYMBOL}"]
    talk.tell(fill(buy, "b1", "20"))
    assert [c.end for c in talk.facts(PlanClosed)] == ["flat"]
    talk.replayed()


def test_f03_absence_needs_the_window() -> None:
    """A denial counts when it was asked for after the send + window + margin, and the history was searched too."""
    talk = Talk()
    buy, sell = talk.trade()
    talk.tell(fill(sell, "s1", "20"))
    early = talk.now_ns
    talk.wait(2 * SECOND_NS)
    for asked_ns, searched in ((early, True), (talk.now_ns, True), (early + 6 * SECOND_NS + 1, False)):
        talk.tell(OrderMissing(key=buy.key, venue="a", query_id=9, asked_ns=asked_ns, searched_history=searched))
        assert talk.status(buy) == "in_doubt"
    late = OrderMissing(key=buy.key, venue="a", query_id=9, asked_ns=early + 6 * SECOND_NS + 1, searched_history=True)
    [retry] = placed(talk.tell(late))
    assert (retry.retry_of, retry.purpose, retry.side, retry.qty) == (buy.key, "compensation", "buy", 20)
    assert retry.key != buy.key
    assert talk.status(buy) == "retried"
    talk.tell(Sent(key=retry.key, venue=retry.venue), fill(retry, "r1", "20"))
    assert talk.facts(PlanClosed)[-1].end == "flat"
    talk.replayed()


def test_f41_a_rejected_leg_is_made_good_elsewhere_or_undone() -> None:
    """The other leg filled: the difference is closed at once, on a venue that did not just refuse."""
    talk = Talk()
    buy, sell = talk.trade()
    talk.tell(fill(buy, "b1", "20"))
    [order] = placed(talk.tell(Rejected(key=sell.key, venue="b", code="funds")))
    assert (order.venue, order.side, order.qty, order.compensates) == ("a", "sell", 20, buy.key)
    talk.tell(Sent(key=order.key, venue="a"), fill(order, "c1", "20", "99.9"))
    [closed] = talk.facts(PlanClosed)
    assert (closed.end, closed.compensations) == ("flat", 1)
    assert talk.status(sell) == "aborted"


def test_f44_attempts_are_few_and_wider() -> None:
    """Each further try may go further from the plan's price; after the last it is said, and the symbol halts."""
    talk = Talk(rules=replace(RULES, flat_deadline_ns=MINUTE_NS))
    buy, sell = talk.trade()
    talk.tell(fill(buy, "b1", "20"), done(sell, "0"))
    tried: list[OrderIntended] = []
    for _ in range(400):
        for order in [o for o in placed(talk.said) if o.purpose == "compensation" and o not in tried]:
            tried.append(order)
            talk.tell(Rejected(key=order.key, venue=order.venue, code="nope"))
        talk.wait(SECOND_NS // 10)
    prices = [order.price for order in tried]
    assert len(tried) == RULES.compensation_attempts
    assert len({order.key for order in tried}) == len(tried)
    assert prices == sorted(prices, reverse=True)
    assert prices[0] > prices[-1] >= D(100) * (1 - RULES.loss_budget_bps / 10_000)
    assert talk.facts(PlanClosed)[-1].end == "position"
    assert "unhedged" in talk.notices()


def test_f45_a_remainder_too_small_to_trade_is_dust_and_swept_later() -> None:
    """Two remainders that no venue trades are one that can be."""
    talk = Talk()
    for number in range(2):
        buy, sell = talk.trade(opp_id=f"o{number}", raw_signal_id=f"r{number}")
        talk.tell(fill(buy, f"b{number}", "20"), fill(sell, f"s{number}", "19.94"), done(sell, "19.94"))
        talk.wait(SECOND_NS // 5)
    assert [c.end for c in talk.facts(PlanClosed)] == ["dust", "dust"]
    talk.wait(SECOND_NS)
    [sweep] = [o for o in placed(talk.said) if o.purpose == "sweep"]
    assert (sweep.side, sweep.qty) == ("sell", D("0.12"))
    talk.tell(Sent(key=sweep.key, venue=sweep.venue), fill(sweep, "w1", "0.12"))
    assert talk.desk.standing.state.holdings.dust == {}
    assert talk.desk.is_flat
    talk.replayed()


def test_f38_a_fee_in_base_is_part_of_what_is_owed() -> None:
    """20 were bought, 19.5 arrived: half a coin is missing, and bought."""
    talk = Talk()
    buy, sell = talk.trade()
    [order] = placed(talk.tell(fill(buy, "b1", "20", fee=D("0.5"), fee_asset="BTC"), fill(sell, "s1", "20")))
    assert (order.side, order.qty) == ("buy", D("0.5"))


def test_f46_nothing_beyond_the_collar() -> None:
    """The price ran away: no order is sent into it; the deadline ends it with an alarm."""
    talk = Talk()
    buy, sell = talk.trade()
    for venue in "ab":
        talk.here.put(venue, levels(("95", "500")), levels(("95.1", "500")))
    talk.tell(fill(buy, "b1", "20"), done(sell, "0"))
    talk.wait(9 * SECOND_NS)
    assert [o.purpose for o in placed(talk.said)] == ["entry", "entry"]
    assert talk.facts(PlanClosed)[-1].end == "position"


def test_f47_a_venue_that_cannot_trade_is_no_route() -> None:
    """The hedge venue is down: what was bought is sold where it was bought."""
    talk = Talk()
    buy, sell = talk.trade()
    talk.tell(fill(buy, "b1", "20"))
    talk.here.change("b", can_trade=False)
    [order] = placed(talk.tell(done(sell, "0")))
    assert order.venue == "a"


def test_f23_and_f32_corrections_open_the_episode_again() -> None:
    """A late fill and a bust after the end are balanced like anything else."""
    talk = Talk()
    buy, sell = talk.trade()
    talk.tell(fill(buy, "b1", "12"), done(buy, "12"), fill(sell, "s1", "12"), done(sell, "12"))
    assert talk.facts(PlanClosed)[-1].end == "flat"
    talk.wait(10 * MINUTE_NS)
    [order] = placed(talk.tell(fill(buy, "b2", "8")))
    assert (order.side, order.qty, order.purpose) == ("sell", 8, "compensation")
    talk.tell(Sent(key=order.key, venue=order.venue), fill(order, "c1", "8"))
    [order] = placed(talk.tell(Busted(venue="b", symbol=SYMBOL, exec_id="s1")))
    assert (order.side, order.qty) == ("sell", 12)
    assert "late_fill" in talk.notices()
    talk.replayed()


def test_f25_two_contents_of_one_execution_are_settled_by_the_history() -> None:
    """The first stays, the venue's list is asked for, and what it says replaces it."""
    talk = Talk()
    buy, _ = talk.trade()
    talk.tell(fill(buy, "b1", "19"))
    [_, question] = talk.tell(fill(buy, "b1", "20"))
    assert isinstance(question, QueryFills)
    assert talk.desk.standing.state.orders[buy.key].filled_qty == 19
    truth = fill(buy, "b1", "20")
    talk.tell(
        FillsRead(
            venue="a", symbol=SYMBOL, query_id=5, asked_ns=talk.now_ns, since_ns=0, fills=(truth,),
        )
    )  # fmt: skip
    assert talk.desk.standing.state.orders[buy.key].filled_qty == 20
    assert talk.tell(truth) == []
    assert talk.desk.standing.state.holdings.balance("a", "BTC") == 1020
    talk.replayed()


def test_f37_foreign_orders_and_fills_are_seen_counted_and_left_alone() -> None:
    """Reported once, in the exposure, in the balances; never canceled."""
    talk = Talk()
    seen = ForeignOrderSeen(venue="a", symbol=SYMBOL, side="sell", qty=D(1), price=D("100.1"), venue_order_id="v1")
    talk.tell(seen)
    talk.tell(seen)
    assert talk.notices() == ["foreign_order"]
    talk.hear(talk.desk.consider(opportunity(), talk.here, talk.now_ns))
    assert talk.desk.standing.state.funnel.open["opp-1"].reason == "risk:self_trade"
    talk.tell(replace_struct(seen, is_open=False))
    talk.tell(
        Filled(
            key="", venue="a", symbol=SYMBOL, side="sell", exec_id="f1", qty=D(1), price=D("100.1"), fee=D(0),
            fee_asset="USDT",
        )
    )  # fmt: skip
    assert talk.desk.standing.state.holdings.balance("a", "BTC") == 999
    assert talk.notices() == ["foreign_order", "foreign_fill"]
    talk.tell(ForeignOrderSeen(venue="a", symbol=SYMBOL, side="buy", qty=D(1), price=D(0), venue_order_id="market"))
    assert talk.notices() == ["foreign_order", "foreign_fill", "foreign_order"]
    assert not [c for c in talk.said if isinstance(c, CancelOrder)]
    talk.replayed()


def test_f02_an_execution_without_a_key_waits_for_the_order_it_may_be_of() -> None:
    """A venue lists executions by its own ids only, and the reply that named ours was lost: nothing is foreign yet."""
    talk = Talk()
    buy, _ = talk.trade()
    nameless = replace_struct(fill(buy, "x1", str(buy.qty)), key="", venue_order_id="v9")
    talk.tell(nameless)
    assert talk.notices() == []
    assert not talk.desk.standing.state.orders[buy.key].filled_qty
    talk.tell(Acked(key=buy.key, venue=buy.venue, venue_order_id="v9"))
    talk.tell(replace_struct(nameless, key=buy.key))
    assert talk.status(buy) == "filled"
    talk.tell(replace_struct(nameless, exec_id="x2", venue_order_id="v10"))  # nobody is waited for any more
    assert talk.notices() == ["foreign_fill"]
    talk.replayed()


def test_an_execution_that_names_the_venues_id_alone_finds_its_order() -> None:
    """Who lists executions by venue ids does so after a restart, when no line remembers whose they were (F23)."""
    talk = Talk()
    buy, _ = talk.trade()
    half = fill(buy, "x1", "1")
    talk.tell(Acked(key=buy.key, venue=buy.venue, venue_order_id="v9"))
    talk.tell(half)
    talk.tell(Cancelled(key=buy.key, venue=buy.venue, cum_qty=D(1), cause="ioc"))
    assert talk.status(buy) == "canceled"
    late = replace_struct(half, exec_id="x2", key="", venue_order_id="v9")
    talk.tell(replace_struct(late, side="sell"))  # another side is another order, whatever it is called
    assert talk.desk.standing.order(buy.key).filled_qty == 1
    talk.tell(replace_struct(late, exec_id="x3"))
    assert talk.desk.standing.order(buy.key).filled_qty == 2
    assert talk.notices()[-1] == "late_fill"
    talk.replayed()


def test_an_opening_after_executions_waits_like_a_difference() -> None:
    """What an asset opens with was lost in a crash, and an execution that nobody heard of is in what the venue has."""
    talk = Talk()
    buy, _ = talk.trade()
    talk.tell(fill(buy, "x1", "1"))
    holdings = talk.desk.standing.state.holdings
    asset = f"{buy.venue}|NEW"
    holdings.traded[asset] = holdings.balances[asset] = D(-5)
    before = len(talk.notices())
    talk.tell(Cancelled(key=buy.key, venue=buy.venue, cum_qty=D(1), cause="ioc"))
    now = talk.now_ns + SECOND_NS
    talk.now_ns = now
    held = {name.partition("|")[2]: amount for name, amount in holdings.balances.items() if name.startswith(buy.venue)}
    talk.tell(
        BalanceRead(venue=buy.venue, query_id=900, asked_ns=now, free=held | {"NEW": D(95), "OTHER": D(1)}, locked={})
    )
    assert holdings.balance(buy.venue, "OTHER") == 1  # nothing was executed in it: believed
    assert holdings.balance(buy.venue, "NEW") == -5
    assert "balance_difference" not in talk.notices()[before:]


def test_how_a_venue_rounds_is_no_difference() -> None:
    """Balances come cut to eight digits; ours are exact and stay so."""
    talk = Talk()
    for query_id in range(2, 6):
        talk.now_ns += 10 * SECOND_NS
        free = {"USDT": D("99999.999999991"), "BTC": D(1000)}
        talk.tell(BalanceRead(venue="a", query_id=query_id, asked_ns=talk.now_ns, free=free, locked={}))
    assert talk.desk.standing.state.holdings.balance("a", "USDT") == 100_000
    assert talk.notices() == []


def replace_struct(struct: Any, **changes: Any) -> Any:
    return type(struct)(**({name: getattr(struct, name) for name in struct.__struct_fields__} | changes))


def test_i15_the_later_epoch_alone_trades() -> None:
    """An order with our prefix and a later epoch on the account halts this daemon."""
    talk = Talk()
    key = client_order_id(RULES.key_prefix, 2, 1, "another life")
    seen = ForeignOrderSeen(
        venue="a", symbol=SYMBOL, side="buy", qty=D(1), price=D(90), venue_order_id="v1", client_id=key
    )
    talk.tell(seen)
    assert talk.desk.standing.state.trading.state is Trading.HALTED


@pytest.mark.parametrize(("epoch", "is_halted"), [(2, False), (3, True), (4, True)])
@pytest.mark.parametrize("told", ["listed", "acked", "filled", "filled and listed"])
def test_r9_another_daemon_is_known_by_any_word_about_its_orders(told: str, epoch: int, is_halted: bool) -> None:
    """Its orders are rarely open when they are listed. One of an earlier life may be our own, lost with the power."""
    talk = Talk()
    for life in (2, 3):
        talk.now_ns += SECOND_NS
        talk.begin(life)
    key = client_order_id(RULES.key_prefix, epoch, 9, "of another daemon")
    facts: dict[str, Fact] = {
        "listed": ForeignOrderSeen(
            venue="a", symbol=SYMBOL, side="buy", qty=D(1), price=D(90), venue_order_id="v1", client_id=key
        ),
        "acked": Acked(key=key, venue="a", venue_order_id="v1"),
        "filled": Filled(
            key=key, venue="a", symbol=SYMBOL, side="buy", exec_id="x1", qty=D(1), price=D(90), fee=D(0),
            fee_asset="USDT",
        ),
    }  # fmt: skip
    facts["filled and listed"] = FillsRead(
        venue="a", symbol=SYMBOL, query_id=5, asked_ns=talk.now_ns, since_ns=0, fills=(facts["filled"],)
    )
    talk.tell(facts[told])
    trading = talk.desk.standing.state.trading
    assert (trading.state is Trading.HALTED) is is_halted
    assert not is_halted or trading.reason == (
        f"another daemon trades on this account: an order of epoch {epoch}, ours is 3"
    )


def test_an_order_the_journal_lost_is_adopted_and_never_sent() -> None:
    """F94: found by its prefix, asked about, its executions taken in, the imbalance closed."""
    talk = Talk()
    talk.now_ns += SECOND_NS
    talk.begin(2)
    key = client_order_id(RULES.key_prefix, 1, 7, "lost with the power")
    seen = ForeignOrderSeen(
        venue="a", symbol=SYMBOL, side="buy", qty=D(5), price=D(100), venue_order_id="v7", client_id=key, is_open=False
    )
    commands = talk.tell(seen)
    assert kinds(commands) == ["Notify", "QueryOrder"]
    found = OrderFound(
        key=key, venue="a", query_id=1, asked_ns=talk.now_ns, venue_order_id="v7", found_as="filled", cum_qty=D(5)
    )
    assert kinds(talk.tell(found)) == ["QueryFills"]
    own = talk.desk.standing.state.orders[key].intent
    assert talk.desk.may_send(own, talk.now_ns) is not None
    [order] = placed(talk.tell(fill(own, "b1", "5")))
    assert (order.side, order.qty) == ("sell", 5)
    assert talk.tell(seen) == []
    talk.replayed()


def test_a_compensation_that_was_lost_is_not_sent_under_its_id_again() -> None:
    """F94: its intent went with the power, and it may stand at the venue: the next life's is another intent with an
    id of its own. What the venue then lists of the first is of an order that is adopted, and is closed in its turn."""
    talk = Talk()
    buy, sell = talk.trade()
    talk.tell(fill(buy, "b1", "20"), done(buy, "20"))
    kept = len(talk.journal)
    [lost] = placed(talk.tell(Rejected(key=sell.key, venue="b", code="funds")))
    del talk.journal[kept:]
    talk.desk = talk.from_journal()
    talk.now_ns += SECOND_NS
    talk.begin(2)
    [order] = placed(talk.tell(Rejected(key=sell.key, venue="b", code="funds")))
    assert (order.side, order.qty, order.venue) == (lost.side, lost.qty, lost.venue)
    assert order.key != lost.key
    assert order.idempotency_key != lost.idempotency_key
    talk.tell(Sent(key=order.key, venue=order.venue), fill(order, "c1", "20"))
    fills = (fill(lost, "l1", "12"), fill(lost, "l2", "8"))
    told = FillsRead(
        venue=lost.venue,
        symbol=SYMBOL,
        query_id=90,
        asked_ns=talk.now_ns,
        since_ns=talk.now_ns - SECOND_NS,
        fills=fills,
    )
    [back] = placed(talk.tell(told))
    assert talk.notices().count("order_adopted") == 1
    assert "foreign_fill" not in talk.notices()
    assert (back.purpose, back.side, back.qty) == ("compensation", "buy", 20)
    talk.tell(Sent(key=back.key, venue=back.venue), fill(back, "d1", "20"), told)
    assert talk.facts(PlanClosed)[-1].end == "flat"
    assert not talk.desk.standing.state.holdings.dust
    assert talk.desk.standing.state.holdings.positions[SYMBOL].qty == 0
    talk.replayed()


def test_f53_a_restart_between_the_legs_unwinds() -> None:
    """One leg filled, the other never left: the new life asks, learns, and closes the difference."""
    talk = Talk()
    buy, sell = talk.trade()
    talk.tell(fill(buy, "b1", "20"))
    talk.desk = talk.replayed()
    talk.now_ns += 3 * SECOND_NS
    commands = talk.begin(2)
    assert [c.key for c in commands if isinstance(c, QueryOrder)] == [sell.key]
    assert [s.reason for s in talk.facts(PlanStopped)] == ["restart"]
    talk.wait(7 * SECOND_NS)
    missing = OrderMissing(key=sell.key, venue="b", query_id=99, asked_ns=talk.now_ns, searched_history=True)
    [order] = placed(talk.tell(missing))
    assert (order.side, order.qty, order.key[2:6]) == ("sell", 20, "0002")
    talk.replayed()


def test_halt_cancels_what_is_live_and_sends_nothing() -> None:
    """Every live order gets its cancel; a create that was about to leave is refused at the send call."""
    talk = Talk()
    buy, sell = talk.trade()
    decision = talk.desk.set_trading(Trading.HALTED, "drill", "op", talk.here, talk.now_ns)
    commands = talk.hear(decision)
    assert {c.key for c in commands if isinstance(c, CancelOrder)} == {buy.key, sell.key}
    talk.tell(fill(buy, "b1", "20"), done(sell, "0"))
    talk.wait(SECOND_NS)
    assert placed(talk.said) == [buy, sell]
    assert talk.facts(PlanClosed)[-1].end == "position"
    assert not placed(talk.hear(talk.desk.consider(opportunity(opp_id="o2"), talk.here, talk.now_ns)))


def test_a_halt_between_intent_and_send() -> None:
    """The gateway asks, is told no, and says Unsent: nothing is in doubt, nothing is owed."""
    talk = Talk()
    intents = placed(talk.hear(talk.desk.consider(opportunity(), talk.here, talk.now_ns)))
    talk.hear(talk.desk.set_trading(Trading.HALTED, "drill", "op", talk.here, talk.now_ns))
    for intent in intents:
        assert talk.desk.may_send(intent, talk.now_ns) == "halted: drill" or talk.desk.may_send(intent, talk.now_ns)
        talk.tell(Unsent(key=intent.key, venue=intent.venue, reason="halted"))
    assert talk.desk.is_flat
    talk.wait(SECOND_NS // 10)
    assert talk.desk.standing.state.funnel.ended == {"halted": 1}


def test_an_order_is_sent_once() -> None:
    """The send call refuses what was sent, what is over and what nobody intended."""
    talk = Talk()
    buy, sell = talk.trade()
    assert talk.desk.may_send(buy, talk.now_ns) == "this order is not waiting to be sent"
    assert talk.desk.may_send(replace_struct(sell, key="x" * 18), talk.now_ns) is not None


def test_live_without_arms_sends_nothing() -> None:
    """Unarmed live is everything but sending; arming runs out by itself."""
    talk = Talk(rules=replace(RULES, mode="live"))
    assert kinds(talk.hear(talk.desk.consider(opportunity(), talk.here, talk.now_ns))) == []
    talk.wait(SECOND_NS // 10)
    assert talk.desk.standing.state.funnel.ended == {"halted": 1}
    talk.hear(talk.desk.arm("admin", talk.here, talk.now_ns))
    seen = opportunity(opp_id="o2", raw_signal_id="r2", recv_ns=talk.now_ns)
    assert len(placed(talk.hear(talk.desk.consider(seen, talk.here, talk.now_ns)))) == 2


@pytest.mark.parametrize("is_told", [False, True])
def test_arming_that_ends_within_a_plan_leaves_no_leg_naked(is_told: bool) -> None:
    """It runs out, or an admin ends it, between the fill of one leg and the failure of the other: what was bought is
    sold again, and no plan, sweep or second leg begins."""
    talk = Talk(rules=replace(RULES, mode="live", arm_ns=SECOND_NS))
    talk.hear(talk.desk.arm("admin", talk.here, talk.now_ns))
    buy, sell = talk.trade()
    talk.tell(fill(buy, "b1", "20"))
    if is_told:
        talk.hear(talk.desk.disarm("admin", "enough", talk.here, talk.now_ns))
    else:
        talk.wait(SECOND_NS)
    commands = talk.tell(Rejected(key=sell.key, venue="b", code="funds"))
    [order] = placed(commands)
    assert (order.purpose, order.side, order.qty) == ("compensation", "sell", 20)
    assert talk.desk.may_send(order, talk.now_ns) is None
    talk.tell(Sent(key=order.key, venue=order.venue), fill(order, "c1", "20"))
    assert talk.facts(PlanClosed)[-1].end == "flat"
    seen = opportunity(opp_id="o2", raw_signal_id="r2", recv_ns=talk.now_ns)
    assert placed(talk.hear(talk.desk.consider(seen, talk.here, talk.now_ns))) == []
    talk.replayed()


def test_dust_is_not_swept_unarmed() -> None:
    """A sweep is a trade of its own: it waits for arms."""
    talk = Talk(rules=replace(RULES, mode="live", arm_ns=SECOND_NS))
    talk.hear(talk.desk.arm("admin", talk.here, talk.now_ns))
    buy, sell = talk.trade()
    talk.tell(fill(buy, "b1", "19.95"), done(buy, "19.95"), fill(sell, "s1", "20"), done(sell, "20"))
    assert talk.facts(PlanClosed)[-1].end == "dust"
    talk.hear(talk.desk.disarm("admin", "enough", talk.here, talk.now_ns))
    talk.desk.standing.state.holdings.move_dust("BTC", D("-0.5"))
    count = len(placed(talk.said))
    talk.wait(3 * SECOND_NS)
    assert len(placed(talk.said)) == count
    talk.hear(talk.desk.arm("admin", talk.here, talk.now_ns))
    talk.wait(SECOND_NS // 10)
    assert [order.purpose for order in placed(talk.said)[count:]] == ["sweep"]


def test_a_plan_that_waits_for_a_person() -> None:
    """Approved it goes, with every gate asked again; rejected, forgotten or overtaken by the prices it does not."""
    rules = replace(RULES, approval="manual")
    talk = Talk(rules=rules)

    def wait_for(number: int) -> str:
        seen = opportunity(opp_id=f"o{number}", raw_signal_id=f"r{number}", recv_ns=talk.now_ns)
        assert kinds(talk.hear(talk.desk.consider(seen, talk.here, talk.now_ns))) == []
        plan: str = talk.facts(PlanMade)[-1].plan_id
        return plan

    first = wait_for(1)
    assert len(placed(talk.hear(talk.desk.approve(first, "op", talk.here, talk.now_ns)))) == 2
    with pytest.raises(KeyError):
        talk.desk.approve(first, "op", talk.here, talk.now_ns)
    talk.hear(talk.desk.reject(wait_for(2), "op", talk.here, talk.now_ns))
    wait_for(3)
    talk.wait(31 * SECOND_NS)
    fourth = wait_for(4)
    real = talk.here.by_name["b", SYMBOL]
    talk.here.touch("b", bids=levels(("101", "50")))
    assert not placed(talk.hear(talk.desk.approve(fourth, "op", talk.here, talk.now_ns)))
    talk.here.touch("b", bids=real.bids)
    fifth = wait_for(5)
    talk.tell(ScopeHalted(scope="venue:b", reason="drill"))
    assert not placed(talk.hear(talk.desk.approve(fifth, "op", talk.here, talk.now_ns)))
    talk.wait(SECOND_NS // 10)
    ended = talk.desk.standing.state.funnel.ended
    assert ended == {"unapproved": 2, "lost_race": 1, "risk:kill_switch": 1}


@pytest.mark.parametrize("approval", ["auto", "manual"])
def test_a_plan_that_traded_nothing_tells_what_it_would_have_earned(approval: str) -> None:
    """One measured latency after it was made: on the books of that instant, whenever it ended."""
    here = world()
    here.change("b", latency_ns=SECOND_NS // 5)
    talk = Talk(here, rules=replace(RULES, approval=approval))
    commands = talk.hear(talk.desk.consider(opportunity(), talk.here, talk.now_ns))
    made = talk.facts(PlanMade)[-1]
    if approval == "auto":  # over before it is due
        for intent in placed(commands):
            talk.tell(Sent(key=intent.key, venue=intent.venue), done(intent, "0"))
        assert talk.facts(PlanClosed)[-1].end == "nothing"
    assert talk.facts(OpportunityEnded) == []
    talk.here.touch("b", bids=levels(("101", "500")))
    talk.wait(SECOND_NS // 5)
    talk.here.touch("b", bids=levels(("99", "500")))
    talk.wait(SECOND_NS)
    if approval == "manual":  # long after it was due
        talk.hear(talk.desk.reject(made.plan_id, "op", talk.here, talk.now_ns))
    [ended] = talk.facts(OpportunityEnded)
    assert (ended.reason, ended.latency_ns) == (
        "lost_race" if approval == "auto" else "unapproved",
        SECOND_NS // 5,
    )
    assert 0 < ended.counterfactual < made.expected_profit
    assert talk.desk.standing.state.funnel.is_whole
    talk.replayed()


@pytest.mark.parametrize(
    ("bid", "is_synced", "expected"),
    [("101", True, "a gain"), ("99", True, "nothing"), ("101", False, "nobody knows")],
)
def test_what_would_have_earned_nothing_says_so(bid: str, is_synced: bool, expected: str) -> None:
    """A signal that was refused rightly has lost: it would have earned nothing. Only a book that nobody can believe
    does not tell."""
    here = world()
    here.change("b", latency_ns=SECOND_NS // 5)
    talk = Talk(here, limits=replace(LIMITS, min_order_quote=D(9000)))
    talk.hear(talk.desk.consider(opportunity(), talk.here, talk.now_ns))
    talk.here.touch("b", bids=levels((bid, "500")), is_synced=is_synced)
    talk.wait(SECOND_NS)
    [ended] = talk.facts(OpportunityEnded)
    profit = ended.counterfactual
    assert ended.reason == "risk:min_order"
    assert ("nobody knows" if profit is None else "a gain" if profit > 0 else "nothing") == expected
    assert talk.desk.standing.state.funnel.is_whole
    talk.replayed()


def test_a_start_ends_what_waited_for_hindsight() -> None:
    """A plan is over and its counterfactual not due yet: the next life tells the reason."""
    here = world()
    here.change("b", latency_ns=SECOND_NS)
    talk = Talk(here)
    for intent in placed(talk.hear(talk.desk.consider(opportunity(), talk.here, talk.now_ns))):
        talk.tell(Sent(key=intent.key, venue=intent.venue), done(intent, "0"))
    assert talk.facts(OpportunityEnded) == []
    talk.desk = talk.replayed()
    talk.begin(2)
    assert talk.desk.standing.state.funnel.ended == {"lost_race": 1}
    assert talk.facts(OpportunityEnded)[-1].counterfactual is None


def test_an_entry_that_waited_too_long_does_not_leave() -> None:
    """Its intent was slow to be safe on the disk, say: the prices are of another time."""
    talk = Talk()
    decision = talk.desk.consider(opportunity(), talk.here, talk.now_ns)
    [buy, _sell] = placed(decision.commands)
    assert talk.desk.may_send(buy, talk.now_ns + RULES.plan_ttl_ns) is None
    assert talk.desk.may_send(buy, talk.now_ns + RULES.plan_ttl_ns + 1) == "the plan expired before it could be sent"


def test_an_approved_plan_is_priced_again() -> None:
    """Its limits would still be met, but it earns too little by now, or nothing: it does not go, and every gate's
    verdict of that moment is written down."""
    talk = Talk(rules=replace(RULES, approval="manual"))

    def approve(number: int, bid: str, net_bps: int = 180) -> Any:
        real = talk.here.by_name["b", SYMBOL]
        seen = opportunity(opp_id=f"o{number}", raw_signal_id=f"r{number}", recv_ns=talk.now_ns, net_bps=D(net_bps))
        talk.hear(talk.desk.consider(seen, talk.here, talk.now_ns))
        plan = talk.facts(PlanMade)[-1]
        talk.here.touch("b", bids=levels((bid, "50")))
        assert plan.legs[1].price <= D(bid)
        talk.hear(talk.desk.approve(plan.plan_id, "op", talk.here, talk.now_ns))
        talk.here.touch("b", bids=real.bids)
        talk.wait(SECOND_NS)
        return talk.facts(PlanStopped)[-1]

    moved = approve(1, "101.85")
    assert moved.reason == "risk:price_move"
    assert [gate.gate for gate in moved.gates if not gate.ok] == ["price_move"]
    assert len(moved.gates) == len(GATES)
    for venue in "ab":
        talk.here.change(venue, taker_fee_bps=D(97))
    assert approve(2, "101.95", 4).reason == "lost_race"  # 4 bps were left, now less than nothing
    assert talk.desk.standing.state.funnel.ended == {"lost_race": 2}


def test_a_third_venue_that_may_not_trade_along_costs_nobody_the_trade() -> None:
    """The gates refuse the wider route for its sake; the two venues of the signal trade what they have."""

    def venues(**about_c: Any) -> list[str]:
        here = world()
        here.put("a", levels(("99.9", "200")), levels(("100", "30"), ("101", "500")))
        here.put("b", levels(("102", "30"), ("101.9", "60")), levels(("102.1", "200")))
        here.put("c", levels(("101.3", "40")), levels(("101.4", "40")), **about_c)
        talk = Talk(here, rules=replace(RULES, max_notional=D(8000)))
        talk.hear(talk.desk.consider(opportunity(net_bps=D(182)), talk.here, talk.now_ns))
        return [leg.venue for made in talk.facts(PlanMade) for leg in made.legs]

    assert venues() == ["a", "c", "b"]
    assert venues(updated_ns=1) == ["a", "b"]


def test_an_approval_at_the_daily_loss_limit_halts() -> None:
    """The limit is reached while a plan waits: whoever approves it then learns so, and nothing else goes either."""
    talk = Talk(rules=replace(RULES, approval="manual"))
    talk.hear(talk.desk.consider(opportunity(), talk.here, talk.now_ns))
    plan = talk.facts(PlanMade)[-1].plan_id
    loss = Filled(
        key="", venue="a", symbol=SYMBOL, side="buy", exec_id="f1", qty=D(1), price=D(100), fee=D(40_000),
        fee_asset="USDT",
    )  # fmt: skip
    talk.tell(loss)
    assert talk.desk.standing.state.trading.state is Trading.ACTIVE
    assert not placed(talk.hear(talk.desk.approve(plan, "op", talk.here, talk.now_ns)))
    assert talk.facts(PlanStopped)[-1].reason == "risk:daily_loss"
    trading = talk.desk.standing.state.trading
    assert (trading.state, trading.reason) == (Trading.HALTED, "the daily loss limit is reached")


def test_a_new_life_counts_no_foreign_order_before_it_is_listed() -> None:
    """It may have ended while nobody listened, and nothing would ever say so."""
    talk = Talk()
    talk.tell(ForeignOrderSeen(venue="a", symbol=SYMBOL, side="sell", qty=D(1), price=D(101), venue_order_id="v1"))
    assert talk.desk.held(talk.here).foreign
    talk.desk = talk.replayed()
    talk.begin(2)
    assert not talk.desk.held(talk.here).foreign


def test_a_venue_that_overcharges_is_not_traded_on() -> None:
    """Fees charged beside fees modelled: past the drift the venue halts."""
    talk = Talk(limits=replace(QUICK, fee_drift_fills=2))
    buy, sell = talk.trade()
    talk.tell(fill(buy, "b1", "10", fee=D(2)), fill(buy, "b2", "10", fee=D(2)), fill(sell, "s1", "20", fee=D(2)))
    assert [s.scope for s in talk.facts(ScopeHalted)] == ["venue:a"]
    talk.hear(talk.desk.release("venue:a", "op", talk.here, talk.now_ns))
    talk.tell(fill(buy, "b3", "1", fee=D(2)))  # judged anew: one says nothing
    assert talk.desk.standing.state.trading.scopes == {}
    talk.replayed()


def test_what_a_plan_came_to_counts_fees_in_what_it_bought() -> None:
    """Money alone would say that more was earned than was."""
    talk = Talk()
    buy, sell = talk.trade()
    talk.tell(fill(buy, "b1", "20", "100", fee=D("0.01"), fee_asset="BTC"), fill(sell, "s1", "20", "102"))
    [closed] = talk.facts(PlanClosed)
    assert (closed.end, closed.left) == ("dust", {"BTC": D("-0.01")})
    assert closed.profit == {"BTC": D("-0.01"), "USDT": D(40)}
    assert closed.value == 40 - D("0.01") * 102
    [row] = books_of_account.plans(talk.desk, Rows(), {})
    assert row["result"] == {"BTC": "-0.01", "USDT": "40"}
    assert D(row["value"]) == closed.value


def test_what_is_left_is_worth_what_the_quote_asset_is() -> None:
    """A hundredth of a coin of 102 EUR is 1.02 EUR, and counts in the currency of account like the money does."""
    talk = Talk()
    buy, sell = talk.trade()
    talk.here.prices["USDT"] = D("1.2")  # stands for any quote that is not at par
    talk.tell(fill(buy, "b1", "20", "100", fee=D("0.01"), fee_asset="BTC"), fill(sell, "s1", "20", "102"))
    [closed] = talk.facts(PlanClosed)
    assert closed.value == (40 - D("0.01") * 102) * D("1.2")


def test_a_position_is_shown_in_its_quote_asset() -> None:
    """Bought at 100 of a quote that is worth 1.25: at 150 in the currency of account it has won 20 of it."""
    talk = Talk()
    buy, _sell = talk.trade()
    talk.tell(fill(buy, "b1", "2", "100"))
    marks = {"BTC": D(150), "USDT": D("1.25")}
    [row] = books_of_account.positions(talk.desk, marks)
    assert (row["average_cost"], row["mark"], row["unrealised"]) == ("100", "120", "40")
    assert talk.desk.standing.state.holdings.unrealised(marks) == 40 * D("1.25")
    [unknown] = books_of_account.positions(talk.desk, {"BTC": D(150)})
    assert (unknown["mark"], unknown["unrealised"]) == (None, None)


def test_an_order_is_shown_for_as_long_as_it_is_listed() -> None:
    """Settled and packed away too, by either of its names."""
    talk = Talk(keep=Keep(rest_ns=0, episodes=0))
    buy, sell = talk.trade()
    talk.tell(fill(buy, "b1", "20", "100"), fill(sell, "s1", "20", "102"))
    talk.wait(SECOND_NS)
    own = {"a": [fill(buy, "b1", "20", "100")], "b": [fill(sell, "s1", "20", "102")]}
    for venue, fills in own.items():
        talk.tell(
            FillsRead(
                venue=venue, symbol=SYMBOL, query_id=50, asked_ns=talk.now_ns + 1, since_ns=NOW_NS - 60 * SECOND_NS,
                fills=tuple(fills),
            )
        )  # fmt: skip
    assert buy.key not in talk.desk.standing.state.orders
    listed = {row["client_order_id"]: row for row in books_of_account.orders(talk.desk, Rows())}
    for one in (buy, sell):
        assert books_of_account.order(talk.desk, one.key) == listed[one.key]
        assert books_of_account.order(talk.desk, one.order_id) == listed[one.key]
    assert books_of_account.order(talk.desk, "nobody's") is None


def test_a_balance_that_stays_off_is_corrected_with_an_alarm() -> None:
    """Seen twice, ten seconds apart, the executions listed in between; past the limit it halts."""
    talk = Talk()
    buy, sell = talk.trade()
    talk.tell(fill(buy, "b1", "20", "100"), fill(sell, "s1", "20", "102"))
    talk.wait(SECOND_NS)

    def balance() -> list[Any]:
        free = {"USDT": D(98_000), "BTC": D(1015)}
        return talk.tell(BalanceRead(venue="a", query_id=5, asked_ns=talk.now_ns, free=free, locked={}))

    assert "QueryFills" in kinds(balance())
    assert talk.desk.standing.state.holdings.balance("a", "BTC") == 1020
    assert "QueryBalances" in kinds(talk.wait(6 * SECOND_NS))
    listed = (fill(buy, "b1", "20", "100"),)
    talk.tell(FillsRead(venue="a", symbol=SYMBOL, query_id=6, asked_ns=talk.now_ns, since_ns=0, fills=listed))
    talk.wait(5 * SECOND_NS)
    balance()
    assert talk.desk.standing.state.holdings.balance("a", "BTC") == 1015
    assert talk.desk.standing.state.trading.state is Trading.HALTED
    assert talk.notices()[:1] == ["balance_difference"]
    talk.replayed()


def test_f32_an_execution_taken_back_without_a_word_is_reversed_and_hedged() -> None:
    """The venue's list lacks it and its balances are off by just that: no correction, a reversal, and its imbalance is
    closed. With balances that say something else nothing is reversed."""
    for btc, kinds_of in (("1000", [Busted]), ("1001", [])):
        talk = Talk()
        buy, sell = talk.trade()
        talk.tell(fill(buy, "b1", "20", "100", fee=D(2)), fill(sell, "s1", "20", "102"))
        assert talk.facts(PlanClosed)[-1].end == "flat"
        talk.wait(SECOND_NS)
        for query_id in (5, 6, 7):
            read = FillsRead(venue="a", symbol=SYMBOL, query_id=query_id, asked_ns=talk.now_ns, since_ns=0, fills=())
            talk.tell(read)
            talk.wait(6 * SECOND_NS)
            free = {"USDT": D(100_000), "BTC": D(btc)}
            talk.tell(BalanceRead(venue="a", query_id=query_id, asked_ns=talk.now_ns, free=free, locked={}))
        assert [type(fact) for fact in talk.facts(Busted)] == kinds_of
        assert talk.desk.standing.state.holdings.balance("a", "USDT") == 100_000
        if kinds_of:
            assert talk.desk.standing.state.trading.state is Trading.ACTIVE
            [hedge] = [order for order in placed(talk.said) if order.purpose == "compensation"]
            assert (hedge.side, hedge.qty) == ("buy", 20)
        talk.replayed()


def test_reconciling_asks_for_everything() -> None:
    """Balances, and the executions of every symbol ever ordered."""
    talk = Talk()
    talk.trade()
    commands = talk.hear(talk.desk.reconcile("a", talk.here, talk.now_ns))
    assert kinds(commands) == ["QueryFills", "QueryBalances"]
    assert isinstance(commands[1], QueryBalances)


def test_a_later_life_asks_once_what_was_traded_that_it_does_not_know() -> None:
    """F94: the power may have taken a symbol's first order. Nothing is lost before the first life."""
    talk = Talk()
    assert kinds(talk.hear(talk.desk.reconcile("a", talk.here, talk.now_ns))) == ["QueryBalances"]
    talk.begin(2)
    talk.now_ns += SECOND_NS
    [asked, _] = talk.hear(talk.desk.reconcile("a", talk.here, talk.now_ns, is_routine=True))
    assert (asked.venue, asked.symbol) == ("a", SYMBOL)
    key = client_order_id(RULES.key_prefix, 1, 7, "lost")
    lost = Filled(
        key=key, venue="a", symbol=SYMBOL, side="buy", exec_id="l1", qty=D(5), price=D(100), fee=D(0), fee_asset="USDT"
    )
    told = FillsRead(venue="a", symbol=SYMBOL, query_id=1, asked_ns=talk.now_ns, since_ns=0, fills=(lost,))
    talk.tell(told)
    assert talk.notices().count("order_adopted") == 1
    other = Talk()
    other.begin(2)
    other.tell(FillsRead(venue="a", symbol=SYMBOL, query_id=1, asked_ns=other.now_ns, since_ns=0, fills=()))
    assert kinds(other.hear(other.desk.reconcile("a", other.here, other.now_ns))) == ["QueryBalances"]


def test_executions_are_compared_back_to_where_the_journal_ends() -> None:
    """A machine without power for half a day may have lost the intent of an order that was executed; later as far back
    as the last answer, an hour at least where something may have been missed, and no further than venues list."""
    talk = Talk()
    talk.trade()
    ended_ns = talk.journal[-1][0]
    hour_ns, margin_ns = 3600 * SECOND_NS, 3 * 60 * SECOND_NS  # what was lost late, and clocks that differ
    assert reach(talk.desk, talk, ended_ns) == hour_ns + margin_ns - 2 * 60 * SECOND_NS

    def later(hours: int, *, is_routine: bool = False) -> int:
        return reach(talk.from_journal(), talk, ended_ns + hours * hour_ns, is_routine=is_routine)

    assert later(12) == later(12, is_routine=True) == 12 * hour_ns + margin_ns
    assert later(400) == 48 * hour_ns + 60 * SECOND_NS
    desk = talk.from_journal()
    for hours, is_routine, seconds in ((12, True, 183), (12, False, 3660), (15, True, 3 * 3600 + 183)):
        asked_ns = ended_ns + 12 * hour_ns
        told = FillsRead(venue="a", symbol=SYMBOL, query_id=hours, asked_ns=asked_ns, since_ns=0, fills=())
        desk.on_fact(told, talk.here, asked_ns)
        now_ns = ended_ns + hours * hour_ns + 3 * SECOND_NS
        assert reach(desk, talk, now_ns, is_routine=is_routine) == seconds * SECOND_NS


def reach(desk: Desk, talk: Talk, now_ns: int, *, is_routine: bool = False) -> int:
    """How far before a time executions are asked for."""
    commands = desk.reconcile("a", talk.here, now_ns, is_routine=is_routine).commands
    return max(now_ns - one.since_ns for one in commands if isinstance(one, QueryFills))


def test_a_journal_that_was_tampered_with_is_refused() -> None:
    """A move that the facts do not make, or one that is missing, stops the replay by name."""
    talk = Talk()
    buy, _ = talk.trade()
    talk.tell(Acked(key=buy.key, venue="a", venue_order_id="v1"), fill(buy, "b1", "20"))
    for change in (
        lambda fact: replace_struct(fact, status="canceled"),
        lambda fact: None,
    ):
        facts = [(ts, change(f) if isinstance(f, OrderMoved) else f) for ts, f in talk.journal]
        talk.journal = [(ts, fact) for ts, fact in facts if fact is not None]
        with pytest.raises(ReplayDiffers, match=r"order gb0001"):
            talk.replayed()


def test_snapshots_are_the_state() -> None:
    """Restored, everything goes on as before; another version is refused."""
    talk = Talk()
    buy, sell = talk.trade()
    talk.tell(OutcomeUnknown(key=buy.key, venue="a", during="create", reason="cut"))
    back = Standing.restored(talk.desk.standing.snapshot())
    assert back.digest() == talk.desk.standing.digest()
    assert set(back.live) == set(talk.desk.standing.live)
    assert set(back.open) == set(talk.desk.standing.open)
    talk.desk.standing = back
    talk.tell(fill(buy, "b1", "20"), fill(sell, "s1", "20"))
    assert talk.facts(PlanClosed)[-1].end == "flat"
    other = back.snapshot()
    other.state = other.state.replace(b'"version":%d' % VERSION, b'"version":9')
    with pytest.raises(ValueError, match="version 9"):
        Standing.restored(other)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-1", "0"])
def test_f66_nonsense_is_said_and_left_out(number: str) -> None:
    """A quantity that is none changes nothing, raises nothing, and the order is asked about in time."""
    talk = Talk()
    buy, sell = talk.trade()
    before = talk.desk.standing.digest()
    commands = talk.tell(fill(buy, "b1", number))
    if number != "0":
        commands += talk.tell(done(sell, number))
        listed = (fill(sell, "s1", number),)
        commands += talk.tell(
            FillsRead(venue="b", symbol=SYMBOL, query_id=1, asked_ns=talk.now_ns, since_ns=0, fills=listed)
        )
    assert set(kinds(commands)) == {"Notify"}
    assert talk.desk.standing.digest() == before
    talk.wait(2 * SECOND_NS)
    assert {talk.status(buy), talk.status(sell)} == {"in_doubt"}
