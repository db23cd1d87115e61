"""The faults a live simulated venue can be asked for: which are in force, what they match, how often they fired.

Rules: a fault fires where its verb is asked about facts that its `match` agrees with, `count` times, or with a
`probability`, or until `for_ms` have passed (both bounds may be given; with none of them, once). Chance is a hash of
(seed, fault, n-th use), so that taking one fault away leaves the others where they were.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from gambit.sim.arguments import BadFault, check_arguments

VERBS = (
    "delay", "hold", "drop_request", "drop_reply", "http", "close_after_read", "dup", "reorder", "partial", "reject",
    "late_fill", "bust", "overfill", "strip_id", "gap", "checksum", "freeze", "cross", "poison", "burst", "disconnect",
    "half_open", "refuse", "expire_session", "limit", "filters", "status", "fee", "clock", "rights", "maintenance",
    "late", "microseconds",
)  # fmt: skip
STANDING = ("filters", "status", "fee", "clock", "rights")  # these change how the venue stands, at once
MILLI_NS = 1_000_000
FAULTS_MAX = 10_000


class FaultOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What POST /_sim/fault takes.

    `match` holds facts that must be equal (see each verb's place in exchange.py and delivery.py for the facts it is
    asked with: symbol, account, path, method, action, side, channel, private ...); `skip` lets the first n matches
    pass.
    """

    kind: str
    args: dict[str, Any] = {}
    match: dict[str, Any] = {}
    count: int | None = None
    probability: float | None = None
    for_ms: int | None = None
    skip: int = 0


def is_standing(order: FaultOrder) -> bool:
    """Whether it changes how the venue stands, at once."""
    return order.kind in STANDING or (order.kind == "expire_session" and bool(order.args.get("revoke")))


class Fault:
    """A fault in force."""

    __slots__ = ("fired", "number", "order", "seen", "stands", "until_ns")

    def __init__(self, number: int, order: FaultOrder, now_ns: int) -> None:
        self.number = number
        self.order = order
        self.until_ns = now_ns + order.for_ms * MILLI_NS if order.for_ms is not None else None
        self.seen = 0
        self.fired = 0
        self.stands = False  # it changed how the venue stands, and that holds

    @property
    def args(self) -> dict[str, Any]:
        """The verb's arguments."""
        return self.order.args

    def number_arg(self, name: str, default: float) -> float:
        """A numeric argument."""
        return float(self.order.args.get(name, default))

    def is_spent(self, now_ns: int) -> bool:
        """Whether it will never fire again."""
        order = self.order
        if self.until_ns is not None and now_ns >= self.until_ns:
            return True
        if order.count is not None:
            return self.fired >= order.count
        return self.fired > 0 and order.for_ms is None and order.probability is None


def check(order: FaultOrder) -> None:
    """Raise BadFault for an unknown verb, or bounds, arguments and facts to match that make no sense."""
    if order.kind not in VERBS:
        raise BadFault(f"no fault is called {order.kind!r}; known are {', '.join(VERBS)}")
    if order.count is not None and order.count < 1:
        raise BadFault(f"{order.kind}: count is {order.count}, must be at least 1")
    if order.probability is not None and not 0 < order.probability <= 1:
        raise BadFault(f"{order.kind}: probability is {order.probability}, must be above 0 and at most 1")
    if order.for_ms is not None and order.for_ms < 1:
        raise BadFault(f"{order.kind}: for_ms is {order.for_ms}, must be at least 1")
    if order.skip < 0:
        raise BadFault(f"{order.kind}: skip is {order.skip}, must be at least 0")
    check_arguments(order.kind, order.args, order.match)


class Faults:
    """All faults of one venue, in the order they were asked for."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._count = 0
        self._in_force: dict[str, list[Fault]] = {}
        self._all: dict[int, Fault] = {}

    def add(self, order: FaultOrder, now_ns: int) -> Fault:
        """Put a fault in force.

        Raises BadFault for an unknown verb, bounds that make no sense or too many faults.
        """
        check(order)
        if len(self._all) >= FAULTS_MAX:
            raise BadFault(f"{FAULTS_MAX} faults were asked for already; POST /_sim/clear forgets them")
        self._count += 1
        fault = Fault(self._count, order, now_ns)
        self._all[fault.number] = fault
        self._in_force.setdefault(order.kind, []).append(fault)
        return fault

    @property
    def is_calm(self) -> bool:
        """Whether no fault at all may fire."""
        return not self._in_force

    def any(self, kind: str) -> bool:
        """Whether a fault of that verb may still fire; cheap enough to ask for every frame."""
        return kind in self._in_force

    def fire(
        self, kind: str, now_ns: int, facts: Mapping[str, Any], *, unless: Callable[[Fault], bool] | None = None
    ) -> Fault | None:
        """The first fault of that verb that hits these facts, which counts as one firing; None mostly."""
        waiting = self._in_force.get(kind)
        if waiting is None:
            return None
        live = [fault for fault in waiting if not fault.is_spent(now_ns)]
        if live:
            self._in_force[kind] = live
        else:
            del self._in_force[kind]
        for fault in live:
            if _agrees(fault, facts) and (unless is None or not unless(fault)) and self._strikes(fault):
                fault.fired += 1
                return fault
        return None

    def listing(self, now_ns: int) -> list[dict[str, Any]]:
        """Every fault asked for and how often it fired, for GET /_sim/faults."""
        return [
            {
                "id": fault.number,
                "kind": fault.order.kind,
                "args": fault.args,
                "match": fault.order.match,
                "fired": fault.fired,
                "in_force": fault.stands or not fault.is_spent(now_ns),
            }
            for fault in self._all.values()
        ]

    def clear(self) -> None:
        """Forget all faults and their counts."""
        self._in_force.clear()
        self._all.clear()

    def _strikes(self, fault: Fault) -> bool:
        """Whether one that agrees with the facts fires this time."""
        fault.seen += 1
        if fault.seen <= fault.order.skip:
            return False
        share = fault.order.probability
        return share is None or chance(self._seed, fault.number, fault.seen) < share


def _agrees(fault: Fault, facts: Mapping[str, Any]) -> bool:
    return all(facts.get(name) == value for name, value in fault.order.match.items())


def chance(seed: int, *keys: int) -> float:
    """A number in [0, 1) that depends on nothing but its arguments."""
    return zlib.crc32(":".join([str(seed), *map(str, keys)]).encode()) / 2**32
