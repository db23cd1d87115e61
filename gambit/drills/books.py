"""Group D: what a venue says of its books is late, lost, wrong or nonsense."""

from __future__ import annotations

import asyncio
import json
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from typing import Final

from gambit.drills.ground import orders_of, until
from gambit.drills.registry import DESK, MARKET, drill
from gambit.drills.scenario import Setting
from gambit.drills.stage import SETTLE_SEC, Stage
from gambit.sim.dialect import Channel, Session
from gambit.sim.exchange import Exchange

PLAIN: Final = MARKET.symbols
POISONS: Final = (
    ("NaN", False), ("NaN", True), ("Infinity", False), ("", False), ("null", True), ("-1", False), ("1e308", False),
    ("1e-320", False), ("1" * 40, False), ("0x10", False), ("0x10", True),
)  # fmt: skip
POISONED: Final = Setting(
    name="poison",
    venues=DESK.venues,
    symbols=tuple(f"{letter * 3}-USDT" for letter in "ABCDEFGHIJKL"),
    settings=MARKET.settings,
    is_live=False,
    pace=4,
)
ALIKE: Final = Setting(
    name="look-alikes",
    venues=DESK.venues,
    symbols=("BTC-USDT", "BTC-USD"),
    settings=MARKET.settings,
    is_live=False,
    pace=2,
)
CALM: Final = Setting(name="calm desk", venues=DESK.venues, settings=MARKET.settings)
TIERS: Final = Setting(name="fees", venues=DESK.venues)  # what it learns is not undone
THIN_BPS: Final = 12.0  # earns with a fee of 1 bps, and not with one of 20
THIN_MS: Final = 1500
MEMORY_MOST: Final = 200 << 20


def public(stage: Stage, venue: str) -> list[Session]:
    """A venue's connections that carry books."""
    sessions = stage.ground.exchanges[venue].sessions.values()
    return [one for one in sessions if any(channel.symbol for channel in one.channels.values())]


def cut(stage: Stage, venue: str) -> None:
    """Cut a venue's connections that carry books."""
    count = len(public(stage, venue))
    if count:
        stage.strike(venue, "disconnect", {"private": False}, count=count)


@contextmanager
def subscriptions(exchange: Exchange, name: str) -> Iterator[list[int]]:
    """When connections joined a channel, by the exchange."""
    whole, asked = exchange.subscribe, list[int]()

    def subscribe(session: Session, channel: str, symbol: str, make: Callable[[], Channel]) -> bool:
        if channel == name:
            asked.append(exchange.now_ns)
        return whole(session, channel, symbol, make)

    exchange.subscribe = subscribe  # type: ignore[method-assign,assignment]
    try:
        yield asked
    finally:
        exchange.subscribe = whole  # type: ignore[method-assign]


@drill("F56", MARKET)
async def updates_lost(stage: Stage) -> None:
    """One frame, and a second and a half of them, at every venue."""
    before = sum(feed.resyncs for feed in stage.ground.daemon.parts.feeds.statuses())
    for venue in stage.ground.exchanges:
        stage.strike(venue, "gap", {"symbol": PLAIN[0]}, count=1)
        stage.strike(venue, "gap", {"symbol": PLAIN[1]}, for_ms=1500)
    await stage.over()
    after = sum(feed.resyncs for feed in stage.ground.daemon.parts.feeds.statuses())
    stage.need(after > before, "I14: no gap was counted")
    stage.count(resyncs=after - before)
    await stage.books_are_true()


@drill("F57", MARKET)
async def snapshots_that_fail(stage: Stage) -> None:
    """Binance's snapshots are late, refused, unreadable while more is lost."""
    depth = {"path": "/api/v3/depth"}
    stage.strike("binance", "http", depth, count=2, status=503, body="<html>")
    stage.strike("binance", "delay", depth, count=1, ms=1500)
    for symbol in PLAIN:
        stage.strike("binance", "gap", {"symbol": symbol}, count=1)
    stage.strike("binance", "gap", {"symbol": PLAIN[0]}, count=3, skip=5)
    await stage.over()
    await stage.books_are_true()


@drill("F58", MARKET)
async def checksum_is_wrong(stage: Stage) -> None:
    """Kraken's checksum does not fit the book: lost at once, once each."""
    for symbol in PLAIN[:2]:
        stage.strike("kraken", "checksum", {"symbol": symbol}, count=1, how="bad")
    before = stage.ground.daemon.parts.feeds.status()["kraken"]["resyncs"]
    await stage.over()
    after = stage.ground.daemon.parts.feeds.status()["kraken"]["resyncs"]
    stage.need(after - before >= 2, "a wrong checksum was believed")
    await stage.books_are_true()


@drill("F59", MARKET)
async def checksum_is_dead(stage: Stage) -> None:
    """OKX's is always 0, then absent: its numbers carry the book, nothing is resynced; Kraken's 0 is a wrong one."""
    before = stage.ground.daemon.parts.feeds.status()["okx"]["resyncs"]
    for symbol, how in zip(PLAIN, ("zero", "absent", "bad", "zero"), strict=True):
        stage.strike("okx", "checksum", {"symbol": symbol}, for_ms=6000, how=how)
    stage.strike("kraken", "checksum", {"symbol": PLAIN[0]}, count=1, how="zero")
    await stage.over()
    stage.need(stage.ground.daemon.parts.feeds.status()["okx"]["resyncs"] == before, "I16: a loop of resyncs")
    await stage.books_are_true()


@drill("F60", MARKET)
async def invalid_for_long(stage: Stage) -> None:
    """A book is lost again and again for 20 s: it is asked for at most once in 5 s."""
    feeds = stage.ground.daemon.parts.feeds
    before = feeds.status()["okx"]["reconnects"]
    with subscriptions(stage.ground.exchanges["okx"], f"books:{PLAIN[0]}") as asked:
        stage.strike("okx", "gap", {"symbol": PLAIN[0]}, for_ms=20_000, probability=0.3)
        await stage.over(60.0)
    again = feeds.status()["okx"]["reconnects"] - before  # a new connection asks for every book
    stage.need(asked, "I17: the lost book was never asked for")
    stage.need(len(asked) <= 20 / 5 + 1 + again, f"I16: {len(asked)} subscriptions in 20 s")
    stage.count(resubscribed=len(asked))
    await stage.books_are_true()


@drill("F61", MARKET)
async def one_book_freezes(stage: Stage) -> None:
    """Everything else lives: that book is stale, and subscribed anew."""
    before = stage.ground.daemon.parts.feeds.status()
    for venue in stage.ground.exchanges:
        stage.strike(venue, "freeze", {"symbol": PLAIN[0]}, for_ms=13_000, what="book")
    await stage.over()
    for feed in stage.ground.daemon.parts.feeds.statuses():
        stage.need(feed.resubscribed > before[feed.venue]["resubscribed"], f"I17: {feed.venue} was left frozen")
    await stage.books_are_true()


@drill("F62", MARKET)
async def heartbeats_only(stage: Stage) -> None:
    """A venue is there and says nothing: given up and connected anew, and told."""
    before = stage.ground.daemon.parts.feeds.status()
    for venue in stage.ground.exchanges:
        stage.strike(venue, "freeze", for_ms=23_000, what="venue")
    await stage.over(60.0)
    for feed in stage.ground.daemon.parts.feeds.statuses():
        was = before[feed.venue]
        cared = feed.reconnects + feed.resubscribed > was["reconnects"] + was["resubscribed"]
        stage.need(cared, f"I17: {feed.venue} was left silent")
    await stage.books_are_true()


@drill("F63")
async def late_but_steady(stage: Stage) -> None:
    """OKX's frames come 4 s after their time: degraded, and nothing is planned there until it is over."""
    stage.strike("okx", "late", {"private": False}, for_ms=26_000, ms=4000)
    feeds = stage.ground.daemon.parts.feeds
    await until(lambda: feeds.status()["okx"]["is_degraded"], 40.0, "okx is degraded")
    before = stage.place_requests("okx")
    for _ in range(2):
        await stage.episode("okx")
    stage.need(stage.place_requests("okx") == before, "I08: an order on a feed that is 4 s late")
    await until(lambda: not feeds.status()["okx"]["is_degraded"], 60.0, "okx is well again")
    await stage.still_trades("okx")


@drill("F64", MARKET)
async def crossed_books(stage: Stage) -> None:
    """A bid stands at the ask, for a step, and again and again for 5 s."""
    for venue in stage.ground.exchanges:
        stage.strike(venue, "cross", {"symbol": PLAIN[0]}, count=1)
        stage.strike(venue, "cross", {"symbol": PLAIN[1]}, for_ms=5000)
    await stage.over(40.0)
    await stage.books_are_true()


async def moved_prices(stage: Stage, factor: float) -> None:
    """Prices in three frames of each venue are that much off: no order anywhere comes of it."""
    ground = stage.ground
    before = sum(stage.place_requests(venue) for venue in ground.exchanges)
    mark = float(ground.dealing.marks()["BTC"])
    faults = [
        stage.strike(venue, "poison", {"symbol": "BTC-USDT"}, count=3, field="price", value=f"{mark * factor:.1f}")
        for venue in ground.exchanges
    ]
    await until(lambda: all(fault.fired >= 3 for fault in faults), why="every venue says a wrong price")
    await asyncio.sleep(1.0)
    after = sum(stage.place_requests(venue) for venue in ground.exchanges)
    stage.need(after == before, f"I08: {after - before} orders on prices that never were")
    for venue in ground.exchanges:
        cut(stage, venue)
    await until(ground.is_synced, 30.0, "every book is synced again")


@drill("F65", CALM)
async def phantom_edge(stage: Stage) -> None:
    """2 % off: a level that would be a fine arbitrage."""
    await asyncio.sleep(2.0)  # whatever a drill before moved is over
    await moved_prices(stage, 0.98)
    await moved_prices(stage, 1.02)
    await stage.still_trades("okx")


@drill("F67", CALM)
async def outlier(stage: Stage) -> None:
    """50 % off, up and down."""
    await asyncio.sleep(2.0)  # whatever a drill before moved is over
    await moved_prices(stage, 1.5)
    await moved_prices(stage, 0.5)
    await stage.still_trades("okx")


def poisons() -> Iterator[tuple[str, str, str, bool]]:
    """(symbol, field, value, bare): each value as price and as size, and a price of nothing."""
    cases = [(field, *value) for value, field in product(POISONS, ("price", "qty"))]
    for symbol, (field, value, bare) in zip(POISONED.symbols * 2, [*cases, ("price", "0", False)], strict=False):
        yield symbol, field, value, bare


@drill("F66", POISONED)
async def impossible_values(stage: Stage) -> None:
    """Each of them at each venue: the frame is refused, the book lost, nothing dies."""
    for venue in stage.ground.exchanges:
        for symbol, field, value, bare in poisons():
            stage.strike(venue, "poison", {"symbol": symbol}, count=1, field=field, value=value, bare=bare)
    await stage.over(40.0)
    await stage.books_are_true()


@drill("F68", MARKET)
async def repeated_and_swapped(stage: Stage) -> None:
    """One twice, two swapped, at every venue; then the venue's numbers begin again below."""
    for venue in stage.ground.exchanges:
        stage.strike(venue, "dup", {"symbol": PLAIN[0]}, count=3)
        stage.strike(venue, "reorder", {"symbol": PLAIN[1]}, count=1)
    await stage.over()
    await stage.books_are_true()
    for exchange in stage.ground.exchanges.values():
        book = exchange.books[PLAIN[2]]
        exchange.flush(PLAIN[2])
        book.update_id -= 1000
    await asyncio.sleep(0.5)
    for venue in stage.ground.exchanges:
        cut(stage, venue)
    await stage.over()
    await stage.books_are_true()


@drill("F69", MARKET)
async def unannounced_snapshots(stage: Stage) -> None:
    """Whole books in the middle of the stream, where the venue has any on it."""
    sent = 0
    for venue, exchange in stage.ground.exchanges.items():
        for session in public(stage, venue):
            for channel in list(session.channels.values()):
                if channel.opening is not None and channel.symbol:
                    for text in channel.opening(exchange.clock_ns):
                        session.send(exchange.dialect.seal(session, channel, text))
                        sent += 1
    stage.need(sent, "no venue has snapshots on its stream")
    stage.count(snapshots=sent)
    await asyncio.sleep(1.0)
    await stage.over()
    await stage.books_are_true()


@drill("F70", MARKET)
async def unknown_words(stage: Stage) -> None:
    """Extra fields, events nobody knows, and book frames whose sides have other names: never guessed at."""
    for venue, exchange in stage.ground.exchanges.items():
        for session in public(stage, venue):
            session.send(json.dumps({"e": "newThing", "type": "brandNew", "channel": "brand_new", "extra": [1, {}]}))
            for channel in list(session.channels.values()):
                if channel.opening is not None and channel.symbol == PLAIN[0]:
                    for text in channel.opening(exchange.clock_ns):
                        session.send(text.replace('"asks"', '"offers"').replace('"a"', '"offers"'))
                        session.send(text[:-1] + ',"extra":{"deep":[1,2,3]}}')
    await asyncio.sleep(1.5)
    await until(stage.ground.is_synced, 30.0, "every book is synced again")
    await stage.books_are_true()


@drill("F71", MARKET)
async def hostile_frames(stage: Stage) -> None:
    """17 MB in a frame, JSON a hundred thousand deep, bytes that are no text: nothing dies, memory stays."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    server = stage.ground.server
    for venue in stage.ground.exchanges:
        for hostile in ("[" * 100_000, "x" * 17_000_000):
            await until(lambda venue=venue: public(stage, venue), why="a connection")  # type: ignore[misc]
            public(stage, venue)[0].send(hostile)
            await asyncio.sleep(0.3)
        await until(lambda venue=venue: public(stage, venue), why="a connection")  # type: ignore[misc]
        server._transports[public(stage, venue)[0]].write(b"\x81\x04\xff\xfe{\x80")
    await until(stage.ground.is_synced, 40.0, "every book is synced again")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    stage.need(grown < MEMORY_MOST, f"I18: {grown >> 20} MiB more")
    stage.count(grown_mib=grown >> 20)
    await stage.books_are_true()


@drill("F72", ALIKE)
async def look_alikes(stage: Stage) -> None:
    """USD leaves USDT by a per cent on one venue: what is raised is of one quote only."""
    ground = stage.ground
    stage.shift("okx", 100.0, 2000, symbol="BTC-USD")
    await until(lambda: ground.raised, why="an opportunity in BTC-USD")
    await until(lambda: not ground.daemon.parts.readings.board.open, why="it is over")
    pairs = {(one["symbol_buy"], one["symbol_sell"]) for one in ground.raised}
    stage.need(pairs == {("BTC-USD", "BTC-USD")}, f"I22: {pairs}")
    stage.count(signals=len(ground.raised))


@drill("F73", TIERS)
async def fees_change(stage: Stage) -> None:
    """OKX charges 20 bps where it told 1: the first execution shows it, the venue is asked, and from then on plans
    reckon with what it tells; what earns too little after that is let go."""
    okx, ground = stage.ground.exchanges["okx"], stage.ground
    port = ground.dealing.ports["okx"]
    await until(lambda: port.taker_fee_bps == 1, SETTLE_SEC, "okx told its fees")
    stage.strike("okx", "fee", rate=0.002)
    await stage.still_trades("okx")
    await until(lambda: port.taker_fee_bps == 20, SETTLE_SEC, "okx was asked again")
    planned = len(stage.intents())
    await stage.still_trades("okx")
    fees = {intent.fee_bps for intent in stage.intents()[planned:] if intent.venue == "okx"}
    stage.need(fees == {20}, f"a plan reckons with {fees} bps at okx")
    over_ns = ground.now_ns() + THIN_MS * 1_000_000  # prices are together again by then
    await until(lambda: ground.now_ns() > over_ns)
    before = len(orders_of(okx))
    ends_ns = ground.now_ns() + THIN_MS * 1_000_000
    stage.shift("okx", THIN_BPS, THIN_MS)
    await until(lambda: ground.now_ns() > ends_ns)
    stage.need(len(orders_of(okx)) == before, "I08: an order below the floor")


@drill("F74")
async def stall_and_burst(stage: Stage) -> None:
    """2 s of frames at once: everything is applied, and no plan was made on an old book."""
    fault = stage.strike("okx", "burst", {"private": False}, ms=2000)
    await stage.fire(fault, "okx")
    await asyncio.sleep(2.5)
    await stage.settle()
    await stage.still_trades("okx")
