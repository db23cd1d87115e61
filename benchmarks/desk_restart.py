"""``python -m benchmarks.desk_restart``: how long a start takes until the desk is where it stood, with a snapshot and
without.

A desk and its paper venues trade as in benchmarks.desk_memory, with a signal raised and closed for every opportunity;
every record goes through a real journal, and snapshots are kept as the daemon keeps them (every 50 000 records), so the
last one is as old as a kill may find it. Then the start, each step by itself: proving the journal from the snapshot's
segment on, reading the snapshot, replaying what followed; and the same without the snapshot, from the first record.
Both must lead to one digest. The time of everything else between a start and ready is the daemon's own and no business
of this.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from benchmarks.desk_memory import LIMITS, RULES, Run
from benchmarks.report import machine
from gambit.engine.desk import Decision, Desk
from gambit.events import SIGNAL_CLOSED, SIGNAL_RAISED, written
from gambit.journal import Journal, Policy, open_journal, places
from gambit.runtime.dealing import Dealing
from gambit.runtime.snapshots import Snapshots, newest_seq, snapshots_folder

POLICY = Policy("process", 50_000_000, 64 << 20, 10**18)
SNAPSHOT_RECORDS = 50_000
PAUSE_RECORDS = 2_000  # then the writer is waited for


class Written(Run):
    """A run whose records go into a journal."""

    def __init__(self, journal: Journal, symbols: int) -> None:
        self.journal = journal
        super().__init__(symbols)

    def take(self, decision: Decision) -> None:
        for fact in decision.facts:
            self.journal.append(*written(fact), decision.at_ns)
        super().take(decision)

    def episode(self, number: int) -> None:
        signal = {"event": "raised", "opp_id": f"o{number}", "symbol": "C0-USDT", "venue_buy": "a", "venue_sell": "e"}
        signal |= {f"field_{k}": k * 1.5 for k in range(30)}  # about as long as a real one
        self.journal.append(SIGNAL_RAISED, orjson.dumps(signal), self.now_ns)
        super().episode(number)
        self.journal.append(SIGNAL_CLOSED, orjson.dumps({"event": "closed", "opp_id": f"o{number}"}), self.now_ns)


async def fill(folder: Path, records: int) -> str:
    """A state directory with so many records, as a kill leaves it; gives the desk's digest."""
    journal = open_journal(places(folder), POLICY, 1)
    snapshots = Snapshots(snapshots_folder(folder / "journal"), journal, print)
    run, number, kept_seq, waited_seq = Written(journal, 20), 0, 0, 0
    while journal.head < records:
        run.episode(number)
        number += 1
        if journal.head - waited_seq >= PAUSE_RECORDS:
            waited_seq = journal.head
            await journal.until_written(journal.head)
        if journal.head - kept_seq >= SNAPSHOT_RECORDS and records - journal.head > SNAPSHOT_RECORDS // 2:
            snapshot = run.desk.standing.snapshot()
            kept_seq = journal.checkpoint(snapshot.digest, run.now_ns)
            await journal.until_synced(kept_seq)
            snapshots.write(snapshot, kept_seq)
    await journal.close()
    return run.desk.standing.digest()


class Start(NamedTuple):
    """Seconds of one start, and what it came to."""

    prove_s: float
    read_s: float
    replay_s: float
    records: int  # replayed
    digest: str

    @property
    def total_s(self) -> float:
        """All of it."""
        return self.prove_s + self.read_s + self.replay_s


async def start(folder: Path, *, with_snapshot: bool) -> Start:
    """What the daemon does before anything else."""
    kept = snapshots_folder(folder / "journal")
    trusted_seq = newest_seq(kept) if with_snapshot else 0
    journal, prove_s = timed(lambda: open_journal(places(folder), POLICY, 1, trusted_seq=trusted_seq))
    snapshots = Snapshots(kept, journal, print)
    found, read_s = timed(snapshots.latest if with_snapshot else lambda: None)
    desk = Desk(RULES, LIMITS, found.standing if found else None)
    records, replay_s = timed(lambda: shell(desk, journal).replay(found.seq if found else 0))
    await journal.close()
    return Start(prove_s, read_s, replay_s, records, desk.standing.digest())


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What it gives, and seconds."""
    begun = time.perf_counter()
    result = work()
    return result, time.perf_counter() - begun


def shell(desk: Desk, journal: Journal) -> Dealing:
    """A desk's shell that only replays."""
    nothing: Any = None
    return Dealing(
        desk, nothing, journal, nothing, nothing, nothing, durability="process", notify=nothing, on_state=nothing,
        on_defect=nothing,
    )  # fmt: skip


def compare(folder: Path, records: int) -> tuple[Start, Start]:
    """A start with the snapshot and one without, of the same state directory. Raises AssertionError."""
    digest = asyncio.run(fill(folder, records))
    short = asyncio.run(start(folder, with_snapshot=True))
    whole = asyncio.run(start(folder, with_snapshot=False))
    assert short.digest == whole.digest == digest, "the start leads to another state"
    return short, whole


def main(words: list[str] | None = None) -> int:
    """Fill, start twice, tell."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.desk_restart", description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    asked = parser.parse_args(words)
    print(machine())
    with tempfile.TemporaryDirectory(prefix="gambit-restart-") as name:
        folder = Path(name)
        short, whole = compare(folder, asked.records)
        size = sum(path.stat().st_size for path in (folder / "journal").glob("*.journal"))
        kept = max((path.stat().st_size for path in (folder / "desk").glob("*.snapshot")), default=0)
    print(f"{asked.records:,} records, {size / 2**20:,.0f} MB; the snapshot {kept / 2**20:.1f} MB")
    for label, one in (("with the snapshot", short), ("from the first record", whole)):
        print(
            f"{label:22} {one.total_s:6.2f} s: journal proved {one.prove_s:.2f}, snapshot read {one.read_s:.2f}, "
            f"{one.records:,} records replayed {one.replay_s:.2f}"
        )
    print(f"ratio {whole.total_s / short.total_s:.1f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
