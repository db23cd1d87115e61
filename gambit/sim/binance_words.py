"""How Binance words orders, fills, balances, events and errors: plain dictionaries in the order of the venue."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gambit.sim.accounts import Account, base_units, money_text, quote_units
from gambit.sim.binance_wire import spell
from gambit.sim.dialect import MILLI_NS, Fill, Refusal, Report
from gambit.sim.exchange import Exchange
from gambit.sim.instruments import Instrument
from gambit.sim.matching import Order, State
from gambit.sim.wire import step_text

Words = dict[str, Any]
DIGITS = 8
STATUSES = {
    State.PENDING: "NEW",
    State.OPEN: "NEW",
    State.FILLED: "FILLED",
    State.CANCELED: "CANCELED",
    State.EXPIRED: "EXPIRED",
    State.REJECTED: "REJECTED",
}
SELF_TRADE = {"none": "NONE", "taker": "EXPIRE_TAKER", "maker": "EXPIRE_MAKER", "both": "EXPIRE_BOTH"}
EXPIRY_REASONS = {
    "ioc": "UNFILLED_IOC_QUANTITY_EXPIRED",
    "fok": "UNFILLED_FOK_ORDER_EXPIRED",
    "liquidity": "INSUFFICIENT_LIQUIDITY",
}
REFUSALS = {
    "symbol": (-1121, "Invalid symbol."),
    "tick": (-1013, "Filter failure: PRICE_FILTER"),
    "lot": (-1013, "Filter failure: LOT_SIZE"),
    "min_lots": (-1013, "Filter failure: LOT_SIZE"),
    "max_lots": (-1013, "Filter failure: LOT_SIZE"),
    "min_cost": (-1013, "Filter failure: NOTIONAL"),
    "price_band": (-1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    "funds": (-2010, "Account has insufficient balance for requested action."),
    "duplicate": (-2010, "Duplicate order sent."),
    "would_take": (-2010, "Order would immediately match and take."),
    "halted": (-2010, "Market is closed."),
    "cancel_only": (-2010, "Market is closed."),
    "unknown_order": (-2013, "Order does not exist."),
    "order_over": (-2011, "Unknown order sent."),
}


class Denied(Exception):
    """A request that Binance answers with an error."""

    def __init__(
        self, status: int, code: int, msg: str, headers: Mapping[str, str] | None = None, data: Words | None = None
    ) -> None:
        super().__init__(f"{code} {msg}")
        self.status = status
        self.code = code
        self.msg = msg
        self.headers = dict(headers or {})
        self.data = data


def denied_text(denied: Denied) -> str:
    """The body of an error."""
    body: Words = {"code": denied.code, "msg": denied.msg}
    return json.dumps(body if denied.data is None else body | {"data": denied.data})


def denial(refusal: Refusal) -> Denied:
    """An exchange's refusal in Binance's words; a forced one in its own."""
    if refusal.reason == "forced":
        words = refusal.words
        msg = str(words.get("msg", "Account has insufficient balance for requested action."))
        return Denied(int(words.get("status", 400)), int(words.get("code", -2010)), msg)
    return Denied(400, *REFUSALS[refusal.reason])


def key_words(account: Account) -> Words:
    """apiRestrictions."""
    rights = account.rights
    words = {"ipRestrict": rights.bound, "createTime": 1_600_000_000_000, "enableReading": True}
    words |= {"enableWithdrawals": rights.withdraw, "enableSpotAndMarginTrading": rights.trade}
    return words | {"enableInternalTransfer": False, "permitsUniversalTransfer": False, "enableMargin": False}


def price_text(item: Instrument, ticks: int) -> str:
    """A price with eight digits or more."""
    return step_text(ticks * item.tick, item.price_decimals, DIGITS) if ticks else "0.00000000"


def qty_text(item: Instrument, lots: int) -> str:
    """A quantity with eight digits."""
    return money_text(base_units(item, lots), DIGITS)


def cost_text(item: Instrument, cost: int) -> str:
    """A cost (ticks * lots) in quote, with eight digits."""
    return money_text(quote_units(item, cost), DIGITS)


def status_of(order: Order) -> str:
    """The venue's name of an order's state."""
    if order.state is State.OPEN and order.filled:
        return "PARTIALLY_FILLED"
    if order.state is State.EXPIRED and order.reason == "self_trade":
        return "EXPIRED_IN_MATCH"
    return STATUSES[order.state]


def type_of(order: Order) -> str:
    """The venue's name of an order's type."""
    if order.is_market:
        return "MARKET"
    return "LIMIT_MAKER" if order.post_only else "LIMIT"


def order_words(item: Instrument, order: Order) -> Words:
    """What all answers about an order have in common."""
    return {
        "symbol": spell(order.symbol),
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.client_id,
        "price": price_text(item, order.price_ticks),
        "origQty": qty_text(item, order.lots),
        "executedQty": qty_text(item, order.filled),
        "origQuoteOrderQty": order.words.get("quoteOrderQty", "0.00000000"),
        "cummulativeQuoteQty": cost_text(item, order.cost),
        "status": status_of(order),
        "timeInForce": order.tif.upper(),
        "type": type_of(order),
        "side": "BUY" if order.buys else "SELL",
        "selfTradePreventionMode": SELF_TRADE[order.self_trade],
    }


def query_words(item: Instrument, order: Order) -> Words:
    """An order as GET order and its lists say it."""
    arrived_ms = order.arrived_ns // MILLI_NS
    return order_words(item, order) | {
        "stopPrice": "0.00000000",
        "icebergQty": "0.00000000",
        "time": arrived_ms,
        "updateTime": order.changed_ns // MILLI_NS,
        "isWorking": True,
        "workingTime": arrived_ms,
    }


def placed_words(item: Instrument, order: Order, fills: list[Fill], detail: str) -> Words:
    """The answer to a new order: ACK, RESULT or FULL."""
    arrived_ms = order.arrived_ns // MILLI_NS
    if detail == "ACK":
        known = ("symbol", "orderId", "orderListId", "clientOrderId")
        return {name: order_words(item, order)[name] for name in known} | {"transactTime": arrived_ms}
    words = order_words(item, order) | {"transactTime": arrived_ms, "workingTime": arrived_ms}
    if detail == "FULL":
        words["fills"] = [
            {
                "price": price_text(item, fill.price_ticks),
                "qty": qty_text(item, fill.lots),
                "commission": money_text(fill.fee, DIGITS),
                "commissionAsset": fill.fee_asset,
                "tradeId": fill.trade_id,
            }
            for fill in fills
        ]
    return words


def canceled_words(item: Instrument, order: Order, cancel_id: str) -> Words:
    """The answer to a cancel: the order's own client id has another name there."""
    words = {"symbol": spell(order.symbol), "origClientOrderId": order.client_id} | order_words(item, order)
    words["clientOrderId"] = cancel_id
    return words | {"transactTime": order.changed_ns // MILLI_NS}


def trade_words(item: Instrument, fill: Fill) -> Words:
    """A row of myTrades."""
    return {
        "symbol": spell(fill.symbol),
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "orderListId": -1,
        "price": price_text(item, fill.price_ticks),
        "qty": qty_text(item, fill.lots),
        "quoteQty": cost_text(item, fill.cost),
        "commission": money_text(fill.fee, DIGITS),
        "commissionAsset": fill.fee_asset,
        "time": fill.ts_ns // MILLI_NS,
        "isBuyer": fill.buys,
        "isMaker": fill.is_maker,
        "isBestMatch": True,
    }


def account_words(account: Account, *, omits_zeros: bool, now_ns: int) -> Words:
    """GET account."""
    rates = {name: f"{ppm / 1e6:.8f}" for name, ppm in _rates(account)}
    balances = [
        {"asset": asset, "free": money_text(balance.free, DIGITS), "locked": money_text(balance.locked, DIGITS)}
        for asset, balance in account.balances.items()
        if not omits_zeros or balance.free or balance.locked
    ]
    return {
        "makerCommission": account.fees.maker_ppm // 100,
        "takerCommission": account.fees.taker_ppm // 100,
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": rates,
        "canTrade": not account.is_revoked,
        "canWithdraw": True,
        "canDeposit": True,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": now_ns // MILLI_NS,
        "accountType": "SPOT",
        "balances": balances,
        "permissions": ["SPOT"],
        "uid": account.number,
    }


def commission_words(account: Account, symbol: str) -> Words:
    """GET account/commission."""
    rates = {name: f"{ppm / 1e6:.8f}" for name, ppm in _rates(account)}
    none = dict.fromkeys(rates, "0.00000000")
    discount = {"enabledForAccount": False, "enabledForSymbol": False, "discountAsset": "BNB", "discount": "0.25000000"}
    return {
        "symbol": spell(symbol),
        "standardCommission": rates,
        "specialCommission": none,
        "taxCommission": none,
        "discount": discount,
    }


def execution_report(exchange: Exchange, report: Report) -> Words:
    """executionReport, for all that happens to an order but its cancel."""
    order, fill = report.order, report.fill
    item = exchange.desk.rules[order.symbol].instrument
    arrived_ms, now_ms = order.arrived_ns // MILLI_NS, report.ts_ns // MILLI_NS
    kind = {"new": "NEW", "trade": "TRADE", "expired": "EXPIRED", "canceled": "CANCELED", "rejected": "REJECTED"}
    words: Words = {
        "e": "executionReport", "E": now_ms, "s": spell(order.symbol), "c": order.client_id,
        "S": "BUY" if order.buys else "SELL", "o": type_of(order), "f": order.tif.upper(),
        "q": qty_text(item, order.lots), "p": price_text(item, order.price_ticks), "P": "0.00000000",
        "F": "0.00000000", "g": -1, "C": "", "x": kind.get(report.kind, "TRADE"), "X": status_of(order), "r": "NONE",
        "i": order.order_id, "l": qty_text(item, fill.lots if fill else 0), "z": qty_text(item, order.filled),
        "L": price_text(item, fill.price_ticks if fill else 0), "n": money_text(fill.fee, DIGITS) if fill else "0",
        "N": fill.fee_asset if fill else None, "T": now_ms, "t": fill.trade_id if fill else -1,
        "I": fill.exec_id if fill else order.order_id * 2, "w": report.kind == "new" or order.state is State.OPEN,
        "m": fill.is_maker if fill else False, "M": False, "O": arrived_ms, "Z": cost_text(item, order.cost),
        "Y": cost_text(item, fill.cost if fill else 0), "Q": "0.00000000", "W": arrived_ms,
        "V": SELF_TRADE[order.self_trade],
    }  # fmt: skip
    if report.kind == "expired":
        if order.reason == "self_trade":
            words["x"] = "TRADE_PREVENTION"
        else:
            words["eR"] = EXPIRY_REASONS.get(order.reason, "EXCHANGE_CANCELED")
    return words


def cancel_event(exchange: Exchange, report: Report) -> Words:
    """executionReport of a cancel: c is the cancel's id, C the order's."""
    words = execution_report(exchange, report)
    return words | {"c": report.cancel_id or words["c"], "C": report.order.client_id}


def position_event(account: Account, report: Report) -> Words:
    """outboundAccountPosition: the balances that were touched."""
    now_ms = report.ts_ns // MILLI_NS
    rows = [
        {
            "a": asset,
            "f": money_text(account.balance(asset).free, DIGITS),
            "l": money_text(account.balance(asset).locked, DIGITS),
        }
        for asset in report.assets
    ]
    return {"e": "outboundAccountPosition", "E": now_ms, "u": now_ms, "B": rows}


def _rates(account: Account) -> list[tuple[str, int]]:
    fees = account.fees
    return [("maker", fees.maker_ppm), ("taker", fees.taker_ppm), ("buyer", 0), ("seller", 0)]
