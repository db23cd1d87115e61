"""Metrics that a test sets by hand, as the rules read them."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from gambit.surface.catalogue import METRICS

DECLARED = {metric.name: metric for metric in METRICS}
Labels = tuple[str, ...]


class FakeNumbers:
    """Values by series, written as Prometheus writes them: `gambit_feed_up{venue="okx"}`."""

    def __init__(self) -> None:
        self.values: dict[str, dict[Labels, float]] = defaultdict(dict)
        self.buckets: dict[str, dict[Labels, dict[float, float]]] = defaultdict(lambda: defaultdict(dict))

    def set(self, series: str, value: float) -> None:
        """One series; labels the metric does not have (instance, job) are left out."""
        name, _, inside = series.partition("{")
        labels = dict(re.findall(r'(\w+)="([^"]*)"', inside))
        metric = name.removesuffix("_bucket")
        scope = tuple(labels[label] for label in DECLARED[metric].labels)
        if "le" in labels:
            self.buckets[metric][scope][float(labels["le"])] = value
        else:
            self.values[metric][scope] = value

    def labels(self, metric: str) -> Labels:
        return DECLARED[metric].labels

    def bounds(self, metric: str) -> tuple[float, ...]:
        declared = DECLARED[metric]
        return tuple(bound / declared.scale for bound in declared.bounds)

    def series(self, metric: str) -> Iterable[tuple[Labels, float]]:
        return self.values[metric].items()

    def histograms(self, metric: str) -> Iterable[tuple[Labels, list[float]]]:
        for scope, cumulative in self.buckets[metric].items():
            yield scope, counts(self.bounds(metric), cumulative)


def counts(bounds: tuple[float, ...], cumulative: Mapping[float, float]) -> list[float]:
    """By bucket, of what is known at some of the bounds; what is between two of them belongs to the upper one."""
    found: list[float] = []
    before = 0.0
    for bound in (*bounds, float("inf")):
        upto = cumulative.get(bound, before)
        found.append(upto - before)
        before = upto
    return found
