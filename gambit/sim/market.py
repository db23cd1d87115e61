"""A seeded market of many venues: fair prices, books that change level by level, abstract events in exchange time.

Rules: every choice comes from one seeded generator, time is an argument, a book is never crossed after a step, and
prices and quantities are whole ticks and lots. When tick() returns, the book stands exactly where the last of its
events says, so whoever encodes them may look at the book too.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence
from random import Random

import msgspec

from gambit.sim.instruments import STABLE, Instrument

SECOND_NS = 1_000_000_000
FIRST_TRADE_ID = 1_000_000
FLICKER_ROWS = 5
FLICKERS = 4001  # no multiple of FLICKER_ROWS: each time round other levels flicker together
FLICKER_DEPTH = 24  # levels a side that flicker
UNBOUNDED = -(1 << 62)  # below the key of any level
Row = tuple[int, int]  # price ticks, absolute quantity in lots (0: the level is gone)


class Snapshot(msgspec.Struct, frozen=True, gc=False):
    """A whole book, best level first, as of update `last_id`."""

    venue: str
    symbol: str
    ts_ns: int
    last_id: int
    bids: list[Row]
    asks: list[Row]


class Change(msgspec.Struct, frozen=True, gc=False):
    """The levels touched by updates first_id to last_id: each once, its final quantity, in the order first touched."""

    venue: str
    symbol: str
    ts_ns: int
    first_id: int
    last_id: int
    bids: list[Row]
    asks: list[Row]


class Trade(msgspec.Struct, frozen=True, gc=False):
    """One match; `taker_buys` says who was in a hurry."""

    venue: str
    symbol: str
    ts_ns: int
    trade_id: int
    price_ticks: int
    qty_lots: int
    taker_buys: bool
    update_id: int


class Top(msgspec.Struct, frozen=True, gc=False):
    """The best level of both sides as of `update_id`; a side without levels is None."""

    venue: str
    symbol: str
    ts_ns: int
    update_id: int
    bid: Row | None
    ask: Row | None


Event = Change | Top | Trade


class Shift(msgspec.Struct, frozen=True):
    """An order to move one venue's fair price of a symbol by `bps` for `for_ns`, from `at_ns` after the start."""

    venue: str
    symbol: str
    at_ns: int
    bps: float
    for_ns: int


class Temper(msgspec.Struct, frozen=True):
    """How lively the market is. Times in seconds, sizes in basis points of the price."""

    fair_bps_per_sqrt_s: float = 1.0
    offset_bps: float = 1.2  # usual distance of a venue from the fair price
    offset_pull_per_s: float = 0.5
    half_spread_bps: float = 0.4
    span_bps: float = 60.0  # of a side of the book, per 50 levels; grows with the root of the depth
    changes: float = 6.0  # mean levels changed by a step besides requoting
    trade_share: float = 0.1  # of steps
    dislocations_per_s: float = 0.35  # per traded base and quote
    dislocation_bps: tuple[float, float] = (8.0, 70.0)
    dislocation_s: tuple[float, float] = (0.2, 5.0)
    flicker_share: float = 0.0  # of steps only change the size of FLICKER_ROWS levels near the touch


class Pace(msgspec.Struct, frozen=True):
    """When a book changes: every `interval_ns`, give or take a share of `jitter`; a Change after each `steps` steps."""

    interval_ns: int
    jitter: float = 0.1
    steps: int = 1


class Side:
    """One side of a book. A key is sign * price in ticks, so that the best level always has the largest key."""

    __slots__ = ("keys", "lots", "rows", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[int] = []
        self.lots: dict[int, int] = {}
        self.rows: dict[int, int] = {}  # touched since the last Change: key -> lots

    def put(self, key: int, lots: int) -> None:
        if key not in self.lots:
            insort(self.keys, key)
        self.lots[key] = lots
        self.rows[key] = lots

    def drop(self, index: int) -> None:
        key = self.keys.pop(index)
        del self.lots[key]
        self.rows[key] = 0

    def best(self) -> Row | None:
        """Price and lots of the best level."""
        if not self.keys:
            return None
        key = self.keys[-1]
        return key * self.sign, self.lots[key]

    def levels(self) -> list[Row]:
        """All levels, best first."""
        sign, lots = self.sign, self.lots
        return [(key * sign, lots[key]) for key in reversed(self.keys)]

    def take_rows(self) -> list[Row]:
        """The touched levels; the next ones start afresh."""
        sign = self.sign
        rows = [(key * sign, lots) for key, lots in self.rows.items()]
        self.rows.clear()
        return rows


class Book:
    """The truth about one symbol on one venue, and how its makers quote it."""

    def __init__(self, instrument: Instrument, depth: int, temper: Temper, rng: Random, first_id: int) -> None:
        """An empty book for up to `depth` levels a side; `first_id` is where its line of update ids starts."""
        self.instrument = instrument
        self.depth = depth
        self.bids = Side(1)
        self.asks = Side(-1)
        self.update_id = first_id
        self.quiet_until_ns = 0  # nothing happens before
        self.id_gap_max = 0  # ids that other books of the venue may take between two changes (futures)
        self.trade_id = FIRST_TRADE_ID
        self._flickers: list[tuple[int, int, int]] = []  # drawn once, told over and over
        self._flickered = 0
        self._sent_id = first_id
        self._rng = rng
        self._changes = temper.changes
        self._half = temper.half_spread_bps * 1e-4 * (0.5 + rng.random())
        self._gap = temper.span_bps * 1e-4 * math.sqrt(depth / 50.0) / depth

    def open(self, mid: float) -> None:
        """Lay out the first levels around `mid` (in ticks)."""
        gap = max(1.0, self._gap * mid)
        for side, best in self._targets(mid):
            key = best
            for _ in range(self.depth):
                side.put(key, self._size())
                key -= 1 + int(2 * (gap - 1) * self._rng.random() + 0.5)
                if key * side.sign <= 0:
                    break
            side.rows.clear()

    def step(self, mid: float, ts_ns: int) -> list[Trade]:
        """Requote around `mid` (in ticks), then change a few levels, mostly near the touch; the trades of requoting."""
        trades = self._meet(mid, ts_ns)
        targets = self._targets(mid)
        for side, best in targets:
            self._retreat(side, best)
        rng = self._rng.random
        for side, best in targets:
            if not side.keys or (side.keys[-1] < best and rng() < 0.8):
                side.put(best, self._size())
        gap = max(1.0, self._gap * mid)
        for _ in range(int(self._changes * 2 * rng() + 0.5)):
            self._stir(self.bids if rng() < 0.5 else self.asks, gap)
        for side, _best in targets:
            self._refill(side, gap)
        self.update_id += 1 + len(self.bids.rows) + len(self.asks.rows)
        return trades

    def flicker(self, ts_ns: int) -> list[Event]:
        """Change the size of a few levels and nothing else: what most of a busy book's messages are about.

        Nothing may be waiting to be told; the Change comes with it, behind a Top if the touch is in it.
        """
        if not self._flickers:
            self._flickers = [self._flicker() for _ in range(FLICKERS)]
        at = self._flickered = (self._flickered + FLICKER_ROWS) % FLICKERS
        sides = self.asks, self.bids
        rows: tuple[dict[int, int], dict[int, int]] = ({}, {})
        is_touched = False
        for which, back, lots in self._flickers[at : at + FLICKER_ROWS]:
            side = sides[which]
            if back <= len(side.keys):
                key = side.keys[-back]
                side.lots[key] = rows[which][key * side.sign] = lots
                is_touched = is_touched or back == 1
        first_id = self._sent_id + 1
        self.update_id += 1 + FLICKER_ROWS
        self._sent_id = self.update_id
        item = self.instrument
        asks, bids = list(rows[0].items()), list(rows[1].items())
        change = Change(item.venue, item.symbol, ts_ns, first_id, self.update_id, bids, asks)
        return [self.top(ts_ns), change] if is_touched else [change]

    def may_flicker(self) -> bool:
        """Whether sizes may change without ceremony: nothing waits to be told."""
        return not self.bids.rows and not self.asks.rows

    def _flicker(self) -> tuple[int, int, int]:
        """Which side (1: bids), how far from its best level, which size."""
        rng = self._rng.random
        return int(rng() * 2), 1 + int(rng() * FLICKER_DEPTH), self._size()

    def trade(self, ts_ns: int) -> list[Trade]:
        """Let somebody take some of a best level; nothing when the side is nearly empty."""
        taker_buys = self._rng.random() < 0.5
        side = self.asks if taker_buys else self.bids
        if len(side.keys) < 3:
            return []
        there = side.lots[side.keys[-1]]
        lots = there if self._rng.random() < 0.25 else 1 + int(there * 0.6 * self._rng.random())
        return self._take_best(side, min(lots, there), ts_ns)

    def cross(self) -> None:
        """Let a bid stand at the best ask, as in an auction; the next step clears it away."""
        self.bids.put(-self.asks.keys[-1], self._size())
        self.update_id += 1

    def traded(self, price_ticks: int, lots: int, *, taker_buys: bool, ts_ns: int) -> Trade:
        """Give a match its ids."""
        self.update_id += 1
        self.trade_id += 1
        item = self.instrument
        return Trade(item.venue, item.symbol, ts_ns, self.trade_id, price_ticks, lots, taker_buys, self.update_id)

    def take_change(self, ts_ns: int) -> Change | None:
        """All that happened since the last call, None for nothing."""
        if not self.bids.rows and not self.asks.rows:
            return None
        first_id, self._sent_id = self._sent_id + 1, self.update_id
        instrument = self.instrument
        bids, asks = self.bids.take_rows(), self.asks.take_rows()
        change = Change(instrument.venue, instrument.symbol, ts_ns, first_id, self.update_id, bids, asks)
        if self.id_gap_max:
            self.update_id += int(self._rng.random() * (self.id_gap_max + 1))
            self._sent_id = self.update_id
        return change

    def snapshot(self, ts_ns: int) -> Snapshot:
        """The whole book as it stands."""
        instrument = self.instrument
        bids, asks = self.bids.levels(), self.asks.levels()
        return Snapshot(instrument.venue, instrument.symbol, ts_ns, self.update_id, bids, asks)

    def top(self, ts_ns: int) -> Top:
        """The touch as it stands."""
        instrument = self.instrument
        return Top(instrument.venue, instrument.symbol, ts_ns, self.update_id, self.bids.best(), self.asks.best())

    def _meet(self, mid: float, ts_ns: int) -> list[Trade]:  # noqa: ARG002  (nobody but makers rests here)
        """Trade with whoever stands in the way of quotes around `mid`."""
        return []

    def _retreat(self, side: Side, best: int) -> None:
        """Take back what is quoted better than key `best`."""
        while side.keys and side.keys[-1] > best:
            side.drop(-1)

    def _take_best(self, side: Side, lots: int, ts_ns: int) -> list[Trade]:
        """Match `lots`, at most what is there, with the best level of `side`."""
        key = side.keys[-1]
        left = side.lots[key] - lots
        if left > 0:
            side.put(key, left)
        else:
            side.drop(-1)
        return [self.traded(key * side.sign, lots, taker_buys=side is self.asks, ts_ns=ts_ns)]

    def _targets(self, mid: float) -> tuple[tuple[Side, int], tuple[Side, int]]:
        half = max(0.3, self._half * mid)
        bid = max(1, math.floor(mid - half))
        ask = max(bid + 1, math.ceil(mid + half))
        return (self.bids, bid), (self.asks, -ask)

    def _stir(self, side: Side, gap: float) -> None:
        rng = self._rng.random
        count = len(side.keys)
        where = rng()
        back = int(12 * (where / 0.9) ** 3) if where < 0.9 else int(count * rng())
        index = max(0, count - 1 - back)
        kind = rng()
        if kind < 0.6 or count < 3:
            side.put(side.keys[index], self._size())
        elif kind < 0.8 and count > self.depth // 2:
            side.drop(index)
        else:
            self._insert(side, side.keys[index] - 1 - int(gap * rng()))

    def _refill(self, side: Side, gap: float) -> None:
        """Keep a side between half and all of its depth: after a jump the hole fills over the next steps."""
        rng = self._rng.random
        missing = self.depth // 2 - len(side.keys)
        if missing <= 0 and len(side.keys) < self.depth and rng() < 0.5:
            missing = 1
        for _ in range(min(missing, 4 + self.depth // 8)):
            self._insert(side, side.keys[-1] - 1 - int(gap * self.depth * rng() ** 2))
        for _ in range(len(side.keys) - self.depth):
            side.drop(0)

    def _insert(self, side: Side, key: int) -> None:
        if key * side.sign > 0 and key not in side.lots:
            side.put(key, self._size())

    def _size(self) -> int:
        """Many small levels, few large ones; some of them round numbers, as people like them."""
        rng = self._rng.random
        scale = rng()
        lots = 1 + int(self.instrument.level_lots * (0.05 + 4.5 * scale * scale * scale))
        if lots > 2000 and rng() < 0.3:
            lots -= lots % 10 ** (len(str(lots)) - 2)
        return lots


class Market:
    """All books of all venues, moved together by the fair prices behind them."""

    def __init__(
        self,
        instruments: Sequence[Instrument],
        paces: Mapping[str, Pace],
        *,
        seed: int,
        start_ns: int,
        depth: int = 50,
        temper: Temper = Temper(),  # noqa: B008  (frozen)
        shifts: Sequence[Shift] = (),
        book_type: type[Book] = Book,
    ) -> None:
        """Books of all instruments, opened at `start_ns`, `depth` levels a side; `paces` by venue."""
        self._book_type = book_type
        self._paces = paces
        self._rng = Random(seed)
        self._temper = temper
        self.start_ns = start_ns
        self._fair: dict[str, tuple[float, int]] = {}
        self._calm_until_ns: dict[str, int] = {}
        self._moves: dict[tuple[str, str], list[tuple[int, int, float]]] = {}
        self._offsets: dict[tuple[str, str], tuple[float, int]] = {}
        self.books: dict[tuple[str, str], Book] = {}
        for instrument in instruments:
            self._list(instrument, depth)
        for shift in shifts:
            at_ns = start_ns + shift.at_ns
            self.shift(shift.venue, shift.symbol, shift.bps, at_ns, at_ns + shift.for_ns)
        self._order = list(self.books.values())
        self._agenda = [(start_ns + self._first_wait(book), index, 1) for index, book in enumerate(self._order)]
        heapq.heapify(self._agenda)

    def events(self, until_ns: int) -> Iterator[Event]:
        """Everything that happens before `until_ns`, in time order."""
        while self.next_ns() < until_ns:
            yield from self.tick()

    def next_ns(self) -> int:
        """When the next book changes."""
        return self._agenda[0][0]

    def next_book(self) -> Book:
        """Which book that is."""
        return self._order[self._agenda[0][1]]

    def skip(self, until_ns: int) -> int:
        """Let the time before `until_ns` pass without anything happening; how many changes that were."""
        missed = 0
        while self._agenda[0][0] < until_ns:
            ts_ns, index, count = self._agenda[0]
            step_ns = self._paces[self._order[index].instrument.venue].interval_ns
            steps = -((ts_ns - until_ns) // step_ns)
            heapq.heapreplace(self._agenda, (ts_ns + steps * step_ns, index, count + steps))
            missed += steps
        return missed

    def tick(self) -> list[Event]:
        """Let that book change; what happened, with the book standing at the last of it."""
        ts_ns, index, count = self._agenda[0]
        book = self._order[index]
        pace = self._paces[book.instrument.venue]
        wait = 1.0 + pace.jitter * (2.0 * self._rng.random() - 1.0)
        heapq.heapreplace(self._agenda, (ts_ns + max(1, int(pace.interval_ns * wait)), index, count + 1))
        if ts_ns < book.quiet_until_ns:
            return []
        share = self._temper.flicker_share
        if share and self._rng.random() < share and pace.steps == 1:
            if book.may_flicker():
                return book.flicker(ts_ns)
            change = book.take_change(ts_ns)
            return [change] if change is not None else []
        events = self._step(book, ts_ns)
        if count % pace.steps == 0:
            change = book.take_change(ts_ns)
            if change is not None:
                events.append(change)
        return events

    def shift(self, venue: str, symbol: str, bps: float, from_ns: int, until_ns: int) -> None:
        """Move one venue's fair price of a symbol for a while."""
        self._moves[venue, symbol].append((from_ns, until_ns, bps))

    def _list(self, instrument: Instrument, depth: int) -> None:
        key = instrument.venue, instrument.symbol
        fair = fair_name(instrument)
        self._fair.setdefault(fair, (instrument.price, self.start_ns))
        self._calm_until_ns.setdefault(fair, self.start_ns + self._calm_ns())
        self._moves[key] = []
        self._offsets[key] = (self._temper.offset_bps * self._bell(), self.start_ns)
        first_id = 1000 + int(self._rng.random() * 9_000_000_000)
        book = self._book_type(instrument, depth, self._temper, self._rng, first_id)
        self.books[key] = book
        book.open(self._mid(book, self.start_ns))

    def _first_wait(self, book: Book) -> int:
        return int(self._paces[book.instrument.venue].interval_ns * self._rng.random())

    def _step(self, book: Book, ts_ns: int) -> list[Event]:
        events: list[Event] = []
        bids, asks = book.bids, book.asks
        before = bids.best(), asks.best()
        if self._rng.random() < self._temper.trade_share:
            events += book.trade(ts_ns)
        events += book.step(self._mid(book, ts_ns), ts_ns)
        if (bids.best(), asks.best()) != before:
            events.append(book.top(ts_ns))
        return events

    def _mid(self, book: Book, ts_ns: int) -> float:
        """What this venue takes the fair price to be, in its ticks."""
        instrument = book.instrument
        fair = self._fair_price(fair_name(instrument), ts_ns)
        bps = self._offset_bps((instrument.venue, instrument.symbol), ts_ns)
        return fair * (1.0 + bps * 1e-4) * instrument.ticks_per_unit

    def _fair_price(self, name: str, ts_ns: int) -> float:
        price, last_ns = self._fair[name]
        if ts_ns > last_ns:
            root_s = math.sqrt((ts_ns - last_ns) / SECOND_NS)
            price *= 1.0 + self._temper.fair_bps_per_sqrt_s * 1e-4 * root_s * self._bell()
            self._fair[name] = price, ts_ns
        if ts_ns >= self._calm_until_ns[name]:
            self._dislocate(name, ts_ns)
        return price

    def _dislocate(self, name: str, ts_ns: int) -> None:
        """One venue leaves the others for a while."""
        rng = self._rng.random
        keys = [key for key, book in self.books.items() if fair_name(book.instrument) == name]
        venue, symbol = keys[int(len(keys) * rng())]
        low_bps, high_bps = self._temper.dislocation_bps
        low_s, high_s = self._temper.dislocation_s
        bps = (low_bps + (high_bps - low_bps) * rng()) * (1.0 if rng() < 0.5 else -1.0)
        for_ns = int((low_s + (high_s - low_s) * rng() ** 2) * SECOND_NS)
        self.shift(venue, symbol, bps, ts_ns, ts_ns + for_ns)
        self._calm_until_ns[name] = ts_ns + self._calm_ns()

    def _calm_ns(self) -> int:
        per_s = self._temper.dislocations_per_s
        return int(2 * self._rng.random() / per_s * SECOND_NS) if per_s > 0 else 1 << 62

    def _offset_bps(self, key: tuple[str, str], ts_ns: int) -> float:
        offset, last_ns = self._offsets[key]
        if ts_ns > last_ns:
            dt_s = min(1.0, (ts_ns - last_ns) / SECOND_NS)
            pull = self._temper.offset_pull_per_s
            noise = self._temper.offset_bps * math.sqrt(2 * pull * dt_s) * self._bell()
            offset += noise - pull * dt_s * offset
            self._offsets[key] = offset, ts_ns
        moves = self._moves[key]
        if not moves:
            return offset
        moves[:] = [move for move in moves if move[1] > ts_ns]
        return offset + sum(bps for from_ns, _until_ns, bps in moves if from_ns <= ts_ns)

    def _bell(self) -> float:
        """Mean 0, variance 1, from additions alone: the same bits on every machine."""
        rng = self._rng.random
        return 2.0 * (rng() + rng() + rng() - 1.5)


def fair_name(instrument: Instrument) -> str:
    """Instruments of one name follow one fair price: dollars and the stable coins count as one quote."""
    return f"{instrument.base}/{STABLE.get(instrument.quote, instrument.quote)}"


class Window:
    """What a subscriber of the best `depth` levels has been told of one side of a book.

    Levels that come into the window because others left it are told with the change that let them in. `tells_leaving`
    says whether the venue sends deletions for levels that are pushed out (Kraken does not).
    """

    def __init__(self, side: Side, depth: int, *, tells_leaving: bool) -> None:
        """Follow `side` from now on; opening() gives the first message."""
        self._side = side
        self._depth = depth
        self._tells_leaving = tells_leaving
        self._worst = self._bound()

    def opening(self) -> list[Row]:
        """The window as it stands, best first."""
        self._worst = self._bound()
        return self._side.levels()[: self._depth]

    def rows(self, changed: list[Row]) -> list[Row]:
        """What to tell of `changed` (a Change's rows), which the side already holds."""
        side = self._side
        sign = side.sign
        old, new = self._worst, self._bound()
        self._worst = new
        if old == new and (new == UNBOUNDED or not changed or min(price * sign for price, _lots in changed) >= new):
            return changed
        told = [row for row in changed if self._is_told(row, old, new)]
        if new < old:
            said = {price * sign for price, _lots in told}
            entered = side.keys[bisect_left(side.keys, new) : bisect_left(side.keys, old)]
            told += [(key * sign, side.lots[key]) for key in entered if key not in said]
        elif new > old and self._tells_leaving:
            left = side.keys[bisect_left(side.keys, old) : bisect_left(side.keys, new)]
            told += [(key * sign, 0) for key in left]
        return told

    def _is_told(self, row: Row, old: int, new: int) -> bool:
        key = row[0] * self._side.sign
        if row[1]:
            return key >= new
        return key >= old and (key >= new or self._tells_leaving)

    def _bound(self) -> int:
        keys = self._side.keys
        return keys[-self._depth] if len(keys) >= self._depth else UNBOUNDED
