"""An event loop without a system underneath: virtual time, and a tape that says whose turn it is.

Time jumps to the next timer. Of several tasks that are ready any may go on first; plain callbacks keep their order, as
asyncio promises. Before every step `before_step` is called and may raise: what it raises comes out of run_forever, and
nothing of the step has happened. Threads, sockets and child processes have no place here and raise.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection
from contextvars import Context, ContextVar
from typing import Any, NoReturn

from tests.simulation.tape import Tape

SECOND = 1_000_000_000
LIFE: ContextVar[int] = ContextVar("LIFE", default=0)  # which life of the daemon a callback belongs to; 0: the world


class Deadlock(AssertionError):
    """Nothing is ready and nothing is scheduled."""


class _Ready(deque[Any]):
    """The queue of what is ready."""

    def __init__(self, loop: "SimLoop") -> None:
        super().__init__()
        self.loop = loop

    def popleft(self) -> Any:
        self.loop.before_step()
        self.loop.steps += 1
        if not _is_wake_up(self[0]):
            return super().popleft()
        awake = [k for k, handle in enumerate(self) if _is_wake_up(handle)]
        chosen = self.loop.tape.pick("whose turn", awake) if len(awake) > 1 else 0
        handle = self[chosen]
        del self[chosen]
        return handle


class _NoSelector:
    """Nobody outside ever says anything; waiting is time that passes."""

    def __init__(self, loop: "SimLoop") -> None:
        self.loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Deadlock("nothing is ready and nothing is scheduled")
        self.loop.now_ns += -int(-timeout * SECOND // 1)  # up, so that a timer is never found just not due
        return []

    def close(self) -> None:
        """There is nothing to close."""


class SimLoop(asyncio.BaseEventLoop):
    """See above. `now_ns` is the time; loop.time() counts from `start_ns`, for a float has not enough digits."""

    def __init__(self, tape: Tape, start_ns: int) -> None:
        super().__init__()
        self.tape = tape
        self.start_ns = self.now_ns = start_ns
        self.steps = 0
        self.before_step: Callable[[], None] = lambda: None
        self._selector = _NoSelector(self)
        self._ready = _Ready(self)
        self._clock_resolution = 1e-9
        self._dead: list[asyncio.Task[Any]] = []  # kept, so that nobody runs their `finally`

    def time(self) -> float:
        return (self.now_ns - self.start_ns) / SECOND

    def at(self, when_ns: int, action: Callable[..., None], *args: Any) -> None:
        """Have the world do something."""
        self.call_at((when_ns - self.start_ns) / SECOND, action, *args, context=Context())

    def power_off(self, life: int) -> None:
        """Nothing of this life of the daemon is ever scheduled again."""
        for handle in [*self._ready, *self._scheduled]:  # type: ignore[attr-defined]
            if handle._context.get(LIFE) == life:
                handle.cancel()
        for task in asyncio.all_tasks(self):  # the world has none
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            self._dead.append(task)

    def bury(self) -> None:
        """It is over: let go of everything. Only now a `finally` of the dead may run, when nobody looks any more."""
        self.before_step = lambda: None
        for task in [*self._dead, *asyncio.all_tasks(self)]:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            coroutine = task.get_coro()
            if coroutine is not None:
                coroutine.close()
        self._dead.clear()
        self.close()

    def _process_events(self, events: Collection[object]) -> None:
        assert not events

    def _write_to_self(self) -> NoReturn:
        raise RuntimeError("a thread wants to speak to the loop; there are none in a simulation")


def _is_wake_up(handle: Any) -> bool:
    return isinstance(getattr(handle._callback, "__self__", None), asyncio.Task)
