"""One rule in one scope: nothing, waiting for its time, raised, or going; and what is kept of it over a restart."""

from collections.abc import Sequence

import msgspec

from gambit.events.alerts import AlertRaised, AlertSilenced


class Case:
    """Times are ns; `gone_ns` is since when a raised one's condition is gone, `until_ns` when it is over by itself."""

    __slots__ = (
        "acked_by",
        "gone_ns",
        "held_until_ns",
        "raised",
        "raised_ns",
        "since_ns",
        "text",
        "told_ns",
        "until_ns",
    )

    def __init__(self, since_ns: int, text: str) -> None:
        self.since_ns = since_ns
        self.text = text
        self.raised: AlertRaised | None = None
        self.raised_ns = 0
        self.told_ns = 0
        self.acked_by = ""
        self.gone_ns: int | None = None
        self.until_ns: int | None = None
        self.held_until_ns = 0  # after a restart numbers need a moment to be there


class KeptAlert(msgspec.Struct, frozen=True):
    """A raised alert, as it is kept."""

    raised: AlertRaised
    raised_ns: int
    until_ns: int | None = None
    acked_by: str = ""


class Kept(msgspec.Struct, frozen=True):
    """What outlives the process: everything up to journal record `seq` is in it."""

    seq: int = 0
    alerts: Sequence[KeptAlert] = ()
    silences: Sequence[AlertSilenced] = ()


class AlertRow(msgspec.Struct, frozen=True, kw_only=True):
    """An alert as it is shown."""

    alert_id: str
    rule_id: str
    severity: str
    message: str
    scope: str
    correlation_id: str
    runbook: str
    created_ns: int
    resolved_ns: int | None = None
    created_at: str = ""  # the same as RFC 3339, UTC
    resolved_at: str | None = None
    user_id: str = ""  # who raised it, where that was a person
    acked_by: str = ""
    is_silenced: bool = False


class SilenceRow(msgspec.Struct, frozen=True, kw_only=True):
    """A silence as it is shown."""

    silence_id: str
    rule_id: str
    scope: str
    until_ns: int
    reason: str
    by: str
