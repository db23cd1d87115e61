"""Tells whoever started us how we are: systemd over its notify socket, `gambit start` over a pipe; the same words.

The words are systemd's (sd_notify): READY=1, STATUS=text, STOPPING=1, RELOADING=1, WATCHDOG=1.
"""

import asyncio
import os
import socket
from collections.abc import Callable, MutableMapping, Sequence

READY_FD = "GAMBIT_READY_FD"
PERIODS_PER_TIMEOUT = 3  # a watchdog is fed this often within its time


class Notifier:
    """Messages to the listeners there are; one that is gone is forgotten."""

    def __init__(self, address: str = "", ready_fd: int | None = None, watchdog_sec: float | None = None) -> None:
        self.watchdog_sec = watchdog_sec
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._ready_fd = ready_fd

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str]) -> "Notifier":
        """As $NOTIFY_SOCKET, $WATCHDOG_USEC (when meant for us) and $GAMBIT_READY_FD say; they are taken out of the
        environment, for they are not meant for our children."""
        address = environ.pop("NOTIFY_SOCKET", "")
        micros, meant = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", str(os.getpid()))
        fd = environ.pop(READY_FD, "")
        watchdog_sec = int(micros) / 1e6 if micros.isdecimal() and int(micros) and meant == str(os.getpid()) else None
        if fd.isdecimal():
            os.set_inheritable(int(fd), False)
        return cls(address, int(fd) if fd.isdecimal() else None, watchdog_sec)

    def status(self, text: str) -> None:
        """One line for `systemctl status` and for who waits for the start."""
        self._tell(f"STATUS={text.splitlines()[0] if text else ''}")

    def ready(self, status: str) -> None:
        """The start is over; who waited may go on."""
        self._tell(f"READY=1\nMAINPID={os.getpid()}\nSTATUS={status}")
        if self._ready_fd is not None:
            os.close(self._ready_fd)
            self._ready_fd = None

    def reloading(self, mono_ns: int) -> None:
        """A reload has begun; `ready` ends it."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={mono_ns // 1000}")

    def stopping(self, reason: str) -> None:
        """The end has begun."""
        self._tell(f"STOPPING=1\nSTATUS=stopping: {reason}")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._tell("WATCHDOG=1")

    async def watch(self, reasons: Callable[[], Sequence[str]], on_stall: Callable[[Sequence[str]], None]) -> None:
        """Feed the watchdog as long as nothing stands still; runs until cancelled, or returns when there is none.

        While something does, `on_stall` hears why each time the watchdog goes hungry; when it starves systemd restarts
        us.
        """
        if self.watchdog_sec is None:
            return
        while True:
            found = reasons()
            if found:
                on_stall(found)
            else:
                self.alive()
            await asyncio.sleep(self.watchdog_sec / PERIODS_PER_TIMEOUT)

    def _tell(self, message: str) -> None:
        if self._address:
            self._tell_systemd(message.encode())
        if self._ready_fd is not None:
            try:
                os.write(self._ready_fd, message.encode() + b"\n")
            except OSError:  # whoever started us did not wait
                os.close(self._ready_fd)
                self._ready_fd = None

    def _tell_systemd(self, message: bytes) -> None:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as sock:
                sock.sendto(message, self._address)
        except BlockingIOError:
            return  # systemd is behind; the next message comes soon
        except OSError:
            self._address = ""  # nobody listens any more
