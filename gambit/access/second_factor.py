"""Time-based one-time codes (RFC 6238, six digits, 30 s), over pyotp. No code works twice. Pure."""

import base64
import hmac
from typing import Final

import pyotp

STEP_SEC: Final = 30
SLACK_STEPS: Final = 1  # of the clock in somebody's pocket


def secret_of(chance: bytes) -> str:
    """A new secret as authenticators take it: base32 of 20 bytes of chance."""
    return base64.b32encode(chance).decode().rstrip("=")


def address_of(secret: str, email: str) -> str:
    """The otpauth:// address that is shown as a picture or typed."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name="gambit")


def step_of(code: str, secret: str, now_sec: int) -> int | None:
    """The time step whose code this is, around now; None for a wrong one."""
    totp = pyotp.TOTP(secret)
    now = now_sec // STEP_SEC
    steps = range(now - SLACK_STEPS, now + SLACK_STEPS + 1)
    found = [step for step in steps if hmac.compare_digest(totp.at(step * STEP_SEC).encode(), code.encode())]
    return found[-1] if found else None
