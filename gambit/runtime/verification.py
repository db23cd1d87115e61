"""`replay --verify`: a recorded session once more, and whether every decision comes out byte for byte."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from gambit.config import Config
from gambit.runtime.recorder import DECISIONS, FRAMES, RecorderError, Session, config_hash, read_session
from gambit.runtime.replay import replay

SHOWN_MAX = 400


class Verdict(NamedTuple):
    """What came of a verification; `difference` is None when everything agrees."""

    decisions: int  # that agree
    frames: int
    difference: str | None


def verify(
    folder: Path, *, on_progress: Callable[[int, int], None] | None = None, warn: Callable[[str], None]
) -> Verdict:
    """Replay a session's frames with its own settings and hold the decisions against the recorded ones.

    Of a session that ended in the middle of things, only what both sides have is compared. Raises RecorderError for a
    folder that is no recording or whose configuration was changed, ReplayError, OSError.
    """
    session = read_session(folder)
    config = _config(folder, session)
    with (folder / DECISIONS).open("rb") as recorded:
        held = _Comparison(recorded.read().splitlines(), folder / DECISIONS)
    result = replay(
        [folder / FRAMES],
        config,
        symbols=None,
        books=session.books,
        emit="opportunities",
        out=held,  # type: ignore[arg-type]  # it has what replay uses of a file: write and flush
        on_progress=on_progress,
        warn=warn,
    )
    is_whole = session.is_whole and result.exit_code == 0
    frames = result.stats["frames"]
    return Verdict(held.agreed, int(frames) if isinstance(frames, int) else 0, held.verdict(is_whole))


def _config(folder: Path, session: Session) -> Config:
    try:
        config = msgspec.json.decode(msgspec.json.encode(session.config), type=Config)
    except msgspec.ValidationError as error:
        raise RecorderError(f"{folder}: the configuration of this session is of another version: {error}") from error
    found = config_hash(config)
    if found != session.config_hash:
        raise RecorderError(f"{folder}: the configuration has hash {found}, the session was made with another one")
    return config


class _Comparison:
    """A file that compares what is written to it, line by line, with what is due."""

    def __init__(self, due: list[bytes], path: Path) -> None:
        self._due = due
        self._path = path
        self._rest = b""
        self._extra = 0
        self.agreed = 0
        self._difference: str | None = None

    def write(self, data: bytes) -> int:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line(line)
        return len(data)

    def flush(self) -> None:
        """Nothing is kept back."""

    def _line(self, line: bytes) -> None:
        if self._difference is not None:
            return
        if self.agreed + self._extra >= len(self._due):
            self._extra += 1
        elif line == self._due[self.agreed]:
            self.agreed += 1
        else:
            was, now = self._due[self.agreed], line
            at = next((k for k, (a, b) in enumerate(zip(was, now, strict=False)) if a != b), min(len(was), len(now)))
            self._difference = (
                f"{self._path}:{self.agreed + 1}: differs at byte {at}: recorded "
                f"{was[max(0, at - 40) : at + SHOWN_MAX]!r}, replayed {now[max(0, at - 40) : at + SHOWN_MAX]!r}"
            )

    def verdict(self, is_whole: bool) -> str | None:
        """The first difference, None when there is none."""
        if self._difference is not None or not is_whole:
            return self._difference
        if self._extra:
            return f"{self._path}: {self._extra} decisions more in the replay than the {len(self._due)} recorded"
        if self.agreed < len(self._due):
            return f"{self._path}:{self.agreed + 1}: recorded, and missing in the replay"
        return None
