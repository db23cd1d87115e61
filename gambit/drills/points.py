"""What a child of a drill does to itself: it dies at a named point of the write path (F93), or notes what its disk has
synced and holds its syncs (F94). A child of its own process only; nothing of it is in a daemon that trades.

The points are methods of the daemon's own classes, wrapped before it is built. A point waits for the file `armed_by`,
so that a start is not what dies.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from gambit.commands import PlaceOrder
from gambit.engine.desk import Desk
from gambit.events.orders import Acked, Filled
from gambit.journal import Policy
from gambit.journal.disk import Disk
from gambit.journal.journal import Journal
from gambit.journal.segment import ENDING as SEGMENT
from gambit.runtime import keeping
from gambit.runtime.dealing import Dealing
from gambit.runtime.snapshots import ENDING as SNAPSHOT
from gambit.runtime.snapshots import Snapshots
from gambit.store.database import Database

INTENT: Final = "order.intended"
SEGMENT_BYTES: Final = 30_000  # so that a child begins many segments, and keeps many snapshots
SNAPSHOT_RECORDS: Final = 40
SNAPSHOT_LOOK_SEC: Final = 0.05

Whole = Callable[..., Any]


class Point(NamedTuple):
    """A method, and whether its arguments (the object first) are those that it is about."""

    owner: type
    method: str
    is_after: bool
    about: Callable[[tuple[Any, ...]], bool]


def _always(_args: tuple[Any, ...]) -> bool:
    return True


def _intent(args: tuple[Any, ...]) -> bool:
    return bool(args[1] == INTENT)


def _bytes_of_an_intent(args: tuple[Any, ...]) -> bool:
    return INTENT.encode() in bytes(args[2])


def _a_create(args: tuple[Any, ...]) -> bool:
    return isinstance(args[1], PlaceOrder)


def _an_ack(args: tuple[Any, ...]) -> bool:
    return isinstance(args[1], Acked)


def _a_fill(args: tuple[Any, ...]) -> bool:
    return isinstance(args[1], Filled)


def _a_snapshot(args: tuple[Any, ...]) -> bool:
    return Path(args[2]).suffix == SNAPSHOT


def _a_segment(args: tuple[Any, ...]) -> bool:
    return Path(args[2]).suffix == SEGMENT


def _both(name: str, owner: type, method: str, about: Callable[[tuple[Any, ...]], bool]) -> dict[str, Point]:
    return {
        f"before {name}": Point(owner, method, False, about),
        f"after {name}": Point(owner, method, True, about),
    }


POINTS: Final[Mapping[str, Point]] = {
    **_both("an intent is put to the journal", Journal, "append_now", _intent),
    **_both("an intent is written", Disk, "write", _bytes_of_an_intent),
    **_both("a sync", Disk, "sync", _always),
    **_both("a create is handed over", Dealing, "_hand_over", _a_create),
    **_both("an acknowledgement is applied", Desk, "on_fact", _an_ack),
    **_both("a fill is applied", Desk, "on_fact", _a_fill),
    **_both("a snapshot is in place", Disk, "replace", _a_snapshot),
    "after a snapshot is kept": Point(Snapshots, "write", True, _always),
    **_both("a new segment is in place", Disk, "replace", _a_segment),
    "after the database commits": Point(Database, "apply", True, _always),
}
HALF: Final = "in the middle of an intent's bytes"
COMMIT: Final = "before the database commits"
NAMES: Final = (*POINTS, HALF, COMMIT)


def die() -> None:
    """As a kill from outside: nothing of this process runs any more."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(name: str, armed_by: Path) -> None:
    """Die when this process passes the point `name` (one of NAMES) while the file `armed_by` is there."""
    small_steps()
    if name == HALF:
        _die_in_the_middle(armed_by)
    elif name == COMMIT:
        _die_before_the_commit(armed_by)
    else:
        _wrap(POINTS[name], armed_by)


def small_steps() -> None:
    """Segments and snapshots come often enough to be met."""
    policy = keeping.journal_policy

    def small(config: Any) -> Policy:
        return policy(config)._replace(segment_bytes=SEGMENT_BYTES)

    replaced = {
        "journal_policy": small,
        "SNAPSHOT_RECORDS": SNAPSHOT_RECORDS,
        "LOOK_EVERY_S": SNAPSHOT_LOOK_SEC,
    }
    for name, value in replaced.items():
        setattr(keeping, name, value)


def _wrap(point: Point, armed_by: Path) -> None:
    whole: Whole = getattr(point.owner, point.method)

    def dying(*args: Any, **words: Any) -> Any:
        is_due = point.about(args) and armed_by.exists()
        if is_due and not point.is_after:
            die()
        done = whole(*args, **words)
        if is_due:
            die()
        return done

    setattr(point.owner, point.method, dying)


def _die_in_the_middle(armed_by: Path) -> None:
    whole: Whole = Disk.write

    def half(disk: Disk, descriptor: int, data: bytes) -> Any:
        if INTENT.encode() in bytes(data) and armed_by.exists():
            whole(disk, descriptor, bytes(data)[: len(data) // 2])
            die()
        return whole(disk, descriptor, data)

    setattr(Disk, "write", half)  # noqa: B010 - a wrapper of another type


def _die_before_the_commit(armed_by: Path) -> None:
    whole: Whole = Database._transaction

    @contextmanager
    def transaction(database: Database) -> Iterator[None]:
        with whole(database):
            yield
            if armed_by.exists():
                die()

    setattr(Database, "_transaction", transaction)  # noqa: B010 - as above


# ---- a power cut ----


def note_syncs(notes: Path, held_by: Path) -> None:
    """Write to `notes`, a line a sync, what a power cut would leave: "INODE BYTES NS", the file, how much of it was
    there when its sync began, and how long that took. While the file `held_by` is there no sync ends."""
    whole: Whole = Disk.sync
    descriptor_of_notes = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def noted(disk: Disk, descriptor: int) -> Any:
        begun_ns = time.perf_counter_ns()
        there = os.fstat(descriptor)
        while held_by.exists():
            time.sleep(0.002)
        done = whole(disk, descriptor)
        took_ns = time.perf_counter_ns() - begun_ns
        os.write(descriptor_of_notes, f"{there.st_ino} {there.st_size} {took_ns}\n".encode())
        return done

    setattr(Disk, "sync", noted)  # noqa: B010 - as above


class Cut(NamedTuple):
    """What a power cut took: bytes of the journal, and the longest sync there had been, in ns."""

    lost_bytes: int
    longest_sync_ns: int


def cut_power(journal_folder: Path, notes: Path) -> Cut:
    """Leave of each journal file what `notes` says was synced, as a power cut may. The process is gone already."""
    synced: dict[int, int] = {}
    longest_ns = 0
    for line in notes.read_text().splitlines():
        inode, size, took_ns = map(int, line.split())
        synced[inode] = max(synced.get(inode, 0), size)
        longest_ns = max(longest_ns, took_ns)
    lost = 0
    for path in sorted(journal_folder.glob(f"*{SEGMENT}")):
        there = path.stat()
        kept = synced.get(there.st_ino)
        if kept is not None and kept < there.st_size:
            lost += there.st_size - kept
            with path.open("r+b") as file:
                file.truncate(kept)
    return Cut(lost, longest_ns)
