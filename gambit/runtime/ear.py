"""One connection of an account: what the transport says of it, and what is said on it."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Protocol

from gambit.runtime.transport import Link
from gambit.venues.orders import Line


class Hearer(Protocol):
    """Whose connection it is."""

    def heard(self, ear: "Ear", data: bytes, recv_ns: int) -> None:
        """A frame of a line."""
        ...


class Ear:
    """The transport's listener for one line."""

    def __init__(self, port: Hearer, line: Line, *, is_entry: bool) -> None:
        self.port = port
        self.line = line
        self.is_entry = is_entry
        self.is_ready = False  # logged on and, for the stream, subscribed
        self.is_quiet = True  # nothing was heard, not even an answer to a ping, since whoever looks said so
        self.link: Link | None = None
        self.reason = ""
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.on_message: Callable[[bytes, int], object] = partial(port.heard, self)

    def say(self, data: bytes) -> None:
        """Send a text, unless it is empty."""
        if self.link is not None and data:
            self.link.send(data)

    def end(self, reason: str) -> None:
        """Close the connection, for this reason."""
        self.reason = reason
        if self.link is not None:
            self.link.close()

    def on_open(self, link: Link) -> None:
        """The connection stands."""
        self.link = link

    def on_heard(self, recv_ns: int) -> None:  # noqa: ARG002
        """The end of a read."""
        self.is_quiet = False

    def on_close(self, reason: str, bug: Exception | None) -> None:
        """The connection is gone."""
        self.link, self.reason = None, self.reason or (reason if bug is None else f"{reason}: {bug!r}")
        if not self.ended.done():
            self.ended.set_result(None)
