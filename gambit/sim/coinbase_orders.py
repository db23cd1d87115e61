"""Coinbase's order entry and account queries, over REST only.

Rules: an order that is not accepted is HTTP 200 with success false; a client_order_id that was used already answers
with the order it made; type and time in force are the key of the order's configuration; orders are canceled by the
venue's ids only, and each has its own outcome.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from gambit.sim.accounts import MONEY_DIGITS, PPM, Account, quote_units
from gambit.sim.amounts import whole
from gambit.sim.coinbase_words import (
    GTD,
    UNKNOWN,
    Denied,
    account_words,
    fill_words,
    order_uuid,
    order_words,
    refusal_words,
    status_of,
    text_of,
    uuid_text,
)
from gambit.sim.desk import Rules
from gambit.sim.dialect import OrderTerms, Refusal
from gambit.sim.exchange import Exchange
from gambit.sim.market import SECOND_NS
from gambit.sim.matching import Order, State
from gambit.sim.spelling import trimmed

Said = Mapping[str, Any]
Query = Mapping[str, Sequence[str]]
TIFS: dict[str, Literal["gtc", "ioc", "fok"]] = {
    "market_market_ioc": "gtc", "sor_limit_ioc": "ioc", "limit_limit_gtc": "gtc", "limit_limit_gtd": "gtc",
    "limit_limit_fok": "fok",
}  # fmt: skip
CANCEL_FAILURES = {"unknown_order": "UNKNOWN_CANCEL_ORDER", "halted": "COMMANDER_REJECTED_CANCEL_ORDER"}
NUMBER = re.compile(r"\d{1,20}(\.\d{1,20})?")
CANCELS_MAX = 100
ROWS_USUAL, ROWS_MAX = 100, 1000


class CoinbaseOrders:
    """Order entry over one exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._desk = exchange.desk
        self._numbers: dict[str, int] = {}  # by the venue's id
        self._posts: dict[str, Callable[[Account, Said], Any]] = {
            "orders": self._place,
            "orders/batch_cancel": self._cancel,
            "orders/edit": self._edit,
        }
        self._gets: dict[str, Callable[[Account, Query], Any]] = {
            "orders/historical/batch": self._list,
            "orders/historical/fills": self._fills,
            "accounts": self._accounts,
            "transaction_summary": self._summary,
            "key_permissions": self._permissions,
        }

    def post(self, path: str, account: Account, said: Said) -> Any:
        """The answer of an operation; raises Denied."""
        if path not in self._posts:
            raise Denied(404, "NOT_FOUND", 5, "not found")
        return self._posts[path](account, said)

    def get(self, path: str, account: Account, params: Query) -> Any:
        """The answer of a query; raises Denied."""
        if path in self._gets:
            return self._gets[path](account, params)
        kind, _slash, name = path.rpartition("/")
        if kind == "orders/historical":
            try:
                return {"order": order_words(self._desk, self._find(account, name))}
            except Refusal as refusal:
                raise Denied(404, "NOT_FOUND", 5, "order with this orderID was not found") from refusal
        if kind == "accounts":
            for asset in account.balances:
                if account_words(account, asset)["uuid"] == name:
                    return {"account": account_words(account, asset)}
        raise Denied(404, "NOT_FOUND", 5, "not found")

    # --- operations

    def _place(self, account: Account, said: Said) -> Any:
        client_id = said.get("client_order_id")
        if not isinstance(client_id, str) or not client_id:
            raise _invalid("client_order_id is required")
        configuration = said.get("order_configuration")
        answer: dict[str, Any] = {"success": True, "failure_reason": UNKNOWN}
        try:
            order = self._known(account, client_id)
            if order is None:
                order = self._desk.place(account, self._terms(said, client_id))
                self._numbers[order_uuid(order.order_id)] = order.order_id
                self._end_in_time(account, order)
        except Refusal as refusal:
            words = refusal_words(refusal, buys=said.get("side") == "BUY")
            return {"success": False, "error_response": words, "order_configuration": configuration}
        name = order_uuid(order.order_id)
        side = "BUY" if order.buys else "SELL"
        response = {"order_id": name, "product_id": order.symbol, "side": side, "client_order_id": client_id}
        return answer | {"order_id": name, "success_response": response, "order_configuration": configuration}

    def _known(self, account: Account, client_id: str) -> Order | None:
        """The order that this client id has made already."""
        try:
            return self._desk.find(account, client_id=client_id)
        except Refusal:
            return None

    def _terms(self, said: Said, client_id: str) -> OrderTerms:
        symbol, side, configuration = str(said.get("product_id")), said.get("side"), said.get("order_configuration")
        if side not in ("BUY", "SELL"):
            raise Denied(400, "INVALID_SIDE", 3, "side is invalid")
        if symbol not in self._desk.rules:
            raise Denied(400, "INVALID_PRODUCT_ID", 3, "product_id is invalid")
        if not isinstance(configuration, dict) or len(configuration) != 1:
            raise _invalid("order_configuration must have exactly one key")
        ((kind, fields),) = configuration.items()
        if kind not in TIFS or not isinstance(fields, dict):
            raise Denied(400, "UNSUPPORTED_ORDER_CONFIGURATION", 3, f"{kind} is not supported")
        rules = self._desk.rules[symbol]
        is_market = kind == "market_market_ioc"
        ticks = 0 if is_market else rules.ticks(_amount(fields, "limit_price"))
        lots, quote = self._size(rules, fields, ticks, buys=side == "BUY")
        words = {"configuration": text_of(configuration)}
        if kind == "limit_limit_gtd":
            words["end_time"] = str(fields.get("end_time", ""))
            if _time_ns(words["end_time"]) <= self._exchange.clock_ns:
                raise _invalid("end_time is not in the future")
        return OrderTerms(
            symbol,
            side == "BUY",
            lots,
            price_ticks=ticks,
            tif=TIFS[kind],
            is_market=is_market,
            post_only=fields.get("post_only") is True,
            quote=quote,
            client_id=client_id,
            words=words,
        )

    def _size(self, rules: Rules, fields: Said, ticks: int, *, buys: bool) -> tuple[int, int]:
        """Lots, or money for a market buy."""
        if "base_size" in fields:
            return rules.lots(_amount(fields, "base_size")), 0
        quote = int(Decimal(_amount(fields, "quote_size")).scaleb(MONEY_DIGITS))
        if quote < rules.min_cost:
            raise Refusal("min_cost")
        if ticks:
            return quote // quote_units(rules.instrument, ticks), 0
        if not buys:
            raise _invalid("quote_size is for buys only")
        return 0, quote

    def _end_in_time(self, account: Account, order: Order) -> None:
        """A GTD order expires when its time is over, or a second after that while nothing may move."""
        if "end_time" not in order.words:
            return

        def end(now_ns: int) -> None:
            if order.is_over:
                return
            if self._desk.rules[order.symbol].status == "HALT":
                self._exchange.at(now_ns + SECOND_NS, end)
            else:
                self._desk.cancel(account, order, reason=GTD)

        self._exchange.at(_time_ns(order.words["end_time"]) - self._exchange.offset_ns, end)

    def _cancel(self, account: Account, said: Said) -> Any:
        names = said.get("order_ids")
        if not isinstance(names, list) or not names or len(names) > CANCELS_MAX:
            raise _invalid("order_ids must have 1 to 100 ids")
        return {"results": [self._cancel_one(account, str(name)) for name in names]}

    def _cancel_one(self, account: Account, name: str) -> dict[str, Any]:
        failure = "UNKNOWN_CANCEL_FAILURE_REASON"
        is_done = True
        try:
            order = self._find(account, name)
            if order.is_over:
                is_done = False
                failure = "ORDER_IS_FULLY_FILLED" if order.state is State.FILLED else "DUPLICATE_CANCEL_REQUEST"
            else:
                self._desk.cancel(account, order)
        except Refusal as refusal:
            is_done, failure = False, CANCEL_FAILURES.get(refusal.reason, "INVALID_CANCEL_REQUEST")
        return {"success": is_done, "failure_reason": failure, "order_id": name}

    def _edit(self, account: Account, said: Said) -> Any:
        """Both price and size, of an order that is good till canceled."""
        try:
            order = self._find(account, str(said.get("order_id", "")))
            if order.tif != "gtc" or order.is_market:
                raise Refusal("order_over")
            rules = self._desk.rules[order.symbol]
            ticks, lots = rules.ticks(_amount(said, "price")), rules.lots(_amount(said, "size"))
            self._desk.amend(account, order, lots=lots, price_ticks=ticks)
        except Refusal as refusal:
            words = refusal_words(refusal, buys=True)
            reason = "ORDER_NOT_FOUND" if refusal.reason == "unknown_order" else words["error"]
            return {"success": False, "errors": [{"edit_failure_reason": reason}]}
        return {"success": True, "errors": []}

    # --- queries

    def _find(self, account: Account, name: str) -> Order:
        """An order by the venue's id; raises Refusal."""
        number = self._numbers.get(name)
        if number is None:
            raise Refusal("unknown_order")
        return self._desk.find(account, str(number))

    def _list(self, account: Account, params: Query) -> Any:
        wanted = [*params.get("product_ids", ()), *params.get("product_id", ())]
        statuses = params.get("order_status", ())
        orders = [
            order
            for order in self._desk.orders_of(account)
            if (not wanted or order.symbol in wanted)
            and (not statuses or status_of(order) in statuses)
            and _is_within(params, "start_date", "end_date", order.arrived_ns)
        ]
        page, cursor = _page(orders, params)
        words = [order_words(self._desk, order) for order in page]
        return {"orders": words, "sequence": "0", "has_next": bool(cursor), "cursor": cursor}

    def _fills(self, account: Account, params: Query) -> Any:
        wanted = [*params.get("product_ids", ()), *params.get("product_id", ())]
        names = [*params.get("order_ids", ()), *params.get("order_id", ())]
        numbers = {self._numbers.get(name) for name in names}
        fills = [
            fill
            for fill in self._desk.fills_of(account)
            if (not wanted or fill.symbol in wanted)
            and (not names or fill.order_id in numbers)
            and _is_within(params, "start_sequence_timestamp", "end_sequence_timestamp", fill.ts_ns)
        ]
        page, cursor = _page(fills, params)
        return {"fills": [fill_words(self._desk, fill) for fill in page], "cursor": cursor}

    def _accounts(self, account: Account, params: Query) -> Any:
        page, cursor = _page(sorted(account.balances, reverse=True), params)
        rows = [account_words(account, asset) for asset in page]
        return {"accounts": rows, "has_next": bool(cursor), "cursor": cursor, "size": len(rows)}

    def _summary(self, account: Account, _params: Query) -> Any:
        maker, taker = (trimmed(f"{ppm / PPM:.6f}") for ppm in (account.fees.maker_ppm, account.fees.taker_ppm))
        fills = self._desk.fills_of(account)
        units = [quote_units(self._desk.rules[fill.symbol].instrument, fill.cost) for fill in fills]
        tier = {"pricing_tier": "Advanced 1", "usd_from": "0", "usd_to": "10000"}
        return {
            "total_volume": sum(units) / 10**MONEY_DIGITS,
            "total_fees": sum(fill.fee for fill in fills) / 10**MONEY_DIGITS,
            "fee_tier": tier | {"taker_fee_rate": taker, "maker_fee_rate": maker},
            "margin_rate": None,
            "goods_and_services_tax": None,
        }

    def _permissions(self, account: Account, _params: Query) -> Any:
        portfolio = uuid_text("coinbase", "portfolio", account.name)
        rights = {"can_view": True, "can_trade": account.rights.trade, "can_transfer": account.rights.withdraw}
        return rights | {"portfolio_uuid": portfolio, "portfolio_type": "DEFAULT"}


def _invalid(message: str) -> Denied:
    return Denied(400, "INVALID_ARGUMENT", 3, message)


def _amount(fields: Said, name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not NUMBER.fullmatch(value):
        raise _invalid(f"{name} is invalid")
    return value


def _time_ns(text: str) -> int:
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000) * 1_000_000
    except (ValueError, OverflowError):
        raise _invalid(f"{text!r} is no time") from None


def _is_within(params: Query, first: str, last: str, ts_ns: int) -> bool:
    start = _time_ns(params[first][0]) if params.get(first) else 0
    end = _time_ns(params[last][0]) if params.get(last) else 1 << 63
    return start <= ts_ns <= end


def _page(rows: list[Any], params: Query) -> tuple[list[Any], str]:
    """Newest first, from the cursor on; the next cursor."""
    limit, cursor = params.get("limit", ("",))[0], params.get("cursor", ("",))[0]
    first, count = whole(cursor), min(whole(limit), ROWS_MAX) or ROWS_USUAL
    return rows[::-1][first : first + count], str(first + count) if first + count < len(rows) else ""
