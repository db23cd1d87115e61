"""Backtest: a replay in which the desk trades on paper, in recorded time, and what came of it."""

from gambit.backtest.measures import Result
from gambit.backtest.run import run
from gambit.backtest.sweep import Axis, Trial, grid, sweep

__all__ = ["Axis", "Result", "Trial", "grid", "run", "sweep"]
