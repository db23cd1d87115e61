"""For all tests: how long an example takes says more about the machine than about the code; nothing leaves it."""

import ipaddress
import os
import socket
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "gambit",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=not os.environ.get("GAMBIT_RANDOM"),  # the same examples in every run; set, others each time
)
settings.load_profile("gambit")

OUTSIDE: list[str] = []  # what was tried, by whatever thread


def is_inside(address: Any) -> bool:
    """Whether a socket address is this machine's own: a path, or a loopback or unspecified host."""
    if not isinstance(address, tuple):
        return True
    host = address[0]
    if host in ("", "localhost", "testserver"):
        return True
    try:
        ip = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host.endswith((".invalid", ".test", ".localhost"))  # never resolves (RFC 6761)
    return ip.is_loopback or ip.is_unspecified


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: note connections to anywhere else (S49). It cannot be taken off again."""
    if event == "socket.connect" and arguments[0].family in (socket.AF_INET, socket.AF_INET6):
        address = arguments[1]
    elif event in ("socket.sendto", "socket.getaddrinfo"):
        address = arguments[1] if event == "socket.sendto" else (arguments[0],)
    else:
        return
    if not is_inside(address) and address != (None,):
        OUTSIDE.append(f"{event} {address!r}")


sys.addaudithook(watch)


@pytest.fixture(autouse=True)
def nothing_leaves_the_machine() -> Any:
    """A test that reaches for the outside fails."""
    before = len(OUTSIDE)
    yield
    assert OUTSIDE[before:] == []
