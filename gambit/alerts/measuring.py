"""Reads measures from the daemon's metrics: values as they stand, and what counters did within a window.

A window keeps at most POINTS earlier readings, so that six hours cost as much as a minute.
"""

import bisect
from array import array
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, Protocol

from gambit.alerts.rule import SECOND_NS, Measure

POINTS: Final = 60
QUANTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
Labels = tuple[str, ...]
Counts = Sequence[float]


class Numbers(Protocol):
    """The metrics as they stand, in base units."""

    def labels(self, metric: str) -> tuple[str, ...]:
        """The names of its labels. Raises KeyError for a metric that there is not."""
        ...

    def bounds(self, metric: str) -> tuple[float, ...]:
        """A histogram's upper bounds, without the infinite one; empty for what is no histogram."""
        ...

    def series(self, metric: str) -> Iterable[tuple[Labels, float]]:
        """Counters and gauges."""
        ...

    def histograms(self, metric: str) -> Iterable[tuple[Labels, Counts]]:
        """Observations by bucket, one more than bounds."""
        ...


class Point(NamedTuple):
    """An earlier reading, of all scopes in one array: there are many of them, and each is read back once."""

    at_ns: int
    scopes: tuple[Labels, ...]
    counts: "array[float]"  # those of the first scope, then those of the next; as many of each

    def by_scope(self) -> dict[Labels, list[float]]:
        """As it was read."""
        width = len(self.counts) // max(len(self.scopes), 1)
        return {
            scope: self.counts[place * width : (place + 1) * width].tolist() for place, scope in enumerate(self.scopes)
        }


class Reader:
    """One measure and its history; `read` gives the number of every scope."""

    def __init__(self, measure: Measure, numbers: Numbers) -> None:
        """Raises KeyError for a metric or label that there is not, ValueError for what does not fit."""
        self.measure = measure
        self.numbers = numbers
        self.names = scope_names(measure, numbers)
        self._labels = numbers.labels(measure.metric)
        self._bounds = numbers.bounds(measure.metric)
        check(measure, numbers)
        is_as_it_stands = measure.how == "value" and not measure.over and not measure.only
        self._is_plain = is_as_it_stands and self.names == self._labels  # nothing is left out, summed or divided
        self._window_ns = measure.window_sec * SECOND_NS
        self._points: deque[Point] = deque()
        self._oldest: tuple[int, dict[Labels, list[float]]] | None = None  # the first of them, read back

    def read(self, now_ns: int) -> dict[Labels, float]:
        """By the values of `names`."""
        measure = self.measure
        if measure.how == "value":
            found = self._values()
        else:
            found = {scope: value for scope, value in self._within(now_ns) if value is not None}
        if measure.where:
            standing = self._standing()
            found = {scope: value for scope, value in found.items() if standing(scope)}
        return found

    def _values(self) -> dict[Labels, float]:
        if self._is_plain:
            return dict(self.numbers.series(self.measure.metric))
        own = self._summed(self.measure.metric)
        if not self.measure.over:
            return {scope: value[0] for scope, value in own.items()}
        other = self._summed(self.measure.over)
        return {
            scope: value[0] / other[scope][0]
            for scope, value in own.items()
            if scope in other and other[scope][0] >= self.measure.least
        }

    def _within(self, now_ns: int) -> Iterable[tuple[Labels, float | None]]:
        now = self._cumulative()
        base = self._base(now_ns, now)
        for scope, counts in now.items():
            before = base.get(scope)
            grown = counts if before is None else [a - b for a, b in zip(counts, before, strict=True)]
            yield scope, self._meant(grown)

    def _base(self, now_ns: int, now: dict[Labels, list[float]]) -> dict[Labels, list[float]]:
        """The readings of a window ago, or the oldest there are."""
        points = self._points
        if not points or now_ns - points[-1].at_ns >= self._window_ns // POINTS:
            points.append(self._point(now_ns, now))
        while len(points) > 1 and points[1].at_ns <= now_ns - self._window_ns:
            points.popleft()
        if self._oldest is None or self._oldest[0] != points[0].at_ns:
            self._oldest = points[0].at_ns, points[0].by_scope()
        return self._oldest[1]

    def _point(self, now_ns: int, now: dict[Labels, list[float]]) -> Point:
        scopes = tuple(now)
        if self._points and self._points[-1].scopes == scopes:
            scopes = self._points[-1].scopes  # one tuple for as long as nothing new shows up
        return Point(now_ns, scopes, array("d", [count for counts in now.values() for count in counts]))

    def _meant(self, grown: list[float]) -> float | None:
        measure = self.measure
        if measure.how == "increase":
            if not measure.over:
                return grown[0]
            return grown[0] / grown[1] if grown[1] >= measure.least else None
        total = sum(grown)
        if total < measure.least:
            return None
        if measure.how == "share":
            return 1 - sum(grown[: bisect.bisect_right(self._bounds, measure.beyond)]) / total
        return quantile(QUANTILES[measure.how], self._bounds, grown)

    def _cumulative(self) -> dict[Labels, list[float]]:
        if self._bounds:
            return self._summed(self.measure.metric)
        own = self._summed(self.measure.metric)
        if not self.measure.over:
            return own
        other = self._summed(self.measure.over)
        return {scope: [own.get(scope, [0.0])[0], other[scope][0]] for scope in other}

    def _summed(self, metric: str) -> dict[Labels, list[float]]:
        """Readings by scope: one number, or a histogram's counts."""
        labels = self.numbers.labels(metric)
        places = [labels.index(name) for name in self.names]
        only = [(labels.index(name), value) for name, value in self.measure.only if name in labels]
        rows: Iterable[tuple[Labels, Counts]]
        if self.numbers.bounds(metric):
            rows = self.numbers.histograms(metric)
        else:
            rows = ((values, (number,)) for values, number in self.numbers.series(metric))
        found: dict[Labels, list[float]] = {}
        for values, counts in rows:
            if any(values[place] != value for place, value in only):
                continue
            scope = tuple([values[place] for place in places])
            known = found.get(scope)
            found[scope] = list(counts) if known is None else [a + b for a, b in zip(known, counts, strict=True)]
        return found

    def _standing(self) -> "_Standing":
        labels = self.numbers.labels(self.measure.where)
        places = [self.names.index(name) for name in labels]
        good = {values for values, number in self.numbers.series(self.measure.where) if number > 0}
        return _Standing(places, good)


class _Standing:
    """Whether the metric of `where` is more than nothing for a scope."""

    def __init__(self, places: list[int], good: set[Labels]) -> None:
        self._places = places
        self._good = good

    def __call__(self, scope: Labels) -> bool:
        return tuple([scope[place] for place in self._places]) in self._good


def scope_names(measure: Measure, numbers: Numbers) -> tuple[str, ...]:
    """The labels that make a measure's scope. Raises KeyError."""
    return numbers.labels(measure.metric) if measure.by is None else measure.by


def check(measure: Measure, numbers: Numbers) -> None:
    """Raises KeyError, ValueError."""
    names = scope_names(measure, numbers)
    for metric in filter(None, (measure.metric, measure.over)):
        missing = set(names) - set(numbers.labels(metric))
        if missing:
            raise ValueError(f"{metric} has no label {', '.join(sorted(missing))}")
    for name, _ in measure.only:
        if name not in numbers.labels(measure.metric):
            raise ValueError(f"{measure.metric} has no label {name}")
    if measure.where and not set(numbers.labels(measure.where)) <= set(names):
        raise ValueError(f"{measure.where} has labels that {measure.metric} is not told apart by")
    is_histogram = bool(numbers.bounds(measure.metric))
    if is_histogram != (measure.how in ("share", *QUANTILES)):
        raise ValueError(f"{measure.metric} is {'a' if is_histogram else 'no'} histogram: {measure.how} cannot be had")


def quantile(share: float, bounds: Sequence[float], counts: Sequence[float]) -> float:
    """Of a histogram, linear within a bucket, as Prometheus does it; NaN where nothing was observed."""
    total = sum(counts)
    if not total:
        return float("nan")
    rank, below = share * total, 0.0
    for at, count in enumerate(counts):
        if below + count >= rank and count:
            if at == len(bounds):
                return bounds[-1]
            low = bounds[at - 1] if at else 0.0
            return low + (bounds[at] - low) * (rank - below) / count
        below += count
    return bounds[-1]
