"""Binance's dialect, spot: stream connections, the WebSocket API, REST with weights; words in binance_words.py.

Rules: an unknown stream is acked and stays silent; stream connections are pinged every 20 s and take five messages a
second; there is no listenKey any more; weights are the address's, order counts the account's.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote

from gambit.sim.accounts import Account, Credentials, FeeRule, base_units, money_text, secret_text
from gambit.sim.amounts import whole
from gambit.sim.binance_orders import BinanceOrders
from gambit.sim.binance_signing import BinanceKeys, SignedPart, query_parameters
from gambit.sim.binance_wire import BinanceWire, spell, spot_entry
from gambit.sim.binance_words import (
    Denied,
    cancel_event,
    denied_text,
    execution_report,
    key_words,
    position_event,
)
from gambit.sim.dialect import MILLI_NS, Channel, Close, Outage, Ping, Pong, Reply, Report, Request, Session, parsed
from gambit.sim.exchange import Exchange
from gambit.sim.market import SECOND_NS, Change, Pace, Row, Top, Trade
from gambit.sim.wire import WireOptions

WEIGHT_PER_MINUTE = 6000
PING_NS = 20 * SECOND_NS
PONG_MAX_NS = 60 * SECOND_NS
MESSAGES_PER_S = 5
STREAMS_MAX = 1024
CONNECTIONS_PER_5M = 300
LIMITED = "Too much request weight used; current limit is 6000 request weight per 1 MINUTE."
BANNED = "Way too much request weight used; IP banned until {}."
WEIGHTS = {"ping": 1, "time": 1, "order": 4, **dict.fromkeys(("exchangeInfo", "account", "allOrders"), 20)}
WEIGHTS["account/commission"] = 20
API_QUERIES = {
    "ping": "ping",
    "time": "time",
    "exchangeInfo": "exchangeInfo",
    "depth": "depth",
    "order.status": "order",
    "openOrders.status": "openOrders",
    "allOrders": "allOrders",
    "myTrades": "myTrades",
    "account.status": "account",
    "account.commission": "account/commission",
}  # the API's calls that weigh what requests of REST do; all others weigh 1
DEPTH_WEIGHTS = ((100, 5), (500, 25), (1000, 50), (5000, 250))


class BinanceSession(Session):
    """A stream connection or one of the WebSocket API."""

    __slots__ = ("has_envelope", "heard", "is_api", "listeners", "pinged_ns", "ponged_ns")
    moments = ("opened_ns", "pinged_ns", "ponged_ns")

    def __init__(self, request: Request, now_ns: int) -> None:
        super().__init__(request, now_ns)
        self.is_api = request.path.startswith("/ws-api")
        self.has_envelope = request.path == "/stream"
        self.pinged_ns = self.ponged_ns = now_ns
        self.heard: tuple[int, int] = (0, 0)  # second, messages in it
        self.listeners: dict[int, Account] = {}  # user data by subscriptionId


class Stream(NamedTuple):
    """A stream's name, taken apart."""

    symbol: str
    kind: str
    every_ns: int


class BinanceExchange:
    """Binance over one exchange."""

    venue = "binance"
    pace = Pace(100 * MILLI_NS, 0.02, 1)
    fees = FeeRule(digits=8)
    has_numeric_codes = True

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        books = list(exchange.books.values())
        self._symbols = {spell(symbol): symbol for symbol in exchange.books}
        self._wire = BinanceWire(self.venue, books, WireOptions(wrapped=False), exchange.seed)
        self._keys = BinanceKeys(exchange)
        self._orders = BinanceOrders(exchange, self._symbols)
        self._subscriptions = 0

    def credentials(self, account: str, seed: int) -> Credentials:
        """An HMAC key; ed25519() has another."""
        return Credentials(secret_text(seed, self.venue, account, "key"), secret_text(seed, self.venue, account))

    def addresses(self, http: str, ws: str) -> dict[str, str]:
        """Streams under /ws and /stream, the WebSocket API beside them."""
        return {"rest": http, "ws": ws, "ws_private": f"{ws}/ws-api/v3"}

    # --- connections

    def open(self, request: Request, now_ns: int) -> Session | Reply:
        """/ws, /ws/<streams>, /stream?streams=, /ws-api/v3."""
        path = unquote(request.path)
        attempts = self._exchange.spend("connections 5m", "", 1, CONNECTIONS_PER_5M, 300_000)
        if attempts > CONNECTIONS_PER_5M:
            return self.outage("limit", self._exchange.seconds_left(300_000), now_ns)
        if path == "/ws-api/v3":
            self._weigh(2)
            return BinanceSession(request, now_ns)
        if path != "/stream" and path != "/ws" and not path.startswith("/ws/"):
            return Reply("Not Found", 404, content_type="text/plain")
        session = BinanceSession(request, now_ns)
        names = path[4:].split("/")
        if session.has_envelope:
            names = parse_qs(request.query).get("streams", [""])[0].split("/")
        for name in names[:STREAMS_MAX]:
            self._join(session, name)
        return session

    def receive(self, session: Session, frame: str | bytes | Pong, now_ns: int) -> None:
        """A request for streams, a call of the API, or a pong."""
        assert isinstance(session, BinanceSession)  # noqa: S101  (open() makes no other)
        if isinstance(frame, Pong):
            session.ponged_ns = now_ns
        if not session.is_api:
            second, count = session.heard
            count = count + 1 if second == now_ns // SECOND_NS else 1
            session.heard = now_ns // SECOND_NS, count
            if count > MESSAGES_PER_S:
                session.send(Close(1008, "Too many requests"))
                return
        if isinstance(frame, Pong):
            return
        if session.is_api:
            self._call(session, frame, now_ns)
        else:
            self._manage(session, frame)

    def beat(self, now_ns: int) -> None:
        """Ping, and part from who does not answer."""
        for session in self._sessions():
            if now_ns - session.ponged_ns > PONG_MAX_NS:
                session.send(Close(1008, "Pong timeout"))
            elif now_ns - session.pinged_ns >= PING_NS:
                session.pinged_ns = now_ns
                session.send(Ping(str(now_ns // MILLI_NS).encode()))

    def seal(self, session: Session, channel: Channel, text: str) -> str:
        """The envelope of combined streams."""
        if isinstance(session, BinanceSession) and session.has_envelope:
            return f'{{"stream":"{channel.name}","data":{text}}}'
        return text

    def _sessions(self) -> list[BinanceSession]:
        return [session for session in self._exchange.sessions.values() if isinstance(session, BinanceSession)]

    def _manage(self, session: BinanceSession, frame: str | bytes) -> None:
        try:
            said = parsed(frame)
        except ValueError as error:
            session.send(_text({"code": 3, "msg": f"Invalid JSON: {error}"}))
            return
        method, params = (said.get("method"), said.get("params", [])) if isinstance(said, dict) else ("", [])
        if not isinstance(params, list):
            session.send(_text({"code": 2, "msg": "Invalid request: params must be an array"}))
            return
        result: Any = None
        if method == "SUBSCRIBE":
            for name in params[: STREAMS_MAX - len(session.channels)]:
                self._join(session, str(name))
        elif method == "UNSUBSCRIBE":
            for name in params:
                self._exchange.unsubscribe(session, str(name))
        elif method == "LIST_SUBSCRIPTIONS":
            result = list(session.channels)
        elif method == "SET_PROPERTY" and params[:1] == ["combined"] and len(params) == 2:
            session.has_envelope = params[1] is True
        elif method == "GET_PROPERTY":
            result = session.has_envelope
        else:
            session.send(_text({"code": 2, "msg": f"Invalid request: unknown variant `{method}`"}))
            return
        session.send(_text({"result": result, "id": said.get("id")}))

    # --- streams

    def _join(self, session: Session, name: str) -> None:
        stream = self._stream(name)
        if stream is not None:
            self._exchange.subscribe(session, name, stream.symbol, partial(self._channel, name, stream))

    def _stream(self, name: str) -> Stream | None:
        spelt, _at, kind = name.partition("@")
        symbol = self._symbols.get(spelt.upper())
        if symbol is None or spelt != spelt.lower():
            return None
        kind, _at, speed = kind.partition("@")
        known = ("depth", "depth5", "depth10", "depth20", "bookTicker", "trade")
        if kind not in known or speed not in ("", "100ms", "1000ms"):
            return None
        return Stream(symbol, kind, 0 if speed == "100ms" else SECOND_NS)

    def _channel(self, name: str, stream: Stream) -> Channel:
        if stream.kind == "trade":
            return Channel(name, stream.symbol, Trade, self._wire.trade)
        if stream.kind == "bookTicker":
            return Channel(name, stream.symbol, Top, self._wire.top)
        if stream.kind != "depth":
            return Channel(name, stream.symbol, Change, _Partial(self._wire, stream).encode)
        if stream.every_ns:
            return Channel(name, stream.symbol, Change, _Slow(self._wire, stream.every_ns).encode)
        return Channel(name, stream.symbol, Change, self._wire.change)

    # --- REST

    def action(self, request: Request | str | bytes) -> str:
        """By path, or by the API's method."""
        if isinstance(request, Request):
            if request.path.startswith("/api/v3/order"):
                return {"POST": "place", "DELETE": "cancel"}.get(request.method, "query")
            if (request.method, request.path) == ("DELETE", "/api/v3/openOrders"):
                return "cancel"
            private = ("/api/v3/openOrders", "/api/v3/myTrades", "/api/v3/account", "/api/v3/allOrders")
            return "query" if request.path.startswith(private) else ""
        text = request if isinstance(request, str) else request.decode(errors="replace")
        marks = ("order.cancel", "cancel"), ("openOrders.cancelAll", "cancel"), ("order.status", "query")
        for mark, action in (("order.place", "place"), ("order.cancelReplace", "place"), *marks):
            if f'"{mark}"' in text:
                return action
        return ""

    def http(self, request: Request, now_ns: int) -> Reply:
        """A REST request."""
        params = query_parameters(request)
        weight = self._weight(request.method, request.path.removeprefix("/api/v3/"), params)
        used = self._weigh(weight)
        if used > WEIGHT_PER_MINUTE:
            self._exchange.block("limit", self._exchange.seconds_left(60_000))
            return self.outage("limit", self._exchange.seconds_left(60_000), now_ns)
        headers = {"X-MBX-USED-WEIGHT": str(used), "X-MBX-USED-WEIGHT-1M": str(used)}
        try:
            body = self._answer(request, params, now_ns)
        except Denied as denied:
            return Reply(denied_text(denied), denied.status, headers | denied.headers)
        if request.method == "POST" and request.path == "/api/v3/order":
            headers |= self._orders.count_headers()
        return Reply(body if isinstance(body, str) else _text(body), 200, headers)

    def outage(self, kind: Outage, seconds: int, now_ns: int) -> Reply:
        """429, 418, 503, 500."""
        denied = self._outage(kind, seconds, now_ns)
        return Reply(denied_text(denied), denied.status, denied.headers)

    @staticmethod
    def _outage(kind: Outage, seconds: int, now_ns: int) -> Denied:
        retry = {"Retry-After": str(seconds)}
        if kind == "limit":
            return Denied(429, -1003, LIMITED, retry)
        if kind == "ban":
            return Denied(418, -1003, BANNED.format(now_ns // MILLI_NS + seconds * 1000), retry)
        if kind == "maintenance":
            return Denied(503, -1016, "This service is no longer available.")
        return Denied(500, -1001, "Internal error; unable to process your request. Please try again.")

    def _weigh(self, weight: int) -> int:
        return self._exchange.spend("REQUEST_WEIGHT 1m", "", weight, WEIGHT_PER_MINUTE, 60_000)

    @staticmethod
    def _weight(method: str, path: str, params: dict[str, str]) -> int:
        if method != "GET":
            return 1
        if path == "depth":
            limit = whole(params.get("limit", ""), 100)
            return next((weight for most, weight in DEPTH_WEIGHTS if limit <= most), 250)
        if path == "openOrders":
            return 6 if "symbol" in params else 80
        if path == "myTrades":
            return 5 if "orderId" in params else 20
        return WEIGHTS.get(path, 2)

    def _answer(self, request: Request, params: dict[str, str], now_ns: int) -> Any:
        path = request.path.removeprefix("/api/v3/")
        if request.method == "GET":
            if path == "ping":
                return {}
            if path == "time":
                return {"serverTime": now_ns // MILLI_NS}
            if path == "exchangeInfo":
                return self._exchange_info(params, now_ns)
            if path == "depth":
                return self._depth(params)
            if path == "ticker/bookTicker":
                return self._book_tickers(params)
        if path == "userDataStream":
            raise Denied(410, -1000, "This endpoint has been retired.")
        if request.path == "/sapi/v1/account/apiRestrictions" and request.method == "GET":
            return key_words(self._keys.check(SignedPart.of(request), params, now_ns))
        if not self._orders.knows(request.method, path):
            raise Denied(404, -1000, f"Path {request.path}, Method {request.method} is invalid")
        account = self._keys.check(SignedPart.of(request), params, now_ns)
        return self._orders.rest(request.method, path, account, params, now_ns)

    def _exchange_info(self, params: dict[str, str], now_ns: int) -> str:
        wanted = list(self._symbols)
        if "symbol" in params:
            wanted = [params["symbol"]]
        elif "symbols" in params:
            wanted = _names(params["symbols"])
        entries = [self._entry(self._symbol(spelt)) for spelt in wanted]
        limits = (
            f'{{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":{WEIGHT_PER_MINUTE}}},'
            '{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":100},'
            '{"rateLimitType":"ORDERS","interval":"DAY","intervalNum":1,"limit":200000},'
            '{"rateLimitType":"RAW_REQUESTS","interval":"MINUTE","intervalNum":5,"limit":300000}'
        )
        return (
            f'{{"timezone":"UTC","serverTime":{now_ns // MILLI_NS},"rateLimits":[{limits}],'
            f'"exchangeFilters":[],"symbols":[{",".join(entries)}]}}'
        )

    def _entry(self, symbol: str) -> str:
        rules = self._exchange.desk.rules[symbol]
        most = money_text(base_units(rules.instrument, rules.max_lots), 8)
        return spot_entry(rules.listed(), rules.status, money_text(rules.min_cost, 8), most)

    def _depth(self, params: dict[str, str]) -> str:
        symbol = self._symbol(params.get("symbol", ""))
        limit = params.get("limit", "100")
        if not 1 <= whole(limit) <= 5000:
            raise Denied(400, -1100, "Illegal characters found in parameter 'limit'; legal range is '[0-9]{1,20}'.")
        return self._wire.depth_text(symbol, whole(limit))

    def _book_tickers(self, params: dict[str, str]) -> Any:
        names = [params["symbol"]] if "symbol" in params else list(self._symbols)
        rows = []
        for spelt in names:
            symbol = self._symbol(spelt)
            (bid, bid_qty), (ask, ask_qty) = self._wire.touch_texts(symbol)
            row = {"symbol": spelt, "bidPrice": bid, "bidQty": bid_qty, "askPrice": ask, "askQty": ask_qty}
            rows.append(row)
        return rows[0] if "symbol" in params else rows

    def _symbol(self, spelt: str) -> str:
        symbol = self._symbols.get(spelt)
        if symbol is None:
            raise Denied(400, -1121, "Invalid symbol.")
        return symbol

    # --- the WebSocket API

    def _call(self, session: BinanceSession, frame: str | bytes, now_ns: int) -> None:
        try:
            said = parsed(frame)
            name, params = said["method"], {key: _plain(value) for key, value in said.get("params", {}).items()}
            if not isinstance(name, str):
                raise TypeError(name)
        except (ValueError, KeyError, TypeError, AttributeError):
            wrong = {"code": -1135, "msg": "This request has an invalid JSON."}
            session.send(_text({"id": None, "status": 400, "error": wrong}))
            return
        path = API_QUERIES.get(name)
        used = self._weigh(self._weight("GET", path, params) if path else 1)
        answer: dict[str, Any] = {"id": said.get("id")}
        try:
            trouble = self._exchange.trouble("WS", session.path, self.action(frame))
            if trouble is not None:
                raise self._outage(*trouble, now_ns)
            if used > WEIGHT_PER_MINUTE:
                raise Denied(429, -1003, LIMITED)
            answer |= {"status": 200, "result": self._result(session, name, params, now_ns)}
        except Denied as denied:
            error: dict[str, Any] = {"code": denied.code, "msg": denied.msg}
            if denied.status in (418, 429):
                now_ms = now_ns // MILLI_NS
                seconds = int(denied.headers.get("Retry-After") or self._exchange.seconds_left(60_000))
                retry_ms = now_ms + 1000 * seconds
                error["data"] = {"serverTime": now_ms, "retryAfter": retry_ms}
            answer |= {"status": denied.status, "error": error}
        if params.get("returnRateLimits") != "false":
            limit = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1}
            answer["rateLimits"] = [{**limit, "limit": WEIGHT_PER_MINUTE, "count": used}]
        session.send(_text(answer))

    def _result(self, session: BinanceSession, name: str, params: dict[str, str], now_ns: int) -> Any:
        if name == "ping":
            return {}
        if name == "time":
            return {"serverTime": now_ns // MILLI_NS}
        if name == "depth":
            return json.loads(self._depth(params))
        if name == "exchangeInfo":
            return json.loads(self._exchange_info(params, now_ns))
        if name == "session.logon":
            session.login(self._keys.check(SignedPart.of_call(params), params, now_ns, only_ed25519=True))
            return self._session_status(session, params.get("apiKey", ""), now_ns)
        if name == "session.status":
            return self._session_status(session, "", now_ns)
        if name == "session.logout":
            session.logout()
            return self._session_status(session, "", now_ns)
        if name == "userDataStream.unsubscribe":
            self._unlisten(session, params)
            return {}
        if name == "session.subscriptions":
            return [{"subscriptionId": number} for number in session.listeners]
        if name.startswith("userDataStream.subscribe"):
            return self._listen(session, self._caller(session, name, params, now_ns))
        return self._orders.call(name, self._caller(session, name, params, now_ns), params, now_ns)

    def _caller(self, session: BinanceSession, name: str, params: dict[str, str], now_ns: int) -> Account:
        needs_signature = name == "userDataStream.subscribe.signature" or session.account is None
        if needs_signature or "signature" in params:
            return self._keys.check(SignedPart.of_call(params), params, now_ns)
        assert session.account is not None  # noqa: S101  (else a signature is needed)
        return session.account

    def _session_status(self, session: BinanceSession, key: str, now_ns: int) -> dict[str, Any]:
        since = now_ns // MILLI_NS if session.account is not None else None
        known = key or None if session.account is not None else None
        return {
            "apiKey": known,
            "authorizedSince": since,
            "connectedSince": session.opened_ns // MILLI_NS,
            "returnRateLimits": True,
            "serverTime": now_ns // MILLI_NS,
        }

    def _listen(self, session: BinanceSession, account: Account) -> dict[str, int]:
        number = self._subscriptions
        self._subscriptions += 1
        session.listeners[number] = account
        session.facts |= {"account": account.name, "private": True}
        return {"subscriptionId": number}

    def _unlisten(self, session: BinanceSession, params: dict[str, str]) -> None:
        number = params.get("subscriptionId", "")
        if number.isdecimal():
            session.listeners.pop(whole(number, -1), None)
        else:
            session.listeners.clear()

    def report(self, report: Report) -> None:
        """executionReport and outboundAccountPosition."""
        exchange = self._exchange
        account = exchange.accounts[report.order.account]
        events = []
        if report.kind in ("canceled",):
            events.append(cancel_event(exchange, report))
        elif report.kind != "bust":
            events.append(execution_report(exchange, report))
        events.append(position_event(account, report))
        for session in self._sessions():
            for number, listener in session.listeners.items():
                if listener is account:
                    for event in events:
                        text = _text({"subscriptionId": number, "event": event})
                        exchange.push(session, text, report)

    def strip_id(self, text: str) -> str:
        """A report without t and I."""
        said = json.loads(text)
        for name in ("t", "I"):
            said["event"].pop(name, None)
        return _text(said)

    def expire(self, session: Session) -> None:
        """Its subscriptions end, silently; the login with them."""
        session.logout()
        if isinstance(session, BinanceSession):
            session.listeners.clear()


class _Partial:
    """The best levels, at most so often."""

    def __init__(self, wire: BinanceWire, stream: Stream) -> None:
        self._wire = wire
        self._stream = stream
        self._levels = int(stream.kind.removeprefix("depth"))
        self._next_ns = 0

    def encode(self, event: Change) -> list[str]:
        if self._next_ns - self._stream.every_ns <= event.ts_ns < self._next_ns:
            return []
        self._next_ns = event.ts_ns + self._stream.every_ns
        return [self._wire.depth_text(event.symbol, self._levels)]


class _Slow:
    """Changes gathered for a second: the same line of ids, cut otherwise."""

    def __init__(self, wire: BinanceWire, every_ns: int) -> None:
        self._wire = wire
        self._every_ns = every_ns
        self._next_ns = 0
        self._first_id = 0
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}

    def encode(self, event: Change) -> list[str]:
        self._first_id = self._first_id or event.first_id
        self._bids.update(event.bids)
        self._asks.update(event.asks)
        if self._next_ns - self._every_ns <= event.ts_ns < self._next_ns:  # the clock may have been set back
            return []
        self._next_ns = event.ts_ns + self._every_ns
        bids: list[Row] = list(self._bids.items())
        asks: list[Row] = list(self._asks.items())
        whole = Change(event.venue, event.symbol, event.ts_ns, self._first_id, event.last_id, bids, asks)
        self._first_id = 0
        self._bids, self._asks = {}, {}
        return self._wire.change(whole)


def _plain(value: Any) -> str:
    """A parameter of a call as a query would spell it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return _text(value) if isinstance(value, list | dict) else str(value)


def _names(text: str) -> list[str]:
    """An array of texts; raises Denied."""
    try:
        names = parsed(text)
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Denied(400, -1100, "Illegal characters found in parameter 'symbols'.")
    return names


def _text(content: Any) -> str:
    return json.dumps(content, separators=(",", ":"))
