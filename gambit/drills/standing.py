"""Group G, what a daemon stands on when it comes back: its snapshots are damaged, or what it holds is not asked for."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Final

from gambit.drills import oracle
from gambit.drills.children import Child, site
from gambit.drills.crashes import ended_well
from gambit.drills.ground import fills_of, until
from gambit.drills.imbalance import BUY, DEAR
from gambit.drills.registry import DESK, drill
from gambit.drills.scenario import Bench, Setting
from gambit.drills.stage import Stage
from gambit.runtime.keeping import journal_places
from gambit.runtime.snapshots import ENDING, KEPT, snapshots_folder
from gambit.sim.verbs import FaultOrder

PAIR: Final = Setting(name="two", venues=DESK.venues, symbols=("BTC-USDT", "ETH-USDT"))
GONE: Final = "BTC-USDT"
HASTY: Final = ("execution.flat_deadline_ms = 3000",)


@drill("F107")
async def snapshots_damaged(stage: Stage) -> None:
    """The last snapshot is damaged, then the last two: each is told and not used, an older one leads to the
    same state, which is that of a desk made from the journal alone."""
    ground = stage.ground
    folder = snapshots_folder(journal_places(ground.config).folder)
    replayed: list[int] = []
    for damaged in range(3):
        for _ in range(2):
            await stage.still_trades("okx")
            await ground.daemon.parts.keeping.keep_standing()
        await ground.stop()
        files = sorted(folder.glob(f"*{ENDING}"))
        stage.need(len(files) == KEPT, f"{len(files)} snapshots are kept")
        for file in files[len(files) - damaged :]:
            _damage(file)
        lines = len(ground.log.lines)
        await ground.start()
        told = [line for line in ground.log.of("warning", lines) if "is not used" in line]
        stage.need(len(told) == damaged, f"I11: {damaged} are damaged, told is {told}")
        replayed.append(ground.dealing.replayed)
        await ground.until_written_down()
        oracle.journal_is_the_state(ground)
        stage.count(damaged=damaged)
    stage.need(replayed[0] < replayed[1] < replayed[2], f"I11: {replayed} records were replayed")
    stage.count(replayed=", ".join(map(str, replayed)))
    await stage.still_trades("okx")


def _damage(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))


async def position_of(child: Child, symbol: str) -> Decimal:
    """What the daemon says that it holds."""
    rows = (await child.ask("positions"))["positions"]
    return sum((Decimal(row["qty"]) for row in rows if row["symbol"] == symbol), Decimal(0))


@drill("F106", None)
async def symbol_leaves_with_a_position(bench: Bench) -> None:
    """A position is left naked in a symbol; then the symbol leaves the configuration, then the venue that sold it. The
    daemon knows of the position all the time, and says at its start when nothing can end it; with both back, nothing is
    lost."""
    async with site(PAIR, bench.folder) as there:
        child = await there.life(*HASTY)
        for exchange in there.ground.exchanges.values():
            exchange.strike(FaultOrder("reject", {}, dict(BUY), for_ms=3_600_000))
        await there.trade_until(DEAR, lambda: fills_of(there.ground.exchanges[DEAR]), "a leg that nobody hedges")

        def is_given_up() -> bool:
            there.read_files()
            return bool(oracle.unhedged(there.ground.records)) and not there.ground.twin.standing.live

        await until(is_given_up, 45.0, "the imbalance is given up")
        held = await position_of(child, GONE)
        await ended_well(bench, child)
        bench.need(held < 0, f"{held} {GONE} is left: no position to go on with")
        for exchange in there.ground.exchanges.values():
            exchange.clear()
        for without in ('symbols = ["ETH-USDT"]', f"venues.{DEAR}.enabled = false"):
            child = await there.life(without)
            bench.need(await position_of(child, GONE) == held, f"I06: {await position_of(child, GONE)}, was {held}")
            told = child.has_said("a position whose symbol is not traded any more")
            bench.need(
                told == without.startswith("symbols"), f"I06: {'told' if told else 'nobody was told'}: {without}"
            )
            await ended_well(bench, child)
            bench.count(without=1)
        last = await there.life()
        bench.need(await position_of(last, GONE) == held, "I06: the position is another one")
        await ended_well(bench, last)
        there.read_files()
        oracle.executions_agree(there.ground, there.ground.records)
        oracle.balances_agree(there.ground)
        bench.count(position=str(held))
