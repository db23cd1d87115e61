"""Market data of the live simulated Bybit, Kraken and Coinbase, followed by readers written from their fact sheets."""

import json
import re
import zlib
from decimal import Decimal
from typing import Any

import pytest

from gambit.sim.dialect import Close, Reply, Request
from tests.sim.talk import Talk

KRAKEN_BOOK = {"method": "subscribe", "params": {"channel": "book", "symbol": ["BTC/USDT", "ETH/USDT"]}, "req_id": 4}


def true_book(talk: Talk, symbol: str, levels: int | None = None) -> list[dict[Decimal, Decimal]]:
    """The venue's own book: bids and asks by price."""
    book = talk.exchange.books[symbol]
    item = book.instrument
    return [
        {
            Decimal(ticks * item.tick).scaleb(-item.price_decimals): Decimal(lots * item.lot).scaleb(-item.lot_decimals)
            for ticks, lots in side.levels()[:levels]
        }
        for side in (book.bids, book.asks)
    ]


def put(side: dict[Decimal, Decimal], price: Any, qty: Any) -> None:
    """A level as a delta says it."""
    if Decimal(qty):
        side[Decimal(price)] = Decimal(qty)
    else:
        side.pop(Decimal(price), None)


class BybitBook:
    """A reader of orderbook.N."""

    def __init__(self) -> None:
        self.u = 0
        self.deltas = 0
        self.sides: list[dict[Decimal, Decimal]] = [{}, {}]

    def apply(self, frame: dict[str, Any]) -> None:
        data = frame["data"]
        if frame["type"] == "snapshot":
            self.sides = [{}, {}]
        else:
            assert data["u"] == self.u + 1
            self.deltas += 1
        self.u = data["u"]
        for side, rows in zip(self.sides, (data["b"], data["a"]), strict=True):
            for price, qty in rows:
                put(side, price, qty)


def test_bybit_topics_are_subscribed_all_or_none():
    """One ack per request; a bad, a repeated and an eleventh topic fail the whole request."""
    talk = Talk("bybit")
    session = talk.open("/v5/public/spot")
    bad = {"req_id": "1", "op": "subscribe", "args": ["publicTrade.BTCUSDT", "orderbook.7.BTCUSDT"]}
    (refused,) = talk.say(session, bad)
    assert refused["success"] is False
    assert refused["ret_msg"] == "error:handler not found,topic:orderbook.7.BTCUSDT"
    assert refused["req_id"] == "1"
    assert not session.channels
    ack, book, touch = talk.say(session, {"op": "subscribe", "args": ["orderbook.50.BTCUSDT", "orderbook.1.BTCUSDT"]})
    assert (ack["success"], ack["ret_msg"], ack["op"]) == (True, "subscribe", "subscribe")
    assert "req_id" not in ack
    assert [book["type"], touch["type"]] == ["snapshot", "snapshot"]
    (again,) = talk.say(session, {"op": "subscribe", "args": ["orderbook.1.BTCUSDT", "publicTrade.BTCUSDT"]})
    assert again["ret_msg"] == "error:already subscribed,topic:orderbook.1.BTCUSDT"
    assert "publicTrade.BTCUSDT" not in session.channels
    (many,) = talk.say(session, {"op": "subscribe", "args": ["publicTrade.BTCUSDT"] * 11})
    assert many["success"] is False
    (pong,) = talk.say(session, {"req_id": "9", "op": "ping"})
    assert (pong["op"], pong["ret_msg"], pong["req_id"]) == ("ping", "pong", "9")
    (left,) = talk.say(session, {"op": "unsubscribe", "args": ["orderbook.50.BTCUSDT"]})
    assert left["success"] is True
    assert {frame["topic"] for frame in talk.wait(session, 1000)} == {"orderbook.1.BTCUSDT"}


@pytest.mark.parametrize("depth", [50, 200])
def test_bybit_books_are_the_venues_own(depth):
    """u grows by one, the levels are those of the venue; a newcomer starts from the same u."""
    talk = Talk("bybit")
    first, second = talk.open("/v5/public/spot"), talk.open("/v5/public/spot")
    one, two = BybitBook(), BybitBook()
    wanted = {"op": "subscribe", "args": [f"orderbook.{depth}.BTCUSDT"]}
    for frame in talk.say(first, wanted)[1:] + talk.wait(first, 2000):
        one.apply(frame)
    for frame in talk.say(second, wanted)[1:]:
        two.apply(frame)
    assert two.u == one.u
    talk.pass_ms(2000)
    frames = {id(session): sent for session, sent in talk.exchange.drain()}
    for session, book in ((first, one), (second, two)):
        for text in frames[id(session)]:
            book.apply(json.loads(str(text)))
    assert one.deltas > two.deltas > 10
    assert one.sides == two.sides == true_book(talk, "BTC-USDT", depth)


def test_bybit_says_a_quiet_touch_again():
    """orderbook.1 speaks after 3 s of silence, with the same u."""
    talk = Talk("bybit")
    session = talk.open("/v5/public/spot")
    (_ack, touch) = talk.say(session, {"op": "subscribe", "args": ["orderbook.1.ETHUSDT"]})
    talk.exchange.books["ETH-USDT"].quiet_until_ns = 1 << 62
    said = talk.wait(session, 3500)
    assert [(frame["type"], frame["data"]["u"]) for frame in said] == [("snapshot", touch["data"]["u"])]


def test_bybit_tickers_have_no_touch():
    """The last price on trades, a snapshot at first, no best bid and ask."""
    talk = Talk("bybit")
    session = talk.open("/v5/public/spot")
    talk.say(session, {"op": "subscribe", "args": ["publicTrade.BTCUSDT"]})
    _ack, first = talk.say(session, {"op": "subscribe", "args": ["tickers.BTCUSDT"]})
    assert "bid1Price" not in first["data"]
    frames = talk.wait(session, 20_000)
    prices = {frame["data"][0]["p"] for frame in frames if frame["topic"] == "publicTrade.BTCUSDT"}
    lasts = [frame["data"]["lastPrice"] for frame in frames if frame["topic"] == "tickers.BTCUSDT"]
    assert lasts
    assert set(lasts) <= prices


@pytest.mark.parametrize(
    ("venue", "path", "limit", "status"),
    [("bybit", "/v5/public/spot", 500, 403), ("kraken", "/v2", 150, 429), ("coinbase", "/", 8, 429)],
)
def test_connections_have_a_budget(venue, path, limit, status):
    """So many in the venue's window, then the upgrade is refused."""
    talk = Talk(venue)
    for _ in range(limit):
        talk.open(path)
    reply = talk.exchange.open(Request("GET", path, "", {}, b""), talk.now_ns)
    assert isinstance(reply, Reply)
    assert reply.status == status
    exceeded = [name for name, budget in talk.exchange.ledger.limits.items() if budget["exceeded"]]
    assert [name.split()[0] for name in exceeded] == ["connects"]


def test_bybit_trades_give_the_takers_side():
    """A trade of a buyer says Buy and prints at the ask."""
    talk = Talk("bybit")
    session = talk.open("/v5/public/spot")
    talk.say(session, {"op": "subscribe", "args": ["publicTrade.BTCUSDT", "publicTrade.ETHUSDT"]})
    rows = [row for frame in talk.wait(session, 20_000) for row in frame["data"]]
    assert {row["S"] for row in rows} == {"Buy", "Sell"}
    assert all(row["RPI"] is False and row["i"].isdecimal() for row in rows)


class KrakenBook:
    """A reader of the book channel that believes nothing without its checksum."""

    def __init__(self, talk: Talk, symbol: str, depth: int) -> None:
        item = talk.exchange.books[symbol].instrument
        self.digits = item.price_decimals, item.lot_decimals
        self.depth = depth
        self.sides: list[dict[Decimal, Decimal]] = [{}, {}]
        self.updates = 0
        self.bad = 0

    def apply(self, frame: dict[str, Any]) -> None:
        (data,) = frame["data"]
        if frame["type"] == "snapshot":
            self.sides = [{}, {}]
        self.updates += frame["type"] == "update"
        for number, name in enumerate(("bids", "asks")):
            for row in data[name]:
                put(self.sides[number], row["price"], row["qty"])
            kept = sorted(self.sides[number], reverse=number == 0)[: self.depth]
            self.sides[number] = {price: self.sides[number][price] for price in kept}
        if "checksum" in data:
            self.bad += data["checksum"] != self.checksum()

    def checksum(self) -> int:
        words = []
        for side in reversed(self.sides):
            for price, qty in list(side.items())[:10]:
                for value, digits in ((price, self.digits[0]), (qty, self.digits[1])):
                    words.append(f"{value:.{digits}f}".replace(".", "").lstrip("0"))
        return zlib.crc32("".join(words).encode())


def test_kraken_answers_symbol_by_symbol():
    """One ack per symbol, before its snapshot; an unknown pair is refused alone."""
    talk = Talk("kraken")
    session = talk.open("/v2")
    (status,) = talk.hear(session)
    assert status["channel"] == "status"
    assert status["data"][0]["system"] == "online"
    assert status["data"][0]["connection_id"] > 1 << 53
    wanted = json.loads(json.dumps(KRAKEN_BOOK))
    wanted["params"]["symbol"].insert(1, "FOO/USD")
    said = talk.say(session, wanted)
    assert [frame.get("success", frame.get("type")) for frame in said] == [True, "snapshot", False, True, "snapshot"]
    assert said[0]["result"] == {"channel": "book", "depth": 10, "snapshot": True, "symbol": "BTC/USDT"}
    assert (said[2]["error"], said[2]["symbol"]) == ("Currency pair not supported FOO/USD", "FOO/USD")
    assert {frame["req_id"] for frame in said if "success" in frame} == {4}
    (left,) = talk.say(session, {"method": "unsubscribe", "params": {"channel": "book", "symbol": ["BTC/USDT"]}})
    assert (left["method"], left["success"]) == ("unsubscribe", True)
    assert {frame["data"][0]["symbol"] for frame in talk.wait(session, 900) if "data" in frame} == {"ETH/USDT"}
    (private,) = [frame for frame in talk.say(talk.open("/auth/v2"), KRAKEN_BOOK) if "error" in frame][:1]
    assert private["error"] == "Public channels not available in this endpoint"


@pytest.mark.parametrize("depth", [10, 25])
def test_kraken_books_carry_good_checksums(depth):
    """Truncated to its depth, a follower's book has every checksum right and is the venue's own."""
    talk = Talk("kraken")
    session = talk.open("/v2")
    book = KrakenBook(talk, "BTC-USDT", depth)
    params = {"channel": "book", "symbol": ["BTC/USDT"], "depth": depth}
    frames = talk.say(session, {"method": "subscribe", "params": params}) + talk.wait(session, 5000)
    for frame in frames:
        if frame.get("channel") == "book":
            book.apply(frame)
    assert book.updates > 20
    assert book.bad == 0
    assert book.sides == true_book(talk, "BTC-USDT", depth)


@pytest.mark.parametrize(("how", "checks"), [("bad", 1), ("zero", 1), ("absent", 0)])
def test_kraken_checksums_can_be_broken(how, checks):
    """The fault changes one checksum; without one there is nothing to check."""
    talk = Talk("kraken")
    session = talk.open("/v2")
    book = KrakenBook(talk, "BTC-USDT", 10)
    talk.strike("checksum", args={"how": how}, match={"symbol": "BTC-USDT"})
    params = {"channel": "book", "symbol": ["BTC/USDT"]}
    frames = talk.say(session, {"method": "subscribe", "params": params}) + talk.wait(session, 2000)
    books = [frame for frame in frames if frame.get("channel") == "book"]
    for frame in books:
        book.apply(frame)
    assert book.bad == checks
    assert sum("checksum" not in frame["data"][0] for frame in books) == 1 - checks


def test_kraken_tickers_follow_what_was_asked():
    """bbo follows the touch, trades (the default) only trades; instruments say their increments and changes."""
    talk = Talk("kraken")
    bbo, trades, lists = talk.open("/v2"), talk.open("/v2"), talk.open("/v2")
    params = {"channel": "ticker", "symbol": ["BTC/USDT"]}
    talk.say(bbo, {"method": "subscribe", "params": params | {"event_trigger": "bbo"}})
    talk.say(trades, {"method": "subscribe", "params": params})
    said = talk.say(lists, {"method": "subscribe", "params": {"channel": "instrument"}})
    pairs = said[-1]["data"]["pairs"]
    assert [pair["symbol"] for pair in pairs] == ["BTC/USDT", "ETH/USDT"]
    assert pairs[0]["price_increment"] == Decimal("0.1")
    talk.strike("status", args={"status": "CANCEL_ONLY", "symbol": "ETH-USDT"})
    talk.pass_ms(20_000)
    heard = {id(session): [json.loads(str(text)) for text in sent] for session, sent in talk.exchange.drain()}
    counts = [sum(frame["channel"] == "ticker" for frame in heard[id(session)]) for session in (bbo, trades)]
    assert counts[0] > 3 * counts[1] > 0
    (update,) = [frame for frame in heard[id(lists)] if frame["channel"] == "instrument"]
    assert [(pair["symbol"], pair["status"]) for pair in update["data"]["pairs"]] == [("ETH/USDT", "cancel_only")]


def test_kraken_beats_when_there_is_nothing_to_say():
    """A heartbeat each quiet second of who has subscribed; a connection that wants nothing ends after a minute."""
    talk = Talk("kraken")
    session, idle = talk.open("/v2"), talk.open("/v2")
    talk.hear(idle)
    talk.exchange.books["BTC-USDT"].quiet_until_ns = 1 << 62
    talk.say(session, {"method": "subscribe", "params": {"channel": "book", "symbol": ["BTC/USDT"]}})
    assert talk.wait(session, 5000).count({"channel": "heartbeat"}) >= 4
    (pong,) = talk.say(session, {"method": "ping", "req_id": 3})
    assert (pong["method"], pong["req_id"]) == ("pong", 3)
    assert [type(frame) for frame in talk.wait(idle, 61_000)] == [Close]


def test_okx_says_of_a_silent_book_that_it_is_still_so():
    """Every 60 s an update without levels whose ids are both the last one's; nothing of a book that moves."""
    talk = Talk("okx")
    session = talk.open("/ws/v5/public")
    args = [{"channel": "books", "instId": symbol} for symbol in ("BTC-USDT", "ETH-USDT")]
    opening = {}
    for frame in talk.say(session, {"op": "subscribe", "args": args}):
        if frame.get("action") == "snapshot":
            opening[frame["arg"]["instId"]] = frame["data"][0]["seqId"]
    talk.exchange.books["BTC-USDT"].quiet_until_ns = 1 << 62
    beats: list[tuple[str, Any]] = []
    moved: list[Any] = []
    for _ in range(13):
        talk.exchange.receive(session, "ping", talk.now_ns)  # who says nothing for 30 s is cut
        talk.pass_ms(10_000)
        for text in (text for _, sent in talk.exchange.drain() for text in sent if text != "pong"):
            frame = json.loads(str(text))
            (data,) = frame["data"]
            (moved if data["asks"] or data["bids"] else beats).append((frame["arg"]["instId"], data))
    assert [symbol for symbol, _ in beats] == ["BTC-USDT", "BTC-USDT"]
    assert all(data["prevSeqId"] == data["seqId"] >= opening["BTC-USDT"] for _, data in beats)
    assert {symbol for symbol, _ in moved} >= {"ETH-USDT"}
    assert len(moved) > 100


def coinbase_frames(talk: Talk, ms: int, *channels: str) -> list[Any]:
    """What a client of some channels hears, subscribing and for a while."""
    session = talk.open("/")
    frames = []
    for channel in channels:
        words = {"type": "subscribe", "channel": channel}
        frames += talk.say(session, words if channel == "heartbeats" else words | {"product_ids": ["BTC-USDT"]})
    return frames + talk.wait(session, ms)


def test_coinbase_numbers_everything_on_a_connection():
    """One line of numbers over all channels and acks, from 0, on each of two connections."""
    talk = Talk("coinbase")
    other = talk.open("/")
    talk.say(other, {"type": "subscribe", "channel": "level2", "product_ids": ["ETH-USDT"]})
    frames = coinbase_frames(talk, 3000, "heartbeats", "level2", "ticker", "market_trades")
    assert [frame["sequence_num"] for frame in frames] == list(range(len(frames)))
    acks = [frame["events"][0]["subscriptions"] for frame in frames if frame["channel"] == "subscriptions"]
    assert acks[0] == {"heartbeats": ["heartbeats"]}
    assert acks[3] == {
        "heartbeats": ["heartbeats"], "level2": ["BTC-USDT"], "ticker": ["BTC-USDT"], "market_trades": ["BTC-USDT"],
    }  # fmt: skip
    beats = [frame["events"][0] for frame in frames if frame["channel"] == "heartbeats"]
    assert len(beats) == 3
    assert [beat["heartbeat_counter"] - beats[0]["heartbeat_counter"] for beat in beats] == [0, 1, 2]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d [\d:.]+ \+0000 UTC m=\+[\d.]+", beats[0]["current_time"])


def test_coinbase_books_are_the_venues_own():
    """level2 comes as l2_data with bid and offer, a snapshot first; a second subscriber gets a snapshot of his own."""
    talk = Talk("coinbase")
    for _ in range(2):
        sides: dict[str, dict[Decimal, Decimal]] = {"bid": {}, "offer": {}}
        kinds = []
        for frame in coinbase_frames(talk, 3000, "level2"):
            if frame["channel"] == "l2_data":
                (event,) = frame["events"]
                kinds.append(event["type"])
                for row in event["updates"]:
                    put(sides[row["side"]], row["price_level"], row["new_quantity"])
        assert kinds[0] == "snapshot"
        assert set(kinds[1:]) == {"update"}
        assert [sides["bid"], sides["offer"]] == true_book(talk, "BTC-USDT")


def test_coinbase_lost_messages_leave_a_hole():
    """The gap fault takes a number with it."""
    talk = Talk("coinbase")
    talk.strike("gap", match={"symbol": "BTC-USDT"}, skip=3)
    numbers = [frame["sequence_num"] for frame in coinbase_frames(talk, 3000, "level2")]
    assert len(set(range(numbers[-1] + 1)) - set(numbers)) == 1


def test_coinbase_trades_come_together_with_the_makers_side():
    """Batches of 250 ms, the newest first; the side is the resting order's; a snapshot says what was before."""
    talk = Talk("coinbase")
    talk.pass_ms(20_000)
    frames = [frame for frame in coinbase_frames(talk, 20_000, "market_trades") if frame["channel"] == "market_trades"]
    assert [frame["events"][0]["type"] for frame in frames[:2]] == ["snapshot", "update"]
    before = [int(row["trade_id"]) for row in frames[0]["events"][0]["trades"]]
    after = [int(row["trade_id"]) for frame in frames[1:] for row in frame["events"][0]["trades"]]
    assert before == sorted(before, reverse=True)
    assert before
    assert min(after) > max(before)
    ids = {trade.trade_id: trade.taker_buys for trade in talk.exchange.dialect._tape.last("BTC-USDT", 100)}
    rows = [row for frame in frames for row in frame["events"][0]["trades"]]
    assert all((row["side"] == "SELL") is ids[int(row["trade_id"])] for row in rows)


def test_coinbase_drops_who_wants_nothing():
    """Five seconds without a subscribe end a connection; a bad product or channel is an error without a number."""
    talk = Talk("coinbase")
    session, idle = talk.open("/"), talk.open("/")
    (error,) = talk.say(session, {"type": "subscribe", "channel": "level2", "product_ids": ["FOO-USD"]})
    assert error["type"] == "error"
    assert "sequence_num" not in error
    talk.say(session, {"type": "subscribe", "channel": "heartbeats"})
    talk.pass_ms(5500)
    ended = {id(other): any(isinstance(frame, Close) for frame in sent) for other, sent in talk.exchange.drain()}
    assert ended == {id(session): False, id(idle): True}


SUBSCRIBES: dict[str, tuple[str, Any]] = {
    "bybit": ("/v5/public/spot", {"op": "subscribe", "args": ["orderbook.50.BTCUSDT", "publicTrade.BTCUSDT"]}),
    "kraken": ("/v2", {"method": "subscribe", "params": {"channel": "book", "symbol": ["BTC/USDT"]}}),
    "coinbase": ("/", {"type": "subscribe", "channel": "level2", "product_ids": ["BTC-USDT"]}),
}


def heard_texts(venue: str, *faults: dict[str, Any]) -> list[str]:
    """All that a subscriber of a book hears in three seconds, as text."""
    talk = Talk(venue)
    path, words = SUBSCRIBES[venue]
    session = talk.open(path)
    talk.exchange.receive(session, json.dumps(words), talk.now_ns)
    for fault in faults:
        talk.strike(**fault)
    talk.pass_ms(3000)
    return [str(frame) for other, sent in talk.exchange.drain() if other is session for frame in sent]


@pytest.mark.parametrize("venue", SUBSCRIBES)
def test_the_same_seed_says_the_same(venue):
    """Byte for byte, twice."""
    assert heard_texts(venue) == heard_texts(venue)


@pytest.mark.parametrize("venue", SUBSCRIBES)
def test_faults_touch_what_they_should(venue):
    """One frame lost, doubled, swapped or spoilt, and no other."""
    sound = heard_texts(venue)
    match = {"symbol": "BTC-USDT"}

    def different(**fault: Any) -> tuple[list[str], list[str]]:
        heard = heard_texts(venue, {"match": match, "skip": 2} | fault)
        return heard, [text for text in heard if text not in sound]

    lost, changed = different(kind="gap")
    assert (len(lost), changed) == (len(sound) - 1, [])
    doubled, changed = different(kind="dup")
    assert (len(doubled), len(set(doubled)), changed) == (len(sound) + 1, len(sound), [])
    swapped, changed = different(kind="reorder")
    assert sorted(swapped) == sorted(sound)
    assert swapped != sound
    spoilt, changed = different(kind="poison", args={"value": "NaN"})
    assert len(spoilt) == len(sound)
    assert len(changed) == 1
    assert "NaN" in changed[0]
