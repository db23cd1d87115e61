"""S26 to S35: the HTTP surface. Slow, huge, malformed and forged requests cost their sender, and nobody else."""

import asyncio
import ssl
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gambit.access.permissions import RULES, Role
from gambit.config.loading import load_layers
from gambit.config.problem import ConfigError
from gambit.sim.certificate import make_certificate
from gambit.web import assets, parsing, server
from gambit.web.limits import ANONYMOUS, AUTHENTICATED, counted_as
from gambit.web.pipeline import Pipeline
from gambit.web.routes import ROUTES
from gambit.web.server import BindError, WebServer
from tests.web.answers import answers
from tests.web.rig import PASSWORD, Rig, rig
from tests.web.test_security_authorisation import raw


async def talk(door: Rig, *pieces: bytes, patience_sec: float = 60.0) -> bytes:
    """Everything the server says to these bytes until it closes."""
    host, port = door.server.address
    reader, writer = await asyncio.open_connection(host, port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        async with asyncio.timeout(patience_sec):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def is_status(said: bytes, status: int) -> bool:
    """Whether what was said begins with this status."""
    return said[:8] in (b"HTTP/1.1", b"HTTP/1.0") and said[9:12] == str(status).encode()


POST = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
HALVES = (
    b"GET /health HTTP/1.1\r\nHost: x\r\nX-A",
    POST + b"Content-Length: 500\r\n\r\n{",
    POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
)
SLOW = 150


def slow_clients(door: Rig) -> list[asyncio.Task[bytes]]:
    """Clients that send half a head, half a body, or a chunk without an end."""
    return [asyncio.create_task(talk(door, HALVES[at % len(HALVES)], patience_sec=240.0)) for at in range(SLOW)]


async def test_s26_slow_clients_hold_up_nobody(monkeypatch: pytest.MonkeyPatch):
    """150 of them are connected and stay, health answers all the while."""
    monkeypatch.setattr(server, "IDLE_SEC", 3600.0)
    monkeypatch.setattr(parsing, "BODY_SEC", 3600.0)
    async with rig() as door:
        slow = slow_clients(door)
        for _ in range(20):
            assert (await door.ask("GET", "/health")).status == 200
        async with asyncio.timeout(60):
            while door.server.connections <= SLOW:  # and ours
                assert (await door.ask("GET", "/health")).status == 200
        assert not any(task.done() for task in slow)
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)


async def test_s26_slow_clients_are_cut(monkeypatch: pytest.MonkeyPatch):
    """Each of the 150 is told, or closed, and holds no connection after."""
    monkeypatch.setattr(server, "IDLE_SEC", 0.5)
    monkeypatch.setattr(parsing, "BODY_SEC", 0.5)
    async with rig() as door:
        said = await asyncio.gather(*slow_clients(door))
        assert all(b" 408 " in text or b" 429 " in text or text == b"" for text in said)
        async with asyncio.timeout(60):
            while door.server.connections:
                await asyncio.sleep(0.01)  # the server forgets a connection a turn of the loop after its client


@pytest.mark.parametrize("leave", ["close", "abort"])
async def test_s26_a_client_that_leaves_within_its_body_is_no_defect_of_ours(leave: str):
    """Politely or not: it counts as its own error, whoever it was; 500 would spend the error budget."""
    seen: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
    async with rig(observe=lambda route, status, _ns: seen.put_nowait((route, status))) as door:
        _, writer = await asyncio.open_connection(*door.server.address)
        writer.write(HALVES[1])
        async with asyncio.timeout(60):
            while not any(one.is_answering for one in door.server._below.connections):
                await asyncio.sleep(0.01)  # nothing tells that a request is under way
            getattr(writer.transport, leave)()
            assert await seen.get() == ("POST /auth/login", 400)


async def test_s26_endless_heads_are_refused():
    """Ten thousand header lines, or one line of ten times the limit: 400 and closed."""
    lines = b"".join(b"X-%d: y\r\n" % at for at in range(10_000))
    async with rig() as door:
        for head in (lines, b"X-Long: " + b"y" * 200_000 + b"\r\n"):
            said = await talk(door, b"GET /health HTTP/1.1\r\nHost: x\r\n", head, b"\r\n")
            assert said == b"" or is_status(said, 400)
        assert (await door.ask("GET", "/health")).status == 200


async def test_s27_bodies_have_a_limit():
    """413 before it is all read, announced or in pieces; compressed bodies 415; JSON 10,000 deep 400."""
    async with rig() as door:
        for body, kind, status in (
            (b"x" * (parsing.BODY_BYTES_MAX + 1), {}, 413),
            (b"[" * 10_000 + b"]" * 10_000, {}, 400),
            (b'{"email":' * 5_000 + b"1" + b"}" * 5_000, {}, 400),
            (b"\x1f\x8b" + b"0" * 100, {"Content-Encoding": "gzip"}, 415),
        ):
            assert (await door.ask("POST", "/auth/login", body=body, headers=kind)).status == status
        head = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        announced = await talk(door, head + b"Content-Length: 10000000000\r\n\r\n", b"{" * 1000)
        assert is_status(announced, 413)
        chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
        assert is_status(await talk(door, head + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 4), 413)


FRAMINGS = (
    b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}   ",
    b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    b"Content-Length: -1\r\n\r\n",
    b"Content-Length: +2\r\n\r\n{}",
    b"Content-Length : 2\r\n\r\n{}",
    b"X-A: b\n\tfolded\r\n\r\n",
)


@pytest.mark.parametrize("tail", FRAMINGS)
async def test_s28_framing_that_can_be_read_two_ways_is_refused(tail: bytes):
    """400 and closed: what follows on the connection is never another request."""
    smuggled = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    async with rig() as door:
        head = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        said = await talk(door, head + tail + smuggled)
        assert is_status(said, 400)
        assert said.count(b"HTTP/1.") == 1
        assert b"problem+json" in said


async def test_s28_nothing_is_smuggled_through_an_upgrade():
    """An upgrade nobody offers is an ordinary request; a body that hides a request behind it is not carried out."""
    async with rig() as door:
        hidden = b"GET /auth/me HTTP/1.1\r\nHost: x\r\n\r\n"
        said = await talk(
            door,
            b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\nContent-Length: "
            + str(len(hidden)).encode()
            + b"\r\n\r\n"
            + hidden,
        )
        assert said.count(b"HTTP/1.1 ") == 1
        assert b"/auth/me" not in said


async def test_s29_headers_of_every_answer():
    """nosniff, no framing, nothing kept where there is data, and no word of what serves it."""
    async with rig() as door:
        door.answers |= answers()
        token = await door.token(Role.ADMIN)
        for route in ROUTES:
            if route.method != "GET" or "{" in route.path:
                continue
            headers = (await door.ask("GET", route.path, token)).headers
            assert headers["Server"] == "gambit"
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["X-Frame-Options"] == "DENY"
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
            assert headers["Cache-Control"] == ("no-cache" if route.path in ("/openapi.json", "/docs") else "no-store")
        for bad in (
            await talk(door, b"nonsense\r\n\r\n"),
            await talk(door, b"GET /x HTTP/1.1\r\nConnection: close\r\n\r\n"),
        ):
            assert b"aiohttp" not in bad
            assert b"Python" not in bad


async def test_s29_cors_names_known_origins_only():
    """An origin of the configuration is named; any other, null or look-alike, gets no header at all; never *."""
    good = "https://desk.example"
    async with rig(cors_origins=frozenset({good})) as door:
        for origin in (good, "https://evil.example", "null", "https://desk.example.evil", "http://desk.example", "*"):
            for method in ("GET", "OPTIONS"):
                headers = (await door.ask(method, "/health", headers={"Origin": origin})).headers
                assert headers.get("Access-Control-Allow-Origin") == (good if origin == good else None)
                assert "Access-Control-Allow-Credentials" not in headers
                assert "Origin" in headers["Vary"]


async def test_s30_the_cookie_renews_and_nothing_else():
    """HttpOnly, SameSite=Strict; it names nobody; without our header or from another origin it is refused."""
    async with rig() as door:
        await door.user("ann@desk", Role.ADMIN)
        body = {"email": "ann@desk", "password": PASSWORD, "cookie": True}
        reply = await door.ask("POST", "/auth/login", body=body)
        cookie = reply.headers["Set-Cookie"]
        assert reply.body["refresh_token"] is None
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
        held = {"Cookie": cookie.partition(";")[0]}
        assert (await door.ask("GET", "/auth/me", headers=held)).status == 401
        assert (await door.ask("POST", "/auth/refresh", body={}, headers=held)).status == 403
        ours = held | {"X-Gambit-CSRF": "1"}
        for origin in ("https://evil.example", "null", door.url.replace("http", "https")):
            foreign = await door.ask("POST", "/auth/refresh", body={}, headers=ours | {"Origin": origin})
            assert (foreign.status, foreign.body["code"]) == (403, "csrf")
        renewed = await door.ask("POST", "/auth/refresh", body={}, headers=ours | {"Origin": door.url})
        assert renewed.status == 200
        assert "gambit_refresh=" in renewed.headers["Set-Cookie"]
        out = await door.ask("POST", "/auth/logout", renewed.body["access_token"])
        assert 'gambit_refresh=""' in out.headers["Set-Cookie"]


async def test_s30_over_tls_the_cookie_is_of_this_host_only(tmp_path: Path):
    """`__Host-` and Secure, and the browser is told to stay with TLS."""
    names = [tmp_path / "cert.pem", tmp_path / "key.pem"]
    for name, pem in zip(names, make_certificate(time.time_ns()), strict=True):
        name.write_bytes(pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*names)
    async with rig() as door:
        await door.user("ann@desk", Role.ADMIN)
        secure = WebServer(door.server.pipeline, "127.0.0.1", 0, tls=context)
        await secure.start()
        body = {"email": "ann@desk", "password": PASSWORD, "cookie": True}
        async with door.session.post(f"{secure.url}/auth/login", json=body, ssl=False) as reply:
            cookie = reply.headers["Set-Cookie"]
            assert cookie.startswith("__Host-gambit_refresh=")
            assert "Secure" in cookie.split("; ")
            assert "Strict-Transport-Security" in reply.headers
        await secure.close()


async def test_s30_reading_has_no_effect_and_forms_cannot_post():
    """GET calls only methods that read; what a form can send is 415."""
    async with rig() as door:
        door.answers |= answers()
        token = await door.token(Role.ADMIN)
        for route in ROUTES:
            if route.method == "GET":
                await door.ask("GET", route.path.replace("{order_id}", "o1"), token)
        assert [name for name, _, _ in door.calls if RULES[name].is_privileged] == []
        assert len({name for name, _, _ in door.calls}) > 8
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
            reply = await door.ask("POST", "/control/halt", token, body=b"{}", headers={"Content-Type": kind})
            assert reply.status == 415


async def test_s31_only_what_was_read_at_the_start_can_be_asked_for(tmp_path: Path):
    """Dots, escapes, absolute names, links, NUL: 404; the files themselves are there with their policy."""
    folder = tmp_path / "static"
    (folder / "vendor").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html>")
    (folder / "vendor" / "plot.js").write_text("export {}")
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    (folder / "link.txt").symlink_to(secret)
    (folder / "linked").symlink_to(tmp_path, target_is_directory=True)
    files = assets.read(folder)
    assert sorted(files) == ["/", "/index.html", "/vendor/plot.js"]
    async with rig() as door:
        pipeline = door.server.pipeline
        door.server.pipeline = Pipeline(pipeline.routing, pipeline.services, pipeline.replays, files)
        page = await door.ask("GET", "/")
        assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert "script-src 'self'" in page.headers["Content-Security-Policy"]
        assert (await door.ask("GET", "/vendor/plot.js")).headers["Content-Type"].startswith("text/javascript")
        for target in (
            "/../secret.txt", "/vendor/../../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/link.txt",
            "/linked/secret.txt", "//etc/passwd", "/vendor/..\\..\\secret.txt", "/index.html%00.js", "/vendor/",
            "/etc/passwd", "/static/../../etc/passwd", "/file:///etc/passwd",
        ):  # fmt: skip
            status, head = await raw(door, f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert status in (400, 404), (target, head)


async def test_s33_a_burst_on_one_token_stops_that_token_alone():
    """Faster than a hundred a second: 429 with Retry-After and the numbers; another user goes on; time heals."""
    async with rig() as door:
        one, other = await door.token(Role.ADMIN), await door.token(Role.TRADER)
        statuses: list[int] = []
        for _ in range(11):
            replies = await asyncio.gather(*(door.ask("GET", "/auth/me", one) for _ in range(100)))
            statuses += [reply.status for reply in replies]
        assert (statuses.count(200), statuses.count(429)) == (AUTHENTICATED.most, 100)
        last = replies[-1].headers
        assert (last["RateLimit-Limit"], last["RateLimit-Remaining"]) == ("1000", "0")
        assert 0 < int(last["Retry-After"]) <= 60
        assert last["RateLimit-Policy"].startswith("1000;w=60")
        assert (await door.ask("GET", "/auth/me", other)).status == 200
        door.clock.pass_(60)
        assert (await door.ask("GET", "/auth/me", one)).status == 200


async def test_s33_forged_headers_and_many_tokens_are_no_way_around():
    """An address is the peer's, whatever is said; all tokens of a user count as one."""
    async with rig() as door:
        statuses = []
        for at in range(ANONYMOUS.most + 10):
            forged = {"X-Forwarded-For": f"10.0.0.{at}", "Forwarded": f"for=10.0.0.{at}", "x-real-ip": f"10.0.1.{at}"}
            statuses.append((await door.ask("GET", "/auth/me", headers=forged)).status)
        assert statuses == [401] * ANONYMOUS.most + [429] * 10
        tokens = [await door.token(Role.ADMIN) for _ in range(5)]
        statuses = [(await door.ask("GET", "/auth/me", tokens[at % 5])).status for at in range(AUTHENTICATED.most + 10)]
        assert statuses.count(429) == 10
    assert counted_as("::ffff:10.1.2.3") == counted_as("10.1.2.3") == "10.1.2.3"
    assert counted_as("2001:db8::1") == counted_as("2001:DB8:0:0:ffff::2") != counted_as("2001:db8:0:1::1")


async def test_s33_guessed_tokens_count_as_the_addresss():
    """A credential that is wrong gets no quota of its own."""
    async with rig() as door:
        statuses = [(await door.ask("GET", "/auth/me", f"guess{at}")).status for at in range(ANONYMOUS.most + 1)]
        assert statuses[-1] == 429


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (['api.host = "0.0.0.0"'], "reached by others"),
        (['api.host = "::"'], "reached by others"),
        (['api.host = "192.0.2.7"'], "reached by others"),
        (['api.host = "desk.example"'], "reached by others"),
        (["api.tls = true"], "wants api.tls_cert"),
        (['api.cors_origins = ["*"]'], "not an origin"),
        (['api.cors_origins = ["https://a.example/x"]'], "not an origin"),
    ],
)
def test_s34_a_public_address_wants_tls_or_a_word(lines: list[str], told: str):
    """Refused at the start, with the key and what to do; said explicitly it is taken."""
    with pytest.raises(ConfigError, match=told):
        load_layers(None, {}, lines)
    assert load_layers(None, {}, ['api.host = "0.0.0.0"', "api.allow_plain_public = true"]).config.api.port == 8787
    assert load_layers(None, {}, []).config.api.host == "127.0.0.1"


async def test_s34_a_port_that_is_taken_is_told():
    """With the key and a way out."""
    async with rig() as door:
        second = WebServer(door.server.pipeline, *door.server.address)
        with pytest.raises(BindError, match=r"api\.port \d+: .*takes a free one"):
            await second.start()


async def test_s35_metrics_want_a_token_or_the_loopback():
    """Asked by way of somebody else, or under another host's name, a token with metrics:read is due; health says
    nothing of what is wrong."""
    async with rig() as door:
        assert (await door.ask("GET", "/metrics")).status == 200
        for headers in ({"X-Forwarded-For": "10.0.0.1"}, {"Host": "evil.example"}, {"Via": "1.1 proxy"}):
            assert (await door.ask("GET", "/metrics", headers=headers)).status == 401
            viewer = await door.ask("GET", "/metrics", await door.token(Role.VIEWER), headers=headers)
            assert viewer.status == 403
            assert (await door.ask("GET", "/metrics", await door.token(Role.ADMIN), headers=headers)).status == 200
        door.services.health = lambda: ["task okx feed ended: secret detail"]
        health = await door.ask("GET", "/health")
        assert (health.status, health.body) == (503, {"schema_version": "1", "status": "stalled"})


async def test_s32_a_defect_tells_the_client_nothing():
    """A handler that breaks: 500 with the request's id; what it was goes to the log."""
    async with rig() as door:
        token = await door.token(Role.ADMIN)

        def broken(_params: Any) -> Any:
            raise RuntimeError("canary-7731")

        door.answers["status"] = broken
        reply = await door.ask("GET", "/status", token)
        assert (reply.status, reply.body["code"]) == (500, "defect")
        assert b"canary" not in reply.raw
        assert [str(error) for error in door.defects] == ["canary-7731"]
        door.defects.clear()


async def test_it_goes_on_with_as_many_connections_as_it_may_have():
    """One more is told to come back; when one leaves there is room."""
    async with rig() as door:
        small = WebServer(door.server.pipeline, "127.0.0.1", 0, connections_max=2)
        await small.start()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            first, second = [await session.get(small.url + "/health") for _ in range(2)]
            held = [await asyncio.open_connection(*small.address) for _ in range(2)]
            async with asyncio.timeout(60):
                said = [await reader.read(12) for reader, _ in held[1:]]
            assert said == [b"HTTP/1.1 503"]
            assert (first.status, second.status) == (200, 200)
            for _, writer in held:
                writer.close()
        await small.close()
