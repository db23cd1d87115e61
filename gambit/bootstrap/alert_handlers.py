"""The methods about alerts, bound to a daemon's alerting: list, raise, take, end, silence, test."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from gambit.alerts.budget import LEVELS, SPENT_SEC
from gambit.alerts.case import AlertRow, SilenceRow
from gambit.alerts.engine import UnknownAlert
from gambit.alerts.measuring import Reader
from gambit.alerts.rule import SECOND_NS, Rule, within_scope
from gambit.bootstrap.alert_rules import Metrics
from gambit.bootstrap.alerting import Alerting
from gambit.bootstrap.audit import audit
from gambit.runtime.daemon import Daemon
from gambit.surface.control import Caller, Handler
from gambit.surface.methods import AlertId, Alerts, NewAlert, Silence, SilenceId
from gambit.surface.metrics import Registry
from gambit.surface.rpc import Nothing, Refused

WINDOWS_SEC: Final = (300, 3600, SPENT_SEC[0])


def alert_handlers(daemon: Callable[[], Daemon], alerting: Alerting, registry: Registry) -> dict[str, Handler]:
    """By method name."""

    def alerts(params: Alerts, _caller: Caller) -> list[AlertRow]:
        return [row for row in alerting.rows() if _is_wanted(row, params)][: params.limit]

    def rules(_params: Nothing, _caller: Caller) -> list[dict[str, Any]]:
        return [_told(rule, alerting.engine.firing(rule.rule_id)) for rule in alerting.engine.rules.values()]

    def silences(_params: Nothing, _caller: Caller) -> list[SilenceRow]:
        return alerting.engine.silenced()

    def slo(_params: Nothing, _caller: Caller) -> list[dict[str, Any]]:
        return budgets(readers, daemon().parts.clock.now_ns())

    async def try_out(_params: Nothing, caller: Caller) -> list[dict[str, Any]]:
        audit(daemon(), caller, "alert.test", "")
        return await alerting.test(caller.by)

    metrics = Metrics(registry)
    readers = {
        level.name: [
            Reader(msgspec.structs.replace(level.over(window_sec), least=1.0), metrics) for window_sec in WINDOWS_SEC
        ]
        for level in LEVELS
    }
    alerting.on_turn.append(lambda now_ns: _read_all(readers, now_ns))
    return {
        "alerts": alerts,
        "alert.rules": rules,
        "alert.silences": silences,
        "slo": slo,
        "alert.test": try_out,
        **_deeds(daemon, alerting),
    }


def _deeds(daemon: Callable[[], Daemon], alerting: Alerting) -> dict[str, Handler]:
    """What a person does about alerts; each is audited."""

    def create(params: NewAlert, caller: Caller) -> dict[str, Any]:
        audit(daemon(), caller, "alert.create", params.message)
        raised = alerting.engine.create(params.severity, params.message, params.scope, caller.by, _now(daemon))
        alerting.write([raised])
        return {"alert_id": raised.alert_id}

    def ack(params: AlertId, caller: Caller) -> dict[str, Any]:
        audit(daemon(), caller, "alert.ack", params.alert_id)
        alerting.write([_or_refused(lambda: alerting.engine.ack(params.alert_id, caller.by))])
        return {"done": params.alert_id}

    def resolve(params: AlertId, caller: Caller) -> dict[str, Any]:
        audit(daemon(), caller, "alert.resolve", params.alert_id)
        alerting.write([_or_refused(lambda: alerting.engine.resolve(params.alert_id, caller.by, _now(daemon)))])
        return {"done": params.alert_id}

    def silence(params: Silence, caller: Caller) -> dict[str, Any]:
        audit(
            daemon(), caller, "alert.silence", f"{params.rule_id or 'every rule'} {params.scope} {params.for_sec:g} s"
        )
        for_ns = int(params.for_sec * SECOND_NS)
        (made,) = _or_refused(
            lambda: alerting.engine.silence(
                params.rule_id, params.scope, for_ns, params.reason, caller.by, _now(daemon)
            )
        )
        alerting.write([made])
        return {"silence_id": made.silence_id, "until_ns": made.until_ns}

    def unsilence(params: SilenceId, caller: Caller) -> dict[str, Any]:
        audit(daemon(), caller, "alert.unsilence", params.silence_id)
        alerting.write(_or_refused(lambda: alerting.engine.unsilence(params.silence_id, caller.by, _now(daemon))))
        return {"done": params.silence_id}

    return {
        "alert.create": create,
        "alert.ack": ack,
        "alert.resolve": resolve,
        "alert.silence": silence,
        "alert.unsilence": unsilence,
    }


def _or_refused(do: Callable[[], Any]) -> Any:
    try:
        return do()
    except UnknownAlert as error:
        raise Refused(str(error)) from error


def _now(daemon: Callable[[], Daemon]) -> int:
    return daemon().parts.clock.now_ns()


def _is_wanted(row: AlertRow, asked: Alerts) -> bool:
    return (
        (not asked.open_only or row.resolved_ns is None)
        and asked.severity in (None, row.severity)
        and asked.rule_id in (None, row.rule_id)
        and (asked.scope is None or within_scope(asked.scope, row.scope))
        and (asked.since_ns is None or row.created_ns >= asked.since_ns)
    )


def _told(rule: Rule, firing: int) -> dict[str, Any]:
    return {**msgspec.to_builtins(rule), "runbook": rule.runbook, "firing": firing}


def _read_all(readers: dict[str, list[Reader]], now_ns: int) -> None:
    """A reading every second keeps the windows filled."""
    for each in readers.values():
        for reader in each:
            reader.read(now_ns)


def budgets(readers: dict[str, list[Reader]], now_ns: int) -> list[dict[str, Any]]:
    """Each service level by what it is told apart by: the share of bad events over each window, the burn rates, and
    what is left of the budget of the longest window (1: all of it; below 0: overdrawn)."""
    rows: list[dict[str, Any]] = []
    for level in LEVELS:
        numbers = [reader.read(now_ns) for reader in readers[level.name]]
        for scope, share in numbers[-1].items():
            rates = [number.get(scope, 0.0) / level.budget for number in numbers]
            rows.append(
                {
                    "slo": level.name,
                    "text": level.text,
                    "scope": ",".join(scope),
                    "objective": level.objective,
                    "bad_ratio": share,
                    "burn": {f"{sec}s": rate for sec, rate in zip(WINDOWS_SEC, rates, strict=True)},
                    "budget_left": 1 - rates[-1],
                }
            )
    return rows
