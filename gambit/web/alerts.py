"""Alerts, those that a person raises too, silences, and what is left of the error budgets."""

from typing import Annotated, Any, Final

import msgspec

from gambit.access.permissions import RULES
from gambit.alerts.case import AlertRow, SilenceRow
from gambit.events.alerts import Severity
from gambit.surface.methods import AlertId, Alerts, NewAlert, Silence, SilenceId
from gambit.surface.rpc import Nothing
from gambit.web.desk import Done
from gambit.web.pages import LOOKED_AT, Ns, Paged, part, typed
from gambit.web.problem import not_found
from gambit.web.route import Answer, Ask, Body, Page, Query, Route
from gambit.web.services import Services

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Scope = Annotated[str, msgspec.Meta(max_length=200)]


class AlertQuery(Paged, frozen=True, kw_only=True):
    """`scope`: one or more parts of one, such as venue:okx."""

    open_only: bool = False
    severity: Severity | None = None
    rule_id: Annotated[str, msgspec.Meta(min_length=1, max_length=48)] | None = None
    scope: Scope | None = None
    since_ns: Ns | None = None


class AlertName(Query, frozen=True, kw_only=True):
    """One alert."""

    alert_id: Id


class SilenceName(Query, frozen=True, kw_only=True):
    """One silence."""

    silence_id: Id


class AlertPage(Page, frozen=True, kw_only=True):
    """Those that are raised now, then those that were; newest first."""

    items: tuple[AlertRow, ...]


class AlertBody(Body, frozen=True, kw_only=True):
    """An alert that a person raises."""

    message: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    severity: Severity = "medium"
    scope: Scope = ""


class AlertMade(Answer, frozen=True, kw_only=True):
    """Its name."""

    alert_id: str


class Silences(Answer, frozen=True, kw_only=True):
    """Those that are in force."""

    items: tuple[SilenceRow, ...]


class SilenceBody(Body, frozen=True, kw_only=True):
    """Of which rule (empty: every one) and scope (empty: every one) nobody is told for how long."""

    rule_id: Annotated[str, msgspec.Meta(max_length=48)] = ""
    scope: Scope = ""
    for_sec: Annotated[float, msgspec.Meta(gt=0, le=30 * 86_400)] = 3600.0
    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""


class SilenceMade(Answer, frozen=True, kw_only=True):
    """Its name, and until when."""

    silence_id: str
    until_ns: int


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """One service level: the share of bad events, burn rates by window, what is left of the longest one's budget."""

    slo: str
    text: str
    scope: str
    objective: float
    bad_ratio: float
    burn: dict[str, float]
    budget_left: float


class Budgets(Answer, frozen=True, kw_only=True):
    """All service levels."""

    items: tuple[Budget, ...]


async def alerts(services: Services, ask: Ask) -> AlertPage:
    """By severity, rule, scope and time."""
    query: AlertQuery = ask.query
    params = Alerts(
        open_only=query.open_only,
        severity=query.severity,
        rule_id=query.rule_id,
        scope=query.scope,
        since_ns=query.since_ns,
        limit=LOOKED_AT,
    )
    found = msgspec.to_builtins(await services.call("alerts", params, ask.principal))
    rows, following = part(found, "alert_id", query)
    why = tuple(services.quality())
    return AlertPage(items=typed(rows, AlertRow), next_cursor=following, degraded=bool(why), data_quality=why)


async def create(services: Services, ask: Ask) -> AlertMade:
    """Everybody whom alerts of this severity reach is told."""
    body: AlertBody = ask.body
    params = NewAlert(message=body.message, severity=body.severity, scope=body.scope)
    return msgspec.convert(await services.call("alert.create", params, ask.principal), AlertMade)


async def ack(services: Services, ask: Ask) -> Done:
    """Somebody looks after it."""
    return await _decide(services, ask, "alert.ack")


async def resolve(services: Services, ask: Ask) -> Done:
    """It is over."""
    return await _decide(services, ask, "alert.resolve")


async def silences(services: Services, ask: Ask) -> Silences:
    """Those that are in force."""
    found: list[Any] = msgspec.to_builtins(await services.call("alert.silences", Nothing(), ask.principal))
    return Silences(items=typed(found, SilenceRow))


async def silence(services: Services, ask: Ask) -> SilenceMade:
    """Alerts go on being raised; nobody is told."""
    body: SilenceBody = ask.body
    params = Silence(rule_id=body.rule_id, scope=body.scope, for_sec=body.for_sec, reason=body.reason)
    return msgspec.convert(await services.call("alert.silence", params, ask.principal), SilenceMade)


async def unsilence(services: Services, ask: Ask) -> Done:
    """Everybody is told again."""
    params = SilenceId(silence_id=ask.names.silence_id)
    known = msgspec.to_builtins(await services.call("alert.silences", Nothing(), ask.principal))
    if all(row["silence_id"] != params.silence_id for row in known):
        raise not_found()
    told = await services.call("alert.unsilence", params, ask.principal)
    return Done(done=told["done"])


async def budgets(services: Services, ask: Ask) -> Budgets:
    """What is left of each error budget."""
    return Budgets(items=typed(await services.call("slo", Nothing(), ask.principal), Budget))


async def _decide(services: Services, ask: Ask, method: str) -> Done:
    alert_id: str = ask.names.alert_id
    known = msgspec.to_builtins(await services.call("alerts", Alerts(limit=LOOKED_AT), ask.principal))
    if all(row["alert_id"] != alert_id for row in known):
        raise not_found()
    told = await services.call(method, AlertId(alert_id=alert_id), ask.principal)
    return Done(done=told["done"])


ROUTES: Final = (
    Route(
        method="GET", path="/alerts", summary="Alerts, newest first", handle=alerts, rule=RULES["alerts"],
        query=AlertQuery, answer=AlertPage, tag="alerts", has_etag=True,
    ),
    Route(
        method="POST", path="/alerts", summary="Raise an alert", handle=create, rule=RULES["alert.create"],
        body=AlertBody, answer=AlertMade, status=201, errors=(409,), tag="alerts", takes_key=True,
    ),
    Route(
        method="POST", path="/alerts/{alert_id}/ack", summary="Look after an alert", handle=ack,
        rule=RULES["alert.ack"], names=AlertName, answer=Done, errors=(409,), tag="alerts", takes_key=True,
    ),
    Route(
        method="POST", path="/alerts/{alert_id}/resolve", summary="End an alert", handle=resolve,
        rule=RULES["alert.resolve"], names=AlertName, answer=Done, errors=(409,), tag="alerts", takes_key=True,
    ),
    Route(
        method="GET", path="/silences", summary="Silences in force", handle=silences, rule=RULES["alert.silences"],
        answer=Silences, tag="alerts", has_etag=True,
    ),
    Route(
        method="POST", path="/silences", summary="Tell nobody for a while", handle=silence,
        rule=RULES["alert.silence"], body=SilenceBody, answer=SilenceMade, status=201, errors=(409,), tag="alerts",
        takes_key=True,
    ),
    Route(
        method="DELETE", path="/silences/{silence_id}", summary="Tell again", handle=unsilence,
        rule=RULES["alert.unsilence"], names=SilenceName, answer=Done, errors=(409,), tag="alerts", takes_key=True,
    ),
    Route(
        method="GET", path="/slo", summary="Error budgets", handle=budgets, rule=RULES["slo"], answer=Budgets,
        tag="alerts",
    ),
)  # fmt: skip
