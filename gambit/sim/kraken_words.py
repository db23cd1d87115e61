"""How Kraken words orders, executions, balances and errors: numbers on the WebSocket, texts over REST."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from gambit.sim.accounts import Account, base_units, money_text, quote_units
from gambit.sim.amounts import average_text
from gambit.sim.desk import Desk
from gambit.sim.dialect import Fill, Refusal
from gambit.sim.instruments import Instrument
from gambit.sim.kraken_wire import asset_id, rest_names, spell
from gambit.sim.matching import Order, State
from gambit.sim.spelling import decimal_text, rfc3339

Words = dict[str, Any]
DIGITS = 8  # of costs, fees and balances; finer ones are cut
REFUSALS = {
    "symbol": "EQuery:Unknown asset pair",
    "tick": "EOrder:Tick size check failed",
    "lot": "EGeneral:Invalid arguments:volume",
    "min_lots": "EOrder:Order minimum not met",
    "max_lots": "EGeneral:Invalid arguments:volume",
    "min_cost": "EOrder:Cost minimum not met",
    "price_band": "EOrder:Invalid price",
    "funds": "EOrder:Insufficient funds",
    "duplicate": "EOrder:Invalid cl_ord_id",
    "halted": "EService:Unavailable",
    "cancel_only": "EService:Market in cancel_only mode",
    "unknown_order": "EOrder:Unknown order",
    "order_over": "EOrder:Unknown order",
    "would_take": "EOrder:Post only order",
}
REASONS = {
    "user": "User requested",
    "would_take": "Post only order",
    "ioc": "Immediate or cancel order not filled",
    "fok": "Fill or kill order not filled",
    "liquidity": "Insufficient liquidity",
    "self_trade": "Self trade prevention",
    "cancel_all_after": "Cancel all orders after",
}
ID_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
ID_SPACE = 36**16
SCATTER = 2_862_933_555_777_941_759  # has no divisor in common with ID_SPACE, so every number has its own id
GATHER = pow(SCATTER, -1, ID_SPACE)
ENCODER = msgspec.json.Encoder(decimal_format="number")


class Denied(Exception):
    """A request that Kraken answers with an error text."""


def text_of(content: Any) -> str:
    """JSON with decimals as numbers."""
    return ENCODER.encode(content).decode()


def denial(refusal: Refusal) -> Denied:
    """An exchange's refusal in Kraken's words; a forced one in its own."""
    if refusal.reason == "forced":
        return Denied(str(refusal.words.get("msg", "EOrder:Insufficient funds")))
    return Denied(REFUSALS[refusal.reason])


def ref_id(letter: str, number: int) -> str:
    """The id of an order ("O") or execution ("T"): 17 characters in three groups."""
    rest, digits = number * SCATTER % ID_SPACE, ""
    for _ in range(16):
        rest, digit = divmod(rest, 36)
        digits = ID_DIGITS[digit] + digits
    return f"{letter}{digits[:5]}-{digits[5:10]}-{digits[10:]}"


def number_of(reference: str) -> int | None:
    """The number behind an id; None for a text that is none."""
    digits = reference[1:].replace("-", "")
    if len(digits) != 16 or any(digit not in ID_DIGITS for digit in digits):
        return None
    return int(digits, 36) * GATHER % ID_SPACE


def times(now_ns: int) -> dict[str, str]:
    """When a request came in and its answer went out."""
    return {"time_in": rfc3339(now_ns, 6), "time_out": rfc3339(now_ns + 45_000, 6)}


def price_of(item: Instrument, ticks: int) -> Decimal:
    """A price as a number."""
    return Decimal(decimal_text(ticks * item.tick, item.price_decimals))


def qty_of(item: Instrument, lots: int) -> Decimal:
    """A quantity as a number."""
    return Decimal(decimal_text(lots * item.lot, item.lot_decimals))


def cost_of(item: Instrument, cost: int) -> Decimal:
    """A cost as a number."""
    return Decimal(money_text(quote_units(item, cost)))


def kind_of(order: Order) -> str:
    """The venue's name of an order's type."""
    return "market" if order.is_market else "limit"


def status_of(order: Order) -> str:
    """The venue's name of an order's state on the WebSocket."""
    if order.is_over:
        return "filled" if order.state is State.FILLED else "canceled"
    return "partially_filled" if order.filled else "new"


# --- the executions channel


def head_words(order: Order, kind: str, status: str, ts_ns: int) -> Words:
    """What every report has."""
    return {
        "timestamp": rfc3339(ts_ns, 6),
        "order_status": status,
        "exec_type": kind,
        "order_id": ref_id("O", order.order_id),
        "order_userref": int(order.words.get("userref", "0")),
    }


def full_words(desk: Desk, order: Order, kind: str, status: str, ts_ns: int) -> Words:
    """A report with all that is known of an order."""
    item = desk.rules[order.symbol].instrument
    words = head_words(order, kind, status, ts_ns)
    words |= {
        "symbol": spell(order.symbol),
        "side": "buy" if order.buys else "sell",
        "order_type": kind_of(order),
        "order_qty": qty_of(item, order.lots),
        "limit_price_type": "static",
        "time_in_force": order.tif.upper(),
        **sum_words(desk, order),
    }
    if not order.is_market:
        words["limit_price"] = price_of(item, order.price_ticks)
    if order.post_only:
        words["post_only"] = True
    if order.client_id:
        words["cl_ord_id"] = order.client_id
    return words


def sum_words(desk: Desk, order: Order) -> Words:
    """How far an order has come."""
    item = desk.rules[order.symbol].instrument
    fills = desk.fills_of(desk.accounts[order.account], order_id=order.order_id)
    return {
        "cum_qty": qty_of(item, order.filled),
        "cum_cost": cost_of(item, order.cost),
        "avg_price": Decimal(average_text(item, order)),
        "fee_usd_equiv": Decimal(money_text(sum(fill.fee for fill in fills), DIGITS)),
    }


def trade_words(desk: Desk, order: Order, fill: Fill) -> Words:
    """An execution; even one that completes the order says partially_filled."""
    item = desk.rules[fill.symbol].instrument
    fee = Decimal(money_text(fill.fee, DIGITS))
    return head_words(order, "trade", "partially_filled", fill.ts_ns) | {
        "exec_id": ref_id("T", fill.exec_id),
        "trade_id": fill.trade_id,
        "symbol": spell(fill.symbol),
        "side": "buy" if fill.buys else "sell",
        "order_type": kind_of(order),
        "last_qty": qty_of(item, fill.lots),
        "last_price": price_of(item, fill.price_ticks),
        "cost": cost_of(item, fill.cost),
        "liquidity_ind": "m" if fill.is_maker else "t",
        "fees": [{"asset": fill.fee_asset, "qty": fee}],
        **sum_words(desk, order),
    }


def ended_words(desk: Desk, order: Order, ts_ns: int) -> Words:
    """The end of an order that was not filled whole."""
    reason = REASONS.get(order.reason, order.reason)
    head = head_words(order, "canceled", "canceled", ts_ns)
    return head | sum_words(desk, order) | {"cancel_reason": reason, "reason": reason}


# --- REST


def order_text(item: Instrument, order: Order) -> str:
    """An order in one line."""
    side, pair = ("buy" if order.buys else "sell"), rest_names(item.base, item.quote)[1]
    price = "" if order.is_market else f" {decimal_text(order.price_ticks * item.tick, item.price_decimals)}"
    return f"{side} {money_text(base_units(item, order.lots), DIGITS)} {pair} @ {kind_of(order)}{price}"


def seconds(ts_ns: int) -> Decimal:
    """A time of REST."""
    return Decimal(ts_ns // 1000).scaleb(-6)


def order_words(desk: Desk, order: Order, *, trades: bool) -> Words:
    """An order object."""
    item = desk.rules[order.symbol].instrument
    price = decimal_text(order.price_ticks * item.tick, item.price_decimals)
    fills = desk.fills_of(desk.accounts[order.account], order_id=order.order_id)
    status = {State.PENDING: "pending", State.OPEN: "open", State.FILLED: "closed"}.get(order.state, "canceled")
    none = decimal_text(0, item.price_decimals)
    words: Words = {
        "refid": None,
        "userref": int(order.words.get("userref", "0")),
        "cl_ord_id": order.client_id or None,
        "status": status,
        "opentm": seconds(order.arrived_ns),
        "starttm": 0,
        "expiretm": 0,
        "descr": {
            "pair": rest_names(item.base, item.quote)[1],
            "type": "buy" if order.buys else "sell",
            "ordertype": kind_of(order),
            "price": price,
            "price2": "0",
            "leverage": "none",
            "order": order_text(item, order),
            "close": "",
        },
        "vol": money_text(base_units(item, order.lots), DIGITS),
        "vol_exec": money_text(base_units(item, order.filled), DIGITS),
        "cost": money_text(quote_units(item, order.cost), DIGITS),
        "fee": money_text(sum(fill.fee for fill in fills), DIGITS),
        "price": average_text(item, order),
        "stopprice": none,
        "limitprice": none,
        "misc": "",
        "oflags": "fciq,post" if order.post_only else "fciq",
        "timeinforce": order.tif.upper(),
    }
    if order.is_over:
        reason = None if order.state is State.FILLED else REASONS.get(order.reason, order.reason)
        words |= {"closetm": seconds(order.changed_ns), "reason": reason}
    if trades:
        words["trades"] = [ref_id("T", fill.exec_id) for fill in fills]
    return words


def fill_words(desk: Desk, fill: Fill) -> Words:
    """A trade of TradesHistory."""
    item = desk.rules[fill.symbol].instrument
    return {
        "ordertxid": ref_id("O", fill.order_id),
        "postxid": ref_id("T", fill.exec_id),
        "pair": rest_names(item.base, item.quote)[0],
        "time": seconds(fill.ts_ns),
        "type": "buy" if fill.buys else "sell",
        "ordertype": kind_of(desk.ledger.orders[fill.order_id]),
        "price": decimal_text(fill.price_ticks * item.tick, item.price_decimals),
        "cost": money_text(quote_units(item, fill.cost), DIGITS),
        "fee": money_text(fill.fee, DIGITS),
        "vol": money_text(base_units(item, fill.lots), DIGITS),
        "margin": "0.00000",
        "misc": "",
        "trade_id": fill.trade_id,
        "maker": fill.is_maker,
    }


def key_words(account: Account) -> Words:
    """GetApiKeyInfo."""
    rights = account.rights
    words = ["query-funds", "query-open-trades", "query-closed-trades"]
    words += ["modify-trades", "close-trades"] if rights.trade else []
    words += ["withdraw-funds"] if rights.withdraw else []
    allowed = ["127.0.0.1"] if rights.bound else []
    return {"api_key_name": account.name, "permissions": words, "ip_allowlist": allowed}


def balances_words(account: Account) -> dict[str, Words]:
    """BalanceEx."""
    return {
        asset_id(asset): {
            "balance": money_text(balance.free + balance.locked, DIGITS),
            "hold_trade": money_text(balance.locked, DIGITS),
        }
        for asset, balance in sorted(account.balances.items())
    }
