"""What a rehearsal came to: for a terminal, a program, or a page to keep."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Sequence
from typing import Any

from gambit.drills.scenario import GROUPS, Ended, Result, Scenario
from gambit.sim.verbs import VERBS


def fired(results: Sequence[Result]) -> dict[str, int]:
    """How often each fault verb fired, those that never did included (I25)."""
    counts: Counter[str] = Counter()
    for result in results:
        counts.update(result.verbs)
    return {verb: counts[verb] for verb in VERBS}


def summary(results: Sequence[Result]) -> str:
    """One line: how many ended how, and how long they took together."""
    ends = Counter(result.ended for result in results)
    parts = [f"{ends[ended]} {ended.value}" for ended in Ended if ends[ended]]
    return f"{len(results)} scenarios: {', '.join(parts)}; {sum(r.took_sec for r in results):.0f} s of drills"


def groups(results: Sequence[Result]) -> list[list[str]]:
    """A table: a group a row, how many ended how; its head first."""
    rows = [["group", *(ended.value for ended in Ended), "s"]]
    for letter, title in GROUPS.items():
        found = [result for result in results if result.scenario.group == letter]
        if found:
            ends = Counter(result.ended for result in found)
            took = f"{sum(result.took_sec for result in found):.0f}"
            rows.append([f"{letter}: {title}", *(str(ends[ended] or "-") for ended in Ended), took])
    return rows


def evidence(result: Result) -> str:
    """What was counted, in a few words."""
    counts = [f"{value} {name.replace('_', ' ')}" for name, value in result.evidence.items()]
    counts += [f"{verb} x{times}" for verb, times in result.verbs.items() if times]
    return ", ".join(counts)


def as_json(results: Sequence[Result]) -> dict[str, Any]:
    """Everything, for programs."""
    return {
        "ok": not any(result.ended in (Ended.FAILED, Ended.INTERRUPTED) for result in results),
        "summary": summary(results),
        "verbs_fired": fired(results),
        "results": [
            {
                **listed(result.scenario),
                "ended": result.ended.value,
                "reason": result.reason,
                "took_sec": round(result.took_sec, 3),
                "evidence": dict(result.evidence),
                "verbs": {verb: times for verb, times in result.verbs.items() if times},
            }
            for result in results
        ],
    }


def listed(scenario: Scenario) -> dict[str, Any]:
    """A scenario for programs."""
    return {
        "id": scenario.id,
        "group": scenario.group,
        "trigger": scenario.trigger,
        "expected": scenario.expected,
        "invariants": list(scenario.invariants),
    }


def verbs_lines(results: Sequence[Result]) -> list[str]:
    """Which fault verbs fired, and which never did."""
    counts = fired(results)
    did = ", ".join(f"{verb} {times}" for verb, times in counts.items() if times)
    never = ", ".join(verb for verb, times in counts.items() if not times)
    return [f"Fault verbs that fired: {did or 'none'}.", f"Never fired: {never or 'none'}."]


def markdown(results: Sequence[Result]) -> str:
    """A page to keep."""
    lines = ["# Rehearsal", "", summary(results) + ".", ""]
    lines += ["| | fault | must follow | ended | s | seen |", "|---|---|---|---|---|---|"]
    for result in results:
        one = result.scenario
        cells = [one.id, one.trigger, one.expected, ended(result), f"{result.took_sec:.1f}", evidence(result)]
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join([*lines, "", *verbs_lines(results), ""])


def ended(result: Result) -> str:
    """How it ended, with the reason where there is one."""
    return f"{result.ended.value}: {result.reason}" if result.reason else result.ended.value


def page(results: Sequence[Result]) -> str:
    """The same as HTML."""
    rows = []
    for result in results:
        one = result.scenario
        cells = [one.id, one.trigger, one.expected, ended(result), f"{result.took_sec:.1f}", evidence(result)]
        kind = result.ended.name.lower()
        rows.append(f'<tr class="{kind}">{"".join(f"<td>{html.escape(cell)}</td>" for cell in cells)}</tr>')
    heads = "".join(f"<th>{name}</th>" for name in ("", "fault", "must follow", "ended", "s", "seen"))
    verbs = "".join(f"<p>{html.escape(line)}</p>" for line in verbs_lines(results))
    style = (
        "body{font:14px sans-serif;margin:2em}table{border-collapse:collapse}td,th{border:1px solid #ccc;"
        "padding:.3em .5em;text-align:left}.passed td:nth-child(4){color:#070}.failed td:nth-child(4){color:#a00}"
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Rehearsal</title><style>{style}</style>'
        f"</head><body><h1>Rehearsal</h1><p>{html.escape(summary(results))}.</p><table><tr>{heads}</tr>"
        f"{''.join(rows)}</table>{verbs}</body></html>\n"
    )


def catalogue_tables(rows: Sequence[tuple[Scenario, str]]) -> str:
    """Scenarios, each with a note on why it is not played (else ""), as docs/drills.md has them."""
    lines: list[str] = []
    for letter, title in GROUPS.items():
        found = [(one, note) for one, note in rows if one.group == letter]
        if found:
            lines += [f"### {letter}: {title}", "", "| | fault | must follow | |", "|---|---|---|---|"]
            lines += [f"| {one.id} | {one.trigger} | {one.expected} | {note} |" for one, note in found]
            lines.append("")
    return "\n".join(lines).rstrip()
