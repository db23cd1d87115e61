"""The history of what the daemon is made of: a row whenever a part is in another state than it was, and all of them
when a run begins. Looked at once a second; what comes and goes in between is in the facts."""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

Row = dict[str, object]
TABLE: Final = "agent_status_log"
LOOK_NS: Final = 1_000_000_000


class Component(NamedTuple):
    """A part as it is now; `detail` says why, where there is something to say."""

    name: str
    status: str
    detail: str = ""


class ComponentLog:
    """Writes rows for the store; `look` gives every part there is."""

    def __init__(self, look: Callable[[], Iterable[Component]], on_rows: Callable[[str, list[Row]], None]) -> None:
        self._look = look
        self._on_rows = on_rows
        self._known: dict[str, str] = {}
        self._due_ns = 0
        self._is_closed = False

    def turn(self, now_ns: int) -> None:
        """Look, when it is time."""
        if now_ns >= self._due_ns and not self._is_closed:
            self._due_ns = now_ns + LOOK_NS
            self._write(now_ns)

    def close(self, now_ns: int) -> None:
        """The last look: that parts end now is no news."""
        self._write(now_ns)
        self._is_closed = True

    def _write(self, now_ns: int) -> None:
        """What changed, and "gone" for a part that is no more."""
        found = {part.name: part for part in self._look()}
        found |= {name: Component(name, "gone") for name in self._known if name not in found}
        rows: list[Row] = [
            {"ts_ns": now_ns, "agent": part.name, "status": part.status, "detail": part.detail}
            for part in found.values()
            if part.status != self._known.get(part.name)
        ]
        self._known = {part.name: part.status for part in found.values() if part.status != "gone"}
        if rows:
            self._on_rows(TABLE, rows)
