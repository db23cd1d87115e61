"""Group B: what a venue tells of executions, and what it takes back."""

from __future__ import annotations

from gambit.drills.registry import drill
from gambit.drills.stage import PRIVATE, Stage


@drill("F24")
async def executions_repeated(stage: Stage) -> None:
    """Each event of the private stream three times more, and the same after the stream was connected anew."""
    fault = stage.strike("okx", "dup", PRIVATE, times=3, count=20)
    await stage.fire(fault, "okx")
    await stage.settle()
    cut = stage.strike("okx", "disconnect", PRIVATE)
    await stage.trade_until("okx", lambda: cut.fired, why="the stream is cut")
    await stage.settle()
    await stage.still_trades("okx")


@drill("F29")
async def executions_lost(stage: Stage) -> None:
    """What the stream did not tell is read from history."""
    fault = stage.strike("kraken", "gap", {**PRIVATE, "report": "trade"}, count=3)
    await stage.fire(fault, "kraken")
    await stage.settle()
    await stage.still_trades("kraken")
