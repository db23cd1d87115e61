"""Histograms against sorted lists: a percentile is right to within its bin, a sixteenth of its value."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gambit._core.latency import PyHistogram
from tests.core.profile import examples

SAMPLES = st.lists(st.integers(0, 20) | st.integers(0, 10**6) | st.integers(0, 2**62), min_size=1, max_size=80)


def filled(samples: Sequence[int]) -> PyHistogram:
    histogram = PyHistogram()
    for sample in samples:
        histogram.add(sample)
    return histogram


@examples(5)
@given(SAMPLES, st.floats(0, 1))
@example([2**63 - 1], 0.5)
@example([2**62, 2**63 - 1], 0.5)
@example([15, 16, 17, 31, 32, 33], 0.5)
def test_percentile_is_right_within_its_bin(samples, share):
    """The share-th of the sorted samples is never understated, and overstated by less than a sixteenth."""
    exact = sorted(samples)[max(0, math.ceil(share * len(samples) - 1e-6) - 1)]
    assert exact <= filled(samples).at(share) <= exact + exact // 16


@examples(2)
@given(st.lists(st.integers(0, 2**53), min_size=1, max_size=50))
def test_summary_counts_and_averages(samples):
    """Count and maximum are exact, the mean to the last digits; percentiles lie between the extremes."""
    summary = filled(samples).summary()
    assert summary["count"] == len(samples)
    assert summary["mean"] == pytest.approx(sum(samples) / len(samples), rel=1e-14)
    assert summary["max"] == max(samples)
    assert min(samples) <= summary["p50"] <= summary["p99"] <= summary["p999"] <= max(samples)


def test_negative_durations_count_as_zero():
    """A clock that stepped back gives durations of 0, in every figure."""
    assert filled([-5, -(2**63)]).summary() == {"count": 2, "mean": 0.0, "p50": 0, "p99": 0, "p999": 0, "max": 0}


def test_empty_histogram_is_all_zero():
    """Without samples every figure is 0."""
    assert set(PyHistogram().summary().values()) == {0}
