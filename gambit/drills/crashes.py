"""Group G, the process: it is killed, stopped, started twice, starved."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import signal
import time
from typing import Final

from gambit.drills import oracle
from gambit.drills.children import CALM, Child, Site, site
from gambit.drills.ground import ACCOUNT, fills_of, until
from gambit.drills.registry import DATED, DESK, drill
from gambit.drills.scenario import Bench, Broken
from gambit.drills.stage import PLACE
from gambit.runtime.process import LOCK_NAME
from gambit.sim.dialect import OrderTerms
from gambit.sim.exchange import Exchange
from gambit.sim.matching import Order
from gambit.sim.verbs import FaultOrder

KILLS: Final = 6  # `tests/e2e/test_kill.py` does hundreds
SETTLE_SEC: Final = 45.0
DEAR: Final = "okx"
CHEAP: Final = "bybit"
SWITCH_SEC: Final = 10  # the least that venues take
HELD_MS: Final = 6000  # longer than Kraken's deadline of 5 s


async def agrees(bench: Bench, there: Site) -> None:
    """What the journal on the disk says is what the ledgers say: I01 to I05, I07, I08, I19, and flat (I06)."""
    problem: list[Broken] = []

    def compared() -> bool:
        there.read_files()
        ground = there.ground
        standing = ground.twin.standing
        try:
            live = [f"live {one.intent.venue} {key} {one.status}" for key, one in standing.live.items()]
            oracle.broken("I06", [*live, *(f"open {plan}" for plan in standing.open)])
            oracle.executions_agree(ground, ground.records)
            oracle.quantities_are_sums(ground)
            oracle.balances_agree(ground)
        except Broken as error:
            problem[:] = [error]
            return False
        return True

    try:
        await until(compared, SETTLE_SEC)
    except Broken:
        raise problem[0] from None
    ground = there.ground
    bench.count(
        orders=oracle.orders_have_intents(ground, ground.records),
        executions=oracle.executions_agree(ground, ground.records),
        records=len(ground.records),
    )
    oracle.moves_are_edges(ground.records)
    oracle.creates_are_sent_once(ground, ground.records)
    oracle.limits_are_kept(ground, ground.records)
    oracle.books_were_fresh(ground, ground.records)


async def traded(there: Site, dear: str = DEAR) -> None:
    """Another order than before is at a venue."""
    before = there.orders()
    await there.trade_until(dear, lambda: there.orders() > before, "the daemon trades")


async def ended_well(bench: Bench, child: Child) -> None:
    """SIGTERM, exit code 0."""
    code = await child.end()
    bench.need(code == 0, f"I12: ended with {code}: {child.said[-200:]} {child.complaints()[-3:]}")


@drill("F92", None)
async def random_kills(bench: Bench) -> None:
    """Killed at any instant while it trades, most soon after it is ready, some before; then a life to its end."""
    chance = random.Random(92)  # noqa: S311 - any instant will do
    async with site(DATED, bench.folder) as there:
        for turn in range(KILLS):
            child = await there.start()
            if turn % 4 != 3:
                await child.until_ready()
                for _ in range(chance.randint(1, 3)):
                    there.shift(chance.choice(DATED.venues))
                    await asyncio.sleep(chance.random() * 0.7)
            else:
                await asyncio.sleep(chance.random())
            await child.end(signal.SIGKILL)
            there.read_files()
        (there.ground.folder / "state" / "starts.json").unlink(missing_ok=True)
        last = await there.life()
        await agrees(bench, there)
        await ended_well(bench, last)
    bench.count(kills=KILLS)


@drill("F53", None)
async def killed_between_the_legs(bench: Bench) -> None:
    """One leg has filled, the other is held by its venue: the next life finds both and is flat."""
    async with site(DESK, bench.folder) as there:
        child = await there.life()
        exchange = there.ground.exchanges[CHEAP]
        held = exchange.strike(FaultOrder("hold", {"ms": 2500}, dict(PLACE), count=1))
        there.shift(CHEAP, -60.0, 20_000)
        await there.trade_until(DEAR, lambda: held.fired, "a leg is held")
        others = [one for name, one in there.ground.exchanges.items() if name != CHEAP]  # wherever the plan sold
        await until(lambda: any(map(fills_of, others)), 5.0, "the other leg fills")
        await child.end(signal.SIGKILL)
        await asyncio.sleep(1.0)
        last = await there.life()
        await agrees(bench, there)
        left = abs(oracle.net_base(there.ground, "BTC-USDT"))
        bench.need(left < 1, f"I06: {left} BTC is left")
        await ended_well(bench, last)


@drill("F91", None)
async def stopped_and_continued(bench: Bench) -> None:
    """The process stands still for 8 s while prices move; nothing is sent before its books are fresh again."""
    async with site(DESK, bench.folder) as there:
        child = await there.life(CALM)
        await traded(there)
        await there.calm(child)
        await agrees(bench, there)  # stopped between two legs it halts the symbol, as it should: not what this is about
        child.signal(signal.SIGSTOP)
        there.shift(CHEAP, 80.0, 7000)
        await asyncio.sleep(8.0)
        before = there.orders()
        child.signal(signal.SIGCONT)
        await asyncio.sleep(0.3)
        bench.need(there.orders() == before, "I08: an order on what it saw before")
        await traded(there)
        await agrees(bench, there)
        await ended_well(bench, child)


@drill("F117", None)
async def stopped_with_orders_at_the_venues(bench: Bench) -> None:
    """The process stands still: the switches that it set at OKX and Kraken until then empty the books there. Nothing of
    gambit's own rests, so one order at each was put on the account by somebody else; a create of its own is held on its
    way, and is past its deadline when it gets there."""
    async with site(DATED, bench.folder) as there:
        child = await there.life(f"execution.dead_man_sec = {SWITCH_SEC}")
        await traded(there)
        exchanges = {name: there.ground.exchanges[name] for name in ("okx", "kraken")}
        for name, exchange in exchanges.items():
            await until(lambda exchange=exchange: _has_switch(exchange), why=f"{name} is asked for its switch")  # type: ignore[misc]
        resting = {name: _rests(exchange) for name, exchange in exchanges.items()}
        held = exchanges["kraken"].strike(FaultOrder("hold", {"ms": HELD_MS}, dict(PLACE), count=1))
        await there.trade_until("kraken", lambda: held.fired, "a create is held")
        child.signal(signal.SIGSTOP)
        began = time.monotonic()
        await until(lambda: all(one.is_over for one in resting.values()), 60.0, "I06: the switches empty the books")
        bench.count(emptied_after_ms=int((time.monotonic() - began) * 1000))
        reasons = {name: one.reason for name, one in resting.items()}
        bench.need(set(reasons.values()) == {"cancel_all_after"}, f"I06: they ended by {reasons}")
        child.signal(signal.SIGCONT)
        await agrees(bench, there)
        await traded(there)
        await agrees(bench, there)
        await ended_well(bench, child)


def _has_switch(exchange: Exchange) -> bool:
    asked = (entry["path"].lower().replace("-", "") for entry in exchange.ledger.requests)
    return any("cancelall" in path and "after" in path for path in asked)


def _rests(exchange: Exchange) -> Order:
    """An order that nobody will fill."""
    book = exchange.books["BTC-USDT"]
    terms = OrderTerms(
        symbol="BTC-USDT", buys=True, lots=book.instrument.level_lots, price_ticks=book.bids.levels()[-1][0]
    )
    return exchange.desk.place(exchange.accounts[ACCOUNT], terms)


@drill("F100", None)
async def second_instance(bench: Bench) -> None:
    """On the same folder it is refused at once; on the same account the later epoch is noticed and the first halts."""
    async with site(DESK, bench.folder) as there:
        first = await there.life()
        await traded(there)
        began = time.monotonic()
        second = await there.start()
        await until(lambda: second.process.returncode is not None, 10.0, "the second instance ends")
        bench.need(second.process.returncode == 1, f"I15: it ended with {second.process.returncode}")
        bench.need("gambit" in second.said, f"I15: it said {second.said!r}")
        bench.count(refused_after_ms=int((time.monotonic() - began) * 1000))
        for _ in range(2):  # its epoch is then later than the first's
            other = await there.start(name="other")
            await other.until_ready()
            await other.end()
        other = await there.start(name="other")
        await other.until_ready()
        await first.ask("reduce", {"reason": "the other one is to trade"})
        await traded(there)
        status = await first.ask("status")
        for _ in range(40):
            if status["trading_state"] == "HALTED":
                break
            await asyncio.sleep(0.25)
            status = await first.ask("status")
        reason = status["trading_reason"]
        bench.need("another daemon" in reason, f"I15: {status['trading_state']}: {reason}")


@drill("F101", None)
async def stale_lock(bench: Bench) -> None:
    """The lock's file is there and names a process that lives, but nobody holds it."""
    async with site(DESK, bench.folder) as there:
        state = there.ground.folder / "state"
        state.mkdir(mode=0o700, exist_ok=True)
        (state / LOCK_NAME).write_text(f"{os.getpid()}\n")
        child = await there.life()
        await ended_well(bench, child)
    bench.count(starts=1)


@drill("F102", None)
async def asked_to_end(bench: Bench) -> None:
    """SIGTERM while creates are held by their venue: code 0 within 10 s; the next life finds what became of them."""
    async with site(DESK, bench.folder) as there:
        child = await there.life()
        held = there.ground.exchanges[DEAR].strike(FaultOrder("hold", {"ms": 2500}, dict(PLACE), count=1))
        await there.trade_until(DEAR, lambda: held.fired, "a create is held")
        began = time.monotonic()
        await ended_well(bench, child)
        took_sec = time.monotonic() - began
        bench.need(took_sec <= 10.0, f"I12: it took {took_sec:.1f} s")
        bench.count(ended_after_ms=int(took_sec * 1000))
        last = await there.life()
        await agrees(bench, there)
        await ended_well(bench, last)


@drill("F103", None)
async def memory_limit(bench: Bench) -> None:
    """No more address space: it ends or goes on, and the next life is whole."""
    async with site(DESK, bench.folder) as there:
        child = await there.life()
        await traded(there)
        pages = int((await asyncio.to_thread(_statm, child.process.pid)).split()[0])
        resource.prlimit(child.process.pid, resource.RLIMIT_AS, (pages * resource.getpagesize(),) * 2)
        for venue in DESK.venues:
            there.shift(venue)
            await asyncio.sleep(0.7)
        bench.count(outcome="lives on" if child.process.returncode is None else f"ended {child.process.returncode}")
        await child.end(signal.SIGKILL)
        there.read_files()
        last = await there.life()
        await agrees(bench, there)
        await ended_well(bench, last)


def _statm(pid: int) -> str:
    with open(f"/proc/{pid}/statm") as file:
        return file.read()


@drill("F105", None)
async def five_crashes(bench: Bench) -> None:
    """Five kills within a minute: the sixth start trades nothing until somebody resumes it."""
    async with site(DESK, bench.folder) as there:
        for _ in range(5):
            child = await there.start()
            await until(lambda: child.has_said("starting"), 20.0, "the child starts")  # noqa: B023 - waited for here
            await child.end(signal.SIGKILL)
        child = await there.life()
        bench.need(child.has_said("safe mode"), "I24: nobody was told")
        for _ in range(3):
            there.shift(DEAR)
            await asyncio.sleep(0.8)
        bench.need(there.orders() == 0, "I24: orders in safe mode")
        await child.ask("resume", {"reason": "a drill"})
        await traded(there)
        await agrees(bench, there)
        await child.end()
