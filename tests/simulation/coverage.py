"""Where a campaign went (I25): faults that fired, edges of the order table that were walked, ways of compensating."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from gambit.engine.order import EDGES
from tests.simulation.episodes import Outcome

Edge = tuple[str, str, str]

# Why an edge cannot be walked from outside; tests/engine/test_order.py holds it against everything a venue can say.
UNREACHABLE: dict[Edge, str] = {
    ("partially_filled", "rejected", "failed"): "product.md has it; a refusal of what was executed is a contradiction",
}
BRANCHES = (
    "order for entry", "order for compensation", "order for sweep", "order adopted", "order retried",
    "closed nothing", "closed flat", "closed flat after compensating", "closed dust", "closed dust after compensating",
    "closed position", "closed position after compensating", "reopened by late_fill", "reopened by bust", "dust in",
    "dust out", "symbol halted",
)  # fmt: skip
COMMANDS = ("PlaceOrder", "CancelOrder", "QueryOrder", "QueryFills", "QueryBalances")
# The fault verbs of the catalogue, and what they are called here, where there are facts instead of bytes.
VERBS: dict[str, tuple[str, ...]] = {
    "delay": ("slow event", "late reply"), "hold": ("hold create",), "drop_request": ("drop PlaceOrder",),
    "drop_reply": ("drop reply", "drop amend reply"), "http": ("status unknown",), "close_after_read": ("drop reply",),
    "dup": ("duplicate",), "reorder": ("slow event", "over before it began", "sent noted late"),
    "partial": ("partial", "empty"), "reject": ("reject", "refused after all", "refused in error"),
    "late_fill": ("late fill", "fill after refusal"), "bust": ("bust",), "overfill": ("overfill",),
    "strip_id": ("stripped",), "gap": ("book out of step",), "checksum": ("book out of step",),
    "freeze": ("frozen book",), "cross": ("crossed book",), "poison": ("poison", "wrong fill"), "burst": ("burst",),
    "disconnect": ("stream cut", "reconnect"), "half_open": ("private stream dead",), "refuse": ("circuit open",),
    "expire_session": ("private stream dead",), "limit": ("circuit open",), "filters": ("other filters",),
    "status": ("closed",), "fee": ("dearer",), "clock": ("clock off",), "maintenance": ("closed",),
}  # fmt: skip


def table() -> set[Edge]:
    """Every edge of the order table."""
    return {(str(source), str(on), str(target)) for (source, on), targets in EDGES.items() for target in targets}


def sites() -> set[str]:
    """Every fault that the simulation has, read off its sources."""
    text = "".join((Path(__file__).parent / name).read_text() for name in ("shell.py", "exchange.py", "trouble.py"))
    found = re.findall(r'tape\.fault\("([^"]+)"\)', text) + re.findall(r'\("([^"]+)", self\.\w+\)', text)
    return set(found) | {f"drop {name}" for name in COMMANDS}


def coverage(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """What was reached, and what never was, in lines."""
    fired = sum((outcome.fired for outcome in outcomes), Counter[str]())
    edges = sum((outcome.edges for outcome in outcomes), Counter[Edge]())
    branches = sum((outcome.branches for outcome in outcomes), Counter[str]())
    kinds = sites()
    yield f"faults fired: {len(kinds & set(fired))} of {len(kinds)} kinds: {dict(sorted(fired.items()))}"
    verbs = [verb for verb, names in VERBS.items() if any(fired[name] for name in names)]
    yield f"fault verbs fired: {len(verbs)} of {len(VERBS)}"
    yield f"faults that never fired: {sorted(kinds - set(fired)) or 'none'}"
    every = table()
    walked = every & set(edges)
    yield f"edges walked: {len(walked)} of {len(every)}, {len(UNREACHABLE)} of them unreachable"
    for edge in sorted(every - walked):
        yield f"  never: {' '.join(edge)}{f' ({UNREACHABLE[edge]})' if edge in UNREACHABLE else ''}"
    rare = sorted((times, edge) for edge, times in edges.items() if times < 10)
    yield f"edges walked less than ten times: {[(' '.join(edge), times) for times, edge in rare]}"
    yield f"compensation: {dict(sorted(branches.items()))}"
    yield f"branches that never ran: {[name for name in BRANCHES if not branches[name]] or 'none'}"


def gaps(outcomes: Sequence[Outcome]) -> list[str]:
    """What a whole campaign has to reach and did not (I25: a green run that never got there is red)."""
    reached = {name for outcome in outcomes for name in (*outcome.fired, *outcome.branches)}
    walked = {edge for outcome in outcomes for edge in outcome.edges}
    missed = sorted((sites() | set(BRANCHES)) - reached)
    return missed + [" ".join(edge) for edge in sorted(table() - walked - set(UNREACHABLE))]
