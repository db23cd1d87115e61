"""Users, their second factor and their API keys: made, changed and taken away. Who may is the doors' to know.

Whatever makes somebody less than they were ends their sessions in the same change.
"""

import asyncio
import re
from typing import Final, NamedTuple

import msgspec

from gambit.access import passwords, second_factor
from gambit.access.book import Book, admins, as_fact, ended, sessions_of
from gambit.access.logins import Logins
from gambit.access.permissions import SCOPES_OF, Role, Scope
from gambit.access.records import (
    DAY_NS,
    ApiKey,
    Invitation,
    State,
    Status,
    User,
    name_of_api_key,
    name_of_second_factor,
)
from gambit.access.refusal import Refusal
from gambit.access.tokens import SECOND_NS, hash_of
from gambit.events import Fact
from gambit.events.access import ApiKeyChanged
from gambit.threads import in_thread

EMAIL: Final = re.compile(r"[!-?A-~]{1,64}@[!-?A-~]{1,189}")  # printable ASCII, one @
USERS_MAX: Final = 1000
API_KEYS_MAX: Final = 10  # of one user
SECRET_BYTES: Final = 32
INVITATION_NS: Final = DAY_NS


class MadeKey(NamedTuple):
    """A new API key; the secret is shown this once."""

    key: ApiKey
    secret: str


class Invited(NamedTuple):
    """Somebody who has still to choose a password; the code is shown this once."""

    user: User
    code: str
    expires_ns: int


class People:
    """Over the same Book as the logins."""

    def __init__(self, book: Book, logins: Logins) -> None:
        self.book = book
        self.logins = logins

    # ---- users ----

    async def add(self, email: str, password: str, role: Role) -> User:
        """A new user. Raises Refusal: weak, taken, full."""
        if not EMAIL.fullmatch(email):
            raise Refusal("weak", "email: name@host of printable ASCII is due")
        passwords.check_new(password, email)
        user = User(
            user_id=self.book.new_id(),
            email=email,
            password_hash=await self.logins.hashed(password),
            role=role,
            created_ns=self.book.now_ns(),
        )

        def work(state: State) -> tuple[User, list[Fact]]:
            if any(one.email.casefold() == email.casefold() for one in state.users.values()):
                raise Refusal("taken", "email: there is a user of this name")
            if len(state.users) >= USERS_MAX:
                raise Refusal("full", f"there are {USERS_MAX} users, which is the most there may be")
            state.users[user.user_id] = user
            return user, [as_fact(user)]

        return await self.book.change(work)

    async def invite(self, email: str, role: Role) -> Invited:
        """A new user who chooses the password, by a code that works once within INVITATION_NS. Raises Refusal: weak,
        taken, full."""
        user = await self.add(email, self.book.chance(SECRET_BYTES).hex(), role)  # one that nobody knows
        return await self.invite_again(user.user_id)

    async def invite_again(self, user_id: str) -> Invited:
        """Another code for somebody who lost theirs, or their password: the codes before are over, what is there stays
        until the code is used. Raises Refusal: unknown, conflict."""
        user = self.named(user_id)
        if user.status != "active":
            raise Refusal("conflict", f"{user.email} is not let in: enable them first")
        code, expires_ns = self.book.chance(SECRET_BYTES).hex(), self.book.now_ns() + INVITATION_NS

        def work(state: State) -> tuple[None, list[Fact]]:
            _forget_invitations(state, user_id, self.book.now_ns())
            state.invitations[hash_of(code)] = Invitation(user_id=user_id, expires_ns=expires_ns)
            return None, []

        await self.book.change(work)
        return Invited(user, code, expires_ns)

    async def accept(self, code: str, password: str) -> User:
        """The password that an invited person chose; sessions that there were end, the code is used up. Raises Refusal:
        credentials, weak (and the code stays good)."""
        name = hash_of(code)
        user = self._invited(self.book.state, name)
        passwords.check_new(password, user.email)
        hashed = await self.logins.hashed(password)

        def work(state: State) -> tuple[User, list[Fact]]:
            user = msgspec.structs.replace(self._invited(state, name), password_hash=hashed)
            state.users[user.user_id] = user
            _forget_invitations(state, user.user_id, self.book.now_ns())
            return user, [*ended(state, sessions_of(state, user.user_id), "password"), as_fact(user)]

        return await self.book.change(work)

    def is_invited(self, user_id: str) -> bool:
        """Whether a code for this user is out."""
        now_ns = self.book.now_ns()
        return any(one.user_id == user_id and now_ns < one.expires_ns for one in self.book.state.invitations.values())

    def _invited(self, state: State, name: str) -> User:
        found = state.invitations.get(name)
        user = state.users.get(found.user_id) if found is not None else None
        if found is None or user is None or user.status != "active" or self.book.now_ns() >= found.expires_ns:
            raise Refusal("credentials", "this invitation is over or was used: ask for another one")
        return user

    def users(self) -> list[User]:
        """All, oldest first."""
        return sorted(self.book.state.users.values(), key=lambda one: one.created_ns)  # of one instant: as they came

    def named(self, name: str) -> User:
        """By id or email; raises Refusal: unknown."""
        user = self.book.state.users.get(name) or self.book.user_named(name)
        if user is None:
            raise Refusal("unknown", f"{name}: there is no such user")
        return user

    async def set_role(self, user_id: str, role: Role) -> User:
        """Another role; their sessions end, so that nothing goes on with the old one. Raises Refusal: unknown,
        last_admin."""
        return await self._changed(user_id, "role", role=role)

    async def set_status(self, user_id: str, status: Status) -> User:
        """Suspend, or let in again. Raises Refusal: unknown, last_admin."""
        return await self._changed(user_id, "disabled", status=status)

    async def set_password(self, user_id: str, password: str) -> User:
        """Another password; their sessions end. Raises Refusal: unknown, weak."""
        passwords.check_new(password, self.named(user_id).email)
        return await self._changed(user_id, "password", password_hash=await self.logins.hashed(password))

    async def drop_second_factor(self, user_id: str) -> User:
        """For somebody who lost theirs; their sessions end."""
        user = await self._changed(user_id, "password", second_factor="off", code_step=-1)
        await in_thread(self.book.secrets.forget, name_of_second_factor(user_id))
        return user

    async def _changed(self, user_id: str, reason: str, **fields: object) -> User:
        def work(state: State) -> tuple[User, list[Fact]]:
            known = state.users.get(user_id)
            if known is None:
                raise Refusal("unknown", f"{user_id}: there is no such user")
            user = msgspec.structs.replace(known, **fields)
            state.users[user_id] = user
            if user_id in admins(self.book.state) and not admins(state):
                raise Refusal("last_admin", f"{known.email} is the last active admin: make another one first")
            return user, [*ended(state, sessions_of(state, user_id), reason), as_fact(user)]

        return await self.book.change(work)

    # ---- second factor ----

    async def offer_second_factor(self, user_id: str) -> str:
        """A new secret, as the otpauth:// address; it counts once a code of it was shown. Raises Refusal: conflict."""
        user = self.named(user_id)
        if user.second_factor == "on":
            raise Refusal("conflict", "there is a second factor: take it away first")
        secret = second_factor.secret_of(self.book.chance(20))
        await in_thread(self.book.secrets.put, name_of_second_factor(user_id), secret.encode())
        await self._with(user_id, second_factor="offered", code_step=-1)
        return second_factor.address_of(secret, user.email)

    async def confirm_second_factor(self, user_id: str, code: str) -> None:
        """From now on a login needs a code. Raises Refusal: conflict, second_factor."""
        if self.named(user_id).second_factor != "offered":
            raise Refusal("conflict", "there is no second factor that waits for its first code")
        secret = (await asyncio.to_thread(self.book.secrets.get, name_of_second_factor(user_id))).decode()
        step = second_factor.step_of(code, secret, self.book.now_ns() // SECOND_NS)
        if step is None:
            raise Refusal("second_factor", "the code of the second factor is wrong")
        await self._with(user_id, second_factor="on", code_step=step)

    async def remove_second_factor(self, user_id: str) -> None:
        """Logins need no code any more; the door has asked for a fresh authentication."""
        await self._with(user_id, second_factor="off", code_step=-1)
        await in_thread(self.book.secrets.forget, name_of_second_factor(user_id))

    async def _with(self, user_id: str, **fields: object) -> None:
        def work(state: State) -> tuple[None, list[Fact]]:
            user = msgspec.structs.replace(state.users[user_id], **fields)
            state.users[user_id] = user
            return None, [as_fact(user)]

        await self.book.change(work)

    # ---- API keys ----

    async def make_key(self, user_id: str, name: str, scopes: tuple[Scope, ...]) -> MadeKey:
        """A key with at most its user's scopes. Raises Refusal: weak, full."""
        user = self.named(user_id)
        missing = sorted(set(scopes) - SCOPES_OF[user.role])
        if missing or not scopes:
            raise Refusal("weak", f"scopes: a {user.role.value} has no {', '.join(missing) or 'key without scopes'}")
        secret = self.book.chance(SECRET_BYTES).hex()
        made_ns = self.book.now_ns()
        key = ApiKey(key_id=self.book.new_id(), user_id=user_id, name=name, scopes=tuple(scopes), created_ns=made_ns)
        await in_thread(self.book.secrets.put, name_of_api_key(key.key_id), secret.encode())

        def work(state: State) -> tuple[ApiKey, list[Fact]]:
            if sum(one.user_id == user_id for one in state.api_keys.values()) >= API_KEYS_MAX:
                raise Refusal("full", f"there are {API_KEYS_MAX} API keys, which is the most there may be")
            state.api_keys[key.key_id] = key
            return key, [_key_fact(key, "active")]

        return MadeKey(await self.book.change(work), secret)

    def keys_of(self, user_id: str) -> list[ApiKey]:
        """A user's API keys, oldest first."""
        found = [one for one in self.book.state.api_keys.values() if one.user_id == user_id]
        return sorted(found, key=lambda one: one.created_ns)

    async def revoke_key(self, user_id: str, key_id: str) -> None:
        """It signs nothing any more. Raises Refusal: unknown, for another user's too."""

        def work(state: State) -> tuple[None, list[Fact]]:
            key = state.api_keys.get(key_id)
            if key is None or key.user_id != user_id:
                raise Refusal("unknown", f"{key_id}: there is no such API key")
            del state.api_keys[key_id]
            return None, [_key_fact(key, "revoked")]

        await self.book.change(work)
        await in_thread(self.book.secrets.forget, name_of_api_key(key_id))


def _forget_invitations(state: State, user_id: str, now_ns: int) -> None:
    """Those of a user, and those whose time is over."""
    for name, one in list(state.invitations.items()):
        if one.user_id == user_id or now_ns >= one.expires_ns:
            del state.invitations[name]


def _key_fact(key: ApiKey, status: str) -> ApiKeyChanged:
    scopes = tuple(scope.value for scope in key.scopes)
    return ApiKeyChanged(key_id=key.key_id, user_id=key.user_id, name=key.name, scopes=scopes, status=status)
