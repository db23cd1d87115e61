"""Kraken's order entry and account queries, over REST and WebSocket alike.

Rules: what fails is one error text; a post-only order that would take is accepted and canceled at once; each pair has a
counter that adds fill up a little and quick cancels much, and that decays with time; a cl_ord_id is unique among open
orders.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, cast

import msgspec

from gambit.sim.accounts import MONEY_DIGITS, PPM, Account
from gambit.sim.amounts import whole
from gambit.sim.dialect import OrderTerms, Refusal
from gambit.sim.exchange import Exchange
from gambit.sim.kraken_wire import asset_id
from gambit.sim.kraken_words import (
    DIGITS,
    Denied,
    balances_words,
    denial,
    fill_words,
    key_words,
    number_of,
    order_text,
    order_words,
    ref_id,
)
from gambit.sim.market import SECOND_NS
from gambit.sim.matching import Order
from gambit.sim.spelling import rfc3339

Params = Mapping[str, Any]
CLIENT_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}|[!-~]{1,18}")
USERREF = re.compile(r"-?\d{1,10}")
SELF_TRADE = {"cancel_newest": "taker", "cancel_oldest": "maker", "cancel_both": "both"}
TIFS = ("gtc", "ioc", "fok")
SECONDS = r"\d{1,12}(\.\d{1,9})?"
FLAGS = {"post", "fciq", "viqc", "nompp"}
DEADLINE_NS = (500_000_000, 60 * SECOND_NS)
PAIR_COUNT_MAX, PAIR_DECAY_PER_S = 180, 3.75
OPEN_MAX = 225  # orders of a pair
CANCEL_COSTS = ((5, 8), (10, 6), (15, 5), (45, 4), (90, 2), (300, 1))  # younger than so many seconds
AMEND_COSTS = ((5, 3), (10, 2), (15, 1))
ROWS_MAX = 50
DIGITS_MAX = 20  # before or after the point
DEAD_MAN_MAX_S = 86_400


class Ask(msgspec.Struct, frozen=True):
    """A new order in words that REST and WebSocket have in common; numbers as text, "" for absent."""

    symbol: str
    side: str
    kind: str
    qty: str
    price: str = ""
    tif: str = "gtc"
    post_only: bool = False
    cash: str = ""
    client_id: str = ""
    userref: str = ""
    self_trade: str = "cancel_newest"
    deadline: str = ""
    is_test: bool = False


class Counter:
    """A count that decays with time."""

    def __init__(self, now_ns: int, per_s: float) -> None:
        self._count = 0.0
        self._since_ns = now_ns
        self._per_s = per_s

    def add(self, cost: float, now_ns: int) -> float:
        """Count something; how much there is now."""
        passed_ns = max(0, now_ns - self._since_ns)  # the venue's clock may have been set back
        decayed = self._count - passed_ns / SECOND_NS * self._per_s
        self._count, self._since_ns = max(0.0, decayed) + cost, now_ns
        return self._count


class KrakenOrders:
    """Order entry over one exchange."""

    def __init__(self, exchange: Exchange, pairs: Mapping[str, str]) -> None:
        """`pairs` has symbols by all names of REST."""
        self._exchange = exchange
        self._desk = exchange.desk
        self._pairs = pairs
        self._counters: dict[tuple[str, str], Counter] = {}
        self._dead_man: dict[str, int] = {}  # when an account's switch triggers
        self.methods: dict[str, Callable[[Account, Params], Any]] = {
            "AddOrder": self._add_rest,
            "CancelOrder": self._cancel_rest,
            "CancelAll": lambda account, _params: {"count": self.cancel_all(account)},
            "CancelAllOrdersAfter": lambda account, params: self.cancel_all_after(account, str(params.get("timeout"))),
            "OpenOrders": self._open_orders,
            "ClosedOrders": self._closed_orders,
            "QueryOrders": self._query_orders,
            "TradesHistory": self._trades,
            "QueryTrades": self._query_trades,
            "Balance": lambda account, _: {k: v["balance"] for k, v in balances_words(account).items()},
            "BalanceEx": lambda account, _: balances_words(account),
            "TradeVolume": self._volume,
            "GetApiKeyInfo": lambda account, _: key_words(account),
        }

    # --- operations

    def add(self, account: Account, ask: Ask) -> Order | None:
        """Accept an order, None for one that was only tested; raises Denied."""
        try:
            terms = self._terms(ask)
            if ask.is_test:
                return None
            self._count(account, terms.symbol, 1, f"orders {terms.symbol}")
            if len(self._desk.orders_of(account, terms.symbol, only_open=True)) >= OPEN_MAX:
                raise Denied("EOrder:Orders limit exceeded")
            return self._desk.place(account, terms, post_only_dies=True)
        except Refusal as refusal:
            raise denial(refusal) from refusal

    def cancel(self, account: Account, *, reference: str = "", client_id: str = "") -> Order:
        """Cancel by the venue's id or the client's; raises Denied."""
        try:
            order = self.find(account, reference, client_id)
            self._desk.cancel(account, order)
        except Refusal as refusal:
            raise denial(refusal) from refusal
        self._counter(account, order.symbol).add(self._cost(order, CANCEL_COSTS), self._exchange.clock_ns)
        return order

    def amend(self, account: Account, order: Order, qty: str, price: str) -> None:
        """Change quantity or price, "" for as it is; raises Denied."""
        rules = self._desk.rules[order.symbol]
        self._count(account, order.symbol, 1 + self._cost(order, AMEND_COSTS), f"orders {order.symbol}")
        try:
            lots, ticks = rules.lots(qty) if qty else 0, rules.ticks(price) if price else 0
            self._desk.amend(account, order, lots=lots, price_ticks=ticks)
        except Refusal as refusal:
            raise denial(refusal) from refusal

    def cancel_all(self, account: Account, reason: str = "user") -> int:
        """Cancel what can be canceled; how many that were."""
        orders = self._desk.orders_of(account, only_open=True)
        symbols = {order.symbol for order in orders if self._desk.rules[order.symbol].status != "HALT"}
        return len(self._desk.cancel_all(account, symbols, reason))

    def cancel_all_after(self, account: Account, timeout: str) -> dict[str, str]:
        """Arm the dead-man switch for so many seconds, or disarm it with 0; raises Denied."""
        seconds = whole(timeout, -1)
        if not 0 <= seconds <= DEAD_MAN_MAX_S:
            raise Denied("EGeneral:Invalid arguments:timeout")
        clock_ns = self._exchange.clock_ns
        due_ns = self._exchange.now_ns + seconds * SECOND_NS if seconds else 0
        self._dead_man[account.name] = due_ns
        if due_ns:
            self._exchange.at(due_ns, lambda now_ns: self._trigger(account, now_ns))
        trigger = rfc3339(clock_ns + seconds * SECOND_NS, 3) if due_ns else "0"
        return {"currentTime": rfc3339(clock_ns, 3), "triggerTime": trigger}

    def find(self, account: Account, reference: str, client_id: str) -> Order:
        """An order by one of its ids; raises Refusal."""
        number = number_of(reference) if reference else None
        if reference and number is None:
            raise Refusal("unknown_order")
        return self._desk.find(account, "" if number is None else str(number), client_id)

    def _trigger(self, account: Account, now_ns: int) -> None:
        if self._dead_man.get(account.name) == now_ns:
            del self._dead_man[account.name]
            self.cancel_all(account, "cancel_all_after")

    def _terms(self, ask: Ask) -> OrderTerms:
        if ask.side not in ("buy", "sell"):
            raise Denied("EGeneral:Invalid arguments:side")
        if ask.kind not in ("limit", "market"):
            raise Denied("EGeneral:Invalid arguments:ordertype")
        if ask.tif not in TIFS or ask.self_trade not in SELF_TRADE:
            raise Denied("EGeneral:Invalid arguments:timeinforce or stptype")
        if ask.userref and not USERREF.fullmatch(ask.userref):
            raise Denied("EGeneral:Invalid arguments:userref")
        if ask.client_id and (ask.userref or not CLIENT_ID.fullmatch(ask.client_id)):
            raise Denied("EGeneral:Invalid arguments:cl_ord_id")
        if ask.symbol not in self._desk.rules:
            raise Refusal("symbol")
        self._check_deadline(ask.deadline)
        rules = self._desk.rules[ask.symbol]
        is_market = ask.kind == "market"
        if ask.cash and not (is_market and ask.side == "buy"):
            raise Denied("EGeneral:Invalid arguments:viqc")
        quote = int(_decimal(ask.cash, "volume").scaleb(MONEY_DIGITS)) if ask.cash else 0
        if quote and quote < rules.min_cost:
            raise Refusal("min_cost")
        return OrderTerms(
            ask.symbol,
            ask.side == "buy",
            0 if quote else rules.lots(str(_decimal(ask.qty, "volume"))),
            price_ticks=0 if is_market else rules.ticks(str(_decimal(ask.price, "price"))),
            tif="gtc" if is_market else cast(Literal["gtc", "ioc", "fok"], ask.tif),
            is_market=is_market,
            post_only=ask.post_only,
            quote=quote,
            self_trade=cast(Literal["taker", "maker", "both"], SELF_TRADE[ask.self_trade]),
            client_id=ask.client_id,
            words={"userref": ask.userref} if ask.userref else {},
        )

    def _check_deadline(self, text: str) -> None:
        if not text:
            return
        try:
            due_ns = int(datetime.fromisoformat(text).timestamp() * 1000) * 1_000_000
        except (ValueError, OverflowError):
            raise Denied("EGeneral:Invalid arguments:deadline") from None
        ahead_ns = due_ns - self._exchange.clock_ns
        if ahead_ns < 0:
            raise Denied("EService:Deadline elapsed")
        if not DEADLINE_NS[0] <= ahead_ns <= DEADLINE_NS[1]:
            raise Denied("EGeneral:Invalid arguments:deadline")

    def _counter(self, account: Account, symbol: str) -> Counter:
        key = account.name, symbol
        if key not in self._counters:
            self._counters[key] = Counter(self._exchange.clock_ns, PAIR_DECAY_PER_S)
        return self._counters[key]

    def _count(self, account: Account, symbol: str, cost: int, budget: str) -> None:
        counter, now_ns = self._counter(account, symbol), self._exchange.clock_ns
        used = counter.add(cost, now_ns)
        self._exchange.ledger.spent(budget, int(used), PAIR_COUNT_MAX)
        if used > PAIR_COUNT_MAX:
            counter.add(-cost, now_ns)
            raise Denied("EOrder:Rate limit exceeded")

    def _cost(self, order: Order, costs: tuple[tuple[int, int], ...]) -> int:
        age_ns = self._exchange.clock_ns - order.arrived_ns
        return next((cost for age_s, cost in costs if age_ns < age_s * SECOND_NS), 0)

    # --- REST

    def _add_rest(self, account: Account, params: Params) -> Any:
        flags = {flag for flag in str(params.get("oflags", "")).split(",") if flag}
        if flags - FLAGS:
            raise Denied("EGeneral:Invalid arguments:oflags")
        in_cash, volume = "viqc" in flags, str(params.get("volume", ""))
        ask = Ask(
            self._pairs.get(str(params.get("pair", "")), ""),
            str(params.get("type", "")),
            str(params.get("ordertype", "")),
            "" if in_cash else volume,
            price=str(params.get("price", "")),
            tif=str(params.get("timeinforce", "GTC")).lower(),
            post_only="post" in flags,
            cash=volume if in_cash else "",
            client_id=str(params.get("cl_ord_id", "")),
            userref=str(params.get("userref", "")),
            self_trade=str(params.get("stptype", "cancel-newest")).replace("-", "_"),
            deadline=str(params.get("deadline", "")),
            is_test=str(params.get("validate", "false")).lower() == "true",
        )
        order = self.add(account, ask)
        if order is None:
            return {"descr": {"order": f"{ask.side} {ask.qty} {params.get('pair')} @ {ask.kind} {ask.price}".strip()}}
        item = self._desk.rules[order.symbol].instrument
        return {"descr": {"order": order_text(item, order)}, "txid": [ref_id("O", order.order_id)]}

    def _cancel_rest(self, account: Account, params: Params) -> Any:
        reference, client_id = str(params.get("txid", "")), str(params.get("cl_ord_id", ""))
        if not reference and not client_id:
            raise Denied("EGeneral:Invalid arguments")
        self.cancel(account, reference=reference, client_id=client_id)
        return {"count": 1}

    def _open_orders(self, account: Account, params: Params) -> Any:
        return {"open": self._orders(self._desk.orders_of(account, only_open=True), params)}

    def _closed_orders(self, account: Account, params: Params) -> Any:
        orders = [order for order in self._desk.orders_of(account) if order.is_over]
        within = [order for order in orders if _is_within(params, order.changed_ns)]
        page = within[::-1][_offset(params) :][:ROWS_MAX]
        return {"closed": self._orders(page, params), "count": len(within)}

    def _query_orders(self, account: Account, params: Params) -> Any:
        try:
            orders = [self.find(account, text.strip(), "") for text in str(params.get("txid", "")).split(",")]
        except Refusal as refusal:
            raise denial(refusal) from refusal
        return self._orders(orders, params)

    def _orders(self, orders: list[Order], params: Params) -> dict[str, Any]:
        trades, client_id = str(params.get("trades", "false")).lower() == "true", params.get("cl_ord_id")
        return {
            ref_id("O", order.order_id): order_words(self._desk, order, trades=trades)
            for order in orders
            if client_id in (None, order.client_id)
        }

    def _trades(self, account: Account, params: Params) -> Any:
        fills = [fill for fill in self._desk.fills_of(account) if _is_within(params, fill.ts_ns)]
        page = fills[::-1][_offset(params) :][:ROWS_MAX]
        trades = {ref_id("T", fill.exec_id): fill_words(self._desk, fill) for fill in page}
        return {"trades": trades, "count": len(fills)}

    def _query_trades(self, account: Account, params: Params) -> Any:
        wanted = [text.strip() for text in str(params.get("txid", "")).split(",")]
        found = {ref_id("T", fill.exec_id): fill for fill in self._desk.fills_of(account)}
        if any(text not in found for text in wanted):
            raise Denied("EQuery:Unknown trade")
        return {text: fill_words(self._desk, found[text]) for text in wanted}

    def _volume(self, account: Account, params: Params) -> Any:
        names = [name for name in str(params.get("pair", "")).split(",") if name]
        if any(name not in self._pairs for name in names):
            raise Denied("EQuery:Unknown asset pair")
        taker, maker = (
            {name: {"fee": f"{ppm * 100 / PPM:.4f}", "nextfee": None, "tiervolume": "0.0000"} for name in names}
            for ppm in (account.fees.taker_ppm, account.fees.maker_ppm)
        )
        return {"currency": asset_id("USD"), "volume": f"{0:.{DIGITS}f}", "fees": taker, "fees_maker": maker}


def _decimal(text: str, name: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise Denied(f"EGeneral:Invalid arguments:{name}") from None
    if not value.is_finite() or value <= 0 or abs(value.adjusted()) > DIGITS_MAX:
        raise Denied(f"EGeneral:Invalid arguments:{name}")
    return value


def _offset(params: Params) -> int:
    return whole(str(params.get("ofs", "0")))


def _is_within(params: Params, ts_ns: int) -> bool:
    """Between `start` and `end`, seconds, as far as they are given."""
    start, end = (str(params.get(name, "")) for name in ("start", "end"))
    if re.fullmatch(SECONDS, start) and ts_ns <= float(start) * SECOND_NS:
        return False
    return not re.fullmatch(SECONDS, end) or ts_ns <= float(end) * SECOND_NS
