"""Simulated captures: the contract's format, the same bytes for the same seed, and what a real recording would hold."""

import gzip
import io
import json
import tracemalloc
from itertools import pairwise

import pytest
import zstandard

from gambit.sim.capture import Scene, make_capture, records, scene_records
from gambit.sim.dialects import QUIRKS, SPELL, WIRES
from gambit.sim.faults import encode_line, is_book_frame
from gambit.sim.market import SECOND_NS, Shift, Temper
from gambit.sim.recording import CONNECTION_INCIDENTS, INCIDENTS, START_NS, Incident
from gambit.sim.wire import WireOptions

from .follower import Follower

FIVE = ("binance", "okx", "bybit", "kraken", "coinbase")
ALL = tuple(WIRES)


def read(path):
    """The records of a capture file."""
    raw = path.read_bytes()
    if path.suffix == ".gz":
        assert raw[4:8] == bytes(4)  # no time of writing
        raw = gzip.decompress(raw)
    elif path.suffix == ".zst":
        raw = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(raw)).read()
    assert raw.endswith(b"\n")
    return [json.loads(line) for line in raw.splitlines()]


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst"])
def test_the_same_seed_gives_the_same_bytes(tmp_path, suffix):
    """A file is a function of its arguments, compressed or not."""
    files = [tmp_path / f"{name}{suffix}" for name in "abc"]
    for path, seed in zip(files, [4, 4, 5], strict=True):
        make_capture(path, venues=FIVE, symbols=["BTC-USDT"], seconds=1, seed=seed)
    assert files[0].read_bytes() == files[1].read_bytes() != files[2].read_bytes()


def test_a_file_holds_the_records(tmp_path):
    """The file and records() agree, faults and all."""
    wanted = {"venues": FIVE, "symbols": ["BTC-USDT", "PEPE-USDT"], "seconds": 2, "seed": 1, "faults": ["gap", "hole"]}
    make_capture(tmp_path / "x.jsonl.zst", **wanted)
    assert read(tmp_path / "x.jsonl.zst") == list(records(**wanted))


def test_records_have_the_contract_s_shape():
    """A header, then connect, send, recv and http records in order of ts, each with its venue if there are several."""
    header, *rest = records(venues=ALL, symbols=["BTC-USDT", "ETH-USDT"], seconds=2, seed=2)
    assert (header["t"], header["v"], header["venue"]) == ("header", 1, "multi")
    times = [record["ts"] for record in rest]
    assert times == sorted(times)
    fields = {
        "connect": {"t", "ts", "conn", "venue", "addr"},
        "send": {"t", "ts", "conn", "venue", "addr", "data"},
        "recv": {"t", "ts", "conn", "venue", "data"},
        "http": {"t", "ts", "conn", "venue", "url", "data"},
    }
    assert {record["t"] for record in rest} == set(fields)
    for record in rest:
        assert set(record) == fields[record["t"]]
        assert type(record["ts"]) is int
        assert record["venue"] in ALL


@pytest.mark.parametrize(
    ("venue", "name"), [("binance", "binance-spot"), ("coinbase", "coinbase-advanced"), ("okx", "okx")]
)
def test_a_file_of_one_venue_names_it_in_the_header(venue, name):
    """Then the records carry no venue of their own."""
    header, *rest = records(venues=[venue], symbols=["BTC-USDT"], seconds=1, seed=2)
    assert header["venue"] == name
    assert not any("venue" in record for record in rest)


def follow(stream):
    """A follower per connection over a whole recording; the last connection's followers by venue."""
    followers, last = {}, {}
    pending = {}
    for record in stream:
        key = record.get("venue"), record.get("conn")
        if record["t"] == "connect":
            followers[key] = last[record["venue"]] = Follower(record["venue"])
            for venue, spelt in list(pending):
                if venue == record["venue"]:
                    del pending[venue, spelt]
        elif record["t"] == "http" and "depth?" in record["url"]:
            spelt = record["url"].split("symbol=")[1].split("&")[0]
            last[record["venue"]].join(record["data"], spelt)
            for text in pending.pop((record["venue"], spelt), []):
                last[record["venue"]].hear(text)
        elif record["t"] == "recv":
            spelt = json.loads(record["data"]).get("data", {}) if record["venue"].startswith("binance") else {}
            waits = spelt.get("e") == "depthUpdate" and spelt["s"] not in followers[key].books
            if waits:
                pending.setdefault((record["venue"], spelt["s"]), []).append(record["data"])
            else:
                followers[key].hear(record["data"])
    return followers, last


@pytest.mark.parametrize("seed", range(4))
def test_every_venue_of_a_recording_can_be_followed(seed):
    """Snapshots join, chains hold, checksums verify, books of all venues stand close together at the end."""
    symbols = ["BTC-USDT", "PEPE-USDT"]
    scene = Scene(venues=ALL, symbols=symbols, seconds=4, seed=seed, depth=20, temper=Temper(dislocations_per_s=0.0))
    _followers, last = follow(scene_records(scene))
    for venue in ALL:
        assert len(last[venue].books) == 2
        assert last[venue].seen
    for base in ("BTC", "PEPE"):
        mids = []
        for follower in last.values():
            ((bids, asks),) = [book for spelt, book in follower.books.items() if spelt.startswith(base)]
            assert max(bids) < min(asks)
            mids.append((max(bids) + min(asks)) / 2)
        assert max(mids) / min(mids) < 1.003


def test_binance_diffs_come_before_their_snapshot():
    """Some diffs are heard before the REST answer, some older than it, some newer: there is something to join."""
    scene = Scene(venues=["binance"], symbols=["BTC-USDT", "ETH-USDT", "SOL-USDT"], seconds=2, seed=5)
    diffs, early, stale = {}, 0, 0
    for record in scene_records(scene):
        if record["t"] == "recv" and '"depthUpdate"' in record["data"]:
            data = json.loads(record["data"])["data"]
            diffs.setdefault(data["s"], []).append(data)
        elif record["t"] == "http" and "/depth?" in record["url"]:
            heard = diffs[record["url"].split("symbol=")[1].split("&")[0]]
            last_id = json.loads(record["data"])["lastUpdateId"]
            assert heard[0]["U"] <= last_id + 1
            early += len([diff for diff in heard if diff["u"] > last_id])
            stale += len([diff for diff in heard if diff["u"] <= last_id])
    assert early > 0
    assert stale > 3


def test_a_recording_has_the_rest_of_a_real_one():
    """Lists, acks, touches, trades, heartbeats and pings are there beside the books."""
    stream = list(records(venues=FIVE, symbols=["BTC-USDT"], seconds=25, seed=1, rate=2))
    said = {venue: "\n".join(r["data"] for r in stream if r.get("venue") == venue and "data" in r) for venue in FIVE}
    for venue, marks in {
        "binance": ["exchangeFilters", "depthUpdate", "@bookTicker", "@trade", "lastUpdateId"],
        "okx": ["instType", "subscribe", '"action":"snapshot"', '"action":"update"', "bbo-tbt", "tradeId", "\npong"],
        "bybit": ["retCode", '"success":true', "snapshot", "delta", "orderbook.1.", "publicTrade", '"ret_msg":"pong"'],
        "kraken": [
            "altname",
            '"channel":"status"',
            "heartbeat",
            "instrument",
            '"ticker"',
            '"trade"',
            '"method":"pong"',
        ],
        "coinbase": ["num_products", "subscriptions", "heartbeats", "l2_data", "market_trades", "tickers"],
    }.items():
        assert [mark for mark in marks if mark not in said[venue]] == []


def test_rate_and_depth_are_obeyed():
    """Twice the rate is about twice the frames; a book of 1000 levels has about that many."""
    counts = []
    for rate in (5, 10):
        frames = [
            r["data"]
            for r in records(venues=["okx"], symbols=["BTC-USDT"], seconds=10, seed=1, rate=rate)
            if "data" in r
        ]
        counts.append(sum('"action":"update"' in text for text in frames))
    assert abs(counts[0] - 50) < 6
    assert abs(counts[1] - 100) < 10
    deep = [
        r["data"]
        for r in records(venues=["binance"], symbols=["BTC-USDT"], seconds=1, seed=1, depth=1000)
        if r["t"] == "http"
    ]
    assert len(json.loads(deep[-1])["bids"]) > 900


def test_best_bid_ask_recordings_have_no_books():
    """source bbo records the touch of every venue and no depth."""
    stream = list(records(venues=ALL, symbols=["BTC-USDT"], seconds=2, seed=1, source="bbo"))
    text = "\n".join(record["data"] for record in stream if record["t"] == "recv")
    assert not [
        mark for mark in ("depthUpdate", '"channel":"books"', "orderbook.50", '"bids":[{', "l2_data") if mark in text
    ]
    for mark in ("bookTicker", "bbo-tbt", "orderbook.1.", '"channel":"ticker"'):
        assert text.count(mark) > 10
    assert not any("depth?" in record.get("url", "") for record in stream)


@pytest.mark.parametrize("kind", CONNECTION_INCIDENTS)
@pytest.mark.parametrize("venue", FIVE)
def test_a_client_that_connects_again_has_its_books_back(kind, venue):
    """After a reconnect, with or without a close, or on a second connection, new snapshots make the books whole."""
    incident = Incident(kind=kind, venue=venue, symbol="BTC-USDT", at_ns=2 * SECOND_NS)
    scene = Scene(venues=FIVE, symbols=["BTC-USDT"], seconds=6, seed=3, incidents=[incident])
    stream = list(scene_records(scene))
    kinds = [
        (record["t"], record["conn"])
        for record in stream
        if record.get("venue") == venue and record["t"] in ("connect", "close")
    ]
    first, second = f"{venue}.ws.1", f"{venue}.ws.2"
    assert (
        kinds
        == {
            "reconnect": [("connect", first), ("close", first), ("connect", first)],
            "reopen": [("connect", first), ("connect", first)],
            "takeover": [("connect", first), ("connect", second), ("close", first)],
        }[kind]
    )
    _followers, last = follow(stream)
    bids, asks = last[venue].books[SPELL[venue]("BTC-USDT")]
    assert max(bids) < min(asks)


@pytest.mark.parametrize(("venue", "kind"), [(venue, kind) for venue in FIVE for kind in QUIRKS[venue]])
def test_quirks_are_lawful(venue, kind):
    """A careful client of the venue follows its books through every quirk."""
    incidents = [Incident(kind=kind, venue=venue, symbol="BTC-USDT", at_ns=at * SECOND_NS) for at in (2, 3)]
    quiet = Scene(venues=FIVE, symbols=["BTC-USDT"], seconds=4, seed=3)
    scene = Scene(venues=FIVE, symbols=["BTC-USDT"], seconds=4, seed=3, incidents=incidents)
    stream = list(scene_records(scene))
    assert len(stream) > len(list(scene_records(quiet)))
    follow(stream)


@pytest.mark.parametrize("venue", FIVE)
def test_a_venue_can_cross_its_own_book(venue):
    """One frame leaves the book crossed, checksum and chain in order; the next one clears it."""
    incident = Incident(kind="crossed", venue=venue, symbol="BTC-USDT", at_ns=2 * SECOND_NS)
    scene = Scene(venues=[venue, "binance-us"], symbols=["BTC-USDT"], seconds=4, seed=3, incidents=[incident])
    stream = list(scene_records(scene))
    crossed = []
    for end in range(len(stream)):
        if (
            is_book_frame(stream[end])
            and "orderbook.1." not in stream[end]["data"]
            and stream[end]["venue"] == venue
            and 1.9 < since_start(stream[end]) < 2.4
        ):
            book = follow(stream[: end + 1])[1][venue].books[SPELL[venue]("BTC-USDT")]
            crossed.append(max(book[0]) >= min(book[1]))
    assert sum(crossed) == 1
    assert not crossed[-1]


def since_start(record):
    """Seconds since the recording began."""
    return (record["ts"] - START_NS) / SECOND_NS


def test_a_quiet_book_stops_for_a_while_without_loss():
    """Its venue's other frames go on, and its chain is whole afterwards."""
    incident = Incident(kind="quiet", venue="okx", symbol="BTC-USDT", at_ns=SECOND_NS, for_ns=2 * SECOND_NS)
    scene = Scene(venues=["okx"], symbols=["BTC-USDT", "ETH-USDT"], seconds=5, seed=3, incidents=[incident])
    frames = [record for record in scene_records(scene) if record["t"] == "recv" and '"books"' in record["data"]]
    times = [record["ts"] for record in frames if "BTC-USDT" in record["data"]]
    assert 1.9 * SECOND_NS < max(after - before for before, after in pairwise(times)) < 2.3 * SECOND_NS
    follower = Follower("okx")
    for record in frames:
        follower.hear(record["data"])


def test_incidents_by_name_happen_somewhere():
    """The name of an incident among the faults makes it happen once, on a venue that can have it."""
    for kind in INCIDENTS:
        plain = list(records(venues=ALL, symbols=["BTC-USDT"], seconds=3, seed=1, rate=5))
        assert list(records(venues=ALL, symbols=["BTC-USDT"], seconds=3, seed=1, rate=5, faults=[kind])) != plain


def test_a_shift_makes_an_opportunity_in_the_frames():
    """A venue that is shifted up bids more than the others ask."""
    shift = Shift("okx", "BTC-USDT", SECOND_NS, 60.0, 3 * SECOND_NS)
    scene = Scene(
        venues=["okx", "kraken"],
        symbols=["BTC-USDT"],
        seconds=3,
        seed=3,
        shifts=[shift],
        temper=Temper(dislocations_per_s=0.0),
    )
    _followers, last = follow(scene_records(scene))
    best_bid, best_ask = max(last["okx"].books["BTC-USDT"][0]), min(last["kraken"].books["BTC/USDT"][1])
    assert 40 < (best_bid / best_ask - 1) * 10_000 < 80


def test_memory_stays_flat():
    """Making 5 MB of records never holds more than 2.5 MB, price texts remembered included."""
    written = 0
    tracemalloc.start()
    try:
        for record in records(venues=FIVE, symbols=["BTC-USDT"], seconds=60, seed=1):
            written += len(encode_line(record))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert written > 5_000_000
    assert peak < 2_500_000


def test_what_cannot_be_simulated_is_refused(tmp_path):
    """Unknown venues, symbols that no venue can list, malformed symbols and unknown faults say what was wrong."""
    wanted = {"venues": ["okx"], "symbols": ["BTC-USDT"], "seconds": 1, "seed": 1}
    for change, message in [
        ({"venues": ["nowhere"]}, "venue 'nowhere' is not simulated"),
        ({"symbols": ["BTC-USDT-PERP"]}, "venue 'okx' can list none of the symbols BTC-USDT-PERP"),
        ({"symbols": ["BTCUSDT"]}, "symbol 'BTCUSDT' is not BASE-QUOTE"),
        ({"faults": ["earthquake"]}, "no fault is called 'earthquake'"),
    ]:
        with pytest.raises(ValueError, match=message):
            make_capture(tmp_path / "x.jsonl", **{**wanted, **change})


def test_forms_of_the_wires_can_be_chosen():
    """Raw Binance streams are subscribed, Kraken's numbers are short, Coinbase has no client_id, OKX has checksums."""
    options = WireOptions(wrapped=False, padded=False, client_id=False, checksums=True)
    stream = list(scene_records(Scene(venues=FIVE, symbols=["BTC-USDT"], seconds=1, seed=1, options=options)))
    said = {venue: "\n".join(r["data"] for r in stream if r.get("venue") == venue and "data" in r) for venue in FIVE}
    assert '{"method":"SUBSCRIBE"' in said["binance"]
    assert '"stream":' not in said["binance"]
    assert '"qty":0}' in said["kraken"]
    assert "client_id" not in said["coinbase"]
    books = [text for text in said["okx"].splitlines() if '"action":' in text]
    assert len(books) > 5
    assert not any("eqId" in text or '"checksum":0' in text for text in books)
