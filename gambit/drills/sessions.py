"""Group E: connections end, stall, are refused and limited."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import aiohttp

from gambit.drills.books import cut, public
from gambit.drills.clocks import Time, waited_ns
from gambit.drills.ground import fills_of, orders_of, until
from gambit.drills.registry import MARKET, TENACIOUS, drill
from gambit.drills.scenario import Bench
from gambit.drills.stage import PRIVATE, Stage
from gambit.runtime.account_port import AccountPort
from gambit.runtime.transport import LinkError, PicowsTransport
from gambit.sim.certificate import make_certificate
from gambit.sim.server import Server, server_context
from gambit.sim.world import Scenario, World

FOUND_SEC: Final = 15.0
CONNECTS_MOST: Final = 30
CONNECTS_MS: Final = 300_000  # of the venue's clock, in which so many are allowed


@drill("F76", MARKET)
async def connections_of_age(stage: Stage) -> None:
    """Every connection reaches the age at which its venue cuts it, in the same second: replaced, nothing unsynced."""
    feeds = stage.ground.daemon.parts.feeds
    before = {feed.venue: feed.replaced for feed in feeds.statuses()}
    aged: set[str] = set()
    for session in feeds.sessions.values():
        life_sec = session.venue.live.life_sec
        if life_sec is not None:
            session.opened_ns -= int(life_sec * 1e9)
            aged.add(session.venue.name)
    stage.need(aged, "no venue cuts connections")
    unsynced = 0

    def replaced() -> bool:
        nonlocal unsynced
        unsynced += not stage.ground.is_synced()
        return all(feed.replaced > before[feed.venue] for feed in feeds.statuses() if feed.venue in aged)

    await until(replaced, 30.0, "every old connection is replaced")
    await until(stage.ground.is_synced, 10.0, "every book is synced")
    stage.need(unsynced * 0.02 * stage.ground.setting.pace <= 1.0, f"I17: unsynced for {unsynced} looks")
    stage.count(venues=len(aged), unsynced_looks=unsynced)
    await stage.books_are_true()


@drill("F77", MARKET)
async def notices_of_shutdown(stage: Stage) -> None:
    """Binance and OKX say that a connection is about to close: another one stands before it does."""
    notices = {
        "binance": json.dumps({"e": "serverShutdown", "E": stage.ground.now_ns() // 1_000_000}),
        "okx": json.dumps({"event": "notice", "code": "64008", "msg": "closing soon", "connId": "a"}),
    }
    feeds = stage.ground.daemon.parts.feeds
    before = feeds.status()
    for venue, text in notices.items():
        for session in public(stage, venue):
            session.send(text)
    await until(
        lambda: all(feeds.status()[venue]["replaced"] > before[venue]["replaced"] for venue in notices),
        20.0,
        "both are replaced",
    )
    await until(stage.ground.is_synced, 10.0, "every book is synced")
    await stage.books_are_true()


@drill("F78", MARKET)
async def black_holes(stage: Stage) -> None:
    """Connections that stay and say nothing, half of them deaf too: found within 10 s by the daemon's clock."""
    feeds = stage.ground.daemon.parts.feeds
    before = {feed.venue: feed.reconnects for feed in feeds.statuses()}
    for place, venue in enumerate(stage.ground.exchanges):
        if place % 2:
            stage.strike(venue, "half_open", count=1)
        else:
            stage.strike(venue, "freeze", for_ms=9500, what="socket")
    began_ns, waited = stage.ground.now_ns(), waited_ns()
    await until(
        lambda: all(feed.reconnects > before[feed.venue] for feed in feeds.statuses()), 15.0, "every hole is found"
    )
    pace = stage.ground.setting.pace  # of both clocks; not of this process's waits for a processor
    took_sec = (stage.ground.now_ns() - began_ns - (waited_ns() - waited) * pace) / 1e9
    stage.need(took_sec <= 12.0, f"I17: found after {took_sec:.1f} s")
    await stage.over()
    await stage.books_are_true()


@drill("F79", MARKET)
async def refused_again_and_again(stage: Stage) -> None:
    """A venue takes connections and closes them, another one does not even answer: attempts become rare, and stay below
    the limit over all of the five minutes that it is for."""
    refused = stage.strike("bybit", "refuse", {"method": "WS"}, for_ms=CONNECTS_MS)
    cut(stage, "bybit")
    ledger = stage.ground.exchanges["okx"].ledger
    before = ledger.connections
    stage.strike("okx", "disconnect", {"private": False}, for_ms=CONNECTS_MS)
    await stage.over(CONNECTS_MS / 1000 + 60.0)
    taken = ledger.connections - before
    stage.need(refused.fired <= CONNECTS_MOST, f"I16: {refused.fired} attempts in five minutes")
    stage.need(taken <= CONNECTS_MOST, f"I16: {taken} connections in five minutes")
    stage.need(min(refused.fired, taken) > 1, "nobody tried again")
    stage.count(attempts=refused.fired, taken=taken)
    await stage.books_are_true()


@drill("F80")
async def session_ends_silently(stage: Stage) -> None:
    """The venue forgets the logon and says nothing: found within 15 s while orders go there, connected anew, and what
    was done meanwhile is filled in."""
    exchange = stage.ground.exchanges["okx"]
    fault = stage.strike("okx", "expire_session", PRIVATE)
    connections = exchange.ledger.connections
    await stage.trade_until("okx", lambda: fault.fired, why="the session ends")
    began_ns, waited = stage.ground.now_ns(), waited_ns()
    await stage.trade_until("okx", lambda: exchange.ledger.connections > connections, why="it is connected anew")
    took_sec = (stage.ground.now_ns() - began_ns - (waited_ns() - waited)) / 1e9
    stage.need(took_sec <= FOUND_SEC, f"I17: found after {took_sec:.1f} s")
    stage.count(found_after_ms=int(took_sec * 1000))
    await stage.settle()
    await stage.still_trades("okx")


@drill("F81", MARKET)
async def limits_are_heeded(stage: Stage) -> None:
    """429 for 7 s, then 418 for 20 s: not one request into either."""
    ledger = stage.ground.exchanges["binance"].ledger
    for status, seconds in ((429, 7), (418, 20)):
        fault = stage.strike("binance", "limit", {"path": "/api/v3/depth"}, status=status, seconds=seconds)
        stage.strike("binance", "gap", {"symbol": MARKET.symbols[0]}, count=1)
        await until(lambda fault=fault: fault.fired, why="the limit is met")  # type: ignore[misc]
        await until(stage.ground.is_synced, 30.0, "every book is synced again")
    blocked = ledger.limits.get("requests while blocked", {"used_most": 0})
    stage.need(blocked["used_most"] <= 1, f"I16: {blocked['used_most']} requests while blocked")
    exceeded = {
        name: one for name, one in ledger.limits.items() if one["exceeded"] and name != "requests while blocked"
    }
    stage.need(not exceeded, f"I16: {exceeded}")
    await stage.books_are_true()


@drill("F82")
async def key_revoked(stage: Stage) -> None:
    """OKX knows our key no more: it is left alone, the others trade, somebody is told. With the key back, and an
    operator's word to try it again, it trades."""
    port = stage.ground.dealing.ports["okx"]
    stage.need(isinstance(port, AccountPort), "okx is traded at over its own adapter")
    stage.strike("okx", "expire_session", revoke=True)
    await stage.trade_until("okx", lambda: not port.is_up, why="okx's stream is down")
    before = len(orders_of(stage.ground.exchanges["okx"]))
    others = {"binance", "bybit", "kraken", "coinbase"}
    await until(lambda: all(stage.ground.dealing.ports[name].is_up for name in others), why="the others stand")
    done = len(orders_of(stage.ground.exchanges["bybit"]))
    await stage.trade_until("bybit", lambda: len(orders_of(stage.ground.exchanges["bybit"])) > done)
    stage.need(len(orders_of(stage.ground.exchanges["okx"])) == before, "I06: an order with a revoked key")
    stage.need(any(line.startswith("okx:") for line in stage.alarms()), "I24: nobody was told")
    stage.clear("okx")
    if isinstance(port, AccountPort):
        await until(lambda: port.admission.held is not None, why="okx's account is held")
        port.release()
    await until(lambda: port.is_up, 45.0, "okx's stream stands again")
    await stage.settle()


class _Deaf:
    """A listener that hears nothing."""

    def __init__(self) -> None:
        self.on_message: Callable[[bytes, int], object] = lambda _data, _recv_ns: None

    def on_open(self, _link: object) -> None: ...
    def on_heard(self, _recv_ns: int) -> None: ...
    def on_close(self, _reason: str, _bug: Exception | None) -> None: ...


@drill("F83", None)
async def wrong_certificate(bench: Bench) -> None:
    """Nobody vouches for the certificate, or it is of another host: neither stream nor REST goes on."""
    time = Time()
    certificate, private = make_certificate(time.now_ns())
    world = World(["okx"], Scenario(symbols=("BTC-USDT",)), seed=1, start_ns=time.now_ns())
    refused = 0
    async with Server(world, time.now_ns, tls=server_context(certificate, private)) as server:
        entry = server.entry("okx")
        try:
            await PicowsTransport(time.now_ns).open(entry["ws"] + "/ws/v5/public", _Deaf(), None)
        except LinkError as error:
            bench.need("ertificate" in str(error), f"I24: told otherwise: {error}")
            refused += 1
        async with aiohttp.ClientSession() as session:
            try:
                await session.get(entry["rest"] + "/api/v5/public/time")
            except aiohttp.ClientConnectorCertificateError:
                refused += 1
    bench.need(refused == 2, f"I24: {2 - refused} of 2 went on")
    bench.count(refused=refused)


@drill("F84")
async def swizzle(stage: Stage) -> None:
    """Venues are lost one by one, streams and all, and come back in another order."""
    venues = list(stage.ground.exchanges)
    for place, venue in enumerate(venues):
        stage.strike(venue, "refuse", for_ms=9000 - 1500 * place)
        stage.strike(venue, "disconnect", count=len(stage.ground.exchanges[venue].sessions))
        await asyncio.sleep(0.3)
    await until(stage.ground.is_synced, 30.0, "every book is synced again")
    await until(stage.ground.is_trading_possible, 40.0, "every private stream stands again")
    for venue in venues[:2]:
        await stage.still_trades(venue)


@asynccontextmanager
async def one_byte_at_a_time(port: int) -> AsyncIterator[int]:
    """A relay to a port of this machine whose answers come in segments of one byte; gives its own port."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, out = await asyncio.open_connection("127.0.0.1", port)

        async def pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter, step: int) -> None:
            while data := await source.read(65536):
                for at in range(0, len(data), step):
                    target.write(data[at : at + step])
                    if at % 256 == 0:
                        await asyncio.sleep(0)
            target.close()

        forth = asyncio.create_task(pass_on(reader, out, 65536))
        try:
            await pass_on(there, writer, 1)
        except ConnectionError:
            writer.close()
        finally:
            forth.cancel()
            out.close()

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    async with server:
        yield int(server.sockets[0].getsockname()[1])


@drill("F85")
async def one_byte_segments(stage: Stage) -> None:
    """Everything that OKX says comes byte by byte, books, answers and private events: the same result."""
    stage.expects_trouble = True  # the daemon of this ground has other addresses afterwards
    async with one_byte_at_a_time(stage.ground.server.ports["okx"]) as port:
        entry = stage.ground.server.entry("okx")
        there = f"127.0.0.1:{stage.ground.server.ports['okx']}"
        names = {"ws_url": "ws", "rest_url": "rest", "ws_private_url": "ws_private"}
        moved = [
            f'venues.okx.{key} = "{entry[name].replace(there, f"127.0.0.1:{port}")}"' for key, name in names.items()
        ]
        await stage.ground.restart(*moved)
        await stage.still_trades("okx")
        stage.is_flat()
        stage.is_well()
        await stage.ground.stop()


@drill("F86", TENACIOUS)
async def much_to_fill_in(stage: Stage) -> None:
    """No private stream tells anything for 12 s of trading; then all is read, within every budget."""
    venues = list(stage.ground.exchanges)
    for venue in venues:
        stage.strike(venue, "partial", share=0.3, probability=0.7)
        stage.strike(venue, "gap", PRIVATE, for_ms=12_000)
    for _ in range(6):
        for dear in venues[:3]:
            stage.shift(dear, for_ms=500)
        await asyncio.sleep(2.0)
    await stage.settle()
    exceeded = {
        f"{venue} {name}": one["exceeded"]
        for venue, exchange in stage.ground.exchanges.items()
        for name, one in exchange.ledger.limits.items()
        if one["exceeded"]
    }
    stage.need(not exceeded, f"I16: {exceeded}")
    stage.count(executions=sum(len(fills_of(exchange)) for exchange in stage.ground.exchanges.values()))
