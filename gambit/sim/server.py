"""The sockets of the simulated venues: one port each on this machine, HTTP and WebSocket; the only file here with any.

Rules: what a venue says is decided in exchange.py; here it is only carried. Frames of all connections are written once
per turn, many in one write. A client that does not read is cut at BACKLOG_MAX instead of eating memory.
"""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web
from aiohttp.http_websocket import WebSocketError

from gambit.sim.control import PREFIX, control
from gambit.sim.dialect import Close, Frame, Ping, Pong, Reply, Request, Session
from gambit.sim.exchange import Exchange, Silence
from gambit.sim.world import World

HOST = "127.0.0.1"
BACKLOG_MAX = 32 * 1024 * 1024  # bytes waiting in a connection
BODY_MAX = 1024 * 1024
TURN_S = 0.001  # the shortest wait between two turns
CLOSE_S = 1.0  # that open connections have to go when the server stops
TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A


class Server:
    """All venues of a world, listening."""

    def __init__(
        self, world: World, now_ns: Callable[[], int], *, port_base: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        """`now_ns` is the world's clock. `port_base` 0 takes free ports, else the venues get it and the next ones."""
        self.world = world
        self.ports: dict[str, int] = {}
        self.slow_clients = 0  # cut because they did not read
        self._now_ns = now_ns
        self._port_base = port_base
        self._tls = tls
        self._runners: list[web.AppRunner] = []
        self._transports: dict[Session, asyncio.Transport] = {}
        self._turns: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Server:
        try:
            for index, venue in enumerate(self.world.exchanges):
                await self._listen(venue, self._port_base + index if self._port_base else 0)
        except BaseException:
            await self._stop_listening()
            raise
        self._turns = asyncio.create_task(self._turn(), name="simulated market")
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._turns is not None:
            self._turns.cancel()
            with suppress(asyncio.CancelledError):
                await self._turns
        for transport in self._transports.values():
            transport.abort()
        await self._stop_listening()

    def entries(self) -> list[dict[str, str]]:
        """Per venue what `gambit sim` prints: addresses and the first account's keys."""
        return [self.entry(venue) for venue in self.world.exchanges]

    def entry(self, venue: str, account: str = "demo") -> dict[str, str]:
        """Addresses of a venue and an account's keys there."""
        exchange = self.world.exchanges[venue]
        letter = "s" if self._tls else ""
        root = f"{HOST}:{self.ports[venue]}"
        credentials = exchange.accounts[account].credentials
        return {
            "venue": venue,
            **exchange.dialect.addresses(f"http{letter}://{root}", f"ws{letter}://{root}"),
            "key": credentials.key,
            "secret": credentials.secret,
            "passphrase": credentials.passphrase,
        }

    async def wait(self) -> None:
        """Serve until cancelled; raises what ended the market should it end by itself."""
        if self._turns is not None:
            await asyncio.shield(self._turns)

    async def _listen(self, venue: str, port: int) -> None:
        exchange = self.world.exchanges[venue]
        app = web.Application(client_max_size=BODY_MAX)

        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._handle(exchange, request)

        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_S)
        self._runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, HOST, port, ssl_context=self._tls)
        await site.start()
        self.ports[venue] = runner.addresses[0][1]

    async def _stop_listening(self) -> None:
        for runner in self._runners:
            await runner.cleanup()

    async def _turn(self) -> None:
        """Let the market happen and send what it says, over and over."""
        world = self.world
        while True:
            now_ns = self._now_ns()
            world.advance(now_ns)
            for exchange in world.exchanges.values():
                self._flush(exchange)
            await asyncio.sleep(max(TURN_S, (world.next_ns() - self._now_ns()) / 1e9))

    def _flush(self, exchange: Exchange) -> None:
        for session, frames in exchange.drain():
            transport = self._transports.get(session)
            if transport is None or not frames or transport.is_closing():
                continue
            cut = isinstance(frames[-1], Close) and frames[-1].code == 1006
            transport.write(b"".join(encoded(frames[:-1] if cut else frames)))
            if cut:
                transport.abort()
            elif transport.get_write_buffer_size() > BACKLOG_MAX:
                self.slow_clients += 1
                transport.abort()

    async def _handle(self, exchange: Exchange, request: web.Request) -> web.StreamResponse:
        asked = Request(
            method=request.method,
            path=request.rel_url.raw_path,
            query=request.rel_url.raw_query_string,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.read(),
            addr=request.remote or HOST,
        )
        if asked.path.startswith(PREFIX):
            return _response(control(self.world, exchange, asked, self._now_ns()))
        if asked.headers.get("upgrade", "").lower() == "websocket":
            return await self._converse(exchange, request, asked)
        answer: asyncio.Future[Reply | Silence] = asyncio.get_running_loop().create_future()

        def settle(reply: Reply | Silence) -> None:
            if not answer.done():
                answer.set_result(reply)

        exchange.http(asked, self._now_ns(), settle)
        self._flush(exchange)
        reply = await answer
        if isinstance(reply, Reply):
            return _response(reply)
        if reply is Silence.HANG:
            await _until_gone(request)
        return _cut(request)

    async def _converse(self, exchange: Exchange, request: web.Request, asked: Request) -> web.StreamResponse:
        session = exchange.open(asked, self._now_ns())
        if isinstance(session, Reply):
            return _response(session)
        if isinstance(session, Silence):
            return _cut(request)
        socket = web.WebSocketResponse(autoping=False, autoclose=False, compress=False, max_msg_size=BODY_MAX)
        try:
            await socket.prepare(request)
            if request.transport is None:
                return socket
            self._transports[session] = request.transport
            self._flush(exchange)
            await self._listen_to(exchange, session, socket)
        finally:
            self._transports.pop(session, None)
            exchange.closed(session)
        return socket

    async def _listen_to(self, exchange: Exchange, session: Session, socket: web.WebSocketResponse) -> None:
        while not socket.closed:
            message = await socket.receive()
            if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
                if message.type is WSMsgType.CLOSE and not session.is_mute:
                    with suppress(ConnectionError, WebSocketError):
                        await socket.close(code=message.data or 1000)
                return
            exchange.receive(session, _said(message.type, message.data), self._now_ns())
            self._flush(exchange)


def server_context(certificate: bytes, private: bytes) -> ssl.SSLContext:
    """A server's side of TLS with a PEM certificate (certificate.py makes one)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "certificate.pem"
        path.touch(mode=0o600)
        path.write_bytes(certificate + private)
        context.load_cert_chain(path)
    return context


def _said(kind: WSMsgType, data: Any) -> str | bytes | Ping | Pong:
    if kind is WSMsgType.PING:
        return Ping(bytes(data))
    if kind is WSMsgType.PONG:
        return Pong(bytes(data))
    return data if isinstance(data, str) else bytes(data)


def encoded(frames: Iterable[Frame]) -> list[bytes]:
    """WebSocket frames of a server: unmasked, whole, uncompressed (RFC 6455, section 5.2)."""
    parts: list[bytes] = []
    for frame in frames:
        if isinstance(frame, str):
            opcode, payload = TEXT, frame.encode()
        elif isinstance(frame, bytes):
            opcode, payload = BINARY, frame
        elif isinstance(frame, Close):
            opcode, payload = CLOSE, frame.code.to_bytes(2, "big") + frame.reason.encode()
        else:
            opcode, payload = (PING if isinstance(frame, Ping) else PONG), frame.payload
        size = len(payload)
        if size < 126:
            parts.append(bytes((opcode, size)))
        elif size < 65536:
            parts.append(bytes((opcode, 126)) + size.to_bytes(2, "big"))
        else:
            parts.append(bytes((opcode, 127)) + size.to_bytes(8, "big"))
        parts.append(payload)
    return parts


def _response(reply: Reply) -> web.Response:
    return web.Response(
        body=reply.body.encode(), status=reply.status, headers=reply.headers, content_type=reply.content_type
    )


def _cut(request: web.Request) -> web.Response:
    """Close the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


async def _until_gone(request: web.Request) -> None:
    """Wait until the client gives up."""
    while request.transport is not None and not request.transport.is_closing():
        await asyncio.sleep(0.05)
