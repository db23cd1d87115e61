"""Group I: too much of something, and parts that fail."""

from __future__ import annotations

import asyncio
from typing import Final

from gambit.drills.children import site
from gambit.drills.crashes import agrees, ended_well, traded
from gambit.drills.ground import until
from gambit.drills.registry import DESK, MARKET, drill
from gambit.drills.scenario import Bench, Setting
from gambit.drills.stage import Stage
from gambit.surface import client

FAST: Final = Setting(
    name="five times the rate",
    venues=DESK.venues,
    symbols=MARKET.symbols,
    settings=MARKET.settings,
    is_live=False,
    rate=50.0,
)


@drill("F120", FAST, alone=True)
async def five_times_the_rate(stage: Stage) -> None:
    """Ten seconds of it: every tick was read, and books are the venues'."""
    frames = sum(feed.frames for feed in stage.ground.daemon.parts.feeds.statuses())
    await asyncio.sleep(10.0)
    more = sum(feed.frames for feed in stage.ground.daemon.parts.feeds.statuses()) - frames
    stage.count(frames=more)
    await stage.books_are_true()


def waits(task: asyncio.Task[object]) -> bool:
    """Whether a task waits for a future of its own that is open."""
    waiter = getattr(task, "_fut_waiter", None)
    return waiter is not None and not waiter.done()


@drill("F121")
async def every_task_dies(stage: Stage) -> None:
    """Each supervised task in turn ends with an exception: told and halted within a second."""
    stage.expects_trouble = True
    names = [name for name in sorted(stage.ground.daemon._supervisor.tasks) if name != "journal retention"]
    for name in names:
        await stage.ground.restart()
        daemon = stage.ground.daemon
        daemon.parts.switch.change("ACTIVE", "the drill goes on", "a drill")
        task = daemon._supervisor.tasks[name]
        await until(lambda task=task: waits(task), 5.0, f"{name} waits for something")  # type: ignore[misc]
        task._fut_waiter.set_exception(RuntimeError("a drill's failure"))  # type: ignore[attr-defined]
        await until(lambda daemon=daemon: daemon.problems, 1.0, f"I24: {name} is told of")  # type: ignore[misc]
        stage.need(daemon.parts.switch.state == "HALTED", f"I24: {name} died and trading goes on")
        stage.count(tasks=1)


@drill("F123", None)
async def log_that_nobody_reads(bench: Bench) -> None:
    """Standard error is a full pipe and everything is logged: trading goes on."""
    async with site(DESK, bench.folder) as there:
        child = await there.start('daemon.log_level = "debug"', is_heard=False)

        ready = False
        for _ in range(200):
            await asyncio.sleep(0.1)
            try:
                ready = bool((await child.ask("status"))["ready"])
            except client.ControlError:
                continue
            if ready:
                break
        bench.need(ready, "the child is not ready")
        for _ in range(3):
            await traded(there)
        await agrees(bench, there)
        child.listen()
        await ended_well(bench, child)
