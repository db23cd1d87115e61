"""Plays drills in processes of their own, some at a time: a rehearsal waits more than it works.

A worker (``python -m gambit.drills.worker F01 F02``) tells each drill that begins and each result as a line of JSON. It
has a session of its own, so that Ctrl-C at a terminal reaches it once only: through whoever started it.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from itertools import groupby
from signal import SIGINT
from typing import Final

import msgspec

from gambit.drills.catalogue import SCENARIOS
from gambit.drills.registry import DRILLS
from gambit.drills.runner import Told, in_order, unplayed
from gambit.drills.scenario import Drill, Ended, Result, Scenario

AT_ONCE: Final = 6  # drills of one worker: most of them share what they are played on
END_SEC: Final = 30.0  # for a worker to take down what it built
SAID_BYTES: Final = 2000
LINE_BYTES: Final = 1 << 20


class Line(msgspec.Struct, omit_defaults=True):
    """What a worker says: a drill that begins, or what came of one."""

    begun: str = ""
    result: Result | None = None


class Crew:
    """Some scenarios, played by `jobs` workers at a time; as gambit.drills.runner.Rehearsal otherwise."""

    def __init__(self, scenarios: Sequence[Scenario], told: Told, begun: Callable[[Scenario], None], jobs: int) -> None:
        self.scenarios = scenarios
        self.results: list[Result] = []
        self._told = told
        self._begun = begun
        self._jobs = jobs

    async def run(self) -> list[Result]:
        """Play them all; the results in the order of the catalogue."""
        for scenario in self.scenarios:
            if scenario.id not in DRILLS:
                self._note(unplayed(scenario))
        for is_alone in (False, True):  # what measures times has the machine to itself
            found = deque(parts([one for one in in_order(self.scenarios) if one.is_alone == is_alone]))
            async with asyncio.TaskGroup() as group:
                for _ in range(1 if is_alone else self._jobs):
                    group.create_task(self._work(found))
        order = list(SCENARIOS)
        self.results.sort(key=lambda result: order.index(result.scenario.id))
        return self.results

    def _note(self, result: Result) -> None:
        self.results.append(result)
        self._told(result)

    async def _work(self, found: deque[list[str]]) -> None:
        while found:
            await self._play(found.popleft())

    async def _play(self, names: list[str]) -> None:
        """One worker from its start to its end."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gambit.drills.worker", *names),
            stdin=DEVNULL, stdout=PIPE, stderr=PIPE, start_new_session=True, limit=LINE_BYTES,
        )  # fmt: skip
        said = asyncio.create_task(_tail(process), name="a worker's words")
        left = list(names)
        try:
            async for line in _lines(process):
                if line.begun:
                    self._begun(SCENARIOS[line.begun])
                if line.result is not None:
                    left.remove(line.result.scenario.id)
                    self._note(line.result)
            await process.wait()
        finally:
            await _ended(process)
            words = await said
        for name in left:
            reason = f"the process that played it ended with {process.returncode}: {words}"
            self._note(Result(scenario=SCENARIOS[name], ended=Ended.FAILED, reason=reason))


def parts(drills: Sequence[Drill]) -> Iterator[list[str]]:
    """What one worker plays: drills of one setting, not too many."""
    for _, same in groupby(drills, key=lambda one: one.setting):
        names = [one.scenario.id for one in same]
        for start in range(0, len(names), AT_ONCE):
            yield names[start : start + AT_ONCE]


async def _lines(process: Process) -> AsyncIterator[Line]:
    stream = process.stdout
    while stream is not None and (line := await stream.readline()):
        yield msgspec.json.decode(line, type=Line)


async def _tail(process: Process) -> str:
    said = b""
    while process.stderr is not None and (more := await process.stderr.read(4096)):
        said = (said + more)[-SAID_BYTES:]
    return said.decode(errors="replace").strip()


async def _ended(process: Process) -> None:
    """A worker that is not to go on takes down what it built; one that does not is killed."""
    if process.returncode is not None:
        return
    process.send_signal(SIGINT)
    try:
        async with asyncio.timeout(END_SEC):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
