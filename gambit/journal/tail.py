"""The latest written records, in memory, and readers that follow them.

A follower that keeps up never touches a file; one that fell behind reads the segments until it is back. It sees only
what is synced, so nothing it hands on can be missing from the journal after a power cut.
"""

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gambit.journal.frame import Record
from gambit.journal.problem import JournalDamaged, JournalError
from gambit.journal.segment import Segment, SegmentReader, segment_at, segment_of, segment_path

TAIL_BYTES_MAX: Final = 8 << 20
_RECORD_COST: Final = 200  # bytes that a record takes in memory beside its body


class Group:
    """Records written together."""

    __slots__ = ("cost", "first_seq", "hashes", "records")

    def __init__(self, records: list[Record], hashes: list[bytes]) -> None:
        self.first_seq = records[0].seq
        self.records = records
        self.hashes = hashes
        self.cost = sum(len(record.body) for record in records) + _RECORD_COST * len(records)

    def holds(self, seq: int) -> bool:
        """Whether a record is among these."""
        return self.first_seq <= seq < self.first_seq + len(self.records)


class Tail:
    """The last groups, up to `TAIL_BYTES_MAX`. One thread adds, any thread reads; the lock is held for microseconds
    and never by the loop."""

    def __init__(self) -> None:
        self._groups: deque[Group] = deque()
        self._cost = 0
        self._lock = threading.Lock()

    def add(self, group: Group) -> None:
        """Take in what was just written."""
        with self._lock:
            self._groups.append(group)
            self._cost += group.cost
            while self._cost > TAIL_BYTES_MAX and len(self._groups) > 1:
                self._cost -= self._groups.popleft().cost

    def after(self, seq: int) -> list[Group] | None:
        """The groups that hold everything behind record `seq`; None when the tail begins later than that."""
        with self._lock:
            found: list[Group] = []
            for group in reversed(self._groups):
                if group.first_seq + len(group.records) <= seq + 1:
                    return found[::-1]
                found.append(group)
            return found[::-1] if found and found[-1].first_seq <= seq + 1 else None


class Follower:
    """Reads a journal from record `after` on, at its own pace, in one thread; it holds nothing up and loses nothing.
    `seq` and `hash` are of the last record it gave (the hash is empty before the first)."""

    def __init__(self, folder: Path, tail: Tail, synced: Callable[[], int], after: int) -> None:
        self.seq = after
        self.hash = b""
        self._folder = folder
        self._tail = tail
        self._synced = synced
        self._reader: SegmentReader | None = None
        self._held: Group | None = None  # read from a file

    @property
    def lag(self) -> int:
        """How many synced records it has not read."""
        return max(self._synced() - self.seq, 0)

    def read(self, limit: int) -> list[Record]:
        """The next records, at most `limit`; none when there is nothing new.

        Raises JournalError when its next record is retired, JournalDamaged, OSError.
        """
        last = min(self._synced(), self.seq + limit)
        if last <= self.seq:
            return []
        groups = self._tail.after(self.seq)
        records: list[Record] = []
        if groups is None:
            while self.seq < last:
                records += self._taken(self._from_file(), last)
            return records
        self.close()
        for group in groups:
            if group.first_seq > last:
                break
            records += self._taken(group, last)
        return records

    def _taken(self, group: Group, last: int) -> list[Record]:
        start, stop = self.seq + 1 - group.first_seq, last + 1 - group.first_seq
        records = group.records[start:stop]
        self.seq = records[-1].seq
        self.hash = group.hashes[self.seq - group.first_seq]
        return records

    def _from_file(self) -> Group:
        """A stretch of records that holds the next one."""
        while self._held is None or not self._held.holds(self.seq + 1):
            if self._reader is None:
                self._reader = SegmentReader(self._segment_of(self.seq + 1), {})
            batch = self._reader.read()
            if batch.records:
                self._held = Group(batch.records, batch.hashes)
                continue
            ended, self._reader = self._reader, None
            ended.close()
            path = segment_path(self._folder, ended.next_seq)
            if not path.exists():
                raise JournalDamaged(
                    ended.segment.path, ended.offset, ended.next_seq, "the file ends before this record"
                )
            self._reader = SegmentReader(segment_at(path), {})
        return self._held

    def _segment_of(self, seq: int) -> Segment:
        found = segment_of(self._folder, seq)
        if found is None:
            raise JournalError(f"{self._folder}: record {seq} is retired; nothing older than the first segment is kept")
        return found

    def close(self) -> None:
        """Let go of the file it may be reading."""
        self._held = None
        if self._reader is not None:
            self._reader.close()
            self._reader = None
