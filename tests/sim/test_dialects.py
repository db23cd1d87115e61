"""Each wire read back by an independent reader is the market's truth, and its frames are spelt as the sheets say."""

import json
import re
from decimal import Decimal
from itertools import pairwise
from random import Random

import pytest

from gambit.sim.binance_wire import BinanceWire
from gambit.sim.bybit_wire import BybitWire
from gambit.sim.coinbase_wire import CoinbaseWire
from gambit.sim.dialects import QUIRKS, SPELL, WIRES, connect
from gambit.sim.instruments import Instrument, list_instrument, venue_symbol
from gambit.sim.kraken_wire import KrakenWire, book_checksum, rest_names
from gambit.sim.market import SECOND_NS, Book, Change, Market, Pace, Temper, Top, Trade
from gambit.sim.okx_wire import OkxWire, interleaved_checksum
from gambit.sim.spelling import decimal_text, go_time, rfc3339, short_number, trimmed
from gambit.sim.wire import WireOptions

from .follower import Follower

START_NS = 1_700_000_000 * SECOND_NS
SYMBOLS = ("BTC-USDT", "PEPE-USDT", "LRC-USDT")
ALL = tuple(WIRES)
IN_BAND = ("okx", "bybit", "bybit-linear", "kraken", "coinbase")


class Lockstep:
    """A market of one venue, its wire and a follower of that wire, moved together."""

    def __init__(self, venue, *, depth=30, options=None, symbols=SYMBOLS, seed=1, temper=None):
        listed = [list_instrument(venue, venue_symbol(venue, symbol)) for symbol in symbols]
        paces = {venue: Pace(100_000_000, 0.2, 2)}
        temper = temper or Temper(changes=8.0, dislocations_per_s=0.5)
        self.market = Market(listed, paces, seed=seed, start_ns=START_NS, depth=depth, temper=temper)
        self.options = options or WireOptions(depth=depth)
        self.wire = connect(venue, list(self.market.books.values()), self.options, seed)
        self.follower = Follower(venue)
        self.frames = []

    def say(self, frames):
        """Let the follower hear frames."""
        for text in frames:
            self.frames.append(text)
            self.follower.hear(text)

    def run(self, seconds, check=lambda event: None):
        """Move on; `check` is called after each Change with the follower up to date."""
        until_ns = self.market.next_ns() + int(seconds * SECOND_NS)
        while self.market.next_ns() < until_ns:
            for event in self.market.tick():
                if isinstance(event, Change):
                    self.say(self.wire.change(event))
                    check(event)
                elif isinstance(event, Top):
                    self.say(self.wire.top(event))
                else:
                    self.say(self.wire.trade(event))

    def open(self):
        """Subscribe; on Binance fetch and join the snapshots too."""
        self.say(self.wire.answers(self.market.next_ns()))
        for book in self.market.books.values():
            symbol = book.instrument.symbol
            answer = self.wire.depth_answer(symbol, self.market.next_ns())
            if answer is not None:
                self.follower.join(answer[1], SPELL[self.wire.venue](symbol))

    def assert_same(self, symbol, depth):
        """The follower's book is the best `depth` levels of the market's."""
        book = next(book for book in self.market.books.values() if book.instrument.symbol == symbol)
        held = self.follower.books[SPELL[self.wire.venue](symbol)]
        for levels, side in zip(held, (book.bids, book.asks), strict=True):
            assert levels == truth(book.instrument, side.levels()[:depth])


def truth(item: Instrument, rows):
    """Levels in the follower's terms."""
    return {
        Decimal(price * item.tick).scaleb(-item.price_decimals): Decimal(lots * item.lot).scaleb(-item.lot_decimals)
        for price, lots in rows
    }


OPTIONS = {
    "usual": WireOptions(depth=30),
    "other": WireOptions(depth=30, wrapped=False, padded=False, client_id=False, tops=False, trades=False),
}


@pytest.mark.parametrize("venue", ALL)
@pytest.mark.parametrize("form", OPTIONS)
def test_a_reader_of_the_wire_has_the_market_s_book(venue, form):
    """After every change a careful client's book is the market's, to the last digit."""
    lockstep = Lockstep(venue, options=OPTIONS[form])
    lockstep.open()
    depth = 25 if venue == "kraken" else 30
    lockstep.run(8, check=lambda event: lockstep.assert_same(event.symbol, depth))
    assert len(lockstep.frames) > 100


@pytest.mark.parametrize(
    ("venue", "asked", "held"),
    [("kraken", 10, 10), ("kraken", 100, 100), ("bybit", 50, 50), ("bybit", 200, 200), ("bybit-linear", 50, 50),
     ("okx", 450, 400), ("kraken", 500, 500), ("kraken", 5, 10)],
)  # fmt: skip
def test_a_deep_book_is_cut_to_what_the_venue_shows(venue, asked, held):
    """With a market deeper than the channel, the client keeps the best levels; pushed-out ones come back when due."""
    lockstep = Lockstep(venue, depth=held + 60, options=WireOptions(depth=asked), symbols=("BTC-USDT",))
    lockstep.open()
    lockstep.run(6, check=lambda event: lockstep.assert_same(event.symbol, held))


def test_binance_diffs_join_a_snapshot_taken_at_any_time():
    """Diffs heard before the snapshot are dropped or joined by their ids; the id line has no hole on spot."""
    for seed in range(6):
        lockstep = Lockstep("binance", seed=seed, symbols=("BTC-USDT",))
        early = []
        lockstep.say = early.extend
        lockstep.run(0.5 + 0.05 * seed)
        snapshot = lockstep.wire.depth_answer("BTC-USDT", lockstep.market.next_ns())[1]
        lockstep.run(1)
        lockstep.follower.join(snapshot, "BTCUSDT")
        del lockstep.say
        lockstep.say(early)
        lockstep.run(1, check=lambda event, made=lockstep: made.assert_same("BTC-USDT", 30))
        diffs = [
            data for data in (json.loads(text)["data"] for text in lockstep.frames) if data.get("e") == "depthUpdate"
        ]
        assert all(after["U"] == before["u"] + 1 for before, after in pairwise(diffs))
        assert json.loads(snapshot)["lastUpdateId"] >= diffs[0]["u"]


def test_binance_snapshots_can_fall_inside_a_diff():
    """A snapshot between two steps of one diff has an id inside that diff's range."""
    lockstep = Lockstep("binance", symbols=("BTC-USDT",))
    inside = 0
    ids = []
    for _ in range(40):
        lockstep.market.tick()
        (book,) = lockstep.market.books.values()
        ids.append(book.update_id)
    lockstep = Lockstep("binance", symbols=("BTC-USDT",))
    for _ in range(40):
        for event in lockstep.market.tick():
            if isinstance(event, Change):
                inside += sum(event.first_id <= last_id < event.last_id for last_id in ids)
    assert inside > 5


@pytest.mark.parametrize("venue", ["binance-usdm", "binance-coinm"])
def test_futures_diffs_name_the_one_before(venue):
    """pu is the u of the diff before, U lies beyond it, with holes between."""
    lockstep = Lockstep(venue, symbols=("BTC-USDT",))
    lockstep.run(5)
    diffs = [data for data in (json.loads(text)["data"] for text in lockstep.frames) if data.get("e") == "depthUpdate"]
    pairs = list(pairwise(diffs))
    assert all(after["pu"] == before["u"] < after["U"] <= after["u"] for before, after in pairs)
    assert any(after["U"] > before["u"] + 1 for before, after in pairs)


@pytest.mark.parametrize("venue", ["binance", "binance-us", "binance-usdm", "binance-coinm"])
def test_book_ticker_is_the_touch_at_its_id(venue):
    """When a diff ends at a bookTicker's id, the books agree at the touch."""
    lockstep = Lockstep(venue)
    lockstep.open()
    agreed = []

    def check(event):
        spelt = SPELL[venue](event.symbol)
        top = lockstep.follower.tops.get(spelt)
        if top and top[0] == event.last_id:
            bids, asks = lockstep.follower.books[spelt]
            bid, ask = max(bids), min(asks)
            assert tuple(Decimal(text) for text in top[1:]) == (bid, bids[bid], ask, asks[ask])
            agreed.append(top)

    lockstep.run(5, check=check)
    assert len(agreed) > 20


def test_okx_chain_with_heartbeat_and_reset():
    """After a heartbeat (equal ids) and a maintenance reset (a smaller seqId) the chain goes on unbroken."""
    lockstep = Lockstep("okx", symbols=("BTC-USDT",))
    lockstep.open()
    lockstep.run(1)
    (heartbeat,) = lockstep.wire.quirk("heartbeat", "BTC-USDT", lockstep.market.next_ns())
    (data,) = json.loads(heartbeat)["data"]
    assert data["prevSeqId"] == data["seqId"] == int(lockstep.follower.ids["BTC-USDT"])
    assert data["bids"] == data["asks"] == []
    (reset,) = lockstep.wire.quirk("reset", "BTC-USDT", lockstep.market.next_ns())
    (after,) = json.loads(reset)["data"]
    assert (after["prevSeqId"], after["seqId"]) == (data["seqId"], 3)
    lockstep.say([heartbeat, reset])
    lockstep.run(1, check=lambda event: lockstep.assert_same("BTC-USDT", 30))
    assert 3 < lockstep.follower.ids["BTC-USDT"] < 100_000


def test_okx_before_2023_has_checksums_and_no_ids():
    """With that wire every frame's checksum is the CRC of the top 25 as sent, and there are no sequence ids."""
    lockstep = Lockstep("okx", options=WireOptions(depth=30, checksums=True), symbols=("BTC-USDT",))
    lockstep.open()

    def check(event):
        bids, asks = lockstep.follower.books["BTC-USDT"]
        (data,) = json.loads(lockstep.frames[-1])["data"]
        assert "seqId" not in data
        assert "prevSeqId" not in data
        best = [[(f"{price.normalize():f}", f"{side[price].normalize():f}") for price in sorted(side, reverse=down)]
                for side, down in ((bids, True), (asks, False))]  # fmt: skip
        assert data["checksum"] == interleaved_checksum(*best)

    lockstep.run(3, check=check)


def test_okx_checksum_vectors():
    """The two texts of the sheet give its checksums."""
    bids = [("3366.1", "7")]
    assert interleaved_checksum(bids, [("3366.8", "9"), ("3368", "8"), ("3372", "8")]) == 831078360
    assert interleaved_checksum([*bids, ("3366", "6")], [("3366.8", "9"), ("3368", "8")]) == -1881014294


@pytest.mark.parametrize("name", QUIRKS["bybit"])
def test_bybit_whole_books_in_mid_stream(name):
    """A restart (u = 1) or a second snapshot replaces the book and the ids go on from there."""
    kinds = set()
    for seed in range(8):
        lockstep = Lockstep("bybit", seed=seed, symbols=("BTC-USDT",))
        lockstep.open()
        lockstep.run(0.5)
        frames = lockstep.wire.quirk(name, "BTC-USDT", lockstep.market.next_ns())
        frame = json.loads(frames[0])
        kinds.add(frame["type"])
        assert (frame["data"]["u"] == 1) == (name == "restart")
        lockstep.say(frames)
        lockstep.run(0.5, check=lambda event, made=lockstep: made.assert_same("BTC-USDT", 30))
    assert kinds == ({"snapshot", "delta"} if name == "restart" else {"snapshot"})


def test_coinbase_counts_every_message_of_the_connection():
    """Acks, heartbeats, trades, tickers and books share one sequence from 0 on; a new connection starts again."""
    lockstep = Lockstep("coinbase")
    lockstep.open()
    for _ in range(3):
        lockstep.run(1)
        lockstep.say(lockstep.wire.beat(lockstep.market.next_ns()))
    assert set(lockstep.follower.seen) == {"subscriptions", "l2_data", "heartbeats", "market_trades", "ticker"}
    assert lockstep.follower.ids[""] == len(lockstep.frames) - 1
    again = connect("coinbase", list(lockstep.market.books.values()), WireOptions(), 1)
    assert '"sequence_num":0,' in again.answers(START_NS)[0]


def test_kraken_checksum_vectors():
    """Vectors A and B of the sheet, B with its update."""
    asks = """45285.2/0.00100000 45286.4/1.54571953 45286.6/1.54571109 45289.6/1.54560911 45290.2/0.15890660
        45291.8/1.54553491 45294.7/0.04454749 45296.1/0.35380000 45297.5/0.09945542 45299.5/0.18772827"""
    bids = """45283.5/0.10000000 45283.4/1.54582015 45282.1/0.10000000 45281.0/0.10000000 45280.3/1.54592586
        45279.0/0.07990000 45277.6/0.03310103 45277.5/0.30000000 45277.3/1.54602737 45276.6/0.15445238"""
    assert book_checksum(units(bids), units(asks)) == 3310070434
    asks = """0.5668/4410.79769741 0.5669/4655.40412487 0.5670/49844.89424998 0.5671/24306.41678000
        0.5672/29783.25223475 0.5673/57234.71239278 0.5674/45065.04744000 0.5675/5912.76380354
        0.5676/42514.92434778 0.5677/36304.08470220"""
    bids = """0.5666/4831.75496356 0.5665/6658.22734739 0.5664/18724.91513344 0.5663/11563.92544914
        0.5662/14006.65365711 0.5661/17454.85679807 0.5660/18097.15470000 0.5659/33644.89175666
        0.5658/148.34640000 0.5657/606.70854372"""
    assert book_checksum(units(bids), units(asks)) == 2439117997
    assert book_checksum(units(bids.replace("606.70854372", "1098.39475580")), units(asks)) == 2114181697


def units(text):
    """price/qty texts as integers of their last digit."""
    return [tuple(int(part.replace(".", "")) for part in level.split("/")) for level in text.split()]


def test_kraken_does_not_tell_what_falls_out():
    """No frame deletes a level because better ones came; a level that comes back is told again."""
    lockstep = Lockstep("kraken", depth=60, options=WireOptions(depth=10, repeats=False), symbols=("BTC-USDT",), seed=2)
    lockstep.open()
    (book,) = lockstep.market.books.values()
    told_again = 0

    def check(event):
        nonlocal told_again
        gone = {price for side in (event.bids, event.asks) for price, lots in side if not lots}
        changed = {price for side in (event.bids, event.asks) for price, _lots in side}
        last = json.loads(lockstep.frames[-1])
        if last.get("channel") != "book":
            return
        (data,) = last["data"]
        for row in [*data["bids"], *data["asks"]]:
            ticks = round(row["price"] * book.instrument.ticks_per_unit)
            if row["qty"] == 0:
                assert ticks in gone
            told_again += ticks not in changed

    lockstep.run(10, check=check)
    assert told_again > 3


# --- the letter of the frames


def lone_book(venue, symbol="BTC-USDT", bids=((100, 5),), asks=((102, 7), (103, 40))):
    """A book of one's own with a tick of 0.1, a lot of 0.01 and the given levels; its last id is 12."""
    item = Instrument(venue, symbol, *symbol.split("-")[:2], 10.0, 1, 1, 2, 1, 1, 10)
    book = Book(item, 10, Temper(), Random(1), 12)
    for price, lots in bids:
        book.bids.put(price, lots)
    for price, lots in asks:
        book.asks.put(-price, lots)
    book.bids.take_rows()
    book.asks.take_rows()
    return book


TS_NS = 1_700_000_000_123_456_789
CHANGE = Change("", "BTC-USDT", TS_NS, 10, 12, [(99, 3), (100, 0)], [(103, 40)])


def change_frame(make, venue, symbol="BTC-USDT", **options):
    """What a wire says of CHANGE."""
    wire = make(venue, [lone_book(venue, symbol)], WireOptions(depth=10, **options), 1)
    wire.answers(TS_NS)
    (text,) = wire.change(Change("", symbol, TS_NS, 10, 12, CHANGE.bids, CHANGE.asks))
    return text


def test_binance_frames_to_the_letter():
    """Diffs of spot, raw spot, USD-M and COIN-M."""
    body = (
        '{"e":"depthUpdate","E":1700000000123,"s":"BTCUSDT","U":10,"u":12,'
        '"b":[["10.00000000","0.00000000"],["9.90000000","0.03000000"]],"a":[["10.30000000","0.40000000"]]}'
    )
    assert change_frame(BinanceWire, "binance", wrapped=False) == body
    assert change_frame(BinanceWire, "binance") == f'{{"stream":"btcusdt@depth@100ms","data":{body}}}'
    assert change_frame(BinanceWire, "binance-usdm", "BTC-USDT-PERP", wrapped=False) == (
        '{"e":"depthUpdate","E":1700000000123,"T":1700000000119,"s":"BTCUSDT","U":10,"u":12,"pu":9,'
        '"b":[["10.0","0.00"],["9.9","0.03"]],"a":[["10.3","0.40"]]}'
    )
    assert change_frame(BinanceWire, "binance-coinm", "BTC-USD-PERP").startswith(
        '{"stream":"btcusd_perp@depth@100ms","data":{"e":"depthUpdate","E":1700000000123,"T":1700000000119,'
        '"s":"BTCUSD_PERP","ps":"BTCUSD","U":10,"u":12,"pu":9,"b":['
    )


def test_okx_and_bybit_frames_to_the_letter():
    """Updates of OKX, Bybit spot (no trailing zeros, ts first) and linear (padded, type first)."""
    assert change_frame(OkxWire, "okx") == (
        '{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[{"asks":[["10.3","0.4","0","5"]],'
        '"bids":[["10","0","0","0"],["9.9","0.03","0","4"]],"ts":"1700000000123","checksum":0,"prevSeqId":12,"seqId":12}]}'
    )
    spot = change_frame(BybitWire, "bybit")
    assert re.sub(r'"u":\d+', '"u":1', spot) == (
        '{"topic":"orderbook.50.BTCUSDT","ts":1700000000125,"type":"delta","data":{"s":"BTCUSDT",'
        '"b":[["10","0"],["9.9","0.03"]],"a":[["10.3","0.4"]],"u":1,"seq":12},"cts":1700000000123}'
    )
    linear = change_frame(BybitWire, "bybit-linear", "BTC-USDT-PERP")
    assert linear.startswith('{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":1700000000125,"data":{')
    assert '"b":[["10.0","0"],["9.9","0.03"]],"a":[["10.3","0.40"]]' in linear


def test_kraken_and_coinbase_frames_to_the_letter():
    """Updates of Kraken (numbers) and Coinbase (side bid and offer), with their times."""
    assert re.sub(r'"checksum":\d+', '"checksum":1', change_frame(KrakenWire, "kraken", repeats=False)) == (
        '{"channel":"book","type":"update","data":[{"symbol":"BTC/USDT","bids":[{"price":9.9,"qty":0.03},'
        '{"price":10.0,"qty":0.00}],"asks":[{"price":10.3,"qty":0.40}],"checksum":1,'
        '"timestamp":"2023-11-14T22:13:20.123456Z"}]}'
    )
    text = change_frame(CoinbaseWire, "coinbase")
    assert re.sub(r'"sequence_num":\d+', '"sequence_num":9', text) == (
        '{"channel":"l2_data","client_id":"","timestamp":"2023-11-14T22:13:20.124256789Z","sequence_num":9,"events":['
        '{"type":"update","product_id":"BTC-USDT","updates":['
        '{"side":"bid","event_time":"2023-11-14T22:13:20.123456Z","price_level":"9.9","new_quantity":"0.03"},'
        '{"side":"bid","event_time":"2023-11-14T22:13:20.123456Z","price_level":"10","new_quantity":"0"},'
        '{"side":"offer","event_time":"2023-11-14T22:13:20.123456Z","price_level":"10.3","new_quantity":"0.4"}]}]}'
    )


def test_touches_and_trades_to_the_letter():
    """bookTicker, bbo-tbt, orderbook.1, ticker; and who was the taker, whose side Coinbase turns round."""
    top = Top("", "BTC-USDT", TS_NS, 12, (100, 5), (102, 7))
    trade = Trade("", "BTC-USDT", TS_NS, 77, 102, 3, True, 12)
    wires = {
        venue: connect(venue, [lone_book(venue)], WireOptions(wrapped=False), 1) for venue in ("binance", *IN_BAND)
    }
    assert wires["binance"].top(top) == [
        '{"u":12,"s":"BTCUSDT","b":"10.00000000","B":"0.05000000","a":"10.20000000","A":"0.07000000"}'
    ]
    assert wires["okx"].top(top) == [
        '{"arg":{"channel":"bbo-tbt","instId":"BTC-USDT"},"data":[{"asks":[["10.2","0.07","0","8"]],'
        '"bids":[["10","0.05","0","6"]],"ts":"1700000000123","seqId":12}]}'
    ]
    assert json.loads(wires["bybit"].top(top)[0])["data"]["b"] == [["10", "0.05"]]
    assert json.loads(wires["kraken"].top(top)[0])["data"][0]["ask_qty"] == 0.07
    assert wires["coinbase"].top(top) == []
    assert json.loads(wires["binance"].trade(trade)[0])["m"] is False
    assert json.loads(wires["okx"].trade(trade)[0])["data"][0]["side"] == "buy"
    assert json.loads(wires["bybit"].trade(trade)[0])["data"][0]["S"] == "Buy"
    assert json.loads(wires["kraken"].trade(trade)[0])["data"][0]["side"] == "buy"
    assert json.loads(wires["coinbase"].trade(trade)[0])["events"][0]["trades"][0]["side"] == "SELL"


@pytest.mark.parametrize("venue", ALL)
def test_best_bid_ask_alone(venue):
    """With source bbo there are no book frames, and every touch is told."""
    lockstep = Lockstep(venue, options=WireOptions(source="bbo", trades=False), symbols=("BTC-USDT",))
    lockstep.say(lockstep.wire.answers(START_NS))
    before = len(lockstep.frames)
    tops = 0
    while lockstep.market.next_ns() < START_NS + 3 * SECOND_NS:
        for event in lockstep.market.tick():
            if isinstance(event, Top):
                tops += 1
                lockstep.say(lockstep.wire.top(event))
            elif isinstance(event, Change):
                assert lockstep.wire.change(event) == []
    assert len(lockstep.frames) - before == tops > 20
    assert not lockstep.follower.books
    assert lockstep.wire.depth_answer(next(iter(lockstep.market.books))[1], START_NS) is None


@pytest.mark.parametrize("venue", ALL)
def test_requests_acks_and_pongs_are_json(venue):
    """Whatever is said beside books is JSON, but for OKX's ping and pong; Bybit never asks for more than ten topics."""
    lockstep = Lockstep(venue, options=WireOptions(depth=30, wrapped=False), symbols=(*SYMBOLS, "ETH-USDT", "SOL-USDT"))
    wire = lockstep.wire
    for text in wire.requests():
        request = json.loads(text)
        if venue.startswith("bybit"):
            assert 1 <= len(request["args"]) <= 10
    said = wire.ping(START_NS)
    assert (said is None) == (venue.startswith("binance") or venue == "coinbase")
    if said is not None and venue != "okx":
        assert json.loads(said[0])
        assert json.loads(said[1])
    lockstep.say([*wire.answers(START_NS), *wire.beat(START_NS)])
    for name in wire.quirks:
        lockstep.say(wire.quirk(name, next(iter(lockstep.market.books))[1], START_NS))


def rules(venue, text, symbol):
    """Tick, lot and minimum of one symbol as a REST list says them, as texts."""
    answer = json.loads(text)
    spelt = SPELL[venue](symbol)
    if venue.startswith("binance"):
        entry = next(entry for entry in answer["symbols"] if entry["symbol"] == spelt)
        filters = {row["filterType"]: row for row in entry["filters"]}
        return filters["PRICE_FILTER"]["tickSize"], filters["LOT_SIZE"]["stepSize"], filters["LOT_SIZE"]["minQty"]
    if venue == "okx":
        entry = next(entry for entry in answer["data"] if entry["instId"] == spelt)
        return entry["tickSz"], entry["lotSz"], entry["minSz"]
    if venue.startswith("bybit"):
        entry = next(entry for entry in answer["result"]["list"] if entry["symbol"] == spelt)
        lot = entry["lotSizeFilter"]
        return entry["priceFilter"]["tickSize"], lot.get("basePrecision") or lot["qtyStep"], lot["minOrderQty"]
    if venue == "kraken":
        entry = answer["result"][rest_names(*symbol.split("-"))[0]]
        return entry["tick_size"], str(Decimal(1).scaleb(-entry["lot_decimals"])), entry["ordermin"]
    entry = next(entry for entry in answer["products"] if entry["product_id"] == spelt)
    return entry["price_increment"], entry["base_increment"], entry["base_min_size"]


@pytest.mark.parametrize("venue", ALL)
def test_instrument_lists_say_the_instruments(venue):
    """The REST list of every venue has tick, lot and minimum of every instrument."""
    lockstep = Lockstep(venue)
    ((url, text),) = lockstep.wire.lists(START_NS)
    assert url.startswith("https://")
    for book in lockstep.market.books.values():
        item = book.instrument
        expected = [
            Decimal(item.tick).scaleb(-item.price_decimals),
            Decimal(item.lot).scaleb(-item.lot_decimals),
            Decimal(item.lot * item.min_lots).scaleb(-item.lot_decimals),
        ]
        assert [Decimal(value) for value in rules(venue, text, item.symbol)] == expected
    if venue == "binance-coinm":
        sizes = {entry["symbol"]: entry["contractSize"] for entry in json.loads(text)["symbols"]}
        assert sizes == {"BTCUSD_PERP": 100, "PEPEUSD_PERP": 10, "LRCUSD_PERP": 10}


def test_symbols_are_spelt_as_the_venues_do():
    """Spot, perpetual, delivery and Kraken's legacy names."""
    assert SPELL["binance"]("BTC-USDT") == SPELL["bybit"]("BTC-USDT") == "BTCUSDT"
    assert SPELL["binance-usdm"]("BTC-USDT-PERP") == SPELL["bybit-linear"]("BTC-USDT-PERP") == "BTCUSDT"
    assert SPELL["binance-usdm"]("BTC-USDT-240927") == "BTCUSDT_240927"
    assert SPELL["binance-coinm"]("BTC-USD-PERP") == "BTCUSD_PERP"
    assert SPELL["binance-coinm"]("BTC-USD-240927") == "BTCUSD_240927"
    assert SPELL["okx"]("BTC-USDT") == SPELL["coinbase"]("BTC-USDT") == "BTC-USDT"
    assert SPELL["kraken"]("BTC-USD") == "BTC/USD"
    assert rest_names("BTC", "USD") == ("XXBTZUSD", "XBTUSD", "XBT/USD")
    assert rest_names("SOL", "USDT") == ("SOLUSDT", "SOLUSDT", "SOL/USDT")


def test_an_unknown_venue_is_refused():
    """The message names the venue and the known ones."""
    with pytest.raises(ValueError, match="'nowhere' is not simulated; known are binance"):
        connect("nowhere", [], WireOptions(), 1)


def test_numbers_and_times_are_spelt_exactly():
    """Decimal text, trimming, short numbers, RFC 3339 with a cut, Go's time."""
    assert [decimal_text(5, 0), decimal_text(5, 3), decimal_text(12345, 2)] == ["5", "0.005", "123.45"]
    assert [trimmed("10.0"), trimmed("0.500"), trimmed("100"), trimmed("0.00")] == ["10", "0.5", "100", "0"]
    assert [short_number(1, 8), short_number(125, 9), short_number(1, 1), short_number(5, 5)] == [
        "1e-8", "1.25e-7", "0.1", "5e-5",
    ]  # fmt: skip
    assert rfc3339(TS_NS, 6) == "2023-11-14T22:13:20.123456Z"
    assert go_time(TS_NS, 1_500_000_000) == "2023-11-14 22:13:20.123456789 +0000 UTC m=+1.500000000"
