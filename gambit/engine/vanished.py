"""Executions that a venue took back without a word (F32): its list lacks them, its balances are off by just them.

Neither is proof alone: a list may be late, and a balance may have moved for any reason.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final, NamedTuple

from gambit.engine.limits import SECOND_NS
from gambit.engine.order import EDGES, ZERO, Execution, On, Order
from gambit.events.orders import BalanceCorrected, Busted, FillsRead

SLACK_NS: Final = 30 * SECOND_NS  # a venue's clock and ours: how much later than its `since` a list surely is whole
CLOSE: Final = Decimal("2e-8")  # what venues cut off the balances they tell
KEPT: Final = 32  # of a market, the latest; paper, which forgets what is settled, would lack ever more
GONE: Final = "the venue lists it no more, and its balances are as if it had never been"


class Missing(NamedTuple):
    """One that a list lacks, and what undoing it does to the venue's balances."""

    bust: Busted
    intended_ns: int
    undone: Mapping[str, Decimal]  # by asset


class Vanished:
    """What the last lists lacked. Not part of the state: after a restart the lists are read again."""

    def __init__(self) -> None:
        self._missing: dict[tuple[str, str], list[Missing]] = {}  # by venue and symbol

    def heard(self, fact: FillsRead, orders: Iterable[Order]) -> None:
        """A list came; `orders` are those at hand. What it does not reach back to stays as it was known."""
        whole_ns = fact.since_ns + SLACK_NS
        listed = {fill.exec_id for fill in fact.fills}
        found = [one for one in self._missing.get((fact.venue, fact.symbol), ()) if one.intended_ns < whole_ns]
        for order in orders:
            intent = order.intent
            is_elsewhere = (intent.venue, intent.symbol) != (fact.venue, fact.symbol)
            if is_elsewhere or order.changed_ns >= fact.asked_ns or order.intended_ns < whole_ns:
                continue
            if order.is_live or (order.status, On.BUST) not in EDGES:
                continue
            found += [
                _missing(order, each)
                for exec_id, each in order.executions.items()
                if not each.is_busted and each.account == fact.account and exec_id not in listed
            ]
        self._missing[fact.venue, fact.symbol] = found[-KEPT:]

    def explaining(self, venue: str, differences: Iterable[BalanceCorrected]) -> list[Busted]:
        """The reversals that make exactly these differences, and are then no more missing; none when they do not."""
        left = {one.asset: one.delta for one in differences}
        missing = [one for (where, _), found in self._missing.items() if where == venue for one in found]
        for one in missing:
            for asset, amount in one.undone.items():
                left[asset] = left.get(asset, ZERO) - amount
        if any(abs(amount) > CLOSE for amount in left.values()):
            return []
        for where in [name for name in self._missing if name[0] == venue]:
            del self._missing[where]
        return [one.bust for one in missing]


def _missing(order: Order, execution: Execution) -> Missing:
    intent = order.intent
    qty = execution.qty if intent.side == "buy" else -execution.qty
    undone = {intent.base: -qty, intent.quote: qty * execution.price}
    undone[execution.fee_asset] = undone.get(execution.fee_asset, ZERO) + execution.fee
    bust = Busted(
        venue=intent.venue, symbol=intent.symbol, exec_id=execution.exec_id, reason=GONE, account=execution.account
    )
    return Missing(bust, order.intended_ns, undone)
