"""One long way through the market: frames in, books believed or not, opportunities, dead letters, notices."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from gambit.engine.market import DEAD_LETTERS_KEPT, REASONS_KEPT, TAKER_FEE, Market
from gambit.engine.params import EngineParams, GroupParams, VenueParams
from gambit.model import DeadLetter, VenueNotice
from gambit.venues import VENUES
from gambit.venues.decode import decode
from tests.engine.driver import Driver
from tests.reference.streams import (
    MS,
    bybit,
    close,
    coinbase,
    connect,
    diff,
    event,
    http,
    okx,
    recv,
    row,
    send,
    snapshot,
)

NO_FEES = {name: VenueParams(Decimal(0)) for name in VENUES}
OPEN = {"min_spread_bps": Decimal(5), "min_liquidity": Decimal(0), "venues": NO_FEES}

Line = dict[str, Any]


def driver(symbols: Sequence[str] | None = ("BTC-USDT",), **params: Any) -> Driver:
    """A market without fees and with open thresholds, unless told otherwise."""
    return Driver(Market(EngineParams(symbols=symbols and tuple(symbols), **{**OPEN, **params}), VENUES, decode))


def okx_book(ms: float, bid: float, ask: float, seq: int = 10, **more: Any) -> Line:
    """A snapshot of one level a side."""
    return okx(ms, "snapshot", -1, seq, [row(bid)], [row(ask)], **more)


def bybit_book(ms: float, bid: float, ask: float, u: int = 10, **more: Any) -> Line:
    """The same of Bybit."""
    return bybit(ms, "snapshot", u, [row(bid)], [row(ask)], **more)


def book(run: Driver, venue: str, symbol: str = "BTC-USDT") -> Line:
    """One of the books."""
    return next(line for line in run.books() if (line["venue"], line["symbol"]) == (venue, symbol))


def told(events: Sequence[Line]) -> list[tuple[Any, ...]]:
    """Opportunities by what happened, when (in ms), and from where to where."""
    return [
        (e.get("reason", "raised"), e["recv_ns"] / MS, f"{e['venue_buy']}>{e['venue_sell']}", e["symbol"])
        for e in events
    ]


# ---- opportunities ----


def test_an_opportunity_by_hand() -> None:
    """Buy one at 100, sell one at 101: every number of the signal as a person reckons it."""
    run = driver()
    assert run.take(okx_book(1000, 99, 100)) == []
    (found,) = run.take(bybit_book(1400, 101, 102, u=7))
    assert (found["venue_buy"], found["venue_sell"], found["recv_ns"]) == ("okx", "bybit", 1400 * MS)
    assert (found["spread_bps"], found["net_bps"]) == (pytest.approx(100), pytest.approx(100))
    assert (found["profit_quote"], found["qty"]) == (pytest.approx(1), "1")
    assert (found["buy_vwap"], found["sell_vwap"], found["impact_bps"]) == (100, 101, pytest.approx(0))
    assert (found["liquidity"], found["sigma"], found["persistence"]) == (100, 0, 0)
    assert (found["window_mean_bps"], found["window_max_bps"]) == (pytest.approx(100), pytest.approx(100))
    assert found["score"] == pytest.approx(0.5 * 1 + 0.3 * 100 / 100_000 + 0.2)
    assert (found["seq_buy"], found["seq_sell"]) == (10, 7)
    assert (found["book_age_buy_ns"], found["book_age_sell_ns"]) == (400 * MS, 0)


@pytest.mark.parametrize("at_ms", [900, 1100])
def test_a_fee_that_an_account_was_told_counts_from_then_on(at_ms: int) -> None:
    """It stands in a record like any answer: the venue's books pay it, those to come and those that are there already,
    and no other venue's."""
    run = driver()
    fee = http("okx", at_ms, TAKER_FEE, 12.5)
    run.take(*sorted([okx_book(1000, 99, 100), fee], key=lambda record: int(record["ts"])))
    (found,) = run.take(bybit_book(1400, 101, 102, u=7))
    assert (found["spread_bps"], found["net_bps"]) == (pytest.approx(100), pytest.approx(100 - 12.5))
    assert run.market.dead_letter_counts == {}


@pytest.mark.parametrize("said", ["", "much", "1001", "-1001", "NaN", "Infinity"])
def test_a_fee_that_is_none_changes_nothing(said: str) -> None:
    """It is a dead letter."""
    run = driver()
    run.take(okx_book(1000, 99, 100), {**http("okx", 1100, TAKER_FEE, ""), "data": said})
    (found,) = run.take(bybit_book(1400, 101, 102, u=7))
    assert found["net_bps"] == pytest.approx(100)
    assert [letter.raw for letter in run.market.dead_letters] == [said.encode()]


def test_an_episode_is_raised_again_and_ends() -> None:
    """A new signal of the same episode after the time to live, none before; its end counts what qualified."""
    run = driver(ttl_sec=Decimal(2), max_book_age_ms=Decimal(60_000))
    (first,) = run.take(okx_book(0, 99, 100), bybit_book(1000, 101, 102, u=7))
    assert run.take(bybit(2999, "delta", 8, [row(101, 2)])) == []
    (again,) = run.take(bybit(3000, "delta", 9, [row(101, 3)]))
    assert again["raw_signal_id"] == first["raw_signal_id"]
    assert again["opp_id"] != first["opp_id"]
    (end,) = run.take(bybit(3500, "delta", 10, [row(101, 0), row(100)]))
    assert (end["reason"], end["evaluations"], end["duration_ns"]) == ("not_qualified", 3, 2500 * MS)
    assert end["raw_signal_id"] == first["raw_signal_id"]


def test_books_of_one_venue_are_never_compared() -> None:
    """Not even as members of one group; those of two venues are, by the group's name."""
    members = ("okx:BTC-USDT", "okx:BTC-USDC", "bybit:BTC-USDT")
    run = driver(["BTC-USDT", "BTC-USDC"], groups=(GroupParams("BTC", members),))
    assert run.take(okx_book(0, 99, 100), okx_book(10, 101, 102, symbol="BTC-USDC")) == []
    events = told(run.take(bybit_book(20, 103, 104)))
    assert events == [("raised", 20.0, "okx>bybit", "BTC"), ("raised", 20.0, "okx>bybit", "BTC")]


def test_other_quotes_are_other_money() -> None:
    """USD and USDT are not compared unless a group says so."""
    run = driver(None)
    assert (
        run.take(okx_book(0, 99, 100), coinbase(1, 0, event("snapshot", [("101", "1")], [("102", "1")], "BTC-USD")))
        == []
    )


def test_different_coins_part_for_good() -> None:
    """Mids more than the ratio apart end both directions' episodes; coming closer again brings nothing back."""
    run = driver(max_book_age_ms=Decimal(60_000))
    assert len(run.take(okx_book(0, 99, 100), bybit_book(1, 101, 102))) == 1
    events = run.take(bybit(2, "delta", 11, [row(130)], [row(102, 0), row(131)]))
    assert told(events) == [("different_coin", 2.0, "okx>bybit", "BTC-USDT")]
    assert run.take(bybit(3, "delta", 12, [row(130, 0)], [row(131, 0), row(102)])) == []


def test_fees_and_lots_decide() -> None:
    """With both fees the walk is not worth it; a lot step rounds the quantity down, a minimum forbids it."""
    dear = {name: VenueParams(Decimal(60)) for name in VENUES}
    assert driver(venues=dear).take(okx_book(0, 99, 100), bybit_book(1, 101, 102)) == []
    entry = {"instType": "SPOT", "instId": "BTC-USDT", "baseCcy": "BTC", "quoteCcy": "USDT", "lotSz": "0.4"}
    url = "https://x/api/v5/public/instruments?instType=SPOT"
    for least, quantities in (("0.8", ["0.8"]), ("0.81", [])):
        run = driver()
        run.take(http("okx", 0, url, {"data": [{**entry, "minSz": least}]}))
        assert [e["qty"] for e in run.take(okx_book(0, 99, 100), bybit_book(1, 101, 102))] == quantities


def test_late_rules_hold_from_then_on() -> None:
    """An instrument list that comes after the books changes the next evaluation."""
    run = driver(max_book_age_ms=Decimal(60_000), ttl_sec=Decimal(1))
    assert [e["qty"] for e in run.take(okx_book(0, 99, 100), bybit_book(1, 101, 102))] == ["1"]
    body = {"result": {"list": [{"symbol": "BTCUSDT", "baseCoin": "BTC", "quoteCoin": "USDT",
                                 "lotSizeFilter": {"basePrecision": "0.3"}}]}}  # fmt: skip
    run.take(http("bybit", 2, "https://x/v5/market/instruments-info?category=spot", body))
    assert [e["qty"] for e in run.take(bybit(1500, "delta", 11, [row(101, 2)]))] == ["0.9"]


# ---- time ----


def test_a_stale_book_ends_its_episodes_at_the_last_fresh_instant() -> None:
    """Told before the first record later than it; a record of that very instant still finds the book fresh (R13)."""
    run = driver()
    assert len(run.take(okx_book(0, 99, 100), bybit_book(1000, 101, 102))) == 1
    assert run.take(send("okx", 1500)) == []
    assert told(run.take(send("okx", 1501))) == [("stale", 1500.0, "okx>bybit", "BTC-USDT")]


def test_time_passes_without_records() -> None:
    """on_time ends stale episodes, each at its own instant, and never turns back."""
    run = driver(["BTC-USDT", "ETH-USDT"])
    run.take(okx_book(0, 99, 100), bybit_book(10, 101, 102), okx_book(300, 99, 100, symbol="ETH-USDT"))
    run.take(coinbase(400, 0, event("snapshot", [("101", "1")], [("102", "1")], "ETH-USDT")))
    run.market.on_time(5000 * MS)
    assert [(reason, ms) for reason, ms, *_ in told(run.market.opportunities())] == [("stale", 1500), ("stale", 1800)]
    run.market.on_time(10 * MS)
    assert run.market.pairs.now == 5000 * MS


def test_the_clock_does_not_step_back() -> None:
    """A frame from the past is received now (R3)."""
    run = driver()
    run.take(okx_book(1000, 99, 100), bybit_book(400, 101, 102))
    assert [tick["recv_ns"] for tick in run.ticks()] == [1000 * MS, 1000 * MS]


# ---- connections ----


def test_another_connection_takes_a_book_over() -> None:
    """Unsynced from its first frame until its snapshot; the old connection's next frame takes it back (R8)."""
    run = driver()
    run.take(bybit_book(0, 99, 100), okx_book(1, 101, 102, conn="a"))
    events = run.take(okx(2, "update", 10, 11, [row(101, 2)], conn="b"))
    assert told(events) == [("unsynced", 2.0, "bybit>okx", "BTC-USDT")]
    assert (book(run, "okx")["synced"], book(run, "okx")["conn"]) == (False, "b")
    assert len(run.take(okx_book(3, 101, 102, conn="b"))) == 1
    run.take(okx(4, "update", 10, 11, conn="a"))
    assert (book(run, "okx")["synced"], book(run, "okx")["conn"], book(run, "okx")["gaps"]) == (False, "a", 0)


def test_another_channel_touches_nothing() -> None:
    """The channel that came first feeds the book until its connection closes (R8, D10)."""
    run = driver()
    run.take(bybit_book(0, 99, 100, depth=50), bybit_book(1, 1, 2, depth=200, conn="d"))
    assert (book(run, "bybit")["bids"][0][0], book(run, "bybit")["snapshots"]) == ("99", 1)
    run.take(close("bybit", 2), bybit_book(3, 1, 2, depth=200, conn="d"))
    assert (book(run, "bybit")["bids"][0][0], book(run, "bybit")["conn"]) == ("1", "d")


def test_a_closed_connection_loses_its_books() -> None:
    """Only its own; the book keeps the name of its last connection, and frees the channel."""
    run = driver(["BTC-USDT", "ETH-USDT"])
    run.take(okx_book(0, 99, 100, conn="a"), okx_book(1, 99, 100, symbol="ETH-USDT", conn="b"))
    run.take(close("okx", 2, "a"))
    assert [(line["symbol"], line["synced"], line["conn"]) for line in run.books()] == [
        ("BTC-USDT", False, "a"),
        ("ETH-USDT", True, "b"),
    ]
    assert (book(run, "okx")["bids"], book(run, "okx")["seq"]) == ([], None)


def test_books_won_and_lost_are_counted() -> None:
    """`changes` moves when a book becomes synced or unsynced and at no other time; `states` says which."""
    run = driver()
    pairs = run.market.pairs
    run.take(okx_book(0, 99, 100, conn="a"))
    assert (pairs.changes, pairs.states()) == (1, [(True, 0, 0, 0, 0, 0, 0)])
    run.take(okx(1, "update", 11, 12, [row(99, 2)], conn="a"))
    assert pairs.changes == 2  # prevSeqId 11 is not the snapshot's: a gap
    assert pairs.states()[0][:4] == (False, 0, 0, 1)
    run.take(okx_book(2, 99, 100, conn="a"), okx_book(3, 98, 100, conn="a"))
    assert pairs.changes == 3
    run.take(close("okx", 4, "a"))
    assert (pairs.changes, pairs.states()[0][:2]) == (4, (False, -1))


def test_a_second_connect_is_a_close() -> None:
    """The stream starts anew, Coinbase's counter too (D10, D12)."""
    run = driver(["BTC-USD"])
    run.take(connect("coinbase", 0), coinbase(1, 5, event("snapshot", [("1", "1")], [("2", "1")], "BTC-USD")))
    run.take(connect("coinbase", 2))
    assert book(run, "coinbase", "BTC-USD")["synced"] is False
    run.take(coinbase(3, 0, event("snapshot", [("1", "1")], [("2", "1")], "BTC-USD")))
    assert (book(run, "coinbase", "BTC-USD")["seq"], book(run, "coinbase", "BTC-USD")["gaps"]) == (0, 0)


def test_a_connection_to_another_market_is_skipped() -> None:
    """Bybit frames of a linear connection are none of spot's, and are counted."""
    run = driver()
    run.take(connect("bybit", 0, "x", "wss://stream.bybit.com/v5/public/linear"), bybit_book(1, 99, 100, conn="x"))
    assert run.books() == []
    assert run.market.hot.venue_counts(run.market.venues["bybit"].index)["skipped"] == 1


def test_venues_and_connections_that_are_not_there() -> None:
    """A mistake of ours raises."""
    market = driver().market
    with pytest.raises(KeyError):
        market.connect("atlantis", "c")
    with pytest.raises(IndexError):
        market.on_frame(0, b"{}", 1)


# ---- snapshots beside the stream ----


def test_a_snapshot_joins_what_came_before_it() -> None:
    """Old diffs are dropped, the others applied with it: one frame, one tick, at its time (R9)."""
    run = driver()
    run.take(diff(0, 5, 6, [row(1)]), diff(1, 7, 8, [row(98)]), diff(2, 9, 12, [row(99)]))
    run.take(snapshot(3, 7, [row(97)], [row(100)]))
    (tick,) = run.ticks()
    assert (tick["recv_ns"], tick["bid"], tick["seq"]) == (3 * MS, "99", 12)
    found = book(run, "binance")
    assert [found[name] for name in ("snapshots", "applied", "dropped_stale", "gaps")] == [1, 2, 1, 0]
    assert [price for price, _ in found["bids"]] == ["99", "98", "97"]


@pytest.mark.parametrize("url", ["https://x/api/v3/depth?limit=5", "depth?limit=1000", "https://x/fapi/v1/depth/"])
def test_a_snapshot_without_a_symbol(url: str) -> None:
    """It is of the only book with diffs, else of the only one asked for, else of none (R4)."""
    body = {"lastUpdateId": 7, "bids": [row(97)], "asks": [row(100)]}
    fed = driver(["BTC-USDT", "ETH-USDT"])
    fed.take(diff(0, 5, 8), http("binance", 1, url, body))
    assert book(fed, "binance")["synced"]
    asked = driver(["BTC-USDT", "BTC-USD-PERP"])
    asked.take(http("binance", 1, url, body))
    assert (book(asked, "binance")["synced"], book(asked, "binance")["conn"]) == (True, None)
    neither = driver(["BTC-USDT", "ETH-USDT"])
    neither.take(http("binance", 1, url, body))
    assert neither.books() == []


def test_a_snapshot_of_a_closed_connection_is_ignored() -> None:
    """As is one for a book that is synced already."""
    run = driver()
    run.take(diff(0, 5, 8), snapshot(1, 7, [row(1)]), snapshot(2, 8, [row(2)]))
    assert book(run, "binance")["bids"] == [["1", "1"]]
    run.take(close("binance", 3), snapshot(4, 9, [row(3)]))
    assert (book(run, "binance")["synced"], book(run, "binance")["snapshots"]) == (False, 1)


def test_a_bad_snapshot_is_a_bad_frame() -> None:
    """Quarantined with its bytes; an error answer is no snapshot, and nothing at all."""
    run = driver()
    run.take(diff(0, 5, 8), http("binance", 1, "https://x/depth?symbol=BTCUSDT", {"code": -1121, "msg": "no"}))
    assert list(run.market.dead_letters) == []
    run.take(
        http("binance", 2, "https://x/depth?symbol=BTCUSDT", {"lastUpdateId": 9, "bids": [["x", "1"]], "asks": []})
    )
    (letter,) = run.market.dead_letters
    assert (letter.venue, letter.conn, letter.recv_ns) == ("binance", "http", 2 * MS)
    assert book(run, "binance")["quarantined"] == 1


def test_a_list_that_says_no_more_what_was_known() -> None:
    """A spelling that was taken as it is becomes unknown when a list lacks it, and known again when one has it (R7)."""
    run = driver(None)
    url = "https://x/api/v5/public/instruments?instType=SPOT"
    entry = {"instType": "SPOT", "instId": "ETH-USDT", "baseCcy": "ETH", "quoteCcy": "USDT"}
    run.take(okx_book(0, 99, 100), http("okx", 1, url, {"data": [entry]}), okx(2, "update", 10, 11))
    assert book(run, "okx")["applied"] == 0
    more = {**entry, "instId": "BTC-USDT", "baseCcy": "BTC"}
    run.take(http("okx", 3, url, {"data": [more]}), okx(4, "update", 10, 11))
    assert book(run, "okx")["applied"] == 1


# ---- best prices ----


def test_best_prices_alone_feed_a_book() -> None:
    """Where a venue is set to them its depth, and its snapshots, touch nothing; an older one is stale (R8, D19)."""
    run = driver(venues={**NO_FEES, "binance": VenueParams(Decimal(0), is_bbo=True)})

    def top(ms: float, u: int, bid: int) -> Line:
        return recv("binance", ms, {"u": u, "s": "BTCUSDT", "b": str(bid), "B": "1", "a": "200", "A": "2"})

    run.take(diff(0, 5, 8), snapshot(1, 7, [row(1)], [row(2)]), top(2, 5, 99), top(3, 4, 98), top(4, 5, 97))
    assert [(tick["bid"], tick["seq"]) for tick in run.ticks()] == [("99", 5), ("97", 5)]
    found = book(run, "binance")
    assert (found["bids"], found["asks"]) == ([["97", "1"]], [["200", "2"]])
    assert [found[name] for name in ("snapshots", "applied", "dropped_stale")] == [0, 2, 1]


def test_best_prices_as_rows_are_bad_where_they_are_fields() -> None:
    """A bookTicker with arrays is quarantined and its book lost."""
    run = driver(venues={**NO_FEES, "binance": VenueParams(Decimal(0), is_bbo=True)})
    good = {"e": "bookTicker", "u": 5, "s": "BTCUSDT", "b": "99", "B": "1", "a": "100", "A": "1"}
    run.take(recv("binance", 0, good), recv("binance", 1, {**good, "u": 6, "b": [row(1)], "a": [row(2)]}))
    assert [book(run, "binance")[name] for name in ("synced", "quarantined")] == [False, 1]


def test_a_book_of_best_prices_has_one_level_a_side() -> None:
    """Whatever the frame brings (R8)."""
    run = driver(venues={**NO_FEES, "bybit": VenueParams(Decimal(0), is_bbo=True)})
    run.take(bybit(0, "snapshot", 5, [row(98), row(99)], [row(101), row(100)], depth=1))
    found = book(run, "bybit")
    assert (found["bids"], found["asks"]) == ([["99", "1"]], [["100", "1"]])


# ---- frames ----


def test_books_of_a_frame_are_told_in_the_order_of_their_mention() -> None:
    """Each once, after the frame was applied whole (R24)."""
    run = driver(["BTC-USD", "ETH-USD"])
    start = [event("snapshot", [("1", "1")], [("9", "1")], f"{base}-USD") for base in ("ETH", "BTC")]
    run.take(coinbase(0, 0, *start))
    updates = [
        event("update", [(price, "1")], [], f"{base}-USD") for base, price in (("BTC", "2"), ("ETH", "3"), ("BTC", "4"))
    ]
    run.take(coinbase(1, 1, *updates))
    told_ticks = [(tick["symbol"], tick["bid"]) for tick in run.ticks()]
    assert told_ticks == [("ETH-USD", "1"), ("BTC-USD", "1"), ("BTC-USD", "4"), ("ETH-USD", "3")]


def test_a_frame_with_a_snapshot_and_an_update_counts_as_both() -> None:
    """One tick, one snapshot, one applied (R22, D7)."""
    run = driver(["BTC-USD"])
    both = [event("snapshot", [("1", "1")], [("9", "1")], "BTC-USD"), event("update", [("2", "1")], [], "BTC-USD")]
    run.take(coinbase(0, 0, *both))
    found = book(run, "coinbase", "BTC-USD")
    assert [found[name] for name in ("snapshots", "applied")] == [1, 1]
    assert len(run.ticks()) == 1


def test_a_lost_number_loses_all_books_of_the_connection() -> None:
    """Also where a heartbeat was lost; the frame that showed it still counts as a snapshot (R23)."""
    run = driver(["BTC-USD", "ETH-USD"])
    run.take(coinbase(0, 0, *[event("snapshot", [("1", "1")], [("9", "1")], f"{b}-USD") for b in ("BTC", "ETH")]))
    run.take(coinbase(1, 1, channel="heartbeats"))
    run.take(coinbase(2, 3, event("snapshot", [("2", "1")], [("9", "1")], "ETH-USD")))
    states = [(line["symbol"], line["synced"], line["gaps"]) for line in run.books()]
    assert states == [("BTC-USD", False, 1), ("ETH-USD", True, 1)]


def test_a_crossed_book_is_not_believed() -> None:
    """Nor told; it needs a new snapshot."""
    run = driver()
    run.take(okx_book(0, 99, 100), okx(1, "update", 10, 11, [row(100)]), okx(2, "update", 11, 12, [row(98)]))
    found = book(run, "okx")
    assert [found[name] for name in ("synced", "crossed", "gaps", "applied")] == [False, 1, 0, 0]
    assert len(run.ticks()) == 1


# ---- times ----


@pytest.mark.parametrize(
    ("record", "exchange_ns"),
    [
        (okx_book(0, 99, 100), 5 * MS),
        (bybit_book(0, 99, 100), 1 * MS),
        (coinbase(0, 0, event("snapshot", [("1", "1")], [("2", "1")])), 1_775_572_200_123_456_789),
    ],
)
def test_the_exchange_s_own_time(record: Line, exchange_ns: int) -> None:
    """OKX ts, Bybit cts, Coinbase the message's timestamp, all in ns (R32)."""
    run = driver()
    run.take(record)
    assert [tick["exchange_ts_ns"] for tick in run.ticks()] == [exchange_ns]


def test_binance_times_may_be_microseconds() -> None:
    """Where the address asks for them; a bare snapshot has no time."""
    for address, unit_ns in (("wss://s/ws", MS), ("wss://s/stream?timeUnit=MICROSECOND", 1000)):
        run = driver()
        run.take(connect("binance", 0, addr=address), snapshot(1, 7, [row(1)], [row(2)]), diff(2, 8, 8))
        assert [tick["exchange_ts_ns"] for tick in run.ticks()] == [None, 7 * unit_ns]


def test_a_time_that_cannot_be_read_is_none() -> None:
    """Coinbase's times are RFC 3339; a number is none."""
    run = driver()
    record = coinbase(0, 0, event("snapshot", [("1", "1")], [("2", "1")]))
    run.take({**record, "data": record["data"].replace("2026-04-07T14:30:00.123456789Z", "7")})
    assert [tick["exchange_ts_ns"] for tick in run.ticks()] == [None]


# ---- what could not be used ----


def test_a_dead_letter_has_the_reason_and_the_bytes() -> None:
    """As they came, with venue, connection and time; whoever listens is told at once."""
    heard: list[DeadLetter] = []
    run = driver()
    run.market.on_dead_letter = heard.append
    bad = okx(5, "update", 10, 11, [["1e", "1"]])
    run.take(okx_book(0, 99, 100, conn="a"), {**bad, "conn": "a"})
    assert heard == list(run.market.dead_letters)
    (letter,) = heard
    assert letter == DeadLetter(letter.reason, "okx", "a", 5 * MS, bad["data"].encode())
    assert "1e" in letter.reason
    assert [book(run, "okx")[name] for name in ("synced", "quarantined")] == [False, 1]


@pytest.mark.parametrize(
    "name", ["A" * 27 + "-USDT", "A" * 5000 + "-USDT", 'B"-USDT', "B\\-USDT", "\x00-USDT", "\ud800-USDT"]
)
def test_a_frame_of_what_can_be_no_symbol_is_skipped(name: str) -> None:
    """It is counted, harms nothing, and makes no book."""
    run = driver(None)
    strange = okx(1, "snapshot", -1, 7, [row(1)], [row(2)], symbol=name, conn="a")
    run.take(okx_book(0, 99, 100, conn="a"), strange, okx(2, "update", 10, 11, [row(98)], conn="a"))
    (only,) = run.books()
    assert (only["symbol"], only["synced"], only["applied"]) == ("BTC-USDT", True, 1)
    assert not run.market.dead_letters
    assert [tick["symbol"] for tick in run.ticks()] == ["BTC-USDT"] * 2


def test_a_bad_frame_of_nobody_s_symbol_is_skipped() -> None:
    """What is wrong with a book that nobody asked for is nobody's business, alone or beside others in a frame."""
    run = driver(["BTC-USD"])
    good, bad = event("snapshot", [("1", "1")], [("2", "1")], "BTC-USD"), event("snapshot", [("x", "1")], [], "ETH-USD")
    run.take(
        coinbase(0, 0, good), coinbase(1, 1, bad), coinbase(2, 2, bad, event("update", [("1.5", "1")], [], "BTC-USD"))
    )
    found = book(run, "coinbase", "BTC-USD")
    assert [found[name] for name in ("synced", "applied", "quarantined", "gaps")] == [True, 1, 0, 0]
    assert list(run.market.dead_letters) == []


def test_an_old_number_goes_before_what_is_wrong() -> None:
    """A bad frame that Coinbase sent before is ignored like a good one (D12); a bad one that shows a loss is both."""
    run = driver(["BTC-USD"])
    bad = event("update", [("x", "1")], [], "BTC-USD")
    run.take(coinbase(0, 5, event("snapshot", [("1", "1")], [("2", "1")], "BTC-USD")), coinbase(1, 5, bad))
    found = book(run, "coinbase", "BTC-USD")
    assert [found[name] for name in ("synced", "dropped_stale", "quarantined")] == [True, 1, 0]
    run.take(coinbase(2, 9, bad))
    found = book(run, "coinbase", "BTC-USD")
    assert [found[name] for name in ("synced", "gaps", "quarantined")] == [False, 1, 1]


def test_a_list_that_cannot_be_read_is_kept_and_says_nothing() -> None:
    """Unknown instruments stay as unknown as they were."""
    run = driver(None)
    run.take(http("okx", 1, "https://x/api/v5/public/instruments?instType=SPOT", {"code": "50011", "msg": "Too many"}))
    (letter,) = run.market.dead_letters
    assert letter.reason.startswith("instrument list: ")
    run.take(okx_book(2, 99, 100))
    assert book(run, "okx")["synced"]


def test_control_frames_may_be_written_unusually() -> None:
    """With escapes and white space they say the same; a control frame that is no object says nothing."""
    run = driver(None)
    run.take(recv("okx", 0, ' {"event" : "err\\u006fr", "code":"1", "msg":"n\\u00e9"} '))
    assert [notice.text for _, notice in run.market.notices] == ["1: n\u00e9"]


def test_what_is_not_json_costs_all_books_of_its_connection() -> None:
    """Nobody can tell what it said (R5); OKX's pong is known."""
    run = driver(["BTC-USDT", "ETH-USDT"])
    run.take(okx_book(0, 99, 100), okx_book(1, 99, 100, symbol="ETH-USDT"), recv("okx", 2, "pong"))
    assert [line["synced"] for line in run.books()] == [True, True]
    run.take(recv("okx", 3, "pong!"))
    assert [(line["synced"], line["quarantined"]) for line in run.books()] == [(False, 0), (False, 0)]
    assert [letter.raw for letter in run.market.dead_letters] == [b"pong!"]


def test_dead_letters_are_bounded() -> None:
    """The latest are kept; all are counted, by venue and reason, of which there are not too many either."""
    run = driver(None)
    for number in range(DEAD_LETTERS_KEPT + 100):
        levels = [[f"x{number}", "1"]]
        run.take(okx(number, "update", 1, 2, levels))
    assert len(run.market.dead_letters) == DEAD_LETTERS_KEPT
    assert run.market.dead_letters[-1].raw.count(f"x{DEAD_LETTERS_KEPT + 99}".encode()) == 1
    assert sum(run.market.dead_letter_counts.values()) == DEAD_LETTERS_KEPT + 100
    assert len(run.market.dead_letter_counts) <= REASONS_KEPT + 1


def test_notices_are_kept_with_their_venue() -> None:
    """Errors and shutdowns that venues tell on the stream."""
    run = driver(None)
    run.take(recv("okx", 0, {"event": "error", "code": "60012", "msg": "Invalid request"}))
    run.take(recv("binance", 1, {"e": "serverShutdown", "E": 1}))
    assert list(run.market.notices) == [
        ("okx", VenueNotice("60012: Invalid request", True)),
        ("binance", VenueNotice("the server shuts down", False, is_closing=True)),
    ]


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize(
    "text",
    ["{}", "[]", "null", "true", "1", '"x"', '{"channel":"news"}', '{"e":"news"}', '{"topic":"news.1"}', "[[1]]"],
)
def test_unknown_frames_are_counted_and_never_fatal(venue: str, text: str) -> None:
    """They touch no book and are no dead letters."""
    run = driver(None)
    run.take(recv(venue, 0, text))
    counts = run.market.hot.venue_counts(run.market.venues[venue].index)
    assert (counts["frames"], counts["unknown"], counts["quarantined"]) == (1, 1, 0)
    assert list(run.market.dead_letters) == []
    assert run.books() == []


# ---- readings ----


def test_books_are_told_with_or_without_their_levels() -> None:
    """By venue and symbol; the state and the counts are the same."""
    run = driver(["BTC-USDT", "ETH-USDT"])
    run.take(okx_book(0, 99, 100, symbol="ETH-USDT"), okx_book(0, 99, 100), bybit_book(1, 99, 100))
    names = [(line["venue"], line["symbol"]) for line in run.market.books()]
    assert names == sorted(names)
    for bare, full in zip(run.market.books(levels=False), run.market.books(), strict=True):
        assert {name: value for name, value in full.items() if name not in ("bids", "asks")} == bare
