"""Coinbase Advanced Trade's dialect: market data and user channel over one kind of connection, orders over REST only.

Rules: sequence_num counts everything a connection is sent; a subscribe names one channel, and its answer lists all
subscriptions; who subscribes to nothing in 5 s is dropped, and who hears nothing for 75 s too.
"""

# ruff: noqa: ARG002  (a dialect need not use all that the protocol hands it)

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from gambit.sim.accounts import Account, Credentials, FeeRule, money_text
from gambit.sim.amounts import whole
from gambit.sim.coinbase_orders import CoinbaseOrders
from gambit.sim.coinbase_signing import CoinbaseKeys, key_pair
from gambit.sim.coinbase_wire import SEQUENCE, SharedCoinbaseWire, product_entry
from gambit.sim.coinbase_words import CANCEL_QUEUED, Denied, failure, status_of, text_of, user_uuid, user_words
from gambit.sim.dialect import MILLI_NS, Channel, Close, Frame, Outage, Pong, Reply, Report, Request, Session, parsed
from gambit.sim.exchange import Exchange
from gambit.sim.market import SECOND_NS, Change, Pace, Top, Trade
from gambit.sim.spelling import go_time, rfc3339
from gambit.sim.tape import Tape
from gambit.sim.wire import WireOptions, step_text

ROOT = "/api/v3/brokerage"
FIRST_SUBSCRIBE_NS = 5 * SECOND_NS
QUIET_NS = 75 * SECOND_NS
BATCH_NS = 250 * MILLI_NS  # of market_trades
CONNECTS_PER_S = MESSAGES_PER_S = 8
PUBLIC_PER_S, PRIVATE_PER_S = 10, 30
SNAPSHOT_ORDERS = 50
CHANNELS = ("level2", "ticker", "market_trades", "heartbeats")
TRADES_FIRST = 50
STATUS_FLAGS: dict[str, tuple[str, ...]] = {
    "TRADING": (),
    "HALT": ("is_disabled", "trading_disabled"),
    "CANCEL_ONLY": ("cancel_only",),
}


class CoinbaseSession(Session):
    """A connection with its own count of messages."""

    __slots__ = (
        "has_subscribed", "heard", "products", "quiet_since_ns", "sent", "sent_before", "sequence", "subscriptions",
    )  # fmt: skip
    moments = ("opened_ns", "quiet_since_ns")

    def __init__(self, request: Request, now_ns: int) -> None:
        super().__init__(request, now_ns)
        self.sequence = 0
        self.sent = self.sent_before = 0
        self.quiet_since_ns = now_ns
        self.heard: tuple[int, int] = (0, 0)  # second, messages in it
        self.has_subscribed = False
        self.subscriptions: dict[str, list[str]] = {}
        self.products: list[str] = []  # of the user channel, all without one

    def send(self, frame: Frame) -> None:
        """Send, and count what is sent."""
        self.sent += 1
        super().send(frame)

    def numbered(self, text: str) -> str:
        """A text with this connection's next number."""
        self.sequence += 1
        return text.replace(SEQUENCE, str(self.sequence - 1), 1)


class CoinbaseExchange:
    """Coinbase over one exchange."""

    venue = "coinbase"
    pace = Pace(100 * MILLI_NS, 0.9, 1)
    fees = FeeRule(currency="quote")
    has_numeric_codes = False

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._wire = SharedCoinbaseWire(self.venue, list(exchange.books.values()), WireOptions(), exchange.seed)
        self._tape = Tape(exchange)
        self._keys = CoinbaseKeys(exchange)
        self._orders = CoinbaseOrders(exchange)
        self._trades: dict[str, list[Trade]] = {}  # waiting to be told together
        self._trade_channels: dict[str, Channel] = {}
        self._batch_ns = self._beat_ns = exchange.now_ns
        self._beats = 40_000 + exchange.seed % 10_000

    def credentials(self, account: str, seed: int) -> Credentials:
        """A CDP key: its name and an EC private key in PEM."""
        return key_pair(account, seed)

    def addresses(self, http: str, ws: str) -> dict[str, str]:
        """Market data at the root, the user channel at /user (and at the root as well)."""
        return {"rest": http, "ws": ws, "ws_private": f"{ws}/user"}

    # --- connections

    def open(self, request: Request, now_ns: int) -> Session | Reply:
        """A connection for market data or for the user's own."""
        if request.path not in ("/", "/user"):
            return Reply("Not Found", 404, content_type="text/plain")
        if self._exchange.spend("connects 1s", "", 1, CONNECTS_PER_S, 1000) > CONNECTS_PER_S:
            return Reply(RATE_LIMITED, 429)
        return CoinbaseSession(request, now_ns)

    def receive(self, session: Session, frame: str | bytes | Pong, now_ns: int) -> None:
        """subscribe and unsubscribe."""
        assert isinstance(session, CoinbaseSession)  # noqa: S101  (open() makes no other)
        if isinstance(frame, Pong):
            return
        second, count = session.heard
        count = count + 1 if second == now_ns // SECOND_NS else 1
        session.heard = now_ns // SECOND_NS, count
        if count > MESSAGES_PER_S and session.account is None:
            session.send(_error("rate limit exceeded"))
            return
        try:
            said = parsed(frame)
            kind, channel = said["type"], said["channel"]
            products = [str(name) for name in said.get("product_ids") or []]
        except (ValueError, KeyError, TypeError, AttributeError):
            session.send(_error("failed to parse message"))
            return
        if kind not in ("subscribe", "unsubscribe"):
            session.send(_error(f"unsupported type {kind}"))
        elif channel == "user":
            self._manage_user(session, said, products, joins=kind == "subscribe", now_ns=now_ns)
        elif channel not in CHANNELS or (session.path == "/user" and channel != "heartbeats"):
            session.send(_error(f"channel {channel} is not supported"))
        else:
            self._manage(session, channel, products, joins=kind == "subscribe", now_ns=now_ns)

    def beat(self, now_ns: int) -> None:
        """Heartbeats each second, gathered trades, and the end of idle connections."""
        real_ns = self._exchange.now_ns
        if real_ns - self._batch_ns >= BATCH_NS:
            self._batch_ns = real_ns
            self._tell_trades(now_ns)
        if real_ns - self._beat_ns >= SECOND_NS:
            self._beat_ns += (real_ns - self._beat_ns) // SECOND_NS * SECOND_NS
            self._beats += 1
            self._tell_heartbeats(now_ns)
        for session in self._sessions():
            if session.sent != session.sent_before:
                session.sent_before, session.quiet_since_ns = session.sent, now_ns
            is_idle = not session.has_subscribed and now_ns - session.opened_ns > FIRST_SUBSCRIBE_NS
            if is_idle or now_ns - session.quiet_since_ns > QUIET_NS:
                session.send(Close(1000, ""))

    def seal(self, session: Session, channel: Channel, text: str) -> str:
        """The connection's number goes in."""
        assert isinstance(session, CoinbaseSession)  # noqa: S101  (open() makes no other)
        return session.numbered(text)

    def _sessions(self) -> list[CoinbaseSession]:
        return [session for session in self._exchange.sessions.values() if isinstance(session, CoinbaseSession)]

    # --- channels

    def _manage(self, session: CoinbaseSession, channel: str, products: list[str], *, joins: bool, now_ns: int) -> None:
        unknown = [name for name in products if name not in self._exchange.books]
        if channel == "heartbeats":
            products = ["heartbeats"]
        elif unknown:
            session.send(_error(f"{unknown[0]} is not a valid product"))
            return
        said = session.subscriptions.setdefault(channel, [])
        if joins:
            session.has_subscribed = True
            for name in products or list(self._exchange.books):
                self._join(session, channel, name)
                if name not in said:
                    said.append(name)
        else:
            for name in products or said.copy():
                self._exchange.unsubscribe(session, f"{channel} {name}")
                if name in said:
                    said.remove(name)
        if not said:
            del session.subscriptions[channel]
        self._say(session, "subscriptions", {"subscriptions": session.subscriptions}, now_ns)

    def _join(self, session: CoinbaseSession, channel: str, product: str) -> None:
        symbol = "" if channel == "heartbeats" else product
        name = f"{channel} {product}"
        self._exchange.subscribe(session, name, symbol, partial(self._channel, name, channel, symbol))

    def _channel(self, name: str, channel: str, symbol: str) -> Channel:
        wire = self._wire
        if channel == "level2":
            return Channel(name, symbol, Change, wire.change, partial(wire.opening, symbol))
        if channel == "ticker":
            return Channel(name, symbol, Trade, self._ticker, partial(self._first_ticker, symbol))
        if channel == "heartbeats":
            return Channel(name, symbol, Top, _nothing)
        made = Channel(name, symbol, Trade, self._gather, partial(self._first_trades, symbol))
        self._trade_channels[symbol] = made
        return made

    def _ticker(self, event: Trade) -> list[str]:
        """Its touch is the one at the trade, and gets old until the next."""
        return [self._wire.ticker("update", self._exchange.books[event.symbol].top(event.ts_ns))]

    def _first_ticker(self, symbol: str, ts_ns: int) -> list[str]:
        return [self._wire.ticker("snapshot", self._exchange.books[symbol].top(ts_ns))]

    def _first_trades(self, symbol: str, ts_ns: int) -> list[str]:
        trades = self._tape.last(symbol, TRADES_FIRST)
        return [self._wire.trades("snapshot", trades, ts_ns)] if trades else []

    def _gather(self, event: Trade) -> list[str]:
        self._trades.setdefault(event.symbol, []).append(event)
        return []

    def _tell_trades(self, now_ns: int) -> None:
        for symbol, trades in self._trades.items():
            self._exchange.publish(self._trade_channels[symbol], [self._wire.trades("update", trades, now_ns)])
        self._trades = {}

    def _tell_heartbeats(self, now_ns: int) -> None:
        now = go_time(now_ns, self._beats * SECOND_NS + 260_485_341)
        event = f'{{"current_time":"{now}","heartbeat_counter":{self._beats}}}'
        text = self._wire.frame("heartbeats", event, now_ns)
        for session in self._sessions():
            channel = session.channels.get("heartbeats heartbeats")
            if channel is not None:
                self._exchange.publish(channel, [text])
                return

    def _say(self, session: CoinbaseSession, channel: str, event: Any, now_ns: int) -> None:
        session.send(session.numbered(self._wire.frame(channel, text_of(event), now_ns)))

    # --- REST

    def action(self, request: Request | str | bytes) -> str:
        """By path; nothing of order entry goes over a WebSocket."""
        if not isinstance(request, Request):
            return ""
        path = request.path.removeprefix(f"{ROOT}/")
        if request.method == "POST":
            return {"orders": "place", "orders/batch_cancel": "cancel", "orders/edit": "amend"}.get(path, "")
        return "query" if path.startswith(("orders/", "accounts")) else ""

    def http(self, request: Request, now_ns: int) -> Reply:
        """A REST request."""
        path = request.path.removeprefix(f"{ROOT}/")
        is_public = path == "time" or path.startswith("market/")
        try:
            if path == request.path:
                raise Denied(404, "NOT_FOUND", 5, "not found")
            account = None if is_public else self._keys.check(request)
        except Denied as denied:
            return denied.reply
        budget, limit = ("public 1s", PUBLIC_PER_S) if account is None else ("private 1s", PRIVATE_PER_S)
        used = self._exchange.spend(budget, account.name if account else "", 1, limit, 1000)
        headers = limit_headers(limit, used, self._exchange.seconds_left(1000))
        if used > limit:
            return Reply(RATE_LIMITED, 429, headers)
        try:
            reply = self._answer(request, path, account, now_ns)
        except Denied as denied:
            reply = denied.reply
        return Reply(reply.body, reply.status, headers, reply.content_type)

    def _answer(self, request: Request, path: str, account: Account | None, now_ns: int) -> Reply:
        """What an endpoint says; raises Denied."""
        params = parse_qs(request.query)
        if account is None and request.method != "GET":
            raise Denied(405, "UNIMPLEMENTED", 12, "method not allowed")
        public = self._public(path if account is None else f"market/{path}", params, now_ns)
        if request.method == "GET" and public is not None:
            return public
        if account is None:
            raise Denied(404, "NOT_FOUND", 5, "not found")
        if request.method == "GET":
            return Reply(text_of(self._orders.get(path, account, params)))
        try:
            said = parsed(request.body)
        except ValueError:
            said = None
        if not isinstance(said, dict):
            raise Denied(400, "INVALID_ARGUMENT", 3, "body is no JSON object")
        return Reply(text_of(self._orders.post(path, account, said)))

    def outage(self, kind: Outage, seconds: int, now_ns: int) -> Reply:
        """429 in both cases of too much, 503, 500."""
        if kind in ("limit", "ban"):
            return Reply(RATE_LIMITED, 429, limit_headers(PUBLIC_PER_S, PUBLIC_PER_S, seconds))
        if kind == "maintenance":
            return failure(503, "UNAVAILABLE", 14, "service is under maintenance")
        return failure(500, "INTERNAL", 13, "internal server error")

    def _public(self, path: str, params: dict[str, list[str]], now_ns: int) -> Reply | None:
        """The answer of a public endpoint; None for no such endpoint."""
        if path == "time":
            times = {"epochSeconds": str(now_ns // SECOND_NS), "epochMillis": str(now_ns // MILLI_NS)}
            return Reply(text_of({"iso": rfc3339(now_ns, 3)} | times))
        if path == "market/products":
            return self._products(params)
        if path == "market/product_book":
            return self._for_product(params.get("product_id", [""])[0], partial(self._book, params, now_ns))
        found = re.fullmatch(r"market/products/([^/]+)(/ticker)?", path)
        if found is None:
            return None
        return self._for_product(found[1], partial(self._trades_of, params) if found[2] else self._product)

    def _for_product(self, product: str, answer: Callable[[str], str]) -> Reply:
        if product not in self._exchange.books:
            return failure(404, "NOT_FOUND", 5, "product not found")
        return Reply(answer(product))

    def _products(self, params: dict[str, list[str]]) -> Reply:
        wanted = params.get("product_ids") or list(self._exchange.books)
        if params.get("product_type", ["SPOT"])[0] != "SPOT":
            wanted = []
        entries = [self._product(symbol) for symbol in wanted if symbol in self._exchange.books]
        return Reply(f'{{"products":[{", ".join(entries)}], "num_products":{len(entries)}}}')

    def _product(self, symbol: str) -> str:
        rules, book = self._exchange.desk.rules[symbol], self._exchange.books[symbol]
        item = rules.instrument
        best = book.bids.best()
        return product_entry(
            rules.listed(),
            price=step_text(best[0] * item.tick, item.price_decimals) if best else "",
            flags=STATUS_FLAGS[rules.status],
            quote_min=money_text(rules.min_cost),
            base_max=step_text(rules.max_lots * item.lot, item.lot_decimals),
        )

    def _book(self, params: dict[str, list[str]], now_ns: int, symbol: str) -> str:
        count = whole(params.get("limit", ["0"])[0]) or None
        rows = self._exchange.books[symbol]
        sides = [self._rows(symbol, side.levels()[:count]) for side in (rows.bids, rows.asks)]
        book = {"product_id": symbol, "bids": sides[0], "asks": sides[1], "time": rfc3339(now_ns, 6)}
        return text_of({"pricebook": book, "last": "", "mid_market": "", "spread_bps": "", "spread_absolute": ""})

    def _rows(self, symbol: str, rows: list[tuple[int, int]]) -> list[dict[str, str]]:
        item = self._exchange.books[symbol].instrument
        return [
            {
                "price": step_text(ticks * item.tick, item.price_decimals),
                "size": step_text(lots * item.lot, item.lot_decimals),
            }
            for ticks, lots in rows
        ]

    def _trades_of(self, params: dict[str, list[str]], symbol: str) -> str:
        events = self._tape.last(symbol, whole(params.get("limit", ["0"])[0]) or TRADES_FIRST)
        trades = json.loads(self._wire.trades("update", events, 0).replace(SEQUENCE, "0"))["events"][0]["trades"]
        book = self._exchange.books[symbol]
        bids, asks = self._rows(symbol, book.bids.levels()[:1]), self._rows(symbol, book.asks.levels()[:1])
        best = {name: rows[0]["price"] if rows else "" for name, rows in (("best_bid", bids), ("best_ask", asks))}
        return text_of({"trades": trades} | best)

    # --- private

    def strip_id(self, text: str) -> str:
        """The user channel has no ids of executions to take away."""
        return text

    def report(self, report: Report) -> None:
        """The user channel: sums of the order as it stands, and that a cancel was taken in."""
        exchange, order = self._exchange, report.order
        account = exchange.accounts[order.account]
        statuses = [status_of(order)]
        if report.kind == "canceled" and order.reason == "user":
            statuses.insert(0, CANCEL_QUEUED)
        rows = [user_words(exchange.desk, order, status) for status in statuses]
        for session in self._sessions():
            if session.account is account and (not session.products or order.symbol in session.products):
                for row in rows:
                    exchange.push(session, self._user_text(session, "update", [row], report.ts_ns), report)

    def expire(self, session: Session) -> None:
        """The user channel falls silent."""
        session.logout()

    def _manage_user(
        self, session: CoinbaseSession, said: Any, products: list[str], *, joins: bool, now_ns: int
    ) -> None:
        """Subscribe to or unsubscribe from the user channel, with a token; its open orders come first."""
        try:
            account, _claims = self._keys.owner(str(said.get("jwt", "")))
        except Denied:
            session.send(_error("authentication failure"))
            return
        if joins:
            session.login(account)
            session.has_subscribed = True
            session.products = products
            session.subscriptions["user"] = [user_uuid(account.name)]
            self._say_open_orders(session, account, now_ns)
        else:
            session.logout()
            session.subscriptions.pop("user", None)
        self._say(session, "subscriptions", {"subscriptions": session.subscriptions}, now_ns)

    def _say_open_orders(self, session: CoinbaseSession, account: Account, now_ns: int) -> None:
        desk = self._exchange.desk
        orders = desk.orders_of(account, only_open=True)
        rows = [user_words(desk, o, "OPEN") for o in orders if not session.products or o.symbol in session.products]
        for first in range(0, max(1, len(rows)), SNAPSHOT_ORDERS):
            session.send(self._user_text(session, "snapshot", rows[first : first + SNAPSHOT_ORDERS], now_ns))

    def _user_text(self, session: CoinbaseSession, kind: str, rows: list[Any], now_ns: int) -> str:
        positions: dict[str, list[Any]] = {"perpetual_futures_positions": [], "expiring_futures_positions": []}
        event = {"type": kind, "orders": rows, "positions": positions}
        return session.numbered(self._wire.frame("user", text_of(event), now_ns))


RATE_LIMITED = '{"errors":[{"id":"rate_limit_exceeded","message":"Too many requests"}]}'


def limit_headers(limit: int, used: int, seconds: int) -> dict[str, str]:
    """What is left of a rate budget."""
    left = max(0, limit - used)
    return {"x-ratelimit-limit": str(limit), "x-ratelimit-remaining": str(left), "x-ratelimit-reset": str(seconds)}


def _nothing(_event: Top) -> list[str]:
    return []


def _error(message: str) -> str:
    return text_of({"type": "error", "message": message})
