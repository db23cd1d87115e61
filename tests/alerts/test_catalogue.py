"""The catalogue is whole: every rule has its page, every page its rule, the export is committed, the desk is heard."""

import re
from pathlib import Path

import pytest

from gambit.alerts.export import alert_name, prometheus
from gambit.bootstrap.alert_rules import AlertRuleError, Metrics, rules_of
from gambit.cli.program import gambit
from gambit.config import Config, ConfigError
from gambit.config.loading import load_layers
from gambit.surface.catalogue import METRICS
from gambit.surface.metrics import Registry
from tests.alerts.cases import CASES, RULES, all_cases, promtool

ROOT = Path(__file__).parent.parent.parent
RUNBOOK = ROOT / "docs" / "runbook"


def metrics() -> Metrics:
    return Metrics(Registry(METRICS))


def config(*settings: str) -> Config:
    return load_layers(None, {}, settings).config


def test_every_rule_has_its_page_and_every_page_its_rule() -> None:
    """What it means, what to look at first, what to do, when to escalate; the severity is the rule's."""
    pages = {path.stem: path.read_text() for path in RUNBOOK.glob("*.md") if path.stem != "README"}
    assert sorted(pages) == sorted(RULES)
    for name, text in pages.items():
        assert text.startswith(f"# {name}\n\nSeverity: {RULES[name].severity}. "), name
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Look first", "Do", "Escalate"], name
        for link in re.findall(r"\]\(([^)]+)\)", text):
            assert (RUNBOOK / link).exists(), (name, link)
    index = (RUNBOOK / "README.md").read_text()
    assert set(re.findall(r"\[(\w+)\]\(\1\.md\)", index)) == set(RULES)


def test_the_pages_commands_exist() -> None:
    """Each `gambit ...` of a page is a command."""
    known = set(gambit.commands) | {"user", "credentials"}
    for path in RUNBOOK.glob("*.md"):
        for word in re.findall(r"^gambit (\w+)|`gambit (\w+)", path.read_text(), re.MULTILINE):
            assert (word[0] or word[1]) in known, (path.name, word)


def test_the_committed_rules_are_the_catalogue() -> None:
    """configs/prometheus has what `gambit alerts export` and `python -m tests.alerts.cases` print."""
    exported = prometheus(rules_of(config(), metrics()), metrics())
    assert (ROOT / "configs/prometheus/alerts.yml").read_text() == exported
    assert (ROOT / "configs/prometheus/alerts_test.yml").read_text() == promtool()
    named = set(re.findall(r"alert: (\w+)", exported))
    assert named == {alert_name(case.rule_id) for case in all_cases()}
    watched = {rule.rule_id for rule in RULES.values() if rule.watches and rule.is_enabled}
    assert {case.rule_id for case in CASES} == watched


def test_whatever_the_desk_says_has_a_rule() -> None:
    """Each notice of the desk is in the catalogue, with the severity the desk gives it."""
    text = (ROOT / "gambit/engine/desk.py").read_text()
    notices = re.findall(r'_notify\(\s*"(\w+)",\s*"(\w+)"', text)
    assert len(notices) >= 11
    assert {rule_id: RULES[rule_id].severity for rule_id, _ in notices} == dict(notices)


def test_a_configuration_changes_rules_and_adds_some() -> None:
    """A built-in rule keeps what is not named; a new one needs a metric or a fact."""
    changed = config(
        'alerts.rules = [{rule="venue_down", for_sec=5, severity="critical", actions=["reduce"]}, '
        '{rule="loop_lag", threshold=0.05}, {rule="signals_quiet", threshold=10}, {rule="book_stale", enabled=false}, '
        '{rule="mine", metric="gambit_ws_subscribers", op=">", threshold=5, message="{value} guests"}, '
        '{rule="yours", fact="order.rejected", where=["venue=okx"], scope=["venue"], count=3}]',
        'alerts.budget_action = "halt"',
    )
    rules = {rule.rule_id: rule for rule in rules_of(changed, metrics())}
    down = rules["venue_down"]
    assert (down.for_sec, down.severity, down.actions, down.message) == (
        5, "critical", ("reduce",), RULES["venue_down"].message,
    )  # fmt: skip
    assert (rules["loop_lag"].watches[0].threshold, rules["loop_lag"].watches[0].clear) == (0.05, None)
    assert rules["signals_quiet"].is_enabled
    assert not rules["book_stale"].is_enabled
    assert (rules["mine"].watches[0].threshold, rules["mine"].severity) == (5, "medium")
    assert rules["yours"].starts[0].count == 3
    assert (rules["budget_burn_fast"].actions, rules["budget_spent"].actions) == (("reduce",), ("halt",))
    assert "GambitMine" in prometheus(rules.values(), metrics())


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ('{rule="mine"}', "needs `metric` or `fact`"),
        ('{rule="Mine!", metric="gambit_ready"}', "is no name of a rule"),
        ('{rule="mine", metric="gambit_nothing"}', "there is no metric 'gambit_nothing'"),
        ('{rule="mine", metric="gambit_feed_up", by=["symbol"]}', "gambit_feed_up has no label symbol"),
        ('{rule="mine", metric="gambit_feed_up", how="p95"}', "gambit_feed_up is no histogram"),
        ('{rule="mine", metric="gambit_loop_lag_seconds"}', "gambit_loop_lag_seconds is a histogram"),
        ('{rule="mine", metric="gambit_feed_up", labels=["okx"]}', '"okx" is not name=value'),
        ('{rule="mine", fact="order.filed"}', "there is no fact 'order.filed'"),
        ('{rule="mine", fact="order.filled", scope=["colour"]}', "order.filled has no field colour"),
    ],
)
def test_a_rule_that_cannot_be_is_named(rule: str, said: str) -> None:
    """With the rule's name and what is wrong."""
    with pytest.raises(AlertRuleError, match=r"^alerts\.rules") as caught:
        rules_of(config(f"alerts.rules = [{rule}]"), metrics())
    assert said in str(caught.value)


def test_where_the_runbook_is_read() -> None:
    """An address of the desk's own stands in every message and in Prometheus rules; a wrong one is refused at start."""
    rules = rules_of(config('alerts.runbook_url = "https://desk.example/runbook/"'), metrics())
    assert {rule.runbook for rule in rules} == {f"https://desk.example/runbook/{rule.rule_id}" for rule in rules}
    assert 'runbook_url: "https://desk.example/runbook/halted"' in prometheus(rules, metrics())
    with pytest.raises(ConfigError, match="runbook_url"):
        config('alerts.runbook_url = "desk.example"')
