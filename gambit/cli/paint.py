"""Colours and aligned columns for people; plain text for pipes, dumb terminals and whoever sets NO_COLOR."""

import os
import sys
from collections.abc import Sequence

import click


class Paint:
    """Styles text when colours are wanted, else gives it back as it is."""

    def __init__(self, is_coloured: bool) -> None:
        self.is_coloured = is_coloured

    @classmethod
    def for_stdout(cls) -> "Paint":
        """Colours only on a terminal that knows them, and never against NO_COLOR."""
        is_plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        return cls(sys.stdout.isatty() and not is_plain)

    def good(self, text: str) -> str:
        """Money to be made, a check that passed."""
        return self._style(text, "green")

    def bad(self, text: str) -> str:
        """What is wrong."""
        return self._style(text, "red")

    def faint(self, text: str) -> str:
        """What is there but not the point."""
        return click.style(text, dim=True) if self.is_coloured else text

    def strong(self, text: str) -> str:
        """Headings and names."""
        return click.style(text, bold=True) if self.is_coloured else text

    def _style(self, text: str, colour: str) -> str:
        return click.style(text, fg=colour) if self.is_coloured else text


def table(rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Rows as lines of equally wide columns, the first `left` columns to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    return [
        "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
