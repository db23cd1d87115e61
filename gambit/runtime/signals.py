"""What the daemon does on signals: TERM and INT stop (a second one ends at once), HUP reloads, USR1 halts trading."""

import asyncio
import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import Final

STOPPING = (signal.SIGTERM, signal.SIGINT)
ECHO_NS: Final = 300_000_000  # timeout(1) and the like send one to the process, and then to its group


class Signals:
    """Turns signals into calls on the loop; `remove` gives the signals back. `mono_ns` measures distances of time."""

    def __init__(
        self,
        *,
        stop: Callable[[str], None],
        reload: Callable[[], None],
        halt: Callable[[str], None],
        mono_ns: Callable[[], int],
    ) -> None:
        self._stop = stop
        self._reload = reload
        self._halt = halt
        self._mono_ns = mono_ns
        self._loop: asyncio.AbstractEventLoop | None = None

    def install(self, loop: asyncio.AbstractEventLoop) -> None:
        """Call it from the main thread."""
        self._loop = loop
        for number in STOPPING:
            loop.add_signal_handler(number, self._on_stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        loop.add_signal_handler(signal.SIGUSR1, self._halt, "signal SIGUSR1")

    def remove(self) -> None:
        """Back to the defaults."""
        if self._loop is not None:
            for number in (*STOPPING, signal.SIGHUP, signal.SIGUSR1):
                self._loop.remove_signal_handler(number)
            self._loop = None

    def _on_stop(self, number: signal.Signals) -> None:
        """From now on these signals end the process, also when the loop is stuck; the echo of this one does not."""
        came_ns = self._mono_ns()

        def leave(again: int, _frame: FrameType | None) -> None:
            if again != number or self._mono_ns() - came_ns >= ECHO_NS:
                os._exit(128 + again)

        if self._loop is not None:
            for other in STOPPING:
                self._loop.remove_signal_handler(other)
                signal.signal(other, leave)
        self._stop(f"signal {number.name}")
