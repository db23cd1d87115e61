"""OKX's order entry and account queries, over REST and the private WebSocket alike.

Rules: an order's own outcome is its sCode, the request's code says all, none or some; time in force is in ordType;
a market buy's sz is quote unless tgtCcy says otherwise; cancels and amendments are acked and then told on the orders
channel; place, cancel and amend have budgets of their own per user and instrument.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any, Literal, cast

from gambit.sim.accounts import MONEY_DIGITS, Account
from gambit.sim.amounts import whole
from gambit.sim.dialect import MILLI_NS, OrderTerms, Refusal
from gambit.sim.exchange import Exchange
from gambit.sim.market import SECOND_NS
from gambit.sim.matching import Order
from gambit.sim.okx_wire import instrument_code
from gambit.sim.okx_words import Denied, balance_words, fee_words, fill_words, order_words, refusal_words

Said = Mapping[str, Any]
CLIENT_ID = re.compile(r"[A-Za-z0-9]{1,32}")
NUMBER = re.compile(r"\d{1,20}(\.\d{1,20})?")
REQUESTS_PER_2S = 60
BATCH_MAX = 20
ROWS_MAX = 100
DEAD_MAN_S = (10, 120)
TIFS: dict[str, Literal["gtc", "ioc", "fok"]] = {
    "limit": "gtc", "post_only": "gtc", "market": "gtc", "ioc": "ioc", "fok": "fok",
}  # fmt: skip
MODES = {"cancel_maker": "maker", "cancel_taker": "taker", "cancel_both": "both"}


class OkxOrders:
    """Order entry over one exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._desk = exchange.desk
        self._codes = {instrument_code(symbol): symbol for symbol in exchange.books}
        self._dead_man: dict[tuple[str, str], int] = {}  # account and tag: when it triggers
        self.gets: dict[str, Callable[[Account, Mapping[str, str]], list[Any]]] = {
            "/api/v5/trade/order": self._query,
            "/api/v5/trade/orders-pending": partial(self._orders, is_pending=True),
            "/api/v5/trade/orders-history": partial(self._orders, is_pending=False),
            "/api/v5/trade/orders-history-archive": partial(self._orders, is_pending=False),
            "/api/v5/trade/fills": self._fills,
            "/api/v5/trade/fills-history": self._fills,
            "/api/v5/account/balance": self._balance,
            "/api/v5/account/trade-fee": self._fee,
            "/api/v5/account/config": self._config,
        }
        self._ops = {
            "order": self._place,
            "batch-orders": self._place,
            "cancel-order": self._cancel,
            "batch-cancel-orders": self._cancel,
            "cancel-batch-orders": self._cancel,
            "amend-order": self._amend,
            "batch-amend-orders": self._amend,
            "amend-batch-orders": self._amend,
        }

    def has_op(self, op: str) -> bool:
        """Whether there is such an order operation."""
        return op in self._ops

    def operate(self, op: str, account: Account, args: list[Any], *, by_code: bool) -> tuple[str, str, list[Any]]:
        """Do an operation for each of its args: code, message and a row for each.

        `by_code`: instruments are named by instIdCode and instId is ignored, as on the WebSocket. Raises Denied.
        """
        if not 1 <= len(args) <= BATCH_MAX or not all(isinstance(arg, dict) for arg in args):
            raise Denied("60013" if by_code else "51000", "Invalid args" if by_code else "Parameter error")
        rows = [self._operate_one(op, account, arg, by_code=by_code) for arg in args]
        failed = sum(row["sCode"] != "0" for row in rows)
        if not failed:
            return "0", "", rows
        if failed == len(rows):
            return "1", "All operations failed", rows
        return "2", "Bulk operation partially succeeded.", rows

    def cancel_all_after(self, account: Account, said: Said) -> list[Any]:
        """Arm or disarm the dead-man switch of an account and tag."""
        seconds = whole(str(said.get("timeOut", "")), -1)
        if seconds and not DEAD_MAN_S[0] <= seconds <= DEAD_MAN_S[1]:
            raise Denied("51000", "Parameter timeOut error")
        tag = str(said.get("tag", ""))
        clock_ns = self._exchange.clock_ns
        due_ns = self._exchange.now_ns + seconds * SECOND_NS if seconds else 0
        self._dead_man[account.name, tag] = due_ns
        if due_ns:
            self._exchange.at(due_ns, lambda ns: self._trigger(account, tag, ns))
        trigger = str(clock_ns // SECOND_NS + seconds) if seconds else "0"
        return [{"triggerTime": trigger, "tag": tag, "ts": str(clock_ns // MILLI_NS)}]

    def _trigger(self, account: Account, tag: str, now_ns: int) -> None:
        if self._dead_man.get((account.name, tag)) == now_ns:
            del self._dead_man[account.name, tag]
            for order in self._desk.orders_of(account, only_open=True):
                is_meant = order.words.get("tag", "") == tag or not tag
                if is_meant and self._desk.rules[order.symbol].status != "HALT":  # nothing moves there
                    self._desk.cancel(account, order, reason="cancel_all_after")

    def _operate_one(self, op: str, account: Account, arg: Said, *, by_code: bool) -> dict[str, str]:
        row = {"clOrdId": str(arg.get("clOrdId", "")), "ordId": "", "tag": str(arg.get("tag", ""))}
        row |= {"ts": str(self._exchange.clock_ns // MILLI_NS), "sCode": "0", "sMsg": "", "subCode": ""}
        symbol = self._symbol(arg, by_code=by_code)
        rules = self._desk.rules.get(symbol)
        try:
            if rules is None:
                raise Refusal("symbol")
            self._charge(op, account, symbol)
            order = self._ops[op](account, symbol, arg)
            row |= {"ordId": str(order.order_id), "clOrdId": order.client_id}
        except Refusal as refusal:
            reason = refusal
            if refusal.reason == "unknown_order":
                reason = Refusal("order_over")
            item = rules.instrument if rules else None
            code, msg, sub = refusal_words(reason, item, buys=arg.get("side") == "buy")
            row |= {"sCode": code, "sMsg": msg, "subCode": sub}
        except Denied as denied:
            row |= {"sCode": denied.code, "sMsg": denied.msg}
        return row

    def _symbol(self, arg: Said, *, by_code: bool) -> str:
        if by_code:
            code = arg.get("instIdCode")
            return self._codes.get(code, "") if isinstance(code, int) else ""
        return str(arg.get("instId", ""))

    def _charge(self, op: str, account: Account, symbol: str) -> None:
        kind = next(kind for kind in ("cancel", "amend", "order") if kind in op)
        used = self._exchange.spend(f"{kind} 2s", f"{account.name} {symbol}", 1, REQUESTS_PER_2S, 2000)
        if used > REQUESTS_PER_2S:
            raise Denied("50011", "Rate limit reached. Please refer to API docs and throttle requests accordingly.")

    def _place(self, account: Account, symbol: str, arg: Said) -> Order:
        kind, side = str(arg.get("ordType", "")), arg.get("side")
        if arg.get("tdMode") not in ("cash", "cross"):
            raise Denied("51000", "Parameter tdMode error")
        if side not in ("buy", "sell"):
            raise Denied("51000", "Parameter side error")
        if kind not in TIFS:
            raise Denied("51000", "Parameter ordType error")
        client_id = str(arg.get("clOrdId", ""))
        if client_id and not CLIENT_ID.fullmatch(client_id):
            raise Denied("51000", "Parameter clOrdId error")
        mode = str(arg.get("stpMode") or "cancel_maker")
        if mode not in MODES:
            raise Denied("51000", "Parameter stpMode error")
        self._check_expiry(arg)
        rules = self._desk.rules[symbol]
        size = _number(arg, "sz")
        words = {name: str(arg[name]) for name in ("tag", "tdMode", "tgtCcy") if arg.get(name)}
        lots = quote = 0
        if kind == "market" and side == "buy" and arg.get("tgtCcy", "quote_ccy") == "quote_ccy":
            quote = int(Decimal(size).scaleb(MONEY_DIGITS))
            words |= {"sz": size, "tgtCcy": "quote_ccy"}
        else:
            lots = rules.lots(size)
        terms = OrderTerms(
            symbol,
            side == "buy",
            lots,
            price_ticks=0 if kind == "market" else rules.ticks(_number(arg, "px")),
            tif=TIFS[kind],
            is_market=kind == "market",
            post_only=kind == "post_only",
            quote=quote,
            self_trade=cast(Literal["maker", "taker", "both"], MODES[mode]),
            client_id=client_id,
            words=words,
        )
        return self._desk.place(account, terms, post_only_dies=True)

    def _check_expiry(self, arg: Said) -> None:
        text = str(arg.get("expTime") or "")
        if text and whole(text, -1) * MILLI_NS < self._exchange.clock_ns:
            raise Denied(
                "50036", "The expTime can't be earlier than the current system time. Please adjust the expTime."
            )

    def _cancel(self, account: Account, _symbol: str, arg: Said) -> Order:
        order = self._find(account, arg)
        self._desk.cancel(account, order)
        return order

    def _amend(self, account: Account, symbol: str, arg: Said) -> Order:
        order = self._find(account, arg)
        rules = self._desk.rules[symbol]
        lots = rules.lots(_number(arg, "newSz")) if arg.get("newSz") else 0
        ticks = rules.ticks(_number(arg, "newPx")) if arg.get("newPx") else 0
        self._desk.amend(account, order, lots=lots, price_ticks=ticks)
        return order

    def _find(self, account: Account, arg: Said) -> Order:
        order_id, client_id = str(arg.get("ordId") or ""), str(arg.get("clOrdId") or "")
        if not order_id and not client_id:
            raise Denied("51000", "Parameter ordId or clOrdId error")
        return self._desk.find(account, order_id, client_id)

    def _query(self, account: Account, params: Mapping[str, str]) -> list[Any]:
        try:
            order = self._find(account, params)
            if order.symbol != params.get("instId"):
                raise Refusal("unknown_order")
        except Refusal as refusal:
            raise Denied("51603", "Order does not exist") from refusal
        fills = self._desk.fills_of(account, order_id=order.order_id)
        return [order_words(self._desk, order, fills[-1] if fills else None)]

    def _orders(self, account: Account, params: Mapping[str, str], *, is_pending: bool) -> list[Any]:
        symbol = params.get("instId") or None
        orders = [
            order
            for order in self._desk.orders_of(account, symbol, only_open=is_pending)
            if is_pending or order.is_over
        ]
        page = _page(orders, [order.order_id for order in orders], params)
        return [order_words(self._desk, order, None) for order in page]

    def _fills(self, account: Account, params: Mapping[str, str]) -> list[Any]:
        order_id = params.get("ordId", "")
        number = whole(order_id, -1) if order_id.isdecimal() else None
        begin, end = _ms(params, "begin", 0), _ms(params, "end", 1 << 62)
        fills = [
            fill
            for fill in self._desk.fills_of(account, params.get("instId") or None, number)
            if begin <= fill.ts_ns // MILLI_NS <= end
        ]
        return [fill_words(self._desk, fill) for fill in _page(fills, [fill.exec_id for fill in fills], params)]

    def _balance(self, account: Account, params: Mapping[str, str]) -> list[Any]:
        assets = params["ccy"].split(",") if params.get("ccy") else None
        return [balance_words(account, assets, self._exchange.clock_ns)]

    def _fee(self, account: Account, _params: Mapping[str, str]) -> list[Any]:
        return [fee_words(account) | {"ts": str(self._exchange.clock_ns // MILLI_NS)}]

    def _config(self, account: Account, _params: Mapping[str, str]) -> list[Any]:
        uid = str(account.number)
        words = {"uid": uid, "mainUid": uid, "acctLv": "1", "posMode": "net_mode", "acctStpMode": "cancel_maker"}
        rights = account.rights
        perm = ",".join(
            ["read_only", *(word for word, has in (("trade", rights.trade), ("withdraw", rights.withdraw)) if has)]
        )
        bound = "127.0.0.1" if rights.bound else ""
        return [words | {"perm": perm, "ip": bound, "level": "Lv1", "label": account.name}]


def _number(arg: Said, name: str) -> str:
    text = str(arg.get(name, ""))
    if not NUMBER.fullmatch(text):
        raise Denied("51000", f"Parameter {name} error")
    return text


def _ms(params: Mapping[str, str], name: str, default: int) -> int:
    return whole(params.get(name, ""), default)


def _page(rows: list[Any], ids: list[int], params: Mapping[str, str]) -> list[Any]:
    """Newest first; `after` asks for older than an id, `before` for newer."""
    after, before = _ms(params, "after", 1 << 62), _ms(params, "before", 0)
    limit = min(_ms(params, "limit", ROWS_MAX), ROWS_MAX)
    found = [row for row, number in zip(rows, ids, strict=True) if before < number < after]
    return found[::-1][:limit]
