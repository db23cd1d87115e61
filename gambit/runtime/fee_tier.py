"""What a venue takes from an account, as it says itself: live, engine and plans reckon with it (formulas.md, "fees").

Asked once the account is up, of the first market traded there, every hour, for the tier follows the volume, and as soon
as an execution was charged more (reliability.md F73); until the answer is there, and where the venue does not give one,
the configured fee holds. A venue that charges more than it tells is left alone by the desk.
"""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Final

from gambit.events.orders import Filled
from gambit.runtime.admission import worded
from gambit.venues.account import Turn
from gambit.venues.orders import FeeRates

SEC: Final = 1_000_000_000
EVERY_NS: Final = 3600 * SEC
AGAIN_NS: Final = 10 * SEC  # where no answer came
BPS: Final = 10_000
ROUNDING_BPS: Final = Decimal("0.5")  # venues round fees up, which small executions show


class FeeTier:
    """One account's question for it. `warn` hears, once, that the venue does not tell."""

    def __init__(self, venue: str, warn: Callable[[str], None]) -> None:
        self._venue = venue
        self._warn = warn
        self._taker_bps: Decimal | None = None
        self._next_ns = 0
        self._asked_ns = -AGAIN_NS
        self._tries = 0

    def is_asked(self, mono_ns: int) -> bool:
        """Whether it is to be asked now; if so it counts as asked."""
        if mono_ns < self._next_ns:
            return False
        self._asked_ns = mono_ns
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

    def saw(self, facts: Iterable[object]) -> None:
        """What happened: an execution that cost more than the venue tells means that its tier is another one by now."""
        known = self._taker_bps
        if known is not None and any(_cost_bps(fact) > known + ROUNDING_BPS for fact in facts):
            self._next_ns = min(self._next_ns, self._asked_ns + AGAIN_NS)


def _cost_bps(fact: object) -> Decimal:
    """What an execution was charged; 0 where the fee is in neither of its two assets, and of any other fact."""
    if not isinstance(fact, Filled) or not (fact.qty and fact.price):
        return Decimal(0)
    base, _, rest = fact.symbol.partition("-")
    if fact.fee_asset == rest.partition("-")[0]:
        return fact.fee * BPS / (fact.qty * fact.price)
    return fact.fee * BPS / fact.qty if fact.fee_asset == base else Decimal(0)
