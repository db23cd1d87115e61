"""Tasks that somebody watches."""

import asyncio

import pytest

from gambit.runtime.supervision import Supervisor


async def test_a_dead_task_is_told_at_once() -> None:
    """With its name and what it raised; one that returns is dead too unless it may end."""
    deaths: list[tuple[str, str]] = []
    supervisor = Supervisor(lambda name, error: deaths.append((name, repr(error))))

    async def fail() -> None:
        raise ValueError("x")

    async def end() -> None:
        return

    tasks = [
        supervisor.start("failing", fail()),
        supervisor.start("ending", end()),
        supervisor.start("errand", end(), may_end=True),
    ]
    await asyncio.wait(tasks)
    await asyncio.sleep(0)
    assert deaths == [("failing", "ValueError('x')"), ("ending", "None")]
    assert (supervisor.deaths, supervisor.tasks) == (2, {})


async def test_stopping_is_no_death() -> None:
    """All are cancelled and waited for."""
    deaths: list[str] = []
    supervisor = Supervisor(lambda name, _: deaths.append(name))
    ended: list[str] = []

    async def run(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)

    for name in ("a", "b"):
        supervisor.start(name, run(name))
    await asyncio.sleep(0)
    await supervisor.stop()
    assert (sorted(ended), deaths, supervisor.tasks) == (["a", "b"], [], {})


async def test_names_are_used_once() -> None:
    """Two tasks of one name would hide each other."""
    supervisor = Supervisor(lambda *_: None)
    supervisor.start("a", asyncio.sleep(10))
    with pytest.raises(ValueError, match="a task named a runs already"):
        supervisor.start("a", asyncio.sleep(10))
    await supervisor.stop()


async def test_what_begins_while_all_are_stopped_does_not_run() -> None:
    """A task's end may start another one, which would find everything closed."""
    supervisor = Supervisor(lambda *_: None)
    begun: list[str] = []

    async def late() -> None:
        begun.append("late")

    async def run() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            supervisor.start("late", late())
            await asyncio.sleep(0)

    supervisor.start("a", run())
    await asyncio.sleep(0)
    await supervisor.stop()
    assert (begun, supervisor.tasks) == ([], {})
