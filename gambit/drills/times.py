"""Group F: clocks that are wrong, apart, or step."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from itertools import pairwise
from typing import Final

from gambit.drills.ground import until
from gambit.drills.registry import MARKET, drill
from gambit.drills.scenario import Broken, Setting
from gambit.drills.stage import Stage

APART_MS: Final = 30_000
LEAVES_MS: Final = 1500
RETURNS_MS: Final = 400
MS_NS: Final = 1_000_000
TWO: Final = Setting(
    name="two venues",
    venues=("okx", "bybit"),
    settings=("engine.min_spread_bps = 30",),
    is_live=False,
)
HOUR_NS: Final = 3600 * 10**9


@drill("F87")
async def clocks_apart(stage: Stage) -> None:
    """OKX is half a minute ahead, Bybit behind, when the daemon starts: the offsets are learned, orders go through;
    then both step back, and nothing of ours fails of that."""
    stage.expects_trouble = True  # the offset is measured once a minute: this ground is of no use until then
    stage.strike("okx", "clock", offset_ms=APART_MS)
    stage.strike("bybit", "clock", offset_ms=-APART_MS)
    await stage.ground.restart()
    for venue in ("okx", "bybit"):
        await stage.still_trades(venue)
    for venue in ("okx", "bybit"):
        stage.clear(venue)
    await stage.episode("okx")
    await stage.episode("bybit")
    await stage.settle()
    stage.is_flat()
    stage.is_well()


@drill("F88")
async def wall_clock_steps_back(stage: Stage) -> None:
    """The machine's wall clock steps back an hour: deadlines hold, and the journal's times never go back."""
    whole = time.time_ns
    time.time_ns = lambda: whole() - HOUR_NS
    try:
        await stage.still_trades("okx")
    finally:
        time.time_ns = whole
    await stage.still_trades("bybit")
    records = await stage.records()
    back = [one.seq for before, one in pairwise(records) if one.ts_ns < before.ts_ns - 10**9]
    stage.need(not back, f"I11: times go back at {back[:3]}")


@drill("F89", MARKET)
async def venues_apart(stage: Stage) -> None:
    """Venues 5 s ahead and behind: no book is older or younger for it."""
    for place, venue in enumerate(stage.ground.exchanges):
        stage.strike(venue, "clock", for_ms=8000, offset_ms=(5000, -5000)[place % 2])
    await asyncio.sleep(1.5)
    await stage.over()
    await stage.books_are_true()


@drill("F90", MARKET)
async def microseconds(stage: Stage) -> None:
    """Times come a thousand times larger for a while: nothing is decided by them, nothing is from the year 52 000."""
    faults = [stage.strike(venue, "microseconds", for_ms=6000) for venue in ("binance", "okx", "bybit")]
    await stage.over()
    stage.need(all(fault.fired for fault in faults), "no time was changed")
    await stage.books_are_true()


@drill("F75", TWO)
async def at_the_freshness_limit(stage: Stage) -> None:
    """Bybit leaves OKX, whose last update is as old as the limit allows, a millisecond younger, a millisecond older. A
    socket holds no millisecond, so the daemon's clock stands still at each of these instants."""
    ground = stage.ground
    limit_ns = int(ground.config.engine.max_book_age_ms * MS_NS)
    ground.time.stand()
    await until(lambda: _age_ns(stage, "okx") == 0, why="an update of this very instant")
    frozen = stage.strike("okx", "freeze", what="book", for_ms=60_000)
    await until(lambda: frozen.fired, why="okx says no more")
    await asyncio.sleep(0.3)
    stage.need(_age_ns(stage, "okx") == 0, f"okx's book is {_age_ns(stage, 'okx')} ns old on a clock that stands")
    ages = (limit_ns - MS_NS, limit_ns, limit_ns + MS_NS)
    before_ns = 0
    for age_ns in ages:
        ground.time.stand(age_ns - before_ns)
        before_ns = age_ns
        raised = len(ground.raised)
        is_found = await _bybit_leaves(stage, raised)
        is_fresh = age_ns <= limit_ns
        stage.need(_age_ns(stage, "okx") == age_ns, f"okx's book is {_age_ns(stage, 'okx')} ns old, not {age_ns}")
        stage.need(is_found == is_fresh, f"I08: {age_ns / 1e6:g} ms old: {'' if is_found else 'not '}taken for fresh")
        stage.count(ages=1)
    ground.time.go()
    stage.clear("okx")
    await until(ground.is_synced, 30.0, "every book is synced again")


def _age_ns(stage: Stage, venue: str) -> int:
    """How long ago, by the daemon's clock, a frame said something of a venue's book."""
    market = stage.ground.daemon.parts.market
    place = [tuple(listing) for listing in market.listings].index((venue, stage.ground.setting.symbols[0]))
    return stage.ground.time.now_ns() - int(market.pairs.states()[place][2])


async def _bybit_leaves(stage: Stage, raised: int) -> bool:
    """Whether an opportunity was raised while Bybit was dear, and the daemon saw that it was."""
    ground = stage.ground
    ends_ns = ground.now_ns() + (LEAVES_MS + RETURNS_MS) * MS_NS
    stage.shift("bybit", 100.0, LEAVES_MS)
    pairs = ground.daemon.parts.market.pairs
    listings = [tuple(listing) for listing in ground.daemon.parts.market.listings]
    okx, bybit = (listings.index((venue, ground.setting.symbols[0])) for venue in ("okx", "bybit"))
    await until(
        lambda: pairs.touch(bybit)[0] > pairs.touch(okx)[1] * 1.005, why="bybit is dear by what is decided with"
    )
    stage.need(_age_ns(stage, "bybit") == 0, "bybit's update is not of this instant")
    with suppress(Broken):  # its first levels may hold too little
        await until(lambda: len(ground.raised) > raised, 1.2)
    is_found = len(ground.raised) > raised
    board = ground.daemon.parts.readings.board
    await until(lambda: ground.now_ns() > ends_ns and not board.open, why="it is over")
    return is_found
