"""Builds the daemon: reads top to bottom, each object made once and handed its collaborators; the only wiring."""

import contextlib
import os
import platform
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gambit import __version__
from gambit._core.latency import PyHistogram
from gambit.access.access import Access
from gambit.bootstrap.access import build_access
from gambit.bootstrap.alert_handlers import alert_handlers
from gambit.bootstrap.alerting import Alerting, build_alerting
from gambit.bootstrap.bot import build_bot, link_handlers
from gambit.bootstrap.commands import handlers, in_words
from gambit.bootstrap.components import component_log
from gambit.bootstrap.credentials import Credentials, accounts, tell_changes
from gambit.bootstrap.dashboard import Dashboard, build_dashboard
from gambit.bootstrap.desk import build_dealing, live_ports, paper_ports
from gambit.bootstrap.gauges import Gauges, Host, Lags, OrderCounts
from gambit.bootstrap.notifying import Secrets, build_post, secrets_due
from gambit.bootstrap.web import build_web
from gambit.config import Config
from gambit.config.settings import StoreSettings
from gambit.engine.board import Board
from gambit.engine.market import Market
from gambit.events import Fact
from gambit.events.operation import DaemonStarted
from gambit.journal import JournalFailed
from gambit.runtime.clock import Clock
from gambit.runtime.components import ComponentLog
from gambit.runtime.daemon import Beside, Daemon, Log, Parts
from gambit.runtime.dealing import Dealing, Port
from gambit.runtime.feed import Feeds
from gambit.runtime.http import AiohttpClient
from gambit.runtime.keeping import Keeping, open_keeping
from gambit.runtime.lag import Stalls
from gambit.runtime.ledger import Journal, Ledger
from gambit.runtime.letters import Letters, decoder
from gambit.runtime.lives import next_epoch
from gambit.runtime.logs import Sink
from gambit.runtime.moment import marks_of
from gambit.runtime.operations import Readings
from gambit.runtime.process import control_socket
from gambit.runtime.progress import Progress
from gambit.runtime.pulse import Event, Pulse
from gambit.runtime.quarantine import Quarantine
from gambit.runtime.recorder import Recorder, config_hash
from gambit.runtime.sampler import Depth, Row, Sampler, columns
from gambit.runtime.shelf import Shelf
from gambit.runtime.soundness import MB, Soundness
from gambit.runtime.status import FeedSettings
from gambit.runtime.stream import Observer
from gambit.runtime.tally import Tally
from gambit.runtime.telemetry import Telemetry
from gambit.runtime.ticks import TickReader
from gambit.runtime.trading import TradingSwitch
from gambit.runtime.transport import TRANSPORTS
from gambit.runtime.wiring import build_market, feed_settings, languages
from gambit.store import Store
from gambit.surface.catalogue import METRICS
from gambit.surface.control import ControlServer, Handler, Method
from gambit.surface.methods import TOPICS, bind
from gambit.surface.metrics import Registry
from gambit.surface.scrape import ScrapeServer
from gambit.surface.views import Reloaded
from gambit.surface.vitals import Vitals
from gambit.vault import Redactor, Vault
from gambit.venues.decode import decode
from gambit.venues.orders import Keys

MS, SECOND = 1_000_000, 1_000_000_000  # ns


@dataclass(slots=True, kw_only=True)
class Options:
    """What a run has beside its configuration."""

    record_to: Path | None = None
    listeners: Sequence[Callable[[Event], None]] = ()
    keys: Mapping[str, Keys] = field(default_factory=dict)  # of the accounts orders go to, by venue
    env: Mapping[str, str] | None = None
    progress: Progress | None = None
    sink: Sink | None = None
    vault: Vault | None = None
    redactor: Redactor | None = None  # knows every secret that anything of this process knows
    reload_keys: Callable[[], Mapping[str, Keys]] | None = None  # reads the configured ones again
    is_play_money: bool = False  # every exchange is a simulated one of our own: the screens say so
    ask: Callable[[], str] | None = None  # for the vault's passphrase, on a terminal


@dataclass(slots=True)
class _Hot:
    """The market and what listens to it."""

    market: Market
    board: Board
    tally: Tally
    latency: PyHistogram
    loop_lag: PyHistogram
    stalls: Stalls
    pulse: Pulse
    ticks: TickReader


def build(
    config: Config, clock: Clock, log: Log, options: Options, *, reload: Callable[[], Reloaded] = Reloaded
) -> Daemon:
    """A daemon, ready to run on the running loop; its journal is open and proved. `reload` answers that method.
    Raises JournalError, FeedError, RecorderError, ProcessError, OSError."""
    registry = Registry(METRICS)
    recorder = _recorder(config, clock, log, options)
    keeping = open_keeping(config, clock, lambda text: log.warning(text))
    journal, store = keeping.journal, keeping.store
    ledger = _ledger(journal, clock, options)
    hot = _hot(config, clock, ledger, registry, lambda: daemon)
    http = AiohttpClient()
    feeds = _feeds(config, feed_settings(config), hot, http, clock, log, Watcher(ledger, recorder), lambda: daemon)
    alerting = build_alerting(config, registry, ledger, keeping, clock, log, lambda: daemon, lambda: control)
    switch, dealing = _order_path(config, clock, hot, keeping, ledger, lambda: feeds, lambda: daemon, alerting)
    letters = Letters(journal, ledger, decoder(languages(config), decode), lambda: keeping.snapshot(0.0))
    table = handlers(lambda: daemon, registry, letters, reload) | alert_handlers(lambda: daemon, alerting, registry)
    table = in_words(table | key_handlers(lambda: daemon, options) | link_handlers(lambda: daemon))
    control = _control(config, bind(table), log, keeping)
    scrape = _Scrape(registry, config, lambda: daemon, options.progress)
    access = _access(config, clock, log, ledger, options)
    dashboard = build_dashboard(
        config, clock, hot.market, journal, registry, access, lambda: daemon, alerting.rows, options.is_play_money
    )
    web = build_web(
        config, clock, log, lambda: daemon, access, table, registry, control.settled, scrape.health, dashboard
    )
    telemetry, states = _series(store, hot, lambda: daemon)
    ledger.listeners += [OrderCounts(registry), telemetry.fact, alerting.hear, dashboard.updates.hear]
    hot.pulse.listeners = _listeners(registry, recorder, dealing, control, hot, telemetry, options)
    daemon = Daemon(
        Parts(
            clock=clock,
            log=log,
            market=hot.market,
            keeping=keeping,
            ledger=ledger,
            http=http,
            feeds=feeds,
            pulse=hot.pulse,
            sampler=_sampler(config.store, hot, registry, feeds, store, telemetry, states, dashboard, alerting),
            readings=_readings(hot, feeds, clock, lambda: daemon),
            tally=hot.tally,
            dealing=dealing,
            ports=lambda: ports(config, clock, log, hot.market, dealing, feeds, options, ledger),
            switch=switch,
            servers=(control, scrape, web, dashboard),
            beside=_beside(config, registry, ledger, keeping, clock, log, alerting, options, access, table, hot.pulse),
            recorder=recorder,
            soundness=_soundness(config, keeping, recorder, log),
            started=_started(config, dealing),
            on_lag=_latencies(registry, "gambit_loop_lag_seconds", hot.loop_lag, hot.stalls.beat),
            scrape_address=scrape.address,
            web_address=web.url,
            access=access,
        )
    )
    daemon.before_end.append(lambda: states.close(clock.now_ns()))
    _collect(registry, daemon, control, hot.ticks, dashboard, options, config.daemon.state_dir)
    return daemon


def _beside(
    config: Config,
    registry: Registry,
    ledger: Ledger,
    keeping: Keeping,
    clock: Clock,
    log: Log,
    alerting: Alerting,
    options: Options,
    access: Access,
    table: Mapping[str, Handler],
    pulse: Pulse,
) -> list[Beside]:
    """The alerts, who tells people of them, and the bot where there is one."""
    learn = (options.redactor or Redactor()).learn
    secrets = Secrets(Path(config.daemon.state_dir), environ_of(options), clock.now_ns, options.vault, learn)
    if options.vault is not None:
        alerting.secrets_due = partial(secrets_due, options.vault)
    beside: list[Beside] = [build_post(config, registry, ledger, keeping, clock, log, alerting, secrets), alerting]
    bot = build_bot(config, access, table, ledger, clock, log, secrets) if config.telegram.enabled else None
    if bot is not None:
        alerting.tellers.append(bot.on_alert)
        pulse.listeners = [*pulse.listeners, bot.on_signal]
        beside.append(bot)
    return beside


def _ledger(journal: Journal, clock: Clock, options: Options) -> Ledger:
    """What was done to the vault while nobody kept a journal is written down first."""
    ledger = Ledger(journal, clock, (options.redactor or Redactor()).raw)
    if options.vault is not None:
        tell_changes(options.vault, ledger)
    return ledger


def key_handlers(daemon: Callable[[], Daemon], options: Options) -> dict[str, Handler]:
    """The methods about the accounts' keys."""
    return {"credentials.reload": Credentials(daemon, options.vault, options.reload_keys).reload}


def _control(config: Config, methods: Mapping[str, Method], log: Log, keeping: Keeping) -> ControlServer:
    return ControlServer(
        socket_path(config),
        methods,
        topics=TOPICS,
        on_defect=lambda method, error: log.error("a control method failed", method=method, error=repr(error)),
        settled=lambda: _written(keeping),
    )


def _listeners(
    registry: Registry,
    recorder: Recorder | None,
    dealing: Dealing,
    control: ControlServer,
    hot: _Hot,
    telemetry: Telemetry,
    options: Options,
) -> list[Callable[[Event], None]]:
    """Who hears of every signal, in this order; orders are timed, and a recording knows the market's books."""
    if recorder is not None:
        recorder.books = lambda: hot.market.listings
    dealing.on_order = registry["gambit_tick_to_order_seconds"].histogram().observe
    return [
        *([recorder.decided] if recorder is not None else []),
        dealing.on_signal,  # before those that only count and tell
        _signals(registry),
        lambda event: control.publish("arb.signal", event),
        hot.tally.take,
        telemetry.signal,
        *options.listeners,
    ]


def _readings(hot: _Hot, feeds: Feeds, clock: Clock, daemon: Callable[[], Daemon]) -> Readings:
    return Readings(hot.market, hot.board, feeds, clock, hot.latency, lambda: daemon_life(daemon(), hot.loop_lag))


def environ_of(options: Options) -> Mapping[str, str]:
    """The environment of the run."""
    return os.environ if options.env is None else options.env


def _access(config: Config, clock: Clock, log: Log, ledger: Ledger, options: Options) -> Access:
    environ = environ_of(options)
    state_dir = Path(config.daemon.state_dir)
    return build_access(state_dir, environ, clock.now_ns, ledger.fact, lambda text: log.info(text), options.vault)


def _order_path(
    config: Config,
    clock: Clock,
    hot: _Hot,
    keeping: Keeping,
    ledger: Ledger,
    feeds: Callable[[], Feeds],
    daemon: Callable[[], Daemon],
    alerting: Alerting,
) -> tuple[TradingSwitch, Dealing]:
    """The switch and the desk tell each other of every change of the trading state."""
    switch = TradingSwitch(
        Path(config.daemon.state_dir),
        clock.now_ns,
        lambda fact: dealing.set_trading(fact.state, fact.reason, fact.by),
    )
    dealing = build_dealing(
        config,
        clock,
        hot.market,
        keeping,
        ledger,
        feeds,
        hot.stalls,
        switch.adopt,
        lambda what, error: daemon().troubled(what, error),
        alerting.notice,
    )
    return switch, dealing


def _hot(config: Config, clock: Clock, ledger: Ledger, registry: Registry, daemon: Callable[[], Daemon]) -> _Hot:
    """The market with its readers; every stage is timed."""
    market = build_market(config, on_dead_letter=ledger.dead_letter, is_live=True)
    market.hot.measure(True)
    board, latency = Board(), PyHistogram()
    pulse = Pulse(
        market,
        clock,
        ledger.journal,
        board,
        on_latency=_latencies(registry, "gambit_tick_to_signal_seconds", latency),
        on_defect=lambda error: daemon().troubled("a listener of signals failed", error),
    )
    stalls = Stalls(clock.mono_ns)
    return _Hot(market, board, Tally(market), latency, PyHistogram(), stalls, pulse, TickReader(market.pairs))


def _feeds(
    config: Config,
    settings: Sequence[FeedSettings],
    hot: _Hot,
    http: AiohttpClient,
    clock: Clock,
    log: Log,
    observer: Observer,
    daemon: Callable[[], Daemon],
) -> Feeds:
    return Feeds(
        hot.market,
        settings,
        transport=TRANSPORTS[config.daemon.transport](clock.now_ns),
        http=http,
        clock=clock,
        random=random.SystemRandom().random,
        on_death=lambda name, error: daemon().on_death(name, error),
        observer=observer,
        pulse=hot.pulse,
        warn=lambda text: log.warning(text),
        shelf=Shelf(Path(config.daemon.state_dir), lambda text: log.warning(text)),
    )


def _sampler(
    settings: StoreSettings,
    hot: _Hot,
    registry: Registry,
    feeds: Feeds,
    store: Store,
    telemetry: Telemetry,
    states: ComponentLog,
    dashboard: Dashboard,
    alerting: Alerting,
) -> Sampler:
    """How late frames came goes to the metrics, the store and the feeds, which know whether that is degraded."""
    count, quarantine = Lags(registry), Quarantine(hot.market, alerting.notice)

    def on_lag(venue: str, lags_ns: NDArray[np.int64]) -> None:
        count(venue, lags_ns)
        telemetry.lag(venue, lags_ns)
        feeds.hear_lags(venue, lags_ns)
        dashboard.lags.hear(venue, lags_ns)

    def on_turn(now_ns: int) -> None:
        telemetry.turn(now_ns)
        states.turn(now_ns)
        quarantine.turn(now_ns)

    return Sampler(
        hot.market,
        hot.ticks,
        every_ns=settings.sample_ms * MS,
        depth=Depth(settings.depth_sample_sec * SECOND, settings.depth_sample_levels),
        on_lag=on_lag,
        on_rows=_sampled(store),
        on_turn=on_turn,
    )


def _soundness(config: Config, keeping: Keeping, recorder: Recorder | None, log: Log) -> Soundness:
    low = config.daemon.disk_low_mb * MB
    return Soundness(Path(config.daemon.state_dir), low, keeping.store, keeping.journal, recorder, log)


def _series(store: Store, hot: _Hot, daemon: Callable[[], Daemon]) -> tuple[Telemetry, ComponentLog]:
    """What is summed up, and what is looked at, now and then."""
    on_rows = _sampled(store)
    return Telemetry(on_rows, lambda: _errors(hot.market)), component_log(daemon, on_rows)


def _errors(market: Market) -> dict[str, int]:
    """Frames that could not be used, by venue."""
    return {name: market.hot.venue_counts(state.index)["quarantined"] for name, state in market.venues.items()}


def _collect(
    registry: Registry,
    daemon: Daemon,
    control: ControlServer,
    ticks: TickReader,
    dashboard: Dashboard,
    options: Options,
    state_dir: str,
) -> None:
    registry["gambit_build_info"].of(__version__, platform.python_version(), daemon.parts.started.mode).set(1)
    readers = [ticks, dashboard.ticks]
    registry.collect(Gauges(registry, daemon, daemon.parts.clock, control, readers, state_dir, dashboard.counts))
    registry.collect(Host(registry, options.progress, options.sink))
    registry.collect(Vitals(registry))


def socket_path(config: Config) -> Path:
    """Where the control socket of a configuration is; the commands look for it in the same place."""
    return control_socket(config.daemon.control_socket, Path(config.daemon.state_dir))


def daemon_life(daemon: Daemon, loop_lag: PyHistogram) -> dict[str, Any]:
    """What only the daemon knows, for its readings."""
    parts = daemon.parts
    kept = parts.switch.kept
    return {
        "state": daemon.state,
        "ready": daemon.is_ready,
        "reasons": [*daemon.reasons, *daemon.unready()],
        "trading_state": kept.state,
        "trading_reason": kept.reason,
        "halted_scopes": dict(parts.dealing.desk.standing.state.trading.scopes),
        "armed_until_ns": parts.dealing.desk.standing.state.trading.armed_until_ns,
        "mode": parts.started.mode,
        "version": __version__,
        "pid": os.getpid(),
        "journal": {
            "head": parts.keeping.journal.head,
            "written": parts.keeping.journal.written,
            "synced": parts.keeping.journal.synced,
            "failed": parts.keeping.journal.failed,
        },
        "store": {
            "applied": parts.keeping.store.applied,
            "lag_records": parts.keeping.store.lag,
            "failed": parts.keeping.store.problem,
        },
        "loop_lag_p99_ns": int(loop_lag.summary()["p99"]),
        "dead_letters": sum(parts.ledger.letter_counts.values()),
        "metrics_address": parts.scrape_address(),
        "web_address": parts.web_address(),
        "accounts": accounts(daemon),
    }


async def _written(keeping: Keeping) -> None:
    """Return when everything appended so far survives this process. A journal that failed is told of elsewhere."""
    with contextlib.suppress(JournalFailed):
        await keeping.journal.until_written(keeping.journal.head)


class Watcher(Observer):
    """What feeds tell: facts to the journal, frames to the recording where there is one."""

    def __init__(self, ledger: Ledger, recorder: Recorder | None) -> None:
        self._ledger = ledger
        if recorder is not None:
            self.records = True
            for name in ("opened", "closed", "sent", "received", "fetched"):
                setattr(self, name, getattr(recorder, name))

    def fact(self, fact: Fact) -> None:  # type: ignore[override]  # feeds tell facts only
        """Without a journal the feeds go on, to be looked at; the daemon says what is wrong and trades nothing."""
        with contextlib.suppress(JournalFailed):
            self._ledger.fact(fact)


class _Scrape:
    """The scrape endpoint as a server of the daemon, at the configured place."""

    def __init__(
        self, registry: Registry, config: Config, daemon: Callable[[], Daemon], progress: Progress | None
    ) -> None:
        self._place = config.metrics.host, config.metrics.port
        self._server = ScrapeServer(
            registry,
            health=lambda: [*daemon().problems, *(progress.reasons() if progress is not None else ())],
            ready=lambda: [] if daemon().is_ready else daemon().unready(),
        )

    def health(self) -> Sequence[str]:
        """Why the daemon should be restarted."""
        return self._server.health()

    async def start(self) -> None:
        await self._server.start(*self._place)

    async def close(self) -> None:
        await self._server.close()

    def address(self) -> str:
        """Where it listens, as a URL; empty before it does."""
        return self._server.url


def _recorder(config: Config, clock: Clock, log: Log, options: Options) -> Recorder | None:
    if options.record_to is None:
        return None
    return Recorder(
        options.record_to,
        config,
        clock.now_ns(),
        lambda text: log.error("the recording ended", reason=text),
    )


def _started(config: Config, dealing: Dealing) -> DaemonStarted:
    """The epoch is of this life alone: it is part of every client order id. Raises ProcessError."""
    return DaemonStarted(
        version=__version__,
        pid=os.getpid(),
        epoch=next_epoch(Path(config.daemon.state_dir), dealing.desk.standing.state.epoch),
        mode=config.execution.mode,
        config_hash=config_hash(config),
    )


def ports(
    config: Config,
    clock: Clock,
    log: Log,
    market: Market,
    dealing: Dealing,
    feeds: Feeds,
    options: Options,
    ledger: Ledger,
) -> Mapping[str, Port]:
    """Where orders go: to the paper venues, or in live mode to the accounts whose keys are known."""
    if config.execution.mode == "live":
        return live_ports(config, clock, log, market, dealing, feeds, options.keys, ledger)
    return paper_ports(config, market, dealing, marks_of(market))


def _latencies(
    registry: Registry, name: str, latency: PyHistogram, *others: Callable[[int], None]
) -> Callable[[int], None]:
    metric = registry[name].histogram()

    def observe(ns: int) -> None:
        latency.add(ns)
        metric.observe(ns)
        for other in others:
            other(ns)

    return observe


def _signals(registry: Registry) -> Callable[[Event], None]:
    family = registry["gambit_signals_total"]

    def count(event: Event) -> None:
        if event["event"] == "raised":
            family.of(event["symbol"], event["venue_buy"], event["venue_sell"]).add()

    return count


def _sampled(store: Store) -> Callable[[str, list[Row]], None]:
    return lambda table, rows: store.sample(table, columns(rows))
