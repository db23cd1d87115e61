"""The simulated exchanges as a process of their own, so that they take no time from the daemon's."""

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Self

import msgspec

from gambit.sim.world import Scenario

DISLOCATIONS_PER_S: Final = 0.3  # per coin: something to see every few seconds
START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 5.0
ERROR_KEPT: Final = 4000  # characters of what it said last


class ExchangesError(Exception):
    """The simulated exchanges did not come up, or went away."""


class Exchange(msgspec.Struct, frozen=True):
    """Where a simulated venue listens, and the key of its account (contract.md, `gambit sim`)."""

    venue: str
    rest: str
    ws: str
    ws_private: str = ""
    key: str = ""
    secret: str = ""
    passphrase: str = ""


class Exchanges:
    """`gambit sim` as a child; an async context manager. Raises ExchangesError when it does not come up."""

    def __init__(
        self,
        venues: Sequence[str],
        symbols: Sequence[str],
        seed: int,
        env: Mapping[str, str],
        *,
        scenario: Scenario | None = None,
    ) -> None:
        """A `scenario` brings its own symbols."""
        self._venues = tuple(venues)
        self._scenario = scenario or Scenario(symbols=tuple(symbols), dislocations_per_s=DISLOCATIONS_PER_S)
        self._seed = seed
        self._env = dict(env)
        self._process: asyncio.subprocess.Process | None = None
        self._said = ""
        self._reader: asyncio.Task[None] | None = None
        self.exchanges: list[Exchange] = []

    async def __aenter__(self) -> Self:
        with tempfile.NamedTemporaryFile(prefix="gambit-scenario-", suffix=".json") as file:
            file.write(msgspec.json.encode(self._scenario))
            file.flush()
            await self._start(file.name)
            try:
                async with asyncio.timeout(START_SECONDS):
                    while len(self.exchanges) < len(self._venues):
                        self.exchanges.append(await self._next())
            except BaseException as error:
                await self._end()
                if isinstance(error, TimeoutError):
                    raise ExchangesError(f"the simulated exchanges did not come up in {START_SECONDS:g} s") from error
                raise
        return self

    async def _start(self, scenario: str) -> None:
        """A group of its own: Ctrl-C on the terminal is for the daemon, which then ends its exchanges in order. When
        the daemon is killed, the end of their standard input ends them."""
        words = ["--venues", ",".join(self._venues), "--port-base", "0", "--seed", str(self._seed), "--attached"]
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gambit", "sim", *words, "--scenario", scenario),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._env,
            start_new_session=True,
        )
        self._reader = asyncio.create_task(self._listen(), name="simulated exchanges: stderr")

    async def _next(self) -> Exchange:
        process = self._process
        if process is None or process.stdout is None:
            raise RuntimeError("the simulated exchanges were not started")
        line = await process.stdout.readline()
        if not line:
            await process.wait()
            raise ExchangesError(f"the simulated exchanges ended with code {process.returncode}: {self._said.strip()}")
        return msgspec.json.decode(line, type=Exchange)

    async def _listen(self) -> None:
        process = self._process
        if process is None or process.stderr is None:
            return
        while text := await process.stderr.read(65536):
            self._said = (self._said + text.decode(errors="replace"))[-ERROR_KEPT:]

    async def ended(self) -> str:
        """Wait until they are gone, which they should not be; why, as far as they said."""
        if self._process is None:
            raise RuntimeError("the simulated exchanges were not started")
        code = await self._process.wait()
        return f"the simulated exchanges ended with code {code}: {self._said.strip()}"

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    async def _end(self) -> None:
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # it was quicker
                process.terminate()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        if self._reader is not None:
            await self._reader
