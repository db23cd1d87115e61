"""The slow twin's engine, rule by rule, on hand-made frames; its running sums against their definitions."""

import math
import random
import uuid
from fractions import Fraction

import pytest

from . import replay
from .books import Book
from .decimals import UNIT, to_units
from .streams import bybit, close, coinbase, diff, event, http, okx, row, send, snapshot
from .walk import QUOTE_UNIT, Terms, executable
from .windows import BUCKET_NS, MidGrid, SpreadWindow
from .wires import Row, Update

BTC = ["BTC-USDT"]
EASY = {"min_spread_bps": 5, "min_liquidity_depth": 0, "fee_bps": 0, "max_notional": 10**9}


def okx_book(ms: float, bid: object, ask: object, qty: object = 1, **more) -> dict:
    return okx(ms, "snapshot", -1, 10, [row(bid, qty)], [row(ask, qty)], **more)


def bybit_book(ms: float, bid: object, ask: object, qty: object = 1, **more) -> dict:
    return bybit(ms, "snapshot", 5, [row(bid, qty)], [row(ask, qty)], **more)


def signals(records: list[dict], symbols=BTC, config: dict | None = None, **engine) -> list[dict]:
    """The opportunity lines of a replay at zero fees and low thresholds, changed by `engine`."""
    return replay.run([records], (config or {}) | {"engine": EASY | engine}, symbols).opportunities


def short(line: dict) -> tuple:
    """A line as (event or reason, milliseconds, venue to buy at)."""
    return line.get("reason", line["event"]), line["recv_ns"] / 10**6, line["venue_buy"]


# ---- episodes: R13, R27, R31, D14 ----


def test_episode_is_raised_again_after_ttl_and_closed_when_it_does_not_qualify():
    records = [okx_book(0, 101, 102), bybit_book(1, 99, 100)]
    records += [bybit(second * 1000, "snapshot", 5, [row(99)], [row(100)]) for second in (1, 2, 3)]
    records += [okx_book(second * 1000 + 1, 101, 102) for second in (1, 2)]
    records += [okx_book(3001, 99, 102)]
    records.sort(key=lambda record: record["ts"])
    lines = signals(records, opportunity_ttl_sec=2)
    assert [short(line) for line in lines] == [
        ("raised", 1, "bybit"),
        ("raised", 2001, "bybit"),
        ("not_qualified", 3001, "bybit"),
    ]
    first, second, end = lines
    assert first["raw_signal_id"] == second["raw_signal_id"] == end["raw_signal_id"]
    assert first["opp_id"] != second["opp_id"]
    assert (end["duration_ns"], end["evaluations"]) == (3_000_000_000, 6)
    assert end["max_net_bps"] == pytest.approx(100)


def test_signal_has_the_figures_of_the_formulas():
    (line,) = signals([okx_book(0, "100.5", 102, 3), bybit_book(7, 99, 100, 2)])
    assert (line["base_asset"], line["quote_asset"], line["symbol_sell"]) == ("BTC", "USDT", "BTC-USDT")
    assert (line["seq_buy"], line["seq_sell"], line["book_age_sell_ns"]) == (5, 10, 7_000_000)
    assert (line["qty"], line["buy_vwap"], line["sell_vwap"], line["impact_bps"]) == ("2", 100.0, 100.5, 0.0)
    assert (
        line["spread_bps"] == line["net_bps"] == line["window_mean_bps"] == line["window_max_bps"] == pytest.approx(50)
    )
    assert (line["profit_quote"], line["liquidity"], line["sigma"], line["persistence"]) == (1.0, 200.0, 0.0, 0.0)
    assert line["score"] == pytest.approx(0.5 + 0.3 * 0.002 + 0.2)
    assert line["ts"] == "1970-01-01T00:00:00.007000000Z"
    name = "BTC-USDT|bybit|okx|BTC-USDT|BTC-USDT|7000000|"
    assert line["raw_signal_id"] == str(uuid.uuid5(uuid.NAMESPACE_OID, name + "episode"))
    assert line["opp_id"] == str(uuid.uuid5(uuid.NAMESPACE_OID, name + "signal"))


def test_stale_book_ends_the_episode_at_its_last_fresh_instant():
    """R13: told before the first later record; a frame at exactly that instant still finds the pair eligible."""
    records = [okx_book(0, 101, 102), bybit_book(1, 99, 100)]
    assert [short(line) for line in signals([*records, send("okx", 1500)])] == [("raised", 1, "bybit")]
    late = signals([*records, send("okx", 1501)])
    assert [short(line) for line in late] == [("raised", 1, "bybit"), ("stale", 1500, "bybit")]
    at_the_edge = signals([*records, bybit_book(1500, 99, 100), send("okx", 1501)])
    assert [(*short(line), line.get("evaluations")) for line in at_the_edge][1:] == [("stale", 1500, "bybit", 2)]
    after = signals([*records, send("okx", 1501), bybit_book(1502, 99, 100), okx_book(1503, 101, 102)])
    assert [short(line) for line in after][2:] == [("raised", 1503, "bybit")]


def test_unsynced_book_ends_its_episodes_in_ascending_order():
    records = [okx_book(0, 100, 101), coinbase(0, 0, event("snapshot", [row(100)], [row(101)])), bybit_book(1, 90, 91)]
    lines = signals([*records, close("bybit", 2)])
    reasons = [(*short(line), line["venue_sell"]) for line in lines]
    assert reasons == [
        ("raised", 1, "bybit", "coinbase"),
        ("raised", 1, "bybit", "okx"),
        ("unsynced", 2, "bybit", "coinbase"),
        ("unsynced", 2, "bybit", "okx"),
    ]


def test_side_without_levels_is_not_eligible():
    """R14."""
    records = [okx_book(0, 101, 102), bybit_book(1, 99, 100), okx(2, "update", 10, 11, [row(101, 0)], [])]
    assert [short(line)[0] for line in signals(records)] == ["raised", "not_qualified"]


def test_open_episode_stays_open_at_the_end():
    """R30."""
    assert [line["event"] for line in signals([okx_book(0, 101, 102), bybit_book(1, 99, 100)])] == ["raised"]


def test_gap_heals_into_a_new_episode():
    lines = signals([okx_book(0, 101, 102), bybit_book(1, 99, 100), bybit(2, "delta", 9), bybit_book(3, 99, 100)])
    assert [short(line) for line in lines] == [("raised", 1, "bybit"), ("unsynced", 2, "bybit"), ("raised", 3, "bybit")]
    assert lines[0]["raw_signal_id"] != lines[2]["raw_signal_id"]


# ---- thresholds ----


def test_thresholds_are_inclusive_and_exact():
    """15 bps of 100 is 0.15 exactly, though neither is so in doubles."""
    records = [okx_book(0, "100.15", 102), bybit_book(1, 99, 100)]
    assert signals(records, min_spread_bps=15, safety_margin_bps=15)
    assert not signals(records, min_spread_bps=15, safety_margin_bps=15.000001)
    assert not signals([okx_book(0, "100.149999999999", 102), bybit_book(1, 99, 100)], min_spread_bps=15)
    assert signals(records, min_liquidity_depth=100)
    assert not signals(records, min_liquidity_depth="100.00000001")


def test_fees_of_the_configuration_decide():
    records = [okx_book(0, "100.2", 102), bybit_book(1, 99, 100)]
    assert not signals(records, fee_bps=10)
    fees = {"venues": {"okx": {"taker_fee_bps": 9}}}
    (line,) = signals(records, config=fees, fee_bps=10)
    assert line["net_bps"] == pytest.approx((100.2 * 0.9991 - 100.1) / 100 * 1e4, rel=1e-9)


def test_zero_profit_does_not_qualify():
    assert not signals([okx_book(0, 100, 102), bybit_book(1, 99, 100)], min_spread_bps=0)


def test_minimum_persistence_counts_from_the_first_evaluation():
    records = [okx_book(0, 101, 102), bybit_book(0, 99, 100), okx_book(499, 101, 102), okx_book(500, 101, 102)]
    assert [short(line)[:2] for line in signals(records, min_persistence=0.5, window_size_sec=1)] == [("raised", 500)]


# ---- R11: notional cut and lots ----


def side_of(*levels: tuple) -> list[Row]:
    return [Row(to_units(str(price)), to_units(str(qty)), "", "") for price, qty in levels]


def pair_of_books(asks: list[Row], bids: list[Row]) -> tuple[Book, Book]:
    buy, sell = Book("a", "X-Y"), Book("b", "X-Y")
    buy.take(Update("snapshot", [], asks))
    sell.take(Update("snapshot", bids, []))
    return buy, sell


def test_step_over_the_notional_is_cut_and_the_rest_rounded_to_lots():
    """150 buys 1 at 100 and a third of one at 150 less; 1.333.. is rounded down to lots of 0.1."""
    buy, sell = pair_of_books(side_of((100, 1), (150, 1)), side_of((200, 5)))
    trade = executable(buy, sell, Terms(0, 0, 10**4, 150), UNIT // 10)
    assert trade.qty == to_units("1.3")
    assert trade.buy_quote == 145 * QUOTE_UNIT
    assert trade.profit == 115 * QUOTE_UNIT
    exact = executable(buy, sell, Terms(0, 0, 10**4, 150), UNIT // 10**8)
    assert exact.qty == to_units("1.33333333")


def test_quantity_that_fills_the_notional_exactly_is_not_cut():
    buy, sell = pair_of_books(side_of((100, 1), (150, 1)), side_of((200, 5)))
    assert executable(buy, sell, Terms(0, 0, 10**4, 250), 1).qty == 2 * UNIT
    assert executable(buy, sell, Terms(0, 0, 10**4, 100), 1).qty == UNIT


def test_slippage_edge_is_inclusive():
    buy, sell = pair_of_books(
        side_of((100, 1), ("100.2", 1), ("100.21", 1)), side_of((200, 1), ("199.6", 1), ("199.5", 1))
    )
    assert executable(buy, sell, Terms(0, 0, 20, 10**9), 1).qty == 2 * UNIT


def test_coarser_lot_and_larger_minimum_of_the_two_instruments_hold():
    def rules(venue: str, url: str, step: str, least: str) -> dict:
        if venue == "okx":
            entry = {"instType": "SPOT", "baseCcy": "BTC", "quoteCcy": "USDT", "lotSz": step, "minSz": least}
            return http(venue, 0, url, {"data": [entry]})
        limits = {"basePrecision": step, "minOrderQty": least}
        entry = {"symbol": "BTCUSDT", "baseCoin": "BTC", "quoteCoin": "USDT", "lotSizeFilter": limits}
        return http(venue, 0, url, {"result": {"list": [entry]}})

    okx_url, bybit_url = (
        "https://x/api/v5/public/instruments?instType=SPOT",
        "https://x/v5/market/instruments-info?category=spot",
    )
    books = [okx_book(1, 101, 102, "0.77"), bybit_book(2, 99, 100, "0.77")]
    lists = [rules("okx", okx_url, "0.05", "0.1"), rules("bybit", bybit_url, "0.2", "0.6")]
    (line,) = signals(lists + books, None)
    assert line["qty"] == "0.6"
    lists[0] = rules("okx", okx_url, "0.05", "0.600001")
    assert signals(lists + books, None) == []


def brute_quantity(asks: list[Row], bids: list[Row], terms: Terms) -> Fraction:
    """The formula's walk in fractions, one level after the other, without the lot rounding."""
    qty, spent, best_ask, best_bid = Fraction(0), Fraction(0), asks[0].price, bids[0].price
    left = [[row.price, Fraction(row.qty)] for row in asks], [[row.price, Fraction(row.qty)] for row in bids]
    while left[0] and left[1]:
        (ask, there), (bid, here) = left[0][0], left[1][0]
        earns = bid * terms.keeps - ask * terms.pays > 0
        if not earns or ask > best_ask * (1 + terms.slip) or bid < best_bid * (1 - terms.slip):
            break
        step = min(there, here, (terms.max_quote - spent) / ask)
        if step == 0:
            break
        qty, spent = qty + step, spent + step * ask
        left[0][0][1] -= step
        left[1][0][1] -= step
        for side in left:
            if side[0][1] == 0:
                side.pop(0)
    return qty


@pytest.mark.parametrize("seed", range(40))
def test_walk_is_the_formula(seed):
    """Any two sides: the walk's quantity is the formula's, rounded down to the step, and its sums are those of it."""
    chance = random.Random(seed)
    asks = side_of(
        *((100 + level * chance.choice([1, 5]) / 20, chance.randint(1, 400) / 100) for level in range(1, 12))
    )
    bids = side_of(
        *((101 - level * chance.choice([1, 5]) / 20, chance.randint(1, 400) / 100) for level in range(1, 12))
    )
    asks, bids = (list({row.price: row for row in rows}.values()) for rows in (asks, bids))
    asks.sort(key=lambda row: row.price)
    bids.sort(key=lambda row: -row.price)
    terms = Terms(chance.randint(0, 20), chance.randint(0, 20), chance.choice([5, 20, 50]), chance.randint(50, 2000))
    step = chance.choice([1, UNIT // 10**8, UNIT // 7, UNIT // 4])
    trade = executable(*pair_of_books(asks, bids), terms, step)
    qty = brute_quantity(asks, bids, terms) // step * step
    assert (trade.qty if trade else 0) == qty
    if trade:
        assert trade.profit == trade.sell_quote * terms.keeps - trade.buy_quote * terms.pays


# ---- R15: windows ----


def test_mean_is_weighted_by_time_and_leaves_out_the_stale_hole():
    """Spread 100 for 1 s, 200 until the book is stale 1.5 s later, nothing for 0.5 s, then the current 400."""
    records = [okx_book(0, 101, 102), bybit_book(0, 99, 100), bybit_book(1000, 99, 100), okx_book(1000, 102, 103)]
    records += [send("okx", 2501), bybit_book(3000, 99, 100), okx_book(3000, 104, 105)]
    lines = signals(records)
    assert [short(line)[:2] for line in lines] == [("raised", 0), ("stale", 2500), ("raised", 3000)]
    assert lines[2]["window_mean_bps"] == pytest.approx((1 * 100 + 1.5 * 200) / 2.5)
    assert lines[2]["window_max_bps"] == pytest.approx(400)
    assert lines[2]["persistence"] == pytest.approx(2.5 / 5)


def test_value_without_duration_counts_for_nothing():
    """D13: the spread of 900 is replaced at the instant it was set."""
    records = [okx_book(0, 101, 102), bybit_book(0, 99, 100), okx_book(10, 109, 110), okx_book(10, 101, 102)]
    records += [okx_book(20, 99, 102), okx_book(30, 101, 102)]
    last = signals(records)[-1]
    assert last["window_max_bps"] == pytest.approx(100)
    assert last["window_mean_bps"] == pytest.approx((20 * 100 + 10 * -100) / 30)


@pytest.mark.parametrize("seed", range(20))
def test_window_is_its_definition(seed):
    """Sums that are kept running equal sums over every stretch that was ever defined."""
    chance = random.Random(seed)
    window, width = SpreadWindow(1000), 1000
    stretches, current, now = [], None, 0
    for _ in range(300):
        now += chance.choice([0, 1, 7, 50, 400])
        spread, reaches = chance.randint(-9, 9), chance.random() < 0.5
        if current is not None:
            stretches.append((current[0], now, *current[1:]))
        current = None
        window.end(now)
        if chance.random() < 0.2:
            continue
        window.forget(now)
        since = now - width
        parts = [
            (min(end, now) - max(start, since), *rest) for start, end, *rest in stretches if end > max(start, since)
        ]
        naive = (
            sum(span * value for span, value, _ in parts),
            sum(span for span, _, _ in parts),
            max([spread, *(value for _, value, _ in parts)]),
            sum(span for span, _, reached in parts if reached),
        )
        assert window.statistics(now, spread) == naive
        window.begin(now, spread, reaches)
        current = (now, spread, reaches)


# ---- R16, R17: volatility ----


@pytest.mark.parametrize("seed", range(20))
def test_sigma_is_its_definition(seed):
    """The grid with every bucket filled in gives the same sigma as the sparse one."""
    chance = random.Random(seed)
    grid, puts, now = MidGrid(50, 5), {}, 10**18
    for _ in range(200):
        now += chance.choice([1, 30, 99, 100, 700, 9000]) * 10**6
        mid = chance.randint(10**6, 10**6 + 50)
        if chance.random() < 0.7:
            grid.put(now, mid)
            puts[now // BUCKET_NS] = mid
            continue
        current = now // BUCKET_NS
        if not puts:
            continue
        value, squares = None, []
        for bucket in range(min(puts), current):
            before, value = value, puts.get(bucket, value)
            if before is not None and bucket >= current - 50:
                squares.append((math.log(value / before) * 1e4) ** 2)
        assert grid.sigma(now) == pytest.approx(math.sqrt(sum(squares) / 5), rel=1e-6, abs=1e-9)


def test_sigma_counts_completed_buckets_and_starts_anew_after_unsync():
    def story(*, lost: bool) -> float:
        records = [okx_book(50, 101, 102), okx_book(150, 102, 103), okx_book(250, 101, 102)]
        records += [okx(251, "update", 99, 100), okx_book(252, 101, 102)] if lost else []
        return signals([*records, bybit_book(300, 99, 100)])[0]["sigma"]

    step = math.log(102.5 / 101.5) * 1e4
    assert story(lost=False) == pytest.approx(math.sqrt(2 * step**2 / 5), rel=1e-9)
    assert story(lost=True) == 0.0


# ---- groups and coins: R25, R26, D4 ----


def grouped(records: list[dict], **engine) -> list[dict]:
    members = ["binance:BTC-USDT", "binance:BTC-USDC", "okx:BTC-USDT", "binance-coinm:BTC-USD-PERP"]
    return signals(records, None, groups=[{"name": "BTC", "members": members}], **engine)


def test_books_of_a_group_are_compared_once_under_its_name():
    """R25: also where their symbols agree, and never two books of one venue."""
    records = [snapshot(0, 5, [row(99)], [row(100)]), snapshot(0, 5, [row(120)], [row(121)], symbol="BTCUSDC")]
    (line,) = grouped([*records, okx_book(1, 101, 102)], max_mid_ratio=1.1)
    assert (line["symbol"], line["symbol_buy"], line["venue_buy"], line["venue_sell"]) == (
        "BTC",
        "BTC-USDT",
        "binance",
        "okx",
    )
    lines = grouped([*records, okx_book(1, 101, 102)])
    assert [(line["symbol_buy"], line["symbol_sell"]) for line in lines] == [
        ("BTC-USDT", "BTC-USDT"),
        ("BTC-USDT", "BTC-USDC"),
    ]


def test_different_coins_are_parted_for_good():
    """R26: mids more than max_mid_ratio apart end the episode for good; the edge itself does not."""
    start = [okx_book(0, 101, 102), bybit_book(1, 99, 100)]
    lines = signals([*start, okx_book(2, 121, 123), okx_book(3, 101, 102)])
    assert [short(line) for line in lines] == [("raised", 1, "bybit"), ("different_coin", 2, "bybit")]
    edge = [bybit_book(0, 99, 101), okx_book(1, 119, 121), okx_book(2, 105, 107)]
    assert [line["event"] for line in signals(edge, max_mid_ratio=1.2)] == ["raised"]


def test_contracts_are_counted_in_their_quote_value():
    """D4: 10 contracts of 100 at 50 000 are 0.02 BTC and 1000 quote, whatever the tick shows."""
    coin = snapshot(0, 5, [row(49990, 10)], [row(50000, 10)], venue="binance-coinm", symbol="BTCUSD_PERP")
    result = [coin, okx_book(1, 51000, 51010)]
    (line,) = grouped(result)
    assert (line["qty"], line["liquidity"], line["symbol_buy"]) == ("0.02", 1000.0, "BTC-USD-PERP")
    ticks = replay.run([result], {}, ["BTC-USD-PERP", "BTC-USDT"]).ticks
    assert (ticks[0]["ask"], ticks[0]["ask_qty"]) == ("50000", "10")


def test_joined_snapshot_is_one_evaluation():
    """R9: an arbitrage that only the bare snapshot has is not seen."""
    join = [diff(1, 6, 6, [], [row(100, 0), row(103)]), snapshot(2, 5, [row(99)], [row(100)])]
    assert signals([okx_book(0, 101, 102), *join]) == []
    assert signals([okx_book(0, 101, 102), join[1]])
