"""The dashboard's live side wired to a daemon: pictures into updates, updates into the hub, the hub to its readers."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import msgspec
from aiohttp import web

from gambit.access.access import Access
from gambit.access.permissions import Door as Way
from gambit.access.permissions import Principal
from gambit.access.refusal import Refusal
from gambit.bootstrap.pictures import LagWindow, LivePictures
from gambit.config import Config
from gambit.engine.market import Market
from gambit.events.operation import Audited
from gambit.journal import Journal, JournalFailed
from gambit.model import rfc3339
from gambit.runtime.clock import Clock
from gambit.runtime.daemon import Daemon
from gambit.runtime.supervision import Supervisor
from gambit.runtime.ticks import TickReader
from gambit.surface.metrics import Registry
from gambit.web.door import Door, Refused
from gambit.web.frames import text_frame
from gambit.web.hub import Hub
from gambit.web.updates import Updates, channels

TURN_SEC: Final = 0.05
US: Final = 1000
PATH: Final = "/ws/dashboard"

Serve = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Doorkeeper:
    """Access as the WebSocket asks for it."""

    def __init__(self, access: Access, now_ns: Callable[[], int]) -> None:
        self._access = access
        self._now_ns = now_ns

    def admit(self, token: str) -> Principal:
        """Whose token it is; raises Refused."""
        try:
            return self._access.logins.bearer(token, Way.WEBSOCKET)
        except Refusal as error:
            raise Refused(error.text) from error

    def is_good(self, who: Principal) -> bool:
        """Whether the token has not run out, the session lives and the role is what it was."""
        if who.expires_at_ns is not None and self._now_ns() >= who.expires_at_ns:
            return False
        found = self._access.book.live(who.session_id or "")
        return found is not None and found[1].role == who.role


class Dashboard:
    """What feeds and serves the WebSocket, as a server of the daemon."""

    def __init__(
        self, door: Door, updates: Updates, ticks: TickReader, lags: LagWindow, clock: Clock, supervisor: Supervisor
    ) -> None:
        self.door = door
        self.updates = updates
        self.ticks = ticks
        self.lags = lags
        self._clock = clock
        self._supervisor = supervisor

    @property
    def sockets(self) -> Mapping[str, Serve]:
        """What it serves, by path."""
        return {PATH: self.door.serve}

    async def start(self) -> None:
        """Begin to feed and to hand out."""
        self._supervisor.start("dashboard updates", self._feed())
        self._supervisor.start("dashboard readers", self.door.fanout.run())

    async def close(self) -> None:
        """Tell everybody that the daemon ends."""
        await self.door.close()
        await self._supervisor.stop()

    async def _feed(self) -> None:
        while True:
            self.updates.turn(self._clock.now_ns())
            await asyncio.sleep(TURN_SEC)

    def counts(self) -> Mapping[str, int]:
        """Its connections, for the metrics and for itself."""
        hub, fanout = self.door.hub, self.door.fanout
        return {"subscribers": len(hub.readers), "conflated": hub.conflated, "cut": fanout.cut_count}


def build_dashboard(
    config: Config,
    clock: Clock,
    market: Market,
    journal: Journal,
    registry: Registry,
    access: Access,
    daemon: Callable[[], Daemon],
    alerts: Callable[[], Sequence[msgspec.Struct]],
    is_play_money: bool,
) -> Dashboard:
    """Not started yet; its updates have still to be made a listener of the ledger, its lags of the sampler."""
    ticks, lags = TickReader(market.pairs), LagWindow()
    pictures = LivePictures(
        daemon, registry, ticks, lags, sockets=lambda: dashboard.counts(), alerts=alerts,
        book_age_sec=float(config.engine.max_book_age_ms) / 1000, is_play_money=is_play_money,
    )  # fmt: skip
    hub = Hub(channels(pictures), first_seq=clock.now_ns() // US, now_ns=clock.now_ns, ts=rfc3339, worded=text_frame)

    def audit(who: Principal, action: str, detail: str) -> None:
        fact = Audited(who=who.name, door=Way.WEBSOCKET.value, action=action, outcome="refused", detail=detail)
        daemon().parts.ledger.fact(fact)

    async def settled() -> None:
        with contextlib.suppress(JournalFailed):  # told of elsewhere
            await journal.until_written(journal.head)

    door = Door(
        hub,
        Doorkeeper(access, clock.now_ns),
        now_ns=clock.now_ns,
        mono_ns=clock.mono_ns,
        allowed_origins=frozenset(config.api.cors_origins),
        audit=audit,
        settled=settled,
    )
    door.on_round_trip = registry["gambit_ws_round_trip_seconds"].histogram().observe
    updates = Updates(hub, pictures, head=lambda: journal.head, safe=lambda: journal.synced, ts=rfc3339)
    supervisor = Supervisor(lambda name, error: daemon().on_death(name, error))
    dashboard = Dashboard(door, updates, ticks, lags, clock, supervisor)
    return dashboard
