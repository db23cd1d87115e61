"""Work in a thread that nobody leaves half done."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def to_its_end(work: Awaitable[T]) -> T:
    """Await `work` whole. A caller who is cancelled meanwhile waits for its end and is cancelled then: what he holds
    (a lock, a file's name) is free for the next one only when nothing of his goes on behind. An error of the work is
    then the cause of his cancellation."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError as cancelled:
        await _ended(task)
        if not task.cancelled():
            cancelled.__cause__ = task.exception()  # nobody else fetches it, and the loop would call it unhandled
        raise


async def in_thread(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `call` gives, worked out in a thread, to its end: a thread cannot be cancelled."""
    return await to_its_end(asyncio.to_thread(call, *args, **kwargs))


async def _ended(task: "asyncio.Future[T]") -> None:
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            continue  # asked again; the thread ends no sooner for it
