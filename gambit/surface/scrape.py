"""The scrape endpoint: /metrics for Prometheus, /health and /ready for whoever starts and restarts daemons.

A scraper that stalls holds one of a few connections until it is cut, and never anything else. Under a storm of scrapes
the text is rendered once a second only.
"""

import asyncio
import errno
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import cast

from aiohttp import web

from gambit.surface import guests
from gambit.surface.metrics import CONTENT_TYPE, Registry

CONNECTIONS_MAX = 32
IDLE_SEC = 90.0  # a connection on which nothing was asked for this long, or whose answer nobody takes, is cut
SWEEP_SEC = 5.0
CLOSE_SEC = 1.0  # what is being answered when the server closes has this long
FRESH_SEC = 1.0  # a text this young is given out again: rendering holds the loop for some ms
REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\nRetry-After: 1\r\n\r\n"

Reasons = Callable[[], Sequence[str]]


class ScrapeServer:
    """`health` gives the reasons why the daemon should be restarted, `ready` those why it is not ready yet."""

    def __init__(
        self, registry: Registry, *, health: Reasons, ready: Reasons, connections_max: int | None = None
    ) -> None:
        self.registry = registry
        self.health = health
        self.ready = ready
        self.connections_max = guests.places(CONNECTIONS_MAX) if connections_max is None else connections_max
        self.address: tuple[str, int] = ("", 0)
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._active_sec: dict[object, float] = {}
        self._text = b""
        self._rendered_sec = float("-inf")

    @property
    def url(self) -> str:
        """Of /metrics; empty before it listens."""
        host, port = self.address
        named = f"[{host}]" if ":" in host else host
        return f"http://{named}:{port}/metrics" if port else ""

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 takes a free one, `address` says which. Raises OSError, which
        names the settings, when the address cannot be had."""
        app = web.Application()
        app.router.add_get("/metrics", self._guarded(self._metrics))
        app.router.add_get("/health", self._guarded(self._health))
        app.router.add_get("/ready", self._guarded(self._ready))
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=CLOSE_SEC)
        await runner.setup()
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(self._protocol, host, port)
        except OSError as error:
            await runner.cleanup()
            is_taken = error.errno == errno.EADDRINUSE
            hint = "; is another gambit running? `metrics.port = 0` takes a free one" if is_taken else ""
            told = f"metrics.host {host}, metrics.port {port}: {error.strerror or error}{hint}"
            raise OSError(error.errno, told) from error
        self._runner = runner
        taken = self._server.sockets[0].getsockname()
        self.address = (str(taken[0]), int(taken[1]))
        self._sweeper = loop.create_task(self._sweep())

    async def close(self) -> None:
        """Stop listening and cut what is connected."""
        if self._server is None or self._runner is None or self._sweeper is None:
            return
        self._sweeper.cancel()
        await asyncio.gather(self._sweeper, return_exceptions=True)
        self._server.close()
        await self._runner.cleanup()
        self._server = None

    def _connections(self) -> list[web.RequestHandler]:
        runner = self._runner
        return list(runner.server.connections) if runner is not None and runner.server is not None else []

    def _protocol(self) -> asyncio.Protocol:
        """What answers a new connection."""
        if self._runner is None or self._runner.server is None or len(self._connections()) >= self.connections_max:
            return _Full()
        return self._runner.server()

    def _guarded(self, answer: Callable[[], web.Response]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """The handler around an answer: notes that this connection lives."""

        async def handle(request: web.Request) -> web.StreamResponse:
            self._active_sec[request.protocol] = asyncio.get_running_loop().time()
            return answer()

        return handle

    def _metrics(self) -> web.Response:
        now_sec = asyncio.get_running_loop().time()
        if now_sec - self._rendered_sec >= FRESH_SEC:
            self._text = self.registry.render()
            self._rendered_sec = now_sec
        return web.Response(body=self._text, headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"})

    def _health(self) -> web.Response:
        return _answer("ok", "stalled", self.health())

    def _ready(self) -> web.Response:
        return _answer("ready", "not_ready", self.ready())

    async def _sweep(self) -> None:
        """Cut connections that neither ask nor take."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_SEC)
            now_sec = loop.time()
            connections = self._connections()
            self._active_sec = {one: self._active_sec.get(one, now_sec) for one in connections}
            for connection in connections:
                if now_sec - self._active_sec[connection] > IDLE_SEC and connection.transport is not None:
                    connection.transport.abort()


class _Full(asyncio.Protocol):
    """Answers a connection too many, and closes it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast(asyncio.WriteTransport, transport)  # uvloop's is one without being a subclass
        stream.write(REFUSAL)
        stream.close()


def _answer(good: str, bad: str, reasons: Sequence[str]) -> web.Response:
    """200 without reasons, else 503 with them."""
    body = {"status": bad if reasons else good, "reasons": list(reasons)}
    return web.Response(
        text=json.dumps(body) + "\n",
        status=503 if reasons else 200,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
