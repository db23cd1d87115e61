"""Programs of the system that some tests call, and ports for them."""

import os
import random
import shutil
import socket
from contextlib import suppress

EVERYTHING = "GAMBIT_ALL_TESTS"  # set where every test has to run: a missing program is a failure there, not a skip


def program(name: str, package: str) -> str | None:
    """Where a program is, or None; with $GAMBIT_ALL_TESTS its absence is an error that names the Debian package."""
    found = shutil.which(name)
    if found is None and os.environ.get(EVERYTHING):
        raise RuntimeError(f"{name} is needed since {EVERYTHING} is set: apt-get install {package}")
    return found


def free_port() -> int:
    """A port of the loopback for a process that has to be told one: below those that the system hands out by itself, so
    that no other test is given it between this look and that process."""
    while True:
        port = random.randrange(20_000, 30_000)
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
