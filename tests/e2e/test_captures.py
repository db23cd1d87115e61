"""Captures of real exchanges through gambit's replay: what a correct consumer gets of them stands in EXPECTED.json,
what three of one time give together says the slow twin. Skipped where the captures are not beside the project."""

import io
import json
from collections import defaultdict, deque
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard

from gambit.config import Config, load
from gambit.runtime.replay import replay
from gambit.runtime.wiring import build_market
from gambit.sim.faults import encode_line
from gambit.venues import VENUES
from tests.engine.agreement import lines_difference
from tests.reference import replay as twin

CAPTURES = Path(__file__).resolve().parents[3] / "shared" / "captures"

pytestmark = pytest.mark.skipif(not CAPTURES.is_dir(), reason=f"no captures at {CAPTURES}")

# Captures without an instrument list need their symbols named.
BINANCE = {
    "binance/spot_4pairs_20211012.jsonl.zst": None,
    "binance/us_4pairs_20211012.jsonl.zst": None,
    "binance/usdm_4pairs_20210722.jsonl.zst": None,
    "binance/spot_btcusdt_20240808.jsonl.zst": ["BTC-USDT"],
    "binance/usdm_btcusdt_20240808.jsonl.zst": ["BTC-USDT-PERP"],
    "binance/coinm_btcusd_perp_20240808.jsonl.zst": ["BTC-USD-PERP"],
}
TOGETHER = ("spot_btcusdt", "usdm_btcusdt", "coinm_btcusd_perp")
GROUP = '["binance:BTC-USDT", "binance-usdm:BTC-USDT-PERP", "binance-coinm:BTC-USD-PERP"]'
# Zero fees, every threshold at the least that its range allows.
LEAST = f"""
[engine]
min_spread_bps = 5
min_liquidity_depth = 1000
max_slippage_bps = 5
opportunity_ttl_sec = 5
window_size_sec = 1
safety_margin_bps = 0
min_persistence = 0
groups = [{{ name = "BTC", members = {GROUP} }}]
[venues]
binance = {{ taker_fee_bps = 0 }}
binance-usdm = {{ taker_fee_bps = 0 }}
binance-coinm = {{ taker_fee_bps = 0 }}
"""

TOUCH = ("bid", "bid_qty", "ask", "ask_qty")

Line = dict[str, Any]


def expected(name: str) -> dict[str, Line]:
    """What is known of the books of a capture, by the venue's names."""
    known: dict[str, Line] = json.loads((CAPTURES / "EXPECTED.json").read_text())["captures"][name]["books"]
    return known


def told(
    files: Sequence[Path], emit: str, *, symbols: Sequence[str] | None = None, config: Config | None = None
) -> bytes:
    """What a replay writes; it ends well and has nothing to warn of."""
    out = io.BytesIO()
    warnings: list[str] = []
    result = replay(files, config or Config(), symbols=symbols, emit=emit, out=out, warn=warnings.append)
    assert (result.exit_code, warnings) == (0, [])
    return out.getvalue()


def books_of(name: str, symbols: Sequence[str] | None) -> list[Line]:
    """The books at the end of a capture."""
    return [orjson.loads(line) for line in told([CAPTURES / name], "books", symbols=symbols).splitlines()]


def records_of(name: str) -> list[Line]:
    """The records of a capture, header included."""
    with (CAPTURES / name).open("rb") as file:
        return [orjson.loads(line) for line in zstandard.ZstdDecompressor().stream_reader(file).read().splitlines()]


def written(records: Sequence[Line], path: Path) -> Path:
    """The records as a plain capture."""
    path.write_bytes(b"".join(map(encode_line, records)))
    return path


def assert_as_known(book: Line, known: Line) -> None:
    """A book that was believed to the end, with the recorded last touch and number of levels."""
    assert book["synced"]
    assert [book[count] for count in ("gaps", "checksums_bad", "crossed", "quarantined")] == [0, 0, 0, 0]
    tops = [tuple(map(Decimal, book[side][0])) for side in ("bids", "asks")]
    assert tops == [tuple(map(Decimal, top)) for top in known["last_bbo"]]
    assert [len(book["bids"]), len(book["asks"])] == known["levels"]


def spelled(symbol: str) -> str:
    """A symbol as Binance spells it; USD-M perpetuals have no suffix."""
    return symbol.replace("-USDT-PERP", "USDT").replace("-PERP", "_PERP").replace("-", "")


@pytest.mark.parametrize(("name", "symbols"), BINANCE.items())
def test_binance(name: str, symbols: Sequence[str] | None) -> None:
    """Snapshots join their diffs: applied and dropped diffs, last ids, touches and levels are the known ones."""
    books = {spelled(book["symbol"]): book for book in books_of(name, symbols)}
    known = expected(name)
    assert books.keys() == known.keys()
    for symbol, book in books.items():
        assert_as_known(book, known[symbol])
        counts = [book[count] for count in ("seq", "snapshots", "dropped_stale", "applied")]
        assert counts == [known[symbol]["last_update_id"], 1, known[symbol]["dropped"], known[symbol]["applied"]]


@pytest.mark.parametrize(("name", "symbols"), BINANCE.items())
def test_binance_books_equal_the_best_prices_at_every_diff(
    name: str, symbols: Sequence[str] | None, tmp_path: Path
) -> None:
    """After each applied diff the book's touch is that of the latest bookTicker whose id is not above the diff's."""
    records = records_of(name)
    files = [written(with_early_snapshots(records), tmp_path / "early.jsonl")]
    ticks = [orjson.loads(line) for line in told(files, "ticks", symbols=symbols).splitlines()]
    tops = best_prices(records)
    equal = dict.fromkeys(snapshots_of(records), 0)
    for tick in ticks:
        symbol, touch = spelled(tick["symbol"]), tuple(Decimal(tick[part]) for part in TOUCH)
        latest = tops[symbol]
        while len(latest) > 1 and latest[1][0] <= tick["seq"]:
            latest.popleft()
        is_of_diff = tick["exchange_ts_ns"] is not None
        if is_of_diff and latest and latest[0][0] <= tick["seq"]:
            assert touch == latest[0][1], (symbol, tick["seq"])
            equal[symbol] += 1
    assert equal == {symbol: known["bbo_equals_bookTicker"] for symbol, known in expected(name).items()}


def payload(record: Line) -> Line:
    """What a frame says, without the wrapping of combined streams."""
    frame: Line = orjson.loads(record["data"])
    return frame.get("data", frame)


def is_diff(record: Line) -> bool:
    """Whether a record is a depth diff."""
    return record["t"] == "recv" and "depthUpdate" in record["data"]


def is_snapshot_of(record: Line, symbol: str) -> bool:
    """Whether a record is the REST snapshot of a book, the only one there is where its address was not kept."""
    if record["t"] != "http" or "lastUpdateId" not in record["data"]:
        return False
    return f"symbol={symbol}" in record["url"] or "symbol=" not in record["url"]


def snapshots_of(records: Sequence[Line]) -> dict[str, int]:
    """The lastUpdateId of each book's snapshot."""
    answers = [record for record in records if record["t"] == "http"]
    return {
        symbol: orjson.loads(answer["data"])["lastUpdateId"]
        for symbol in {payload(record)["s"] for record in records if is_diff(record)}
        for answer in answers
        if is_snapshot_of(answer, symbol)
    }


def with_early_snapshots(records: Sequence[Line]) -> list[Line]:
    """The same records with each snapshot right before the first diff that it joins, so that no diff is applied
    together with it and the touch can be seen after each."""
    ids = snapshots_of(records)
    moved = {symbol: next(r for r in records if is_snapshot_of(r, symbol)) for symbol in ids}
    early: list[Line] = []
    for record in records:
        if is_diff(record) and payload(record)["s"] in moved:
            diff = payload(record)
            if diff["u"] > ids[diff["s"]] or (diff["u"] == ids[diff["s"]] and "pu" in diff):
                early.append({**moved.pop(diff["s"]), "ts": record["ts"]})
        if not any(is_snapshot_of(record, symbol) for symbol in ids):
            early.append(record)
    return early


def best_prices(records: Sequence[Line]) -> dict[str, deque[tuple[int, tuple[Decimal, ...]]]]:
    """(id, (bid, quantity, ask, quantity)) of the bookTickers of each symbol, in their order."""
    tops: dict[str, deque[tuple[int, tuple[Decimal, ...]]]] = defaultdict(deque)
    for record in records:
        if record["t"] == "recv" and '"B"' in record["data"]:
            top = payload(record)
            if "u" in top:  # a 24hrTicker has best prices too
                tops[top["s"]].append((top["u"], tuple(Decimal(top[part]) for part in "bBaA")))
    return tops


def test_okx_of_the_old_wire() -> None:
    """All 290 checksums verify, of books named explicitly although two are derivatives."""
    name = "okx/books_btcusdt_uni_btcfut_20220513.jsonl.zst"
    books = books_of(name, ["BTC-USDT", "UNI-USD-SWAP", "BTC-USD-220527"])
    known = {symbol.removeprefix("books "): facts for symbol, facts in expected(name).items()}
    assert {book["symbol"] for book in books} == known.keys()
    assert sum(book["checksums_ok"] for book in books) == 290
    for book in books:
        facts = known[book["symbol"]]
        assert_as_known(book, facts)
        counts = [book[count] for count in ("snapshots", "applied", "checksums_ok")]
        assert counts == [facts["snapshots"], facts["updates"], facts["checksum_ok"]]


def test_okx_keeps_spot_unless_it_is_named() -> None:
    """Without names only the spot instrument of the recorded list has a book."""
    (book,) = books_of("okx/books_btcusdt_uni_btcfut_20220513.jsonl.zst", None)
    assert book["symbol"] == "BTC-USDT"


@pytest.mark.parametrize(("venue", "conn"), [("bybit", "ws.3"), ("bybit-linear", "ws.2")])
def test_bybit(venue: str, conn: str, tmp_path: Path) -> None:
    """The spot and the linear connection of one capture each feed the venue of their address, none the other."""
    name = "bybit/v5_btcusdt_spot_linear_20260809.jsonl.zst"
    header, *records = records_of(name)
    file = written([{**header, "venue": venue}, *records], tmp_path / "capture.jsonl")
    (book,) = [orjson.loads(line) for line in told([file], "books").splitlines()]
    facts = expected(name)[f"BYBIT.{conn} orderbook.200.BTCUSDT"]
    assert book["symbol"] == ("BTC-USDT" if venue == "bybit" else "BTC-USDT-PERP")
    assert_as_known(book, facts)
    counts = [book[count] for count in ("seq", "snapshots", "applied")]
    assert counts == [facts["last_u"], facts["snapshot"], facts["delta"]]


@pytest.mark.parametrize("name", ["kraken/v2_btcusd_d10_20260801.jsonl.zst", "kraken/v2_xrpusd_d25_20260802.jsonl.zst"])
def test_kraken(name: str) -> None:
    """Every checksum verifies, with the digits of the wire and the book cut to its depth."""
    (book,) = books_of(name, None)
    facts = expected(name)[book["symbol"].replace("-", "/")]
    assert_as_known(book, facts)
    counts = [book[count] for count in ("snapshots", "applied", "checksums_ok")]
    assert counts == [facts["snapshots"], facts["updates"], facts["checksum_ok"]]


def test_coinbase() -> None:
    """One unbroken sequence over all channels of the connection, two books of thousands of levels."""
    name = "coinbase/advanced_btc_eth_20260809_first10s.jsonl.zst"
    books, known = books_of(name, None), expected(name)
    assert [book["symbol"] for book in books] == ["BTC-USD", "ETH-USD"]
    assert max(book["seq"] for book in books) == known["(connection)"]["last_sequence"]
    for book in books:
        facts = known[book["symbol"]]
        assert_as_known(book, facts)
        assert [book["snapshots"], book["applied"]] == [facts["l2 snapshot"], facts["l2 update"]]


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], Config]:
    """Spot, USD-M and COIN-M of the same minutes, and a configuration that compares them."""
    file = tmp_path_factory.mktemp("together") / "least.toml"
    file.write_text(LEAST)
    return [CAPTURES / "binance" / f"{name}_20240808.jsonl.zst" for name in TOGETHER], load(file, {})


def test_simultaneous_captures_give_the_twins_opportunities(together: tuple[list[Path], Config]) -> None:
    """Three markets as one group without fees: dozens of opportunities, each to 1e-9 as the slow twin says."""
    files, config = together
    ours = [orjson.loads(line) for line in told(files, "opportunities", config=config).splitlines()]
    members = ["binance:BTC-USDT", "binance-usdm:BTC-USDT-PERP", "binance-coinm:BTC-USD-PERP"]
    engine = {
        "min_spread_bps": 5,
        "min_liquidity_depth": 1000,
        "max_slippage_bps": 5,
        "opportunity_ttl_sec": 5,
        "window_size_sec": 1,
        "groups": [{"name": "BTC", "members": members}],
    }
    venues = {member.partition(":")[0]: {"taker_fee_bps": 0} for member in members}
    twins = twin.run(files, {"engine": engine, "venues": venues})
    assert lines_difference(ours, twins.opportunities) is None
    assert len([line for line in ours if line["event"] == "raised"]) > 40


@pytest.mark.parametrize("emit", ["opportunities", "ticks", "books"])
def test_simultaneous_captures_give_the_same_bytes_twice(together: tuple[list[Path], Config], emit: str) -> None:
    """Same input and configuration, byte-identical output."""
    files, config = together
    assert told(files, emit, config=config) == told(files, emit, config=config)


@pytest.mark.parametrize("venue", VENUES)
def test_sample_frames_are_never_fatal(venue: str) -> None:
    """Single messages of all kinds, old wires and private channels among them, some of them spread over many lines:
    each is counted and none of them makes anything fall over."""
    folder = CAPTURES / venue.partition("-")[0]
    lines = [line for file in sorted(folder.glob("*s_*.jsonl")) for line in file.read_text().splitlines()]
    frames = [orjson.loads(line)["raw"] for line in lines]
    market = build_market(Config(), ["BTC-USDT"])
    conn = market.connect(venue, "c")
    for number, frame in enumerate(frames):
        text = frame if isinstance(frame, str) else json.dumps(frame)
        market.on_frame(conn, text.encode(), number)
        market.on_http(venue, "https://x/?symbol=BTCUSDT", text.encode(), number)
    assert frames
    assert market.hot.venue_counts(market.venues[venue].index)["frames"] == len(frames)
