"""Bybit's v5 dialect, spot: public topics, private topics, order entry over REST and WebSocket.

Rules: a subscribe request of which one topic is bad does nothing at all; spot takes ten topics per request; errors of
REST come with HTTP 200; the three kinds of connection word pings and logins differently.
"""

# ruff: noqa: ARG002  (a dialect need not use all that the protocol hands it)

from __future__ import annotations

import json
import re
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from gambit.sim.accounts import Account, Credentials, FeeRule, money_text, secret_text
from gambit.sim.amounts import price_text, whole
from gambit.sim.bybit_orders import BybitOrders
from gambit.sim.bybit_signing import BybitKeys, check_time
from gambit.sim.bybit_wire import BybitWire, spell, spot_entry
from gambit.sim.bybit_words import Denied, denial, execution_words, order_words, wallet_words
from gambit.sim.dialect import MILLI_NS, Channel, Close, Outage, Pong, Refusal, Reply, Report, Request, Session, parsed
from gambit.sim.exchange import Exchange
from gambit.sim.market import SECOND_NS, Change, Pace, Top, Trade
from gambit.sim.wire import WireOptions, step_text

PUBLIC, PRIVATE, TRADE = "/v5/public/spot", "/v5/private", "/v5/trade"
DEPTHS = (50, 200, 1000)
TOPICS_PER_REQUEST = 10
ARGS_MAX = 21_000  # characters of topics per connection
IDLE_NS = 600 * SECOND_NS
REPEAT_NS = 3 * SECOND_NS  # of silence, after which orderbook.1 says the same again
REQUESTS_PER_5S = 600
CONNECTS_PER_5M = 500
TICKER_NS = 50 * MILLI_NS
BAN_S = 600
LISTED_MAX = 1000
REQUEST_ID_MAX = 36
PRIVATE_TOPICS = ("order", "order.spot", "execution", "execution.spot", "wallet")
OPERATION = re.compile(r'"op"\s*:\s*"order\.([a-z-]+)"')
OUTAGES: dict[Outage, tuple[int, str]] = {
    "limit": (10006, "Too many visits!"),
    "ban": (10403, "Too many requests of this IP."),
    "maintenance": (10016, "Internal System Error."),
    "internal": (10016, "Internal System Error."),
}
STATUSES = {"TRADING": "Trading", "HALT": "Closed", "CANCEL_ONLY": "Delivering"}


class BybitSession(Session):
    """A connection of one of three kinds, told apart by path."""

    __slots__ = ("args_size", "conn_id", "heard_ns", "idle_ns", "request_ids", "topics")
    moments = ("opened_ns", "heard_ns")

    def __init__(self, request: Request, now_ns: int, conn_id: str) -> None:
        super().__init__(request, now_ns)
        self.conn_id = conn_id
        self.args_size = 0
        self.topics: list[str] = []  # private ones
        self.request_ids: set[str] = set()  # of order entry
        self.heard_ns = now_ns
        wanted = re.search(r"max_active_time=(\d{1,4})s", request.query)
        self.idle_ns = min(max(int(wanted[1]), 30), 600) * SECOND_NS if wanted else IDLE_NS


class Topic(NamedTuple):
    """A public topic, taken apart; `depth` is 0 for what is no book."""

    kind: str
    symbol: str
    depth: int


class BybitExchange:
    """Bybit over one exchange."""

    venue = "bybit"
    pace = Pace(100 * MILLI_NS, 0.1, 1)
    fees = FeeRule()
    has_numeric_codes = True

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._symbols = {spell(symbol): symbol for symbol in exchange.books}
        books = list(exchange.books.values())
        self._wires = {
            depth: BybitWire(self.venue, books, WireOptions(depth=depth), exchange.seed + depth) for depth in DEPTHS
        }
        self._keys = BybitKeys(exchange)
        self._orders = BybitOrders(exchange, self._symbols)
        self._told_ns: dict[str, int] = {}  # when orderbook.1 of a symbol spoke last
        self._tops: dict[str, Channel] = {}
        self._ticker_due_ns: dict[str, int] = {}
        self._connections = self._pushes = 0

    def credentials(self, account: str, seed: int) -> Credentials:
        """An HMAC key."""
        return Credentials(
            secret_text(seed, self.venue, account, "key")[:18], secret_text(seed, self.venue, account)[:36]
        )

    def addresses(self, http: str, ws: str) -> dict[str, str]:
        """The venue's own paths; order entry is at /v5/trade beside the private address."""
        return {"rest": http, "ws": f"{ws}{PUBLIC}", "ws_private": f"{ws}{PRIVATE}"}

    # --- connections

    def open(self, request: Request, now_ns: int) -> Session | Reply:
        """One of the three kinds."""
        if request.path not in (PUBLIC, PRIVATE, TRADE):
            return Reply("404 page not found", 404, content_type="text/plain")
        connects = self._exchange.spend("connects 5m", "", 1, CONNECTS_PER_5M, 300_000)
        if connects > CONNECTS_PER_5M:
            return Reply("access too frequent", 403, content_type="text/html")
        self._connections += 1
        conn_id = f"{secret_text(self._exchange.seed, self.venue, str(self._connections))[:20]}-{self._connections:x}"
        return BybitSession(request, now_ns, conn_id)

    def receive(self, session: Session, frame: str | bytes | Pong, now_ns: int) -> None:
        """A request; control pongs mean nothing here."""
        assert isinstance(session, BybitSession)  # noqa: S101  (open() makes no other)
        if isinstance(frame, Pong):
            return
        session.heard_ns = now_ns
        said = _object(frame)
        op = said.get("op") if said is not None else None
        if said is None or not isinstance(op, str):
            self._say(session, {}, success=False, ret_msg="error:request invalid", op="")
        elif op == "ping":
            self._pong(session, said, now_ns)
        elif op in ("subscribe", "unsubscribe") and session.path == PUBLIC:
            self._subscribe(session, said, joins=op == "subscribe")
        elif op == "auth" and session.path != PUBLIC:
            self._login(session, said, now_ns)
        elif op in ("subscribe", "unsubscribe") and session.path == PRIVATE:
            self._listen(session, said, joins=op == "subscribe")
        elif op.startswith("order.") and session.path == TRADE:
            self._operate(session, said, op, now_ns)
        else:
            self._say(session, said, success=False, ret_msg="error:invalid op", op=op)

    def beat(self, now_ns: int) -> None:
        """Quiet touches are said again; connections that say nothing end."""
        real_ns = self._exchange.now_ns
        for symbol, channel in self._tops.items():
            if channel.subscribers and real_ns - self._told_ns.get(symbol, real_ns) >= REPEAT_NS:
                self._exchange.publish(channel, self._touch(symbol, now_ns))
        for session in self._sessions():
            if now_ns - session.heard_ns > session.idle_ns:
                session.send(Close(1000, ""))

    def seal(self, session: Session, channel: Channel, text: str) -> str:
        """Nothing is added."""
        return text

    def _sessions(self) -> list[BybitSession]:
        return [session for session in self._exchange.sessions.values() if isinstance(session, BybitSession)]

    def _pong(self, session: BybitSession, said: dict[str, Any], now_ns: int) -> None:
        now_ms = str(now_ns // MILLI_NS)
        if session.path == PUBLIC:
            self._say(session, said, success=True, ret_msg="pong", op="ping")
        elif session.path == PRIVATE:
            session.send(_text(_req_id(said) | {"op": "pong", "args": [now_ms], "conn_id": session.conn_id}))
        else:
            pong = {"retCode": 0, "retMsg": "OK", "op": "pong", "data": [now_ms], "connId": session.conn_id}
            session.send(_text(pong))

    @staticmethod
    def _say(session: BybitSession, said: dict[str, Any], *, success: bool, ret_msg: str, op: str) -> None:
        head = {"success": success, "ret_msg": ret_msg, "conn_id": session.conn_id}
        session.send(_text(head | _req_id(said) | {"op": op}))

    # --- public topics

    def _subscribe(self, session: BybitSession, said: dict[str, Any], *, joins: bool) -> None:
        op = "subscribe" if joins else "unsubscribe"
        args = said.get("args")
        names = [str(name) for name in args] if isinstance(args, list) else []
        wrong = self._wrong(session, names, joins=joins)
        if wrong:
            self._say(session, said, success=False, ret_msg=wrong, op=op)
            return
        self._say(session, said, success=True, ret_msg=op if joins else "", op=op)
        for name in names:
            if joins:
                self._join(session, name)
            elif self._exchange.unsubscribe(session, name):
                session.args_size -= len(name)

    def _wrong(self, session: BybitSession, names: list[str], *, joins: bool) -> str:
        """Why the request as a whole does nothing; "" for a good one."""
        if not names:
            return "error:args is empty"
        if len(names) > TOPICS_PER_REQUEST:
            return f"error:args size >{TOPICS_PER_REQUEST}"
        for name in names:
            if self._topic(name) is None:
                return f"error:handler not found,topic:{name}"
            if joins and name in session.channels:
                return f"error:already subscribed,topic:{name}"
        if joins and session.args_size + sum(map(len, names)) > ARGS_MAX:
            return f"error:args length over {ARGS_MAX}"
        return ""

    def _join(self, session: BybitSession, name: str) -> None:
        topic = self._topic(name)
        if topic is not None and self._exchange.subscribe(
            session, name, topic.symbol, partial(self._channel, name, topic)
        ):
            session.args_size += len(name)

    def _topic(self, name: str) -> Topic | None:
        kind, _dot, rest = name.partition(".")
        depth = 0
        if kind == "orderbook":
            text, _dot, rest = rest.partition(".")
            if text not in ("1", *map(str, DEPTHS)):
                return None
            depth = int(text)
        elif kind not in ("publicTrade", "tickers"):
            return None
        symbol = self._symbols.get(rest)
        return None if symbol is None else Topic(kind, symbol, depth)

    def _channel(self, name: str, topic: Topic) -> Channel:
        symbol, wire = topic.symbol, self._wires.get(topic.depth, self._wires[DEPTHS[0]])
        if topic.kind == "tickers":
            return Channel(name, symbol, Trade, self._ticker, partial(self._first_ticker, symbol))
        if topic.kind == "publicTrade":
            return Channel(name, symbol, Trade, wire.trade)
        if topic.depth == 1:
            channel = Channel(name, symbol, Top, self._top, partial(self._touch, symbol))
            self._tops[symbol] = channel
            return channel
        return Channel(name, symbol, Change, wire.change, partial(wire.opening, symbol))

    def _ticker(self, event: Trade) -> list[str]:
        """The last price; spot tickers have no best bid and ask. At most one in 50 ms."""
        real_ns = self._exchange.now_ns
        if real_ns < self._ticker_due_ns.get(event.symbol, 0):
            return []
        self._ticker_due_ns[event.symbol] = real_ns + TICKER_NS
        item = self._exchange.books[event.symbol].instrument
        return [self._ticker_text(event.symbol, price_text(item, event.price_ticks), event.ts_ns)]

    def _first_ticker(self, symbol: str, ts_ns: int) -> list[str]:
        book = self._exchange.books[symbol]
        best = book.bids.best() or book.asks.best() or (0, 0)
        return [self._ticker_text(symbol, price_text(book.instrument, best[0]), ts_ns)]

    @staticmethod
    def _ticker_text(symbol: str, last: str, ts_ns: int) -> str:
        spelt = spell(symbol)
        day = {"highPrice24h": last, "lowPrice24h": last, "prevPrice24h": last}
        sums = {"volume24h": "1825.412274", "turnover24h": "116826385.5", "price24hPcnt": "0", "usdIndexPrice": last}
        words = {"topic": f"tickers.{spelt}", "ts": ts_ns // MILLI_NS, "type": "snapshot", "cs": ts_ns // MILLI_NS}
        return _text(words | {"data": {"symbol": spelt, "lastPrice": last} | day | sums})

    def _top(self, event: Top) -> list[str]:
        self._told_ns[event.symbol] = self._exchange.now_ns
        return self._wires[DEPTHS[0]].top(event)

    def _touch(self, symbol: str, ts_ns: int) -> list[str]:
        return self._top(self._exchange.books[symbol].top(ts_ns))

    # --- REST

    def action(self, request: Request | str | bytes) -> str:
        """By path, or by op."""
        if isinstance(request, Request):
            if request.method == "GET":
                return "query" if self._orders.get(request.path) is not None else ""
            return _action(request.path.removeprefix("/v5/order/")) if request.path.startswith("/v5/order/") else ""
        text = request if isinstance(request, str) else request.decode(errors="replace")
        found = OPERATION.search(text)
        return _action(found[1]) if found else ""

    def http(self, request: Request, now_ns: int) -> Reply:
        """A REST request."""
        used = self._exchange.spend("IP 5s", "", 1, REQUESTS_PER_5S, 5000)
        if used > REQUESTS_PER_5S:
            self._exchange.block("ban", BAN_S)
            return self.outage("ban", BAN_S, now_ns)
        if request.method == "GET" and request.body:
            return Reply("Forbidden", 403, content_type="text/html")
        headers: dict[str, str] = {}
        try:
            result, extra = self._answer(request, headers, now_ns)
        except Denied as denied:
            return Reply(self._envelope(denied.code, denied.message, "{}", now_ns), denied.status, headers)
        return Reply(self._envelope(0, "OK", result, now_ns, extra), 200, headers)

    def _answer(self, request: Request, headers: dict[str, str], now_ns: int) -> tuple[str, Any]:
        """Result as text and retExtInfo; `headers` are filled in; raises Denied."""
        params = dict(parse_qsl(request.query, keep_blank_values=True))
        name = request.path.removeprefix("/v5/order/")
        if request.method == "GET":
            query = self._orders.get(request.path)
            if query is None:
                return self._market(request.path, params, now_ns), {}
            account = self._keys.check(request, now_ns)
            self._charge(name, account, headers)
            try:
                return _text(query(account, params)), {}
            except Refusal as refusal:
                raise denial(refusal) from refusal
        if request.method != "POST" or name == request.path or not self._orders.knows(name):
            raise Denied(10404, "Not Found", 404)
        account = self._keys.check(request, now_ns)
        said = _object(request.body)
        if said is None:
            raise Denied(10001, "params error: body is no JSON object")
        rows = said.get("request")
        self._charge(name, account, headers, len(rows) if isinstance(rows, list) else 1)
        result, extra = self._orders.operate(name, account, said)
        return _text(result), extra

    def _charge(self, name: str, account: Account, headers: dict[str, str], count: int = 1) -> None:
        spent = self._orders.charge(name, account, count)
        headers |= spent.headers()
        if spent.used > spent.limit:
            raise Denied(10006, "Too many visits!")

    def outage(self, kind: Outage, seconds: int, now_ns: int) -> Reply:
        """10006 with the time it ends, 403 without JSON, 503, 10016."""
        if kind == "ban":
            return Reply("access too frequent", 403, content_type="text/html")
        if kind == "limit":
            until_ms = now_ns // MILLI_NS + seconds * 1000
            headers = {"X-Bapi-Limit": "0", "X-Bapi-Limit-Status": "0", "X-Bapi-Limit-Reset-Timestamp": str(until_ms)}
            return Reply(self._envelope(*OUTAGES[kind], "{}", now_ns), 200, headers)
        text = self._envelope(*OUTAGES[kind], "{}", now_ns)
        return Reply(text, 503 if kind == "maintenance" else 200)

    @staticmethod
    def _envelope(code: int, message: str, result: str, now_ns: int, extra: Any = None) -> str:
        tail = f'"retExtInfo":{_text(extra or {})},"time":{now_ns // MILLI_NS}'
        return f'{{"retCode":{code},"retMsg":{_text(message)},"result":{result},{tail}}}'

    def _market(self, path: str, params: dict[str, str], now_ns: int) -> str:
        """The result of a public endpoint; raises Denied."""
        if path == "/v5/market/time":
            return _text({"timeSecond": str(now_ns // SECOND_NS), "timeNano": str(now_ns)})
        answers = {
            "/v5/market/instruments-info": self._instruments,
            "/v5/market/orderbook": self._book,
            "/v5/market/tickers": self._tickers,
        }
        if path not in answers:
            raise Denied(10404, "Not Found", 404)
        if params.get("category") != "spot":
            raise Denied(10001, "params error: Category is invalid")
        if "symbol" in params and params["symbol"] not in self._symbols:
            raise Denied(10001, "Not supported symbols")
        return answers[path](params, now_ns)

    def _wanted(self, params: dict[str, str]) -> list[str]:
        return [self._symbols[params["symbol"]]] if "symbol" in params else list(self._exchange.books)

    def _instruments(self, params: dict[str, str], _now_ns: int) -> str:
        rows = []
        for symbol in self._wanted(params):
            rules = self._exchange.desk.rules[symbol]
            item = rules.listed()
            most = step_text(rules.max_lots * rules.instrument.lot, item.lot_decimals)
            status = STATUSES[rules.status]
            if params.get("status", status) == status:
                rows.append(spot_entry(item, status, money_text(rules.min_cost), most))
        return f'{{"category":"spot","list":[{",".join(rows)}]}}'

    def _book(self, params: dict[str, str], now_ns: int) -> str:
        limit = whole(params.get("limit", "1"))
        if "symbol" not in params or not 1 <= limit <= LISTED_MAX:
            raise Denied(10001, "params error")
        symbol = self._symbols[params["symbol"]]
        self._exchange.flush(symbol)
        bids, asks = self._wires[1000].sides_text(symbol, limit)
        book, ms = self._exchange.books[symbol], now_ns // MILLI_NS
        ids = f'"ts":{ms},"u":{book.update_id},"seq":{book.update_id},"cts":{ms}'
        return f'{{"s":"{spell(symbol)}","b":{bids},"a":{asks},{ids}}}'

    def _tickers(self, params: dict[str, str], _now_ns: int) -> str:
        rows = []
        for symbol in self._wanted(params):
            item, book = self._exchange.books[symbol].instrument, self._exchange.books[symbol]
            row = {"symbol": spell(symbol)}
            for name, side in (("bid1", book.bids), ("ask1", book.asks)):
                ticks, lots = side.best() or (0, 0)
                row[f"{name}Price"] = step_text(ticks * item.tick, item.price_decimals)
                row[f"{name}Size"] = step_text(lots * item.lot, item.lot_decimals)
            last = row["bid1Price"]
            rows.append(row | {"lastPrice": last, "prevPrice24h": last, "highPrice24h": last, "lowPrice24h": last})
        return _text({"category": "spot", "list": rows})

    # --- private

    def strip_id(self, text: str) -> str:
        """Executions without execId."""
        said = json.loads(text)
        for row in said.get("data", []):
            row.pop("execId", None)
        return _text(said)

    def report(self, report: Report) -> None:
        """The execution, order and wallet topics."""
        exchange, order = self._exchange, report.order
        account = exchange.accounts[order.account]
        said: list[tuple[str, Any]] = []
        if report.fill is not None and report.kind == "trade":
            said.append(("execution", execution_words(exchange.desk, report.fill)))
        if report.kind != "bust":
            said.append(("order", order_words(exchange.desk, order)))
        said.append(("wallet", wallet_words(account, list(report.assets))))
        for session in self._sessions():
            if session.account is not account:
                continue
            for kind, words in said:
                for topic in session.topics:
                    if topic.partition(".")[0] == kind:
                        exchange.push(session, self._pushed(topic, words, report), report)

    def _pushed(self, topic: str, words: Any, report: Report) -> str:
        self._pushes += 1
        head = {"id": f"{report.order.order_id}-{self._pushes}", "topic": topic}
        return _text(head | {"creationTime": report.ts_ns // MILLI_NS, "data": [words]})

    def expire(self, session: Session) -> None:
        """The login is forgotten silently."""
        session.logout()

    def _login(self, session: BybitSession, said: dict[str, Any], now_ns: int) -> None:
        args = said.get("args")
        code, message = 0, ""
        try:
            session.login(self._keys.check_login(args if isinstance(args, list) else [], now_ns))
        except Denied as denied:
            code, message = denied.code, denied.message
        if session.path == TRADE:
            words = {"retCode": code, "retMsg": message or "OK", "op": "auth", "connId": session.conn_id}
            session.send(_text(words))
        else:
            self._say(session, said, success=not code, ret_msg=message, op="auth")

    def _listen(self, session: BybitSession, said: dict[str, Any], *, joins: bool) -> None:
        """Private topics; all-in-one and categorised ones do not go into one request."""
        op = "subscribe" if joins else "unsubscribe"
        args = said.get("args")
        names = [str(name) for name in args] if isinstance(args, list) else []
        wrong = next((f"error:handler not found,topic:{name}" for name in names if name not in PRIVATE_TOPICS), "")
        if session.account is None:
            wrong = "error:Request not authorized"
        elif {"order", "execution"} & set(names) and {"order.spot", "execution.spot"} & set(names):
            wrong = "error:all-in-one and categorised topics in one request"
        if not wrong:
            kept = [name for name in session.topics if name not in names]
            session.topics = kept + names if joins else kept
        self._say(session, said, success=not wrong, ret_msg=wrong, op=op)

    def _operate(self, session: BybitSession, said: dict[str, Any], op: str, now_ns: int) -> None:
        """Order entry: one answer, when all that it pushes is on its way."""
        answer: dict[str, Any] = {"reqId": said["reqId"]} if "reqId" in said else {}
        header: dict[str, str] = {}
        code, message = 0, "OK"
        data: Any = {}
        extra: dict[str, Any] = {}
        try:
            data, extra = self._operated(session, said, op.removeprefix("order."), header, now_ns)
        except Denied as denied:
            code, message = denied.code, denied.message
        header |= {"Traceid": f"{now_ns:032x}", "Timenow": str(now_ns // MILLI_NS)}
        answer |= {"retCode": code, "retMsg": message, "op": op, "data": data, "retExtInfo": extra}
        session.send(_text(answer | {"header": header, "connId": session.conn_id}))

    def _operated(
        self, session: BybitSession, said: dict[str, Any], name: str, header: dict[str, str], now_ns: int
    ) -> tuple[Any, dict[str, Any]]:
        if session.account is None:
            raise Denied(10005, "Permission denied, please check your API key permissions.")
        request_id, args, sent = str(said.get("reqId") or ""), said.get("args"), said.get("header")
        if len(request_id) > REQUEST_ID_MAX or request_id in session.request_ids:
            raise Denied(20006, "reqId is duplicated")
        if not isinstance(args, list) or not isinstance(sent, dict) or not args or not isinstance(args[0], dict):
            raise Denied(10001, "params error: args or header invalid")
        if not self._orders.knows(name) or name == "cancel-all":
            raise Denied(10404, "op is not found")
        trouble = self._exchange.trouble("WS", session.path, _action(name))
        if trouble is not None:
            raise Denied(*OUTAGES[trouble[0]])
        check_time(str(sent.get("X-BAPI-TIMESTAMP", "")), str(sent.get("X-BAPI-RECV-WINDOW", "")), now_ns)
        if request_id:
            session.request_ids.add(request_id)
        rows = args[0].get("request")
        self._charge(name, session.account, header, len(rows) if isinstance(rows, list) else 1)
        return self._orders.operate(name, session.account, args[0])


def _action(name: str) -> str:
    kind = name.removesuffix("-batch").removesuffix("-all")
    return {"create": "place", "cancel": "cancel", "amend": "amend"}.get(kind, "")


def _object(frame: str | bytes) -> dict[str, Any] | None:
    try:
        said = parsed(frame)
    except ValueError:
        return None
    return said if isinstance(said, dict) else None


def _req_id(said: dict[str, Any]) -> dict[str, Any]:
    return {"req_id": said["req_id"]} if "req_id" in said else {}


def _text(content: Any) -> str:
    return json.dumps(content, separators=(",", ":"))
