"""Access tokens (JWT, HS256) and refresh tokens (opaque). Pure: time, keys and chance are arguments.

A token is believed only when every part is exactly as written here: these header fields and no others, one algorithm,
a key id that is known, every claim there and of its type. Refresh tokens carry a code over their own text, so that an
old one is known for what it is although only the newest one's hash is kept.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Final, Literal, NamedTuple

import jwt
import msgspec

from gambit.access.refusal import Refusal

SECOND_NS: Final = 1_000_000_000
ACCESS_SEC: Final = 15 * 60
REFRESH_NS: Final = 30 * 24 * 3600 * SECOND_NS
IDLE_NS: Final = 24 * 3600 * SECOND_NS
SKEW_SEC: Final = 30  # of clocks: ours only, but it may have been set
KEY_BYTES_MIN: Final = 32
TOKEN_CHARS_MAX: Final = 4096
ISSUER: Final = "gambit"
AUDIENCE: Final = "gambit-api"
ALGORITHM: Final = "HS256"


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of an access token; another field (jku, x5u, jwk, ...) makes it none."""

    alg: Literal["HS256"]
    kid: str
    typ: Literal["at+jwt"]


class Claims(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of an access token; times in seconds since the epoch."""

    iss: Literal["gambit"] = ISSUER
    aud: Literal["gambit-api"] = AUDIENCE
    sub: str  # user_id
    sid: str  # session_id
    jti: str  # 128 bits of chance
    iat: int
    nbf: int
    exp: int
    auth_time: int  # when a password was shown
    scope: str
    mfa: bool = False  # a second factor too


_jws = jwt.PyJWS(algorithms=[ALGORITHM])
_headers = msgspec.json.Decoder(Header)
_claims = msgspec.json.Decoder(Claims)


def check_key(key: bytes, kid: str) -> None:
    """Raises ValueError for a signing key that would not hold."""
    if len(key) < KEY_BYTES_MIN or len(set(key)) < 8:
        raise ValueError(f"signing key {kid}: {KEY_BYTES_MIN} bytes of chance are due; nothing starts with this one")


def signed(claims: Claims, kid: str, key: bytes) -> str:
    """The access token of claims."""
    headers = {"kid": kid, "typ": "at+jwt"}
    return _jws.encode(msgspec.json.encode(claims), key, algorithm=ALGORITHM, headers=headers)


def believed(token: str, keys: Mapping[str, bytes], now_sec: int) -> Claims:
    """The claims of an access token whose every part is right; raises Refusal."""
    try:
        header, _, _ = token.partition(".")
        if len(token) > TOKEN_CHARS_MAX or token.count(".") != 2:
            raise _no()
        kid = _headers.decode(_unfolded(header)).kid
        payload = _jws.decode(token, keys[kid], algorithms=[ALGORITHM])
        claims = _claims.decode(payload)
    except (msgspec.DecodeError, jwt.InvalidTokenError, ValueError, KeyError) as error:
        raise _no() from error
    is_in_time = claims.nbf <= now_sec + SKEW_SEC and claims.iat <= now_sec + SKEW_SEC and now_sec < claims.exp
    if not is_in_time or not 0 < claims.exp - claims.iat <= ACCESS_SEC or claims.auth_time > claims.iat:
        raise _no()
    return claims


class Refresh(NamedTuple):
    """What a refresh token says of itself."""

    session_id: str
    generation: int


def refresh_token(session_id: str, generation: int, key: bytes, chance: Callable[[int], bytes]) -> str:
    """A refresh token; 256 bits of chance."""
    text = f"gr1.{session_id}.{generation}.{_folded(chance(32))}"
    return f"{text}.{_code(text, key)}"


def read_refresh(token: str, key: bytes) -> Refresh:
    """What a refresh token of ours says; raises Refusal for any other text."""
    text, _, code = token.rpartition(".")
    parts = text.split(".")
    if len(token) > TOKEN_CHARS_MAX or len(parts) != 4 or not token.isascii():
        raise _no()
    if not hmac.compare_digest(code, _code(text, key)):
        raise _no()
    return Refresh(parts[1], int(parts[2]))


def hash_of(token: str) -> str:
    """As a refresh token is kept."""
    return hashlib.sha256(token.encode()).hexdigest()


def _code(text: str, key: bytes) -> str:
    return _folded(hmac.digest(key, text.encode(), "sha256"))


def _folded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unfolded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))


def _no() -> Refusal:
    return Refusal("token", "the token is not valid, or not any more")
