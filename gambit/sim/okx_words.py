"""How OKX words orders, fills, balances and errors: nearly every value a string, fees negative when charged."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from gambit.sim.accounts import Account, base_units, money_text
from gambit.sim.desk import Desk
from gambit.sim.dialect import MILLI_NS, Fill, Refusal
from gambit.sim.instruments import Instrument
from gambit.sim.matching import Order, State
from gambit.sim.spelling import decimal_text, trimmed

Words = dict[str, Any]
CANCEL_SOURCES = {
    "user": "1", "fok": "13", "ioc": "14", "liquidity": "14", "cancel_all_after": "20", "would_take": "31",
    "self_trade": "32",
}  # fmt: skip
PLACE_REFUSALS = {
    "symbol": ("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist."),
    "tick": ("51000", "Parameter px error"),
    "lot": ("51121", "Order quantity must be a multiple of the lot size."),
    "min_lots": ("51020", "Your order should meet or exceed the minimum order amount."),
    "max_lots": ("51005", "Your order amount exceeds the max order amount."),
    "min_cost": ("51020", "Your order should meet or exceed the minimum order amount."),
    "price_band": ("51006", "Order price is not within the price limit."),
    "duplicate": ("51016", "Client order ID already exists."),
    "halted": ("51022", "Contract suspended."),
    "cancel_only": ("51022", "Contract suspended."),
    "unknown_order": ("51603", "Order does not exist."),
    "order_over": ("51400", "Cancellation failed as the order has been filled, canceled or does not exist."),
}
AVERAGE_DIGITS = 8  # of an average price beyond the tick's


class Denied(Exception):
    """A request that OKX answers with an error as a whole."""

    def __init__(self, code: str, msg: str, status: int = 200) -> None:
        super().__init__(f"{code} {msg}")
        self.code = code
        self.msg = msg
        self.status = status


def refusal_words(refusal: Refusal, item: Instrument | None, *, buys: bool) -> tuple[str, str, str]:
    """sCode, sMsg and subCode of a refused order."""
    if refusal.reason == "forced":
        words = refusal.words
        return str(words.get("code", "51000")), str(words.get("msg", "Order failed.")), str(words.get("subCode", ""))
    if refusal.reason == "funds" and item is not None:
        asset = item.quote if buys else item.base
        return "51008", f"Order failed. Insufficient {asset} balance in account", "1000"
    return (*PLACE_REFUSALS[refusal.reason], "")


def price_text(item: Instrument, ticks: int) -> str:
    """A price; empty for none."""
    return trimmed(decimal_text(ticks * item.tick, item.price_decimals)) if ticks else ""


def qty_text(item: Instrument, lots: int) -> str:
    """A quantity of base."""
    return money_text(base_units(item, lots))


def average_text(item: Instrument, order: Order) -> str:
    """What the filled part cost on average; empty for nothing filled."""
    if not order.filled:
        return ""
    average = Decimal(order.cost * item.tick) / Decimal(order.filled)
    digits = item.price_decimals + AVERAGE_DIGITS
    return trimmed(decimal_text(int(average.scaleb(AVERAGE_DIGITS)), digits))


def state_of(order: Order) -> str:
    """The venue's name of an order's state."""
    if order.state is State.FILLED:
        return "filled"
    if order.is_over:
        return "canceled"
    return "partially_filled" if order.filled else "live"


def type_of(order: Order) -> str:
    """The venue's name of type and time in force together."""
    if order.is_market:
        return "market"
    if order.post_only:
        return "post_only"
    return {"gtc": "limit", "ioc": "ioc", "fok": "fok"}[order.tif]


def order_words(desk: Desk, order: Order, fill: Fill | None) -> Words:
    """An order as REST and the orders channel say it; `fill` is what has just happened, or the last one."""
    item = desk.rules[order.symbol].instrument
    fills = desk.fills_of(desk.accounts[order.account], order_id=order.order_id)
    fee = sum(done.fee for done in fills)
    asset = fills[-1].fee_asset if fills else (item.base if order.buys else item.quote)
    is_over_early = order.is_over and order.state is not State.FILLED
    return {
        "instType": "SPOT",
        "instId": order.symbol,
        "ordId": str(order.order_id),
        "clOrdId": order.client_id,
        "tag": order.words.get("tag", ""),
        "px": price_text(item, order.price_ticks),
        "sz": order.words.get("sz", qty_text(item, order.lots)),
        "ordType": type_of(order),
        "side": "buy" if order.buys else "sell",
        "posSide": "net",
        "tdMode": order.words.get("tdMode", "cash"),
        "tgtCcy": order.words.get("tgtCcy", ""),
        "state": state_of(order),
        "accFillSz": qty_text(item, order.filled),
        "avgPx": average_text(item, order),
        "fillPx": price_text(item, fill.price_ticks) if fill else "",
        "fillSz": qty_text(item, fill.lots) if fill else "0",
        "tradeId": str(fill.trade_id) if fill else "",
        "fillTime": str(fill.ts_ns // MILLI_NS) if fill else "",
        "fillFee": money_text(-fill.fee) if fill else "0",
        "fillFeeCcy": fill.fee_asset if fill else "",
        "execType": ("M" if fill.is_maker else "T") if fill else "",
        "fee": money_text(-fee),
        "feeCcy": asset,
        "rebate": "0",
        "rebateCcy": item.quote if order.buys else item.base,
        "cancelSource": CANCEL_SOURCES.get(order.reason, "0") if is_over_early else "",
        "cancelSourceReason": "",
        "source": "",
        "category": "normal",
        "stpMode": "cancel_maker" if order.self_trade == "maker" else f"cancel_{order.self_trade}",
        "lever": "",
        "pnl": "0",
        "amendResult": "",
        "reqId": "",
        "code": "0",
        "msg": "",
        "cTime": str(order.arrived_ns // MILLI_NS),
        "uTime": str(order.changed_ns // MILLI_NS),
    }


def fill_words(desk: Desk, fill: Fill) -> Words:
    """A row of fills and fills-history."""
    item = desk.rules[fill.symbol].instrument
    order = desk.ledger.orders[fill.order_id]
    ts_ms = str(fill.ts_ns // MILLI_NS)
    return {
        "instType": "SPOT",
        "instId": fill.symbol,
        "tradeId": str(fill.trade_id),
        "ordId": str(fill.order_id),
        "clOrdId": order.client_id,
        "billId": str(fill.exec_id),
        "subType": "1" if fill.buys else "2",
        "tag": order.words.get("tag", ""),
        "fillPx": price_text(item, fill.price_ticks),
        "fillSz": qty_text(item, fill.lots),
        "side": "buy" if fill.buys else "sell",
        "posSide": "net",
        "execType": "M" if fill.is_maker else "T",
        "feeCcy": fill.fee_asset,
        "fee": money_text(-fill.fee),
        "ts": ts_ms,
        "fillTime": ts_ms,
    }


def balance_words(account: Account, assets: list[str] | None, now_ns: int) -> Words:
    """Balances of some assets or all; equity is not added up over currencies."""
    now_ms = str(now_ns // MILLI_NS)
    details = []
    for asset in sorted(account.balances) if assets is None else assets:
        balance = account.balances.get(asset)
        if balance is None:
            continue
        whole = money_text(balance.free + balance.locked)
        locked = money_text(balance.locked)
        details.append(
            {
                "ccy": asset,
                "cashBal": whole,
                "eq": whole,
                "availBal": money_text(balance.free),
                "availEq": money_text(balance.free),
                "frozenBal": locked,
                "ordFrozen": locked,
                "uTime": now_ms,
            }
        )
    return {"uTime": now_ms, "totalEq": "", "details": details}


def fee_words(account: Account) -> Words:
    """GET account/trade-fee: negative is what you pay."""
    maker, taker = (f"{-ppm / 1e6:.6f}".rstrip("0") for ppm in (account.fees.maker_ppm, account.fees.taker_ppm))
    group = {"groupId": "12", "maker": maker, "taker": taker}
    return {"category": "1", "feeGroup": [group], "instType": "SPOT", "level": "Lv1", "maker": maker, "taker": taker}
