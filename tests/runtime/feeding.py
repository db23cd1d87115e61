"""One venue's feed and a scripted exchange for it to talk to, at any speed of time."""

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

from gambit.config import Config
from gambit.events.feed import BookSynced
from gambit.runtime.feed import Feeds, FeedSettings, FeedStatus
from gambit.runtime.http import AiohttpClient
from gambit.runtime.stream import Observer
from gambit.runtime.transport import PicowsTransport, Transport
from gambit.runtime.wiring import build_market
from gambit.venues import VENUES
from tests.runtime.exchange import Exchange

SYMBOLS = ("BTC-USDT", "ETH-USDT")
STEP_NS = 10_000_000  # of real time, the longest between two looks at the clock that counts


class Watcher(Observer):
    """Keeps the facts; a test waits for one."""

    def __init__(self) -> None:
        self.facts: list[Any] = []
        self.came = asyncio.Event()

    def fact(self, fact: object) -> None:
        self.facts.append(fact)
        self.came.set()

    def of(self, kind: type) -> list[Any]:
        """The facts of a kind so far."""
        return [fact for fact in self.facts if isinstance(fact, kind)]

    async def until(self, kind: type, count: int, timeout_sec: float = 60) -> list[Any]:
        """Wait until there were so many of a kind."""
        async with asyncio.timeout(timeout_sec):
            while len(self.of(kind)) < count:
                self.came.clear()
                await self.came.wait()
        return self.of(kind)


class Clock:
    """Runs `speed` times as fast as the wall; of the time in which a busy machine did not let this process run only a
    step passes."""

    def __init__(self, speed: float = 1) -> None:
        self.speed = speed
        self._ns = self._looked_ns = time.monotonic_ns()

    def now_ns(self) -> int:
        looked_ns = time.monotonic_ns()
        self._ns += int(min(looked_ns - self._looked_ns, STEP_NS) * self.speed)
        self._looked_ns = looked_ns
        return self._ns

    mono_ns = now_ns

    async def sleep(self, seconds: float) -> None:
        """So many of its seconds."""
        until_ns = self.now_ns() + int(seconds * 1e9)
        while (left_ns := until_ns - self.now_ns()) > 0:
            await asyncio.sleep(min(left_ns / self.speed, STEP_NS / 4) / 1e9)


class Setup:
    """One venue's feed and the exchange it talks to."""

    def __init__(
        self,
        exchange: Exchange,
        transport: Callable[[Callable[[], int]], Transport] = PicowsTransport,
        *,
        speed: float = 1,
        **more: Any,
    ) -> None:
        self.clock = clock = Clock(speed)
        self.exchange = exchange
        self.watcher = Watcher()
        self.deaths: list[tuple[str, BaseException | None]] = []
        self.said: list[str] = []
        self.pulses = 0
        self.unsynced = 0  # pulses after the first synchronisation that found a book unsynced
        self.http = AiohttpClient()
        self.market = build_market(Config(symbols=SYMBOLS), is_live=True)
        settings = {
            "venue": VENUES[exchange.venue],
            "symbols": SYMBOLS,
            "ws": exchange.url,
            "rest": exchange.rest,
            **more,
        }
        self.feeds = Feeds(
            self.market,
            [FeedSettings(**settings)],
            transport=transport(clock.now_ns),
            http=self.http,
            clock=clock,
            random=random.Random(1).random,
            on_death=lambda name, error: self.deaths.append((name, error)),
            observer=self.watcher,
            pulse=self.pulse,
            warn=self.said.append,
            sleep=clock.sleep,
        )

    def pulse(self) -> None:
        self.pulses += 1
        if len(self.watcher.of(BookSynced)) >= len(SYMBOLS):
            self.unsynced += not all(state[0] for state in self.market.pairs.states())

    async def synced(self) -> None:
        """Start, and wait for both books."""
        await self.feeds.start()
        await self.watcher.until(BookSynced, 2)

    def status(self) -> FeedStatus:
        """Of the venue, as of now."""
        self.feeds.look()
        return self.feeds.statuses()[0]

    async def stop(self) -> None:
        await self.feeds.stop()
        await self.http.close()
