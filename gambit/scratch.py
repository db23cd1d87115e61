"""Folders for unfinished work, of which nothing stays: not even when the process that made one was killed."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def scratch(parent: Path, prefix: str) -> Iterator[Path]:
    """A folder in `parent` for the time of the block, and locked for that time: one of this prefix that nobody holds
    is what a kill left, and goes first. Raises OSError."""
    for left in parent.glob(f"{prefix}*"):
        _removed(left)
    folder, lock = _made(parent, prefix)
    try:
        yield folder
    finally:
        try:
            shutil.rmtree(folder)
        finally:
            os.close(lock)


def _made(parent: Path, prefix: str) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        lock = _locked(folder)
        if lock is not None:
            return folder, lock


def _locked(folder: Path) -> int | None:
    """Its descriptor when it is there and ours: another who clears may have had it between its making and this."""
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if folder.exists():
            return lock
    except BlockingIOError:
        pass
    os.close(lock)
    return None


def _removed(folder: Path) -> None:
    lock = _locked(folder)
    if lock is not None:
        try:
            shutil.rmtree(folder)
        finally:
            os.close(lock)
