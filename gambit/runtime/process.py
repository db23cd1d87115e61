"""The process: where it keeps things, that there is only one of it, and what it asks of the operating system."""

import contextlib
import ctypes
import fcntl
import gc
import os
import resource
import signal
import stat
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gambit.config.loading import default_state_dir

LOCK_NAME: Final = "gambit.lock"
SOCKET_NAME: Final = "gambit.sock"
PATIENCE_SEC: Final = 0.5  # a reader of the lock may hold it for an instant
RETRY_SEC: Final = 0.02
YOUNG_MAX: Final = 20_000  # objects since the last collection that make a young one worth its time
FULL_NS: Final = 600 * 1_000_000_000
PR_SET_DUMPABLE: Final = 4
PR_SET_PDEATHSIG: Final = 1
ALLOCATOR: Final = {-8: 2, -3: 128 << 10, -1: 128 << 10}  # malloc.h: M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD


class ProcessError(Exception):
    """The process cannot be what it is asked to be; the message says what to do."""


class AlreadyRunning(ProcessError):
    """Another daemon holds the state directory, or a command (`work`) that has it to itself for a while."""

    def __init__(self, path: Path, pid: int | None, work: str = "") -> None:
        who = f"process {pid}" if pid else "another process"
        if work:
            super().__init__(f"{path}: `gambit {work}` is at work there ({who}); wait until it is done")
        else:
            super().__init__(f"{path}: a daemon runs already ({who}); `gambit stop` ends it")
        self.pid = pid


def state_dir(setting: str, environ: Mapping[str, str]) -> Path:
    """The state directory: the setting, or where the configuration has it by default."""
    return Path(setting or default_state_dir(environ)).expanduser().absolute()


def control_socket(setting: str, state: Path) -> Path:
    """The control socket: the setting, else the state directory's own."""
    return Path(setting).expanduser().absolute() if setting else state / SOCKET_NAME


def prepare_state_dir(path: Path) -> None:
    """Make the state directory, mode 0700. An existing one of ours that is wider is narrowed; a folder that is wider
    and holds other things is refused, since narrowing it could lock others out. Raises ProcessError."""
    try:
        for folder in reversed([each for each in (path, *path.parents) if not each.exists()]):
            folder.mkdir(mode=0o700, exist_ok=True)  # its own parents=True would make the others for everybody
        found = path.stat()
        if found.st_uid != os.geteuid() and os.geteuid() != 0:
            raise ProcessError(f"{path}: belongs to user {found.st_uid}, not to {os.geteuid()}; set daemon.state_dir")
        if stat.S_IMODE(found.st_mode) & 0o077:
            _narrow(path, stat.S_IMODE(found.st_mode))
        if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            raise ProcessError(f"{path}: cannot be written; chmod u+rwx it, or set daemon.state_dir")
    except OSError as error:
        raise ProcessError(f"{error.filename or path}: cannot be the state directory: {error.strerror}") from error


def is_ours(path: Path) -> bool:
    """Whether a folder is a state directory, or holds nothing but state directories: nobody else needs to enter it."""
    return (path / LOCK_NAME).exists() or all((inside / LOCK_NAME).exists() for inside in path.iterdir())


def _narrow(path: Path, mode: int) -> None:
    if is_ours(path):
        path.chmod(0o700)
        return
    raise ProcessError(
        f"{path}: open to others (mode {mode:04o}) and not gambit's own; chmod 700 it, or set daemon.state_dir"
    )


class InstanceLock:
    """Held for the life of the daemon; the kernel lets go of it however the process ends.

    The file stays, with the number of the process that held it last, so that a second start can say who is there; of a
    command that holds it for a while (`work`) with its name too, for that is no daemon that could be stopped.
    """

    def __init__(self, state: Path, work: str = "") -> None:
        self.path = state / LOCK_NAME
        self._work = work
        self._fd: int | None = None

    def acquire(self, patience_sec: float = PATIENCE_SEC) -> None:
        """Take the lock and write down our process number. Raises AlreadyRunning."""
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + patience_sec
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    os.close(fd)
                    raise AlreadyRunning(self.path, *_told_in(self.path)) from None
                time.sleep(RETRY_SEC)
        text = f"{os.getpid()} {self._work}".rstrip().encode() + b"\n"
        os.pwrite(fd, text, 0)  # first the text, then its end: a reader never finds the file empty
        os.ftruncate(fd, len(text))
        self._fd = fd

    def release(self) -> None:
        """Let go."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def holder(state: Path) -> int | None:
    """The process number of the daemon that holds the state directory; None when nobody does. 0 when it is unknown."""
    try:
        fd = os.open(state / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _told_in(state / LOCK_NAME)[0] or 0
    finally:
        os.close(fd)
    return None


def work_at(state: Path) -> str:
    """The command that holds the state directory, or held it last; empty for a daemon."""
    return _told_in(state / LOCK_NAME)[1]


def _told_in(path: Path) -> tuple[int | None, str]:
    pid, _, work = path.read_text(errors="replace").partition("\n")[0].strip().partition(" ")
    return (int(pid) if pid.isdecimal() else None), work


def end_with_parent(number: int = signal.SIGINT) -> None:
    """When whoever started this process is gone, the system sends it this signal (Linux)."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)


def forbid_core_dumps() -> None:
    """Keys in memory never reach a disk: no core dumps, and no other process of this user may read our memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def give_memory_back() -> None:
    """Have what is freed go back to the system: glibc by itself keeps an arena for each thread, and lets its thresholds
    grow up to 32 MB with what is freed once (mallopt(3)). Call it before there are threads. Nothing where there is
    another allocator."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for setting, value in ALLOCATOR.items():
            mallopt(setting, value)


def raise_file_limit() -> int:
    """Take as many descriptors as we may; how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else 1 << 20


def pin(cpu: int) -> frozenset[int]:
    """Bind the calling thread, the main one, to a core; gives the cores it might use before, for `keep_clear`.

    Raises ProcessError for a core we may not use.
    """
    usable = frozenset(os.sched_getaffinity(0))
    if cpu not in usable:
        raise ProcessError(f"daemon.cpu = {cpu} cannot be used; this process may use {sorted(usable)}")
    os.sched_setaffinity(0, {cpu})
    return usable


def keep_clear(hot: int, usable: frozenset[int]) -> None:
    """Send every other thread of this process off the hot core, unless it is the only one there is. Threads inherit the
    binding of the one that starts them, so this is repeated now and then."""
    others = usable - {hot}
    for thread in os.listdir("/proc/self/task") if others else ():
        if int(thread) != threading.main_thread().native_id:
            with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
                os.sched_setaffinity(int(thread), others)


class Garbage:
    """Collection of cycles at moments of our choosing, never in the middle of a frame."""

    def __init__(self) -> None:
        self._full_ns = 0

    def settle(self, mono_ns: int) -> None:
        """Once everything is built: collect, take what is alive out of all later collections, stop the automatism."""
        gc.collect()
        gc.freeze()
        gc.disable()
        self._full_ns = mono_ns

    def release(self) -> None:
        """Back to Python's own way, so that the interpreter can take everything down in order at its end."""
        gc.unfreeze()
        gc.enable()

    def turn(self, mono_ns: int) -> bool:
        """When nothing presses, about once a second: collect if it is worth it; says whether it did."""
        if mono_ns - self._full_ns >= FULL_NS:
            gc.collect()
            self._full_ns = mono_ns
            return True
        if gc.get_count()[0] < YOUNG_MAX:
            return False
        gc.collect(1)
        return True
