"""What is told: items (one alert's news each), and parcels of them, which are one message on one channel."""

import html
import uuid
from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec

from gambit.events.alerts import SEVERITIES, AlertRaised, Severity

News = Literal["raised", "resolved", "reminded"]
SHOWN: Final = 20  # lines of one message; the others are counted
SIGN: Final = {"critical": "!!", "high": "!", "medium": "-", "low": "."}


class Item(msgspec.Struct, frozen=True):
    """One alert's news; `via` names the channel that could not tell it."""

    news: News
    alert: AlertRaised
    at_ns: int
    reason: str = ""
    via: str = ""


class Parcel(msgspec.Struct, frozen=True):
    """One message; its id stays the same over every try, so that whoever gets it twice can tell."""

    parcel_id: str
    channel: str
    items: tuple[Item, ...]
    attempt: int = 1

    @property
    def severity(self) -> Severity:
        """That of the worst item."""
        return max((item.alert.severity for item in self.items), key=SEVERITIES.index)


def parcel_of(channel: str, items: Sequence[Item]) -> Parcel:
    """A message of these items."""
    name = "|".join((channel, *(f"{item.news}:{item.alert.alert_id}:{item.at_ns}" for item in items)))
    return Parcel(str(uuid.uuid5(uuid.NAMESPACE_OID, name)), channel, tuple(items))


def title(parcel: Parcel) -> str:
    """A subject line: one alert's own words, or how many there are."""
    if len(parcel.items) == 1:
        [item] = parcel.items
        return f"[gambit {_state(item)}] {item.alert.message}"[:200]
    raised = sum(item.news != "resolved" for item in parcel.items)
    return f"[gambit {parcel.severity}] {raised} alerts, {len(parcel.items) - raised} resolved"


def _state(item: Item) -> str:
    return "resolved" if item.news == "resolved" else item.alert.severity


def text(parcel: Parcel) -> str:
    """The message for people, plain."""
    shown = parcel.items[:SHOWN]
    parts = ["\n".join(_lines(item)) for item in shown]
    if len(parcel.items) > SHOWN:
        parts.append(f"and {len(parcel.items) - SHOWN} more: gambit alerts list")
    return "\n\n".join(parts)


def _lines(item: Item) -> list[str]:
    alert = item.alert
    lines = [f"{SIGN[alert.severity]} {_state(item)}: {alert.message}"]
    lines.append(f"  rule {alert.rule_id}" + (f", {alert.scope}" if alert.scope else ""))
    if item.reason:
        lines.append(f"  told again: {item.reason}")
    if item.via:
        lines.append(f"  {item.via} could not be reached")
    if item.news != "resolved":
        lines.append(f"  what to do: {alert.runbook}")
    return [*lines, f"  alert {alert.alert_id}"]


def telegram_html(parcel: Parcel) -> str:
    """The message for Telegram: nothing that came from outside is markup (S38)."""
    return f"<b>{html.escape(title(parcel))}</b>\n{html.escape(text(parcel))}"[:4000]


def slack(parcel: Parcel) -> dict[str, Any]:
    """The message for a Slack webhook; & < > are the only signs that mean something there, mentions included."""
    head, body = (
        plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("`", "'")
        for plain in (title(parcel), text(parcel))
    )
    return {"text": f"{head}\n```{body}```", "mrkdwn": True}


def document(parcel: Parcel, sent_ns: int) -> dict[str, Any]:
    """The message for machines."""
    return {
        "schema_ver": "1",
        "delivery_id": parcel.parcel_id,
        "sent_ns": sent_ns,
        "severity": parcel.severity,
        "alerts": [
            {"event": item.news, "at_ns": item.at_ns, "reason": item.reason, **msgspec.to_builtins(item.alert)}
            for item in parcel.items
        ],
    }
