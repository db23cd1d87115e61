"""Kraken's keys, nonces and WebSocket tokens."""

from __future__ import annotations

import base64
import hashlib

from gambit.sim.accounts import Credentials, secret_text

VENUE = "kraken"


def key_pair(account: str, seed: int) -> Credentials:
    """A key and the base64 of 64 secret bytes."""
    key = base64.b64encode(bytes.fromhex(secret_text(seed, VENUE, account, "key"))).decode()
    secret = hashlib.sha512(secret_text(seed, VENUE, account).encode()).digest()
    return Credentials(key, base64.b64encode(secret).decode())
