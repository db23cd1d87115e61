"""The two transports behave alike: what comes in pieces, who ended it, and whom they trust."""

import asyncio
import base64
import datetime
import hashlib
import ipaddress
import ssl
import struct
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gambit.runtime.transport import Link, LinkError, PicowsTransport, Transport, WebsocketsTransport

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TRANSPORTS: list[Callable[[Callable[[], int]], Transport]] = [PicowsTransport, WebsocketsTransport]
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Ear:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.reads = 0
        self.ended: asyncio.Future[tuple[str, Exception | None]] = asyncio.get_running_loop().create_future()

    def on_open(self, link: Link) -> None:
        self.link = link

    def on_message(self, data: bytes, recv_ns: int) -> None:
        assert abs(time.time_ns() - recv_ns) < 60_000_000_000
        self.messages.append(data)

    def on_heard(self, recv_ns: int) -> None:
        self.reads += 1

    def on_close(self, reason: str, bug: Exception | None) -> None:
        self.ended.set_result((reason, bug))


def accepted(head: bytes) -> bytes:
    """The answer to a handshake."""
    key = next(
        line.split(b":")[1].strip() for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")
    )
    accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


async def serve(script: Script, tls: ssl.SSLContext | None = None) -> tuple[asyncio.Server, str]:
    """A server that shakes hands and then does as the script says, byte by byte if it likes."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(accepted(await reader.readuntil(b"\r\n\r\n")))
        await script(reader, writer)
        writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    return server, f"{'wss' if tls else 'ws'}://127.0.0.1:{port}/ws"


def frame(data: bytes, opcode: int = 1, *, fin: bool = True) -> bytes:
    """A frame of a server."""
    head = bytes([opcode | (0x80 if fin else 0)])
    return head + (bytes([len(data)]) if len(data) < 126 else b"\x7e" + struct.pack(">H", len(data))) + data


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_pieces_come_together(transport: Callable[[Callable[[], int]], Transport]) -> None:
    """A byte a segment, a message in several frames with a ping in between, text and binary (F85)."""
    wire = frame(b'{"a":1}') + frame(b"one ", fin=False) + frame(b"?", 9) + frame(b"two", 0) + frame(b"\x01\x02", 2)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in wire:
            writer.write(bytes([byte]))
            await writer.drain()
        assert (await reader.readexactly(2))[0] == 0x8A  # the pong
        await reader.readexactly(5)
        writer.write(frame(struct.pack(">H", 1001) + b"bye", 8))
        await reader.read(100)

    server, url = await serve(script)
    ear = Ear()
    await transport(time.time_ns).open(url, ear, None)
    assert await asyncio.wait_for(ear.ended, 60) == ("closed by the venue: 1001 bye", None)
    assert ear.messages == [b'{"a":1}', b"one two", b"\x01\x02"]
    server.close()


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_connection_that_breaks(transport: Callable[[Callable[[], int]], Transport]) -> None:
    """Told once, without a reason; sending on it is no error."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    server, url = await serve(script)
    ear = Ear()
    link = await transport(time.time_ns).open(url, ear, None)
    reason, bug = await asyncio.wait_for(ear.ended, 60)
    assert "lost" in reason or "reset" in reason.lower()
    assert bug is None
    link.send(b"x")
    link.ping()
    link.close()
    server.close()


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_closing_is_told(transport: Callable[[Callable[[], int]], Transport]) -> None:
    """Although the venue never answers."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    server, url = await serve(script)
    ear = Ear()
    link = await transport(time.time_ns).open(url, ear, None)
    link.close()
    _, bug = await asyncio.wait_for(ear.ended, 60)
    assert bug is None
    server.close()


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_defect_in_the_listener_is_handed_on(transport: Callable[[Callable[[], int]], Transport]) -> None:
    """The connection ends, and on_close has what was raised."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(b"x"))
        await reader.read()

    class Deaf(Ear):
        def on_message(self, data: bytes, recv_ns: int) -> None:
            raise ZeroDivisionError("ours")

    server, url = await serve(script)
    ear = Deaf()
    await transport(time.time_ns).open(url, ear, None)
    _, bug = await asyncio.wait_for(ear.ended, 60)
    assert repr(bug) == "ZeroDivisionError('ours')"
    server.close()


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_nobody_there(transport: Callable[[Callable[[], int]], Transport]) -> None:
    """Told as one kind of error, whatever the library calls it."""
    with pytest.raises(LinkError, match=r"refused|Connect"):
        await transport(time.time_ns).open("ws://127.0.0.1:1/ws", Ear(), None)


def certificate(folder: Path, host: str) -> Path:
    """A certificate for a host, signed by itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{host}.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + cert.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_only_known_certificates_are_trusted(
    tmp_path: Path, transport: Callable[[Callable[[], int]], Transport]
) -> None:
    """One nobody vouches for, and one for another host, are refused; the right one is taken (F83)."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    for host, trusted, error in (
        ("127.0.0.1", None, r"(?i)certificate.verify.failed"),
        ("127.0.0.2", "127.0.0.2", r"(?i)certificate.verify.failed|mismatch"),
        ("127.0.0.1", "127.0.0.1", None),
    ):
        own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        own.load_cert_chain(certificate(tmp_path, host))
        tls = ssl.create_default_context()
        if trusted:
            tls.load_verify_locations(tmp_path / f"{trusted}.pem")
        server, url = await serve(script, own)
        ear = Ear()
        if error is None:
            link = await transport(time.time_ns).open(url, ear, tls)
            link.close()
            await asyncio.wait_for(ear.ended, 60)
        else:
            with pytest.raises(LinkError, match=error):
                await transport(time.time_ns).open(url, ear, tls)
        server.close()


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("is_reset", [False, True])
async def test_a_venue_that_hangs_up_on_the_handshake(
    transport: Callable[[Callable[[], int]], Transport], is_reset: bool
) -> None:
    """It is a failure to open like any other: nobody is left waiting for a connection that never stood."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if is_reset:
            writer.transport.abort()
        else:
            writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        ear = Ear()
        with pytest.raises(LinkError):
            await transport(time.time_ns).open(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws", ear, None)
        assert not ear.ended.done()


async def test_nobody_hears_of_a_connection_that_was_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The venue answers the handshake when patience is at its end: by then a new stream has the old one's place in the
    market, so the late one is closed, and neither its opening, its frames nor its end are told."""
    patience = asyncio.timeout(None)
    given_up = asyncio.Event()
    left: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        patience.reschedule(asyncio.get_running_loop().time())
        await given_up.wait()
        writer.write(accepted(head) + frame(b"one"))
        with suppress(ConnectionError):  # it may be reset too
            await reader.read()
        left.set_result(None)
        writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    ear = Ear()
    with monkeypatch.context() as patched:
        patched.setattr(asyncio, "timeout", lambda _: patience)
        with pytest.raises(LinkError, match="TimeoutError"):
            await PicowsTransport(time.time_ns).open(
                f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws", ear, None
            )
    given_up.set()
    await asyncio.wait_for(left, 60)
    await asyncio.gather(*(task for task in asyncio.all_tasks() if "tell_the_end" in repr(task)))
    assert (hasattr(ear, "link"), ear.messages, ear.reads, ear.ended.done()) == (False, [], 0, False)
    server.close()
