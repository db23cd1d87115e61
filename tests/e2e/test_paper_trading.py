"""A signal becomes a plan, the plan becomes orders on the paper venues, and all adds up; also after a restart."""

import asyncio
from decimal import Decimal, localcontext
from pathlib import Path

import msgspec
import pytest

from gambit.bootstrap import socket_path
from gambit.engine.standing import EXACT, Standing
from gambit.events import read
from gambit.journal import Checkpoint, places, read_journal
from gambit.journal.checkpoint import KIND as CHECKPOINT
from gambit.runtime.daemon import Daemon
from gambit.sim.world import Scenario
from gambit.surface.client import call
from tests.e2e.live import PATIENCE_SEC, config_for, dear_until, exchanges, running, until
from tests.e2e.test_live_trading import ask

SYMBOL = "BTC-USDT"
CALM = Scenario(symbols=(SYMBOL,), dislocations_per_s=0.0)
SETTINGS = (
    "execution.paper_taker_fee_bps = 1",
    "execution.paper_slippage_bps = 1",
    "execution.paper_latency_ms = 2",
    "risk.trades_per_hour = 0",
    "risk.trades_per_day = 0",
)


def closed_trades(daemon: Daemon) -> int:
    """How many plans came to their end with something traded."""
    trades = daemon.parts.dealing.desk.standing.state.trades.values()
    return sum(not trade.is_open and trade.is_traded for trade in trades)


async def test_a_dislocation_is_traded_and_adds_up(tmp_path: Path) -> None:
    """One venue's price moves; a plan is made, filled and closed flat; orders, plans, positions and result tell it, and
    a second life of the daemon stands where the first one ended."""
    async with exchanges(CALM) as server:
        config = config_for(server, tmp_path / "state", *SETTINGS, symbols=[SYMBOL])
        path = socket_path(config)
        async with running(config) as (daemon, log):
            desk = daemon.parts.dealing.desk
            await until(lambda: desk.standing.state.holdings.balances)
            await dear_until(server, "okx", SYMBOL, lambda: closed_trades(daemon) > 0)
            await until(lambda: desk.is_flat)
            assert desk.standing.state.holdings.audit() == []
            orders = await asyncio.to_thread(call, path, "orders")
            assert {order["side"] for order in orders} == {"buy", "sell"}
            assert all(Decimal(order["qty_filled"]) <= Decimal(order["qty"]) for order in orders)
            plans = await asyncio.to_thread(call, path, "plans")
            assert "flat" in {plan["end"] for plan in plans if plan["result"]}  # others may have followed
            result = await asyncio.to_thread(call, path, "pnl")
            assert Decimal(result["result_today"]) > 0
            result = ask(daemon, "pnl")  # here: between an answer over the socket and a look one may begin or end
            assert result["opportunities"] == sum(result["funnel"].values()) + len(desk.standing.state.funnel.open)
            plans = ask(daemon, "plans", limit=1000)
            chosen = ask(daemon, "pnl", symbol=SYMBOL, since_ns=1)["chosen"]
            assert (chosen["plans"], Decimal(chosen["value"])) == (len(plans), sum(Decimal(p["value"]) for p in plans))
            assert ask(daemon, "pnl", symbol="ETH-USDT")["chosen"]["plans"] == 0
            held = ask(daemon, "positions", symbol=SYMBOL, venue="okx")
            assert {row["symbol"] for row in held["positions"]} <= {SYMBOL}
            assert {(row["venue"], row["asset"]) for row in held["balances"]} == {("okx", "BTC"), ("okx", "USDT")}
            closed, still = (ask(daemon, "opportunities", status=each, limit=1000) for each in ("closed", "open"))
            assert [row for row in closed if row["closed_ns"] is None] == []
            assert [row for row in still if row["closed_ns"] is not None] == []
            assert daemon.problems == []
            assert log.of("error") == []
        assert replayed_until_checkpoint(tmp_path / "state") == desk.standing.digest()
        before = desk.standing.state
        async with running(config) as (again, _):
            state = again.parts.dealing.desk.standing.state
            assert state.epoch == before.epoch + 1
            assert again.parts.keeping.snapshot_seq > 0  # the start read the last one's snapshot
            assert state.holdings.balances == before.holdings.balances
            assert state.orders.keys() >= before.orders.keys()


async def test_halted_means_no_plan(tmp_path: Path) -> None:
    """While trading is halted the same dislocation leads to refusals with that reason, and to no order."""
    async with exchanges(CALM) as server:
        config = config_for(server, tmp_path / "state", *SETTINGS, symbols=[SYMBOL])
        async with running(config) as (daemon, _):
            await asyncio.to_thread(call, socket_path(config), "halt", {"reason": "a test"})
            funnel = daemon.parts.dealing.desk.standing.state.funnel
            await dear_until(server, "okx", SYMBOL, lambda: sum(funnel.ended.values()) > 0)
            assert set(funnel.ended) <= {"halted", "risk:kill_switch"}
            assert daemon.parts.dealing.desk.standing.state.orders == {}
            assert daemon.parts.dealing.sent == 0


def replayed_until_checkpoint(state_dir: Path) -> str:
    """The state hash that the journal's records give in a fresh desk; it must be the one that its checkpoint states."""
    journal = read_journal(places(state_dir))
    assert journal is not None
    follower, standing, stated = journal.follow(0), Standing(), ""
    while records := follower.read(1000):
        for record in records:
            if record.kind == CHECKPOINT:
                stated = msgspec.json.decode(record.body, type=Checkpoint).state_hash
            else:
                with localcontext(EXACT):
                    standing.replay(read(record.kind, record.body), record.ts_ns)
    follower.close()
    assert stated == standing.digest()
    return stated


@pytest.mark.parametrize("how", ["drains", "now"])
async def test_a_stop_lets_plans_come_to_their_end(tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Orders that are on their way are heard of before the daemon ends, and their plan is closed; `now` waits for none
    of it, also when the wait has begun, and says so."""
    monkeypatch.setattr("gambit.runtime.daemon.DRAIN_SEC", PATIENCE_SEC)
    async with exchanges(CALM) as server:
        free = "execution.latency_cost_bps_per_ms = 0"
        slow = (*SETTINGS, free, "execution.paper_latency_ms = 300")
        config = config_for(server, tmp_path / "state", *slow, symbols=[SYMBOL])
        async with running(config) as (daemon, log):
            standing = daemon.parts.dealing.desk.standing
            await until(lambda: standing.state.holdings.balances)
            await dear_until(server, "okx", SYMBOL, lambda: standing.live)
            if how == "now":  # nobody answers any more
                for port in daemon.parts.dealing.ports.values():
                    monkeypatch.setattr(port, "on_time", lambda *_: ())
            await asyncio.to_thread(call, socket_path(config), "stop")
            if how == "now":
                assert daemon.state == "stopping"
                await asyncio.to_thread(call, socket_path(config), "stop", {"now": True})
            await until(lambda: "stopped" in log.of("info"))
        assert bool(standing.live) is (how == "now")
        assert bool(standing.open) is (how == "now")
        said = [text for text in log.of("info") if "still under way" in text]
        assert bool(said) is (how == "now")
