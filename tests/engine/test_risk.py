"""The gates: each one fails on its own cause, all of them are always recorded."""

import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any, Literal

import pytest

from gambit.engine.holdings import Holdings
from gambit.engine.limits import DAY_NS, HOUR_NS, MINUTE_NS, blackout
from gambit.engine.plan import BPS, Plan
from gambit.engine.risk import GATES, Approved, Held, Refused, check, exposure
from gambit.engine.trading_state import TradingState
from gambit.events.operation import TradingStateChanged
from gambit.events.orders import BalanceCorrected, ForeignOrderSeen, OutcomeUnknown, ScopeHalted, Sent
from tests.engine.orders import order
from tests.engine.test_holdings import fill
from tests.engine.world import LIMITS, NOW_NS, RULES, SYMBOL, D, World, held, levels, plan, world

GATE_NAMES = [
    "stale", "kill_switch", "venue_health", "skew", "data_quality", "price_move", "min_liquidity", "under_collateral",
    "min_order", "max_order_notional", "max_symbol_notional", "max_venue_notional", "max_in_flight", "position_limit",
    "daily_loss", "trades_per_day", "trades_per_hour", "spread_sanity", "fat_finger", "min_confidence", "blackout",
    "duplicate", "self_trade", "plan_rate",
]  # fmt: skip


def failed(verdict: Approved | Refused) -> list[str]:
    return [gate.gate for gate in verdict.gates if not gate.ok]


def judged(
    here: World | None = None, limits: Any = LIMITS, now_ns: int = NOW_NS, of: Any = None, **own: Any
) -> list[str]:
    """The gates that fail for the plain plan when something about world, limits, time or ourselves is different."""
    where = here or world()
    subject = of or plan()
    return failed(check(subject, held(**own), limits, where, now_ns))


def halted(state: str = "HALTED") -> TradingState:
    trading = TradingState()
    trading.apply(TradingStateChanged(state=state, was="ACTIVE", reason="drill", by="op"))
    return trading


def scope_halted(scope: str) -> TradingState:
    trading = TradingState()
    trading.apply(ScopeHalted(scope=scope, reason="drill"))
    return trading


def changed(**changes: Any) -> World:
    here = world()
    here.touch("a", **changes)
    return here


def with_venue(**changes: Any) -> World:
    here = world()
    here.change("b", **changes)
    return here


def closed() -> World:
    """A market takes no orders any more since the plan was made."""
    here = world()
    here.rule("b", is_open=False)
    return here


def late_frame(lag_ns: int, shift_ns: int | None, stalled_ns: int = 0) -> World:
    """One book's last frame came late, as far as its venue's clock is known; or the process had stood still."""
    here = changed(lag_ns=lag_ns)
    here.change("a", clock_shift_ns=shift_ns, stalled_ns=stalled_ns)
    return here


def in_doubt(**changes: Any) -> Any:
    subject = order(**({"qty": D(19), "price": D(100)} | changes))
    subject.apply(Sent(key=subject.intent.key, venue=subject.intent.venue), 0)
    subject.apply(OutcomeUnknown(key=subject.intent.key, venue="a", during="create", reason="cut"), 0)
    return subject


def lost(amount: str) -> Held:
    """As plain, but today cost that much."""
    own = held()
    fill(own.holdings, order(qty=D(1)), "e", "1", "100", now_ns=NOW_NS, fee=D(amount))
    fill(own.holdings, order(venue="b", side="sell", qty=D(1)), "e", "1", "100", now_ns=NOW_NS)
    return own


def positioned(qty: str) -> Held:
    own = held()
    fill(own.holdings, order(qty=D(qty)), "e", qty, "100", now_ns=NOW_NS)
    return own


PARKED = ForeignOrderSeen(
    venue="c", symbol="ETH-USDT", side="buy", qty=D(190), price=D(10), venue_order_id="v8", is_open=True
)
FOREIGN = ForeignOrderSeen(venue="a", symbol=SYMBOL, side="sell", qty=D(1), price=D("100.1"), venue_order_id="v9")


@pytest.mark.parametrize(
    ("expected", "circumstances"),
    [
        ([], {}),
        (["stale"], {"now_ns": NOW_NS + 1_000_000_001}),
        (["kill_switch"], {"trading": halted()}),
        (["kill_switch"], {"trading": halted("REDUCING")}),
        (["kill_switch"], {"trading": scope_halted(f"symbol:{SYMBOL}")}),
        (["kill_switch"], {"trading": scope_halted("venue:b")}),
        (["venue_health"], {"here": changed(is_synced=False), "limits": replace(LIMITS, fat_finger_bps=D(9999))}),
        (["venue_health"], {"here": changed(updated_ns=NOW_NS - LIMITS.max_book_age_ns - 1)}),
        ([], {"here": changed(updated_ns=NOW_NS - LIMITS.max_book_age_ns)}),
        (["skew"], {"here": with_venue(feed_lag_ns=LIMITS.max_feed_lag_ns + 1)}),
        ([], {"here": with_venue(feed_lag_ns=LIMITS.max_feed_lag_ns)}),
        (["skew"], {"here": late_frame(LIMITS.max_feed_lag_ns - 4, shift_ns=5)}),
        ([], {"here": late_frame(LIMITS.max_feed_lag_ns + 5, shift_ns=-5)}),
        ([], {"here": late_frame(LIMITS.max_feed_lag_ns * 9, shift_ns=None)}),
        (["skew"], {"here": late_frame(0, shift_ns=None, stalled_ns=LIMITS.max_feed_lag_ns + 1)}),
        ([], {"here": late_frame(0, shift_ns=0, stalled_ns=LIMITS.max_feed_lag_ns + 1)}),
        (["venue_health"], {"here": with_venue(can_trade=False)}),
        (["venue_health"], {"here": with_venue(is_degraded=True)}),
        (["venue_health"], {"here": closed()}),
        (["data_quality"], {"of": plan(is_degraded=True)}),
        (["data_quality"], {"of": plan(data_quality="outlier")}),
        (["price_move"], {"of": plan(net_bps=D(200))}),
        ([], {"of": plan(net_bps=D(100))}),
        ([], {"of": plan(with_venue(taker_fee_bps=D(40)))}),
        (["price_move"], {"of": plan(with_venue(taker_fee_bps=D(0)), net_bps=D(200))}),
        (["min_liquidity"], {"limits": replace(LIMITS, min_liquidity=D(4100))}),
        (["min_order"], {"limits": replace(LIMITS, min_order_quote=D(2001))}),
        (["max_order_notional"], {"limits": replace(LIMITS, max_order_notional=D(2000))}),
        (["max_symbol_notional"], {"limits": replace(LIMITS, max_symbol_notional=D(4000))}),
        (["max_symbol_notional"], {"limits": replace(LIMITS, max_symbol_notional=D(5000)), "live": [in_doubt()]}),
        (["max_venue_notional"], {"limits": replace(LIMITS, max_venue_notional=D(2030))}),
        (["max_venue_notional"], {"limits": replace(LIMITS, max_venue_notional=D(3000)), "live": [in_doubt()]}),
        (["max_in_flight"], {"limits": replace(LIMITS, max_in_flight_notional=D(4000))}),
        (["max_in_flight"], {"limits": replace(LIMITS, max_in_flight_notional=D(5900)), "live": [in_doubt()]}),
        (["max_in_flight"], {"limits": replace(LIMITS, max_in_flight_notional=D(5900)), "foreign": [PARKED]}),
        (["position_limit"], {"limits": replace(LIMITS, position_limit_bps=D(10))}),
        (["trades_per_day"], {"planned_ns": {SYMBOL: [NOW_NS - DAY_NS + 1 + i for i in range(50)]}}),
        ([], {"planned_ns": {SYMBOL: [NOW_NS - DAY_NS + 1 + i for i in range(49)]}}),
        (["trades_per_hour"], {"planned_ns": {SYMBOL: [NOW_NS - HOUR_NS + 1] * 5}}),
        ([], {"planned_ns": {SYMBOL: [NOW_NS - HOUR_NS] * 5}}),
        ([], {"planned_ns": {SYMBOL: [NOW_NS - HOUR_NS + 1] * 5}, "limits": replace(LIMITS, trades_per_hour=0)}),
        (["spread_sanity"], {"limits": replace(LIMITS, max_touch_spread_bps=D("9.9"))}),
        (["fat_finger"], {"limits": replace(LIMITS, fat_finger_bps=D(79))}),
        (["min_confidence"], {"of": plan(confidence=D("0.64"))}),
        ([], {"of": plan(confidence=D("0.65"))}),
        (["duplicate"], {"episodes": {"raw-1": "plan-1"}}),
        (["duplicate"], {"planned_ns": {SYMBOL: [NOW_NS - 1]}}),
        (["self_trade"], {"live": [in_doubt(side="sell", price=D("100.2"), qty=D(1))]}),
        ([], {"live": [in_doubt(side="sell", price=D("100.3"), qty=D(1))]}),
        (["self_trade"], {"foreign": [FOREIGN]}),
        (["plan_rate"], {"planned_ns": {"ETH-USDT": [NOW_NS] * 20}}),
    ],
)  # fmt: skip
def test_each_gate(expected: list[str], circumstances: dict[str, Any]) -> None:
    """One circumstance, one gate."""
    assert judged(**circumstances) == expected


def test_gates_of_money() -> None:
    """Collateral after reservations, the position at its worst, the loss of the day."""
    plain = world()
    poor = held(live=[in_doubt(qty=D(985))])
    limits = replace(LIMITS, max_symbol_notional=D(10**6), max_venue_notional=D(10**6), max_in_flight_notional=D(10**6),
                     position_limit_bps=D(10_000))  # fmt: skip
    assert failed(check(plan(), poor, limits, plain, NOW_NS)) == ["under_collateral"]
    assert failed(check(plan(), held(live=[in_doubt(qty=D(975))]), limits, plain, NOW_NS)) == []
    assert failed(check(plan(), positioned("100"), replace(LIMITS, position_limit_bps=D(150)), plain, NOW_NS)) == [
        "position_limit"
    ]
    verdict = check(plan(), lost("29999"), LIMITS, plain, NOW_NS)
    assert failed(verdict) == []
    verdict = check(plan(), lost("30001"), replace(LIMITS, daily_loss_limit_bps=D(500)), plain, NOW_NS)
    assert isinstance(verdict, Refused)
    assert (failed(verdict), verdict.is_loss_limit) == (["daily_loss"], True)


@pytest.mark.parametrize("without", ["plan", "day", "position"])
def test_a_day_in_money_without_a_mark_is_not_judged(without: str) -> None:
    """Rule 3: a result nobody can tell is refused, not counted as none; nor is it the limit, which would halt."""
    own, here, of, now_ns = held(), world(), plan(), NOW_NS
    blind = "BTC-EUR"
    if without == "plan":
        for venue, bid, ask in (("a", "99.9", "100"), ("b", "102", "102.1")):
            here.put(venue, levels((bid, "200")), levels((ask, "200")), symbol=blind)
            own.holdings.correct(BalanceCorrected(venue=venue, asset="EUR", delta=D(100_000), reason="opening"))
        of = plan(here, symbol=blind, symbol_buy=blind, symbol_sell=blind)
    else:
        fill(own.holdings, order(symbol=blind, quote="EUR", qty=D(9)), "e1", "9", "100", now_ns=NOW_NS, fee=D(0))
        left = "9" if without == "day" else "8"
        sold = order(venue="b", side="sell", symbol=blind, quote="EUR", qty=D(left))
        fill(own.holdings, sold, "e2", left, "10", now_ns=NOW_NS, fee=D(0))
    if without == "position":
        own.holdings.day.realised.clear()
    verdict = check(of, own, LIMITS, here, now_ns)
    assert isinstance(verdict, Refused)
    assert (failed(verdict), verdict.is_loss_limit) == (["daily_loss"], False)
    said = next(one.value for one in verdict.gates if one.gate == "daily_loss")
    assert said == "EUR: no price of it in a quote at par is followed"
    seen = replace(own, marks={**own.marks, "EUR": D("1.1")})
    assert failed(check(of, seen, LIMITS, here, now_ns)) == []
    if without == "day":  # tomorrow it is no result of the day any more
        assert "daily_loss" not in failed(check(of, own, LIMITS, here, now_ns + DAY_NS))


def touch_bps(made: Plan, here: World) -> Decimal:
    """The wider of its books' own spreads."""
    books = [here.by_name[leg.venue, SYMBOL] for leg in made.legs]
    return max((book.asks[0][0] / book.bids[0][0] - 1) * BPS for book in books)


def far_bps(made: Plan, here: World) -> Decimal:
    """How far its furthest limit lies from the middle of both mids."""
    middle = median(book.mid for book in here.by_name.values() if book.mid is not None)
    return max(abs(leg.price / middle - 1) * BPS for leg in made.legs)


BOUNDS: dict[str, tuple[str, Callable[[Plan, World], Decimal]]] = {
    "price_move": ("max_price_move_bps", lambda made, _: D(201) - made.gross_bps),
    "min_liquidity": ("min_liquidity", lambda _, __: D(4001)),  # a's 30 at 100 and 10 at 100.1, all within the limit
    "min_order": ("min_order_quote", lambda made, _: min(leg.qty * leg.worst_price for leg in made.legs)),
    "max_order_notional": ("max_order_notional", lambda made, _: max(leg.qty * leg.price for leg in made.legs)),
    "max_symbol_notional": ("max_symbol_notional", lambda made, _: sum((g.qty * g.price for g in made.legs), D(0))),
    "max_venue_notional": ("max_venue_notional", lambda made, _: max(leg.qty * leg.price for leg in made.legs)),
    "max_in_flight": ("max_in_flight_notional", lambda made, _: sum((g.qty * g.price for g in made.legs), D(0))),
    "spread_sanity": ("max_touch_spread_bps", touch_bps),
    "fat_finger": ("fat_finger_bps", far_bps),
}


@pytest.mark.parametrize("gate", list(BOUNDS))
def test_a_limit_is_met_to_the_last_unit(gate: str) -> None:
    """What is just as much as a limit passes, the least beyond it does not."""
    here, made = world(), plan(net_bps=D(181))
    name, found = BOUNDS[gate]
    limit = found(made, here)
    beyond = limit * (1 + D("1e-15")) if name.startswith("min") else limit * (1 - D("1e-15"))
    assert judged(here, limits=replace(LIMITS, **{name: limit}), of=made) == []
    assert judged(here, limits=replace(LIMITS, **{name: beyond}), of=made) == [gate]


def test_times_and_shares_are_met_to_the_last_unit() -> None:
    """As above: the lives of opportunity and plan, the depth at a limit price itself, shares of the equity, a price at
    which an order of ours would just be met."""
    made = plan(ttl_ns=500)
    assert [judged(of=made, now_ns=NOW_NS + 500), judged(of=made, now_ns=NOW_NS + 501)] == [[], ["stale"]]
    made = plan()
    assert [judged(of=made, now_ns=made.expires_ns), judged(of=made, now_ns=made.expires_ns + 1)] == [[], ["stale"]]
    for limit, expected in ((D(1000), []), (D(1001), ["min_liquidity"])):
        for k, venue in enumerate("ab"):
            here, price = world(), made.legs[k].price
            sides = {"asks": ((price, D(1000) / price),)} if venue == "a" else {"bids": ((price, D(1000) / price),)}
            here.touch(venue, **sides)
            loose = replace(LIMITS, min_liquidity=limit - D("1e-9"), max_touch_spread_bps=D(999))
            assert judged(here, limits=loose, of=made) == expected
    rich = Holdings()
    for venue in "ab":
        for asset, amount in (("USDT", D(100_000)), ("BTC", D(1000))):
            rich.correct(BalanceCorrected(venue=venue, asset=asset, delta=amount, reason="opening"))
    most = max(leg.price for leg in made.legs) * made.qty * BPS / 400_000
    for bps, expected in ((most, []), (most - D("1e-9"), ["position_limit"])):
        assert judged(limits=replace(LIMITS, position_limit_bps=bps), holdings=rich) == expected
    assert failed(check(made, lost("30000"), LIMITS, world(), NOW_NS)) == ["daily_loss"]  # 5 % of the 600 000 left
    sold = made.legs[1].price
    assert judged(foreign=[bought(1, str(sold), venue="b")]) == ["self_trade"]
    assert judged(foreign=[bought(1, str(sold - D("0.01")), venue="b")]) == []


def bought(qty: int, price: str, venue: str = "a", symbol: str = SYMBOL, side: Literal["buy", "sell"] = "buy") -> Any:
    """An open order that is not ours."""
    return ForeignOrderSeen(
        venue=venue, symbol=symbol, side=side, qty=D(qty), price=D(price), venue_order_id="v7", is_open=True
    )


@pytest.mark.parametrize(
    ("foreign", "expected"),
    [
        (bought(979, "100"), []),
        (bought(980, "100"), ["under_collateral"]),
        (bought(980, "100", venue="c"), []),
        (bought(980, "100", symbol="BTC-USDT-PERP"), []),
        (bought(980, "100", symbol="XBTUSDT"), []),
        (bought(980, "103", venue="b", side="sell"), []),
        (bought(981, "103", venue="b", side="sell"), ["under_collateral"]),
    ],
)
def test_what_foreign_orders_hold_back_is_no_collateral(foreign: ForeignOrderSeen, expected: list[str]) -> None:
    """100 000 USDT on a and 1000 BTC on b are owned, just over 2000 and just under 20 are wanted: the venue lets no
    order take what another one's may still take."""
    limits = replace(LIMITS, max_symbol_notional=D(10**6), max_venue_notional=D(10**6), max_in_flight_notional=D(10**6),
                     position_limit_bps=D(10_000))  # fmt: skip
    assert failed(check(plan(), held(foreign=[foreign]), limits, world(), NOW_NS)) == expected


def test_foreign_orders_count_in_the_currency_of_account() -> None:
    """40 ETH at half a BTC of 100 are 2000, not 20."""
    foreign = bought(40, "0.5", venue="b", symbol="ETH-BTC")
    for limits, expected in (
        (replace(LIMITS, max_in_flight_notional=D(6000)), ["max_in_flight"]),
        (replace(LIMITS, max_in_flight_notional=D(6100)), []),
        (replace(LIMITS, max_venue_notional=D(4000)), ["max_venue_notional"]),
        (replace(LIMITS, max_venue_notional=D(4100)), []),
    ):
        assert judged(limits=limits, foreign=[foreign]) == expected


def test_more_venues_are_no_move_of_the_price() -> None:
    """What a third venue adds earns less than what the signal's own two give; it counts as moved only when they did."""
    here = world()
    here.put("a", levels(("99.9", "200")), levels(("100", "30"), ("101", "500")))
    here.put("b", levels(("102", "30"), ("101.9", "60")), levels(("102.1", "200")))
    here.put("c", levels(("101.3", "40")), levels(("101.4", "40")))
    made = plan(here, replace(RULES, max_notional=D(8000)), net_bps=D(182))
    assert [leg.venue for leg in made.legs] == ["a", "c", "b"]
    assert made.opportunity.net_bps - made.net_bps > 80
    assert failed(check(made, held(), LIMITS, here, NOW_NS)) == []
    here.put("b", levels(("101.85", "100")), levels(("102.1", "200")))
    moved = plan(here, replace(RULES, max_notional=D(8000)), net_bps=D(182))
    assert len(moved.legs) == 3
    assert failed(check(moved, held(), LIMITS, here, NOW_NS)) == ["price_move"]


def test_nothing_owned_is_no_loss() -> None:
    """Before the first balance is known the equity is 0; that refuses plans and does not pull the kill switch."""
    verdict = check(plan(), held(holdings=Holdings()), LIMITS, world(), NOW_NS)
    assert isinstance(verdict, Refused)
    assert not verdict.is_loss_limit
    assert "under_collateral" in failed(verdict)


def test_all_gates_are_recorded_in_their_order() -> None:
    """Also after the first failure."""
    assert len(GATES) == len(GATE_NAMES)
    for own in ({}, {"trading": halted()}):
        verdict = check(plan(), held(**own), LIMITS, world(), NOW_NS)
        assert [gate.gate for gate in verdict.gates] == GATE_NAMES
    refused = check(plan(), held(trading=halted()), replace(LIMITS, min_order_quote=D(9999)), world(), NOW_NS)
    assert isinstance(refused, Refused)
    assert (refused.gate, failed(refused)) == ("kill_switch", ["kill_switch", "min_order"])


def test_permission_is_a_type() -> None:
    """Nobody but check makes an Approved."""
    with pytest.raises(TypeError, match=r"risk\.check"):
        Approved()
    with pytest.raises(TypeError, match="final"):
        type("Mine", (Approved,), {})
    assert isinstance(check(plan(), held(), LIMITS, world(), NOW_NS), Approved)


def test_exposure_counts_doubt_as_filled() -> None:
    """R5: an order in doubt is there in full, one that ended is not."""
    total, parts = exposure([in_doubt()], {"USDT": D(1)})
    assert total == 1900
    assert parts == {f"symbol:{SYMBOL}": 1900, "venue:a": 1900}


def test_a_missing_book_fails_closed() -> None:
    """What cannot be judged does not pass."""
    here = world()
    made = plan(here)
    del here.by_name["a", SYMBOL]
    assert {"venue_health", "min_liquidity", "spread_sanity"} <= set(failed(check(made, held(), LIMITS, here, NOW_NS)))


def test_blackouts() -> None:
    """Daily windows, also over midnight, and single ones."""
    noon = 12 * 60 * MINUTE_NS
    assert blackout("11:30-12:30").covers(noon + 5 * DAY_NS)
    assert not blackout("11:30-12:00").covers(noon)
    assert blackout("23:00-01:00").covers(30 * MINUTE_NS)
    assert not blackout("23:00-01:00").covers(noon)
    once = blackout("2026-03-01T12:00/2026-03-01T13:00")
    assert once.covers(once.start_ns)
    assert not once.covers(once.end_ns)
    assert blackout("2026-03-01T14:00+02:00/2026-03-01T12:00-01:00") == once
    limits = replace(LIMITS, blackouts=(blackout("00:00-23:59"),))
    assert judged(limits=limits) == ["blackout"]
    for text in ("25:00-26:00", "2026-03-01T13:00/2026-03-01T12:00", "soon/later"):
        with pytest.raises(ValueError, match=r"blackout|isoformat|Invalid"):
            blackout(text)


def test_a_wide_book_elsewhere_moves_no_band() -> None:
    """The fat-finger band is around the median of all venues, so one outlier does not shift it."""
    here = world()
    here.put("c", levels(("500", "10")), levels(("500.1", "10")))
    assert judged(here) == []


def test_every_gate_is_explained() -> None:
    """docs/orders.md has each gate in its table, in the order they are asked."""
    page = (Path(__file__).parent.parent.parent / "docs/orders.md").read_text()
    table = page.split("## The gates")[1].split("##")[0]
    rows = [cell for row in table.splitlines() if row.startswith("| `") for cell in [row.split("|")[1]]]
    assert [name.strip("` ,") for cell in rows for name in cell.split()] == GATE_NAMES


def test_the_gates_do_not_count_the_whole_day() -> None:
    """With ten thousand plans of each of fifty symbols behind it, a check costs what it costs without any (F114)."""
    times = [NOW_NS - DAY_NS + 1 + k * 8_000_000_000 for k in range(10_000)]
    many = replace(LIMITS, trades_per_day=0, trades_per_hour=0)
    subject, here = plan(), world()
    spent: dict[bool, list[int]] = {True: [], False: []}
    for _ in range(30):
        for is_busy, seconds in spent.items():
            own = held(planned_ns={f"C{k}-USDT": times for k in range(50)} if is_busy else {})
            begun = time.thread_time_ns()
            check(subject, own, many, here, NOW_NS)
            seconds.append(time.thread_time_ns() - begun)
    assert min(spent[True]) < 2 * min(spent[False])
