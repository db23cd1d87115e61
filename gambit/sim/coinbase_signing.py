"""Who sent a Coinbase request: CDP keys that sign a JSON Web Token for each, ES256 or EdDSA by the account's other key.

Rules: a token lives 120 s; over REST it names method and path. The host in it is not looked at, nor are issuer and
audience, in which the clients of the field differ.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    derive_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gambit.sim.accounts import Account, Credentials, secret_text
from gambit.sim.coinbase_words import Denied, Unauthorized, uuid_text
from gambit.sim.dialect import Request, parsed
from gambit.sim.exchange import Exchange
from gambit.sim.market import SECOND_NS

VENUE = "coinbase"
LIFE_S = 120
SLACK_S = 5  # that clocks may differ
HALF = 32  # bytes of each half of an ES256 signature


def key_name(account: str, seed: int, kind: str = "") -> str:
    """What a key is called."""
    return f"organizations/{uuid_text(VENUE, str(seed))}/apiKeys/{uuid_text(VENUE, str(seed), account, kind)}"


def ec_key(account: str, seed: int) -> EllipticCurvePrivateKey:
    """An account's P-256 key."""
    digest = hashlib.sha256(secret_text(seed, VENUE, account).encode()).digest()
    return derive_private_key(int.from_bytes(digest, "big") >> 1 | 1, SECP256R1())


def ed25519_key(account: str, seed: int) -> tuple[str, Ed25519PrivateKey]:
    """An account's other key: its name and its private half."""
    private = hashlib.sha256(secret_text(seed, VENUE, account, "ed25519").encode()).digest()
    return key_name(account, seed, "ed25519"), Ed25519PrivateKey.from_private_bytes(private)


def key_pair(account: str, seed: int) -> Credentials:
    """The P-256 key's name and its private half in PEM."""
    pem = ec_key(account, seed).private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return Credentials(key_name(account, seed), pem.decode())


class CoinbaseKeys:
    """All keys of a venue's accounts."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._keys: dict[str, tuple[str, EllipticCurvePublicKey | Ed25519PublicKey]] = {}

    def check(self, request: Request) -> Account:
        """Whose REST request it is; raises Denied."""
        scheme, _blank, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer":
            raise Unauthorized
        account, claims = self.owner(token)
        uris = claims.get("uris", [claims.get("uri")])
        named = [str(uri).partition(" ") for uri in uris] if isinstance(uris, list) else []
        if not any(method == request.method and uri.endswith(request.path) for method, _blank, uri in named):
            raise Unauthorized
        return account

    def owner(self, token: str) -> tuple[Account, dict[str, Any]]:
        """Whose token it is, and what it claims; raises Denied."""
        try:
            signed, _dot, signature = token.rpartition(".")
            head, claims = (parsed(_decoded(part)) for part in signed.split("."))
            name, key = self._key(str(head["kid"]))
            _verify(key, str(head["alg"]), signed.encode(), _decoded(signature))
            starts, ends = int(claims["nbf"]), int(claims["exp"])
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, InvalidSignature):
            raise Unauthorized from None
        now_s = self._exchange.clock_ns / SECOND_NS
        if claims.get("sub") != head["kid"] or not starts - SLACK_S <= now_s < ends <= starts + LIFE_S:
            raise Unauthorized
        account = self._exchange.accounts[name]
        if account.is_revoked:
            raise Denied(403, "PERMISSION_DENIED", 7, "permission denied", "Missing required scopes")
        return account, claims

    def _key(self, kid: str) -> tuple[str, EllipticCurvePublicKey | Ed25519PublicKey]:
        """The account and the public half of a key; raises KeyError."""
        if not self._keys:
            seed = self._exchange.seed
            for account in self._exchange.accounts:
                self._keys[key_name(account, seed)] = account, ec_key(account, seed).public_key()
                name, private = ed25519_key(account, seed)
                self._keys[name] = account, private.public_key()
        return self._keys[kid]


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _verify(key: EllipticCurvePublicKey | Ed25519PublicKey, alg: str, signed: bytes, signature: bytes) -> None:
    """Raises InvalidSignature or ValueError for what is not signed by the key."""
    if isinstance(key, Ed25519PublicKey):
        if alg != "EdDSA":
            raise ValueError(alg)
        key.verify(signature, signed)
        return
    if alg != "ES256" or len(signature) != 2 * HALF:
        raise ValueError(alg)
    first, second = int.from_bytes(signature[:HALF], "big"), int.from_bytes(signature[HALF:], "big")
    key.verify(encode_dss_signature(first, second), signed, ECDSA(SHA256()))
