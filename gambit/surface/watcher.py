"""What a terminal view shows: pictures of the daemon, fetched over the control socket, reconnecting by itself."""

from pathlib import Path
from typing import Any, NamedTuple

from gambit.surface.client import ControlError, Failed, Session

TIMEOUT_SEC = 3.0
ROWS = 200


class Picture(NamedTuple):
    """One moment of the daemon; `trouble` says why there is none, and then the rest is empty."""

    status: dict[str, Any]
    opportunities: list[dict[str, Any]]
    books: list[dict[str, Any]]
    orders: list[dict[str, Any]] | None = None  # None: this daemon has none to show
    plans: list[dict[str, Any]] | None = None
    trouble: str = ""


class Watcher:
    """Asks the daemon at `path`; a connection that fails is opened anew the next time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._session: Session | None = None
        self._known: frozenset[str] = frozenset()

    def fetch(self) -> Picture:
        """A picture of now; never raises for what may happen to a daemon."""
        try:
            session = self._connected()
            return Picture(
                status=session.call("status"),
                opportunities=self._rows(session, "opportunities"),
                books=self._rows(session, "books"),
                orders=self._rows(session, "orders") if "orders" in self._known else None,
                plans=self._rows(session, "plans") if "plans" in self._known else None,
            )
        except ControlError as error:
            self.close()
            return Picture({}, [], [], trouble=str(error))

    def change_state(self, verb: str) -> str:
        """halt, reduce or resume; what came of it."""
        try:
            answer = self._connected().call(verb, {"reason": "gambit top"})
        except Failed as error:
            return f"{verb}: {error}"
        except ControlError as error:
            self.close()
            return f"{verb}: {error}"
        return f"trading state {answer['was']} > {answer['state']}"

    def close(self) -> None:
        """Hang up."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _connected(self) -> Session:
        if self._session is None:
            session = Session(self.path, TIMEOUT_SEC)
            self._session = session
            self._known = frozenset(session.call("methods")["methods"])
        return self._session

    def _rows(self, session: Session, method: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = session.call(method, {"limit": ROWS})
        return found
