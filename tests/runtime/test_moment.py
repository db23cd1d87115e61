"""What the desk is told of the market is as exact as what the venues said."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from gambit.runtime.moment import marks_of


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
