"""Every fault of market data, on a daemon that runs: nothing is decided from a bad book, and all heals by itself."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import aiohttp

from gambit.sim.world import DIALECTS
from tests.e2e.live import until
from tests.e2e.truth import Watch, watched

VENUES = tuple(DIALECTS)
PLAIN = ("BTC-USDT", "ETH-USDT")
# Values that no price or size may have (F66), as texts and, where JSON has it, bare.
POISONS = (
    ("NaN", False), ("NaN", True), ("Infinity", False), ("", False), ("null", True), ("-1", False), ("1e308", False),
    ("1e-320", False), ("1" * 40, False), ("0x10", False), ("0x10", True),
)  # fmt: skip
POISONED = tuple(f"{letter * 3}-USDT" for letter in "ABCDEFGHIJKL")


async def metric(watch: Watch, name: str) -> dict[str, float]:
    """A metric's samples as the scrape endpoint has them, by their labels."""
    async with aiohttp.ClientSession() as session, session.get(watch.daemon.parts.scrape_address()) as answer:
        text = await answer.text()
    rows = [line.rpartition(" ") for line in text.splitlines() if line.startswith(name)]
    return {labels.removeprefix(name): float(value) for labels, _, value in rows}


async def test_lost_repeated_and_swapped_frames(tmp_path: Path) -> None:
    """One frame lost, a second and a half of them lost, one twice, two swapped: F56, F57, F68."""
    symbols = (*PLAIN, "SOL-USDT", "XRP-USDT")
    async with watched(tmp_path / "state", symbols, pace=4) as watch:
        for venue in VENUES:
            watch.strike(venue, "gap", match={"symbol": symbols[0]}, count=1)
            watch.strike(venue, "gap", match={"symbol": symbols[1]}, for_ms=1500)
            watch.strike(venue, "dup", match={"symbol": symbols[2]}, count=3)
            watch.strike(venue, "reorder", match={"symbol": symbols[3]}, count=1)
        await watch.over()
        lost = await metric(watch, "gambit_book_resyncs_total")
        for venue in VENUES:
            assert sum(count for labels, count in lost.items() if f'venue="{venue}"' in labels) >= 2
        await watch.assert_well()


def poisons() -> Iterator[tuple[str, str, str, bool]]:
    """(symbol, field, value, bare): each value as price and as size, and a price of nothing."""
    cases = [(field, *value) for value, field in product(POISONS, ("price", "qty"))]
    for symbol, (field, value, bare) in zip(POISONED * 2, [*cases, ("price", "0", False)], strict=False):
        yield symbol, field, value, bare


async def test_values_that_no_price_or_size_may_have(tmp_path: Path) -> None:
    """Each of them at each venue: the frame is refused, the book is lost and comes back, nothing dies (F66)."""
    async with watched(tmp_path / "state", POISONED, pace=4) as watch:
        for venue in VENUES:
            for symbol, field, value, bare in poisons():
                watch.strike(venue, "poison", match={"symbol": symbol}, count=1, field=field, value=value, bare=bare)
        await watch.over()
        await watch.assert_well()
        bad = await metric(watch, "gambit_frame_errors_total")
        for venue in VENUES:
            assert sum(count for labels, count in bad.items() if venue in labels) >= len(POISONED)


async def test_checksums(tmp_path: Path) -> None:
    """Kraken's, wrong, zero and absent: wrong and zero lose the book once each, no storm (F58, F59, F60)."""
    async with watched(tmp_path / "state", (*PLAIN, "SOL-USDT"), pace=4) as watch:
        for symbol, how in zip((*PLAIN, "SOL-USDT"), ("bad", "zero", "absent"), strict=True):
            watch.strike("kraken", "checksum", match={"symbol": symbol}, count=2, how=how)
            watch.strike("okx", "checksum", match={"symbol": symbol}, count=2, how=how)
        await watch.over()
        assert watch.daemon.parts.feeds.status()["okx"]["resyncs"] == 0  # its checksum is dead
        await watch.assert_well()


async def test_crossed_books(tmp_path: Path) -> None:
    """A bid stands at the ask for one step, and again and again for a second: F64."""
    async with watched(tmp_path / "state", PLAIN, pace=4) as watch:
        for venue in VENUES:
            watch.strike(venue, "cross", match={"symbol": "BTC-USDT"}, count=1)
            watch.strike(venue, "cross", match={"symbol": "ETH-USDT"}, for_ms=1000)
        await watch.over()
        await watch.assert_well()


async def test_what_falls_silent(tmp_path: Path) -> None:
    """One book, one socket both ways, all data with heartbeats going on, on each venue: F61, F62, F78."""
    async with watched(tmp_path / "state", PLAIN, pace=4) as watch:
        for kind in ("book", "link", "venue"):
            for place, venue in enumerate(VENUES):
                if kind == "book":
                    watch.strike(venue, "freeze", match={"symbol": "BTC-USDT"}, for_ms=13_000, what="book")
                elif kind == "venue":
                    watch.strike(venue, "freeze", for_ms=23_000, what="venue")
                elif place % 2:
                    watch.strike(venue, "half_open", count=1)
                else:
                    watch.strike(venue, "freeze", for_ms=9_500, what="socket")
            await watch.over()
        for feed in watch.daemon.parts.feeds.statuses():
            assert feed.resubscribed + feed.reconnects >= 1
        await watch.assert_well()


async def test_connections_that_break(tmp_path: Path) -> None:
    """Cut with and without a close, refused twice, held up for a second and then all at once: F74, F79, F84."""
    async with watched(tmp_path / "state", PLAIN) as watch:
        for venue in VENUES:
            watch.strike(venue, "burst", count=1, ms=1000)
        await watch.over()
        for place, venue in enumerate(VENUES):
            watch.strike(venue, "refuse", match={"method": "WS"}, count=2)
            cut = watch.strike(venue, "disconnect", count=1, code=(1006, 1001, 1000, 1012, 1013)[place])
            await until(lambda cut=cut: cut.fired)  # one after the other
        await watch.over()
        for feed in watch.daemon.parts.feeds.statuses():
            assert feed.reconnects >= 3
        await watch.assert_well()


async def test_rest_interfaces_that_fail(tmp_path: Path) -> None:
    """Snapshots and lists answered 503, 429, with rubbish, late, not at all; maintenance: F57, F81."""
    async with watched(tmp_path / "state", (*PLAIN, "SOL-USDT", "XRP-USDT"), pace=4) as watch:
        depth = {"path": "/api/v3/depth"}
        watch.strike("binance", "gap", match={"symbol": "BTC-USDT"}, count=1)
        watch.strike("binance", "gap", match={"symbol": "ETH-USDT"}, count=1)
        watch.strike("binance", "http", match=depth, count=2, status=503, body="<html>")
        watch.strike("binance", "delay", match=depth, count=1, ms=1500)
        await watch.over()
        watch.strike("binance", "gap", match={"symbol": "SOL-USDT"}, count=1)
        watch.strike("binance", "limit", match=depth, count=1, status=429, seconds=1)
        for venue in VENUES[1:]:
            watch.strike(venue, "maintenance", for_ms=6000, scope="all")
            watch.strike(venue, "disconnect", count=1)
        await watch.over()
        await watch.assert_well()


async def test_clocks_of_venues(tmp_path: Path) -> None:
    """Venues 30 s ahead and behind: nothing depends on their clocks being right (F87, F89)."""
    async with watched(tmp_path / "state", PLAIN) as watch:
        for place, venue in enumerate(VENUES):
            watch.strike(venue, "clock", for_ms=1500, offset_ms=(30_000, -30_000)[place % 2])
        await watch.over()
        await watch.assert_well()
