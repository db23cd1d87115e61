"""What a live feed asks of a venue's language: addresses, requests and their ends, calls, budgets."""

import json

import pytest

from gambit.venues import VENUES
from gambit.venues.live import Call

NAMES = list(VENUES)


@pytest.mark.parametrize("name", NAMES)
def test_limits_are_within_reason(name: str) -> None:
    """Addresses are secure, numbers positive, and a connection is replaced well before the venue cuts it."""
    live = VENUES[name].live
    assert live.ws.startswith("wss://")
    assert live.rest.startswith("https://")
    assert bool(live.test_ws) == bool(live.test_rest)
    assert min(live.books_a_connection, live.sends_per_sec, live.connects, live.weight, live.weight_sec) > 0
    assert live.life_sec is None or live.life_sec > 3600
    assert live.ping_sec < 30 or name == "kraken"


@pytest.mark.parametrize(
    ("name", "most", "seconds"),
    [("binance", 300, 300), ("okx", 3, 1), ("bybit", 500, 300), ("kraken", 150, 600), ("coinbase", 8, 1)],
)
def test_connects_stay_below_what_the_venue_allows_an_address(name: str, most: int, seconds: int) -> None:
    """Section 1 of each sheet; the account's lines need some too, and Coinbase counts the messages of a connect."""
    live = VENUES[name].live
    messages = len(VENUES[name].subscribe(["A-B"], source="depth", depth=0)) if name == "coinbase" else 1
    assert live.connects * messages < most
    assert live.connects_sec >= seconds


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("source", ["depth", "bbo"])
def test_what_is_subscribed_can_be_left(name: str, source: str) -> None:
    """The same books in the same words, but for the one word that says which; a shard's requests are few."""
    venue = VENUES[name]
    spellings = [f"S{k}/U" for k in range(venue.live.books_a_connection)]
    come = venue.subscribe(spellings, source=source, depth=0)
    leave = venue.unsubscribe(spellings, source=source, depth=0)
    for request in leave:
        assert b"nsubscribe" in request.data.lower()
        assert isinstance(json.loads(request.data), dict)
    named = b"".join(request.data.lower() for request in leave)
    assert [spelling for spelling in spellings if named.count(spelling.lower().encode()) != 1] == []
    assert len(come) / venue.live.sends_per_sec < 10


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("binance", "/api/v3/exchangeInfo"),
        ("binance-usdm", "/fapi/v1/exchangeInfo"),
        ("binance-coinm", "/dapi/v1/exchangeInfo"),
        ("okx", "/api/v5/public/instruments?instType=SPOT"),
        ("bybit", "/v5/market/instruments-info?category=spot"),
        ("bybit-linear", "/v5/market/instruments-info?category=linear&limit=1000"),
        ("kraken", "/0/public/AssetPairs"),
        ("coinbase", "/api/v3/brokerage/market/products?product_type=SPOT"),
    ],
)
def test_lists_are_read_from_where_they_are_fetched(name: str, path: str) -> None:
    """instruments() knows the address that instruments_call() gives."""
    venue = VENUES[name]
    assert venue.instruments_call().path == path
    with pytest.raises(ValueError, match="instrument list"):
        venue.instruments(venue.live.rest + path, b"{}")


@pytest.mark.parametrize(
    ("name", "depth", "call"),
    [
        ("binance", 0, Call("/api/v3/depth?symbol=AB&limit=1000", 50)),
        ("binance", 100, Call("/api/v3/depth?symbol=AB&limit=100", 5)),
        ("binance", 500, Call("/api/v3/depth?symbol=AB&limit=500", 25)),
        ("binance", 5000, Call("/api/v3/depth?symbol=AB&limit=5000", 250)),
        ("binance-usdm", 5000, Call("/fapi/v1/depth?symbol=AB&limit=1000", 20)),
        ("binance-usdm", 50, Call("/fapi/v1/depth?symbol=AB&limit=50", 2)),
        ("okx", 0, None),
        ("kraken", 0, None),
    ],
)
def test_snapshots_and_their_weights(name: str, depth: int, call: Call | None) -> None:
    """Where they are fetched beside the stream (binance.md 4)."""
    assert VENUES[name].snapshot_call("AB", depth) == call


def test_rules_are_asked_for_in_short_where_lists_are_long() -> None:
    """Binance spot: only those that are traded; the answer is read as the list is."""
    venue = VENUES["binance"]
    call = venue.rules_call(["BTCUSDT", "ETHUSDT"])
    assert call == Call("/api/v3/exchangeInfo?symbols=%5B%22BTCUSDT%22%2C%22ETHUSDT%22%5D", 20)
    assert venue.instruments(call.path, b'{"symbols":[]}') == []
    assert venue.rules_call([]) == venue.instruments_call()
    assert VENUES["binance-usdm"].rules_call(["BTCUSDT"]) == VENUES["binance-usdm"].instruments_call()
    assert VENUES["okx"].rules_call(["BTC-USDT"]) == VENUES["okx"].instruments_call()


def test_addresses_without_a_path_get_one() -> None:
    """Binance's streams lie below /ws; others are taken as they are."""
    assert VENUES["binance"].stream_url("ws://127.0.0.1:1") == "ws://127.0.0.1:1/ws"
    assert VENUES["binance"].stream_url("wss://stream.binance.com:9443/ws") == "wss://stream.binance.com:9443/ws"
    assert VENUES["okx"].stream_url("ws://127.0.0.1:1") == "ws://127.0.0.1:1"


def test_used_weight() -> None:
    """Binance says it; nobody else does."""
    assert VENUES["binance"].used_weight({"x-mbx-used-weight-1m": "42"}) == 42
    for text in ("x", "\xb2", "9" * 5000):
        assert VENUES["binance"].used_weight({"x-mbx-used-weight-1m": text}) is None
    assert VENUES["okx"].used_weight({"x-mbx-used-weight-1m": "42"}) is None
