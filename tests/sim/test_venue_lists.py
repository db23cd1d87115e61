"""Public REST of the live simulated Bybit, Kraken and Coinbase: instrument lists follow the rules in force."""

import pytest

from tests.sim.talk import Talk


def bybit(talk: Talk) -> dict[str, str]:
    row = talk.json("GET", "/v5/market/instruments-info", "category=spot")["result"]["list"][1]
    lot = row["lotSizeFilter"]
    return {"symbol": row["symbol"], "tick": row["priceFilter"]["tickSize"], "lot": lot["basePrecision"],
            "min_qty": lot["minOrderQty"], "min_cost": lot["minOrderAmt"], "status": row["status"]}  # fmt: skip


def kraken(talk: Talk) -> dict[str, str]:
    result = talk.json("GET", "/0/public/AssetPairs", "pair=ETHUSDT")["result"]
    row = result["ETHUSDT"]
    return {"symbol": row["altname"], "tick": row["tick_size"], "lot": f"1e-{row['lot_decimals']}",
            "min_qty": row["ordermin"], "min_cost": row["costmin"], "status": row["status"]}  # fmt: skip


def coinbase(talk: Talk) -> dict[str, str]:
    row = talk.json("GET", "/api/v3/brokerage/market/products")["products"][1]
    status = "disabled" if row["trading_disabled"] else "cancel_only" if row["cancel_only"] else row["status"]
    return {"symbol": row["product_id"], "tick": row["price_increment"], "lot": row["base_increment"],
            "min_qty": row["base_min_size"], "min_cost": row["quote_min_size"], "status": status}  # fmt: skip


LISTS = {"bybit": bybit, "kraken": kraken, "coinbase": coinbase}
EXPECTED = {
    "bybit": {"symbol": "ETHUSDT", "tick": "0.01", "min_cost": "5", "status": "Trading"},
    "kraken": {"symbol": "ETHUSDT", "tick": "0.01", "min_cost": "0.5", "status": "online"},
    "coinbase": {"symbol": "ETH-USDT", "tick": "0.001", "min_cost": "1", "status": "online"},
}
CHANGED = {
    "bybit": {"tick": "0.02", "min_cost": "7", "status": "Closed"},
    "kraken": {"tick": "0.02", "min_cost": "7", "status": "maintenance"},
    "coinbase": {"tick": "0.002", "min_cost": "7", "status": "disabled"},
}


@pytest.mark.parametrize("venue", LISTS)
def test_instrument_lists_say_the_rules_in_force(venue):
    """Increments, minimums and status as the desk applies them, also while a fault has changed them."""
    talk = Talk(venue)
    assert LISTS[venue](talk).items() >= EXPECTED[venue].items()
    talk.strike("filters", args={"symbol": "ETH-USDT", "tick_multiple": 2, "min_cost": "7"}, for_ms=1000)
    talk.strike("status", args={"symbol": "ETH-USDT"}, for_ms=1000)
    assert LISTS[venue](talk).items() >= CHANGED[venue].items()
    talk.pass_ms(1100)
    assert LISTS[venue](talk).items() >= EXPECTED[venue].items()


@pytest.mark.parametrize(
    ("venue", "path", "query", "status", "words"),
    [
        ("bybit", "/v5/market/nothing", "", 404, "10404"),
        ("bybit", "/v5/market/orderbook", "category=spot&symbol=FOO", 200, "10001"),
        ("kraken", "/0/public/Depth", "pair=FOO", 200, "EQuery:Unknown asset pair"),
        ("kraken", "/0/public/Nothing", "", 200, "EGeneral:Unknown method"),
        ("coinbase", "/api/v3/brokerage/market/products/FOO-USD", "", 404, "NOT_FOUND"),
    ],
)
def test_what_is_not_there_is_refused_in_the_venues_words(venue, path, query, status, words):
    """Unknown paths and symbols."""
    reply = Talk(venue).ask("GET", path, query)
    assert reply.status == status
    assert words in reply.body


@pytest.mark.parametrize(
    ("venue", "path", "query", "requests", "status", "words"),
    [
        ("bybit", "/v5/market/time", "", 601, 403, "access too frequent"),
        ("kraken", "/0/public/Time", "", 16, 200, "EAPI:Rate limit exceeded"),
        ("coinbase", "/api/v3/brokerage/time", "", 11, 429, "rate_limit_exceeded"),
    ],
)
def test_too_many_requests_are_refused(venue, path, query, requests, status, words):
    """The first that is too much, and none before."""
    talk = Talk(venue)
    replies = [talk.ask("GET", path, query) for _ in range(requests)]
    assert [words in reply.body for reply in replies] == [False] * (requests - 1) + [True]
    assert replies[-1].status == status


@pytest.mark.parametrize(
    ("venue", "kind", "status", "words"),
    [
        ("bybit", "limit", 200, "10006"),
        ("bybit", "maintenance", 503, "10016"),
        ("kraken", "limit", 200, "EService:Throttled: 170000000"),
        ("kraken", "maintenance", 200, "EService:Unavailable"),
        ("coinbase", "limit", 429, "rate_limit_exceeded"),
        ("coinbase", "maintenance", 503, "UNAVAILABLE"),
    ],
)
def test_outages_are_worded_as_the_venue_does(venue, kind, status, words):
    """limit and maintenance answer everything until they end."""
    path = {"bybit": "/v5/market/time", "kraken": "/0/public/Time", "coinbase": "/api/v3/brokerage/time"}[venue]
    talk = Talk(venue)
    talk.strike(kind, args={"seconds": 2} if kind == "limit" else {"scope": "all"}, for_ms=1000)
    reply = talk.ask("GET", path)
    assert reply.status == status
    assert words in reply.body
    talk.pass_ms(3000)
    assert talk.ask("GET", path).status == 200
    assert words not in talk.ask("GET", path).body
