"""One run of gambit: what is started in which order, what readiness means, and how it ends.

    journal open, store follows -> servers listen -> feeds connect -> ready -> ... -> plans end -> feeds end -> last
    decisions are written -> servers close -> store catches up -> journal closes

A task that ends by itself, or a journal that takes no more, is told at once: the daemon stays up to be looked at, and
trading is halted (reliability.md R11, I24).
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from gambit.access.access import Access
from gambit.engine.market import Market
from gambit.events.operation import DaemonStarted, DaemonStopped
from gambit.journal import JournalError, JournalFailed
from gambit.runtime.account_port import AccountPort
from gambit.runtime.clock import Clock
from gambit.runtime.dealing import Dealing, Port
from gambit.runtime.feed import Feeds
from gambit.runtime.generic_port import GenericPort
from gambit.runtime.keeping import Keeping
from gambit.runtime.ledger import Ledger
from gambit.runtime.operations import Readings
from gambit.runtime.pulse import Pulse
from gambit.runtime.sampler import Sampler
from gambit.runtime.soundness import Soundness
from gambit.runtime.supervision import Supervisor
from gambit.runtime.tally import Tally
from gambit.runtime.trading import TradingSwitch
from gambit.threads import in_thread

SAMPLE_SEC: Final = 0.25
HALT_FILE_SEC: Final = 0.02  # how often the halt file is looked for
LOOK_SEC: Final = 1.0  # between two looks at what is written down
DRAIN_SEC: Final = 5.0  # how long a stop waits for orders and plans that are under way
READY_SEC: Final = 20.0  # a venue that is not synced by then is given up for readiness, not for good


class Server(Protocol):
    """Something that listens: control socket, scrape endpoint."""

    async def start(self) -> None: ...
    async def close(self) -> None: ...


class Beside(Protocol):
    """What goes on beside trading: alerts, those who tell people of them, doors of their own."""

    @property
    def name(self) -> str: ...
    def begin(self) -> None: ...  # before the run's first fact
    def run(self) -> Coroutine[Any, Any, object]: ...  # until it is cancelled
    def end(self) -> None: ...  # while everything still stands


class Client(Protocol):
    """The HTTP client of the gateways."""

    async def close(self) -> None: ...


class Recorder(Protocol):
    """A recording that ends with the feeds."""

    def close(self) -> None: ...


class Log(Protocol):
    """Where lines for people go."""

    def info(self, event: str, **fields: Any) -> Any: ...
    def warning(self, event: str, **fields: Any) -> Any: ...
    def error(self, event: str, **fields: Any) -> Any: ...


@dataclass(slots=True, kw_only=True)
class Parts:
    """What a daemon is made of; bootstrap builds and connects them."""

    clock: Clock
    log: Log
    market: Market
    keeping: Keeping
    ledger: Ledger
    http: Client
    feeds: Feeds
    pulse: Pulse
    sampler: Sampler
    readings: Readings
    tally: Tally
    dealing: Dealing
    ports: Callable[[], Mapping[str, Port]]  # asked for when the books are synced
    switch: TradingSwitch
    servers: Sequence[Server]
    beside: Sequence[Beside]
    recorder: Recorder | None
    soundness: Soundness
    started: DaemonStarted
    on_lag: Callable[[int], None]
    scrape_address: Callable[[], str]
    web_address: Callable[[], str]
    access: Access


class Daemon:
    """Runs the parts. `state` is starting, running, degraded, safe_mode or stopping; `problems` say what broke."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._state = "starting"
        self.is_ready = False
        self._safe_mode = ""  # why, where the run is one
        self.problems: list[str] = []
        self.stopping = asyncio.Event()
        self._hurry = asyncio.Event()
        self.before_end: list[Callable[[], None]] = []  # called while everything still stands
        self.on_lag = parts.on_lag
        self._reason = ""
        self._supervisor = Supervisor(self.on_death)

    @property
    def is_safe_mode(self) -> bool:
        """Whether this run trades nothing until an operator resumes."""
        return bool(self._safe_mode)

    @property
    def state(self) -> str:
        """Degraded is a running daemon of which something is wrong; `reasons` say what."""
        return "degraded" if self._state == "running" and self.reasons else self._state

    @property
    def reasons(self) -> list[str]:
        """What broke, and what of its records is not whole or soon will not be."""
        return [*self.problems, *self.parts.soundness.reasons.values()]

    @property
    def is_whole(self) -> bool:
        """Whether nothing broke and everything is written down."""
        return not self.problems and self.parts.soundness.is_whole

    def stop(self, reason: str, *, now: bool = False) -> None:
        """Ask for the end; `now`: what is in flight is not waited for, any more if it was."""
        if now:
            self._hurry.set()
        if not self.stopping.is_set():
            self._reason = reason
            self.stopping.set()

    async def run(self, on_ready: Callable[[], None]) -> None:
        """From start to end. Raises what a part raises when it cannot start; what was started is stopped then too."""
        parts = self.parts
        for each in parts.beside:
            each.begin()
        self._begin()
        parts.log.info(
            "starting",
            version=parts.started.version,
            pid=parts.started.pid,
            epoch=parts.started.epoch,
            snapshot=parts.keeping.snapshot_seq,
            replayed=parts.dealing.replayed,
        )
        try:
            for server in parts.servers:
                await server.start()
            self._supervisor.start("journal watch", self._watch_journal())
            self._supervisor.start("records watch", self._watch_records())
            self._supervisor.start("journal retention", parts.keeping.retire_on())
            self._supervisor.start("sampler", self._sample())
            for each in parts.beside:
                self._supervisor.start(each.name, each.run())
            self._supervisor.start("halt file", self._watch_halt_file())
            await parts.feeds.start()
            await self._until_ready()
            if not self.stopping.is_set():
                ports = parts.ports()
                parts.dealing.open(ports)
                for venue, port in ports.items():
                    if isinstance(port, AccountPort | GenericPort):
                        self._supervisor.start(f"account {venue}", port.run())
                self._supervisor.start("dealing", parts.dealing.run())
                self._state = "safe_mode" if self.is_safe_mode else "running"
                self._tell_ready()
                on_ready()
                self._supervisor.start("journal proof", parts.keeping.prove_rest(), may_end=True)
                await self.stopping.wait()
                await self._drain()
        finally:
            self._state = "stopping"
            parts.log.info("stopping", reason=self._reason)
            for look in self.before_end:
                look()
            for each in parts.beside:
                each.end()
            await self._end()
            parts.log.info("stopped", journal=parts.keeping.journal.head)

    def _begin(self) -> None:
        """The run's first fact, then the trading state: the file's and the journal's, whichever allows less."""
        parts = self.parts
        parts.dealing.begin(parts.started)
        known = parts.dealing.desk.standing.state.trading
        try:
            parts.switch.settle(str(known.state), known.reason, known.by)
        except OSError as error:
            parts.log.error("the trading state is in force, but not on disk", error=str(error))
        if str(known.state) != parts.switch.state:
            kept = parts.switch.kept
            parts.dealing.set_trading(kept.state, kept.reason, kept.by)
        if self._safe_mode:
            self._halt(self._safe_mode)
        self._look_for_halt_file()

    def _tell_ready(self) -> None:
        feeds = self.parts.feeds.statuses()
        self.parts.log.info(
            "ready",
            venues=len(feeds),
            books=sum(feed.books for feed in feeds),
            synced=sum(feed.books_synced for feed in feeds),
            mode=self.parts.started.mode,
            trading=self.parts.switch.state,
            metrics=self.parts.scrape_address(),
            web=self.parts.web_address(),
        )
        listed = {symbol for _, symbol in self.parts.market.listings}
        for symbol, position in sorted(self.parts.dealing.desk.standing.state.holdings.positions.items()):
            if position.qty and symbol not in listed:
                text = (
                    "a position whose symbol is not traded any more: it is kept, without a price, and nothing ends it"
                )
                self.parts.log.warning(text, symbol=symbol, qty=str(position.qty))

    async def _until_ready(self) -> None:
        """Every book of every enabled venue synced, or READY_SEC over, or the end asked for; and this life's epoch on
        disk, for it is in every order's id: a power cut must not leave the next life the same."""
        try:
            await self.parts.keeping.journal.until_synced(self.parts.keeping.journal.head)
        except JournalFailed:
            self.parts.log.warning("nothing will be traded: the start is not in the journal")  # whose watch halts
        loop = asyncio.get_running_loop()
        deadline = loop.time() + READY_SEC
        while not self.stopping.is_set() and loop.time() < deadline:
            if not self.unready():
                break
            await asyncio.sleep(0.02)
        self.is_ready = not self.stopping.is_set()
        for reason in self.unready():
            self.parts.log.warning("given up for readiness", reason=reason)

    def unready(self) -> list[str]:
        """Which venues are not synced, and why."""
        return [
            f"{feed.venue}: {feed.books_synced} of {feed.books} books synced"
            + (f" ({feed.reason})" if feed.reason else "")
            for feed in self.parts.feeds.statuses()
            if feed.books_synced < feed.books or not feed.books
        ]

    # ---- running ----

    async def _sample(self) -> None:
        """Ticks into samples and candles; counters into rates."""
        turns = 0
        while True:
            self.parts.sampler.turn(self.parts.clock.now_ns())
            if turns % 4 == 0:
                self.parts.readings.turn()
            turns += 1
            await asyncio.sleep(SAMPLE_SEC)

    async def _watch_halt_file(self) -> None:
        while True:
            self._look_for_halt_file()
            await asyncio.sleep(HALT_FILE_SEC)

    def _look_for_halt_file(self) -> None:
        try:
            self.parts.switch.look_for_halt_file()
        except (OSError, JournalError) as error:
            self.parts.log.error("the halt is in force, but not on disk", error=str(error))

    async def _watch_records(self) -> None:
        while True:
            self.parts.soundness.look()
            await asyncio.sleep(LOOK_SEC)

    async def _watch_journal(self) -> None:
        self.trouble(_no_journal(await self.parts.keeping.journal.until_failed()))
        await asyncio.Event().wait()  # a failed journal is told once

    def on_death(self, name: str, error: BaseException | None) -> None:
        """A task ended that should not have."""
        self.troubled(f"the task {name} ended", error)

    def troubled(self, what: str, error: BaseException | None) -> None:
        """Something of ours went wrong while doing `what`; a journal that failed stops many things for one reason."""
        if isinstance(error, JournalFailed):
            self.trouble(_no_journal(str(error)))
        else:
            self.trouble(f"{what}: {error!r}" if error else what)

    def safe_mode(self, text: str) -> None:
        """Come up to be looked at, and trade nothing until an operator resumes."""
        self._safe_mode = f"safe mode: {text}"
        self.parts.log.error(self._safe_mode)

    def trouble(self, text: str) -> None:
        """Something of ours is broken: say so everywhere, once, and let nobody trade."""
        if text in self.problems:
            return
        self.problems.append(text)
        self.parts.log.error(text)
        if self.parts.switch.state != "HALTED":
            self._halt(text)

    def _halt(self, text: str) -> None:
        try:
            self.parts.switch.change("HALTED", text, "gambit")
        except (OSError, JournalError) as error:
            self.parts.log.error("the halt is in force, but not on disk", error=str(error))

    # ---- ending ----

    async def _drain(self) -> None:
        """What is in flight comes to its end, a hedge included, while everything still stands (contract.md, `stop`);
        what takes longer is found in the journal by the next life."""
        self._state = "stopping"
        dealing = self.parts.dealing
        ways = [asyncio.ensure_future(dealing.drain()), asyncio.ensure_future(self._hurry.wait())]
        done, late = await asyncio.wait(ways, timeout=DRAIN_SEC, return_when=asyncio.FIRST_COMPLETED)
        for way in late:
            way.cancel()
        for way in done:
            way.result()
        if dealing.is_under_way:
            live = len(dealing.desk.standing.live)
            self.parts.log.info("orders or plans are still under way; the next start takes them up", live=live)

    async def _end(self) -> None:
        """In the order of the data, each part even when another fails; the first failure is raised at the end."""
        parts = self.parts
        failures: list[BaseException] = []
        for step in (self._end_feeds, self._write_last, self._end_servers, self._end_keeping):
            try:
                await step()
            except Exception as error:
                failures.append(error)
                parts.log.error("a part did not stop well", part=step.__name__, error=repr(error))
        if failures:
            raise failures[0]

    async def _end_feeds(self) -> None:
        await self.parts.dealing.close()
        if not self.parts.dealing.desk.standing.live:
            accounts = [port for port in self.parts.dealing.ports.values() if isinstance(port, AccountPort)]
            await asyncio.gather(*(port.close() for port in accounts))
        await self.parts.feeds.stop()
        await self._supervisor.stop()
        for port in self.parts.dealing.ports.values():
            if isinstance(port, GenericPort):
                await port.close()
        await self.parts.dealing.let_go()
        await self.parts.http.close()

    async def _write_last(self) -> None:
        parts = self.parts
        parts.pulse()
        if parts.recorder is not None:
            await in_thread(parts.recorder.close)
        parts.sampler.turn(parts.clock.now_ns())
        parts.sampler.finish()
        if parts.keeping.journal.failed is None:
            parts.ledger.fact(DaemonStopped(reason=self._reason or "failed to start"))

    async def _end_keeping(self) -> None:
        parts = self.parts
        try:
            if not await parts.keeping.close():
                lag = parts.keeping.store.lag
                parts.log.warning("the store did not catch up; it will after the next start", lag=lag)
        finally:
            parts.soundness.look()  # the database's last words

    async def _end_servers(self) -> None:
        for server in reversed(self.parts.servers):
            await server.close()


def _no_journal(reason: str) -> str:
    return f"the journal takes no more records: {reason}"
