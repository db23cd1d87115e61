"""The store's face and its thread: it follows the journal, writes samples, hands out snapshots, mends itself.

Nothing here holds up the loop or the journal. Whatever is wrong with the database file, the thread deals with it: a
full disk is tried again, a file that another process has open is waited for, a damaged one is put aside and made again
from the journal. `problem` says what is wrong, as long as it is.
"""

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Final, NamedTuple

from gambit.store.archive import kept_days, retire
from gambit.store.compaction import compact
from gambit.store.database import UNFINISHED, Cursor, Database
from gambit.store.problem import StoreBusy, StoreDamaged, StoreError, StoreFull
from gambit.store.projection import SAMPLED
from gambit.store.records import Follower, Ledger
from gambit.store.samples import Columns, Samples

RECORDS_MAX: Final = 4096  # of one transaction
WRITTEN_MAX: Final = 4 << 20  # bytes, then the file is opened anew: DuckDB keeps what it wrote until it is closed
SAMPLE_BYTES: Final = 64  # about what a row of samples is
SNAPSHOTS_KEPT: Final = 2
DAMAGED_KEPT: Final = 2
HOUSEKEEPING_S: Final = 3600.0
LOOK_S: Final = 1.0  # how often samples are written, and the file is looked for
WAIT_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # after the first, second, ... failure in a row
BUSY_TRIES: Final = 4
STOP_GRACE_S: Final = 5.0  # for the transaction that runs when the time is over


class Folders(NamedTuple):
    """Where the store keeps things."""

    database: Path
    snapshots: Path
    exports: Path


class Snapshot(NamedTuple):
    """A copy of the database: up to record `seq`, when the journal was `lag` records further."""

    path: Path
    seq: int
    lag: int
    taken_ns: int


class Request(NamedTuple):
    """Somebody wants a snapshot not older than `max_age_s`, or one of their own at `target`."""

    max_age_s: float
    target: Path | None
    answer: "Future[Snapshot]"


class Store:
    """Follows `ledger` into the database at `folders`. Start it once; all else may be called from any thread.

    `now_ns` is the wall clock; `report` hears, in the store's thread, of everything an operator should know.
    Raises ValueError for a retention that cannot be.
    """

    def __init__(
        self, folders: Folders, ledger: Ledger, *, batch_ns: int, retention: Mapping[str, int],
        now_ns: Callable[[], int], report: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.applied = 0  # the last record in the database
        self.problem: str | None = None
        self.rebuilds = 0
        self.openings = 0  # how often the file was opened
        self.unprojected = 0
        self._folders = folders
        self._ledger = ledger
        self._batch_s = batch_ns / 1e9
        self._keep = kept_days(retention)
        self._now_ns = now_ns
        self._report = report
        self._samples = Samples()
        self._requests: deque[Request] = deque()
        self._latest: tuple[float, Snapshot] | None = None
        self._snapshots = 0
        self._failures = 0
        self._is_stopping = False
        self._is_over = False  # nobody answers requests any more
        self._stop_by = 0.0
        self._written = 0  # since the file was opened, about
        self._has_mark = False  # this run wrote its file, whose length is right
        self._wake = threading.Event()
        self._next_look = self._next_housekeeping = 0.0
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    @property
    def lag(self) -> int:
        """Journal records that are safe on the disk and not in the database yet."""
        return max(self._ledger.synced - self.applied, 0)

    @property
    def dropped(self) -> int:
        """Sample rows that were dropped."""
        return self._samples.dropped

    def sample(self, table: str, columns: Columns) -> None:
        """Take rows that are in no journal: columns by name, of one length, numpy arrays or sequences; `ts_ns` is the
        time. Never waits; when the database cannot follow, the oldest are dropped. Raises ValueError."""
        if table not in SAMPLED:
            raise ValueError(f"{table} takes no samples; these do: {', '.join(SAMPLED)}")
        self._samples.put(table, columns)

    def snapshot(self, max_age_s: float) -> "Future[Snapshot]":
        """A copy of the database for others to read, at most `max_age_s` old: with 0 it has all that the journal had
        synced at this call. The future fails with StoreError."""
        return self._ask(Request(max_age_s, None, Future()))

    def copy_to(self, target: Path) -> "Future[Snapshot]":
        """A copy at a path of the caller's."""
        return self._ask(Request(0.0, target, Future()))

    def close(self, timeout_s: float = 10.0) -> bool:
        """Write what is synced, for at most about `timeout_s`, and end the thread; gives whether everything is written.
        What is not will be after the next start. Blocks."""
        self._stop_by = time.monotonic() + timeout_s
        self._is_stopping = True
        self._wake.set()
        self._thread.join(timeout_s + STOP_GRACE_S)
        return not self._thread.is_alive() and self.lag == 0

    def _ask(self, request: Request) -> "Future[Snapshot]":
        self._requests.append(request)
        self._wake.set()
        if self._is_over:
            self._refuse("the store is closed")
        return request.answer

    # The store's thread.

    def _run(self) -> None:
        try:
            self._keep_on()
        finally:
            self._is_over = True
            self._refuse("the store is closed")

    def _keep_on(self) -> None:
        while not self._is_stopping:
            try:
                with self._opened() as database:
                    self._serve(database)
            except StoreDamaged as error:
                self._failed(f"{error}; the file is put aside and made again from the journal")
                self._put_aside("damaged")
                if self._failures == 1:
                    continue
            except StoreBusy as error:
                self._failed(str(error))
                if self._failures >= BUSY_TRIES:
                    self._put_aside("locked")
            except (StoreError, OSError) as error:
                self._failed(f"{self._folders.database}: {error}")
            except Exception as error:  # of the journal, or a defect: neither may end the thread in silence
                self._failed(f"{self._folders.database}: {type(error).__name__}: {error}")
            if self.problem is not None and not self._is_stopping:
                self._refuse(self.problem)
                self._wake.wait(WAIT_S[min(self._failures, len(WAIT_S)) - 1])
                self._wake.clear()  # or whoever asked once would have made every later wait none

    def _failed(self, problem: str) -> None:
        self._failures += 1
        if problem != self.problem:
            self._report(problem)
        self.problem = problem

    def _refuse(self, why: str) -> None:
        with contextlib.suppress(IndexError):  # at the end two threads may do this
            while True:
                answer = self._requests.popleft().answer
                if answer.set_running_or_notify_cancel():  # who asked may have gone
                    answer.set_exception(StoreError(why))

    def _put_aside(self, word: str) -> None:
        path = self._folders.database
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(self._now_ns() / 1e9))
        for file in (path, _log_of(path)):
            with contextlib.suppress(FileNotFoundError):
                file.replace(file.with_name(f"{file.name}.{word}-{stamp}"))
        for old in sorted(path.parent.glob(f"{path.name}.{word}-*"), key=lambda file: file.stat().st_mtime)[
            :-DAMAGED_KEPT
        ]:
            old.unlink()
        _mark_of(path).unlink(missing_ok=True)
        self._has_mark = False
        self.rebuilds += 1

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Database]:
        path = self._folders.database
        if not path.exists() and self._mark() is not None:
            self._report(f"{path}: the database is gone; it is made again from the journal")
            self._put_aside("damaged")  # its log, if that is still there, belongs to no file any more
        if self.openings == 0 and path.exists():
            self._made_smaller(path)
        self.openings += 1
        self._written = 0
        database = Database(path)
        try:
            yield database
        except BaseException:
            database.abandon()
            raise
        else:
            database.close()
            if _log_of(path).exists():
                self._report(
                    f"{path}: its log stays beside it, for want of room; nothing is lost, the next start reads it"
                )

    def _made_smaller(self, path: Path) -> None:
        """A file for which there is no room twice is used as it is: it has room inside."""
        try:
            compact(path)
        except (StoreFull, OSError) as error:
            self._report(f"{path}: mostly free, and not made smaller: {error}")

    def _serve(self, database: Database) -> None:
        """Until the end, or until the file is due to be closed and opened again (WRITTEN_MAX)."""
        follower = self._followed(database)
        is_ours = os.stat(self._folders.database).st_ino
        try:
            while True:
                is_last = self._is_stopping
                asked = len(self._requests)  # who asks from now on may know of a record that the reading missed
                records = follower.read(RECORDS_MAX)
                if records:
                    database.apply(records, follower.hash)
                    self._written += sum(len(record.body) for record in records)
                    self.applied = follower.seq
                    self._set_mark(follower.seq)
                self._look(database, is_ours, is_last=is_last)
                if is_last and time.monotonic() > self._stop_by:
                    return
                if len(records) == RECORDS_MAX:
                    continue
                self.unprojected, self.problem, self._failures = database.unprojected, None, 0
                self._answer(database, asked)
                if is_last and not records:
                    return
                if self._written >= WRITTEN_MAX and not is_last:
                    return
                was = _stamp(self._folders.database)
                self._wake.wait(self._batch_s)
                self._wake.clear()
                if _stamp(self._folders.database) != was:
                    raise StoreDamaged(f"{self._folders.database}: somebody else changed the file while it was open")
        finally:
            follower.close()

    def _followed(self, database: Database) -> Follower:
        """A follower behind the cursor, once the cursor is known to be this journal's."""
        ledger, cursor = self._ledger, database.cursor()
        if cursor is None:
            cursor = database.begin(ledger.journal_id, ledger.first_seq)
            if ledger.first_seq > 1:
                self._report(
                    f"{database.path}: made from record {ledger.first_seq} on; rows of records before that, which are "
                    "retired, are only in a file that was put aside"
                )
        check(cursor, ledger)
        mark = self._mark()
        if mark is not None and mark > cursor.seq:
            self._report(
                f"{database.path}: its last changes are gone (record {mark} was in it, now {cursor.seq} is the last); "
                "records are written again from the journal, samples of that time are lost"
            )
        self.applied = cursor.seq
        return ledger.follow(cursor.seq)

    def _look(self, database: Database, is_ours: int, *, is_last: bool) -> None:
        now = time.monotonic()
        if now < self._next_look and not is_last:
            return
        self._next_look = now + LOOK_S
        path = self._folders.database
        if not path.exists() or path.stat().st_ino != is_ours:
            raise StoreDamaged(f"{path}: the file was deleted or replaced while it was open")
        self._write_samples(database)
        if now >= self._next_housekeeping:
            self._next_housekeeping = now + HOUSEKEEPING_S
            self._keep_house(database, now)

    def _keep_house(self, database: Database, now: float) -> None:
        """Let old days leave. What goes wrong on that way (an export that cannot be written, say) is no reason to doubt
        the database, nor to keep anybody waiting: the rows stay in it, and the next round tries again."""
        try:
            gone, failed = retire(database, self._folders.exports, self._keep, self._now_ns(), self._report)
        except (StoreError, OSError) as error:  # the file, if it is that, is found out by the next one who writes
            self._report(f"{self._folders.database}: housekeeping is put off: {error}")
            return
        for table, rows in gone.items():
            self._report(f"{table}: {rows} rows older than {self._keep[table]} days went to {self._folders.exports}")
        for why in dict.fromkeys(failed.values()):
            tables = ", ".join(table for table, reason in failed.items() if reason == why)
            self._report(f"{tables}: old days stay in the database, nothing of them is deleted: {why}")
        if gone and not failed:
            self._next_housekeeping = now

    def _write_samples(self, database: Database) -> None:
        samples = self._samples.take()
        if not samples:
            return
        try:
            with database.transaction():
                for sample in samples:
                    try:
                        database.add(sample.table, sample.columns)
                        self._written += sample.rows * SAMPLE_BYTES
                    except ValueError as error:
                        self._samples.drop(sample)
                        self._report(f"a sample was dropped: {error}")
        except StoreError:
            self._samples.put_back(samples)
            raise

    def _answer(self, database: Database, asked: int) -> None:
        for _ in range(asked):
            request = self._requests.popleft()
            if not request.answer.set_running_or_notify_cancel():
                continue
            try:
                request.answer.set_result(self._copied(database, request))
            except (StoreError, OSError) as error:
                request.answer.set_exception(StoreError(f"no snapshot: {error}"))

    def _copied(self, database: Database, request: Request) -> Snapshot:
        now = time.monotonic()
        if request.target is None and self._latest is not None and now - self._latest[0] <= request.max_age_s:
            return self._latest[1]
        self._write_samples(database)
        target = request.target
        if target is None:
            self._snapshots += 1
            self._folders.snapshots.mkdir(parents=True, exist_ok=True, mode=0o700)
            for left in self._folders.snapshots.glob(f"*.duckdb{UNFINISHED}"):
                left.unlink(missing_ok=True)  # by a kill: nobody but this thread writes there
            target = self._folders.snapshots / f"{os.getpid()}-{self._snapshots}.duckdb"
        database.copy_to(target)
        snapshot = Snapshot(target, self.applied, self.lag, self._now_ns())
        if request.target is None:
            self._latest = (now, snapshot)
            found = sorted(self._folders.snapshots.glob("*.duckdb"), key=lambda file: file.stat().st_mtime)
            for old in found[:-SNAPSHOTS_KEPT]:
                old.unlink()
        return snapshot

    # How far the database was, beside it: a log that was cut off leaves a database that looks sound.

    def _mark(self) -> int | None:
        with contextlib.suppress(FileNotFoundError, ValueError):
            journal_id, seq = _mark_of(self._folders.database).read_text().split()
            return int(seq) if journal_id == self._ledger.journal_id.hex() else None
        return None

    def _set_mark(self, seq: int) -> None:
        line = f"{self._ledger.journal_id.hex()} {seq:020d}\n"
        with open(_mark_of(self._folders.database), "r+" if self._has_mark else "w") as file:
            file.write(line)
        self._has_mark = True


def check(cursor: Cursor, ledger: Ledger) -> None:
    """Hold a cursor against the journal. Raises StoreDamaged when the database is not a picture of this journal."""
    if cursor.journal_id != ledger.journal_id.hex():
        raise StoreDamaged(f"the database follows journal {cursor.journal_id}, this one is {ledger.journal_id.hex()}")
    if cursor.seq > ledger.synced:
        raise StoreDamaged(f"the database has record {cursor.seq}, the journal ends with {ledger.synced}")
    if cursor.seq < ledger.first_seq - 1:
        raise StoreDamaged(f"the database ends with record {cursor.seq}, the journal begins with {ledger.first_seq}")
    if cursor.seq < ledger.first_seq or not cursor.hash:
        return
    follower = ledger.follow(cursor.seq - 1)
    try:
        follower.read(1)
        if follower.hash.hex() != cursor.hash:
            raise StoreDamaged(f"record {cursor.seq} of the database is not record {cursor.seq} of the journal")
    finally:
        follower.close()


def _log_of(path: Path) -> Path:
    """DuckDB's write-ahead log of a database file."""
    return path.with_name(path.name + ".wal")


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes with every write into a file, or another file in its place; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _mark_of(path: Path) -> Path:
    return path.with_name(path.name + ".mark")
