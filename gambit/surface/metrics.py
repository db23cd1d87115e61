"""Counters, gauges and histograms, and their text for Prometheus (exposition format 0.0.4).

A series is a plain integer in the family's smallest unit (ns where the name says seconds), so counting is an addition
and nothing is lost. What the hot path counts for itself is copied here by collectors when somebody asks. The text is
one template filled with the values; the template changes only when a series comes or goes.
"""

import bisect
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
NS_PER_SEC = 1_000_000_000
SERIES_MAX = 10_000  # per family; a label with endless values must not eat the memory

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Declared:
    """A metric as the catalogue declares it: values are integers, divided by `scale` in the text.

    `bounds` are a histogram's upper bounds in the smallest unit, ascending; the last bucket, +Inf, is added.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    scale: int = 1
    bounds: tuple[int, ...] = ()


class Series:
    """One line of the text. Counters only grow; a gauge takes any value, and NaN where there is none to tell."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: int | float = 0

    def add(self, amount: int = 1) -> None:
        """Count."""
        self.value += amount

    def set(self, value: int | float) -> None:
        """Take this value; for a counter the total of who counts elsewhere."""
        self.value = value


class Histogram:
    """Counts by bucket, and the sum of what was observed, in the family's smallest unit."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[int, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0

    def observe(self, value: int) -> None:
        """Count one value; it belongs to the first bucket whose bound it does not exceed."""
        self.counts[bisect.bisect_left(self.bounds, value)] += 1
        self.total += value

    def load(self, counts: Sequence[int], total: int) -> None:
        """Take the counts of who observes elsewhere, one per bound and one for what is beyond the last."""
        if len(counts) != len(self.counts):
            raise ValueError(f"{len(counts)} counts for {len(self.counts)} buckets")
        self.counts = list(counts)
        self.total = total


@dataclass(slots=True)
class Family:
    """All series of one metric, by their label values."""

    declared: Declared
    on_change: Callable[[], None]
    series: dict[tuple[str, ...], Series] = field(default_factory=dict)
    histograms: dict[tuple[str, ...], Histogram] = field(default_factory=dict)
    refused: int = 0

    def of(self, *values: str) -> Series:
        """The series with these label values, made at first mention; keep it where it is used often."""
        found = self.series.get(values)
        if found is None:
            found = Series()
            if self._admits(values, len(self.series)):
                self.series[values] = found
                self.on_change()
        return found

    def histogram(self, *values: str) -> Histogram:
        """The histogram with these label values, made at first mention."""
        found = self.histograms.get(values)
        if found is None:
            found = Histogram(self.declared.bounds)
            if self._admits(values, len(self.histograms)):
                self.histograms[values] = found
                self.on_change()
        return found

    def forget(self, *values: str) -> None:
        """Drop a series whose subject is gone for good."""
        if self.series.pop(values, None) or self.histograms.pop(values, None):
            self.on_change()

    def _admits(self, values: tuple[str, ...], known: int) -> bool:
        """Whether there is room; what is refused is counted and nowhere shown."""
        if len(values) != len(self.declared.labels):
            raise ValueError(f"{self.declared.name} has labels {self.declared.labels}, not {values}")
        if known < SERIES_MAX:
            return True
        self.refused += 1
        return False


class Registry:
    """The metrics of a catalogue. Unknown names raise KeyError: what is not declared is not counted."""

    def __init__(self, declared: Iterable[Declared]) -> None:
        self.families = {metric.name: Family(metric, self._changed) for metric in declared}
        self._collectors: list[Callable[[], None]] = []
        self._template: str | None = None

        for family in self.families.values():
            if not family.declared.labels:
                family.histogram() if family.declared.kind == "histogram" else family.of()

    def __getitem__(self, name: str) -> Family:
        return self.families[name]

    def collect(self, collector: Callable[[], None]) -> None:
        """Call `collector` before every rendering: it copies what is counted elsewhere into its series."""
        self._collectors.append(collector)

    @property
    def refused(self) -> int:
        """Series that found no room, in all families."""
        return sum(family.refused for family in self.families.values())

    def refresh(self) -> None:
        """Copy what is counted elsewhere, for whoever reads the series themselves."""
        for collector in self._collectors:
            collector()

    def render(self) -> bytes:
        """The text of all series as of now."""
        self.refresh()
        if self._template is None:
            self._template = "".join(self._lines())
        return (self._template % tuple(self._values())).encode()

    def _changed(self) -> None:
        self._template = None

    def _lines(self) -> Iterator[str]:
        """Every line, with a place for its value, in the order of _values; a metric is declared before it has any."""
        for family in self.families.values():
            declared = family.declared
            yield f"# HELP {declared.name} {_escaped_help(declared.help)}\n# TYPE {declared.name} {declared.kind}\n"
            for values in family.series:
                yield f"{declared.name}{_labels(declared.labels, values)} %s\n"
            for values in family.histograms:
                yield from _histogram_lines(declared, values)

    def _values(self) -> list[int | float]:
        found: list[int | float] = []
        for family in self.families.values():
            scale = family.declared.scale
            if scale == 1:
                found += [series.value for series in family.series.values()]
            else:
                found += [series.value / scale for series in family.series.values()]
            for histogram in family.histograms.values():
                found += itertools.accumulate(histogram.counts)
                count = found[-1]
                found += (histogram.total if scale == 1 else histogram.total / scale, count)
        return found


def _histogram_lines(declared: Declared, values: tuple[str, ...]) -> Iterator[str]:
    bounds = [*(f"{_plain(bound, declared.scale)}" for bound in declared.bounds), "+Inf"]
    for bound in bounds:
        yield f"{declared.name}_bucket{_labels((*declared.labels, 'le'), (*values, bound))} %s\n"
    labels = _labels(declared.labels, values)
    yield f"{declared.name}_sum{labels} %s\n{declared.name}_count{labels} %s\n"


def _plain(bound: int, scale: int) -> str:
    """A bound in base units, with a decimal point, as Prometheus writes it itself."""
    return repr(bound / scale) if scale != 1 else f"{bound}.0"


def _labels(names: Sequence[str], values: Sequence[str]) -> str:
    """`{a="x",b="y"}`, fit for a template."""
    if not names:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True)) + "}"


def _escaped(value: str) -> str:
    """A label value: backslash, quote and newline escaped as the format says, lone surrogates replaced, % doubled."""
    text = value.encode(errors="replace").decode()
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n").replace("%", "%%")


def _escaped_help(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace("%", "%%")
