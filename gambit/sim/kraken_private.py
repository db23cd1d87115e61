"""Kraken's private WebSocket: tokens, the executions and balances channels, order methods.

Rules: every private request carries a token; updates of executions say only what is new, and each subscription counts
its messages from 1; a cancel of many orders is answered order by order.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from gambit.sim.accounts import Account, money_text
from gambit.sim.dialect import Outage, Refusal, Report, Request, Session
from gambit.sim.exchange import Exchange
from gambit.sim.kraken_orders import PAIR_COUNT_MAX, Ask, KrakenOrders
from gambit.sim.kraken_signing import KrakenKeys
from gambit.sim.kraken_words import (
    DIGITS,
    Denied,
    denial,
    ended_words,
    full_words,
    head_words,
    ref_id,
    status_of,
    text_of,
    times,
    trade_words,
)
from gambit.sim.matching import Order, State
from gambit.sim.spelling import rfc3339

Words = dict[str, Any]
ACTIONS = {
    "add_order": "place", "batch_add": "place", "cancel_order": "cancel", "batch_cancel": "cancel",
    "cancel_all": "cancel", "amend_order": "amend",
}  # fmt: skip
OUTAGES: dict[Outage, str] = {
    "limit": "EAPI:Rate limit exceeded",
    "ban": "EGeneral:Temporary lockout",
    "maintenance": "EService:Unavailable",
    "internal": "EGeneral:Internal error",
}
BATCH_ADD, BATCH_CANCEL = (2, 15), (2, 50)
TRADES_FIRST = 50


class Subscription:
    """One private channel of one connection."""

    def __init__(self, channel: str, params: Words, account: Account) -> None:
        self.channel = channel
        self.account = account  # whose token it was joined with; others may be used on the connection
        self.token = str(params["token"])
        self.sequence = 0
        self.snap_orders = params.get("snap_orders", True) is not False
        self.snap_trades = params.get("snap_trades", False) is True
        self.all_statuses = params.get("order_status", True) is not False
        self.snapshot = params.get("snapshot", True) is not False

    def text(self, kind: str, data: list[Words]) -> str:
        """The next message."""
        self.sequence += 1
        return text_of({"channel": self.channel, "type": kind, "data": data, "sequence": self.sequence})


class KrakenSession(Session):
    """A connection to one of the two endpoints."""

    __slots__ = ("beat_ns", "heard_ns", "private", "sent", "sent_before", "tokens")
    moments = ("opened_ns", "heard_ns", "beat_ns")

    def __init__(self, request: Request, now_ns: int) -> None:
        super().__init__(request, now_ns)
        self.heard_ns = self.beat_ns = now_ns
        self.sent = self.sent_before = 0
        self.private: dict[str, Subscription] = {}
        self.tokens: set[str] = set()  # that were used here

    def send(self, frame: Any) -> None:
        """Send, and count what is sent."""
        self.sent += 1
        super().send(frame)


class KrakenPrivate:
    """The private side of one exchange."""

    def __init__(self, exchange: Exchange, keys: KrakenKeys, orders: KrakenOrders, symbols: dict[str, str]) -> None:
        """`symbols` by the WebSocket's spelling."""
        self._exchange = exchange
        self._desk = exchange.desk
        self._keys = keys
        self._orders = orders
        self._symbols = symbols
        self._known: set[int] = set()  # orders of which something was said
        self._ledger_ids = 0
        self._methods: dict[str, Callable[[Account, Words], list[Words]]] = {
            "add_order": self._add,
            "cancel_order": self._cancel,
            "cancel_all": lambda account, _params: [_good({"count": self._orders.cancel_all(account)})],
            "cancel_all_orders_after": self._cancel_all_after,
            "batch_add": self._batch_add,
            "batch_cancel": self._batch_cancel,
            "amend_order": self._amend,
        }

    def knows(self, method: str) -> bool:
        """Whether there is such an order method."""
        return method in self._methods

    def call(self, session: KrakenSession, method: str, params: Words) -> list[Words]:
        """Do what a method says; its answers: result and success, or error and success."""
        trouble = self._exchange.trouble("WS", session.path, ACTIONS.get(method, ""))
        try:
            if trouble is not None:
                raise Denied(OUTAGES[trouble[0]])
            return self._methods[method](self._caller(session, params), params)
        except Denied as denied:
            return [_bad(str(denied))]

    def subscribe(self, session: KrakenSession, params: Words) -> Words:
        """Join a private channel; what the answer says; raises Denied. first() gives what comes after it."""
        account = self._caller(session, params)
        channel = params["channel"]
        if channel in session.private:
            raise Denied("Already subscribed")
        subscription = session.private[channel] = Subscription(channel, params, account)
        if channel == "balances":
            return {"channel": channel, "snapshot": subscription.snapshot}
        words = {"snap_orders": subscription.snap_orders, "snap_trades": subscription.snap_trades}
        words |= {"snapshot": subscription.snap_orders, "order_status": subscription.all_statuses}
        return {"channel": channel, "maxratecount": PAIR_COUNT_MAX} | words

    def unsubscribe(self, session: KrakenSession, params: Words) -> Words:
        """Part from a private channel; raises Denied."""
        self._caller(session, params)
        if session.private.pop(params["channel"], None) is None:
            raise Denied("Subscription Not Found")
        return {"channel": params["channel"]}

    def first(self, session: KrakenSession, channel: str) -> list[str]:
        """The snapshots of a new subscription."""
        subscription = session.private[channel]
        account = subscription.account
        now_ns = self._exchange.clock_ns
        if channel == "balances":
            return [subscription.text("snapshot", self._balances(account))] if subscription.snapshot else []
        texts = []
        if subscription.snap_trades:
            fills = self._desk.fills_of(account)[-TRADES_FIRST:]
            rows = [trade_words(self._desk, self._desk.ledger.orders[fill.order_id], fill) for fill in fills]
            texts.append(subscription.text("snapshot", rows))
        if subscription.snap_orders:
            orders = self._desk.orders_of(account, only_open=True)
            rows = [full_words(self._desk, order, "new", status_of(order), now_ns) for order in orders]
            texts.append(subscription.text("snapshot", rows))
        return texts

    def report(self, report: Report, sessions: list[KrakenSession]) -> None:
        """The executions and balances channels."""
        account = self._exchange.accounts[report.order.account]
        rows = self._rows(report)
        self._known.add(report.order.order_id)
        for session in sessions:
            theirs = {name: one for name, one in session.private.items() if one.account is account}
            executions, balances = theirs.get("executions"), theirs.get("balances")
            for row in rows if executions else ():
                if executions and (executions.all_statuses or row["exec_type"] not in ("pending_new", "amended")):
                    self._exchange.push(session, executions.text("update", [row]), report)
            if balances and report.fill is not None:
                self._exchange.push(session, balances.text("update", self._moves(account, report)), report)

    def expire(self, session: KrakenSession) -> None:
        """The session's tokens are good no more, and its private channels fall silent."""
        for token in session.tokens:
            self._keys.forget_token(token)
        session.tokens.clear()
        session.private.clear()
        session.logout()

    # --- inside

    def _caller(self, session: KrakenSession, params: Words) -> Account:
        token = str(params.get("token", ""))
        in_use = any(subscription.token == token for subscription in session.private.values())
        account = self._keys.owner(token, in_use=in_use)
        session.login(account)
        session.tokens.add(token)
        return account

    def _rows(self, report: Report) -> list[Words]:
        """What happened, one row for each step."""
        desk, order, ts_ns = self._desk, report.order, report.ts_ns
        rows = []
        if order.order_id not in self._known:
            rows.append(full_words(desk, order, "pending_new", "pending_new", ts_ns))
        if report.kind == "new":
            rows.append(head_words(order, "new", "new", ts_ns))
        elif report.kind == "trade" and report.fill is not None:
            rows.append(trade_words(desk, order, report.fill))
            if order.state is State.FILLED:
                filled = full_words(desk, order, "filled", "filled", ts_ns)
                kept = ("cum_qty", "cum_cost", "avg_price", "fee_usd_equiv")
                rows.append(head_words(order, "filled", "filled", ts_ns) | {name: filled[name] for name in kept})
        elif report.kind == "amended":
            rows.append(full_words(desk, order, "amended", status_of(order), ts_ns))
        elif report.kind != "bust":
            rows.append(ended_words(desk, order, ts_ns))
        return rows

    def _balances(self, account: Account) -> list[Words]:
        rows = []
        for asset, balance in sorted(account.balances.items()):
            whole = Decimal(money_text(balance.free + balance.locked, DIGITS))
            wallet = {"type": "spot", "id": "main", "balance": whole}
            rows.append({"asset": asset, "asset_class": "currency", "balance": whole, "wallets": [wallet]})
        return rows

    def _moves(self, account: Account, report: Report) -> list[Words]:
        """The balances that a fill has moved."""
        fill, rows = report.fill, []
        if fill is None:
            return []
        for asset in report.assets:
            self._ledger_ids += 1
            balance = account.balance(asset)
            row: Words = {"ledger_id": ref_id("L", self._ledger_ids), "ref_id": ref_id("T", fill.exec_id)}
            row |= {"timestamp": rfc3339(report.ts_ns, 6), "type": "trade", "asset": asset, "asset_class": "currency"}
            row["fee"] = Decimal(money_text(fill.fee if asset == fill.fee_asset else 0, DIGITS))
            row["balance"] = Decimal(money_text(balance.free + balance.locked, DIGITS))
            rows.append(row | {"wallet_type": "spot", "wallet_id": "main"})
        return rows

    def _add(self, account: Account, params: Words) -> list[Words]:
        order = self._orders.add(account, self._ask(params, str(params.get("symbol", ""))))
        return [_good({} if order is None else _ids(order))]

    def _batch_add(self, account: Account, params: Words) -> list[Words]:
        """All of the orders, or none where one is malformed; one that is refused has its error in its place."""
        rows = _rows(params, "orders")
        if not BATCH_ADD[0] <= len(rows) <= BATCH_ADD[1] or not all(isinstance(row, dict) for row in rows):
            raise Denied("EGeneral:Invalid arguments:orders")
        results: list[Words] = []
        for ask in [self._ask(row, str(params.get("symbol", ""))) for row in rows]:
            try:
                order = self._orders.add(account, ask)
                results.append({} if order is None else _ids(order))
            except Denied as denied:
                results.append({"error": str(denied)})
        return [{"result": results, "success": all("error" not in row for row in results)}]

    def _cancel(self, account: Account, params: Words) -> list[Words]:
        answers = []
        for name in ("order_id", "cl_ord_id", "order_userref"):
            for wanted in _rows(params, name):
                try:
                    for reference, client_id in self._named(account, name, str(wanted)):
                        self._orders.cancel(account, reference=reference, client_id=client_id)
                    answers.append(_good({name: wanted}))
                except Denied as denied:
                    answers.append(_bad(str(denied)) | {name: wanted})
        if not answers:
            raise Denied("EGeneral:Invalid arguments:order_id")
        return answers

    def _batch_cancel(self, account: Account, params: Words) -> list[Words]:
        wanted = [("order_id", str(name)) for name in _rows(params, "orders")]
        wanted += [("cl_ord_id", str(name)) for name in _rows(params, "cl_ord_id")]
        if not BATCH_CANCEL[0] <= len(wanted) <= BATCH_CANCEL[1]:
            raise Denied("EGeneral:Invalid arguments:orders")
        open_orders = self._desk.orders_of(account, only_open=True)
        by_name = {("order_id", ref_id("O", order.order_id)): order for order in open_orders}
        by_name |= {("cl_ord_id", order.client_id): order for order in open_orders if order.client_id}
        found = [by_name[name] for name in wanted if name in by_name]
        for order in found:
            self._orders.cancel(account, reference=ref_id("O", order.order_id))
        return [{"orders_cancelled": len(found)} | _good({"count": len(found)})]

    def _named(self, account: Account, name: str, wanted: str) -> list[tuple[str, str]]:
        """Orders as (order_id, cl_ord_id); raises Denied for a userref that no open order has."""
        if name == "order_id":
            return [(wanted, "")]
        if name == "cl_ord_id":
            return [("", wanted)]
        orders = self._desk.orders_of(account, only_open=True)
        found = [(ref_id("O", order.order_id), "") for order in orders if order.words.get("userref") == wanted]
        if not found:
            raise Denied("EOrder:Unknown order")
        return found

    def _cancel_all_after(self, account: Account, params: Words) -> list[Words]:
        return [_good(self._orders.cancel_all_after(account, str(params.get("timeout"))))]

    def _amend(self, account: Account, params: Words) -> list[Words]:
        reference, client_id = str(params.get("order_id", "")), str(params.get("cl_ord_id", ""))
        try:
            order = self._orders.find(account, reference, client_id)
        except Refusal as refusal:
            raise denial(refusal) from refusal
        self._orders.amend(account, order, _number(params, "order_qty"), _number(params, "limit_price"))
        return [_good({"amend_id": ref_id("T", order.order_id)} | _ids(order))]

    def _ask(self, params: Words, spelt: str) -> Ask:
        return Ask(
            self._symbols.get(spelt, ""),
            str(params.get("side", "")),
            str(params.get("order_type", "")),
            _number(params, "order_qty"),
            price=_number(params, "limit_price"),
            tif=str(params.get("time_in_force", "gtc")),
            post_only=params.get("post_only", False) is True,
            cash=_number(params, "cash_order_qty"),
            client_id=str(params.get("cl_ord_id", "")),
            userref=str(params.get("order_userref", "")),
            self_trade=str(params.get("stp_type", "cancel_newest")),
            deadline=str(params.get("deadline", "")),
            is_test=params.get("validate", False) is True,
        )


def answer_words(said: Words, words: Words, now_ns: int) -> Words:
    """An answer around what a method says."""
    req_id = {"req_id": said["req_id"]} if "req_id" in said else {}
    return {"method": said["method"]} | req_id | words | times(now_ns)


def _good(result: Words) -> Words:
    return {"result": result, "success": True}


def _bad(error: str) -> Words:
    return {"error": error, "success": False}


def _ids(order: Order) -> Words:
    words: Words = {"order_id": ref_id("O", order.order_id)}
    if order.client_id:
        words["cl_ord_id"] = order.client_id
    if "userref" in order.words:
        words["order_userref"] = int(order.words["userref"])
    return words


def _rows(params: Words, name: str) -> list[Any]:
    """A list, empty where there is none."""
    rows = params.get(name) or []
    if not isinstance(rows, list):
        raise Denied(f"EGeneral:Invalid arguments:{name}")
    return rows


def _number(params: Words, name: str) -> str:
    """A number as text, "" where there is none; a text in its place is malformed."""
    value = params.get(name)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise Denied(f"EGeneral:Invalid arguments:{name}")
    return str(value)
