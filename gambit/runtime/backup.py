"""Backups: one file with the journal, its keys, a copy of the database and the exported days; checked when restored.

A backup is a tar under Zstandard. Its last member lists every other one with its BLAKE2b-256, so a backup that was cut
off or changed is refused before anything is put in place.
"""

import io
import os
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import IO, Final, NamedTuple

import msgspec
import zstandard

from gambit.journal import JournalError, Places, Proof, places, verify
from gambit.journal.head import read_head
from gambit.runtime.blame import blamed_on
from gambit.runtime.lives import skip_lost_lives
from gambit.runtime.process import InstanceLock
from gambit.runtime.snapshots import ENDING, FOLDER, snapshots_folder
from gambit.runtime.trading import TradingSwitch
from gambit.scratch import scratch
from gambit.store import StoreError
from gambit.store.rebuild import cursor_of

MANIFEST: Final = "manifest.json"
DATABASE: Final = "gambit.duckdb"
LEFTOVERS: Final = ".backup-"  # unfinished ones lie in folders beside the target, which the next backup there clears
_READ_BYTES: Final = 1 << 20
_FOLDERS: Final = ("journal", FOLDER, "exports")
_FILES: Final = (DATABASE, "journal.head", "journal.key", "journal.pub")
# As they are put in place: a restore that is cut short leaves a head whose journal is missing, and no start takes that
# for a new one.
_IN_ORDER: Final = ("journal.head", "journal.key", "journal.pub", FOLDER, "exports", DATABASE, "journal")


class BackupError(Exception):
    """A backup that cannot be made or is not what it was."""


class Sources(NamedTuple):
    """What a backup is made of."""

    journal: Places
    database: Path  # a copy that nobody writes
    exports: Path


class Restored(NamedTuple):
    """What was restored."""

    proof: Proof | None  # of the journal; None: it had none
    database_seq: int
    files: int


class Manifest(msgspec.Struct, frozen=True):
    """The last member: the hash (hex) of every other one."""

    hashes: dict[str, str]
    version: int = 1


def write_backup(sources: Sources, target: Path) -> None:
    """Write a backup, in place at once and readable by its owner only; the journal may be written meanwhile.

    Raises BackupError when the target exists, OSError.
    """
    if target.exists():
        raise BackupError(f"{target}: exists already; a backup replaces nothing")
    with blamed_on(target), scratch(target.parent, LEFTOVERS) as folder:
        fresh = folder / target.name
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            with (
                zstandard.ZstdCompressor(level=3).stream_writer(file, closefd=False) as packed,
                tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
            ):
                hashes = {name: _add(tar, name, path) for name, path in _members(sources)}
                listed = msgspec.json.encode(Manifest(hashes))
                tar.addfile(_entry(MANIFEST, len(listed)), io.BytesIO(listed))
            file.flush()
            os.fsync(file.fileno())
        os.link(fresh, target)


def _members(sources: Sources) -> Iterator[tuple[str, Path]]:
    """Names in the backup and where they are. The head comes before the segments: it is never ahead of them then."""
    at = sources.journal
    for path in (at.heads[0], at.key, at.key.with_suffix(".pub"), sources.database):
        if path.exists():
            yield (DATABASE if path == sources.database else path.name), path
    for path in sorted(snapshots_folder(at.folder).glob(f"*{ENDING}")):  # before the journal: never ahead of it
        yield f"{FOLDER}/{path.name}", path
    for path in sorted(at.folder.glob("*.journal")):
        yield f"journal/{path.name}", path
    for path in sorted(sources.exports.glob("*/day=*/rows.parquet")):
        yield f"exports/{path.relative_to(sources.exports)}", path


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o600
    return entry


class _Hashed(io.RawIOBase):
    """A file of which exactly `size` bytes are read, and their hash."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.hash = blake2b(digest_size=32)

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.hash.update(data)
        return data


def _add(tar: tarfile.TarFile, name: str, path: Path) -> str:
    with path.open("rb") as file:
        hashed = _Hashed(file)
        tar.addfile(_entry(name, os.fstat(file.fileno()).st_size), hashed)  # a growing file: as long as it is now
        return hashed.hash.hexdigest()


def restore_backup(
    source: Path, state_dir: Path, database: Path, now_ns: int, head_copies: Sequence[Path] = ()
) -> Restored:
    """Put a backup in place of nothing: `state_dir` must hold none of what a backup has, and `database` must not exist.

    Everything is unpacked beside it and proved first: the list of hashes, the journal's chain and signatures, and that
    the database is a picture of it. The state directory's lock is held meanwhile: of two at once the pieces would mix.
    What was done after the backup is not known here: trading is HALTED until somebody has looked, the next life has a
    number of its own (gambit.runtime.lives), and `head_copies` that know of more than the backup are refused, as the
    start would refuse this journal. Raises BackupError, AlreadyRunning, OSError.
    """
    with blamed_on(state_dir):
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = InstanceLock(state_dir, "restore")
        lock.acquire()
        try:
            return _restored(source, state_dir, database, now_ns, head_copies)
        finally:
            lock.release()


def _restored(source: Path, state_dir: Path, database: Path, now_ns: int, head_copies: Sequence[Path]) -> Restored:
    targets = {name: database if name == DATABASE else state_dir / name for name in _IN_ORDER}
    log = database.with_name(database.name + ".wal")  # DuckDB would take it for the restored file's
    there = [str(path) for path in (*targets.values(), log) if os.path.lexists(path)]
    if there:
        raise BackupError(
            f"{', '.join(there)}: {'exists' if len(there) == 1 else 'exist'} already; move "
            f"{'it' if len(there) == 1 else 'them'} away first, a restore replaces nothing"
        )
    with scratch(state_dir, ".restore-") as folder:
        files = _unpacked(source, folder)
        restored = _proved(source, folder, files)
        _check_copies(head_copies, restored.proof)
        skip_lost_lives(state_dir, now_ns)
        _halt(state_dir, source, now_ns)
        for name, target in targets.items():
            found = folder / name
            if found.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(found, target)
    return restored


def _check_copies(copies: Sequence[Path], proof: Proof | None) -> None:
    """No copy of a head may know of another journal, or of records that the backup does not have."""
    for path in copies:
        try:
            head = read_head(path)
        except JournalError as error:
            raise BackupError(str(error)) from error
        if head is None or (proof and proof.journal_id == head.journal_id.hex() and proof.last_seq >= head.seq):
            continue
        last = proof.last_seq if proof else 0
        raise BackupError(
            f"{path}: this copy of the journal's head knows record {head.seq} of journal {head.journal_id.hex()}; the "
            f"backup has journal {proof.journal_id if proof else 'none'} up to record {last}. What came after it is "
            f"lost with a restore: move {path} away first if that is how it is"
        )


def _halt(state_dir: Path, source: Path, now_ns: int) -> None:
    """A kill that came after the backup is in no backup."""
    switch = TradingSwitch(state_dir, lambda: now_ns, lambda _fact: None)
    if switch.state != "HALTED":
        reason = (
            f"restored from {source.name}: what came after that backup is not known here; look at the venues, `gambit "
            "orders` and `gambit positions`, then `gambit resume`"
        )
        switch.change("HALTED", reason, "gambit restore")


def _unpacked(source: Path, folder: Path) -> int:
    hashes: dict[str, str] = {}
    manifest: Manifest | None = None
    try:
        with (
            source.open("rb") as file,
            zstandard.ZstdDecompressor().stream_reader(file) as plain,
            tarfile.open(fileobj=plain, mode="r|") as tar,
        ):
            for entry in tar:
                content = tar.extractfile(entry)
                if content is None or not _is_ours(entry.name):
                    raise BackupError(f"{source}: {entry.name} is no part of a backup")
                if entry.name == MANIFEST:
                    manifest = msgspec.json.decode(content.read(), type=Manifest)
                else:
                    hashes[entry.name] = _extracted(content, folder / entry.name)
    except (tarfile.TarError, zstandard.ZstdError, msgspec.MsgspecError, EOFError) as error:
        raise BackupError(f"{source}: cannot be read to its end: {error}") from error
    if manifest is None:
        raise BackupError(f"{source}: its end is missing")
    wrong = sorted(set(manifest.hashes.items()) ^ set(hashes.items()))
    if wrong:
        raise BackupError(f"{source}: {wrong[0][0]} is not what was backed up")
    return len(hashes)


def _is_ours(name: str) -> bool:
    parts = Path(name).parts
    is_inside = ".." not in parts and not name.startswith("/")
    return is_inside and (name in _FILES or name == MANIFEST or (len(parts) > 1 and parts[0] in _FOLDERS))


def _extracted(content: IO[bytes], target: Path) -> str:
    target.parent.mkdir(parents=True, exist_ok=True)
    total = blake2b(digest_size=32)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        while data := content.read(_READ_BYTES):
            total.update(data)
            file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return total.hexdigest()


def _proved(source: Path, folder: Path, files: int) -> Restored:
    try:
        proof = verify(places(folder))
        cursor = cursor_of(folder / DATABASE) if (folder / DATABASE).exists() else None
    except (JournalError, StoreError) as error:
        raise BackupError(f"{source}: {error}") from error
    if cursor is not None and (proof is None or cursor.journal_id != proof.journal_id or cursor.seq > proof.last_seq):
        raise BackupError(f"{source}: its database is not a picture of its journal")
    return Restored(proof, cursor.seq if cursor else 0, files)
