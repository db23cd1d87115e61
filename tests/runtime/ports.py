"""Account ports for tests: over a network of the test's own, with nothing in their way, and what they start in hand."""

import asyncio
from collections.abc import Coroutine
from typing import Any, cast

from gambit.runtime.account_port import AccountPort
from gambit.venues.account import Account
from tests.runtime.test_gateway import Net


class Tasks(list[asyncio.Task[Any]]):
    """What a port began, in order."""

    def start(self, _name: str, work: Coroutine[Any, Any, object]) -> None:
        """As the supervisor's."""
        self.append(asyncio.get_running_loop().create_task(work))

    async def done(self) -> None:
        """Until nothing is under way, nor what that began; raises what went wrong in it."""
        while not all(task.done() for task in self):
            await asyncio.gather(*self)
        for task in self:
            task.result()


def port_of(account: Account, net: Net, tasks: Tasks, **wiring: Any) -> AccountPort:
    """A port that may send, whose defects are raised; `wiring` says what is otherwise."""

    def fail(_what: str, error: BaseException) -> None:
        raise error

    ordinary: dict[str, Any] = {
        "deliver": lambda _facts: None, "reconcile": lambda: None, "start": tasks.start,
        "why_not": lambda _command: None, "on_defect": fail, "random": lambda: 0.0, "warn": lambda _text: None,
    }  # fmt: skip
    gateway = net.gateway(account.language.name)
    return AccountPort(account, gateway, cast(Any, None), net, "ws://x", **(ordinary | wiring))
