"""Ticks as columns: the layout is C's, cursors are independent, a slow one loses and counts."""

from decimal import Decimal
from pathlib import Path

import orjson

from gambit.config import Config
from gambit.runtime.replay import replay
from gambit.runtime.sampler import MINUTE_NS, Depth, Sampler
from gambit.runtime.ticks import TICK, TickReader, prices
from gambit.runtime.wiring import build_market
from gambit.sim.capture import make_capture

VENUES = ["binance", "kraken"]


def played(tmp_path: Path, capacity: int = 65_536, seconds: int = 20):
    """A market through which a made capture has run, two tick readers of it, and the ticks as replay tells them."""
    import io

    capture = tmp_path / "made.jsonl"
    make_capture(capture, venues=VENUES, symbols=["BTC-USDT"], seconds=seconds, seed=3)
    told = io.BytesIO()
    replay([capture], Config(), symbols=None, emit="ticks", out=told)
    market = build_market(Config())
    readers = [TickReader(market.pairs, capacity), TickReader(market.pairs, capacity)]
    conns: dict[tuple[str, str], int] = {}
    for line in capture.read_bytes().splitlines()[1:]:
        record = orjson.loads(line)
        key = record["venue"], record.get("conn", "")
        if record["t"] == "connect":
            conns[key] = market.connect(record["venue"], record["conn"], address=record["addr"])
        elif record["t"] == "http":
            market.on_http(record["venue"], record["url"], record["data"].encode(), record["ts"])
        elif record["t"] == "recv":
            market.on_frame(conns[key], record["data"].encode(), record["ts"])
    return market, readers, [orjson.loads(line) for line in told.getvalue().splitlines()]


def test_ticks_are_those_of_a_replay(tmp_path: Path) -> None:
    """Every reader sees each tick once, with the price, size, time and sequence number that a replay tells."""
    market, readers, told = played(tmp_path)
    assert len(told) > 100
    for reader in readers:
        seen = [tick for block in reader.blocks(100) for tick in block]
        assert [int(t["recv_ns"]) for t in seen] == [t["recv_ns"] for t in told]
        assert [market.listings[t["market"]].venue for t in seen] == [t["venue"] for t in told]
        for tick, line in zip(seen, told, strict=True):
            for side, name in enumerate(("bid", "ask")):
                price = Decimal(int(tick["price"][side])).scaleb(-int(tick["price_dec"][side]))
                assert price == Decimal(line[name])
                assert Decimal(int(tick["qty"][side])).scaleb(-int(tick["qty_dec"][side])) == Decimal(
                    line[name + "_qty"]
                )
            assert (int(tick["seq"]) if tick["has_seq"] else None) == line["seq"]
            assert (int(tick["exchange_ts"]) if tick["exchange_ts"] >= 0 else None) == line["exchange_ts_ns"]
        assert reader.lost == 0
        assert list(reader.blocks()) == []


def test_a_slow_reader_loses_the_oldest_and_counts_them(tmp_path: Path) -> None:
    """With room for few ticks, the last ones are there and the others are counted."""
    _, readers, told = played(tmp_path, capacity=1, seconds=60)
    few = [tick for block in readers[0].blocks(100) for tick in block]
    assert readers[0].lost > 0
    assert len(few) + readers[0].lost == len(told)
    assert [int(t["recv_ns"]) for t in few] == [t["recv_ns"] for t in told[-len(few) :]]


def test_prices_of_an_empty_side_are_no_numbers() -> None:
    """A side without levels is NaN, not a price of -1."""
    import numpy as np

    tick = np.zeros(1, TICK)
    tick["price"][0] = (-1, 12345)
    tick["price_dec"][0] = (0, 2)
    bids, asks = prices(tick)
    assert np.isnan(bids[0])
    assert asks[0] == 123.45


def test_samples_and_candles_say_what_the_ticks_say(tmp_path: Path) -> None:
    """Candles cover every tick once; the last touch of each book is sampled; lags are those of the ticks."""
    market, readers, told = played(tmp_path)
    rows: dict[str, list[dict[str, object]]] = {"candles": [], "market_snapshots": []}
    lags: dict[str, list[int]] = {}
    sampler = Sampler(
        market,
        readers[0],
        every_ns=1_000_000_000,
        on_lag=lambda venue, found: lags.setdefault(venue, []).extend(int(lag) for lag in found),
        on_rows=lambda table, found: rows[table].extend(found),
    )
    sampler.turn(told[-1]["recv_ns"])
    sampler.finish()
    for venue in VENUES:
        own = [tick for tick in told if tick["venue"] == venue]
        mids = [float((Decimal(t["bid"]) + Decimal(t["ask"])) / 2) for t in own]  # the doubles next to the exact ones
        candles = [row for row in rows["candles"] if row["venue"] == venue]
        assert sum(row["ticks"] for row in candles) == len(own)  # type: ignore[misc]
        assert candles[0]["open"] == mids[0]
        assert candles[-1]["close"] == mids[-1]
        assert max(row["high"] for row in candles) == max(mids)  # type: ignore[type-var]
        assert {row["ts_ns"] for row in candles} == {t["recv_ns"] // MINUTE_NS * MINUTE_NS for t in own}
        (touch,) = [row for row in rows["market_snapshots"] if row["venue"] == venue]
        assert (touch["ts_ns"], touch["mid"]) == (own[-1]["recv_ns"], mids[-1])
        expected = [t["recv_ns"] - t["exchange_ts_ns"] for t in own if t["exchange_ts_ns"] is not None]
        assert lags.get(venue, []) == expected


def test_best_levels_are_kept_now_and_then(tmp_path: Path) -> None:
    """Once per interval the best levels of both sides of each book, best first, as the books have them; never for 0."""
    market, readers, told = played(tmp_path)
    rows: list[dict[str, object]] = []
    sampler = Sampler(
        market,
        readers[0],
        every_ns=1_000_000_000,
        depth=Depth(10_000_000_000, 3),
        on_lag=lambda _venue, _lags: None,
        on_rows=lambda table, found: rows.extend(found) if table == "order_book_snapshots" else None,
    )
    now_ns = told[-1]["recv_ns"] // 10_000_000_000 * 10_000_000_000
    for later_ns in (0, 1_000_000_000, 9_999_999_999):
        sampler.turn(now_ns + later_ns)
    books = {book["venue"]: book for book in market.books()}
    assert {row["ts_ns"] for row in rows} == {now_ns}
    assert len(rows) == len(VENUES) * 2 * 3
    for row in rows:
        price, qty = books[row["venue"]]["bids" if row["side"] == "bid" else "asks"][int(str(row["level"])) - 1]  # type: ignore[index]
        assert (row["price"], row["qty"]) == (float(price), float(qty))
    sampler.turn(now_ns + 10_000_000_000)
    assert len(rows) == 2 * len(VENUES) * 2 * 3
    sampler.depth = Depth(0, 3)
    sampler.turn(now_ns + 20_000_000_000)
    assert len(rows) == 2 * len(VENUES) * 2 * 3
