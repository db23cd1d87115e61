"""`gambit drill`: the list is the catalogue, reports say what was seen, and a handful of drills is played for real."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import uvloop

from gambit.cli.program import run
from gambit.drills import registry, report
from gambit.drills.catalogue import NOT_APPLICABLE, SCENARIOS
from gambit.drills.crew import Crew
from gambit.drills.registry import DRILLS, drill
from gambit.drills.runner import Rehearsal, chosen, unplayed
from gambit.drills.scenario import GROUPS, Bench, Broken, Ended, Result, Scenario
from gambit.sim.verbs import VERBS

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "drills.md"
HANDFUL = ["F01", "F02", "F06", "F24"]  # on one ground; `gambit drill run all` plays the others


def played(names: list[str]) -> list[Result]:
    """Play these."""
    rehearsal = Rehearsal(chosen(names), lambda _result: None, lambda _scenario: None)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(rehearsal.run())


def test_the_list_is_the_catalogue() -> None:
    """F01 to F126, each in a group, with something that must follow and an invariant; what has a drill applies."""
    assert list(SCENARIOS) == [f"F{number:02d}" for number in range(1, 127)]
    assert {one.group for one in SCENARIOS.values()} == set(GROUPS)
    assert [one.id for one in SCENARIOS.values() if not (one.trigger and one.expected and one.invariants)] == []
    assert DRILLS.keys() & NOT_APPLICABLE.keys() == set()
    assert (DRILLS.keys() | NOT_APPLICABLE.keys()) <= SCENARIOS.keys()
    reasons = [unplayed(one).reason for one in SCENARIOS.values() if one.id not in DRILLS]
    assert [reason for reason in reasons if len(reason.split()) < 5] == []


def test_the_page_has_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    """docs/drills.md ends with what `gambit drill list --markdown` prints."""
    assert run(["drill", "list", "--markdown"]) == 0
    assert PAGE.read_text().endswith(capsys.readouterr().out)


def test_the_list_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    """Every scenario with whether it is played, and why not."""
    assert run(["drill", "list", "--json", "--group", "a"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["id"] for row in rows] == [f"F{number:02d}" for number in range(1, 20)]
    assert all(row["is_played"] != bool(row["note"]) for row in rows)


def test_a_handful_is_played(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Over real sockets, and told in all three forms."""
    page = tmp_path / "report.html"
    code = run(["drill", "run", *HANDFUL, "F14", "--json", "-o", str(page)])
    told = json.loads(capsys.readouterr().out)
    assert [(row["id"], row["ended"], row["reason"]) for row in told["results"] if row["ended"] == "failed"] == []
    assert code == 0
    assert [row["ended"] for row in told["results"]].count("passed") == len(HANDFUL)
    assert all(row["evidence"]["executions"] > 0 for row in told["results"] if row["ended"] == "passed")
    assert set(told["verbs_fired"]) == set(VERBS)
    assert told["verbs_fired"]["drop_reply"] >= 2
    assert "not applicable" in page.read_text()


def test_what_breaks_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A drill that fails, one that hangs and one that raises are failures with their reasons, and exit code 1."""
    monkeypatch.setattr(registry, "DRILLS", DRILLS)
    for name in ("F01", "F02", "F03"):
        monkeypatch.delitem(DRILLS, name)

    @drill("F01", None)
    async def breaks(bench: Bench) -> None:
        bench.count(seen=1)
        bench.count(seen=2, where="here")
        bench.need(False, "I01: it broke")

    @drill("F02", None, 0.05)
    async def hangs(_bench: Bench) -> None:
        await asyncio.Event().wait()

    @drill("F03", None)
    async def raises(_bench: Bench) -> None:
        raise RuntimeError("a defect")

    results = played(["F01", "F02", "F03"])
    assert [result.reason for result in results] == [
        "I01: it broke",
        "not over within 0.05 s",
        "RuntimeError: a defect",
    ]
    assert results[0].evidence == {"seen": 3, "where": "here"}
    assert "FAILED" not in report.markdown(results)
    assert "failed: I01: it broke" in report.markdown(results)
    assert run(["drill", "run", "F01", "F02"]) == 1
    assert "I01: it broke" in capsys.readouterr().out
    for name in ("F01", "F02", "F03"):
        DRILLS.pop(name)


def test_two_play_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    """Each in a process of its own; what they say is told in the catalogue's order, with a table of the groups."""
    assert run(["drill", "run", "F96", "F83", "F14", "--jobs", "2"]) == 0
    said = capsys.readouterr().out
    assert "3 scenarios: 2 passed, 1 not applicable" in said
    assert re.search(r"G: crash and storage +1 +- ", said)
    assert "169 flips" in said


def test_a_process_that_dies_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it did not tell is failed, with its last words."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    crew = Crew(chosen(["F96", "F14"]), lambda _result: None, lambda _scenario: None, 2)
    results = asyncio.run(crew.run())
    assert [(one.scenario.id, str(one.ended)) for one in results] == [("F14", "not applicable"), ("F96", "failed")]
    assert "ended with 1" in results[1].reason


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_broken_off_it_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    """A daemon of a drill is up when somebody ends the rehearsal: no process and no file is left, and what was played
    by then is in the report."""
    page = tmp_path / "report.json"
    there = tmp_path / "there"
    there.mkdir()
    words = [sys.executable, "-m", "gambit", "drill", "run", "F14", "F111", "F96", "-o", str(page), "--jobs", "2"]
    with subprocess.Popen(
        words, env={**os.environ, "TMPDIR": str(there)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while not list(there.glob("*/*/state/gambit.sock")) and process.poll() is None:
            time.sleep(0.05)  # a file that another process makes
        process.send_signal(number)
        said, complaint = process.communicate(timeout=60)
    assert process.returncode == 130, said + complaint
    ends = {row["id"]: row["ended"] for row in json.loads(page.read_text())["results"]}
    assert ends["F14"] == "not applicable"
    assert ends["F111"] == "not played"
    assert list(there.iterdir()) == []
    assert [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(there).encode() in _text(path)] == []


def _text(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended since
        return b""


def test_names_that_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    """A name nobody knows and a report of an unknown kind are usage errors."""
    assert run(["drill", "run", "F999"]) == 2
    assert run(["drill", "run", "F14", "-o", "report.pdf"]) == 2
    said = capsys.readouterr().err
    assert "F999" in said
    assert ".html, .md or .json" in said


def test_a_report_escapes_what_it_is_told() -> None:
    """What broke may come from a venue."""
    scenario = Scenario("F01", "A", "a | b", "c", ("I01",))
    result = Result(scenario=scenario, ended=Ended.FAILED, reason="<script>|")
    assert "<script>" not in report.page([result])
    assert "| a / b |" in report.markdown([result])


def test_a_drill_stands_once() -> None:
    """Two drills for a scenario are a mistake."""
    with pytest.raises(ValueError, match="F01 has a drill already"):
        drill("F01")(DRILLS["F01"].play)
    with pytest.raises(Broken, match="no"):
        Bench(Path()).need(0, "no")
