"""A scripted exchange on loopback that speaks as much of OKX or Binance as a feed needs, and misbehaves on command."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from aiohttp import WSMsgType, web


class Exchange:
    """One server: WebSocket at /ws, REST below /api. Everything that arrives is kept with the loop's time."""

    venue = "okx"

    def __init__(self) -> None:
        self.sockets: list[web.WebSocketResponse] = []  # open ones
        self.connects: list[float] = []
        self.heard: list[Any] = []
        self.calls: list[str] = []
        self.books: dict[str, int] = {}  # spelling -> id of its last message
        self.is_deaf = False  # accepts and reads, answers nothing
        self.closes_at_once = False
        self.on_call: Callable[[web.Request], web.Response | None] = lambda _: None
        self.changed = asyncio.Event()
        self.url = self.rest = ""
        self._runner: web.AppRunner | None = None

    async def start(self) -> "Exchange":
        """Listen on a free port."""
        app = web.Application()
        app.router.add_get("/ws", self._socket)
        app.router.add_get("/{path:.*}", self._call)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url, self.rest = f"ws://{host}:{port}/ws", f"http://{host}:{port}"
        return self

    async def stop(self) -> None:
        """Close everything."""
        for socket in list(self.sockets):
            await socket.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def until(self, condition: Callable[[], bool], timeout_sec: float = 60.0) -> None:
        """Wait until something holds; looked at whenever something happened here."""
        async with asyncio.timeout(timeout_sec):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    # ---- what arrives ----

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoping=False, compress=False)
        await socket.prepare(request)
        self.connects.append(asyncio.get_running_loop().time())
        self.changed.set()
        if self.closes_at_once:
            await socket.close()
            return socket
        self.sockets.append(socket)
        await self.greet(socket)
        async for message in socket:
            if not self.is_deaf:
                await self._hear(socket, message)
            self.changed.set()
        self.sockets.remove(socket)
        self.changed.set()
        return socket

    async def _hear(self, socket: web.WebSocketResponse, message: Any) -> None:
        if message.type is WSMsgType.PING:
            await socket.pong(message.data)
        elif message.data == "ping":
            await socket.send_str("pong")
        elif message.type is WSMsgType.TEXT:
            request = json.loads(message.data)
            self.heard.append(request)
            await self.answer(socket, request)

    async def _call(self, request: web.Request) -> web.Response:
        self.calls.append(request.path_qs)
        self.changed.set()
        return self.on_call(request) or self.listing(request)

    # ---- what it says; OKX's words ----

    async def greet(self, socket: web.WebSocketResponse) -> None:
        """What a connection hears first."""

    def listing(self, request: web.Request) -> web.Response:
        """REST: the instruments."""
        rows = [
            {"instType": "SPOT", "instId": name, "baseCcy": name.split("-")[0], "quoteCcy": name.split("-")[1],
             "tickSz": "0.1", "lotSz": "0.0001", "minSz": "0.0001", "state": "live"}
            for name in ("BTC-USDT", "ETH-USDT", "XRP-USDT")
        ]  # fmt: skip
        return web.json_response({"code": "0", "msg": "", "data": rows})

    async def answer(self, socket: web.WebSocketResponse, request: Any) -> None:
        """Acks, and a snapshot for each subscription."""
        for arg in request["args"]:
            await socket.send_json({"event": request["op"], "arg": arg, "connId": "c"})
            if request["op"] == "subscribe":
                await self.snapshot(arg["instId"], socket)

    async def snapshot(self, name: str, socket: web.WebSocketResponse, bid: str = "99", ask: str = "101") -> None:
        """A whole book."""
        self.books[name] = 100
        row = {"asks": [[ask, "5", "0", "1"]], "bids": [[bid, "5", "0", "1"]], "ts": "1", "checksum": 0,
               "prevSeqId": -1, "seqId": 100}  # fmt: skip
        await socket.send_json({"arg": {"channel": "books", "instId": name}, "action": "snapshot", "data": [row]})

    async def update(self, name: str, *, skip: int = 0, socket: web.WebSocketResponse | None = None) -> None:
        """One more level; with `skip`, some messages before it were lost."""
        last = self.books[name] + skip
        self.books[name] = last + 1
        row = {"asks": [], "bids": [["98", str(last), "0", "1"]], "ts": "1", "checksum": 0,
               "prevSeqId": last, "seqId": last + 1}  # fmt: skip
        for one in self.sockets if socket is None else [socket]:
            await one.send_json({"arg": {"channel": "books", "instId": name}, "action": "update", "data": [row]})

    def subscriptions(self, name: str) -> int:
        """How often a book was subscribed."""
        return sum(
            arg["instId"] == name for request in self.heard if request["op"] == "subscribe" for arg in request["args"]
        )


class BinanceExchange(Exchange):
    """Diffs on the stream, snapshots beside it."""

    venue = "binance"
    status = "TRADING"  # of BTCUSDT

    def listing(self, request: web.Request) -> web.Response:
        """exchangeInfo, or a depth snapshot as of the last diff."""
        if request.path.endswith("depth"):
            last = self.books.setdefault(request.query["symbol"], 100)
            return web.json_response({"lastUpdateId": last, "bids": [["99", "5"]], "asks": [["101", "5"]]})
        rows = [
            {"symbol": f"{base}USDT", "baseAsset": base, "quoteAsset": "USDT", "status": status, "filters": []}
            for base, status in (("BTC", self.status), ("ETH", "TRADING"))
        ]
        return web.json_response({"symbols": rows}, headers={"X-MBX-USED-WEIGHT-1M": "20"})

    async def answer(self, socket: web.WebSocketResponse, request: Any) -> None:
        """An ack and nothing else."""
        await socket.send_json({"result": None, "id": request["id"]})

    async def update(self, name: str, *, skip: int = 0, socket: web.WebSocketResponse | None = None) -> None:
        """A diff of one level; with `skip`, some ids before it were lost."""
        last = self.books.setdefault(name, 100) + skip
        self.books[name] = last + 1
        diff = {"e": "depthUpdate", "E": 1, "s": name, "U": last + 1, "u": last + 1, "b": [["98", str(last)]], "a": []}
        for one in self.sockets if socket is None else [socket]:
            await one.send_json(diff)
