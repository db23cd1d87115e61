"""The way of facts into the journal, and of dead letters, which are bounded in number and size on that way."""

from collections import Counter
from collections.abc import Callable
from typing import Final, Protocol

from gambit.events import Fact, written
from gambit.events.feed import DeadLettered
from gambit.model import DeadLetter
from gambit.runtime.clock import Clock

LETTERS_A_SECOND: Final = 50  # a venue that sends rubbish must not fill the disk; the others are counted
RAW_BYTES_MAX: Final = 256 * 1024
REASONS_MAX: Final = 200  # counted apart; they may quote what came
SECOND_NS: Final = 1_000_000_000
TOLD_KINDS: Final = frozenset(  # with texts from outside, and of no concern to the desk
    {"feed.up", "feed.down", "book.synced", "book.lost", "dead_letter", "daemon.stopped", "audit", "account.held"}
)


class Journal(Protocol):
    """What is appended to."""

    head: int

    def append(self, kind: str, body: bytes, ts_ns: int) -> int: ...
    def append_now(self, kind: str, body: bytes, ts_ns: int) -> int: ...


class Ledger:
    """Writes facts down as they happen; gives the sequence number. `redact` takes known secrets out of bytes; facts the
    desk decides by are without them already, for a replay has to give the same desk."""

    def __init__(self, journal: Journal, clock: Clock, redact: Callable[[bytes], bytes] = lambda data: data) -> None:
        self.journal = journal
        self.clock = clock
        self.redact = redact
        self.letters = 0
        self.letters_counted_only = 0
        self.letter_counts: Counter[tuple[str, str]] = Counter()  # by topic and the head of the reason; all of them
        self.listeners: list[Callable[[Fact, int], None]] = []  # each hears every fact and its time
        self._window_ns = 0
        self._in_window = 0

    def fact(self, fact: Fact, at_ns: int | None = None) -> int:
        """Write a fact down, as of now or of the time given."""
        kind, body = written(fact)
        if kind in TOLD_KINDS:
            body = self.redact(body)
        now_ns = self.clock.now_ns() if at_ns is None else at_ns
        seq = self.journal.append(kind, body, now_ns)
        self._tell(fact, now_ns)
        return seq

    def fact_now(self, fact: Fact, at_ns: int | None = None) -> int:
        """The same for what something waits for: written when this returns, unless the writer is at it just now."""
        kind, body = written(fact)
        now_ns = self.clock.now_ns() if at_ns is None else at_ns
        seq = self.journal.append_now(kind, body, now_ns)
        self._tell(fact, now_ns)
        return seq

    def _tell(self, fact: Fact, now_ns: int) -> None:
        for listener in self.listeners:
            listener(fact, now_ns)

    def dead_letter(self, letter: DeadLetter) -> None:
        """Keep a frame that could not be used, unless too many come at once; its id is its place in the journal."""
        self._count(letter)
        now_ns = self.clock.now_ns()
        if now_ns - self._window_ns >= SECOND_NS:
            self._window_ns, self._in_window = now_ns, 0
        self._in_window += 1
        if self._in_window > LETTERS_A_SECOND:
            self.letters_counted_only += 1
            return
        self.letters += 1
        cut = f" (the first {RAW_BYTES_MAX} of {len(letter.raw)} bytes)" if len(letter.raw) > RAW_BYTES_MAX else ""
        self.fact(
            DeadLettered(
                letter_id=self.journal.head + 1,
                topic=letter.topic,
                venue=letter.venue,
                conn=letter.conn,
                reason=letter.reason + cut,
                recv_ns=letter.recv_ns,
                raw=self.redact(letter.raw[:RAW_BYTES_MAX]),
            )
        )

    def _count(self, letter: DeadLetter) -> None:
        kind = letter.topic, letter.reason.partition(":")[0][:60]
        if len(self.letter_counts) >= REASONS_MAX and kind not in self.letter_counts:
            kind = letter.topic, "other reasons"
        self.letter_counts[kind] += 1
