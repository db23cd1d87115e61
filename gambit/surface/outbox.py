"""What one subscriber has still to read: bounded; states give way to newer ones, events are never dropped silently."""

from collections.abc import Hashable

MESSAGES_MAX = 1024
BYTES_MAX = 1 << 20


class Outbox:
    """Lines in their order. A line with a slot replaces the one waiting in that slot (latest wins, counted).

    When it is full, the oldest line that has a slot goes (counted). When there is none, the reader is beyond help:
    `put` says so and the connection has to be cut.
    """

    def __init__(self, messages_max: int = MESSAGES_MAX, bytes_max: int = BYTES_MAX) -> None:
        self.messages_max = messages_max
        self.bytes_max = bytes_max
        self.conflated = 0
        self._lines: dict[Hashable, bytes] = {}
        self._bytes = 0
        self._grown = 0

    def __len__(self) -> int:
        return len(self._lines)

    def put(self, line: bytes, slot: Hashable | None = None) -> bool:
        """Take a line; False when there is no room and nothing that may go."""
        key: Hashable
        if slot is None:
            self._grown += 1
            key = self._grown
        else:
            key = ("slot", slot)
            if key in self._lines:
                self._drop(key)
        while len(self._lines) >= self.messages_max or self._bytes + len(line) > self.bytes_max:
            oldest = next((key for key in self._lines if isinstance(key, tuple)), None)
            if oldest is None:
                return not self._lines and self._add(key, line)  # a single line may be of any length
            self._drop(oldest)
        return self._add(key, line)

    def take(self) -> bytes:
        """All that waits, as one piece; empty afterwards."""
        piece = b"".join(self._lines.values())
        self._lines.clear()
        self._bytes = 0
        return piece

    def _add(self, key: Hashable, line: bytes) -> bool:
        self._lines[key] = line
        self._bytes += len(line)
        return True

    def _drop(self, key: Hashable) -> None:
        self._bytes -= len(self._lines.pop(key))
        self.conflated += 1
