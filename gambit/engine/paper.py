"""The paper venue: orders filled from the live books, behind the same commands and facts as a real one.

Rules that hold here (orders.md, "Paper venue"):
1. An order meets the book as it is when it arrives, after a latency drawn for its key; the answer takes as long again.
2. Each level fills at its price and the slippage on top, never beyond the limit. Depth that was taken is gone for a
   while. What is missing is a partial fill, and the rest of an immediate order is canceled.
3. Balances are real: an order that they do not cover is rejected. Fees are in quote, rounded up.
4. Nothing here is journalled by itself: what happened is what was told. After a restart the venue is rebuilt from the
   desk's own executions, so an order whose fate was not told never existed.
5. What the desk has settled is nobody's question any more, and forgotten; ids are made of the order's own key, so that
   none comes a second time.
"""

import hashlib
import heapq
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal, localcontext
from typing import Final

from gambit.commands import CancelOrder, Command, PlaceOrder, QueryBalances, QueryFills, QueryOrder
from gambit.engine.conditions import Conditions, Level
from gambit.engine.limits import MS, SECOND_NS
from gambit.engine.order import ZERO
from gambit.engine.plan import BPS, FINEST_LOT, ONE, ceiling, floor
from gambit.engine.standing import EXACT, Standing
from gambit.events.orders import (
    Acked,
    BalanceRead,
    Cancelled,
    CancelRejected,
    Filled,
    FillsRead,
    FoundAs,
    OrderFact,
    OrderFound,
    OrderIntended,
    OrderMissing,
    Rejected,
    Sent,
)

EMPTY_KEPT: Final = 1000  # orders that came to nothing; nobody settles those
TAKEN_KEPT: Final = 1000  # levels something was taken from, before those that are back are looked for
FEE_STEP: Final = Decimal("1e-8")
TAIL_SHARE, TAIL_FACTOR = 20, 4  # one latency in twenty is four times as long


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperTerms:
    """What the paper venue charges and how it behaves."""

    taker_fee_bps: Decimal = Decimal(10)
    slippage_bps: Decimal = Decimal(5)
    min_order_quote: Decimal = Decimal(10)  # in the currency of account
    latency_ns: int = 20 * MS  # median, one way
    recovery_ns: int = 2 * SECOND_NS  # until taken depth is back


@dataclass(slots=True)
class PaperOrder:
    """An order as the venue keeps it."""

    intent: OrderIntended
    venue_order_id: str
    filled_qty: Decimal = ZERO
    state: FoundAs = "open"
    fills: list[tuple[int, Filled]] = field(default_factory=list)  # and when


@dataclass(order=True, slots=True)
class Due:
    """Something on its way: a command to the venue, or a fact back."""

    at_ns: int
    serial: int
    sent_ns: int = field(compare=False)
    command: Command | None = field(compare=False)
    facts: tuple[OrderFact, ...] = field(compare=False, default=())


class Paper:
    """One paper venue. `seed` and the order's key decide every latency."""

    is_up = True
    window_ns: int | None = 5 * SECOND_NS

    def __init__(self, venue: str, terms: PaperTerms, balances: Mapping[str, Decimal], seed: int = 0) -> None:
        self.venue = venue
        self.terms = terms
        self.taker_fee_bps: Decimal | None = terms.taker_fee_bps
        self.balances = dict(balances)
        self.orders: dict[str, PaperOrder] = {}
        self._open: dict[str, PaperOrder] = {}
        self._empty: deque[str] = deque()  # over without an execution
        self._seed = seed
        self._serial = 0
        self._queue: list[Due] = []
        self._taken: dict[tuple[str, str, Decimal], list[tuple[int, Decimal]]] = {}

    @property
    def deadline_ns(self) -> int | None:
        """When to call on_time at the latest; None: nothing is on its way."""
        return self._queue[0].at_ns if self._queue else None

    def send(self, command: Command, now_ns: int) -> list[OrderFact]:
        """Hand a command over; what is known at once comes back."""
        name = command.intent.key if isinstance(command, PlaceOrder) else f"{type(command).__name__}{self._serial}"
        self._serial += 1
        heapq.heappush(self._queue, Due(now_ns + self._latency(name), self._serial, now_ns, command))
        if isinstance(command, PlaceOrder):
            return [Sent(key=command.intent.key, venue=self.venue)]
        return []

    def on_time(self, conditions: Conditions, now_ns: int) -> list[OrderFact]:
        """What arrives by now: commands at the venue, and facts back here."""
        told: list[OrderFact] = []
        with localcontext(EXACT):
            for order in list(self._open.values()):
                self._answer(self._match(order, conditions, now_ns), now_ns)
            while self._queue and self._queue[0].at_ns <= now_ns:
                due = heapq.heappop(self._queue)
                if due.command is not None:
                    self._answer(self._serve(due.command, due, conditions), due.at_ns)
                told += due.facts
        return told

    def settled(self, key: str) -> None:
        """The desk's books about an order agree with ours."""
        self.orders.pop(key, None)

    def restore(self, standing: Standing) -> None:
        """Become what the desk remembers of this venue: executions, and the balances they left."""
        own = [order for order in standing.state.orders.values() if order.intent.venue == self.venue]
        for order in own:
            if not order.executions:
                continue
            known = PaperOrder(order.intent, order.venue_order_id or _order_id(order.intent.key), order.filled_qty)
            known.state = "filled" if order.filled_qty >= order.qty else "canceled"
            self.orders[order.intent.key] = known
            known.fills = [
                (order.intended_ns, _filled(order.intent, known, e.exec_id, e.qty, e.price, e.fee))
                for e in order.executions.values()
            ]
        for name, amount in standing.state.holdings.balances.items():
            venue, _, asset = name.partition("|")
            if venue == self.venue:
                self.balances[asset] = amount

    # ---- details ----

    def _answer(self, facts: Sequence[OrderFact], now_ns: int) -> None:
        """Facts of one event travel together, in their order."""
        if facts:
            self._serial += 1
            at_ns = now_ns + self._latency(f"back{self._serial}")
            heapq.heappush(self._queue, Due(at_ns, self._serial, now_ns, None, tuple(facts)))

    def _latency(self, name: str) -> int:
        digest = hashlib.blake2b(f"{self._seed}|{self.venue}|{name}".encode(), digest_size=8).digest()
        draw = int.from_bytes(digest, "big")
        factor = TAIL_FACTOR if draw % TAIL_SHARE == 0 else 1
        return factor * (self.terms.latency_ns // 2 + draw // TAIL_SHARE % max(self.terms.latency_ns, 1))

    def _serve(self, command: Command, due: Due, conditions: Conditions) -> list[OrderFact]:
        match command:
            case PlaceOrder(intent):
                return self._place(intent, conditions, due.at_ns)
            case CancelOrder(key=key):
                return self._cancel(key)
            case QueryOrder(key=key, query_id=query_id):
                return [self._found(key, query_id, due.sent_ns)]
            case QueryFills() as asked:
                own = [fill for one in self.orders.values() if one.intent.symbol == asked.symbol for fill in one.fills]
                fills = tuple(fill for ns, fill in sorted(own, key=_first) if ns >= asked.since_ns)
                return [
                    FillsRead(
                        venue=self.venue, symbol=asked.symbol, query_id=asked.query_id, asked_ns=due.sent_ns,
                        since_ns=asked.since_ns, fills=fills,
                    )
                ]  # fmt: skip
            case QueryBalances(query_id=query_id):
                locked = self._locked()
                free = {asset: amount - locked.get(asset, ZERO) for asset, amount in self.balances.items()}
                return [
                    BalanceRead(venue=self.venue, query_id=query_id, asked_ns=due.sent_ns, free=free, locked=locked)
                ]
        return []

    def _place(self, intent: OrderIntended, conditions: Conditions, now_ns: int) -> list[OrderFact]:
        if intent.key in self.orders:
            return [Rejected(key=intent.key, venue=self.venue, code="duplicate", text="the id is in use")]
        reason = self._refusal(intent, conditions)
        if reason:
            return [Rejected(key=intent.key, venue=self.venue, code=reason, text=reason.replace("_", " "))]
        order = PaperOrder(intent, _order_id(intent.key))
        self.orders[intent.key] = self._open[intent.key] = order
        acked = Acked(key=intent.key, venue=self.venue, venue_order_id=order.venue_order_id)
        return [acked, *self._match(order, conditions, now_ns)]

    def _refusal(self, intent: OrderIntended, conditions: Conditions) -> str:
        instrument = conditions.instrument(self.venue, intent.symbol)
        if instrument is None:
            return "unknown_symbol"
        if not instrument.is_open:
            return "market_closed"
        if intent.price <= 0 or intent.qty <= 0:
            return "bad_number"
        if intent.qty % (instrument.lot or FINEST_LOT) or intent.price % (instrument.tick or FINEST_LOT):
            return "filter"
        if intent.qty < (instrument.min_qty or ZERO):
            return "min_qty"
        if instrument.max_qty is not None and intent.qty > instrument.max_qty:
            return "max_qty"
        notional = intent.qty * intent.price
        worth = notional * conditions.marks().get(intent.quote, ONE)
        if notional < (instrument.min_notional or ZERO) or worth < self.terms.min_order_quote:
            return "min_notional"
        locked = self._locked()
        asset, amount = self._cost(intent, intent.qty)
        return "insufficient_funds" if self.balances.get(asset, ZERO) - locked.get(asset, ZERO) < amount else ""

    def _cost(self, intent: OrderIntended, qty: Decimal) -> tuple[str, Decimal]:
        fee = ONE + self.terms.taker_fee_bps / BPS
        return (intent.quote, qty * intent.price * fee) if intent.side == "buy" else (intent.base, qty)

    def _locked(self) -> dict[str, Decimal]:
        locked: dict[str, Decimal] = {}
        for order in self._open.values():
            asset, amount = self._cost(order.intent, order.intent.qty - order.filled_qty)
            locked[asset] = locked.get(asset, ZERO) + amount
        return locked

    def _match(self, order: PaperOrder, conditions: Conditions, now_ns: int) -> list[OrderFact]:
        """Fill from the book what the limit allows; end an immediate order."""
        intent = order.intent
        steps = self._steps(order, conditions, now_ns)
        possible = sum((qty for _, _, qty in steps), ZERO)
        if intent.tif == "fok" and possible < intent.qty - order.filled_qty:
            steps = []
        facts: list[OrderFact] = []
        for level, price, qty in steps:
            self._taken.setdefault((intent.symbol, intent.side, level), []).append(
                (now_ns + self.terms.recovery_ns, qty)
            )
            fee = (qty * price * self.terms.taker_fee_bps / BPS).quantize(FEE_STEP, ROUND_CEILING)
            fill = _filled(intent, order, f"{self.venue}-{intent.key}-{len(order.fills) + 1}", qty, price, fee)
            order.filled_qty += qty
            order.fills.append((now_ns, fill))
            self._pay(fill, intent)
            facts.append(fill)
        if len(self._taken) > TAKEN_KEPT:
            self._taken = {name: still for name, parts in self._taken.items() if (still := _still(parts, now_ns))}
        if order.filled_qty >= intent.qty:
            self._over(order, "filled")
        elif intent.tif != "gtc":
            self._over(order, "canceled")
            facts.append(Cancelled(key=intent.key, venue=self.venue, cum_qty=order.filled_qty, cause="ioc"))
        return facts

    def _steps(self, order: PaperOrder, conditions: Conditions, now_ns: int) -> list[tuple[Decimal, Decimal, Decimal]]:
        """(level, price with slippage, quantity) of what would fill now."""
        intent = order.intent
        book = conditions.book(self.venue, intent.symbol)
        instrument = conditions.instrument(self.venue, intent.symbol)
        if book is None or instrument is None or not book.is_synced:
            return []
        tick, slip = instrument.tick or FINEST_LOT, self.terms.slippage_bps / BPS
        levels: Sequence[Level] = book.asks if intent.side == "buy" else book.bids
        left = intent.qty - order.filled_qty
        steps = []
        for level, available in levels:
            slipped = ceiling(level * (ONE + slip), tick) if intent.side == "buy" else floor(level * (ONE - slip), tick)
            is_within = slipped <= intent.price if intent.side == "buy" else slipped >= intent.price
            if left <= 0 or not is_within:
                break
            gone = self._gone(intent, level, now_ns)
            qty = floor(min(left, max(available - gone, ZERO)), instrument.lot or FINEST_LOT)
            if qty > 0:
                steps.append((level, slipped, qty))
                left -= qty
        return steps

    def _gone(self, intent: OrderIntended, level: Decimal, now_ns: int) -> Decimal:
        name = (intent.symbol, intent.side, level)
        still = _still(self._taken.pop(name, []), now_ns)
        if still:
            self._taken[name] = still
        return sum((qty for _, qty in still), ZERO)

    def _pay(self, fill: Filled, intent: OrderIntended) -> None:
        sign = 1 if fill.side == "buy" else -1
        for asset, delta in ((intent.base, sign * fill.qty), (intent.quote, -sign * fill.qty * fill.price - fill.fee)):
            self.balances[asset] = self.balances.get(asset, ZERO) + delta

    def _over(self, order: PaperOrder, state: FoundAs) -> None:
        order.state = state
        del self._open[order.intent.key]
        if not order.fills:
            self._empty.append(order.intent.key)
            while len(self._empty) > EMPTY_KEPT:
                self.orders.pop(self._empty.popleft(), None)

    def _cancel(self, key: str) -> list[OrderFact]:
        order = self.orders.get(key)
        if order is None or order.state != "open":
            return [CancelRejected(key=key, venue=self.venue, code="unknown_order")]
        self._over(order, "canceled")
        return [Cancelled(key=key, venue=self.venue, cum_qty=order.filled_qty)]

    def _found(self, key: str, query_id: int, asked_ns: int) -> OrderFact:
        order = self.orders.get(key)
        if order is None:
            return OrderMissing(key=key, venue=self.venue, query_id=query_id, asked_ns=asked_ns, searched_history=True)
        return OrderFound(
            key=key, venue=self.venue, query_id=query_id, asked_ns=asked_ns, venue_order_id=order.venue_order_id,
            found_as=order.state, cum_qty=order.filled_qty,
        )  # fmt: skip


def _order_id(key: str) -> str:
    return f"paper-{key}"


def _still(parts: list[tuple[int, Decimal]], now_ns: int) -> list[tuple[int, Decimal]]:
    """Of what was taken from a level: what is not back yet."""
    return [(until_ns, qty) for until_ns, qty in parts if until_ns > now_ns]


def _first(pair: tuple[int, Filled]) -> int:
    return pair[0]


def _filled(
    intent: OrderIntended, order: PaperOrder, exec_id: str, qty: Decimal, price: Decimal, fee: Decimal
) -> Filled:
    return Filled(
        key=intent.key, venue=intent.venue, symbol=intent.symbol, side=intent.side, exec_id=exec_id, qty=qty,
        price=price, fee=fee, fee_asset=intent.quote, venue_order_id=order.venue_order_id,
    )  # fmt: skip


def opening_balances(assets: Sequence[str], marks: Mapping[str, Decimal], worth: Decimal) -> dict[str, Decimal]:
    """The same worth of every asset that has a mark, cut to eight decimals."""
    return {a: floor(worth / marks[a], FEE_STEP) for a in assets if marks.get(a, ZERO) > 0}
