"""The engine's settings as exact numbers."""

from decimal import Decimal

import pytest

from gambit.engine.params import UNIT, EngineParams, VenueParams, units


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, 0),
        (Decimal(0), 0),
        (Decimal(1), 10**18),
        (Decimal("0.000000000000000001"), 1),
        (Decimal("0.0000000000000000019"), 1),
        (Decimal("1e17"), 10**35),
    ],
)
def test_units(value: Decimal | None, expected: int) -> None:
    """Decimals in 1e-18, unknown as 0, what is finer cut off."""
    assert units(value) == expected
    assert UNIT == 10**18


def test_times_are_nanoseconds() -> None:
    """Seconds and milliseconds, fractions included, without a float in between."""
    core = EngineParams(window_sec=Decimal("2.5"), ttl_sec=Decimal("0.1"), max_book_age_ms=Decimal("0.001")).core()
    assert (core["window_ns"], core["ttl_ns"], core["max_age_ns"]) == (2_500_000_000, 100_000_000, 1_000)


def test_the_ratio_of_mids_is_exact() -> None:
    """1.2 is 6/5, not the nearest double."""
    assert EngineParams(max_mid_ratio=Decimal("1.2")).core()["mid_ratio"] == (6, 5)


def test_time_to_live_is_told_as_written() -> None:
    """A whole number of seconds is told as an integer."""
    assert [repr(EngineParams(ttl_sec=Decimal(text)).ttl_number) for text in ("10", "10.0", "7.5")] == [
        "10",
        "10",
        "7.5",
    ]


def test_a_venue_without_settings_has_the_general_fee() -> None:
    """And books of depth."""
    params = EngineParams(fee_bps=Decimal(7), venues={"okx": VenueParams(Decimal(2), is_bbo=True)})
    assert params.venue("okx") == VenueParams(Decimal(2), is_bbo=True)
    assert params.venue("kraken") == VenueParams(Decimal(7))


def test_symbols_of_a_venue_go_before_the_general_ones() -> None:
    """No symbols of its own: the general ones, None for all."""
    own = VenueParams(Decimal(1), symbols=("ETH-USDT",))
    params = EngineParams(symbols=("BTC-USDT",), venues={"okx": own})
    assert params.wanted("okx") == ("ETH-USDT",)
    assert params.wanted("kraken") == ("BTC-USDT",)
    assert EngineParams().wanted("okx") is None
