"""Facts about people, sessions and keys; no secret is in any of them."""

import msgspec


class UserChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A user as they are now: made, or role, status or second factor changed."""

    user_id: str
    email: str
    role: str
    status: str
    created_ns: int
    second_factor: bool = False
    schema_ver: str = "1"


class SessionOpened(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody logged in."""

    session_id: str
    user_id: str
    expires_ns: int
    address: str = ""
    label: str = ""
    schema_ver: str = "1"


class SessionEnded(msgspec.Struct, frozen=True, kw_only=True):
    """A session takes no more requests: logout, revoked, role, disabled, password, expired, reuse, too_many."""

    session_id: str
    user_id: str
    reason: str
    schema_ver: str = "1"


class RefreshReused(msgspec.Struct, frozen=True, kw_only=True):
    """A refresh token came a second time: one of two holders stole it, so that its session is over. Worth an alert."""

    session_id: str
    user_id: str
    address: str = ""
    schema_ver: str = "1"


class ApiKeyChanged(msgspec.Struct, frozen=True, kw_only=True):
    """An API key was made or revoked."""

    key_id: str
    user_id: str
    name: str
    scopes: tuple[str, ...]
    status: str  # active, revoked
    schema_ver: str = "1"


class SigningKeysRotated(msgspec.Struct, frozen=True, kw_only=True):
    """Access tokens are signed by another key from now on."""

    kid: str
    was: str
    schema_ver: str = "1"
