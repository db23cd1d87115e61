"""What has still to be told, per channel: grouped, limited, tried again, handed to another channel. Without IO.

What holds here: news wait `group_ns` for company; one message at a time goes out per channel, with all that waits for
it; a channel sends at most its rate, so that a storm becomes one message; a message that fails is tried again with
growing waits, after TRIES_BEFORE_FALLBACK failures the channel's fallback gets it, and what nobody takes is dead.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from gambit.events.alerts import SEVERITIES, AlertFact, AlertRaised, AlertReminded, AlertResolved, Severity
from gambit.notify.parcel import Item, Parcel, parcel_of

SECOND_NS: Final = 1_000_000_000
TRIES_BEFORE_FALLBACK: Final = 2
TRIES: Final = 6
WAIT_FIRST_NS: Final = SECOND_NS
WAIT_MOST_NS: Final = 60 * SECOND_NS
ITEMS_MAX: Final = 1000  # that wait for one channel; beyond them the least severe are dropped and dead
TOLD_MAX: Final = 5000  # raised alerts that are remembered, so that their end can be told
BURST: Final = 5


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """What goes to a channel."""

    name: str
    least: Severity = "medium"
    rules: tuple[str, ...] = ()  # empty: every rule
    fallback: str = ""
    tells_end: bool = True
    per_minute: int = 20


class Left(msgspec.Struct, frozen=True):
    """What outlives the process: everything of the journal up to `seq` is in it."""

    seq: int
    waiting: Mapping[str, Sequence[Item]] = {}
    told: Mapping[str, AlertRaised] = {}


class _Lane:
    """One channel's queue."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self.waiting: list[Item] = []
        self.under_way: Parcel | None = None
        self.again: Parcel | None = None  # the message that is to be tried again
        self.ready_ns = 0
        self.tokens = float(BURST)
        self.counted_ns = 0


class Outbox:
    """Everything that has to be told. `random` gives numbers from 0 up to 1."""

    def __init__(self, routes: Sequence[Route], group_ns: int, random: Callable[[], float]) -> None:
        self._lanes = {route.name: _Lane(route) for route in routes}
        self._group_ns = group_ns
        self._random = random
        self.told: dict[str, AlertRaised] = {}
        self.dropped: list[Item] = []  # for whom a channel had no room

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits and nothing is under way."""
        return not any(lane.waiting or lane.under_way or lane.again for lane in self._lanes.values())

    def take(self, fact: AlertFact, at_ns: int, now_ns: int) -> None:
        """News of an alert, as of the fact's own time."""
        item = self._item(fact, at_ns)
        if item is None:
            return
        for lane in self._lanes.values():
            if wants(lane.route, item):
                self._put(lane, item, now_ns)

    def _item(self, fact: AlertFact, at_ns: int) -> Item | None:
        match fact:
            case AlertRaised():
                if fact.is_silenced:
                    return None
                self._remember(fact)
                return Item("raised", fact, at_ns)
            case AlertReminded():
                self._remember(fact.raised)
                return Item("reminded", fact.raised, at_ns, fact.reason)
            case AlertResolved():
                raised = self.told.pop(fact.alert_id, None)
                return None if raised is None else Item("resolved", raised, at_ns)
        return None

    def _remember(self, raised: AlertRaised) -> None:
        self.told[raised.alert_id] = raised
        while len(self.told) > TOLD_MAX:
            del self.told[next(iter(self.told))]

    def _put(self, lane: _Lane, item: Item, now_ns: int) -> None:
        if not lane.waiting:
            lane.ready_ns = max(lane.ready_ns, now_ns + self._group_ns)
        lane.waiting.append(item)
        if len(lane.waiting) > ITEMS_MAX:
            least = min(lane.waiting, key=lambda one: (SEVERITIES.index(one.alert.severity), one.at_ns))
            lane.waiting.remove(least)
            self.dropped.append(least)

    def due(self, now_ns: int) -> list[Parcel]:
        """The messages that are to leave now; each stays under way until `sent` or `failed`."""
        return [parcel for lane in self._lanes.values() if (parcel := self._next(lane, now_ns)) is not None]

    def _next(self, lane: _Lane, now_ns: int) -> Parcel | None:
        if lane.under_way is not None or now_ns < lane.ready_ns or not (lane.again or lane.waiting):
            return None
        if lane.again is not None:
            lane.under_way, lane.again = lane.again, None
            return lane.under_way
        rate = lane.route.per_minute / (60 * SECOND_NS)
        lane.tokens = min(BURST, lane.tokens + (now_ns - lane.counted_ns) * rate)
        lane.counted_ns = now_ns
        if lane.tokens < 1:
            lane.ready_ns = now_ns + int((1 - lane.tokens) / rate) + 1
            return None
        lane.tokens -= 1
        lane.under_way = parcel_of(lane.route.name, lane.waiting)
        lane.waiting = []
        return lane.under_way

    @property
    def next_due_ns(self) -> int | None:
        """When `due` may have something; None: not before something is taken or told."""
        return min(
            (
                lane.ready_ns
                for lane in self._lanes.values()
                if lane.under_way is None and (lane.again is not None or lane.waiting)
            ),
            default=None,
        )

    def sent(self, parcel: Parcel) -> None:
        """It arrived."""
        self._lanes[parcel.channel].under_way = None

    def failed(self, parcel: Parcel, now_ns: int, *, is_final: bool, wait_ns: int = 0) -> tuple[Item, ...] | None:
        """It did not; `is_final`: trying again would not help; `wait_ns`: what the channel asked for. Gives what
        becomes of it: None while it is tried again, nothing where another channel has it now, else the dead items."""
        lane = self._lanes[parcel.channel]
        lane.under_way = None
        other = self._lanes.get(lane.route.fallback)
        tries = TRIES_BEFORE_FALLBACK if other is not None else TRIES
        if not is_final and parcel.attempt < tries:
            span_ns = min(WAIT_MOST_NS, WAIT_FIRST_NS << (parcel.attempt - 1))
            lane.again = msgspec.structs.replace(parcel, attempt=parcel.attempt + 1)
            lane.ready_ns = now_ns + max(wait_ns, int(span_ns * (0.5 + self._random() / 2)))
            return None
        if other is None:
            return parcel.items
        dead: list[Item] = []
        for item in parcel.items:
            if item.via:  # it was handed on once already: two channels that fail do not play ball
                dead.append(item)
            else:
                self._put(other, msgspec.structs.replace(item, via=parcel.channel), now_ns)
        return tuple(dead)

    def left(self, seq: int) -> Left:
        """What has to outlive the process; what is under way counts as not told."""
        waiting = {
            name: [
                *(item for parcel in (lane.under_way, lane.again) if parcel is not None for item in parcel.items),
                *lane.waiting,
            ]
            for name, lane in self._lanes.items()
        }
        return Left(seq, {name: items for name, items in waiting.items() if items}, dict(self.told))

    def restore(self, left: Left, now_ns: int) -> list[Item]:
        """Take up what an earlier life had not told; gives what was for channels that are gone."""
        self.told = dict(left.told)
        orphans: list[Item] = []
        for name, items in left.waiting.items():
            lane = self._lanes.get(name)
            if lane is None:
                orphans += items
                continue
            for item in items:
                self._put(lane, item, now_ns)
        return orphans


def wants(route: Route, item: Item) -> bool:
    """Whether an item goes to a channel of its own accord."""
    return (
        SEVERITIES.index(item.alert.severity) >= SEVERITIES.index(route.least)
        and (not route.rules or item.alert.rule_id in route.rules)
        and (item.news != "resolved" or route.tells_end)
    )
