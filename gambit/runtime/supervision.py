"""Every task has somebody who notices when it ends: a dead task is told at once, never found out later (R11)."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Supervisor:
    """Tasks that are meant to run until they are stopped. `on_death(name, error)` hears of each that ends by itself,
    in the loop iteration in which it ends; error None: it just returned."""

    def __init__(self, on_death: Callable[[str, BaseException | None], None]) -> None:
        self.on_death = on_death
        self.tasks: dict[str, asyncio.Task[Any]] = {}
        self.deaths = 0
        self._is_stopping = False

    def start(self, name: str, work: Coroutine[Any, Any, object], *, may_end: bool = False) -> asyncio.Task[Any]:
        """Run `work` as a task of this name; with `may_end`, returning is no death. Once all are being stopped it does
        not begin any more. Raises ValueError for a name that is taken."""
        if name in self.tasks:
            work.close()
            raise ValueError(f"a task named {name} runs already")
        task = asyncio.get_running_loop().create_task(work, name=name)
        self.tasks[name] = task
        task.add_done_callback(lambda done: self._ended(name, done, may_end))
        if self._is_stopping:
            task.cancel()
        return task

    def _ended(self, name: str, task: asyncio.Task[Any], may_end: bool) -> None:
        del self.tasks[name]
        if task.cancelled():
            return
        error = task.exception()
        if error is not None or not may_end:
            self.deaths += 1
            self.on_death(name, error)

    async def stop(self) -> None:
        """Cancel all and wait for their ends, and for what they start meanwhile."""
        self._is_stopping = True
        while tasks := list(self.tasks.values()):
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
