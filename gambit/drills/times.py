"""Group F: clocks that are wrong, apart, or step."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from typing import Final

from gambit.drills.registry import MARKET, drill
from gambit.drills.stage import Stage

APART_MS: Final = 30_000
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
