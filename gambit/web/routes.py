"""All routes there are, written out."""

from typing import Final

from gambit.web import auth, health
from gambit.web.route import Route

ROUTES: Final[tuple[Route, ...]] = (*health.ROUTES, *auth.ROUTES)
