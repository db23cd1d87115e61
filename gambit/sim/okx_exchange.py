"""OKX's dialect: public, private and business WebSockets, REST with signed headers; words in okx_words.py.

Rules: text `ping` gets text `pong`; a connection that nothing is pushed on for 30 s is closed with 4004; every arg of a
subscribe is acked on its own; private channels need a login on that connection; instruments of WebSocket orders are
named by instIdCode alone.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import zlib
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from gambit.sim.accounts import Account, Credentials, FeeRule, base_units, money_text, secret_text
from gambit.sim.amounts import whole
from gambit.sim.dialect import MILLI_NS, Channel, Close, Frame, Outage, Pong, Reply, Report, Request, Session, parsed
from gambit.sim.exchange import Exchange
from gambit.sim.market import SECOND_NS, Change, Pace, Top, Trade
from gambit.sim.okx_orders import OkxOrders
from gambit.sim.okx_wire import OkxWire, spot_entry
from gambit.sim.okx_words import Denied, balance_words, order_words
from gambit.sim.wire import WireOptions

IDLE_NS = 30 * SECOND_NS
SILENCE_NS = 60 * SECOND_NS  # of a book, after which an update without levels says that it is still so
CLOCK_S = 30
SUBSCRIBES_PER_HOUR = 480
LEVELS_MAX = 400
CONNECTIONS_PER_S = 3
PUBLIC_PER_2S = {
    "/api/v5/public/time": 10, "/api/v5/public/instruments": 20, "/api/v5/market/books": 40,
    "/api/v5/market/ticker": 20,
}  # fmt: skip
PRIVATE_PER_2S = 60
STATES = {"TRADING": "live", "HALT": "suspend", "CANCEL_ONLY": "suspend"}
LIMITED = "Rate limit reached. Please refer to API docs and throttle requests accordingly."


OUTAGES: dict[Outage, tuple[str, str, int]] = {
    "limit": ("50011", LIMITED, 429),
    "ban": ("50011", LIMITED, 429),
    "maintenance": ("50001", "Service temporarily unavailable. Try again later", 503),
    "internal": ("50026", "System error. Try again later", 500),
}


class OkxSession(Session):
    """A connection to one of the three endpoints."""

    __slots__ = ("conn_id", "has_sent", "hour", "private", "sent_ns")
    moments = ("opened_ns", "sent_ns")

    def __init__(self, request: Request, now_ns: int) -> None:
        super().__init__(request, now_ns)
        self.conn_id = f"{zlib.crc32(str(now_ns).encode()):08x}"
        self.has_sent = False
        self.sent_ns = now_ns
        self.hour: tuple[int, int] = (0, 0)  # hour, subscribes and logins in it
        self.private: dict[str, dict[str, str]] = {}  # private channels by their arg's text

    def send(self, frame: Frame) -> None:
        """Send a frame, which keeps the connection alive."""
        self.has_sent = True
        super().send(frame)


class OkxExchange:
    """OKX over one exchange."""

    venue = "okx"
    pace = Pace(100 * MILLI_NS, 0.05, 1)
    fees = FeeRule()
    has_numeric_codes = False

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._wire = OkxWire(self.venue, list(exchange.books.values()), WireOptions(), exchange.seed)
        self._orders = OkxOrders(exchange)
        self._told_ns: dict[str, int] = {}  # when a symbol's books channel last said something
        self._gets: dict[str, Callable[[dict[str, str]], str]] = {
            "/api/v5/public/time": self._time,
            "/api/v5/public/instruments": self._instruments,
            "/api/v5/market/books": self._books,
            "/api/v5/market/ticker": self._ticker,
            "/api/v5/system/status": lambda _params: "",
        }

    def credentials(self, account: str, seed: int) -> Credentials:
        """Key, secret and passphrase."""
        secret = secret_text(seed, self.venue, account)[:32].upper()
        return Credentials(secret_text(seed, self.venue, account, "key")[:36], secret, f"pass-{account}")

    def addresses(self, http: str, ws: str) -> dict[str, str]:
        """/ws/v5/public and /ws/v5/private."""
        return {"rest": http, "ws": f"{ws}/ws/v5/public", "ws_private": f"{ws}/ws/v5/private"}

    # --- connections

    def open(self, request: Request, now_ns: int) -> Session | Reply:
        """One of the three endpoints."""
        if request.path not in ("/ws/v5/public", "/ws/v5/private", "/ws/v5/business"):
            return Reply("", 404)
        if self._exchange.spend("connections 1s", "", 1, CONNECTIONS_PER_S, 1000) > CONNECTIONS_PER_S:
            return self.outage("limit", 1, now_ns)
        return OkxSession(request, now_ns)

    def beat(self, now_ns: int) -> None:
        """Close what is idle; say of a book that is silent that it is still so."""
        real_ns = self._exchange.now_ns
        for channel in self._books_channels():
            if real_ns - self._told_ns[channel.symbol] >= SILENCE_NS:
                self._told_ns[channel.symbol] = real_ns
                self._exchange.publish(channel, self._wire.quirk("heartbeat", channel.symbol, now_ns))
        for session in self._sessions():
            if session.has_sent:
                session.has_sent, session.sent_ns = False, now_ns
            elif now_ns - session.sent_ns > IDLE_NS:
                session.send(Close(4004, "No data received in 30s."))

    def receive(self, session: Session, frame: str | bytes | Pong, now_ns: int) -> None:
        """ping, login, subscribe, unsubscribe, order operations."""
        if isinstance(frame, Pong) or not isinstance(session, OkxSession):
            return
        text = frame if isinstance(frame, str) else frame.decode(errors="replace")
        if text == "ping":
            session.send("pong")
            return
        try:
            said = parsed(text)
            op, args, tag = str(said["op"]), [*said["args"]], _tag(said)
        except (ValueError, KeyError, TypeError):
            session.send(_error("60012", f"Invalid request: {text}", session, {}))
            return
        if self._orders.has_op(op):
            session.send(self._operate(session, op, said, now_ns))
            return
        hour, count = session.hour
        session.hour = (now_ns // (3600 * SECOND_NS), count + 1 if hour == now_ns // (3600 * SECOND_NS) else 1)
        if session.hour[1] > SUBSCRIBES_PER_HOUR:
            session.send(_error("60014", "Requests too frequent", session, tag))
        elif op == "login":
            self._login(session, args, now_ns)
        elif op in ("subscribe", "unsubscribe") and args:
            act = self._subscribe if op == "subscribe" else self._unsubscribe
            for arg in args:
                if isinstance(arg, dict):
                    act(session, {str(name): str(value) for name, value in arg.items()}, tag, now_ns)
                else:
                    session.send(_error("60012", f"Invalid request: {text}", session, tag))
        else:
            session.send(_error("60012", f"Invalid request: {text}", session, tag))

    def seal(self, session: Session, channel: Channel, text: str) -> str:  # noqa: ARG002
        """All connections get the same text."""
        return text

    def _sessions(self) -> list[OkxSession]:
        return [session for session in self._exchange.sessions.values() if isinstance(session, OkxSession)]

    def _login(self, session: OkxSession, args: list[dict[str, str]], now_ns: int) -> None:
        said = args[0] if args and isinstance(args[0], dict) else {}
        account = self._account_of(str(said.get("apiKey", "")))
        stamp = str(said.get("timestamp", ""))
        if account is None or account.is_revoked:
            session.send(_error("60005", "Invalid apiKey", session, {}))
        elif account.credentials.passphrase != said.get("passphrase"):
            session.send(_error("60024", "Wrong passphrase", session, {}))
        elif abs(whole(stamp) - now_ns / SECOND_NS) > CLOCK_S:
            session.send(_error("60006", "Timestamp request expired", session, {}))
        elif said.get("sign") != signature(account.credentials.secret, f"{stamp}GET/users/self/verify"):
            session.send(_error("60007", "Invalid sign", session, {}))
        else:
            session.login(account)
            session.send(_text({"event": "login", "code": "0", "msg": "", "connId": session.conn_id}))

    def _subscribe(self, session: OkxSession, arg: dict[str, str], tag: dict[str, str], now_ns: int) -> None:
        name, symbol = arg.get("channel", ""), arg.get("instId", "")
        if name in ("orders", "account") and session.path.endswith("/private"):
            self._subscribe_private(session, arg, tag, now_ns)
            return
        if name in ("books-l2-tbt", "books50-l2-tbt", "fills"):
            level = "Only users who are VIP4 and above in trading fee tier are allowed to subscribe to this channel"
            session.send(_error("64003", level, session, tag))
            return
        make = self._maker(name, symbol) if self._is_at_home(session, name) else None
        if make is None:
            said = f"Wrong URL or channel:{name},instId:{symbol} doesn't exist. Please use the correct URL, channel"
            session.send(_error("60018", f"{said} and parameters referring to API document.", session, tag))
            return
        session.send(_text({**tag, "event": "subscribe", "arg": arg, "connId": session.conn_id}))
        self._exchange.subscribe(session, f"{name}:{symbol}", symbol, make)
        if name == "bbo-tbt":
            for text in self._wire.top(self._exchange.books[symbol].top(now_ns)):
                session.send(text)

    def _subscribe_private(self, session: OkxSession, arg: dict[str, str], tag: dict[str, str], now_ns: int) -> None:
        if session.account is None:
            session.send(_error("60011", "Please log in", session, tag))
            return
        session.private[_text(arg)] = arg
        session.send(_text({**tag, "event": "subscribe", "arg": arg, "connId": session.conn_id}))
        count = {"event": "channel-conn-count", "channel": arg["channel"], "connCount": "1", "connId": session.conn_id}
        session.send(_text(count))
        if arg["channel"] == "account":
            session.send(self._account_push(session.account, arg, "snapshot", None, now_ns))

    def _unsubscribe(self, session: OkxSession, arg: dict[str, str], tag: dict[str, str], _now_ns: int) -> None:
        self._exchange.unsubscribe(session, f"{arg.get('channel')}:{arg.get('instId')}")
        session.private.pop(_text(arg), None)
        session.send(_text({**tag, "event": "unsubscribe", "arg": arg, "connId": session.conn_id}))

    @staticmethod
    def _is_at_home(session: OkxSession, name: str) -> bool:
        return session.path.endswith("/business" if name == "trades-all" else "/public")

    def _books_channels(self) -> list[Channel]:
        """Those that somebody hears, once each."""
        heard = (channel for session in self._exchange.sessions.values() for channel in session.channels.values())
        return list({channel.name: channel for channel in heard if channel.name.startswith("books:")}.values())

    def _change(self, event: Change) -> list[str]:
        texts = self._wire.change(event)
        if texts:
            self._told_ns[event.symbol] = self._exchange.now_ns
        return texts

    def _opening(self, symbol: str, now_ns: int) -> list[str]:
        self._told_ns[symbol] = self._exchange.now_ns
        return [self._wire.opening(symbol, now_ns)]

    def _maker(self, name: str, symbol: str) -> Callable[[], Channel] | None:
        """How to build a public channel; None for one that does not exist."""
        if symbol not in self._exchange.books:
            return None
        wire, key = self._wire, f"{name}:{symbol}"
        if name == "books":
            return partial(Channel, key, symbol, Change, self._change, partial(self._opening, symbol))
        if name == "bbo-tbt":
            return partial(Channel, key, symbol, Top, wire.top)
        if name == "books5":
            five: Callable[[Change], list[str]] = lambda event: [wire.best_five(symbol, event.ts_ns)]  # noqa: E731
            return partial(Channel, key, symbol, Change, five, lambda ns: [wire.best_five(symbol, ns)])
        if name in ("trades", "trades-all"):
            return partial(Channel, key, symbol, Trade, wire.trade)
        return None

    # --- REST

    def action(self, request: Request | str | bytes) -> str:
        """By path, or by op."""
        if isinstance(request, Request):
            name = request.path.removeprefix("/api/v5/trade/")
            if name == request.path:
                return "query" if request.path.startswith("/api/v5/account/") else ""
            if request.method == "GET":
                return "query"
            return "cancel" if "cancel" in name else "amend" if "amend" in name else "place"
        text = request if isinstance(request, str) else request.decode(errors="replace")
        for op, action in (("cancel-order", "cancel"), ("amend-order", "amend"), ("order", "place")):
            if f'"{op}"' in text or f'"batch-{op}s"' in text:
                return action if '"op"' in text and '"orders"' not in text else ""
        return ""

    def http(self, request: Request, now_ns: int) -> Reply:
        """A REST request."""
        params = dict(parse_qsl(request.query))
        in_us = now_ns // 1000
        try:
            public = self._gets.get(request.path) if request.method == "GET" else None
            if public is not None:
                self._charge(request.path, "", PUBLIC_PER_2S.get(request.path, 20))
                return Reply(f'{{"code":"0","msg":"","data":[{public(params)}]}}')
            op = request.path.removeprefix("/api/v5/trade/")
            private = self._orders.gets.get(request.path) if request.method == "GET" else None
            is_post = request.method == "POST" and (self._orders.has_op(op) or op == "cancel-all-after")
            if private is None and not is_post:
                raise Denied("50404", "Not Found", 404)
            account = self._check(request, now_ns)
            if private is not None:
                self._charge(request.path, account.name, PRIVATE_PER_2S)
                return Reply(_text({"code": "0", "msg": "", "data": private(account, params)}))
            said = self._body(request)
            if op == "cancel-all-after":
                self._charge(op, account.name, 2)
                if not isinstance(said, dict):
                    raise Denied("51000", "Parameter error")
                data = self._orders.cancel_all_after(account, said)
                return Reply(_text({"code": "0", "msg": "", "data": data}))
            args = said if isinstance(said, list) else [said]
            expiry = {"expTime": request.headers["exptime"]} if "exptime" in request.headers else {}
            args = [{**arg, **expiry} if isinstance(arg, dict) else arg for arg in args]
            code, msg, rows = self._orders.operate(op, account, args, by_code=False)
            times = {"inTime": str(in_us), "outTime": str(in_us + 1000)}
            return Reply(_text({"code": code, "msg": msg, "data": rows, **times}))
        except Denied as denied:
            return Reply(_text({"code": denied.code, "msg": denied.msg, "data": []}), denied.status)

    def outage(self, kind: Outage, seconds: int, now_ns: int) -> Reply:  # noqa: ARG002
        """50011, 50001, 50026; OKX names no seconds."""
        code, msg, status = OUTAGES[kind]
        return Reply(_text({"code": code, "msg": msg, "data": []}), status)

    def _charge(self, path: str, owner: str, limit: int) -> None:
        if self._exchange.spend(f"{path} 2s", owner, 1, limit, 2000) > limit:
            raise Denied("50011", LIMITED, 429)

    @staticmethod
    def _body(request: Request) -> Any:
        try:
            return parsed(request.body)
        except ValueError as error:
            raise Denied("50002", "JSON syntax error", 400) from error

    def _check(self, request: Request, now_ns: int) -> Account:
        """Whose request it is; raises Denied."""
        headers = request.headers
        for name, code in (("KEY", "50103"), ("PASSPHRASE", "50104"), ("SIGN", "50106"), ("TIMESTAMP", "50107")):
            if not headers.get(f"ok-access-{name.lower()}"):
                raise Denied(code, f'Request header "OK-ACCESS-{name}" can not be empty.', 401)
        account = self._account_of(headers["ok-access-key"])
        if account is None or account.is_revoked:
            raise Denied("50111", "Invalid OK-ACCESS-KEY", 401)
        stamp = headers["ok-access-timestamp"]
        try:
            moment = datetime.fromisoformat(stamp)
            sent_s = moment.timestamp()
        except (ValueError, OverflowError):
            moment, sent_s = None, 0.0
        if moment is None or moment.tzinfo is None:
            raise Denied("50112", "Invalid OK-ACCESS-TIMESTAMP", 401)
        if abs(sent_s - now_ns / SECOND_NS) > CLOCK_S:
            raise Denied("50102", "Timestamp request expired", 401)
        if headers["ok-access-passphrase"] != account.credentials.passphrase:
            raise Denied("50105", 'Request header "OK-ACCESS-PASSPHRASE" incorrect.', 401)
        target = f"{request.path}?{request.query}" if request.query else request.path
        payload = f"{stamp}{request.method}{target}{request.body.decode(errors='replace')}"
        if headers["ok-access-sign"] != signature(account.credentials.secret, payload):
            raise Denied("50113", "Invalid Sign", 401)
        return account

    def _account_of(self, key: str) -> Account | None:
        accounts = self._exchange.accounts.values()
        return next((account for account in accounts if account.credentials.key == key), None)

    def _time(self, _params: dict[str, str]) -> str:
        return f'{{"ts":"{self._exchange.clock_ns // MILLI_NS}"}}'

    def _instruments(self, params: dict[str, str]) -> str:
        if params.get("instType") != "SPOT":
            return ""
        wanted = params.get("instId")
        if wanted and wanted not in self._exchange.books:
            raise Denied("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
        rules = self._exchange.desk.rules
        entries = [
            spot_entry(rule.listed(), STATES[rule.status], money_text(base_units(rule.instrument, rule.max_lots)))
            for name, rule in rules.items()
            if wanted in (None, name)
        ]
        return ",".join(entries)

    def _books(self, params: dict[str, str]) -> str:
        levels = int(params["sz"]) if params.get("sz", "").isdecimal() else 1
        return self._wire.rest_book(self._symbol(params), min(levels, LEVELS_MAX), self._exchange.clock_ns)

    def _ticker(self, params: dict[str, str]) -> str:
        symbol = self._symbol(params)
        row = json.loads(self._wire.rest_book(symbol, 1, self._exchange.clock_ns))
        (ask, ask_qty), (bid, bid_qty) = ((rows[0][:2] if rows else ("", "")) for rows in (row["asks"], row["bids"]))
        words = {"instType": "SPOT", "instId": symbol, "last": bid, "lastSz": bid_qty, "askPx": ask, "askSz": ask_qty}
        return _text(words | {"bidPx": bid, "bidSz": bid_qty, "ts": row["ts"]})

    def _symbol(self, params: dict[str, str]) -> str:
        symbol = params.get("instId", "")
        if symbol not in self._exchange.books:
            raise Denied("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
        return symbol

    # --- orders over the WebSocket, and what is told of them

    def _operate(self, session: OkxSession, op: str, said: dict[str, Any], now_ns: int) -> str:
        answer: dict[str, Any] = {"id": said.get("id", ""), "op": op}
        times = {"inTime": str(now_ns // 1000), "outTime": str(now_ns // 1000 + 1000)}
        if session.account is None or not session.path.endswith("/private"):
            return _text(answer | {"data": [], "code": "60011", "msg": "Please log in", **times})
        expiry = {"expTime": said["expTime"]} if said.get("expTime") else {}
        args = [{**arg, **expiry} if isinstance(arg, dict) else arg for arg in said["args"]]
        trouble = self._exchange.trouble("WS", session.path, self.action(_text(said)))
        if trouble is not None:
            code, msg, _status = OUTAGES[trouble[0]]
            return _text(answer | {"data": [], "code": code, "msg": msg, **times})
        try:
            code, msg, rows = self._orders.operate(op, session.account, args, by_code=True)
        except Denied as denied:
            return _text(answer | {"data": [], "code": denied.code, "msg": denied.msg, **times})
        return _text(answer | {"data": rows, "code": code, "msg": msg, **times})

    def report(self, report: Report) -> None:
        """The orders channel, then the account channel."""
        exchange, order = self._exchange, report.order
        account = exchange.accounts[order.account]
        words: Mapping[str, Any] = {}
        if report.kind != "bust":
            words = order_words(exchange.desk, order, report.fill)
            if report.kind == "amended":
                words = {**words, "amendResult": "0"}
        for session in self._sessions():
            if session.account is not account:
                continue
            for arg in session.private.values():
                if arg["channel"] == "account":
                    push = self._account_push(account, arg, "event_update", list(report.assets), exchange.clock_ns)
                    exchange.push(session, push, report)
                elif words and arg.get("instId", order.symbol) == order.symbol:
                    told = {"arg": {**arg, "uid": str(account.number)}, "data": [words]}
                    exchange.push(session, _text(told), report)

    @staticmethod
    def _account_push(
        account: Account, arg: Mapping[str, str], event: str, assets: list[str] | None, now_ns: int
    ) -> str:
        head = {"arg": {**arg, "uid": str(account.number)}, "eventType": event, "curPage": 1, "lastPage": True}
        return _text({**head, "data": [balance_words(account, assets, now_ns)]})

    def strip_id(self, text: str) -> str:
        """A push without tradeId."""
        said = json.loads(text)
        for row in said["data"]:
            row.pop("tradeId", None)
        return _text(said)

    def expire(self, session: Session) -> None:
        """The login is forgotten silently."""
        session.logout()


def signature(secret: str, payload: str) -> str:
    """Base64 of HMAC-SHA256."""
    return base64.b64encode(hmac.new(secret.encode(), payload.encode(), hashlib.sha256).digest()).decode()


def _tag(said: Mapping[str, Any]) -> dict[str, str]:
    """The client's name for a request, to be echoed."""
    return {"id": str(said["id"])} if "id" in said else {}


def _error(code: str, msg: str, session: OkxSession, tag: Mapping[str, str]) -> str:
    return _text({**tag, "event": "error", "code": code, "msg": msg, "connId": session.conn_id})


def _text(content: Any) -> str:
    return json.dumps(content, separators=(",", ":"))
