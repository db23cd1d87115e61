"""Binance's order entry and account queries, over REST and the WebSocket API alike.

Rules: parameters are checked in the venue's order (there, well-formed, filters, funds); filter failures are -1013 and
never reach the book, what the book refuses is -2010; the order count is charged for accepted orders and given back
when they fill.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, cast

from gambit.sim.accounts import MONEY_DIGITS, Account, quote_units
from gambit.sim.binance_words import (
    DIGITS,
    SELF_TRADE,
    Denied,
    account_words,
    canceled_words,
    commission_words,
    denial,
    placed_words,
    query_words,
    trade_words,
)
from gambit.sim.dialect import MILLI_NS, OrderTerms, Refusal
from gambit.sim.exchange import Exchange
from gambit.sim.matching import Order

Params = Mapping[str, str]
CLIENT_ID = re.compile(r"[a-zA-Z0-9-_]{1,36}")
NUMBER = re.compile(r"\d{1,20}(\.\d{1,20})?")
ORDERS_PER_10S = 100
ORDERS_PER_DAY = 200_000
DAY_MS = 86_400_000
ROWS_MAX = 1000
DIGITS_MAX = 20  # of a whole number
MODES = {name: mode for mode, name in SELF_TRADE.items()}


class BinanceOrders:
    """Order entry over one exchange."""

    def __init__(self, exchange: Exchange, symbols: Mapping[str, str]) -> None:
        """`symbols` by the venue's spelling."""
        self._exchange = exchange
        self._desk = exchange.desk
        self._symbols = symbols
        self._counts = (0, 0)
        self._rest: dict[tuple[str, str], Callable[[Account, Params, int], Any]] = {
            ("POST", "order"): self._place,
            ("POST", "order/test"): self._test,
            ("DELETE", "order"): self._cancel,
            ("GET", "order"): self._query,
            ("GET", "openOrders"): self._open_orders,
            ("DELETE", "openOrders"): self._cancel_all,
            ("GET", "allOrders"): self._all_orders,
            ("GET", "myTrades"): self._trades,
            ("GET", "account"): self._account,
            ("GET", "account/commission"): self._commission,
            ("POST", "order/cancelReplace"): self._replace,
        }
        self._calls = {
            "order.place": self._place,
            "order.test": self._test,
            "order.cancel": self._cancel,
            "order.status": self._query,
            "openOrders.status": self._open_orders,
            "openOrders.cancelAll": self._cancel_all,
            "allOrders": self._all_orders,
            "myTrades": self._trades,
            "account.status": self._account,
            "account.commission": self._commission,
            "order.cancelReplace": self._replace,
        }

    def knows(self, method: str, path: str) -> bool:
        """Whether there is such a signed endpoint."""
        return (method, path) in self._rest

    def rest(self, method: str, path: str, account: Account, params: Params, now_ns: int) -> Any:
        """The answer of a signed endpoint; raises Denied."""
        return self._worded(self._rest[method, path], account, params, now_ns)

    def call(self, name: str, account: Account, params: Params, now_ns: int) -> Any:
        """The answer of a signed call; raises Denied."""
        if name not in self._calls:
            raise Denied(400, -1135, f"Unknown method '{name}'.")
        return self._worded(self._calls[name], account, params, now_ns)

    def count_headers(self) -> dict[str, str]:
        """Order counts after the last accepted order."""
        return {"X-MBX-ORDER-COUNT-10S": str(self._counts[0]), "X-MBX-ORDER-COUNT-1D": str(self._counts[1])}

    @staticmethod
    def _worded(answer: Callable[[Account, Params, int], Any], account: Account, params: Params, now_ns: int) -> Any:
        try:
            return answer(account, params, now_ns)
        except Refusal as refusal:
            raise denial(refusal) from refusal

    def _place(self, account: Account, params: Params, _now_ns: int) -> Any:
        terms = self._terms(params)
        counts = self._count(account, 1)
        if counts[0] > ORDERS_PER_10S or counts[1] > ORDERS_PER_DAY:
            self._count(account, -1)
            which = "100 orders per 10 SECOND" if counts[0] > ORDERS_PER_10S else "200000 orders per 1 DAY"
            retry = {"Retry-After": str(self._exchange.seconds_left(10_000))}
            raise Denied(429, -1015, f"Too many new orders; current limit is {which}.", retry)
        try:
            order = self._desk.place(account, terms)
        except Refusal:
            self._count(account, -1)
            raise
        if order.filled:
            counts = self._count(account, -1)
        self._counts = counts
        detail = params.get("newOrderRespType", "ACK" if terms.post_only else "FULL")
        fills = self._desk.fills_of(account, order_id=order.order_id)
        return placed_words(self._desk.rules[order.symbol].instrument, order, fills, detail)

    def _count(self, account: Account, change: int) -> tuple[int, int]:
        spend = self._exchange.spend
        in_10s = spend("ORDERS 10s", account.name, change, ORDERS_PER_10S, 10_000)
        return in_10s, spend("ORDERS 1d", account.name, change, ORDERS_PER_DAY, DAY_MS)

    def _test(self, _account: Account, params: Params, _now_ns: int) -> Any:
        self._terms(params)
        return {}

    def _terms(self, params: Params) -> OrderTerms:
        symbol = self._symbol(params)
        side = _needed(params, "side")
        if side not in ("BUY", "SELL"):
            raise Denied(400, -1117, "Invalid side.")
        kind = _needed(params, "type")
        if kind not in ("LIMIT", "LIMIT_MAKER", "MARKET"):
            raise Denied(400, -1116, "Invalid orderType.")
        tif = self._tif(kind, params)
        client_id = params.get("newClientOrderId", "")
        if "newClientOrderId" in params and not CLIENT_ID.fullmatch(client_id):
            raise _illegal("newClientOrderId", "^[a-zA-Z0-9-_]{1,36}$")
        mode = params.get("selfTradePreventionMode", "EXPIRE_MAKER")
        if mode not in MODES:
            raise Denied(400, -1100, "Invalid selfTradePreventionMode.")
        if kind == "MARKET" and "price" in params:
            raise Denied(400, -1106, "Parameter 'price' sent when not required.")
        rules = self._desk.rules[symbol]
        lots = quote = 0
        words: dict[str, str] = {}
        if kind == "MARKET" and "quantity" not in params and "quoteOrderQty" in params:
            text = _number(params, "quoteOrderQty")
            whole, _point, rest = text.partition(".")
            quote = int(whole + rest.ljust(MONEY_DIGITS, "0")[:MONEY_DIGITS])
            words["quoteOrderQty"] = f"{whole}.{rest.ljust(DIGITS, '0')[:DIGITS]}"
            if side == "SELL":
                lots = self._lots_worth(symbol, quote)
                quote = 0
        else:
            lots = rules.lots(_number(params, "quantity"))
        return OrderTerms(
            symbol,
            side == "BUY",
            lots,
            price_ticks=0 if kind == "MARKET" else rules.ticks(_number(params, "price")),
            tif=tif,
            is_market=kind == "MARKET",
            post_only=kind == "LIMIT_MAKER",
            quote=quote,
            self_trade=cast(Literal["none", "taker", "maker", "both"], MODES[mode]),
            client_id=client_id or f"sim{self._exchange.clock_ns:x}{len(self._desk.ledger.orders):x}",
            words=words,
        )

    @staticmethod
    def _tif(kind: str, params: Params) -> Literal["gtc", "ioc", "fok"]:
        if kind != "LIMIT":
            if "timeInForce" in params:
                raise Denied(400, -1106, "Parameter 'timeInForce' sent when not required.")
            return "gtc"
        tif = _needed(params, "timeInForce")
        if tif == "IOC":
            return "ioc"
        if tif == "FOK":
            return "fok"
        if tif != "GTC":
            raise Denied(400, -1115, "Invalid timeInForce.")
        return "gtc"

    def _lots_worth(self, symbol: str, quote: int) -> int:
        """Lots to sell for an amount of quote at the best bid."""
        best = self._exchange.books[symbol].bids.best()
        return quote // quote_units(self._desk.rules[symbol].instrument, best[0]) if best else 0

    def _cancel(self, account: Account, params: Params, _now_ns: int) -> Any:
        symbol = self._symbol(params)
        try:
            order = self._find(account, symbol, params)
            cancel_id = params.get("newClientOrderId", f"cancel{self._exchange.clock_ns:x}")
            self._desk.cancel(account, order, cancel_id=cancel_id)
        except Refusal as refusal:
            if refusal.reason == "unknown_order":
                raise Denied(400, -2011, "Unknown order sent.") from refusal
            raise
        return canceled_words(self._desk.rules[symbol].instrument, order, cancel_id)

    def _cancel_all(self, account: Account, params: Params, _now_ns: int) -> Any:
        symbol = self._symbol(params)
        item = self._desk.rules[symbol].instrument
        orders = self._desk.cancel_all(account, [symbol])
        if not orders:
            raise Denied(400, -2011, "Unknown order sent.")
        return [canceled_words(item, order, order.client_id) for order in orders]

    def _replace(self, account: Account, params: Params, now_ns: int) -> Any:
        """Cancel, then place: either may fail alone when the client allows it."""
        wanted = {"symbol": "symbol", "orderId": "cancelOrderId", "origClientOrderId": "cancelOrigClientOrderId"}
        mapped = {name: params[theirs] for name, theirs in wanted.items() if theirs in params}
        what: dict[str, Any] = {"cancelResult": "SUCCESS", "newOrderResult": "NOT_ATTEMPTED", "newOrderResponse": None}
        try:
            what["cancelResponse"] = self._worded(self._cancel, account, mapped, now_ns)
        except Denied as denied:
            what |= {"cancelResult": "FAILURE", "cancelResponse": {"code": denied.code, "msg": denied.msg}}
            if params.get("cancelReplaceMode") != "ALLOW_FAILURE":
                raise Denied(400, -2022, "Order cancel-replace failed.", data=what) from denied
        try:
            what |= {
                "newOrderResponse": self._worded(self._place, account, params, now_ns),
                "newOrderResult": "SUCCESS",
            }
        except Denied as denied:
            what |= {"newOrderResult": "FAILURE", "newOrderResponse": {"code": denied.code, "msg": denied.msg}}
        if what["cancelResult"] != what["newOrderResult"]:
            raise Denied(409, -2021, "Order cancel-replace partially failed.", data=what)
        if what["newOrderResult"] == "FAILURE":
            raise Denied(400, -2022, "Order cancel-replace failed.", data=what)
        return what

    def _query(self, account: Account, params: Params, _now_ns: int) -> Any:
        symbol = self._symbol(params)
        return query_words(self._desk.rules[symbol].instrument, self._find(account, symbol, params))

    def _find(self, account: Account, symbol: str, params: Params) -> Order:
        order_id, client_id = params.get("orderId", ""), params.get("origClientOrderId", "")
        if not order_id and not client_id:
            raise Denied(400, -1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")
        order = self._desk.find(account, order_id, client_id)
        if order.symbol != symbol:
            raise Refusal("unknown_order")
        if order_id and client_id and order.client_id != client_id:
            raise Denied(400, -2039, "Client order ID is not correct for this order ID")
        return order

    def _open_orders(self, account: Account, params: Params, _now_ns: int) -> Any:
        symbol = self._symbol(params) if "symbol" in params else None
        orders = self._desk.orders_of(account, symbol, only_open=True)
        return [query_words(self._desk.rules[order.symbol].instrument, order) for order in orders]

    def _all_orders(self, account: Account, params: Params, _now_ns: int) -> Any:
        symbol = self._symbol(params)
        orders = [
            order
            for order in self._desk.orders_of(account, symbol)
            if order.order_id >= _whole(params, "orderId", 0) and _is_within(params, order.arrived_ns)
        ]
        return [query_words(self._desk.rules[symbol].instrument, order) for order in _page(orders, params)]

    def _trades(self, account: Account, params: Params, _now_ns: int) -> Any:
        symbol = self._symbol(params)
        order_id = _whole(params, "orderId", 0) or None
        fills = [
            fill
            for fill in self._desk.fills_of(account, symbol, order_id)
            if fill.trade_id >= _whole(params, "fromId", 0) and _is_within(params, fill.ts_ns)
        ]
        return [trade_words(self._desk.rules[symbol].instrument, fill) for fill in _page(fills, params)]

    def _account(self, account: Account, params: Params, now_ns: int) -> Any:
        return account_words(account, omits_zeros=params.get("omitZeroBalances") == "true", now_ns=now_ns)

    def _commission(self, account: Account, params: Params, _now_ns: int) -> Any:
        return commission_words(account, self._symbol(params))

    def _symbol(self, params: Params) -> str:
        spelt = _needed(params, "symbol")
        symbol = self._symbols.get(spelt)
        if symbol is None:
            raise Denied(400, -1121, "Invalid symbol.")
        return symbol


def _needed(params: Params, name: str) -> str:
    value = params.get(name, "")
    if not value:
        raise Denied(400, -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
    return value


def _number(params: Params, name: str) -> str:
    value = _needed(params, name)
    if not NUMBER.fullmatch(value):
        raise _illegal(name, "^([0-9]{1,20})(\\.[0-9]{1,20})?$")
    return value


def _whole(params: Params, name: str, default: int) -> int:
    value = params.get(name, str(default))
    if not value.isdecimal() or len(value) > DIGITS_MAX:
        raise _illegal(name, "^[0-9]{1,20}$")
    return int(value)


def _illegal(name: str, legal: str) -> Denied:
    return Denied(400, -1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")


def _is_within(params: Params, ts_ns: int) -> bool:
    ts_ms = ts_ns // MILLI_NS
    return _whole(params, "startTime", 0) <= ts_ms <= _whole(params, "endTime", 1 << 62)


def _page(rows: list[Any], params: Params) -> list[Any]:
    """The last rows, or the first ones from an id or a time on."""
    limit = min(_whole(params, "limit", 500), ROWS_MAX)
    if any(name in params for name in ("fromId", "startTime")) or ("orderId" in params and "fromId" not in params):
        return rows[:limit]
    return rows[-limit:]
