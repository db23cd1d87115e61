"""Before a daemon trades: its epoch, which is in every order's id, is on the disk."""

import asyncio
from types import SimpleNamespace
from typing import Any

from gambit.journal import JournalFailed
from gambit.runtime.daemon import Daemon


def starting(until_synced: Any, log: list[str]) -> Daemon:
    """A daemon whose books are synced and whose journal has 7 records."""
    journal = SimpleNamespace(head=7, until_synced=until_synced)
    parts: Any = SimpleNamespace(
        keeping=SimpleNamespace(journal=journal),
        feeds=SimpleNamespace(statuses=list),
        log=SimpleNamespace(warning=log.append),
        on_lag=None,
    )
    return Daemon(parts)


async def test_it_is_not_ready_before_its_start_is_synced() -> None:
    """A power cut must not leave the next life the same epoch."""
    synced, asked = asyncio.Event(), list[int]()

    async def until_synced(seq: int) -> None:
        asked.append(seq)
        await synced.wait()

    daemon = starting(until_synced, [])
    starting_up = asyncio.create_task(daemon._until_ready())
    while not asked:
        await asyncio.sleep(0)
    for _ in range(10):
        await asyncio.sleep(0)
    assert (asked, daemon.is_ready, starting_up.done()) == ([7], False, False)
    synced.set()
    await starting_up
    assert daemon.is_ready


async def test_a_journal_that_fails_is_said_and_keeps_nobody_waiting() -> None:
    """Its watch halts trading; the daemon comes up to be looked at."""

    async def until_synced(_seq: int) -> None:
        raise JournalFailed("the disk is full")

    log: list[str] = []
    daemon = starting(until_synced, log)
    await daemon._until_ready()
    assert daemon.is_ready
    assert log == ["nothing will be traded: the start is not in the journal"]
