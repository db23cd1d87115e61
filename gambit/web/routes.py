"""All routes there are, written out."""

from typing import Final

from gambit import __version__
from gambit.web import alerts, auth, control, desk, health, hooks, market, people
from gambit.web.manual import manual_routes
from gambit.web.route import Route
from gambit.web.runbook import runbook_routes

DECLARED: Final[tuple[Route, ...]] = (
    *health.ROUTES,
    *auth.ROUTES,
    *people.ROUTES,
    *market.ROUTES,
    *desk.ROUTES,
    *control.ROUTES,
    *alerts.ROUTES,
    *hooks.ROUTES,
    *runbook_routes(),
)
ROUTES: Final[tuple[Route, ...]] = (*DECLARED, *manual_routes(DECLARED, __version__))
