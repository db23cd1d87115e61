"""The journal's face: append, wait until it is safe, follow.

`append` gives a record its number and returns; a thread does the rest. Everything here but `follow` and `retire`
belongs to the event loop's thread.
"""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import pairwise
from pathlib import Path
from typing import Final

from gambit.journal.chain import Proof
from gambit.journal.checkpoint import KIND, Signer
from gambit.journal.disk import Disk
from gambit.journal.frame import Record, check_size
from gambit.journal.head import HeadFiles
from gambit.journal.problem import JournalBehind, JournalFailed, JournalInUse
from gambit.journal.segment import segments
from gambit.journal.tail import Follower, Tail
from gambit.journal.writer import Policy, Position, SyncTimes, Writer
from gambit.threads import in_thread

BACKLOG_BYTES_MAX: Final = 256 << 20  # queued and not written; beyond this the disk counts as failed


class Lock:
    """The right to write a journal, held while the process lives."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / "lock"
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._descriptor, 20, 0).decode().strip() or "unknown"
            os.close(self._descriptor)
            raise JournalInUse(f"{folder}: process {holder} writes this journal") from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, b"%d\n" % os.getpid(), 0)

    def release(self) -> None:
        """Let others write."""
        os.close(self._descriptor)


class Journal:
    """An open journal, made by `open_journal`. `opened` is what was proved when it was opened (None: it is new)."""

    def __init__(
        self, at: Position, policy: Policy, disk: Disk, heads: HeadFiles, signer: Signer, lock: Lock,
        opened: Proof | None,
    ) -> None:  # fmt: skip
        self.head = at.seq
        self.opened = opened
        self.journal_id = at.header.journal_id
        self._folder = at.path.parent
        self._first_seq = opened.first_seq if opened else 1
        self._heads = heads
        self._lock = lock
        self._tail = Tail()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: dict[str, list[tuple[int, int, asyncio.Future[None]]]] = {"written": [], "synced": []}
        self._failures: list[asyncio.Future[str]] = []
        self._tickets = 0
        self._is_resolving = False
        self._writer = Writer(at, policy, disk, heads, signer, self._tail, self._progressed)
        self._writer.start()

    @property
    def first_seq(self) -> int:
        """The oldest record there still is."""
        return self._first_seq

    @property
    def written(self) -> int:
        """The last record that survives the death of this process."""
        return self._writer.written

    @property
    def synced(self) -> int:
        """The last record that survives a power cut."""
        return self._writer.synced

    @property
    def failed(self) -> str | None:
        """Why nothing can be appended any more."""
        return self._writer.failed

    @property
    def head_problem(self) -> str | None:
        """Why a further copy of the head is not kept any more."""
        return self._heads.problem

    @property
    def sync_times(self) -> SyncTimes:
        """How long syncs took."""
        return self._writer.sync_times

    @property
    def bytes_written(self) -> int:
        """Bytes written since it was opened."""
        return self._writer.bytes_written

    def append(self, kind: str, body: bytes, ts_ns: int) -> int:
        """Put a record behind the last one; gives its number at once and never waits for the disk.

        `body` is one JSON object. Raises JournalFailed, ValueError for what is too long.
        """
        record = self._numbered(kind, body, ts_ns)
        self._writer.put(record)
        return record.seq

    def append_now(self, kind: str, body: bytes, ts_ns: int) -> int:
        """As `append`, but write here and now when nothing else is being written: `written` then has it already.

        For the few records that something waits for. It costs the loop the hashing and one write(2), some 10 us; when
        the disk stalls the loop stalls with it, which `append` and `until_written` never do.
        """
        record = self._numbered(kind, body, ts_ns)
        self._writer.write_now(record)
        return record.seq

    def checkpoint(self, state_hash: str, ts_ns: int) -> int:
        """Append a signed checkpoint: the state after the record before it has this hash. Raises JournalFailed."""
        self._check()
        self.head += 1
        self._writer.put(Record(self.head, ts_ns, KIND, state_hash.encode()))
        return self.head

    def _numbered(self, kind: str, body: bytes, ts_ns: int) -> Record:
        self._check()
        if kind == KIND:
            raise ValueError(f"{KIND} is written by checkpoint() only")
        check_size(kind, body)
        self.head += 1
        # A copy: an encoder's bytes may hold on to the buffer they grew in (orjson: 32 KB for 1 KB), and the tail on to
        # them.
        return Record(self.head, ts_ns, kind, bytes(memoryview(body)))

    def _check(self) -> None:
        if self._writer.failed is not None:
            raise JournalFailed(self._writer.failed)
        if self._writer.backlog_bytes > BACKLOG_BYTES_MAX:
            raise JournalBehind(f"{self._folder}: the disk is {BACKLOG_BYTES_MAX >> 20} MiB behind; nothing is taken")

    async def until_written(self, seq: int) -> None:
        """Return once a record survives the death of this process. Raises JournalFailed."""
        if self._writer.written < seq:
            await self._until("written", seq)

    async def until_synced(self, seq: int) -> None:
        """Return once a record survives a power cut. Raises JournalFailed."""
        if self._writer.synced < seq:
            await self._until("synced", seq)

    async def until_failed(self) -> str:
        """Return the reason once the journal has failed."""
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._loop = future.get_loop()
        self._failures.append(future)
        self._resolve()
        return await future

    async def _until(self, what: str, seq: int) -> None:
        if seq > self.head:
            raise ValueError(f"record {seq} was never appended; the last is {self.head}")
        if what == "synced":
            self._writer.want_sync(seq)
        self._loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = self._loop.create_future()
        self._tickets += 1
        heappush(self._waiting[what], (seq, self._tickets, future))
        if getattr(self._writer, what) >= seq or self._writer.failed is not None:
            self._resolve()  # it happened between the first look and the queue
        await future

    def _progressed(self) -> None:
        """Called from the writer's threads."""
        if self._is_due() and not self._is_resolving and self._loop is not None and not self._loop.is_closed():
            self._is_resolving = True
            with contextlib.suppress(RuntimeError):  # the loop was closed this very moment: nobody waits any more
                self._loop.call_soon_threadsafe(self._resolve)

    def _is_due(self) -> bool:
        """Whether somebody waits for what has come; the loop is not woken for anything less."""
        for what, waiting in self._waiting.items():
            first = waiting[:1]  # the loop's thread may take it away meanwhile
            if first and first[0][0] <= getattr(self._writer, what):
                return True
        return self._writer.failed is not None

    def _resolve(self) -> None:
        self._is_resolving = False
        failed = self._writer.failed
        for what, waiting in self._waiting.items():
            reached = getattr(self._writer, what)
            while waiting and (waiting[0][0] <= reached or failed is not None):
                seq, _, future = heappop(waiting)
                if future.done():
                    continue
                if seq <= reached:
                    future.set_result(None)
                else:
                    future.set_exception(JournalFailed(failed))
        while failed is not None and self._failures:
            future_reason = self._failures.pop()
            if not future_reason.done():
                future_reason.set_result(failed)

    def follow(self, after: int) -> Follower:
        """A reader of everything behind record `after`, for one other thread."""
        return Follower(self._folder, self._tail, lambda: self._writer.synced, after)

    def retire(self, up_to: int, older_than_ns: int) -> Sequence[Path]:
        """Delete segments whose records are all at or before `up_to`, before the last checkpoint, and older than a
        time; gives what was deleted. `up_to` is what the store has. Blocks; for any thread. Raises OSError."""
        found = segments(self._folder)
        gone: list[Path] = []
        for segment, follower in pairwise(found):
            last = follower.header.first_seq - 1
            is_past = last <= min(up_to, found[-1].header.checkpoint_seq)
            if not is_past or follower.header.created_ns > older_than_ns:
                break
            self._first_seq = last + 1
            segment.path.unlink()
            gone.append(segment.path)
        return gone

    async def close(self) -> None:
        """Write and sync everything, end the threads, let go of the files. Raises JournalFailed when it could not."""
        try:
            await in_thread(self._writer.stop)
        finally:
            self._lock.release()
            self._resolve()
        if self._writer.failed is not None:
            raise JournalFailed(self._writer.failed)
