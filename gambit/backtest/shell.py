"""The desk and a paper venue each, living in the time of a replay: what dealing is to the daemon, without its clock.

What a backtest assumes, and the report repeats:
1. A decision is made on the books of the frame that raised the signal. Everything between that and the order's arrival
   is in the latency: drawn per order from half to one and a half times `execution.paper_latency_ms`, one in twenty four
   times as long; the answer takes as long again.
2. Orders take; none rests. An order meets the book as recorded at its arrival, fills level by level with
   `execution.paper_slippage_bps` on top, never beyond its limit, and what it took is gone for
   `execution.paper_recovery_ms`. There is no queue to wait in, and nobody reacts to us.
3. A venue takes part from the first second in which all its books had prices, or five seconds after its first one.
4. The desk is the daemon's: plans, gates, compensation and their limits as configured, in paper mode.
5. Where a capture has no instrument list, ticks and lots are `FINEST_LOT` and no order is too small. Contracts with a
   size of their own are not traded.

Time comes from the recording alone, so the same input gives the same result.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, Protocol

from gambit.commands import CancelOrder, Command, Notify, PlaceOrder, QueryBalances, QueryFills, QueryOrder
from gambit.engine.conditions import VenueView
from gambit.engine.desk import Decision, Desk
from gambit.engine.limits import SECOND_NS, Execution, Limits
from gambit.engine.market import Market
from gambit.engine.paper import Paper, PaperTerms, opening_balances
from gambit.engine.plan import FINEST_LOT, of_signal
from gambit.events import Fact
from gambit.events.operation import DaemonStarted
from gambit.events.orders import OrderSettled, Unsent
from gambit.model import Instrument
from gambit.runtime.moment import Moment, Moments, reach_of

TICK_NS: Final = SECOND_NS  # as often as the daemon's own idle turn
RECONCILE_NS: Final = 30 * SECOND_NS
PATIENCE_NS: Final = 5 * SECOND_NS  # for a venue's last books
SETTLE_NS: Final = 60 * SECOND_NS  # after the last record, for what is still under way
STEP_NS: Final = 1_000_000  # least distance of two instants in which the desk alone is told the time


class RecordedMoment(Moment):
    """A moment of a recording, whose instruments are assumed where no list was recorded."""

    def instrument(self, venue: str, symbol: str) -> Instrument | None:
        """What is known of a symbol on a venue, or what has to do."""
        known = super().instrument(venue, symbol)
        return assumed(self._market, venue, symbol) if known is None else known


def assumed(market: Market, venue: str, symbol: str) -> Instrument | None:
    """An instrument without filters; None where a list says that there is none, or for a contract."""
    state = market.venues.get(venue)
    if state is None or state.catalog.has_list or market.find(venue, symbol) is None:
        return None
    if state.language.default_contract_size(symbol) is not None:
        return None
    base, quote = symbol.split("-")[:2]
    spelling = market.spelling(venue, symbol) or symbol
    return Instrument(symbol=symbol, spelling=spelling, base=base, quote=quote, tick=FINEST_LOT, lot=FINEST_LOT)


class Observer(Protocol):
    """Who measures."""

    def on_event(self, event: Mapping[str, Any]) -> None:
        """A signal or an episode's end, before it is considered."""
        ...

    def on_fact(self, fact: Fact, now_ns: int) -> None:
        """Something became true."""
        ...

    def on_tick(self, desk: Desk, marks: Mapping[str, Decimal], now_ns: int) -> None:
        """A second of recorded time is over."""
        ...


class Shell:
    """One desk on paper; a Companion of gambit.runtime.replay. `worth` is what each venue is given of every asset
    where `balances` names none, in the currency of account."""

    def __init__(
        self,
        rules: Execution,
        limits: Limits,
        terms: PaperTerms,
        observer: Observer,
        *,
        balances: Mapping[str, Decimal],
        worth: Decimal,
        venues: Callable[[str], bool],
    ) -> None:
        self.desk = Desk(rules, limits)
        self.terms = terms
        self.observer = observer
        self.ports: dict[str, Paper] = {}
        self.now_ns = 0
        self.deadline_ns = 0  # at once: the run begins with the first record
        self.notices: list[str] = []
        self._balances = balances
        self._worth = worth
        self._is_wanted = venues
        self._views: dict[str, VenueView] = {}
        self._first_priced_ns: dict[str, int] = {}
        self._tick_ns = 0
        self._reconcile_ns = 0

    # ---- gambit.runtime.replay.Companion ----

    def begin(self, market: Market) -> None:
        """The market to look at."""
        self._market = market
        reach = reach_of(self.desk.rules, self.desk.limits)
        self._moments = Moments(market, lambda: self._views, lambda: self.now_ns, RecordedMoment, reach)

    def on_event(self, event: Mapping[str, Any]) -> None:
        """A signal is considered at the instant of its frame."""
        self.observer.on_event(event)
        self.now_ns = max(self.now_ns, event["recv_ns"])
        if event["event"] == "raised" and self.ports:
            self._carry_out(self.desk.consider(of_signal(event), self._moment(), self.now_ns))
            self._plan_ahead()

    def on_time(self, next_ns: int) -> None:
        """Everything that is due before the next record, one instant after the other."""
        if not self._tick_ns:
            self._start(next_ns)
        while self.deadline_ns < next_ns:
            self._instant(self.deadline_ns)

    # ---- the end ----

    def settle(self) -> None:
        """No record follows: let what is under way come to its end, on the books as they are."""
        end_ns = self.now_ns + SETTLE_NS
        while self._tick_ns and self._is_under_way and self.deadline_ns <= end_ns:
            self._instant(self.deadline_ns)

    @property
    def _is_under_way(self) -> bool:
        """Whether a plan is, or something that was not traded waits for what it would have earned."""
        return not self.desk.is_flat or self.desk.hindsight.deadline_ns is not None

    # ---- details ----

    def _start(self, now_ns: int) -> None:
        self.now_ns = now_ns
        self._tick_ns, self._reconcile_ns = now_ns + TICK_NS, now_ns + RECONCILE_NS
        started = DaemonStarted(version="backtest", pid=0, epoch=1, mode="paper", config_hash="")
        self._carry_out(self.desk.begin(started, self._moment(), now_ns))
        self._plan_ahead()

    def _instant(self, now_ns: int) -> None:
        self.now_ns = max(self.now_ns, now_ns)
        if self.now_ns >= self._tick_ns:
            self._tick_ns = self.now_ns + TICK_NS
            self._open_venues()
            self.observer.on_tick(self.desk, self.marks(), self.now_ns)
        for port in self.ports.values():
            for fact in port.on_time(self._moment(), self.now_ns):
                self._on_fact(fact)
        self._carry_out(self.desk.on_time(self._moment(), self.now_ns))
        if self.now_ns >= self._reconcile_ns:
            self._reconcile_ns = self.now_ns + RECONCILE_NS
            for venue in self.ports:
                self._carry_out(self.desk.reconcile(venue, self._moment(), self.now_ns, is_routine=True))
        self._plan_ahead()

    def _plan_ahead(self) -> None:
        desk_ns = self.desk.deadline_ns(self._moment(), self.now_ns)
        arrivals = [port.deadline_ns for port in self.ports.values()]
        dues = [self._tick_ns, *(due_ns for due_ns in arrivals if due_ns is not None)]
        if desk_ns is not None:
            dues.append(max(desk_ns, self.now_ns + STEP_NS))
        self.deadline_ns = max(min(dues), self.now_ns)

    def _moment(self) -> Moment:
        return self._moments.now()

    def without_list(self) -> list[str]:
        """The books (`venue:SYMBOL`) whose ticks and lots were assumed."""
        found = self._market.listings
        return sorted(f"{v}:{s}" for v, s in found if assumed(self._market, v, s) is not None)

    def marks(self) -> Mapping[str, Decimal]:
        """Price of each asset in the currency of account, as of now."""
        return self._moment().marks()

    def _open_venues(self) -> None:
        """Give a venue its money once its books have prices."""
        waiting: dict[str, list[bool]] = {}
        for index, (venue, _symbol) in enumerate(self._market.listings):
            if venue not in self.ports and self._is_wanted(venue):
                bid, ask = self._market.pairs.touch(index)
                waiting.setdefault(venue, []).append(bid > 0 and ask > 0)
        for venue, priced in waiting.items():
            if not any(priced):
                continue
            since_ns = self._first_priced_ns.setdefault(venue, self.now_ns)
            if all(priced) or self.now_ns - since_ns >= PATIENCE_NS:
                self._open(venue)

    def _open(self, venue: str) -> None:
        symbols = [symbol for name, symbol in self._market.listings if name == venue]
        assets = sorted({asset for symbol in symbols for asset in symbol.split("-")[:2]})
        opening = dict(self._balances) or opening_balances(assets, self.marks(), self._worth)
        port = self.ports[venue] = Paper(venue, self.terms, opening)
        self._views[venue] = VenueView(
            name=venue,
            taker_fee_bps=self.terms.taker_fee_bps,
            latency_ns=self.terms.latency_ns,
            window_ns=port.window_ns,
        )
        self._carry_out(self.desk.reconcile(venue, self._moment(), self.now_ns))

    def _on_fact(self, fact: Fact) -> None:
        self._carry_out(self.desk.on_fact(fact, self._moment(), self.now_ns))

    def _carry_out(self, decision: Decision) -> None:
        for fact in decision.facts:
            self.observer.on_fact(fact, self.now_ns)
            if isinstance(fact, OrderSettled):
                self.ports[fact.venue].settled(fact.key)
        for command in decision.commands:
            if isinstance(command, Notify):
                self.notices.append(command.message)
            else:
                self._hand_over(command)

    def _hand_over(self, command: Command) -> None:
        if isinstance(command, PlaceOrder):
            intent = command.intent
            why_not = self.desk.may_send(intent, self.now_ns)
            if why_not is not None:
                self._on_fact(Unsent(key=intent.key, venue=intent.venue, reason=why_not))
                return
        for fact in self.ports[_venue_of(command)].send(command, self.now_ns):
            self._on_fact(fact)


def _venue_of(command: Command) -> str:
    match command:
        case PlaceOrder(intent):
            return intent.venue
        case CancelOrder() | QueryOrder() | QueryFills() | QueryBalances():
            return command.venue
    raise TypeError(f"{type(command).__name__} goes to no venue")
