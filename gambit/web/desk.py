"""Orders, plans, positions, the result; and what is decided about one of them.

An order is part of a plan and every plan has passed the gates: there is no way to send a single order past them. What
POST /orders sends are the orders of a plan that waits for somebody's approval.
"""

from typing import Annotated, Any, Final

import msgspec

from gambit.access.permissions import RULES
from gambit.surface.methods import Earned, Held, OrderId, PlanId, Rows
from gambit.web.pages import LOOKED_AT, Name, Ns, Paged, part, typed
from gambit.web.problem import not_found
from gambit.web.route import Answer, Ask, Body, Page, Query, Reply, Route
from gambit.web.services import Services

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class RowQuery(Paged, frozen=True, kw_only=True):
    """Each filter lets pass what is equal to it, literally."""

    open_only: bool = False
    symbol: Name | None = None
    venue: Name | None = None
    status: Name | None = None
    since_ns: Ns | None = None


class OrderName(Query, frozen=True, kw_only=True):
    """By its order_id or its client order id."""

    order_id: Id


class PlanName(Query, frozen=True, kw_only=True):
    """By its plan_id."""

    plan_id: Id


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    """One order; amounts are decimal text."""

    order_id: str
    client_order_id: str
    plan_id: str
    user_id: str
    venue: str
    venue_order_id: str | None
    symbol: str
    side: str
    qty: str
    price: str
    tif: str
    purpose: str
    status: str
    qty_filled: str
    average_price: str | None
    idempotency_key: str
    created_at: str
    updated_at: str
    created_ns: int
    updated_ns: int


class OrderAnswer(OrderView, frozen=True, kw_only=True):
    """One order as an answer."""

    schema_version: str = "1"


class OrderPage(Page, frozen=True, kw_only=True):
    """A part of the orders, newest first."""

    items: tuple[OrderView, ...]


class PlanView(msgspec.Struct, frozen=True, kw_only=True):
    """One plan; amounts are decimal text."""

    plan_id: str
    opp_id: str
    symbol: str
    venues: tuple[str, ...]
    status: str
    end: str | None
    stopped: str | None
    approval: str | None
    strategy: str
    risk_flags: str
    total_quote_amount: str
    expected_profit: str
    result: dict[str, str]  # by asset
    value: str  # of the result, in the currency of account
    unbalanced: dict[str, str]
    orders: tuple[str, ...]
    created_at: str
    updated_at: str
    created_ns: int
    expires_ns: int


class PlanPage(Page, frozen=True, kw_only=True):
    """A part of the plans, newest first."""

    items: tuple[PlanView, ...]


class PositionView(msgspec.Struct, frozen=True, kw_only=True):
    """What trading changed of one symbol."""

    symbol: str
    qty: str
    average_cost: str | None
    mark: str | None
    unrealised: str | None
    realised: str
    quote_asset: str


class BalanceView(msgspec.Struct, frozen=True, kw_only=True):
    """What is owned at a venue."""

    venue: str
    asset: str
    amount: str


class Positions(Answer, frozen=True, kw_only=True):
    """Positions and balances; degraded when there are marks missing or feeds down."""

    degraded: bool = False
    data_quality: tuple[str, ...] = ()
    positions: tuple[PositionView, ...]
    balances: tuple[BalanceView, ...]


class Pnl(Answer, frozen=True, kw_only=True):
    """The result; amounts are decimal text in the currency of account."""

    degraded: bool = False
    data_quality: tuple[str, ...] = ()
    equity: str
    result_today: str
    unrealised: str
    fees: dict[str, str]
    fee_drift_bps: dict[str, str]
    fees_charged: dict[str, str]
    fees_modelled: dict[str, str]
    dust: dict[str, str]
    opportunities: int
    opportunities_open: int
    funnel: dict[str, int]
    counterfactual: dict[str, str]


class Submission(Body, frozen=True, kw_only=True):
    """The plan that waits for approval, whose orders are to leave."""

    plan_id: Id


class Done(Answer, frozen=True, kw_only=True):
    """What was decided, of what. What comes of it is told by the order or the plan."""

    done: str


async def orders(services: Services, ask: Ask) -> OrderPage:
    """Newest first."""
    rows, following, why = await _rows(services, ask, "orders", "order_id")
    return OrderPage(items=typed(rows, OrderView), next_cursor=following, degraded=bool(why), data_quality=why)


async def plans(services: Services, ask: Ask) -> PlanPage:
    """Newest first."""
    rows, following, why = await _rows(services, ask, "plans", "plan_id")
    return PlanPage(items=typed(rows, PlanView), next_cursor=following, degraded=bool(why), data_quality=why)


async def order(services: Services, ask: Ask) -> OrderAnswer:
    """404 for one that is not known."""
    return msgspec.convert(await _order(services, ask), OrderAnswer)


async def cancel(services: Services, ask: Ask) -> Done:
    """409 when it is over already."""
    row = await _order(services, ask)
    told = await services.call("order.cancel", OrderId(order_id=row["order_id"]), ask.principal)
    return Done(done=told["done"])


async def submit(services: Services, ask: Ask) -> Reply:
    """The orders of a plan leave: the same as its approval."""
    return Reply(body=await _decide(services, ask, "plan.approve", ask.body.plan_id))


async def approve(services: Services, ask: Ask) -> Done:
    """409 when it does not wait for that."""
    return await _decide(services, ask, "plan.approve", ask.names.plan_id)


async def reject(services: Services, ask: Ask) -> Done:
    """409 when it does not wait for that."""
    return await _decide(services, ask, "plan.reject", ask.names.plan_id)


async def positions(services: Services, ask: Ask) -> Positions:
    """As of now."""
    told = await services.call("positions", Held(), ask.principal)
    why = tuple(services.quality())
    unmarked = [f"{row['symbol']}: no mark" for row in told["positions"] if row["mark"] is None]
    found = {**told, "degraded": bool(why or unmarked), "data_quality": (*why, *unmarked)}
    return msgspec.convert(found, Positions)


async def pnl(services: Services, ask: Ask) -> Pnl:
    """As of now."""
    told = await services.call("pnl", Earned(), ask.principal)
    why = tuple(services.quality())
    return msgspec.convert({**told, "degraded": bool(why), "data_quality": why}, Pnl)


async def _order(services: Services, ask: Ask) -> dict[str, Any]:
    row: dict[str, Any] | None = await services.call("order.show", OrderId(order_id=ask.names.order_id), ask.principal)
    if row is None:
        raise not_found()
    return row


async def _decide(services: Services, ask: Ask, method: str, plan_id: str) -> Done:
    rows = await services.call("plans", Rows(limit=LOOKED_AT), ask.principal)
    if all(row["plan_id"] != plan_id for row in rows):
        raise not_found()
    told = await services.call(method, PlanId(plan_id=plan_id), ask.principal)
    return Done(done=told["done"])


async def _rows(services: Services, ask: Ask, method: str, key: str) -> tuple[list[Any], str | None, tuple[str, ...]]:
    query: RowQuery = ask.query
    params = Rows(
        open_only=query.open_only,
        symbol=query.symbol,
        venue=query.venue,
        status=query.status,
        since_ns=query.since_ns,
        limit=LOOKED_AT,
    )
    rows, following = part(await services.call(method, params, ask.principal), key, query)
    return rows, following, tuple(services.quality())


ROUTES: Final = (
    Route(
        method="GET", path="/orders", summary="Orders, newest first", handle=orders, rule=RULES["orders"],
        query=RowQuery, answer=OrderPage, tag="desk", has_etag=True,
    ),
    Route(
        method="POST", path="/orders", summary="Let the orders of a plan leave that waits for approval", handle=submit,
        rule=RULES["plan.approve"], body=Submission, answer=Done, status=202, errors=(409,), tag="desk",
        takes_key=True,
    ),
    Route(
        method="GET", path="/orders/{order_id}", summary="One order", handle=order, rule=RULES["order.show"],
        names=OrderName, answer=OrderAnswer, tag="desk", has_etag=True,
    ),
    Route(
        method="DELETE", path="/orders/{order_id}", summary="Cancel an order", handle=cancel,
        rule=RULES["order.cancel"], names=OrderName, answer=Done, status=202, errors=(409,), tag="desk",
        takes_key=True,
    ),
    Route(
        method="GET", path="/plans", summary="Plans, newest first", handle=plans, rule=RULES["plans"], query=RowQuery,
        answer=PlanPage, tag="desk", has_etag=True,
    ),
    Route(
        method="POST", path="/plans/{plan_id}/approve", summary="Approve a plan that waits for it", handle=approve,
        rule=RULES["plan.approve"], names=PlanName, answer=Done, status=202, errors=(409,), tag="desk",
        takes_key=True,
    ),
    Route(
        method="POST", path="/plans/{plan_id}/reject", summary="Reject a plan that waits for approval", handle=reject,
        rule=RULES["plan.reject"], names=PlanName, answer=Done, status=202, errors=(409,), tag="desk", takes_key=True,
    ),
    Route(
        method="GET", path="/positions", summary="Positions and balances", handle=positions, rule=RULES["positions"],
        answer=Positions, tag="desk", has_etag=True,
    ),
    Route(
        method="GET", path="/pnl", summary="The result", handle=pnl, rule=RULES["pnl"], answer=Pnl, tag="desk",
        has_etag=True,
    ),
)  # fmt: skip
