"""The small sums behind the dashboard's rows."""

import numpy as np
import pytest

from gambit.bootstrap.pictures import LagWindow, _middle, quantile


@pytest.mark.parametrize(
    ("bid", "ask", "middle"),
    [
        ((6400050, 2), (64001, 0), "64000.75"),
        ((1, 8), (3, 8), "0.00000002"),
        ((10, 0), (10, 0), "10"),
        ((1, 1), (2, 1), "0.15"),
    ],
)
def test_the_middle_is_exact(bid: tuple[int, int], ask: tuple[int, int], middle: str) -> None:
    """Between two prices of different decimals, without a binary number on the way."""
    assert _middle(*bid, *ask) == middle


def test_quantiles_of_buckets() -> None:
    """Even within a bucket; beyond the last bound it is that bound; nothing observed is 0."""
    assert quantile([10, 20, 40], [0, 10, 0, 0], 0.5) == 15
    assert quantile([10, 20, 40], [5, 0, 5, 0], 0.99) == 39
    assert quantile([10, 20, 40], [0, 0, 0, 3], 0.5) == 40
    assert quantile([10, 20, 40], [0, 0, 0, 0], 0.5) == 0


def test_lags_are_those_since_the_last_look() -> None:
    """Read once, they are fresh next time; a venue that sent nothing keeps what it had."""
    window = LagWindow()
    assert dict(window.read()) == {}
    window.hear("okx", np.array([10, 20], np.int64))
    window.hear("okx", np.array([30], np.int64))
    assert window.read()["okx"] == (20, 29)
    window.hear("kraken", np.array([5], np.int64))
    assert window.read()["okx"] == (20, 29)
    assert window.read()["kraken"] == (5, 5)
