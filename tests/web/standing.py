"""A WebSocket door on a server of its own, with tokens that are made up and a hub that the test feeds."""

import asyncio
import json
import os
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import aiohttp
from aiohttp import web

from gambit.access.permissions import Door as Way
from gambit.access.permissions import Principal, Role
from gambit.web.door import Door, Refused
from gambit.web.frames import text_frame
from gambit.web.hub import Channel, Hub

SECOND_NS = 1_000_000_000


class Tokens:
    """Whose tokens are good; a token is let in until it is taken out. The clock is ahead by as much as a test says."""

    def __init__(self) -> None:
        self.known: dict[str, Principal] = {}
        self.ahead_ns = 0

    def now_ns(self) -> int:
        return time.time_ns() + self.ahead_ns

    def issue(self, name: str, role: Role = Role.TRADER, *, lives_sec: float = 900) -> str:
        token = f"token-{name}-{len(self.known)}"
        expires_ns = self.now_ns() + int(lives_sec * SECOND_NS)
        self.known[token] = Principal(name, name, role, Way.WEBSOCKET, session_id=token, expires_at_ns=expires_ns)
        return token

    def admit(self, token: str) -> Principal:
        who = self.known.get(token)
        if who is None or not self.is_good(who):
            raise Refused("this token is not known")
        return who

    def is_good(self, who: Principal) -> bool:
        alive = who.expires_at_ns is not None and who.expires_at_ns > self.now_ns()
        return alive and who.session_id in self.known


class Standing:
    """A door that stands: its hub, its tokens, its address."""

    def __init__(self, origins: frozenset[str] = frozenset()) -> None:
        self.tokens = Tokens()
        self.audited: list[tuple[str, str, str]] = []
        self.hub = Hub(
            [
                Channel("order.status", False, lambda: [{"order_id": "old"}]),
                Channel("alert.raised", False),
                Channel("arb.signals", True),
                Channel("system.metrics", True),
                Channel("market.normalized", True),
            ],
            first_seq=1,
            now_ns=time.time_ns,
            ts=str,
            worded=text_frame,
        )
        self.door = Door(
            self.hub,
            self.tokens,
            now_ns=self.tokens.now_ns,
            mono_ns=time.monotonic_ns,
            allowed_origins=origins,
            audit=lambda who, action, detail: self.audited.append((who.name, action, detail)),
            settled=_at_once,
        )
        self.port = 0
        self.session = aiohttp.ClientSession()
        self._pump: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/ws/dashboard", self.door.serve)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self._pump = asyncio.create_task(self.door.fanout.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._pump is not None
        if self._pump.done():
            self._pump.result()
        self._pump.cancel()
        await self.door.close()
        await self.session.close()
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/ws/dashboard"

    @asynccontextmanager
    async def client(self, token: str | None = None, **headers: str) -> AsyncIterator["Client"]:
        """A polite client, let in by Authorization when it has a token."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            named["Authorization"] = f"Bearer {token}"
        async with self.session.ws_connect(self.url, headers=named, max_msg_size=0) as ws:
            yield Client(ws)

    async def raw(self, token: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection that says what it likes, upgraded and let in."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)
        head = (
            f"GET /ws/dashboard HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            f"Authorization: Bearer {token}\r\n\r\n"
        )
        writer.write(head.encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        return reader, writer


async def _at_once() -> None:
    """Everything is written down already."""


class Client:
    """A client that reads messages as dicts."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws

    async def say(self, **message: Any) -> None:
        await self.ws.send_str(json.dumps(message))

    async def hear(self) -> dict[str, Any]:
        """The next message; a close is {"close": code, "why": text}."""
        message = await self.ws.receive(timeout=60)
        if message.type is aiohttp.WSMsgType.TEXT:
            heard: dict[str, Any] = json.loads(message.data)
            return heard
        return {"close": self.ws.close_code, "why": message.extra}

    async def until(self, **wanted: Any) -> dict[str, Any]:
        """The first message that has these values."""
        while True:
            heard = await self.hear()
            if all(heard.get(name) == value for name, value in wanted.items()):
                return heard
            assert "close" not in heard, heard


def masked(first: int, payload: bytes, *, mask: bool = True) -> bytes:
    """A client's frame; `first` is its first byte."""
    bit = 0x80 if mask else 0
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", first, bit | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", first, bit | 126, size)
    else:
        head = struct.pack("!BBQ", first, bit | 127, size)
    if not mask:
        return head + payload
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[k % 4] for k, byte in enumerate(payload))


async def close_code(reader: asyncio.StreamReader) -> int:
    """The code the server closes with; what it says before is passed over."""
    async with asyncio.timeout(60):
        while True:
            first, second = await reader.readexactly(2)
            size = second & 0x7F
            if size == 126:
                size = int.from_bytes(await reader.readexactly(2), "big")
            elif size == 127:
                size = int.from_bytes(await reader.readexactly(8), "big")
            payload = await reader.readexactly(size)
            if first & 0x0F == 8:
                return int.from_bytes(payload[:2], "big")
