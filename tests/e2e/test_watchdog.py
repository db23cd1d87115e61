"""Whoever kills the daemon leaves no order of ours open: its watchdog cancels them, at every exchange."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from decimal import Decimal
from pathlib import Path

import msgspec

from gambit.commands import client_order_id
from gambit.runtime.http import AiohttpClient
from gambit.runtime.process import holder
from gambit.runtime.sweeper import Beat, Bye, Hello, Listening, Open, Place, sweep
from gambit.sim.server import Server
from gambit.sim.verbs import FaultOrder
from gambit.sim.world import Scenario
from gambit.surface.client import call
from gambit.venues import VENUES
from gambit.venues.accounts import order_language
from gambit.venues.orders import Keys, Stamp
from tests.e2e.live import exchanges, until
from tests.e2e.test_live_trading import keys_of

SYMBOL = "BTC-USDT"
CALM = Scenario(symbols=(SYMBOL,), dislocations_per_s=0.0)
OURS, NEXT_LIFES = client_order_id("gb", 1, 1, "ours"), client_order_id("gb", 9, 1, "of the next life")
FOREIGN = "somebodyelse012345"
LISTS = {
    "binance": "/api/v3/openOrders",
    "okx": "/api/v5/trade/orders-pending",
    "bybit": "/v5/order/realtime",
    "kraken": "/0/private/OpenOrders",
    "coinbase": "/api/v3/brokerage/orders/historical/batch",
}
PATIENCE_SEC = 60.0


async def test_a_killed_daemon_leaves_nothing_open(tmp_path: Path) -> None:
    """SIGKILL: within seconds the ledgers show no open order of ours; a foreign one, and one of a later life, stay."""
    async with exchanges(CALM) as server:
        daemon = await start(server, tmp_path / "state")
        watchdogs: list[int] = []
        try:
            await up(daemon, tmp_path / "state")
            watchdogs = [pid for pid in children(daemon.pid) if b"sweeper" in command_line(pid)]
            assert len(watchdogs) == 1
            assert not any(keys.secret.encode() in command_line(watchdogs[0]) for keys in keys_of(server).values())
            daemon.send_signal(signal.SIGSTOP)  # it must not cancel them itself
            await rest(server, OURS, NEXT_LIFES, FOREIGN)
            assert open_orders(server) == {key: {OURS, NEXT_LIFES, FOREIGN} for key in server.world.exchanges}
            daemon.kill()
            kept = {key: {NEXT_LIFES, FOREIGN} for key in server.world.exchanges}
            await until(lambda: open_orders(server) == kept, PATIENCE_SEC)
        finally:
            if daemon.returncode is None:
                daemon.kill()
            await daemon.wait()
            for pid in watchdogs:
                os.kill(pid, signal.SIGKILL)  # it would look for late ones for a while


async def test_a_daemon_that_ends_in_order_ends_its_watchdog(tmp_path: Path) -> None:
    """And new orders wait for the watchdog: one that was killed is started anew."""
    async with exchanges(CALM) as server:
        daemon = await start(server, tmp_path / "state")
        try:
            await up(daemon, tmp_path / "state")
            [first] = [pid for pid in children(daemon.pid) if b"sweeper" in command_line(pid)]
            os.kill(first, signal.SIGKILL)
            found: list[int] = []

            def is_anew() -> bool:
                found[:] = [pid for pid in children(daemon.pid) if b"sweeper" in command_line(pid)]
                return bool(found) and found != [first]

            await until(is_anew, PATIENCE_SEC)
        finally:
            daemon.terminate()
            await daemon.wait()
        assert daemon.returncode == 0
        await until(lambda: not Path(f"/proc/{found[0]}").exists(), PATIENCE_SEC)
        assert (tmp_path / "state" / "watchdog.log").read_bytes() == b""


async def test_what_it_was_told_of_is_cancelled_first() -> None:
    """Without the list of open orders, by the ids alone. Coinbase wants its own id, which only the list has."""
    async with exchanges(CALM) as server:
        await rest(server, OURS)
        places = await places_of(server)
        hello = Hello(places, "gb", 1, 10.0)
        for venue, path in LISTS.items():
            fault = FaultOrder(kind="http", args={"status": 500}, match={"path": path}, count=1000)
            server.world.exchanges[venue].strike(fault)
        http = AiohttpClient()
        known = {place.venue: Open(place.venue, SYMBOL, OURS) for place in places}
        sweeping = asyncio.create_task(sweep(hello, known, http))
        try:
            await until(lambda: not any(ours for venue, ours in open_orders(server).items() if venue != "coinbase"))
        finally:
            sweeping.cancel()
            await asyncio.wait({sweeping})
            await http.close()


async def test_how_the_end_is_heard() -> None:
    """Only the word says that all is well."""
    hello = msgspec.json.encode(Hello([], "gb", 1, 0.2)) + b"\n"
    order, beat = Open("okx", SYMBOL, OURS), Beat([Open("bybit", SYMBOL, FOREIGN)])
    told = hello + msgspec.json.encode(order) + b"\n" + msgspec.json.encode(beat) + b"\n"
    bye = msgspec.json.encode(Bye()) + b"\n"
    for text, is_closed, is_well in (
        (told + bye, True, True),
        (told, True, False),
        (told + bye[:5], True, False),
        (told, False, False),  # silence
    ):
        reader, listening = asyncio.StreamReader(), Listening()
        reader.feed_data(text)
        if is_closed:
            reader.feed_eof()
        assert await listening.until_end(reader) == is_well
        assert set(listening.live) == {OURS, FOREIGN}  # the beat may be older than the order


# ---- the ground ----


async def start(server: Server, state: Path) -> Process:
    """`gambit run`, live, its keys in the environment."""
    words = ['execution.mode="live"', f'symbols=["{SYMBOL}"]', "metrics.port=0", "api.port=0"]
    words += [f"daemon.state_dir={state}", "risk.trades_per_day=0"]
    env = dict(os.environ)
    for venue, keys in keys_of(server).items():
        entry = server.entry(venue)
        words += [f"venues.{venue}.ws_url={entry['ws']}", f"venues.{venue}.rest_url={entry['rest']}"]
        words += [f"venues.{venue}.ws_private_url={entry['ws_private']}"]
        for part, value in (("api_key", keys.key), ("secret", keys.secret), ("passphrase", keys.passphrase)):
            if value:
                name = f"{venue}_{part}".upper()
                env[name] = value
                words.append(f"venues.{venue}.{part}=env:{name}")
    options = [part for word in words for part in ("--set", word)]
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "gambit", "run", *options, stderr=PIPE, env=env)


async def up(daemon: Process, state: Path) -> None:
    """Wait until every account takes orders; ready comes before that, and nothing else is told to the outside."""
    async with asyncio.timeout(PATIENCE_SEC):
        while True:
            assert daemon.returncode is None, (await daemon.stderr.read()).decode() if daemon.stderr else ""
            if holder(state) and (state / "gambit.sock").exists():
                try:
                    status = await asyncio.to_thread(call, state / "gambit.sock", "status")
                except OSError:
                    status = {"accounts": []}
                if len(status["accounts"]) == 5 and all(account["up"] for account in status["accounts"]):
                    return
            await asyncio.sleep(0.1)


def children(pid: int) -> list[int]:
    """Processes that it started."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def command_line(pid: int) -> bytes:
    """What everybody may read of a process; nothing of one that has just ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def open_orders(server: Server) -> dict[str, set[str]]:
    """Client order ids of what is open, by venue."""
    found: dict[str, set[str]] = {}
    for venue, exchange in server.world.exchanges.items():
        entries = [exchange.ledger.order_entry(order) for order in exchange.ledger.orders.values()]
        found[venue] = {entry["client_id"] for entry in entries if entry["state"] in ("pending", "open")}
    return found


async def places_of(server: Server) -> list[Place]:
    """Where the exchanges are, with their instruments."""
    http, places = AiohttpClient(), []
    try:
        for venue, keys in keys_of(server).items():
            root, listing = server.entry(venue)["rest"], VENUES[venue].instruments_call()
            answer = await http.request("GET", root + listing.path, headers={}, body=b"", timeout_sec=5)
            listed = VENUES[venue].instruments(listing.path, answer.body) or []
            instruments = [each for each in listed if each.symbol == SYMBOL]
            places.append(Place(venue, root, keys.key, keys.secret, keys.passphrase, instruments))
    finally:
        await http.close()
    return places


async def rest(server: Server, *client_ids: str) -> None:
    """Let bids of our account rest far below the market, at every exchange."""
    http = AiohttpClient()
    try:
        for place in await places_of(server):
            keys = Keys(key=place.key, secret=place.secret, passphrase=place.passphrase)
            [instrument] = place.instruments
            placing = order_language(place.venue, keys, [instrument]).placing(instrument, "buy", "gtc")
            for number, client_id in enumerate(client_ids):
                now_ns = server._now_ns() + number
                price = Decimal(30_000) + number * 100
                request = placing.rest(client_id, Decimal("0.01"), price, Stamp(now_ns, now_ns // 1000))
                headers = dict(request.headers)
                answer = await http.request(
                    request.method, place.rest + request.path, headers=headers, body=request.body, timeout_sec=5
                )
                assert answer.status == 200, answer.body
    finally:
        await http.close()
