"""Runs replays, in this process or as a user does, and keeps all that came of them."""

import io
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gambit.config import Config
from gambit.runtime.replay import ReplayError, replay

LEFT_OUT = ("GAMBIT_", "PYTHONUNBUFFERED")
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(LEFT_OUT)}
COMMAND = (sys.executable, "-m", "gambit", "replay")
WAIT_SEC = 60
ERROR = 1


@dataclass(frozen=True)
class Outcome:
    """How a replay ended: exit code, what it wrote, and what it said about its input, a line each."""

    code: int
    out: bytes
    said: tuple[str, ...]


def run(
    files: Path | Sequence[Path],
    emit: str = "ticks",
    *,
    strict: bool = False,
    symbols: Sequence[str] | None = None,
    config: Config | None = None,
) -> Outcome:
    """A replay in this process."""
    out = io.BytesIO()
    said: list[str] = []
    paths = [files] if isinstance(files, Path) else files
    try:
        result = replay(paths, config or Config(), symbols=symbols, emit=emit, out=out, strict=strict, warn=said.append)
    except ReplayError as error:
        return Outcome(ERROR, out.getvalue(), (*said, str(error)))
    return Outcome(result.exit_code, out.getvalue(), tuple(said))


def gambit(*words: object, stdout: int | None = None) -> Outcome:
    """`gambit replay` in a process of its own; whatever happens there is no traceback and nothing but the output on
    stdout."""
    done = subprocess.run(
        [*COMMAND, *map(str, words)],
        stdout=subprocess.PIPE if stdout is None else stdout,
        stderr=subprocess.PIPE,
        timeout=WAIT_SEC,
        env=ENVIRONMENT,
        check=False,
    )
    said = done.stderr.decode(errors="replace")
    assert "Traceback" not in said
    assert "a defect in gambit" not in said
    return Outcome(done.returncode, done.stdout or b"", tuple(said.splitlines()))
