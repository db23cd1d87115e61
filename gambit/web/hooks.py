"""What other machines send by webhook: an alert, signed with a shared secret instead of a token (S43)."""

import msgspec

from gambit.access.permissions import Door, Principal, Role
from gambit.notify.signing import NotAuthentic
from gambit.surface.methods import NewAlert
from gambit.web.alerts import AlertBody, AlertMade
from gambit.web.problem import Problem
from gambit.web.route import Ask, Route
from gambit.web.services import Services

SENDER = Principal("webhook", "webhook", Role.TRADER, Door.REST)


async def alert(services: Services, ask: Ask) -> AlertMade:
    """Raise the alert of a delivery that is signed, timely and new."""
    if services.webhooks is None:
        raise Problem(401, "signature", "no webhooks are taken here: api.webhook_secrets names none")
    try:
        delivery = services.webhooks.verify(ask.headers, ask.raw, services.now_ns() // 1_000_000_000)
    except NotAuthentic as error:
        raise Problem(error.status, "signature" if error.status == 401 else "repeated", str(error)) from error
    if not await services.is_new("webhook", delivery):  # before a restart, that is
        raise Problem(409, "repeated", "this delivery was taken already")
    body: AlertBody = ask.body
    params = NewAlert(message=body.message, severity=body.severity, scope=body.scope)
    return msgspec.convert(await services.call("alert.create", params, SENDER), AlertMade)


ROUTES = (
    Route(
        method="POST", path="/hooks/alerts", handle=alert, rule=None, body=AlertBody, answer=AlertMade, status=201,
        summary="Raise an alert by a signed webhook (X-Gambit-Timestamp, -Delivery, -Signature)", errors=(401, 409),
        tag="alerts", action="webhook alert",
    ),
)  # fmt: skip
