"""The last record known to be on the disk, kept beside the journal and wherever else the operator says.

With it a journal whose end was cut off is told from one that simply ends: a stored head is never ahead of what was
synced. It is one line of fixed length, overwritten in place.
"""

import os
import time
from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple

from gambit.journal.problem import JournalError

_BYTES: Final = 512  # one sector, which a device writes whole or not at all
_OTHERS_EVERY_S: Final = 1.0


class Head(NamedTuple):
    """A record that was on the disk."""

    journal_id: bytes
    seq: int
    hash: bytes


def encode_head(head: Head) -> bytes:
    """The line of a head, padded."""
    text = f"gambit-head 1 {head.journal_id.hex()} {head.seq} {head.hash.hex()}"
    check = blake2b(text.encode(), digest_size=8).hexdigest()
    return f"{text} {check}".encode().ljust(_BYTES - 1) + b"\n"


def read_head(path: Path) -> Head | None:
    """The head stored in a file; None when there is no file. Raises JournalError when it cannot be believed."""
    try:
        with path.open("rb") as file:
            text = file.read(_BYTES + 1).decode("ascii", "replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise JournalError(
            f"{path}: the stored head of the journal cannot be read: {error.strerror}; mend that, or if it is a copy "
            "take it out of journal.head_copy"
        ) from error
    words = text.split()
    line = " ".join(words[:-1])
    if len(words) != 6 or words[0] != "gambit-head" or blake2b(line.encode(), digest_size=8).hexdigest() != words[5]:
        raise JournalError(
            f"{path}: the stored head of the journal cannot be read; with the daemon down move this file away, then "
            "`gambit verify`: whether records are missing at the end nobody can tell without it"
        )
    return Head(bytes.fromhex(words[2]), int(words[3]), bytes.fromhex(words[4]))


class HeadFiles:
    """Writes the head to its first place after every sync, and to the others at most once a second: they may be slow.
    A place among the others that fails is given up; `problem` then says why."""

    def __init__(self, paths: tuple[Path, ...]) -> None:
        self._files = [(path, _open(path)) for path in paths[:1]]
        self._next_others = 0.0
        self.problem: str | None = None
        for path in paths[1:]:
            try:
                self._files.append((path, _open(path)))
            except OSError as error:
                self._give_up(path, error)

    def store(self, head: Head, *, everywhere: bool) -> None:
        """Write a head that is on the disk. Raises OSError when its first place fails."""
        line = encode_head(head)
        if self._files:
            os.pwrite(self._files[0][1], line, 0)
        now = time.monotonic()
        if not everywhere and now < self._next_others:
            return
        self._next_others = now + _OTHERS_EVERY_S
        for path, descriptor in self._files[1:]:
            try:
                os.pwrite(descriptor, line, 0)
            except OSError as error:
                self._give_up(path, error)
                self._files.remove((path, descriptor))
                os.close(descriptor)

    def _give_up(self, path: Path, error: OSError) -> None:
        self.problem = f"{path}: the second copy of the journal's head is not kept any more: {error.strerror}"

    def sync(self) -> None:
        """Make the first place last: a file that is new is empty after a power cut, and an empty one refuses every
        start. Raises OSError."""
        for _, descriptor in self._files[:1]:
            os.fsync(descriptor)

    def close(self) -> None:
        """Make the heads last and let go of the files. Raises OSError."""
        while self._files:
            path, descriptor = self._files.pop()
            try:
                os.fsync(descriptor)
            except OSError as error:
                if not self._files:
                    raise
                self._give_up(path, error)
            finally:
                os.close(descriptor)


def _open(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
