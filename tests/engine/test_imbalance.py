"""Imbalances of every origin end flat, each difference closed once."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from gambit.engine.limits import SECOND_NS
from gambit.engine.standing import Standing
from gambit.events.orders import (
    BalanceRead,
    PlanClosed,
    PlanMade,
    PlannedLeg,
    Rejected,
    ScopeHalted,
    Sent,
    Unhedged,
    Unsent,
)
from tests.engine.test_desk import QUICK, Talk, done, fill, kinds, placed
from tests.engine.world import NOW_NS, RULES, D, World, levels, opportunity, world


def test_f43_the_difference_is_compensated_once() -> None:
    """7 of 10 and 4 of 10: three are closed, by one order, when the last answer is there and not before."""
    talk = Talk()
    buy, sell = talk.trade()
    assert placed(talk.tell(fill(buy, "b1", "14"), done(buy, "14"), fill(sell, "s1", "8"))) == []
    [order] = placed(talk.tell(done(sell, "8")))
    assert (order.side, order.qty) == ("sell", 6)
    talk.wait(SECOND_NS // 2)
    talk.tell(Sent(key=order.key, venue=order.venue), fill(order, "c1", "6"))
    [closed] = talk.facts(PlanClosed)
    assert (closed.end, closed.compensations) == ("flat", 1)
    talk.replayed()


def test_another_coin_of_the_same_ticker_closes_nothing() -> None:
    """However much is paid for it: what is sold there is not what was bought."""
    here = world()
    here.put("c", levels(("300", "500")), levels(("301", "500")))
    talk = Talk(here)
    buy, sell = talk.trade()
    [order] = placed(talk.tell(fill(buy, "b1", "20"), done(sell, "0")))
    assert (order.venue, order.side, order.qty) == ("b", "sell", 20)


def test_f28_more_than_asked_for_is_hedged() -> None:
    """The venue's truth is accepted, said, and closed."""
    talk = Talk()
    buy, sell = talk.trade()
    talk.tell(fill(buy, "b1", "20"), fill(sell, "s1", "20"))
    [order] = placed(talk.tell(fill(buy, "b2", "2")))
    assert (order.side, order.qty) == ("sell", 2)
    assert "late_fill" in talk.notices()


def test_f54_a_compensation_and_a_late_fill_cross() -> None:
    """The late fill does what the compensation was for: the excess is closed again, and that is all."""
    talk = Talk()
    buy, sell = talk.trade()
    talk.tell(fill(buy, "b1", "20"), done(sell, "0"))
    [first] = [order for order in placed(talk.said) if order.purpose == "compensation"]
    talk.tell(Sent(key=first.key, venue=first.venue), fill(sell, "s1", "20"))
    assert [o for o in placed(talk.said) if o.purpose == "compensation"] == [first]
    [second] = placed(talk.tell(fill(first, "c1", "20", "99.9")))
    assert (second.side, second.qty) == ("buy", 20)
    talk.tell(Sent(key=second.key, venue=second.venue), fill(second, "c2", "20"))
    assert talk.desk.is_flat
    assert len([o for o in placed(talk.said) if o.purpose == "compensation"]) <= 3
    talk.replayed()


def test_f51_two_opportunities_want_one_balance() -> None:
    """What one has reserved the other does not get."""
    here = world()
    here.put("a", levels(("9.9", "5000")), levels(("10", "5000")), symbol="ETH-USDT")
    here.put("b", levels(("10.2", "5000")), levels(("10.3", "5000")), symbol="ETH-USDT")
    talk = Talk(here)
    holdings = talk.desk.standing.state.holdings
    holdings.balances["a|USDT"] = D(3000)
    holdings.balances["b|ETH"] = D(1000)
    talk.trade()
    seen = opportunity(
        opp_id="o2", raw_signal_id="r2", symbol="ETH-USDT", symbol_buy="ETH-USDT", symbol_sell="ETH-USDT"
    )
    assert kinds(talk.hear(talk.desk.consider(seen, talk.here, talk.now_ns))) == []
    assert talk.desk.standing.state.funnel.open["o2"].reason == "inventory"


def leg(symbol: str, side: str, qty: str, price: str) -> PlannedLeg:
    base, quote = symbol.split("-")
    return PlannedLeg(
        venue="a", symbol=symbol, base=base, quote=quote, side="buy" if side == "buy" else "sell", qty=D(qty),
        price=D(price), worst_price=D(price), average_price=D(price), tif="ioc", tolerance_bps=D(0), fee_bps=D(10),
        book_seq=1, book_age_ns=0,
    )  # fmt: skip


def triangle() -> World:
    """BTC at 100, ETH at 10, ETH in BTC a little too cheap."""
    here = World()
    here.put("a", levels(("99.99", "900")), levels(("100.01", "900")))
    here.put("a", levels(("0.0989", "900")), levels(("0.0990", "900")), symbol="ETH-BTC")
    here.put("a", levels(("9.99", "9000")), levels(("10.01", "9000")), symbol="ETH-USDT")
    for symbol in ("ETH-BTC", "ETH-USDT"):
        here.rule("a", symbol, min_notional=None)
    return here


def test_f55_a_cycle_is_flattened_per_currency() -> None:
    """USDT to BTC to ETH to USDT, the middle leg half filled: BTC is sold back, ETH bought back, one order each."""
    talk = Talk(triangle())
    talk.desk.standing.state.holdings.balances["a|ETH"] = D(1000)
    made = PlanMade(
        plan_id="p", number=1, epoch=1, opp_id="o", raw_signal_id="r", user_id="desk", symbol="BTC-USDT",
        strategy="partial", approval="auto",
        legs=(leg("BTC-USDT", "buy", "9.9", "100"), leg("ETH-BTC", "buy", "100", "0.099"),
              leg("ETH-USDT", "sell", "100", "10")),
        total_quote=D(990), expected_profit=D(5), expires_ns=NOW_NS + SECOND_NS, gates=(),
    )  # fmt: skip
    one, two, three = placed(talk.tell(made))
    talk.tell(fill(one, "1", "9.9"), fill(three, "3", "100"), fill(two, "2", "50"), done(two, "50"))
    trade = talk.desk.standing.state.trades["p"]
    assert trade.net == {"BTC": D("4.950"), "ETH": D(-50)}
    closing: dict[str, tuple[str, Decimal]] = {}
    for number in range(4):
        talk.wait(SECOND_NS)
        for order in [o for o in placed(talk.said) if o.purpose == "compensation" and o.symbol not in closing]:
            closing[order.symbol] = (order.side, order.qty)
            talk.tell(Sent(key=order.key, venue="a"), fill(order, f"c{number}", str(order.qty)))
    assert closing == {"BTC-USDT": ("sell", D("4.95")), "ETH-USDT": ("buy", D(50))}
    assert talk.facts(PlanClosed)[-1].end == "flat"


def test_a_rejected_compensation_goes_to_the_other_venue_and_back() -> None:
    """A venue that refused comes last, but it comes."""
    talk = Talk()
    buy, sell = talk.trade()
    talk.tell(fill(buy, "b1", "20"), done(sell, "0"))
    venues = []
    for _ in range(40):
        for order in [o for o in placed(talk.said) if o.purpose == "compensation" and o.key not in venues]:
            venues.append(order.key)
            talk.tell(Rejected(key=order.key, venue=order.venue, code="no"))
        talk.wait(SECOND_NS // 10)
    orders = talk.desk.standing.state.orders
    tried = [orders[key].intent.venue for key in venues]
    assert tried[:2] == ["b", "a"]
    assert len(tried) >= 3


def test_a_halted_venue_closes_an_imbalance_last() -> None:
    """It charges too much, say: the other one is dearer by its book, and taken all the same."""
    talk = Talk()
    buy, sell = talk.trade()
    talk.tell(ScopeHalted(scope="venue:b", reason="drill"))
    [order] = placed(talk.tell(fill(buy, "b1", "20"), done(sell, "0")))
    assert (order.venue, order.side) == ("a", "sell")


def test_a_degraded_venue_closes_an_imbalance_last() -> None:
    """orders.md: the cheapest healthy venue. One whose feed is late shows a price of the past; where no other takes
    it, it goes there all the same."""
    talk = Talk()
    buy, sell = talk.trade()
    talk.here.change("b", is_degraded=True)
    [order] = placed(talk.tell(fill(buy, "b1", "20"), done(sell, "0")))
    assert (order.venue, order.side) == ("a", "sell")
    talk = Talk()
    buy, sell = talk.trade()
    talk.here.change("b", is_degraded=True)
    talk.here.change("a", can_trade=False)
    [order] = placed(talk.tell(fill(buy, "b1", "20"), done(sell, "0")))
    assert (order.venue, order.side) == ("b", "sell")


def test_the_naked_exposure_is_measured() -> None:
    """Ten coins at 100 for two seconds, and once more as many for as long."""
    talk = Talk()
    buy, sell = talk.trade()
    talk.tell(fill(buy, "b1", "10", "100"))
    talk.now_ns += 2 * SECOND_NS
    talk.tell(fill(sell, "s1", "10", "102"), fill(sell, "s2", "10", "102"))
    talk.now_ns += 2 * SECOND_NS
    talk.tell(fill(buy, "b2", "10", "100"))
    [closed] = talk.facts(PlanClosed)
    assert closed.naked_quote_ns == 2 * SECOND_NS * (10 * 100 + 10 * 102)
    assert closed.profit == {"USDT": D(40)}
    assert Standing.restored(talk.desk.standing.snapshot()).digest() == talk.desk.standing.digest()


@pytest.mark.parametrize("answer", [Rejected, Unsent])
def test_f47_a_venue_that_did_not_take_one_comes_last(answer: Any) -> None:
    """Refused there or never sent there (its rate budget, say): the next try goes elsewhere."""
    here = world()
    here.put("c", levels(("101.95", "500")), levels(("102.3", "500")))
    talk = Talk(here)
    buy, sell = talk.trade()
    talk.tell(fill(buy, "b1", "20"), Rejected(key=sell.key, venue="b", code="no"))
    tried: list[str] = []
    for _ in range(3):
        order = placed(talk.said)[-1]
        tried.append(order.venue)
        told: dict[str, str] = {"code": "no"} if answer is Rejected else {"reason": "the rate budget is used up"}
        talk.tell(answer(key=order.key, venue=order.venue, **told))
        talk.wait(SECOND_NS)
    assert tried[:2] == ["c", "a"]


def test_whole_slices_are_no_failed_attempts() -> None:
    """The venue takes 2.5 at once: what is naked goes in eight of them, one after the other without a pause."""
    here = world()
    here.put("c", levels(("99.95", "200")), levels(("103", "200")))
    here.rule("c", max_qty=D("2.5"))
    talk = Talk(here)
    buy, sell = talk.trade()
    for venue in "ab":
        here.change(venue, can_trade=False)
    talk.tell(fill(buy, "b1", "20"), Rejected(key=sell.key, venue="b", code="no"))
    slices = []
    while (order := placed(talk.said)[-1]).purpose == "compensation" and order not in slices:
        slices.append(order)
        talk.tell(Sent(key=order.key, venue="c"), fill(order, f"c{len(slices)}", str(order.qty), "99.95"))
    assert [order.qty for order in slices] == [D("2.5")] * 8
    assert len({order.price for order in slices}) == 1
    [closed] = talk.facts(PlanClosed)
    assert (closed.end, closed.compensations) == ("flat", 8)
    talk.replayed()


def test_more_than_a_whole_slice_is_an_attempt() -> None:
    """A venue that trades twice what it was asked for, each time, is not asked without end."""
    talk = Talk(rules=replace(RULES, flat_deadline_ns=60 * SECOND_NS))
    buy, sell = talk.trade()
    talk.tell(fill(buy, "b1", "20"), done(sell, "0"))
    tried = []
    for _ in range(300):
        order = placed(talk.said)[-1]
        if order.purpose == "compensation" and order not in tried:
            tried.append(order)
            twice = fill(order, f"c{len(tried)}", str(order.qty * 2))
            talk.tell(Sent(key=order.key, venue=order.venue), twice)
        talk.wait(SECOND_NS // 10)
    assert len(tried) == RULES.compensation_attempts
    assert talk.facts(PlanClosed)[-1].end == "position"


def test_i06_what_a_group_leaves_halts_the_markets_it_was_traded_in() -> None:
    """The signal's name is the group's, "BTC", which is no market: both legs' own stand still, the naked one's too."""
    here = World()
    here.put("a", levels(("99.9", "200")), levels(("100", "30")), symbol="BTC-USDT")
    here.put("b", levels(("102", "30")), levels(("102.1", "200")), symbol="BTC-USD")
    talk = Talk(here, limits=replace(QUICK, fat_finger_bps=D(500)))
    for venue in "ab":
        free = {"BTC": D(1000), "USD": D(100_000), "USDT": D(100_000)}
        talk.tell(BalanceRead(venue=venue, query_id=2, asked_ns=talk.now_ns, free=free, locked={}))
    buy, sell = talk.trade(symbol="BTC", symbol_buy="BTC-USDT", symbol_sell="BTC-USD")
    for venue, symbol in (("a", "BTC-USDT"), ("b", "BTC-USD")):
        here.put(venue, levels(("120", "100")), levels(("121", "100")), symbol=symbol)
    talk.tell(Rejected(key=buy.key, venue="a", code="no"), fill(sell, "s1", str(sell.qty), "102"))
    talk.wait(20 * SECOND_NS)
    assert [one.qty for one in talk.facts(Unhedged)] == [-sell.qty]
    assert talk.facts(PlanClosed)[-1].end == "position"
    assert set(talk.desk.standing.state.trading.scopes) == {"symbol:BTC-USDT", "symbol:BTC-USD"}
    talk.replayed()
