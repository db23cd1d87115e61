"""/auth: logging in, staying in, getting out, and what is one's own: sessions, second factor, API keys."""

from typing import Annotated, Final, Literal

import msgspec

from gambit.access.logins import Credentials, Issued
from gambit.access.passwords import LENGTH_MAX, LENGTH_MIN
from gambit.access.permissions import Role, Rule, Scope
from gambit.access.refusal import Refusal
from gambit.web.limits import LOGIN
from gambit.web.problem import Problem
from gambit.web.route import Answer, Ask, Body, Reply, Route
from gambit.web.services import Services

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=254)]
Password = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
Email = Annotated[str, msgspec.Meta(pattern=r"^[!-?A-~]{1,64}@[!-?A-~]{1,189}$")]
NewPassword = Annotated[str, msgspec.Meta(min_length=LENGTH_MIN, max_length=LENGTH_MAX)]
Code = Annotated[str, msgspec.Meta(pattern="^[0-9]{6}$")]
Id = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]


class Login(Body, frozen=True, kw_only=True):
    """`cookie`: the refresh token goes into an HttpOnly cookie instead of the answer."""

    email: Text
    password: Password
    code: Code | None = None
    cookie: bool = False


class Ticket(Body, frozen=True, kw_only=True):
    """A link that `gambit user link` printed, which works once."""

    ticket: Annotated[str, msgspec.Meta(min_length=20, max_length=200)]
    cookie: bool = False


class Refresh(Body, frozen=True, kw_only=True):
    """Without a token that of the cookie is used."""

    refresh_token: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)] | None = None


class Tokens(Answer, frozen=True, kw_only=True):
    """An access token for the Authorization header, and what renews it; null where a cookie has that."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the word of RFC 6750
    expires_in: int  # seconds
    refresh_token: str | None
    session_id: str
    role: Role


class Again(Body, frozen=True, kw_only=True):
    """The password once more, and a code where there is a second factor."""

    password: Password
    code: Code | None = None


class Me(Answer, frozen=True, kw_only=True):
    """Who one is."""

    user_id: str
    email: str
    role: Role
    scopes: tuple[str, ...]
    session_id: str | None
    second_factor: bool
    authenticated_ns: int
    expires_ns: int | None


def tokens_of(issued: Issued, *, in_cookie: bool) -> Reply:
    """What was issued, as it leaves."""
    body = Tokens(
        access_token=issued.access_token,
        expires_in=issued.expires_sec,
        refresh_token=None if in_cookie or not issued.refresh_token else issued.refresh_token,
        session_id=issued.session_id,
        role=issued.role,
    )
    return Reply(body=body, cookie=issued.refresh_token if in_cookie and issued.refresh_token else None)


def slowly(services: Services, account: str, address: str) -> None:
    """Ten logins a minute of one account from one address (contract.md), right ones too. Raises Problem."""
    verdict = services.limiter.take(LOGIN, f"{account.casefold()} {address}", services.now_ns())
    if not verdict.is_within:
        raise Problem(429, "locked", "too many logins: wait", headers=verdict.headers())


async def login(services: Services, ask: Ask) -> Reply:
    """Password, and a code where there is a second factor."""
    body: Login = ask.body
    slowly(services, body.email, ask.address)
    issued = await services.access.logins.login(
        Credentials(body.email, body.password, body.code or "", ask.address, ask.label)
    )
    return tokens_of(issued, in_cookie=body.cookie)


async def ticket(services: Services, ask: Ask) -> Reply:
    """The one-use link of a local command."""
    issued = await services.access.logins.with_ticket(ask.body.ticket, ask.address, ask.label)
    return tokens_of(issued, in_cookie=ask.body.cookie)


async def refresh(services: Services, ask: Ask) -> Reply:
    """The next pair of tokens. The token that was shown is worth nothing from now on."""
    token = ask.body.refresh_token or ask.cookie
    if not token:
        raise Refusal("token", "a refresh token is due")
    issued = await services.access.logins.refresh(token, ask.address)
    return tokens_of(issued, in_cookie=ask.body.refresh_token is None)


async def logout(services: Services, ask: Ask) -> Reply:
    """One's own session ends at once, with all its tokens and open sockets."""
    session_id = ask.principal.session_id
    if session_id is not None:
        await services.access.logins.end(session_id, "logout")
    return Reply(cookie="")


async def again(services: Services, ask: Ask) -> Reply:
    """Fresh authentication for what asks for it; the refresh token stays as it is."""
    who, body = ask.principal, ask.body
    slowly(services, who.name, ask.address)
    shown = Credentials(who.name, body.password, body.code or "", ask.address, ask.label)
    return tokens_of(await services.access.logins.reauthenticate(who, shown), in_cookie=False)


async def me(services: Services, ask: Ask) -> Me:
    """What the token says, as things are now."""
    who = ask.principal
    user = services.access.people.named(who.user_id)
    return Me(
        user_id=who.user_id,
        email=who.name,
        role=who.role,
        scopes=tuple(sorted(scope.value for scope in Scope if who.has(scope))),
        session_id=who.session_id,
        second_factor=user.second_factor == "on",
        authenticated_ns=who.authenticated_at_ns,
        expires_ns=who.expires_at_ns,
    )


OWN: Final = Rule(Scope.SELF)
OWN_FRESH: Final = Rule(Scope.SELF, needs_fresh=True, is_privileged=True)

ROUTES: Final = (
    Route(
        method="POST", path="/auth/login", summary="Log in", handle=login, rule=None, body=Login, answer=Tokens,
        errors=(401, 429), tag="auth", action="login",
    ),
    Route(
        method="POST", path="/auth/ticket", summary="Log in by a one-use link", handle=ticket, rule=None, body=Ticket,
        answer=Tokens, errors=(401,), tag="auth", action="login by link",
    ),
    Route(
        method="POST", path="/auth/refresh", summary="Renew the tokens", handle=refresh, rule=None, body=Refresh,
        answer=Tokens, errors=(401, 403, 409), tag="auth",
    ),
    Route(
        method="POST", path="/auth/logout", summary="End this session", handle=logout, rule=OWN, answer=None,
        status=204, tag="auth", action="logout",
    ),
    Route(
        method="POST", path="/auth/reauthenticate", summary="Show the password once more",
        handle=again, rule=OWN, body=Again, answer=Tokens, errors=(409,), tag="auth", action="reauthenticate",
    ),
    Route(method="GET", path="/auth/me", summary="Who one is", handle=me, rule=OWN, answer=Me, tag="auth"),
)  # fmt: skip
