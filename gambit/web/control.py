"""The trading state: halt and reduce take risk away, resume and arm let it in and ask for more."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

import msgspec

from gambit.access.permissions import RULES
from gambit.surface.methods import Arming, Reason
from gambit.surface.views import StateChange
from gambit.web.route import Answer, Ask, Body, Route
from gambit.web.services import Services


class Why(Body, frozen=True, kw_only=True):
    """Goes into the audit record."""

    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""


class StateAnswer(Answer, frozen=True, kw_only=True):
    """The state that is in force now, and the one before."""

    state: str
    was: str
    reason: str


class Armed(Answer, frozen=True, kw_only=True):
    """Until when live orders may leave; 0: they may not."""

    armed_until_ns: int


def _change(method: str) -> Callable[[Services, Ask], Awaitable[Any]]:
    async def change(services: Services, ask: Ask) -> StateAnswer:
        done: StateChange = await services.call(method, Reason(reason=ask.body.reason), ask.principal)
        return StateAnswer(state=done.state, was=done.was, reason=done.reason)

    return change


async def arm(services: Services, ask: Ask) -> Armed:
    """Live orders may leave for as long as configured."""
    told = await services.call("arm", Arming(), ask.principal)
    return Armed(armed_until_ns=told["armed_until_ns"])


async def disarm(services: Services, ask: Ask) -> Armed:
    """Live orders may not leave any more."""
    told = await services.call("disarm", Reason(reason=ask.body.reason), ask.principal)
    return Armed(armed_until_ns=told["armed_until_ns"])


ROUTES: Final = (
    *(
        Route(
            method="POST", path=f"/control/{method}", summary=summary, handle=_change(method), rule=RULES[method],
            body=Why, answer=StateAnswer, errors=(409,), tag="control", takes_key=True,
        )
        for method, summary in (
            ("halt", "Stop all trading"),
            ("reduce", "Only what takes risk away"),
            ("resume", "Trade again: an admin, with a second factor, freshly authenticated"),
        )
    ),
    Route(
        method="POST", path="/control/arm", summary="Live orders may leave: as resume", handle=arm, rule=RULES["arm"],
        answer=Armed, errors=(409,), tag="control", takes_key=True,
    ),
    Route(
        method="POST", path="/control/disarm", summary="No new live orders", handle=disarm,
        rule=RULES["disarm"], body=Why, answer=Armed, errors=(409,), tag="control", takes_key=True,
    ),
)  # fmt: skip
