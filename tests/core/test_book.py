"""Books in tick windows against books in a dict: every level, after every frame; and the venues' checksums."""

import zlib
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gambit._core.book import PyBook
from tests.core.profile import examples
from tests.reference.books import Book, kraken_checksum, okx_checksum
from tests.reference.decimals import to_text, to_units
from tests.reference.instruments import Rules
from tests.reference.wires import Row

BID, ASK = 0, 1
WINDOW_TICKS = 4096
Level = tuple[int, str, str]


class DictBook:
    """The same book, right by reading: a dict a side, sorted when somebody looks."""

    def __init__(self) -> None:
        self.sides: tuple[dict[int, int], dict[int, int]] = ({}, {})

    def apply(self, levels: Sequence[Level]) -> None:
        for side, price, qty in levels:
            if to_units(qty):
                self.sides[side][to_units(price)] = to_units(qty)
            else:
                self.sides[side].pop(to_units(price), None)

    def replace(self, levels: Sequence[Level]) -> None:
        self.sides = ({}, {})
        self.apply(levels)

    def trim(self, depth: int) -> None:
        for side in (BID, ASK):
            for price in self.prices(side)[depth:]:
                del self.sides[side][price]

    def prices(self, side: int) -> list[int]:
        """Best first."""
        return sorted(self.sides[side], reverse=side == BID)

    def side(self, side: int) -> list[tuple[str, str]]:
        return [(to_text(price), to_text(self.sides[side][price])) for price in self.prices(side)]

    @property
    def crossed(self) -> bool:
        bids, asks = self.sides
        return bool(bids and asks) and max(bids) >= min(asks)


def check(book: PyBook, twin: DictBook) -> None:
    """Both books hold the same levels in the same order, and the best one can be had at once."""
    for side in (BID, ASK):
        assert book.side(side) == twin.side(side)
        assert (book.inside(side) > 0) == (bool(twin.sides[side]) and book.decimals >= 0)
    assert book.crossed == twin.crossed


def run(steps: Sequence[tuple[str, object]]) -> PyBook:
    """Both books through the same steps, compared after each."""
    book, twin = PyBook(), DictBook()
    for name, argument in steps:
        getattr(book, name)(argument)
        getattr(twin, name)(argument)
        check(book, twin)
    return book


# ---- any steps ----

TICKS = st.integers(1, 40) | st.integers(1, 3 * WINDOW_TICKS) | st.integers(1, 10**9)
GRIDS = st.sampled_from([0, 2, 2, 2, 8])
EXTREMES = ("1e17", "999999999999999999", "1e-18", "3e-18", "0.000000000000000999", "123456789.123456789", "1", "2.5")
PRICES = st.builds(lambda ticks, places: to_text(ticks * 10 ** (18 - places)), TICKS, GRIDS) | st.sampled_from(EXTREMES)
QUANTITIES = st.sampled_from(["0", "0", "0.000", "1", "2.50", "1e-18", "999999999999999999"])
LEVELS = st.lists(st.tuples(st.sampled_from([BID, ASK]), PRICES, QUANTITIES), max_size=12)
STEPS = st.lists(
    st.tuples(st.just("apply"), LEVELS)
    | st.tuples(st.just("apply"), LEVELS)
    | st.tuples(st.just("replace"), LEVELS)
    | st.tuples(st.just("trim"), st.integers(0, 8)),
    max_size=12,
)


@examples(3)
@given(STEPS)
@example([("replace", [(BID, "1e17", "1"), (BID, "1e-18", "1")]), ("apply", [(BID, "1e17", "0")])])
@example([("apply", [(ASK, "100", "1")]), ("apply", [(ASK, "1", "1"), (ASK, "99.9999999999999999", "2")])])
def test_any_steps_give_the_twins_book(steps):
    """Levels in any order, at any prices, with snapshots and cuts between them, give the book that a dict gives."""
    run(steps)


# ---- long walks ----


class Walk:
    """Steps as a market makes them: a touch that drifts and jumps, levels near it and far from it, wipes, cuts."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.places = rng.choice((0, 1, 2, 5, 8))
        self.touch = rng.choice((300, 50_000, 6_400_000))  # ticks
        self.reach = rng.choice((20, 500, 10_000))  # ticks a level may lie behind the touch

    def price(self, side: int) -> str:
        rng = self.rng
        away = int(rng.expovariate(3 / self.reach)) + (1 if side == ASK else 0)
        if rng.random() < 0.03:
            away = -rng.randrange(1, 40)  # through the touch
        tick = max(1, self.touch - away if side == BID else self.touch + away)
        places = self.places
        if rng.random() < 0.004:  # an odd one: finer than the grid
            tick, places = tick * 10 + rng.randrange(1, 10), places + 1
        return to_text(tick * 10 ** (18 - places))

    def level(self, delete: float) -> Level:
        side = self.rng.randrange(2)
        qty = "0" if self.rng.random() < delete else str(self.rng.randrange(1, 10**6))
        return side, self.price(side), qty

    def step(self) -> tuple[str, object]:
        rng = self.rng
        kind = rng.random()
        self.touch = max(1, self.touch + rng.choice((0, 0, 1, -1, 5, -5)))
        if kind < 0.02:
            self.touch = max(1, self.touch + rng.choice((-1, 1)) * rng.choice((700, 2000, 5000, 100_000)))
        if kind < 0.01:
            return "replace", [self.level(0.02) for _ in range(rng.choice((0, 1, 30, 300)))]
        if kind < 0.04:
            return "trim", rng.choice((1, 5, 25, 100))
        if kind < 0.05:
            return "wipe", None
        return "apply", [self.level(0.45) for _ in range(rng.choice((1, 2, 4, 30)))]


@examples(0.6)
@given(st.integers(0, 2**32))
def test_long_walk_gives_the_twins_book(seed):
    """A market that drifts, jumps, empties and fills again never leaves the window and the rest out of step."""
    walk = Walk(Random(seed))
    book, twin = PyBook(), DictBook()
    for _ in range(120):
        name, argument = walk.step()
        if name == "wipe":  # a side loses all its levels, in any order, and gets some back in the same frame
            side = walk.rng.randrange(2)
            gone = [(side, to_text(price), "0") for price in twin.sides[side]]
            walk.rng.shuffle(gone)
            name, argument = "apply", [*gone, *[walk.level(0) for _ in range(walk.rng.randrange(3))]]
        getattr(book, name)(argument)
        getattr(twin, name)(argument)
        check(book, twin)


def test_touch_may_cross_many_windows():
    """A touch that moves by more than a window, forth and back, finds every level again that it left behind."""
    steps = []
    for tick in (100_000, 100_000 + 3 * WINDOW_TICKS, 100_000 - 5 * WINDOW_TICKS, 2, 100_000):
        steps.append(("apply", [(BID, str(tick), "1"), (BID, str(tick - 1), "2"), (ASK, str(tick + 1), "3")]))
        steps.append(("apply", [(BID, str(tick), "0")]))
    run(steps)


@pytest.mark.parametrize("side", [BID, ASK])
@pytest.mark.parametrize("stride", [1, 63, 64, 65, 700, 2600])
def test_touch_eats_its_way_through_a_dense_book(side, stride):
    """Of a level at every tick of three windows none is lost or doubled as the touch moves, and the window follows."""
    ticks = list(range(20_000, 8_000, -1) if side == BID else range(8_000, 20_000))
    book, twin, rng = PyBook(), DictBook(), Random(stride)
    for each in (book, twin):
        each.replace([(side, str(tick), "1") for tick in ticks])
    for step in range(min(12, len(ticks) // stride)):
        gone, ticks = ticks[:stride], ticks[stride:]
        borders = [tick for tick in ticks if tick % 64 in (0, 63)]  # of words, which is where windows end
        changed = [*rng.choices(ticks, k=30), *rng.sample(borders, min(100, len(borders)))] if ticks else []
        levels = [(side, str(tick), str(step + 2)) for tick in changed] + [(side, str(tick), "0") for tick in gone]
        for each in (book, twin):
            each.apply(levels)
        check(book, twin)
        if len(ticks) > WINDOW_TICKS:
            assert book.inside(side) >= 24 * 64 - 63  # it follows before the touch is 40 words from its edge


def test_grid_follows_the_prices():
    """A price between two ticks makes the grid finer; a snapshot chooses it anew."""
    book = run([("replace", [(BID, "100", "1"), (ASK, "101", "1")])])
    assert book.decimals == 0
    book.apply([(BID, "100.25", "1")])
    assert book.decimals == 2
    book.replace([(BID, "100.5", "1")])
    assert book.decimals == 1


def test_prices_without_a_common_grid_are_kept_exactly():
    """1e17 beside 1e-18 is no window's business: the book turns flat, and is none any more at the next snapshot."""
    wide = [(BID, "1e17", "5"), (BID, "1e-18", "1e-18"), (ASK, "999999999999999999", "999999999999999999")]
    steps = [("replace", wide), ("apply", [(BID, "7", "1"), (BID, "1e17", "0")]), ("trim", 1)]
    assert run(steps).decimals == -1
    assert run([*steps, ("replace", [(BID, "7.5", "1")])]).decimals == 1


def test_best_levels_are_in_the_window_however_deep_the_book():
    """Of a side that spans many windows the best level is inside, and so are all within half a window of it."""
    levels = [(BID, str(50_000 - k), "1") for k in range(20_000)]
    book = run([("replace", levels)])
    assert WINDOW_TICKS / 2 <= book.inside(BID) <= WINDOW_TICKS


@pytest.mark.parametrize("level", [(BID, "0", "1"), (BID, "-1", "1"), (ASK, "1", "-1"), (ASK, "1e18", "1")])
def test_levels_that_are_none_are_refused(level):
    """A price that is not positive, a negative quantity or a number out of range never reaches a book."""
    book = PyBook()
    with pytest.raises(ValueError, match=r"level|fit"):
        book.apply([level])
    assert book.side(level[0]) == []


# ---- checksums ----

VECTOR_A = """45285.2/0.00100000 45286.4/1.54571953 45286.6/1.54571109 45289.6/1.54560911 45290.2/0.15890660
45291.8/1.54553491 45294.7/0.04454749 45296.1/0.35380000 45297.5/0.09945542 45299.5/0.18772827
45283.5/0.10000000 45283.4/1.54582015 45282.1/0.10000000 45281.0/0.10000000 45280.3/1.54592586
45279.0/0.07990000 45277.6/0.03310103 45277.5/0.30000000 45277.3/1.54602737 45276.6/0.15445238"""
VECTOR_B = """0.5668/4410.79769741 0.5669/4655.40412487 0.5670/49844.89424998 0.5671/24306.41678000
0.5672/29783.25223475
0.5673/57234.71239278 0.5674/45065.04744000 0.5675/5912.76380354 0.5676/42514.92434778 0.5677/36304.08470220
0.5666/4831.75496356 0.5665/6658.22734739 0.5664/18724.91513344 0.5663/11563.92544914 0.5662/14006.65365711
0.5661/17454.85679807 0.5660/18097.15470000 0.5659/33644.89175666 0.5658/148.34640000 0.5657/606.70854372"""


def of_vector(text: str) -> list[Level]:
    """Ten asks, then ten bids."""
    pairs = [pair.split("/") for pair in text.split()]
    return [(ASK if k < 10 else BID, price, qty) for k, (price, qty) in enumerate(pairs)]


@pytest.mark.parametrize(
    ("vector", "price_decimals", "expected"), [(VECTOR_A, 1, 3310070434), (VECTOR_B, 4, 2439117997)]
)
def test_kraken_vectors(vector, price_decimals, expected):
    """The two books of the venue sheet have the checksums it states, padded on the wire or by known precision."""
    book = PyBook()
    book.replace(of_vector(vector))
    assert book.checksum(price_decimals, 8) == book.checksum() == expected
    shortest = PyBook()
    shortest.replace(
        [(side, to_text(to_units(price)), to_text(to_units(qty))) for side, price, qty in of_vector(vector)]
    )
    assert shortest.checksum(price_decimals, 8) == expected


def test_kraken_vector_after_an_update():
    """Vector B's update changes one quantity and gives the checksum that the sheet states."""
    book = PyBook()
    book.replace(of_vector(VECTOR_B))
    book.apply([(BID, "0.5657", "1098.3947558")])
    assert book.checksum(4, 8) == 2114181697


@pytest.mark.parametrize(
    ("bids", "asks", "expected"),
    [
        ([("3366.1", "7"), ("3366", "6")], [("3366.8", "9"), ("3368", "8")], -1881014294),
        ([("3366.1", "7")], [("3366.8", "9"), ("3368", "8"), ("3372", "8")], 831078360),
    ],
)
def test_okx_vectors(bids, asks, expected):
    """The two sequences of the venue sheet, sides of equal and of different length, have the checksums it states."""
    book = PyBook()
    book.replace([(BID, *level) for level in bids] + [(ASK, *level) for level in asks])
    assert book.checksum_wire() == expected


def respelled(digits: int, places: int, pad: int, exponent: int | None) -> str:
    """digits * 10^-places with `pad` more zeros behind it, the point shifted by an exponent where one is given."""
    shift = exponent or 0
    text = f"{digits * 10**pad:0{places + pad + shift + 9}d}"
    point = len(text) - places - pad - shift
    whole, fraction = text[:point].lstrip("0") or "0", text[point:]
    return whole + (f".{fraction}" if fraction else "") + ("" if exponent is None else f"e{exponent}")


WIRE_TEXTS = st.builds(
    respelled,
    st.integers(1, 10**12),
    st.integers(0, 12),
    st.integers(0, 6) | st.sampled_from([0, 100, 240]),
    st.sampled_from([None, None, None, None, None, None, None, -6, 0, 2]),
)


def both_books(levels: Sequence[Level]) -> tuple[PyBook, Book]:
    """A book and its slow twin that remembers the texts."""
    book, twin = PyBook(), Book("venue", "A-B")
    book.replace(levels)
    rows = [Row(to_units(price), to_units(qty), price, qty) for _, price, qty in levels]
    twin.bids.replace([row for row, level in zip(rows, levels, strict=True) if level[0] == BID])
    twin.asks.replace([row for row, level in zip(rows, levels, strict=True) if level[0] == ASK])
    return book, twin


WIRE_LEVELS = st.lists(st.tuples(st.sampled_from([BID, ASK]), WIRE_TEXTS, WIRE_TEXTS), max_size=70)


@examples(1)
@given(WIRE_LEVELS, st.sampled_from([None, 0, 1, 4, 12]), st.sampled_from([None, 0, 8, 18]))
def test_checksums_agree_with_the_twin(levels, price_decimals, qty_decimals):
    """Any book, however its numbers are written, has the twin's Kraken checksum; without exponents, OKX's too."""
    book, twin = both_books(levels)
    rules = Rules(price_decimals=price_decimals, qty_decimals=qty_decimals)
    ours = book.checksum(*[-1 if decimals is None else decimals for decimals in (price_decimals, qty_decimals)])
    assert ours == kraken_checksum(twin, rules)
    if not any("e" in price + qty for _, price, qty in levels):
        assert book.checksum_wire() == okx_checksum(twin)


def test_checksum_of_texts_as_long_as_they_can_be():
    """Levels of which every number has 18 digits and 255 zeros behind the point have the checksum of those texts."""
    numbers = [f"{123456789012345600 + k}.{'0' * 255}" for k in range(100)]
    levels = [(side, numbers[25 * side + k], numbers[50 + k]) for side in (BID, ASK) for k in range(25)]
    book, twin = both_books(levels)
    assert book.checksum() == kraken_checksum(twin, Rules())
    assert book.checksum_wire() == okx_checksum(twin)


def test_checksum_of_an_empty_book():
    """Nothing has the checksum of nothing."""
    assert PyBook().checksum() == PyBook().checksum_wire() == zlib.crc32(b"")
