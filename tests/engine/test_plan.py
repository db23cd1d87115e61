"""Plans: exact sizes on the current books, safe roundings, the best route."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gambit.engine.plan import NoPlan, Plan, build, ceiling, common_lot, floor, limit_price, of_signal
from tests.engine.world import NOW_NS, RULES, SYMBOL, D, World, levels, opportunity, plan, world


def refused(here: World, rules: Any = RULES, now_ns: int = NOW_NS, **changes: Any) -> NoPlan:
    made = build(opportunity(**changes), here, rules, now_ns)
    assert isinstance(made, NoPlan), made
    return made


def test_a_plan_buys_what_it_sells() -> None:
    """20 at 100 fill the notional; limits leave the unused slippage budget, on the tick, on our side."""
    made = plan()
    buy, sell = made.legs
    assert (made.qty, made.total_quote) == (20, 2000)
    assert made.expected_profit == D("35.96")
    assert (buy.venue, buy.side, buy.qty, buy.price, buy.tif) == ("a", "buy", 20, D("100.20"), "ioc")
    assert (sell.venue, sell.side, sell.qty, sell.price) == ("b", "sell", 20, D("101.80"))
    assert (buy.book_seq, buy.book_age_ns, made.expires_ns) == (7, 0, NOW_NS + RULES.plan_ttl_ns)


def test_the_tolerance_is_what_the_walk_left() -> None:
    """Ten basis points of twenty were walked; ten are left on top of the worst level."""
    made = plan(rules=replace(RULES, max_notional=D(4000), max_legs=2))
    buy = made.legs[0]
    assert (buy.worst_price, buy.tolerance_bps, buy.price) == (D("100.1"), D(10), D("100.20"))
    assert buy.average_price > 100


def test_atomic_plans_ask_for_all_or_nothing_where_the_venue_can() -> None:
    """Fill-or-kill, else immediate-or-cancel."""
    here = world()
    here.change("b", tifs=("ioc", "gtc"))
    assert [leg.tif for leg in plan(here, replace(RULES, strategy="atomic")).legs] == ["fok", "ioc"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda w: w.touch("a", is_synced=False), "depth"),
        (lambda w: w.touch("b", bids=()), "depth"),
        (lambda w: w.by_name.pop(("a", SYMBOL)), "depth"),
        (lambda w: w.instruments.pop(("a", SYMBOL)), "rules"),
        (lambda w: w.rule("a", contract_size=D(100)), "rules"),
        (lambda w: w.rule("b", min_qty=D(21)), "rules"),
        (lambda w: w.rule("a", min_notional=D(2001)), "rules"),
        (lambda w: w.rule("a", lot=D(50)), "rules"),
        (lambda w: w.change("a", taker_fee_bps=D(300)), "fee"),
        (lambda w: w.put("b", levels(("100", "5")), levels(("100.1", "5"))), "fee"),
    ],
)
def test_why_there_is_no_plan(change: Any, reason: str) -> None:
    """Each reason of the funnel that planning gives."""
    here = world()
    change(here)
    assert refused(here).reason == reason


def test_what_outlived_its_ttl_is_not_planned() -> None:
    """formulas.md: stale after ttl."""
    assert refused(world(), now_ns=NOW_NS + 10_000_000_001).reason == "stale"


def test_too_little_profit_is_a_fee_question() -> None:
    """The safety margin counts on the current books."""
    assert refused(world(), replace(RULES, safety_margin_bps=D(181))).reason == "fee"


def test_a_third_venue_joins_when_the_pair_is_too_small() -> None:
    """RoutingSelector: the split earns more than the pair, and both sides still match."""
    here = world()
    here.put("a", levels(("99.9", "5")), levels(("100", "5")))
    here.put("c", levels(("99.9", "50")), levels(("100.05", "50")))
    made = plan(here)
    assert sorted((leg.venue, leg.side) for leg in made.legs) == [("a", "buy"), ("b", "sell"), ("c", "buy")]
    sums = {side: sum(leg.qty for leg in made.legs if leg.side == side) for side in ("buy", "sell")}
    assert sums["buy"] == sums["sell"] == made.qty > 15
    assert len(plan(here, replace(RULES, max_legs=2)).legs) == 2


def test_a_slow_or_ill_venue_does_not_join() -> None:
    """Latency has a price; a degraded venue is no route at all."""
    here = world()
    here.put("a", levels(("99.9", "5")), levels(("100", "5")))
    here.put("c", levels(("99.9", "50")), levels(("100.05", "50")))
    here.change("c", latency_ns=10**12)
    assert len(plan(here).legs) == 2
    here.change("c", latency_ns=0, is_degraded=True)
    assert len(plan(here).legs) == 2


def test_another_coin_of_the_same_ticker_does_not_join() -> None:
    """However cheap it is there: its price says that it is another one (formulas.md, max_mid_ratio)."""
    here = world()
    here.put("a", levels(("99.9", "5")), levels(("100", "5")))
    here.put("c", levels(("79.9", "50")), levels(("80", "50")))
    assert [leg.venue for leg in plan(here).legs] == ["a", "b"]
    here.put("c", levels(("98.9", "50")), levels(("99", "50")))
    assert "c" in [leg.venue for leg in plan(here).legs]


def test_the_minimum_notional_holds_at_the_limit_price() -> None:
    """A venue looks at quantity times limit: levels that are worth enough do not help."""
    here = world()
    made = plan(here)
    least = made.legs[1].qty * made.legs[1].price
    here.rule("b", min_notional=least)
    assert plan(here).legs == made.legs
    here.rule("b", min_notional=least + D("0.01"))
    assert made.legs[1].qty * made.legs[1].average_price > least + D("0.01")
    assert refused(here).reason == "rules"


def test_a_leg_under_its_minimum_is_left_out() -> None:
    """The rest of the route stands."""
    here = world()
    here.put("a", levels(("99.9", "5")), levels(("100", "5")))
    here.put("c", levels(("99.9", "50")), levels(("100.05", "50")))
    here.rule("c", min_qty=D(1000))
    assert [leg.venue for leg in plan(here).legs] == ["a", "b"]


def test_a_leg_is_no_larger_than_its_venue_takes() -> None:
    """An order beyond the venue's largest would be refused when the other leg has traded: both are smaller at once, in
    whole lots, and another venue may take the rest."""
    here = world()
    free = plan(here)
    here.rule("b", max_qty=free.qty)
    assert plan(here).legs == free.legs
    here.rule("b", max_qty=D("7.0009"))
    assert [leg.qty for leg in plan(here).legs] == [D(7), D(7)]
    here.rule("b", max_qty=D("0.0009"))
    assert refused(here).reason == "rules"
    here.rule("b", max_qty=D("7.0009"))
    here.put("c", levels(("101.9", "50")), levels(("102.2", "50")))
    split = plan(here)
    assert {leg.venue: leg.qty for leg in split.legs if leg.side == "sell"} == {"b": D(7), "c": split.qty - 7}
    assert split.qty > 7
    assert split.pair is not None
    assert [leg.qty for leg in split.pair.legs] == [D(7), D(7)]


@pytest.mark.parametrize(
    ("lots", "common"),
    [
        (["0.001", "0.00001"], "0.001"),
        (["0.0005", "0.001"], "0.001"),
        (["0.3", "0.2"], "0.6"),
        (["1", "1"], "1"),
        (["5", "0.5"], "5"),
    ],
)
def test_the_lot_that_all_can_trade(lots: list[str], common: str) -> None:
    """The coarser one where they divide each other."""
    assert common_lot([D(lot) for lot in lots]) == D(common)


@given(
    st.decimals("0.01", "100000", places=6),
    st.decimals("0", "100", places=4),
    st.sampled_from(["0.01", "0.5", "0.00001", "10"]),
)
def test_ticks_are_rounded_to_our_side(price: Decimal, tolerance: Decimal, tick: str) -> None:
    """A buy never above its budget, a sell never below; both on the tick."""
    step = D(tick)
    high, low = limit_price(price, tolerance, "buy", step), limit_price(price, tolerance, "sell", step)
    assert high <= price * (1 + tolerance / 10000) < high + step
    assert low >= price * (1 - tolerance / 10000) > low - step
    assert high % step == 0
    assert low % step == 0
    assert floor(price, step) <= price <= ceiling(price, step)


SIDE = st.lists(st.tuples(st.integers(1, 60), st.decimals("0.001", "30", places=5)), min_size=1, max_size=5)
LOTS = st.sampled_from(["0.001", "0.00001", "0.1", "1", "0.3"])


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abcd"), SIDE, SIDE, LOTS, st.integers(0, 40)), min_size=2, max_size=4),
    st.integers(50, 5000),
)
def test_any_plan_keeps_the_rules(books: list[Any], notional: int) -> None:
    """Whatever the books: equal sums, whole lots and ticks, within notional and depth, profit as said, to the digit."""
    here = world()
    here.by_name.clear()
    for venue, bid_steps, ask_steps, lot, fee in books:
        best = D(9900)
        bids = tuple((best - sum(s for s, _ in bid_steps[:i]), q) for i, (_, q) in enumerate(bid_steps))
        offset = fee * 5
        asks = tuple(
            (best + offset - 60 + sum(s for s, _ in ask_steps[: i + 1]), q) for i, (_, q) in enumerate(ask_steps)
        )
        here.put(venue, bids, asks)
        here.rule(venue, lot=D(lot), min_qty=None, min_notional=None, tick=D("0.1"))
        here.change(venue, taker_fee_bps=D(fee) / 10)
    rules = replace(RULES, max_notional=D(notional))
    names = [venue for venue, *_ in books]
    made = build(opportunity(venue_buy=names[0], venue_sell=names[1]), here, rules, NOW_NS)
    if isinstance(made, NoPlan):
        return
    sums = {side: sum((leg.qty for leg in made.legs if leg.side == side), D(0)) for side in ("buy", "sell")}
    assert sums["buy"] == sums["sell"] == made.qty > 0
    assert made.total_quote <= notional
    assert made.expected_profit > 0
    assert len(made.legs) <= rules.max_legs
    check_legs(made, here)


def check_legs(made: Plan, here: World) -> None:
    """Lots, ticks, and the walk of each leg done again."""
    profit = D(0)
    for leg in made.legs:
        instrument, book = here.instruments[leg.venue, leg.symbol], here.by_name[leg.venue, leg.symbol]
        assert leg.qty % (instrument.lot or 1) == 0
        assert leg.price % (instrument.tick or 1) == 0
        left, quote = leg.qty, D(0)
        for price, available in book.asks if leg.side == "buy" else book.bids:
            step = min(left, available)
            quote += step * price
            left -= step
        assert left == 0
        fee = quote * leg.fee_bps / 10000
        profit += -quote - fee if leg.side == "buy" else quote - fee
        assert leg.price >= leg.worst_price if leg.side == "buy" else leg.price <= leg.worst_price
    assert profit == made.expected_profit


def test_a_signal_is_read() -> None:
    """The engine's own words, no float among them afterwards."""
    signal = {
        "opp_id": "o", "raw_signal_id": "r", "symbol": SYMBOL, "symbol_buy": SYMBOL, "symbol_sell": SYMBOL,
        "venue_buy": "a", "venue_sell": "b", "recv_ns": 5, "ttl_sec": 2.5, "net_bps": 12.25, "degraded": True,
        "data_quality": "ok", "buy_vwap": "100", "sell_vwap": "100.32",
    }  # fmt: skip
    read = of_signal(signal)
    assert (read.ttl_ns, read.net_bps, read.is_degraded) == (2_500_000_000, D("12.25"), True)
    assert read.fees_bps == D("19.75")
    with pytest.raises(KeyError):
        of_signal({"opp_id": "o"})


def test_no_leg_goes_to_a_market_that_is_closed() -> None:
    """A book goes on moving where orders are refused: one leg would fill and the other not. As a third venue it does
    not join."""
    here = world()
    here.rule("b", is_open=False)
    assert refused(here) == NoPlan("rules", "b BTC-USDT: the market takes no orders now")
    here.rule("b", is_open=True)
    here.put("a", levels(("99.9", "5")), levels(("100", "5")))
    here.put("c", levels(("99.9", "50")), levels(("100.05", "50")))
    assert "c" in [leg.venue for leg in plan(here).legs]
    here.rule("c", is_open=False)
    assert [leg.venue for leg in plan(here).legs] == ["a", "b"]
