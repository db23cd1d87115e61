"""The rules at work: numbers once a tick, facts as they come; what comes out are facts.

What holds here: an alert is raised once per rule and scope and lasts until it is resolved; it is raised only after its
condition held for `for_sec` and is gone only after it was gone for `clear_sec`; a silence keeps people from being told,
never an alert from being raised or its action from being taken.
"""

import fnmatch
import uuid
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from gambit.alerts.case import AlertRow, Case, Kept, KeptAlert, SilenceRow
from gambit.alerts.measuring import Numbers, Reader
from gambit.alerts.rule import SECOND_NS, Occurrence, Rule, Watch, holds, inert, scope_text, within_scope, worded
from gambit.commands import Notify
from gambit.events import Fact, kind_of
from gambit.events.alerts import (
    AlertAcked,
    AlertFact,
    AlertRaised,
    AlertReminded,
    AlertResolved,
    AlertSilenced,
    AlertUnsilenced,
    Severity,
)
from gambit.model import rfc3339

CASES_MAX: Final = 500  # scopes of one rule; beyond them nothing more is raised for it, and counted
SILENCES_MAX: Final = 100
RECENT: Final = 500
SETTLE_NS: Final = 30 * SECOND_NS  # after a restart an alert is not taken for gone before
REMIND_NS: Final = 1800 * SECOND_NS
OPERATOR: Final = "operator"


class UnknownAlert(Exception):
    """No such alert or silence, or one that cannot be ended by hand; the text says which."""


class Engine:
    """All rules and their alerts. `numbers` are the metrics; ids come of `seed` and a counter."""

    def __init__(self, rules: Sequence[Rule], numbers: Numbers, seed: str, remind_ns: int = REMIND_NS) -> None:
        """Raises KeyError, ValueError for a rule about metrics that there are not."""
        self.rules = {rule.rule_id: rule for rule in rules if rule.is_enabled}
        self.silences: dict[str, AlertSilenced] = {}
        self.recent: deque[AlertRow] = deque(maxlen=RECENT)
        self.dropped = 0
        self.next_due_ns: int | None = None
        self.seed = seed
        self._made = 0
        self._remind_ns = remind_ns
        self._cases: defaultdict[str, dict[str, Case]] = defaultdict(dict)
        self._readers = [
            (rule, [(watch, [Reader(measure, numbers) for measure in watch.measures]) for watch in rule.watches])
            for rule in self.rules.values()
            if rule.watches
        ]
        self._starts = _by_kind((rule, start) for rule in self.rules.values() for start in rule.starts)
        self._ends = _by_kind((rule, end) for rule in self.rules.values() for end in rule.ends)
        self._times: defaultdict[tuple[str, str], deque[int]] = defaultdict(deque)

    # ---- what comes in ----

    def tick(self, now_ns: int) -> list[AlertFact]:
        """Look at every number and at what is due."""
        found: list[AlertFact] = []
        for rule, watches in self._readers:
            found += self._look(rule, watches, now_ns)
        for rule_id, cases in self._cases.items():
            for scope in list(cases):
                found += self._age(rule_id, scope, cases[scope], now_ns)
        for silence in list(self.silences.values()):
            if now_ns >= silence.until_ns:
                found += self._unsilence(silence.silence_id, "gambit", now_ns)
        self.next_due_ns = min(self._dues(), default=None)
        return found

    def hear(self, fact: Fact, now_ns: int) -> list[AlertFact]:
        """A fact was written down."""
        kind = kind_of(fact)
        found: list[AlertFact] = []
        for rule, end in self._ends.get(kind, ()):
            if end.matches(fact):
                found += self._end(rule, end.scope_of(fact), now_ns)
        for rule, start in self._starts.get(kind, ()):
            if start.matches(fact):
                found += self._start(rule, start, fact, now_ns)
        return found

    def notice(self, notice: Notify, now_ns: int) -> list[AlertFact]:
        """The desk tells something. What a rule sees in facts by itself is left to it."""
        rule = self.rules.get(notice.rule_id)
        if rule is not None and (rule.watches or rule.starts):
            return []
        if rule is None:
            rule = Rule(rule_id=notice.rule_id, severity=notice.severity, message="{message}")
            self.rules[notice.rule_id] = rule
        text = worded(rule, {"message": notice.message, "scope": notice.scope})
        return self._occurred(rule, inert(notice.scope), text, notice.scope, now_ns)

    def create(
        self, severity: Severity, message: str, scope: str, by: str, now_ns: int, rule_id: str = OPERATOR
    ) -> AlertRaised:
        """A person raises an alert; it lasts until a person resolves it."""
        self.rules.setdefault(rule_id, Rule(rule_id=rule_id, severity=severity, message="{message}"))
        case = Case(now_ns, inert(message))
        raised = self._raised(self.rules[rule_id], inert(scope), case, "", now_ns, severity=severity, user_id=by)
        self._cases[rule_id][f"{scope}#{raised.alert_id}"] = case
        return raised

    # ---- what people do ----

    def ack(self, alert_id: str, by: str) -> AlertAcked:
        """Somebody takes care of it. Raises UnknownAlert."""
        _, _, case = self._find(alert_id)
        case.acked_by = by
        return AlertAcked(alert_id=alert_id, by=by)

    def resolve(self, alert_id: str, by: str, now_ns: int) -> AlertResolved:
        """Somebody says that it is over. Raises UnknownAlert, also where the numbers say that it goes on."""
        rule_id, scope, case = self._find(alert_id)
        rule = self.rules.get(rule_id)
        if rule is not None and rule.watches and case.gone_ns is None:
            raise UnknownAlert(f"alert {alert_id}: its condition still holds; silence it instead")
        return self._over(rule_id, scope, case, by, now_ns)

    def silence(
        self, rule_id: str, scope: str, for_ns: int, reason: str, by: str, now_ns: int
    ) -> tuple[AlertSilenced, ...]:
        """Tell nobody for a time. Raises UnknownAlert for a rule that there is not, and for one silence too many."""
        if rule_id and rule_id not in self.rules:
            raise UnknownAlert(f"no rule {rule_id!r}; there are {', '.join(sorted(self.rules))}")
        if len(self.silences) >= SILENCES_MAX:
            raise UnknownAlert(f"{SILENCES_MAX} silences are in force; end one first")
        fact = AlertSilenced(
            silence_id=self._id("silence", rule_id, now_ns), rule_id=rule_id, scope=inert(scope),
            until_ns=now_ns + for_ns, reason=inert(reason), by=by,
        )  # fmt: skip
        self.silences[fact.silence_id] = fact
        return (fact,)

    def unsilence(self, silence_id: str, by: str, now_ns: int) -> list[AlertFact]:
        """End a silence; what goes on behind it is told now. Raises UnknownAlert."""
        if silence_id not in self.silences:
            raise UnknownAlert(f"no silence {silence_id!r}")
        return self._unsilence(silence_id, by, now_ns)

    def is_silenced(self, rule_id: str, scope: str) -> bool:
        """Whether a silence covers it."""
        return any(
            silence.rule_id in ("", rule_id) and within_scope(silence.scope, scope)
            for silence in self.silences.values()
        )

    # ---- what can be seen ----

    def alerts(self) -> list[AlertRow]:
        """What is raised now, then what was, newest first."""
        standing = [
            self._row(case)
            for cases in self._cases.values()
            for case in cases.values()
            if case.raised is not None
        ]  # fmt: skip
        return sorted(standing, key=lambda row: -row.created_ns) + list(self.recent)

    def silenced(self) -> list[SilenceRow]:
        """The silences in force."""
        return [
            SilenceRow(
                silence_id=s.silence_id, rule_id=s.rule_id, scope=s.scope, until_ns=s.until_ns, reason=s.reason, by=s.by
            )
            for s in self.silences.values()
        ]  # fmt: skip

    def firing(self, rule_id: str) -> int:
        """How many alerts of a rule are raised."""
        return sum(case.raised is not None for case in self._cases.get(rule_id, {}).values())

    # ---- over a restart ----

    def kept(self, seq: int) -> Kept:
        """What has to outlive the process."""
        alerts = [
            KeptAlert(case.raised, case.raised_ns, case.until_ns, case.acked_by)
            for cases in self._cases.values()
            for case in cases.values()
            if case.raised is not None
        ]
        return Kept(seq, alerts, list(self.silences.values()))

    def restore(self, kept: Kept, later: Iterable[tuple[object, int]], now_ns: int) -> list[AlertFact]:
        """Begin where an earlier life ended: what it kept, and the facts (with their times) it wrote after that.
        Gives the ends of alerts whose rule is gone."""
        self.silences = {silence.silence_id: silence for silence in kept.silences}
        standing = {alert.raised.alert_id: alert for alert in kept.alerts}
        for fact, at_ns in later:
            self._follow(standing, fact, at_ns)
        ended: list[AlertFact] = []
        for alert in standing.values():
            raised = alert.raised
            if raised.rule_id not in self.rules and raised.rule_id != OPERATOR:
                ended.append(
                    AlertResolved(alert_id=raised.alert_id, rule_id=raised.rule_id, scope=raised.scope, by="no rule")
                )
                continue
            self._adopt(alert, now_ns)
        return ended

    def _follow(self, standing: dict[str, KeptAlert], fact: object, at_ns: int) -> None:
        match fact:
            case AlertRaised():
                standing[fact.alert_id] = KeptAlert(fact, at_ns)
            case AlertResolved():
                standing.pop(fact.alert_id, None)
            case AlertAcked() if fact.alert_id in standing:
                was = standing[fact.alert_id]
                standing[fact.alert_id] = KeptAlert(was.raised, was.raised_ns, was.until_ns, fact.by)
            case AlertSilenced():
                self.silences[fact.silence_id] = fact
            case AlertUnsilenced():
                self.silences.pop(fact.silence_id, None)

    def _adopt(self, alert: KeptAlert, now_ns: int) -> None:
        raised = alert.raised
        case = Case(alert.raised_ns, raised.message)
        case.raised, case.raised_ns, case.told_ns, case.acked_by = raised, alert.raised_ns, now_ns, alert.acked_by
        case.held_until_ns, case.until_ns = now_ns + SETTLE_NS, alert.until_ns
        rule = self.rules.get(raised.rule_id)
        scope = raised.scope
        if raised.rule_id == OPERATOR:
            self.rules.setdefault(OPERATOR, Rule(rule_id=OPERATOR, severity=raised.severity, message="{message}"))
            scope = f"{scope}#{raised.alert_id}"
        elif rule is not None and not rule.watches and not rule.ends and case.until_ns is None:
            case.until_ns = alert.raised_ns + int(rule.hold_sec * SECOND_NS)
        self._cases[raised.rule_id][scope] = case

    # ---- numbers ----

    def _look(self, rule: Rule, watches: Sequence[tuple[Watch, list[Reader]]], now_ns: int) -> Iterator[AlertFact]:
        cases = self._cases[rule.rule_id]
        seen: set[str] = set()
        for watch, readers in watches:
            for values, value in _all_of(watch, readers, now_ns):
                if not cases and not holds(watch.op, value, watch.threshold):
                    continue
                labels = dict(zip(readers[0].names, values, strict=True))
                scope = scope_text({"slo": watch.name, **labels} if watch.name else labels)
                case = cases.get(scope)
                if not holds(watch.op, value, watch.threshold) and (
                    case is None
                    or case.raised is None
                    or watch.clear is None
                    or not holds(watch.op, value, watch.clear)
                ):
                    continue
                seen.add(scope)
                text = worded(rule, {**labels, "slo": watch.name}, value)
                case = case or self._new(cases, scope, now_ns, text)
                if case is not None:
                    case.text, case.gone_ns = text, None
        for scope, case in list(cases.items()):
            if scope not in seen:
                self._gone(rule.rule_id, scope, case, now_ns)
            elif case.raised is None and now_ns - case.since_ns >= rule.for_ns:
                yield from self._raise(rule, scope, case, "", now_ns)

    def _gone(self, rule_id: str, scope: str, case: Case, now_ns: int) -> None:
        if case.raised is None:
            del self._cases[rule_id][scope]
        elif case.gone_ns is None:
            case.gone_ns = now_ns

    # ---- facts ----

    def _start(self, rule: Rule, start: "_Start", fact: Fact, now_ns: int) -> list[AlertFact]:
        labels = start.scope_of(fact)
        if start.occurrence.count > 1 and not self._is_enough(rule, start.occurrence, labels, now_ns):
            return []
        fields = {name: getattr(fact, name) for name in fact.__struct_fields__}
        correlation = str(fields.get(start.occurrence.correlation, ""))
        return self._occurred(rule, scope_text(labels), worded(rule, fields), correlation, now_ns)

    def _is_enough(self, rule: Rule, occurrence: Occurrence, labels: Mapping[str, str], now_ns: int) -> bool:
        key = (rule.rule_id, scope_text(labels))
        if key not in self._times and len(self._times) >= CASES_MAX:
            self._times.clear()
        times = self._times[key]
        times.append(now_ns)
        while times[0] < now_ns - occurrence.within_sec * SECOND_NS:
            times.popleft()
        if len(times) > occurrence.count:
            times.popleft()
        return len(times) >= occurrence.count

    def _occurred(self, rule: Rule, scope: str, text: str, correlation: str, now_ns: int) -> list[AlertFact]:
        cases = self._cases[rule.rule_id]
        case = cases.get(scope) or self._new(cases, scope, now_ns, text)
        if case is None:
            return []
        case.gone_ns = None
        case.until_ns = None if rule.ends else now_ns + int(rule.hold_sec * SECOND_NS)
        if case.raised is not None or rule.for_ns:
            due_ns = case.since_ns + rule.for_ns
            if case.raised is None and (self.next_due_ns is None or due_ns < self.next_due_ns):
                self.next_due_ns = due_ns
            return []
        return self._raise(rule, scope, case, correlation, now_ns)

    def _end(self, rule: Rule, labels: Mapping[str, str], now_ns: int) -> list[AlertFact]:
        found: list[AlertFact] = []
        wanted = scope_text(labels)
        for scope, case in list(self._cases[rule.rule_id].items()):
            if not within_scope(wanted, scope):
                continue
            self._gone(rule.rule_id, scope, case, now_ns)
            if case.raised is not None and not rule.clear_ns:
                found.append(self._over(rule.rule_id, scope, case, "gambit", now_ns))
        return found

    # ---- both ----

    def _new(self, cases: dict[str, Case], scope: str, now_ns: int, text: str) -> Case | None:
        if len(cases) >= CASES_MAX:
            self.dropped += 1
            return None
        case = cases[scope] = Case(now_ns, text)
        return case

    def _age(self, rule_id: str, scope: str, case: Case, now_ns: int) -> Iterator[AlertFact]:
        """What time alone does to a case."""
        rule = self.rules[rule_id]
        if case.raised is None:
            if not rule.watches and case.gone_ns is None and now_ns - case.since_ns >= rule.for_ns:
                yield from self._raise(rule, scope, case, "", now_ns)
            return
        is_gone = case.gone_ns is not None and now_ns - case.gone_ns >= rule.clear_ns
        is_past = case.until_ns is not None and now_ns >= case.until_ns and not rule.watches
        if (is_gone and now_ns >= case.held_until_ns) or is_past:
            yield self._over(rule_id, scope, case, "gambit", now_ns)
        elif self._is_to_be_reminded_of(case, now_ns):
            case.told_ns = now_ns
            if not self.is_silenced(rule_id, case.raised.scope):
                yield AlertReminded(raised=case.raised, reason="nobody has taken care of it")

    def _is_to_be_reminded_of(self, case: Case, now_ns: int) -> bool:
        return (
            self._remind_ns > 0
            and case.raised is not None
            and case.raised.severity == "critical"
            and not case.acked_by
            and now_ns - case.told_ns >= self._remind_ns
        )

    def _raise(self, rule: Rule, scope: str, case: Case, correlation: str, now_ns: int) -> list[AlertFact]:
        return [self._raised(rule, scope, case, correlation, now_ns)]

    def _raised(
        self, rule: Rule, scope: str, case: Case, correlation: str, now_ns: int, *,
        severity: Severity | None = None, user_id: str = "",
    ) -> AlertRaised:  # fmt: skip
        alert_id = self._id(rule.rule_id, scope, now_ns)
        case.raised = AlertRaised(
            alert_id=alert_id,
            rule_id=rule.rule_id,
            severity=severity or rule.severity,
            message=case.text,
            scope=scope,
            correlation_id=correlation or alert_id,
            runbook=rule.runbook,
            is_silenced=self.is_silenced(rule.rule_id, scope),
            user_id=user_id,
        )
        case.raised_ns = case.told_ns = now_ns
        return case.raised

    def _over(self, rule_id: str, scope: str, case: Case, by: str, now_ns: int) -> AlertResolved:
        assert case.raised is not None  # noqa: S101 - only what was raised can be over
        del self._cases[rule_id][scope]
        self.recent.appendleft(self._row(case, now_ns))
        return AlertResolved(alert_id=case.raised.alert_id, rule_id=rule_id, scope=case.raised.scope, by=by)

    def _unsilence(self, silence_id: str, by: str, _now_ns: int) -> list[AlertFact]:
        silence = self.silences.pop(silence_id)
        found: list[AlertFact] = [AlertUnsilenced(silence_id=silence_id, by=by)]
        for cases in self._cases.values():
            for case in cases.values():
                raised = case.raised
                if (
                    raised is not None
                    and silence.rule_id in ("", raised.rule_id)
                    and within_scope(silence.scope, raised.scope)
                    and not self.is_silenced(raised.rule_id, raised.scope)
                ):
                    found.append(AlertReminded(raised=raised, reason="its silence is over"))
        return found

    def _dues(self) -> Iterator[int]:
        for rule_id, cases in self._cases.items():
            rule = self.rules[rule_id]
            for case in cases.values():
                if case.raised is None:
                    yield case.since_ns + rule.for_ns
                elif case.gone_ns is not None:
                    yield max(case.gone_ns + rule.clear_ns, case.held_until_ns)

    def _find(self, alert_id: str) -> tuple[str, str, Case]:
        for rule_id, cases in self._cases.items():
            for scope, case in cases.items():
                if case.raised is not None and case.raised.alert_id == alert_id:
                    return rule_id, scope, case
        raise UnknownAlert(f"no alert {alert_id!r} is raised; `gambit alerts list` names those that are")

    def _row(self, case: Case, resolved_ns: int | None = None) -> AlertRow:
        raised = case.raised
        assert raised is not None  # noqa: S101 - rows are of what was raised
        return AlertRow(
            alert_id=raised.alert_id, rule_id=raised.rule_id, severity=raised.severity, message=case.text,
            scope=raised.scope, correlation_id=raised.correlation_id, runbook=raised.runbook,
            created_ns=case.raised_ns, resolved_ns=resolved_ns, created_at=rfc3339(case.raised_ns),
            resolved_at=None if resolved_ns is None else rfc3339(resolved_ns), user_id=raised.user_id,
            acked_by=case.acked_by,
            is_silenced=self.is_silenced(raised.rule_id, raised.scope),
        )  # fmt: skip

    def _id(self, *parts: object) -> str:
        self._made += 1
        name = "|".join(map(str, ("alert", self.seed, self._made, *parts)))
        return str(uuid.uuid5(uuid.NAMESPACE_OID, name))


class _Start:
    """An occurrence with its patterns ready."""

    __slots__ = ("_exact", "_patterns", "occurrence")

    def __init__(self, occurrence: Occurrence) -> None:
        self.occurrence = occurrence
        self._exact = [(name, text) for name, text in occurrence.where if "*" not in text]
        self._patterns = [(name, text) for name, text in occurrence.where if "*" in text]

    def matches(self, fact: Fact) -> bool:
        """Whether the fact's fields look as told."""
        return all(str(getattr(fact, name, "")) == text for name, text in self._exact) and all(
            fnmatch.fnmatchcase(str(getattr(fact, name, "")), text) for name, text in self._patterns
        )

    def scope_of(self, fact: Fact) -> dict[str, str]:
        """The fields that make the scope; a field that says so already gives all of it."""
        return {name: str(getattr(fact, name, "")) for name in self.occurrence.scope}


def _by_kind(found: Iterable[tuple[Rule, Occurrence]]) -> dict[str, list[tuple[Rule, _Start]]]:
    kinds: defaultdict[str, list[tuple[Rule, _Start]]] = defaultdict(list)
    for rule, occurrence in found:
        kinds[occurrence.kind].append((rule, _Start(occurrence)))
    return dict(kinds)


def _all_of(watch: Watch, readers: Sequence[Reader], now_ns: int) -> Iterator[tuple[tuple[str, ...], float]]:
    """The first measure's numbers; where there are several, of those that all stand in the relation the first, of the
    others the one that speaks most against it."""
    first, *others = [reader.read(now_ns) for reader in readers]
    if not others:
        yield from first.items()
        return
    worst = min if watch.op in (">", ">=") else max
    for scope, value in first.items():
        if all(scope in other for other in others):
            yield scope, worst([value, *(other[scope] for other in others)])
