"""The desk raises in the middle of a decision (a failpoint): trading halts, nothing it had begun leaves, questions are
still asked, an alert is raised, and the journal has what the desk took for true, so that the next life starts (I24)."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gambit.bootstrap import Options
from gambit.bootstrap.trading import awake
from gambit.drills.ground import fills_of
from gambit.engine import desk as of_desk
from gambit.engine.holdings import Holdings
from gambit.events import Fact
from gambit.events.orders import Filled, ScopeHalted
from gambit.journal import JournalBehind
from gambit.runtime.rebuilding import Rebuilding
from gambit.sim.world import Scenario
from gambit.surface.client import Failed, call
from gambit.surface.rpc import Refused
from tests.e2e.journals import entries
from tests.e2e.live import config_for, dear_until, exchanges, running, until
from tests.e2e.test_live_trading import SETTINGS, keys_of
from tests.e2e.test_two_daemons import armed, keys_at

SYMBOL = "BTC-USDT"
CALM = Scenario(symbols=(SYMBOL,), dislocations_per_s=0.0)
PATIENCE_SEC = 60.0


@pytest.mark.parametrize("where", ["with an intent", "in time"])
async def test_a_desk_that_breaks_off_halts_and_is_whole_in_the_next_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """The failpoint raises behind the first intent of a plan, or at every passing of time."""
    real, struck = of_desk.next_facts, list[str]()

    def breaking(trade: Any, around: Any) -> Any:
        found = real(trade, around)
        if trade.keys and not struck:
            struck.append(trade.made.plan_id)
            raise RuntimeError("a failpoint")
        return found

    def breaking_in_time(*_: Any) -> Any:
        struck.append("time")
        raise RuntimeError("a failpoint")

    async with exchanges(CALM) as server:
        config = config_for(server, tmp_path / "state", *SETTINGS, symbols=[SYMBOL])
        options = Options(keys=keys_of(server))
        async with running(config, options) as (daemon, _):
            await armed(server, daemon)
            dealing = daemon.parts.dealing
            if where == "in time":
                monkeypatch.setattr(of_desk, "overdue", breaking_in_time)
                await until(lambda: len(struck) > 2, PATIENCE_SEC)  # time goes on passing
            else:
                monkeypatch.setattr(of_desk, "next_facts", breaking)
                await dear_until(server, "okx", SYMBOL, lambda: struck, for_ms=2000)
            await until(lambda: daemon.parts.switch.state == "HALTED", PATIENCE_SEC)
            assert any("a failpoint" in problem for problem in daemon.problems)
            assert keys_at(server) == []
            heard = dealing.desk.inquiry.has_read("okx", [SYMBOL], 0)
            dealing.reconcile()
            await until(lambda: balances_heard(tmp_path / "state") > 0, PATIENCE_SEC)
            assert not heard or dealing.desk.inquiry.has_read("okx", [SYMBOL], 0)
            daemon.problems.clear()
        monkeypatch.undo()
        kinds = [entry.kind for entry in entries(tmp_path / "state")]
        assert "alert.raised" in kinds
        assert where == "in time" or ("order.intended" in kinds and "order.sent" not in kinds)
        async with running(config, options) as (daemon, _):
            assert daemon.parts.switch.state == "HALTED"
            await until(lambda: daemon.parts.dealing.desk.is_flat, PATIENCE_SEC)
            assert daemon.parts.dealing.is_whole
            assert daemon.problems == []


def balances_heard(state_dir: Path) -> int:
    """Balances that venues told after the halt."""
    facts = list(entries(state_dir))
    halted = max((one.seq for one in facts if one.kind == "state.changed"), default=1 << 60)
    return sum(one.kind == "balance.read" and one.seq > halted for one in facts)


@pytest.mark.parametrize("how", ["within a fact", "not written"])
async def test_a_desk_that_is_not_what_its_journal_says_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """F31: the execution is half taken in when it raises, or the disk is so far behind that the journal does not take
    it. The same run goes on, halted, with the state of its journal; the execution is heard of again, and the next life
    finds the state that was recorded."""
    real, struck = Holdings._trade, list[int]()
    thaw, thawed = Rebuilding.thaw, list[str]()

    def breaking(*args: Any) -> Any:
        if not struck:
            struck.append(1)
            raise RuntimeError("a failpoint")
        return real(*args)

    def refusing(write: Callable[[Fact, int], int]) -> Callable[[Fact, int], int]:
        def written(fact: Fact, at_ns: int) -> int:
            if isinstance(fact, Filled) and not struck:
                struck.append(1)
                raise JournalBehind("a failpoint")
            return write(fact, at_ns)

        return written

    async with exchanges(CALM) as server:
        config = config_for(server, tmp_path / "state", *SETTINGS, symbols=[SYMBOL])
        options = Options(keys=keys_of(server))
        async with running(config, options) as (daemon, _):
            await armed(server, daemon)
            dealing = daemon.parts.dealing

            def thawing(self: Rebuilding) -> None:
                with pytest.raises(Refused, match="made anew from the journal"):
                    awake(dealing)
                thawed.append(daemon.parts.switch.state)
                thaw(self)

            monkeypatch.setattr(Rebuilding, "thaw", thawing)
            if how == "within a fact":
                monkeypatch.setattr(Holdings, "_trade", breaking)
            else:
                monkeypatch.setattr(dealing, "_write", refusing(dealing._write))
                monkeypatch.setattr(dealing, "_write_now", refusing(dealing._write_now))
            await dear_until(server, "okx", SYMBOL, lambda: struck, for_ms=2000)
            await until(lambda: thawed and not dealing.frozen, PATIENCE_SEC)
            assert thawed == ["HALTED"]
            assert dealing.is_whole
            await until(lambda: dealing.desk.is_flat, PATIENCE_SEC)
            await until(lambda: not dealing.desk.standing.unsettled, PATIENCE_SEC)
            assert daemon.parts.switch.state == "HALTED"
            digest = dealing.desk.standing.digest()
            daemon.problems.clear()
        facts = list(entries(tmp_path / "state"))
        told = [(one.body["venue"], one.body["exec_id"]) for one in facts if one.kind == "order.filled"]
        assert len(told) == len(set(told)) == sum(len(fills_of(each)) for each in server.world.exchanges.values())
        assert [one.body["state_hash"] for one in facts if one.kind == "journal.checkpoint"][-1] == digest
        async with running(config, options) as (daemon, _):
            assert daemon.problems == []
            await until(lambda: daemon.parts.dealing.desk.is_flat, PATIENCE_SEC)


async def test_a_halted_symbol_trades_again_when_somebody_says_so(tmp_path: Path) -> None:
    """By its name; what is not halted is named as that, with what is. The release is in the journal, with who."""
    async with exchanges(CALM) as server:
        config = config_for(server, tmp_path / "state", *SETTINGS, symbols=[SYMBOL])
        async with running(config, Options(keys=keys_of(server))) as (daemon, _):
            dealing = daemon.parts.dealing
            dealing.on_facts([ScopeHalted(scope="symbol:BTC-USDT", reason="unhedged")])
            path = tmp_path / "state" / "gambit.sock"
            with pytest.raises(Failed, match="venue:okx is not halted; symbol:BTC-USDT is"):
                await asyncio.to_thread(call, path, "release", {"scope": "venue:okx"})
            answer = await asyncio.to_thread(call, path, "release", {"scope": "symbol:BTC-USDT"})
            assert answer == {"done": "symbol:BTC-USDT"}
            assert dealing.desk.standing.state.trading.scopes == {}
    told = [one.body for one in entries(tmp_path / "state") if one.kind in ("scope.released", "audit")]
    assert any(one.get("scope") == "symbol:BTC-USDT" for one in told)
    assert [one["outcome"] for one in told if one.get("action") == "release"] == ["refused", "ok"]
