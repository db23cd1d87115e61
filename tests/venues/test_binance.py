"""Binance's language: spot, the US exchange, USD-M and COIN-M futures."""

from decimal import Decimal

import pytest

from gambit.model import Acknowledged, DepthSnapshot, Instrument, VenueNotice
from gambit.venues import VENUES
from gambit.venues.wire import BadFrame
from tests.venues.listening import Listener, facts, requests

INFO = "https://api.binance.com/api/v3/exchangeInfo"
SPOT_ENTRY = (
    b'{"timezone":"UTC","symbols":[{"symbol":"AAABBB","status":"TRADING","baseAsset":"AAA","quoteAsset":"BBB","filters":['
    b'{"filterType":"PRICE_FILTER","minPrice":"0.00010000","tickSize":"0.00010000"},'
    b'{"filterType":"LOT_SIZE","minQty":"0.50000000","maxQty":"9000.00000000","stepSize":"0.10000000"},'
    b'{"filterType":"NOTIONAL","minNotional":"5.00000000"}]}]}'
)


@pytest.mark.parametrize(
    ("venue", "symbol", "spelling"),
    [
        ("binance", "BTC-USDT", "BTCUSDT"),
        ("binance", "BTC-USDT-PERP", None),
        ("binance-us", "ETH-USD", "ETHUSD"),
        ("binance-usdm", "BTC-USDT-PERP", "BTCUSDT"),
        ("binance-usdm", "BTC-USDC-PERP", "BTCUSDC"),
        ("binance-usdm", "BTC-USDT-240927", "BTCUSDT_240927"),
        ("binance-usdm", "BTC-USD-PERP", None),
        ("binance-usdm", "BTC-USDT", None),
        ("binance-coinm", "BTC-USD-PERP", "BTCUSD_PERP"),
        ("binance-coinm", "BTC-USD-240927", "BTCUSD_240927"),
        ("binance-coinm", "BTC-USDT-PERP", None),
        ("binance-coinm", "BTC-USD", None),
    ],
)
def test_spellings(venue: str, symbol: str, spelling: str | None) -> None:
    """No seam between base and quote; perpetuals and deliveries only on the futures, each in its own money."""
    assert VENUES[venue].spelling(symbol) == spelling
    if spelling is not None:
        assert VENUES[venue].symbol(spelling) is None


def test_spot_instruments() -> None:
    """Tick, lot, least quantity and least notional of a list."""
    assert VENUES["binance"].instruments(f"{INFO}?permissions=SPOT", SPOT_ENTRY) == [
        Instrument(
            symbol="AAA-BBB",
            spelling="AAABBB",
            base="AAA",
            quote="BBB",
            tick=Decimal("0.0001"),
            lot=Decimal("0.1"),
            min_qty=Decimal("0.5"),
            max_qty=Decimal(9000),
            min_notional=Decimal(5),
        )
    ]


def test_futures_instruments() -> None:
    """USD-M perpetuals and deliveries have base quantities; COIN-M counts contracts, whose lots are not the base's."""
    entry = (
        b'{"symbol":"%s","baseAsset":"AAA","quoteAsset":"%s","contractType":"PERPETUAL",%s"filters":['
        b'{"filterType":"LOT_SIZE","minQty":"1","stepSize":"1"},{"filterType":"MIN_NOTIONAL","notional":"5"}]}'
    )
    usdm = b'{"symbols":[%s,%s]}' % (entry % (b"AAAUSDT", b"USDT", b""), entry % (b"AAAUSDT_240927", b"USDT", b""))
    found = VENUES["binance-usdm"].instruments("https://fapi.binance.com/fapi/v1/exchangeInfo", usdm)
    assert found is not None
    assert [(i.symbol, i.spelling, i.lot, i.min_notional, i.contract_size) for i in found] == [
        ("AAA-USDT-PERP", "AAAUSDT", Decimal(1), Decimal(5), None),
        ("AAA-USDT-240927", "AAAUSDT_240927", Decimal(1), Decimal(5), None),
    ]
    coinm = b'{"symbols":[%s,%s]}' % (
        entry % (b"AAAUSD_PERP", b"USD", b'"contractSize":25,'),
        (entry % (b"BTCUSD_240927", b"USD", b"")).replace(b"AAA", b"BTC"),
    )
    found = VENUES["binance-coinm"].instruments("https://dapi.binance.com/dapi/v1/exchangeInfo", coinm)
    assert found is not None
    assert [(i.symbol, i.lot, i.min_qty, i.contract_size) for i in found] == [
        ("AAA-USD-PERP", None, None, Decimal(25)),
        ("BTC-USD-240927", None, None, Decimal(100)),
    ]


@pytest.mark.parametrize(("symbol", "size"), [("BTC-USD-PERP", 100), ("ETH-USD-PERP", 10), ("AAA-USD-240927", 10)])
def test_contracts_of_no_list(symbol: str, size: int) -> None:
    """100 USD for BTC, 10 for anything else; everywhere else quantities are base units (D4)."""
    assert VENUES["binance-coinm"].default_contract_size(symbol) == size
    assert all(VENUES[venue].default_contract_size(symbol) is None for venue in VENUES if venue != "binance-coinm")


def test_lists_that_are_none() -> None:
    """Another address is no list; a list that cannot be read raises; entries without names are left out."""
    venue = VENUES["binance"]
    assert venue.instruments("https://api.binance.com/api/v3/depth?symbol=BTCUSDT", b"{}") is None
    for body in (b"{}", b"[]", b'{"symbols":5}', b"not JSON"):
        with pytest.raises(ValueError, match=r".+"):
            venue.instruments(INFO, body)
    assert (
        venue.instruments(INFO, b'{"symbols":[{"symbol":"X"},5,{"symbol":"","baseAsset":"A","quoteAsset":"B"}]}') == []
    )


def test_subscriptions() -> None:
    """Lower case stream names; depth diffs every 100 ms, or best prices."""
    assert requests("binance", ["BTCUSDT", "ETHUSDT"]) == [
        '{"method":"SUBSCRIBE","params":["btcusdt@depth@100ms","ethusdt@depth@100ms"],"id":1}'
    ]
    assert requests("binance-coinm", ["BTCUSD_PERP"], "bbo") == [
        '{"method":"SUBSCRIBE","params":["btcusd_perp@bookTicker"],"id":1}'
    ]


def test_many_subscriptions_are_several_requests() -> None:
    """At most 200 streams each, numbered; none for nothing."""
    texts = requests("binance-usdm", [f"A{number}USDT" for number in range(401)])
    assert [text.count("@depth") for text in texts] == [200, 200, 1]
    assert [text[-7:] for text in texts] == ['"id":1}', '"id":2}', '"id":3}']
    assert requests("binance", []) == []


def test_depths_that_there_are_none_of() -> None:
    """The message says which there are."""
    assert requests("binance", ["BTCUSDT"], depth=5000)
    with pytest.raises(ValueError, match=r"binance snapshots have 5, 10, .*, 5000 levels, not 7"):
        requests("binance", ["BTCUSDT"], depth=7)


@pytest.mark.parametrize("address", [None, "", "wss://stream.binance.com:9443/ws", "wss://elsewhere"])
def test_every_address_is_taken(address: str | None) -> None:
    """The venue of a connection is said beside it."""
    assert all(VENUES[venue].accepts(address) for venue in VENUES if venue.startswith("binance"))
    assert VENUES["binance"].time_unit_ns(address) == 1_000_000


def test_addresses_may_ask_for_microseconds() -> None:
    """With the parameter of the manual and no other."""
    unit_ns = VENUES["binance"].time_unit_ns
    assert unit_ns("wss://stream.binance.com:9443/stream?streams=x&timeUnit=MICROSECOND") == 1_000
    assert unit_ns("wss://stream.binance.com:9443/ws?timeUnit=microsecond") == 1_000
    assert unit_ns("wss://stream.binance.com:9443/ws?timeUnit=MILLISECOND") == 1_000_000


@pytest.mark.parametrize(
    ("text", "notices"),
    [
        ('{"result":null,"id":1}', [Acknowledged()]),
        ('{"result":["btcusdt@depth@100ms"],"id":3}', []),
        ('{"code":2,"msg":"Invalid request: x"}', [VenueNotice("2: Invalid request: x", True)]),
        ('{"error":{"code":2,"msg":"no"},"id":1}', [VenueNotice("2: no", True)]),
        ('{"e":"serverShutdown","E":1770123456789}', [VenueNotice("the server shuts down", False, is_closing=True)]),
        (
            '{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}',
            [VenueNotice("the server shuts down", False, is_closing=True)],
        ),
    ],
)
def test_control_frames(text: str, notices: list[Acknowledged | VenueNotice]) -> None:
    """Acks, both forms of an error and the shutdown notice are told, and reach the market."""
    assert list(facts("binance", text)) == notices
    listener = Listener("binance")
    assert listener.hear(text) == []
    assert listener.notices() == [fact for fact in notices if isinstance(fact, VenueNotice)]
    assert (listener.counts()["frames"], listener.counts()["unknown"], listener.counts()["quarantined"]) == (1, 0, 0)


@pytest.mark.parametrize("is_wrapped", [False, True])
def test_depth(is_wrapped: bool) -> None:
    """Diffs join a snapshot and follow each other; absolute quantities, zero removes; raw and combined streams."""

    def diff(first: int, last: int, bids: list[list[str]], asks: list[list[str]]) -> object:
        body = {"e": "depthUpdate", "E": 1672515782136, "s": "AAABBB", "U": first, "u": last, "b": bids, "a": asks}
        return {"stream": "aaabbb@depth@100ms", "data": body} if is_wrapped else body

    listener = Listener("binance", ["AAA-BBB"])
    assert listener.hear(diff(157, 160, [["0.5", "10"]], [["0.6", "5"]])) == []
    listener.answer(
        "https://api.binance.com/api/v3/depth?symbol=AAABBB&limit=1000",
        {"lastUpdateId": 158, "bids": [["0.4", "1.0"]], "asks": [["0.7", "2"]]},
    )
    told = listener.hear(diff(161, 163, [["0.50000000", "0.00000000"]], [["0.65", "1.5"]]))
    exact = [Decimal(text) for text in ("0.5", "10", "0.6", "5", "0.4", "1", "0.6", "5")]
    assert told == [("AAA-BBB", *exact[:4], 160), ("AAA-BBB", *exact[4:], 163)]
    assert listener.hear(diff(165, 166, [], [])) == []
    assert (listener.book()["synced"], listener.book()["gaps"]) == (False, 1)


def test_futures_name_the_id_before() -> None:
    """A jump in U is none where pu follows (D5)."""
    listener = Listener("binance-usdm", ["AAA-USDT-PERP"])
    url = "https://fapi.binance.com/fapi/v1/depth?symbol=AAAUSDT"
    listener.answer(url, {"lastUpdateId": 10, "bids": [["1", "1"]], "asks": [["2", "1"]]})
    diff = {"e": "depthUpdate", "E": 1, "T": 1, "s": "AAAUSDT", "ps": "AAAUSDT", "b": [], "a": []}
    assert len(listener.hear({**diff, "U": 20, "u": 25, "pu": 10}, {**diff, "U": 30, "u": 31, "pu": 25})) == 3
    assert listener.hear({**diff, "U": 40, "u": 41, "pu": 39}) == []
    assert listener.book()["gaps"] == 1


def test_partial_depth_is_no_diff() -> None:
    """The futures send the best levels as depthUpdate too; spot's has no symbol at all."""
    body = {"e": "depthUpdate", "E": 1, "s": "AAAUSDT", "U": 1, "u": 2, "pu": 0, "b": [["1", "1"]], "a": [["2", "1"]]}
    listener = Listener("binance-usdm", ["AAA-USDT-PERP"])
    assert listener.hear({"stream": "aaausdt@depth20@100ms", "data": body}) == []
    spot = Listener("binance", ["AAA-USDT"])
    assert spot.hear({"lastUpdateId": 160, "bids": [["1", "1"]], "asks": [["2", "1"]]}) == []
    for heard in (listener, spot):
        assert list(heard.market.books()) == []
        assert heard.counts()["quarantined"] == 0


@pytest.mark.parametrize(
    "frame",
    [
        '{"u":7,"s":"AAABBB","b":"0.50","B":"3","a":"0.6","A":"4"}',
        '{"stream":"aaabbb@bookTicker","data":{"u":7,"s":"AAABBB","b":"0.50","B":"3","a":"0.6","A":"4"}}',
        '{"e":"bookTicker","u":7,"E":1,"T":1,"s":"AAABBB","b":"0.50","B":"3","a":"0.6","A":"4"}',
    ],
)
def test_best_prices(frame: str) -> None:
    """Spot's bookTicker has no event type, that of the futures has one."""
    told = Listener("binance", ["AAA-BBB"], bbo=True).hear(frame)
    assert told == [("AAA-BBB", Decimal("0.5"), 3, Decimal("0.6"), 4, 7)]
    depth = Listener("binance", ["AAA-BBB"])
    assert (depth.hear(frame), list(depth.market.books())) == ([], [])


@pytest.mark.parametrize("missing", ["u", "s", "b", "B", "a", "A"])
def test_best_prices_that_lack_something(missing: str) -> None:
    """The frame is quarantined, and the book lost where the frame names it."""
    listener = Listener("binance", ["AAA-BBB"], bbo=True)
    whole = {"u": 7, "s": "AAABBB", "b": "0.50", "B": "3", "a": "0.6", "A": "4"}
    assert len(listener.hear(whole)) == 1
    assert listener.hear({key: value for key, value in {**whole, "u": 8}.items() if key != missing}) == []
    assert listener.counts()["quarantined"] == 1
    assert listener.book()["synced"] is (missing == "s")


def test_trades_and_other_streams_touch_nothing() -> None:
    """They are known, and counted by kind."""
    listener = Listener("binance", ["AAA-BBB"])
    for name in ("trade", "aggTrade", "24hrTicker", "24hrMiniTicker", "kline", "markPriceUpdate", "avgPrice"):
        assert listener.hear({"e": name, "E": 1, "s": "AAABBB", "p": "1", "q": "1"}) == []
    assert listener.hear({"e": "somethingNew", "s": "AAABBB"}, {"e": 5}) == []
    counts = listener.counts()
    assert (counts["frames"], counts["unknown"], counts["quarantined"]) == (9, 2, 0)
    assert list(listener.market.books()) == []


def test_snapshots() -> None:
    """Levels with their texts' digits; the symbol of the address in upper case, None where there is none."""
    body = b'{"lastUpdateId":5,"bids":[["0.50","10"]],"asks":[["6e-1","0"]]}'
    levels = [(0, 50, 2, 2, 10, 0, 0), (1, 6, 1, 1, 0, 0, 0)]
    found = VENUES["binance"].depth_snapshot("https://x/api/v3/depth?symbol=aaabbb", body)
    assert isinstance(found, DepthSnapshot)
    assert (found.spelling, found.last_id) == ("AAABBB", 5)
    assert [
        (level[0], Decimal(level[1]).scaleb(-level[2]), Decimal(level[4]).scaleb(-level[5])) for level in found.levels
    ] == [(side, Decimal(price).scaleb(-decimals), Decimal(qty)) for side, price, decimals, _, qty, _, _ in levels]
    nameless = VENUES["binance"].depth_snapshot("depth?limit=5", body)
    assert nameless is not None
    assert nameless.spelling is None
    assert VENUES["binance"].depth_snapshot("https://x/api/v3/depths?symbol=AAABBB", body) is None
    assert VENUES["binance"].depth_snapshot("https://x/depth", b'{"code":-1121,"msg":"Invalid symbol."}') is None


@pytest.mark.parametrize(
    "body",
    [
        "no JSON", "[]", "5", '{"bids":[],"asks":[]}', '{"lastUpdateId":"5","bids":[],"asks":[]}',
        '{"lastUpdateId":5.0,"bids":[],"asks":[]}', '{"lastUpdateId":9223372036854775808,"bids":[],"asks":[]}',
        '{"lastUpdateId":5,"bids":[]}', '{"lastUpdateId":5,"bids":{},"asks":[]}',
        '{"lastUpdateId":5,"bids":[["1"]],"asks":[]}', '{"lastUpdateId":5,"bids":[["1","1","1"]],"asks":[]}',
        '{"lastUpdateId":5,"bids":[["0","1"]],"asks":[]}', '{"lastUpdateId":5,"bids":[["1","-1"]],"asks":[]}',
        '{"lastUpdateId":5,"bids":[["1",NaN]],"asks":[]}',
    ],
)  # fmt: skip
def test_bad_snapshots(body: str) -> None:
    """They name the book that must not be believed because of them."""
    with pytest.raises(BadFrame) as caught:
        VENUES["binance"].depth_snapshot("https://x/depth?symbol=AAABBB", body.encode())
    assert caught.value.spelling == "AAABBB"
    assert caught.value.reason


@pytest.mark.parametrize("ident", ['"id":1', '"id":null', '"x":1'])
def test_an_error_is_one_with_and_without_an_id(ident: str) -> None:
    """Both spellings of errors were seen in the field (binance.md 1), and an id is not always with them."""
    listener = Listener("binance", ["AAA-BBB"])
    listener.hear(f'{{"error":{{"code":2,"msg":"Invalid request"}},{ident}}}', f'{{"code":3,"msg":"No JSON",{ident}}}')
    assert listener.notices() == [VenueNotice("2: Invalid request", True), VenueNotice("3: No JSON", True)]
