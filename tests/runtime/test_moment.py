"""What the desk is told of the market is as exact as what the venues said."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from gambit.engine.limits import Execution, Limits
from gambit.runtime.moment import LEVELS, Moments, Reach, marks_of, reach_of


def test_a_mark_is_the_median_mid_to_the_last_digit() -> None:
    """Prices of which floats make 63883.130000000005; quotes not at par and empty sides count for nothing."""
    touches = {
        "BTC-USDT": (63883.12, 63883.14),
        "BTC-USD": (63883.13, 63883.16),
        "BTC-USDC": (63883.08, 63883.1),
        "BTC-EUR": (1.0, 2.0),
        "ETH-USDT": (3149.44, 3149.93),
        "SOL-USDT": (0.0, 150.0),
    }
    listings = [SimpleNamespace(symbol=symbol) for symbol in touches]
    market: Any = SimpleNamespace(listings=listings, pairs=SimpleNamespace(touch=lambda k: touches[listings[k].symbol]))
    marks = marks_of(market)
    assert str(marks["BTC"]) == "63883.13"
    assert marks["ETH"] == Decimal("3149.685")
    assert "SOL" not in marks
    assert marks["USDT"] == 1


def deep(quantity: str, step: str) -> Moments:
    """A market of one book: 2000 levels of so much a side, so far apart, around 1000."""
    rows = [(Decimal(1000) + Decimal(step) * k, Decimal(1000) - Decimal(step) * (k + 1)) for k in range(2000)]
    asks = [[f"{ask:f}", quantity] for ask, _ in rows if ask > 0]
    bids = [[f"{bid:f}", quantity] for _, bid in rows if bid > 0]

    def book(_index: int, *, most: int) -> dict[str, Any]:
        return {
            "venue": "a", "symbol": "BTC-USDT", "synced": True, "last_update_ns": 1, "seq": 1, "bids": bids[:most],
            "asks": asks[:most],
        }  # fmt: skip

    pairs = SimpleNamespace(lag=lambda _index: None)
    market: Any = SimpleNamespace(find=lambda *_: 0, markets_of=lambda _symbol: (0,), book=book, pairs=pairs)
    return Moments(market, dict, lambda: 0, reach=reach_of(Execution(), Limits()))


def test_a_book_is_read_down_to_what_plans_and_gates_look_at() -> None:
    """Ten thousand of the least depth and of the largest plan, twice over, or what lies within the slippage of 20 bps:
    a few dozen small levels would refuse by `min_liquidity` what formulas.md calls deep."""
    assert reach_of(Execution(), Limits(min_liquidity=Decimal(30_000))) == Reach(Decimal(60_000), Decimal(21))
    for quantity, step, expected in (
        ("1", "0.01", LEVELS),  # 30 000 in them
        ("0.1", "0.01", 10 * LEVELS),  # 3 000, then 30 000
        ("0.001", "0.01", 10 * LEVELS),  # 300 of 20 000, and the slippage is reached
        ("0.001", "0.2", LEVELS),
    ):
        moment = deep(quantity, step).now()
        for view in (moment.book("a", "BTC-USDT"), *moment.books("BTC-USDT")):
            assert view is not None
            assert (len(view.bids), len(view.asks)) == (expected, expected)
        assert len(deep(quantity, step).now().touches("BTC-USDT")[0].bids) == 1
