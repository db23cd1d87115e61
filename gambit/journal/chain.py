"""Proof that a journal is as it was written: every byte of every segment, the signatures, and its stored end.

A segment that another one follows is proved by the digest that the follower's header carries, at the speed of the
disk; only when that fails is it read record by record, to name the one that is wrong. The last segment is always read.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gambit.journal.checkpoint import KIND, Checkpoint, is_signed_by, read_checkpoint
from gambit.journal.frame import Record, Torn, genesis
from gambit.journal.head import Head
from gambit.journal.problem import JournalDamaged, JournalTruncated
from gambit.journal.segment import Segment, SegmentReader, digest, segments

Told = Callable[[int, int], None]  # bytes done, bytes in all


class StoredHead(NamedTuple):
    """A head and the file it comes from."""

    path: Path
    head: Head


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What was proved of a journal. Hashes and ids in hex."""

    journal_id: str
    segments: int
    bytes: int
    first_seq: int  # older records are retired
    last_seq: int
    last_hash: str
    checkpoints: int  # whose signature was checked
    checkpoint: Checkpoint | None  # the last of them
    torn: Torn | None  # an end that was never wholly written
    stored_seq: int | None  # the newest head it was held against; None: none was stored


def prove(
    folder: Path,
    keys: Sequence[Ed25519PublicKey],
    heads: Sequence[StoredHead],
    *,
    every_record: bool,
    told: Told = lambda _done, _total: None,
    trusted_seq: int = 0,
) -> Proof | None:
    """Prove the journal in `folder`; None when there is none. With `every_record` nothing is left to digests, and the
    signature of every checkpoint is checked; without `keys` none is. Segments that end before record `trusted_seq` are
    left for `prove_sealed_before`, all but their headers.

    Raises JournalDamaged (JournalTruncated when the end is missing), JournalFromFuture, OSError.
    """
    found = segments(folder)
    if not found:
        if heads and heads[0].head.seq:
            path, head = heads[0]
            what = f"{path} knows this record, all are gone (the next journal wants another execution.key_prefix)"
            raise JournalTruncated(folder, 0, head.seq, what, path)
        return None
    _check_birth(found[0])
    sizes = [segment.path.stat().st_size for segment in found]
    reading = _Reading(keys, {stored.head.seq for stored in heads})
    done = 0
    for segment, follower, size in zip(found[:-1], found[1:], sizes, strict=False):
        if follower.header.first_seq > trusted_seq and (
            every_record or digest(segment.path, size).digest() != follower.header.digest
        ):
            _prove_sealed(reading.read(segment), follower, size)
        done += size
        told(done, sum(sizes))
    last = reading.read(found[-1])
    told(sum(sizes), sum(sizes))
    for stored in heads:
        _check_head(stored, last, reading.hashes)
    return Proof(
        journal_id=last.segment.header.journal_id.hex(),
        segments=len(found),
        bytes=sum(sizes),
        first_seq=found[0].header.first_seq,
        last_seq=last.next_seq - 1,
        last_hash=last.hash.hex(),
        checkpoints=reading.checkpoints,
        checkpoint=reading.checkpoint,
        torn=reading.torn,
        stored_seq=max((stored.head.seq for stored in heads), default=None),
    )


def prove_sealed_before(folder: Path, seq: int, goes_on: Callable[[], bool] = lambda: True) -> int:
    """Prove the segments that end before a record, by their digests, while it `goes_on`; gives how many it proved. What
    is retired meanwhile is left out. Blocks, for as long as the disk takes to read them.

    Raises JournalDamaged, JournalFromFuture, OSError.
    """
    count = 0
    for segment, follower in pairwise(segments(folder)):
        if follower.header.first_seq > seq or not goes_on():
            break
        try:
            size = segment.path.stat().st_size
            is_whole = digest(segment.path, size).digest() == follower.header.digest
        except FileNotFoundError:
            continue
        if not is_whole:
            _prove_sealed(_Reading((), set()).read(segment), follower, size)
        count += 1
    return count


def _check_birth(segment: Segment) -> None:
    header = segment.header
    if header.number == 0 and (header.first_seq != 1 or header.before != genesis(header.journal_id)):
        raise JournalDamaged(segment.path, 0, header.first_seq, "the first segment does not begin the chain")


def _prove_sealed(reader: SegmentReader, follower: Segment, size: int) -> None:
    path, seq = reader.segment.path, reader.next_seq
    if reader.offset != size:
        raise JournalDamaged(path, reader.offset, seq, "it is cut off, and another segment follows")
    if (seq, reader.hash) != (follower.header.first_seq, follower.header.before):
        raise JournalDamaged(
            follower.path, 0, follower.header.first_seq, f"the segment before ends with record {seq - 1}"
        )
    if digest(path, size).digest() != follower.header.digest:
        raise JournalDamaged(path, 0, reader.segment.header.first_seq, "its digest is not what the next segment says")


def _check_head(stored: StoredHead, last: SegmentReader, hashes: dict[int, bytes]) -> None:
    path, head = stored
    if head.journal_id != last.segment.header.journal_id:
        raise JournalDamaged(last.segment.path, 0, last.next_seq - 1, f"{path} is the head of another journal")
    if head.seq >= last.next_seq:
        raise JournalTruncated(
            last.segment.path,
            last.offset,
            last.next_seq,
            f"the journal ends here, but record {head.seq} was on the disk once, says {path}",
            path,
        )
    if hashes.get(head.seq, head.hash) != head.hash:
        raise JournalDamaged(last.segment.path, 0, head.seq, f"its hash is not the one stored in {path}")


class _Reading:
    """Reads segments, checks signatures, and remembers the hashes that heads ask for."""

    def __init__(self, keys: Sequence[Ed25519PublicKey], wanted: set[int]) -> None:
        self._keys = keys
        self._wanted = wanted
        self._kinds: dict[bytes, str] = {}
        self.hashes: dict[int, bytes] = {}
        self.checkpoint: Checkpoint | None = None
        self.checkpoints = 0
        self.torn: Torn | None = None

    def read(self, segment: Segment) -> SegmentReader:
        """Read a whole segment; gives its reader, at the end and closed."""
        with SegmentReader(segment, self._kinds) as reader:
            self.hashes[reader.next_seq - 1] = reader.hash
            while True:
                offset = reader.offset
                batch = reader.read()
                if not batch.records:
                    break
                first = batch.records[0].seq
                for seq in self._wanted.intersection(range(first, reader.next_seq)):
                    self.hashes[seq] = batch.hashes[seq - first]
                for record in batch.records:
                    if record.kind == KIND:
                        self._check(record, segment.path, offset)
            self.torn = reader.torn()
        return reader

    def _check(self, record: Record, path: Path, offset: int) -> None:
        checkpoint = read_checkpoint(record)
        if self._keys and not is_signed_by(checkpoint, self._keys):
            raise JournalDamaged(path, offset, record.seq, "a checkpoint that this journal's key did not sign")
        self.checkpoint = checkpoint
        self.checkpoints += 1
