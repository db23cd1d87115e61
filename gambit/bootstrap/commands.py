"""The control socket's methods bound to a daemon: what each does, in a line or two."""

from collections.abc import Callable
from typing import Any

from gambit.events.operation import Audited
from gambit.runtime.daemon import Daemon
from gambit.runtime.trading import State
from gambit.surface.control import Caller, Handler
from gambit.surface.methods import Books, Opportunities, Reason, Stop
from gambit.surface.metrics import Registry
from gambit.surface.rpc import Nothing
from gambit.surface.views import StateChange, Stopping


def handlers(daemon: Callable[[], Daemon], registry: Registry) -> dict[str, Handler]:
    """By method name; `daemon` is asked at each call, for it is built after its servers."""

    def status(_params: Nothing, _caller: Caller) -> dict[str, Any]:
        return daemon().parts.readings.status()

    def opportunities(params: Opportunities, _caller: Caller) -> list[dict[str, Any]]:
        return daemon().parts.readings.opportunities(params)

    def books(params: Books, _caller: Caller) -> list[dict[str, Any]]:
        return daemon().parts.readings.books(params)

    def metrics(_params: Nothing, _caller: Caller) -> str:
        return registry.render().decode()

    def stop(params: Stop, caller: Caller) -> Stopping:
        audit(daemon(), caller, "stop", "now" if params.now else "")
        daemon().stop(f"stop by user {caller.uid}")
        return Stopping(pid=daemon().parts.started.pid)

    return {
        "status": status,
        "opportunities": opportunities,
        "books": books,
        "metrics": metrics,
        "stop": stop,
        "halt": _change(daemon, "HALTED"),
        "reduce": _change(daemon, "REDUCING"),
        "resume": _change(daemon, "ACTIVE"),
    }


def _change(daemon: Callable[[], Daemon], to: State) -> Handler:
    def change(params: Reason, caller: Caller) -> StateChange:
        switch = daemon().parts.switch
        done = switch.change(to, params.reason, f"user {caller.uid}")
        audit(daemon(), caller, f"trading state {to}", params.reason)
        return StateChange(state=done.state, was=done.was, reason=done.reason)

    return change


def audit(daemon: Daemon, caller: Caller, action: str, detail: str) -> None:
    """Who did what through this door."""
    who = f"uid {caller.uid} pid {caller.pid}"
    daemon.parts.ledger.fact(Audited(who=who, door="control socket", action=action, detail=detail))
