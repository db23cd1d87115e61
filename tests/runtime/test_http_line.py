"""A warm connection: a request leaves within the call, its answer is read however it is cut, and nothing else is."""

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from gambit.runtime.http import HttpAnswer, HttpError
from gambit.runtime.http_line import MAX_HEAD_BYTES, HttpLine, NotHttp, read_answer
from gambit.sim.certificate import make_certificate

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n" + b'{"ok": 1}'
CHUNKS = b'HTTP/1.1 400 Bad Request\r\ntransfer-encoding: chunked\r\n\r\n5;x=y\r\n{"ok"\r\n4\r\n: 1}\r\n0\r\n\r\n'
TRAILED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\nDigest: x\r\n\r\n"
AFTER_100 = b"HTTP/1.1 100 Continue\r\n\r\n" + LENGTH
NO_BODY = b"HTTP/1.1 204 No Content\r\n\r\n"
PATIENCE_SEC = 60.0


@pytest.mark.parametrize(("data", "status", "body"), [
    (LENGTH, 200, b'{"ok": 1}'), (CHUNKS, 400, b'{"ok": 1}'), (TRAILED, 200, b"0123456789"),
    (AFTER_100, 200, b'{"ok": 1}'), (NO_BODY, 204, b""),
])  # fmt: skip
def test_an_answer_is_whole_with_its_last_byte_and_not_before(data: bytes, status: int, body: bytes) -> None:
    """Wherever it is cut; what follows it is left alone."""
    for cut in range(len(data)):
        assert read_answer(data[:cut], is_over=False) is None
    found = read_answer(data + b"HTTP/1.1 ", is_over=False)
    assert found is not None
    answer, used, is_last = found
    assert (answer.status, answer.body, used, is_last) == (status, body, len(data), False)


def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    """And not before; one that says so, or speaks the old version, is the last one too."""
    data = b"HTTP/1.1 502 Bad Gateway\r\nServer: x\r\n\r\n<html>"
    assert read_answer(data, is_over=False) is None
    assert read_answer(data, is_over=True) == (HttpAnswer(502, {"server": "x"}, b"<html>"), len(data), True)
    closing = LENGTH.replace(b"Content-Type", b"Connection: Close\r\nContent-Type")
    for last in (closing, LENGTH.replace(b"1.1", b"1.0")):
        found = read_answer(last, is_over=False)
        assert found is not None
        assert found[2]


@pytest.mark.parametrize("data", [
    b"SSH-2.0-x\r\n\r\n", b"HTTP/2 200 OK\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabcd",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n", b"x" * (MAX_HEAD_BYTES + 1),
])  # fmt: skip
def test_what_is_no_answer_is_refused(data: bytes) -> None:
    """Nobody guesses where the next one begins."""
    with pytest.raises(NotHttp):
        read_answer(data, is_over=False)


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]


@asynccontextmanager
async def line_to(serve: Serve, folder: Path | None = None) -> AsyncIterator[HttpLine]:
    """A line to a server of our own, connected; over TLS where there is a folder for its certificate."""
    at_server, at_client = certified(folder) if folder is not None else (None, None)

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)  # type: ignore[misc]
        finally:
            writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0, ssl=at_server)
    port, scheme = server.sockets[0].getsockname()[1], "http" if folder is None else "https"
    line = HttpLine(f"{scheme}://localhost:{port}", time.monotonic_ns, lambda: 0.0, at_client)
    running = asyncio.create_task(line.run())
    try:
        async with asyncio.timeout(PATIENCE_SEC):
            await free(line)
            yield line
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        server.close()
        await server.wait_closed()


async def free(line: HttpLine) -> None:
    while not line.is_free:
        await asyncio.sleep(0.001)


def certified(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate made for this run, and that of a client who trusts it."""
    certificate, key = make_certificate(time.time_ns())
    file = folder / "both.pem"
    file.write_bytes(certificate + key)
    at_server, at_client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    at_server.load_cert_chain(file)
    at_client.load_verify_locations(cadata=certificate.decode())
    return at_server, at_client


@pytest.mark.parametrize("is_secure", [False, True])
async def test_requests_leave_within_the_call_one_after_the_other(tmp_path: Path, is_secure: bool) -> None:
    """Over one connection; a second one has no place while the first has no answer."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            heard.append(head + await reader.readexactly(4))
            writer.write(LENGTH[:20])
            await writer.drain()
            writer.write(LENGTH[20:])

    async with line_to(serve, tmp_path if is_secure else None) as line:
        for k in range(3):
            answer = line.send("POST", "/orders?a=b", {"Key": f"k{k}"}, b"body")
            assert not line.is_free
            with pytest.raises(RuntimeError, match="not free"):
                line.send("POST", "/", {}, b"")
            assert (await answer).body == b'{"ok": 1}'
    assert [text.partition(b"\r\n")[0] for text in heard] == [b"POST /orders?a=b HTTP/1.1"] * 3
    assert b"\r\nKey: k2\r\n" in heard[2]
    assert b"\r\nContent-Length: 4\r\n\r\nbody" in heard[2]


@pytest.mark.parametrize("is_secure", [False, True])
async def test_a_request_larger_than_the_kernel_takes_at_once(tmp_path: Path, is_secure: bool) -> None:
    """The rest follows; nothing is lost and nothing comes twice."""
    body = bytes(range(256)) * 40_000
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            await reader.readuntil(b"\r\n\r\n")
            heard.append(await reader.readexactly(len(body)))
            writer.write(LENGTH)
            await writer.drain()

    async with line_to(serve, tmp_path if is_secure else None) as line:
        for _ in range(2):
            assert (await line.send("POST", "/", {}, body)).status == 200
    assert heard == [body, body]


def test_the_bytes_are_out_when_the_call_returns() -> None:
    """On the daemon's own loop too, whose transports keep them until its turn is over."""
    arrived = threading.Event()

    def serve(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            if connection.recv(1000).startswith(b"POST /orders "):
                arrived.set()
            connection.recv(1000)

    async def main(port: int) -> bool:
        line = HttpLine(f"http://127.0.0.1:{port}", time.monotonic_ns, lambda: 0.0)
        running = asyncio.create_task(line.run())
        async with asyncio.timeout(PATIENCE_SEC):
            await free(line)
        answer = line.send("POST", "/orders", {}, b"")
        found = arrived.wait(PATIENCE_SEC)  # the loop stands still meanwhile
        running.cancel()
        await asyncio.gather(running, answer, return_exceptions=True)
        return found

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            found = runner.run(main(listening.getsockname()[1]))
        thread.join()
    assert found


@pytest.mark.parametrize("said", [b"", LENGTH[:-1], b"garbage\r\n\r\n"])
async def test_an_answer_that_does_not_come_is_told_and_another_connection_follows(said: bytes) -> None:
    """Whatever the venue did instead; the request is never sent again."""
    asked = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        await reader.readuntil(b"\r\n\r\n")
        asked += 1
        writer.write(said)
        await writer.drain()

    async with line_to(serve) as line:
        with pytest.raises(HttpError) as error:
            await line.send("DELETE", "/order", {}, b"")
        assert error.value.sent
        await free(line)
    assert asked == 1


async def test_what_comes_unasked_ends_the_connection() -> None:
    """It would be taken for the answer of the next request."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(LENGTH + LENGTH)
        await reader.read()

    async with line_to(serve) as line:
        assert (await line.send("GET", "/", {}, b"")).status == 200
        await free(line)
        assert (await line.send("GET", "/", {}, b"")).status == 200
    assert connections == 2


def test_an_address_that_is_none_is_refused() -> None:
    """At the start, not with the first order."""
    with pytest.raises(ValueError, match="is no address of a REST side"):
        HttpLine("ws://x", time.monotonic_ns, lambda: 0.0)
