"""`gambit backtest`: captures traded on paper in recorded time, with a report and sweeps."""

import itertools
import os
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gambit.cli import interrupts
from gambit.cli.options import Failure, load_config, need_folder_of, with_config, with_json
from gambit.cli.paint import Paint, table
from gambit.cli.progress import Progress
from gambit.cli.replay import refuse_overwriting, symbol_list

if TYPE_CHECKING:
    from gambit.backtest import Axis, Result, Trial
    from gambit.backtest.run import Outcome
    from gambit.config import Config

LATENCY = "execution.paper_latency_ms"
LATENCIES = "5,20,50,100,250"
REASONS_SHOWN = 3


def axes(ctx: click.Context, param: click.Parameter, texts: tuple[str, ...]) -> "tuple[Axis, ...]":
    """A click callback: `KEY=V1,V2,...`, or `KEY=FROM:TO:STEP`, as axes of a sweep."""
    from gambit.backtest.sweep import Axis

    found = []
    for text in texts:
        key, equals, values = text.partition("=")
        chosen = _values(values)
        if not key or not equals or not chosen:
            raise click.BadParameter(f"{text!r} is not KEY=VALUE,VALUE,... or KEY=FROM:TO:STEP", ctx, param)
        found.append(Axis(key.strip(), chosen))
    if len({axis.key for axis in found}) < len(found):
        raise click.BadParameter("names a setting twice", ctx, param)
    return tuple(found)


def _values(text: str) -> tuple[str, ...]:
    parts = text.split(":")
    if len(parts) != 3:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    try:
        low, high, step = (Decimal(part) for part in parts)
    except ArithmeticError:
        return ()
    if step <= 0 or not (low <= high) or (high - low) / step > 10_000:
        return ()
    steps = itertools.takewhile(lambda value: value <= high, (low + k * step for k in itertools.count()))
    return tuple(f"{value.normalize():f}" for value in steps)


def latencies(ctx: click.Context, param: click.Parameter, text: str) -> tuple[str, ...]:
    """A click callback: milliseconds, comma separated, or `none`."""
    if text.strip() == "none":
        return ()
    parts = tuple(part.strip() for part in text.split(",") if part.strip())
    try:
        if not all(Decimal(part) >= 0 for part in parts):
            raise click.BadParameter("a latency is not negative", ctx, param)
    except ArithmeticError:
        raise click.BadParameter(f"{text!r} is not milliseconds such as {LATENCIES}, or none", ctx, param) from None
    return parts


@click.command("backtest")
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
)
@with_config
@with_json
@click.option("--symbols", callback=symbol_list, metavar="A,B", help="Only these symbols, such as BTC-USDT,ETH-USDT.")
@click.option(
    "--sweep",
    "axes",
    callback=axes,
    multiple=True,
    metavar="KEY=V1,V2",
    help="Try several values of a setting (or KEY=FROM:TO:STEP); may be repeated for every combination.",
)
@click.option(
    "--latency",
    "latencies",
    callback=latencies,
    default=LATENCIES,
    show_default=True,
    metavar="MS,MS",
    help="Latencies to compare in the report; none: only the configured one.",
)
@click.option("-o", "--report", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="HTML report.")
@click.option("--jobs", type=click.IntRange(1, 256), help="Runs at the same time; default: one for each processor.")
@click.option("--strict", is_flag=True, help="Stop at the first bad line of a file.")
def backtest(
    files: tuple[Path, ...],
    config_path: Path | None,
    overrides: tuple[str, ...],
    as_json: bool,
    symbols: tuple[str, ...] | None,
    axes: "tuple[Axis, ...]",
    latencies: tuple[str, ...],
    report: Path | None,
    jobs: int | None,
    strict: bool,
) -> int:
    """Trade captures on paper in recorded time: P&L, hit rate, fill ratio, latency sensitivity.

    The desk is the daemon's own, with the configuration's limits; orders meet the books as recorded at their arrival.
    Same files and configuration, same result. What is assumed stands in the report and in docs/backtest.md.
    """
    base = load_config(config_path, overrides).config
    if report is not None:
        need_report(files, report)
    trials, around = _trials(config_path, overrides, axes, latencies if report is not None else ())
    first, others = _run_all(files, base, [*trials, *around], symbols, strict, jobs or os.cpu_count() or 1)
    varied = [(trial.overrides, other.result) for trial, other in zip(trials, others, strict=False)]
    timed = [(Decimal(ms), other.result) for ms, other in zip(latencies, others[len(trials) :], strict=False)]
    if as_json:
        click.echo(_json(first.result, varied, timed))
    else:
        for line in summary(first.result, [axis.key for axis in axes], varied, Paint.for_stdout()):
            click.echo(line)
    if report is not None:
        name = str(config_path) if config_path else "defaults"
        _write_report(report, files, name, base, first.result, [axis.key for axis in axes], varied, timed)
        if not as_json:
            click.echo(f"report: {report}")
    return max(outcome.exit_code for outcome in (first, *others))


def need_report(files: Sequence[Path], report: Path) -> None:
    """Say before the long work what would spoil its end: a missing library, a report that is an input or has no
    folder."""
    from importlib.util import find_spec

    refuse_overwriting(tuple(files), report)
    need_folder_of(report)
    missing = [name for name in ("jinja2", "matplotlib") if find_spec(name) is None]
    if missing:
        raise Failure(f"the report needs {' and '.join(missing)}: pip install 'gambit[report]', or leave out --report")


def _trials(
    config_path: Path | None, overrides: Sequence[str], axes: "Sequence[Axis]", latencies: Sequence[str]
) -> "tuple[list[Trial], list[Trial]]":
    """The runs beside the configured one: of the sweep, and of the latencies. Raises UsageError, ConfigFailure."""
    from gambit.backtest import Axis, grid

    def load(more: Sequence[str]) -> "Config":
        return load_config(config_path, [*overrides, *more]).config

    try:
        return (grid(axes, load) if axes else [], grid([Axis(LATENCY, tuple(latencies))], load) if latencies else [])
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _run_all(
    files: Sequence[Path],
    base: "Config",
    trials: "Sequence[Trial]",
    symbols: Sequence[str] | None,
    strict: bool,
    jobs: int,
) -> "tuple[Outcome, list[Outcome]]":
    """The configured run, here and first, for it says what is wrong with the input; then the others, side by side."""
    from gambit.backtest import run, sweep
    from gambit.runtime.replay import ReplayError

    with interrupts.heeded(), Progress.on_terminal(is_shared=False) as progress:
        try:
            first = run(files, base, symbols=symbols, strict=strict, on_progress=progress.update, warn=progress.print)
            found: dict[int, Outcome] = {}
            if trials:
                progress.update(0, len(trials))
                for index, outcome in sweep(files, trials, symbols=symbols, strict=strict, jobs=jobs):
                    found[index] = outcome
                    progress.update(len(found), len(trials))
        except ReplayError as error:
            raise Failure(str(error)) from error
    return first, [found[index] for index in range(len(trials))]


def _json(
    first: "Result", varied: "Sequence[tuple[tuple[str, ...], Result]]", timed: "Sequence[tuple[Decimal, Result]]"
) -> str:
    import orjson

    story = {
        **plain(first),
        "sweep": [{"overrides": list(overrides), **_brief(result)} for overrides, result in varied],
        "latencies": [{"latency_ms": f"{ms:f}", **_brief(result)} for ms, result in timed],
    }
    return orjson.dumps(story, option=orjson.OPT_INDENT_2).decode()


def plain(result: "Result") -> dict[str, Any]:
    """A result as JSON has it: amounts as decimal strings."""
    import msgspec

    made: dict[str, Any] = msgspec.to_builtins(result)
    return made


def _brief(result: "Result") -> dict[str, Any]:
    left_out = ("curve", "rows", "lifetimes_ms", "routes", "notices")
    return {name: value for name, value in plain(result).items() if name not in left_out}


def summary(
    result: "Result", keys: Sequence[str], varied: "Sequence[tuple[tuple[str, ...], Result]]", paint: Paint
) -> list[str]:
    """The run as a person reads it, the sweep best first."""
    from gambit.backtest.report import instant, money, share, span

    worth = money(result.result)
    shown = paint.good(worth) if result.result >= 0 else paint.bad(worth)
    rows = [
        ["recorded", f"{instant(result.first_ns)} to {instant(result.last_ns)} UTC, {result.frames:,} frames"],
        ["result", f"{shown} after fees of {money(result.fees)}, deepest drawdown {money(result.max_drawdown)}"],
        ["plans", f"{result.plans} made, {result.traded} traded, {share(result.hit_rate)} of them earned something"],
        ["orders", f"{result.orders} sent, {result.fills} fills, fill ratio of entries {share(result.fill_ratio)}"],
        ["expected", f"{money(result.expected)} by the plans that traded"],
        ["unhedged", f"{money(result.naked_quote_sec)} notional x s, {result.compensations} compensations"],
        [
            "opportunities",
            ", ".join(f"{n} {reason.replace('_', ' ')}" for reason, n in result.funnel.items()) or "none",
        ],
        ["lifetimes", ", ".join(f"{name} {span(ms)}" for name, ms in result.lifetime_ms.items()) or "-"],
    ]
    if result.without_list:
        rows.append(["assumed", f"tick and lot of 1e-8, for no instrument list has {', '.join(result.without_list)}"])
    if result.unusable:
        found = sorted(result.unusable.items(), key=lambda each: -each[1])
        reasons = ", ".join(f"{count} x {reason}" for reason, count in found[:REASONS_SHOWN])
        more = f", and {len(found) - REASONS_SHOWN} other reasons" if len(found) > REASONS_SHOWN else ""
        rows.append(["unusable", paint.bad(f"{sum(result.unusable.values())} frames quarantined: {reasons}{more}")])
    if result.trading_state != "ACTIVE":
        rows.append(["trading", paint.bad(f"ended {result.trading_state}: {result.trading_reason}")])
    lines = [f"  {paint.faint(f'{name:<14}')} {text}" for name, text in rows]
    if varied:
        best = sorted(varied, key=lambda each: -each[1].result)
        cells = [[*keys, "result", "drawdown", "fill ratio", "hit rate", "traded"]]
        for overrides, other in best:
            values = [override.partition("=")[2] for override in overrides]
            numbers = [money(other.result), money(other.max_drawdown), share(other.fill_ratio), share(other.hit_rate)]
            cells.append([*values, *numbers, str(other.traded)])
        head, *body = table(cells, len(keys))
        lines += ["", paint.strong("Sweep, best first"), "  " + paint.faint(head), *("  " + line for line in body)]
    return [paint.strong("Backtest"), *lines]


def _write_report(
    path: Path,
    files: Sequence[Path],
    config_name: str,
    config: "Config",
    result: "Result",
    keys: Sequence[str],
    varied: "Sequence[tuple[tuple[str, ...], Result]]",
    timed: "Sequence[tuple[Decimal, Result]]",
) -> None:
    from gambit.backtest.report import Story, Varied, report

    story = Story(
        title="Backtest",
        captures=[file.name for file in files],
        config=config,
        config_name=config_name,
        result=result,
        latencies=[(float(ms), other) for ms, other in timed],
        keys=keys,
        varied=[Varied(tuple(o.partition("=")[2] for o in overrides), other) for overrides, other in varied],
    )
    path.write_text(report(story), "utf-8")
