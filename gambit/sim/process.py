"""The simulated venues in a process of their own, so that they take nobody else's time."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from typing import IO

START_S = 20.0
STOP_S = 5.0


class SimulationFailed(RuntimeError):
    """The simulated exchanges did not start; the message has what they said."""


class Simulation:
    """`gambit sim` as a child process; its exchanges are up inside the context."""

    def __init__(self, venues: Sequence[str], *, seed: int = 1, port_base: int = 0, words: Sequence[str] = ()) -> None:
        """`words` are further words of the command line, such as --scenario FILE."""
        self.entries: dict[str, dict[str, str]] = {}  # what each venue printed, by its name
        self._venues = tuple(venues)
        self._words = (
            "--venues",
            ",".join(venues),
            "--seed",
            str(seed),
            "--port-base",
            str(port_base),
            *words,
            "--attached",
        )
        self._process: asyncio.subprocess.Process
        self._said: IO[bytes]

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    async def __aenter__(self) -> Simulation:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  (closed when the child ends)
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gambit",
            "sim",
            *self._words,
            stdin=asyncio.subprocess.PIPE,  # its end tells the child that we are gone, however that came about
            stdout=asyncio.subprocess.PIPE,
            stderr=self._said,  # a file, because nobody would empty a pipe
            start_new_session=True,  # Ctrl-C is for the parent, which then stops the child in order
        )
        try:
            async with asyncio.timeout(START_S):
                while len(self.entries) < len(self._venues):
                    await self._hear()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._stop()

    async def wait(self) -> int:
        """Until the child ends by itself: its exit code."""
        return await self._process.wait()

    async def _hear(self) -> None:
        """Read one line of the child.

        Raises SimulationFailed when it ended instead.
        """
        if self._process.stdout is None:
            raise SimulationFailed("the simulated exchanges have no output")
        line = await self._process.stdout.readline()
        if not line:
            self._said.seek(0)
            said = self._said.read().decode(errors="replace").strip()
            raise SimulationFailed(f"the simulated exchanges did not start: {said}")
        entry = json.loads(line)
        self.entries[entry["venue"]] = entry

    async def _stop(self) -> None:
        self._said.close()
        if self._process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
