"""Small recordings of several venues, with faults and a configuration, for property tests of books and engine.

A stream is a list of records (contract.md, "Captures"; the header first), a configuration as the TOML would give it,
and the symbols asked for. stream(seed) makes one from a seed, streams() is the same as a hypothesis strategy that
shrinks: fewer faults, fewer venues, a plainer configuration. Streams are short (about 50 to 400 records) and lively:
prices lie apart long enough that opportunities are raised, raised again after their time to live, and end for every
reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from hypothesis import strategies as st

from gambit.sim.capture import Scene, instruments_of, scene_records
from gambit.sim.dialects import QUIRKS
from gambit.sim.faults import FAULTS, apply
from gambit.sim.instruments import VENUES
from gambit.sim.market import SECOND_NS, Shift, Temper
from gambit.sim.recording import (
    CONNECTION_INCIDENTS,
    CROSSED_INCIDENT,
    QUIET_INCIDENT,
    QUIRK_INCIDENTS,
    Incident,
    Record,
)
from gambit.sim.wire import WireOptions

SYMBOLS = ("BTC-USDT", "PEPE-USDT", "LRC-USDT", "ETH-USDT", "BTC-USD", "ETH-BTC")  # LRC: one tick is 15 bps
TEXT_FAULTS = ("half_line", "rubbish_line")  # what no list of parsed records can hold
STREAM_FAULTS = tuple(name for name in FAULTS if name not in TEXT_FAULTS)
DIFFERENT_COIN_BPS = 3500.0
RECORDS_MAX = 400  # a stream is cut there
SECONDS_MIN, SECONDS_MAX = 3.0, 40.0


@dataclass(frozen=True)
class Stream:
    """One case: what was recorded, and how it is to be replayed."""

    records: list[Record]
    config: dict[str, Any]
    symbols: list[str] | None
    label: str  # says how to get this stream again

    def by_venue(self) -> list[list[Record]]:
        """The same records as one source per venue, to be merged by `ts`; no record may be without a venue."""
        header, *rest = self.records
        venues = list(dict.fromkeys([record["venue"] for record in rest]))
        return [[header, *[record for record in rest if record["venue"] == venue]] for venue in venues]


def stream(seed: int, *, faults: Sequence[str] | None = None, plain: bool = False) -> Stream:
    """A stream from a seed; `faults` overrides its faults, `plain` leaves out everything that is not the usual way."""
    rng = Random(seed)
    venues = rng.sample(VENUES, rng.choice([2, 2, 3, 3, 4, 5, 7]))
    symbols = rng.sample(SYMBOLS, rng.choice([1, 1, 2, 3]))
    if faults is None:
        faults = [] if plain else rng.choices(STREAM_FAULTS, k=rng.choice([0, 0, 1, 2, 4, 8]))
    return _stream(venues, symbols, faults, rng.randrange(1 << 32), plain=plain, label=f"stream({seed})")


@st.composite
def streams(draw: st.DrawFn, *, faults: Sequence[str] = STREAM_FAULTS) -> Stream:
    """Streams with up to eight of `faults`."""
    venues = draw(st.lists(st.sampled_from(VENUES), min_size=2, max_size=7, unique=True))
    symbols = draw(st.lists(st.sampled_from(SYMBOLS), min_size=1, max_size=3, unique=True))
    chosen = draw(st.lists(st.sampled_from(faults), max_size=8)) if faults else []
    seed = draw(st.integers(0, 2**32 - 1))
    plain = draw(st.booleans())
    return _stream(venues, symbols, chosen, seed, plain=plain, label="")


def _stream(
    venues: Sequence[str], symbols: Sequence[str], faults: Sequence[str], seed: int, *, plain: bool, label: str
) -> Stream:
    rng = Random(seed)
    scene = _scene(_able(venues, symbols), symbols, rng, plain=plain)
    books = [(item.venue, item.symbol) for item in instruments_of(scene)]
    config = _config(scene, books, rng, plain=plain)
    records = apply(list(scene_records(scene))[:RECORDS_MAX], faults, rng.randrange(1 << 32))
    has_lists = any(record["t"] == "http" and "lastUpdateId" not in record["data"] for record in records)
    asked = None if has_lists and rng.random() < 0.7 else sorted({symbol for _venue, symbol in books})
    again = f"_stream({list(venues)}, {list(symbols)}, {list(faults)}, {seed}, plain={plain})"
    return Stream(records, config, asked, label or again)


def _able(venues: Sequence[str], symbols: Sequence[str]) -> list[str]:
    """The venues that list one of the symbols at least."""
    able = []
    for venue in venues:
        try:
            instruments_of(Scene(venues=[venue], symbols=symbols, seconds=0, seed=0))
        except ValueError:
            continue
        able.append(venue)
    return [*able, *[venue for venue in ("okx", "kraken") if venue not in able]][: max(2, len(able))]


def _scene(venues: Sequence[str], symbols: Sequence[str], rng: Random, *, plain: bool) -> Scene:
    """A market of about 60 to 350 frames in which one or two venues stand apart for seconds."""
    books = len(instruments_of(Scene(venues=venues, symbols=symbols, seconds=0, seed=0)))
    rate = min(rng.choice([1.0, 2.0, 2.0, 5.0, 10.0]), max(0.8, RECORDS_MAX / books / SECONDS_MIN / 2))
    tops = not plain and rng.random() < 0.5
    frames = rng.choice([60, 120, 250, 250])
    seconds = min(SECONDS_MAX, max(SECONDS_MIN, frames / (books * rate * (1.8 if tops else 1.0))))
    scene = Scene(
        venues=venues,
        symbols=symbols,
        seconds=seconds,
        seed=rng.randrange(1 << 32),
        depth=rng.choice([4, 6, 6, 12, 16, 30]),
        rate=rate,
        temper=Temper(
            fair_bps_per_sqrt_s=rng.choice([0.2, 1.0, 5.0]),
            half_spread_bps=rng.choice([0.2, 0.5, 2.0]),
            changes=rng.choice([1.0, 3.0, 6.0]),
            trade_share=rng.choice([0.0, 0.1, 0.4]),
            dislocations_per_s=rng.choice([0.2, 0.5]),
        ),
        options=WireOptions(
            tops=tops,
            trades=rng.random() < 0.3,
            wrapped=rng.random() < 0.8,
            padded=rng.random() < 0.7,
            client_id=rng.random() < 0.7,
            okx_books=rng.choice(["books", "books", "books-l2-tbt", "books50-l2-tbt"]),
            checksums=not plain and rng.random() < 0.15,
            announces=True,
        ),
        source="bbo" if not plain and rng.random() < 0.15 else "depth",
        lists=plain or rng.random() < 0.8,
        level_quote=rng.choice([150.0, 1000.0, 4000.0, 4000.0]),
    )
    shifts = _shifts(scene, rng)
    return _with(scene, shifts, [] if plain else _incidents(scene, rng))


def _with(scene: Scene, shifts: Sequence[Shift], incidents: Sequence[Incident]) -> Scene:
    fields = {name: getattr(scene, name) for name in scene.__struct_fields__}
    return Scene(**{**fields, "shifts": shifts, "incidents": incidents})


def _shifts(scene: Scene, rng: Random) -> list[Shift]:
    """Up to three moves of one venue against the others, some for longer than a time to live, few beyond belief."""
    items = instruments_of(scene)
    shifts = []
    for _ in range(rng.choice([1, 1, 2, 3])):
        item = rng.choice(items)
        at_s = 0.7 + (scene.seconds - 0.7) * 0.6 * rng.random()
        bps = rng.choice([-1, 1]) * rng.uniform(20.0, 90.0)
        shifts.append(_shift(item.venue, item.symbol, at_s, bps, rng.choice([0.5, 2.0, 12.0, 30.0, 30.0])))
    if rng.random() < 0.2:
        item = rng.choice(items)
        shifts.append(_shift(item.venue, item.symbol, scene.seconds * 0.6, DIFFERENT_COIN_BPS, 60.0))
    return shifts


def _shift(venue: str, symbol: str, at_s: float, bps: float, for_s: float) -> Shift:
    return Shift(venue=venue, symbol=symbol, at_ns=int(at_s * SECOND_NS), bps=bps, for_ns=int(for_s * SECOND_NS))


def _incidents(scene: Scene, rng: Random) -> list[Incident]:
    """Up to three things that venues lawfully do."""
    items = instruments_of(scene)
    incidents = []
    for _ in range(rng.choice([0, 0, 1, 2, 3])):
        item = rng.choice(items)
        quirks = [kind for kind in QUIRK_INCIDENTS if kind in QUIRKS[item.venue]]
        quiet = [QUIET_INCIDENT, QUIET_INCIDENT]
        kind = rng.choice([*CONNECTION_INCIDENTS, *quiet, CROSSED_INCIDENT, *quirks, *quirks])
        at_ns = int((0.5 + (scene.seconds - 0.5) * rng.random()) * SECOND_NS)
        for_ns = int(rng.uniform(0.3, 4.0) * SECOND_NS)
        incidents.append(Incident(kind=kind, venue=item.venue, symbol=item.symbol, at_ns=at_ns, for_ns=for_ns))
    return incidents


def _config(scene: Scene, books: Sequence[tuple[str, str]], rng: Random, *, plain: bool) -> dict[str, Any]:
    """Thresholds mostly at the low end of their range, so that there is something to evaluate."""
    engine: dict[str, Any] = {
        "min_spread_bps": rng.choice([5, 5, 5, 7.5, 15]),
        "min_liquidity_depth": rng.choice([1000, 1000, 1000, 2500]),
        "max_slippage_bps": rng.choice([5, 20, 20, 100]),
        "opportunity_ttl_sec": rng.choice([5, 5, 5, 7]),
        "window_size_sec": rng.choice([1, 2, 5, 30]),
        "fee_bps": rng.choice([5, 5, 10, 20]),
        "max_notional": rng.choice([10, 37.5, 250, 1000, 3000, 10000]),
        "max_book_age_ms": rng.choice([300, 1500, 1500, 1500, 4000]),
    }
    if rng.random() < 0.3:
        engine["safety_margin_bps"] = rng.choice([0.5, 2, 10])
    if rng.random() < 0.25:
        engine["min_persistence"] = rng.choice([0.01, 0.05, 0.3])
    if rng.random() < 0.2:
        engine["ranking_weights"] = {"spread": 0.2, "liquidity": 0.2, "volatility": 0.6}
    if rng.random() < 0.2:
        engine["spread_ref_bps"], engine["liquidity_ref"], engine["volatility_ref"] = 12.5, 5000, 3
    groups = _groups(books, rng)
    if groups:
        engine["groups"] = groups
    venues: dict[str, dict[str, Any]] = {}
    for venue in scene.venues:
        section: dict[str, Any] = {}
        if rng.random() < 0.85:
            section["taker_fee_bps"] = rng.choice([0, 0, 0, 1, 2.5, 10, 20])
        if scene.source == "bbo" or (not plain and scene.options.tops and rng.random() < 0.2):
            section["source"] = "bbo"
        if section:
            venues[venue] = section
    return {"engine": engine, "venues": venues} if venues else {"engine": engine}


def _groups(books: Sequence[tuple[str, str]], rng: Random) -> list[dict[str, Any]]:
    """Now and then all, or some, books of one base asset as a group, whatever their quote; always for futures."""
    bases = sorted({symbol.split("-")[0] for _venue, symbol in books})
    groups = []
    for base in bases:
        members = [(venue, symbol) for venue, symbol in books if symbol.split("-")[0] == base and "-BTC" not in symbol]
        spellings = {symbol for _venue, symbol in members}
        if len(members) < 2 or (len(spellings) == 1 and rng.random() < 0.8) or rng.random() < 0.1:
            continue
        if len(members) > 2 and rng.random() < 0.3:
            members = rng.sample(members, len(members) - 1)
        groups.append({"name": f"{base}-all", "members": [f"{venue}:{symbol}" for venue, symbol in members]})
    return groups
