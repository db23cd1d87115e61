"""A replay that cannot go on names the record."""

from typing import Any

import pytest

from gambit.engine.standing import ReplayDiffers, Standing
from gambit.journal import Record
from gambit.runtime.rebuilding import replayed


class Follower:
    """Gives its records once."""

    hash = b""

    def __init__(self, records: list[Record]) -> None:
        self.records = records

    def read(self, _limit: int) -> list[Record]:
        found, self.records = self.records, []
        return found

    def close(self) -> None:
        """Nothing is held."""


class Journal:
    """One record."""

    def __init__(self, record: Record) -> None:
        self.record = record

    def follow(self, _after: int) -> Follower:
        return Follower([self.record])


@pytest.mark.parametrize(
    ("kind", "body", "what"),
    [
        ("tomorrow", b"{}", "record 7 is a 'tomorrow', which this version does not know"),
        ("state.changed", b'{"state":7}', "record 7, a 'state.changed', says what this version does not know"),
        ("state.changed", b"{", "record 7, a 'state.changed'"),
    ],
)
def test_a_record_of_another_version_is_named(kind: str, body: bytes, what: str) -> None:
    """A kind that nobody knows, and a known one that says something else."""
    journal: Any = Journal(Record(7, 1, kind, body))
    with pytest.raises(ReplayDiffers, match=what):
        list(replayed(Standing(), journal, 6))
