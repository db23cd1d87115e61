"""Lines over a transport that a test moves by hand, in time that a test lets pass: who is connected when, and to what
end."""

import asyncio
import heapq
import json
import ssl
from collections.abc import AsyncIterator, Mapping

import pytest

from gambit.config import Config
from gambit.runtime.budget import Budget
from gambit.runtime.feed import Feeds, FeedSettings
from gambit.runtime.http import HttpAnswer, HttpError
from gambit.runtime.line import Line
from gambit.runtime.session import Action, BookState, Session
from gambit.runtime.stream import Stream
from gambit.runtime.transport import Link, Listener
from gambit.runtime.wiring import build_market
from gambit.venues import VENUES

SEC = 1_000_000_000
ROUNDS = 50  # of the loop, after each change: more than any chain of wake-ups here has links
NOTICE = b'{"event":"notice","code":"64008","msg":"upgrade","connId":"x"}'


class Clock:
    """Stands still but for pass_by()."""

    def __init__(self) -> None:
        self.ns = 1_700_000_000 * SEC
        self.sleepers: list[tuple[int, int, asyncio.Future[None]]] = []

    def now_ns(self) -> int:
        return self.ns

    mono_ns = now_ns

    async def sleep(self, seconds: float) -> None:
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self.sleepers, (self.ns + int(seconds * SEC), id(wake), wake))
        await wake

    async def pass_by(self, seconds: float) -> None:
        """Wake one sleeper after the other, each at its time, and let everybody come to rest in between."""
        until_ns = self.ns + int(seconds * SEC)
        await settle()
        while self.sleepers and self.sleepers[0][0] <= until_ns:
            due_ns, _, wake = heapq.heappop(self.sleepers)
            self.ns = max(self.ns, due_ns)
            if not wake.done():
                wake.set_result(None)
            await settle()
        self.ns = until_ns


async def settle() -> None:
    for _ in range(ROUNDS):
        await asyncio.sleep(0)


class Wire(Link):
    """A connection; the venue's end is say() and cut()."""

    def __init__(self, url: str, listener: Listener, clock: Clock) -> None:
        self.url, self.listener, self.clock = url, listener, clock
        self.sent: list[bytes] = []
        self.pings = 0
        self.is_open = True

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def ping(self) -> None:
        self.pings += 1

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            asyncio.get_running_loop().call_soon(self.listener.on_close, "closed by us", None)

    def say(self, data: bytes) -> None:
        self.listener.on_message(data, self.clock.now_ns())
        self.listener.on_heard(self.clock.now_ns())

    def cut(self) -> None:
        self.is_open = False
        self.listener.on_close("closed by the venue", None)


class Wires:
    """A transport."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.all: list[Wire] = []

    async def open(self, url: str, listener: Listener, tls: ssl.SSLContext | None) -> Link:
        wire = Wire(url, listener, self.clock)
        self.all.append(wire)
        listener.on_open(wire)
        return wire

    def to(self, venue: str) -> list[Wire]:
        """All there were, the first one first."""
        return [wire for wire in self.all if wire.url == f"ws://{venue}"]


class NoHttp:
    """Nobody answers."""

    async def request(self, *_: object, **__: object) -> HttpAnswer:
        raise HttpError("down", sent=False)


class Depths:
    """Answers each question for a depth snapshot, as of the last diff."""

    def __init__(self, ids: Mapping[str, int]) -> None:
        self.ids = ids
        self.asked = 0

    async def request(self, _method: str, url: str, **__: object) -> HttpAnswer:
        if "/depth?" not in url:
            raise HttpError("down", sent=False)
        self.asked += 1
        last = self.ids[url.partition("symbol=")[2].partition("&")[0]]
        bids = [["99", "5"], ["97", "1"]]
        return HttpAnswer(200, {}, json.dumps({"lastUpdateId": last, "bids": bids, "asks": [["101", "5"]]}).encode())


class Desk:
    """Feeds of OKX and Bybit, a book each."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.wires = Wires(self.clock)
        self.deaths: list[tuple[str, str]] = []
        self.market = build_market(Config(symbols=("BTC-USDT",)), is_live=True)
        self.feeds = Feeds(
            self.market,
            [FeedSettings(venue=VENUES[name], symbols=("BTC-USDT",), ws=f"ws://{name}", rest="http://x")
             for name in ("okx", "bybit")],
            transport=self.wires,
            http=NoHttp(),
            clock=self.clock,
            random=lambda: 0.5,
            on_death=lambda name, error: self.deaths.append((name, repr(error))),
            sleep=self.clock.sleep,
        )  # fmt: skip

    async def start(self) -> None:
        starting = asyncio.create_task(self.feeds.start())
        await self.clock.pass_by(6)
        await starting
        await self.clock.pass_by(0.2)

    @property
    def line(self) -> Line:
        """OKX's."""
        line = self.feeds.feeds[0].lines[0]
        assert isinstance(line, Line)
        return line

    @property
    def current(self) -> Stream:
        assert self.line.current is not None
        return self.line.current

    def wire(self, stream: Stream) -> Wire:
        return next(wire for wire in self.wires.all if wire.listener is stream)

    def use_up_connects(self, free_in_sec: int) -> None:
        """OKX's of five minutes, until then."""
        attempts = self.feeds.feeds[0].attempts  # type: ignore[union-attr]
        attempts.times.extend([self.clock.ns - (300 - free_in_sec) * SEC] * 30)

    def is_synced(self) -> bool:
        return bool(self.market.pairs.states()[self.line.books[0]][0])


def okx(action: str, before: int, seq: int) -> bytes:
    """A frame of OKX's book."""
    row = {"asks": [["101", "1", "0", "1"]], "bids": [["100", "1", "0", "1"]], "ts": "1700000000000", "checksum": 0,
           "seqId": seq, "prevSeqId": before}  # fmt: skip
    return json.dumps({"arg": {"channel": "books", "instId": "BTC-USDT"}, "action": action, "data": [row]}).encode()


@pytest.fixture(autouse=True)
def no_real_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take as long as it likes."""
    whole = asyncio.timeout
    monkeypatch.setattr(asyncio, "timeout", lambda _seconds: whole(None))


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    """Both lines are connected, OKX's book is synced."""
    desk = Desk()
    await desk.start()
    desk.wire(desk.current).say(okx("snapshot", -1, 1))
    await settle()
    assert desk.is_synced()
    yield desk
    await desk.feeds.stop()


async def test_two_notices_are_one_replacement(desk: Desk) -> None:
    """While it waits for its turn to connect too; the watch goes on."""
    desk.use_up_connects(free_in_sec=3)
    for _ in range(3):
        desk.wire(desk.current).say(NOTICE)
        await desk.clock.pass_by(0.5)
    assert (desk.deaths, len(desk.wires.to("okx"))) == ([], 1)
    await desk.clock.pass_by(2)
    assert (desk.deaths, len(desk.wires.to("okx"))) == ([], 2)
    assert "feeds" in desk.feeds.supervisor.tasks


async def test_a_line_that_fails_takes_no_other_with_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What its step raises is told once, as its own end; the other venues' sockets are looked after as before."""

    step = Session.step

    def step_or_fail(self: Session, now_ns: int, books: Mapping[str, BookState]) -> list[Action]:
        if self.venue.name == "okx":
            raise ZeroDivisionError("ours")
        return step(self, now_ns, books)

    monkeypatch.setattr(Session, "step", step_or_fail)
    okx_wire, bybit_wire = desk.wires.all
    await desk.clock.pass_by(0.5)
    assert desk.deaths == [("okx-0", "ZeroDivisionError('ours')")]
    assert (okx_wire.is_open, bybit_wire.is_open, desk.is_synced()) == (False, True, False)
    await desk.clock.pass_by(9)  # nothing was heard of Bybit: its socket is dead
    assert not bybit_wire.is_open
    assert desk.deaths == [("okx-0", "ZeroDivisionError('ours')")]


async def test_what_ended_by_itself_is_not_replaced(desk: Desk) -> None:
    """The old connection breaks while its replacement waits for its turn: the line connects anew, once, and the next
    notice is heeded."""
    desk.use_up_connects(free_in_sec=3)
    old = desk.wire(desk.current)
    old.say(NOTICE)
    await desk.clock.pass_by(0.5)
    old.cut()
    await desk.clock.pass_by(4)
    assert len(desk.wires.to("okx")) == 2
    new = desk.wire(desk.current)
    new.say(okx("snapshot", -1, 5))
    await desk.clock.pass_by(0.5)
    assert (desk.line.successor, desk.is_synced()) == (None, True)
    new.say(NOTICE)
    await desk.clock.pass_by(1)
    assert len(desk.wires.to("okx")) == 3
    desk.wires.to("okx")[-1].say(okx("snapshot", -1, 9))
    await desk.clock.pass_by(1)
    assert (new.is_open, desk.is_synced(), desk.deaths) == (False, True, [])


# ---- snapshots beside the stream ----

PAIRS = tuple(f"C{k:02d}-USDT" for k in range(30))  # whose snapshots weigh more than binance-us gives a minute


class Large:
    """A feed of so many books of binance-us, all synced."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.wires = Wires(self.clock)
        self.ids = dict.fromkeys((pair.replace("-", "") for pair in PAIRS), 100)
        self.http = Depths(self.ids)
        self.deaths: list[str] = []
        self.unsynced = 0  # pulses that found a book unsynced
        self.is_started = False
        self.market = build_market(Config(symbols=PAIRS), is_live=True)
        self.feeds = Feeds(
            self.market,
            [FeedSettings(venue=VENUES["binance-us"], symbols=PAIRS, ws="ws://binance-us", rest="http://x")],
            transport=self.wires,
            http=self.http,
            clock=self.clock,
            random=lambda: 0.5,
            on_death=lambda name, error: self.deaths.append(f"{name}: {error!r}"),
            pulse=self.look,
            sleep=self.clock.sleep,
        )

    def look(self) -> None:
        if self.is_started:
            self.unsynced += not all(state[0] for state in self.market.pairs.states())

    def diff(self, spelling: str) -> bytes:
        """The next one."""
        self.ids[spelling] = last = self.ids[spelling] + 1
        bids = [["98", str(last)]]
        return json.dumps(
            {
                "e": "depthUpdate",
                "E": self.clock.ns // 1_000_000,
                "s": spelling,
                "U": last,
                "u": last,
                "b": bids,
                "a": [],
            }
        ).encode()

    async def trade(self, seconds: float, *quiet: str) -> None:
        """Diffs of all books but the quiet ones, on every connection there is, ten times a second."""
        for _ in range(round(seconds * 10)):
            for spelling in self.ids:
                if spelling not in quiet:
                    self.tell(spelling)
            await self.clock.pass_by(0.1)

    def tell(self, spelling: str) -> None:
        data = self.diff(spelling)
        for wire in self.wires.all:
            if wire.is_open:
                wire.say(data)

    async def start(self) -> None:
        gateway = self.feeds.feeds[0].gateway  # type: ignore[union-attr]
        gateway.budget, small = Budget(100_000, 60), gateway.budget
        starting = asyncio.create_task(self.feeds.start())
        await self.clock.pass_by(6)
        await starting
        await self.trade(2)
        gateway.budget, self.is_started = small, True
        assert all(state[0] for state in self.market.pairs.states())

    @property
    def line(self) -> Line:
        line = self.feeds.feeds[0].lines[0]
        assert isinstance(line, Line)
        return line


@pytest.fixture
async def large() -> AsyncIterator[Large]:
    """See Large."""
    large = Large()
    await large.start()
    yield large
    await large.feeds.stop()


async def test_a_large_line_is_replaced_without_asking_for_its_books_again(large: Large) -> None:
    """No pulse finds a book unsynced, a quiet one neither, and the venue's budget is left alone (F76)."""
    asked, old = large.http.asked, large.wires.all[0]
    old.say(b'{"e":"serverShutdown","E":1}')
    await large.trade(5, "C07USDT")
    assert (len(large.wires.all), old.is_open) == (2, True)
    large.tell("C07USDT")
    await large.trade(2)
    assert (old.is_open, large.wires.all[1].is_open, large.unsynced) == (False, True, 0)
    assert (large.http.asked, large.line.replaced, large.deaths) == (asked, 1, [])
    for k, spelling in enumerate(large.ids):
        book = large.market.book(k)
        assert book is not None
        assert (book["conn"], book["seq"], book["gaps"]) == ("binance-us-0b", large.ids[spelling], 0)
        assert book["bids"] == [["99", "5"], ["98", str(large.ids[spelling])], ["97", "1"]]


async def test_a_replacement_on_which_nothing_comes_takes_nothing_over(large: Large) -> None:
    """It is given up, and the old connection goes on."""
    old = large.wires.all[0]
    old.say(b'{"e":"serverShutdown","E":1}')
    for _ in range(250):
        for spelling in large.ids:
            old.say(large.diff(spelling))
        await large.clock.pass_by(0.1)
    assert len(large.wires.all) == 2
    assert [wire.is_open for wire in large.wires.all] == [True, False]
    assert (large.unsynced, large.line.replaced, large.line.successor, large.deaths) == (0, 0, None, [])


async def test_a_replacement_that_breaks_after_it_took_over_is_no_silence(large: Large) -> None:
    """The old connection listens no more by then: both end, and the line connects anew."""
    old = large.wires.all[0]
    old.say(b'{"e":"serverShutdown","E":1}')
    await large.trade(5, "C07USDT")
    assert large.line.replaced == 1
    large.wires.all[1].cut()
    await large.trade(2)
    assert (old.is_open, len(large.wires.all), large.deaths) == (False, 3, [])
    assert large.line.streams == [large.wires.all[2].listener]


async def test_what_waits_for_the_budget_says_so(large: Large) -> None:
    """After a cut all books need a snapshot, and a minute's budget gives 17 (864 of weight, 50 each)."""
    large.wires.all[0].cut()
    await large.trade(3)
    status = large.feeds.statuses()[0]
    assert (status.state, status.books_synced) == ("syncing", 17)
    assert status.reason == "snapshots of 13 books wait for the venue's request budget"
    await large.trade(60)
    status = large.feeds.statuses()[0]
    assert (status.books_synced, "budget" in status.reason, large.deaths) == (30, False, [])
