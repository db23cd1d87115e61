"""Signals and episode ends as they leave gambit: names, ids, order, fields (R27, R31, D14)."""

import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambit.engine.opportunity import NAMESPACE, Listing, Namer, named_id
from gambit.model import rfc3339

LISTINGS = [
    Listing("okx", "BTC-USDT"),
    Listing("kraken", "BTC-USDT"),
    Listing("binance-usdm", "BTC-USDT-PERP"),
    Listing("kraken", "AAA-USDT"),
    Listing("okx", "AAA-USDT"),
]
NUMBERS = {
    "spread_bps": 12.5,
    "net_bps": 3.25,
    "profit_quote": 1.5,
    "qty": "0.125",
    "buy_vwap": 64000.5,
    "sell_vwap": 64080.25,
    "liquidity": 5000.0,
    "sigma": 0.5,
    "persistence": 0.75,
    "window_mean_bps": 11.0,
    "window_max_bps": 13.0,
    "impact_bps": 0.125,
    "score": 0.25,
}
STATE = {"seq_buy": 7, "seq_sell": None, "book_age_buy_ns": 0, "book_age_sell_ns": 5}
RECV_NS = 1_750_000_000_123_456_789

Event = dict[str, Any]


def namer(ttl_sec: float = 10) -> Namer:
    """One for the listings above."""
    return Namer(LISTINGS, ["BTC-all"], ttl_sec)


def raised(
    buy: int = 0, sell: int = 1, *, name: int = 0, recv_ns: int = RECV_NS, start_ns: int = RECV_NS, batch: int = 1
) -> Event:
    """A raw signal."""
    where = {"batch": batch, "recv_ns": recv_ns, "start_ns": start_ns, "buy": buy, "sell": sell, "name": name}
    return {"raised": True, **where, **NUMBERS, **STATE}


def closed(
    buy: int = 0, sell: int = 1, *, reason: str = "not_qualified", recv_ns: int = RECV_NS, batch: int = 1, name: int = 0
) -> Event:
    """A raw episode end; the episode began a second before RECV_NS."""
    where = {"batch": batch, "recv_ns": recv_ns, "start_ns": RECV_NS - 10**9, "buy": buy, "sell": sell, "name": name}
    return {
        "raised": False, **where, "evaluations": 3, "max_net_bps": 4.5, "max_profit_quote": 2.5, "reason": reason,
    }  # fmt: skip


def uuid_of(name: str) -> str:
    """The id of a name (R27, D1)."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, name))


def test_a_signal_has_exactly_its_fields() -> None:
    """The payload with all optional fields; base and quote are the buy book's, ids come from names and times."""
    start_ns = RECV_NS - 5
    (told,) = namer().named([raised(start_ns=start_ns)])
    key = "BTC-USDT|okx|kraken|BTC-USDT|BTC-USDT"
    assert told == {
        "event": "raised",
        "recv_ns": RECV_NS,
        "ts": "2025-06-15T15:06:40.123456789Z",
        "opp_id": uuid_of(f"{key}|{RECV_NS}|signal"),
        "raw_signal_id": uuid_of(f"{key}|{start_ns}|episode"),
        "correlation_id": uuid_of(f"{key}|{start_ns}|episode"),
        "symbol": "BTC-USDT",
        "symbol_buy": "BTC-USDT",
        "symbol_sell": "BTC-USDT",
        "base_asset": "BTC",
        "quote_asset": "USDT",
        "venue_buy": "okx",
        "venue_sell": "kraken",
        **NUMBERS,
        **STATE,
        "ttl_sec": 10,
        "degraded": False,
        "data_quality": "ok",
        "schema_ver": "2",
    }


def test_an_end_has_exactly_its_fields() -> None:
    """The episode's id is that of its signals, its duration counts from the first raise."""
    (told,) = namer().named([closed()])
    assert told == {
        "event": "closed",
        "recv_ns": RECV_NS,
        "symbol": "BTC-USDT",
        "venue_buy": "okx",
        "venue_sell": "kraken",
        "raw_signal_id": uuid_of(f"BTC-USDT|okx|kraken|BTC-USDT|BTC-USDT|{RECV_NS - 10**9}|episode"),
        "duration_ns": 10**9,
        "max_net_bps": 4.5,
        "max_profit_quote": 2.5,
        "evaluations": 3,
        "reason": "not_qualified",
    }


def test_books_of_a_group_go_by_its_name() -> None:
    """Symbol and ids carry the group's name, the books their own; the assets are those of the book that is bought."""
    (told,) = namer().named([raised(2, 0, name=1)])
    assert (told["symbol"], told["symbol_buy"], told["symbol_sell"]) == ("BTC-all", "BTC-USDT-PERP", "BTC-USDT")
    assert (told["base_asset"], told["quote_asset"]) == ("BTC", "USDT")
    key = "BTC-all|binance-usdm|okx|BTC-USDT-PERP|BTC-USDT"
    assert told["opp_id"] == uuid_of(f"{key}|{RECV_NS}|signal")


def test_a_signal_made_again_is_a_new_one_of_the_same_episode() -> None:
    """Another opp_id, the same raw_signal_id."""
    first, again = namer().named([raised(), raised(recv_ns=RECV_NS + 10**10, batch=2)])
    assert first["raw_signal_id"] == again["raw_signal_id"]
    assert first["opp_id"] != again["opp_id"]
    other, _ = namer().named([raised(1, 0), raised()])
    assert other["raw_signal_id"] != first["raw_signal_id"]


def test_batches_keep_their_order() -> None:
    """What happened first is told first, whatever its name."""
    told = namer().named([raised(0, 1, batch=1), raised(3, 4, batch=2)])
    assert [event["symbol"] for event in told] == ["BTC-USDT", "AAA-USDT"]


def test_one_instant_is_told_by_name() -> None:
    """Ascending by symbol, buying venue, selling venue, raises and ends among each other."""
    told = namer().named([raised(0, 1), closed(1, 0), raised(4, 3), closed(2, 0, name=1), raised(3, 4)])
    assert [(event["symbol"], event["venue_buy"]) for event in told] == [
        ("AAA-USDT", "kraken"),
        ("AAA-USDT", "okx"),
        ("BTC-USDT", "kraken"),
        ("BTC-USDT", "okx"),
        ("BTC-all", "binance-usdm"),
    ]


def test_stale_ends_are_told_by_their_own_time() -> None:
    """Before the record that showed them, the earlier deadline first."""
    late = closed(3, 4, reason="stale", recv_ns=RECV_NS - 5)
    early = closed(0, 1, reason="stale", recv_ns=RECV_NS - 9)
    told = namer().named([late, early, raised(1, 0, batch=2)])
    assert [(event["recv_ns"], event["event"]) for event in told] == [
        (RECV_NS - 9, "closed"),
        (RECV_NS - 5, "closed"),
        (RECV_NS, "raised"),
    ]


def test_different_coins_part_before_anything_else_of_a_frame() -> None:
    """Their ends come before raises and ends of other pairs, whatever the names."""
    told = namer().named([raised(3, 4), closed(1, 0, reason="different_coin"), closed(0, 1, reason="different_coin")])
    assert [event["event"] for event in told] == ["closed", "closed", "raised"]
    assert [event["venue_buy"] for event in told] == ["kraken", "okx", "kraken"]


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "1970-01-01T00:00:00.000000000Z"),
        (1, "1970-01-01T00:00:00.000000001Z"),
        (1_723_161_256_172_216_566, "2024-08-08T23:54:16.172216566Z"),
        (2**62 - 1, "2116-02-20T23:53:38.427387903Z"),
    ],
)
def test_times_of_the_outside(ns: int, text: str) -> None:
    """RFC 3339 in UTC with every nanosecond."""
    assert rfc3339(ns) == text


@given(st.text())
def test_named_ids_are_the_uuids_of_the_standard(name: str) -> None:
    """The quick way gives what uuid.uuid5 gives."""
    name = name.encode(errors="ignore").decode()
    assert named_id(name) == str(uuid.uuid5(NAMESPACE, name))
