"""Facts go down as they are; dead letters are bounded in number and size, and none goes uncounted."""

import msgspec

from gambit.events import read
from gambit.events.feed import DeadLettered, FeedUp
from gambit.model import DeadLetter
from gambit.runtime.ledger import LETTERS_A_SECOND, RAW_BYTES_MAX, Ledger


class Journal:
    """Keeps what is appended."""

    def __init__(self) -> None:
        self.head = 0
        self.records: list[tuple[str, bytes, int]] = []

    def append(self, kind: str, body: bytes, ts_ns: int) -> int:
        self.head += 1
        self.records.append((kind, body, ts_ns))
        return self.head

    def append_now(self, kind: str, body: bytes, ts_ns: int) -> int:
        return self.append(kind, body, ts_ns)


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.ns = 10**18

    def now_ns(self) -> int:
        return self.ns

    def mono_ns(self) -> int:
        return self.ns


def letter(raw: bytes = b"x") -> DeadLetter:
    """A frame that could not be used."""
    return DeadLetter("no JSON", "okx", "okx-0a", 5, raw)


def test_a_fact_can_be_read_back() -> None:
    """Kind, body and time; the body decodes to the fact."""
    journal, clock = Journal(), Clock()
    assert Ledger(journal, clock).fact(FeedUp(venue="okx", conn="okx-0a")) == 1
    ((kind, body, ts_ns),) = journal.records
    assert (kind, ts_ns) == ("feed.up", clock.ns)
    assert read(kind, body) == FeedUp(venue="okx", conn="okx-0a")
    assert read("signal.raised", b'{"a":1}') == {"a": 1}


def test_dead_letters_carry_their_place_and_their_bytes() -> None:
    """The id is the sequence number; bytes that are no text survive; what is too long says so."""
    journal = Journal()
    ledger = Ledger(journal, Clock())
    ledger.dead_letter(letter(b"\xff\x00"))
    ledger.dead_letter(letter(b"y" * (RAW_BYTES_MAX + 1)))
    first, second = (msgspec.json.decode(body, type=DeadLettered) for _, body, _ in journal.records)
    assert (first.letter_id, first.raw, first.reason) == (1, b"\xff\x00", "no JSON")
    assert (second.letter_id, len(second.raw)) == (2, RAW_BYTES_MAX)
    assert f"of {RAW_BYTES_MAX + 1} bytes" in second.reason


def test_a_flood_of_dead_letters_is_counted_not_kept() -> None:
    """So many a second, then the next second anew."""
    journal, clock = Journal(), Clock()
    ledger = Ledger(journal, clock)
    for _ in range(LETTERS_A_SECOND + 10):
        ledger.dead_letter(letter())
    assert len(journal.records) == LETTERS_A_SECOND
    assert (ledger.letters, ledger.letters_counted_only) == (LETTERS_A_SECOND, 10)
    assert ledger.letter_counts == {("market.normalized", "no JSON"): LETTERS_A_SECOND + 10}
    clock.ns += 10**9
    ledger.dead_letter(letter())
    assert len(journal.records) == LETTERS_A_SECOND + 1
