"""`gambit opportunities`: what the daemon finds."""

import json
import time
from pathlib import Path
from typing import Any

import click

from gambit.cli import interrupts
from gambit.cli.daemon import NoDaemon, Place, ask, place_of_running
from gambit.cli.options import Failure, since_of, with_config, with_json
from gambit.cli.paint import Paint, table
from gambit.cli.summary import EventLog
from gambit.surface import quantities


@click.command("opportunities")
@click.option("--symbol", metavar="SYMBOL", help="Only this symbol, such as BTC-USDT.")
@click.option("--venue", metavar="VENUE", help="Only those that buy or sell on this venue.")
@click.option("--status", type=click.Choice(["open", "closed"]), help="Only those that last, or that are over.")
@click.option(
    "--since", "since_ns", callback=since_of, metavar="WHEN", help="Only those raised in the last 10m, or since a time."
)
@click.option("--open", "open_only", is_flag=True, help="Only those that last right now.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many.")
@click.option("--follow", is_flag=True, help="Show each one as it comes, until Ctrl-C.")
@with_config
@with_json
def opportunities(
    symbol: str | None,
    venue: str | None,
    status: str | None,
    since_ns: int | None,
    open_only: bool,
    limit: int,
    follow: bool,
    config_path: Path | None,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """List opportunities: those that last, best first, then the latest that are over."""
    place = place_of_running(config_path, overrides)
    if follow:
        _follow(place, symbol, venue, as_json)
        return
    asked: dict[str, Any] = {"symbol": symbol, "venue": venue, "status": status, "since_ns": since_ns}
    found = ask(place, "opportunities", **asked, open_only=open_only, limit=limit)
    if as_json:
        click.echo(json.dumps(found))
    elif not found:
        click.echo("no opportunities" + (" right now" if open_only else ""))
    else:
        click.echo("\n".join(lines(found, time.time_ns(), Paint.for_stdout())))


def lines(found: list[dict[str, Any]], now_ns: int, paint: Paint) -> list[str]:
    """A table; those that are over are faint."""
    rows = [["symbol", "buy > sell", "net bps", "profit", "quantity", "score", "raised", "lasts"]]
    rows += [row(one, now_ns) for one in found]
    head, *body = table(rows, left=2)
    return [paint.strong(head), *(paint.faint(t) if o["closed_ns"] else t for t, o in zip(body, found, strict=True))]


def row(one: dict[str, Any], now_ns: int) -> list[str]:
    """One opportunity's cells."""
    end_ns = one["closed_ns"]
    lasts = quantities.span(max(0, (end_ns or now_ns) - one["raised_ns"]))
    return [
        one["symbol"],
        f"{one['venue_buy']} > {one['venue_sell']}",
        f"{one['net_bps']:.1f}",
        f"{one['profit_quote']:,.2f} {one['quote_asset']}",
        str(one["qty"]),
        f"{one['score']:.3f}",
        quantities.moment(one["raised_ns"]),
        f"{lasts}, {one['close_reason'].replace('_', ' ')}" if end_ns else lasts,
    ]


def _follow(place: Place, symbol: str | None, venue: str | None, as_json: bool) -> None:
    """Print each signal and each end as it comes."""
    from gambit.surface import client

    log = EventLog(Paint.for_stdout())
    try:
        with interrupts.heeded(), client.Session(place.socket) as session:
            for event in session.events("arb.signal"):
                if _is_wanted(event.data, symbol, venue):
                    _print(event.data, log, as_json)
    except client.NotRunning as error:
        raise NoDaemon(f"gambit: {error}") from error
    except client.ControlError as error:
        raise Failure(f"gambit: {error}") from error


def _is_wanted(event: dict[str, Any], symbol: str | None, venue: str | None) -> bool:
    return symbol in (None, event["symbol"]) and venue in (None, event["venue_buy"], event["venue_sell"])


def _print(event: dict[str, Any], log: EventLog, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(event))
        return
    for line in [*log.take(event), *log.rest()]:
        click.echo(line)
