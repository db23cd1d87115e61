"""Replay over captures that are whole: what is put out does not depend on how the records lie on disk, and memory does
not depend on how many they are."""

import gzip
import io
import subprocess
import sys
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
import zstandard

from gambit.config import Config, load
from gambit.runtime.replay import ReplayError, replay
from gambit.sim.capture import make_capture
from gambit.sim.faults import encode_line
from tests.runtime.running import ENVIRONMENT, WAIT_SEC, run

EMITS = ("ticks", "opportunities", "books")
MEGABYTE = 1 << 20
SHORT, LONG = 100, 400  # how often the records are repeated; both fill every buffer
STATUS = Path("/proc/self/status")
MEASURE = """
import sys
from pathlib import Path
from gambit.config import Config
from gambit.runtime.replay import replay
with open("/dev/null", "wb") as out:
    replay([Path(sys.argv[1])], Config(), symbols=None, emit=sys.argv[2], out=out)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""

Record = dict[str, Any]


def written(path: Path, records: Sequence[Record]) -> Path:
    """The records as a plain capture."""
    path.write_bytes(b"".join(map(encode_line, records)))
    return path


@pytest.fixture(scope="module")
def records(capture: Path) -> list[Record]:
    """The records of the capture, its header first."""
    return [orjson.loads(line) for line in capture.read_bytes().splitlines()]


@pytest.fixture(scope="module")
def lively(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Config]:
    """A capture and a configuration that give signals of every venue's books."""
    folder = tmp_path_factory.mktemp("lively")
    make_capture(folder / "x.jsonl", venues=["okx", "bybit", "kraken"], symbols=["BTC-USDT"], seconds=60, seed=4)
    settings = folder / "settings.toml"
    settings.write_text(
        "[engine]\nmin_spread_bps = 5\nmin_liquidity_depth = 1000\n"
        "[venues]\nokx = {taker_fee_bps = 0}\nbybit = {taker_fee_bps = 0}\nkraken = {taker_fee_bps = 0}\n"
    )
    return folder / "x.jsonl", load(settings, {})


def ticker(ts: int, symbol: str) -> Record:
    """A best-bid-ask frame of Kraken's."""
    row = f'{{"symbol":"{symbol}","bid":1.5,"bid_qty":1e-8,"ask":20e-1,"ask_qty":1.10}}'
    return {"t": "recv", "ts": ts, "conn": "c", "data": f'{{"channel":"ticker","type":"update","data":[{row}]}}'}


@pytest.fixture(scope="module")
def best_prices(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A configuration that takes Kraken's tickers for its books."""
    file = tmp_path_factory.mktemp("settings") / "bbo.toml"
    file.write_text('[venues.kraken]\nsource = "bbo"\n')
    return load(file, {})


# ---- how records lie on disk ----


@pytest.mark.parametrize("emit", EMITS)
@pytest.mark.parametrize(("suffix", "pack"), [(".zst", zstandard.compress), (".gz", gzip.compress)])
def test_compressed_and_plain_are_the_same(
    suffix: str, pack: Callable[[bytes], bytes], emit: str, capture: Path, tmp_path: Path
) -> None:
    """A compressed capture gives the bytes that the plain one gives."""
    file = tmp_path / f"packed.jsonl{suffix}"
    file.write_bytes(pack(capture.read_bytes()))
    assert run(file, emit) == run(capture, emit)


@pytest.mark.parametrize("emit", EMITS)
def test_several_files_are_one(emit: str, records: list[Record], tmp_path: Path) -> None:
    """Dealt to three files anyhow, records with times of their own come back in their order (R2)."""
    header, *rest = records
    ordered = [{**record, "ts": record["ts"] + k} for k, record in enumerate(sorted(rest, key=lambda r: r["ts"]))]
    rng = Random(1)
    hands: list[list[Record]] = [[header], [header], [header]]
    for record in ordered:
        rng.choice(hands).append(record)
    files = [written(tmp_path / f"{k}.jsonl", hand) for k, hand in enumerate(hands)]
    assert run(files, emit) == run(written(tmp_path / "one.jsonl", [header, *ordered]), emit)


def test_a_tie_goes_to_the_file_named_first(best_prices: Config, tmp_path: Path) -> None:
    """At one instant the order of the command line decides, and within a file that of its lines."""
    header = {"t": "header", "v": 1, "venue": "kraken"}
    one = written(tmp_path / "one.jsonl", [header, ticker(7, "A/X"), ticker(7, "B/X")])
    two = written(tmp_path / "two.jsonl", [header, ticker(7, "C/X"), ticker(7, "D/X")])
    for files, order in (([one, two], "ABCD"), ([two, one], "CDAB")):
        ticks = run(files, config=best_prices).out.splitlines()
        assert "".join(orjson.loads(tick)["symbol"][0] for tick in ticks) == order


def test_files_are_merged_by_their_next_record(best_prices: Config, tmp_path: Path) -> None:
    """A file whose times step back is not sorted: its next record waits for its turn by its own time, the clock stays
    (R2, R3)."""
    header = {"t": "header", "v": 1, "venue": "kraken"}
    one = written(tmp_path / "one.jsonl", [header, ticker(10, "A/X"), ticker(3, "B/X"), ticker(20, "C/X")])
    two = written(tmp_path / "two.jsonl", [header, ticker(5, "D/X"), ticker(11, "E/X")])
    ticks = [orjson.loads(tick) for tick in run([one, two], config=best_prices).out.splitlines()]
    told = [(tick["symbol"][0], tick["recv_ns"]) for tick in ticks]
    assert told == [("D", 5), ("A", 10), ("B", 10), ("E", 11), ("C", 20)]


def test_venues_are_named_by_records_and_headers(records: list[Record], tmp_path: Path) -> None:
    """A record's venue goes before the header's, and both may be spelled as headers are (R1)."""
    header, *rest = records
    plain = run(written(tmp_path / "plain.jsonl", records))
    for venue in ("binance", "binance-spot"):
        renamed = [{**r, "venue": venue} if r["venue"] == "binance" else r for r in rest]
        assert run(written(tmp_path / "a.jsonl", [header, *renamed])) == plain
        bare = [{k: v for k, v in r.items() if k != "venue" or v != "binance"} for r in rest]
        assert run(written(tmp_path / "b.jsonl", [{**header, "venue": venue}, *bare])) == plain


# ---- what comes out ----


@pytest.mark.parametrize("emit", EMITS)
def test_twice_the_same(emit: str, lively: tuple[Path, Config]) -> None:
    """Same input and configuration, the same bytes, and there are some."""
    file, config = lively
    first = run(file, emit, config=config)
    assert first.out
    assert first == run(file, emit, config=config)


def test_ticks(best_prices: Config, tmp_path: Path) -> None:
    """The fields of a tick in their order, decimal texts without exponents and with the value that was sent."""
    file = written(tmp_path / "x.jsonl", [{"t": "header", "v": 1, "venue": "kraken"}, ticker(7, "BTC/USD")])
    (tick,) = [orjson.loads(line) for line in run(file, config=best_prices).out.splitlines()]
    assert list(tick) == [
        "recv_ns", "venue", "symbol", "bid", "bid_qty", "ask", "ask_qty", "exchange_ts_ns", "seq",
    ]  # fmt: skip
    assert (tick["recv_ns"], tick["venue"], tick["symbol"]) == (7, "kraken", "BTC-USD")
    assert [Decimal(tick[name]) for name in ("bid", "bid_qty", "ask", "ask_qty")] == [
        Decimal(text) for text in ("1.5", "0.00000001", "2", "1.1")
    ]
    assert not any("e" in tick[name].lower() for name in ("bid", "bid_qty", "ask", "ask_qty"))
    assert tick["exchange_ts_ns"] is None
    assert tick["seq"] is None


def test_books(capture: Path) -> None:
    """The fields of a book, both sides best first, one line a book by venue and symbol."""
    books = [orjson.loads(line) for line in run(capture, "books").out.splitlines()]
    assert [(book["venue"], book["symbol"]) for book in books] == [("binance", "BTC-USDT"), ("kraken", "BTC-USDT")]
    for book in books:
        assert set(book) == {
            "venue", "symbol", "conn", "synced", "seq", "bids", "asks", "snapshots", "applied", "dropped_stale", "gaps",
            "checksums_ok", "checksums_bad", "crossed", "quarantined",
        }  # fmt: skip
        bids, asks = ([Decimal(price) for price, _qty in book[side]] for side in ("bids", "asks"))
        assert bids == sorted(bids, reverse=True)
        assert asks == sorted(asks)
        assert bids[0] < asks[0]


def test_stats(capture: Path, records: list[Record]) -> None:
    """Counts of records, frames and books, speed, and latencies of every stage."""
    (stats,) = [orjson.loads(line) for line in run(capture, "stats").out.splitlines()]
    frames = [record for record in records if record["t"] == "recv"]
    assert (stats["records"], stats["frames"], stats["bad_lines"]) == (len(records) - 1, len(frames), 0)
    assert stats["frames_per_s"] == pytest.approx(stats["frames"] / stats["seconds"])
    for venue in ("binance", "kraken"):
        assert stats["venues"][venue]["frames"] == sum(record["venue"] == venue for record in frames)
    books = [orjson.loads(line) for line in run(capture, "books").out.splitlines()]
    assert [book["applied"] for book in stats["books"]] == [book["applied"] for book in books]
    assert {"scan", "book", "engine", "frame"} <= stats["latency_ns"].keys()


def test_an_observer_sees_what_is_put_out(lively: tuple[Path, Config]) -> None:
    """Every signal and episode end, as a dict, in the order of the output, whatever is emitted."""
    file, config = lively
    seen: list[dict[str, object]] = []
    replay([file], config, symbols=None, emit="books", out=io.BytesIO(), observe=seen.append)
    assert seen == [orjson.loads(line) for line in run(file, "opportunities", config=config).out.splitlines()]
    assert {event["event"] for event in seen} == {"raised", "closed"}


def test_the_best_signals_are_in_the_stats(lively: tuple[Path, Config]) -> None:
    """Top N by score, then net, then profit, best first; open episodes are the raised ones that did not end (R30)."""
    file, config = lively
    events = [orjson.loads(line) for line in run(file, "opportunities", config=config).out.splitlines()]
    stats = orjson.loads(run(file, "stats", config=config).out)
    raised = [event for event in events if event["event"] == "raised"]
    ranked = sorted(raised, key=lambda e: (-e["score"], -e["net_bps"], -e["profit_quote"], e["symbol"], e["venue_buy"]))
    assert [event["opp_id"] for event in stats["top"]] == [event["opp_id"] for event in ranked[: config.engine.top_n]]
    closed = [event["raw_signal_id"] for event in events if event["event"] == "closed"]
    assert (stats["signals"], stats["closed"]) == (len(raised), len(closed))
    assert stats["open"] == len({event["raw_signal_id"] for event in raised} - set(closed))


def test_a_short_ranking_of_many_signals(lively: tuple[Path, Config], tmp_path: Path) -> None:
    """Only the best are kept, and they are the best of all."""
    file, config = lively
    (all_of_them,) = [orjson.loads(run(file, "stats", config=config).out)]
    settings = tmp_path / "one.toml"
    settings.write_text(
        "[engine]\nmin_spread_bps = 5\nmin_liquidity_depth = 1000\ntop_n = 1\n"
        "[venues]\nokx = {taker_fee_bps = 0}\nbybit = {taker_fee_bps = 0}\nkraken = {taker_fee_bps = 0}\n"
    )
    (best,) = orjson.loads(run(file, "stats", config=load(settings, {})).out)["top"]
    assert best["opp_id"] == all_of_them["top"][0]["opp_id"]
    assert all_of_them["signals"] > 16


def test_equal_signals_of_different_books_are_all_ranked(tmp_path: Path) -> None:
    """Two books of a venue in one group may give the same numbers at the same instant."""
    settings = tmp_path / "group.toml"
    members = '["kraken:AAA-USD", "kraken:AAA-USDT", "okx:AAA-USDT"]'
    settings.write_text(
        "[engine]\nmin_spread_bps = 5\nmin_liquidity_depth = 1000\nmax_notional = 1000000\n"
        f'[[engine.groups]]\nname = "AAA"\nmembers = {members}\n'
        '[venues]\nokx = {taker_fee_bps = 0, source = "bbo"}\nkraken = {taker_fee_bps = 0, source = "bbo"}\n'
    )
    entry = {"asks": [["2.1", "1000000"]], "bids": [["2.02", "1000000"]], "ts": "5", "seqId": 7}
    okx = {"arg": {"channel": "bbo-tbt", "instId": "AAA-USDT"}, "data": [entry]}
    tickers = [ticker(7, f"AAA/{quote}") for quote in ("USD", "USDT")]
    big = [{**r, "venue": "kraken", "data": r["data"].replace("1e-8", "1e6").replace("1.10", "1e6")} for r in tickers]
    frame = {"t": "recv", "ts": 8, "conn": "c", "venue": "okx", "data": orjson.dumps(okx).decode()}
    file = written(tmp_path / "x.jsonl", [{"t": "header", "v": 1, "venue": "multi"}, *big, frame])
    stats = orjson.loads(run(file, "stats", config=load(settings, {})).out)
    assert [event["symbol_buy"] for event in stats["top"]] == ["AAA-USD", "AAA-USDT"]


def test_symbols_are_a_filter(capture: Path) -> None:
    """What was not asked for has no book, and its frames are counted as skipped."""
    outcome = run(capture, "books", symbols=["ETH-USDT"])
    assert (outcome.code, outcome.out, outcome.said) == (0, b"", ())
    stats = orjson.loads(run(capture, "stats", symbols=["ETH-USDT"]).out)
    assert all(counts["skipped"] > 0 for counts in stats["venues"].values())


def test_progress_is_told_in_bytes(records: list[Record], tmp_path: Path) -> None:
    """It grows to at most the size of the files, by a megabyte or more at a time."""
    file = written(tmp_path / "long.jsonl", [records[0], *records[1:] * 20])
    told: list[tuple[int, int]] = []

    def tell(now: int, total: int) -> None:
        told.append((now, total))

    replay([file], Config(), symbols=None, emit="books", out=io.BytesIO(), on_progress=tell)
    done = [now for now, _ in told]
    assert {total for _, total in told} == {file.stat().st_size}
    assert 1 < len(done) <= file.stat().st_size // MEGABYTE
    assert done == sorted(done)
    assert done[-1] <= file.stat().st_size


def test_a_replay_of_an_unknown_venue_does_not_begin(records: list[Record], tmp_path: Path) -> None:
    """Nothing is put out, of the other files neither: one of them is not what it was taken for."""
    good = written(tmp_path / "good.jsonl", records)
    bad = written(tmp_path / "bad.jsonl", [{**records[0], "venue": "atlantis"}, *records[1:]])
    out = io.BytesIO()
    with pytest.raises(ReplayError, match=r"bad\.jsonl:1: unknown venue 'atlantis'; known are binance, "):
        replay([good, bad], Config(), symbols=None, emit="ticks", out=out)
    assert out.getvalue() == b""


# ---- memory ----


@pytest.mark.skipif(not STATUS.exists(), reason=f"no {STATUS}")
@pytest.mark.parametrize("emit", ["ticks", "opportunities"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_memory_is_flat(emit: str, suffix: str, records: list[Record], tmp_path: Path) -> None:
    """A capture four times as long takes no more memory, in C or in Python."""
    header, *rest = records
    body = b"".join(map(encode_line, rest))
    peaks = []
    for times in (SHORT, LONG):
        file = tmp_path / f"{times}.jsonl{suffix}"
        content = encode_line(header) + body * times
        file.write_bytes(gzip.compress(content, 1) if suffix else content)
        words = [sys.executable, "-c", MEASURE, str(file), emit]
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=WAIT_SEC, env={**ENVIRONMENT, "PYTHONPATH": "."}, check=True
        )
        peaks.append(int(done.stdout) * 1024)
    assert len(body) * (LONG - SHORT) > 40 * MEGABYTE
    assert peaks[1] - peaks[0] < 4 * MEGABYTE, peaks  # allocators are not exact
