"""What is fuzzed: each target takes any bytes, and fails with AssertionError where a promise is broken.

Whatever an input says, nothing may be raised that a target does not expect; what memory errors there are the sanitizer
finds.
"""

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from random import Random

from gambit._core.fixed import parse, parse_fast, to_text
from gambit._core.scan import Scanner
from gambit.config import Config
from gambit.engine.market import Market
from gambit.engine.params import EngineParams, VenueParams
from gambit.runtime.replay import ReplayError, replay
from gambit.sim.capture import Scene, scene_records
from gambit.sim.faults import FAULTS, apply, encode_line
from gambit.sim.recording import Record
from gambit.venues import VENUES
from gambit.venues.decode import decode
from tests.core.frames import FORMS, edited, frames, is_json
from tests.core.test_record import Hurried, Writer, careful
from tests.core.test_scan import agree
from tests.reference import decimals

NAMES = sorted(VENUES)
SYMBOLS = ("BTC-USDT", "PEPE-USDT")
STEP_NS = 10_000_000


@dataclass(frozen=True, slots=True)
class Target:
    """`seeds` makes inputs to begin with, `run` takes any input."""

    name: str
    seeds: Callable[[Random], Sequence[bytes]]
    run: Callable[[bytes], None]


# ---- scanner and decoder: a byte that picks the venue, then a frame ----

SCANNERS = [Scanner(VENUES[name].wire) for name in NAMES]


def scan_seeds(rng: Random) -> list[bytes]:
    found = []
    for index, name in enumerate(NAMES):
        for frame in rng.sample(frames(name), 25):
            found += [bytes([index]) + frame[:2000], bytes([index]) + edited(frame, rng)[:2000]]
    return found


def scan(data: bytes) -> None:
    """A frame that the scanner accepts is JSON, and the decoder reads the same out of it."""
    if not data:
        return
    index, frame = data[0] % len(NAMES), data[1:]
    scanned = SCANNERS[index].scan(frame)
    if scanned is not None:
        assert is_json(frame)
        agree(scanned, decode(VENUES[NAMES[index]].wire, frame))


# ---- the whole hot path: a line an event, its first byte the venue, its second what happens ----

ORD_0 = ord("0")
FRAME, CLOSE, HTTP = b"fxh"
ADDRESSES = {"bybit": "wss://x/spot", "bybit-linear": "wss://x/linear"}
KINDS = {"recv": FRAME, "close": CLOSE, "http": HTTP}


def _scene(venues: Sequence[str], rng: Random) -> list[Record]:
    scene = Scene(
        venues=venues, symbols=SYMBOLS, seconds=rng.choice((0.8, 1.5)), seed=rng.randrange(1 << 32), depth=4,
        source=rng.choice(("depth", "depth", "bbo")), lists=rng.random() < 0.5,
    )  # fmt: skip
    return apply(list(scene_records(scene))[:70], rng.choices(list(FAULTS), k=rng.randrange(3)), rng.randrange(1 << 32))


def _events(records: Sequence[Record]) -> bytes:
    lines = []
    for record in records:
        if record["t"] in KINDS and "b64" not in record:
            text = f"{record.get('url', '')} {record.get('data', '')}".lstrip().replace("\n", " ")
            head = bytes([ORD_0 + NAMES.index(record["venue"]), KINDS[record["t"]]])
            lines.append(head + text.encode("utf-8", "surrogatepass"))
    return b"\n".join(lines)


def market_seeds(rng: Random) -> list[bytes]:
    return [_events(_scene(rng.sample(NAMES, 2), rng)) for _ in range(40)]


def _play(made: Market, data: bytes) -> None:
    conns: dict[str, int] = {}
    now = 10**18
    for line in data.split(b"\n"):
        if len(line) < 2:
            continue
        name, kind, text = NAMES[(line[0] - ORD_0) % len(NAMES)], line[1], line[2:]
        now += STEP_NS
        if name not in conns:
            conns[name] = made.connect(name, name, address=ADDRESSES.get(name))
        if kind == CLOSE:
            made.disconnect(conns.pop(name), now)
        elif kind == HTTP:
            url, _, text = text.partition(b" ")
            made.on_http(name, url.decode(errors="replace"), text, now)
        else:
            made.on_frame(conns[name], text, now)


def played(data: bytes, *, is_bbo: bool | None = None, shapes: bool = True) -> Market:
    """A market after the events of an input; unless told, one of five has best prices for books."""
    if is_bbo is None:
        is_bbo = len(data) % 5 == 0
    venues = {name: VenueParams(Decimal(0), is_bbo=is_bbo) for name in NAMES}
    made = Market(EngineParams(venues=venues, min_liquidity=Decimal(1), min_spread_bps=Decimal(5)), VENUES, decode)
    made.pairs.tell_ticks(True)
    made.hot.learn_shapes(shapes)
    _play(made, data)
    return made


def market(data: bytes) -> None:
    """Whatever arrives, books that are believed are in order and not crossed, and all that is told can be read."""
    made = played(data)
    for book in made.books():
        bids, asks = ([Decimal(price) for price, _ in book[side]] for side in ("bids", "asks"))
        assert bids == sorted(set(bids), reverse=True)
        assert asks == sorted(set(asks))
        assert not (bids and asks) or bids[0] < asks[0]
    for line in made.ticks().splitlines():
        json.loads(line)
    for told in made.opportunities():
        json.dumps(told, allow_nan=False)


def shapes(data: bytes) -> None:
    """Best prices are the same whether frames are read by their shape or not: books, ticks and signals."""
    one, other = (played(data, is_bbo=True, shapes=learns) for learns in (True, False))
    assert list(one.books()) == list(other.books())
    assert one.ticks() == other.ticks()
    assert list(one.opportunities()) == list(other.opportunities())
    assert [letter.raw for letter in one.dead_letters] == [letter.raw for letter in other.dead_letters]


def shape_seeds(rng: Random) -> list[bytes]:
    """Best prices of two venues, lists of instruments first."""
    found = []
    for name in NAMES * 4:
        other = rng.choice([it for it in NAMES if it != name])
        scene = Scene(
            venues=[name, other], symbols=SYMBOLS, seconds=0.4, seed=rng.randrange(1 << 32), source="bbo", lists=True,
            options=rng.choice(FORMS),
        )  # fmt: skip
        found.append(_events(list(scene_records(scene))[:80]))
    return found


# ---- captures ----


def _capture(rng: Random) -> bytes:
    records = _scene(rng.sample(NAMES, rng.choice((1, 2))), rng)
    return b"".join(encode_line(record) for record in records)


def replay_seeds(rng: Random) -> list[bytes]:
    return [_capture(rng)[:20_000] for _ in range(30)]


def replayed(path: Path) -> Callable[[bytes], None]:
    """A target that replays its input from a file at `path`."""

    def run(data: bytes) -> None:
        """Any file is replayed to its end or refused for its header; all ticks can be read."""
        path.write_bytes(data)
        out = io.BytesIO()
        try:
            result = replay([path], Config(), symbols=list(SYMBOLS), emit="ticks", out=out)
        except ReplayError:
            return
        assert result.exit_code in (0, 1)
        for line in out.getvalue().splitlines():
            json.loads(line)

    return run


def line_seeds(rng: Random) -> list[bytes]:
    return [Writer(rng).text(rng.choice((2, 10, 30))) for _ in range(60)]


def _chunks(data: bytes) -> Iterator[bytes]:
    rng = Random(len(data))
    size = rng.choice((1, 13, 300))
    at = 0
    while at < len(data):
        end = at + rng.randrange(size + 1)
        yield data[at:end]
        at = end


def lines(data: bytes) -> None:
    """Lines read in a hurry, in any chunks, are the lines read with care."""
    seen, bad = careful(data)
    if any(kind == "recv" and not text.startswith(b"|") for _, _, kind, _, _, text in seen):
        return  # such a frame may be JSON, of which the reader under test is told nothing
    hurried = Hurried([_chunks(data)]).run()
    assert hurried.bad == [bad]
    assert hurried.seen == seen


# ---- numbers ----


def number_seeds(rng: Random) -> list[bytes]:
    return [b"0", b"1.50", b"-1e-5", b"12345678.1234567", b"999999999999999999", b"0.000000000000000001", b"1E+17"]


def number(data: bytes) -> None:
    """A text is the twin's value, and is written as a text with the same value, or both refuse it."""
    try:
        units = decimals.to_units(data.decode())
    except ValueError:
        units = None
    try:
        mantissa, places, written = parse(data)
    except ValueError:
        assert units is None
        assert parse_fast(data) is None
        return
    assert units == mantissa * 10 ** (18 - places)
    assert parse_fast(data) in (None, (mantissa, places, written))
    if mantissa >= 0:
        assert to_text(mantissa, places) == decimals.to_text(units)


def targets(folder: Path) -> list[Target]:
    """All targets; those that need files put them into `folder`."""
    return [
        Target("scan", scan_seeds, scan),
        Target("market", market_seeds, market),
        Target("shapes", shape_seeds, shapes),
        Target("lines", line_seeds, lines),
        Target("replay", replay_seeds, replayed(folder / "capture.jsonl")),
        Target("number", number_seeds, number),
    ]
