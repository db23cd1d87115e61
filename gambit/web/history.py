"""What the charts show from before a page was opened: a point a second for a quarter of an hour, one of half a minute
for a day. Kept in memory and bounded; a restart begins anew. Edges and lags are for drawing and binary numbers, the
result is the decimal text that it is.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

SECOND_NS: Final = 1_000_000_000
FINE_SEC: Final = 1
FINE_POINTS: Final = 900
COARSE_SEC: Final = 30
COARSE_POINTS: Final = 2_880
SERIES_MAX: Final = 64  # of one kind: what a chart can still show
DIGITS: Final = 3

Row = Mapping[str, Any]


class Point(msgspec.Struct, frozen=True):
    """The best net edge by symbol in bps, the lag by venue in ms (the 99th percentile), the result of the day."""

    at_ns: int
    result: str | None
    edges: Mapping[str, float]
    lags_ms: Mapping[str, float]


class History:
    """Fed about once a second."""

    def __init__(self) -> None:
        self._fine: deque[Point] = deque(maxlen=FINE_POINTS)
        self._coarse: deque[Point] = deque(maxlen=COARSE_POINTS)

    def take(self, now_ns: int, system: Row, account: Row, board: Iterable[Row]) -> None:
        """A point: of readings as system.metrics and account have them, and the open opportunities."""
        edges: dict[str, float] = {}
        for row in board:
            symbol, edge = row["symbol"], float(row["net_bps"])
            edges[symbol] = max(edge, edges.get(symbol, edge))
        lags = {
            venue["venue"]: venue["lag_p99_ns"] / 1e6
            for venue in system.get("venues", ())
            if venue.get("lag_p99_ns") is not None
        }
        point = Point(now_ns, account.get("pnl", {}).get("result_today"), _rounded(edges), _rounded(lags))
        self._fine.append(point)
        step_ns = COARSE_SEC * SECOND_NS
        if self._coarse and self._coarse[-1].at_ns // step_ns == now_ns // step_ns:
            self._coarse[-1] = _joined(self._coarse[-1], point)
        else:
            self._coarse.append(point)

    def points(self, step_sec: int) -> Sequence[Point]:
        """Oldest first; `step_sec` is FINE_SEC or COARSE_SEC."""
        return tuple(self._fine if step_sec == FINE_SEC else self._coarse)


def series(points: Sequence[Point], kind: str) -> dict[str, tuple[float | None, ...]]:
    """By symbol (`edges`) or venue (`lags_ms`): a number per point, None where there was none."""
    names = sorted({name for point in points for name in getattr(point, kind)})[:SERIES_MAX]
    return {name: tuple([getattr(point, kind).get(name) for point in points]) for name in names}


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, DIGITS) for name, value in values.items()}


def _joined(one: Point, other: Point) -> Point:
    """The later result, the larger of everything else."""
    return Point(other.at_ns, other.result, _largest(one.edges, other.edges), _largest(one.lags_ms, other.lags_ms))


def _largest(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    return {name: max(one.get(name, value), value) for name, value in {**one, **other}.items()}
