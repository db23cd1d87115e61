"""The store is a picture of the journal: everything once, whatever happens to the file."""

import datetime
import errno
import multiprocessing
import os
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from gambit.events import DeadLettered, DeadLettersPurged, written
from gambit.store import Folders, Store, StoreError
from gambit.store.archive import export_day
from gambit.store.batch import ROWS, Batch
from gambit.store.database import Database
from gambit.store.problem import StoreDamaged, StoreFull
from gambit.store.samples import Samples
from tests.store.conftest import DAY_NS, NOW_NS, Ledger, Start, signal


def filled(ledger: Ledger, count: int = 20) -> Ledger:
    """Records of several kinds."""
    for number in range(count):
        match number % 4:
            case 0:
                ledger.append("signal.raised", **signal(number))
            case 1:
                ledger.append("book.lost", venue="okx", symbol="BTC-USDT", reason="gap", schema_ver="1")
            case 2:
                ledger.append("audit", who="root", door="socket", action="halt", outcome="ok", detail="x")
            case _:
                ledger.append("some.future.kind", number=number, schema_ver="9")
    return ledger


def seqs(start: Start) -> list[int]:
    """The journal records that a store of these folders has, once it has caught up."""
    running = start()
    found = [seq for (seq,) in running.rows("SELECT seq FROM facts ORDER BY seq")]
    assert running.store.close()
    return found


def test_records_become_rows(start: Start, ledger: Ledger) -> None:
    """Each kind goes to its table, money exactly, times to the nanosecond; what has no table keeps its body."""
    filled(ledger)
    running = start()
    opportunities = running.rows(
        "SELECT opp_id::VARCHAR, qty, profit_quote, spread_bps, epoch_ns(created_at), seq, degraded "
        "FROM arbitrage_opportunity ORDER BY seq"
    )
    assert opportunities[1] == (
        "00000000-0000-5000-8000-000000000004", Decimal("0.100000000000000001"), Decimal("12.345678901234567891"),
        20.5, NOW_NS + 4, 5, False,
    )  # fmt: skip
    assert len(opportunities) == 5
    assert running.rows("SELECT DISTINCT kind, venue, reason FROM feed_event") == [("book.lost", "okx", "gap")]
    assert running.rows("SELECT count(*), min(user_id), min(metadata) FROM audit_log") == [(5, "root", "x")]
    assert running.rows("SELECT count(*), count(body) FROM facts") == [(20, 5)]
    assert running.rows("SELECT body FROM facts WHERE seq = 4") == [('{"number":3,"schema_ver":"9"}',)]
    assert (running.store.applied, running.store.lag, running.store.problem) == (20, 0, None)


def test_episodes_dead_letters_and_alerts(start: Start, ledger: Ledger) -> None:
    """Ends of episodes have their beginning; dead letters keep their bytes and who purged them; alerts their end."""
    ledger.append(
        "signal.closed", event="closed", recv_ns=NOW_NS + 50, symbol="BTC-USDT", venue_buy="okx", venue_sell="kraken",
        raw_signal_id="00000000-0000-5000-8000-00000000000a", duration_ns=50, max_net_bps=2.0,
        max_profit_quote="3.5", evaluations=7, reason="ttl",
    )  # fmt: skip
    raw = bytes(range(256))
    for fact in (
        DeadLettered(letter_id=1, topic="t", venue="okx", conn="c", reason="r", recv_ns=NOW_NS + 1, raw=raw),
        DeadLettered(letter_id=2, topic="t", venue="okx", conn="c", reason="r", recv_ns=NOW_NS + 2, raw=b""),
        DeadLettersPurged(letter_ids=(2, 9), by="root"),
    ):
        ledger.append_body(*written(fact))
    ledger.append("alert.raised", alert_id="a1", rule_id="lag", severity="High", message="m", scope="okx")
    ledger.append("alert.resolved", alert_id="a1", ts_ns=NOW_NS + 9)
    running = start()
    assert running.rows("SELECT epoch_ns(started_at), epoch_ns(closed_at), reason FROM arbitrage_episode") == [
        (NOW_NS, NOW_NS + 50, "ttl")
    ]
    assert running.rows("SELECT letter_id, raw, purged_by, epoch_ns(recv_at) FROM dead_letters ORDER BY 1") == [
        (1, raw, None, NOW_NS + 1),
        (2, b"", "root", NOW_NS + 2),
    ]
    assert running.rows("SELECT severity, epoch_ns(resolved_at) FROM alerts") == [("High", NOW_NS + 9)]


BODIES = (b"", b"no json", b"[1]", b'{"opp_id": 5, "qty": [], "recv_ns": "x"}', b"\xff\xfe", b"null")


def test_a_record_of_another_shape_loses_nothing(start: Start, ledger: Ledger) -> None:
    """Whatever a body holds, the store goes on; what a rule cannot read at all is kept whole."""
    strange: list[int] = []
    for body in BODIES:
        filled(ledger, 3)
        strange.append(ledger.append_body("signal.raised", body))
        ledger.append_body("dead_letter", body)
    running = start()
    count = len(BODIES) * 5
    assert running.rows("SELECT count(*), max(seq) FROM facts") == [(count, count)]
    assert running.rows("SELECT count(*) FROM arbitrage_opportunity WHERE opp_id IS NOT NULL") == [(len(BODIES),)]
    for seq in strange:
        in_table = running.rows(f"SELECT count(*) FROM arbitrage_opportunity WHERE seq = {seq}")
        kept = running.rows(f"SELECT count(body) FROM facts WHERE seq = {seq}")
        assert in_table[0][0] + kept[0][0] == 1
    assert running.store.problem is None
    assert running.store.unprojected > 0


def test_a_restart_goes_on_where_it_was(start: Start, ledger: Ledger) -> None:
    """Every record is in the database once, over any number of starts."""
    for _ in range(3):
        filled(ledger, 7)
        assert seqs(start) == list(range(1, ledger.synced + 1))


def test_more_records_than_a_batch_has_rows(start: Start, ledger: Ledger) -> None:
    """They go in in turns, in one transaction; a later batch has nothing of an earlier one."""
    for number in range(2 * ROWS + 1):
        ledger.append("feed.up", venue=f"v{number}", conn="c")
    running = start()
    count = 2 * ROWS + 1
    assert running.rows("SELECT count(*), count(DISTINCT venue), min(seq), max(seq) FROM feed_event") == [
        (count, count, 1, count)
    ]
    ledger.append("feed.up", venue="last", conn="c")
    assert running.rows("SELECT count(*), arg_max(venue, seq) FROM feed_event") == [(count + 1, "last")]
    assert running.rows("SELECT count(*), min(seq), max(seq) FROM facts") == [(count + 1, 1, count + 1)]
    assert running.store.unprojected == 0


def test_a_batch_takes_no_more_than_it_has_rows(ledger: Ledger) -> None:
    """Rather than drop what does not fit."""
    for _ in range(ROWS + 1):
        ledger.append("feed.up", venue="v", conn="c")
    with duckdb.connect() as connection, pytest.raises(ValueError, match=f"{ROWS} rows, these are {ROWS + 1}"):
        Batch(connection).fill(ledger.records)


def test_samples_are_written(start: Start) -> None:
    """Lists and arrays, text and numbers, with their time to the nanosecond; 5-minute candles come from 1-minute."""
    running = start()
    running.store.sample("market_snapshots", {
        "ts_ns": np.array([NOW_NS, NOW_NS + 1]), "symbol": ["A-B", "A-B"], "venue": ["okx", None],
        "bid": np.array([1.0, 2.0]), "ask": [1.5, 2.5], "mid": [1.25, 2.25],
    })  # fmt: skip
    minute = 60 * 10**9
    start_ns = NOW_NS // (5 * minute) * 5 * minute
    running.store.sample("candles", {
        "ts_ns": [start_ns + k * minute for k in range(6)], "symbol": ["A-B"] * 6, "venue": ["okx"] * 6,
        "open": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "high": [9.0, 2.0, 3.0, 4.0, 5.0, 6.0], "low": [0.5] * 6,
        "close": [2.0, 3.0, 4.0, 5.0, 5.5, 7.0], "ticks": [10] * 6,
    })  # fmt: skip
    running.store.sample("ts_errors", {"ts_ns": [NOW_NS], "component": ["feed"], "no_such_column": [1]})
    assert running.rows("SELECT epoch_ns(ts), venue, mid FROM market_snapshots ORDER BY 1") == [
        (NOW_NS, "okx", 1.25),
        (NOW_NS + 1, None, 2.25),
    ]
    assert running.rows("SELECT epoch_ns(ts), open, high, low, close, ticks FROM candles_5m ORDER BY 1") == [
        (start_ns, 1.0, 9.0, 0.5, 5.5, 50),
        (start_ns + 5 * minute, 6.0, 6.0, 0.5, 7.0, 10),
    ]
    assert running.store.dropped == 1
    assert any("no_such_column" in report for report in running.reports)
    with pytest.raises(ValueError, match="takes no samples"):
        running.store.sample("orders", {"ts_ns": [1]})
    with pytest.raises(ValueError, match="columns of"):
        running.store.sample("candles", {"ts_ns": [1], "open": []})


def test_samples_are_bounded() -> None:
    """When the database cannot follow, the oldest go, counted; what comes back after a failure is the oldest."""
    samples = Samples(rows_max=10)
    for number in range(5):
        samples.put("candles", {"open": [number] * 3})
    assert samples.dropped == 6
    taken = samples.take()
    assert [sample.columns["open"][0] for sample in taken] == [2, 3, 4]
    samples.put("candles", {"open": [9] * 4})
    samples.put_back(taken)
    assert [sample.columns["open"][0] for sample in samples.take()] == [3, 4, 9]
    assert samples.dropped == 9


def test_a_snapshot_is_reused_while_it_is_young(start: Start, ledger: Ledger) -> None:
    """A reader that may be some seconds behind costs no second copy; only the latest copies are kept."""
    filled(ledger)
    store = start().store
    first = store.snapshot(0).result(30)
    assert store.snapshot(60).result(30) == first
    second = store.snapshot(0).result(30)
    assert second.path != first.path
    third = store.snapshot(0).result(30)
    assert [path.exists() for path in (first.path, second.path, third.path)] == [False, True, True]
    assert third.path.stat().st_mode & 0o777 == 0o600
    assert (third.seq, third.lag) == (20, 0)


def test_an_unfinished_snapshot_does_not_stay(
    start: Start, ledger: Ledger, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither one that a kill left nor one for which there was no room."""
    filled(ledger)
    folders.snapshots.mkdir()
    (folders.snapshots / "1-1.duckdb.new").write_bytes(b"x" * 1000)
    running = start()
    snapshot = running.store.snapshot(0).result(30)
    assert list(folders.snapshots.iterdir()) == [snapshot.path]

    def full(*_: object) -> bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", full)
        with pytest.raises(StoreError, match="No space left"):
            running.store.snapshot(0).result(30)
        with pytest.raises(StoreError, match="No space left"):
            running.store.copy_to(folders.snapshots / "own").result(30)
    assert list(folders.snapshots.iterdir()) == [snapshot.path]


def test_a_snapshot_has_what_was_synced_when_it_was_asked_for(
    start: Start, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even when the store had just looked: whoever asks may know of a record that came after that look."""
    asked: list[Any] = []
    reader = type(ledger.follow(0))
    read = reader.read

    def read_then_be_asked(self: Any, limit: int) -> Any:
        records = read(self, limit)
        if not asked:
            ledger.append("some.kind", number=1, schema_ver="1")
            asked.append(running.store.snapshot(0))
        return records

    running = start()
    running.store.snapshot(0).result(30)
    monkeypatch.setattr(reader, "read", read_then_be_asked)
    while not asked:
        running.store.snapshot(0).result(30)
    assert asked[0].result(30).seq == 1


def test_a_closed_store_hands_out_nothing(start: Start) -> None:
    """Whoever asks after the end is told so."""
    store = start().store
    assert store.close()
    with pytest.raises(StoreError, match="closed"):
        store.snapshot(0).result(1)


def test_who_asks_and_goes_harms_nobody(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the file cannot be opened each question costs one more try; a question that was taken back costs nothing,
    and the next one is answered."""
    opened, may_open = [0], threading.Event()

    def refuse(_path: Path) -> Database:
        opened[0] += 1
        may_open.wait(30)
        raise StoreError("not now")

    monkeypatch.setattr("gambit.store.store.Database", refuse)
    monkeypatch.setattr("gambit.store.store.WAIT_S", (3600.0,))
    store = start().store
    assert store.snapshot(0).cancel()
    may_open.set()
    for _ in range(20):
        with pytest.raises(StoreError, match="not now"):
            store.snapshot(0).result(30)
    assert opened[0] <= 22
    assert store.close()


def test_a_stop_does_not_wait_for_ever(
    start: Start, ledger: Ledger, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that is far behind ends in time, says that it is not done, and goes on after the next start."""
    monkeypatch.setattr("gambit.store.store.RECORDS_MAX", 1)
    filled(ledger, 300)
    store = Store(folders, ledger, batch_ns=1, retention={}, now_ns=lambda: NOW_NS, report=print)
    store.start()
    wait_for(lambda: store.applied > 0)
    assert not store.close(timeout_s=0)
    assert 0 < store.applied < 300
    monkeypatch.undo()
    assert seqs(start) == list(range(1, 301))


def damage_header(path: Path) -> None:
    path.write_bytes(b"garbage!" * 512 + path.read_bytes()[4096:])


def damage_blocks(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for at in range(3 * 4096 + 100, len(data), 512):
        data[at] ^= 0xFF
    path.write_bytes(data)


def damage_cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def damage_empty_file(path: Path) -> None:
    path.write_bytes(b"")


def damage_rows(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("DELETE FROM facts WHERE seq = 7")


def damage_cursor(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE store_cursor SET seq = 12")


def damage_hash(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE store_cursor SET hash = 'ab'")


def damage_version(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE store_cursor SET schema_version = 0")


def damage_other_tables(path: Path) -> None:
    path.unlink()
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE theirs (a INTEGER)")


@pytest.mark.parametrize("damage", [
    damage_header, damage_blocks, damage_cut, damage_empty_file, damage_rows, damage_cursor, damage_hash,
    damage_version, damage_other_tables, Path.unlink,
])  # fmt: skip
def test_a_damaged_file_is_put_aside_and_made_again(
    start: Start, ledger: Ledger, folders: Folders, damage: Callable[[Path], None]
) -> None:
    """Whatever is wrong with the file, the store is complete a moment later, says so, and keeps the file."""
    filled(ledger, 400)
    assert len(seqs(start)) == 400
    damage(folders.database)
    filled(ledger, 5)
    running = start()
    wait_for(lambda: running.store.applied == 405)
    assert running.rows("SELECT count(*), min(seq), max(seq), count(DISTINCT seq) FROM facts") == [(405, 1, 405, 405)]
    assert running.store.problem is None
    aside = list(folders.database.parent.glob("gambit.duckdb.damaged-*"))
    if damage not in (Path.unlink, damage_empty_file):
        assert (running.store.rebuilds, len(aside)) == (1, 1)
        assert any("made again from the journal" in report for report in running.reports)


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Until it is so; polls, since the store tells nobody."""
    tick = threading.Event()
    for _ in range(int(seconds / 0.01)):
        if condition():
            return
        tick.wait(0.01)
    raise AssertionError("it never came about")


def test_another_journal_is_another_store(start: Start, ledger: Ledger) -> None:
    """A database of another journal, or of one that has fewer records, is not written into."""
    filled(ledger)
    seqs(start)
    other = filled(Ledger(b"two"), 8)
    running = start(ledger=other)
    wait_for(lambda: running.store.applied == 8)
    assert running.rows("SELECT count(*) FROM facts") == [(8,)]
    assert running.store.rebuilds == 1


def test_a_lost_log_is_noticed(start: Start, ledger: Ledger, folders: Folders) -> None:
    """A database whose last changes were cut off looks sound; the mark beside it tells, and they are written again."""
    filled(ledger, 10)
    seqs(start)
    before = folders.database.read_bytes()
    filled(ledger, 10)
    assert len(seqs(start)) == 20
    folders.database.write_bytes(before)
    running = start()
    assert running.rows("SELECT count(*), max(seq) FROM facts") == [(20, 20)]
    assert any("record 20 was in it, now 10 is the last" in report for report in running.reports)


def test_a_file_deleted_under_the_store_is_made_again(start: Start, ledger: Ledger, folders: Folders) -> None:
    """Deleting the open file is noticed within a second or so."""
    filled(ledger)
    running = start()
    wait_for(lambda: running.store.applied == 20)
    folders.database.unlink()
    wait_for(lambda: running.store.rebuilds == 1 and folders.database.exists() and running.store.problem is None)
    assert running.rows("SELECT count(*) FROM facts") == [(20,)]


def overwrite(path: Path) -> None:
    """Bytes in the middle, without a change of the length."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xff" * 4096)


@pytest.mark.parametrize("damage", [overwrite, damage_cut])
def test_a_file_changed_under_the_store_is_made_again(
    start: Start, ledger: Ledger, folders: Folders, damage: Callable[[Path], None]
) -> None:
    """The open file is nobody else's to write: it is noticed at once, not when a damaged page is read again."""
    filled(ledger)
    running = start()
    wait_for(lambda: running.store.applied == 20)
    running.rows("SELECT 1")  # its copy has everything in the file
    damage(folders.database)
    wait_for(lambda: running.store.rebuilds == 1 and running.store.applied == 20 and running.store.problem is None)
    filled(ledger, 4)
    wait_for(lambda: running.store.applied == 24)
    assert running.rows("SELECT count(*), max(seq) FROM facts") == [(24, 24)]
    assert len(list(folders.database.parent.glob("gambit.duckdb.damaged-*"))) == 1
    assert any("somebody else changed the file" in report for report in running.reports)


def hold(path: Path, is_held: Any, may_go: Any) -> None:
    """Keep the file open in another process."""
    with duckdb.connect(str(path), read_only=True):
        is_held.set()
        may_go.wait(60)


def test_a_locked_file_is_waited_for_and_then_put_aside(
    start: Start, ledger: Ledger, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator who keeps the file open gets to keep it; the store goes on in a new one."""
    monkeypatch.setattr("gambit.store.store.WAIT_S", (0.05,))
    filled(ledger)
    seqs(start)
    context = multiprocessing.get_context("spawn")
    is_held, may_go = context.Event(), context.Event()
    holder = context.Process(target=hold, args=(folders.database, is_held, may_go))
    holder.start()
    try:
        assert is_held.wait(60)
        running = start()
        wait_for(lambda: running.store.applied == 20 and running.store.problem is None)
        assert any("lock" in report for report in running.reports)
        assert len(list(folders.database.parent.glob("gambit.duckdb.locked-*"))) == 1
    finally:
        may_go.set()
        holder.join()


def test_a_full_disk_is_tried_again(start: Start, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused commit loses nothing: the file is opened anew and the same records are written again."""
    monkeypatch.setattr("gambit.store.store.WAIT_S", (0.01,))
    apply = Database.apply
    refusals = iter(range(3))

    def refusing(database: Database, *args: Any) -> None:
        if next(refusals, None) is not None:
            raise duckdb.IOException("Could not write file: No space left on device")
        apply(database, *args)

    def judged(database: Database, *args: Any) -> None:
        with database._judging():
            refusing(database, *args)

    monkeypatch.setattr(Database, "apply", judged)
    filled(ledger)
    running = start()
    running.store.sample("ts_alerts", {"ts_ns": [NOW_NS], "alerts": [1]})
    wait_for(lambda: running.store.applied == 20 and running.store.problem is None)
    assert running.rows("SELECT count(*) FROM facts") == [(20,)]
    assert running.rows("SELECT count(*) FROM ts_alerts") == [(1,)]
    assert ["No space left" in report for report in running.reports] == [True]
    assert running.store.rebuilds == 0


def test_old_days_leave_as_parquet(start: Start, ledger: Ledger, folders: Folders) -> None:
    """What is older than its table is kept is exported by day, then deleted; exporting again doubles nothing."""
    for days in range(5):
        ledger.append("book.lost", ts_ns=NOW_NS - days * DAY_NS, venue="okx", symbol="A-B", reason=str(days))
    running = start({"feed_event": 2})
    wait_for(lambda: running.store.applied == 5)
    assert [r for (r,) in running.rows("SELECT reason FROM feed_event ORDER BY 1")] in (["0", "1", "2"], list("01234"))
    assert running.store.close()
    running = start({"feed_event": 2})
    assert running.rows("SELECT reason FROM feed_event ORDER BY 1") == [("0",), ("1",), ("2",)]
    assert running.store.close()
    folders.database.unlink()
    for _ in range(2):
        running = start({"feed_event": 2})
        wait_for(lambda: running.store.applied == 5)  # noqa: B023
        assert running.store.close()
    exported = duckdb.sql(f"SELECT reason, day FROM '{folders.exports}/feed_event/*/*.parquet' ORDER BY 1").fetchall()
    day = datetime.date.fromisoformat("2026-05-28")
    assert exported == [("3", day - datetime.timedelta(3)), ("4", day - datetime.timedelta(4))]


def old_days(ledger: Ledger, folders: Folders) -> Path:
    """A record of today and one of three days ago; where the latter is exported to."""
    for days in (3, 0):
        ledger.append("book.lost", ts_ns=NOW_NS - days * DAY_NS, venue="okx", symbol="A-B", reason=str(days))
    return folders.exports / "feed_event" / "day=2026-05-25" / "rows.parquet"


def spoil_all(path: Path) -> None:
    path.write_bytes(b"PAR1 and then something else")


def spoil_to_nothing(path: Path) -> None:
    path.write_bytes(b"")


def spoil_end(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def spoil_middle(path: Path) -> None:
    """The end, which is read first, is as it was; what it speaks of is not there."""
    data = path.read_bytes()
    end = 8 + int.from_bytes(data[-8:-4], "little")
    path.write_bytes(b"\xff" * (len(data) - end) + data[-end:])


@pytest.mark.parametrize("spoil", [spoil_all, spoil_to_nothing, spoil_end, spoil_middle])
def test_an_export_that_cannot_be_read_is_kept_beside_the_new_one(
    start: Start, ledger: Ledger, folders: Folders, spoil: Callable[[Path], None]
) -> None:
    """It is no fault of the database, which was put aside for it again and again until the real one was deleted."""
    path = old_days(ledger, folders)
    running = start({"feed_event": 2})
    wait_for(path.exists)
    assert running.store.close()
    spoiled = []
    for name in ("rows.parquet.damaged", "rows.parquet.damaged-2"):
        folders.database.unlink()  # made again, it has the old day once more
        spoil(path)
        spoiled.append(path.read_bytes())
        running = start({"feed_event": 2})
        wait_for(lambda: any("older than 2 days went" in report for report in running.reports))  # noqa: B023
        assert running.store.rebuilds == 1  # for the file that was deleted
        assert sum(f"{path}: cannot be read" in report and name in report for report in running.reports) == 1
        assert running.rows("SELECT reason FROM feed_event") == [("0",)]
        assert running.store.close()
        assert [path.with_name(one).read_bytes() for one in ("rows.parquet.damaged", name)] == [spoiled[0], spoiled[-1]]
        assert duckdb.sql(f"SELECT reason FROM '{path}'").fetchall() == [("3",)]


def test_exports_that_cannot_be_written_hold_up_nobody(start: Start, ledger: Ledger, folders: Folders) -> None:
    """Queries and backups are answered, no row is lost, and the days leave once they can."""
    path = old_days(ledger, folders)
    folders.exports.write_text("no folder")
    running = start({"feed_event": 2})
    wait_for(lambda: any("feed_event: old days stay in the database" in report for report in running.reports))
    assert running.rows("SELECT reason FROM feed_event ORDER BY 1") == [("0",), ("3",)]
    copy = folders.database.with_name("copy")
    assert running.store.copy_to(copy).result(30).path == copy
    assert (running.store.problem, running.store.rebuilds, running.store.openings) == (None, 0, 1)
    assert running.store.close()
    folders.exports.unlink()
    running = start({"feed_event": 2})
    wait_for(lambda: any("older than 2 days went" in report for report in running.reports))
    assert running.rows("SELECT reason FROM feed_event") == [("0",)]
    assert duckdb.sql(f"SELECT reason FROM '{path}'").fetchall() == [("3",)]


def test_an_export_that_fails_is_no_damage_and_the_other_tables_leave(
    start: Start, ledger: Ledger, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever DuckDB says about it; the next round is as far away as after any other."""
    path = old_days(ledger, folders)
    tries = []

    def failing(run: Any, table: str, *args: Any) -> Path:
        if table == "candles":
            tries.append(table)
            raise StoreDamaged("Corruption, it seems")
        return export_day(run, table, *args)

    monkeypatch.setattr("gambit.store.archive.export_day", failing)
    monkeypatch.setattr("gambit.store.store.LOOK_S", 0.0)
    running = start({"feed_event": 5000, "candles": 5000})
    running.store.sample("candles", {"ts_ns": [NOW_NS - 9 * DAY_NS], "symbol": ["A-B"], "venue": ["okx"]})
    assert running.rows("SELECT count(*) FROM candles") == [(1,)]
    assert running.store.close()
    running = start({"feed_event": 2, "candles": 1})
    wait_for(lambda: any("older than 2 days went" in report for report in running.reports))
    for _ in range(3):  # rounds of the thread, each of which would look for old days
        assert running.rows("SELECT count(*) FROM candles") == [(1,)]
    assert "candles: old days stay in the database, nothing of them is deleted: Corruption, it seems" in running.reports
    assert (len(tries), running.store.problem, running.store.rebuilds) == (1, None, 0)
    assert path.exists()


def test_a_mostly_free_file_is_made_smaller(
    start: Start, ledger: Ledger, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deleting gives no space back; a start does, and nothing that is kept is lost."""
    monkeypatch.setattr("gambit.store.compaction.BYTES_MIN", 0)
    filled(ledger, 12)
    running = start()
    chance = np.random.default_rng(1)
    for _ in range(4):
        times, errors = NOW_NS + chance.integers(DAY_NS, size=49_000), chance.integers(1 << 60, size=49_000)
        running.store.sample("ts_errors", {"ts_ns": times, "errors": errors})
    running.rows("SELECT 1")
    assert running.store.close()
    with duckdb.connect(str(folders.database)) as connection:
        connection.execute("DELETE FROM ts_errors")
        connection.execute("CHECKPOINT")
    before = folders.database.stat().st_size
    assert seqs(start) == list(range(1, 13))
    assert folders.database.stat().st_size < before / 2


@pytest.mark.parametrize("why", ["room", "failure"])
def test_a_file_that_cannot_be_made_smaller_is_used_as_it_is(
    start: Start, ledger: Ledger, folders: Folders, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    """It has room inside; what was begun of a smaller one is taken away, for the journal's disk is the same."""
    filled(ledger, 12)
    assert start().store.close()
    fresh = folders.database.with_name(folders.database.name + ".compact")
    fresh.write_bytes(b"of a kill")
    monkeypatch.setattr("gambit.store.compaction.worth_bytes", lambda _path: 1 << (80 if why == "room" else 10))

    def failing(_path: Path, fresh: Path) -> None:
        fresh.write_bytes(b"unfinished")
        raise StoreFull("No space left on device")

    monkeypatch.setattr("gambit.store.compaction._copy", failing)
    ledger.append("fact")
    running = start()
    wait_for(lambda: running.store.applied == 13)
    assert [report.partition("not made smaller: ")[1] != "" for report in running.reports] == [True]
    assert (running.store.problem, fresh.exists()) == (None, False)


def test_a_copy_leaves_the_journal_its_room(
    start: Start, ledger: Ledger, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks is told; the disk is not filled for it, and nothing is wrong with the database."""
    filled(ledger, 12)
    running = start()
    monkeypatch.setattr("gambit.store.room.KEPT", 1 << 80)
    with pytest.raises(StoreError, match="MB stay free for the journal; make room"):
        running.store.snapshot(0).result(30)
    assert (list(folders.snapshots.iterdir()), running.store.problem) == ([], None)
    monkeypatch.setattr("gambit.store.room.KEPT", 0)
    assert running.rows("SELECT count(*) FROM facts") == [(12,)]


def test_what_a_retired_journal_cannot_give_again_is_told(start: Start, ledger: Ledger) -> None:
    """A database that is made again from a journal without its first records lacks their rows."""
    filled(ledger, 12)
    ledger.first_seq = 5
    del ledger.records[:4]
    running = start()
    wait_for(lambda: running.store.applied == 12)
    assert ["made from record 5 on" in report for report in running.reports] == [True]


def test_many_old_days_leave_some_at_a_time(
    start: Start, ledger: Ledger, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many days have to leave, the store goes on following meanwhile."""
    monkeypatch.setattr("gambit.store.archive.DAYS_AT_ONCE", 2)
    monkeypatch.setattr("gambit.store.store.LOOK_S", 0.0)
    for days in range(9, 0, -1):
        ledger.append("book.lost", ts_ns=NOW_NS - days * DAY_NS, venue="okx", symbol="A-B", reason=str(days))
    running = start({"feed_event": 1})
    wait_for(lambda: len(running.reports) == 4)
    assert all("2 rows older than 1 days" in report for report in running.reports)
    assert running.rows("SELECT reason FROM feed_event") == [("1",)]
    exported = duckdb.sql(f"SELECT reason FROM '{folders.exports}/feed_event/*/*.parquet' ORDER BY 1").fetchall()
    assert [int(reason) for (reason,) in exported] == list(range(2, 10))


@pytest.mark.parametrize("table", ["orders", "nonsense", "store_cursor"])
def test_a_retention_that_cannot_be_is_refused(folders: Folders, ledger: Ledger, table: str) -> None:
    """Tables whose rows change later have no day to leave by."""
    with pytest.raises(ValueError, match=rf"store.retention.{table}"):
        Store(folders, ledger, batch_ns=1, retention={table: 3}, now_ns=lambda: 0, report=print)


def test_a_file_that_was_written_often_is_opened_anew(
    start: Start, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB's memory grows by what it writes and goes when it is closed: nothing is lost or doubled by that."""
    monkeypatch.setattr("gambit.store.store.WRITTEN_MAX", 1)
    running = start()
    for number in range(8):
        ledger.append("signal.raised", **signal(number))
        assert running.rows("SELECT count(*) FROM facts") == [(number + 1,)]
    assert running.store.openings >= 4
    assert running.store.rebuilds == 0
    assert running.rows("SELECT count(*) FROM arbitrage_opportunity") == [(8,)]
    assert running.reports == []
