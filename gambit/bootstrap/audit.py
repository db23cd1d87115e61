"""The audit record of what was told the daemon, whatever the door."""

from gambit.events.operation import Audited
from gambit.runtime.daemon import Daemon
from gambit.surface.control import Caller


def audit(daemon: Daemon, caller: Caller, action: str, detail: str) -> None:
    """Who did what, through which door."""
    fact = Audited(who=caller.who, door=caller.door.value, action=action, detail=detail)
    daemon.parts.ledger.fact(fact)
