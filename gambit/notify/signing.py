"""Webhooks that can be believed: the signature of what we send, and what has to be true of what is sent to us (S43).

X-Gambit-Timestamp: seconds since the epoch
X-Gambit-Delivery: an id of this delivery, the same when it is tried again
X-Gambit-Signature: v1=HEX, HMAC-SHA256 with the shared secret over `timestamp.delivery.` and the raw body
"""

import hashlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Final

TIMESTAMP: Final = "x-gambit-timestamp"
DELIVERY: Final = "x-gambit-delivery"
SIGNATURE: Final = "x-gambit-signature"
SKEW_SEC: Final = 300
KEPT: Final = 10_000
SECRET_BYTES_MIN: Final = 16
_NUMBER: Final = re.compile(r"[0-9]{1,12}")
_DELIVERY: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SIGNATURE: Final = re.compile(r"v1=[0-9a-f]{64}")


class NotAuthentic(Exception):
    """A webhook that is not believed; `status` is what is answered: 401, or 409 for one that came before."""

    def __init__(self, text: str, status: int = 401) -> None:
        super().__init__(text)
        self.status = status


def signature(secret: bytes, timestamp: str, delivery: str, body: bytes) -> str:
    """`v1=...`. Raises ValueError for a secret that is too short to be one."""
    if len(secret) < SECRET_BYTES_MIN:
        raise ValueError(f"a webhook's secret has at least {SECRET_BYTES_MIN} bytes, this one {len(secret)}")
    signed = f"{timestamp}.{delivery}.".encode() + body
    return "v1=" + hmac.new(secret, signed, hashlib.sha256).hexdigest()


def headers(secret: bytes, delivery: str, body: bytes, now_sec: int) -> dict[str, str]:
    """The headers of a delivery."""
    timestamp = str(now_sec)
    return {
        "X-Gambit-Timestamp": timestamp,
        "X-Gambit-Delivery": delivery,
        "X-Gambit-Signature": signature(secret, timestamp, delivery, body),
    }


class Verifier:
    """Believes deliveries signed with one of the secrets (the new one first, the old one while it overlaps), once."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        self._secrets = tuple(secrets)
        self._seen: OrderedDict[str, int] = OrderedDict()

    def verify(self, given: Mapping[str, str], body: bytes, now_sec: int) -> str:
        """The delivery's id. `given` are headers by lower-case name, `body` the bytes as they came. Raises
        NotAuthentic. Every comparison takes the same time, whatever is wrong."""
        timestamp, delivery, said = (given.get(name, "") for name in (TIMESTAMP, DELIVERY, SIGNATURE))
        is_formed = bool(_NUMBER.fullmatch(timestamp) and _DELIVERY.fullmatch(delivery) and _SIGNATURE.fullmatch(said))
        matches = [
            hmac.compare_digest(signature(secret, timestamp, delivery, body).encode(), said.encode("utf-8", "replace"))
            for secret in self._secrets
        ]
        if not is_formed or not any(matches):
            raise NotAuthentic("the signature is missing or wrong")
        if abs(now_sec - int(timestamp)) > SKEW_SEC:
            raise NotAuthentic(f"the timestamp is more than {SKEW_SEC} s off")
        self._forget(now_sec)
        if delivery in self._seen:
            raise NotAuthentic("this delivery was taken already", 409)
        self._seen[delivery] = now_sec
        return delivery

    def _forget(self, now_sec: int) -> None:
        """What is older than its timestamp may be cannot come again."""
        while self._seen:
            delivery, at = next(iter(self._seen.items()))
            if now_sec - at <= 2 * SKEW_SEC and len(self._seen) < KEPT:
                return
            del self._seen[delivery]
