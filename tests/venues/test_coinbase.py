"""Coinbase Advanced Trade's language: level2 that arrives as l2_data, offers, and one counter for a connection."""

from decimal import Decimal

import pytest

from gambit.model import Acknowledged, Instrument, VenueNotice
from gambit.venues import VENUES
from tests.venues.listening import Listener, facts, requests

LIST = "https://api.coinbase.com/api/v3/brokerage/market/products?product_type=SPOT"


def message(channel: str, number: int, *events: object) -> dict[str, object]:
    """A frame of a channel."""
    head = {"channel": channel, "client_id": "", "timestamp": "2026-04-07T14:30:00.123456Z", "sequence_num": number}
    return {**head, "events": list(events)}


def event(kind: str, *levels: tuple[str, str, str], product: str = "AAA-BBB") -> dict[str, object]:
    """One book's part of an l2_data frame, levels as (side, price, quantity)."""
    updates = [
        {"side": side, "event_time": "1970-01-01T00:00:00Z", "price_level": price, "new_quantity": qty}
        for side, price, qty in levels
    ]
    return {"type": kind, "product_id": product, "updates": updates}


def test_spellings() -> None:
    """product_id is the symbol, of exactly two parts."""
    coinbase = VENUES["coinbase"]
    assert [coinbase.spelling(symbol) for symbol in ("AAA-BBB", "AAA-BBB-PERP")] == ["AAA-BBB", None]
    assert [coinbase.symbol(text) for text in ("AAA-BBB", "BIT-28JUL23-CDE", "AAA")] == ["AAA-BBB", None, None]


def test_a_product_with_another_ones_books() -> None:
    """A -USDC product says as what its books come; one of its own, and the pairs of two stablecoins, say nothing."""
    entry = '{"product_id":"%s","alias":%s,"product_type":"SPOT"}'
    rows = [("BTC-USDC", '"BTC-USD"'), ("BTC-USD", '""'), ("USDT-USDC", '""'), ("A-B", '"A-B"'), ("C-D", "null")]
    body = '{"products":[' + ",".join(entry % row for row in rows) + "]}"
    found = VENUES["coinbase"].instruments(LIST, body.encode())
    assert found is not None
    assert [each.delivered_as for each in found] == ["BTC-USD", "", "", "", ""]


def test_instruments() -> None:
    """Spot products only."""
    entry = (
        '{"product_id":"%s","price_increment":"0.01","base_increment":"0.001","quote_min_size":"1","base_min_size":"0.5",'
        '"base_max_size":"3400",'
        '"base_currency_id":"AAA","quote_currency_id":"BBB","product_type":"%s"}'
    )
    rows = f"{entry % ('AAA-BBB', 'SPOT')},{entry % ('AAA-28JUL23-CDE', 'FUTURE')}"
    assert VENUES["coinbase"].instruments(LIST, f'{{"products":[{rows}],"num_products":2}}'.encode()) == [
        Instrument(
            symbol="AAA-BBB",
            spelling="AAA-BBB",
            base="AAA",
            quote="BBB",
            tick=Decimal("0.01"),
            lot=Decimal("0.001"),
            min_qty=Decimal("0.5"),
            max_qty=Decimal(3400),
            min_notional=Decimal(1),
        )
    ]
    assert (
        VENUES["coinbase"].instruments("https://api.coinbase.com/api/v3/brokerage/market/product_book", b"{}") is None
    )
    with pytest.raises(ValueError, match="`products`"):
        VENUES["coinbase"].instruments(LIST, b'{"errors":[{"id":"rate_limit_exceeded"}]}')


def test_subscriptions() -> None:
    """One channel a request; always heartbeats, without which a quiet connection is closed; no depth to choose."""
    heartbeats = '{"type":"subscribe","channel":"heartbeats"}'
    assert requests("coinbase", ["AAA-BBB", "AAA-CCC"]) == [
        '{"type":"subscribe","product_ids":["AAA-BBB","AAA-CCC"],"channel":"level2"}',
        heartbeats,
    ]
    assert requests("coinbase", ["AAA-BBB"], "bbo") == [
        '{"type":"subscribe","product_ids":["AAA-BBB"],"channel":"ticker"}',
        heartbeats,
    ]
    with pytest.raises(ValueError, match="coinbase sends the whole book, not 50 levels"):
        requests("coinbase", ["AAA-BBB"], depth=50)


@pytest.mark.parametrize(
    ("text", "notices"),
    [
        ('{"type":"error","message":"authentication failure"}', [VenueNotice("authentication failure", True)]),
        (
            '{"channel":"subscriptions","client_id":"","timestamp":"2024-10-04T07:13:08.6Z","sequence_num":0,'
            '"events":[{"subscriptions":{"level2":["AAA-BBB"],"heartbeats":["heartbeats"]}}]}',
            [Acknowledged()],
        ),
    ],
)
def test_control_frames(text: str, notices: list[Acknowledged | VenueNotice]) -> None:
    """An error has no channel; a list of subscriptions is the ack."""
    assert list(facts("coinbase", text)) == notices
    listener = Listener("coinbase")
    assert listener.hear(text) == []
    assert listener.notices() == [fact for fact in notices if isinstance(fact, VenueNotice)]
    assert (listener.counts()["unknown"], listener.counts()["quarantined"]) == (0, 0)


@pytest.mark.parametrize("client_id", [True, False])
def test_depth(client_id: bool) -> None:
    """Bids and offers, zero removes however it is written; the client id may be missing."""
    frames = [
        message("subscriptions", 0),
        message("l2_data", 1, event("snapshot", ("bid", "1.50", "2"), ("offer", "2.5", "3"), ("bid", "1", "1"))),
        message("l2_data", 2, event("update", ("bid", "1.5", "0.00000000"), ("offer", "2.4", "0.1"))),
    ]
    if not client_id:
        frames = [{key: value for key, value in frame.items() if key != "client_id"} for frame in frames]
    told = Listener("coinbase").hear(*frames)
    assert told == [
        ("AAA-BBB", Decimal("1.5"), 2, Decimal("2.5"), 3, 1),
        ("AAA-BBB", 1, 1, Decimal("2.4"), Decimal("0.1"), 2),
    ]


def test_one_counter_for_the_connection() -> None:
    """Every channel counts; an old number is ignored, a jump loses all books, whatever frame it was that was lost."""
    listener = Listener("coinbase")
    listener.hear(message("l2_data", 5, event("snapshot", ("bid", "1", "1"), ("offer", "2", "1"))))
    assert (
        len(listener.hear(message("heartbeats", 6), message("l2_data", 7, event("update", ("bid", "1.1", "1"))))) == 1
    )
    assert listener.hear(message("l2_data", 7, event("update", ("bid", "1.2", "1"))), message("ticker", 3)) == []
    assert (listener.book()["synced"], listener.book()["dropped_stale"], listener.book()["seq"]) == (True, 1, 7)
    assert listener.hear(message("market_trades", 9)) == []
    assert (listener.book()["synced"], listener.book()["gaps"]) == (False, 1)
    assert listener.hear(message("l2_data", 10, event("update", ("bid", "1.2", "1")))) == []
    assert len(listener.hear(message("l2_data", 11, event("snapshot", ("bid", "1", "1"))))) == 1


def test_numbers_of_unknown_symbols_count() -> None:
    """Frames about what nobody asked for are skipped and keep the sequence whole (R7)."""
    listener = Listener("coinbase", ["AAA-BBB"])
    listener.hear(
        message("l2_data", 0, event("snapshot", ("bid", "1", "1"))),
        message("l2_data", 1, event("snapshot", ("bid", "1", "1"), product="CCC-BBB")),
        message("l2_data", 2, event("update", ("bid", "2", "1"))),
    )
    assert (listener.book()["applied"], listener.book()["gaps"], listener.counts()["skipped"]) == (1, 0, 1)


@pytest.mark.parametrize("side", ["ask", "buy", "BID", "", None])
def test_sides_that_there_are_none_of(side: str | None) -> None:
    """A level that is neither bid nor offer makes the frame bad."""
    listener = Listener("coinbase")
    listener.hear(message("l2_data", 0, event("snapshot", ("bid", "1", "1"))))
    bad = event("update", ("bid", "2", "1"))
    bad["updates"][0]["side"] = side  # type: ignore[index]
    assert listener.hear(message("l2_data", 1, bad)) == []
    assert (listener.book()["synced"], listener.book()["quarantined"]) == (False, 1)


def test_best_prices() -> None:
    """A ticker brings both sides, on trades; an older one is impossible, the counter sees to it."""
    ticker = {
        "type": "ticker", "product_id": "AAA-BBB", "price": "1.7", "volume_24_h": "5", "best_bid": "1.50",
        "best_bid_quantity": "2", "best_ask": "2.5", "best_ask_quantity": "3.0",
    }  # fmt: skip
    frame = message("ticker", 4, {"type": "update", "tickers": [ticker, {**ticker, "product_id": "CCC-BBB"}]})
    told = Listener("coinbase", bbo=True).hear(frame)
    assert told == [(name, Decimal("1.5"), 2, Decimal("2.5"), 3, 4) for name in ("AAA-BBB", "CCC-BBB")]
    assert Listener("coinbase").hear(frame) == []


def test_other_channels_touch_nothing() -> None:
    """ticker_batch has no best prices; a channel by the name that was asked for never comes."""
    listener = Listener("coinbase")
    known = ("ticker_batch", "market_trades", "candles", "status", "heartbeats")
    for number, channel in enumerate((*known, "level2", "user")):
        assert listener.hear(message(channel, number, event("snapshot", ("bid", "1", "1")))) == []
    assert (listener.counts()["unknown"], listener.counts()["quarantined"]) == (2, 0)
    assert list(listener.market.books()) == []
