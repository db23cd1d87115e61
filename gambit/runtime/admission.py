"""Whether new orders may go to one account: what has to be known first, and keys that its venue refuses.

Known have to be what the keys may do and which orders are open. An account is held where the venue refuses its keys
(cause auth: nothing at all is sent until they change or an operator asks), or where they may do what they should not or
cannot do what they have to (cause rights: cancels and questions go on). A session that ended is logged on once more.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from gambit.commands import CancelOrder, Command, PlaceOrder
from gambit.events import Fact
from gambit.events.operation import AccountHeld
from gambit.events.orders import Acked, CancelRejected, Rejected, Unsent
from gambit.model import Category
from gambit.venues.account import Turn
from gambit.venues.key_rights import objection
from gambit.venues.orders import Asked, Fault, KeyRights, What

WANTED: Final[frozenset[What]] = frozenset({"rights", "open_orders"})
PASSING: Final = ("clock", "nonce")  # refused, but not for the keys' sake


class Admission:
    """One account's. `on_held` hears that no order goes there any more, `warn` what a person should know."""

    def __init__(
        self, venue: str, *, on_held: Callable[[AccountHeld], None], warn: Callable[[str], None], wants_bound: bool
    ) -> None:
        self.venue = venue
        self.held: AccountHeld | None = None
        self.unknown: set[What] = set(WANTED)
        self._on_held = on_held
        self._warn = warn
        self._wants_bound = wants_bound
        self._denials = 0  # orders refused for want of rights since one was taken
        self._expiries = 0  # sessions refused since one was good

    @property
    def is_refused(self) -> bool:
        """Whether nothing at all is to be sent."""
        return self.held is not None and self.held.cause == "auth"

    @property
    def reason(self) -> str:
        """Why no orders are taken; empty where they are."""
        if self.held is not None:
            return self.held.reason
        if "open_orders" in self.unknown:
            return "the open orders are not known yet"
        return "what the keys may do is not known yet" if self.unknown else ""

    def unsent(self, command: Command) -> Sequence[Fact]:
        """What becomes of a command while nothing is sent; questions stay open."""
        if isinstance(command, PlaceOrder):
            return [Unsent(key=command.intent.key, venue=self.venue, reason=self.reason)]
        if isinstance(command, CancelOrder):
            return [CancelRejected(key=command.key, venue=self.venue, code="unsent", text=self.reason)]
        return []

    def learn(self, asked: Asked, turn: Turn) -> None:
        """From an answer over HTTP."""
        fault = turn.fault
        if fault is None:
            self._expiries = 0
        elif asked.what == "fees":
            return  # a key may trade without being allowed to ask what that costs
        elif asked.what != "rights":
            self.deny(fault)
        elif fault.category in (Category.AUTH, Category.PERMANENT_4XX) and fault.means not in PASSING:
            self._warn(f"{self.venue}: does not tell what the key may do: {worded(fault)}")
            self.unknown.discard("rights")  # a key may trade without being allowed to ask about itself
        for report in turn.told:
            if isinstance(report, KeyRights):
                self._judge(report)
        if asked.what == "open_orders" and fault is None and not turn.is_more:
            self.unknown.discard("open_orders")

    def deny(self, fault: Fault) -> None:
        """A logon or a question was refused. Of a session that ended the next one is tried, once."""
        if fault.category is not Category.AUTH or fault.means in PASSING:
            return
        if fault.means == "session":
            self._expiries += 1
            if self._expiries == 1:
                return
        self.hold("auth", worded(fault))

    def heed(self, facts: Iterable[Fact]) -> bool:
        """What became of orders; whether one was refused for want of a logon, which may have ended in silence (F80).
        The next one refused likewise is the key's affair (F82)."""
        is_denied = False
        for fact in facts:
            if isinstance(fact, Acked):
                self._denials = 0
            elif isinstance(fact, Rejected) and fact.category == Category.AUTH:
                is_denied = True
                self._denials += 1
                if self._denials > 1:
                    self.hold("auth", f"{fact.code}: {fact.text}")
        return is_denied

    def _judge(self, rights: KeyRights) -> None:
        against = objection(self.venue, rights, wants_bound=self._wants_bound)
        if against:
            self.hold("rights", against)
        else:
            self.unknown.discard("rights")

    def hold(self, cause: str, reason: str) -> None:
        """No new order until release(): `cause` is auth or rights."""
        if self.held is not None and (self.held.cause == "auth" or cause == "rights"):
            return
        self.held = AccountHeld(venue=self.venue, cause=cause, reason=reason)
        self._on_held(self.held)

    def release(self) -> None:
        """Try again."""
        self.held, self._denials, self._expiries = None, 0, 0
        self.unknown = set(WANTED)


def worded(fault: Fault) -> str:
    """A fault for people."""
    return f"{fault.category} {fault.code}: {fault.text}"
