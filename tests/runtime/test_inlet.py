"""Frames that go from the socket's buffer straight into the market lead to what the same frames lead to one by one."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest

from gambit._core.inlet import Intake
from gambit.engine.market import Market
from gambit.engine.params import EngineParams
from gambit.runtime.clock import SystemClock
from gambit.runtime.transport import Link, PicowsTransport
from gambit.venues import VENUES
from gambit.venues.decode import decode
from tests.core.frames import sample
from tests.runtime.test_transport import frame, serve

NS = 10**9


class Ear:
    """A listener whose messages go into a market."""

    def __init__(self, on_message: Any) -> None:
        self.on_message = on_message
        self.reads: list[int] = []
        self.ended: asyncio.Future[tuple[str, Exception | None]] = asyncio.get_running_loop().create_future()

    def on_open(self, link: Link) -> None:
        self.link = link

    def on_heard(self, recv_ns: int) -> None:
        self.reads.append(recv_ns)

    def on_close(self, reason: str, bug: Exception | None) -> None:
        self.ended.set_result((reason, bug))


def market(venue: str) -> tuple[Market, int]:
    made = Market(EngineParams(), VENUES, decode)
    return made, made.connect(venue, "c")


def outcome(made: Market, venue: str) -> tuple[object, ...]:
    letters = [(letter.reason, letter.raw) for letter in made.dead_letters]
    return list(made.books()), made.hot.venue_counts(made.venue(venue).index), letters


async def heard(ear: Ear, data: bytes, random: Random, now_ns: Callable[[], int] = lambda: NS) -> None:
    """What the ear hears when a server sends this, in pieces cut anywhere."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        at = 0
        while at < len(data):
            size = random.choice((1, 100, 5_000, 70_000))
            writer.write(data[at : at + size])
            await writer.drain()
            at += size

    server, url = await serve(script)
    await PicowsTransport(now_ns).open(url, ear, None)
    await asyncio.wait_for(ear.ended, 60)
    server.close()


@pytest.mark.parametrize("venue", ["binance", "okx", "bybit", "kraken", "coinbase"])
async def test_as_if_one_by_one(venue: str) -> None:
    """Books, counts and dead letters, with frames that are cut, empty, of unknown symbols and no JSON between."""
    random = Random(venue)
    frames = [text for text in sample(venue, 120, random) if len(text) < 65_536]
    for _ in range(20):
        text = random.choice(frames)
        frames.insert(random.randrange(len(frames)), random.choice((b"", b"pong", b"{", text[: len(text) // 2], text)))
    straight, conn = market(venue)
    for text in frames:
        straight.on_frame(conn, text, NS)
    through, conn = market(venue)
    ear = Ear(Intake(through.hot, conn))
    await heard(ear, b"".join(frame(text) for text in frames), random)
    assert outcome(through, venue) == outcome(straight, venue)
    assert through.hot.venue_counts(0)["frames"] == len(frames)
    assert set(ear.reads) == {NS}


async def test_times_are_those_of_the_machine() -> None:
    """Its clock is read without Python; each read has a time of its own, and its frames have it."""
    now_ns, times = SystemClock().now_ns, list[int]()
    ear = Ear(lambda _data, recv_ns: times.append(recv_ns))
    before_ns = now_ns()
    await heard(ear, b"".join(frame(b"x" * 3_000) for _ in range(30)), Random(1), now_ns)
    assert len(times) == 30
    assert times == sorted(times)
    assert set(times) == set(ear.reads)
    assert before_ns <= times[0] <= times[-1] <= now_ns()


async def test_what_a_frame_raises_ends_the_connection() -> None:
    """The rest of the read is not lost on the way to the end, and the defect is told with it."""
    made, conn = market("okx")

    def fail(answer: int, conn: int, data: bytes) -> int:
        raise ZeroDivisionError(data.decode())

    made.hot.on_rare = fail
    ear = Ear(Intake(made.hot, conn))
    await heard(ear, frame(b"not json") + frame(b"behind it"), Random(1))
    reason, bug = ear.ended.result()
    assert isinstance(bug, ZeroDivisionError)
    assert str(bug) == "not json"
    assert "ZeroDivisionError" in reason


def test_messages_are_stamped() -> None:
    """Each with a time not before the last one's, until the room is used up; nothing more is written."""
    made, conn = market("okx")
    intake = Intake(made.hot, conn)
    done = np.zeros(3, np.int64)
    intake.stamp_into(done)
    for _ in range(5):
        intake(b"pong", NS)
    assert intake.stamped == 3
    assert 0 < done[0] <= done[1] <= done[2]


def test_a_connection_there_is_not() -> None:
    with pytest.raises(IndexError, match="connection 1"):
        Intake(market("okx")[0].hot, 1)
