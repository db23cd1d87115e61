"""Win rates, the verdict on their order, calibration."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambit.scorecard import BINS, Cell, card
from gambit.scorecard.card import ENOUGH, name_of, wilson


def cell(low: float, n: int, wins: int, mean: float | None = None) -> Cell:
    """So many of one score."""
    score = low + 0.05 if mean is None else mean
    square = wins * (score - 1) ** 2 + (n - wins) * score**2
    return Cell(
        low=low,
        tenth=min(int(score * 10), 9),
        n=n,
        wins=wins,
        score_sum=n * score,
        square_sum=square,
        profit=1.0 * wins,
    )


def test_names_of_bins() -> None:
    """As the blueprint writes them."""
    assert [name_of(*span) for span in BINS] == ["< 0.5", "0.5-0.59", "0.6-0.69", "0.7-0.79", ">= 0.8"]


@pytest.mark.parametrize(
    ("rates", "n", "verdict"),
    [
        ((0.5, 0.6, 0.7, 0.8), 100, "monotonic"),
        ((0.6, 0.6, 0.6, 0.6), 100, "monotonic"),
        ((0.5, 0.6, 0.58, 0.8), 100, "inconclusive"),
        ((0.9, 0.6, 0.7, 0.8), 1000, "not monotonic"),
        ((0.9, 0.6, 0.7, 0.8), ENOUGH - 1, "too few signals"),
    ],
)
def test_verdicts(rates: tuple[float, ...], n: int, verdict: str) -> None:
    """A fall that chance does not explain, a fall that it may, none."""
    found = card([cell(low, n, round(n * rate)) for (low, _), rate in zip(BINS[1:], rates, strict=True)])
    assert found.verdict == verdict
    assert found.n == 4 * n


def test_a_bin_below_a_half_is_counted_and_not_judged() -> None:
    """However often it wins."""
    found = card([cell(0.0, 1000, 1000), cell(0.5, 100, 50), cell(0.6, 100, 60)])
    assert (found.verdict, found.n, found.bins[0].win_rate) == ("monotonic", 1200, 1.0)


def test_nothing_is_no_scorecard() -> None:
    """No rate is made up."""
    found = card([])
    assert (found.n, found.verdict, found.calibration.brier) == (0, "too few signals", None)
    assert all(each.win_rate is None for each in found.bins)


def test_calibration() -> None:
    """A score that is the very probability has skill where it varies; one that is sure and wrong has less than none."""
    honest = card([cell(0.5, 100, 55, 0.55), cell(0.8, 100, 95, 0.95)]).calibration
    assert honest.brier == pytest.approx((0.55 * 0.45 + 0.95 * 0.05) / 2)
    assert honest.skill is not None
    assert honest.skill > 0
    assert honest.curve == [(pytest.approx(0.55), 0.55, 100), (pytest.approx(0.95), 0.95, 100)]
    wrong = card([cell(0.8, 100, 5, 0.95)]).calibration
    assert wrong.skill is not None
    assert wrong.skill < 0


@given(st.integers(1, 10_000), st.data())
def test_the_interval_holds_the_rate(n: int, data: st.DataObject) -> None:
    """Wilson's interval lies within 0 and 1 and around the rate, and narrows like a root."""
    wins = data.draw(st.integers(0, n))
    low, high = wilson(wins, n)
    assert 0 <= low <= wins / n <= high <= 1
    assert high - low <= 4 / math.sqrt(n)
