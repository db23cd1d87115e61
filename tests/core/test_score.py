"""Scores by the formula, and the best k of them by plain sorting (formulas.md "Score")."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambit._core.score import rank, score_of
from tests.core.profile import examples

REFS = (50.0, 100_000.0, 10.0)
SHARES = st.floats(0, 1)
REFERENCES = st.floats(0.1, 1e6)


@examples(3)
@given(
    st.tuples(SHARES, SHARES, SHARES), st.tuples(REFERENCES, REFERENCES, REFERENCES), st.floats(-1e4, 1e4),
    st.floats(0, 1e9), st.floats(0, 1e6),
)  # fmt: skip
def test_score_is_the_formula(weights, refs, net_bps, liquidity, sigma):
    """The score is the weighted sum of spread and liquidity, cut to 0..1, and of calmness."""
    spread, depth = min(max(net_bps / refs[0], 0.0), 1.0), min(max(liquidity / refs[1], 0.0), 1.0)
    expected = weights[0] * spread + weights[1] * depth + weights[2] / (1 + sigma / refs[2])
    assert score_of(weights, refs, net_bps, liquidity, sigma) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(
    ("net_bps", "liquidity", "sigma", "expected"),
    [(50.0, 100_000.0, 0.0, 1.0), (500.0, 1e9, 0.0, 1.0), (0.0, 0.0, 10.0, 0.1), (-5.0, 0.0, 1e12, 0.0)],
)
def test_score_at_its_ends(net_bps, liquidity, sigma, expected):
    """The best there is scores 1, the worst 0, half the calm half its weight."""
    assert score_of((0.5, 0.3, 0.2), REFS, net_bps, liquidity, sigma) == pytest.approx(expected, abs=1e-9)


FEW = st.sampled_from([0.0, 0.25, 0.5, 1.0])
NAMES = st.tuples(st.sampled_from(["BTC", "ETH"]), st.sampled_from(["binance", "okx"]), st.integers(0, 10**6))
CANDIDATES = st.lists(st.tuples(FEW, FEW, FEW, NAMES), max_size=40, unique_by=lambda candidate: candidate[3])


@examples(4)
@given(CANDIDATES, st.integers(0, 45))
def test_rank_is_sorting(candidates, count):
    """The best k come by score, net_bps and profit, highest first, then by name, lowest first."""
    ordered = sorted(candidates, key=lambda c: (-c[0], -c[1], -c[2], c[3]))
    assert rank(candidates, count) == ordered[:count]


def test_rank_of_fewer_than_none_is_refused():
    """A negative count is an error and touches no memory."""
    with pytest.raises(ValueError, match="-1"):
        rank([(1.0, 1.0, 1.0, "a")], -1)
