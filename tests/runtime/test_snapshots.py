"""Snapshots of the desk: what fits the journal is used, anything else is told and the journal replayed."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from gambit.engine import standing as rules
from gambit.engine.desk import Desk
from gambit.engine.standing import Snapshot, Standing
from gambit.events import Fact, written
from gambit.journal import Journal, Policy, open_journal, places
from gambit.journal.disk import write_whole
from gambit.journal.segment import segments
from gambit.runtime.dealing import Dealing
from gambit.runtime.snapshots import KEPT, Found, Head, Snapshots, _adopted, snapshots_folder
from tests.engine.test_archive import AT_ONCE, MANY, episodes
from tests.engine.test_desk import Talk
from tests.engine.world import NOW_NS

POLICY = Policy("process", 1_000_000, 1 << 20, 10**15)


class Keeping(NamedTuple):
    """An open journal and its snapshots."""

    journal: Journal
    snapshots: Snapshots


class Kept:
    """Lives of one state directory: each opens it, says what it found, writes facts down, and ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told: list[str] = []
        self.talk = Talk(limits=MANY, keep=AT_ONCE, quote=100_000_000)
        self.written = 0

    def life(self, work: Callable[[Keeping], None], *, is_clean: bool = True) -> None:
        """Facts of the talk since the last life go into the journal, then `work`, then an end."""

        async def live() -> None:
            journal = open_journal(places(self.folder), POLICY, NOW_NS)
            keeping = Keeping(journal, Snapshots(snapshots_folder(self.folder / "journal"), journal, self.told.append))
            for ts_ns, fact in self.talk.journal[self.written :]:
                keeping.journal.append(*written(fact), ts_ns)
            self.written = len(self.talk.journal)
            work(keeping)
            if is_clean:
                snapshot = self.talk.desk.standing.snapshot()
                seq = journal.checkpoint(snapshot.digest, NOW_NS)
                await journal.until_synced(seq)
                keeping.snapshots.write(snapshot, seq)
            await journal.close()

        asyncio.run(live())

    def found(self) -> tuple[Standing | None, int]:
        """What a start finds: the desk after snapshot and tail, and how many records the tail had."""
        result: list[tuple[Standing | None, int]] = []

        def look(keeping: Keeping) -> None:
            found = keeping.snapshots.latest()
            desk = Desk(
                self.talk.desk.rules, self.talk.desk.limits, found.standing if found else Standing(keep=AT_ONCE)
            )
            desk.standing.keep = AT_ONCE
            count = dealing(desk, keeping).replay(found.seq if found else 0)
            assert desk.standing.digest() == self.talk.desk.standing.digest()
            result.append((found.standing if found else None, count))

        self.life(look, is_clean=False)
        return result[0]

    @property
    def files(self) -> list[Path]:
        return sorted((self.folder / "desk").glob("*.snapshot"))


def dealing(desk: Desk, keeping: Keeping) -> Dealing:
    """A shell that only replays."""

    def never(_fact: Fact, _ns: int) -> int:
        raise AssertionError

    return Dealing(
        desk, None, keeping.journal, never, never, lambda: Talk().here,  # type: ignore[arg-type,return-value]
        durability="process", notify=never, on_state=never, on_defect=never,  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """A state directory with one ended life and its snapshot, and a second that was killed."""
    kept = Kept(tmp_path)
    list(episodes(kept.talk, 5))
    kept.life(lambda _keeping: None)
    list(episodes(kept.talk, 3, 5))
    kept.life(lambda _keeping: None, is_clean=False)
    return kept


def test_a_start_reads_the_snapshot_and_the_tail(kept: Kept) -> None:
    """The same state as from the first record, from a part of the records; the archive is there."""
    standing, count = kept.found()
    assert standing is not None
    assert 0 < count < kept.written / 2
    assert len(standing.archive) == len(kept.talk.desk.standing.archive) > 0
    kept.files[0].unlink()
    standing, everything = kept.found()
    assert standing is None
    assert everything > count
    assert kept.told == []


@pytest.mark.parametrize("at", [0, 0.01, 0.5, 0.999])
def test_a_damaged_snapshot_is_told_and_not_used(kept: Kept, at: float) -> None:
    """Whichever byte is another one."""
    data = bytearray(kept.files[0].read_bytes())
    data[int(at * len(data))] ^= 1
    kept.files[0].write_bytes(data)
    assert kept.found()[0] is None
    assert str(kept.files[0]) in kept.told[0]


@pytest.mark.parametrize("length", [0, 1, 300])
def test_a_cut_snapshot_is_told_and_not_used(kept: Kept, length: int) -> None:
    """A disk that was full, or a power cut, leaves no half one in place; somebody else may."""
    kept.files[0].write_bytes(kept.files[0].read_bytes()[:length])
    assert kept.found()[0] is None
    assert len(kept.told) == 1


def test_a_snapshot_of_another_journal_is_not_used(kept: Kept, tmp_path: Path) -> None:
    """One that was copied here."""
    other = Kept(tmp_path / "other")
    list(episodes(other.talk, 5))
    other.life(lambda _keeping: None)
    kept.files[0].write_bytes(other.files[0].read_bytes())
    assert kept.found()[0] is None
    assert "another journal" in kept.told[0]


def test_where_the_beginning_is_gone_an_older_versions_state_stands(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it was kept, when its bytes are those that its checkpoint was signed for; else nothing does."""
    state = kept.talk.desk.standing.state
    with monkeypatch.context() as older:
        older.setattr(rules, "VERSION", rules.VERSION - 1)
        state.version = rules.VERSION
        kept.life(lambda _keeping: None)
        signed = kept.talk.desk.standing.snapshot()
    state.version = rules.VERSION
    kept.files[0].unlink()
    found: list[Found | None] = []

    def look(keeping: Keeping) -> None:
        found.extend([keeping.snapshots.latest(), keeping.snapshots.latest_of_older_version()])

    kept.life(look, is_clean=False)
    assert found[0] is None
    assert found[1] is not None
    assert found[1].standing.digest() == kept.talk.desk.standing.digest()
    assert found[1].ts_ns == NOW_NS  # from when on executions are compared, where nothing follows it
    assert len(found[1].standing.archive) == len(kept.talk.desk.standing.archive)
    assert ["an older version kept it" in told for told in kept.told] == [False, True]
    forged = signed.state.replace(b'"plan_number":', b'"plan_number":1')
    with pytest.raises(ValueError, match="is not the one its checkpoint was signed for"):
        _adopted(
            Head(journal_id="", seq=1, hash="", state_hash=signed_digest(signed), body_hash=""),
            Snapshot(forged, signed.archive),
        )


def test_a_later_versions_state_is_not_taken(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has beyond this one's would be lost without a word."""
    state = kept.talk.desk.standing.state
    with monkeypatch.context() as later:
        later.setattr(rules, "VERSION", rules.VERSION + 1)
        state.version = rules.VERSION
        kept.life(lambda _keeping: None)
    state.version = rules.VERSION
    kept.files[0].unlink()
    found: list[Found | None] = []
    kept.life(lambda keeping: found.append(keeping.snapshots.latest_of_older_version()), is_clean=False)
    assert (found, "start the version that wrote it" in kept.told[0]) == ([None], True)


def signed_digest(snapshot: Snapshot) -> str:
    """The digest of a snapshot of the version before this one."""
    return f"{rules.VERSION - 1}-{snapshot.digest.partition('-')[2]}"


def test_what_a_kill_leaves_of_a_snapshot_goes_with_the_next(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what a full disk leaves of one goes at once."""
    folder = kept.folder / "desk"
    left = folder / "00000000000000000001.snapshot.new"
    left.write_bytes(b"x" * 1000)
    kept.life(lambda _keeping: None)
    assert not left.exists()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gambit.journal.disk.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(folder / "one", b"x")
    assert [path for path in folder.iterdir() if path not in kept.files] == []


def test_the_older_one_is_used_when_the_newest_are_damaged(kept: Kept) -> None:
    """The last three are kept, and no more; the journal is needed from the oldest on."""
    for k in range(3):
        list(episodes(kept.talk, 1, 10 + k))
        kept.life(lambda _keeping: None)
    assert len(kept.files) == KEPT
    covered: list[int] = []
    kept.life(lambda keeping: covered.append(keeping.snapshots.covered_seq), is_clean=False)
    assert covered == [int(kept.files[0].stem)]
    for file in kept.files[-2:]:
        file.write_bytes(b"nothing")
    standing, _ = kept.found()
    assert standing is not None
    assert [told.partition(" is not used")[0] for told in kept.told] == [
        f"the desk's snapshot {file}" for file in kept.files[:-3:-1]
    ]


def test_a_replay_that_leads_elsewhere_is_refused(kept: Kept) -> None:
    """The state is held against the hash that each checkpoint states."""

    def look(keeping: Keeping) -> None:
        desk = Desk(kept.talk.desk.rules, kept.talk.desk.limits)  # other rules: nothing is packed at once
        with pytest.raises(Exception, match="not the one that this checkpoint was signed for"):
            dealing(desk, keeping).replay()

    kept.life(look, is_clean=False)


def test_a_snapshot_needs_its_checkpoint(kept: Kept) -> None:
    """What no record of the journal states is not written."""

    def look(keeping: Keeping) -> None:
        snapshots = Snapshots(kept.folder / "elsewhere", keeping.journal, kept.told.append)
        snapshot = kept.talk.desk.standing.snapshot()
        for seq in (1, keeping.journal.synced + 1):
            with pytest.raises(ValueError, match="record"):
                snapshots.write(snapshot, seq)

    kept.life(look, is_clean=False)
    assert not (kept.folder / "elsewhere").exists()
    assert len(segments(kept.folder / "journal")) == 1
