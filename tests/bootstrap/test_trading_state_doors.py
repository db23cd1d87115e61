"""Who may leave HALTED: whoever may resume, also towards REDUCING (I10)."""

import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gambit.access.permissions import Door, Principal, Role
from gambit.bootstrap.commands import handlers, in_words
from gambit.bootstrap.trading import HOUR_NS, arming_ns
from gambit.events.operation import Audited, TradingStateChanged
from gambit.journal import JournalFailed
from gambit.runtime.trading import TradingSwitch
from gambit.surface.control import Caller, Handler
from gambit.surface.methods import Arming, Reason
from gambit.surface.rpc import Forbidden, Refused

NOW_NS = 1_800_000_000 * 1_000_000_000


class House:
    """A daemon's switch and the handlers on it."""

    def __init__(self, folder: Path) -> None:
        self.told = list[Any]()
        self.switch = TradingSwitch(folder, lambda: NOW_NS, self.told.append)
        self.dealing = SimpleNamespace(frozen="")
        self.journal = SimpleNamespace(failed=None)
        self.log: list[dict[str, str]] = []
        parts = SimpleNamespace(
            switch=self.switch,
            dealing=self.dealing,
            clock=SimpleNamespace(now_ns=lambda: NOW_NS),
            keeping=SimpleNamespace(journal=self.journal),
            ledger=SimpleNamespace(fact=self.tell),
            log=SimpleNamespace(error=lambda _event, **fields: self.log.append(fields)),
        )
        daemon: Any = SimpleNamespace(parts=parts)
        nothing: Any = None
        self.handlers: dict[str, Handler] = handlers(lambda: daemon, nothing, nothing, nothing)

    def tell(self, fact: Any) -> None:
        """A fact for the journal."""
        if self.journal.failed is not None:
            raise JournalFailed(self.journal.failed)
        self.told.append(fact)

    def ask(self, method: str, caller: Caller) -> Any:
        return self.handlers[method](Reason(reason="why"), caller)


def somebody(role: Role, door: Door = Door.REST, *, second_factor: bool = False, at_ns: int = NOW_NS) -> Caller:
    return Caller.by_network(Principal("u1", "joe", role, door, None, at_ns, second_factor))


@pytest.mark.parametrize(
    ("caller", "code"),
    [
        (somebody(Role.TRADER, second_factor=True), "scope"),
        (somebody(Role.ADMIN), "second_factor"),
        (somebody(Role.ADMIN, second_factor=True, at_ns=0), "reauth"),
        (somebody(Role.ADMIN, Door.TELEGRAM, at_ns=0), "reauth"),
    ],
)
def test_who_may_not_resume_does_not_lift_a_halt_by_reducing(tmp_path: Path, caller: Caller, code: str) -> None:
    """By any door of the network; trading stays halted and nothing is told."""
    house = House(tmp_path)
    house.switch.change("HALTED", "daily loss", "desk")
    house.told.clear()
    with pytest.raises(Forbidden, match="trading is HALTED and leaving that is resuming") as refusal:
        house.ask("reduce", caller)
    assert refusal.value.data == code
    assert (house.switch.state, house.switch.kept.reason, house.told) == ("HALTED", "daily loss", [])


@pytest.mark.parametrize("caller", [somebody(Role.ADMIN, second_factor=True), Caller(0, 1)])
def test_who_may_resume_may_go_from_halted_to_reducing(tmp_path: Path, caller: Caller) -> None:
    """An Admin with a second factor, and the daemon's own user; not while the desk cannot be asked."""
    house = House(tmp_path)
    house.switch.change("HALTED", "daily loss", "desk")
    house.dealing.frozen = "the journal is not whole"
    with pytest.raises(Refused, match="the journal is not whole"):
        house.ask("reduce", caller)
    house.dealing.frozen = ""
    house.told.clear()
    assert house.ask("reduce", caller).state == "REDUCING"
    assert [type(one) for one in house.told] == [TradingStateChanged, Audited]


def test_a_trader_reduces_what_is_active_and_halts_what_is_reducing(tmp_path: Path) -> None:
    """Taking risk away stays easy, from either state."""
    house = House(tmp_path)
    trader = somebody(Role.TRADER, at_ns=0)
    assert house.ask("reduce", trader).was == "ACTIVE"
    assert house.ask("reduce", trader).was == "REDUCING"
    assert house.ask("halt", trader).was == "REDUCING"


def test_arming_is_not_for_longer_than_configured() -> None:
    """`execution.arm_hours` is the most at a time; what is said may be less."""
    assert arming_ns(Arming(), 10) is None
    assert arming_ns(Arming(for_sec=1800.0), 8 * HOUR_NS) == HOUR_NS // 2
    with pytest.raises(Refused, match=r"execution.arm_hours is 8: not for longer"):
        arming_ns(Arming(for_sec=8.5 * 3600), 8 * HOUR_NS)


def test_without_a_journal_a_halt_holds_and_nothing_else_is_changed(tmp_path: Path) -> None:
    """Who halts is told that it is halted, and stands in the log; who resumes, why not, and nothing is written."""
    house = House(tmp_path)
    house.journal.failed = "/journal: No space left on device; nothing more is written"
    assert house.ask("halt", Caller(0, 1)).state == "HALTED"
    assert [(one["action"], one["who"]) for one in house.log] == [("trading state HALTED", "uid 0 pid 1")]
    for method in ("resume", "reduce"):
        with pytest.raises(Refused, match="the journal takes no more records: /journal: No space left"):
            house.ask(method, Caller(0, 1))
    assert house.switch.state == TradingSwitch(tmp_path, lambda: NOW_NS, house.told.append).state == "HALTED"


async def test_what_cannot_be_written_down_is_refused_in_words() -> None:
    """Whether a method answers at once or later: no defect of gambit's, but a disk."""

    def now(_params: Any, _caller: Caller) -> object:
        raise JournalFailed("No space left on device")

    async def later(_params: Any, _caller: Caller) -> object:
        raise JournalFailed("No space left on device")

    async def well(_params: Any, _caller: Caller) -> object:
        return 7

    table = in_words({"now": now, "later": later, "well": well})
    for name in ("now", "later"):
        with pytest.raises(Refused, match="No space left on device"):
            await answered(table[name])
    assert await answered(table["well"]) == 7


async def answered(handler: Handler) -> object:
    """As the doors ask."""
    given = handler(None, Caller(0, 1))
    return await given if inspect.isawaitable(given) else given
