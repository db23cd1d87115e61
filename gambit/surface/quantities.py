"""Durations, sizes, rates, amounts and times as a person reads them; for terminals."""

from decimal import Decimal

NS_STEPS = ((1_000, 1, "ns"), (1_000_000, 1_000, "us"), (1_000_000_000, 1_000_000, "ms"))


def span(ns: float | None) -> str:
    """A duration: `12 us`, `3.1 ms`, `1.20 s`; `-` when there is none."""
    if ns is None:
        return "-"
    if ns < 0:
        return f"-{span(-ns)}"
    for limit, scale, unit in NS_STEPS:
        if ns < limit:
            return f"{ns / scale:.3g} {unit}"
    return f"{ns / 1e9:.2f} s" if ns < 60e9 else lasting(ns / 1e9)


def amount(text: str) -> str:
    """Money with two decimals, a little of it with three digits that say something: `1,544.30`, `0.0000794`."""
    exact = Decimal(text)
    return f"{exact:,.{max(2, 2 - exact.adjusted()) if exact else 2}f}"


def lasting(seconds: float) -> str:
    """A long duration in its two largest units: `3 s`, `2 m 5 s`, `1 d 4 h`."""
    left = int(seconds)
    parts: list[str] = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        count, left = divmod(left, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


def size(count: float) -> str:
    """Bytes: `512 B`, `1.5 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError("the last unit takes everything")


def rate(per_sec: float) -> str:
    """Events a second: `12,345/s`, `0.3/s`."""
    return f"{per_sec:,.0f}/s" if per_sec >= 10 else f"{per_sec:.1f}/s"


def moment(ns: int) -> str:
    """The time of day in UTC, to the millisecond."""
    at_ms = ns // 1_000_000
    minutes, millis = divmod(at_ms % 86_400_000, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{millis / 1000:06.3f}"
