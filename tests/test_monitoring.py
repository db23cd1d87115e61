"""What ships for monitoring: scrape configuration, alert rules, dashboard, systemd unit. All of it speaks of metrics
that exist and is accepted by the tools that will read it."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gambit.config.settings import MetricsSettings
from gambit.surface.catalogue import METRICS
from tests.tools import program

CONFIGS = Path(__file__).parent.parent / "configs"
RULES = CONFIGS / "prometheus" / "alerts.yml"
PROMTOOL = program("promtool", "prometheus")
SYSTEMD = program("systemd-analyze", "systemd")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is absent: apt-get install prometheus")
needs_systemd = pytest.mark.skipif(SYSTEMD is None, reason="systemd-analyze is absent: apt-get install systemd")

EXPOSED = {
    name
    for metric in METRICS
    for name in (
        [metric.name]
        if metric.kind != "histogram"
        else [f"{metric.name}_bucket", f"{metric.name}_sum", f"{metric.name}_count"]
    )
}


def run(*words: object, cwd: Path = CONFIGS / "prometheus") -> str:
    """What a tool says; it has to be content."""
    done = subprocess.run([str(word) for word in words], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def expressions() -> Iterator[tuple[str, str]]:
    """(panel, expression) of everything the dashboard asks, its variables filled in as Grafana would."""
    dashboard = json.loads((CONFIGS / "grafana" / "gambit.json").read_text())
    asked = [(panel["title"], target["expr"]) for panel in dashboard["panels"] for target in panel.get("targets", [])]
    asked += [(note["name"], note["expr"]) for note in dashboard["annotations"]["list"]]
    for title, expression in asked:
        yield title, expression.replace("$instance", "127.0.0.1:9464").replace("$venue", ".*")


def test_rules_and_dashboard_speak_of_metrics_that_exist() -> None:
    """Every gambit_ and process_ name in them is in the catalogue; every recorded name is recorded."""
    rules = RULES.read_text()
    recorded = set(re.findall(r"record: (gambit:\w+:\w+)", rules))
    texts = {"alerts.yml": rules, **{f"{title}: {text}": text for title, text in expressions()}}
    for where, text in texts.items():
        named = set(re.findall(r"\b((?:gambit|process)_\w+)", text))
        assert named <= EXPOSED, (where, named - EXPOSED)
        assert set(re.findall(r"\bgambit:\w+:\w+", text)) <= recorded, where


def test_the_dashboard_shows_every_metric_that_was_promised() -> None:
    """Whatever is counted under gambit_ has its place, but for the information about the build."""
    shown = " ".join(text for _, text in expressions())
    rules = RULES.read_text()
    silent = {
        "gambit_build_info",
        "gambit_feed_connects_total",
        "gambit_control_requests_total",
        "gambit_metrics_refused_total",
    }
    unseen = {
        metric.name
        for metric in METRICS
        if metric.name.startswith("gambit_") and metric.name not in shown and metric.name not in rules
    }
    assert unseen == silent


def test_panels_do_not_overlap() -> None:
    """Each panel has an id and a place of its own on the grid of 24 columns."""
    dashboard = json.loads((CONFIGS / "grafana" / "gambit.json").read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place: dict[str, Any] = panel["gridPos"]
        cells = {(place["x"] + i, place["y"] + j) for i in range(place["w"]) for j in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_every_alert_is_proved() -> None:
    """Each alert has a test in which it fires, a severity, a summary and a way on."""
    alerts = set(re.findall(r"- alert: (\w+)", RULES.read_text()))
    proved = re.findall(r"alertname: (\w+)\n        exp_alerts:\n", (RULES.with_name("alerts_test.yml")).read_text())
    assert sorted(alerts) == sorted(proved)
    for part in re.split(r"- alert: ", RULES.read_text())[1:]:
        assert re.search(r"severity: (critical|high|medium|low)\b", part)
        assert "summary: " in part
        assert "runbook: " in part


def test_the_scrape_configuration_has_the_default_address() -> None:
    """A daemon with default settings is found."""
    default = MetricsSettings()
    assert f'"{default.host}:{default.port}"' in (CONFIGS / "prometheus" / "prometheus.yml").read_text()


@needs_promtool
def test_promtool_accepts_configuration_and_rules() -> None:
    """Syntax, expressions and templates; then the rules' own tests."""
    assert "SUCCESS" in run(PROMTOOL, "check", "config", "prometheus.yml")
    assert "SUCCESS" in run(PROMTOOL, "test", "rules", "alerts_test.yml")


@needs_promtool
def test_promtool_accepts_the_dashboards_expressions(tmp_path: Path) -> None:
    """Each expression parses; they are put into a rule file, which is what promtool reads."""
    rules = [
        {"record": f"dashboard:expression:{number}", "expr": text} for number, (_, text) in enumerate(expressions())
    ]
    assert len(rules) > 40
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"SUCCESS: {len(rules)} rules found" in run(PROMTOOL, "check", "rules", tmp_path / "rules.yml")


@needs_systemd
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    """Every directive is known, and little is left open to an attacker."""
    unit = tmp_path / "gambit.service"
    unit.write_text((CONFIGS / "systemd" / "gambit.service").read_text().replace("/usr/local/bin/gambit", "/bin/true"))
    assert run(SYSTEMD, "verify", unit) == ""
    found = re.search(
        r"Overall exposure level for gambit.service: ([\d.]+)", run(SYSTEMD, "security", "--offline=true", unit)
    )
    assert found
    assert float(found[1]) <= 2.0
