"""What a drill is: a fault of the catalogue, what must hold, how it is played, and what came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

GROUPS: Final[Mapping[str, str]] = {
    "A": "submit outcome unknown",
    "B": "fills and cancels",
    "C": "imbalance and compensation",
    "D": "market data",
    "E": "transport, sessions, limits",
    "F": "time",
    "G": "crash and storage",
    "H": "control and risk",
    "I": "resources",
}


@dataclass(frozen=True, slots=True)
class Scenario:
    """A fault of the catalogue (reliability.md 2.3): what is done, what must hold, by which invariants."""

    id: str
    group: str
    trigger: str
    expected: str
    invariants: tuple[str, ...]


class Ended(StrEnum):
    """How a drill ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not applicable"
    NOT_BUILT = "not built"
    INTERRUPTED = "not played"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Where a drill is played: exchanges and a daemon on them. Drills of the same setting share one.

    `pace` makes both sides' clocks so many times faster; `is_live` has keys, arms and trades; `settings` are lines of
    configuration on top of the drill's own.
    """

    name: str
    venues: tuple[str, ...]
    symbols: tuple[str, ...] = ("BTC-USDT",)
    settings: tuple[str, ...] = ()
    is_live: bool = True
    pace: int = 1
    rate: float = 10.0


class Bench:
    """What every drill has: a folder of its own, and a place for what it counted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.evidence: dict[str, int | str] = {}

    def count(self, **counts: int | str) -> None:
        """Note what was seen; numbers of the same name add up."""
        for name, value in counts.items():
            before = self.evidence.get(name, 0)
            both = isinstance(before, int) and isinstance(value, int)
            self.evidence[name] = before + value if both else value  # type: ignore[operator]

    def need(self, ok: object, text: object) -> None:
        """Raise Broken when something does not hold."""
        if not ok:
            raise Broken(str(text))


class Broken(Exception):
    """An invariant does not hold: which, and what was seen."""


Play = Callable[[Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Drill:
    """How a scenario is played. Without a `setting` it builds what it needs in its folder; `limit_sec` is its time; one
    that `is_alone` measures times, and nothing else is played meanwhile."""

    scenario: Scenario
    play: Play
    setting: Setting | None
    limit_sec: float
    is_alone: bool = False


@dataclass(slots=True, kw_only=True)
class Result:
    """What came of a scenario."""

    scenario: Scenario
    ended: Ended
    reason: str = ""  # what broke, or why it was not played
    took_sec: float = 0.0
    evidence: Mapping[str, int | str] = field(default_factory=dict)
    verbs: Mapping[str, int] = field(default_factory=dict)  # faults that fired, by verb
