"""What the hot path found, in the words of the outside: arb.signal and episode ends (replay-rules R27, R31)."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha1
from typing import Any, NamedTuple

SCHEMA_VERSION = "2"
# R27 gives only the name of the UUIDv5; this is its namespace.
NAMESPACE = uuid.NAMESPACE_OID
_NAMESPACE_BYTES = NAMESPACE.bytes

RAISED_NUMBERS = (
    "spread_bps", "net_bps", "profit_quote", "qty", "buy_vwap", "sell_vwap", "liquidity", "sigma", "persistence",
    "window_mean_bps", "window_max_bps", "impact_bps", "score",
)  # fmt: skip
RAISED_STATE = ("seq_buy", "seq_sell", "book_age_buy_ns", "book_age_sell_ns")


class Listing(NamedTuple):
    """A market by its names."""

    venue: str
    symbol: str


class Namer:
    """Turns raw events into the dicts that leave gambit. `listings[market]` names the markets, `groups` the declared
    groups (a pair's name index 0 is the common symbol, k > 0 is groups[k - 1])."""

    def __init__(self, listings: Sequence[Listing], groups: Sequence[str], ttl_sec: int | float) -> None:
        self.listings = listings
        self.groups = groups
        self.ttl_sec = ttl_sec

    def named(self, events: Sequence[Mapping[str, Any]]) -> list[dict[str, object]]:
        """Events in the order they are told: as they happened, and those of one instant by name (D14)."""
        if len(events) > 1:
            events = sorted(events, key=self._order)
        return [self._dict(event) for event in events]

    def _order(self, event: Mapping[str, Any]) -> tuple[object, ...]:
        buy, sell = self._pair(event)
        is_late = event.get("reason") != "different_coin"
        own_time = event["recv_ns"] if event.get("reason") == "stale" else 0
        names = (self._symbol(event), buy.venue, sell.venue, buy.symbol, sell.symbol)
        return (event["batch"], is_late, own_time, *names)

    def _pair(self, event: Mapping[str, Any]) -> tuple[Listing, Listing]:
        return self.listings[event["buy"]], self.listings[event["sell"]]

    def _symbol(self, event: Mapping[str, Any]) -> str:
        name: int = event["name"]
        return self._pair(event)[0].symbol if name == 0 else self.groups[name - 1]

    def _dict(self, event: Mapping[str, Any]) -> dict[str, object]:
        buy, sell = self._pair(event)
        symbol = self._symbol(event)
        key = f"{symbol}|{buy.venue}|{sell.venue}|{buy.symbol}|{sell.symbol}"
        raw_signal_id = named_id(f"{key}|{event['start_ns']}|episode")
        if not event["raised"]:
            return self._closed(event, symbol, buy, sell, raw_signal_id)
        recv_ns = event["recv_ns"]
        base, quote = buy.symbol.split("-")[:2]
        return {
            "event": "raised",
            "recv_ns": recv_ns,
            "ts": rfc3339(recv_ns),
            "opp_id": named_id(f"{key}|{recv_ns}|signal"),
            "raw_signal_id": raw_signal_id,
            "correlation_id": raw_signal_id,
            "symbol": symbol,
            "symbol_buy": buy.symbol,
            "symbol_sell": sell.symbol,
            "base_asset": base,
            "quote_asset": quote,
            "venue_buy": buy.venue,
            "venue_sell": sell.venue,
            **{name: event[name] for name in RAISED_NUMBERS},
            "ttl_sec": self.ttl_sec,
            **{name: event[name] for name in RAISED_STATE},
            "degraded": False,
            "data_quality": "ok",
            "schema_ver": SCHEMA_VERSION,
        }

    def _closed(
        self, event: Mapping[str, Any], symbol: str, buy: Listing, sell: Listing, raw_signal_id: str
    ) -> dict[str, object]:
        recv_ns, start_ns = event["recv_ns"], event["start_ns"]
        return {
            "event": "closed",
            "recv_ns": recv_ns,
            "symbol": symbol,
            "venue_buy": buy.venue,
            "venue_sell": sell.venue,
            "raw_signal_id": raw_signal_id,
            "duration_ns": recv_ns - start_ns,
            "max_net_bps": event["max_net_bps"],
            "max_profit_quote": event["max_profit_quote"],
            "evaluations": event["evaluations"],
            "reason": event["reason"],
        }


def named_id(name: str) -> str:
    """The UUID version 5 of a name in our namespace (RFC 9562, 5.5), as text; uuid.uuid5 says the same, slower."""
    digest = sha1(_NAMESPACE_BYTES + name.encode(), usedforsecurity=False).hexdigest()
    variant = "89ab"[int(digest[16], 16) & 3]
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"


def rfc3339(ns: int) -> str:
    """ns since 1970 as RFC 3339 in UTC with nine decimals and a Z."""
    seconds, fraction = divmod(ns, 1_000_000_000)
    return f"{_second(seconds)}.{fraction:09d}Z"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
