"""The desk is made anew from the journal, in the same run, after something broke off half-way in it.

A fact that raises while it is taken in leaves a state that no journal has. Nothing is asked of such a desk: it is
frozen, and the state is replayed as at a start, from the latest snapshot and what is synced after it. What was told
meanwhile is not kept; as after a crash, whatever is under way is then in doubt and asked about (gambit.engine.desk,
`go_on_from`).

Where the journal cannot be replayed, or the desk breaks off again, it is tried again after ever longer waits.
"""

import asyncio
from collections.abc import Callable, Iterator
from decimal import localcontext
from typing import Final, Protocol

import msgspec

from gambit.engine.standing import EXACT, STATE_KINDS, ReplayDiffers, Standing
from gambit.events import KNOWN_KINDS, read
from gambit.events.records import Follower, Record
from gambit.journal.checkpoint import KIND as CHECKPOINT
from gambit.runtime.snapshots import Found

SEC: Final = 1_000_000_000
CALM_NS: Final = 60 * SEC  # a desk that held for so long is made anew at once when it breaks again
WAIT_MAX_SEC: Final = 60
REPLAY_RECORDS: Final = 4096
SLICE_RECORDS: Final = 256  # of a replay beside everything else: a few milliseconds


class DeskFrozen(Exception):
    """The desk cannot be asked just now; the message says why."""


class Journal(Protocol):
    """What is replayed."""

    @property
    def head(self) -> int: ...
    def follow(self, after: int) -> Follower: ...
    async def until_synced(self, seq: int) -> None: ...


class Stated(msgspec.Struct):
    """What a checkpoint says of the state."""

    state_hash: str = ""


def replayed(standing: Standing, journal: Journal, after: int, at_once: int = REPLAY_RECORDS) -> Iterator[int]:
    """Bring a standing from record `after` to where the journal says it stood, held against every checkpoint; yields
    how many records each step took. Raises ReplayDiffers."""
    follower = journal.follow(after)
    try:
        while records := follower.read(at_once):
            for record in records:
                _take(standing, record)
            yield len(records)
    finally:
        follower.close()


def _take(standing: Standing, record: Record) -> None:
    if record.kind in STATE_KINDS:
        try:
            fact = read(record.kind, record.body)
        except msgspec.MsgspecError as error:
            raise ReplayDiffers(
                f"record {record.seq}, a {record.kind!r}, says what this version does not know: {error}"
            ) from error
        with localcontext(EXACT):
            standing.replay(fact, record.ts_ns)
    elif record.kind == CHECKPOINT:
        stated = msgspec.json.decode(record.body, type=Stated).state_hash
        if standing.is_comparable(stated) and stated != standing.digest():
            raise ReplayDiffers(f"record {record.seq}: the state is not the one that this checkpoint was signed for")
    elif record.kind not in KNOWN_KINDS:
        raise ReplayDiffers(
            f"record {record.seq} is a {record.kind!r}, which this version does not know: "
            "the journal was written by a later one; run that"
        )


class Rebuilding:
    """Whether the desk is frozen, and when it is made anew. `fresh` gives what a replay begins from; it blocks."""

    def __init__(self, journal: Journal, fresh: Callable[[], Found], mono_ns: Callable[[], int]) -> None:
        self.reason = ""  # why the desk is not asked; empty: it is
        self._journal = journal
        self._fresh = fresh
        self._mono_ns = mono_ns
        self._tries = 0
        self._done_ns = -CALM_NS

    def freeze(self, reason: str) -> None:
        """From now on nothing is asked of the desk."""
        self.reason = reason

    async def standing(self, last_seq: int) -> Standing:
        """The state that the journal leads to; `last_seq` is the desk's last record. Waits first, when the desk broke
        off a short while ago. Raises ReplayDiffers, JournalError, OSError."""
        if self._mono_ns() - self._done_ns >= CALM_NS:
            self._tries = 0
        wait_sec = min((1 << min(self._tries, 20)) >> 1, WAIT_MAX_SEC)
        self._tries += 1
        self._done_ns = self._mono_ns() + wait_sec * SEC  # should it fail now
        await asyncio.sleep(wait_sec)
        await self._journal.until_synced(last_seq)
        found = self._fresh()
        for _ in replayed(found.standing, self._journal, found.seq, SLICE_RECORDS):
            await asyncio.sleep(0)
        return found.standing

    def thaw(self) -> None:
        """The desk stands on the journal again."""
        self.reason = ""
        self._done_ns = self._mono_ns()
