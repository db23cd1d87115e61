"""The kill switch under a burst of signals, by every door, on a real daemon and real sockets.

GAMBIT_HALTS sets how often; a campaign (10 and more) also holds the last create to 100 ms after the command.
"""

import asyncio
import os
import signal
import time
from asyncio.subprocess import Process
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from gambit.runtime.exchanges import DISLOCATIONS_PER_S, Exchanges
from gambit.runtime.trading import HALT_FILE
from gambit.sim.world import DIALECTS, Scenario
from gambit.surface.client import call
from tests.e2e import armed
from tests.e2e.journals import Entry, entries

HALTS = int(os.environ.get("GAMBIT_HALTS", "3"))
CAMPAIGN = 10
BURST = 5 * DISLOCATIONS_PER_S  # five times what the demonstration has
SYMBOLS = ("BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT")
LAST_CREATE_NS = 100_000_000
QUIET_SEC = 0.4  # in which a create that should not have left would reach a venue
PATIENCE_SEC = 60.0


@dataclass
class Halt:
    """One halt, as whoever commanded it saw it."""

    door: str
    asked_ns: int
    answered_ns: int  # 0: this door does not answer


def by_socket(state_dir: Path, _daemon: Process) -> bool:
    call(state_dir / "gambit.sock", "halt", {"reason": "a test"})
    return True


def by_signal(_state_dir: Path, daemon: Process) -> bool:
    daemon.send_signal(signal.SIGUSR1)
    return False


def by_file(state_dir: Path, _daemon: Process) -> bool:
    (state_dir / HALT_FILE).write_text("a test\n")
    return False


DOORS: dict[str, Callable[[Path, Process], bool]] = {"socket": by_socket, "signal": by_signal, "file": by_file}


async def until(what: Callable[[], bool]) -> None:
    """Wait for what has no event to wait for from outside."""
    async with asyncio.timeout(PATIENCE_SEC):
        while not await asyncio.to_thread(what):
            await asyncio.sleep(0.005)


async def creates(sim: armed.Sim) -> int:
    """How many creates reached the venues."""
    ledgers = [await sim.ledger(venue, "requests") for venue in DIALECTS]
    return sum(one["action"] == "place" for ledger in ledgers for one in ledger["requests"])


async def halt(door: str, sim: armed.Sim, state_dir: Path, daemon: Process) -> Halt:
    """Halt in the middle of a burst, watch the quiet, resume."""
    path = state_dir / "gambit.sock"
    before = await creates(sim)
    for k, venue in enumerate(DIALECTS):  # every venue moves: on top of the burst, something to be sent right now
        await sim.shift(venue, SYMBOLS[k % len(SYMBOLS)], 40.0 + 10 * k, 1500)
    async with asyncio.timeout(PATIENCE_SEC):
        while await creates(sim) == before:
            await asyncio.sleep(0.002)
    asked_ns = time.time_ns()
    answers = await asyncio.to_thread(DOORS[door], state_dir, daemon)
    answered_ns = time.time_ns() if answers else 0
    await until(lambda: call(path, "status")["trading_state"] == "HALTED")
    await asyncio.sleep(QUIET_SEC)
    quiet = await creates(sim)
    await asyncio.sleep(QUIET_SEC)
    assert await creates(sim) == quiet
    (state_dir / HALT_FILE).unlink(missing_ok=True)
    await asyncio.to_thread(call, path, "resume")
    return Halt(door, asked_ns, answered_ns)


def left_after(halts: list[Halt], facts: list[Entry]) -> list[float]:
    """ms from each command to the last create that left before the halt was in force; by the order of the journal no
    create left while it was, and none after an answer."""
    sent = [one for one in facts if one.kind == "order.sent"]
    changes = [one for one in facts if one.kind == "state.changed"]
    begun = [one for one in changes if one.body["state"] == "HALTED"]
    ended = [one for one in changes if one.body["state"] == "ACTIVE"]
    assert (len(begun), len(ended)) == (len(halts), len(halts))
    late_ms = []
    for one, first, last in zip(halts, begun, ended, strict=True):
        assert [each for each in sent if first.seq < each.seq < last.seq] == []
        before = [each.ts_ns for each in sent if each.seq < first.seq]
        if one.answered_ns:
            assert before[-1] <= one.answered_ns
        late_ms.append((before[-1] - one.asked_ns) / 1e6)
    return late_ms


@pytest.mark.timeout(300 + 10 * HALTS)
async def test_nothing_leaves_after_a_halt(tmp_path: Path) -> None:
    """Whichever door, however much there is to send; every create that a venue has left before the halt."""
    scenario = Scenario(symbols=SYMBOLS, dislocations_per_s=BURST)
    state_dir = tmp_path / "state"
    async with (
        Exchanges(list(DIALECTS), (), 1, os.environ, scenario=scenario) as there,
        aiohttp.ClientSession() as session,
    ):
        sim = armed.Sim(session, there.exchanges)
        path = armed.write(tmp_path, there.exchanges, SYMBOLS)
        async with armed.running(path) as daemon:
            doors = [list(DOORS)[k % len(DOORS)] for k in range(HALTS)]
            halts = [await halt(door, sim, state_dir, daemon) for door in doors]
        arrived = {
            one["client_id"]: one["arrived_ns"]
            for venue in DIALECTS
            for one in (await sim.ledger(venue, "orders"))["orders"]
            if one["account"] == "demo"
        }
    facts = list(entries(state_dir))
    late_ms = left_after(halts, facts)
    sent = {one.body["key"] for one in facts if one.kind == "order.sent"}
    assert arrived.keys() <= sent
    worst = max(late_ms)
    raised = [one.ts_ns for one in facts if one.kind == "signal.raised"]
    rate = len(raised) / ((raised[-1] - raised[0]) / 1e9)
    print(
        f"{HALTS} halts, {rate:.0f} signals/s, {len(sent)} creates; the last one left {worst:.1f} ms after the command"
    )
    print(", ".join(f"{one.door} {ms:.1f}" for one, ms in zip(halts, late_ms, strict=True)))
    assert HALTS < CAMPAIGN or worst <= LAST_CREATE_NS / 1e6
