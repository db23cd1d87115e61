"""Many backtests of the same captures: every combination of some settings' values, each in a process of its own."""

import itertools
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from gambit.backtest.run import Outcome, run
from gambit.config import Config

TRIALS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Axis:
    """A setting and the values it takes, as one writes them: `engine.min_spread_bps`, ("5", "10")."""

    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trial:
    """One combination: the overrides that made it, in the order of the axes, and the configuration they lead to."""

    overrides: tuple[str, ...]
    config: Config


def grid(axes: Sequence[Axis], load: Callable[[Sequence[str]], Config]) -> list[Trial]:
    """Every combination, the last axis turning fastest. `load` makes a configuration of overrides and may raise.

    Raises ValueError for more than TRIALS_MAX of them.
    """
    count = 1
    for axis in axes:
        count *= len(axis.values)
    if count > TRIALS_MAX:
        raise ValueError(f"{count:,} combinations are more than {TRIALS_MAX:,}; sweep fewer values at once")
    pairs = [[f"{axis.key}={value}" for value in axis.values] for axis in axes]
    return [Trial(tuple(each), load(each)) for each in itertools.product(*pairs)]


def sweep(
    files: Sequence[Path], trials: Sequence[Trial], *, symbols: Sequence[str] | None, strict: bool, jobs: int
) -> Iterator[tuple[int, Outcome]]:
    """(index, outcome) of each trial as it ends. Raises what `run` raises; then the others are given up."""
    context = multiprocessing.get_context("spawn")  # nothing of this process's threads and handlers is inherited
    pool = ProcessPoolExecutor(max_workers=min(jobs, len(trials)) or 1, mp_context=context)
    try:
        waiting = {
            pool.submit(run, files, trial.config, symbols=symbols, strict=strict): index
            for index, trial in enumerate(trials)
        }
        for done in as_completed(waiting):
            yield waiting[done], done.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
