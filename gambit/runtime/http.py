"""The HTTP seam: a request out, an answer or an error back. Redirects, cookies and proxies of the environment are not
followed: a venue's answer is not to send us elsewhere."""

import ssl
from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol

import aiohttp

MAX_BODY_BYTES: Final = 64 * 1024 * 1024  # the longest instrument list is some 20 MB
CONNECTIONS_A_HOST: Final = 8


class HttpAnswer(NamedTuple):
    """What came back; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpError(Exception):
    """No answer: the text says what happened on the way. `sent` is False where the request surely never left."""

    def __init__(self, text: str, *, sent: bool) -> None:
        super().__init__(text)
        self.sent = sent


class Http(Protocol):
    """Sends requests."""

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes, timeout_sec: float
    ) -> HttpAnswer:
        """One request, once. Raises HttpError."""
        ...


class AiohttpClient:
    """One session for all venues; open it inside the loop, close it at the end."""

    def __init__(self, tls: ssl.SSLContext | None = None, *, body_max: int = MAX_BODY_BYTES) -> None:
        self.body_max = body_max
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit_per_host=CONNECTIONS_A_HOST, ssl=tls or True),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "gambit"},
        )

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes, timeout_sec: float
    ) -> HttpAnswer:
        """See Http."""
        try:
            async with self.session.request(
                method,
                url,
                headers=headers,
                data=body or None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout_sec),
            ) as answer:
                whole = await _read(answer, self.body_max)
                return HttpAnswer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, whole)
        except aiohttp.ClientConnectorError as error:
            raise HttpError(str(error), sent=False) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise HttpError(
                f"{type(error).__name__}: {error}" if str(error) else type(error).__name__, sent=True
            ) from error

    async def close(self) -> None:
        """Close all connections."""
        await self.session.close()


async def _read(answer: aiohttp.ClientResponse, most: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in answer.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > most:
            raise HttpError(f"an answer of more than {most} bytes", sent=True)
    return b"".join(parts)
