"""What stands beside a venue's data: other keys of the frame, and data that is missing (decision D24)."""

import json
from typing import Any

import pytest

from tests.venues.listening import Listener

ADDRESSES = {"bybit": "wss://stream.bybit.com/v5/public/spot"}
DIFF = {"e": "depthUpdate", "E": 5, "s": "BTCUSDT", "U": 11, "u": 12, "b": [["1", "1"]], "a": [["2", "1"]]}
TOP = {"u": 12, "s": "BTCUSDT", "b": "1", "B": "1", "a": "2", "A": "1"}
SIDES = {"asks": [["2", "1", "0", "1"]], "bids": [["1", "1", "0", "1"]], "ts": "5", "prevSeqId": -1, "seqId": 7}
OKX = {"arg": {"channel": "books", "instId": "BTC-USDT"}, "action": "snapshot", "data": [SIDES]}
BYBIT = {
    "topic": "orderbook.50.BTCUSDT", "type": "snapshot", "ts": 5, "cts": 4,
    "data": {"s": "BTCUSDT", "b": [["1", "1"]], "a": [["2", "1"]], "u": 7, "seq": 1},
}  # fmt: skip
KRAKEN = {
    "channel": "book", "type": "snapshot",
    "data": [{"symbol": "BTC/USDT", "bids": [], "asks": [], "checksum": 0, "timestamp": "2023-10-06T17:35:55Z"}],
}  # fmt: skip
ROWS = [
    {"side": "bid", "event_time": "t", "price_level": "1", "new_quantity": "1"},
    {"side": "offer", "event_time": "t", "price_level": "2", "new_quantity": "1"},
]
COINBASE = {
    "channel": "l2_data", "timestamp": "t", "sequence_num": 7,
    "events": [{"type": "snapshot", "product_id": "BTC-USDT", "updates": ROWS}],
}  # fmt: skip
TICKERS = {"kraken": "ticker", "coinbase": "ticker"}


def listener(venue: str, *, bbo: bool = False) -> Listener:
    return Listener(venue, ["BTC-USDT"], bbo=bbo, address=ADDRESSES.get(venue, ""))


def wrapped(before: dict[str, Any], data: object, after: dict[str, Any]) -> str:
    return json.dumps({**before, "stream": "btcusdt@depth", "data": data, **after}, separators=(",", ":"))


BESIDE: tuple[dict[str, Any], ...] = (
    {"u": 99}, {"U": 1}, {"pu": 3}, {"b": [["9", "9"]]}, {"A": "7"}, {"s": "ETHUSDT"}, {"e": "bookTicker"}, {"E": 8},
    {"id": 1}, {"code": 3}, {"b": [["9", "9"]], "a": [], "u": 50, "pu": 12},
)  # fmt: skip


@pytest.mark.parametrize("beside", BESIDE)
@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("lacks", ["", "u", "b"])
def test_keys_beside_the_data_of_a_combined_stream_mean_nothing(beside, is_first, lacks):
    """An event is what `data` holds: the same with and without event keys beside it, also where it lacks a field."""
    event = {key: value for key, value in DIFF.items() if key != lacks}
    told = []
    for extra in ({}, beside):
        it = listener("binance")
        it.answer("https://x/api/v3/depth?symbol=BTCUSDT", {"lastUpdateId": 10, "bids": [], "asks": [["3", "1"]]})
        it.market.ticks()
        ticks = it.hear(wrapped(extra, event, {}) if is_first else wrapped({}, event, extra))
        counts = it.counts()
        counts.pop("slow")
        told.append((ticks, it.book(), counts))
    assert told[0] == told[1]
    assert bool(told[0][0]) == (lacks == "")


@pytest.mark.parametrize("beside", [{"u": 99}, {"B": "5"}, {"s": "ETHUSDT"}, {"e": "depthUpdate"}, {"id": 5}])
def test_keys_beside_a_wrapped_best_price_mean_nothing(beside):
    """So it is with best prices."""
    told = [listener("binance", bbo=True).hear(wrapped({}, TOP, extra)) for extra in ({}, beside)]
    assert told[0]
    assert told[0] == told[1]


@pytest.mark.parametrize("data", [None, [], "x", 5, [DIFF]])
def test_wrapped_nothing_is_no_event(data):
    """A combined frame whose data is no object says nothing, whatever stands beside it."""
    it = listener("binance")
    assert it.hear(wrapped(DIFF, data, {})) == []
    assert list(it.market.books()) == []
    assert it.counts()["quarantined"] == 0


@pytest.mark.parametrize(("venue", "frame", "beside"), [
    ("okx", OKX, {"event": "update"}),
    ("okx", OKX, {"event": "error", "code": "60012", "msg": "x"}),
    ("bybit", BYBIT, {"op": "subscribe"}),
    ("kraken", KRAKEN, {"method": "subscribe"}),
    ("coinbase", COINBASE, {"type": "update"}),
])  # fmt: skip
@pytest.mark.parametrize("is_first", [True, False])
def test_channel_with_its_data_is_data(venue, frame, beside, is_first):
    """A frame with a channel and that channel's data is data, whatever word of control frames stands beside it."""
    it = listener(venue)
    ticks = it.hear({**beside, **frame} if is_first else {**frame, **beside})
    assert len(ticks) == 1
    assert it.book()["synced"]
    assert it.notices() == []


def test_bare_best_price_with_an_id_is_data():
    """Binance's best prices have no event type; an id beside them does not make them an answer."""
    assert listener("binance", bbo=True).hear({**TOP, "id": 4})


def test_okx_words_about_a_channel_are_control():
    """Acks and errors name the channel that they are about and have no data."""
    it = listener("okx")
    it.hear(OKX)
    for event in ("subscribe", "unsubscribe", "error"):
        it.hear({"event": event, "arg": OKX["arg"], "connId": "x", "code": "1", "msg": "m"})
    assert it.book()["synced"]
    assert it.counts()["quarantined"] == 0
    assert len(it.notices()) == 1


@pytest.mark.parametrize("venue", ["okx", "kraken", "coinbase"])
@pytest.mark.parametrize("bbo", [True, False])
@pytest.mark.parametrize("data", [..., None, {}, "x", 7])
def test_book_frame_without_its_array_is_bad(venue, bbo, data):
    """A frame of a book's channel without the array that its books are in cannot be believed: quarantined, kept as a
    dead letter, and named by its reason."""
    frame, key = {"okx": (OKX, "data"), "kraken": (KRAKEN, "data"), "coinbase": (COINBASE, "events")}[venue]
    frame = {name: value for name, value in frame.items() if name != key}
    if venue in TICKERS and bbo:
        frame["channel"] = TICKERS[venue]
    elif bbo:
        frame["arg"] = {"channel": "bbo-tbt", "instId": "BTC-USDT"}
    if data is not ...:
        frame[key] = data
    it = listener(venue, bbo=bbo)
    assert it.hear(frame) == []
    assert it.counts()["quarantined"] == 1
    assert len(it.market.dead_letters) == 1


@pytest.mark.parametrize(("venue", "frame", "quarantined"), [
    ("kraken", {**KRAKEN, "data": []}, 0),
    ("coinbase", {**COINBASE, "events": []}, 0),
    ("okx", {**OKX, "data": []}, 1),
])  # fmt: skip
def test_empty_array(venue, frame, quarantined):
    """An empty array names no book and is no harm; OKX's names one and says nothing of it (D9)."""
    it = listener(venue)
    it.hear(frame)
    assert it.counts()["quarantined"] == quarantined


def test_coinbase_event_without_tickers_is_bad():
    """Also one level deeper; an event with an empty array is not."""
    for event, quarantined in (({"type": "update"}, 1), ({"type": "update", "tickers": []}, 0)):
        it = listener("coinbase", bbo=True)
        it.hear({**COINBASE, "channel": "ticker", "events": [event]})
        assert it.counts()["quarantined"] == quarantined


def test_sequence_of_a_bad_coinbase_frame_counts():
    """A frame without its array has a number like any other: the next one is no jump."""
    it = listener("coinbase")
    it.hear(COINBASE)
    it.hear({"channel": "l2_data", "sequence_num": 8})
    ticks = it.hear({**COINBASE, "sequence_num": 9})
    assert len(ticks) == 1
    assert it.book()["gaps"] == 0
