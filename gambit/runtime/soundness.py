"""Whether what the daemon writes down is whole, and will be: database, recording, copies of the head, room on the disk.

None of it stops trading (that is the journal's to do, which nothing goes on without); all of it is told.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

MB: Final = 1_000_000


class Store(Protocol):
    """The database."""

    @property
    def problem(self) -> str | None: ...


class Journal(Protocol):
    """The journal, of which only what does not stop it is looked at."""

    @property
    def head_problem(self) -> str | None: ...


class Recording(Protocol):
    """A session that is written down."""

    @property
    def failed(self) -> str | None: ...
    @property
    def dropped(self) -> int: ...


class Log(Protocol):
    """Where lines for people go."""

    def error(self, event: str, **fields: object) -> object: ...
    def warning(self, event: str, **fields: object) -> object: ...


def free_bytes(folder: Path) -> int:
    """Bytes that this user may still write on the file system of a folder. Raises OSError."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


class Soundness:
    """`reasons` has what is wrong as of the last look, by part; `free` the bytes that are left, -1 when nobody knows.

    `low_bytes` is how little room is too little, and may change; 0: never.
    """

    def __init__(
        self,
        folder: Path,
        low_bytes: int,
        store: Store,
        journal: Journal,
        recording: Recording | None,
        log: Log,
        *,
        room: Callable[[Path], int] = free_bytes,
    ) -> None:
        self.reasons: dict[str, str] = {}
        self.free = -1
        self._folder = folder
        self.low_bytes = low_bytes
        self._store = store
        self._journal = journal
        self._recording = recording
        self._log = log
        self._room = room

    @property
    def is_whole(self) -> bool:
        """Whether database and recording have everything so far; room that is short costs nothing yet."""
        return "database" not in self.reasons and "recording" not in self.reasons

    def look(self) -> None:
        """Once a second or so: what is new is told as an error, what is over as a warning."""
        found = self._found()
        for part, reason in found.items():
            if part not in self.reasons:
                self._log.error(f"degraded: {reason}", part=part)
        for part, reason in self.reasons.items():
            if part not in found:
                self._log.warning(f"well again: {part}", was=reason)
        self.reasons = found

    def _found(self) -> dict[str, str]:
        found: dict[str, str] = {}
        if self._store.problem is not None:
            found["database"] = f"the database takes nothing now, the journal has it all: {self._store.problem}"
        if self._journal.head_problem is not None:
            found["head copy"] = f"a copy of the journal's head is not kept any more: {self._journal.head_problem}"
        if self._recording is not None and self._recording.failed is not None:
            found["recording"] = f"the recording ended: {self._recording.failed}"
        elif self._recording is not None and self._recording.dropped:
            found["recording"] = f"the recording lacks {self._recording.dropped} frames: its disk is too slow"
        short = self._shortage()
        if short:
            found["disk"] = short
        return found

    def _shortage(self) -> str:
        try:
            self.free = self._room(self._folder)
        except OSError as error:
            self.free = -1
            return f"{self._folder}: {error.strerror or error}"
        if self.free >= self.low_bytes:
            return ""
        return f"{self.free / MB:.1f} MB are left on the disk of {self._folder}; when it is full nothing trades"
