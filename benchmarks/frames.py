"""Seeded streams of venue frames, with the books they must lead to, for every benchmark.

A stream is what N venues send about one coin: what opens each book, then frames as bytes, in random turn, each
with its receive time. Beside them stands the truth, the books that a right reader has at the start and the end,
so that no contestant of a race is timed doing nothing. Two kinds:

- ``ticker``: each venue's best-bid-ask message; the touch moves by a few ticks from frame to frame.
- ``depth``: incremental frames of 20 + 20 changed levels on books of 1000 + 1000 (OKX 400 + 400: its channel has
  no more). Where the changes fall is in walk.py.

The first five venues speak binance, okx, bybit, kraken and coinbase; venue k > 5 speaks the dialect of venue k - 5
under another name. Nothing here reads a clock or a file: the same arguments give the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from benchmarks.dialects import BINANCE_STREAMS, BOOKS, LEVELS, LOTS, TICKERS
from benchmarks.walk import Book, Side, Tape, Touch

DIALECTS = tuple(TICKERS)
KINDS = ("ticker", "depth")
CHANGES = 20  # levels a side in a depth frame
START_NS = 1_760_000_000_000_000_000
STEP_NS = 1_000_000  # one frame a millisecond, all venues together


@dataclass(frozen=True, slots=True)
class Opening:
    """What starts one venue's book: ``body`` is a frame, or an HTTP answer where ``url`` is not empty."""

    body: bytes
    url: str = ""


@dataclass(frozen=True, slots=True)
class Stream:
    """N venues' frames of one kind: ``frames[i]`` came from venue ``venue_of[i]`` at ``recv_ns[i]``."""

    kind: str
    names: tuple[str, ...]
    dialects: tuple[str, ...]
    openings: tuple[tuple[Opening, ...], ...]
    opened: tuple[Book, ...]
    frames: tuple[bytes, ...]
    venue_of: tuple[int, ...]
    recv_ns: tuple[int, ...]
    books: tuple[Book, ...]


def make_stream(kind: str, venues: int | Sequence[str], count: int, *, seed: int = 1, combined: bool = True) -> Stream:
    """A stream of `count` frames of N venues, or of venues with the dialects named.

    `combined` wraps Binance frames as its combined streams do, the one form that all contestants read.
    Raises KeyError for an unknown dialect or kind.
    """
    named = [DIALECTS[k % len(DIALECTS)] for k in range(venues)] if isinstance(venues, int) else venues
    rng = _random(seed, kind)
    tape = Tape(rng, len(named))
    writers = [
        _WRITERS[kind](dialect, _random(seed, kind, k), tape.quote(k), combined) for k, dialect in enumerate(named)
    ]
    opened = tuple(writer.book() for writer in writers)
    venue_of = tuple(rng.randrange(len(named)) for _ in range(count))
    frames = tuple(writers[k].next_frame(*tape.quote(k)).encode() for k in venue_of)
    return Stream(
        kind=kind,
        names=venue_names(named),
        dialects=tuple(named),
        openings=tuple(tuple(writer.openings) for writer in writers),
        opened=opened,
        frames=frames,
        venue_of=venue_of,
        recv_ns=tuple(START_NS + (i + 1) * STEP_NS for i in range(count)),
        books=tuple(writer.book() for writer in writers),
    )


def venue_names(dialects: Sequence[str]) -> tuple[str, ...]:
    """One name a venue: its dialect, numbered from the second of that dialect on."""
    names = []
    for k, dialect in enumerate(dialects):
        earlier = dialects[:k].count(dialect)
        names.append(f"{dialect}-{earlier + 1}" if earlier else dialect)
    return tuple(names)


class TickerWriter:
    """One venue's best-bid-ask stream."""

    def __init__(self, dialect: str, rng: Random, quote: tuple[int, int], combined: bool) -> None:
        self.touch = Touch(rng, LOTS[dialect])
        self.write = TICKERS[dialect]
        self.stream = BINANCE_STREAMS["ticker"] if combined and dialect == "binance" else ""
        self.seq = rng.randrange(1000) if dialect == "coinbase" else rng.randrange(10**9, 10**10)
        self.openings = [Opening(self.next_frame(*quote).encode())]

    def next_frame(self, bid: int, ask: int) -> str:
        """The frame that moves the touch to these ticks."""
        self.seq += 1
        return _wrapped(self.write(*self.touch.move(bid, ask), self.seq), self.stream)

    def book(self) -> Book:
        """The touch as a book of one level a side."""
        return self.touch.book


class DepthWriter:
    """One venue's incremental book stream."""

    def __init__(self, dialect: str, rng: Random, quote: tuple[int, int], combined: bool) -> None:
        self.bids = Side(rng, -quote[0], LEVELS[dialect], LOTS[dialect])
        self.asks = Side(rng, quote[1], LEVELS[dialect], LOTS[dialect])
        self.stream = BINANCE_STREAMS["depth"] if combined and dialect == "binance" else ""
        self.wire = BOOKS[dialect](rng.randrange(10**9, 10**10), self.bids, self.asks)
        self.openings = [Opening(text.encode(), url) for text, url in self.wire.open()]

    def next_frame(self, bid: int, ask: int) -> str:
        """The frame that moves the touch to these ticks and changes 20 + 20 levels."""
        bids = [(-key, units) for key, units in self.bids.move(-bid, CHANGES)]
        return _wrapped(self.wire.update(bids, self.asks.move(ask, CHANGES)), self.stream)

    def book(self) -> Book:
        """The book after the frames so far."""
        return Book(self.bids.levels(-1), self.asks.levels(1))


def _wrapped(text: str, stream: str) -> str:
    return f'{{"stream":"{stream}","data":{text}}}' if stream else text


def _random(*seeds: object) -> Random:
    return Random("/".join(map(str, seeds)))


_WRITERS: dict[str, type[TickerWriter | DepthWriter]] = {"ticker": TickerWriter, "depth": DepthWriter}
