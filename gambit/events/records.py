"""What every reader of the journal wants of it: records in their order, at the reader's own pace. A reader that needs
more of a journal (its id, a place to begin at, a promise) asks for that beside this, where it is used."""

from collections.abc import Sequence
from typing import Protocol


class Record(Protocol):
    """A journal record: its number (from 1, no gap), when it was appended (ns since the epoch), which kind of fact or
    signal it is, and that as JSON."""

    @property
    def seq(self) -> int: ...
    @property
    def ts_ns(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def body(self) -> bytes: ...


class Follower(Protocol):
    """A place in the journal, that moves on as it is read."""

    def read(self, limit: int) -> Sequence[Record]:
        """The next records, at most `limit`; none when there are no more yet. Raises JournalError."""
        ...

    def close(self) -> None: ...
