"""A warm HTTP/1.1 connection to one venue, for requests that cannot wait: connected beforehand, one request at a time,
its bytes handed to the socket within the call that sends it.

An ordinary HTTP client takes several turns of the loop until a request leaves, and each turn may be full of market
data. What is spoken here is the part of RFC 9112 that an API needs: answers framed by length, by chunks or by the
connection's end. Whatever is not understood ends the connection, and the request at hand has no answer.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import Final, cast
from urllib.parse import urlsplit

from gambit.runtime.backoff import SEC, Backoff
from gambit.runtime.http import MAX_BODY_BYTES, HttpAnswer, HttpError

MAX_HEAD_BYTES: Final = 64 * 1024
OPEN_SEC: Final = 10.0
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
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(OPEN_SEC):
                _, wire = await loop.create_connection(_Wire, self._host, self._port, ssl=self._tls)
        except (OSError, TimeoutError):
            return  # no order leaves over it meanwhile; whoever sends takes the ordinary way, which says why
        self._wire = wire
        try:
            await asyncio.shield(wire.ended)
        finally:
            self._wire = None
            wire.end("gambit is stopping")


class _Wire(asyncio.Protocol):
    """One connection and the answer it is reading."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = loop.create_future()
        self._new_answer = loop.create_future
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[HttpAnswer] | None = None
        self._data = bytearray()

    @property
    def is_free(self) -> bool:
        return self._transport is not None and self._answer is None and not self._transport.is_closing()

    def ask(self, data: bytes) -> "asyncio.Future[HttpAnswer]":
        answer: asyncio.Future[HttpAnswer] = self._new_answer()
        self._answer = answer
        if self._transport is not None:
            self._transport.write(data)
        return answer

    def end(self, reason: str) -> None:
        """No more of it: whoever waits for an answer hears why, and the socket is dropped."""
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(HttpError(reason, sent=True))
        if self._transport is not None:
            self._transport.abort()

    # ---- called by the loop ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._data += data
        self._look(is_over=False)

    def eof_received(self) -> bool:
        self._look(is_over=True)
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.end(f"the connection was lost{f': {error}' if error else ''}")
        self._transport = None
        if not self.ended.done():
            self.ended.set_result(None)

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
