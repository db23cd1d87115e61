"""Price-time priority on one symbol: orders of accounts meet each other and the makers' crowd.

Rules: prices are whole ticks, quantities whole lots, time an argument. A level is a queue. Where no account rests, the
queue is one anonymous crowd and costs no more than its number of lots; where one does, crowd and orders stand in the
order they came. What a crowd gives back it gives back from the end of the queue, what it adds stands last. After every
call the book is uncrossed, and its touched levels are in the next Change like any others.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from enum import Enum
from random import Random
from typing import Literal

import msgspec

from gambit.sim.instruments import Instrument
from gambit.sim.market import Book, Side, Temper, Trade

Tif = Literal["gtc", "ioc", "fok"]
SelfTrade = Literal["none", "taker", "maker", "both"]  # who gives way when an account would trade with itself
SIZES = 512  # that the crowd of a book likes
MEETING_SIZES = 3.0  # usual level sizes that makers take at once from orders in their way


class State(Enum):
    """The life of an order: pending -> open -> one of the others, or pending -> one of the others."""

    PENDING = "pending"
    OPEN = "open"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"


class Order:
    """One order of an account, and how far it has come. Quantities in lots, prices in ticks, cost in ticks * lots."""

    __slots__ = (
        "account",
        "arrived_ns",
        "buys",
        "changed_ns",
        "client_id",
        "cost",
        "cost_max",
        "filled",
        "is_market",
        "locked",
        "lots",
        "order_id",
        "post_only",
        "price_ticks",
        "reason",
        "self_trade",
        "state",
        "symbol",
        "tif",
        "words",
    )

    def __init__(
        self,
        order_id: int,
        account: str,
        symbol: str,
        *,
        buys: bool,
        lots: int,
        price_ticks: int,
        arrived_ns: int,
        tif: Tif = "gtc",
        is_market: bool = False,
        post_only: bool = False,
        cost_max: int = 0,
        self_trade: SelfTrade = "maker",
        client_id: str = "",
    ) -> None:
        """`price_ticks` is 0 for a market order; `cost_max` (ticks * lots, 0 for none) bounds what a buy may cost."""
        self.order_id = order_id
        self.account = account
        self.symbol = symbol
        self.buys = buys
        self.lots = lots
        self.price_ticks = price_ticks
        self.arrived_ns = arrived_ns
        self.changed_ns = arrived_ns
        self.tif = tif
        self.is_market = is_market
        self.post_only = post_only
        self.cost_max = cost_max
        self.self_trade = self_trade
        self.client_id = client_id
        self.filled = 0
        self.cost = 0
        self.locked = 0  # units of money (accounts.py) set aside for the rest
        self.state = State.PENDING
        self.reason = ""
        self.words: dict[str, str] = {}  # what the client said in its venue's own words and wants to read again

    @property
    def left(self) -> int:
        """Lots not filled; nothing of it can still fill once the order is over."""
        return self.lots - self.filled

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to come."""
        return self.state not in (State.PENDING, State.OPEN)

    def end(self, state: State, reason: str, ts_ns: int) -> None:
        """Enter a last state."""
        self.state, self.reason, self.changed_ns = state, reason, ts_ns


class Execution(msgspec.Struct, frozen=True):
    """One match: `taker` or `maker` is None where that side is the crowd."""

    trade: Trade
    maker: Order | None
    taker: Order | None


class Crowd:
    """Anonymous lots in a queue."""

    __slots__ = ("lots",)

    def __init__(self, lots: int) -> None:
        self.lots = lots


Queue = list[Order | Crowd]


def waiting(entry: Order | Crowd) -> int:
    """Lots that an entry of a queue still offers."""
    if isinstance(entry, Crowd):
        return entry.lots
    return 0 if entry.is_over else entry.left


class Ladder(Side):
    """A side whose levels are queues where accounts rest. `lots` stays the whole quantity of a level."""

    __slots__ = ("queues",)

    def __init__(self, sign: int) -> None:
        super().__init__(sign)
        self.queues: dict[int, Queue] = {}

    def put(self, key: int, lots: int) -> None:
        """Let the crowd offer `lots` at a level, whatever accounts offer there."""
        queue = self.queues.get(key) if self.queues else None
        if queue is None:
            if lots:
                if key not in self.lots:
                    insort(self.keys, key)
                self.lots[key] = self.rows[key] = lots
            elif key in self.lots:
                super().drop(self.keys.index(key))
            return
        change = lots - sum(entry.lots for entry in queue if isinstance(entry, Crowd))
        if change > 0:
            queue.append(Crowd(change))
        for entry in reversed(queue):
            if change >= 0:
                break
            if isinstance(entry, Crowd):
                gone = min(entry.lots, -change)
                entry.lots -= gone
                change += gone
        self.settle(key)

    def drop(self, index: int) -> None:
        """Let the crowd leave a level."""
        key = self.keys[index]
        if key in self.queues:
            self.put(key, 0)
        else:
            super().drop(index)

    def rest(self, order: Order) -> None:
        """Put an order at the end of its level's queue."""
        key = order.price_ticks * self.sign
        queue = self.queues.get(key)
        if queue is None:
            there = self.lots.get(key, 0)
            queue = self.queues[key] = [Crowd(there)] if there else []
        queue.append(order)
        self.settle(key)

    def settle(self, key: int) -> None:
        """Bring a level up to date with its queue: orders that are over leave it, without orders it is no queue."""
        queue = [entry for entry in self.queues[key] if waiting(entry)]
        total = sum(waiting(entry) for entry in queue)
        if any(isinstance(entry, Order) for entry in queue):
            self.queues[key] = queue
        else:
            del self.queues[key]
        if total:
            super().put(key, total)
        elif key in self.lots:
            super().drop(self.keys.index(key))

    def best_order_key(self) -> int | None:
        """The best key at which an account rests."""
        return max(self.queues) if self.queues else None


class MatchingBook(Book):
    """A book that the makers quote and accounts trade in."""

    bids: Ladder
    asks: Ladder

    def __init__(self, instrument: Instrument, depth: int, temper: Temper, rng: Random, first_id: int) -> None:
        super().__init__(instrument, depth, temper, rng, first_id)
        self.bids = Ladder(1)
        self.asks = Ladder(-1)
        self._sizes = [super(MatchingBook, self)._size() for _ in range(SIZES)]
        self.on_execution: Callable[[Execution], None] = _unheard
        self.on_end: Callable[[Order], None] = _unheard  # of a resting order that self-trade prevention ended

    def submit(self, order: Order, ts_ns: int, *, take_max: int | None = None) -> list[Trade]:
        """Match an order and let the rest stand where its terms say so; its last state tells what became of it.

        `take_max` bounds the lots it takes before the crowd flees from its price.
        """
        order.state = State.OPEN
        takes = self.takeable(order)
        if order.post_only and takes:
            order.end(State.CANCELED, "would_take", ts_ns)
            return []
        if order.tif == "fok" and self._fillable(order) < order.left:
            order.end(State.EXPIRED, "fok", ts_ns)
            return []
        trades = self._match(order, ts_ns, order.lots if take_max is None else min(order.lots, take_max))
        if order.is_over:
            return trades
        if order.is_market or order.tif != "gtc":
            order.end(State.EXPIRED, "liquidity" if order.is_market else order.tif, ts_ns)
        elif self._flee(order):
            self._own(order).rest(order)
            self.update_id += 1
        else:
            order.end(State.EXPIRED, "liquidity", ts_ns)
        return trades

    def cancel(self, order: Order, reason: str, ts_ns: int) -> None:
        """Take a resting order out of the book."""
        order.end(State.CANCELED, reason, ts_ns)
        side = self._own(order)
        side.settle(order.price_ticks * side.sign)
        self.update_id += 1

    def shrink(self, order: Order, lots: int, ts_ns: int) -> None:
        """Make a resting order smaller; it keeps its place in the queue."""
        order.lots = lots
        order.changed_ns = ts_ns
        side = self._own(order)
        side.settle(order.price_ticks * side.sign)
        self.update_id += 1

    def regrown(self, order: Order) -> None:
        """More of a resting order is open again; it keeps its place in the queue."""
        side = self._own(order)
        side.settle(order.price_ticks * side.sign)
        self.update_id += 1

    def withdraw(self, order: Order) -> None:
        """Take a resting order out of its queue without ending it."""
        side = self._own(order)
        key = order.price_ticks * side.sign
        side.queues[key].remove(order)
        side.settle(key)
        self.update_id += 1

    def takeable(self, order: Order) -> int:
        """Lots the order could take at once, at most its own."""
        side = self._facing(order)
        found = 0
        for key in reversed(side.keys):
            if found >= order.left or not self._reaches(order, side, key):
                break
            found += side.lots[key]
        return min(found, order.left)

    def _fillable(self, order: Order) -> int:
        """Lots the order would really be filled by at once: its account's own orders give way, or it does."""
        side, found = self._facing(order), 0
        for key in reversed(side.keys):
            if found >= order.left or not self._reaches(order, side, key):
                break
            for entry in side.queues.get(key, [Crowd(side.lots[key])]):
                is_own = isinstance(entry, Order) and entry.account == order.account and order.self_trade != "none"
                if is_own and order.self_trade != "maker":
                    return min(found, order.left)
                found += 0 if is_own else waiting(entry)
        return min(found, order.left)

    def _match(self, taker: Order, ts_ns: int, lots: int) -> list[Trade]:
        side = self._facing(taker)
        trades: list[Trade] = []
        while taker.filled < lots and not taker.is_over and side.keys:
            key = side.keys[-1]
            if not self._reaches(taker, side, key):
                break
            wanted = lots - taker.filled
            if taker.cost_max:
                wanted = min(wanted, (taker.cost_max - taker.cost) // (key * side.sign))
                if wanted <= 0:
                    break
            trades += self._take(side, key, wanted, taker, ts_ns)
        return trades

    def _take(self, side: Ladder, key: int, lots: int, taker: Order | None, ts_ns: int) -> list[Trade]:
        """Match up to `lots` with one level, its queue in order of time."""
        queue = side.queues.get(key)
        if queue is None:
            taken = min(lots, side.lots[key])
            side.put(key, side.lots[key] - taken)
            return [self._execute(side, key, taken, None, taker, ts_ns)]
        trades: list[Trade] = []
        for entry in queue:
            if lots <= 0 or (taker is not None and taker.is_over):
                break
            if isinstance(entry, Order) and self._prevents(entry, taker, ts_ns):
                continue
            taken = min(lots, waiting(entry))
            lots -= taken
            if isinstance(entry, Crowd):
                entry.lots -= taken
                trades.append(self._execute(side, key, taken, None, taker, ts_ns))
            else:
                trades.append(self._execute(side, key, taken, entry, taker, ts_ns))
        side.settle(key)
        return trades

    def _prevents(self, maker: Order, taker: Order | None, ts_ns: int) -> bool:
        """Whether the two are of one account and at least one of them gave way."""
        if taker is None or maker.account != taker.account or taker.self_trade == "none":
            return False
        if taker.self_trade in ("taker", "both"):
            taker.end(State.EXPIRED, "self_trade", ts_ns)
        if taker.self_trade in ("maker", "both"):
            maker.end(State.EXPIRED, "self_trade", ts_ns)
            self.on_end(maker)
        return True

    def _execute(
        self, side: Ladder, key: int, lots: int, maker: Order | None, taker: Order | None, ts_ns: int
    ) -> Trade:
        price_ticks = key * side.sign
        trade = self.traded(price_ticks, lots, taker_buys=side is self.asks, ts_ns=ts_ns)
        for order in (maker, taker):
            if order is not None:
                order.filled += lots
                order.cost += lots * price_ticks
                order.changed_ns = ts_ns
                if order.left == 0:
                    order.end(State.FILLED, "", ts_ns)
        if maker is not None or taker is not None:
            self.on_execution(Execution(trade, maker, taker))
        return trade

    def _flee(self, order: Order) -> bool:
        """The crowd leaves the way of an order that may not take more and is about to rest; whether the way is free."""
        side = self._facing(order)
        while side.keys and self._reaches(order, side, side.keys[-1]) and side.keys[-1] not in side.queues:
            side.drop(-1)
        return not side.keys or not self._reaches(order, side, side.keys[-1])

    def _reaches(self, order: Order, side: Ladder, key: int) -> bool:
        price_ticks = key * side.sign
        if order.is_market:
            return True
        return price_ticks <= order.price_ticks if order.buys else price_ticks >= order.price_ticks

    def _own(self, order: Order) -> Ladder:
        return self.bids if order.buys else self.asks

    def _facing(self, order: Order) -> Ladder:
        return self.asks if order.buys else self.bids

    def _meet(self, mid: float, ts_ns: int) -> list[Trade]:
        """Makers whose quotes would cross resting orders trade with them first, a few levels' worth at a time."""
        if not self.bids.queues and not self.asks.queues:
            return []
        (_bids, bid), (_asks, ask_key) = super()._targets(mid)
        trades: list[Trade] = []
        for side, limit in ((self.bids, -ask_key), (self.asks, -bid)):
            wanted = int(self._size() * MEETING_SIZES)
            best = side.best_order_key()
            while best is not None and best >= limit and wanted > 0:
                while side.keys[-1] > best:
                    side.drop(-1)
                done = self._take(side, best, wanted, None, ts_ns)
                trades += done
                wanted -= sum(trade.qty_lots for trade in done)
                best = side.best_order_key()
        return trades

    def _retreat(self, side: Side, best: int) -> None:
        if not isinstance(side, Ladder) or not side.queues:
            super()._retreat(side, best)
            return
        for key in [key for key in side.keys if key > best]:
            side.put(key, 0)

    def _take_best(self, side: Side, lots: int, ts_ns: int) -> list[Trade]:
        key = side.keys[-1]
        if isinstance(side, Ladder) and key in side.queues:
            return self._take(side, key, lots, None, ts_ns)
        return super()._take_best(side, lots, ts_ns)

    def may_flicker(self) -> bool:
        """Nor may an account rest here, whose lots count too."""
        return super().may_flicker() and not self.bids.queues and not self.asks.queues

    def _size(self) -> int:
        """One of a few usual sizes: cheap to draw, cheap to spell."""
        return self._sizes[int(self._rng.random() * SIZES)]

    def _targets(self, mid: float) -> tuple[tuple[Side, int], tuple[Side, int]]:
        """Quotes around `mid` that cross nobody."""
        (bids, bid), (asks, ask_key) = super()._targets(mid)
        own_bid, own_ask = self.bids.best_order_key(), self.asks.best_order_key()
        if own_bid is not None:
            ask_key = min(ask_key, -(own_bid + 1))
        if own_ask is not None:
            bid = min(bid, -own_ask - 1)
        return (bids, bid), (asks, ask_key)


def _unheard(_event: Execution | Order) -> None:
    """Nobody listens."""
