"""Facts and intents in short, for the tests of the order path."""

from decimal import Decimal
from typing import Any

from gambit.commands import client_order_id, idempotency_key, order_id, plan_id
from gambit.engine.order import Order, opened
from gambit.events.orders import Cancelled, Filled, OrderFound, OrderIntended, OrderMissing

PREFIX, EPOCH = "gt", 3
SECOND = 1_000_000_000
D = Decimal


def intent(**changes: Any) -> OrderIntended:
    """An entry order of one plan: buy 10 BTC-USDT at 100 on a."""
    plan = plan_id(PREFIX, EPOCH, 1)
    fields: dict[str, Any] = {
        "venue": "a",
        "symbol": "BTC-USDT",
        "base": "BTC",
        "quote": "USDT",
        "side": "buy",
        "qty": D(10),
        "price": D(100),
        "tif": "ioc",
        "purpose": "entry",
        "leg": 0,
        "fee_bps": D(10),
        "window_ns": 5 * SECOND,
        "user_id": "desk",
        "plan_id": plan,
    } | changes
    name = idempotency_key(plan, "desk", fields["venue"], fields["symbol"], fields["side"], fields["qty"])
    key = client_order_id(PREFIX, EPOCH, 1, name)
    return OrderIntended(**({"key": key, "order_id": order_id(key), "idempotency_key": name} | fields))


def order(**changes: Any) -> Order:
    """That order, just intended."""
    return opened(intent(**changes), 0)


def filled(of: Order, exec_id: str, qty: str, price: str = "100", **changes: Any) -> Filled:
    """An execution of an order."""
    i = of.intent
    fields: dict[str, Any] = {"fee": D(0), "fee_asset": i.quote} | changes
    return Filled(
        key=i.key, venue=i.venue, symbol=i.symbol, side=i.side, exec_id=exec_id, qty=D(qty), price=D(price), **fields
    )


def cancelled(of: Order, cum: str) -> Cancelled:
    """The venue's word that it is over."""
    return Cancelled(key=of.intent.key, venue=of.intent.venue, cum_qty=D(cum))


def found(of: Order, found_as: Any, cum: str = "0", query_id: int = 1, venue_order_id: str = "v1") -> OrderFound:
    """The venue's answer to a question."""
    return OrderFound(
        key=of.intent.key,
        venue=of.intent.venue,
        query_id=query_id,
        asked_ns=0,
        venue_order_id=venue_order_id,
        found_as=found_as,
        cum_qty=D(cum),
    )


def missing(of: Order, asked_ns: int, query_id: int = 1, searched: bool = True) -> OrderMissing:
    """The venue's answer that there is no such order."""
    return OrderMissing(
        key=of.intent.key, venue=of.intent.venue, query_id=query_id, asked_ns=asked_ns, searched_history=searched
    )
