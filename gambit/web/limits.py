"""How many requests somebody may make a minute, by user, by API key's user, or by address. Pure.

A window begins with somebody's first request. Who is counted is never taken from what a request says of itself: an
address is the peer's, a user is who the token was made for, however many tokens they have.
"""

import ipaddress
from typing import Final, NamedTuple

SECOND_NS: Final = 1_000_000_000
NAMES_MAX: Final = 50_000


class Quota(NamedTuple):
    """`most` requests in `window_sec`; `name` is the policy's."""

    name: str
    most: int
    window_sec: int = 60


ANONYMOUS: Final = Quota("anonymous", 100)
AUTHENTICATED: Final = Quota("authenticated", 1000)
LOGIN: Final = Quota("login", 10)
FILES: Final = Quota("files", 600)  # the dashboard's own
PROBES: Final = Quota("probes", 6000)  # health, readiness, metrics


class Verdict(NamedTuple):
    """Whether a request is within its quota, and what is left of it."""

    quota: Quota
    is_within: bool
    remaining: int
    reset_sec: int

    def headers(self) -> dict[str, str]:
        """As every answer carries them."""
        told = {
            "RateLimit-Limit": str(self.quota.most),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset_sec),
            "RateLimit-Policy": f'{self.quota.most};w={self.quota.window_sec};name="{self.quota.name}"',
        }
        return told if self.is_within else {**told, "Retry-After": str(max(1, self.reset_sec))}


class Limiter:
    """Counts by quota and name."""

    def __init__(self) -> None:
        self._windows: dict[tuple[str, str], tuple[int, int]] = {}  # until_ns, count

    def take(self, quota: Quota, name: str, now_ns: int) -> Verdict:
        """Count one request."""
        key = (quota.name, name)
        until_ns, count = self._windows.get(key, (0, 0))
        if now_ns >= until_ns:
            self._windows.pop(key, None)
            self._make_room(now_ns)
            until_ns, count = now_ns + quota.window_sec * SECOND_NS, 0
        count += 1
        self._windows[key] = (until_ns, min(count, quota.most + 1))
        reset_sec = -(-(until_ns - now_ns) // SECOND_NS)
        return Verdict(quota, count <= quota.most, max(0, quota.most - count), reset_sec)

    def _make_room(self, now_ns: int) -> None:
        """Windows are in the order they began, and nearly in that of their ends: the oldest go first."""
        while self._windows:
            key = next(iter(self._windows))
            if len(self._windows) < NAMES_MAX and self._windows[key][0] > now_ns:
                return
            del self._windows[key]


def counted_as(address: str) -> str:
    """The name under which a peer is counted: IPv4 as it is, also when written as IPv6; IPv6 by its /64."""
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(known, ipaddress.IPv6Address):
        if known.ipv4_mapped is not None:
            return str(known.ipv4_mapped)
        return str(ipaddress.IPv6Network((int(known) >> 64 << 64, 64)))
    return str(known)
