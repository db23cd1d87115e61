"""AES-256-GCM envelopes: a data key seals what is kept, a master key seals the data key. Pure but for nonces, which are
96 random bits; a data key seals far fewer than 2^32 messages in its life (NIST SP 800-38D, 8.3).
"""

import os
from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12

Random = Callable[[int], bytes]


class NotOpened(ValueError):
    """Another key, other associated data, or bytes that were changed."""


def seal(key: bytes, plain: bytes, associated: bytes, random: Random = os.urandom) -> bytes:
    """The nonce, the ciphertext and its tag. `associated` is not in it and must be the same to open it."""
    nonce = random(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, associated)


def unseal(key: bytes, sealed: bytes, associated: bytes) -> bytes:
    """What was sealed. Raises NotOpened."""
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], associated)
    except (InvalidTag, ValueError) as error:
        raise NotOpened("the seal does not hold") from error


def secret_context(name: str, version: int) -> bytes:
    """What binds a sealed value to its place: one that was moved to another name or version does not open."""
    return f"gambit secret\0{name}\0{version}".encode()
