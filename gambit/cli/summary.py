"""What a replay found, as text a person enjoys reading."""

from collections.abc import Sequence
from typing import Any

from gambit.cli.paint import Paint, table
from gambit.surface.quantities import amount, moment, span

TOP_MAX = 5


class EventLog:
    """Events as lines, in their order; what happens to several pairs of one symbol at one instant is one line."""

    def __init__(self, paint: Paint) -> None:
        self._paint = paint
        self._at_ns = 0
        self._together: dict[tuple[str, ...], list[dict[str, Any]]] = {}

    def take(self, event: dict[str, Any]) -> list[str]:
        """The lines that are complete now that this event came."""
        lines = self.rest() if event["recv_ns"] != self._at_ns else []
        self._at_ns = event["recv_ns"]
        key = (event["event"], event["symbol"], event.get("reason", ""))
        self._together.setdefault(key, []).append(event)
        return lines

    def rest(self) -> list[str]:
        """The lines of the last instant."""
        groups, self._together = self._together, {}
        return [_event_line(events, self._paint) for events in groups.values()]


def _event_line(events: list[dict[str, Any]], paint: Paint) -> str:
    """When, what, from where to where, and what it is worth; of several the best, and how many more there are."""
    is_raised = events[0]["event"] == "raised"
    best = max(events, key=lambda event: float(event["score"] if is_raised else event["max_net_bps"]))
    clock = paint.faint(moment(int(best["recv_ns"])))
    route = f"{best['symbol']:<10} {best['venue_buy']} > {best['venue_sell']}"
    more = f"and {len(events) - 1} more" if len(events) > 1 else ""
    if is_raised:
        worth = paint.good(f"{best['net_bps']:+6.1f} bps  {best['profit_quote']:+8.2f} {best['quote_asset']}")
        prices = f"buy {best['buy_vwap']:,.8g}  sell {best['sell_vwap']:,.8g}  score {best['score']:.2f}  {more}"
        return f"{clock}  {route:<32} {worth}  {paint.faint(prices.rstrip())}"
    end = f"over after {span(int(best['duration_ns']))} ({str(best['reason']).replace('_', ' ')})"
    text = f"{route:<32} {end}, at best {best['max_net_bps']:+.1f} bps  {more}"
    return f"{clock}  {paint.faint(text.rstrip())}"


def summary_lines(
    stats: dict[str, Any], paint: Paint, trades: dict[str, Any] | None = None, trouble: Sequence[str] = ()
) -> list[str]:
    """The whole run: speed, venues, spreads, the best opportunities, what was traded, latency, what is wrong."""
    head = (
        f"{stats['frames']:,} frames in {stats['seconds']:.2f} s: {stats['frames_per_s']:,.0f} frames/s, "
        f"{stats['signals']:,} opportunities raised, {stats['closed']:,} over"
    )
    return [
        "",
        paint.strong(head),
        *_section("Venues", _venues(stats["venues"]), paint),
        *_section("Books at the end", _books(stats["books"]), paint, left=2),
        *_section("Best opportunities", _top(stats["top"]), paint, left=2),
        *_trades(trades, paint),
        *_section("Latency", _latency(stats["latency_ns"]), paint),
        *(["", paint.bad("Trouble"), *(f"  {reason}" for reason in trouble)] if trouble else []),
        "",
        paint.faint("Next: gambit query, gambit replay FILE..., gambit run -c configs/paper.toml, gambit --help"),
    ]


def _section(title: str, rows: list[list[str]], paint: Paint, left: int = 1) -> list[str]:
    if len(rows) < 2:
        return []
    head, *body = table(rows, left)
    return ["", paint.strong(title), "  " + paint.faint(head), *("  " + line for line in body)]


def _venues(venues: dict[str, dict[str, int]]) -> list[list[str]]:
    columns = ("frames", "snapshots", "applied", "gaps", "dropped_stale", "quarantined", "unknown")
    rows = [[name, *(f"{counts.get(column, 0):,}" for column in columns)] for name, counts in sorted(venues.items())]
    return [["venue", *(column.replace("_", " ") for column in columns)], *rows]


def _books(books: list[dict[str, Any]]) -> list[list[str]]:
    """Each book's touch and spread, and how far its bid lies above or below the cheapest ask of its symbol."""
    rows = [["symbol", "venue", "bid", "ask", "spread bps", "bid over best ask bps"]]
    for book in sorted(books, key=lambda book: (book["symbol"], book["venue"])):
        asks = [float(other["ask"]) for other in books if other["symbol"] == book["symbol"] and other["ask"]]
        if not book["synced"] or not book["bid"] or not book["ask"]:
            rows.append([book["symbol"], book["venue"], "-", "-", "not synced" if not book["synced"] else "-", "-"])
            continue
        bid, ask = float(book["bid"]), float(book["ask"])
        spread, edge = (ask / bid - 1) * 1e4, (bid / min(asks) - 1) * 1e4
        rows.append([book["symbol"], book["venue"], f"{bid:.10g}", f"{ask:.10g}", f"{spread:.2f}", f"{edge:+.2f}"])
    return rows


def _top(top: list[dict[str, Any]]) -> list[list[str]]:
    rows = [["symbol", "buy > sell", "net bps", "profit", "quantity", "score", "at"]]
    for found in top[:TOP_MAX]:
        profit = f"{found['profit_quote']:.2f} {found['quote_asset']}"
        route = f"{found['venue_buy']} > {found['venue_sell']}"
        cells = [f"{found['net_bps']:.1f}", profit, str(found["qty"]), f"{found['score']:.3f}"]
        rows.append([found["symbol"], route, *cells, moment(int(found["recv_ns"]))])
    return rows


def _trades(trades: dict[str, Any] | None, paint: Paint) -> list[str]:
    """Plans, orders and the result; why the other opportunities were not traded."""
    if trades is None:
        return []
    plans = ", ".join(f"{count} {end}" for end, count in sorted(trades["plans"].items())) or "none"
    others = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in trades["funnel"].items()) or "none"
    fees = ", ".join(f"{amount(fee)} {asset}" for asset, fee in trades["fees"].items()) or "none"
    result = f"{float(trades['result']):+,.2f}"
    shown = paint.good(result) if float(trades["result"]) >= 0 else paint.bad(result)
    return [
        "",
        paint.strong("Trades"),
        f"  plans          {plans}   ({trades['orders']} orders)",
        f"  result         {shown}   after fees of {fees}",
        f"  opportunities  {others}",
    ]


def _latency(stages: dict[str, dict[str, int]]) -> list[list[str]]:
    rows = [
        [stage, *(span(int(times[column])) for column in ("p50", "p99", "p999", "max"))]
        for stage, times in stages.items()
    ]
    return [["stage", "p50", "p99", "p99.9", "max"], *rows]
