"""What the order languages share: steps, ids that every venue takes, secrets that nobody sees, exact reading."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambit.commands import client_order_id
from gambit.model import Category, Instrument
from gambit.venues import binance_orders, bybit_orders, coinbase_orders, kraken_orders, okx_orders, reading
from gambit.venues.decode import Number
from gambit.venues.orders import CLIENT_ID_CHARS_MAX, Fault, Keys, SessionToken, Steps
from gambit.venues.reading import Malformed
from tests.venues.orderly import D, market


@given(
    count=st.integers(1, 10**12),
    tick=st.sampled_from(["0.01", "0.05", "0.00000001", "1", "5", "50", "1E+1", "0.10000000", "2.5"]),
)
def test_numbers_are_exact_multiples(count: int, tick: str) -> None:
    """A multiple of the step is written without an exponent and means the very number."""
    steps = Steps("venue", market("BTCUSDT", tick=tick, lot=tick))
    for text in (steps.price(D(tick) * count), steps.qty(D(tick) * count)):
        assert "E" not in text
        assert Decimal(text) == D(tick) * count


@pytest.mark.parametrize("number", ["0", "-0.01", "0.015", "NaN", "Infinity", "1E+40", "sNaN"])
def test_numbers_off_the_steps(number: str) -> None:
    """Nothing is rounded here: a number off its step, or none at all, is the caller's mistake."""
    steps = Steps("venue", market("BTCUSDT"))
    with pytest.raises(ValueError, match="venue BTCUSDT: "):
        steps.price(D(number))


def test_steps_must_be_known() -> None:
    """The message says what to do."""
    with pytest.raises(ValueError, match="read the instrument list first"):
        Steps("venue", Instrument(symbol="A-B", spelling="AB", base="A", quote="B"))


@given(client_id=st.from_regex(r"[A-Za-z0-9]{1,18}", fullmatch=True))
def test_ids_that_every_venue_takes(client_id: str) -> None:
    """Up to eighteen letters and digits."""
    assert len(client_id) <= CLIENT_ID_CHARS_MAX
    for venue in (binance_orders, okx_orders, bybit_orders, kraken_orders, coinbase_orders):
        assert venue.CLIENT_ID.fullmatch(client_id), venue.__name__


def test_ids_as_the_desk_makes_them() -> None:
    """The desk's own ids are among them."""
    made = client_order_id("gb", 1, 2, "user|plan|okx|BTC-USDT|buy|1")
    for venue in (binance_orders, okx_orders, bybit_orders, kraken_orders, coinbase_orders):
        assert venue.CLIENT_ID.fullmatch(made), venue.__name__


def test_secrets_are_not_shown() -> None:
    """I20: neither keys nor tokens have a text that says anything."""
    keys = Keys(key="canary-key", secret="canary-secret", passphrase="canary-pass")
    for shown in (repr(keys), str(keys), f"{keys}", repr([keys]), repr(SessionToken("canary-token", 900))):
        assert "canary" not in shown


def test_an_unknown_outcome_is_never_retryable() -> None:
    """Whatever its category; a refusal for the rate is."""
    for category in (Category.RATE_LIMIT, Category.TRANSIENT_NETWORK, Category.VENDOR_5XX):
        assert Fault(category=category, code="", text="").retryable
        assert not Fault(category=category, code="", text="", execution_unknown=True).retryable
    assert not Fault(category=Category.PERMANENT_4XX, code="", text="").retryable


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2023-09-22T10:33:05.709950Z", 1_695_378_785_709_950_000),
        ("2023-09-22T10:33:05Z", 1_695_378_785_000_000_000),
        ("2023-09-22T10:33:05.123456789Z", 1_695_378_785_123_456_789),
        ("2023-09-22T10:33:05.1+00:00", 1_695_378_785_100_000_000),
        ("", 0),
    ],
)
def test_times(text: str, ns: int) -> None:
    """RFC 3339 to the nanosecond."""
    assert reading.rfc3339_ns({"t": text}, "t") == ns


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rfc3339_ns", "2023-13-22T10:33:05Z"),
        ("rfc3339_ns", "yesterday"),
        ("rfc3339_ns", "2023-09-22T10:33:05+02:00"),
        ("amount", "0x10"),
        ("amount", "NaN"),
        ("amount", "1e308"),
        ("amount", "1" * 41),
        ("amount", ""),
        ("amount", True),
        ("amount", chr(0xFF11)),
        ("above_zero", "0"),
        ("at_least_zero", "-1"),
        ("whole", "1.0"),
        ("whole", None),
        ("ident", Number("1.5")),
        ("ident", []),
        ("text_of", Number("1")),
        ("flag", "true"),
        ("side_of", "both"),
        ("inner", []),
        ("rows", [1]),
        ("only_row", [{}, {}]),
        ("needed_text", ""),
        ("needed_id", ""),
    ],
)
def test_fields_that_are_not_what_they_should_be(name: str, value: object) -> None:
    """Each is refused by name."""
    with pytest.raises(Malformed, match="`field`"):
        getattr(reading, name)({"field": value}, "field")
