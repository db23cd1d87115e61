"""Keeps the process that cancels our orders when this one is gone (gambit.runtime.sweeper), and tells it what is open.

An order is told before it leaves; every second all that is open is told again, which is the sign of life too. A
watchdog that ended is started anew: without one no new order leaves, except where the venue has a switch of its own.
"""

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from gambit.runtime.backoff import SEC, Backoff
from gambit.runtime.clock import Clock
from gambit.runtime.sweeper import Beat, Bye, Hello, Open, Place

BEAT_SEC: Final = 1.0
SILENCE_SEC: Final = 10.0  # a daemon that does not beat for so long counts as gone
LOG_BYTES_MAX: Final = 1 << 20


class Watchdog:
    """`places` says who can be reached, with keys; `live` what is open now; `offsets_ns` the venues' clocks minus ours;
    `log` gets what the process says. Give it to the supervisor with run()."""

    def __init__(
        self,
        places: Callable[[], list[Place]],
        live: Callable[[], Sequence[Open]],
        offsets_ns: Callable[[], Mapping[str, int]],
        clock: Clock,
        *,
        prefix: str,
        epoch: int,
        log: Path,
        warn: Callable[[str], None],
        random: Callable[[], float],
    ) -> None:
        self.is_up = False
        self.pid: int | None = None
        self._places = places
        self._live, self._offsets_ns = live, offsets_ns
        self._clock = clock
        self._prefix = prefix
        self._epoch = epoch
        self._log = log
        self._warn = warn
        self._random = random
        self._process: asyncio.subprocess.Process | None = None
        self._renew = asyncio.Event()

    def opened(self, venue: str, symbol: str, key: str) -> None:
        """An order is about to leave."""
        self._say(Open(venue, symbol, key))

    def keys_changed(self) -> None:
        """Whoever watches gets the new ones."""
        self._renew.set()

    async def run(self) -> None:
        """For ever: a process that listens, and signs of life. When this ends in order the process ends too, or cancels
        what is still open."""
        backoff = Backoff(self._random)
        while True:
            began_ns = self._clock.mono_ns()
            await self._one()
            if not self._renew.is_set():
                self._warn("the watchdog ended; another is started, and no new orders leave meanwhile")
                await asyncio.sleep(backoff.failed(self._clock.mono_ns() - began_ns) / SEC)
            self._renew.clear()

    async def _one(self) -> None:
        put_aside(self._log)
        with self._log.open("ab") as log:
            self._log.chmod(0o600)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "gambit.runtime.sweeper"),
                stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._process, self.pid = process, process.pid
        ended = asyncio.create_task(process.wait())
        try:
            self._say(Hello(self._places(), self._prefix, self._epoch, SILENCE_SEC))
            self.is_up = True
            while not ended.done() and not self._renew.is_set():
                self._say(Beat(list(self._live()), dict(self._offsets_ns())))
                await asyncio.wait({ended}, timeout=BEAT_SEC)
        finally:
            self.is_up = False
            self._part(process)
            ended.cancel()

    def _part(self, process: asyncio.subprocess.Process) -> None:
        """Goodbye, unless something is open: nobody would look after it, and so it is cancelled. What is written when
        another watchdog follows is left to that one."""
        if self._renew.is_set() or not self._live():
            self._say(Bye())
        if process.stdin is not None:
            process.stdin.close()

    def _say(self, word: Hello | Open | Beat | Bye) -> None:
        """Handed to the pipe within this call, unless it is full."""
        process = self._process
        if process is not None and process.stdin is not None and not process.stdin.is_closing():
            process.stdin.write(msgspec.json.encode(word) + b"\n")


def put_aside(log: Path) -> None:
    """A log that is long gets the ending .1, in place of the one before; the next process begins a new one."""
    if log.exists() and log.stat().st_size >= LOG_BYTES_MAX:
        log.replace(log.with_name(f"{log.name}.1"))
