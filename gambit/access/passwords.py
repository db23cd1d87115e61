"""Passwords: Argon2id (RFC 9106) in PHC form. A hash takes tens of milliseconds on purpose: call it in a thread."""

from typing import Final, NamedTuple

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from gambit.access.refusal import Refusal

LENGTH_MIN: Final = 12
LENGTH_MAX: Final = 1024  # characters; all of them count


class Cost(NamedTuple):
    """What one hash costs: memory in KiB, passes over it."""

    memory_kib: int
    passes: int


COST: Final = Cost(memory_kib=47_104, passes=1)  # OWASP's first choice for Argon2id


def hashed(password: str, salt: bytes, cost: Cost = COST) -> str:
    """The PHC text of a password; salt: 16 bytes of chance."""
    kdf = Argon2id(salt=salt, length=32, iterations=cost.passes, lanes=1, memory_cost=cost.memory_kib)
    return kdf.derive_phc_encoded(password.encode())


def is_right(password: str, phc: str) -> bool:
    """Whether the password is that of the hash; takes as long as making it."""
    try:
        Argon2id.verify_phc_encoded(password.encode("utf-8", "surrogatepass"), phc)
    except InvalidKey:
        return False
    return True


def check_new(password: str, email: str) -> None:
    """Raises Refusal for a password that would not hold."""
    if not LENGTH_MIN <= len(password) <= LENGTH_MAX:
        raise Refusal("weak", f"password: {LENGTH_MIN} to {LENGTH_MAX} characters are due")
    if len(set(password)) < 5 or email.split("@")[0].casefold() in password.casefold():
        raise Refusal("weak", "password: too easy to guess: few different characters, or the account's own name")
