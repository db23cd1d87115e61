"""`gambit alerts`: what is wrong now and was, who takes care of it, what is silenced; and the rules for Prometheus."""

import json
from pathlib import Path
from typing import Any

import click

from gambit.cli.daemon import ask, place_of_running
from gambit.cli.options import Failure, load_config, readable, seconds_of, since_of, with_config, with_json
from gambit.cli.paint import Paint, table
from gambit.surface import quantities

SEVERITIES = click.Choice(["low", "medium", "high", "critical"])
TEST_SEC = 60.0


@click.group("alerts")
def alerts() -> None:
    """Alerts: list, raise, take, silence; test the channels; the rules, and the same for Prometheus."""


@alerts.command("list")
@with_config
@with_json
@click.option("--open", "open_only", is_flag=True, help="Only those that are raised now.")
@click.option("--severity", type=SEVERITIES, help="Only of this severity.")
@click.option("--rule", "rule_id", metavar="RULE", help="Only of this rule.")
@click.option("--scope", metavar="SCOPE", help="Only of this scope, such as venue:okx.")
@click.option(
    "--since", "since_ns", callback=since_of, metavar="WHEN", help="Only those raised in the last 10m, or since a time."
)
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many.")
def list_alerts(config_path: Path | None, overrides: tuple[str, ...], as_json: bool, **asked: Any) -> None:
    """List alerts: those that are raised now, then those that were, newest first."""
    found = ask(place_of_running(config_path, overrides), "alerts", **asked)
    if as_json:
        click.echo(json.dumps(found))
        return
    if not found:
        click.echo("no alerts")
        return
    head = ["since", "severity", "rule", "scope", "is", "message", "alert"]
    first, *body = table([head, *map(_cells, found)], left=7)
    click.echo("\n".join([Paint.for_stdout().strong(first), *body]))


def _cells(row: dict[str, Any]) -> list[str]:
    state = "over" if row["resolved_ns"] is not None else f"taken by {row['acked_by']}" if row["acked_by"] else "raised"
    return [
        quantities.moment(row["created_ns"]),
        row["severity"],
        row["rule_id"],
        row["scope"] or "-",
        f"{state}, silenced" if row["is_silenced"] else state,
        row["message"],
        row["alert_id"],
    ]


@alerts.command("rules")
@with_config
@with_json
def rules(config_path: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """List the rules in force: severity, times, and how many alerts each has raised now."""
    found = ask(place_of_running(config_path, overrides), "alert.rules")
    if as_json:
        click.echo(json.dumps(found))
        return
    rows = [
        [row["rule_id"], row["severity"], f"{row['for_sec']:g} s", str(row["firing"]), row["message"], row["runbook"]]
        for row in found
    ]
    first, *body = table([["rule", "severity", "for", "raised", "message", "what to do"], *rows], left=6)
    click.echo("\n".join([Paint.for_stdout().strong(first), *body]))


@alerts.command("slo")
@with_config
@with_json
def slo(config_path: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Show the service levels: share of bad events, how fast the error budgets burn, and what is left of them."""
    found = ask(place_of_running(config_path, overrides), "slo")
    if as_json:
        click.echo(json.dumps(found))
        return
    rows = [
        [
            row["slo"],
            row["scope"] or "-",
            f"{row['objective']:.0%}",
            f"{row['bad_ratio']:.3%}",
            " ".join(f"{rate:.2f}" for rate in row["burn"].values()),
            f"{row['budget_left']:.1%}",
        ]
        for row in found
    ]
    head = ["level", "of", "good at least", "bad in 6 h", "burn 5m 1h 6h", "budget left"]
    first, *body = table([head, *rows], left=2)
    click.echo("\n".join([Paint.for_stdout().strong(first), *body]))


def _deed(name: str, method: str, field: str, text: str) -> None:
    """A command that does something about one alert or silence."""

    @alerts.command(name, help=text)
    @click.argument("named", metavar="ID")
    @with_config
    @with_json
    def do(named: str, config_path: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
        given: dict[str, Any] = {field: named}
        answer = ask(place_of_running(config_path, overrides), method, **given)
        click.echo(json.dumps(answer) if as_json else f"{name}: {answer['done']}")


_deed("ack", "alert.ack", "alert_id", "Take an alert: whoever sees it knows that somebody takes care.")
_deed("resolve", "alert.resolve", "alert_id", "Say that an alert is over, where no number says so.")
_deed("unsilence", "alert.unsilence", "silence_id", "End a silence before its time.")


@alerts.command("raise")
@click.argument("message", callback=readable)
@click.option("--severity", type=SEVERITIES, default="medium", show_default=True, help="How bad it is.")
@click.option("--scope", default="", metavar="SCOPE", help="What it is about, such as venue:okx.")
@with_config
@with_json
def raise_alert(
    message: str, severity: str, scope: str, config_path: Path | None, overrides: tuple[str, ...], as_json: bool
) -> None:
    """Raise an alert of your own; it lasts until `gambit alerts resolve`."""
    answer = ask(
        place_of_running(config_path, overrides), "alert.create", message=message, severity=severity, scope=scope
    )
    click.echo(json.dumps(answer) if as_json else answer["alert_id"])


@alerts.command("silence")
@click.option("--rule", "rule_id", default="", metavar="RULE", help="Of this rule; without it of every rule.")
@click.option("--scope", default="", metavar="SCOPE", help="Of this scope, such as venue:okx; without it of every one.")
@click.option("--for", "lasting", callback=seconds_of, default="1h", metavar="DURATION", help="How long: 10m, 2h, ...")
@click.option("--reason", default="", callback=readable, metavar="TEXT", help="Why; goes into the audit record.")
@click.option("--list", "is_list", is_flag=True, help="Show the silences in force instead.")
@with_config
@with_json
def silence(
    rule_id: str, scope: str, lasting: float, reason: str, is_list: bool,
    config_path: Path | None, overrides: tuple[str, ...], as_json: bool,
) -> None:  # fmt: skip
    """Tell nobody of some alerts for a time. They are raised and kept all the same."""
    place = place_of_running(config_path, overrides)
    if is_list:
        found = ask(place, "alert.silences")
        shown = [
            f"{row['silence_id']}  {row['rule_id'] or 'every rule'}  {row['scope'] or 'every scope'}  until "
            f"{quantities.moment(row['until_ns'])}  {row['by']}  {row['reason']}"
            for row in found
        ]
        click.echo(json.dumps(found) if as_json else "\n".join(shown or ["nothing is silenced"]))
        return
    if not rule_id and not scope:
        raise click.UsageError("name --rule or --scope; to silence all of them say --rule for each")
    answer = ask(place, "alert.silence", rule_id=rule_id, scope=scope, for_sec=lasting, reason=reason)
    click.echo(
        json.dumps(answer)
        if as_json
        else f"silenced until {quantities.moment(answer['until_ns'])}: {answer['silence_id']}"
    )


@alerts.command("test")
@with_config
@with_json
def test(config_path: Path | None, overrides: tuple[str, ...], as_json: bool) -> int:
    """Send a message to every channel, now, and say how that went; exit code 1 where one does not work."""
    found = ask(place_of_running(config_path, overrides), "alert.test", TEST_SEC)
    if as_json:
        click.echo(json.dumps(found))
    elif not found:
        click.echo("no channels: [[notify.channels]] of the configuration names them")
    else:
        paint = Paint.for_stdout()
        for row in found:
            state = paint.good("ok") if row["ok"] else paint.bad(row["error"])
            click.echo(f"{row['channel']}  {row['kind']}  {row['seconds']:.2f} s  {state}")
    return 0 if found and all(row["ok"] for row in found) else 1


@alerts.command("export")
@with_config
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write it there.")
def export(config_path: Path | None, overrides: tuple[str, ...], output: Path | None) -> None:
    """Write the rules of the configuration as Prometheus rules; `promtool check rules` accepts them."""
    from gambit.alerts.export import prometheus
    from gambit.bootstrap.alert_rules import AlertRuleError, Metrics, rules_of
    from gambit.surface.catalogue import METRICS
    from gambit.surface.metrics import Registry

    metrics = Metrics(Registry(METRICS))
    try:
        text = prometheus(rules_of(load_config(config_path, overrides).config, metrics), metrics)
    except AlertRuleError as error:
        raise Failure(f"gambit: {error}") from error
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text)
