"""What charts begin with: bounded points of two paces, and only what the asker may read."""

from decimal import Decimal
from typing import Any

from gambit.access.permissions import Role
from gambit.bootstrap.pictures import DAY_NS, Drawdown
from gambit.web.history import COARSE_POINTS, COARSE_SEC, FINE_POINTS, FINE_SEC, SECOND_NS, History, series
from tests.web.rig import rig


def fed(seconds: int) -> History:
    """A history of so many seconds; okx is silent at first, the edge is the second's number."""
    history = History()
    for at in range(seconds):
        venues: list[dict[str, Any]] = [{"venue": "okx", "lag_p99_ns": at * 1_000_000 if at else None}]
        board = [{"symbol": "BTC-USDT", "net_bps": at}, {"symbol": "BTC-USDT", "net_bps": at - 5}]
        account = {"pnl": {"result_today": f"{at}.50"}}
        history.take(at * SECOND_NS, {"venues": venues}, account, board)
    return history


def test_two_paces_both_bounded():
    """A point a second of a quarter of an hour; of half a minute the last result and the largest edge and lag."""
    history = fed(FINE_POINTS + 60)
    fine, coarse = history.points(FINE_SEC), history.points(COARSE_SEC)
    assert (len(fine), fine[0].at_ns, fine[-1].result) == (FINE_POINTS, 60 * SECOND_NS, f"{FINE_POINTS + 59}.50")
    assert [point.edges["BTC-USDT"] for point in coarse[:3]] == [29, 59, 89]
    assert [point.lags_ms["okx"] for point in coarse[:2]] == [29, 59]
    assert series(fed(2).points(FINE_SEC), "lags_ms") == {"okx": (None, 1.0)}
    for at in range(COARSE_POINTS + 10):
        history.take((at + 100) * COARSE_SEC * SECOND_NS, {}, {}, [])
    assert len(history.points(COARSE_SEC)) == COARSE_POINTS


def test_the_drawdown_is_of_the_day():
    """Below the best of the day, never below nothing; a new day begins anew."""
    drawdown, day_ns = Drawdown(), DAY_NS
    told = [drawdown.take(Decimal(text), at) for text, at in (("2", 0), ("0.5", 1), ("3", 2), ("2", 3), ("-1", day_ns))]
    assert [one["drawdown"] for one in told] == ["0", "1.5", "0", "1", "1"]
    assert [one["drawdown_worst"] for one in told] == ["0", "1.5", "1.5", "1.5", "1"]


async def test_who_may_read_what():
    """Lags are everybody's who is let in, edges and the result are a trader's."""
    async with rig(history=fed(3)) as door:
        viewer = (await door.ask("GET", "/history", await door.token(Role.VIEWER))).body
        trader = (await door.ask("GET", "/history?span=24h", await door.token(Role.TRADER))).body
        assert (viewer["result"], viewer["edges_bps"], viewer["lags_ms"]) == (None, None, {"okx": [None, 1.0, 2.0]})
        assert (trader["step_sec"], trader["result"], trader["edges_bps"]) == (30, ["2.50"], {"BTC-USDT": [2.0]})
        assert (await door.ask("GET", "/history?span=1y", await door.token(Role.VIEWER))).status == 422
