"""The slow twin's replay: captures in; ticks, books and opportunities out.

The clock is the largest `ts` so far (R3); every record moves it, and books that went stale before it are told first.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from .capture import VENUES, BadCaptureError, Notes, Record, merged, read_file, read_records
from .decimals import ratio
from .engine import Engine, Settings
from .feeds import FEEDS, Feed
from .instruments import Instruments


@dataclass
class Result:
    """What a replay gives: the lines of each `--emit`, counts, dead letters, and errors (exit 1 if there are any)."""

    ticks: list[dict] = field(default_factory=list)
    books: list[dict] = field(default_factory=list)
    opportunities: list[dict] = field(default_factory=list)
    counters: Counter = field(default_factory=Counter)
    dead_letters: list[dict] = field(default_factory=list)
    bad_lines: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    different_coins: list[tuple] = field(default_factory=list)


class Replay:
    """One run: feeds by venue, one engine, one clock."""

    def __init__(self, config: dict, symbols: list[str] | None):
        engine = config.get("engine", {})
        self.asked = symbols if symbols is not None else config.get("symbols") or None
        self.aliases = config.get("assets", {}).get("aliases", [])
        self.groups = {}
        for group in engine.get("groups", []):
            for member in group["members"]:
                venue, _, symbol = member.partition(":")
                self.groups[VENUES.get(venue, venue), symbol] = group["name"]
        venues = config.get("venues", {})
        self.sources = {name: section.get("source", "depth") for name, section in venues.items()}
        fees = {name: s["taker_fee_bps"] for name, s in venues.items() if s.get("taker_fee_bps") is not None}
        self.instruments: dict[str, Instruments] = {}
        self.feeds: dict[str, Feed] = {}
        self.result = Result()
        self.engine = Engine(
            Settings(engine), {name: ratio(fee) for name, fee in fees.items()}, self.groups, self.instruments
        )
        self.clock = 0

    def feed(self, venue: str) -> Feed:
        if venue not in self.feeds:
            members = [symbol for name, symbol in self.groups if name == venue]
            instruments = Instruments(venue, self.asked, members, self.aliases)
            source = self.sources.get(venue, "depth")
            result = self.result
            self.instruments[venue] = instruments
            self.feeds[venue] = FEEDS[venue](instruments, source, result.counters, result.dead_letters)
        return self.feeds[venue]

    def take(self, record: Record) -> None:
        """One record: the clock first, then what had gone stale before it, then what the record says."""
        self.result.counters["records"] += 1
        self.clock = max(self.clock, record.ts)
        self.engine.pass_time(self.clock)
        feed = self.feed(record.venue)
        if record.kind == "recv":
            self.result.counters["frames"] += 1
            events = feed.receive(record.conn, record.data, record.raw)
        elif record.kind == "http":
            events = feed.answer(record.url, record.data)
        elif record.kind == "connect":
            events = feed.connect(record.conn, record.addr)
        elif record.kind == "close":
            events = feed.close(record.conn)
        else:
            events = []
        for what, book in events:
            if what == "unsynced":
                self.engine.unsynced(book, self.clock)
            else:
                book.last_update = self.clock
                self.result.ticks.append(book.tick(self.clock))
                self.engine.applied(book, self.clock)

    def finish(self) -> Result:
        """R30: nothing more is emitted; open episodes stay open."""
        result = self.result
        books = [book for feed in self.feeds.values() for book in feed.books.values()]
        result.books = [book.line() for book in sorted(books, key=lambda book: (book.venue, book.symbol))]
        result.opportunities = self.engine.out
        result.different_coins = self.engine.different_coins
        return result


def run(sources: Iterable, config: dict | None = None, symbols: list[str] | None = None) -> Result:
    """Replays captures: each source is a path, or a list of parsed records (with or without a header first)."""
    notes = Notes()
    replay = Replay(config or {}, symbols)
    streams = []
    for number, source in enumerate(sources):
        if isinstance(source, (str, Path)):
            streams.append(read_file(Path(source), notes))
        else:
            streams.append(read_records(source, f"source {number}", notes))
    try:
        for record in merged(streams):
            replay.take(record)
    except BadCaptureError as error:  # only of parsed records: a file notes its own
        notes.errors.append(str(error))
    result = replay.finish()
    result.bad_lines, result.errors = notes.bad_lines, notes.errors
    result.counters["bad_lines"] = len(notes.bad_lines)
    return result
