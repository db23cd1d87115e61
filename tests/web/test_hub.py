"""Channels, filters, conflation, order and resume, without sockets."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambit.web import hub as hubs
from gambit.web.hub import Behind, Channel, Filter, Hub, Reader

SECOND = 1_000_000_000
FIRST = 1000


class Scene:
    """A hub with an order channel and a book channel, and a clock that is set by hand."""

    def __init__(self, orders: Sequence[dict[str, Any]] = ()) -> None:
        self.now_ns = 0
        self.orders = list(orders)
        self.hub = Hub(
            [Channel("books", True), Channel("orders", False, lambda: self.orders), Channel("alerts", False)],
            first_seq=FIRST,
            now_ns=lambda: self.now_ns,
            ts=str,
        )

    def reader(self, *channels: str, wanted: Filter = hubs.EVERYTHING, since: dict[str, int] | None = None) -> Reader:
        reader = Reader()
        self.told, frames = self.hub.subscribe(reader, channels or ("orders", "books"), wanted, since or {})
        self.begun = [json.loads(frame) for frame in frames]
        return reader

    def take(self, reader: Reader, *, later_ns: int = SECOND) -> list[dict[str, Any]]:
        self.now_ns += later_ns
        return [json.loads(frame) for frame in self.hub.take(reader, self.now_ns)]


def test_a_message_says_channel_number_time_and_data() -> None:
    """Every message is {"channel","seq","ts","data"} (contract.md)."""
    scene = Scene()
    reader = scene.reader("orders")
    scene.hub.publish("orders", {"order_id": "a"})
    assert scene.take(reader) == [{"channel": "orders", "seq": FIRST + 1, "ts": "0", "data": {"order_id": "a"}}]
    assert scene.take(reader) == []


def test_a_subscription_begins_with_a_snapshot() -> None:
    """Events that were before are told as where things stand; those that follow come one by one."""
    scene = Scene([{"order_id": "old", "symbol": "BTC-USDT"}, {"order_id": "other", "symbol": "ETH-USDT"}])
    scene.hub.publish("orders", {"order_id": "old"})
    reader = scene.reader("orders", wanted=Filter(symbols=frozenset({"BTC-USDT"})))
    assert scene.begun == [
        {"channel": "orders", "seq": FIRST + 1, "ts": "0", "snapshot": True, "data": [scene.orders[0]]}
    ]
    assert scene.take(reader) == []


def test_states_begin_with_all_keys_and_go_on_with_what_changed() -> None:
    """The first message of a channel of states is the whole, later ones have only the keys that moved."""
    scene = Scene()
    scene.hub.publish("books", {"venue": "okx", "bid": "1"}, "okx")
    scene.hub.publish("books", {"venue": "kraken", "bid": "2"}, "kraken")
    reader = scene.reader("books")
    (whole,) = scene.take(reader)
    assert whole["snapshot"]
    assert [row["bid"] for row in whole["data"]] == ["1", "2"]
    scene.hub.publish("books", {"venue": "okx", "bid": "3"}, "okx")
    scene.hub.end("books", {"venue": "kraken", "event": "closed"}, "kraken")
    (changed,) = scene.take(reader)
    assert "snapshot" not in changed
    assert changed["data"] == [{"venue": "okx", "bid": "3"}, {"venue": "kraken", "event": "closed"}]
    scene.reader("books")
    (fresh,) = scene.take(scene.reader("books"))
    assert fresh["data"] == [{"venue": "okx", "bid": "3"}]


def test_states_are_conflated_to_the_readers_pace() -> None:
    """A reader gets states as often as it asked for, the latest of each key; what was replaced is counted."""
    scene = Scene()
    reader = scene.reader("books")
    reader.pace(2.0)
    scene.hub.publish("books", {"n": 0}, "k")
    assert [m["data"] for m in scene.take(reader, later_ns=0)] == [[{"n": 0}]]
    for n in range(1, 11):
        scene.hub.publish("books", {"n": n}, "k")
        assert scene.take(reader, later_ns=SECOND // 100) == []
    assert [m["data"] for m in scene.take(reader, later_ns=SECOND // 2)] == [[{"n": 10}]]
    assert scene.hub.conflated == 9


def test_events_go_before_states_and_are_not_held_back() -> None:
    """An order's event leaves at once, in front of books, whatever the pace of states is."""
    scene = Scene()
    reader = scene.reader("books", "orders", "alerts")
    scene.hub.publish("books", {"n": 0}, "k")
    scene.hub.publish("alerts", {"alert_id": "x"})
    scene.hub.publish("orders", {"order_id": "a"})
    assert [m["channel"] for m in scene.take(reader)] == ["orders", "alerts", "books"]
    scene.hub.publish("books", {"n": 1}, "k")
    scene.hub.publish("orders", {"order_id": "b"})
    assert [m["channel"] for m in scene.take(reader, later_ns=1)] == ["orders"]


def test_filters_let_pass_what_has_no_such_part() -> None:
    """Symbol, venue and user each narrow; an event about none of them reaches everybody."""
    scene = Scene()
    wanted = Filter(frozenset({"BTC-USDT"}), frozenset({"okx"}), frozenset({"u1"}))
    reader = scene.reader("orders", wanted=wanted)
    rows = [
        {"id": 1, "symbol": "BTC-USDT", "venue": "okx", "user_id": "u1"},
        {"id": 2, "symbol": "ETH-USDT", "venue": "okx", "user_id": "u1"},
        {"id": 3, "symbol": "BTC-USDT", "venue": "kraken", "user_id": "u1"},
        {"id": 4, "symbol": "BTC-USDT", "venue": "okx", "user_id": "u2"},
        {"id": 5, "symbol": "BTC-USDT", "venue_buy": "kraken", "venue_sell": "okx"},
        {"id": 6, "venues": ["kraken", "bybit"]},
        {"id": 7},
    ]
    for row in rows:
        scene.hub.publish("orders", row)
    assert [m["data"]["id"] for m in scene.take(reader)] == [1, 5, 7]


def test_a_reader_that_events_left_behind_is_told() -> None:
    """No hole in the order events: a reader that would have one is cut instead."""
    scene = Scene()
    reader, other = scene.reader("orders"), scene.reader("books")
    for n in range(hubs.EVENTS_KEPT + 1):
        scene.hub.publish("orders", {"n": n})
    with pytest.raises(Behind, match=f"events {FIRST + 1} to {FIRST + 1} are gone"):
        scene.hub.take(reader, 0)
    assert scene.take(other)[0]["data"] == []


def test_what_is_kept_is_bounded_in_bytes_too() -> None:
    """Few large events push out the old ones as many small ones do."""
    scene = Scene()
    reader = scene.reader("orders")
    for _ in range(9):
        scene.hub.publish("orders", {"text": "x" * (hubs.EVENT_BYTES_KEPT // 8)})
    with pytest.raises(Behind):
        scene.hub.take(reader, 0)


def test_resume_gives_what_was_missed_or_a_snapshot() -> None:
    """By the last number seen: what followed, once; a number from before the ring, or of another life: a snapshot."""
    scene = Scene()
    for n in range(5):
        scene.hub.publish("orders", {"n": n})
    reader = scene.reader("orders", since={"orders": FIRST + 3})
    assert scene.told["orders"] == (FIRST + 5, True)
    assert [m["seq"] for m in scene.take(reader)] == [FIRST + 4, FIRST + 5]
    for since in (FIRST - 1, FIRST + 6, 0):
        scene.reader("orders", since={"orders": since})
        assert not scene.told["orders"].is_resumed
        assert scene.begun[0]["snapshot"]


def test_resume_of_states_knows_what_ended_meanwhile() -> None:
    """A key that ended while the reader was away is told as ended; once that is forgotten, the whole is told."""
    scene = Scene()
    scene.hub.publish("books", {"venue": "okx"}, "okx")
    seen = scene.hub.states["books"].seq
    scene.hub.end("books", {"venue": "okx", "event": "closed"}, "okx")
    (missed,) = scene.take(scene.reader("books", since={"books": seen}))
    assert "snapshot" not in missed
    assert missed["data"] == [{"venue": "okx", "event": "closed"}]
    for n in range(hubs.GONE_KEPT + 1):
        scene.hub.publish("books", {}, str(n))
        scene.hub.end("books", {}, str(n))
    scene.reader("books", since={"books": seen})
    assert not scene.told["books"].is_resumed


def test_many_events_leave_in_turns() -> None:
    """One turn hands over a bounded number of events; states wait until they are through."""
    scene = Scene()
    reader = scene.reader("orders", "books")
    scene.hub.publish("books", {}, "k")
    for n in range(hubs.TAKEN_MAX + 10):
        scene.hub.publish("orders", {"n": n})
    assert len(scene.take(reader)) == hubs.TAKEN_MAX
    rest = scene.take(reader)
    assert [m["channel"] for m in rest] == ["orders"] * 10 + ["books"]


def test_keys_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit new keys are refused and counted; known ones go on."""
    monkeypatch.setattr(hubs, "KEYS_MAX", 2)
    scene = Scene()
    reader = scene.reader("books")
    for key in ("a", "b", "c", "a"):
        scene.hub.publish("books", {"key": key}, key)
    (whole,) = scene.take(reader)
    assert [row["key"] for row in whole["data"]] == ["b", "a"]
    assert scene.hub.states["books"].refused == 1


def test_leaving_forgets_a_reader() -> None:
    """Unsubscribed channels fall silent; a reader that left is not counted."""
    scene = Scene()
    reader = scene.reader("orders", "books")
    scene.hub.unsubscribe(reader, ["orders"])
    scene.hub.publish("orders", {})
    assert [m["channel"] for m in scene.take(reader)] == ["books"]
    assert scene.hub.readers == {reader}
    scene.hub.leave(reader)
    assert scene.hub.readers == set()


steps = st.lists(
    st.one_of(
        st.tuples(st.just("order"), st.integers(0, 3)),
        st.tuples(st.just("book"), st.integers(0, 3)),
        st.tuples(st.just("gone"), st.integers(0, 3)),
        st.tuples(st.just("take"), st.integers(0, 400_000_000)),
        st.tuples(st.just("back"), st.just(0)),
    ),
    max_size=60,
)


@given(steps)
def test_whatever_happens_events_are_whole_and_states_end_true(script: list[tuple[str, int]]) -> None:
    """However a reader is paced, goes and comes back: events once each and in order, states as they are in the end."""
    scene = Scene()
    reader = scene.reader("orders", "books")
    events: list[int] = []
    books: dict[str, int] = {}
    last: dict[str, int] = {}
    sent = 0
    truth: dict[str, int] = {}

    def read(later_ns: int) -> None:
        for message in scene.take(reader, later_ns=later_ns):
            assert message["seq"] > last.get(message["channel"], 0) or message.get("snapshot")
            last[message["channel"]] = message["seq"]
            if message["channel"] == "orders":
                events.append(message["data"]["n"])
                continue
            if message.get("snapshot"):
                books.clear()
            for row in message["data"]:
                books.pop(row["key"], None)
                if "n" in row:
                    books[row["key"]] = row["n"]

    for count, (step, value) in enumerate(script):
        key = str(value)
        if step == "order":
            scene.hub.publish("orders", {"n": sent})
            sent += 1
        elif step == "book":
            scene.hub.publish("books", {"key": key, "n": count}, key)
            truth[key] = count
        elif step == "gone":
            scene.hub.end("books", {"key": key}, key)
            truth.pop(key, None)
        elif step == "take":
            read(value)
        else:
            scene.hub.leave(reader)
            since = {"orders": FIRST, "books": FIRST} | last
            reader = scene.reader("orders", "books", since=since)
    read(SECOND)
    assert events == list(range(sent))
    assert books == truth
