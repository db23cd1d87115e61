from collections.abc import Sequence
from typing import Any

Candidate = tuple[float, float, float, Any]

def score_of(
    weights: tuple[float, float, float],
    refs: tuple[float, float, float],
    net_bps: float,
    liquidity: float,
    sigma: float,
) -> float: ...
def rank(candidates: Sequence[Candidate], k: int) -> list[Candidate]: ...
def bench_rank(candidates: Sequence[Candidate], k: int, times: int) -> float: ...
