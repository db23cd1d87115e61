"""`gambit drill`: the fault scenarios of the catalogue, listed and rehearsed."""

import asyncio
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gambit.cli import interrupts
from gambit.cli.options import Failure, need_folder_of, with_json
from gambit.cli.paint import Paint, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gambit.drills.scenario import Result, Scenario

MANY = 12  # scenarios: fewer are not worth a second process
AT_A_TIME = 3
GROUP_LETTERS = tuple("ABCDEFGHI")

with_group = click.option(
    "--group", type=click.Choice(GROUP_LETTERS, case_sensitive=False), help="Only scenarios of this group."
)


@click.group("drill")
def drill_commands() -> None:
    """Rehearse what can go wrong, on simulated exchanges of this machine and a daemon of its own."""


@drill_commands.command("list")
@with_group
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the tables of docs/drills.md.")
@with_json
def list_drills(group: str | None, as_markdown: bool, as_json: bool) -> int:
    """List the scenarios F01 to F126: the fault, what must follow, whether it is played."""
    from gambit.drills.registry import DRILLS
    from gambit.drills.report import catalogue_tables, listed
    from gambit.drills.runner import chosen, unplayed

    found = chosen(["all"], group.upper() if group else None)
    rows = [(one, "" if one.id in DRILLS else f"{unplayed(one).ended}: {unplayed(one).reason}") for one in found]
    if as_json:
        click.echo(json.dumps([{**listed(one), "is_played": not note, "note": note} for one, note in rows]))
        return 0
    if as_markdown:
        click.echo(catalogue_tables(rows))
        return 0
    paint = Paint.for_stdout()
    for one, note in rows:
        click.echo(f"{paint.strong(one.id):<5} {one.trigger} -> {one.expected} [{' '.join(one.invariants)}]")
        if note:
            click.echo(paint.faint(f"      {note}"))
    return 0


@drill_commands.command("run")
@click.argument("names", nargs=-1, required=True, metavar="NAME...|all")
@with_group
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Also write the report there: .html, .md or .json.",
)
@click.option("--jobs", type=click.IntRange(1, 16), help="Processes that play at a time.  [default: 3 for many drills]")
@with_json
def run_drills(names: tuple[str, ...], group: str | None, output: Path | None, jobs: int | None, as_json: bool) -> int:
    """Play scenarios (F01 F24 ..., or `all`) and report; exit code 1 when one failed, 130 when interrupted.

    Everything happens on loopback with play money, in a folder that is deleted afterwards; a running daemon, its state
    directory and its keys are not touched.
    """
    from gambit.drills import report
    from gambit.drills.runner import chosen, interrupted
    from gambit.drills.scenario import Ended

    try:
        scenarios = chosen(names, group.upper() if group else None)
    except KeyError as error:
        raise click.UsageError(f"no scenario is called {error.args[0]}; `gambit drill list` has them") from error
    if output is not None and output.suffix not in (".html", ".md", ".json"):
        raise click.UsageError(f"{output}: a report ends in .html, .md or .json")
    if output is not None:
        need_folder_of(output)
    results, is_whole = rehearsed(scenarios, jobs or jobs_for(len(scenarios)), is_quiet=as_json)
    if not is_whole:
        results = interrupted(scenarios, results)
    text = json.dumps(report.as_json(results))
    if output is not None:
        content = {".html": report.page, ".md": report.markdown}.get(output.suffix, lambda _: text + "\n")(results)
        try:
            output.write_text(content)
        except OSError as error:
            raise Failure(f"{output}: {error.strerror}") from error
    if as_json:
        click.echo(text)
    else:
        for line in closing(results):
            click.echo(line)
    if not is_whole:
        click.echo("gambit: interrupted; what was played by then is told", err=True)
        return interrupts.EXIT_CODE
    return 1 if any(result.ended is Ended.FAILED for result in results) else 0


def jobs_for(count: int) -> int:
    """Three at a time where there are two processors and enough to play: drills mostly wait, each keeps a processor
    busy for a fifth of its time."""
    return AT_A_TIME if count > MANY and (os.cpu_count() or 1) > 1 else 1


def rehearsed(scenarios: "Sequence[Scenario]", jobs: int, *, is_quiet: bool) -> "tuple[list[Result], bool]":
    """Play them on uvloop, each result told as it comes; on a terminal also what is being played. Whether it came to
    its end: Ctrl-C and SIGTERM have everything taken down first."""
    import uvloop

    from gambit.drills.crew import Crew
    from gambit.drills.runner import Rehearsal

    logging.getLogger().addHandler(logging.NullHandler())  # libraries' complaints about faults are no news
    paint = Paint.for_stdout()
    is_live = sys.stderr.isatty() and not is_quiet

    def begun(scenario: "Scenario") -> None:
        if is_live:
            click.echo(f"\r\x1b[K{scenario.id} {scenario.trigger} ...", err=True, nl=False)

    def told(result: "Result") -> None:
        if is_live:
            click.echo("\r\x1b[K", err=True, nl=False)
        if not is_quiet:
            for line in lines_of(result, paint):
                click.echo(line)

    made = Rehearsal(scenarios, told, begun) if jobs == 1 else Crew(scenarios, told, begun, jobs)
    before = signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    try:
        with interrupts.heeded(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(made.run())
    except KeyboardInterrupt:
        return made.results, False
    finally:
        signal.signal(signal.SIGTERM, before)
    return made.results, True


def closing(results: "Sequence[Result]") -> list[str]:
    """What it came to: a table of the groups, what failed once more, one line, and the verbs."""
    from gambit.drills import report
    from gambit.drills.scenario import Ended

    paint = Paint.for_stdout()
    head, *body = table(report.groups(results), left=1)
    failed = [result for result in results if result.ended is Ended.FAILED]
    again = [f"{paint.bad(one.scenario.id)} {one.scenario.trigger}: {one.reason}" for one in failed]
    return ["", paint.faint(head), *body, "", *again, report.summary(results), *report.verbs_lines(results)]


def lines_of(result: "Result", paint: Paint) -> list[str]:
    """A result as a line or two."""
    from gambit.drills.report import evidence
    from gambit.drills.scenario import Ended

    words = {Ended.PASSED: paint.good("passed "), Ended.FAILED: paint.bad("FAILED ")}
    word = words.get(result.ended, paint.faint("skipped"))
    head = f"{word}  {result.scenario.id:<5}{result.took_sec:6.1f} s  {result.scenario.trigger}"
    if result.ended is Ended.PASSED:
        return [head, paint.faint(f"{'':22}{evidence(result)}")]
    return [head, f"{'':22}{result.ended.value}: {result.reason}"]
