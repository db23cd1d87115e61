"""What is behind the routes, handed in once."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gambit.access.access import Access
from gambit.access.permissions import Principal
from gambit.events.operation import Audited
from gambit.notify.signing import Verifier
from gambit.surface.rpc import Forbidden, Refused
from gambit.web.history import History
from gambit.web.limits import Limiter
from gambit.web.problem import Problem

Reasons = Callable[[], Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """What answers were made with, as the headers say it."""

    model: str = "1"  # the formulas of scores and edges
    features: str = "2"  # the schema of signals
    rules: str = "1"  # risk and alert rules in force


async def _is_new(_scope: str, _key: str) -> bool:
    """Nothing is remembered."""
    return True


async def _at_once() -> None:
    """Nothing is waited for."""


@dataclass(slots=True, kw_only=True)
class Services:
    """`method` carries out a method of the daemon's table for somebody who may; `quality` says why what is told may be
    incomplete; `settled` returns when what was done is written down, or late."""

    access: Access
    method: Callable[[str, Any, Principal], Awaitable[Any]]
    now_ns: Callable[[], int]
    health: Reasons
    ready: Reasons
    metrics: Callable[[], bytes]
    audit: Callable[[Audited], object]
    quality: Reasons = tuple
    settled: Callable[[], Awaitable[None]] = _at_once
    versions: Versions = Versions()
    cors_origins: frozenset[str] = frozenset()
    mono_ns: Callable[[], int] = lambda: 0
    observe: Callable[[str, int, int], object] = lambda _route, _status, _ns: None  # route, status, how long it took
    on_defect: Callable[[str, BaseException], object] = lambda _what, _error: None
    webhooks: Verifier | None = None  # None: none are taken
    is_new: Callable[[str, str], Awaitable[bool]] = _is_new  # whether a key of a scope comes for the first time
    history: History = field(default_factory=History)
    limiter: Limiter = field(default_factory=Limiter)

    async def call(self, method: str, params: Any, who: Principal) -> Any:
        """The method's answer; what it refuses is a conflict with how things are, or not for this one."""
        try:
            return await self.method(method, params, who)
        except Forbidden as forbidden:
            raise Problem(403, str(forbidden.data), forbidden.message) from forbidden
        except Refused as refused:
            raise Problem(409, "refused", refused.message) from refused
