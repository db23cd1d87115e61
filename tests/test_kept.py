"""The commands on what the daemon kept: query, export, verify, rebuild, backup, restore, dlq."""

import asyncio
import errno
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click.testing
import duckdb
import orjson
import pytest

from gambit.cli import users
from gambit.cli.ledger import put_in_place
from gambit.cli.program import gambit
from gambit.config import load_layers
from gambit.events import DeadLettered, DeadLettersPurged, written
from gambit.journal import JournalError
from gambit.journal.head import encode_head, read_head
from gambit.journal.segment import segments
from gambit.runtime.backup import restore_backup
from gambit.runtime.keeping import Keeping, open_keeping
from gambit.runtime.lives import next_epoch
from gambit.runtime.process import InstanceLock
from gambit.runtime.trading import TradingSwitch
from gambit.store.reading import limited
from gambit.surface.control import ControlServer
from gambit.surface.methods import bind
from gambit.surface.views import Requeued
from tests.store.conftest import NOW_NS, signal

RECORDS = 60


class Ran:
    """How a command ended."""

    def __init__(self, state_dir: Path, *words: object) -> None:
        arguments = [*map(str, words), "--set", f"daemon.state_dir={state_dir}"]
        result = click.testing.CliRunner().invoke(gambit, arguments, standalone_mode=False)
        self.error = result.exception
        shown = isinstance(self.error, click.ClickException)
        assert self.error is None or shown or isinstance(self.error, SystemExit), result.exc_info
        self.text = result.stdout + (
            self.error.format_message() if isinstance(self.error, click.ClickException) else ""
        )
        self.bytes = result.stdout_bytes
        code = self.error.exit_code if isinstance(self.error, click.ClickException) else result.return_value
        self.code = code or 0

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def records_at(state_dir: Path) -> int:
    """How many records there are: a clean stop signs one more checkpoint."""
    return RECORDS if (state_dir / "gambit.sock").exists() else RECORDS + 1


class Noon:
    """A clock that stands still at the time of the records."""

    def now_ns(self) -> int:
        return NOW_NS

    def mono_ns(self) -> int:
        return 0


def keeping_at(state_dir: Path, report: Callable[[str], None] = lambda _what: None) -> Keeping:
    """Journal and store of a state directory, open."""
    config = load_layers(None, {}, [f"daemon.state_dir={state_dir}", "store.batch_ms=1"]).config
    return open_keeping(config, Noon(), report)


async def fill(keeping: Keeping) -> None:
    """Records of the kinds that the commands show."""
    journal = keeping.journal
    for number in range(RECORDS - 4):
        journal.append("signal.raised", orjson.dumps(signal(number)), NOW_NS)
    journal.checkpoint("state", NOW_NS)
    for letter_id, raw in ((1, b"\x00\xff{"), (2, b'{"a":1}')):
        letter = DeadLettered(
            letter_id=letter_id, topic="market.normalized", venue="okx", conn="okx-1", reason="bad price",
            recv_ns=NOW_NS, raw=raw,
        )  # fmt: skip
        journal.append(*written(letter), NOW_NS)
    journal.append(*written(DeadLettersPurged(letter_ids=(1,), by="root")), NOW_NS)
    await journal.until_synced(journal.head)
    keeping.store.sample("candles", {"ts_ns": [NOW_NS], "symbol": ["A-B"], "venue": ["okx"], "close": [1.5]})


@pytest.fixture
def at_rest(tmp_path: Path) -> Path:
    """A state directory whose daemon ended in good order."""
    state_dir = tmp_path / "state"

    async def run() -> None:
        keeping = keeping_at(state_dir)
        await fill(keeping)
        assert await keeping.close()

    asyncio.run(run())
    return state_dir


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Path]:
    """A state directory with journal, store and control socket at work in this process."""
    state_dir = tmp_path / "state"
    is_up, may_go = threading.Event(), threading.Event()

    state_dir.mkdir(mode=0o700)

    async def serve() -> None:
        keeping = keeping_at(state_dir)
        await fill(keeping)
        server = ControlServer(state_dir / "gambit.sock", bind({
            "snapshot": lambda params, _caller: keeping.snapshot(params.max_age_sec),
            "backup": lambda params, _caller: keeping.backup(Path(params.path)),
            "dlq.requeue": lambda params, _caller: Requeued(done=params.letter_ids, failed={9: "it is purged"}),
            "dlq.purge": lambda params, _caller: Requeued(done=params.letter_ids),
        }))  # fmt: skip
        await server.start()
        is_up.set()
        await asyncio.to_thread(may_go.wait)
        await server.close()
        assert await keeping.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert is_up.wait(30)
    yield state_dir
    may_go.set()
    thread.join()


@pytest.fixture(params=["at_rest", "running"])
def state_dir(request: pytest.FixtureRequest) -> Path:
    """Both: every reading command works either way."""
    found: Path = request.getfixturevalue(request.param)
    return found


def test_query_answers(state_dir: Path) -> None:
    """Rows as a table, as CSV and as JSON lines; decimals and times as text, nothing lost."""
    sql = "SELECT count(*) AS n, max(qty) AS qty, NULL AS none, '\\xFF'::BLOB AS raw FROM arbitrage_opportunity"
    assert Ran(state_dir, "query", sql, "--max-age", "0s", "--json").json == {
        "n": RECORDS - 4, "qty": "0.100000000000000001", "none": None, "raw": "ff",
    }  # fmt: skip
    assert Ran(state_dir, "query", sql, "--csv").text == f"n,qty,none,raw\n{RECORDS - 4},0.100000000000000001,,ff\n"
    assert Ran(state_dir, "query", sql).text.split() == [
        "n", "qty", "none", "raw", str(RECORDS - 4), "0.100000000000000001", "ff",
    ]  # fmt: skip


@pytest.mark.parametrize(("sql", "what"), [
    ("SELECT nonsense", "nonsense"),
    ("SELECT * FROM '/etc/passwd'", ""),
    ("SELECT * FROM read_csv('/etc/passwd')", "disabled"),
    ("DELETE FROM facts", "read-only"),
    ("COPY facts TO '/tmp/stolen.csv'", "disabled"),
    ("ATTACH '/tmp/other.duckdb'", "disabled"),
    ("SET enable_external_access = true", "locked"),
    ("INSTALL httpfs", "disabled"),
])  # fmt: skip
def test_query_can_do_nothing_but_read(at_rest: Path, sql: str, what: str) -> None:
    """What is not reading the store fails with what DuckDB says about it."""
    ran = Ran(at_rest, "query", sql)
    assert ran.code == 1
    assert what in ran.text
    assert not Path("/tmp/stolen.csv").exists()


def test_query_is_limited(at_rest: Path) -> None:
    """Time and memory end a query, not the machine."""
    endless = "SELECT count(*) FROM range(1000000000000) a, range(1000) b WHERE a.range % 7 = b.range"
    ran = Ran(at_rest, "query", endless, "--timeout", "0.2")
    assert (ran.code, "stopped after 0.2 s" in ran.text) == (1, True)
    ran = Ran(at_rest, "query", "SELECT list(range) FROM range(100000000)", "--memory", "16")
    assert (ran.code, "emory" in ran.text) == (1, True)
    assert "no duration" in Ran(at_rest, "query", "SELECT 1", "--max-age", "soon").text


def test_a_limit_leaves_no_thread_behind() -> None:
    """What waits to interrupt is gone with the query: a thread that is left while the interpreter ends can abort it."""
    for _ in range(200):
        with duckdb.connect() as connection, limited(connection, 60.0):
            connection.execute("SELECT 1")
        assert not [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("",), "SQL holds no statement"),
        ((";", "--json"), "SQL holds no statement"),
        (("/* nothing */", "--csv"), "SQL holds no statement"),
        (("SELECT '\udcff'",), "it is not UTF-8 text"),
        (("SELECT 1", "--timeout", "nan"), "nan is no number"),
        (("SELECT 1", "--timeout", "inf"), "inf is not in the range"),
        (("SELECT 1", "--memory", "99999999999"), "is not in the range"),
        (("SELECT 1", "--max-age", "inf"), "is no duration"),
    ],
)
def test_what_is_no_query_is_a_usage_error(at_rest: Path, words: tuple[str, ...], what: str) -> None:
    """One line that says what is wrong; nothing runs, least of all without its limits."""
    ran = Ran(at_rest, "query", *words)
    assert ran.code == 2
    assert what in ran.text


def test_query_json_is_json(at_rest: Path) -> None:
    """No number that JSON does not know, and no column lost to another of its name."""
    sql = "SELECT 'nan'::double AS a, '-inf'::float AS a, [1.5, 'inf'::double] AS a_2, 2 AS a"
    told = json.loads(Ran(at_rest, "query", sql, "--json").text, parse_constant=pytest.fail)
    assert told == {"a": "nan", "a_2": "-inf", "a_2_2": [1.5, "inf"], "a_3": 2}


def test_query_reads_exported_days(at_rest: Path) -> None:
    """Days that have left the database are a view beside its table."""
    exported = Ran(at_rest, "export", "--table", "arbitrage_opportunity", "-o", at_rest / "exports")
    assert exported.text.split() == [f"{at_rest}/exports/arbitrage_opportunity/day=2026-05-28/rows.parquet"]
    ran = Ran(at_rest, "query", "SELECT count(*) AS n FROM arbitrage_opportunity_archive", "--json")
    assert ran.json == {"n": RECORDS - 4}


@pytest.mark.parametrize("table", ["candles", "market_snapshots"])
def test_an_export_that_cannot_be_read_refuses_its_own_queries_only(at_rest: Path, table: str) -> None:
    """All queries were refused for one file that most of them do not read. Of the tables one is empty."""
    path = at_rest / "exports" / table / "day=2026-05-28" / "rows.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"it's no Parquet")
    assert Ran(at_rest, "query", "SELECT close FROM candles", "--json").json == {"close": 1.5}
    for asked in ("*", "1", "count(*)", "max(ts)"):
        ran = Ran(at_rest, "query", f"SELECT {asked} FROM {table}_archive")
        assert ran.code == 1, asked
        assert f"the exported days of {table} cannot be read" in ran.text
        assert str(path) in ran.text


@pytest.mark.parametrize("day", ["", "2026-13-45", "2026-02-30T00:00:00Z", "yesterday"])
def test_export_since_a_day_that_is_none(at_rest: Path, tmp_path: Path, day: str) -> None:
    """It is refused; it was compared as text, and nothing or too much was exported without a word."""
    ran = Ran(at_rest, "export", "--table", "arbitrage_opportunity", "--since", day, "-o", tmp_path / "out")
    assert ran.code == 2
    assert "is no day such as 2026-05-28" in ran.text


def test_export_writes_days(state_dir: Path, tmp_path: Path) -> None:
    """Twice gives the same; a day before `--since` is left out; a table that is none is named."""
    for _ in range(2):
        assert Ran(state_dir, "export", "--table", "candles", "-o", tmp_path / "out").code == 0
    assert duckdb.sql(f"SELECT close FROM '{tmp_path}/out/candles/*/*.parquet'").fetchall() == [(1.5,)]
    ran = Ran(state_dir, "export", "--table", "candles", "--since", "2026-05-29", "-o", tmp_path / "later")
    assert (ran.code, ran.text) == (0, "")
    assert "no table nonsense" in Ran(state_dir, "export", "--table", "nonsense", "-o", tmp_path / "out").text
    assert "no day" in Ran(state_dir, "export", "--table", "candles", "--since", "May", "-o", tmp_path / "out").text


def test_export_tells_of_an_old_file_that_cannot_be_read(at_rest: Path, tmp_path: Path) -> None:
    """It stays beside the new one."""
    for _ in range(2):
        ran = Ran(at_rest, "export", "--table", "candles", "-o", tmp_path / "out")
        assert ran.code == 0
        path = Path(ran.text.strip())
        assert duckdb.sql(f"SELECT close FROM '{path}'").fetchall() == [(1.5,)]
        path.write_bytes(b"spoiled")
    assert path.with_name("rows.parquet.damaged").read_bytes() == b"spoiled"


def test_verify_proves(state_dir: Path) -> None:
    """It says what it proved, for people and for programs."""
    found = Ran(state_dir, "verify", "--json").json
    assert (found["first_seq"], found["last_seq"], found["checkpoints"], found["torn_bytes"]) == (
        1, records_at(state_dir), records_at(state_dir) - RECORDS + 1, 0,
    )  # fmt: skip
    assert f"whole: records 1 to {records_at(state_dir)} in 1 segments" in Ran(state_dir, "verify").text


def test_verify_names_what_is_wrong(at_rest: Path) -> None:
    """A flipped byte: exit code 1, the file, the offset, the record."""
    (segment,) = segments(at_rest / "journal")
    data = bytearray(segment.path.read_bytes())
    data[len(data) // 2] ^= 1
    segment.path.write_bytes(data)
    ran = Ran(at_rest, "verify")
    assert ran.code == 1
    assert str(segment.path) in ran.text
    assert "its hash does not match its bytes" in ran.text
    assert "there is no journal yet" in Ran(at_rest / "elsewhere", "verify").text


def test_rebuild_agrees(state_dir: Path) -> None:
    """The database made from the journal alone has the same rows."""
    ran = Ran(state_dir, "rebuild")
    assert (ran.code, "all rows agree" in ran.text) == (0, True)
    rows = {one["table"]: one["rows"] for one in Ran(state_dir, "rebuild", "--json").json}
    assert (rows["facts"], rows["arbitrage_opportunity"], rows["dead_letters"]) == (
        records_at(state_dir), RECORDS - 4, 2,
    )  # fmt: skip


def test_rebuild_finds_and_mends(at_rest: Path) -> None:
    """A changed row and a missing one are counted and named; --replace mends both and keeps the samples."""
    with duckdb.connect(str(at_rest / "gambit.duckdb")) as connection:
        connection.execute("UPDATE arbitrage_opportunity SET qty = 1 WHERE seq = 7")
        connection.execute("DELETE FROM dead_letters WHERE letter_id = 2")
    ran = Ran(at_rest, "rebuild", "--json")
    wrong = {one["table"]: one for one in ran.json if one["only_there"] or one["only_rebuilt"]}
    assert ran.code == 1
    assert wrong.keys() == {"arbitrage_opportunity", "dead_letters"}
    assert (wrong["arbitrage_opportunity"]["only_there"], wrong["arbitrage_opportunity"]["first_seq"]) == (1, 7)
    assert "2 tables differ" in Ran(at_rest, "rebuild").text
    assert f"made again from {RECORDS + 1} records" in Ran(at_rest, "rebuild", "--replace").text
    assert "all rows agree" in Ran(at_rest, "rebuild").text
    assert Ran(at_rest, "query", "SELECT close FROM candles", "--json").json == {"close": 1.5}


def test_rebuild_replaces_a_database_on_another_disk(
    at_rest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No rename leads from one disk to another; the old database was moved aside, and nothing came in its place."""
    database = tmp_path / "disk" / "kept.duckdb"
    database.parent.mkdir()
    (at_rest / "gambit.duckdb").rename(database)
    replace = Path.replace

    def within_a_disk(path: Path, target: Path) -> Path:
        if (at_rest in path.parents) != (at_rest in target.parents):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(path), None, str(target))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", within_a_disk)
    there = ("--set", f"store.path={database}")
    assert f"made again from {RECORDS + 1} records" in Ran(at_rest, "rebuild", "--replace", *there).text
    assert Ran(at_rest, "query", "SELECT close FROM candles", "--json", *there).json == {"close": 1.5}
    assert [path.name.partition("-")[0] for path in sorted(database.parent.iterdir())] == [
        "kept.duckdb", "kept.duckdb.replaced",
    ]  # fmt: skip


def test_a_database_that_cannot_be_replaced_stays(tmp_path: Path) -> None:
    """With its log, which has its last changes."""
    database = tmp_path / "gambit.duckdb"
    files = {database.with_name(database.name + ending): ending.encode() for ending in ("", ".wal", ".mark")}
    for path, data in files.items():
        path.write_bytes(data)
    with pytest.raises(FileNotFoundError):
        put_in_place(tmp_path / "nothing", database)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == files


def test_a_database_without_tables_is_told_and_backed_up(at_rest: Path, tmp_path: Path) -> None:
    """What a kill in the first moments leaves: nothing to compare, a backup that comes back, and a rebuild mends it."""
    (at_rest / "gambit.duckdb").unlink()
    duckdb.connect(str(at_rest / "gambit.duckdb")).close()
    assert "no table in it yet" in Ran(at_rest, "rebuild").text
    assert Ran(at_rest, "backup", "-o", tmp_path / "backup").code == 0
    assert "database up to record 0" in Ran(tmp_path / "back", "restore", tmp_path / "backup").text
    assert Ran(at_rest, "rebuild", "--replace").code == 0
    assert "all rows agree" in Ran(at_rest, "rebuild").text


def test_rebuild_replaces_nothing_under_a_daemon(running: Path) -> None:
    """The daemon's own database is not swapped under it."""
    ran = Ran(running, "rebuild", "--replace")
    assert (ran.code, "stop the daemon first" in ran.text) == (1, True)


def test_backup_and_restore(state_dir: Path, tmp_path: Path) -> None:
    """What comes back is what went in, proved; nothing that is there is overwritten."""
    file = tmp_path / "backup"
    assert Ran(state_dir, "backup", "-o", file).code == 0
    assert file.stat().st_mode & 0o777 == 0o600
    assert "exists already" in Ran(state_dir, "backup", "-o", file).text
    back = tmp_path / "back"
    assert f"journal whole up to record {records_at(state_dir)}" in Ran(back, "restore", file).text
    assert "a restore replaces nothing" in Ran(back, "restore", file).text
    assert f"records 1 to {records_at(state_dir)}" in Ran(back, "verify").text
    assert "all rows agree" in Ran(back, "rebuild").text

    async def reopened() -> int:
        keeping = keeping_at(back)
        assert await keeping.close()
        return keeping.store.applied

    assert asyncio.run(reopened()) == records_at(state_dir) + 1


def test_what_a_kill_leaves_of_a_backup_goes_with_the_next(
    state_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it is whole, all of it lies in folders of a name that says so."""
    file = tmp_path / "to" / "backup"
    left = file.parent / ".backup-dead"
    left.mkdir(parents=True)
    (left / "gambit.duckdb").write_bytes(b"x" * 1000)
    link, unfinished = os.link, []

    def linked(source: Path, target: Path) -> None:
        unfinished.extend(path.name for path in file.parent.iterdir())
        link(source, target)

    monkeypatch.setattr(os, "link", linked)
    assert Ran(state_dir, "backup", "-o", file).code == 0
    assert unfinished
    assert all(name.startswith(".backup-") for name in unfinished)
    assert left.name not in unfinished
    assert list(file.parent.iterdir()) == [file]


def test_of_two_restores_at_once_one_is_refused(at_rest: Path, tmp_path: Path) -> None:
    """Both said that all was well, and what they had put in place was one inside the other."""
    file, back = tmp_path / "backup", tmp_path / "back"
    assert Ran(at_rest, "backup", "-o", file).code == 0
    back.mkdir(mode=0o700)
    other = InstanceLock(back)
    other.acquire()
    ran = Ran(back, "restore", file)
    other.release()
    assert (ran.code, "works there, a daemon or another restore; nothing was put in place" in ran.text) == (1, True)
    assert [each.name for each in back.iterdir()] == ["gambit.lock"]
    assert Ran(back, "restore", file).code == 0


def test_after_a_restore_nobody_trades_on_what_was_lost(at_rest: Path, tmp_path: Path) -> None:
    """Whatever the state was in the backup: halted until somebody resumes, and no id of a lost life comes again."""
    file, back = tmp_path / "backup", tmp_path / "back"
    assert Ran(at_rest, "backup", "-o", file).code == 0
    assert TradingSwitch(back, Noon().now_ns, lambda _fact: None).state == "ACTIVE"
    assert "trading is HALTED until `gambit resume`" in Ran(back, "restore", file).text
    switch = TradingSwitch(back, Noon().now_ns, lambda _fact: None)
    assert (switch.state, switch.kept.by) == ("HALTED", "gambit restore")
    assert "restored from backup" in switch.kept.reason
    assert next_epoch(back, 6) > 300_000


def test_a_restore_keeps_the_reason_of_a_halt(at_rest: Path, tmp_path: Path) -> None:
    """The state's file is in no backup, and stays when it says HALTED."""
    file, back = tmp_path / "backup", tmp_path / "back"
    assert Ran(at_rest, "backup", "-o", file).code == 0
    back.mkdir(mode=0o700)
    TradingSwitch(back, Noon().now_ns, lambda _fact: None).change("HALTED", "daily loss", "desk")
    assert Ran(back, "restore", file).code == 0
    assert TradingSwitch(back, Noon().now_ns, lambda _fact: None).kept.reason == "daily loss"


def test_a_copy_of_the_head_that_knows_more_is_in_the_way_of_a_restore(at_rest: Path, tmp_path: Path) -> None:
    """Else the restore would be well, and the start would ask for a restore."""
    file, back, copy = tmp_path / "backup", tmp_path / "back", tmp_path / "elsewhere" / "head"
    assert Ran(at_rest, "backup", "-o", file).code == 0
    words = ("restore", file, "--set", f"journal.head_copy={copy}")
    copy.parent.mkdir()
    own = read_head(at_rest / "journal.head")
    assert own is not None
    for stranger in (own._replace(seq=own.seq + 1), own._replace(journal_id=bytes(16))):
        copy.write_bytes(encode_head(stranger))
        ran = Ran(back, *words)
        assert (ran.code, f"move {copy} away first" in ran.text) == (1, True)
        assert [each.name for each in back.iterdir()] == ["gambit.lock"]
    copy.write_bytes(b"nonsense")
    assert str(copy) in Ran(back, *words).text
    copy.write_bytes(encode_head(own))
    assert Ran(back, *words).code == 0


def test_a_backup_that_only_the_daemon_can_see_is_no_backup(
    running: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under systemd its /tmp is another one."""
    monkeypatch.setattr("gambit.surface.client.call", lambda *_args: {})
    ran = Ran(running, "backup", "-o", tmp_path / "backup")
    assert (ran.code, "it is not to be seen here" in ran.text) == (1, True)
    assert str(running) in ran.text


async def retiring(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is told where an old segment cannot be deleted, while retiring goes on."""
    told: list[str] = []
    is_told = asyncio.Event()

    def report(what: str) -> None:
        told.append(what)
        is_told.set()

    def refusing(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted", "/old.journal")

    keeping = keeping_at(state_dir, report)
    monkeypatch.setattr(keeping.journal, "retire", refusing)
    task = asyncio.create_task(keeping.retire_on())
    either: set[asyncio.Task[Any]] = {task, asyncio.create_task(is_told.wait())}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    assert not task.done()
    task.cancel()
    await asyncio.wait({task})
    assert await keeping.close()
    return told


def test_a_segment_that_cannot_be_deleted_stays(at_rest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told; a task that ended for it would have halted trading."""
    (told,) = asyncio.run(retiring(at_rest, monkeypatch))
    assert "an old segment of the journal stays" in told
    assert "/old.journal" in told


def test_a_lost_key_is_told(at_rest: Path) -> None:
    """Another is made, and what the first one signed is still proved."""
    (at_rest / "journal.key").unlink()
    told: list[str] = []

    async def run() -> None:
        assert await keeping_at(at_rest, told.append).close()

    asyncio.run(run())
    assert "another is made, and signs from now on" in told[0]
    asyncio.run(run())
    assert len(told) == 1
    assert Ran(at_rest, "verify", "--json").json["checkpoints"] == 4  # of two lives before, and of two after


IN_A_BACKUP = ("journal.head", "journal.key", "journal.pub", "desk", "exports", "gambit.duckdb", "journal")


@pytest.mark.parametrize("names", [(one,) for one in (*IN_A_BACKUP, "gambit.duckdb.wal")] + [IN_A_BACKUP])
def test_a_restore_names_all_that_is_in_its_way(at_rest: Path, tmp_path: Path, names: tuple[str, ...]) -> None:
    """Snapshots of the desk that stayed were no part of what came back, and the next start was refused."""
    file, back = tmp_path / "backup", tmp_path / "back"
    assert Ran(at_rest, "backup", "-o", file).code == 0
    back.mkdir(mode=0o700)
    for name in names:
        (back / name).mkdir() if name in ("desk", "exports", "journal") else (back / name).touch()
    ran = Ran(back, "restore", file)
    assert (ran.code, "a restore replaces nothing" in ran.text) == (1, True)
    assert ran.text.partition(": exist")[0] == ", ".join(str(back / name) for name in names)
    assert {each.name for each in back.iterdir()} == {"gambit.lock", *names}
    for name in names:
        (back / name).rename(tmp_path / name)
    assert Ran(back, "restore", file).code == 0


def test_a_restore_that_is_cut_short_starts_nothing(
    at_rest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it ends: what is in place by then is not taken for a desk without a past."""
    file, put, is_whole = tmp_path / "backup", shutil.move, False
    assert Ran(at_rest, "backup", "-o", file).code == 0
    for moves in range(1, 9):
        back, left = tmp_path / f"back-{moves}", iter(range(moves))

        def move(found: Path, target: Path, left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise OSError("it ends here")
            put(found, target)

        with monkeypatch.context() as patch:
            patch.setattr(shutil, "move", move)
            try:
                restore_backup(file, back, back / "gambit.duckdb", NOW_NS)
            except OSError:
                assert not is_whole
            else:
                is_whole = True
                continue
        with pytest.raises(JournalError):
            keeping_at(back)
    assert is_whole
    assert "all rows agree" in Ran(back, "rebuild").text


def test_who_changes_users_waits_for_who_does_already(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that no daemon holds is let go of in a moment: no word of a daemon that does not run."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    other = InstanceLock(state)
    other.acquire()
    monkeypatch.setattr(users, "PATIENCE_SEC", 0.0)
    ran = Ran(state, "user", "list")
    assert (ran.code, "works there, a daemon that starts or another command; try again" in ran.text) == (3, True)
    held = threading.Timer(0.2, other.release)
    held.start()
    monkeypatch.setattr(users, "PATIENCE_SEC", 60.0)
    assert "no users" in Ran(state, "user", "list").text
    held.join()


def test_a_spoiled_backup_restores_nothing(at_rest: Path, tmp_path: Path) -> None:
    """Cut off, flipped or something else altogether: a clear error, and the state directory stays empty."""
    file = tmp_path / "backup"
    assert Ran(at_rest, "backup", "-o", file).code == 0
    whole = file.read_bytes()
    for spoiled in (b"", whole[: len(whole) // 2], whole[:-3], b"what is this?" * 100, *flipped(whole)):
        file.write_bytes(spoiled)
        ran = Ran(tmp_path / "back", "restore", file)
        assert ran.code == 1, len(spoiled)
        assert str(file) in ran.text
        assert [each.name for each in (tmp_path / "back").iterdir()] == ["gambit.lock"]


def flipped(data: bytes) -> Iterator[bytes]:
    """With one byte another, at a few places."""
    for at in range(20, len(data), len(data) // 5):
        changed = bytearray(data)
        changed[at] ^= 0x55
        yield bytes(changed)


def test_dead_letters_are_listed_and_shown(state_dir: Path) -> None:
    """Those that were not purged, with every byte; a purged one can still be looked at."""
    listed = Ran(state_dir, "dlq", "list", "--json").json
    assert [(one["letter_id"], one["reason"], one["bytes"]) for one in listed] == [(2, "bad price", 7)]
    assert "bad price" in Ran(state_dir, "dlq", "list").text
    assert Ran(state_dir, "dlq", "list", "--venue", "kraken").text == "no dead letters\n"
    assert '{"a":1}' in Ran(state_dir, "dlq", "show", 2).text
    assert Ran(state_dir, "dlq", "show", 1, "--json").json["purged_by"] == "root"
    assert Ran(state_dir, "dlq", "show", 1, "--raw").bytes == b"\x00\xff{"
    assert "no dead letter 77" in Ran(state_dir, "dlq", "show", 77).text


def test_dead_letters_are_the_daemons(running: Path) -> None:
    """Requeue and purge go through the control socket; what could not be done is said."""
    assert Ran(running, "dlq", "purge", 2).text == "1 dead letters purged\n"
    ran = Ran(running, "dlq", "requeue", 2, 9, "--json")
    assert (ran.code, ran.json) == (1, {"done": [2, 9], "failed": {"9": "it is purged"}})
    assert "--all" in Ran(running, "dlq", "purge").text


def test_without_a_daemon_there_is_nobody_to_ask(at_rest: Path) -> None:
    """Exit code 3, as everywhere."""
    assert Ran(at_rest, "dlq", "requeue", "--all").code == 3


def test_nothing_was_kept_yet(tmp_path: Path) -> None:
    """Every command says so instead of making something up."""
    for words in (
        ["query", "SELECT 1"],
        ["verify"],
        ["dlq", "list"],
        ["rebuild"],
        ["export", "--table", "facts", "-o", tmp_path],
    ):
        ran = Ran(tmp_path / "none", *words)
        assert (ran.code, "there is no" in ran.text) == (1, True), words
    assert "nothing to back up" in Ran(tmp_path / "none", "backup", "-o", tmp_path / "b").text
