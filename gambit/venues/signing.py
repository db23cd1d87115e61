"""How each exchange wants a private request signed, as pure functions: bytes in, signature text out.

Nothing here reads a clock or draws chance; time and nonces are arguments, and ECDSA is the deterministic one of
RFC 6979, so that the same request gives the same bytes. Sources: section 5.1 of each venue's sheet. No message of an
error repeats a secret.
"""

import binascii
import hmac
import json
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Final
from urllib.parse import quote

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

PrivateKey = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey
Mac = Callable[[bytes], bytes]  # HMAC of a message under one secret
Sign = Callable[[bytes], str]  # the bytes that are signed -> the signature as the venue writes it

JWT_SEC: Final = 120
NS_A_MS: Final = 1_000_000
_PEM_BEGIN: Final = "-----BEGIN"
_DETERMINISTIC: Final = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)


class UnusableKey(ValueError):
    """Credentials that cannot sign for this venue; the message says what is expected, never what was given."""


def keyed(secret: bytes, algorithm: str = "sha256") -> Mac:
    """The HMAC of a secret, which is mixed in once: half the time of doing so for every message."""
    start = hmac.new(secret, digestmod=algorithm)

    def mac(message: bytes) -> bytes:
        each = start.copy()
        each.update(message)
        return each.digest()

    return mac


def kraken_signature(mac: Mac, path: bytes, nonce: bytes, body: bytes) -> str:
    """base64(HMAC-SHA512(path + SHA256(nonce + body))); `mac` is of the decoded secret, `body` contains the nonce."""
    return b64encode(mac(path + sha256(nonce + body).digest())).decode()


def okx_signature(mac: Mac, timestamp: str, method: str, path: str, body: bytes) -> str:
    """Over timestamp, method, path with its query, and body; the timestamp is okx_time()'s."""
    return b64encode(mac((timestamp + method + path).encode() + body)).decode()


def okx_login_signature(mac: Mac, seconds: str) -> str:
    """Of the WebSocket logon: Unix seconds and a path of its own."""
    return okx_signature(mac, seconds, "GET", "/users/self/verify", b"")


def bybit_signature(mac: Mac, timestamp_ms: str, key: str, window_ms: str, payload: bytes) -> str:
    """Over timestamp, key, window and the query string or the exact body."""
    return mac((timestamp_ms + key + window_ms).encode() + payload).hex()


def bybit_auth_signature(mac: Mac, expires_ms: str) -> str:
    """Of the WebSocket logon."""
    return mac(b"GET/realtime" + expires_ms.encode()).hex()


def binance_ws_payload(params: Mapping[str, str]) -> bytes:
    """What a WebSocket request signs: all parameters but the signature by name, UTF-8, nothing percent-encoded."""
    return "&".join(f"{name}={params[name]}" for name in sorted(params)).encode()


def binance_signer(secret: str) -> Sign:
    """Signs as the kind of secret says: a PEM key is RSA (PKCS#1 v1.5) or Ed25519 and gives base64, any other text is
    HMAC's and gives hex. Raises UnusableKey."""
    if _PEM_BEGIN not in secret:
        if not secret:
            raise UnusableKey("binance: the secret is empty")
        mac = keyed(secret.encode())
        return lambda message: mac(message).hex()
    private = pem_key(secret, "binance")
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return lambda message: b64encode(private.sign(message)).decode()
    if isinstance(private, rsa.RSAPrivateKey):
        return lambda message: b64encode(private.sign(message, padding.PKCS1v15(), hashes.SHA256())).decode()
    raise UnusableKey("binance: a PEM secret must be an RSA or Ed25519 private key")


def is_ed25519(secret: str) -> bool:
    """Whether a secret is an Ed25519 key in PEM, with which a connection can be logged on. Raises UnusableKey."""
    return _PEM_BEGIN in secret and isinstance(pem_key(secret, "binance"), ed25519.Ed25519PrivateKey)


def binance_form_signer(secret: str) -> Sign:
    """The same as it stands in a form: hex as it is, base64 percent-encoded. Raises UnusableKey."""
    sign = binance_signer(secret)
    return sign if _PEM_BEGIN not in secret else lambda message: percent_encoded(sign(message))


def percent_encoded(text: str) -> str:
    """A value as it stands in a query or form: everything but letters, digits and _.-~ encoded."""
    return quote(text, safe="")


def decoded_secret(secret: str, venue: str) -> bytes:
    """The bytes of a secret that its venue gives out in base64. Raises UnusableKey."""
    try:
        return b64decode(secret, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnusableKey(f"{venue}: the secret is not base64; copy it as the venue showed it") from error


def pem_key(text: str, venue: str) -> PrivateKey:
    """A private key in PEM, its line breaks possibly written as \\n. Raises UnusableKey."""
    try:
        key = load_pem_private_key(text.replace("\\n", "\n").encode(), password=None)
    except (ValueError, TypeError) as error:
        raise UnusableKey(f"{venue}: the secret is no private key in PEM without a password") from error
    if isinstance(key, rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey):
        return key
    raise UnusableKey(f"{venue}: the secret is a private key of a kind that no venue takes")


def coinbase_key(secret: str) -> PrivateKey:
    """A CDP key: P-256 or Ed25519 in PEM, or Ed25519 as base64 of 32 or 64 bytes. Raises UnusableKey."""
    if _PEM_BEGIN in secret:
        key = pem_key(secret, "coinbase")
        if isinstance(key, ed25519.Ed25519PrivateKey):
            return key
        if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
            return key
        raise UnusableKey("coinbase: the secret must be a P-256 or Ed25519 private key")
    seed = decoded_secret(secret, "coinbase")
    if len(seed) not in (32, 64):
        raise UnusableKey(f"coinbase: an Ed25519 secret has 32 or 64 bytes, this one {len(seed)}")
    return ed25519.Ed25519PrivateKey.from_private_bytes(seed[:32])


def jwt(name: str, key: PrivateKey, now_sec: int, nonce: str, uri: str = "") -> str:
    """Coinbase's bearer token, good for JWT_SEC from `now_sec`; `uri` is "METHOD host/path" without a query, empty on a
    WebSocket; `nonce` is hex. A token is for one request. Raises UnusableKey."""
    is_ed = isinstance(key, ed25519.Ed25519PrivateKey)
    head = {"alg": "EdDSA" if is_ed else "ES256", "kid": name, "nonce": nonce, "typ": "JWT"}
    claims: dict[str, object] = {"sub": name, "iss": "cdp", "nbf": now_sec, "exp": now_sec + JWT_SEC}
    if uri:
        claims["uri"] = uri
    signed = f"{_part(head)}.{_part(claims)}"
    return f"{signed}.{_url64(_raw_signature(key, signed.encode()))}"


def _raw_signature(key: PrivateKey, message: bytes) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        r, s = decode_dss_signature(key.sign(message, _DETERMINISTIC))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    raise UnusableKey("coinbase: tokens are signed with a P-256 or Ed25519 key")


def _part(content: Mapping[str, object]) -> str:
    return _url64(json.dumps(content, separators=(",", ":")).encode())


def _url64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def okx_time(now_ns: int) -> str:
    """2020-12-08T09:08:57.715Z."""
    minute, ms = divmod(now_ns // NS_A_MS, 60_000)
    return f"{_minute(minute)}{ms // 1000:02d}.{ms % 1000:03d}Z"


@lru_cache(maxsize=4)
def _minute(minutes: int) -> str:
    """The first part of a time, which changes once a minute."""
    return datetime.fromtimestamp(minutes * 60, UTC).strftime("%Y-%m-%dT%H:%M:")
