"""The life of one market data connection, without the connection: what to send, ask for and give up, and when.

    connecting -> subscribing -> live -> draining -> closed

The shell (feed.py) tells what happened (opened, heard, told, closed) and calls step() now and then with the state of
the books; step() answers with actions. Rules, with the scenarios of reliability.md that ask for them:

1. Nothing heard for QUIET_SEC: ping. Nothing for DEAD_SEC: the socket is dead (F78).
2. A book that is not synced is asked for again, at most once in RESYNC_SEC, ever more rarely while that is fruitless
   (F56, F58, F60).
3. A book that stands still while others on the connection move is subscribed anew, ever more rarely until it has been
   lively for LIVELY_SEC: a book may just be quiet (F61), and venues count what is asked for (OKX: 480 an hour).
4. No book moved for IDLE_SEC although something is heard: the connection is given up (F62).
5. An age at which the venue cuts connections, or a notice that it is about to: a replacement is asked for (F76, F77).
6. Requests leave no faster than the venue takes them.

Times are ns of one clock that never steps back.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from gambit.model import Acknowledged, VenueNotice
from gambit.venues.live import CONTROL_PING
from gambit.venues.wire import Venue

SEC: Final = 1_000_000_000
QUIET_SEC: Final = 3.0
DEAD_SEC: Final = 8.0
RESYNC_SEC: Final = 5.0
FETCH_SEC: Final = 0.5
FROZEN_SEC: Final = 10.0
LIVELY_SEC: Final = 300.0  # without standing still for FROZEN_SEC: the next time is no quiet book's
OTHERS_SEC: Final = 2.0  # "others move": one of them did within this
IDLE_SEC: Final = 20.0
LIFE_MARGIN_SEC: Final = 600.0
RARER_MOST: Final = 6  # doublings
TEXTS_KEPT: Final = 20
NEVER: Final = -(1 << 62)


class Phase(StrEnum):
    """Where a connection stands."""

    CONNECTING = "connecting"
    SUBSCRIBING = "subscribing"
    LIVE = "live"
    DRAINING = "draining"
    CLOSED = "closed"


class BookState(NamedTuple):
    """A book as the market sees it."""

    synced: bool
    is_fed: bool  # by this connection
    moved_ns: int  # the last applied frame, -1 none
    is_elsewhere: bool = False  # fed by another connection


UNSEEN: Final = BookState(False, False, -1)


@dataclass(frozen=True, slots=True)
class Send:
    """Send this text."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Ping:
    """Send a WebSocket ping."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """Ask for this book's depth snapshot beside the stream."""

    spelling: str


@dataclass(frozen=True, slots=True)
class Drop:
    """Close the connection; a new one takes its place after the usual wait."""

    reason: str


@dataclass(frozen=True, slots=True)
class Replace:
    """Bring up another connection for the same books, then let this one go."""

    reason: str


Action = Send | Ping | Fetch | Drop | Replace


@dataclass(slots=True)
class _Watch:
    """What was done about one book."""

    asked_ns: int = -1
    again_ns: int = NEVER  # asked again, after it was lost
    fruitless: int = 0  # asked in a row without becoming synced
    calm: int = 0  # subscribed anew because it stood still, since it was last a lively one
    still_ns: int = NEVER  # when it was last seen standing still
    was_fed: bool = False


@dataclass(slots=True)
class Session:
    """One connection of a venue and its books, by the venue's spelling."""

    venue: Venue
    spellings: Sequence[str]
    source: str = "depth"
    depth: int = 0
    idle_doublings: int = 0  # connections in a row that were given up because no book moved
    phase: Phase = Phase.CONNECTING
    opened_ns: int = 0
    heard_ns: int = 0
    is_acknowledged: bool = False
    has_been_live: bool = False
    is_idle: bool = False  # given up because no book moved
    notices: deque[str] = field(default_factory=lambda: deque(maxlen=TEXTS_KEPT))
    resubscribed: int = 0
    _watches: dict[str, _Watch] = field(default_factory=dict)
    _outbox: deque[tuple[bytes, Sequence[str]]] = field(default_factory=deque)  # texts, and the books they ask for
    _may_send_ns: int = 0
    _pinged_ns: int = 0
    _probed_ns: int = 0
    _replace: str = ""
    _was_refused: bool = False

    @property
    def _gap_ns(self) -> int:
        return int(SEC / self.venue.live.sends_per_sec)

    # ---- what happened ----

    def opened(self, now_ns: int) -> None:
        """The connection stands: everything is subscribed."""
        self.phase = Phase.SUBSCRIBING
        self.opened_ns = self.heard_ns = self._pinged_ns = now_ns
        self._watches = {spelling: _Watch(asked_ns=now_ns, fruitless=1) for spelling in self.spellings}
        self._post(self.spellings, leave_first=False)

    def told(self, fact: object) -> None:
        """What the venue said about the connection."""
        match fact:
            case Acknowledged():
                self.is_acknowledged = True
            case VenueNotice(text, is_error, is_closing):
                self.notices.append(text)
                self._was_refused = self._was_refused or is_error
                if is_closing:
                    self._replace = text

    def draining(self) -> None:
        """Another connection has taken the books over."""
        self.phase = Phase.DRAINING

    def closed(self) -> None:
        """The connection is gone."""
        self.phase = Phase.CLOSED

    # ---- what to do ----

    def step(self, now_ns: int, books: Mapping[str, BookState]) -> list[Action]:
        """What to do now. `books` has the state of each spelling that the market knows."""
        if self.phase in (Phase.CONNECTING, Phase.CLOSED):
            return []
        if now_ns - self.heard_ns >= DEAD_SEC * SEC:
            return [Drop(f"nothing was heard for {DEAD_SEC:g} s")]
        actions: list[Action] = []
        if self.phase is not Phase.DRAINING:
            if self._is_idle(now_ns, books):
                return [Drop("no book moved, although the connection is alive")]
            actions += self._care_for(now_ns, books)
            actions += self._retire(now_ns)
        return [*actions, *self._pings(now_ns), *self._sends(now_ns)]

    def _is_idle(self, now_ns: int, books: Mapping[str, BookState]) -> bool:
        moved_ns = max((book.moved_ns for book in books.values() if book.is_fed), default=-1)
        patience_ns = int(IDLE_SEC * SEC) << min(self.idle_doublings, RARER_MOST)
        self.is_idle = now_ns - max(moved_ns, self.opened_ns) >= patience_ns
        return self.is_idle

    def _retire(self, now_ns: int) -> list[Action]:
        """Rule 5, once."""
        life_sec = self.venue.live.life_sec
        if not self._replace and life_sec is not None:
            margin_sec = min(LIFE_MARGIN_SEC, life_sec / 10)
            if now_ns - self.opened_ns >= (life_sec - margin_sec) * SEC:
                self._replace = f"the venue cuts connections at {life_sec:g} s"
        if not self._replace:
            return []
        reason, self._replace = self._replace, ""
        self.opened_ns = now_ns  # should the replacement fail, this one asks again after another life
        return [Replace(reason)]

    def _care_for(self, now_ns: int, books: Mapping[str, BookState]) -> Iterable[Action]:
        """Rules 2 and 3."""
        others_ns = max((book.moved_ns for book in books.values() if book.is_fed), default=-1)
        others_move = now_ns - others_ns <= OTHERS_SEC * SEC
        leaves_ns = max(now_ns, self._may_send_ns) + len(self._outbox) * self._gap_ns  # what is asked for now
        lost: list[str] = []
        frozen: list[str] = []
        fetched: list[Action] = []
        for spelling, watch in self._watches.items():
            book = books.get(spelling, UNSEEN)
            if book.synced and book.is_fed:
                watch.fruitless = 0
                if now_ns - book.moved_ns >= FROZEN_SEC * SEC:
                    watch.still_ns = now_ns
                elif now_ns - watch.still_ns >= LIVELY_SEC * SEC:
                    watch.calm = 0
                if others_move and self._is_frozen(now_ns, watch, book):
                    frozen.append(spelling)
            elif self._fetches(book):
                if self._may_fetch(now_ns, watch, book):
                    fetched.append(Fetch(spelling))
                    if watch.fruitless == 0:  # it was synced before; its very first snapshot does not count
                        watch.again_ns = now_ns
                    self._asked(watch, leaves_ns)
            elif self._may_ask(now_ns, watch, RESYNC_SEC):
                lost.append(spelling)
                self._asked(watch, leaves_ns)
            watch.was_fed = book.is_fed
        states = [books.get(name, UNSEEN) for name in self._watches]
        if self.phase is Phase.SUBSCRIBING and all(book.synced and not book.is_elsewhere for book in states):
            self.phase = Phase.LIVE
            self.has_been_live = True
        for spelling in frozen:
            self._watches[spelling].calm += 1
            self._watches[spelling].asked_ns = leaves_ns
        self._resubscribe([*lost, *frozen])
        return fetched

    def _fetches(self, book: BookState) -> bool:
        """Whether a snapshot from beside the stream is what this book lacks."""
        return self.source == "depth" and not self.venue.live.resubscribes and (book.is_fed or book.moved_ns < 0)

    def _may_fetch(self, now_ns: int, watch: _Watch, book: BookState) -> bool:
        if book.is_fed and not watch.was_fed:
            return True  # its first diff
        return self._may_ask(now_ns, watch, FETCH_SEC)

    def _may_ask(self, now_ns: int, watch: _Watch, patience_sec: float) -> bool:
        if watch.fruitless == 0:
            return now_ns - watch.again_ns >= RESYNC_SEC * SEC
        return now_ns - watch.asked_ns >= int(patience_sec * SEC) << min(watch.fruitless, RARER_MOST)

    def _is_frozen(self, now_ns: int, watch: _Watch, book: BookState) -> bool:
        patience_ns = int(FROZEN_SEC * SEC) << min(max(0, watch.calm - 1), RARER_MOST)
        return now_ns - max(book.moved_ns, watch.asked_ns) >= patience_ns

    def _asked(self, watch: _Watch, leaves_ns: int) -> None:
        watch.asked_ns = leaves_ns
        watch.fruitless += 1

    def _resubscribe(self, spellings: Sequence[str]) -> None:
        """One request for all, or one each after the venue refused something: one wrong name fails a whole request."""
        self.resubscribed += len(spellings)
        for group in [[name] for name in spellings] if self._was_refused else [list(spellings)]:
            if group:
                self._post(group, leave_first=True)

    def _post(self, spellings: Sequence[str], *, leave_first: bool) -> None:
        if leave_first:
            requests = self.venue.unsubscribe(spellings, source=self.source, depth=self.depth)
            self._outbox.extend((request.data, spellings) for request in requests)
        requests = self.venue.subscribe(spellings, source=self.source, depth=self.depth)
        self._outbox.extend((request.data, ()) for request in requests)

    def _pings(self, now_ns: int) -> list[Action]:
        """Rule 1, and the venue's own period; a ping takes its turn among the requests."""
        live = self.venue.live
        is_due = now_ns - self._pinged_ns >= live.ping_sec * SEC
        is_quiet = now_ns - self.heard_ns >= QUIET_SEC * SEC and self._probed_ns < self.heard_ns
        if not (is_due or is_quiet):
            return []
        if is_quiet:
            self._probed_ns = now_ns
        self._pinged_ns = now_ns
        if live.ping == CONTROL_PING:
            return [Ping()]
        self._outbox.appendleft((live.ping, ()))
        return []

    def _sends(self, now_ns: int) -> list[Action]:
        """Rule 6."""
        sent: list[Action] = []
        self._may_send_ns = max(self._may_send_ns, now_ns)
        while self._outbox and self._may_send_ns <= now_ns:
            data, spellings = self._outbox.popleft()
            sent.append(Send(data))
            self._may_send_ns += self._gap_ns
            for spelling in spellings:  # the five seconds count from when it leaves, not from when it was decided
                self._watches[spelling].again_ns = now_ns
        return sent
