"""How often the daemon crashed of late: after five crashes within a minute the next start is in safe mode, no orders.

A start that was not followed by a clean end counts as a crash, whatever ended it.
"""

import contextlib
import json
import os
from pathlib import Path

NAME = "starts.json"
CRASHES_MAX = 5
WITHIN_NS = 60 * 1_000_000_000
KEPT = 20


class Starts:
    """The times of starts without a clean end, in a small file of the state directory."""

    def __init__(self, state: Path) -> None:
        self.path = state / NAME

    def begin(self, now_ns: int) -> int:
        """Write down this start; how many of the last minute's starts ended in a crash."""
        earlier = self._read()
        self._write([*earlier, now_ns][-KEPT:])
        return sum(0 <= now_ns - start_ns <= WITHIN_NS for start_ns in earlier)

    def ended_well(self) -> None:
        """A clean end: what was before counts no more."""
        self.path.unlink(missing_ok=True)

    def _read(self) -> list[int]:
        """The times written down; a file that a crash left torn counts for nothing."""
        try:
            found = json.loads(self.path.read_bytes())
        except (FileNotFoundError, ValueError):
            return []
        return [start for start in found if isinstance(start, int)] if isinstance(found, list) else []

    def _write(self, starts: list[int]) -> None:
        """A start must not fail because the disk is full: without the file there is one crash less to count."""
        fresh = self.path.with_suffix(".new")
        with contextlib.suppress(OSError):
            fresh.write_text(json.dumps(starts))
            os.replace(fresh, self.path)


def is_safe_mode_due(crashes: int) -> bool:
    """Whether so many crashes within the last minute are too many to trade."""
    return crashes >= CRASHES_MAX
