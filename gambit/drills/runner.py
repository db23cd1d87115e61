"""Runs drills one after the other: those of one setting on one ground, a fresh ground after whatever went wrong."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

from gambit.drills import (
    books,
    crashes,
    crowds,
    deaths,
    doors,
    fills,
    halts,
    imbalance,
    sessions,
    standing,
    storage,
    strains,
    telling,
    times,
    unknown,
)
from gambit.drills.catalogue import NOT_APPLICABLE, NOT_BUILT, SCENARIOS
from gambit.drills.ground import Ground, ground, until
from gambit.drills.registry import DRILLS
from gambit.drills.scenario import Bench, Broken, Drill, Ended, Result, Scenario, Setting
from gambit.drills.stage import Stage

# Importing a group's module registers its drills.
PLAYED: Final = (
    unknown,
    fills,
    imbalance,
    books,
    sessions,
    standing,
    times,
    crashes,
    crowds,
    deaths,
    doors,
    storage,
    halts,
    strains,
    telling,
)
QUIET_SEC: Final = 20.0

Told = Callable[[Result], None]


def chosen(names: Sequence[str], group: str | None = None) -> list[Scenario]:
    """The scenarios of these names, `all` for every one, in the order of the catalogue; only of a group, where one is
    given. Raises KeyError for a name that is none."""
    wanted = set(SCENARIOS) if "all" in names else {name.upper() for name in names}
    for name in wanted - SCENARIOS.keys():
        raise KeyError(name)
    return [one for one in SCENARIOS.values() if one.id in wanted and group in (None, one.group)]


class Rehearsal:
    """Some scenarios, played; `told` hears of each result, `begun` of each drill that starts."""

    def __init__(self, scenarios: Sequence[Scenario], told: Told, begun: Callable[[Scenario], None]) -> None:
        self.scenarios = scenarios
        self.results: list[Result] = []
        self._told = told
        self._begun = begun
        self._setting: Setting | None = None
        self._ground: Ground | None = None
        self._stack = AsyncExitStack()
        self._folders = 0

    async def run(self) -> list[Result]:
        """Play them all; the results in the order of the catalogue."""
        with tempfile.TemporaryDirectory(prefix="gambit-drill-", ignore_cleanup_errors=True) as folder:
            try:
                for scenario in self.scenarios:
                    if scenario.id not in DRILLS:
                        self._note(unplayed(scenario))
                for one in in_order(self.scenarios):
                    self._begun(one.scenario)
                    self._note(await self._play(one, Path(folder)))
            finally:
                await self._leave()
        order = [scenario.id for scenario in self.scenarios]
        self.results.sort(key=lambda result: order.index(result.scenario.id))
        return self.results

    def _note(self, result: Result) -> None:
        self.results.append(result)
        self._told(result)

    async def _play(self, one: Drill, folder: Path) -> Result:
        began = time.monotonic()
        bench: Bench | None = None
        broken = ""
        try:
            async with asyncio.timeout(one.limit_sec):
                bench = await self._bench(one, folder)
                await one.play(bench)
                if isinstance(bench, Stage) and not bench.expects_trouble:
                    await self._quiet(bench)
        except TimeoutError:
            broken = f"not over within {one.limit_sec:g} s"
        except Broken as error:
            broken = str(error)
        except Exception as error:
            broken = f"{type(error).__name__}: {error}"
        took_sec = time.monotonic() - began
        if broken or (isinstance(bench, Stage) and bench.expects_trouble):
            broken = await self._left(broken)
        return Result(
            scenario=one.scenario,
            ended=Ended.FAILED if broken else Ended.PASSED,
            reason=broken,
            took_sec=took_sec,
            evidence={} if bench is None else bench.evidence,
            verbs=bench.verbs() if isinstance(bench, Stage) else Counter(),
        )

    async def _bench(self, one: Drill, folder: Path) -> Bench:
        self._folders += 1
        place = folder / str(self._folders)
        place.mkdir(mode=0o700)
        if one.setting is None:
            return Bench(place)
        if self._setting != one.setting or self._ground is None:
            await self._leave()
            self._ground = await self._stack.enter_async_context(ground(one.setting, place))
            self._setting = one.setting
        return Stage(place, self._ground)

    async def _quiet(self, stage: Stage) -> None:
        """Leave the ground as the next drill wants to find it. Raises Broken."""
        for venue in stage.ground.exchanges:
            stage.clear(venue)
        await until(stage.ground.is_synced, QUIET_SEC, "books are synced again")
        if stage.ground.setting.is_live:
            await until(stage.ground.is_trading_possible, QUIET_SEC, "private streams stand again")

    async def _left(self, broken: str) -> str:
        """Take the ground down; what goes wrong with that is told too."""
        try:
            async with asyncio.timeout(QUIET_SEC):
                await self._leave()
        except Exception as error:
            return broken or f"the daemon did not end well: {type(error).__name__}: {error}"
        return broken

    async def _leave(self) -> None:
        stack, self._stack = self._stack, AsyncExitStack()
        self._ground, self._setting = None, None
        await stack.aclose()


def in_order(scenarios: Sequence[Scenario]) -> Iterator[Drill]:
    """Those that have a drill, by setting, so that each ground is built once."""
    played = [DRILLS[scenario.id] for scenario in scenarios if scenario.id in DRILLS]
    settings = list(dict.fromkeys(one.setting for one in played))
    for setting in settings:
        yield from (one for one in played if one.setting == setting)


def interrupted(scenarios: Sequence[Scenario], results: Sequence[Result]) -> list[Result]:
    """What came of all of them when a rehearsal was broken off, in the order of the catalogue."""
    known = {result.scenario.id: result for result in results}
    left = Result(scenario=scenarios[0], ended=Ended.INTERRUPTED, reason="the rehearsal was interrupted")
    return [known.get(one.id) or replace(left, scenario=one) for one in scenarios]


def unplayed(scenario: Scenario) -> Result:
    """Why a scenario is not played."""
    reason = NOT_APPLICABLE.get(scenario.id)
    ended = Ended.NOT_BUILT if reason is None else Ended.NOT_APPLICABLE
    return Result(scenario=scenario, ended=ended, reason=reason or NOT_BUILT[scenario.id])
