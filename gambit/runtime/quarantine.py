"""Tells of pairs that are quarantined as "same ticker, different coin" (formulas.md, "What may be compared").

The market compares such a pair no more and says nothing by itself. A restart begins without a quarantine, which is how
an operator releases one.
"""

from collections.abc import Callable
from typing import Final

from gambit._core.quarantine import quarantined
from gambit.commands import Notify
from gambit.engine.market import Market

EVERY_NS: Final = 1_000_000_000
RULE: Final = "different_coin"


class Quarantine:
    """Looks once a second, and says it each time, so that the alert lasts for as long as the quarantine does."""

    def __init__(self, market: Market, notify: Callable[[Notify], None]) -> None:
        self._market = market
        self._notify = notify
        self._due_ns = 0

    def turn(self, now_ns: int) -> None:
        """What is quarantined now, if it is time to look."""
        if now_ns < self._due_ns:
            return
        self._due_ns = now_ns + EVERY_NS
        for pair in quarantined(self._market.pairs):
            one, other = (":".join(self._market.listings[market]) for market in pair)
            text = f"{one} and {other} were further apart than max_mid_ratio; they are compared no more until a restart"
            self._notify(Notify(rule_id=RULE, severity="high", message=text, scope=f"{one} {other}"))
