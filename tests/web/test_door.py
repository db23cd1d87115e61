"""The WebSocket from outside: who gets in, who has to leave, what they are told (reliability.md S20 to S25)."""

import asyncio
import json
import time
from typing import Any

import aiohttp
import pytest

from gambit.access.permissions import Role
from gambit.drills.clocks import waited_ns
from gambit.web import door, fanout
from tests.web.standing import Standing, close_code, masked

BAD_ORIGINS = {
    "foreign": {"Origin": "https://evil.example"},
    "null": {"Origin": "null"},
    "look-alike": {"Origin": "http://127.0.0.1.evil.example"},
    "other port": {"Origin": "http://127.0.0.1:1"},
    "other scheme": {"Origin": "https://127.0.0.1:{port}"},
    "rebound name": {"Origin": "http://evil.example:{port}", "Host": "evil.example:{port}"},
    "browser without": {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Chrome/130"},
    "cookie without": {"Cookie": "a=b"},
}


@pytest.mark.parametrize("name", BAD_ORIGINS)
async def test_s20_foreign_origins_are_refused_before_the_upgrade(name: str) -> None:
    """A page of somebody else, a made-up one, and a browser that hides where it is: 403, even with a good token."""
    async with Standing() as standing:
        token = standing.tokens.issue("ann")
        headers = {key: value.format(port=standing.port) for key, value in BAD_ORIGINS[name].items()}
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            async with standing.session.ws_connect(
                standing.url, headers={**headers, "Authorization": f"Bearer {token}"}
            ):
                pass
        assert refusal.value.status == 403


async def test_s20_own_and_configured_origins_may_connect() -> None:
    """The page this daemon served, and the origins of api.cors_origins."""
    async with Standing(frozenset({"https://desk.example"})) as standing:
        for origin in (f"http://127.0.0.1:{standing.port}", "https://desk.example"):
            async with standing.client(standing.tokens.issue("ann"), Origin=origin) as client:
                assert (await client.hear())["op"] == "welcome"


@pytest.mark.parametrize("query", ["token=T", "access_token=T", "ticket=T", "a"])
async def test_s21_no_token_in_urls(query: str) -> None:
    """An address with a query is refused, whatever the query is called: it would end in logs."""
    async with Standing() as standing:
        url = f"{standing.url}?{query.replace('T', standing.tokens.issue('ann'))}"
        async with standing.session.get(url, headers=_upgrade()) as answer:
            assert answer.status == 400


def _upgrade() -> dict[str, str]:
    key = "AAAAAAAAAAAAAAAAAAAAAA=="
    return {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key}


@pytest.mark.parametrize("header", ["Bearer nonsense", "Basic YTpi", "Bearer"])
async def test_s21_a_bad_header_is_refused_before_the_upgrade(header: str) -> None:
    """An Authorization that does not hold: 401."""
    async with (
        Standing() as standing,
        standing.session.get(standing.url, headers={**_upgrade(), "Authorization": header}) as answer,
    ):
        assert answer.status == 401


async def test_s21_the_first_message_may_have_the_token() -> None:
    """Who has no header says it first, and is welcome."""
    async with Standing() as standing, standing.client() as client:
        await client.say(op="auth", token=standing.tokens.issue("ann", Role.VIEWER))
        welcome = await client.hear()
        assert (welcome["user"], welcome["role"]) == ("ann", "viewer")
        assert welcome["channels"] == ["alert.raised", "system.metrics", "market.normalized"]


@pytest.mark.parametrize(
    "first", ['{"op":"auth","token":"nonsense"}', '{"op":"subscribe","channels":["order.status"]}', "nonsense", None]
)
async def test_s21_nothing_before_a_token(first: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another first message, a bad token, or silence for the time there is: closed with 1008."""
    monkeypatch.setattr(door, "AUTH_SEC", 0.2 if first is None else 5.0)
    async with Standing() as standing, standing.client() as client:
        if first is not None:
            await client.ws.send_str(first)
        assert (await client.hear())["close"] == 1008


async def test_s22_expiry_closes_and_a_newer_token_prevents_it() -> None:
    """At the token's end the socket closes with 4401; one that sent a newer token in time stays."""
    async with Standing() as standing:
        short, also_short = (standing.tokens.issue("ann", lives_sec=door.EXPIRING_SEC - 1) for _ in range(2))
        async with standing.client(short) as going, standing.client(also_short) as staying:
            assert 0 < (await staying.until(op="expiring"))["in_sec"] < door.EXPIRING_SEC
            await staying.say(op="auth", token=standing.tokens.issue("ann"))
            await staying.until(op="welcome", user="ann")
            standing.tokens.ahead_ns = door.EXPIRING_SEC * door.SECOND_NS
            await going.until(close=4401)
            await staying.say(op="ping", t=1)
            assert (await staying.until(op="pong"))["t"] == 1


async def test_s22_a_token_of_somebody_else_is_no_renewal() -> None:
    """A socket does not change hands."""
    async with Standing() as standing, standing.client(standing.tokens.issue("ann")) as client:
        await client.say(op="auth", token=standing.tokens.issue("bob"))
        await client.until(close=4401)


async def test_s08_an_ended_session_closes_its_socket() -> None:
    """Logout, role change and disabling act on an open socket within a second."""
    async with Standing() as standing:
        token = standing.tokens.issue("ann")
        async with standing.client(token) as client:
            await client.until(op="welcome")
            began_ns = time.monotonic_ns() - waited_ns()
            del standing.tokens.known[token]
            await client.until(close=4401)
            took_ns = time.monotonic_ns() - waited_ns() - began_ns  # without the wait for a processor
            assert took_ns < (fanout.LOOK_SEC + 1.0) * door.SECOND_NS


async def test_s23_nothing_can_be_commanded() -> None:
    """A frame that commands: an error, an audit record, no effect; the connection goes on."""
    async with Standing() as standing, standing.client(standing.tokens.issue("vic", Role.VIEWER)) as client:
        await client.say(op="halt", reason="mine")
        assert (await client.until(op="error"))["code"] == "command"
        assert standing.audited[0][:2] == ("vic", "websocket command halt")
        await client.say(op="ping", t="x")
        await client.until(op="pong", t="x")


async def test_s23_scopes_are_checked_per_channel() -> None:
    """A viewer gets books, and no orders, however they are asked for."""
    async with Standing() as standing, standing.client(standing.tokens.issue("vic", Role.VIEWER)) as client:
        await client.say(op="subscribe", channels=["market.normalized", "order.status"])
        refusal = await client.until(op="error")
        assert (refusal["code"], refusal["missing"]) == ("forbidden", {"order.status": "ws:read:orders"})
        assert standing.audited[0] == ("vic", "websocket subscribe", "refused: order.status")
        await client.say(op="subscribe", channels=["market.normalized"])
        await client.until(op="subscribed")
        standing.hub.publish("order.status", {"order_id": "secret"})
        standing.hub.publish("market.normalized", {"symbol": "BTC-USDT"}, "b")
        heard = await client.until(channel="market.normalized")
        while not heard["data"]:
            heard = await client.until(channel="market.normalized")
        assert heard["data"] == [{"symbol": "BTC-USDT"}]


async def test_unknown_channels_are_named() -> None:
    """A wrong name is an error that says which there are."""
    async with Standing() as standing, standing.client(standing.tokens.issue("ann")) as client:
        await client.say(op="subscribe", channels=["orders"])
        refusal = await client.until(op="error")
        assert refusal["code"] == "unknown_channel"
        assert "order.status" in refusal["channels"]


async def test_a_subscription_is_snapshot_then_events() -> None:
    """Acknowledged with where it begins, then the snapshot, then what happens."""
    async with Standing() as standing, standing.client(standing.tokens.issue("ann")) as client:
        await client.say(op="subscribe", channels=["order.status"])
        begin = await client.until(op="subscribed")
        snapshot = await client.hear()
        assert snapshot["snapshot"]
        assert snapshot["data"] == [{"order_id": "old"}]
        standing.hub.publish("order.status", {"order_id": "new"})
        event = await client.hear()
        assert event["seq"] == begin["channels"]["order.status"]["seq"] + 1
        assert event["data"] == {"order_id": "new"}


async def test_who_comes_back_gets_what_was_missed() -> None:
    """Resume by the last number seen."""
    async with Standing() as standing:
        token = standing.tokens.issue("ann")
        async with standing.client(token) as client:
            await client.say(op="subscribe", channels=["order.status"])
            seen = (await client.until(op="subscribed"))["channels"]["order.status"]["seq"]
        for n in range(3):
            standing.hub.publish("order.status", {"n": n})
        async with standing.client(token) as client:
            await client.say(op="subscribe", channels=["order.status"], since={"order.status": seen})
            assert (await client.until(op="subscribed"))["channels"]["order.status"]["resumed"]
            assert [(await client.hear())["data"]["n"] for _ in range(3)] == [0, 1, 2]


def _fragments() -> bytes:
    return masked(0x01, b'{"op":') + masked(0x00, b"") * 5000


ABUSE: dict[str, tuple[bytes, int]] = {
    "16 MB": (masked(0x81, b"x" * 100_000), 1009),
    "16 MB announced": (b"\x81\xff" + (16 << 20).to_bytes(8, "big") + b"\0\0\0\0", 1009),
    "endless fragments": (_fragments(), 1008),
    "fragments too long": (masked(0x01, b"x" * 30_000) + masked(0x00, b"x" * 30_000), 1009),
    "unmasked": (masked(0x81, b'{"op":"ping"}', mask=False), 1002),
    "bad UTF-8": (masked(0x81, b"\xff\xfe\xfd"), 1007),
    "ping flood": (masked(0x89, b"x") * 1000, 1008),
    "pong flood": (masked(0x8A, b"") * 1000, 1008),
    "compression bomb": (masked(0xC1, b"\xaa" * 1000), 1002),
    "reserved opcode": (masked(0x83, b""), 1002),
    "long ping": (masked(0x89, b"x" * 200), 1002),
    "1 000 subscriptions": (masked(0x81, b'{"op":"subscribe","channels":["order.status"]}') * 1000, 1008),
    "binary": (masked(0x82, b"x"), 1003),
    "nonsense": (masked(0x81, b"nonsense") * 50, 1008),
}


@pytest.mark.parametrize("name", ABUSE)
async def test_s24_frames_that_break_the_rules_end_the_connection(name: str) -> None:
    """Each kind of abuse is closed with its code, and others do not feel it."""
    frames, code = ABUSE[name]
    async with Standing() as standing, standing.client(standing.tokens.issue("ann")) as other:
        reader, writer = await standing.raw(standing.tokens.issue("mal"))
        writer.write(frames)
        assert await close_code(reader) == code
        writer.close()
        await other.say(op="ping", t=1)
        await other.until(op="pong", t=1)


async def test_s24_a_thousand_channels_in_one_message_are_refused() -> None:
    """Lists have a limit; over it is an error, too often is the end."""
    async with Standing() as standing, standing.client(standing.tokens.issue("ann")) as client:
        for _ in range(door.STRIKES_MAX + 1):
            await client.say(op="subscribe", channels=["order.status"], symbols=[f"S{n}-USDT" for n in range(1000)])
        assert "64" in (await client.until(op="error"))["detail"]
        assert (await client.until(close=1008))["why"]


@pytest.mark.parametrize("begin", ['{"op":"ping","t":', '{"x":', '{"op":"subscribe","channels":', ""])
async def test_s24_a_message_nested_without_end_is_a_bad_one(begin: str) -> None:
    """Wherever the nesting stands; the connection goes on, and a stranger's is closed like any without a token."""
    text = begin + "[" * 15_000
    async with Standing() as standing:
        async with standing.client() as stranger:
            await stranger.ws.send_str(text)
            assert (await stranger.hear())["close"] == 1008
        async with standing.client(standing.tokens.issue("ann")) as client:
            await client.ws.send_str(text)
            assert (await client.until(op="error"))["code"] == "bad_message"
            await client.say(op="ping", t="x")
            await client.until(op="pong", t="x")


async def test_s24_frames_that_come_with_the_upgrade_are_looked_at_too() -> None:
    """What is sent before the upgrade is answered goes past the same guard."""
    async with Standing() as standing:
        token = standing.tokens.issue("mal")
        reader, writer = await asyncio.open_connection("127.0.0.1", standing.port)
        lines = [f"{name}: {value}" for name, value in {**_upgrade(), "Authorization": f"Bearer {token}"}.items()]
        head = "\r\n".join(["GET /ws/dashboard HTTP/1.1", f"Host: 127.0.0.1:{standing.port}", *lines, "", ""])
        writer.write(head.encode() + masked(0x81, b'{"op":"ping"}', mask=False))
        await reader.readuntil(b"\r\n\r\n")
        assert await close_code(reader) == 1002
        writer.close()


async def test_s25_who_does_not_read_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stalled reader is cut with 1013 and counted while another gets everything; what is held for it is bounded."""
    monkeypatch.setattr(fanout, "STALL_SEC", 0.3)
    monkeypatch.setattr(fanout, "CUT_SEC", 30.0)
    async with Standing() as standing:
        reader, writer = await standing.raw(standing.tokens.issue("slow"))
        transport: Any = writer.transport
        transport.pause_reading()
        writer.write(masked(0x81, b'{"op":"subscribe","channels":["market.normalized"],"rate":20}'))
        async with standing.client(standing.tokens.issue("ann")) as healthy:
            await healthy.say(op="subscribe", channels=["order.status"])
            await healthy.until(op="subscribed")
            sent = 0
            held = 0
            while not standing.door.fanout.cut_count:
                sent += 1
                standing.hub.publish("market.normalized", {"text": "x" * 50_000}, "big")
                standing.hub.publish("order.status", {"n": sent})
                event = await healthy.until(channel="order.status")
                while event.get("snapshot"):
                    event = await healthy.until(channel="order.status")
                assert event["data"] == {"n": sent}
                held = max(held, *(m.transport.get_write_buffer_size() for m in standing.door.members))
            assert held < 60_000
            transport.resume_reading()
            assert await close_code(reader) == fanout.TRY_AGAIN_LATER
        writer.close()


async def test_s25_a_silent_peer_is_asked_and_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A half-open connection answers no ping and is gone; one that answers stays, and how long that took is told."""
    trips_ns: list[int] = []
    monkeypatch.setattr(door, "PING_SEC", 0.2)
    monkeypatch.setattr(door, "PONG_SEC", 0.3)
    monkeypatch.setattr(fanout, "LOOK_SEC", 0.05)
    monkeypatch.setattr(fanout, "CUT_SEC", 0.1)
    async with Standing() as standing, standing.client(standing.tokens.issue("ann")) as client:
        standing.door.on_round_trip = trips_ns.append
        _, writer = await standing.raw(standing.tokens.issue("gone"))
        answering = asyncio.create_task(client.until(op="pong"))
        while len(standing.door.members) == 2:
            await asyncio.sleep(0.01)
        (left,) = standing.door.members
        assert left.who is not None
        assert left.who.name == "ann"
        await client.say(op="ping", t=1)
        await answering
        assert trips_ns
        assert min(trips_ns) > 0
        writer.close()


async def test_the_end_of_the_daemon_is_told() -> None:
    """Going away is 1001: come back to the next one."""
    async with Standing() as standing, standing.client(standing.tokens.issue("ann")) as client:
        await client.until(op="welcome")
        closing = asyncio.create_task(standing.door.close())
        await client.until(close=1001)
        await closing


async def test_too_many_connections_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit: 503, and those who are here stay."""
    monkeypatch.setattr(door, "CONNECTIONS_MAX", 2)
    token = "token-ann-0"
    async with Standing() as standing, standing.client(standing.tokens.issue("ann")) as client, standing.client(token):
        await client.until(op="welcome")
        async with standing.session.get(standing.url, headers=_upgrade()) as answer:
            assert answer.status == 503
        await client.ws.send_str(json.dumps({"op": "ping"}))
        await client.until(op="pong")


async def test_strangers_take_no_place_of_those_who_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections without a token yet are few; with one there is room."""
    monkeypatch.setattr(door, "STRANGERS_MAX", 1)
    async with Standing() as standing, standing.client():
        async with standing.session.get(standing.url, headers=_upgrade()) as answer:
            assert answer.status == 503
        async with standing.client(standing.tokens.issue("ann")) as client:
            await client.until(op="welcome")
