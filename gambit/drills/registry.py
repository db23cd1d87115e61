"""Which drill plays which scenario; the groups' modules put theirs in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gambit.drills.catalogue import SCENARIOS
from gambit.drills.scenario import Drill, Play, Setting

DRILLS: Final[dict[str, Drill]] = {}
LIMIT_SEC: Final = 240.0  # on a machine that is busy with something else

DESK: Final = Setting(name="desk", venues=("binance", "okx", "bybit", "kraken", "coinbase"))

PATIENT: Final = Setting(
    name="a long doubt",
    venues=DESK.venues,
    settings=("execution.flat_deadline_ms = 30000", "execution.naked_budget_quote_sec = 1000000"),
)
# A create that a kill kept from leaving is proven absent where the venue takes none after a window; Coinbase has none.
DATED: Final = Setting(
    name="with windows",
    venues=("binance", "okx", "bybit", "kraken"),
    settings=(*PATIENT.settings, "risk.duplicate_window_ms = 0", "risk.max_imbalance_quote = 1000000000"),
)
# Partial fills make many executions there, and many orders to close one imbalance: that five attempts or some time end
# it with an alarm is F44's matter.
TENACIOUS: Final = Setting(
    name="a long outage",
    venues=DESK.venues,
    settings=(
        "execution.flat_deadline_ms = 60000",
        "execution.naked_budget_quote_sec = 1000000",
        "execution.compensation_attempts = 40",
    ),
)
MARKET: Final = Setting(
    name="market",
    venues=DESK.venues,
    symbols=("BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT"),
    settings=("engine.min_spread_bps = 30",),  # venues never are so far apart by themselves
    is_live=False,
    pace=4,
)


def drill(
    name: str, setting: Setting | None = DESK, limit_sec: float = LIMIT_SEC, *, alone: bool = False
) -> Callable[[Play], Play]:
    """Make a coroutine function the drill of a scenario: it takes a Stage, or a Bench where there is no setting."""

    def add(play: Play) -> Play:
        if name in DRILLS:
            raise ValueError(f"{name} has a drill already")
        DRILLS[name] = Drill(SCENARIOS[name], play, setting, limit_sec, alone)
        return play

    return add
