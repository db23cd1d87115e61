"""Who sent a request: by an access token in the Authorization header, or by an API key's signature over all of it.

Nothing else names anybody: no query parameter, no cookie (the refresh cookie only renews), no forwarded header.
"""

from typing import Final

from aiohttp import web

from gambit.access.logins import Logins
from gambit.access.permissions import Door, Principal
from gambit.access.refusal import Refusal
from gambit.access.signatures import Signed

KEY: Final = "X-Gambit-Key"
TIMESTAMP: Final = "X-Gambit-Timestamp"
NONCE: Final = "X-Gambit-Nonce"
SIGNATURE: Final = "X-Gambit-Signature"
ONCE: Final = ("Authorization", KEY, TIMESTAMP, NONCE, SIGNATURE)


def shows_something(request: web.BaseRequest) -> bool:
    """Whether there is a credential at all."""
    return "Authorization" in request.headers or KEY in request.headers


def is_signed(request: web.BaseRequest) -> bool:
    """Whether an API key is shown: then the body belongs to the credential."""
    return KEY in request.headers


async def principal_of(request: web.BaseRequest, body: bytes, logins: Logins, door: Door) -> Principal:
    """Who it is; raises Refusal."""
    headers = request.headers
    if any(len(headers.getall(name, [])) > 1 for name in ONCE) or ("Authorization" in headers and KEY in headers):
        raise Refusal("token", "one credential is due, once")
    if KEY in headers:
        return await logins.machine(
            Signed(
                key_id=headers[KEY],
                timestamp_ms=headers.get(TIMESTAMP, ""),
                nonce=headers.get(NONCE, ""),
                signature=headers.get(SIGNATURE, ""),
                method=request.method,
                target=request.raw_path,
                body=body,
            ),
            door,
        )
    kind, _, token = headers["Authorization"].partition(" ")
    if kind.lower() != "bearer" or not token:
        raise Refusal("token", "Authorization: Bearer ... is due")
    return logins.bearer(token.strip(), door)
