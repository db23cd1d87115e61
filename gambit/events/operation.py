"""Facts about the daemon itself and about who told it what."""

import msgspec


class DaemonStarted(msgspec.Struct, frozen=True, kw_only=True):
    """A daemon took over this journal."""

    version: str
    pid: int
    epoch: int  # grows by one with every start; part of every client order id
    mode: str
    config_hash: str
    schema_ver: str = "1"


class DaemonStopped(msgspec.Struct, frozen=True, kw_only=True):
    """A daemon ended in good order."""

    reason: str
    schema_ver: str = "1"


class TradingStateChanged(msgspec.Struct, frozen=True, kw_only=True):
    """ACTIVE, REDUCING or HALTED (orders.md, "Trading state and kill switch")."""

    state: str
    was: str
    reason: str
    by: str
    schema_ver: str = "1"


class Audited(msgspec.Struct, frozen=True, kw_only=True):
    """A privileged or refused action: who, through which door, what, on what, and how it ended."""

    who: str
    door: str
    action: str
    entity_type: str = ""
    entity_ref: str = ""
    outcome: str = "ok"
    detail: str = ""
    schema_ver: str = "1"


class CredentialAdded(msgspec.Struct, frozen=True, kw_only=True):
    """The vault has a secret of this name now; never its value."""

    name: str
    version: int
    at_ns: int
    by: str
    schema_ver: str = "1"


class CredentialRotated(msgspec.Struct, frozen=True, kw_only=True):
    """The secret has a new value."""

    name: str
    version: int
    at_ns: int
    by: str
    schema_ver: str = "1"


class CredentialRemoved(msgspec.Struct, frozen=True, kw_only=True):
    """The vault has forgotten it."""

    name: str
    version: int
    at_ns: int
    by: str
    schema_ver: str = "1"


class AccountHeld(msgspec.Struct, frozen=True, kw_only=True):
    """No new order goes to an account until its keys change or an operator asks: `cause` is auth (the venue refused the
    keys) or rights (they may do more than they should, or less than they have to)."""

    venue: str
    cause: str
    reason: str
    schema_ver: str = "1"


class AccountReleased(msgspec.Struct, frozen=True, kw_only=True):
    """The account is tried again."""

    venue: str
    by: str
    schema_ver: str = "1"
