"""A warm HTTP/1.1 connection to one venue, for requests that cannot wait: connected beforehand, one request at a time,
its bytes handed to the socket within the call that sends it.

An ordinary HTTP client takes several turns of the loop until a request leaves, and each turn may be full of market
data. What is spoken here is the part of RFC 9112 that an API needs: answers framed by length, by chunks or by the
connection's end. Whatever is not understood ends the connection, and the request at hand has no answer.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from gambit.runtime.backoff import SEC, Backoff
from gambit.runtime.http import MAX_BODY_BYTES, HttpAnswer, HttpError

MAX_HEAD_BYTES: Final = 64 * 1024
OPEN_SEC: Final = 10.0
READ_BYTES: Final = 64 * 1024
WITHOUT_BODY: Final = (204, 304)
COMMON: Final = "User-Agent: gambit\r\nAccept: */*\r\nAccept-Encoding: identity\r\n"


class NotHttp(Exception):
    """An answer that is none, or is too long."""


class HttpLine:
    """One connection to `root` ("https://host[:port]"), kept up by `run`. `random` is for the waits between attempts.

    Raises ValueError for a root that is none.
    """

    def __init__(
        self, root: str, mono_ns: Callable[[], int], random: Callable[[], float], tls: ssl.SSLContext | None = None
    ) -> None:
        parts = urlsplit(root)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{root!r} is no address of a REST side")
        self._tls = (tls or ssl.create_default_context()) if parts.scheme == "https" else None
        self._host = parts.hostname
        self._port = parts.port or (443 if self._tls else 80)
        self._path = parts.path.rstrip("/")
        self._same = f" HTTP/1.1\r\nHost: {parts.netloc}\r\n{COMMON}"
        self._mono_ns = mono_ns
        self._random = random
        self._wire: _Wire | None = None

    @property
    def is_free(self) -> bool:
        """Whether a request can leave at this instant."""
        return self._wire is not None and self._wire.is_free

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> "asyncio.Future[HttpAnswer]":
        """Hand a request to the socket, now, once. The answer, or HttpError with `sent` where the connection ended
        first. Raises RuntimeError when the line is not free."""
        if self._wire is None or not self._wire.is_free:
            raise RuntimeError("the connection is not free")
        head = f"{method} {self._path}{path}{self._same}" + "".join(f"{k}: {v}\r\n" for k, v in headers.items())
        if body or method != "GET":
            head += f"Content-Length: {len(body)}\r\n"
        return self._wire.ask(f"{head}\r\n".encode() + body)

    def cut(self) -> None:
        """End the connection, for its answer is not waited for any more; `run` opens another."""
        if self._wire is not None:
            self._wire.end("cut by us")

    async def run(self) -> None:
        """For ever: connected, and connected again when the other end has had enough."""
        backoff = Backoff(self._random)
        while True:
            begun_ns = self._mono_ns()
            await self._once()
            await asyncio.sleep(backoff.failed(self._mono_ns() - begun_ns) / SEC)

    async def _once(self) -> None:
        try:
            async with asyncio.timeout(OPEN_SEC):
                wire = await self._open()
        except (OSError, TimeoutError):
            return  # no order leaves over it meanwhile; whoever sends takes the ordinary way, which says why
        self._wire = wire
        try:
            await asyncio.shield(wire.ended)
        finally:
            self._wire = None
            wire.end("gambit is stopping")

    async def _open(self) -> "_Wire":
        sock = await _connected(self._host, self._port)
        try:
            tls = None if self._tls is None else _Tls(self._tls, self._host)
            if tls is not None:
                await tls.shake_hands(sock)
            return _Wire(sock, tls)
        except BaseException:
            sock.close()
            raise


class _Wire:
    """One connection and the answer it is reading: a socket of our own, for a transport of the loop keeps what is
    written until the loop's turn is over, and market data may be in that turn."""

    def __init__(self, sock: socket.socket, tls: "_Tls | None") -> None:
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._sock: socket.socket | None = sock
        self._tls = tls
        self._answer: asyncio.Future[HttpAnswer] | None = None
        self._data = bytearray()
        self._unsent = b""
        self._loop.add_reader(sock, self._readable)

    @property
    def is_free(self) -> bool:
        return self._sock is not None and self._answer is None and not self._unsent

    def ask(self, data: bytes) -> "asyncio.Future[HttpAnswer]":
        answer: asyncio.Future[HttpAnswer] = self._loop.create_future()
        self._answer = answer
        self._send(data if self._tls is None else self._tls.sealed(data))
        return answer

    def end(self, reason: str) -> None:
        """No more of it: whoever waits for an answer hears why, and the socket is dropped."""
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(HttpError(reason, sent=True))
        sock, self._sock = self._sock, None
        if sock is not None:
            self._loop.remove_reader(sock)
            self._loop.remove_writer(sock)
            sock.close()
            self.ended.set_result(None)

    def _send(self, data: bytes) -> None:
        """As much as the kernel takes now, the rest as soon as it takes more."""
        if self._sock is None or not data:
            return
        try:
            taken = self._sock.send(data)
        except BlockingIOError:
            taken = 0
        except OSError as error:
            self.end(f"the connection was lost: {error}")
            return
        was_waiting, self._unsent = bool(self._unsent), data[taken:]
        if self._unsent and not was_waiting:
            self._loop.add_writer(self._sock, self._writable)
        elif was_waiting and not self._unsent:
            self._loop.remove_writer(self._sock)

    def _writable(self) -> None:
        self._send(self._unsent)

    def _readable(self) -> None:
        if self._sock is None:
            return
        try:
            data = self._sock.recv(READ_BYTES)
            is_over = not data
            if self._tls is not None:
                data, is_over = self._tls.opened(data)
                self._send(self._unsent + self._tls.due())
        except BlockingIOError:
            return
        except OSError as error:  # TLS's own errors are some too
            self.end(f"the connection was lost: {error}")
            return
        self._data += data
        self._look(is_over=is_over)
        if is_over:
            self.end("the connection was lost")

    def _look(self, *, is_over: bool) -> None:
        """Whether the answer is whole."""
        try:
            found = read_answer(bytes(self._data), is_over=is_over)
        except NotHttp as error:
            self.end(str(error))
            return
        if found is None:
            return
        answer, used, is_last = found
        del self._data[:used]
        waiting, self._answer = self._answer, None
        if waiting is None or self._data:  # an answer that nobody asked for: which one is the next one's?
            is_last = True
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)
        if is_last:
            self.end("the venue ended it")


class _Tls:
    """What TLS makes of bytes, without a socket. Raises ssl.SSLError, which is an OSError."""

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._session = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)

    async def shake_hands(self, sock: socket.socket) -> None:
        """With the other end."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                self._session.do_handshake()
                is_done = True
            except ssl.SSLWantReadError:
                is_done = False
            await loop.sock_sendall(sock, self.due())
            if is_done:
                return
            data = await loop.sock_recv(sock, READ_BYTES)
            if not data:
                raise ConnectionResetError("cut during the TLS handshake")
            self._incoming.write(data)

    def sealed(self, data: bytes) -> bytes:
        """As it goes over the wire."""
        self._session.write(data)
        return self.due()

    def opened(self, data: bytes) -> tuple[bytes, bool]:
        """What the other end says, and whether it has said all; `data` is empty when its socket is closed."""
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
        parts: list[bytes] = []
        while True:
            try:
                part = self._session.read(READ_BYTES)
            except ssl.SSLWantReadError:
                return b"".join(parts), False
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b"".join(parts), True
            if not part:
                return b"".join(parts), True
            parts.append(part)

    def due(self) -> bytes:
        """What TLS itself has to say."""
        return self._outgoing.read()


async def _connected(host: str, port: int) -> socket.socket:
    """A socket to one of a host's addresses. Raises OSError."""
    loop = asyncio.get_running_loop()
    failure: OSError | None = None
    for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(sock, address)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure or OSError(f"{host} has no address")


def read_answer(data: bytes, *, is_over: bool) -> tuple[HttpAnswer, int, bool] | None:
    """The first answer in `data`, the bytes it takes, and whether the connection ends with it; None while it is not
    whole. `is_over`: no more bytes will come. Raises NotHttp."""
    start = 0
    while True:
        end = data.find(b"\r\n\r\n", start)
        if end < 0:
            if len(data) - start > MAX_HEAD_BYTES:
                raise NotHttp(f"an answer with more than {MAX_HEAD_BYTES} bytes of headers")
            return None
        status, version, headers = _head(data[start:end])
        start = end + 4
        if status >= 200:
            break  # what is below only says that an answer will come
    framed = _body(data, start, status, headers, is_over=is_over)
    if framed is None:
        return None
    body, used, is_cut = framed
    is_last = is_cut or version == "HTTP/1.0" or "close" in headers.get("connection", "").lower()
    return HttpAnswer(status, headers, body), used, is_last


def _head(text: bytes) -> tuple[int, str, dict[str, str]]:
    first, *lines = text.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    code = rest[:3]
    if version not in ("HTTP/1.1", "HTTP/1.0") or not (code.isascii() and code.isdigit()):
        raise NotHttp(f"an answer that begins {first[:40]!r}")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or name != name.strip():
            raise NotHttp(f"a header that is none: {line[:40]!r}")
        headers[name.lower()] = value.strip()
    return int(code), version, headers


def _body(
    data: bytes, start: int, status: int, headers: Mapping[str, str], *, is_over: bool
) -> tuple[bytes, int, bool] | None:
    """The body, where it ends, and whether only the connection's end says so."""
    if status in WITHOUT_BODY:
        return b"", start, False
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return _chunks(data, start)
    length = headers.get("content-length")
    if length is None:
        _bounded(len(data) - start)
        return (data[start:], len(data), True) if is_over else None
    if not (length.isascii() and length.isdigit()):
        raise NotHttp(f"a length that is none: {length[:40]!r}")
    size = _bounded(int(length))
    return (data[start : start + size], start + size, False) if len(data) >= start + size else None


def _chunks(data: bytes, at: int) -> tuple[bytes, int, bool] | None:
    parts: list[bytes] = []
    size_all = 0
    while True:
        line_end = data.find(b"\r\n", at)
        if line_end < 0:
            return None
        text = data[at:line_end].partition(b";")[0].strip()
        try:
            size = int(text, 16) if text.isalnum() else -1
        except ValueError:
            size = -1
        if size < 0:
            raise NotHttp(f"a chunk's size that is none: {text[:40]!r}")
        at = line_end + 2
        if size == 0:
            end = data.find(b"\r\n", at) if data[at : at + 2] == b"\r\n" else data.find(b"\r\n\r\n", at)
            if end < 0:
                return None
            return b"".join(parts), end + (2 if end == at else 4), False
        size_all = _bounded(size_all + size)
        if len(data) < at + size + 2:
            return None
        if data[at + size : at + size + 2] != b"\r\n":
            raise NotHttp("a chunk that is longer than it said")
        parts.append(data[at : at + size])
        at += size + 2


def _bounded(size: int) -> int:
    if size > MAX_BODY_BYTES:
        raise NotHttp(f"an answer of more than {MAX_BODY_BYTES} bytes")
    return size
