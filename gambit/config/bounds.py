"""How a setting is declared: what it is for, its unit and what it may be."""

import dataclasses
from decimal import Decimal

import msgspec


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """What a key means, its unit, and the values it may take (`low`..`high` inclusive, or above `above`)."""

    text: str
    unit: str = ""
    low: Decimal | None = None
    high: Decimal | None = None
    above: Decimal | None = None

    def admits(self, value: int | Decimal) -> bool:
        """Whether a number lies within the limits."""
        return (
            (self.low is None or value >= self.low)
            and (self.above is None or value > self.above)
            and (self.high is None or value <= self.high)
        )

    @property
    def range_text(self) -> str:
        """The limits as a reader wants them: `1..30`, `1..1000 (without 1)`, or nothing."""
        if self.high is None:
            return ""
        if self.above is not None:
            return f"{self.above:f}..{self.high:f} (without {self.above:f})"
        return f"{self.low:f}..{self.high:f}"


def within(low: str, high: str, text: str, unit: str = "") -> Rule:
    """A number from `low` to `high`, both included."""
    return Rule(text, unit, low=Decimal(low), high=Decimal(high))


def above(low: str, high: str, text: str, unit: str = "") -> Rule:
    """A number greater than `low`, at most `high`."""
    return Rule(text, unit, above=Decimal(low), high=Decimal(high))


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the configuration file; a key that is not a field is an error."""
