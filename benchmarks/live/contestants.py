"""Who reads the sender's frames: each connects with the WebSocket library it uses live and stamps each frame done.

`done[i]` is the time (ns, monotonic) at which frame i was through: for gambit evaluated against the other venue and its
signal, if any, named; for the others the book updated and the best spread taken; for the bare reader merely received.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from array import array
from collections.abc import Callable, Coroutine
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from benchmarks.frames import Stream
from benchmarks.live.sender import go_ahead_on

Handle = Callable[[Any], object]
NAMES = ("bare reader", "gambit", "gambit, keep_warm off", "gambit, busy_poll", "ccxt.pro", "cryptofeed")


def read(name: str, tell: Connection, url: str, stream: Stream, opening: int, cpu: int | None) -> None:
    """Run one contestant over the stream from `url`, on a core where it goes ahead of others or (None) anywhere; tells
    the times done."""
    go_ahead_on(cpu)
    total = len(stream.frames)
    done = array("q", bytes(8 * total))
    if name == "bare reader":
        _read_bare(url, tell, done, opening)
    else:
        _RUN[name](url, tell, done, stream, opening)
    tell.send_bytes(done.tobytes())


class Stamps:
    """Counts messages past the opening and stamps them."""

    def __init__(self, done: array[int], opening: int, tell: Connection) -> None:
        self.done = done
        self.at = -opening
        self.tell = tell

    def stamp(self) -> bool:
        """One message is through; whether it was the last."""
        if self.at >= 0:
            self.done[self.at] = time.perf_counter_ns()
        self.at += 1
        if self.at == 0:
            self.tell.send("ready")
        return self.at == len(self.done)


def _read_bare(url: str, tell: Connection, done: array[int], opening: int) -> None:
    """A blocking socket and no more than the length of each frame: what nobody who waits in the kernel can beat."""
    host, port = url.split("/")[2].split(":")
    plain = socket.create_connection((host, int(port)))
    tls = _tls(url)
    client = tls.wrap_socket(plain, server_hostname="localhost") if tls else plain
    client.sendall(
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    stamps = Stamps(done, opening, tell)
    held = bytearray(1 << 20)  # taken once, as one would in C
    room = memoryview(held)
    end = 0
    while b"\r\n\r\n" not in held[:end]:
        end += client.recv_into(room[end:])
    at = held.index(b"\r\n\r\n") + 4
    while True:
        while (size := _frame_size(held, at, end)) and at + size <= end:
            at += size
            if stamps.stamp():
                return
        room[: end - at] = room[at:end]
        at, end = 0, end - at
        end += client.recv_into(room[end:])


def _frame_size(data: bytearray, at: int, end: int) -> int:
    """Header and payload of the frame that begins at `at`; 0 when its header is not whole."""
    if end < at + 2:
        return 0
    short = data[at + 1] & 0x7F
    width = {126: 2, 127: 8}.get(short, 0)
    if end < at + 2 + width:
        return 0
    return 2 + width + (int.from_bytes(data[at + 2 : at + 2 + width], "big") if width else short)


def _read_gambit(
    url: str, tell: Connection, done: array[int], stream: Stream, opening: int, *, hot: bool, warm: bool
) -> None:
    """As the daemon reads: frames go into the market inside the library's call; what they raised is named when the
    read is through, and a frame that raised something is done then."""
    import uvloop

    from benchmarks.peers.ours import open_market
    from gambit._core.inlet import Intake
    from gambit.runtime.clock import SystemClock
    from gambit.runtime.transport import PicowsTransport
    from gambit.runtime.warmth import Warmth

    market, conns = open_market(stream, busy=True)
    pending, named, intake = market.pairs, market.opportunities, Intake(market.hot, conns[0])
    early = np.zeros(opening, np.int64)
    stamps = np.frombuffer(done, np.int64)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        ended = loop.create_future()

        class Reader:
            on_message = intake
            times = early
            filled = 0

            def on_open(self, link: object) -> None: ...

            def on_heard(self, recv_ns: int) -> None:
                if pending.pending[0]:
                    named()
                    now = time.perf_counter_ns()
                    fresh = self.times[self.filled : intake.stamped]
                    fresh[fresh == 0] = now
                self.filled = intake.stamped
                if self.filled == len(self.times):
                    self.turn()

            def turn(self) -> None:
                """The opening is through, or all is."""
                if self.times is early:
                    self.times, self.filled = stamps, 0
                    intake.stamp_into(stamps)
                    tell.send("ready")
                elif not ended.done():
                    ended.set_result(None)

            def on_close(self, reason: str, bug: Exception | None) -> None: ...

        intake.stamp_into(early)
        await PicowsTransport(SystemClock().now_ns).open(url, Reader(), _tls(url))
        Warmth(loop, lambda: pending.now).keep(hot=hot, warm=warm)
        await ended

    uvloop.run(main())


def _read_ccxt(url: str, tell: Connection, done: array[int], stream: Stream, opening: int) -> None:
    import aiohttp
    import uvloop

    from benchmarks.peers.ccxt_pro import CcxtPeer

    handle = CcxtPeer(stream).handles[0]
    stamps = Stamps(done, opening, tell)

    async def main() -> None:
        async with aiohttp.ClientSession() as session, session.ws_connect(url, ssl=_tls(url) or True) as ws:
            async for message in ws:
                if stamps.at >= 0:
                    handle(message.data)  # type: ignore[misc]
                if stamps.stamp():
                    return

    uvloop.run(main())


def _read_cryptofeed(url: str, tell: Connection, done: array[int], stream: Stream, opening: int) -> None:
    import uvloop
    import websockets

    from benchmarks.peers.cryptofeed_feed import CryptofeedPeer

    handle = CryptofeedPeer(stream).handles[0]
    stamps = Stamps(done, opening, tell)

    async def main() -> None:
        async with websockets.connect(url, ssl=_tls(url), max_size=2**24) as ws:
            async for message in ws:
                if stamps.at >= 0:
                    handle(message)  # type: ignore[misc]
                if stamps.stamp():
                    return

    uvloop.run(main())


def _tls(url: str) -> ssl.SSLContext | None:
    if not url.startswith("wss:"):
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the sender's certificate is made for the run
    return context


_RUN: dict[str, Callable[..., Coroutine[Any, Any, None] | None]] = {
    "gambit": partial(_read_gambit, hot=False, warm=True),
    "gambit, keep_warm off": partial(_read_gambit, hot=False, warm=False),
    "gambit, busy_poll": partial(_read_gambit, hot=True, warm=False),
    "ccxt.pro": _read_ccxt,
    "cryptofeed": _read_cryptofeed,
}
