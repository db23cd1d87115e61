"""One connection as the feed has it: the session that decides, the link that carries it out, its place in the market.

Frames go from the transport straight into compiled code; nothing of Python runs for each but the transport's own call.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from gambit._core.inlet import Intake
from gambit.engine.market import Market
from gambit.events.feed import FeedDown, FeedUp
from gambit.runtime.clock import Clock
from gambit.runtime.session import Ping, Send, Session
from gambit.runtime.transport import Link

HELD_BYTES_MAX: Final = 64 * 1024 * 1024


class Observer:
    """Who wants to know what feeds do; this one does not. With `records`, every frame goes through received()."""

    records = False

    def fact(self, fact: object) -> None:
        """A fact of gambit.events: connections up and down, books synced and lost."""

    def opened(self, venue: str, conn: str, address: str, now_ns: int) -> None:
        """A connection's frames begin."""

    def closed(self, venue: str, conn: str, now_ns: int) -> None:
        """A connection's frames have ended."""

    def sent(self, venue: str, conn: str, data: bytes, now_ns: int) -> None:
        """A text was sent on a connection."""

    def received(self, venue: str, conn: str, data: bytes, recv_ns: int) -> None:
        """A message, before the market sees it."""

    def fetched(self, venue: str, url: str, body: bytes, now_ns: int) -> None:
        """A REST answer, before the market sees it."""


def ignore(_data: bytes, _recv_ns: int) -> None:
    """Where the messages of a connection go that another one has replaced."""


class Stream:
    """A listener of the transport for one connection of a venue."""

    def __init__(
        self,
        market: Market,
        session: Session,
        conn: int,
        *,
        clock: Clock,
        observer: Observer,
        pulse: Callable[[], None],
        look: Callable[[], None],
        holds: bool = False,
    ) -> None:
        """With `holds`, messages wait for attach(); `look` tells what became of the books."""
        self.look = look
        self.holds = holds
        self.market = market
        self.session = session
        self.conn = conn
        self.clock = clock
        self.observer = observer
        self.pulse = pulse
        self.venue = session.venue.name
        self.name = market.connections[conn].name
        self.address = market.connections[conn].address or ""
        self.link: Link | None = None
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.bug: Exception | None = None
        self.reason = ""  # why we ended it
        self.is_attached = False
        self.held: list[tuple[bytes, int]] = []
        self.held_bytes = 0
        self.on_message: Callable[[bytes, int], object] = self.hold

    # ---- where messages go ----

    def attach(self) -> None:
        """From now on messages go into the market; first those that were held back."""
        self.is_attached = True
        self.observer.opened(self.venue, self.name, self.address, self.clock.now_ns())
        take = self.take if self.observer.records else Intake(self.market.hot, self.conn)
        held, self.held = self.held, []
        for data, recv_ns in held:
            take(data, recv_ns)
        self.on_message = take

    def take(self, data: bytes, recv_ns: int) -> None:
        """A message that is recorded too."""
        self.observer.received(self.venue, self.name, data, recv_ns)
        self.market.on_frame(self.conn, data, recv_ns)

    def hold(self, data: bytes, recv_ns: int) -> None:
        """A message that waits; more of them than memory should hold end the connection."""
        self.held.append((data, recv_ns))
        self.held_bytes += len(data)
        if self.held_bytes > HELD_BYTES_MAX and self.link is not None:
            self.close_for("too much was held back")

    def detach(self) -> None:
        """The market forgets the connection: its books are unsynced, but for those that another has taken over."""
        self.on_message = ignore
        if self.is_attached:
            self.is_attached = False
            now_ns = self.clock.now_ns()
            self.market.disconnect(self.conn, now_ns)
            self.observer.closed(self.venue, self.name, now_ns)
            self.look()

    # ---- what the transport tells ----

    def on_open(self, link: Link) -> None:
        """The connection stands."""
        self.link = link
        if not self.holds:
            self.attach()
        self.session.opened(self.clock.now_ns())
        self.observer.fact(FeedUp(venue=self.venue, conn=self.name))

    def on_heard(self, recv_ns: int) -> None:
        """A read is through."""
        self.session.heard_ns = recv_ns
        self.look()
        self.pulse()

    def on_close(self, reason: str, bug: Exception | None) -> None:
        """The connection is gone."""
        self.session.closed()
        self.detach()
        self.bug = self.bug or bug
        reason = self.reason or reason
        if self.link is not None:
            self.observer.fact(FeedDown(venue=self.venue, conn=self.name, reason=reason))
        try:
            self.pulse()
        except Exception as error:
            self.bug = self.bug or error  # raised by whoever waits for the end
        if not self.ended.done():
            self.ended.set_result(reason)

    # ---- what the session wants ----

    def act(self, action: Send | Ping) -> None:
        """Send something."""
        if self.link is None:
            return
        if isinstance(action, Send):
            self.link.send(action.data)
            self.observer.sent(self.venue, self.name, action.data, self.clock.now_ns())
        else:
            self.link.ping()

    def give_up(self, reason: str) -> None:
        """End it at once, as far as the market and the line are concerned."""
        self.detach()
        self.close_for(reason)
        if not self.ended.done():
            self.ended.set_result(reason)

    def fail(self, error: Exception) -> None:
        """A defect of ours, and with it the end of the connection; the line's task raises it then."""
        self.bug = self.bug or error
        self.close_for(repr(error))

    def close_for(self, reason: str) -> None:
        """End the connection; on_close follows, and says this reason."""
        self.reason = self.reason or reason
        if self.link is not None:
            self.link.close()
