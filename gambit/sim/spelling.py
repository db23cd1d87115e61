"""How numbers and times are spelt on a wire: decimal text from exact integers, RFC 3339 from nanoseconds.

Rules: a number is an integer of units of 10**-decimals, so no float ever reaches a wire; nothing here reads a clock.
"""

from __future__ import annotations

from datetime import UTC, datetime

SECOND_NS = 1_000_000_000
PRICE_TEXTS_MAX = 2048  # one instrument's remembered price texts; forgotten together past this


def decimal_text(units: int, decimals: int) -> str:
    """units * 10**-decimals with exactly `decimals` digits after the point (no point when there are none)."""
    if decimals <= 0:
        return str(units * 10**-decimals)
    text = str(units)
    if len(text) <= decimals:
        text = text.zfill(decimals + 1)
    return f"{text[:-decimals]}.{text[-decimals:]}"


def trimmed(text: str) -> str:
    """The same value without trailing zeros after the point."""
    return text.rstrip("0").rstrip(".") if "." in text else text


def short_number(units: int, decimals: int) -> str:
    """units * 10**-decimals as a short JSON number, with an exponent when it is small (1e-8)."""
    text = trimmed(decimal_text(units, decimals))
    if not text.startswith("0.0000"):
        return text
    places = len(text) - 2
    mantissa = text[2:].lstrip("0")
    point = f"{mantissa[0]}.{mantissa[1:]}" if len(mantissa) > 1 else mantissa
    return f"{point}e-{places - len(mantissa) + 1}"


class PriceTexts(dict[int, str]):
    """Text by number of ticks or lots, remembered because books say the same ones again and again."""

    def __init__(self, tick: int, decimals: int, wire_decimals: int | None) -> None:
        """`tick` in units of 10**-decimals; `wire_decimals` digits after the point, None for no trailing zeros."""
        super().__init__()
        self._tick = tick
        self._decimals = decimals
        self._wire_decimals = wire_decimals

    def __missing__(self, ticks: int) -> str:
        if len(self) >= PRICE_TEXTS_MAX:
            self.clear()
        text = decimal_text(ticks * self._tick, self._decimals)
        if self._wire_decimals is None:
            text = trimmed(text)
        elif self._wire_decimals > self._decimals:
            text = decimal_text(ticks * self._tick * 10 ** (self._wire_decimals - self._decimals), self._wire_decimals)
        self[ticks] = text
        return text


_seconds: dict[int, str] = {}


def _second_text(second: int) -> str:
    text = _seconds.get(second)
    if text is None:
        if len(_seconds) > 256:
            _seconds.clear()
        text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        _seconds[second] = text
    return text


def rfc3339(ts_ns: int, digits: int) -> str:
    """UTC with `digits` (1 to 9) digits of the second, cut and not rounded, and a Z."""
    second, rest = divmod(ts_ns, SECOND_NS)
    return f"{_second_text(second)}.{str(rest).zfill(9)[:digits]}Z"


def go_time(ts_ns: int, up_ns: int) -> str:
    """Go's default time text, with `up_ns` as the monotonic reading."""
    second, rest = divmod(ts_ns, SECOND_NS)
    day, clock = _second_text(second).split("T")
    up_second, up_rest = divmod(up_ns, SECOND_NS)
    return f"{day} {clock}.{rest:09d} +0000 UTC m=+{up_second}.{up_rest:09d}"
