"""What the benchmarks found, as plain tables: collected while they run, printed at the end of the session."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field

Row = Sequence[object]


@dataclass(slots=True)
class Table:
    """Rows under one title. Cells are texts or numbers; numbers are set right."""

    title: str
    head: tuple[str, ...]
    rows: list[Row] = field(default_factory=list)


@dataclass(slots=True)
class Report:
    """Tables in the order of their first row, and texts laid out elsewhere."""

    tables: dict[str, Table] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)

    def add(self, title: str, head: tuple[str, ...], row: Row) -> None:
        """One more row of the table with this title."""
        self.tables.setdefault(title, Table(title, head)).rows.append(row)

    def lines(self) -> list[str]:
        """All of it."""
        out: list[str] = []
        for table in self.tables.values():
            out += [table.title, *aligned([table.head, *table.rows]), ""]
        for text in self.texts:
            out += [*text.splitlines(), ""]
        return out


def aligned(rows: Sequence[Row]) -> list[str]:
    """Rows of equal length as lines, columns under each other; the first row is the head."""
    texts = [[_text(cell) for cell in row] for row in rows]
    widths = [max(len(row[k]) for row in texts) for k in range(len(rows[0]))]
    is_number = [all(not isinstance(row[k], str) for row in rows[1:]) for k in range(len(widths))]
    return [
        "  "
        + "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, is_number, strict=True)
        ).rstrip()
        for row in texts
    ]


def machine() -> str:
    """Processor, cores, system and interpreter, in one line."""
    cpu = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:
            cpu = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass  # not Linux, or a kernel that does not say: the platform's word stands
    return f"{cpu}, {os.cpu_count()} cores, {platform.system()}, CPython {platform.python_version()}"


def _text(cell: object) -> str:
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.1f}" if abs(cell) >= 10 else f"{cell:.2f}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)
