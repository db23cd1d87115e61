"""What the hot path found, in the words of the outside: arb.signal and episode ends (replay-rules R27, R31)."""

import uuid
from collections.abc import Mapping, Sequence
from hashlib import sha1
from typing import Any, NamedTuple

from gambit.model import rfc3339

SCHEMA_VERSION = "2"
# R27 gives only the name of the UUIDv5; this is its namespace.
NAMESPACE = uuid.NAMESPACE_OID
_NAMESPACE_BYTES = NAMESPACE.bytes


class Listing(NamedTuple):
    """A market by its names."""

    venue: str
    symbol: str


class _Route:
    """What all events of a directed pair share; computed once."""

    __slots__ = ("base", "buy", "episode_id", "key", "order", "quote", "sell", "start_ns", "symbol")

    def __init__(self, symbol: str, buy: Listing, sell: Listing) -> None:
        self.symbol = symbol
        self.buy = buy
        self.sell = sell
        self.base, self.quote = buy.symbol.split("-")[:2]
        self.key = f"{symbol}|{buy.venue}|{sell.venue}|{buy.symbol}|{sell.symbol}"
        self.order = (symbol, buy.venue, sell.venue, buy.symbol, sell.symbol)
        self.start_ns = -1  # of the episode that was named last
        self.episode_id = ""

    def episode(self, start_ns: int) -> str:
        """The id of the episode that began then."""
        if start_ns != self.start_ns:
            self.episode_id = named_id(f"{self.key}|{start_ns}|episode")
            self.start_ns = start_ns
        return self.episode_id


class Namer:
    """Turns raw events into the dicts that leave gambit. `listings[market]` names the markets, `groups` the declared
    groups (a pair's name index 0 is the common symbol, k > 0 is groups[k - 1])."""

    def __init__(self, listings: Sequence[Listing], groups: Sequence[str], ttl_sec: int | float) -> None:
        self.listings = listings
        self.groups = groups
        self.ttl_sec = ttl_sec
        self._routes: dict[tuple[int, int, int], _Route] = {}

    def named(self, events: Sequence[Mapping[str, Any]]) -> list[dict[str, object]]:
        """Events in the order they are told: as they happened, and those of one instant by name (D14)."""
        if len(events) > 1:
            events = sorted(events, key=self._order)
        return [self._raised(event) if event["raised"] else self._closed(event) for event in events]

    def _order(self, event: Mapping[str, Any]) -> tuple[object, ...]:
        is_late = event.get("reason") != "different_coin"
        own_time = event["recv_ns"] if event.get("reason") == "stale" else 0
        return (event["batch"], is_late, own_time, *self._route(event).order)

    def _route(self, event: Mapping[str, Any]) -> _Route:
        place = event["buy"], event["sell"], event["name"]
        route = self._routes.get(place)
        if route is None:
            buy, sell, name = self.listings[place[0]], self.listings[place[1]], place[2]
            route = self._routes[place] = _Route(buy.symbol if name == 0 else self.groups[name - 1], buy, sell)
        return route

    def _raised(self, event: Mapping[str, Any]) -> dict[str, object]:
        route = self._route(event)
        buy, sell, recv_ns = route.buy, route.sell, event["recv_ns"]
        raw_signal_id = route.episode(event["start_ns"])
        return {
            "event": "raised",
            "recv_ns": recv_ns,
            "ts": rfc3339(recv_ns),
            "opp_id": named_id(f"{route.key}|{recv_ns}|signal"),
            "raw_signal_id": raw_signal_id,
            "correlation_id": raw_signal_id,
            "symbol": route.symbol,
            "symbol_buy": buy.symbol,
            "symbol_sell": sell.symbol,
            "base_asset": route.base,
            "quote_asset": route.quote,
            "venue_buy": buy.venue,
            "venue_sell": sell.venue,
            "spread_bps": event["spread_bps"],
            "net_bps": event["net_bps"],
            "profit_quote": event["profit_quote"],
            "qty": event["qty"],
            "buy_vwap": event["buy_vwap"],
            "sell_vwap": event["sell_vwap"],
            "liquidity": event["liquidity"],
            "sigma": event["sigma"],
            "persistence": event["persistence"],
            "window_mean_bps": event["window_mean_bps"],
            "window_max_bps": event["window_max_bps"],
            "impact_bps": event["impact_bps"],
            "score": event["score"],
            "ttl_sec": self.ttl_sec,
            "seq_buy": event["seq_buy"],
            "seq_sell": event["seq_sell"],
            "book_age_buy_ns": event["book_age_buy_ns"],
            "book_age_sell_ns": event["book_age_sell_ns"],
            "degraded": False,
            "data_quality": "ok",
            "schema_ver": SCHEMA_VERSION,
        }

    def _closed(self, event: Mapping[str, Any]) -> dict[str, object]:
        route = self._route(event)
        recv_ns, start_ns = event["recv_ns"], event["start_ns"]
        return {
            "event": "closed",
            "recv_ns": recv_ns,
            "symbol": route.symbol,
            "venue_buy": route.buy.venue,
            "venue_sell": route.sell.venue,
            "raw_signal_id": route.episode(start_ns),
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
