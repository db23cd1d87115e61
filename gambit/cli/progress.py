"""A progress line on stderr that never mixes with other lines and that a pipe never sees."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

REDRAW_SEC = 0.1
BAR_CELLS = 24


class Progress:
    """Redraws `[####    ] 42 %` in place; lines printed through it scroll above it."""

    def __init__(self, is_shown: bool) -> None:
        self.is_shown = is_shown
        self._next_draw = 0.0
        self._is_drawn = False

    @classmethod
    @contextmanager
    def on_terminal(cls, is_shared: bool) -> "Iterator[Progress]":
        """Shown when stderr is a terminal, unless stdout writes its lines to a terminal too (`is_shared`)."""
        progress = cls(sys.stderr.isatty() and not (is_shared and sys.stdout.isatty()))
        try:
            yield progress
        finally:
            progress.clear()

    def update(self, done: int, total: int) -> None:
        """Show how much of the whole is done, at most every `REDRAW_SEC`."""
        if not self.is_shown or total <= 0:
            return
        now = time.monotonic()
        if now < self._next_draw:
            return
        self._next_draw = now + REDRAW_SEC
        share = min(done / total, 1.0)
        bar = "#" * round(share * BAR_CELLS)
        click.echo(f"\r[{bar:<{BAR_CELLS}}] {share:4.0%}", nl=False, err=True)
        self._is_drawn = True

    def print(self, line: str) -> None:
        """A line on stderr above the bar."""
        self.clear()
        click.echo(line, err=True)

    def clear(self) -> None:
        """Take the bar away."""
        if self._is_drawn:
            click.echo("\r" + " " * (BAR_CELLS + 8) + "\r", nl=False, err=True)
            self._is_drawn = False
