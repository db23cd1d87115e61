"""The slow twin on the recorded captures: what a correct consumer gets of them stands in their EXPECTED.json."""

import io
import json
from decimal import Decimal
from pathlib import Path

import pytest
import zstandard

from . import replay

CAPTURES = Path(__file__).resolve().parents[3] / "shared" / "captures"

pytestmark = pytest.mark.skipif(not CAPTURES.is_dir(), reason=f"no captures at {CAPTURES}")


def expected(name: str) -> dict:
    return json.loads((CAPTURES / "EXPECTED.json").read_text())["captures"][name]["books"]


def assert_top_and_levels(book: dict, known: dict) -> None:
    tops = [[Decimal(part) for part in book[side][0]] for side in ("bids", "asks")]
    assert tops == [[Decimal(part) for part in top] for top in known["last_bbo"]]
    assert [len(book["bids"]), len(book["asks"])] == known["levels"]


def assert_clean(book: dict) -> None:
    assert book["synced"]
    assert [book[name] for name in ("gaps", "checksums_bad", "crossed", "quarantined")] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("name", "symbols"),
    [
        ("binance/spot_4pairs_20211012.jsonl.zst", None),
        ("binance/us_4pairs_20211012.jsonl.zst", None),
        ("binance/usdm_4pairs_20210722.jsonl.zst", None),
        ("binance/spot_btcusdt_20240808.jsonl.zst", ["BTC-USDT"]),
        ("binance/usdm_btcusdt_20240808.jsonl.zst", ["BTC-USDT-PERP"]),
        ("binance/coinm_btcusd_perp_20240808.jsonl.zst", ["BTC-USD-PERP"]),
    ],
)
def test_binance_capture_gives_the_expected_books(name, symbols):
    """Applied and dropped diffs, last id, top and depth of every book of a Binance capture are as recorded."""
    result = replay.run([CAPTURES / name], symbols=symbols)
    known = expected(name)
    books = {book["symbol"].replace("-PERP", "" if "usdm" in name else "_PERP"): book for book in result.books}
    books = {symbol.replace("-", ""): book for symbol, book in books.items()}
    assert books.keys() == known.keys()
    assert not result.errors
    assert not result.dead_letters
    for symbol, facts in known.items():
        book = books[symbol]
        assert_clean(book)
        assert_top_and_levels(book, facts)
        assert book["seq"] == facts["last_update_id"]
        assert book["snapshots"] == 1
        assert book["dropped_stale"] == facts["dropped"]
        assert book["applied"] == facts["applied"]


def test_okx_capture_verifies_every_checksum():
    """All 290 checksums of the old OKX wire verify, for books named explicitly although two are derivatives."""
    name = "okx/books_btcusdt_uni_btcfut_20220513.jsonl.zst"
    result = replay.run([CAPTURES / name], symbols=["BTC-USDT", "UNI-USD-SWAP", "BTC-USD-220527"])
    known = {symbol.removeprefix("books "): facts for symbol, facts in expected(name).items()}
    assert {book["symbol"] for book in result.books} == known.keys()
    assert sum(book["checksums_ok"] for book in result.books) == 290
    for book in result.books:
        facts = known[book["symbol"]]
        assert_clean(book)
        assert_top_and_levels(book, facts)
        counts = book["snapshots"], book["applied"], book["checksums_ok"]
        assert counts == (facts["snapshots"], facts["updates"], facts["checksum_ok"])


def test_okx_capture_has_only_spot_unless_named():
    """Without names only the spot book of the recorded list is kept."""
    result = replay.run([CAPTURES / "okx/books_btcusdt_uni_btcfut_20220513.jsonl.zst"])
    assert [book["symbol"] for book in result.books] == ["BTC-USDT"]


@pytest.mark.parametrize("venue", ["bybit", "bybit-linear"])
def test_bybit_capture_gives_the_expected_book(venue):
    """Spot and linear connections of one capture feed the venue of their address, each to the expected book."""
    name = "bybit/v5_btcusdt_spot_linear_20260809.jsonl.zst"
    with (CAPTURES / name).open("rb") as file:
        text = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), "utf-8")
        records = [json.loads(line) | {"venue": venue} for line in text]
    (book,) = replay.run([records]).books
    facts = expected(name)[f"BYBIT.ws.{'3' if venue == 'bybit' else '2'} orderbook.200.BTCUSDT"]
    assert book["symbol"] == ("BTC-USDT" if venue == "bybit" else "BTC-USDT-PERP")
    assert_clean(book)
    assert_top_and_levels(book, facts)
    assert (book["seq"], book["snapshots"], book["applied"]) == (facts["last_u"], facts["snapshot"], facts["delta"])


@pytest.mark.parametrize("name", ["kraken/v2_btcusd_d10_20260801.jsonl.zst", "kraken/v2_xrpusd_d25_20260802.jsonl.zst"])
def test_kraken_capture_verifies_every_checksum(name):
    """Every Kraken checksum verifies, cut to the subscribed depth and with the digits of the wire."""
    (book,) = replay.run([CAPTURES / name]).books
    facts = expected(name)[book["symbol"].replace("-", "/")]
    assert_clean(book)
    assert_top_and_levels(book, facts)
    counts = book["snapshots"], book["applied"], book["checksums_ok"]
    assert counts == (facts["snapshots"], facts["updates"], facts["checksum_ok"])


def test_coinbase_capture_has_an_unbroken_sequence():
    """One sequence over all channels of the connection, no gap, and the expected books."""
    name = "coinbase/advanced_btc_eth_20260809_first10s.jsonl.zst"
    result = replay.run([CAPTURES / name])
    known = expected(name)
    assert max(book["seq"] for book in result.books) == known["(connection)"]["last_sequence"]
    for book in result.books:
        facts = known[book["symbol"]]
        assert_clean(book)
        assert_top_and_levels(book, facts)
        assert (book["snapshots"], book["applied"]) == (facts["l2 snapshot"], facts["l2 update"])


@pytest.mark.parametrize("kept", [0.2, 0.999])
def test_truncated_capture_gives_what_can_be_read(tmp_path, kept):
    """R6: a file cut inside a compressed block gives the records before the cut, and an error."""
    whole = (CAPTURES / "binance/us_4pairs_20211012.jsonl.zst").read_bytes()
    cut = tmp_path / "cut.jsonl.zst"
    cut.write_bytes(whole[: int(len(whole) * kept)])
    result = replay.run([cut])
    assert any("truncated" in error for error in result.errors)
    assert not result.bad_lines
    assert (len(result.ticks) > 0) == (kept > 0.9)


def test_simultaneous_captures_as_one_group_give_opportunities():
    """Spot, USD-M and COIN-M of one minute merge into one clock; every raise has its end or stays the last word."""
    names = ("spot_btcusdt", "usdm_btcusdt", "coinm_btcusd_perp")
    members = ["binance:BTC-USDT", "binance-usdm:BTC-USDT-PERP", "binance-coinm:BTC-USD-PERP"]
    limits = {"min_spread_bps": 5, "min_liquidity_depth": 1000, "fee_bps": 0, "max_slippage_bps": 5}
    config = {"engine": {**limits, "groups": [{"name": "BTC", "members": members}]}}
    result = replay.run([CAPTURES / "binance" / f"{name}_20240808.jsonl.zst" for name in names], config)
    assert len(result.ticks) == 3449 + 6546 + 26823
    times = [tick["recv_ns"] for tick in result.ticks]
    assert times == sorted(times)
    open_now = set()
    for line in result.opportunities:
        if line["event"] == "raised":
            open_now.add(line["raw_signal_id"])
            assert line["net_bps"] >= 5 - line["impact_bps"]
            assert float(line["qty"]) * line["buy_vwap"] <= 10_000
        else:
            open_now.remove(line["raw_signal_id"])
    assert len(result.opportunities) > 50
