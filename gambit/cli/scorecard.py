"""`gambit scorecard`: how often signals of each score won, and whether a higher score wins more often."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gambit.cli import interrupts
from gambit.cli.daemon import config_of_readable
from gambit.cli.options import with_config, with_json
from gambit.cli.paint import Paint, table
from gambit.cli.query import open_store, seconds_of

if TYPE_CHECKING:
    from gambit.scorecard import Scorecard

CURVE_CELLS = 24


@click.command("scorecard")
@with_config
@with_json
@click.option("--week", metavar="YYYY-Www", help="An ISO week such as 2026-W47; default: this one.")
@click.option("--days", type=click.IntRange(1, 36500), help="The last so many days instead of a week.")
@click.option("--executed", is_flag=True, help="Only signals that were traded; default: counterfactuals too.")
@click.option("--samples", is_flag=True, help="The week's signals that are kept for review, one JSON object a line.")
@click.option(
    "--max-age",
    default="5s",
    show_default=True,
    metavar="DURATION",
    callback=lambda ctx, param, text: seconds_of(ctx, param, text),
    help="How old the copy of the database may be.",
)
def scorecard(
    config_path: Path | None,
    overrides: tuple[str, ...],
    as_json: bool,
    week: str | None,
    days: int | None,
    executed: bool,
    samples: bool,
    max_age: float,
) -> None:
    """Win rate by score bin, whether it is monotonic, and the score as a probability.

    A signal won when its plan earned something, or, when it was not traded, would have one latency later. The bins are
    0.5-0.59, 0.6-0.69, 0.7-0.79, 0.8 and more. Works on a copy of the store, and on the store itself while the daemon
    is down.
    """
    if week is not None and days is not None:
        raise click.UsageError("--week and --days exclude each other")
    from gambit.scorecard import Cell, card
    from gambit.store import scoring

    now = datetime.now(UTC)
    name = week or f"{now:%G-W%V}"
    try:
        span = scoring.span_of(name) if days is None else (now - timedelta(days=days), now)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    config = config_of_readable(config_path, overrides)
    with interrupts.heeded(), open_store(config, max_age) as connection:
        if samples:
            for row in scoring.samples(connection, name):
                click.echo(json.dumps({**row, "signal": json.loads(row["signal"])}))
            return
        found = card([Cell(**row) for row in scoring.cells(connection, *span, executed_only=executed)])
    title = name if days is None else f"last {days} d"
    click.echo(
        json.dumps(as_dict(title, executed, found)) if as_json else "\n".join(lines(title, found, Paint.for_stdout()))
    )


def as_dict(title: str, executed: bool, found: "Scorecard") -> dict[str, Any]:
    """For programs."""
    import msgspec

    return {"period": title, "executed_only": executed, **msgspec.to_builtins(found)}


def lines(title: str, found: "Scorecard", paint: Paint) -> list[str]:
    """For people."""
    head = paint.strong(f"Scorecard {title}")
    if not found.n:
        return [head, '  no signal with a known outcome; gambit query "from signal_outcomes" has all of them']
    rows = [["score", "signals", "won", "win rate", "95 %", "mean score", "profit"]]
    for each in found.bins:
        interval = "-" if each.low95 is None or each.high95 is None else f"{each.low95:.0%} to {each.high95:.0%}"
        rate = "-" if each.win_rate is None else f"{each.win_rate:.1%}"
        mean = "-" if each.mean_score is None else f"{each.mean_score:.2f}"
        rows.append([each.name, f"{each.n:,}", f"{each.wins:,}", rate, interval, mean, f"{each.profit:,.2f}"])
    header, *body = table(rows, 1)
    shown = (
        paint.bad if found.verdict == "not monotonic" else paint.good if found.verdict == "monotonic" else paint.faint
    )
    quality = found.calibration
    brier = "-" if quality.brier is None else f"{quality.brier:.3f}"
    skill = "-" if quality.skill is None else f"{quality.skill:+.2f}"
    told = [head, "  " + paint.faint(header), *("  " + line for line in body), ""]
    told += [f"  verdict        {shown(found.verdict)}: {found.reason}"]
    told += [f"  calibration    Brier {brier}, skill {skill} against always saying {found.wins / found.n:.1%}"]
    for score, won, n in quality.curve:
        bar = "#" * round(won * CURVE_CELLS)
        told.append(f"  {paint.faint(f'score {score:.2f}')}     [{bar:<{CURVE_CELLS}}] {won:.0%} won of {n:,}")
    return told
