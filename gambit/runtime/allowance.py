"""What an account may still send by its venue's limits of accounts and markets (R8, I16), over HTTP and over its lines
alike; what is limited by address is the gateway's to count, for market data draws on it too.

Cancels, and questions about one order, may use what is kept back for them: nothing is hedged before those are answered,
and what else there is to read would take their place after a restart. Pure: times are monotonic ns.
"""

from collections.abc import Sequence
from typing import Final

from gambit.runtime.backoff import SEC
from gambit.runtime.budget import Budget, Counter
from gambit.runtime.budget import Lane as BudgetLane
from gambit.venues.orders import Frame, Lane, Limit, RestRequest, Used

ROUTINE_KEPT: Final = 0.4  # of a scarce counter, left alone by comparisons that nothing waits for
THROTTLED_SEC: Final = 1.0  # where a venue that refuses for want of budget does not say how long


class Allowance:
    """One account's. A limit of a market is kept for each market by itself."""

    def __init__(self, limits: Sequence[Limit]) -> None:
        self._limits = [limit for limit in limits if limit.of != "ip"]
        self._by_address = next((limit for limit in limits if limit.of == "ip"), None)
        self._counts_all = not limits
        self._budgets: dict[tuple[int, str], Budget | Counter] = {}
        self._blocked_ns: dict[Lane, int] = {}

    @property
    def is_scarce(self) -> bool:
        """Whether readings draw on a counter, of which each unit takes its time to come back."""
        return any(limit.decays and Lane.READ in limit.lanes for limit in self._limits)

    def wait_ns(self, request: RestRequest | Frame, now_ns: int) -> int:
        """How long until a request may leave; 0 for now."""
        lane = urgency(request)
        waits = [budget.wait_ns(cost(limit, request), now_ns, lane) for limit, budget in self._own(request)]
        return max(self._blocked_ns.get(request.lane, 0) - now_ns, 0, *waits)

    def reading_wait_ns(self, units: int, now_ns: int, *, is_urgent: bool) -> int:
        """How long until a question may be worded. An urgent one may use what is kept back; a routine one leaves room
        for those that orders may wait for soon."""
        lane = BudgetLane.URGENT if is_urgent else BudgetLane.ORDINARY
        budgets = [self._budget(n, one, "") for n, one in enumerate(self._limits) if Lane.READ in one.lanes]
        kept = 0.0 if is_urgent else ROUTINE_KEPT
        waits = [budget.wait_ns(units + int(budget.usable * kept), now_ns, lane) for budget in budgets]
        return max(self._blocked_ns.get(Lane.READ, 0) - now_ns, 0, *waits)

    def take(self, request: RestRequest | Frame, now_ns: int) -> None:
        """A request leaves."""
        for limit, budget in self._own(request, is_leaving=True):
            budget.take(cost(limit, request), now_ns)

    def weight(self, request: RestRequest | Frame) -> int:
        """What a request takes of the budget by address. A frame is no HTTP request: it does where the venue weighs
        both together, at one each."""
        limit = self._by_address
        if isinstance(request, Frame):
            return int(self.weighs_frames)
        return request.weight if self._counts_all else 0 if limit is None else cost(limit, request)

    def learn(self, used: Used, now_ns: int) -> None:
        """The venue says how much of a limit is used, and what it is."""
        for number, limit in enumerate(self._limits):
            if limit.of == "account" and used.lane in limit.lanes and limit.per_sec == used.per_sec:
                budget = self._budget(number, limit, "")
                if isinstance(budget, Budget):
                    if used.limit:
                        budget.allow(used.limit)
                    budget.learn(used.units, now_ns)

    @property
    def weighs_frames(self) -> bool:
        """Whether what is said on lines draws on the budget by address too."""
        return self._by_address is not None and self._by_address.counts == "weight"

    def refused(self, lane: Lane, wait_ns: int, now_ns: int) -> None:
        """The venue refused a request for want of budget: nothing more of its kind leaves for as long as it says, or,
        where it does not (0), for a while."""
        until_ns = now_ns + (wait_ns or int(THROTTLED_SEC * SEC))
        self._blocked_ns[lane] = max(self._blocked_ns.get(lane, 0), until_ns)

    def _own(self, request: RestRequest | Frame, *, is_leaving: bool = False) -> list[tuple[Limit, Budget | Counter]]:
        spelling = request.asked.spelling
        is_counted = is_leaving and request.lane is Lane.CANCEL
        return [
            (limit, self._budget(number, limit, spelling if limit.of == "market" else ""))
            for number, limit in enumerate(self._limits)
            if not limit.lanes or request.lane in limit.lanes or (is_counted and limit.cancel_units)
        ]

    def _budget(self, number: int, limit: Limit, spelling: str) -> Budget | Counter:
        found = self._budgets.get((number, spelling))
        if found is None:
            kind = Counter if limit.decays else Budget
            found = self._budgets[number, spelling] = kind(limit.units, limit.per_sec)
        return found


def urgency(request: RestRequest | Frame) -> BudgetLane:
    """Whether a request may use what is kept back."""
    is_urgent = request.lane is Lane.CANCEL or request.asked.what == "query"
    return BudgetLane.URGENT if is_urgent else BudgetLane.ORDINARY


def cost(limit: Limit, request: RestRequest | Frame) -> int:
    """What a request takes of a limit."""
    if request.lane is Lane.CANCEL and limit.cancel_units:
        return limit.cancel_units
    return request.weight if limit.counts == "weight" and isinstance(request, RestRequest) else 1
