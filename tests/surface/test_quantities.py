"""Numbers as a person reads them."""

import pytest

from gambit.surface.quantities import amount, span


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


def test_a_negative_span_has_the_unit_of_its_size() -> None:
    """A clock that is behind makes one; it is not told in ns for that."""
    assert [span(ns) for ns in (None, 12_000, -327_000_000, -61e9)] == ["-", "12 us", "-327 ms", "-1 m 1 s"]
