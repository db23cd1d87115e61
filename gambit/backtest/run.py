"""One backtest: captures, a configuration, and what came of them."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from gambit.backtest.measures import Measures, Result
from gambit.backtest.shell import Shell
from gambit.config import Config
from gambit.runtime.replay import replay
from gambit.runtime.wiring import WORTH, execution, limits, paper_terms


@dataclass(frozen=True, slots=True)
class Outcome:
    """exit_code as of the replay: 1 when a file could not be read to its end."""

    exit_code: int
    result: Result


def run(
    files: Sequence[Path],
    config: Config,
    *,
    symbols: Sequence[str] | None = None,
    strict: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Replay captures and trade them on paper. Same files and configuration, same result.

    Raises ReplayError as gambit.runtime.replay.replay does, ValueError for a blackout that is none.
    """
    rules = config.execution
    measures = Measures()
    shell = Shell(
        dataclasses.replace(execution(config), mode="paper", approval="auto"),  # nobody is there to approve
        limits(config),
        paper_terms(config),
        measures,
        balances=rules.paper_balances,
        worth=WORTH,
        venues=lambda name: name not in config.venues or config.venues[name].enabled,
    )
    replayed = replay(
        files, config, symbols=symbols, emit="", out=BytesIO(), strict=strict, on_progress=on_progress, warn=warn,
        companion=shell,
    )  # fmt: skip
    shell.settle()
    stats: Any = replayed.stats
    unusable = {f"{one['venue']}: {one['reason']}": one["count"] for one in stats["dead_letters"]}
    result = measures.finished(
        shell.desk, shell.marks(), shell.now_ns, stats["frames"], shell.notices, shell.without_list(), unusable
    )
    return Outcome(replayed.exit_code, result)
