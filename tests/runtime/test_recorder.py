"""Recordings: what was fed live replays to the same decisions; damage and change are named."""

from pathlib import Path

import orjson
import pytest

from gambit.config import Config
from gambit.config.loading import load_layers
from gambit.runtime import recorder as recorder_module
from gambit.runtime.recorder import DECISIONS, FRAMES, Recorder, RecorderError, read_session
from gambit.runtime.verification import verify
from gambit.runtime.wiring import build_market
from gambit.sim.capture import make_capture
from tests.reference.streams import coinbase, event, okx

SETTINGS = ("engine.min_spread_bps = 5", "engine.min_liquidity_depth = 1000", "engine.fee_bps = 5")
VENUES = ["binance", "okx", "bybit", "kraken", "coinbase"]


def config() -> Config:
    """Low thresholds, so that there is something to decide."""
    return load_layers(None, {"HOME": "/nowhere"}, SETTINGS).config


def record(folder: Path, tmp_path: Path, seconds: int = 20) -> Recorder:
    """A session recorded from a made market, frame by frame as a feed would tell it."""
    capture = tmp_path / "made.jsonl"
    make_capture(capture, venues=VENUES, symbols=["BTC-USDT", "ETH-USDT"], seconds=seconds, seed=5)
    market = build_market(config())
    session = Recorder(folder, config(), 1, lambda text: None)
    conns: dict[tuple[str, str], int] = {}
    for line in capture.read_bytes().splitlines()[1:]:
        row = orjson.loads(line)
        venue, conn, ts = row["venue"], row.get("conn", ""), row["ts"]
        match row["t"]:
            case "connect":
                session.opened(venue, conn, row["addr"], ts)
                conns[venue, conn] = market.connect(venue, conn, address=row["addr"])
            case "http":
                session.fetched(venue, row["url"], row["data"].encode(), ts)
                market.on_http(venue, row["url"], row["data"].encode(), ts)
            case "send":
                session.sent(venue, conn, row["data"].encode(), ts)
            case "recv":
                session.received(venue, conn, row["data"].encode(), ts)
                market.on_frame(conns[venue, conn], row["data"].encode(), ts)
            case _:
                session.closed(venue, conn, ts)
                market.disconnect(conns[venue, conn], ts)
        for found in market.opportunities():
            session.decided(found)
    return session


def test_a_session_replays_to_the_same_decisions(tmp_path: Path) -> None:
    """Every signal and every episode's end, byte for byte."""
    folder = tmp_path / "session"
    record(folder, tmp_path).close()
    assert read_session(folder).is_whole
    verdict = verify(folder, warn=pytest.fail)
    assert verdict.difference is None
    assert verdict.decisions == len((folder / DECISIONS).read_bytes().splitlines()) > 5
    assert verdict.frames > 1000


def test_what_one_instant_ends_is_told_in_the_order_of_the_day(tmp_path: Path) -> None:
    """Two books of one connection that is lost: whichever a frame mentioned first, the market had its own order."""
    folder = tmp_path / "session"
    market = build_market(config())
    market.expect([("okx", "BTC-USDT"), ("okx", "ETH-USDT"), ("coinbase", "BTC-USDT"), ("coinbase", "ETH-USDT")])
    session = Recorder(folder, config(), 1, lambda text: None)
    session.books = lambda: market.listings
    conns = {}
    for venue in ("okx", "coinbase"):
        conns[venue] = market.connect(venue, venue, address="wss://x")
        session.opened(venue, venue, "wss://x", 0)
    for ms, symbol in enumerate(("ETH-USDT", "BTC-USDT")):
        for record in (
            okx(ms, "snapshot", -1, 10, [["100", "500"]], [["101", "500"]], symbol),
            coinbase(ms, ms, event("snapshot", [["103", "500"]], [["104", "500"]], symbol)),
        ):
            data = record["data"].encode()
            session.received(record["venue"], record["venue"], data, record["ts"])
            market.on_frame(conns[record["venue"]], data, record["ts"])
    market.disconnect(conns["okx"], record["ts"] + 5)
    session.closed("okx", "okx", record["ts"] + 5)
    events = market.opportunities()
    for one in events:
        session.decided(one)
    session.close()
    assert [(one["event"], one["symbol"]) for one in events] == [
        ("raised", "ETH-USDT"), ("raised", "BTC-USDT"), ("closed", "BTC-USDT"), ("closed", "ETH-USDT"),
    ]  # fmt: skip
    assert read_session(folder).books[0] == ("okx", "BTC-USDT")
    assert verify(folder, warn=pytest.fail) == (4, 4, None)


def test_the_first_difference_is_named(tmp_path: Path) -> None:
    """One digit changed in one recorded decision: file, line and both sides are told."""
    folder = tmp_path / "session"
    record(folder, tmp_path).close()
    lines = (folder / DECISIONS).read_bytes().splitlines()
    lines[2] = lines[2].replace(b'"recv_ns":1', b'"recv_ns":2')
    (folder / DECISIONS).write_bytes(b"\n".join(lines) + b"\n")
    verdict = verify(folder, warn=pytest.fail)
    assert verdict.difference is not None
    assert f"{folder / DECISIONS}:3" in verdict.difference
    (folder / DECISIONS).write_bytes(b"\n".join(lines[:2]) + b"\n")
    missing = verify(folder, warn=pytest.fail).difference
    assert missing is not None
    assert "more in the replay" in missing


def test_another_configuration_is_refused(tmp_path: Path) -> None:
    """The settings belong to the session; changed ones would prove nothing."""
    folder = tmp_path / "session"
    record(folder, tmp_path, seconds=2).close()
    path = folder / "session.json"
    path.write_text(path.read_text().replace('"min_spread_bps": "5"', '"min_spread_bps": "6"'))
    with pytest.raises(RecorderError, match="made with another one"):
        verify(folder, warn=pytest.fail)
    with pytest.raises(RecorderError, match=r"is .* a recording"):
        verify(tmp_path / "nothing", warn=pytest.fail)


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    """A recording never writes over another."""
    record(tmp_path / "session", tmp_path, seconds=1).close()
    with pytest.raises(RecorderError, match="not empty"):
        Recorder(tmp_path / "session", config(), 1, lambda text: None)


def test_binary_frames_are_kept_as_they_came(tmp_path: Path) -> None:
    """Bytes that are no text are written as b64."""
    from gambit.runtime.capture import CountBytes, chunks

    session = Recorder(tmp_path / "s", config(), 1, lambda text: None)
    session.opened("okx", "a", "ws://x", 1)
    session.received("okx", "a", b"\xff\x00", 2)
    session.close()
    lines = b"".join(chunks(tmp_path / "s" / FRAMES, CountBytes())).splitlines()
    assert orjson.loads(lines[2]) == {"t": "recv", "ts": 2, "venue": "okx", "conn": "a", "b64": "/wA="}


def test_dropped_frames_leave_a_visible_hole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the disk cannot take is counted, and the connection begins again behind the hole."""
    from gambit.runtime.capture import CountBytes, chunks

    session = Recorder(tmp_path / "s", config(), 1, lambda text: None)
    session.opened("okx", "a", "ws://x", 1)
    monkeypatch.setattr(recorder_module, "WAITING_BYTES_MAX", -1)
    session.received("okx", "a", b"lost", 2)
    monkeypatch.undo()
    while session._waiting:
        session._wake.set()
    session.received("okx", "a", b"kept", 3)
    session.close()
    kinds = [orjson.loads(line) for line in b"".join(chunks(tmp_path / "s" / FRAMES, CountBytes())).splitlines()[1:]]
    assert [(row["t"], row["ts"]) for row in kinds] == [("connect", 1), ("close", 3), ("connect", 3), ("recv", 3)]
    assert session.dropped == 1
    assert not read_session(tmp_path / "s").is_whole


def test_a_disk_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recording ends with file and reason; feeding it on does no harm; the session says that it is not whole."""
    told: list[str] = []
    monkeypatch.setattr(recorder_module, "FRAMES", "/dev/full")
    session = Recorder(tmp_path / "s", config(), 1, told.append)
    session.received("okx", "a", b"x" * 1_000_000, 1)
    session.close()
    for _ in range(3):
        session.received("okx", "a", b"x", 2)
        session.decided({"event": "raised"})
    assert not session._waiting  # it would grow for as long as the daemon lives
    assert told == ["/tmp/nothing: No space left on device".replace("/tmp/nothing", str(tmp_path / "s"))]
    assert session.failed == told[0]
    assert not read_session(tmp_path / "s").is_whole
