"""How long each venue takes to answer an order: what plans reckon with where routes compete (orders.md,
"RoutingSelector"), and after what time a refused opportunity is looked at once more.
"""

from collections import deque
from collections.abc import Callable
from statistics import median_low
from typing import Final

from gambit.events import Fact
from gambit.events.orders import Acked, Filled, OutcomeUnknown, Rejected, Sent

KEPT: Final = 31  # answers a venue; the median of them forgets one that was slow
WAITING: Final = 10_000  # orders without an answer that are remembered


class SentTimes:
    """When orders left, until the venue's first word about each: an execution, an acknowledgement or a refusal."""

    def __init__(self) -> None:
        self._sent_ns: dict[str, int] = {}  # by key

    def first_word(self, fact: Fact, now_ns: int) -> tuple[str, int] | None:
        """(venue, time from the send to this fact in ns) where it is the first word; None for every other one. An
        order whose outcome is unknown, or that waits behind WAITING younger ones, is forgotten."""
        match fact:
            case Sent():
                self._sent_ns[fact.key] = now_ns
                if len(self._sent_ns) > WAITING:
                    del self._sent_ns[next(iter(self._sent_ns))]
            case Acked() | Rejected() | Filled():
                sent_ns = self._sent_ns.pop(fact.key, None)
                return None if sent_ns is None else (fact.venue, max(now_ns - sent_ns, 0))
            case OutcomeUnknown():
                self._sent_ns.pop(fact.key, None)
        return None


class AnswerTimes:
    """A listener of the ledger: hears every fact and its time. `round_trip_ns` knows a venue's round trip by other
    means (its time was asked), which counts until an order was answered; None where it does not."""

    def __init__(self, round_trip_ns: Callable[[str], int | None]) -> None:
        self._round_trip_ns = round_trip_ns
        self._sent = SentTimes()
        self._took_ns: dict[str, deque[int]] = {}  # by venue

    def __call__(self, fact: Fact, now_ns: int) -> None:
        word = self._sent.first_word(fact, now_ns)
        if word is not None:
            venue, took_ns = word
            self._took_ns.setdefault(venue, deque(maxlen=KEPT)).append(took_ns)

    def of(self, venue: str) -> int:
        """Typical time from the send to the answer, ns; 0 while nothing was measured."""
        took = self._took_ns.get(venue)
        return median_low(took) if took else self._round_trip_ns(venue) or 0
