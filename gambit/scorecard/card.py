"""A scorecard of signals whose outcome is known, made of counts.

A signal won when it earned something: what its plan earned when it was traded, else what it would have earned one
latency after its refusal (gambit.engine.funnel). The bins are those of the blueprint's weekly scorecard. Intervals are
Wilson's at 95 % (Wilson 1927, "Probable inference"); the Brier score is the mean square of score less outcome, the
reliability curve the win rate over the mean score in tenths (Brier 1950; Murphy 1973).
"""

import math
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

BINS: Final = ((0.0, 0.5), (0.5, 0.6), (0.6, 0.7), (0.7, 0.8), (0.8, math.inf))
JUDGED: Final = BINS[1:]  # what the blueprint names
ENOUGH: Final = 30  # signals in a bin, before its rate says anything
Z95: Final = 1.959963984540054
TENTHS: Final = 10

Verdict = Literal["monotonic", "not monotonic", "inconclusive", "too few signals"]


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """Signals of one bin and one tenth of the score, counted. `tenth` is floor(score x 10), at most 9."""

    low: float  # of the bin
    tenth: int
    n: int
    wins: int
    score_sum: float
    square_sum: float  # of (score - outcome)^2
    profit: float  # quote units


class Bin(msgspec.Struct, frozen=True, kw_only=True):
    """One bin. Rates are shares of 1, None where there is nothing to divide by; profit is in quote units."""

    name: str
    low: float
    n: int
    wins: int
    win_rate: float | None
    low95: float | None
    high95: float | None
    mean_score: float | None
    profit: float


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """The score as a probability of winning. `skill` compares with always saying the win rate of all: 1 is perfect, 0
    no better, below 0 worse."""

    n: int
    brier: float | None
    skill: float | None
    curve: list[tuple[float, float, int]]  # (mean score, win rate, signals) of each tenth that has some


class Scorecard(msgspec.Struct, frozen=True, kw_only=True):
    """A week, or any other stretch."""

    n: int
    wins: int
    bins: list[Bin]
    verdict: Verdict
    reason: str
    calibration: Calibration


def card(cells: Sequence[Cell]) -> Scorecard:
    """The scorecard of some counts; cells of one bin and tenth may come in any number."""
    bins = [_bin(low, [cell for cell in cells if cell.low == low]) for low, _ in BINS]
    verdict, reason = judged([each for each in bins if each.low >= JUDGED[0][0]])
    return Scorecard(
        n=sum(cell.n for cell in cells),
        wins=sum(cell.wins for cell in cells),
        bins=bins,
        verdict=verdict,
        reason=reason,
        calibration=_calibration(cells),
    )


def judged(bins: Sequence[Bin]) -> tuple[Verdict, str]:
    """Whether a higher bin wins more often, and what says so. Bins with fewer than ENOUGH signals are left out.

    Not monotonic: a higher bin's whole interval lies below a lower bin's. Inconclusive: some rate falls, within what
    chance explains.
    """
    counted = [each for each in bins if each.n >= ENOUGH]
    if len(counted) < 2:
        return "too few signals", f"at least two of the bins from 0.5 up need {ENOUGH} signals each"
    doubts = []
    for k, upper in enumerate(counted):
        for lower in counted[:k]:
            if (upper.high95 or 0.0) < (lower.low95 or 0.0):
                return (
                    "not monotonic",
                    f"{upper.name} wins less often than {lower.name}, and chance does not explain it",
                )
            if (upper.win_rate or 0.0) < (lower.win_rate or 0.0):
                doubts.append(f"{upper.name} wins less often than {lower.name}")
    if doubts:
        return "inconclusive", f"{doubts[0]}, which chance may explain"
    return "monotonic", f"the win rate does not fall over {', '.join(each.name for each in counted)}"


def wilson(wins: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a rate. Raises ZeroDivisionError for n = 0."""
    rate, square = wins / n, Z95 * Z95
    centre = (rate + square / (2 * n)) / (1 + square / n)
    half = Z95 * math.sqrt(rate * (1 - rate) / n + square / (4 * n * n)) / (1 + square / n)
    return min(max(centre - half, 0.0), rate), max(min(centre + half, 1.0), rate)  # digits cut off must not exclude it


def name_of(low: float, high: float) -> str:
    """As the blueprint writes it: `0.5-0.59`, `>= 0.8`."""
    if high == math.inf:
        return f">= {low:g}"
    return f"< {high:g}" if low == 0 else f"{low:g}-{high - 0.01:g}"


def _bin(low: float, cells: Sequence[Cell]) -> Bin:
    high = next(high for start, high in BINS if start == low)
    n, wins = sum(cell.n for cell in cells), sum(cell.wins for cell in cells)
    interval = wilson(wins, n) if n else (None, None)
    return Bin(
        name=name_of(low, high),
        low=low,
        n=n,
        wins=wins,
        win_rate=wins / n if n else None,
        low95=interval[0],
        high95=interval[1],
        mean_score=sum(cell.score_sum for cell in cells) / n if n else None,
        profit=sum(cell.profit for cell in cells),
    )


def _calibration(cells: Sequence[Cell]) -> Calibration:
    n, wins = sum(cell.n for cell in cells), sum(cell.wins for cell in cells)
    if not n:
        return Calibration(n=0, brier=None, skill=None, curve=[])
    brier, rate = sum(cell.square_sum for cell in cells) / n, wins / n
    curve = []
    for tenth in range(TENTHS):
        some = [cell for cell in cells if cell.tenth == tenth]
        m = sum(cell.n for cell in some)
        if m:
            curve.append((sum(cell.score_sum for cell in some) / m, sum(cell.wins for cell in some) / m, m))
    spread = rate * (1 - rate)
    return Calibration(n=n, brier=brier, skill=1 - brier / spread if spread else None, curve=curve)
