"""Exact numbers of the wire: text to integer units of 1e-18 and back (replay-rules R20, R21).

No float ever touches a price or a quantity here. A value that does not fit is refused, never rounded.
"""

import re
from fractions import Fraction
from functools import lru_cache

DECIMALS = 18
UNIT = 10**DECIMALS
LIMIT = 10**18 * UNIT
DIGITS_MAX = 18

_NUMBER = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")


class BadNumberError(ValueError):
    """The text is not a number of R20, or the number does not fit R21."""


def _split(text: str) -> tuple[bool, str, str, int]:
    """Sign, whole digits, fraction digits and exponent of a number text; BadNumberError where R20 is broken."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise BadNumberError(f"not a number: {text[:60]!r}")
    sign, whole, fraction, exponent_text = match.groups()
    digits = (exponent_text or "0").lstrip("+-").lstrip("0") or "0"
    exponent = int(digits[:9]) if len(digits) <= 9 else 10**9
    return bool(sign), whole, fraction or "", -exponent if (exponent_text or "").startswith("-") else exponent


@lru_cache(maxsize=1 << 17)
def to_units(text: str) -> int:
    """The number as an integer of 1e-18 units, exactly; BadNumberError by R20 or R21. "-0" is 0."""
    negative, whole, fraction, exponent = _split(text)
    digits = (whole + fraction).lstrip("0")
    trailing = len(digits) - len(digits.rstrip("0"))
    digits = digits.rstrip("0")
    if not digits:
        return 0
    power = exponent - len(fraction) + trailing  # value = digits * 10**power
    if len(digits) > DIGITS_MAX:
        raise BadNumberError(f"more than {DIGITS_MAX} digits: {text[:60]!r}")
    if power < -DECIMALS:
        raise BadNumberError(f"finer than 1e-{DECIMALS}: {text[:60]!r}")
    if power + len(digits) > DIGITS_MAX:
        raise BadNumberError(f"not below 1e18: {text[:60]!r}")
    units = int(digits) * 10 ** (power + DECIMALS)
    return -units if negative else units


def to_text(units: int) -> str:
    """The number as a decimal string without exponent and without trailing zeros."""
    whole, rest = divmod(abs(units), UNIT)
    text = f"{whole}.{rest:0{DECIMALS}d}".rstrip("0").rstrip(".")
    return "-" + text if units < 0 else text


def fixed_text(units: int, decimals: int) -> str | None:
    """The number with exactly `decimals` decimals, or None where it has more of them than that."""
    if decimals > DECIMALS:
        whole, rest = divmod(units, UNIT)
        return f"{whole}.{rest:0{DECIMALS}d}" + "0" * (decimals - DECIMALS)
    scaled, lost = divmod(units, 10 ** (DECIMALS - decimals))
    if lost:
        return None
    if decimals == 0:
        return str(scaled)
    whole, rest = divmod(scaled, 10**decimals)
    return f"{whole}.{rest:0{decimals}d}"


def plain_text(text: str) -> str:
    """The digits of the wire with the exponent written out and no idle zeros in front: 5.10e-05 is 0.0000510, 00.34 is
    0.34; BadNumberError by R20."""
    negative, whole, fraction, exponent = _split(text)
    if exponent > 2 * DECIMALS or exponent < -4 * DECIMALS:
        exponent = 0  # only a zero can carry such an exponent past R21
    digits = whole + fraction
    point = len(whole) + exponent
    if point <= 0:
        digits, point = "0" * (1 - point) + digits, 1
    digits = digits.ljust(point, "0")
    rest = digits[point:]
    return ("-" if negative else "") + (digits[:point].lstrip("0") or "0") + ("." + rest if rest else "")


def ratio(value: object) -> Fraction:
    """A configured number as the decimal that was written (1.2 is 6/5, not the nearest double)."""
    if isinstance(value, Fraction):
        return value
    return Fraction(value) if isinstance(value, int) else Fraction(str(value))
