"""A household whose desk breaks within facts: memory is changed wholly or by half, and the fact is in no journal (F31).

The desk is made anew from the journal while the world goes on; the process may die in the middle of that too.
"""

from typing import Any
from unittest.mock import patch

from gambit.engine.desk import Decision
from gambit.engine.holdings import Holdings
from gambit.engine.standing import Standing
from gambit.engine.trading_state import Trading
from gambit.runtime.dealing import Dealing
from tests.simulation.exchange import SECOND
from tests.simulation.household import Household

FAILPOINT = "a failpoint"
REAL_ASK, REAL_APPLY = Dealing._ask, Standing.apply


def _fails(*_: object) -> None:
    raise RuntimeError(FAILPOINT)


class Breaking(Household):
    """See above. `rebuilt` counts the desks that were made anew."""

    is_asking = False
    rebuilt = 0

    def run(self) -> None:
        with patch.object(Dealing, "_ask", self._asking()), patch.object(Standing, "apply", self._breaking()):
            self.at(self.now_ns + 2 * SECOND, self.resume)
            super().run()
        is_left = self.dealing is not None and bool(self.dealing.frozen)
        self.checks.need(not is_left, "I24", "the desk is frozen at the end")

    def _asking(self) -> Any:
        def ask(dealing: Dealing, call: Any, *about: object) -> Decision:
            self.is_asking = bool(dealing.ports)  # a start that breaks is a start that failed
            try:
                decision = REAL_ASK(dealing, call, *about)
            finally:
                self.is_asking = False
            self.rebuilt += getattr(call, "__name__", "") == "go_on_from"
            return decision

        return ask

    def _breaking(self) -> Any:
        def apply(standing: Standing, fact: object, now_ns: int) -> Any:
            if not self.is_asking or standing is not self.desk.standing or not self.tape.fault("breaks within a fact"):
                return REAL_APPLY(standing, fact, now_ns)
            with patch.object(Holdings, "fill", _fails if self.tape.between("by half", 0, 1) else Holdings.fill):
                REAL_APPLY(standing, fact, now_ns)
            standing.is_sound = False
            raise RuntimeError(FAILPOINT)

        return apply

    # ---- the world around it ----

    @property
    def is_frozen(self) -> bool:
        return self.is_up and self.dealing is not None and bool(self.dealing.frozen)

    def before_step(self) -> None:
        """What a frozen desk remembers is nobody's truth."""
        after_step = self.checks.after_step if not self.is_frozen else _nothing
        with patch.object(self.checks, "after_step", after_step):
            super().before_step()

    def carry_out(self, decision: Decision) -> None:
        if not self.is_frozen:
            super().carry_out(decision)

    def heal(self) -> None:
        if self.is_frozen:
            self.at(self.now_ns + SECOND, self.heal)
            self.tape.is_healed = True
        else:
            super().heal()

    def resume(self) -> None:
        """An operator looks now and then, and lets trading go on."""
        is_halted = self.desk.standing.state.trading.state is Trading.HALTED
        if self.is_up and is_halted and not self.is_frozen and self.rebuilt:
            self.inside(self.the_dealing.set_trading, "ACTIVE", "looked at it", "admin")
        if self.now_ns < self.fire_ns + 90 * SECOND:
            self.at(self.now_ns + 2 * SECOND, self.resume)

    def defect(self, where: str, error: BaseException) -> None:
        if FAILPOINT not in str(error):
            super().defect(where, error)


def _nothing() -> None:
    """No look."""
