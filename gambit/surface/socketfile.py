"""Unix sockets in the file system: private from the instant they exist, taken over from the dead, any path length."""

import contextlib
import os
import socket
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ADDRESS_BYTES_MAX = 100  # the kernel takes 108; longer paths are reached through a descriptor of their folder
BACKLOG = 256
_CREDENTIALS = struct.Struct("3i")


class SocketFileError(Exception):
    """The socket cannot be opened where it should be; the message names the place and what to do."""


class FileId(NamedTuple):
    """Device and inode of a file."""

    device: int
    inode: int


class Peer(NamedTuple):
    """Who sits at the other end, as the kernel says."""

    pid: int
    uid: int


def listen(path: Path) -> socket.socket:
    """A listening socket at `path`, mode 0600 from the start, in a folder that only its owner can enter.

    What a dead process left there is taken over. Raises SocketFileError when the folder is open to others, when
    something else is in the way, or when somebody answers there.
    """
    _make_private(path.parent)
    _take_over(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(listener.fileno(), 0o600)  # Linux gives the file this mode as it makes it: there is no wider moment
        with _address(path) as address:
            listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise SocketFileError(f"{path}: cannot listen here: {error.strerror or error}") from error
    return listener


def connect(path: Path, timeout_sec: float) -> socket.socket:
    """A socket connected to the one at `path`; raises OSError."""
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        stream.settimeout(timeout_sec)
        with _address(path) as address:
            stream.connect(address)
    except OSError:
        stream.close()
        raise
    return stream


def remove(path: Path, file_id: FileId) -> None:
    """Remove the socket file, unless somebody else has put another one there meanwhile."""
    if file_id_of(path) == file_id:
        path.unlink(missing_ok=True)


def file_id_of(path: Path) -> FileId | None:
    """What tells the file at `path` from any other; None without one."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return FileId(found.st_dev, found.st_ino)


def peer_of(stream: socket.socket) -> Peer:
    """The process at the other end."""
    pid, uid, _ = _CREDENTIALS.unpack(stream.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return Peer(pid, uid)


def _make_private(folder: Path) -> None:
    """The folder exists and only its owner can enter it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = stat.S_IMODE(folder.stat().st_mode)
    except OSError as error:
        raise SocketFileError(f"{folder}: cannot be the control socket's folder: {error.strerror}") from error
    if mode & 0o077:
        raise SocketFileError(
            f"{folder}: open to others (mode {mode:04o}); chmod 700 it, or name another control_socket"
        )


def _take_over(path: Path) -> None:
    """Remove a socket nobody listens on."""
    try:
        is_socket = stat.S_ISSOCK(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if not is_socket:
        raise SocketFileError(f"{path}: is in the way and no socket; remove it, or name another control_socket")
    try:
        connect(path, timeout_sec=1.0).close()
    except (ConnectionRefusedError, FileNotFoundError):
        path.unlink(missing_ok=True)  # nobody listens
        return
    except OSError as error:
        raise SocketFileError(f"{path}: somebody may be alive here: {error.strerror or error}") from error
    raise SocketFileError(f"{path}: another daemon answers here; stop it, or name another control_socket")


@contextlib.contextmanager
def _address(path: Path) -> Iterator[str]:
    """What to give the kernel for this path."""
    if len(os.fsencode(path)) <= ADDRESS_BYTES_MAX:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
