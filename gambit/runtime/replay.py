"""`gambit replay`: captures through the same adapters, books and engine as live frames, deterministic.

The replay clock is the recorded time; merging, bad lines and what a record does are replay-rules R1-R8. Nothing of the
input but its largest frame is ever held in memory.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, Protocol

import orjson

from gambit._core.record import DRAIN, END, LOOK, NEED_DATA, TIME, Lines, Replayer
from gambit.config import Config
from gambit.engine.market import Market
from gambit.runtime.capture import BadLine, CaptureError, CountBytes, Record, chunks, read_header, read_record, shown
from gambit.runtime.tally import Tally
from gambit.runtime.wiring import build_market
from gambit.venues import CAPTURE_NAMES

MULTI = "multi"
PROGRESS_STEP = 1 << 20
BAD_LINES_TOLD = 20  # of a file, each on a line of its own; the others are counted


class ReplayError(Exception):
    """A replay that cannot begin or must not go on."""


class Companion(Protocol):
    """Somebody who lives in the replay's time: hears each event before the next frame is read, and the time when it
    comes to its deadline, with the books as they were then. It never moves the market's own clock."""

    @property
    def deadline_ns(self) -> int:
        """When on_time wants to be called; later records wait."""
        ...

    def begin(self, market: Market) -> None:
        """The market that the frames go into."""
        ...

    def on_event(self, event: dict[str, Any]) -> None:
        """A signal or an episode's end."""
        ...

    def on_time(self, next_ns: int) -> None:
        """The next record is of `next_ns`, after the deadline; has to move the deadline up to there or further."""
        ...


@dataclass(slots=True)
class ReplayResult:
    """How a replay ended: exit_code 0, or 1 when a file could not be read to its end; stats as documented."""

    exit_code: int
    stats: dict[str, object]


@dataclass(slots=True)
class _Source:
    """One capture file."""

    path: Path
    lines: Lines
    text: Iterator[bytes]
    count: CountBytes
    venue: str | None = None  # of the header; None: each record says it
    record: Record | None = None  # read and waiting for its turn
    bad_lines: int = 0
    is_cut: bool = False  # the file ended inside the line at hand


def replay(
    files: Sequence[Path],
    config: Config,
    *,
    symbols: Sequence[str] | None,
    emit: str,
    out: BinaryIO,
    strict: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
    warn: Callable[[str], None] = lambda _: None,
    observe: Callable[[dict[str, object]], None] | None = None,
    companion: Companion | None = None,
    books: Sequence[tuple[str, str]] = (),
) -> ReplayResult:
    """Replay captures and write what `emit` asks for (opportunities, ticks, books, stats or nothing) as JSON lines to
    `out`.

    `observe` sees every signal and episode end as a dict. `books` (venue, symbol) are there from the beginning, in this
    order, as they were live; others come at first mention. Input errors go through `warn` as FILE:LINE: text. Raises
    ReplayError for an unknown venue or a wrong header, and with `strict` at the first bad line.
    """
    market = build_market(config, symbols)
    market.expect(books)
    replayer = _Replay(market, [_source(path) for path in files], emit, out, warn, strict=strict, observe=observe)
    replayer.on_progress = on_progress
    if companion is not None:
        replayer.accompany(companion)
    replayer.total_bytes = sum(path.stat().st_size for path in files)
    return replayer.run()


def _source(path: Path) -> _Source:
    count = CountBytes()
    return _Source(path, Lines(), chunks(path, count), count)


class _Replay:
    def __init__(
        self,
        market: Market,
        sources: Sequence[_Source],
        emit: str,
        out: BinaryIO,
        warn: Callable[[str], None],
        *,
        strict: bool,
        observe: Callable[[dict[str, object]], None] | None,
    ) -> None:
        self.market = market
        self.sources = sources
        self.emit = emit
        self.out = out
        self.warn = warn
        self.strict = strict
        self.observe = observe
        self.on_progress: Callable[[int, int], None] | None = None
        self.total_bytes = 0
        self.told_bytes = 0
        self.connections: dict[tuple[str, str], int] = {}
        self.addresses: dict[tuple[str, str], str | None] = {}
        self.records: Counter[str] = Counter()
        self.tally = Tally(market)
        self.exit_code = 0
        self.core = Replayer(market.hot, [source.lines for source in sources])
        self.companion: Companion | None = None

    def accompany(self, companion: Companion) -> None:
        """Let somebody live in this replay's time."""
        companion.begin(self.market)
        self.companion = companion
        self.core.is_eager = True
        self.core.until_ns = companion.deadline_ns

    # ---- the loop ----

    def run(self) -> ReplayResult:
        if self.emit == "ticks":
            self.market.pairs.tell_ticks(True)
        self.market.hot.measure(self.emit == "stats")
        started = time.perf_counter()
        while True:
            what, index = self.core.run()
            if what == NEED_DATA:
                self.feed(self.sources[index])
            elif what == LOOK:
                self.look(self.sources[index])
            elif what == DRAIN:
                self.drain()
            elif what == TIME:
                self.pass_time(self.sources[index].lines.ts)
            elif what == END:
                break
            else:
                self.take(self.sources[index])
        self.drain()
        stats = self.stats(time.perf_counter() - started)
        self.finish(stats)
        return ReplayResult(self.exit_code, stats)

    def pass_time(self, next_ns: int) -> None:
        """The companion's deadline comes before the next record."""
        if self.companion is None:
            raise RuntimeError("time passes for nobody")
        self.drain()
        self.companion.on_time(next_ns)
        self.core.until_ns = self.companion.deadline_ns

    def feed(self, source: _Source) -> None:
        """More text of a file, or its end; what is known by now is told first, for the text may be long in coming."""
        self.drain()
        text, damage = None, ""
        try:
            text = next(source.text, None)
        except CaptureError as error:
            damage = str(error)
        if text is not None:
            source.lines.feed(text)
        else:
            self.end(source, damage)
        self.progress()

    def end(self, source: _Source, damage: str) -> None:
        """There is no more of a file; `damage` says why, where it should have gone on."""
        source.is_cut = source.lines.close()
        if source.is_cut:
            damage = damage or "truncated: the last line has no end"
        if source.bad_lines > BAD_LINES_TOLD:
            self.warn(f"{source.path}: {source.bad_lines - BAD_LINES_TOLD:,} more bad lines up to its end")
        if damage:
            self.warn(f"{source.path}:{source.lines.number + 1}: {damage}")
            self.exit_code = 1
        elif source.lines.number == 0:
            text = f"{source.path}:1: the file is empty; a capture begins with a header"
            if len(self.sources) == 1:
                raise ReplayError(text)
            self.warn(text)
            self.exit_code = 1

    def progress(self) -> None:
        done = sum(source.count.bytes_read for source in self.sources)
        if self.on_progress is not None and done - self.told_bytes >= PROGRESS_STEP:
            self.told_bytes = done
            self.on_progress(done, self.total_bytes)

    # ---- lines that are no ordinary frames ----

    def look(self, source: _Source) -> None:
        """Read a line with care: the header, a record that waits for its turn, or a bad line."""
        lines = source.lines
        try:
            if lines.number == 1:
                self.begin(source, read_header(lines.text))
                lines.done()
                return
            if lines.too_long:
                raise BadLine("longer than any record may be")
            source.record = read_record(lines.text)
            self.venue_of(source, source.record)
        except BadLine as error:
            if lines.number == 1 and not (source.is_cut and len(self.sources) > 1):
                raise ReplayError(f"{source.path}:1: {error}") from error
            if source.is_cut:
                lines.done()  # told already, as the end of the file; the other files are read on (R6)
            else:
                self.bad_line(source, error)
            return
        lines.waits(source.record.ts)

    def begin(self, source: _Source, name: str) -> None:
        if name != MULTI:
            venue = CAPTURE_NAMES.get(name, name)
            if venue not in self.market.languages:
                known = ", ".join(self.market.languages)
                raise ReplayError(f"{source.path}:1: unknown venue {shown(name)}; known are {known}")
            source.venue = venue

    def venue_of(self, source: _Source, record: Record) -> str:
        """The venue of a record: its own, else the header's. Raises BadLine."""
        if record.venue is None:
            if source.venue is None:
                raise BadLine("the header says multi and the record names no venue")
            return source.venue
        venue = CAPTURE_NAMES.get(record.venue, record.venue)
        if venue not in self.market.languages:
            raise BadLine(f"unknown venue {shown(record.venue)}")
        return venue

    def bad_line(self, source: _Source, error: BadLine) -> None:
        source.bad_lines += 1
        source.lines.done()
        text = f"{source.path}:{source.lines.number}: {error}"
        if self.strict:
            self.drain()
            self.stop(text)
        if source.bad_lines <= BAD_LINES_TOLD:
            self.warn(text)

    def stop(self, text: str) -> NoReturn:
        raise ReplayError(text)

    # ---- records ----

    def take(self, source: _Source) -> None:
        """It is a record's turn."""
        record = source.record
        if record is None:
            raise RuntimeError("it is the turn of a record that nobody read")
        venue = self.venue_of(source, record)
        self.records[record.type] += 1
        match record.type:
            case "recv":
                self.receive(source, venue, record)
            case "connect":
                self.connect(venue, record)
            case "close":
                self.close(venue, record)
            case "http":
                self.market.on_http(venue, record.address or "", record.text, record.ts)
            case _:
                self.market.on_time(record.ts)
        source.record = None
        source.lines.done()

    def receive(self, source: _Source, venue: str, record: Record) -> None:
        key = venue, record.conn
        conn = self.connections.get(key)
        if conn is None:
            conn = self.market.connect(venue, record.conn, address=self.addresses.get(key))
            self.connections[key] = conn
        source.lines.bind(f"{record.venue or ''}\0{record.conn}".encode(), conn)
        self.market.on_frame(conn, record.text, record.ts)

    def connect(self, venue: str, record: Record) -> None:
        """A new connection; a second one of the same name replaces the first (D10)."""
        key = venue, record.conn
        self.addresses[key] = record.address
        old = self.connections.pop(key, None)
        if old is None:
            self.market.on_time(record.ts)
            return
        self.market.disconnect(old, record.ts)
        conn = self.market.connect(venue, record.conn, address=record.address)
        self.connections[key] = conn
        for source in self.sources:
            for spelling in self.spellings(source, venue):
                source.lines.bind(f"{spelling}\0{record.conn}".encode(), conn)

    def spellings(self, source: _Source, venue: str) -> list[str]:
        """How records of a file may name a venue."""
        names = [venue, *(name for name, meant in CAPTURE_NAMES.items() if meant == venue)]
        return [*names, ""] if source.venue == venue else names

    def close(self, venue: str, record: Record) -> None:
        conn = self.connections.get((venue, record.conn))
        if conn is None:
            self.market.on_time(record.ts)
        else:
            self.market.disconnect(conn, record.ts)

    # ---- what comes out ----

    def drain(self) -> None:
        """Write what happened since the last time."""
        if self.emit == "ticks":
            self.out.write(self.market.ticks())
        for event in self.market.opportunities():
            if self.emit == "opportunities":
                self.out.write(orjson.dumps(event) + b"\n")
            if self.observe is not None:
                self.observe(event)
            if self.companion is not None:
                self.companion.on_event(event)
                self.core.until_ns = self.companion.deadline_ns
            self.tally.take(event)

    def finish(self, stats: dict[str, object]) -> None:
        if self.emit == "books":
            for book in self.market.books():
                book.pop("buffer_overflows")
                book.pop("last_update_ns")
                self.out.write(orjson.dumps(book) + b"\n")
        elif self.emit == "stats":
            self.out.write(orjson.dumps(stats) + b"\n")
        self.out.flush()

    def stats(self, seconds: float) -> dict[str, object]:
        frames = self.core.frames + self.records["recv"]
        return {
            **self.tally.stats(frames, seconds, latencies=self.emit == "stats"),
            "records": sum(self.records.values()) + self.core.frames,
            "bad_lines": sum(source.bad_lines for source in self.sources),
        }
