"""The kernel's view of a live order: its intent is written to the journal, and at durability "power" synced, before the
first of its bytes is written to a venue's socket (F106, orders.md "Idempotency and durability").

The daemon runs under strace; every create that the exchanges' ledgers have is looked for by its client order id in the
bytes of the system calls, WebSocket frames unmasked.
"""

import asyncio
import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import aiohttp
import pytest

from gambit.runtime.exchanges import Exchanges
from gambit.sim.world import DIALECTS, Scenario
from gambit.surface.client import call
from tests.e2e import armed

SYMBOL = "BTC-USDT"
EPISODES = 80
SPREAD_MS = 400
CALLS = "write,writev,pwrite64,sendto,sendmsg,fsync,fdatasync"
BEGUN = re.compile(rb"^(\d+) +(\w+)\((\d+)<([^>]*)>(.*)$")
RESUMED = re.compile(rb"^(\d+) +<\.\.\. (\w+) resumed>")
HEX = re.compile(rb'"((?:\\x[0-9a-f]{2})*)"')


@dataclass
class Syscall:
    """A call by the lines of the trace at which it began and was over."""

    name: str
    where: str  # the file or socket
    data: bytes
    begun: int
    over: int


def syscalls(trace: bytes) -> Iterator[Syscall]:
    """In the order in which they began."""
    open_calls: dict[bytes, Syscall] = {}
    found: list[Syscall] = []
    for k, line in enumerate(trace.splitlines()):
        if (begun := BEGUN.match(line)) is not None:
            thread, name, _, where, rest = begun.groups()
            data = b"".join(bytes.fromhex(text.replace(b"\\x", b"").decode()) for text in HEX.findall(rest))
            place = bytes.fromhex(where.replace(b"\\x", b"").decode()) if where.startswith(b"\\x") else where
            one = Syscall(name.decode(), place.decode(), data, k, k)
            found.append(one)
            if rest.endswith(b"<unfinished ...>"):
                one.over = 1 << 60
                open_calls[thread] = one
        elif (resumed := RESUMED.match(line)) is not None and resumed[1] in open_calls:
            open_calls.pop(resumed[1]).over = k
    return iter(found)


def unmasked(data: bytes) -> bytes:
    """What a client's WebSocket frames say; anything else as it is."""
    said, at = b"", 0
    while at + 6 <= len(data) and data[at] == 0x81 and data[at + 1] & 0x80:
        size, at = data[at + 1] & 0x7F, at + 2
        if size == 126:
            size, at = int.from_bytes(data[at : at + 2], "big"), at + 2
        mask, body = data[at : at + 4], data[at + 4 : at + 4 + size]
        said += bytes(a ^ b for a, b in zip(body, islice(cycle(mask), len(body)), strict=True))
        at += 4 + size
    return said + data[at:]


def test_frames_are_unmasked() -> None:
    """Two in one write, then something else."""
    frame = b"\x81\x85\x01\x02\x03\x04" + bytes(a ^ b for a, b in zip(b"hello", b"\x01\x02\x03\x04\x01", strict=True))
    assert unmasked(frame + frame + b"POST") == b"hellohelloPOST"


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed here; .ci/run installs it")
@pytest.mark.parametrize("durability", ["process", "power"])
async def test_the_intent_is_safe_before_the_order_leaves(tmp_path: Path, durability: str) -> None:
    """Each order at every venue, as it happened."""
    trace = tmp_path / "trace"
    strace = ("strace", "-f", "-qq", "-yy", "-xx", "-s", "65536", "-e", f"trace={CALLS}", "-o", str(trace))
    scenario = Scenario(symbols=(SYMBOL,), dislocations_per_s=0.0)
    async with (
        Exchanges(list(DIALECTS), (), 1, os.environ, scenario=scenario) as there,
        aiohttp.ClientSession() as session,
    ):
        sim = armed.Sim(session, there.exchanges)
        path = armed.write(tmp_path, there.exchanges, (SYMBOL,), f'journal.durability = "{durability}"')
        async with armed.running(path, *strace) as daemon:
            for episode in range(EPISODES):
                wanted = [venue for venue in DIALECTS if not await creates(sim, venue)]
                if not wanted:
                    break
                await spread(sim, wanted[episode % len(wanted)])
            await asyncio.to_thread(call, tmp_path / "state" / "gambit.sock", "stop")
            async with asyncio.timeout(armed.STOP_SEC):
                await daemon.wait()  # strace ends with the daemon; a signal to it would only let the daemon go
        keys = {key: venue for venue in DIALECTS for key in await creates(sim, venue)}
    assert set(keys.values()) == set(DIALECTS)
    calls = list(syscalls(trace.read_bytes()))
    for key in keys:
        assert_intent_first(calls, key.encode(), durability)


async def spread(sim: armed.Sim, venue: str) -> None:
    """The venue is dear for a moment: until it has an order of ours, or the moment is over. Its ledger is in another
    process, which tells only who asks."""
    await sim.shift(venue, SYMBOL, 60.0, SPREAD_MS)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1.5 * SPREAD_MS / 1000):
            while not await creates(sim, venue):
                await asyncio.sleep(0.02)


async def creates(sim: armed.Sim, venue: str) -> list[str]:
    """The client order ids of ours that a venue has."""
    return [one["client_id"] for one in (await sim.ledger(venue, "orders"))["orders"] if one["account"] == "demo"]


def assert_intent_first(calls: list[Syscall], key: bytes, durability: str) -> None:
    """The journal's write of the key is over (and synced) before the first byte of it begins to leave."""
    kept = next(one for one in calls if is_journal(one) and b"order.intended" in one.data and key in one.data)
    left = next(one for one in calls if "TCP" in one.where and key in unmasked(one.data))
    assert kept.over < left.begun, key
    if durability == "power":
        syncs = [one for one in calls if one.name in ("fsync", "fdatasync") and one.where == kept.where]
        assert any(kept.over < sync.begun and sync.over < left.begun for sync in syncs), key


def is_journal(one: Syscall) -> bool:
    """Whether it is about a segment of the journal."""
    return one.where.endswith(".journal")
