"""Segment files: which there are, and reading them forward, every record checked against the chain."""

import os
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple, Self

from gambit.journal.frame import (
    HASH_BYTES,
    HEADER_BYTES,
    Batch,
    Header,
    Record,
    Torn,
    decode_header,
    decode_records,
    is_unwritten,
)
from gambit.journal.problem import JournalDamaged

ENDING: Final = ".journal"
_CHUNK_BYTES: Final = 1 << 20


class Segment(NamedTuple):
    """A segment file and its header."""

    path: Path
    header: Header


def segment_path(folder: Path, first_seq: int) -> Path:
    """Where the segment lies whose first record is `first_seq`; names sort as the records do."""
    return folder / f"{first_seq:020d}{ENDING}"


def segment_at(path: Path) -> Segment:
    """The segment in a file. Raises JournalDamaged, JournalFromFuture, OSError."""
    with path.open("rb") as file:
        return Segment(path, decode_header(file.read(HEADER_BYTES), path))


def segment_of(folder: Path, seq: int) -> Segment | None:
    """The segment that has a record, or will have it; None when it is retired. Looks at names and opens one file."""
    paths = [path for path in folder.glob(f"*{ENDING}") if path.name <= segment_path(folder, seq).name]
    return segment_at(max(paths)) if paths else None


def segments(folder: Path) -> list[Segment]:
    """All segments, oldest first. Raises JournalDamaged for a bad header or a segment missing in between."""
    found: list[Segment] = []
    for path in sorted(folder.glob(f"*{ENDING}")):
        try:
            header = segment_at(path).header
        except FileNotFoundError:  # retired since it was listed
            continue
        if found and header.number != found[-1].header.number + 1:
            raise JournalDamaged(
                path,
                0,
                header.first_seq,
                f"it is segment {header.number}, but {found[-1].header.number} is before it",
            )
        if path != segment_path(folder, header.first_seq):
            raise JournalDamaged(path, 0, header.first_seq, "its name does not match its first record")
        found.append(Segment(path, header))
    return found


class SegmentReader:
    """Reads one segment forward from its first record, also while it is being written.

    Raises JournalDamaged, JournalFromFuture, OSError.
    """

    def __init__(self, segment: Segment, kinds: dict[bytes, str]) -> None:
        self.segment = segment
        self.next_seq = segment.header.first_seq
        self.hash = segment.header.before
        self.offset = HEADER_BYTES  # of the next record
        self._kinds = kinds
        self._file = segment.path.open("rb", buffering=0)

    def read(self) -> Batch:
        """The next records, about a megabyte; none when there is no whole one any more."""
        want = _CHUNK_BYTES
        start = self.offset - HASH_BYTES
        while True:
            data = os.pread(self._file.fileno(), want, start)
            batch = self._decoded(data, start)
            if batch.records or len(data) < want:
                break
            want *= 4  # a record longer than the chunk
        self.next_seq += len(batch.records)
        self.offset = start + batch.stop
        if batch.hashes:
            self.hash = batch.hashes[-1]
        return batch

    def _decoded(self, data: bytes, start: int) -> Batch:
        try:
            return decode_records(data, HASH_BYTES, self.next_seq, self.segment.path, start, self._kinds)
        except JournalDamaged as damage:
            at = damage.offset - start
            if at == HASH_BYTES and self._is_unwritten():
                return Batch([], [], HASH_BYTES)
            if at == HASH_BYTES:
                raise
            good = data[:at]  # what is whole comes first; the next call meets the damage at its start
            return decode_records(good, HASH_BYTES, self.next_seq, self.segment.path, start, self._kinds)

    def _is_unwritten(self) -> bool:
        size = os.fstat(self._file.fileno()).st_size
        return is_unwritten(os.pread(self._file.fileno(), size - self.offset, self.offset), 0)

    def torn(self) -> Torn | None:
        """What lies behind the last whole record, once `read` gave none; never whole when the writer was killed."""
        size = os.fstat(self._file.fileno()).st_size
        return Torn(self.offset, size - self.offset) if size > self.offset else None

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_segment(segment: Segment) -> Iterator[Record]:
    """All whole records of a segment. Raises JournalDamaged, JournalFromFuture, OSError."""
    with SegmentReader(segment, {}) as reader:
        while records := reader.read().records:
            yield from records


def digest(path: Path, size: int) -> "blake2b":
    """The running digest of the first `size` bytes of a file. Raises OSError."""
    total = blake2b(digest_size=HASH_BYTES)
    with path.open("rb", buffering=0) as file:
        while size > 0 and (data := file.read(min(size, _CHUNK_BYTES))):
            total.update(data)
            size -= len(data)
    return total
