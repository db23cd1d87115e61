"""The rules as Prometheus rules: the same thresholds, times and words, for who watches from outside.

A number is the same expression over the same metric; hysteresis looks at Prometheus' own ALERTS. What is a fact here
is seen outside by its gauge, where there is one, else by the count of raised alerts.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from gambit.alerts.measuring import QUANTILES, Numbers, scope_names
from gambit.alerts.rule import Measure, Rule, Unit, Watch

# Prometheus alone can see that nobody answers.
DOWN: Final = Rule(rule_id="down", severity="critical", message="gambit on {instance} does not answer", for_sec=30)
HUMANIZED: Final[dict[Unit, str]] = {"s": "humanizeDuration", "share": "humanizePercentage", "": "humanize"}
HEAD: Final = """\
# What is worth waking somebody for: the daemon's own alert rules as `gambit alerts export` writes them, for Prometheus.
# `severity`: critical (now), high (within minutes), medium (today), low (good to know). `promtool test rules
# alerts_test.yml` proves each of them.
"""


def prometheus(rules: Iterable[Rule], numbers: Numbers) -> str:
    """A rule file (YAML, its strings as JSON writes them)."""
    rules = [rule for rule in rules if rule.is_enabled and rule.rule_id not in ("operator", "test")]
    lines = [HEAD + "groups:", "  - name: gambit-down", "    rules:"]
    lines += _alert(DOWN, 'up{job="gambit"} == 0', {}, DOWN.message)
    groups = {"gambit-numbers": [r for r in rules if r.watches], "gambit-facts": [r for r in rules if not r.watches]}
    for name, members in groups.items():
        if members:
            lines += ["", f"  - name: {name}", "    rules:"]
            for rule in members:
                lines += _rule(rule, numbers)
    return "\n".join(lines) + "\n"


def alert_name(rule_id: str) -> str:
    """`venue_down` is GambitVenueDown."""
    return "Gambit" + "".join(word.capitalize() for word in rule_id.split("_"))


def _rule(rule: Rule, numbers: Numbers) -> Iterator[str]:
    watches = rule.watches or ((rule.seen,) if rule.seen is not None else ())
    for watch in watches:
        labels = {"slo": watch.name} if watch.name else {}
        text = rule.message if rule.watches else _plainly(rule)
        yield from _alert(rule, condition(rule, watch, numbers), labels, text)
    if not watches:
        expr = f'sum by (instance) (increase(gambit_alerts_total{{rule="{rule.rule_id}"}}[5m])) > 0'
        yield from _alert(rule, expr, {}, _plainly(rule))


def _plainly(rule: Rule) -> str:
    """Words for a fact whose fields Prometheus does not have."""
    words = rule.rule_id.replace("_", " ")
    return f"gambit on {{instance}}: {words}; `gambit alerts list --rule {rule.rule_id}` has the details"


def _alert(rule: Rule, expr: str, labels: dict[str, str], message: str) -> Iterator[str]:
    yield f"      - alert: {alert_name(rule.rule_id)}"
    yield f"        expr: {json.dumps(expr)}"
    if rule.for_sec and (rule.watches or rule is DOWN):
        yield f"        for: {rule.for_sec:g}s"
    if rule.clear_sec and rule.watches:
        yield f"        keep_firing_for: {rule.clear_sec:g}s"
    told = {"severity": rule.severity, **labels}
    yield f"        labels: {{{', '.join(f'{name}: {value}' for name, value in told.items())}}}"
    yield "        annotations:"
    yield f"          summary: {json.dumps(_template(message, rule.unit, labels))}"
    yield f"          {'runbook_url' if rule.pages else 'runbook'}: {json.dumps(rule.runbook)}"


def _template(message: str, unit: Unit, known: Mapping[str, str]) -> str:
    def filled(blank: re.Match[str]) -> str:
        name = blank[1]
        if name in known:
            return known[name]
        return f"{{{{ $value | {HUMANIZED[unit]} }}}}" if name == "value" else f"{{{{ $labels.{name} }}}}"

    return re.sub(r"\{(\w+)\}", filled, message)


def condition(rule: Rule, watch: Watch, numbers: Numbers) -> str:
    """The PromQL of a watch, hysteresis included."""
    first = watch.measures[0]
    labels = ", ".join(("instance", *scope_names(first, numbers)))

    def compared(threshold: float) -> str:
        parts = [f"{_expression(measure, numbers)} {watch.op} {number(threshold)}" for measure in watch.measures]
        if len(parts) == 1:
            return parts[0]
        return f" and on ({labels}) ".join(f"({part})" for part in parts)

    if watch.clear is None:
        return compared(watch.threshold)
    firing = f'ALERTS{{alertname="{alert_name(rule.rule_id)}",alertstate="firing"}}'
    return f"({compared(watch.threshold)}) or ({compared(watch.clear)} and on ({labels}) {firing})"


def _expression(measure: Measure, numbers: Numbers) -> str:
    names = scope_names(measure, numbers)
    window = f"[{measure.window_sec}s]"
    by = ", ".join(("instance", *names))
    if measure.how in QUANTILES:
        rates = f"rate({_series(measure, '_bucket')}{window})"
        text = f"histogram_quantile({QUANTILES[measure.how]:g}, sum by ({by}, le) ({rates}))"
    elif measure.how == "share":
        good = f"sum by ({by}) (increase({_series(measure, '_bucket', le=_bound(measure, numbers))}{window}))"
        total = f"(sum by ({by}) (increase({_series(measure, '_count')}{window})) >= {number(measure.least)})"
        text = f"1 - {good} / {total}"
    elif measure.over:
        divisor = f"({_part(measure, measure.over, numbers)} >= {number(measure.least)})"
        text = f"{_part(measure, measure.metric, numbers)} / on ({by}) {divisor}"
    else:
        text = _part(measure, measure.metric, numbers)
    if measure.where:
        shared = ", ".join(("instance", *numbers.labels(measure.where)))
        text = f"{text} and on ({shared}) {measure.where} > 0"
        return f"({text})"
    return text


def _part(measure: Measure, metric: str, numbers: Numbers) -> str:
    """One metric as it stands, or its increase; summed where labels are left out."""
    names = scope_names(measure, numbers)
    series = _series(measure, "", metric)
    text = series if measure.how == "value" else f"increase({series}[{measure.window_sec}s])"
    is_whole = set(numbers.labels(metric)) == set(names)
    return text if is_whole else f"sum by ({', '.join(('instance', *names))}) ({text})"


def _series(measure: Measure, ending: str, metric: str = "", **more: str) -> str:
    metric = metric or measure.metric
    only = dict(measure.only) | more
    if metric.startswith("process_"):
        only["job"] = "gambit"
    inside = ",".join(f"{name}={json.dumps(value)}" for name, value in only.items())
    return f"{metric}{ending}" + (f"{{{inside}}}" if inside else "")


def _bound(measure: Measure, numbers: Numbers) -> str:
    """The bucket of `beyond`, as the exposition writes it."""
    within = [bound for bound in numbers.bounds(measure.metric) if bound <= measure.beyond]
    return repr(within[-1]) if within else "0"


def number(value: float) -> str:
    """A number as PromQL takes it."""
    return f"{value:.10g}"
