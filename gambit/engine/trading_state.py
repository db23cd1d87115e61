"""ACTIVE, REDUCING, HALTED; halted symbols and venues; whether live orders may leave at all.

Rules that hold here (orders.md, "Trading state and kill switch", "Live trading"; R6):
1. `may_send` is asked at the send call itself, with the clock of that instant, and it is the last thing asked.
2. Halting needs nobody's leave; going back up is an Admin's (gambit.bootstrap.commands), stated as a fact with a name
   in it.
3. All of it is made of journalled facts, so a restart finds it as it was.
4. What closes an imbalance is stopped by HALTED and by nothing else: the end of arming, like REDUCING and a halted
   symbol or venue, ends what takes risk on.
"""

from enum import StrEnum
from typing import Literal

import msgspec

from gambit.events.operation import TradingStateChanged
from gambit.events.orders import Armed, Disarmed, OrderIntended, ScopeHalted, ScopeReleased


class Trading(StrEnum):
    """How much may be traded."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


class TradingState(msgspec.Struct):
    """What may leave. Changed by facts only."""

    state: Trading = Trading.ACTIVE
    reason: str = ""
    by: str = ""
    armed_until_ns: int = 0
    scopes: dict[str, str] = {}  # halted symbols and venues, and why

    def apply(self, fact: TradingStateChanged | Armed | Disarmed | ScopeHalted | ScopeReleased) -> None:
        """Take a fact in. Raises ValueError for a state nobody knows."""
        match fact:
            case TradingStateChanged():
                self.state, self.reason, self.by = Trading(fact.state), fact.reason, fact.by
            case Armed():
                self.armed_until_ns = fact.until_ns
            case Disarmed():
                self.armed_until_ns = 0
            case ScopeHalted():
                self.scopes[fact.scope] = fact.reason
            case ScopeReleased():
                self.scopes.pop(fact.scope, None)

    def changed(self, state: Trading, reason: str, by: str) -> TradingStateChanged | None:
        """The fact that brings this state about; None when it is so already."""
        if state is self.state:
            return None
        return TradingStateChanged(state=str(state), was=str(self.state), reason=reason, by=by)

    def is_armed(self, now_ns: int) -> bool:
        """Whether live orders may leave."""
        return now_ns < self.armed_until_ns

    def may_send(self, intent: OrderIntended, mode: Literal["paper", "live"], now_ns: int) -> str | None:
        """Why this create may not leave now, None when it may. Cancels and queries always may (R6, I24)."""
        if self.state is Trading.HALTED:
            return f"halted: {self.reason}"
        if intent.purpose == "compensation":  # a leg that was sent while it was armed is not left naked for the hour
            return None
        if mode == "live" and not self.is_armed(now_ns):
            return "live trading is not armed"
        if intent.purpose != "entry":
            return None
        if self.state is Trading.REDUCING:
            return f"reducing: {self.reason}"
        for scope in (f"symbol:{intent.symbol}", f"venue:{intent.venue}"):
            if scope in self.scopes:
                return f"{scope} is halted: {self.scopes[scope]}"
        return None
