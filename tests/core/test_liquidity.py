"""Executable size and depth against the exact walk of tests.reference.walk (formulas.md, R11, R24b)."""

from collections.abc import Sequence
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambit._core.liquidity import PyWalk
from tests.core.profile import examples
from tests.reference.books import Book
from tests.reference.decimals import to_text, to_units
from tests.reference.walk import DEFAULT_STEP, QUOTE_UNIT, Terms, executable, quote_depth
from tests.reference.wires import Row

MOST_UNITS = 2**126 - 2  # of base: a walk that finds more finds nothing
RELATIVE = 1e-12  # of reported doubles; what nearly cancels is compared with the turnover instead
Levels = list[tuple[str, str]]


def twin_book(asks: Sequence[tuple[str, str]], bids: Sequence[tuple[str, str]], contract: str = "0") -> Book:
    book = Book("venue", "A-B")
    for side, levels in ((book.asks, asks), (book.bids, bids)):
        side.replace([Row(to_units(price), to_units(qty), price, qty) for price, qty in levels])
    book.contract_size = to_units(contract) or None
    return book


class Case:
    """Two books that cross by some bps and what bounds a walk over them, from a seed.

    Prices have at most seven digits and fees are whole half bps: a step earns nothing at all or more than 1e-11 of
    its price, so that doubles and exact arithmetic must agree about it.
    """

    def __init__(self, seed: int) -> None:
        rng = Random(seed)
        self.rng = rng
        self.places = rng.choice((0, 2, 5, 12))
        self.middle = rng.choice((3_000, 640_000, 4_000_000))
        self.grain = rng.choice((1, 1, 2, 40)) * self.middle // 20_000 or 1  # ticks between levels
        overlap = rng.choice((0, 1, 4, 12)) * self.grain
        self.asks = self.levels(self.middle, 1)
        self.bids = self.levels(self.middle + overlap, -1)
        self.fee_bps = [Fraction(rng.choice((0, 0, 1, 5, 20, 41, -3)), 2) for _ in range(2)]
        self.slippage_bps = rng.choice((5, 7, 20, 100))
        turnover = sum(Fraction(price) * Fraction(qty) for price, qty in self.asks)
        self.notional = rng.choice(("10", "10000", "1000000000000", amount(turnover / rng.choice((1, 2, 7, 100)))))
        self.contract = rng.choice((("0", "0"), ("0", "0"), ("0", "0"), ("100", "0"), ("0", "10"), ("100", "10")))
        self.lot = rng.choice((("0", "0"), ("0", "0.001"), ("0.00001", "0"), ("0.25", "0.001"), ("1", "7")))
        self.least = rng.choice((("0", "0"), ("0", "0"), ("0.01", "0"), ("0", "5")))

    def levels(self, touch: int, direction: int) -> Levels:
        rng, tick, found = self.rng, touch, []
        for _ in range(rng.choice((0, 1, 2, 5, 30))):
            qty = rng.randrange(1, 10 ** rng.choice((1, 4, 12))) * 10 ** rng.choice((10, 12, 17))
            found.append((to_text(tick * 10 ** (18 - self.places)), to_text(qty)))
            tick += direction * self.grain * rng.choice((1, 1, 2, 9))
        return [level for level in found if to_units(level[0]) > 0]

    def walk(self) -> PyWalk:
        fees = tuple(float(fee) / 1e4 for fee in self.fee_bps)
        return PyWalk(
            self.asks, self.bids, fees=fees, slippage=self.slippage_bps / 1e4, notional=self.notional,
            contract=self.contract, lot=self.lot, least=self.least,
        )  # fmt: skip

    def books(self) -> tuple[Book, Book]:
        return twin_book(self.asks, [], self.contract[0]), twin_book([], self.bids, self.contract[1])

    def terms(self) -> Terms:
        return Terms(*self.fee_bps, self.slippage_bps, Fraction(self.notional))


def amount(value: Fraction) -> str:
    """Cut to twelve significant digits or so."""
    return to_text(int(value * 10**6) * 10**12) if 0 < value < 10**11 else "500"


@examples(10)
@given(st.integers(0, 2**40))
def test_size_agrees_with_the_twin(seed):
    """The quantity is exactly the twin's, and amounts, VWAPs and profit are its to the last digits of a double."""
    case = Case(seed)
    found = case.walk().size()
    trade = executable(*case.books(), case.terms(), max(*map(to_units, case.lot)) or DEFAULT_STEP)
    if trade is None or trade.qty < max(*map(to_units, case.least)) or trade.qty > MOST_UNITS:
        assert found is None
        return
    assert found is not None
    qty, buy_quote, sell_quote, buy_vwap, sell_vwap, profit, net_bps = found
    assert qty == to_text(trade.qty)
    bought, sold = Fraction(trade.buy_quote, QUOTE_UNIT), Fraction(trade.sell_quote, QUOTE_UNIT)
    assert buy_quote == pytest.approx(float(bought), rel=RELATIVE)
    assert sell_quote == pytest.approx(float(sold), rel=RELATIVE)
    assert buy_vwap == pytest.approx(float(trade.buy_quote / Fraction(trade.qty * 10**18)), rel=RELATIVE)
    assert sell_vwap == pytest.approx(float(trade.sell_quote / Fraction(trade.qty * 10**18)), rel=RELATIVE)
    assert profit == pytest.approx(float(trade.profit / QUOTE_UNIT), rel=RELATIVE, abs=float(bought) * 1e-15)
    assert net_bps == pytest.approx(float(trade.net) * 1e4, rel=RELATIVE, abs=1e-11)


@examples(5)
@given(st.integers(0, 2**40))
def test_depth_agrees_with_the_twin(seed):
    """The depth of a side is the quote value of exactly the levels that the twin counts."""
    case = Case(seed)
    buy, sell = case.books()
    terms = case.terms()
    expected = [quote_depth(buy, buy.asks, terms.slip), quote_depth(sell, sell.bids, terms.slip)]
    assert case.walk().depth() == pytest.approx(
        [float(Fraction(value, QUOTE_UNIT)) for value in expected], rel=RELATIVE
    )


def test_cases_of_every_kind_occur():
    """The cases above find sizes and none, of one level and of many, cut by the notional and not."""
    cases = [Case(seed) for seed in range(500)]
    found = [(case, size) for case in cases if (size := case.walk().size()) is not None]
    assert len(cases) / 10 < len(found) < len(cases) * 9 / 10
    whole = [size[3] == float(case.asks[0][0]) for case, size in found]
    cut = [size[1] > 0.99 * float(case.notional) for case, size in found]
    assert min(sum(whole), len(whole) - sum(whole), sum(cut), len(cut) - sum(cut)) > len(found) / 20


def size_of(asks: Levels, bids: Levels, **bounds) -> tuple[str, float, float] | None:
    """Quantity, bought and sold."""
    found = PyWalk(asks, bids, **bounds).size()
    return None if found is None else found[:3]


def test_edges_of_slippage_and_notional_are_inside():
    """A level exactly at the slippage limit is taken, and so is exactly max_notional."""
    asks, bids = [("100", "1"), ("100.2", "1"), ("100.21", "1")], [("200", "9")]
    assert size_of(asks, bids) == ("2", 200.2, 400.0)
    assert size_of(asks, bids, notional="200.2") == ("2", 200.2, 400.0)
    assert size_of(asks, bids, notional="200.1999")[0] == "1.999999"  # (200.1999 - 100) / 100.2, in lots of 1e-8


def test_step_without_profit_is_not_taken():
    """Where fees eat the whole difference, exactly, nothing is taken."""
    assert size_of([("100", "1")], [("100", "1")]) is None
    assert size_of([("1000", "1")], [("1001", "1")], fees=(0.001, 0.0)) is None
    assert size_of([("999", "1")], [("1000", "1")], fees=(0.0, 0.001)) is None
    assert size_of([("1000", "1")], [("1001.01", "1")], fees=(0.001, 0.0)) == ("1", 1000.0, 1001.01)


def test_size_is_whole_lots_of_the_coarser_step():
    """The quantity is cut to the larger of the known lot steps; less than one lot, or than the minimum, is nothing."""
    asks, bids = [("10", "3.79")], [("11", "9")]
    assert size_of(asks, bids, lot=("0.5", "0.1"))[0] == "3.5"
    assert size_of(asks, bids, lot=("0", "4")) is None
    assert size_of(asks, bids, least=("3.79", "1"))[0] == "3.79"
    assert size_of(asks, bids, least=("1", "3.8")) is None


def test_contracts_are_worth_their_quote_value():
    """Contracts of 100 at a price of 50 are two base units each, cut to 1e-18 where they do not come out even."""
    assert size_of([("50", "3")], [("51", "100")], contract=("100", "0")) == ("6", 300.0, 306.0)
    third = size_of([("3", "1")], [("4", "100")], contract=("1", "0"), lot=("0.000000000000000001", "0"))
    assert third[0] == "0.333333333333333333"


def test_empty_side_gives_nothing():
    """Without an ask or without a bid there is neither size nor depth."""
    assert size_of([], [("1", "1")]) is size_of([("1", "1")], []) is None
    assert PyWalk([], []).depth() == (0.0, 0.0)


@pytest.mark.parametrize("levels", [20, 60, 400])
def test_more_coins_than_any_level_has(levels):
    """Totals beyond the range of one level's quantity are exact too, or there is no size; never a wrong one."""
    asks = [(to_text(10**6 + k), "900000000000000000") for k in range(levels)]
    bids = [(to_text(10**18 - k), "900000000000000000") for k in range(levels)]
    found = size_of(asks, bids, notional="999999999999", slippage=0.01)
    exact = 9 * 10**17 * levels
    assert found is None or found[0] == str(exact)
    assert found is not None or exact > 5 * 10**19


def test_more_contracts_than_any_book_has():
    """Contracts at a price that makes them worth more base units than can be counted give no size; no wrong one."""
    many = "999999999999999999"
    bounds = {"contract": ("100", "100"), "notional": "999999999999"}
    assert size_of([("1e-18", many)], [("1", many)], **bounds) is None
    assert size_of([("1e-18", many)], [("1", "7")], **bounds) == ("700", 7e-16, 700.0)
