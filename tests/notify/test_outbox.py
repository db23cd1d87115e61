"""What waits to be told: a storm is one message, nothing is lost, nothing plays ball between two dead channels."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gambit.events.alerts import AlertRaised, AlertReminded, AlertResolved
from gambit.notify import parcel as words
from gambit.notify.outbox import BURST, ITEMS_MAX, SECOND_NS, TRIES, Left, Outbox, Route
from gambit.notify.parcel import Item, Parcel, parcel_of

GROUP_NS = 300_000_000


def alert(number: int = 1, severity: str = "high", **fields: Any) -> AlertRaised:
    given: dict[str, Any] = {
        "alert_id": f"a{number}", "rule_id": "venue_down", "severity": severity, "message": f"number {number} is down",
        "scope": f"venue:v{number}", "correlation_id": f"a{number}", "runbook": "docs/runbook/venue_down.md", **fields,
    }  # fmt: skip
    return AlertRaised(**given)


def outbox(*routes: Route) -> Outbox:
    return Outbox(routes or (Route(name="mail"),), GROUP_NS, lambda: 0.5)


def over(raised: AlertRaised) -> AlertResolved:
    return AlertResolved(alert_id=raised.alert_id, rule_id=raised.rule_id, scope=raised.scope)


def test_a_storm_is_one_message() -> None:
    """Three hundred alerts of one moment: one message; further ones as often as the rate allows."""
    box = outbox(Route(name="mail", per_minute=6))
    for number in range(300):
        box.take(alert(number), 0, number)
    assert box.due(GROUP_NS - 1) == []
    [parcel] = box.due(GROUP_NS)
    assert len(parcel.items) == 300
    assert words.title(parcel) == "[gambit high] 300 alerts, 0 resolved"
    assert "and 280 more" in words.text(parcel)
    box.sent(parcel)
    sent = 0
    for tick in range(600):  # an alert a second for ten minutes
        now_ns = tick * SECOND_NS
        box.take(alert(1000 + tick), now_ns, now_ns)
        for one in box.due(now_ns + GROUP_NS):
            sent += 1
            box.sent(one)
    assert 60 - 2 <= sent <= 60 + BURST


def test_severity_rules_and_ends_route() -> None:
    """A channel gets what it wants: by severity, by rule, with or without the ends; silenced ones nobody."""
    box = outbox(
        Route(name="phone", least="critical", tells_end=False),
        Route(name="mail", least="low"),
        Route(name="desk", rules=("unhedged",), least="low"),
    )
    low, critical = alert(1, "low"), alert(2, "critical", rule_id="unhedged")
    for fact in (low, critical, alert(3, "critical", is_silenced=True)):
        box.take(fact, 0, 0)
    got = {parcel.channel: [item.alert.alert_id for item in parcel.items] for parcel in box.due(GROUP_NS)}
    assert got == {"phone": ["a2"], "mail": ["a1", "a2"], "desk": ["a2"]}
    for name, items in got.items():
        box.sent(Parcel("", name, (), len(items)))
    for fact in (low, critical):
        box.take(over(fact), 1, 1)
    box.take(over(alert(3)), 1, 1)  # nobody was told that it began
    got = {parcel.channel: [item.news for item in parcel.items] for parcel in box.due(SECOND_NS)}
    assert got == {"mail": ["resolved", "resolved"], "desk": ["resolved"]}


def test_what_fails_is_tried_again_with_growing_waits() -> None:
    """The same message, the same id; dead after the last try."""
    box = outbox()
    box.take(alert(), 0, 0)
    now_ns, ids, waits = GROUP_NS, set(), []
    for attempt in range(1, TRIES + 1):
        [parcel] = box.due(now_ns)
        assert parcel.attempt == attempt
        ids.add(parcel.parcel_id)
        dead = box.failed(parcel, now_ns, is_final=False)
        if dead is None:
            assert box.next_due_ns is not None
            waits.append(box.next_due_ns - now_ns)
            assert box.due(box.next_due_ns - 1) == []
            now_ns = box.next_due_ns
    assert dead is not None
    assert [item.alert.alert_id for item in dead] == ["a1"]
    assert len(ids) == 1
    assert waits == [int(0.75 * SECOND_NS * 2**n) for n in range(TRIES - 1)]
    assert box.is_empty


def test_a_channel_may_ask_for_time() -> None:
    """Retry-After is kept to."""
    box = outbox()
    box.take(alert(), 0, 0)
    [parcel] = box.due(GROUP_NS)
    assert box.failed(parcel, GROUP_NS, is_final=False, wait_ns=30 * SECOND_NS) is None
    assert box.next_due_ns == GROUP_NS + 30 * SECOND_NS


def test_the_fallback_tells_it_once() -> None:
    """After two failures, or one that is final, the other channel has it; when that fails too it is dead."""
    box = outbox(Route(name="mail", fallback="slack"), Route(name="slack", fallback="mail", least="critical"))
    box.take(alert(), 0, 0)
    [parcel] = box.due(GROUP_NS)
    assert box.failed(parcel, GROUP_NS, is_final=True) == ()
    [other] = box.due(2 * GROUP_NS)
    assert (other.channel, other.items[0].via) == ("slack", "mail")
    assert "mail could not be reached" in words.text(other)
    dead = box.failed(other, 2 * GROUP_NS, is_final=True)
    assert dead is not None
    assert len(dead) == 1
    assert box.is_empty


def test_a_restart_loses_nothing() -> None:
    """What waited, was under way or was to be tried again waits in the next life; a channel that is gone is told of."""
    box = outbox(Route(name="mail"), Route(name="gone"))
    box.take(alert(1), 0, 0)
    first, _ = box.due(GROUP_NS)
    box.take(alert(2), 1, GROUP_NS)
    left = msgspec.json.decode(msgspec.json.encode(box.left(77)), type=Left)
    assert left.seq == 77
    again = outbox(Route(name="mail"))
    orphans = again.restore(left, 0)
    assert {item.alert.alert_id for item in orphans} == {"a1", "a2"}
    [parcel] = again.due(GROUP_NS)
    assert [item.alert.alert_id for item in parcel.items] == ["a1", "a2"]
    assert first.items[0] == parcel.items[0]
    again.sent(parcel)
    again.take(over(alert(1)), 5, 5)  # that it began is remembered
    assert again.due(SECOND_NS)[0].items[0].news == "resolved"


def test_there_is_an_end_to_waiting() -> None:
    """A channel holds so many items; the least severe go first, and are told of."""
    box = outbox(Route(name="mail", least="low"))
    box.take(alert(0, "critical"), 0, 0)
    for number in range(1, ITEMS_MAX + 10):
        box.take(alert(number, "low"), number, 0)
    assert len(box.dropped) == 10
    [parcel] = box.due(GROUP_NS)
    assert parcel.severity == "critical"
    assert len(parcel.items) == ITEMS_MAX


@settings(max_examples=60)
@given(st.lists(st.sampled_from(["take", "tick", "ok", "bad", "final", "crash"]), max_size=60))
def test_every_alert_ends_told_or_dead(steps: list[str]) -> None:
    """Whatever fails and whenever it restarts: each alert was delivered, is dead, or still waits."""
    routes = (Route(name="mail", fallback="slack"), Route(name="slack", least="critical"))
    box, now_ns, number = outbox(*routes), 0, 0
    seen: set[str] = set()
    under_way: list[Parcel] = []
    for step in steps:
        now_ns += SECOND_NS
        if step == "take":
            number += 1
            box.take(alert(number), now_ns, now_ns)
        elif step == "tick":
            under_way += box.due(now_ns)
        elif step == "crash":
            left, box, under_way = box.left(0), outbox(*routes), []
            assert box.restore(left, now_ns) == []
        elif under_way:
            parcel = under_way.pop()
            ids = {item.alert.alert_id for item in parcel.items}
            if step == "ok":
                box.sent(parcel)
                seen |= ids
            else:
                dead = box.failed(parcel, now_ns, is_final=step == "final")
                seen |= {item.alert.alert_id for item in dead or ()}
    waiting = {item.alert.alert_id for items in box.left(0).waiting.values() for item in items}
    assert seen | waiting == {f"a{n}" for n in range(1, number + 1)}


HOSTILE = "<b>x</b> [y](http://evil) & <!channel> ```code``` @all"


def test_words_are_inert_everywhere() -> None:
    """S38: what stands in an alert is no markup in Telegram, Slack or a mail's headers."""
    parcel = parcel_of("x", [Item("raised", alert(1, message=HOSTILE), 0)])
    told = words.telegram_html(parcel)
    assert "<b>x" not in told
    assert told.count("<") == 2  # our own <b>
    slack = words.slack(parcel)["text"]
    assert "<!channel>" not in slack
    assert slack.count("```") == 2
    reminded = parcel_of("x", [Item("reminded", alert(1), 0, "its silence is over")])
    assert "told again: its silence is over" in words.text(reminded)
    box = outbox()
    box.take(AlertReminded(raised=alert(1), reason="r"), 0, 0)
    assert box.due(GROUP_NS)[0].items[0].news == "reminded"


def test_a_parcels_id_tells_it_from_others() -> None:
    """The same news the same id, other news another."""
    items = [Item("raised", alert(1), 5)]
    assert parcel_of("a", items).parcel_id == parcel_of("a", items).parcel_id
    assert parcel_of("a", items).parcel_id != parcel_of("b", items).parcel_id
    assert parcel_of("a", items).parcel_id != parcel_of("a", [Item("resolved", alert(1), 5)]).parcel_id
    with pytest.raises(ValueError, match="empty"):
        _ = parcel_of("a", []).severity
