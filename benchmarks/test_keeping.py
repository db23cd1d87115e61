"""Journal and store: what waiting for the disk costs beside the bare system calls of the same run; how much fits."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from benchmarks.report import Report
from benchmarks.timing import Effort, figures
from gambit.journal import Journal, Places, Policy, open_journal, places, verify
from gambit.store import Folders, Store
from gambit.store.database import Database
from gambit.store.rebuild import rebuild
from tests.store.conftest import NOW_NS, Ledger, signal

BODY = b'{"text":"%s"}' % (b"x" * 289)  # 300 bytes, an order's fact
WAITS = "from append to the promise, beside the bare calls in the same run, us"
WAITS_HEAD = ("durability", "what", "p50", "p99")
RATES = "journal and store"
RATES_HEAD = ("what", "unit", "found")
PAUSE_SEC = 0.001  # between two appends: the loop is asleep when the next one comes


def records_of(much: Effort) -> int:
    """How many records are written."""
    return 200_000 if much.name == "full" else 20_000


@pytest.mark.benchmark(group="keeping")
@pytest.mark.parametrize("durability", ["process", "power"])
def test_waiting(benchmark: Any, report: Report, much: Effort, tmp_path: Path, durability: str) -> None:
    """From append until the record survives what it has to, one at a time, in turns with the bare calls."""
    found: dict[str, list[int]] = {}
    uvloop = pytest.importorskip("uvloop")

    async def run() -> None:
        journal = open_journal(places(tmp_path), Policy(durability), 0)
        descriptor = os.open(tmp_path / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

        async def timed(what: str, do: Callable[[], Awaitable[None]]) -> None:
            await asyncio.sleep(PAUSE_SEC)
            begun = time.perf_counter_ns()
            await do()
            found.setdefault(what, []).append(time.perf_counter_ns() - begun)

        async def bare() -> None:
            os.write(descriptor, BODY)
            if durability == "power":
                os.fdatasync(descriptor)

        async def appended() -> None:
            seq = journal.append("fact", BODY, 0)
            await (journal.until_written if durability == "process" else journal.until_synced)(seq)

        async def on_the_spot() -> None:
            seq = journal.append_now("fact", BODY, 0)
            await (journal.until_written if durability == "process" else journal.until_synced)(seq)

        for _ in range(3000 if much.name == "full" else 300):
            await timed("write(2)" if durability == "process" else "write(2), fdatasync(2)", bare)
            await timed("append", appended)
            await timed("append_now", on_the_spot)
        os.close(descriptor)
        await journal.close()

    benchmark.pedantic(lambda: uvloop.run(run()), rounds=1)
    for what, times in found.items():
        one = figures(times)
        report.add(WAITS, WAITS_HEAD, (durability, what, one.p50 / 1000, one.p99 / 1000))


async def filled(at: Places, count: int) -> tuple[Journal, float, float]:
    """A journal with so many records; seconds the loop spent appending, and until all were synced."""
    journal = open_journal(at, Policy(), 0)
    begun, spent = time.perf_counter(), 0.0
    for start in range(0, count, 1000):
        before = time.perf_counter()
        for _ in range(min(1000, count - start)):
            journal.append("fact", BODY, NOW_NS)
        spent += time.perf_counter() - before
        await journal.until_written(journal.head)
    await journal.until_synced(journal.head)
    return journal, spent, time.perf_counter() - begun


@pytest.mark.benchmark(group="keeping")
def test_journal_rates(benchmark: Any, report: Report, much: Effort, tmp_path: Path) -> None:
    """Records a second into the journal, megabytes a second through both proofs, seconds to open."""
    count, at = records_of(much), places(tmp_path)

    async def run() -> tuple[float, float]:
        journal, spent, whole = await filled(at, count)
        await journal.close()
        return spent, whole

    spent, whole = benchmark.pedantic(lambda: asyncio.run(run()), rounds=1)
    begun = time.perf_counter()
    proof = verify(at)
    verify_s = time.perf_counter() - begun
    assert proof is not None
    assert proof.last_seq == count

    async def reopen() -> float:
        before = time.perf_counter()
        journal = open_journal(at, Policy(), 0)
        opened_s = time.perf_counter() - before
        await journal.close()
        return opened_s

    opened_s = asyncio.run(reopen())
    report.add(RATES, RATES_HEAD, ("records written and synced", "1/s", count / whole))
    report.add(RATES, RATES_HEAD, ("append, time of the loop while the writer works", "us", spent / count * 1e6))
    report.add(RATES, RATES_HEAD, ("verify, every record of 363 bytes", "MB/s", proof.bytes / verify_s / 1e6))
    report.add(RATES, RATES_HEAD, (f"opening {count} records, all proved", "s", opened_s))


@pytest.mark.benchmark(group="keeping")
def test_store_rates(benchmark: Any, report: Report, much: Effort, tmp_path: Path) -> None:
    """Signals a second into the database, and two ways to copy it."""
    count = records_of(much) // 4
    ledger = Ledger()
    for number in range(count):
        ledger.append("signal.raised", **signal(number))
    followed = Following(ledger)
    path = tmp_path / "gambit.duckdb"
    begun = time.perf_counter()
    benchmark.pedantic(lambda: rebuild(followed, path, count, lambda _done, _total: None), rounds=1)
    report.add(RATES, RATES_HEAD, ("signals into the database", "1/s", count / (time.perf_counter() - begun)))
    with Database(path) as database:
        database.checkpoint()
        begun = time.perf_counter()
        database.copy_to(tmp_path / "copy.duckdb")
        report.add(
            RATES,
            RATES_HEAD,
            ("a snapshot: checkpoint and copy of the file", "ms", 1e3 * (time.perf_counter() - begun)),
        )
        begun = time.perf_counter()
        database.run(f"ATTACH '{tmp_path}/other.duckdb' AS other")
        database.run("COPY FROM DATABASE gambit TO other")
        report.add(RATES, RATES_HEAD, ("the same by COPY FROM DATABASE", "ms", 1e3 * (time.perf_counter() - begun)))
        database.run("DETACH other")
    with duckdb.connect(str(tmp_path / "copy.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM arbitrage_opportunity").fetchone() == (count,)


class Following:
    """A ledger whose reader finds its place at once."""

    def __init__(self, ledger: Ledger) -> None:
        self.journal_id, self.first_seq, self.synced = ledger.journal_id, 1, ledger.synced
        self._records = ledger.records

    def follow(self, after: int) -> Any:
        return Follower(self._records, after)


class Follower:
    """Reads a list."""

    def __init__(self, records: list[Any], after: int) -> None:
        self._records, self.seq, self.hash = records, after, b""

    @property
    def lag(self) -> int:
        return len(self._records) - self.seq

    def read(self, limit: int) -> list[Any]:
        found = self._records[self.seq : self.seq + limit]
        self.seq += len(found)
        return found

    def close(self) -> None:
        """Nothing is held."""


@pytest.mark.benchmark(group="keeping")
def test_the_loop_with_a_store_beside_it(benchmark: Any, report: Report, much: Effort, tmp_path: Path) -> None:
    """How late a timer of the loop is with 1000 signals a second, without and with the store that follows them."""
    uvloop = pytest.importorskip("uvloop")
    bodies = [ledger_body(number) for number in range(1000)]

    async def run(folder: Path, *, with_store: bool) -> list[int]:
        journal = open_journal(places(folder), Policy(), 0)
        folders = Folders(folder / "gambit.duckdb", folder / "snapshots", folder / "exports")
        store = Store(
            folders, journal, batch_ns=100_000_000, retention={}, now_ns=lambda: NOW_NS, report=lambda _what: None
        )
        if with_store:
            store.start()
        late: list[int] = []
        for number in range(4000 if much.name == "full" else 500):
            due = time.perf_counter_ns() + 1_000_000
            await asyncio.sleep(0.001)
            late.append(time.perf_counter_ns() - due)
            journal.append("signal.raised", bodies[number % 1000], NOW_NS)
        await journal.until_synced(journal.head)
        if with_store:
            assert store.close(60)
        await journal.close()
        return late

    def both() -> None:
        for with_store in (False, True):
            one = figures(uvloop.run(run(tmp_path / str(with_store), with_store=with_store)))
            name = "with the store" if with_store else "journal only"
            report.add(
                "a timer of the loop, late by, us",
                ("1000 signals/s", "p50", "p99"),
                (name, one.p50 / 1e3, one.p99 / 1e3),
            )

    benchmark.pedantic(both, rounds=1)


def ledger_body(number: int) -> bytes:
    """A signal's body."""
    ledger = Ledger()
    ledger.append("signal.raised", **signal(number))
    body: bytes = ledger.records[0].body
    return body
