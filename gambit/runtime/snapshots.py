"""The desk's standing on the disk, beside the journal: a start reads the latest and replays only what came after.

Rules that hold here:
1. A snapshot belongs to a signed checkpoint of its journal: to that record's number and hash, and to the hash of the
   state that it states. One that fits none, or whose bytes are not those that were written, is told and not used.
2. It is a shortcut and nothing else: without any the journal from its first record gives the same state. So it is
   written behind the checkpoint's sync, in place at once, and the last three are kept.
3. Where the journal's first records are retired it is all there is. One that was made by an older version's rules is
   then taken as it stands, once its bytes are proved to be those that the checkpoint was signed for.
"""

from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from gambit.engine.standing import VERSION, Snapshot, Standing
from gambit.journal import JournalError, Record
from gambit.journal.checkpoint import KIND, read_checkpoint
from gambit.journal.disk import write_whole

FOLDER: Final = "desk"  # beside the journal's
ENDING: Final = ".snapshot"
KEPT: Final = 3  # F107: the last two may be damaged
FORM: Final = 1


class Follower(Protocol):
    """A reader of the journal; `hash` is of the last record it gave."""

    hash: bytes

    def read(self, limit: int) -> Sequence[Record]: ...
    def close(self) -> None: ...


class Journal(Protocol):
    """What snapshots are chained to."""

    @property
    def journal_id(self) -> bytes: ...
    @property
    def synced(self) -> int: ...
    def follow(self, after: int) -> Follower: ...


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of a snapshot; hashes and ids in hex."""

    form: int = FORM
    journal_id: str
    seq: int  # of its checkpoint
    hash: str  # of that record
    state_hash: str
    body_hash: str  # BLAKE2b-256 of the rest of the file


class Found(NamedTuple):
    """A standing, and the last record that is in it."""

    standing: Standing
    seq: int
    ts_ns: int = 0  # of that record


def newest_seq(folder: Path) -> int:
    """The record that the newest snapshot of a folder says it belongs to, unproved; 0 without one."""
    return max((int(path.stem) for path in folder.glob(f"*{ENDING}") if path.stem.isdigit()), default=0)


class Snapshots:
    """The snapshots of one journal. `report` hears what an operator should know."""

    def __init__(self, folder: Path, journal: Journal, report: Callable[[str], None]) -> None:
        self._folder = folder
        self._journal = journal
        self._report = report

    def latest(self) -> Found | None:
        """The newest that fits; None: there is none. Blocks."""
        return self._newest(self._current)

    def latest_of_older_version(self) -> Found | None:
        """The newest, by this version's rules or those of an older one (rule 3). Blocks."""
        found = self._newest(_adopted)
        if found is not None:
            self._report(f"the desk goes on from its state at record {found.seq} as an older version kept it")
        return found

    def _newest(self, standing_of: Callable[[Head, Snapshot], Standing]) -> Found | None:
        for path in reversed(self._paths()):
            try:
                head, snapshot, ts_ns = self._read(path)
                return Found(standing_of(head, snapshot), head.seq, ts_ns)
            except (ValueError, OSError, JournalError) as error:  # what msgspec raises is a ValueError
                self._report(f"the desk's snapshot {path} is not used: {error}")
        return None

    def write(self, snapshot: Snapshot, seq: int) -> None:
        """Keep the state as of checkpoint `seq`, which is synced. Blocks; for any thread. Raises ValueError where
        the record states another state, JournalError, OSError."""
        body = msgspec.msgpack.encode(snapshot)
        head = Head(
            journal_id=self._journal.journal_id.hex(),
            seq=seq,
            hash=self._checkpoint(seq, snapshot.digest)[0],
            state_hash=snapshot.digest,
            body_hash=_hash(body),
        )
        self._folder.mkdir(mode=0o700, exist_ok=True)
        for left in self._folder.glob(f"*{ENDING}.new"):
            left.unlink(missing_ok=True)  # by a kill: only one writes here
        write_whole(self._folder / f"{seq:020d}{ENDING}", msgspec.json.encode(head) + b"\n" + body)
        for path in self._paths()[:-KEPT]:
            path.unlink(missing_ok=True)

    @property
    def covered_seq(self) -> int:
        """Up to which record the journal is not needed for a start, even if the newest snapshot cannot be used."""
        paths = self._paths()
        return int(paths[0].stem) if len(paths) >= KEPT else 0

    def _paths(self) -> list[Path]:
        return sorted(path for path in self._folder.glob(f"*{ENDING}") if path.stem.isdigit())

    def _read(self, path: Path) -> tuple[Head, Snapshot, int]:
        line, _, body = path.read_bytes().partition(b"\n")
        head = msgspec.json.decode(line, type=Head)
        if head.form != FORM:
            raise ValueError(f"it has form {head.form}, not {FORM}")
        if head.journal_id != self._journal.journal_id.hex():
            raise ValueError("it is of another journal")
        if head.body_hash != _hash(body):
            raise ValueError("its bytes are not those that were written")
        own_hash, ts_ns = self._checkpoint(head.seq, head.state_hash)
        if head.hash != own_hash:
            raise ValueError(f"record {head.seq} of the journal is another one")
        return head, msgspec.msgpack.decode(body, type=Snapshot), ts_ns

    @staticmethod
    def _current(head: Head, snapshot: Snapshot) -> Standing:
        standing = Standing.restored(snapshot)
        if standing.digest() != head.state_hash:
            raise ValueError("its state is not the one its checkpoint was signed for")
        return standing

    def _checkpoint(self, seq: int, state_hash: str) -> tuple[str, int]:
        """Hash and time of checkpoint `seq`, which has to state this state."""
        if seq > self._journal.synced:
            raise ValueError(f"the journal ends at record {self._journal.synced}, before its checkpoint {seq}")
        follower = self._journal.follow(seq - 1)
        try:
            (record,) = follower.read(1)
            own_hash = follower.hash.hex()
        finally:
            follower.close()
        if record.kind != KIND or read_checkpoint(record).state_hash != state_hash:
            raise ValueError(f"record {seq} of the journal is no checkpoint of this state")
        return own_hash, record.ts_ns


def _adopted(head: Head, snapshot: Snapshot) -> Standing:
    """A state of an older version as one of this version. Raises ValueError where this one cannot read it."""
    version, _, signed = head.state_hash.partition("-")
    kept = msgspec.json.decode(snapshot.state, type=dict[str, Any])
    if signed != _hash(snapshot.state) or version != str(kept.get("version")):
        raise ValueError("its state is not the one its checkpoint was signed for")
    if kept["version"] > VERSION:
        raise ValueError(f"its state is of version {version}, later than this one's; start the version that wrote it")
    state = msgspec.json.encode({**kept, "version": VERSION})
    return Standing.restored(Snapshot(state, snapshot.archive))


def snapshots_folder(journal_folder: Path) -> Path:
    """Where the snapshots of a journal lie."""
    return journal_folder.with_name(FOLDER)


def _hash(data: bytes) -> str:
    return blake2b(data, digest_size=32).hexdigest()
