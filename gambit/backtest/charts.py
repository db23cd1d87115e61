"""Charts of a backtest as SVG text, drawn by matplotlib (extra `report`); the same numbers give the same text."""

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from gambit.backtest.measures import Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, GOOD, BAD, FAINT = "#1f3a5f", "#2e7d4f", "#b23b3b", "#9aa5b1"
WIDE, HALF = (9.6, 2.9), (4.7, 2.9)
BARS_MAX: Final = 14


def result_chart(curve: Sequence[Point]) -> str:
    """The result over time, and how far it lies under its height."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    days = [point.ts_ns / 86_400e9 for point in curve]
    values = [float(point.result) for point in curve]
    heights, height = [], 0.0
    for value in values:
        height = max(height, value)
        heights.append(value - height)

    def draw(ax: "Axes") -> None:
        ax.step(days, values, where="post", color=INK, linewidth=1.6, label="result")
        ax.fill_between(days, heights, step="post", color=BAD, alpha=0.35, linewidth=0, label="drawdown")
        ax.axhline(0, color=FAINT, linewidth=0.8)
        locator = AutoDateLocator()  # type: ignore[no-untyped-call]
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        ax.set_ylabel("account currency")
        ax.legend(frameon=False, loc="upper left")

    return _svg(WIDE, draw)


def latency_chart(points: Sequence[tuple[float, float, float | None]]) -> str:
    """(median one-way latency in ms, result, fill ratio) of each run."""
    ordered = sorted(points)

    def draw(ax: "Axes") -> None:
        ax.plot([ms for ms, _, _ in ordered], [result for _, result, _ in ordered], "o-", color=INK, label="result")
        ax.set_xlabel("median latency to the venue, ms")
        ax.set_ylabel("result")
        ax.axhline(0, color=FAINT, linewidth=0.8)
        filled = [(ms, 100 * ratio) for ms, _, ratio in ordered if ratio is not None]
        if filled:
            right = ax.twinx()
            right.plot([ms for ms, _ in filled], [share for _, share in filled], "s--", color=GOOD, label="fill ratio")
            right.set_ylabel("fill ratio, %")
            right.set_ylim(0, 105)
            right.spines[["top"]].set_visible(False)

    return _svg(HALF, draw)


def lifetime_chart(lifetimes_ms: Sequence[float], latency_ms: float) -> str:
    """How long episodes lasted, on a logarithmic axis, and our latency among them."""
    values = [max(ms, 1e-3) for ms in lifetimes_ms]

    def draw(ax: "Axes") -> None:
        low, high = min(values), max(max(values), min(values) * 1.001)
        edges = [low * (high / low) ** (k / 24) for k in range(25)]
        ax.hist(values, bins=edges, color=INK, alpha=0.85)
        ax.set_xscale("log")
        ax.axvline(max(latency_ms, 1e-3), color=BAD, linewidth=1.4, linestyle="--", label="our latency")
        ax.set_xlabel("lifetime of an episode, ms")
        ax.set_ylabel("episodes")
        ax.legend(frameon=False)

    return _svg(HALF, draw)


def bar_chart(amounts: Mapping[str, float], label: str) -> str:
    """Horizontal bars, the largest on top; what does not fit is left out (the table has it)."""
    chosen = sorted(amounts.items(), key=lambda item: (-abs(item[1]), item[0]))[:BARS_MAX][::-1]

    def draw(ax: "Axes") -> None:
        values = [value for _, value in chosen]
        ax.barh([name for name, _ in chosen], values, color=[BAD if value < 0 else INK for value in values])
        ax.set_xlabel(label)

    return _svg((HALF[0], max(1.4, 0.27 * len(chosen) + 0.9)), draw)


def _svg(size: tuple[float, float], draw: Any) -> str:
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "gambit", "svg.fonttype": "none", "font.size": 9, "font.family": "sans-serif"}):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        draw(axes)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    return svg[svg.index("<svg") :]
