"""The simulated venues on sockets: what strikes a connection, and how the process starts and ends."""

import asyncio
import json
import signal
import ssl
import sys
import time
from contextlib import asynccontextmanager

import aiohttp
import pytest

from gambit.sim.certificate import make_certificate
from gambit.sim.dialect import Close, Ping
from gambit.sim.server import Server, encoded, server_context
from gambit.sim.world import Scenario, World

WAIT_S = 60.0
STREAM = "/ws/btcusdt@depth@100ms"


def make_world():
    return World(["binance"], Scenario(symbols=("BTC-USDT",)), seed=3, start_ns=time.time_ns())


@pytest.fixture
async def server():
    async with Server(make_world(), time.time_ns) as made:
        yield made


@pytest.fixture
async def client(server):
    async with aiohttp.ClientSession(server.entry("binance")["rest"], timeout=aiohttp.ClientTimeout(WAIT_S)) as made:
        yield made


async def strike(client, kind, **fields):
    async with client.post("/_sim/fault", json={"kind": kind, **fields}) as reply:
        assert reply.status == 200


async def test_a_lost_reply_hangs(client):
    """The client waits in vain; the connection stays open."""
    await strike(client, "drop_reply", match={"path": "/api/v3/time"})
    with pytest.raises(TimeoutError):
        await client.get("/api/v3/time", timeout=aiohttp.ClientTimeout(0.3))
    async with client.get("/api/v3/time") as reply:
        assert reply.status == 200


async def test_a_cut_connection(client):
    """The server reads the request and closes without a word."""
    await strike(client, "close_after_read", match={"path": "/api/v3/time"}, count=5)
    with pytest.raises(aiohttp.ClientError):
        await client.get("/api/v3/time")


async def test_a_delayed_reply(client):
    """It comes, later."""
    await strike(client, "delay", args={"ms": 200}, match={"path": "/api/v3/time"})
    begin = time.monotonic()
    async with client.get("/api/v3/time") as reply:
        assert reply.status == 200
    assert time.monotonic() - begin >= 0.2


async def test_refused(client):
    """No WebSocket is to be had."""
    await strike(client, "refuse", count=5)
    with pytest.raises(aiohttp.ClientError):
        await client.ws_connect(STREAM)


@pytest.mark.parametrize("code", [1001, 1012])
async def test_disconnect_with_a_code(client, code):
    """The client sees the close frame's code."""
    async with client.ws_connect(STREAM) as socket:
        await socket.receive_str()
        await strike(client, "disconnect", args={"code": code})
        async with asyncio.timeout(WAIT_S):
            while (await socket.receive()).type is not aiohttp.WSMsgType.CLOSE:
                pass
        assert socket.close_code == code


async def test_disconnect_without_a_code(client):
    """The connection is simply gone."""
    async with client.ws_connect(STREAM) as socket:
        await strike(client, "disconnect")
        async with asyncio.timeout(WAIT_S):
            while (await socket.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
        assert socket.closed


async def test_half_open(client):
    """The connection stays, nothing comes, not even a pong."""
    async with client.ws_connect(STREAM, autoping=False) as socket:
        await socket.receive_str()
        await strike(client, "half_open")
        async with asyncio.timeout(WAIT_S):
            await silence(socket)
        await socket.ping(b"x")
        with pytest.raises(TimeoutError):
            await socket.receive(timeout=0.3)
        assert not socket.closed


async def silence(socket):
    """Read until nothing comes for half a second."""
    while True:
        try:
            await socket.receive(timeout=0.5)
        except TimeoutError:
            return


async def test_pings_are_answered(client):
    """A control ping gets its payload back."""
    async with client.ws_connect("/ws", autoping=False) as socket:
        await socket.ping(b"payload")
        answer = await socket.receive(timeout=WAIT_S)
        assert (answer.type, bytes(answer.data)) == (aiohttp.WSMsgType.PONG, b"payload")


async def test_a_client_that_leaves_is_forgotten(server, client):
    """No session stays behind a closed connection."""
    exchange = server.world.exchanges["binance"]
    async with client.ws_connect(STREAM) as socket:
        await socket.receive_str()
        assert len(exchange.sessions) == 1
    async with asyncio.timeout(WAIT_S):
        while exchange.sessions:
            await asyncio.sleep(0.01)


async def test_tls():
    """The certificate made for the run is all a client needs to trust it."""
    certificate, private = make_certificate(time.time_ns())
    trusting = ssl.create_default_context(cadata=certificate.decode())
    async with Server(make_world(), time.time_ns, tls=server_context(certificate, private)) as server:
        entry = server.entry("binance")
        assert entry["ws"].startswith("wss://")
        async with aiohttp.ClientSession() as client:
            async with client.get(f"{entry['rest']}/api/v3/ping", ssl=trusting) as reply:
                assert await reply.text() == "{}"
            async with client.ws_connect(f"{entry['ws']}{STREAM}", ssl=trusting) as socket:
                assert json.loads(await socket.receive_str())["e"] == "depthUpdate"


def test_frames_are_rfc_6455():
    """Opcode, length in its three forms, payload."""
    assert b"".join(encoded(["a", Ping(b"p"), Close(1000, "x")])) == b"\x81\x01a\x89\x01p\x88\x03\x03\xe8x"
    assert encoded(["b" * 126])[0] == b"\x81\x7e\x00\x7e"
    assert encoded(["c" * 65536])[0] == b"\x81\x7f" + (65536).to_bytes(8, "big")


@asynccontextmanager
async def process(*words):
    """`gambit sim` with further words."""
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-m", "gambit", "sim", "--port-base", "0", *words)
    child = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(WAIT_S):
            yield child
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_process_starts_and_ends(number):
    """`gambit sim` prints its addresses, serves, and ends well when told to."""
    async with process("--venues", "binance", "--symbols", "btc-usdt", "--rate", "20") as child:
        entry = json.loads(await child.stdout.readline())
        assert set(entry) == {"venue", "rest", "ws", "ws_private", "key", "secret", "passphrase"}
        async with aiohttp.ClientSession(entry["rest"]) as client:
            async with client.get("/_sim/book", params={"symbol": "BTC-USDT"}) as reply:
                assert (await reply.json())["bids"]
            child.send_signal(number)
            assert await child.wait() == 0


async def test_the_process_ends_with_its_parent():
    """When standard input ends, so does it."""
    async with process("--venues", "binance", "--attached") as child:
        assert json.loads(await child.stdout.readline())["venue"] == "binance"
        child.stdin.close()
        assert await child.wait() == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--venues", "nope"), "nope"),
        (("--symbols", "BTCUSDT"), "BTCUSDT"),
        (("--scenario", "FILE"), "rate"),
        (("--venues", "binance", "--port-base", "PORT"), "in use"),
    ],
)
async def test_what_cannot_start_says_why(tmp_path, server, words, said):
    """Bad words and files end it with one line that names them, and no traceback."""
    (tmp_path / "bad.json").write_text('{"rate": "x"}')
    known = {"FILE": str(tmp_path / "bad.json"), "PORT": str(server.ports["binance"])}
    async with process(*[known.get(word, word) for word in words]) as child:
        _out, error = await child.communicate()
        assert child.returncode in (1, 2)
        assert said in error.decode()
        assert "Traceback" not in error.decode()
