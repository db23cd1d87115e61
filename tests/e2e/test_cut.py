"""SIGKILL after leg A of a plan filled and before leg B was handed over (F53): the next life is flat, or alarmed and
halted, every time; the exchanges' ledgers say so, not the daemon.

GAMBIT_CUTS sets how often; the campaign of the release is 100.
"""

import asyncio
import os
import random
import shutil
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest

from gambit.runtime.exchanges import Exchanges
from gambit.runtime.starts import NAME as STARTS
from gambit.sim.world import DIALECTS, Scenario
from gambit.surface.client import call
from tests.e2e import armed
from tests.e2e.journals import entries

CUTS = int(os.environ.get("GAMBIT_CUTS", "3"))
SYMBOL, BASE = "BTC-USDT", "BTC"
SHIFT_BPS = 60.0
ATTEMPTS = 10
FILL_SEC = 3.0
HEARING_SEC = 0.15  # within which the kill comes after the fill
DUST_QUOTE = Decimal(12)  # no venue trades less than 10
END_SEC = 60.0  # the venues' windows and the deadline of a compensation, on a busy machine


@dataclass
class Ended:
    """What became of one cut."""

    venues: str
    mode: str
    is_flat: bool
    is_halted: bool
    took_s: float


class Account:
    """What the venues' ledgers say about our account."""

    def __init__(self, sim: armed.Sim) -> None:
        self.sim = sim
        self.start = Decimal(0)

    async def held(self) -> Decimal:
        """The base asset over all venues."""
        total = Decimal(0)
        for venue in DIALECTS:
            mine = (await self.sim.ledger(venue, "balances"))["balances"]["demo"].get(BASE)
            total += Decimal(mine["free"]) + Decimal(mine["locked"]) if mine else Decimal(0)
        return total

    async def naked_quote(self) -> Decimal:
        """How far from the start it is, at a price of today."""
        return abs(await self.held() - self.start) * 100_000

    async def filled(self) -> set[tuple[str, str]]:
        """(venue, client order id) of the orders that executed."""
        return {
            (venue, one["client_id"])
            for venue in DIALECTS
            for one in (await self.sim.ledger(venue, "orders"))["orders"]
            if one["account"] == "demo" and Decimal(one["filled"]) > 0
        }

    async def live(self) -> int:
        """Orders that may still execute."""
        ledgers = [await self.sim.ledger(venue, "orders") for venue in DIALECTS]
        return sum(
            one["account"] == "demo" and one["state"] in ("pending", "open")
            for ledger in ledgers
            for one in ledger["orders"]
        )


async def cut(account: Account, daemon: Process, file: Path, chance: random.Random) -> tuple[str, str] | None:
    """Let one plan be cut and kill the daemon; the venues of both legs, and how it was cut. None: the first one filled
    nothing, for the market was quicker."""
    assert daemon.stdout is not None
    mode = chance.choice(["deaf", "hearing"])
    before = await account.filled()
    file.write_text(mode)
    for _ in range(ATTEMPTS):
        await account.sim.shift(chance.choice(list(DIALECTS)), SYMBOL, SHIFT_BPS, 300)
        try:
            async with asyncio.timeout(1.0):
                line = await daemon.stdout.readline()
            break
        except TimeoutError:
            continue
    else:
        raise AssertionError("no plan was made")
    assert line.startswith(b"cut "), line
    over = time.perf_counter() + FILL_SEC
    while not (fresh := await account.filled() - before) and time.perf_counter() < over:
        await asyncio.sleep(0.005)
    await asyncio.sleep(chance.random() * HEARING_SEC)  # the instant of the kill is the point
    daemon.kill()
    _, said = await daemon.communicate()
    file.unlink()
    assert daemon.returncode == -9, said.decode()
    return None if not fresh else (f"{sorted(fresh)[0][0]} {line.decode().split()[1]}", mode)


async def ended(account: Account, folder: Path, where: tuple[str, str]) -> Ended:
    """The next life's end of it: flat by the ledgers, with nothing live; or halted with an alarm. It is looked at again
    and again: daemon and exchanges are processes of their own, and no one event says that both sides are there."""
    begun = time.perf_counter()
    path = folder / "state" / "gambit.sock"
    while True:
        state = (await asyncio.to_thread(call, path, "status"))["trading_state"]
        plans = await asyncio.to_thread(call, path, "plans", {"open_only": True})
        is_flat = await account.naked_quote() <= DUST_QUOTE and not await account.live()
        is_over = not plans
        is_halted = state == "HALTED" or alarmed(folder, "scope.halted")
        if (is_flat and is_over) or (is_halted and alarmed(folder, "plan.unhedged")):
            return Ended(*where, is_flat, is_halted, time.perf_counter() - begun)
        assert time.perf_counter() - begun < END_SEC, (where, state, plans, await account.naked_quote())
        await asyncio.sleep(0.1)


def alarmed(folder: Path, kind: str) -> bool:
    """Whether the journal has an alarm about what could not be closed, or the halt of its symbol (I06)."""
    return any(one.kind == kind for one in entries(folder / "state"))


@asynccontextmanager
async def life(path: Path, file: Path) -> AsyncIterator[Process]:
    """One daemon that is ready; it does not outlive a test that fails. Kills in a row are the test, and no reason to
    come up in safe mode."""
    (path.parent / "state" / STARTS).unlink(missing_ok=True)
    daemon = await armed.start(path, module="tests.e2e.cut_daemon", more=(str(file),))
    try:
        await armed.until_ready(daemon)
        yield daemon
    finally:
        if daemon.returncode is None:
            daemon.kill()
            await daemon.communicate()


async def lives(folder: Path, cuts: list[Ended], chance: random.Random) -> None:
    """New exchanges and daemons on them, cut after cut, until there are enough or one is halted: what people would have
    to clear up is not gone on with."""
    file = folder / "cut"
    scenario = Scenario(symbols=(SYMBOL,), dislocations_per_s=0.0)
    async with (
        Exchanges(list(DIALECTS), (), chance.randrange(1 << 30), os.environ, scenario=scenario) as there,
        aiohttp.ClientSession() as session,
    ):
        account = Account(armed.Sim(session, there.exchanges))
        account.start = await account.held()
        path = armed.write(folder, there.exchanges, (SYMBOL,))
        while len(cuts) < CUTS:
            async with life(path, file) as daemon:
                where = await cut(account, daemon, file, chance)
            if where is None:
                return  # nothing is to be closed; what is in doubt at a venue without a window stays so
            async with life(path, file) as daemon:
                found = await ended(account, folder, where)
                daemon.terminate()
                _, said = await daemon.communicate()
                assert daemon.returncode == 0, said.decode()
            cuts.append(found)
            print(found, flush=True)
            if found.is_halted:
                return


@pytest.mark.timeout(300 + 60 * CUTS)
async def test_kills_between_the_legs(tmp_path: Path) -> None:
    """However often, whichever venues, whether or not the fill was heard."""
    chance, cuts = random.Random(), list[Ended]()
    while len(cuts) < CUTS:
        shutil.rmtree(tmp_path / "state", ignore_errors=True)
        await lives(tmp_path, cuts, chance)
    flat = sum(one.is_flat for one in cuts)
    took = sorted(one.took_s for one in cuts)
    print(
        f"{CUTS} kills: {flat} flat, {CUTS - flat} alarmed and halted; it took {took[CUTS // 2]:.1f} s, {took[-1]:.1f}"
    )
    assert all(one.is_flat or one.is_halted for one in cuts)
