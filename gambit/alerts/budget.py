"""Service levels and their error budgets: how fast a budget is being used up, over two windows each (a long one that
makes sure, a short one that says it still goes on), and whether it is gone.

The levels are product.md's: what share of events may be bad. A burn rate of 1 uses the budget up exactly.
"""

from typing import Final

import msgspec

from gambit.alerts.rule import Action, Measure, Rule, Watch

FAST, FAST_SEC = 14.4, (3600, 300)  # at this rate a budget of 30 days is gone in two days
SLOW, SLOW_SEC = 6.0, (21_600, 1800)
SPENT, SPENT_SEC = 2.0, (21_600, 1800)  # twice what six hours allow, and it goes on
LEAST: Final = 100.0  # events in a window before a share of them means anything


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """One service level: of all events the share `objective` has to be good. `bad` is measured as a share."""

    name: str
    text: str
    objective: float
    bad: Measure

    @property
    def budget(self) -> float:
        """The share that may be bad."""
        return 1 - self.objective

    def over(self, window_sec: int) -> Measure:
        """The share of bad events within a window."""
        return msgspec.structs.replace(self.bad, window_sec=window_sec)


def _slower(metric: str, than_sec: float, *by: str) -> Measure:
    return Measure(metric=metric, how="share", beyond=than_sec, by=by, least=LEAST)


# The bounds of the fast histograms are powers of two ns; 2^28 ns is the last one within 300 ms.
LEVELS: Final = (
    Level(
        name="detection",
        text="frames that became a signal within 268 ms",
        objective=0.95,
        bad=_slower("gambit_tick_to_signal_seconds", 0.268435456),
    ),
    Level(
        name="ingestion",
        text="frames that came within 300 ms",
        objective=0.95,
        bad=_slower("gambit_ingestion_lag_seconds", 0.3, "venue"),
    ),
    Level(
        name="order_submit",
        text="orders that were answered within a second",
        objective=0.95,
        bad=_slower("gambit_order_submit_seconds", 1.0, "venue"),
    ),
    Level(
        name="frames",
        text="frames that could be used",
        objective=0.99,
        bad=Measure(
            metric="gambit_frame_errors_total", over="gambit_frames_total", how="increase", by=("venue",), least=LEAST
        ),
    ),
    Level(
        name="delivery",
        text="alerts that reached their channel",
        objective=0.95,
        bad=Measure(
            metric="gambit_alert_delivery_failures_total",
            over="gambit_alert_deliveries_total",
            how="increase",
            by=("channel",),
            least=20.0,
        ),
    ),
)


# A burn rate cannot be higher than one over the budget: the rates of a loose objective are scaled to what it can reach.
def burn(level: Level, rate: float) -> float:
    """The share of bad events at a burn rate, at most nine tenths of all."""
    return min(rate * level.budget, 0.9)


def _watches(rate: float, windows: tuple[int, ...]) -> tuple[Watch, ...]:
    return tuple(
        Watch(measures=tuple(map(level.over, windows)), threshold=burn(level, rate), name=level.name)
        for level in LEVELS
    )


def rules(fast: tuple[Action, ...] = (), spent: tuple[Action, ...] = ()) -> tuple[Rule, ...]:
    """The alerts of the budgets, with what is done at a fast burn and once a budget is gone."""
    return (
        Rule(
            rule_id="budget_burn_fast",
            severity="high",
            message="the error budget of {slo} burns fast: {value} are bad {venue}{channel}",
            watches=_watches(FAST, FAST_SEC),
            unit="share",
            clear_sec=60,
            actions=fast,
        ),
        Rule(
            rule_id="budget_burn_slow",
            severity="medium",
            message="the error budget of {slo} burns: {value} are bad {venue}{channel}",
            watches=_watches(SLOW, SLOW_SEC),
            unit="share",
            clear_sec=300,
        ),
        Rule(
            rule_id="budget_spent",
            severity="critical",
            message="the error budget of {slo} is gone: {value} are bad {venue}{channel}",
            watches=_watches(SPENT, SPENT_SEC),
            unit="share",
            for_sec=300,
            clear_sec=300,
            actions=spent,
        ),
    )
