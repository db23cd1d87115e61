"""The report of a backtest: one HTML file with everything in it (extra `report`: jinja2, matplotlib)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from importlib.resources import files
from typing import Any

from gambit.backtest import charts
from gambit.backtest.measures import Result
from gambit.config import Config

ROWS_MAX = 500


@dataclass(frozen=True, slots=True)
class Varied:
    """One run of a sweep: what was different, in the order of the keys, and what came of it."""

    values: tuple[str, ...]
    result: Result


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that goes into a report."""

    title: str
    captures: Sequence[str]
    config: Config
    config_name: str
    result: Result
    latencies: Sequence[tuple[float, Result]]
    keys: Sequence[str]  # of the sweep
    varied: Sequence[Varied]


def report(story: Story) -> str:
    """The report as HTML. Raises ImportError where the extra is not installed."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"money": money, "share": share, "instant": instant, "span": span}
    template = environment.from_string(files("gambit.backtest").joinpath("report.html").read_text("utf-8"))
    return template.render(story=story, result=story.result, charts=_charts(story), rows_max=ROWS_MAX)


def _charts(story: Story) -> dict[str, str]:
    result, latency_ms = story.result, float(story.config.execution.paper_latency_ms)
    made = {}
    if result.curve:
        made["result"] = charts.result_chart(result.curve)
    if len(story.latencies) > 1:
        points = [(ms, float(other.result), other.fill_ratio) for ms, other in story.latencies]
        made["latency"] = charts.latency_chart(points)
    if result.lifetimes_ms:
        made["lifetimes"] = charts.lifetime_chart(result.lifetimes_ms, latency_ms)
    if result.funnel:
        made["funnel"] = charts.bar_chart(result.funnel, "opportunities")
    profits = {name: float(route["profit"]) for name, route in result.routes.items() if route["traded"]}
    if profits:
        made["routes"] = charts.bar_chart(profits, "profit, account currency")
    return made


def money(amount: Decimal | None) -> str:
    """Two decimals, thousands parted."""
    return "-" if amount is None else f"{amount:,.2f}"


def share(ratio: float | None) -> str:
    """A share of 1 in per cent."""
    return "-" if ratio is None else f"{100 * ratio:.1f} %"


def instant(ns: int) -> str:
    """To the second, UTC."""
    return f"{datetime.fromtimestamp(ns // 1_000_000_000, UTC):%Y-%m-%d %H:%M:%S}" if ns else "-"


def span(ms: Any) -> str:
    """Milliseconds as a reader wants them."""
    value = float(ms)
    return f"{value / 1000:.2f} s" if value >= 1000 else f"{value:.1f} ms"
