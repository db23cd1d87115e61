"""What access remembers, frozen, as its file has it: people, sessions, keys, failed logins. Nothing here opens a door
by itself: passwords are hashed, refresh tokens too, and what has to be usable is in the vault under a name.

Times are ns since the epoch.
"""

from typing import Final, Literal

import msgspec

from gambit.access.permissions import Role, Scope

MINUTE_NS: Final = 60 * 1_000_000_000
DAY_NS: Final = 24 * 60 * MINUTE_NS

Status = Literal["active", "suspended"]


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing remembered."""


class User(Record, frozen=True):
    """A person; `email` is the name they log in with, unique without regard to case."""

    user_id: str
    email: str
    password_hash: str
    role: Role
    created_ns: int
    status: Status = "active"
    second_factor: Literal["off", "offered", "on"] = "off"  # offered: the secret is made, no code was shown yet
    code_step: int = -1  # time step of the last code that was used: none works twice


class Session(Record, frozen=True):
    """A login and the family of refresh tokens that grew from it; only the newest works."""

    session_id: str
    user_id: str
    opened_ns: int
    used_ns: int
    authenticated_ns: int
    has_second_factor: bool
    refresh_hash: str
    generation: int = 0
    address: str = ""
    label: str = ""  # what the client calls itself


class Invitation(Record, frozen=True):
    """Who has the code, of which only the hash is kept, gives this user a password, once."""

    user_id: str
    expires_ns: int


class ApiKey(Record, frozen=True):
    """A key of a machine: its requests are signed with the secret that the vault has under `name_of_api_key`."""

    key_id: str
    user_id: str
    name: str
    scopes: tuple[Scope, ...]
    created_ns: int


class SigningKey(Record, frozen=True):
    """A key that signs access tokens; the newest signs, the older ones are believed until their tokens are over."""

    kid: str
    made_ns: int
    retired_ns: int | None = None


class Untold(Record, frozen=True):
    """A fact that happened while there was no journal to tell it to."""

    kind: str
    body: msgspec.Raw


class State(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """All of it."""

    schema_ver: str = "1"
    users: dict[str, User] = {}
    sessions: dict[str, Session] = {}
    invitations: dict[str, Invitation] = {}  # by the hash of the code
    api_keys: dict[str, ApiKey] = {}
    signing: list[SigningKey] = []
    failures: dict[str, list[int]] = {}  # by account and address: when a login failed
    untold: list[Untold] = []

    def copy(self) -> "State":
        """One that can be changed without touching this one; records are frozen and shared."""
        return State(
            users=dict(self.users),
            sessions=dict(self.sessions),
            invitations=dict(self.invitations),
            api_keys=dict(self.api_keys),
            signing=list(self.signing),
            failures={name: list(times) for name, times in self.failures.items()},
            untold=list(self.untold),
        )


def name_of_signing_key(kid: str) -> str:
    """Where the vault keeps it."""
    return f"jwt/{kid}"


def name_of_second_factor(user_id: str) -> str:
    """Where the vault keeps a user's TOTP secret."""
    return f"totp/{user_id}"


def name_of_api_key(key_id: str) -> str:
    """Where the vault keeps an API key's secret."""
    return f"api_key/{key_id}"


REFRESH_KEY: Final = "access/refresh"
