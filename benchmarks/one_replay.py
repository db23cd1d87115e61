"""``python -m benchmarks.one_replay FILE EMIT``: one replay in a process of its own, and what it took, as JSON."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from gambit.config import load
from gambit.runtime.replay import replay


def replay_to_nothing(path: Path, emit: str) -> dict[str, Any]:
    """Replay a capture with the default configuration, its output written to the null device; the statistics."""
    with open(os.devnull, "wb", buffering=1 << 20) as out:
        result = replay([path], load(None, {}), symbols=None, emit=emit, out=out, strict=True)
    return result.stats


def peak_rss_kb() -> int:
    """The largest resident size of this process so far (Linux; unlike getrusage it forgets the parent's)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1])


def main(path: str, emit: str) -> None:
    """Replay and print frames, seconds and the peak in kB."""
    stats = replay_to_nothing(Path(path), emit)
    told = {"frames": stats["frames"], "seconds": stats["seconds"], "peak_rss_kb": peak_rss_kb()}
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
