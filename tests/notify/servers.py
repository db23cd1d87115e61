"""Local servers that take messages: SMTP, and HTTP that answers as it is told."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiosmtpd.smtp import SMTP


class Inbox:
    """What came, and an event for whoever waits."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.mails: list[Any] = []
        self.came = asyncio.Event()
        self.answers: list[tuple[int, Mapping[str, str], bytes]] = []  # for the next requests; then 200

    def took(self) -> None:
        self.came.set()

    async def until(self, is_enough: Callable[[], bool], patience_sec: float = 60.0) -> None:
        """Wait until enough has come."""
        async with asyncio.timeout(patience_sec):
            while not is_enough():
                self.came.clear()
                await self.came.wait()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.mails.append(envelope)
        self.took()
        return "250 taken"


@asynccontextmanager
async def http_server(inbox: Inbox) -> AsyncIterator[str]:
    """Takes every POST; gives the address."""

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        inbox.requests.append((request.path, {k.lower(): v for k, v in request.headers.items()}, body))
        status, headers, answer = inbox.answers.pop(0) if inbox.answers else (200, {}, b'{"ok":true}')
        inbox.took()
        return web.Response(status=status, headers=headers, body=answer)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def smtp_server(inbox: Inbox) -> AsyncIterator[int]:
    """Takes every mail; gives the port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(inbox, enable_SMTPUTF8=True), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()
