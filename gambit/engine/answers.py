"""What an order of ours is owed by its venue: which answer is due, and the fact that none came."""

from collections.abc import Iterable, Iterator

from gambit.commands import CancelOrder
from gambit.engine.limits import Execution
from gambit.engine.order import Order, Status
from gambit.events.orders import Doubt, OutcomeUnknown


def cancelling(order: Order) -> CancelOrder:
    """The command that cancels it."""
    intent = order.intent
    return CancelOrder(venue=intent.venue, symbol=intent.symbol, key=intent.key, venue_order_id=order.venue_order_id)


def unknown(order: Order, during: Doubt, reason: str) -> OutcomeUnknown:
    """The fact that nobody knows what became of it."""
    return OutcomeUnknown(key=order.intent.key, venue=order.intent.venue, during=during, reason=reason)


def may_answer(order: Order) -> bool:
    """Whether an answer is due some time; an order in doubt is asked about, a resting one may rest."""
    is_resting = order.intent.tif == "gtc" and order.status in (Status.SUBMITTED, Status.PARTIALLY_FILLED)
    return order.status is not Status.IN_DOUBT and not is_resting


def during(order: Order) -> Doubt:
    """Which request has no answer."""
    if order.status is Status.PENDING_CANCEL:
        return "cancel"
    if order.status is Status.PENDING_AMEND:
        return "amend"
    return "stream" if order.venue_order_id or order.filled_qty else "create"


def overdue(orders: Iterable[Order], rules: Execution, now_ns: int) -> Iterator[OutcomeUnknown]:
    """Of orders whose answer did not come in time, that nobody knows what became of them."""
    for order in orders:
        if may_answer(order) and now_ns >= order.changed_ns + rules.answer_timeout_ns:
            yield unknown(order, during(order), "no answer in time")
