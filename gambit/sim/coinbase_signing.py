"""Coinbase's keys: CDP keys that sign a JSON Web Token for each request."""

from __future__ import annotations

import hashlib
import uuid

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, derive_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gambit.sim.accounts import Credentials, secret_text

VENUE = "coinbase"


def uuid_text(*names: str) -> str:
    """The same UUID for the same names."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, "/".join(names)))


def ec_key(account: str, seed: int) -> EllipticCurvePrivateKey:
    """An account's P-256 key."""
    digest = hashlib.sha256(secret_text(seed, VENUE, account).encode()).digest()
    return derive_private_key(int.from_bytes(digest, "big") >> 1 | 1, SECP256R1())


def key_pair(account: str, seed: int) -> Credentials:
    """The key's name and its private half in PEM."""
    name = f"organizations/{uuid_text(VENUE, str(seed))}/apiKeys/{uuid_text(VENUE, str(seed), account)}"
    pem = ec_key(account, seed).private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return Credentials(name, pem.decode())
