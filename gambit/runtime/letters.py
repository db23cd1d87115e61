"""Dead letters once more: what `gambit dlq requeue` and `purge` do in the daemon.

A market frame of the past must never touch a book of the present. So to requeue one means to read it again with the
decoder of this version: what is understood now is settled, what is not stays, with the reason.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import duckdb

from gambit.events import read
from gambit.events.feed import DeadLettered, DeadLettersPurged
from gambit.events.records import Follower
from gambit.runtime.ledger import Ledger
from gambit.runtime.private_letters import TOPIC
from gambit.store import StoreError

WAITING = "SELECT letter_id FROM dead_letters WHERE purged_at IS NULL ORDER BY letter_id"


class Journal(Protocol):
    """Where letters lie: a letter's id is its record's sequence number."""

    def follow(self, after: int) -> Follower: ...


class Letters:
    """The dead letters of a running daemon. `decode(venue, raw)` raises ValueError for what it does not understand;
    `snapshot()` gives the path of a fresh copy of the database."""

    def __init__(
        self,
        journal: Journal,
        ledger: Ledger,
        decode: Callable[[str, bytes], object],
        snapshot: Callable[[], Any],
    ) -> None:
        self._journal = journal
        self._ledger = ledger
        self._decode = decode
        self._snapshot = snapshot

    async def requeue(self, letter_ids: Sequence[int], by: str) -> dict[str, Any]:
        """Read letters again; those that are understood now are settled. As gambit.surface.views.Requeued."""
        return self._settle(await self._named(letter_ids), by, self._understood)

    async def purge(self, letter_ids: Sequence[int], by: str) -> dict[str, Any]:
        """Throw letters away. As gambit.surface.views.Requeued."""
        return self._settle(await self._named(letter_ids), by, lambda _letter: None)

    async def _named(self, letter_ids: Sequence[int]) -> list[int]:
        """The letters asked for; none named: all that wait. Raises StoreError."""
        if letter_ids:
            return list(letter_ids)
        path = str((await self._snapshot())["path"])
        return await asyncio.to_thread(_waiting, path)

    def _settle(
        self, letter_ids: Sequence[int], by: str, check: Callable[[DeadLettered], str | None]
    ) -> dict[str, Any]:
        failed: dict[int, str] = {}
        for letter_id in letter_ids:
            letter = self._letter(letter_id)
            problem = "no such dead letter" if letter is None else check(letter)
            if problem is not None:
                failed[letter_id] = problem
        done = tuple(letter_id for letter_id in letter_ids if letter_id not in failed)
        if done:
            self._ledger.fact(DeadLettersPurged(letter_ids=done, by=by))
        return {"done": done, "failed": failed}

    def _letter(self, letter_id: int) -> DeadLettered | None:
        if letter_id < 1:
            return None
        follower = self._journal.follow(letter_id - 1)
        try:
            records = follower.read(1)
        finally:
            follower.close()
        if not records or records[0].seq != letter_id or records[0].kind != "dead_letter":
            return None
        fact = read(records[0].kind, records[0].body)
        return fact if isinstance(fact, DeadLettered) else None

    def _understood(self, letter: DeadLettered) -> str | None:
        if letter.topic == TOPIC:  # what an account's frame said depends on what was asked before it
            return "it is of an account, which was asked again when it came; purge it once you have seen it"
        try:
            self._decode(letter.venue, letter.raw)
        except ValueError as error:
            return str(error)
        return None


def decoder(languages: Mapping[str, Any], decode: Callable[[Any, bytes], Any]) -> Callable[[str, bytes], object]:
    """A careful reading of a venue's frame. Raises ValueError for a venue or a frame that is not understood."""

    def read_again(venue: str, raw: bytes) -> object:
        language = languages.get(venue)
        if language is None:
            raise ValueError(f"no venue {venue} in this version")
        decoded = decode(language.wire, raw)
        if decoded.problems:
            raise ValueError("; ".join(what for _, what in decoded.problems))
        return decoded

    return read_again


def _waiting(path: str) -> list[int]:
    try:
        with duckdb.connect(path, read_only=True) as connection:
            return [row[0] for row in connection.execute(WAITING).fetchall()]
    except duckdb.Error as error:
        raise StoreError(str(error)) from error
