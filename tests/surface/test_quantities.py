"""Numbers as a person reads them."""

import pytest

from gambit.surface.quantities import amount


@pytest.mark.parametrize(
    ("exact", "told"),
    [
        ("0", "0.00"), ("1544.304", "1,544.30"), ("1", "1.00"), ("0.25", "0.250"), ("0.00007944", "0.0000794"),
        ("-0.0015537", "-0.00155"), ("0.000000000000000001", "0.00000000000000000100"),
    ],
)  # fmt: skip
def test_a_small_amount_is_not_nothing(exact: str, told: str) -> None:
    """What was paid is shown, however little of a dear asset it was."""
    assert amount(exact) == told
