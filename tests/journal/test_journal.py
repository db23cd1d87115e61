"""Appending, waiting, following, rotating, and what happens when the disk refuses."""

import asyncio
import os
import shutil
import threading
from pathlib import Path

import pytest

from gambit.journal import (
    JournalBehind,
    JournalError,
    JournalFailed,
    Places,
    Policy,
    Record,
    open_journal,
    places,
    verify,
)
from gambit.journal.disk import Disk
from gambit.journal.head import read_head
from gambit.journal.segment import segments
from gambit.journal.writer import SYNC_BOUNDS_NS, SyncTimes
from gambit.surface.catalogue import FAST
from tests.journal.conftest import Fill, body


class Faulty(Disk):
    """A disk whose n-th write or sync fails, or takes as long as somebody holds it."""

    def __init__(self, fail_write: int = 0, fail_sync: int = 0, error: int = 28, short: int | None = None) -> None:
        self.fail_write, self.fail_sync, self.error, self.short = fail_write, fail_sync, error, short
        self.writes = self.syncs = 0
        self.may_write, self.may_sync = threading.Event(), threading.Event()
        self.may_write.set()
        self.may_sync.set()

    def write(self, descriptor: int, data: bytes) -> int:
        self.may_write.wait()
        self.writes += 1
        if self.writes == self.fail_write:
            if self.short is None:
                raise OSError(self.error, "No space left on device")
            return super().write(descriptor, data[: self.short])
        return super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        self.may_sync.wait()
        self.syncs += 1
        if self.syncs == self.fail_sync:
            raise OSError(5, "Input/output error")
        super().sync(descriptor)


def kept(at: Places) -> list[Record]:
    """All records on the disk."""
    from gambit.journal.segment import read_segment

    return [record for segment in segments(at.folder) for record in read_segment(segment)]


@pytest.mark.parametrize("durability", ["process", "power"])
async def test_what_is_appended_is_kept_in_order(at: Places, durability: str) -> None:
    """Numbers count from 1, both kinds of append mix, and a later opening goes on where this one ended."""
    policy = Policy(durability)
    journal = open_journal(at, policy, 5)
    assert (journal.head, journal.opened) == (0, None)
    for number in range(1, 200):
        append = journal.append if number % 2 else journal.append_now
        assert append("fact", body(number), number) == number
        if number % 10 == 0:
            await (journal.until_written if number % 20 else journal.until_synced)(number)
    await journal.close()
    assert (journal.head, journal.written, journal.synced) == (199, 199, 199)
    journal = open_journal(at, policy, 6)
    assert journal.opened is not None
    assert (journal.opened.last_seq, journal.head, journal.synced) == (199, 199, 199)
    assert journal.append("fact", body(200), 200) == 200
    await journal.close()
    assert kept(at) == [Record(number, number, "fact", body(number)) for number in range(1, 201)]


async def test_append_waits_for_nothing(at: Places) -> None:
    """With a disk that stands still the loop appends on; what waits is released in order once it moves."""
    disk = Faulty()
    journal = open_journal(at, Policy(), 0, disk)
    disk.may_write.clear()
    for number in range(1, 1001):
        journal.append("fact", body(number), 0)
    waiting = [asyncio.ensure_future(journal.until_written(number)) for number in (1000, 1, 500)]
    await asyncio.sleep(0)
    assert (journal.head, journal.written) == (1000, 0)
    disk.may_write.set()
    await asyncio.gather(*waiting)
    assert journal.written == 1000
    await journal.close()


async def test_a_slow_sync_holds_up_no_write(at: Places) -> None:
    """While a sync hangs, records are still written; until_synced waits for it."""
    disk = Faulty()
    journal = open_journal(at, Policy(), 0, disk)
    disk.may_sync.clear()
    await journal.until_written(journal.append("fact", b"{}", 0))
    synced = asyncio.ensure_future(journal.until_synced(1))
    for _ in range(50):
        await journal.until_written(journal.append("fact", b"{}", 0))
    assert (journal.written, journal.synced, synced.done()) == (51, 0, False)
    disk.may_sync.set()
    await synced
    assert journal.synced >= 1
    await journal.close()
    assert sum(journal.sync_times.counts) == disk.syncs - 1  # the first was the new segment's header


@pytest.mark.parametrize("nth", [2, 3, 7])
@pytest.mark.parametrize("short", [None, 0, 10, 59])
async def test_a_failed_write_is_the_end(at: Places, nth: int, short: int | None) -> None:
    """After a refused or short write everything that waits is told, nothing is taken in, and what was written stays."""
    disk = Faulty(fail_write=nth, short=short)
    journal = open_journal(at, Policy(), 0, disk)
    for _ in range(nth - 2):
        await journal.until_written(journal.append("fact", body(1), 0))
    seq = journal.append("fact", body(1), 0)
    failed = asyncio.ensure_future(journal.until_failed())
    for wait in (journal.until_written, journal.until_synced):
        with pytest.raises(JournalFailed, match="start the daemon anew"):
            await wait(seq)
    assert await failed == journal.failed
    with pytest.raises(JournalFailed):
        journal.append("fact", b"{}", 0)
    with pytest.raises(JournalFailed):
        await journal.close()
    again = open_journal(at, Policy(), 0)
    assert again.head == nth - 2
    assert again.opened is not None
    assert (again.opened.torn.dropped if again.opened.torn else 0) == (short or 0)
    await again.close()


async def test_a_failed_write_of_append_now_is_the_end(at: Places) -> None:
    """The same for a record written on the spot."""
    journal = open_journal(at, Policy(), 0, Faulty(fail_write=2))
    seq = journal.append_now("fact", b"{}", 0)
    with pytest.raises(JournalFailed):
        await journal.until_written(seq)
    with pytest.raises(JournalFailed):
        await journal.close()


@pytest.mark.parametrize("durability", ["process", "power"])
async def test_a_failed_sync_is_never_tried_again(at: Places, durability: str) -> None:
    """What the disk did with a failed sync nobody knows: the journal ends there, written records stay written."""
    disk = Faulty(fail_sync=2)
    journal = open_journal(at, Policy(durability), 0, disk)
    seq = journal.append("fact", b"{}", 0)
    with pytest.raises(JournalFailed, match="Input/output error"):
        await journal.until_synced(seq)
    assert (journal.written, journal.synced) == (1, 0)
    with pytest.raises(JournalFailed):
        await journal.close()
    assert disk.syncs == 2


async def test_a_disk_that_never_catches_up_counts_as_failed(at: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is queued has a limit; at it appending fails instead of eating the memory, and comes back."""
    monkeypatch.setattr("gambit.journal.journal.BACKLOG_BYTES_MAX", 1 << 20)
    disk = Faulty()
    journal = open_journal(at, Policy(), 0, disk)
    disk.may_write.clear()
    for _ in range(1 + (1 << 20) // 20_000):
        journal.append("fact", bytes(20_000), 0)
    with pytest.raises(JournalBehind, match="1 MiB behind"):
        journal.append("fact", bytes(20_000), 0)
    disk.may_write.set()
    await journal.until_written(journal.head)
    journal.append("fact", b"{}", 0)
    await journal.close()


async def test_waiting_for_what_never_was(at: Places) -> None:
    """A number from nowhere is a mistake of the caller."""
    journal = open_journal(at, Policy(), 0)
    with pytest.raises(ValueError, match="never appended"):
        await journal.until_synced(1)
    with pytest.raises(ValueError, match="checkpoint"):
        journal.append("journal.checkpoint", b"{}", 0)
    await journal.close()


@pytest.mark.parametrize("tail_bytes", [0, 5000, 1 << 20])
async def test_a_follower_loses_nothing(at: Places, tail_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From memory or from files, over segments, at whatever pace: every record once, in order, with its hash."""
    monkeypatch.setattr("gambit.journal.tail.TAIL_BYTES_MAX", tail_bytes)
    journal = open_journal(at, Policy(segment_bytes=3000, fsync_interval_ns=0), 0)
    slow, fast = journal.follow(0), journal.follow(0)
    seen: list[Record] = []
    for number in range(1, 301):
        await journal.until_synced(journal.append("fact", body(number), number))
        if number % 7 == 0:
            seen += fast.read(1000)
    seen += fast.read(1000)
    assert [record.seq for record in seen] == list(range(1, 301))
    slowly: list[Record] = []
    while records := slow.read(3):
        assert len(records) <= 3
        slowly += records
    assert slowly == seen
    assert (slow.hash, slow.lag) == (fast.hash, 0)
    late = journal.follow(250)
    assert late.read(5) == seen[250:255]
    for follower in (slow, fast, late):
        follower.close()
    await journal.close()
    proof = verify(at)
    assert proof is not None
    assert proof.last_hash == slow.hash.hex()


async def test_the_tail_holds_on_to_no_encoders_buffer(at: Places) -> None:
    """What is kept of a record is as large as the record, whatever the bytes given stood in."""
    journal = open_journal(at, Policy(), 0)
    given = body(1)
    await journal.until_synced(journal.append("fact", given, 1))
    follower = journal.follow(0)
    (kept,) = follower.read(1)
    assert kept.body == given
    assert kept.body is not given
    follower.close()
    await journal.close()


async def test_a_follower_sees_only_what_is_synced(at: Places) -> None:
    """A record that a power cut could take back is not handed on."""
    disk = Faulty()
    journal = open_journal(at, Policy(), 0, disk)
    follower = journal.follow(0)
    disk.may_sync.clear()
    await journal.until_written(journal.append("fact", b"{}", 0))
    assert follower.read(10) == []
    disk.may_sync.set()
    await journal.until_synced(1)
    assert len(follower.read(10)) == 1
    await journal.close()


async def test_segments_rotate_and_retire(at: Places) -> None:
    """Old segments go only when a checkpoint and the store are past them and they are old enough."""
    journal = open_journal(at, Policy(segment_ns=10), 0)
    for number in range(1, 101):
        if number == 60:
            journal.checkpoint("abc", number)
        else:
            journal.append("fact", body(number), number)
        await journal.until_written(number)
    assert len(segments(at.folder)) == 11
    assert journal.retire(100, -1) == []
    assert journal.retire(0, 1000) == []
    assert len(journal.retire(25, 1000)) == 2
    assert len(journal.retire(100, 45)) == 2
    assert len(journal.retire(100, 1000)) == 2  # the checkpoint is in the next
    first = segments(at.folder)[0].header.first_seq
    assert kept(at)[0].seq == first
    await journal.close()
    journal = open_journal(at, Policy(), 0)
    with pytest.raises(JournalError, match="retired"):
        journal.follow(3).read(1)
    await journal.close()
    proof = verify(at)
    assert proof is not None
    assert (proof.first_seq, proof.last_seq, proof.checkpoints) == (first, 100, 1)
    again = open_journal(at, Policy(), 0)
    await again.close()


async def test_checkpoints_are_signed(fill: Fill, at: Places) -> None:
    """A checkpoint says which record it follows and that record's hash; verify checks the signature."""
    await asyncio.to_thread(fill, 12, Policy(segment_bytes=500), (5, 9))
    proof = verify(at)
    assert proof is not None
    assert proof.checkpoint is not None
    assert (proof.checkpoints, proof.checkpoint.seq, proof.checkpoint.state_hash) == (2, 8, "state9")
    assert kept(at)[8].kind == "journal.checkpoint"


async def test_a_second_head_that_fails_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy elsewhere is a convenience: when it fails, it says so and the journal goes on with the first."""
    at = places(tmp_path, str(tmp_path / "elsewhere"))
    journal = open_journal(at, Policy(), 0)
    second = (tmp_path / "elsewhere").stat().st_ino
    pwrite = os.pwrite

    def refusing(descriptor: int, data: bytes, offset: int) -> int:
        if os.fstat(descriptor).st_ino == second:
            raise OSError(5, "Input/output error")
        return pwrite(descriptor, data, offset)

    monkeypatch.setattr("os.pwrite", refusing)
    await journal.until_synced(journal.append("fact", b"{}", 0))
    await journal.close()
    assert (
        journal.head_problem == f"{tmp_path}/elsewhere: the second copy of the journal's head is not kept any more"
        ": Input/output error"
    )
    assert [read_head(path) is not None and read_head(path).seq for path in at.heads] == [1, 0]  # type: ignore[union-attr]


def test_an_empty_directory_has_no_journal(at: Places) -> None:
    """There is nothing to prove where nothing was written."""
    assert verify(at) is None


class Cut(Disk):
    """A disk that knows what would be left after a power cut: of each file what was synced."""

    def __init__(self) -> None:
        self.paths: dict[int, Path] = {}
        self.safe: dict[Path, int] = {}

    def open(self, path: Path) -> int:
        descriptor = super().open(path)
        self.paths[descriptor] = path
        return descriptor

    def sync(self, descriptor: int) -> None:
        size = os.fstat(descriptor).st_size
        super().sync(descriptor)
        self.safe[self.paths[descriptor]] = size

    def replace(self, source: Path, target: Path) -> None:
        super().replace(source, target)
        self.safe[target] = self.safe.pop(source)
        self.paths = {descriptor: target if path == source else path for descriptor, path in self.paths.items()}


@pytest.mark.parametrize("durability", ["process", "power"])
async def test_a_power_cut_leaves_what_was_synced(tmp_path: Path, durability: str) -> None:
    """Cut at many instants to what was synced: the journal opens, and every record that was promised is there."""
    disk, at = Cut(), places(tmp_path / "live")
    journal = open_journal(at, Policy(durability, segment_bytes=2000), 0, disk)
    for number in range(1, 200):
        journal.append("fact", body(number), 0)
        if number % 3 == 0:
            await journal.until_written(number)
        if number % 20 == 0:
            await journal.until_synced(number)
            left = places(tmp_path / f"cut{number}")
            shutil.copytree(tmp_path / "live", tmp_path / f"cut{number}", ignore=shutil.ignore_patterns("*.new"))
            for segment in left.folder.glob("*.journal"):
                os.truncate(segment, min(disk.safe[at.folder / segment.name], segment.stat().st_size))
            again = open_journal(left, Policy(), 0)
            assert again.head >= number
            await again.close()
    await journal.close()


def test_sync_times_are_what_the_metric_wants() -> None:
    """They are copied as they are into gambit_journal_fsync_seconds."""
    assert SYNC_BOUNDS_NS == FAST


def test_sync_times_fall_into_their_bounds() -> None:
    """Each time is counted once, under the least bound that holds it."""
    times = SyncTimes()
    for took_ns in (500, 1024, 1025, 10**11):
        times.add(took_ns)
    assert (times.counts[0], times.counts[1], times.counts[-1], sum(times.counts)) == (2, 1, 1, 4)
    assert (times.worst_ns, times.total_ns) == (10**11, 10**11 + 2549)
