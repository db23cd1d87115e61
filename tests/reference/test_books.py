"""The slow twin's books, rule by rule, on hand-made frames."""

import json
import random
from pathlib import Path

import pytest

from . import replay
from .books import COUNTERS
from .capture import Notes, read_file
from .decimals import BadNumberError, plain_text, to_text, to_units
from .streams import bybit, close, coinbase, connect, diff, event, http, okx, recv, row, send, snapshot

BTC = ["BTC-USDT"]
BID, ASK = [row(100)], [row(101)]


def book_of(records: list[dict], symbols=BTC, **config) -> dict:
    """The only book of a replay."""
    (book,) = replay.run([records], config, symbols).books
    return book


def counts(book: dict) -> dict:
    """The counters that are not zero."""
    return {name: book[name] for name in COUNTERS if book[name]}


# ---- numbers ----


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("1", 10**18),
        ("0001.500", 15 * 10**17),
        ("1e-18", 1),
        ("3.41E-8", 34_100_000_000),
        ("4e11", 4 * 10**29),
        ("999999999999999999", 999999999999999999 * 10**18),
        ("-0", 0),
        ("0e99999999999999", 0),
        ("0." + "0" * 40, 0),
        ("1" + "0" * 17, 10**35),
    ],
)
def test_number_is_kept_exactly(text, units):
    assert to_units(text) == units
    assert to_units(to_text(units)) == units


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 1",
        "+1",
        "1.",
        ".5",
        "0x1",
        "1_0",
        "NaN",
        "Infinity",
        "1e",
        "1e18",
        "1e-19",
        "1234567890123456789",
        "\uff11",
        "1\n",
    ],
)
def test_number_that_breaks_r20_or_does_not_fit_r21_is_refused(text):
    with pytest.raises(BadNumberError):
        to_units(text)


@pytest.mark.parametrize(
    ("text", "plain"),
    [("5.10e-05", "0.0000510"), ("1e3", "1000"), ("1.50", "1.50"), ("12.5E1", "125"), ("00.34", "0.34")],
)
def test_digits_of_the_wire_have_their_exponent_written_out(text, plain):
    assert plain_text(text) == plain


# ---- Binance: R9, D5, D6, D10 ----


def test_snapshot_and_joined_diffs_are_one_frame():
    """R9: stale diffs are dropped, the first kept links, one tick tells all."""
    records = [
        diff(1, 1, 5, BID),
        diff(2, 6, 12, [row(99)]),
        diff(3, 13, 14, [], [row(102)], E=9),
        snapshot(4, 10, BID, ASK),
    ]
    result = replay.run([records], symbols=BTC)
    (tick,) = result.ticks
    assert (tick["recv_ns"], tick["seq"], tick["exchange_ts_ns"]) == (4_000_000, 14, 9_000_000)
    assert counts(result.books[0]) == {"snapshots": 1, "applied": 2, "dropped_stale": 1}


def test_snapshot_is_applied_with_nothing_to_join_and_has_no_exchange_time():
    result = replay.run([[diff(1, 1, 5), snapshot(2, 5, BID, ASK)]], symbols=BTC)
    assert [tick["exchange_ts_ns"] for tick in result.ticks] == [None]
    assert counts(result.books[0]) == {"snapshots": 1, "dropped_stale": 1}


def test_snapshot_older_than_the_buffer_is_ignored():
    book = book_of([diff(1, 10, 12), snapshot(2, 5, BID, ASK)])
    assert not book["synced"]
    assert counts(book) == {}


def test_snapshot_just_before_the_buffer_links():
    assert book_of([diff(1, 6, 12), snapshot(2, 5, BID, ASK)])["seq"] == 12


def test_gap_while_buffering_starts_the_buffer_anew():
    book = book_of([diff(1, 1, 5), diff(2, 8, 9, [row(100, 3)]), snapshot(3, 7, BID, ASK)])
    assert book["seq"] == 9
    assert counts(book) == {"snapshots": 1, "applied": 1}


def test_gap_on_a_synced_book_starts_the_buffer_with_the_diff_that_showed_it():
    records = [snapshot(1, 5, BID, ASK), diff(2, 8, 9, [row(100, 3)]), diff(3, 10, 11), snapshot(4, 8, BID, ASK)]
    book = book_of(records)
    assert book["seq"] == 11
    assert book["bids"] == [["100", "3"]]
    assert counts(book) == {"snapshots": 2, "applied": 2, "gaps": 1}


def test_stale_diff_of_a_synced_book_is_dropped_and_confirms_nothing():
    result = replay.run([[snapshot(1, 5, BID, ASK), diff(2, 1, 5, [row(100, 9)])]], symbols=BTC)
    assert counts(result.books[0]) == {"snapshots": 1, "dropped_stale": 1}
    assert len(result.ticks) == 1


def test_futures_diff_may_link_by_its_previous_id():
    """D5: `U` may be beyond id + 1 where `pu` is not beyond id."""
    futures = {"venue": "binance-usdm"}
    records = [snapshot(1, 5, BID, ASK, **futures), diff(2, 8, 9, pu=5, **futures), diff(3, 20, 21, pu=10, **futures)]
    assert counts(book_of(records, ["BTC-USDT-PERP"])) == {"snapshots": 1, "applied": 1, "gaps": 1}


def test_snapshot_of_a_synced_book_or_a_closed_connection_is_ignored():
    assert book_of([snapshot(1, 5, BID, ASK), snapshot(2, 9, BID, ASK)])["seq"] == 5
    book = book_of([diff(1, 1, 5), close("binance", 2), snapshot(3, 5, BID, ASK)])
    assert not book["synced"]


def test_first_diff_adopts_a_book_that_a_snapshot_made():
    book = book_of([snapshot(1, 5, BID, ASK), diff(2, 6, 6, conn="ws")])
    assert (book["conn"], book["synced"], book["applied"]) == ("ws", True, 1)


def test_takeover_unsyncs_and_empties_the_buffer():
    """R8: the other connection's diffs start a buffer of their own."""
    records = [snapshot(1, 5, BID, ASK), diff(2, 6, 6), diff(3, 7, 7, conn="d")]
    assert book_of(records)["synced"] is False
    assert book_of([*records, snapshot(4, 6, BID, ASK)])["seq"] == 7


@pytest.mark.parametrize(
    "bad",
    [
        diff(3, 7, 8, [["100", "-1"]]),
        diff(3, 7, 8, [["0", "1"]]),
        diff(3, 7, 8, [["-0", "1"]]),
        diff(3, 7, 8, [["100"]]),
        diff(3, 7, 8, [["100", "1", "2"]]),
        diff(3, 7, 8, [["NaN", "1"]]),
        diff(3, 7, "8"),
        diff(3, 7, 8.0),
        diff(3, 7, True),
        diff(3, 7, 8, pu="6"),
        recv("binance", 3, {"e": "depthUpdate", "s": "BTCUSDT", "U": 7, "u": 8, "b": []}),
    ],
)
def test_bad_frame_applies_nothing_and_unsyncs_and_empties_the_buffer(bad):
    """R19, D6: after it, the diffs before it do not join a snapshot any more."""
    records = [snapshot(1, 5, BID, ASK), diff(2, 6, 6), bad]
    result = replay.run([records], symbols=BTC)
    assert counts(result.books[0]) == {"snapshots": 1, "applied": 1, "quarantined": 1}
    assert not result.books[0]["synced"]
    assert result.dead_letters[0]["raw"] == bad["data"].encode()
    unsynced = [diff(1, 6, 6), bad, snapshot(4, 3, BID, ASK)]
    assert book_of(unsynced)["seq"] == 3


@pytest.mark.parametrize("text", ["nonsense", '{"a":NaN}', "", "{", "pong"])
def test_unreadable_frame_unsyncs_every_book_of_its_connection(text):
    """R5: and of no other connection."""
    records = [
        *(snapshot(1, 5, BID, ASK, symbol=symbol) for symbol in ("BTCUSDT", "ETHUSDT", "XRPUSDT")),
        *(diff(2, 6, 6, symbol=symbol) for symbol in ("BTCUSDT", "ETHUSDT")),
        diff(2, 6, 6, conn="d", symbol="XRPUSDT"),
        recv("binance", 3, text),
    ]
    result = replay.run([records], symbols=["BTC-USDT", "ETH-USDT", "XRP-USDT"])
    assert [book["synced"] for book in result.books] == [False, False, True]
    assert [book["quarantined"] for book in result.books] == [0, 0, 0]
    assert len(result.dead_letters) == 1


def test_crossed_book_goes_unsynced_with_an_empty_buffer():
    records = [snapshot(1, 5, BID, ASK), diff(2, 6, 6, [row(101)]), diff(3, 7, 7), snapshot(4, 6, BID, ASK)]
    book = book_of(records)
    assert counts(book) == {"snapshots": 2, "applied": 1, "crossed": 1}
    assert book["seq"] == 7


def test_snapshot_without_symbol_belongs_to_the_only_symbol_with_diffs():
    """R4."""
    bare = http("binance", 2, "depth?limit=1000", {"lastUpdateId": 5, "bids": BID, "asks": ASK})
    assert book_of([diff(1, 1, 5), bare], ["BTC-USDT", "ETH-USDT"])["synced"]
    assert book_of([bare])["synced"]
    assert replay.run([[bare]], symbols=["BTC-USDT", "ETH-USDT"]).books == []


def test_partial_depth_of_futures_is_not_a_diff():
    frame = json.loads(diff(2, 6, 6, venue="binance-usdm")["data"])
    wrapped = recv("binance-usdm", 2, {"stream": "btcusdt@depth5@100ms", "data": frame})
    assert replay.run([[wrapped]], symbols=["BTC-USDT-PERP"]).books == []


# ---- OKX: R10, R23, D9 ----


def test_okx_heartbeat_and_reset_continue_the_chain():
    """The manual's sequence (-1,10) (10,15) (15,15) (15,3) (3,5): no gap, five ticks."""
    chain = [(-1, 10), (10, 15), (15, 15), (15, 3), (3, 5)]
    records = [okx(ms, "update" if ms else "snapshot", *ids, BID, ASK) for ms, ids in enumerate(chain)]
    result = replay.run([records])
    assert [tick["seq"] for tick in result.ticks] == [10, 15, 15, 3, 5]
    assert counts(result.books[0]) == {"snapshots": 1, "applied": 4}


def test_okx_frame_that_does_not_continue_is_a_gap_whichever_way():
    records = [okx(1, "snapshot", -1, 10, BID, ASK), okx(2, "update", 10, 15), okx(3, "update", 10, 15)]
    book = book_of([*records, okx(4, "update", 15, 16)])
    assert counts(book) == {"snapshots": 1, "applied": 1, "gaps": 1}
    assert (book["synced"], book["seq"], book["bids"]) == (False, None, [])


def old_okx(ms: float, action: str, checksum: object, bids=(), asks=()) -> dict:
    entry = {"bids": list(bids), "asks": list(asks), "ts": "5"} | ({} if checksum is None else {"checksum": checksum})
    return recv("okx", ms, {"arg": {"channel": "books", "instId": "BTC-USDT"}, "action": action, "data": [entry]})


def test_okx_old_wire_verifies_its_checksum():
    """The manual's two vectors; a checksum of 0 is not looked at, a wrong one unsyncs."""
    one = old_okx(1, "snapshot", -1881014294, [row("3366.1", 7)], [row("3366.8", 9), row("3368", 8)])
    sides = [row("3366.1", 7), row("3366", 6)], [row("3366.8", 9), row("3368", 8)]
    assert counts(book_of([old_okx(1, "snapshot", -1881014294, *sides)])) == {"snapshots": 1, "checksums_ok": 1}
    sides = [row("3366.1", 7)], [row("3366.8", 9), row("3368", 8), row("3372", 8)]
    assert counts(book_of([old_okx(1, "snapshot", 831078360, *sides)])) == {"snapshots": 1, "checksums_ok": 1}
    assert counts(book_of([one])) == {"checksums_bad": 1}
    assert counts(book_of([old_okx(1, "snapshot", 0, *sides)])) == {"snapshots": 1}


def test_okx_frame_without_what_its_rule_needs_is_bad():
    assert counts(book_of([old_okx(1, "snapshot", None, BID, ASK)])) == {"quarantined": 1}
    lost_id = [okx(1, "snapshot", -1, 10, BID, ASK), old_okx(2, "update", 5, BID)]
    assert counts(book_of(lost_id)) == {"snapshots": 1, "quarantined": 1}


def test_okx_other_channel_touches_nothing_until_the_connection_closes():
    """D10."""
    first = [okx(1, "snapshot", -1, 10, BID, ASK), okx(2, "snapshot", -1, 99, BID, ASK, channel="books-l2-tbt")]
    assert book_of(first)["seq"] == 10
    later = [*first, close("okx", 3), okx(4, "snapshot", -1, 98, BID, ASK, channel="books-l2-tbt")]
    assert book_of(later)["seq"] == 98


def test_okx_book_is_trimmed_to_its_channel():
    bids = [row(1000 - level) for level in range(60)]
    records = [okx(1, "snapshot", -1, 10, bids, channel="books50-l2-tbt")]
    assert len(book_of(records)["bids"]) == 50


def test_pong_is_known_on_okx():
    assert book_of([okx(1, "snapshot", -1, 10, BID, ASK), recv("okx", 2, "pong")])["synced"]


# ---- Bybit ----


def test_bybit_duplicate_is_a_gap_and_u_1_is_a_snapshot():
    records = [
        bybit(1, "snapshot", 5, BID, ASK),
        bybit(2, "delta", 6),
        bybit(3, "delta", 6),
        bybit(4, "delta", 1, BID, ASK),
    ]
    assert counts(book_of(records)) == {"snapshots": 2, "applied": 1, "gaps": 1}


def test_bybit_keeps_the_first_depth_and_its_own_connections():
    records = [bybit(1, "snapshot", 5, BID, ASK), bybit(2, "snapshot", 9, BID, ASK, depth=1)]
    assert book_of(records)["seq"] == 5
    linear = [connect("bybit", 0, addr="wss://x/v5/public/linear"), bybit(1, "snapshot", 5, BID, ASK)]
    assert replay.run([linear], symbols=BTC).books == []
    renamed = [record | {"venue": "bybit-linear"} for record in linear]
    assert book_of(renamed, ["BTC-USDT-PERP"])["synced"]


# ---- Kraken: R12 ----

VECTOR_A_ASKS = """
45285.2/0.00100000 45286.4/1.54571953 45286.6/1.54571109 45289.6/1.54560911 45290.2/0.15890660
45291.8/1.54553491 45294.7/0.04454749 45296.1/0.35380000 45297.5/0.09945542 45299.5/0.18772827
"""
VECTOR_A_BIDS = """
45283.5/0.10000000 45283.4/1.54582015 45282.1/0.10000000 45281.0/0.10000000 45280.3/1.54592586
45279.0/0.07990000 45277.6/0.03310103 45277.5/0.30000000 45277.3/1.54602737 45276.6/0.15445238
"""
VECTOR_B_ASKS = """
0.5668/4410.79769741 0.5669/4655.40412487 0.567/49844.89424998 0.5671/24306.41678 0.5672/29783.25223475
0.5673/57234.71239278 0.5674/45065.04744 0.5675/5912.76380354 0.5676/42514.92434778 0.5677/36304.0847022
"""
VECTOR_B_BIDS = """
0.5666/4831.75496356 0.5665/6658.22734739 0.5664/18724.91513344 0.5663/11563.92544914 0.5662/14006.65365711
0.5661/17454.85679807 0.566/18097.1547 0.5659/33644.89175666 0.5658/148.3464 0.5657/606.70854372
"""


def kraken(ms: float, kind: str, checksum: int, bids: str = "", asks: str = "", symbol="BTC/USD") -> dict:
    """A book frame whose numbers stand on the wire exactly as written here: "price/qty price/qty"."""

    def side(levels: str) -> str:
        pairs = [level.split("/") for level in levels.split()]
        return ",".join(f'{{"price":{price},"qty":{qty}}}' for price, qty in pairs)

    entry = f'{{"symbol":"{symbol}","bids":[{side(bids)}],"asks":[{side(asks)}],"checksum":{checksum}}}'
    return recv("kraken", ms, f'{{"channel":"book","type":"{kind}","data":[{entry}]}}')


def instrument(symbol: str, price_precision: int, qty_precision: int) -> dict:
    pair = {"symbol": symbol, "price_precision": price_precision, "qty_precision": qty_precision}
    return recv("kraken", 0, {"channel": "instrument", "type": "snapshot", "data": {"assets": [], "pairs": [pair]}})


def test_kraken_vector_a_verifies_with_the_digits_of_the_wire():
    book = book_of([kraken(1, "snapshot", 3310070434, VECTOR_A_BIDS, VECTOR_A_ASKS)], None)
    assert counts(book) == {"snapshots": 1, "checksums_ok": 1}


def test_kraken_vector_b_verifies_with_the_precision_of_the_instrument():
    """Numbers in their shortest form need the padding; without it the sum is the manual's wrong one."""
    records = [
        instrument("MATIC/USD", 4, 8),
        kraken(1, "snapshot", 2439117997, VECTOR_B_BIDS, VECTOR_B_ASKS, "MATIC/USD"),
        kraken(2, "update", 2114181697, "0.5657/1098.3947558", "", "MATIC/USD"),
    ]
    assert counts(book_of(records, None)) == {"snapshots": 1, "applied": 1, "checksums_ok": 2}
    short = kraken(1, "snapshot", 3830085102, VECTOR_B_BIDS, VECTOR_B_ASKS, "MATIC/USD")
    assert counts(book_of([short], None)) == {"snapshots": 1, "checksums_ok": 1}


def test_kraken_bad_checksum_unsyncs_and_updates_wait_for_a_snapshot():
    snap = kraken(1, "snapshot", 3310070434, VECTOR_A_BIDS, VECTOR_A_ASKS)
    book = book_of([snap, kraken(2, "update", 1, "45283.5/2"), kraken(3, "update", 2, "45283.5/3"), snap], None)
    assert counts(book) == {"snapshots": 2, "checksums_ok": 2, "checksums_bad": 1}


def test_kraken_book_is_trimmed_to_the_acknowledged_depth():
    """Without an ack the snapshot's ten rows say 10: an eleventh level is cut, and the sum covers ten either way."""
    records = [
        kraken(1, "snapshot", 3310070434, VECTOR_A_BIDS, VECTOR_A_ASKS),
        kraken(2, "update", 3310070434, "45270.0/1.00000000"),
    ]
    book = book_of(records, None)
    assert counts(book) == {"snapshots": 1, "applied": 1, "checksums_ok": 2}
    assert len(book["bids"]) == 10
    ack = {"method": "subscribe", "success": True, "result": {"channel": "book", "depth": 25, "symbol": "BTC/USD"}}
    assert len(book_of([recv("kraken", 0, ack), *records], None)["bids"]) == 11


# ---- Coinbase: R23, D12 ----


def test_coinbase_jump_unsyncs_the_connection_and_the_frame_is_then_handled():
    """The frame that showed the jump counts where it is a snapshot, and not where it is an update."""
    records = [
        coinbase(1, 0, event("snapshot", BID, ASK), event("snapshot", BID, ASK, "ETH-USDT")),
        coinbase(2, 5, event("snapshot", BID, ASK), event("update", [row(100, 2)], (), "ETH-USDT")),
    ]
    first, second = replay.run([records]).books
    assert counts(first) == {"snapshots": 2, "gaps": 1}
    assert counts(second) == {"snapshots": 1, "gaps": 1}
    assert (first["synced"], second["synced"]) == (True, False)


def test_coinbase_jump_on_another_channel_unsyncs_too_and_a_repeat_is_dropped():
    heart = coinbase(2, 3, channel="heartbeats")
    assert counts(book_of([coinbase(1, 0, event("snapshot", BID, ASK)), heart], None)) == {"snapshots": 1, "gaps": 1}
    again = [coinbase(1, 0, event("snapshot", BID, ASK)), coinbase(2, 0, event("update", [row(100, 2)]))]
    book = book_of(again, None)
    assert counts(book) == {"snapshots": 1, "dropped_stale": 1}
    assert book["bids"] == [["100", "1"]]


def test_coinbase_frame_of_several_books_ticks_in_order_of_first_mention():
    frame = coinbase(1, 0, event("snapshot", BID, ASK, "ETH-USDT"), event("snapshot", BID, ASK))
    assert [tick["symbol"] for tick in replay.run([[frame]]).ticks] == ["ETH-USDT", "BTC-USDT"]


def test_coinbase_bad_frame_unsyncs_every_book_it_names():
    good = coinbase(1, 0, event("snapshot", BID, ASK), event("snapshot", BID, ASK, "ETH-USDT"))
    bad = coinbase(2, 1, event("update", [row(100, 2)], (), "ETH-USDT"), event("update", [row(-1)]))
    books = replay.run([[good, bad]]).books
    assert [counts(book) for book in books] == [{"snapshots": 1, "quarantined": 1}] * 2


# ---- symbols, connections, captures ----


def test_binance_needs_a_name_or_a_list_and_okx_takes_two_parts():
    """R7."""
    assert replay.run([[diff(1, 1, 5)]]).books == []
    assert replay.run([[okx(1, "snapshot", -1, 1, symbol="BTC-USD-SWAP")]]).books == []
    listed = http("binance", 0, "https://x/api/v3/exchangeInfo", {
        "symbols": [{"symbol": "BTCUSDT", "baseAsset": "BTC", "quoteAsset": "USDT"}]
    })  # fmt: skip
    assert book_of([listed, diff(1, 1, 5)], None)["symbol"] == "BTC-USDT"
    assert replay.run([[listed, diff(1, 1, 5)]], symbols=["ETH-USDT"]).books == []


def test_aliases_map_tickers_to_assets():
    snap = kraken(1, "snapshot", 3310070434, VECTOR_A_BIDS, VECTOR_A_ASKS, "XBT/USD")
    assert book_of([snap], None)["symbol"] == "BTC-USD"
    assets = {"aliases": [{"ticker": "ABC", "asset": "XYZ", "venue": "okx"}]}
    assert book_of([okx(1, "snapshot", -1, 1, BID, ASK, "ABC-USDT")], None, assets=assets)["symbol"] == "XYZ-USDT"


def test_second_connect_is_a_close():
    book = book_of([okx(1, "snapshot", -1, 10, BID, ASK), connect("okx", 2)])
    assert (book["synced"], book["conn"]) == (False, "c")


def test_bbo_source_feeds_a_book_of_one_level():
    """R8, D19: each frame replaces both sides, an older id is dropped, an equal one is applied."""

    def ticker(ms, u, bid):
        return recv("binance", ms, {"u": u, "s": "BTCUSDT", "b": bid, "B": "1", "a": "101", "A": "2"})

    venues = {"binance": {"source": "bbo"}}
    records = [ticker(1, 5, "99"), ticker(2, 5, "100"), ticker(3, 4, "98"), snapshot(4, 9, BID, ASK)]
    book = book_of(records, BTC, venues=venues)
    assert (book["seq"], book["bids"], book["asks"]) == (5, [["100", "1"]], [["101", "2"]])
    assert counts(book) == {"applied": 2, "dropped_stale": 1}


def test_clock_never_steps_back_and_every_record_moves_it():
    """R3."""
    records = [snapshot(5, 5, BID, ASK), send("binance", 9), diff(7, 6, 6)]
    assert [tick["recv_ns"] for tick in replay.run([records], symbols=BTC).ticks] == [5_000_000, 9_000_000]


def test_files_are_merged_by_their_next_record(tmp_path: Path):
    """R2: the order inside a file stays; a tie goes to the earlier file."""
    paths = []
    for name, times in (("a", (5, 1)), ("b", (5, 2))):
        lines = [
            {"t": "header", "v": 1, "venue": "okx"},
            *(okx(ms, "snapshot", -1, 1, symbol=f"{name}-U") for ms in times),
        ]
        paths.append(tmp_path / name)
        paths[-1].write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert [tick["symbol"] for tick in replay.run(paths).ticks] == ["a-U", "a-U", "b-U", "b-U"]
    assert [tick["symbol"] for tick in replay.run(paths[::-1]).ticks] == ["b-U", "b-U", "a-U", "a-U"]


def test_bad_lines_are_counted_and_a_missing_newline_is_an_error(tmp_path: Path):
    """R6."""
    path = tmp_path / "capture"
    lines = [{"t": "header", "v": 1, "venue": "okx"}, {"t": "what"}, okx(1, "snapshot", -1, 1, BID, ASK)]
    path.write_text("\n".join([*(json.dumps(line) for line in lines), "{bad", '{"t":"recv"']))
    result = replay.run([path])
    assert [line.split(":")[1] for line in result.bad_lines] == ["2", "4"]
    assert len(result.errors) == 1
    assert len(result.ticks) == 1


@pytest.mark.parametrize(
    "text", ["", "x\n", '{"t":"header","v":2,"venue":"okx"}\n', '{"t":"header","v":1,"venue":"me"}\n']
)
def test_file_without_a_header_of_ours_is_an_error(tmp_path: Path, text):
    path, notes = tmp_path / "capture", Notes()
    path.write_text(text)
    assert list(read_file(path, notes)) == []
    assert notes.errors


def test_books_never_break_on_random_bytes():
    """Whatever a frame holds, the replay goes on."""
    chance = random.Random(7)
    start = [
        okx(1, "snapshot", -1, 10, BID, ASK),
        bybit(1, "snapshot", 5, BID, ASK),
        coinbase(1, 0, event("snapshot", BID, ASK)),
    ]
    records = list(start)
    for ms in range(2, 400):
        frame = dict(chance.choice(start), ts=ms * 10**6)
        text = list(frame["data"])
        for _ in range(chance.randint(1, 3)):
            text[chance.randrange(len(text))] = chance.choice('{}[]",:0123456789-eE. ntf')
        records.append(frame | {"data": "".join(text)})
    result = replay.run([records], symbols=BTC)
    assert result.counters["frames"] == len(records)
    assert result.counters["quarantined"] == len(result.dead_letters) > 100
