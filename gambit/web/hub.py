"""What is told to whom over the dashboard's WebSocket: channels, filters, order, conflation, resume. Touches nothing.

Nobody has a queue of their own. A channel of events keeps its last ones in a ring, a channel of states the latest item
of each key; a reader is a cursor into each. So a thousand readers that fall behind cost what one costs:

- events (orders, plans, alerts, the trading state) reach a reader one by one and without a hole; a reader that the ring
  has left behind is told so (`Behind`) and has to be cut: it comes back and resumes, or gets a snapshot;
- states (opportunities, books, readings) reach it as they are when it has time, at most `rate` times a second; what a
  newer item replaced in the meantime is counted as conflated;
- events go before states.

Sequence numbers grow by one with everything published on a channel and begin, in each life of the daemon, behind those
of the life before. Who comes back says the last one it saw and gets what followed, or a snapshot where that is gone.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from gambit.jsons import kept_json

EVENTS_KEPT: Final = 4096  # per channel
EVENT_BYTES_KEPT: Final = 4 << 20
KEYS_MAX: Final = 10_000  # items of a channel of states; further ones are not told, and counted
GONE_KEPT: Final = 1024  # ended items remembered for those who have not heard of their end
TAKEN_MAX: Final = 256  # events in one go
RATE: Final = 5.0  # state messages a second and channel, unless a reader asks for another rate
RATE_MAX: Final = 20.0
SECOND_NS: Final = 1_000_000_000

Row = Mapping[str, Any]


class Behind(Exception):
    """A reader did not take its events in time; some are gone, and it must not go on as if nothing were."""


class Filter(NamedTuple):
    """What of a channel is wanted; an empty part lets everything pass, and so does an item that has no such part."""

    symbols: frozenset[str] = frozenset()
    venues: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()

    def passes(self, item: "Item") -> bool:
        """Whether an item is wanted."""
        return (
            (not self.symbols or not item.symbol or item.symbol in self.symbols)
            and (not self.venues or not item.venues or not self.venues.isdisjoint(item.venues))
            and (not self.users or not item.user or item.user in self.users)
        )


EVERYTHING: Final = Filter()


class Item:
    """One thing published: what filters ask for, and its data until somebody wants them as text. Thousands are kept,
    so that nothing is kept twice."""

    __slots__ = ("_data", "is_gone", "seq", "symbol", "user", "venues")

    def __init__(self, seq: int, data: Row, *, is_gone: bool = False) -> None:
        self.seq = seq
        self.is_gone = is_gone
        self.symbol = str(data.get("symbol") or "")
        self.user = str(data.get("user_id") or "")
        self.venues = tuple(_venues(data))
        self._data: Row | bytes = data

    @property
    def text(self) -> bytes:
        """Its data as JSON; from then on it is all that is kept of them."""
        if not isinstance(self._data, bytes):
            self._data = encoded(self._data)
        return self._data

    def let_go(self) -> bytes:
        """Its data as JSON, which somebody else keeps from now on: no more `text`."""
        text, self._data = self.text, b""
        return text


def _venues(data: Row) -> Iterable[str]:
    for name in ("venue", "venue_buy", "venue_sell"):
        if data.get(name):
            yield data[name]
    named = data.get("venues")
    if isinstance(named, list | tuple):
        yield from (name for name in named if isinstance(name, str))


class Channel(NamedTuple):
    """`is_state`: the latest item of each key counts, not each one. `snapshot` gives the rows a new reader of a channel
    of events begins with."""

    name: str
    is_state: bool
    snapshot: Callable[[], Sequence[Row]] = tuple


class Told(NamedTuple):
    """What a subscription began with: the channel's number now, and whether the reader only gets what it missed."""

    seq: int
    is_resumed: bool


class Hub:
    """`worded` is put around each message (a frame's head, say); `ts` words an instant. Channels are in order of
    priority among their kind; `first_seq` has to be beyond all numbers of the life before."""

    def __init__(
        self,
        channels: Sequence[Channel],
        *,
        first_seq: int,
        now_ns: Callable[[], int],
        ts: Callable[[int], str],
        worded: Callable[[bytes], bytes] = bytes,
    ) -> None:
        self.events = {c.name: Ring(c, first_seq, ts, worded) for c in channels if not c.is_state}
        self.states = {c.name: Table(c, first_seq, ts, worded) for c in channels if c.is_state}
        self.version = 0  # of everything; nothing new while it stands
        self.conflated = 0
        self.readers: set[Reader] = set()
        self._now_ns = now_ns

    @property
    def channels(self) -> tuple[str, ...]:
        """All names."""
        return (*self.events, *self.states)

    def publish(self, channel: str, data: Row, key: str = "") -> None:
        """An event, or the new state of `key`."""
        self.version += 1
        if channel in self.events:
            self.events[channel].add(data, self._now_ns())
        else:
            self.states[channel].put(key, data, is_gone=False)

    def end(self, channel: str, data: Row, key: str) -> None:
        """The last word about `key` of a channel of states; snapshots do not have it any more."""
        self.version += 1
        self.states[channel].put(key, data, is_gone=True)

    def subscribe(
        self, reader: "Reader", channels: Collection[str], wanted: Filter, since: Mapping[str, int]
    ) -> tuple[dict[str, Told], list[bytes]]:
        """Where each channel begins for this reader, and the snapshots it begins with. `since`: last numbers seen."""
        told: dict[str, Told] = {}
        frames: list[bytes] = []
        for name in channels:
            source = self.events.get(name) or self.states[name]
            is_resumed = name in since and source.has_all_after(since[name])
            reader.filters[name] = wanted
            told[name] = Told(source.seq, is_resumed)
            if is_resumed:
                reader.cursors[name] = since[name]
            elif isinstance(source, Ring):
                reader.cursors[name] = source.seq
                frames.append(source.snapshot(wanted, self._now_ns()))
            else:
                reader.cursors[name] = UNSEEN
        reader.seen = UNSEEN
        self.readers.add(reader)
        return told, frames

    def unsubscribe(self, reader: "Reader", channels: Collection[str]) -> None:
        """No more of these."""
        for name in channels:
            reader.cursors.pop(name, None)
            reader.filters.pop(name, None)

    def leave(self, reader: "Reader") -> None:
        """Forget a reader."""
        self.readers.discard(reader)

    def take(self, reader: "Reader", now_ns: int) -> list[bytes]:
        """What is due for a reader, events first; raises Behind. A reader whose turn gave as many events as one turn
        may hold gets its states next time."""
        if reader.seen == self.version:
            return []
        frames: list[bytes] = []
        for name, ring in self.events.items():
            cursor = reader.cursors.get(name)
            if cursor is not None and cursor < ring.seq:
                reader.cursors[name] = ring.collect(frames, cursor, reader.filters[name])
                if len(frames) >= TAKEN_MAX:
                    return frames
        early_ns = reader.every_ns // 2 if frames else 0  # what goes together costs one write
        if now_ns < reader.due_ns - early_ns:
            return frames
        for name, table in self.states.items():
            cursor = reader.cursors.get(name)
            if cursor is not None and cursor < table.seq:
                frame, replaced = table.since(cursor, reader.filters[name], now_ns)
                self.conflated += replaced
                reader.cursors[name] = table.seq
                if frame:
                    frames.append(frame)
        reader.due_ns = max(now_ns, reader.due_ns) + reader.every_ns
        reader.seen = self.version
        return frames


UNSEEN: Final = -1


class Reader:
    """One subscriber's place in every channel."""

    __slots__ = ("__weakref__", "cursors", "due_ns", "every_ns", "filters", "seen")

    def __init__(self) -> None:
        self.cursors: dict[str, int] = {}
        self.filters: dict[str, Filter] = {}
        self.every_ns = int(SECOND_NS / RATE)
        self.due_ns = 0
        self.seen = UNSEEN  # the hub's version it has all of

    def pace(self, rate: float) -> None:
        """At most this many state messages a second and channel; between 0.1 and RATE_MAX."""
        self.every_ns = int(SECOND_NS / min(max(rate, 0.1), RATE_MAX))


class Ring:
    """The last events of a channel."""

    def __init__(self, channel: Channel, seq: int, ts: Callable[[int], str], worded: Callable[[bytes], bytes]) -> None:
        self.channel = channel
        self.seq = seq
        self._ts = ts
        self._worded = worded
        self._kept: deque[tuple[Item, bytes]] = deque()
        self._bytes = 0

    @property
    def first(self) -> int:
        """The number of the oldest event kept; one more than the last when there is none."""
        return self._kept[0][0].seq if self._kept else self.seq + 1

    def has_all_after(self, seq: int) -> bool:
        """Whether nothing behind `seq` is gone."""
        return self.first - 1 <= seq <= self.seq

    def add(self, data: Row, now_ns: int) -> None:
        """The next event."""
        self.seq += 1
        item = Item(self.seq, data)
        frame = self._worded(message(self.channel.name, item.seq, self._ts(now_ns), item.let_go()))
        self._kept.append((item, frame))
        self._bytes += len(frame)
        while len(self._kept) > EVENTS_KEPT or self._bytes > EVENT_BYTES_KEPT:
            self._bytes -= len(self._kept.popleft()[1])

    def collect(self, frames: list[bytes], cursor: int, wanted: Filter) -> int:
        """Add to `frames` what follows `cursor`, as far as there is room; gives the new cursor. Raises Behind."""
        if not self.has_all_after(cursor):
            raise Behind(f"{self.channel.name}: events {cursor + 1} to {self.first - 1} are gone")
        for place in range(cursor + 1 - self.first, len(self._kept)):
            if len(frames) >= TAKEN_MAX:
                return self.first + place - 1
            item, frame = self._kept[place]
            if wanted.passes(item):
                frames.append(frame)
        return self.seq

    def snapshot(self, wanted: Filter, now_ns: int) -> bytes:
        """Where things stand."""
        items = [Item(self.seq, row) for row in self.channel.snapshot()]
        texts = [item.text for item in items if wanted.passes(item)]
        return self._worded(message(self.channel.name, self.seq, self._ts(now_ns), _array(texts), is_snapshot=True))


class Table:
    """The latest item of every key of a channel, the one that changed last at the end."""

    def __init__(self, channel: Channel, seq: int, ts: Callable[[int], str], worded: Callable[[bytes], bytes]) -> None:
        self.channel = channel
        self.seq = seq
        self.forgotten = seq  # ends up to here are not remembered
        self._ts = ts
        self._worded = worded
        self._items: dict[str, Item] = {}
        self.refused = 0
        self._gone: deque[tuple[str, int]] = deque()
        self._made: dict[tuple[int, Filter], tuple[bytes, int]] = {}  # for the readers that are in step

    def has_all_after(self, seq: int) -> bool:
        """Whether what was ended behind `seq` is still known."""
        return self.forgotten <= seq <= self.seq

    def put(self, key: str, data: Row, *, is_gone: bool) -> None:
        """The new state of a key, or its end."""
        if self._items.pop(key, None) is None and len(self._items) >= KEYS_MAX:
            self.refused += 1
            return
        self.seq += 1
        self._made.clear()
        self._items[key] = Item(self.seq, data, is_gone=is_gone)
        if is_gone:
            self._gone.append((key, self.seq))
        while len(self._gone) > GONE_KEPT:
            self._forget(*self._gone.popleft())

    def _forget(self, key: str, seq: int) -> None:
        """An end that is old; unless the key came back."""
        if self._items[key].seq == seq:
            del self._items[key]
            self.forgotten = seq

    def since(self, cursor: int, wanted: Filter, now_ns: int) -> tuple[bytes, int]:
        """The message for a reader that saw everything up to `cursor` (empty: nothing for it), and how many items
        newer ones replaced. Who has seen nothing, or missed an end, gets the whole."""
        made = self._made.get((cursor, wanted))
        if made is None:
            made = self._made[cursor, wanted] = self._make(cursor, wanted, now_ns)
        return made

    def _make(self, cursor: int, wanted: Filter, now_ns: int) -> tuple[bytes, int]:
        is_snapshot = not self.has_all_after(cursor)
        newer: list[Item] = []
        for item in reversed(self._items.values()):
            if item.seq <= cursor and not is_snapshot:
                break
            newer.append(item)
        replaced = 0 if is_snapshot else self.seq - cursor - len(newer)
        texts = [i.text for i in reversed(newer) if wanted.passes(i) and not (is_snapshot and i.is_gone)]
        if not texts and not is_snapshot:
            return b"", replaced
        text = message(self.channel.name, self.seq, self._ts(now_ns), _array(texts), is_snapshot=is_snapshot)
        return self._worded(text), replaced


def message(channel: str, seq: int, ts: str, data: bytes, *, is_snapshot: bool = False) -> bytes:
    """One message of a channel (contract.md, "HTTP"); `data` is JSON already."""
    mark = b',"snapshot":true' if is_snapshot else b""
    return b'{"channel":"%b","seq":%d,"ts":"%b"%b,"data":%b}' % (channel.encode(), seq, ts.encode(), mark, data)


def encoded(data: object) -> bytes:
    """JSON; exact decimals as text."""
    return kept_json(data, is_loose=True)


def _array(texts: Sequence[bytes]) -> bytes:
    return b"[" + b",".join(texts) + b"]"
