"""A clock for a daemon and its exchanges: faster than the real one, to be stepped and stopped."""

from __future__ import annotations

from pathlib import Path

from gambit.runtime.clock import SystemClock


def waited_ns(pid: int = 0) -> int:
    """How long the first thread of a process (0: this one's) has had to wait for a processor, in ns since its start:
    what a time measured here owes to others on this machine. 0 where the system does not say."""
    try:
        return int(Path(f"/proc/{pid or 'self'}/schedstat").read_text().split()[1])
    except (OSError, IndexError):
        return 0


class Time:
    """`pace` times as fast as the machine's clock; held, it stands still for the exchanges only."""

    def __init__(self, pace: int = 1) -> None:
        self._clock = SystemClock()
        self._pace = pace
        self._began_ns, self._began_mono_ns = self._clock.now_ns(), self._clock.mono_ns()
        self._held_ns: int | None = None
        self._stands_ns: int | None = None

    def now_ns(self) -> int:
        """The daemon's wall clock."""
        return self._began_ns + self._daemons_ns()

    def mono_ns(self) -> int:
        """The daemon's monotonic clock."""
        return self._began_mono_ns + self._daemons_ns()

    def exchanges_ns(self) -> int:
        """The exchanges' clock."""
        return self._began_ns + self._passed_ns() if self._held_ns is None else self._held_ns

    def stand(self, after_ns: int = 0) -> None:
        """The daemon's clock stands still, so long after where it stood; the exchanges' goes on."""
        self._stands_ns = self._daemons_ns() + after_ns

    def go(self) -> None:
        """The daemon's clock goes on where the exchanges' is."""
        self._stands_ns = None

    def hold(self, held: bool) -> None:
        """Let nothing happen on the exchanges any more, or again."""
        self._held_ns = self.now_ns() if held else None

    def step(self, by_ns: int) -> None:
        """Both sides' wall clock is set."""
        self._began_ns += by_ns

    def _daemons_ns(self) -> int:
        return self._passed_ns() if self._stands_ns is None else self._stands_ns

    def _passed_ns(self) -> int:
        return (self._clock.mono_ns() - self._began_mono_ns) * self._pace
