"""A made-up exchange without sockets: books that wander, immediate orders, a ledger that is the truth."""

from collections import Counter
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal

import msgspec

from gambit.commands import CancelOrder, PlaceOrder, QueryBalances, QueryFills, QueryOrder
from gambit.engine.conditions import BookView, Level
from gambit.engine.order import ZERO
from gambit.events.orders import (
    Acked,
    Amended,
    AmendRejected,
    BalanceRead,
    Busted,
    Cancelled,
    CancelRejected,
    Expired,
    Filled,
    FillsRead,
    ForeignOrderSeen,
    FoundAs,
    OrderFact,
    OrderFound,
    OrderIntended,
    OrderMissing,
    Rejected,
)
from tests.simulation.tape import Tape

D = Decimal
SECOND = 1_000_000_000
MS = 1_000_000
TICK = D("0.01")
LOT = D("0.001")
WINDOW_NS = 5 * SECOND
INVISIBLE_NS = 3 * SECOND
FORGOTTEN_NS = 10 * SECOND  # longer than any absence takes to be proven
STEPS = ((D("0.02"), D(6)), (D("0.05"), D(9)), (D("0.10"), D(15)), (D("0.17"), D(40)))  # from the mid, on the tick


@dataclass(slots=True)
class Listed:
    """An order as the exchange has it."""

    intent: OrderIntended
    venue_order_id: str
    invisible_until_ns: int = 0
    filled_qty: Decimal = ZERO
    state: FoundAs = "open"
    fills: list[Filled] = field(default_factory=list)


class Exchange:
    """One venue. `fee_in_base` takes the fee of a buy from what was bought."""

    def __init__(self, name: str, tape: Tape, fee_bps: Decimal, fee_in_base: bool) -> None:
        self.name = name
        self.tape = tape
        self.fee_bps = fee_bps
        self.fee_in_base = fee_in_base
        self.lists_all = name == "a"  # orders that are over, too
        self.orders: dict[str, Listed] = {}
        self.requests: Counter[str] = Counter()  # creates received, by key
        self.executions: dict[str, Filled] = {}  # by exec id; busted ones are taken out
        self.executed_ns: dict[str, int] = {}
        self.balances = {"USDT": D(50_000), "BTC": D(500)}
        self.mid = D(100)
        self.seq = 0
        self.taken: dict[Decimal, Decimal] = {}
        self.shown_ns = 0
        self.stutters = False  # the next order is executed in part only
        self.lingering: set[str] = set()  # orders that are executed in part and stand
        self._view: BookView | None = None  # made when somebody looks
        self._levels: dict[str, tuple[Level, ...]] = {}
        self._serial = 0
        self.tick = TICK
        self.dearer_bps = ZERO  # charged beyond the tier
        self.closed_until_ns = 0  # takes no orders
        self.deaf_until_ns = 0  # tells nothing unasked
        self.offset_ns = 0  # its clock before ours
        self._bad = ""  # what is wrong with its book as it is told
        self._bad_until_ns = 0

    # ---- the market ----

    def wander(self, now_ns: int, fair: Decimal) -> None:
        """A new book around a price that strays from the fair one."""
        if now_ns >= self._bad_until_ns:
            self._bad = ""
        stray = D(self.tape.between(f"{self.name} stray", -35, 35)) / 100
        self.mid = fair + stray
        self.seq += 1
        self.taken.clear()
        self.show(now_ns)

    def spoil(self, how: str, until_ns: int) -> None:
        """From now on the book is told wrongly: frozen, unsynced or crossed."""
        if self.view is not None:  # a frozen one stays this
            self._bad, self._bad_until_ns = how, until_ns
            self._view = self._view if how == "frozen" else None

    def show(self, now_ns: int) -> None:
        """The book changed."""
        self._levels.clear()
        if self._bad != "frozen":
            self.shown_ns = now_ns
            self._view = None

    @property
    def view(self) -> BookView | None:
        """The book as it is told; None before there is one."""
        if self._view is None and self.shown_ns:
            bids, asks = self.levels("sell"), self.levels("buy")
            if self._bad == "crossed":
                bids, asks = asks, bids
            self._view = BookView(
                venue=self.name, symbol="BTC-USDT", is_synced=self._bad != "unsynced", updated_ns=self.shown_ns,
                seq=self.seq, bids=bids, asks=asks,
            )  # fmt: skip
        return self._view

    def is_closed(self, now_ns: int) -> bool:
        """Maintenance, or cancels only."""
        return now_ns < self.closed_until_ns

    def levels(self, side: str) -> tuple[Level, ...]:
        """What an order of a side meets, best first."""
        found = self._levels.get(side)
        if found is None:
            sign = 1 if side == "buy" else -1
            prices = [(self.mid + sign * offset, qty) for offset, qty in STEPS]
            lefts = [(price, qty - self.taken.get(price, ZERO)) for price, qty in prices]
            found = self._levels[side] = tuple((price, left) for price, left in lefts if left > 0)
        return found

    # ---- requests ----

    def receive(self, command: object, sent_ns: int, now_ns: int) -> list[OrderFact]:
        """What a request leads to, in the order it happens."""
        match command:
            case PlaceOrder(intent):
                return self._create(intent, sent_ns, now_ns)
            case CancelOrder(key=key):
                listed = self.orders.get(key)
                if listed is None or listed.state != "open":
                    return [CancelRejected(key=key, venue=self.name, code="unknown")]
                return self._end(listed, "asked")
            case QueryOrder():
                return [self._answer(command, sent_ns, now_ns)]
            case QueryFills(symbol=symbol, since_ns=since_ns, query_id=query_id):
                fills = tuple(f for i, f in self.executions.items() if self.executed_ns[i] >= since_ns)
                return [
                    FillsRead(
                        venue=self.name, symbol=symbol, query_id=query_id, asked_ns=sent_ns,
                        since_ns=since_ns, fills=fills,
                    )
                ]  # fmt: skip
            case QueryBalances(query_id=query_id):
                free = dict(self.balances)
                return [BalanceRead(venue=self.name, query_id=query_id, asked_ns=sent_ns, free=free, locked={})]
        raise AssertionError(command)

    def _create(self, intent: OrderIntended, sent_ns: int, now_ns: int) -> list[OrderFact]:
        key = intent.key
        self.requests[key] += 1
        if now_ns + self.offset_ns > sent_ns + WINDOW_NS:
            return [Rejected(key=key, venue=self.name, code="stale")]
        if self.is_closed(now_ns) or intent.price % self.tick:
            return [Rejected(key=key, venue=self.name, code="closed" if self.is_closed(now_ns) else "filters")]
        if key in self.orders and self.orders[key].state == "open":
            return [Rejected(key=key, venue=self.name, code="duplicate")]
        self._serial += 1
        listed = Listed(intent, f"{self.name}{self._serial}")
        if self.tape.fault("reject"):
            listed.state = "rejected"
            self.orders[key] = listed
            return [Rejected(key=key, venue=self.name, code="funds")]
        if self.tape.fault("invisible"):
            listed.invisible_until_ns = now_ns + INVISIBLE_NS
        self.orders[key] = listed
        acked = Acked(key=key, venue=self.name, venue_order_id=listed.venue_order_id)
        told: list[OrderFact] = [acked]
        left = intent.qty
        if self.tape.fault("empty"):
            left = ZERO
        elif self.stutters or key in self.lingering or self.tape.fault("partial"):
            left = (left * self.tape.between("partial size", int(self.stutters), 9) / 10).quantize(LOT)
        for price, available in self.levels(intent.side):
            is_within = price <= intent.price if intent.side == "buy" else price >= intent.price
            step = min(left, available)
            if not is_within or step <= 0:
                break
            self.taken[price] = self.taken.get(price, ZERO) + step
            told.append(self.execute(listed, step, price, now_ns))
            left -= step
        self.show(now_ns)
        if listed.filled_qty >= intent.qty:
            listed.state = "filled"
        elif key in self.lingering or self.tape.fault("rests"):
            return told  # the venue takes its time to end what should end at once
        else:
            told += self._end(listed, "ioc")
        if self.tape.fault("forgotten for a while"):
            listed.invisible_until_ns = now_ns + FORGOTTEN_NS
        return told

    def go_on(self, listed: Listed, now_ns: int) -> list[OrderFact]:
        """An immediate order that still stands: it fills a little, or ends after all."""
        if listed.state != "open":
            return []
        left = listed.intent.qty - listed.filled_qty
        is_lingering = listed.intent.key in self.lingering
        tenths = self.tape.pick("rest of it", (0, 3, 10)) if is_lingering else self.tape.between("rest size", 0, 10)
        qty = (left * tenths / 10).quantize(LOT, ROUND_FLOOR)
        told: list[OrderFact] = []
        if qty > 0:
            told.append(self.execute(listed, qty, listed.intent.price, now_ns))
        if listed.filled_qty >= listed.intent.qty:
            listed.state = "filled"
        elif not qty or self.tape.is_healed:
            told += self._end(listed, "ioc")
        return told

    def amend(self, key: str, qty: Decimal) -> list[OrderFact]:
        """Another quantity for an order that still stands."""
        listed = self.orders.get(key)
        if listed is None or listed.state != "open" or not listed.filled_qty < qty <= listed.intent.qty:
            return [AmendRejected(key=key, venue=self.name, code="over")]
        listed.intent = msgspec.structs.replace(listed.intent, qty=qty)
        return [Amended(key=key, venue=self.name, qty=qty, price=listed.intent.price)]

    def _end(self, listed: Listed, cause: str) -> list[OrderFact]:
        key = listed.intent.key
        if cause == "ioc" and self.name == "c":
            listed.state = "expired"  # this one's word for it
            return [Expired(key=key, venue=self.name, cum_qty=listed.filled_qty)]
        listed.state = "canceled"
        return [
            Cancelled(key=key, venue=self.name, cum_qty=listed.filled_qty, cause="asked" if cause == "asked" else "ioc")
        ]

    def execute(self, listed: Listed, qty: Decimal, price: Decimal, now_ns: int) -> Filled:
        """One execution: ledger, balances, and what is told of it."""
        intent = listed.intent
        exec_id = f"{self.name}-x{len(self.executed_ns) + 1}"
        is_base = self.fee_in_base and intent.side == "buy"
        fee = (qty if is_base else qty * price) * (self.fee_bps + self.dearer_bps) / 10_000
        fill = Filled(
            key=intent.key, venue=self.name, symbol=intent.symbol, side=intent.side, exec_id=exec_id, qty=qty,
            price=price, fee=fee, fee_asset="BTC" if is_base else "USDT", exec_ns=now_ns + self.offset_ns,
            venue_order_id=listed.venue_order_id,
        )  # fmt: skip
        listed.filled_qty += qty
        listed.fills.append(fill)
        self.executions[exec_id] = fill
        self.executed_ns[exec_id] = now_ns + self.offset_ns
        self._book(fill, 1)
        return fill

    def late_fill(self, listed: Listed, tenths: int, now_ns: int) -> list[OrderFact]:
        """A part of what an order left open is executed after it was over; one that was refused exists after all."""
        left = listed.intent.qty - listed.filled_qty
        qty = (left * tenths / 10).quantize(LOT)
        if qty <= 0 or qty > left:
            return []
        fill = self.execute(listed, qty, listed.intent.price, now_ns)
        if listed.state == "rejected":
            listed.state = "filled" if qty == left else "canceled"
        return [fill]

    def bust(self, exec_id: str) -> Busted:
        """Take an execution back."""
        fill = self.executions.pop(exec_id)
        self.orders[fill.key].filled_qty -= fill.qty
        self._book(fill, -1)
        return Busted(venue=self.name, symbol=fill.symbol, exec_id=exec_id)

    def _book(self, fill: Filled, sign: int) -> None:
        signed = sign * (fill.qty if fill.side == "buy" else -fill.qty)
        self.balances["BTC"] += signed
        self.balances["USDT"] -= signed * fill.price
        self.balances[fill.fee_asset] -= sign * fill.fee

    def _answer(self, asked: QueryOrder, sent_ns: int, now_ns: int) -> OrderFact:
        listed = self.orders.get(asked.key)
        if listed is None or now_ns < listed.invisible_until_ns or self._is_forgotten(listed):
            return OrderMissing(
                key=asked.key, venue=self.name, query_id=asked.query_id, asked_ns=sent_ns, searched_history=True
            )
        return OrderFound(
            key=asked.key, venue=self.name, query_id=asked.query_id, asked_ns=sent_ns,
            venue_order_id=listed.venue_order_id, found_as=listed.state, cum_qty=listed.filled_qty,
        )  # fmt: skip

    def _is_forgotten(self, listed: Listed) -> bool:
        """Only some venues list what they refused."""
        return listed.state == "rejected" and not self.fee_in_base

    def listing(self) -> list[ForeignOrderSeen]:
        """Open orders of the account, as asked for at a start, and from a venue that tells so much recent ones."""
        return [
            ForeignOrderSeen(
                venue=self.name, symbol=one.intent.symbol, side=one.intent.side, qty=one.intent.qty,
                price=one.intent.price, venue_order_id=one.venue_order_id, client_id=key, is_open=one.state == "open",
            )
            for key, one in self.orders.items()
            if not self._is_forgotten(one) and (one.state == "open" or self.lists_all)
        ]  # fmt: skip

    def signed_base(self) -> Decimal:
        """What trading changed in the base asset."""
        total = ZERO
        for fill in self.executions.values():
            total += fill.qty if fill.side == "buy" else -fill.qty
            total -= fill.fee if fill.fee_asset == "BTC" else ZERO
        return total
