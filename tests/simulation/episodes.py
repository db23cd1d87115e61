"""Playing one seed, and reducing a red one to the faults it needs."""

import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from tests.simulation.shell import Shell


@dataclass(slots=True)
class Outcome:
    """What came of a seed."""

    seed: int
    broken: str = ""  # the first broken invariant, or the exception
    trace: str = ""  # of everything journalled, with its times
    digest: str = ""  # of the state
    fired_names: list[str] = field(default_factory=list)
    fired: Counter[str] = field(default_factory=Counter)
    edges: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    branches: Counter[str] = field(default_factory=Counter)
    packed: int = 0  # episodes in the archive at the end
    recalled: int = 0  # that something happened to after they were packed


def play(seed: int, muted: Collection[str] = (), world: type[Shell] = Shell) -> Outcome:
    """One episode to its end or its first broken invariant."""
    shell = world(seed, muted=muted)
    outcome = Outcome(seed)
    try:
        shell.run()
    except Exception as error:
        outcome.broken = f"{type(error).__name__}: {error}"
    trace = hashlib.blake2b(digest_size=16)
    for ts_ns, kind, body in shell.journal:
        trace.update(f"{ts_ns}|{kind}|".encode() + body)
    outcome.trace = trace.hexdigest()
    outcome.digest = shell.desk.standing.digest()
    outcome.fired_names = list(shell.tape.fired)
    outcome.fired = Counter(name.partition("#")[0] for name in shell.tape.fired)
    outcome.edges = shell.checks.edges
    outcome.branches = shell.checks.branches
    outcome.ends = Counter(trade.end or "open" for trade in shell.trades())
    standing = shell.desk.standing
    outcome.packed = len(standing.archive)
    outcome.recalled = (standing.state.archived - outcome.packed) // 2
    return outcome


def cause(outcome: Outcome) -> str:
    """Which invariant, without its particulars."""
    return outcome.broken.split(" at ")[0][:40]


def shrunk(seed: int, runs_max: int = 200) -> list[str]:
    """The firings that a red seed cannot do without (delta debugging over muted firings)."""
    first = play(seed)
    if not first.broken:
        return []
    needed = first.fired_names
    size = max(len(needed) // 2, 1)
    runs = 0
    while runs < runs_max:
        for chunk in _chunks(needed, size):
            rest = [name for name in needed if name not in chunk]
            runs += 1
            again = play(seed, _muted(first.fired_names, rest))
            if cause(again) == cause(first):
                needed = rest
                break
        else:
            if size == 1:
                break
            size = max(size // 2, 1)
    return needed


def _muted(fired: Sequence[str], kept: Sequence[str]) -> set[str]:
    return set(fired) - set(kept)


def _chunks(names: Sequence[str], size: int) -> list[set[str]]:
    return [set(names[at : at + size]) for at in range(0, len(names), size)]
