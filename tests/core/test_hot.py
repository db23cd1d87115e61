"""The hot path at its edges: frames that the scanner leaves to Python, and numbers at the end of their range."""

import json
import os
import subprocess
import sys
from decimal import Decimal
from random import Random

import pytest

from gambit._core.hot import Hot
from gambit._core.pairs import Pairs
from gambit.engine.market import ASK_DECODER, Market
from gambit.engine.params import EngineParams, VenueParams
from gambit.venues import VENUES
from gambit.venues.decode import decode
from tests.core.frames import sample

NS = 10**9
ID_MAX = 2**63 - 1


def market(venue: str) -> tuple[Market, int]:
    made = Market(EngineParams(), VENUES, decode)
    return made, made.connect(venue, "c")


def compact(message: object) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


def coinbase(number: int, *products: str, padding: int = 0) -> bytes:
    """A frame with a snapshot of each product."""
    updates = [
        {"side": "bid", "event_time": "t", "price_level": "1", "new_quantity": "2"},
        {"side": "offer", "event_time": "t", "price_level": "3", "new_quantity": "4"},
    ]
    events = [{"type": "snapshot", "product_id": product, "updates": updates} for product in products]
    return compact(
        {"channel": "l2_data", "client_id": " " * padding, "timestamp": "t", "sequence_num": number, "events": events}
    )


# ---- frames that are cut ----


@pytest.mark.parametrize("venue", sorted(VENUES))
def test_frame_cut_anywhere_goes_to_the_decoder(venue):
    """Wherever a frame lies in memory and whatever lies behind it, a cut one is never taken for a whole one."""
    hot = Hot(Pairs(EngineParams().core()))
    hot.on_rare = lambda answer, conn, data: answer
    conn = hot.add_conn(hot.add_venue(VENUES[venue].wire, False), False, 1)
    for frame in sample(venue, 8, Random(venue)):
        assert hot.frame(conn, frame, NS) != ASK_DECODER
        assert {hot.frame(conn, frame[:end], NS) for end in range(len(frame))} == {ASK_DECODER}


# ---- symbols nobody has told about yet ----


def symbols_of_one_frame(padding: int) -> list[str]:
    made, conn = market("coinbase")
    products = [f"COIN{k}-USD" for k in range(40)]
    made.on_frame(conn, coinbase(1, *products, padding=padding), NS)
    return [str(book["symbol"]) for book in made.books() if book["synced"]]


@pytest.mark.parametrize("padding", [0, 100_000])
def test_frame_may_name_many_new_symbols(padding):
    """One frame that names forty symbols for the first time gives forty books."""
    assert len(symbols_of_one_frame(padding)) == 40


def test_names_of_new_symbols_are_not_read_after_their_frame_is_gone():
    """With an allocator that scratches what is freed, the books of a frame still have their names."""
    code = "from tests.core.test_hot import symbols_of_one_frame; print(*symbols_of_one_frame(0), sep=',')"
    env = {**os.environ, "PYTHONMALLOC": "debug"}
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip().split(",") == sorted(f"COIN{k}-USD" for k in range(40))


# ---- frames too large for the scanner's memory ----


@pytest.mark.parametrize(("venue", "frame"), [
    ("kraken", b'{"channel":"book","type":"update","data":[%s]}' % b",".join([b"{}"] * 5000)),
    ("kraken", b'{"channel":"heartbeat","data":[%s]}' % b",".join([b"{}"] * 5000)),
    ("coinbase", b'{"channel":"l2_data","sequence_num":1,"events":[%s]}' % b",".join([b"{}"] * 5000)),
    ("okx", b'{"arg":{"channel":"books","instId":"A-B"},"data":[%s]}' % b",".join([b"{}"] * 5000)),
])  # fmt: skip
def test_frame_of_too_many_parts_is_bad_and_no_more(venue, frame):
    """A frame of more parts than the scanner has room for is quarantined, or ignored where it feeds no book."""
    made, conn = market(venue)
    made.on_frame(conn, frame, NS)
    assert [book for book in made.books() if book["synced"]] == []
    made.on_frame(conn, coinbase(2, "A-B"), 2 * NS)  # the next frame is read as if nothing had been


def test_book_whose_frame_has_too_many_parts_is_lost():
    """A synced book that such a frame names is not believed any more."""
    made, conn = market("kraken")
    part = {"symbol": "A/B", "bids": [{"price": 1.5, "qty": 1}], "asks": [], "checksum": 4_019_208_706}
    empty = {"symbol": "A/B", "bids": [], "asks": [], "checksum": 0}
    made.on_frame(conn, compact({"channel": "book", "type": "snapshot", "data": [empty]}), NS)
    assert next(made.books())["synced"]
    made.on_frame(conn, compact({"channel": "book", "type": "update", "data": [part] * 5000}), NS)
    book = next(made.books())
    assert (book["synced"], book["quarantined"]) == (False, 1)


# ---- ids at the end of their range ----


def diff(first: int, last: int, price: str) -> bytes:
    return compact({"e": "depthUpdate", "E": 1, "s": "BTCUSDT", "U": first, "u": last, "b": [[price, "1"]], "a": []})


def test_binance_ids_up_to_the_last():
    """Diffs whose ids reach 2^63 - 1 follow each other as small ones do, in the buffer and on a synced book."""
    made = Market(EngineParams(symbols=("BTC-USDT",)), VENUES, decode)
    conn = made.connect("binance", "c")
    made.on_frame(conn, diff(ID_MAX - 1, ID_MAX - 1, "1"), NS)
    made.on_frame(conn, diff(ID_MAX, ID_MAX, "2"), NS)
    made.on_frame(conn, diff(ID_MAX, ID_MAX, "3"), NS)
    snapshot = compact({"lastUpdateId": ID_MAX - 2, "bids": [], "asks": [["9", "1"]]})
    made.on_http("binance", "https://x/api/v3/depth?symbol=BTCUSDT", snapshot, NS)
    made.on_frame(conn, diff(ID_MAX, ID_MAX, "4"), NS)
    book = next(made.books())
    assert (book["synced"], book["seq"], book["applied"], book["dropped_stale"], book["gaps"]) == (
        True,
        ID_MAX,
        2,
        2,
        0,
    )
    assert [price for price, _ in book["bids"]] == ["2", "1"]


def test_binance_ids_down_to_the_first():
    """So do ids at the other end."""
    made = Market(EngineParams(symbols=("BTC-USDT",)), VENUES, decode)
    conn = made.connect("binance", "c")
    made.on_frame(conn, diff(-ID_MAX, -ID_MAX, "1"), NS)
    made.on_frame(conn, diff(1 - ID_MAX, 1 - ID_MAX, "2"), NS)
    snapshot = compact({"lastUpdateId": -ID_MAX, "bids": [], "asks": [["9", "1"]]})
    made.on_http("binance", "https://x/api/v3/depth?symbol=BTCUSDT", snapshot, NS)
    book = next(made.books())
    assert (book["synced"], book["seq"], book["applied"]) == (True, 1 - ID_MAX, 1)


def orderbook(kind: str, number: int) -> bytes:
    data = {"s": "BTCUSDT", "b": [["1", "1"]], "a": [["2", "1"]], "u": number, "seq": 1}
    return compact({"topic": "orderbook.50.BTCUSDT", "ts": 1, "type": kind, "data": data})


def test_bybit_ids_end():
    """Behind u = 2^63 - 1 nothing can follow: whatever comes is a gap, the same id and the smallest one too."""
    for number in (ID_MAX, -ID_MAX, 5):
        made = Market(EngineParams(symbols=("BTC-USDT",)), VENUES, decode)
        conn = made.connect("bybit", "c")
        made.on_frame(conn, orderbook("snapshot", ID_MAX - 1), NS)
        made.on_frame(conn, orderbook("delta", ID_MAX), NS)
        assert next(made.books())["seq"] == ID_MAX
        made.on_frame(conn, orderbook("delta", number), NS)
        book = next(made.books())
        assert (book["synced"], book["gaps"], book["applied"]) == (False, 1, 1)


def test_coinbase_sequence_ends():
    """Behind the largest sequence number every frame is an old one."""
    made, conn = market("coinbase")
    made.on_frame(conn, coinbase(ID_MAX, "A-B"), NS)
    for number in (ID_MAX, -ID_MAX, 0):
        made.on_frame(conn, coinbase(number, "A-B"), NS)
    book = next(made.books())
    assert (book["synced"], book["seq"], book["dropped_stale"]) == (True, ID_MAX, 3)


# ---- times at the end of their range ----


@pytest.mark.parametrize(("ms", "told"), [
    (9_223_372_036_853, 9_223_372_036_853_000_000),
    (9_223_372_036_854, 9_223_372_036_854_000_000),
    (9_223_372_036_855, None),
])  # fmt: skip
@pytest.mark.parametrize("source", ["depth", "bbo"])
def test_last_time_that_fits(ms, told, source):
    """The last millisecond whose nanoseconds fit 63 bits is told as any other, the next is no time."""
    params = EngineParams(symbols=("BTC-USDT",), venues={"bybit": VenueParams(Decimal(0), is_bbo=source == "bbo")})
    made = Market(params, VENUES, decode)
    made.pairs.tell_ticks(True)
    conn = made.connect("bybit", "c")
    for number, time in enumerate((1, 2, ms)):
        data = {"s": "BTCUSDT", "b": [["1", "1"]], "a": [["2", "1"]], "u": number + 1, "seq": 1}
        topic = f"orderbook.{1 if source == 'bbo' else 50}.BTCUSDT"
        made.on_frame(conn, compact({"topic": topic, "ts": 1, "type": "snapshot", "data": data, "cts": time}), NS)
    assert json.loads(made.ticks().splitlines()[-1])["exchange_ts_ns"] == told
    assert made.pairs.lag(0) == (None if told is None else NS - told)


def test_how_late_a_book_is():
    """By its own last frame, whatever other books did; a frame without a time says nothing."""
    made = Market(
        EngineParams(symbols=("BTC-USDT", "ETH-USDT"), venues={"bybit": VenueParams(Decimal(0))}), VENUES, decode
    )
    conn = made.connect("bybit", "c")
    for number, (name, cts, recv_ms) in enumerate([("BTC", 1000, 1400), ("ETH", 1000, 9000), ("BTC", 9450, 9500)]):
        data = {"s": f"{name}USDT", "b": [["1", "1"]], "a": [["2", "1"]], "u": number + 1, "seq": number + 1}
        frame = {"topic": f"orderbook.50.{name}USDT", "ts": 1, "type": "snapshot", "data": data, "cts": cts}
        made.on_frame(conn, compact(frame), recv_ms * 1_000_000)
    found = {made.listings[k].symbol: made.pairs.lag(k) for k in range(len(made.listings))}
    assert found["BTC-USDT"] == 50_000_000
    assert found["ETH-USDT"] == 8_000_000_000
