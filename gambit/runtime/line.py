"""A line keeps one shard of a venue's books connected: it connects, waits, connects again, and replaces a connection
that is about to be cut by one that is ready (reliability.md F76, F77, F79).

Of two connections for one book the market listens to the one that spoke last (R8). So a replacement takes over like
this: where snapshots come with the stream, its first snapshot silences the old connection in the same call; where they
are fetched beside it, its diffs are held back for a moment, and then go in together with a copy of each book as the old
connection had it, which they continue; fetching all snapshots again would take a large line minutes of the venue's
budget. A book that is quiet follows with its first diff. In neither case does a book that was synced stay unsynced
beyond that call.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, Protocol

from gambit.runtime.backoff import SEC, Attempts, Backoff
from gambit.runtime.gateway import Answer
from gambit.runtime.health import CONN, MOVED, SYNCED, State
from gambit.runtime.session import BookState, Drop, Fetch, Phase, Replace
from gambit.runtime.stream import Stream, ignore
from gambit.runtime.transport import LinkError
from gambit.venues.wire import Rule

SUCCESSION_SEC: Final = 20.0  # a replacement that has not taken over by then is given up
GATHER_SEC: Final = (
    1.0  # diffs that a replacement holds before it takes over: more than one connection is behind another
)
DRAIN_SEC: Final = 1.0  # how long a book may take to follow to the replacement
QUIET_DRAIN_SEC: Final = 8.0  # the same where it follows with its next diff


class Shop(Protocol):
    """What a line needs of its venue's feed."""

    attempts: Attempts

    def new_stream(self, line: "Line", *, holds: bool) -> Stream: ...

    async def open(self, stream: Stream) -> None:
        """Raises LinkError."""
        ...

    def copied(self, spelling: str) -> Answer | None:
        """A synced book as a depth snapshot; None for one that is not synced."""
        ...

    def take_snapshot(self, answer: Answer) -> None: ...

    def fetch(self, line: "Line", spelling: str) -> None:
        """Start fetching a depth snapshot for the market."""
        ...

    def start(self, name: str, work: Coroutine[Any, Any, object]) -> None:
        """Run a task that may end."""
        ...

    def now_ns(self) -> int: ...

    async def sleep(self, seconds: float) -> None: ...


class Line:
    """One shard: `spellings` are its books, by the venue's spelling and by market index."""

    def __init__(
        self, name: str, shop: Shop, markets: Mapping[str, int], *, rule: Rule, source: str, random: Callable[[], float]
    ) -> None:
        self.name = name
        self.shop = shop
        self.markets = markets
        self.fetches = rule is Rule.DIFF and source == "depth"
        self.backoff = Backoff(random)
        self.current: Stream | None = None
        self.successor: Stream | None = None
        self.connects = 0
        self.last_reason = ""
        self.idle_doublings = 0
        self.replaced = 0
        self._resubscribed = 0  # on connections that are gone
        self._successions = 0
        self._is_succeeding = False
        self.taken_ns = 0  # when the successor took over

    @property
    def spellings(self) -> Sequence[str]:
        """The venue's spellings of its books."""
        return list(self.markets)

    @property
    def books(self) -> Sequence[int]:
        """The market's indices of its books."""
        return list(self.markets.values())

    @property
    def streams(self) -> list[Stream]:
        """The connections there are."""
        return [stream for stream in (self.current, self.successor) if stream is not None]

    @property
    def resubscribed(self) -> int:
        """How often books were subscribed anew, on all connections so far."""
        return self._resubscribed + sum(stream.session.resubscribed for stream in self.streams)

    # ---- connecting ----

    async def run(self) -> None:
        """Connect for ever. Raises what a listener's own code raised."""
        wait_ns = 0
        while True:
            await self._pause(wait_ns)
            lasted_ns = 0
            stream = self.current = self.shop.new_stream(self, holds=False)
            try:
                await self._open(stream)
            except LinkError as error:
                self.last_reason = str(error)
            else:
                lasted_ns = await self._outlive(stream)
            self.current = None
            wait_ns = self.backoff.failed(lasted_ns)

    async def _pause(self, wait_ns: int) -> None:
        """The back-off, and whatever more the venue's connect budget asks for."""
        wait_ns = max(wait_ns, self.shop.attempts.wait_ns(self.shop.now_ns()))
        while wait_ns:
            await self.shop.sleep(wait_ns / SEC)
            wait_ns = self.shop.attempts.wait_ns(self.shop.now_ns())

    async def _open(self, stream: Stream) -> None:
        self.shop.attempts.take(self.shop.now_ns())
        self.connects += 1
        await self.shop.open(stream)

    async def _outlive(self, stream: Stream) -> int:
        """Wait until the line has no connection left; returns for how many ns the last one stood."""
        while True:
            self.last_reason = await stream.ended
            self._resubscribed += stream.session.resubscribed
            stream.session.resubscribed = 0
            if stream.bug is not None:
                raise stream.bug
            if stream.session.is_idle:
                self.idle_doublings += 1
            elif stream.session.has_been_live:
                self.idle_doublings = 0
            if self.successor is None or self.successor.ended.done():
                return self.shop.now_ns() - stream.session.opened_ns if stream.session.opened_ns else 0
            stream = self.current = self.successor
            self.successor = None

    # ---- deciding ----

    def step(self, now_ns: int, states: Sequence[State]) -> None:
        """Let each connection's session decide; carry it out. What is raised meanwhile ends the line, and nobody
        else's."""
        try:
            self._step(now_ns, states)
        except Exception as error:  # told by the end of the line's task, which raises it
            for stream in self.streams:
                stream.fail(error)

    def _step(self, now_ns: int, states: Sequence[State]) -> None:
        for stream in self.streams:
            books = {name: _state(states, market, stream.conn) for name, market in self.markets.items()}
            for action in stream.session.step(now_ns, books):
                match action:
                    case Fetch(spelling):
                        if stream.is_attached:
                            self.shop.fetch(self, spelling)
                    case Drop(reason):
                        self.last_reason = reason
                        stream.close_for(reason)
                    case Replace():
                        if stream is self.current:
                            self._start_succession(stream)
                    case _:
                        stream.act(action)
        self._finish_succession(now_ns)

    # ---- succession ----

    def _start_succession(self, old: Stream) -> None:
        """One at a time, from the first wait to the last: a venue may tell twice that it is about to close."""
        if not self._is_succeeding:
            self._is_succeeding = True
            self._successions += 1
            self.shop.start(f"{self.name} succession {self._successions}", self._succeed(old))

    async def _succeed(self, old: Stream) -> None:
        try:
            await self._pause(0)
            if old is self.current and not old.ended.done():  # else run() connects anew by itself
                await self._replace(old)
        finally:
            self._is_succeeding = False

    async def _replace(self, old: Stream) -> None:
        """Bring up a replacement; it takes over by itself, or is given up."""
        stream = self.successor = self.shop.new_stream(self, holds=True)
        try:
            await self._open(stream)
            if self.fetches:
                await self._bring_copies(stream, old)
            else:
                stream.attach()
                stream.on_message = self._until_it_takes_over(stream, old)
            async with asyncio.timeout(SUCCESSION_SEC):
                await asyncio.wait([old.ended, stream.ended], return_when=asyncio.FIRST_COMPLETED)
        except (LinkError, TimeoutError) as error:
            self.last_reason = f"replacement: {str(error) or 'it did not take over in time'}"
            stream.give_up(self.last_reason)
        if self.successor is stream and stream.ended.done():
            self.successor = None
        if stream.bug is not None:
            raise stream.bug

    async def _bring_copies(self, stream: Stream, old: Stream) -> None:
        """Raises TimeoutError where nothing comes on the replacement."""
        patience = SUCCESSION_SEC
        while not stream.held and not stream.ended.done():  # the first that comes tells that it is subscribed
            if patience <= 0:
                raise TimeoutError
            await self.shop.sleep(GATHER_SEC)
            patience -= GATHER_SEC
        await self.shop.sleep(GATHER_SEC)
        copies: dict[str, Answer] = {}
        for spelling in self.markets:
            copy = self.shop.copied(spelling)
            if copy is not None:
                copies[spelling] = copy
            await asyncio.sleep(0)  # a copy takes a millisecond, and other frames go first
        if stream.ended.done():
            return
        self._silence(old)
        stream.attach()
        self._join(stream, copies)
        stream.on_message = self._until_all_follow(stream, copies)
        stream.look()
        stream.pulse()

    def _join(self, stream: Stream, copies: dict[str, Answer]) -> None:
        """Give each book that came over to the connection its copy."""
        states = stream.market.pairs.states()
        for spelling in [name for name in copies if states[self.markets[name]][CONN] == stream.conn]:
            self.shop.take_snapshot(copies.pop(spelling))

    def _until_all_follow(self, stream: Stream, copies: dict[str, Answer]) -> Callable[[bytes, int], object]:
        take, pairs, until_ns = stream.on_message, stream.market.pairs, self.taken_ns + int(QUIET_DRAIN_SEC * SEC)

        def follow(data: bytes, recv_ns: int) -> None:
            changes = pairs.changes
            take(data, recv_ns)
            if pairs.changes != changes:
                self._join(stream, copies)
            if not copies or self.shop.now_ns() >= until_ns:
                stream.on_message = take

        return follow

    def _until_it_takes_over(self, stream: Stream, old: Stream) -> Callable[[bytes, int], object]:
        take, pairs = stream.on_message, stream.market.pairs

        def take_over(data: bytes, recv_ns: int) -> None:
            changes = pairs.changes
            take(data, recv_ns)
            if pairs.changes != changes:
                self._silence(old)
                stream.on_message = take

        return take_over

    def _silence(self, old: Stream) -> None:
        old.on_message = ignore
        old.session.draining()
        self.taken_ns = self.shop.now_ns()
        self.replaced += 1

    def _finish_succession(self, now_ns: int) -> None:
        """Let the old connection go when its books have all moved over, or after a while; at once when the replacement
        is gone, since it listens to nothing any more."""
        old, new = self.current, self.successor
        if old is None or old.session.phase is not Phase.DRAINING or old.ended.done():
            return
        is_gone = new is None or new.ended.done()
        drain_sec = QUIET_DRAIN_SEC if self.fetches else DRAIN_SEC
        if is_gone or (new and new.session.has_been_live) or now_ns - self.taken_ns >= drain_sec * SEC:
            old.detach()
            old.close_for("its replacement is gone" if is_gone else "replaced")


def _state(states: Sequence[State], market: int, conn: int) -> BookState:
    if market >= len(states):
        return BookState(False, False, -1)
    state = states[market]
    return BookState(bool(state[SYNCED]), state[CONN] == conn, state[MOVED], state[CONN] not in (conn, -1))
