"""/health, /ready and /metrics: for whoever starts and restarts daemons, and for the scraper."""

from collections.abc import Sequence
from typing import Final, Literal

from gambit.access.permissions import Rule, Scope, denial_by
from gambit.surface.metrics import CONTENT_TYPE
from gambit.web.limits import PROBES
from gambit.web.problem import of_denial, unauthenticated
from gambit.web.route import Answer, Ask, Reply, Route
from gambit.web.services import Services


class Health(Answer, frozen=True, kw_only=True):
    """Whether the daemon should be restarted; how many reasons there are to, and nothing of what they are."""

    status: Literal["ok", "stalled"]


class Readiness(Answer, frozen=True, kw_only=True):
    """Whether every enabled venue is synced or given up; the reasons name venues and counts of books."""

    status: Literal["ready", "not_ready"]
    reasons: tuple[str, ...] = ()


async def health(services: Services, _ask: Ask) -> Reply:
    """The loop answers, and nothing stalls."""
    reasons: Sequence[str] = services.health()
    return Reply(body=Health(status="stalled" if reasons else "ok"), status=503 if reasons else 200)


async def ready(services: Services, _ask: Ask) -> Reply:
    """503 with the reasons until the daemon is ready."""
    reasons = tuple(services.ready())
    return Reply(
        body=Readiness(status="not_ready" if reasons else "ready", reasons=reasons), status=503 if reasons else 200
    )


async def metrics(services: Services, ask: Ask) -> Reply:
    """From this machine, or with a token that has metrics:read (S35)."""
    if ask.is_loopback:
        return Reply(body=services.metrics())
    if ask.who is None:
        raise unauthenticated()
    denied = denial_by(Rule(Scope.METRICS_READ), ask.who, "GET /metrics", services.now_ns())
    if denied is not None:
        raise of_denial(denied)
    return Reply(body=services.metrics())


ROUTES: Final = (
    Route(
        method="GET",
        path="/health",
        summary="Whether the daemon lives",
        handle=health,
        rule=None,
        answer=Health,
        errors=(503,),
        tag="daemon",
        quota=PROBES,
    ),
    Route(
        method="GET",
        path="/ready",
        summary="Whether the daemon is ready",
        handle=ready,
        rule=None,
        answer=Readiness,
        errors=(503,),
        tag="daemon",
        quota=PROBES,
    ),
    Route(
        method="GET",
        path="/metrics",
        summary="Metrics for Prometheus: from this machine, or with the scope metrics:read",
        handle=metrics,
        rule=None,
        answer=str,
        may_show=True,
        errors=(401, 403),
        tag="daemon",
        quota=PROBES,
        media=CONTENT_TYPE,
    ),
)
