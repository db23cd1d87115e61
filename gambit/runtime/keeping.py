"""Journal and store as the configuration has them; the daemon opens them so, the commands read them so."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from gambit.config import Config
from gambit.journal import Journal, JournalFailed, Places, Policy, open_journal, places
from gambit.runtime.backup import Sources, write_backup
from gambit.runtime.clock import Clock
from gambit.runtime.process import state_dir
from gambit.store import Folders, Snapshot, Store
from gambit.store.archive import kept_days

HOUR_NS: Final = 3600 * 10**9
DAY_NS: Final = 24 * HOUR_NS
RETIRE_EVERY_S: Final = 3600.0


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

    def __init__(self, config: Config, clock: Clock, journal: Journal, store: Store) -> None:
        self.journal = journal
        self.store = store
        self.state_hash: Callable[[], str] = lambda: ""  # of what the records have led to; for whoever decides to set
        self._config = config
        self._clock = clock

    @property
    def exports(self) -> Path:
        """Where exported days lie."""
        return store_folders(self._config).exports

    async def snapshot(self, max_age_sec: float) -> dict[str, Any]:
        """A copy of the database to read, at most that old; as gambit.surface.views.File. Raises StoreError."""
        return _file(await asyncio.wrap_future(self.store.snapshot(max_age_sec)))

    async def backup(self, path: Path) -> dict[str, Any]:
        """Write a backup while everything runs; as gambit.surface.views.File. Raises StoreError, OSError."""
        copy = path.with_name(path.name + ".duckdb")
        try:
            snapshot = await asyncio.wrap_future(self.store.copy_to(copy))
            await self.journal.until_synced(self.journal.head)
            await asyncio.to_thread(write_backup, sources(self._config, copy), path)
            return {**_file(snapshot), "path": str(path), "bytes": path.stat().st_size}
        finally:
            copy.unlink(missing_ok=True)

    async def retire_on(self) -> None:
        """For ever: once an hour sign a checkpoint, and delete journal segments that are old enough and that the store
        is past. Raises JournalFailed."""
        keep_ns = self._config.journal.retention_days * DAY_NS
        while True:
            await asyncio.to_thread(self.journal.retire, self.store.applied, self._clock.now_ns() - keep_ns)
            await asyncio.sleep(RETIRE_EVERY_S)
            self._checkpoint()

    def _checkpoint(self) -> None:
        self.journal.checkpoint(self.state_hash(), self._clock.now_ns())

    async def close(self) -> bool:
        """Sign a checkpoint, write everything; gives whether the store caught up in time. Raises JournalFailed."""
        try:
            with contextlib.suppress(JournalFailed):  # closing it says so
                self._checkpoint()
                await self.journal.until_synced(self.journal.head)
            return await asyncio.to_thread(self.store.close)
        finally:
            await self.journal.close()


def open_keeping(config: Config, clock: Clock, report: Callable[[str], None]) -> Keeping:
    """Open (and prove) the journal, start the store; `report` hears, in any thread, what an operator should know.

    Blocks. Raises JournalError and its family, ValueError for a retention that cannot be, OSError.
    """
    kept_days(config.store.retention)  # before anything is opened
    journal = open_journal(journal_places(config), journal_policy(config), clock.now_ns())
    if journal.opened is not None and journal.opened.torn is not None:
        torn = journal.opened.torn
        report(f"the journal ended inside a record: {torn.dropped} bytes after byte {torn.offset} were dropped")
    store = Store(
        store_folders(config), journal, batch_ns=config.store.batch_ms * 1_000_000, retention=config.store.retention,
        now_ns=clock.now_ns, report=report,
    )  # fmt: skip
    store.start()
    return Keeping(config, clock, journal, store)


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
