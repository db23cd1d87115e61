"""What a rule of the alerts is: numbers or facts to watch, how long, how bad, and the words for it.

A rule watches numbers (`watches`) or facts (`starts`, `ends`), or it belongs to a notice of the desk and watches
nothing. One rule is one alert per scope; a scope is the labels of a series or fields of a fact.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from gambit.events.alerts import Severity

How = Literal["value", "increase", "share", "p50", "p95", "p99"]
Op = Literal[">", ">=", "<", "<=", "==", "!="]
Action = Literal["reduce", "halt"]
Unit = Literal["", "s", "share"]

SECOND_NS: Final = 1_000_000_000
MESSAGE_CHARS: Final = 500
RULE_ID: Final = re.compile(r"[a-z][a-z0-9_]{1,47}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """One number per scope, read from a metric.

    value: as it stands. increase: of a counter within the window. share: of a histogram's observations within the
    window those beyond `beyond`. p50, p95, p99: of a histogram within the window. With `over` a value or an increase is
    divided by that of another metric; a divisor below `least` tells nothing.
    """

    metric: str
    how: How = "value"
    window_sec: int = 60
    by: tuple[str, ...] | None = None  # labels that make the scope, the others are summed; None: all of the metric
    only: tuple[tuple[str, str], ...] = ()  # label values that a series must have
    over: str = ""
    beyond: float = 0.0
    least: float = 1.0
    where: str = ""  # a metric that must not be 0 for the same labels


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """Measures of which every one has to stand in the relation `op` to the threshold; `name` goes into the scope."""

    measures: tuple[Measure, ...]
    op: Op = ">"
    threshold: float = 0.0
    clear: float | None = None  # once raised, it holds until this is passed back; None: the threshold
    name: str = ""


class Occurrence(msgspec.Struct, frozen=True, kw_only=True):
    """Facts of a kind whose fields look as told (`*` stands for any text): `count` of them `within_sec`."""

    kind: str
    where: tuple[tuple[str, str], ...] = ()
    scope: tuple[str, ...] = ()  # fields that make the scope
    correlation: str = ""  # the field that says what it is about
    count: int = 1
    within_sec: int = 60


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One thing worth telling about. `message` names fields in braces, and `{value}`."""

    rule_id: str
    severity: Severity
    message: str
    watches: tuple[Watch, ...] = ()
    starts: tuple[Occurrence, ...] = ()
    ends: tuple[Occurrence, ...] = ()
    for_sec: float = 0.0  # how long the condition has to hold
    clear_sec: float = 0.0  # how long it has to be gone
    hold_sec: float = 300.0  # what no fact ends is over after this
    unit: Unit = ""
    actions: tuple[Action, ...] = ()
    seen: Watch | None = None  # how Prometheus sees what is a fact here
    is_enabled: bool = True
    pages: str = ""  # where the runbook is read, an address; empty: in docs

    @property
    def for_ns(self) -> int:
        """`for_sec` in ns."""
        return int(self.for_sec * SECOND_NS)

    @property
    def clear_ns(self) -> int:
        """`clear_sec` in ns."""
        return int(self.clear_sec * SECOND_NS)

    @property
    def runbook(self) -> str:
        """The page that says what it means and what to do."""
        return f"{self.pages}/{self.rule_id}" if self.pages else f"docs/runbook/{self.rule_id}.md"


def holds(op: Op, value: float, threshold: float) -> bool:
    """Whether the relation holds; never for NaN."""
    match op:
        case ">":
            return value > threshold
        case ">=":
            return value >= threshold
        case "<":
            return value < threshold
        case "<=":
            return value <= threshold
        case "==":
            return value == threshold
    return value == value and value != threshold


def scope_text(labels: Mapping[str, str]) -> str:
    """`venue:okx,symbol:BTC-USDT`; a label that is a scope already is taken as it is."""
    return ",".join(inert(value) if name == "scope" else f"{name}:{inert(value)}" for name, value in labels.items())


def within_scope(wanted: str, scope: str) -> bool:
    """Whether every part of `wanted` is a part of `scope`."""
    return set(filter(None, wanted.split(","))) <= set(scope.split(","))


def worded(rule: Rule, fields: Mapping[str, Any], value: float | None = None) -> str:
    """The rule's message with its blanks filled in; a blank that nothing is known for stays empty."""
    told = {name: inert(str(field)) for name, field in fields.items()}
    if value is not None:
        told["value"] = number_text(value, rule.unit)
    return re.sub(r"\{(\w+)\}", lambda blank: told.get(blank[1], ""), rule.message)[:MESSAGE_CHARS]


def number_text(value: float, unit: Unit) -> str:
    """`1.25 s`, `340 ms`, `12.5 %`, `1234`."""
    if unit == "share":
        return f"{value * 100:.3g} %"
    if unit == "s":
        return f"{value:.3g} s" if abs(value) >= 1 else f"{value * 1000:.3g} ms"
    return f"{value:.10g}"


def inert(text: str) -> str:
    """One line without control characters (S38)."""
    return _CONTROL.sub(" ", text).encode("utf-8", "replace").decode()
