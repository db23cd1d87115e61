"""What the desk has done and holds, as plain data for the outside: orders, plans, positions, result, the funnel.

Cold: copies out of the desk's standing, settled episodes that are packed away included. Money and quantities are
decimal text, times ns since the epoch.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, localcontext
from itertools import islice
from typing import Any, Final, Protocol

from gambit.engine.desk import Desk
from gambit.engine.order import Order
from gambit.engine.standing import EXACT, Standing
from gambit.engine.trade import Trade
from gambit.model import rfc3339

BPS_DIGITS: Final = 8
UUID_CHARS: Final = 36
EPISODES_LOOKED_AT: Final = 2000  # packed ones; `gambit explain` and the database know all


class Choice(Protocol):
    """Filters of orders and plans; those that are None let everything pass."""

    @property
    def symbol(self) -> str | None: ...
    @property
    def venue(self) -> str | None: ...
    @property
    def status(self) -> str | None: ...
    @property
    def since_ns(self) -> int | None: ...


class Query(Choice, Protocol):
    """And how many of them."""

    @property
    def open_only(self) -> bool: ...
    @property
    def limit(self) -> int: ...


def orders(desk: Desk, query: Query) -> list[dict[str, Any]]:
    """The newest orders first."""
    standing = desk.standing
    known = _newest(standing.live.values()) if query.open_only else _orders(standing)
    rows = (_order(order) for order in known)
    passing = (row for row in rows if _passes(row, query) and query.venue in (None, row["venue"]))
    return sorted(islice(passing, query.limit), key=_created_ns, reverse=True)


def _orders(standing: Standing) -> Iterator[Order]:
    """All orders, the newest first as far as they are at hand; then the packed ones."""
    yield from _newest(standing.state.orders.values())
    for episode in islice(standing.archive.newest(), EPISODES_LOOKED_AT):
        yield from reversed(episode.orders)


def _newest(orders: Iterable[Order]) -> list[Order]:
    return sorted(orders, key=lambda order: order.intended_ns, reverse=True)


def _trades(standing: Standing, *, open_only: bool) -> Iterator[tuple[Trade, Sequence[Order]]]:
    """All plans with their orders, the newest first as far as they are at hand; then the packed ones."""
    known = standing.open if open_only else standing.state.trades
    for trade in sorted(known.values(), key=lambda trade: trade.made_ns, reverse=True):
        yield trade, _orders_of(standing, trade)
    if open_only:
        return
    for episode in islice(standing.archive.newest(), EPISODES_LOOKED_AT):
        yield episode.trade, episode.orders


def counts(desk: Desk) -> dict[str, Any]:
    """Plans by their end, and how many orders, of this journal's whole life."""
    standing = desk.standing
    ends = Counter(trade.end or "under way" for trade in standing.every_trade())
    return {"plans": dict(ends), "orders": sum(1 for _ in standing.every_order())}


def _created_ns(row: dict[str, Any]) -> int:
    created_ns: int = row["created_ns"]
    return created_ns


def order(desk: Desk, name: str) -> dict[str, Any] | None:
    """By its order_id or its client order id; None for one that `orders` does not list either."""
    standing = desk.standing
    found = standing.order(name) or next(_named(standing, name), None)
    return None if found is None else _order(found)


def _named(standing: Standing, order_id: str) -> Iterator[Order]:
    yield from (one for one in standing.state.orders.values() if one.intent.order_id == order_id)
    if len(order_id) == UUID_CHARS:
        for episode in standing.archive.mentioning(order_id, EPISODES_LOOKED_AT):
            yield from (one for one in episode.orders if one.intent.order_id == order_id)


def _passes(row: dict[str, Any], query: Choice) -> bool:
    is_late_enough = query.since_ns is None or row["created_ns"] >= query.since_ns
    return is_late_enough and query.symbol in (None, row["symbol"]) and query.status in (None, row["status"])


def _order(order: Order) -> dict[str, Any]:
    intent = order.intent
    price = order.average_price
    return {
        "order_id": intent.order_id,
        "client_order_id": intent.key,
        "plan_id": intent.plan_id,
        "user_id": intent.user_id,
        "venue": intent.venue,
        "venue_order_id": order.venue_order_id,
        "symbol": intent.symbol,
        "side": intent.side,
        "qty": _text(order.qty or intent.qty),
        "price": _text(intent.price),
        "tif": intent.tif,
        "purpose": intent.purpose,
        "status": str(order.status),
        "qty_filled": _text(order.filled_qty),
        "average_price": None if price is None else _text(price),
        "idempotency_key": intent.idempotency_key,
        "created_at": rfc3339(order.intended_ns),
        "updated_at": rfc3339(order.changed_ns),
        "created_ns": order.intended_ns,
        "updated_ns": order.changed_ns,
    }


def plans(desk: Desk, query: Query, marks: Mapping[str, Decimal]) -> list[dict[str, Any]]:
    """The newest plans first; `marks` are worth in the currency of account."""
    standing = desk.standing
    rows = (_plan(trade, orders, marks) for trade, orders in _trades(standing, open_only=query.open_only))
    passing = (row for row in rows if _passes(row, query) and query.venue in (None, *row["venues"]))
    return sorted(islice(passing, query.limit), key=_created_ns, reverse=True)


def plan(desk: Desk, plan_id: str, marks: Mapping[str, Decimal]) -> dict[str, Any] | None:
    """One plan that is at hand, by its id."""
    trade = desk.standing.state.trades.get(plan_id)
    return None if trade is None else _plan(trade, _orders_of(desk.standing, trade), marks)


def _orders_of(standing: Standing, trade: Trade) -> list[Order]:
    return [standing.state.orders[key] for key in trade.keys]


def _plan(trade: Trade, orders: Sequence[Order], marks: Mapping[str, Decimal]) -> dict[str, Any]:
    made, result = trade.made, trade.result(orders)
    return {
        "plan_id": made.plan_id,
        "opp_id": made.opp_id,
        "symbol": made.symbol,
        "venues": [leg.venue for leg in made.legs],
        "status": str(trade.phase),
        "end": trade.end,
        "stopped": trade.stopped,
        "approval": made.approval,
        "strategy": made.strategy,
        "risk_flags": "unhedged" if trade.is_unhedged else "",
        "total_quote_amount": _text(made.total_quote),
        "expected_profit": _text(made.expected_profit),
        "result": {asset: _text(amount) for asset, amount in result.items()},
        "value": _text(trade.value(result, marks)),
        "unbalanced": {asset: _text(amount) for asset, amount in trade.net.items()},
        "orders": list(trade.keys),
        "created_at": rfc3339(trade.made_ns),
        "updated_at": rfc3339(max(trade.made_ns, trade.accrued_ns)),
        "created_ns": trade.made_ns,
        "expires_ns": made.expires_ns,
    }


def positions(desk: Desk, marks: Mapping[str, Decimal], only: str | None = None) -> list[dict[str, Any]]:
    """What trading changed, per symbol; of one only, where it is named. Amounts, the mark too, in its quote asset."""
    found = []
    for symbol, position in sorted(desk.standing.state.holdings.positions.items()):
        if only not in (None, symbol):
            continue
        base, quote = marks.get(position.base), marks.get(position.quote)
        mark = base / quote if base is not None and quote else None
        cost = position.average_cost
        found.append(
            {
                "symbol": symbol,
                "qty": _text(position.qty),
                "average_cost": None if cost is None else _text(cost),
                "mark": None if mark is None else _text(mark),
                "unrealised": None if mark is None else _text(position.unrealised(mark)),
                "realised": _text(position.realised),
                "quote_asset": position.quote,
            }
        )
    return found


def balances(desk: Desk, symbol: str | None = None, at: str | None = None) -> list[dict[str, Any]]:
    """What is owned, per venue and asset; only of a symbol's two assets, only at one venue, where they are named."""
    assets = None if symbol is None else symbol.split("-")[:2]
    rows = []
    for name, amount in sorted(desk.standing.state.holdings.balances.items()):
        venue, _, asset = name.partition("|")
        if (assets is None or asset in assets) and at in (None, venue):
            rows.append({"venue": venue, "asset": asset, "amount": _text(amount)})
    return rows


def chosen(desk: Desk, query: Choice, marks: Mapping[str, Decimal]) -> dict[str, Any]:
    """What the plans that pass came to: how many, how many of them traded, their result by asset and its value. Of
    settled plans that are packed away the newest EPISODES_LOOKED_AT count."""
    result: dict[str, Decimal] = {}
    plans, traded, value = 0, 0, Decimal(0)
    with localcontext(EXACT):
        for trade, orders in _trades(desk.standing, open_only=False):
            row = _plan(trade, orders, marks)
            if not (_passes(row, query) and query.venue in (None, *row["venues"])):
                continue
            plans, traded, value = plans + 1, traded + trade.is_traded, value + Decimal(row["value"])
            for asset, amount in row["result"].items():
                result[asset] = result.get(asset, Decimal(0)) + Decimal(amount)
        told = {asset: _text(amount) for asset, amount in sorted(result.items())}
        return {"plans": plans, "traded": traded, "result": told, "value": _text(value)}


def pnl(desk: Desk, marks: Mapping[str, Decimal], now_ns: int) -> dict[str, Any]:
    """The result: today's, the equity, fees charged and modelled, and what became of every opportunity."""
    holdings, funnel = desk.standing.state.holdings, desk.standing.state.funnel
    return {
        "equity": _text(holdings.equity(marks)),
        "result_today": _text(holdings.result_today(marks, now_ns)),
        "unrealised": _text(holdings.unrealised(marks)),
        "fees": {asset: _text(amount) for asset, amount in sorted(holdings.fees.items())},
        "fee_drift_bps": {
            venue: _text(round(tally.drift_bps(desk.limits.fee_drift_fills), BPS_DIGITS))
            for venue, tally in sorted(holdings.tallies.items())
        },
        "fees_charged": {venue: _text(tally.charged) for venue, tally in sorted(holdings.tallies.items())},
        "fees_modelled": {venue: _text(tally.modelled) for venue, tally in sorted(holdings.tallies.items())},
        "dust": {asset: _text(qty) for asset, qty in sorted(holdings.dust.items())},
        "opportunities": funnel.seen,
        "opportunities_open": len(funnel.open),
        "funnel": dict(sorted(funnel.ended.items())),
        "counterfactual": {reason: _text(amount) for reason, amount in sorted(funnel.counterfactual.items())},
    }


def _text(amount: Decimal) -> str:
    """Without exponent and without trailing zeros."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
