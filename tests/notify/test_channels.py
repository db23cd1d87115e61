"""Every way to people against a local server; S43 and S44: what is believed, and where nothing is sent."""

import email
import email.policy
import json
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver

from gambit.events.alerts import AlertRaised
from gambit.notify import signing
from gambit.notify.addresses import ForbiddenAddress, GuardedResolver, check_url
from gambit.notify.channels import NotDelivered, Poster, Slack, Telegram, Webhook
from gambit.notify.mail import Apprise, Mail, Server
from gambit.notify.parcel import Item, parcel_of
from gambit.notify.signing import NotAuthentic, Verifier
from tests.notify.servers import Inbox, http_server, smtp_server
from tests.notify.test_outbox import HOSTILE, alert

NOW = 1_750_000_000
SECRET = b"0123456789abcdef0123"
PARCEL = parcel_of("x", [Item("raised", alert(1, "critical", message=HOSTILE), NOW * 10**9)])


def poster() -> Poster:
    return Poster(allow_private=True, timeout_sec=5)


async def test_a_webhook_is_signed() -> None:
    """What is sent verifies with the secret, once."""
    inbox = Inbox()
    async with http_server(inbox) as url:
        channel = Webhook(poster(), f"{url}/hook", SECRET, lambda: NOW * 10**9)
        await channel.send(PARCEL)
        await channel.close()
    [(path, headers, body)] = inbox.requests
    assert path == "/hook"
    assert Verifier([SECRET]).verify(headers, body, NOW) == PARCEL.parcel_id
    document = json.loads(body)
    assert document["delivery_id"] == PARCEL.parcel_id
    assert document["alerts"][0]["message"] == HOSTILE


def sent(body: bytes = b'{"a": 1}', now: int = NOW, delivery: str = "d1") -> dict[str, str]:
    """The headers of a good delivery, as a server has them."""
    return {name.lower(): value for name, value in signing.headers(SECRET, delivery, body, now).items()}


@pytest.mark.parametrize(
    "change",
    [
        {signing.SIGNATURE: ""},
        {signing.SIGNATURE: "v1=" + "0" * 64},
        {signing.SIGNATURE: sent()[signing.SIGNATURE][:-2]},
        {signing.SIGNATURE: sent()[signing.SIGNATURE].upper()},
        {signing.SIGNATURE: sent()[signing.SIGNATURE][3:]},
        {signing.SIGNATURE: "v1=é" + "0" * 63},
        {signing.TIMESTAMP: str(NOW + 1)},
        {signing.TIMESTAMP: ""},
        {signing.TIMESTAMP: "1e9"},
        {signing.DELIVERY: "d2"},
        {signing.DELIVERY: "../d1"},
    ],
)
def test_what_is_not_authentic_is_refused(change: Mapping[str, str]) -> None:
    """S43: missing, wrong, cut, in another case or encoding, with another time or id: 401."""
    with pytest.raises(NotAuthentic) as caught:
        Verifier([SECRET]).verify({**sent(), **change}, b'{"a": 1}', NOW)
    assert caught.value.status == 401


def test_the_raw_bytes_are_signed_and_count_once_and_soon() -> None:
    """S43: the same JSON spelled otherwise, six minutes off, or twice: no. An old secret while it overlaps: yes."""
    verifier = Verifier([b"another secret of ours", SECRET])
    with pytest.raises(NotAuthentic):
        verifier.verify(sent(), b'{"a":1}', NOW)
    for off in (-360, 360):
        with pytest.raises(NotAuthentic, match="timestamp"):
            verifier.verify(sent(now=NOW + off), b'{"a": 1}', NOW)
    assert verifier.verify(sent(), b'{"a": 1}', NOW + 200) == "d1"
    with pytest.raises(NotAuthentic) as caught:
        verifier.verify(sent(), b'{"a": 1}', NOW + 201)
    assert caught.value.status == 409
    with pytest.raises(ValueError, match="at least 16 bytes"):
        signing.signature(b"short", "1", "d", b"")


async def test_slack_and_telegram() -> None:
    """The message in each one's form; a 429 says how long to wait; a refusal is final; redirects are not followed."""
    inbox = Inbox()
    async with http_server(inbox) as url:
        slack, telegram = Slack(poster(), f"{url}/slack"), Telegram(poster(), url, "1:T0KEN", "42")
        await slack.send(PARCEL)
        await telegram.send(PARCEL)
        inbox.answers = [
            (429, {}, b'{"ok":false,"parameters":{"retry_after":7}}'),
            (429, {"Retry-After": "9"}, b""),
            (404, {}, b""),
            (302, {"Location": f"{url}/elsewhere"}, b""),
            (500, {}, b""),
        ]
        told = []
        for channel in (telegram, slack, slack, slack, slack):
            with pytest.raises(NotDelivered) as caught:
                await channel.send(PARCEL)
            told.append((caught.value.wait_sec, caught.value.is_final))
        await slack.close()
        await telegram.close()
    assert told == [(7, False), (9, False), (0, True), (0, True), (0, False)]
    assert len(inbox.requests) == 7
    assert inbox.requests[1][0] == "/bot1:T0KEN/sendMessage"
    assert json.loads(inbox.requests[1][2])["chat_id"] == "42"


async def test_failures_do_not_tell_secrets() -> None:
    """The address of a webhook is its secret: no error holds it."""
    for channel in (
        Slack(Poster(allow_private=True, timeout_sec=1), "http://127.0.0.1:1/services/S3CRET"),
        Telegram(Poster(allow_private=True, timeout_sec=1), "http://127.0.0.1:1", "S3CRET", "1"),
        Slack(Poster(allow_private=False, timeout_sec=1), "http://S3CRET@host/x"),
        Slack(Poster(allow_private=True, timeout_sec=1), "http://[S3CRET"),
    ):
        with pytest.raises(NotDelivered) as caught:
            await channel.send(PARCEL)
        assert "S3CRET" not in str(caught.value)
        assert "S3CRET" not in repr(caught.value.__cause__)
        await channel.close()


async def test_mail() -> None:
    """One mail, its own words in it, no header of a stranger's; a server that is gone is tried again."""
    inbox = Inbox()
    async with smtp_server(inbox) as port:
        server = Server(host="127.0.0.1", port=port, tls="none", timeout_sec=5, allow_private=True)
        evil = Item("raised", alert(2, "critical", message="x\r\nBcc: thief@example.org"), NOW * 10**9)
        await Mail(server, "gambit@example.org", ["desk@example.org", "ops@example.org"]).send(parcel_of("m", [evil]))
    [envelope] = inbox.mails
    assert envelope.rcpt_tos == ["desk@example.org", "ops@example.org"]
    message = email.message_from_bytes(envelope.content, policy=email.policy.default)
    assert message["Bcc"] is None
    assert message["Subject"] == "[gambit critical] x Bcc: thief@example.org"
    assert "what to do: docs/runbook/venue_down.md" in message.get_content()
    with pytest.raises(NotDelivered) as caught:
        await Mail(server, "gambit@example.org", ["desk@example.org"]).send(PARCEL)
    assert not caught.value.is_final


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # apprise and what it imports
async def test_apprise() -> None:
    """Any target apprise knows; one that it does not know is final."""
    inbox = Inbox()
    async with http_server(inbox) as url:
        await Apprise(url.replace("http://", "json://") + "/there", 20).send(PARCEL)
        with pytest.raises(NotDelivered) as caught:
            await Apprise("nothing-known", 20).send(PARCEL)
    assert caught.value.is_final
    assert json.loads(inbox.requests[0][2])["message"].startswith("!! critical")


FORBIDDEN = (
    "https://127.0.0.1/x", "https://localhost/x", "https://LOCALHOST./x", "https://[::1]/x", "https://10.0.0.1/x",
    "https://192.168.1.1/x", "https://169.254.169.254/latest/meta-data", "https://[fe80::1%25eth0]/x",
    "https://[::ffff:127.0.0.1]/x", "https://[64:ff9b::7f00:1]/x", "https://[2002:7f00:1::]/x", "https://0.0.0.0/x",
    "https://[::]/x", "https://224.0.0.1/x", "https://[fc00::1]/x", "https://100.64.0.1/x", "file:///etc/passwd",
    "http://example.org/x", "ftp://example.org/x", "gopher://example.org", "https:///x", "//example.org/x", "",
    "https://user:pass@example.org/x", "https://example.org:99999/x",
)  # fmt: skip


@pytest.mark.parametrize("url", FORBIDDEN)
async def test_where_nothing_is_sent(url: str) -> None:
    """S44: this machine, private and link-local networks however they are written, other schemes: not tried at all."""
    with pytest.raises(ForbiddenAddress):
        check_url(url, allow_private=False)
    channel = Slack(Poster(allow_private=False, timeout_sec=1), url)
    with pytest.raises(NotDelivered, match="not sent") as caught:
        await channel.send(PARCEL)
    assert caught.value.is_final
    await channel.close()


class Names(AbstractResolver):
    """A resolver that says what it is told to."""

    def __init__(self, *hosts: str) -> None:
        self.hosts = hosts

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[Any]:
        return [
            {"hostname": host, "host": one, "port": port, "family": 2, "proto": 0, "flags": 0} for one in self.hosts
        ]

    async def close(self) -> None:
        """Nothing is open."""


async def test_a_name_that_means_this_machine_gains_nothing() -> None:
    """S44: a name is judged by what it resolves to, at the moment of the connection; of several the public ones."""
    check_url("https://2130706433/x", allow_private=False)  # a name, to whoever resolves it
    for hosts in (["127.0.0.1"], ["10.0.0.1", "::1"], ["::ffff:169.254.169.254"], []):
        with pytest.raises(OSError, match="no public address"):
            await GuardedResolver(Names(*hosts)).resolve("rebind.example.org", 443)
    found = await GuardedResolver(Names("127.0.0.1", "93.184.216.34")).resolve("mixed.example.org", 443)
    assert [one["host"] for one in found] == ["93.184.216.34"]


async def test_a_mail_server_next_door_has_to_be_allowed() -> None:
    """The same bounds as for webhooks."""
    server = Server(host="127.0.0.1", port=25, tls="none")
    with pytest.raises(NotDelivered, match="allow_private") as caught:
        await Mail(server, "a@example.org", ["b@example.org"]).send(PARCEL)
    assert caught.value.is_final


def test_the_alert_of_a_parcel() -> None:
    """The test's own alert is whole."""
    assert isinstance(PARCEL.items[0].alert, AlertRaised)
