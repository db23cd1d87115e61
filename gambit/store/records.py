"""What the store needs of a journal; it knows no journal of its own."""

from typing import Protocol

from gambit.events import records


class Follower(records.Follower, Protocol):
    """Reads records in order; `seq` and `hash` are of the last one it gave."""

    @property
    def seq(self) -> int: ...
    @property
    def hash(self) -> bytes: ...


class Ledger(Protocol):
    """A journal: `first_seq` is the oldest record it still has, `synced` the last that is safe on the disk."""

    @property
    def journal_id(self) -> bytes: ...
    @property
    def first_seq(self) -> int: ...
    @property
    def synced(self) -> int: ...
    def follow(self, after: int) -> Follower: ...
