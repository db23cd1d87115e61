"""What a venue takes from an account, as it says itself: plans in live mode reckon with it (formulas.md, "fees").

Asked once the account is up, of the first market traded there, and every hour, for the tier follows the volume; until
the answer is there, and where the venue does not give one, the configured fee holds. What executions were really
charged is watched apart from it.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from gambit.runtime.admission import worded
from gambit.venues.account import Turn
from gambit.venues.orders import FeeRates

SEC: Final = 1_000_000_000
EVERY_NS: Final = 3600 * SEC
AGAIN_NS: Final = 10 * SEC  # where no answer came
BPS: Final = 10_000


class FeeTier:
    """One account's question for it. `warn` hears, once, that the venue does not tell."""

    def __init__(self, venue: str, warn: Callable[[str], None]) -> None:
        self._venue = venue
        self._warn = warn
        self._taker_bps: Decimal | None = None
        self._next_ns = 0
        self._tries = 0

    def is_asked(self, mono_ns: int) -> bool:
        """Whether it is to be asked now; if so it counts as asked."""
        if mono_ns < self._next_ns:
            return False
        self._tries += 1
        self._next_ns = mono_ns + min(AGAIN_NS << min(self._tries, 10), EVERY_NS)
        return True

    def learn(self, turn: Turn, mono_ns: int) -> Decimal | None:
        """What a taker's execution costs, in bps, by the answer; what was known where it does not say."""
        for report in turn.told:
            if isinstance(report, FeeRates):
                self._taker_bps, self._tries, self._next_ns = report.taker * BPS, 0, mono_ns + EVERY_NS
        if turn.fault is not None and self._tries == 2:
            self._warn(f"{self._venue}: does not tell its fees, the configured one holds: {worded(turn.fault)}")
        return self._taker_bps
