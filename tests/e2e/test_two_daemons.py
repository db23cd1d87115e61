"""Two daemons with a state directory each on one account (I15, R9): the one of the later epoch alone trades."""

import contextlib
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path

from gambit.bootstrap import Options
from gambit.runtime.daemon import Daemon
from gambit.runtime.exchanges import Exchange
from gambit.sim.server import Server
from gambit.sim.world import Scenario
from tests.e2e import armed as processes
from tests.e2e.live import config_for, exchanges, running, until
from tests.e2e.test_live_trading import SETTINGS, balances_of, keys_of

SYMBOL = "BTC-USDT"
CALM = Scenario(symbols=(SYMBOL,), dislocations_per_s=0.0)
EPISODES = 40
SPREAD_MS = 500
PATIENCE_SEC = 60.0


async def armed(server: Server, daemon: Daemon) -> None:
    """Its accounts are connected, its balances known, and it may trade."""
    dealing = daemon.parts.dealing
    await until(lambda: all(port.is_up for port in dealing.ports.values()), PATIENCE_SEC)
    await until(lambda: all(balances_of(daemon, venue) for venue in server.world.exchanges), PATIENCE_SEC)
    dealing.arm("a test")


def keys_at(server: Server) -> list[str]:
    """The client order ids of our account at all venues."""
    return [
        order.client_id
        for exchange in server.world.exchanges.values()
        for order in exchange.ledger.orders.values()
        if order.account == "demo"
    ]


async def dear_in_turn(server: Server, what: Callable[[], bool]) -> None:
    """The venues are dear one after the other, each for a moment, until what() is true or each has had many turns."""
    for venue in islice(cycle(server.world.exchanges), EPISODES):
        if what():
            return
        server.world.shift(venue, SYMBOL, 60.0, server._now_ns(), SPREAD_MS)
        with contextlib.suppress(TimeoutError):
            await until(what, 2 * SPREAD_MS / 1000)


async def test_the_later_epoch_alone_trades(tmp_path: Path) -> None:
    """Both see the same market. The earlier one halts with a reason when it hears of an order of the other's; after
    that every order at the venues is of the later one's."""
    async with exchanges(CALM) as server:
        early = config_for(server, tmp_path / "early", *SETTINGS, symbols=[SYMBOL])
        late = config_for(server, tmp_path / "late", *SETTINGS, symbols=[SYMBOL])
        options = Options(keys=keys_of(server))
        async with running(late, options):
            pass  # a life before this one: its next has epoch 2
        async with running(early, options) as (first, _), running(late, options) as (second, _):
            await armed(server, first)
            await armed(server, second)
            await dear_in_turn(server, lambda: first.parts.switch.state == "HALTED")
            await until(lambda: first.parts.switch.state == "HALTED", PATIENCE_SEC)
            assert first.parts.switch.kept.reason == (
                "another daemon trades on this account: an order of epoch 2, ours is 1"
            )
            assert second.parts.switch.state == "ACTIVE"
            assert first.parts.dealing.desk.standing.state.epoch == 1
            await until(lambda: first.parts.dealing.desk.is_flat and second.parts.dealing.desk.is_flat, PATIENCE_SEC)
            before = keys_at(server)
            await dear_in_turn(server, lambda: len(keys_at(server)) > len(before))
            fresh = [key for key in keys_at(server) if key not in before]
            assert fresh
            assert {key[2:6] for key in fresh} == {"0002"}
            assert second.parts.switch.state == "ACTIVE"
            assert (first.problems, second.problems) == ([], [])


async def test_a_second_daemon_on_one_state_directory_ends_at_once(tmp_path: Path) -> None:
    """It says whose directory it is, and has not connected to anybody."""
    async with exchanges(CALM) as server:
        there = [Exchange(**server.entry(venue)) for venue in server.world.exchanges]
        path = processes.write(tmp_path, there, [SYMBOL])
        async with processes.running(path) as first:
            before = {venue: one.ledger.connections for venue, one in server.world.exchanges.items()}
            begun = time.perf_counter()
            second = await processes.start(path)
            _, said = await second.communicate()
            print(f"the second daemon ended {time.perf_counter() - begun:.2f} s after its start")
            assert second.returncode not in (0, None)
            assert f"a daemon runs already (process {first.pid})".encode() in said
            assert {venue: one.ledger.connections for venue, one in server.world.exchanges.items()} == before
