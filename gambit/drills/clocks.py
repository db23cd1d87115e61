"""A clock for a daemon and its exchanges: faster than the real one, to be stepped and held."""

from __future__ import annotations

from gambit.runtime.clock import SystemClock


class Time:
    """`pace` times as fast as the machine's clock; held, it stands still for the exchanges only."""

    def __init__(self, pace: int = 1) -> None:
        self._clock = SystemClock()
        self._pace = pace
        self._began_ns, self._began_mono_ns = self._clock.now_ns(), self._clock.mono_ns()
        self._held_ns: int | None = None

    def now_ns(self) -> int:
        """The daemon's wall clock."""
        return self._began_ns + self._passed_ns()

    def mono_ns(self) -> int:
        """The daemon's monotonic clock."""
        return self._began_mono_ns + self._passed_ns()

    def exchanges_ns(self) -> int:
        """The exchanges' clock."""
        return self.now_ns() if self._held_ns is None else self._held_ns

    def hold(self, held: bool) -> None:
        """Let nothing happen on the exchanges any more, or again."""
        self._held_ns = self.now_ns() if held else None

    def _passed_ns(self) -> int:
        return (self._clock.mono_ns() - self._began_mono_ns) * self._pace
