"""`gambit config`: check a configuration, show what is in force, print the schema."""

import difflib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gambit.cli.options import ConfigFailure, load_config, with_config, with_json

if TYPE_CHECKING:
    from gambit.config import Loaded, Problem


@click.group("config")
def config_commands() -> None:
    """Check, show and describe the configuration."""


@config_commands.command("check")
@with_config
@with_json
def check(config_path: Path | None, overrides: tuple[str, ...], as_json: bool) -> int:
    """Say whether a configuration can be used; every problem with file, line and key."""
    try:
        loaded = load_config(config_path, overrides)
        unusable = [*_unusable_rules(loaded), *_unusable_retention(loaded)]
        if unusable:
            raise ConfigFailure(unusable)
    except ConfigFailure as failure:
        if not as_json:
            raise
        problems = [{"where": p.where, "key": p.key, "text": p.text} for p in failure.problems]
        click.echo(json.dumps({"ok": False, "problems": problems}))
        return failure.exit_code
    files = [str(file) for file in loaded.layers.files]
    notes = list(_unknown_venues(loaded))
    if as_json:
        click.echo(json.dumps({"ok": True, "files": files, "problems": [], "notes": notes}))
    else:
        click.echo("\n".join(notes), err=True, nl=bool(notes))
        click.echo(", ".join(files or ["defaults and environment"]) + ": ok")
    return 0


def _unusable_rules(loaded: "Loaded") -> list["Problem"]:
    """Alert rules that a daemon would refuse at its start: metrics, labels, facts and fields that there are not."""
    import msgspec

    from gambit.bootstrap.alert_rules import AlertRuleError, Metrics, rules_of
    from gambit.config import Problem
    from gambit.surface.catalogue import METRICS
    from gambit.surface.metrics import Registry

    metrics, found = Metrics(Registry(METRICS)), []
    for place, rule in enumerate(loaded.config.alerts.rules):
        alone = msgspec.structs.replace(loaded.config.alerts, rules=(rule,))
        try:
            rules_of(msgspec.structs.replace(loaded.config, alerts=alone), metrics)
        except AlertRuleError as error:
            where = loaded.layers.place(("alerts", "rules", place))
            text = str(error).removeprefix("alerts.rules").lstrip(": ")
            found.append(Problem(where or "alerts", f"alerts.rules[{place}]", text))
    return found


def _unusable_retention(loaded: "Loaded") -> Iterator["Problem"]:
    """Tables that do not leave by days."""
    from gambit.config import Problem
    from gambit.store.archive import kept_days

    for table, days in loaded.config.store.retention.items():
        try:
            kept_days({table: days})
        except ValueError as error:
            key = f"store.retention.{table}"
            where = loaded.layers.place(("store", "retention", table))
            yield Problem(where or "store", key, str(error).removeprefix(f"{key}: "))


def _unknown_venues(loaded: "Loaded") -> Iterator[str]:
    """A note for every venue that this version does not speak to; it may be a slip, it need not be."""
    from gambit.venues import VENUES

    named: list[tuple[tuple[str | int, ...], str]] = [(("venues", name), name) for name in loaded.config.venues]
    for i, group in enumerate(loaded.config.engine.groups):
        named += [(("engine", "groups", i, "members", j), venue) for j, (venue, _) in enumerate(group.books)]
    for path, name in named:
        venue = loaded.config.venues.get(name)
        if name not in VENUES and not (venue and venue.adapter.partition(":")[0] == "ccxt"):
            near = difflib.get_close_matches(name, VENUES, n=1)
            advice = f"; did you mean {near[0]}?" if near else ""
            yield f"{loaded.layers.place(path)}: note: gambit does not speak to {name!r}{advice}"


@config_commands.command("show")
@with_config
@with_json
def show(config_path: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Print the configuration in force and where each value comes from; secrets are masked."""
    from gambit.config.reference import effective_json, effective_toml

    loaded = load_config(config_path, overrides)
    if as_json:
        click.echo(effective_json(loaded.config))
    else:
        click.echo(effective_toml(loaded.config, loaded.layers), nl=False)


@config_commands.command("schema")
@click.option(
    "--format",
    "style",
    type=click.Choice(["json", "markdown"]),
    default="json",
    show_default=True,
    help="JSON Schema, or the reference page.",
)
@with_json
def schema(style: str, as_json: bool) -> None:
    """Print the JSON Schema of the configuration file, or its reference page."""
    from gambit.config.reference import json_schema, markdown

    if as_json and style != "json":
        raise click.UsageError(f"--json and --format {style} exclude each other")
    text = json.dumps(json_schema(), indent=2) + "\n" if style == "json" else markdown()
    click.echo(text, nl=False)
