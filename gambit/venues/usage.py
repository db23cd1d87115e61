"""What answers say of the limits they were counted against: Binance's lists and headers, Bybit's headers. OKX, Kraken
and Coinbase say nothing of the kind. What cannot be read says nothing. Sources: section 7 of each venue's sheet.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from gambit.venues.orders import Lane, Used

SECONDS: Final[Mapping[str, int]] = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86_400}
BINANCE_ORDERS: Final = (("x-mbx-order-count-10s", 10.0), ("x-mbx-order-count-1d", 86_400.0))
BYBIT_SEC: Final = 1.0


def binance_frame(message: Mapping[str, object]) -> Iterator[Used]:
    """From `rateLimits` of an answer on the WebSocket API: weight by address, and orders by account."""
    limits = message.get("rateLimits")
    for row in limits if isinstance(limits, list) else ():
        if not isinstance(row, dict):
            continue
        count, seconds = _count(row.get("count")), SECONDS.get(str(row.get("interval")), 0)
        times = _count(row.get("intervalNum")) or 0
        kind = row.get("rateLimitType")
        if count is not None and seconds and times and kind in ("REQUEST_WEIGHT", "ORDERS"):
            lane = Lane.CREATE if kind == "ORDERS" else None
            yield Used(lane=lane, per_sec=float(seconds * times), units=count, limit=_count(row.get("limit")))


def binance_headers(headers: Mapping[str, str]) -> Iterator[Used]:
    """Orders of the account; the weight by address is read with every answer anyway."""
    for name, per_sec in BINANCE_ORDERS:
        count = _count(headers.get(name))
        if count is not None:
            yield Used(lane=Lane.CREATE, per_sec=per_sec, units=count)


def bybit_headers(headers: Mapping[str, object], lane: Lane) -> Iterator[Used]:
    """The limit of the endpoint that was asked, and what is left of it; in lower case, or as frames have them."""
    told = {name.lower(): value for name, value in headers.items()}
    limit, left = _count(told.get("x-bapi-limit")), _count(told.get("x-bapi-limit-status"))
    if limit is not None and left is not None and left <= limit:
        yield Used(lane=lane, per_sec=BYBIT_SEC, units=limit - left, limit=limit)


def _count(value: object) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None
