"""Decimal text and scaled integers: gambit._core.fixed against tests.reference.decimals (replay-rules R20, R21)."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gambit._core.fixed import parse, parse_fast, to_text
from tests.core.profile import examples
from tests.reference import decimals

WIRE_MAX = 255  # more written decimals than that count as that many
NUMBER = re.compile(r"-?([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")

DIGITS = st.text("0123456789", min_size=1, max_size=22)
PADDED = st.builds(
    lambda zeros, digits, more: "0" * zeros + digits + "0" * more, st.integers(0, 20), DIGITS, st.integers(0, 20)
)
EXPONENTS = st.builds(
    "{}{}{}{}".format,
    st.sampled_from("eE"),
    st.sampled_from(["", "+", "-"]),
    st.sampled_from(["", "0", "000000000000"]),
    st.integers(0, 45) | st.integers(0, 10**30),
)
NUMBERS = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "-"]),
    DIGITS | PADDED,
    st.just("") | st.builds(".{}".format, DIGITS | PADDED),
    st.just("") | EXPONENTS,
)
JUNK = st.text("0123456789.-+eE ,_x\0\u0661NaInfity", max_size=24) | st.text(max_size=24)
ORDINARY = st.from_regex(r"[0-9]{1,8}(\.[0-9]{1,8})?", fullmatch=True).filter(lambda text: len(text) <= 15)


def written_decimals(text: str) -> int:
    """Decimals of a number as it is written, its exponent counted in."""
    match = NUMBER.fullmatch(text)
    assert match is not None
    decimals_written = len(match[2] or "") - int(match[3] or "0")
    return min(max(decimals_written, 0), WIRE_MAX)


@examples(5)
@given(NUMBERS | ORDINARY | JUNK)
@example("0")
@example("-0")
@example("-0e99999999999999999999")
@example("0." + "0" * 300)
@example("0e-400")
@example("1e17")
@example("1e18")
@example("1e-18")
@example("1e-19")
@example("10e-19")
@example("0.000000000000000001")
@example("0.0000000000000000010")
@example("0.0000000000000000015")
@example("999999999999999999")
@example("1000000000000000000")
@example("99999999999999999.9")
@example("999999999999999999.9")
@example("9.99999999999999999")
@example("9.999999999999999999")
@example("123456789012345678000e-3")
@example("1234567890123456789e-1")
@example("9223372036854775807")
@example("9223372036854775808")
@example("1e9223372036854775808")
@example("100000000000000000000000000000000e-40")
@example("1.e5")
@example(".5")
@example("5.")
@example("+1")
@example("1e")
@example("1e+")
@example("--1")
@example("1.2.3")
@example("")
def test_parse_agrees_with_the_twin(text):
    """Any text is the twin's number of units, in its shortest form, or is refused for the twin's reason."""
    try:
        units = decimals.to_units(text)
    except decimals.BadNumberError as error:
        expected = "is not a number" if str(error).startswith("not a number") else "does not fit"
        with pytest.raises(ValueError, match=expected):
            parse(text)
        return
    mantissa, places, written = parse(text)
    assert mantissa * 10 ** (18 - places) == units
    assert abs(mantissa) < 10**18
    assert 0 <= places <= 18
    assert places == 0 or mantissa % 10 != 0
    assert written == written_decimals(text)
    assert parse(text.encode()) == (mantissa, places, written)


@examples(5)
@given(NUMBERS | ORDINARY | JUNK)
@example("12345678.12345678")
@example("00000000.00000000")
@example("99999999.99999999")
@example("0.10")
@example("1e5")
@example("1.5E5")
@example("123456789")
@example("1.123456789")
@example("1\0")
@example("-1")
def test_fast_reader_agrees_with_the_careful_one(text):
    """Whenever the fast reader answers, the careful one answers the same."""
    fast = parse_fast(text.encode())
    if fast is not None:
        assert fast == parse(text)


@examples(2)
@given(ORDINARY)
def test_fast_reader_takes_the_common_shape(text):
    """Up to eight digits on either side of the point, 15 bytes in all, never need the careful reader."""
    assert parse_fast(text.encode()) is not None


@examples(2)
@given(st.integers(0, 10**18 - 1), st.integers(0, 18))
@example(0, 18)
@example(10**18 - 1, 18)
@example(10**17, 17)
def test_text_is_plain_and_comes_back(mantissa, places):
    """A value is written without exponent and trailing zeros, as the twin does, and reads back as the same value."""
    text = to_text(mantissa, places)
    units = mantissa * 10 ** (18 - places)
    assert text == decimals.to_text(units)
    again, again_places, _ = parse(text)
    assert again * 10 ** (18 - again_places) == units


@pytest.mark.parametrize(("mantissa", "places"), [(-1, 0), (1, 19), (-(2**63), 18)])
def test_text_of_what_does_not_fit_is_refused(mantissa, places):
    """A negative value or more than 18 decimals is an error, not a text."""
    with pytest.raises(ValueError, match=str(places)):
        to_text(mantissa, places)


@pytest.mark.parametrize("text", ["x" * 50, b"x" * 50, b"1e999" + b"9" * 50, b"\xff" * 50, "\u0661" * 50])
def test_refusal_shows_the_beginning_of_a_long_text(text):
    """Whatever is refused, bytes or text of any length, the error shows how it begins."""
    start = text[:4].decode(errors="replace") if isinstance(text, bytes) else text[:4]
    with pytest.raises(ValueError, match=f"^'{start}.*[.][.][.]' "):
        parse(text)
