"""The WebSocket seam: one way to open a connection, two libraries behind it.

A listener hears three things: the connection stands, a message, the connection is gone (exactly once, whoever ended
it). `picows` is what feeds run on: its frames are cut from the socket's buffer in C, and all frames of one read carry
the time of that read, the earliest moment at which this process can see the bytes. `websockets` serves where a venue
insists on compression, and as the second opinion.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import picows
import websockets
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as ws_connect

from gambit._core.inlet import Inlet

MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024  # of one message; Coinbase's first book is several MB
OPEN_SEC: Final = 10.0  # name, TCP, TLS and handshake together
TEXT: Final = picows.WSMsgType.TEXT
CLOSE_SEC: Final = 1.0  # how long a closing handshake may take before the socket is dropped


class LinkError(Exception):
    """A connection that could not be opened; the text says why."""


class Listener(Protocol):
    """Who hears a connection.

    `on_message` takes a whole text or binary message and the time its last bytes were read; it is looked up for each
    message, so that it can be compiled code (an Intake is the fastest). `on_heard` marks the end of what one read
    brought, control frames included. `on_close` comes once, with what was raised where a listener's own code raised
    something.
    """

    on_message: Callable[[bytes, int], object]

    def on_open(self, link: "Link") -> None: ...

    def on_heard(self, recv_ns: int) -> None: ...

    def on_close(self, reason: str, bug: Exception | None) -> None: ...


class Link(Protocol):
    """An open connection."""

    def send(self, data: bytes) -> None:
        """Send a text message; nothing happens when the connection is gone."""
        ...

    def ping(self) -> None:
        """Send a WebSocket ping."""
        ...

    def close(self) -> None:
        """End the connection now; the listener hears on_close soon."""
        ...


class Transport(Protocol):
    """Opens connections. Raises LinkError when one cannot be opened in time."""

    async def open(self, url: str, listener: Listener, tls: ssl.SSLContext | None) -> Link: ...


class PicowsTransport:
    """Connections by picows; `now_ns` stamps what is received."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self.now_ns = now_ns

    async def open(self, url: str, listener: Listener, tls: ssl.SSLContext | None) -> Link:
        """See Transport."""
        link = _PicowsLink(listener)
        try:
            async with asyncio.timeout(OPEN_SEC):
                await picows.ws_connect(
                    lambda: Inlet(link, link.listener, self.now_ns),  # made when the venue has answered
                    url,
                    ssl_context=tls,
                    enable_auto_pong=False,  # pongs are ours, so that a venue's pings are heard too
                    max_frame_size=MAX_MESSAGE_BYTES,
                    max_redirects=0,
                    websocket_handshake_timeout=OPEN_SEC,
                )
        except (OSError, TimeoutError, ValueError, picows.WSError) as error:
            if link.transport is None:  # else it came up in the very moment in which patience ended
                raise LinkError(_worded(error)) from error
        finally:
            if link.transport is None:  # nobody waits any more, but picows still would take an answer
                link.listener = _Nobody()
        if link.transport is None:  # picows says so that the other end hung up before it answered
            raise LinkError("the connection was cut during the handshake")
        return link


class _Nobody:
    """Listens to a connection that was given up before it stood: closes it."""

    def __init__(self) -> None:
        self.on_message: Callable[[bytes, int], object] = lambda _data, _recv_ns: None

    def on_open(self, link: Link) -> None:
        link.close()

    def on_heard(self, recv_ns: int) -> None:
        """Nobody's."""

    def on_close(self, reason: str, bug: Exception | None) -> None:
        """Nobody's."""


class _PicowsLink:
    """Both ends of the seam for one picows connection; what comes often is its Inlet's."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.transport: picows.WSTransport | None = None
        self.end: asyncio.Task[None] | None = None
        self.parts: list[bytes] = []  # of a message that comes in several frames
        self.parts_bytes = 0
        self.reason = ""
        self.bug: Exception | None = None

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self.transport = transport
        self.end = asyncio.get_running_loop().create_task(self.tell_the_end(transport))
        self.listener.on_open(self)

    def on_failure(self, error: Exception) -> None:
        """A listener's own code raised something."""
        self.bug = self.bug or error
        self.reason = self.reason or _worded(error)
        self.close()

    def on_rare_frame(self, transport: picows.WSTransport, frame: picows.WSFrame, recv_ns: int) -> None:
        """Parts of a message, binary ones, pings, the venue's close."""
        kind = frame.msg_type
        if kind is picows.WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif kind is picows.WSMsgType.CLOSE:
            self.reason = _close_text(frame.get_close_code().value, frame.get_close_reason())
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        elif kind is not picows.WSMsgType.PONG:
            self.gather(frame, recv_ns)

    def gather(self, frame: picows.WSFrame, recv_ns: int) -> None:
        """A frame that is a part of a message; the whole is bounded like a single frame."""
        part = frame.get_payload_as_bytes()
        self.parts.append(part)
        self.parts_bytes += len(part)
        if self.parts_bytes > MAX_MESSAGE_BYTES:
            self.reason = f"a message of more than {MAX_MESSAGE_BYTES} bytes"
            self.close()
        elif frame.fin:
            whole, self.parts, self.parts_bytes = b"".join(self.parts), [], 0
            self.listener.on_message(whole, recv_ns)

    async def tell_the_end(self, transport: picows.WSTransport) -> None:
        """The one place that says how it ended."""
        reason = "the connection was lost"
        try:
            await transport.wait_disconnected()
        except (picows.WSError, OSError) as error:
            reason = _worded(error)
        except Exception as error:
            reason, self.bug = _worded(error), self.bug or error
        self.listener.on_close(self.reason or reason, self.bug)

    def send(self, data: bytes) -> None:
        if self.transport is not None and not self.transport.is_disconnected:
            self.transport.send(TEXT, data)

    def ping(self) -> None:
        if self.transport is not None and not self.transport.is_disconnected:
            self.transport.send_ping()

    def close(self) -> None:
        if self.transport is not None and not self.transport.is_disconnected:
            self.reason = self.reason or "closed by us"
            self.transport.send_close(picows.WSCloseCode.OK)
            self.transport.disconnect(graceful=False)


class WebsocketsTransport:
    """Connections by websockets, with compression; a task reads each."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self.now_ns = now_ns

    async def open(self, url: str, listener: Listener, tls: ssl.SSLContext | None) -> Link:
        """See Transport."""
        try:
            connection = await ws_connect(
                url,
                ssl=tls,
                open_timeout=OPEN_SEC,
                close_timeout=CLOSE_SEC,
                ping_interval=None,
                max_size=MAX_MESSAGE_BYTES,
                user_agent_header=None,
                proxy=None,
            )
        except (OSError, TimeoutError, ValueError, websockets.WebSocketException) as error:
            raise LinkError(_worded(error)) from error
        link = _WebsocketsLink(connection, listener, self.now_ns)
        listener.on_open(link)
        return link


class _WebsocketsLink:
    """Both ends of the seam for one connection of websockets."""

    def __init__(self, connection: ClientConnection, listener: Listener, now_ns: Callable[[], int]) -> None:
        self.connection = connection
        self.listener = listener
        self.now_ns = now_ns
        self.tasks = {asyncio.create_task(self.read())}

    async def read(self) -> None:
        reason, bug = "the connection was lost", None
        try:
            while True:
                data = await self.connection.recv(decode=False)
                recv_ns = self.now_ns()
                self.listener.on_message(data, recv_ns)
                self.listener.on_heard(recv_ns)
        except websockets.ConnectionClosed as closed:
            if closed.rcvd is not None:
                reason = _close_text(closed.rcvd.code, closed.rcvd.reason)
        except Exception as error:
            reason, bug = _worded(error), error
            await self.connection.close()
        self.listener.on_close(reason, bug)

    def send(self, data: bytes) -> None:
        self.start(self.connection.send(data.decode()))

    def ping(self) -> None:
        self.start(self.pong())

    async def pong(self) -> None:
        """The answer is heard, though it is no message."""
        await (await self.connection.ping())
        self.listener.on_heard(self.now_ns())

    def close(self) -> None:
        self.start(self.connection.close())

    def start(self, work: object) -> None:
        task = asyncio.ensure_future(self.quietly(work))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def quietly(self, work: object) -> None:
        try:
            await work  # type: ignore[misc]
        except websockets.ConnectionClosed:
            return  # the reader tells


TRANSPORTS: Final[Mapping[str, Callable[[Callable[[], int]], Transport]]] = {
    "picows": PicowsTransport,
    "websockets": WebsocketsTransport,
}  # by the configuration's names


def _close_text(code: int, reason: str | None) -> str:
    return f"closed by the venue: {code} {reason or ''}".rstrip()


def _worded(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
