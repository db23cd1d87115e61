"""Opening a journal: proof of what is there, the torn end dropped, the place where writing goes on."""

import os
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from gambit.journal.chain import Proof, StoredHead, Told, prove
from gambit.journal.checkpoint import load_public_keys, load_signer, public_key_file
from gambit.journal.disk import Disk
from gambit.journal.frame import HASH_BYTES, HEADER_BYTES, Header, encode_header, genesis
from gambit.journal.head import Head, HeadFiles, read_head
from gambit.journal.journal import Journal, Lock
from gambit.journal.segment import digest, segment_path, segments
from gambit.journal.tail import Follower, Tail
from gambit.journal.writer import Policy, Position, begin_segment

ID_BYTES = 16


class Places(NamedTuple):
    """Where a journal lies."""

    folder: Path
    key: Path
    heads: tuple[Path, ...]


def places(state_dir: Path, second_head: str = "") -> Places:
    """The places of the journal of a state directory; `second_head` is a further copy of its head, on another disk."""
    heads = (state_dir / "journal.head", *([Path(second_head)] if second_head else []))
    return Places(state_dir / "journal", state_dir / "journal.key", heads)


def open_journal(
    at: Places,
    policy: Policy,
    now_ns: int,
    disk: Disk | None = None,
    told: Told = lambda _done, _total: None,
    trusted_seq: int = 0,
) -> Journal:
    """Open the journal, or make it. A torn end is cut off and reported in `opened.torn`. Blocks while it proves: all
    but the segments before record `trusted_seq`, which are the caller's to prove later (`prove_sealed_before`).

    Raises JournalInUse, JournalDamaged, JournalTruncated, JournalFromFuture, JournalError, OSError.
    """
    disk = disk or Disk()
    lock = Lock(at.folder)
    try:
        signer = load_signer(at.key)
        proof = prove(
            at.folder,
            load_public_keys(public_key_file(at.key)),
            stored_heads(at.heads),
            every_record=False,
            told=told,
            trusted_seq=trusted_seq,
        )
        position = _begun(at.folder, disk, now_ns) if proof is None else _continued(at.folder, proof)
        heads = HeadFiles(at.heads)
        heads.store(Head(position.header.journal_id, position.seq, position.hash), everywhere=True)
        heads.sync()
        return Journal(position, policy, disk, heads, signer, lock, proof)
    except BaseException:
        lock.release()
        raise


def verify(at: Places, told: Told = lambda _done, _total: None) -> Proof | None:
    """Prove every record of a journal, also while it is being written; None when there is none.

    Raises what `open_journal` raises, but JournalInUse.
    """
    key_file = public_key_file(at.key)
    keys = load_public_keys(key_file) if key_file.exists() else []
    return prove(at.folder, keys, stored_heads(at.heads), every_record=True, told=told)


class WrittenJournal:
    """A journal to read, whether somebody writes it or not; made by `read_journal`."""

    def __init__(self, folder: Path, proof: Proof) -> None:
        self.proof = proof
        self.journal_id = bytes.fromhex(proof.journal_id)
        self.first_seq = proof.first_seq
        self.synced = proof.last_seq
        self._folder = folder

    def follow(self, after: int) -> Follower:
        """A reader of the records behind `after`, up to `synced`."""
        return Follower(self._folder, Tail(), lambda: self.synced, after)


def read_journal(at: Places, told: Told = lambda _done, _total: None) -> WrittenJournal | None:
    """The journal as of now, every record proved; None when there is none. Raises what `verify` raises."""
    proof = verify(at, told)
    return None if proof is None else WrittenJournal(at.folder, proof)


def stored_heads(paths: Sequence[Path]) -> list[StoredHead]:
    """The heads that can be found. Raises JournalError."""
    found = [(path, read_head(path)) for path in paths]
    return [StoredHead(path, head) for path, head in found if head is not None]


def _begun(folder: Path, disk: Disk, now_ns: int) -> Position:
    journal_id = os.urandom(ID_BYTES)
    header = Header(journal_id, 0, 1, now_ns, 0, bytes(HASH_BYTES), genesis(journal_id))
    path = segment_path(folder, 1)
    disk.close(begin_segment(disk, path, header))
    first = encode_header(header)
    return Position(header, path, HEADER_BYTES, 0, header.before, blake2b(first, digest_size=HASH_BYTES))


def _continued(folder: Path, proof: Proof) -> Position:
    last = segments(folder)[-1]
    size = last.path.stat().st_size
    if proof.torn is not None:
        size = proof.torn.offset
        with last.path.open("r+b") as file:
            file.truncate(size)
            os.fsync(file.fileno())
    header = last.header
    if proof.checkpoint is not None:
        header = header._replace(checkpoint_seq=proof.checkpoint.seq + 1)
    return Position(header, last.path, size, proof.last_seq, bytes.fromhex(proof.last_hash), digest(last.path, size))
