"""The life of a connection, played with a clock of our own and no socket."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gambit.model import Acknowledged, VenueNotice
from gambit.runtime.session import (
    DEAD_SEC,
    FROZEN_SEC,
    IDLE_SEC,
    LIVELY_SEC,
    QUIET_SEC,
    RESYNC_SEC,
    SEC,
    Action,
    BookState,
    Drop,
    Fetch,
    Phase,
    Ping,
    Replace,
    Send,
    Session,
)
from gambit.venues import VENUES

TICK = SEC // 10


@dataclass
class Play:
    """A session, its books and its clock; the venue answers each subscription as `answers` says."""

    session: Session
    answers: bool = True
    now: int = 0
    said: list[tuple[int, Action]] = field(default_factory=list)
    books: dict[str, BookState] = field(default_factory=dict)
    quiet: set[str] = field(default_factory=set)  # books that do not move
    is_heard: bool = True

    def run(self, seconds: float) -> list[Action]:
        """Let time pass in steps of a tenth; the actions of it."""
        start = len(self.said)
        for _ in range(int(seconds * 10)):
            self.now += TICK
            if self.is_heard:
                self.session.heard_ns = self.now
            for name, book in self.books.items():
                if book.synced and name not in self.quiet:
                    self.books[name] = book._replace(moved_ns=self.now)
            for action in self.session.step(self.now, self.books):
                self.said.append((self.now, action))
                if self.answers and isinstance(action, Send) and b"nsubscribe" not in action.data.lower():
                    self.sync(
                        *(name for name in self.session.spellings if name.lower().encode() in action.data.lower())
                    )
        return [action for _, action in self.said[start:]]

    def sync(self, *names: str) -> None:
        """The books are synced as of now."""
        self.books |= {name: BookState(True, True, self.now) for name in names}

    def lose(self, name: str) -> None:
        """A book lost its sequence."""
        self.books[name] = self.books[name]._replace(synced=False)

    def times(self, kind: type, text: bytes = b"") -> list[float]:
        """When actions of a kind were asked for, in seconds."""
        return [
            at / SEC for at, action in self.said if isinstance(action, kind) and text in getattr(action, "data", text)
        ]


def play(venue: str = "okx", names: tuple[str, ...] = ("A-B", "C-D"), **more: Any) -> Play:
    """A connection that stands since 0 s."""
    found = Play(Session(VENUES[venue], names, **more))
    found.session.opened(0)
    return found


def live(venue: str = "okx", **more: Any) -> Play:
    """A connection with two synced books, 0.2 s old."""
    found = play(venue, **more)
    found.run(0.2)
    assert found.session.phase is Phase.LIVE
    return found


def test_everything_is_subscribed_at_once() -> None:
    """One request for all books; live when the last is synced."""
    found = play()
    found.answers = False
    (action,) = found.run(0.1)
    assert isinstance(action, Send)
    assert action.data.count(b"instId") == 2
    found.sync("A-B")
    found.run(0.1)
    assert found.session.phase is Phase.SUBSCRIBING
    found.sync("C-D")
    found.run(0.1)
    assert found.session.phase is Phase.LIVE


def test_books_that_another_connection_feeds_are_not_its_own() -> None:
    """A replacement is live when it feeds them itself."""
    found = play()
    found.answers = False
    found.books = {name: BookState(True, False, 0, is_elsewhere=True) for name in ("A-B", "C-D")}
    found.run(0.3)
    assert found.session.phase is Phase.SUBSCRIBING


def test_nothing_is_done_before_the_connection_stands_or_after_it_went() -> None:
    """Connecting and closed sessions want nothing."""
    found = Play(Session(VENUES["okx"], ["A-B"]))
    assert found.run(30) == []
    found.session.opened(found.now)
    found.session.closed()
    assert found.run(30) == []


def test_a_dead_socket_is_found_within_ten_seconds() -> None:
    """A ping after three seconds without a byte, the end after eight (F78)."""
    found = live()
    found.is_heard, since = False, found.now
    actions = found.run(DEAD_SEC)
    assert found.times(Send, b"ping") == pytest.approx([since / SEC + QUIET_SEC])
    assert isinstance(actions[-1], Drop)
    assert found.now - since <= 10 * SEC


@pytest.mark.parametrize(("venue", "text"), [("okx", b"ping"), ("bybit", b'{"op":"ping"}'), ("kraken", b'"ping"')])
def test_venues_that_want_pings_get_them(venue: str, text: bytes) -> None:
    """In their own words and period, whether the stream is busy or not."""
    found = live(venue)
    found.run(100)
    period = VENUES[venue].live.ping_sec
    assert found.times(Send, text) == pytest.approx([period * k for k in range(1, int(100 / period) + 1)], abs=0.3)


def test_where_the_venue_has_no_words_a_websocket_ping_does() -> None:
    """Coinbase and Binance."""
    found = live("coinbase")
    found.run(25)
    assert len(found.times(Ping)) == 1


def test_a_lost_book_is_subscribed_anew_at_once() -> None:
    """Unsubscribe and subscribe, for that book alone (F56)."""
    found = live()
    found.lose("C-D")
    leave, come = found.run(1)
    assert isinstance(leave, Send)
    assert isinstance(come, Send)
    assert b"unsubscribe" in leave.data
    assert b"A-B" not in leave.data + come.data
    assert found.books["C-D"].synced


@given(losses=st.lists(st.integers(1, 200), min_size=1, max_size=60), answers=st.booleans())
@settings(max_examples=40, deadline=None)
def test_no_book_is_asked_for_twice_within_five_seconds(losses: list[int], answers: bool) -> None:
    """However often it is lost, and whether the venue answers or not (F60)."""
    found = live()
    found.answers = answers
    for tenths in losses:
        found.run(tenths / 10)
        found.lose("A-B")
    times = found.times(Send, b'"unsubscribe"')
    assert all(round(b - a, 6) >= RESYNC_SEC for a, b in pairwise(times))


def test_fruitless_asking_grows_rarer() -> None:
    """A book that never comes is not asked for every five seconds for ever; the others are left alone."""
    found = live()
    found.answers = False
    found.lose("A-B")
    found.run(600)
    times = found.times(Send, b'"unsubscribe"')
    assert 5 <= len(times) <= 8
    assert [round(b - a) for a, b in pairwise(times)][:4] == [10, 20, 40, 80]


def test_after_a_refusal_each_book_is_asked_for_by_itself() -> None:
    """One wrong name fails a whole request (Bybit); it must not keep the others out."""
    found = play("bybit", ("AB", "CD"))
    found.answers = False
    found.run(1)
    found.session.told(VenueNotice("error:handler not found,topic:orderbook.50.CD", True))
    sent = [action.data for action in found.run(15) if isinstance(action, Send) and b'"subscribe"' in action.data]
    assert [(b".AB" in data, b".CD" in data) for data in sent] == [(True, False), (False, True)]


def test_a_frozen_book_is_subscribed_anew() -> None:
    """It stands still while the other moves (F61)."""
    found = live()
    found.quiet.add("A-B")
    found.run(FROZEN_SEC + 1)
    assert len(found.times(Send, b'"unsubscribe"')) == 1
    assert b"C-D" not in b"".join(action.data for _, action in found.said[2:] if isinstance(action, Send))


def test_a_book_that_is_just_quiet_is_not_asked_for_all_the_time() -> None:
    """A snapshot and nothing behind it, again and again: ever more rarely."""
    found = live()
    found.quiet.add("A-B")
    found.run(600)
    assert len(found.times(Send, b'"unsubscribe"')) <= 8


@pytest.mark.parametrize("every_sec", [12, 15, 20, 40, 90])
def test_books_that_move_now_and_then_stay_within_the_venues_count(every_sec: int) -> None:
    """What OKX takes of a connection in an hour is 480 requests (okx.md 1); a dozen slow markets are far from it."""
    found = live()
    found.quiet.add("A-B")
    for _ in range(3600 // every_sec):
        found.run(every_sec)
        found.books["A-B"] = found.books["A-B"]._replace(moved_ns=found.now)
    assert len(found.times(Send, b"subscribe")) * 12 < 480


def test_a_lively_book_that_freezes_again_is_seen_as_soon_as_before() -> None:
    """What it did minutes ago is forgotten (F61)."""
    found = live()
    for _ in range(3):
        found.quiet.add("A-B")
        found.run(FROZEN_SEC + 1)
        found.quiet.clear()
        found.run(LIVELY_SEC + 1)
    assert len(found.times(Send, b'"unsubscribe"')) == 3


def test_heartbeats_alone_do_not_keep_a_connection() -> None:
    """Something is heard, no book moves: given up, and the next one is given more time (F62)."""
    found = live()
    found.quiet |= {"A-B", "C-D"}
    assert any(isinstance(action, Drop) for action in found.run(IDLE_SEC + 1))
    assert found.session.is_idle
    patient = live(idle_doublings=1)
    patient.quiet |= {"A-B", "C-D"}
    assert not any(isinstance(action, Drop) for action in patient.run(IDLE_SEC + 1))
    assert any(isinstance(action, Drop) for action in patient.run(IDLE_SEC))


def test_a_replacement_is_asked_for_before_the_venue_cuts() -> None:
    """Ten minutes before 24 hours, once (F76)."""
    found = live("binance", names=("AB", "CD"))
    found.session.opened_ns = found.now - int((86_400 - 601) * SEC)
    assert not any(isinstance(action, Replace) for action in found.run(0.5))
    assert sum(isinstance(action, Replace) for action in found.run(60)) == 1


@pytest.mark.parametrize("venue", ["okx", "binance"])
def test_a_notice_of_a_shutdown_asks_for_a_replacement(venue: str) -> None:
    """At once, once a notice (F77); other notices do not."""
    found = live(venue)
    found.session.told(VenueNotice("maintenance", False))
    assert not any(isinstance(action, Replace) for action in found.run(1))
    found.session.told(VenueNotice("64008: the connection will soon be closed", False, is_closing=True))
    assert [action for action in found.run(1) if isinstance(action, Replace)] == [
        Replace("64008: the connection will soon be closed")
    ]


def test_a_draining_connection_is_left_alone() -> None:
    """It only shows that it lives."""
    found = live()
    found.session.draining()
    found.lose("A-B")
    assert found.run(15) == []


def test_requests_leave_no_faster_than_the_venue_takes_them() -> None:
    """Hundreds of topics at ten a request, ten requests a second (bybit.md)."""
    found = play("bybit", tuple(f"S{k}" for k in range(300)))
    found.run(10)
    times = found.times(Send, b'"subscribe"')
    assert len(times) == 30
    limit = VENUES["bybit"].live.sends_per_sec
    assert max(sum(t <= other < t + 1 for other in times) for t in times) <= limit + 1


def test_acks_are_noticed() -> None:
    """For who wants to know."""
    found = play()
    assert not found.session.is_acknowledged
    found.session.told(Acknowledged())
    assert found.session.is_acknowledged


# ---- snapshots from beside the stream ----


def binance(*names: str) -> Play:
    """A Binance connection whose books have no diff yet."""
    found = play("binance", names or ("AB",))
    found.answers = False
    found.run(0.1)
    return found


def fed(found: Play, name: str) -> None:
    """A first diff came."""
    found.books[name] = BookState(False, True, -1)


def test_the_first_diff_asks_for_a_snapshot() -> None:
    """At once, once; nothing is subscribed anew for it."""
    found = binance()
    fed(found, "AB")
    assert found.run(0.5) == [Fetch("AB")]


def test_a_quiet_book_asks_for_its_snapshot_too() -> None:
    """No diff comes; its book is known all the same."""
    found = binance()
    assert found.run(2) == [Fetch("AB")]


def test_a_snapshot_that_does_not_fit_is_fetched_again() -> None:
    """Ever more rarely (F57)."""
    found = binance()
    fed(found, "AB")
    found.run(30)
    times = found.times(Fetch)
    assert [round(b - a) for a, b in pairwise(times)] == [2, 4, 8]


def test_a_gap_fetches_at_most_once_in_five_seconds() -> None:
    """The same rule as for subscriptions."""
    found = binance()
    fed(found, "AB")
    found.run(1)
    for _ in range(100):
        found.sync("AB")
        found.run(0.2)
        found.lose("AB")
        found.run(0.2)
    times = found.times(Fetch)[1:]  # the very first snapshot does not count
    assert all(round(b - a, 6) >= RESYNC_SEC for a, b in pairwise(times))
    assert len(times) >= 8
