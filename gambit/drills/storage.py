"""Group G, what is kept: the journal is cut, flipped and full, the disk is slow, the database is damaged."""

from __future__ import annotations

import asyncio
import errno
import shutil
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from gambit.drills import oracle
from gambit.drills.ground import Ground, ground, until
from gambit.drills.registry import DESK, drill
from gambit.drills.scenario import Bench, Broken, Setting
from gambit.drills.stage import Stage
from gambit.engine.standing import ReplayDiffers
from gambit.events import written
from gambit.events.operation import DaemonStarted
from gambit.journal import Journal, JournalDamaged, JournalError, Places, Policy, open_journal, places, verify
from gambit.journal.disk import Disk
from gambit.journal.frame import HEADER_BYTES
from gambit.journal.segment import segments
from gambit.store import Store

DURABLE: Final = Setting(name="power", venues=DESK.venues, settings=('journal.durability = "power"',))
RECORDS: Final = 40
NTH_MOST: Final = 200
SLOW_SEC: Final = 3.0
DUCKDB: Final = "gambit.duckdb"


async def small_journal(folder: Path) -> tuple[Places, int]:
    """A journal of some records, closed; and the byte at which its last record begins."""
    at = places(folder)
    journal = open_journal(at, Policy(), 0)
    size = 0
    for number in range(RECORDS):
        size = segments(at.folder)[-1].path.stat().st_size
        fact = DaemonStarted(version="drill", pid=number, epoch=number, mode="paper", config_hash="")
        await journal.until_synced(journal.append(*written(fact), number))
    await journal.close()
    return at, size


@drill("F95", None)
async def last_record_cut(bench: Bench) -> None:
    """At every byte of it: what is left of it is dropped and told, everything before stays."""
    whole = bench.folder / "whole"
    whole.mkdir(mode=0o700)
    at, begins = await small_journal(whole)
    path = segments(at.folder)[-1].path
    for size in range(begins + 1, path.stat().st_size):
        copy = bench.folder / "copy"
        shutil.copytree(whole, copy)
        there = places(copy)
        cut = segments(there.folder)[-1].path
        with cut.open("r+b") as file:
            file.truncate(size)
        for head in there.heads:
            head.unlink(missing_ok=True)  # it was written behind the record: without it a torn end is an end
        journal = open_journal(there, Policy(), 0)
        opened = journal.opened
        bench.need(opened is not None and opened.torn is not None, f"I11: cut at {size} was not noticed")
        bench.need(opened is not None and opened.last_seq == RECORDS - 1, f"I11: cut at {size}: {opened}")
        await journal.close()
        shutil.rmtree(copy)
        bench.count(cuts=1)


@drill("F96", None)
async def one_byte_flipped(bench: Bench) -> None:
    """Anywhere before the end: nobody goes on, and the place is named."""
    at, begins = await small_journal(bench.folder)
    path = segments(at.folder)[-1].path
    data = path.read_bytes()
    for place in range(HEADER_BYTES, begins, 37):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        try:
            verify(at)
        except JournalDamaged as error:
            bench.need(error.offset <= place, f"I11: byte {place} is wrong, {error.offset} is named")
            bench.count(flips=1)
        else:
            raise Broken(f"I11: byte {place} is wrong and nobody noticed")
    path.write_bytes(data)
    verify(at)


@contextmanager
def disk_that(name: str, does: Callable[[Disk, Any, Any], Any]) -> Iterator[None]:
    """A method of every journal's disk behaves otherwise; `does` gets the disk, the real method and its arguments."""
    whole = getattr(Disk, name)

    def other(self: Disk, *args: Any) -> Any:
        return does(self, whole, args)

    setattr(Disk, name, other)
    try:
        yield
    finally:
        setattr(Disk, name, whole)


@drill("F97", None)
async def disk_fails(bench: Bench) -> None:
    """No space, an error, half a write, a failed sync: new orders stop at once, somebody is told, and what was said to
    be safe is there in the next life. Then a journal alone, whose n-th write or sync fails, n from 1 to 200."""
    await each_write_fails(bench)
    for name, number in (("write", errno.ENOSPC), ("write", errno.EIO), ("sync", errno.EIO), ("write", 0)):

        def fails(disk: Disk, whole: Any, args: Any, number: int = number) -> Any:
            if number:
                raise OSError(number, "a drill's disk")
            return whole(disk, args[0], bytes(args[1])[: len(args[1]) // 2])

        folder = bench.folder / f"{name}-{number}"
        folder.mkdir(mode=0o700)
        await full_disk(bench, folder, name, fails)
        bench.count(failures=1)


class Failing(Disk):
    """Its n-th call of `name` fails: with `number`, or (0) takes half of the bytes. `calls` counts them."""

    def __init__(self, name: str, nth: int, number: int) -> None:
        self.calls = 0
        self._name, self._nth, self._number = name, nth, number

    def write(self, descriptor: int, data: bytes) -> int:
        """As told."""
        return super().write(descriptor, bytes(data)[: len(data) // 2] if self._fails("write") else data)

    def sync(self, descriptor: int) -> None:
        """As told."""
        self._fails("sync")
        super().sync(descriptor)

    def _fails(self, name: str) -> bool:
        self.calls += name == self._name
        if name != self._name or self.calls != self._nth:
            return False
        if self._number:
            raise OSError(self._number, "a drill's disk")
        return True


async def each_write_fails(bench: Bench) -> None:
    """What a journal said to be safe is in it afterwards, whichever call of the disk fails; it takes nothing more, and
    no sync is tried again."""
    kinds = (("write", errno.ENOSPC), ("write", errno.EIO), ("write", 0), ("sync", errno.EIO))
    for nth in range(1, NTH_MOST + 1):
        name, number = kinds[nth % len(kinds)]
        at, disk = places(bench.folder / f"nth-{nth}"), Failing(name, nth, number)
        at.folder.parent.mkdir(mode=0o700)
        safe = 0
        try:
            journal = open_journal(at, Policy("power"), 0, disk)
        except OSError:
            bench.count(writes=1)
            continue  # the header: there is no journal, and nothing was said
        try:
            for record in range(nth + 1):
                safe = await _safe_after(journal, record)
        except JournalError:
            calls = disk.calls
        else:
            raise Broken(f"I12: call {nth} of {name} failed and nobody noticed")
        with suppress(JournalError, OSError):
            await journal.close()
        bench.need(disk.calls == calls or name == "write", f"I12: sync {nth} failed and was tried again")
        again = open_journal(at, Policy(), 0)
        bench.need(again.head >= safe, f"I12: {safe} records were safe, {again.head} are there")
        await again.close()
        shutil.rmtree(at.folder.parent)
        bench.count(writes=1)


async def _safe_after(journal: Journal, record: int) -> int:
    """Append one more and wait until it is safe; its number."""
    fact = DaemonStarted(version="drill", pid=record, epoch=record, mode="paper", config_hash="")
    seq = journal.append(*written(fact), record)
    await journal.until_synced(seq)
    return seq


async def full_disk(bench: Bench, folder: Path, name: str, fails: Callable[[Disk, Any, Any], Any]) -> None:
    """A daemon whose disk begins to fail while it trades; then another life on the same folder, and its exchanges."""
    async with ground(DESK, folder) as there:
        stage = Stage(folder, there)
        await stage.still_trades("okx")
        with disk_that(name, fails):
            try:
                for _ in range(3):
                    await stage.episode("okx")
                if name == "sync" or not _is_half(fails):
                    await until(lambda: there.daemon.parts.switch.state == "HALTED", 5.0, "a halt")
                    bench.need(there.daemon.problems, "I24: nobody was told")
                    before = sum(stage.place_requests(venue) for venue in there.exchanges)
                    await stage.episode("okx")
                    after = sum(stage.place_requests(venue) for venue in there.exchanges)
                    bench.need(after == before, f"I12: {after - before} orders without a journal")
            finally:
                await _ended_somehow(there)
        (folder / "state" / "trading_state.json").unlink(missing_ok=True)
        await there.start()
        there.daemon.parts.switch.change("ACTIVE", "the disk is well", "a drill")
        again = Stage(folder, there)
        again.expects_trouble = True
        await again.settle()
        oracle.orders_have_intents(there, there.records)


def _is_half(fails: Callable[..., Any]) -> bool:
    return not (fails.__defaults__ or (0,))[0]


async def _ended_somehow(there: Ground) -> None:
    """A daemon without a journal may say so when it ends."""
    try:
        await there.stop()
    except (JournalError, OSError):
        there.log.info("the daemon ended without its journal")


@drill("F98", DURABLE)
async def slow_sync(stage: Stage) -> None:
    """A sync takes 3 s under durability "power": orders wait for it, books go on, and nothing is lost."""
    slow: list[float] = []

    def slowly(disk: Disk, whole: Any, args: Any) -> Any:
        if not slow:
            slow.append(time.monotonic())
            time.sleep(SLOW_SEC)
        return whole(disk, *args)

    feeds = stage.ground.daemon.parts.feeds
    with disk_that("sync", slowly):
        await stage.trade_until("okx", lambda: slow, why="a slow sync")
        frames = sum(feed.frames for feed in feeds.statuses())
        await asyncio.sleep(SLOW_SEC / 2)
        more = sum(feed.frames for feed in feeds.statuses()) - frames
        stage.need(more > 20, f"I14: only {more} frames while the disk was slow")
        stage.need(stage.ground.is_synced(), "I08: books were lost to the disk")
        await asyncio.sleep(SLOW_SEC)
    await stage.settle()
    await stage.still_trades("okx")
    stage.count(frames_meanwhile=more)


@drill("F99")
async def database_damaged(stage: Stage) -> None:
    """Nonsense in it, its log cut, all of it gone, another process in it: put aside and made again from the journal;
    trading goes on."""
    database = stage.ground.folder / "state" / DUCKDB

    def nonsense() -> None:
        with database.open("r+b") as file:
            file.seek(8192)
            file.write(b"\xff" * 4096)

    def cut() -> None:
        log = database.with_name(f"{DUCKDB}.wal")
        log.write_bytes(log.read_bytes()[:100] if log.exists() else b"x")

    for harm in (nonsense, cut, database.unlink, None):
        await stage.ground.stop()
        async with held_by_another(database) if harm is None else nullcontext():
            if harm is not None:
                harm()
            await stage.ground.restart()
            store = stage.ground.daemon.parts.keeping.store
            await stage.still_trades("okx")
            await until(partial(caught_up, store), 60.0, "I13: the database is well, at the journal's end")
        stage.count(harms=1)


def caught_up(store: Store) -> bool:
    """Whether the database is open and has every record."""
    return store.problem is None and store.lag == 0


@asynccontextmanager
async def held_by_another(database: Path) -> AsyncIterator[None]:
    """Another process has the database open, to write into it."""
    words = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", words, str(database), stdin=PIPE, stdout=PIPE, stderr=DEVNULL
    )
    try:
        if process.stdout is None or await process.stdout.readline() != b"held\n":
            raise Broken("another process could not open the database")
        yield
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@drill("F104")
async def other_releases(stage: Stage) -> None:
    """A journal of an older release, with fewer fields, is read; a record of the future is refused and named."""
    state = stage.ground.folder / "state"
    stage.expects_trouble = True
    await stage.still_trades("okx")
    await stage.ground.stop()
    for kind, body in (
        ("state.changed", b'{"state":"ACTIVE","was":"ACTIVE","reason":"old","by":"op"}'),
        ("tomorrow", b"{}"),
    ):
        journal = open_journal(places(state), Policy(), stage.ground.now_ns())
        await journal.until_synced(journal.append(kind, body, stage.ground.now_ns()))
        await journal.close()
        try:
            await stage.ground.start()
        except (ReplayDiffers, JournalError) as error:
            stage.need(kind == "tomorrow", f"I11: {kind} was refused: {error}")
            stage.need("tomorrow" in str(error), f"I11: told as {error}")
        else:
            stage.need(kind != "tomorrow", "I11: a record nobody knows was read over")
            await stage.ground.stop()
    stage.count(releases=2)
