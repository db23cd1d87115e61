"""What opportunities that were not traded would have earned, told once our orders would have been there.

Only waited for, and no state: after a restart what waits ends without it.
"""

from decimal import Decimal
from typing import Final, NamedTuple

from gambit.engine.plan import Opportunity

AT_ONCE: Final = 2  # each costs a plan; market data must not wait for many
WAITING_MAX: Final = 1000


class Wait(NamedTuple):
    """An opportunity that was refused or planned, and when our measured latency has passed."""

    due_ns: int
    latency_ns: int
    opportunity: Opportunity


class Hindsight:
    """Opportunities that wait, and what is known of those whose plans are open still."""

    def __init__(self) -> None:
        self._waiting: list[Wait] = []
        self.known: dict[str, tuple[Decimal | None, int]] = {}  # profit and latency, of open plans by opp_id

    def add(self, opportunity: Opportunity, latency_ns: int, now_ns: int) -> list[Wait]:
        """One more; gives those that are too many, the oldest."""
        self._waiting.append(Wait(now_ns + latency_ns, latency_ns, opportunity))
        return [self._waiting.pop(0)] if len(self._waiting) > WAITING_MAX else []

    def due(self, now_ns: int) -> list[Wait]:
        """Those to be told now, a few at once; they wait no more."""
        due = [each for each in self._waiting if each.due_ns <= now_ns][:AT_ONCE]
        self._waiting = [each for each in self._waiting if each not in due]
        return due

    def awaits(self, opp_id: str) -> bool:
        """Whether an opportunity is to be told of later."""
        return any(each.opportunity.opp_id == opp_id for each in self._waiting)

    @property
    def deadline_ns(self) -> int | None:
        """When the next is due; None: nothing waits."""
        return min((each.due_ns for each in self._waiting), default=None)
