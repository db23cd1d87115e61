"""What closes an imbalance: rounded so that it never takes more than is owed, owned or allowed, to the last unit."""

from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from gambit.engine.hedge import Imbalance, Route, hedge, is_dust, least_qty
from gambit.engine.limits import Execution, Limits
from tests.engine.world import NOW_NS, SYMBOL, D, World, levels


@dataclass
class Around:
    """The collar is 30 bps, a fee 10."""

    conditions: World
    balances: dict[str, Decimal] = field(default_factory=lambda: {"BTC": D(9), "USDT": D(9999)})
    rules: Execution = field(default_factory=Execution)
    limits: Limits = field(default_factory=Limits)
    now_ns: int = NOW_NS

    def free(self, venue: str, asset: str) -> Decimal:
        """The same on every venue."""
        del venue
        return self.balances[asset]


def around(bid: str = "99.9", ask: str = "100.1", **balances: Decimal) -> Around:
    """One venue with odd steps: 0.07 for prices, 0.003 for quantities."""
    here = World()
    here.put("a", levels((bid, "5")), levels((ask, "5")))
    here.rule("a", tick=D("0.07"), lot=D("0.003"), min_qty=D("0.01"), min_notional=D(10))
    found = Around(here)
    found.balances |= balances
    return found


def route(qty: str, where: Around) -> Route | None:
    """For so much too much, or too little, at 100."""
    return hedge(Imbalance("BTC", D(qty), (SYMBOL,), D(100)), 0, frozenset(), where)


@pytest.mark.parametrize(
    ("price", "least_order", "expected"),
    [
        ("5000", "0", "0.012"),
        ("700", "0", "0.015"),
        ("700", "10.5", "0.015"),
        ("700", "10.6", "0.018"),
        ("0", "0", "0.012"),
    ],
)
def test_the_least_quantity_is_enough_for_every_minimum(price: str, least_order: str, expected: str) -> None:
    """Rounded up to the lot: the minimum quantity 0.01, and 10 at the price or what is configured."""
    instrument = around().conditions.instruments["a", SYMBOL]
    assert least_qty(instrument, D(price), D(least_order)) == D(expected)


def test_an_imbalance_beyond_the_venues_largest_order_is_closed_in_parts() -> None:
    """In whole lots of 0.003; what is left is the next attempt's."""
    where = around()
    where.conditions.rule("a", max_qty=D("0.5"))
    first = route("1", where)
    assert first is not None
    assert first.qty == D("0.498")


def test_a_closed_market_is_no_route_and_still_says_what_dust_is() -> None:
    """Another venue takes it, though it fills less; where there is none it waits."""
    where = around()
    where.conditions.put("b", levels(("99.9", "0.5")), levels(("100.1", "0.5")))
    found = route("1", where)
    assert found is not None
    assert found.venue == "a"
    where.conditions.rule("a", is_open=False)
    found = route("1", where)
    assert found is not None
    assert (found.venue, found.fillable) == ("b", D("0.5"))
    where.conditions.rule("b", is_open=False)
    assert route("1", where) is None
    assert not is_dust(Imbalance("BTC", D(1), (SYMBOL,), D(100)), where)


def test_a_collar_is_not_left_by_rounding() -> None:
    """99.7 for a sale is the tick above, 100.3 for a purchase the one below; a level just there is taken, none
    beyond."""
    sold, bought = route("1", around(bid="99.75")), route("-1", around(ask="100.24"))
    assert sold is not None
    assert bought is not None
    assert (sold.side, sold.price, sold.fillable) == ("sell", D("99.75"), D("0.999"))
    assert (bought.side, bought.price, bought.fillable) == ("buy", D("100.24"), D("0.999"))
    assert route("1", around(bid="99.74")) is None
    assert route("-1", around(ask="100.25")) is None


def test_no_more_is_taken_than_is_owed_or_owned() -> None:
    """Whole lots of the less of both; a purchase with its fee."""
    for qty, owned, expected in (("1.0019", D(9), "0.999"), ("1.002", D(9), "1.002"), ("1.002", D("1.0019"), "0.999")):
        found = route(qty, around(BTC=owned))
        assert found is not None
        assert found.qty == D(expected)
    price = D("100.24") * D("1.001")
    for owned, expected in ((price * D("0.3"), "0.300"), (price * D("0.2999"), "0.297")):
        found = route("-1", around(USDT=owned))
        assert found is not None
        assert found.qty == D(expected)
    assert route("1", around(BTC=D(0))) is None


def test_dust_is_less_than_any_venue_takes() -> None:
    """At the worst price that may be taken, 98.5: 10 are 0.102 of it in whole lots. Just as much is no dust."""
    where = around()
    assert is_dust(Imbalance("BTC", D("0.1019"), (SYMBOL,), D(100)), where)
    assert not is_dust(Imbalance("BTC", D("-0.102"), (SYMBOL,), D(100)), where)
    found = route("0.102", where)
    assert found is not None
    assert found.qty == D("0.102")
    assert route("0.1019", where) is None


def test_the_least_order_is_in_the_currency_of_account() -> None:
    """Of ETH in BTC, which is worth 100 000: 10 are 50 000, and no dust; a thousandth of one is."""
    here = World()
    here.prices = {"USDT": D(1), "BTC": D(100_000)}
    here.put("a", levels(("0.0499", "500")), levels(("0.05", "500")), symbol="ETH-BTC")
    here.rule("a", "ETH-BTC", tick=D("0.00001"), lot=D("0.0001"), min_qty=D("0.0001"), min_notional=None)
    where = Around(here, {"ETH": D(100)})
    small, large = (Imbalance("ETH", D(qty), ("ETH-BTC",), D("0.05")) for qty in ("0.001", "10"))
    assert not is_dust(large, where)
    found = hedge(large, 0, frozenset(), where)
    assert found is not None
    assert found.qty == 10
    assert is_dust(small, where)
