"""The audit record of what was told the daemon through the control socket."""

from gambit.events.operation import Audited
from gambit.runtime.daemon import Daemon
from gambit.surface.control import Caller


def audit(daemon: Daemon, caller: Caller, action: str, detail: str) -> None:
    """Who did what through this door."""
    who = f"uid {caller.uid} pid {caller.pid}"
    daemon.parts.ledger.fact(Audited(who=who, door="control socket", action=action, detail=detail))
