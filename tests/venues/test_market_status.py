"""Whether a market takes orders now, as each venue's list says it; what nobody knows counts as open."""

import json

import pytest

from gambit.model import ListedInstruments
from gambit.venues import VENUES

SHEETS = {
    "binance": (
        "https://api.binance.com/api/v3/exchangeInfo",
        {"symbol": "AAABBB", "baseAsset": "AAA", "quoteAsset": "BBB"},
        "symbols",
    ),
    "binance-usdm": (
        "https://fapi.binance.com/fapi/v1/exchangeInfo",
        {"symbol": "AAABBB", "baseAsset": "AAA", "quoteAsset": "BBB"},
        "symbols",
    ),
    "binance-coinm": (
        "https://dapi.binance.com/dapi/v1/exchangeInfo",
        {"symbol": "AAAUSD_PERP", "baseAsset": "AAA", "quoteAsset": "USD"},
        "symbols",
    ),
    "bybit": (
        "https://api.bybit.com/v5/market/instruments-info?category=spot",
        {"symbol": "AAABBB", "baseCoin": "AAA", "quoteCoin": "BBB"},
        "result.list",
    ),
    "okx": (
        "https://www.okx.com/api/v5/public/instruments?instType=SPOT",
        {"instType": "SPOT", "instId": "AAA-BBB", "baseCcy": "AAA", "quoteCcy": "BBB"},
        "data",
    ),
    "kraken": ("https://api.kraken.com/0/public/AssetPairs", {"wsname": "AAA/BBB"}, "result"),
    "coinbase": (
        "https://api.coinbase.com/api/v3/brokerage/market/products?product_type=SPOT",
        {"product_id": "AAA-BBB", "base_currency_id": "AAA", "quote_currency_id": "BBB", "product_type": "SPOT"},
        "products",
    ),
}
OPEN: dict[str, list[dict[str, object]]] = {
    "binance": [{"status": "TRADING"}, {"status": "NEVER_SEEN"}, {"status": None}, {}],
    "binance-usdm": [{"status": "TRADING"}, {}],
    "binance-coinm": [{"contractStatus": "TRADING"}, {}],
    "bybit": [{"status": "Trading"}, {"status": "NeverSeen"}, {}],
    "okx": [{"state": "live"}, {"state": "never seen"}, {}],
    "kraken": [{"status": "online"}, {"status": "limit_only"}, {"status": "never_seen"}, {}],
    "coinbase": [
        {"status": "online", "trading_disabled": False, "cancel_only": False, "view_only": False},
        {"limit_only": True}, {"trading_disabled": "true"}, {"status": "never seen"}, {},
    ],
}  # fmt: skip
CLOSED: dict[str, list[dict[str, object]]] = {
    "binance": [{"status": status} for status in ("HALT", "BREAK", "CANCEL_ONLY")],
    "binance-usdm": [{"status": "SETTLING"}],
    "binance-coinm": [{"contractStatus": "PRE_SETTLE"}],
    "bybit": [{"status": status} for status in ("PreLaunch", "Delivering", "Closed")],
    "okx": [{"state": state} for state in ("suspend", "preopen", "test", "post_only")],
    "kraken": [{"status": status} for status in ("cancel_only", "post_only", "reduce_only")],
    "coinbase": [
        {name: True} for name in ("trading_disabled", "is_disabled", "cancel_only", "post_only", "view_only")
    ],
}  # fmt: skip


def listed(venue: str, status: dict[str, object]) -> list[bool]:
    """Whether each market of a list of one is open."""
    url, row, path = SHEETS[venue]
    body: object = [row | status]
    for name in reversed(path.split(".")):
        body = {name: body}
    found = VENUES[venue].instruments(url, json.dumps(body).encode())
    assert found is not None
    return [one.is_open for one in found]


@pytest.mark.parametrize("venue", SHEETS)
def test_a_market_is_open_unless_its_status_says_otherwise(venue: str) -> None:
    """Statuses that take immediate limit orders, and those that nobody foresaw; a closed market keeps its place."""
    assert [listed(venue, status) for status in OPEN[venue]] == [[True]] * len(OPEN[venue])
    assert [listed(venue, status) for status in CLOSED[venue]] == [[False]] * len(CLOSED[venue])


def test_krakens_stream_says_it_too() -> None:
    """The instrument channel, at a change."""
    rows = [{"symbol": f"A/{k}", "status": status} for k, status in enumerate(("online", "cancel_only", "limit_only"))]
    [fact] = VENUES["kraken"].control({"channel": "instrument", "type": "update", "data": {"pairs": rows}})
    assert isinstance(fact, ListedInstruments)
    assert [one.is_open for one in fact.instruments] == [True, False, True]
