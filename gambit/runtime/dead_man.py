"""A venue's switch that cancels all orders of the account some time after our last word: when to renew it, and whether
it stands. Without sockets."""

from collections.abc import Callable
from typing import Final

from gambit.runtime.admission import worded
from gambit.runtime.backoff import SEC
from gambit.venues.account import Turn
from gambit.venues.orders import DeadManSet

RENEWALS: Final = 3  # within the time of the switch: two may be lost


class DeadMan:
    """`seconds` is the switch's time, 0 for none; `warn` hears once of each reason why it could not be set."""

    def __init__(self, venue: str, seconds: int, warn: Callable[[str], None]) -> None:
        self.seconds = seconds
        self._venue = venue
        self._warn = warn
        self._asked_ns: int | None = None
        self._set_ns: int | None = None
        self._said = ""

    def is_due(self, mono_ns: int) -> bool:
        """Whether it wants to be renewed."""
        wait_ns = self.seconds * SEC // RENEWALS
        return bool(self.seconds) and (self._asked_ns is None or mono_ns - self._asked_ns >= wait_ns)

    def asked(self, mono_ns: int) -> None:
        """A renewal left."""
        self._asked_ns = mono_ns

    def learn(self, turn: Turn) -> None:
        """The answer to a renewal. What counts is when it was asked for: the venue's time begins after that."""
        if turn.fault is not None and worded(turn.fault) != self._said:
            self._said = worded(turn.fault)
            self._warn(f"{self._venue}: the switch that cancels all orders is not set: {self._said}")
        if any(isinstance(report, DeadManSet) for report in turn.told):
            self._set_ns, self._said = self._asked_ns, ""

    def stands(self, mono_ns: int) -> bool:
        """Whether the venue would cancel if we fell silent now."""
        return self._set_ns is not None and mono_ns - self._set_ns < self.seconds * SEC
