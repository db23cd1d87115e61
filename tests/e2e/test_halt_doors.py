"""The doors through which the daemon halts itself: an alert rule, a spent error budget, the loss of the day.

Each on a daemon that trades, from outside; by the journal nothing leaves while it holds, and it holds over a restart.
"""

import contextlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from gambit.config import Config
from gambit.runtime.daemon import Daemon
from gambit.sim.server import Server
from gambit.sim.verbs import FaultOrder
from gambit.sim.world import Scenario
from tests.e2e.journals import Entry, entries
from tests.e2e.live import SYMBOLS, config_for, exchanges, running, until

CALM = Scenario(symbols=SYMBOLS, dislocations_per_s=0.0)
SETTINGS = (
    "risk.trades_per_hour = 0",
    "risk.trades_per_day = 0",
    "risk.duplicate_window_ms = 0",
    "risk.max_price_move_bps = 100",  # a price on its way is traded at once
    "engine.max_notional = 1000",  # a leg that a busy machine left naked is no reason of its own to halt
)
LOSING = ("risk.daily_loss_limit_pct = 0.00001", "execution.paper_slippage_bps = 80", "engine.max_slippage_bps = 90")
BUDGET = ('alerts.budget_action = "halt"', 'alerts.rules = [{rule="budget_spent", for_sec=2}]')


def intents(daemon: Daemon) -> int:
    return len(daemon.parts.dealing.desk.standing.state.orders)


def seen(daemon: Daemon) -> int:
    """Opportunities the desk was told of."""
    return daemon.parts.dealing.desk.standing.state.funnel.seen


async def traded_or_refused(server: Server, daemon: Daemon) -> None:
    """Something to be traded, until the desk was told of it."""
    told = seen(daemon)
    while seen(daemon) == told:  # what is raised already is not raised again before it is over
        await until(lambda: not daemon.parts.readings.board.open)
        server.world.shift("okx", SYMBOLS[0], 40.0, server._now_ns(), 1500)
        with contextlib.suppress(TimeoutError):
            await until(lambda: seen(daemon) > told, 2.0)


async def halted_by_itself(server: Server, config: Config, provoke: Sequence[FaultOrder] = ()) -> str:
    """Let it trade until it halts, give it more to trade, start it anew; why it halted."""
    async with running(config) as (daemon, _):
        for fault in provoke:
            server.world.exchanges["bybit"].strike(fault)
        while (
            daemon.parts.switch.state != "HALTED"
        ):  # the loss of the day is looked at when there is something to trade
            await traded_or_refused(server, daemon)
        await traded_or_refused(server, daemon)
        await until(lambda: daemon.parts.dealing.desk.is_flat)
        assert daemon.problems == []
    server.world.exchanges["bybit"].clear()
    async with running(config) as (daemon, _):
        assert daemon.parts.switch.state == daemon.parts.dealing.desk.standing.state.trading.state == "HALTED"
        before = intents(daemon)
        await traded_or_refused(server, daemon)
        assert intents(daemon) == before
        return daemon.parts.switch.kept.reason


def left_after_the_halt(facts: Sequence[Entry]) -> list[str]:
    """Keys of orders that were handed over, or newly intended, after the halt was stated."""
    halt = next(one.seq for one in facts if one.kind == "state.changed" and one.body["state"] == "HALTED")
    return [one.body["key"] for one in facts if one.kind in ("order.sent", "order.intended") and one.seq > halt]


@pytest.mark.parametrize(
    ("settings", "faults", "reason"),
    [
        (('alerts.rules = [{rule="enough", fact="plan.refused", actions=["halt"]}]',), (), "alert enough"),
        (BUDGET, (FaultOrder(kind="poison", count=1_000_000),), "alert budget_spent"),
        (LOSING, (), "the daily loss limit is reached"),
    ],
    ids=["alert rule", "error budget", "daily loss"],
)
async def test_it_halts_by_itself_and_stays_halted(
    tmp_path: Path, settings: tuple[str, ...], faults: tuple[FaultOrder, ...], reason: str
) -> None:
    """Whatever there is to trade, before and after a restart, until somebody resumes."""
    async with exchanges(CALM) as server:
        config = config_for(server, tmp_path / "state", *SETTINGS, *settings)
        assert (await halted_by_itself(server, config, faults)).startswith(reason)
    facts = list(entries(tmp_path / "state"))
    assert left_after_the_halt(facts) == []
    states = [one.body["state"] for one in facts if one.kind == "state.changed"]
    assert states == (["REDUCING", "HALTED"] if settings is BUDGET else ["HALTED"])
