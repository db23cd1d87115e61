"""What a journal's files say, in order, for tests that look at them from outside."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from gambit.journal import places
from gambit.journal.segment import read_segment, segments


class Entry(NamedTuple):
    """One record."""

    seq: int
    ts_ns: int
    kind: str
    body: dict[str, Any]


def entries(state_dir: Path) -> Iterator[Entry]:
    """All records, in their order."""
    for segment in segments(places(state_dir).folder):
        for record in read_segment(segment):
            yield Entry(record.seq, record.ts_ns, record.kind, orjson.loads(record.body))
