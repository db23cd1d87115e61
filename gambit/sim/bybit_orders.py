"""Bybit's order entry and account queries, over REST and the trade connection alike.

Rules: an answer to a new order only says that it was taken in; what becomes of it, a post-only order that would take
included, is told on the order topic. An orderLinkId is used once and never again. A market buy's qty is quote unless
marketUnit says otherwise. Each endpoint has its own budget per user and second, shared by REST and WebSocket.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any, Literal, cast

from gambit.sim.accounts import MONEY_DIGITS, Account, quote_units
from gambit.sim.amounts import whole
from gambit.sim.bybit_wire import spell
from gambit.sim.bybit_words import SELF_TRADE, Denied, denial, execution_words, order_words, rate_text, wallet_words
from gambit.sim.dialect import MILLI_NS, OrderTerms, Refusal
from gambit.sim.exchange import Exchange
from gambit.sim.matching import Order

Said = Mapping[str, Any]
CLIENT_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")
NUMBER = re.compile(r"\d{1,20}(\.\d{1,20})?")
BATCH_MAX = 10
ROWS_USUAL, ROWS_MAX, FILLS_MAX = 20, 50, 100
LIMITS = {"create": 20, "cancel": 20, "cancel-all": 20, "amend": 10}
QUERIES_PER_S = 50
MODES = {name: mode for mode, name in SELF_TRADE.items()}
TIFS: dict[str, Literal["gtc", "ioc", "fok"]] = {"GTC": "gtc", "IOC": "ioc", "FOK": "fok", "PostOnly": "gtc"}


class Spent:
    """What is left of a budget, for the headers of an answer."""

    def __init__(self, limit: int, used: int, reset_ms: int) -> None:
        self.limit = limit
        self.used = used
        self.reset_ms = reset_ms

    def headers(self) -> dict[str, str]:
        """As REST and the trade connection spell it."""
        return {
            "X-Bapi-Limit": str(self.limit),
            "X-Bapi-Limit-Status": str(max(0, self.limit - self.used)),
            "X-Bapi-Limit-Reset-Timestamp": str(self.reset_ms),
        }


class BybitOrders:
    """Order entry over one exchange."""

    def __init__(self, exchange: Exchange, symbols: Mapping[str, str]) -> None:
        """`symbols` by the venue's spelling."""
        self._exchange = exchange
        self._desk = exchange.desk
        self._desk.client_ids_for_ever = True
        self._symbols = symbols
        self._posts: dict[str, Callable[[Account, Said], Any]] = {
            "create": self._place,
            "cancel": self._cancel,
            "amend": self._amend,
            "cancel-all": self._cancel_all,
        }
        self._gets: dict[str, Callable[[Account, Said], Any]] = {
            "/v5/order/realtime": self._realtime,
            "/v5/order/history": self._history,
            "/v5/execution/list": self._executions,
            "/v5/account/wallet-balance": self._wallet,
            "/v5/account/fee-rate": self._fees,
            "/v5/account/info": self._info,
            "/v5/user/query-api": self._key,
        }

    def get(self, path: str) -> Callable[[Account, Said], Any] | None:
        """A signed query by path: result of params; raises Denied."""
        return self._gets.get(path)

    def knows(self, name: str) -> bool:
        """Whether there is such an order operation: create, cancel-batch ..."""
        return name.removesuffix("-batch") in self._posts

    def operate(self, name: str, account: Account, said: Said) -> tuple[Any, dict[str, Any]]:
        """Do an order operation: its result and retExtInfo; raises Denied."""
        if said.get("category") != "spot":
            raise Denied(10001, "params error: Category is invalid")
        if not name.endswith("-batch"):
            return self._worded(self._posts[name], account, said), {}
        rows = said.get("request")
        if not isinstance(rows, list) or not 1 <= len(rows) <= BATCH_MAX:
            raise Denied(10001, "params error: request is invalid")
        results, codes = [], []
        for row in rows:
            if not isinstance(row, dict):
                raise Denied(10001, "params error: request is invalid")
            try:
                results.append(self._worded(self._posts[name.removesuffix("-batch")], account, row))
                codes.append({"code": 0, "msg": "OK"})
            except Denied as denied:
                results.append({"orderId": "", "orderLinkId": str(row.get("orderLinkId", ""))})
                codes.append({"code": denied.code, "msg": denied.message})
        return {"list": results}, {"list": codes}

    def charge(self, name: str, account: Account, count: int = 1) -> Spent:
        """Take from the budget of an operation or a query."""
        limit = LIMITS.get(name.removesuffix("-batch"), QUERIES_PER_S)
        used = self._exchange.spend(f"{name} 1s", account.name, count, limit, 1000)
        clock_ms = self._exchange.clock_ns // MILLI_NS
        return Spent(limit, used, clock_ms if used <= limit else (clock_ms // 1000 + 1) * 1000)

    @staticmethod
    def _worded(answer: Callable[[Account, Said], Any], account: Account, said: Said) -> Any:
        try:
            return answer(account, said)
        except Refusal as refusal:
            raise denial(refusal) from refusal

    # --- operations

    def _place(self, account: Account, said: Said) -> Any:
        terms = self._terms(said)
        try:
            order = self._desk.place(account, terms, post_only_dies=True)
        except Refusal as refusal:
            if refusal.reason == "price_band" and not terms.buys:
                raise Denied(170133, "Order price too low.") from refusal
            raise
        return _ids(order)

    def _terms(self, said: Said) -> OrderTerms:
        symbol = self._symbol(said)
        side, kind = said.get("side"), said.get("orderType")
        if side not in ("Buy", "Sell"):
            raise Denied(10001, "params error: side invalid")
        if kind not in ("Limit", "Market"):
            raise Denied(10001, "params error: orderType invalid")
        tif = "IOC" if kind == "Market" else str(said.get("timeInForce") or "GTC")
        mode = str(said.get("smpType") or "None")
        if tif not in TIFS or mode not in MODES:
            raise Denied(10001, "params error: timeInForce or smpType invalid")
        client_id = str(said.get("orderLinkId") or "")
        if client_id and not CLIENT_ID.fullmatch(client_id):
            raise Denied(170130, "Data sent for parameter 'orderLinkId' is not valid.")
        lots, quote, words = self._size(symbol, said)
        rules = self._desk.rules[symbol]
        return OrderTerms(
            symbol,
            side == "Buy",
            lots,
            price_ticks=0 if kind == "Market" else rules.ticks(_number(said, "price")),
            tif="gtc" if kind == "Market" else TIFS[tif],
            is_market=kind == "Market",
            post_only=tif == "PostOnly",
            quote=quote,
            self_trade=cast(Literal["none", "taker", "maker", "both"], MODES[mode]),
            client_id=client_id,
            words=words | {"smpType": mode},
        )

    def _size(self, symbol: str, said: Said) -> tuple[int, int, dict[str, str]]:
        """Lots or money, and what is to be remembered of the client's words."""
        rules, text = self._desk.rules[symbol], _number(said, "qty")
        is_market, buys = said.get("orderType") == "Market", said.get("side") == "Buy"
        unit = str(said.get("marketUnit") or ("quoteCoin" if buys else "baseCoin"))
        if not is_market or unit == "baseCoin":
            return rules.lots(text), 0, {"marketUnit": unit} if is_market else {}
        quote = int(Decimal(text).scaleb(MONEY_DIGITS))
        words = {"qty": text, "marketUnit": unit}
        if buys:
            if quote < rules.min_cost:
                raise Refusal("min_cost")
            return 0, quote, words
        best = self._exchange.books[symbol].bids.best()
        return quote // quote_units(rules.instrument, best[0]) if best else 0, 0, words

    def _cancel(self, account: Account, said: Said) -> Any:
        order = self._find(account, said)
        try:
            self._desk.cancel(account, order)
        except Refusal as refusal:
            raise denial(refusal, order) from refusal
        return _ids(order)

    def _amend(self, account: Account, said: Said) -> Any:
        order = self._find(account, said)
        rules = self._desk.rules[order.symbol]
        lots = rules.lots(_number(said, "qty")) if said.get("qty") else 0
        ticks = rules.ticks(_number(said, "price")) if said.get("price") else 0
        try:
            self._desk.amend(account, order, lots=lots, price_ticks=ticks)
        except Refusal as refusal:
            raise denial(refusal, order) from refusal
        return _ids(order)

    def _cancel_all(self, account: Account, said: Said) -> Any:
        symbols = [self._symbol(said)] if said.get("symbol") else None
        return {"list": [_ids(order) for order in self._desk.cancel_all(account, symbols)], "success": "1"}

    # --- queries

    def _realtime(self, account: Account, params: Said) -> Any:
        wanted = self._by_id(account, params)
        if wanted is None:
            is_open = params.get("openOnly", "0") == "0"
            orders = self._desk.orders_of(account, self._maybe_symbol(params), only_open=is_open)
            wanted = [order for order in orders if is_open or order.is_over]
        return self._page(wanted, params, ROWS_MAX, partial(order_words, self._desk))

    def _history(self, account: Account, params: Said) -> Any:
        wanted = self._by_id(account, params)
        orders = self._desk.orders_of(account, self._maybe_symbol(params)) if wanted is None else wanted
        past = [order for order in orders if order.is_over and _is_within(params, order.arrived_ns)]
        return self._page(past, params, ROWS_MAX, partial(order_words, self._desk))

    def _executions(self, account: Account, params: Said) -> Any:
        wanted = self._by_id(account, params)
        number = None if wanted is None else wanted[0].order_id if wanted else 0
        fills = self._desk.fills_of(account, self._maybe_symbol(params), number)
        within = [fill for fill in fills if _is_within(params, fill.ts_ns)]
        return self._page(within, params, FILLS_MAX, partial(execution_words, self._desk))

    def _wallet(self, account: Account, params: Said) -> Any:
        if params.get("accountType") != "UNIFIED":
            raise Denied(10001, "accountType only support UNIFIED.")
        return {"list": [wallet_words(account, params["coin"].split(",") if params.get("coin") else None)]}

    def _fees(self, account: Account, params: Said) -> Any:
        symbol = self._maybe_symbol(params)
        fees = account.fees
        rates = {"takerFeeRate": rate_text(fees.taker_ppm), "makerFeeRate": rate_text(fees.maker_ppm)}
        return {"list": [{"symbol": spell(name)} | rates for name in self._exchange.books if symbol in (None, name)]}

    def _info(self, _account: Account, _params: Said) -> Any:
        return {"marginMode": "REGULAR_MARGIN", "unifiedMarginStatus": 5, "dcpStatus": "OFF", "timeWindow": 10}

    def _key(self, account: Account, _params: Said) -> Any:
        rights = account.rights
        spot, wallet = ["SpotTrade"] if rights.trade else [], ["AccountTransfer", "Withdraw"] if rights.withdraw else []
        permissions = {"Spot": spot, "Wallet": wallet, "ContractTrade": [], "Options": []}
        words = {"apiKey": account.credentials.key, "readOnly": 0, "uta": 1, "unified": 0, "userID": account.number}
        return words | {"permissions": permissions, "ips": ["127.0.0.1" if rights.bound else "*"], "type": 1}

    # --- inside

    def _by_id(self, account: Account, params: Said) -> list[Order] | None:
        """The order that is asked for by one of its ids, maybe none; None where no id is given."""
        if not params.get("orderId") and not params.get("orderLinkId"):
            return None
        try:
            return [self._find(account, params)]
        except Refusal:
            return []

    def _find(self, account: Account, said: Said) -> Order:
        order_id, client_id = str(said.get("orderId") or ""), str(said.get("orderLinkId") or "")
        if not order_id and not client_id:
            raise Denied(10001, "params error: OrderId or orderLinkId is required")
        order = self._desk.find(account, order_id, client_id)
        if said.get("symbol") and self._symbols.get(str(said["symbol"])) != order.symbol:
            raise Refusal("unknown_order")
        return order

    def _symbol(self, said: Said) -> str:
        symbol = self._symbols.get(str(said.get("symbol", "")))
        if symbol is None:
            raise Refusal("symbol")
        return symbol

    def _maybe_symbol(self, params: Said) -> str | None:
        if params.get("category") != "spot":
            raise Denied(10001, "params error: Category is invalid")
        return self._symbol(params) if params.get("symbol") else None

    @staticmethod
    def _page(rows: list[Any], params: Said, most: int, words: Callable[[Any], Any]) -> Any:
        """Newest first, from the cursor on."""
        limit, start = (str(params.get(name) or default) for name, default in (("limit", ROWS_USUAL), ("cursor", 0)))
        first, count = whole(start, -1), min(whole(limit, -1), most)
        if first < 0 or count < 0:
            raise Denied(10001, "params error: limit or cursor invalid")
        found = rows[::-1][first : first + count]
        cursor = str(first + count) if first + count < len(rows) else ""
        return {"category": "spot", "list": [words(row) for row in found], "nextPageCursor": cursor}


def _ids(order: Order) -> dict[str, str]:
    return {"orderId": str(order.order_id), "orderLinkId": order.client_id}


def _number(said: Said, name: str) -> str:
    value = said.get(name)
    if not isinstance(value, str) or not NUMBER.fullmatch(value):
        raise Denied(10001, f"params error: {name} invalid")
    return value


def _is_within(params: Said, ts_ns: int) -> bool:
    ms = ts_ns // MILLI_NS
    start, end = (str(params.get(name) or "") for name in ("startTime", "endTime"))
    return whole(start) <= ms <= whole(end, 1 << 62)
