"""How Bybit words orders, executions, balances and errors: amounts and times of orders as strings."""

from __future__ import annotations

from typing import Any

from gambit.sim.accounts import PPM, Account, money_text
from gambit.sim.amounts import average_text, cost_text, price_text, qty_text
from gambit.sim.bybit_wire import spell
from gambit.sim.desk import Desk
from gambit.sim.dialect import MILLI_NS, Fill, Refusal
from gambit.sim.matching import Order, State
from gambit.sim.spelling import trimmed

Words = dict[str, Any]
REFUSALS = {
    "symbol": (170121, "Invalid symbol."),
    "tick": (170134, "Order price decimal too long."),
    "lot": (170137, "Order volume decimal too long."),
    "min_lots": (170136, "Order quantity exceeded lower limit."),
    "max_lots": (170124, "Order amount too large."),
    "min_cost": (170140, "Order value exceeded lower limit."),
    "price_band": (170132, "Order price too high."),
    "funds": (170131, "Insufficient balance."),
    "duplicate": (170141, "Duplicate clientOrderId."),
    "halted": (170210, "New order rejected."),
    "cancel_only": (170210, "New order rejected."),
    "unknown_order": (170213, "Order does not exist."),
    "order_over": (170143, "Cannot be found on order book."),
}
REJECT_REASONS = {
    "would_take": "EC_PostOnlyWillTakeLiquidity",
    "ioc": "EC_NoImmediateQtyToFill",
    "liquidity": "EC_NoImmediateQtyToFill",
    "fok": "EC_CancelForNoFullFill",
}
SELF_TRADE = {"none": "None", "maker": "CancelMaker", "taker": "CancelTaker", "both": "CancelBoth"}
CANCEL_TYPES = {"user": "CancelByUser", "self_trade": "CancelBySmp"}


class Denied(Exception):
    """A request that Bybit answers with an error; of HTTP it says 200 mostly."""

    def __init__(self, code: int, message: str, status: int = 200) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message
        self.status = status


def denial(refusal: Refusal, order: Order | None = None) -> Denied:
    """An exchange's refusal in Bybit's words; a forced one in its own. `order` is the one that was over."""
    if refusal.reason == "forced":
        words = refusal.words
        return Denied(int(words.get("code", 170131)), str(words.get("msg", "Insufficient balance.")))
    if refusal.reason == "order_over" and order is not None:
        is_filled = order.state is State.FILLED
        return Denied(170139, "Order has been filled.") if is_filled else Denied(170142, "Order has been canceled.")
    return Denied(*REFUSALS[refusal.reason])


def status_of(order: Order) -> str:
    """The venue's name of an order's state."""
    if order.state is State.FILLED:
        return "Filled"
    if order.state is State.REJECTED:
        return "Rejected"
    if order.is_over:
        return "PartiallyFilledCanceled" if order.filled else "Cancelled"
    return "PartiallyFilled" if order.filled else "New"


def tif_of(order: Order) -> str:
    """The venue's name of a time in force."""
    if order.post_only:
        return "PostOnly"
    return "IOC" if order.is_market else order.tif.upper()


def order_words(desk: Desk, order: Order) -> Words:
    """An order as REST and the order topic say it."""
    item = desk.rules[order.symbol].instrument
    fills = desk.fills_of(desk.accounts[order.account], order_id=order.order_id)
    fees: dict[str, int] = {}
    for fill in fills:
        fees[fill.fee_asset] = fees.get(fill.fee_asset, 0) + fill.fee
    left = 0 if order.is_over else order.left
    return {
        "category": "spot",
        "symbol": spell(order.symbol),
        "orderId": str(order.order_id),
        "orderLinkId": order.client_id,
        "side": "Buy" if order.buys else "Sell",
        "orderType": "Market" if order.is_market else "Limit",
        "timeInForce": tif_of(order),
        "price": price_text(item, order.price_ticks),
        "qty": order.words.get("qty", qty_text(item, order.lots)),
        "orderStatus": status_of(order),
        "avgPrice": average_text(item, order) if order.filled else "",
        "leavesQty": qty_text(item, left),
        "leavesValue": cost_text(item, left * order.price_ticks),
        "cumExecQty": qty_text(item, order.filled),
        "cumExecValue": cost_text(item, order.cost),
        "cumExecFee": money_text(sum(fees.values())),
        "cumFeeDetail": {asset: money_text(fee) for asset, fee in fees.items()},
        "feeCurrency": fills[-1].fee_asset if fills else (item.base if order.buys else item.quote),
        "cancelType": CANCEL_TYPES.get(order.reason, "UNKNOWN"),
        "rejectReason": REJECT_REASONS.get(order.reason, "EC_NoError"),
        "isLeverage": "0",
        "marketUnit": order.words.get("marketUnit", ""),
        "smpType": order.words.get("smpType", "None"),
        "smpGroup": 0,
        "smpOrderId": "",
        "stopOrderType": "",
        "createdTime": str(order.arrived_ns // MILLI_NS),
        "updatedTime": str(order.changed_ns // MILLI_NS),
    }


def execution_words(desk: Desk, fill: Fill) -> Words:
    """A fill as REST and the execution topic say it; leavesQty is the order's present one."""
    item = desk.rules[fill.symbol].instrument
    order = desk.ledger.orders[fill.order_id]
    fees = desk.accounts[fill.account].fees
    rate_ppm = fees.maker_ppm if fill.is_maker else fees.taker_ppm
    return {
        "category": "spot",
        "symbol": spell(fill.symbol),
        "orderId": str(fill.order_id),
        "orderLinkId": order.client_id,
        "side": "Buy" if fill.buys else "Sell",
        "execId": str(2_100_000_000_000_000_000 + fill.exec_id),
        "execPrice": price_text(item, fill.price_ticks),
        "execQty": qty_text(item, fill.lots),
        "execValue": cost_text(item, fill.cost),
        "execType": "Trade",
        "execFee": money_text(fill.fee),
        "feeCurrency": fill.fee_asset,
        "feeRate": rate_text(rate_ppm),
        "isMaker": fill.is_maker,
        "leavesQty": qty_text(item, 0 if order.is_over else order.left),
        "orderPrice": price_text(item, order.price_ticks),
        "orderQty": qty_text(item, order.lots),
        "orderType": "Market" if order.is_market else "Limit",
        "isLeverage": "0",
        "execTime": str(fill.ts_ns // MILLI_NS),
        "seq": fill.exec_id,
    }


def wallet_words(account: Account, assets: list[str] | None = None) -> Words:
    """Some balances or all; equity is not added up over currencies."""
    coins = []
    for asset in sorted(account.balances) if assets is None else assets:
        balance = account.balances.get(asset)
        if balance is None:
            continue
        whole = money_text(balance.free + balance.locked)
        row = {"coin": asset, "equity": whole, "walletBalance": whole, "locked": money_text(balance.locked)}
        coins.append(row | {"borrowAmount": "0", "totalPositionIM": "0", "usdValue": "", "collateralSwitch": True})
    return {"accountType": "UNIFIED", "totalEquity": "", "totalWalletBalance": "", "coin": coins}


def rate_text(ppm: int) -> str:
    """A fee rate as a fraction."""
    return trimmed(f"{ppm / PPM:.6f}")
