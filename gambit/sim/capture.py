"""Writes simulated captures to files: the only part of the simulator that touches one.

Rules: one record at a time, memory flat however long the capture; the same arguments give the same bytes.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random

import msgspec
import zstandard

from gambit.sim.dialects import QUIRKS
from gambit.sim.faults import FAULTS, apply_in_chunks, encode_line
from gambit.sim.instruments import Instrument, list_instrument, venue_symbol
from gambit.sim.market import SECOND_NS, Market, Shift, Temper
from gambit.sim.recording import INCIDENTS, QUIRK_INCIDENTS, START_NS, Incident, Record, Recording, paces
from gambit.sim.wire import Source, WireOptions

WRITE_BYTES = 1 << 16  # lines are handed to the compressor in pieces of about this size


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides what a simulated recording contains. Durations in seconds."""

    venues: Sequence[str]
    symbols: Sequence[str]
    seconds: float
    seed: int
    depth: int = 50  # levels a side of the market's books
    source: Source = "depth"
    rate: float | None = None  # book frames a second per book; None: what is usual at the venue
    temper: Temper = Temper()
    options: WireOptions = WireOptions()  # depth and source are taken from this scene
    faults: Sequence[str] = ()  # names of faults.FAULTS (each once per 1500 records) or recording.INCIDENTS (once)
    incidents: Sequence[Incident] = ()
    shifts: Sequence[Shift] = ()
    lists: bool = True  # whether instrument lists are recorded
    start_ns: int = START_NS
    level_quote: float = 4000.0  # usual quote value of a level


def instruments_of(scene: Scene) -> list[Instrument]:
    """What is listed: every symbol on every venue that can list it.

    Raises ValueError for an unknown venue, a malformed symbol, or a venue that can list none of the symbols.
    """
    listed = []
    for venue in scene.venues:
        named = [venue_symbol(venue, symbol) for symbol in scene.symbols]
        names = list(dict.fromkeys([name for name in named if name is not None]))
        if not names:
            raise ValueError(f"venue {venue!r} can list none of the symbols {', '.join(scene.symbols)}")
        listed += [list_instrument(venue, name, level_quote=scene.level_quote) for name in names]
    return listed


def scene_records(scene: Scene) -> Iterator[Record]:
    """The records of a scene, the header first, in order of `ts` unless a fault says otherwise.

    Raises ValueError as instruments_of() does and for a fault that nobody knows.
    """
    rng = Random(scene.seed)
    market_seed, wire_seed, fault_seed, incident_seed = [rng.randrange(1 << 32) for _ in range(4)]
    instruments = instruments_of(scene)
    unknown = [name for name in scene.faults if name not in FAULTS and name not in INCIDENTS]
    if unknown:
        raise ValueError(f"no fault is called {unknown[0]!r}; known are {', '.join([*FAULTS, *INCIDENTS])}")
    market = Market(
        instruments,
        paces(scene.venues, scene.rate),
        seed=market_seed,
        start_ns=scene.start_ns,
        depth=scene.depth,
        temper=scene.temper,
        shifts=scene.shifts,
    )
    options = msgspec.structs.replace(scene.options, depth=scene.depth, source=scene.source)
    recording = Recording(
        market,
        dict.fromkeys(scene.venues, options),
        seed=wire_seed,
        seconds=scene.seconds,
        incidents=[*scene.incidents, *_incidents(scene, instruments, incident_seed)],
        lists=scene.lists,
    )
    breaking = [name for name in scene.faults if name in FAULTS and name not in INCIDENTS]
    yield recording.header()
    yield from apply_in_chunks(recording.records(), breaking, fault_seed) if breaking else recording.records()


def _incidents(scene: Scene, instruments: Sequence[Instrument], seed: int) -> list[Incident]:
    """One incident per name, in the middle of the recording, on a random book of a venue that can have it."""
    rng = Random(seed)
    incidents = []
    for kind in scene.faults:
        able = [item for item in instruments if kind not in QUIRK_INCIDENTS or kind in QUIRKS[item.venue]]
        if kind in INCIDENTS and able:
            where = rng.choice(able)
            at_ns = int(scene.seconds * (0.3 + 0.4 * rng.random()) * SECOND_NS)
            incidents.append(Incident(kind=kind, venue=where.venue, symbol=where.symbol, at_ns=at_ns))
    return incidents


def records(
    *,
    venues: Sequence[str],
    symbols: Sequence[str],
    seconds: float,
    seed: int,
    depth: int = 50,
    faults: Sequence[str] = (),
    source: Source = "depth",
    rate: float | None = None,
) -> Iterator[Record]:
    """What make_capture() writes, as records; the header comes first."""
    return scene_records(
        Scene(
            venues=venues,
            symbols=symbols,
            seconds=seconds,
            seed=seed,
            depth=depth,
            faults=faults,
            source=source,
            rate=rate,
        )
    )


def make_capture(
    path: Path,
    *,
    venues: Sequence[str],
    symbols: Sequence[str],
    seconds: float,
    seed: int,
    depth: int = 50,
    faults: Sequence[str] = (),
    source: Source = "depth",
    rate: float | None = None,
) -> None:
    """Write a recording of a simulated market to `path` (.jsonl, or compressed by .gz or .zst).

    `depth` levels a side, up to 1000; `rate` book frames a second per book; `source` "bbo" records best-bid-ask
    channels instead of books. Raises ValueError for an unknown venue, symbol or fault, OSError as writing does.
    """
    write_lines(
        path,
        records(
            venues=venues,
            symbols=symbols,
            seconds=seconds,
            seed=seed,
            depth=depth,
            faults=faults,
            source=source,
            rate=rate,
        ),
    )


def write_lines(path: Path, lines: Iterator[Record]) -> None:
    """Write records to `path`, compressed as its suffix says.

    Raises OSError as writing does.
    """
    with path.open("wb") as raw:
        if path.suffix == ".gz":
            with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed:
                _write_pieces(packed.write, lines)
        elif path.suffix == ".zst":
            with zstandard.ZstdCompressor(level=3).stream_writer(raw, closefd=False) as squeezed:
                _write_pieces(squeezed.write, lines)
        else:
            _write_pieces(raw.write, lines)


def _write_pieces(write: Callable[[bytes], int], lines: Iterator[Record]) -> None:
    piece = bytearray()
    for record in lines:
        piece += encode_line(record)
        if len(piece) >= WRITE_BYTES:
            write(bytes(piece))
            piece.clear()
    write(bytes(piece))
