"""Bybit's language: spot and linear on their own addresses, three pongs, ids that grow by one."""

from decimal import Decimal

import pytest

from gambit.model import Acknowledged, Instrument, VenueNotice
from gambit.venues import VENUES
from tests.venues.listening import Listener, facts, requests

LIST = "https://api.bybit.com/v5/market/instruments-info"
SPOT = "wss://stream.bybit.com/v5/public/spot"
LINEAR = "wss://stream.bybit.com/v5/public/linear"


def orderbook(kind: str, u: int, bids: list[list[str]], asks: list[list[str]], depth: str = "50") -> object:
    """A frame of a book topic."""
    data = {"s": "AAABBB", "b": bids, "a": asks, "u": u, "seq": 9}
    return {"topic": f"orderbook.{depth}.AAABBB", "ts": 2, "type": kind, "data": data, "cts": 1}


@pytest.mark.parametrize(
    ("venue", "symbol", "spelling"),
    [
        ("bybit", "AAA-BBB", "AAABBB"),
        ("bybit", "AAA-BBB-PERP", None),
        ("bybit-linear", "AAA-USDT-PERP", "AAAUSDT"),
        ("bybit-linear", "AAA-USDT-27DEC24", "AAAUSDT-27DEC24"),
        ("bybit-linear", "AAA-USDT", None),
    ],
)
def test_spellings(venue: str, symbol: str, spelling: str | None) -> None:
    """No seam; linear perpetuals look like spot pairs."""
    assert VENUES[venue].spelling(symbol) == spelling
    assert VENUES[venue].symbol("AAABBB") is None


def test_instruments() -> None:
    """The lot is basePrecision on spot, qtyStep on linear; each venue reads the list of its own category."""
    body = (
        b'{"retCode":0,"result":{"category":"x","list":[{"symbol":"AAABBB","baseCoin":"AAA","quoteCoin":"BBB",'
        b'"lotSizeFilter":{%s,"minOrderQty":"0.5","maxOrderQty":"83"%s},"priceFilter":{"tickSize":"0.01"}},{"symbol":"X"}]}}'
    )
    spot = body % (b'"basePrecision":"0.001"', b',"minOrderAmt":"5"')
    shared = {"base": "AAA", "quote": "BBB", "tick": Decimal("0.01"), "min_qty": Decimal("0.5"), "spelling": "AAABBB"}
    shared["max_qty"] = Decimal(83)
    assert VENUES["bybit"].instruments(f"{LIST}?category=spot", spot) == [
        Instrument(symbol="AAA-BBB", lot=Decimal("0.001"), min_notional=Decimal(5), **shared)
    ]
    linear = body % (b'"qtyStep":"0.1"', b',"minNotionalValue":"7"')
    assert VENUES["bybit-linear"].instruments(f"{LIST}?category=linear&limit=1000", linear) == [
        Instrument(symbol="AAA-BBB-PERP", lot=Decimal("0.1"), min_notional=Decimal(7), **shared)
    ]
    larger = spot.replace(b'"83"', b'"83","maxLimitOrderQty":"90"')  # of limit orders, which is what is sent
    found = VENUES["bybit"].instruments(f"{LIST}?category=spot", larger)
    assert found is not None
    assert [i.max_qty for i in found] == [Decimal(90)]
    delivery = linear.replace(b"AAABBB", b"AAABBB-27DEC24")
    found = VENUES["bybit-linear"].instruments(f"{LIST}?category=linear", delivery)
    assert found is not None
    assert [i.symbol for i in found] == ["AAA-BBB-27DEC24"]


def test_lists_of_another_category_are_none() -> None:
    """Nor is one that does not say which it is of."""
    for venue, other in (("bybit", "linear"), ("bybit-linear", "spot"), ("bybit", "inverse"), ("bybit", "")):
        assert VENUES[venue].instruments(f"{LIST}?category={other}", b"{}") is None
    assert VENUES["bybit"].instruments(LIST, b"{}") is None
    assert VENUES["bybit"].instruments("https://api.bybit.com/v5/market/orderbook?category=spot", b"{}") is None
    with pytest.raises(ValueError, match="`list`"):
        VENUES["bybit"].instruments(f"{LIST}?category=spot", b'{"retCode":10006,"result":{}}')


def test_subscriptions() -> None:
    """Ten topics a request; 50 levels by default, one for best prices."""
    assert requests("bybit", ["AAABBB"]) == ['{"op":"subscribe","args":["orderbook.50.AAABBB"]}']
    assert requests("bybit", ["AAABBB"], "bbo") == ['{"op":"subscribe","args":["orderbook.1.AAABBB"]}']
    assert requests("bybit-linear", ["AAABBB"], depth=1000) == ['{"op":"subscribe","args":["orderbook.1000.AAABBB"]}']
    many = requests("bybit", [f"A{number}BBB" for number in range(21)])
    assert [text.count("orderbook") for text in many] == [10, 10, 1]
    with pytest.raises(ValueError, match="bybit has books of 1, 50, 200, 1000 levels, not 25"):
        requests("bybit", ["AAABBB"], depth=25)


@pytest.mark.parametrize(
    ("address", "is_spot", "is_linear"),
    [
        (None, True, True),
        (SPOT, True, False),
        (f"{SPOT}/", True, False),
        (f"{SPOT}?max_active_time=60s", True, False),
        (LINEAR, False, True),
        ("wss://stream.bybit.com/v5/public/inverse", False, False),
        ("wss://stream.bybit.com/v5/private", False, False),
        ("wss://stream.bybit.com/v5/public/linear?x=/spot", False, True),
        ("", False, False),
        ("wss://[not an address/spot", False, False),
    ],
)
def test_addresses(address: str | None, is_spot: bool, is_linear: bool) -> None:
    """A connection belongs to the market at the end of its path; one of unknown address is taken (R7)."""
    assert (VENUES["bybit"].accepts(address), VENUES["bybit-linear"].accepts(address)) == (is_spot, is_linear)


def test_frames_of_the_other_market_are_skipped() -> None:
    """They look the same and are not."""
    listener = Listener("bybit", ["AAA-BBB"], address=LINEAR)
    assert listener.hear(orderbook("snapshot", 5, [["1", "1"]], [["2", "1"]]), "not JSON") == []
    assert (listener.counts()["skipped"], listener.counts()["quarantined"]) == (2, 0)


@pytest.mark.parametrize(
    ("text", "notices"),
    [
        ('{"success":true,"ret_msg":"pong","conn_id":"0970","op":"ping"}', []),
        ('{"req_id":"test","op":"pong","args":["1675418560633"],"conn_id":"cfcb"}', []),
        ('{"retCode":0,"retMsg":"OK","op":"pong","data":["1711002002529"],"connId":"cnt5"}', []),
        ('{"success":true,"ret_msg":"subscribe","conn_id":"x","req_id":"1","op":"subscribe"}', [Acknowledged()]),
        ('{"success":true,"ret_msg":"","op":"subscribe","conn_id":"x"}', [Acknowledged()]),
        (
            '{"success":false,"ret_msg":"error:handler not found","conn_id":"x","req_id":"1","op":"subscribe"}',
            [VenueNotice("error:handler not found", True)],
        ),
    ],
)
def test_control_frames(text: str, notices: list[Acknowledged | VenueNotice]) -> None:
    """The three pongs say nothing, an ack that it is one, a refused request says why."""
    assert list(facts("bybit", text)) == notices
    listener = Listener("bybit")
    assert listener.hear(text) == []
    assert listener.notices() == [fact for fact in notices if isinstance(fact, VenueNotice)]
    assert (listener.counts()["unknown"], listener.counts()["quarantined"]) == (0, 0)


def test_depth() -> None:
    """A snapshot, then ids that grow by one; a snapshot at any time; u = 1 is one whatever it calls itself."""
    listener = Listener("bybit", ["AAA-BBB"], address=SPOT)
    told = listener.hear(
        orderbook("delta", 4, [["9", "1"]], []),
        orderbook("snapshot", 5, [["1", "1"]], [["2", "1"]]),
        orderbook("delta", 6, [["1.5", "2"], ["1", "0"]], []),
        orderbook("snapshot", 50, [["1.2", "1"]], []),
        orderbook("delta", 1, [["1.1", "1"]], [["3", "1"]]),
        orderbook("delta", 2, [], [["3", "4"]]),
    )
    one = Decimal(1)
    assert told == [
        ("AAA-BBB", one, 1, 2, 1, 5),
        ("AAA-BBB", Decimal("1.5"), 2, 2, 1, 6),
        ("AAA-BBB", Decimal("1.2"), 1, None, None, 50),
        ("AAA-BBB", Decimal("1.1"), 1, 3, 1, 1),
        ("AAA-BBB", Decimal("1.1"), 1, 3, 4, 2),
    ]
    assert listener.hear(orderbook("delta", 2, [], []), orderbook("delta", 3, [], [])) == []
    assert [listener.book()[name] for name in ("synced", "gaps", "snapshots", "applied")] == [False, 1, 3, 2]


def test_fields_come_in_any_order() -> None:
    """Spot puts ts before type."""
    text = (
        '{"topic":"orderbook.50.AAABBB","ts":1,"type":"snapshot","cts":1,"data":{"u":5,"seq":9,"a":[["2","1"]],'
        '"b":[["1","1"]],"s":"AAABBB"}}'
    )
    assert Listener("bybit", ["AAA-BBB"]).hear(text) == [("AAA-BBB", 1, 1, 2, 1, 5)]


def test_best_prices() -> None:
    """orderbook.1 is all snapshots, sent again with the same id when nothing happens; restarts begin at 1."""
    listener = Listener("bybit", ["AAA-BBB"], bbo=True)
    told = listener.hear(
        orderbook("snapshot", 7, [["1", "1"]], [["2", "1"]], "1"),
        orderbook("snapshot", 7, [["1", "1"]], [["2", "1"]], "1"),
        orderbook("snapshot", 6, [["0.5", "1"]], [["2", "1"]], "1"),
        orderbook("snapshot", 8, [["0.9", "1"]], [["1.9", "1"]], "50"),
        orderbook("snapshot", 1, [["0.7", "1"]], [["2", "1"]], "1"),
    )
    assert [(bid, seq) for _, bid, _, _, _, seq in told] == [(1, 7), (1, 7), (Decimal("0.7"), 1)]
    assert listener.book()["dropped_stale"] == 1


@pytest.mark.parametrize(
    "topic",
    ["publicTrade.AAABBB", "tickers.AAABBB", "kline.1.AAABBB", "liquidation.AAABBB", "allLiquidation.AAABBB"],
)
def test_other_topics_touch_nothing(topic: str) -> None:
    """They are known."""
    listener = Listener("bybit", ["AAA-BBB"])
    assert listener.hear({"topic": topic, "ts": 1, "type": "snapshot", "data": [{"s": "AAABBB", "u": 1}]}) == []
    assert (listener.counts()["unknown"], listener.counts()["quarantined"]) == (0, 0)


@pytest.mark.parametrize(
    "topic", ["orderbook.x.AAABBB", "orderbook..AAABBB", "orderbook.50.", "orderbook.full.AAABBB", "new.A"]
)
def test_unknown_topics_are_counted(topic: str) -> None:
    """Also those that begin as books do."""
    listener = Listener("bybit", ["AAA-BBB"])
    frame = orderbook("snapshot", 5, [["1", "1"]], [["2", "1"]])
    assert isinstance(frame, dict)
    assert listener.hear({**frame, "topic": topic}) == []
    assert (listener.counts()["unknown"], listener.counts()["quarantined"]) == (1, 0)
