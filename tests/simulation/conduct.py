"""How the desk behaves, whatever happens to it: what it plans on, what it sends, what it keeps to.

Held against what the shell knows at the instant a fact is journalled; the desk's own gates and sums are not asked.
"""

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from gambit.commands import key_parts
from gambit.engine.trading_state import Trading
from gambit.events import read
from gambit.events.operation import TradingStateChanged
from gambit.events.orders import (
    Filled,
    ForeignOrderSeen,
    OrderIntended,
    PlanClosed,
    PlanMade,
    PlannedLeg,
    ScopeReleased,
)
from tests.simulation.exchange import LOT, SECOND

if TYPE_CHECKING:
    from tests.simulation.checks import Checks

D = Decimal
FRESH_NS = 3 * SECOND // 2  # reliability.md 2.1
FAR = D("0.06")  # from the fair price, with loss budget and its drift since the plan: no limit is ever that bad


class Conduct:
    """Watches one episode beside Checks."""

    def __init__(self, checks: "Checks") -> None:
        self.checks = checks
        self.shell = checks.shell
        self.charged: dict[str, list[tuple[Decimal, Decimal]]] = {}  # by venue: notional, fee beyond the tier
        self.warned: Counter[tuple[str, int]] = Counter()  # executions after a drift was plain, by venue and life

    def need(self, ok: bool, invariant: str, text: object) -> None:
        self.checks.need(ok, invariant, text)

    def rewound(self) -> None:
        """The journal lost its tail."""
        self.charged.clear()
        self.warned.clear()

    def journalled(self, fact: Any) -> None:
        """A fact is in the journal; the desk is where its decision left it."""
        match fact:
            case Filled():
                self.filled(fact)
            case ScopeReleased():
                venue = fact.scope.removeprefix("venue:")  # whoever lets it go knows what it charged
                self.charged.pop(venue, None)
                self.warned[venue, self.shell.incarnation] = 0
            case _ if not self.shell.is_up:
                return
            case PlanMade():
                self.planned(fact)
            case OrderIntended(adopted=False):
                self.intended(fact)
            case PlanClosed() if fact.end != "position":
                left = self.shell.desk.standing.state.trades.get(fact.plan_id)
                self.need(left is None or not left.net, "I06", f"plan {fact.plan_id} ends {fact.end} and owes")
            case PlanClosed():
                scopes = self.shell.desk.standing.state.trading.scopes
                self.need("symbol:BTC-USDT" in scopes, "I06", f"plan {fact.plan_id} leaves a position, and no halt")

    def planned(self, made: PlanMade) -> None:
        """I08: each leg names a book that was synced, fresh, whole and had the levels taken; the venue takes orders."""
        for leg in made.legs:
            exchange = self.shell.exchanges[leg.venue]
            book = self.usable(leg.venue)
            self.need(leg.book_seq == book.seq, "I08", f"{leg.venue}: book {leg.book_seq} is not {book.seq}")
            side = book.asks if leg.side == "buy" else book.bids
            self.need(
                leg.worst_price in [price for price, _ in side], "I08", f"{leg.worst_price} is no level of {side}"
            )
            self.need(not exchange.is_closed(self.shell.now_ns), "I08", f"{leg.venue} takes no orders")
        flying, most = self.covered(made.legs), self.shell.desk.limits.max_in_flight_notional
        self.need(flying <= most, "I07", f"{flying} in flight")

    def usable(self, venue: str) -> Any:
        """R7, by what was shown."""
        book = self.shell.exchanges[venue].view
        assert book is not None
        age = self.shell.now_ns - book.updated_ns
        self.need(book.is_synced and age <= FRESH_NS, "I08", f"{venue}: a book of {age / 1e9} s ago, or out of step")
        self.need(book.bids[0][0] < book.asks[0][0], "I08", f"{venue}: a crossed book")
        return book

    def intended(self, intent: OrderIntended) -> None:
        """I22, I02, I07 and what an order is for."""
        key, shell = intent.key, self.shell
        is_whole = intent.qty > 0 and intent.qty % LOT == 0 and intent.price % shell.exchanges[intent.venue].tick == 0
        self.need(is_whole, "I22", f"{key}: {intent.qty} at {intent.price}")
        if intent.retry_of:
            was = self.checks.statuses.get(intent.retry_of)
            self.need(was == "failed", "I02", f"{key} stands in for {intent.retry_of}, which is {was}")
        trade = shell.desk.standing.state.trades[intent.plan_id]
        if intent.purpose == "entry":
            leg = trade.made.legs[intent.leg]
            is_leg = (leg.venue, leg.side, leg.qty, leg.price) == (intent.venue, intent.side, intent.qty, intent.price)
            self.need(is_leg, "I01", f"{key} is not leg {intent.leg} of its plan")
        else:
            self.usable(intent.venue)
            self.need(not shell.exchanges[intent.venue].is_closed(shell.now_ns), "I08", f"{intent.venue} is closed")
            net = trade.net.get("BTC", D(0))
            owed = net if intent.side == "sell" else -net
            self.need(intent.qty <= owed, "R4", f"{key} is to {intent.side} {intent.qty}, and {net} is owed")
            far = abs(intent.price / shell.fair - 1)
            self.need(far <= FAR, "R4", f"{key} at {intent.price}, {far:.4f} from the fair price")
            rules = shell.desk.rules
            self.need(trade.attempts <= rules.compensation_attempts, "R4", f"{key} is attempt {trade.attempts}")
            naked = trade.naked_quote_ns / SECOND
            self.need(naked <= rules.naked_budget_quote_s, "R4", f"{key} although {naked} were naked")
            self.covered([intent])

    def covered(self, legs: Sequence[PlannedLeg | OrderIntended]) -> Decimal:
        """I07: with these, all that live orders of a venue may still take of an asset is there, by our own books.
        Gives what is in flight. What the same decision states later is not live yet."""
        standing = self.shell.desk.standing
        taken, flying = Counter[tuple[str, str]](), D(0)
        live = [order for key, order in standing.live.items() if key in self.checks.statuses]
        rests = [(o.intent, o.price, o.qty if o.closing is None else o.closing.cum_qty, o.filled_qty) for o in live]
        for of, price, most, filled in [*rests, *((leg, leg.price, leg.qty, D(0)) for leg in legs)]:
            left = max(most - filled, D(0))
            flying += left * price
            taken[of.venue, of.side] += left * (price * (1 + of.fee_bps / 10_000) if of.side == "buy" else 1)
        for leg in legs:
            asset = "USDT" if leg.side == "buy" else "BTC"
            balance, amount = standing.state.holdings.balance(leg.venue, asset), taken[leg.venue, leg.side]
            self.need(amount <= balance, "I07", f"{leg.venue}: {amount} {asset} in flight, {balance} there")
        return flying

    def filled(self, fact: Filled) -> None:
        """A venue that charges more than its tier for a while is halted by the next execution at the latest."""
        venue, limits = fact.venue, self.shell.desk.limits
        scopes = self.shell.desk.standing.state.trading.scopes
        life = venue, self.shell.incarnation
        if self.shell.is_up and self.warned[life] > 1:
            self.need(f"venue:{venue}" in scopes, "fees", f"{venue} charges too much and goes on")
        quote = fact.qty * fact.price
        fee = fact.fee * (fact.price if fact.fee_asset == "BTC" else 1)
        charged = self.charged.setdefault(venue, [])
        charged.append((quote, fee - quote * self.shell.exchanges[venue].fee_bps / 10_000))
        last = charged[-limits.fee_drift_fills :]
        excess, traded = sum(more for _, more in last), sum(notional for notional, _ in last)
        is_drift = excess * 10_000 > limits.max_fee_drift_bps * traded and len(last) == limits.fee_drift_fills
        self.warned[life] = self.warned[life] + 1 if is_drift else 0

    def rival(self, seen: ForeignOrderSeen) -> None:
        """I15: another daemon's order was shown, of a life that is not earlier than ours."""
        parts = key_parts(seen.client_id, self.shell.desk.rules.key_prefix)
        standing = self.shell.desk.standing
        if parts is not None and parts.epoch >= standing.state.epoch and not standing.knows(seen.client_id):
            is_halted = standing.state.trading.state is Trading.HALTED
            self.need(is_halted, "I15", f"an order of epoch {parts.epoch} was seen and trading goes on")

    def started(self) -> None:
        """I10: a new life is as halted as the journal says."""
        state = "ACTIVE"
        for _, kind, body in self.shell.journal:
            if kind == "state.changed":
                fact = read(kind, body)
                assert isinstance(fact, TradingStateChanged)
                state = fact.state
        self.need(self.shell.desk.standing.state.trading.state == state, "I10", f"the journal says {state}")
