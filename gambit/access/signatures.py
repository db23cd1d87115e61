"""Requests signed by an API key: HMAC-SHA256 over everything that decides what a request does. Pure.

    signature = hex(hmac_sha256(secret, METHOD \\n PATH?QUERY \\n TIMESTAMP_MS \\n NONCE \\n hex(sha256(BODY))))

A timestamp is right for WINDOW_NS either way; within that time no nonce works twice.
"""

import hashlib
import hmac
import re
from typing import Final, NamedTuple

WINDOW_NS: Final = 30 * 1_000_000_000
NONCES_MAX: Final = 100_000
NONCE: Final = re.compile(r"[A-Za-z0-9_-]{16,64}")


class Signed(NamedTuple):
    """A request as it was signed; `target` is path and query as they were sent."""

    key_id: str
    timestamp_ms: str
    nonce: str
    signature: str
    method: str
    target: str
    body: bytes


def signature_of(secret: bytes, request: Signed) -> str:
    """What the signature has to be."""
    lines = (
        request.method,
        request.target,
        request.timestamp_ms,
        request.nonce,
        hashlib.sha256(request.body).hexdigest(),
    )
    return hmac.new(secret, "\n".join(lines).encode(), "sha256").hexdigest()


class Nonces:
    """Which were seen lately, by key. What is older than this object is refused by its time, so that a restart
    forgets nothing that matters."""

    def __init__(self, now_ns: int) -> None:
        self._since_ns = now_ns
        self._seen: dict[tuple[str, str], int] = {}

    def problem(self, request: Signed, now_ns: int) -> str:
        """Why a request with a right signature is refused all the same; empty when it is not. It is seen then."""
        if not request.timestamp_ms.isdecimal() or len(request.timestamp_ms) > 15:
            return "the timestamp is not a number of milliseconds"
        sent_ns = int(request.timestamp_ms) * 1_000_000
        if abs(now_ns - sent_ns) > WINDOW_NS or sent_ns < self._since_ns - 1_000_000:
            return "the timestamp is more than 30 s off, or from before the daemon's start"
        if not NONCE.fullmatch(request.nonce):
            return "the nonce is not 16 to 64 of A-Z a-z 0-9 _ -"
        name = (request.key_id, request.nonce)
        if name in self._seen:
            return "the nonce was used before"
        self._forget(now_ns)
        if len(self._seen) >= NONCES_MAX:
            return "too many requests within the window"
        self._seen[name] = now_ns
        return ""

    def _forget(self, now_ns: int) -> None:
        """Drop what its time alone refuses; the order of insertion is that of time."""
        while self._seen:
            oldest = next(iter(self._seen))
            if now_ns - self._seen[oldest] <= 2 * WINDOW_NS:
                return
            del self._seen[oldest]
