"""A venue that only sends: prepared WebSocket frames on a blocking socket, paced or in bursts, each with its time.

It runs in a process of its own and spins until a frame is due, so that its own wake-up is no part of what is measured;
where it is ahead of everybody else on its core, only for the last 0.2 ms. What it sends is encrypted beforehand, for
a sender's time is no reader's: the time of a frame is when its bytes are handed to the socket.
"""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import ssl
import struct
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

SPIN_NS = 200_000
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass(frozen=True, slots=True)
class Schedule:
    """`burst` frames every `every_us` microseconds, `count` frames in all after `warm` ones; a burst is one write, or
    `apart` a write for each frame, one right after the other."""

    burst: int
    every_us: int
    warm: int
    count: int
    apart: bool = False


def go_ahead_on(cpu: int | None) -> None:
    """Run on this core only, before everything else that wants it. Raises PermissionError for whom the system does not
    let. None: as everybody."""
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def send(
    tell: Connection,
    opening: Sequence[bytes],
    frames: Sequence[bytes],
    schedule: Schedule,
    pem: str,
    cpu: int | None = None,
) -> None:
    """Serve one client: tell the port, shake hands, send, tell the send times (ns, monotonic) per frame."""
    go_ahead_on(cpu)
    listener = socket.create_server(("127.0.0.1", 0))
    tell.send(listener.getsockname()[1])
    plain, _ = listener.accept()
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client = Tls(plain, pem) if pem else Clear(plain)
    shake_hands(client)
    client.say(b"".join(framed(text) for text in opening))
    tell.recv()  # the contestant is ready
    sent = array("q", bytes(8 * (schedule.warm + schedule.count)))
    packed = [framed(text) for text in frames[: schedule.warm + schedule.count]]
    due = time.perf_counter_ns() + 50_000_000
    for start in range(0, len(packed), schedule.burst):
        burst = packed[start : start + schedule.burst]
        writes = [client.sealed(text) for text in (burst if schedule.apart else [b"".join(burst)])]
        if cpu is not None:
            time.sleep(max(0, due - SPIN_NS - time.perf_counter_ns()) / 1e9)
        while time.perf_counter_ns() < due:
            pass
        begun, of_a_write = time.perf_counter_ns(), len(burst) // len(writes)
        for k, data in enumerate(writes):
            now = time.perf_counter_ns()
            plain.sendall(data)
            first = start + k * of_a_write
            sent[first : first + of_a_write] = array("q", [now]) * of_a_write
        due = max(due + schedule.every_us * 1000, begun)
    tell.send_bytes(sent.tobytes())
    tell.recv()  # the contestant has read all
    plain.close()


class Clear:
    """A client without TLS."""

    def __init__(self, plain: socket.socket) -> None:
        self._plain = plain

    def sealed(self, data: bytes) -> bytes:
        """What goes over the wire for these bytes."""
        return data

    def say(self, data: bytes) -> None:
        """Send them."""
        self._plain.sendall(self.sealed(data))

    def hear(self) -> bytes:
        """What the client sent; empty when it hung up."""
        return self._plain.recv(65536)


class Tls(Clear):
    """A client with TLS, whose records are made in memory, so that they can be made before they are due."""

    def __init__(self, plain: socket.socket, pem: str) -> None:
        """Raises ConnectionError when it hangs up before it has shaken hands, SSLError when it cannot."""
        super().__init__(plain)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        self._from, self._to = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._from, self._to, server_side=True)
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._exchange()
        plain.sendall(self._to.read())

    def sealed(self, data: bytes) -> bytes:
        """Its records."""
        self._tls.write(data)
        return self._to.read()

    def hear(self) -> bytes:
        """What the client sent; empty when it hung up."""
        while True:
            try:
                return self._tls.read(65536)
            except ssl.SSLWantReadError:
                self._exchange()

    def _exchange(self) -> None:
        """Send what is to be sent, and wait for more."""
        self._plain.sendall(self._to.read())
        more = self._plain.recv(65536)
        if not more:
            raise ConnectionError("the client hung up")
        self._from.write(more)


def shake_hands(client: Clear) -> None:
    """Answer a client's upgrade. Raises ConnectionError when it hangs up before it has asked."""
    head = b""
    while b"\r\n\r\n" not in head:
        more = client.hear()
        if not more:
            raise ConnectionError("the client hung up")
        head += more
    key = next(
        line.split(b":")[1].strip() for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")
    )
    accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())  # RFC 6455 wants it
    lines = [b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket", b"Connection: Upgrade"]
    client.say(b"\r\n".join([*lines, b"Sec-WebSocket-Accept: " + accept, b"", b""]))


def framed(text: bytes) -> bytes:
    """A text frame of a server."""
    if len(text) < 126:
        return struct.pack(">BB", 0x81, len(text)) + text
    if len(text) < 65536:
        return struct.pack(">BBH", 0x81, 126, len(text)) + text
    return struct.pack(">BBQ", 0x81, 127, len(text)) + text
