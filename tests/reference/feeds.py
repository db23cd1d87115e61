"""When a book may be believed: each venue's sequence rule, who feeds a book, and what a bad frame does (R4 .. R24).

A feed takes records of one venue in order and answers with events in the order they happened: ("unsynced", book) and
("applied", book), the latter once for each book of the frame that is synced after it (R24).
"""

from collections import Counter
from urllib.parse import parse_qs

from . import wires
from .books import Book, kraken_checksum, okx_checksum
from .instruments import Instruments
from .wires import BadFrameError, BookFrame, Message, Other, UnreadableError, Update

KRAKEN_DEPTHS = (10, 25, 100, 500, 1000)
Event = tuple[str, Book]


class Feed:
    """What all venues share: ownership of books (R8), quarantine (R5, R19), and the end of a frame (R22, R24)."""

    def __init__(self, instruments: Instruments, source: str, counters: Counter, dead_letters: list[dict]):
        self.venue = instruments.venue
        self.instruments = instruments
        self.source = source
        self.counters = counters
        self.dead_letters = dead_letters
        self.books: dict[str, Book] = {}
        self.addresses: dict[str, str] = {}
        self.events: list[Event] = []

    # ---- records ----

    def connect(self, conn: str, addr: str | None) -> list[Event]:
        """D10: a second connect of a connection is its close and a connect."""
        events = self.close(conn)
        if addr is None:
            self.addresses.pop(conn, None)
        else:
            self.addresses[conn] = addr
        return events

    def close(self, conn: str) -> list[Event]:
        self.events = []
        self.forget(conn)
        for book in self._fed_by(conn):
            self.lose(book)
            book.buffer.clear()
            book.is_fed = False
        return self.events

    def receive(self, conn: str, text: str | None, raw: bytes) -> list[Event]:
        """One frame; `text` is None for a binary frame that is not even text."""
        self.events = []
        if not self.accepts(conn):
            self.counters["skipped_address"] += 1
        elif text is not None and self.is_control(text):
            self.counters["control"] += 1
        else:
            try:
                if text is None:
                    raise UnreadableError("not UTF-8")
                self.document(conn, wires.read_json(text), raw)
            except UnreadableError as error:
                self._dead_letter(str(error), conn, raw)
                for book in self._fed_by(conn):
                    self.lose(book)
                    book.buffer.clear()
        return self.events

    def answer(self, url: str, text: str) -> list[Event]:
        """An HTTP answer: an instrument list is taken in, what is no business of books is left."""
        self.events = []
        path, _, search = url.split(" ")[0].partition("?")
        path, query = path.rstrip("/"), {name: values[-1] for name, values in parse_qs(search).items()}
        if self.is_snapshot(path):
            self.snapshot(query.get("symbol"), text)
        else:
            try:
                self.counters["lists"] += self.instruments.read_list(path, query, wires.read_json(text))
            except UnreadableError:
                self.counters["unreadable_answers"] += 1
        return self.events

    # ---- what a venue may say of its own ----

    def accepts(self, conn: str) -> bool:
        return True

    def is_control(self, text: str) -> bool:
        return False

    def forget(self, conn: str) -> None:
        """The connection is gone: its acks and its sequence with it."""

    def is_snapshot(self, path: str) -> bool:
        return False

    def snapshot(self, wire_symbol: str | None, text: str) -> None:
        raise NotImplementedError

    def classify(self, doc: object) -> BookFrame | Other:
        raise NotImplementedError

    def check(self, message: Message, book: Book, conn: str) -> Update:
        raise NotImplementedError

    def check_bbo(self, message: Message, conn: str) -> Update:
        raise NotImplementedError

    def apply(self, book: Book, update: Update) -> str | None:
        """One message to one book: "snapshots" or "applied" if it counts as such, None if it was not applied."""
        raise NotImplementedError

    def other(self, conn: str, doc: object, frame: Other) -> None:
        """A frame that touches no book."""

    # ---- frames ----

    def document(self, conn: str, doc: object, raw: bytes) -> None:
        frame = self.classify(doc)
        if isinstance(frame, Other):
            self.counters["other"] += 1
            self.other(conn, doc, frame)
        elif frame.feed != self.source:
            self.counters["other"] += 1
        else:
            self.book_frame(conn, frame, raw)

    def book_frame(self, conn: str, frame: BookFrame, raw: bytes) -> None:
        """R19: known books are named and taken over first, then all is checked, then all is applied."""
        named: dict[str, Book] = {}
        mine: list[tuple[Book, Message]] = []
        for message in frame.messages:
            symbol = self.instruments.symbol_of(message.wire_symbol)
            if symbol is None:
                self.counters["skipped_symbol"] += 1
                continue
            book = self.book(symbol)
            if symbol not in named and not self._claim(book, conn, frame.channel):
                self.counters["other_channel"] += 1
                continue
            named[symbol] = book
            mine.append((book, message))
        if frame.broken is None and not mine:
            return
        if frame.broken is not None and frame.messages and not named:
            return  # it names only books that it may not touch
        try:
            if frame.broken is not None:
                raise BadFrameError(frame.broken)
            updates = [(book, self._checked(message, book, conn)) for book, message in mine]
        except BadFrameError as error:
            self.quarantine(str(error), conn, raw, list(named.values()))
            return
        for book in named.values():
            self._apply_all(book, [update for other, update in updates if other is book])

    def _checked(self, message: Message, book: Book, conn: str) -> Update:
        return self.check(message, book, conn) if self.source == "depth" else self.check_bbo(message, conn)

    def _apply_all(self, book: Book, updates: list[Update]) -> None:
        kinds = set()
        for update in updates:
            kind = self.apply(book, update) if self.source == "depth" else self._apply_bbo(book, update)
            if not book.synced:
                kinds.clear()
            elif kind is not None:
                kinds.add(kind)
        if "dropped_stale" in kinds:  # of a frame, however much of it is old
            kinds.remove("dropped_stale")
            book.counts["dropped_stale"] += 1
        self.finish(book, Counter(kinds))

    def _apply_bbo(self, book: Book, update: Update) -> str:
        """R8: both sides replaced; a frame older than the last by the venue's own id is dropped as stale."""
        restart = self.venue.startswith("bybit") and update.last_id == 1
        if book.synced and update.last_id is not None and update.last_id < book.last_id and not restart:
            return "dropped_stale"
        book.take(update)
        book.trim(1)
        return "applied"

    def finish(self, book: Book, kinds: Counter) -> None:
        """The frame has been applied whole: the book is crossed, or the frame counts and is told."""
        if not kinds:
            return
        if book.is_crossed():
            book.counts["crossed"] += 1
            self.lose(book)
            return
        for kind, count in kinds.items():
            book.counts[kind] += count
        book.contract_size = self.instruments.contract_size(book.symbol)
        self.events.append(("applied", book))

    # ---- books ----

    def book(self, symbol: str) -> Book:
        if symbol not in self.books:
            self.books[symbol] = Book(self.venue, symbol)
        return self.books[symbol]

    def lose(self, book: Book) -> None:
        if book.synced:
            self.events.append(("unsynced", book))
        book.lose()

    def quarantine(self, reason: str, conn: str | None, raw: bytes, books: list[Book]) -> None:
        """R19: nothing of the frame is applied, and every book that it names goes unsynced."""
        self._dead_letter(reason, conn, raw)
        for book in books:
            book.counts["quarantined"] += 1
            self.lose(book)
            if conn is not None:
                book.buffer.clear()

    def _dead_letter(self, reason: str, conn: str | None, raw: bytes) -> None:
        self.counters["quarantined"] += 1
        self.dead_letters.append({"venue": self.venue, "conn": conn, "reason": reason, "raw": raw})

    def _fed_by(self, conn: str) -> list[Book]:
        return [book for book in self.books.values() if book.is_fed and book.conn == conn]

    def _claim(self, book: Book, conn: str, channel: str) -> bool:
        """R8, D10: the first channel feeds; the same one on another connection takes the book over, unsynced."""
        if not book.is_fed:
            book.conn, book.channel, book.is_fed = conn, channel, True
        elif book.channel != channel:
            return False
        elif book.conn != conn:
            self.lose(book)
            book.buffer.clear()
            book.conn = conn
        return True


class Binance(Feed):
    """R9, D5: diffs wait for a REST snapshot, join it, and then chain by their ids."""

    def classify(self, doc):
        return wires.classify_binance(doc)

    def _time_unit(self, conn: str) -> int:
        """Times are ms unless the address of the connection asked for microseconds."""
        return 1_000 if "timeunit=microsecond" in self.addresses.get(conn, "").lower() else 1_000_000

    def check(self, message, book, conn):
        return wires.check_binance_diff(message, self._time_unit(conn))

    def check_bbo(self, message, conn):
        return wires.check_binance_bbo(message, self._time_unit(conn))

    @staticmethod
    def _follows(diff: Update, last_id: int) -> bool:
        return diff.first_id <= last_id + 1 or (diff.prev_id is not None and diff.prev_id <= last_id)

    @staticmethod
    def _is_old(diff: Update, last_id: int, at_snapshot: bool) -> bool:
        """R9; on the futures a diff may end on the very id of the snapshot before it (EXPECTED.json counts it so)."""
        return diff.last_id < last_id or (diff.last_id == last_id and not (at_snapshot and diff.prev_id is not None))

    def apply(self, book, update):
        if not book.synced:
            self._buffer(book, update)
            return None
        if self._is_old(update, book.last_id, book.at_snapshot):
            book.counts["dropped_stale"] += 1
            return None
        if not self._follows(update, book.last_id):
            book.counts["gaps"] += 1
            self.lose(book)
            book.buffer = [update]
            return None
        book.take(update)
        return "applied"

    def _buffer(self, book: Book, diff: Update) -> None:
        """A gap empties the buffer and starts it; what is older than the buffer's end waits to be dropped."""
        if book.buffer and not self._follows(diff, max(kept.last_id for kept in book.buffer)):
            book.buffer.clear()
        book.buffer.append(diff)

    def is_snapshot(self, path):
        return self.source == "depth" and path.rsplit("/", 1)[-1] == "depth"

    def snapshot(self, wire_symbol, text):
        symbol = self._only_symbol() if wire_symbol is None else self.instruments.symbol_of(wire_symbol.upper())
        if symbol is None:
            self.counters["skipped_symbol"] += 1
            return
        book = self.book(symbol)
        raw = text.encode("utf-8", "surrogatepass")
        try:
            doc = wires.read_json(text)
            if isinstance(doc, dict) and "code" in doc and "lastUpdateId" not in doc:
                self.counters["error_answers"] += 1
                return
            update = wires.check_binance_snapshot(doc)
        except (UnreadableError, BadFrameError) as error:
            self.quarantine(str(error), None, raw, [book])
            return
        if book.synced or (book.conn is not None and not book.is_fed):
            self.counters["ignored_snapshots"] += 1
        else:
            self._join(book, update)

    def _only_symbol(self) -> str | None:
        """R4: the only symbol with diffs, else the only one asked for."""
        with_diffs = [book.symbol for book in self.books.values() if book.conn is not None]
        if len(with_diffs) == 1:
            return with_diffs[0]
        named = self.instruments.named()
        return named[0] if len(named) == 1 else None

    def _join(self, book: Book, snapshot: Update) -> None:
        """R9: snapshot and joined diffs are one frame, and a snapshot that no kept diff continues is too old."""
        last_id = snapshot.last_id
        kept = [diff for diff in book.buffer if not self._is_old(diff, last_id, True)]
        if kept and not self._follows(kept[0], last_id):
            self.counters["old_snapshots"] += 1
            return
        book.counts["dropped_stale"] += len(book.buffer) - len(kept)
        book.buffer = []
        book.take(snapshot)
        kinds = Counter(snapshots=1)
        for diff in kept:
            kind = self.apply(book, diff)
            if not book.synced:
                return
            kinds.update([kind] if kind else [])
        self.finish(book, kinds)


class Okx(Feed):
    """Chain of prevSeqId and seqId; on the old wire without them, the checksum (R10, R23, D9)."""

    def is_control(self, text):
        return text == "pong"

    def classify(self, doc):
        return wires.classify_okx(doc)

    def check(self, message, book, conn):
        return wires.check_okx(message, book.had_seq_id)

    def check_bbo(self, message, conn):
        return wires.check_okx_bbo(message)

    def apply(self, book, update):
        book.had_seq_id = update.last_id is not None
        if update.action == "update":
            if not book.synced:
                return None
            if update.last_id is not None and update.prev_id != book.last_id:
                book.counts["gaps"] += 1
                self.lose(book)
                return None
        book.take(update)
        book.trim(wires.OKX_DEPTH[book.channel])
        if update.last_id is None and update.checksum != 0:
            good = okx_checksum(book) == update.checksum
            book.counts["checksums_ok" if good else "checksums_bad"] += 1
            if not good:
                self.lose(book)
                return None
        return "snapshots" if update.action == "snapshot" else "applied"


class Bybit(Feed):
    """u grows by one from a snapshot; u = 1 is a snapshot whatever its type (R23)."""

    def accepts(self, conn):
        addr = self.addresses.get(conn)
        tail = "/linear" if self.venue == "bybit-linear" else "/spot"
        return addr is None or addr.split("?")[0].rstrip("/").endswith(tail)

    def classify(self, doc):
        frame = wires.classify_bybit(doc)
        if isinstance(frame, BookFrame) and self.source == "bbo" and frame.channel == "1":
            frame.feed = "bbo"
        return frame

    def check(self, message, book, conn):
        return wires.check_bybit(message)

    def check_bbo(self, message, conn):
        update = wires.check_bybit(message)
        update.action = "replace"
        return update

    def apply(self, book, update):
        if update.action == "update":
            if not book.synced:
                return None
            if update.last_id != book.last_id + 1:
                book.counts["gaps"] += 1
                self.lose(book)
                return None
        book.take(update)
        return "snapshots" if update.action == "snapshot" else "applied"


class Kraken(Feed):
    """No sequence: the checksum of the top 10 after trimming to the subscribed depth (R12)."""

    def __init__(self, *parts):
        super().__init__(*parts)
        self.acks: dict[tuple[str, str], int] = {}

    def forget(self, conn):
        self.acks = {key: depth for key, depth in self.acks.items() if key[0] != conn}

    def classify(self, doc):
        return wires.classify_kraken(doc)

    def other(self, conn, doc, frame):
        if frame.kind == "instrument":
            self.instruments.read_kraken_pairs(doc)
        result = doc.get("result") if isinstance(doc, dict) and doc.get("method") == "subscribe" else None
        if not isinstance(result, dict) or result.get("channel") != "book" or doc.get("success") is False:
            return
        depth, wire_symbol = wires.integer(result.get("depth")), result.get("symbol")
        symbol = self.instruments.symbol_of(wire_symbol) if type(wire_symbol) is str else None
        if symbol is not None and depth is not None and depth > 0:
            self.acks[conn, symbol] = depth

    def check(self, message, book, conn):
        return wires.check_kraken(message)

    def check_bbo(self, message, conn):
        return wires.check_kraken_bbo(message)

    def apply(self, book, update):
        if update.action == "snapshot":
            longer = max(len(update.bids), len(update.asks))
            book.depth = next((depth for depth in KRAKEN_DEPTHS if depth >= longer), None)
        elif not book.synced:
            return None
        book.take(update)
        depth = self.acks.get((book.conn, book.symbol), book.depth)
        if depth is not None:
            book.trim(depth)
        good = kraken_checksum(book, self.instruments.rules_of(book.symbol)) == update.checksum
        book.counts["checksums_ok" if good else "checksums_bad"] += 1
        if not good:
            self.lose(book)
            return None
        return "snapshots" if update.action == "snapshot" else "applied"


class Coinbase(Feed):
    """One sequence for each connection, over all its channels (R23, D12)."""

    def __init__(self, *parts):
        super().__init__(*parts)
        self.last_sequence: dict[str, int] = {}
        self.sequence: int | None = None
        self.timestamp: object = None

    def forget(self, conn):
        self.last_sequence.pop(conn, None)

    def classify(self, doc):
        return wires.classify_coinbase(doc)

    def document(self, conn, doc, raw):
        fields = doc if isinstance(doc, dict) else {}
        self.sequence, self.timestamp = wires.integer(fields.get("sequence_num")), fields.get("timestamp")
        if self.sequence is not None:
            last = self.last_sequence.get(conn)
            if last is not None and self.sequence <= last:
                self._drop(self.classify(doc))
                return
            if last is not None and self.sequence > last + 1:
                self._jump(conn)
            self.last_sequence[conn] = self.sequence
        super().document(conn, doc, raw)

    def _drop(self, frame: BookFrame | Other) -> None:
        self.counters["stale"] += 1
        if isinstance(frame, Other) or frame.feed != self.source:
            return
        symbols = [self.instruments.symbol_of(message.wire_symbol) for message in frame.messages]
        for symbol in dict.fromkeys(symbol for symbol in symbols if symbol is not None):
            self.book(symbol).counts["dropped_stale"] += 1

    def _jump(self, conn: str) -> None:
        for book in self._fed_by(conn):
            book.counts["gaps"] += book.synced
            self.lose(book)

    def check(self, message, book, conn):
        return wires.check_coinbase(message, self.sequence, self.timestamp)

    def check_bbo(self, message, conn):
        return wires.check_coinbase_bbo(message, self.sequence, self.timestamp)

    def apply(self, book, update):
        if update.action == "update" and not book.synced:
            return None
        book.take(update)
        return "snapshots" if update.action == "snapshot" else "applied"


FEEDS = {
    "binance": Binance,
    "binance-us": Binance,
    "binance-usdm": Binance,
    "binance-coinm": Binance,
    "okx": Okx,
    "bybit": Bybit,
    "bybit-linear": Bybit,
    "kraken": Kraken,
    "coinbase": Coinbase,
}
