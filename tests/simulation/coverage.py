"""Where a campaign went (I25): faults that fired, edges of the order table that were walked, ways of compensating."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from gambit.engine.order import EDGES
from tests.simulation.episodes import Outcome

Edge = tuple[str, str, str]

# Lawful by the table's general rules, and not to be reached: an order with executions has left these states already.
UNREACHABLE: dict[Edge, str] = {
    ("partially_filled", "rejected", "failed"): "a refusal of an order with executions is a contradiction",
    ("pending_submission", "bust", "pending_submission"): "an execution moves it on, so there is none to be taken back",
    ("submitted", "bust", "submitted"): "an execution moves it on, so there is none to be taken back",
}
BRANCHES = (
    "order for entry", "order for compensation", "order for sweep", "order adopted", "order retried",
    "closed nothing", "closed flat", "closed flat after compensating", "closed dust", "closed dust after compensating",
    "closed position", "closed position after compensating", "reopened by late_fill", "reopened by bust", "dust in",
    "dust out", "symbol halted",
)  # fmt: skip
COMMANDS = ("PlaceOrder", "CancelOrder", "QueryOrder", "QueryFills", "QueryBalances")


def table() -> set[Edge]:
    """Every edge of the order table."""
    return {(str(source), str(on), str(target)) for (source, on), targets in EDGES.items() for target in targets}


def sites() -> set[str]:
    """Every fault that the simulation has, read off its sources."""
    text = "".join((Path(__file__).parent / name).read_text() for name in ("shell.py", "exchange.py"))
    found = re.findall(r'tape\.fault\("([^"]+)"\)', text) + re.findall(r'\("([^"]+)", self\.\w+\)', text)
    return set(found) | {f"drop {name}" for name in COMMANDS}


def coverage(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """What was reached, and what never was, in lines."""
    fired = sum((outcome.fired for outcome in outcomes), Counter[str]())
    edges = sum((outcome.edges for outcome in outcomes), Counter[Edge]())
    branches = sum((outcome.branches for outcome in outcomes), Counter[str]())
    yield f"faults fired: {dict(sorted(fired.items()))}"
    yield f"faults that never fired: {sorted(sites() - set(fired)) or 'none'}"
    every = table()
    walked = every & set(edges)
    yield f"edges walked: {len(walked)} of {len(every)}, {len(UNREACHABLE)} of them unreachable"
    for edge in sorted(every - walked):
        yield f"  never: {' '.join(edge)}{f' ({UNREACHABLE[edge]})' if edge in UNREACHABLE else ''}"
    rare = sorted((times, edge) for edge, times in edges.items() if times < 10)
    yield f"edges walked less than ten times: {[(' '.join(edge), times) for times, edge in rare]}"
    yield f"compensation: {dict(sorted(branches.items()))}"
    yield f"branches that never ran: {[name for name in BRANCHES if not branches[name]] or 'none'}"
