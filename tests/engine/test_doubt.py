"""Doubts, orders that do not do what they were told, and what a venue says about markets that nobody here lists."""

from dataclasses import replace
from itertools import pairwise

import pytest

from gambit.commands import CancelOrder, QueryBalances, QueryOrder, client_order_id
from gambit.engine.limits import SECOND_NS
from gambit.engine.trading_state import Trading
from gambit.events.orders import (
    Acked,
    CancelRejected,
    Filled,
    FillsRead,
    ForeignOrderSeen,
    OrderFound,
    OrderIntended,
    PlanClosed,
    Rejected,
    Sent,
    Unhedged,
    Unsent,
)
from tests.engine.test_desk import QUICK, Talk, done, fill, kinds, placed, replace_struct
from tests.engine.world import RULES, SYMBOL, D, levels, opportunity


def found_open(question: QueryOrder, asked_ns: int) -> OrderFound:
    """The venue has it, and nothing of it is executed."""
    return OrderFound(
        key=question.key, venue=question.venue, query_id=question.query_id, asked_ns=asked_ns,
        venue_order_id="v2", found_as="open", cum_qty=D(0),
    )  # fmt: skip


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_trade_in_a_market_that_is_not_listed_here_breaks_nothing(is_lost: bool) -> None:
    """F37: a market opened after the start comes under the venue's own spelling. It is said once, and the balances are
    asked for; nobody is to guess which assets moved, nor to look after such an order that the journal lost."""
    talk = Talk()
    talk.begin(2)
    key = client_order_id(RULES.key_prefix, 1, 9, "lost with the power") if is_lost else ""
    by_hand = Filled(
        key=key, venue="a", symbol="NEWUSDT", side="buy", exec_id="n1", qty=D(4), price=D(100), fee=D(0),
        fee_asset="USDT",
    )  # fmt: skip
    seen = ForeignOrderSeen(
        venue="a", symbol="NEWUSDT", side="buy", qty=D(4), price=D(100), venue_order_id="v7", client_id=key
    )
    questions = [c for c in talk.tell(seen, by_hand) if isinstance(c, QueryBalances)]
    talk.tell(by_hand, replace_struct(seen, is_open=False))
    assert kinds(talk.tell(replace_struct(by_hand, qty=D(5)))) == ["Notify"]
    assert [question.venue for question in questions] == ["a"]
    assert talk.notices() == ["foreign_order", "foreign_fill", "execution_disputed"]
    state = talk.desk.standing.state
    assert (state.holdings.balance("a", "USDT"), state.holdings.positions) == (100_000, {})
    assert talk.desk.is_flat
    assert len(talk.trade()) == 2
    talk.replayed()


@pytest.mark.parametrize("window_ns", [5 * SECOND_NS, None])
def test_unsent_ends_a_doubt(window_ns: int | None) -> None:
    """A create that waited for the disk until it was in doubt and was then refused at the send did not leave: the naked
    leg is closed at once, with a validity window or without one, and nothing stays reserved."""
    talk = Talk()
    for venue in "ab":
        talk.here.change(venue, window_ns=window_ns)
    buy, sell = placed(talk.hear(talk.desk.consider(opportunity(), talk.here, talk.now_ns)))
    talk.tell(Sent(key=buy.key, venue="a"), fill(buy, "b1", str(buy.qty)))
    talk.wait(RULES.answer_timeout_ns)
    assert talk.status(sell) == "in_doubt"
    refusal = talk.desk.may_send(sell, talk.now_ns)
    assert refusal == "the plan expired before it could be sent"
    [closing] = placed(talk.tell(Unsent(key=sell.key, venue="b", reason=refusal)))
    assert (closing.purpose, closing.side, closing.qty) == ("compensation", "sell", buy.qty)
    talk.tell(Sent(key=closing.key, venue=closing.venue), fill(closing, "c1", str(closing.qty)))
    assert talk.desk.is_flat
    talk.replayed()


def test_what_is_to_be_cancelled_does_not_leave() -> None:
    """Two creates wait. What a person cancelled stays, and a resume lets nothing go that the halt had cancelled."""
    talk = Talk()
    buy, sell = placed(talk.hear(talk.desk.consider(opportunity(), talk.here, talk.now_ns)))
    assert (talk.desk.may_send(buy, talk.now_ns), talk.desk.may_send(sell, talk.now_ns)) == (None, None)
    talk.hear(talk.desk.cancel(sell.key, "op", talk.here, talk.now_ns))
    assert talk.desk.may_send(sell, talk.now_ns) == "this order is pending_cancel"
    assert talk.desk.may_send(buy, talk.now_ns) is None
    for state in (Trading.HALTED, Trading.ACTIVE):
        talk.hear(talk.desk.set_trading(state, "drill", "op", talk.here, talk.now_ns))
        assert talk.desk.may_send(buy, talk.now_ns) is not None
    for intent in (buy, sell):
        talk.tell(Unsent(key=intent.key, venue=intent.venue, reason="cancelled"))
    assert talk.desk.is_flat


def test_a_compensation_in_doubt_does_not_leave() -> None:
    """It never expires; in doubt it is asked about, and made anew when it is known not to have left."""
    talk = Talk()
    buy, sell = talk.trade()
    [closing] = placed(talk.tell(fill(buy, "b1", "20"), Rejected(key=sell.key, venue="b", code="funds")))
    assert talk.desk.may_send(closing, talk.now_ns) is None
    talk.wait(RULES.answer_timeout_ns)
    assert talk.desk.may_send(closing, talk.now_ns) == "this order is in_doubt"
    talk.tell(Unsent(key=closing.key, venue=closing.venue, reason="in doubt"))
    talk.wait(SECOND_NS)
    [_, again] = [order for order in placed(talk.said) if order.purpose == "compensation"]
    assert (again.side, again.qty, talk.status(closing)) == ("sell", 20, "failed")


def in_doubt_past_the_deadline(talk: Talk) -> OrderIntended:
    """One leg refused, 2 of the other executed and its rest unknown: an alarm for 200."""
    buy, sell = talk.trade()
    talk.tell(Rejected(key=sell.key, venue="b", code="funds"), fill(buy, "b1", "2", "100"))
    talk.wait(RULES.flat_deadline_ns + SECOND_NS)
    assert [alarm.qty for alarm in talk.facts(Unhedged)] == [2]
    assert talk.desk.standing.state.trading.state is Trading.ACTIVE
    return buy


def a_low_limit() -> Talk:
    """The kill switch is pulled at 500."""
    rules = replace(RULES, max_notional=D(12_000))
    return Talk(rules=rules, limits=replace(QUICK, max_imbalance_quote=D(500), max_order_notional=D(20_000)))


def test_i06_what_grew_after_its_alarm_pulls_the_kill_switch_when_it_is_given_up() -> None:
    """The rest was executed after all and can be closed nowhere: it is said again, for what it is now."""
    talk = a_low_limit()
    buy = in_doubt_past_the_deadline(talk)
    for venue in "ab":
        talk.here.put(venue, levels(("90", "200")), levels(("110", "200")))
    talk.tell(fill(buy, "b2", str(buy.qty - 2), "100"))
    talk.wait(RULES.flat_deadline_ns + SECOND_NS)
    assert [closed.end for closed in talk.facts(PlanClosed)] == ["position"]
    assert [alarm.qty for alarm in talk.facts(Unhedged)] == [2, buy.qty]
    assert talk.desk.standing.state.trading.state is Trading.HALTED
    talk.replayed()


def test_i06_what_grows_while_it_is_in_doubt_pulls_the_kill_switch_once() -> None:
    """The deadline is past and part after part arrives: said again beyond the limit, and then no more."""
    talk = a_low_limit()
    buy = in_doubt_past_the_deadline(talk)
    for number, qty in enumerate(("1", "5", "5")):
        talk.tell(fill(buy, f"c{number}", qty, "100"))
        talk.wait(SECOND_NS)
    assert [alarm.qty for alarm in talk.facts(Unhedged)] == [2, 8]
    assert talk.desk.standing.state.trading.state is Trading.HALTED
    talk.replayed()


@pytest.mark.parametrize("is_refused", [False, True])
def test_an_order_that_should_end_at_once_and_rests_is_cancelled(is_refused: bool) -> None:
    """The venue answers "open" each time it is asked: the cancel is asked for, and again, but not with every answer."""
    talk = Talk()
    buy, sell = talk.trade()
    talk.tell(Acked(key=sell.key, venue="b", venue_order_id="v2"), fill(buy, "b1", str(buy.qty)))
    sent_ns, asked = talk.now_ns, list[int]()
    while talk.now_ns < sent_ns + 30 * SECOND_NS:
        for command in talk.wait(SECOND_NS // 10):
            if isinstance(command, QueryOrder):
                talk.tell(found_open(command, talk.now_ns))
        cancels = [c for c in talk.said if isinstance(c, CancelOrder)]
        if len(cancels) > len(asked):
            asked.append(talk.now_ns)
            assert cancels[-1].key == sell.key
            if is_refused:
                talk.tell(CancelRejected(key=sell.key, venue="b", code="busy"))
    assert asked[0] <= sent_ns + 2 * RULES.answer_timeout_ns
    gaps = [after - before for before, after in pairwise(asked)]
    assert min(gaps) >= RULES.query_interval_max_ns
    assert max(gaps) <= 2 * RULES.query_interval_max_ns
    [closing] = placed(talk.tell(done(sell, "0")))
    assert (closing.purpose, closing.side, closing.qty) == ("compensation", "sell", buy.qty)
    talk.replayed()


def test_an_order_found_open_right_after_it_was_sent_is_left_alone() -> None:
    """The matching engine may not have come to it yet."""
    talk = Talk()
    buy, _ = talk.trade()
    talk.wait(RULES.answer_timeout_ns - SECOND_NS // 10)
    question = QueryOrder(venue="a", symbol=SYMBOL, key=buy.key, query_id=1, venue_order_id="")
    talk.tell(found_open(question, talk.now_ns))
    assert not [c for c in talk.said if isinstance(c, CancelOrder)]


def test_a_quantity_that_the_venue_named_outlives_an_execution_that_is_replaced() -> None:
    """F25 in a canceled order: 20 are named, the list says 13 where the stream said 12; 7 are still to come, and
    nothing is closed against them."""
    talk = Talk()
    buy, sell = talk.trade()
    talk.tell(fill(sell, "s1", "20"), done(buy, "20"), fill(buy, "x1", "12"))
    listed = (fill(buy, "x1", "13"),)
    talk.tell(FillsRead(venue="a", symbol=SYMBOL, query_id=5, asked_ns=talk.now_ns, since_ns=0, fills=listed))
    order = talk.desk.standing.order(buy.key)
    assert order is not None
    assert (order.filled_qty, order.open_qty) == (13, 7)
    talk.tell(fill(buy, "x2", "7"))
    assert [order.purpose for order in placed(talk.said)] == ["entry", "entry"]
    assert [closed.end for closed in talk.facts(PlanClosed)] == ["flat"]
    talk.replayed()
