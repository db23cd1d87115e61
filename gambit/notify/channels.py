"""The ways to people over HTTP: Slack's and any other webhook, Telegram's Bot API. One try each; the post tries again.

Nothing that is said about a failure holds the address: it may be a secret.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import aiohttp
import msgspec

from gambit.notify import parcel as words
from gambit.notify import signing
from gambit.notify.addresses import ForbiddenAddress, GuardedResolver, check_url
from gambit.notify.parcel import Parcel

ANSWER_BYTES: Final = 64 * 1024
TRY_AGAIN: Final = frozenset({408, 425, 429})
WAIT_SEC_MAX: Final = 300.0


class NotDelivered(Exception):
    """One try failed. `is_final`: another one would fail too; `wait_sec`: what the other side asks for."""

    def __init__(self, text: str, *, is_final: bool = False, wait_sec: float = 0.0) -> None:
        super().__init__(text)
        self.is_final = is_final
        self.wait_sec = min(wait_sec, WAIT_SEC_MAX)


class Channel(Protocol):
    """A way to people."""

    kind: str

    async def send(self, parcel: Parcel) -> None:
        """Raises NotDelivered."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Poster:
    """POSTs to addresses that may be posted to, without redirects, cookies or proxies of the environment."""

    def __init__(self, *, allow_private: bool, timeout_sec: float) -> None:
        self._allow_private = allow_private
        self._timeout = aiohttp.ClientTimeout(total=timeout_sec)
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """The answer, whatever it says. Raises NotDelivered where there is none."""
        try:
            check_url(url, allow_private=self._allow_private)
        except ForbiddenAddress as error:
            raise NotDelivered(f"not sent: {error}", is_final=True) from error
        try:
            async with self._opened().post(
                url, data=body, headers=dict(headers), allow_redirects=False, timeout=self._timeout
            ) as answer:
                whole = await answer.content.read(ANSWER_BYTES)
                return Answer(answer.status, {name.lower(): value for name, value in answer.headers.items()}, whole)
        except aiohttp.ClientConnectorError as error:
            raise NotDelivered(f"no connection: {error.os_error.strerror or type(error.os_error).__name__}") from None
        except TimeoutError:
            raise NotDelivered(f"no answer within {self._timeout.total:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NotDelivered(f"no answer: {type(error).__name__}") from None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            resolver = None if self._allow_private else GuardedResolver()
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=resolver, limit=8),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "gambit"},
            )
        return self._session

    async def close(self) -> None:
        """Close what is open."""
        if self._session is not None:
            await self._session.close()


def judge(answer: Answer, what: str) -> None:
    """Raises NotDelivered for an answer that is no yes; a redirect is one too."""
    if 200 <= answer.status < 300:
        return
    wait = answer.headers.get("retry-after", "")
    raise NotDelivered(
        f"{what} answered {answer.status}",
        is_final=300 <= answer.status < 500 and answer.status not in TRY_AGAIN,
        wait_sec=float(wait) if wait.isdecimal() else 0.0,
    )


class Webhook:
    """Any server that takes a signed JSON document."""

    kind = "webhook"

    def __init__(
        self, poster: Poster, url: str, secret: bytes, now_ns: Callable[[], int] = time.time_ns
    ) -> None:  # fmt: skip
        self._poster = poster
        self._url = url
        self._secret = secret
        self._now_ns = now_ns

    async def send(self, parcel: Parcel) -> None:
        """See Channel."""
        now_ns = self._now_ns()
        body = msgspec.json.encode(words.document(parcel, now_ns))
        headers = signing.headers(self._secret, parcel.parcel_id, body, now_ns // 1_000_000_000)
        judge(await self._poster.post(self._url, body, {"Content-Type": "application/json", **headers}), "the webhook")

    async def close(self) -> None:
        """See Channel."""
        await self._poster.close()


class Slack:
    """An incoming webhook of Slack; its address is its secret."""

    kind = "slack"

    def __init__(self, poster: Poster, url: str) -> None:
        self._poster = poster
        self._url = url

    async def send(self, parcel: Parcel) -> None:
        """See Channel."""
        body = msgspec.json.encode(words.slack(parcel))
        judge(await self._poster.post(self._url, body, {"Content-Type": "application/json"}), "Slack")

    async def close(self) -> None:
        """See Channel."""
        await self._poster.close()


class Telegram:
    """Messages of a bot to one chat."""

    kind = "telegram"

    def __init__(self, poster: Poster, base_url: str, token: str, chat_id: str) -> None:
        self._poster = poster
        self._url = f"{base_url.rstrip('/')}/bot{token}/sendMessage"
        self._chat_id = chat_id

    async def send(self, parcel: Parcel) -> None:
        """See Channel."""
        body = msgspec.json.encode(
            {
                "chat_id": self._chat_id,
                "text": words.telegram_html(parcel),
                "parse_mode": "HTML",
                "link_preview_options": {"is_disabled": True},
            }
        )
        answer = await self._poster.post(self._url, body, {"Content-Type": "application/json"})
        if answer.status == 429:
            raise NotDelivered("Telegram answered 429", wait_sec=_retry_after(answer.body))
        judge(answer, "Telegram")

    async def close(self) -> None:
        """See Channel."""
        await self._poster.close()


def _retry_after(body: bytes) -> float:
    """How long Telegram wants to be left alone."""
    try:
        found: Any = msgspec.json.decode(body)
        return float(found["parameters"]["retry_after"])
    except (msgspec.DecodeError, RecursionError, KeyError, TypeError, ValueError):
        return 1.0
