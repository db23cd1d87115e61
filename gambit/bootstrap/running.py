"""The process around a daemon: lock, limits, log, signals, watchdog, garbage, the loop's temper; then the daemon runs.

What ends a run is its return value: 0 for a clean end, 1 when something of ours broke or the run is not written down
whole.
"""

import asyncio
import contextlib
import dataclasses
import os
import sys
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Final

from gambit.bootstrap import Options, build
from gambit.bootstrap.credentials import live_keys, open_vault
from gambit.bootstrap.reloading import Reloading
from gambit.config import Config
from gambit.journal import JournalError
from gambit.runtime.clock import SystemClock
from gambit.runtime.daemon import Daemon
from gambit.runtime.lag import measure_lag
from gambit.runtime.logs import Logs, Sink
from gambit.runtime.notify import Notifier
from gambit.runtime.process import (
    Garbage,
    InstanceLock,
    forbid_core_dumps,
    give_memory_back,
    keep_clear,
    pin,
    prepare_state_dir,
    raise_file_limit,
)
from gambit.runtime.progress import Progress
from gambit.runtime.signals import Signals
from gambit.runtime.soundness import MB
from gambit.runtime.starts import Starts, is_safe_mode_due
from gambit.runtime.tracing import Tracing
from gambit.runtime.warmth import Warmth
from gambit.store import Store
from gambit.vault import Redactor
from gambit.venues.orders import Keys

LIMITS_SEC: Final = {"loop": 10.0, "books": 60.0, "store": 120.0}
TURN_SEC: Final = 1.0

Ready = Callable[[Daemon], None]


async def run_daemon(
    config: Config,
    environ: MutableMapping[str, str],
    options: Options,
    *,
    on_ready: Ready = lambda _daemon: None,
    load: Callable[[], Config] | None = None,
    quiet: bool = False,
) -> int:
    """Run a daemon until a signal or the control socket ends it; `quiet` logs only what somebody has to look at.

    `load` reads the configuration again for SIGHUP and the method `reload`; without it nothing can change.
    Raises ProcessError, JournalError, FeedError, VaultError, CredentialError, OSError when it cannot start.
    """
    state_dir = Path(config.daemon.state_dir)
    prepare_state_dir(state_dir)
    lock = InstanceLock(state_dir)
    lock.acquire()
    notifier = Notifier.from_environment(environ)
    clock = SystemClock()
    redactor = Redactor()
    logs = _logs(config, clock, redactor, quiet=quiet)
    starts = Starts(state_dir)
    tracing = None
    try:
        forbid_core_dumps()
        give_memory_back()
        raise_file_limit()
        options = dataclasses.replace(options, sink=logs.sink, redactor=redactor)
        note = logs.logger().info if quiet else logs.logger().warning  # a demonstration's own key is not worth keeping
        _give_keys(options, config, environ, clock, logs, note)  # refused before this counts as a start
        crashes = starts.begin(clock.now_ns())
        usable = frozenset() if config.daemon.cpu is None else pin(config.daemon.cpu)
        progress = Progress(LIMITS_SEC, clock.mono_ns)
        options.progress = progress
        tracing = Tracing.from_environment(environ, clock.now_ns)
        if tracing is not None:
            options.listeners = [*options.listeners, tracing.take]
        reloading = Reloading(config, load or (lambda: config), logs, logs.logger())
        daemon = build(config, clock, logs.logger(), options, reload=reloading.reload)
        if is_safe_mode_due(crashes):
            daemon.safe_mode(f"{crashes} crashes within a minute: no orders; `gambit resume` ends it")
        _can_change(reloading, daemon)
        async with _Around(daemon, config, clock, notifier, logs, reloading, progress, usable):
            await daemon.run(lambda: _ready(daemon, notifier, on_ready))
        starts.ended_well()
    except Exception as error:
        without_secrets(error, redactor)
        raise
    finally:
        if tracing is not None:
            tracing.close()
        logs.sink.close()
        lock.release()
    return 0 if daemon.is_whole else 1


def _give_keys(
    options: Options,
    config: Config,
    environ: MutableMapping[str, str],
    clock: SystemClock,
    logs: Logs,
    note: Callable[[str], None],
) -> None:
    """The vault, and in live mode the keys of accounts that the caller has none for. Raises VaultError,
    CredentialError."""
    log, learn = logs.logger(), logs.redactor.learn
    options.vault = vault = open_vault(Path(config.daemon.state_dir), environ, clock.now_ns, learn, note, options.ask)

    def keys() -> Mapping[str, Keys]:
        found = live_keys(config, vault, environ)
        for one in found.values():
            for value in (one.key, one.secret, one.passphrase):
                learn(value)
        return found

    if config.execution.mode == "live" and not options.keys:
        options.keys, options.reload_keys = keys(), keys
        for venue in config.venues:
            if config.venues[venue].enabled and venue not in options.keys:
                log.warning("no keys: market data only", venue=venue)
    for one in options.keys.values():
        for value in (one.key, one.secret, one.passphrase):
            learn(value)


def without_secrets(error: BaseException, redactor: Redactor) -> None:
    """Take known secrets out of an exception's texts, and of those that led to it: whoever prints it prints none."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        one.args = tuple(redactor.text(each) if isinstance(each, str) else each for each in one.args)
        one = one.__cause__ or one.__context__


def _can_change(reloading: Reloading, daemon: Daemon) -> None:
    """What the daemon's parts read anew each time they need it."""
    keeping, soundness = daemon.parts.keeping, daemon.parts.soundness
    days, low = "journal.retention_days", "daemon.disk_low_mb"
    reloading.can_change(days, lambda fresh: setattr(keeping, "retention_days", fresh.journal.retention_days))
    reloading.can_change(low, lambda fresh: setattr(soundness, "low_bytes", fresh.daemon.disk_low_mb * MB))


def _ready(daemon: Daemon, notifier: Notifier, on_ready: Ready) -> None:
    synced = sum(feed.books_synced for feed in daemon.parts.feeds.statuses())
    notifier.ready(f"running, {synced} books synced")
    on_ready(daemon)


def _logs(config: Config, clock: SystemClock, redactor: Redactor, *, quiet: bool) -> Logs:
    fd = sys.stderr.fileno()
    level = config.daemon.log_level
    logs = Logs(
        Sink(fd),
        clock.now_ns,
        level="warning" if quiet and level == "info" else level,
        style=config.daemon.log_format,
        is_coloured=os.isatty(fd) and not os.environ.get("NO_COLOR"),
        redactor=redactor,
    )
    logs.take_over()
    return logs


def is_due(store: Store) -> bool:
    """Whether the database has to move: one that says what is wrong, and tries again, is no reason to restart what
    trades; it is degraded, and alarmed as such."""
    return store.lag > 0 and store.problem is None


class _Around:
    """What goes on beside the daemon while it runs: signals, watchdog, loop lag, garbage, how awake the loop is."""

    def __init__(
        self,
        daemon: Daemon,
        config: Config,
        clock: SystemClock,
        notifier: Notifier,
        logs: Logs,
        reloading: Reloading,
        progress: Progress,
        usable: frozenset[int],
    ) -> None:
        self.daemon = daemon
        self.config = config
        self.clock = clock
        self.notifier = notifier
        self.reloading = reloading
        self.usable = usable
        self.log = logs.logger()
        self.progress = progress
        self.garbage = Garbage()
        self.signals = Signals(stop=daemon.stop, reload=self._reload, halt=self._halt, mono_ns=clock.mono_ns)
        self._tasks: list[asyncio.Task[None]] = []
        pairs = daemon.parts.market.pairs
        self.warmth = Warmth(asyncio.get_running_loop(), lambda: pairs.now)

    async def __aenter__(self) -> None:
        loop = asyncio.get_running_loop()
        self.signals.install(loop)
        self.garbage.settle(self.clock.mono_ns())
        self._tasks = [
            loop.create_task(self._turn(), name="turns"),
            loop.create_task(measure_lag(self.clock.mono_ns, self.daemon.on_lag), name="loop lag"),
            loop.create_task(
                self.notifier.watch(self.progress.reasons, lambda why: self.log.error("stalled", parts=list(why))),
                name="watchdog",
            ),
        ]
        self._heat(self.config)
        for setting in ("daemon.busy_poll", "daemon.keep_warm"):
            self.reloading.can_change(setting, self._heat)

    def _heat(self, config: Config) -> None:
        self.warmth.keep(hot=config.daemon.busy_poll, warm=config.daemon.keep_warm)

    async def _turn(self) -> None:
        while True:
            self.progress.beat("loop")
            if self.config.daemon.cpu is not None:
                keep_clear(self.config.daemon.cpu, self.usable)
            parts = self.daemon.parts
            feeds = parts.feeds.statuses()
            self.progress.expect("books", any(feed.connections_up for feed in feeds))
            self.progress.saw("books", sum(feed.frames for feed in feeds))
            self.progress.expect("store", is_due(parts.keeping.store))
            self.progress.saw("store", parts.keeping.store.applied)
            self.garbage.turn(self.clock.mono_ns())
            await asyncio.sleep(TURN_SEC)

    def _reload(self) -> None:
        """On SIGHUP; what is wrong has been logged."""
        self.notifier.reloading(self.clock.mono_ns())
        with contextlib.suppress(ValueError):
            self.reloading.reload()
        self.notifier.ready("running")

    def _halt(self, by: str) -> None:
        try:
            self.daemon.parts.switch.change("HALTED", by, by)
        except (OSError, JournalError) as error:
            self.log.error("the halt is not on disk", error=str(error))

    async def __aexit__(self, *_: object) -> None:
        self.notifier.stopping("the end was asked for")
        self.warmth.keep(hot=False, warm=False)
        self.garbage.release()
        self.signals.remove()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
