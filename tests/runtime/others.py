"""As much of three further exchanges as ccxt wants to see, in the shapes that its parsers document, on loopback."""

import asyncio
import json
import zlib
from typing import Any

from aiohttp import web

BIDS = [["99.5", "1.25"], ["99", "2"]]
ASKS = [["100.5", "0.75"], ["101", "3"]]
MOVED = ["99.6", "4"]  # a bid that comes later


class Others:
    """KuCoin, Gate and Bitget on one port."""

    def __init__(self) -> None:
        self.rest = self.ws = ""
        self.sockets: list[web.WebSocketResponse] = []
        self.fails = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._runner: web.AppRunner | None = None

    async def start(self) -> "Others":
        """Listen on a free port."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.rest, self.ws = f"http://{host}:{port}", f"ws://{host}:{port}"
        return self

    async def stop(self) -> None:
        """Close everything."""
        for task in self._tasks:
            task.cancel()
        for socket in list(self.sockets):
            await socket.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._converse(request)
        if self.fails:
            return web.Response(status=503, text="unavailable")
        found = self._rest(request.path)
        return web.json_response(found) if found is not None else web.Response(status=404, text=request.path)

    def _rest(self, path: str) -> Any:
        kucoin: dict[str, Any] = {
            "symbols": [
                {"symbol": "BTC-USDT", "name": "BTC-USDT", "baseCurrency": "BTC", "quoteCurrency": "USDT",
                 "feeCurrency": "USDT", "market": "USDS", "baseMinSize": "0.00001", "quoteMinSize": "0.1",
                 "baseMaxSize": "10000", "quoteMaxSize": "99999999", "baseIncrement": "0.00000001",
                 "quoteIncrement": "0.000001", "priceIncrement": "0.1", "priceLimitRate": "0.1",
                 "isMarginEnabled": True, "enableTrading": True}
            ],
            "allTickers": {"time": 1, "ticker": [{"symbol": "BTC-USDT", "makerFeeRate": "0.001",
                                                  "takerFeeRate": "0.001"}]},
            "bullet-public": {"token": "t", "instanceServers": [
                {"endpoint": f"{self.ws}/kucoin", "pingInterval": 18000, "pingTimeout": 10000,
                 "encrypt": True, "protocol": "websocket"}]},
            "level2_100": {"time": 1_700_000_000_000, "sequence": "1005", "bids": BIDS, "asks": ASKS},
        }  # fmt: skip
        name = path.rsplit("/", 1)[1]
        if name in kucoin and not path.startswith("/api/v2/spot"):
            return {"code": "200000", "data": kucoin[name]}
        if path.endswith("/spot/currency_pairs"):
            return [{"id": "BTC_USDT", "base": "BTC", "quote": "USDT", "fee": "0.2", "min_base_amount": "0.0001",
                     "min_quote_amount": "3", "amount_precision": 4, "precision": 1, "trade_status": "tradable",
                     "sell_start": 0, "buy_start": 0}]  # fmt: skip
        if path.endswith("/margin/currency_pairs"):
            return []
        if path.endswith("/spot/public/symbols"):
            return {"code": "00000", "data": [
                {"symbol": "BTCUSDT", "baseCoin": "BTC", "quoteCoin": "USDT", "minTradeAmount": "0",
                 "maxTradeAmount": "100", "takerFeeRate": "0.002", "makerFeeRate": "0.002", "pricePrecision": "2",
                 "quantityPrecision": "4", "quotePrecision": "6", "status": "online",
                 "minTradeUSDT": "1"}]}  # fmt: skip
        return {"code": "00000", "data": []} if path.endswith("/margin/currencies") else None

    async def _converse(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False, timeout=0.1)
        await socket.prepare(request)
        self.sockets.append(socket)
        if request.path == "/kucoin":
            await socket.send_json({"id": "1", "type": "welcome"})
        async for message in socket:
            said = json.loads(message.data) if message.data.startswith("{") else {}
            if "/market/level2:" in said.get("topic", ""):
                self._start(self._kucoin(socket, said))
            elif said.get("channel") == "spot.obu":
                self._start(self._gate(socket, said))
            elif said.get("op") == "subscribe":
                self._start(self._bitget(socket, said["args"][0]))
        self.sockets.remove(socket)
        return socket

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _kucoin(self, socket: web.WebSocketResponse, said: Any) -> None:
        """Deltas only; the library fetches the book beside them after some."""
        await socket.send_json({"id": said["id"], "type": "ack"})
        for number in range(1001, 1030):
            rows = [[*MOVED, str(number)]] if number > 1006 else []
            data = {"sequenceStart": number, "sequenceEnd": number, "symbol": "BTC-USDT", "time": 1_700_000_000_000,
                    "changes": {"asks": [], "bids": rows}}  # fmt: skip
            await socket.send_json(
                {"type": "message", "topic": said["topic"], "subject": "trade.l2update", "data": data}
            )
            await asyncio.sleep(0.02)

    async def _gate(self, socket: web.WebSocketResponse, said: Any) -> None:
        """A whole book, then a change."""
        ack = {
            "time": 1,
            "id": said["id"],
            "channel": "spot.obu",
            "event": "subscribe",
            "result": {"status": "success"},
        }
        await socket.send_json(ack)
        for number, book in enumerate(({"full": True, "b": BIDS, "a": ASKS}, {"b": [MOVED], "a": []})):
            result = {"t": 1_700_000_000_000, "s": "ob.BTC_USDT.50", "U": 10 + number, "u": 10 + number, **book}
            await socket.send_json(
                {"channel": "spot.obu", "event": "update", "time_ms": 1_700_000_000_000, "result": result}
            )

    async def _bitget(self, socket: web.WebSocketResponse, arg: Any) -> None:
        """A whole book, then a change with a checksum."""
        await socket.send_json({"event": "subscribe", "arg": arg})
        row: dict[str, Any] = {"asks": ASKS, "bids": BIDS, "ts": "1700000000000", "checksum": 0}
        await socket.send_json({"action": "snapshot", "arg": arg, "data": [row]})
        bids = [MOVED, *BIDS]
        best = [text for k in range(3) for side in (bids, ASKS) if k < len(side) for text in side[k]]
        checksum = zlib.crc32(":".join(best).encode())
        row = {"asks": [], "bids": [MOVED], "ts": "1700000000100",
               "checksum": checksum - (1 << 32 if checksum >= 1 << 31 else 0)}  # fmt: skip
        await socket.send_json({"action": "update", "arg": arg, "data": [row]})
