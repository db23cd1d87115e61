"""gambit.runtime.warmth: what the loop does while no frame comes."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gambit.runtime import warmth
from gambit.runtime.warmth import HOME, LEVELS, LOOK_SEC, MOVING, PAUSE_SEC, SIGNAL_EVERY, STILL, Rehearsal, Warmth


class Loop:
    """Stands where a loop does: what it was asked to call, called by hand."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], object]] = []
        self.later: list[tuple[float, asyncio.TimerHandle]] = []

    def call_soon(self, call: Callable[[], object]) -> None:
        self.soon.append(call)

    def call_later(self, delay: float, call: Callable[..., object], *args: object) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(0.0, call, args, self)  # type: ignore[arg-type]
        self.later.append((delay, handle))
        return handle

    def get_debug(self) -> bool:
        return False

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        self.later = [(delay, one) for delay, one in self.later if one is not handle]

    def turn(self) -> None:
        """All that waits, once."""
        soon, later, self.soon, self.later = self.soon, self.later, [], []
        for call in soon:
            call()
        for _, handle in later:
            handle._run()


class Kept:
    """A Warmth with its loop, the market's clock in a hand, and how often it rehearsed."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.clock = 5
        self.plays = 0
        self.warmth = Warmth(self.loop, lambda: self.clock)  # type: ignore[arg-type]


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Kept:
    found = Kept()

    class Counted(Rehearsal):
        def play(self) -> list[dict[str, object]]:
            found.plays += 1
            return super().play()

    monkeypatch.setattr(warmth, "Rehearsal", Counted)
    return found


def test_a_warm_loop_rehearses_while_no_frame_comes(kept: Kept) -> None:
    """The market's clock says whether one came; while they do the timer is a rare one."""
    kept.warmth.keep(hot=False, warm=True)
    kept.loop.turn()
    assert kept.plays == 0  # the first look only knows where the clock stands
    for number in range(1, 5):
        kept.loop.turn()
        assert kept.plays == number
        assert [delay for delay, _ in kept.loop.later] == [PAUSE_SEC]
    for _ in range(5):
        kept.clock += 1
        kept.loop.turn()
        assert [delay for delay, _ in kept.loop.later] == [LOOK_SEC]
    assert kept.plays == 4
    kept.loop.turn()
    assert kept.plays == 5
    assert kept.loop.soon == []


def test_a_hot_loop_always_has_something_to_run_and_nothing_to_rehearse(kept: Kept) -> None:
    """However often it is asked for."""
    kept.warmth.keep(hot=True, warm=True)
    kept.warmth.keep(hot=True, warm=True)
    for _ in range(3):
        assert (len(kept.loop.soon), kept.loop.later) == (1, [])
        kept.loop.turn()
    assert kept.plays == 0


def test_it_changes_while_it_runs(kept: Kept) -> None:
    """Hot, warm, neither; twice warm is one timer."""
    kept.warmth.keep(hot=True, warm=True)
    for _ in range(2):
        kept.warmth.keep(hot=False, warm=True)
        assert len(kept.loop.later) == 1
    kept.loop.turn()
    assert kept.loop.soon == []
    kept.loop.turn()
    assert kept.plays == 1
    kept.warmth.keep(hot=False, warm=False)
    assert (kept.loop.soon, kept.loop.later) == ([], [])


def test_every_rehearsed_frame_is_taken() -> None:
    """Through the sequence rule, with as many levels gone as set; one of many raises a signal that the next one
    ends."""
    rehearsal = Rehearsal()
    market = rehearsal.market
    told: list[Any] = [rehearsal.play() for _ in range(10 * SIGNAL_EVERY)]
    events = [event["event"] for found in told for event in found]
    assert events == ["raised", "closed"] * 10
    assert all(len(found) <= 1 for found in told)
    still, moving = market.books()
    assert (still["venue"], moving["venue"]) == (STILL, MOVING)
    for book in (still, moving):
        assert book["synced"]
        assert [len(book[side]) for side in ("bids", "asks")] == [LEVELS // 2] * 2
        assert float(book["bids"][0][0]) == HOME / 100 - 0.01
    assert market.pairs.states()[1][3:] == (0, 0, 0, 0)
    assert not market.dead_letters


def test_the_book_that_stands_still_is_never_too_old() -> None:
    """A year of milliseconds later there are still signals."""
    rehearsal = Rehearsal()
    rehearsal._at_ns += 365 * 86_400 * 10**9
    assert sum(len(rehearsal.play()) for _ in range(SIGNAL_EVERY)) == 2
