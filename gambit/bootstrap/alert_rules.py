"""The alert rules of a configuration: those built in, as it changes them, and its own."""

import difflib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from gambit.alerts import budget
from gambit.alerts.catalogue import BUILT_IN
from gambit.alerts.measuring import Numbers, check
from gambit.alerts.rule import RULE_ID, Action, Measure, Occurrence, Rule, Watch
from gambit.config import Config
from gambit.config.alerting import AlertRule
from gambit.events import KINDS
from gambit.surface.catalogue import METRICS
from gambit.surface.metrics import Registry

BUDGET_ACTIONS: Final[Mapping[str, tuple[tuple[Action, ...], tuple[Action, ...]]]] = {
    "none": ((), ()),
    "reduce": (("reduce",), ()),
    "halt": (("reduce",), ("halt",)),
}


class AlertRuleError(ValueError):
    """A rule of the configuration that cannot be; the text names it and says what to change."""


def rules_of(config: Config, numbers: Numbers) -> list[Rule]:
    """Every rule, those that are switched off too. Raises AlertRuleError."""
    built_in = (*BUILT_IN, *budget.rules(*BUDGET_ACTIONS[config.alerts.budget_action]))
    rules = {rule.rule_id: rule for rule in built_in}
    for wanted in config.alerts.rules:
        if RULE_ID.fullmatch(wanted.rule) is None:
            raise AlertRuleError(
                f'alerts.rules: "{wanted.rule}" is no name of a rule: a-z, 0-9 and _, from a letter on'
            )
        rule = _changed(rules.get(wanted.rule), wanted)
        try:
            for watch in rule.watches:
                for measure in watch.measures:
                    check(measure, numbers)
            _check_facts(rule)
        except KeyError as error:
            advice = _nearest(str(error.args[0]))
            raise AlertRuleError(f"alerts.rules {wanted.rule}: there is no metric {error}{advice}") from error
        except ValueError as error:
            raise AlertRuleError(f"alerts.rules {wanted.rule}: {error}") from error
        rules[rule.rule_id] = rule
    pages = config.alerts.runbook_url.rstrip("/")
    return [msgspec.structs.replace(rule, pages=pages) for rule in rules.values()]


def _nearest(metric: str) -> str:
    near = difflib.get_close_matches(metric, [one.name for one in METRICS], n=1)
    return f"; did you mean {near[0]}?" if near else "; docs/operations.md names them"


def _changed(known: Rule | None, wanted: AlertRule) -> Rule:
    if known is None and bool(wanted.metric) == bool(wanted.fact):
        raise AlertRuleError(f"alerts.rules {wanted.rule}: a rule of your own needs `metric` or `fact`, not both")
    base = known or Rule(rule_id=wanted.rule, severity="medium", message="{value}" if wanted.metric else wanted.fact)
    changes: dict[str, Any] = {"is_enabled": wanted.enabled}
    for name in ("severity", "message", "actions"):
        if getattr(wanted, name):
            changes[name] = getattr(wanted, name)
    for name in ("for_sec", "clear_sec", "hold_sec"):
        if getattr(wanted, name) is not None:
            changes[name] = float(getattr(wanted, name))
    if wanted.metric:
        changes |= {"watches": (_watch(wanted),), "starts": (), "ends": (), "seen": None}
    elif wanted.fact:
        changes |= {"starts": (_start(wanted),), "ends": (), "watches": (), "seen": None}
    elif base.watches and (wanted.threshold is not None or wanted.clear is not None or wanted.op is not None):
        changes["watches"] = tuple(_compared(watch, wanted) for watch in base.watches)
    return msgspec.structs.replace(base, **changes)


def _compared(watch: Watch, wanted: AlertRule) -> Watch:
    """A new threshold takes the old one's hysteresis away."""
    threshold = watch.threshold if wanted.threshold is None else float(wanted.threshold)
    clear = watch.clear if wanted.threshold is None else None
    return msgspec.structs.replace(
        watch,
        op=wanted.op or watch.op,
        threshold=threshold,
        clear=clear if wanted.clear is None else float(wanted.clear),
    )


def _watch(wanted: AlertRule) -> Watch:
    measure = Measure(
        metric=wanted.metric,
        how=wanted.how,
        window_sec=wanted.window_sec,
        by=wanted.by or None,
        only=_pairs(wanted.rule, wanted.labels),
        over=wanted.over,
        beyond=float(wanted.beyond),
    )
    return Watch(
        measures=(measure,),
        op=wanted.op or ">",
        threshold=float(wanted.threshold or 0),
        clear=None if wanted.clear is None else float(wanted.clear),
    )


def _start(wanted: AlertRule) -> Occurrence:
    return Occurrence(
        kind=wanted.fact,
        where=_pairs(wanted.rule, wanted.where),
        scope=wanted.scope,
        count=wanted.count,
        within_sec=wanted.within_sec,
    )


def _pairs(rule: str, texts: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    for text in texts:
        if "=" not in text:
            raise AlertRuleError(f'alerts.rules {rule}: "{text}" is not name=value')
    return tuple((text.partition("=")[0].strip(), text.partition("=")[2].strip()) for text in texts)


def _check_facts(rule: Rule) -> None:
    for start in rule.starts:
        if start.kind not in KINDS:
            raise ValueError(f"there is no fact {start.kind!r}; `gambit schema list` names them")
        fields = {field.name for field in msgspec.structs.fields(KINDS[start.kind])}
        unknown = {*start.scope, *(name for name, _ in start.where)} - fields
        if unknown:
            raise ValueError(f"{start.kind} has no field {', '.join(sorted(unknown))}")


class Metrics:
    """A registry as the rules read it: in base units, by label values."""

    def __init__(self, registry: Registry) -> None:
        self._families = registry.families

    def labels(self, metric: str) -> tuple[str, ...]:
        """See Numbers."""
        return self._families[metric].declared.labels

    def bounds(self, metric: str) -> tuple[float, ...]:
        """See Numbers."""
        declared = self._families[metric].declared
        return tuple(bound / declared.scale for bound in declared.bounds)

    def series(self, metric: str) -> list[tuple[tuple[str, ...], float]]:
        """See Numbers."""
        family = self._families[metric]
        scale = family.declared.scale
        return [(values, one.value / scale) for values, one in family.series.items()]

    def histograms(self, metric: str) -> list[tuple[tuple[str, ...], list[int]]]:
        """See Numbers."""
        return [(values, one.counts) for values, one in self._families[metric].histograms.items()]
