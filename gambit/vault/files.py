"""Files with secrets: read only when nobody else can read them, replaced whole or not at all."""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from gambit.vault.problem import VaultError

BYTES_MAX: Final = 16 << 20


def read_private(path: Path, what: str, bytes_max: int = BYTES_MAX) -> bytes:
    """The content of a regular file that is ours (or root's) and no wider than 0600. Raises VaultError, and
    FileNotFoundError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise VaultError(f"{path}: {what} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise VaultError(f"{path}: {what} is not a regular file")
    with open(fd, "rb") as file:
        found = os.fstat(fd)
        if found.st_uid not in (os.geteuid(), 0):
            raise VaultError(f"{path}: {what} belongs to user {found.st_uid}, not to {os.geteuid()}")
        mode = stat.S_IMODE(found.st_mode)
        if mode & 0o177:
            raise VaultError(f"{path}: {what} is open to others (mode {mode:04o}); chmod 600 it")
        data = file.read(bytes_max + 1)
    if len(data) > bytes_max:
        raise VaultError(f"{path}: {what} is larger than {bytes_max} bytes")
    return data


def replace_private(path: Path, data: bytes) -> None:
    """Put a file of mode 0600 in place of whatever is there, so that a power cut leaves the old or the new one.
    Raises VaultError."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with open(fd, "wb") as file:
            os.fchmod(fd, 0o600)
            file.write(data)
            file.flush()
            os.fsync(fd)
        fresh.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):  # the folder may be why
            fresh.unlink(missing_ok=True)
        raise VaultError(f"{path}: cannot be written: {error.strerror}") from error


def create_private(path: Path, data: bytes) -> bool:
    """Make a file of mode 0600 that is not there yet; False when somebody else was first. Raises VaultError."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    replace_private(fresh, data)
    try:
        os.link(fresh, path)
        sync_folder(path.parent)
    except FileExistsError:
        return False
    except OSError as error:
        raise VaultError(f"{path}: cannot be made: {error.strerror}") from error
    finally:
        fresh.unlink(missing_ok=True)
    return True


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
