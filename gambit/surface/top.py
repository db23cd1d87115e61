"""The terminal view of `gambit top`: opportunities, feeds, books, latency, and orders and plans where there are any.

It shows pictures that a source fetches twice a second in a thread; a daemon that is slow or gone is said so, and the
view goes on trying.
"""

import time
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.coordinate import Coordinate
from textual.screen import ModalScreen
from textual.widgets import DataTable, Footer, Label, Static
from textual.worker import get_current_worker

from gambit.surface import quantities
from gambit.surface.watcher import Picture

INTERVAL_SEC = 0.5
STALE_SEC = 2.0
ID_SHOWN = 8
COLUMNS = {
    "opportunities": ("symbol", "buy > sell", "net bps", "profit", "quantity", "score", "lasts"),
    "plans": ("plan", "symbol", "status", "total", "expected", "made"),
    "orders": ("order", "venue", "symbol", "side", "status", "quantity", "filled", "price"),
    "feeds": ("venue", "state", "conns", "books", "frames", "errors", "lag p99"),
    "latency": ("stage", "p50", "p99", "p99.9", "max"),
    "books": ("symbol", "venue", "bid", "ask", "spread bps", "age"),
}
WORDS_FIRST = {"opportunities": 2, "plans": 3, "orders": 5, "feeds": 2, "latency": 1, "books": 2}  # then numbers
TITLES = {
    "opportunities": "Opportunities", "plans": "Plans", "orders": "Orders", "feeds": "Feeds", "latency": "Latency",
    "books": "Books",
}  # fmt: skip
STATE_STYLES = {
    "ACTIVE": "bold green", "REDUCING": "bold yellow", "HALTED": "bold red", "up": "green", "running": "green",
    "down": "red", "given_up": "red", "degraded": "yellow", "syncing": "yellow", "safe_mode": "bold red",
    "filled": "green", "reconciled": "green", "failed": "red", "aborted": "red", "unknown": "bold yellow",
}  # fmt: skip

Cells = list[Text]


class Source(Protocol):
    """Where the pictures come from; gambit.surface.watcher.Watcher is one."""

    def fetch(self) -> Picture: ...

    def change_state(self, verb: str) -> str: ...

    def close(self) -> None: ...


class Confirm(ModalScreen[bool]):
    """Asks before the trading state is changed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes"),
        Binding("n,escape,q", "answer(False)", "no"),
    ]
    DEFAULT_CSS = """
    Confirm { align: center middle; }
    Confirm Label { padding: 1 4; border: thick $warning; background: $surface; }
    """

    def __init__(self, verb: str) -> None:
        super().__init__()
        self.verb = verb

    def compose(self) -> ComposeResult:
        yield Label(f"{self.verb} trading? y / n")

    def action_answer(self, is_sure: bool) -> None:
        """Close with the answer."""
        self.dismiss(is_sure)


class Top(App[None]):
    """The view; `source` is asked in a thread."""

    TITLE = "gambit"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "quit"),
        Binding("space", "pause", "pause"),
        Binding("o", "only_open", "open only"),
        Binding("b", "toggle_books", "books"),
        Binding("h", "change('halt')", "halt"),
        Binding("d", "change('reduce')", "reduce"),
        Binding("r", "change('resume')", "resume"),
        Binding("question_mark", "show_help_panel", "keys", key_display="?"),
    ]
    CSS = """
    #head { height: 2; padding: 0 1; background: $boost; }
    #trouble { display: none; padding: 0 1; background: $error; color: $text; }
    #trouble.shown { display: block; }
    .panel { border: round $primary; border-title-style: bold; height: 1fr; }
    .panel.absent { display: none; }
    #left { width: 3fr; } #right { width: 2fr; }
    #opportunities-panel { height: 3fr; } #feeds-panel { height: 2fr; } #books-panel { height: 2fr; }
    DataTable { height: 1fr; }
    """

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.source = source
        self.is_paused = False
        self.is_open_only = False
        self.picture = Picture({}, [], [], trouble="asking the daemon")
        self._is_fetching = False
        self._fetched_sec = time.monotonic()

    def compose(self) -> ComposeResult:
        """The head, the panels, the keys."""
        yield Static(id="head")
        yield Static(id="trouble")
        with Horizontal():
            with Vertical(id="left"):
                for name in ("opportunities", "plans", "orders"):
                    yield self._panel(name)
            with Vertical(id="right"):
                for name in ("feeds", "latency", "books"):
                    yield self._panel(name)
        yield Footer()

    def on_mount(self) -> None:
        """Begin to ask."""
        for name, columns in COLUMNS.items():
            titles = [right(title) if at >= WORDS_FIRST[name] else Text(title) for at, title in enumerate(columns)]
            self.query_one(f"#{name}", DataTable).add_columns(*titles)
        self.set_interval(INTERVAL_SEC, self.ask)
        self.ask()

    def on_unmount(self) -> None:
        """Hang up."""
        self.source.close()

    def ask(self) -> None:
        """Fetch a picture unless one is on its way; say so when it takes long."""
        if self._is_fetching:
            waited_sec = time.monotonic() - self._fetched_sec
            if waited_sec > STALE_SEC:
                self._show_trouble(f"no answer for {waited_sec:.0f} s; what you see is old")
        elif not self.is_paused:
            self._is_fetching = True
            self._fetch()

    @work(thread=True)
    def _fetch(self) -> None:
        picture = self.source.fetch()
        if not get_current_worker().is_cancelled:
            self.call_from_thread(self.show, picture)

    def show(self, picture: Picture) -> None:
        """Put a picture on the screen."""
        self._is_fetching = False
        self._fetched_sec = time.monotonic()
        if not self.query("#head"):
            return  # the view is being taken down
        if picture.trouble:
            self._show_trouble(picture.trouble)
            return
        self.picture = picture
        self._show_trouble("")
        self.query_one("#head", Static).update(head_of(picture.status, self.is_paused))
        found = [one for one in picture.opportunities if not (self.is_open_only and one["closed_ns"])]
        self._fill("opportunities", [opportunity_cells(one, time.time_ns()) for one in found])
        self._fill("feeds", [feed_cells(one) for one in picture.status["venues"]])
        self._fill("latency", [latency_cells(*one) for one in picture.status["latency"].items()])
        self._fill("books", [book_cells(one) for one in picture.books])
        for name, rows, cells in (("orders", picture.orders, order_cells), ("plans", picture.plans, plan_cells)):
            self.query_one(f"#{name}-panel").set_class(rows is None, "absent")
            self._fill(name, [cells(one) for one in rows or []])

    def action_pause(self) -> None:
        """Hold the picture, or let it move again."""
        self.is_paused = not self.is_paused
        if self.picture.status:
            self.query_one("#head", Static).update(head_of(self.picture.status, self.is_paused))

    def action_only_open(self) -> None:
        """Hide the opportunities that are over, or show them."""
        self.is_open_only = not self.is_open_only
        if not self.picture.trouble:
            self.show(self.picture)

    def action_toggle_books(self) -> None:
        """Show or hide the books."""
        self.query_one("#books-panel").toggle_class("absent")

    def action_change(self, verb: str) -> None:
        """Ask, then change the trading state."""

        def decided(is_sure: bool | None) -> None:
            if is_sure:
                self._change(verb)

        self.push_screen(Confirm(verb), decided)

    @work(thread=True)
    def _change(self, verb: str) -> None:
        said = self.source.change_state(verb)
        self.call_from_thread(self.notify, said)

    def _panel(self, name: str) -> Vertical:
        table: DataTable[Text] = DataTable(id=name, cursor_type="row", zebra_stripes=True)
        panel = Vertical(table, id=f"{name}-panel", classes="panel")
        panel.border_title = TITLES[name]
        panel.set_class(name in ("orders", "plans"), "absent")
        return panel

    def _show_trouble(self, text: str) -> None:
        trouble = self.query_one("#trouble", Static)
        trouble.update(text)
        trouble.set_class(bool(text), "shown")

    def _fill(self, name: str, rows: Sequence[Cells]) -> None:
        """Make the table these rows; where the reader stands stays."""
        table: DataTable[Text] = self.query_one(f"#{name}", DataTable)
        if len(rows) != table.row_count:
            at = table.cursor_row
            table.clear()
            for row in rows:
                table.add_row(*row)
            table.move_cursor(row=min(at, max(0, len(rows) - 1)))
            return
        for y, row in enumerate(rows):
            for x, cell in enumerate(row):
                place = Coordinate(y, x)
                if table.get_cell_at(place) != cell:
                    table.update_cell_at(place, cell, update_width=True)


def styled(word: str) -> Text:
    """A state in its colour."""
    return Text(word, STATE_STYLES.get(word, ""))


def right(text: str, style: str = "") -> Text:
    """A number."""
    return Text(text, style, justify="right")


def head_of(status: dict[str, Any], is_paused: bool) -> Text:
    """Two lines: who and how it is; how much and how fast."""
    spread = status["latency"].get("tick_to_signal") or {}
    latency = "no signal yet"
    if spread.get("count"):
        latency = f"p50 {quantities.span(spread['p50_ns'])} p99 {quantities.span(spread['p99_ns'])}"
    reasons = "; ".join(status.get("reasons", ()))
    return Text.assemble(
        ("gambit ", "bold"),
        f"{status['version']}  ",
        styled(status["state"]),
        f"  {status['mode']}  ",
        styled(status["trading_state"]),
        f"  up {quantities.lasting(status['uptime_sec'])}",
        ("  PAUSED" if is_paused else "", "bold reverse"),
        (f"  {reasons}" if reasons else "", "yellow"),
        f"\nbooks {status['books_synced']}/{status['books']}  frames {quantities.rate(status['frames_per_sec'])}"
        f"  signals {quantities.rate(status['signals_per_sec'])}  open {status['opportunities_open']}"
        f"  tick to signal {latency}  memory {quantities.size(status.get('rss_bytes', 0))}"
        f"  CPU {status.get('cpu_share', 0):.0%}",
        no_wrap=True,
        overflow="ellipsis",
    )


def opportunity_cells(one: dict[str, Any], now_ns: int) -> Cells:
    """What it is worth; those that are over are dim."""
    is_over = bool(one["closed_ns"])
    good = "dim" if is_over else "green"
    dim = "dim" if is_over else ""
    lasts = quantities.span(max(0, (one["closed_ns"] or now_ns) - one["raised_ns"]))
    return [
        Text(one["symbol"], dim),
        Text(f"{one['venue_buy']} > {one['venue_sell']}", dim),
        right(f"{one['net_bps']:.1f}", good),
        right(f"{one['profit_quote']:,.2f} {one['quote_asset']}", good),
        right(str(one["qty"]), dim),
        right(f"{one['score']:.3f}", dim),
        right(f"{lasts} ({one['close_reason'].replace('_', ' ')})" if is_over else lasts, dim),
    ]


def feed_cells(one: dict[str, Any]) -> Cells:
    """A venue's feed."""
    errors = one.get("frame_errors", 0)
    return [
        Text(one["venue"]),
        styled(one["state"]),
        right(f"{one.get('connections_up', 0)}/{one.get('connections', 0)}"),
        right(f"{one.get('books_synced', 0)}/{one.get('books', 0)}"),
        right(quantities.rate(one.get("frames_per_sec", 0.0))),
        right(f"{errors:,}", "yellow" if errors else ""),
        right(quantities.span(one.get("lag_p99_ns"))),
    ]


def latency_cells(stage: str, spread: dict[str, Any]) -> Cells:
    """One stage's percentiles."""
    times = [right(quantities.span(spread[key])) for key in ("p50_ns", "p99_ns", "p999_ns", "max_ns")]
    return [Text(stage.replace("_", " ")), *times]


def book_cells(one: dict[str, Any]) -> Cells:
    """A book's touch, or that it cannot be believed."""
    names = [Text(one["symbol"]), Text(one["venue"])]
    bid, ask, age_sec = one["bid"], one["ask"], one.get("age_sec")
    if not one["synced"]:
        return [*names, right("-"), right("-"), right("not synced", "red"), right("-")]
    spread = f"{(float(ask) / float(bid) - 1) * 1e4:.2f}" if bid and ask else "-"
    age = "-" if age_sec is None else quantities.span(age_sec * 1e9)
    return [*names, right(str(bid or "-")), right(str(ask or "-")), right(spread), right(age)]


def plan_cells(one: dict[str, Any]) -> Cells:
    """A plan, by the beginning of its id."""
    return [
        Text(one["plan_id"][:ID_SHOWN]),
        Text(one["symbol"]),
        styled(one["status"]),
        right(one["total_quote_amount"]),
        right(one["expected_profit"]),
        right(quantities.moment(one["created_ns"])),
    ]


def order_cells(one: dict[str, Any]) -> Cells:
    """An order, by the beginning of its id."""
    return [
        Text(one["order_id"][:ID_SHOWN]),
        Text(one["venue"]),
        Text(one["symbol"]),
        Text(one["side"], "green" if one["side"] == "buy" else "red"),
        styled(one["status"]),
        right(one["qty"]),
        right(one["qty_filled"]),
        right(one["average_price"] or one["price"]),
    ]
