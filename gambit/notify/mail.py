"""E-mail over SMTP (aiosmtplib, extra `notify`), and everything else by apprise, one URL a target (the same extra)."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any, Literal

from gambit.notify import parcel as words
from gambit.notify.addresses import ForbiddenAddress, check_host
from gambit.notify.channels import NotDelivered
from gambit.notify.parcel import Parcel


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A mail server and how to speak to it."""

    host: str
    port: int
    tls: Literal["starttls", "tls", "none"]
    user: str = ""
    password: str = ""
    timeout_sec: float = 10.0
    allow_private: bool = False


class Mail:
    """One message to some people."""

    kind = "email"

    def __init__(self, server: Server, sender: str, to: Sequence[str]) -> None:
        """Raises ValueError for what is no address."""
        self._server = server
        self._sender = Address(addr_spec=sender)
        self._to = [Address(addr_spec=one) for one in to]

    def message(self, parcel: Parcel) -> EmailMessage:
        """What is sent; headers cannot be added by what stands in an alert."""
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = self._to
        message["Subject"] = " ".join(words.title(parcel).split())
        message["Date"] = format_datetime(datetime.fromtimestamp(parcel.items[-1].at_ns / 1e9, UTC))
        message["Message-ID"] = f"<{parcel.parcel_id}@gambit>"
        message["Auto-Submitted"] = "auto-generated"
        if parcel.severity == "critical":
            message["Importance"] = "high"
        message.set_content(words.text(parcel) + "\n")
        return message

    async def send(self, parcel: Parcel) -> None:
        """See Channel."""
        try:
            import aiosmtplib
        except ImportError:
            raise NotDelivered("e-mail needs the extra: pip install 'gambit[notify]'", is_final=True) from None
        server = self._server
        if not server.allow_private:
            await _check_reachable(server)
        try:
            await aiosmtplib.send(
                self.message(parcel),
                hostname=server.host,
                port=server.port,
                username=server.user or None,
                password=server.password or None,
                use_tls=server.tls == "tls",
                start_tls=server.tls == "starttls",
                timeout=server.timeout_sec,
            )
        except aiosmtplib.SMTPResponseException as error:
            raise NotDelivered(f"the mail server answered {error.code}", is_final=500 <= error.code < 600) from None
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = sorted({refusal.code for refusal in error.recipients})
            is_final = all(code >= 500 for code in codes)
            raise NotDelivered(f"the mail server refuses every recipient: {codes}", is_final=is_final) from None
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise NotDelivered(f"the mail server cannot be spoken to: {type(error).__name__}") from None

    async def close(self) -> None:
        """Nothing is kept open."""


async def _check_reachable(server: Server) -> None:
    """The same bounds as for webhooks: a mail server in a private network has to be allowed."""
    import ipaddress

    from gambit.notify.addresses import is_public

    try:
        check_host(server.host)
    except ForbiddenAddress as error:
        raise NotDelivered(f"not sent: {error}; `allow_private` permits it", is_final=True) from error
    try:
        found = await asyncio.get_running_loop().getaddrinfo(server.host, server.port)
    except OSError:
        raise NotDelivered("the mail server's name cannot be resolved") from None
    if not all(is_public(ipaddress.ip_address(str(where[4][0]).partition("%")[0])) for where in found):
        raise NotDelivered(
            "not sent: the mail server is in a private network; `allow_private` permits it", is_final=True
        )


class Apprise:
    """A target of apprise. Its library blocks, so it works in a thread."""

    kind = "apprise"

    def __init__(self, url: str, timeout_sec: float) -> None:
        self._url = url
        self._timeout_sec = timeout_sec

    async def send(self, parcel: Parcel) -> None:
        """See Channel."""
        try:
            async with asyncio.timeout(self._timeout_sec):
                done = await asyncio.to_thread(self._notify, words.title(parcel), words.text(parcel))
        except TimeoutError:
            raise NotDelivered(f"no answer within {self._timeout_sec:g} s") from None
        if not done:
            raise NotDelivered("apprise could not deliver it")

    def _notify(self, title: str, body: str) -> bool:
        try:
            import apprise
        except ImportError:
            raise NotDelivered("apprise needs the extra: pip install 'gambit[notify]'", is_final=True) from None
        target: Any = apprise.Apprise()
        if not target.add(self._url):
            raise NotDelivered("apprise does not know this address", is_final=True)
        return bool(target.notify(title=title, body=body))

    async def close(self) -> None:
        """Nothing is kept open."""
