"""Group G, where a process dies: at named points of the write path, and with the power."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from gambit.drills import oracle, points
from gambit.drills.children import CALM, Child, Site, site
from gambit.drills.crashes import CHEAP, DEAR, agrees, ended_well
from gambit.drills.ground import orders_of, until
from gambit.drills.registry import DATED, drill
from gambit.drills.scenario import Bench, Broken
from gambit.events.orders import OrderIntended
from gambit.journal import Record, places, read_journal
from gambit.runtime.starts import NAME as STARTS

POINTS_SEC: Final = 580.0  # twenty lives and their starts, on a machine that is busy with something else
DEATH_SEC: Final = 60.0  # a plan of the life before may have to wait for its venues' windows
MANY: Final = replace(  # so that a life has not to wait for what the one before left open
    DATED, name="with windows, many symbols", symbols=("BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT", "DOGE-USDT")
)
WINDOW_NS: Final = 5_000_000  # journal.fsync_interval_ms
SLACK_NS: Final = 250_000_000  # a thread that waits for its turn on a busy machine


def fresh_start(there: Site, name: str = "state") -> None:
    """Deaths in a row are the drill, and no reason to come up in safe mode."""
    (there.ground.folder / name / STARTS).unlink(missing_ok=True)


async def until_dead(there: Site, child: Child, what: str, symbol: str) -> None:
    """Trade until the child dies of itself. Raises Broken, TimeoutError."""

    def is_dead() -> bool:
        return child.process.returncode is not None

    async with asyncio.timeout(DEATH_SEC):
        while not is_dead():
            there.shift(DEAR, symbol=symbol)
            there.shift(CHEAP, -60.0, symbol=symbol)
            try:
                await until(is_dead, 1.5)
            except Broken:
                continue
    code = await child.process.wait()
    if code != -signal.SIGKILL:
        raise Broken(f"{what}: the child ended with {code}: {child.said[-300:]}")


@drill("F93", None, POINTS_SEC)
async def killed_at_each_point(bench: Bench) -> None:
    """Dead at each point in turn, each time in the middle of trading; every life takes up what the one before left."""
    armed_by = bench.folder / "armed"
    async with site(MANY, bench.folder) as there:
        for number, name in enumerate(points.NAMES):
            fresh_start(there)
            child = await there.life(words=("die", name, str(armed_by)))
            armed_by.touch()
            try:
                await until_dead(there, child, name, MANY.symbols[number % len(MANY.symbols)])
            except TimeoutError:
                status = await child.ask("status")
                why = f"trading is {status['trading_state']} {status['trading_reason']}"
                raise Broken(f"nothing passed the point {name!r}; {why}; {child.lines[-4:]}") from None
            finally:
                armed_by.unlink()
            there.read_files()  # proves the chain, and that the records lead to a state (I11)
            bench.count(points=1)
        fresh_start(there)
        last = await there.life()
        await agrees(bench, there)
        await ended_well(bench, last)


# ---- the power ----


def keys_at_venues(there: Site) -> set[str]:
    """Our keys that venues have orders for."""
    exchanges = there.ground.exchanges.values()
    return {order["client_id"] for exchange in exchanges for order in orders_of(exchange)}


def intents_on_disk(there: Site) -> set[str]:
    """The keys whose intents are in the journal's files; they are proved."""
    return {fact.key for fact in oracle.facts(_records(there), OrderIntended) if isinstance(fact, OrderIntended)}


def _records(there: Site) -> Iterator[Record]:
    journal = read_journal(places(there.ground.folder / "state"))
    if journal is None:
        return
    follower = journal.follow(0)
    try:
        while found := follower.read(4096):
            yield from found
    finally:
        follower.close()


class Power:
    """A daemon's power on a site: `held_by` holds its syncs, and cut() leaves what was synced."""

    def __init__(self, there: Site) -> None:
        self.there = there
        self.held_by = there.ground.folder / "held"
        self._lives = 0
        self._notes = there.ground.folder / "notes"

    async def life(self, durability: str) -> Child:
        """A daemon that notes its syncs, ready and armed."""
        self._lives += 1
        self._notes = self.there.ground.folder / f"notes-{self._lives}"
        fresh_start(self.there)
        words = ("power", str(self._notes), str(self.held_by))
        return await self.there.life(f'journal.durability = "{durability}"', CALM, words=words)

    async def cut(self, child: Child) -> points.Cut:
        """The process is gone at once, and so is what was not synced."""
        await child.end(signal.SIGKILL)
        self.held_by.unlink(missing_ok=True)
        journal: Path = places(self.there.ground.folder / "state").folder
        return points.cut_power(journal, self._notes)


@drill("F94", None, POINTS_SEC)
async def power_is_cut(bench: Bench) -> None:
    """Only what was synced is left. "power": no venue has an order whose intent is gone, however long a sync takes.
    "process": what is lost is within the declared window, and an order whose intent is lost is adopted."""
    async with site(DATED, bench.folder) as there:
        power = Power(there)
        await _power_loses_nothing(bench, there, power)
        await _process_loses_its_window(bench, there, power)
    async with site(DATED, bench.folder / "orphans") as there:
        await _orphans_are_adopted(bench, there, Power(there))


async def _traded(there: Site) -> None:
    before = there.orders()
    await there.trade_until(DEAR, lambda: there.orders() > before, "the daemon trades")


async def _power_loses_nothing(bench: Bench, there: Site, power: Power) -> None:
    """A cut while trading; then one while a sync takes for ever, in which no create may leave."""
    child = await power.life("power")
    for _ in range(3):
        await _traded(there)
    cut = await power.cut(child)
    lost = keys_at_venues(there) - intents_on_disk(there)
    bench.need(not lost, f"I12: the intents of {sorted(lost)} are gone with the power")
    bench.count(power_lost_bytes=cut.lost_bytes)
    child = await power.life("power")
    await _traded(there)
    await there.calm(child)  # else an intent that was synced before may leave while syncs are held
    await agrees(bench, there)
    power.held_by.touch()
    before = keys_at_venues(there)
    for venue in (DEAR, CHEAP, DEAR):
        there.shift(venue)
        await asyncio.sleep(0.8)
    bench.need(keys_at_venues(there) == before, "I12: a create left before its intent was synced")
    cut = await power.cut(child)
    bench.need(cut.lost_bytes, "nothing was lost: no intent waited for the sync")
    lost = keys_at_venues(there) - intents_on_disk(there)
    bench.need(not lost, f"I12: the intents of {sorted(lost)} are gone with the power")
    fresh_start(there)
    last = await there.life()
    await agrees(bench, there)
    await ended_well(bench, last)


async def _process_loses_its_window(bench: Bench, there: Site, power: Power) -> None:
    """Cut while trading: the time of what is lost is no longer than a sync may be behind."""
    child = await power.life("process")
    for _ in range(3):
        await _traded(there)
    await child.end(signal.SIGKILL)
    whole = list(_records(there))
    cut = await power.cut(child)
    kept = list(_records(there))
    behind_ns = whole[-1].ts_ns - whole[len(kept)].ts_ns if len(kept) < len(whole) else 0
    most_ns = WINDOW_NS + 2 * cut.longest_sync_ns + SLACK_NS
    bench.need(behind_ns <= most_ns, f"I12: {behind_ns / 1e6:.1f} ms are lost, the window is {most_ns / 1e6:.1f} ms")
    bench.count(process_lost_records=len(whole) - len(kept))
    fresh_start(there)
    last = await there.life()
    await ended_well(bench, last)


async def _orphans_are_adopted(bench: Bench, there: Site, power: Power) -> None:
    """The disk stalls, an order leaves and fills, the power goes: the next life knows it by its prefix."""
    child = await power.life("process")
    await _traded(there)
    await there.calm(child)  # else an intent that was synced before may leave while syncs are held
    await agrees(bench, there)
    before = keys_at_venues(there)
    power.held_by.touch()
    await there.trade_until(DEAR, lambda: keys_at_venues(there) - before, "an order leaves")
    await asyncio.sleep(0.3)
    await power.cut(child)
    orphans = keys_at_venues(there) - intents_on_disk(there)
    bench.need(orphans, "no intent was lost: nothing was to be adopted")
    bench.count(orphans=len(orphans))
    there.ground.records.clear()
    there.ground.twin = there.ground._twin()
    fresh_start(there)
    last = await there.life()

    def adopted() -> bool:
        there.read_files()
        try:
            oracle.executions_agree(there.ground, there.ground.records)
            oracle.balances_agree(there.ground)
        except Broken:
            return False
        return True

    await until(adopted, 60.0, "I03: the orphans' executions are in the journal")
    await ended_well(bench, last)
