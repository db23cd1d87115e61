"""Order faults of reliability.md over real sockets: whatever a venue does to a request, an answer or a stream, its
ledger and ours agree in the end, and no order is ever sent twice."""

import itertools
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gambit.bootstrap import Options
from gambit.runtime.daemon import Daemon
from gambit.runtime.trading import FILE
from gambit.sim.exchange import Exchange
from gambit.sim.server import Server
from gambit.sim.verbs import Fault, FaultOrder
from gambit.sim.world import Scenario, World
from tests.e2e.live import SystemClock, config_for, running, until
from tests.e2e.test_live_trading import SETTINGS, balances_of, keys_of

SYMBOL = "BTC-USDT"
ATTEMPTS = 20
EPISODE_NS = 1_500_000_000
PATIENCE_SEC = 60.0
PLACE = {"action": "place"}
PRIVATE = {"private": True}


@asynccontextmanager
async def venues(*names: str) -> AsyncIterator[Server]:
    """Calm simulated exchanges."""
    clock = SystemClock()
    scenario = Scenario(symbols=(SYMBOL,), dislocations_per_s=0.0)
    async with Server(World(list(names), scenario, seed=1, start_ns=clock.now_ns()), clock.now_ns) as server:
        yield server


@asynccontextmanager
async def trading(server: Server, tmp_path: Path) -> AsyncIterator[Daemon]:
    """A daemon that may trade on them, and has seen its balances."""
    config = config_for(server, tmp_path / "state", *SETTINGS, symbols=[SYMBOL])
    async with running(config, Options(keys=keys_of(server))) as (daemon, _):
        dealing = daemon.parts.dealing
        await until(lambda: all(balances_of(daemon, venue) for venue in server.world.exchanges), PATIENCE_SEC)
        await until(lambda: all(port.is_up for port in dealing.ports.values()), PATIENCE_SEC)
        dealing.arm("a test")
        yield daemon


def strike(server: Server, venue: str, kind: str, match: dict[str, Any], **args: Any) -> Fault:
    """A fault, as POST /_sim/fault takes it."""
    count = args.pop("count", 1)
    return server.world.exchanges[venue].strike(FaultOrder(kind, args, match, count=count))


async def episode(server: Server, dear: str) -> None:
    """A venue is dear for a while."""
    over_ns = server._now_ns() + EPISODE_NS
    server.world.shift(dear, SYMBOL, 60.0, server._now_ns(), EPISODE_NS // 1_000_000 * 2 // 3)
    await until(lambda: server._now_ns() > over_ns)


async def trade_until(server: Server, dear: str, what: Any) -> None:
    """Episodes until something happened; a busy machine may be too late for one."""
    for _ in range(ATTEMPTS):
        await episode(server, dear)
        if what():
            return
    raise AssertionError("no episode led to it")


def our_orders(exchange: Exchange) -> list[dict[str, Any]]:
    """The venue's orders of our account."""
    return [
        one for one in map(exchange.ledger.order_entry, exchange.ledger.orders.values()) if one["account"] == "demo"
    ]


def differences(server: Server, daemon: Daemon) -> list[str]:
    """What the venues' ledgers and ours disagree about (I01, I03, I05, I19)."""
    state, found = daemon.parts.dealing.desk.standing.state, []
    for venue, exchange in server.world.exchanges.items():
        theirs = {one["client_id"]: one for one in our_orders(exchange)}
        ours = {key: order for key, order in state.orders.items() if order.intent.venue == venue}
        found += [f"{venue} {key}: there is no intent" for key in theirs.keys() - ours.keys()]
        for key, order in ours.items():
            filled = Decimal(theirs[key]["filled"]) if key in theirs else Decimal(0)
            if order.filled_qty != filled:
                found.append(f"{venue} {key}: {order.status} {order.filled_qty}, there {filled}")
        truth = exchange.accounts["demo"].balances
        told = exchange.ledger.told(exchange.accounts, 0, ["balances"])["balances"]["demo"]
        for asset, amount in balances_of(daemon, venue).items():
            real = Decimal(told[asset]["free"]) + Decimal(told[asset]["locked"]) if asset in truth else Decimal(0)
            if real != amount:
                found.append(f"{venue} {asset}: {amount}, there {real}")
    return found


async def settled(server: Server, daemon: Daemon) -> None:
    """Nothing is open or in doubt, both sides agree, and nothing was sent twice."""
    desk = daemon.parts.dealing.desk
    try:
        await until(
            lambda: not desk.standing.live and not desk.standing.unsettled and not differences(server, daemon),
            PATIENCE_SEC,
        )
    except TimeoutError:
        doubtful = {key: (order.intent.venue, str(order.status)) for key, order in desk.standing.live.items()}
        raise AssertionError((differences(server, daemon), doubtful)) from None
    for venue, exchange in server.world.exchanges.items():
        keys = [one["client_id"] for one in our_orders(exchange)]
        assert len(keys) == len(set(keys))
        asked = [one["text"] for one in exchange.ledger.requests if one["action"] == "place"]
        known = [key for key, order in desk.standing.state.orders.items() if order.intent.venue == venue]
        sent = Counter(key for key, text in itertools.product(known, asked) if key in text)
        assert max(sent.values(), default=0) <= 1, sent
    assert desk.standing.state.holdings.audit() == []
    assert daemon.problems == []


@pytest.mark.parametrize(
    ("venue", "kind", "match", "args"),
    [
        pytest.param("binance", "drop_reply", PLACE, {}, id="F01-F02-line"),
        pytest.param("coinbase", "drop_reply", PLACE, {}, id="F01-F02-http"),
        pytest.param("binance", "drop_request", PLACE, {}, id="F03"),
        pytest.param("coinbase", "http", PLACE, {"status": 503, "body": "<html>", "applied": True}, id="F06"),
        pytest.param("okx", "dup", PRIVATE, {"times": 3, "count": 20}, id="F24"),
        pytest.param("kraken", "gap", {**PRIVATE, "report": "trade"}, {}, id="F29"),
    ],
)
async def test_the_ledgers_agree(tmp_path: Path, venue: str, kind: str, match: dict[str, Any], args: Any) -> None:
    """One fault while a venue is sold at; then it is dear once more, and that is traded as if nothing had been."""
    other = "bybit"
    async with venues(venue, other) as server, trading(server, tmp_path) as daemon:
        fault = strike(server, venue, kind, match, **args)
        await trade_until(server, venue, lambda: fault.fired)
        await settled(server, daemon)
        await until(lambda: all(port.is_up for port in daemon.parts.dealing.ports.values()))
        before = len(our_orders(server.world.exchanges[venue]))
        await trade_until(server, venue, lambda: len(our_orders(server.world.exchanges[venue])) > before)
        await settled(server, daemon)


async def test_a_session_that_ends_is_found_and_filled_in(tmp_path: Path) -> None:
    """The venue forgets the logon, silently: that is noticed, another one follows, nothing is missing (F80)."""
    async with venues("okx", "bybit") as server, trading(server, tmp_path) as daemon:
        exchange = server.world.exchanges["okx"]
        fault = strike(server, "okx", "expire_session", PRIVATE)
        connections = exchange.ledger.connections
        await trade_until(server, "okx", lambda: fault.fired and exchange.ledger.connections > connections)
        await until(lambda: all(port.is_up for port in daemon.parts.dealing.ports.values()), PATIENCE_SEC)
        before = len(our_orders(exchange))
        await trade_until(server, "okx", lambda: len(our_orders(exchange)) > before)
        await settled(server, daemon)


@pytest.mark.parametrize("venue", ["okx", "coinbase"])
async def test_a_halt_with_creates_on_their_way(tmp_path: Path, venue: str) -> None:
    """Creates are held by the venue when trading is halted: none leaves after that, and what became of those is known
    in the end (F108); it is still halted in the next life, whichever of file and journal is left of it (F111)."""
    async with venues(venue, "bybit") as server:
        async with trading(server, tmp_path) as daemon:
            fault = strike(server, venue, "hold", PLACE, ms=700)
            server.world.shift(venue, SYMBOL, 60.0, server._now_ns(), 30_000)
            await until(lambda: fault.fired, PATIENCE_SEC)
            daemon.parts.switch.change("HALTED", "a test", "a test")
            begun = set(daemon.parts.dealing.desk.standing.state.orders)  # may still be on their way
            await settled(server, daemon)
            assert daemon.parts.dealing.desk.standing.state.trading.state == "HALTED"
            assert creates_beside(server, begun) == []
        (tmp_path / "state" / FILE).unlink()
        async with trading(server, tmp_path) as daemon:
            assert daemon.parts.switch.state == "HALTED"
            await episode(server, venue)
            await settled(server, daemon)
            assert creates_beside(server, begun) == []


def creates_beside(server: Server, begun: set[str]) -> list[str]:
    """The creates that venues got of other orders than those begun before a halt was acknowledged (I09)."""
    requests = [one for exchange in server.world.exchanges.values() for one in exchange.ledger.requests]
    texts = [one["text"] for one in requests if one["action"] == "place"]
    return [text for text in texts if not any(key in text for key in begun)]
