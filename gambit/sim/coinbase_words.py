"""How Coinbase words orders, fills, accounts and errors: every amount and nearly every number a string."""

from __future__ import annotations

import json
import uuid
from typing import Any

from gambit.sim.accounts import Account, money_text, quote_units
from gambit.sim.amounts import average_text, cost_text, price_text, qty_text
from gambit.sim.desk import Desk
from gambit.sim.dialect import Fill, Refusal, Reply
from gambit.sim.matching import Order, State
from gambit.sim.spelling import rfc3339, trimmed

Words = dict[str, Any]
FIAT = ("USD", "EUR", "GBP")
NEVER = "0001-01-01T00:00:00Z"
GTD = "gtd"  # the reason of an order whose time was over
UNKNOWN = "UNKNOWN_FAILURE_REASON"
CANCEL_QUEUED = "CANCEL_QUEUED"
REFUSALS = {
    "tick": ("INVALID_PRICE_PRECISION", UNKNOWN),
    "lot": ("INVALID_SIZE_PRECISION", UNKNOWN),
    "min_lots": (UNKNOWN, "PREVIEW_INVALID_BASE_SIZE_TOO_SMALL"),
    "max_lots": (UNKNOWN, "PREVIEW_INVALID_BASE_SIZE_TOO_LARGE"),
    "min_cost": (UNKNOWN, "PREVIEW_INVALID_QUOTE_SIZE_TOO_SMALL"),
    "funds": ("INSUFFICIENT_FUND", "PREVIEW_INSUFFICIENT_FUND"),
    "duplicate": ("DUPLICATE_CLIENT_ORDER_ID", UNKNOWN),
    "halted": ("TRADING_DISABLED", "PREVIEW_NOT_ALLOWED_BY_MARKET_STATE"),
    "cancel_only": ("ORDER_ENTRY_DISABLED", "PREVIEW_NOT_ALLOWED_BY_MARKET_STATE"),
    "would_take": ("INVALID_LIMIT_PRICE_POST_ONLY", "PREVIEW_INVALID_LIMIT_PRICE_POST_ONLY"),
}
MESSAGES = {
    "funds": "Insufficient balance in source account",
    "would_take": "Post only limit price would be immediately executed",
}
CANCEL_REASONS = {"user": "User requested cancel", "self_trade": "Self trade prevention", GTD: "Order expired"}
TIFS = {"gtc": "GOOD_UNTIL_CANCELLED", "ioc": "IMMEDIATE_OR_CANCEL", "fok": "FILL_OR_KILL"}


class Denied(Exception):
    """A request that is answered with an HTTP error."""

    def __init__(self, status: int, error: str, code: int, message: str, details: str = "") -> None:
        super().__init__(f"{status} {error}: {message}")
        self.reply = failure(status, error, code, message, details)


class Unauthorized(Denied):
    """A token that proves nothing; the answer is plain text."""

    def __init__(self) -> None:
        super().__init__(401, "UNAUTHENTICATED", 16, "Unauthorized")
        self.reply = Reply("Unauthorized\n", 401, content_type="text/plain")


def text_of(content: Any) -> str:
    """Compact JSON."""
    return json.dumps(content, separators=(",", ":"))


def failure(status: int, error: str, code: int, message: str, details: str = "") -> Reply:
    """An error of HTTP."""
    words = {"error": error, "code": code, "message": message, "error_details": details, "details": []}
    return Reply(text_of(words), status)


def uuid_text(*names: str) -> str:
    """The same UUID for the same names."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, "/".join(names)))


def order_uuid(order_id: int) -> str:
    """What the venue calls an order."""
    return uuid_text("coinbase", "order", str(order_id))


def refusal_words(refusal: Refusal, *, buys: bool) -> Words:
    """The error_response of an order that was not accepted; a forced one says what it is told to."""
    error, preview = REFUSALS.get(refusal.reason, (UNKNOWN, UNKNOWN))
    message = MESSAGES.get(refusal.reason, "")
    if refusal.reason == "price_band":
        error = f"LIMIT_ORDER_PRICE_EXCEEDS_PRICE_BAND_ON_{'BUY' if buys else 'SELL'}"
    if refusal.reason == "forced":
        error = str(refusal.words.get("code", "INSUFFICIENT_FUND"))
        preview = str(refusal.words.get("preview", f"PREVIEW_{error}"))
        message = str(refusal.words.get("msg", ""))
    return {
        "error": error,
        "message": message,
        "error_details": "",
        "preview_failure_reason": preview,
        "new_order_failure_reason": UNKNOWN,
    }


def status_of(order: Order) -> str:
    """The venue's name of an order's state; a part that is filled does not show in it."""
    if order.state is State.FILLED:
        return "FILLED"
    if order.state is State.REJECTED:
        return "FAILED"
    if order.is_over:
        return "EXPIRED" if order.reason == GTD else "CANCELLED"
    return "OPEN"


def tif_of(order: Order) -> str:
    """The venue's name of a time in force."""
    if "end_time" in order.words:
        return "GOOD_UNTIL_DATE_TIME"
    return "IMMEDIATE_OR_CANCEL" if order.is_market else TIFS[order.tif]


def order_words(desk: Desk, order: Order) -> Words:
    """An order of REST."""
    done = _done_words(desk, order)
    return {
        "order_id": order_uuid(order.order_id),
        "product_id": order.symbol,
        "user_id": user_uuid(order.account),
        "order_configuration": json.loads(order.words["configuration"]),
        "side": "BUY" if order.buys else "SELL",
        "client_order_id": order.client_id,
        "status": status_of(order),
        "time_in_force": tif_of(order),
        "created_time": rfc3339(order.arrived_ns, 6),
        "completion_percentage": done["completion_percentage"],
        "filled_size": done["cumulative_quantity"],
        "average_filled_price": done["avg_price"],
        "fee": "",
        "number_of_fills": done["number_of_fills"],
        "filled_value": done["filled_value"],
        "pending_cancel": False,
        "size_in_quote": "quote_size" in order.words["configuration"],
        "total_fees": done["total_fees"],
        "size_inclusive_of_fees": False,
        "total_value_after_fees": done["total_value_after_fees"],
        "trigger_status": "INVALID_ORDER_TYPE",
        "order_type": "MARKET" if order.is_market else "LIMIT",
        "reject_reason": "REJECT_REASON_UNSPECIFIED",
        "settled": order.state is State.FILLED,
        "product_type": "SPOT",
        "reject_message": "",
        "cancel_message": CANCEL_REASONS.get(order.reason, "") if order.is_over else "",
        "outstanding_hold_amount": done["outstanding_hold_amount"],
        "last_fill_time": rfc3339(order.changed_ns, 6) if order.filled else None,
        "is_liquidation": False,
    }


def user_words(desk: Desk, order: Order, status: str) -> Words:
    """An order of the user channel: sums only, no execution by itself."""
    item = desk.rules[order.symbol].instrument
    is_over = order.is_over and status != CANCEL_QUEUED
    leaves = {} if is_over else {"leaves_quantity": qty_text(item, order.left)}
    return {
        "order_id": order_uuid(order.order_id),
        "client_order_id": order.client_id,
        "product_id": order.symbol,
        "order_side": "BUY" if order.buys else "SELL",
        "order_type": "Market" if order.is_market else "Limit",
        "status": status,
        "time_in_force": tif_of(order),
        **_done_words(desk, order),
        **leaves,
        "limit_price": "" if order.is_market else price_text(item, order.price_ticks),
        "post_only": "true" if order.post_only else "false",
        "stop_price": "",
        "trigger_status": "INVALID_ORDER_TYPE",
        "cancel_reason": CANCEL_REASONS.get(order.reason, "") if is_over else "",
        "reject_reason": "",
        "product_type": "SPOT",
        "retail_portfolio_id": uuid_text("coinbase", "portfolio", order.account),
        "creation_time": rfc3339(order.arrived_ns, 6),
        "end_time": order.words.get("end_time", NEVER),
        "start_time": NEVER,
        "contract_expiry_type": "UNKNOWN_CONTRACT_EXPIRY_TYPE",
        "risk_managed_by": "UNKNOWN_RISK_MANAGEMENT_TYPE",
    }


def _done_words(desk: Desk, order: Order) -> dict[str, str]:
    """How far an order has come."""
    item = desk.rules[order.symbol].instrument
    fills = desk.fills_of(desk.accounts[order.account], order_id=order.order_id)
    fee = sum(fill.fee for fill in fills)
    value = cost_text(item, order.cost)
    share = 100 * order.filled / order.lots
    return {
        "cumulative_quantity": qty_text(item, order.filled),
        "leaves_quantity": qty_text(item, 0 if order.is_over else order.left),
        "avg_price": average_text(item, order),
        "filled_value": value,
        "number_of_fills": str(len(fills)),
        "completion_percentage": trimmed(f"{share:.2f}"),
        "total_fees": money_text(fee),
        "total_value_after_fees": money_text(quote_units(item, order.cost) + (fee if order.buys else -fee)),
        "outstanding_hold_amount": money_text(order.locked),
    }


def fill_words(desk: Desk, fill: Fill) -> Words:
    """A fill of REST."""
    item = desk.rules[fill.symbol].instrument
    time = rfc3339(fill.ts_ns, 6)
    return {
        "entry_id": uuid_text("coinbase", "entry", str(fill.exec_id)).replace("-", ""),
        "trade_id": uuid_text("coinbase", "trade", str(fill.exec_id)),
        "order_id": order_uuid(fill.order_id),
        "trade_time": time,
        "trade_type": "FILL",
        "price": price_text(item, fill.price_ticks),
        "size": qty_text(item, fill.lots),
        "commission": money_text(fill.fee),
        "product_id": fill.symbol,
        "sequence_timestamp": time,
        "liquidity_indicator": "MAKER" if fill.is_maker else "TAKER",
        "size_in_quote": False,
        "user_id": user_uuid(fill.account),
        "side": "BUY" if fill.buys else "SELL",
    }


def user_uuid(account: str) -> str:
    """What the venue calls a user."""
    return uuid_text("coinbase", "user", account)


def account_words(account: Account, asset: str) -> Words:
    """One wallet."""
    balance = account.balance(asset)
    kind = "FIAT" if asset in FIAT else "CRYPTO"
    return {
        "uuid": uuid_text("coinbase", "wallet", account.name, asset),
        "name": f"{asset} Wallet",
        "currency": asset,
        "available_balance": {"value": money_text(balance.free), "currency": asset},
        "default": True,
        "active": True,
        "created_at": "2023-01-01T00:00:00Z",
        "updated_at": "2023-01-01T00:00:00Z",
        "deleted_at": None,
        "type": f"ACCOUNT_TYPE_{kind}",
        "ready": True,
        "hold": {"value": money_text(balance.locked), "currency": asset},
        "retail_portfolio_id": uuid_text("coinbase", "portfolio", account.name),
    }
