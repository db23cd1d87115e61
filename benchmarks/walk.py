"""A coin trading on N venues, in integers: a seeded walk of true books, without any wire format.

Where in the book changes fall (`_DEPTH_SHARE`), how levels lie in ticks (`Side._gap`) and how many are set, added
and deleted follows what the 2024 BTC books of three Binance markets show: one change in eight at the touch, half
of them within the first 50 levels, most of the rest within 500.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from random import Random

UNIT = 10**8  # quantities are integers of 1e-8 coin

_FAIR_TICK = 640_000  # 64000.0 with a tick of 0.1

# Share of the changes that fall on the first n levels.
_DEPTH_SHARE = (
    (0.12, 1), (0.18, 5), (0.24, 10), (0.32, 20), (0.49, 50), (0.67, 100), (0.80, 200), (0.92, 500), (1.0, 1000),
)  # fmt: skip
_SET, _ADDED = 0.6, 0.8  # of the changes 60 % set a quantity, 20 % add a level, the rest delete one

Level = tuple[int, int]  # (price in ticks of 0.1, quantity in 1e-8); quantity 0 deletes


@dataclass(frozen=True, slots=True)
class Book:
    """A true book: both sides best first, as (ticks, 1e-8 units)."""

    bids: tuple[Level, ...]
    asks: tuple[Level, ...]

    def top(self, depth: int = 1) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
        """The best `depth` levels of both sides as (price, quantity) doubles, correctly rounded."""
        bids, asks = ([to_double(level) for level in side[:depth]] for side in (self.bids, self.asks))
        return bids, asks


def to_double(level: Level) -> tuple[float, float]:
    """A level as the doubles that its decimal texts denote."""
    return float(price_text(level[0])), float(quantity_text(level[1]))


def price_text(ticks: int) -> str:
    """Ticks of 0.1 with their one decimal, always: ``64000.0``."""
    return f"{ticks // 10}.{ticks % 10}"


def quantity_text(units: int) -> str:
    """Units of 1e-8 with all eight decimals."""
    return f"{units // UNIT}.{units % UNIT:08d}"


def short_text(units: int) -> str:
    """Units of 1e-8 without trailing zeros: ``0.41``, ``2``, ``0``."""
    return quantity_text(units).rstrip("0").rstrip(".")


class Side:
    """One side of a true book. Keys ascend from the touch: ticks for asks, negated ticks for bids."""

    def __init__(self, rng: Random, best_key: int, levels: int, lot: int) -> None:
        self.rng = rng
        self.room_for = levels
        self.lot = lot
        self.keys: list[int] = []
        self.units: dict[int, int] = {}
        key = best_key
        for _ in range(levels):
            self.keys.append(key)
            self.units[key] = self._quantity()
            key += self._gap()

    def move(self, best_key: int, changes: int) -> list[Level]:
        """Bring the best price to `best_key`, change `changes` levels; these as (key, units), best first."""
        changed: dict[int, int] = {}
        while self.keys[0] < best_key:
            self._delete(0, changed)
        if self.keys[0] == best_key:
            self._set(0, changed)
        else:
            self._insert(best_key, changed)
        while len(changed) < changes:
            self._change_one(changed, must_shrink=len(self.keys) > self.room_for)
        return sorted(changed.items())

    def levels(self, sign: int) -> tuple[Level, ...]:
        """The side best first, in ticks (`sign` -1 for bids)."""
        return tuple((sign * key, self.units[key]) for key in self.keys)

    def _change_one(self, changed: dict[int, int], must_shrink: bool) -> None:
        at = self._depth()
        if self.keys[at] in changed:
            return
        what = self.rng.random()
        full = len(self.keys) >= self.room_for
        if must_shrink or (what > _ADDED and at > 0 and len(self.keys) > self.room_for - 15):
            if at > 0:
                self._delete(at, changed)
        elif _SET < what <= _ADDED and not full:
            key = self.keys[at] + 1
            while key in self.units:
                key += 1
            if key not in changed:
                self._insert(key, changed)
        else:
            self._set(at, changed)

    def _depth(self) -> int:
        draw, low = self.rng.random(), 0
        for share, high in _DEPTH_SHARE:
            if draw <= share:
                return min(self.rng.randrange(low, high), len(self.keys) - 1)
            low = high
        return 0

    def _set(self, at: int, changed: dict[int, int]) -> None:
        key = self.keys[at]
        self.units[key] = changed[key] = self._quantity()

    def _insert(self, key: int, changed: dict[int, int]) -> None:
        self.keys.insert(bisect_left(self.keys, key), key)
        self.units[key] = changed[key] = self._quantity()

    def _delete(self, at: int, changed: dict[int, int]) -> None:
        key = self.keys.pop(at)
        del self.units[key]
        changed[key] = 0

    def _quantity(self) -> int:
        units = int(10 ** self.rng.uniform(4.0, 8.3))
        return max(units - units % self.lot, self.lot)

    def _gap(self) -> int:
        return 1 if self.rng.random() < 0.55 else self.rng.randint(2, 5)


class Touch:
    """A best bid and ask without a book behind it, for ticker streams."""

    def __init__(self, rng: Random, lot: int) -> None:
        self.rng = rng
        self.lot = lot
        self.book = Book((), ())

    def move(self, bid: int, ask: int) -> tuple[Level, Level]:
        """New best bid and ask at these ticks, quantities drawn."""
        levels = (bid, self._quantity()), (ask, self._quantity())
        self.book = Book((levels[0],), (levels[1],))
        return levels

    def _quantity(self) -> int:
        units = int(10 ** self.rng.uniform(4.0, 8.3))
        return max(units - units % self.lot, self.lot)


class Tape:
    """Where the coin trades: a fair price all venues share, each venue a few ticks off it."""

    def __init__(self, rng: Random, venues: int) -> None:
        self.rng = rng
        self.fair = _FAIR_TICK
        self.offset = [rng.randint(-3, 3) for _ in range(venues)]

    def quote(self, venue: int) -> tuple[int, int]:
        """The next (bid, ask) of a venue in ticks. The fair price comes back to where it started."""
        if self.rng.random() < 0.4:
            pull = (_FAIR_TICK - self.fair) / 400
            self.fair += 1 if self.rng.random() < 0.5 + pull else -1
        if self.rng.random() < 0.3:
            self.offset[venue] = max(-6, min(6, self.offset[venue] + self.rng.choice((-1, 1))))
        bid = self.fair + self.offset[venue]
        return bid, bid + self.rng.choice((1, 1, 1, 2, 3))
