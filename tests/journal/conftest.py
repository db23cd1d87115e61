"""A state directory, and journals filled in it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from gambit.journal import Places, Policy, open_journal, places

Fill = Callable[..., Places]
BODY = b'{"n":%d,"text":"%s"}'


def body(number: int) -> bytes:
    """The body of record `number` of a filled journal; lengths differ."""
    return BODY % (number, b"x" * (number * 7 % 60))


@pytest.fixture
def at(tmp_path: Path) -> Places:
    """Places of a journal in a fresh directory."""
    return places(tmp_path)


@pytest.fixture
def fill(at: Places) -> Fill:
    """Append records 1 to `count` to the journal and close it."""

    def filled(count: int, policy: Policy = Policy(), checkpoints: tuple[int, ...] = ()) -> Places:  # noqa: B008
        async def run() -> None:
            journal = open_journal(at, policy, 0)
            while journal.head < count:
                number = journal.head + 1
                if number in checkpoints:
                    journal.checkpoint(f"state{number}", number)
                else:
                    journal.append("fact.a" if number % 3 else "fact.b", body(number), number)
                await journal.until_written(journal.head)
            await journal.close()

        asyncio.run(run())
        return at

    return filled
