"""What is one's own (sessions, second factor, API keys) and what is an admin's (users, signing keys)."""

from typing import Annotated, Final, Literal

import msgspec

from gambit.access.book import sessions_of
from gambit.access.permissions import RULES, Role, Rule, Scope
from gambit.access.records import ApiKey, Session, User
from gambit.model import rfc3339
from gambit.web.auth import OWN, OWN_FRESH, Code, Email, Id, NewPassword
from gambit.web.problem import not_found
from gambit.web.route import Answer, Ask, Body, Query, Route
from gambit.web.services import Services


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    """A login; `label` is what the client calls itself."""

    session_id: str
    opened_ns: int
    used_ns: int
    address: str
    label: str
    is_this: bool


class Sessions(Answer, frozen=True, kw_only=True):
    """One's own, oldest first."""

    items: tuple[SessionView, ...]


class SessionName(Query, frozen=True, kw_only=True):
    """One session."""

    session_id: Id


class Revocation(Body, frozen=True, kw_only=True):
    """One session, or all of a user's: one's own, or for an admin anybody's. Nothing: all of one's own."""

    session_id: Id | None = None
    user_id: Id | None = None


class Offer(Answer, frozen=True, kw_only=True):
    """For an authenticator: as a picture or typed. It counts once a code of it was confirmed."""

    otpauth: str


class Confirmation(Body, frozen=True, kw_only=True):
    """The first code."""

    code: Code


class KeyView(msgspec.Struct, frozen=True, kw_only=True):
    """An API key without its secret."""

    key_id: str
    name: str
    scopes: tuple[Scope, ...]
    created_ns: int


class Keys(Answer, frozen=True, kw_only=True):
    """One's own, oldest first."""

    items: tuple[KeyView, ...]


class KeyName(Query, frozen=True, kw_only=True):
    """One API key."""

    key_id: Id


class NewKey(Body, frozen=True, kw_only=True):
    """What it is for, and what it may: at most what its user may."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    scopes: Annotated[tuple[Scope, ...], msgspec.Meta(min_length=1, max_length=20)]


class KeyMade(Answer, frozen=True, kw_only=True):
    """The only time that the secret is shown."""

    key_id: str
    secret: str
    scopes: tuple[Scope, ...]


class UserView(msgspec.Struct, frozen=True, kw_only=True):
    """A user without what is secret."""

    user_id: str
    email: str
    role: Role
    status: Literal["active", "suspended"]
    second_factor: bool
    is_invited: bool = False  # a code is out by which they choose a password
    created_at: str
    created_ns: int
    sessions: int


class UserAnswer(UserView, frozen=True, kw_only=True):
    """A user as an answer."""

    schema_version: str = "1"


class Users(Answer, frozen=True, kw_only=True):
    """Everybody, oldest first."""

    items: tuple[UserView, ...]


class UserName(Query, frozen=True, kw_only=True):
    """One user."""

    user_id: Id


class Registration(Body, frozen=True, kw_only=True):
    """A user made by an admin; the first admin is made by `gambit user add` on the daemon's machine."""

    email: Email
    password: NewPassword
    role: Role = Role.VIEWER


class Invite(Body, frozen=True, kw_only=True):
    """Somebody who chooses the password; without `role` somebody known, who gets another code."""

    email: Email
    role: Role | None = None


class InvitationMade(Answer, frozen=True, kw_only=True):
    """The code is shown this once: whoever has it chooses the password, at `/#invite=CODE` of the dashboard."""

    user_id: str
    email: str
    role: Role
    code: str
    expires_ns: int


class Acceptance(Body, frozen=True, kw_only=True):
    """The code of an invitation, and the password that its person chose."""

    code: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    password: NewPassword


class Accepted(Answer, frozen=True, kw_only=True):
    """Who can log in now."""

    email: str
    role: Role


class UserChange(Body, frozen=True, kw_only=True):
    """What is to be different; their sessions end."""

    role: Role | None = None
    status: Literal["active", "suspended"] | None = None
    password: NewPassword | None = None


class Rotated(Answer, frozen=True, kw_only=True):
    """The key that signs from now on."""

    kid: str


# ---- sessions ----


async def sessions(services: Services, ask: Ask) -> Sessions:
    """Those that are live."""
    book, who = services.access.book, ask.principal
    found = [book.live(one) for one in sessions_of(book.state, who.user_id)]
    return Sessions(items=tuple(_session(one[0], who.session_id) for one in found if one is not None))


async def end_session(services: Services, ask: Ask) -> None:
    """404 for what is not one's own."""
    found = services.access.book.live(ask.names.session_id)
    if found is None or found[1].user_id != ask.principal.user_id:
        raise not_found()
    await services.access.logins.end(ask.names.session_id, "revoked")


async def revoke(services: Services, ask: Ask) -> None:
    """404 for what is not one's own, unless one is an admin."""
    who, body, book = ask.principal, ask.body, services.access.book
    if body.session_id is not None:
        found = book.live(body.session_id)
        if found is None or (found[1].user_id != who.user_id and not who.has(Scope.ADMIN)):
            raise not_found()
        await services.access.logins.end(body.session_id, "revoked")
        return
    user_id = body.user_id or who.user_id
    if user_id != who.user_id and not (who.has(Scope.ADMIN) and user_id in book.state.users):
        raise not_found()
    for session_id in sessions_of(book.state, user_id):
        await services.access.logins.end(session_id, "revoked")


# ---- second factor ----


async def offer(services: Services, ask: Ask) -> Offer:
    """A new secret."""
    return Offer(otpauth=await services.access.people.offer_second_factor(ask.principal.user_id))


async def confirm(services: Services, ask: Ask) -> None:
    """From now on a login needs a code."""
    await services.access.people.confirm_second_factor(ask.principal.user_id, ask.body.code)


async def remove(services: Services, ask: Ask) -> None:
    """Logins need no code any more."""
    await services.access.people.remove_second_factor(ask.principal.user_id)


# ---- API keys ----


async def keys(services: Services, ask: Ask) -> Keys:
    """Without secrets."""
    return Keys(items=tuple(_key(one) for one in services.access.people.keys_of(ask.principal.user_id)))


async def make_key(services: Services, ask: Ask) -> KeyMade:
    """With its secret, this once."""
    made = await services.access.people.make_key(ask.principal.user_id, ask.body.name, ask.body.scopes)
    return KeyMade(key_id=made.key.key_id, secret=made.secret, scopes=made.key.scopes)


async def revoke_key(services: Services, ask: Ask) -> None:
    """404 for what is not one's own."""
    await services.access.people.revoke_key(ask.principal.user_id, ask.names.key_id)


# ---- users ----


async def users(services: Services, _ask: Ask) -> Users:
    """Everybody."""
    return Users(items=tuple(_user(services, one) for one in services.access.people.users()))


async def register(services: Services, ask: Ask) -> UserAnswer:
    """By an admin."""
    body: Registration = ask.body
    return _answer(services, await services.access.people.add(body.email, body.password, body.role))


async def invite(services: Services, ask: Ask) -> InvitationMade:
    """A one-time code, good for a day. An admin never learns anybody's password."""
    people, body = services.access.people, ask.body
    if body.role is None:
        made = await people.invite_again(people.named(body.email).user_id)
    else:
        made = await people.invite(body.email, body.role)
    user = made.user
    return InvitationMade(
        user_id=user.user_id, email=user.email, role=user.role, code=made.code, expires_ns=made.expires_ns
    )


async def accept(services: Services, ask: Ask) -> Accepted:
    """The code is used up; who has chosen the password logs in with it."""
    user = await services.access.people.accept(ask.body.code, ask.body.password)
    return Accepted(email=user.email, role=user.role)


async def change_user(services: Services, ask: Ask) -> UserAnswer:
    """Each part by its own rule; all of them end the user's sessions."""
    people, user_id, body = services.access.people, ask.names.user_id, ask.body
    user = people.named(user_id)
    if user.user_id != user_id:
        raise not_found()
    if body.role is not None and body.role is not user.role:
        user = await people.set_role(user_id, body.role)
    if body.status is not None and body.status != user.status:
        user = await people.set_status(user_id, body.status)
    if body.password is not None:
        user = await people.set_password(user_id, body.password)
    return _answer(services, user)


async def rotate(services: Services, _ask: Ask) -> Rotated:
    """Tokens that are out are believed until they are over."""
    return Rotated(kid=await services.access.book.rotate())


def _session(one: Session, this: str | None) -> SessionView:
    return SessionView(
        session_id=one.session_id,
        opened_ns=one.opened_ns,
        used_ns=one.used_ns,
        address=one.address,
        label=one.label,
        is_this=one.session_id == this,
    )


def _key(one: ApiKey) -> KeyView:
    return KeyView(key_id=one.key_id, name=one.name, scopes=one.scopes, created_ns=one.created_ns)


def _user(services: Services, one: User) -> UserView:
    return UserView(
        user_id=one.user_id,
        email=one.email,
        role=one.role,
        status=one.status,
        second_factor=one.second_factor == "on",
        is_invited=services.access.people.is_invited(one.user_id),
        created_at=rfc3339(one.created_ns),
        created_ns=one.created_ns,
        sessions=len(sessions_of(services.access.book.state, one.user_id)),
    )


def _answer(services: Services, one: User) -> UserAnswer:
    return UserAnswer(**msgspec.structs.asdict(_user(services, one)))


STRONG: Final = Rule(Scope.SELF, needs_fresh=True, needs_second_factor=True, is_privileged=True)

ROUTES: Final = (
    Route(
        method="GET", path="/auth/sessions", summary="One's own sessions", handle=sessions, rule=OWN, answer=Sessions,
        tag="auth",
    ),
    Route(
        method="DELETE", path="/auth/sessions/{session_id}", summary="End one of one's own sessions",
        handle=end_session, rule=OWN, names=SessionName, answer=None, status=204, tag="auth", action="session end",
    ),
    Route(
        method="POST", path="/auth/revoke", summary="End sessions: one's own, or for an admin anybody's",
        handle=revoke, rule=OWN, body=Revocation, answer=None, status=204, tag="auth", action="revoke",
    ),
    Route(
        method="POST", path="/auth/totp", summary="A new second factor", handle=offer, rule=OWN_FRESH, answer=Offer,
        errors=(409,), tag="auth", action="second factor offer",
    ),
    Route(
        method="POST", path="/auth/totp/confirm", summary="Show the first code of it", handle=confirm, rule=OWN_FRESH,
        body=Confirmation, answer=None, status=204, errors=(409,), tag="auth", action="second factor on",
    ),
    Route(
        method="DELETE", path="/auth/totp", summary="No second factor any more", handle=remove, rule=STRONG,
        answer=None, status=204, tag="auth", action="second factor off",
    ),
    Route(
        method="GET", path="/auth/api-keys", summary="One's own API keys", handle=keys, rule=OWN, answer=Keys,
        tag="auth",
    ),
    Route(
        method="POST", path="/auth/api-keys", summary="A new API key", handle=make_key, rule=OWN_FRESH, body=NewKey,
        answer=KeyMade, status=201, errors=(409,), tag="auth", action="api key new",
    ),
    Route(
        method="DELETE", path="/auth/api-keys/{key_id}", summary="Revoke an API key", handle=revoke_key, rule=OWN,
        names=KeyName, answer=None, status=204, tag="auth", action="api key revoked",
    ),
    Route(
        method="POST", path="/auth/register", summary="A new user, by an admin", handle=register,
        rule=RULES["user.add"], body=Registration, answer=UserAnswer, status=201, errors=(409,), tag="admin",
        action="user add",
    ),
    Route(
        method="POST", path="/auth/accept", summary="Choose a password by the code of an invitation", handle=accept,
        rule=None, body=Acceptance, answer=Accepted, errors=(401,), tag="auth", action="invitation accepted",
    ),
    Route(
        method="POST", path="/admin/invitations", summary="Invite somebody, who chooses the password", handle=invite,
        rule=RULES["user.invite"], body=Invite, answer=InvitationMade, status=201, errors=(409,), tag="admin",
        action="user invite",
    ),
    Route(
        method="GET", path="/admin/users", summary="Everybody", handle=users, rule=RULES["user.list"], answer=Users,
        tag="admin",
    ),
    Route(
        method="PATCH", path="/admin/users/{user_id}", summary="Another role, status or password",
        handle=change_user, rule=RULES["user.role"], names=UserName, body=UserChange, answer=UserAnswer,
        errors=(409,), tag="admin", action="user change",
    ),
    Route(
        method="POST", path="/admin/signing-keys/rotate", summary="A new key that signs access tokens", handle=rotate,
        rule=RULES["user.rotate_keys"], answer=Rotated, tag="admin", action="signing keys rotate",
    ),
)  # fmt: skip
