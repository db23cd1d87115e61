"""The post over a journal: what a kill left untold is told, what is old is not, a journal that fails stops nobody."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from gambit.events import written
from gambit.events.alerts import AlertFact
from gambit.journal import JournalError, JournalFailed
from gambit.notify import post
from gambit.notify.channels import NotDelivered
from gambit.notify.outbox import Route
from gambit.notify.parcel import Item, Parcel
from gambit.notify.post import FILE, FIRST_NEWS_NS, Post
from tests.notify.test_outbox import alert

NOW_NS = 1_750_000_000 * 10**9


class Record(msgspec.Struct):
    seq: int
    ts_ns: int
    kind: str
    body: bytes


class Journal:
    """A journal in memory that can fail, and forget its beginning."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.first_seq = 1
        self.failed: str | None = None

    @property
    def head(self) -> int:
        return len(self.records)

    def write(self, fact: AlertFact, ts_ns: int = NOW_NS) -> None:
        kind, body = written(fact)
        self.records.append(Record(self.head + 1, ts_ns, kind, body))

    async def until_synced(self, seq: int) -> None:
        if self.failed:
            raise JournalFailed(self.failed)

    def follow(self, after: int) -> "Follower":
        return Follower(self, after)


class Follower:
    def __init__(self, journal: Journal, after: int) -> None:
        self.journal = journal
        self.seq = after

    def read(self, limit: int) -> Sequence[Record]:
        if self.seq + 1 < self.journal.first_seq:
            raise JournalError(f"record {self.seq + 1} is retired")
        found = self.journal.records[self.seq : self.seq + limit]
        self.seq += len(found)
        return found

    def close(self) -> None:
        """Nothing is open."""


class Channel:
    """Takes messages, refuses them, or holds on to them for ever."""

    kind = "fake"

    def __init__(self) -> None:
        self.took: list[Parcel] = []
        self.came = asyncio.Event()
        self.error: Exception | None = None
        self.is_stuck = False

    async def send(self, parcel: Parcel) -> None:
        if self.is_stuck:
            self.came.set()
            await asyncio.Event().wait()
        if self.error is not None:
            self.came.set()
            raise self.error
        self.took.append(parcel)
        self.came.set()

    async def close(self) -> None:
        """Nothing is open."""

    async def until(self, count: int) -> None:
        async with asyncio.timeout(60):
            while len(self.took) < count:
                self.came.clear()
                await self.came.wait()

    @property
    def ids(self) -> list[str]:
        return [item.alert.alert_id for parcel in self.took for item in parcel.items]


class Life:
    """One life of the post."""

    def __init__(self, journal: Journal, folder: Path, channel: Channel) -> None:
        self.dead: list[tuple[Item, str, str]] = []
        self.warned: list[str] = []
        self.done: list[tuple[str, str]] = []
        self.post = Post(
            {"mail": channel}, [Route(name="mail")], journal, folder, now_ns=lambda: NOW_NS, random=lambda: 0.0,
            group_ns=0, on_done=lambda name, _parcel, error, _ns: self.done.append((name, error)),
            on_dead=lambda *told: self.dead.append(told), warn=lambda text, **_: self.warned.append(text),
        )  # fmt: skip

    @asynccontextmanager
    async def lived(self) -> AsyncIterator["Life"]:
        self.post.begin()
        run = asyncio.create_task(self.post.run())
        try:
            yield self
        finally:
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def channel() -> Channel:
    return Channel()


async def test_only_news_is_told(journal: Journal, tmp_path: Path, channel: Channel) -> None:
    """A first life begins at the journal's end; then whatever comes is told, other facts are passed over."""
    journal.write(alert(1))
    async with Life(journal, tmp_path, channel).lived() as life:
        journal.records.append(Record(2, NOW_NS, "feed.up", b'{"venue":"okx","conn":"a"}'))
        journal.write(alert(2))
        life.post.poke()
        await channel.until(1)
    assert channel.ids == ["a2"]
    assert life.done == [("mail", "")]


async def test_what_a_kill_left_is_told(
    journal: Journal, tmp_path: Path, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is as old as it was when the kill came: everything behind its cursor is read once more."""
    monkeypatch.setattr(post, "CLOSE_SEC", 0.01)
    async with Life(journal, tmp_path, channel).lived():
        pass
    stale = (tmp_path / FILE).read_bytes()
    channel.is_stuck = True
    async with Life(journal, tmp_path, channel).lived() as life:
        journal.write(alert(1))
        life.post.poke()
        await channel.came.wait()
    (tmp_path / FILE).write_bytes(stale)  # as if nothing had been written since
    again = Channel()
    async with Life(journal, tmp_path, again).lived():
        await again.until(1)
    assert again.ids == ["a1"]


async def test_what_is_under_way_at_the_end_is_kept(
    journal: Journal, tmp_path: Path, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that nobody answered is told by the next life, by its own file."""
    monkeypatch.setattr(post, "CLOSE_SEC", 0.01)
    channel.is_stuck = True
    async with Life(journal, tmp_path, channel).lived() as life:
        journal.write(alert(1))
        life.post.poke()
        await channel.came.wait()
    again = Channel()
    async with Life(journal, tmp_path, again).lived():
        await again.until(1)
        journal.write(alert(2))
    assert again.ids[:1] == ["a1"]


async def test_old_news_is_none(journal: Journal, tmp_path: Path, channel: Channel) -> None:
    """After a stop of days nobody is woken by what was then."""
    async with Life(journal, tmp_path, channel).lived():
        pass
    journal.write(alert(1), NOW_NS - FIRST_NEWS_NS - 1)
    journal.write(alert(2), NOW_NS - FIRST_NEWS_NS + 1)
    async with Life(journal, tmp_path, channel).lived():
        await channel.until(1)
    assert channel.ids == ["a2"]


async def test_a_journal_that_fails_stops_nobody(journal: Journal, tmp_path: Path, channel: Channel) -> None:
    """What it does not take is told all the same."""
    async with Life(journal, tmp_path, channel).lived() as life:
        journal.failed = "the disk is full"
        life.post.tell(alert(7, "critical"), NOW_NS)
        await channel.until(1)
    assert channel.ids == ["a7"]


async def test_what_is_retired_or_unreadable_is_told_of(journal: Journal, tmp_path: Path, channel: Channel) -> None:
    """The post goes on with what comes now."""
    async with Life(journal, tmp_path, channel).lived():
        pass
    (tmp_path / FILE).write_text("{")
    for number in range(5):
        journal.write(alert(number))
    life = Life(journal, tmp_path, channel)
    life.post._follower = None
    async with life.lived():
        assert life.warned == ["what was still to be told cannot be read"]
        life.post._follower = Follower(journal, 0)
        journal.first_seq = 4
        life.post.poke()
        async with asyncio.timeout(60):
            while len(life.warned) < 2:
                await asyncio.sleep(0)
        journal.write(alert(9))
        life.post.poke()
        await channel.until(1)
    assert channel.ids == ["a9"]


async def test_a_channel_with_a_defect_loses_nothing(journal: Journal, tmp_path: Path, channel: Channel) -> None:
    """Ours or theirs: it is tried again; a final no is dead, and both are told."""
    channel.error = RuntimeError("ours")
    async with Life(journal, tmp_path, channel).lived() as life:
        journal.write(alert(1))
        life.post.poke()
        await channel.came.wait()
        channel.error = NotDelivered("no such chat", is_final=True)
        async with asyncio.timeout(60):
            while not life.dead:
                life.post.poke()
                life.post._now_ns = lambda: NOW_NS + 10**10
                await asyncio.sleep(0)
    assert life.warned == ["a channel failed"]
    [(item, name, reason)] = life.dead
    assert (item.alert.alert_id, name, reason) == ("a1", "mail", "no such chat")
    assert life.done == [("mail", "no such chat")]


async def test_a_trial_of_every_channel(journal: Journal, tmp_path: Path, channel: Channel) -> None:
    """Past the queue; each says how that went."""
    async with Life(journal, tmp_path, channel).lived() as life:
        [good] = await life.post.test("ann")
        channel.error = NotDelivered("no such chat")
        [bad] = await life.post.test("ann")
    assert (good["ok"], good["error"], good["kind"]) == (True, "", "fake")
    assert (bad["ok"], bad["error"]) == (False, "no such chat")
