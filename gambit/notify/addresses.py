"""Where messages may go (S44): no loopback, no private or link-local network, no other scheme, no redirect.

A name is resolved by our own resolver and the connection goes to an address that was looked at, so that a name that
changes its mind between the look and the connection gains nothing.
"""

import ipaddress
import socket
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

SCHEMES: Final = ("https", "http")


class ForbiddenAddress(Exception):
    """A place that no message may go to; the text names it and says why."""


def check_url(url: str, *, allow_private: bool) -> None:
    """Raises ForbiddenAddress for what is wrong with the address itself; names are looked at when they are resolved."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ForbiddenAddress(f"the address cannot be read: {error}") from error
    if parts.scheme not in SCHEMES or (parts.scheme == "http" and not allow_private):
        raise ForbiddenAddress(f"{parts.scheme or 'no scheme'}: only https:// is sent to")
    if not host:
        raise ForbiddenAddress("the address names no host")
    if parts.username is not None or parts.password is not None:
        raise ForbiddenAddress("the address holds credentials")
    if not allow_private:
        check_host(host)


def check_host(host: str) -> None:
    """Raises ForbiddenAddress for a host that is written as an address nobody may be sent to, or named localhost."""
    if host.rstrip(".").lower() == "localhost" or host.rstrip(".").lower().endswith(".localhost"):
        raise ForbiddenAddress(f"{host} is this machine")
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return  # a name
    if not is_public(address):
        raise ForbiddenAddress(f"{host} is no public address")


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address belongs to the public internet, whatever it is wrapped in."""
    if isinstance(address, ipaddress.IPv6Address):
        for inner in (address.ipv4_mapped, address.sixtofour, _nat64(address)):
            if inner is not None:
                return is_public(inner)
        if address.teredo is not None or address.is_site_local:
            return False
    return address.is_global and not address.is_multicast


def _nat64(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    is_wrapped = address in ipaddress.IPv6Network("64:ff9b::/96") or int(address) >> 32 == 0
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if is_wrapped else None


class GuardedResolver(AbstractResolver):
    """Resolves names to public addresses only."""

    def __init__(self, inner: AbstractResolver | None = None) -> None:
        self._inner = inner or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Raises OSError where none of a name's addresses is public."""
        found: list[ResolveResult] = await self._inner.resolve(host, port, family)
        public = [one for one in found if is_public(_address(one))]
        if not public:
            raise OSError(f"{host} resolves to no public address")
        return public

    async def close(self) -> None:
        """Let go."""
        await self._inner.close()


def _address(found: Any) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(str(found["host"]).partition("%")[0])
