"""The one cookie: the refresh token of a browser. It renews and does nothing else.

Over TLS it is `__Host-gambit_refresh` (Secure, this host only). On plain http, which is had on the loopback only, a
browser would not take a Secure cookie, so that it has another name there. Always HttpOnly and SameSite=Strict.
"""

from typing import Final

from aiohttp import web

from gambit.access.tokens import REFRESH_NS, SECOND_NS

SECURE_NAME: Final = "__Host-gambit_refresh"
PLAIN_NAME: Final = "gambit_refresh"
CSRF: Final = "X-Gambit-CSRF"  # a header that no form and no foreign page can send


def name(is_secure: bool) -> str:
    """By the connection."""
    return SECURE_NAME if is_secure else PLAIN_NAME


def read(request: web.BaseRequest) -> str:
    """The token, empty without one."""
    return request.cookies.get(name(request.secure), "")


def keep(response: web.Response, token: str, is_secure: bool) -> None:
    """Have the browser keep the token, or with an empty one forget it."""
    response.set_cookie(
        name(is_secure),
        token,
        max_age=REFRESH_NS // SECOND_NS if token else 0,
        path="/",
        secure=is_secure,
        httponly=True,
        samesite="Strict",
    )
