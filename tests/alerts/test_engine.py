"""The rules at work: each speaks once, when its case says so; facts, notices, silences, restarts."""

from array import array
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambit.alerts.case import Kept
from gambit.alerts.catalogue import BUILT_IN
from gambit.alerts.engine import CASES_MAX, Engine, UnknownAlert
from gambit.alerts.measuring import Point, quantile
from gambit.alerts.rule import SECOND_NS, Measure, Rule, Watch, inert, scope_text, worded
from gambit.commands import Notify
from gambit.events import read, written
from gambit.events.access import RefreshReused
from gambit.events.alerts import AlertRaised, AlertReminded, AlertResolved, AlertSilenced, AlertUnsilenced
from gambit.events.feed import FeedDown
from gambit.events.operation import TradingStateChanged
from gambit.events.orders import Rejected, ScopeReleased
from tests.alerts.cases import CASES, Case, value_at
from tests.alerts.numbers import FakeNumbers

DOWN = Rule(
    rule_id="down",
    severity="high",
    message="{venue} is down",
    watches=(Watch(measures=(Measure(metric="gambit_feed_up"),), op="==", threshold=0),),
    for_sec=10,
    clear_sec=5,
)
LATE = Rule(
    rule_id="late",
    severity="critical",
    message="{value} behind",
    watches=(Watch(measures=(Measure(metric="gambit_store_lag_records"),), threshold=100, clear=50),),
)


class Bench:
    """An engine with its clock and numbers."""

    def __init__(self, *rules: Rule, remind_ns: int = 0) -> None:
        self.numbers = FakeNumbers()
        self.engine = Engine(rules or BUILT_IN, self.numbers, "seed", remind_ns)
        self.now_ns = 1_000_000 * SECOND_NS

    def up(self, value: int, venue: str = "okx") -> None:
        self.numbers.set(f'gambit_feed_up{{venue="{venue}"}}', value)

    def pass_(self, seconds: float, step: float = 1.0) -> list[Any]:
        """Ticks for so long; what came of them."""
        found: list[Any] = []
        end_ns = self.now_ns + int(seconds * SECOND_NS)
        while self.now_ns < end_ns:
            self.now_ns += int(step * SECOND_NS)
            found += self.engine.tick(self.now_ns)
        return found

    def hear(self, fact: Any) -> list[Any]:
        return self.engine.hear(fact, self.now_ns)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule_id)
def test_each_rule_speaks_as_its_case_says(case: Case) -> None:
    """The same table that promtool runs: silent at first, then raised once, for that scope only."""
    bench = Bench(case.rule)
    start_ns = bench.now_ns
    raised: list[AlertRaised] = []
    for second in range(0, case.fires_sec + 1, max(1, case.interval_sec // 5)):
        for series, notation in case.series.items():
            name = series.partition("{")[0]
            if not name.endswith("_count"):
                bench.numbers.set(series, value_at(notation, second // case.interval_sec))
        found = bench.engine.tick(start_ns + second * SECOND_NS)
        raised += [fact for fact in found if isinstance(fact, AlertRaised)]
        assert second > case.silent_sec or not raised or case.silent_sec == 0, second
    assert [fact.scope for fact in raised] == [scope_text(case.labels)]
    assert raised[0].severity == case.rule.severity
    assert raised[0].runbook == f"docs/runbook/{case.rule_id}.md"
    assert "{" not in raised[0].message


def test_an_alert_waits_lasts_and_ends() -> None:
    """Raised after for_sec, not again while it lasts, resolved after clear_sec; a short return changes nothing."""
    bench = Bench(DOWN)
    bench.up(1)
    assert bench.pass_(30) == []
    bench.up(0)
    assert bench.pass_(10) == []
    bench.up(1)
    bench.pass_(1)
    bench.up(0)  # the wait begins anew
    assert bench.pass_(10) == []
    assert bench.engine.next_due_ns == bench.now_ns + SECOND_NS
    [raised] = bench.pass_(1)
    assert isinstance(raised, AlertRaised)
    assert (raised.scope, raised.message) == ("venue:okx", "okx is down")
    assert bench.pass_(100) == []
    bench.up(1)
    assert bench.pass_(4) == []
    bench.up(0)
    assert bench.pass_(20) == []
    bench.up(1)
    [over] = bench.pass_(10)
    assert isinstance(over, AlertResolved)
    assert over.alert_id == raised.alert_id
    [row] = bench.engine.alerts()
    assert row.resolved_ns is not None
    bench.up(0)
    [again] = bench.pass_(11)
    assert again.alert_id != raised.alert_id


def test_hysteresis() -> None:
    """Raised beyond the threshold, over only below the other one."""
    bench = Bench(LATE)
    seen = []
    for lag in (99, 101, 80, 51, 120, 50, 99, 101):
        bench.numbers.set("gambit_store_lag_records", lag)
        seen.append([type(fact).__name__ for fact in bench.pass_(1)])
    assert seen == [[], ["AlertRaised"], [], [], [], ["AlertResolved"], [], ["AlertRaised"]]


def test_each_scope_is_an_alert_of_its_own_up_to_a_limit() -> None:
    """A venue more is an alert more; what is beyond the limit is counted and not raised."""
    bench = Bench(DOWN)
    for number in range(CASES_MAX + 7):
        bench.up(0, f"v{number}")
    found = bench.pass_(12)
    assert len({fact.scope for fact in found}) == len(found) == CASES_MAX
    assert bench.engine.dropped > 0


def test_facts_are_heard_at_once() -> None:
    """The trading state: raised and resolved by facts, in the call that brings them."""
    bench = Bench()
    halted = TradingStateChanged(state="HALTED", was="ACTIVE", reason="loss\nlimit", by="desk")
    [raised] = bench.hear(halted)
    assert (raised.rule_id, raised.severity, raised.message) == (
        "halted", "critical", "trading is halted by desk: loss limit",
    )  # fmt: skip
    assert bench.hear(halted) == []
    found = bench.hear(TradingStateChanged(state="REDUCING", was="HALTED", reason="", by="x"))
    assert [type(fact).__name__ for fact in found] == ["AlertResolved", "AlertRaised"]


def test_facts_are_counted_and_count_for_a_time() -> None:
    """Ten ended connections within five minutes; the alert is over five minutes after the last one."""
    bench = Bench()
    down = FeedDown(venue="okx", conn="okx/0", reason="idle")
    for _ in range(9):
        assert bench.hear(down) == []
        bench.pass_(10)
    [raised] = bench.hear(down)
    assert (raised.rule_id, raised.scope) == ("venue_flapping", "venue:okx")
    assert bench.pass_(299) == []
    [over] = bench.pass_(2)
    assert over.alert_id == raised.alert_id


def test_a_fact_has_to_look_as_told() -> None:
    """A refused key is critical at once, any other refusal is none yet; a reused refresh token is seen."""
    bench = Bench()
    assert bench.hear(Rejected(key="gb1", venue="okx", code="51008", text="balance")) == []
    [raised] = bench.hear(Rejected(key="gb2", venue="okx", code="50113", category="auth", text="signature"))
    assert (raised.rule_id, raised.correlation_id, raised.scope) == ("auth_refused", "gb2", "venue:okx")
    [stolen] = bench.hear(RefreshReused(session_id="s1", user_id="u1", address="192.0.2.1"))
    assert (stolen.rule_id, stolen.severity) == ("refresh_token_reused", "critical")


def test_the_desks_notices() -> None:
    """A notice is an alert of its rule; what a rule sees by itself is not said twice; an unknown one is told too."""
    bench = Bench()
    unhedged = Notify(rule_id="unhedged", severity="critical", message="0.5 BTC", scope="BTC-USDT")
    [raised] = bench.engine.notice(unhedged, bench.now_ns)
    assert (raised.rule_id, raised.message, raised.scope) == ("unhedged", "0.5 BTC", "BTC-USDT")
    assert bench.engine.notice(unhedged, bench.now_ns) == []
    assert bench.engine.notice(Notify(rule_id="halted", severity="critical", message="x"), bench.now_ns) == []
    [strange] = bench.engine.notice(Notify(rule_id="strange", severity="low", message="y"), bench.now_ns)
    assert strange.severity == "low"
    halted = Notify(rule_id="scope_halted", severity="high", message="z", scope="symbol:BTC-USDT")
    [raised] = bench.engine.notice(halted, bench.now_ns)
    assert bench.hear(ScopeReleased(scope="symbol:ETH-USDT", by="x")) == []
    [over] = bench.hear(ScopeReleased(scope="symbol:BTC-USDT", by="x"))
    assert over.alert_id == raised.alert_id


def test_silence() -> None:
    """A silenced alert is raised and marked; when the silence is over and it goes on, it is told."""
    bench = Bench(DOWN)
    [silenced] = bench.engine.silence("down", "venue:okx", 60 * SECOND_NS, "works", "ann", bench.now_ns)
    bench.up(0)
    bench.up(0, "kraken")
    raised = {fact.scope: fact for fact in bench.pass_(12)}
    assert raised["venue:okx"].is_silenced
    assert not raised["venue:kraken"].is_silenced
    found = bench.pass_(60)
    assert found == [
        AlertUnsilenced(silence_id=silenced.silence_id, by="gambit"),
        AlertReminded(raised=raised["venue:okx"], reason="its silence is over"),
    ]
    with pytest.raises(UnknownAlert, match="no rule 'nix'"):
        bench.engine.silence("nix", "", SECOND_NS, "", "ann", bench.now_ns)
    with pytest.raises(UnknownAlert, match="no silence"):
        bench.engine.unsilence(silenced.silence_id, "ann", bench.now_ns)


def test_a_critical_alert_that_nobody_takes_is_told_again() -> None:
    """After the time set, until somebody takes it."""
    bench = Bench(LATE, remind_ns=100 * SECOND_NS)
    bench.numbers.set("gambit_store_lag_records", 1000)
    [raised, reminded] = bench.pass_(150)
    assert reminded == AlertReminded(raised=raised, reason="nobody has taken care of it")
    bench.engine.ack(raised.alert_id, "ann")
    assert bench.pass_(300) == []
    assert bench.engine.alerts()[0].acked_by == "ann"


def test_what_a_person_raises_and_ends() -> None:
    """It lasts until it is resolved; what the numbers say cannot be resolved by hand."""
    bench = Bench(DOWN)
    first = bench.engine.create("high", "look\x1b[31m at this", "", "ann", bench.now_ns)
    second = bench.engine.create("low", "and that", "", "ann", bench.now_ns)
    assert (first.message, first.user_id, first.rule_id) == ("look [31m at this", "ann", "operator")
    assert bench.pass_(5000, step=100) == []
    assert {row.alert_id for row in bench.engine.alerts()} == {first.alert_id, second.alert_id}
    assert bench.engine.resolve(first.alert_id, "bob", bench.now_ns).by == "bob"
    with pytest.raises(UnknownAlert):
        bench.engine.resolve(first.alert_id, "bob", bench.now_ns)
    bench.up(0)
    [raised] = bench.pass_(12)
    with pytest.raises(UnknownAlert, match="still holds"):
        bench.engine.resolve(raised.alert_id, "bob", bench.now_ns)


def test_a_restart_takes_up_what_was() -> None:
    """Raised alerts are not raised again, silences go on; what a later record says counts; a rule that is gone ends."""
    bench = Bench(DOWN, LATE)
    bench.up(0)
    bench.up(0, "kraken")
    bench.numbers.set("gambit_store_lag_records", 1000)
    facts = {fact.scope: fact for fact in bench.pass_(12)}
    [silenced] = bench.engine.silence("", "venue:okx", 3600 * SECOND_NS, "", "ann", bench.now_ns)
    kept = msgspec.json.decode(msgspec.json.encode(bench.engine.kept(7)), type=Kept)
    assert kept.seq == 7
    later = [(AlertResolved(alert_id=facts["venue:kraken"].alert_id, rule_id="down", scope="venue:kraken"), 0)]
    again = Bench(DOWN)
    again.now_ns = bench.now_ns
    [ended] = again.engine.restore(kept, later, again.now_ns)
    assert (ended.rule_id, ended.alert_id) == ("late", facts[""].alert_id)
    assert [row.alert_id for row in again.engine.alerts()] == [facts["venue:okx"].alert_id]
    assert [row.silence_id for row in again.engine.silenced()] == [silenced.silence_id]
    assert again.pass_(29) == []  # numbers need a moment to be there
    again.up(0)
    assert again.pass_(60) == []
    again.up(1)
    [over] = again.pass_(10)
    assert over.alert_id == facts["venue:okx"].alert_id


def test_facts_survive_the_journal() -> None:
    """Every fact reads back as it was written."""
    bench = Bench(LATE, remind_ns=SECOND_NS)
    bench.numbers.set("gambit_store_lag_records", 1000)
    facts = bench.pass_(3)
    facts.append(bench.engine.ack(facts[0].alert_id, "ann"))
    facts += bench.engine.silence("late", "", SECOND_NS, "", "ann", bench.now_ns)
    assert isinstance(facts[-1], AlertSilenced)
    bench.numbers.set("gambit_store_lag_records", 0)
    facts += bench.pass_(3)
    assert {type(fact).__name__ for fact in facts} >= {"AlertRaised", "AlertReminded", "AlertAcked", "AlertResolved"}
    for fact in facts:
        assert read(*written(fact)) == fact


@given(st.text(max_size=50))
def test_words_are_inert(text: str) -> None:
    """S38: whatever a venue says, a message is one printable line, and its blanks are not filled twice."""
    rule = Rule(rule_id="x", severity="low", message="a {reason} b")
    told = worded(rule, {"reason": text, "secret": "no"})
    assert "\n" not in told
    assert not any(ord(char) < 32 or char in "\u2028\u2029\x7f" for char in told)
    assert told == f"a {inert(text)} b"
    assert worded(rule, {"reason": "{secret}", "secret": "no"}) == "a {secret} b"


@given(st.lists(st.integers(0, 50), min_size=4, max_size=4), st.sampled_from([0.5, 0.95, 0.99]))
def test_quantiles_lie_within_their_bucket(counts: list[int], share: float) -> None:
    """At least `share` of the observations are at or below the upper bound of the bucket it falls into."""
    bounds = (1.0, 2.0, 4.0)
    value = quantile(share, bounds, [float(count) for count in counts])
    total = sum(counts)
    if not total:
        assert value != value
        return
    below = sum(count for count, low in zip(counts, (0.0, 1.0, 2.0), strict=False) if low < value)
    assert below >= share * total - 1e-9 or value == bounds[-1]


def test_numbers_are_worded_with_their_unit() -> None:
    """Seconds, shares, plain numbers; no float noise."""
    for unit, value, text in (("s", 0.0334, "33.4 ms"), ("s", 12.5, "12.5 s"), ("share", 0.125, "12.5 %")):
        rule = Rule(rule_id="x", severity="low", message="{value}", unit=unit)  # type: ignore[arg-type]
        assert worded(rule, {}, value) == text
    assert worded(Rule(rule_id="x", severity="low", message="{value}"), {}, float(Decimal("295"))) == "295"


def test_an_earlier_reading_comes_back_as_it_was() -> None:
    """Of counters one number a scope, of histograms all buckets; before the first there is none."""
    scopes = (("okx",), ("kraken",))
    assert Point(1, scopes, array("d", [1, 2])).by_scope() == {("okx",): [1.0], ("kraken",): [2.0]}
    assert Point(1, scopes, array("d", range(6))).by_scope() == {
        ("okx",): [0.0, 1.0, 2.0],
        ("kraken",): [3.0, 4.0, 5.0],
    }
    assert Point(1, (), array("d")).by_scope() == {}
