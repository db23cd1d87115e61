"""The server: sockets, connections and their ends; the requests themselves are the pipeline's.

A client that is slow, silent or talks nonsense holds one of a bounded number of connections until it is cut.
"""

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, cast

from aiohttp import web

from gambit.surface import guests
from gambit.web.pipeline import HEADERS, Pipeline
from gambit.web.problem import MEDIA, Problem

CONNECTIONS_MAX: Final = 4096
IDLE_SEC: Final = 20.0  # to send the head of a request, or until the next one comes
TAKE_SEC: Final = 30.0  # to take an answer
LINGER_SEC: Final = 1.0  # what is left of a body that nobody wants is swallowed for so long, so that the answer arrives
FIELD_BYTES_MAX: Final = 16 * 1024  # of a header; a token that is too long is refused as one, not as bad HTTP
BACKLOG: Final = 1024  # a burst of connections that overflows it is tried again by its senders, seconds later
HANDSHAKE_SEC: Final = 10.0  # of TLS
SWEEP_SEC: Final = 5.0
CLOSE_SEC: Final = 2.0
FULL: Final = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\nRetry-After: 1\r\n\r\n"

Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class BindError(Exception):
    """The address cannot be listened on; says why and what to do."""


class WebServer:
    """Listens at `host` and `port` (0: a free one). `sockets` are paths that are no requests and answers but go on:
    the handler behind each has the connection for itself."""

    def __init__(
        self,
        pipeline: Pipeline,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        sockets: Mapping[str, Answer] | None = None,
        connections_max: int | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.sockets = dict(sockets or {})
        self.address: tuple[str, int] = ("", 0)
        self.connections_max = guests.places(CONNECTIONS_MAX) if connections_max is None else connections_max
        self.cut = 0
        self._place = host, port
        self._tls = tls
        self._busy_since: dict[object, float] = {}
        self._runner: web.ServerRunner | None = None
        self._below: _Below | None = None
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where it listens; empty before it does."""
        host, port = self.address
        named = f"[{host}]" if ":" in host else host
        return f"http{'s' if self._tls is not None else ''}://{named}:{port}" if port else ""

    def secure(self, tls: ssl.SSLContext | None) -> None:
        """Speak TLS with this, or plainly; before it listens."""
        self._tls = tls

    async def start(self) -> None:
        """Listen. Raises BindError."""
        below = _Below(
            self._handle,
            access_log=None,
            keepalive_timeout=IDLE_SEC,
            auto_decompress=False,
            lingering_time=LINGER_SEC,
            max_field_size=FIELD_BYTES_MAX,
        )
        runner = web.ServerRunner(below, handle_signals=False, shutdown_timeout=CLOSE_SEC)
        await runner.setup()
        loop = asyncio.get_running_loop()
        host, port = self._place
        try:
            patience = None if self._tls is None else HANDSHAKE_SEC
            self._server = await loop.create_server(
                self._protocol, host, port, backlog=BACKLOG, ssl=self._tls, ssl_handshake_timeout=patience
            )
        except OSError as error:
            await runner.cleanup()
            raise BindError(
                f"api.host {host}, api.port {port}: {error.strerror or error}; is another gambit running? "
                "`api.port = 0` takes a free one"
            ) from error
        self._runner, self._below = runner, below
        taken = self._server.sockets[0].getsockname()
        self.address = (str(taken[0]), int(taken[1]))
        self._sweeper = loop.create_task(self._sweep(), name="web: sweep")

    async def close(self) -> None:
        """Stop listening, give what is being answered a moment, cut the rest."""
        if self._server is None or self._runner is None or self._sweeper is None:
            return
        self._sweeper.cancel()
        await asyncio.gather(self._sweeper, return_exceptions=True)
        self._server.close()
        await self._runner.cleanup()
        self._server = None

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._below.connections) if self._below is not None else 0

    def _protocol(self) -> asyncio.Protocol:
        if self._below is None or self.connections >= self.connections_max:
            return _Full()
        return self._below()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        socket = self.sockets.get(request.path)
        if socket is not None and request.raw_path.partition("?")[0] == request.path:
            try:
                return await socket(request)
            except web.HTTPException as refused:
                return _refused(refused.status, refused.text or refused.reason)
        self._busy_since[request.protocol] = asyncio.get_running_loop().time()
        return await self.pipeline(request)

    async def _sweep(self) -> None:
        """Cut connections whose request is long in coming or whose answer nobody takes."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_SEC)
            now = loop.time()
            busy = {one: since for one, since in self._busy_since.items() if getattr(one, "is_answering", False)}
            self._busy_since = dict(busy)
            for one, since in busy.items():
                transport = cast(web.RequestHandler, one).transport
                if now - since > TAKE_SEC and transport is not None:
                    self.cut += 1
                    transport.abort()


class _Connection(web.RequestHandler):
    """One connection; what cannot be read as HTTP at all is a problem document too."""

    @property
    def is_answering(self) -> bool:
        """Whether a request is under way."""
        return bool(self._request_in_progress)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,  # noqa: ARG002 - the library's signature
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        """The answer to what the parser refused; the parser's own words may repeat what was sent, and stay here."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun: nothing can be said any more")
        text = "this is not HTTP as RFC 9112 has it" if status < 500 else "a defect in gambit"
        return _refused(status, text)


class _Below(web.Server):
    """The server of the library, with connections of our own."""

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Full(asyncio.Protocol):
    """Answers a connection too many, and closes it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast(asyncio.WriteTransport, transport)
        stream.write(FULL)
        stream.close()


def _refused(status: int, text: str) -> web.Response:
    """Before there is a request to speak of, or where it was to become a socket."""
    code = "framing" if status == 400 else "defect" if status >= 500 else "refused"
    request_id = os.urandom(16).hex()
    body = Problem(status, code, text).body("", request_id)
    headers = {**HEADERS, "Content-Type": MEDIA, "X-Request-Id": request_id}
    response = web.Response(body=body, status=status, headers=headers)
    response.force_close()
    return response
