"""Journal and store as the configuration has them; the daemon opens them so, the commands read them so."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from gambit.config import Config
from gambit.engine.standing import Standing
from gambit.journal import (
    Journal,
    JournalError,
    JournalFailed,
    Places,
    Policy,
    open_journal,
    places,
    prove_sealed_before,
)
from gambit.journal.checkpoint import public_key_file
from gambit.runtime.backup import DATABASE, LEFTOVERS, Sources, write_backup
from gambit.runtime.clock import Clock
from gambit.runtime.process import state_dir
from gambit.runtime.snapshots import Snapshots, newest_seq, snapshots_folder
from gambit.scratch import scratch
from gambit.store import Folders, Snapshot, Store
from gambit.store.archive import kept_days
from gambit.threads import in_thread, to_its_end

HOUR_NS: Final = 3600 * 10**9
DAY_NS: Final = 24 * HOUR_NS
LOOK_EVERY_S: Final = 1.0
SNAPSHOT_RECORDS: Final = 50_000  # a start replays at most about so many


def folder_of(config: Config) -> Path:
    """The state directory."""
    return state_dir(config.daemon.state_dir, os.environ)


def journal_places(config: Config) -> Places:
    """Where the journal lies."""
    copy = config.journal.head_copy
    return places(folder_of(config), str(Path(copy).expanduser()) if copy else "")


def journal_policy(config: Config) -> Policy:
    """How it is kept."""
    journal = config.journal
    return Policy(
        journal.durability, journal.fsync_interval_ms * 1_000_000, journal.segment_mb << 20,
        journal.segment_hours * HOUR_NS,
    )  # fmt: skip


def store_folders(config: Config) -> Folders:
    """Where the database, its snapshots and the exported days lie."""
    folder = folder_of(config)
    database = Path(config.store.path).expanduser() if config.store.path else folder / "gambit.duckdb"
    return Folders(database, folder / "snapshots", folder / "exports")


class Keeping:
    """An open journal and the store that follows it; made by `open_keeping`, before anything is traded."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        journal: Journal,
        store: Store,
        report: Callable[[str], None],
        trusted_seq: int = 0,
    ) -> None:
        self.journal = journal
        self.store = store
        self.snapshots = Snapshots(snapshots_folder(journal_places(config).folder), journal, report)
        self.standing: Callable[[], Standing | None] = lambda: None  # what the records have led to; for the desk to set
        self.snapshot_seq = journal.head  # of the last snapshot; for the desk to set
        self._snapshot_ns = clock.mono_ns()
        self.retention_days = config.journal.retention_days  # may change
        self._config = config
        self._clock = clock
        self._report = report
        self._trusted_seq = trusted_seq
        self._is_closing = False

    @property
    def exports(self) -> Path:
        """Where exported days lie."""
        return store_folders(self._config).exports

    async def snapshot(self, max_age_sec: float) -> dict[str, Any]:
        """A copy of the database to read, at most that old; as gambit.surface.views.File. Raises StoreError."""
        return _file(await asyncio.wrap_future(self.store.snapshot(max_age_sec)))

    async def backup(self, path: Path) -> dict[str, Any]:
        """Write a backup while everything runs; as gambit.surface.views.File. Raises StoreError, OSError."""
        work = contextlib.ExitStack()
        try:
            copy = await in_thread(work.enter_context, scratch(path.parent, LEFTOVERS)) / DATABASE
            snapshot = await to_its_end(asyncio.wrap_future(self.store.copy_to(copy)))
            await self.journal.until_synced(self.journal.head)
            await in_thread(write_backup, sources(self._config, copy), path)
            return {**_file(snapshot), "path": str(path), "bytes": path.stat().st_size}
        finally:
            await in_thread(work.close)

    async def prove_rest(self) -> None:
        """Prove what the start left out: the segments before its snapshot, which nothing of it was made of. Raises
        JournalError."""
        folder = journal_places(self._config).folder
        await asyncio.to_thread(prove_sealed_before, folder, self._trusted_seq, lambda: not self._is_closing)

    async def retire_on(self) -> None:
        """For ever: delete journal segments that are old enough and that neither the store nor a start needs; once an
        hour, or when a start would have much to replay, sign a checkpoint and keep a snapshot. Raises JournalFailed."""
        while True:
            needless = min(self.store.applied, self.snapshots.covered_seq)
            since_ns = self._clock.now_ns() - self.retention_days * DAY_NS
            try:
                await in_thread(self.journal.retire, needless, since_ns)
            except OSError as error:
                self._report(f"an old segment of the journal stays: {error}")
            while not self._is_snapshot_due():
                await asyncio.sleep(LOOK_EVERY_S)
            await self.keep_standing()

    def _is_snapshot_due(self) -> bool:
        is_much = self.journal.head - self.snapshot_seq >= SNAPSHOT_RECORDS
        return is_much or self._clock.mono_ns() - self._snapshot_ns >= HOUR_NS

    async def keep_standing(self) -> None:
        """Sign a checkpoint, and keep a snapshot of what it states. A snapshot that cannot be written is told: the next
        start takes longer. Raises JournalFailed."""
        standing = self.standing()
        snapshot = None if standing is None else standing.snapshot()
        seq = self.journal.checkpoint("" if snapshot is None else snapshot.digest, self._clock.now_ns())
        self.snapshot_seq, self._snapshot_ns = seq, self._clock.mono_ns()
        await self.journal.until_synced(seq)
        if snapshot is None:
            return
        try:
            await in_thread(self.snapshots.write, snapshot, seq)
        except (OSError, ValueError, JournalError) as error:
            self._report(f"the desk's snapshot cannot be written: {error}")

    async def close(self) -> bool:
        """Sign a checkpoint, write everything; gives whether the store caught up in time. Raises JournalFailed."""
        self._is_closing = True
        try:
            with contextlib.suppress(JournalFailed):  # closing it says so
                await self.keep_standing()
            return await in_thread(self.store.close)
        finally:
            await self.journal.close()


def open_keeping(config: Config, clock: Clock, report: Callable[[str], None]) -> Keeping:
    """Open (and prove) the journal, start the store; `report` hears, in any thread, what an operator should know.

    Blocks. Raises JournalError and its family, ValueError for a retention that cannot be, OSError.
    """
    kept_days(config.store.retention)  # before anything is opened
    at = journal_places(config)
    if not at.key.exists() and public_key_file(at.key).exists():
        report(f"{at.key}: the key that signs checkpoints is gone; another is made, and signs from now on")
    trusted_seq = newest_seq(snapshots_folder(at.folder))
    journal = open_journal(at, journal_policy(config), clock.now_ns(), trusted_seq=trusted_seq)
    if journal.opened is not None and journal.opened.torn is not None:
        torn = journal.opened.torn
        report(f"the journal ended inside a record: {torn.dropped} bytes after byte {torn.offset} were dropped")
    store = Store(
        store_folders(config), journal, batch_ns=config.store.batch_ms * 1_000_000, retention=config.store.retention,
        now_ns=clock.now_ns, report=report,
    )  # fmt: skip
    store.start()
    return Keeping(config, clock, journal, store, report, trusted_seq)


def sources(config: Config, database: Path) -> Sources:
    """What a backup of this configuration's state is made of; `database` is a copy that nobody writes."""
    return Sources(journal_places(config), database, store_folders(config).exports)


def _file(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "path": str(snapshot.path),
        "bytes": snapshot.path.stat().st_size,
        "seq": snapshot.seq,
        "made_ns": snapshot.taken_ns,
    }
