"""What a disk can do to a journal: torn ends are dropped and reported, anything else refuses and is named."""

import asyncio
import os
import re
import shutil
from pathlib import Path

import pytest

from gambit.journal import (
    JournalDamaged,
    JournalError,
    JournalFromFuture,
    JournalInUse,
    JournalTruncated,
    Places,
    Policy,
    open_journal,
    places,
    prove_sealed_before,
    verify,
)
from gambit.journal.frame import HASH_BYTES, HEADER_BYTES, encode_record, genesis
from gambit.journal.segment import read_segment, segments
from tests.journal.conftest import Fill, body

SMALL = Policy(segment_bytes=600)


def reopened(at: Places, count: int = 1) -> int:
    """Open the journal, append `count` records, close it; gives the bytes of the torn end that was dropped."""

    async def run() -> int:
        journal = open_journal(at, Policy(), 0)
        assert journal.opened is not None
        for _ in range(count):
            journal.append("more", b"{}", 9)
        await journal.close()
        return journal.opened.torn.dropped if journal.opened.torn else 0

    return asyncio.run(run())


def only_segment(at: Places) -> Path:
    (segment,) = segments(at.folder)
    return segment.path


def record_ends(path: Path) -> list[int]:
    """Offsets at which the records of a first segment end, the header's end first."""
    (segment,) = [one for one in segments(path.parent) if one.path == path]
    ends, before = [HEADER_BYTES], segment.header.before
    for record in read_segment(segment):
        frame = encode_record(record, before)
        before = frame[-HASH_BYTES:]
        ends.append(ends[-1] + len(frame))
    return ends


def test_a_torn_last_record_is_dropped_at_every_byte(fill: Fill, at: Places) -> None:
    """Cut anywhere inside the last record, the journal opens without it, says how much it dropped, and goes on."""
    path = only_segment(fill(3))
    whole = path.read_bytes()
    *_, start, stop = record_ends(path)
    for cut in range(start, stop):
        path.write_bytes(whole[:cut])
        at.heads[0].unlink()  # the record was never synced
        assert reopened(at) == cut - start
        proof = verify(at)
        assert proof is not None
        assert (proof.last_seq, proof.torn) == (3, None)


def test_zeros_at_the_end_are_a_torn_end(fill: Fill, at: Places) -> None:
    """What a power cut left unwritten reads as zeros: dropped, whether the record began or not."""
    path = only_segment(fill(3))
    whole = path.read_bytes()
    *_, start, stop = record_ends(path)
    for kept in (start, start + 8, start + 20, stop - HASH_BYTES):
        path.write_bytes(whole[:kept].ljust(stop + 4096, b"\0"))
        at.heads[0].unlink()
        assert reopened(at) == stop + 4096 - start


def test_a_lost_end_is_told_from_a_torn_one(fill: Fill, at: Places) -> None:
    """Records that were on the disk and are gone are missed: the stored head knows them."""
    path = only_segment(fill(5))
    ends = record_ends(path)
    path.write_bytes(path.read_bytes()[: ends[3]])
    with pytest.raises(JournalTruncated, match=r"record 4: the journal ends here, but record 5 was on the disk"):
        open_journal(at, Policy(), 0)
    path.unlink()
    with pytest.raises(JournalTruncated, match="all are gone"):
        open_journal(at, Policy(), 0)


def test_a_second_head_misses_what_the_first_forgot(tmp_path: Path) -> None:
    """A copy of the head elsewhere finds the loss when the state directory was put back to an older day."""
    at = places(tmp_path / "state", str(tmp_path / "elsewhere/head"))

    async def run(count: int) -> None:
        journal = open_journal(at, Policy(), 0)
        for number in range(count):
            journal.append("fact", body(number), 0)
        await journal.close()

    asyncio.run(run(3))
    shutil.copytree(tmp_path / "state", tmp_path / "old")
    asyncio.run(run(3))
    shutil.rmtree(tmp_path / "state")
    (tmp_path / "old").rename(tmp_path / "state")
    with pytest.raises(JournalTruncated, match="elsewhere/head"):
        open_journal(at, Policy(), 0)


def test_any_flipped_byte_refuses_and_is_named(fill: Fill, at: Places) -> None:
    """In whatever record of whatever segment a byte flips, opening and verifying name the file and that record."""
    fill(24, SMALL)
    found = segments(at.folder)
    assert len(found) > 2
    for segment in found:
        whole = segment.path.read_bytes()
        ends = record_ends(segment.path)
        for at_byte in range(HEADER_BYTES, len(whole), 11):
            broken = bytearray(whole)
            broken[at_byte] ^= 0x41
            segment.path.write_bytes(broken)
            owner = sum(end <= at_byte for end in ends) - 1
            for use in (lambda: open_journal(at, SMALL, 0), lambda: verify(at)):
                with pytest.raises(JournalDamaged) as raised:
                    use()
                assert raised.value.file == segment.path
                assert (raised.value.seq, raised.value.offset) == (segment.header.first_seq + owner, ends[owner])
        segment.path.write_bytes(whole)
    assert verify(at) is not None


def test_any_flipped_byte_of_a_header_refuses(fill: Fill, at: Places) -> None:
    """Headers are as well guarded as records."""
    fill(12, SMALL)
    for segment in segments(at.folder)[1:3]:
        whole = segment.path.read_bytes()
        for at_byte in range(HEADER_BYTES):
            broken = bytearray(whole)
            broken[at_byte] ^= 0x41
            segment.path.write_bytes(broken)
            with pytest.raises((JournalDamaged, JournalFromFuture), match=segment.path.name):
                open_journal(at, SMALL, 0)
        segment.path.write_bytes(whole)


def test_a_missing_segment_refuses(fill: Fill, at: Places) -> None:
    """Segments follow each other without a hole, and a sealed one is whole."""
    fill(24, SMALL)
    _, second, third, *_ = segments(at.folder)
    whole = second.path.read_bytes()
    second.path.write_bytes(whole[:-1])
    with pytest.raises(JournalDamaged, match="cut off, and another segment follows"):
        open_journal(at, SMALL, 0)
    second.path.unlink()
    with pytest.raises(JournalDamaged, match="segment 2, but 0 is before it") as raised:
        open_journal(at, SMALL, 0)
    assert raised.value.file == third.path


def test_a_rewritten_chain_refuses(fill: Fill, at: Places, tmp_path: Path) -> None:
    """A journal that is whole in itself but not the one whose head was stored is refused."""
    fill(3)
    other = places(tmp_path / "other")
    other.folder.mkdir(parents=True)
    path = only_segment(at)
    before = genesis(segments(at.folder)[0].header.journal_id)
    data = path.read_bytes()[:HEADER_BYTES]
    for record in read_segment(segments(at.folder)[0]):
        frame = encode_record(type(record)(record.seq, record.ts_ns + 1, record.kind, record.body), before)
        before, data = frame[-HASH_BYTES:], data + frame
    path.write_bytes(data)
    with pytest.raises(JournalDamaged, match="record 3: its hash is not the one stored"):
        open_journal(at, Policy(), 0)


def test_a_forged_checkpoint_refuses(fill: Fill, at: Places) -> None:
    """A checkpoint signed with another key is found, by record."""
    fill(6, checkpoints=(4,))
    at.key.unlink()
    at.key.with_suffix(".pub").unlink()
    with pytest.raises(JournalDamaged, match="record 4: a checkpoint that this journal's key did not sign"):
        open_journal(at, Policy(), 0)


def test_a_key_that_others_can_read_refuses(fill: Fill, at: Places) -> None:
    """The private key is made 0600 and refused when it is wider."""
    fill(1)
    assert at.key.stat().st_mode & 0o777 == 0o600
    at.key.chmod(0o640)
    with pytest.raises(JournalError, match="chmod 600"):
        open_journal(at, Policy(), 0)


def test_a_head_that_cannot_be_read_refuses(fill: Fill, at: Places) -> None:
    """A spoiled head is no proof of anything; the message says how to go on."""
    fill(1)
    at.heads[0].write_bytes(at.heads[0].read_bytes().replace(b" 1 ", b" 0 "))
    with pytest.raises(JournalError, match="move this file away, then `gambit verify`"):
        open_journal(at, Policy(), 0)


def test_a_lost_key_costs_nothing_but_itself(fill: Fill, at: Places) -> None:
    """Another is made; what either signed is proved, in this life and in the next, and a third one's is not."""
    fill(6, checkpoints=(4,))
    for count in (8, 10):
        at.key.unlink()
        fill(count, checkpoints=(count - 1,))
    proof = verify(at)
    assert proof is not None
    assert proof.checkpoints == 3
    assert len(set(at.key.with_suffix(".pub").read_text().split())) == 3
    at.key.with_suffix(".pub").write_text("".join(at.key.with_suffix(".pub").read_text().splitlines(True)[1:]))
    with pytest.raises(JournalDamaged, match="record 4: a checkpoint that this journal's key did not sign"):
        open_journal(at, Policy(), 0)
    at.key.with_suffix(".pub").write_text("")
    with pytest.raises(JournalError, match="it is empty"):
        verify(at)


def test_a_journal_that_is_gone_says_how_to_go_on(fill: Fill, at: Places) -> None:
    """Whose advice it was to move it away: the head has to go with it."""
    fill(3)
    at.folder.rename(at.folder.with_name("aside"))
    with pytest.raises(JournalTruncated, match=re.escape(f"move {at.heads[0]} away")):
        open_journal(at, Policy(), 0)
    at.heads[0].unlink()
    assert open_head(at) == 0


def open_head(at: Places) -> int:
    """The last record of a journal that is opened and closed."""

    async def run() -> int:
        journal = open_journal(at, Policy(), 0)
        await journal.close()
        return journal.head

    return asyncio.run(run())


def test_the_head_is_on_the_disk_before_anything_is_written(at: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a power cut a new file that was never synced may be empty, and an empty head refuses every start."""
    synced: list[int] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        fsync(descriptor)
        synced.append(os.fstat(descriptor).st_ino)

    async def run() -> None:
        monkeypatch.setattr(os, "fsync", noted)
        journal = open_journal(at, Policy(), 0)
        monkeypatch.setattr(os, "fsync", fsync)
        await journal.close()

    asyncio.run(run())
    assert at.heads[0].stat().st_ino in synced


def test_a_copy_of_the_head_that_cannot_be_kept_keeps_nobody_from_starting(tmp_path: Path) -> None:
    """As while it runs: it is told. One that is there and cannot be read is another matter: it may know of more."""
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()

    async def run(at: Places) -> str | None:
        journal = open_journal(at, Policy(), 0)
        await journal.close()
        return journal.head_problem

    told = asyncio.run(run(places(tmp_path, str(tmp_path / "file" / "head"))))
    assert told is not None
    assert "is not kept any more" in told
    with pytest.raises(JournalError, match=r"take it out of journal\.head_copy"):
        asyncio.run(run(places(tmp_path, str(tmp_path / "folder"))))


def test_two_writers_are_one_too_many(fill: Fill, at: Places) -> None:
    """While one process holds a journal, another is refused and told which."""

    async def run() -> None:
        journal = open_journal(at, Policy(), 0)
        with pytest.raises(JournalInUse, match=r"process \d+ writes this journal"):
            open_journal(at, Policy(), 0)
        await journal.close()

    asyncio.run(run())
    assert reopened(at) == 0


def test_what_a_start_left_out_is_proved_later(fill: Fill, at: Places) -> None:
    """The segments before the trusted record open unread; a byte that changed in one of them is found by the proof that
    follows, and one from there on at once."""
    fill(60, SMALL)
    found = segments(at.folder)
    assert len(found) > 4
    middle = found[3].header.first_seq
    assert prove_sealed_before(at.folder, middle) == 3
    assert prove_sealed_before(at.folder, middle, lambda: False) == 0
    path = found[1].path
    whole = path.read_bytes()
    path.write_bytes(whole[:-40] + bytes([whole[-40] ^ 1]) + whole[-39:])

    async def opened(trusted_seq: int) -> None:
        await open_journal(at, Policy(), 0, trusted_seq=trusted_seq).close()

    asyncio.run(opened(middle))
    with pytest.raises(JournalDamaged, match=path.name):
        prove_sealed_before(at.folder, middle)
    assert prove_sealed_before(at.folder, found[1].header.first_seq) == 1
    with pytest.raises(JournalDamaged, match=path.name):
        asyncio.run(opened(found[2].header.first_seq - 1))
    path.write_bytes(whole)
    assert verify(at) is not None
