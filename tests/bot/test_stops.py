"""A halt by the bot waits for nobody: not for Telegram, not for the disk; and the same update has no second effect."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from gambit.surface.control import Caller
from gambit.telegram.bot import QUEUE_MAX, Bot, Outgoing
from gambit.telegram.keeping import Kept
from gambit.telegram.update import Nod, Note, Say, Update
from tests.bot.test_core import NOW_NS, Chat


class Phone:
    """Telegram, which serves what is put and takes what is said when it is `well`."""

    def __init__(self) -> None:
        self.updates_put: asyncio.Queue[list[Update]] = asyncio.Queue()
        self.well = asyncio.Event()
        self.taken: list[Say | Nod] = []
        self.polls = 0

    async def updates(self, offset: int, timeout_sec: int) -> list[Update]:
        assert (offset > 0, timeout_sec > 0) == (True, True)
        self.polls += 1
        return await self.updates_put.get()

    async def say(self, message: Say) -> None:
        await self.well.wait()
        self.taken.append(message)

    async def nod(self, nod: Nod) -> None:
        await self.well.wait()
        self.taken.append(nod)

    async def close(self) -> None:
        self.well.set()


class Case:
    """A bot at work; `disk` holds its saves up until it is set, `order` is what happened."""

    def __init__(self) -> None:
        self.chat, self.phone = Chat(), Phone()
        self.disk = threading.Event()
        self.order: list[str] = []
        self.is_full = False
        self.warned: list[str] = []

        def halt(params: Any, caller: Caller) -> dict[str, str]:
            assert caller.by == "ann"
            self.order.append(f"halt {params.reason}")
            return {"state": "HALTED", "was": "ACTIVE", "reason": params.reason}

        def cancel(params: Any, caller: Caller) -> dict[str, str]:
            assert caller.by == "ann"
            self.order.append(f"cancel {params.order_id}")
            return {"order_id": params.order_id}

        def save(kept: Kept) -> None:
            if self.is_full:
                raise OSError("no space left on device")
            assert self.disk.wait(20)
            self.order.append(f"saved {kept.update_id}")

        self.bot = Bot(
            self.chat.core, self.phone, {"halt": halt, "order.cancel": cancel}, now_ns=lambda: NOW_NS, save=save,
            audit=self._audit, warn=lambda text, **_fields: self.warned.append(text),
        )  # fmt: skip

    def _audit(self, note: Note) -> None:
        self.order.append(f"{note.action} {note.outcome}")

    def press(self, data: str) -> Update:
        """The update of a pressed button."""
        return self.chat.update(kind="button", data=data, callback_id="c")

    async def until(self, what: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not what():
                await asyncio.sleep(0)


@asynccontextmanager
async def at_work() -> AsyncIterator[Case]:
    case = Case()
    running = asyncio.create_task(case.bot.run())
    try:
        yield case
    finally:
        case.disk.set()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_halt_waits_neither_for_telegram_nor_for_the_disk() -> None:
    """It is written down with who it was, then done; the disk and what is said come behind."""
    async with at_work() as case:
        tap = case.press(case.chat.asked("/halt enough"))
        case.phone.updates_put.put_nowait([tap])
        await case.until(lambda: case.order)
        assert case.order == ["/halt confirmed", "halt enough"]
        assert case.phone.taken == []
        case.disk.set()
        await case.until(lambda: case.phone.polls == 2)
        assert set(case.order[2:]) == {f"saved {tap.update_id}"}
        case.phone.well.set()
        await case.until(lambda: len(case.phone.taken) == 2)
        assert [type(one) for one in case.phone.taken] == [Nod, Say]


async def test_the_same_update_halts_once_and_a_killed_bot_has_no_question_left() -> None:
    """Served again before it was confirmed, and to the next life, which never saved it."""
    async with at_work() as case:
        case.disk.set()
        tap = case.press(case.chat.asked("/halt enough"))
        case.phone.updates_put.put_nowait([tap, tap])
        await case.until(lambda: case.phone.polls == 2)
        case.phone.updates_put.put_nowait([tap])
        await case.until(lambda: case.phone.polls == 3)
        assert case.order.count("halt enough") == 1
    async with at_work() as case:
        case.disk.set()
        case.phone.updates_put.put_nowait([tap])
        await case.until(lambda: case.phone.polls == 2)
        assert case.order == [f"saved {tap.update_id}", "button refused"]


async def test_a_full_disk_keeps_nobody_from_halting_but_from_everything_else() -> None:
    """What is not kept might be done twice, which hurts for a cancel and not for a halt."""
    async with at_work() as case:
        case.is_full = True
        taps = [case.press(case.chat.asked(text)) for text in ("/cancel_order o1", "/halt enough")]
        case.phone.updates_put.put_nowait(taps)
        await case.until(lambda: case.phone.polls == 2)
        assert case.order == ["/halt confirmed", "halt enough"]
        assert case.warned


async def test_what_waits_to_be_said_is_bounded_and_the_newest_is_kept() -> None:
    """Telegram may be silent for hours."""
    queue = Outgoing()
    queue.put([Say(chat_id=1, html=str(number)) for number in range(QUEUE_MAX + 5)])
    assert len(queue) == QUEUE_MAX
    first = await queue.next()
    assert isinstance(first, Say)
    assert first.html == "5"
