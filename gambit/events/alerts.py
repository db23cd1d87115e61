"""Facts of the alerts: raised, resolved, seen, and who silenced what for how long."""

from typing import Literal

import msgspec

Severity = Literal["low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")


class AlertRaised(msgspec.Struct, frozen=True, kw_only=True):
    """A rule's condition holds for a scope. While it does, the rule is not raised again for that scope."""

    alert_id: str
    rule_id: str
    severity: Severity
    message: str
    scope: str  # `venue:okx,symbol:BTC-USDT`; empty: the daemon
    correlation_id: str  # of what it is about: a plan, an order; the alert itself where there is nothing
    runbook: str  # the page that says what to do
    is_silenced: bool = False  # nobody is told
    user_id: str = ""  # who raised it, where that was a person
    schema_ver: str = "1"


class AlertResolved(msgspec.Struct, frozen=True, kw_only=True):
    """The condition is gone, or a person says so."""

    alert_id: str
    rule_id: str
    scope: str
    by: str = "gambit"
    schema_ver: str = "1"


class AlertReminded(msgspec.Struct, frozen=True, kw_only=True):
    """An alert that goes on is told once more: its silence is over, or nobody has taken care of it."""

    raised: AlertRaised
    reason: str
    schema_ver: str = "1"


class AlertAcked(msgspec.Struct, frozen=True, kw_only=True):
    """A person has seen an alert and takes care of it."""

    alert_id: str
    by: str
    schema_ver: str = "1"


class AlertSilenced(msgspec.Struct, frozen=True, kw_only=True):
    """Nobody is told of these alerts until `until_ns`; they are raised and kept all the same."""

    silence_id: str
    rule_id: str  # empty: of every rule
    scope: str  # one or more parts of a scope; empty: of every scope
    until_ns: int
    reason: str
    by: str
    schema_ver: str = "1"


class AlertUnsilenced(msgspec.Struct, frozen=True, kw_only=True):
    """A silence ended: its time was over, or a person ended it."""

    silence_id: str
    by: str
    schema_ver: str = "1"


AlertFact = AlertRaised | AlertResolved | AlertReminded | AlertAcked | AlertSilenced | AlertUnsilenced
ALERT_KINDS: dict[str, type] = {
    "alert.raised": AlertRaised,
    "alert.resolved": AlertResolved,
    "alert.reminded": AlertReminded,
    "alert.acked": AlertAcked,
    "alert.silenced": AlertSilenced,
    "alert.unsilenced": AlertUnsilenced,
}
