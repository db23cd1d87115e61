"""`gambit demo`: a real daemon on exchanges that gambit simulates itself, on this machine, with play money."""

import asyncio
import json
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from gambit.cli.daemon import DEMO_FOLDER
from gambit.cli.options import Failure, load_config, with_config, with_json
from gambit.cli.paint import Paint
from gambit.cli.run import check_retention, run_loop
from gambit.cli.streams import READER_GONE, silence_stdout
from gambit.cli.summary import EventLog, summary_lines

if TYPE_CHECKING:
    from gambit.config import Config
    from gambit.runtime.daemon import Daemon
    from gambit.runtime.exchanges import Exchanges

VENUES = ("binance", "okx", "bybit", "kraken", "coinbase")
SECONDS_MAX = 24 * 3600.0
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}

# The embedded default, the same settings as configs/demo.toml (a test compares them).
SETTINGS = (
    'symbols = ["BTC-USDT", "ETH-USDT"]',
    "engine.min_spread_bps = 5",
    "engine.min_liquidity_depth = 1000",
    "engine.max_notional = 10000",
    *(f"venues.{venue}.taker_fee_bps = 1" for venue in VENUES),
    "execution.paper_taker_fee_bps = 1",
    "execution.paper_slippage_bps = 1",
    "risk.trades_per_day = 0",
    "risk.trades_per_hour = 0",
)


def duration(ctx: click.Context, param: click.Parameter, text: str | None) -> float | None:
    """`500ms`, `30s`, `2m`, `1h` or plain seconds, as seconds."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)?", text.strip())
    seconds = float(found[1]) * UNITS[found[2] or "s"] if found else 0.0
    if not 0 < seconds <= SECONDS_MAX:
        raise click.BadParameter(f"{text!r} is not a duration up to 24h, such as 30s or 2m", ctx, param)
    return seconds


@click.command("demo")
@click.option(
    "--for",
    "seconds",
    callback=duration,
    metavar="DURATION",
    help="End by itself after this long, with a summary. Default: run until Ctrl-C.",
)
@click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), default=1, show_default=True, help="Another seed, another market."
)
@click.option("--paper", "on_paper", is_flag=True, help="Fill orders on the paper venue instead of the exchanges.")
@with_config
@with_json
def demo(
    seconds: float | None,
    seed: int,
    on_paper: bool,
    config_path: Path | None,
    overrides: tuple[str, ...],
    as_json: bool,
) -> int:
    """Start five simulated exchanges on this machine and the daemon against them.

    The exchanges speak the real wire protocols over real sockets, and orders take the real order path to them, with
    play money; the daemon is the same that `gambit run` starts. In another terminal: gambit status, gambit top, gambit
    plans.
    """
    loaded = load_config(config_path, overrides, embedded=() if config_path else SETTINGS)
    if not simulated(loaded.config):
        raise click.UsageError(f"the configuration switches every exchange off: enable one of {', '.join(VENUES)}")
    check_retention(loaded.config)
    show = _Show(Paint.for_stdout(), as_json=as_json)
    return run_loop(partial(_main, in_mode(loaded.config, on_paper), seconds, seed, show))


async def _main(config: "Config", seconds: float | None, seed: int, show: "_Show") -> int:
    from gambit.bootstrap import Options
    from gambit.bootstrap.running import run_daemon
    from gambit.runtime.blame import blamed_on
    from gambit.runtime.exchanges import Exchanges
    from gambit.venues.orders import Keys

    venues = simulated(config)
    symbols = config.symbols or ("BTC-USDT", "ETH-USDT")
    show.starting(venues, seed)
    async with Exchanges(venues, symbols, seed, os.environ) as exchanges:
        keys = {
            one.venue: Keys(key=one.key, secret=one.secret, passphrase=one.passphrase) for one in exchanges.exchanges
        }
        options = Options(listeners=[show.event], keys=keys, is_play_money=True)
        around = _Around(exchanges, seconds, show)
        with ExitStack() as held:
            live = pointed(config, exchanges, symbols, held)
            held.enter_context(blamed_on(Path(live.daemon.state_dir)))
            code = await run_daemon(live, os.environ, options, on_ready=around.ready, quiet=True)
            return READER_GONE if show.is_gone else code


def simulated(config: "Config") -> list[str]:
    """The exchanges to start: all that the configuration does not switch off."""
    return [name for name in VENUES if name not in config.venues or config.venues[name].enabled]


def in_mode(config: "Config", on_paper: bool) -> "Config":
    """Live, for the exchanges are our own and the money is play money; or paper."""
    import msgspec

    mode = "paper" if on_paper else "live"
    execution = msgspec.structs.replace(config.execution, mode=mode, watchdog=False)  # the exchanges go with us
    return msgspec.structs.replace(config, execution=execution)


def pointed(config: "Config", exchanges: "Exchanges", symbols: Sequence[str], held: ExitStack) -> "Config":
    """The configuration with the simulated exchanges' addresses, in a state folder of the demonstration's own, which
    begins empty: the exchanges do not remember either. `held` keeps its ports from other demonstrations."""
    import msgspec

    from gambit.config import VenueSettings

    folder = Path(config.daemon.state_dir, DEMO_FOLDER)
    _clear(folder)
    known = config.venues
    venues = {
        one.venue: msgspec.structs.replace(
            known.get(one.venue, VenueSettings()), ws_url=one.ws, ws_private_url=one.ws_private, rest_url=one.rest
        )
        for one in exchanges.exchanges
    }
    daemon = msgspec.structs.replace(config.daemon, state_dir=str(folder))
    metrics = msgspec.structs.replace(config.metrics, port=_port(config.metrics.host, config.metrics.port, held))
    api = msgspec.structs.replace(config.api, port=_port(config.api.host, config.api.port, held))
    return msgspec.structs.replace(
        config, daemon=daemon, venues=venues, symbols=tuple(symbols), metrics=metrics, api=api
    )


def _port(host: str, port: int, held: ExitStack) -> int:
    """The port where nobody listens and no other demonstration is about to; else 0, which is any."""
    claim = held.enter_context(socket.socket(socket.AF_UNIX))
    try:
        claim.bind(f"\0gambit-demo-{port}")  # a name in no folder: gone with the process
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((host, port))
    except OSError:
        return 0
    return port


def _clear(folder: Path) -> None:
    """Empty the demonstration's folder, unless one is running in it, or it is somebody else's of that name."""
    from gambit.runtime.process import LOCK_NAME, AlreadyRunning, holder

    pid = holder(folder) if folder.exists() else None
    if pid is not None:
        raise AlreadyRunning(folder, pid or None)
    try:
        if folder.exists():
            if not (folder / LOCK_NAME).exists() and any(folder.iterdir()):
                raise Failure(
                    f"gambit: {folder} is no demonstration's and would be emptied: move it away, or let the "
                    "demonstration live elsewhere with --set daemon.state_dir=DIR"
                )
            shutil.rmtree(folder)
    except OSError as error:
        raise Failure(f"gambit: {error.filename}: cannot be cleared for the demonstration: {error.strerror}") from error


class _Login(NamedTuple):
    """The demonstration's admin: made anew each time, with a password that nobody else has."""

    email: str
    password: str
    ticket: str

    def lines(self, address: str) -> list[str]:
        """Where to, and how to get in."""
        return [
            f"  dashboard  {address}/#ticket={self.ticket}   (logs in, once)",
            f"  log in     {self.email} with {self.password}   (or another link: gambit user link {self.email})",
            "  resume     five minutes after logging in it wants a second factor: set one up under your name",
            f"             on the page, or open another link: gambit user link {self.email}",
            f"  api        {address}/docs",
        ]


async def _admin(daemon: "Daemon") -> _Login | None:
    from gambit.access.permissions import Role

    access = daemon.parts.access
    if not daemon.parts.web_address():
        return None
    password = "-".join(secrets.token_hex(3) for _ in range(4))
    user = await access.people.add("admin@demo", password, Role.ADMIN)
    return _Login(user.email, password, access.logins.ticket(user.user_id))


class _Around:
    """What goes on around the daemon of a demonstration: its time, its exchanges, its summary."""

    def __init__(self, exchanges: "Exchanges", seconds: float | None, show: "_Show") -> None:
        self._exchanges = exchanges
        self._seconds = seconds
        self._show = show
        self._tasks: list[asyncio.Task[None]] = []
        self._started = 0.0

    def ready(self, daemon: "Daemon") -> None:
        """The daemon is ready."""
        self._started = time.monotonic()
        self._show.on_gone = partial(daemon.stop, "whoever read the output went away")
        if self._show.is_gone:
            self._show.on_gone()
        daemon.before_end.append(partial(self._end, daemon))
        self._tasks.append(asyncio.create_task(self._tell(daemon), name="demo: ready"))
        if daemon.parts.started.mode == "live":
            daemon.parts.dealing.arm("the demonstration")
        self._tasks.append(asyncio.create_task(self._watch(daemon), name="demo: exchanges"))
        if self._seconds is not None:
            self._tasks.append(asyncio.create_task(self._limit(daemon, self._seconds), name="demo: time"))

    async def _tell(self, daemon: "Daemon") -> None:
        self._show.ready(daemon, await _admin(daemon))
        self._show.go_on()

    async def _watch(self, daemon: "Daemon") -> None:
        daemon.trouble(await self._exchanges.ended())
        daemon.stop("the simulated exchanges are gone", now=True)

    async def _limit(self, daemon: "Daemon", seconds: float) -> None:
        await asyncio.sleep(seconds)
        daemon.stop(f"{seconds:g} s are over")

    def _end(self, daemon: "Daemon") -> None:
        """Sum up, while the books still stand."""
        for task in self._tasks:
            task.cancel()
        self._show.summary(daemon, time.monotonic() - self._started)


class _Show:
    """What a person sees, or with --json a program reads."""

    def __init__(self, paint: Paint, *, as_json: bool) -> None:
        self._paint = paint
        self._as_json = as_json
        self._log = EventLog(paint)
        self._is_over = False
        self._early: list[dict[str, Any]] | None = []  # events before it is said that all is ready
        self.is_gone = False  # whoever read it
        self.on_gone: Callable[[], object] = lambda: None

    def starting(self, venues: Sequence[str], seed: int) -> None:
        """The exchanges are being started."""
        if not self._as_json:
            text = f"starting {len(venues)} simulated exchanges ({', '.join(venues)}), seed {seed}"
            self._echo(self._paint.faint(text))

    def ready(self, daemon: "Daemon", login: "_Login | None") -> None:
        """The daemon is ready; what to do now."""
        parts = daemon.parts
        feeds = parts.feeds.statuses()
        books = sum(feed.books for feed in feeds)
        synced = sum(feed.books_synced for feed in feeds)
        if self._as_json:
            told = {"event": "ready", "books": books, "books_synced": synced, "metrics": parts.scrape_address()}
            self._print({**told, "web": parts.web_address()})
            return
        took = (parts.clock.now_ns() - parts.readings.started_ns) / 1e9
        paint = self._paint
        self._echo(
            "\n".join(
                [
                    paint.strong(f"ready in {took:.1f} s: {len(feeds)} exchanges, {synced} of {books} books synced"),
                    *([] if login is None else login.lines(parts.web_address())),
                    f"  metrics    {parts.scrape_address()}",
                    "  look       gambit status · gambit top · gambit opportunities   (in another terminal)",
                    "  end        Ctrl-C",
                    "",
                ]
            )
        )

    def go_on(self) -> None:
        """What came before is shown, and what comes from now on."""
        early, self._early = self._early or [], None
        for event in early:
            self.event(event)

    def event(self, event: dict[str, Any]) -> None:
        """A signal or an episode's end."""
        if self._is_over:
            return
        if self._early is not None:
            self._early.append(event)
            return
        if self._as_json:
            self._print(event)
            return
        for line in self._log.take(event):
            self._echo(line)

    def summary(self, daemon: "Daemon", seconds: float) -> None:
        """The run in numbers; what ends with it is not told any more."""
        self._is_over = True
        stats = daemon.parts.tally.stats(daemon.parts.readings.frames(), seconds, latencies=True)
        if self._as_json:
            self._print({"event": "summary", **stats, "trades": _trades(daemon), "trouble": daemon.reasons})
        else:
            lines = [*self._log.rest(), *summary_lines(stats, self._paint, _trades(daemon), daemon.reasons)]
            self._echo("\n".join(lines))

    def _print(self, event: dict[str, Any]) -> None:
        self._echo(json.dumps(event))

    def _echo(self, text: str) -> None:
        """A reader who goes away ends the demonstration, and is no defect of the daemon's."""
        if self.is_gone:
            return
        try:
            click.echo(text)
        except BrokenPipeError:
            self.is_gone = True
            silence_stdout()
            self.on_gone()


def _trades(daemon: "Daemon") -> dict[str, Any]:
    """What the desk did: plans by their end, orders, the result, and what became of the other opportunities."""
    from gambit.runtime.books_of_account import counts, pnl

    dealing = daemon.parts.dealing
    found = pnl(dealing.desk, dealing.marks(), daemon.parts.clock.now_ns())
    return {
        **counts(dealing.desk),
        "result": found["result_today"],
        "fees": found["fees"],
        "funnel": found["funnel"],
    }
