"""Which questions to ask the venues, and when: about orders in doubt, missing executions, and what is to be settled.

Nothing here is state: after a restart every question is asked anew. Questions are spaced by doubling intervals; they
never stop while there is a doubt (R1), and say so after a while.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gambit.commands import Command, QueryBalances, QueryFills, QueryOrder
from gambit.engine.conditions import Conditions
from gambit.engine.limits import DAY_NS, HOUR_NS, MINUTE_NS, Execution
from gambit.engine.order import Order, Status
from gambit.engine.standing import Standing, is_symbol
from gambit.events.orders import FillsRead

ALARM_TRIES: Final = 8
FILLS_TRIES: Final = 3  # questions about an order before its executions are asked for too
ENDS_AT_ONCE: Final = ("ioc", "fok")
FILLS_DOUBLINGS_MAX: Final = 7
LOOK_BACK_NS: Final = MINUTE_NS  # the venue's clock may be behind ours
COMPARED_NS: Final = HOUR_NS  # how far executions are compared at least, at a start and after every reconnect
COMPARED_MAX_NS: Final = 2 * DAY_NS  # and at most: OKX lists those of three days
OVERLAP_NS: Final = 2 * MINUTE_NS  # what a venue lists late; a balance that differs looks back all the way


@dataclass(slots=True)
class Wait:
    """A question that is asked again until it is moot."""

    next_ns: int
    tries: int = 0


class Inquiry:
    """The questions under way. `serial` is the last number that was used in this life."""

    def __init__(self, rules: Execution, serial: int = 0) -> None:
        self._rules = rules
        self._orders: dict[str, Wait] = {}
        self._markets: dict[tuple[str, str], Wait] = {}
        self._disputed: dict[tuple[str, str], int] = {}  # since when
        self._balances: dict[str, int] = {}  # venues to be asked, and when
        self._canceled_ns: dict[str, int] = {}  # orders that rest and should not: when that was last asked for
        self._read_ns: dict[tuple[str, str], int] = {}  # when the last list of executions was asked for
        self.serial = serial
        self.replayed_ns: int | None = None  # the time of the last record of the lives before

    def ask_fills(self, venue: str, symbol: str, since_ns: int, now_ns: int) -> None:
        """The executions of a market are to be compared at once (F25); of one that is not listed nobody can ask."""
        if not is_symbol(symbol):
            return
        self._disputed[venue, symbol] = min(self._disputed.get((venue, symbol), since_ns), since_ns)
        self._markets[venue, symbol] = Wait(now_ns)

    def ask_balances(self, venue: str, at_ns: int) -> None:
        """The balances of a venue are to be looked at, now or later."""
        self._balances[venue] = at_ns

    def heard(self, fact: FillsRead) -> None:
        """A list of executions came."""
        market = fact.venue, fact.symbol
        self._read_ns[market] = max(self._read_ns.get(market, 0), fact.asked_ns)

    def since_ns(self, venue: str, symbol: str, now_ns: int, *, is_routine: bool) -> int:
        """How far the executions of a market are to be compared: what is routine to the last answer of this life, else
        further; never less far than nothing was heard, or written down before this life."""
        read_ns = self._read_ns.get((venue, symbol))
        known_ns = self.replayed_ns if read_ns is None else read_ns
        least_ns = now_ns - COMPARED_NS
        if known_ns is None:
            return least_ns
        since_ns = known_ns - OVERLAP_NS
        if since_ns < least_ns or (is_routine and read_ns is not None):
            return max(since_ns, now_ns - COMPARED_MAX_NS)
        return least_ns

    def markets(self, venue: str, standing: Standing, conditions: Conditions) -> list[str]:
        """What was ever traded and is listed at a venue: nobody can ask it about anything else. In a life that is not
        the first once what may have been traded too: the power may have taken a symbol's first order."""
        symbols = dict.fromkeys(standing.state.symbols)
        if standing.state.epoch > 1:
            followed = conditions.followed(venue)
            symbols |= dict.fromkeys(one for one in followed if (venue, one) not in self._read_ns)
        return [symbol for symbol in symbols if conditions.instrument(venue, symbol) is not None]

    def has_read(self, venue: str, symbols: Iterable[str], since_ns: int) -> bool:
        """Whether the executions of all these markets were listed after a time."""
        return all(self._read_ns.get((venue, symbol), -1) > since_ns for symbol in symbols)

    def is_to_cancel(self, order: Order, now_ns: int) -> bool:
        """Whether an order that was just found open should have ended at once long ago, and to ask for its cancel now:
        again and again, as the venue may refuse or forget that too, but not with every answer."""
        is_working = order.status in (Status.SUBMITTED, Status.PARTIALLY_FILLED)
        is_late = now_ns >= order.may_leave_ns + self._rules.answer_timeout_ns
        if order.intent.tif not in ENDS_AT_ONCE or not is_working or not is_late:
            return False
        key = order.intent.key
        asked_ns = self._canceled_ns.get(key)
        if asked_ns is not None and now_ns < asked_ns + self._rules.query_interval_max_ns:
            return False
        self._canceled_ns[key] = now_ns
        return True

    def due(self, standing: Standing, now_ns: int) -> tuple[list[Command], list[str]]:
        """The questions to ask now, and the keys of orders that are in doubt for very long."""
        commands: list[Command] = []
        alarms: list[str] = []
        doubtful = {key: order for key, order in standing.live.items() if order.status is Status.IN_DOUBT}
        self._orders = {key: wait for key, wait in self._orders.items() if key in doubtful}
        self._canceled_ns = {key: at_ns for key, at_ns in self._canceled_ns.items() if key in standing.live}
        for key, order in doubtful.items():
            wait = self._orders.setdefault(key, Wait(now_ns))
            if now_ns >= wait.next_ns:
                commands.append(self._order_question(order, standing))
                self._space(order, wait, now_ns)
                if wait.tries == ALARM_TRIES:
                    alarms.append(key)
        commands += self._fill_questions(standing, now_ns)
        for venue in [venue for venue, at_ns in self._balances.items() if at_ns <= now_ns]:
            del self._balances[venue]
            commands.append(QueryBalances(venue=venue, query_id=self._next_id(standing)))
        return commands, alarms

    @property
    def deadline_ns(self) -> int | None:
        """When the next question is due; None: nothing is asked."""
        dues = [wait.next_ns for wait in (*self._orders.values(), *self._markets.values())]
        return min((*dues, *self._balances.values()), default=None)

    def _order_question(self, order: Order, standing: Standing) -> QueryOrder:
        intent = order.intent
        return QueryOrder(
            venue=intent.venue,
            symbol=intent.symbol,
            key=intent.key,
            query_id=self._next_id(standing),
            venue_order_id=order.venue_order_id,
        )

    def _next_id(self, standing: Standing) -> int:
        """Grows for ever: answers are ordered by it (F16)."""
        if self.serial == 0:
            known = (order.last_query_id for order in standing.state.orders.values())
            self.serial = max((standing.state.query_id, *known))
        self.serial += 1
        return self.serial

    def _space(self, order: Order, wait: Wait, now_ns: int) -> None:
        """Ever rarer; and where the venue has named a quantity the executions are what is lacking, not its word."""
        most_ns = self._rules.query_interval_max_ns << (2 if order.waits_for_fills else 0)
        wait.next_ns = now_ns + min(self._rules.query_interval_ns << min(wait.tries, 20), most_ns)
        wait.tries += 1
        provable_ns = order.provable_ns(self._rules.clock_margin_ns)
        if provable_ns is not None and now_ns <= provable_ns < wait.next_ns:
            wait.next_ns = provable_ns + 1  # the first question whose answer can be proof

    def _fill_questions(self, standing: Standing, now_ns: int) -> list[Command]:
        since: dict[tuple[str, str], int] = dict(self._disputed)
        awaited: set[tuple[str, str]] = set()
        for order in (*standing.live.values(), *standing.unsettled.values()):
            if self._lacks_fills(order, standing):
                market = order.intent.venue, order.intent.symbol
                if order.is_live:
                    awaited.add(market)
                since[market] = min(since.get(market, order.intended_ns), order.intended_ns)
        self._markets = {market: wait for market, wait in self._markets.items() if market in since}
        commands: list[Command] = []
        for market, since_ns in since.items():
            wait = self._markets.setdefault(market, Wait(now_ns))
            if now_ns >= wait.next_ns:
                venue, symbol = market
                commands.append(
                    QueryFills(
                        venue=venue, symbol=symbol, since_ns=since_ns - LOOK_BACK_NS,
                        query_id=self._next_id(standing), is_awaited=market in awaited,
                    )
                )  # fmt: skip
                wait.next_ns = now_ns + (self._rules.query_interval_ns << min(wait.tries, FILLS_DOUBLINGS_MAX))
                wait.tries += 1
                self._disputed.pop(market, None)
        return commands

    def _lacks_fills(self, order: Order, standing: Standing) -> bool:
        if order.is_live:
            wait = self._orders.get(order.intent.key)
            return order.waits_for_fills or (wait is not None and wait.tries >= FILLS_TRIES)
        return not standing.state.trades[order.intent.plan_id].is_open
