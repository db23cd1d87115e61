"""The control socket's methods by name, with the parameters each takes; the daemon hands in what they do.

    reading   status, opportunities, books, orders, order.show, plans, positions, pnl, scorecard, metrics, alerts,
              alert.rules, alert.silences, slo
    telling   alert.create, alert.ack, alert.resolve, alert.silence, alert.unsilence, alert.test,
              halt, reduce, resume, release, arm, disarm, plan.approve, plan.reject, order.cancel, stop,
              reload, credentials.reload, dlq.requeue, dlq.purge
    users     user.list, user.add, user.invite, user.role, user.disable, user.enable, user.passwd, user.link,
              user.rotate_keys
    files     snapshot (query), backup

The answers are the structs of gambit.surface.views; `metrics` answers with the exposition text.
"""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

import msgspec

from gambit.access.permissions import RULES
from gambit.events.alerts import Severity
from gambit.surface.control import Handler, Method
from gambit.surface.rpc import Nothing

ROWS_MAX = 1000

# What can be followed by `subscribe`. Signals come one by one, the others as the latest state.
TOPICS: Final = frozenset({"arb.signal", "status", "alert.raised"})

Limit = Annotated[int, msgspec.Meta(ge=1, le=ROWS_MAX)]


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """By name, nothing else."""


class Opportunities(Params, frozen=True):
    """Newest first; those still open before those that are over."""

    symbol: str | None = None
    venue: str | None = None
    status: Literal["open", "closed"] | None = None
    since_ns: int | None = None
    open_only: bool = False
    limit: Limit = 20


class Books(Params, frozen=True):
    """Ascending by symbol and venue."""

    symbol: str | None = None
    venue: str | None = None
    limit: Limit = ROWS_MAX


class Reason(Params, frozen=True):
    """Why an operator does it; goes into the audit record."""

    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""


class Stop(Params, frozen=True):
    """`now`: do not wait for what is in flight."""

    now: bool = False


class DeadLetterIds(Params, frozen=True):
    """Some dead letters, or with `all` every one there is: one of the two."""

    letter_ids: tuple[int, ...] = ()
    all: bool = False


class Snapshot(Params, frozen=True):
    """How old a copy of the database may be."""

    max_age_sec: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 5.0


class Backup(Params, frozen=True):
    """Where to: an absolute path that does not exist yet."""

    path: Annotated[str, msgspec.Meta(pattern="^/")]


class Rows(Params, frozen=True):
    """Newest first."""

    open_only: bool = False
    symbol: str | None = None
    venue: str | None = None
    status: str | None = None
    since_ns: int | None = None
    limit: Limit = 50


class Held(Params, frozen=True):
    """Of this symbol and its assets; balances of this venue."""

    symbol: str | None = None
    venue: str | None = None


class Earned(Params, frozen=True):
    """Plans whose result is wanted beside that of all; none chosen: no such result."""

    symbol: str | None = None
    venue: str | None = None
    status: str | None = None
    since_ns: int | None = None


class Arming(Params, frozen=True):
    """For how long, at most `execution.arm_hours`, which counts where nothing is said."""

    for_sec: Annotated[float, msgspec.Meta(gt=0, le=168 * 3600)] | None = None


class VenueName(Params, frozen=True):
    """One venue; none: all."""

    venue: str | None = None


class ScopeName(Params, frozen=True):
    """A halted symbol or venue, as the halt named it: `symbol:BTC-USDT`, `venue:okx`."""

    scope: Annotated[str, msgspec.Meta(max_length=100)]


class PlanId(Params, frozen=True):
    """One plan."""

    plan_id: str


class OrderId(Params, frozen=True):
    """One order, by its order_id or its client order id."""

    order_id: str


class Alerts(Params, frozen=True):
    """Those that are raised now, then those that were; newest first."""

    open_only: bool = False
    severity: Severity | None = None
    rule_id: str | None = None
    scope: str | None = None  # one or more parts of a scope, such as venue:okx
    since_ns: int | None = None
    limit: Limit = 100


class AlertId(Params, frozen=True):
    """One alert."""

    alert_id: str


class NewAlert(Params, frozen=True):
    """An alert that a person raises."""

    message: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    severity: Severity = "medium"
    scope: Annotated[str, msgspec.Meta(max_length=200)] = ""


class Silence(Params, frozen=True):
    """Of which rule (empty: every one) and scope (empty: every one) nobody is told for how long."""

    rule_id: Annotated[str, msgspec.Meta(max_length=48)] = ""
    scope: Annotated[str, msgspec.Meta(max_length=200)] = ""
    for_sec: Annotated[float, msgspec.Meta(gt=0, le=30 * 86_400)] = 3600.0
    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""


class SilenceId(Params, frozen=True):
    """One silence."""

    silence_id: str


class UserName(Params, frozen=True):
    """One user, by id or email."""

    user: str


class NewUser(Params, frozen=True):
    """Who is let in, and what they may."""

    email: str
    password: str
    role: Literal["viewer", "trader", "admin"] = "viewer"


class Invitation(Params, frozen=True):
    """Somebody new who chooses their password; without a role somebody known who gets another code."""

    user: Annotated[str, msgspec.Meta(min_length=1, max_length=254)]
    role: Literal["viewer", "trader", "admin"] | None = None


class UserRole(Params, frozen=True):
    """Another role."""

    user: str
    role: Literal["viewer", "trader", "admin"]


class UserPassword(Params, frozen=True):
    """Another password, or no second factor any more."""

    user: str
    password: str | None = None
    drop_second_factor: bool = False


PARAMS: Final[Mapping[str, type[msgspec.Struct]]] = {
    "status": Nothing,
    "opportunities": Opportunities,
    "books": Books,
    "metrics": Nothing,
    "halt": Reason,
    "reduce": Reason,
    "resume": Reason,
    "stop": Stop,
    "reload": Nothing,
    "credentials.reload": VenueName,
    "dlq.requeue": DeadLetterIds,
    "dlq.purge": DeadLetterIds,
    "snapshot": Snapshot,
    "query": Snapshot,  # the SQL runs at who asks, on the copy that the answer names
    "backup": Backup,
    "orders": Rows,
    "order.show": OrderId,
    "plans": Rows,
    "positions": Held,
    "pnl": Earned,
    "scorecard": Nothing,
    "plan.approve": PlanId,
    "plan.reject": PlanId,
    "order.cancel": OrderId,
    "user.list": Nothing,
    "user.add": NewUser,
    "user.invite": Invitation,
    "user.role": UserRole,
    "user.disable": UserName,
    "user.enable": UserName,
    "user.passwd": UserPassword,
    "user.link": UserName,
    "user.link_telegram": UserName,
    "user.rotate_keys": Nothing,
    "arm": Arming,
    "disarm": Reason,
    "release": ScopeName,
    "alerts": Alerts,
    "alert.create": NewAlert,
    "alert.ack": AlertId,
    "alert.resolve": AlertId,
    "alert.silence": Silence,
    "alert.unsilence": SilenceId,
    "alert.silences": Nothing,
    "alert.rules": Nothing,
    "alert.test": Nothing,
    "slo": Nothing,
}


def bind(handlers: Mapping[str, Handler]) -> dict[str, Method]:
    """Each handler under its method's name with that method's parameters; raises KeyError for a name not above, and for
    one of which the permission table does not say who may."""
    return {name: Method(handler, PARAMS[name]) for name, handler in handlers.items() if RULES[name]}
