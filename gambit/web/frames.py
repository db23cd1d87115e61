"""Bytes of WebSocket frames (RFC 6455): how a server's are made, and what a client's have to be. No sockets.

aiohttp reads the frames; the guard sees the bytes first and refuses what aiohttp lets pass: frames that are not masked
(5.1), messages of too many fragments, and clients that send more frames a second than a person or a program needs.
"""

from collections.abc import Callable
from typing import Final

FRAMES_A_SECOND: Final = 25
FRAMES_AT_ONCE: Final = 100
FRAGMENTS_MAX: Final = 64  # of one message
MESSAGE_BYTES_MAX: Final = 32 * 1024  # of a client's message; aiohttp refuses longer ones with 1009
SECOND_NS: Final = 1_000_000_000

TEXT: Final = 0x1
CLOSE: Final = 0x8
PING_FRAME: Final = b"\x89\x00"
PROTOCOL_ERROR: Final = 1002
POLICY_VIOLATION: Final = 1008
TOO_BIG: Final = 1009


def text_frame(payload: bytes) -> bytes:
    """A text message in one frame, as a server sends it."""
    return _head(TEXT, len(payload)) + payload


def close_frame(code: int, reason: str) -> bytes:
    """The end, with why."""
    payload = code.to_bytes(2, "big") + reason.encode()[:123]
    return _head(CLOSE, len(payload)) + payload


def _head(opcode: int, size: int) -> bytes:
    if size < 126:
        return bytes((0x80 | opcode, size))
    if size < 1 << 16:
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big")
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big")


class Guard:
    """Walks along the heads of a client's frames. Remembers a head that is not whole, and nothing of the payload; and
    when something was heard last."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self.heard_ns = now_ns()
        self._now_ns = now_ns
        self._head = bytearray()
        self._to_skip = 0
        self._fragments = 0
        self._allowance = float(FRAMES_AT_ONCE)
        self._filled_ns = self.heard_ns

    def feed(self, data: bytes) -> tuple[int, str] | None:
        """The next bytes; the close code and the reason where the client may not go on."""
        self.heard_ns = self._now_ns()
        place = 0
        while place < len(data):
            if self._to_skip:
                step = min(self._to_skip, len(data) - place)
                self._to_skip -= step
                place += step
                continue
            self._head.append(data[place])
            place += 1
            if len(self._head) < 2 or len(self._head) < _head_size(self._head[1]):
                continue
            wrong = self._judge()
            if wrong is not None:
                return wrong
        return None

    def _judge(self) -> tuple[int, str] | None:
        """A head is whole."""
        first, second = self._head[0], self._head[1]
        size = second & 0x7F
        if size > 125:
            size = int.from_bytes(self._head[2 : _head_size(second) - 4 * (second >> 7)], "big")
        self._head.clear()
        self._to_skip = size
        if not second & 0x80:
            return PROTOCOL_ERROR, "a client's frames are masked"
        if size > MESSAGE_BYTES_MAX:
            return TOO_BIG, f"a message has at most {MESSAGE_BYTES_MAX} bytes"
        if first & 0x0F < CLOSE:
            self._fragments = 0 if first & 0x80 else self._fragments + 1
        if self._fragments > FRAGMENTS_MAX:
            return POLICY_VIOLATION, f"a message has at most {FRAGMENTS_MAX} fragments"
        return self._count()

    def _count(self) -> tuple[int, str] | None:
        now_ns = self._now_ns()
        earned = (now_ns - self._filled_ns) * FRAMES_A_SECOND / SECOND_NS
        self._filled_ns = now_ns
        self._allowance = min(self._allowance + max(earned, 0.0), FRAMES_AT_ONCE) - 1
        if self._allowance < 0:
            return POLICY_VIOLATION, f"more than {FRAMES_A_SECOND} frames a second"
        return None


def _head_size(second: int) -> int:
    length = {126: 2, 127: 8}.get(second & 0x7F, 0)
    return 2 + length + (4 if second & 0x80 else 0)
