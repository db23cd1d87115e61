"""What an authenticator does."""

from urllib.parse import parse_qs, urlsplit

import pyotp

from tests.web.rig import SECOND_NS, Clock


def secret_from(address: str) -> str:
    """The secret of an otpauth:// address."""
    return parse_qs(urlsplit(address).query)["secret"][0]


def code_at(secret: str, clock: Clock) -> str:
    """The code that is shown now."""
    return pyotp.TOTP(secret).at(clock.ns // SECOND_NS)
