"""Which pages may open the WebSocket: those this daemon served itself, and those of the origins in `api.cors_origins`.

A browser sends Origin with every upgrade and no page can change it; a program sends none. The daemon's own pages are
told by Origin and Host being the same, and only where the host is an address or a name of this machine: any other name
might have been pointed here by somebody else (DNS rebinding) and has to be configured.
"""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

BROWSER_MARKS = ("Cookie", "Sec-Fetch-Mode", "Sec-Fetch-Site", "Sec-Fetch-Dest")


def refusal(headers: Mapping[str, str], scheme: str, allowed: frozenset[str]) -> str | None:
    """Why an upgrade may not be had; None when it may. `scheme` is how we are spoken to: http or https."""
    origin = headers.get("Origin")
    if origin is None:
        looks_like_browser = any(mark in headers for mark in BROWSER_MARKS) or "Mozilla/" in headers.get(
            "User-Agent", ""
        )
        return "a browser sends its Origin" if looks_like_browser else None
    host = headers.get("Host", "")
    if origin in allowed or (origin == f"{scheme}://{host}" and is_ours(host)):
        return None
    return f"pages of {origin[:100]!r} may not connect; api.cors_origins says which may"


def is_ours(host: str) -> bool:
    """Whether a Host header names an address, or this machine."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost":
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
