"""What is told the daemon over the control socket: letters are named, and what is refused is kept as refused."""

from types import SimpleNamespace
from typing import Any

import pytest

from gambit.bootstrap.commands import handlers
from gambit.surface.control import Caller
from gambit.surface.methods import DeadLetterIds
from gambit.surface.rpc import INVALID_PARAMS, Refused, RpcError
from gambit.surface.views import Reloaded


class Letters:
    """Keeps what it is asked to do."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, ...]] = []

    async def purge(self, letter_ids: tuple[int, ...], _by: str) -> dict[str, Any]:
        self.asked.append(letter_ids)
        return {"done": letter_ids, "failed": {}}

    requeue = purge


def test_a_reload_that_is_refused_is_not_written_down_as_done() -> None:
    """It was audited before it was tried, as ok (F116)."""
    told: list[Any] = []
    daemon: Any = SimpleNamespace(parts=SimpleNamespace(ledger=SimpleNamespace(fact=told.append)))
    nothing: Any = None

    def refuse() -> Any:
        raise ValueError("risk.max_order_notional = nan is no number")

    with pytest.raises(Refused, match="is no number"):
        handlers(lambda: daemon, nothing, nothing, refuse)["reload"](nothing, Caller(0, 1))
    handlers(lambda: daemon, nothing, nothing, lambda: Reloaded())["reload"](nothing, Caller(0, 1))
    assert [(one.action, one.outcome) for one in told] == [("reload", "refused"), ("reload", "ok")]
    assert told[0].detail == "risk.max_order_notional = nan is no number"


@pytest.mark.parametrize("method", ["dlq.purge", "dlq.requeue"])
async def test_who_names_no_letter_does_not_mean_all_of_them(method: str) -> None:
    """A call without parameters threw every letter away; and `all` beside some ids took only these."""
    told: list[Any] = []
    daemon: Any = SimpleNamespace(parts=SimpleNamespace(ledger=SimpleNamespace(fact=told.append)))
    nothing: Any = None
    letters: Any = Letters()
    do: Any = handlers(lambda: daemon, nothing, letters, nothing)[method]
    for unclear in (DeadLetterIds(), DeadLetterIds(letter_ids=(5,), all=True)):
        with pytest.raises(RpcError, match="letter_ids") as refusal:
            await do(unclear, Caller(0, 1))
        assert refusal.value.code == INVALID_PARAMS
    assert (letters.asked, told) == ([], [])
    await do(DeadLetterIds(all=True), Caller(0, 1))
    await do(DeadLetterIds(letter_ids=(5,)), Caller(0, 1))
    assert (letters.asked, len(told)) == ([(), (5,)], 2)
