"""The way to one account: which line takes orders, and when the stream counts as up."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest

from gambit.events import Fact
from gambit.model import Category
from gambit.runtime.account_port import AccountPort, _Ear
from gambit.venues.account import Account, Turn
from gambit.venues.orders import Fault, Line, StreamFault, StreamReady
from tests.runtime.test_gateway import Net, answer

LINE = cast(Line, object())


class Wire:
    """An open connection."""

    def __init__(self) -> None:
        self.is_closed = False

    def send(self, data: bytes) -> None:
        assert data

    def ping(self) -> None:
        assert not self.is_closed

    def close(self) -> None:
        self.is_closed = True


class Language:
    """A venue with a line of its own for orders, or without."""

    name, window_ns, limits = "bybit", 5_000_000_000, ()

    def __init__(self, has_entry: bool) -> None:
        self.has_entry = has_entry

    def entry(self) -> Line | None:
        return LINE if self.has_entry else None


class Told:
    """An account that hears what the test wants it to hear."""

    def __init__(self, has_entry: bool) -> None:
        self.language = Language(has_entry)
        self.next: Turn | Exception = Turn()
        self.downs: list[str] = []

    def hear(self, line: Line, data: bytes, now_ns: int) -> Turn:
        assert data, (line, now_ns)
        if isinstance(self.next, Exception):
            raise self.next
        return self.next

    def open_orders(self, now_ns: int) -> Turn:
        assert now_ns
        return Turn()

    def line_down(self, reason: str) -> Turn:
        self.downs.append(reason)
        return Turn()


class Case:
    """A port with nothing behind it."""

    def __init__(self, has_entry: bool) -> None:
        self.account = Told(has_entry)
        self.compared = 0
        self.said: list[str] = []
        net = Net(answer(200))

        def start(_name: str, work: Coroutine[Any, Any, object]) -> None:
            work.close()

        def reconcile() -> None:
            self.compared += 1

        deliver: Callable[[Any], None] = list[Fact]
        self.port = AccountPort(
            cast(Account, self.account), net.gateway("bybit"), cast(Any, None), net, "ws://x",
            deliver=deliver, reconcile=reconcile, start=start, why_not=lambda _command: None,
            on_defect=lambda what, error: self.said.append(f"{what}: {error}"), random=lambda: 0.0,
            warn=self.said.append,
        )  # fmt: skip

    def line(self, *, is_entry: bool) -> tuple[_Ear, Wire]:
        """A connection that stands."""
        ear, wire = _Ear(self.port, LINE, is_entry=is_entry), Wire()
        ear.on_open(wire)
        if is_entry:
            self.port._entry = ear
        else:
            self.port._stream = ear
        return ear, wire

    def hear(self, ear: _Ear, told: StreamReady | StreamFault) -> None:
        """A frame that says this."""
        self.account.next = Turn(told=[told])
        self.port.heard(ear, b"frame", 1)


async def test_the_stream_is_up_once_it_is_subscribed() -> None:
    """Not with its first frame, nor with the logon; then what was missed is asked for, once."""
    case = Case(has_entry=False)
    ear, wire = case.line(is_entry=False)
    case.account.next = Turn()
    case.port.heard(ear, b"welcome", 1)
    case.hear(ear, StreamReady())
    assert (case.port.is_up, case.port._order_link(), case.compared) == (False, None, 0)
    case.hear(ear, StreamReady("orders"))
    case.hear(ear, StreamReady("account"))
    assert (case.port.is_up, case.port._order_link(), case.compared) == (True, wire, 1)


@pytest.mark.parametrize(("is_ready", "category", "is_closed"), [
    (False, Category.PERMANENT_4XX, True), (True, Category.AUTH, True), (True, Category.RATE_LIMIT, False),
])  # fmt: skip
async def test_a_line_that_is_not_let_in_is_closed(is_ready: bool, category: Category, is_closed: bool) -> None:
    """With the venue's reason; another word of complaint does not end it."""
    case = Case(has_entry=False)
    ear, wire = case.line(is_entry=False)
    if is_ready:
        case.hear(ear, StreamReady("orders"))
    case.hear(ear, StreamFault(Fault(category=category, code="60009", text="login failed")))
    assert (wire.is_closed, case.port.is_up) == (is_closed, is_ready)
    ear.on_close("closed by us", None)
    assert ear.reason == (f"{category} 60009: login failed" if is_closed else "closed by us")


async def test_orders_never_go_over_the_stream_of_a_venue_that_has_a_line_for_them() -> None:
    """They go over HTTP while that line is down, and only its end puts them in doubt."""
    case = Case(has_entry=True)
    stream, _ = case.line(is_entry=False)
    case.hear(stream, StreamReady("order"))
    assert (case.port.is_up, case.port._order_link()) == (True, None)
    entry, wire = case.line(is_entry=True)
    assert case.port._order_link() is None
    case.hear(entry, StreamReady())
    assert case.port._order_link() is wire
    case.port._down(False, "the stream is gone")
    assert (case.account.downs, case.port._order_link()) == ([], wire)
    case.port._down(True, "the line is gone")
    assert (case.account.downs, case.port._order_link()) == (["the line is gone"], None)


async def test_a_frame_that_breaks_us_is_a_defect() -> None:
    """It is told, not only logged with the reconnect (I24)."""
    case = Case(has_entry=False)
    ear, _ = case.line(is_entry=False)
    case.account.next = KeyError("a bug")
    with pytest.raises(KeyError):
        case.port.heard(ear, b"frame", 1)
    assert case.said == ["bybit: a frame of the account: 'a bug'"]
    await asyncio.sleep(0)
