"""SIGKILL at random instants: nothing that was promised is lost, journal and database are whole and agree.

GAMBIT_KILLS sets how often; the campaign of the release is 200.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from gambit.journal import WrittenJournal, places, read_journal
from gambit.journal.segment import read_segment, segments
from gambit.store import Folders, Store
from gambit.store.rebuild import compare, cursor_of, rebuild
from tests.store.conftest import NOW_NS
from tests.store.test_store import wait_for
from tests.store.writing import body

KILLS = int(os.environ.get("GAMBIT_KILLS", "6"))
LIFE_SEC_MAX = 0.5  # from "ready" to the kill; each life writes some thousand records


def life(state_dir: Path, durability: str, live_sec: float) -> tuple[int, int, list[str]]:
    """Run the writer and kill it `live_sec` after it is ready; gives the head it found, the last promise, reports."""
    command = [sys.executable, "-m", "tests.store.writing", str(state_dir), durability]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline().split()
        assert first[:1] == ["ready"], (first, process.stderr.read())
        time.sleep(live_sec)  # the instant of the kill is the point
        process.send_signal(signal.SIGKILL)
        lines = process.stdout.read().splitlines()
        assert process.wait() == -signal.SIGKILL, process.stderr.read()
    promises = [int(line) for line in lines if line.isdigit()]
    return int(first[1]), max(promises, default=0), [line for line in lines if line.startswith("report")]


def position(database: Path) -> int:
    """Up to which record a killed store had come; a life may be too short for a file, or for tables in it."""
    cursor = cursor_of(database) if database.exists() else None
    return cursor.seq if cursor else 0


def settle(state_dir: Path, journal: WrittenJournal, reports: list[str]) -> float:
    """Let a store catch up with what the journal has; gives the seconds it took."""
    folders = Folders(state_dir / "gambit.duckdb", state_dir / "snapshots", state_dir / "exports")
    store = Store(folders, journal, batch_ns=1, retention={}, now_ns=lambda: NOW_NS, report=reports.append)
    begun = time.perf_counter()
    store.start()
    wait_for(lambda: store.lag == 0, seconds=120)
    settled_s = time.perf_counter() - begun
    assert store.close()
    return settled_s


@pytest.mark.timeout(300 + 20 * KILLS)
@pytest.mark.parametrize("durability", ["process", "power"])
def test_nothing_promised_is_lost(tmp_path: Path, durability: str) -> None:
    """Over all lives: each finds at least what the one before promised; at the end every record is as it was made, the
    chain holds, and the database equals one made from the journal alone."""
    chance = random.Random()
    promised, opened_s, reports = 0, [], []
    for _ in range((KILLS + 1) // 2):
        begun = time.perf_counter()
        found, last, told = life(tmp_path, durability, chance.random() * LIFE_SEC_MAX)
        opened_s.append(time.perf_counter() - begun)
        assert found >= promised
        promised = max(promised, last, found)
        reports += told
    at = places(tmp_path)
    journal = read_journal(at)
    assert journal is not None
    killed_at = position(tmp_path / "gambit.duckdb")
    settled_s = settle(tmp_path, journal, reports)
    assert journal.synced >= promised
    for record in (record for segment in segments(at.folder) for record in read_segment(segment)):
        assert record.kind == "journal.checkpoint" or (record.kind, record.body) == body(record.seq)
    cursor = cursor_of(tmp_path / "gambit.duckdb")
    assert cursor is not None
    assert (cursor.journal_id, cursor.seq) == (journal.proof.journal_id, journal.synced)
    rebuild(journal, tmp_path / "rebuilt.duckdb", cursor.seq, lambda _done, _total: None)
    found_rows = compare(tmp_path / "gambit.duckdb", tmp_path / "rebuilt.duckdb", {})
    assert [one for one in found_rows if one.only_there or one.only_rebuilt] == []
    with duckdb.connect(str(tmp_path / "rebuilt.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT count(*), count(DISTINCT seq) FROM facts").fetchone() == (cursor.seq,) * 2
    assert reports == []
    opened_s.sort()
    print(
        f"{durability}: {len(opened_s)} kills, {journal.synced} records in {journal.proof.segments} segments, "
        f"{promised} promised; the last kill left the database at {killed_at}, {settled_s:.2f} s later it was equal; "
        f"a life from start to death p50 {opened_s[len(opened_s) // 2]:.2f} s, max {opened_s[-1]:.2f} s"
    )
