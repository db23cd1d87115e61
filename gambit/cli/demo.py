"""`gambit demo`: a look at gambit in seconds, on exchanges that it simulates itself."""

import io
import json
import re
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gambit.cli import interrupts
from gambit.cli.options import load_config, with_config, with_json
from gambit.cli.paint import Paint
from gambit.cli.progress import Progress
from gambit.cli.summary import EventLog, summary_lines

if TYPE_CHECKING:
    from gambit.config import Config

VENUES = ("binance", "okx", "bybit", "kraken", "coinbase")
SECONDS_MAX = 3600.0
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}

# The embedded default, the same settings as configs/demo.toml (a test compares them).
SETTINGS = (
    'symbols = ["BTC-USDT", "ETH-USDT"]',
    "engine.min_spread_bps = 5",
    "engine.min_liquidity_depth = 1000",
    "engine.max_notional = 10000",
    *(f"venues.{venue}.taker_fee_bps = 1" for venue in VENUES),
)


def duration(ctx: click.Context, param: click.Parameter, text: str) -> float:
    """`500ms`, `30s`, `2m`, `1h` or plain seconds, as seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)?", text.strip())
    seconds = float(found[1]) * UNITS[found[2] or "s"] if found else 0.0
    if not 0 < seconds <= SECONDS_MAX:
        raise click.BadParameter(f"{text!r} is not a duration up to 1h, such as 30s or 2m", ctx, param)
    return seconds


@click.command("demo")
@click.option(
    "--for",
    "seconds",
    default="30s",
    show_default=True,
    callback=duration,
    metavar="DURATION",
    help="Length of the simulated market.",
)
@click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), default=1, show_default=True, help="Another seed, another market."
)
@with_config
@with_json
def demo(seconds: float, seed: int, config_path: Path | None, overrides: tuple[str, ...], as_json: bool) -> int:
    """Simulate five exchanges, find the arbitrage between them, and sum it up.

    The exchanges' frames are written to a capture in their real wire formats and replayed through the same adapters,
    books and engine that `gambit replay` uses. --for is the length of the simulated market.
    """
    config = load_config(config_path, overrides, embedded=() if config_path else SETTINGS).config
    paint = Paint.for_stdout()
    if not as_json:
        click.echo(paint.faint(f"{len(VENUES)} simulated exchanges, {seconds:g} s of market, seed {seed}"))
    log = EventLog(paint)
    stats = _run(seconds, seed, config, _print_json if as_json else partial(_print_event, log))
    if as_json:
        click.echo(json.dumps({"event": "summary", **stats}))
    else:
        click.echo("\n".join([*log.rest(), *summary_lines(stats, paint)]))
    return 0


def _run(seconds: float, seed: int, config: "Config", show: Callable[[dict[str, object]], None]) -> dict[str, Any]:
    """Make the capture, replay it, show each event as it comes; the replay's counts."""
    from gambit.runtime.replay import replay
    from gambit.sim.capture import make_capture

    with interrupts.heeded(), tempfile.TemporaryDirectory(prefix="gambit-demo-") as folder:
        capture = Path(folder, "demo.jsonl")
        symbols = config.symbols or ("BTC-USDT", "ETH-USDT")
        make_capture(capture, venues=VENUES, symbols=symbols, seconds=seconds, seed=seed)
        with Progress.on_terminal(is_shared=True) as progress:
            result = replay(
                [capture],
                config,
                symbols=None,
                emit="stats",
                out=io.BytesIO(),
                on_progress=progress.update,
                warn=progress.print,
                observe=show,
            )
    return dict(result.stats)


def _print_json(event: dict[str, object]) -> None:
    click.echo(json.dumps(event))


def _print_event(log: EventLog, event: dict[str, object]) -> None:
    for line in log.take(event):
        click.echo(line)
