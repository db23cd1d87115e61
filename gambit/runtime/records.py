"""What readers of the journal in this package want of it: records in their order, at the reader's own pace."""

from collections.abc import Sequence
from typing import Protocol


class Record(Protocol):
    """A journal record."""

    @property
    def seq(self) -> int: ...
    @property
    def ts_ns(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def body(self) -> bytes: ...


class Follower(Protocol):
    """A reader of the journal."""

    def read(self, limit: int) -> Sequence[Record]: ...
    def close(self) -> None: ...
