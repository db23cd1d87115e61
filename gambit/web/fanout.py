"""Hands what the hub has for its readers to their sockets, in slices, and cuts who does not read.

One task for all of them. Each turn it looks at every connection; to one whose last bytes the kernel has taken it hands
what is new, to one whose bytes still wait it hands nothing, and after STALL_SEC of that it cuts it. So a connection
never holds more than one turn's bytes in this process, and SEND_BUFFER_BYTES in the kernel. After SLICE connections
the loop gets its turn: frames of exchanges and orders go before dashboards.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Final, Protocol

from gambit.web.frames import close_frame
from gambit.web.hub import Behind, Hub, Reader

TURN_SEC: Final = 0.02
SLICE: Final = 8
STALL_SEC: Final = 4.0
HELD_UP_SEC: Final = 0.1  # a turn that comes later than this after the last was held up here, not by who reads
CUT_SEC: Final = 3.0  # what is left to read, and the close frame, has this long
SEND_BUFFER_BYTES: Final = 64 * 1024
LOOK_SEC: Final = 0.5  # how often it is asked whether a connection may still be there
TRY_AGAIN_LATER: Final = 1013
SECOND_NS: Final = 1_000_000_000


class Transport(Protocol):
    """A connection's way out."""

    def write(self, data: bytes) -> None: ...
    def get_write_buffer_size(self) -> int: ...
    def abort(self) -> None: ...
    def is_closing(self) -> bool: ...


class Connection:
    """One subscriber: its place in the hub and its way out."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.reader = Reader()
        self.stalled_ns = 0  # for so long its bytes have waited
        self.is_cut = False

    def write(self, data: bytes) -> None:
        """Hand bytes to the socket; nothing to one that is going."""
        if not self.is_cut and not self.transport.is_closing():
            self.transport.write(data)


class Fanout:
    """`look` is called for each connection every LOOK_SEC, to see whether it may stay."""

    def __init__(self, hub: Hub, mono_ns: Callable[[], int], look: Callable[[Connection], None]) -> None:
        self.hub = hub
        self.connections: set[Connection] = set()
        self.cut_count = 0
        self._mono_ns = mono_ns
        self._look = look
        self._any = asyncio.Event()
        self._looked_ns = self._turned_ns = self._passed_ns = 0

    def join(self, connection: Connection) -> None:
        """A connection that is known and may be told things."""
        self.connections.add(connection)
        self._any.set()

    def leave(self, connection: Connection) -> None:
        """A connection that ended."""
        self.connections.discard(connection)
        self.hub.leave(connection.reader)
        if not self.connections:
            self._any.clear()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._any.wait()
            await self.turn()
            await asyncio.sleep(TURN_SEC)

    async def turn(self) -> None:
        """Everybody once."""
        now_ns = self._mono_ns()
        self._passed_ns = min(now_ns - self._turned_ns, int(HELD_UP_SEC * SECOND_NS))
        self._turned_ns = now_ns
        looks = now_ns - self._looked_ns >= LOOK_SEC * SECOND_NS
        if looks:
            self._looked_ns = now_ns
        for place, connection in enumerate(tuple(self.connections)):
            if place % SLICE == SLICE - 1:
                await asyncio.sleep(0)
            if looks:
                self._look(connection)
            self.serve(connection)

    def serve(self, connection: Connection) -> None:
        """What is due for one, if its last bytes are on their way."""
        if connection.is_cut or connection.transport.is_closing():
            return
        if connection.transport.get_write_buffer_size():
            self._wait(connection)
            return
        connection.stalled_ns = 0
        try:
            frames = self.hub.take(connection.reader, self._mono_ns())
        except Behind as error:
            self.cut(connection, str(error))
            return
        if frames:
            connection.transport.write(b"".join(frames))

    def _wait(self, connection: Connection) -> None:
        connection.stalled_ns += self._passed_ns
        if connection.stalled_ns > STALL_SEC * SECOND_NS:
            self.cut(connection, f"nothing was read for {STALL_SEC:g} s")

    def cut(self, connection: Connection, reason: str) -> None:
        """Say 1013 and why behind what still waits, and give that a moment to be read."""
        if connection.is_cut:
            return
        self.cut_count += 1
        connection.transport.write(close_frame(TRY_AGAIN_LATER, reason))
        connection.is_cut = True
        asyncio.get_running_loop().call_later(CUT_SEC, connection.transport.abort)


def bound_buffers(sock: socket.socket) -> None:
    """Keep what the kernel holds for a connection small, for nobody sees that memory in the process's own."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
