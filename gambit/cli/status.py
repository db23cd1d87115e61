"""`gambit status`: how the daemon is."""

import json
import time
from pathlib import Path
from typing import Any

import click

from gambit.cli import interrupts
from gambit.cli.daemon import Place, ask, place_of_running
from gambit.cli.options import with_config, with_json
from gambit.cli.paint import Paint, table
from gambit.surface import quantities

CLEAR = "\x1b[H\x1b[J"
INTERVAL_SEC = 1.0
GOOD_STATES = {"running", "up"}
BAD_STATES = {"degraded", "down", "given_up", "safe_mode", "stopping"}


@click.command("status")
@click.option("--watch", is_flag=True, help="Show it again every second, until Ctrl-C.")
@with_config
@with_json
def status(watch: bool, config_path: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Show the daemon's state: venues, books, rates, latency, trading state.

    Exit code 3 when no daemon runs. --json has state, trading_state, mode, venues, books_synced, latency and more.
    """
    place = place_of_running(config_path, overrides)
    paint = Paint.for_stdout()
    if not watch:
        show(place, paint, as_json)
        return
    with interrupts.heeded():
        while True:
            show(place, paint, as_json, is_screen=paint.is_coloured and not as_json)
            time.sleep(INTERVAL_SEC)


def show(place: Place, paint: Paint, as_json: bool, is_screen: bool = False) -> None:
    """Ask and print once."""
    answer = ask(place, "status")
    text = json.dumps(answer) if as_json else "\n".join(lines(answer, paint))
    click.echo((CLEAR if is_screen else "") + text)


def lines(status: dict[str, Any], paint: Paint) -> list[str]:
    """The whole as text."""
    return [
        *_head(status, paint),
        *_reasons(status, paint),
        *_held_back(status, paint),
        *_venues(status["venues"], paint),
        *_accounts(status.get("accounts", []), paint),
    ]


def _head(status: dict[str, Any], paint: Paint) -> list[str]:
    latency = status["latency"].get("tick_to_signal", {})
    journal, store = status.get("journal", {}), status.get("store", {})
    up = quantities.lasting(status["uptime_sec"])
    title = f"gambit {status['version']}  {_state(status['state'], paint)}  {status['mode']}"
    trading = status["trading_state"]
    told = paint.good(trading) if trading == "ACTIVE" else paint.bad(trading)
    why = f" ({status['trading_reason']})" if status.get("trading_reason") else ""
    rows = [
        ["books", f"{status['books_synced']}/{status['books']} synced", "frames", _rate(status, "frames_per_sec")],
        ["opportunities", f"{status['opportunities_open']} open", "signals", _rate(status, "signals_per_sec")],
        ["tick to signal", _percentiles(latency), "loop lag", f"p99 {quantities.span(status.get('loop_lag_p99_ns'))}"],
        ["journal", f"record {journal.get('head', 0):,}", "store", f"{store.get('lag_records', 0):,} behind"],
        ["memory", quantities.size(status.get("rss_bytes", 0)), "CPU", f"{status.get('cpu_share', 0):.0%} of a core"],
        ["dead letters", f"{status.get('dead_letters', 0):,}", "metrics", status.get("metrics_address") or "-"],
        ["dashboard", status.get("web_address") or "-", "", ""],
    ]
    whose = paint.faint(f"process {status['pid']}, up {up}")
    return [
        f"{title}  {told}{why}  {whose}",
        "",
        *(f"  {paint.faint(a.ljust(14))}  {b:<38}  {paint.faint(c.ljust(8))}  {d}" for a, b, c, d in rows),
    ]


def _reasons(status: dict[str, Any], paint: Paint) -> list[str]:
    failures = [("journal", status.get("journal", {})), ("store", status.get("store", {}))]
    broken = [f"{name} failed: {part['failed']}" for name, part in failures if part.get("failed")]
    reasons = [*broken, *status.get("reasons", ())]
    if not reasons:
        return []
    head = paint.bad("broken" if broken else "not ready" if not status["ready"] else "degraded")
    return ["", *(f"  {head}: {reason}" for reason in reasons)]


def _held_back(status: dict[str, Any], paint: Paint) -> list[str]:
    """Why no orders leave, or not everywhere, although trading is ACTIVE."""
    found = [
        f"  {paint.bad('halted')}: {scope}: {why} (gambit release {scope})"
        for scope, why in sorted(status.get("halted_scopes", {}).items())
    ]
    if status["mode"] == "live":
        until_ns = status.get("armed_until_ns", 0)
        is_armed = until_ns > time.time_ns()
        told = f"armed until {quantities.moment(until_ns)} UTC" if is_armed else paint.bad("not armed: no orders leave")
        found.append(f"  {told}{'' if is_armed else ' (gambit arm)'}")
    return ["", *found] if found else []


def _venues(venues: list[dict[str, Any]], paint: Paint) -> list[str]:
    if not venues:
        return []
    head = ["venue", "state", "conns", "books", "frames", "errors", "resyncs", "lag p50", "p99", "last frame"]
    rows = [head, *(_venue(venue) for venue in venues)]
    title, *body = table(rows, left=2)
    painted = []
    for line, venue in zip(body, venues, strict=True):
        reason = paint.faint(f"  {venue['reason']}") if venue.get("reason") else ""
        painted.append("  " + line.replace(venue["state"], _state(venue["state"], paint), 1) + reason)
    return ["", "  " + paint.strong(title), *painted]


def _venue(venue: dict[str, Any]) -> list[str]:
    age = venue.get("last_frame_age_sec")
    slow = " (slow path, no watchdog)" if venue.get("is_slow_path") else ""
    return [
        venue["venue"] + slow,
        venue["state"],
        f"{venue.get('connections_up', 0)}/{venue.get('connections', 0)}",
        f"{venue.get('books_synced', 0)}/{venue.get('books', 0)}",
        quantities.rate(venue.get("frames_per_sec", 0.0)),
        f"{venue.get('frame_errors', 0):,}",
        f"{venue.get('resyncs', 0):,}",
        quantities.span(venue.get("lag_p50_ns")),
        quantities.span(venue.get("lag_p99_ns")),
        "-" if age is None else quantities.span(age * 1e9),
    ]


def _accounts(accounts: list[dict[str, Any]], paint: Paint) -> list[str]:
    """Only what keeps orders back; `gambit credentials` ends a hold."""
    rows = []
    for account in accounts:
        if not account["up"]:
            what = paint.bad("no orders") if account["held"] else "no orders yet"
            advice = f" (gambit credentials rotate {account['venue']}, or retry)" if account["held"] else ""
            rows.append(f"  {account['venue']}: {what}: {account['reason']}{advice}")
    return ["", *rows] if rows else []


def _state(state: str, paint: Paint) -> str:
    return paint.good(state) if state in GOOD_STATES else paint.bad(state) if state in BAD_STATES else state


def _rate(status: dict[str, Any], name: str) -> str:
    return quantities.rate(status.get(name, 0.0))


def _percentiles(latency: dict[str, Any]) -> str:
    if not latency.get("count"):
        return "no signal yet"
    return "  ".join(f"{name} {quantities.span(latency[key])}" for name, key in (("p50", "p50_ns"), ("p99", "p99_ns")))
