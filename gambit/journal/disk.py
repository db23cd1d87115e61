"""The few calls by which a journal touches the disk; tests put a failing disk in their place."""

import os
from pathlib import Path


class Disk:
    """The real one. Every method raises OSError as the system does."""

    def open(self, path: Path) -> int:
        """A descriptor that appends to `path`, which is made when it is missing."""
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def write(self, descriptor: int, data: bytes) -> int:
        """Append; gives how many bytes were taken."""
        return os.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """Wait until everything written is on the medium."""
        os.fdatasync(descriptor)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def replace(self, source: Path, target: Path) -> None:
        """Rename, and make the rename last."""
        os.replace(source, target)
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_whole(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Put a small file in place at once: whole or not at all. Raises OSError."""
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        os.fchmod(descriptor, mode)
        with open(descriptor, "wb", closefd=False) as file:
            file.write(data)
        os.fsync(descriptor)
    except BaseException:
        fresh.unlink(missing_ok=True)  # what filled the disk does not go on doing so
        raise
    finally:
        os.close(descriptor)
    Disk().replace(fresh, path)
