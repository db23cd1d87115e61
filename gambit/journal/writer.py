"""The threads that hash, write and sync. The loop only puts a record into a queue and goes on.

One thread takes what is queued, at most `GROUP_RECORDS` at a time so that it never holds the interpreter for long, and
writes it in one call. Syncing is done by a second thread, so that a slow sync holds up no write; only where a caller
waits for the sync (durability `power`) does the writer sync itself, without the way to the other thread. After the
first failure nothing is tried again: what the disk did with the bytes of a failed sync nobody knows.
"""

import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from queue import SimpleQueue
from typing import Final, NamedTuple

import msgspec

from gambit.journal.checkpoint import KIND, Checkpoint, Signer
from gambit.journal.disk import Disk
from gambit.journal.frame import HASH_BYTES, Header, Record, encode_header, encode_record
from gambit.journal.head import Head, HeadFiles
from gambit.journal.segment import segment_path
from gambit.journal.tail import Group, Tail

GROUP_RECORDS: Final = 64
SYNC_BOUNDS_NS: Final = tuple(1 << power for power in range(10, 31))  # 1 us .. 1.07 s


class Policy(NamedTuple):
    """How a journal is kept."""

    durability: str = "process"  # or "power": until_synced is awaited before an intent leaves
    fsync_interval_ns: int = 5_000_000  # a written record is synced at most this much later
    segment_bytes: int = 64 << 20
    segment_ns: int = 24 * 3600 * 10**9


class SyncTimes:
    """How long syncs took: `counts[i]` of them at most `SYNC_BOUNDS_NS[i]`, the last count is beyond all bounds."""

    def __init__(self) -> None:
        self.counts = [0] * (len(SYNC_BOUNDS_NS) + 1)
        self.total_ns = 0
        self.worst_ns = 0

    def add(self, took_ns: int) -> None:
        """Count one."""
        self.counts[bisect_left(SYNC_BOUNDS_NS, took_ns)] += 1
        self.total_ns += took_ns
        self.worst_ns = max(self.worst_ns, took_ns)


class Position(NamedTuple):
    """Where writing goes on: the last segment, the bytes and records in it, and its running digest."""

    header: Header
    path: Path
    size: int
    seq: int
    hash: bytes
    digest: "blake2b"


class _Mark(NamedTuple):
    seq: int
    hash: bytes
    descriptor: int


class Writer:
    """Owns the last segment. `put`, `write_now` and `want_sync` belong to the loop's thread, the rest to its own two
    threads; `written`, `synced` and `failed` may be read anywhere. `told` is called from its threads after each change.

    Raises OSError when the segment cannot be opened.
    """

    def __init__(
        self,
        at: Position,
        policy: Policy,
        disk: Disk,
        heads: HeadFiles,
        signer: Signer,
        tail: Tail,
        told: Callable[[], None],
    ) -> None:
        self.written = at.seq
        self.synced = at.seq
        self.failed: str | None = None
        self.bytes_written = 0
        self._bytes_put = 0  # of bodies; written by the loop's thread only
        self._bytes_taken = 0  # of bodies; written by whoever extends the chain
        self.sync_times = SyncTimes()
        self._policy = policy
        self._disk = disk
        self._heads = heads
        self._signer = signer
        self._tail = tail
        self._told = told
        self._header, self._path, self._size, self._digest = at.header, at.path, at.size, at.digest
        self._descriptor = disk.open(at.path)
        self._mark = _Mark(at.seq, at.hash, self._descriptor)
        self._checkpoint_seq = at.header.checkpoint_seq
        self._queue: deque[Record] = deque()
        self._is_idle = False
        self._is_dirty = False  # the syncer has been told of unsynced records
        self._is_stopping = False
        self._sync_wanted = 0
        self._work: SimpleQueue[None] = SimpleQueue()
        self._to_sync: SimpleQueue[bool] = SimpleQueue()  # False ends the syncer
        self._writing = threading.Lock()  # taken by whoever extends the chain
        self._syncing = threading.Lock()  # taken by whoever syncs or changes the segment
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._guarded, args=(run,), name=name, daemon=True)
            for run, name in ((self._write_on, "journal-writer"), (self._sync_on, "journal-syncer"))
        ]

    def start(self) -> None:
        """Begin to work."""
        for thread in self._threads:
            thread.start()

    def put(self, record: Record) -> None:
        """Queue a record. Never waits."""
        self._bytes_put += len(record.body)
        self._queue.append(record)
        self._wake()

    def write_now(self, record: Record) -> None:
        """Write a record in this thread if nobody is writing and no new segment is due; else queue it."""
        self._bytes_put += len(record.body)
        self._queue.append(record)
        if self._is_full(record.ts_ns) or not self._writing.acquire(blocking=False):
            self._wake()
            return
        try:
            self._write_group()
        except OSError as error:
            self._fail(error)
        finally:
            self._writing.release()
        if self._queue:
            self._wake()

    def want_sync(self, seq: int) -> None:
        """Somebody waits for the sync of a record."""
        if self._policy.durability == "power":
            self._sync_wanted = max(self._sync_wanted, seq)
            self._wake()

    @property
    def backlog_bytes(self) -> int:
        """Bodies queued and not taken by the disk yet."""
        return self._bytes_put - self._bytes_taken

    def stop(self) -> None:
        """Write and sync what is queued, store the head, end the threads. Blocks. Raises OSError."""
        self._is_stopping = True
        self._work.put(None)
        for thread in self._threads:
            thread.join()
        try:
            self._heads.close()
        finally:
            self._disk.close(self._descriptor)

    def _wake(self) -> None:
        if self._is_idle:
            self._is_idle = False
            self._work.put(None)

    def _guarded(self, run: Callable[[], None]) -> None:
        try:
            run()
        except OSError as error:
            self._fail(error)
        except BaseException as error:
            self._fail(error)
            raise

    def _fail(self, error: BaseException) -> None:
        if self.failed is None:
            reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
            self.failed = f"{self._path}: {reason}; nothing more is written, start the daemon anew once this is mended"
        self._stop.set()
        self._work.put(None)
        self._to_sync.put(False)
        self._told()

    # The writing thread.

    def _write_on(self) -> None:
        while self.failed is None:
            if self._queue:
                with self._writing:
                    if self._queue and self._is_full(self._queue[0].ts_ns):
                        self._begin_segment(self._queue[0].ts_ns)
                    self._write_group()
            if self._sync_wanted > self.synced and self.written > self.synced:
                self._sync()
            if self._queue:
                continue
            if self._is_stopping:
                break
            self._is_idle = True
            if not self._queue and self._sync_wanted <= self.synced:
                self._work.get()
            self._is_idle = False
        if self.failed is None:
            self._sync()
            self._heads.store(Head(self._header.journal_id, self.synced, self._mark.hash), everywhere=True)
        self._stop.set()
        self._to_sync.put(False)

    def _write_group(self) -> None:
        queue, before = self._queue, self._mark.hash
        records: list[Record] = []
        frames: list[bytes] = []
        hashes: list[bytes] = []
        while queue and len(records) < GROUP_RECORDS:
            record = queue.popleft()
            self._bytes_taken += len(record.body)
            if record.kind == KIND:
                record = self._signed(record, before)
            frame = encode_record(record, before)
            before = frame[-HASH_BYTES:]
            records.append(record)
            frames.append(frame)
            hashes.append(before)
        if not records or self.failed is not None:
            return
        data = b"".join(frames)
        taken = self._disk.write(self._descriptor, data)
        if taken != len(data):
            raise OSError(0, f"the disk took {taken} of {len(data)} bytes and is probably full")
        self._digest.update(data)
        self._size += len(data)
        self.bytes_written += len(data)
        self._mark = _Mark(records[-1].seq, before, self._descriptor)
        self._tail.add(Group(records, hashes))
        self.written = records[-1].seq
        if not self._is_dirty:
            self._is_dirty = True
            self._to_sync.put(True)
        self._told()

    def _signed(self, record: Record, before: bytes) -> Record:
        """The checkpoint that a queued one asks for; its body was the state hash."""
        checkpoint = Checkpoint(
            journal_id=self._header.journal_id.hex(),
            seq=record.seq - 1,
            hash=before.hex(),
            state_hash=record.body.decode(),
        )
        self._checkpoint_seq = record.seq
        return Record(record.seq, record.ts_ns, KIND, msgspec.json.encode(self._signer.signed(checkpoint)))

    def _is_full(self, ts_ns: int) -> bool:
        is_empty = self._mark.seq < self._header.first_seq
        is_due = self._size >= self._policy.segment_bytes or ts_ns - self._header.created_ns >= self._policy.segment_ns
        return is_due and not is_empty

    def _begin_segment(self, ts_ns: int) -> None:
        """Seal the segment and begin the next: the new one names the digest of the old."""
        self._sync()
        with self._syncing:
            seq, before, old = self._mark
            header = Header(
                self._header.journal_id, self._header.number + 1, seq + 1, ts_ns, self._checkpoint_seq,
                self._digest.digest(), before,
            )  # fmt: skip
            path = segment_path(self._path.parent, seq + 1)
            self._descriptor = begin_segment(self._disk, path, header)
            self._header, self._path, self._mark = header, path, _Mark(seq, before, self._descriptor)
            first = encode_header(header)
            self._size, self._digest = len(first), blake2b(first, digest_size=HASH_BYTES)
            self._disk.close(old)

    # Syncing, in either thread.

    def _sync(self) -> None:
        with self._syncing:
            mark = self._mark
            if mark.seq <= self.synced or self.failed is not None:
                return
            begun = time.perf_counter_ns()
            self._disk.sync(mark.descriptor)
            self.sync_times.add(time.perf_counter_ns() - begun)
            self.synced = mark.seq
            self._told()
            self._heads.store(Head(self._header.journal_id, mark.seq, mark.hash), everywhere=False)

    def _sync_on(self) -> None:
        interval_s = self._policy.fsync_interval_ns / 1e9
        while self._to_sync.get() and self.failed is None:
            self._stop.wait(interval_s)
            self._is_dirty = False
            self._sync()


def begin_segment(disk: Disk, path: Path, header: Header) -> int:
    """A new segment with its header on the disk, in place at once; gives its descriptor. Raises OSError."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = disk.open(fresh)
    data = encode_header(header)
    if (taken := disk.write(descriptor, data)) != len(data):
        raise OSError(0, f"the disk took {taken} of {len(data)} bytes and is probably full")
    disk.sync(descriptor)
    disk.replace(fresh, path)
    return descriptor
