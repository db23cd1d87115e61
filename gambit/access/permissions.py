"""The one table of who may do what, for every door: REST, WebSocket, control socket, Telegram (product.md, "Roles").

A method of gambit.surface.methods has exactly one Rule here; a route that is no method names its scope itself. What is
not in the table is forbidden. Times are ns since the epoch and come from the caller.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

FRESH_NS: Final = 5 * 60 * 1_000_000_000  # an authentication this young counts as fresh (S19)


class Role(StrEnum):
    """viewer < trader < admin: each has all that the one before it has."""

    VIEWER = "viewer"
    TRADER = "trader"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        """0, 1, 2."""
        return _RANKS[self]


class Scope(StrEnum):
    """What a role, a token or an API key carries."""

    MARKET_READ = "market:read"
    ARB_READ = "arb:read"
    ORDERS_READ = "orders:read"
    ORDERS_WRITE = "orders:write"
    ALERTS_READ = "alerts:read"
    ALERTS_WRITE = "alerts:write"
    WS_MARKET = "ws:read:market"
    WS_ORDERS = "ws:read:orders"
    WS_ALERTS = "ws:read:alerts"
    CONTROL_HALT = "control:halt"  # what only takes risk away
    CONTROL_RESUME = "control:resume"  # what lets risk in
    METRICS_READ = "metrics:read"
    ADMIN = "admin:*"
    SELF = "self"  # one's own sessions, second factor, API keys


class Door(StrEnum):
    """Where somebody came in."""

    LOCAL = "control socket"
    REST = "rest"
    WEBSOCKET = "websocket"
    TELEGRAM = "telegram"


_VIEWER: Final = frozenset({Scope.MARKET_READ, Scope.ALERTS_READ, Scope.WS_MARKET, Scope.WS_ALERTS, Scope.SELF})
_TRADER: Final = _VIEWER | {
    Scope.ARB_READ,
    Scope.ORDERS_READ,
    Scope.ORDERS_WRITE,
    Scope.ALERTS_WRITE,
    Scope.WS_ORDERS,
    Scope.CONTROL_HALT,
}
SCOPES_OF: Final[Mapping[Role, frozenset[Scope]]] = {
    Role.VIEWER: _VIEWER,
    Role.TRADER: _TRADER,
    Role.ADMIN: frozenset(Scope),
}
_RANKS: Final = {Role.VIEWER: 0, Role.TRADER: 1, Role.ADMIN: 2}


class Rule(NamedTuple):
    """What a method asks of its caller, beside the scope. All but the scope bind the network doors only: whoever has
    the control socket is the daemon's own user."""

    scope: Scope
    is_local: bool = False  # by the control socket only
    needs_fresh: bool = False  # authenticated within FRESH_NS
    needs_second_factor: bool = False
    is_privileged: bool = False  # done or refused, it is audited


def _told(scope: Scope, *, fresh: bool = False, second_factor: bool = False, local: bool = False) -> Rule:
    return Rule(scope, local, fresh, second_factor, True)


RULES: Final[Mapping[str, Rule]] = {
    "status": Rule(Scope.MARKET_READ),
    "books": Rule(Scope.MARKET_READ),
    "opportunities": Rule(Scope.ARB_READ),
    "orders": Rule(Scope.ORDERS_READ),
    "order.show": Rule(Scope.ORDERS_READ),
    "plans": Rule(Scope.ORDERS_READ),
    "positions": Rule(Scope.ORDERS_READ),
    "pnl": Rule(Scope.ORDERS_READ),
    "scorecard": Rule(Scope.ARB_READ),
    "metrics": Rule(Scope.METRICS_READ),
    "plan.approve": _told(Scope.ORDERS_WRITE),
    "plan.reject": _told(Scope.ORDERS_WRITE),
    "order.cancel": _told(Scope.ORDERS_WRITE),
    "alerts": Rule(Scope.ALERTS_READ),
    "alert.rules": Rule(Scope.ALERTS_READ),
    "alert.silences": Rule(Scope.ALERTS_READ),
    "slo": Rule(Scope.ALERTS_READ),
    "alert.create": _told(Scope.ALERTS_WRITE),
    "alert.ack": _told(Scope.ALERTS_WRITE),
    "alert.resolve": _told(Scope.ALERTS_WRITE),
    "alert.silence": _told(Scope.ALERTS_WRITE),
    "alert.unsilence": _told(Scope.ALERTS_WRITE),
    "alert.test": _told(Scope.ALERTS_WRITE),
    "halt": _told(Scope.CONTROL_HALT),
    "reduce": _told(Scope.CONTROL_HALT),
    "disarm": _told(Scope.CONTROL_HALT),
    "resume": _told(Scope.CONTROL_RESUME, fresh=True, second_factor=True),
    "arm": _told(Scope.CONTROL_RESUME, fresh=True, second_factor=True),
    "user.list": Rule(Scope.ADMIN),
    "user.add": _told(Scope.ADMIN, fresh=True),
    "user.invite": _told(Scope.ADMIN, fresh=True),
    "user.role": _told(Scope.ADMIN, fresh=True),
    "user.disable": _told(Scope.ADMIN, fresh=True),
    "user.enable": _told(Scope.ADMIN, fresh=True),
    "user.passwd": _told(Scope.ADMIN, fresh=True),
    "user.link": _told(Scope.ADMIN, local=True),
    "user.link_telegram": _told(Scope.ADMIN, local=True),
    "user.rotate_keys": _told(Scope.ADMIN, fresh=True),
    "release": _told(Scope.ADMIN, local=True),
    "dlq.requeue": _told(Scope.ADMIN, local=True),
    "dlq.purge": _told(Scope.ADMIN, local=True),
    "snapshot": Rule(Scope.ADMIN, is_local=True),
    "query": Rule(Scope.ADMIN, is_local=True),
    "backup": _told(Scope.ADMIN, local=True),
    "reload": _told(Scope.ADMIN, local=True),
    "credentials.reload": _told(Scope.ADMIN, local=True),
    "stop": _told(Scope.ADMIN, local=True),
    "methods": Rule(Scope.MARKET_READ, is_local=True),
    "subscribe": Rule(Scope.MARKET_READ, is_local=True),
    "unsubscribe": Rule(Scope.MARKET_READ, is_local=True),
}

# What each channel of the WebSocket asks for; all of them.
SCOPES_OF_CHANNEL: Final[Mapping[str, frozenset[Scope]]] = {
    "trading.state": frozenset({Scope.WS_MARKET}),
    "system.metrics": frozenset({Scope.WS_MARKET}),
    "market.normalized": frozenset({Scope.WS_MARKET}),
    "arb.signals": frozenset({Scope.WS_MARKET, Scope.ARB_READ}),
    "order.status": frozenset({Scope.WS_ORDERS}),
    "plan.status": frozenset({Scope.WS_ORDERS}),
    "account": frozenset({Scope.WS_ORDERS}),
    "alert.raised": frozenset({Scope.WS_ALERTS}),
}


class Principal(NamedTuple):
    """Who is asking, as a door has made sure. `scopes` narrows what the role has (an API key); None: all of it."""

    user_id: str
    name: str
    role: Role
    door: Door
    session_id: str | None = None
    authenticated_at_ns: int = 0  # when a password or key was last shown, not when a token was last renewed
    has_second_factor: bool = False  # one was shown at that time
    scopes: frozenset[Scope] | None = None
    expires_at_ns: int | None = None  # when the token ends that brought them in

    def has(self, scope: Scope) -> bool:
        """Whether role and narrowing both carry the scope."""
        return scope in SCOPES_OF[self.role] and (self.scopes is None or scope in self.scopes)


class Denial(NamedTuple):
    """Why not: `code` is local_only, scope, reauth or second_factor."""

    code: str
    text: str


def allowed(role: Role, method: str) -> bool:
    """Whether the role carries the method's scope; what has no rule nobody may."""
    rule = RULES.get(method)
    return rule is not None and rule.scope in SCOPES_OF[role]


def denial(who: Principal, method: str, now_ns: int) -> Denial | None:
    """Why `who` may not do this now; None when they may."""
    rule = RULES.get(method)
    if rule is None:
        return Denial("scope", f"{method} is not for anybody")
    return denial_by(rule, who, method, now_ns)


def denial_by(rule: Rule, who: Principal, what: str, now_ns: int) -> Denial | None:
    """The same by a rule in hand; `what` names it in the text."""
    if not who.has(rule.scope):
        return Denial("scope", f"{what} needs the scope {rule.scope}")
    if who.door is Door.LOCAL:
        return None
    if rule.is_local:
        return Denial("local_only", f"{what} is for the control socket only")
    if rule.needs_fresh and now_ns - who.authenticated_at_ns > FRESH_NS:
        return Denial("reauth", f"{what} needs an authentication less than {FRESH_NS // 60_000_000_000} minutes old")
    if rule.needs_second_factor and not who.has_second_factor:
        return Denial("second_factor", f"{what} needs a login with a second factor")
    return None
