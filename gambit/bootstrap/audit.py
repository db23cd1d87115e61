"""The audit record of what was told the daemon, whatever the door."""

from collections.abc import Iterator
from contextlib import contextmanager

from gambit.events.operation import Audited
from gambit.journal import JournalFailed
from gambit.runtime.daemon import Daemon
from gambit.surface.control import Caller
from gambit.surface.rpc import RpcError

DETAIL_CHARS_MAX = 500


def audit(daemon: Daemon, caller: Caller, action: str, detail: str, outcome: str = "ok") -> None:
    """Who did what, through which door, and how it ended: ok, refused or failed."""
    fact = Audited(who=caller.who, door=caller.door.value, action=action, detail=detail, outcome=outcome)
    daemon.parts.ledger.fact(fact)


def audit_anyway(daemon: Daemon, caller: Caller, action: str, detail: str) -> None:
    """The same for what takes risk away: without a journal it is done all the same, and the log has who did it."""
    try:
        audit(daemon, caller, action, detail)
    except JournalFailed as error:
        daemon.parts.log.error(
            "done, and not in the journal", action=action, who=caller.who, detail=detail, reason=str(error)
        )


@contextmanager
def audited(daemon: Daemon, caller: Caller, action: str, detail: str) -> Iterator[None]:
    """The record of what is done inside; of what is refused or fails there, that it did, and why."""
    try:
        yield
    except Exception as error:
        why = f"{detail}: {error}" if detail else str(error)
        audit(daemon, caller, action, why[:DETAIL_CHARS_MAX], "refused" if isinstance(error, RpcError) else "failed")
        raise
    audit(daemon, caller, action, detail)
