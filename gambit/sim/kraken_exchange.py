"""Kraken's dialect: WebSocket v2 for market data, executions and orders, REST with nonces and counters.

Rules: a request for many symbols is answered symbol by symbol; a book is told up to the depth that was asked for, with
a CRC32 of its top ten; who has subscribed to something hears a heartbeat in every second in which nothing else was
said; errors of REST come with HTTP 200.
"""

# ruff: noqa: ARG002  (a dialect need not use all that the protocol hands it)

from __future__ import annotations

import re
from decimal import Decimal
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from gambit.sim.accounts import PPM, Credentials, FeeRule, money_text
from gambit.sim.amounts import whole
from gambit.sim.dialect import MILLI_NS, Channel, Close, Outage, Pong, Reply, Report, Request, Session, parsed
from gambit.sim.exchange import Exchange
from gambit.sim.kraken_orders import Counter, KrakenOrders
from gambit.sim.kraken_private import ACTIONS as METHOD_ACTIONS
from gambit.sim.kraken_private import OUTAGES, KrakenPrivate, KrakenSession, answer_words
from gambit.sim.kraken_signing import TOKEN_S, KrakenKeys, key_pair
from gambit.sim.kraken_wire import REST_ASSETS, KrakenWire, asset_id, instruments_text, pair_entry, rest_names, spell
from gambit.sim.kraken_words import Denied, text_of, times
from gambit.sim.market import SECOND_NS, Change, Pace, Top, Trade
from gambit.sim.spelling import decimal_text, rfc3339
from gambit.sim.tape import Tape
from gambit.sim.wire import WireOptions

PUBLIC, PRIVATE = "/v2", "/auth/v2"
DEPTHS = (10, 25, 100, 500, 1000)
REST_LEVELS_MAX = 500
QUIET_NS = 60 * SECOND_NS
CONNECTS_PER_10M = 150
TRADES_FIRST = 50
PUBLIC_CALLS_MAX, PRIVATE_CALLS_MAX, CALLS_DECAY_PER_S = 15, 20, 1.0
PRIVATE_CHANNELS = ("executions", "balances")
HISTORIES = ("TradesHistory", "ClosedOrders", "QueryTrades")
METHOD = re.compile(r'"method"\s*:\s*"(\w+)"')
ACTIONS = {"AddOrder": "place", "CancelOrder": "cancel", "CancelAll": "cancel"}
STATUSES = {"TRADING": "online", "HALT": "maintenance", "CANCEL_ONLY": "cancel_only"}
CONNECTION_ID = 12_000_000_000_000_000_000  # beyond 2**53
Params = dict[str, Any]


class KrakenExchange:
    """Kraken over one exchange."""

    venue = "kraken"
    pace = Pace(100 * MILLI_NS, 0.9, 1)
    fees = FeeRule(currency="quote", digits=8)
    has_numeric_codes = False

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        books = list(exchange.books.values())
        self._symbols = {spell(symbol): symbol for symbol in exchange.books}
        self._pairs = {
            name: symbol
            for symbol, book in exchange.books.items()
            for name in rest_names(book.instrument.base, book.instrument.quote)
        }
        self._wires = {
            depth: KrakenWire(self.venue, books, WireOptions(depth=depth), exchange.seed + depth) for depth in DEPTHS
        }
        self._wire = self._wires[DEPTHS[0]]
        self._tape = Tape(exchange)
        self._keys = KrakenKeys(exchange)
        self._orders = KrakenOrders(exchange, self._pairs)
        self._private = KrakenPrivate(exchange, self._keys, self._orders, self._symbols)
        self._announced = self._listing()
        self._instrument: Channel | None = None
        self._connections = 0
        self._calls: dict[str, Counter] = {}  # of REST by account, "" for public

    def credentials(self, account: str, seed: int) -> Credentials:
        """A key and 64 secret bytes in base64."""
        return key_pair(account, seed)

    def addresses(self, http: str, ws: str) -> dict[str, str]:
        """Public at /v2, private and orders at /auth/v2 (Kraken itself has two hosts)."""
        return {"rest": http, "ws": f"{ws}{PUBLIC}", "ws_private": f"{ws}{PRIVATE}"}

    # --- connections

    def open(self, request: Request, now_ns: int) -> Session | Reply:
        """One of the two endpoints; each says its status at once."""
        if request.path not in (PUBLIC, PRIVATE):
            return Reply("Not Found", 404, content_type="text/plain")
        connects = self._exchange.spend("connects 10m", "", 1, CONNECTS_PER_10M, 600_000)
        if connects > CONNECTS_PER_10M:
            return Reply("error code: 1015", 429, content_type="text/plain")
        session = KrakenSession(request, now_ns)
        self._connections += 1
        words = f'"system":"online","api_version":"v2","connection_id":{CONNECTION_ID + self._connections}'
        session.send(f'{{"channel":"status","type":"update","data":[{{"version":"2.0.10",{words}}}]}}')
        return session

    def receive(self, session: Session, frame: str | bytes | Pong, now_ns: int) -> None:
        """A request by its method."""
        assert isinstance(session, KrakenSession)  # noqa: S101  (open() makes no other)
        if isinstance(frame, Pong):
            return
        session.heard_ns = now_ns
        try:
            said = parsed(frame, Decimal)
            method = str(said["method"])
            params = said.get("params", {})
            symbols = params.get("symbol", [])
        except (ValueError, KeyError, TypeError, AttributeError):
            session.send(text_of({"error": "Malformed request", "success": False} | times(now_ns)))
            return
        if self._private.knows(method):
            self._operate(session, said, now_ns)
        elif method == "ping":
            session.send(text_of({"method": "pong"} | _req_id(said) | times(now_ns)))
        elif method in ("subscribe", "unsubscribe") and params.get("channel") in PRIVATE_CHANNELS:
            self._listen(session, said, params, joins=method == "subscribe", now_ns=now_ns)
        elif method in ("subscribe", "unsubscribe"):
            names = symbols if isinstance(symbols, list) and symbols else [symbols or ""]
            for name in names:
                self._manage(session, said, params, str(name), joins=method == "subscribe", now_ns=now_ns)
        else:
            self._refuse(session, said, "Unsupported method", now_ns)

    def beat(self, now_ns: int) -> None:
        """Heartbeats, changed instruments, and the end of idle connections."""
        listing = self._listing()
        if listing != self._announced:
            self._announce(listing)
        for session in self._sessions():
            if now_ns - session.beat_ns >= SECOND_NS:
                session.beat_ns = now_ns
                if (session.channels or session.private) and session.sent == session.sent_before:
                    session.send('{"channel":"heartbeat"}')
                session.sent_before = session.sent
            if not session.channels and not session.private and now_ns - session.heard_ns > QUIET_NS:
                session.send(Close(1000, ""))

    def seal(self, session: Session, channel: Channel, text: str) -> str:
        """Nothing is added."""
        return text

    def _sessions(self) -> list[KrakenSession]:
        return [session for session in self._exchange.sessions.values() if isinstance(session, KrakenSession)]

    # --- public channels

    def _manage(
        self, session: KrakenSession, said: Params, params: Params, spelt: str, *, joins: bool, now_ns: int
    ) -> None:
        """Subscribe or unsubscribe one symbol of one channel."""
        try:
            name, symbol, words = self._named(session, params, spelt)
            if joins == (name in session.channels):
                raise Denied("Already subscribed" if joins else "Subscription Not Found")
        except Denied as denied:
            self._refuse(session, said, str(denied), now_ns, spelt)
            return
        if joins:
            words["snapshot"] = params.get("snapshot", params["channel"] != "trade") is not False
        if spelt:
            words["symbol"] = spelt
        session.send(text_of(answer_words(said, {"result": words, "success": True}, now_ns)))
        if not joins:
            self._exchange.unsubscribe(session, name)
            return
        self._exchange.subscribe(session, name, symbol, partial(self._channel, name, symbol, words))
        if words["snapshot"]:
            for text in self._opening(symbol, words, now_ns):
                session.send(text)

    def _named(self, session: KrakenSession, params: Params, spelt: str) -> tuple[str, str, Params]:
        """A channel's name, its symbol and what the answer says of it."""
        channel = params.get("channel")
        if channel not in ("book", "ticker", "trade", "instrument"):
            raise Denied("Channel name not recognized")
        if session.path == PRIVATE:
            raise Denied("Public channels not available in this endpoint")
        words: Params = {"channel": channel}
        if channel == "instrument":
            return "instrument", "", words
        symbol = self._symbols.get(spelt)
        if symbol is None:
            raise Denied(f"Currency pair not supported {spelt}")
        extra = ""
        if channel == "book":
            depth = params.get("depth", DEPTHS[0])
            if depth not in DEPTHS:
                raise Denied("Subscription depth not supported")
            extra = words["depth"] = depth
        elif channel == "ticker":
            trigger = params.get("event_trigger", "trades")
            if trigger not in ("trades", "bbo"):
                raise Denied("Event trigger not supported")
            extra = words["event_trigger"] = trigger
        return f"{channel} {extra} {symbol}", symbol, words

    def _channel(self, name: str, symbol: str, words: Params) -> Channel:
        kind = words["channel"]
        if kind == "book":
            wire = self._wires[words["depth"]]
            wire.opening(symbol, self._exchange.clock_ns)  # what follows is counted from here, snapshot wanted or not
            return Channel(name, symbol, Change, wire.change)
        if kind == "ticker" and words["event_trigger"] == "bbo":
            return Channel(name, symbol, Top, self._wire.top)
        if kind == "ticker":
            return Channel(name, symbol, Trade, self._ticker)
        if kind == "trade":
            return Channel(name, symbol, Trade, self._wire.trade)
        self._instrument = Channel(name, symbol, Top, _nothing)
        return self._instrument

    def _opening(self, symbol: str, words: Params, now_ns: int) -> list[str]:
        kind = words["channel"]
        if kind == "book":
            return self._wires[words["depth"]].opening(symbol, now_ns)
        if kind == "ticker":
            return self._wire.ticker("snapshot", self._exchange.books[symbol].top(now_ns))
        if kind == "trade":
            return [self._wire.trades("snapshot", self._tape.last(symbol, TRADES_FIRST))]
        return [instruments_text("snapshot", list(self._announced.values()))]

    def _ticker(self, event: Trade) -> list[str]:
        return self._wire.ticker("update", self._exchange.books[event.symbol].top(event.ts_ns))

    def _listing(self) -> dict[str, Any]:
        """What the instrument channel says of every symbol."""
        rules = self._exchange.desk.rules
        return {
            symbol: (rule.listed(), STATUSES[rule.status], money_text(rule.min_cost)) for symbol, rule in rules.items()
        }

    def _announce(self, listing: dict[str, Any]) -> None:
        changed = [entry for symbol, entry in listing.items() if entry != self._announced[symbol]]
        self._announced = listing
        if self._instrument is not None:
            self._exchange.publish(self._instrument, [instruments_text("update", changed)])

    @staticmethod
    def _refuse(session: KrakenSession, said: Params, error: str, now_ns: int, spelt: str = "") -> None:
        words = {"error": error, "method": said["method"]} | _req_id(said) | {"success": False}
        session.send(text_of(words | ({"symbol": spelt} if spelt else {}) | times(now_ns)))

    # --- REST

    def action(self, request: Request | str | bytes) -> str:
        """By the name of the method."""
        if isinstance(request, Request):
            name = request.path.removeprefix("/0/private/")
            return "" if name == request.path else ACTIONS.get(name, "query" if name in self._orders.methods else "")
        text = request if isinstance(request, str) else request.decode(errors="replace")
        found = METHOD.search(text)
        return METHOD_ACTIONS.get(found[1], "") if found else ""

    def http(self, request: Request, now_ns: int) -> Reply:
        """A REST request; errors come with HTTP 200."""
        try:
            if request.path.startswith("/0/private/"):
                return _reply(self._signed(request, now_ns))
            params = dict(parse_qsl(request.query, keep_blank_values=True))
            self._count_call("", 1, PUBLIC_CALLS_MAX, now_ns)
            return _reply(self._public(request.path.removeprefix("/0/public/"), params, now_ns))
        except Denied as denied:
            return refusal(str(denied))

    def _signed(self, request: Request, now_ns: int) -> str:
        """The result of a private method; raises Denied."""
        name = request.path.removeprefix("/0/private/")
        account, params = self._keys.check(request)
        if name not in ACTIONS:
            self._count_call(account.name, 2 if name in HISTORIES else 1, PRIVATE_CALLS_MAX, now_ns)
        if name == "GetWebSocketsToken":
            return text_of({"token": self._keys.give_token(account), "expires": TOKEN_S})
        if name not in self._orders.methods:
            raise Denied("EGeneral:Unknown method")
        return text_of(self._orders.methods[name](account, params))

    def outage(self, kind: Outage, seconds: int, now_ns: int) -> Reply:
        """Error texts, all with HTTP 200; what is blocked says until when."""
        if kind == "limit":
            return refusal(f"EService:Throttled: {now_ns // SECOND_NS + seconds}")
        return refusal(OUTAGES[kind])

    def _count_call(self, who: str, cost: int, most: int, now_ns: int) -> None:
        counter = self._calls.setdefault(who, Counter(now_ns, CALLS_DECAY_PER_S))
        used = counter.add(cost, now_ns)
        self._exchange.ledger.spent(f"{'private' if who else 'public'} calls", int(used), most)
        if used > most:
            counter.add(-cost, now_ns)
            raise Denied("EAPI:Rate limit exceeded")

    def _public(self, name: str, params: dict[str, str], now_ns: int) -> str:
        """The result of a public method; raises Denied."""
        if name == "Time":
            return text_of({"unixtime": now_ns // SECOND_NS, "rfc1123": rfc3339(now_ns, 1)})
        if name == "SystemStatus":
            return text_of({"status": "online", "timestamp": f"{rfc3339(now_ns, 1)[:19]}Z"})
        answers = {"AssetPairs": self._asset_pairs, "Depth": self._depth, "Ticker": self._tickers}
        if name == "Assets":
            items = [rule.instrument for rule in self._exchange.desk.rules.values()]
            assets = {asset for item in items for asset in (item.base, item.quote)}
            return text_of({asset_id(asset): _asset_words(asset) for asset in sorted(assets)})
        if name not in answers:
            raise Denied("EGeneral:Unknown method")
        return answers[name](params, now_ns)

    def _wanted(self, params: dict[str, str]) -> list[str]:
        """Symbols of the `pair` parameter, all without one."""
        if "pair" not in params:
            return list(self._exchange.books)
        names = params["pair"].split(",")
        if any(name not in self._pairs for name in names):
            raise Denied("EQuery:Unknown asset pair")
        return [self._pairs[name] for name in names]

    def _asset_pairs(self, params: dict[str, str], _now_ns: int) -> str:
        fees = f"{self.fees.taker_ppm * 100 / PPM:g}", f"{self.fees.maker_ppm * 100 / PPM:g}"
        rules = [self._exchange.desk.rules[symbol] for symbol in self._wanted(params)]
        rows = [pair_entry(rule.listed(), STATUSES[rule.status], money_text(rule.min_cost), fees) for rule in rules]
        return f"{{{','.join(rows)}}}"

    def _depth(self, params: dict[str, str], now_ns: int) -> str:
        count = params.get("count", "100")
        if "pair" not in params or not whole(count):
            raise Denied("EGeneral:Invalid arguments")
        book = self._exchange.books[self._wanted(params)[0]]
        item, levels = book.instrument, min(whole(count), REST_LEVELS_MAX)
        sides = {
            name: [
                [
                    decimal_text(ticks * item.tick, item.price_decimals),
                    decimal_text(lots * item.lot, item.lot_decimals),
                    now_ns // SECOND_NS,
                ]
                for ticks, lots in side.levels()[:levels]
            ]
            for name, side in (("asks", book.asks), ("bids", book.bids))
        }
        return text_of({rest_names(item.base, item.quote)[0]: sides})

    def _tickers(self, params: dict[str, str], _now_ns: int) -> str:
        result = {}
        for symbol in self._wanted(params):
            book = self._exchange.books[symbol]
            item, row = book.instrument, {}
            for name, side in (("a", book.asks), ("b", book.bids)):
                ticks, lots = side.best() or (0, 0)
                price = decimal_text(ticks * item.tick, item.price_decimals)
                row[name] = [price, "1", decimal_text(lots * item.lot, item.lot_decimals)]
            result[rest_names(item.base, item.quote)[0]] = row | {"c": [row["b"][0], row["b"][2]]}
        return text_of(result)

    # --- private

    def strip_id(self, text: str) -> str:
        """Executions without exec_id and trade_id."""
        said = parsed(text, Decimal)
        for row in said.get("data", []):
            row.pop("exec_id", None)
            row.pop("trade_id", None)
        return text_of(said)

    def report(self, report: Report) -> None:
        """The executions and balances channels."""
        self._private.report(report, self._sessions())

    def expire(self, session: Session) -> None:
        """Its token is good no more."""
        assert isinstance(session, KrakenSession)  # noqa: S101  (open() makes no other)
        self._private.expire(session)

    def _listen(self, session: KrakenSession, said: Params, params: Params, *, joins: bool, now_ns: int) -> None:
        """Subscribe or unsubscribe a private channel."""
        try:
            if session.path != PRIVATE:
                raise Denied("Private channels not available in this endpoint")
            change = self._private.subscribe if joins else self._private.unsubscribe
            result = change(session, params)
        except Denied as denied:
            self._refuse(session, said, str(denied), now_ns)
            return
        session.send(text_of(answer_words(said, {"result": result, "success": True}, now_ns)))
        for text in self._private.first(session, params["channel"]) if joins else ():
            session.send(text)

    def _operate(self, session: KrakenSession, said: Params, now_ns: int) -> None:
        """An order method; its answers come when all that it pushes is on its way."""
        if session.path != PRIVATE:
            self._refuse(session, said, "Unsupported method", now_ns)
            return
        for words in self._private.call(session, said["method"], said.get("params", {})):
            session.send(text_of(answer_words(said, words, now_ns)))


def refusal(error: str) -> Reply:
    """An error of REST."""
    return Reply(text_of({"error": [error]}))


def _reply(result: str) -> Reply:
    return Reply(f'{{"error":[],"result":{result}}}')


def _asset_words(asset: str) -> dict[str, Any]:
    return {
        "aclass": "currency",
        "altname": REST_ASSETS.get(asset, asset),
        "decimals": 10,
        "display_decimals": 5,
        "status": "enabled",
    }


def _nothing(_event: Top) -> list[str]:
    return []


def _req_id(said: Params) -> Params:
    return {"req_id": said["req_id"]} if "req_id" in said else {}
